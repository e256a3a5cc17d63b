"""Panels: two periods or staggered adoption, residualised and reconstructed unit by unit.

    Y_it = level_t + gap 1[unit i ever adopts] + residual_it + effect_it D_it,   D_it = 1[t >= g_i]

The period levels come from untreated cells alone (two-way least squares on them, as in imputation
estimators), the effects from what the treated cells have beyond that, by time since adoption. A
unit's residuals, one for each period, are trained together, so that their serial dependence stays.
The cohort g_i is drawn from its law given covariates and knows nothing of the residuals: trends are
parallel in the twin, whatever they were in the seed. What dials do to it:

    trend          units that ever adopt drift by trend sd a period
    anticipation   they feel that share of their effect in the period before adoption
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cibench.errors import BadInput
from cibench.model import Array
from cibench.twins.assignment import logistic
from cibench.twins.columns import Columns
from cibench.twins.cross_section import Rows
from cibench.twins.features import Features
from cibench.twins.formula import Formula
from cibench.twins.seed import Seed
from cibench.twins.structure import FOLDS, least_squares
from cibench.twins.twin import RESIDUAL, Effect, Panel, Twin, planted

LEAST_UNITS = 20
MOST_PERIODS = 30
SINCE = "since"
"""What formulas call the time since adoption: 0 in the period of adoption."""

COHORT = "cohort"
"""What the column of adoption periods is called where the seed data have none."""


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
    if len(np.unique(flat)) < len(flat) or len(flat) < shape[0] * shape[1]:
        twice, lost = len(flat) - len(np.unique(flat)), shape[0] * shape[1] - len(np.unique(flat))
        raise BadInput(
            f"{seed.where}: the panel is not balanced: {lost} of {shape[0]} x {shape[1]} cells are "
            f"missing, {twice} come twice"
        )
    order = np.argsort(flat)
    tables = {n: c[order].reshape(shape) for n, c in columns.items()}
    cohort = _cohorts(seed, tables, times[0])
    d = (cohort[:, None] > 0) & (times[0] >= cohort[:, None])
    _check_constant(seed, tables)
    covariates = {n: c[:, 0] for n, c in tables.items() if n not in design.given}
    whole = Grid(tables[design.outcome], d.astype(float), times[0], cohort, covariates, ())
    return _without_always(seed, whole)


def _check_shape(seed: Seed, shape: tuple[int, int]) -> None:
    if shape[0] < LEAST_UNITS or not 2 <= shape[1] <= MOST_PERIODS:
        raise BadInput(
            f"{seed.where}: {shape[0]} units over {shape[1]} periods; a twin of a panel needs "
            f"{LEAST_UNITS} units and from 2 to {MOST_PERIODS} periods"
        )
    if np.any(seed.columns[seed.design.time] <= 0):
        raise BadInput(f"{seed.where}: column '{seed.design.time}': periods are numbers above 0")


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
    said = f"{int(always.sum())} units treated from the first period on are left out"
    kept = {n: c[~always] for n, c in grid.covariates.items()}
    return Grid(
        grid.y[~always], grid.d[~always], grid.times, grid.cohort[~always], kept,
        (said,) if always.any() else (),
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
    panel = Panel(grid.times, cohorts, level, gap, _classes(coefficients), effects)
    return Residualised(panel, residuals, *_att(grid))


def _classes(coefficients: Array) -> Array:
    """Return a row for each cohort, where two of them gave one row of log odds."""
    if len(coefficients) > 1:
        return coefficients
    return np.vstack([np.zeros_like(coefficients), coefficients])


def _part(grid: Grid, rows: Array) -> Grid:
    kept = {n: c[rows] for n, c in grid.covariates.items()}
    return Grid(grid.y[rows], grid.d[rows], grid.times, grid.cohort[rows], kept, ())


def _levels(grid: Grid) -> tuple[Array, Array]:
    """Return two-way effects of periods and units from the untreated cells."""
    units, periods = grid.y.shape
    i, t = np.nonzero(grid.d == 0)
    x = np.zeros((len(i), units + periods))
    x[np.arange(len(i)), i] = x[np.arange(len(i)), units + t] = 1
    beta = least_squares(x, grid.y[i, t])
    shift = beta[:units].mean()
    return beta[units:] + shift, beta[:units] - shift


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


def _att(grid: Grid) -> tuple[float, float]:
    """Return the mean effect on treated cells and its error, over units (Borusyak and others)."""
    level, unit = _levels(grid)
    beyond = (grid.y - level - unit[:, None]) * grid.d
    treated = grid.d.sum()
    value = float(beyond.sum() / treated)
    per_unit = beyond.sum(axis=1) - value * grid.d.sum(axis=1)
    return value, float(np.sqrt(np.sum(per_unit**2)) / treated)


def residual_name(time: float) -> str:
    """Return the name of a period's residual."""
    return f"{RESIDUAL}{time:g}"


