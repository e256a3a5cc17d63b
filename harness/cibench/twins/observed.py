"""What an analyst sees of a twin's rows: numbers, dummies, indicators and their roles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cibench.model.estimands import Estimand
from cibench.model.types import Array, Draw, Roles, Target
from cibench.twins.columns import Column, Columns
from cibench.twins.cross_section import Rows
from cibench.twins.panel import COHORT, SINCE
from cibench.twins.twin import Twin

GONE = "missing "
"""What an analyst's indicator of a missing value begins with."""


def roles_of(twin: Twin) -> Roles:
    """Return the roles of the columns that a twin shows."""
    design, panel = twin.design, twin.panel is not None
    cutoff = design.cutoff
    if cutoff is not None and design.side == "below":
        cutoff = -float(np.nextafter(cutoff, -np.inf))
    return Roles(
        outcome=design.outcome, treatment=twin.treatment, covariates=covariates_of(twin),
        instruments=(design.instrument,) if design.instrument else (),
        running=design.running, cutoff=cutoff, unit=design.unit, time=design.time,
        cohort=(design.cohort or COHORT) if panel else "", cluster=design.unit,
    )  # fmt: skip


def covariates_of(twin: Twin) -> tuple[str, ...]:
    """Return the names of the covariates as analysts use them; derived ones add nothing."""
    left = {d.name for d in twin.derived} | {twin.design.running}
    names: list[str] = []
    for column in _covariates(twin):
        if column.name not in left:
            names += _names(column)
    return tuple(names)


def _covariates(twin: Twin) -> list[Column]:
    return [c for c in twin.known if c.name in (twin.design.covariates or ())]


def _names(column: Column) -> list[str]:
    own = [f"{column.name}={level}" for level in column.levels[1:]] or [column.name]
    return [*own, GONE + column.name] if column.indicator else own


def numbers(twin: Twin, columns: Columns) -> dict[str, Array]:
    """Return covariates as analysts use them: dummies, and indicators beside filled gaps."""
    numeric: dict[str, Array] = {}
    for column in _covariates(twin):
        x = columns[column.name]
        gone = columns[column.indicator] if column.indicator else np.zeros(len(x))
        if column.levels:
            for code, level in enumerate(column.levels[1:], 1):
                numeric[f"{column.name}={level}"] = (x == code) * (1 - gone)
        else:
            numeric[column.name] = np.where(gone == 1, (column.low + column.high) / 2, x)
        if column.indicator:
            numeric[GONE + column.name] = gone
    return numeric


def as_draw(twin: Twin, rows: Rows, targets: tuple[Target, ...]) -> Draw:
    """Return rows as a draw: the columns that have roles, and what lies behind them."""
    roles, design = roles_of(twin), twin.design
    numeric = numbers(twin, rows.columns)
    columns = {n: numeric.get(n, rows.columns.get(n)) for n in roles.columns}
    whole = (roles.unit, roles.time, roles.cohort, roles.cluster)
    observed = {
        n: c.astype(np.int64) if n in whole else c for n, c in columns.items() if c is not None
    }
    latent = dict(rows.latent or {})
    since = latent.pop(SINCE, None)
    if design.side == "below" and design.running:
        observed[design.running], latent = (
            -observed[design.running],
            {n: -c for n, c in latent.items()},
        )
    return Draw(
        observed, rows.baseline, rows.effects, _targets(rows, targets, since), rows.felt,
        rows.exposed, latent,
    )  # fmt: skip


def _targets(
    rows: Rows, targets: tuple[Target, ...], since: Array | None
) -> Array | Mapping[Target, Array] | None:
    if since is not None:
        treated = rows.target
        assert treated is not None
        return {
            t: treated if t.horizon is None else treated & (since == t.horizon) for t in targets
        }
    if Target(Estimand.ATT) in targets and rows.target is not None:
        return {
            Target(Estimand.ATE): np.ones(len(rows.target), bool),
            Target(Estimand.ATT): rows.target,
        }
    return rows.target
