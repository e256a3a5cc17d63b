"""TOML: lines of keys, whatever the text looks like; the writer; what a table notes."""

from __future__ import annotations

import datetime
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cibench
from cibench.utils.errors import BadInput
from cibench.utils.toml import Source, Table, open_table, read_toml, refuse, to_toml
from cibench.utils.toml_lines import DEEPEST, Place, key_lines

SCALARS = (
    "1", "0x1F", "1_000.5e-3", "nan", "-inf", "true", "1979-05-27 07:32:00", "07:32:00",
    '""', "''", '"# = [x]\\n\\"]"', "'a \\ ] } , # b'", '"""x"""', '"""\nkey = 1\n[head]\n"""',
    "'''\n[[cells]]\n  # ' '' key = 2\n'''", '"""a \\""" " "" b""""', "''''''", "'''it''s'''''",
)  # fmt: skip
ODD_KEYS = ('"a.b"', "'c d'", '"\\u0041\\"="', '"e]f"', '"g # h"', "'[i]'", '""', '"j\\tk"')
NOISE = ("", "   ", "# key = 1", "\t# [head]", "#[[cells]] '''", '# """')


class Author:
    """Write TOML at random and note on which line each key, table and element stands."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.text, self.lines, self.implied = "", dict[Place, int](), set[Place]()
        self.table((), 3)
        if self.random.random() < 0.3:
            self.text = self.text.replace("\n", "\r\n")

    def put(self, *texts: str) -> None:
        self.text += "".join(texts)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def note(self, place: Place, *, implied: bool = False) -> None:
        if place not in self.lines or (place in self.implied and not implied):
            self.lines[place] = self.text.count("\n") + 1
            (self.implied.add if implied else self.implied.discard)(place)

    def name(self, used: set[str]) -> tuple[str, str]:
        """Return a new key and how it is spelt."""
        while True:
            bare = f"{self.random.choice('ab1-_')}{self.random.randrange(100)}"
            spelt = self.random.choice(
                (bare, bare, f'"{bare}"', f"'{bare}'", self.random.choice(ODD_KEYS))
            )
            (key,) = tomllib.loads(f"{spelt} = 1")
            if key not in used:
                used.add(key)
                return key, spelt

    def end(self) -> None:
        self.put(self.random.choice(("\n", "  # key = 3\n", "\n\n", "\n# [head]\n")))

    def table(self, place: Place, depth: int, header: str = "") -> None:
        """Write the keys of a table, then the tables below it."""
        used: set[str] = set()
        for _ in range(self.random.randrange(4)):
            self.put(self.random.choice(NOISE), "\n", self.random.choice(("", "  ", "\t")))
            self.pair(place, used)
            self.end()
        for _ in range(self.random.randrange(3) if depth else 0):
            key, spelt = self.name(used)
            full, below = f"{header}{spelt}", (*place, key)
            dots = full.replace(".", " . ") if '"' not in full and "'" not in full else full
            if self.chance(0.4):
                for number in range(self.random.randrange(1, 4)):
                    self.put("[[ ", full, " ]]") if number else self.put("[[", dots, "]]")
                    self.note(below)
                    self.note((*below, number))
                    self.end()
                    self.table((*below, number), depth - 1, f"{full}.")
            elif self.chance(0.3):  # a table below comes first and implies this one
                self.note(below, implied=True)
                self.put("[", full, ".late]")
                self.note((*below, "late"))
                self.end()
                self.put("[", full, "]")
                self.note(below)
                self.end()
                self.pair(below, {"late"})
                self.end()
            else:
                self.put("[", dots, "]")
                self.note(below)
                self.end()
                self.table(below, depth - 1, f"{full}.")

    def pair(self, place: Place, used: set[str], depth: int = 2) -> None:
        """Write one key with its value, or two that share the first part of a dotted key."""
        key, spelt = self.name(used)
        equals = self.random.choice(("=", " = ", "\t=  "))
        if self.chance(0.8):
            self.note((*place, key))
            self.put(spelt, equals)
            self.value((*place, key), depth)
            return
        inner: set[str] = set()
        between = "\n" if depth == 2 else ", "  # an inline table stays on its line
        for number in range(2):
            last, spelt_last = self.name(inner)
            self.put(between if number else "")
            self.note((*place, key), implied=True)
            self.note((*place, key, last))
            self.put(spelt, self.random.choice((".", " . ")), spelt_last, equals)
            self.value((*place, key, last), depth - 1)

    def value(self, place: Place, depth: int) -> None:
        if depth and self.chance(0.25):
            self.put("[", self.random.choice(("", " ", "\n", " # ]\n")))
            count = self.random.randrange(4)
            for number in range(count):
                self.note((*place, number))
                self.value((*place, number), depth - 1)
                self.put(self.random.choice(("", "\n", " # ,\n")))
                self.put("," if number < count - 1 or self.chance(0.3) else "")
                self.put(self.random.choice(("", " ", "\n  ", "# x = 1\n")))
            self.put("]")
        elif depth and self.chance(0.25):
            used: set[str] = set()
            self.put("{ ")
            for number in range(self.random.randrange(3)):
                self.put(", " if number else "")
                self.pair(place, used, min(depth, 1))
            self.put(" }")
        else:
            self.put(self.random.choice(SCALARS))


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    if place:
        yield place
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*place, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from places(below, (*place, number))


@pytest.mark.parametrize("block", range(8))
def test_every_key_and_element_of_any_text_has_its_line(block):
    sizes = []
    for seed in range(block * 100, block * 100 + 100):
        author = Author(seed)
        assert set(author.lines) == set(places(tomllib.loads(author.text))), author.text
        assert key_lines(author.text) == author.lines, author.text
        sizes.append(len(author.lines))
    assert max(sizes) > 40


def test_the_same_key_in_two_elements_of_an_array_of_tables_has_two_lines():
    one, two = (f"[[cells]]\n# n = 0\nn = {i}\n[cells.dials]\nx = {i}\n" for i in (1, 2))
    lines = key_lines(one + two)
    assert [lines["cells", i, "n"] for i in (0, 1)] == [3, 8]
    assert [lines["cells", i, "dials", "x"] for i in (0, 1)] == [5, 10]


def test_what_is_nested_without_end_costs_little(tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text("x = " + "[" * 200 + "]" * 200 + "\n" + ".".join("k" * 100) + " = 1\n")
    table = open_table(path)
    table.check_keys(("y",))
    with pytest.raises(BadInput, match=r"(?s)deep.toml:1: x: no key .*deep.toml:2: k: no key"):
        refuse(table)
    assert max(map(len, key_lines(path.read_text()))) == DEEPEST
    path.write_text("x = " + "[" * 100_000)
    with pytest.raises(BadInput, match=r"deep\.toml: not a TOML file: it is nested too deeply"):
        open_table(path)


# What a table notes


def noted(table: Table) -> list[str]:
    with pytest.raises(BadInput) as error:
        refuse(table)
    return [str(line) for line in error.value.args]


def test_complaints_come_in_the_order_of_the_file_with_the_line_of_the_element(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text("b = [\n 'x',\n 'y',\n]\na = 1\n[part]\nc = 2\n")
    table = open_table(path)
    part = table.table("part")
    part.fault("d", "is missing")
    part.fault("c", "is wrong")
    table.fault("a", "is wrong")
    table.fault("b", "'y' is wrong", 1)
    table.fault("z", "is missing")
    assert noted(table) == [
        f"{path}:1: z: is missing", f"{path}:3: b: 'y' is wrong", f"{path}:5: a: is wrong",
        f"{path}:6: part.d: is missing", f"{path}:7: part.c: is wrong",
    ]  # fmt: skip


def test_without_a_text_there_are_no_lines():
    table = Table({"cells": [{}, {"n": 1}]}, Source("suite"))
    table.tables("cells", ...)[1].fault("n", "is wrong")
    assert noted(table) == ["suite: cells[2].n: is wrong"]


def test_a_place_has_one_complaint_and_what_is_in_a_wrong_table_none():
    table = Table({"part": 3, "b": 1}, Source("t"))
    part = table.table("part")
    part.take("must", int, ..., bool, "a number")
    table.take("b", str, ..., bool, "a word")
    table.fault("b", "again")
    assert noted(table) == ["t: part: 3 is not a table", "t: b: 1 is not a word"]


def test_a_key_that_a_misspelt_one_stands_for_is_not_missing():
    table = Table({"sed": 1}, Source("t"))
    table.check_keys(("seed", "name"))
    assert table.take("seed", int, ..., bool, "a number") is None
    assert table.faulty("seed") and not table.faulty("name")
    table.take("name", str, ..., bool, "a name")
    assert noted(table) == [
        "t: sed: no key named 'sed'; did you mean 'seed'?", "t: name: is missing; it takes a name",
    ]  # fmt: skip


def test_a_wrong_value_is_its_default_until_the_reading_ends():
    table = Table({"a": True, "b": ["x", 1], "c": []}, Source("t"))
    assert table.take("a", int, 7, bool, "a number") == 7
    assert table.strings("b", []) == [] == table.strings("c", [])
    assert len(noted(table)) == 2


def test_tables_that_are_right_are_not_refused():
    refuse(Table({"a": 1}, Source("t")), Table({}, Source("u")))


# Writing


def test_what_is_written_reads_back():
    content = {
        "name": 'a "b" \\ \n\t\x7f\x00 é', "odd key.": 1, "é": 2, "": 3, "x": [1, [2.5, -0.0], []],
        "big": 1e300, "no": -float("inf"), "yes": True, "day": datetime.date(2026, 1, 2),
        "at": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
        "cells": [{"n": 1, "dials": {"a/b": {"c": [0.1]}}}, {}],
    }  # fmt: skip
    assert tomllib.loads(to_toml(content)) == content


@pytest.mark.parametrize("seed", range(100))
def test_any_content_reads_back(seed):
    content = tomllib.loads(Author(seed).text)
    assert repr(tomllib.loads(to_toml(content))) == repr(content)  # repr: nan is nan


def test_no_pattern_of_the_engine_has_a_group_that_gives_nothing_back():
    """Such groups match something else in Python 3.11.2, which Debian 12 has."""
    sources = Path(cibench.__file__).parent.rglob("*.py")
    having = [p.name for p in sources if re.search(r"\)[*+?}]\+", p.read_text(encoding="utf-8"))]
    assert having == []


TWICE = {
    "a table": ("[a]\nx = 1\n\n[a]\ny = 2\n", 4, "'a'", 1),
    "a table of a table": ("[a.b]\nx = 1\n[c]\n[a.b]\ny = 2\n", 4, "'a.b'", 1),
    "a table beside one in braces": ("a = { b = { x = 1 } }\n# more\n[a]\n", 3, "'a'", 1),
    "a part of one in braces": ("n = 1\na = { b = { x = 1 } }\n[a.c]\nx = 1\n", 3, "'a'", 2),
    "a key": ("x = 1\ny = 2\nx = 3\n", 3, "'x'", 1),
    "a key of several lines": ('x = """\n[x]\n"""\ny = 2\nx = [\n1,\n]\n', 7, "'x'", 1),
    "a key in a table": ("[a]\nz = 1\n[b]\nz = 1\n[b.c]\nz = 1\nz = 2\n", 7, "'b.c.z'", 6),
    "a key in an array's table": ("[[c]]\nx = 1\n[[c]]\nx = 1\nx = 2\n", 5, "'c[2].x'", 4),
    "a table that is an array": ("[[c]]\nx = 1\n[c]\n", 3, "'c'", 1),
    "a key in braces": ("x = { a = 1, a = 2 }\n", 1, "'x.a'", 1),
    "a table of dotted keys": ("[a]\nb.x = 1\n[a.b]\n", 3, "'a.b'", 2),
}


@pytest.mark.parametrize("what", TWICE)
def test_what_stands_twice_is_told_with_both_lines(tmp_path, what):
    text, line, name, first = TWICE[what]
    path = tmp_path / "twice.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        read_toml(path)
    assert str(refused.value).startswith(
        f"{path}:{line}: not a TOML file: {name} is there already, on line {first}; "
    )


def test_labels_are_written_as_tables_that_lines_can_be_added_to():
    labels = {"methods": {"a/b": "A", "c": "C"}, "settings": {"x = 1": "more"}}
    content = {"name": "n", "labels": labels, "cells": [{"n": 1}], "seed": 1}
    text = to_toml(content)
    assert tomllib.loads(text) == content
    assert tomllib.loads(text.replace('c = "C"', 'c = "C"\nd = "D"'))["labels"]["methods"]["d"]
