"""What the instrumental-variables methods share: assumptions, the design, and what is no design."""

from typing import NamedTuple

import numpy as np

from cibench import Declined, Estimand, Problem
from cibench.model import Array

from ._reasons import dependent, not_finite

TARGETS = (Estimand.COEFFICIENT, Estimand.LATE)
NEEDS = ("treatment", "instruments")

ROBUST = (
    "exclusion restriction", "instrument independent of the error", "monotonicity",
    "independent errors",
)  # fmt: skip
"""What every method takes for granted, however weak the instruments; a LATE needs monotonicity."""

STRONG = (*ROBUST, "strong instruments")
"""What methods take for granted whose limits come from a normal approximation."""

COLLINEAR = 1e-10


class Design(NamedTuple):
    """Hold outcome and treatment, a constant with the covariates, and the instruments."""

    outcome: Array
    treatment: Array
    exogenous: Array
    instruments: Array

    @property
    def spare(self) -> int:
        """Return the rows that are left when instruments, constant and covariates are fitted."""
        return int(self.outcome.size - self.exogenous.shape[1] - self.instruments.shape[1])


class Reduced(NamedTuple):
    """Hold outcome and treatment less what the exogenous columns fit, and the instruments' span.

    `basis` has orthonormal columns that span what is left of the instruments.
    """

    outcome: Array
    treatment: Array
    basis: Array


def design(problem: Problem) -> Design:
    """Return the columns of an IV regression; raises Declined where there is none."""
    columns, names = problem.columns, problem.roles.instruments
    _refuse_infinite(problem, names)
    y, d, x = regression(problem)
    for name in names:
        if np.ptp(columns[name]) == 0:
            value = columns[name][0]
            raise Declined(f"the instrument '{name}' never moves: it is {value:g} in all rows")
    made = Design(y, d, x, problem.instruments.astype(float))
    if made.spare < 2:
        count = f"{len(names)} instruments and {x.shape[1] - 1} covariates"
        raise Declined(f"{y.size} rows are too few for {count}")
    exogenous = np.column_stack([x, made.instruments])
    if not _independent(exogenous):
        which = dependent(exogenous, ("", *problem.roles.covariates, *names))
        raise Declined(
            f"the instruments are collinear, with each other or with the covariates{which}"
        )
    return made


def regression(problem: Problem) -> tuple[Array, Array, Array]:
    """Return outcome, treatment and a constant with the covariates; raises Declined likewise."""
    roles, y, d = problem.roles, problem.outcome, problem.treatment
    _refuse_infinite(problem, (roles.outcome, roles.treatment, *roles.covariates))
    x = np.column_stack([np.ones(y.size), *(problem.columns[name] for name in roles.covariates)])
    for what, column in (("outcome", y), ("treatment", d)):
        if np.ptp(column) == 0:
            raise Declined(f"the {what} never changes: it is {column[0]:g} in all rows")
    if not _independent(x):
        which = dependent(x, ("", *roles.covariates))
        raise Declined(f"the design is singular: the covariates are collinear{which}")
    if not _independent(np.column_stack([x, d])):
        raise Declined("the design is singular: the covariates determine the treatment")
    return y.astype(float), d.astype(float), x


def _refuse_infinite(problem: Problem, names: tuple[str, ...]) -> None:
    for name in names:
        if why := not_finite(name, problem.columns[name]):
            raise Declined(why)


def _independent(columns: Array) -> bool:
    """Say whether no column is a combination of the others, whatever units they are in."""
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    return bool(np.linalg.matrix_rank(scaled, tol=COLLINEAR) == columns.shape[1])


def partial_out(made: Design) -> Reduced:
    """Take out the exogenous columns, by least squares."""
    onto = np.linalg.qr(made.exogenous)[0]
    columns = np.column_stack([made.outcome, made.treatment, made.instruments])
    left = columns - onto @ (onto.T @ columns)
    return Reduced(left[:, 0], left[:, 1], np.linalg.qr(left[:, 2:])[0])
