"""Run a suite whose estimators another Python fits: `python -m cibench.gate.versions ...`.

This is what `cibench regress` calls for each version, with the arguments SUITE FOLDER REPLICATES
WORKERS PACKAGE; `--no-checks` may follow. The suite's last plug-in says which Python. It prints, as
JSON, which version of the package the fits have imported.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from cibench.execution.settings import EVERY_FIT
from cibench.external.methods import Environment
from cibench.model.method import find_estimator
from cibench.model.types import Draw, Problem
from cibench.results.api import run
from cibench.suite.parse import read_suite
from cibench.suite.suite import Cell, Suite
from cibench.utils.errors import BadInput
from cibench.workers.block import draw_replicate
from cibench.workers.fit import fit

NO_CHECKS = "--no-checks"


def main(
    suite: str, folder: str, replicates: str, workers: str, package: str, switch: str = ""
) -> None:  # fmt: skip
    """Run the suite into the folder; bad input ends it with a line for each and code 2."""
    try:
        settings = replace(
            EVERY_FIT, workers=int(workers), isolate=True, checks=switch != NO_CHECKS
        )
        parsed = read_suite(Path(suite))
        run(parsed.with_replicates(int(replicates)), folder, settings=settings)
        print(json.dumps({"imported": imported(parsed, package)}))
    except BadInput as error:
        sys.stderr.writelines(f"cibench: {line}\n" for line in error.args)
        raise SystemExit(2) from error


def imported(suite: Suite, package: str) -> str | None:
    """Return the version of a package that fits of the suite import; None where none does.

    Data sets are fitted once more until one has, in the process that is then asked.
    """
    for cell in suite.cells:
        draw = _first_draw(cell, suite)
        for name, options in cell.entrants:
            method = find_estimator(name)
            if draw is None or not isinstance(method.elsewhere, Environment):
                continue
            targets = method.questions(cell.scenario)
            problem = Problem.of(draw, cell.scenario.assigned_roles(), targets, suite.level)
            fit(method, problem, json.loads(options), ("imported", name))
            process = method.elsewhere.prepare()
            if process.loaded([package]):
                return process.versions([package])[package]
    return None


def _first_draw(cell: Cell, suite: Suite) -> Draw | None:
    """Return a cell's first data set, None where none can be drawn, which its run has said."""
    for replicate in range(suite.replicates):
        with contextlib.suppress(Exception):
            return draw_replicate(cell.scenario, cell.n, suite.seed, replicate)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
