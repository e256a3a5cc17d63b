"""All that the verdicts of a run rest on, judged together: coverage, bands, bias, standard errors.

Say m numbers of a run can be judged: the coverages of its rows, the joint coverage of each family
of simultaneous bands, biases and SE ratios. Each gets limits at the level 1 - ALPHA / m. By
Bonferroni's inequality all of them hold at once in 95 of 100 runs, however they depend on each
other (they share their data), where each holds its own: exactly for coverages, to the accuracy that
`cibench.analysis.error_verdicts` states for the others. All verdicts, marks and findings are read
off these limits, so that none can contradict another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import Any

from cibench.analysis.coverage_verdicts import (
    ALPHA,
    MEANING,
    Coverage,
    tally,
    tally_bands,
)
from cibench.analysis.error_verdicts import (
    BIAS,
    SE_RATIO,
    ErrorLimits,
    ErrorVerdict,
    judge_bias,
    judge_se_ratio,
    unjudged_bias,
    unjudged_se_ratio,
)
from cibench.model.types import PARTS
from cibench.storage.schema import SCORED
from cibench.utils.missing import missing

FAMILY = [name for name in SCORED if name not in PARTS]


class Side(StrEnum):
    """Say on which side of its bounds a number lies, beyond doubt."""

    GOOD = "good"
    BAD = "bad"
    WIDE = "wide"
    UNCLEAR = "unclear"


class Judged(StrEnum):
    """Name what is judged of a method."""

    COVERAGE = "coverage"
    BANDS = "bands"
    BIAS = "bias"
    SE_RATIO = "standard errors"


@dataclass(frozen=True)
class Bounds:
    """Hold what a valid method keeps to: a floor for coverage, a bias in SE, a range of ratios."""

    floor: float
    bias: float = BIAS
    se_ratio: tuple[float, float] = SE_RATIO


@dataclass(frozen=True)
class JudgedScore:
    """Hold what is judged of one row of a score table, with limits of one multiplicity.

    `bands` is None but in the first row of each family of horizons that has simultaneous bands.
    `alpha` is the chance of each of the limits to err.
    """

    coverage: Coverage
    bias: ErrorLimits
    se_ratio: ErrorLimits
    bands: Coverage | None = None
    alpha: float = nan

    @property
    def sides(self) -> dict[Judged, Side]:
        """Return where each number lies that could be judged."""
        sides = {}
        for name, coverage in ((Judged.COVERAGE, self.coverage), (Judged.BANDS, self.bands)):
            if coverage is not None and coverage.unjudged is None:
                sides[name] = _side_of(coverage)
        if not self.bias.unjudged:
            sides[Judged.BIAS] = _BIAS[self.bias.verdict]
        if not self.se_ratio.unjudged:
            sides[Judged.SE_RATIO] = _SE_RATIO[self.se_ratio.verdict]
        return sides

    @property
    def unjudged(self) -> dict[Judged, str]:
        """Return why a number could not be judged, of those that could not."""
        reasons = {Judged.BIAS: self.bias.unjudged, Judged.SE_RATIO: self.se_ratio.unjudged}
        if self.coverage.unjudged is not None:
            reasons = {Judged.COVERAGE: MEANING[self.coverage.unjudged], **reasons}
        return {name: reason for name, reason in reasons.items() if reason}

    @property
    def needed(self) -> float:
        """Return how many replicates would decide, if all numbers are as measured.

        One number on the wrong side of its bound is enough for a verdict: where some are so as
        measured, the first of them to be beyond doubt decides, else the last of all.
        """
        unclear = [name for name, side in self.sides.items() if side is Side.UNCLEAR]
        needs = {name: float(getattr(self, _FIELDS[name]).needed) for name in unclear}
        wrong = [needs[name] for name in unclear if self._is_wrong(name)]
        return min(wrong) if wrong else max(needs.values(), default=nan)

    def _is_wrong(self, name: Judged) -> bool:
        """Say whether a number, as measured, is on the wrong side of its bound."""
        if name is Judged.BIAS:
            return abs(self.bias.value) > self.bias.most
        if name is Judged.SE_RATIO:
            return self.se_ratio.value < self.se_ratio.least
        share = getattr(self, _FIELDS[name])
        return bool(share.share < share.floor)


_FIELDS = {
    Judged.COVERAGE: "coverage", Judged.BANDS: "bands", Judged.BIAS: "bias",
    Judged.SE_RATIO: "se_ratio",
}  # fmt: skip
_BIAS = {
    ErrorVerdict.WITHIN: Side.GOOD, ErrorVerdict.TOO_LARGE: Side.BAD,
    ErrorVerdict.TOO_SMALL: Side.BAD, ErrorVerdict.UNCLEAR: Side.UNCLEAR,
}  # fmt: skip
_SE_RATIO = _BIAS | {ErrorVerdict.TOO_LARGE: Side.WIDE}


def judge_scores(
    scores: Sequence[Mapping[str, Any]], bounds: Sequence[Bounds]
) -> list[JudgedScore]:
    """Return what is judged of every row of a score table, all with one multiplicity.

    `bounds` has a line for each row. An error in the truth widens the limits.
    """
    coverages = [tally(score, held_to.floor) for score, held_to in zip(scores, bounds, strict=True)]
    bands = list(_bands(scores, bounds))
    alpha = ALPHA / max(_judged(scores, coverages, bands), 1)
    return [
        JudgedScore(
            coverage.with_limits(alpha),
            judge_bias(score, held_to.bias, alpha),
            judge_se_ratio(score, held_to.se_ratio, alpha),
            None if band is None else band.with_limits(alpha),
            alpha,
        )
        for score, held_to, coverage, band in zip(scores, bounds, coverages, bands, strict=True)
    ]


def _judged(
    scores: Sequence[Mapping[str, Any]], coverages: Sequence[Coverage],
    bands: Sequence[Coverage | None],
) -> int:  # fmt: skip
    """Count the numbers that can be judged."""
    shares = sum(c is not None and c.unjudged is None for c in (*coverages, *bands))
    biases = sum(not unjudged_bias(score) for score in scores)
    return shares + biases + sum(not unjudged_se_ratio(score) for score in scores)


def _bands(
    scores: Sequence[Mapping[str, Any]], bounds: Sequence[Bounds]
) -> Iterator[Coverage | None]:
    """Yield the joint coverage of a family's bands in its first row that has it, else None."""
    families = set()
    for score, held_to in zip(scores, bounds, strict=True):
        family = tuple(str(score.get(name)) for name in FAMILY)
        if missing(score.get("simultaneous_coverage_with_failures")) or family in families:
            yield None
            continue
        families.add(family)
        yield tally_bands(score, held_to.floor)


def _side_of(coverage: Coverage) -> Side:
    if coverage.below:
        return Side.BAD
    if coverage.conservative:
        return Side.WIDE
    return Side.GOOD if coverage.above else Side.UNCLEAR
