"""Ranks with uncertainty: a leaderboard for each design, whose ranks noise could not produce.

An estimator's score is the mean log ratio of its interval score (or RMSE) to the reference's over
the cells of a suite, which is taken as it is: the error is that of the replicates, not of the
choice of scenarios. What that choice does is shown by leaving out one scenario at a time.

Methods are ranked where they may be expected to be valid: in cells with every dial at its default,
and in those in which nothing that a contender assumes is broken. Who does not hold its level there,
beyond doubt, carries a mark and no rank. The other cells make a board of their own: how methods
degrade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, isnan, nan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.board_cells import (
    UNRANKED,
    Names,
    Settings,
    by_leaderboard,
    scenario_shares,
)
from cibench.analysis.coverage_verdicts import MOST_LEFT_OUT
from cibench.analysis.expectations import judge_expectations
from cibench.analysis.one_pass import from_rows
from cibench.analysis.ranking_losses import (
    ROUNDING,
    Compared,
    Entered,
    ScenarioShare,
    compare,
    entered,
    key_of,
    rank_sets,
    run,
)
from cibench.model.streams import stream
from cibench.model.types import TARGET, Array
from cibench.render.numbers import count, percent
from cibench.storage import CellRows
from cibench.suite.ranking import BROKEN, VALID, Entrant, Ranking
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "RankCollector", "Ranking", "ranks"]

KINDS = (VALID, "default", "all", BROKEN)

COLUMNS = (
    "design", "estimand", "horizon", "level", "settings", "without", "measure", "reference",
    "estimator", "options", "role", "holds_level", "log_ratio", "mcse", "ratio", "ratio_low",
    "ratio_high", "rank", "rank_low", "rank_high", "scenarios", "cells", "worst", "declined",
    "unbounded", "note",
)  # fmt: skip
NEEDED = ("kind", "scenario", "dials", "n", "parameters", "estimand", "horizon", "level",
          "estimator", "options", "answered")  # fmt: skip

ORDER = ("scenario", "n", "dials", "parameters", *TARGET, "level")


def ranks(
    rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any], spec: Ranking | None = None, *,
    expectations: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the leaderboards of a run: a row for each board and estimator, the best first.

    `log_ratio` is the weighted mean over the board's cells of the log of an estimator's score over
    the reference's (see `cibench.analysis.ranking_losses`), every scenario with its weight, the
    cells of a scenario alike; `mcse` is its Monte Carlo error, `ratio` its exponential, `ratio_low`
    and `ratio_high` limits of that, all on one base: the reference's own are 1 (1, 1). `rank_low`
    to `rank_high` is the confidence set of the rank among those who are ranked; `rank` writes it,
    "3" or "2–5". Limits and sets are made to hold for a whole board at once in 95 of 100 runs;
    `results/reference/ranks` says by law and size how often they do (source of the sets: Mogstad,
    Romano, Shaikh and Wilhelm 2024, Review of Economic Studies 91).

    `settings` says which cells a board is of: "valid" those with every dial at its default or
    with nothing broken that a contender assumes, "broken" the others (by the suite's wish
    "default" or "all"). `holds_level` is "no" for whom coverage (failures as misses) is below
    the floor in a "valid" cell beyond doubt, "no answer" or "contradicts itself" for whom a
    fault of that kind was found there: these have no rank, not on the board of the broken cells
    either, and `note` says where; "yes" where coverage is above the floor in every such cell,
    else "unclear". Oracles have no rank either. Who never gives what the measure rests on,
    limits or an estimate, has none; for those there is a board by RMSE beside one by sets.
    `without` names the scenario that was left out, "" for the board itself. `worst` is the
    share of tries with the worst score; `declined` and `unbounded` are shares of data sets that
    count as no tries; with more than 5 in 100 of these a method has no rank, and where it is the
    reference, on whose data sets all scores rest, nobody has. Nor has who was not run in all cells.

    `manifest` is the run's, which says who declined; `spec` what the suite declares of its
    ranking; `expectations` the run's verdicts, by default those of `judge_expectations` without a
    suite. Raises BadInput if columns are missing.

    >>> import cibench
    >>> methods = ["did/collapsed", "naive/difference-in-means"]
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": methods}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> board = cibench.ranks(run.replicates, run.scores, run.catalogue, run.manifest)
    >>> board[["estimator", "ratio", "holds_level", "rank"]].round(1)
                       estimator  ratio holds_level rank
    0              did/collapsed    1.0     unclear    1
    1  naive/difference-in-means   16.2          no
    """

    def verdicts() -> pd.DataFrame:
        return judge_expectations(scores, catalogue, {}) if expectations is None else expectations

    collector = RankCollector(lambda: scores, verdicts, catalogue, manifest, spec or Ranking())
    return from_rows(rows, collector)


