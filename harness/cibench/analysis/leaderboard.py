"""Ranks with uncertainty: a leaderboard for each design, whose ranks noise could not produce.

An estimator's score is the mean log ratio of its interval score (or RMSE) to the reference's over
the cells of a suite, which is taken as it is: the error is that of the replicates, not of the
choice of scenarios. What that choice does is shown by leaving out one scenario at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, nan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

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
from cibench.storage import CellRows
from cibench.suite.ranking import CELL_KEYS, Entrant, Ranking
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

Names = Mapping[str, Any]
Counted = Callable[[Names], bool]


def counting(spec: Ranking, catalogue: Mapping[str, Any]) -> Counted:
    """Return what says of a cell whether it counts: its scenario's weight, and its setting."""
    known = catalogue.get("scenarios") or {}

    def counted(names: Names) -> bool:
        if not spec.weight(str(names["scenario"])) > 0:
            return False
        if spec.settings == "all":
            return True
        return at_default(names["dials"], dials_of(known, names["scenario"]))

    return counted


def scenario_shares(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], spec: Ranking, counted: Counted
) -> dict[Key, ScenarioShare]:
    """Return the scenarios' shares of all boards, empty so far, each with its reference.

    The reference answers in every cell: the one that the suite names, else the first oracle of the
    catalogue, else the first contender, else the first baseline. A share without one is left out.
    """
    cells: dict[Key, dict[tuple[Any, ...], set[Entrant]]] = {}
    for names in _score_lines(scores):
        if counted(names):
            cell = tuple(str(names[key]) for key in CELL_KEYS)
            entrants = cells.setdefault(key_of(names), {}).setdefault(cell, set())
            if names["answered"]:
                entrants.add((str(names["estimator"]), str(names["options"])))
    shares = {}
    for key, answering in cells.items():
        everywhere = set.intersection(*answering.values())
        ordered = sorted(everywhere, key=lambda entrant: _rank(entrant, catalogue, spec))
        if ordered and (not spec.reference or ordered[0][0] == spec.reference):
            shares[key] = ScenarioShare(ordered[0])
    return shares


def _score_lines(scores: pd.DataFrame) -> Iterator[Names]:
    for line in scores[scores["kind"] == "estimate"].to_dict("records"):
        yield {str(name): value for name, value in line.items()}


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


def declined(
    shares: Mapping[Key, ScenarioShare], refusals: Sequence[Mapping[str, Any]], penalty: float
) -> None:
    """Give the worst score to whoever declined a scenario and stands on its board elsewhere."""
    refused = {(r.get("scenario"), r.get("estimator")) for r in refusals}
    for _, _, scenarios in by_leaderboard(shares):
        entrants = {e for share in scenarios.values() for e in share.counts}
        for name, share in scenarios.items():
            for entrant in entrants - set(share.counts):
                if (name, entrant[0]) in refused:
                    share.refuse(entrant, penalty)


__all__ = ["COLUMNS", "RankCollector", "Ranking", "ranks"]

COLUMNS = (
    "design", "estimand", "horizon", "level", "without", "measure", "reference", "estimator",
    "options", "role", "log_ratio", "mcse", "ratio", "ratio_low", "ratio_high", "rank",
    "rank_low", "rank_high", "scenarios", "cells", "worst", "note",
)  # fmt: skip
NEEDED = ("kind", "scenario", "dials", "n", "parameters", "estimand", "horizon", "level",
          "estimator", "options", "answered")  # fmt: skip


def ranks(
    rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any], spec: Ranking | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the leaderboards of a run: a row for each board and estimator, the best first.

    `log_ratio` is the weighted mean over the board's cells of the log of an estimator's score over
    the reference's (see `cibench.analysis.ranking_losses`), every scenario with its weight, the
    cells of a scenario alike; `mcse` is its Monte Carlo error, `ratio` its exponential, `ratio_low`
    and `ratio_high` limits of that. `rank_low` to `rank_high` is the confidence set of the rank
    among all but oracles; `rank` writes it, "3" or "2–5". Limits and sets hold for a whole board at
    once in 95 of 100 runs (Mogstad, Romano, Shaikh and Wilhelm 2024, Review of Economic Studies
    91). `without` names the scenario that was left out, "" for the board itself; `worst` is the
    share of replicates with the worst score. Who was not run in all cells has no rank, and `note`
    says where. `manifest` is the run's, which says who declined; `spec` what the suite declares of
    its ranking. Raises BadInput if columns are missing.

    >>> import cibench
    >>> methods = ["did/collapsed", "naive/difference-in-means"]
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": methods}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> board = cibench.ranks(run.replicates, run.scores, run.catalogue, run.manifest)
    >>> board[["estimator", "ratio", "rank"]].round(1)
                       estimator  ratio rank
    0              did/collapsed    1.0    1
    1  naive/difference-in-means   16.2    2
    """
    return from_rows(rows, RankCollector(lambda: scores, catalogue, manifest, spec or Ranking()))


@dataclass(eq=False)
class RankCollector:
    """Put aside what losses rest on, cell by cell; `scores` gives the score table in the end.

    A reference answers in every cell, so that nobody's losses can be compared with its before all
    cells are there.
    """

    scores: Callable[[], pd.DataFrame]
    catalogue: Mapping[str, Any]
    manifest: Mapping[str, Any]
    spec: Ranking
    reads: ClassVar[tuple[str, ...]] = ()
    _entered: list[Entered] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Put aside what counts of a cell."""
        self._entered += entered(cell, self.spec, counting(self.spec, self.catalogue))

    def table(self) -> pd.DataFrame:
        """Return the leaderboards."""
        return _ranks(self._entered, self.scores(), self.catalogue, self.manifest, self.spec)


