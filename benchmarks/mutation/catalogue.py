"""The catalogue of faults, its own mistakes, and the table of which fault was caught by what."""

from __future__ import annotations

import csv
import io
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TABLE = ROOT / "results" / "reference" / "mutation" / "faults.csv"
PAGE = TABLE.with_name("README.md")

CHECKS = ("contracts", "quirks")
"""The general checks, which know nothing of the fault; they are for plug-ins only."""

SURVIVED = "survived"
LEAST = 0.95
PLUGINS = ("estimators", "scenarios")
MUST = ("name", "file", "what", "old", "new")


@dataclass(frozen=True)
class Fault:
    """Hold one change of a source file that makes a statistic wrong, and who is to notice.

    `old` stands once in `file` and is replaced by `new`. `checks` are the general ones that are
    tried, on the plug-ins of `plugins` (the file itself, where it is a plug-in), then `tests`:
    files or node ids. `explained` says of a survivor why no right check can tell.
    """

    name: str
    file: str
    what: str
    old: str
    new: str
    checks: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    explained: str = ""

    @property
    def digest(self) -> str:
        """Return a digest of the change: a line of the table is about this one and no other."""
        text = "\0".join((self.file, self.old, self.new))
        return blake2b(text.encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Line:
    """Hold what came of one fault: who caught it, in what words, after how many seconds."""

    name: str
    file: str
    what: str
    caught_by: str
    complaint: str
    seconds: str
    digest: str

    @property
    def caught(self) -> bool:
        """Say whether anything caught the fault."""
        return self.caught_by != SURVIVED


COLUMNS = tuple(f.name for f in fields(Line))
KEYS = tuple(f.name for f in fields(Fault))


class CatalogueError(Exception):
    """Say in a line each what is wrong with the catalogue."""


def read(folder: Path = HERE / "catalogue") -> list[Fault]:
    """Return the faults of all files of a folder; raises CatalogueError, a line each mistake."""
    faults: list[Fault] = []
    wrong: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            wrong.append(f"{path.name}: {error}")
            continue
        wrong += [f"{path.name}: no key named '{key}'" for key in content if key != "fault"]
        for number, table in enumerate(content.get("fault", ()), 1):
            where = f"{path.name}: fault {number} ({table.get('name', 'no name')})"
            mistakes = list(_mistakes(table))
            wrong += [f"{where}: {mistake}" for mistake in mistakes]
            if not mistakes:
                faults.append(_fault(table))
    if wrong:
        raise CatalogueError("\n".join(wrong))
    return faults


def _mistakes(table: Mapping[str, Any]) -> Iterator[str]:
    for key in table:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, 1)
            yield f"no key named '{key}'" + (f"; did you mean '{near[0]}'?" if near else "")
    for key in MUST:
        if not isinstance(table.get(key), str):
            yield f"{key}: is missing or no text"
    for key in ("checks", "plugins", "tests"):
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            yield f"{key}: is no list of texts"
    if not isinstance(table.get("explained", ""), str):
        yield "explained: is no text"


def _fault(table: Mapping[str, Any]) -> Fault:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    plugin = is_plugin(values["file"])
    values.setdefault("plugins", (values["file"],) if plugin else ())
    values.setdefault("checks", ("contracts",) if plugin else ())
    return Fault(**values)


def is_plugin(file: str) -> bool:
    """Say whether a file registers scenarios or estimators: shared modules start with _."""
    path = Path(file)
    top = path.parts[0] if len(path.parts) == 2 else ""
    return top in PLUGINS and path.suffix == ".py" and not path.name.startswith("_")


def complaints(faults: Sequence[Fault], root: Path = ROOT) -> list[str]:
    """Return a line for each fault that cannot be planted or checked, none where all can."""
    names = Counter(fault.name for fault in faults)
    lines = [f"{name}: {count} faults have this name" for name, count in names.items() if count > 1]
    changes = Counter(fault.digest for fault in faults)
    for fault in faults:
        mistakes = list(_complaints(fault, root))
        if changes[fault.digest] > 1:
            mistakes.append("another fault is the same change")
        lines += [f"{fault.name}: {mistake}" for mistake in mistakes]
    return lines


