"""Sums and products among columns: the same as by trying all, in time that tables allow."""

import time
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cibench.twins.design import Design
from cibench.twins.fit.identities import find_identities
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.formula import Formula


def by_trying_all(columns):
    """Return the identities as all pairs, triples and fours give them, in the same order."""

    def same(a, b):
        return np.all(np.abs(a - b) <= 1e-9 * max(np.abs(a).max(), np.abs(b).max()))

    derived = {}
    for name in columns:
        if any(name in parts for _, parts in derived.values()):
            continue
        others = [o for o in columns if o != name and o not in derived]
        tries = [("*", p) for p in combinations(others, 2)]
        tries += [("+", p) for size in (2, 3, 4) for p in combinations(others, size)]
        for operator, parts in tries:
            values = [columns[p] for p in parts]
            whole = np.prod(values, axis=0) if operator == "*" else np.sum(values, axis=0)
            if same(columns[name], whole):
                derived[name] = operator, frozenset(parts)
                break
    return derived


def content(found):
    return {
        d.name: ("*" if "*" in d.formula else "+", frozenset(Formula(d.formula).names))
        for d in found
    }  # fmt: skip


KINDS = {
    "real": lambda rng, n: rng.normal(size=n),
    "money": lambda rng, n: np.round(rng.lognormal(3, 1, n), 2),
    "counts": lambda rng, n: rng.poisson(2, n).astype(float),
    "rare": lambda rng, n: rng.poisson(0.02, n).astype(float),
}


@given(
    seed=st.integers(0, 10**6), plain=st.integers(3, 7), wholes=st.integers(0, 3),
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=7, max_size=7), nested=st.booleans(),
)  # fmt: skip
def test_they_are_those_that_trying_all_gives(seed, plain, wholes, kinds, nested):
    rng = np.random.default_rng(seed)
    columns = {f"c{i}": KINDS[kinds[i]](rng, 250) for i in range(plain)}
    columns = {n: c for n, c in columns.items() if np.ptp(c) > 0}
    unused = [*columns]
    for k in range(wholes):
        names = unused if nested else [n for n in columns if n.startswith("c")]
        if len(names) < 2:
            break
        parts = rng.choice(names, min(len(names), rng.integers(2, 5)), replace=False).tolist()
        operate = np.prod if k % 2 and len(parts) == 2 else np.sum
        columns[f"whole{k}"] = operate([columns[p] for p in parts], axis=0)
        unused = [*(n for n in unused if n not in parts), f"whole{k}"]
    columns = {n: c for n, c in columns.items() if np.ptp(c) > 0}
    order = rng.permutation(list(columns)).tolist()
    columns = {n: columns[n] for n in order}
    found = content(find_identities(columns))
    for name, (operator, parts) in found.items():
        values = [columns[p] for p in parts]
        whole = np.prod(values, axis=0) if operator == "*" else np.sum(values, axis=0)
        assert np.allclose(columns[name], whole, rtol=1e-9)
    wanted = by_trying_all(columns)
    if wholes <= 1:
        assert {n: f[0] for n, f in found.items()} == {n: f[0] for n, f in wanted.items()}
    else:  # sums of sums may be told in several ways, each of which holds, as seen above
        assert len(found) >= len(wanted) - 1 and bool(found) == bool(wanted)


@pytest.mark.parametrize("parts", [2, 3, 5, 8, 12])
@pytest.mark.parametrize("width", [20, 60])
def test_sums_of_many_columns_are_found_among_many(parts, width):
    rng = np.random.default_rng(parts)
    columns = {f"c{i}": np.round(rng.lognormal(3, 1, 500), 2) for i in range(width)}
    chosen = [f"c{i}" for i in range(0, parts)]
    columns = {"total": np.sum([columns[c] for c in chosen], axis=0), **columns}
    columns["bill"] = columns["c15"] * columns["c16"]
    found = content(find_identities(columns))
    assert found == {"total": ("+", frozenset(chosen)), "bill": ("*", frozenset(["c15", "c16"]))}


def test_a_total_in_another_unit_hides_no_parts():
    rng = np.random.default_rng(0)
    a, b, c = np.round(rng.lognormal(3, 1, (3, 300)), 2)
    columns = {"cents": 100 * (a + b + c), "total": a + b + c, "a": a, "b": b, "c": c}
    assert content(find_identities(columns)) == {"total": ("+", frozenset("abc"))}


def seconds(width, rows=1000):
    rng = np.random.default_rng(0)
    columns = {f"c{i}": rng.normal(size=rows) for i in range(width)}
    columns["total"] = sum(columns[f"c{i}"] for i in range(6))
    start = time.process_time()
    found = find_identities(columns)
    assert [d.name for d in found] == ["total"]
    return time.process_time() - start


def test_a_hundred_columns_more_are_a_matter_of_seconds():
    """Trying all sums of up to four took 45 s for 40 columns, and 139 never ended."""
    assert seconds(139) < 20
    slope = np.log(seconds(160) / seconds(40)) / np.log(4)
    assert slope < 3.7  # trying all has 5


def test_where_chance_makes_sums_none_of_many_columns_are_looked_for_and_that_is_said():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{i}": rng.normal(size=100) for i in range(60)})
    frame = frame.assign(pair=frame["c1"] + frame["c2"], d=rng.integers(0, 2, 100), y=frame["c0"])
    frame["y"] += rng.normal(size=100)
    seed = seed_of(frame, Design("observables", "y", treatment="d"))
    (identity,) = seed.derived
    assert {identity.name, *Formula(identity.formula).names} == {"pair", "c1", "c2"}
    assert any(note.startswith("sums of more than two columns are not looked for: 62 columns")
               for note in seed.notes)  # fmt: skip
