"""Synthesizers of the Synthetic Data Vault (SDV), whose licence is the Business Source License 1.1.

SDV has no public seed, and every fresh fit repeats the first sample: here each draw sets
the synthesizer's random state, and the global ones that its parts use anyway, from the address. Its
synthesizers are only saved as pickles. A twin keeps the rows that it was trained on instead, and
fits them again, from the same random state, when it is opened.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from cibench.model.streams import unchanged_random_states
from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.generators.base import Training

TABLE = "seed"
SEED_RANGE = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Synthesizer:
    """Draw from a synthesizer that is fitted, with `number` as its random state, when needed.

    Discrete columns are given as categories, so that no value comes that the seed does not have.
    """

    columns: Mapping[str, Array]
    discrete: tuple[str, ...]
    order: tuple[str, ...]
    number: int
    kind: ClassVar[str] = "GaussianCopulaSynthesizer"
    options: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def train(cls, training: Training, rng: np.random.Generator) -> Synthesizer:
        """Keep the rows and fit the synthesizer once, so that what fails does so here."""
        number = int(rng.integers(SEED_RANGE))
        discrete = tuple(sorted(training.discrete & set(training.columns)))
        synthesizer = cls(training.columns, discrete, tuple(training.columns), number)
        _ = synthesizer._fitted
        return synthesizer

    @cached_property
    def _fitted(self) -> Any:
        import pandas as pd
        from sdv import single_table
        from sdv.metadata import Metadata

        table = pd.DataFrame({n: self.columns[n] for n in self.order})
        kinds = {
            n: {"sdtype": "categorical" if n in self.discrete else "numerical"} for n in self.order
        }
        metadata = Metadata.load_from_dict({"tables": {TABLE: {"columns": kinds}}})
        with _quiet(self.number):
            fitted = getattr(single_table, self.kind)(metadata, **self.options)
            fitted.fit({TABLE: table})
        return fitted

    def sample(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n rows that depend on the stream alone."""
        synthesizer, number = self._fitted, int(rng.integers(SEED_RANGE))
        with _quiet(number):
            synthesizer._set_random_state(number)  # there is no public way
            drawn = synthesizer.sample(n)
        table = drawn[TABLE] if isinstance(drawn, dict) else drawn
        return {name: table[name].to_numpy(dtype=float) for name in self.order}

    def state(self) -> dict[str, Any]:
        """Return what a file keeps: the rows themselves."""
        return {
            "columns": dict(self.columns), "discrete": list(self.discrete),
            "order": list(self.order), "number": self.number,
        }  # fmt: skip

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Synthesizer:
        """Return the generator that a file kept."""
        lists = {n: tuple(state[n]) for n in ("discrete", "order")}
        return cls(**{**state, **lists})


class Ctgan(Synthesizer):
    """A conditional generative adversarial network."""

    kind = "CTGANSynthesizer"


class Tvae(Synthesizer):
    """A variational autoencoder."""

    kind = "TVAESynthesizer"


@contextlib.contextmanager
def _quiet(number: int) -> Iterator[None]:
    """Seed the global states for a while, without the library's warnings and progress."""
    import torch

    with unchanged_random_states(), warnings.catch_warnings(), torch.random.fork_rng([]):
        warnings.simplefilter("ignore")
        np.random.seed(number)  # noqa: NPY002 - the library's own global state
        torch.manual_seed(number)
        yield
