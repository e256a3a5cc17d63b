"""Selection on observables: every figure that a docstring states, by quadrature and by drawing."""

import re
import sys

import numpy as np
import pytest
from scipy.special import expit

from cibench import find_scenario

N = 400_000
NODES, SHARES = np.polynomial.hermite_e.hermegauss(150)
SHARES = SHARES / SHARES.sum()
LATENT = np.pi**2 / 3


def observables(name):
    return find_scenario(f"observables/{name}")


def drawn(name, n=N, **fields):
    return observables(name)(**fields).draw(n, np.random.default_rng(7))


def stated(name, number):
    text = sys.modules[observables(name).__module__].__doc__
    assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text), (
        f"{name} does not state {number}"
    )
    return float(number)


def arms(constant, variance):
    """Return the mean of a normal index among those it treats and the others, by a logit."""
    s = np.sqrt(variance) * NODES
    p = expit(constant + s)
    return (SHARES * p) @ s / (SHARES @ p), (SHARES * (1 - p)) @ s / (SHARES @ (1 - p))


def hidden(constant, variance, r, *, both):
    """Return the mean of a confounder's part in the outcome: treated, or treated less others."""
    pull = np.sqrt(LATENT * r / (1 - r))
    p = expit(constant + np.sqrt(variance) * NODES[:, None] + pull * NODES[None])
    one, zero = ((q * SHARES) @ NODES / (q @ SHARES) for q in (p, 1 - p))
    return float(SHARES @ (one - zero if both else one))


def slopes(y, *columns):
    return np.linalg.lstsq(np.column_stack([*columns, np.ones(y.size)]), y, rcond=None)[0]


def naive(draw):
    y, d = draw.columns["y"], draw.columns["d"] == 1
    error = np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    return y[d].mean() - y[~d].mean(), error


def naive_of(name):
    treated, others = arms(-1, 1.25)
    steep = np.sqrt(2 * np.log(2 / 0.7 - 1))
    exact = {"heterogeneous": 1.2 * (treated - others) + treated / 1.25,
             "heterogeneous-att": 1.2 * (treated - others),
             "neighbours": np.subtract(*arms(0, 1)),
             "irm": arms(0, steep**2)[0] / steep}  # fmt: skip
    return exact[name]


@pytest.mark.parametrize(
    ("name", "number"),
    [("heterogeneous", "1.781"), ("heterogeneous-att", "1.219"), ("neighbours", "0.826"),
     ("irm", "0.444")],
)  # fmt: skip
def test_the_naive_difference_in_means_is_off_as_stated(name, number):
    assert stated(name, number) == pytest.approx(naive_of(name), abs=5.1e-4)
    value, error = naive(drawn(name))
    assert value - observables(name)().truth() == pytest.approx(naive_of(name), abs=4 * error)


@pytest.mark.parametrize(
    ("name", "number"), [("kang-schafer", "-10.002"), ("nonresponse", "-0.161")]
)
def test_the_mean_of_those_who_answered_is_off_as_stated(name, number):
    exact = {"kang-schafer": -25.345 / 1.3225 * arms(0, 1.3225)[0],
             "nonresponse": -0.5 / 1.25 * arms(0.5, 1.25)[0]}[name]  # fmt: skip
    assert stated(name, number) == pytest.approx(exact, abs=5.1e-4)
    draw = drawn(name)
    seen = draw.columns["y"][draw.columns["d"] == 1]
    error = seen.std() / np.sqrt(seen.size)
    assert seen.mean() - observables(name)().truth() == pytest.approx(exact, abs=4 * error)


def test_the_att_is_that_of_the_treated_drawn_and_moves_with_who_is_treated():
    for confounding, number in ((0.0, "1.561"), (0.1, "1.529")):
        scenario = observables("heterogeneous-att")(confounding=confounding)
        assert stated("heterogeneous-att", number) == pytest.approx(scenario.truth(), abs=5.1e-4)
        draw = drawn("heterogeneous-att", confounding=confounding)
        own = draw.effects[draw.columns["d"] == 1]
        assert own.mean() == pytest.approx(scenario.truth(), abs=4 * own.std() / np.sqrt(own.size))


def test_least_squares_without_interactions_is_off_for_the_ate_as_stated():
    draw = drawn("heterogeneous", 4 * N)
    c = draw.columns
    found = slopes(c["y"], c["d"], c["x1"], c["x2"], c["x3"])[0] - 1
    assert found == pytest.approx(
        stated("heterogeneous", "0.32"), abs=0.005 + 4 * 2.5 / np.sqrt(4 * N)
    )


