"""Scenarios: what one is, its dials and parameters, and the decorator that declares it."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

import numpy as np

from cibench.model import registry
from cibench.model.estimands import Estimand
from cibench.model.streams import Part, stream
from cibench.model.types import Draw, Roles, Target, Truth
from cibench.utils.errors import BadInput, unknown

TruthLike = Truth | float | Mapping[Target, Truth | float]


@dataclass(frozen=True)
class Dial:
    """Describe a field that breaks one named assumption by a stated amount.

    `grid` are the settings a dose-response curve visits, `within` the valid range, both in `unit`.
    `truth` says whether the estimand stays fixed or moves with the setting; `paired` whether every
    setting uses the same noise. A dial under which rows feel the treatment of others, or their own
    before it comes, says in `felt` what is felt and by whom.

    Raises ValueError where the assumption or the unit is not named, where the grid is empty, holds
    the default or a setting twice, and where default or grid leave the range.

    >>> from cibench.model import Dial
    >>> Dial(0.0, (0.1, 0.2), (0.0, 1.0), "no manipulation", "share that sorts").grid
    (0.1, 0.2)
    """

    default: float
    grid: tuple[float, ...]
    within: tuple[float, float]
    breaks: str
    unit: str
    truth: Literal["fixed", "moves"] = "fixed"
    paired: bool = True
    felt: str = ""

    def __post_init__(self) -> None:
        low, high = self.within
        if not self.breaks or not self.unit:
            raise ValueError("a dial names the assumption it breaks and the unit of its settings")
        if not self.grid or self.default in self.grid or len(set(self.grid)) < len(self.grid):
            raise ValueError("a dial's grid has distinct settings, none of them the default")
        if not all(low <= s <= high for s in (self.default, *self.grid)):
            raise ValueError(f"a dial's default and grid lie within its range {low:g} to {high:g}")


@dataclass(frozen=True)
class Parameter:
    """Describe a field that breaks no assumption: its default, valid range and unit.

    >>> from cibench.model import Parameter
    >>> Parameter(0.5, within=(0.0, 1.0), unit="correlation").default
    0.5
    """

    default: Any
    within: tuple[float, float] | None = None
    unit: str = ""


def dial(
    *,
    default: float,
    grid: tuple[float, ...],
    within: tuple[float, float],
    breaks: str,
    unit: str,
    truth: Literal["fixed", "moves"] = "fixed",
    paired: bool = True,
    felt: str = "",
) -> Any:
    """Declare a field as a dial (see `Dial`); raises ValueError where the declaration is off.

    `default` is where the assumption holds; `grid`, `within` and `default` are in `unit`; `breaks`
    names the one assumption.

    >>> from cibench import Scenario, dial
    >>> class Sorting(Scenario):
    ...     sorting: float = dial(
    ...         default=0, grid=(0.1, 0.2), within=(0, 1), breaks="no manipulation",
    ...         unit="share of units just below the cutoff that sort above",
    ...     )
    """
    settings = tuple(float(s) for s in grid)
    spec = Dial(float(default), settings, within, breaks, unit, truth, paired, felt)
    return dataclasses.field(default=spec.default, metadata={"spec": spec})


def parameter(default: Any, *, within: tuple[float, float] | None = None, unit: str = "") -> Any:
    """Declare a field as a parameter with a valid range; a plain default does for the others.

    >>> from cibench import Scenario, parameter
    >>> class Clustered(Scenario):
    ...     clusters: int = parameter(30, within=(2, 10_000), unit="clusters")
    """
    spec = Parameter(default, within, unit)
    return dataclasses.field(default=default, metadata={"spec": spec})


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Draw data whose true effect is known.

    A subclass states its `estimand` (or several), the `roles` of its columns and a `reference`;
    its fields are parameters and dials; `truth()` gives the estimand's value from them alone,
    `truth_at(n)` that among n units, another one where shares are rounded to whole units, and
    `draw(n, rng)` a data set of n units. Noise is drawn first and in a fixed order, so that a dial
    changes what is done with the noise and not the noise. `violates` names the assumptions that
    the design itself breaks, with every dial at its default. `moments = False` says that estimates
    have no finite variance there. `prior_of` names the estimator from whose prior every data set
    draws all its parameters anew, if there is one; `uses` the import names of libraries that
    drawing takes. `answered_by` names for a sample estimand the population estimand whose methods
    are asked for it too; `declared = False` says that nobody knows what the design breaks. Of
    estimands of single units `points` says how many are drawn beside the data, none where the
    effects on the rows themselves are asked; `cost` is what it costs to treat one.

    Raises ValueError where a field lies outside its range or is of another type.

    >>> import numpy as np
    >>> from cibench import find_scenario
    >>> design = find_scenario("rd/cct-1")(sorting=0.2)
    >>> design.truth(), design.roles.running
    (0.04, 'x')
    >>> len(design.draw(100, np.random.default_rng(1)).columns["y"])
    100
    """

    name: ClassVar[str] = ""
    estimand: ClassVar[Estimand | tuple[Estimand, ...]]
    roles: ClassVar[Roles] = Roles()
    reference: ClassVar[str] = ""
    moments: ClassVar[bool] = True
    violates: ClassVar[tuple[str, ...]] = ()
    prior_of: ClassVar[str] = ""
    uses: ClassVar[tuple[str, ...]] = ()
    answered_by: ClassVar[Mapping[Estimand, Estimand]] = {}
    declared: ClassVar[bool] = True
    points: ClassVar[int] = 0
    cost: ClassVar[float] = 0.0
    specs: ClassVar[Mapping[str, Dial | Parameter]] = {}
    types: ClassVar[Mapping[str, type]] = {}

    def __post_init__(self) -> None:
        for name, spec in self.specs.items():
            value = _typed(name, getattr(self, name), self.types[name])
            if spec.within and not spec.within[0] <= value <= spec.within[1]:
                low, high = spec.within
                raise ValueError(f"{name} = {value:g} lies outside {low:g} to {high:g}")
            object.__setattr__(self, name, value)

    def targets(self) -> tuple[Target, ...]:
        """Return the keys of `truth()`; override where there is one answer per horizon."""
        return tuple(Target(e) for e in estimands(type(self)))

    def assigned_roles(self) -> Roles:
        """Return the roles at this setting; override where a parameter counts columns."""
        return self.roles

    def truth(self) -> TruthLike:
        """Return the estimand's value, or one value for each of `targets()`."""
        raise NotImplementedError

    def truth_at(self, n: int) -> TruthLike:  # noqa: ARG002 - for those that override it
        """Return the value among n units; override where shares are rounded to whole units."""
        return self.truth()

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units: rows of a cross-section, units of a panel."""
        raise NotImplementedError

    def data_set(self, n: int, replicate: int, rng: np.random.Generator) -> Draw:  # noqa: ARG002
        """Return the data set of a replicate; override where data sets exist and have numbers."""
        return self.draw(n, rng)

    def most_replicates(self, n: int) -> int | None:  # noqa: ARG002 - for those that override it
        """Return how many data sets of n units there are, None for as many as anybody asks for."""
        return None

    @classmethod
    def sizes(cls) -> tuple[int, ...]:
        """Return the numbers of units that there are data sets of, none where any will do."""
        return ()


def with_points(scenario: Scenario, draw: Draw, *address: Part) -> Draw:
    """Return a draw with the units beside it that unit-level answers are about, if there are."""
    if not scenario.points or not isinstance(draw, Draw):
        return draw
    return dataclasses.replace(draw, points=scenario.draw(scenario.points, stream(*address)))


S = TypeVar("S", bound=Scenario)


def _typed(name: str, value: Any, kind: type) -> Any:
    """Return the value as the field's type: an int does for a float, nothing else changes."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and np.isfinite(value) and value == int(value):
        return int(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} = {value!r} is not of type {kind.__name__}")
    return value


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dial, parameter))
def scenario(name: str, *, files: tuple[str, ...] = ()) -> Callable[[type[S]], type[S]]:
    """Make a subclass of `Scenario` a frozen dataclass and register it as "family/name".

    `files` are names, relative to the folder of the code, of what else it reads there. Raises
    ValueError where the name is malformed or taken by other code, or a file is not there.

    >>> import numpy as np
    >>> from cibench import Draw, Estimand, Scenario, find_scenario, scenario
    >>> @scenario("examples/coin")
    ... class Coin(Scenario):
    ...     "Y = effect D + e, with D by a fair coin."
    ...     estimand = Estimand.ATE
    ...     effect: float = 1.0
    ...     def truth(self):
    ...         return self.effect
    ...     def draw(self, n, rng):
    ...         e, d = rng.normal(size=n), rng.integers(0, 2, n)
    ...         return Draw({"y": self.effect * d + e, "d": d}, e, np.full(n, self.effect))
    >>> find_scenario("examples/coin")(effect=2.0).truth()
    2.0
    """

    def declare(cls: type[S]) -> type[S]:
        doc = cls.__doc__
        frozen = dataclass(frozen=True, kw_only=True)(cls)
        frozen.__doc__ = doc  # where there is none, dataclass would write the signature
        hints = typing.get_type_hints(frozen)
        own = dataclasses.fields(frozen)
        frozen.name = name
        frozen.types = {f.name: hints[f.name] for f in own}
        frozen.specs = {f.name: f.metadata.get("spec") or Parameter(f.default) for f in own}
        module, qualname = frozen.__module__, frozen.__qualname__
        registry.register("scenario", name, frozen, module, qualname, files)
        return frozen

    return declare


