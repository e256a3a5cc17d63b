"""What a gate compares, in which unit, and how large a change has to be to matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import log1p
from types import MappingProxyType

from cibench.metrics import METRICS
from cibench.metrics.registry import Kind, Loss
from cibench.utils.errors import BadInput, unknown


class ChangeVerdict(StrEnum):
    """Say what became of a measure, a cell or a whole suite, worst first.

    >>> from cibench.gate import ChangeVerdict, Rules
    >>> [verdict.value for verdict in Rules().failing]
    ['worse', 'statistically changed', 'moved']
    >>> ChangeVerdict("better").name
    'BETTER'
    """

    WORSE = "worse"
    STATISTICALLY = "statistically changed"
    MOVED = "moved"
    NOT_COMPARABLE = "not comparable"
    BETTER = "better"
    NUMERICALLY = "numerically changed"
    IDENTICAL = "identical"


WORST_FIRST = tuple(ChangeVerdict)

MEANING = {
    ChangeVerdict.WORSE: "bias, standard errors, coverage or failures are worse by more than the "
    "margin",
    ChangeVerdict.STATISTICALLY: "something changed by more than its margin, neither for good nor "
    "ill",
    ChangeVerdict.MOVED: "single fits of the same data answer otherwise, by more than the stated "
    "multiple of their standard error: a fact, whatever averages show",
    ChangeVerdict.NOT_COMPARABLE: "the two sides do not answer the same question on the same data, "
    "or one of them answers nothing that could be compared",
    ChangeVerdict.BETTER: "bias, standard errors, coverage or failures are better by more than the "
    "margin, and that explains whatever else changed",
    ChangeVerdict.NUMERICALLY: "numbers differ, no change beyond a margin is shown",
    ChangeVerdict.IDENTICAL: "every number of every replicate is the same within the tolerance",
}


class Scale(StrEnum):
    """Say in what a difference is written."""

    SE = "empirical SE"
    OWN = "own SE"
    RELATIVE = "per cent"
    POINTS = "points"
    PLAIN = ""


SCALES = {
    Kind.IN_SE: Scale.SE, Kind.RELATIVE: Scale.RELATIVE, Kind.SHARE: Scale.POINTS,
    Kind.AS_IS: Scale.PLAIN,
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """Describe what is compared: its words, its scale, the default margin and what is worse.

    `explains` are the measures that move with this one: where it gets better they may change. A
    `fact` is of single fits of the same data: nothing about it is uncertain, and it takes no
    interval.
    """

    name: str
    words: str
    scale: Scale
    margin: float
    loss: Loss = Loss.NONE
    explains: tuple[str, ...] = ()
    fact: bool = False


def of_metric(name: str, margin: float, explains: tuple[str, ...] = ()) -> Measure:
    """Return how a gate compares a metric, whose words, scale and loss are the metric's own."""
    metric = METRICS[name]
    return Measure(name, metric.label, SCALES[metric.kind], margin, metric.loss, explains)


LIMITS = ("lower_limit", "upper_limit", "length", "band_length")
SET_MEASURES = ("coverage", "lower_noncoverage", "upper_noncoverage", "rejection")

MEASURES = {
    m.name: m
    for m in (
        Measure("estimate", "mean estimate", Scale.SE, 0.05),
        of_metric("bias", 0.05, ("estimate", *SET_MEASURES)),
        Measure("std_error", "typical standard error", Scale.RELATIVE, 0.02),
        of_metric("se_ratio", 0.02, ("std_error", *LIMITS, *SET_MEASURES)),
        Measure("se_cv", "CV of the SE", Scale.PLAIN, 0.02),
        Measure("lower_limit", "lower limit below estimate", Scale.SE, 0.05),
        Measure("upper_limit", "upper limit above estimate", Scale.SE, 0.05),
        Measure("length", "interval length", Scale.RELATIVE, 0.02),
        Measure("band_length", "length of the bands", Scale.RELATIVE, 0.02),
        of_metric("coverage", 0.01, ("std_error", "se_ratio", *LIMITS, *SET_MEASURES)),
        of_metric("lower_noncoverage", 0.01),
        of_metric("upper_noncoverage", 0.01),
        Measure("rejection", "rejections by p-value", Scale.POINTS, 0.01),
        Measure("unbounded", "unbounded or empty sets", Scale.POINTS, 0.01),
        Measure("without_estimate", "answers without an estimate", Scale.POINTS, 0.002),
        Measure("without_se", "answers without a standard error", Scale.POINTS, 0.002),
        Measure("without_limits", "answers without limits", Scale.POINTS, 0.002),
        Measure("moved", "single fits that moved", Scale.POINTS, 0.002),
        Measure("repeated", "fits with one and the same answer", Scale.POINTS, 0.002),
        of_metric("failure_rate", 0.002),
        Measure("declined", "declined data sets", Scale.POINTS, 0.002),
        Measure("lost", "answers lost", Scale.POINTS, 0.0, Loss.ITSELF, fact=True),
        Measure("fit", "the fit that moved most", Scale.OWN, 3.0, fact=True),
    )
}  # fmt: skip
"""All that is compared, in the order in which it is shown.

Of these, `rejection` is not the metric of that name, which looks at the confidence sets."""

