"""Estimands: values against brute force and closed forms, names, families, definitions."""

import math
import pickle

import numpy as np
import pytest

from cibench import Draw, Estimand, Estimate, Target, estimator, find_scenario
from cibench.contracts.common import small_draw
from cibench.metrics.scales import back, onto
from cibench.model.estimands import BUILT_IN, named


def outcomes(seed=1, size=4_000):
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 1.0, size), rng.gamma(3.0, 1.0, size), rng.random(size)


def brute_quantile(values, weights, q):
    pairs = sorted(zip(values, weights, strict=True))
    total, reached = sum(weights), 0.0
    for value, weight in pairs:
        reached += weight
        if reached >= q * total * (1 - 1e-12):
            return value
    return pairs[-1][0]


def test_values_are_those_of_brute_force():
    treated, untreated, weights = outcomes()
    one, other = (np.average(v, weights=weights) for v in (treated, untreated))
    events = (treated < 2).astype(float), (untreated < 2).astype(float)
    p, q = (np.average(e, weights=weights) for e in events)
    expected = {
        Estimand.ATE: one - other, Estimand.LIFT: 100 * (one / other - 1),
        Estimand.RMST_DIFFERENCE(1.5): sum(
            w * (min(a, 1.5) - min(b, 1.5))
            for a, b, w in zip(treated, untreated, weights, strict=True)
        ) / weights.sum(),
        Estimand.QTE(0.9): brute_quantile(treated, weights, 0.9)
        - brute_quantile(untreated, weights, 0.9),
    }  # fmt: skip
    for estimand, value in expected.items():
        assert estimand.value_of(treated, untreated, weights) == pytest.approx(value, rel=1e-12)
    assert Estimand.RISK_RATIO.value_of(*events, weights) == pytest.approx(p / q)
    assert Estimand.ODDS_RATIO.value_of(*events, weights) == pytest.approx(
        p / (1 - p) / (q / (1 - q))
    )


def test_equal_weights_are_none():
    treated, untreated, _ = outcomes()
    same = np.full(treated.size, 0.25)
    for estimand in map(Estimand, BUILT_IN):
        if estimand.definition.functional is None:
            continue
        member = estimand(*(0.5 for _ in estimand.definition.parameters or ())) if (
            estimand.definition.parameters
        ) else estimand  # fmt: skip
        with_ = member.value_of(treated, untreated, same)
        assert with_ == pytest.approx(member.value_of(treated, untreated), rel=1e-9), member


@pytest.mark.parametrize("beta", [-1.0, 0.0, 0.7])
def test_the_log_hazard_ratio_of_proportional_hazards_is_their_own(beta):
    points = (np.arange(100_000) + 0.5) / 100_000
    exponential = -np.log1p(-points)
    assert Estimand.LOG_HAZARD_RATIO.value_of(
        exponential * math.exp(-beta), exponential
    ) == pytest.approx(beta, abs=1e-5)


def test_the_log_hazard_ratio_is_coxs_also_with_ties():
    sm = pytest.importorskip("statsmodels.duration.hazard_regression")
    rng = np.random.default_rng(3)
    treated = np.round(rng.exponential(1.3, 300), 1)
    untreated = np.round(rng.exponential(1.0, 300) ** 1.4, 1)
    d = np.repeat([1.0, 0.0], 300)
    times = np.concatenate([treated, untreated]) + 0.1
    fit = sm.PHReg(times, d[:, None], ties="breslow").fit()
    mine = Estimand.LOG_HAZARD_RATIO.value_of(treated + 0.1, untreated + 0.1)
    assert mine == pytest.approx(float(fit.params[0]), abs=1e-6)


def test_names_are_texts_and_there_is_one_object_of_each():
    assert Estimand("QTE(0.9)") is Estimand.QTE(0.9) and Estimand.QTE(0.9).arguments == (0.9,)
    assert pickle.loads(pickle.dumps(Estimand.QTE(0.9))) is Estimand.QTE(0.9)
    assert Estimand("ATT") is Estimand.ATT and f"{Estimand.ATT}" == "ATT"
    assert Estimand.QTE(0.9).family is Estimand.QTE
    assert "0.9-quantile" in Estimand.QTE(0.9).words
    assert named("SOMETHING_ELSE(2)").family == "SOMETHING_ELSE"
    with pytest.raises(ValueError, match="did you mean 'ATT'"):
        Estimand("ATTE")
    for wrong in ("QTE(a)", "QTE()", "QTE(1,2)", "ATE(1)", "QTE(nan)"):
        with pytest.raises(ValueError, match=r"estimand|takes|number"):
            Estimand(wrong)


