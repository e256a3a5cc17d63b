"""What a suite file says about scoring: comparisons, the leaderboard, precision targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from cibench.errors import BadInput, unknown
from cibench.pairs.spec import ALL
from cibench.plan import check_target
from cibench.ranking.spec import KEYS, MEASURES, SETTINGS

if TYPE_CHECKING:
    from cibench.suite import Cell
    from cibench.table import Table

COUNTS = ("min_replicates", "max_replicates", "pilot")
SCORING_KEYS = ("compare", "ranking", "precision", *COUNTS)


@dataclass(frozen=True)
class Precision:
    """Hold the Monte Carlo errors that a suite asks for and the replicates it allows a cell.

    `targets` are errors by measure, in the units of `cibench.plan`. With a `pilot` of so many
    replicates it says how many a cell is run for, without one the cell's own rows do, as they come.
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    least: int = 2
    most: int | None = None
    pilot: int | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """Return it as plain data, for a manifest."""
        counts = zip(COUNTS, (self.least, self.most, self.pilot), strict=True)
        return {"targets": dict(self.targets), **dict(counts)}


def check_scoring(table: Table, cells: Iterable[Cell]) -> None:
    """Raise BadInput for what is wrong with `compare` and `ranking`."""
    cells = tuple(cells)
    estimators = sorted({e.estimator for cell in cells for e in cell.entrants})
    scenarios = sorted({cell.scenario.name for cell in cells})
    wanted = f"'{ALL}' or an estimator of the suite"
    against = table.take("compare", str, ALL, bool, wanted)
    if against != ALL and against not in estimators:
        raise table.bad("compare", unknown("estimator of the suite", against, estimators))
    ranking = table.table("ranking")
    ranking.check_keys(KEYS)
    for key, known in (("measure", MEASURES), ("settings", SETTINGS)):
        ranking.take(key, str, known[0], known.__contains__, f"one of {', '.join(known)}")
    ranking.take("worst", (int, float), 100.0, lambda v: v > 1, "a number above 1")
    reference = ranking.take("reference", str, "", bool, "an estimator of the suite")
    if reference and reference not in estimators:
        raise ranking.bad("reference", unknown("estimator of the suite", reference, estimators))
    ranking.strings("baselines", [])
    weights = ranking.table("weights")
    for name in weights.content:
        weights.take(name, (int, float), ..., lambda v: v >= 0, "a weight of 0 or more")
        if not any(fnmatchcase(scenario, name) for scenario in scenarios):
            raise weights.bad(name, unknown("scenario of the suite", name, scenarios))


def read_precision(table: Table) -> Precision | None:
    """Return the suite's precision targets, None where it states a count of replicates."""
    given = table.table("precision")
    for key in COUNTS:
        if key in table.content and not given.content:
            raise table.bad(key, "belongs to a suite that states precision and no replicates")
    if not given.content:
        return None
    if "replicates" in table.content:
        raise table.bad("precision", "stands beside replicates; state one of the two")
    for name in given.content:
        value = given.take(name, (int, float), ..., lambda _: True, "a Monte Carlo error above 0")
        try:
            check_target(name, value)
        except BadInput as error:
            raise given.bad(name, error) from error
    least = table.take("min_replicates", int, 2, lambda v: v > 1, "a whole number of 2 or more")
    most = table.take(
        "max_replicates", int, None, lambda v: v >= least, f"a whole number of {least} or more"
    )
    pilot = table.take("pilot", int, None, lambda v: v > 1, "a whole number of 2 or more")
    return Precision(dict(given.content), least, most, pilot)


def comparison(spec: Mapping[str, Any]) -> str:
    """Return what a suite's estimators are compared with, from the content of its file."""
    return str(spec.get("compare") or ALL)
