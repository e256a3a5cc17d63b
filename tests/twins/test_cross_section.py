"""Cross-sections of a twin: what each dial does, by the numbers that it is stated in."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import logit

from cibench import Estimand, Target
from cibench.twins.cross_section import Noise, _take_up, rebuild, reconstruct, rule
from cibench.twins.fit.structure import local_jump
from cibench.twins.scenario import truths_of

ROWS = 200_000


def drawn(twin, *dials):
    """Return rows of the same noise at rest and at each setting."""
    noise = Noise.draw(twin, ROWS, np.random.default_rng(3))
    return noise, *(rebuild(twin, noise, 1.0, at) for at in ({}, *dials))


def test_who_stands_at_the_cutoff_is_treated_from_there_on(twin_of):
    twin, x = twin_of("rd"), np.array([4.999, 5.0, 5.001])
    assert rule(twin, x).tolist() == [0, 1, 1]
    below = replace(twin, design=replace(twin.design, side="below"))
    assert rule(below, x).tolist() == [1, 0, 0]


def test_dials_of_a_discontinuity_do_what_they_say(twin_of):
    twin = twin_of("rd")
    noise, rest, other, sorted_, seen = drawn(
        twin, {"policy": 0.3}, {"sorting": 0.2, "reach": 0.5}, {"error": 0.25}
    )
    sd, x, d = twin.structure.sd, rest.columns["x"], rest.columns["d"]
    assert np.allclose(other.columns["y"] - rest.columns["y"], 0.3 * sd * d)
    crossed = sorted_.columns["x"] != x
    short = (x < 5) & (5 - x < 0.5 * x.std())
    best = noise.residual >= np.quantile(noise.residual, 0.8)
    assert np.array_equal(crossed, short & best)
    assert np.allclose(sorted_.columns["x"][crossed], 10 - x[crossed])
    gap = seen.columns["x"] - x
    assert np.std(gap) == pytest.approx(0.25 * x.std(), rel=4 / np.sqrt(2 * ROWS))
    assert np.array_equal(seen.columns["d"], d)


@pytest.mark.parametrize("name", ["observables", "iv", "fuzzy"])
def test_confounding_leaves_the_spread_of_the_residuals(twin_of, name):
    twin = twin_of(name)
    _, rest, tied = drawn(twin, {"confounding": 0.4})
    # a score of its own takes the place of 0.16 of the variance
    expected = 0.84 * rest.residual.var() + 0.16 * twin.structure.sd**2
    assert tied.residual.var() == pytest.approx(expected, rel=6 * np.sqrt(2 / ROWS))


def test_the_overlap_dial_stretches_log_odds_about_their_mean(twin_of):
    twin = twin_of("observables")
    _, rest, apart = drawn(twin, {"overlap": 0.5})
    odds, wide = logit(rest.expected["d"]), logit(apart.expected["d"])
    centre = twin.mechanisms["treatment"].centre
    assert np.allclose(wide - centre, 1.5 * (odds - centre))
    share = apart.columns["d"].mean()
    assert share == pytest.approx(apart.expected["d"].mean(), abs=2 / np.sqrt(ROWS))
    assert abs(centre - odds.mean()) < 0.1 * odds.std()  # about the middle, so that shares stay


def test_dials_of_an_instrument_do_what_they_say(twin_of):
    twin = twin_of("iv")
    _, rest, direct, weak, tied = drawn(
        twin, {"direct": 0.1}, {"weakness": 0.8}, {"dependence": 0.2}
    )
    z, sd = rest.columns["z"], twin.structure.sd
    own = z - rest.expected["z"]
    added = direct.columns["y"] - rest.columns["y"]
    assert added.std() == pytest.approx(0.1 * sd, rel=6 / np.sqrt(2 * ROWS))
    assert np.corrcoef(added, own)[0, 1] == pytest.approx(1)
    slopes = [own @ (rows.columns["d"] - rows.columns["d"].mean()) for rows in (rest, weak)]
    assert slopes[1] == pytest.approx(0.2 * slopes[0], rel=0.05)
    surprise = tied.columns["z"] - tied.expected["z"]
    # a 0/1 instrument shows phi(0) / 0.5 of its score's correlation at odds of one to one
    assert 0.7 * 0.2 < np.corrcoef(surprise, tied.residual)[0, 1] < 0.2
    assert abs(np.corrcoef(own, rest.residual)[0, 1]) < 4 / np.sqrt(ROWS)


def test_eligibility_drives_nobody_away(twin_of):
    """Where the fitted law has fewer takers beyond the cutoff, nobody complies."""
    mechanism = twin_of("fuzzy").mechanisms["treatment"]
    turned = replace(mechanism, coefficients=mechanism.coefficients.copy())
    turned.coefficients[-1] = -3.0
    noise = Noise.draw(twin_of("fuzzy"), 5000, np.random.default_rng(0))
    for inside in (np.zeros(5000), np.ones(5000)):
        d, p, complier = _take_up(turned, noise.units, inside, noise)
        assert not complier.any() and 0.05 < d.mean() < 0.95
        assert d.mean() == pytest.approx(p.mean(), abs=4 * 0.5 / np.sqrt(5000))


@pytest.mark.parametrize("overlap", [0.0, 1.0])
def test_a_schedule_of_effects_has_an_att_of_the_treated_and_an_error_of_its_mean(twin_of, overlap):
    twin, effect = twin_of("observables"), "2 + a"
    truths = truths_of(twin, effect, overlap)
    rows = reconstruct(twin, ROWS, np.random.default_rng(9), effect, {"overlap": overlap})
    chosen = {Estimand.ATE: rows.effects, Estimand.ATT: rows.effects[rows.columns["d"] == 1]}
    for estimand, effects in chosen.items():
        value, mcse = truths[Target(estimand)]
        error = effects.std() / np.sqrt(effects.size)
        assert mcse == pytest.approx(error, rel=0.05)
        assert value == pytest.approx(effects.mean(), abs=4 * np.hypot(mcse, error))
    assert truths[Target(Estimand.ATT)].value > truths[Target(Estimand.ATE)].value + 0.2


def test_at_a_cutoff_the_truth_is_the_limit_and_no_average_near_it(twin_of):
    ((_, truth),) = truths_of(twin_of("rd"), "0*age + 800 + 100*(x - 5)**2").items()
    assert truth.value == pytest.approx(800, abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_local_line_is_a_weighted_regression_of_another_library(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=500)
    y = x + x**2 + 0.5 * (x >= 0.2) + rng.normal(size=500) * (1 + (x > 0))
    jump, se = local_jump(y, x, 0.2, 0.8)
    near = np.abs(x - 0.2) < 0.8
    v, above = x[near] - 0.2, (x[near] >= 0.2).astype(float)
    design = np.column_stack([np.ones(len(v)), above, v, above * v])
    fit = sm.WLS(y[near], design, weights=1 - np.abs(v) / 0.8).fit(cov_type="HC1")
    assert (jump, se) == pytest.approx((fit.params[1], fit.bse[1]))


def test_treatment_is_as_likely_as_its_law_says(twin_of):
    rows = reconstruct(twin_of("observables"), ROWS, np.random.default_rng(0), 1.0, {})
    p, d = rows.expected["d"], rows.columns["d"]
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
        part = (p >= low) & (p < high)
        assert d[part].mean() == pytest.approx(p[part].mean(), abs=4 * 0.5 / np.sqrt(part.sum()))