def estimands(cls: type[Scenario]) -> tuple[Estimand, ...]:
    """Return the scenario's estimands as a tuple, be it one or several."""
    return cls.estimand if isinstance(cls.estimand, tuple) else (cls.estimand,)


def dials(cls: type[Scenario]) -> dict[str, Dial]:
    """Return the scenario's dials by field name.

    >>> from cibench import find_scenario
    >>> from cibench.model import dials
    >>> sorted(dials(find_scenario("rd/cct-1")))
    ['heaping', 'sorting']
    """
    return {name: spec for name, spec in cls.specs.items() if isinstance(spec, Dial)}


def parameters(cls: type[Scenario]) -> dict[str, Parameter]:
    """Return the scenario's parameters by field name.

    >>> from cibench import find_scenario
    >>> from cibench.model import parameters
    >>> "effect" in parameters(find_scenario("rd/cct-1"))
    True
    """
    return {name: spec for name, spec in cls.specs.items() if isinstance(spec, Parameter)}


def configure(cls: type[S], values: Mapping[str, Any]) -> S:
    """Build the scenario with these fields; raises BadInput for an unknown name or a bad value.

    >>> from cibench import find_scenario
    >>> from cibench.model import configure
    >>> configure(find_scenario("rd/cct-1"), {"sorting": 0.1}).sorting
    0.1
    """
    for name in values:
        if name not in cls.specs:
            raise BadInput(unknown(f"parameter or dial of {cls.name}", name, cls.specs))
    try:
        return cls(**values)
    except ValueError as error:
        raise BadInput(f"{cls.name}: {error}") from error


