"""What the harness costs over a bare loop, and what a second worker brings.

Each comparison runs both sides in one process and prints their ratio; nothing here is a test.
Run it with `nox -s benchmarks` or `python benchmarks/harness_cost.py`.
"""

from __future__ import annotations

import gc
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from threadpoolctl import threadpool_limits

from cibench import Estimand, Estimate, Problem, Suite, estimator
from cibench.execution import RunSettings, execute
from cibench.execution.progress import Progress
from cibench.model.method import find_estimator
from cibench.model.streams import data_address, fit_address, stream
from cibench.suite.parse import parse_suite
from cibench.workers.processes import import_all

ROUNDS = 5


@estimator("benchmark/nothing", targets=(Estimand.ATE_AT_CUTOFF, Estimand.ATT))
def nothing(problem: Problem, rng: object) -> Estimate:
    """Cost nothing."""
    return Estimate(0.0, 1.0, -1.0, 1.0)


def suite_of(scenario: str, n: int, estimators: list[str], replicates: int) -> Suite:
    """Return a suite of one cell."""
    cell = {"scenario": scenario, "n": n, "estimators": estimators}
    return parse_suite({"name": "b", "seed": 1, "replicates": replicates, "cells": [cell]})


def bare_loop(suite: Suite) -> float:
    """Time the same draws and the same estimator calls without the harness."""
    (cell,) = suite.cells
    scenario, found = (
        cell.scenario,
        [(find_estimator(e.estimator), json.loads(e.options)) for e in cell.entrants],
    )
    started = time.perf_counter()
    with threadpool_limits(limits=1):
        for replicate in range(suite.replicates):
            address = data_address(suite.seed, scenario.name, cell.n, replicate)
            draw = scenario.draw(cell.n, stream(*address))
            for one, options in found:
                problem = Problem.of(draw, scenario.roles, one.targets_of(scenario), suite.level)
                rng = stream(*fit_address(1, scenario.name, cell.n, replicate, one.name))
                one.fit(problem, rng, **options)
    return time.perf_counter() - started


def only_draws(suite: Suite) -> float:
    """Time the draws alone."""
    (cell,) = suite.cells
    started = time.perf_counter()
    for replicate in range(suite.replicates):
        address = data_address(suite.seed, cell.scenario.name, cell.n, replicate)
        cell.scenario.draw(cell.n, stream(*address))
    return time.perf_counter() - started


def harness(suite: Suite) -> float:
    """Time a whole run in this process: rows, shards, manifest and all."""
    folder = Path(tempfile.mkdtemp())
    started = time.perf_counter()
    execute(suite, folder / "run")
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def processes(suite: Suite, workers: int) -> float:
    """Time a run in worker processes from the moment they are ready."""
    folder, ended, clock = Path(tempfile.mkdtemp()), [0.0], [0.0]

    def listen(progress: Progress) -> None:
        clock[0], ended[0] = progress.started, time.perf_counter()

    execute(suite, folder / "run", RunSettings(workers, isolate=True, listen=listen))
    shutil.rmtree(folder)
    return ended[0] - clock[0]


def times(*sides: Callable[[], float]) -> list[float]:
    """Return each side's median over rounds that alternate between the sides."""
    for side in sides:
        side()
    seen: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, found in zip(sides, seen, strict=True):
            gc.collect()
            found.append(side())
    return [median(found) for found in seen]


def main() -> None:
    """Print the ratios that the design sets bounds to."""
    import_all(("rdrobust", "linearmodels", "statsmodels"))
    print("harness over a bare loop where a fit takes 10 ms or more (bound 1.05)")
    for scenario, n, name in (
        ("rd/cct-1", 500, "rdrobust/robust"), ("did/two-group", 60, "panel/twfe-clustered"),
    ):  # fmt: skip
        suite = suite_of(scenario, n, [name], 100)
        bare, full = times(lambda s=suite: bare_loop(s), lambda s=suite: harness(s))  # type: ignore[misc]
        per_fit = bare / suite.replicates * 1e3
        print(f"  {name:24} {full / bare:6.3f}   ({per_fit:.1f} ms a fit)")
    print("a replicate beyond its draw with an estimator that costs nothing (bound 150 us)")
    for scenario, n in (("rd/cct-1", 500), ("did/two-group", 60)):
        suite = suite_of(scenario, n, ["benchmark/nothing"], 5000)
        draws, full = times(lambda s=suite: only_draws(s), lambda s=suite: harness(s))  # type: ignore[misc]
        each = (full - draws) / suite.replicates * 1e6
        print(f"  {scenario:24} {each:6.0f} us   (draw {draws / suite.replicates * 1e6:.0f} us)")
    print("one worker over two, on a run of 20 s or more (bound 1.8)")
    suite = suite_of("rd/cct-1", 500, ["rdrobust/robust"], 4000)
    one, two = processes(suite, 1), processes(suite, 2)
    print(f"  rdrobust/robust x 4000   {one / two:6.2f}   ({one:.1f} s and {two:.1f} s)")


if __name__ == "__main__":
    main()
