"""Limits robust to trends, where the library's solver is installed."""

import numpy as np
import pytest

from cibench import (
    Declined,
    Estimand,
    Problem,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.model.streams import stream

pytest.importorskip("cvxpy")
pytestmark = pytest.mark.filterwarnings("ignore")
ATT = Target(Estimand.ATT)


def drawn(**settings):
    scenario = find_scenario("did/two-group")(**settings)
    draw = scenario.draw(100, stream("test", "honest"))
    return Problem.of(draw, scenario.assigned_roles(), (ATT, Target(Estimand.ATT, 0)))


def fit(name, problem, **options):
    rng = np.random.default_rng(1)
    return find_estimator(f"did/honest-{name}").fit(problem, rng, **options)


@pytest.mark.parametrize("m", [0.0, 0.1])
def test_at_a_horizon_they_are_those_of_honest_did(m):
    import moderndid

    problem = drawn()
    names = {"yname": "y", "tname": "time", "idname": "unit", "gname": "cohort"}
    effects = moderndid.att_gt(problem.frame, **names, base_period="universal", cband=False)
    study = moderndid.aggte(effects, "dynamic")
    direct = moderndid.honest_did(study, 0, "smoothness", m_vec=[m]).robust_ci
    given = fit("smoothness", problem, m=m)[Target(Estimand.ATT, 0)]
    assert (given.low, given.high) == pytest.approx((direct["lb"][0], direct["ub"][0]), rel=1e-6)
    assert given.value is None


def test_limits_for_a_linear_trend_are_those_of_the_best_unbiased_combination():
    problem = drawn(trend=0.3)
    y = problem.outcome.reshape(100, 8)
    group = problem.columns["cohort"][::8] > 0
    changes = np.delete(y, 3, axis=1) - y[:, [3]]
    since = np.delete(np.arange(8), 3) - 4
    both = [changes[group], changes[~group]]
    b = both[0].mean(0) - both[1].mean(0)
    v = sum(np.cov(part.T, ddof=0) / len(part) for part in both)
    aim = np.where(since >= 0, 0.25, 0)
    before, slope = np.eye(7)[:, :3], since + 1.0
    system = np.zeros((4, 4))
    system[:3, :3] = before.T @ v @ before
    system[:3, 3] = system[3, :3] = before.T @ slope
    free = np.linalg.solve(system, -np.append(before.T @ v @ aim, slope @ aim))[:3]
    weights = aim + before @ free
    reach = 1.959964 * np.sqrt(weights @ v @ weights)
    given = fit("smoothness", problem)[ATT]
    expected = (weights @ b - reach, weights @ b + reach)
    assert (given.low, given.high) == pytest.approx(expected, abs=0.01 * reach)


def test_overall_limits_weigh_horizons_by_their_treated_rows():
    import moderndid
    from moderndid.didhonest import create_sensitivity_results_sm

    scenario = find_scenario("quirks/panel")()
    draw = scenario.draw(240, stream("test", "honest staggered"))
    problem = Problem.of(draw, scenario.assigned_roles(), (ATT,), 0.9)
    names = {"yname": "y", "tname": "time", "idname": "unit", "gname": "cohort"}
    effects = moderndid.att_gt(problem.frame, **names, base_period="universal", cband=False)
    study = moderndid.aggte(effects, "dynamic")
    keep = study.event_times != -1
    since = study.event_times[keep]
    influence = study.influence_func[:, keep]
    covariance = influence.T @ influence / len(influence) ** 2
    c = problem.columns
    rows = (c["time"] - c["cohort"])[c["d"] == 1]
    shares = np.array([np.mean(rows == k) for k in since[since >= 0]])
    assert shares.sum() == pytest.approx(1) and np.ptp(shares) > 0.1
    direct = create_sensitivity_results_sm(
        study.att_by_event[keep], covariance, int((since < 0).sum()), shares.size,
        l_vec=shares[:, None], alpha=0.1, m_vec=[0.1], method="FLCI",
    )  # fmt: skip
    given = fit("smoothness", problem, m=0.1)[ATT]
    expected = (float(direct["lb"][0]), float(direct["ub"][0]))
    assert (given.low, given.high) == pytest.approx(expected, rel=1e-6)


def test_one_period_before_adoption_is_declined_in_words():
    scenario = find_scenario("did/two-period")()
    draw = scenario.draw(100, stream("test", "honest"))
    problem = Problem.of(draw, scenario.assigned_roles(), (ATT,))
    with pytest.raises(Declined, match="two periods before adoption"):
        fit("smoothness", problem)
