"""What may be said of a run's rows, by where they come from: of those made elsewhere less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cibench.metrics.registry import NORMAL
from cibench.suite.rows_elsewhere import MADE_ELSEWHERE as KEY


def made_elsewhere(manifest: Mapping[str, Any]) -> bool:
    """Say whether somebody's own loop made the rows."""
    return KEY in manifest


def whence(manifest: Mapping[str, Any]) -> str:
    """Say where data and answers come from."""
    if made_elsewhere(manifest):
        source = manifest[KEY]["source"] or "a table"
        return (
            f"Data and answers were made elsewhere and are those of {source}; how they were drawn "
            "and fitted nobody here has seen. Scores were made of its rows."
        )
    return _imported(manifest) + (
        "Seeds are derived, not chosen: every random stream comes from its address, the run’s seed "
        "with the scenario, n and replicate for the data, and the method’s name for its own "
        "randomness. The dials are not part of the address of the data, so that every method and "
        "every setting faces the same noise."
    )


def _imported(manifest: Mapping[str, Any]) -> str:
    """Say whose answers were handed in, and how many of the data sets they are to."""
    words = [
        f"The answers of {name} were made elsewhere and imported from {entry['source']}, to "
        f"{entry['answered']:,} of {entry['data_sets']:,} data sets; cibench did not run it. "
        for name, entry in (manifest.get("handed_in") or {}).items()
    ]
    return "".join(words)


def counting(manifest: Mapping[str, Any]) -> str:
    """Say what becomes of fits without an answer."""
    if made_elsewhere(manifest):
        return "rows without an answer are counted as failures"
    return "failed fits are counted, not redrawn"


def by_formula(manifest: Mapping[str, Any]) -> str:
    """Say in a clause whose errors are those of normal estimates, "" where none are."""
    if manifest.get("errors") != NORMAL:
        return ""
    return " (of empirical SE, precision gained and SE ratio by the formulas for normal estimates)"
