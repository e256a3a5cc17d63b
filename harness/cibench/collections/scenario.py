"""A folder of data sets as a scenario: replicate k is data set k, with truths of its own.

Y is the outcome that data set k holds; the truth of replicate k is the average of the effects on
its own units (SATE: all, SATT: the treated), or what a table states of it. Nothing is drawn, so
that replicates end where data sets end. With `resample` each replicate draws units of a data set
with replacement, and its truth is the average over the units drawn.

What a column of the index says of the data sets is a setting: a dial where it breaks an assumption
that somebody named, else a parameter, "all" where nothing is said. Settings share no noise. Of
several targets the first is asked for; `target` names another, or "all" at once for methods that
can answer so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cibench.collections.collection import Collection
from cibench.collections.declaration import POPULATION, Setting, read_declaration
from cibench.model import registry
from cibench.model.design import Scenario, dial, parameter, scenario
from cibench.model.types import Array, Draw, Roles, Target, Truth
from cibench.utils.errors import BadInput, unknown

ALL = "all"
"""The value of a parameter that leaves no data set out."""

Level = str | int | float


@dataclass(frozen=True, kw_only=True)
class CollectionScenario(Scenario):
    """Draw nothing: return the data sets that there are, in their order."""

    collection: ClassVar[Collection]
    by_setting: ClassVar[dict[str, list[Any]]]
    resample: bool = parameter(False, unit="draw the units of each data set with replacement")

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [ALL, *map(str, self.collection.targets)]
        if self._target not in known:
            raise ValueError(f"target: {unknown('target', self._target, known)}")
        if self.resample:
            self._check_resampling()
        if getattr(self, "pooled", False):
            moved = [s.name for s in self.collection.declaration.settings
                     if getattr(self, s.name) != self.specs[s.name].default]  # fmt: skip
            if moved:
                raise ValueError(f"pooled takes all data sets, whatever their {moved[0]}")

    def _check_resampling(self) -> None:
        declared, roles = self.collection.declaration, self.collection.roles
        grouped = [n for n in ("unit", "time", "cohort", "cluster") if n in roles.filled]
        if grouped:
            raise ValueError(f"resample draws rows, which a role {grouped[0]} ties together")
        if not declared.by_unit or declared.stated:
            raise ValueError("resample needs the effect on each unit: its truth is their average")

    @property
    def _target(self) -> str:
        return str(getattr(self, "target", ALL))

    def targets(self) -> tuple[Target, ...]:
        """Return what is asked of each data set: the first target, or the one that is named."""
        return tuple(t for t in self.collection.targets if self._target in (ALL, str(t)))

    def truth(self) -> dict[Target, Truth]:
        """Return nothing: every data set has truths of its own."""
        return {}

    def places(self, n: int) -> list[int]:
        """Return the data sets of n units (0: of any number) that are at this setting."""
        return _places(self, n)

    def most_replicates(self, n: int) -> int | None:
        """Return how many data sets of n units there are at this setting, None to resample them."""
        count = len(self.places(n))
        return None if self.resample and count else count

    @classmethod
    def sizes(cls) -> tuple[int, ...]:
        """Return the numbers of units that there are data sets of."""
        return tuple(sorted({*cls.collection.units}))

    def data_set(self, n: int, replicate: int, rng: np.random.Generator) -> Draw:
        """Return data set k of this setting, or units of one of them where they are resampled."""
        places = self.places(n)
        if self.resample:
            draw = self.collection.data_set(places[replicate % len(places)])
            return _resampled(draw, rng)
        if replicate >= len(places):
            raise LookupError(f"there is no data set {replicate}, but {len(places)} of them")
        return self.collection.data_set(places[replicate])

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Return any of the data sets, for trials."""
        places = self.places(n)
        return self.data_set(n, int(rng.integers(len(places))), rng)


@lru_cache(maxsize=256)
def _places(at: CollectionScenario, n: int) -> list[int]:
    collection = at.collection
    chosen = [k for k, units in enumerate(collection.units) if n in (0, units)]
    if getattr(at, "pooled", False):
        return chosen
    for name, values in at.by_setting.items():
        wanted = getattr(at, name)
        if wanted != ALL:
            chosen = [k for k in chosen if values[k] == wanted]
    return chosen


def _resampled(draw: Draw, rng: np.random.Generator) -> Draw:
    rows = rng.integers(0, len(draw.baseline), len(draw.baseline))

    def taken(columns: Any) -> dict[Any, Array]:
        return {name: column[rows] for name, column in columns.items()}

    return replace(
        draw, columns=taken(draw.columns), baseline=draw.baseline[rows],
        effects=draw.effects[rows], target=taken(draw.target),
    )  # fmt: skip


