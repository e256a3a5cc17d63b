"""Summaries of the seed data that a twin carries, so that an audit needs the seed no more.

Shares below the deciles of each number (shares of each level of a category or few-valued number),
correlations of ranks of every pair, the density beside a cutoff. All are functions of means, so
that a bootstrap of the seed's units is a matrix product; it gives each summary's standard error and
the largest standardised discrepancy that 995 in 1,000 resamples of the seed itself stay within.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.audit.summary_definitions import define
from cibench.twins.columns import Columns, mask
from cibench.twins.cross_section import ABOVE, rule
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.structure import BANDWIDTH, local_jump
from cibench.twins.generators.base import Training
from cibench.twins.twin import RESIDUAL, Twin

RESAMPLES = 1000
BLOCK = 50
LEVEL = 0.995
"""Half of the audit's 1 % is for these, the other half for what the design demands."""

PROPENSITY = "probability of treatment"
EVER = "ever treated"


def structural(twin: Twin, columns: Mapping[str, Array]) -> Array:
    """Return each row's expected outcome without treatment."""
    rows = len(columns[twin.design.outcome])
    if twin.panel is None or twin.structure.formula:
        return twin.structure.baseline(columns, rows)
    panel = twin.panel
    step = np.searchsorted(panel.times, columns[twin.design.time])
    ever = columns[twin.treatment].reshape(-1, len(panel.times)).max(axis=1)
    gap = panel.gap * np.repeat(ever, len(panel.times))
    return np.asarray(panel.level[np.minimum(step, len(panel.times) - 1)] + gap)


def unit_table(twin: Twin, columns: Mapping[str, Array], felt: Array) -> Columns:
    """Return complete columns with a row for each unit, and what the design adds.

    A panel's outcomes are residuals by period, its treatment whether a unit ever adopts; where
    treatment depends on covariates its probability stands beside them.
    """
    design = twin.design
    if twin.panel is None:
        table = {n: c for n, c in columns.items() if n != ABOVE}
        if design.kind == "observables":
            rows = len(columns[design.outcome])
            table[PROPENSITY] = twin.mechanisms["treatment"].mean(columns, rows)
        return table
    periods = len(twin.panel.times)
    left = columns[design.outcome] - structural(twin, columns) - felt
    wide = {
        f"{design.outcome} {t:g}": left.reshape(-1, periods)[:, k]
        for k, t in enumerate(twin.panel.times)
    }
    parts = [c.name for c in twin.known if c.name in (design.covariates or ())]
    parts += [c.indicator for c in twin.known if c.indicator]
    covariates = {n: columns[n].reshape(-1, periods)[:, 0] for n in parts}
    ever = columns[twin.treatment].reshape(-1, periods).max(axis=1)
    return {**covariates, **wide, EVER: ever}


def summarise(
    twin: Twin, seed: Seed, training: Training, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the seed's summaries, their errors and the simultaneous critical value."""
    columns = mask(_seed_table(twin, seed, training), seed.known)
    design = twin.design
    columns = {n: c for n, c in columns.items() if n not in (design.unit, design.time)}
    definition = define(columns, seed.known, design)
    moments = definition.moments(columns)
    n = len(moments)
    value = definition.statistics(moments.mean(axis=0))
    draws = np.concatenate([
        definition.statistics(rng.multinomial(n, np.full(n, 1 / n), BLOCK) @ moments / n)
        for _ in range(RESAMPLES // BLOCK)
    ])  # fmt: skip
    se = np.maximum(draws.std(axis=0), 1e-9)
    largest = np.abs((draws - value) / se).max(axis=1)
    return {
        "definition": definition.state(), "value": value, "se": se,
        "critical": float(np.quantile(largest, LEVEL)), "units": n,
        "jumps": _jump_errors(twin, seed),
    }  # fmt: skip


def _jump_errors(twin: Twin, seed: Seed) -> dict[str, float]:
    """Return how far off each covariate's jump at the cutoff is in the seed, by chance."""
    design = twin.design
    if design.kind != "rd" or design.cutoff is None:
        return {}
    x = seed.columns[design.running]
    h = BANDWIDTH * float(x.std())
    return {
        name: local_jump(seed.columns[name], x, design.cutoff, h)[1]
        for name in design.covariates or ()
    }


def _seed_table(twin: Twin, seed: Seed, training: Training) -> Columns:
    """Return the seed with a row for each unit, its treatment column in place."""
    if twin.panel is None:
        columns = dict(seed.columns)
        if twin.treatment not in columns:
            columns[twin.treatment] = rule(twin, columns[twin.design.running])
        return unit_table(twin, columns, np.zeros(seed.rows))
    names = [n for n in training.columns if n.startswith(RESIDUAL)]
    kept = {n: c for n, c in training.columns.items() if n not in names}
    outcome = twin.design.outcome
    wide = {f"{outcome} {n.removeprefix(RESIDUAL)}": training.columns[n] for n in names}
    ever = np.asarray(twin.seed["ever"], dtype=float)
    return {**kept, **wide, EVER: ever}
