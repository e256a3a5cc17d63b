"""Formulas over columns, as text: outcome functions, effects, sums and products of columns."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.utils.errors import BadInput, unknown

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "where": np.where,
    "minimum": np.minimum, "maximum": np.maximum,
}  # fmt: skip
ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Load,
    ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip
"""What a formula may consist of: arithmetic and comparisons of columns, nothing that runs code."""


@dataclass(frozen=True)
class Formula:
    """Hold a formula such as "3000 + 400*(x - 5)"; columns with other names stand in backticks.

    Raises BadInput where the text is no such formula.
    """

    text: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree):
            if not isinstance(node, ALLOWED):
                raise BadInput(f"formula {self.text!r}: {type(node).__name__} is not arithmetic")
            if isinstance(node, ast.Constant) and not isinstance(node.value, int | float):
                raise BadInput(f"formula {self.text!r}: {node.value!r} is not a number")
            if isinstance(node, ast.Call):
                self._check_call(node)

    def _check_call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else "?"
        if name not in FUNCTIONS:
            raise BadInput(f"formula {self.text!r}: {unknown('function', name, FUNCTIONS)}")

    @cached_property
    def _quoted(self) -> tuple[str, dict[str, str]]:
        """Return the text with placeholders for names in backticks, and what those stand for."""
        parts = self.text.split("`")
        if len(parts) % 2 == 0:
            raise BadInput(f"formula {self.text!r}: a backtick is not closed")
        names = {f"_column{i}": part for i, part in enumerate(parts[1::2])}
        pieces = [f"_column{i // 2}" if i % 2 else part for i, part in enumerate(parts)]
        return "".join(pieces), names

    @cached_property
    def _tree(self) -> ast.Expression:
        try:
            return ast.parse(self._quoted[0].strip(), mode="eval")
        except (SyntaxError, ValueError) as error:
            raise BadInput(f"formula {self.text!r}: not a formula: {error}") from error

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the columns that the formula needs, each once."""
        quoted = self._quoted[1]
        identifiers = (n.id for n in ast.walk(self._tree) if isinstance(n, ast.Name))
        return tuple(dict.fromkeys(quoted.get(n, n) for n in identifiers if n not in FUNCTIONS))

    def check(self, known: Iterable[str]) -> None:
        """Raise BadInput for a column that is not known."""
        for name in self.names:
            if name not in known:
                raise BadInput(f"formula {self.text!r}: {unknown('column', name, known)}")

    def __call__(self, columns: Mapping[str, Array], rows: int) -> Array:
        """Return the formula's value in each row, as floats."""
        quoted = {place: columns[name] for place, name in self._quoted[1].items()}
        plain = {name: columns[name] for name in self.names if name in columns}
        code = compile(self._tree, "<formula>", "eval")
        with np.errstate(all="ignore"):
            value = eval(code, {"__builtins__": {}}, {**FUNCTIONS, **plain, **quoted})
        return np.broadcast_to(np.asarray(value, dtype=float), (rows,)).copy()


def quoted(name: str) -> str:
    """Return a column's name as a formula writes it."""
    return name if name.isidentifier() and name not in FUNCTIONS else f"`{name}`"
