"""The biases that the docstrings of the DiD scenarios state, each to the digits it is stated with.

Least squares is linear in the outcome, and dials leave the noise as it is: the difference between
two settings on the same noise is the difference of their biases, with no Monte Carlo error.
"""

import re
import sys

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream

TWFE, NAIVE = "panel/twfe", "naive/difference-in-means"
GROUP, PERIOD, CROSS = "did/two-group", "did/two-period", "did/repeated-cross-sections"
STATED = [  # scenario, method, where it is unbiased, where it is not, the bias as stated
    (GROUP, NAIVE, {"gap": 0}, {}, "0.667"),
    (GROUP, TWFE, {}, {"trend": 0.1}, "0.4"),
    (GROUP, TWFE, {}, {"shock": 0.5}, "0.5"),
    (GROUP, TWFE, {}, {"anticipation": 1}, "-0.125"),
    (GROUP, TWFE, {}, {"spillover": 1}, "-0.5"),
    (PERIOD, NAIVE, {"gap": 0, "imbalance": 0}, {}, "1.333"),
    (PERIOD, TWFE, {}, {"trend": 0.5}, "0.5"),
    (PERIOD, TWFE, {}, {"anticipation": 1}, "-0.5"),
    (PERIOD, TWFE, {}, {"spillover": 1}, "-0.5"),
    (CROSS, NAIVE, {"gap": 0, "imbalance": 0}, {}, "1.000"),
    ("did/state-panel", TWFE, {}, {"trend": 0.05}, "0.525"),
    ("did/staggered", NAIVE, {"gap": 0}, {}, "0.319"),
    ("did/staggered", TWFE, {}, {"trend": 0.05}, "0.088"),
    ("did/staggered", TWFE, {}, {"anticipation": 1}, "-0.067"),
]


def answer(name, method, fields, n=200):
    cls = find_scenario(name)
    scenario = cls(**fields)
    drawn = scenario.draw(n, stream("stated", name))
    problem = Problem.of(drawn, scenario.assigned_roles(), scenario.targets()[:1])
    return find_estimator(method).fit(problem, stream("stated")).value


@pytest.mark.parametrize(("name", "method", "right", "wrong", "stated"), STATED)
def test_a_method_is_off_by_what_the_docstring_says(name, method, right, wrong, stated):
    doc = sys.modules[find_scenario(name).__module__].__doc__
    assert re.search(rf"(?<![\d.-]){re.escape(stated)}(?!\d|\.\d)", doc)
    found = answer(name, method, wrong) - answer(name, method, right)
    digits = len(stated.partition(".")[2])
    assert found == pytest.approx(float(stated), abs=0.5 * 10.0**-digits + 1e-9)


def test_unbiased_is_what_the_other_end_of_each_difference_is():
    # the naive method where groups start alike, two-way fixed effects at the defaults
    for name, method, right, _, _ in STATED:
        cls = find_scenario(name)
        effects = np.array([answer_at(cls, method, right, k) for k in range(40)])
        error = effects.std(ddof=1) / np.sqrt(40)
        assert abs(effects.mean() - cls().effect) < 4 * error


def answer_at(cls, method, fields, replicate):
    drawn = cls(**fields).draw(48, stream("unbiased", cls.name, replicate))
    d, y = drawn.columns["d"], drawn.columns["y"]
    if method == NAIVE:
        return y[d == 1].mean() - y[d == 0].mean()
    return twfe(drawn, 48)


def twfe(drawn, n):
    y, d = (drawn.columns[name].reshape(n, -1) for name in ("y", "d"))
    rest = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
    return (y * rest).sum() / (rest**2).sum()
