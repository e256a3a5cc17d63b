"""Residualise panels: levels, gap and effects from the untreated cells, residuals by period."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.fit.panel_data import Grid, Residualised, few_treated, grid_of, residualise
from cibench.twins.fit.residualise import features, outcome_of, training_of, twin_parts, without
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.structure import Fitted, Structure
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.formula import Formula
from cibench.twins.generators.base import Training
from cibench.twins.panel import SINCE, residual_name


def fit_parts(
    seed: Seed, user: UserStructure, rng: np.random.Generator
) -> tuple[dict[str, Any], Training]:
    """Return the twin's parts that are no generator, and what the generator trains on."""
    grid = grid_of(seed)
    chosen = features(seed, grid.covariates, "linear")
    residualised = residualise(grid, chosen, rng)
    left, structure = (
        residualised.residuals,
        Structure(effect=residualised.effect, se=residualised.se),
    )
    if user.outcome:
        fitted = _user_panel(seed, grid, user, residualised)
        left, structure = fitted.residuals, fitted.structure
    structure = replace(structure, sd=float(left.std()))
    names = tuple(residual_name(t) for t in grid.times)
    trained = without(grid.covariates, tuple(x.name for x in seed.derived))
    columns = {**trained, **dict(zip(names, left.T, strict=True))}
    cohort = Mechanism(False, chosen, np.zeros(0))
    parts = twin_parts(
        seed, structure, {"cohort": cohort}, outcome_of(seed, user), residualised.panel
    )
    parts["seed"]["ever"] = (grid.cohort > 0).astype(float)
    few = few_treated(grid.cohort > 0, residualised.se)
    parts["seed"]["notes"] = [*parts["seed"]["notes"], *grid.notes, *filter(None, [few])]
    return parts, training_of(seed, columns, names)


def _user_panel(seed: Seed, grid: Grid, user: UserStructure, residualised: Residualised) -> Fitted:
    n, periods = grid.y.shape
    columns = {name: np.repeat(c, periods) for name, c in grid.covariates.items()}
    columns |= {seed.design.time: np.tile(grid.times, n), SINCE: grid.since.ravel()}
    Formula(user.outcome).check(columns)
    left = grid.y - Formula(user.outcome)(columns, n * periods).reshape(n, periods)
    felt: Array = np.full(left.shape, residualised.effect)
    if user.effect:
        Formula(user.effect).check(columns)
        felt = Formula(user.effect)(columns, n * periods).reshape(n, periods)
    effect = float(felt[grid.d == 1].mean())
    structure = Structure(user.outcome, user.effect, effect=effect, se=residualised.se)
    return Fitted(structure, left - felt * grid.d)
