"""Estimators for the study of single faults: each right, or with one of its likeliest mistakes.

The fault is an option, so that a run holds the right answers and all wrong ones to the same data.
Of random ones the option `again` decides which of two independent streams they take.
"""

from __future__ import annotations

import numpy as np

from cibench import Estimand, Estimate, Problem, estimator


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coefficients, residuals and the inverse of the moments."""
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ (x.T @ y)
    return beta, y - x @ beta, bread


@estimator("faults/regression", targets=(Estimand.COEFFICIENT,), needs=("treatment",))
def regression(problem: Problem, rng: np.random.Generator, *, fault: str = "") -> Estimate:
    """Fit least squares with HC1 errors and Student's limits, the treatment's coefficient."""
    y, d, covariates = problem.outcome, problem.treatment, problem.covariates
    if fault == "a covariate forgotten":
        covariates = covariates[:, :0]
    x = np.column_stack([np.ones(y.size), d, covariates])
    if fault == "the constant forgotten":
        x = x[:, 1:]
    if fault == "the last row lost":
        x, y = x[:-1], y[:-1]
    place = 0 if fault == "the constant forgotten" else 1
    beta, rest, bread = _least_squares(x, y)
    if fault == "single precision":
        bread = np.linalg.inv((x.T @ x).astype(np.float32)).astype(float)
        beta = bread @ (x.T @ y)
        rest = y - x @ beta
    n, k = x.shape
    scores = x * rest[:, None]
    meat = scores.T @ scores * (1 if fault == "n / (n - k) forgotten" else n / (n - k))
    variance = (bread @ meat @ bread)[place, place]
    if fault == "errors taken for homoskedastic":
        variance = float(rest @ rest) / (n - k) * bread[place, place]
    value, se = float(beta[place]), float(np.sqrt(variance))
    value, se = _edited(fault, value, se, float(np.abs(y).sum()))
    df = None if fault == "normal for Student's t, 117 df" else n - k
    answer = Estimate.wald(value, se, problem.level, df=df)
    if fault == "the upper limit at 90 %":
        half = Estimate.wald(value, se, 0.9, df=df)
        answer = Estimate(value, se, low=answer.low, high=half.high, df=df)
    return answer


def _edited(fault: str, value: float, se: float, code: float) -> tuple[float, float]:
    """Return value and error with what a fault does in all fits, or in some that data decide."""
    luck = (code * 1e6) % 1000 / 1000
    if fault == "one in twenty raises" and luck < 0.05:
        raise ArithmeticError("no convergence")
    if fault == "one in fifty falls back to 0 (1)" and luck < 0.02:
        return 0.0, 1.0
    if fault == "the sign turned in 3 of 100" and luck < 0.03:
        return -value, se
    factor = {"errors 10 % too large": 1.1, "errors 10 % too small": 0.9}.get(fault, 1.0)
    return value + (0.15 * se if fault == "0.15 SE too large" else 0.0), factor * se


@estimator("faults/fixed-effects", targets=(Estimand.ATT,), needs=("unit", "time"))
def fixed_effects(problem: Problem, rng: np.random.Generator, *, fault: str = "") -> Estimate:
    """Fit two-way fixed effects to a balanced panel, clustered (CR1), Student's limits."""
    unit, time = (np.unique(problem.columns[c], return_inverse=True)[1] for c in ("unit", "time"))
    shape = unit.max() + 1, time.max() + 1
    place = unit * shape[1] + time
    y, d = (np.empty(shape[0] * shape[1]) for _ in range(2))
    y[place], d[place] = problem.outcome, problem.treatment
    y, d = y.reshape(shape), d.reshape(shape)
    if fault == "one cohort's treatment a period late":
        first = d.argmax(1) == d[d.any(1)].argmax(1).min()
        late = first & d.any(1)
        d = d.copy()
        d[late] = np.column_stack([np.zeros(late.sum()), d[late][:, :-1]])
    both = fault != "time effects forgotten"
    y, d = (
        x - x.mean(1, keepdims=True) - (x.mean(0) - x.mean() if both else 0) for x in (y, d)
    )  # fmt: skip
    weight = float((d**2).sum())
    value = float((d * y).sum()) / weight
    rest = d * (y - value * d)
    groups = shape[0]
    meat = float((rest.sum(1) ** 2).sum())
    correction = groups / (groups - 1)
    if fault == "G / (G - 1) forgotten":
        correction = 1.0
    if fault == "clusters forgotten":
        meat, correction = float((rest**2).sum()), 1.0
    se = float(np.sqrt(correction * meat)) / weight
    df = None if fault == "normal for Student's t, 9 df" else groups - 1
    return Estimate.wald(value, se, problem.level, df=df)


