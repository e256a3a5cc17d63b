"""Our scores beside figures that somebody published, with both errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.metrics import METRICS
from cibench.suite.published import MAPS, PLAIN
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd


AGREES = 3.0
"""How many combined errors a reproduction may be away."""


def compare_published(scores: pd.DataFrame, published: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return each published figure with ours, both errors and the difference in combined errors.

    `published` are the lines of a suite's table of figures, all of them texts: `measure`, `value`
    and `source`, what tells the score that is meant, and where they are known `replicates` and
    `error`; `cibench.suite.published` reads and checks them. A figure without an error gets our
    replicate variance at its number of replicates, and every figure the standard deviation of its
    rounding (half a unit of its last digit over root 3). Where ours is a share of none or of all it
    has no such variance, and that of the two shares taken together stands for it on both sides.
    Ours `agrees` within three combined
    errors; a figure that fits no score has none. Raises BadInput where one fits several.

    >>> import cibench
    >>> from cibench.analysis import compare_published
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> figure = {"measure": "rmse", "value": "0.25", "replicates": "1000", "source": "Table 1"}
    >>> found = compare_published(run.scores, [figure])
    >>> found[["published", "published_error", "ours", "ours_mcse", "agrees"]].round(3)
       published  published_error   ours  ours_mcse  agrees
    0       0.25            0.005  0.263      0.029    True
    """
    import pandas as pd

    records = [{str(k): v for k, v in r.items()} for r in scores.to_dict("records")]
    lines = []
    for line in published:
        matches = [r for r in records if _meant(line, r)]
        if len(matches) > 1:
            raise BadInput(f"published figure {dict(line)} fits {len(matches)} scores")
        lines.append(_compared(line, matches[0] if matches else None))
    return pd.DataFrame(lines)


def _meant(line: Mapping[str, str], score: Mapping[str, Any]) -> bool:
    for name in PLAIN:
        if wanted := line.get(name):
            ours = score[name]
            if isinstance(ours, str):
                same = wanted == ours
            else:  # a number, or a blank that equals nothing
                same = _is_number(wanted) and float(wanted) == ours
            if not same:
                return False
    if not line.get("dial") and isinstance(score["dial"], str):
        return False  # without a dial the figure is one of the default cell
    for name in MAPS:
        wanted_map = json.loads(line.get(name) or "{}")
        given_map = json.loads(score[name])
        if any(given_map.get(key) != value for key, value in wanted_map.items()):
            return False
    return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _compared(line: Mapping[str, str], score: Mapping[str, Any] | None) -> dict[str, Any]:
    value = float(line["value"])
    ours, error, count = math.nan, math.nan, 0
    if score is not None:
        ours, error = score[line["measure"]], score[f"{line['measure']}_mcse"]
        count = score["answered"]
    if error == 0 and ours in (0, 1) and METRICS[line["measure"]].share:
        mine, theirs = _errors_together(line, ours, count)
    else:
        mine, theirs = error, _their_error(line, error, count)
    combined = math.hypot(mine, theirs)
    difference = ours - value
    away = difference / combined if combined > 0 else 0.0 if difference == 0 else math.nan
    kept = {name: line[name] for name in (*PLAIN, *MAPS) if line.get(name)}
    return {
        **kept, "measure": line["measure"], "published": value, "published_error": theirs,
        "ours": ours, "ours_mcse": error, "difference": difference, "errors_away": away,
        "agrees": bool(abs(away) <= AGREES), "source": line["source"],
        "note": line.get("note") or "",
    }  # fmt: skip


def _errors_together(line: Mapping[str, str], ours: float, count: int) -> tuple[float, float]:
    """Return the errors of our share, of none or of all, and of theirs.

    The share of both counts together is what each is drawn with if they agree. Of a figure without
    a number of replicates ours is taken for (k + 1/2) / (n + 1), which is never 0 or 1.
    """
    value, behind = float(line["value"]), float(line.get("replicates") or math.inf)
    if behind < math.inf:
        together = (ours * count + value * behind) / (count + behind)
    else:
        together = (ours * count + 0.5) / (count + 1)
    sd = math.sqrt(max(together * (1 - together), 0.0))
    return sd / math.sqrt(count), _their_error(line, sd / math.sqrt(count), count)


def _their_error(line: Mapping[str, str], ours: float, count: int) -> float:
    decimals = len(line["value"].partition(".")[2])
    rounding = 0.5 * 10.0**-decimals / math.sqrt(3)
    if line.get("error"):
        return math.hypot(float(line["error"]), rounding)
    behind = float(line.get("replicates") or math.inf)
    return math.hypot(ours * math.sqrt(count / behind), rounding)
