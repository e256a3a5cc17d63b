"""Where in a TOML file a key stands, so that a complaint can name the line."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cibench.errors import BadInput
from cibench.table import Table

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
