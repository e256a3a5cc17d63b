"""Adapters for what changelogs say of releases that cibench cannot live beside: Python 3.7 on."""

from __future__ import annotations

from typing import Any

import numpy as np

from cibench import Estimand, Estimate, Problem, estimator

COEFFICIENT, ATT, ATE = (Estimand.COEFFICIENT,), (Estimand.ATT,), (Estimand.ATE,)


def _design(problem: Problem) -> np.ndarray:
    """Return the columns of a regression: a constant, the treatment, the covariates."""
    return np.column_stack([np.ones(len(problem.outcome)), problem.treatment, problem.covariates])


def _exogenous(problem: Problem) -> np.ndarray:
    """Return a constant and the covariates, if there are any."""
    constant = np.ones(len(problem.outcome))
    more = [problem.covariates] if problem.roles.covariates else []
    return np.column_stack([constant, *more])


def _two_stages(problem: Problem, **options: Any) -> Estimate:
    """Fit two-stage least squares with linearmodels; `options` are those of its covariance."""
    from linearmodels.iv import IV2SLS

    model = IV2SLS(problem.outcome, _exogenous(problem), problem.treatment, problem.instruments)
    return _last(model.fit(**options), problem.level)


def _last(fit: Any, level: float) -> Estimate:
    """Return what a fit of linearmodels says of its last parameter."""
    limits = np.asarray(fit.conf_int(level))[-1]
    value, se = (float(np.asarray(part)[-1]) for part in (fit.params, fit.std_errors))
    return Estimate(value, se, low=float(limits[0]), high=float(limits[1]))


IV = {"targets": COEFFICIENT, "needs": ("treatment", "instruments"), "uses": ("linearmodels",),
      "moments": False}  # fmt: skip


