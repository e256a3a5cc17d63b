"""How long scoring a large run takes and how much memory, read cell by cell from its folder.

Prints seconds, CPU seconds, rows per second and the highest resident memory, for one size and for
ten times as many rows, so that the growth shows; nothing here is a test. A child process does the
scoring, so that making the rows does not count. Run it as `python benchmarks/scoring.py [rows]`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cibench.rows import TYPES, schema
from cibench.score import score_folder

REPLICATES, ESTIMATORS, ROWS = 2000, 5, 10_000_000


def write_run(folder: Path, rows: int) -> None:
    """Write the shards of a run whose estimators differ in bias, spread and standard error."""
    (folder / "replicates").mkdir(parents=True)
    rng = np.random.default_rng(5)
    for cell in range(rows // (REPLICATES * ESTIMATORS)):
        path = folder / "replicates" / f"cell-{cell:05d}.parquet"
        pq.write_table(cell_table(cell, rng), path, compression="zstd")


def cell_table(cell: int, rng: np.random.Generator) -> pa.Table:
    """Return the rows of one cell; every tenth cell is the null of the nine that follow."""
    size = REPLICATES * ESTIMATORS
    estimator = np.tile(np.arange(ESTIMATORS), REPLICATES)
    truth = float(cell % 10)
    t = truth + 0.1 * estimator + np.repeat(rng.normal(size=REPLICATES), ESTIMATORS)
    t, s = t + 0.3 * rng.normal(size=size), np.sqrt(rng.chisquare(30, size) / 30)
    columns = dict.fromkeys(TYPES) | {
        "kind": "estimate", "scenario": f"benchmark/{cell // 10}", "dials": "{}", "n": 500,
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
    started, busy = time.perf_counter(), time.process_time()
    scores = score_folder(folder, {})
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    rows = int(scores["replicates"].sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{rows:,} rows, {len(scores):,} scores: {seconds:.1f} s ({busy:.1f} s of CPU "
        f"in {len(os.sched_getaffinity(0))} cores at load {os.getloadavg()[0]:.1f}), "
        f"{rows / seconds / 1e6:.2f} million rows a second, peak {peak:.2f} GB",
        flush=True,
    )


def main() -> None:
    """Make a tenth and all of the rows, and score each in a process of its own."""
    asked = int(float(sys.argv[1])) if len(sys.argv) > 1 else ROWS
    for rows in (asked // 10, asked):
        with tempfile.TemporaryDirectory(prefix="cibench-") as name:
            write_run(Path(name), rows)
            subprocess.run([sys.executable, __file__, "--score", name], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        measure(Path(sys.argv[2]))
    else:
        main()
