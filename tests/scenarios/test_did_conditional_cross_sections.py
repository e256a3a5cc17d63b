import numpy as np
import pytest

from cibench import BadInput
from cibench.model.design import configure, find_scenario

NAME, N = "did/conditional-cross-sections", 400_000


def drawn(**fields):
    scenario = configure(find_scenario(NAME), fields)
    return scenario.draw(N, np.random.default_rng(5)).columns


def of_means(columns, outcome):
    """Return the difference in differences of the four means."""
    group, time = columns["cohort"], columns["time"]
    means = [[outcome[(group == g) & (time == t)].mean() for t in (0, 1)] for g in (0, 1)]
    return (means[1][1] - means[1][0]) - (means[0][1] - means[0][0])


def adjusted(columns, covariates):
    """Return the change of the treated less that which lines of the untreated predict for them."""
    group, time, y = (columns[name] for name in ("cohort", "time", "y"))
    x = np.column_stack([np.ones(N), *(columns[name] for name in covariates)])
    lines = [np.linalg.lstsq(x[u], y[u], rcond=None)[0]
             for t in (0, 1) for u in [(group == 0) & (time == t)]]  # fmt: skip
    before, after = ((group == 1) & (time == t) for t in (0, 1))
    change = y[after].mean() - y[before].mean()
    return change - (x[after].mean(0) @ lines[1] - x[before].mean(0) @ lines[0])


@pytest.mark.parametrize(("covariate", "mean"), [("continuous", 0.75), ("factor", 0.4582)])
def test_the_stated_biases_of_means(covariate, mean):
    """In errors of four means of a quarter of the rows each, at most 0.004 x sqrt(4) here."""
    columns = drawn(covariate=covariate)
    assert abs(of_means(columns, columns["y"]) - 0.5 - 0.5 * mean) < 0.03
    # the periods' own means, which are drawn, are not of what is stated
    d, y = columns["d"] == 1, columns["y"].copy()
    for period in (0, 1):
        untreated = (columns["time"] == period) & (columns["cohort"] == 0)
        center = 0.0 if covariate == "continuous" else 1.0
        level = center + (0.5 * center if period else 0.0)
        y[columns["time"] == period] -= y[untreated].mean() - level
    stated = 2 / 3 * (1 + mean) + 0.5 * mean
    extra = 0.0 if covariate == "continuous" else 2 / 3 * 0.5
    assert abs(y[d].mean() - y[~d].mean() - 0.5 - stated - extra) < 0.03


@pytest.mark.parametrize(
    ("covariate", "misfit", "bias"),
    [("continuous", 0.0, 0.0), ("continuous", 0.5, 0.75**2 * 0.5 / np.sqrt(2)),
     ("factor", 0.0, 0.0), ("factor", 0.5, 0.0)],
)  # fmt: skip
def test_a_line_is_off_by_what_the_curve_adds_and_a_factor_by_nothing(covariate, misfit, bias):
    columns = drawn(covariate=covariate, misfit=misfit)
    names = ("x",) if covariate == "continuous" else ("second", "third")
    assert abs(adjusted(columns, names) - 0.5 - bias) < 0.03


def test_another_covariate_is_refused():
    with pytest.raises(BadInput, match="'discrete' is neither continuous nor factor"):
        configure(find_scenario(NAME), {"covariate": "discrete"})
