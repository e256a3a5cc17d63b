"""How long scoring a large run takes and how much memory, read cell by cell from its folder.

Prints, for a hundredth, a tenth and all of the rows, seconds, CPU seconds, rows per second and the
highest resident memory, so that the growth shows, and for the largest run when each tenth of its
cells was done; nothing here is a test. A child process does the scoring, so that making the rows
does not count. All cells are of a few data sets under names of their own, which is quick to write
and changes nothing for the scorer; 10^8 rows take 6 GB of disk for as long as it runs. Run it as
`python benchmarks/scoring.py [rows]`.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cibench.analysis import collect, scores
from cibench.analysis.scores import Line
from cibench.storage import cells
from cibench.storage.groups import Part
from cibench.storage.schema import TYPES, schema
from cibench.storage.shards import Span, place

REPLICATES, ESTIMATORS, ROWS = 2000, 5, 100_000_000
DRAWN = 20
BYTES_A_ROW = 60


def write_run(folder: Path, rows: int) -> None:
    """Write the shards of a run whose estimators differ in bias, spread and standard error."""
    (folder / "replicates").mkdir(parents=True)
    rng = np.random.default_rng(5)
    drawn = [cell_table(cell, rng) for cell in range(DRAWN)]
    column = drawn[0].schema.get_field_index("scenario")
    for cell in range(rows // (REPLICATES * ESTIMATORS)):
        named = pa.repeat(pa.scalar(f"benchmark/{cell // 10}"), REPLICATES * ESTIMATORS)
        table = drawn[cell % DRAWN].set_column(column, "scenario", named)
        pq.write_table(table, place(folder, Span(cell, cell), 0), compression="zstd")


def cell_table(cell: int, rng: np.random.Generator) -> pa.Table:
    """Return the rows of one cell; every tenth cell is the null of the nine that follow."""
    size = REPLICATES * ESTIMATORS
    estimator = np.tile(np.arange(ESTIMATORS), REPLICATES)
    truth = float(cell % 10)
    t = truth + 0.1 * estimator + np.repeat(rng.normal(size=REPLICATES), ESTIMATORS)
    t, s = t + 0.3 * rng.normal(size=size), np.sqrt(rng.chisquare(30, size) / 30)
    columns = dict.fromkeys(TYPES) | {
        "kind": "estimate", "scenario": "", "dials": "{}", "n": 500,
        "parameters": f'{{"effect":{truth}}}', "options": "{}",
        "replicate": np.repeat(np.arange(REPLICATES), ESTIMATORS), "refit": 0,
        "estimator": [f"benchmark/{i}" for i in estimator], "estimand": "ATE", "level": 0.95,
        "truth": truth, "truth_mcse": 0.0, "estimate": t, "std_error": s,
        "ci_low": t - 1.96 * s, "ci_high": t + 1.96 * s, "outside": False,
        "status": np.where(rng.random(size) < 0.02, "failed", "ok"), "seconds": rng.random(size),
        "data_hash": rng.integers(0, 2**62, size),
    }  # fmt: skip
    arrays = [
        pa.array([value] * size if value is None or np.isscalar(value) else value, field.type)
        for value, field in zip(columns.values(), schema(), strict=True)
    ]
    return pa.table(arrays, schema=schema())


def measure(folder: Path) -> None:
    """Score the folder and print time and peak memory of this process."""
    begun: list[float] = []
    original = scores.lines

    def timed(part: Part, catalogue: Mapping[str, Any]) -> list[Line]:
        begun.append(time.process_time())
        return original(part, catalogue)

    scores.lines = timed
    started, busy = time.perf_counter(), time.process_time()
    collector = scores.ScoreCollector({})
    collect(partial(cells, folder), [collector])
    found = collector.table()
    seconds, ended = time.perf_counter() - started, time.process_time()
    rows = int(found["replicates"].sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{rows:,} rows, {len(found):,} scores: {seconds:.1f} s ({ended - busy:.1f} s of CPU "
        f"in {len(os.sched_getaffinity(0))} cores at load {os.getloadavg()[0]:.1f}), "
        f"{1e6 * (ended - busy) / rows:.2f} s of CPU a million rows, peak {peak:.2f} GB",
        flush=True,
    )
    if len(begun) >= 1000:
        tenths = [begun[len(begun) * i // 10] - busy for i in range(1, 10)] + [begun[-1] - busy]
        print("  CPU seconds after each tenth of the cells:", *(f"{t:.0f}" for t in tenths))


def main() -> None:
    """Make a hundredth, a tenth and all of the rows, and score each in a process of its own."""
    asked = int(float(sys.argv[1])) if len(sys.argv) > 1 else ROWS
    room = shutil.disk_usage(tempfile.gettempdir()).free
    if room < 1.5 * BYTES_A_ROW * asked:
        sys.exit(f"{asked:,} rows take {BYTES_A_ROW * asked / 1e9:.0f} GB of disk; name fewer")
    for rows in (asked // 100, asked // 10, asked):
        with tempfile.TemporaryDirectory(prefix="cibench-") as name:
            write_run(Path(name), rows)
            subprocess.run([sys.executable, __file__, "--score", name], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        measure(Path(sys.argv[2]))
    else:
        main()
