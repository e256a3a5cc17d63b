"""What the synthetic-control adapters share: blocks of treated units and donors, placebo inference.

A placebo gives donors out as treated and the other donors as donors, in the same numbers. What is
estimated then is an error without an effect, and the errors of many placebos are the distribution
of the estimate (Arkhangelsky and others 2021, algorithm 4; Abadie, Diamond and Hainmueller 2010).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cibench import Declined, Estimate, Problem
from cibench.model import Array

from ._did import EVERY
from ._reasons import not_finite, uneven

HULL = "treated units within the hull of the donors"
STABLE = ("stable loadings", "many periods before treatment", *EVERY)
"""What every method takes for granted that extrapolates weights from before treatment."""

NEEDS = ("unit", "time")


@dataclass(frozen=True, eq=False)
class Block:
    """Hold outcomes, units by periods in order; `before` of the periods come before treatment."""

    treated: Array
    donors: Array
    before: int

    def placebo(self, chosen: Array) -> "Block":
        """Return the donors with those chosen as treated."""
        rest = np.delete(self.donors, chosen, axis=0)
        return Block(self.donors[chosen], rest, self.before)

    def gap(self, weights: Array) -> Array:
        """Return the treated units' average less the weighted donors, by period."""
        return np.asarray(self.treated.mean(axis=0) - weights @ self.donors)


def block(problem: Problem, least: int = 2) -> Block:
    """Return the panel as a block; raises Declined where it is none.

    All treated units are treated from one period on, with `least` periods or more before it.
    """
    y, d = _wide(problem)
    ever = d.any(axis=1)
    if not ever.any():
        raise Declined("no unit is treated")
    if ever.all():
        raise Declined("all units are treated: there are no donors")
    first = np.argmax(d[ever], axis=1)
    before = int(first[0])
    if np.any(first != before) or not d[ever][:, before:].all():
        raise Declined("takes units that are all treated from one period on and stay so")
    if before < least:
        raise Declined(f"needs {least} periods before treatment or more; here are {before}")
    return Block(y[ever], y[~ever], before)


def _wide(problem: Problem) -> tuple[Array, Array]:
    roles = problem.roles
    unit, time = problem.columns[roles.unit], problem.columns[roles.time]
    if why := not_finite(roles.outcome, problem.outcome):
        raise Declined(why)
    units, periods = np.unique(unit).size, np.unique(time)
    order = np.lexsort((time, unit))
    full = unit.size == units * periods.size
    if not full or not np.array_equal(time[order], np.tile(periods, units)):
        raise Declined(f"takes units seen once in each of the same periods; {uneven(unit, time)}")
    y, d = (c[order].reshape(units, -1) for c in (problem.outcome, problem.treatment))
    return y, d != 0


def placebos(
    data: Block, fit: Callable[[Block], float], rng: np.random.Generator, count: int
) -> Array:
    """Return the estimates of placebos: each donor in turn, or `count` random sets of donors.

    Raises Declined where there are no more donors than treated units.
    """
    donors, treated = len(data.donors), len(data.treated)
    if donors <= treated or donors < 3:
        raise Declined(
            f"{donors} donors for {treated} treated: too few to give some out as treated"
        )
    each = treated == 1 and donors <= count
    sets = np.arange(donors)[:, None] if each else _sets(donors, treated, rng, count)
    return np.array([fit(data.placebo(chosen)) for chosen in sets])


def _sets(donors: int, treated: int, rng: np.random.Generator, count: int) -> Array:
    return np.array([rng.permutation(donors)[:treated] for _ in range(count)])


def judged(value: float, errors: Array, level: float, limits: str) -> Estimate:
    """Put limits around a value by the placebos' errors, and give the share that are as large.

    `limits`: "normal" for their standard deviation, "ranks" to invert the test that ranks the
    estimate less a presumed effect among them. With too few placebos ranks exclude nothing.
    """
    if limits not in ("normal", "ranks"):
        raise ValueError(f"limits = {limits!r} is neither 'normal' nor 'ranks'")
    se = float(errors.std())
    p_value = (1 + np.sum(np.abs(errors) >= abs(value))) / (1 + errors.size)
    wald = Estimate.wald(value, se, level)
    low, high = wald.low, wald.high
    if limits == "ranks":
        rank = int(np.ceil(level * (errors.size + 1) - 1e-9))
        reach = np.sort(np.abs(errors))[rank - 1] if rank <= errors.size else np.inf
        low, high = value - reach, value + reach
    return Estimate(value, se, low, high, p_value=float(p_value))
