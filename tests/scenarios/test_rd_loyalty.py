"""The loyalty programme: its equations, what its dials do, the biases of its docstring."""

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream

N = 400_000
LOYALTY = find_scenario("rd/loyalty")
STRONG = find_scenario("rd/loyalty-strong-covariates")
COVARIATES = ("age", "bookings", "value", "international")


def draw(cls=LOYALTY, n=N, **fields):
    return cls(**fields).draw(n, stream("test", "rd/loyalty"))


def bias(name, drawn, **options):
    problem = Problem.of(drawn, LOYALTY.roles, LOYALTY().targets())
    fit = find_estimator(name).fit(problem, None, **options)
    return fit.value - 1500, 4 * fit.se


def test_spending_is_gamma_and_the_effect_proportional_to_it():
    drawn = draw()
    x = drawn.columns["x"]
    assert x.mean() == pytest.approx(5, abs=4 * np.sqrt(12.5 / N))
    assert x.var() == pytest.approx(12.5, rel=0.02)
    # P(Gamma(2) > 2) = 3 exp(-2)
    assert drawn.columns["d"].mean() == pytest.approx(3 * np.exp(-2), abs=4 * 0.5 / np.sqrt(N))
    assert np.allclose(drawn.effects, 300 * x)


@pytest.mark.parametrize(("cls", "explained"), [(LOYALTY, 0.0), (STRONG, 0.8)])
def test_covariates_explain_the_stated_share_of_the_noise(cls, explained):
    drawn = draw(cls)
    e = drawn.baseline - draw(cls, noise=0.0).baseline
    assert e.std() == pytest.approx(1000, rel=0.01)
    z = np.column_stack([drawn.columns[name] for name in COVARIATES])
    assert np.abs(np.corrcoef(z.T, drawn.columns["x"])[-1, :-1]).max() < 4 / np.sqrt(N)
    design = np.column_stack([np.ones(N), z])
    residual = e - design @ np.linalg.lstsq(design, e, rcond=None)[0]
    assert 1 - residual.var() / e.var() == pytest.approx(explained, abs=0.005)


def test_noise_grows_with_spending_as_the_parameter_says():
    plain, growing = draw(), draw(spread=0.5)
    e = plain.baseline - draw(noise=0.0).baseline
    expected = e * np.sqrt(plain.columns["x"] / 5)
    assert np.allclose(growing.baseline - draw(noise=0.0).baseline, expected)


def test_without_noise_the_biases_are_those_of_the_docstring():
    drawn = draw()
    y, d = drawn.columns["y"], drawn.columns["d"]
    quiet = draw(noise=0.0)
    gap = quiet.columns["y"][d == 1].mean() - quiet.columns["y"][d == 0].mean()
    assert gap == pytest.approx(5020, abs=4 * y.std() * np.sqrt(4.2 / N) + 5)
    for name, options, expected in (
        ("rd/global-polynomial", {"order": 1}, -320), ("rd/local-linear", {"bandwidth": 2.5}, 0),
        ("rd/global-polynomial", {"order": 2}, 0),
    ):  # fmt: skip
        found, reach = bias(name, drawn, **options)
        assert found == pytest.approx(expected, abs=reach + 5)
    exact, _ = bias("rd/global-polynomial", quiet, order=2)
    assert exact == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("dial", "setting", "expected"),
    [("sorting", 0.4, 480), ("error", 0.5, -980), ("rounding", 0.25, -360),
     ("curvature", 400, -220)],
)  # fmt: skip
def test_the_dials_bias_the_local_line_as_the_docstring_says(dial, setting, expected):
    found, reach = bias("rd/local-linear", draw(**{dial: setting}), bandwidth=2.5)
    assert found == pytest.approx(expected, abs=reach + 5)


def test_sorting_moves_who_has_the_drive_and_makes_the_outcome_jump():
    plain, moved = draw(n=2 * N), draw(n=2 * N, sorting=0.4)
    x, paid = plain.columns["x"], moved.columns["x"]
    changed = x != paid
    assert np.allclose(paid[changed], 10 - x[changed])
    below = (x < 5) & (x >= 4.5)
    assert not changed[~below].any() and (moved.columns["d"] == (paid >= 5)).all()
    assert changed[below].mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / below.sum()))
    # E[U - 1/2] is 0.3 of those who sort and -0.2 of those who stay; they mix 0.4 to 1 above
    e = moved.baseline - draw(n=2 * N, noise=0.0, sorting=0.4).baseline
    near = np.abs(paid - 5) < 0.4
    found = e[near & (paid >= 5)].mean() - e[near & (paid < 5)].mean()
    assert found == pytest.approx(700, abs=4 * 1000 * np.sqrt(4.2 / near.sum()) + 10)


def test_error_and_rounding_change_the_report_alone():
    plain = draw()
    noisy, rounded = draw(error=0.5), draw(rounding=0.25)
    for other in (noisy, rounded):
        assert all(np.array_equal(plain.columns[k], other.columns[k]) for k in ("y", "d", "age"))
        assert np.array_equal(other.latent["x"], plain.columns["x"])
    error = noisy.columns["x"] - plain.columns["x"]
    assert error.std() == pytest.approx(0.5, rel=4 / np.sqrt(2 * N))
    assert np.abs(rounded.columns["x"] - plain.columns["x"]).max() <= 0.125 + 1e-9
    at_cutoff = rounded.columns["x"] == 5
    share = plain.columns["d"][at_cutoff].mean()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(at_cutoff.sum()) + 0.01)


def test_curvature_bends_the_outcome_above_the_cutoff_alone():
    v = draw().columns["x"] - 5
    bend = draw(curvature=100).baseline - draw().baseline
    assert np.allclose(bend, np.where(v >= 0, 100 * v**2, 0))
