"""What quality scores do not see: the effect, and whether anything else jumps, drifts or selects.

Each check has an answer that is known because it was put there: an estimate from the audited rows,
less that answer, with the estimate's own standard error. The estimators are oracles: they know the
outcome function and the mechanisms of assignment, so that only the planted part is left to find.
Covariates may jump at the cutoff as far as they might in the seed by chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.twins.audit.summaries import structural
from cibench.twins.columns import Columns
from cibench.twins.cross_section import ABOVE, rule, sd_of
from cibench.twins.fit.structure import BANDWIDTH, least_squares, local_jump
from cibench.twins.twin import Twin

PLACEBOS = tuple(k / 20 for k in range(1, 20))
"""Placebo cutoffs are these quantiles of the running variable on either side of the real one.

They stand close together: a line on either side soon loses a jump that is not quite at its point.
"""

EARLIEST = -5
JUMP = 0.1
"""Jumps and drifts may be this many s.d. of the residual (or covariate) away from the answer."""

SHARE = 0.03
"""Probabilities and correlations may be this far away."""


class Discrepancy(NamedTuple):
    """Hold what a check found: a discrepancy, its standard error and the margin it may use up."""

    kind: str
    name: str
    discrepancy: float
    se: float
    margin: float


def design_checks(twin: Twin, columns: Columns, felt: Array) -> list[Discrepancy]:
    """Run the checks of a twin's design on complete columns; `felt` is what was planted."""
    y = columns[twin.design.outcome]
    y = y if twin.outcome.link is None else twin.outcome.scores(y)
    left = y - structural(twin, columns) - felt
    if twin.panel is not None:
        return _panel(twin, columns, left)
    if twin.design.kind == "rd":
        return _discontinuity(twin, columns, left)
    if twin.design.kind == "iv":
        return _instrument(twin, columns, left)
    return _observables(twin, columns, left)


def _discontinuity(twin: Twin, columns: Columns, left: Array) -> list[Discrepancy]:
    design, d = twin.design, columns[twin.treatment]
    x, c, margin = columns[design.running], design.cutoff or 0.0, JUMP * twin.structure.sd
    h, sign = BANDWIDTH * sd_of(x), 1 if design.side == "above" else -1
    inside = rule(twin, x)
    discrepancies = []
    if design.fuzzy:
        p = [_at_cutoff(twin, columns, x, c, side) for side in (0.0, 1.0)]
        jump, se = local_jump(d, x, c, h)
        discrepancies.append(
            Discrepancy("take-up", "jump at the cutoff", sign * jump - (p[1] - p[0]), se, SHARE)
        )
    jump, se = local_jump(left, x, c, h)
    discrepancies.append(
        Discrepancy("effect", "jump at the cutoff less the planted one", sign * jump, se, margin)
    )
    for side in (0.0, 1.0):
        for q in PLACEBOS:
            at, here = float(np.quantile(x[inside == side], q)), inside == side
            jump, se = local_jump(left[here], x[here], at, h)
            discrepancies.append(Discrepancy("placebo", f"jump at {at:.4g}", jump, se, margin))
    for name in design.covariates or ():
        z = columns[name]
        jump, se = local_jump(z, x, c, h)
        se = float(np.hypot(se, twin.summaries["jumps"].get(name, 0.0)))
        discrepancies.append(
            Discrepancy("placebo", f"jump of {name} at the cutoff", jump, se, JUMP * sd_of(z))
        )
    return discrepancies


def _at_cutoff(twin: Twin, columns: Columns, x: Array, c: float, side: float) -> float:
    near = np.abs(x - c) < BANDWIDTH * sd_of(x) / 2
    at = {n: v[near] for n, v in columns.items()}
    n = int(near.sum())
    at |= {twin.design.running: np.full(n, c), ABOVE: np.full(n, side)}
    return float(twin.mechanisms["treatment"].probability(at, n).mean())


