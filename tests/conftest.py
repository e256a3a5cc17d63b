"""Fixtures for all tests; `tests/shared` holds what several packages' tests draw on."""

import contextlib
import os

import pytest

from cibench.model import registry

pytest_plugins = ["browsers", "commands", "seed_tables"]

os.environ.setdefault("COLUMNS", "160")

with contextlib.suppress(ImportError):  # the extra `sdv` is tested without it
    import hypothesis

    hypothesis.settings.register_profile(
        "same", max_examples=60, derandomize=True, database=None, deadline=None
    )
    hypothesis.settings.register_profile("medium", max_examples=2_000, deadline=None)
    hypothesis.settings.register_profile("long", max_examples=20_000, deadline=None)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture
def shelves():
    """Give the registry back as it was, so that a test may register what it likes."""
    yield from _as_it_was()


@pytest.fixture(scope="module", autouse=True)
def _shelves_of_the_file():
    """Leave no file's toys to the next: some tests go over whatever is registered."""
    yield from _as_it_was()


def _as_it_was():
    registry.load_built_in()
    before = {kind: dict(shelf) for kind, shelf in registry._shelves.items()}
    broken, loaded = dict(registry._broken), dict(registry._loaded)
    yield
    for kind, shelf in registry._shelves.items():
        shelf.clear()
        shelf.update(before[kind])
    registry._broken.clear()
    registry._broken.update(broken)
    registry._loaded.clear()
    registry._loaded.update(loaded)
