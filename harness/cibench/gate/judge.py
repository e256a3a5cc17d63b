"""From measures with errors to verdicts: what changed beyond its margin, and for good or ill.

*Simultaneous limits.* Every measure of every cell gets an interval that misses with a chance of
alpha over the number of all intervals that the suite could need (Bonferroni's inequality, which
holds whatever the measures have to do with each other). So the chance that any interval of the
whole gate misses is at most alpha. A measure has changed where its interval lies wholly outside
the margin: a gate on code that did not change by more than the margins fails with a chance of at
most alpha, and on code that did not change at all with less.

*Better and worse.* The loss of a bias b is |b|, of an SE ratio r |log r|, of a coverage c what it
lacks to nominal, max(0, level - c), of failures their share. With x the value before and d the
difference, the loss changes by g(x + d) - g(x), and x errs, too: a bias that goes from 0.02 to
0.17 with an error of 0.03 may have gone from -0.04 to 0.11. Both x and d have simultaneous
intervals; the loss changed by no less than the least value over the rectangle of the two, and no
more than the largest. g is piecewise linear, so that both lie at a corner or where x or x + d
cross the kink. `worse` is a least change above the margin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import expm1, inf

from cibench.gate.measures import Measured
from cibench.gate.rules import MEASURES, ChangeVerdict, Rules, Scale, most_severe
from cibench.metrics.registry import Loss

Span = tuple[float, float]


@dataclass(frozen=True)
class MeasureVerdict:
    """Hold a measure with its verdict.

    `difference` and its simultaneous limits are after minus before, of relative measures the
    relative change; `error` its Monte Carlo error; `z` how many errors it lies beyond the margin.
    `settled` says that the limits lie on one side of each margin: with fewer replicates than
    enough a change may be there and not be shown. `loss` are the limits of what was lost (negative:
    gained), None of measures that are neither good nor bad.
    """

    name: str
    before: float
    after: float
    difference: float
    error: float
    low: float
    high: float
    margin: float
    z: float
    verdict: ChangeVerdict
    settled: bool
    loss: Span | None = None

    @property
    def changed(self) -> bool:
        """Say whether it changed beyond its margin."""
        return self.verdict not in (ChangeVerdict.NUMERICALLY, ChangeVerdict.IDENTICAL)


def judge(measured: Measured, nominal: float | None, rules: Rules, alpha: float) -> MeasureVerdict:
    """Judge one measure by limits that miss with a chance of `alpha`."""
    measure, margin = MEASURES[measured.name], rules.margin(measured.name)
    low, high = measured.difference.limits(alpha)
    loss = _loss(measured, (low, high), measure.loss, nominal, alpha)
    settled = low > margin or high < -margin or (-margin <= low and high <= margin)
    scaled = _relative if measure.scale is Scale.RELATIVE else float
    return MeasureVerdict(
        measured.name, measured.before, measured.after, scaled(measured.difference.value),
        measured.difference.error, scaled(low), scaled(high), rules.margins[measured.name],
        measured.difference.beyond(margin), _verdict(
            measured, (low, high), loss, margin, rules.tolerance
        ), settled, loss,
    )  # fmt: skip


def _relative(logarithm: float) -> float:
    return expm1(logarithm) if logarithm < 700 else inf


def _verdict(
    measured: Measured, span: Span, loss: Span | None, margin: float, tolerance: float
) -> ChangeVerdict:
    low, high = span
    if loss is not None and loss[0] > margin:
        return ChangeVerdict.WORSE
    if loss is not None and loss[1] < -margin:
        return ChangeVerdict.BETTER
    if low > margin or high < -margin:
        fact = MEASURES[measured.name].fact
        return ChangeVerdict.MOVED if fact else ChangeVerdict.STATISTICALLY
    same = max(abs(measured.difference.value), measured.difference.error) <= tolerance
    return ChangeVerdict.IDENTICAL if same else ChangeVerdict.NUMERICALLY


def _loss(
    measured: Measured, span: Span, loss: Loss, nominal: float | None, alpha: float
) -> Span | None:
    if loss is Loss.ITSELF:
        return span
    if loss is Loss.NONE or measured.level is None or (loss is Loss.SHORTFALL and nominal is None):
        return None
    start = measured.level.limits(alpha)
    if loss is Loss.SIZE:
        return extremes(start, span, 0.0, -1.0, 1.0)
    return extremes(start, span, float(nominal or 0), -1.0, 0.0)


def extremes(x: Span, d: Span, kink: float, below: float, above: float) -> Span:
    """Return the least and the largest g(x + d) - g(x) over intervals of x and d.

    g is zero at the kink, with slope `below` under it and `above` over it.
    """

    def g(value: float) -> float:
        return (value - kink) * (above if value > kink else below)

    inside = [kink] if x[0] <= kink <= x[1] else []
    points = [(at, by) for at in (*x, *inside) for by in d]
    points += [(at, kink - at) for at in (*x, *inside) if d[0] <= kink - at <= d[1]]
    points += [(kink - by, by) for by in d if x[0] <= kink - by <= x[1]]
    gaps = [g(at + by) - g(at) for at, by in points]
    return min(gaps), max(gaps)


def cell_verdict(judged: Iterable[MeasureVerdict], changed: bool) -> ChangeVerdict:
    """Return the verdict of a cell: the worst of its measures, less what an improvement explains.

    Where the SE ratio got better the standard errors and the limits had to change; where nothing
    else did, the cell got better. `changed` says that single numbers did.
    """
    judged = list(judged)
    explained = {
        name
        for measure in judged
        if measure.verdict is ChangeVerdict.BETTER
        for name in MEASURES[measure.name].explains
    }
    verdicts = [
        measure.verdict for measure in judged
        if measure.changed
        and not (measure.verdict is ChangeVerdict.STATISTICALLY and measure.name in explained)
    ]  # fmt: skip
    return most_severe(
        [*verdicts, ChangeVerdict.NUMERICALLY if changed else ChangeVerdict.IDENTICAL]
    )
