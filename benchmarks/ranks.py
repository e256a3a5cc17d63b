"""How often the sets for ranks hold all true ranks at once, by law of the errors and replicates.

`python benchmarks/ranks.py [TRIALS]` prints a table and writes it to
`results/reference/ranks/coverage.csv`: `held` is the share of trials in which the sets of a board
hold all true ranks, with its Monte Carlo error, `length` the mean number of ranks in a set. Methods
of a trial answer the same data sets, with normal, t(3), lognormal and contaminated errors (one in
40 ten times as wide), all of variance 1; limits are two-sided normal ones around the estimate.
"""

from __future__ import annotations

import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from cibench.analysis.ranking_losses import compare, log_ratio, losses, rank_sets, reference
from cibench.metrics.groups import Group
from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.suite.ranking import Ranking

OUT = Path(__file__).parents[1] / "results" / "reference" / "ranks" / "coverage.csv"
SIZES, MEASURES = (50, 200, 1000), ("interval_score", "rmse")
SPREADS = {"tied": (1.2, 1.2, 1.2), "unequal": (1.0, 1.15, 1.15, 1.4, 1.45)}
LOST = (0.0, 0.05)


def errors(law: str, size: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return errors of mean 0 and variance 1."""
    if law == "t(3)":
        return np.asarray(rng.standard_t(3, size) / sqrt(3))
    if law == "lognormal":
        return np.asarray((np.exp(rng.normal(size=size)) - np.exp(0.5)) / sqrt(np.e**2 - np.e))
    if law == "outliers":
        wide = np.where(rng.random(size) < 0.025, 10.0, 1.0)
        return np.asarray(wide * rng.normal(size=size) / sqrt(0.975 + 2.5))
    return np.asarray(rng.normal(size=size))


def answers(t: Array, spread: float, lost: Array) -> Group:
    """Return the answers of one method whose truth is 0; who is lost has failed."""
    none = np.zeros(t.size, dtype=bool)
    estimate = np.where(lost, np.nan, t)
    return {
        "ok": ~lost, "failed": lost, "declined": none, "truth": np.zeros(t.size),
        "estimate": estimate, "ci_low": estimate - 1.96 * spread,
        "ci_high": estimate + 1.96 * spread, "outside": none.astype(float),
        "replicate": np.arange(t.size, dtype=float),
    }  # fmt: skip


def trial(
    law: str, n: int, spreads: tuple[float, ...], lost: float, measure: str,
    rng: np.random.Generator,
) -> tuple[bool, float]:  # fmt: skip
    """Say whether the sets hold the true ranks, and how many ranks they have on average."""
    spec, p = Ranking(measure=measure, worst=5.0), len(spreads)
    known = losses(answers(errors(law, (n,), rng), 1.0, np.zeros(n, dtype=bool)), spec, 0.95)
    unit = reference(known)
    assert unit is not None
    scores = [
        log_ratio(
            losses(answers(s * e, s, rng.random(n) < lost), spec, 0.95), *unit, spec
        )
        for s, e in zip(spreads, errors(law, (p, n), rng), strict=True)
    ]  # fmt: skip
    values = np.array([x.value for x in scores if x])
    terms = np.array([x.terms for x in scores if x]) * sqrt(n / (n - 1))
    low, high = rank_sets(compare(values, terms, n - 1, rng), np.arange(p))
    s = np.array(spreads)
    better, worse = (s[:, None] > s).sum(axis=1), (s[:, None] < s).sum(axis=1)
    held = (low <= 1 + better) & (high >= p - worse)
    return bool(held.all()), float((high - low + 1).mean())


def main() -> None:
    """Run the study."""
    trials, lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, []
    for measure in MEASURES:
        for law in ("normal", "t(3)", "lognormal", "outliers"):
            for case, spreads in SPREADS.items():
                for lost in LOST:
                    for n in SIZES:
                        rng = stream("benchmarks/ranks", measure, law, case, lost, n)
                        one = [trial(law, n, spreads, lost, measure, rng) for _ in range(trials)]
                        held, length = np.mean(one, axis=0)
                        lines.append({
                            "measure": measure, "law": law, "methods": case, "failures": lost,
                            "replicates": n, "trials": trials, "held": round(held, 4),
                            "held_mcse": round(sqrt(held * (1 - held) / trials), 4),
                            "length": round(length, 2),
                        })  # fmt: skip
                        print(*lines[-1].values(), sep="\t", flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(OUT, index=False, lineterminator="\n")
    worst = min(lines, key=lambda line: line["held"])
    print(f"worst: {worst}")


if __name__ == "__main__":
    main()
