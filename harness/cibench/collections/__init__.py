"""Data sets that exist: folders of files, each a data set with truths of its own, as a scenario.

Replicate k is data set k. A TOML file says which files they are, which column is what, what is true
of each, and which column of an index says by what the data sets differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.collections.collection import Collection
    from cibench.collections.declaration import read_declaration
    from cibench.collections.guess import write_declaration
    from cibench.collections.scenario import register_collection

__all__ = ["Collection", "read_declaration", "register_collection", "write_declaration"]

_HOMES = {
    "cibench.collections.collection": ("Collection",),
    "cibench.collections.declaration": ("read_declaration",),
    "cibench.collections.guess": ("write_declaration",),
    "cibench.collections.scenario": ("register_collection",),
}

__getattr__ = offered(__name__, _HOMES)
