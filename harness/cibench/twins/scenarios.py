"""A twin as a scenario: its file becomes a class with an effect to plant and the design's dials.

    Y = f(columns) + residual + D effect

with f, the residual's law and the law of D from the twin's file. `effect` is a number or a formula
over the columns, "800 + 2*age"; in a panel it may use `since`, the periods since adoption. The
truth of a number is that number, wherever the outcome may take any value; of a formula, or of an
outcome with bounds, it is simulated from the twin and carries its Monte Carlo error.

Covariates are shown as analysts use them: a category as 0/1 columns for all levels but the first, a
column with missing values filled with the seed's value in the middle beside an indicator. Where
who is below the cutoff is treated the running variable and the cutoff change their sign. Dials are
in s.d. of the residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cibench import registry
from cibench.design import Scenario, dial, parameter, scenario
from cibench.errors import BadInput
from cibench.model import Draw, Target, Truth
from cibench.twins.asked import estimands_of, targets_of
from cibench.twins.cross_section import Rows, reconstruct
from cibench.twins.file import open_twin
from cibench.twins.formula import Formula
from cibench.twins.generator import FAMILIES
from cibench.twins.panel import SINCE, rebuild_panel
from cibench.twins.shown import roles_of, shown
from cibench.twins.truth import truths_of
from cibench.twins.twin import Effect, Twin


@dataclass(frozen=True, kw_only=True)
class TwinScenario(Scenario):
    """Draw rows of a twin with a planted effect."""

    twin: ClassVar[Twin]
    reference: ClassVar[str] = "a data twin: residualise, train, reconstruct"
    effect: Effect = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.effect, bool) or not isinstance(self.effect, int | float | str):
            raise ValueError(f"effect = {self.effect!r} is neither a number nor a formula")
        if isinstance(self.effect, int):
            object.__setattr__(self, "effect", float(self.effect))
        super().__post_init__()
        check_effect(self.twin, self.effect)

    def settings(self) -> dict[str, float]:
        """Return all fields but the effect: dials, and what they are measured by."""
        return {name: float(getattr(self, name)) for name in self.specs if name != "effect"}

    def targets(self) -> tuple[Target, ...]:
        """Return the design's estimands; a panel's also by periods since adoption."""
        return targets_of(self.twin)

    def truth(self) -> dict[Target, Truth]:
        """Return the planted effect, or its simulated average over the estimand's rows."""
        return truths_of(self.twin, self.effect, float(getattr(self, "overlap", 0.0)))

    def rows(self, n: int, rng: np.random.Generator) -> Rows:
        """Draw n units with everything that lies behind them."""
        build = rebuild_panel if self.twin.panel else reconstruct
        return build(self.twin, n, rng, self.effect, self.settings())

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units: rows of a cross-section, units of a panel."""
        return shown(self.twin, self.rows(n, rng), self.targets())


def check_effect(twin: Twin, effect: Effect) -> None:
    """Raise ValueError for an effect that the twin cannot plant."""
    if isinstance(effect, float):
        if not np.isfinite(effect):
            raise ValueError(f"effect = {effect} is not finite")
        return
    design = twin.design
    known = {c.name for c in twin.known} - {design.outcome, design.treatment, design.instrument}
    known |= {SINCE, design.time} if twin.panel else set()
    if design.kind == "iv":
        raise ValueError("effect: an IV design takes a number: the estimand is one coefficient")
    try:
        Formula(effect).check(known - {""})
    except BadInput as error:
        raise ValueError(f"effect: {error}") from error


UNIT = "s.d. of the residual"


def _confounding(*grid: float) -> Any:
    """Declare the dial that ties the residual to the choice of treatment."""
    return dial(
        default=0, grid=grid, within=(-1, 1), breaks="no confounding",
        unit="correlation of residual and readiness to take the treatment",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SharpTwin(TwinScenario):
    """A sharp discontinuity."""

    reach: float = parameter(0.1, within=(0.0, 5.0), unit="s.d. of x within which one can sort")
    sorting: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no manipulation",
        unit="share of rows just short of the cutoff that sort beyond it, best residuals first",
    )  # fmt: skip
    policy: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(-10, 10), breaks="no other policy at the cutoff",
        unit=f"{UNIT} that another policy adds beyond the cutoff",
    )  # fmt: skip
    error: float = dial(
        default=0, grid=(0.05, 0.1, 0.25), within=(0, 5), unit="s.d. of x",
        breaks="running variable measured without error",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FuzzyTwin(SharpTwin):
    """A fuzzy discontinuity."""

    confounding: float = _confounding(0.2, 0.4, 0.8)


@dataclass(frozen=True, kw_only=True)
class ObservablesTwin(TwinScenario):
    """Selection on observables."""

    confounding: float = _confounding(0.1, 0.2, 0.4)
    overlap: float = dial(
        default=0, grid=(0.5, 1.0, 2.0), within=(-1, 10), breaks="overlap",
        unit="share by which the log odds of treatment lie further apart",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InstrumentTwin(TwinScenario):
    """An instrument."""

    confounding: float = _confounding(0.2, 0.4, 0.8)
    direct: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(-10, 10), breaks="exclusion restriction",
        unit=f"{UNIT} that one s.d. of the instrument adds to the outcome by itself",
    )  # fmt: skip
    dependence: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(-1, 1),
        breaks="instrument independent of the error",
        unit="correlation of the instrument's noise and the residual",
    )  # fmt: skip
    weakness: float = dial(
        default=0, grid=(0.5, 0.8, 0.9), within=(0, 0.99), breaks="strong instruments",
        unit="share of the instrument's pull on the treatment that is lost",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PanelTwin(TwinScenario):
    """Two periods or staggered adoption."""

    trend: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(-10, 10), breaks="parallel trends",
        unit=f"{UNIT} a period by which units that ever adopt drift",
    )  # fmt: skip
    anticipation: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no anticipation",
        unit="share of the effect felt one period early",
        felt="units feel a share of their own effect in the period before they adopt",
    )  # fmt: skip


def base_of(twin: Twin) -> tuple[type[TwinScenario], tuple[str, ...]]:
    """Return the class of a twin's scenario and the assumptions that the design itself breaks."""
    design = twin.design
    if design.kind == "rd":
        curved = "smoothing bias known without noise", "outcome at most linear"
        return (FuzzyTwin, ("no confounding",)) if design.fuzzy else (SharpTwin, curved)
    if design.kind == "iv":
        return InstrumentTwin, ("no confounding",)
    if design.kind == "did":
        more = ("trends do not depend on covariates",) if design.covariates else ()
        return PanelTwin, ("no confounding", *more)
    return ObservablesTwin, ()


