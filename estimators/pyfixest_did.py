"""Two-stage, local-projection and saturated estimates of staggered adoption by `pyfixest`.

Errors are clustered by the cluster, else by the unit. The library gives limits at 95 % only for
two of the three: there the limits are its estimate and standard error at the level asked, with its
own degrees of freedom (clusters less one for local projections, normal ones for saturated).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator

from ._did import UNCONDITIONAL, adopters, clusters
from ._reasons import units_of

if TYPE_CHECKING:
    import pandas as pd

ATT = (Estimand.ATT,)
NEEDS = ("unit", "time", "cohort")
CLUSTERS = "many clusters"


def _names(problem: Problem) -> dict[str, str]:
    roles = problem.roles
    return {
        "yname": roles.outcome, "idname": roles.unit, "tname": roles.time, "gname": roles.cohort,
    }  # fmt: skip


@estimator(
    "did/did2s", targets=ATT, horizons=ATT, needs=NEEDS, assumes=(*UNCONDITIONAL, CLUSTERS),
    uses=("pyfixest",),
)  # fmt: skip
def did2s(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Fit unit and period effects to untreated rows, then average the residuals (Gardner 2022)."""
    from pyfixest import did2s

    frame, roles, by = adopters(problem), problem.roles, clusters(problem)
    cohort, time = frame[roles.cohort], frame[roles.time]
    frame["treated"] = frame[roles.treatment] == 1
    frame["since"] = (time - cohort).where(cohort > 0, -1)
    rows = (~frame["treated"]).groupby(frame[roles.unit]).sum()
    if rows.min() < 2:  # the library drops units with one untreated row, then fails on the others
        who = units_of(rows.index[rows < 2].to_numpy())
        raise Declined(f"fewer than two untreated periods to fit the unit's effect: {who}")
    answers = {}
    for stage, overall in (("~ i(treated)", True), ("~ i(since, ref=-1)", False)):
        if not any((t.horizon is None) is overall for t in problem.targets):
            continue
        fit = did2s(
            frame, roles.outcome, f"~ 0 | {roles.unit} + {roles.time}", stage, "treated", by
        )
        for name, row in fit.tidy(alpha=1 - problem.level).iterrows():
            horizon = None if overall else int(float(str(name).rpartition("::")[2]))
            value, se, _, p_value, low, high = (float(number) for number in row)
            answers[Target(Estimand.ATT, horizon)] = Estimate(value, se, low, high, p_value=p_value)
    return answers


@estimator(
    "did/lpdid", targets=ATT, horizons=ATT, needs=NEEDS,
    assumes=(*UNCONDITIONAL, CLUSTERS, "constant effects"), uses=("pyfixest",),
)  # fmt: skip
def lpdid(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Regress long changes on adoption among adopters and the untreated (Dube and others 2023).

    The overall answer pools the periods after adoption that the earliest cohort is seen for, so
    that later cohorts fall out; cohorts are weighted by the variance of adoption.
    """
    from pyfixest import lpdid

    frame, by = adopters(problem), clusters(problem)
    df = frame[by].nunique() - 1
    answers = {}
    for overall in {target.horizon is None for target in problem.targets}:
        fit = lpdid(frame, **_names(problem), vcov={"CRV1": by}, att=overall)
        for name, row in fit.tidy().iterrows():
            horizon = None if overall else int(str(name).rpartition("::")[2])
            answers[Target(Estimand.ATT, horizon)] = Estimate.wald(
                float(row["Estimate"]), float(row["Std. Error"]), problem.level, df
            )
    return answers


def _shares(frame: "pd.DataFrame", cells: "pd.DataFrame", horizon: int | None) -> Any:
    """Return each cell's share of the treated rows, at one horizon or at all from adoption on."""
    wanted = cells["since"] >= 0 if horizon is None else cells["since"] == horizon
    sizes = frame.groupby(["first_treated_period", "rel_time"]).size()
    rows = sizes.reindex(list(zip(cells["cohort"], cells["since"], strict=True)), fill_value=0)
    counts = rows.to_numpy() * wanted.to_numpy()
    return counts / max(counts.sum(), 1)


@estimator(
    "did/saturated", targets=ATT, horizons=ATT, needs=NEEDS, assumes=(*UNCONDITIONAL, CLUSTERS),
    uses=("pyfixest",),
)  # fmt: skip
def saturated(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Interact cohorts with periods since adoption, then weight by shares (Sun and Abraham 2021).

    At a horizon this is the library's `aggregate()`; overall, the same with the shares of all
    treated rows. The library calls it beta and warns so.
    """
    from pyfixest import event_study

    frame, by = adopters(problem), clusters(problem)
    fit = event_study(frame, **_names(problem), cluster=by, estimator="saturated")
    found = fit.coef().index.str.extract(r"::(?P<since>[-\d.]+):.+::(?P<cohort>\d+)$")
    cells = found.astype(float)
    answers = {}
    for target in problem.targets:
        shares = _shares(fit._data, cells, target.horizon)
        if shares.any():
            value, variance = shares @ fit.coef().to_numpy(), shares @ fit._vcov @ shares
            answers[target] = Estimate.wald(float(value), float(variance**0.5), problem.level)
    return answers
