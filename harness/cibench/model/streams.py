"""Randomness by address: a stream is derived from names, never counted and never global."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np

Part = str | int


def digest(*address: Part) -> bytes:
    """Return 32 bytes that depend on every part of the address and on nothing else.

    Parts are written with their length before them, so that ("a", "bc") and ("ab", "c") differ.
    """
    text = "".join([f"{len(part)}:{part}" for part in map(str, address)])
    return blake2b(text.encode(), digest_size=32).digest()


def stream(*address: Part) -> np.random.Generator:
    """Return the generator that belongs to an address; equal addresses give equal streams.

    Parts are names and whole numbers. A digest of the address seeds the generator, so that it is
    the same in every process, on every machine, whatever was drawn before.

    >>> from cibench import stream
    >>> address = ("data", 7, "own/design", 500, 0)
    >>> bool(stream(*address).random() == stream(*address).random())
    True
    """
    entropy = int.from_bytes(digest(*address), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def data_address(seed: int, scenario: str, n: int, replicate: int) -> tuple[Part, ...]:
    """Return the address of a data set: every dial and parameter setting faces the same noise."""
    return ("data", seed, scenario, n, replicate)


def points_address(seed: int, scenario: str, replicate: int) -> tuple[Part, ...]:
    """Return the address of the units beside a data set: the same whatever its size."""
    return ("points", seed, scenario, replicate)


def fit_address(
    seed: int, scenario: str, n: int, replicate: int, estimator: str, refit: int = 0
) -> tuple[Part, ...]:
    """Return the address of a fit's own randomness: folds, bootstraps, starting values."""
    return ("fit", seed, scenario, n, replicate, estimator, refit)


def global_seed(address: tuple[Part, ...]) -> int:
    """Return the number with which a fit's global random states are seeded."""
    return int.from_bytes(digest("global", *address)[:4], "little")


def seed_global_state(address: tuple[Part, ...]) -> None:
    """Seed `random` and `numpy.random` from an address, for libraries that use them anyway."""
    number = global_seed(address)
    random.seed(number)
    legacy: Any = np.random  # the state is what those libraries read
    if not isinstance(legacy.get_bit_generator(), np.random.MT19937):  # replaced by a fit
        legacy.set_bit_generator(np.random.MT19937())
    legacy.seed(number)


def untouched(rng: np.random.Generator, address: tuple[Part, ...]) -> bool:
    """Say whether a fit from an address drew neither from its stream nor from the global states.

    Such a fit is the same from every address. The global states are left as it found them.
    """
    mine, globally = _state(rng), _global_states()
    seed_global_state(address)
    return mine == _state(stream(*address)) and globally == _global_states()


def _global_states() -> tuple[object, ...]:
    legacy: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002
    return random.getstate(), legacy["state"]["pos"], legacy["state"]["key"].tobytes()


def _state(rng: np.random.Generator) -> tuple[object, int]:
    """Return what a stream has come to: its state, and how many streams it has been split into."""
    bits = rng.bit_generator
    return bits.state, getattr(bits.seed_seq, "n_children_spawned", 0)


@contextlib.contextmanager
def unchanged_random_states() -> Iterator[None]:
    """Give the caller's global random states back as they were."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
