"""The doubleml adapters against the library called directly and against the doubly robust route."""

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

ATT = Target(Estimand.ATT)
pytestmark = pytest.mark.filterwarnings(
    "ignore:The inplace keyword", "ignore:No pre-treatment periods:UserWarning"
)


def fit(name, problem, seed=1, **options):
    return find_estimator(f"doubleml/{name}").fit(problem, np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def two():
    scenario = find_scenario("did/sant-anna-zhao-1")()
    draw = scenario.draw(1000, stream("test", "doubleml"))
    return Problem.of(draw, scenario.assigned_roles(), (ATT,))


@pytest.fixture(scope="module")
def counties():
    import moderndid

    panel = moderndid.load_mpdta().to_pandas()
    names = {"y": "lemp", "time": "year", "unit": "countyreal", "cohort": "first.treat"}
    columns = {key: panel[name].to_numpy() for key, name in {**names, "x": "lpop"}.items()}
    treated = (columns["cohort"] > 0) & (columns["time"] >= columns["cohort"])
    roles = Roles(unit="unit", time="time", cohort="cohort", covariates=("x",))
    targets = (ATT, Target(Estimand.ATT, 0), Target(Estimand.ATT, 1))
    return Problem({**columns, "d": treated.astype(float)}, roles, targets)


def test_folds_are_handed_over_and_the_answer_is_the_librarys(two):
    from doubleml import DoubleMLPanelData
    from doubleml.did import DoubleMLDIDBinary
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    covariates = ["z1", "z2", "z3", "z4"]
    data = DoubleMLPanelData(two.frame, "y", "cohort", "time", "unit", covariates)
    logit = LogisticRegression(C=np.inf, max_iter=1000)
    model = DoubleMLDIDBinary(data, 1, 0, 1, LinearRegression(), logit)
    rng = np.random.default_rng(1)
    rng.integers(2**31)  # the learners' seed comes first
    group = two.columns["cohort"][::2]
    splitter = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    model.set_sample_splitting([list(splitter.split(np.zeros(group.size), group))])
    direct = model.fit().summary.iloc[0]
    given = fit("did", two)
    numbers = (direct["coef"], direct["std err"], direct["2.5 %"], direct["97.5 %"])
    assert (given.value, given.se, given.low, given.high) == pytest.approx(numbers, rel=1e-12)


def test_with_linear_learners_it_is_close_to_the_doubly_robust_estimate(two, counties):
    plain = find_estimator("drdid/dr").fit(two, None)
    for name in ("did", "did-multi"):
        given = fit(name, two)
        given = given[ATT] if name == "did-multi" else given
        assert given.value == pytest.approx(plain.value, abs=0.5 * plain.se)
        assert given.se == pytest.approx(plain.se, rel=0.1)
    other = find_estimator("did/att-gt-dr").fit(counties, np.random.default_rng(1))
    multi = fit("did-multi", counties)
    assert multi[ATT].value == pytest.approx(other.value, abs=0.3 * other.se)
    assert multi[ATT].se == pytest.approx(other.se, rel=0.15)
    study = find_estimator("did/att-gt-dynamic").fit(counties, np.random.default_rng(1))
    for k in (0, 1):
        target = Target(Estimand.ATT, k)
        one = study[target]  # without the covariate, which hardly matters here
        assert multi[target].value == pytest.approx(one.value, abs=1.5 * one.se)


def test_streams_make_folds_and_forests_reproducible(two):
    small = two.columns["unit"] < 200
    few = Problem({k: c[small] for k, c in two.columns.items()}, two.roles, (ATT,))
    answers = []
    for seed, noise in ((1, 0), (1, 9), (2, 0)):
        np.random.seed(noise)  # the global state must not matter
        answers.append(fit("did", few, seed, learner="forest", folds=2).value)
    assert answers[0] == answers[1] != answers[2]


@pytest.mark.parametrize("name", ["did", "did-multi"])
def test_unsuitable_data_are_declined_in_words(two, counties, name):
    nobody = Problem({**two.columns, "cohort": 0 * two.columns["unit"]}, two.roles, (ATT,))
    with pytest.raises(Declined, match="nobody adopts"):
        fit(name, nobody)
    with pytest.raises(Declined, match="fewer than 900 units"):
        fit(name, two, folds=900)
    if name == "did":
        with pytest.raises(Declined, match="two periods and one cohort"):
            fit(name, counties)


@pytest.mark.parametrize("name", ["doubleml/did", "doubleml/did-multi"])
def test_units_that_miss_periods_are_named_or_left_out_with_a_warning(name):
    scenario = find_scenario("quirks/two-period")(missing="unbalanced")
    method = find_estimator(name)
    drawn = scenario.draw(200, np.random.default_rng(1))
    given = Problem.of(drawn, scenario.assigned_roles(), method.targets_of(scenario))
    whole = given.columns["unit"] % 5 != 4
    columns = {k: column[whole] for k, column in given.columns.items()}
    complete = Problem(columns, given.roles, given.targets)

    def fit(problem, **options):
        answer = method.fit(problem, np.random.default_rng(2), **options)
        return next(iter(answer.values())) if isinstance(answer, dict) else answer

    with pytest.raises(Declined, match=r"a balanced panel: 40 units \(4, 9, 14, 19, \.\.\.\) miss"):
        fit(given)
    with pytest.warns(UserWarning, match="left out: 40 units"):
        dropped = fit(given, unbalanced="drop")
    assert (dropped.value, dropped.se) == (fit(complete).value, fit(complete).se)
    with pytest.raises(ValueError, match="unbalanced = 'rows' is none of decline, drop"):
        fit(given, unbalanced="rows")
