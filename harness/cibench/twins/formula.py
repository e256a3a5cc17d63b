"""Formulas over columns, as text: outcome functions, effects, sums and products of columns."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.utils.errors import BadInput, unknown

FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1), "exp": (np.exp, 1), "log": (np.log, 1), "sqrt": (np.sqrt, 1),
    "where": (np.where, 3), "minimum": (np.minimum, 2), "maximum": (np.maximum, 2),
}  # fmt: skip
"""What a formula may call, and with how many arguments: one more would be numpy's `out`."""

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
    ast.Pow: np.power, ast.USub: np.negative, ast.UAdd: np.positive, ast.Lt: np.less,
    ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal, ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}  # fmt: skip
ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Load,
    ast.Constant, *OPERATORS,
)  # fmt: skip
"""What a formula may consist of: arithmetic and comparisons of columns, nothing that runs code."""

PLACEHOLDER = re.compile(r"_column\d+")
LONGEST, DEEPEST = 2000, 100
"""Characters of a formula, and how deep its parts may stand in each other."""


@dataclass(frozen=True)
class Formula:
    """Hold a formula such as "3000 + 400*(x - 5)"; columns with other names stand in backticks.

    A category is compared with a level in quotes, `2*(region == 'North')`: `coded` puts the
    level's code in its place. Raises BadInput where the text is no such formula.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST:
            brief = f"{self.text[:40]}..."
            raise self._fault(f"{len(self.text):,} characters; {LONGEST:,} are the most", brief)
        levels = {id(text) for _, text in self._comparisons}
        below: list[tuple[ast.AST, int]] = [(self._tree, 0)]
        while below:
            node, depth = below.pop()
            if depth > DEEPEST:
                raise self._fault(f"more than {DEEPEST} parts deep")
            self._check_node(node, id(node) in levels)
            below += [(child, depth + 1) for child in ast.iter_child_nodes(node)]

    def _check_node(self, node: ast.AST, level: bool) -> None:
        if not isinstance(node, ALLOWED):
            raise self._fault(f"{type(node).__name__} is not arithmetic")
        if isinstance(node, ast.Call):
            self._check_call(node)
        if not isinstance(node, ast.Constant) or level:
            return
        if isinstance(node.value, str):
            how = "`column == 'level'` is how a category is compared"
            raise self._fault(f"{node.value!r} is not a number; {how}")
        if not isinstance(node.value, int | float):
            raise self._fault(f"{node.value!r} is not a number")
        if not _is_finite(node.value):
            raise self._fault("a number is too large")

    def _check_call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else "?"
        if name not in FUNCTIONS:
            raise self._fault(unknown("function", name, FUNCTIONS))
        takes, has = FUNCTIONS[name][1], len(node.args)
        if has != takes:
            arguments = "argument" if takes == 1 else "arguments"
            raise self._fault(f"{name}() takes {takes} {arguments}, not {has}")

    def _fault(self, complaint: str, text: str = "") -> BadInput:
        return BadInput(f"formula {text or self.text!r}: {complaint}")

    @cached_property
    def _quoted(self) -> tuple[str, dict[str, str]]:
        """Return the text with placeholders for names in backticks, and what those stand for."""
        parts = self.text.split("`")
        if len(parts) % 2 == 0:
            raise self._fault("a backtick is not closed")
        names = {f"_column{i}": part for i, part in enumerate(parts[1::2])}
        pieces = [f"_column{i // 2}" if i % 2 else part for i, part in enumerate(parts)]
        return "".join(pieces), names

    @cached_property
    def _tree(self) -> ast.Expression:
        return self._parsed()

    def _parsed(self) -> ast.Expression:
        try:
            return ast.parse(self._quoted[0].strip(), mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise self._fault(f"not a formula: {error}") from error

    @cached_property
    def _comparisons(self) -> list[tuple[ast.Name, ast.Constant]]:
        """Return the comparisons of a column with a text, for equality alone."""
        pairs = []
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                for column, level in ((node.left, node.comparators[0]),
                                      (node.comparators[0], node.left)):  # fmt: skip
                    text = isinstance(level, ast.Constant) and isinstance(level.value, str)
                    if isinstance(column, ast.Name) and text and len(node.ops) == 1:
                        assert isinstance(level, ast.Constant)
                        pairs.append((column, level))
        return pairs

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the columns that the formula needs, each once."""
        called = {id(n.func) for n in ast.walk(self._tree) if isinstance(n, ast.Call)}
        identifiers = (
            n.id for n in ast.walk(self._tree) if isinstance(n, ast.Name) and id(n) not in called
        )
        return tuple(dict.fromkeys(self._column(n) for n in identifiers))

    def _column(self, identifier: str) -> str:
        return self._quoted[1].get(identifier, identifier)

    def check(self, known: Iterable[str]) -> None:
        """Raise BadInput for a column that is not known."""
        for name in self.names:
            if name not in known:
                raise self._fault(unknown("column", name, known))

    def coded(self, levels: Mapping[str, Sequence[str]]) -> Formula:
        """Return the formula with codes for levels: `levels` are the categories', in their order.

        Raises BadInput for a level that its column has not, or a column that is no category.
        """
        if not self._comparisons:
            return self
        codes: dict[int, int] = {}
        for column, level in self._comparisons:
            name = self._column(column.id)
            if name not in levels:
                raise self._fault(f"column '{name}' is no category, to be compared with a text")
            text = str(level.value)
            if text not in levels[name]:
                raise self._fault(unknown(f"level of '{name}'", text, levels[name]))
            codes[id(level)] = list(levels[name]).index(text)
        tree = self._parsed()
        for node, own in zip(ast.walk(tree), ast.walk(self._tree), strict=True):
            if id(own) in codes:
                assert isinstance(node, ast.Constant)
                node.value = codes[id(own)]
        return Formula(PLACEHOLDER.sub(self._in_backticks, ast.unparse(tree)))

    def _in_backticks(self, place: re.Match[str]) -> str:
        return f"`{self._quoted[1][place[0]]}`" if place[0] in self._quoted[1] else place[0]

    def __call__(
        self, columns: Mapping[str, Array], rows: int, among: Array | None = None
    ) -> Array:
        """Return the formula's value in each row, as floats.

        Raises BadInput where that is no finite number in some row of `among` (all, if None); in
        other rows such a value is 0.
        """
        with np.errstate(all="ignore"):
            value = np.asarray(self._value(self._tree.body, columns), dtype=float)
        values = np.broadcast_to(value, (rows,)).copy()
        off = ~np.isfinite(values)
        bad = off if among is None else off & among
        if bad.any():
            raise self._fault(f"no finite number in {bad.sum():,} of {rows:,} rows")
        values[off] = 0.0
        return values

    def _value(self, node: ast.AST, columns: Mapping[str, Array]) -> Any:
        match node:
            case ast.Constant(value=value):
                assert not isinstance(value, str), "levels are coded first"
                return np.float64(value)  # type: ignore[arg-type]
            case ast.Name(id=identifier):
                return columns[self._column(identifier)]
            case ast.UnaryOp(op=op, operand=operand):
                return OPERATORS[type(op)](self._value(operand, columns))
            case ast.BinOp(left=left, op=op, right=right):
                both = (np.asarray(self._value(side, columns), float) for side in (left, right))
                return OPERATORS[type(op)](*both)
            case ast.Compare(left=first, ops=ops, comparators=others):
                sides = [self._value(side, columns) for side in (first, *others)]
                truths = [
                    OPERATORS[type(op)](*pair)
                    for op, pair in zip(ops, pairwise(sides), strict=True)
                ]
                return np.logical_and.reduce(np.broadcast_arrays(*truths)).astype(float)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return FUNCTIONS[name][0](*(self._value(each, columns) for each in arguments))
        raise AssertionError(ast.dump(node))


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def quoted(name: str) -> str:
    """Return a column's name as a formula writes it."""
    return name if name.isidentifier() and name not in FUNCTIONS else f"`{name}`"
