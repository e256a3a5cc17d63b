"""What the catalogue of a run says: dials, defaults, and what a named assumption stands for."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from cibench.utils.missing import missing


def dials_of(known: Mapping[str, Any], scenario: Any) -> Mapping[str, Any]:
    """Return what the catalogue's scenarios say of one's dials."""
    declared: Mapping[str, Any] = (known.get(scenario) or {}).get("dials") or {}
    return declared


def at_default(dials: Any, about: Mapping[str, Any]) -> bool:
    """Say whether a row's dials are all where the catalogue's dials of its scenario start."""
    settings = {} if missing(dials) else json.loads(dials)
    return all(v == (about.get(name) or {}).get("default", 0) for name, v in settings.items())


def alternatives(assumption: str) -> tuple[str, ...]:
    """Return the names of which one must hold for the assumption to hold: mostly there is one."""
    return tuple(assumption.split(" or "))


def fails(assumption: str, broken: Collection[str]) -> bool:
    """Say whether an assumption fails where those `broken` do: all of its alternatives do."""
    return all(name in broken for name in alternatives(assumption))
