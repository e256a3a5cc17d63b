"""Names say what a value is: words that fit any value are no names of what outlives its line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "harness" / "cibench"

EMPTY = frozenset({"found", "made", "told", "said", "given", "asked", "shown", "held", "one"})

ALLOWED = {
    # public: generated pages and notebooks call it, and lesson files have the key `asked`
    ("lessons/reanalysis.py", "asked"),
}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
INLINE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


def is_empty(name: str) -> bool:
    return name.strip("_").lower() in EMPTY


def arguments(scope: ast.AST) -> list[ast.arg]:
    if not isinstance(scope, FUNCTIONS):
        return []
    every = scope.args
    others = [a for a in (every.vararg, every.kwarg) if a]
    return [*every.posonlyargs, *every.args, *every.kwonlyargs, *others]


def within(scope: ast.AST, *borders: type[ast.AST]) -> Iterator[ast.AST]:
    """Yield what stands in a scope, each inner one without its contents."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, borders):
            yield from within(node, *borders)


def bound(scope: ast.AST) -> set[str]:
    """Return the empty names that a scope itself binds."""
    names = {a.arg for a in arguments(scope)}
    for node in within(scope, *FUNCTIONS, *INLINE, ast.ClassDef):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.asname}
    return {name for name in names if is_empty(name)}


def lines_of(scope: ast.AST, name: str) -> list[int]:
    return [
        node.lineno for node in ast.walk(scope)
        if (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.arg) and node.arg == name)
    ]  # fmt: skip


def faults(source: str) -> set[str]:
    """Return the empty names of a module: of definitions, fields, arguments and lasting locals.

    What a comprehension or a lambda binds may last to the next line: it is bound and used in one
    expression.
    """
    tree, names = ast.parse(source), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names |= {node.name} if is_empty(node.name) else set()
        if isinstance(node, ast.Module | ast.ClassDef):
            names |= bound(node)
        elif isinstance(node, (*FUNCTIONS, *INLINE)):
            lasts = 1 if isinstance(node, INLINE) else 0
            for name in bound(node):
                lines = lines_of(node, name)
                if not lines or max(lines) - min(lines) > lasts:
                    names.add(name)
    return names


def test_no_name_says_nothing() -> None:
    wrong = set[tuple[str, str]]()
    for path in ENGINE.rglob("*.py"):
        place = path.relative_to(ENGINE).as_posix()
        if place.startswith(("scenarios/", "estimators/")):  # their bytes are pinned
            continue
        names = faults(path.read_text(encoding="utf-8"))
        names |= {path.stem} if is_empty(path.stem) else set()
        wrong |= {(place, name) for name in names}
    assert wrong == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "def found(): pass", "class Told: pass", "class A:\n    held: int", "given = 1",
        "def f(asked):\n    return asked", "def f():\n    said = 1\n    return said",
        "def f():\n    for one in x:\n        g(one)", "def f():\n    def _one(): pass",
        "def f():\n    return [\n        g(one)\n        for k in y\n        for one in x\n    ]",
        "from a import b as made", "def f(*shown):\n    g(shown)",
    ],
)  # fmt: skip
def test_an_empty_name_is_noticed(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    return [g(one) for one in x]",
        "def f(): said = 1; return said",
        "def f():\n    return [\n        g(one)\n        for one in x\n    ]",
        "def f():\n    return sorted(x, key=lambda one: one.name)",
        "def one_line(): pass",
    ],
)
def test_what_ends_with_its_line_may_have_any_name(source: str) -> None:
    assert not faults(source)
