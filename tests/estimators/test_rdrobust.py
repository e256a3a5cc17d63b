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


def test_the_variants_are_the_librarys_own_calls(senate):
    from rdrobust import rdbwselect, rdrobust

    y, x = senate.outcome, senate.running
    rng = np.random.default_rng(1)
    z, states = rng.standard_normal((y.size, 2)), np.arange(y.size) % 40
    d = np.where(rng.random(y.size) < 0.8, senate.treatment, 1 - senate.treatment)
    columns = {**senate.columns, "d": d, "z1": z[:, 0], "z2": z[:, 1], "state": states}
    roles = Roles(running="x", cutoff=0.0, covariates=("z1", "z2"), cluster="state")
    problem = Problem(columns, roles, ASKED)
    gap = 0.3 * np.std(x)
    h, _, b, _ = rdbwselect(y, x).bws.iloc[0] + gap
    calls = {
        "masspoints-off": {"masspoints": "off"},
        "covariates": {"covs": z},
        "donut": {"subset": np.abs(x) >= gap, "h": h, "b": b},
        "clustered": {"cluster": states, "vce": "cr1"},
        "clustered-cr3": {"cluster": states, "vce": "cr3"},
        "fuzzy": {"fuzzy": d},
    }
    for name, options in calls.items():
        ours, direct = (
            find_estimator(f"rdrobust/{name}").fit(problem, None),
            rdrobust(y, x, **options),
        )
        found = (ours.value, ours.se, ours.low, ours.high)
        expected = (*direct.coef.loc["Robust"], *direct.se.loc["Robust"], *direct.ci.loc["Robust"])
        assert found == pytest.approx(expected, rel=1e-12), name


def test_bias_corrected_takes_its_centre_from_robust_and_its_width_from_conventional(senate):
    answers = [
        find_estimator(f"rdrobust/{name}").fit(senate, None)
        for name in ("bias-corrected", "robust", "conventional")
    ]
    corrected, robust, conventional = answers
    assert corrected.value == robust.value and corrected.se == conventional.se
    width = conventional.high - conventional.low
    assert corrected.high - corrected.low == pytest.approx(width, rel=1e-10)


def test_the_local_line_at_the_published_bandwidth_is_the_conventional_estimate(senate):
    local = find_estimator("rd/local-linear").fit(senate, None, bandwidth=17.7544)
    assert local.value == pytest.approx(7.41413, abs=5e-5)


@pytest.mark.parametrize("order", range(1, 6))
def test_polynomials_by_order_are_the_option(senate, order):
    named = find_estimator(f"rd/global-polynomial-{order}").fit(senate, None)
    option = find_estimator("rd/global-polynomial").fit(senate, None, order=order)
    assert (named.value, named.se) == (option.value, option.se)


def test_a_polynomial_in_other_units_gives_the_same_jump(senate):
    large = Problem({**senate.columns, "x": senate.running * 1e6}, senate.roles, ASKED)
    fit = find_estimator("rd/global-polynomial-5").fit
    assert fit(large, None).value == pytest.approx(fit(senate, None).value, rel=1e-9)


@pytest.mark.parametrize(
    "name", ["robust", "conventional", "bias-corrected", "masspoints-off", "donut"]
)
def test_rdrobust_declines_bad_data_in_words(senate, name):
    from cibench import Declined

    fit, c = find_estimator(f"rdrobust/{name}").fit, senate.columns
    for changed, reason in (
        ({"d": np.ones(c["y"].size)}, "all rows are treated"),
        ({"x": np.abs(c["x"])}, "no rows on one side"),
        ({"x": np.sign(c["x"]) * 50}, "too few distinct|no rows|no band"),
    ):
        with pytest.raises(Declined, match=reason):
            fit(Problem({**c, **changed}, senate.roles, ASKED), None)


@pytest.mark.parametrize("gap", [10, 20, 40])
def test_rdrobust_declines_to_extrapolate_to_a_cutoff_without_neighbours(senate, gap):
    from cibench import Declined

    far = {**senate.columns, "x": senate.running + np.where(senate.running >= 0, gap, -gap)}
    with pytest.raises(Declined, match="no rows near the cutoff"):
        find_estimator("rdrobust/robust").fit(Problem(far, senate.roles, ASKED), None)


def test_one_cluster_on_a_side_is_declined(senate):
    from cibench import Declined

    columns = {**senate.columns, "state": (senate.running >= 0).astype(int)}
    problem = Problem(columns, Roles(running="x", cutoff=0.0, cluster="state"), ASKED)
    with pytest.raises(Declined, match="fewer than two clusters"):
        find_estimator("rdrobust/clustered").fit(problem, None)


def test_no_rows_near_the_cutoff_is_declined_in_words(senate):
    from cibench import Declined

    far = {**senate.columns, "x": np.where(senate.running >= 0, 1, -1) + senate.running / 1000}
    with pytest.raises(Declined, match="too few distinct rows within reach of the cutoff"):
        find_estimator("rd/local-linear").fit(Problem(far, senate.roles, ASKED), None)


def test_government_transfers_gives_what_the_library_gives():
    from causaldata import gov_transfers
    from rdrobust import rdrobust

    data = gov_transfers.load_pandas().data
    x, y = data["Income_Centered"].to_numpy(), data["Support"].to_numpy()
    columns = {"y": y, "d": (x >= 0).astype(float), "x": x}
    problem = Problem(columns, Roles(running="x", cutoff=0.0), ASKED)
    direct = rdrobust(y, x, c=0)
    for row, name in (("Conventional", "conventional"), ("Robust", "robust")):
        given = find_estimator(f"rdrobust/{name}").fit(problem, None)
        assert given.value == direct.coef.Coeff[row]
        assert given.se == direct.se["Std. Err."][row]
        assert (given.low, given.high) == tuple(direct.ci.loc[row])
