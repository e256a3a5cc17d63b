"""The data sets of a collection: which there are, what each holds, and whether all is well."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.collections.data_files import (
    Columns,
    as_columns,
    columns_of,
    content_digest,
    in_natural_order,
    last_places,
    require_equal_lengths,
    stack_of,
    state_of,
)
from cibench.collections.declaration import FILE, UNITS, Declaration, Setting
from cibench.model.estimands import Estimand
from cibench.model.types import Array, Draw, Roles, Target
from cibench.utils.errors import BadInput, near_miss, unknown
from cibench.utils.foreign import read_table
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

MOST_LISTED = 4
"""Columns or files that a complaint repeats."""


COPIED = 60
"""Letters of a file that a complaint repeats."""

MOST_FAULTS = 20
"""Data sets that are not sound which are told; the others are counted."""


@dataclass(frozen=True)
class Member:
    """Name a data set: its file, its place along the last axis (-1: it is the file), its row.

    `row` is the data set's place in the index.
    """

    path: Path
    name: str
    place: int = -1
    row: int = -1


@dataclass(frozen=True, eq=False)
class Collection:
    r"""Hold a declaration and the data sets that it stands for; nothing of them is in memory.

    Raises BadInput where there are none, and where index and files do not agree.

    >>> from pathlib import Path
    >>> from cibench.collections import Collection, read_declaration
    >>> text = "[collection]\nname = 'mine'\nfiles = '*.csv'\n[roles]\noutcome = 'y'\n"
    >>> text += "treatment = 'd'\n[truths]\ntargets = 'SATE'\neffects = 'tau'\n"
    >>> _ = Path("mine.toml").write_text(text)
    >>> _ = Path("first.csv").write_text("y,d,tau\n1.5,1,1\n0.5,0,2\n")
    >>> collection = Collection(read_declaration("mine.toml"))
    >>> [member.name for member in collection.members]
    ['first.csv']
    >>> collection.check()
    >>> float(collection.data_set(0).averaged(collection.targets[0]).mean())
    1.5
    """

    declaration: Declaration

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Return the data sets in their order."""
        paths = self._paths
        if not self.declaration.stacked:
            members = [Member(path, self.name_of(path)) for path in paths]
        else:
            members = [
                Member(path, f"{self.name_of(path)}[{place}]", place)
                for path in paths for place in range(stack_of(path)[2])
            ]  # fmt: skip
        if self._index is None:
            return tuple(members)
        return tuple(_numbered(members, self._index, self.declaration))

    @cached_property
    def _paths(self) -> list[Path]:
        declared, folder = self.declaration, self.declaration.folder
        if not folder.is_dir():
            near = near_miss(folder.name, [p.name for p in folder.parent.glob("*/")])
            raise BadInput(f"{declared.path}: collection.folder: there is no folder {folder}{near}")
        if not declared.files:
            assert self._index is not None
            if FILE not in self._index:
                raise BadInput(f"{declared.index}: it has no column '{FILE}'; name 'files' instead")
            return list(dict.fromkeys(folder / str(name) for name in self._index[FILE]))
        left_out = {
            folder / name
            for name in (*declared.shared, declared.index, declared.truth_table)
            if name
        }
        paths: dict[Path, None] = {}
        for pattern in declared.files:
            try:
                matched = [path for path in folder.glob(pattern) if path.is_file()]
            except (ValueError, NotImplementedError) as error:
                raise BadInput(
                    f"{declared.path}: collection.files: '{pattern}': {error}"
                ) from error
            if not matched:
                near = near_miss(pattern, [p.name for p in folder.glob("*")])
                raise BadInput(
                    f"{declared.path}: collection.files: no file in {folder} matches "
                    f"'{pattern}'{near}"
                )
            paths |= dict.fromkeys(in_natural_order(matched))
        return [path for path in paths if path not in left_out and path != declared.path]

    def name_of(self, path: Path) -> str:
        """Return a file's name as people know it: from its folder on."""
        folder = self.declaration.folder
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)

    @cached_property
    def _index(self) -> pd.DataFrame | None:
        name = self.declaration.index
        return self._table(name, "collection.index") if name else None

    def _table(self, name: str, what: str) -> pd.DataFrame:
        """Return a table of the folder; raises BadInput with the near miss where there is none."""
        path = self.declaration.folder / name
        try:
            state_of(path)
        except BadInput as error:
            raise BadInput(f"{self._source}: {what}: {error}") from error
        return read_table(path, exact=True)

    @cached_property
    def _truths(self) -> pd.DataFrame | None:
        """Return the table of truths in the order of the data sets, else the index."""
        name = self.declaration.truth_table
        if not name:
            return self._index
        table = self._table(name, "truths.table")
        plain = [replace(member, row=-1) for member in self.members]
        rows = [m.row for m in _numbered(plain, table, replace(self.declaration, index=name))]
        return table.iloc[rows]  # under the numbers that its rows have in the file

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Return what is true of each data set."""
        return tuple(Target(estimand) for estimand in self.declaration.targets)

    # --- settings and sizes, by data set

    def values(self, setting: Setting) -> list[Any]:
        """Return the setting of each data set: a dial's as numbers, a parameter's as it stands."""
        what = f"settings.{setting.name}"
        column = self._index_column(setting.column, what)
        if not setting.breaks and not setting.levels:
            return [value.item() if isinstance(value, np.generic) else value for value in column]
        values = []
        for member, value in zip(self.members, column, strict=True):
            text = str(value)
            where = f"{self.declaration.index}: {self._at(member.row, setting.column, member)}"
            if setting.levels and text not in setting.levels:
                known = unknown("level", text, setting.levels)
                raise BadInput(f"{where} is not among the levels of {what}: {known}")
            try:
                number = float(setting.levels[text] if setting.levels else value)
            except (TypeError, ValueError):
                number = np.nan
            if not np.isfinite(number):
                raise BadInput(
                    f"{where} holds {text[:COPIED]!r}, which is no number; {what}.levels says "
                    "which number a text stands for"
                )
            values.append(number)
        return values

    @staticmethod
    def _at(row: int, column: str, member: Member) -> str:
        """Name a cell of the index, or of the table of truths, and whose it is."""
        return f"row {row + 1} of column '{column}' ({member.name})"

    @property
    def _source(self) -> str:
        return str(self.declaration.path)

    def _index_column(self, name: str, what: str) -> Sequence[Any]:
        index = self._index
        assert index is not None  # as the declaration saw to
        if name not in index:
            there = [str(each) for each in index.columns]
            raise BadInput(f"{self._source}: {what}: {unknown('column of the index', name, there)}")
        column = index[name].iloc[[member.row for member in self.members]]
        for member, gone in zip(self.members, column.isna(), strict=True):
            if gone:
                at = self._at(member.row, name, member)
                raise BadInput(f"{self.declaration.index}: {at} is empty")
        return list(column)

    @cached_property
    def units(self) -> list[int]:
        """Return how many units each data set has: as the index says, else counted."""
        every = range(len(self.members))
        return self._said_sizes or [len(self.data_set(place).baseline) for place in every]

    @cached_property
    def _said_sizes(self) -> list[int]:
        """Return what the index says of sizes, nothing where it does not."""
        if self._index is None or UNITS not in self._index:
            return []
        values = self._index_column(UNITS, UNITS)
        return [self._counted(v, m) for v, m in zip(values, self.members, strict=True)]

    def _counted(self, value: Any, member: Member) -> int:
        try:
            if float(value) == int(value) > 0:
                return int(value)
        except (TypeError, ValueError, OverflowError):
            pass
        at = self._at(member.row, UNITS, member)
        raise BadInput(
            f"{self.declaration.index}: {at} holds {str(value)[:COPIED]!r}, no number of units"
        )

    # --- columns

    def columns(self, place: int) -> Columns:
        """Return the columns of a data set, those that it shares with others beside its own."""
        member, columns = self.members[place], dict[str, Array]()
        if member.place < 0:
            columns |= columns_of(member.path)
        else:
            arrays, _, count = stack_of(member.path)
            columns |= as_columns(arrays, str(member.path), member.place, count)
        for name in self.declaration.shared:
            beside = columns_of(self.declaration.folder / name)
            if twice := sorted(columns.keys() & beside):
                raise BadInput(f"{name}: column '{twice[0]}' is in {member.name}, too")
            own, rows = (len(next(iter(each.values()), ())) for each in (columns, beside))
            if own != rows:
                raise BadInput(f"{name}: it has {rows:,} rows, a data set beside it {own:,}")
            columns |= beside
        require_equal_lengths(((n, len(c)) for n, c in columns.items()), member.name)
        return columns

    @cached_property
    def roles(self) -> Roles:
        """Return the roles, covariates by the names that the first data set has for them."""
        if not self.members:
            raise BadInput(f"{self._source}: collection.files: there are no data sets")
        declared, columns = self.declaration, self.columns(0)
        where = self.members[0].name
        used = {*declared.roles.columns, *self._effect_columns}
        if declared.outcomes and declared.roles.outcome not in columns:
            used.discard("")
        covariates, files_have = dict[str, None](), dict[str, None]()
        for pattern in declared.covariates:
            matched = [n for n in columns if n == pattern] or [
                n for n in columns if fnmatch.fnmatchcase(n, pattern) and n not in used
            ]
            if not matched:
                line = unknown("column", pattern, columns)
                raise BadInput(f"{self._source}: roles.covariates: {where}: {line}")
            files_have |= dict.fromkeys(matched)
            for name in matched:
                covariates |= dict.fromkeys(self._expanded(name))
        for name in declared.levels:
            if name not in files_have:
                line = unknown("covariate", name, files_have)
                raise BadInput(f"{self._source}: levels.{name}: {where}: {line}")
        roles = replace(declared.roles, covariates=tuple(covariates))
        self._require(columns, [n for n in self._raw(roles) if n], where)
        return roles

    def _expanded(self, name: str) -> list[str]:
        """Return a covariate's columns as analysts use them: 0/1 for all levels but the first."""
        levels = self.declaration.levels.get(name)
        return [f"{name}={level}" for level in levels[1:]] if levels else [name]

    def _raw(self, roles: Roles) -> list[str]:
        """Return the columns of the files that a data set is made of."""
        declared = self.declaration
        back = {e: name for name in declared.levels for e in self._expanded(name)}
        names = [back.get(name, name) for name in roles.columns]
        if declared.outcomes:
            names = [n for n in names if n != roles.outcome or n in self.columns(0)]
            names += declared.outcomes
        names += [declared.effects, *(declared.expected or ())]
        return list(dict.fromkeys(filter(None, names)))

    def _require(self, columns: Columns, names: Sequence[str], where: str) -> None:
        faults = [f"{where}: {unknown('column', n, columns)}" for n in names if n not in columns]
        if faults:
            raise BadInput(*faults)

    # --- a data set

    def data_set(self, place: int) -> Draw:
        """Return a data set with all that lies behind it; raises BadInput where it is not sound."""
        declared, member, roles = self.declaration, self.members[place], self.roles
        columns, names = self.columns(place), self._raw(roles)
        self._require(columns, names, member.name)
        raw = {n: self._numbers(columns[n], n, place) for n in names}
        numbers, rows = self._without_gaps(raw, place)
        observed = {n: c for n, c in self._as_shown(numbers).items() if n in roles.columns}
        treated = observed.get(roles.treatment)
        if declared.outcomes:
            low, high = (numbers[n] for n in declared.outcomes)
            self._require_binary(treated, member.name)
            own = np.where(treated == 1, high, low)
            if roles.outcome in observed:
                self._require_own_outcome(place, observed[roles.outcome], own, treated, rows)
            observed.setdefault(roles.outcome, own)
        y = observed[roles.outcome]
        effects = np.full(len(y), np.nan)
        if declared.effects:
            effects = numbers[declared.effects]
        elif pair := declared.expected or declared.outcomes:
            effects = numbers[pair[1]] - numbers[pair[0]]
        baseline = y - effects * (0.0 if treated is None else treated)
        masks = self._masks(len(y), treated, member.name)
        return Draw(observed, baseline, effects, masks, truths=self.truths(place))

    def _masks(self, rows: int, treated: Array | None, where: str) -> Mapping[Target, Array]:
        every = np.ones(rows, bool)
        masks: dict[Target, Array] = dict.fromkeys(self.targets, every)
        satt = Target(Estimand.SATT)
        if satt in masks and Estimand.SATT not in self.declaration.stated:
            self._require_binary(treated, where)
            masks[satt] = np.asarray(treated) == 1
            if not masks[satt].any():
                raise BadInput(f"{where}: it has no treated unit, and so no SATT")
        return masks

    def _require_own_outcome(
        self, place: int, y: Array, own: Array, treated: Array | None, rows: Array
    ) -> None:
        """Raise BadInput where an outcome is not the potential one of its row's treatment.

        The two may differ by what their file leaves open, half a unit in the last place of each;
        whole numbers are the same or not.
        """
        if not (y != own).any():
            return
        names = (self.declaration.roles.outcome, *(self.declaration.outcomes or ()))
        columns = self.columns(place)
        of_y, low, high = (last_places(self._path_of(place, n), n, columns[n])[rows] for n in names)
        whole_y, *whole = (columns[n].dtype.kind in "biu" for n in names)
        counts = whole_y & np.where(treated == 1, whole[1], whole[0])
        near = np.where(counts, 0.0, (of_y + np.where(treated == 1, high, low)) / 2)
        if (off := np.flatnonzero(np.abs(y - own) > near)).size:
            row, (outcome, untreated, treatment) = off[0], names
            raise BadInput(
                f"{self.members[place].name}: row {rows[row] + 1}: '{outcome}' is {y[row]:.9g}, "
                f"where '{untreated}' and '{treatment}' have {own[row]:.9g}, further off than "
                "their last places allow; expectations are 'untreated' and 'treated' of [truths]"
            )

    def _path_of(self, place: int, name: str) -> Path:
        """Return the file that holds a column of a data set: its own, or one that many share."""
        for shared in self.declaration.shared:
            path = self.declaration.folder / shared
            if name in columns_of(path):
                return path
        return self.members[place].path

    def _where(self, place: int, name: str) -> str:
        """Name the file that holds a column of a data set, and of one along an axis its place."""
        path, member = self._path_of(place, name), self.members[place]
        return member.name if path == member.path else self.name_of(path)

    def _require_binary(self, treated: Array | None, where: str) -> None:
        if treated is None or not np.isin(treated, (0, 1)).all():
            column = self.declaration.roles.treatment
            raise BadInput(f"{where}: the treatment '{column}' is not 0 or 1 everywhere")

    def _numbers(self, column: Array, name: str, place: int) -> Array:
        """Return a column as whole numbers or floats, texts as the places of their levels."""
        levels = self.declaration.levels.get(name)
        if column.dtype.kind in "biu" and levels is None:
            return column.astype(np.int64)
        if column.dtype.kind == "f" and levels is None:
            numbers = column.astype(float)
            if np.isinf(numbers).any():
                row = int(np.flatnonzero(np.isinf(numbers))[0]) + 1
                where = self._where(place, name)
                raise BadInput(f"{where}: row {row} of column '{name}' is infinite")
            return numbers
        texts = [None if missing(value) else _level(value) for value in column]
        if levels is None:
            raise BadInput(f"{self._where(place, name)}: {self._no_numbers(texts, name)}")
        places = {level: float(i) for i, level in enumerate(levels)}
        for row, text in enumerate(texts, 1):
            if text is not None and text not in places:
                raise BadInput(
                    f"{self._where(place, name)}: row {row} of column '{name}': "
                    f"{unknown('level', text, levels)}"
                )
        return np.array([np.nan if t is None else places[t] for t in texts])

    def _no_numbers(self, texts: Sequence[str | None], name: str) -> str:
        """Say what keeps a column from being one of numbers: a text among them, or only texts."""
        there = sorted({text for text in texts if text is not None})
        strange = [row for row, text in enumerate(texts) if text is not None and not _reads(text)]
        numbers = sum(text is not None for text in texts) - len(strange)
        category = name not in {*self.declaration.roles.columns, *self._effect_columns}
        if not category or numbers > len(strange):
            first = strange[0] if strange else 0
            more = f" ({len(strange):,} rows hold none)" if len(strange) > 1 else ""
            return (
                f"row {first + 1} of column '{name}' holds {str(texts[first])[:COPIED]!r}, which "
                f"is no number{more}"
            )
        listed = ", ".join(f'"{text[:COPIED]}"' for text in there[:MOST_LISTED])
        more = ", ..." if len(there) > MOST_LISTED else ""
        return (
            f"column '{name}' holds texts ({listed}{more}); [levels] says which there are: "
            f"{name} = [{listed}{more}]"
        )

    @property
    def _effect_columns(self) -> tuple[str, ...]:
        """Return the columns that say what is true of units; "" among them is none."""
        declared = self.declaration
        return (declared.effects, *(declared.outcomes or ()), *(declared.expected or ()))

    def _without_gaps(self, columns: Columns, place: int) -> tuple[Columns, Array]:
        """Return rows without missing values, and which these are; all where gaps are kept."""
        gaps = {n: np.isnan(c) for n, c in columns.items() if c.dtype.kind == "f"}
        every = np.arange(len(next(iter(columns.values()))))
        if self.declaration.missing == "keep" or not any(gone.any() for gone in gaps.values()):
            return columns, every
        if self.declaration.missing == "refuse":
            name, gone = next((n, g) for n, g in gaps.items() if g.any())
            row = int(np.flatnonzero(gone)[0]) + 1
            raise BadInput(
                f"{self._where(place, name)}: row {row} of column '{name}' is empty; "
                '`missing = "drop"` leaves out rows with gaps, "keep" leaves them to the methods'
            )
        whole = ~np.any([*gaps.values()], axis=0)
        if not whole.any():
            raise BadInput(f"{self.members[place].name}: every row has a gap")
        return {n: c[whole] for n, c in columns.items()}, every[whole]

    def _as_shown(self, numbers: Columns) -> Columns:
        observed: dict[str, Array] = {}
        for name, column in numbers.items():
            levels = self.declaration.levels.get(name)
            if levels is None or column.dtype.kind != "f":
                observed[name] = column
            else:
                gone = np.isnan(column)
                for i, level in enumerate(levels[1:], 1):
                    observed[f"{name}={level}"] = np.where(gone, np.nan, column == i)
        return observed

    def truths(self, place: int) -> dict[Target, float]:
        """Return what is stated to be true of a data set; raises BadInput where it is missing."""
        stated: dict[Target, float] = {}
        for estimand, declared in self.declaration.stated.items():
            if estimand in self.declaration.targets:
                value: Any = (
                    declared if isinstance(declared, float) else self._stated(declared, place)
                )
                stated[Target(estimand)] = float(value)
        return stated

    def _stated(self, column: str, place: int) -> float:
        table, member = self._truths, self.members[place]
        where = self.declaration.truth_table or self.declaration.index
        if table is None:
            raise BadInput(
                f"{self._source}: truths.of: '{column}' is a column of an index or a table, and "
                "there is none"
            )
        if column not in table:
            line = unknown("column", column, [str(each) for each in table.columns])
            raise BadInput(f"{where}: truths.of: {line}")
        row = place if self.declaration.truth_table else member.row
        value, at = table[column].iloc[row], self._at(int(table.index[row]), column, member)
        if missing(value):
            raise BadInput(f"{where}: {at} is empty: it has no truth")
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            text = str(value)[:COPIED]
            raise BadInput(f"{where}: {at} holds {text!r}, which is no number") from error
        if not np.isfinite(number):
            raise BadInput(f"{where}: {at} holds {number}, which is no truth")
        return number

    # --- whether all is well

    def check(self) -> None:
        """Read every data set; raises BadInput with a line for each that is not sound."""
        faults, first = [*self._same()], set[str]()
        for place, member in enumerate(self.members):
            try:
                names = {*self.columns(place)}
                first = first or names
                if names != first:
                    faults.append(self._unequal(member, names, first))
                    continue
                draw = self.data_set(place)
            except BadInput as error:
                faults += map(str, error.args)
                continue
            sizes = self._said_sizes
            if sizes and sizes[place] != len(draw.baseline):
                faults.append(
                    f"{member.name}: it has {len(draw.baseline):,} units, but "
                    f"{self.declaration.index} says {sizes[place]:,}"
                )
        if faults:
            lines = [*dict.fromkeys(faults)]
            more = [f"and {len(lines) - MOST_FAULTS:,} more"] if len(lines) > MOST_FAULTS else []
            raise BadInput(*lines[:MOST_FAULTS], *more)

    def _unequal(self, member: Member, names: set[str], first: set[str]) -> str:
        """Say that a data set's columns are not those of the first, and which."""
        lacks, more = (sorted(s)[:MOST_LISTED] for s in (first - names, names - first))
        parts = [f"lacks {', '.join(lacks)}"] if lacks else []
        parts += [f"has {', '.join(more)}"] if more else []
        others = self.members[0].name
        return f"{member.name}: its columns are not those of {others}: it {' and '.join(parts)}"

    def _same(self) -> Iterator[str]:
        """Yield a line for each file that holds the same bytes as one before it."""
        seen: dict[bytes, Path] = {}
        for path in dict.fromkeys(member.path for member in self.members):
            before = seen.setdefault(content_digest(path), path)
            if before != path:
                yield f"{self.name_of(path)}: it is the same file as {self.name_of(before)}"

    def digest(self) -> str:
        """Return the digest of what the rows rest on: the declaration and every file's bytes.

        Files are looked for anew, so that one that has come since is noticed.
        """
        fresh, digest = Collection(self.declaration), blake2b(digest_size=16)
        digest.update(self.declaration.content.encode())
        declared = self.declaration
        beside = [
            declared.folder / n
            for n in (*declared.shared, declared.index, declared.truth_table)
            if n
        ]
        for path in sorted({*fresh._paths, *beside}):
            digest.update(self.name_of(path).encode() + b"\0" + content_digest(path) + b"\0")
        return digest.hexdigest()


def _reads(text: str) -> bool:
    """Say whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _level(value: Any) -> str:
    """Return a value as the text of a level: a whole number without a point."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _numbered(
    members: Sequence[Member], table: pd.DataFrame, declared: Declaration
) -> Iterator[Member]:
    """Yield data sets with their rows in a table; raises BadInput where the two do not agree."""
    if FILE not in table:
        if len(table) != len(members):
            raise BadInput(
                f"{declared.index}: {len(table):,} rows for {len(members):,} data sets; a column "
                f"'{FILE}' says which row is whose"
            )
        yield from (replace(member, row=row) for row, member in enumerate(members))
        return
    names = [str(name) for name in table[FILE]]
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        if name in rows:
            raise BadInput(
                f"{declared.index}: rows {rows[name] + 1} and {row + 1} are both of {name}"
            )
        rows[name] = row
    known = [member.name for member in members]
    for name in names:
        if name not in known:
            raise BadInput(
                f"{declared.index}: row {rows[name] + 1}: {unknown('data set', name, known)}"
            )
    for member in members:
        if member.name not in rows:
            raise BadInput(f"{declared.index}: it has no row for {member.name}")
        yield replace(member, row=rows[member.name])
