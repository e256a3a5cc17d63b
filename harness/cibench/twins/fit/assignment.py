"""Assignment mechanisms: the law of treatment or instrument given covariates, fitted to the seed.

A 0/1 variable has a probability, logistic in features of the covariates; others a mean, and a noise
with the law of what that mean leaves. The noise comes from outside as standard normal scores, so
that nothing ties it to the outcome's residual unless a dial says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.fit.features import Features
from cibench.twins.fit.structure import least_squares
from cibench.twins.formula import Formula
from cibench.twins.generators.copulas import Margin

PENALTY = 100.0
"""The inverse of the ridge penalty on standardised features: light, but finite when separated."""


@dataclass(frozen=True, eq=False)
class Mechanism:
    """Hold the law of a variable given columns: `binary`, or a mean and the noise's margin.

    `formula`, the user's, stands for the fitted one. `shifts` are columns that enter the linear
    predictor beside the features, as they are: an instrument, the side of the cutoff. `centre` is
    the mean of the seed's log odds.
    """

    binary: bool
    features: Features
    coefficients: Array
    shifts: tuple[str, ...] = ()
    noise: Margin | None = None
    formula: str = ""
    low: float = -np.inf
    high: float = np.inf
    whole: bool = False
    centre: float = 0.0

    def predictor(self, columns: Mapping[str, Array], rows: int) -> Array:
        """Return the linear predictor: log odds, or the mean."""
        if self.formula:
            p = np.clip(Formula(self.formula)(columns, rows), 1e-9, 1 - 1e-9)
            return np.log(p / (1 - p)) if self.binary else p
        x = _design(self.features, self.shifts, columns, rows)
        return np.asarray(x @ self.coefficients)

    def probability(self, columns: Mapping[str, Array], rows: int, factor: float = 1.0) -> Array:
        """Return the probability of a 1; `factor` multiplies the log odds less their centre."""
        odds = self.centre + factor * (self.predictor(columns, rows) - self.centre)
        return np.asarray(1 / (1 + np.exp(-odds)))

    def draw(self, columns: Mapping[str, Array], score: Array, factor: float = 1.0) -> Array:
        """Return the variable given columns and standard normal scores of noise."""
        from scipy.special import ndtr

        if self.binary:
            p = self.probability(columns, len(score), factor)
            return (ndtr(-score) < p).astype(float)
        assert self.noise is not None
        value = self.predictor(columns, len(score)) + self.noise.normal_quantile(score)
        value = np.clip(value, self.low, self.high)
        return np.asarray(np.rint(value) if self.whole else value)

    def mean(self, columns: Mapping[str, Array], rows: int) -> Array:
        """Return the expected value given columns (rounding and clipping aside)."""
        if self.binary:
            return self.probability(columns, rows)
        return self.predictor(columns, rows)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        noise = self.noise.state() if self.noise else None
        return {**self.__dict__, "features": self.features.state(), "noise": noise}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Mechanism:
        """Return the mechanism that a file kept."""
        noise = Margin.load(state["noise"]) if state["noise"] else None
        features, shifts = Features.load(state["features"]), tuple(state["shifts"])
        return cls(**{**state, "features": features, "noise": noise, "shifts": shifts})


def _design(
    features: Features, shifts: tuple[str, ...], columns: Mapping[str, Array], rows: int
) -> Array:
    return np.column_stack([features.matrix(columns, rows), *(columns[s] for s in shifts)])


def fit_mechanism(
    variable: Array, columns: Columns, features: Features, shifts: tuple[str, ...] = ()
) -> Mechanism:
    """Fit the law of a variable given columns: logistic for 0/1, else least squares."""
    x = _design(features, shifts, columns, len(variable))
    if set(np.unique(variable)) <= {0.0, 1.0}:
        beta = logistic(x, variable)[0]
        return Mechanism(True, features, beta, shifts, centre=float((x @ beta).mean()))
    beta = least_squares(x, variable)
    noise = variable - x @ beta
    whole = bool(np.all(variable == np.rint(variable)))
    return Mechanism(
        False, features, beta, shifts, Margin.of(noise, discrete=False),
        low=float(variable.min()), high=float(variable.max()), whole=whole,
    )  # fmt: skip


def logistic(x: Array, outcome: Array) -> Array:
    """Return logistic coefficients for the columns of x, whose first is the constant.

    One row of them for two classes, else one for each class.
    """
    from sklearn.linear_model import LogisticRegression

    if x.shape[1] == 1:
        shares = np.unique(outcome, return_counts=True)[1] / len(outcome)
        odds = np.log(shares[1:] / shares[0]) if len(shares) == 2 else np.log(shares)
        return np.asarray(odds[:, None])
    mean, sd = x[:, 1:].mean(axis=0), x[:, 1:].std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    fitted = LogisticRegression(C=PENALTY, max_iter=2000).fit((x[:, 1:] - mean) / sd, outcome)
    slopes = fitted.coef_ / sd
    return np.column_stack([fitted.intercept_ - slopes @ mean, slopes])