def _ranks(
    cells: Sequence[Entered], scores: pd.DataFrame, catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any], spec: Ranking,
) -> pd.DataFrame:  # fmt: skip
    import pandas as pd

    if missing := [name for name in NEEDED if name not in scores.columns]:
        raise BadInput(f"the score table lacks columns: {', '.join(missing)}")
    all_shares = scenario_shares(scores, catalogue, spec, counting(spec, catalogue))
    run(cells, all_shares, spec)
    all_shares = {key: share for key, share in all_shares.items() if share.cells}
    declined(all_shares, manifest.get("declined") or (), spec.worst)
    lines = []
    for design, key, shares in by_leaderboard(all_shares):
        _, estimand, per_horizon, level = key
        named = {"design": design, "estimand": estimand, "level": level, "measure": spec.measure,
                 "horizon": "each" if per_horizon else ""}  # fmt: skip
        left_out = ["", *shares] if len(shares) > 1 else [""]
        for without in left_out:
            kept = {name: share for name, share in shares.items() if name != without}
            ranked = _leaderboard(kept, catalogue, spec, [str(value) for value in named.values()])
            lines += [named | {"without": without} | line for line in ranked]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return table.astype({"rank_low": "Int64", "rank_high": "Int64"})


def _leaderboard(
    shares: Mapping[str, ScenarioShare],
    catalogue: Mapping[str, Any],
    spec: Ranking,
    address: list[str],
) -> list[dict[str, Any]]:
    """Return the lines of one board, the best first; none with fewer than two to rank."""
    entrants = list(dict.fromkeys(e for share in shares.values() for e in share.logs))
    whole = [e for e in entrants if all(c.counts.get(e, 0) == c.cells for c in shares.values())]
    roles = [spec.role(e[0], catalogue) for e in whole]
    ranked = np.array([i for i, role in enumerate(roles) if role != "oracle"], dtype=int)
    if ranked.size < 2:
        return []
    scores, terms, freedom = _sums(shares, whole, spec)
    compared = compare(scores, terms, freedom, stream("ranks", *address, *shares))
    lines = _lines(whole, roles, scores, terms, _limits(shares, whole, compared), freedom)
    for i, low, high in zip(ranked, *rank_sets(compared, ranked), strict=True):
        text = str(low) if low == high else f"{low}–{high}"
        lines[i] |= {"rank": text, "rank_low": int(low), "rank_high": int(high)}
    lines.sort(key=lambda line: line["log_ratio"])
    lines += [_unranked(e, shares, catalogue, spec) for e in entrants if e not in whole]
    references = dict.fromkeys(share.reference[0] for share in shares.values())
    cells, lost = (sum(getattr(c, name) for c in shares.values()) for name in ("cells", "lost"))
    for line in lines:
        own = sum(share.penalised.get(line["entrant"], 0.0) for share in shares.values())
        ran = sum(share.counts.get(line["entrant"], 0) for share in shares.values())
        line["worst"], line["scenarios"], line["cells"] = own / max(ran, 1), len(shares), cells
        line["reference"] = ", ".join(references)
        line["estimator"], line["options"] = line.pop("entrant")
        if lost:
            left = f"{lost} cells left out, in which the reference has no score above zero"
            line["note"] = "; ".join(filter(None, (line["note"], left)))
    return lines


def _sums(
    shares: Mapping[str, ScenarioShare], whole: list[Entrant], spec: Ranking
) -> tuple[Array, Array, float]:
    """Return scores, their independent terms (columns) and the fewest degrees of freedom."""
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
    return scores, np.concatenate(columns, axis=1), float(min(freedom))


def _limits(
    shares: Mapping[str, ScenarioShare], whole: list[Entrant], compared: Compared
) -> list[tuple[float, float]]:
    """Return limits of each score: of its difference from the reference, which has 0 itself."""
    references = {share.reference for share in shares.values()}
    if len(references) > 1:
        return [(nan, nan)] * len(whole)
    at = whole.index(references.pop())
    return list(zip(compared.low[:, at].tolist(), compared.high[:, at].tolist(), strict=True))


def _lines(
    whole: list[Entrant], roles: list[str], scores: Array, terms: Array,
    limits: list[tuple[float, float]], freedom: float,
) -> list[dict[str, Any]]:  # fmt: skip
    errors = np.sqrt(np.square(terms).sum(axis=1)) if freedom > 0 else np.full(len(whole), nan)
    with np.errstate(over="ignore"):
        ends = np.exp(np.array(limits))
    return [
        {
            "entrant": entrant, "role": role, "log_ratio": float(score), "mcse": float(error),
            "ratio": exp(score), "ratio_low": float(low), "ratio_high": float(high), "rank": "",
            "rank_low": None, "rank_high": None,
            "note": "" if freedom > 0 else "one replicate has no error",
        }
        for entrant, role, score, error, (low, high) in zip(
            whole, roles, scores, errors, ends, strict=True
        )
    ]  # fmt: skip


def _unranked(
    entrant: Entrant,
    shares: Mapping[str, ScenarioShare],
    catalogue: Mapping[str, Any],
    spec: Ranking,
) -> dict[str, Any]:
    missing = [name for name, c in shares.items() if c.counts.get(entrant, 0) < c.cells]
    return {
        "entrant": entrant, "role": spec.role(entrant[0], catalogue), "log_ratio": nan,
        "mcse": nan, "ratio": nan, "ratio_low": nan, "ratio_high": nan, "rank": "",
        "rank_low": None, "rank_high": None,
        "note": f"not run in every cell of {', '.join(missing)}",
    }  # fmt: skip
