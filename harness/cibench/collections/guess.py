"""A collection's file to start from: what the names and contents of a folder's files suggest."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cibench.collections.data_files import (
    ENDINGS,
    Columns,
    as_columns,
    columns_of,
    in_natural_order,
    stack_of,
)
from cibench.collections.declaration import FILE, UNITS
from cibench.model.estimands import Estimand
from cibench.model.types import Array
from cibench.utils.errors import BadInput
from cibench.utils.files import write_text
from cibench.utils.toml import to_toml

OUTCOMES = ("y", "yf", "y_factual", "yobs", "y_obs", "y.obs", "outcome", "response", "re78")
TREATMENTS = (
    "z", "t", "d", "a", "w", "treatment", "treat", "treated", "trt", "exposure", "qsmk",
)  # fmt: skip
POTENTIAL = (("y0", "y1"), ("y_0", "y_1"), ("y.0", "y.1"))
EXPECTED = (("mu0", "mu1"), ("mu_0", "mu_1"), ("mu.0", "mu.1"))
EFFECTS = ("ite", "tau", "effect", "te", "true_ite", "cate", "true_effect")
IGNORED = ("id", "index", "row", "seqn", "unnamed: 0", "ycf", "y_cf", "y_cfactual", "yadd", "ymul")
TO_FILL_IN = "FILL IN"
NO_TRUTH = """\
# nothing here says what is true: name a column of effects, or both potential outcomes,
# or of = { SATE = "a column of the index, or a number" }"""
POPULATION_METHODS = "  # are methods for the ATE asked for the SATE?"
VIOLATES = "# violates = []  # what the data break of what methods assume: then verdicts are given"
DIAL = ('# breaks = "overlap"', "# default = 0", '# unit = "..."')

MOST_LEVELS = 20
"""Values of a column of an index that may be settings; with more it is a number of each."""


@dataclass(frozen=True)
class _Guess:
    """Hold what a folder's files seem to be."""

    folder: Path
    members: list[Path]
    shared: list[Path]
    index: Path | None
    left_out: list[Path]
    stacked: bool
    columns: Columns
    levels: dict[str, list[str]] = field(default_factory=dict)


