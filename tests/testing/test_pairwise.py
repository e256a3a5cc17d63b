from itertools import combinations, product

import pytest

from cibench.testing.pairwise import pairwise_rows


def pairs_of(rows):
    return {pair for row in rows for pair in combinations(row.items(), 2)}


def shapes():
    """Give every shape of up to four factors with one to three values, and some larger ones."""
    for count in range(1, 5):
        yield from product((1, 2, 3), repeat=count)
    yield from [(4, 4, 3, 3, 2, 2, 2), (5, 2, 2, 2, 2, 2, 2, 2), (3,) * 8]


@pytest.mark.parametrize("shape", list(shapes()), ids=str)
def test_every_pair_of_values_meets_and_no_row_is_spare(shape):
    factors = {f"f{k}": [f"{k}{v}" for v in range(size)] for k, size in enumerate(shape)}
    rows = pairwise_rows(factors)
    everything = [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]
    assert pairs_of(rows) == pairs_of(everything)
    assert rows[0] == {name: values[0] for name, values in factors.items()}
    assert len(rows) <= len(everything)
    for spare in rows[1:]:  # each row closes a pair that none before it holds
        before = rows[: rows.index(spare)]
        assert len(shape) == 1 or pairs_of([spare]) - pairs_of(before)
    assert {v for row in rows for v in row.items()} == {
        v for row in everything for v in row.items()
    }


def test_the_rows_are_far_fewer_than_the_crossing():
    """Eight factors of three values: 6,561 crossed, 9 at the least, near 20 by greed."""
    assert len(pairwise_rows({str(k): (0, 1, 2) for k in range(8)})) <= 24


def test_it_is_the_same_every_time_and_needs_values():
    factors = {"a": (1, 2, 3), "b": "xyz", "c": (True, False)}
    assert pairwise_rows(factors) == pairwise_rows(dict(factors))
    with pytest.raises(ValueError, match="b has no values"):
        pairwise_rows({"a": (1,), "b": ()})
    assert pairwise_rows({"a": (1,)}) == [{"a": 1}]
