"""Group-time effects from an earlier base period."""

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream


def answers(name, **fields):
    scenario = find_scenario("did/two-group")(**fields)
    drawn = scenario.draw(100, stream("early"))
    problem = Problem.of(drawn, scenario.assigned_roles(), scenario.targets())
    return drawn, find_estimator(name).fit(problem, stream("fit"))


@pytest.mark.parametrize(("early", "base"), [(1, 2), (2, 1)])
def test_it_is_the_difference_from_the_earlier_period(early, base):
    scenario = find_scenario("did/two-group")()
    drawn = scenario.draw(100, stream("early"))
    problem = Problem.of(drawn, scenario.assigned_roles(), scenario.targets())
    found = find_estimator("did/att-gt-earlier-base").fit(problem, stream("fit"), early=early)
    c = drawn.columns
    mean = lambda g, t: c["y"][(c["cohort"] == g) & (c["time"] == t)].mean()  # noqa: E731
    change = [mean(4, t) - mean(4, base) - mean(0, t) + mean(0, base) for t in range(4, 8)]
    assert found.value == pytest.approx(np.mean(change), rel=1e-10)


def test_anticipation_takes_the_effect_from_the_usual_base_and_not_from_the_earlier_one():
    shares = ({}, {"anticipation": 1.0})
    usual = [answers("did/att-gt", **f)[1] for f in shares]
    early = [answers("did/att-gt-earlier-base", **f)[1] for f in shares]
    assert usual[1].value - usual[0].value == pytest.approx(-0.5)  # the whole effect
    assert early[1].value == pytest.approx(early[0].value)
    assert early[0].se == pytest.approx(usual[0].se, rel=0.2)
