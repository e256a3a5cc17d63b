"""What is no question of chance: answers lost, fits that moved, nothing to compare with."""

from itertools import permutations

import numpy as np
import pytest

from cibench.gate.comparison import NO_ANSWER, compare
from cibench.gate.output.cell_views import (
    changed_most,
    directions,
    error,
    headline,
    level_line,
    tell,
    what_became,
)
from cibench.gate.rules import ChangeVerdict, Rules

PATTERN = np.arange(1500)


def only(found):
    (cell,) = found.cells
    return cell, {one.name: one for one in cell.measures}


def words_of(found):
    (view,) = tell(found, {})
    return what_became(view, found.rules.tolerance)


def lost(table, t, s, at, status="failed"):
    gone = np.where(at, np.nan, 1.0)
    return table(t * gone, s * gone, status=np.where(at, status, "ok"))


@pytest.mark.parametrize("count", [1, 10])
def test_an_answer_that_is_lost_is_worse_however_rare(table, normal, count):
    t, s = normal
    found = compare(table(t, s), lost(table, t, s, count > PATTERN))
    cell, measures = only(found)
    assert (cell.verdict, found.exit_code) == (ChangeVerdict.WORSE, 1)
    assert not measures["failure_rate"].changed or count > 5
    assert measures["lost"].after == pytest.approx(count / 1500)
    assert {r.replicate for r in changed_most(cell, 1e-6, count)} == set(range(count))
    assert f"{count} fit{'s' * (count > 1)} answered before and failed now" in words_of(found)
    assert "answers lost" in headline(found)


def test_an_answer_that_is_won_is_no_loss(table, normal):
    t, s = normal
    found = compare(lost(table, t, s, PATTERN < 3), table(t, s))
    assert found.exit_code == 0
    assert "3 fits failed before and answered now" in words_of(found)


def test_a_stated_share_of_lost_answers_may_pass(table, normal):
    t, s = normal
    rows = table(t, s), lost(table, t, s, PATTERN < 3)
    assert compare(*rows, Rules().with_margins(["lost=0.002"])).exit_code == 0
    assert compare(*rows, Rules().with_margins(["lost=0.0019"])).exit_code == 1


@pytest.mark.parametrize(
    ("by", "verdict"),
    [(2.9, ChangeVerdict.NUMERICALLY), (3.1, ChangeVerdict.MOVED), (1e6, ChangeVerdict.MOVED)],
)
@pytest.mark.parametrize("moments", [True, False])
def test_one_fit_that_moved_by_three_of_its_standard_errors_is_a_fact(
    table, normal, by, verdict, moments
):
    t, s = normal
    other = np.where(PATTERN == 7, t + by * s, t)
    without = () if moments else {"made/method"}
    found = compare(table(t, s), table(other, s), without_moments=without)
    cell, _ = only(found)
    assert cell.verdict is verdict
    assert changed_most(cell, 1e-6)[0].replicate == 7
    wide = compare(table(t, s), table(other, s), Rules().with_margins(["fit=1e7"]))
    assert wide.exit_code == 0


@pytest.mark.parametrize("name", ["std_error", "ci_low", "band_high"])
def test_any_number_of_an_answer_may_be_the_one_that_moved(table, normal, name):
    t, s = normal
    columns = {"std_error": s, "ci_low": t - 2 * s, "band_high": t + 3 * s}
    rest = {k: v for k, v in columns.items() if k != "std_error"}
    before = table(t, s, **rest)
    columns[name] = np.where(PATTERN == 3, columns[name] + 4 * s, columns[name])
    after = table(t, columns.pop("std_error"), **columns)
    assert only(compare(before, after))[0].verdict is ChangeVerdict.MOVED


def test_a_number_that_has_gone_is_a_fact_and_a_new_one_is_not(table, normal):
    t, s = normal
    some = np.where(PATTERN == 3, np.nan, t + 3 * s)
    before, after = table(t, s, band_high=t + 3 * s), table(t, s, band_high=some)
    assert only(compare(before, after))[0].verdict is ChangeVerdict.MOVED
    assert "with a number on one side alone" in words_of(compare(before, after))
    assert compare(after, before).exit_code == 0


def test_who_declines_what_was_answered_has_moved(table, normal):
    t, s = normal
    found = compare(table(t, s), lost(table, t, s, PATTERN == 5, "declined"))
    assert only(found)[0].verdict is ChangeVerdict.MOVED


@pytest.mark.parametrize("own", [0.0, np.nan, 1e-300])
def test_a_fit_with_next_to_no_standard_error_moves_in_that_of_the_others(table, normal, own):
    t, s = normal
    odd = np.where(PATTERN == 3, own, s)
    same = np.where(PATTERN == 3, t + 1e-5, t)
    limits = {"ci_low": t - s, "ci_high": t + s}
    rows = table(t, odd, **limits), table(same, odd, **limits)
    assert only(compare(*rows))[0].verdict is not ChangeVerdict.MOVED
    far = table(np.where(PATTERN == 3, t + 5, t), odd, **limits)
    assert only(compare(rows[0], far))[0].verdict is ChangeVerdict.MOVED


