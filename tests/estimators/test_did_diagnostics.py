"""The tests of parallel trends against the statistic by hand, and on trends that are not."""

import numpy as np
import pytest

from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream

NAMES = ("panel/pre-trends", "did/att-gt-pre-test", "panel/placebo-adoption")


def drawn(name="did/two-group", n=60, **settings):
    scenario = find_scenario(name)(**settings)
    draw = scenario.draw(n, stream("test", "pre", name))
    return Problem.of(draw, scenario.assigned_roles())


def diagnose(name, problem, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(1), **options)


def leads(problem):
    """Return mean changes to the last period before adoption and their covariance, by groups."""
    y = problem.outcome.reshape(-1, 8)
    group = problem.columns["cohort"][::8] > 0
    change = y[:, :3] - y[:, [3]]
    parts = change[group], change[~group]
    covariance = sum(np.cov(part.T, ddof=0) / len(part) for part in parts)
    return parts[0].mean(0) - parts[1].mean(0), covariance


def test_leads_are_tested_by_the_clustered_wald_statistic():
    from scipy.stats import f

    problem = drawn(rho=0.5)
    b, v = leads(problem)
    given = diagnose("panel/pre-trends", problem)
    plain = b @ np.linalg.solve(v, b) / 3
    # the library scales its covariance: clusters and all parameters, unit effects included
    assert given.statistic == pytest.approx(plain, rel=0.2)
    assert given.statistic < plain
    assert given.p_value == pytest.approx(f.sf(given.statistic, 3, 59))


def test_the_pre_test_is_the_librarys_wald_test():
    from scipy.stats import chi2

    problem = drawn(rho=0.5)
    b, v = leads(problem)
    given = diagnose("did/att-gt-pre-test", problem)
    # tests on changes from one period to the next are tests on changes to the last one
    assert given.statistic == pytest.approx(b @ np.linalg.solve(v, b), rel=1e-6)
    assert given.p_value == pytest.approx(chi2.sf(given.statistic, 3), abs=6e-6)


def test_placebo_adoption_is_two_way_fixed_effects_before_adoption():
    problem = drawn()
    given = diagnose("panel/placebo-adoption", problem)
    y = problem.outcome.reshape(-1, 8)
    group, time = problem.columns["cohort"].reshape(-1, 8) > 0, np.arange(8)
    seen = ~(group & (time >= 4))
    unit = np.repeat(np.arange(60)[:, None], 8, 1)
    placebo = (group & (time == 3))[seen].astype(float)
    others = np.column_stack(
        [unit[seen][:, None] == np.arange(60), np.tile(time, (60, 1))[seen][:, None] == time[1:]]
    )
    left = placebo - others @ np.linalg.lstsq(others, placebo, rcond=None)[0]
    beta = left @ y[seen] / (left @ left)
    rest = y[seen] - others @ np.linalg.lstsq(others, y[seen] - beta * placebo, rcond=None)[0]
    scores = np.bincount(unit[seen], left * (rest - beta * placebo))
    se = np.sqrt((scores**2).sum()) / (left @ left)
    assert abs(given.statistic) <= abs(beta / se)
    assert given.statistic == pytest.approx(beta / se, rel=0.12)


@pytest.mark.parametrize("name", NAMES)
def test_a_steep_trend_is_found_and_none_is_not(name):
    assert diagnose(name, drawn()).passed
    steep = diagnose(name, drawn(trend=1.0))
    assert not steep.passed and steep.p_value < 0.001
    assert diagnose(name, drawn(trend=1.0), size=0.0).passed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:No pre-treatment periods:UserWarning")
def test_too_little_to_look_at_is_declined_in_words(name):
    with pytest.raises(Declined, match=r"leads|no periods before adoption|before it adopts"):
        diagnose(name, drawn("did/two-period"))


def test_few_clusters_and_lone_cohorts_are_declined_rather_than_passed():
    with pytest.raises(Declined, match="leads cannot be tested with 4 clusters"):
        diagnose("panel/pre-trends", drawn("did/state-panel", 4))
    with pytest.raises(Declined, match="one cluster only"):
        diagnose("panel/pre-trends", drawn("did/state-panel", 40, treated=0.01))
