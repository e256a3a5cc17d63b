"""A panel of seed data: its form checked, levels, gap and effects taken out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.fit.assignment import logistic
from cibench.twins.fit.features import Features
from cibench.twins.fit.panel_rows import LEAST_UNITS
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.structure import FOLDS
from cibench.twins.twin import Panel
from cibench.utils.errors import BadInput

MOST_PERIODS = 30
FEW_TREATED = 10
"""With fewer treated units errors clustered by unit are too small: of one, by a factor of six."""

PLACEBOS = 200
LEAST_DONORS = 10


@dataclass(frozen=True, eq=False)
class Grid:
    """Hold a balanced panel, units by periods; a cohort is the period of adoption, 0 for never."""

    y: Array
    d: Array
    times: Array
    cohort: Array
    covariates: Columns
    notes: tuple[str, ...]

    @property
    def since(self) -> Array:
        """Return the periods since adoption, units by periods, -1000 where there is none."""
        place = np.searchsorted(self.times, self.cohort)
        steps = np.arange(len(self.times)) - place[:, None]
        return np.where(self.cohort[:, None] > 0, steps, -1000)


def grid_of(seed: Seed) -> Grid:
    """Bring seed data into the form of a panel; raises BadInput where they are none."""
    design, columns = seed.design, seed.columns
    units, times = (np.unique(columns[n], return_inverse=True) for n in (design.unit, design.time))
    shape = len(units[0]), len(times[0])
    _check_shape(seed, shape)
    flat = units[1] * shape[1] + times[1]
    order = np.argsort(flat)
    tables = {n: c[order].reshape(shape) for n, c in columns.items()}
    cohort = _cohorts(seed, tables, times[0])
    if design.cohort:
        d = (cohort[:, None] > 0) & (times[0] >= cohort[:, None])
    else:  # who is treated in a first period of 0 has that for a cohort, as others have for never
        d = tables[design.treatment] == 1
    _check_constant(seed, tables)
    covariates = {n: c[:, 0] for n, c in tables.items() if n not in design.design_columns}
    whole = Grid(tables[design.outcome], d.astype(float), times[0], cohort, covariates, ())
    return _without_always(seed, whole)


def _check_shape(seed: Seed, shape: tuple[int, int]) -> None:
    if shape[0] < LEAST_UNITS or not 2 <= shape[1] <= MOST_PERIODS:
        raise BadInput(
            f"{seed.where}: {shape[0]} units over {shape[1]} periods; a twin of a panel needs "
            f"{LEAST_UNITS} units and from 2 to {MOST_PERIODS} periods"
        )


def _cohorts(seed: Seed, tables: Columns, times: Array) -> Array:
    """Return each unit's period of adoption, from the cohort's column or the treatment's."""
    design = seed.design
    if design.cohort:
        cohort = tables[design.cohort][:, 0]
        return np.where((cohort > times[-1]) | (cohort < 0), 0.0, cohort)
    d = tables[design.treatment]
    if not set(np.unique(d)) <= {0.0, 1.0}:
        raise BadInput(f"{seed.where}: column '{design.treatment}' holds more than 0 and 1")
    left = int(np.sum(np.any(np.diff(d, axis=1) < 0, axis=1)))
    if left:
        raise BadInput(
            f"{seed.where}: {left} units leave treatment again; adoption is for good in this design"
        )
    return np.where(d[:, -1] == 1, times[np.argmax(d, axis=1)], 0.0)


def _check_constant(seed: Seed, tables: Columns) -> None:
    constant = (*(seed.design.covariates or ()), *filter(None, [seed.design.cohort]))
    for name in constant:
        if np.any(np.ptp(tables[name], axis=1) > 0):
            raise BadInput(
                f"{seed.where}: column '{name}' changes within units; in a panel covariates and "
                "cohorts belong to the unit"
            )


