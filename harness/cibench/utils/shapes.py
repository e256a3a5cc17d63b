"""What a JSON file must hold: shapes, and every place where a value has another one.

A shape is a type (`str`, `int`, `float`, `bool`; a float is of ordinary size and may be whole),
`None`, a `Rule`, a tuple of shapes of which one must fit, a list of the shape of its elements, a
mapping of keys to shapes (`"key?"` may be missing, others may be there too), a mapping
`{str: shape}` of whatever keys, or `object` for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

from cibench.utils.errors import BadInput, moves_terminals, near_miss

Shape = Any
ORDINARY = 1e100
"""Numbers of files lie within it, so that their squares and sums are numbers too."""

MOST_COMPLAINTS = 20
"""Mistakes of one file that are told; the others are counted."""

_copy = Repr()  # of a value as a complaint repeats it
_copy.maxdict = _copy.maxlist = _copy.maxlevel = 2
_copy.maxstring = 60


@dataclass(frozen=True)
class Rule:
    """Hold a shape's own rule: what must hold of a value, and how people call such values."""

    valid: Callable[[Any], bool]
    wanted: str


def whole_number(most: int, wanted: str) -> Rule:
    """Return the rule of whole numbers from 0 to a largest one."""
    return Rule(lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= most, wanted)


def is_share(value: Any) -> bool:
    """Say whether a value is a number between 0 and 1, neither of them."""
    return isinstance(value, float) and 0 < value < 1


def is_plain(value: Any) -> bool:
    """Say whether a value is a text that moves no terminal's cursor."""
    return isinstance(value, str) and (value.isprintable() or not moves_terminals(value))


LONGEST_NAME = 500
"""Letters of a name that rows and tables repeat."""


def is_name(value: Any) -> bool:
    """Say whether rows can have a value as a name, which commands repeat: one that is no option."""
    printable = isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_NAME
    return printable and not value.startswith("-")


COUNT = whole_number(10**18, "a whole number from 0 on")
is_count = COUNT.valid
"""Say whether a value is a whole number of 0 to 10^18, which every table can hold."""

SHARE = Rule(is_share, "a number between 0 and 1")
TEXT = Rule(is_plain, "a text without control characters")

WORDS = {
    str: "a text", int: "a whole number", float: "a number of ordinary size", bool: "true or false",
    None: "null", object: "anything",
}  # fmt: skip


def check(value: Any, shape: Shape, where: str) -> None:
    """Raise BadInput with a line for each place where a value has not the shape that it must."""
    if _fits(value, shape):
        return
    complaints = [f"{where}: {text}" for text in _faults(value, shape, "")]
    if (more := len(complaints) - MOST_COMPLAINTS) > 0:
        complaints[MOST_COMPLAINTS:] = [f"{where}: and {more:,} more of the kind"]
    raise BadInput(*complaints)


def _faults(value: Any, shape: Shape, place: str) -> Iterator[str]:
    """Yield what is wrong, each with its place: "cells[3].n: 'x' is not a whole number"."""
    if isinstance(shape, tuple):
        if not any(_fits(value, each) for each in shape):
            likely = [each for each in shape if type(each) is type(value)]
            yield from (
                _faults(value, likely[0], place) if likely else [_no(value, _words(shape), place)]
            )
    elif isinstance(shape, dict):
        if isinstance(value, dict):
            yield from _faults_of_table(value, shape, place)
        else:
            yield _no(value, "a table", place)
    elif isinstance(shape, list):
        if isinstance(value, list):
            for number, each in enumerate(value, 1):
                yield from _faults(each, shape[0], f"{place}[{number}]")
        else:
            yield _no(value, "a list", place)
    elif not _is(value, shape):
        yield _no(value, _words(shape), place)


def _faults_of_table(table: dict[str, Any], shape: dict[Any, Shape], place: str) -> Iterator[str]:
    if str in shape:
        for key, below in table.items():
            name = key if is_plain(key) and key.isprintable() else ascii(key)
            yield from _faults(below, shape[str], f"{place}.{name[:80]}")
        return
    known = {key.removesuffix("?"): (key, below) for key, below in shape.items()}
    strangers = [key for key in table if key not in known]
    for name, (key, below) in known.items():
        if name in table:
            yield from _faults(table[name], below, f"{place}.{name}")
        elif not key.endswith("?"):
            yield f"{f'{place}.{name}'.lstrip('.')}: is missing{_meant(name, strangers)}"


def _meant(name: str, strangers: list[str]) -> str:
    return near_miss(name, strangers).replace("did you mean", "is it") if strangers else ""


def _fits(value: Any, shape: Shape) -> bool:
    """Say whether there is no fault, much faster than looking for where there is none."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and _fits_table(value, shape)
    if isinstance(shape, tuple):
        return any(_fits(value, each) for each in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    return _is(value, shape)


def _fits_table(table: dict[str, Any], shape: dict[Any, Shape]) -> bool:
    if str in shape:
        return all(_fits(each, shape[str]) for each in table.values())
    for key, below in shape.items():
        optional = key[-1] == "?"
        name = key[:-1] if optional else key
        if name not in table:
            if not optional:
                return False
        elif not _fits(table[name], below):
            return False
    return True


def _is(value: Any, shape: Shape) -> bool:
    if shape is object:
        return True
    if shape is None:
        return value is None
    if isinstance(shape, Rule):
        return shape.valid(value)
    if shape is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) <= ORDINARY
    return isinstance(value, shape) and (shape is bool or not isinstance(value, bool))


def _words(shape: Shape) -> str:
    if isinstance(shape, tuple):
        return " or ".join(map(_words, shape))
    if isinstance(shape, Rule):
        return shape.wanted
    if isinstance(shape, list | dict):
        return "a list" if isinstance(shape, list) else "a table"
    return WORDS[shape]


def _no(value: Any, wanted: str, place: str) -> str:
    text = _copy.repr(value)
    where = f"{place.lstrip('.')}: " if place else ""
    return f"{where}{' '.join((text if is_plain(text) else ascii(text)).split())} is not {wanted}"
