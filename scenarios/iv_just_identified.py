"""Instrumental variables: one instrument, one endogenous treatment, a linear effect.

    Y = beta D + u + direct Z,   D = pi Z + v,   pi = sqrt(mu2 (1 - weakness) / n)
    Z = dependence u + sqrt(1 - dependence^2) W,   u, v, W ~ N(0, 1),   corr(u, v) = rho

and W is independent of both. The concentration parameter mu2 = n pi^2 says how strong the
instrument is, whatever n. Least squares is off by rho / (1 + mu2 / n), 0.7917 with n = 500.

Two-stage least squares with one instrument has no moments: its mean error does not exist, and an
average over replicates is the average of the outliers among them. Medians and coverage speak. It is
the estimator that has none (`linearmodels/2sls` says moments=False), not the design.

What the dials do to two-stage least squares, to its probability limit with pi held fixed:
- `direct`: the instrument moves the outcome by itself. Off by direct / pi, 0.2236 at 0.1 and
  n = 500. Its standard error is near 1 / sqrt(mu2), 0.1.
- `dependence`: the instrument is correlated with the error, as when units that would do well anyway
  get more of it. Off by dependence / (pi + rho dependence), 0.1844 at 0.1 and n = 500.
- `weakness`: mu2 falls short of the strong default by that share. At 0.9, 0.96 and 0.99, mu2 = 10,
  4 and 1, nominal 95 % limits cover in 91.8, 89.3 and 82.3 % of data sets (exact for large n).
  With rho = 0.5 they cover too often, 97.6 % at mu2 = 1: what weakness does depends on rho.
Anderson-Rubin sets cover in 95 % at every weakness. At mu2 = 4 they are two rays in 48.4 % of data
sets. Defiers matter where effects differ: see iv/late.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("iv/just-identified")
class JustIdentified(Scenario):
    """One normal instrument; mu2 and rho set its strength and how endogenous the treatment is."""

    estimand = Estimand.COEFFICIENT
    roles = Roles(instruments=("z",))
    reference = "Staiger and Stock (1997), Econometrica 65; Stock and Yogo (2005)"
    violates = ("no confounding",)

    beta: float = parameter(1.0, unit="s.d. of the error per unit of treatment")
    mu2: float = parameter(100.0, within=(0.0, 1e6), unit="concentration parameter, n pi^2")
    rho: float = parameter(0.95, within=(-1.0, 1.0), unit="correlation of u and v: endogeneity")
    direct: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(-10, 10), breaks="exclusion restriction",
        unit="s.d. of the error that one s.d. of the instrument adds to the outcome by itself",
    )  # fmt: skip
    dependence: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(-1, 1),
        breaks="instrument independent of the error",
        unit="correlation of the instrument and the outcome's error",
    )  # fmt: skip
    weakness: float = dial(
        default=0, grid=(0.9, 0.96, 0.99), within=(0, 1), breaks="strong instruments",
        unit="share of the concentration parameter mu2 that is lost",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the coefficient, the same for every unit."""
        return self.beta

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        w, u, e = rng.standard_normal((3, n))
        v = self.rho * u + np.sqrt(1 - self.rho**2) * e
        z = self.dependence * u + np.sqrt(1 - self.dependence**2) * w
        d = np.sqrt(self.mu2 * (1 - self.weakness) / n) * z + v
        baseline = u + self.direct * z
        columns = {"y": baseline + self.beta * d, "d": d, "z": z}
        return Draw(columns, baseline, np.full(n, self.beta))
