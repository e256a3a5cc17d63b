"""Data sets with sealed effects for outsiders, and the scores of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.challenge.bundle import Bundle, make_bundle, write_bundle
    from cibench.challenge.scoring import read_submission
    from cibench.challenge.sealed_truths import Owner, verify

__all__ = [
    "Bundle", "Owner", "make_bundle", "read_submission", "verify", "write_bundle",
]  # fmt: skip

_HOMES = {
    "cibench.challenge.bundle": ("Bundle", "make_bundle", "write_bundle"),
    "cibench.challenge.scoring": ("read_submission",),
    "cibench.challenge.sealed_truths": ("Owner", "verify"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