def test_rounding_of_an_estimate_without_noise_is_no_move(table):
    t, s = np.full(200, 1.0), np.full(200, 1e-17)
    found = compare(table(t, s, truth=1.0), table(t * (1 + 2e-16), s, truth=1.0))
    assert only(found)[0].verdict is not ChangeVerdict.MOVED


def test_nothing_is_a_fact_of_a_random_estimator_or_of_other_data(table, normal):
    t, s = normal
    other = lost(table, t + 5 * (PATTERN == 7), s, PATTERN == 3)
    random = compare(table(t, s), other, random={("made/method", "{}")})
    assert random.exit_code == 0
    assert compare(table(t, s), other, paired=False).exit_code == 0


@pytest.mark.parametrize("paired", [True, False])
def test_a_baseline_without_an_answer_is_no_baseline(table, normal, paired):
    none = lost(table, *normal, PATTERN >= 0)
    for after in (none, table(*normal)):
        found = compare(none, after, paired=paired)
        assert (found.verdict, found.exit_code) == (ChangeVerdict.NOT_COMPARABLE, 2)
        assert found.cells[0].why.startswith(NO_ANSWER)


def test_nothing_compared_is_not_passed(table, normal):
    nothing = table(*normal).slice(0, 0)
    found = compare(nothing, nothing)
    assert found.exit_code == 2 and headline(found) == "not comparable: nothing to compare"


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (0.0, "identical"),
        (4e-7, "rounding, at most 4e-07 SE"),
        (4e-4, "numerical change of at most 0.000400 SE, in 100 % of the fits"),
        (0.025, "change of at most 0.0250 SE, in 100 % of the fits"),
    ],
)
def test_what_became_of_single_numbers_is_graded(table, normal, by, words):
    t, s = normal
    assert words_of(compare(table(t, s), table(t + by * s, s))) == words


def test_standard_errors_that_doubled_have_changed_in_what_and_which_way(table, normal):
    t, s = normal
    (view,) = tell(compare(table(t, 0.59 * s), table(t, 1.14 * s)), {})
    assert view.cell.verdict is ChangeVerdict.BETTER
    said = directions(view)
    assert said.startswith("changed: typical standard error +93.2 %, SE ratio 0.588 → 1.14")
    assert "(closer to 1)" in said
    (view,) = tell(compare(table(t, s), table(t, 0.6 * s)), {})
    assert directions(view).startswith("worse: ") and "(farther from 1)" in directions(view)
    found = compare(table(t, s), table(t, 0.6 * s))
    assert headline(found).startswith("failed: 1 worse (") and "SE ratio" in headline(found)


def test_what_fits_took_may_be_known_of_none():
    """A baseline whose line says no seconds made a warning of numpy's."""
    import numpy as np

    from cibench.gate.pairing import typical_seconds

    assert typical_seconds(np.array([np.nan, 3.0, 1.0, 2.0])) == 2.0
    for unknown in (np.array([np.nan, np.nan]), np.array([])):
        assert np.isnan(typical_seconds(unknown))


def test_every_fit_is_of_one_kind_and_named_by_what_became_of_it(table, normal):
    """Declines were said to have raised, and a fit was counted as two."""
    t, s = normal
    kinds = list(permutations(("answered", "failed", "declined"), 2))
    status = {"answered": "ok", "failed": "failed", "declined": "declined"}
    sides = []
    for place in (0, 1):
        named = np.full(t.size, "ok", dtype=object)
        for number, kind in enumerate(kinds):
            named[number == PATTERN] = status[kind[place]]
        gone = np.where(named == "ok", 1.0, np.nan)
        sides.append(table(t * gone, s * gone, status=named))
    found = words_of(compare(*sides))
    for number, (before, after) in enumerate(kinds):
        many = int((number == PATTERN).sum())
        assert f"{many:,} fit{'s' * (many > 1)} {before} before and {after} now" in found
    assert "one side alone" not in found


def test_a_chance_of_at_most_is_never_told_smaller_than_it_is(table, normal):
    t, s = normal
    chances = {0.002: "0.002", 0.002 / 12: "0.00017", 0.002 / 13: "0.00016", 0.01: "0.01"}
    for alpha, told in chances.items():
        line = level_line(compare(table(t, s), table(t, s), Rules(alpha=alpha)))
        assert f"is at most {told} (" in line and float(told) >= alpha


def test_the_paired_error_of_a_change_is_written_in_the_unit_of_the_change(table, normal):
    """In standard errors, in per cent, in points; recomputed for the mean estimate."""
    t, s = normal
    noise = np.random.default_rng(4).normal(size=1500)
    found = compare(table(t, s), table(t + 0.5 * noise, s * (1 + 0.2 * np.abs(noise))))
    measures = only(found)[1]
    units = {"estimate": "SE", "std_error": "%", "coverage": "points"}
    for name, unit in units.items():
        number, _, written = error(measures[name]).partition(" ")
        assert written == unit
        factor = 1 if unit == "SE" else 100
        assert float(number) == pytest.approx(factor * measures[name].error, rel=0.06)
    alone = np.std(0.5 * noise) / np.sqrt(1500) / np.median(s)
    assert measures["estimate"].error == pytest.approx(alone, rel=0.1)
