"""Make a run folder one that can be continued, so that each row is there at every moment.

A shard's name covers the cells that it has rows of, which come in the suite's order in it.

Nothing is ever renamed over another file. A shard that moves goes by a name of its own in between,
which no other file ever had, so that whatever ends the process leaves shards under names of the
one kind or the other, none of them hidden. What is left under such a name is a shard like all
others to whoever comes next, under the same suite or another one. Rows leave a shard once they are
on the disk elsewhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cibench.storage import shards
from cibench.storage.inventory import Inventory, Shard
from cibench.storage.shards import Span
from cibench.suite.origins import PLUGINS
from cibench.utils.files import move, sync_folder, sync_tree, write_json
from cibench.utils.foreign import own_file, read_json
from cibench.utils.leftovers import clear, temporary

SUPERSEDED, DAMAGED = "superseded", "damaged"
_MOVING = re.compile(r"moving-(\d+)-.+\.parquet")


def tidy(run: Path, inventory: Inventory, notes: Sequence[str]) -> None:
    """Leave only rows that belong to the suite, under names in suite order.

    Stale rows become a run folder of their own in `superseded/`, with what the run folder said of
    itself until now, and damaged shards go to `damaged/`; nobody reads either. `notes` are the
    names of the files that say it. Whatever interrupts this, each row is in its place or aside.
    """
    clear_leftovers(run)
    if any(shard.stale.any() for shard in inventory.shards):
        _set_aside(run, inventory, notes)
    if inventory.damaged:
        _put_away(run, list(inventory.damaged))
    staying = [shard for shard in map(_reduced, inventory.shards) if shard.rows]
    inventory.shards[:] = _renamed(run, staying)


def clear_leftovers(run: Path) -> None:
    """Remove what killed processes had begun in a run folder and not put in place."""
    for name in (shards.REPLICATES, SUPERSEDED, DAMAGED, PLUGINS):
        clear(own_file(run, name))
    clear(run)
    for folder in (run / DAMAGED).glob("*"):
        with contextlib.suppress(OSError):  # an empty one was made for a shard that is still there
            folder.rmdir()


def _dated(folder: Path) -> Path:
    """Return a path with the time as its name that is not taken."""
    now, number = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}", 1
    while (target := folder / (now if number == 1 else f"{now}-{number}")).exists():
        number += 1
    return target


def _set_aside(run: Path, inventory: Inventory, notes: Sequence[str]) -> None:
    target = _dated(own_file(run, SUPERSEDED))
    building = temporary(target)
    (building / shards.REPLICATES).mkdir(parents=True)
    for name in notes:
        if (run / name).exists():
            shutil.copy2(run / name, building / name)
    if own_file(run, PLUGINS).is_dir():  # as they were: where others are now is no matter
        shutil.copytree(run / PLUGINS, building / PLUGINS, symlinks=True)
    count = 0
    for shard in inventory.shards:
        if shard.stale.any():
            table = shards.read(shard.path).filter(shard.stale)
            shards.write(building / shards.REPLICATES / shard.path.name, table)
            count += table.num_rows
    why = {"superseded": sorted(inventory.changed), "stored_rows": count}
    path = building / "manifest.json"
    write_json(path, {**read_json(path, {str: object}), **why})
    sync_tree(building)
    move(building, target)
    sync_folder(target.parent)
    sync_folder(run)


def _put_away(run: Path, damaged: Sequence[Path]) -> None:
    target = _dated(own_file(run, DAMAGED))
    target.mkdir(parents=True)
    sync_folder(run)
    sync_folder(target.parent)
    for path in damaged:
        move(path, target / path.name)
    sync_folder(target)
    sync_folder(run / shards.REPLICATES)


def _reduced(shard: Shard) -> Shard:
    """Write a shard again without the rows that do not stay, its cells in the suite's order."""
    import pyarrow as pa

    leaves = shard.stale | shard.again
    if not leaves.any() and shard.order is None:
        return shard
    if leaves.all():
        shard.path.unlink()
        return dataclasses.replace(shard, rows=0)
    rows = np.arange(shard.rows) if shard.order is None else shard.order
    table = shards.read(shard.path).take(pa.array(rows[~leaves[rows]]))
    shards.write(shard.path, table)
    stays = leaves[~leaves]
    return dataclasses.replace(shard, rows=table.num_rows, stale=stays, again=stays, order=None)


def in_place(run: Path, stored: Sequence[Shard]) -> bool:
    """Say whether all shards have the names, and the order, that their cells' places ask for."""
    return all(shard.path == to and shard.order is None for shard, to in _named(run, stored))


def _named(run: Path, stored: Sequence[Shard]) -> list[tuple[Shard, Path]]:
    """Return shards with the paths that are due to them, in order.

    A name that covers a shard's cells stays. Among those of the same cells the order is that of
    their parts, which a name in between has at its end too.
    """
    parts: dict[Span, int] = {}
    named = []
    for shard in sorted(stored, key=lambda s: (shards.part_of(s.path), s.path.name)):
        if shard.cells is not None:
            own = shards.span_of(shard.path)
            span = own if own and own.covers(shard.cells) else shard.cells
            part = parts[span] = parts.get(span, -1) + 1
            named.append((shard, shards.place(run, span, part)))
    return named


def _renamed(run: Path, staying: Sequence[Shard]) -> list[Shard]:
    """Give shards their names, each by way of one in between."""
    named = _named(run, staying)
    moves = [(shard.path, target) for shard, target in named if shard.path != target]
    if moves:
        moving = _unused(run)
        for path, target in moves:
            move(path, path.with_name(f"{moving}{target.name}"))
        for _, target in moves:
            move(target.with_name(f"{moving}{target.name}"), target)
        sync_folder(run / shards.REPLICATES)
    return [dataclasses.replace(shard, path=target) for shard, target in named]


def _unused(run: Path) -> str:
    """Return what names in between begin with, as none in the folder does."""
    numbers = [_MOVING.fullmatch(path.name) for path in shards.paths(run)]
    highest = max((int(match[1]) for match in numbers if match), default=-1)
    return f"moving-{highest + 1:05d}-"
