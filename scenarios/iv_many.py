"""Instrumental variables: many instruments, which together have the strength mu2.

    Y = beta D + u + direct Z_1,   D = pi (Z_1 + ... + Z_K) + v,
    pi = sqrt(mu2 (1 - weakness) / (n K)),   u, v, W_1, ..., W_K ~ N(0, 1),   corr(u, v) = rho
    Z_1 = dependence u + sqrt(1 - dependence^2) W_1,   Z_k = W_k for k > 1

The W are independent of everything, K is the parameter `instruments`. Least squares is off by
rho / (1 + mu2 / n), 0.3125 with n = 1000. Two-stage least squares is pulled towards it by each
further instrument: its mean is off by rho exp(-mu2/2) 1F1(K/2 - 1; K/2; mu2/2), near
rho (K - 2) / mu2: 0.0066 with the 10 instruments of the default, 0.0371 with 50, where its standard
error is near 1 / sqrt(mu2), 0.04. It has moments up to the order K - 1. LIML is not pulled, but has
no moments; its standard errors are too small where K is not small beside mu2.

What the dials do to two-stage least squares, to its probability limit with pi held fixed:
- `direct`: the first instrument moves the outcome by itself, the others do not. Off by
  direct sqrt(n / (K mu2)), 0.0816 at 0.2 and n = 1000; an over-identification test sees it.
- `dependence`: the first instrument is correlated with the error. With p = pi + rho dependence its
  first-stage coefficient, off by p dependence / (p^2 + (K - 1) pi^2), 0.1047 at 0.2 and n = 1000.
- `weakness`: mu2 falls short of the strong default by that share. The mean is off by 0.032, 0.110
  and 0.304 at 0.8, 0.95 and 0.99, the last of which is mu2 = 6.
Anderson-Rubin sets cover in 95 % at every weakness; under the other two dials they may be empty.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("iv/many")
class Many(Scenario):
    """Normal instruments of equal strength, `instruments` of them."""

    estimand = Estimand.COEFFICIENT
    reference = "Bekker (1994), Econometrica 62; Stock and Yogo (2005)"
    violates = ("no confounding",)

    beta: float = parameter(1.0, unit="s.d. of the error per unit of treatment")
    instruments: int = parameter(10, within=(1, 1000), unit="instruments")
    mu2: float = parameter(600.0, within=(0.0, 1e6), unit="concentration parameter, n K pi^2")
    rho: float = parameter(0.5, within=(-1.0, 1.0), unit="correlation of u and v: endogeneity")
    direct: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(-10, 10), breaks="exclusion restriction",
        unit="s.d. of the error that one s.d. of the first instrument adds to the outcome",
    )  # fmt: skip
    dependence: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(-1, 1),
        breaks="instrument independent of the error",
        unit="correlation of the first instrument and the outcome's error",
    )  # fmt: skip
    weakness: float = dial(
        default=0, grid=(0.8, 0.95, 0.99), within=(0, 1), breaks="strong instruments",
        unit="share of the concentration parameter mu2 that is lost",
    )  # fmt: skip

    def assigned_roles(self) -> Roles:
        """Return the roles; the instruments are z1, z2, ..."""
        return Roles(instruments=tuple(f"z{k + 1}" for k in range(self.instruments)))

    def truth(self) -> float:
        """Return the coefficient, the same for every unit."""
        return self.beta

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units; more instruments leave the errors as they are."""
        u, e = rng.standard_normal((2, n))
        z = rng.standard_normal((self.instruments, n))
        v = self.rho * u + np.sqrt(1 - self.rho**2) * e
        z[0] = self.dependence * u + np.sqrt(1 - self.dependence**2) * z[0]
        pi = np.sqrt(self.mu2 * (1 - self.weakness) / (n * self.instruments))
        d = pi * z.sum(axis=0) + v
        baseline = u + self.direct * z[0]
        columns = {"y": baseline + self.beta * d, "d": d}
        columns |= dict(zip(self.assigned_roles().instruments, z, strict=True))
        return Draw(columns, baseline, np.full(n, self.beta))