def rebuild_panel(
    twin: Twin, n: int, rng: np.random.Generator, effect: Effect, dials: Mapping[str, float]
) -> Rows:
    """Draw n units over all periods, rows sorted by unit and time."""
    panel = twin.panel
    assert panel is not None
    units, u = twin.units(n, rng), rng.random(n)
    noise = rng.random((n, len(panel.times)))
    residual = np.column_stack([units.pop(residual_name(t)) for t in panel.times])
    p = cohort_shares(twin, units, n)
    place = (np.cumsum(p, axis=1)[:, :-1] < u[:, None]).sum(axis=1)
    cohort = panel.cohorts[place]
    return _cells(twin, units, residual, cohort, noise, effect, dials)


def cohort_shares(twin: Twin, units: Columns, n: int) -> Array:
    """Return each unit's probabilities of the cohorts, given its covariates."""
    assert twin.panel is not None
    features = twin.mechanisms["cohort"].features
    odds = features.matrix(units, n) @ twin.panel.coefficients.T
    odds = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _cells(
    twin: Twin, units: Columns, residual: Array, cohort: Array, noise: Array, effect: Effect,
    dials: Mapping[str, float],
) -> Rows:  # fmt: skip
    panel, design, sd = twin.panel, twin.design, twin.structure.sd
    assert panel is not None
    n, periods = residual.shape
    unit, step = np.indices((n, periods))
    time, ever = panel.times[step], np.broadcast_to(cohort[:, None] > 0, (n, periods))
    since = np.where(ever, step - np.searchsorted(panel.times, cohort)[:, None], -1000)
    d = (since >= 0).astype(float)
    columns = {n_: np.repeat(c, periods) for n_, c in units.items()}
    columns |= {design.unit: unit.ravel() + 1.0, design.time: time.ravel(), SINCE: since.ravel()}
    rows = n * periods
    if twin.structure.formula:
        level = Formula(twin.structure.formula)(columns, rows)
    else:
        level = (panel.level[step] + panel.gap * ever).ravel()
    drift = dials.get("trend", 0) * sd * (step * ever).ravel()
    base = level + residual.ravel() + drift
    effects = planted(effect, columns, rows)
    early = dials.get("anticipation", 0) * (since.ravel() == -1)
    felt = effects * (d.ravel() + early)
    baseline = base
    if not twin.outcome.free:
        baseline = twin.outcome.realise(base, noise.ravel())
        felt = twin.outcome.realise(base + felt, noise.ravel()) - baseline
        treated = twin.outcome.realise(base + effects, noise.ravel()) - baseline
        effects = np.where(d.ravel() == 1, felt, treated)
    shown = {n_: c for n_, c in columns.items() if n_ != SINCE}
    shown |= {twin.treatment: d.ravel(), design.outcome: baseline + felt}
    shown[design.cohort or COHORT] = np.repeat(cohort, periods)
    counted = (d == 1) & (time < (np.inf if np.any(panel.cohorts == 0) else panel.cohorts.max()))
    return Rows(
        shown, baseline, effects, residual.ravel(), {}, counted.ravel(), felt, early != 0,
        latent={SINCE: since.ravel()},
    )  # fmt: skip

