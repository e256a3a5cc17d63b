"""Each contract check catches the fault that it is there for, and sound plug-ins pass them all.

Faulty scenarios and estimators are sound ones with one thing changed.
"""

import os
import random
import re
import sys
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import ClassVar
from unittest import SkipTest

import numpy as np
import pytest
from commands import python
from scipy import stats

from cibench import (
    Declined,
    Diagnosis,
    Draw,
    Estimand,
    Estimate,
    Roles,
    Scenario,
    Target,
    Truth,
    diagnostic,
    dial,
    estimator,
    find_scenario,
    parameter,
    scenario,
)
from cibench.contracts import (
    ESTIMATOR_CHECKS,
    SCENARIO_CHECKS,
    ContractError,
    check_estimator,
    check_scenario,
)
from cibench.contracts.__main__ import main
from cibench.contracts.estimator_fits import require_coherence
from cibench.contracts.pooled_truth import ask, limiting
from cibench.model import registry

pytestmark = pytest.mark.usefixtures("shelves")

CHECK = {check.__name__: check for check in SCENARIO_CHECKS}
CHECK_OF_ESTIMATOR = {check.__name__: check for check in ESTIMATOR_CHECKS}
UNSEEDED = np.random.default_rng()
TICKS = count()


@dataclass(frozen=True, kw_only=True)
class Experiment(Scenario):
    """An experiment whose effects differ between units, with a covariate."""

    estimand = Estimand.ATE
    roles = Roles(covariates=("x",))
    reference = "nobody (2026)"

    effect: float = parameter(1.0, within=(-10, 10), unit="s.d. of the noise")
    confounding: float = dial(
        default=0, grid=(0.5, 1), within=(0, 2), breaks="no confounding",
        unit="s.d. by which the covariate shifts the propensity to be treated",
    )  # fmt: skip
    drift: float = dial(
        default=0, grid=(0.5, 1), within=(0, 2), breaks="no drift", truth="moves",
        unit="s.d. of the noise by which the effect grows",
    )  # fmt: skip

    def truth(self):
        """Return the mean effect."""
        return self.effect + self.drift

    def draw(self, n, rng):
        """Draw n units."""
        x, v, e, u = rng.normal(size=(4, n))
        d = (v + self.confounding * x > 0).astype(float)
        baseline, effects = x + e, self.truth() + 0.5 * x + u
        return Draw({"y": baseline + effects * d, "d": d, "x": x}, baseline, effects)