LEVELS = tuple(m.name for m in MEASURES.values() if m.loss in (Loss.SIZE, Loss.SHORTFALL))
"""The measures of which better and worse depend on the value before, which errs too."""

FAMILY = sum(not m.fact for m in MEASURES.values()) + len(LEVELS)
"""How many intervals the rows of one estimator in one cell may need."""

FAILING = (ChangeVerdict.WORSE, ChangeVerdict.STATISTICALLY, ChangeVerdict.MOVED)


@dataclass(frozen=True)
class Rules:
    """Hold how strict a gate is.

    `margins` by measure: no change within one fails the gate. `alpha` is the chance that a gate
    over a whole suite shows a change beyond a margin where there is none. `tolerance`, in
    standard errors, is what two numbers may differ by and still be the same. `failing` are the
    verdicts that fail. Raises BadInput for an `alpha` outside of (0, 1) and for a `tolerance` below
    0 or without end.

    >>> from cibench.gate import Rules
    >>> rules = Rules(alpha=0.01).with_margins(["coverage=0.05"]).failing_on(["worse"])
    >>> rules.margins["coverage"], rules.margins["bias"], len(rules.failing)
    (0.05, 0.05, 1)
    """

    margins: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({m.name: m.margin for m in MEASURES.values()})
    )
    alpha: float = 0.002
    tolerance: float = 1e-6
    failing: tuple[ChangeVerdict, ...] = FAILING

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise BadInput(f"alpha: {self.alpha:g} is not between 0 and 1")
        if not 0 <= self.tolerance < float("inf"):
            raise BadInput(f"tolerance: {self.tolerance:g} is not a number of 0 or more")

    def margin(self, measure: str) -> float:
        """Return the margin on the scale of the comparison: of a relative change its logarithm."""
        margin = self.margins[measure]
        return log1p(margin) if MEASURES[measure].scale is Scale.RELATIVE else margin

    def with_margins(self, texts: Iterable[str]) -> Rules:
        """Return the rules with margins set by texts of the form measure=number.

        Raises BadInput for an unknown measure or a number that is none.
        """
        margins = dict(self.margins)
        for text in texts:
            name, _, number = text.partition("=")
            if name not in MEASURES:
                raise BadInput(f"margin {text}: {unknown('measure', name, MEASURES)}")
            try:
                margins[name] = float(number)
            except ValueError as error:
                raise BadInput(f"margin {text}: '{number}' is not a number") from error
            if not 0 <= margins[name] < float("inf"):
                raise BadInput(f"margin {text}: not a number of 0 or more")
        return replace(self, margins=MappingProxyType(margins))

    def failing_on(self, names: Iterable[str]) -> Rules:
        """Return the rules that fail on these verdicts; BadInput with the near miss."""
        known = [str(v) for v in ChangeVerdict if v is not ChangeVerdict.NOT_COMPARABLE]
        chosen = []
        for name in names:
            if name not in known:
                raise BadInput(unknown("verdict", name, known))
            chosen.append(ChangeVerdict(name))
        return replace(self, failing=tuple(chosen))


def most_severe(verdicts: Iterable[ChangeVerdict]) -> ChangeVerdict:
    """Return the first of `WORST_FIRST` that is among the verdicts, identical of none."""
    distinct = set(verdicts)
    return next((v for v in WORST_FIRST if v in distinct), ChangeVerdict.IDENTICAL)
