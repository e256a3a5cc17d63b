"""Regression discontinuity with a fuzzy rule: crossing the cutoff makes take-up likelier.

    X ~ U(-1, 1),  above = 1[X >= 0],  D = 1[W < always + jump above],  W ~ U(0, 1)
    Y = 0.5 + X + 0.6 X^2 + 0.5 A + D (effect + X/2 + A/2) + noise E,  A = 1[W < always]
    E = sqrt(6) (U - 1/2) + (Z2 + V)/2,  Z1 = sqrt(6) (U - 1/2) + N/sqrt(2)

with U ~ U(0, 1), the drive, and Z2, V, N ~ N(0, 1); Z1 and Z2 are seen. W makes always-takers (A),
compliers (always <= W < always + jump) and never-takers. The estimand is the compliers' effect at
the cutoff, `effect`: their effects are effect + X/2. Always-takers are better off and gain more.
Taking the jump in Y (0.6) for the effect is off by -0.4, comparing takers with the others next to
the cutoff by 0.33.

Manipulation: of the units less than `reach` below the cutoff, the share `sorting` with the highest
drive reports X* = -X and is eligible; the compliers among them take up. At 0.4 Y jumps by 0.35 too
much at the cutoff, D as before: 0.58 too much for the ratio. Heaping: the share `heaping` with the
least drive reports X rounded down to a multiple of `step`, on its own side of the cutoff; at 0.4
lines within 0.5 of the cutoff (triangular weights) are off by -0.24, narrower ones by more. Another
policy at the same cutoff adds `policy` to the outcome of all above it: a bias of policy / jump.

At the defaults `rdrobust/fuzzy` is valid: its interval covered in 95.4 % of 1,000 draws of 2,000
rows, give or take 0.7.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("rd/fuzzy")
class Fuzzy(Scenario):
    """Take-up jumps at the cutoff by the share of compliers; the effect grows with X."""

    estimand = Estimand.LATE_AT_CUTOFF
    roles = Roles(running="x", cutoff=0.0, covariates=("z1", "z2"))
    reference = "Hahn, Todd and Van der Klaauw (2001), Econometrica 69, theorem 3"

    effect: float = parameter(1.0, unit="outcome units, of compliers at the cutoff")
    jump: float = parameter(0.6, within=(0.01, 0.8), unit="jump in take-up: share of compliers")
    always: float = parameter(0.15, within=(0.0, 0.2), unit="share of always-takers")
    noise: float = parameter(0.5, within=(0.0, 100.0), unit="s.d. of the outcome given X and type")
    reach: float = parameter(0.1, within=(0.0, 1.0), unit="how far below the cutoff units can sort")
    step: float = parameter(0.1, within=(0.001, 1.0), unit="distance between heaps")
    sorting: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no manipulation",
        unit="share of units just below the cutoff that sort above",
    )  # fmt: skip
    heaping: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no heaping",
        unit="share of units that report a rounded running variable",
    )  # fmt: skip
    policy: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(-10, 10), breaks="no other policy at the cutoff",
        unit="outcome units that the other policy adds above the cutoff",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the compliers' effect at the cutoff."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units; the target are the compliers, latent X is the one before reporting."""
        latent, w, drive = rng.uniform(-1, 1, n), rng.random(n), rng.random(n)
        z1, z2, v = rng.standard_normal((3, n))
        z1 = np.sqrt(6) * (drive - 0.5) + z1 / np.sqrt(2)  # a noisy measure of the drive
        sorts = (-self.reach <= latent) & (latent < 0) & (drive > 1 - self.sorting)
        x = np.where(sorts, -latent, latent)
        x = np.where(drive < self.heaping, np.floor(x / self.step) * self.step, x)
        above, always = x >= 0, w < self.always
        d = (w < self.always + self.jump * above).astype(float)
        e = np.sqrt(6) * (drive - 0.5) + (z2 + v) / 2
        baseline = 0.5 + latent + 0.6 * latent**2 + 0.5 * always + self.noise * e
        baseline = baseline + self.policy * above
        effects = self.effect + 0.5 * latent + 0.5 * always
        columns = {"y": baseline + effects * d, "d": d, "x": x, "z1": z1, "z2": z2}
        compliers = ~always & (w < self.always + self.jump)
        return Draw(columns, baseline, effects, target=compliers, latent={"x": latent})
