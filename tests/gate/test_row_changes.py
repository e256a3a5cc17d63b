"""How far single fits moved: each number in the unit that is stated for it."""

import numpy as np
import pytest

from cibench.gate.comparison import compare

T, S = np.array([0.0, 1.0, 3.0, 7.0]), np.array([0.5, 2.0, 4.0, 1.0])
ANSWER = {
    "estimate": T, "std_error": S, "ci_low": T - S, "ci_high": T + S, "band_low": T - 2 * S,
    "band_high": T + 2 * S, "crps": S / 2, "df": np.array([0.5, 10.0, 20.0, 30.0]),
    "statistic": np.array([-4.0, 0.5, -0.75, 7.0]), "p_value": np.array([0.1, 0.2, 0.3, 0.4]),
    "pit": np.array([0.1, 0.2, 0.3, 0.4]),
}  # fmt: skip


def changes(table, **moved):
    (cell,) = compare(table(**ANSWER), table(**ANSWER | moved)).cells
    return cell.changes


@pytest.mark.parametrize(
    "name", ["estimate", "std_error", "ci_low", "ci_high", "band_low", "band_high", "crps"]
)
def test_what_has_the_outcomes_unit_counts_in_the_rows_own_standard_error(table, name):
    found = changes(table, **{name: ANSWER[name] + 0.1})
    assert found.largest == pytest.approx(0.1 / S)
    of_estimate = name in ("estimate", "ci_low", "ci_high")
    assert found.estimate == pytest.approx(0.1 / S if of_estimate else 0 * S)


def test_a_row_without_a_standard_error_counts_in_the_spread_of_all_errors(table):
    own = np.array([np.nan, 2.0, 0.0, np.nan])
    before = ANSWER | {"std_error": own}
    (cell,) = compare(table(**before), table(**before | {"estimate": T + 0.1})).cells
    spread = T.std()  # the truth is 0
    assert cell.changes.largest == pytest.approx(0.1 / np.array([spread, 2.0, spread, spread]))


@pytest.mark.parametrize("name", ["df", "statistic"])
def test_degrees_of_freedom_and_statistics_count_relative_to_their_size(table, name):
    found = changes(table, **{name: 1.1 * ANSWER[name]})
    assert found.largest == pytest.approx(0.1 * np.minimum(np.abs(ANSWER[name]), 1))


@pytest.mark.parametrize("name", ["p_value", "pit"])
def test_probabilities_count_as_they_are(table, name):
    assert changes(table, **{name: ANSWER[name] + 0.05}).largest == pytest.approx(0.05)


def test_what_one_side_lacks_has_changed_without_end(table):
    gone = np.where(np.arange(4) == 2, np.nan, ANSWER["band_low"])
    for one in (changes(table, band_low=gone), changes(table, df=np.full(4, np.nan))):
        assert np.isinf(one.largest).any() and not one.estimate.any()
    assert np.isinf(changes(table, band_low=gone).largest).tolist() == [False, False, True, False]
    status = np.array(["ok", "failed", "ok", "ok"])
    lost = changes(table, status=status)
    assert np.isinf(lost.largest).tolist() == [False, True, False, False]
    assert lost.answered.tolist() == [True, False, True, True]
    infinite = ANSWER | {"ci_high": np.full(4, np.inf)}
    (cell,) = compare(table(**infinite), table(**infinite)).cells
    assert not cell.changes.largest.any()  # infinite on both sides is the same
