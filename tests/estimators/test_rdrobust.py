"""The adapters give what the library gives, on its own example data."""

import numpy as np
import pytest

from cibench import Estimand, Problem, Roles, Target, find_estimator

ASKED = (Target(Estimand.ATE_AT_CUTOFF),)


@pytest.fixture(scope="module")
def senate():
    from rdrobust import rdrobust_RDsenate

    data = rdrobust_RDsenate()[["margin", "vote"]].dropna()
    x, y = data["margin"].to_numpy(), data["vote"].to_numpy()
    columns = {"y": y, "d": (x >= 0).astype(float), "x": x}
    return Problem(columns, Roles(running="x", cutoff=0.0), ASKED)


def test_senate_gives_the_published_effect_and_interval(senate):
    conventional = find_estimator("rdrobust/conventional").fit(senate, None)
    robust = find_estimator("rdrobust/robust").fit(senate, None)
    assert conventional.value == pytest.approx(7.41413, abs=5e-6)
    assert (robust.low, robust.high) == pytest.approx((4.09370, 10.91931), abs=5e-6)
    assert robust.value == pytest.approx((4.09370 + 10.91931) / 2, abs=5e-6)
    assert robust.se > conventional.se


def test_options_and_level_reach_the_library(senate):
    from rdrobust import rdrobust

    fit = find_estimator("rdrobust/robust").fit
    direct = rdrobust(senate.outcome, senate.running, kernel="uni", level=80)
    narrow = fit(Problem(senate.columns, senate.roles, ASKED, level=0.8), None, kernel="uni")
    assert (narrow.low, narrow.high) == tuple(direct.ci.loc["Robust"])


def test_the_cutoff_is_the_problems(senate):
    shifted = {**senate.columns, "x": senate.running + 5}
    moved = Problem(shifted, Roles(running="x", cutoff=5.0), ASKED)
    fit = find_estimator("rdrobust/conventional").fit
    assert fit(moved, None).value == pytest.approx(fit(senate, None).value, rel=1e-8)


def polynomial_by_hand(problem, order, weights):
    x, y = problem.running, problem.outcome
    at_zero, variance = [], []
    for side in (x < 0, x >= 0):
        use = side & (weights > 0)
        design = np.vander(x[use], order + 1, increasing=True)
        inverse = np.linalg.inv(design.T @ (design * weights[use, None]))
        beta = inverse @ design.T @ (weights[use] * y[use])
        score = design * (weights[use] * (y[use] - design @ beta))[:, None]
        at_zero.append(beta[0])
        variance.append((inverse @ score.T @ score @ inverse)[0, 0])
    n, k = (weights > 0).sum(), 2 * (order + 1)
    return at_zero[1] - at_zero[0], np.sqrt(sum(variance) * n / (n - k))


def test_polynomials_are_two_separate_fits_with_hc1_errors(senate):
    scaled = Problem({**senate.columns, "x": senate.running / 100}, senate.roles, ASKED)
    ones = np.ones(scaled.running.size)
    glob = find_estimator("rd/global-polynomial").fit(scaled, None, order=3)
    assert (glob.value, glob.se) == pytest.approx(polynomial_by_hand(scaled, 3, ones), rel=1e-8)
    triangle = np.clip(1 - np.abs(scaled.running) / 0.2, 0, None)
    local = find_estimator("rd/local-linear").fit(scaled, None, bandwidth=0.2)
    assert (local.value, local.se) == pytest.approx(
        polynomial_by_hand(scaled, 1, triangle), rel=1e-8
    )


def test_no_rows_near_the_cutoff_is_declined_in_words(senate):
    from cibench import Declined

    far = {**senate.columns, "x": np.where(senate.running >= 0, 1, -1) + senate.running / 1000}
    with pytest.raises(Declined, match="too few distinct rows within reach of the cutoff"):
        find_estimator("rd/local-linear").fit(Problem(far, senate.roles, ASKED), None)
