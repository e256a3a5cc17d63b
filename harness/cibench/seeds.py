"""Randomness by address: a stream is derived from names, never counted and never global."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

Part = str | int


def digest(*address: Part) -> bytes:
    """Return 32 bytes that depend on every part of the address and on nothing else.

    Parts are written with their length before them, so that ("a", "bc") and ("ab", "c") differ.
    """
    text = "".join(f"{len(str(part))}:{part}" for part in address)
    return blake2b(text.encode(), digest_size=32).digest()


def stream(*address: Part) -> np.random.Generator:
    """Return the generator that belongs to an address; equal addresses give equal streams."""
    entropy = int.from_bytes(digest(*address), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def data_address(seed: int, scenario: str, n: int, replicate: int) -> tuple[Part, ...]:
    """Return the address of a data set: every dial and parameter setting faces the same noise."""
    return ("data", seed, scenario, n, replicate)


def fit_address(
    seed: int, scenario: str, n: int, replicate: int, estimator: str, refit: int = 0
) -> tuple[Part, ...]:
    """Return the address of a fit's own randomness: folds, bootstraps, starting values."""
    return ("fit", seed, scenario, n, replicate, estimator, refit)


def seed_global_state(address: tuple[Part, ...]) -> None:
    """Seed `random` and `numpy.random` from an address, for libraries that use them anyway."""
    number = int.from_bytes(digest("global", *address)[:4], "little")
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - the legacy state is what those libraries read


@contextlib.contextmanager
def unchanged_random_states() -> Iterator[None]:
    """Give the caller's global random states back as they were."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
