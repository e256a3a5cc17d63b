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

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cibench.model import registry
from cibench.model.design import Dial, Scenario, dial, parameter, scenario
from cibench.model.estimands import Estimand
from cibench.model.streams import stream
from cibench.model.types import Array, Draw, Target, Truth
from cibench.twins.columns import levels_of
from cibench.twins.cross_section import (
    UNITS,
    Noise,
    Rows,
    moved_to_cutoff,
    rebuild,
    reconstruct,
    shift_of,
)
from cibench.twins.file import open_twin
from cibench.twins.formula import Formula
from cibench.twins.generators.base import FAMILIES
from cibench.twins.observed import as_draw, roles_of
from cibench.twins.panel import COHORT, SINCE, rebuild_panel
from cibench.twins.twin import Effect, Panel, Twin
from cibench.utils.errors import BadInput


def estimands_of(twin: Twin) -> tuple[Estimand, ...]:
    """Return the estimands of a twin's design."""
    design = twin.design
    if design.kind == "rd":
        return (Estimand.LATE_AT_CUTOFF if design.fuzzy else Estimand.ATE_AT_CUTOFF,)
    if design.kind == "iv":
        both = all(twin.mechanisms[m].binary for m in ("treatment", "instrument"))
        return (Estimand.LATE if both else Estimand.COEFFICIENT,)
    return (Estimand.ATT,) if design.kind == "did" else (Estimand.ATE, Estimand.ATT)


def targets_of(twin: Twin) -> tuple[Target, ...]:
    """Return the targets: estimands, in a panel also as many periods on as all cohorts reach."""
    plain = tuple(Target(e) for e in estimands_of(twin))
    if twin.panel is None:
        return plain
    end = last_period(twin.panel)
    reached = [int(np.sum(_within(twin.panel.times, g, end))) for g in twin.panel.cohorts if g > 0]
    return (*plain, *(Target(Estimand.ATT, k) for k in range(min(r for r in reached if r))))


def _within(times: Array, first: float, end: float) -> Array:
    return np.asarray((times >= first) & (times < end))


def last_period(panel: Panel) -> float:
    """Return the period from which on nobody is untreated any more, infinity where some stay so."""
    return np.inf if np.any(panel.cohorts == 0) else float(panel.cohorts.max())


CELLS = 2_000_000


Settings = tuple[tuple[str, float], ...]


@lru_cache(maxsize=64)
def truths_of(
    twin: Twin, effect: Effect, overlap: float = 0.0, dials: Settings = ()
) -> dict[Target, Truth]:  # fmt: skip
    """Return the truth of every target of a twin's scenario.

    Of the dials only `overlap` moves who is treated, and so the ATT of a formula; where the outcome
    has bounds or a link an effect depends on the residual too, and on all `dials` that reach it.
    """
    if isinstance(effect, float) and twin.outcome.unbounded:
        return {t: Truth(effect) for t in targets_of(twin)}
    rng = stream("twin-truth", twin.digest, str(effect))
    return _simulated(twin, effect, {"overlap": overlap, **dict(dials)}, rng)


def _simulated(
    twin: Twin, effect: Effect, dials: Mapping[str, float], rng: np.random.Generator
) -> dict[Target, Truth]:  # fmt: skip
    targets = targets_of(twin)
    if twin.panel is not None:
        return _of_panel(twin, effect, targets, rng, dials)
    noise = Noise.draw(twin, UNITS, rng)
    if twin.design.kind == "rd":
        return {targets[0]: _at_cutoff(twin, effect, noise, dials)}
    rows = rebuild(twin, noise, effect, dials)
    every = np.ones(UNITS, dtype=bool)
    masks = {Estimand.ATE: every, Estimand.COEFFICIENT: every}
    return {t: _mean(rows.effects, masks.get(t.estimand, rows.target)) for t in targets}


@lru_cache(maxsize=64)
def effect_for(twin: Twin, truth: float) -> float:
    """Return the effect to plant so that the truth of the first estimand is as wished.

    Where the outcome may take any value, or has a link, that is the number itself; where bounds
    keep it back more is planted. Raises BadInput for a truth that the outcome has no room for.
    """
    from scipy.optimize import brentq

    if twin.outcome.unbounded or twin.outcome.link is not None or truth == 0:
        return truth
    target = targets_of(twin)[0]

    def missed(effect: float) -> float:
        rng = stream("twin-effect", twin.digest)  # the same rows each time
        return float(_simulated(twin, effect, {}, rng)[target].value) - truth

    end = truth
    while missed(end) * np.sign(truth) < 0:
        end *= 2
        if abs(end) > MOST_TIMES * abs(truth):
            reached = missed(end) + truth
            raise BadInput(
                f"--truth: {truth:g} is out of reach: '{twin.design.outcome}' moves by "
                f"{reached:.4g} on average at most"
            )
    return float(brentq(missed, 0.0, end, xtol=1e-9))


