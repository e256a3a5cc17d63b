"""lifelines' adapters against Kaplan-Meier, Greenwood and Cox by other routes."""

from itertools import pairwise

import numpy as np
import pytest

from cibench import Declined, Estimand, Problem, find_estimator, find_scenario
from cibench.contracts.common import small_draw

pytest.importorskip("lifelines")


def problem(n, tied=False, replicate=0):
    scenario = find_scenario("survival/weibull")()
    draw = small_draw(scenario, n, replicate)
    if tied:
        draw.columns["y"][:] = np.maximum(np.round(draw.columns["y"], 1), 0.1)
    return Problem.of(draw, scenario.roles, scenario.targets()[:2])


def by_hand(data, arm, tau):
    """Return the area under an arm's curve and Greenwood's variance of it, event by event."""
    mine = data.treatment == arm
    y, event = data.outcome[mine], data.columns["event"][mine]
    times = [*np.unique(y[(event == 1) & (y < tau)]), tau]
    surviving, area, before, steps = 1.0, 0.0, 0.0, []
    for t, after in pairwise(times):
        area, before = area + surviving * (t - before), t
        at_risk, died = (y >= t).sum(), ((y == t) & (event == 1)).sum()
        surviving *= 1 - died / at_risk
        steps.append((at_risk, died, surviving * (after - t)))
    area += surviving * (tau - before)
    variance = 0.0
    for i, (at_risk, died, _) in enumerate(steps):
        left = sum(piece for _, _, piece in steps[i:])
        if at_risk > died:
            variance += left**2 * died / (at_risk * (at_risk - died))
    return area, variance


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n", [60, 400])
def test_restricted_means_are_areas_with_greenwoods_errors(n, tied):
    data = problem(n, tied)
    answers = find_estimator("lifelines/rmst").fit(data, np.random.default_rng(1))
    (a, va), (b, vb) = (by_hand(data, arm, 1.0) for arm in (1, 0))
    difference, ratio = (answers[t] for t in data.targets)
    assert difference.value == pytest.approx(a - b, rel=1e-9)
    assert difference.se == pytest.approx(np.sqrt(va + vb), rel=1e-9)
    assert ratio.value == pytest.approx(a / b, rel=1e-9)
    assert ratio.se == pytest.approx(np.sqrt(va / a**2 + vb / b**2), rel=1e-9)


def test_who_is_not_followed_so_far_is_declined():
    data = problem(60)
    far = (data.targets[0]._replace(estimand=Estimand.RMST_DIFFERENCE(50)),)
    with pytest.raises(Declined, match="followed up to 50"):
        find_estimator("lifelines/rmst").fit(
            Problem(data.columns, data.roles, far), np.random.default_rng(1)
        )


@pytest.mark.filterwarnings("ignore:Starting with pandas")  # lifelines' own calls
def test_cox_is_statsmodels():
    sm = pytest.importorskip("statsmodels.duration.hazard_regression")
    data = problem(300)
    mine = find_estimator("lifelines/cox").fit(data, np.random.default_rng(1))
    theirs = sm.PHReg(
        data.outcome, data.treatment[:, None], status=data.columns["event"], ties="efron"
    ).fit()
    assert mine.value == pytest.approx(float(theirs.params[0]), abs=1e-5)
    assert mine.se == pytest.approx(float(theirs.bse[0]), rel=1e-4)
