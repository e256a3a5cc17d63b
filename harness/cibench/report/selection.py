"""Which part of a run a table or figure is of: its fields, their values, and what is selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

from cibench.model.types import PARTS, TARGET
from cibench.render import labels
from cibench.render.labels import parse
from cibench.render.numbers import percent, plain
from cibench.utils.errors import BadInput, unknown
from cibench.utils.missing import missing
from cibench.utils.toml import several

if TYPE_CHECKING:
    import pandas as pd

TEXTS = {"method": "method", "scenario": "scenario", "setting": "at", "estimand": "estimand"}
"""Fields that are texts, and the columns of labelled scores that hold them."""

OVERALL = (*TARGET, "level")
FIXED = (*TEXTS, "n", *PARTS, "level")


@dataclass(frozen=True, eq=False)
class Fields:
    """Give the fields of labelled scores by name: fixed ones, and each dial and parameter."""

    scores: pd.DataFrame
    catalogue: Mapping[str, Any]

    @cached_property
    def dials(self) -> tuple[str, ...]:
        """Return the names of the dials."""
        return self._named("dials")

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that are no dials."""
        return tuple(name for name in self._named("parameters") if name not in self.dials)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all fields."""
        return (*FIXED, *(n for n in (*self.dials, *self.parameters) if n not in FIXED))

    def check(self, names: Iterable[str], where: str) -> None:
        """Raise BadInput for a name that is no field, or for one that is there twice."""
        names = list(names)
        for place, name in enumerate(names):
            if name not in self.names:
                raise BadInput(f"{where}: {unknown('field', name, self.names, listed=True)}")
            if name in names[:place]:
                raise BadInput(f"{where}: '{name}' is there twice")

    def column(self, name: str) -> list[Any]:
        """Return the values of a field, score by score; "" where a score has none."""
        if name not in self._columns:
            self._columns[name] = self._values(name)
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {}

    def _values(self, name: str) -> list[Any]:
        if name in FIXED:
            values = self.scores[TEXTS.get(name, name)].tolist()
            unknown_size = name == "n"  # of rows made elsewhere it may not be known
            return [
                "" if missing(v) or v == -inf or (unknown_size and v == 0) else v for v in values
            ]
        kind = "dials" if name in self.dials else "parameters"
        return [parse(text).get(name, "") for text in self.scores[kind]]

    def value(self, name: str, place: int) -> Any:
        """Return a field's value at one score."""
        return self.column(name)[place]

    def plain(self, name: str, value: Any) -> Any:
        """Return a value as a table of numbers has it: texts under their labels."""
        return self.text(name, value) if name in ("scenario", "setting") else value

    def text(self, name: str, value: Any) -> str:
        """Write a value as people read it."""
        known = self.catalogue.get("scenarios") or {}
        if value == "":
            return ""
        if name == "scenario":
            return labels.scenario_label(value, known.get(value) or {})
        if name == "setting":
            return labels.labels_of(self.catalogue, "settings").get(value, value)
        if name == "level":
            return f"{percent(value)} %"
        whole = isinstance(value, float) and name in ("n", "horizon")
        return plain(int(value) if whole else value)

    @cached_property
    def _other_names(self) -> dict[str, Mapping[Any, set[str]]]:
        return {}

    def other_names(self, name: str) -> Mapping[Any, set[str]]:
        """Return the names under which the values of a field stand in a suite and in rows."""
        if name not in self._other_names:
            self._other_names[name] = self._named_otherwise(name)
        return self._other_names[name]

    def _named_otherwise(self, name: str) -> Mapping[Any, set[str]]:
        named: dict[Any, set[str]] = {}
        if name in ("method", "setting"):
            bare = {
                k: v for k, v in self.catalogue.items() if k not in ("scenarios", labels.LABELS)
            }
            bare["scenarios"] = {
                scenario: {k: v for k, v in about.items() if k != labels.LABELS}
                for scenario, about in (self.catalogue.get("scenarios") or {}).items()
            }
            other = labels.label(self.scores, bare)[TEXTS[name]].tolist()
            bases = self.scores["estimator"].tolist() if name == "method" else other
            for value, text, base in zip(self.column(name), other, bases, strict=True):
                named.setdefault(value, set()).update((text, base))
        return named

    def heading(self, name: str) -> str:
        """Name a field as people call it."""
        return labels.labels_of(self.catalogue, "dials").get(name, name)

    def differs(self, name: str, named: Sequence[str]) -> bool:
        """Say whether a field has several values where all those named have one."""
        values = self.column(name)
        return any(len({values[i] for i in places}) > 1 for _, places in self.groups(named))

    def groups(
        self, names: Sequence[str], places: Sequence[int] | None = None
    ) -> Iterator[tuple[tuple[Any, ...], list[int]]]:
        """Yield each combination of values with the places of its scores, in order.

        Numbers ascend; the default is the first of settings, dials by dial upwards; all else is as
        in the run.
        """
        columns = [self.column(name) for name in names]
        places_of: dict[tuple[Any, ...], list[int]] = {}
        for i in range(len(self.scores)) if places is None else places:
            places_of.setdefault(tuple(column[i] for column in columns), []).append(i)
        ranks = [self._ranks(name) for name in names]
        yield from sorted(
            places_of.items(),
            key=lambda item: tuple(r[v] for r, v in zip(ranks, item[0], strict=True)),
        )

    def rank(self, name: str) -> Callable[[Any], int]:
        """Return the place of a field's value in the order of `groups`."""
        return self._ranks(name).__getitem__

    def _ranks(self, name: str) -> Mapping[Any, int]:
        values = list(dict.fromkeys(self.column(name)))
        if name == "setting":
            values = self._settings()
        elif all(isinstance(v, int | float) for v in values):
            values = sorted(values)
        return {value: place for place, value in enumerate(values)}

    def _settings(self) -> list[str]:
        known = self.catalogue.get("scenarios") or {}
        ordered: dict[str, None] = {}
        columns = ["scenario", "dial", "setting", "dials"]
        rows = self.scores[columns].drop_duplicates().itertuples(index=False)
        by_scenario: dict[str, list[labels.Setting]] = {}
        for scenario, dial, value, dials in rows:
            about = known.get(scenario) or {}
            by_scenario.setdefault(scenario, []).append(labels.setting(dial, value, dials, about))
        for scenario, settings in by_scenario.items():
            for each in labels.in_order(settings, known.get(scenario) or {}):
                ordered[each.label] = None
        return list(ordered)

    def _named(self, column: str) -> tuple[str, ...]:
        texts = self.scores[column].drop_duplicates()
        return tuple(dict.fromkeys(name for text in texts for name in parse(text)))


