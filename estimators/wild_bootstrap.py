"""Two-way fixed effects with the wild cluster bootstrap of `wildboottest`.

Cameron, Gelbach and Miller (2008), Review of Economics and Statistics 90.

Unit effects are swept out first, which changes no bootstrap statistic since units lie within
clusters; period effects stay as dummies. The library tests one coefficient against zero. With the
null imposed (WCR) the bootstrap differs from one null to the next and the library has no inversion,
so that variant gives a p-value and no limits. Without it (WCU) one bootstrap serves every null and
the limits that invert the test are the estimate and the quantile of |t*| standard errors either
side. With fewer clusters than log2(draws) all sign patterns are enumerated.
"""

from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._did import UNCONDITIONAL, clusters, seed

NEEDS = ("unit", "time")
ASSUMES = (*UNCONDITIONAL, "constant effects", "many treated clusters")


def _within(problem: Problem) -> tuple[Array, Array, Array]:
    """Return treatment and period dummies, outcome and clusters, less their unit means."""
    roles = problem.roles
    _, unit = np.unique(problem.columns[roles.unit], return_inverse=True)
    periods, time = np.unique(problem.columns[roles.time], return_inverse=True)
    _, cluster = np.unique(problem.columns[clusters(problem)], return_inverse=True)
    if len(np.unique(np.column_stack([unit, cluster]), axis=0)) > unit.max() + 1:
        raise Declined("some unit belongs to several clusters")
    dummies = time[:, None] == np.arange(1, periods.size)
    stacked = np.column_stack([problem.outcome, problem.treatment, dummies])
    sums = np.zeros((unit.max() + 1, stacked.shape[1]))
    np.add.at(sums, unit, stacked)
    left = stacked - (sums / np.bincount(unit)[:, None])[unit]
    if np.linalg.matrix_rank(left[:, 1:]) < periods.size:
        raise Declined("treatment does not vary beyond unit and period effects")
    return left[:, 1:], left[:, 0], cluster


def _bootstrap(problem: Problem, seed: int, null: bool, draws: int, weights: str, most: int) -> Any:
    from wildboottest.wildboottest import WildboottestCL

    x, y, cluster = _within(problem)
    if cluster.max() >= most:
        raise Declined(f"more than {most} clusters: the library's cost grows with their square")
    tested = np.zeros(x.shape[1])
    tested[0] = 1
    boot = WildboottestCL(X=x, Y=y, cluster=cluster, R=tested, B=draws, seed=seed, parallel=False)
    boot.get_scores(bootstrap_type="11", impose_null=null)
    boot.get_weights(weights_type=weights)
    boot.get_numer()
    boot.get_denom()
    boot.get_tboot()
    boot.get_vcov()
    boot.get_tstat()
    boot.get_pvalue(pval_type="two-tailed")
    if not np.isfinite([boot.t_stat, *boot.t_boot]).all():
        raise Declined("the bootstrap statistic is not defined: too few clusters")
    return boot


@estimator(
    "panel/twfe-wild-bootstrap", targets=(Estimand.ATT,), needs=NEEDS, assumes=ASSUMES,
    uses=("wildboottest",), gives=("value",),
)  # fmt: skip
def restricted(
    problem: Problem, rng: np.random.Generator, *,
    draws: int = 999, weights: str = "rademacher", max_clusters: int = 300,
) -> Estimate:  # fmt: skip
    """Fit two-way fixed effects and test no effect by the bootstrap with the null imposed."""
    boot = _bootstrap(problem, seed(rng), True, draws, weights, max_clusters)
    value, t = float(boot.beta_hat[0]), float(boot.t_stat)
    return Estimate(value, p_value=float(boot.pvalue), statistic=t)


@estimator(
    "panel/twfe-wild-bootstrap-unrestricted", targets=(Estimand.ATT,), needs=NEEDS,
    assumes=ASSUMES, uses=("wildboottest",),
)  # fmt: skip
def unrestricted(
    problem: Problem, rng: np.random.Generator, *,
    draws: int = 999, weights: str = "rademacher", max_clusters: int = 300,
) -> Estimate:  # fmt: skip
    """Fit two-way fixed effects with limits from the bootstrap that does not impose the null."""
    boot = _bootstrap(problem, seed(rng), False, draws, weights, max_clusters)
    value, t = float(boot.beta_hat[0]), float(boot.t_stat)
    se = value / t
    reach = se * float(np.quantile(np.abs(boot.t_boot), problem.level, method="inverted_cdf"))
    p_value = float(boot.pvalue)
    return Estimate(value, se, value - reach, value + reach, p_value=p_value, statistic=t)
