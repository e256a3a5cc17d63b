"""What a twin's file holds, as far as its parts rely on it when they are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from cibench.model.types import Array
from cibench.twins.design import DESIGNS
from cibench.utils.shapes import COUNT, ORDINARY, TEXT, Rule, is_plain, whole_number

MOST_ORDER, MOST_LEVELS = 20, 10_000

ARRAY = Rule(lambda v: isinstance(v, np.ndarray), "an array")
NUMBERS = Rule(
    lambda v: isinstance(v, np.ndarray) and bool((np.abs(v.astype(float)) <= ORDINARY).all()),
    "an array of numbers of ordinary size",
)
END = Rule(
    lambda v: isinstance(v, int | float) and not isinstance(v, bool)
    and (abs(v) <= ORDINARY or v in (np.inf, -np.inf)),
    "a number of ordinary size, or an infinite one",
)  # fmt: skip
ORDER = whole_number(MOST_ORDER, f"a whole number of 0 to {MOST_ORDER}")
CATEGORY = Rule(
    lambda v: isinstance(v, list) and len(v) == 2 and isinstance(v[0], str)
    and isinstance(v[1], int) and 0 <= v[1] <= MOST_LEVELS,
    "a name and its number of levels",
)  # fmt: skip
NAMED = Rule(
    lambda v: isinstance(v, list) and len(v) == 2 and isinstance(v[0], str)
    and isinstance(v[1], dict),
    "a name and what is known of it",
)  # fmt: skip
DECIMALS = whole_number(15, "a number of decimals")
PAIR = Rule(lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_plain, v)), "two words")
KIND = Rule(lambda v: v in ("continuous", "integer", "category"), "a kind of column")
SIDE = Rule(lambda v: v in ("above", "below"), "'above' or 'below'")


def _is_index(value: Any) -> TypeGuard[Array]:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "i"


def _is_tree(value: Any) -> bool:
    """Say whether children stand behind their parents, as trees are written: no way is endless."""
    if not isinstance(value, dict):
        return False
    left, right = value.get("left"), value.get("right")
    if not (_is_index(left) and _is_index(right) and len(left) == len(right)):
        return False
    inner = np.flatnonzero(left >= 0)
    return all(
        bool((child[inner] > inner).all() and (child[inner] < len(left)).all())
        for child in (left, right)
    )


def misplaced(generator: Mapping[str, Any]) -> str:
    """Say which part of a generator points to a place that is not there, "" where none does."""
    rows = generator.get("rows", 0)
    for name, column in generator["columns"] if isinstance(generator.get("columns"), list) else ():
        if not (_within(column["rank"], len(column["values"])) and len(column["rank"]) >= rows):
            return f"columns: {name}: its ranks are no places among its values"
    for name, tree in generator.get("trees", {}).items():
        donors = tree["donors"]
        ends = all(_within(tree[end], len(donors) + 1) for end in ("start", "stop"))
        leaves = tree["left"] < 0
        if not (ends and _within(donors, rows) and (tree["start"] < tree["stop"])[leaves].all()):
            return f"trees: {name}: its donors are no rows"
    margins = generator.get("margins") or {"names": (), "margins": (), "orders": {}}
    by_name = dict(zip(margins["names"], margins["margins"], strict=True))
    for name, order in margins["orders"].items():
        codes = by_name[name]["values"] if name in by_name else np.zeros(0)
        if not _within(codes.astype(np.int64), len(order)):
            return f"margins: {name}: its values are no levels"
    return ""


def _within(places: Any, size: int) -> bool:
    return _is_index(places) and bool(((places >= 0) & (places < size)).all())


TREE = Rule(_is_tree, "a tree")

FEATURES = (None, {
    "form": TEXT, "numeric": [{str: object}], "categories": [CATEGORY], "running": TEXT,
    "cutoff": float, "scale": float, "order": ORDER,
})  # fmt: skip
MARGIN = (None, {"values": NUMBERS, "shares": NUMBERS, "discrete": bool})
TEXTS = [TEXT]

TWIN: dict[Any, Any] = {
    "format": int,
    "design": {
        "kind": Rule(lambda v: v in DESIGNS, f"one of {', '.join(DESIGNS)}"), "outcome": TEXT,
        "treatment": TEXT, "running": TEXT, "cutoff": (None, float), "side": SIDE, "fuzzy": bool,
        "instrument": TEXT, "unit": TEXT, "time": TEXT, "cohort": TEXT,
        "covariates": (None, TEXTS),
    },
    "known": [{
        "name": TEXT, "kind": KIND, "low": float, "high": float, "levels": TEXTS,
        "indicator": TEXT, "distinct": COUNT, "decimals?": DECIMALS, "spelling?": PAIR,
        "ordered?": bool, "calendar?": bool,
    }],
    "derived": [{"name": TEXT, "formula": TEXT}],
    "structure": {
        "formula": TEXT, "effect_formula": TEXT, "features": FEATURES,
        "coefficients": (None, NUMBERS), "effect": float, "se": float, "sd": float,
    },
    "family": TEXT,
    "generator": {
        "margins?": {"names": TEXTS, "margins": [MARGIN], "orders": {str: NUMBERS}},
        "text?": TEXT, "correlation?": NUMBERS, "columns?": ([NAMED], {str: NUMBERS}),
        "rows?": COUNT, "residuals?": {str: object}, "trees?": {str: TREE},
        "discrete?": TEXTS, "order?": TEXTS, "number?": COUNT,
    },
    "mechanisms": {str: {
        "binary": bool, "features": FEATURES, "coefficients": NUMBERS, "shifts": TEXTS,
        "noise": MARGIN, "formula": TEXT, "low": END, "high": END, "whole": bool, "centre": float,
    }},
    "outcome": {
        "low": END, "high": END, "support": (None, NUMBERS), "whole?": bool,
        "decimals?": DECIMALS, "link?": MARGIN,
    },
    "panel": (None, {
        "times": NUMBERS, "cohorts": NUMBERS, "level": NUMBERS, "gap": float,
        "coefficients": NUMBERS, "effects": NUMBERS, "counts?": NUMBERS,
    }),
    "seed": {
        "rows": COUNT, "effect": float, "se": float, "where?": TEXT, "gaps?": {str: [str]},
        "interval?": {"low": float, "high": float, "method": TEXT},
    },
    "constants": {str: float},
    "summaries": {str: object},
}  # fmt: skip
"""What `twin.json` holds, arrays in their places."""