def register_collection(path: str | Path) -> type[CollectionScenario]:
    r"""Read a collection's file and put its scenario on the shelf; raises BadInput.

    Of the data sets only the first is read, and all of them where no index says their sizes.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from cibench.collections import register_collection
    >>> text = "[collection]\nname = 'mine'\nfiles = '*.csv'\n[roles]\noutcome = 'y'\n"
    >>> text += "treatment = 'd'\n[truths]\ntargets = 'SATE'\neffects = 'tau'\n"
    >>> _ = Path("mine.toml").write_text(text)
    >>> for k in (1, 2):
    ...     _ = Path(f"set_{k}.csv").write_text(f"y,d,tau\n1.5,1,{k}\n0.5,0,{k}\n")
    >>> mine = register_collection("mine.toml")
    >>> mine.name, mine.sizes(), mine().most_replicates(2)
    ('collection/mine', (2,), 2)
    """
    return _register(Collection(read_declaration(path)))


def register_checked(path: str | Path) -> type[CollectionScenario]:
    """Register a collection once every data set of it was read and is sound; raises BadInput."""
    collection = Collection(read_declaration(path))
    collection.check()
    return _register(collection)


def _register(collection: Collection) -> type[CollectionScenario]:
    cls, path = _class_of(collection), collection.declaration.path
    try:
        scenario(f"collection/{collection.declaration.name}")(cls)
        registry.register(
            "scenario", cls.name, cls, __name__, cls.__qualname__,
            declared_in=collection.declaration.path, digest=collection.digest,
        )  # fmt: skip
    except ValueError as error:
        raise BadInput(f"{path}: collection.name: {error}") from error
    return cls


def _class_of(collection: Collection) -> type[CollectionScenario]:
    declared = collection.declaration
    values = {setting.name: collection.values(setting) for setting in declared.settings}
    fields = {s.name: _field(s, values[s.name], str(declared.path)) for s in declared.settings}
    annotations: dict[str, Any] = {s.name: float if s.breaks else Level for s in declared.settings}
    if len(declared.targets) > 1:  # many methods answer one question at a time
        fields["target"] = parameter(
            str(declared.targets[0]), unit=f"or one of {', '.join(declared.targets)}, all"
        )
        annotations["target"] = str
    if any(setting.breaks for setting in declared.settings):
        fields["pooled"] = parameter(False, unit="take all data sets, whatever their settings")
        annotations["pooled"] = bool
    return type(
        f"Collection_{declared.name}", (CollectionScenario,),
        {
            "__doc__": _words(collection), "__module__": __name__,
            "__qualname__": f"{CollectionScenario.__name__}[{declared.path}]",
            "__annotations__": annotations, **fields, "collection": collection,
            "by_setting": values, "roles": collection.roles, "reference": declared.reference,
            "estimand": declared.targets if len(declared.targets) > 1 else declared.targets[0],
            "violates": declared.violates or (), "declared": declared.violates is not None,
            "answered_by": POPULATION if declared.population_methods else {},
        },
    )  # fmt: skip


def _field(setting: Setting, values: list[Any], where: str) -> Any:
    """Return a dial, or a parameter whose default leaves nothing out."""
    if setting.name in {*dir(Scenario), *Roles.__dataclass_fields__, *dir(CollectionScenario)}:
        raise BadInput(f"{where}: settings.{setting.name}: is taken; give it another name")
    if not setting.breaks:
        return parameter(ALL, unit=setting.unit or f"column '{setting.column}' of the index")
    levels = sorted({*values})
    if setting.default not in levels:
        near = ", ".join(f"{level:g}" for level in levels[:8])
        raise BadInput(
            f"{where}: settings.{setting.name}.default: no data set has {setting.default:g}, but "
            f"there are {near}"
        )
    grid = tuple(level for level in levels if level != setting.default)
    if not grid:
        raise BadInput(
            f"{where}: settings.{setting.name}: all data sets have {setting.default:g}, so that "
            "nothing breaks; leave it out"
        )
    return dial(
        default=setting.default, grid=grid, within=(levels[0], levels[-1]), breaks=setting.breaks,
        unit=setting.unit, truth="moves", paired=False,
    )  # fmt: skip


def _words(collection: Collection) -> str:
    declared = collection.declaration
    count, sizes = len(collection.members), sorted({*collection.units})
    size = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    words = (
        f"{declared.about or declared.name} {count:,} data sets that exist, of {size} units each."
    )
    for sample, population in POPULATION.items():
        if declared.population_methods and sample in declared.targets:
            words += f" Methods that answer the {population} are asked for the {sample}."
    return words