def try_configure(cls: type[S], values: Mapping[str, Any]) -> tuple[S, dict[str, str]]:
    """Build the scenario without the values that it cannot have, and say what is wrong with each.

    A value is to blame where the scenario says of it alone, by its name, what it says of all; the
    others are then tried without it. Else it is the combination, under the name "".
    """
    values, problems = dict(values), dict[str, str]()
    while problem := _problem(cls, values):
        to_blame = [
            name for name, value in values.items()
            if name in re.findall(r"\w+", problem) and _problem(cls, {name: value}) == problem
        ]  # fmt: skip
        if not to_blame:
            return cls(), problems or {"": problem}
        for name in to_blame:
            del values[name]
            problems[name] = problem
    return configure(cls, values), problems


def _problem(cls: type[Scenario], values: Mapping[str, Any]) -> str:
    """Return what a scenario says against values, "" where nothing."""
    try:
        configure(cls, values)
    except BadInput as error:
        return str(error)
    return ""


def values_of(scenario: Scenario, kind: type[Dial] | type[Parameter]) -> dict[str, Any]:
    """Return the current values of the scenario's dials or of its parameters, by name."""
    return {
        name: getattr(scenario, name)
        for name, spec in scenario.specs.items()
        if isinstance(spec, kind)
    }


def truths(scenario: Scenario, n: int | None = None) -> dict[Target, Truth]:
    """Return the population truths by target, among n units where n is given.

    Sample estimands have theirs in each draw.
    """
    population = [t for t in scenario.targets() if not t.estimand.of_sample]
    if not population:
        return {}
    declared = scenario.truth() if n is None else scenario.truth_at(n)
    if not isinstance(declared, Mapping) and len(population) > 1:
        raise BadInput(f"{scenario.name}: truth() gives one value for {len(population)} targets")
    table = declared if isinstance(declared, Mapping) else {population[0]: declared}
    return {t: v if isinstance(v, Truth) else Truth(float(v)) for t, v in table.items()}


def depends_on_size(scenario: Scenario) -> bool:
    """Say whether the truth is another one for another number of units."""
    return type(scenario).truth_at is not Scenario.truth_at


def find_scenario(name: str) -> type[Scenario]:
    """Return the scenario class registered as "family/name"; raises BadInput with a near miss.

    >>> from cibench import find_scenario
    >>> find_scenario("did/two-group").name
    'did/two-group'
    """
    cls: type[Scenario] = registry.entry("scenario", name).value
    return cls
