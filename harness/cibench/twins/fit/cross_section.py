"""Residualise cross-sections: treatment and rule, mechanisms of assignment, structural part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.cross_section import ABOVE
from cibench.twins.fit.assignment import Mechanism, fit_mechanism
from cibench.twins.fit.features import FORMS, Features
from cibench.twins.fit.residualise import (
    features,
    outcome_of,
    training_of,
    twin_parts,
    without,
)
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.structure import (
    Fitted,
    Structure,
    estimate,
    from_formulas,
    slope,
)
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.formula import Formula
from cibench.twins.generators.base import Training
from cibench.twins.generators.copulas import Margin
from cibench.twins.twin import RESIDUAL, Outcome
from cibench.utils.errors import BadInput

ORDERS = (1, 2, 3, 4)
MOST_REGRESSORS = 1000
"""Outcome functions of more regressors, or than a third of the rows, are not tried."""

EITHER = 0.02
"""From this share of rows on that contradict the cutoff the design is called fuzzy."""


def fit_parts(
    seed: Seed, user: UserStructure, rng: np.random.Generator
) -> tuple[dict[str, Any], Training]:
    """Return the twin's parts that are no generator, and what the generator trains on."""
    design = seed.design
    covariates = without(seed.columns, (design.outcome, design.treatment, design.instrument))
    y = seed.columns[design.outcome]
    d, design = _treatment(seed)
    seed = replace(seed, design=design)
    columns, shifter = dict(covariates), d
    mechanisms: dict[str, Mechanism] = {}
    plain = features(seed, covariates, "linear")
    if design.kind == "rd":
        columns[ABOVE] = _above(seed)
        shifter = columns[ABOVE]
        if design.fuzzy:
            mechanisms["treatment"] = _mechanism(
                d, columns, _near(seed, covariates), (ABOVE,), user
            )
    elif design.kind == "iv":
        z = seed.columns[design.instrument]
        columns[design.instrument] = shifter = z
        mechanisms["instrument"] = _mechanism(z, covariates, plain, (), user, "instrument")
        mechanisms["treatment"] = _mechanism(d, columns, plain, (design.instrument,), user)
    else:
        mechanisms["treatment"] = _mechanism(d, covariates, plain, (), user)
    outcome = outcome_of(seed, user)
    if user.outcome:
        fitted = from_formulas(y, d, covariates, user.outcome, user.effect, shifter)
    else:
        candidates = _candidates(seed, covariates)
        fitted = estimate(y, d, columns, candidates, shifter, rng)
        if user.bounds is None:
            outcome = _linked(seed, outcome, fitted, columns, shifter)
        if outcome.link is not None:
            fitted = _on_scores(seed, d, columns, candidates, shifter, rng)
    trained = without(covariates, tuple(x.name for x in seed.derived))
    training = training_of(seed, {**trained, RESIDUAL: fitted.residuals}, (RESIDUAL,))
    parts = twin_parts(seed, fitted.structure, mechanisms, outcome, None)
    if outcome.link is not None:
        parts["seed"]["notes"].append(LINKED.format(seed.design.outcome))
    return parts, training


LINKED = (
    "'{}' is drawn on the scale of its normal scores and brought back, so that no row leaves its "
    "range; an effect shifts the scores by as much as moves the average by it"
)
OUTSIDE = 0.001
"""An outcome of more than this share of rows beyond its range has a link."""

TIED, FEW_TIED = 0.02, 200
"""An outcome of which a value has this share of rows is discrete, unless it has more values."""

ROUNDS = 25
"""Scores within ties are drawn so often, each time given the structure that the last ones gave."""


def _linked(
    seed: Seed, outcome: Outcome, fitted: Fitted, columns: Columns, shifter: Array
) -> Outcome:  # fmt: skip
    """Return the outcome's law, with a link where it has few values or would leave its range.

    The range is from 0 on where it is never negative, and up to 1 where it is a share.
    """
    y = seed.columns[seed.design.outcome]
    if seed.design.kind not in ("rd", "observables"):
        return outcome
    values, counts = np.unique(y, return_counts=True)
    if outcome.support is None:
        if y.min() < 0:
            return outcome
        high = 1.0 if y.max() <= 1 else np.inf
        expected = fitted.structure.baseline(columns, len(y)) + fitted.structure.effect * shifter
        drawn = expected + np.random.default_rng(0).permutation(fitted.residuals)
        if np.mean((drawn < 0) | (drawn > high)) <= OUTSIDE:
            return outcome
        outcome = replace(outcome, low=0.0, high=high)
    few = counts.max() > TIED * len(y) and len(values) <= FEW_TIED
    return replace(outcome, link=Margin.of(y, discrete=few or outcome.support is not None))


