"""What a run of very many small cells costs, and one of very many replicates of a free estimator.

Prints side by side, for a few numbers of cells and for ten thousand replicates of a few cells, the
seconds and the highest memory of the process that cuts the suite into cells, runs it with two
workers, looks at it, goes on with nothing to do, scores it and writes its report. Each step has a
process of its own. Nothing here is a test. Run it as `python benchmarks/long_run.py [CELLS ...]`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scale import nobody

import cibench
from cibench.cli.display import show_status
from cibench.execution import RunSettings, execute, runner
from cibench.execution.progress import look
from cibench.suite import read_suite

PLUGIN = '''"""A design that is drawn in no time, and a method that costs nothing."""

import numpy as np
from cibench import Draw, Estimand, Estimate, Scenario, dial, estimator, parameter, scenario

@scenario("long/coin")
class Coin(Scenario):
    """Y = effect D + bend D + e, every second unit treated."""

    estimand = Estimand.ATE
    reference = "none"
    effect: float = parameter(default=0.0)
    bend: float = dial(default=0, grid=(1, 2), within=(0, 10), breaks="nothing but the estimate",
                       unit="standard deviations")

    def truth(self):
        return self.effect

    def draw(self, n, rng):
        e, d = rng.standard_normal(n), np.arange(n) % 2.0
        effects = np.full(n, self.effect)
        return Draw({"y": self.effect * d + e + self.bend * d, "d": d}, e + self.bend * d, effects)

@estimator("long/contrast", targets=(Estimand.ATE,), needs=("treatment",),
           assumes=("nothing but the estimate",))
def contrast(problem, rng):
    y, d = problem.outcome, problem.treatment
    value = y[d == 1].mean() - y[d == 0].mean()
    return Estimate.wald(value, 2 / np.sqrt(y.size), problem.level)
'''
SIZES, BENDS = [20, 30, 40, 50], [0.5, 1.0, 2.0, 4.0]
EACH = len(SIZES) * (1 + len(BENDS))
"""Cells of one effect."""

STEPS = ("parse", "run", "status", "resume", "score", "report")
WORKERS = 2
MADE_UP = 20_000
"""Of more cells rows are made up, as in `scale.py`: the fits of 10^5 cells take half an hour."""


def write_suite(folder: Path, cells: int, replicates: int) -> Path:
    """Write a suite of so many cells, a multiple of EACH, and return its path."""
    (folder / "coin.py").write_text(PLUGIN, encoding="utf-8")
    effects = [round(0.01 * i, 2) for i in range(cells // EACH)]
    text = f"""name = "long"
seed = 1
replicates = {replicates}
plugins = ["coin.py"]

[[cells]]
scenario = "long/coin"
n = {SIZES}
parameters = {{ effect = {effects} }}
dials = {{ bend = {[0.0, *BENDS]} }}
estimators = "long/contrast"
"""
    path = folder / "long.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run(suite: Path, folder: Path) -> object:
    """Run what is missing of the suite."""
    chosen = read_suite(suite)
    if len(chosen.cells) > MADE_UP:
        runner._workplace = nobody  # type: ignore[assignment]
    settings = RunSettings(WORKERS, isolate=True, checks=False)
    return execute(chosen, folder, settings)


def step(name: str, suite: Path, folder: Path) -> None:
    """Do one step and print what it took."""
    calls: dict[str, Callable[[], Any]] = {
        "parse": lambda: read_suite(suite), "run": lambda: run(suite, folder),
        "status": lambda: show_status(look(folder), str(folder)),
        "resume": lambda: run(suite, folder),
        "score": lambda: cibench.load(folder).write_scores(),
        "report": lambda: cibench.load(folder).write_report(),
    }  # fmt: skip
    started, busy = time.perf_counter(), time.process_time()
    calls[name]()
    print(json.dumps({
        "seconds": time.perf_counter() - started, "cpu": time.process_time() - busy,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))  # fmt: skip


def measured(cells: int, replicates: int, steps: list[str], folder: Path) -> None:
    """Do the steps one after the other and print a line for each."""
    suite, there = write_suite(folder, cells, replicates), folder / "run"
    print(f"\n{cells:,} cells of {replicates:,} replicates", flush=True)
    for name in steps:
        words = ["--step", name, "--suite", str(suite), "--folder", str(there)]
        output = subprocess.run(
            [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        cost = json.loads(output.splitlines()[-1])
        print(f"  {name:8} {cost['seconds']:8.1f} s {cost['cpu']:8.1f} s of CPU "
              f"{cost['memory']:8.0f} MB{_more(name, there, cells * replicates, cost)}",
              flush=True)  # fmt: skip


def _more(name: str, folder: Path, rows: int, cost: dict[str, float]) -> str:
    if name == "run":
        shards = list((folder / "replicates").iterdir())
        size = sum(path.stat().st_size for path in shards)
        return (f"   {rows / cost['seconds']:,.0f} rows/s, {len(shards):,} shards of "
                f"{size / rows:,.0f} bytes a row")  # fmt: skip
    if name == "report":
        return f"   a page of {(folder / 'report.html').stat().st_size / 1e6:.1f} MB"
    return ""


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("cells", type=int, nargs="*", default=[2_000, 20_000, 100_000])
    asked.add_argument("--replicates", type=int, default=3, help="of each cell")
    asked.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS)
    asked.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    asked.add_argument("--suite", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.step:
        step(given.step, given.suite, given.folder)
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for cells in given.cells:
        with tempfile.TemporaryDirectory() as scratch:
            measured(cells, given.replicates, given.steps, Path(scratch))
    if not sys.argv[1:]:
        with tempfile.TemporaryDirectory() as scratch:
            measured(EACH, 10_000, list(STEPS), Path(scratch))


if __name__ == "__main__":
    main()
