"""What the notes of a run folder hold, as whoever reads a stranger's may rely on.

Keys that an earlier version did not write may be missing; keys of a later one may be there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cibench.model.estimands import is_name
from cibench.utils.errors import BadInput
from cibench.utils.foreign import as_json
from cibench.utils.shapes import COUNT, SHARE, TEXT, Rule, is_count, whole_number


def is_number(value: Any) -> bool:
    """Say whether a value is a number, which may be infinite."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and value == value  # noqa: PLR0124 - nan is none


NUMBER = Rule(is_number, "a number")
"""One that may be infinite, as the end of a range."""

SETTINGS = {str: (None, bool, NUMBER, TEXT, [(None, bool, NUMBER, TEXT)])}
"""What dials, parameters and options of a row are set to."""


@lru_cache(maxsize=4096)  # cells share their settings
def is_settings(text: str, *, numbers: bool = False) -> bool:
    """Say whether a text is JSON of settings by name, as the columns of rows hold it.

    Those of dials are `numbers`.
    """
    try:
        as_json(text, {str: float} if numbers else SETTINGS, "")
    except BadInput:
        return False
    return True


SEED = whole_number(2**128 - 1, "a whole number of 0 to 2^128 - 1")
ADDRESS = Rule(lambda v: isinstance(v, str) and is_settings(v), "a JSON text of settings")
DIALS = Rule(
    lambda v: isinstance(v, str) and is_settings(v, numbers=True), "a JSON text of numbers"
)
RANGE = Rule(
    lambda v: v is None or (isinstance(v, list) and len(v) == 2 and all(map(NUMBER.valid, v))),
    "two numbers or null",
)
PROCESS = whole_number(2**31 - 1, "a process")
REFITS = Rule(
    lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_count, v)), "two whole numbers"
)

ENTRANT = Rule(
    lambda v: isinstance(v, list) and len(v) == 2 and all(map(TEXT.valid, v))
    and ADDRESS.valid(v[1]),
    "an estimator and a JSON text of its options",
)  # fmt: skip

IDENTITY = Rule(
    lambda v: isinstance(v, list) and len(v) == 4 and is_count(v[2])
    and all(isinstance(v[i], str) for i in (0, 1, 3)),
    "scenario, dials, units and parameters",
)  # fmt: skip
TEXTS = [TEXT]
ESTIMAND = Rule(lambda v: isinstance(v, str) and is_name(v), "an estimand")
CELL = {"scenario": TEXT, "dials": DIALS, "n": COUNT, "parameters": ADDRESS}
MACHINE = {"platform": TEXT, "python": TEXT, "cpu_features": [TEXT]}

IMPORTED = {
    "versions": {str: TEXT},
    "digests": {str: {"digest": (None, TEXT), "modules": [TEXT], "used_by": [TEXT]}},
    "unobserved": [TEXT],
}
"""What draws and fits have imported: `cibench.storage.imported` says what is what."""

MANIFEST = {
    "format": COUNT, "suite": TEXT, "seed?": SEED, "replicates": COUNT, "level": SHARE,
    "limits?": {str: (None, float)}, "refits?": REFITS, "created": TEXT, "finished": (None, TEXT),
    "expected_rows": COUNT, "stored_rows": COUNT, "protocol": TEXT, "versions": {str: TEXT},
    **MACHINE, "machines?": [MACHINE], "hosts?": [TEXT], "sources": {str: (None, TEXT)},
    "imported?": IMPORTED,
    "stopped?": [{**CELL, "estimator": TEXT, "options": ADDRESS, "left_out": COUNT}],
    "undrawn?": [
        {**CELL, "status": TEXT, "reason": TEXT, "replicates": COUNT, "first": COUNT}
    ],
    "entrants?": [ENTRANT], "declined?": [{"scenario": TEXT, "estimator": TEXT, "reason": TEXT}],
    "precision?": {"targets": {str: float}, "pilot?": (None, COUNT)},
    "cells?": [{**CELL, "replicates": COUNT, "stopped": TEXT}],
    "checks?": {"plugins?": {str: {"unchecked": TEXT, "warning": TEXT}}, "skipped?": bool},
    "superseded?": [TEXT], "made_elsewhere?": {"source": TEXT},
    "handed_in?": {str: {
        "source": TEXT, "targets": [ESTIMAND], "horizons": [ESTIMAND], "by?": TEXTS,
        "gives": TEXTS, "answered": COUNT, "data_sets": COUNT, "limits?": TEXT,
    }},
}  # fmt: skip
"""What `manifest.json` holds."""

CATALOGUE = {
    "scenarios?": {str: {
        "doc?": TEXT, "equations?": TEXT, "estimands?": TEXTS, "roles?": {str: object},
        "reference?": TEXT, "moments?": bool, "violates?": TEXTS, "prior_of?": TEXT,
        "declared?": bool, "answered_by?": {str: TEXT},
        "dials?": {str: {
            "default": float, "grid": [float], "within?": RANGE, "breaks": TEXT, "unit?": TEXT,
            "truth?": TEXT, "paired?": bool, "felt?": TEXT,
        }},
        "parameters?": {str: {"default": object, "within?": RANGE, "unit?": TEXT}},
    }},
    "estimators?": {str: {
        "doc?": TEXT, "module?": TEXT, "kind?": TEXT, "targets?": TEXTS, "horizons?": TEXTS,
        "by?": TEXTS, "needs?": TEXTS, "assumes?": TEXTS, "tests?": TEXTS, "uses?": TEXTS,
        "gives?": TEXTS,
        "oracle?": bool, "moments?": bool, "declared?": bool, "options?": {str: object},
        "imported?": TEXT,
    }},
}  # fmt: skip
"""What `catalogue.json` holds."""

STATUS = {
    "state": TEXT, "process": PROCESS, "host": TEXT, "process_started": float, "updated": float,
    "done": COUNT, "total": COUNT, "failures": COUNT, "rate": float, "left": (None, float),
    "cells": [{
        "name": TEXT, "identity?": IDENTITY, "total": COUNT, "done": COUNT, "failures": COUNT,
    }],
}  # fmt: skip
"""What `.status.json` holds."""

CLAIM = {"process": PROCESS, "started": float, "token": TEXT, "host?": TEXT, "machine?": TEXT}
"""What `.claim` holds."""

LOCK = {"token": TEXT, "process": PROCESS, "host": TEXT, "updated": float}
"""What the lock of a run at a URL holds."""

JOURNAL = {"put": TEXTS, "removed": TEXTS}
"""What the journal of a run at a URL holds."""
