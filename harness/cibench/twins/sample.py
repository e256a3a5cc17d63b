"""Rows of a twin as a CSV file, in the seed's columns and types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.twins.columns import MISSING
from cibench.twins.cross_section import Rows, reconstruct
from cibench.twins.panel import rebuild_panel
from cibench.twins.scenario import check_effect, default_effect, truths_of
from cibench.twins.twin import Effect, Twin
from cibench.utils.errors import BadInput
from cibench.utils.files import write_csv


def draw_rows(twin: Twin, rows: int, effect: Effect, seed: int) -> Rows:
    """Draw at least so many rows (whole units of a panel) from an address of the twin's content.

    `effect` is a number in the outcome's unit or a formula in the columns, and is not checked.

    See `fit_twin` for the whole way.
    """
    return drawn_from(twin, rows, effect, stream("twin-sample", twin.digest, rows, seed))


def drawn_from(twin: Twin, rows: int, effect: Effect, rng: np.random.Generator) -> Rows:
    """Draw at least so many rows (whole units of a panel) from a stream."""
    if twin.panel is None:
        return reconstruct(twin, rows, rng, effect, {})
    return rebuild_panel(twin, -(-rows // len(twin.panel.times)), rng, effect, {})


def write_sample(
    twin: Twin, rows: int, effect: Effect | None, seed: int, out: Path, where: str = ""
) -> Iterator[str]:
    """Write rows as CSV and yield what was planted; raises BadInput for an effect or a place.

    `where` is a condition on covariates that all rows satisfy; what is planted is then the truth
    among those.

    Nothing is written before the first line is asked for. Without an `effect` it is the seed's.

    See `fit_twin` for the whole way.
    """
    import pandas as pd

    chosen = default_effect(twin) if effect is None else effect
    try:
        check_effect(twin, chosen)
    except ValueError as error:
        raise BadInput(f"--{error}") from error
    if where:
        from cibench.twins.subset import draw_subset, subset_truths

        columns = draw_subset(twin, rows, chosen, seed, where)
        truths = subset_truths(twin, chosen, where)
    else:
        columns = draw_rows(twin, rows, chosen, seed).columns
        truths = truths_of(twin, chosen)
    frame = pd.DataFrame(_observed(twin, columns))
    write_csv(out, frame)
    for target, truth in truths.items():
        precision = f" (Monte Carlo error {truth.mcse:.2g})" if truth.mcse else ""
        if target.horizon is None:
            yield f"planted {target}: {truth.value:.6g}{precision}"


def observed_columns(twin: Twin, drawn: Rows) -> dict[str, Array]:
    """Return rows as the seed's file has them, the design's columns first."""
    return _observed(twin, drawn.columns)


def _observed(twin: Twin, drawn: Mapping[str, Array]) -> dict[str, Array]:
    columns = {n: c for n, c in drawn.items() if not n.startswith(MISSING)}
    table = twin.table(dict(drawn))
    return {n: table[n] for n in _ordered(twin, columns)}


def _ordered(twin: Twin, columns: Mapping[str, object]) -> list[str]:
    """Return the outcome first, then the treatment, the rest of the design, covariates."""
    first = [n for n in twin.design.columns if n in columns]
    return [*first, *(n for n in columns if n not in first)]
