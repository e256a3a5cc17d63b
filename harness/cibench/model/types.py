"""The nouns: what a scenario draws, what an estimator sees and what it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from statistics import NormalDist
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cibench.model.estimands import Estimand
from cibench.model.functionals import mean

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]


class Declined(Exception):  # noqa: N818 - an answer ("this data is not for me"), not an error
    """Raise inside `fit` to decline this data set with a reason; it becomes a row.

    Who declines has not tried: the row counts neither as a failure nor as a miss.

    >>> from cibench import Declined
    >>> def fit(problem, rng):
    ...     if len(problem.outcome) < 50:
    ...         raise Declined("fewer than 50 rows")
    """


Arm = int | float | str
"""What an arm of a trial, or a point of a dose, is called."""


class Target(NamedTuple):
    """Key one answer: an estimand, and of whom, when and between what it is asked.

    `horizon` is the time since treatment in event studies, `group` the subgroup whose units are
    averaged over, `contrast` the arm that is compared and the arm that it is compared with, `label`
    whatever else tells two questions of one estimand apart.

    >>> from cibench import Estimand, Target
    >>> str(Target(Estimand.ATT, 3)), str(Target(Estimand.ATE, group="young", contrast=(2, 0)))
    ('ATT[3]', 'ATE[young, 2 vs 0]')
    """

    estimand: Estimand
    horizon: int | None = None
    group: str | None = None
    contrast: tuple[Arm, Arm] | None = None
    label: str | None = None

    def __str__(self) -> str:
        parts = [str(p) for p in (self.horizon, self.group) if p is not None]
        parts += [contrast_text(self.contrast)] if self.contrast else []
        parts += [self.label] if self.label is not None else []
        return f"{self.estimand}[{', '.join(parts)}]" if parts else str(self.estimand)

    @property
    def plain(self) -> bool:
        """Say whether it is the estimand itself, of no horizon, group, contrast or label."""
        return not any(part is not None for part in self[1:])


TARGET = Target._fields
"""The columns that name a target in rows and tables."""

PARTS = TARGET[1:]
"""What of it stands beside the estimand: when, of whom, between what it is asked."""

SUBDIVISIONS = TARGET[2:]
"""What of that only an estimator answers that says so."""


def contrast_text(contrast: tuple[Arm, Arm]) -> str:
    """Write a contrast as rows have it: "2 vs 0"."""
    return " vs ".join(arm if isinstance(arm, str) else f"{arm:.15g}" for arm in contrast)


@dataclass(frozen=True)
class Roles:
    """Say which column plays which part; `cutoff` is a number on the running variable's scale.

    A part that nobody plays is the empty string. Several roles may share a column (the unit is
    often the cluster). `cohort` is the period from which on a row's unit is treated, 0 for never.
    `weights` are inverse chances of being sampled, known up to a factor;
    `frequency` says how many units of equal values a row stands for, which may be none. A method
    that knows nothing of them is shown them all the same and answers as if they were not there.
    `event` is 1 where the outcome is the time of an event and 0 where a row is censored then;
    `group` names subgroups by numbers; `mediator` lies on the way from treatment to outcome,
    `exposure` is how much of others' treatment reaches a row, `period` when a row was measured
    where that is no panel's time. `extra` holds columns of any other role by the role's name.

    >>> from cibench import Roles
    >>> roles = Roles(covariates=("age", "income"), running="score", cutoff=0.5)
    >>> roles.columns
    ('y', 'd', 'age', 'income', 'score')
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
    event: str = ""
    group: str = ""
    mediator: str = ""
    exposure: str = ""
    period: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def filled(self) -> frozenset[str]:
        """Return the names of the roles that are filled."""
        return frozenset(
            f.name for f in fields(self) if getattr(self, f.name) not in (None, "", (), {})
        ) | {f"extra:{role}" for role in self.extra}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that play a part, each once, in the order of the roles."""
        parts = [getattr(self, f.name) for f in fields(self) if f.name not in ("cutoff", "extra")]
        values = (*parts, tuple(self.extra.values()))
        names = (n for v in values for n in (v if isinstance(v, tuple) else (v,)) if n)
        return tuple(dict.fromkeys(names))


ROLE_NAMES = tuple(f.name for f in fields(Roles))


class Truth(NamedTuple):
    """Hold a true value and, where it was simulated, its Monte Carlo standard error.

    >>> from cibench import Truth
    >>> Truth(0.04)
    Truth(value=0.04, mcse=0.0)
    """

    value: float
    mcse: float = 0.0


@dataclass(frozen=True, eq=False)
class Draw:
    """Hold everything the harness knows of one data set: the columns and what lies behind them.

    `baseline` is every row's outcome in the world where nobody is ever treated and `effects` what
    treatment adds to that row, so that `y = baseline + effects * treatment`. Under interference or
    anticipation rows feel something else: then `felt` is what each row felt, `y = baseline + felt`,
    and `exposed` marks the rows for which that may differ from `effects * treatment`. `target`
    marks the rows whose effects the estimand averages, or holds weights that they are averaged with
    (None: all of them; a mapping where there are several targets). `latent` holds what nobody
    observes, under the name of the column it lies behind: the unmanipulated running variable, say.
    `truths` are those that a data set states of its own, for targets that no average of `effects`
    tells. With several arms, `arms` holds what each row's outcome would be in each, or at points of
    a dose, by what the treatment column calls them (see `Draw.of_arms`).

    `expected` is the mean effect on units with a row's covariates, where effects have a part that
    these do not tell, and `propensity` a row's chance of being treated; `points` are units of the
    same design, drawn beside these, whose effects unit-level answers are about (None: the rows
    themselves).

    `columns`, `baseline`, `effects`, `felt` and `exposed` have one value a row, in the outcome's
    unit (`exposed` and masks are boolean).

    >>> import numpy as np
    >>> from cibench import Draw, Estimand, Target
    >>> baseline, d, effects = np.zeros(4), np.array([0, 1, 0, 1]), np.array([1.0, 2, 3, 4])
    >>> draw = Draw({"y": baseline + effects * d, "d": d}, baseline, effects, target=d == 1)
    >>> float(draw.averaged(Target(Estimand.ATT)).mean())
    3.0
    """

    columns: Mapping[str, Array]
    baseline: Array
    effects: Array
    target: Array | Mapping[Target, Array] | None = None
    felt: Array | None = None
    exposed: Array | None = None
    latent: Mapping[str, Array] = field(default_factory=dict)
    truths: Mapping[Target, float] = field(default_factory=dict)
    arms: Mapping[Arm, Array] = field(default_factory=dict)
    expected: Array | None = None
    propensity: Array | None = None
    points: Draw | None = None

    @classmethod
    def of_arms(
        cls, columns: Mapping[str, Array], arms: Mapping[Arm, Array], *, treatment: str = "d",
        target: Array | Mapping[Target, Array] | None = None,
        latent: Mapping[str, Array] = MappingProxyType({}),
    ) -> Draw:  # fmt: skip
        """Return a draw of several arms; the first of them is the world where nobody is treated.

        Each row feels the arm that the column `treatment` says. Raises ValueError where that names
        an arm without outcomes.

        >>> import numpy as np
        >>> from cibench import Draw, Estimand, Target
        >>> arms = {0: np.zeros(3), 1: np.ones(3), 2: np.array([1.0, 2.0, 6.0])}
        >>> draw = Draw.of_arms({"y": np.array([0.0, 1, 6]), "d": np.array([0, 1, 2])}, arms)
        >>> draw.value(Target(Estimand.ATE, contrast=(2, 0)))
        3.0
        """
        assigned = columns[treatment]
        baseline, *others = arms.values()
        outcome = np.full(len(baseline), np.nan)
        for arm, outcomes in arms.items():
            outcome = np.where(assigned == arm, outcomes, outcome)
        if stray := {float(a) for a in assigned[np.isnan(outcome)]}:
            raise ValueError(f"column '{treatment}' names an arm without outcomes: {min(stray):g}")
        effects = others[0] - baseline if others else np.zeros(len(baseline))
        felt = outcome - baseline
        return cls(columns, baseline, effects, target, felt, None, latent, {}, arms)

    def averaged(self, target: Target) -> Array:
        """Return the effects of the rows that `target` averages over."""
        rows, _ = self.rows_of(target)
        effects = self.effects
        if target.contrast:
            treated, untreated = self.outcomes(target)
            effects = treated - untreated
        return effects if rows is None else effects[rows]

    def rows_of(self, target: Target) -> tuple[Array | None, Array | None]:
        """Return which rows `target` averages over, and their weights; None for all, and equal."""
        marks = self.target[target] if isinstance(self.target, Mapping) else self.target
        if marks is None or marks.dtype.kind == "b":
            return marks, None
        rows = marks > 0
        return rows, marks[rows]

    def outcomes(self, target: Target) -> tuple[Array, Array]:
        """Return every row's outcome with the treatment that `target` asks of, and without."""
        arms = self.arms or {0: self.baseline, 1: self.baseline + self.effects}
        if target.contrast:
            treated, untreated = target.contrast
            return arms[treated], arms[untreated]
        if "dose" in target.estimand.definition.parameters:
            return arms[target.estimand.arguments[0]], self.baseline
        return self.baseline + self.effects, self.baseline

    def value(self, target: Target) -> float:
        """Return the estimand's value among the drawn rows, of single units their mean effect.

        Raises ValueError where the estimand is no functional of potential outcomes.
        """
        if target.estimand.of_units:
            return mean(self.subjects.unit_effects)
        rows, weights = self.rows_of(target)
        if target.estimand.averages:
            return mean(self.averaged(target), weights)
        treated, untreated = (v if rows is None else v[rows] for v in self.outcomes(target))
        return target.estimand.value_of(treated, untreated, weights)

    @property
    def unit_effects(self) -> Array:
        """Return the mean effect on units with a row's covariates, row by row."""
        return self.effects if self.expected is None else self.expected

    @property
    def subjects(self) -> Draw:
        """Return the draw whose units unit-level answers are about."""
        return self if self.points is None else self.points

    def copy(self) -> Draw:
        """Return the same draw with arrays of its own."""
        return Draw(**{f.name: _copied(getattr(self, f.name)) for f in fields(self)})


