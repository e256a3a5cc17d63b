"""What the suite file of a run folder holds, as far as tables and reports read it there.

It was checked when it ran, by whoever ran it; a stranger's may say anything since. What a plug-in
would have to be loaded for is not looked at.
"""

from __future__ import annotations

from typing import Any

from cibench.metrics.registry import ERRORS, ranking_measures
from cibench.render.labels import KINDS
from cibench.storage.note_shapes import SEED, is_number
from cibench.suite.equalities import QUANTITIES
from cibench.suite.expectations import AT_DEFAULT
from cibench.suite.ranking import SETTINGS
from cibench.utils.shapes import COUNT, SHARE, TEXT, Rule


def _among(known: Any, what: str) -> Rule:
    return Rule(lambda v: isinstance(v, str) and v in known, what)


def _or_by_name(shape: Any) -> tuple[Any, ...]:
    return (shape, {str: shape})


NAMES = (TEXT, [TEXT])
COUNTS = (COUNT, [COUNT])
NUMBERS = (float, [float])
PAIR = Rule(lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_number, v)), "two numbers")
QUANTITY = _among(QUANTITIES, f"one of {', '.join(QUANTITIES)}")
METHODS = Rule(
    lambda v: v != [] and (isinstance(v, str) or _are_texts(v)), "one or more names of methods"
)
MEASURE = Rule(
    lambda v: isinstance(v, str) and v in ranking_measures(), "a measure that methods are ranked by"
)
"""Asked of the registry each time: a plug-in may have added its own since."""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


EQUALITY = {
    "methods": METHODS, "of?": (QUANTITY, [QUANTITY]), "within?": float, "why?": TEXT,
}  # fmt: skip
EQUAL = (EQUALITY, METHODS, [(EQUALITY, METHODS)])
EXPECT = {
    "floor?": _or_by_name(float), "bias?": _or_by_name(float), "se_ratio?": _or_by_name(PAIR),
    "fails?": {str: (_among({AT_DEFAULT}, f"'{AT_DEFAULT}'"), {str: NUMBERS})},
    "violates?": NAMES, "why?": TEXT,
}  # fmt: skip
SUITE = {
    "name?": TEXT, "seed?": SEED, "replicates?": COUNT, "level?": SHARE, "plugins?": NAMES,
    "made_elsewhere?": TEXT, "compare?": TEXT, "show_moments?": bool, "equal?": EQUAL,
    "errors?": _among(ERRORS, f"one of {', '.join(ERRORS)}"),
    "labels?": {f"{kind}?": {str: TEXT} for kind in KINDS},
    "ranking?": {
        "measure?": MEASURE, "worst?": float,
        "settings?": _among(SETTINGS, f"one of {', '.join(SETTINGS)}"), "reference?": TEXT,
        "baselines?": NAMES, "weights?": {str: float},
    },
    "cells?": [{
        "scenario": NAMES, "n": COUNTS, "estimators": NAMES, "vary?": TEXT,
        "dials?": (TEXT, {str: (float, [float], TEXT, [TEXT])}),
        "parameters?": {str: object}, "options?": {str: {str: object}},
        "expect?": EXPECT, "equal?": EQUAL,
    }],
}  # fmt: skip
"""What `suite.toml` holds."""
