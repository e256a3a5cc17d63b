"""Pooling estimators against regressions, a likelihood and what they must do at the extremes."""

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
from cibench.estimators import pooling
from cibench.model.streams import stream

ASKED = (Target(Estimand.SATE),)
Cold = find_scenario("business/cold-start")


def drawn(n=12, replicate=0, **fields):
    draw = Cold(**fields).draw(n, stream("test", "pooling", replicate))
    return Problem.of(draw, Cold.roles, ASKED)


def fit(name, problem, **options):
    return find_estimator(f"pooling/{name}").fit(problem, None, **options)


def test_no_pooling_is_the_new_stores_difference_in_means():
    problem = drawn()
    own = problem.columns["new"] == 1
    y, d = problem.outcome[own], problem.treatment[own]
    given = fit("none", problem)
    assert given.value == pytest.approx(y[d == 1].mean() - y[d == 0].mean())
    parts = [y[d == k].var(ddof=1) / (d == k).sum() for k in (0, 1)]
    assert given.se == pytest.approx(np.sqrt(sum(parts)))


def test_complete_pooling_is_least_squares_with_a_constant_for_every_store():
    problem = drawn(spread=0.5)
    store, d, y = problem.columns["store"], problem.treatment, problem.outcome
    design = np.column_stack([d, store[:, None] == np.unique(store)])
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    given = fit("complete", problem)
    assert given.value == pytest.approx(beta[0])
    interacted = np.column_stack([design[:, 1:], design[:, 1:] * d[:, None]])
    rest = y - interacted @ np.linalg.lstsq(interacted, y, rcond=None)[0]
    sigma2 = rest @ rest / (y.size - interacted.shape[1])
    unscaled = np.linalg.inv(design.T @ design)[0, 0]
    assert given.se == pytest.approx(np.sqrt(sigma2 * unscaled))


def test_partial_pooling_is_the_posterior_under_the_prior_that_balances_q():
    from scipy.optimize import brentq

    problem = drawn(40, spread=0.4)
    found = pooling.slopes(problem)
    effect, variance = np.delete(found.effect, found.own), np.delete(found.variance, found.own)

    def q(spread):
        w = 1 / (variance + spread)
        return (w * (effect - w @ effect / w.sum()) ** 2).sum() - (effect.size - 1)

    tau2 = brentq(q, 0, 10)  # Paule and Mandel (1982)
    w = 1 / (variance + tau2)
    prior = np.array([w @ effect / w.sum(), tau2 + 1 / w.sum()])
    own = found.effect[found.own], found.variance[found.own]
    precision = 1 / prior[1] + 1 / own[1]
    given = fit("partial", problem)
    value = (prior[0] / prior[1] + own[0] / own[1]) / precision
    assert (given.value, given.se) == pytest.approx((value, precision**-0.5), rel=1e-3)
    assert np.sqrt(tau2) == pytest.approx(0.4, rel=4 / np.sqrt(2 * 39) + 0.05)


def test_diagnostics_are_cochrans_q_and_the_priors_predictive_by_hand():
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm

    problem = drawn(9, spread=0.15, gap=0.2, history=100)
    units = pooling.slopes(problem)
    effect, variance = np.delete(units.effect, units.own), np.delete(units.variance, units.own)
    assert effect.size == 8

    def q(spread):
        w = 1 / (variance + spread)
        return (w * (effect - w @ effect / w.sum()) ** 2).sum()

    given = fit("heterogeneity", problem)
    assert given.statistic == pytest.approx(q(0.0), rel=1e-9)
    assert given.p_value == pytest.approx(chi2.sf(q(0.0), 7), rel=1e-9)
    assert 0.001 < given.p_value < 0.9
    tau2 = brentq(lambda spread: q(spread) - 7, 0, 10)
    w = 1 / (variance + tau2)
    # a new unit's effect scatters by tau, the mean by its error, the own effect by its error
    sd = np.sqrt(tau2 + 1 / w.sum() + units.variance[units.own])
    z = (units.effect[units.own] - w @ effect / w.sum()) / sd
    given = fit("conflict", problem)
    assert given.statistic == pytest.approx(z, rel=1e-3)
    assert given.p_value == pytest.approx(2 * norm.sf(abs(z)), rel=1e-2)


def test_partial_pooling_agrees_with_a_mixed_model():
    import warnings

    import statsmodels.api as sm

    problem = drawn(40, spread=0.4, history=60)
    store, d, y = problem.columns["store"], problem.treatment, problem.outcome
    within = [c - (np.bincount(store, c) / np.bincount(store))[store] for c in (y, d)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixed = sm.MixedLM(within[0], within[1], store, exog_re=within[1]).fit(reml=True)
    shrunk = mixed.fe_params[0] + mixed.random_effects[0].iloc[0]
    given = fit("partial", problem)
    # the mixed model lets the new store speak for the prior too: 1 of 40
    assert given.value == pytest.approx(shrunk, abs=0.15 * given.se)


def test_pooling_helps_at_the_default_and_hurts_where_the_new_store_is_another_kind():
    def rmse(name, **fields):
        values = [fit(name, drawn(20, k, **fields)).value - 0.5 for k in range(60)]
        return np.sqrt(np.mean(np.square(values)))

    assert rmse("partial") < 0.5 * rmse("none")
    assert rmse("partial", gap=1.0) > 1.5 * rmse("none", gap=1.0)


@pytest.mark.parametrize("name", ["none", "complete", "partial", "heterogeneity", "conflict"])
def test_unsuitable_data_are_declined_in_words(name):
    problem = drawn()

    def changed(**columns):
        return Problem({**problem.columns, **columns}, problem.roles, ASKED)

    new = problem.columns["new"] == 1
    with pytest.raises(Declined, match="no single unit is marked"):
        fit(name, changed(new=np.zeros(new.size)))
    with pytest.raises(Declined, match="no single unit is marked"):
        fit(name, changed(new=np.ones(new.size)))
    for only in (0.0, 1.0):
        with pytest.raises(Declined, match="the unit of interest has"):
            fit(name, changed(d=np.where(new, only, problem.treatment)))


def test_too_few_relatives_say_nothing_of_the_spread():
    with pytest.raises(Declined, match="2 related units to learn from"):
        fit("partial", drawn(3))


def test_diagnostics_see_what_they_test_and_hold_their_size():
    rounds = 200
    for name, broken in (("heterogeneity", {"spread": 0.5}), ("conflict", {"gap": 3.0})):
        sound = [fit(name, drawn(15, k, history=60)).passed for k in range(rounds)]
        assert np.mean(sound) == pytest.approx(0.95, abs=3 * np.sqrt(0.0475 / rounds))
        assert np.mean([fit(name, drawn(15, k, **broken)).passed for k in range(20)]) < 0.1