def test_a_definition_is_given_once():
    def ratio(treated, untreated, weights):
        return np.median(treated) / np.median(untreated)

    facts = {"unit": "ratio", "null": 1.0, "scale": "log", "functional": ratio}
    one = Estimand.define("TEST_RATIO", "a ratio", **facts)
    assert Estimand.define("TEST_RATIO", "a ratio", **facts) is one
    with pytest.raises(ValueError, match="defined already"):
        Estimand.define("TEST_RATIO", "another", **facts)
    with pytest.raises(ValueError, match="no name"):
        Estimand.define("test ratio", "a ratio")
    with pytest.raises(ValueError, match="logarithm"):
        Estimand.define("TEST_NONE", "a ratio", scale="log")


@pytest.mark.parametrize("scale", [None, "log", "log from 2", "from 1", "from -3"])
def test_scales_go_there_and_back_and_no_effect_is_zero(scale):
    values = np.array([0.5, 1.0, 2.0, 40.0])
    there = onto(scale)(values)
    assert [back(scale)(x) for x in there] == pytest.approx(values.tolist())
    null = {None: 0.0, "log": 1.0, "log from 2": 2.0, "from 1": 1.0, "from -3": -3.0}[scale]
    assert onto(scale)(np.array([null]))[0] == 0


def test_limits_are_symmetric_on_the_scale():
    answer = Estimate.on_scale(2.0, 0.3, 0.9, Estimand.RISK_RATIO, df=7)
    plain = Estimate.wald(math.log(2.0), 0.3, 0.9, df=7)
    assert [math.log(answer.low), math.log(answer.high)] == pytest.approx([plain.low, plain.high])
    assert Estimate.on_scale(2.0, 0.3, 0.9, Estimand.ATE).low == Estimate.wald(2.0, 0.3, 0.9).low


def test_a_draw_of_arms_feels_its_own_arm():
    arms = {0: np.zeros(4), 1: np.arange(4.0), 2: 2 * np.arange(4.0)}
    d = np.array([0, 1, 2, 2])
    draw = Draw.of_arms({"y": np.choose(d, list(arms.values())), "d": d}, arms)
    assert (draw.baseline + draw.felt).tolist() == [0.0, 1.0, 4.0, 6.0]
    assert draw.value(Target(Estimand.ATE, contrast=(2, 1))) == 1.5
    with pytest.raises(ValueError, match="an arm without outcomes: 7"):
        Draw.of_arms({"y": np.zeros(4), "d": np.array([0, 1, 2, 7])}, arms)


def test_weights_are_a_target():
    effects, weights = np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.25, 0.75])
    draw = Draw({}, np.zeros(3), effects, target=weights)
    assert draw.value(Target(Estimand.ATO)) == 3.5


def test_who_answers_a_family_or_by_group_says_so():
    def fit(problem, rng):
        return Estimate(0.0)

    family = estimator("test/family", targets=(Estimand.RMST_DIFFERENCE,), gives=("value",))(fit)
    survival, trial = find_scenario("survival/weibull")(), find_scenario("arms/trial")()
    assert [str(t) for t in family.targets_of(survival)] == ["RMST_DIFFERENCE(1)"]
    plain = estimator("test/plain", targets=(Estimand.ATE,), gives=("value",))(fit)
    assert "not ATE by contrast" in plain.declines(trial)
    by = estimator("test/by", targets=(Estimand.ATE,), by=("contrast",), gives=("value",))(fit)
    assert {t.group for t in by.targets_of(trial)} == {None} and len(by.targets_of(trial)) == 4
    with pytest.raises(ValueError, match="did you mean 'group'"):
        estimator("test/near", targets=(Estimand.ATE,), by=("groups",))(fit)


@pytest.mark.parametrize("name", ["binary/logistic", "survival/weibull", "arms/trial"])
def test_truths_of_scenarios_are_the_functionals_of_their_draws(name):
    scenario = find_scenario(name)()
    draws = [small_draw(scenario, 40_000, k) for k in range(20)]
    for target, truth in scenario.truth().items():
        values = np.array([draw.value(target) for draw in draws])
        error = values.std(ddof=1) / np.sqrt(values.size)
        assert abs(values.mean() - truth) < 4.5 * error + 1e-9, target