def _without_always(seed: Seed, grid: Grid) -> Grid:
    """Leave out the units that are treated from the start: nothing is known of them untreated."""
    always = grid.d[:, 0] == 1
    if not (grid.d[~always] == 1).any():
        raise BadInput(f"{seed.where}: no unit adopts the treatment within the periods seen")
    if not np.any(grid.cohort == 0) and len(np.unique(grid.cohort[~always])) < 2:
        raise BadInput(f"{seed.where}: all units adopt at once; there is nobody to compare with")
    note = f"{int(always.sum())} units treated from the first period on are left out"
    kept = {n: c[~always] for n, c in grid.covariates.items()}
    return Grid(
        grid.y[~always], grid.d[~always], grid.times, grid.cohort[~always], kept,
        (note,) if always.any() else (),
    )  # fmt: skip


class Residualised(NamedTuple):
    """Hold a panel's structural part, its residuals (units by periods) and the ATT with its se."""

    panel: Panel
    residuals: Array
    effect: float
    se: float


def residualise(grid: Grid, features: Features, rng: np.random.Generator) -> Residualised:
    """Estimate levels, gap and effects; residuals are out of fold, the folds made of units."""
    units = len(grid.y)
    fold = rng.permutation(units) % FOLDS
    fold[grid.cohort > 0] = rng.permutation(int((grid.cohort > 0).sum())) % FOLDS
    residuals = np.empty_like(grid.y)
    for k in range(FOLDS):
        inside, outside = _part(grid, fold != k), _part(grid, fold == k)
        residuals[fold == k] = _left(outside, *_common(inside))
    level, gap, effects = _common(grid)
    residuals = residuals - residuals.mean(axis=0)
    cohorts, place = np.unique(grid.cohort, return_inverse=True)
    coefficients = logistic(features.matrix(grid.covariates, units), place)
    counts = np.bincount(place, minlength=len(cohorts))
    panel = Panel(grid.times, cohorts, level, gap, _classes(coefficients), effects, counts)
    effect, se = att(grid)
    if 0 < np.sum(grid.cohort > 0) < FEW_TREATED:
        se = placebo_error(grid, rng)
    return Residualised(panel, residuals, effect, se)


def _classes(coefficients: Array) -> Array:
    """Return a row for each cohort, where two of them gave one row of log odds."""
    if len(coefficients) > 1:
        return coefficients
    return np.vstack([np.zeros_like(coefficients), coefficients])


def _part(grid: Grid, rows: Array) -> Grid:
    kept = {n: c[rows] for n, c in grid.covariates.items()}
    return Grid(grid.y[rows], grid.d[rows], grid.times, grid.cohort[rows], kept, ())


def _levels(grid: Grid) -> tuple[Array, Array]:
    """Return two-way effects of periods and units from the untreated cells.

    The units' are partialled out, so that there are as many equations as periods.
    """
    seen = (grid.d == 0).astype(float)
    within = seen * (grid.y - _unit_mean(grid.y, seen))
    level, *_ = np.linalg.lstsq(_normal(seen), within.sum(axis=0), rcond=1e-10)
    unit = _unit_mean(grid.y - level, seen)[:, 0]
    return level + unit.mean(), unit - unit.mean()


def _unit_mean(values: Array, seen: Array) -> Array:
    return np.asarray((values * seen).sum(axis=1, keepdims=True) / seen.sum(axis=1, keepdims=True))


def _normal(seen: Array) -> Array:
    """Return the normal equations of the periods' levels, the units' partialled out."""
    share = seen / seen.sum(axis=1, keepdims=True)
    return np.asarray(np.diag(seen.sum(axis=0)) - seen.T @ share)


def _common(grid: Grid) -> tuple[Array, float, Array]:
    """Return the periods' levels, the adopters' gap and the effects by time since adoption."""
    level, unit = _levels(grid)
    ever = grid.cohort > 0
    gap = float(unit[ever].mean() - unit[~ever].mean()) if ever.any() and (~ever).any() else 0.0
    level = level - gap * ever.mean()
    return level, gap, _by_time(grid, level + gap * ever.mean(), unit)


