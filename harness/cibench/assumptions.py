"""What a named assumption stands for: mostly one thing, sometimes either of two."""

from __future__ import annotations

from collections.abc import Collection


def alternatives(assumption: str) -> tuple[str, ...]:
    """Return the names of which one must hold for the assumption to hold: mostly there is one."""
    return tuple(assumption.split(" or "))


def fails(assumption: str, broken: Collection[str]) -> bool:
    """Say whether an assumption fails where those `broken` do: all of its alternatives do."""
    return all(name in broken for name in alternatives(assumption))
