"""The nouns: what a scenario draws, what an estimator sees and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property, lru_cache
from statistics import NormalDist
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]


class Declined(Exception):  # noqa: N818 - an answer ("this data is not for me"), not an error
    """Raise inside `fit` to decline this data set with a reason; it becomes a row."""


class Estimand(StrEnum):
    """Name the quantity a scenario has a truth for and an estimator aims at."""

    ATE = "ATE"
    ATT = "ATT"
    LATE = "LATE"
    ATE_AT_CUTOFF = "ATE_AT_CUTOFF"
    LATE_AT_CUTOFF = "LATE_AT_CUTOFF"
    COEFFICIENT = "COEFFICIENT"
    MEAN = "MEAN"
    SATE = "SATE"
    SATT = "SATT"

    @property
    def of_sample(self) -> bool:
        """Say whether the truth is an average over the drawn units, new in each replicate."""
        return self in (Estimand.SATE, Estimand.SATT)

    @property
    def at_cutoff(self) -> bool:
        """Say whether the truth is a limit at the cutoff and not an average over units."""
        return self in (Estimand.ATE_AT_CUTOFF, Estimand.LATE_AT_CUTOFF)


class Target(NamedTuple):
    """Key one answer: an estimand and, in event studies, the horizon it is for."""

    estimand: Estimand
    horizon: int | None = None

    def __str__(self) -> str:
        return self.estimand if self.horizon is None else f"{self.estimand}[{self.horizon}]"


@dataclass(frozen=True)
class Roles:
    """Say which column plays which part; `cutoff` is a number on the running variable's scale.

    A part that nobody plays is the empty string. Several roles may share a column (the unit is
    often the cluster). `weights` are inverse chances of being sampled, known up to a factor;
    `frequency` says how many units of equal values a row stands for, which may be none. A method
    that knows nothing of them is shown them all the same and answers as if they were not there.
    """

    outcome: str = "y"
    treatment: str = "d"
    covariates: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    running: str = ""
    cutoff: float | None = None
    unit: str = ""
    time: str = ""
    cohort: str = ""
    cluster: str = ""
    weights: str = ""
    frequency: str = ""

    @cached_property
    def given(self) -> frozenset[str]:
        """Return the names of the roles that are filled."""
        return frozenset(
            f.name for f in fields(self) if getattr(self, f.name) not in (None, "", ())
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that play a part, each once, in the order of the roles."""
        values = (getattr(self, f.name) for f in fields(self) if f.name != "cutoff")
        names = (n for v in values for n in (v if isinstance(v, tuple) else (v,)) if n)
        return tuple(dict.fromkeys(names))


ROLE_NAMES = tuple(f.name for f in fields(Roles))


class Truth(NamedTuple):
    """Hold a true value and, where it was simulated, its Monte Carlo standard error."""

    value: float
    mcse: float = 0.0


@dataclass(frozen=True, eq=False)
class Draw:
    """Hold everything the harness knows of one data set: the columns and what lies behind them.

    `baseline` is every row's outcome in the world where nobody is ever treated and `effects` what
    treatment adds to that row, so that `y = baseline + effects * treatment`. Under interference or
    anticipation rows feel something else: then `felt` is what each row felt, `y = baseline + felt`,
    and `exposed` marks the rows for which that may differ from `effects * treatment`. `target`
    marks the rows whose effects the estimand averages (None: all of them; a mapping where there
    are several targets). `latent` holds what nobody observes, under the name of the column it
    lies behind: the unmanipulated running variable, say.
    """

    columns: Mapping[str, Array]
    baseline: Array
    effects: Array
    target: Array | Mapping[Target, Array] | None = None
    felt: Array | None = None
    exposed: Array | None = None
    latent: Mapping[str, Array] = field(default_factory=dict)

    def averaged(self, target: Target) -> Array:
        """Return the effects of the rows that `target` averages over."""
        mask = self.target[target] if isinstance(self.target, Mapping) else self.target
        return self.effects if mask is None else self.effects[mask]

    def copy(self) -> Draw:
        """Return the same draw with arrays of its own."""
        return Draw(**{f.name: _copied(getattr(self, f.name)) for f in fields(self)})


def _copied(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {name: array.copy() for name, array in part.items()}
    return None if part is None else part.copy()


@dataclass(frozen=True, eq=False)
class Problem:
    """Hold all that an estimator may know: read-only columns, their roles, what is asked.

    `level` is the confidence level of the limits. Only an estimator registered with `oracle=True`
    sees `draw`; for the others it is None.
    """

    columns: Mapping[str, Array]
    roles: Roles
    targets: tuple[Target, ...]
    level: float = 0.95
    draw: Draw | None = None

    @classmethod
    def of(
        cls, draw: Draw, roles: Roles, targets: tuple[Target, ...] = (), level: float = 0.95
    ) -> Problem:
        """Show of a draw what an analyst would see: the columns that have a role, read-only.

        They are copies: who makes them writeable again spoils nobody else's data.
        """
        columns = {name: draw.columns[name].copy() for name in roles.columns}
        for column in columns.values():
            column.flags.writeable = False
        return cls(MappingProxyType(columns), roles, targets, level)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Build the columns' DataFrame, a copy that is private to this estimator."""
        import pandas as pd

        return pd.DataFrame({name: column.copy() for name, column in self.columns.items()})

    @property
    def outcome(self) -> Array:
        """Return the outcome column."""
        return self.columns[self.roles.outcome]

    @property
    def treatment(self) -> Array:
        """Return the treatment column."""
        return self.columns[self.roles.treatment]

    @property
    def running(self) -> Array:
        """Return the running variable, on its own scale (the cutoff is `roles.cutoff`)."""
        return self.columns[self.roles.running]

    @property
    def covariates(self) -> Array:
        """Return the covariates as a matrix of rows by covariates, with no constant."""
        return self._matrix(self.roles.covariates)

    @property
    def instruments(self) -> Array:
        """Return the instruments as a matrix of rows by instruments."""
        return self._matrix(self.roles.instruments)

    def _matrix(self, names: tuple[str, ...]) -> Array:
        return np.column_stack([self.columns[name] for name in names])


@lru_cache
def _quantile(level: float, df: float | None) -> float:
    if df is None:
        return NormalDist().inv_cdf((1 + level) / 2)
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))


@dataclass(frozen=True, eq=False)
class Estimate:
    """Hold one answer: the estimate, its standard error and its confidence limits.

    What a method does not give stays None; set-valued answers may have no `value`. Limits may be
    infinite; the empty set is `(inf, -inf)`; `outside=True` means everything outside
    `(low, high)`. `band_low` and `band_high` are limits that hold for all horizons at once.
    `draws` are posterior draws of the target; the worker reduces them to two numbers at once.
    """

    value: float | None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    df: float | None = None
    p_value: float | None = None
    statistic: float | None = None
    outside: bool = False
    band_low: float | None = None
    band_high: float | None = None
    draws: Array | None = None

    @classmethod
    def wald(cls, value: float, se: float, level: float, df: float | None = None) -> Estimate:
        """Put symmetric limits around `value`, normal ones or Student's with `df`."""
        reach = _quantile(level, df) * se
        return cls(value, se, value - reach, value + reach, df=df)


@dataclass(frozen=True)
class Diagnosis:
    """Hold a diagnostic's answer: its statistic, its p-value and whether the data passed."""

    passed: bool
    p_value: float | None = None
    statistic: float | None = None