def _copied(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in part.items()}
    return None if part is None else part.copy()


@dataclass(frozen=True, eq=False)
class Problem:
    """Hold all that an estimator may know: read-only columns, their roles, what is asked.

    `level` is the confidence level of the limits. Only an estimator registered with `oracle=True`
    sees `draw`; for the others it is None.

    `columns` are read-only arrays of one value a row; `covariates` and `instruments` matrices of
    rows by columns; `frame` is a DataFrame of its own for each fit. `points` are the covariates of
    the units whose own effects are asked, those of the rows where no others were drawn; `cost` is
    what treating one of them costs, in the outcome's unit.

    >>> import numpy as np
    >>> from cibench import Draw, Problem, Roles
    >>> y, d = np.array([1.0, 3.0]), np.array([0.0, 1.0])
    >>> problem = Problem.of(Draw({"y": y, "d": d, "u": y}, y, d), Roles())
    >>> problem.outcome, sorted(problem.columns)
    (array([1., 3.]), ['d', 'y'])
    """

    columns: Mapping[str, Array]
    roles: Roles
    targets: tuple[Target, ...]
    level: float = 0.95
    draw: Draw | None = None
    held_out: Array | None = None
    cost: float = 0.0

    @classmethod
    def of(
        cls, draw: Draw, roles: Roles, targets: tuple[Target, ...] = (), level: float = 0.95,
        cost: float = 0.0,
    ) -> Problem:  # fmt: skip
        """Show of a draw what an analyst would see: the columns that have a role, read-only.

        They are copies: who makes them writeable again spoils nobody else's data. Of the units that
        were drawn beside the rows it is their covariates alone.
        """
        columns = {name: draw.columns[name].copy() for name in roles.columns}
        for column in columns.values():
            column.flags.writeable = False
        held_out = None
        if draw.points is not None:
            held_out = np.column_stack([draw.points.columns[name] for name in roles.covariates])
            held_out.flags.writeable = False
        return cls(MappingProxyType(columns), roles, targets, level, None, held_out, cost)

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
    def points(self) -> Array:
        """Return the covariates of the units whose effects are asked: points by covariates."""
        return self.covariates if self.held_out is None else self.held_out

    def members(self, group: str) -> Array:
        """Return which rows are of a group, by what the column of the role `group` says."""
        column: Array = self.columns[self.roles.group] == float(group)
        return column

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

    To an estimand of single units, `Estimand.CATE` say, `effects` answers for each of
    `problem.points`, with `effects_low` and `effects_high` where there are limits; `treat` says
    whom the method would treat (None: all whose effect it puts above `problem.cost`). Without
    `effects`, `value` is the answer for all. `weights` are those of the rows that the answer is
    about, where a method chooses them: it is then put beside the truth of these rows.

    `value`, `se` and the limits are in the estimand's unit; `df` are the degrees of freedom of
    Student's limits, `p_value` is that of no effect.

    >>> from cibench import Estimate
    >>> Estimate(0.5, se=0.1, low=float("-inf"), high=0.66).outside
    False
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
    effects: Array | None = None
    effects_low: Array | None = None
    effects_high: Array | None = None
    treat: Array | None = None
    weights: Array | None = None

    @classmethod
    def wald(cls, value: float, se: float, level: float, df: float | None = None) -> Estimate:
        """Put symmetric limits around `value`, normal ones or Student's with `df`.

        `level` is the confidence level, 0.95 say; `df` the degrees of freedom, None for infinitely
        many.

        >>> from cibench import Estimate
        >>> answer = Estimate.wald(1.0, 0.5, level=0.95)
        >>> round(answer.low, 3), round(answer.high, 3)
        (0.02, 1.98)
        """
        reach = _quantile(level, df) * se
        return cls(value, se, value - reach, value + reach, df=df)

    @classmethod
    def on_scale(
        cls, value: float, se: float, level: float, estimand: Estimand, df: float | None = None
    ) -> Estimate:
        """Put limits around `value` that are symmetric on the scale of the estimand's errors.

        `se` is the standard error on that scale: of the logarithm for a ratio that is scored there.

        >>> from cibench import Estimand, Estimate
        >>> answer = Estimate.on_scale(2.0, 0.1, 0.95, Estimand.RISK_RATIO)
        >>> round(answer.low, 2), round(answer.high, 2)
        (1.64, 2.43)
        """
        if estimand.scale != "log":
            return cls.wald(value, se, level, df)
        reach = math.exp(_quantile(level, df) * se)
        return cls(value, se, value / reach, value * reach, df=df)


@dataclass(frozen=True)
class Diagnosis:
    """Hold a diagnostic's answer: its statistic, its p-value and whether the data passed.

    >>> from cibench import Diagnosis
    >>> Diagnosis(passed=False, p_value=0.003, statistic=2.97).passed
    False
    """

    passed: bool
    p_value: float | None = None
    statistic: float | None = None
