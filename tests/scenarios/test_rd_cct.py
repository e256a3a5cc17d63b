"""The designs as published, and what the two dials do, by closed form."""

from statistics import NormalDist

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream

N = 200_000

PUBLISHED = {  # m(x) at points below and above the cutoff, from the coefficients as printed
    "rd/cct-1": (0.04, {
        -0.5: 0.48 - 1.27 / 2 + 7.18 / 4 - 20.21 / 8 + 21.54 / 16 - 7.33 / 32,
        0.5: 0.52 + 0.84 / 2 - 3 / 4 + 7.99 / 8 - 9.01 / 16 + 3.56 / 32,
    }),
    "rd/cct-2": (-3.45, {
        -0.5: 3.71 - 2.30 / 2 + 3.28 / 4 - 1.45 / 8 + 0.23 / 16 - 0.03 / 32,
        0.5: 0.26 + 18.49 / 2 - 54.81 / 4 + 74.30 / 8 - 45.02 / 16 + 9.83 / 32,
    }),
    "rd/cct-3": (0.04, {
        -0.5: 0.48 - 1.27 / 2 - 3.59 / 4 - 14.147 / 8 + 23.694 / 16 - 10.995 / 32,
        0.5: 0.52 + 0.84 / 2 - 0.3 / 4 - 2.397 / 8 - 0.901 / 16 + 3.56 / 32,
    }),
}  # fmt: skip


def draw(name="rd/cct-1", **fields):
    return find_scenario(name)(**fields).draw(N, stream("test", name))


@pytest.mark.parametrize("name", PUBLISHED)
def test_regression_functions_effects_and_noise_are_the_published_ones(name):
    effect, points = PUBLISHED[name]
    scenario = find_scenario(name)()
    assert scenario.truth() == effect
    drawn = draw(name)
    x, y = drawn.columns["x"], drawn.columns["y"]
    for point, expected in points.items():
        near = np.abs(x - point) < 0.01
        # a line through the window takes out the slope; its curvature leaves below 1e-4
        fitted = np.polynomial.Polynomial.fit(x[near] - point, y[near], 1)
        assert fitted(0) == pytest.approx(expected, abs=4 * 0.1295 / np.sqrt(near.sum()) + 1e-4)
        residual = (y[near] - fitted(x[near] - point)).std()
        assert residual == pytest.approx(0.1295, abs=4 * 0.1295 / np.sqrt(2 * near.sum()))


def test_the_running_variable_is_a_stretched_beta():
    x = (draw().columns["x"] + 1) / 2
    mean, variance = 2 / 6, 2 * 4 / (36 * 7)
    assert x.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / N))
    assert x.var() == pytest.approx(variance, rel=0.02)


def test_sorting_moves_the_stated_share_of_units_just_below_to_the_mirror_image_above():
    plain, sorted_ = draw(), draw(sorting=0.4)
    x, moved = plain.columns["x"], sorted_.columns["x"]
    changed = x != moved
    assert np.array_equal(moved[changed], -x[changed])
    below = (x < 0) & (x >= -0.1)
    assert not changed[~below].any()
    share = changed[below].mean()
    assert share == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / below.sum()))
    # who sorts is who has the highest noise: E[e | e above its 0.6 quantile] = phi / 0.4
    normal = NormalDist()
    expected = normal.pdf(normal.inv_cdf(0.6)) / 0.4 * 0.1295
    noise = plain.baseline - draw(noise=0.0).baseline
    assert noise[changed].mean() == pytest.approx(expected, rel=0.02)
    assert np.array_equal(sorted_.latent["x"], x)
    assert np.allclose(sorted_.columns["y"][changed] - plain.columns["y"][changed], 0.04)


def test_heaping_rounds_the_stated_share_down_and_nobody_across_the_cutoff():
    plain, heaped = draw(), draw(heaping=0.2)
    x, reported = plain.columns["x"], heaped.columns["x"]
    changed = x != reported
    assert changed.mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / N))
    assert np.allclose(reported[changed] * 10, np.round(reported[changed] * 10))
    assert ((x - reported)[changed] > 0).all() and ((x - reported) < 0.1 + 1e-12).all()
    assert np.array_equal(x >= 0, reported >= 0)
    assert np.array_equal(plain.columns["y"], heaped.columns["y"])


@pytest.mark.parametrize(
    ("name", "line", "quartic", "local"),
    [
        ("rd/cct-1", 0.05, 0.03, 0.04),
        ("rd/cct-2", 1.23, 0.01, 0.60),
        ("rd/cct-3", -0.68, 0.04, -0.16),
    ],
)
def test_the_biases_in_the_docstring_are_those_of_the_population(name, line, quartic, local):
    drawn = draw(name, noise=0.0)
    scenario = find_scenario(name)()
    problem = Problem.of(drawn, scenario.roles, scenario.targets())
    fits = [
        find_estimator("rd/global-polynomial").fit(problem, None, order=1),
        find_estimator("rd/global-polynomial").fit(problem, None, order=4),
        find_estimator("rd/local-linear").fit(problem, None, bandwidth=0.5),
    ]
    biases = [fit.value - scenario.truth() for fit in fits]
    # without noise what is left is the projection error, sampled at 200,000 points
    assert biases == pytest.approx([line, quartic, local], abs=0.008)
