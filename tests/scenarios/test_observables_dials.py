"""Selection on observables: what each dial is a unit of, and what it leaves alone."""

import numpy as np
import pytest
from scipy.special import expit

from cibench import Problem, find_scenario

N = 60_000
NEAR = 4 / np.sqrt(N)
LATENT = np.pi**2 / 3


def drawn(name, n=N, **fields):
    return find_scenario(f"observables/{name}")(**fields).draw(n, np.random.default_rng(11))


def left(y, *columns):
    design = np.column_stack([*columns, np.ones(y.size)])
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def test_the_partially_linear_design_is_doublemls():
    from doubleml.plm.datasets import make_plr_CCDDHNR2018

    np.random.seed(3)
    x, y, d = make_plr_CCDDHNR2018(n_obs=N, dim_x=20, alpha=0.5, return_type="array")
    draw = drawn("plr")
    ours = np.column_stack([draw.columns[f"x{j + 1}"] for j in range(20)])
    ours = np.column_stack([ours, draw.columns["y"], draw.columns["d"]])
    theirs = np.column_stack([x, y, d.ravel()])
    scale = np.sqrt(np.outer(ours.var(axis=0), ours.var(axis=0)))
    assert np.abs((np.cov(ours.T) - np.cov(theirs.T)) / scale).max() < 2.5 * NEAR
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 2.5 * NEAR


@pytest.mark.parametrize("r", [0.05, 0.3])
def test_the_hidden_confounder_has_the_partial_r2_with_treatment_and_outcome(r):
    # U is what the treatment's noise has in common over two settings of the same stream
    plain, moved = drawn("plr", confounding=0.0).columns, drawn("plr", confounding=r).columns
    x = [plain[f"x{j + 1}"] for j in range(20)]
    v = (moved["d"] - plain["d"]) + left(plain["d"], *x, expit(x[0]), expit(x[2]))
    own = left(plain["d"], *x, expit(x[0]), expit(x[2]))
    u = (v - np.sqrt(1 - r) * own) / np.sqrt(r)
    nonlinear = [expit(x[0]), expit(x[2])]
    d_left, y_left = left(moved["d"], *x, *nonlinear), left(moved["y"], *x, *nonlinear)
    assert np.corrcoef(u, d_left)[0, 1] ** 2 == pytest.approx(r, abs=2 * NEAR)
    pair = left(y_left, d_left), left(u, d_left)
    assert np.corrcoef(*pair)[0, 1] ** 2 == pytest.approx(r, abs=2 * NEAR)
    assert pair[0].var() == pytest.approx(1, abs=3 * NEAR)


def test_what_the_treatment_causes_is_offered_only_when_its_dial_is_moved():
    scenario = find_scenario("observables/plr")
    assert len(scenario().assigned_roles().covariates) == 20
    assert scenario(mediation=0.1).assigned_roles().covariates[20:] == ("m",)
    assert scenario(mediation=0.1, collision=1.0).assigned_roles().covariates[20:] == ("m", "c")
    plain, offered = drawn("plr", 300), drawn("plr", 300, mediation=0.4)
    assert np.array_equal(plain.columns["y"], offered.columns["y"])
    assert np.array_equal(plain.baseline, offered.baseline)


def test_a_share_of_the_effect_runs_through_the_mediator():
    c = drawn("plr", mediation=0.4).columns
    x = [c[f"x{j + 1}"] for j in range(20)]
    design = np.column_stack([c["d"], c["m"], *x, expit(x[0]), expit(x[2]), np.ones(N)])
    direct, by_mediator = np.linalg.lstsq(design, c["y"], rcond=None)[0][:2]
    moved = np.linalg.lstsq(design[:, [0, *range(2, design.shape[1])]], c["m"], rcond=None)[0][0]
    assert direct == pytest.approx(0.6 * 0.5, abs=2 * NEAR)
    assert by_mediator * moved == pytest.approx(0.4 * 0.5, abs=2 * NEAR)


