"""A ranking by generators: what stands, what is undecided, what is reversed."""

import numpy as np
import pandas as pd
import pytest

from cibench.suite.parse import find_suite
from cibench.twins.generator_ranking import ranking
from cibench.utils.errors import BadInput


def made(values, error=0.01):
    rows = [
        {"scenario": f"twin/rd-{family}", "dial": None, "estimator": name, "rmse": rmse,
         "rmse_mcse": error}
        for family, scores in values.items() for name, rmse in scores.items()
    ]  # fmt: skip
    told = {f"twin/rd-{f}": {"doc": f"Fitted.\n\nf estimated; generator {f}."} for f in values}
    return ranking(pd.DataFrame(rows), {"scenarios": told})


def test_an_order_that_every_generator_agrees_on_survives():
    found = made({f: {"a": 1.0, "b": 1.2} for f in ("vine", "gaussian", "trees")})
    assert found.reversals == []
    assert found.undecided == []
    assert found.all.value.tolist() == pytest.approx([1.0, 1.2])
    assert found.all.se.tolist() == pytest.approx([0.01 / 3**0.5] * 2)


def test_an_order_that_rests_on_one_generator_does_not():
    values = {f: {"a": 1.1, "b": 1.0} for f in ("vine", "gaussian")}
    found = made({**values, "trees": {"a": 1.0, "b": 2.0}})
    assert found.reversals == [("trees", "a", "b")]


def test_ties_are_hardly_ever_said_to_be_decided():
    """Six exact ties on four generators: of 400 runs at most 5 in 100 decide any pair."""
    rng, runs = np.random.default_rng(6), 400
    families, names = ("vine", "gaussian", "trees", "bootstrap"), "abcdef"
    decided = 0
    for _ in range(runs):
        found = made({f: {n: 1 + 0.01 * rng.normal() for n in names} for f in families})
        orders = [found.all, *found.alone, *found.without]
        pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
        decided += any(order.before(i, j) for order in orders for i, j in pairs)
    assert decided / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({f: {"a": 1.0, "b": 1.001} for f in ("u", "v", "w")}, "no ranking to survive"),
        ({f: {"a": 1.0, "b": 1.2} for f in ("u", "v", "w")}, "ranking survives"),
        ({"u": {"a": 1, "b": 1.4}, "v": {"a": 1, "b": 1.01}, "w": {"a": 1, "b": 1.0}},
         "rests in part on one"),
        ({"u": {"a": 1.1, "b": 1}, "v": {"a": 1.1, "b": 1}, "w": {"a": 1, "b": 2}},
         "does not survive"),
    ],
)  # fmt: skip
def test_the_verdict_says_no_more_than_the_pairs_do(values, words):
    assert words in made(values).verdict


def test_two_generators_are_too_few():
    with pytest.raises(BadInput, match="3 generators or more"):
        made({f: {"a": 1.0, "b": 1.2} for f in ("vine", "gaussian")})


def test_the_suite_reads_and_holds_every_generator(shelves):
    suite = find_suite("twins")
    assert len(suite.scenarios) == 4
    assert len(suite.cells[0].entrants) == 5
