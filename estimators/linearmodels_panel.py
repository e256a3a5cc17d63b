"""Panel regressions by `linearmodels`: two-way fixed effects and first differences."""

from typing import TYPE_CHECKING, Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

if TYPE_CHECKING:
    import pandas as pd

ASSUMES = ("parallel trends", "no anticipation")


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
    "panel/twfe", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "independent errors", "constant effects"), uses=("linearmodels",),
)  # fmt: skip
def twfe(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit unit and period fixed effects with heteroskedasticity-robust errors."""
    return _twfe(problem, cov_type="robust")


@estimator(
    "panel/twfe-clustered", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "constant effects"), uses=("linearmodels",),
)  # fmt: skip
def twfe_clustered(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit unit and period fixed effects with errors clustered by unit."""
    return _twfe(problem, cov_type="clustered", cluster_entity=True)


@estimator(
    "panel/first-difference", targets=(Estimand.ATT,), needs=("unit", "time"),
    assumes=(*ASSUMES, "constant effects"), uses=("linearmodels",),
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
