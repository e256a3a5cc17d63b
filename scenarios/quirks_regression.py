"""The plain instrumental-variables regression, in every shape that a data frame comes in.

    Y = beta D + x + u,   D = Z_1 + Z_2 + x + v,   u, v, Z_1, Z_2, x ~ N(0, 1),  corr(u, v) = 1/2

in units of 0.1, with beta = 1. Least squares given x is off by corr / (2 + 1) = 1/6. Nothing here
breaks an assumption; the parameters change the form of the data alone, where shipped bugs sit:
- `numbers`: columns of doubles, of single precision, or outcome and instruments whole numbers.
- `covariates`: none at all; x; x and a category with four codes that mean nothing; x and 2 x,
  collinear (then x is not identified and the effect is).
- `rows`: as drawn, or sorted by the instrument.
- `clustered`: nobody's rows, or rows in 20 clusters that share nothing.

With no covariates x is part of both errors: least squares is off by more, the instruments are as
good as before. Rounding moves the truth nowhere: Y is rounded before the effect is added, and D,
where numbers are whole, is whole too.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, parameter, scenario

CHOICES = {
    "numbers": ("double", "single", "whole"),
    "covariates": ("one", "none", "category", "collinear"),
    "rows": ("drawn", "sorted"),
    "clustered": (False, True),
}
"""The values that each parameter may take, the default first."""

UNIT = 10.0


@scenario("quirks/regression")
class Regression(Scenario):
    """Two strong instruments, an endogenous treatment, and columns of any form."""

    estimand = Estimand.COEFFICIENT
    reference = "no paper: a plain design in awkward forms"
    violates = ("no confounding",)

    numbers: str = parameter("double", unit="double, single, whole")
    covariates: str = parameter("one", unit="one, none, category, collinear")
    rows: str = parameter("drawn", unit="drawn, sorted")
    clustered: bool = False

    def __post_init__(self) -> None:
        """Refuse a form that there is none of."""
        super().__post_init__()
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} is none of {known}")

    def assigned_roles(self) -> Roles:
        """Return the roles; covariates and clusters are there where they are asked for."""
        names = {"one": ("x",), "none": (), "category": ("x", "g"), "collinear": ("x", "x2")}
        return Roles(
            instruments=("z1", "z2"), covariates=names[self.covariates],
            cluster="cluster" if self.clustered else "",
        )  # fmt: skip

    def truth(self) -> float:
        """Return the coefficient, the same for every unit."""
        return 1.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent rows."""
        u, e, x, z1, z2 = UNIT * rng.standard_normal((5, n))
        g, cluster = rng.integers(4, size=n), rng.integers(20, size=n)
        if self.numbers == "whole":
            u, e, x, z1, z2 = np.rint([u, e, x, z1, z2])
        v = np.rint(u / 2 + np.sqrt(0.75) * e) if self.numbers == "whole" else u / 2 + e * 0.75**0.5
        d, baseline = z1 + z2 + x + v, x + u
        order = np.argsort(z1, kind="stable") if self.rows == "sorted" else np.arange(n)
        kind = {"double": float, "single": np.float32, "whole": np.int64}[self.numbers]
        drawn = {"y": baseline + d, "d": d, "z1": z1, "z2": z2, "x": x, "x2": 2 * x}
        columns = {name: column[order].astype(kind) for name, column in drawn.items()}
        columns |= {"g": g[order], "cluster": cluster[order]}
        kept = {name: columns[name] for name in self.assigned_roles().columns}
        left = kept["y"].astype(float) - kept["d"].astype(float)
        return Draw(kept, left, np.ones(n))
