"""Other ways of looking at a run: where a test passed, best of several, another question asked.

Each takes a run and returns its score table for the rows as they would then be reported: what a
lesson shows, and what a student calls to get the same numbers.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from cibench.analysis.scores import score
from cibench.model.design import Scenario, configure, find_scenario
from cibench.model.streams import stream
from cibench.model.types import Truth
from cibench.storage.targets import undivided
from cibench.utils.errors import BadInput, unknown

if TYPE_CHECKING:
    import pandas as pd

    from cibench.results.run_folder import Run

DRAWS, ROWS = 20, 50_000
"""How many data sets of how many units the truth of another question is averaged over."""

QUESTIONS = ("everybody", "treated", "distance")
"""What answers can be scored on besides what was estimated."""

CELL = ["scenario", "dials", "parameters", "n", "replicate"]


def passed(run: Run, diagnostic: str) -> pd.DataFrame:
    """Score the estimates of those data sets alone in which a diagnostic raised no alarm.

    Estimates per horizon, group or contrast are left out. Raises BadInput where the run has no
    such diagnostic.

    >>> import cibench
    >>> from cibench.lessons import passed
    >>> cell = {"scenario": "did/two-group", "n": 30, "dials": {"trend": 0.4}}
    >>> cell["estimators"] = ["did/collapsed", "did/pre-slopes"]
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> passed(run, "did/pre-slopes")[["setting", "replicates", "bias"]].round(2)
       setting  replicates  bias
    0      NaN          37 -0.01
    1      0.4          14  1.55
    """
    return score(only_passed(run.replicates, diagnostic), run.catalogue)


def best_of(run: Run, k: int) -> pd.DataFrame:
    """Score what is reported when, of every k data sets, the smallest p-value is shown.

    A method without p-values is picked by its estimate over its standard error; estimates per
    horizon are left out, and so are replicates that do not fill a turn of k.

    >>> import cibench
    >>> from cibench.lessons import best_of
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> run.scores[["replicates", "bias"]].round(2)
       replicates  bias
    0          40 -0.02
    >>> best_of(run, 5)[["replicates", "bias"]].round(2)
       replicates  bias
    0           8  0.22
    """
    return score(picked(run.replicates, k), run.catalogue)


def asked(run: Run, question: str, distance: float = 0.0) -> pd.DataFrame:
    """Score the estimates as answers to another question: everybody, treated or distance.

    "everybody" and "treated" ask for the mean effect on these, "distance" for the effect so far
    beyond the cutoff, in the running variable's unit. The truths are averages of the effects over
    other data sets, with their errors; `estimand` stays that of the estimates.

    >>> import cibench
    >>> from cibench.lessons import asked
    >>> cell = {"scenario": "observables/heterogeneous-att", "n": 100}
    >>> cell["estimators"] = "naive/difference-in-means"
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> run.scores[["truth", "bias"]].round(2)
       truth  bias
    0   1.56  1.37
    >>> asked(run, "everybody")[["truth", "bias"]].round(2)
       truth  bias
    0    1.0  1.93
    """
    if question not in QUESTIONS:
        raise BadInput(unknown("question", question, QUESTIONS))
    rows = run.replicates
    parts = []
    for _, part in rows[rows["kind"] == "estimate"].groupby(CELL[:4], sort=False):
        fields = _fields(part)
        cls = find_scenario(str(part["scenario"].iloc[0]))
        truth = truth_of(configure(cls, fields), question, distance)
        parts.append(to(part, truth))
    return score(_joined(parts, rows), run.catalogue)


def only_passed(rows: pd.DataFrame, diagnostic: str) -> pd.DataFrame:
    """Return the estimates of the data sets in which the diagnostic raised no alarm."""
    tests = rows[rows["estimator"] == diagnostic]
    if tests.empty:
        raise BadInput(f"the run has no diagnostic '{diagnostic}'")
    fine = tests.loc[tests["passed"].fillna(False).astype(bool), CELL]
    estimates = rows[(rows["kind"] == "estimate") & undivided(rows)]
    kept: pd.DataFrame = estimates.merge(fine, on=CELL)[list(rows.columns)]
    return kept


def picked(rows: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return, of every k replicates in turn, the row with the smallest p-value.

    `replicate` keeps the number of the data set that was picked. A method without p-values is
    picked by its estimate over its standard error; replicates that do not fill a turn are left out.
    """
    estimates = rows[(rows["kind"] == "estimate") & undivided(rows)]
    keys = [*CELL[:4], "estimator", "options", "estimand"]
    ordered = estimates.sort_values("replicate", kind="stable")
    ordered = ordered.assign(_p=_p_values(ordered), _turn=ordered["replicate"] // k)
    whole = ordered[ordered["_turn"] < (rows["replicate"].max() + 1) // k]
    first = whole.sort_values("_p", kind="stable").drop_duplicates([*keys, "_turn"])
    chosen: pd.DataFrame = first.sort_index()[list(rows.columns)]
    return chosen


def _p_values(rows: pd.DataFrame) -> pd.Series:
    ratio = (rows["estimate"] / rows["std_error"]).abs()
    wald = ratio.map(lambda z: 2 * NormalDist().cdf(-z), na_action="ignore")
    return rows["p_value"].fillna(wald).fillna(1.0)


def to(rows: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Return the rows with another truth."""
    return rows.assign(truth=truth.value, truth_mcse=truth.mcse)


def truth_of(scenario: Scenario, question: str, distance: float = 0.0) -> Truth:
    """Return the mean effect on everybody, on the treated, or that far beyond the cutoff.

    Averaged over data sets at addresses of their own, as the estimands of `Draw.effects` are
    defined; the error is that of the mean over data sets. At a distance it is the level, there, of
    a line in the latent running variable.
    """
    values = []
    for k in range(DRAWS):
        draw = scenario.draw(ROWS, stream("question", scenario.name, k))
        roles = scenario.assigned_roles()
        if question == "distance":
            x = draw.latent.get(roles.running, draw.columns[roles.running])
            away = np.asarray(x) - ((roles.cutoff or 0.0) + distance)
            near = np.abs(away) < np.std(x) / 4
            design = np.column_stack([np.ones(near.sum()), away[near]])
            values.append(float(np.linalg.lstsq(design, draw.effects[near])[0][0]))
        else:
            everybody = question == "everybody"
            rows = slice(None) if everybody else draw.columns[roles.treatment] == 1
            values.append(float(np.mean(draw.effects[rows])))
    return Truth(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(DRAWS)))


def _fields(rows: pd.DataFrame) -> dict[str, object]:
    from cibench.render.labels import parse

    return parse(rows["parameters"].iloc[0]) | parse(rows["dials"].iloc[0])


def _joined(parts: list[pd.DataFrame], like: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(parts, ignore_index=True) if parts else like.iloc[:0]
