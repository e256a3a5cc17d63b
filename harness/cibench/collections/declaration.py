"""What the TOML file of a collection says: its files, the roles of columns, truths and settings.

[collection]
name = "acic-2016"
folder = "acic"              # relative to this file; its own folder where nothing is said
files = "zymu_*.csv"         # data set k is the k-th of them, zymu_2 before zymu_10
shared = "x.csv"             # columns that stand beside those of every data set, row by row
index = "index.csv"          # a row for each data set, whose column `file` names it

[roles]
outcome = "y"
treatment = "z"
covariates = "x_*"

[outcomes]                   # where the files hold both potential outcomes and no outcome
untreated = "y0"
treated = "y1"

[truths]
targets = ["SATE", "SATT"]
untreated = "mu0"            # of each unit's effect: their difference, or `effects = "tau"`
treated = "mu1"
population_methods = true    # methods for the ATE are asked for the SATE
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cibench.model.estimands import Estimand, is_estimand
from cibench.model.types import ROLE_NAMES, Roles
from cibench.utils.errors import unknown
from cibench.utils.files import canonical
from cibench.utils.toml import Table, open_table, refuse

KEYS = ("collection", "roles", "outcomes", "truths", "levels", "settings")
OWN = (
    "name", "about", "reference", "folder", "files", "shared", "index", "along", "missing",
    "violates",
)  # fmt: skip
TRUTHS = ("targets", "effects", "untreated", "treated", "table", "population_methods", "of")
SETTING = ("column", "breaks", "default", "unit", "levels", "about")
PAIR = ("untreated", "treated")
MISSING = ("refuse", "drop", "keep")
ALONG = ("files", "last-axis")
FILE, UNITS = "file", "n"
"""The columns of an index that name a data set's file and say how many units it has."""

POPULATION = {Estimand.SATE: Estimand.ATE, Estimand.SATT: Estimand.ATT}
"""Which methods for a population may be asked for the average over the units of a data set."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

RESERVED = {"resample", "pooled", "target", "n", "name", "replicate", "dial", "setting", "method"}
"""What no setting is called: options of every collection, and words of tables."""


@dataclass(frozen=True)
class Setting:
    """Say by what data sets differ: a column of the index, and what a dial needs.

    `levels` gives the numbers that texts stand for. Without `breaks` it is a parameter.
    """

    name: str
    column: str
    breaks: str = ""
    default: float = 0.0
    unit: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Declaration:
    """Hold what the file of a collection says; `folder` is where its data lie.

    Each of `stated` is a column of the index, or of the table of truths, or the truth of every data
    set. `covariates` are names and globs of columns.
    """

    path: Path
    folder: Path
    name: str
    about: str
    reference: str
    files: tuple[str, ...]
    shared: tuple[str, ...]
    index: str
    stacked: bool
    missing: str
    violates: tuple[str, ...] | None
    roles: Roles
    covariates: tuple[str, ...]
    outcomes: tuple[str, str] | None
    targets: tuple[Estimand, ...]
    effects: str
    expected: tuple[str, str] | None
    truth_table: str
    stated: Mapping[Estimand, str | float]
    population_methods: bool
    levels: Mapping[str, tuple[str, ...]]
    settings: tuple[Setting, ...]
    content: str

    @property
    def by_unit(self) -> bool:
        """Say whether the data tell the effect on each unit."""
        return bool(self.effects or self.expected or self.outcomes)


def read_declaration(path: str | Path) -> Declaration:
    r"""Read the file of a collection; raises BadInput with a line for each mistake.

    >>> from pathlib import Path
    >>> from cibench.collections import read_declaration
    >>> text = "[collection]\nname = 'mine'\nfiles = '*.csv'\n[roles]\noutcome = 'y'\n"
    >>> _ = Path("mine.toml").write_text(text + "[truths]\ntargets = 'SATE'\neffects = 'tau'\n")
    >>> str(read_declaration("mine.toml").targets[0])
    'SATE'
    """
    path = Path(path)
    table = open_table(path)
    table.check_keys(KEYS)
    declaration = _declaration(table, path)
    refuse(table)
    assert declaration is not None
    return declaration


def _declaration(table: Table, path: Path) -> Declaration | None:
    own, truths = table.table("collection"), table.table("truths")
    own.check_keys(OWN)
    truths.check_keys(TRUTHS)
    roles, covariates = _roles(table.table("roles"))
    stated = _stated(truths)
    targets = _targets(truths, stated)
    outcomes, expected = _pair(table.table("outcomes"), "outcomes"), _pair(truths, "truths")
    effects, truth_table = (_text(truths, key) for key in ("effects", "table"))
    if effects and expected:
        truths.fault("effects", "stands beside 'untreated' and 'treated': name one or the other")
    if truth_table and not stated:
        truths.fault("of", "is missing; it says which column holds which truth")
    half = any(part.faulty(*PAIR) for part in (truths, table.table("outcomes")))
    by_unit = bool(effects or expected or outcomes or half)
    _check_sources(truths, targets, stated, by_unit=by_unit)
    files, index = tuple(own.strings("files", [])), _text(own, "index")
    if not files and not index:
        own.fault("files", "is missing; it takes names or globs of files (or name an 'index')")
    name = own.take("name", str, ..., _is_name, "a name in lower case and hyphens")
    settings = tuple(_settings(table.table("settings"), bool(index)))
    levels = table.table("levels")
    for key in levels.content:
        texts = levels.strings(key, ...)
        if twice := sorted({text for text in texts if texts.count(text) > 1}):
            levels.fault(key, f"'{twice[0]}' is there twice")
    folder = _text(own, "folder") or "."
    if table.faulty():
        return None
    return Declaration(
        path.resolve(), (path.parent / folder).resolve(), name, _text(own, "about"),
        _text(own, "reference"), files, tuple(own.strings("shared", [])), index,
        _among(own, "along", ALONG) == ALONG[1], _among(own, "missing", MISSING),
        tuple(own.strings("violates", [])) if "violates" in own.content else None,
        roles, covariates, outcomes, targets, effects, expected, truth_table, stated,
        truths.take("population_methods", bool, False, lambda _: True, "true or false"),
        {key: tuple(levels.strings(key, ...)) for key in levels.content}, settings,
        canonical(_without_place(table.content)),
    )  # fmt: skip


def _without_place(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the data: not where they lie, and no words about them."""
    own = dict(content["collection"])
    kept = {k: v for k, v in own.items() if k not in ("folder", "about", "reference")}
    return {**content, "collection": kept}