def _complaints(fault: Fault, root: Path) -> Iterator[str]:
    if set(fault.name) - set("abcdefghijklmnopqrstuvwxyz0123456789-"):
        yield "its name is not in small letters, digits and hyphens"
    if not fault.what or "\n" in fault.what:
        yield "`what` is not one line"
    if not (root / fault.file).is_file():
        yield f"there is no file {fault.file}"
        return
    text = (root / fault.file).read_text(encoding="utf-8")
    if (count := text.count(fault.old) if fault.old else 0) != 1:
        yield f"`old` stands {count} times in {fault.file}, not once"
    elif fault.new == fault.old:
        yield "`new` is `old`"
    elif problem := broken(planted(fault, root), fault.file):
        yield f"the file does not parse with `new`: {problem}"
    yield from _check_complaints(fault, root)


def _check_complaints(fault: Fault, root: Path) -> Iterator[str]:
    for check in fault.checks:
        if check not in CHECKS:
            yield f"no check named '{check}'; there are {', '.join(CHECKS)}"
    if fault.checks and not fault.plugins:
        yield "names general checks and no plug-in to run them on"
    for plugin in fault.plugins:
        if not (root / plugin).is_file() or not is_plugin(plugin):
            yield f"there is no plug-in {plugin}"
    if not fault.checks and not fault.tests:
        yield "names neither a check nor a test"
    for test in fault.tests:
        file, *parts = test.split("::")
        if not (root / file).exists():
            yield f"there is no test file {file}"
        elif parts and f" {parts[-1].partition('[')[0]}(" not in (root / file).read_text("utf-8"):
            yield f"there is no test {parts[-1]} in {file}"


def planted(fault: Fault, root: Path) -> str:
    """Return the text of the fault's file with the fault in it."""
    return (root / fault.file).read_text(encoding="utf-8").replace(fault.old, fault.new)


def broken(text: str, file: str) -> str:
    """Return why a source file cannot be parsed, "" where it can."""
    try:
        if file.endswith(".py"):
            compile(text, file, "exec", dont_inherit=True)
        elif file.endswith(".toml"):
            tomllib.loads(text)
    except (SyntaxError, tomllib.TOMLDecodeError) as error:
        return str(error)
    return ""


def lines_of(path: Path = TABLE) -> list[Line]:
    """Return the lines of a table, none where there is no table yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [Line(**{name: row[name] for name in COLUMNS}) for row in csv.DictReader(file)]


def current(lines: Iterable[Line], faults: Sequence[Fault]) -> list[Line]:
    """Return the lines that are about a fault as the catalogue has it, in the catalogue's order."""
    by_digest = {(line.name, line.digest): line for line in lines}
    there = (by_digest.get((fault.name, fault.digest)) for fault in faults)
    return [line for line in there if line]


def merged(old: Iterable[Line], new: Iterable[Line], faults: Sequence[Fault]) -> list[Line]:
    """Return old lines with the new ones in their places, without what is no fault any more."""
    return current([*old, *new], faults)


def score(lines: Sequence[Line]) -> float:
    """Return the share of the faults that something caught; survivors that are explained are not.

    >>> row = dict.fromkeys(COLUMNS, "")
    >>> score([Line(**{**row, "caught_by": by}) for by in ("contracts", "quirks", SURVIVED)])
    0.6666666666666666
    """
    return sum(line.caught for line in lines) / len(lines) if lines else 0.0


def csv_text(lines: Iterable[Line]) -> str:
    """Return the table as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(line, name) for name in COLUMNS] for line in lines)
    return text.getvalue()


def headline(lines: Sequence[Line]) -> str:
    """Say the score: how many of how many faults were caught, and by what.

    Among tests and the general checks the first that failed is counted.
    """
    kinds = Counter(line.caught_by if line.caught_by in CHECKS else "tests"
                    for line in lines if line.caught)  # fmt: skip
    parts = ", ".join(f"{kinds[kind]} by {kind}" for kind in (*CHECKS, "tests") if kinds[kind])
    caught = sum(line.caught for line in lines)
    return f"Mutation score {score(lines):.1%}: {caught} of {len(lines)} faults caught ({parts})."


def survivors(lines: Sequence[Line], faults: Sequence[Fault]) -> list[str]:
    """Return a line for each survivor, with its explanation or that there is none."""
    why = {fault.name: fault.explained for fault in faults}
    return [
        f"- `{line.name}` ({line.what}): {why.get(line.name) or 'not explained'}"
        for line in lines if not line.caught
    ]  # fmt: skip
