"""Modules that lie beside a plug-in and that it imports, as a script imports those beside it.

Only what no installed module is called is found so, and only files that a plug-in's code names:
these are what its source digest takes and what a run folder holds.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from cibench.utils.errors import BadInput
from cibench.utils.foreign import read_bytes

_offered: dict[str, Path] = {}
"""The files that `import NAME` finds where nothing else is called so."""


class _Finder:
    """Find modules that plug-ins offer, after all others."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, _: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module is, None for one that is not offered."""
        file = _offered.get(name)
        if file is None or path is not None or not file.exists():
            return None
        return importlib.util.spec_from_file_location(name, file)


def neighbours(plugin: Path) -> dict[str, Path]:
    """Return the modules beside a file that it imports, however deep, by name."""
    return {path.stem: path for path in reached(plugin, _beside) if path != plugin}


class Import(NamedTuple):
    """Say what code imports: a module, what of it, and how many folders up it is looked for."""

    module: str
    name: str = ""
    level: int = 0


def imports(node: ast.AST) -> Iterator[Import]:
    """Yield what code imports, within functions too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (Import(alias.name) for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            module = part.module or ""
            yield from (Import(module, alias.name, part.level) for alias in part.names)


def reached(start: Path, beside: Callable[[Path], Iterable[Path]]) -> list[Path]:
    """Return a file and those that it reaches, however deep, by way of what `beside` says of one.

    >>> from pathlib import Path
    >>> from cibench.model.neighbours import reached
    >>> after = {"a": "b", "b": "a"}
    >>> [path.name for path in reached(Path("a"), lambda path: [Path(after[path.name])])]
    ['a', 'b']
    """
    known: dict[Path, None] = {}
    open_ends = [start]
    while open_ends:
        path = open_ends.pop()
        if path not in known:
            known[path] = None
            open_ends += beside(path)
    return list(known)


def _beside(path: Path) -> list[Path]:
    """Return the files beside one that it imports by their bare names."""
    files = (path.with_name(f"{name}.py") for name in sorted(_top_level(read_bytes(path))))
    return [file for file in files if file.is_file()]


@lru_cache(maxsize=64)  # asked before every block of fits
def _top_level(source: bytes) -> frozenset[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()  # whoever imports it says why
    return frozenset(
        each.module.partition(".")[0] for each in imports(tree) if each.module and not each.level
    )


def digest(plugin: Path) -> str:
    """Return the digest of a plug-in's file and, of Python, of the modules beside it."""
    content = hashlib.blake2b(read_bytes(plugin))
    for name, path in sorted(_of(plugin).items()):
        content.update(name.encode() + b"\0" + hashlib.blake2b(read_bytes(path)).digest())
    return content.hexdigest()


def _of(plugin: Path) -> Mapping[str, Path]:
    return neighbours(plugin) if plugin.suffix == ".py" else {}


def offer(plugin: Path) -> None:
    """Let a plug-in's modules be found, and imported anew where they were others.

    Raises BadInput where another plug-in has offered another module of the same name.
    """
    for name, path in _of(plugin).items():
        before = _offered.get(name)
        if before not in (None, path) and before.is_file() and _differ(before, path):
            raise BadInput(
                f"plug-in '{plugin}': it imports '{name}' beside it, and another plug-in has "
                f"'{before}'; rename one of them"
            )
        _offered[name] = path
        module = sys.modules.get(name)
        if module is not None and getattr(module, "__file__", None) in (str(path), str(before)):
            del sys.modules[name]
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)


def _differ(first: Path, second: Path) -> bool:
    return read_bytes(first) != read_bytes(second)
