"""Reading the content of a suite file, with one clear line for whatever is wrong in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from cibench.model import registry
from cibench.suite.cells import expand, with_twins
from cibench.suite.precision import SCORING_KEYS, read_precision
from cibench.suite.ranking import check_scoring
from cibench.suite.suite import NO_REFITS, Cell, Refits, Refusal, Suite, merge
from cibench.utils.errors import BadInput, unknown
from cibench.utils.toml import Table

SUITE_KEYS = (
    "name", "seed", "replicates", "level", "plugins", "timeout", "memory", "published", "refits",
    "cells", *SCORING_KEYS,
)  # fmt: skip
BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]B)", re.IGNORECASE)


def parse_suite(
    spec: Mapping[str, Any], *, where: str = "suite", folder: str | Path = "."
) -> Suite:
    """Build a suite from the content of a suite file; plug-in paths are relative to `folder`.

    Raises BadInput naming the file, the key and the near miss.
    """
    folder = Path(folder)
    table = Table(spec, where)
    table.check_keys(SUITE_KEYS)
    table, twins = with_twins(table, folder)
    plugins = [_absolute(p, folder) for p in table.strings("plugins", [])]
    plugins = list(dict.fromkeys([*plugins, *twins]))
    for plugin in plugins:
        try:
            registry.load_plugin(plugin)
        except BadInput as error:
            raise table.bad("plugins", error) from error
    entries = table.take("cells", list, ..., bool, "one or more [[cells]] tables")
    cells: list[Cell] = []
    refusals: list[Refusal] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise table.bad("cells", f"{entry!r} is not a table")
        expand(Table(entry, where, f"cells[{number}]."), cells, refusals)
    published = _published(table, folder)
    check_scoring(table, cells)
    precision = read_precision(table)
    paths = {"plugins": plugins, "published": str(published.resolve()) if published else ""}
    paths = {key: value for key, value in paths.items() if value}
    real = (int, float)
    suite = Suite(
        name=table.take("name", str, ..., _is_name, "a name of letters, digits, - and _"),
        seed=table.take("seed", int, ..., lambda v: v >= 0, "a whole number of 0 or more"),
        replicates=table.take(
            "replicates", int, 0 if precision else ..., lambda v: v > 0, "a whole number above 0"
        ),
        precision=precision,
        level=float(table.take("level", real, 0.95, lambda v: 0 < v < 1, "between 0 and 1")),
        timeout=table.take("timeout", real, None, lambda v: v > 0, "seconds above 0"),
        memory=_memory(table),
        plugins=tuple(plugins),
        published=published,
        cells=merge(cells),
        refusals=tuple(dict.fromkeys(refusals)),
        refits=_refits(table),
        spec={**table.content, **paths},
    )
    _check_expectations(suite, where)
    return suite


def read_suite(path: str | Path) -> Suite:
    """Read a suite file; raises BadInput naming the file, the key and the near miss."""
    path = Path(path)
    try:
        spec = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a TOML file: {error}") from error
    return parse_suite(spec, where=str(path), folder=path.parent)


def find_suite(name: str | Path) -> Suite:
    """Read a suite by path, by the name of a built-in one or as a run folder has it.

    Raises BadInput with the near miss.
    """
    text, path, suites = str(name), Path(name), built_in_suites()
    if text in suites:
        return read_suite(suites[text])
    if path.is_dir():
        if not (path / "suite.toml").exists():
            raise BadInput(f"{path} is not a run folder: it has no suite.toml")
        return read_suite(path / "suite.toml")
    if text.endswith(".toml") or len(path.parts) > 1:
        return read_suite(path)
    raise BadInput(unknown("suite", text, suites))


def built_in_suites() -> dict[str, Path]:
    """Return the suite files that come with cibench, by name."""
    package = import_module(registry.BUILT_IN["scenario"])
    folder = Path(package.__path__[0]) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _refits(table: Table) -> Refits:
    """Return how often fits are repeated with other algorithm streams: never, if not said."""
    if "refits" not in table.content:
        return NO_REFITS
    given = table.table("refits")
    given.check_keys(Refits._fields)
    wanted = "a whole number above 0"
    return Refits(*(given.take(key, int, ..., lambda v: v > 0, wanted) for key in Refits._fields))


def _check_expectations(suite: Suite, where: str) -> None:
    """Raise BadInput where an `expect` is wrong or two tables contradict each other."""
    from cibench.model.descriptions import describe
    from cibench.suite.expectation_checks import check
    from cibench.suite.expectations import entries, said

    tables = entries(suite.spec)
    if not any("expect" in table.content for table in tables):
        return
    catalogue = describe(suite.scenarios, suite.estimators)
    check(suite.spec, catalogue, where, suite.level)
    for cell in suite.cells:
        for entrant in cell.entrants:
            names = {**cell.key, "estimator": entrant.estimator}
            try:
                said(tables, names, catalogue["scenarios"][cell.scenario.name])
            except BadInput as error:
                raise BadInput(f"{where}: {error}") from error


def _memory(table: Table) -> float | None:
    wanted = 'an amount of memory such as "500MB" or "2GB"'
    text = table.take("memory", str, "", bool, wanted)
    found = MEMORY.fullmatch(text.strip())
    if text and not (found and float(found[1])):
        raise table.bad("memory", f"{text!r} is not {wanted}")
    return float(found[1]) * BYTES[found[2].upper()] if found else None


def _published(table: Table, folder: Path) -> Path | None:
    name = table.take("published", str, "", bool, "the path of a CSV file")
    if not name:
        return None
    from cibench.suite.published import read_published

    try:
        read_published(folder / name)
    except BadInput as error:
        raise table.bad("published", error) from error
    return folder / str(name)


def _is_name(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum()


def _absolute(plugin: str, folder: Path) -> str:
    is_file = plugin.endswith((".py", ".twin"))
    return str((folder / plugin).resolve()) if is_file else plugin
