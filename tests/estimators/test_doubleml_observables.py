"""The doubleml adapters of selection on observables: the library called directly, and learners."""

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

pytestmark = pytest.mark.filterwarnings(
    "ignore:The inplace keyword",
    "ignore:The estimated nu2 for d is not positive",
    "ignore:Propensity predictions",
)


def fit(name, problem, seed=1, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(seed), **options)


def problem_of(name, n=400, seed=1, **fields):
    scenario = find_scenario(f"observables/{name}")(**fields)
    draw = scenario.draw(n, np.random.default_rng(seed))
    return Problem.of(draw, scenario.assigned_roles(), scenario.targets())


@pytest.mark.parametrize(
    ("name", "scenario"), [("plr", "plr"), ("irm", "heterogeneous"), ("irm", "heterogeneous-att")]
)
def test_folds_and_seeds_are_handed_over_and_the_answer_is_the_librarys(name, scenario):
    from doubleml import DoubleMLData, DoubleMLIRM, DoubleMLPLR
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.model_selection import StratifiedKFold

    problem, rng = problem_of(scenario, 200), np.random.default_rng(1)
    data = DoubleMLData(problem.frame, "y", "d", list(problem.roles.covariates))
    seeds = [int(rng.integers(2**31)) for _ in range(3)]
    kept = {"n_estimators": 100, "max_features": 0.5, "max_depth": 5, "min_samples_leaf": 2}
    first = RandomForestRegressor(**kept, random_state=seeds[0])
    strata = np.zeros(200) if name == "plr" else problem.treatment
    if name == "plr":
        model = DoubleMLPLR(data, first, RandomForestRegressor(**kept, random_state=seeds[1]))
    else:
        score = "ATTE" if scenario.endswith("att") else "ATE"
        second = RandomForestClassifier(**kept, random_state=seeds[1])
        model = DoubleMLIRM(data, first, second, score=score)
    splitter = StratifiedKFold(2, shuffle=True, random_state=seeds[2])
    model.set_sample_splitting([list(splitter.split(strata, strata))])
    direct = model.fit().summary.iloc[0]
    numbers = (direct["coef"], direct["std err"], direct["2.5 %"], direct["97.5 %"])
    given = fit(f"doubleml/{name}", problem, learner="forest", folds=2)
    assert (given.value, given.se, given.low, given.high) == pytest.approx(numbers, rel=1e-12)


@pytest.mark.parametrize("clip", [0.01, 0.25])
def test_propensities_are_cut_where_it_is_asked_for_by_hand(clip):
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    problem, rng = problem_of("heterogeneous", 400), np.random.default_rng(1)
    y, d, x = problem.outcome, problem.treatment, problem.covariates
    seeds = [int(rng.integers(2**31)) for _ in range(3)]
    folds = StratifiedKFold(5, shuffle=True, random_state=seeds[2])
    p, m = np.empty(400), np.empty((2, 400))
    for train, test in folds.split(x, d):
        logit = LogisticRegression(C=np.inf, max_iter=1000).fit(x[train], d[train])
        p[test] = logit.predict_proba(x[test])[:, 1]
        for arm in (0, 1):
            own = train[d[train] == arm]
            m[arm, test] = LinearRegression().fit(x[own], y[own]).predict(x[test])
    assert np.mean((p < 0.25) | (p > 0.75)) > 0.1
    p = np.clip(p, clip, 1 - clip)
    scores = m[1] - m[0] + d * (y - m[1]) / p - (1 - d) * (y - m[0]) / (1 - p)
    given = fit("doubleml/irm", problem, clip=clip)
    expected = (scores.mean(), scores.std() / np.sqrt(400))
    assert (given.value, given.se) == pytest.approx(expected, rel=1e-6)