def write_declaration(folder: str | Path, out: str | Path | None = None) -> Path:
    r"""Write the file of a collection for a folder of data sets, and return its path.

    Which column is what is guessed from names and contents; what cannot be guessed is marked. By
    default the file has the folder's name and lies here. Raises BadInput where the folder holds no
    data sets, and where the file exists.

    >>> from pathlib import Path
    >>> from cibench.collections import read_declaration, write_declaration
    >>> Path("sets").mkdir()
    >>> for k in (1, 2):
    ...     _ = Path(f"sets/sim_{k}.csv").write_text(f"y,z,x1,x2,ite\n1.5,1,{k},0,1\n0,0,3,1,2\n")
    >>> declaration = read_declaration(write_declaration("sets"))
    >>> declaration.roles.treatment, declaration.covariates, declaration.effects
    ('z', ('x*',), 'ite')
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}")
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "collection"
    path = Path(out) if out is not None else Path(f"{name}.toml")
    if path.exists():
        raise BadInput(f"{path} exists already; name another file with --out")
    write_text(path, _text(_look(folder), name, path))
    return path


def _look(folder: Path) -> _Guess:
    paths = in_natural_order(
        p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in ENDINGS
    )
    if not paths:
        raise BadInput(f"{folder} holds no data sets: no file ends in {', '.join(ENDINGS)}")
    if stacks := [p for p in paths if _is_stacked(p)]:
        arrays, _, count = stack_of(stacks[0])
        others = [p for p in paths if p not in stacks]
        columns = as_columns(arrays, str(stacks[0]), 0, count)
        return _Guess(folder, stacks, [], None, others, True, columns)
    names = {path.name for path in paths}
    index = next((p for p in paths if _is_index(columns_of(p), names)), None)
    kinds: dict[frozenset[str], list[Path]] = {}
    for path in paths:
        if path != index:
            kinds.setdefault(frozenset(columns_of(path)), []).append(path)
    members = max(kinds.values(), key=lambda group: (len(group), _numbers_in(group[0])))
    rows, own = _rows(members[0]), {*columns_of(members[0])}
    shared: list[Path] = []
    left_out: list[Path] = []
    for path in paths:
        if path in members or path == index:
            continue
        beside = columns_of(path)
        (shared if _rows(path) == rows and not own & {*beside} else left_out).append(path)
    columns = {n: c for p in (members[0], *shared) for n, c in columns_of(p).items()}
    levels = _levels([*members, *shared])
    return _Guess(folder, members, shared, index, left_out, False, columns, levels)


def _is_stacked(path: Path) -> bool:
    if path.suffix.lower() != ".npz":
        return False
    try:
        arrays, _, count = stack_of(path)
    except BadInput:
        return False
    stacked = [a for a in arrays.values() if a.ndim > 1 and a.shape[-1] == count]
    return len(stacked) > 1


def _is_index(columns: Columns, names: set[str]) -> bool:
    return FILE in columns and bool({*map(str, columns[FILE])} <= names)


def _rows(path: Path) -> int:
    return len(next(iter(columns_of(path).values()), ()))


def _numbers_in(path: Path) -> int:
    return sum(column.dtype.kind in "biuf" for column in columns_of(path).values()) * _rows(path)


def _levels(paths: Sequence[Path]) -> dict[str, list[str]]:
    """Return the texts of each column of texts, in all files together."""
    levels: dict[str, set[str]] = {}
    for path in paths:
        for name, column in columns_of(path).items():
            if column.dtype.kind not in "biuf":
                texts = {str(v) for v in column if v is not None and v == v}  # noqa: PLR0124 - nan
                levels.setdefault(name, set()).update(texts)
    return {name: sorted(texts) for name, texts in levels.items()}


def _first(names: Sequence[str], there: Mapping[str, Any]) -> str:
    """Return the first of some names that is there, in capitals or not; "" where none is."""
    known = {name.lower(): name for name in there}
    return next((known[name] for name in names if name in known), "")


def _pair(pairs: Sequence[tuple[str, str]], there: Mapping[str, Any]) -> tuple[str, ...]:
    both = (tuple(_first([name], there) for name in pair) for pair in pairs)
    return next((pair for pair in both if all(pair)), ())


def _is_binary(column: Array) -> bool:
    return column.dtype.kind in "biuf" and bool(np.isin(column, (0, 1)).all())


def _text(guess: _Guess, name: str, path: Path) -> str:
    columns = guess.columns
    binary = {n: c for n, c in columns.items() if _is_binary(c)}
    own = binary if guess.stacked else {n: binary[n] for n in columns_of(guess.members[0])
                                        if n in binary}  # fmt: skip
    treatment = _first(TREATMENTS, binary) or (next(iter(own)) if len(own) == 1 else "")
    outcome = _first([n for n in OUTCOMES if n != treatment], columns)
    potential, expected = _pair(POTENTIAL, columns), _pair(EXPECTED, columns)
    effects = "" if expected else _first(EFFECTS, columns)
    composed = bool(potential and treatment and not outcome)
    used = {treatment, outcome, effects, *potential, *expected}
    left = [n for n in columns if n not in used and n.lower() not in IGNORED]
    lines = [*_of_files(guess, name, path), "", "[roles]"]
    lines += _entry("outcome", outcome or ("y" if composed else TO_FILL_IN))
    lines += _entry("treatment", treatment or TO_FILL_IN)
    lines += _entry("covariates", _short(left, [*columns], used)) if left else []
    if potential:
        about = "  # the outcome is the one that treatment chooses" if composed else ""
        lines += ["", f"[outcomes]{about}", *_both(potential)]
    stated, settings = _of_index(guess.index)
    by_unit = bool(expected or effects or potential)
    targets = ["SATE", "SATT"] if by_unit and treatment else [*stated] or ["SATE"]
    lines += ["", "[truths]", *_entry("targets", targets)]
    lines += _both(expected) if expected else _entry("effects", effects) if effects else []
    if not (by_unit or stated):
        lines += [NO_TRUTH]
    lines += _entry("of", dict(stated)) if stated and not by_unit else []
    lines += [f"population_methods = {str(by_unit).lower()}{POPULATION_METHODS}"]
    texts = {n: guess.levels[n] for n in left if n in guess.levels}
    if texts:
        lines += ["", "[levels]  # 0/1 columns for all levels but the first"]
        lines += [line for n, values in texts.items() for line in _entry(n, values)]
    for column in settings:
        setting = re.sub(r"\W+", "_", column).strip("_")
        lines += ["", f"[settings.{setting}]  # a dial, once it says what it breaks"]
        lines += [*_entry("column", column), *DIAL]
    return "\n".join(lines) + "\n"


def _of_files(guess: _Guess, name: str, path: Path) -> list[str]:
    place = os.path.relpath(guess.folder.resolve(), path.resolve().parent)
    lines = ["# Guessed from the names and contents of files; look at every line.", "[collection]"]
    lines += _entry("name", name) + _entry("folder", Path(place).as_posix())
    names = [member.name for member in guess.members]
    every = [p.name for p in guess.folder.iterdir() if p.is_file()]
    lines += _entry("files", _short(names, every, set())[0] if len(names) > 1 else names[0])
    if shared := [p.name for p in guess.shared]:
        lines += _entry("shared", shared)
    lines += _entry("index", guess.index.name) if guess.index else []
    lines += _entry("along", "last-axis") if guess.stacked else []
    lines += [VIOLATES]
    return lines + [f"# left out: {p.name}" for p in guess.left_out]


def _entry(key: str, value: Any) -> list[str]:
    return [to_toml({key: value}).strip()]


def _both(pair: tuple[str, ...]) -> list[str]:
    return _entry("untreated", pair[0]) + _entry("treated", pair[1])


def _short(names: list[str], every: list[str], used: set[str]) -> list[str]:
    """Return a glob that matches these names and no other, or the names themselves."""
    start = _start([*names])
    end = _start([name[len(start) :][::-1] for name in names])[::-1]
    glob = f"{start}*{end}"
    odd = any(mark in start + end for mark in "*?[")
    matched = [n for n in every if fnmatch.fnmatchcase(n, glob) and n not in used]
    if len(names) > 1 and start and not odd and matched and {*matched} == {*names}:
        return [glob]
    return names


def _start(names: list[str]) -> str:
    """Return what all names begin with."""
    first, last = min(names), max(names)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


def _of_index(index: Path | None) -> tuple[dict[str, str], list[str]]:
    """Return which columns of an index are truths, and which are settings."""
    if index is None:
        return {}, []
    estimands = {name.lower(): str(name) for name in Estimand.known()}
    stated, settings = {}, []
    for name, column in columns_of(index).items():
        if name.lower() in estimands:
            stated[estimands[name.lower()]] = name
        elif name not in (FILE, UNITS) and 1 < len({*map(str, column)}) <= MOST_LEVELS:
            settings.append(name)
    return stated, settings
