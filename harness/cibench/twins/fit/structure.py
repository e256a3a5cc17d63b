"""The structural part: the untreated outcome as a function of the columns, and the seed's effect.

Given by the user as formulas, or estimated: regressions on features of the covariates and on powers
of the running variable on either side of the cutoff, the form chosen by cross-validation. Where an
instrument stands for the treatment (a fuzzy cutoff, an IV design) the last step is two-stage least
squares. Residuals of an estimated structure are out of fold: those of the fit itself are too small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.fit.features import Features
from cibench.twins.formula import Formula

FOLDS = 5


@dataclass(frozen=True, eq=False)
class Structure:
    """Hold the outcome function and what the seed data say of the effect.

    `formula` is the user's; else `coefficients` belong to the columns of `features`. `effect` is
    the seed's effect per unit of treatment, `se` its standard error (0 where it was given);
    `effect_formula` the user's formula of it. `sd` is the residuals' s.d.
    """

    formula: str = ""
    effect_formula: str = ""
    features: Features | None = None
    coefficients: Array | None = None
    effect: float = 0.0
    se: float = 0.0
    sd: float = 1.0

    @property
    def known(self) -> bool:
        """Say whether the user gave the outcome function."""
        return bool(self.formula)

    @property
    def name(self) -> str:
        """Return the structure in words."""
        if self.formula:
            return f"given: {self.formula}"
        return f"estimated: {self.features.name if self.features else 'constant'}"

    def baseline(self, columns: Mapping[str, Array], rows: int) -> Array:
        """Return the expected outcome without treatment, given the columns."""
        if self.formula:
            return Formula(self.formula)(columns, rows)
        assert self.features is not None and self.coefficients is not None
        return np.asarray(self.features.matrix(columns, rows) @ self.coefficients)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        features = self.features.state() if self.features else None
        return {**self.__dict__, "features": features}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Structure:
        """Return the structure that a file kept."""
        features = Features.load(state["features"]) if state["features"] else None
        return cls(**{**state, "features": features})


class Fitted(NamedTuple):
    """Hold a structure and the residuals that it leaves in the seed data."""

    structure: Structure
    residuals: Array


def from_formulas(
    y: Array, d: Array, columns: Columns, formula: str, effect: str, shifter: Array
) -> Fitted:
    """Take the outcome function as it is given; the effect too, or estimate one number for it.

    `shifter` is what moves the treatment from outside: an instrument, or the treatment itself.
    Raises BadInput for a formula with unknown columns.
    """
    rows = len(y)
    Formula(formula).check(columns)
    left = y - Formula(formula)(columns, rows)
    if effect:
        Formula(effect).check(columns)
        felt = Formula(effect)(columns, rows)
        residuals = left - felt * d
        return Fitted(
            Structure(formula, effect, effect=float(felt.mean()), sd=float(residuals.std())),
            residuals,
        )
    ones = np.ones((rows, 1))
    coefficient, se = slope(left, d, shifter, ones)
    residuals = left - coefficient * d
    residuals = residuals - residuals.mean()
    return Fitted(
        Structure(formula, effect=coefficient, se=se, sd=float(residuals.std())), residuals
    )


def estimate(
    y: Array, d: Array, columns: Columns, candidates: Sequence[Features], shifter: Array,
    rng: np.random.Generator,
) -> Fitted:  # fmt: skip
    """Choose the form by cross-validation, fit it, and return residuals out of fold."""
    rows = len(y)
    fold = rng.permutation(rows) % FOLDS
    matrices = [c.matrix(columns, rows) for c in candidates]
    losses = [_loss(y, np.column_stack([m, shifter]), fold) for m in matrices]
    best = int(np.argmin(losses))
    matrix = matrices[best]
    residuals = np.empty(rows)
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        beta, coefficient = _two_stages(y[inside], d[inside], shifter[inside], matrix[inside])
        residuals[outside] = y[outside] - matrix[outside] @ beta - coefficient * d[outside]
    beta, coefficient = _two_stages(y, d, shifter, matrix)
    _, se = slope(y, d, shifter, matrix)
    residuals = residuals - residuals.mean()
    structure = Structure(
        features=candidates[best], coefficients=beta, effect=coefficient, se=se,
        sd=float(residuals.std()),
    )  # fmt: skip
    return Fitted(structure, residuals)


def least_squares(x: Array, y: Array) -> Array:
    """Return the coefficients of least norm, columns scaled first."""
    scale = np.sqrt((x**2).mean(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    beta, *_ = np.linalg.lstsq(x / scale, y, rcond=1e-10)
    return np.asarray((beta.T / scale).T)


def _loss(y: Array, x: Array, fold: Array) -> float:
    errors = np.empty(len(y))
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        errors[outside] = y[outside] - x[outside] @ least_squares(x[inside], y[inside])
    return float(np.mean(errors**2))


def _two_stages(y: Array, d: Array, shifter: Array, x: Array) -> tuple[Array, float]:
    """Return the coefficients of x and of the treatment, shifted from outside."""
    coefficient, _ = slope(y, d, shifter, x)
    return least_squares(x, y - coefficient * d), coefficient


def slope(y: Array, d: Array, shifter: Array, x: Array) -> tuple[float, float]:
    """Return the treatment's coefficient and its standard error (HC1); x is partialled out."""
    parts = np.column_stack([y, d, shifter])
    y_, d_, z_ = (parts - x @ least_squares(x, parts)).T
    cross = float(z_ @ d_)
    value = float(z_ @ y_) / cross
    error = y_ - value * d_
    degrees = len(y) - x.shape[1] - 1
    se = np.sqrt(np.sum((z_ * error) ** 2) * len(y) / degrees) / abs(cross)
    return value, float(se)


BANDWIDTH = 0.5
"""Local lines reach so many s.d. of the running variable to either side."""

LEAST = 20


def local_jump(
    y: Array, x: Array, c: float, h: float, *, curved: bool = False
) -> tuple[float, float]:  # fmt: skip
    """Return the jump at c between two lines with triangular weights, and its error (HC1).

    Between two parabolas where they may be `curved`.
    """
    near = np.abs(x - c) < h
    v, above = x[near] - c, (x[near] >= c).astype(float)
    weight = 1 - np.abs(v) / h
    design = np.column_stack([np.ones(len(v)), above, v, above * v])
    if curved:
        design = np.column_stack([design, v**2, above * v**2])
    return _weighted(design, y[near], weight)


def _weighted(design: Array, y: Array, weight: Array) -> tuple[float, float]:
    if len(y) < LEAST:
        return np.nan, np.inf
    root = np.sqrt(weight)[:, None]
    inverse = np.linalg.pinv((design * weight[:, None]).T @ design)
    beta = least_squares(design * root, y * root[:, 0])
    score = design * (weight * (y - design @ beta))[:, None]
    variance = inverse @ (score.T @ score) @ inverse * len(y) / (len(y) - design.shape[1])
    return float(beta[1]), float(np.sqrt(variance[1, 1]))
