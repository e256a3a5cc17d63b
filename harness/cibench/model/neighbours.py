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
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

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
    known: dict[str, Path] = {}
    open_ends = [plugin]
    while open_ends:
        path = open_ends.pop()
        for name in _imported(read_bytes(path)):
            beside = path.with_name(f"{name}.py")
            if name not in known and beside != plugin and beside.is_file():
                known[name] = beside
                open_ends.append(beside)
    return known


@lru_cache(maxsize=64)  # asked before every block of fits
def _imported(source: bytes) -> frozenset[str]:
    return frozenset(_top_level(source))


def _top_level(source: bytes) -> Iterator[str]:
    """Yield what a file imports of the top level, within functions too."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # whoever imports it says why
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


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
