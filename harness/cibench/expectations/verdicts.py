"""What is found of an expectation, in a closed vocabulary.

Say m rows of a run carry an expectation, that the method is valid or that it fails. Each gets
Clopper and Pearson's limits at the level 1 - ALPHA / m, so that each holds the true coverage but
for a chance of ALPHA / m at most, and by Bonferroni's inequality all m of them hold theirs at once
in 95 of 100 runs, however the rows depend on each other (they share their data). Every verdict is
a statement about the true coverage that is true wherever the limits hold it: that it lies above
the floor, below it, or above what a nominal level can explain. Hence a run holds a false verdict
of any kind, surprise or confirmation, with probability ALPHA at most. A surprise can be false in
one way only, the upper limit of a valid method too low or the lower one of a broken one too high:
false surprises turn up in ALPHA / 2 of the runs at most, and in far fewer where coverages do not
sit on their floors.
"""

from __future__ import annotations

from enum import StrEnum

ALPHA = 0.05
"""The chance that a run holds a false verdict at all."""


class Expected(StrEnum):
    """Say what the declarations lead to expect of a row."""

    VALID = "valid"
    FAILS = "fails"
    NOTHING = ""
    OTHER_QUESTION = "different question"


class Verdict(StrEnum):
    """Say what the rows show of an expectation; the empty one: there is none to judge."""

    VALID = "valid as declared"
    FAILS = "fails as declared"
    FAILS_UNEXPECTEDLY = "fails unexpectedly"
    SURVIVES = "survives unexpectedly"
    CONSERVATIVE = "conservative"
    INCONCLUSIVE = "inconclusive"
    OTHER_QUESTION = "different question"
    NONE = ""


SURPRISES = (Verdict.FAILS_UNEXPECTEDLY, Verdict.SURVIVES)

MEANING = {
    Verdict.VALID: "nothing that it assumes is broken, and coverage is above the floor",
    Verdict.FAILS: "what it assumes is broken far enough, and coverage is below the floor",
    Verdict.FAILS_UNEXPECTEDLY: "nothing that it assumes is broken, yet coverage is below the "
    "floor",
    Verdict.SURVIVES: "what it assumes is broken far enough, yet coverage is above the floor",
    Verdict.CONSERVATIVE: "valid, with intervals that miss less than half as often as they may",
    Verdict.INCONCLUSIVE: "too few replicates to tell on which side of the floor coverage lies",
    Verdict.OTHER_QUESTION: "the method does not answer what it was scored on",
}


def judge(expected: Expected, low: float, high: float, floor: float, level: float) -> Verdict:
    """Judge a coverage by its limits.

    Conservative is whose lower limit exceeds (1 + level) / 2: at a nominal 95 %, 97.5.
    """
    if expected is Expected.FAILS:
        if high < floor:
            return Verdict.FAILS
        return Verdict.SURVIVES if low > floor else Verdict.INCONCLUSIVE
    if low > (1 + level) / 2:
        return Verdict.CONSERVATIVE
    if low > floor:
        return Verdict.VALID
    return Verdict.FAILS_UNEXPECTEDLY if high < floor else Verdict.INCONCLUSIVE
