"""What a replicate costs, and how a cell's ratio to the reference hangs on each of them.

In a cell with losses s_r of n replicates, and m the reference's mean loss there, the ratio is

    rho = mean over r of min(s_r, W m) / m,

where a replicate without a finite loss (a failure, a decline, an unbounded or empty set) has
s_r = W m: W is the declared worst score. With b the mean over all n of the losses that are not
worst (zero for those that are) and k the share of the worst, rho = b / m + W k, so that replicate
r moves it by

    (s_r 1{not worst} - b) / m - (b / m^2) (u_r - m) + W (1{worst} - k),

u_r the reference's loss on its own replicates; what the cap cuts moves nothing, since the loss is
continuous there. The influence on log rho is that over rho. For the RMSE losses are squared errors,
W counts squared, and log rho is halved. A ratio below 1 / W counts as 1 / W: at a truth of zero the
estimator that always says zero would be infinitely good.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from cibench.measures.answers import Group
from cibench.measures.core import mean
from cibench.measures.sets import set_score
from cibench.model import Array
from cibench.ranking.spec import Ranking


@dataclass(frozen=True, eq=False)
class LogRatio:
    """Hold a cell's log ratio, its influences over n at every replicate, and the worst share."""

    value: float
    terms: Array
    worst: float


@np.errstate(all="ignore")
def losses(group: Group, spec: Ranking, level: float, shift: float = 0.0) -> Array:
    """Return each replicate's loss, infinite where there is none; NaN where it was not run.

    An answer without limits is scored as the interval of length zero at its estimate.
    """
    truth, t = group["truth"] + shift, group["estimate"]
    if spec.measure == "rmse":
        loss = np.square(t - truth)
    else:
        bare = np.isnan(group["ci_low"]) | np.isnan(group["ci_high"])
        low, high = (np.where(bare, t, group[end]) for end in ("ci_low", "ci_high"))
        outside = np.where(bare, False, group["outside"] == 1)
        loss = set_score(low, high, truth, level, outside)
    loss = np.where(group["ok"] & np.isfinite(loss), loss, np.inf)
    run = group["ok"] | group["failed"] | group["declined"]
    return np.where(run, loss, np.nan)


def reference(loss: Array) -> tuple[float, Array] | None:
    """Return the reference's mean loss and its influences over n, None where it has none above 0.

    It rests on the replicates with a finite loss.
    """
    finite = np.isfinite(loss)
    m = mean(loss[finite])
    if not m > 0:
        return None
    return m, np.where(finite, loss - m, 0.0) / finite.sum()


def log_ratio(loss: Array, m: float, moves: Array, spec: Ranking) -> LogRatio | None:
    """Return the log ratio of a cell to its reference, None where no replicate was run."""
    run = ~np.isnan(loss)
    n = int(run.sum())
    if not n:
        return None
    most = spec.worst**spec.power
    worst = run & ~(loss <= most * m)
    kept = np.where(run & ~worst, loss, 0.0)
    b, k = mean(kept[run]), float(worst.sum()) / n
    rho = b / m + most * k
    clipped = min(max(rho, 1 / most), most)
    terms = np.zeros(loss.size)
    if clipped == rho:
        own = np.where(run, (kept - b) / m + most * (worst - k), 0.0) / n
        terms = (own - b / m**2 * moves) / (rho * spec.power)
    return LogRatio(log(clipped) / spec.power, terms, k)
