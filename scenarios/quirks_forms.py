"""Designs of every kind in other forms: the same draws with other types, rows and columns.

    (Y, D, X, ...)  ~  the scenario that is named, at its defaults

whose equations, truth and naive bias hold here, too (in hundredths where numbers are whole).
Nothing breaks an assumption beyond what that scenario does; the parameters change the form alone:
- `numbers`: doubles, single precision, or whole numbers (the outcome in hundredths, rounded; a
  treatment and instruments of zeros and ones; covariates and running variables stay as they are).
- `rows`: as drawn, backwards, or shuffled.
- `columns`: covariates and instruments as the scenario lists them, or the other way round.
- `covariates` (arms, missing): continuous, or whole numbers, by which treatment and outcomes go as
  well: ties everywhere, and no mean moves, as the normal draws are rounded about zero.
- `missing` (two-period, donors): no row, or the last period of every fifth unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from cibench import Draw, Roles, Scenario, parameter, scenario
from cibench.model import Array

from .bayes_experiment import Experiment
from .business_cold_start import ColdStart
from .did_sant_anna_zhao import BothRight
from .iv_late import Late
from .observables_heterogeneous import Heterogeneous
from .observables_nonresponse import Nonresponse
from .rd_fuzzy import Fuzzy
from .sc_factor_model import FactorModel

CHOICES = {
    "numbers": ("double", "single", "whole"),
    "rows": ("drawn", "backwards", "shuffled"),
    "columns": ("listed", "reversed"),
}
"""The values that each parameter may take, the default first."""

TIES = {**CHOICES, "covariates": ("continuous", "discrete")}
GAPS = {**CHOICES, "missing": ("none", "unbalanced")}
"""The values of the designs that have one form more."""

HUNDREDTHS = 100.0


@dataclass(frozen=True, kw_only=True)
class Recast(Scenario):
    """What they share: all but the scenario whose draws they take."""

    drawn_from: ClassVar[type[Scenario]]
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = CHOICES

    numbers: str = parameter("double", unit="double, single, whole")
    rows: str = parameter("drawn", unit="drawn, backwards, shuffled")
    columns: str = parameter("listed", unit="listed, reversed")

    def __post_init__(self) -> None:
        """Refuse a form that there is none of."""
        super().__post_init__()
        for name, known in self.choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} is none of {known}")

    def assigned_roles(self) -> Roles:
        """Return the scenario's roles, lists of columns the other way round where asked for."""
        roles = self.drawn_from().assigned_roles()
        if self.columns == "listed":
            return roles
        return replace(
            roles, covariates=roles.covariates[::-1], instruments=roles.instruments[::-1]
        )

    def truth(self) -> Any:
        """Return the scenario's truth, in hundredths where numbers are whole."""
        given: Any = self.drawn_from().truth()
        return given * self._scale

    @property
    def _scale(self) -> float:
        return HUNDREDTHS if self.numbers == "whole" else 1.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units as the scenario does, then change their form."""
        drawn = self._source().draw(n, rng)
        order = self._order(rng.permutation(drawn.baseline.size))
        order = order[self._kept(drawn.columns)[order]]
        shown = {name: self._typed(name, column[order]) for name, column in drawn.columns.items()}
        roles, effects = self.drawn_from().assigned_roles(), self._scale * drawn.effects[order]
        felt = None if drawn.felt is None else self._scale * drawn.felt[order]
        own = effects * shown[roles.treatment] if felt is None else felt
        return Draw(
            shown, shown[roles.outcome].astype(float) - own, effects,
            _sorted(drawn.target, order), felt, _sorted(drawn.exposed, order),
            {name: latent[order] for name, latent in drawn.latent.items()},
        )  # fmt: skip

    def _source(self) -> Scenario:
        return self.drawn_from()

    def _kept(self, columns: Mapping[str, Array]) -> Array:
        return np.ones(next(iter(columns.values())).size, dtype=bool)

    def _order(self, shuffled: Array) -> Array:
        order = np.arange(shuffled.size)
        return {"drawn": order, "backwards": order[::-1]}.get(self.rows, shuffled)

    def _typed(self, name: str, column: Array) -> Array:
        roles = self.drawn_from().assigned_roles()
        if self.numbers == "whole" and name == roles.outcome:
            return np.rint(HUNDREDTHS * column).astype(np.int64)
        if self.numbers == "whole" and name in (roles.treatment, *roles.instruments):
            return column.astype(np.int64)
        single = self.numbers == "single" and column.dtype.kind == "f"
        return column.astype(np.float32) if single else column


def _sorted(masks: Any, order: Array) -> Any:
    if isinstance(masks, Mapping):
        return {target: mask[order] for target, mask in masks.items()}
    return None if masks is None else masks[order]


class WholeArms(Heterogeneous):
    """The same with covariates of whole numbers."""

    def covariates_of(self, normal: Array) -> Array:
        """Return the normal draws, rounded."""
        return np.rint(normal)


class WholeMissing(Nonresponse):
    """The same with covariates of whole numbers."""

    def covariates_of(self, normal: Array) -> Array:
        """Return the normal draws, rounded."""
        return np.rint(normal)


@dataclass(frozen=True, kw_only=True)
class Tied(Recast):
    """What designs share whose covariates may be whole numbers."""

    choices = TIES
    discrete: ClassVar[type[Scenario]]

    covariates: str = parameter("continuous", unit="continuous, discrete")

    def _source(self) -> Scenario:
        return self.drawn_from() if self.covariates == "continuous" else self.discrete()


@dataclass(frozen=True, kw_only=True)
class Panelled(Recast):
    """What panels share of which rows may be missing."""

    choices = GAPS

    missing: str = parameter("none", unit="none, unbalanced")

    def _kept(self, columns: Mapping[str, Array]) -> Array:
        time = columns["time"]
        lost = (columns["unit"] % 5 == 4) & (time == time.max())
        return np.asarray(~lost | (self.missing == "none"))


@scenario("quirks/arms")
class Arms(Tied):
    """observables/heterogeneous: selection on three covariates, the mean effect."""

    drawn_from, discrete = Heterogeneous, WholeArms
    estimand, roles = Heterogeneous.estimand, Heterogeneous.roles
    reference, violates = Heterogeneous.reference, Heterogeneous.violates


@scenario("quirks/missing")
class Missing(Tied):
    """observables/nonresponse: a mean under missing outcomes."""

    drawn_from, discrete = Nonresponse, WholeMissing
    estimand, roles = Nonresponse.estimand, Nonresponse.roles
    reference, violates = Nonresponse.reference, Nonresponse.violates


@scenario("quirks/late")
class Encouraged(Recast):
    """iv/late: compliers, always- and never-takers."""

    drawn_from = Late
    estimand, roles = Late.estimand, Late.roles
    reference, violates = Late.reference, Late.violates


@scenario("quirks/fuzzy")
class Takers(Recast):
    """rd/fuzzy: take-up jumps at the cutoff."""

    drawn_from = Fuzzy
    estimand, roles = Fuzzy.estimand, Fuzzy.roles
    reference, violates = Fuzzy.reference, Fuzzy.violates


@scenario("quirks/two-period")
class TwoPeriod(Panelled):
    """did/sant-anna-zhao-1: two periods and four covariates."""

    drawn_from = BothRight
    estimand, roles = BothRight.estimand, BothRight.roles
    reference, violates = BothRight.reference, BothRight.violates


@scenario("quirks/donors")
class Donors(Panelled):
    """sc/factor-model: states and years, few of them treated in the end."""

    drawn_from = FactorModel
    estimand, roles = FactorModel.estimand, FactorModel.roles
    reference, violates = FactorModel.reference, FactorModel.violates


@scenario("quirks/stores")
class Stores(Recast):
    """business/cold-start: a new store with few rows of its own."""

    drawn_from = ColdStart
    estimand, roles = ColdStart.estimand, ColdStart.roles
    reference, violates = ColdStart.reference, ColdStart.violates


@scenario("quirks/experiment")
class Randomised(Recast):
    """bayes/experiment: half of the units are treated at random."""

    drawn_from = Experiment
    estimand, roles = Experiment.estimand, Experiment.roles
    reference, violates = Experiment.reference, Experiment.violates
