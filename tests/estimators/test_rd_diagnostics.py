"""The diagnostics: what they compute, that they keep their size, what they find."""

import numpy as np
import pytest

from cibench import Declined, Problem, Roles, find_estimator, find_scenario
from cibench.model.streams import stream

NAMES = ("rddensity/density", "rd/covariate-balance", "rd/placebo-cutoffs", "rd/donut-comparison")


def problem_of(name="rd/fuzzy", n=1000, replicate=0, **fields):
    scenario = find_scenario(name)(**fields)
    draw = scenario.draw(n, stream("test", name, replicate))
    return Problem.of(draw, scenario.roles)


def fails(name, replicates, **fields):
    fit = find_estimator(name).fit
    return np.mean(
        [not fit(problem_of(replicate=k, **fields), None).passed for k in range(replicates)]
    )


def test_density_is_the_librarys_jackknife_test_on_the_senate():
    from rddensity import rddensity
    from rdrobust import rdrobust_RDsenate

    x = rdrobust_RDsenate()["margin"].dropna().to_numpy()
    columns = {"y": x, "d": (x >= 0).astype(float), "x": x}
    ours = find_estimator("rddensity/density").fit(
        Problem(columns, Roles(running="x", cutoff=0.0), ()), None
    )
    direct = rddensity(x, c=0)
    assert ours.statistic == direct.test["t_jk"] and ours.p_value == direct.test["p_jk"]
    assert ours.passed


@pytest.mark.parametrize("name", NAMES)
def test_false_alarms_are_rare_where_nothing_is_wrong(name):
    found = fails(name, 60)
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.parametrize(
    ("name", "least"), [("rddensity/density", 0.4), ("rd/covariate-balance", 0.4)]
)
def test_sorting_is_found(name, least):
    # four in ten at the least is eight times the false alarms, beyond three errors of 40 fits
    assert fails(name, 40, sorting=0.4) > least


def test_covariate_balance_takes_the_smallest_p_value_times_the_number():
    from rdrobust import rdrobust

    problem = problem_of()
    p = [rdrobust(z, problem.running).pv.loc["Robust"].item() for z in problem.covariates.T]
    assert find_estimator("rd/covariate-balance").fit(problem, None).p_value == min(1, 2 * min(p))


def test_donut_comparison_is_the_difference_of_two_fits():
    from rdrobust import rdbwselect
    from statsmodels.regression.linear_model import WLS

    problem = problem_of()
    y, x = problem.outcome, problem.running
    gap = 0.15 * np.std(x)
    h = gap + rdbwselect(y, x, p=2).bws.iloc[0, 0]
    kernel = np.clip(1 - np.abs(x) / h, 0, None)
    above = (x >= 0)[:, None]
    powers = x[:, None] ** np.arange(3)
    design = np.hstack([above, powers, above * powers[:, 1:]]).astype(float)
    jumps = [WLS(y, design, w).fit().params[0] for w in (kernel, kernel * (np.abs(x) >= gap))]
    ours = find_estimator("rd/donut-comparison").fit(problem, None)
    assert np.sign(ours.statistic) == np.sign(jumps[0] - jumps[1])
    # over replicates the statistic is standard normal where nothing is wrong
    fit = find_estimator("rd/donut-comparison").fit
    z = [fit(problem_of(replicate=k), None).statistic for k in range(150)]
    assert np.mean(z) == pytest.approx(0, abs=4 / np.sqrt(150))
    assert np.std(z) == pytest.approx(1, abs=4 / np.sqrt(300))


def test_donut_comparisons_error_is_that_of_two_fits_moved_row_by_row():
    """Least squares is linear: what moving an outcome by one moves is its weight or leverage."""
    from rdrobust import rdbwselect
    from scipy.stats import norm

    problem = problem_of(n=150)
    y, x = problem.outcome, problem.running
    gap = 0.15 * np.std(x)
    h = gap + rdbwselect(y, x, p=2).bws.iloc[0, 0]
    kernel = np.clip(1 - np.abs(x) / h, 0, None)
    above, powers = (x >= 0)[:, None], (x / h)[:, None] ** np.arange(3)
    design = np.hstack([above, powers, above * powers[:, 1:]]).astype(float)

    def coefficients(outcome, weights):
        root = np.sqrt(weights)
        return np.linalg.lstsq(design * root[:, None], outcome * root, rcond=None)[0]

    def difference(outcome):
        jumps = [coefficients(outcome, w)[0] for w in (kernel, kernel * (np.abs(x) >= gap))]
        return jumps[0] - jumps[1]

    rows = np.eye(150)
    weights = np.array([difference(row) for row in rows])
    leverage = np.array([design[i] @ coefficients(row, kernel) for i, row in enumerate(rows)])
    residuals = (y - design @ coefficients(y, kernel)) / (1 - leverage)
    expected = difference(y) / np.sqrt(np.sum((weights * residuals) ** 2))
    ours = find_estimator("rd/donut-comparison").fit(problem, None)
    assert ours.statistic == pytest.approx(expected, rel=1e-6)
    assert ours.p_value == pytest.approx(2 * norm.sf(abs(expected)), rel=1e-6)


@pytest.mark.parametrize("replicate", range(3))
def test_placebo_cutoffs_are_either_sides_median_among_its_own_rows(replicate):
    from rdrobust import rdrobust

    problem, jumps = problem_of(replicate=replicate), []
    for side in (problem.running < 0, problem.running >= 0):
        x, y = problem.running[side], problem.outcome[side]
        fit = rdrobust(y, x, c=np.median(x))
        jumps.append((fit.pv.loc["Robust"].item(), fit.z.loc["Robust"].item()))
    ours = find_estimator("rd/placebo-cutoffs").fit(problem, None)
    assert ours.statistic == pytest.approx(min(jumps)[1])
    assert ours.p_value == pytest.approx(min(1, 2 * min(jumps)[0]))


@pytest.mark.parametrize("name", NAMES)
def test_rows_on_one_side_are_declined(name):
    problem = problem_of()
    one_side = Problem({**problem.columns, "x": problem.running + 2}, problem.roles, ())
    with pytest.raises(Declined, match="no rows on one side"):
        find_estimator(name).fit(one_side, None)
