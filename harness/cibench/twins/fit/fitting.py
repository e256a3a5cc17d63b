"""Fit a twin: residualise the seed data, train a generator, keep what reconstruction needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cibench.model.streams import stream
from cibench.twins.columns import Derived, levels_of
from cibench.twins.file import sealed
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.seed_interval import seed_interval
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.formula import Formula
from cibench.twins.generators.base import Training, maker
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput


def fit_twin(
    seed: Seed, generator: str = "vine", structure: UserStructure | None = None, number: int = 0
) -> Twin:
    """Fit a twin to seed data; `number` seeds folds, ties and the generator's own search.

    Without a structure it is estimated. Raises BadInput for what the design cannot do with, and for
    a generator that there is not or whose library is missing.

    `seed` is what `read_seed` gives, `generator` the family that draws covariates and residuals,
    `structure` what the user states as formulas. A twin is saved with `save_twin`, opened with
    `open_twin`, audited with `audit_twin`; `draw_rows` and `write_sample` draw rows with a planted
    effect, in the outcome's unit, and `register_twin` makes a scenario of its file.

    >>> import numpy as np, pandas as pd
    >>> from pathlib import Path
    >>> from cibench.twins import fit_twin, read_seed
    >>> from cibench.twins.design import Design
    >>> rng = np.random.default_rng(1)
    >>> x, age = rng.normal(size=400), rng.normal(40, 9, 400)
    >>> y = 1 + x + 0.1 * age + rng.normal(size=400)
    >>> table = pd.DataFrame({"x": x, "d": (x >= 0).astype(int), "age": age, "y": y})
    >>> table.to_csv("seed.csv", index=False)
    >>> design = Design("rd", "y", treatment="d", running="x", cutoff=0.0)
    >>> seed = read_seed(Path("seed.csv"), design)
    >>> twin = fit_twin(seed, "gaussian")
    >>> from cibench.twins import audit_twin, draw_rows, open_twin, register_twin, save_twin
    >>> from cibench.twins import write_sample
    >>> save_twin(twin, Path("own.twin"))
    >>> open_twin(Path("own.twin")).digest == twin.digest
    True
    >>> len(draw_rows(twin, 1000, 0.5, seed=7).columns["y"])
    1000
    >>> list(write_sample(twin, 1000, 0.5, 7, Path("big.csv")))
    ['planted ATE_AT_CUTOFF: 0.5']
    >>> audit_twin(twin).passed
    True
    >>> (truth,) = register_twin("own.twin")(effect=0.5).truth().values()
    >>> truth.value
    0.5
    """
    from cibench.twins.audit.summaries import summarise

    user = (structure or UserStructure()).coded(levels_of(seed.known))
    seed = _with_derived(seed, user)
    rng = stream("twin", number, generator)
    twin, training = train_twin(seed, generator, structure, number, rng)
    if not twin.structure.known:
        supported = seed_interval(seed, twin.design, stream("twin", number, "interval"))
        if supported:
            twin = replace(twin, seed={**twin.seed, "interval": supported.state()})
    return sealed(replace(twin, summaries=summarise(twin, seed, training, rng)))


def train_twin(
    seed: Seed,
    generator: str,
    structure: UserStructure | None,
    number: int,
    rng: np.random.Generator,
) -> tuple[Twin, Training]:
    """Return a twin without summaries and digest, which draws as any other, and its training."""
    own, make = structure or UserStructure(), maker(generator)
    user = own.coded(levels_of(seed.known))
    if seed.design.kind == "did":
        from cibench.twins.fit.panel import fit_parts
    else:
        from cibench.twins.fit.cross_section import fit_parts
    parts, training = fit_parts(seed, user, stream("twin", number, "structure"))
    parts["structure"] = replace(parts["structure"], effect_formula=own.effect)
    constants = {n: float(c[0]) for n, c in training.columns.items() if np.ptp(c) == 0}
    varying = {n: c for n, c in training.columns.items() if n not in constants}
    residuals = tuple(n for n in training.residuals if n in varying)
    trained = make.train(replace(training, columns=varying, residuals=residuals), rng)
    return Twin(family=generator, generator=trained, constants=constants, **parts), training


def _with_derived(seed: Seed, user: UserStructure) -> Seed:
    """Add the identities that the user names to those that were found; they must hold."""
    extra = []
    for name, text in user.derived.items():
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
