"""Matching against loops over all pairs, and where it must equal simpler estimates."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator

FIT = find_estimator("matching/nearest-neighbour").fit
ROLES = Roles(covariates=("a", "b"))


def problem_of(n=150, estimand=Estimand.ATE, seed=2):
    rng = np.random.default_rng(seed)
    a, b, e = rng.normal(size=(3, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-a))).astype(float)
    y = a + 2 * b + d * (1 + a) + e
    y = y * d if estimand is Estimand.MEAN else y
    return Problem({"y": y, "d": d, "a": a, "b": 30 * b}, ROLES, (Target(estimand),))


def by_loops(problem, m, adjust):
    """Return estimate and standard error, one unit at a time (Abadie and Imbens 2006, 2011)."""
    y, d, x = problem.outcome, problem.treatment, problem.covariates
    inverse, n = np.linalg.inv(np.cov(x.T)), y.size
    models = [LinearRegression().fit(x[d == a], y[d == a]).predict(x) for a in (0, 1)]

    def nearest(i, arm, count):
        own = [j for j in range(n) if d[j] == arm and j != i]
        return sorted(own, key=lambda j: (x[i] - x[j]) @ inverse @ (x[i] - x[j]))[:count]

    effects, used, variance = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        variance[i] = (y[i] - y[nearest(i, d[i], 1)[0]]) ** 2 / 2
        if problem.targets[0].estimand is Estimand.ATT and d[i] == 0:
            continue
        arm = int(1 - d[i])
        chosen = nearest(i, arm, m)
        used[chosen] += 1
        other = np.mean([y[j] + adjust * (models[arm][i] - models[arm][j]) for j in chosen])
        effects[i] = (y[i] - other) * (1 if d[i] else -1)
    k = used / m
    if problem.targets[0].estimand is Estimand.ATT:
        n1, value = d.sum(), effects[d == 1].mean()
        spread = np.sum((effects[d == 1] - value) ** 2)
        again = np.sum((1 - d) * used * (used - 1) / m**2 * variance)
        return value, np.sqrt(spread + again) / n1
    value = effects.mean()
    again = np.sum((k**2 + (2 * m - 1) / m * k) * variance)
    return value, np.sqrt(np.sum((effects - value) ** 2) + again) / n


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
@pytest.mark.parametrize(("matches", "adjust"), [(1, True), (1, False), (3, True)])
def test_estimate_and_error_are_those_of_the_loops(estimand, matches, adjust):
    problem = problem_of(estimand=estimand)
    given = FIT(problem, np.random.default_rng(1), matches=matches, adjust=adjust)
    assert (given.value, given.se) == pytest.approx(by_loops(problem, matches, adjust), rel=1e-9)


def test_whatever_the_covariates_units_are_the_matches_are_the_same():
    problem, rng = problem_of(), np.random.default_rng(1)
    c = problem.columns
    turned = {**c, "a": 5 + c["a"] + 100 * c["b"], "b": c["b"] - 3 * c["a"]}
    other = Problem(turned, ROLES, problem.targets)
    assert FIT(problem, rng).value == pytest.approx(FIT(other, rng).value, rel=1e-9)


def test_exact_matches_need_no_correction_and_recover_a_blocked_experiment():
    rng = np.random.default_rng(4)
    a, b = np.repeat(np.arange(40.0), 2), np.repeat(rng.normal(size=40), 2)
    d = np.tile([1.0, 0.0], 40)
    y = a**2 + b + 3 * d + rng.normal(size=80)
    problem = Problem({"y": y, "d": d, "a": a, "b": b}, ROLES, (Target(Estimand.ATE),))
    for adjust in (True, False):
        given = FIT(problem, rng, adjust=adjust)
        assert given.value == pytest.approx(np.mean(y[::2] - y[1::2]), rel=1e-9)


def test_unsuitable_data_are_declined_in_words():
    problem, rng = problem_of(), np.random.default_rng(1)
    c = problem.columns
    with pytest.raises(Declined, match="rows are too few for 140 matches"):
        FIT(problem, rng, matches=140)
    with pytest.raises(Declined, match="collinear"):
        FIT(Problem({**c, "b": c["a"]}, ROLES, problem.targets), rng)
    with pytest.raises(Declined, match="never changes"):
        FIT(Problem({**c, "d": np.zeros(150)}, ROLES, problem.targets), rng)
