"""Fit a twin: residualise the seed data, train a generator, keep what reconstruction needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cibench.model.streams import stream
from cibench.twins.columns import Derived
from cibench.twins.file import sealed
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.user_structure import Given
from cibench.twins.formula import Formula
from cibench.twins.generators.base import Training, maker
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput


def fit_twin(
    seed: Seed, generator: str = "vine", structure: Given | None = None, number: int = 0
) -> Twin:
    """Fit a twin to seed data; `number` seeds folds, ties and the generator's own search.

    Without a structure it is estimated. Raises BadInput for what the design cannot do with.
    """
    from cibench.twins.audit.summaries import summarise

    seed = _with_derived(seed, structure or Given())
    rng = stream("twin", number, generator)
    twin, training = train_twin(seed, generator, structure, number, rng)
    return sealed(replace(twin, summaries=summarise(twin, seed, training, rng)))


def train_twin(
    seed: Seed, generator: str, structure: Given | None, number: int, rng: np.random.Generator
) -> tuple[Twin, Training]:
    """Return a twin without summaries and digest, which draws as any other, and its training."""
    said, make = structure or Given(), maker(generator)
    if seed.design.kind == "did":
        from cibench.twins.fit.panel import fit_parts
    else:
        from cibench.twins.fit.cross_section import fit_parts
    made, training = fit_parts(seed, said, stream("twin", number, "structure"))
    constants = {n: float(c[0]) for n, c in training.columns.items() if np.ptp(c) == 0}
    varying = {n: c for n, c in training.columns.items() if n not in constants}
    residuals = tuple(n for n in training.residuals if n in varying)
    trained = make.train(replace(training, columns=varying, residuals=residuals), rng)
    return Twin(family=generator, generator=trained, constants=constants, **made), training


def _with_derived(seed: Seed, said: Given) -> Seed:
    """Add the identities that the user names to those that were found; they must hold."""
    extra = []
    for name, text in said.derived.items():
        Formula(text).check(seed.columns)
        if name not in seed.columns:
            raise BadInput(f"derived: there is no column '{name}'")
        gap = np.abs(Formula(text)(seed.columns, seed.rows) - seed.columns[name])
        off = int(np.sum(~(gap <= 1e-9 * (1 + np.abs(seed.columns[name])))))
        if off:
            raise BadInput(f"derived.{name}: {text} does not hold in {off} of {seed.rows} rows")
        extra.append(Derived(name, text))
    names = {d.name for d in extra}
    kept = tuple(d for d in seed.derived if d.name not in names)
    return replace(seed, derived=(*extra, *kept))
