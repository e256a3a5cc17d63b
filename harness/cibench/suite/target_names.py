"""Names of targets that the rows of a run can hold, and whoever has the run read again."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from numbers import Integral, Real

from cibench.model.types import TARGET, Target, contrast_text
from cibench.utils.shapes import LONGEST_NAME, Rule, is_name

OF_32_BITS = 2**31


def _is_horizon(value: object) -> bool:
    return isinstance(value, Integral) and -OF_32_BITS <= int(value) < OF_32_BITS


def _is_contrast(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    if not all(isinstance(arm, str) or (isinstance(arm, Real) and isfinite(arm)) for arm in value):
        return False
    text = contrast_text(value)
    return text.isprintable() and len(text) <= LONGEST_NAME


NAME = Rule(
    is_name, f"a printable text, {LONGEST_NAME} characters at most, that begins with no hyphen"
)
RULES = {
    "estimand": NAME, "group": NAME, "label": NAME,
    "horizon": Rule(_is_horizon, "a whole number within 2^31"),
    "contrast": Rule(_is_contrast, "a pair of arms, each a number or a printable text"),
}  # fmt: skip
"""What each part of a target is in rows."""


def faults_of(targets: Iterable[Target]) -> list[str]:
    """Return what is wrong with the first part of each target that no row could hold."""
    faults = []
    for target in targets:
        for part, value in zip(TARGET, target, strict=True):
            if value is not None and not RULES[part].valid(value):
                faults.append(f"the {part} {repr(value)[:80]} is not {RULES[part].wanted}")
                break
    return faults