MOST_TIMES = 2**20
"""An effect is made larger by this at most, for a truth that bounds hold back."""


def _mean(effects: Array, mask: Array | None) -> Truth:
    chosen = effects if mask is None else effects[mask]
    return Truth(float(chosen.mean()), float(chosen.std() / np.sqrt(len(chosen))))


def _at_cutoff(
    twin: Twin, effect: Effect, noise: Noise, dials: Mapping[str, float]
) -> Truth:  # fmt: skip
    """Return the limit at the cutoff: rows near it, moved onto it."""
    name, cutoff = twin.design.running, twin.design.cutoff
    assert cutoff is not None
    if isinstance(effect, str) and twin.outcome.unbounded and set(Formula(effect).names) <= {name}:
        return Truth(float(Formula(effect)({name: np.array([cutoff])}, 1)[0]))
    at = moved_to_cutoff(twin, noise)
    rows = rebuild(twin, at, effect, dials)
    return _mean(rows.effects, rows.target)


def _of_panel(
    twin: Twin, effect: Effect, targets: tuple[Target, ...], rng: np.random.Generator,
    dials: Mapping[str, float],
) -> dict[Target, Truth]:  # fmt: skip
    """Return averages over treated cells; the error allows for several cells of a unit."""
    assert twin.panel is not None
    periods = len(twin.panel.times)
    n = min(UNITS, CELLS // periods)
    rows = rebuild_panel(twin, n, rng, effect, dials)
    assert rows.target is not None and rows.latent is not None
    since, truths = rows.latent[SINCE], {}
    for target in targets:
        mask = rows.target if target.horizon is None else rows.target & (since == target.horizon)
        felt, count = ((v * mask).reshape(n, periods).sum(axis=1) for v in (rows.effects, 1.0))
        value = felt.sum() / count.sum()
        score, rounding = felt - value * count, 0.0
        if twin.panel.counts is not None:  # cohorts are strata, of the same size but for one unit
            mean = _means_by(rows.columns[twin.design.cohort or COHORT][::periods], score)
            score, rounding = score - mean, float(np.ptp(mean))
        se = np.sqrt(np.sum(score**2) + rounding**2) / count.sum()
        truths[target] = Truth(float(value), float(se))
    return truths


def _means_by(groups: Array, values: Array) -> Array:
    _, place, count = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(place, values) / count)[place])