def _on_scores(
    seed: Seed, d: Array, columns: Columns, candidates: list[Features], shifter: Array,
    rng: np.random.Generator,
) -> Fitted:  # fmt: skip
    """Return the structure of the outcome's normal scores; the effect stays the outcome's own.

    Rows of one value have scores between the same ends. Drawn there without regard to the columns
    they would dilute what the outcome owes to those, so they are drawn given the structure, which
    is fitted to them anew (data augmentation, Albert and Chib 1993).
    """
    from scipy.special import ndtr, ndtri
    from scipy.stats import rankdata

    y, rows = seed.columns[seed.design.outcome], seed.rows
    last, first = rankdata(y, "max"), rankdata(y, "min")
    low, high = ndtri((first - 1) / rows), ndtri(last / rows)
    u = np.clip(rng.random(rows), 1e-6, 1 - 1e-6)
    scores = ndtri((first - 1 + u * (last - first + 1)) / rows)
    for _ in range(ROUNDS if np.any(last - first > 0) else 0):
        on_scores = estimate(scores, d, columns, candidates, shifter, rng)
        structure = on_scores.structure
        shift, _ = slope(scores, d, shifter, _matrix(structure, columns, rows))
        mean = structure.baseline(columns, rows) + shift * d
        sd = float((scores - mean).std())
        ends = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
        u = np.clip(ends[0] + rng.random(rows) * (ends[1] - ends[0]), 1e-9, 1 - 1e-9)
        scores = np.clip(mean + sd * ndtri(u), low, high)
        candidates = [structure.features] if structure.features else candidates
    on_scores = estimate(scores, d, columns, candidates, shifter, rng)
    effect, se = slope(y, d, shifter, _matrix(on_scores.structure, columns, rows))
    return Fitted(replace(on_scores.structure, effect=effect, se=se), on_scores.residuals)


def _matrix(structure: Structure, columns: Columns, rows: int) -> Array:
    assert structure.features is not None
    return structure.features.matrix(columns, rows)


def _treatment(seed: Seed) -> tuple[Array, Any]:
    """Return the treatment and the design; raises BadInput where an RD's rule is contradicted."""
    design = seed.design
    if design.kind != "rd":
        d = seed.columns[design.treatment]
        if design.kind == "observables" and not set(np.unique(d)) <= {0.0, 1.0}:
            raise BadInput(f"{seed.where}: column '{design.treatment}' holds more than 0 and 1")
        return d, design
    inside = _above(seed)
    if not design.treatment:
        return inside, design
    d = seed.columns[design.treatment]
    if not set(np.unique(d)) <= {0.0, 1.0}:
        raise BadInput(f"{seed.where}: column '{design.treatment}' holds more than 0 and 1")
    off = int(np.sum(d != inside))
    if off and not design.fuzzy:
        raise BadInput(_contradiction(seed, off))
    return d, replace(design, fuzzy=bool(off))


def _contradiction(seed: Seed, off: int) -> str:
    design, rows = seed.design, seed.rows
    sign = ">=" if design.side == "above" else "<"
    rule = f"1[{design.running} {sign} {design.cutoff:g}]"
    problem = (
        f"{seed.where}: column '{design.treatment}' contradicts {rule} in {off} of {rows} rows"
    )
    if off > rows / 2:
        other = "below" if design.side == "above" else "above"
        return f"{problem}; is the other side treated? --side {other}"
    if off < EITHER * rows:
        return f"{problem}: errors in the data, to be corrected, or a fuzzy design: --fuzzy"
    return f"{problem}: the design is fuzzy: --fuzzy"


def _above(seed: Seed) -> Array:
    """Return 1 on the treated side; raises BadInput where a side of the cutoff is (near) empty."""
    design, x = seed.design, seed.columns[seed.design.running]
    assert design.cutoff is not None
    above = x >= design.cutoff
    for side, name in ((above, "at or above"), (~above, "below")):
        if len(np.unique(x[side])) < 20:
            raise BadInput(
                f"{seed.where}: {int(side.sum())} rows lie {name} the cutoff {design.cutoff:g} of "
                f"'{design.running}' ({x.min():g} to {x.max():g}); 20 different values are needed"
            )
    return (above if design.side == "above" else ~above).astype(float)


def _mechanism(
    variable: Array, columns: Columns, features: Features, shifts: tuple[str, ...],
    user: UserStructure, part: str = "treatment",
) -> Mechanism:  # fmt: skip
    """Fit a law of assignment, or take the user's: the probability of a 1, or the mean."""
    fitted = fit_mechanism(variable, columns, features, shifts)
    text = getattr(user, part)
    if text:
        Formula(text).check(columns)
        p = Formula(text)(columns, len(variable))
        if fitted.binary and not np.all((p >= 0) & (p <= 1)):
            raise BadInput(f"{part}: {text} is no probability: {p.min():g} to {p.max():g}")
        fitted = replace(fitted, formula=text)
        fitted = replace(fitted, centre=float(fitted.predictor(columns, len(variable)).mean()))
    return fitted


def _near(seed: Seed, columns: Columns) -> Features:
    return features(seed, columns, "linear", 1)


def _candidates(seed: Seed, columns: Columns) -> list[Features]:
    """Return the forms that cross-validation chooses from."""
    covariates = without(columns, (seed.design.running,))
    forms = FORMS if covariates else FORMS[:1]
    orders = ORDERS if seed.design.kind == "rd" else (0,)
    every = [features(seed, columns, form, order) for form in forms for order in orders]
    most = min(MOST_REGRESSORS, seed.rows / 3)
    few = [candidate for candidate in every if candidate.size <= most]
    if few:
        return few
    raise BadInput(
        f"{seed.where}: {every[0].size:,} regressors are too many for {seed.rows:,} rows; name "
        "fewer columns with --covariates, or leave out categories of many levels with --id"
    )
