"""On which line of a TOML text each key stands, and each element of an array.

`tomllib` gives values without positions. The scanner below follows TOML's grammar for keys, passes
over values by their quotes and brackets, and takes for granted that `tomllib` has read the text.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left

Place = tuple[str | int, ...]
"""The keys and, from 0, the indices that lead to a value: ("cells", 1, "dials", "sorting", 0)."""

# No group is possessive: Python 3.11.2, Debian's, passes over what such a group would have matched.
SPACE = re.compile(r"[ \t\r\n]*(?:#[^\n]*[ \t\r\n]*)*")
KEY = re.compile(r"""[A-Za-z0-9_-]+|"[^"\\]*(?:\\.[^"\\]*)*"|'[^']*'""")
SCALAR = re.compile(
    r'''"""[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}'''
    r"""|'''[^']*(?:'{1,2}(?!')[^']*)*'{3,5}"""
    r"""|"[^"\\]*(?:\\.[^"\\]*)*"|'[^']*'|[^,\]}#\n]+""",
    re.DOTALL,
)
DEEPEST = 32
"""Places below so many levels have the line of the one above them, so that none costs much."""


def key_lines(text: str) -> dict[Place, int]:
    """Return the line, from 1, of every key, table and element of a text that is TOML."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.lines


def first_twice(text: str, line: int) -> tuple[Place, int] | None:
    """Return what a text has for the second time on a line, and on which line it has it first.

    The text is TOML up to that line, on which a parser says that something cannot be declared
    again; None where this scanner cannot say what. What stands whole in braces has all of it there.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    scanner = _Scanner("\n".join(lines[:line]) + "\n")
    try:
        scanner.scan()
    except (AssertionError, IndexError, ValueError):
        return None
    if scanner.twice is None:
        latest = scanner.latest
        if scanner.first.get(latest, line) < line:  # implied by a longer key
            return latest, scanner.first[latest]
        for depth in range(len(latest) - 1, 0, -1):  # within a table that stands whole in braces
            place = latest[:depth]
            if place in scanner.lines and place not in scanner.implied:
                return place, scanner.lines[place]
    return scanner.twice


class _Scanner:
    """Go through a text once, from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[Place, int] = {}
        self.last: dict[Place, int] = {}  # the last element of each array of tables
        self.implied: set[Place] = set()
        self.first: dict[Place, int] = {}  # implied or not
        self.latest: Place = ()
        self.twice: tuple[Place, int] | None = None  # the last one that was there before

    def scan(self) -> None:
        """Pass over all tables and keys."""
        table: Place = ()
        self.skip()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.value(self.key(table))
            self.skip()

    def skip(self, characters: int = 0) -> None:
        """Pass over characters, then over blanks and comments."""
        self.at += characters
        self.at = self.match(SPACE).end()

    def match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Return what stands here; TOML that was read before matches."""
        matched = pattern.match(self.text, self.at)
        assert matched is not None
        return matched

    def note(self, place: Place, line: int, *, implied: bool = False) -> None:
        """Note a place's line: the first one, but a table's own header before what implies it."""
        if len(place) > DEEPEST:
            return
        self.first.setdefault(place, line)
        self.latest = place
        if place in self.lines and place not in self.implied:
            if not implied:
                self.twice = place, self.lines[place]
            return
        self.implied.discard(place)
        if implied:
            self.implied.add(place)
            self.lines.setdefault(place, line)
        else:
            self.lines[place] = line

    def line(self) -> int:
        """Return the line of what stands here."""
        return bisect_left(self.ends, self.at) + 1

    def header(self) -> Place:
        """Pass over `[a.b]` or `[[a.b]]` and return the place of the table that begins there."""
        line, brackets = self.line(), 2 if self.text.startswith("[[", self.at) else 1
        self.skip(brackets)
        *above, name = self.parts()
        self.skip(brackets)
        place: Place = ()
        for part in above:
            place += (part,)
            self.note(place, line, implied=True)
            if place in self.last:
                place += (self.last[place],)
        place += (name,)
        if brackets == 1 or place not in self.last:
            self.note(place, line)
        if brackets == 2:
            self.last[place] = self.last.get(place, -1) + 1
            place += (self.last[place],)
            self.note(place, line)
        return place

    def key(self, table: Place) -> Place:
        """Pass over `a.b =` and return the place of the value that follows."""
        line = self.line()
        place = (*table, *self.parts())
        for depth in range(len(table) + 1, min(len(place), DEEPEST)):
            self.note(place[:depth], line, implied=True)
        self.note(place, line)
        self.skip(1)
        return place

    def parts(self) -> list[str]:
        """Pass over a key and return its parts, more than one where it is dotted."""
        keys = []
        while True:
            raw = self.match(KEY)[0]
            self.skip(len(raw))
            keys.append(_name(raw))
            if self.text[self.at] != ".":
                return keys
            self.skip(1)

    def value(self, place: Place) -> None:
        """Pass over a value, however many arrays and inline tables are in one another."""
        around: list[tuple[Place, int | None]] = []  # what is open, an array with its next index
        while True:
            if (opening := self.text[self.at]) in "[{":
                around.append((place, 0 if opening == "[" else None))
                self.skip(1)
            else:
                self.at = self.match(SCALAR).end()
            while around and self.closes():
                around.pop()
            if not around:
                return
            table, index = around.pop()
            around.append((table, None if index is None else index + 1))
            place = self.key(table) if index is None else self.element(table, index)

    def closes(self) -> bool:
        """Pass over what ends an element, and say whether it was the last one and what ends all."""
        self.skip()
        if self.text[self.at] == ",":
            self.skip(1)
        if self.text[self.at] not in "]}":
            return False
        self.at += 1
        return True

    def element(self, array: Place, index: int) -> Place:
        """Return the place of the element that stands here."""
        place = (*array, index)
        self.note(place, self.line())
        return place


def _name(raw: str) -> str:
    """Return the key that a bare or quoted part of one spells."""
    if raw[0] == '"' and "\\" in raw:
        return str(tomllib.loads(f"key = {raw}")["key"])
    return raw[1:-1] if raw[0] in "\"'" else raw
