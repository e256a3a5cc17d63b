"""Checks of draws whose single units' effects are asked: what they are, and that none leaked."""

from __future__ import annotations

import numpy as np

from cibench.contracts.common import behind, label, require, settings, small_draw
from cibench.model.design import Scenario
from cibench.model.streams import stream
from cibench.model.types import Array, Draw

ROWS, DRAWS = 20_000, 10
"""Units of a large draw, and how many are pooled: 2 % of effects as varied as what covariates do
not tell of them are nine errors then."""

SIGMAS = 5.0
ROUNDING = 1e-12
"""Of numbers as large as those that are compared."""


def check_unit_effects(scenario: Scenario) -> None:
    """Demand that effects given covariates are means of effects, and chances those of treatment.

    Both are asked of the whole and along every covariate, in large draws, within five errors.
    """
    for at in settings(scenario):
        if not any(t.estimand.of_units for t in at.targets()):
            continue
        draws = [_large(at, replicate) for replicate in range(DRAWS)]
        for draw in draws:
            for name in ("expected", "propensity"):
                values = getattr(draw, name)
                fine = values is None or (values.shape == draw.effects.shape)
                require(fine, label(at), f"'{name}' has not one value a row")
        apart = [(d.effects - e, _along(at, d, e)) for d in draws if (e := d.expected) is not None]
        _require_noise(at, apart, "effects differ from those expected given covariates")
        treatment = at.assigned_roles().treatment
        apart = [
            (behind(d, treatment) - e, _along(at, d, e))
            for d in draws
            if (e := d.propensity) is not None
        ]
        _require_noise(at, apart, "treatment differs from its chance")


def _large(scenario: Scenario, replicate: int) -> Draw:
    address = ("contract units", scenario.name, replicate)
    return scenario.draw(ROWS, stream(*address))


def _along(scenario: Scenario, draw: Draw, values: Array) -> Array:
    """Return what differences are put beside: one, the values and each covariate."""
    columns = [draw.columns[name] for name in scenario.assigned_roles().covariates]
    return np.column_stack([np.ones(values.size), values, *columns])


def _require_noise(scenario: Scenario, apart: list[tuple[Array, Array]], complaint: str) -> None:
    """Demand that differences have mean zero, by themselves and times each column."""
    if not apart:
        return
    products = np.concatenate([gap[:, None] * along for gap, along in apart])
    spread = products.std(axis=0) / np.sqrt(len(products))
    size = np.abs(products.mean(axis=0))
    largest = np.max([np.abs(along).max(axis=0) for _, along in apart], axis=0)
    rounding = ROUNDING * largest[1] * largest  # the second column are the values themselves
    off = size > np.maximum(SIGMAS * spread, rounding)
    text = f"{complaint}: by {size.max():.3g} on average" if off.any() else ""
    require(not off.any(), label(scenario), text)


def check_points(scenario: Scenario) -> None:
    """Demand that units beside the data are none of the data's rows.

    As many may be alike in all covariates as rows of another data set are.
    """
    for at in settings(scenario):
        if not at.points:
            continue
        where, draw = label(at), small_draw(at)
        points, other = _rows(at, draw.subjects), _rows(at, small_draw(at, replicate=1))
        require(len(points) == at.points, where, f"{len(points)} points are drawn, not {at.points}")
        own = set(_rows(at, draw))
        shared, alike = (sum(row in own for row in rows) for rows in (points, other))
        usual = alike * len(points) / len(other)
        most = usual + SIGMAS * max(usual, 1) ** 0.5
        complaint = f"{shared} of {len(points)} points are rows of the data; by chance {usual:.0f}"
        require(shared <= most, where, complaint)


def _rows(scenario: Scenario, draw: Draw) -> list[tuple[float, ...]]:
    columns = [draw.columns[name] for name in scenario.assigned_roles().covariates]
    return [tuple(row) for row in np.column_stack(columns).tolist()]
