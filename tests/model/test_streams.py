import os
import random

import numpy as np
import pytest
from commands import python

from cibench.model.streams import (
    data_address,
    digest,
    fit_address,
    seed_global_state,
    stream,
)


def test_equal_addresses_give_equal_streams():
    one, two = (stream("data", 1, "rd/cct-1", 500, 7).random(5) for _ in range(2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "other",
    [(2, "rd/a", 500, 7), (1, "rd/b", 500, 7), (1, "rd/a", 501, 7), (1, "rd/a", 500, 8)],
)
def test_every_part_of_a_data_address_matters(other):
    assert digest(*data_address(1, "rd/a", 500, 7)) != digest(*data_address(*other))


def test_a_fit_has_another_stream_than_its_data_and_than_another_estimator():
    data = data_address(1, "rd/a", 500, 7)
    one, two = (fit_address(1, "rd/a", 500, 7, name) for name in ("x/one", "x/two"))
    again = fit_address(1, "rd/a", 500, 7, "x/one", refit=1)
    assert len({digest(*a) for a in (data, one, two, again)}) == 4


def test_no_stream_runs_into_another():
    """No number comes twice, of a fit, of its data or of the replicates beside it."""
    addresses = [data_address(1, "rd/a", 500, r) for r in range(40)]
    addresses += [fit_address(1, "rd/a", 500, r, name) for r in range(40) for name in ("x", "y")]
    addresses += [fit_address(1, "rd/a", 500, r, "x", refit=1) for r in range(40)]
    drawn = [stream(*address).integers(0, 2**63, 200) for address in addresses]
    assert np.unique(drawn).size == 160 * 200


def test_parts_cannot_run_into_each_other():
    assert digest("a", "bc") != digest("ab", "c")
    assert digest("1", 12) != digest("11", 2)


def test_addresses_do_not_depend_on_pythons_hash_seed():
    code = "from cibench import stream; print(stream('data', 1, 'rd/a', 500, 7).random())"
    printed = {
        python("-c", code, env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")
    }
    assert len(printed) == 1 and printed != {""}


def test_the_derivation_is_pinned_since_published_tables_rest_on_it():
    assert digest("data", 1, "rd/cct-1", 500, 0).hex()[:16] == "146cd8fa81c82cf5"


def test_streams_of_neighbouring_replicates_are_uncorrelated():
    draws = np.array(
        [stream(*data_address(1, "rd/a", 500, r)).normal(size=200) for r in range(400)]
    )
    correlation = np.corrcoef(draws)[np.triu_indices(400, 1)]
    assert abs(correlation.mean()) < 4 / np.sqrt(correlation.size * 200)
    assert np.abs(correlation).max() < 6 / np.sqrt(200)


def test_global_states_follow_the_address():
    def both(address):
        seed_global_state(address)
        return random.random(), np.random.random()

    first = both(("fit", 1))
    assert both(("fit", 1)) == first
    assert all(a != b for a, b in zip(both(("fit", 2)), first, strict=True))
