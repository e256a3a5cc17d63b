"""Risks and arms against statsmodels by other routes."""

import numpy as np
import pytest

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator, find_scenario
from cibench.contracts.common import small_draw


def binary(n=300, replicate=0):
    scenario = find_scenario("binary/logistic")()
    return Problem.of(small_draw(scenario, n, replicate), scenario.roles, scenario.targets())


def test_the_table_is_statsmodels_table():
    from statsmodels.stats.contingency_tables import Table2x2

    data = binary()
    y, d = data.outcome, data.treatment
    counts = [[((y == e) & (d == a)).sum() for e in (1, 0)] for a in (1, 0)]
    theirs = Table2x2(np.array(counts))
    mine = find_estimator("binary/table").fit(data, np.random.default_rng(1))
    _, risk, odds = (mine[t] for t in data.targets)
    assert (risk.value, risk.se) == pytest.approx((theirs.riskratio, theirs.log_riskratio_se))
    assert (odds.value, odds.se) == pytest.approx((theirs.oddsratio, theirs.log_oddsratio_se))
    assert (odds.low, odds.high) == pytest.approx(theirs.oddsratio_confint())


def test_standardised_risks_are_the_average_marginal_effect():
    """Of the difference statsmodels has value and error: `get_margeff` of a dummy."""
    from statsmodels.discrete.discrete_model import Logit

    data = binary(500)
    x = np.column_stack([data.treatment, np.ones(500), data.covariates])
    margins = Logit(data.outcome, x).fit(disp=0).get_margeff(dummy=True)
    mine = find_estimator("binary/standardised").fit(data, np.random.default_rng(1))
    difference = mine[Target(Estimand.RISK_DIFFERENCE)]
    assert difference.value == pytest.approx(margins.margeff[0], rel=1e-9)
    # theirs takes the covariates for fixed, and the information for the errors
    assert difference.se == pytest.approx(margins.margeff_se[0], rel=0.05)


@pytest.mark.parametrize("name", ["binary/table", "binary/standardised"])
def test_an_arm_without_events_is_declined(name):
    data = binary()
    columns = {**data.columns, "y": np.where(data.treatment == 1, 0.0, data.outcome)}
    with pytest.raises(Declined):
        find_estimator(name).fit(
            Problem(columns, data.roles, data.targets), np.random.default_rng(1)
        )


def test_arms_are_compared_as_by_hand():
    scenario = find_scenario("arms/trial")()
    draw = small_draw(scenario, 500)
    data = Problem.of(draw, scenario.roles, scenario.targets())
    answers = find_estimator("arms/difference-in-means").fit(data, np.random.default_rng(1))
    for target in data.targets:
        rows = np.ones(500, bool) if target.group is None else data.members(target.group)
        y = [data.outcome[rows & (data.treatment == arm)] for arm in target.contrast]
        value, se = y[0].mean() - y[1].mean(), np.sqrt(sum(v.var(ddof=1) / v.size for v in y))
        assert (answers[target].value, answers[target].se) == pytest.approx((value, se))
        wide = answers[target].band_high - answers[target].band_low
        assert wide > answers[target].high - answers[target].low


def test_two_arms_without_a_contrast_are_one_and_zero():
    rng = np.random.default_rng(2)
    d = rng.integers(0, 2, 100)
    columns = {"y": rng.normal(size=100) + d, "d": d}
    answer = find_estimator("arms/difference-in-means").fit(
        Problem(columns, Roles(), (Target(Estimand.ATE),)), rng
    )[Target(Estimand.ATE)]
    assert answer.value == pytest.approx(columns["y"][d == 1].mean() - columns["y"][d == 0].mean())
