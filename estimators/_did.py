"""What the difference-in-differences adapters share: assumptions, and data that is not for them."""

from typing import TYPE_CHECKING

import numpy as np

from cibench import Declined, Problem

if TYPE_CHECKING:
    import pandas as pd

EVERY = ("no anticipation", "no shock to the treated at treatment", "no interference")
"""What every method that compares changes takes for granted, parallel trends aside."""

CONDITIONAL = ("parallel trends", *EVERY)
"""Parallel trends given covariates: trends may depend on those that the method is shown."""

UNCONDITIONAL = (*CONDITIONAL, "trends do not depend on covariates")


def adopters(problem: Problem) -> "pd.DataFrame":
    """Return the rows of the periods in which somebody is untreated; in the others no trend shows.

    A cohort that adopts after them gets the cohort 0, never treated. Raises Declined where nobody
    adopts within these periods and after the first.
    """
    roles = problem.roles
    cohort, time = problem.columns[roles.cohort], problem.columns[roles.time]
    if not np.isfinite(problem.outcome).all():
        raise Declined("some outcomes are missing or infinite")
    if np.any(time % 1) or np.any(cohort % 1):
        raise Declined("periods and cohorts are not whole numbers")
    untreated = (cohort == 0) | (cohort > time)
    if not untreated.any():
        raise Declined("all rows are treated: there is nobody to compare them with")
    last = time[untreated].max()
    kept = time <= last
    never = (cohort == 0) | (cohort > last)
    adopt = cohort[kept & ~never]
    if adopt.size == 0 or adopt.max() <= time.min():
        raise Declined("nobody adopts after the first period while others are still untreated")
    whole = {roles.time: time.astype(int), roles.cohort: np.where(never, 0, cohort).astype(int)}
    frame = problem.frame.assign(**whole)
    within: pd.DataFrame = frame[kept].reset_index(drop=True)
    return within


def clusters(problem: Problem) -> str:
    """Return the column that errors are clustered by; raises Declined where it has one value."""
    name = problem.roles.cluster or problem.roles.unit
    if np.unique(problem.columns[name]).size < 2:
        raise Declined(f"there is one cluster in '{name}' only")
    return name


def seed(rng: np.random.Generator) -> int:
    """Return a seed for libraries that take integers."""
    return int(rng.integers(2**31))
