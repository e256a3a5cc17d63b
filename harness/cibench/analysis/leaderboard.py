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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, isnan, nan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.coverage_verdicts import UNJUDGED, CoverageVerdict
from cibench.analysis.expectations import FAULTS, judge_expectations
from cibench.analysis.one_pass import from_rows
from cibench.analysis.ranking_losses import (
    Compared,
    Entered,
    Key,
    ScenarioShare,
    compare,
    entered,
    key_of,
    rank_sets,
    run,
)
from cibench.model.catalogue import at_default, dials_of
from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.render.numbers import percent
from cibench.storage import CellRows
from cibench.suite.expectations import Expected
from cibench.suite.ranking import BROKEN, CELL_KEYS, VALID, Entrant, Ranking
from cibench.utils.errors import BadInput
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Names = Mapping[str, Any]

Counted = Callable[[Names], bool]

KINDS = (VALID, "default", "all", BROKEN)

TARGET_CELL = (*CELL_KEYS, "estimand", "level")
UNRANKED = ("no", *map(str, FAULTS))
"""What of `holds_level` leaves a method without a rank."""

HOLDING = (CoverageVerdict.SOUND, CoverageVerdict.CONSERVATIVE)


def _cell(names: Names) -> tuple[str, ...]:
    return tuple("" if missing(names[key]) else str(names[key]) for key in TARGET_CELL)


@dataclass(frozen=True, eq=False)
class Settings:
    """Know of each cell to which kind of board it belongs, and of each entrant what holds there."""

    spec: Ranking
    catalogue: Mapping[str, Any]
    expected: Mapping[tuple[str, ...], bool]
    levels: Mapping[tuple[str, ...], Mapping[Entrant, Names]]

    @classmethod
    def of(
        cls, expectations: pd.DataFrame, spec: Ranking, catalogue: Mapping[str, Any]
    ) -> Settings:
        """Read them off the verdicts on all coverages of the run."""
        expected: dict[tuple[str, ...], bool] = {}
        levels: dict[tuple[str, ...], dict[Entrant, Names]] = {}
        for line in _lines_of(expectations):
            cell, entrant = _cell(line), (str(line["estimator"]), str(line["options"]))
            levels.setdefault(cell, {})[entrant] = line
            if spec.role(entrant[0], catalogue) == "":
                own = line["expected"] in (Expected.VALID, Expected.OTHER_QUESTION)
                expected[cell] = expected.get(cell, True) and own
        return cls(spec, catalogue, expected, levels)

    def kind(self, names: Names) -> str:
        """Return on which board a cell counts, "" where on none."""
        if not self.spec.weight(str(names["scenario"])) > 0:
            return ""
        known = self.catalogue.get("scenarios") or {}
        default = at_default(names["dials"], dials_of(known, names["scenario"]))
        if self.spec.settings == "all":
            return "all"
        if self.spec.settings == "default":
            return "default" if default else ""
        return VALID if default or self.expected.get(_cell(names), False) else BROKEN

    def holds(self, entrant: Entrant, cells: Sequence[Names]) -> tuple[str, str]:
        """Return whether an entrant holds its level where it may be expected to, and where not."""
        known = self.catalogue.get("scenarios") or {}
        verdicts = []
        for names in cells:
            line = self.levels.get(_cell(names), {}).get(entrant)
            default = at_default(names["dials"], dials_of(known, names["scenario"]))
            if line is None or not (default or self.expected.get(_cell(names), False)):
                continue
            verdict = CoverageVerdict(line["coverage_verdict"])
            if line["verdict"] in FAULTS:
                return str(line["verdict"]), f"{line['note']}, in {_at(line)}"
            if verdict is CoverageVerdict.BROKEN:
                return "no", _broken_at(line)
            verdicts.append(verdict)
        judged = [verdict for verdict in verdicts if verdict not in UNJUDGED]
        if not judged:
            return "", ""
        return ("yes" if all(verdict in HOLDING for verdict in judged) else "unclear"), ""


def _at(line: Names) -> str:
    moved = "" if missing(line["dial"]) else f", {line['dial']} = {line['setting']:g}"
    return f"{line['scenario']}, n = {line['n']}{moved}"


def _broken_at(line: Names) -> str:
    return (
        f"does not hold its level in {_at(line)}: coverage {percent(line['coverage'])} % "
        f"({percent(line['low'])}–{percent(line['high'])}), floor {percent(line['floor'])} %"
    )


def _lines_of(table: pd.DataFrame) -> Iterator[Names]:
    for line in table[table["kind"] == "estimate"].to_dict("records"):
        yield {str(name): value for name, value in line.items()}