def default_effect(twin: Twin) -> Effect:
    """Return the effect that is planted where none is asked for: the seed's, or the user's."""
    formula = twin.structure.effect_formula
    if formula and twin.design.kind != "iv" and Formula(formula).names:
        return formula
    return round(float(twin.seed["effect"]), 6)


def register_twin(path: str | Path) -> type[TwinScenario]:
    """Open a twin's file and put its scenario on the shelf under its digest; raises BadInput."""
    made = _scenario_of(open_twin(Path(path)))
    registry.register("scenario", made.name, made, made.__module__, made.__qualname__)
    return made


@lru_cache(maxsize=8)
def _scenario_of(twin: Twin) -> type[TwinScenario]:
    (base, violates), estimands = base_of(twin), estimands_of(twin)
    words = f"{base.__doc__} Fitted to {twin.seed['rows']} rows of {twin.seed['where']}."
    made = type(
        f"Twin_{twin.digest}", (base,),
        {
            "__doc__": f"{words}\n\nf {twin.structure.name}; generator {twin.family}.",
            "__module__": __name__, "__qualname__": f"Twin_{twin.digest}",
            "__annotations__": {"effect": Effect},
            "effect": parameter(default_effect(twin), unit="outcome units; or a formula"),
            "twin": twin, "roles": roles_of(twin), "violates": violates,
            "uses": FAMILIES[twin.family].uses,
            "estimand": estimands if len(estimands) > 1 else estimands[0],
        },
    )  # fmt: skip
    found: type[TwinScenario] = scenario(twin.name)(made)
    return found
