"""The pre-fit diagnostic: it sees what no weights can reach and holds its size elsewhere."""

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.estimators import _donors, pysyncon
from cibench.model.streams import stream

SC = find_scenario("sc/factor-model")


def passes(replicate, n=30, **fields):
    draw = SC(treated=1, **fields).draw(n, stream("test", "pre-fit", replicate))
    problem = Problem.of(draw, SC.roles, SC().targets())
    return problem, find_estimator("sc/pre-fit").fit(problem, stream("fit"))


def test_the_statistic_is_the_misfit_over_the_placebos_median():
    problem, given = passes(0)
    block = _donors.block(problem)
    misfits = []
    for chosen in (None, *range(len(block.donors))):
        one = block if chosen is None else block.placebo(np.array([chosen]))
        gap = one.gap(pysyncon.plain(one))[: one.before]
        misfits.append(np.sqrt((gap**2).mean()))
    own, others = misfits[0], np.array(misfits[1:])
    assert given.statistic == own / np.median(others)
    assert given.p_value == (1 + (others >= own).sum()) / (1 + others.size)
    assert given.passed == (given.p_value > 0.05)


@pytest.mark.slow
def test_what_lies_far_outside_the_hull_is_seen():
    assert not any(passes(k, outside=8.0)[1].passed for k in range(3))
    assert np.mean([passes(k, interactive=0.0)[1].passed for k in range(6)]) > 0.6
