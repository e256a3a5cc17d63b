"""Two to compare with: an oracle that sees the potential outcomes, and a method that sees nothing.

The oracle runs the experiment that nobody could: it treats a random half of the estimand's units,
reads their outcome with treatment and the others' without, and compares. Its standard error is that
of a real experiment on these units, so that it can be scored, and no dial touches it. What is no
mean of single effects it computes of the two halves, with bootstrapped errors.
"""

from collections.abc import Mapping

import numpy as np

from cibench import Declined, Draw, Estimand, Estimate, Problem, Target, estimator

EVERY = (Estimand.ANY,)
RESAMPLES = 200


@estimator("oracle/experiment", targets=EVERY, horizons=EVERY, uses=("statsmodels",), oracle=True)
def experiment(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Compare potential outcomes between random halves of the units that the estimand is about.

    At a cutoff both halves are fitted by lines in the latent running variable, with triangular
    weights that reach one standard deviation. Errors are clustered by cluster or unit, else HC1.
    """
    compare = {True: _compare, False: _bootstrap}
    return {t: compare[t.estimand.averages](problem, t, rng) for t in problem.targets}


def _compare(problem: Problem, target: Target, rng: np.random.Generator) -> Estimate:
    from statsmodels.regression.linear_model import WLS

    draw, roles = problem.draw, problem.roles
    assert draw is not None
    mask, own = draw.rows_of(target)
    rows = np.flatnonzero(np.ones(draw.effects.size, bool) if mask is None else mask)
    distance, weights = _near(problem, draw, rows, target)
    weights = weights if own is None else weights * own
    rows, distance, weights = (part[weights > 0] for part in (rows, distance, weights))
    by = roles.cluster or roles.unit
    groups = np.unique(problem.columns[by][rows] if by else rows, return_inverse=True)[1]
    count = groups.max(initial=-1) + 1
    if count < 4:
        raise Declined(f"{count} units to experiment on; four are the least")
    treated = (rng.permutation(count) < count // 2)[groups].astype(float)
    with_, without = (outcomes[rows] for outcomes in draw.outcomes(target))
    y = without + (with_ - without) * treated
    if not (draw.arms or target.contrast):  # the same to the last bit, as rows of old runs have it
        y = draw.baseline[rows] + draw.effects[rows] * treated
    design = np.column_stack([treated, np.ones(rows.size)])
    if target.estimand.at_cutoff:
        above = distance >= 0  # what else happens at the cutoff happens to both halves
        lines = [distance, distance * treated, above, above * distance]
        design = np.column_stack([design, *lines])
    kind = {"cov_type": "cluster", "cov_kwds": {"groups": groups}} if by else {"cov_type": "HC1"}
    fit = WLS(y, design, weights).fit(use_t=False, **kind)
    return Estimate.wald(fit.params[0], fit.bse[0], problem.level, df=count - design.shape[1])


def _bootstrap(problem: Problem, target: Target, rng: np.random.Generator) -> Estimate:
    """Compute the estimand of two random halves; its error is that over resamples of each."""
    draw, estimand = problem.draw, target.estimand
    assert draw is not None
    mask, own = draw.rows_of(target)
    rows = np.flatnonzero(np.ones(draw.effects.size, bool) if mask is None else mask)
    with_, without = (outcomes[rows] for outcomes in draw.outcomes(target))
    if rows.size < 4:
        raise Declined(f"{rows.size} units to experiment on; four are the least")
    if own is not None:
        raise Declined("weights are for means of single effects")
    halves = np.array_split(rng.permutation(rows.size), 2)
    values = []
    for resample in range(RESAMPLES + 1):
        a, b = (rng.choice(half, half.size) if resample else half for half in halves)
        values.append(estimand.value_of(with_[a], without[b]))
    scaled = np.log(values) if estimand.scale == "log" else np.array(values)
    se = float(np.std(scaled[1:], ddof=1))
    return Estimate.on_scale(values[0], se, problem.level, estimand)


def _near(
    problem: Problem, draw: Draw, rows: np.ndarray, target: Target
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's distance from the cutoff and its weight; elsewhere all weigh the same."""
    if not target.estimand.at_cutoff:
        return np.zeros(rows.size), np.ones(rows.size)
    name = problem.roles.running
    latent = draw.latent.get(name, problem.columns[name])[rows]
    distance = latent - problem.roles.cutoff
    return distance, np.clip(1 - np.abs(distance) / latent.std(), 0, None)


@estimator("baseline/zero", targets=EVERY, horizons=EVERY, gives=("value",))
def zero(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Say that there is no effect, whatever the data."""
    return {target: Estimate(target.estimand.null or 0.0) for target in problem.targets}
