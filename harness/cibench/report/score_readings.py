"""What the report reads off a judged score: its verdict, how far it is off, how it is biased."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cibench.analysis.coverage_verdicts import UNJUDGED, CoverageVerdict
from cibench.analysis.error_verdicts import ErrorVerdict
from cibench.analysis.expectations import FAULTS, ExpectationVerdict
from cibench.metrics.moments import noiseless
from cibench.render.numbers import count
from cibench.report.views import Score
from cibench.utils.missing import missing

MARKS = {
    CoverageVerdict.BROKEN: "▼", CoverageVerdict.LOW: "▽", CoverageVerdict.CONSERVATIVE: "▲",
    CoverageVerdict.UNCLEAR: "?", CoverageVerdict.SILENT: "✕",
}  # fmt: skip

FAILS_OFTEN = 0.01
"""A failure rate beyond doubt above this is a fault of its own."""


def verdict_of(score: Score) -> CoverageVerdict:
    """Return the verdict on a score's coverage, which the table of expectations holds."""
    return CoverageVerdict(score["coverage_verdict"])


def coverage_of(score: Score) -> tuple[float, float, float]:
    """Return the coverage, failures as misses, and its pointwise 95 % Wilson limits."""
    share, low, high = (
        float(score[f"coverage_with_failures{end}"]) for end in ("", "_low", "_high")
    )
    return share, low, high


def without_limits(score: Score) -> int:
    """Count the answers that have no limits, which are no intervals that hold the truth.

    Coverage of those that have some, and failures as misses, say how many there must be; of a
    coverage of 0 neither does.
    """
    among, share = float(score["coverage"]), float(score["coverage_with_failures"])
    if missing(among) or missing(share) or not among > 0:
        return 0
    tries = int(score["replicates"]) - int(score["declined"])
    return max(int(score["answered"]) - round(share * tries / among), 0)


def limits_notes(scores: Iterable[Score]) -> list[str]:
    """Return the footnote of a table with coverages whose answers partly have no limits."""
    most: dict[str, tuple[int, int]] = {}
    for score in scores:
        if score["kind"] == "estimate" and (lacking := without_limits(score)):
            name = str(score["method"])
            most[name] = max(most.get(name, (0, 0)), (lacking, int(score["answered"])))
    if not most:
        return []
    who = ", ".join(f"{name} (at most {n:,} of {of:,} in a cell)" for name, (n, of) in most.items())
    return [f"Answers without limits are misses, like failures, in coverage of all tries: {who}."]


def broken(score: Score) -> bool:
    """Say whether a method under-covers beyond doubt or gave no answer at all."""
    return verdict_of(score) in (CoverageVerdict.BROKEN, CoverageVerdict.SILENT)


def shortfall(score: Score) -> float:
    """Return how far coverage lies below nominal beyond doubt; negative where it lies above."""
    if verdict_of(score) in UNJUDGED:
        return 0.0
    if not score["answered"]:
        return 1.0
    nominal = score["level"]
    _, low, high = coverage_of(score)
    below, above = nominal - high, low - nominal
    return float(below if below > 0 else -max(above, 0.0))


def bias_in_se(score: Score) -> tuple[float, float]:
    """Return bias over the empirical SE and its error (delta method); NaN without moments."""
    bias, spread = score["bias"], score["empirical_se"]
    if (
        not score["moments"]
        or missing(bias)
        or missing(spread)
        or noiseless(score)
        or not spread > 0
    ):
        return math.nan, math.nan
    ratio = bias / spread
    of_spread = 0.0 if missing(score["empirical_se_mcse"]) else score["empirical_se_mcse"]
    error = math.hypot(score["bias_mcse"], ratio * of_spread) / spread
    return float(ratio), float(error)


def clearly_biased(score: Score) -> bool:
    """Say whether the bias is beyond its bound, beyond doubt, which the verdict on it says."""
    return score["bias_verdict"] in (ErrorVerdict.TOO_LARGE, ErrorVerdict.TOO_SMALL)


def may_be_biased(score: Score) -> bool:
    """Say whether the bias as measured is beyond its bound, beyond doubt or not."""
    size, _ = bias_in_se(score)
    return abs(size) > float(score["bias_most"])


def has_small_errors(score: Score) -> bool:
    """Say whether standard errors are too small, beyond doubt, which the verdict on them says."""
    return bool(score["se_ratio_verdict"] == ErrorVerdict.TOO_SMALL)


def has_large_errors(score: Score) -> bool:
    """Say whether standard errors are too large, beyond doubt, which the verdict on them says."""
    return bool(score["se_ratio_verdict"] == ErrorVerdict.TOO_LARGE)


def gave_no_answer(score: Score) -> bool:
    """Say whether more than half of its fits failed, which the verdict on it says."""
    return bool(score["verdict"] == ExpectationVerdict.NO_ANSWER)


def contradicts_itself(score: Score) -> bool:
    """Say whether its answers lie outside their own limits, which the verdict on it says."""
    return bool(score["verdict"] == ExpectationVerdict.CONTRADICTS)


def faults(verdicts: Iterable[tuple[str, str]]) -> str:
    """Name who is at fault, of pairs of verdict and method, in a clause for each kind of fault."""
    methods: dict[str, dict[str, None]] = {verdict: {} for verdict in FAULTS}
    for verdict, method in verdicts:
        if verdict in FAULTS:
            methods[verdict][method] = None
    clauses = []
    for verdict, names in methods.items():
        alone = next(iter(names)) if len(names) == 1 else count(len(names), "method")
        if names and verdict == ExpectationVerdict.NO_ANSWER:
            clauses.append(f"{alone} failed in most fits of a cell")
        elif names:
            verb = "contradicts itself" if len(names) == 1 else "contradict themselves"
            clauses.append(f"{alone} {verb}")
    return "; ".join(clauses)


def fails_often(score: Score) -> bool:
    """Say whether more than one fit in a hundred fails, beyond doubt."""
    low = score["failure_rate_low"]
    return not missing(low) and bool(low > FAILS_OFTEN)