def test_lassos_leave_out_what_does_not_matter_and_predict_better_than_without_a_penalty():
    from sklearn.metrics import log_loss

    from cibench.estimators._learners import classifier, regressor

    rng = np.random.default_rng(5)
    x = rng.normal(size=(1200, 40))
    d = (rng.random(1200) < 1 / (1 + np.exp(-1.5 * x[:, 0]))).astype(int)
    y = x[:, 0] + rng.normal(size=1200)
    fits = {name: classifier(name, 1).fit(x[:200], d[:200]) for name in ("lasso", "linear")}
    losses = {n: log_loss(d[200:], f.predict_proba(x[200:])[:, 1]) for n, f in fits.items()}
    assert losses["lasso"] < losses["linear"] - 0.05
    for lasso in (fits["lasso"], regressor("lasso", 1).fit(x[:200], y[:200])):
        picked = np.ravel(lasso.coef_) != 0
        assert picked[0] and picked[1:].mean() < 0.6


def test_the_global_state_does_not_matter_and_the_stream_does():
    problem, answers = problem_of("heterogeneous", 120), []
    for seed, noise in ((1, 0), (1, 9), (2, 0)):
        np.random.seed(noise)
        answers.append(fit("doubleml/irm", problem, seed, learner="boosting", folds=2).value)
    assert answers[0] == answers[1] != answers[2]


def test_with_linear_learners_they_are_close_to_their_linear_twins():
    problem = problem_of("plr", 1000)
    given, other = fit("doubleml/plr", problem), fit("statsmodels/ols", problem)
    assert given.value == pytest.approx(other.value, abs=0.3 * other.se)
    assert given.se == pytest.approx(other.se, rel=0.1)
    for name in ("heterogeneous", "heterogeneous-att"):
        problem = problem_of(name, 2000)
        given, other = fit("doubleml/irm", problem), fit("aipw/linear", problem)
        assert given.value == pytest.approx(other.value, abs=0.4 * other.se)


@pytest.mark.parametrize("learner", ["lasso", "forest", "boosting"])
def test_every_learner_finds_the_truth_within_its_error(learner):
    for name, scenario, truth in (("plr", "plr", 0.5), ("irm", "neighbours", 1.0)):
        given = fit(f"doubleml/{name}", problem_of(scenario), learner=learner, folds=3)
        assert given.value == pytest.approx(truth, abs=4 * given.se)
        assert 0.02 < given.se < 0.3


def test_trees_find_a_wave_that_lines_do_not_see():
    problem = problem_of("plr", 800, roughness=1.0)
    line, trees = (fit("doubleml/plr", problem, learner=l) for l in ("linear", "boosting"))  # noqa: E741
    assert line.value - 0.5 == pytest.approx(0.5, abs=4 * line.se)
    assert trees.value - 0.5 < 0.35


@pytest.mark.parametrize("learner", ["linear", "lasso"])
def test_a_mean_under_missing_outcomes_is_the_irms_effect_of_being_seen(learner):
    problem = problem_of("nonresponse")
    given, other = fit("doubleml/irm", problem, learner=learner), fit("aipw/linear", problem)
    assert given.value == pytest.approx(other.value, abs=0.5 * other.se)
    assert given.value == pytest.approx(10, abs=4 * given.se)


def test_a_lasso_takes_more_covariates_than_rows_and_lines_do_not():
    problem = problem_of("sparse", 80)
    given = fit("doubleml/plr", problem, learner="lasso", folds=2)
    assert np.isfinite([given.value, given.se]).all()
    with pytest.raises(Declined, match="80 rows are too few for 100 covariates"):
        fit("doubleml/plr", problem)


def test_unsuitable_data_are_declined_in_words():
    problem = problem_of("heterogeneous", 100)
    c, asked = problem.columns, (Target(Estimand.ATE),)
    for change, options, words in (
        ({"d": c["x1"]}, {}, "zeros and ones"),
        ({"d": np.ones(100)}, {}, "never changes"),
        ({"d": np.eye(100)[0] + np.eye(100)[1]}, {}, "2 rows of one arm are too few for 5 folds"),
    ):
        with pytest.raises(Declined, match=words):
            fit("doubleml/irm", Problem({**c, **change}, problem.roles, asked), **options)
    with pytest.raises(Declined, match="100 rows are too few for 80 folds"):
        fit("doubleml/plr", problem, folds=80)
    with pytest.raises(ValueError, match="no learner named 'tree'; there are linear, lasso"):
        fit("doubleml/plr", problem, learner="tree")
    with pytest.raises(ValueError, match="folds = 1"):
        fit("doubleml/plr", problem, folds=1)
