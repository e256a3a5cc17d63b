"""The doubleml adapters of IV: the library called directly, and methods that must agree."""

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

LATE = (Target(Estimand.LATE),)
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def fit(name, problem, seed=1, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(seed), **options)


def problem_of(n=600, **fields):
    scenario = find_scenario("iv/late")(**fields)
    return Problem.of(scenario.draw(n, stream("test", "doubleml")), scenario.roles, LATE)


@pytest.fixture(scope="module")
def plain():
    return problem_of()


@pytest.mark.parametrize("name", ["pliv", "iivm"])
def test_folds_are_handed_over_and_the_answer_is_the_librarys(plain, name):
    from doubleml import DoubleMLData, DoubleMLIIVM, DoubleMLPLIV
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    data = DoubleMLData(plain.frame, "y", "d", ["x"], ["z"])
    strata, mean = np.zeros(600), LinearRegression()
    if name == "pliv":
        model = DoubleMLPLIV(data, mean, mean, mean)
    else:
        logit = LogisticRegression(C=np.inf, max_iter=1000)
        model = DoubleMLIIVM(data, mean, logit, logit)
        strata = plain.treatment + 2 * plain.instruments[:, 0]
    rng = np.random.default_rng(1)
    for _ in range(3):
        rng.integers(2**31)  # the learners' seeds come first
    splitter = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    model.set_sample_splitting([list(splitter.split(strata, strata))])
    direct = model.fit().summary.iloc[0]
    numbers = (direct["coef"], direct["std err"], direct["2.5 %"], direct["97.5 %"])
    given = fit(f"doubleml/{name}", plain)
    assert (given.value, given.se, given.low, given.high) == pytest.approx(numbers, rel=1e-12)
    if name == "iivm":
        ((low, high),) = model.robust_confset()
        robust = fit("doubleml/iivm-robust", plain)
        assert (robust.low, robust.high) == pytest.approx((low, high), rel=1e-12)
        assert robust.low < given.value < robust.high


def test_with_linear_learners_both_are_close_to_two_stage_least_squares(plain):
    other = fit("linearmodels/2sls-robust", plain)
    for name in ("pliv", "iivm"):
        given = fit(f"doubleml/{name}", plain)
        assert given.value == pytest.approx(other.value, abs=0.2 * other.se)
        assert given.se == pytest.approx(other.se, rel=0.1)


def test_several_instruments_and_a_continuous_treatment_go_to_the_partially_linear_model():
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=(2, 800))
    z = rng.normal(size=(2, 800)) + x
    d = z.sum(axis=0) - x + v
    columns = {"y": 2 * d + x + v + rng.normal(size=800), "d": d, "x": x, "z1": z[0], "z2": z[1]}
    roles = Roles(covariates=("x",), instruments=("z1", "z2"))
    problem = Problem(columns, roles, (Target(Estimand.COEFFICIENT),))
    given, other = (fit(name, problem) for name in ("doubleml/pliv", "linearmodels/2sls-robust"))
    assert given.value == pytest.approx(other.value, abs=0.5 * other.se)
    assert given.value == pytest.approx(2, abs=4 * given.se)


def test_weak_instruments_give_unbounded_robust_sets():
    kinds = set()
    for seed in range(6):
        scenario = find_scenario("iv/late")(compliers=0.05)
        drawn = scenario.draw(300, stream("test", "weak", seed))
        problem = Problem.of(drawn, scenario.roles, LATE)
        robust, plain = (fit(name, problem) for name in ("doubleml/iivm-robust", "doubleml/iivm"))
        assert (robust.low <= plain.value <= robust.high) != robust.outside
        kinds.add((robust.outside, bool(np.isinf(robust.low))))
    assert {(True, False), (False, True)} <= kinds


def test_streams_make_folds_and_forests_reproducible():
    problem, answers = problem_of(80), []
    for seed, noise in ((1, 0), (1, 9), (2, 0)):
        np.random.seed(noise)  # the global state must not matter
        answers.append(fit("doubleml/pliv", problem, seed, learner="forest", folds=2).value)
    assert answers[0] == answers[1] != answers[2]


@pytest.mark.parametrize("always", [0.0, 0.5])
def test_a_kind_of_unit_may_be_missing(always):
    problem = problem_of(always=always, compliers=0.5)
    given, other = (fit(name, problem) for name in ("doubleml/iivm", "linearmodels/2sls-robust"))
    assert given.value == pytest.approx(other.value, abs=0.3 * other.se)


def test_unsuitable_data_are_declined_in_words(plain):
    for name in ("doubleml/iivm", "doubleml/iivm-robust"):
        columns = {**plain.columns, "z": plain.columns["z"] + plain.columns["x"]}
        with pytest.raises(Declined, match="zeros and ones"):
            fit(name, Problem(columns, plain.roles, LATE))
        with pytest.raises(Declined, match="fewer rows than 100 folds"):
            fit(name, plain, folds=100)
        still = {**plain.columns, "z": np.ones(600)}
        with pytest.raises(Declined, match="'z' never moves"):
            fit(name, Problem(still, plain.roles, LATE))
    with pytest.raises(ValueError, match="no learner named 'tree'"):
        fit("doubleml/pliv", plain, learner="tree")
