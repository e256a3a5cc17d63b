"""What a suite says to compare every pair of its estimators."""

from __future__ import annotations

ALL = "all"
"""Every pair of estimators, and not each with one reference."""
