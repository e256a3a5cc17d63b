"""Every reason that concerns rows or columns names them."""

import numpy as np
import pytest

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator, find_scenario
from cibench.estimators._reasons import columns_of, dependent, rows_of, uneven, units_of

ATE = (Target(Estimand.ATE),)


def test_rows_units_and_columns_in_words():
    assert rows_of(np.array([0, 1, 0], bool)) == "row 1"
    assert rows_of(np.array([1, 1, 0], bool)) == "2 rows (0, 1)"
    assert rows_of(np.ones(9, bool)) == "9 rows (0, 1, 2, 3, ...)"
    assert units_of(np.array([3_000_000_019, 3_000_000_019])) == "unit 3000000019"
    assert columns_of(["a"]) == "column 'a'"
    assert columns_of(list("abcdef")) == "columns 'a', 'b', 'c', 'd' and 2 more"


def test_dependent_columns_are_those_that_add_no_rank():
    x = np.random.default_rng(1).normal(size=(20, 2))
    columns = np.column_stack([np.ones(20), x, x[:, 0] - 2 * x[:, 1], np.full(20, 3.0)])
    names = ("", "a", "b", "c", "d")
    assert dependent(columns, names).startswith(": columns 'c', 'd' follow from those before")
    assert dependent(columns[:, :3], names[:3]) == ""


def test_uneven_panels_are_told_by_unit():
    unit, time = (index.ravel() for index in np.indices((4, 3)))
    assert uneven(unit, time) == ""
    assert uneven(unit[1:], time[1:]) == "unit 0 misses periods"
    assert uneven(np.delete(unit, [4, 9]), np.delete(time, [4, 9])) == "2 units (1, 3) miss periods"
    assert uneven(np.append(unit, 2), np.append(time, 1)) == "unit 2 is seen twice in a period"


def cross_section(**change):
    rng = np.random.default_rng(1)
    a, b, e = rng.normal(size=(3, 100))
    d = (rng.random(100) < 0.5).astype(float)
    columns = {"y": a + d + e, "d": d, "a": a, "b": b, **change}
    return Problem(columns, Roles(covariates=("a", "b")), ATE)


OBSERVABLES = ("aipw/linear", "ipw/normalised", "statsmodels/aipw", "matching/nearest-neighbour",
               "regression/by-arm", "doubleml/irm", "statsmodels/ols", "doubleml/plr",
               "lasso/double-selection", "bayes/linear-regression")  # fmt: skip


@pytest.mark.parametrize("name", OBSERVABLES)
def test_missing_values_are_told_by_column_and_row(name):
    b = np.linspace(0, 1, 100)
    b[[3, 40]] = np.nan, np.inf
    with pytest.raises(Declined, match=r"column 'b' has missing or infinite values in 2 rows \(3"):
        find_estimator(name).fit(cross_section(b=b), np.random.default_rng(1))


@pytest.mark.parametrize(
    "name", [n for n in OBSERVABLES if "lasso" not in n and "doubleml" not in n]
)
def test_collinear_columns_are_named(name):
    problem = cross_section()
    other = cross_section(b=3 - 2 * problem.columns["a"])
    with pytest.raises(Declined, match=r"collinear.*: column 'b' follows from those before"):
        find_estimator(name).fit(other, np.random.default_rng(1))


@pytest.mark.parametrize("name", OBSERVABLES[:6])
def test_a_treatment_of_other_values_is_told_by_row(name):
    d = np.arange(100.0) % 2
    d[[7, 9]] = 0.5
    with pytest.raises(Declined, match=r"column 'd' has others in 2 rows \(7, 9\)"):
        find_estimator(name).fit(cross_section(d=d), np.random.default_rng(1))


def panel_of(name, n, keep, **change):
    scenario = find_scenario(name)()
    draw = scenario.draw(n, np.random.default_rng(1))
    columns = {**draw.columns, **{k: f(draw.columns[k]) for k, f in change.items()}}
    columns = {k: c[keep(draw.columns)] for k, c in columns.items()}
    return lambda method: Problem(columns, scenario.roles, method.targets_of(scenario))


@pytest.mark.parametrize(
    ("name", "scenario", "n"),
    [
        ("sc/did", "sc/factor-model", 30), ("pysyncon/sc", "sc/factor-model", 30),
        ("did/collapsed", "did/two-group", 30), ("drdid/dr", "did/sant-anna-zhao-1", 60),
    ],
)  # fmt: skip
def test_methods_for_balanced_panels_name_the_units_that_miss_periods(name, scenario, n):
    def keep(columns):
        return (columns["unit"] != 5) | (columns["time"] != columns["time"].max())

    method = find_estimator(name)
    with pytest.raises(Declined, match="unit 5 misses periods"):
        method.fit(panel_of(scenario, n, keep)(method), np.random.default_rng(1))


@pytest.mark.parametrize("name", ["did/att-gt", "did/did2s", "did/lpdid", "did/saturated"])
def test_staggered_methods_decline_where_an_outcome_is_missing(name):
    def gap(y):
        return np.where(np.arange(y.size) == 11, np.nan, y)

    method = find_estimator(name)
    problem = panel_of("did/staggered", 50, lambda c: np.ones(c["y"].size, bool), y=gap)(method)
    with pytest.raises(Declined, match="some outcomes are missing or infinite"):
        method.fit(problem, np.random.default_rng(1))
