"""What fitting has in common over the designs: training data, features, the outcome's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cibench.twins.columns import Columns
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.fit.features import Features, features_of
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.structure import Structure
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.generators.base import Training
from cibench.twins.twin import Outcome, Panel

SUPPORT = 10
"""An outcome with up to so many values keeps them."""

ZEROS = 0.01
"""An outcome of 0 or more, 0 in at least this share of rows, stays 0 or more."""


def features(seed: Seed, columns: Columns, form: str, order: int = 0) -> Features:
    """Return features of the covariates; derived columns say nothing that their parts do not."""
    design = seed.design
    levels = {c.name: len(c.levels) for c in seed.known if c.kind == "category"}
    names = {d.name for d in seed.derived}
    kept = {n: c for n, c in columns.items() if n not in names or n == design.running}
    return features_of(kept, levels, form, order, design.running, design.cutoff or 0.0)


def training_of(seed: Seed, columns: Columns, residuals: tuple[str, ...]) -> Training:
    """Say of the columns to train on which are discrete and which are categories."""
    known = {c.name: c for c in seed.known}
    discrete = {n for n in columns if n not in residuals and (n not in known or known[n].discrete)}
    categories = {
        n for n in columns if n in known and known[n].kind == "category" and not known[n].ordered
    }
    return Training(columns, frozenset(discrete), frozenset(categories), residuals)


def twin_parts(
    seed: Seed, structure: Structure, mechanisms: dict[str, Mechanism], outcome: Outcome,
    panel: Panel | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the twin's parts that are no generator, by name."""
    about_seed = {
        "rows": seed.rows, "where": Path(seed.where).name, "notes": list(seed.notes),
        "effect": structure.effect, "se": structure.se,
    }  # fmt: skip
    if seed.gaps:
        about_seed["gaps"] = dict(seed.gaps)
    return {
        "design": seed.design, "known": seed.known, "derived": seed.derived,
        "structure": structure, "mechanisms": mechanisms, "outcome": outcome,
        "panel": panel, "seed": about_seed,
    }  # fmt: skip


def outcome_of(seed: Seed, user: UserStructure) -> Outcome:
    """Return which values the outcome may take, from the user or from the seed's values."""
    y, kinds = seed.columns[seed.design.outcome], {c.name: c.kind for c in seed.known}
    whole = kinds.get(seed.design.outcome) == "integer" and seed.design.kind != "iv"
    written = next(c.decimals for c in seed.known if c.name == seed.design.outcome)
    decimals = None if seed.design.kind == "iv" else written
    if user.bounds:
        return Outcome(*user.bounds, whole=whole, decimals=decimals)
    values = np.unique(y)
    if len(values) <= SUPPORT and seed.design.kind != "iv":
        return Outcome(float(values[0]), float(values[-1]), values)
    if values[0] == 0 and np.mean(y == 0) >= ZEROS:
        return Outcome(low=0.0, whole=whole, decimals=decimals)
    return Outcome(whole=whole, decimals=decimals)


def without(columns: Columns, names: tuple[str, ...]) -> Columns:
    """Return the columns but those."""
    return {n: c for n, c in columns.items() if n not in names}
