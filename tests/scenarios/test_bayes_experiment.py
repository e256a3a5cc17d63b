"""The experiment draws its parameters from the prior that it states."""

import numpy as np
import pytest
from scipy.stats import kstest, norm, t

import cibench

SCENARIO = cibench.find_scenario("bayes/experiment")


def drawn(count, n=4, **values):
    scenario = SCENARIO(**values)
    return [scenario.draw(n, np.random.default_rng([7, i])) for i in range(count)]


def test_level_and_effect_have_the_priors_marginal_law():
    # a normal with inverse-gamma(3, 2) variance: Student's t with 6 degrees, scale sqrt(2/3)
    draws = drawn(4000)
    effects = np.array([draw.effects[0] for draw in draws])
    assert kstest(effects, t(6, scale=np.sqrt(2 / 3)).cdf).pvalue > 1e-4


def test_noise_has_the_same_scale_as_the_parameters():
    pairs = [(d.baseline[0] - d.baseline[1], d.baseline[2] - d.baseline[3]) for d in drawn(4000)]
    first, second = np.array(pairs).T
    ratio = first / np.abs(second)  # of two normals with one s.d.: Cauchy's half, signed
    assert kstest(2 * np.arctan(ratio) / np.pi, "uniform", args=(-1, 2)).pvalue > 1e-4
    assert abs(np.mean(first**2) - 2) < 4 * np.std(first**2) / np.sqrt(first.size)


def test_the_dial_moves_the_effect_by_so_many_prior_deviations_and_nothing_else():
    for before, after in zip(drawn(50), drawn(50, shift=2.0), strict=True):
        np.testing.assert_array_equal(before.baseline, after.baseline)
        np.testing.assert_array_equal(before.columns["d"], after.columns["d"])
        assert after.effects[0] > before.effects[0]


@pytest.mark.parametrize("n", [4, 21])
def test_half_of_the_units_are_treated_at_random(n):
    shares = np.mean([draw.columns["d"] for draw in drawn(2000, n)], axis=0)
    p = (n // 2) / n
    limit = norm.isf(1e-4 / n) * np.sqrt(p * (1 - p) / 2000)
    assert np.all(np.abs(shares - p) < limit)