@estimator("faults/local-linear", targets=(Estimand.ATE_AT_CUTOFF,), needs=("running", "cutoff"))
def local_linear(problem: Problem, rng: np.random.Generator, *, fault: str = "") -> Estimate:
    """Fit lines on either side of the cutoff, triangular weights, bandwidth 0.5, HC1 errors."""
    x, y = problem.running - (problem.roles.cutoff or 0.0), problem.outcome
    width = {"bandwidth 1.2 times": 0.6, "bandwidth to the next unit": _next(x)}.get(fault, 0.5)
    weight = np.clip(1 - np.abs(x) / width, 0, None)
    if fault == "uniform for triangular weights":
        weight = (weight > 0).astype(float)
    use = weight > 0
    above = (x >= 0).astype(float)
    design = np.column_stack([np.ones(x.size), above, x, above * x])[use]
    root = np.sqrt(weight[use])
    beta, rest, bread = _least_squares(design * root[:, None], y[use] * root)
    scores = design * (root * rest)[:, None]
    n, k = design.shape
    variance = (bread @ (scores.T @ scores) @ bread)[1, 1] * n / (n - k)
    return Estimate.wald(float(beta[1]), float(np.sqrt(variance)), problem.level)


def _next(x: np.ndarray) -> float:
    """Return the distance of the first unit beyond the bandwidth."""
    return float(np.sort(np.abs(x)[np.abs(x) >= 0.5])[0])


@estimator("faults/random", targets=(Estimand.COEFFICIENT,), needs=("treatment",))
def random(
    problem: Problem, rng: np.random.Generator, *, kind: str = "bootstrap", size: int = 50,
    again: int = 0, fault: str = "",
) -> Estimate:  # fmt: skip
    """Fit with chance: folds that are drawn, an error of a bootstrap, or a half of the sample.

    `size` is the number of folds, of repetitions or of splits.
    """
    fresh = np.random.default_rng(rng.integers(2**63, size=2)[again])
    if fault == "the seed fixed inside":
        fresh = np.random.default_rng(1)
    y, d = problem.outcome, problem.treatment
    x = np.column_stack([np.ones(y.size), d, problem.covariates])
    if kind == "bootstrap":
        return _bootstrap(x, y, fresh, size, problem.level)
    return _folded(x, y, fresh, size if kind == "folds" else 2, problem.level)


def _bootstrap(
    x: np.ndarray, y: np.ndarray, fresh: np.random.Generator, size: int, level: float
) -> Estimate:
    """Return least squares with the error of weights drawn from an exponential distribution."""
    beta, _, _ = _least_squares(x, y)
    draws = []
    for _ in range(size):
        root = np.sqrt(fresh.exponential(size=y.size))
        draws.append(_least_squares(x * root[:, None], y * root)[0][1])
    return Estimate.wald(float(beta[1]), float(np.std(draws, ddof=1)), level)


def _folded(
    x: np.ndarray, y: np.ndarray, fresh: np.random.Generator, folds: int, level: float
) -> Estimate:
    """Return the residual regression of Robinson, cross-fitted on folds that are drawn."""
    fold = fresh.permutation(y.size) % folds
    d, others = x[:, 1], x[:, [0, *range(2, x.shape[1])]]
    left, right = np.empty(y.size), np.empty(y.size)
    for part in range(folds):
        inside, outside = fold == part, fold != part
        for target, store in ((y, left), (d, right)):
            beta, _, _ = _least_squares(others[outside], target[outside])
            store[inside] = (target - others @ beta)[inside]
    weight = float(right @ right)
    value = float(right @ left) / weight
    scores = right * (left - value * right)
    return Estimate.wald(value, float(np.sqrt(scores @ scores)) / weight, level)