def _observables(twin: Twin, columns: Columns, left: Array) -> list[Discrepancy]:
    d = columns[twin.treatment]
    p = twin.mechanisms["treatment"].mean(columns, len(d))
    value, se = _ratio((d - p) * left, (d - p) * d)
    margin = JUMP * twin.structure.sd
    discrepancies = [Discrepancy("effect", "estimate less the planted one", value, se, margin)]
    discrepancies += _calibration(d, p, "treatment")
    return [*discrepancies, _tie(left, d - p, "treatment")]


def _instrument(twin: Twin, columns: Columns, left: Array) -> list[Discrepancy]:
    d, z = columns[twin.treatment], columns[twin.design.instrument]
    e = twin.mechanisms["instrument"].mean(columns, len(z))
    value, se = _ratio((z - e) * left, (z - e) * d)
    margin = JUMP * twin.structure.sd / sd_of(d)
    discrepancies = [Discrepancy("effect", "estimate less the planted one", value, se, margin)]
    discrepancies += _calibration(z, e, "instrument")
    discrepancies.append(_tie(left, z - e, "instrument"))
    return [*discrepancies, _tie(left, d - least_fit(d, z, e), "treatment")]


def least_fit(d: Array, z: Array, e: Array) -> Array:
    """Return the treatment's linear prediction from the instrument and its mean."""
    x = np.column_stack([np.ones(len(z)), z, e])
    return np.asarray(x @ least_squares(x, d))


def _ratio(above: Array, below: Array) -> tuple[float, float]:
    value = above.sum() / below.sum()
    return float(value), float(np.sqrt(np.sum((above - value * below) ** 2)) / abs(below.sum()))


def _calibration(d: Array, p: Array, name: str) -> list[Discrepancy]:
    """Return how far the mean and the spread of a variable are from what its mechanism says."""
    scale, n = sd_of(d), len(d)
    error = (d - p) / scale
    discrepancies = [
        Discrepancy("calibration", f"mean of {name}", error.mean(), error.std() / np.sqrt(n), SHARE)
    ]
    if np.ptp(p) > 1e-9:
        tilt = error * (p - p.mean()) / p.std()
        what = f"{name} where it is likely"
        discrepancies.append(
            Discrepancy("calibration", what, tilt.mean(), tilt.std() / np.sqrt(n), SHARE)
        )
    return discrepancies


def _tie(residual: Array, noise: Array, name: str) -> Discrepancy:
    """Return the correlation of the residual with what decides on the treatment."""
    product = (residual - residual.mean()) / sd_of(residual) * (noise - noise.mean()) / sd_of(noise)
    se = float(product.std() / np.sqrt(len(product)))
    return Discrepancy("residual", f"correlation with {name}", float(product.mean()), se, SHARE)


def _panel(twin: Twin, columns: Columns, left: Array) -> list[Discrepancy]:
    assert twin.panel is not None
    periods = len(twin.panel.times)
    r, d = left.reshape(-1, periods), columns[twin.treatment].reshape(-1, periods)
    first = np.where(d.any(axis=1), np.argmax(d, axis=1), 0)
    r, d, first = r[first > 0], d[first > 0], first[first > 0]
    since = np.arange(periods) - first[:, None]
    margin = JUMP * twin.structure.sd
    gain = (r * d).sum(axis=1) / d.sum(axis=1) - (r * (1 - d)).sum(axis=1) / (1 - d).sum(axis=1)
    never = left.reshape(-1, periods)[~columns[twin.treatment].reshape(-1, periods).any(axis=1)]
    discrepancies = [_mean("effect", "treated periods less earlier ones", gain, margin)]
    last = np.take_along_axis(r, first[:, None] - 1, axis=1)[:, 0]
    for k in range(EARLIEST, -1):
        seen = (since == k).any(axis=1)
        if seen.sum() >= 50:
            early = r[seen, first[seen] + k] - last[seen]
            discrepancies.append(_mean("pre-trend", f"{-k} periods before adoption", early, margin))
    if len(never) >= 50:
        drift = never[:, -1] - never[:, 0]
        discrepancies.append(_mean("placebo", "drift of units that never adopt", drift, margin))
    return discrepancies


def _mean(kind: str, name: str, values: Array, margin: float) -> Discrepancy:
    se = float(values.std() / np.sqrt(len(values)))
    return Discrepancy(kind, name, float(values.mean()), se, margin)
