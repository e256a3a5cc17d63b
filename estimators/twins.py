"""Regression discontinuity on synthetic rows: what is left of a jump in a data twin.

A Gaussian copula joins the margins of two columns by one correlation. It knows of no
jump: rows drawn from it have a smooth law, whatever the rows it was trained on had at the cutoff,
and treatment put on afterwards by the rule 1[X >= c] meets outcomes that know nothing of it.

The second twin takes out a structural part first (a quadratic on either side of the cutoff, by
least squares, jump included), trains on the running variable and the residuals, and puts the
structural part back onto the rows that are drawn. The jump is kept. It is the jump that was
*estimated*, and its interval measures the noise of the synthetic rows alone: with as many rows as
the real data it is too short by about sqrt(2), and more synthetic rows make it shorter still.

Both answer with a local line on the synthetic rows, as `rd/local-linear` does on the real ones. The
diagnostic is what such generators are advertised with, a score of how alike the columns look.
"""

import numpy as np

from cibench import Declined, Diagnosis, Estimand, Estimate, Problem, diagnostic, estimator

from .rd_polynomial import ASSUMES, NEEDS, local_linear

SHARP, USES = (Estimand.ATE_AT_CUTOFF,), ("statsmodels", "scipy")
SMOOTH = (*ASSUMES, "negligible smoothing bias")
JUMP = "no jump for the generator to lose"


def _check(problem: Problem) -> None:
    above = problem.running >= problem.roles.cutoff
    if np.any(above != (problem.treatment == 1)):
        raise Declined("the treatment does not follow the rule 1[x >= cutoff]")
    if min(np.unique(problem.running[side]).size for side in (above, ~above)) < 4:
        raise Declined("too few distinct rows on one side of the cutoff")


def _twin(
    first: np.ndarray, second: np.ndarray, rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of two columns: a Gaussian copula by Kendall's tau, empirical margins."""
    from scipy.special import ndtr
    from scipy.stats import kendalltau

    corr = np.sin(np.pi / 2 * kendalltau(first, second).statistic)
    z = rng.standard_normal((2, rows))
    u = ndtr(np.vstack([z[0], corr * z[0] + np.sqrt(1 - corr**2) * z[1]]))
    return np.quantile(first, u[0]), np.quantile(second, u[1])


def _answer(
    problem: Problem, x: np.ndarray, y: np.ndarray, bandwidth: float, rng: np.random.Generator
) -> Estimate:
    """Put the rule onto synthetic rows and fit a local line to either side."""
    roles, d = problem.roles, (x >= (problem.roles.cutoff or 0.0)).astype(float)
    columns = {roles.running: x, roles.outcome: y, roles.treatment: d}
    synthetic = Problem(columns, roles, problem.targets, problem.level)
    answer = local_linear.fit(synthetic, rng, bandwidth=bandwidth)
    assert isinstance(answer, Estimate)
    return answer


@estimator(
    "twin/gaussian-copula", targets=SHARP, needs=NEEDS, uses=USES,
    assumes=(*SMOOTH, JUMP),
)  # fmt: skip
def gaussian_copula(
    problem: Problem, rng: np.random.Generator, *, bandwidth: float = 0.5, multiple: int = 1
) -> Estimate:
    """Fit to rows, `multiple` for each real one, of a copula of running variable and outcome."""
    _check(problem)
    rows = multiple * problem.running.size
    x, y = _twin(problem.running, problem.outcome, rows, rng)
    return _answer(problem, x, y, bandwidth, rng)


@estimator(
    "twin/residualised", targets=SHARP, needs=NEEDS, uses=USES,
    assumes=(*SMOOTH, "the synthetic rows' structural part is known"),
)  # fmt: skip
def residualised(
    problem: Problem, rng: np.random.Generator, *, bandwidth: float = 0.5, multiple: int = 1
) -> Estimate:
    """Take out a quadratic on either side, train on what is left, and put the quadratics back."""
    _check(problem)
    x, cutoff, rows = problem.running, problem.roles.cutoff or 0.0, problem.running.size
    above = x >= cutoff
    fits = [np.polynomial.Polynomial.fit(x[s], problem.outcome[s], 2) for s in (~above, above)]
    residuals = problem.outcome - np.where(above, fits[1](x), fits[0](x))
    drawn, left = _twin(x, residuals, multiple * rows, rng)
    y = np.where(drawn >= cutoff, fits[1](drawn), fits[0](drawn)) + left
    return _answer(problem, drawn, y, bandwidth, rng)


@diagnostic("twin/quality", tests=(JUMP,), needs=NEEDS, uses=("scipy",))
def quality(problem: Problem, rng: np.random.Generator, *, least: float = 0.9) -> Diagnosis:
    """Score how alike a copula's rows look, from 0 to 1; pass where that is `least` or more.

    The mean of the columns' shapes (1 less the Kolmogorov-Smirnov distance) and of the pair's trend
    (1 less half the difference of the correlations), as SDMetrics' quality report has it.
    """
    from scipy.stats import ks_2samp

    _check(problem)
    real = problem.running, problem.outcome
    twin = _twin(*real, problem.running.size, rng)
    shapes = [1 - ks_2samp(a, b).statistic for a, b in zip(real, twin, strict=True)]
    trend = 1 - abs(np.corrcoef(*real)[0, 1] - np.corrcoef(*twin)[0, 1]) / 2
    score = float((np.mean(shapes) + trend) / 2)
    return Diagnosis(score >= least, statistic=score)