def selected(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], where: Mapping[str, Any],
    named: Sequence[str] = (),
) -> pd.DataFrame:  # fmt: skip
    """Return the labelled scores whose fields have the values of `where`.

    Of a dial that is `named`, or selected by, the settings are those where no other dial but one of
    these is moved. Raises BadInput for no field, and for values that the run does not have.
    """
    fields = Fields(scores, catalogue)
    fields.check(where, "where")
    kept = [True] * len(scores)
    for name, wanted in where.items():
        values = fields.column(name)
        matches = [match for value in several(wanted) for match in _matches(fields, name, value)]
        kept = [k and any(m(v) for m in matches) for k, v in zip(kept, values, strict=True)]
    dials = {*named, *where} & {*fields.dials}
    if dials:
        apart = scores[["scenario", "dials"]].itertuples(index=False)
        alone = [_moved(s, text, catalogue) <= dials for s, text in apart]
        kept = [k and a for k, a in zip(kept, alone, strict=True)]
    chosen = scores[kept]
    if len(scores) and not len(chosen):
        raise BadInput("where: no scores have all of these values at once")
    return chosen


Match = Callable[[Any], bool]


def _matches(fields: Fields, name: str, wanted: Any) -> list[Match]:
    """Return what says whether a value is meant; a text may be several with commas between."""
    values = fields.column(name)
    parts = [wanted]
    if "," in str(wanted) and not any(map(_matcher(fields, name, wanted), values)):
        parts = [part.strip() for part in str(wanted).split(",")]
    matches = [_matcher(fields, name, part) for part in parts]
    for match, part in zip(matches, parts, strict=True):
        if not any(map(match, values)):
            places = sorted({*values} - {""}, key=fields.rank(name))
            there = list(dict.fromkeys(fields.text(name, v) for v in places))
            raise BadInput(f"where: {unknown(name, str(part), there, listed=True)}")
    return matches


def _matcher(fields: Fields, name: str, wanted: Any) -> Match:
    """Return what says whether a value is meant: equal as a number, or a name, label or glob."""
    try:
        number = float(str(wanted).replace(",", "").replace("−", "-"))
    except ValueError:
        number = None

    def match(value: Any) -> bool:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return number is not None and float(value) == number
        if isinstance(value, bool) and str(wanted).lower() == str(value).lower():
            return True  # as TOML has it, too
        texts = (str(value), fields.text(name, value), *fields.other_names(name).get(value, ()))
        return str(wanted) in texts or any(fnmatchcase(text, str(wanted)) for text in texts)

    return match


def _moved(scenario: str, dials: Any, catalogue: Mapping[str, Any]) -> set[str]:
    about = (catalogue.get("scenarios") or {}).get(scenario) or {}
    defaults = {name: spec.get("default", 0) for name, spec in labels.dials_of(about).items()}
    return {name for name, value in parse(dials).items() if value != defaults.get(name, 0)}
