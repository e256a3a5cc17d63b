"""TOML that people write: read key by key, every mistake told with its line; and written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cibench.utils.errors import BadInput, closest, unknown
from cibench.utils.foreign import read_text
from cibench.utils.toml_lines import Place, first_twice, key_lines

AGAIN = re.compile(r"Cannot (declare|overwrite|mutate)|Duplicate inline")
"""How Python's parser says that something is there already."""

BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class Source:
    """Hold what a file or a mapping is called, and what is wrong in it by place.

    A place has one complaint, its first: what else is found there follows from it or repeats it. An
    empty complaint is not told; it marks what cannot be right because of another one.
    """

    name: str
    text: str | None = None
    faults: dict[Place, str] = field(default_factory=dict)

    @cached_property
    def _lines(self) -> Mapping[Place, int]:
        return key_lines(self.text) if self.text is not None else {}

    def line(self, place: Place) -> int:
        """Return the line of a place, or of what it lies in; 0 where there is no text."""
        if self.text is None:
            return 0
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def faulty(self, place: Place) -> bool:
        """Say whether something is wrong at a place or within it."""
        return any(wrong[: len(place)] == place for wrong in self.faults)

    def complaints(self) -> list[str]:
        """Return what is wrong, a line for each mistake, in the order of the file."""
        lines = [(self.line(place), text) for place, text in self.faults.items() if text]
        lines.sort(key=lambda fault: fault[0])
        return [f"{self.name}:{n}: {text}" if n else f"{self.name}: {text}" for n, text in lines]


@dataclass(frozen=True)
class Table:
    """Hold one table of a source and its place in it, to read it key by key.

    What is wrong is noted; `refuse` ends the reading. Until then a wrong value is its default.
    """

    content: Mapping[str, Any]
    source: Source
    place: Place = ()

    def fault(self, key: str, problem: object, *within: str | int) -> None:
        """Note what is wrong with a key; `within` leads from there to the element that is meant.

        In a table that is wrong itself nothing more is.
        """
        if any(self.place[:depth] in self.source.faults for depth in range(1, len(self.place) + 1)):
            return
        place = (*self.place, key)
        text = f"{_path(place)}: {problem}" if str(problem) else ""
        self.source.faults.setdefault((*place, *within), text)

    def faulty(self, *keys: str) -> bool:
        """Say whether something is wrong with one of the keys; without any, with the table."""
        places = [(*self.place, key) for key in keys] or [self.place]
        return any(map(self.source.faulty, places))

    def check_keys(self, known: Sequence[str], elsewhere: Sequence[str] = (), at: str = "") -> None:
        """Note the keys that are not known; one that a misspelt key stands for is not missed.

        Of a key that is known `elsewhere`, `at` says where.
        """
        for key in self.content:
            if key in elsewhere and key not in known:
                self.fault(key, f"stands in {at}, not here")
            elif key not in known:
                self.fault(key, unknown("key", key, known))
                if (meant := closest(key, known)) and meant not in self.content:
                    self.fault(meant, "")

    def take(
        self, key: str, kind: type | tuple[type, ...], default: Any, valid: Callable[[Any], bool],
        wanted: str,
    ) -> Any:  # fmt: skip
        """Return a value of the wanted kind; a default of `...` makes the key a must.

        Where it is wrong or missing that is noted and the default returned, None for a must.
        """
        fallback = None if default is ... else default
        if key not in self.content:
            if default is ...:
                self.fault(key, f"is missing; it takes {wanted}")
            return fallback
        value = self.content[key]
        flag = isinstance(value, bool) and kind is not bool  # which Python takes for a number
        if not isinstance(value, kind) or flag or not valid(value):
            self.fault(key, f"{value!r} is not {wanted}")
            return fallback
        return value

    def table(self, key: str) -> Table:
        """Return the sub-table of that key, empty where it is not given."""
        content = self.take(key, dict, {}, lambda _: True, "a table")
        return Table(content, self.source, (*self.place, key))

    def tables(self, key: str, default: Any) -> list[Table]:
        """Return the array of tables of that key, without elements that are none."""
        entries = self.take(key, list, default, bool, f"one or more [[{key}]] tables")
        for number, entry in enumerate(entries or ()):
            if not isinstance(entry, dict):
                self.fault(key, f"{entry!r} is not a table", number)
        return [
            Table(entry, self.source, (*self.place, key, number))
            for number, entry in enumerate(entries or ()) if isinstance(entry, dict)
        ]  # fmt: skip

    def strings(self, key: str, default: Any) -> list[str]:
        """Return a string or a list of strings as a list."""
        wanted = "a string or a list of strings"
        optional = default is not ...
        value = self.take(
            key, (str, list), default, lambda v: bool(v) or (optional and v == []), wanted
        )
        values = several(value or [])
        if not all(isinstance(v, str) for v in values):
            self.fault(key, f"{value!r} is not {wanted}")
            return []
        return list(values)


def several(value: Any) -> list[Any]:
    """Return what a file may give alone or in a list as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _path(place: Place) -> str:
    """Return a place as people read it: cells[2].dials.sorting."""
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


LARGEST = 4_000_000
"""Bytes of the largest TOML file that is read."""

MANY_PARTS = re.compile(
    r"""(?<![\w.-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}"""
)
"""A key of so many parts that reading it takes minutes; looked for in time linear in the text."""


def open_table(path: Path) -> Table:
    """Read a TOML file; raises BadInput where it cannot be read."""
    content, text = read_toml(path)
    return Table(content, Source(str(path), text))


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return what a TOML file holds and its text.

    Raises BadInput where it cannot be read, with its line where it is none, or is too large or too
    deep to be one of ours.
    """
    try:
        text = read_text(path, LARGEST).replace("\r\n", "\n")
        if parts := MANY_PARTS.search(text):
            line = text.count("\n", 0, parts.start()) + 1
            raise BadInput(f"{path}:{line}: not a TOML file: a key of more than 100 parts")
        return tomllib.loads(text), text
    except ValueError as error:  # of the parser, or of a number with thousands of digits
        line_of = re.search(r"at line (\d+)", str(error))
        where = f"{path}:{line_of[1]}" if line_of else str(path)
        problem = str(error).partition(";")[0]
        if line_of and AGAIN.match(problem) and (twice := first_twice(text, int(line_of[1]))):
            place, first = twice
            problem = (
                f"'{_path(place)}' is there already, on line {first}; a table or key stands once, "
                "put into it there what is to be added"
            )
        raise BadInput(f"{where}: not a TOML file: {problem}") from error
    except RecursionError as error:
        raise BadInput(f"{path}: not a TOML file: it is nested too deeply") from error


def refuse(*tables: Table) -> None:
    """Raise BadInput with all that is wrong in the sources of these tables, if anything is."""
    if lines := [line for table in tables for line in table.source.complaints()]:
        raise BadInput(*lines)


def to_toml(content: Mapping[str, Any]) -> str:
    """Return the TOML text of a mapping; its "cells" become an array of tables.

    Its "labels" are tables of their own, which people add lines to.
    """
    own = dict(content)
    cells, labels = own.pop("cells", ()), own.pop("labels", {})
    lines = [f"{_key(k)} = {_value(v)}" for k, v in own.items()]
    for cell in cells:
        lines += ["", "[[cells]]", *(f"{_key(k)} = {_value(v)}" for k, v in cell.items())]
    for kind, names in labels.items():
        lines += ["", f"[labels.{_key(kind)}]"]
        lines += [f"{_key(k)} = {_value(v)}" for k, v in names.items()]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return float.__repr__(value)  # TOML spells inf and nan as Python does
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
