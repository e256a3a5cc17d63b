"""Regressions on rows that do not count alike: a survey's weights, and a table of frequencies.

    Y = effect D + x + e,   x, D ~ N(0, 1),   in hundredths where numbers are whole; effect = 1

`quirks/survey`: |e| is half normal, and a row is three times as likely to be sampled where e and D
have the same sign: P(e D > 0) = 3/4 in the sample, 1/2 in the population. The weight is 1 there and
3 elsewhere. Whoever gives every row the same weight is off by (2/4) E|D| E|e| = 1 / pi = 0.318.

`quirks/frequency`: rows come in pairs of equal x and D with e = -1 and e = 1, and stand for as many
units as a Poisson number of mean 3 says, sometimes nobody. The units are a simple random sample, so
that what repeats each row that often and takes it for independent rows is right, with errors near
1 / sqrt(3 n). A naive fit of the rows is off by nothing at all, whatever its errors say; one that
takes frequencies for survey weights doubles its standard error, (3 + 9) / 3 = 4 its square.

Nothing breaks an assumption of a method that knows the weights. The parameters change the form:
- `numbers`: doubles, single precision, or whole numbers.
- `rows`: as drawn, or sorted by treatment.
- `covariates`: x; none at all, and no x in the outcome; x and 2 x, collinear.
- `clustered`: nobody's rows, or rows in 30 clusters that share nothing (pairs of rows together).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, parameter, scenario
from cibench.model import Array

CHOICES = {
    "numbers": ("double", "single", "whole"),
    "covariates": ("one", "none", "collinear"),
    "rows": ("drawn", "sorted"),
    "clustered": (False, True),
}
"""The values that each parameter may take, the default first."""

EXPECTED, CLUSTERS = 3, 30


@dataclass(frozen=True, kw_only=True)
class Weighted(Scenario):
    """What both share: all but where the rows' errors and weights come from."""

    estimand = Estimand.COEFFICIENT

    numbers: str = parameter("double", unit="double, single, whole")
    covariates: str = parameter("one", unit="one, none, collinear")
    rows: str = parameter("drawn", unit="drawn, sorted")
    clustered: bool = False

    def __post_init__(self) -> None:
        """Refuse a form that there is none of."""
        super().__post_init__()
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} is none of {known}")

    def shown_roles(self, **weight: Any) -> Roles:
        """Return the roles with the column that says how much a row counts."""
        names = {"one": ("x",), "none": (), "collinear": ("x", "x2")}
        cluster = "cluster" if self.clustered else ""
        return replace(Roles(covariates=names[self.covariates], cluster=cluster), **weight)

    def truth(self) -> float:
        """Return the coefficient, the same for every row."""
        return 1.0

    def shown(self, d: Array, x: Array, e: Array, weight: Array, cluster: Array) -> Draw:
        """Return the rows in the form that is asked for."""
        whole = self.numbers == "whole"
        d, x, e = (np.rint(100 * part) if whole else part for part in (d, x, e))
        kind = {"double": float, "single": np.float32, "whole": np.int64}[self.numbers]
        order = np.argsort(d, kind="stable") if self.rows == "sorted" else np.arange(d.size)
        seen = x if self.covariates != "none" else 0 * x
        drawn = {"y": seen + e + d, "d": d, "x": x, "x2": 2 * x, "weight": weight}
        columns = {name: column[order].astype(kind) for name, column in drawn.items()}
        columns["cluster"] = cluster[order]
        kept = {name: columns[name] for name in self.assigned_roles().columns}
        left = kept["y"].astype(float) - kept["d"].astype(float)
        return Draw(kept, left, np.ones(d.size))


@scenario("quirks/survey")
class Survey(Weighted):
    """Rows sampled with chances that depend on treatment and error, and the inverse chances."""

    roles = Roles(covariates=("x",), weights="weight")
    reference = "Solon, Haider and Wooldridge (2015), Journal of Human Resources 50, section III"
    violates = ("no confounding", "no unobserved confounding")

    def assigned_roles(self) -> Roles:
        """Return the roles; covariates and clusters are there where they are asked for."""
        return self.shown_roles(weights="weight")

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent rows."""
        (d, x, e), chance = rng.standard_normal((3, n)), rng.random(n)
        alike = chance < 0.75
        e = np.abs(e) * np.where(alike, 1, -1) * np.where(d > 0, 1, -1)
        return self.shown(d, x, e, np.where(alike, 1, 3), rng.integers(CLUSTERS, size=n))


@scenario("quirks/frequency")
class Frequency(Weighted):
    """Pairs of rows and how many units each of them stands for."""

    roles = Roles(covariates=("x",), frequency="weight")
    reference = "Cameron and Trivedi (2005), Microeconometrics, section 24.2 (tables of counts)"
    violates = ("independent errors",)

    def assigned_roles(self) -> Roles:
        """Return the roles; covariates and clusters are there where they are asked for."""
        return self.shown_roles(frequency="weight")

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n rows; where their number is odd the last one has no error."""
        pair = np.arange(n) // 2
        (d, x), cluster = rng.standard_normal((2, n)), rng.integers(CLUSTERS, size=n)
        e = np.where(np.arange(n) % 2, 1.0, -1.0)
        e[n - n % 2 :] = 0.0
        return self.shown(d[pair], x[pair], e, rng.poisson(EXPECTED, n), cluster[pair])
