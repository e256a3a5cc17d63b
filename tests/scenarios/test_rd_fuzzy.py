"""The fuzzy design: who complies, what its dials do, and the biases of its docstring."""

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream

N = 400_000
FUZZY = find_scenario("rd/fuzzy")


def draw(**fields):
    return FUZZY(**fields).draw(N, stream("test", "rd/fuzzy"))


def jump(values, x, within=0.02):
    """Return lines' difference at 0 within a window, and four standard errors of it."""
    limits, variance = [], 0.0
    for side in ((x >= 0) & (x < within), (x < 0) & (x >= -within)):
        coefficients, covariance = np.polyfit(x[side], values[side], 1, cov=True)
        limits.append(coefficients[1])
        variance += covariance[1, 1]
    return limits[0] - limits[1], 4 * np.sqrt(variance)


def test_take_up_jumps_by_the_share_of_compliers_who_alone_follow_the_rule():
    drawn = draw(jump=0.5, always=0.1)
    d, above = drawn.columns["d"], drawn.columns["x"] >= 0
    for side, share in ((above, 0.6), (~above, 0.1)):
        assert d[side].mean() == pytest.approx(share, abs=4 * 0.5 / np.sqrt(side.sum()))
    assert drawn.target.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(N))
    assert np.array_equal(d[drawn.target] == 1, above[drawn.target])
    x = drawn.columns["x"][drawn.target]
    assert np.allclose(drawn.effects[drawn.target], 1 + x / 2)


def test_the_noise_has_the_stated_variance_and_the_drive_shows_in_z1():
    drawn, quiet = draw(), draw(noise=0.0)
    e = (drawn.baseline - quiet.baseline) / 0.5
    assert e.var() == pytest.approx(1, rel=0.015)
    z1, z2 = drawn.columns["z1"], drawn.columns["z2"]
    # the drive has a variance of 1/2 in both E and Z1, Z2 a loading of 1/2 in E
    assert np.cov(e, z1)[0, 1] == pytest.approx(0.5, abs=0.01)
    assert np.cov(e, z2)[0, 1] == pytest.approx(0.5, abs=0.01)


def test_naive_readings_are_off_as_the_docstring_says():
    drawn = draw(noise=0.0)
    x, y, d = (drawn.columns[name] for name in "xyd")
    reduced, reach = jump(y, x)
    assert reduced - 1 == pytest.approx(-0.4, abs=reach)
    near = np.abs(x) < 0.01
    contrast = y[near & (d == 1)].mean() - y[near & (d == 0)].mean()
    assert contrast - 1 == pytest.approx(0.33, abs=0.03)


def test_sorting_moves_drivers_to_the_mirror_image_and_biases_the_ratio_as_stated():
    plain, moved = draw(), draw(sorting=0.4)
    x, reported = plain.columns["x"], moved.columns["x"]
    changed = x != reported
    assert np.array_equal(reported[changed], -x[changed])
    below = (x < 0) & (x >= -0.1)
    assert not changed[~below].any()
    assert changed[below].mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / below.sum()))
    more, reach = jump(moved.columns["y"], reported)
    assert more - 0.6 == pytest.approx(0.35, abs=reach + 0.005)
    take_up, near = jump(moved.columns["d"], reported)
    assert take_up == pytest.approx(0.6, abs=near)
    assert more / take_up - 1 == pytest.approx(0.58, abs=(reach + 1.6 * near) / 0.6 + 0.005)
    assert np.array_equal(moved.latent["x"], x)


def test_heaping_rounds_down_on_the_own_side_and_biases_lines_as_stated():
    plain, heaped = draw(), draw(heaping=0.4)
    x, reported = plain.columns["x"], heaped.columns["x"]
    changed = x != reported
    assert changed.mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / N))
    assert np.allclose(reported[changed] * 10, np.round(reported[changed] * 10))
    assert np.array_equal(x >= 0, reported >= 0)
    assert np.array_equal(plain.columns["y"], heaped.columns["y"])
    fit, targets = find_estimator("rd/local-linear").fit, FUZZY().targets()
    jumps = []
    for name in "yd":
        columns = {**heaped.columns, "y": heaped.columns[name]}
        jumps.append(fit(Problem(columns, FUZZY.roles, targets), None, bandwidth=0.5))
    ratio = jumps[0].value / jumps[1].value
    assert ratio - 1 == pytest.approx(-0.24, abs=4 * jumps[0].se / 0.6 + 0.005)


def test_the_other_policy_shifts_the_baseline_above_and_nothing_else():
    plain, both = draw(), draw(policy=0.2)
    above = plain.columns["x"] >= 0
    assert np.allclose(both.baseline - plain.baseline, 0.2 * above)
    assert np.array_equal(both.effects, plain.effects)