@pytest.mark.parametrize(
    ("name", "dial", "setting", "number", "exact"),
    [
        ("irm", "confounding", 0.1, "0.179",
         np.sqrt(0.1) * hidden(0, 2 * np.log(2 / 0.7 - 1), 0.1, both=True)),
        ("heterogeneous", "confounding", 0.1, "0.180",
         np.sqrt(0.1) * hidden(-1, 1.25, 0.1, both=True)),
        ("nonresponse", "dependence", 0.2, "0.322", hidden(0.5, 1.25, 0.2, both=False)),
    ],
)  # fmt: skip
def test_methods_that_go_by_covariates_are_off_as_stated(name, dial, setting, number, exact):
    assert stated(name, number) == pytest.approx(exact, abs=5.1e-4)
    # weights by the true propensities given what is observed, not fitted to the data
    draw = drawn(name, **{dial: setting})
    c, r = draw.columns, setting
    index = {"irm": lambda: np.sqrt(2 * np.log(2 / 0.7 - 1)) * (draw.effects - 0.5),
             "heterogeneous": lambda: c["x1"] + c["x2"] / 2 - 1,
             "nonresponse": lambda: 0.5 + c["x1"] / 2 - c["x2"]}[name]()  # fmt: skip
    pull = np.sqrt(LATENT * r / (1 - r))
    grid = np.linspace(index.min(), index.max(), 400)
    p = np.interp(index, grid, expit(grid[:, None] + pull * NODES[None]) @ SHARES)
    terms = c["d"] * c["y"] / p - (1 - c["d"]) * c["y"] / (1 - p)
    error = terms.std() / np.sqrt(N)
    truth = observables(name)().truth()
    assert terms.mean() - truth == pytest.approx(exact, abs=4 * error + 0.002)


@pytest.mark.parametrize(
    ("dial", "setting", "number", "exact"),
    [
        (None, 0, "0.169", None), ("confounding", 0.1, "0.105", 0.1 / np.sqrt(0.9)),
        ("roughness", 0.5, "0.2", 0.2), ("mediation", 0.4, "-0.2", -0.2),
        ("collision", 0.5, "-0.2", -0.2),
    ],
)  # fmt: skip
def test_least_squares_in_the_partially_linear_model_is_off_as_stated(dial, setting, number, exact):
    draw = drawn("plr", N // 2, **({dial: setting} if dial else {}))
    c = draw.columns
    covariates = [c[name] for name in c if name not in ("y", "d")] if dial else []
    if dial is None:  # on the treatment alone, by quadrature over x1 and x3
        x1, x3 = NODES[:, None] + 0 * NODES, 0.49 * NODES[:, None] + np.sqrt(1 - 0.49**2) * NODES
        w, d, y = np.outer(SHARES, SHARES), x1 + 0.25 * expit(x3), expit(x1) + 0.25 * x3
        d = d - (w * d).sum()
        exact = (w * d * y).sum() / ((w * d * d).sum() + 1)
    assert stated("plr", number) == pytest.approx(exact, abs=5.1e-4)
    found = slopes(c["y"], c["d"], *covariates)[0] - 0.5
    assert found == pytest.approx(exact, abs=1e-3 + 4 * 1.2 / np.sqrt(N / 2))


def test_a_lasso_that_drops_the_dense_part_is_off_as_stated():
    assert stated("sparse", "0.333") == pytest.approx(0.5 / 1.5, abs=5.1e-4)
    draw = drawn("sparse", 100_000, covariates=30, density=0.5)
    c = draw.columns
    few = slopes(c["y"], c["d"], *(c[f"x{j + 1}"] for j in range(5)))[0] - 0.5
    assert few == pytest.approx(0.5 / 1.5, abs=4 / np.sqrt(100_000))
    assert slopes(c["y"], c["d"])[0] - 0.5 == pytest.approx(stated("sparse", "0.5"), abs=0.01)


def test_spillovers_lower_what_adjusting_methods_find_as_stated():
    draw = drawn("neighbours", spillover=0.5)
    c = draw.columns
    found = slopes(c["y"], c["d"], c["x"])[0] - 1
    assert found == pytest.approx(stated("neighbours", "-0.25"), abs=4 * 2.3 / np.sqrt(N))


def test_carrying_a_regression_over_is_off_as_stated_where_both_models_are_wrong():
    draw = drawn("kang-schafer", distortion=1.0)
    c, seen = draw.columns, draw.columns["d"] == 1
    design = np.column_stack([*(c[f"x{j}"] for j in (1, 2, 3, 4)), np.ones(N)])
    fitted = design @ np.linalg.lstsq(design[seen], c["y"][seen], rcond=None)[0]
    assert fitted.mean() - 210 == pytest.approx(stated("kang-schafer", "-0.9"), abs=0.05 + 4 * 0.08)
