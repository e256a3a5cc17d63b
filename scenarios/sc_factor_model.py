"""Synthetic control: a factor-model panel of states and years, few of them treated in the end.

    Y_it = F_it + interactive M_it + noise e_it + G_i (outside + structural_break P_t) f_t
           + effect G_i P_t,                                      P_t = 1[t >= 2009]

After Arkhangelsky and others (2021): F + M is the rank-4 part of a panel of standardised log wages,
50 states by 40 years, its loadings and factors declared in `_wages`; F is its additive, M its
interactive part, f the leading factor of M, scaled to loadings of variance 1. Errors are AR(2) over
the years with s.d. 0.098. State i is treated with a chance that is logistic in its loadings, at
most `treated` states (drawn at random from more), one where none came up. With n = 50 each state is
there once; other n go through the states again and again.

The treated have other loadings than the donors, so that their trends are not parallel: differences
in differences are off by 0.022, with an RMSE of 0.049 (0.047 without noise). A naive difference in
means, which takes the states' levels and the years' growth for an effect, is off by 1.35.

Synthetic differences in differences with placebo errors cover in 95 % of data sets by the published
figure (table 4, 400 replicates), synthetic control, which is off by 0.02, in 89 %.

What the dials do, with n = 50:
- `outside`: the treated units' loadings on f lie that many s.d. further out in all years, beyond
  what a weighted average of donors can reach. At 4 synthetic control is off by about 0.3, and
  synthetic differences in differences, which need changes alone to match, by about 0.09.
- `structural_break`: from 2009 on their loadings on f move by that many s.d.; weights that
  matched before no longer do. Any method that extrapolates from before is off by 0.076 at 1, the
  mean of f from 2009 on.
- `lost`: the panel begins that many years later. With 4 years before treatment weights fit the
  noise and no longer the factors. The wages' own factors move so slowly that 4 years do nearly as
  well; with `interactive` = 5 synthetic differences in differences are off by about 0.06, not 0.01.
- `spillover`: the donors feel that share of the effect from 2009 on. The baseline is the world
  where nobody is ever treated, and the ATT what the policy as a whole does to the treated, compared
  with that world. Whoever compares with weighted donors is off by -spillover effect, -0.1 at 1.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario
from cibench.model import Array

from . import _wages as wages

ADOPTION = 2009
AFTER = (wages.YEARS >= ADOPTION).astype(float)


def _parts() -> tuple[Array, Array, Array]:
    """Return additive and interactive part, states by years, and the latter's leading factor."""
    low_rank = wages.LOADINGS @ wages.FACTORS.T
    by_state, by_year = low_rank.mean(axis=1, keepdims=True), low_rank.mean(axis=0)
    additive = by_state + by_year - low_rank.mean()
    interactive = low_rank - additive
    u, s, v = np.linalg.svd(interactive)
    return (
        additive,
        interactive,
        v[0] * s[0] * np.sign(u[:, 0] @ wages.CHANCES) / np.sqrt(u.shape[0]),
    )


def _correlations() -> Array:
    """Return the AR(2) errors' correlation matrix over the years (the Yule-Walker equations)."""
    one, two = wages.AUTOREGRESSION
    by_lag = [1.0, one / (1 - two)]
    for _ in wages.YEARS[2:]:
        by_lag.append(one * by_lag[-1] + two * by_lag[-2])
    return np.asarray(np.array(by_lag)[np.abs(wages.YEARS[:, None] - wages.YEARS)])


ADDITIVE, INTERACTIVE, LEADING = _parts()
ROOT = wages.NOISE * np.linalg.cholesky(_correlations())


@scenario("sc/factor-model")
class FactorModel(Scenario):
    """States by years; at most `treated` of the n states are treated from 2009 on."""

    estimand = Estimand.ATT
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
    reference = "Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021), AER 111, section 3.1"
    violates = ("parallel trends", "no confounding")

    effect: float = parameter(0.1, unit="s.d. of log wages")
    treated: int = parameter(10, within=(1, 1000), unit="treated states at most")
    interactive: float = parameter(1.0, within=(0, 10), unit="size of the interactive part M")
    noise: float = parameter(1.0, within=(0, 10), unit="size of the errors")
    outside: float = dial(
        default=0, grid=(1, 2, 4), within=(-10, 10),
        breaks="treated units within the hull of the donors",
        unit="s.d. of the loadings by which the treated units lie further out",
    )  # fmt: skip
    structural_break: float = dial(
        default=0, grid=(0.5, 1, 2), within=(-10, 10), breaks="stable loadings",
        unit="s.d. of the loadings by which those of the treated units move in 2009",
    )  # fmt: skip
    lost: float = dial(
        default=0, grid=(10, 20, 26), within=(0, 28), breaks="many periods before treatment",
        unit="first years of 30 before treatment that are not seen (rounded)",
    )  # fmt: skip
    spillover: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no interference",
        unit="share of the effect felt by the donors from 2009 on",
        felt="the donors feel a share of the effect while the treated are treated",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for every treated state and year."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n states over the years that are seen, rows sorted by unit and time."""
        e = rng.normal(size=(n, wages.YEARS.size)) @ ROOT.T
        chance, order = rng.random((2, n))
        state = np.arange(n) % wages.STATES
        group = self._assigned(chance < wages.CHANCES[state], order)[:, None]
        moved = group * (self.outside + self.structural_break * AFTER) * LEADING
        baseline = ADDITIVE[state] + self.interactive * INTERACTIVE[state] + moved + self.noise * e
        d = group * AFTER
        spread = self.spillover * ~group * AFTER
        felt = self.effect * (d + spread)
        unit, year = np.indices(baseline.shape)
        cohort = np.where(group, ADOPTION, 0) + 0 * year
        columns = {
            "y": baseline + felt,
            "d": d,
            "unit": unit,
            "time": wages.YEARS[year],
            "cohort": cohort,
        }
        seen = slice(round(self.lost), None)
        rows = {name: column[:, seen].ravel() for name, column in columns.items()}
        flat = [part[:, seen].ravel() for part in (baseline, felt, spread != 0)]
        effects = np.full(flat[0].size, self.effect)
        return Draw(rows, flat[0], effects, rows["d"] == 1, flat[1], flat[2])

    def _assigned(self, drawn: Array, order: Array) -> Array:
        """Return who is treated: the first by `order` of those drawn, or one; one donor is left."""
        rank = np.argsort(np.argsort(np.where(drawn, order, 1 + order)))
        most = min(self.treated, max(order.size - 1, 1))
        return np.asarray(rank < min(max(int(drawn.sum()), 1), most))
