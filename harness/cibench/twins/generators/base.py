"""What generators have in common: what they train on, what they do, and where they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from cibench.model.method import installed
from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.utils.errors import BadInput, unknown


@dataclass(frozen=True, eq=False)
class Training:
    """Hold what a generator learns: complete columns, the discrete ones, the residuals' names.

    Columns that are not residuals are covariates, the running variable and indicators of missing
    values. `categories` are discrete columns without an order, coded 0, 1, 2, ...
    """

    columns: Columns
    discrete: frozenset[str]
    categories: frozenset[str]
    residuals: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values())))

    @property
    def covariates(self) -> tuple[str, ...]:
        """Return the names of the columns that are not residuals."""
        return tuple(n for n in self.columns if n not in self.residuals)


class Generator(Protocol):
    """Draw rows like those that it was trained on: every column it knows, residuals included."""

    def sample(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n rows."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what a file keeps: numbers, text, lists, mappings and arrays."""
        ...


@dataclass(frozen=True)
class Family:
    """Describe a family of generators: its module and class, what it uses, its words.

    `resamples` says that its file holds rows or values of the seed.
    """

    module: str
    maker: str
    uses: tuple[str, ...]
    about: str
    resamples: bool = False
    extra: str = "twins"


FAMILIES: Mapping[str, Family] = {
    "vine": Family(
        "copulas", "Vine", ("pyvinecopulib",),
        "a regular vine of nonparametric and Gaussian pair copulas",
    ),
    "gaussian": Family(
        "copulas", "Gaussian", ("pyvinecopulib",), "a Gaussian copula",
    ),
    "resampling": Family(
        "resampling", "Resampling", (), "seed rows drawn again, residuals apart from them",
        resamples=True,
    ),
    "trees": Family(
        "trees", "Trees", ("sklearn",), "one regression tree after the other",
        resamples=True,
    ),
    "sdv-gaussian": Family(
        "sdv", "Synthesizer", ("sdv",), "SDV's GaussianCopulaSynthesizer (BUSL-1.1)",
        resamples=True, extra="sdv",
    ),
    "sdv-ctgan": Family(
        "sdv", "Ctgan", ("sdv",), "SDV's CTGANSynthesizer (BUSL-1.1)", resamples=True, extra="sdv",
    ),
    "sdv-tvae": Family(
        "sdv", "Tvae", ("sdv",), "SDV's TVAESynthesizer (BUSL-1.1)", resamples=True, extra="sdv",
    ),
}  # fmt: skip


def maker(name: str) -> Any:
    """Return the class of a family's generators; raises BadInput with the near miss.

    Raises BadInput with the pip command where a library is missing.
    """
    if name not in FAMILIES:
        raise BadInput(unknown("generator", name, FAMILIES))
    family = FAMILIES[name]
    for library in family.uses:
        if not installed(library):
            wanted = f"pip install 'cibench[{family.extra}]'"
            raise BadInput(f"generator '{name}' needs {library}: {wanted}")
    return getattr(import_module(f"cibench.twins.generators.{family.module}"), family.maker)


def stacked(columns: Mapping[str, Array], names: tuple[str, ...]) -> Array:
    """Return the named columns as a matrix of rows by columns."""
    return np.column_stack([columns[n] for n in names])
