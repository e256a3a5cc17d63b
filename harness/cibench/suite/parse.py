"""Reading the content of a suite file, with one clear line for each thing that is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from cibench.external.methods import read_methods
from cibench.model import registry
from cibench.suite.cells import ENTRY_KEYS, expand, with_files
from cibench.suite.labels import check_labels
from cibench.suite.origins import located
from cibench.suite.precision import COUNT, SCORING_KEYS, is_count, read_precision
from cibench.suite.ranking import check_scoring
from cibench.suite.rows_elsewhere import MADE_ELSEWHERE, nothing_to_run
from cibench.suite.suite import NO_REFITS, Cell, Refits, Refusal, Suite, merge
from cibench.utils.errors import BadInput, near_miss, unknown
from cibench.utils.names import is_portable
from cibench.utils.near_paths import near_path
from cibench.utils.plugins import require_permission
from cibench.utils.toml import Source, Table, open_table, refuse

MANIFEST = "manifest.json"
"""What lies beside the suite file of a run."""

SUITE_KEYS = (
    "name", "seed", "replicates", "level", "plugins", "timeout", "memory", "published", "refits",
    "equal", "estimators", "labels", "cells", *SCORING_KEYS,
)  # fmt: skip
LONGEST = 10_000_000
"""Seconds of the longest limit for a fit, a third of a year."""

LONGEST_NAME = 100
NAME = (
    f"a name of letters, digits, - and _, {LONGEST_NAME} characters at most, and no device of "
    "Windows (con, nul, com1)"
)
BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]B)", re.IGNORECASE)


def parse_suite(
    spec: Mapping[str, Any], *, where: str = "suite", folder: str | Path = "."
) -> Suite:
    """Build a suite from the content of a suite file; plug-in paths are relative to `folder`.

    Raises BadInput with a line for each mistake: `where`, the key and the near miss.

    >>> from cibench import BadInput
    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": [20, 50], "estimators": "did/collapsed"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 10, "cells": [cell]})
    >>> [str(cell) for cell in suite.cells]
    ['did/two-group n=20', 'did/two-group n=50']
    >>> try:
    ...     parse_suite({"name": "small", "seed": 1, "replicate": 10, "cells": [cell]})
    ... except BadInput as error:
    ...     print(error.args[0])
    suite: replicate: no key named 'replicate'; did you mean 'replicates'?
    """
    return _parse(Table(spec, Source(where)), Path(folder), None)


def read_suite(path: str | Path) -> Suite:
    r"""Read a suite file; raises BadInput with a line for each mistake: file, line, key, problem.

    Paths in it are relative to its folder.

    >>> from pathlib import Path
    >>> from cibench.suite import find_suite, read_suite
    >>> cell = "[[cells]]\nscenario = 'did/two-group'\nn = 30\nestimators = 'did/collapsed'\n"
    >>> _ = Path("own.toml").write_text(f"name = 'own'\nseed = 1\nreplicates = 10\n{cell}")
    >>> read_suite("own.toml").expected_rows, find_suite("own.toml").name
    (10, 'own')
    """
    path = Path(path)
    return _parse(open_table(path), path.parent, path)


def _parse(table: Table, folder: Path, path: Path | None) -> Suite:
    """Check everything first: what is wrong anywhere is told in one go."""
    if MADE_ELSEWHERE in table.content:
        raise BadInput(f"{path or 'suite'}: {nothing_to_run(table.content[MADE_ELSEWHERE])}")
    table.check_keys(SUITE_KEYS, ENTRY_KEYS, "a [[cells]] table")
    table, files = with_files(table, folder)
    plugins = [*_plugins(table, folder, files), *_declarations(table, path)]
    entries = table.tables("cells", ...)
    cells: list[Cell] = []
    refusals: list[Refusal] = []
    ends = [0]
    for entry in entries:
        entry.check_keys(ENTRY_KEYS, SUITE_KEYS, "the suite, above its tables")
        expand(entry, cells, refusals)
        ends.append(len(cells))
    named = all(not entry.faulty("scenario", "estimators") for entry in entries)
    complete = bool(cells) and named and not table.faulty("plugins", "estimators")
    check_scoring(table, cells, complete=complete)
    stored = path is not None and (path.parent / MANIFEST).exists()  # with answers handed in
    check_labels(table, cells, complete=complete, others=stored)
    settings = _settings(table, folder)
    merged = merge(cells)
    _check_precision(table, merged)
    _check_expectations(table, entries, merged, settings["level"])
    _check_equalities(
        [(table, merged), *zip(entries, _between(cells, ends), strict=True)], complete=complete
    )
    refuse(table)
    published = settings["published"]
    paths = {"plugins": plugins, "published": str(published.resolve()) if published else ""}
    return Suite(
        **settings, plugins=tuple(plugins), cells=merged, refusals=tuple(dict.fromkeys(refusals)),
        spec={
            **{key: value for key, value in table.content.items() if key != "estimators"},
            **{key: value for key, value in paths.items() if value},
        },
    )  # fmt: skip


def _plugins(table: Table, folder: Path, files: Sequence[str]) -> list[str]:
    """Load the plug-ins and return them with absolute paths, files of data among them."""
    plugins = []
    for number, name in enumerate(table.strings("plugins", [])):
        plugin = _absolute(located(name, folder), folder)
        try:
            registry.load_plugin(plugin)
        except BadInput as error:
            table.fault("plugins", error, number)
        plugins.append(plugin)
    return list(dict.fromkeys([*plugins, *files]))


def _declarations(table: Table, path: Path | None) -> list[str]:
    """Register the estimators that the suite's file declares; return it, who is their plug-in."""
    if not table.content.get("estimators"):
        return []
    if path is None:
        table.fault("estimators", "stands in a file: name a .toml file of them in 'plugins'")
        return []
    try:
        require_permission(str(path))
    except BadInput as error:
        table.fault("estimators", error)
        return []
    read_methods(table, path)
    return [str(path.resolve())]


