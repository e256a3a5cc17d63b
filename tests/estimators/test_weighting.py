"""Weights and AIPW: by hand, against `statsmodels`, and errors against the jackknife."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from cibench import (
    Declined,
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)

NAMES = ("ipw/horvitz-thompson", "ipw/normalised", "aipw/linear")
ROLES = Roles(covariates=("a", "b"))


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(1), **options)


def problem_of(n, estimand=Estimand.ATE, seed=3, shift=0.0):
    rng = np.random.default_rng(seed)
    a, b, e = rng.normal(size=(3, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-0.3 - 0.8 * a + 0.5 * b))).astype(float)
    y = shift + a + b + d * (1 + a) + e
    if estimand is Estimand.MEAN:
        y = y * d
    return Problem({"y": y, "d": d, "a": a, "b": b}, ROLES, (Target(estimand),))


def taking(problem, rows):
    columns = {name: column[rows] for name, column in problem.columns.items()}
    return Problem(columns, problem.roles, problem.targets)


def by_hand(problem):
    """Return the three estimates from their definitions, with scikit-learn's nuisance fits."""
    y, d, x = problem.outcome, problem.treatment, problem.covariates
    p = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, d).predict_proba(x)[:, 1]
    m1, m0 = (LinearRegression().fit(x[d == a], y[d == a]).predict(x) for a in (1, 0))
    if problem.targets[0].estimand is Estimand.ATT:
        odds = (1 - d) * p / (1 - p)
        treated, n1 = y[d == 1].mean(), d.sum()
        doubly = ((d * (y - m0)) - odds * (y - m0)).sum() / n1
        return treated - odds @ y / n1, treated - odds @ y / odds.sum(), doubly
    one, zero = d / p, (1 - d) / (1 - p)
    return (
        np.mean(one * y - zero * y), one @ y / one.sum() - zero @ y / zero.sum(),
        np.mean(m1 - m0 + one * (y - m1) - zero * (y - m0)),
    )  # fmt: skip


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
def test_estimates_are_those_of_the_definitions(estimand):
    problem = problem_of(500, estimand)
    found = [fit(name, problem).value for name in NAMES]
    assert found == pytest.approx(by_hand(problem), abs=1e-5)


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_are_those_of_the_influences_found_by_brute_force(name, estimand):
    # each row 100 times, and one of them once more: what that changes is the row's influence
    n, times = 40, 100
    problem, rows = problem_of(n, estimand, seed=8), np.repeat(np.arange(n), times)
    value = fit(name, problem).value
    changed = np.array([fit(name, taking(problem, np.append(rows, i))).value for i in range(n)])
    influence = (changed - value) * (n * times + 1)
    assert fit(name, problem).se == pytest.approx(np.sqrt(np.sum(influence**2)) / n, rel=0.01)


@pytest.mark.parametrize("name", NAMES[1:])
def test_normalised_weights_do_not_care_where_the_outcomes_zero_is(name):
    near, far = (fit(name, problem_of(500, shift=shift)) for shift in (0, 1000))
    assert (far.value, far.se) == pytest.approx((near.value, near.se), abs=1e-7)
    plain = [fit(NAMES[0], problem_of(500, shift=shift)).se for shift in (0, 1000)]
    assert plain[1] > 10 * plain[0]


@pytest.mark.parametrize(("name", "library"), [(NAMES[1], "ipw"), (NAMES[2], "aipw")])
def test_they_agree_with_statsmodels_where_it_has_an_answer(name, library):
    problem = problem_of(500)
    ours, theirs = fit(name, problem), fit(f"statsmodels/{library}", problem)
    assert (ours.value, ours.se) == pytest.approx((theirs.value, theirs.se), rel=1e-5)


def test_a_mean_under_missing_outcomes_asks_nothing_of_those_missing():
    problem = problem_of(400, Estimand.MEAN)
    y, d, x = problem.outcome, problem.treatment, problem.covariates
    p = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, d).predict_proba(x)[:, 1]
    m = LinearRegression().fit(x[d == 1], y[d == 1]).predict(x)
    assert fit("aipw/linear", problem).value == pytest.approx(
        np.mean(m + d / p * (y - m)), abs=1e-5
    )
    assert fit("ipw/normalised", problem).value == pytest.approx(
        (d / p) @ y / (d / p).sum(), abs=1e-5
    )


