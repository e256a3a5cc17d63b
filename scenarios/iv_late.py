"""Instrumental variables: a binary instrument and effects that differ, a LATE.

    D = 1[R < p + Z share],  R ~ U(0, 1),  Z = 1[dependence E + sqrt(1 - dependence^2) W > 0]
    Y = X + gap (A - N) + E + direct Z + D (effect + gain (A - N) + X / 2),   E, W, X ~ N(0, 1)

R, the reluctance to be treated, makes always-takers (A: R < p, the parameter `always`), compliers
(R < p + share, the parameter `compliers`) and never-takers (N, the others). Half of the units are
encouraged (Z = 1), at random and whatever X. The estimand is the compliers' mean effect, `effect`:
their effects are effect + X/2. Always-takers gain `gain` more, never-takers as much less, so that
the ATE is effect + gain (P(A) - P(N)): 0.7 where the LATE is 1. Those who gain more are also better
off without treatment. The naive difference between treated and untreated is off by 1.187.

What the dials do to two-stage least squares, with the share of compliers 0.5:
- `direct`: encouragement moves the outcome by itself. Off by direct / share, 0.4 at 0.2.
- `dependence`: those who would do well anyway are likelier to be encouraged. Off by
  sqrt(8 / pi) dependence / share, 0.319 at 0.1.
- `defiers`: the most reluctant (out of the never-takers) do the opposite of what they are told. The
  estimand stays the compliers' effect, the same units with the same truth, but least squares in two
  stages takes (share effect - defiers (effect - gain)) / (share - defiers) for it. Off by
  defiers gain / (share - defiers), 0.667 at 0.2.

Weakness is no dial here but the parameter `compliers`: mu2 = n share^2 / (4 m (1 - m) - share^2)
with m = p + share / 2, 189 with n = 500. With one instrument limits fail only if the treatment's
error is nearly collinear with the outcome's (Angrist and Kolesar 2024, JoE 240). In this design
their correlation is 0.49; with |correlation| <= 0.8 coverage stays above 86 % whatever mu2, within
ten points of the nominal level. `iv/just-identified` shows what happens beyond.

At the defaults the errors' variance differs between the treated and the others, but as half of the
units are encouraged errors that take it for constant are right all the same.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("iv/late")
class Late(Scenario):
    """Compliers, always- and never-takers whose effects and baselines differ; a covariate."""

    estimand = Estimand.LATE
    roles = Roles(covariates=("x",), instruments=("z",))
    reference = "Angrist, Imbens and Rubin (1996), JASA 91, propositions 2 and 3"
    violates = ("no confounding", "constant effects")

    effect: float = parameter(1.0, unit="s.d. of E, the compliers' mean effect")
    gain: float = parameter(1.0, unit="s.d. of E by which always-takers gain more than compliers")
    gap: float = parameter(1.0, unit="s.d. of E by which always-takers are better off untreated")
    always: float = parameter(0.1, within=(0.0, 0.99), unit="share of always-takers")
    compliers: float = parameter(0.5, within=(0.01, 1.0), unit="share of compliers")
    direct: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(-10, 10), breaks="exclusion restriction",
        unit="s.d. of E that encouragement adds to the outcome by itself",
    )  # fmt: skip
    dependence: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(-1, 1),
        breaks="instrument independent of the error",
        unit="correlation of what decides on encouragement and the outcome's error",
    )  # fmt: skip
    defiers: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(0, 0.99), breaks="monotonicity",
        unit="share of units, out of the never-takers, that do the opposite",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        never = 1 - self.always - self.compliers
        if never < -1e-12:
            raise ValueError("always + compliers is more than 1")
        if self.defiers > never + 1e-12:
            raise ValueError(f"defiers = {self.defiers:g} is more than the {never:g} never-takers")

    def truth(self) -> float:
        """Return the compliers' mean effect; X has mean zero among them."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units; the target are the compliers."""
        r = rng.random(n)
        e, w, x = rng.standard_normal((3, n))
        z = self.dependence * e + np.sqrt(1 - self.dependence**2) * w > 0
        reach = self.always + self.compliers
        d = np.where(r >= 1 - self.defiers, ~z, r < np.where(z, reach, self.always)).astype(float)
        kind = (r < self.always).astype(float) - (r >= reach)
        baseline = x + self.gap * kind + e + self.direct * z
        effects = self.effect + self.gain * kind + x / 2
        columns = {"y": baseline + effects * d, "d": d, "x": x, "z": z.astype(float)}
        return Draw(columns, baseline, effects, target=kind == 0)