def _text(table: Table, key: str) -> str:
    return str(table.take(key, str, "", lambda _: True, "a text"))


def _among(table: Table, key: str, known: tuple[str, ...]) -> str:
    return str(table.take(key, str, known[0], known.__contains__, f"one of {', '.join(known)}"))


def _is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def _roles(table: Table) -> tuple[Roles, tuple[str, ...]]:
    """Return the roles, with covariates as they are named: globs wait for a file's columns."""
    table.check_keys(ROLE_NAMES)
    single = [name for name in ROLE_NAMES if name not in ("covariates", "instruments", "cutoff")]
    names: dict[str, Any] = {n: _text(table, n) for n in single if n in table.content}
    cutoff = table.take("cutoff", (int, float), None, math.isfinite, "a number")
    covariates = tuple(table.strings("covariates", []))
    roles = Roles(**names, instruments=tuple(table.strings("instruments", [])), cutoff=cutoff)
    return roles, covariates


def _pair(table: Table, where: str) -> tuple[str, str] | None:
    if where == "outcomes":
        table.check_keys(PAIR)
    names = [_text(table, key) for key in PAIR]
    if bool(names[0]) != bool(names[1]):
        table.fault(PAIR[not names[1]], "is missing; both potential outcomes are needed")
    return (names[0], names[1]) if all(names) else None


def _stated(truths: Table) -> dict[Estimand, str | float]:
    """Return what `of` says: which column, or which number, is the truth of which estimand."""
    stated: dict[Estimand, str | float] = {}
    of = truths.table("of")
    for key, value in of.content.items():
        if not is_estimand(key):
            of.fault(key, unknown("estimand", key, Estimand.known()))
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            of.fault(key, f"{value!r} is neither the name of a column nor a number")
        elif not isinstance(value, str) and not math.isfinite(value):
            of.fault(key, f"{value!r} is not a finite number")
        else:
            stated[Estimand(key)] = value if isinstance(value, str) else float(value)
    return stated


def _targets(truths: Table, stated: Mapping[Estimand, object]) -> tuple[Estimand, ...]:
    names = truths.strings("targets", [*map(str, stated)])
    for number, name in enumerate(names):
        if not is_estimand(name):
            truths.fault("targets", unknown("estimand", name, Estimand.known()), number)
    if not names:
        truths.fault("targets", "is missing; it names what is true of the data sets: SATE, SATT")
    return tuple(dict.fromkeys(Estimand(name) for name in names if is_estimand(name)))


def _check_sources(
    truths: Table, targets: tuple[Estimand, ...], stated: Mapping[Estimand, object], *,
    by_unit: bool,
) -> None:  # fmt: skip
    """Note where nothing says the truth of a target."""
    for number, target in enumerate(targets):
        if target in stated:
            continue
        if not by_unit:
            truths.fault(
                "targets", f"nothing says the truth of {target}: name a column of effects, both "
                "potential outcomes, or 'of' which column or number it is", number,
            )  # fmt: skip
        elif not target.of_sample:
            sample = {p: s for s, p in POPULATION.items()}.get(target)
            instead = f"; did you mean {sample}?" if sample else ""
            truths.fault(
                "targets", f"effects of units at hand say nothing of the {target}{instead}", number
            )


def _settings(table: Table, has_index: bool) -> list[Setting]:
    settings = []
    for name in table.content:
        part = table.table(name)
        part.check_keys(SETTING)
        if not name.isidentifier() or name.startswith("_") or name in RESERVED:
            table.fault(name, "is no name for a setting; give it another and name its 'column'")
        if not has_index:
            table.fault(name, "is a column of the index, and the collection has none")
        breaks, unit = _text(part, "breaks"), _text(part, "unit")
        levels = {}
        for text, value in part.table("levels").content.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                part.fault("levels", f"{value!r} is not a number")
            else:
                levels[text] = float(value)
        default = part.take("default", (int, float), ... if breaks else 0.0, math.isfinite,
                            "the setting at which the assumption holds")  # fmt: skip
        if breaks and not unit:
            part.fault("unit", "is missing; it says what the settings are measured in")
        if not part.faulty():
            column = _text(part, "column") or name
            settings.append(Setting(name, column, breaks, float(default), unit, levels))
    return settings