@estimator("releases/2sls-robust", **IV)
def two_stages_robust(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-stage least squares with robust errors."""
    return _two_stages(problem, cov_type="robust")


@estimator("releases/2sls-parzen", **IV)
def two_stages_parzen(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-stage least squares, errors with Parzen's kernel over five periods."""
    return _two_stages(problem, cov_type="kernel", kernel="parzen", bandwidth=5)


def _moments(problem: Problem, kernel: str) -> Estimate:
    """Fit two-step GMM, weights with a kernel over time whose bandwidth the library chooses."""
    from linearmodels.iv import IVGMM

    model = IVGMM(
        problem.outcome, _exogenous(problem), problem.treatment, problem.instruments,
        weight_type="kernel", kernel=kernel, optimal_bw=True,
    )  # fmt: skip
    return _last(model.fit(), problem.level)


@estimator("releases/gmm-bartlett", **IV)
def moments_bartlett(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Weigh moments with Bartlett's kernel, its bandwidth by the library."""
    return _moments(problem, "bartlett")


@estimator("releases/gmm-parzen", **IV)
def moments_parzen(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Weigh moments with Parzen's kernel, its bandwidth by the library."""
    return _moments(problem, "parzen")


def _panel(problem: Problem, **options: Any) -> Estimate:
    """Fit two-way fixed effects with linearmodels."""
    from linearmodels.panel import PanelOLS

    roles = problem.roles
    frame = problem.frame.set_index([roles.unit, roles.time])
    model = PanelOLS(
        frame[roles.outcome], frame[[roles.treatment]], entity_effects=True, time_effects=True
    )
    return _last(model.fit(**options), problem.level)


PANEL = {"targets": ATT, "needs": ("unit", "time"), "uses": ("linearmodels",)}


@estimator("releases/panel-clustered", **PANEL)
def panel_clustered(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-way fixed effects, clustered by unit."""
    return _panel(problem, cov_type="clustered", cluster_entity=True)


@estimator("releases/panel-autocorrelated", **PANEL)
def panel_autocorrelated(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-way fixed effects, errors that allow for autocorrelation within a unit."""
    return _panel(problem, cov_type="autocorrelated")


def _period_by_period(problem: Problem, weighted: bool) -> Estimate:
    """Average the slopes of the periods in which treatment varies (Fama and MacBeth 1973)."""
    from linearmodels.panel import FamaMacBeth

    roles = problem.roles
    frame = problem.frame.set_index([roles.unit, roles.time]).assign(one=1.0)
    frame = frame[frame.groupby(level=1)[roles.treatment].transform("std") > 0]
    weights = None
    if weighted:
        sizes = 1.0 + np.asarray(frame.index.get_level_values(0)).astype(int) % 3
        weights = frame.assign(weight=sizes)[["weight"]]
    model = FamaMacBeth(frame[roles.outcome], frame[["one", roles.treatment]], weights=weights)
    return _last(model.fit(), problem.level)


@estimator("releases/fama-macbeth", **PANEL)
def fama_macbeth(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Average the slopes of the periods, units alike."""
    return _period_by_period(problem, weighted=False)


@estimator("releases/fama-macbeth-weighted", **PANEL)
def fama_macbeth_weighted(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Average the slopes of the periods, units weighted: their number decides on the weight."""
    return _period_by_period(problem, weighted=True)


def _second(fit: Any, level: float) -> Estimate:
    """Return what a fit of statsmodels says of its second parameter."""
    limits = np.asarray(fit.conf_int(1 - level))[1]
    return Estimate(float(np.asarray(fit.params)[1]), float(np.asarray(fit.bse)[1]),
                    low=float(limits[0]), high=float(limits[1]))  # fmt: skip


@estimator("releases/ols-robust", targets=COEFFICIENT, needs=("treatment",), uses=("statsmodels",))
def ols_robust(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit least squares with HC1 errors."""
    import statsmodels.api as sm

    return _second(sm.OLS(problem.outcome, _design(problem)).fit(cov_type="HC1"), problem.level)


@estimator("releases/hac", targets=COEFFICIENT, needs=("treatment",), uses=("statsmodels",))
def hac(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit least squares with HAC errors of four lags."""
    import statsmodels.api as sm

    fit = sm.OLS(problem.outcome, _design(problem)).fit(cov_type="HAC", cov_kwds={"maxlags": 4})
    return _second(fit, problem.level)


@estimator("releases/rlm-huber", targets=COEFFICIENT, needs=("treatment",), uses=("statsmodels",))
def rlm_huber(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit a robust regression with Huber's norm."""
    import statsmodels.api as sm

    return _second(sm.RLM(problem.outcome, _design(problem)).fit(), problem.level)


@estimator("releases/rlm-hampel", targets=COEFFICIENT, needs=("treatment",), uses=("statsmodels",))
def rlm_hampel(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit a robust regression with Hampel's norm."""
    import statsmodels.api as sm

    norm = sm.robust.norms.Hampel()
    return _second(sm.RLM(problem.outcome, _design(problem), M=norm).fit(), problem.level)


def _weighted(problem: Problem, model: Any) -> Estimate:
    """Return the contrast of means weighted by the inverse of a fitted propensity."""
    d, y, x = problem.treatment, problem.outcome, problem.covariates
    share = np.clip(model.fit(x, d).predict_proba(x)[:, 1], 0.01, 0.99)
    one, other = d / share, (1 - d) / (1 - share)
    means = (one * y).sum() / one.sum(), (other * y).sum() / other.sum()
    scores = one * (y - means[0]) / one.mean() - other * (y - means[1]) / other.mean()
    se = float(np.std(scores) / np.sqrt(len(y)))
    return Estimate.wald(float(means[0] - means[1]), se, problem.level)


OBSERVED = {"needs": ("treatment", "covariates"), "uses": ("sklearn",)}


@estimator("releases/ipw-default", targets=ATE, **OBSERVED)
def ipw_default(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Weight by a logistic regression as the library fits it where nobody says how."""
    from sklearn.linear_model import LogisticRegression

    return _weighted(problem, LogisticRegression())


@estimator("releases/ipw-newton", targets=ATE, **OBSERVED)
def ipw_newton(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Weight by a logistic regression whose solver, penalty and tolerance are given."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="newton-cg", C=1.0, tol=1e-10, max_iter=1000)
    return _weighted(problem, model)


@estimator("releases/ipw-forest", targets=ATE, **OBSERVED)
def ipw_forest(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Weight by a random forest of as many trees as the library plants."""
    from sklearn.ensemble import RandomForestClassifier

    return _weighted(problem, RandomForestClassifier(min_samples_leaf=20, random_state=1))
