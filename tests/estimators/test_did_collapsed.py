"""Difference in differences on one number a unit."""

import numpy as np
import pytest
from scipy.stats import t as t_law
from scipy.stats import ttest_ind

from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream

ALL, LAST, EARLIER, LINE = (
    "did/collapsed", "did/collapsed-last", "did/collapsed-earlier", "did/collapsed-detrended",
)  # fmt: skip


def problem(name="did/two-group", n=60, replicate=0, **fields):
    scenario = find_scenario(name)(**fields)
    drawn = scenario.draw(n, stream("collapsed", replicate))
    return Problem.of(drawn, scenario.assigned_roles(), scenario.targets())


def fit(one, name, **options):
    return find_estimator(name).fit(one, stream("fit"), **options)


def test_it_is_two_way_fixed_effects_with_one_date_of_adoption():
    one = problem()
    assert fit(one, ALL).value == pytest.approx(fit(one, "panel/twfe").value, rel=1e-9)


@pytest.mark.parametrize(("name", "base"), [(ALL, [0, 1, 2, 3]), (LAST, [3]), (EARLIER, [2])])
def test_it_is_a_comparison_of_changes(name, base):
    one = problem()
    y = one.outcome.reshape(60, 8)
    change = y[:, 4:].mean(axis=1) - y[:, base].mean(axis=1)
    treated = one.columns["cohort"].reshape(60, 8)[:, 0] > 0
    by_hand = ttest_ind(change[treated], change[~treated], equal_var=False)
    found = fit(one, name)
    assert found.value == pytest.approx(change[treated].mean() - change[~treated].mean())
    assert found.statistic == pytest.approx(by_hand.statistic)  # HC2 errors are Welch's


def test_with_groups_of_unlike_size_errors_are_welchs_and_limits_students():
    one = problem("did/state-panel", 20, treated=0.3)
    y = one.outcome.reshape(20, -1)
    cohort = one.columns["cohort"].reshape(20, -1)[:, 0]
    treated, date = cohort > 0, int(cohort.max())
    change = y[:, date:].mean(axis=1) - y[:, :date].mean(axis=1)
    assert (treated.sum(), (~treated).sum()) == (6, 14)
    by_hand = ttest_ind(change[treated], change[~treated], equal_var=False)
    found = fit(one, ALL)
    assert found.statistic == pytest.approx(by_hand.statistic)
    assert (found.high - found.low) / 2 / found.se == pytest.approx(t_law.ppf(0.975, 18))


def test_the_last_base_is_that_of_group_time_effects():
    one = problem()
    assert fit(one, LAST).value == pytest.approx(fit(one, "did/att-gt").value, rel=1e-8)


def test_a_line_is_carried_on():
    one = problem()
    y, t = one.outcome.reshape(60, 8), np.arange(8)
    left = [v[4:].mean() - np.polyval(np.polyfit(t[:4], v[:4], 1), t[4:]).mean() for v in y]
    treated = one.columns["cohort"].reshape(60, 8)[:, 0] > 0
    left = np.array(left)
    found = fit(one, LINE)
    assert found.value == pytest.approx(left[treated].mean() - left[~treated].mean())


def test_what_each_is_off_by_under_each_dial():
    """On the same noise the difference of two settings is the difference of their biases."""
    for dial, wanted in (
        ({"trend": 0.1}, (0.4, 0.25, 0.35, 0.0)),
        ({"anticipation": 1.0}, (-0.125, -0.5, 0.0, -0.725)),
    ):
        moved = [fit(problem(**dial), n).value - fit(problem(), n).value
                 for n in (ALL, LAST, EARLIER, LINE)]  # fmt: skip
        assert moved == pytest.approx(wanted, abs=1e-9)


def test_few_units_with_correlated_errors_are_covered():
    covered = []
    for replicate in range(400):
        one = problem("did/state-panel", 6, replicate, rho=0.8)
        found = fit(one, ALL)
        covered.append(found.low <= 0 <= found.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 400))


def test_the_slopes_are_compared_before_adoption():
    one = problem()
    y = one.outcome.reshape(60, 8)[:, :4]
    slopes = np.polyfit(np.arange(4), y.T, 1)[0]
    treated = one.columns["cohort"].reshape(60, 8)[:, 0] > 0
    by_hand = ttest_ind(slopes[treated], slopes[~treated], equal_var=False)
    found = fit(one, "did/pre-slopes")
    assert found.statistic == pytest.approx(by_hand.statistic)
    alarms = [not fit(problem(replicate=r, n=100), "did/pre-slopes").passed for r in range(300)]
    assert np.mean(alarms) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))
    assert not fit(problem(trend=1.0), "did/pre-slopes").passed


@pytest.mark.parametrize(("name", "fields", "n", "said"), [
    ("did/staggered", {}, 50, "one date of adoption"),
    ("did/state-panel", {"treated": 0.0}, 6, "a group of one unit"),
    ("did/two-period", {}, 40, "two periods before adoption"),
])  # fmt: skip
def test_what_it_is_not_for_is_declined(name, fields, n, said):
    with pytest.raises(Declined, match=said):
        fit(problem(name, n, **fields), LINE)