def _settings(table: Table, folder: Path) -> dict[str, Any]:
    """Return what a suite says beside its cells, by the names that `Suite` has for it."""
    precision = read_precision(table)
    counted = 0 if precision or table.faulty("precision") else ...
    real = (int, float)
    return {
        "name": table.take("name", str, ..., _is_name, NAME),
        "seed": table.take("seed", int, ..., _is_seed, "a whole number of 0 to 2^128 - 1"),
        "replicates": table.take("replicates", int, counted, is_count, COUNT),
        "precision": precision,
        "level": float(table.take("level", real, 0.95, lambda v: 0 < v < 1, "between 0 and 1")),
        "timeout": table.take(
            "timeout",
            real,
            None,
            lambda v: 0 < v <= LONGEST,
            f"seconds above 0, {LONGEST:,} at most",
        ),
        "memory": _memory(table),
        "published": _published(table, folder),
        "refits": _refits(table),
    }


def find_suite(name: str | Path) -> Suite:
    """Read a suite by path, by the name of a built-in one or as a run folder has it.

    Raises BadInput with the near miss, and as `read_suite` does.

    >>> from cibench.suite import built_in_suites, find_suite
    >>> "quickstart" in built_in_suites(), find_suite("quickstart").replicates
    (True, 100)
    """
    text, path, suites = str(name), Path(name), built_in_suites()
    if text in suites:
        return read_suite(suites[text])
    if path.is_dir():
        if not (path / "suite.toml").exists():
            raise BadInput(f"{path} is not a run folder: it has no suite.toml")
        return read_suite(path / "suite.toml")
    if text.endswith(".toml") or len(path.parts) > 1:
        if not path.exists() and not near_path(path) and (near := near_miss(path.stem, suites)):
            raise BadInput(f"{path}: No such file or directory{near} It comes with cibench")
        return read_suite(path)
    line = unknown("suite", text, suites)
    raise BadInput(line if near_miss(text, suites) else _own(path) or line)


