"""The one record of each metric: its function and all that tables, plans, reports and gates need.

A metric is one function under the decorator `metric`, in any module of this package. Who scores,
plans, compares, ranks, reports or teaches reads `METRICS` and keeps no list of its own but for an
order, or for the few that a narrow table has room for. A gate compares a few chosen measures, each
with a margin of its own (`cibench.gate.rules`), and takes their words, scales and losses from here.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from inspect import signature
from math import inf
from typing import Any, Literal

import numpy as np

from cibench.metrics.core import Score
from cibench.metrics.influence import (
    Influence,
    Mean,
    Result,
    Root,
    Share,
    Statistic,
    influenced,
    scored,
)
from cibench.model.types import Array

POINTS, LIMITS = ("estimate", "truth"), ("ci_low", "ci_high", "outside")
SETS, BANDS = ("ci_low", "ci_high", "truth", "outside"), ("band_low", "band_high", "truth")
"""Columns that metrics rest on."""


class Kind(StrEnum):
    """Say in what a metric, its Monte Carlo error and a target for that error are written.

    A share has Wilson's limits. Of the others a target is in empirical standard errors, relative
    to the metric's own value, or as the metric is.
    """

    SHARE = "share"
    IN_SE = "empirical SE"
    RELATIVE = "of its value"
    AS_IS = ""

    @property
    def endings(self) -> tuple[str, ...]:
        """Return what the names of a metric's columns end in: value, error, Wilson's limits."""
        return ("", "_mcse", "_low", "_high") if self is Kind.SHARE else ("", "_mcse")

    def numbers(self, score: Score) -> tuple[float, ...]:
        """Return the numbers of a score, one for each ending."""
        both = score.value, score.mcse
        return (*both, score.low, score.high) if self is Kind.SHARE else both

    def columns(self, name: str, score: Score) -> dict[str, float]:
        """Return a score as columns of a table, by their names."""
        names = (name + end for end in self.endings)
        return dict(zip(names, self.numbers(score), strict=True))


class Loss(StrEnum):
    """Say what of a metric is better when smaller.

    SIZE is the distance from the value of an honest method: 0, of a ratio 1. SHORTFALL is what is
    missing to the nominal level.
    """

    NONE = "none"
    SIZE = "size"
    SHORTFALL = "shortfall"
    ITSELF = "itself"


ERRORS = ("jackknife", NORMAL := "normal")
"""How the errors of an empirical SE, of precision gained and of an SE ratio are computed: by the
centred jackknife, which holds for any estimates, or by the formulas for normal ones."""

Scope = Literal["estimator", "cell", "targets", "null cell"]
"""What a metric looks at: one estimator's answers, those of all in its cell, all of its targets of
one estimand (horizons, groups, contrasts), or also its answers where the truth is zero."""

Table = Literal["scores", "pairs", "plan", "report", "differences", "paper", "summary"]
"""Where a metric stands: in scores.csv, pairs.parquet, among the targets of a plan; in the report's
score table and its table of differences, in the tables for a paper, in the one on the terminal."""

EVERYWHERE: tuple[Table, ...] = ("scores", "pairs", "plan")
REPORTED: tuple[Table, ...] = (*EVERYWHERE, "report")


@dataclass(frozen=True, eq=False)
class Metric:
    """Hold a metric's function and what there is to know of it; called with arrays, score them.

    `function` takes the columns `needs` of the answered replicates that have them all, and `level`
    where it has such a parameter (`by_level`), and `normal` where its error has a formula for
    normal estimates (`by_errors`). With `flags` (ok, failed, declined) it takes those
    columns too, of every replicate; of who declined only with that flag, since he has not tried.
    Numbers may be too large for it: what is then infinite or NaN is told as such. Metrics of
    another `scope` take groups: see `cibench.metrics.families`.

    `label` names it in a heading, `meaning` says in a clause what it is, `kind` in what it, its
    error and a target for that are written, `loss` what of it is better when smaller; `tables` are
    those that it stands in. `moments` says what becomes of it where the estimates have no finite
    moments: it stays, reports hide it, or it is blank; `median` names the metric that tables for
    people then have in its place. With `truth_cancels` an error that all
    truths share does not move it. `exact` says that its influences have standard deviation 1 in the
    unit of its targets, whatever the rows. Leaderboards can rank by a metric with a `power`: to
    that power it is the mean of what each replicate lost. `silent` is said of two estimators
    between which it differs by an error of zero, where that would say too much. `diagnostic` makes
    of the verdicts of a diagnostic, 1 where it passed, what the metric is for it. `terms` names the
    column whose share the metric is, where one of several groups is comparable. `part` is its key
    among the results of a function that returns several, which add up to the metric `part_of` and
    are blank where they rest on fewer rows than that. An `optional` one is left out without a word
    where no answer has what it needs. Tables have their metrics in the order of
    `place`.

    >>> import numpy as np
    >>> from cibench.metrics import METRICS
    >>> coverage = METRICS["coverage"]
    >>> coverage.needs
    ('ci_low', 'ci_high', 'truth', 'outside')
    >>> low, high, truth = np.array([0.1, 0.2]), np.array([0.9, 0.4]), np.array([0.5, 0.5])
    >>> coverage(low, high, truth).value
    0.5
    """

    name: str
    function: Callable[..., Any]
    kind: Kind
    needs: tuple[str, ...]
    label: str
    meaning: str
    flags: tuple[str, ...] = ()
    scope: Scope = "estimator"
    tables: tuple[Table, ...] = EVERYWHERE
    loss: Loss = Loss.NONE
    moments: Literal["any", "hidden", "blank"] = "any"
    median: str = ""
    truth_cancels: bool = False
    exact: bool = False
    power: int = 0
    silent: str = ""
    diagnostic: Callable[[Array], Statistic] | None = None
    terms: str = ""
    part: str = ""
    part_of: str = ""
    by_level: bool = False
    by_errors: bool = False
    place: float = inf
    optional: bool = False

    def __call__(self, *columns: Any, **options: Any) -> Score:
        """Return the score of columns, in the order of `needs` and `flags`."""
        with np.errstate(all="ignore"):
            return scored(self.result(self.function(*columns, **options)))

    def result(self, returned: Any) -> Result:
        """Return the metric's own part of what its function returned."""
        selected: Result = returned[self.part] if self.part else returned
        return selected

    def of(self, columns: Mapping[str, Array], level: float) -> Result:
        """Return the metric of columns by name."""
        arguments = [columns[name] for name in (*self.needs, *self.flags)]
        options = {"level": level} if self.by_level else {}
        with np.errstate(all="ignore"):
            return self.result(self.function(*arguments, **options))

    def influence(self, columns: Mapping[str, Array], level: float) -> Influence:
        """Return how far each replicate moves the metric of columns by name."""
        with np.errstate(all="ignore"):
            if self.terms:
                return Share(columns[self.terms]).influence
            return influenced(self.of(columns, level))

    def losses(self, columns: Mapping[str, Array], level: float) -> Array:
        """Return what each replicate lost, of a metric with a power."""
        result = self.of(columns, level)
        mean = result.square if isinstance(result, Root) else result
        assert isinstance(mean, Mean), f"{self.name} is no power mean of losses"
        return mean.terms

    @property
    def compared_by(self) -> tuple[str, ...]:
        """Return the columns that two estimators are compared by."""
        return (self.terms,) if self.terms else self.needs

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of its columns in a score table."""
        return tuple(self.name + end for end in self.kind.endings)

    @property
    def whole(self) -> tuple[str, ...]:
        """Return the columns of the metric that it is a part of."""
        return METRICS[self.part_of].needs

    @property
    def share(self) -> bool:
        """Say whether it is a share of replicates."""
        return self.kind is Kind.SHARE

    @property
    def heading(self) -> str:
        """Return its label with the unit in which a table of people has it."""
        return f"{self.label} %" if self.share else self.label

    @property
    def less_is_better(self) -> bool:
        """Say whether the smaller of two values is the better one."""
        return self.loss is Loss.ITSELF


class Registry(Mapping[str, Metric]):
    """Hold the metrics by name, in the order of the tables; the first look imports them all."""

    def __init__(self) -> None:
        self._declared: dict[str, Metric] = {}
        self._ordered: dict[str, Metric] = {}
        self._loaded = False

    def __getitem__(self, name: str) -> Metric:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def values(self) -> ValuesView[Metric]:
        """Return the metrics in order."""
        return self._all().values()

    def declare(self, new: Metric) -> None:
        """Take up a metric; raises ValueError where its name is another one's."""
        taken = self._declared.get(new.name)
        if taken and _home(taken) != _home(new):
            raise ValueError(f"metric '{new.name}' of {_home(new)} is taken by {_home(taken)}")
        self._declared[new.name] = new
        self._ordered = {}

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Forget afterwards what is declared meanwhile."""
        self._all()
        before = dict(self._declared)
        try:
            yield
        finally:
            self._declared, self._ordered = before, {}

    def _all(self) -> dict[str, Metric]:
        if not self._loaded:
            self._loaded = True
            for module in pkgutil.iter_modules(import_module("cibench.metrics").__path__):
                import_module(f"cibench.metrics.{module.name}")
        if not self._ordered:
            ordered = sorted(self._declared.values(), key=lambda one: (one.place, one.name))
            self._ordered = {one.name: one for one in ordered}
        return self._ordered


def _home(entry: Metric) -> str:
    return f"{entry.function.__module__}.{entry.function.__qualname__}"


METRICS = Registry()
"""Every metric by name, in the order of the tables."""


def metric(
    needs: tuple[str, ...], kind: Kind, *, label: str, meaning: str, name: str = "", **facts: Any
) -> Callable[[Callable[..., Any]], Metric]:
    """Declare a function as the metric of its name; the other facts are the fields of `Metric`.

    The function takes arrays of one value a replicate and returns a statistic that knows its error,
    such as `Mean` of its terms. Raises ValueError where the name is another metric's.

    >>> import numpy as np
    >>> from cibench.metrics import METRICS, metric
    >>> from cibench.metrics.influence import Mean
    >>> from cibench.metrics.registry import POINTS, Kind
    >>> with METRICS.lent():  # else it stays, and every table has it
    ...     @metric(POINTS, Kind.AS_IS, label="cubes", meaning="mean cubed error")
    ...     def cubed(t, theta):
    ...         return Mean((t - theta) ** 3)
    ...     listed = "cubed" in METRICS
    >>> listed, cubed(np.array([1.0, 2.0]), np.array([0.0, 1.0])).value
    (True, 1.0)
    """

    def declare(function: Callable[..., Any]) -> Metric:
        takes = signature(function).parameters
        own = name or function.__name__
        new = Metric(
            own, function, kind, needs, label, meaning, by_level="level" in takes,
            by_errors="normal" in takes, **facts,
        )  # fmt: skip
        METRICS.declare(new)
        return new

    return declare


def listed(table: Table, first: Sequence[str] = ()) -> list[Metric]:
    """Return the metrics of a table: those named `first` in that order, then the others in theirs.

    Raises KeyError where `first` names none of the table.
    """
    by_name = {one.name: one for one in METRICS.values() if table in one.tables}
    return [by_name.pop(name) for name in first] + list(by_name.values())


def ranking_measures() -> list[str]:
    """Return the names of the metrics that methods can be ranked by, those of plug-ins too."""
    return sorted(metric.name for metric in METRICS.values() if metric.power)