def test_trimming_drops_rows_and_starts_anew():
    problem = problem_of(400)
    d, x = problem.treatment, problem.covariates
    p = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, d).predict_proba(x)[:, 1]
    kept = (p >= 0.2) & (p <= 0.8)
    inside = taking(problem, kept)
    given, other = fit("ipw/trimmed", problem, threshold=0.2), fit("ipw/normalised", inside)
    assert 0.2 < kept.mean() < 0.95
    assert (given.value, given.se) == (other.value, other.se)
    assert fit("ipw/trimmed", problem, threshold=0.0).value == fit("ipw/normalised", problem).value
    with pytest.raises(Declined, match="no overlap"):
        fit("ipw/trimmed", problem, threshold=0.499)
    with pytest.raises(ValueError, match="not between 0 and"):
        fit("ipw/trimmed", problem, threshold=0.7)


def test_unless_it_is_said_propensities_are_trimmed_at_a_tenth():
    """The rule of thumb of Crump and others (2009), section 5."""
    problem = problem_of(800)
    default = fit("ipw/trimmed", problem).value
    assert default == fit("ipw/trimmed", problem, threshold=0.1).value
    assert default != fit("ipw/trimmed", problem, threshold=0.05).value


@pytest.mark.parametrize("name", [*NAMES, "statsmodels/ipw", "statsmodels/aipw"])
def test_small_propensities_are_answered_and_only_certain_ones_declined(name):
    rng, n = np.random.default_rng(3), 4000
    a, b, e = rng.normal(size=(3, n))
    index = -1 + 2 * a
    d = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    problem = Problem({"y": a + d + e, "d": d, "a": a, "b": b}, ROLES, (Target(Estimand.ATE),))
    p = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    p = p.fit(problem.covariates, d).predict_proba(problem.covariates)[:, 1]
    assert 1e-6 < p.min() < 1e-3
    given = fit(name, problem)
    assert np.isfinite([given.value, given.se]).all()


def test_with_either_model_right_the_doubly_robust_mean_is_right():
    rng, n = np.random.default_rng(5), 50_000
    a, b, e = rng.normal(size=(3, n))
    for wrong in ("outcome", "propensity"):
        bent = 0.8 * (a**2 - 1)
        index = 0.5 * a + (bent / 2 if wrong == "propensity" else 0)
        d = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
        y = d * (1 + a) + b + e + (d * bent if wrong == "outcome" else 0)
        problem = Problem({"y": y, "d": d, "a": a, "b": b}, ROLES, (Target(Estimand.ATE),))
        robust = fit("aipw/linear", problem)
        assert robust.value == pytest.approx(1, abs=4 * robust.se)
        relying = fit("regression/by-arm" if wrong == "outcome" else "ipw/normalised", problem)
        assert abs(relying.value - 1) > 5 * relying.se


@pytest.mark.parametrize("name", [*NAMES, "ipw/trimmed", "statsmodels/ipw", "statsmodels/aipw"])
def test_unsuitable_data_are_declined_in_words(name):
    problem = problem_of(200)
    c = problem.columns
    for change, words in (
        ({"d": np.ones(200)}, "never changes: it is 1 in all rows"),
        ({"d": c["a"]}, "zeros and ones"),
        ({"d": (c["a"] > 0).astype(float)}, "no overlap: the covariates all but determine"),
        ({"b": 2 * c["a"] + 1}, "the covariates are collinear"),
        ({"b": np.where(c["a"] > 1, np.nan, c["b"])}, "column 'b' has missing"),
    ):
        with pytest.raises(Declined, match=words):
            fit(name, Problem({**c, **change}, ROLES, problem.targets))
    with pytest.raises(Declined, match="4 rows are too few for 2 covariates"):
        fit(
            name,
            taking(problem, [*np.flatnonzero(c["d"] == 1)[:2], *np.flatnonzero(c["d"] == 0)[:2]]),
        )


def test_rows_of_a_panel_are_declined():
    scenario = find_scenario("did/two-period")()
    problem = Problem.of(
        scenario.draw(100, np.random.default_rng(1)), scenario.roles, scenario.targets()
    )
    with pytest.raises(Declined, match="no cross-section"):
        fit("aipw/linear", problem)


def test_extreme_propensities_give_a_finite_answer_or_a_reason():
    scenario = find_scenario("observables/irm")(overlap=0.001)
    answers = []
    for seed in range(30):
        draw = scenario.draw(60, np.random.default_rng(seed))
        problem = Problem.of(draw, scenario.roles, scenario.targets())
        for name in NAMES:
            try:
                given = fit(name, problem)
            except Declined as declined:
                answers.append(str(declined).split(":")[0])
            else:
                assert np.isfinite([given.value, given.se]).all()
                answers.append("answered")
    assert {"no overlap"} <= set(answers)
