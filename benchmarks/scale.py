"""What large runs cost the driver: constants for `docs/scale.md`, measured with the real writer.

A run of `--rows` replicate rows goes through the ordinary runner with workers that make up their
answers, so that nothing but the driver is measured: memory, seconds and bytes a row, the time to
open, to look at and to go on with the folder, and the time to score it.
With `--dask` local processes and a dask cluster of two workers run the same suite side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import cibench
from cibench import Suite
from cibench.execution import RunSettings, execute, runner
from cibench.execution.progress import Progress, look
from cibench.storage.schema import schema
from cibench.storage.session import opened
from cibench.suite.parse import parse_suite
from cibench.workers.block import Block, Result
from cibench.workers.workplace import Here, Workplace

ESTIMATORS = ["rdrobust/robust", "rdrobust/conventional", "rd/global-polynomial-1",
              "rd/local-linear", "oracle/experiment"]  # fmt: skip


def suite_of(rows: int) -> Suite:
    """Return a suite of twenty cells and five estimators that has so many rows."""
    cell = {
        "scenario": ["rd/cct-1", "rd/cct-2"], "n": [500, 600, 700, 800, 900],
        "dials": {"sorting": 0.1}, "estimators": ESTIMATORS,
    }  # fmt: skip
    return parse_suite({"name": "s", "seed": 1, "replicates": rows // 100, "cells": [cell]})


def made_up(block: Block) -> Result:
    """Return rows like those of a block, with random numbers where fits would have answered."""
    import pyarrow as pa

    rng, size = np.random.default_rng(block.first), block.count * len(block.entrants)
    fixed = {
        **block.key, "level": block.level, "kind": "estimate", "refit": 0, "status": "ok",
        "estimand": str(block.truths[0][0].estimand), "truth": 0.04, "truth_mcse": 0.0,
    }  # fmt: skip
    replicates = np.arange(block.first, block.first + block.count)
    each = {
        "replicate": np.repeat(replicates, len(block.entrants)),
        "estimator": [e.estimator for e in block.entrants] * block.count,  # type: ignore[attr-defined]
        "options": [e.options for e in block.entrants] * block.count,  # type: ignore[attr-defined]
        "data_hash": rng.integers(0, 2**62, size),
        **{name: rng.normal(size=size) for name in ("estimate", "std_error", "ci_low", "ci_high",
                                                    "p_value", "seconds")},
    }  # fmt: skip
    columns = [
        pa.array(each[f.name], f.type) if f.name in each
        else pa.repeat(pa.scalar(fixed.get(f.name), f.type), size)
        for f in schema()
    ]  # fmt: skip
    return Result(pa.Table.from_arrays(columns, schema=schema()), 0.5)


@contextlib.contextmanager
def nobody(*_: object) -> Iterator[Workplace]:
    """Be where blocks run, without running them."""
    yield Workplace(Here(), made_up, lambda: 1)


def write(rows: int, folder: Path) -> None:
    """Write the run, and print what that took of the process."""
    before, started, busy = _peak(), time.perf_counter(), time.process_time()
    runner._workplace = nobody  # type: ignore[assignment]
    execute(suite_of(rows), folder)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    files = list((folder / "replicates").iterdir())
    size = sum(path.stat().st_size for path in files)
    print(f"driver memory, at most          {_peak():8.0f} MB   ({before:.0f} before; bound 500)")
    print(f"driver, its CPU                 {busy / rows * 1e6:8.1f} us a row   ({seconds:.1f} s)")
    print(f"shards                          {size / rows:8.1f} bytes a row, {len(files)} files")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(what: str, call: Callable[[], object]) -> None:
    started, busy = time.perf_counter(), time.process_time()
    call()
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    print(f"{what:31} {seconds:8.2f} s   ({busy:.2f} s of CPU, {_peak():.0f} MB at most)")


def _go_on(folder: Path, rows: int) -> None:
    with opened(folder, suite_of(rows)) as session:
        assert session.complete


def read(rows: int, folder: Path) -> None:
    """Open, look at and score the run, and print how long that takes."""
    found = cibench.load(folder)
    _timed("opening: load and manifest", lambda: cibench.load(folder).manifest)
    _timed("opening: cibench status", lambda: look(folder))
    _timed("opening: to go on with it", lambda: _go_on(folder, rows))
    _timed("scoring", lambda: found.scores)


def transport() -> None:
    """Print what a block and its rows weigh on the way."""
    suite = suite_of(100_000)
    cell = suite.cells[0]
    from cibench.model.design import truths

    block = Block(0, cell.key, cell.entrants, tuple(truths(cell.scenario).items()), 1, 0.95, 0, 400)
    sent, back = len(pickle.dumps(block)), len(pickle.dumps(made_up(block)))
    print(f"a block on its way              {sent:8} bytes")
    print(f"its rows on their way           {back / 2000:8.0f} bytes a row")


def on_dask(replicates: int) -> None:
    """Time the same run by local processes and by a dask cluster, alternately."""
    import dask
    import distributed

    cell = {"scenario": "rd/cct-1", "n": 500, "estimators": ["rdrobust/robust"]}
    suite = parse_suite({"name": "b", "seed": 1, "replicates": replicates, "cells": [cell]})
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made,
    ):
        address = made.scheduler_address.replace("tcp://", "dask://")
        for _ in range(2):
            here, there = _run(suite, None), _run(suite, address)
            print(f"dask over local processes       {there / here:8.3f}     ({there:.1f} s over "
                  f"{here:.1f} s; bound 1.10)")  # fmt: skip


def _run(suite: Suite, executor: str | None) -> float:
    """Time a run from when a twentieth is done, by when every worker has its child, to its end."""
    folder, heard = Path(tempfile.mkdtemp()), list[tuple[float, int]]()

    def listen(progress: Progress) -> None:
        heard.append((time.perf_counter(), progress.done))

    execute(suite, folder / "run", RunSettings(2, executor=executor, listen=listen))
    shutil.rmtree(folder)
    start = next(at for at, done in heard if done >= suite.replicates // 20)
    return heard[-1][0] - start


def main() -> None:
    """Print the constants."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--dask", type=int, metavar="REPLICATES", help="compare dask on that many")
    asked.add_argument("--part", choices=["write", "read"], help=argparse.SUPPRESS)
    asked.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.part:
        (write if given.part == "write" else read)(given.rows, given.folder)
        return
    if given.dask:
        on_dask(given.dask)
        return
    print(f"a run of {given.rows:,} rows; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as scratch:
        for part in ("write", "read"):  # each in a process of its own, for its memory
            words = ["--part", part, "--rows", str(given.rows), "--folder", f"{scratch}/run"]
            subprocess.run([sys.executable, __file__, *words], check=True)
    transport()


if __name__ == "__main__":
    main()