@dataclass(eq=False)
class RankCollector:
    """Put aside what losses rest on, cell by cell; the tables of scores and verdicts come last.

    A reference answers in every cell, so that nobody's losses can be compared with its before all
    cells are there.
    """

    scores: Callable[[], pd.DataFrame]
    expectations: Callable[[], pd.DataFrame]
    catalogue: Mapping[str, Any]
    manifest: Mapping[str, Any]
    spec: Ranking
    reads: ClassVar[tuple[str, ...]] = ()
    _entered: list[Entered] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Put aside what counts of a cell."""
        settings = Settings(self.spec, self.catalogue, {}, {})
        self._entered += entered(cell, self.spec, settings.kind)

    def table(self) -> pd.DataFrame:
        """Return the leaderboards."""
        import pandas as pd

        # whatever order an extended run has its rows in, the limits are those of a fresh one
        self._entered.sort(key=lambda each: [str(each.names[name]) for name in ORDER])
        scores = self.scores()
        if lacking := [name for name in NEEDED if name not in scores.columns]:
            raise BadInput(f"the score table lacks columns: {', '.join(lacking)}")
        settings = Settings.of(self.expectations(), self.spec, self.catalogue)
        lines = [line for kind in KINDS for line in self._of_kind(scores, settings, kind)]
        table = pd.DataFrame(lines, columns=list(COLUMNS))
        return table.astype({"rank_low": "Int64", "rank_high": "Int64"})

    def _of_kind(self, scores: pd.DataFrame, settings: Settings, kind: str) -> list[dict[str, Any]]:
        """Return the lines of all boards of one kind of cells."""
        cells = [cell for cell in self._entered if settings.kind(cell.names) == kind]
        if not cells:
            return []
        lines, without = self._by(self.spec, cells, scores, settings, kind)
        if without and self.spec.measure != BY_POINTS:
            points = replace(self.spec, measure=BY_POINTS)
            lines += self._by(points, cells, scores, settings, kind)[0]
        return lines

    def _by(
        self, spec: Ranking, cells: Sequence[Entered], scores: pd.DataFrame, settings: Settings,
        kind: str,
    ) -> tuple[list[dict[str, Any]], bool]:  # fmt: skip
        """Return the lines of all boards by one measure, and whether somebody never gives it."""
        every = scenario_shares(scores, settings, spec, self._entered, kind)
        run(cells, every, spec)
        every = {key: share for key, share in every.items() if share.cells}
        lines = []
        for design, key, shares in by_leaderboard(every):
            _, estimand, per_horizon, level = key
            named = {"design": design, "estimand": estimand, "level": level,
                     "measure": spec.measure, "horizon": "each" if per_horizon else "",
                     "settings": kind}  # fmt: skip
            board = Board(spec, self.catalogue, settings, self.manifest)
            for without in ["", *shares] if len(shares) > 1 else [""]:
                kept = {name: share for name, share in shares.items() if name != without}
                keys = {(name, *key[1:]) for name in kept}
                its = [x.names for x in self._entered if key_of(x.names) in keys]
                address = [str(value) for value in named.values()]
                lines += [named | {"without": without} | x for x in board.lines(kept, its, address)]
        return lines, any(share.without for share in every.values())


@dataclass(frozen=True, eq=False)
class Board:
    """Write leaderboards by one measure."""

    spec: Ranking
    catalogue: Mapping[str, Any]
    settings: Settings
    manifest: Mapping[str, Any]

    def lines(
        self, shares: Mapping[str, ScenarioShare], cells: Sequence[Names], address: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return the lines of one board, the best first; none with fewer than two to score."""
        shares = dict(sorted(shares.items()))
        entrants = list(dict.fromkeys(e for s in shares.values() for e in (*s.runs, *s.without)))
        whole = [e for e in entrants if all(s.counts.get(e, 0) == s.cells for s in shares.values())]
        roles = {e: self.spec.role(e[0], self.catalogue) for e in entrants}
        if sum(roles[e] != "oracle" for e in whole) < FEWEST:
            return []
        levels = {e: self.settings.holds(e, cells) for e in entrants}
        selective = {e: few for e in whole if (few := _selective(e, shares))}
        marked = {e for e in whole if levels[e][0] in UNRANKED} | set(selective)
        ranked = [i for i, e in enumerate(whole) if roles[e] != "oracle" and e not in marked]
        unsure = _rests_on(selective, shares)
        ranked = [] if unsure else ranked
        scores, terms, freedom, starts = _sums(shares, whole, self.spec)
        scores = np.where(np.abs(scores) <= ROUNDING, 0.0, scores)
        rng = stream("ranks", *address, *shares)
        compared = compare(np.append(scores, 0.0), _beside_zero(terms), freedom, rng, starts)
        lines = _lines(whole, scores, terms, compared, freedom)
        for i, low, high in zip(ranked, *rank_sets(compared, np.array(ranked, int)), strict=True):
            text = str(low) if low == high else f"{low}–{high}"
            lines[i] |= {"rank": text, "rank_low": int(low), "rank_high": int(high)}
        lines.sort(key=lambda line: line["log_ratio"])
        lines += [
            BLANK_LINE | {"entrant": e, "note": self._absent(e, shares)}
            for e in entrants if e not in whole
        ]  # fmt: skip
        about = _about(shares)
        for line in lines:
            e = line["entrant"]
            line |= {"role": roles[e], "holds_level": levels[e][0], **about, **_counts(e, shares)}
            notes = (levels[e][1], selective.get(e, unsure), line["note"], _left_out(shares))
            line["note"] = "; ".join(filter(None, notes))
            line["estimator"], line["options"] = line.pop("entrant")
        return _in_order(lines)

    def _absent(self, entrant: Entrant, shares: Mapping[str, ScenarioShare]) -> str:
        """Say why an entrant has no score."""
        if any(entrant in share.without for share in shares.values()):
            what = "limits" if self.spec.measure != BY_POINTS else "estimates"
            return f"gives no {what}, on which this board rests"
        absent = [n for n, s in shares.items() if s.counts.get(entrant, 0) < s.cells]
        refused = {
            r.get("scenario") for r in self.manifest.get("declined") or ()
            if r.get("estimator") == entrant[0]
        }  # fmt: skip
        own = [name for name in absent if name in refused]
        if own == absent:
            return f"declines {', '.join(own)}"
        return f"no score in every cell of {', '.join(absent)}"