REACHING = ("confounding", "policy", "dependence", "direct", "trend", "anticipation")
"""Dials that reach the outcome, and so effects where it has bounds."""


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
        overlap = float(getattr(self, "overlap", 0.0))
        if self.twin.outcome.unbounded:
            return truths_of(self.twin, self.effect, overlap)
        turned = {n: v for n, v in self.settings().items() if v and n in REACHING}
        return truths_of(self.twin, self.effect, overlap, tuple(sorted(turned.items())))

    def rows(self, n: int, rng: np.random.Generator) -> Rows:
        """Draw n units with everything that lies behind them."""
        build = rebuild_panel if self.twin.panel else reconstruct
        return build(self.twin, n, rng, self.effect, self.settings())

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units: rows of a cross-section, units of a panel."""
        return as_draw(self.twin, self.rows(n, rng), self.targets())


def check_effect(twin: Twin, effect: Effect) -> None:
    """Raise ValueError for an effect that the twin cannot plant."""
    if isinstance(effect, float):
        if not np.isfinite(effect):
            raise ValueError(f"effect = {effect} is not finite")
        if twin.outcome.link is not None:
            _require_room(twin, effect)
        return
    design = twin.design
    known = {c.name for c in twin.known} - {design.outcome, design.treatment, design.instrument}
    known |= {SINCE, design.time} if twin.panel else set()
    if design.kind == "iv":
        raise ValueError("effect: an IV design takes a number: the estimand is one coefficient")
    try:
        Formula(effect).coded(levels_of(twin.known)).check(known - {""})
    except BadInput as error:
        raise ValueError(f"effect: {error}") from error


def _require_room(twin: Twin, effect: float) -> None:
    try:
        shift_of(twin, effect)
    except BadInput as error:
        raise ValueError(str(error)) from error


UNIT = "s.d. of the residual"


def _confounding(*grid: float) -> Any:
    """Declare the dial that ties the residual to the choice of treatment."""
    return dial(
        default=0, grid=grid, within=(-1, 1), breaks="no confounding",
        unit="correlation of residual and readiness to take the treatment",
    )  # fmt: skip


def _reach() -> Any:
    return parameter(0.1, within=(0.0, 5.0), unit="s.d. of x within which one can sort")


def _sorting() -> Any:
    return dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no manipulation",
        unit="share of rows just short of the cutoff that sort beyond it, best residuals first",
    )  # fmt: skip


def _error() -> Any:
    return dial(
        default=0, grid=(0.05, 0.1, 0.25), within=(0, 5), unit="s.d. of x",
        breaks="running variable measured without error",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SharpTwin(TwinScenario):
    """A sharp discontinuity."""

    reach: float = _reach()
    sorting: float = _sorting()
    policy: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(-10, 10), breaks="no other policy at the cutoff",
        unit=f"{UNIT} that another policy adds beyond the cutoff",
    )  # fmt: skip
    error: float = _error()


@dataclass(frozen=True, kw_only=True)
class BoundedTwin(TwinScenario):
    """A sharp discontinuity whose outcome has an upper bound: policies would change the effect."""

    reach: float = _reach()
    sorting: float = _sorting()
    error: float = _error()


@dataclass(frozen=True, kw_only=True)
class BoundedFuzzyTwin(BoundedTwin):
    """A fuzzy discontinuity whose outcome has an upper bound."""

    confounding: float = _confounding(0.2, 0.4, 0.8)


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
        bounded = twin.outcome.support is not None or np.isfinite(twin.outcome.high)
        if design.fuzzy:
            return BoundedFuzzyTwin if bounded else FuzzyTwin, ("no confounding",)
        return BoundedTwin if bounded else SharpTwin, curved
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
    """Open a twin's file and put its scenario on the shelf under its digest; raises BadInput.

    See `fit_twin` for the whole way.
    """
    cls = _scenario_of(open_twin(Path(path)))
    registry.register("scenario", cls.name, cls, cls.__module__, cls.__qualname__)
    return cls


def _moving(base: type[TwinScenario], twin: Twin) -> dict[str, Dial]:
    """Return the dials that move the truth of a twin's default effect, saying so.

    Where the outcome has bounds or a link effects depend on the residual, which dials tie to the
    treatment; whether the truth moves by more than its error is seen by simulation.
    """
    if twin.outcome.unbounded:
        return {}
    effect = default_effect(twin)
    rest, moving = truths_of(twin, effect), {}
    for each in fields(base):
        spec = each.metadata.get("spec")
        if isinstance(spec, Dial) and each.name in (*REACHING, "overlap"):
            at = [truths_of(twin, effect, 0.0, ((each.name, v),)) for v in spec.grid]
            if any(_apart(truth[t], rest[t]) for truth in at for t in rest):
                moving[each.name] = replace(spec, truth="moves")
    return moving


def _apart(first: Truth, second: Truth) -> bool:
    reach = BEYOND * float(np.hypot(first.mcse, second.mcse))
    return abs(first.value - second.value) > reach


BEYOND = 4.5
"""Two simulated truths are apart that lie further from each other than this many errors."""


@lru_cache(maxsize=8)
def _scenario_of(twin: Twin) -> type[TwinScenario]:
    (base, violates), estimands = base_of(twin), estimands_of(twin)
    moving = _moving(base, twin)
    words = f"{base.__doc__} Fitted to {twin.seed['rows']} rows of {twin.seed['where']}."
    cls = type(
        f"Twin_{twin.digest}", (base,),
        {
            "__doc__": f"{words}\n\nf {twin.structure.name}; generator {twin.family}.",
            "__module__": __name__, "__qualname__": f"Twin_{twin.digest}",
            "__annotations__": {"effect": Effect, **dict.fromkeys(moving, float)},
            **{n: field(default=s.default, metadata={"spec": s}) for n, s in moving.items()},
            "effect": parameter(default_effect(twin), unit="outcome units; or a formula"),
            "twin": twin, "roles": roles_of(twin), "violates": violates,
            "uses": FAMILIES[twin.family].uses,
            "estimand": estimands if len(estimands) > 1 else estimands[0],
        },
    )  # fmt: skip
    registered: type[TwinScenario] = scenario(twin.name)(cls)
    return registered