@pytest.mark.parametrize("share", [1.0, 0.7, 0.3, 0.1, 0.02])
def test_overlap_is_the_effective_sample_share_by_quadrature(share):
    scenario = find_scenario("observables/irm")
    draw = scenario(overlap=share).draw(N, np.random.default_rng(2))
    t, d = draw.effects - scenario().theta, draw.columns["d"]
    steep = np.sqrt(2 * np.log(2 / share - 1))
    # the slope of a logit of treatment on the index is the scenario's, one Newton step from it
    p = expit(steep * t)
    step = t @ (d - p) / (t**2 @ (p * (1 - p)))
    assert step == pytest.approx(0, abs=4 / np.sqrt(t**2 @ (p * (1 - p))))
    grid = np.linspace(-12, 12, 20_001)
    density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])
    # the treated's density is p / P(D = 1) times that of all: w = 1 / p has these moments there
    chance = expit(steep * grid)
    treated = density @ chance
    first, second = density.sum() / treated, (density / chance).sum() / treated
    assert first**2 / second == pytest.approx(share, rel=1e-5)


@pytest.mark.parametrize(("name", "dial"), [("irm", "confounding"), ("nonresponse", "dependence")])
def test_latent_indices_are_logistic_at_the_default_and_keep_their_noise(name, dial):
    plain, moved = drawn(name), drawn(name, **{dial: 1e-6})
    assert np.mean(plain.columns["d"] != moved.columns["d"]) < 0.001
    index = plain.effects - 0.5 if name == "irm" else None
    if index is None:
        index = 0.5 + plain.columns["x1"] / 2 - plain.columns["x2"]
    else:
        index = np.sqrt(2 * np.log(2 / 0.7 - 1)) * index
    d = plain.columns["d"]
    for low in (-2, -1, 0, 1):
        rows = (index > low) & (index <= low + 1)
        assert d[rows].mean() == pytest.approx(
            expit(index[rows]).mean(), abs=2 / np.sqrt(rows.sum())
        )


def test_the_outcomes_variance_stays_when_a_confounder_is_hidden_in_it():
    for name in ("irm", "heterogeneous"):
        for r in (0.0, 0.1):
            draw = drawn(name, confounding=r)
            x = [c for key, c in draw.columns.items() if key.startswith("x")]
            assert left(draw.baseline, *x).var() == pytest.approx(1, abs=2 * NEAR)


def test_kang_and_schafers_analyst_sees_their_transforms():
    scenario = find_scenario("observables/kang-schafer")
    plain, seen = (scenario(distortion=s).draw(500, np.random.default_rng(4)) for s in (0.0, 1.0))
    z, x = (np.column_stack([d.columns[f"x{j}"] for j in (1, 2, 3, 4)]) for d in (plain, seen))
    raw = np.column_stack([
        np.exp(z[:, 0] / 2), z[:, 1] / (1 + np.exp(z[:, 0])) + 10,
        (z[:, 0] * z[:, 2] / 25 + 0.6) ** 3, (z[:, 1] + z[:, 3] + 20) ** 2,
    ])  # fmt: skip
    for j in range(4):
        assert np.corrcoef(raw[:, j], x[:, j])[0, 1] == pytest.approx(1, abs=1e-12)
    many = drawn("kang-schafer", distortion=1.0).columns
    for j in (1, 2, 3, 4):  # standardised: mean 0 and variance 1, tails heavier than normal
        assert many[f"x{j}"].mean() == pytest.approx(0, abs=2 * NEAR)
        assert many[f"x{j}"].std() == pytest.approx(1, abs=0.05)
    assert np.array_equal(plain.columns["d"], seen.columns["d"])
    assert np.array_equal(plain.columns["y"], plain.effects * plain.columns["d"])
    assert drawn("kang-schafer").effects.mean() == pytest.approx(210, abs=36.3 * NEAR)


def test_the_untreated_feel_their_treated_neighbours_and_the_treated_nobody():
    draw = drawn("neighbours", 50, spillover=0.5)
    d, felt = draw.columns["d"], draw.felt
    for i in range(50):
        around = (d[i - 1] + d[(i + 1) % 50]) / 2
        assert felt[i] == pytest.approx(1.0 if d[i] else 0.5 * around)
        assert draw.exposed[i] == (not d[i] and around > 0)


def test_analysts_see_no_latent_column():
    for name in ("kang-schafer", "nonresponse", "plr", "sparse", "irm", "heterogeneous"):
        scenario = find_scenario(f"observables/{name}")()
        problem = Problem.of(drawn(name, 50), scenario.assigned_roles(), scenario.targets())
        assert set(problem.columns) == {"y", "d", *scenario.assigned_roles().covariates}
