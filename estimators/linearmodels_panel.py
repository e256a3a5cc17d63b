"""Panel regressions by `linearmodels`: two-way fixed effects and first differences.

Their coefficient on treatment averages effects with weights of its own, some of them negative under
staggered adoption: it is the ATT where effects are constant.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

from ._did import UNCONDITIONAL as ASSUMES
from ._did import adopters

if TYPE_CHECKING:
    import pandas as pd


def _estimate(fit: Any, name: str, level: float) -> Estimate:
    low, high = fit.conf_int(level).loc[name]
    value, se, p_value = fit.params[name], fit.std_errors[name], fit.pvalues[name]
    return Estimate(value, se, low, high, df=fit.df_resid, p_value=p_value)


def _panel(problem: Problem) -> "pd.DataFrame":
    roles = problem.roles
    frame = problem.frame.set_index([roles.unit, roles.time])
    treated = frame.groupby(level=1)[roles.treatment].transform("mean")
    if not treated.between(0, 1, inclusive="neither").any():
        raise Declined("no period has treated and untreated units")
    return frame


def _twfe(problem: Problem, **covariance: object) -> Estimate:
    from linearmodels.panel import PanelOLS

    frame, roles = _panel(problem), problem.roles
    model = PanelOLS(
        frame[roles.outcome], frame[[roles.treatment]], entity_effects=True, time_effects=True
    )
    return _estimate(model.fit(**covariance), roles.treatment, problem.level)


@estimator(
    "panel/twfe-unadjusted", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "independent errors", "constant effects"), uses=("linearmodels",),
)  # fmt: skip
def twfe_unadjusted(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit unit and period fixed effects with the errors of least squares."""
    return _twfe(problem, cov_type="unadjusted")


@estimator(
    "panel/twfe", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "independent errors", "constant effects"), uses=("linearmodels",),
)  # fmt: skip
def twfe(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit unit and period fixed effects with heteroskedasticity-robust errors."""
    return _twfe(problem, cov_type="robust")


@estimator(
    "panel/twfe-clustered", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "constant effects", "many clusters"), uses=("linearmodels",),
)  # fmt: skip
def twfe_clustered(
    problem: Problem, rng: np.random.Generator, *,
    count_effects: bool = True, debiased: bool = True,
) -> Estimate:  # fmt: skip
    """Fit unit and period fixed effects with errors clustered by unit.

    The library counts the unit effects as parameters although they lie within clusters: its errors
    are too large by sqrt(T / (T - 1)), with two periods by 1.41. `count_effects=False` does not.
    `debiased=False` takes normal limits; with both there is no correction at all.
    """
    return _twfe(
        problem, cov_type="clustered", cluster_entity=True, auto_df=count_effects,
        count_effects=count_effects, debiased=debiased,
    )  # fmt: skip


@estimator(
    "panel/twfe-few-clusters", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "constant effects"), uses=("linearmodels",),
)  # fmt: skip
def twfe_few_clusters(
    problem: Problem, rng: np.random.Generator, *, student: bool = True
) -> Estimate:
    """Correct clustered errors for the number of clusters G, with limits of Student's t(G - 1).

    The correction called CR1: G/(G - 1) (n - 1)/(n - k), all effects counted in k. Without
    `student` the limits are normal.
    """
    corrected = {"count_effects": True, "debiased": True, "group_debias": True}
    fit = _twfe(problem, cov_type="clustered", cluster_entity=True, auto_df=False, **corrected)
    units = np.unique(problem.columns[problem.roles.unit]).size
    if fit.value is None or fit.se is None or units < 2:
        raise Declined("one unit is one cluster: there is no error to estimate")
    return Estimate.wald(fit.value, fit.se, problem.level, df=units - 1 if student else None)


@estimator(
    "panel/first-difference", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "constant effects", "many clusters"), uses=("linearmodels",),
)  # fmt: skip
def first_difference(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Regress changes on changes of treatment and periods, with errors clustered by unit."""
    import pandas as pd
    from linearmodels.panel import FirstDifferenceOLS

    frame, roles = _panel(problem), problem.roles
    periods = pd.get_dummies(frame.index.get_level_values(1), drop_first=True, dtype=float)
    exog = pd.concat([frame[[roles.treatment]], periods.set_index(frame.index)], axis=1)
    fit = FirstDifferenceOLS(frame[roles.outcome], exog).fit(
        cov_type="clustered", cluster_entity=True
    )
    return _estimate(fit, roles.treatment, problem.level)


@estimator(
    "panel/twfe-driscoll-kraay", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "constant effects", "many periods"), uses=("linearmodels",),
)  # fmt: skip
def twfe_driscoll_kraay(
    problem: Problem, rng: np.random.Generator, *, bandwidth: int | None = None
) -> Estimate:
    """Fit unit and period fixed effects with Driscoll and Kraay's errors, for long panels.

    They allow dependence between units and over `bandwidth` periods (None: the library's choice);
    with few periods they are too small.
    """
    if np.unique(problem.columns[problem.roles.time]).size < 3:
        raise Declined("errors of Driscoll and Kraay need three periods or more")
    return _twfe(problem, cov_type="kernel", kernel="bartlett", bandwidth=bandwidth)


@estimator(
    "panel/twfe-covariates", targets=(Estimand.ATT,), needs=("time", "cohort", "covariates"),
    assumes=(*ASSUMES, "constant effects"), uses=("linearmodels",),
)  # fmt: skip
def twfe_covariates(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Regress the outcome of two periods on D x post, post, D and the covariates, robust errors.

    The specification of Sant'Anna and Zhao (2020), section 4: heteroskedasticity-robust and not
    clustered, as in their table. Covariates that do not change capture no trends; in repeated
    cross-sections they capture a change in composition.
    """
    from linearmodels.iv import IV2SLS

    frame, roles = adopters(problem), problem.roles
    time, cohort = frame[roles.time], frame[roles.cohort]
    if time.nunique() != 2:
        raise Declined(f"takes two periods; here are {time.nunique()}")
    group, post = (cohort > 0).astype(float), (time == time.max()).astype(float)
    design = frame[[roles.treatment, *roles.covariates]].assign(_group=group, _post=post, _one=1.0)
    if np.linalg.matrix_rank(design.to_numpy()) < design.shape[1]:
        raise Declined("the design is singular: the covariates are collinear")
    fit = IV2SLS(frame[roles.outcome], design, None, None).fit(cov_type="robust", debiased=True)
    return _estimate(fit, roles.treatment, problem.level)
