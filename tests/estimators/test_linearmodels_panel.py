"""The panel adapters against regressions written out with dummies."""

import numpy as np
import pytest

from cibench import (
    Declined,
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.model.streams import stream

ROLES = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
ASKED = (Target(Estimand.ATT),)


@pytest.fixture(scope="module")
def problem():
    drawn = find_scenario("did/two-group")(rho=0.5).draw(24, stream("test", "panel"))
    return Problem.of(drawn, ROLES, ASKED)


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, None, **options)


def dummies(problem):
    unit, time = problem.columns["unit"], problem.columns["time"]
    return np.column_stack([unit[:, None] == np.unique(unit), time[:, None] == np.unique(time)[1:]])


def test_two_way_fixed_effects_is_least_squares_with_dummies(problem):
    design = np.column_stack([problem.treatment, dummies(problem)])
    beta, *_ = np.linalg.lstsq(design, problem.outcome, rcond=None)
    one, other = fit("panel/twfe", problem), fit("panel/twfe-clustered", problem)
    assert one.value == other.value == pytest.approx(beta[0], rel=1e-10)


def test_errors_are_the_sandwich_of_the_residualised_treatment(problem):
    others = dummies(problem)
    left = problem.treatment - others @ np.linalg.lstsq(others, problem.treatment, rcond=None)[0]
    design = np.column_stack([problem.treatment, others])
    beta, *_ = np.linalg.lstsq(design, problem.outcome, rcond=None)
    score = left * (problem.outcome - design @ beta)
    robust = np.sqrt((score**2).sum()) / (left @ left)
    by_unit = np.bincount(problem.columns["unit"], score)
    clustered = np.sqrt((by_unit**2).sum()) / (left @ left)
    # the library scales by n / (n - k); each factor is the same for every data set of this shape
    n, k = score.size, design.shape[1]
    assert fit("panel/twfe", problem).se == pytest.approx(robust * np.sqrt(n / (n - k)), rel=1e-8)
    scale = fit("panel/twfe-clustered", problem).se / clustered
    assert 1 <= scale <= np.sqrt(n / (n - k)) * 1.03


def test_clustered_errors_uncorrected_and_corrected_are_the_textbook_sandwich():
    drawn = find_scenario("did/state-panel")(rho=0.8).draw(6, stream("test", "six states"))
    problem = Problem.of(drawn, ROLES, ASKED)
    y, x = (column.reshape(6, 21) for column in (problem.outcome, problem.treatment))
    y, x = (a - a.mean(0) - a.mean(1)[:, None] + a.mean() for a in (y, x))
    value = (x * y).sum() / (x * x).sum()
    meat = ((x * (y - value * x)).sum(1) ** 2).sum()
    plain = np.sqrt(meat) / (x * x).sum()
    n, k, units = 126, 27, 6
    cr1 = np.sqrt(units / (units - 1) * (n - 1) / (n - k))
    uncorrected = fit("panel/twfe-clustered", problem, count_effects=False, debiased=False)
    corrected = fit("panel/twfe-few-clusters", problem)
    normal = fit("panel/twfe-few-clusters", problem, student=False)
    assert uncorrected.value == pytest.approx(value, rel=1e-9)
    assert uncorrected.se == pytest.approx(plain, rel=1e-9)
    assert corrected.se == normal.se == pytest.approx(cr1 * plain, rel=1e-9)
    reach = [(e.high - e.value) / e.se for e in (uncorrected, normal, corrected)]
    assert reach == pytest.approx([1.959964, 1.959964, 2.570582], rel=1e-6)


def test_first_differences_compare_the_groups_changes_at_adoption(problem):
    y = problem.outcome.reshape(24, -1)
    change = y[:, 4] - y[:, 3]
    expected = change[:12].mean() - change[12:].mean()
    assert fit("panel/first-difference", problem).value == pytest.approx(expected, rel=1e-10)


def test_errors_of_changes_are_clustered_by_unit():
    # with several dates a unit's neighbouring changes share an error; with one none of them count
    scenario = find_scenario("quirks/panel")()
    problem = Problem.of(scenario.draw(48, stream("test", "changes")), ROLES, ASKED)
    y, d = (column.reshape(48, -1) for column in (problem.outcome, problem.treatment))
    steps = y.shape[1] - 1
    x = np.column_stack([np.diff(d).ravel(), np.tile(np.eye(steps), (48, 1))])
    bread, change = np.linalg.inv(x.T @ x), np.diff(y).ravel()
    beta = bread @ x.T @ change
    scores = x * (change - x @ beta)[:, None]
    sums = scores.reshape(48, steps, -1).sum(axis=1)
    n, k = x.shape
    robust, clustered = (
        np.sqrt((bread @ s.T @ s @ bread)[0, 0] * n / (n - k)) for s in (scores, sums)
    )
    given = fit("panel/first-difference", problem)
    assert (given.value, given.se) == pytest.approx((beta[0], clustered), rel=1e-8)
    assert given.se != pytest.approx(robust, rel=1e-3)


@pytest.mark.parametrize("name", ["panel/twfe", "panel/twfe-clustered", "panel/first-difference"])
@pytest.mark.parametrize("treated", [0.0, 1.0])
def test_all_or_nobody_treated_is_declined_in_words(problem, name, treated):
    columns = {**problem.columns, "d": np.full(problem.treatment.size, treated)}
    with pytest.raises(Declined, match="no period has treated and untreated units"):
        fit(name, Problem(columns, ROLES, ASKED))


def test_a_difference_in_means_is_welchs():
    from scipy import stats

    rng = np.random.default_rng(1)
    arms = [22, 38]  # with arms of one size HC1 and HC2 are the same
    columns = {"y": rng.normal(size=60) * np.repeat([1, 3], arms), "d": np.repeat([0.0, 1.0], arms)}
    given = fit("naive/difference-in-means", Problem(columns, Roles(), (Target(Estimand.ATE),)))
    welch = stats.ttest_ind(columns["y"][22:], columns["y"][:22], equal_var=False)
    assert given.value / given.se == pytest.approx(welch.statistic, rel=1e-10)
    one_sided = {**columns, "d": np.ones(60)}
    with pytest.raises(Declined, match="all rows are treated, or none is"):
        fit("naive/difference-in-means", Problem(one_sided, Roles(), (Target(Estimand.ATE),)))
