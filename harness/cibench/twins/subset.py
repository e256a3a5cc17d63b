"""Rows of a twin that satisfy a condition on covariates, and the truth among them.

A condition is a formula, "(region == 'North')*(age > 40)"; a row satisfies it where it is not 0 and
none of its columns is missing. Treatment, outcome, instrument and running variable stay out of it:
rows chosen by those have another effect than the planted one, or no design.
"""

from __future__ import annotations

import numpy as np

from cibench.model.estimands import Estimand
from cibench.model.streams import stream
from cibench.model.types import Array, Target, Truth
from cibench.twins.columns import Columns, levels_of, mask
from cibench.twins.cross_section import UNITS, Noise, Rows, moved_to_cutoff, rebuild, reconstruct
from cibench.twins.formula import Formula
from cibench.twins.panel import SINCE, rebuild_panel
from cibench.twins.scenario import CELLS, targets_of, truths_of
from cibench.twins.twin import Effect, Twin
from cibench.utils.errors import BadInput

TRIAL = 20_000
"""Rows that are drawn at first, to see how many satisfy the condition."""

RAREST = 0.001


def condition(twin: Twin, text: str) -> Formula:
    """Return a condition on the covariates; raises BadInput for what is none."""
    formula = Formula(text)
    design = twin.design
    own = (design.outcome, twin.treatment, design.instrument, design.running, design.unit,
           design.time, design.cohort)  # fmt: skip
    for name in formula.names:
        if name in own:
            raise BadInput(
                f"--where: '{name}' is a part of the design; a condition takes covariates alone"
            )
    formula = formula.coded(levels_of(twin.known))
    formula.check([c.name for c in twin.known if c.name not in own])
    return formula


def satisfies(twin: Twin, columns: Columns, where: Formula) -> Array:
    """Return in which rows a condition holds, its columns there."""
    rows = len(columns[twin.design.outcome])
    masked = mask(columns, twin.known)
    there = ~np.any([np.isnan(masked[n]) for n in where.names] or [np.zeros(rows, bool)], axis=0)
    return np.asarray((where(columns, rows, there) != 0) & there)


def draw_subset(twin: Twin, rows: int, effect: Effect, seed: int, where: str) -> Columns:
    """Draw so many rows (at least, of whole units of a panel) that satisfy a condition.

    Raises BadInput for a condition that is none, or that hardly any row satisfies.
    """
    formula = condition(twin, where)
    rng = stream("twin-subset", twin.digest, where, rows, seed)
    periods = 1 if twin.panel is None else len(twin.panel.times)
    parts: list[Columns] = []
    size, drawn, count = TRIAL, 0, 0
    while count < rows:
        columns = _draw(twin, size // periods, effect, rng).columns
        inside = satisfies(twin, columns, formula)
        parts.append({n: c[inside] for n, c in columns.items()})
        drawn, count = drawn + len(inside), count + int(inside.sum())
        if count < RAREST * drawn:
            raise BadInput(
                f"--where: {count} of {drawn:,} rows satisfy {where}; fewer than one in "
                f"{1 / RAREST:,.0f} are too rare to be drawn"
            )
        size = int(min(max(1.2 * (rows - count) * drawn / count, 1_000), 1_000_000))
    whole = -(-rows // periods) * periods
    table = {n: np.concatenate([part[n] for part in parts])[:whole] for n in parts[0]}
    if twin.panel is not None:
        table[twin.design.unit] = np.repeat(np.arange(whole // periods) + 1.0, periods)
    return table


def _draw(twin: Twin, n: int, effect: Effect, rng: np.random.Generator) -> Rows:
    return (reconstruct if twin.panel is None else rebuild_panel)(twin, n, rng, effect, {})


def subset_truths(twin: Twin, effect: Effect, where: str) -> dict[Target, Truth]:
    """Return the truth of every target among rows that satisfy a condition."""
    if isinstance(effect, float) and twin.outcome.unbounded:
        return truths_of(twin, effect)
    formula, targets = condition(twin, where), targets_of(twin)
    rng, periods = stream("twin-subset-truth", twin.digest, str(effect), where), 1
    if twin.panel is not None:
        periods = len(twin.panel.times)
        rows = _draw(twin, min(UNITS, CELLS // periods), effect, rng)
    elif twin.design.kind == "rd":
        rows = rebuild(twin, moved_to_cutoff(twin, Noise.draw(twin, UNITS, rng)), effect, {})
    else:
        rows = _draw(twin, UNITS, effect, rng)
    inside = satisfies(twin, rows.columns, formula)
    truths = {}
    for target in targets:
        counted = inside.copy()
        every = target.estimand in (Estimand.ATE, Estimand.COEFFICIENT)
        if rows.target is not None and not every:
            counted &= np.asarray(rows.target, dtype=bool)
        if target.horizon is not None:
            assert rows.latent is not None
            counted &= rows.latent[SINCE] == target.horizon
        truths[target] = _mean(rows.effects, counted, periods, where)
    return truths


def _mean(effects: Array, counted: Array, periods: int, where: str) -> Truth:
    """Return the mean over cells, with an error that allows for several cells of a unit."""
    if not counted.any():
        raise BadInput(f"--where: no row among {len(counted):,} whose effect counts is in {where}")
    felt, count = ((v * counted).reshape(-1, periods).sum(axis=1) for v in (effects, 1.0))
    value = felt.sum() / count.sum()
    return Truth(float(value), float(np.sqrt(np.sum((felt - value * count) ** 2)) / count.sum()))