FEWEST = 2
BY_POINTS = "rmse"
"""The measure of those who give no limits."""

BLANK_LINE = {
    "log_ratio": nan, "mcse": nan, "ratio": nan, "ratio_low": nan, "ratio_high": nan, "rank": "",
    "rank_low": None, "rank_high": None,
}  # fmt: skip


def _in_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put who is marked behind those who are ranked, and who has no score last."""

    def place(line: Mapping[str, Any]) -> int:
        if isnan(line["ratio"]):
            return 2
        return int(line["rank"] == "" and line["role"] != "oracle")

    return sorted(lines, key=place)


def _selective(entrant: Entrant, shares: Mapping[str, ScenarioShare]) -> str:
    """Say of who leaves too many data sets out that its score is of the others, "" of whom not.

    Nobody can tell whether the data sets that it left out were the hard ones.
    """
    counts = _counts(entrant, shares)
    left_out = counts["declined"] + counts["unbounded"]
    if left_out <= MOST_LEFT_OUT:
        return ""
    return f"scored on the {percent(1 - left_out)} % of data sets to which it gave a bounded answer"


def _rests_on(selective: Mapping[Entrant, str], shares: Mapping[str, ScenarioShare]) -> str:
    """Say that all scores rest on the data sets of a reference that left too many out."""
    references = {share.reference for share in shares.values()} & selective.keys()
    if not references:
        return ""
    names = ", ".join(sorted(name for name, _ in references))
    return f"scored on the data sets alone to which the reference {names} gave a bounded answer"


def _about(shares: Mapping[str, ScenarioShare]) -> dict[str, Any]:
    """Return what all lines of a board say alike."""
    references = dict.fromkeys(share.reference[0] for share in shares.values())
    return {
        "reference": ", ".join(references), "scenarios": len(shares),
        "cells": sum(share.cells for share in shares.values()),
    }  # fmt: skip


def _left_out(shares: Mapping[str, ScenarioShare]) -> str:
    lost = sum(share.lost for share in shares.values())
    cells = count(lost, "cell")
    return f"{cells} left out, where the reference has no score above zero" if lost else ""


def _counts(entrant: Entrant, shares: Mapping[str, ScenarioShare]) -> dict[str, float]:
    """Return the shares of replicates with the worst score, declined, and with unbounded sets."""
    scored = ("worst", "penalised", "counts")
    left_out = (("declined", "declined", "runs"), ("unbounded", "unbounded", "runs"))
    averages = {}
    for name, table, cells in (scored, *left_out):
        total = sum(getattr(share, table).get(entrant, 0.0) for share in shares.values())
        ran = sum(getattr(share, cells).get(entrant, 0) for share in shares.values())
        averages[name] = total / max(ran, 1)
    return averages


def _sums(
    shares: Mapping[str, ScenarioShare], whole: list[Entrant], spec: Ranking
) -> tuple[Array, Array, float, list[int]]:
    """Return scores, their terms, the fewest degrees of freedom, and where blocks begin."""
    total = sum(spec.weight(name) for name in shares)
    scores, columns, freedom = np.zeros(len(whole)), [], []
    for name, share in shares.items():
        weight = spec.weight(name) / total / share.cells
        scores += weight * np.array([share.logs[entrant] for entrant in whole])
        for block in share.blocks.values():
            n = block.replicates.size
            none = np.zeros(n)
            own = np.array([block.terms.get(entrant, none) for entrant in whole])
            columns.append(weight * own * (n / max(n - 1, 1)) ** 0.5)
            freedom.append(n - 1)
        for errors in share.truths.values():
            columns.append(weight * np.array([[errors.get(entrant, 0.0)] for entrant in whole]))
    starts = np.cumsum([0, *(column.shape[1] for column in columns)])[:-1]
    return scores, np.concatenate(columns, axis=1), float(min(freedom)), starts.tolist()


def _beside_zero(terms: Array) -> Array:
    """Add a row for a score of exactly 0, the references': limits of a score are to that."""
    return np.concatenate([terms, np.zeros((1, terms.shape[1]))])


def _lines(
    whole: list[Entrant], scores: Array, terms: Array, compared: Compared, freedom: float
) -> list[dict[str, Any]]:
    """Return the scored lines of a board; the last of `compared` is the reference's score, 0."""
    errors = np.sqrt(np.square(terms).sum(axis=1)) if freedom > 0 else np.full(len(whole), nan)
    errors = np.where(errors <= ROUNDING, 0.0, errors)
    with np.errstate(over="ignore"):
        lows, highs = np.exp(compared.low[:-1, -1]), np.exp(compared.high[:-1, -1])
    return [
        {
            "entrant": entrant, "log_ratio": float(score), "mcse": float(error),
            "ratio": exp(score), "ratio_low": float(low), "ratio_high": float(high), "rank": "",
            "rank_low": None, "rank_high": None,
            "note": "" if freedom > 0 else "one replicate has no error",
        }
        for entrant, score, error, low, high in zip(
            whole, scores, errors, lows, highs, strict=True
        )
    ]  # fmt: skip
