"""Adapters off the default path: the options of which changelogs say that they changed."""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

NEEDS = ("running", "cutoff", "cluster")


@estimator(
    "options/gmm-kernel", targets=(Estimand.COEFFICIENT,), needs=("treatment", "instruments"),
    uses=("linearmodels",), moments=False,
)  # fmt: skip
def gmm_kernel(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-step GMM with kernel weights and errors, the bandwidth as the library chooses it."""
    from linearmodels.iv import IVGMM

    x = np.column_stack([np.ones(problem.outcome.size), *problem.covariates.T])
    model = IVGMM(problem.outcome, x, problem.treatment, problem.instruments, weight_type="kernel")
    return _last(model.fit(cov_type="kernel"), problem.level)


@estimator(
    "options/2sls-kernel", targets=(Estimand.COEFFICIENT,), needs=("treatment", "instruments"),
    uses=("linearmodels",), moments=False,
)  # fmt: skip
def two_stage_kernel(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-stage least squares with kernel errors: of these no changelog says anything."""
    from linearmodels.iv import IV2SLS

    x = np.column_stack([np.ones(problem.outcome.size), *problem.covariates.T])
    model = IV2SLS(problem.outcome, x, problem.treatment, problem.instruments)
    return _last(model.fit(cov_type="kernel"), problem.level)


@estimator(
    "options/panel-weighted", targets=(Estimand.ATT,), needs=("unit", "time"),
    uses=("linearmodels",),
)  # fmt: skip
def panel_weighted(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit weighted two-way fixed effects, clustered; the unit's number decides on its weight."""
    from linearmodels.panel import PanelOLS

    roles = problem.roles
    frame = problem.frame.set_index([roles.unit, roles.time])
    weights = (1 + frame.index.get_level_values(0) % 3).astype(float)
    model = PanelOLS(
        frame[roles.outcome], frame[[roles.treatment]], entity_effects=True, time_effects=True,
        weights=frame.assign(weight=weights)[["weight"]],
    )  # fmt: skip
    return _last(model.fit(cov_type="clustered", cluster_entity=True), problem.level)


@estimator(
    "options/fama-macbeth", targets=(Estimand.ATT,), needs=("unit", "time"), uses=("linearmodels",)
)
def fama_macbeth(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Average the differences of the periods after treatment (Fama and MacBeth 1973)."""
    from linearmodels.panel import FamaMacBeth

    roles = problem.roles
    frame = problem.frame.set_index([roles.unit, roles.time]).assign(one=1.0)
    moving = frame.groupby(level=1)[roles.treatment].transform("std") > 0
    frame = frame[moving]
    if frame.index.get_level_values(1).nunique() < 3:
        raise Declined("fewer than three periods with treated and untreated units")
    model = FamaMacBeth(frame[roles.outcome], frame[["one", roles.treatment]])
    return _last(model.fit(), problem.level)


def _last(fit: object, level: float) -> Estimate:
    parts = (fit.params, fit.std_errors, fit.pvalues, *fit.conf_int(level).to_numpy().T)
    value, se, p_value, low, high = (float(np.asarray(part)[-1]) for part in parts)
    return Estimate(value, se, low, high, p_value=p_value)


def _rd(problem: Problem, **options: object) -> Estimate:
    from rdrobust import rdrobust

    cutoff, by = problem.roles.cutoff, problem.columns[problem.roles.cluster]
    fit = rdrobust(
        problem.outcome, problem.running, c=cutoff, level=100 * problem.level, cluster=by, **options
    )
    low, high = fit.ci.loc["Robust"]
    return Estimate(fit.coef.Coeff["Robust"], fit.se["Std. Err."]["Robust"], low, high)


@estimator(
    "options/rd-clustered", targets=(Estimand.ATE_AT_CUTOFF,), needs=NEEDS, uses=("rdrobust",)
)
def rd_clustered(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Name clusters and leave the variance to the library."""
    return _rd(problem)


@estimator(
    "options/rd-clustered-hc3", targets=(Estimand.ATE_AT_CUTOFF,), needs=NEEDS, uses=("rdrobust",)
)
def rd_clustered_hc3(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Name clusters and ask for HC3, which version 2.0 reads as CR3."""
    return _rd(problem, vce="hc3")
