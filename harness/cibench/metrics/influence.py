"""What metrics are made of: statistics that know their error and how far each replicate moves them.

To first order a statistic m of n replicates is a mean, m - E m = mean of its influences, and errs
by their S / sqrt n. Two estimators of the same data sets share their noise, so that the error of
the difference of their metrics is S / sqrt n of the differences of their influences, replicate by
replicate; and a metric takes S^2 / t^2 replicates to err by t. For means the influences are the
terms themselves, for functions of means the delta method's, for what has a jackknife error the
jackknife's pseudo-values less the statistic, for medians the sign of the deviation over twice the
density: each is such that S / sqrt n of them is the error of the score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np

from cibench.metrics.core import (
    NO_SPREAD,
    Score,
    jackknife,
    mean,
    mean_score,
    median_score,
    proportion,
    root,
    standard_deviation,
)
from cibench.model.types import Array

INFINITE = "infinite"
NO_JACKKNIFE = "two replicates leave no jackknife"


@dataclass(frozen=True, eq=False)
class Influence:
    """Hold a statistic's value and how far each replicate moves it; `why` says why it is blank.

    `counts` says that it is a mean of zeros and ones, one for each replicate.
    """

    value: float
    each: Array
    why: str = ""
    counts: bool = False


def nothing(why: str) -> Influence:
    """Return the influence of no replicate on a value that is not known."""
    return Influence(nan, np.empty(0), why)


class Statistic(ABC):
    """Offer the score of some replicates and how far each of them moves it."""

    @property
    @abstractmethod
    def score(self) -> Score:
        """Return the value with its Monte Carlo standard error."""

    @property
    @abstractmethod
    def influence(self) -> Influence:
        """Return the value with the influences of the replicates."""


@dataclass(frozen=True, eq=False)
class Mean(Statistic):
    """Hold the terms of a mean, which errs by S / sqrt n."""

    terms: Array

    @property
    def score(self) -> Score:
        """Return the mean; of infinite terms it is infinite, without an error."""
        return mean_score(self.terms)

    @property
    def influence(self) -> Influence:
        """Return what each term adds to the mean."""
        value = mean(self.terms)
        return Influence(value, self.terms - value) if isfinite(value) else nothing(INFINITE)


@dataclass(frozen=True, eq=False)
class Ratio(Statistic):
    """Hold the terms of a mean over another mean, whose error is the delta method's."""

    above: Array
    below: Array

    @property
    def score(self) -> Score:
        """Return the ratio."""
        below = mean(self.below)
        ratio = mean(self.above) / below
        return Score(ratio, mean_score(self.above - ratio * self.below).mcse / abs(below))

    @property
    def influence(self) -> Influence:
        """Return the influences by the delta method."""
        below = mean(self.below)
        ratio = mean(self.above) / below
        if not isfinite(ratio):
            return nothing(INFINITE)
        return Influence(ratio, (self.above - ratio * self.below) / below)


@dataclass(frozen=True, eq=False)
class Share(Statistic):
    """Hold which replicates count for a share: of all, or of those that `among` marks."""

    hits: Array
    among: Array | None = None

    @property
    def score(self) -> Score:
        """Return the share with Wilson's limits; the number of `among` is taken as it is."""
        hits = self.hits if self.among is None else self.hits[self.among]
        return proportion(int(hits.sum()), hits.size)

    @property
    def influence(self) -> Influence:
        """Return the influences of a mean, or of a ratio of two where only some count."""
        if self.among is not None:
            hits = (self.hits & self.among).astype(float)
            return Ratio(hits, self.among.astype(float)).influence
        mean_hits = Mean(self.hits.astype(float)).influence
        return Influence(mean_hits.value, mean_hits.each, mean_hits.why, counts=True)


@dataclass(frozen=True, eq=False)
class MeanAmong(Statistic):
    """Hold the terms of a mean over the replicates that `among` marks."""

    terms: Array
    among: Array

    @property
    def score(self) -> Score:
        """Return the mean with S / sqrt m of the m marked: given m it has no other error."""
        return mean_score(self.terms[self.among])

    @property
    def influence(self) -> Influence:
        """Return the influences of a ratio of means, whose m varies from run to run."""
        return Ratio(np.where(self.among, self.terms, 0.0), self.among.astype(float)).influence