def _by_time(grid: Grid, level: Array, unit: Array) -> Array:
    """Return the mean effect k periods after adoption, the last known one where none is seen."""
    beyond, since = grid.y - level - unit[:, None], grid.since
    effects = np.zeros(len(grid.times))
    for k in range(len(effects)):
        seen = since == k
        effects[k] = beyond[seen].mean() if seen.any() else effects[max(k - 1, 0)]
    return effects


def _left(grid: Grid, level: Array, gap: float, effects: Array) -> Array:
    since = grid.since
    felt = np.where(since >= 0, effects[np.clip(since, 0, len(effects) - 1)], 0)
    return np.asarray(grid.y - level - gap * (grid.cohort > 0)[:, None] - felt)


def att(grid: Grid) -> tuple[float, float]:
    """Return the mean effect on treated cells and its standard error, clustered by unit.

    The estimate is linear in the outcome; a unit's score holds its own treated cells, its own
    level's error and what it adds to the errors of the periods' levels (Borusyak, Jaravel and
    Spiess 2024, section 4.3, effects by time since adoption in the residuals).
    """
    level, unit = _levels(grid)
    beyond, treated = (grid.y - level - unit[:, None]) * grid.d, grid.d.sum()
    effects, since = _by_time(grid, level, unit), grid.since
    felt = np.where(since >= 0, effects[np.clip(since, 0, len(effects) - 1)], 0)
    left, seen = grid.y - level - unit[:, None] - felt, (grid.d == 0).astype(float)
    count = grid.d.sum(axis=1, keepdims=True)
    slope = (count / seen.sum(axis=1, keepdims=True) * seen - grid.d).sum(axis=0) / treated
    weight, *_ = np.linalg.lstsq(_normal(seen), slope, rcond=1e-10)
    mean = _unit_mean(left, seen)
    value = float(beyond.sum() / treated)
    own = (beyond - value * grid.d - count * mean * grid.d / np.maximum(count, 1)) / treated
    score = own.sum(axis=1) + (weight * seen * (left - mean)).sum(axis=1)
    return value, float(np.sqrt(np.sum(score**2)))


def few_treated(ever: Array, se: float) -> str:
    """Say which error is to be had where few units are treated, "" where they are enough."""
    count, donors = int(np.sum(ever)), int(np.sum(np.asarray(ever) == 0))
    if count >= FEW_TREATED:
        return ""
    if se == 0:
        return (
            f"{count} units ever adopt, fewer than {FEW_TREATED}, and {donors} never do: no "
            "standard error of the effect can be had"
        )
    return (
        f"{count} units ever adopt, fewer than {FEW_TREATED}: the standard error is that of "
        f"placebo effects among the {donors} that never do"
    )


def placebo_error(grid: Grid, rng: np.random.Generator) -> float:
    """Return the root mean square of placebo effects, 0 where there are too few donors for any.

    Units that never adopt get the adopters' periods of adoption, at random, and are put beside all
    other donors (Conley and Taber 2011; MacKinnon and Webb 2020): what an effect of nothing comes
    to with so few treated, if adopters vary as donors do.
    """
    adopted, never = grid.cohort[grid.cohort > 0], np.flatnonzero(grid.cohort == 0)
    if len(never) < max(LEAST_DONORS, 2 * len(adopted)):
        return 0.0
    y, placebos = grid.y[never], np.empty(PLACEBOS)
    for number in range(PLACEBOS):
        cohort = np.zeros(len(never))
        chosen = rng.choice(len(never), len(adopted), replace=False)
        cohort[chosen] = rng.permutation(adopted)
        d = ((cohort[:, None] > 0) & (grid.times >= cohort[:, None])).astype(float)
        level, unit = _levels(Grid(y, d, grid.times, cohort, {}, ()))
        placebos[number] = np.sum((y - level - unit[:, None]) * d) / d.sum()
    return float(np.sqrt(np.mean(placebos**2)))
