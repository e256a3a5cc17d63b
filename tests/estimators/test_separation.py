"""Separated covariates: told by column and row, left out on demand, and never taken for overlap."""

import numpy as np
import pytest
from scipy.optimize import linprog

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator
from cibench.estimators._separation import separation

NAMES = ("ipw/horvitz-thompson", "ipw/normalised", "ipw/trimmed", "aipw/linear",
         "statsmodels/ipw", "statsmodels/aipw")  # fmt: skip
ROWS = [17, 233, 900, 1544]


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(1), **options)


def rare(n=2000, seed=3, rows=ROWS, arm=0.0, estimand=Estimand.ATE):
    """Return rows with propensities from 0.1 to 0.7 and a category of four, all of one arm."""
    rng = np.random.default_rng(seed)
    a, e = rng.normal(size=(2, n))
    g = np.zeros(n)
    g[rows] = 1
    d = (rng.random(n) < np.clip(0.35 + 0.12 * a, 0.1, 0.7)).astype(float)
    d[rows] = arm
    y = a + d + e
    roles = Roles(covariates=("a", "g"))
    return Problem({"y": y, "d": d, "a": a, "g": g}, roles, (Target(estimand),))


@pytest.mark.parametrize("name", [*NAMES, "observables/balance"])
@pytest.mark.parametrize(("arm", "who"), [(0.0, "untreated"), (1.0, "treated")])
def test_a_category_of_one_arm_is_named_with_its_rows(name, arm, who):
    with pytest.raises(Declined) as told:
        fit(name, rare(arm=arm))
    rows = "4 rows (17, 233, 900, 1544)"
    assert str(told.value) == f"no overlap: column 'g' is 1 in {rows}, all of them {who}"


@pytest.mark.parametrize("name", NAMES)
def test_on_demand_it_is_left_out_with_a_warning_and_nothing_else_changes(name):
    problem = rare()
    without = Problem(problem.columns, Roles(covariates=("a",)), problem.targets)
    with pytest.warns(UserWarning, match="left out: column 'g' is 1 in 4 rows"):
        dropped = fit(name, problem, separated="drop")
    plain = fit(name, without)
    assert (dropped.value, dropped.se) == pytest.approx((plain.value, plain.se), rel=1e-10)
    assert dropped.value == pytest.approx(1, abs=4 * dropped.se)


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_separates_the_option_changes_nothing(name):
    problem = rare(rows=[])
    columns = {**problem.columns, "g": np.arange(2000.0) % 2}
    problem = Problem(columns, problem.roles, problem.targets)
    assert fit(name, problem, separated="drop").value == fit(name, problem).value
    with pytest.raises(ValueError, match="separated = 'keep' is none of decline, drop"):
        fit(name, problem, separated="keep")


def test_certain_treatment_of_everybody_is_declined_whatever_is_asked():
    problem = rare(rows=[])
    c = {**problem.columns, "d": (problem.columns["a"] > 0).astype(float)}
    c["g"] = np.arange(2000.0) % 2
    for option in ("decline", "drop"):
        with pytest.raises(Declined, match="all but determine who is treated: column 'a' is below"):
            fit("aipw/linear", Problem(c, problem.roles, problem.targets), separated=option)


def test_two_columns_that_separate_together_are_named():
    rng = np.random.default_rng(2)
    a, b = rng.integers(2, size=(2, 400)).astype(float)
    d = (rng.random(400) < 0.5).astype(float)
    d[a + b == 2], d[a + b == 0] = 1.0, 0.0  # for certain with both or neither, alone by chance
    found = separation(d, np.column_stack([np.ones(400), a, b]), ("", "a", "b"))
    assert found.columns == [1, 2]
    assert np.array_equal(found.rows, a + b != 1)
    assert found.words.startswith("columns 'a', 'b' tell together for certain who is treated in ")


def brute(d, x):
    """Say whether a combination separates, by a linear programme of another form (feasibility).

    Some row's margin is 1 while no row is on the wrong side.
    """
    signed = (2 * d - 1)[:, None] * x
    for row in signed:
        found = linprog(
            np.zeros(x.shape[1]), A_ub=-signed, b_ub=np.zeros(d.size), A_eq=row[None], b_eq=[1.0],
            bounds=(None, None),
        )  # fmt: skip
        if found.status == 0:
            return True
    return False


def test_it_finds_what_a_search_over_all_rows_finds():
    rng, both = np.random.default_rng(7), {True: 0, False: 0}
    for _ in range(120):
        n = 8
        x = np.column_stack([np.ones(n), rng.integers(3, size=n), rng.normal(size=n)])
        d = (rng.random(n) < 0.4).astype(float)
        if np.ptp(d) == 0:
            continue
        there = separation(d, x, ("", "a", "b")) is not None
        assert there == brute(d, x)
        both[there] += 1
    assert min(both.values()) >= 10


def test_the_logit_without_an_answer_says_what_it_came_to():
    """Propensities at 0 by a far outlier that separates nothing."""
    rng = np.random.default_rng(5)
    a = rng.normal(size=300)
    d = (rng.random(300) < 1 / (1 + np.exp(-3 * a))).astype(float)
    a[0], d[0] = -30.0, 0.0
    a[1], d[1] = -2.5, 1.0
    problem = Problem({"y": a, "d": d, "a": a}, Roles(covariates=("a",)), (Target(Estimand.ATE),))
    with pytest.raises(Declined) as told:
        fit("aipw/linear", problem)
    assert "column 'a'" in str(told.value) or "of 0 or 1 in row 0" in str(told.value)