def _own(path: Path) -> str:
    """Say which suite file or run folder here is meant by a bare name, "" where none is close."""
    file = Path(f"{path}.toml")
    if file.is_file():
        return f"no suite named '{path}'; did you mean the file '{file}'?"
    near = near_path(file) or near_path(path)
    return f"no suite named '{path}'{near}" if near else ""


def built_in_suites() -> dict[str, Path]:
    """Return the suite files that come with cibench, by name.

    See `find_suite`, which reads one by its name.
    """
    package = import_module(registry.BUILT_IN["scenario"])
    folder = Path(package.__path__[0]) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _refits(table: Table) -> Refits:
    """Return how often fits are repeated with other algorithm streams: never, if not said."""
    if "refits" not in table.content:
        return NO_REFITS
    refits = table.table("refits")
    refits.check_keys(Refits._fields)
    return Refits(*(refits.take(key, int, ..., is_count, COUNT) for key in Refits._fields))


def _check_expectations(
    table: Table, entries: Sequence[Table], cells: Sequence[Cell], level: float
) -> None:
    """Note where an `expect` is wrong, and where tables that are right contradict each other."""
    from cibench.model.descriptions import describe
    from cibench.suite.expectation_checks import check, check_agreement

    if not any("expect" in entry.content for entry in entries):
        return
    scenarios = {cell.scenario.name for cell in cells}
    estimators = {entrant.estimator for cell in cells for entrant in cell.entrants}
    catalogue = describe(sorted(scenarios), sorted(estimators))
    for entry in entries:
        check(entry, catalogue, None if table.faulty("level") else level)
    check_agreement(entries, cells, catalogue)


def _between(cells: Sequence[Cell], ends: Sequence[int]) -> Iterator[Sequence[Cell]]:
    """Yield the cells of each [[cells]] table, which end at these places."""
    yield from (cells[start:end] for start, end in pairwise(ends))


def _check_equalities(tables: Sequence[tuple[Table, Sequence[Cell]]], *, complete: bool) -> None:
    """Note where an `equal` is wrong, of the suite or of one of its tables."""
    from cibench.model.descriptions import describe
    from cibench.suite.equality_checks import check_equalities

    if not any("equal" in table.content for table, _ in tables):
        return
    methods = {e.estimator for _, cells in tables for cell in cells for e in cell.entrants}
    catalogue = describe([], sorted(methods))
    for table, cells in tables:
        if "equal" in table.content:
            check_equalities(table, cells, catalogue, complete=complete)


def _check_precision(table: Table, cells: Sequence[Cell]) -> None:
    """Note where a precision is asked of data sets that exist: there are no more of them."""
    ends = [cell for cell in cells if cell.scenario.most_replicates(cell.n) is not None]
    if ends and "precision" in table.content:
        name = ends[0].scenario.name
        table.fault("precision", f"{name} has the data sets that it has; state 'replicates'")


def _memory(table: Table) -> float | None:
    wanted = 'an amount of memory such as "500MB" or "2GB"'
    text = table.take("memory", str, "", bool, wanted)
    amount = MEMORY.fullmatch(text.strip())
    if text and not (amount and float(amount[1])):
        table.fault("memory", f"{text!r} is not {wanted}")
        return None
    return float(amount[1]) * BYTES[amount[2].upper()] if amount else None


def _published(table: Table, folder: Path) -> Path | None:
    name = table.take("published", str, "", bool, "the path of a CSV file")
    if not name:
        return None
    from cibench.suite.published import read_published

    try:
        read_published(folder / name)
    except BadInput as error:
        table.fault("published", error)
    return folder / str(name)


def _is_seed(number: int) -> bool:
    return 0 <= number < 2**128


def _is_name(name: str) -> bool:
    plain = name.replace("-", "").replace("_", "").isalnum()
    return plain and len(name) <= LONGEST_NAME and is_portable(name)


def _absolute(plugin: str, folder: Path) -> str:
    is_file = plugin.endswith((".py", *registry.LOADERS))
    return str((folder / plugin).resolve()) if is_file else plugin