@dataclass(frozen=True, kw_only=True)
class Panel(Scenario):
    """A panel with two cohorts, effects that grow with exposure and an answer per horizon."""

    estimand = Estimand.ATT
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
    reference = "nobody (2026)"
    periods: ClassVar[int] = 6

    spillover: float = dial(
        default=0, grid=(0.5, 1), within=(0, 2), breaks="no interference",
        unit="share of the mean effect that the untreated feel",
        felt="untreated units feel a share of the mean effect while somebody is treated",
    )  # fmt: skip

    def targets(self):
        return Target(Estimand.ATT), Target(Estimand.ATT, 0), Target(Estimand.ATT, 2)

    def truth(self):
        """Return the mean over treated unit-periods and the effects at two horizons."""
        overall, first, third = self.targets()
        return {overall: Truth(13 / 6), first: Truth(1.0), third: 3.0}

    def truth_at(self, n):
        """Return the same with thirds rounded down to whole units."""
        early, late = n // 3, 2 * n // 3 - n // 3
        overall = (early * 10 + late * 3) / (early * 4 + late * 2)
        return {**self.truth(), Target(Estimand.ATT): Truth(overall)}

    def draw(self, n, rng):
        """Draw n units; a third starts in period 2, a third in 4, a third never."""
        unit, time = np.indices((n, self.periods))
        cohort = np.select([unit < n // 3, unit < 2 * n // 3], [2, 4], 0)
        d = ((cohort > 0) & (time >= cohort)).astype(float)
        shock, noise = rng.normal(size=(n, 1)), rng.normal(size=unit.shape)
        since = time - cohort
        effects = 1.0 + since + 0.3 * shock
        baseline = shock + noise
        exposed = (d == 0) & (d.max(axis=0) > 0) & (self.spillover != 0)
        felt = np.where(exposed, self.spillover, effects * d)
        columns = {"y": baseline + felt, "d": d, "unit": unit, "time": time, "cohort": cohort}
        overall, first, third = self.targets()
        treated = d == 1
        marks = {overall: treated, first: treated & (since == 0), third: treated & (since == 2)}
        return Draw(
            {name: column.ravel() for name, column in columns.items()},
            baseline.ravel(), effects.ravel(), {t: m.ravel() for t, m in marks.items()},
            felt.ravel(), exposed.ravel(),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Discontinuity(Scenario):
    """A regression discontinuity with curved effects, noisy between units, and manipulation."""

    estimand = Estimand.ATE_AT_CUTOFF
    roles = Roles(running="x", cutoff=1.0)
    reference = "nobody (2026)"

    noise: float = parameter(0.5, within=(0, 10))
    sorting: float = dial(
        default=0, grid=(0.2, 0.5), within=(0, 1), breaks="no manipulation",
        unit="share of units just below the cutoff that sort above",
    )  # fmt: skip

    def truth(self):
        """Return the effect at the cutoff."""
        return 2.0

    def draw(self, n, rng):
        """Draw n units."""
        x, e, u, s = rng.uniform(-1, 1, n), *rng.normal(size=(2, n)), rng.uniform(size=n)
        report = np.where((x < 0) & (x > -0.1) & (s < self.sorting), -x, x)
        d = (report >= 0).astype(float)
        effects = 2 * np.exp(1.5 * x) + 5 * x**3 + self.noise * u
        baseline = np.sin(3 * x) + e
        columns = {"y": baseline + effects * d, "d": d, "x": 1 + report}
        return Draw(columns, baseline, effects, latent={"x": 1 + x})


SOUND = (Experiment, Panel, Discontinuity)


def made(cls, **fields):
    """Register a subclass of the class, as often as it is asked for, and make an instance."""
    if "__dataclass_fields__" not in cls.__dict__:
        dataclass(frozen=True, kw_only=True)(cls)
    own = type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "__module__": __name__})
    return scenario(f"planted/{cls.__name__.lower()}")(own)(**fields)


@pytest.mark.parametrize("cls", SOUND)
def test_sound_scenarios_pass(cls):
    check_scenario(made(cls))


def test_a_sound_scenario_passes_with_other_parameters_and_moved_dials():
    check_scenario(made(Experiment, effect=-0.2, confounding=0.7))
    check_scenario(made(Discontinuity, noise=0.0))
    check_scenario(find_scenario("did/two-group")(effect=0))  # where anticipation moves nothing


class Shrunk(Experiment):
    """The outcome is scaled after it was put together."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, columns={**drawn.columns, "y": 0.9 * drawn.columns["y"]})


class OffByTwoPercent(Experiment):
    """The truth is off by 2 %."""

    def truth(self):
        return 1.02 * super().truth()

    def draw(self, n, rng):
        return Experiment(effect=self.effect, drift=self.drift).draw(n, rng)


class LateOffByTwoPercent(Panel):
    """The truth of one horizon is off by 2 %, in a panel."""

    def truth_at(self, n):
        return {**super().truth_at(n), Target(Estimand.ATT, 2): 3.06}


class Rounded(Panel):
    """Thirds are rounded down to whole units, which the truth does not know."""

    def truth_at(self, n):
        return self.truth()


class OffAtFourteen(Experiment):
    """The effects of data sets of 14 units are 0.015 higher than the truth, and constant."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        effects = np.full(n, self.truth() + 0.015 * (n == 14))
        y = drawn.baseline + effects * drawn.columns["d"]
        return replace(drawn, columns={**drawn.columns, "y": y}, effects=effects)


class DrawnAnew(Experiment):
    """The effect is drawn anew in each data set, around the truth; within one it is constant."""

    spread: ClassVar[float] = 0.5
    noise: ClassVar[float] = 0.0

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        own = self.truth() + self.spread * rng.normal()
        effects = own + self.noise * (drawn.effects - self.truth())
        y = drawn.baseline + effects * drawn.columns["d"]
        return replace(drawn, columns={**drawn.columns, "y": y}, effects=effects)


class BarelyDrawnAnew(DrawnAnew):
    """Effects differ between units, and their mean by a tenth of that between data sets."""

    spread = 0.15
    noise = 1.0


class LimitOffByTwoPercent(Discontinuity):
    """The limit at the cutoff is off by 2 %."""

    def truth(self):
        return 2.04


class AverageAtCutoff(Discontinuity):
    """The truth is the average over all units and not the limit at the cutoff."""

    def truth(self):
        return 2 * np.sinh(1.5) / 1.5


class ConstantOff(Experiment):
    """Effects are constant and the truth is off in the sixth digit."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        effects = np.full(n, (1 + 1e-6) * self.truth())
        y = drawn.baseline + effects * drawn.columns["d"]
        return replace(drawn, columns={**drawn.columns, "y": y}, effects=effects)


class ExtraTruth(Experiment):
    """A truth is given for what is no target."""

    def truth(self):
        return {Target(Estimand.ATE): 1.0, Target(Estimand.ATT): 1.0}

    def draw(self, n, rng):
        return Experiment(effect=self.effect, drift=self.drift).draw(n, rng)


class NoTruth(Experiment):
    """One of two targets has no truth."""

    estimand = (Estimand.ATE, Estimand.COEFFICIENT)


class LeakedColumn(Experiment):
    """The outcome without treatment is a column."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, columns={**drawn.columns, "y0": drawn.baseline})


class LeakedCovariate(Experiment):
    """A covariate is the outcome without treatment on another scale."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, columns={**drawn.columns, "x": 3 - 2 * drawn.baseline})


class LeakedLatent(Experiment):
    """A covariate is an unobserved confounder."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, latent={"u": 2 * drawn.columns["x"]})


class MissingColumn(Experiment):
    """A role names a column that is not drawn."""

    roles = Roles(covariates=("x", "w"))


class ShortColumn(Experiment):
    """One array is a row short."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, effects=drawn.effects[1:])


class MissingValues(Experiment):
    """A column has a gap."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        x = np.where(np.arange(n) == 3, np.nan, drawn.columns["x"])
        return replace(drawn, columns={**drawn.columns, "x": x})


class WordColumn(Experiment):
    """A column holds words."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, columns={**drawn.columns, "x": drawn.columns["x"].astype(str)})


class NumberedTarget(Experiment):
    """The target is marked by row numbers."""

    def draw(self, n, rng):
        return replace(super().draw(n, rng), target=np.arange(n))


class GlobalNormal(Experiment):
    """Noise comes from the global numpy.random."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        e = np.random.normal(size=n)
        y = drawn.columns["y"] + e
        return replace(drawn, columns={**drawn.columns, "y": y}, baseline=drawn.baseline + e)


class GlobalRandom(GlobalNormal):
    """A number is taken from `random` and thrown away."""

    def draw(self, n, rng):
        random.random()
        return Experiment.draw(self, n, rng)


class Unrepeatable(Experiment):
    """Noise comes from a generator of its own."""

    def draw(self, n, rng):
        return super().draw(n, UNSEEDED)


class AlwaysTheSame(Experiment):
    """The stream is not looked at."""

    def draw(self, n, rng):
        return super().draw(n, np.random.default_rng(1))


class TooManyUnits(Experiment):
    """A draw of n has rows for n + n % 2."""

    def draw(self, n, rng):
        return super().draw(n + n % 2, rng)


class RowsForUnits(Panel):
    """A draw of n has n rows."""

    def draw(self, n, rng):
        return super().draw(n // self.periods, rng)


class AllTreated(Experiment):
    """Everybody is treated."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        y = drawn.baseline + drawn.effects
        return replace(drawn, columns={**drawn.columns, "d": np.ones(n), "y": y})


class DeadDial(Experiment):
    """A dial is not looked at."""

    dead: float = dial(default=0, grid=(1,), within=(0, 1), breaks="no death", unit="deaths")


class SecretlyFixed(Experiment):
    """A dial is said to leave the truth alone, and moves it."""

    drift: float = dial(default=0, grid=(1,), within=(0, 2), breaks="no drift", unit="s.d.")


class SecretlyMoved(Experiment):
    """A dial is said to leave the truth alone, truth() agrees, and the effects move."""

    drift: float = dial(default=0, grid=(1,), within=(0, 2), breaks="no drift", unit="s.d.")

    def truth(self):
        return self.effect

    def draw(self, n, rng):
        return Experiment(effect=self.effect, drift=self.drift).draw(n, rng)


class SaidToMove(Experiment):
    """A dial is said to move the truth, and leaves it alone."""

    confounding: float = dial(
        default=0, grid=(0.5, 1), within=(0, 2), breaks="no confounding", unit="s.d.",
        truth="moves",
    )  # fmt: skip


class Unpaired(Experiment):
    """A dial makes for more noise."""

    churn: float = dial(default=0, grid=(1, 2), within=(0, 2), breaks="no churn", unit="draws")

    def draw(self, n, rng):
        rng.normal(size=int(self.churn))
        return super().draw(n, rng)


class DeclaredUnpaired(Unpaired):
    """A dial makes for more noise and says so."""

    churn: float = dial(
        default=0, grid=(1, 2), within=(0, 2), breaks="no churn", unit="draws", paired=False
    )


class Anticipated(Panel):
    """Treatment is felt early by rows that are not marked as exposed."""

    early: float = dial(default=0, grid=(1,), within=(0, 1), breaks="no early signs", unit="share")

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        ahead = drawn.columns["time"] == drawn.columns["cohort"] - 1
        felt = drawn.felt + self.early * ahead
        y = drawn.baseline + felt
        return replace(drawn, columns={**drawn.columns, "y": y}, felt=felt)


class AnticipatedInSilence(Anticipated):
    """Treatment is felt early by exposed rows, which the dial does not say."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        ahead = drawn.columns["time"] == drawn.columns["cohort"] - 1
        return replace(drawn, exposed=drawn.exposed | (ahead & (self.early != 0)))


class SpillsOver(Experiment):
    """What others feel is in the outcome and nowhere else."""

    contact: float = dial(default=0, grid=(1,), within=(0, 1), breaks="no contact", unit="share")

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        y = drawn.columns["y"] + self.contact * np.roll(drawn.columns["d"], 1)
        return replace(drawn, columns={**drawn.columns, "y": y})


class AlwaysExposed(Panel):
    """Rows are exposed at the defaults."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        return replace(drawn, exposed=drawn.columns["d"] == 1)


class SaidToBeFelt(Experiment):
    """A dial says what is felt and exposes nobody."""

    confounding: float = dial(
        default=0, grid=(0.5, 1), within=(0, 2), breaks="no confounding", unit="s.d.",
        felt="everybody feels it",
    )  # fmt: skip


class UntreatedTarget(Panel):
    """The ATT averages over everybody."""

    def draw(self, n, rng):
        return replace(super().draw(n, rng), target=None)


class PartlyUntreatedTarget(Panel):
    """The rows that are marked for the ATT hold untreated ones."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        untreated = drawn.columns["d"] == 0
        return replace(drawn, target={t: m | untreated for t, m in drawn.target.items()})


class FeltByTheOthers(Panel):
    """Where some rows are exposed, those that are not feel more than their own effect."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        more = 0.3 * ~drawn.exposed * drawn.exposed.any()
        return replace(drawn, felt=drawn.felt + more)


class StrangeTarget(Panel):
    """Rows are marked for a horizon that nobody asks for."""

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        marks = {**drawn.target, Target(Estimand.ATT, 7): drawn.columns["d"] == 1}
        return replace(drawn, target=marks)


class MisspeltDial(Experiment):
    """A dial breaks an assumption that nobody spells like that."""

    sorting: float = dial(
        default=0, grid=(1,), within=(0, 1), breaks="no manipulations", unit="share"
    )


class PriorOfNobody(Experiment):
    """Its parameters come from the prior of a method that is none."""

    prior_of = "naive/difference-in-mean"


class OutOfRange(Experiment):
    """A default lies outside its own range."""

    effect: float = parameter(11.0, within=(-10, 10))

    def __post_init__(self):
        pass


class Undocumented(Experiment):
    pass


class Unreferenced(Experiment):
    """No reference is given."""

    reference = ""


class NobodyAnswers(Experiment):
    """No estimator is for it."""

    estimand = Estimand.LATE_AT_CUTOFF  # which every method wants a running variable for
    roles = Roles(covariates=("x",), treatment="d", cohort="x")


PLANTED = [
    (Shrunk, "check_outcome", "the outcome is not baseline + effects * treatment in 300 rows"),
    (SpillsOver, "check_outcome", "at contact=1: the outcome is not baseline"),
    (OffByTwoPercent, "check_truth_value", "truth() says 1.02 for ATE, but the average"),
    (LateOffByTwoPercent, "check_truth_value", "truth() says 3.06 for ATT[2], but the average"),
    (LimitOffByTwoPercent, "check_truth_value", "truth() says 2.04 for ATE_AT_CUTOFF, but the lim"),
    (AverageAtCutoff, "check_truth_value", "the limit of the effects from below is"),
    (Rounded, "check_truth_any_size", "with n=14 the truth of ATT is said to be 2.16667, but the"),
    (OffAtFourteen, "check_truth_any_size", "n=14 the truth of ATE is said to be 1, but the"),
    (DrawnAnew, "check_one_law", "the mean effect of ATE differs between data sets of 1000 units"),
    (BarelyDrawnAnew, "check_one_law", "then state a sample estimand"),
    (ConstantOff, "check_truth_value", "truth() says 1 for ATE, but the average"),
    (SecretlyMoved, "check_truth_value", "at drift=1: truth() says 1 for ATE"),
    (ExtraTruth, "check_truth_keys", "a truth is given for ATT, which is no population target"),
    (NoTruth, "check_truth_keys", "truth() gives one value for 2 targets"),
    (SecretlyFixed, "check_dial_truth", "'drift' is declared truth='fixed', but moves ATE from 1"),
    (SaidToMove, "check_dial_truth", "['confounding'] is declared truth='moves', but"),
    (LeakedColumn, "check_roles", "column 'y0' has no role"),
    (MissingColumn, "check_roles", "a role names column 'w', never drawn"),
    (LeakedCovariate, "check_no_leak", "column 'x' gives away the outcome without treatment"),
    (LeakedLatent, "check_no_leak", "column 'x' gives away latent 'u'"),
    (ShortColumn, "check_arrays", "effects: has shape (299,), the baseline (300,)"),
    (MissingValues, "check_arrays", "column 'x' is not finite"),
    (WordColumn, "check_arrays", "column 'x' is <U"),
    (NumberedTarget, "check_arrays", "target is int64, not boolean"),
    (GlobalNormal, "check_own_randomness", "column 'y' depends on a global random state"),
    (GlobalRandom, "check_own_randomness", "drawing moves a global random state"),
    (Unrepeatable, "check_repeatable", "column 'y' differs when drawn twice from one address"),
    (AlwaysTheSame, "check_repeatable", "column 'y' is the same from two addresses"),
    (TooManyUnits, "check_units", "a draw of n=211 has 212 rows"),
    (RowsForUnits, "check_units", "a draw of n=300 has 50 distinct units"),
    (AllTreated, "check_treatment_varies", "the treatment is always 1"),
    (DeadDial, "check_dials_alive", "dial 'dead' is dead"),
    (Unpaired, "check_dials_paired", "dial 'churn' changes how much noise is drawn"),
    (Anticipated, "check_exposure", "at early=1: felt is not effects * treatment in unexposed 200"),
    (AnticipatedInSilence, "check_exposure", "dial 'early' does not say what they have felt"),
    (AlwaysExposed, "check_exposure", "rows are exposed while every dial is at rest"),
    (SaidToBeFelt, "check_exposure", "dial 'confounding' says what is felt but exposes no row"),
    (UntreatedTarget, "check_targets", "the ATT averages over 1200 untreated rows"),
    (PartlyUntreatedTarget, "check_targets", "the ATT averages over 1200 untreated rows"),
    (FeltByTheOthers, "check_exposure", "felt is not effects * treatment in unexposed"),
    (StrangeTarget, "check_targets", "marks rows for ATT[7], which is no target"),
    (MisspeltDial, "check_assumption_names", "'no manipulations', but an estimator assumes 'no ma"),
    (PriorOfNobody, "check_prior", "did you mean 'naive/difference-in-means'?"),
    (OutOfRange, "check_defaults", "the default 11.0 of 'effect' lies outside -10 to 10"),
    (Undocumented, "check_documented", "has no docstring"),
    (Unreferenced, "check_documented", "states no reference"),
    (NobodyAnswers, "check_accepted", "every registered estimator declines it"),
]


@pytest.mark.parametrize(("cls", "check", "line"), PLANTED, ids=lambda v: getattr(v, "__name__", v))
def test_a_planted_fault_of_a_scenario_is_caught_by_its_check(cls, check, line):
    faulty = made(cls)
    with pytest.raises(ContractError, match=re.escape(line)) as caught:
        CHECK[check](faulty)
    assert str(caught.value).startswith(f"scenario planted/{cls.__name__.lower()}")
    assert "\n" not in str(caught.value)
    with pytest.raises(ContractError):
        check_scenario(faulty)


def test_a_dial_declared_unpaired_may_change_the_noise():
    CHECK["check_dials_paired"](made(DeclaredUnpaired))


def test_every_scenario_check_has_a_planted_fault():
    of_estimands = {"check_arms", "check_groups", "check_censoring", "check_null"}
    elsewhere = of_estimands | {"check_unit_effects", "check_points"}
    planted = {check for _, check, _ in PLANTED} | elsewhere
    assert planted >= set(CHECK) - {"check_latent_at_default"}


class Misread(Experiment):
    """The treatment is misread, or at rest too."""

    error: float = dial(default=0, grid=(0.2,), within=(0, 1), breaks="no misreading", unit="share")
    at_rest: bool = False

    def draw(self, n, rng):
        drawn = super().draw(n, rng)
        wrong = np.arange(n) < n * (self.error + 0.1 * self.at_rest)
        seen = np.where(wrong, 1 - drawn.columns["d"], drawn.columns["d"])
        latent = {"d": drawn.columns["d"]}
        return replace(drawn, columns={**drawn.columns, "d": seen}, latent=latent)


def test_the_outcome_follows_from_what_lies_behind_the_treatment():
    check_scenario(made(Misread))
    with pytest.raises(ContractError, match="'d' is not what lies behind it in 30 rows"):
        CHECK["check_latent_at_default"](made(Misread, at_rest=True))


def test_a_scenario_that_only_lacks_a_library_is_skipped():
    estimator("planted/absent", targets=(Estimand.LATE_AT_CUTOFF,), uses=("no_such_library",))(
        mean_difference
    )
    with pytest.raises(SkipTest):
        CHECK["check_accepted"](made(NobodyAnswers))


def test_a_late_at_the_cutoff_is_checked_among_the_marked_compliers():
    rng = np.random.default_rng(3)
    x, complies = rng.uniform(-1, 1, 5000), rng.uniform(size=5000) < 0.6
    effects = np.where(complies, 1 + x + x**2, -5.0)
    draw = Draw({"x": x}, np.zeros(5000), effects, target=complies)
    question = limiting(
        Target(Estimand.LATE_AT_CUTOFF), Truth(1.0), 1.0, Roles(running="x", cutoff=0.0), draw
    )
    for reading in question.read(np.stack([question.gauge(draw)] * 2)):
        assert abs(reading.value - 1) < 0.01


@pytest.mark.parametrize(("noise", "reach"), [(0.0, 0.03), (0.5, 0.04), (2.0, 0.08)])
def test_limits_at_the_cutoff_cover_the_truth_and_are_tight(noise, reach):
    at = made(Discontinuity, noise=noise)
    roles, target = at.assigned_roles(), Target(Estimand.ATE_AT_CUTOFF)
    first = at.draw(2520, np.random.default_rng(1))
    question = limiting(target, Truth(2.0), 2.0, roles, first)
    for reading in ask(at, 2520, {target: question})[target]:
        assert abs(reading.value - 2) < reading.reach < reach


def mean_difference(problem, rng):
    """Compare the treated with the untreated."""
    d, y = problem.treatment, problem.outcome
    means = [np.mean(y[d == side]) for side in (0, 1)]
    se = np.sqrt(sum(np.var(y[d == side]) / np.sum(d == side) for side in (0, 1)))
    return Estimate.wald(float(means[1] - means[0]), float(se), problem.level)


def bootstrap(problem, rng):
    """Compare the treated with the untreated, with a bootstrap error."""
    found = mean_difference(problem, rng)
    resampled = [np.mean(rng.choice(problem.outcome, 50)) for _ in range(20)]
    return Estimate.wald(found.value, float(np.std(resampled)), problem.level)


def with_frame(problem, rng):
    """Look at a copy of the frame, and print and warn a lot."""
    print(problem.frame.assign(z=1).describe())
    np.log(np.zeros(1))
    return {target: mean_difference(problem, rng) for target in problem.targets}


def knowing(problem, rng):
    """Know the effects."""
    value = float(np.mean(problem.draw.averaged(problem.targets[0])))
    return Estimate(value, 0.0, value, value)


DECLARED = {"targets": (Estimand.ATE,), "needs": ("treatment",), "assumes": ("no confounding",)}


def declared(fit, **other):
    made(Experiment)
    return estimator(f"planted/{fit.__name__.replace('_', '-')}", **{**DECLARED, **other})(fit)


@pytest.mark.parametrize("fit", [mean_difference, bootstrap, with_frame])
def test_sound_estimators_pass(fit):
    check_estimator(declared(fit))


def test_a_sound_oracle_passes():
    check_estimator(declared(knowing, oracle=True))


def balance(problem, rng):
    """Compare the covariate between the groups."""
    return Diagnosis(passed=True, p_value=0.5)


def test_a_sound_diagnostic_passes():
    made(Experiment)
    made_of = diagnostic("planted/balance", tests=("no confounding",), needs=("covariates",))
    check_estimator(made_of(balance))


def mutates_its_frame(problem, rng):
    """Add a column to the frame."""
    problem.frame["d2"] = problem.treatment
    return mean_difference(problem, rng)


def sorts_its_frame(problem, rng):
    """Sort the frame where it stands."""
    problem.frame.sort_values("y", inplace=True)
    return mean_difference(problem, rng)


def writes_into_columns(problem, rng):
    """Force a column open and change it."""
    problem.outcome.flags.writeable = True
    problem.outcome[0] = 0
    return mean_difference(problem, rng)


def changes_error_state(problem, rng):
    """Silence numpy."""
    np.seterr(all="ignore")
    return mean_difference(problem, rng)


def changes_directory(problem, rng):
    """Go elsewhere."""
    os.chdir("/")
    return mean_difference(problem, rng)


def changes_environment(problem, rng):
    """Set an environment variable."""
    os.environ["OMP_NUM_THREADS"] = "3"
    return mean_difference(problem, rng)


def is_not_finite(problem, rng):
    """Find nothing."""
    return Estimate.wald(float("nan"), 1.0, problem.level)


def ignores_the_level(problem, rng):
    """Give limits at 95 % whatever is asked."""
    found = mean_difference(problem, rng)
    return Estimate.wald(found.value, found.se, 0.95)


def is_unrepeatable(problem, rng):
    """Bootstrap from a generator of its own."""
    return bootstrap(problem, np.random.default_rng())


def counts_its_calls(problem, rng):
    """Give another answer at each call."""
    return replace(mean_difference(problem, rng), statistic=float(next(TICKS)))


def declines_all_data(problem, rng):
    """Decline."""
    raise Declined("not today")


def breaks(problem, rng):
    """Break."""
    return Estimate(1 / 0)


def exits(problem, rng):
    """Leave."""
    sys.exit(3)


def swaps_its_limits(problem, rng):
    """Give the upper limit first."""
    found = mean_difference(problem, rng)
    return replace(found, low=found.high, high=found.low)


def has_one_limit(problem, rng):
    """Give no lower limit."""
    return replace(mean_difference(problem, rng), low=None)


def has_negative_error(problem, rng):
    """Give a negative standard error."""
    return replace(mean_difference(problem, rng), se=-1.0)


def gives_no_error(problem, rng):
    """Give no standard error."""
    return replace(mean_difference(problem, rng), se=None)


def gives_a_number(problem, rng):
    """Give a number."""
    return mean_difference(problem, rng).value


def answers_something_else(problem, rng):
    """Answer what nobody asked."""
    return {Target(Estimand.ATT): mean_difference(problem, rng)}


def undocumented(problem, rng):
    return mean_difference(problem, rng)


def lies_beside_its_limits(problem, rng):
    """Give a value ten standard errors above its own limits."""
    honest = mean_difference(problem, rng)
    return replace(honest, value=honest.value + 10 * honest.se)


def gives_another_p_value(problem, rng):
    """Give a p-value that its limits contradict."""
    honest = mean_difference(problem, rng)
    holds = honest.low < 0 < honest.high
    return replace(honest, p_value=0.001 if holds else 0.9)


def bands_too_narrow(problem, rng):
    """Give a simultaneous band inside the pointwise limits."""
    honest = mean_difference(problem, rng)
    return replace(honest, band_low=honest.low + honest.se, band_high=honest.high)


def claims_three_degrees(problem, rng):
    """Give normal limits beside three degrees of freedom."""
    honest = mean_difference(problem, rng)
    return replace(Estimate.wald(honest.value, honest.se, problem.level), df=3)


def gives_its_variance(problem, rng):
    """Give the variance for the standard error, beside right limits."""
    honest = mean_difference(problem, rng)
    return replace(honest, se=honest.se**2)


def has_a_fixed_error(problem, rng):
    """Give the standard error of an outcome with variance one, whatever its variance."""
    se = 2 / len(problem.outcome) ** 0.5
    return Estimate.wald(mean_difference(problem, rng).value, se, problem.level)


def forgets_the_root(problem, rng):
    """Give a variance, and limits that rest on it."""
    honest = mean_difference(problem, rng)
    return Estimate.wald(honest.value, honest.se**2, problem.level)


def gives_no_error_to_its_limits(problem, rng):
    """Give limits with a length beside a standard error of 0."""
    return replace(mean_difference(problem, rng), se=0.0)


FAULTY = [
    (gives_no_error_to_its_limits, "check_coherence", "its standard error is 0, but its limits"),
    (claims_three_degrees, "check_coherence", "with 3 degrees of freedom puts them"),
    (gives_its_variance, "check_unit_of_outcome", "its se a million times, as a variance is"),
    (has_a_fixed_error, "check_unit_of_outcome", "1000 times as large, its se is what it was"),
    (forgets_the_root, "check_unit_of_outcome", "its se a million times, as a variance is"),
    (lies_beside_its_limits, "check_coherence", "is not within"),
    (gives_another_p_value, "check_coherence", "but its limits at 0.95"),
    (bands_too_narrow, "check_coherence", "is narrower than limits"),
    (mutates_its_frame, "check_leaves_data", "changes problem.frame"),
    (sorts_its_frame, "check_leaves_data", "changes problem.frame"),
    (writes_into_columns, "check_leaves_data", "writes into column 'y'"),
    (changes_error_state, "check_leaves_state", "changes numpy's error state"),
    (changes_directory, "check_leaves_state", "changes the working directory"),
    (changes_environment, "check_leaves_state", "changes the environment variables"),
    (is_not_finite, "check_answers", "ATE: value is nan"),
    (breaks, "check_answers", "ZeroDivisionError: division by zero"),
    (exits, "check_answers", "calls sys.exit"),
    (swaps_its_limits, "check_answers", "limits in the wrong order"),
    (has_one_limit, "check_answers", "declares that it gives limits, but does not"),
    (has_negative_error, "check_answers", "se is negative: -1"),
    (gives_no_error, "check_answers", "declares that it gives se, but does not"),
    (gives_a_number, "check_answers", "gives no Estimate for ATE but a float"),
    (answers_something_else, "check_answers", "gives no Estimate for ATE but a dict"),
    (declines_all_data, "check_answers", ": not today"),
    (ignores_the_level, "check_level", "at a level of 0.95, "),
    (is_unrepeatable, "check_repeatable", "answers differ when fitted twice from one address"),
    (counts_its_calls, "check_repeatable", "answers differ when fitted twice from one address"),
    (knowing, "check_no_secret_draw", "declare oracle=True"),
    (undocumented, "check_documented", "its function has no docstring"),
]


def permutes_a_few_times(problem, rng):
    """Give the p-value of 9 permutations, which cannot be below 0.1."""
    return replace(mean_difference(problem, rng), p_value=0.1)


def test_a_test_by_few_permutations_contradicts_nothing():
    CHECK_OF_ESTIMATOR["check_coherence"](declared(permutes_a_few_times))


@pytest.mark.parametrize("df", [1, 2.5, 7, 300, np.inf])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.999])
def test_limits_by_any_degrees_of_freedom_contradict_nothing_but_those_by_others(df, level):
    right = Estimate.wald(2.0, 0.3, level, None if df == np.inf else df)
    require_coherence(replace(right, df=df), level, "here")
    for other in (1.5, 4, 25, np.inf):
        quantiles = [stats.t(each).ppf((1 + level) / 2) for each in (df, other)]
        if abs(quantiles[1] / quantiles[0] - 1) > 0.011:
            with pytest.raises(ContractError, match="degrees of freedom puts them"):
                require_coherence(replace(right, df=other), level, "here")


def test_limits_that_say_nothing_of_degrees_of_freedom_are_not_held_to_them():
    right = Estimate.wald(2.0, 0.3, 0.95, 5)
    others = [
        {"df": None, "low": 1.0, "high": 3.0}, {"low": right.low + 0.2},
        {"se": 0.0, "low": 2.0, "high": 2.0},
        {"high": np.inf}, {"outside": True, "value": 9.0},
    ]  # fmt: skip
    for change in others:
        require_coherence(replace(right, **change), 0.95, "here")


def test_the_error_beside_posterior_draws_may_be_the_standard_deviation_of_a_t_law():
    law = stats.t(6, loc=2.0, scale=0.3)
    low, high = law.interval(0.95)
    posterior = Estimate(2.0, law.std(), low, high, df=6)
    with pytest.raises(ContractError, match="with 6 degrees of freedom"):
        require_coherence(posterior, 0.95, "here")
    require_coherence(replace(posterior, draws=law.rvs(9, random_state=1)), 0.95, "here")


def assert_caught(faulty, check, line):
    with pytest.raises(ContractError, match=re.escape(line)) as caught:
        CHECK_OF_ESTIMATOR[check](faulty)
    assert str(caught.value).startswith(f"{faulty.kind.replace('ate', 'ator')} {faulty.name}")
    assert "\n" not in str(caught.value)
    with pytest.raises(ContractError):
        check_estimator(faulty)


@pytest.mark.parametrize(("fit", "check", "line"), FAULTY, ids=lambda v: getattr(v, "__name__", v))
def test_a_planted_fault_of_an_estimator_is_caught_by_its_check(fit, check, line):
    folder, environment, errors = Path.cwd(), dict(os.environ), np.geterr()
    assert_caught(declared(fit), check, line)
    assert (Path.cwd(), dict(os.environ), np.geterr()) == (folder, environment, errors)


def test_a_role_that_does_not_exist_is_refused_and_caught():
    with pytest.raises(ValueError, match="no role named 'instrument'; did you mean 'instruments'"):
        declared(mean_difference, needs=("instrument",))
    faulty = replace(declared(mean_difference), needs=("instrument",))
    assert_caught(faulty, "check_declaration", "needs the role 'instrument', which does not exist")


def test_an_estimator_that_declines_everything_is_caught():
    faulty = declared(mean_difference, needs=("running", "instruments", "cohort"))
    assert_caught(faulty, "check_accepts_some", "registered scenarios: answers ATE, not ")


def test_a_misspelt_assumption_is_caught():
    faulty = declared(mean_difference, assumes=("no confoundings",))
    line = "assumes 'no confoundings', but a dial breaks 'no confounding'"
    assert_caught(faulty, "check_assumption_names", line)


def test_options_other_than_the_functions_are_caught():
    faulty = replace(declared(mean_difference), options={"order": 4})
    assert_caught(faulty, "check_form", "its options are not those of its function")
    faulty = replace(declared(mean_difference), fit=lambda problem: None)
    assert_caught(faulty, "check_form", "fit(problem, rng) cannot be called")
    for fit in (
        lambda problem, robust=False: None,
        lambda problem, robust=False, *, rng=None: None,
    ):
        faulty = replace(declared(mean_difference), fit=fit)
        assert_caught(faulty, "check_form", "the random stream would be passed as 'robust'")


def test_a_diagnostic_with_an_impossible_p_value_is_caught():
    made(Experiment)

    def impossible(problem, rng):
        """Go beyond."""
        return Diagnosis(passed=True, p_value=1.2)

    faulty = diagnostic("planted/impossible", tests=("no confounding",))(impossible)
    assert_caught(faulty, "check_answers", "p-value is 1.2")


def test_an_estimator_that_only_lacks_a_library_is_skipped():
    lacking = declared(mean_difference, uses=("no_such_library",))
    for check in ("check_accepts_some", "check_answers", "check_level"):
        with pytest.raises(SkipTest, match="pip install no_such_library"):
            CHECK_OF_ESTIMATOR[check](lacking)


def test_what_is_asserted_of_each_estimator_check():
    asserted = {check for _, check, _ in FAULTY}
    asserted |= {"check_declaration", "check_accepts_some", "check_assumption_names", "check_form"}
    assert asserted == set(CHECK_OF_ESTIMATOR)


PLUGIN = '''
"""A coin is tossed for treatment."""
import numpy as np
from cibench import Draw, Estimand, Scenario, scenario

@scenario("mine/{name}")
class Coin(Scenario):
    """A fair coin."""
    estimand = Estimand.ATT
    reference = "mine"

    def truth(self):
        return 1.0

    def draw(self, n, rng):
        d, e = rng.integers(0, 2, n), rng.normal(size=n)
        return Draw({{"y": e + {effect} * d, "d": d}}, e, np.ones(n), d == 1)
'''


def plugin(folder, name, effect):
    path = folder / f"{name}.py"
    path.write_text(PLUGIN.format(name=name, effect=effect))
    return str(path)


def test_the_command_checks_what_a_plugin_registers(tmp_path, capsys):
    assert main([plugin(tmp_path, "fair", 1)]) == 0
    pytest.importorskip("statsmodels")  # without its users a check has nobody to ask
    assert capsys.readouterr().out == f"ok   scenario mine/fair: {len(CHECK)} checks\n"
    assert main([plugin(tmp_path, "unfair", 0.9), "cibench.estimators.naive"]) == 1
    failed, passed = capsys.readouterr().out.splitlines()
    assert failed.startswith("FAIL scenario mine/unfair: the outcome is not baseline + effects")
    assert passed == f"ok   estimator naive/difference-in-means: {len(CHECK_OF_ESTIMATOR)} checks"


@pytest.mark.parametrize(
    ("name", "line"), [("absent.py", "plug-in '"), ("json", "registers no scenario and no")]
)
def test_the_command_refuses_what_it_cannot_check_in_one_line(name, line, capsys):
    assert main([name]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert line in said.err
    assert said.err.count("\n") == 1


def test_the_command_takes_a_built_in_file_for_the_built_in():
    built_in = str(registry.entry("scenario", "did/two-group").path)
    ran = python("-m", "cibench.contracts", built_in)
    assert ran.returncode == 0
    assert ran.stdout == f"ok   scenario did/two-group: {len(CHECK)} checks\n"
