"""How often verdicts on bias, standard errors and coverage are false, and what they find.

`python benchmarks/verdicts.py [RUNS]` prints a table and writes it to
`results/reference/verdicts/study.csv`, in about fifteen minutes of one core. The methods of a run
are all alike and independent of each other, which is near the worst that Bonferroni's inequality
allows for. In the rows `at bounds` each sits exactly at its bounds: coverage at the floor of 0.9,
SE ratio 0.8 and a bias of half an empirical SE, upwards or downwards; `wide bounds` has an SE ratio
of 1.25 and no bias. Elsewhere the first method of each run has the fault that is named and the
others have none. `surprised` is the share of runs with a surprise, of those with a fault that of
the faulty method; `conservative` the share in which one is called that. Both have their Monte Carlo
error. The laws of the estimates are those of `benchmarks/ranks.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ranks import errors

from cibench.analysis.expectations import SURPRISES, ExpectationVerdict, judge_expectation
from cibench.analysis.judged_scores import Bounds, judge_scores
from cibench.metrics.core import proportion
from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.suite.expectations import Expected

OUT = Path(__file__).parents[1] / "results" / "reference" / "verdicts" / "study.csv"
LAWS = ("normal", "t(3)", "lognormal", "outliers")
SIZES, METHODS = (50, 200, 1000), (1, 10, 100)
MOST = 30_000
"""Verdicts of one setting: beyond that there are fewer runs."""


class Fault(NamedTuple):
    """Hold what is wrong: a bias in SE, the SE ratio, and the coverage of the limits."""

    name: str
    bias: float = 0.0
    se_ratio: float = 1.0
    coverage: float = 0.95


AT_BOUNDS = [
    Fault("at bounds, bias upwards", 0.5, 0.8, 0.9),
    Fault("at bounds, bias downwards", -0.5, 0.8, 0.9),
    Fault("wide bounds", 0.0, 1.25, 0.975),
]
SOUND = Fault("none")
FAULTS = [
    *(Fault(f"bias {bias:g}", bias) for bias in (0.75, 1.0, 1.5, 2.0, 5.0)),
    *(Fault(f"SE ratio {ratio:g}", 0.0, ratio) for ratio in (0.7, 0.6, 0.5, 1.5, 2.0, 3.0)),
]


def scored(law: str, fault: Fault, reach: float, n: int, e: Array) -> Iterator[dict[str, Any]]:
    """Yield a score for each line of `e`: n errors of estimates whose truth is 0."""
    t = e + fault.bias
    mean, centred = t.mean(axis=1), e - e.mean(axis=1, keepdims=True)
    squares = np.square(centred)
    total = squares.sum(axis=1, keepdims=True)
    spread = np.sqrt(total[:, 0] / (n - 1))
    # The centred jackknife's error of a standard deviation, for all lines at once.
    without = np.sqrt(np.maximum(total - squares * n / (n - 1), 0) / (n - 2))
    apart = np.square(without - without.mean(axis=1, keepdims=True)).sum(axis=1)
    of_spread = np.sqrt((n - 1) / n * apart)
    covered = (np.abs(t) <= reach).sum(axis=1)
    for i in range(len(t)):
        share = proportion(int(covered[i]), n)
        yield {
            "kind": "estimate", "level": 0.95, "replicates": n, "answered": n, "declined": 0,
            "failures": 0, "moments": True, "truth": 0.0, "bias": mean[i],
            "bias_mcse": spread[i] / sqrt(n), "empirical_se": spread[i],
            "empirical_se_mcse": of_spread[i], "model_se": fault.se_ratio,
            "se_ratio": fault.se_ratio / spread[i],
            "se_ratio_mcse": fault.se_ratio * of_spread[i] / spread[i] ** 2,
            "coverage_with_failures": share.value, "coverage_with_failures_mcse": share.mcse,
        }  # fmt: skip


def reach_of(law: str, fault: Fault) -> float:
    """Return the half-width of limits that hold the truth as often as the fault says."""
    rng = stream(2, "verdicts", law, fault.name)
    size = np.abs(errors(law, (2_000_000,), rng) + fault.bias)
    return float(np.quantile(size, fault.coverage))


def verdicts(scores: list[dict[str, Any]]) -> list[str]:
    """Return what is found of a run in which every method is expected to be valid."""
    judged = judge_scores(scores, [Bounds(0.9)] * len(scores))
    return [str(judge_expectation(Expected.VALID, one.sides)[0]) for one in judged]


def setting(law: str, n: int, methods: int, fault: Fault, runs: int) -> dict[str, Any]:
    """Return a line of the table."""
    runs = min(runs, MOST // methods)
    everybody = fault in AT_BOUNDS
    faulty, sound = reach_of(law, fault), reach_of(law, SOUND)
    surprised = conservative = 0
    for run in range(runs):
        e = errors(law, (methods, n), stream(1, "verdicts", law, n, methods, fault.name, run))
        many = methods if everybody else 1
        scores = [
            *scored(law, fault, faulty, n, e[:many]), *scored(law, SOUND, sound, n, e[many:])
        ]  # fmt: skip
        told = verdicts(scores)[:many]
        surprised += any(v in SURPRISES for v in told)
        conservative += any(v == ExpectationVerdict.CONSERVATIVE for v in told)
    found, wide = proportion(surprised, runs), proportion(conservative, runs)
    return {
        "law": law, "replicates": n, "methods": methods, "fault": fault.name, "runs": runs,
        "surprised": found.value, "surprised_mcse": found.mcse, "conservative": wide.value,
        "conservative_mcse": wide.mcse,
    }  # fmt: skip


def main(runs: int = 1000) -> None:
    """Make the table."""
    lines = []
    for law in LAWS:
        for n in SIZES:
            cells = [(m, fault) for m in METHODS for fault in AT_BOUNDS]
            for methods, fault in [*cells, *((10, fault) for fault in FAULTS)]:
                few = runs if fault in AT_BOUNDS else runs // 3
                lines.append(setting(law, n, methods, fault, few))
                print(lines[-1], flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(OUT, index=False, float_format="%.4g")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
