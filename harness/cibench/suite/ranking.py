"""What a suite declares about comparisons and its leaderboard: measure, weights, worst score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from cibench.metrics.registry import ERRORS, METRICS, ranking_measures
from cibench.model.types import PARTS
from cibench.utils.errors import unknown
from cibench.utils.toml import several

if TYPE_CHECKING:
    from cibench.suite.suite import Cell
    from cibench.utils.toml import Table

ALL = "all"
"""Every pair of estimators, and not each with one reference."""


VALID, BROKEN = "valid", "broken"
"""The cells in which methods may be expected to be valid, and the others."""

SETTINGS = (VALID, "default", "all")
KEYS = ("measure", "worst", "settings", "reference", "weights", "baselines")

Entrant = tuple[str, str]
"""An estimator's name and its options, as rows carry them."""


@dataclass(frozen=True)
class Ranking:
    """Hold what a leaderboard is made of.

    `worst` is the score of a failure, in scores of the reference: an oracle's are several times
    smaller than what analysts can reach, and ordinary misses must stay below it. `settings` says
    which cells count: those in which methods may be expected to be valid (the others then make a
    board of their own), those with every dial at its default, or all. `reference` names the
    estimator that others are compared with, "" the first oracle of the catalogue, else the first
    contender, else the first baseline, of those who leave out no more than 5 in 100 data sets, and
    of these who hold their level without a fault, where there are such; `weights` gives scenarios,
    by name or glob, their weight (1 where none matches); `baselines` names what is marked as one.
    """

    measure: str = "interval_score"
    worst: float = 100.0
    settings: str = "valid"
    reference: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    baselines: tuple[str, ...] = ("baseline/*", "naive/*")

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Ranking:
        """Read the table `ranking` of a suite file's content, which was checked when it ran."""
        table = dict(spec.get("ranking") or {})
        if "baselines" in table:
            table["baselines"] = tuple(several(table["baselines"]))
        return cls(**{key: value for key, value in table.items() if key in KEYS})

    @property
    def power(self) -> int:
        """Return to which power the measure is a mean of losses: the RMSE's square is one."""
        return METRICS[self.measure].power

    def weight(self, scenario: str) -> float:
        """Return the weight of a scenario: that of the first name or glob that matches it."""
        matching = (w for name, w in self.weights.items() if fnmatchcase(scenario, name))
        return float(next(matching, 1.0))

    def role(self, estimator: str, catalogue: Mapping[str, Any]) -> str:
        """Say whether an estimator is an `oracle`, a `baseline` or, "", a contender."""
        about = (catalogue.get("estimators") or {}).get(estimator) or {}
        if about.get("oracle"):
            return "oracle"
        named = any(fnmatchcase(estimator, name) for name in self.baselines)
        return "baseline" if named else ""


CELL_KEYS = ("scenario", "dials", "n", "parameters", *PARTS)
"""What tells the cells of a board apart."""


def check_scoring(table: Table, cells: Iterable[Cell], *, complete: bool) -> None:
    """Note what is wrong with `compare`, `ranking`, `show_moments` and `errors`.

    Names are those of the cells, and not looked up where the cells are not `complete`.
    """
    cells = tuple(cells)
    estimators = sorted({e.estimator for cell in cells for e in cell.entrants})
    scenarios = sorted({cell.scenario.name for cell in cells})
    wanted = f"'{ALL}' or an estimator of the suite"
    against = table.take("compare", str, ALL, bool, wanted)
    if complete and against != ALL and against not in estimators:
        table.fault("compare", unknown("estimator of the suite", against, estimators))
    table.take("show_moments", bool, False, lambda _: True, "true or false")
    table.take("errors", str, ERRORS[0], ERRORS.__contains__, f"one of {', '.join(ERRORS)}")
    ranking = table.table("ranking")
    ranking.check_keys(KEYS)
    for key, known in (("measure", ranking_measures()), ("settings", SETTINGS)):
        default = getattr(Ranking, key)
        ranking.take(key, str, default, known.__contains__, f"one of {', '.join(known)}")
    ranking.take("worst", (int, float), 100.0, lambda v: v > 1, "a number above 1")
    reference = ranking.take("reference", str, "", bool, "an estimator of the suite")
    if complete and reference and reference not in estimators:
        ranking.fault("reference", unknown("estimator of the suite", reference, estimators))
    ranking.strings("baselines", [])
    weights = ranking.table("weights")
    for name in weights.content:
        weights.take(name, (int, float), ..., lambda v: v >= 0, "a weight of 0 or more")
        if complete and not any(fnmatchcase(scenario, name) for scenario in scenarios):
            weights.fault(name, unknown("scenario of the suite", name, scenarios))


def comparison(spec: Mapping[str, Any]) -> str:
    """Return what a suite's estimators are compared with, from the content of its file."""
    return str(spec.get("compare") or ALL)
