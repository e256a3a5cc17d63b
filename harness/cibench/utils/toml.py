"""TOML that a person wrote, read key by key, with one line that says what is wrong and where."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cibench.utils.errors import BadInput, unknown


@dataclass(frozen=True)
class Table:
    """Hold one table of the file and where it stands, to read it key by key."""

    content: Mapping[str, Any]
    where: str
    path: str = ""

    def bad(self, key: str, problem: object) -> BadInput:
        """Return the error for one key: file, key, problem."""
        return BadInput(f"{self.where}: {self.path}{key}: {problem}")

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Refuse the first key that is not known."""
        for key in self.content:
            if key not in known:
                raise self.bad(key, unknown("key", key, known))

    def take(
        self, key: str, kind: type | tuple[type, ...], default: Any, valid: Callable[[Any], bool],
        wanted: str,
    ) -> Any:  # fmt: skip
        """Return a value of the wanted kind; a default of `...` makes the key a must."""
        if key not in self.content:
            if default is ...:
                raise self.bad(key, f"is missing; it takes {wanted}")
            return default
        value = self.content[key]
        if not isinstance(value, kind) or isinstance(value, bool) or not valid(value):
            raise self.bad(key, f"{value!r} is not {wanted}")
        return value

    def table(self, key: str) -> Table:
        """Return the sub-table of that key, empty where it is not given."""
        content = self.take(key, dict, {}, lambda _: True, "a table")
        return Table(content, self.where, f"{self.path}{key}.")

    def strings(self, key: str, default: Any) -> list[str]:
        """Return a string or a list of strings as a list."""
        wanted = "a string or a list of strings"
        value = self.take(key, (str, list), default, bool, wanted)
        value = [value] if isinstance(value, str) else value
        if not all(isinstance(v, str) for v in value):
            raise self.bad(key, f"{value!r} is not {wanted}")
        return list(value)


HEADER = re.compile(r"\s*(\[+)\s*([^\[\]]+?)\s*\]+\s*(#.*)?$")
KEY = re.compile(r"""\s*["']?([\w./-]+)["']?\s*=""")


@dataclass(frozen=True)
class Lines(Table):
    """A table of a file that knows the file's text, to name the line of what is wrong."""

    text: str = ""

    def bad(self, key: str, problem: object) -> BadInput:
        """Return the error for one key: file, line, key, problem."""
        line = line_of(self.text, f"{self.path}{key}", str(problem))
        return BadInput(f"{self.where}:{line}: {self.path}{key}: {problem}")

    def table(self, key: str) -> Lines:
        """Return the sub-table of that key, empty where it is not given."""
        found = super().table(key)
        return Lines(found.content, found.where, found.path, self.text)


def open_lines(path: Path) -> Lines:
    """Read a TOML file; raises BadInput where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return Lines(tomllib.loads(text), str(path), text=text)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        raise BadInput(f"{where}: not a TOML file: {error}") from error


def line_of(text: str, path: str, problem: str = "") -> int:
    """Return the line on which a key stands, or below it what the problem quotes of its value."""
    starts: dict[str, int] = {}
    for name, line in _keys(text):
        starts.setdefault(name, line)
    while path and path not in starts:
        path = path.rpartition(".")[0]
    first, lines = starts.get(path, 1), text.splitlines()
    after = [line for name, line in starts.items() if line > first and not name.startswith(path)]
    for quoted in re.findall(r"'([^']+)'", problem):
        for number in range(first, min(after, default=len(lines) + 1)):
            if re.search(rf"(?<![\w/-]){re.escape(quoted)}(?![\w/-])", lines[number - 1]):
                return number
    return first


def _keys(text: str) -> list[tuple[str, int]]:
    """Return the path of every key that starts a line and of every table, with their lines."""
    found: list[tuple[str, int]] = []
    section, inside, times = "", False, Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not inside and (header := HEADER.match(line)):
            name = header[2].replace('"', "").replace("'", "")
            times[name] += 1
            name = f"{name}[{times[name]}]" if header[1] == "[[" else name
            section = f"{name}."
            found.append((name, number))
        elif not inside and (key := KEY.match(line)):
            found.append((f"{section}{key[1]}", number))
        inside ^= len(re.findall(r'"""|\'\'\'', line)) % 2 == 1
    return found
