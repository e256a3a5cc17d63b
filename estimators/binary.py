"""Risks of two arms: the table of four, and risks standardised over a logistic model.

Ratios are answered with the standard errors of their logarithms, on which their limits are
symmetric. `binary/standardised` predicts everybody's risk in both worlds by `statsmodels`' logit;
its errors are those of the delta method, the covariates' own sampling among them.
"""

from collections.abc import Mapping

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator

RISKS = (Estimand.RISK_DIFFERENCE, Estimand.RISK_RATIO, Estimand.ODDS_RATIO)


def _answers(
    risks: np.ndarray, influence: np.ndarray, problem: Problem
) -> Mapping[Target, Estimate]:
    """Return all three of the risks with and without treatment, by their influence of each row."""
    (with_, without), answers = risks, {}
    gradients = {
        "RISK_DIFFERENCE": (1.0, -1.0), "RISK_RATIO": (1 / with_, -1 / without),
        "ODDS_RATIO": (1 / (with_ * (1 - with_)), -1 / (without * (1 - without))),
    }  # fmt: skip
    odds = with_ / (1 - with_) / (without / (1 - without))
    values = {
        "RISK_DIFFERENCE": with_ - without, "RISK_RATIO": with_ / without, "ODDS_RATIO": odds,
    }  # fmt: skip
    for target in problem.targets:
        terms = influence @ np.array(gradients[target.estimand])
        se = float(np.sqrt(np.sum(terms**2))) / len(terms)
        answers[target] = Estimate.on_scale(
            float(values[target.estimand]), se, problem.level, target.estimand
        )
    return answers


def _refuse_certain(problem: Problem) -> None:
    for arm in (1, 0):
        y = problem.outcome[problem.treatment == arm]
        if not y.size:
            raise Declined("all rows are treated, or none is")
        if not 0 < y.mean() < 1:
            raise Declined("an arm has no event, or nothing but events")


@estimator(
    "binary/table", targets=RISKS, needs=("treatment",), assumes=("no confounding",)
)  # fmt: skip
def table(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Compare the shares of events among the treated and the untreated."""
    _refuse_certain(problem)
    y, d = problem.outcome, problem.treatment
    risks = np.array([y[d == arm].mean() for arm in (1, 0)])
    shares = (d.mean(), 1 - d.mean())
    influence = [(d == arm) * (y - risks[1 - arm]) / shares[1 - arm] for arm in (1, 0)]
    return _answers(risks, np.column_stack(influence), problem)


@estimator(
    "binary/standardised", targets=RISKS, needs=("treatment", "covariates"),
    assumes=("no unobserved confounding", "outcome model correct"), uses=("statsmodels",),
)  # fmt: skip
def standardised(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Average everybody's predicted risk in both worlds, by a logit linear in the covariates."""
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    y, rows = problem.outcome, len(problem.outcome)
    _refuse_certain(problem)

    def design(d: np.ndarray) -> np.ndarray:
        return np.column_stack([d, np.ones(rows), problem.covariates])

    try:
        fit = Logit(y, design(problem.treatment)).fit(disp=0)
    except (PerfectSeparationError, np.linalg.LinAlgError) as error:
        raise Declined(f"statsmodels fits no logit: {error}") from error
    if not fit.mle_retvals["converged"]:
        raise Declined("statsmodels' logit does not converge")
    score = fit.model.score_obs(fit.params) @ np.linalg.inv(-fit.model.hessian(fit.params)) * rows
    risks, influence = [], []
    for arm in (1.0, 0.0):
        x = design(np.full(rows, arm))
        predicted = fit.predict(x)
        moved = (predicted * (1 - predicted)) @ x / rows
        risks.append(predicted.mean())
        influence.append(predicted - predicted.mean() + score @ moved)
    return _answers(np.array(risks), np.column_stack(influence), problem)
