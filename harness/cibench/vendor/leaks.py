"""Look in what leaves for what must not: seed rows, extremes, rare values and real labels."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cibench.twins.columns import Column
from cibench.twins.seed import Seed
from cibench.vendor.limits import Limits

if TYPE_CHECKING:
    import pandas as pd


def leaks(files: Mapping[str, str], frame: pd.DataFrame, seed: Seed, limits: Limits) -> list[str]:
    """Return in words what a bundle's data files hold that must not leave, nothing if all is well.

    The outcome is made anew from the structure, the residual and the effect, so its extremes are
    nobody's; where it is a whole number they may meet the seed's by chance.
    """
    import pandas as pd

    drawn = pd.concat(
        [pd.read_csv(io.StringIO(text)) for name, text in files.items() if name.startswith("data/")]
    )
    found = list(_rows(drawn, frame, seed))
    for column in seed.known:
        free = column.name in (*limits.allowed, seed.design.outcome, seed.design.time)
        if column.name in drawn and not free and column.name != seed.design.cohort:
            found += _column(
                drawn[column.name].dropna(), frame[column.name].dropna(), column, limits
            )
    return found


def _rows(drawn: pd.DataFrame, frame: pd.DataFrame, seed: Seed) -> Iterator[str]:
    """Count drawn rows that are a seed row; where no column is continuous any row may be."""
    shared = [c.name for c in seed.known if c.name in drawn]
    if any(c.kind == "continuous" and not c.discrete for c in seed.known if c.name in shared):
        same = drawn[shared].drop_duplicates().merge(frame[shared].drop_duplicates())
        if len(same):
            yield f"{len(same)} drawn rows are rows of the seed"


def _column(drawn: pd.Series, seen: pd.Series, column: Column, limits: Limits) -> Iterator[str]:
    if column.levels:
        told = sorted(set(drawn.astype(str)) & set(seen.astype(str)))
        if told:
            yield f"{column.name}: its real label '{told[0]}' stands in the data"
        return
    counts = seen.value_counts()
    rare = set(counts.index[counts < limits.cell])
    if column.discrete:
        told = sorted(rare & set(drawn)) if len(rare) < len(counts) else []
        if told:
            count = int(counts[told[0]])
            yield f"{column.name}: {told[0]:g}, which {count} seed rows have, stands in the data"
        return
    ends = ("minimum", drawn.min(), seen.min()), ("maximum", drawn.max(), seen.max())
    for word, own, theirs in ends:
        if own == theirs and own in rare:
            yield f"{column.name}: its real {word} {own:g} stands in the data"
