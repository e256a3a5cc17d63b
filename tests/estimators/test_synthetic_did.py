"""Synthetic DiD against another implementation, plain differences against their closed form."""

import numpy as np
import pytest

from cibench import Estimand, Problem, Target, find_estimator, find_scenario
from cibench.estimators import _donors
from cibench.model.streams import stream

ASKED = (Target(Estimand.ATT),)
SC = find_scenario("sc/factor-model")


def drawn(replicate=0, **fields):
    draw = SC(**fields).draw(50, stream("test", "sdid", replicate))
    return Problem.of(draw, SC.roles, ASKED)


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, stream("fit"), **options)


@pytest.mark.parametrize("fields", [{}, {"treated": 1}, {"outside": 2.0}, {"lost": 20.0}])
def test_sdid_is_that_of_the_port_of_the_authors_package(fields):
    synthdid = pytest.importorskip("synthdid")
    for replicate in range(1):
        problem = drawn(replicate, **fields)
        block = _donors.block(problem)
        stacked = np.concatenate([block.donors, block.treated])
        other = synthdid.synthdid_estimate(stacked, len(block.donors), block.before)
        assert fit("sc/sdid", problem, placebos=2).value == pytest.approx(float(other), abs=1e-6)


def test_placebo_errors_are_those_of_the_other_implementation_up_to_the_sets_drawn():
    synthdid = pytest.importorskip("synthdid")
    problem = drawn(treated=3)
    block = _donors.block(problem)
    values = []
    for k in range(24):
        chosen = stream("set", k).permutation(len(block.donors))[: len(block.treated)]
        given = block.placebo(chosen)
        stacked = np.concatenate([given.donors, given.treated])
        values.append(float(synthdid.synthdid_estimate(stacked, len(given.donors), given.before)))
    ours = fit("sc/sdid", problem, placebos=150).se
    assert ours == pytest.approx(np.std(values), rel=4 * np.sqrt(1 / 48 + 1 / 300))


def test_differences_are_the_four_averages():
    problem = drawn()
    y, d = problem.outcome.reshape(50, -1), problem.treatment.reshape(50, -1)
    group = d.any(axis=1)
    change = y[:, 30:].mean(axis=1) - y[:, :30].mean(axis=1)
    given = fit("sc/did", problem)
    assert given.value == pytest.approx(change[group].mean() - change[~group].mean())
    # placebo errors: those of random sets of donors against the rest
    n1, others = int(group.sum()), change[~group]
    n0 = others.size - n1
    exact = others.std(ddof=1) * np.sqrt(1 / n1 + 1 / n0)
    assert given.se == pytest.approx(exact, rel=4 / np.sqrt(400))


@pytest.mark.slow
def test_the_published_ordering_shows():
    errors = {name: [] for name in ("sc/sdid", "pysyncon/sc", "sc/did")}
    for replicate in range(40):
        problem = drawn(replicate, effect=0.0, noise=0.0)
        for name, values in errors.items():
            values.append(fit(name, problem, placebos=2).value)
    rmse = {name: np.sqrt(np.mean(np.square(values))) for name, values in errors.items()}
    assert rmse["sc/sdid"] < rmse["pysyncon/sc"] < 0.5 * rmse["sc/did"]


def test_seeds_come_from_the_harness_alone():
    problem = drawn()
    np.random.seed(1)
    one = fit("sc/sdid", problem, placebos=10)
    np.random.seed(2)
    assert fit("sc/sdid", problem, placebos=10).se == one.se
