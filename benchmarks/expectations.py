"""How often would the verdicts on the reference suites be wrong? A resampling study.

Three full runs of a subset of the built-in suites, from three seeds, are judged one by one as any
run is; their rows, which have disjoint addresses, make one pool. A hundred runs as large as the
pool, and a hundred as large as one of the three, are drawn from it with replacement, replicate by
replicate and the same ones in every cell, and judged likewise. What the suites declare is taken
to be so: a surprise is a false one. The tables go to results/reference/expectations.

    python benchmarks/expectations.py run FOLDER      makes the three runs: 15 minutes on two cores
    python benchmarks/expectations.py judge FOLDER    draws, scores, judges and writes: 10 minutes
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cibench
from cibench.analysis.expectations import SURPRISES, ExpectationVerdict, judge_expectations
from cibench.analysis.scores import score
from cibench.storage.schema import SCORED
from cibench.suite.expectations import Expected
from cibench.suite.parse import find_suite

SEEDS, REPLICATES, RESAMPLES = (1, 2, 3), 400, 100
OUT = Path(__file__).parents[1] / "results" / "reference" / "expectations"
POLYNOMIALS = [f"rd/global-polynomial-{order}" for order in range(1, 6)]
WEIGHTED = ["drdid/or", "drdid/dr", "drdid/ipw", "drdid/ipw-normalised", "oracle/experiment"]
SUBSET = {
    ("quickstart", "rd/cct-1"): [
        "rdrobust/conventional", "rdrobust/robust", "rd/global-polynomial", "rd/local-linear",
    ],
    ("quickstart", "did/two-group"): ["panel/twfe", "naive/difference-in-means"],
    ("rd", "rd/cct-*"): ["rdrobust/robust", "rd/local-linear", *POLYNOMIALS, "oracle/experiment"],
    ("rd", "rd/loyalty"): ["rd/local-linear", *POLYNOMIALS, "oracle/experiment"],
    ("did", "did/repeated-cross-sections"): [
        "panel/twfe-covariates", "naive/difference-in-means", "oracle/experiment",
    ],
    ("did", "did/two-period"): [*WEIGHTED, "naive/difference-in-means"],
    **{("did", f"did/sant-anna-zhao-{design}"): WEIGHTED for design in (1, 2, 3, 4)},
    ("staggered", "did/staggered"): ["naive/difference-in-means", "oracle/experiment"],
    ("staggered", "did/staggered", "everywhere"): ["panel/twfe"],
}  # fmt: skip
"""Which methods of which tables are run: those that are cheap for what they teach."""

KEY = list(SCORED)


def subset() -> dict[str, Any]:
    """Return a suite of the chosen methods, with what the built-in suites expect of them."""
    cells = []
    for (name, scenario, *parameters), methods in SUBSET.items():
        for table in find_suite(name).spec["cells"]:
            own = table.get("parameters") or {}
            named = [m for m in methods if any(fnmatchcase(m, p) for p in table["estimators"])]
            if named and table["scenario"] == scenario and all(p in own for p in parameters):
                cells.append(_restricted(table, named))
    return {"name": "expectations", "seed": SEEDS[0], "replicates": REPLICATES, "cells": cells}


def _restricted(table: Mapping[str, Any], named: list[str]) -> dict[str, Any]:
    kept = {**table, "estimators": named}
    for part in ("options", "expect"):
        kept[part] = dict(table.get(part) or {})
    kept["options"] = {n: o for n, o in kept["options"].items() if n in named}
    for part in ("floor", "fails"):
        words = kept["expect"].get(part)
        if isinstance(words, Mapping):
            own = {p: w for p, w in words.items() if any(fnmatchcase(m, p) for m in named)}
            kept["expect"][part] = own
    return {k: v for k, v in kept.items() if v not in ({}, [])}


def run(folder: Path) -> None:
    """Make the three runs, each a run folder."""
    for seed in SEEDS:
        cibench.run({**subset(), "seed": seed}, folder / f"seed-{seed}", workers=2)


def judge(folder: Path) -> None:
    """Judge the runs, the pool and what is drawn from it, and write the tables."""
    runs = [cibench.load(folder / f"seed-{seed}") for seed in SEEDS]
    catalogue, spec = runs[0].catalogue, subset()
    rows = [
        made.replicates.assign(replicate=lambda r, at=at: r["replicate"] + at * REPLICATES)
        for at, made in enumerate(runs)
    ]
    pooled = pd.concat(rows, ignore_index=True)
    scores = score(pooled, catalogue)
    pool = judge_expectations(scores, catalogue, spec)
    lines = [_summary(f"run, seed {s}", [r.expectations]) for s, r in zip(SEEDS, runs, strict=True)]
    lines.append(_summary("pool", [pool]))
    drawn = {
        size: list(resampled(pooled, catalogue, spec, size))
        for size in (len(SEEDS) * REPLICATES, REPLICATES)
    }
    lines += [_summary(f"resamples of {n}", tables) for n, tables in drawn.items()]
    OUT.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(OUT / "summary.csv", index=False, float_format="%.4g")
    beside = _beside(pool, drawn[len(SEEDS) * REPLICATES])
    beside.to_csv(OUT / "verdicts.csv", index=False, float_format="%.5g")
    print(pd.DataFrame(lines).to_string(index=False))


def resampled(
    rows: pd.DataFrame, catalogue: Mapping[str, Any], spec: Mapping[str, Any], size: int
) -> Iterator[pd.DataFrame]:
    """Yield the expectations of runs of `size` replicates drawn from the pool, scored anew."""
    rng = np.random.default_rng(20261121 + size)
    places = rows.groupby("replicate").indices
    known = sorted(places)
    for _ in range(RESAMPLES):
        drawn = [places[known[i]] for i in rng.integers(0, len(known), size)]
        numbers = np.repeat(np.arange(size), [part.size for part in drawn])
        run_of = rows.iloc[np.concatenate(drawn)].assign(replicate=numbers)
        yield judge_expectations(score(run_of, catalogue), catalogue, spec)


def _summary(name: str, tables: list[pd.DataFrame]) -> dict[str, Any]:
    """Count surprises over tables, and the mean share of what is inconclusive."""
    judged = [
        t[t["expected"].isin([Expected.VALID, Expected.FAILS]) & t["verdict"].ne("")]
        for t in tables
    ]
    surprised = [int(t["verdict"].isin(SURPRISES).sum()) for t in judged]
    open_ = [float((t["verdict"] == ExpectationVerdict.INCONCLUSIVE).mean()) for t in judged]
    return {
        "what": name, "tables": len(tables), "replicates": int(judged[0]["tries"].max()),
        "expectations": len(judged[0]), "tables_with_a_surprise": sum(n > 0 for n in surprised),
        "surprises": sum(surprised), "inconclusive_share": np.mean(open_),
        "inconclusive_share_most": max(open_),
    }  # fmt: skip


def _beside(pool: pd.DataFrame, tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the pool's verdicts and, beside each, how many resamples gave which."""
    kept = ["scenario", "dial", "setting", "n", "parameters", "estimator", "horizon", "expected",
            "because", "verdict", "decided_by", "unjudged", "floor", "tries", "covered", "coverage",
            "low", "high", "bias_in_se", "bias_low", "bias_high", "se_ratio", "se_ratio_low",
            "se_ratio_high", "needed", "note"]  # fmt: skip
    verdicts = np.array([table["verdict"].to_numpy() for table in tables])
    counts = {
        f"resamples {verdict}": (verdicts == verdict).sum(axis=0)
        for verdict in ExpectationVerdict
        if verdict not in (ExpectationVerdict.NONE, ExpectationVerdict.OTHER_QUESTION)
    }
    return pool[kept].assign(**counts)[pool["expected"] != ""]


if __name__ == "__main__":
    {"run": run, "judge": judge}[sys.argv[1]](Path(sys.argv[2]))
