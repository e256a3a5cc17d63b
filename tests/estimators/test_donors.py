"""Blocks, placebos and the limits made of them; data that is not for synthetic control."""

import numpy as np
import pytest

from cibench import (
    Declined,
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.estimators import _donors
from cibench.model.streams import stream

ROLES = Roles(unit="unit", time="time")
ASKED = (Target(Estimand.ATT),)
METHODS = (
    "pysyncon/sc", "pysyncon/penalised", "pysyncon/augmented", "pysyncon/robust", "sc/sdid",
    "sc/did", "sc/pre-fit",
)  # fmt: skip


def problem(units=8, periods=10, before=7, treated=1, **columns):
    unit, time = np.indices((units, periods)).reshape(2, -1)
    y = stream("test", "donors").normal(size=unit.size) + unit + np.sin(time)
    d = ((unit < treated) & (time >= before)).astype(float)
    return Problem({"y": y, "d": d, "unit": unit, "time": time, **columns}, ROLES, ASKED)


def fit(name, given, **options):
    return find_estimator(name).fit(given, stream("fit"), **options)


def test_a_block_holds_units_by_periods_whatever_the_order_of_rows():
    given = problem(treated=2)
    order = np.random.default_rng(0).permutation(80)
    mixed = Problem({k: c[order] for k, c in given.columns.items()}, ROLES, ASKED)
    for each in (given, mixed):
        block = _donors.block(each)
        assert np.array_equal(block.treated, given.outcome.reshape(8, 10)[:2])
        assert np.array_equal(block.donors, given.outcome.reshape(8, 10)[2:])
        assert block.before == 7
    chosen = block.placebo(np.array([1, 3]))
    assert np.array_equal(chosen.treated, block.donors[[1, 3]])
    assert np.array_equal(chosen.donors, block.donors[[0, 2, 4, 5]])


@pytest.mark.parametrize("name", METHODS)
def test_unsuitable_panels_are_declined_in_words(name):
    plain = problem()
    late = ((plain.columns["unit"] == 1) & (plain.columns["time"] >= 8)).astype(float)
    with pytest.raises(Declined, match="all units are treated: there are no donors"):
        fit(name, problem(treated=8))
    with pytest.raises(Declined, match="no unit is treated"):
        fit(name, problem(treated=0))
    with pytest.raises(Declined, match="before treatment or more; here are 0"):
        fit(name, problem(before=0))
    with pytest.raises(Declined, match="all treated from one period on and stay so"):
        fit(name, problem(d=plain.treatment + late))
    with pytest.raises(Declined, match="all treated from one period on and stay so"):
        fit(name, problem(d=np.where(plain.columns["time"] == 9, 0.0, plain.treatment)))
    with pytest.raises(Declined, match="seen once in each of the same periods"):
        fit(name, problem(time=np.arange(80)))
    with pytest.raises(Declined, match="missing or infinite"):
        fit(name, problem(y=np.where(plain.columns["unit"] == 3, np.nan, plain.outcome)))
    with pytest.raises(Declined, match=r"donors for \d treated"):
        fit(name, problem(treated=5))


def test_without_donors_to_spare_there_are_no_placebos():
    block = _donors.block(problem(units=3))
    with pytest.raises(Declined, match="2 donors for 1 treated: too few"):
        _donors.placebos(block, lambda _: 0.0, stream("x"), 10)


def test_one_treated_unit_takes_each_donor_in_turn_several_take_random_sets():
    one = _donors.block(problem())
    seen = _donors.placebos(one, lambda b: float(b.treated[0, 0]), stream("x"), 20)
    assert np.array_equal(seen, one.donors[:, 0])
    several = _donors.block(problem(treated=3))
    sizes = _donors.placebos(
        several, lambda b: float(10 * len(b.treated) + len(b.donors)), stream("x"), 9
    )
    assert np.array_equal(sizes, np.full(9, 32.0))


def test_ranks_invert_the_placebo_test():
    errors = np.linspace(-1, 1, 39)
    given = _donors.judged(0.3, errors, 0.95, "ranks")
    for presumed in np.linspace(-2, 2, 400):
        as_large = 1 + np.sum(np.abs(errors) >= abs(0.3 - presumed))
        inside = given.low <= presumed <= given.high
        assert inside == (as_large / 40 > 0.05)
    assert given.p_value == (1 + np.sum(np.abs(errors) >= 0.3)) / 40
    few = _donors.judged(0.3, errors[:10], 0.95, "ranks")
    assert (few.low, few.high) == (-np.inf, np.inf)
    normal = _donors.judged(0.3, errors, 0.95, "normal")
    assert normal.high - 0.3 == pytest.approx(1.959964 * errors.std())
    with pytest.raises(ValueError, match="neither 'normal' nor 'ranks'"):
        _donors.judged(0.3, errors, 0.95, "rank")


def test_ranks_cover_in_nineteen_of_twenty_data_sets_where_units_are_alike():
    rounds, inside = 1500, 0
    for k in range(rounds):
        block = _donors.Block(*np.split(stream("alike", k).normal(size=(20, 2)), [1]), before=1)

        def change(one):
            gap = one.treated.mean(axis=0) - np.median(one.donors, axis=0)
            return float(gap[1] - gap[0])

        errors = _donors.placebos(block, change, stream("p"), 19)
        given = _donors.judged(change(block), errors, 0.9, "ranks")
        inside += given.low <= 0 <= given.high
    assert inside / rounds == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / rounds) + 0.01)


def test_a_missing_library_is_named_with_its_pip_command(monkeypatch):
    monkeypatch.setattr(
        "cibench.model.method.installed", lambda module: module not in ("pysyncon", "diff_diff")
    )
    scenario = find_scenario("sc/factor-model")()
    assert find_estimator("pysyncon/sc").declines(scenario) == (
        "is not installed: pip install pysyncon"
    )
    assert find_estimator("sc/sdid").declines(scenario) == "is not installed: pip install diff-diff"
    assert find_estimator("sc/did").declines(scenario) is None
