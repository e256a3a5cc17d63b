"""Limits for an instrument that may move the outcome by itself."""

from dataclasses import replace

import numpy as np
import pytest

from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream

NAME = "iv/plausibly-exogenous"


def problem(replicate=0, **fields):
    scenario = find_scenario("iv/just-identified")(**fields)
    drawn = scenario.draw(500, stream("plausible", replicate))
    return Problem.of(drawn, scenario.assigned_roles(), scenario.targets())


def fit(one, name=NAME, **options):
    return find_estimator(name).fit(one, stream("fit"), **options)


def test_no_direct_effect_gives_two_stage_least_squares():
    one = problem()
    wanted = fit(one, "linearmodels/2sls")
    found = fit(one, direct=0.0)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert found.value is None


def test_the_ends_are_the_union_over_all_direct_effects_between():
    one = problem()
    z = one.columns["z"]
    ends = []
    for effect in np.linspace(-0.2, 0.2, 41):
        moved = replace(one, columns={**one.columns, "y": one.outcome - effect * z})
        part = fit(moved, "linearmodels/2sls")
        ends.append((part.low, part.high))
    low, high = np.array(ends).T
    found = fit(one, direct=0.2)
    assert (found.low, found.high) == pytest.approx((low.min(), high.max()), rel=1e-12)


def test_it_covers_where_the_direct_effect_is_within_reach_and_else_need_not():
    # off by direct / pi = 0.1 / sqrt(100 / 500) = 0.224, the union reaches as far; beyond it fails
    covered = {}
    for direct in (0.1, 0.3):
        found = [fit(problem(r, rho=0.5, direct=direct)) for r in range(200)]
        covered[direct] = np.mean([e.low <= 1 <= e.high for e in found])
    assert covered[0.1] > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)
    assert covered[0.3] < 0.5


def test_several_instruments_are_declined():
    scenario = find_scenario("iv/many")()
    drawn = scenario.draw(500, stream("many"))
    one = Problem.of(drawn, scenario.assigned_roles(), scenario.targets())
    with pytest.raises(Declined, match="takes one instrument; here are 10"):
        fit(one)
