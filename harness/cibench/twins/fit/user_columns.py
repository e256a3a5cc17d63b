"""What the user says of the columns: kinds, levels and what stands for a missing value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cibench.twins.columns import Column
from cibench.utils.errors import BadInput, unknown
from cibench.utils.toml import Table, open_table, refuse

NUMBER, WHOLE, SHARE, MONEY = "number", "whole number", "share", "money"
CATEGORY, ORDERED, YES_NO, DATE = "category", "ordered", "yes/no", "date"
IDENTIFIER, TEXT = "identifier", "text"
KINDS = (NUMBER, WHOLE, SHARE, MONEY, CATEGORY, ORDERED, YES_NO, DATE, IDENTIFIER, TEXT)
"""The kinds of columns that a user may name."""

NUMERIC = frozenset({NUMBER, WHOLE, SHARE, MONEY})
ENCODINGS = ("utf-8", "cp1252", "utf-16", "iso-8859-1", "iso-8859-9")
"""The character sets that a CSV file may be declared to be in."""


@dataclass(frozen=True)
class UserColumns:
    """Hold what the user says of columns; what is not said is guessed.

    `kinds` and `levels` (of ordered columns, lowest first) are by column. `missing` are cells that
    stand for a missing value in every column, `missing_in` in one, beside empty cells. Columns to
    `keep` are covariates though guards would leave them out.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    missing_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encoding: str = "utf-8"
    keep: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> UserColumns:
        """Read a columns file; raises BadInput with a line for each mistake: file, line, key."""
        table = open_table(path)
        table.check_keys(("missing", "encoding", "keep", "columns"))
        columns = table.table("columns")
        missing = tuple(table.strings("missing", []))
        encoding = table.take("encoding", str, "utf-8", ENCODINGS.__contains__, _any(ENCODINGS))
        keep = tuple(table.strings("keep", []))
        kinds, levels, missing_in = {}, {}, {}
        for name, content in columns.content.items():
            if isinstance(content, str):
                kinds[name] = _kind(columns, name)
                continue
            own = columns.table(name)
            own.check_keys(("kind", "levels", "missing"))
            if "kind" in own.content or "levels" in own.content:
                kinds[name] = _kind(own, "kind", ORDERED)
            if order := own.strings("levels", []):
                levels[name] = tuple(order)
            if gaps := own.strings("missing", []):
                missing_in[name] = tuple(gaps)
        refuse(table)
        return cls(kinds, levels, missing, missing_in, encoding, keep)

    @classmethod
    def of(cls, known: Iterable[Column], missing: Mapping[str, Iterable[str]]) -> UserColumns:
        """Return what is known of a twin's columns, to read others of that seed alike.

        `missing` are the cells that stood for a missing value, by column, those of all under "".
        """
        kinds, levels = {}, {}
        for column in known:
            kinds[column.name] = kind_of(column)
            if column.levels:
                levels[column.name] = column.levels
        gaps = {name: tuple(cells) for name, cells in missing.items()}
        return cls(kinds, levels, gaps.pop("", ()), gaps)

    def with_options(
        self, options: Mapping[str, Iterable[str]], missing: Iterable[str], encoding: str
    ) -> UserColumns:
        """Return it with what options add, by kind; raises BadInput for a column of two kinds."""
        kinds, named = dict(self.kinds), dict[str, str]()
        for kind, names in options.items():
            for name in names:
                if named.setdefault(name, kind) != kind:
                    raise BadInput(f"column '{name}' is named as {named[name]} and as {kind}")
                kinds[name] = kind
        if encoding and encoding not in ENCODINGS:
            raise BadInput(f"--encoding: {unknown('character set', encoding, ENCODINGS)}")
        gaps = tuple(dict.fromkeys((*self.missing, *missing)))
        return replace(self, kinds=kinds, missing=gaps, encoding=encoding or self.encoding)

    def gaps_of(self, name: str) -> tuple[str, ...]:
        """Return the cells that stand for a missing value in a column."""
        return (*self.missing, *self.missing_in.get(name, ()))

    @property
    def gaps(self) -> dict[str, list[str]]:
        """Return the cells that stand for a missing value by column, those of all under ""."""
        every = {"": list(self.missing)} if self.missing else {}
        return every | {name: list(cells) for name, cells in self.missing_in.items()}

    def check(self, columns: Iterable[str], where: str) -> None:
        """Raise BadInput for a column that the table has not."""
        names = list(columns)
        for name in (*self.kinds, *self.levels, *self.missing_in, *self.keep):
            if name not in names:
                raise BadInput(f"{where}: {unknown('column', name, names)}")


def kind_of(column: Column) -> str:
    """Return the kind that a user calls a twin's column."""
    if column.kind == "category":
        return ORDERED if column.ordered else CATEGORY
    if column.calendar:
        return DATE
    if column.spelling or (column.distinct == 2 and (column.low, column.high) == (0.0, 1.0)):
        return YES_NO
    return WHOLE if column.kind == "integer" else NUMBER


def _kind(table: Table, key: str, default: str = "") -> str:
    return str(table.take(key, str, default, KINDS.__contains__, _any(KINDS)))


def _any(words: Iterable[Any]) -> str:
    return f"one of {', '.join(map(str, words))}"