@dataclass(frozen=True, eq=False)
class Root(Statistic):
    """Hold what the root is taken of, a statistic that is not negative."""

    square: Mean

    @property
    def score(self) -> Score:
        """Return the root with the delta method's error."""
        return root(self.square.score)

    @property
    def influence(self) -> Influence:
        """Return the influences by the delta method."""
        square = self.square.influence
        value = sqrt(square.value) if square.value >= 0 else nan
        return Influence(value, square.each / (2 * value) if value else square.each, square.why)


@dataclass(frozen=True, eq=False)
class RootMeanSquare(Statistic):
    """Hold numbers whose typical size is the root of their mean square."""

    numbers: Array

    @property
    def score(self) -> Score:
        """Return the root mean square with the delta method's error."""
        return root(mean_score(np.square(self.numbers)))

    @property
    def influence(self) -> Influence:
        """Return the influences by the delta method."""
        value = sqrt(mean(np.square(self.numbers)))
        if not isfinite(value):
            return nothing(INFINITE)
        each = np.square(self.numbers) - value**2
        return Influence(value, each / (2 * value) if value else each)


@dataclass(frozen=True, eq=False)
class Absolute(Statistic):
    """Hold a statistic of which the size counts."""

    signed: Mean

    @property
    def score(self) -> Score:
        """Return the size, with the error of what it is the size of."""
        signed = self.signed.score
        return Score(abs(signed.value), signed.mcse)

    @property
    def influence(self) -> Influence:
        """Return the influences, turned where the value is negative."""
        signed = self.signed.influence
        return Influence(abs(signed.value), np.sign(signed.value) * signed.each, signed.why)


@dataclass(frozen=True, eq=False)
class Median(Statistic):
    """Hold the numbers of a median, whose error is `median_score`'s."""

    numbers: Array

    @property
    def score(self) -> Score:
        """Return the median."""
        return median_score(self.numbers)

    @property
    def influence(self) -> Influence:
        """Return the sign of each deviation over twice the density that the error implies."""
        median = self.score
        if not isfinite(median.value):
            return nothing(INFINITE)
        error = median.mcse if isfinite(median.mcse) else 0.0
        each = sqrt(self.numbers.size) * error * np.sign(self.numbers - median.value)
        return Influence(median.value, each)


@dataclass(frozen=True, eq=False)
class Jackknifed(Statistic):
    """Hold a statistic and its n values that leave one replicate out, all to be times `scale`."""

    value: float
    leave_one_out: Array
    scale: float = 1.0

    @property
    def score(self) -> Score:
        """Return the value with the centred jackknife's error, none where it hangs on one."""
        return Score(self.scale * self.value, self.scale * jackknife(self.leave_one_out))

    @property
    def influence(self) -> Influence:
        """Return the jackknife's pseudo-values less the value."""
        each = self.scale * self.leave_one_out
        if not np.isfinite(each).all():
            return nothing(NO_JACKKNIFE if each.size == 2 else NO_SPREAD)
        return Influence(self.scale * self.value, (each.size - 1) * (mean(each) - each))


@dataclass(frozen=True, eq=False)
class Linear(Statistic):
    """Hold a value and each replicate's influence on it, up to a constant."""

    value: float
    each: Array

    @property
    def score(self) -> Score:
        """Return the value with S / sqrt n of the influences."""
        return Score(self.value, standard_deviation(self.each) / sqrt(self.each.size))

    @property
    def influence(self) -> Influence:
        """Return the influences, centred."""
        return Influence(self.value, self.each - mean(self.each))


Result = Score | Statistic
"""What a metric's function returns: a score where nothing is known, or no replicate moves it."""


def scored(result: Result) -> Score:
    """Return the score of a result."""
    return result if isinstance(result, Score) else result.score


def influenced(result: Result) -> Influence:
    """Return the influences on a result, with the reason where there are none."""
    return nothing(result.why) if isinstance(result, Score) else result.influence