def scenario_shares(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], spec: Ranking, counted: Counted
) -> dict[Key, ScenarioShare]:
    """Return the scenarios' shares of all boards, empty so far, each with its reference.

    The reference answers in every cell: the one that the suite names, else the first oracle of the
    catalogue, else the first contender, else the first baseline. A share without one is left out.
    """
    cells: dict[Key, dict[tuple[str, ...], set[Entrant]]] = {}
    for names in _lines_of(scores):
        if counted(names):
            entrants = cells.setdefault(key_of(names), {}).setdefault(_cell(names), set())
            if names["answered"]:
                entrants.add((str(names["estimator"]), str(names["options"])))
    shares = {}
    for key, answering in cells.items():
        everywhere = set.intersection(*answering.values())
        ordered = sorted(everywhere, key=lambda entrant: _rank(entrant, catalogue, spec))
        if ordered and (not spec.reference or ordered[0][0] == spec.reference):
            shares[key] = ScenarioShare(ordered[0])
    return shares


def _rank(entrant: Entrant, catalogue: Mapping[str, Any], spec: Ranking) -> tuple[Any, ...]:
    order = list(catalogue.get("estimators") or {})
    name = entrant[0]
    place = order.index(name) if name in order else len(order)
    first = ("oracle", "", "baseline").index(spec.role(name, catalogue))
    return name != spec.reference, first, place, entrant


def by_leaderboard(
    shares: Mapping[Key, ScenarioShare],
) -> Iterator[tuple[str, Key, dict[str, ScenarioShare]]]:
    """Yield each board: its design, one of its keys, and its scenarios' shares.

    A design is a family of scenarios, what stands before the slash; where a family has several
    scenarios, each of them is a board of its own as well.
    """
    families: dict[tuple[Any, ...], list[Key]] = {}
    for key in shares:
        families.setdefault((key[0].partition("/")[0], *map(str, key[1:])), []).append(key)
    for (family, *_), keys in families.items():
        yield str(family), keys[0], {key[0]: shares[key] for key in keys}
        if len(keys) > 1:
            for key in keys:
                yield key[0], key, {key[0]: shares[key]}


__all__ = ["COLUMNS", "RankCollector", "Ranking", "ranks"]

COLUMNS = (
    "design", "estimand", "horizon", "level", "settings", "without", "measure", "reference",
    "estimator", "options", "role", "holds_level", "log_ratio", "mcse", "ratio", "ratio_low",
    "ratio_high", "rank", "rank_low", "rank_high", "scenarios", "cells", "worst", "declined",
    "unbounded", "note",
)  # fmt: skip
NEEDED = ("kind", "scenario", "dials", "n", "parameters", "estimand", "horizon", "level",
          "estimator", "options", "answered")  # fmt: skip


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
    count as no tries; with more than 5 in 100 of these a method has no rank. Nor has who was not
    run in all cells.

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
        every = scenario_shares(scores, self.catalogue, spec, lambda n: settings.kind(n) == kind)
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
        entrants = list(dict.fromkeys(e for s in shares.values() for e in (*s.runs, *s.without)))
        whole = [e for e in entrants if all(s.counts.get(e, 0) == s.cells for s in shares.values())]
        roles = {e: self.spec.role(e[0], self.catalogue) for e in entrants}
        if sum(roles[e] != "oracle" for e in whole) < FEWEST:
            return []
        levels = {e: self.settings.holds(e, cells) for e in entrants}
        selective = {e: few for e in whole if (few := _selective(e, shares))}
        marked = {e for e in whole if levels[e][0] in UNRANKED} | set(selective)
        ranked = [i for i, e in enumerate(whole) if roles[e] != "oracle" and e not in marked]
        scores, terms, freedom, starts = _sums(shares, whole, self.spec)
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
            notes = (levels[e][1], selective.get(e, ""), line["note"], _left_out(shares))
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
MOST_LEFT_OUT = 0.05
"""The share of data sets without a bounded answer above which a method has no rank."""

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


def _about(shares: Mapping[str, ScenarioShare]) -> dict[str, Any]:
    """Return what all lines of a board say alike."""
    references = dict.fromkeys(share.reference[0] for share in shares.values())
    return {
        "reference": ", ".join(references), "scenarios": len(shares),
        "cells": sum(share.cells for share in shares.values()),
    }  # fmt: skip


def _left_out(shares: Mapping[str, ScenarioShare]) -> str:
    lost = sum(share.lost for share in shares.values())
    return f"{lost} cells left out, in which the reference has no score above zero" if lost else ""


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
