"""Bring a run folder to where it can be continued: set aside, drop and rename, row by row safe."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cibench.files import write_json
from cibench.storage import shards
from cibench.storage.inventory import Inventory, Shard

SUPERSEDED, DAMAGED = "superseded", "damaged"
MOVING = "moving-"


def tidy(run: Path, made: Inventory, notes: Sequence[str]) -> None:
    """Leave only rows that belong to the suite, under names in suite order.

    Stale rows become a run folder of their own in `superseded/`, with what the run folder said of
    itself until now, and damaged shards go to `damaged/`; nobody reads either. `notes` are the
    names of the files that say it. Whatever interrupts this, each row is in its place or aside.
    """
    for leftover in (*run.glob(".*.tmp"), *(run / shards.REPLICATES).glob(".*.tmp")):
        leftover.unlink()
    if any(shard.stale.any() for shard in made.shards):
        _set_aside(run, made, notes)
    for path in made.damaged:
        target = _dated(run / DAMAGED)
        target.mkdir(parents=True)
        path.rename(target / path.name)
    kept = [shard for shard in map(_keep, made.shards) if shard.rows]
    made.shards[:] = _renamed(run, kept)


def _dated(folder: Path) -> Path:
    """Return a path with the time as its name that is not taken."""
    now, number = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}", 1
    while (made := folder / (now if number == 1 else f"{now}-{number}")).exists():
        number += 1
    return made


def _set_aside(run: Path, made: Inventory, notes: Sequence[str]) -> None:
    target = _dated(run / SUPERSEDED)
    building = target.with_name(f".{target.name}.tmp")
    (building / shards.REPLICATES).mkdir(parents=True)
    for name in notes:
        if (run / name).exists():
            shutil.copy2(run / name, building / name)
    count = 0
    for shard in made.shards:
        if shard.stale.any():
            table = shards.read(shard.path).filter(shard.stale)
            shards.write(building / shards.REPLICATES / shard.path.name, table)
            count += table.num_rows
    path = building / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    why = {"superseded": sorted(made.changed), "stored_rows": count}
    write_json(path, {**manifest, **why})
    building.rename(target)


def _keep(shard: Shard) -> Shard:
    """Write a shard again without the rows that do not stay."""
    import pyarrow as pa

    leaves = shard.stale | shard.again
    if not leaves.any():
        return shard
    if leaves.all():
        shard.path.unlink()
        return dataclasses.replace(shard, rows=0)
    table = shards.read(shard.path).filter(pa.array(~leaves))
    shards.write(shard.path, table)
    stays = leaves[~leaves]
    return dataclasses.replace(shard, rows=table.num_rows, stale=stays, again=stays)


def _renamed(run: Path, kept: Sequence[Shard]) -> list[Shard]:
    """Give shards the names that their cell's place in the suite asks for.

    A shard that moves goes by a name of its own in between, never hidden: it is read all the time.
    """
    parts: dict[int, int] = {}
    named = []
    for shard in kept:
        if shard.cell is not None:
            part = parts[shard.cell] = parts.get(shard.cell, -1) + 1
            named.append((shard, shards.place(run, shard.cell, part)))
    moves = [(shard.path, target) for shard, target in named if shard.path != target]
    for path, target in moves:
        path.rename(path.with_name(MOVING + target.name))
    for path, target in moves:
        path.with_name(MOVING + target.name).rename(target)
    return [dataclasses.replace(shard, path=target) for shard, target in named]
