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
    """Return estimate and standard error, one unit at a time, with all ties.

    Abadie and Imbens (2006, 2011); Abadie, Drukker, Herr and Imbens (2004).
    """
    y, d, x = problem.outcome, problem.treatment, problem.covariates
    inverse, n = np.linalg.inv(np.cov(x.T)), y.size
    models = [LinearRegression().fit(x[d == a], y[d == a]).predict(x) for a in (0, 1)]

    def nearest(i, arm, count):
        away = {
            j: np.sqrt((x[i] - x[j]) @ inverse @ (x[i] - x[j]))
            for j in range(n)
            if d[j] == arm and j != i
        }
        last = sorted(away.values())[count - 1]
        return [j for j, distance in away.items() if distance < last + 1e-7]

    effects, used, squared, variance = np.zeros((4, n))
    for i in range(n):
        own = nearest(i, d[i], 1)
        variance[i] = (y[i] - np.mean(y[own])) ** 2 * len(own) / (len(own) + 1)
        if problem.targets[0].estimand is Estimand.ATT and d[i] == 0:
            continue
        arm = int(1 - d[i])
        chosen = nearest(i, arm, m)
        used[chosen] += 1 / len(chosen)
        squared[chosen] += 1 / len(chosen) ** 2
        other = np.mean([y[j] + adjust * (models[arm][i] - models[arm][j]) for j in chosen])
        effects[i] = (y[i] - other) * (1 if d[i] else -1)
    if problem.targets[0].estimand is Estimand.ATT:
        n1, value = d.sum(), effects[d == 1].mean()
        spread = np.sum((effects[d == 1] - value) ** 2)
        again = np.sum((1 - d) * (used**2 - squared) * variance)
        return value, np.sqrt(spread + again) / n1
    value = effects.mean()
    again = np.sum((used**2 + 2 * used - squared) * variance)
    return value, np.sqrt(np.sum((effects - value) ** 2) + again) / n


def tied(n=90, seed=6, estimand=Estimand.ATE, values=3):
    """Return data with covariates on a lattice: exact ties, and neighbours equally far away."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(values, size=(2, n)).astype(float)
    d = (rng.random(n) < 0.2 + 0.2 * a).astype(float)
    y = 2 * a + b**2 + d * (1 + a) + rng.normal(size=n)
    y = y * d if estimand is Estimand.MEAN else y
    return Problem({"y": y, "d": d, "a": a, "b": b}, ROLES, (Target(estimand),))


def shuffled(problem, seed=1):
    order = np.random.default_rng(seed).permutation(problem.outcome.size)
    columns = {name: column[order] for name, column in problem.columns.items()}
    return Problem(columns, problem.roles, problem.targets)


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
@pytest.mark.parametrize(("matches", "adjust"), [(1, True), (1, False), (3, True)])
def test_estimate_and_error_are_those_of_the_loops(estimand, matches, adjust):
    problem = problem_of(estimand=estimand)
    given = FIT(problem, np.random.default_rng(1), matches=matches, adjust=adjust)
    assert (given.value, given.se) == pytest.approx(by_loops(problem, matches, adjust), rel=1e-9)


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
@pytest.mark.parametrize(("matches", "adjust"), [(1, True), (1, False), (3, True), (12, False)])
@pytest.mark.parametrize("values", [3, 7])
def test_with_ties_they_are_those_of_the_loops_too(estimand, matches, adjust, values):
    problem = tied(estimand=estimand, values=values)
    given = FIT(problem, np.random.default_rng(1), matches=matches, adjust=adjust)
    assert (given.value, given.se) == pytest.approx(by_loops(problem, matches, adjust), rel=1e-9)


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT])
@pytest.mark.parametrize("values", [2, 5, 40])
def test_the_order_of_rows_decides_nothing(estimand, values):
    problem, rng = tied(400, estimand=estimand, values=values), np.random.default_rng(1)
    for matches in (1, 4):
        given = FIT(problem, rng, matches=matches)
        for seed in range(5):
            other = FIT(shuffled(problem, seed), rng, matches=matches)
            assert (other.value, other.se) == pytest.approx((given.value, given.se), rel=1e-10)


def three_values(seed, n=600):
    """Return 600 rows with one covariate of three values and an effect of 1."""
    rng = np.random.default_rng(seed)
    a = rng.integers(3, size=n).astype(float)
    d = (rng.random(n) < 0.3 + 0.2 * a).astype(float)
    y = a + d + rng.normal(size=n)
    roles = Roles(covariates=("a",))
    return Problem({"y": y, "d": d, "a": a}, roles, (Target(Estimand.ATE),))


def test_one_covariate_of_three_values_makes_cells():
    problem = three_values(1)
    y, d, a = problem.outcome, problem.treatment, problem.columns["a"]
    cells = [
        (np.mean(a == v), y[(a == v) & (d == 1)].mean() - y[(a == v) & (d == 0)].mean())
        for v in range(3)
    ]
    for adjust in (True, False):
        value = FIT(problem, np.random.default_rng(1), adjust=adjust).value
        assert value == pytest.approx(sum(share * effect for share, effect in cells), rel=1e-9)


def test_with_ties_estimates_are_as_precise_as_cells_and_errors_are_honest():
    draws = 300
    fits = [FIT(three_values(seed), np.random.default_rng(1)) for seed in range(draws)]
    values, errors = (np.array([getattr(f, part) for f in fits]) for part in ("value", "se"))
    # the least variance there is: E[1 / p(a) + 1 / (1 - p(a))] / n with errors of variance 1
    p = 0.3 + 0.2 * np.arange(3)
    exact = np.sqrt(np.mean(1 / p + 1 / (1 - p)) / 600)
    assert values.mean() == pytest.approx(1, abs=4 * exact / np.sqrt(draws))
    assert values.std(ddof=1) == pytest.approx(exact, rel=4 / np.sqrt(2 * draws))
    assert errors.mean() == pytest.approx(exact, abs=4 * errors.std() / np.sqrt(draws))


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
