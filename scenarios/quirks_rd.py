"""The plain sharp regression discontinuity, in every shape that its columns come in.

    X ~ U(-1, 1),  D = 1[X >= 0],  Y = X / 2 + effect D + x + e,   x, e ~ N(0, 1/4),  effect = 1

The outcome is linear in X: every polynomial and every bandwidth is right. A naive difference in
means is off by 1/2. Nothing here breaks an assumption; the parameters change the form alone:
- `numbers`: doubles, single precision, or whole numbers (Y in hundredths, X in thousandths, so
  that values repeat).
- `cutoff`: 0, or 50 with X in other units, 1,000 times as many.
- `rows`: as drawn, or sorted by X.
- `covariates`: none; x; x and a category that means nothing; x and 2 x, collinear.
- `clusters`: none; clusters of rows on one side of the cutoff each, 30 a side; or bins of X, 50 a
  side. They share nothing.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, parameter, scenario

CHOICES = {
    "numbers": ("double", "single", "whole"),
    "cutoff": ("zero", "far"),
    "rows": ("drawn", "sorted"),
    "covariates": ("none", "one", "category", "collinear"),
    "clusters": ("none", "sides", "bins"),
}
"""The values that each parameter may take, the default first."""

FAR, WIDE = 50.0, 1000.0


@scenario("quirks/rd")
class Discontinuity(Scenario):
    """A straight line with a jump, and columns of any form."""

    estimand = Estimand.ATE_AT_CUTOFF
    reference = "no paper: a plain design in awkward forms"

    numbers: str = parameter("double", unit="double, single, whole")
    cutoff: str = parameter("zero", unit="zero, far")
    rows: str = parameter("drawn", unit="drawn, sorted")
    covariates: str = parameter("none", unit="none, one, category, collinear")
    clusters: str = parameter("none", unit="none, sides, bins")

    def __post_init__(self) -> None:
        """Refuse a form that there is none of."""
        super().__post_init__()
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} is none of {known}")

    def assigned_roles(self) -> Roles:
        """Return the roles; covariates and clusters are there where they are asked for."""
        names = {"one": ("w",), "none": (), "category": ("w", "g"), "collinear": ("w", "w2")}
        return Roles(
            running="x", cutoff=FAR if self.cutoff == "far" else 0.0,
            covariates=names[self.covariates],
            cluster="" if self.clusters == "none" else "cluster",
        )  # fmt: skip

    def truth(self) -> float:
        """Return the jump, in units of the outcome."""
        return 100.0 if self.numbers == "whole" else 1.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent rows."""
        x, w, e = rng.uniform(-1, 1, n), rng.normal(0, 0.5, n), rng.normal(0, 0.5, n)
        g, school = rng.integers(4, size=n), rng.integers(30, size=n)
        whole, effect = self.numbers == "whole", self.truth()
        x = np.floor(1000 * x) / 1000 if whole else x
        d, scale = (x >= 0).astype(float), 100 if whole else 1
        baseline = scale * (x / 2 + w + e)
        baseline, w = (np.rint(baseline), np.rint(100 * w)) if whole else (baseline, w)
        cluster = np.floor(50 * (x + 1)) if self.clusters == "bins" else school + 30 * d
        units = WIDE if self.cutoff == "far" or whole else 1.0
        shown = units * x + (FAR if self.cutoff == "far" else 0.0)
        order = np.argsort(x, kind="stable") if self.rows == "sorted" else np.arange(n)
        drawn = {"y": baseline + effect * d, "d": d, "x": shown, "w": w, "w2": 2 * w}
        kind = {"double": float, "single": np.float32, "whole": np.int64}[self.numbers]
        if whole:
            drawn = {name: np.rint(column) for name, column in drawn.items()}
        columns = {name: column[order].astype(kind) for name, column in drawn.items()}
        columns |= {"g": g[order], "cluster": cluster[order].astype(int)}
        kept = {name: columns[name] for name in self.assigned_roles().columns}
        left = kept["y"].astype(float) - effect * d[order]
        return Draw(kept, left, np.full(n, effect))
