"""Whether a run bears out what its lesson states: the failure, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cibench.lessons.lesson import Claim, Lesson

ERRORS = 5
"""How many Monte Carlo errors a stated failure is away from none."""


def told(frames: Mapping[str, Any], lesson: Lesson, claim: Claim) -> Mapping[str, Any]:
    """Return what the frames hold of a claim's series at its setting."""
    frame = frames["frames"][lesson.slider.settings.index(claim.at)]
    found: Mapping[str, Any] = frame["series"][lesson.series.index(claim.series)]
    return found


def errors_from_none(frames: Mapping[str, Any], lesson: Lesson, claim: Claim) -> float:
    """Return how many Monte Carlo errors the claimed failure is away from none.

    None is a bias of zero, or nominal coverage. A coverage near 0 or 1 has hardly an error of its
    own, so the larger counts of that and the error that nominal coverage has.
    """
    one = told(frames, lesson, claim)
    value, error = (
        float(x if x is not None else math.nan) for x in one["scores"][claim.measure][:2]
    )
    if claim.measure != "coverage":
        return abs(value) / error if error > 0 else math.nan
    level = float(frames["level"])
    nominal = math.sqrt(level * (1 - level) / max(one["answered"], 1))
    return (level - value) / max(error, nominal)


def holds(frames: Mapping[str, Any], lesson: Lesson) -> tuple[bool, bool]:
    """Say whether the failure is far enough from none, and the remedy's coverage above its floor.

    The lower Wilson limit of the remedy's coverage, failures counted as misses, is above the floor.
    """
    low = told(frames, lesson, lesson.remedy)["scores"]["coverage_with_failures"][2]
    cured = low is not None and float(low) > lesson.remedy.floor
    return errors_from_none(frames, lesson, lesson.failure) >= ERRORS, cured


def doubts(frames: Mapping[str, Any], lesson: Lesson) -> list[str]:
    """Return what the run does not bear out of what the lesson states, in words."""
    fails, cures = holds(frames, lesson)
    said, more = [], "more replicates may settle it, or the lesson is not true of this design"
    if not fails:
        far = errors_from_none(frames, lesson, lesson.failure)
        said.append(f"the stated failure is {far:.1f} errors from none, not {ERRORS}; {more}")
    if not cures:
        low = told(frames, lesson, lesson.remedy)["scores"]["coverage_with_failures"][2]
        said.append(f"the remedy's coverage may be as low as {low}, below its floor; {more}")
    return said
