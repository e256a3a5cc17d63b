"""Panels: two periods or staggered adoption, residualised and reconstructed unit by unit.

    Y_it = level_t + gap 1[unit i ever adopts] + residual_it + effect_it D_it,   D_it = 1[t >= g_i]

The period levels come from untreated cells alone (two-way least squares on them, as in imputation
estimators), the effects from what the treated cells have beyond that, by time since adoption. A
unit's residuals, one for each period, are trained together, so that their serial dependence stays.
The cohort g_i is drawn from its law given covariates and knows nothing of the residuals: trends are
parallel in the twin, whatever they were in the seed. As many units adopt in each cohort as in the
seed, in proportion to the size of the data. What dials do to it:

    trend          units that ever adopt drift by trend sd a period
    anticipation   they feel that share of their effect in the period before adoption
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.cross_section import Rows
from cibench.twins.formula import Formula
from cibench.twins.twin import RESIDUAL, Effect, Twin, planted

SINCE = "since"
"""What formulas call the time since adoption: 0 in the period of adoption."""

COHORT = "cohort"
"""What the column of adoption periods is called where the seed data have none."""


def residual_name(time: float) -> str:
    """Return the name of a period's residual."""
    return f"{RESIDUAL}{time:g}"


def rebuild_panel(
    twin: Twin, n: int, rng: np.random.Generator, effect: Effect, dials: Mapping[str, float]
) -> Rows:
    """Draw n units over all periods, rows sorted by unit and time."""
    panel = twin.panel
    assert panel is not None
    units, u = twin.units(n, rng), rng.random(n)
    noise = rng.random((n, len(panel.times)))
    residual = np.column_stack([units.pop(residual_name(t)) for t in panel.times])
    p = cohort_shares(twin, units, n)
    place = (np.cumsum(p, axis=1)[:, :-1] < u[:, None]).sum(axis=1)
    if panel.counts is not None:
        place = with_counts(place, p, counts_among(panel.counts, panel.cohorts > 0, n, rng), rng)
    cohort = panel.cohorts[place]
    return _cells(twin, units, residual, cohort, noise, effect, dials)


def cohort_shares(twin: Twin, units: Columns, n: int) -> Array:
    """Return each unit's probabilities of the cohorts, given its covariates."""
    assert twin.panel is not None
    features = twin.mechanisms["cohort"].features
    odds = features.matrix(units, n) @ twin.panel.coefficients.T
    odds = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def counts_among(
    counts: Array, adopting: Array, n: int, rng: np.random.Generator
) -> Array:  # fmt: skip
    """Return how many of n units are in each cohort: the seed's shares, the rest at random.

    One unit adopts at least, and one never does where some in the seed do not.
    """
    shares = np.cumsum(counts) * n / counts.sum()  # whole numbers stay whole ones
    ends = np.floor(shares + rng.random())
    ends[-1] = n
    among: Array = np.diff(ends, prepend=0.0).astype(np.int64)
    for part in (~adopting, adopting):
        if n > 1 and counts[part].sum() > 0 and among[part].sum() == 0:
            among[np.argmax(among)] -= 1
            among[np.argmax(counts * part)] += 1
    return among


def with_counts(place: Array, p: Array, counts: Array, rng: np.random.Generator) -> Array:
    """Return cohorts of which there are as many as wished, few of them moved.

    Units leave a cohort that has too many for one that has too few, drawn by how much likelier
    their covariates make the latter, so that what cohorts owe to covariates stays.
    """
    place, gumbel = place.copy(), rng.gumbel(size=len(place))
    odds = np.log(np.maximum(p, 1e-300))
    for of in range(len(counts)):
        for to in range(len(counts)):
            there = np.bincount(place, minlength=len(counts)) - counts
            moved = min(there[of], -there[to])
            if moved > 0:
                units = np.flatnonzero(place == of)
                order = np.argsort(-(odds[units, to] - odds[units, of] + gumbel[units]))
                place[units[order[:moved]]] = to
    return place


def _cells(
    twin: Twin, units: Columns, residual: Array, cohort: Array, noise: Array, effect: Effect,
    dials: Mapping[str, float],
) -> Rows:  # fmt: skip
    panel, design, sd = twin.panel, twin.design, twin.structure.sd
    assert panel is not None
    n, periods = residual.shape
    unit, step = np.indices((n, periods))
    time, ever = panel.times[step], np.broadcast_to(cohort[:, None] > 0, (n, periods))
    since = np.where(ever, step - np.searchsorted(panel.times, cohort)[:, None], -1000)
    d = (since >= 0).astype(float)
    columns = {n_: np.repeat(c, periods) for n_, c in units.items()}
    columns |= {design.unit: unit.ravel() + 1.0, design.time: time.ravel(), SINCE: since.ravel()}
    rows = n * periods
    if twin.structure.formula:
        level = Formula(twin.structure.formula)(columns, rows)
    else:
        level = (panel.level[step] + panel.gap * ever).ravel()
    drift = dials.get("trend", 0) * sd * (step * ever).ravel()
    base = level + residual.ravel() + drift
    early = dials.get("anticipation", 0) * (since.ravel() == -1)
    effects = planted(effect, columns, twin.known, rows, (d.ravel() + early) > 0)
    felt = effects * (d.ravel() + early)
    baseline = base
    if not twin.outcome.free:
        baseline = twin.outcome.realise(base, noise.ravel())
        felt = twin.outcome.realise(base + felt, noise.ravel()) - baseline
        treated = twin.outcome.realise(base + effects, noise.ravel()) - baseline
        effects = np.where(d.ravel() == 1, felt, treated)
    observed = {n_: c for n_, c in columns.items() if n_ != SINCE}
    observed |= {twin.treatment: d.ravel(), design.outcome: baseline + felt}
    observed[design.cohort or COHORT] = np.repeat(cohort, periods)
    counted = (d == 1) & (time < (np.inf if np.any(panel.cohorts == 0) else panel.cohorts.max()))
    return Rows(
        observed, baseline, effects, residual.ravel(), {}, counted.ravel(), felt, early != 0,
        latent={SINCE: since.ravel()},
    )  # fmt: skip
