"""The synthetic-control adapters against quadratic programs and formulas written out."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from cibench import (
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.estimators import _donors, pysyncon
from cibench.model.streams import stream

ASKED = (Target(Estimand.ATT),)
SC = find_scenario("sc/factor-model")


def drawn(n=50, replicate=0, **fields):
    draw = SC(**fields).draw(n, stream("test", "pysyncon", replicate))
    return Problem.of(draw, SC.roles, ASKED)


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, stream("fit"), **options)


def exact(block):
    """Return the weights of the quadratic program: nonnegative least squares, the sum heavy."""
    y, x = block.treated.mean(axis=0)[: block.before], block.donors[:, : block.before].T
    return nnls(np.vstack([x, np.full(x.shape[1], 1e5)]), np.append(y, 1e5))[0]


@pytest.mark.parametrize("replicate", range(3))
def test_plain_weights_solve_the_quadratic_program(replicate):
    block = _donors.block(drawn(replicate=replicate))
    weights, right = pysyncon.plain(block), exact(block)
    assert weights.sum() == pytest.approx(1) and weights.min() > -1e-9
    before = slice(None, block.before)
    loss, least = ((block.gap(w)[before] ** 2).sum() for w in (weights, right))
    assert loss == pytest.approx(least, rel=1e-3)
    value = fit("pysyncon/sc", drawn(replicate=replicate), placebos=2).value
    assert value == pytest.approx(block.gap(right)[block.before :].mean(), abs=1e-3)


def test_weights_do_not_depend_on_level_and_scale_of_the_outcome():
    problem = drawn()
    moved = {**problem.columns, "y": 500 + 80 * problem.outcome + 9 * problem.columns["time"]}
    for name in ("sc", "penalised"):
        one = fit(f"pysyncon/{name}", problem, placebos=2)
        other = fit(f"pysyncon/{name}", Problem(moved, problem.roles, ASKED), placebos=2)
        assert (other.value / 80, other.se / 80) == pytest.approx((one.value, one.se), rel=1e-5)


def test_penalised_weights_solve_their_program():
    block = _donors.block(drawn(12))
    found = pysyncon._penalised(block, 0.5)
    donors, treated = (part.iloc[: block.before].to_numpy() for part in pysyncon._centred(block))
    distance = ((donors - treated[:, None]) ** 2).sum(axis=0)

    def loss(w):
        return ((treated - donors @ w) ** 2).sum() + 0.5 * distance @ w

    constraint = {"type": "eq", "fun": lambda w: w.sum() - 1}
    start = np.full(donors.shape[1], 1 / donors.shape[1])
    bounds = [(0, 1)] * start.size
    right = minimize(loss, start, bounds=bounds, constraints=constraint, options={"ftol": 1e-12}).x
    assert loss(found) == pytest.approx(loss(right), rel=1e-4)
    assert np.allclose(found, right, atol=2e-2)


def test_augmented_weights_add_a_ridge_regression_of_the_misfit():
    block = _donors.block(drawn(12, outside=4.0))
    found, _ = pysyncon._augmented(block, 2.0)
    donors, treated = (part.iloc[: block.before].to_numpy() for part in pysyncon._centred(block))
    plain = exact(block)
    rest = treated - donors @ plain
    ridge = donors.T @ np.linalg.solve(donors @ donors.T + 2.0 * np.eye(block.before), rest)
    assert np.allclose(found, plain + ridge, atol=5e-3)
    assert found.min() < -0.01  # it reaches beyond the hull


def test_robust_weights_are_a_ridge_regression_on_denoised_donors():
    block = _donors.block(drawn())
    found = pysyncon._robust(block, 3, 0.1)
    u, s, v = np.linalg.svd(block.donors, full_matrices=False)
    clean = ((u[:, :3] * s[:3]) @ v[:3])[:, : block.before]
    y = block.treated.mean(axis=0)[: block.before]
    right = np.linalg.solve(clean @ clean.T + 0.1 * np.eye(len(clean)), clean @ y)
    assert np.allclose(found, right, atol=1e-8)


def test_only_the_nearest_donors_are_used_where_there_are_many():
    block = _donors.block(drawn(120))
    pool = pysyncon._nearest(block, 20)
    y = block.treated.mean(axis=0)[: block.before]
    distance = ((block.donors[:, : block.before] - y) ** 2).sum(axis=1)
    assert len(pool.donors) == 20
    kept = [np.flatnonzero((block.donors == row).all(axis=1))[0] for row in pool.donors]
    assert distance[kept].max() <= np.delete(distance, kept).min()


def test_proposition_99_gives_the_published_estimates():
    synthdid = pytest.importorskip("synthdid")
    frame = synthdid.load_california_prop99()
    columns = {
        "y": frame["PacksPerCapita"].to_numpy(float), "d": frame["treated"].to_numpy(float),
        "unit": frame["State"].astype("category").cat.codes.to_numpy(),
        "time": frame["Year"].to_numpy(),
    }  # fmt: skip
    problem = Problem(columns, Roles(unit="unit", time="time"), ASKED)
    # Arkhangelsky and others (2021), table 1: SDID, SC and DID
    assert fit("sc/sdid", problem, placebos=2).value == pytest.approx(-15.6, abs=0.05)
    block = _donors.block(problem)
    right = block.gap(exact(block))[block.before :].mean()  # -19.5; theirs stops on the way there
    assert right == pytest.approx(-19.6, abs=0.1)
    assert fit("pysyncon/sc", problem, placebos=2).value == pytest.approx(right, abs=0.02)
    assert fit("sc/did", problem, placebos=38).value == pytest.approx(-27.3, abs=0.05)
