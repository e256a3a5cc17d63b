"""Run a suite and nothing else: `python -m cibench.gate.versions SUITE FOLDER REPLICATES WORKERS`.

This is what `cibench regress` calls with the Python of each environment.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from cibench.execution.settings import EVERY_FIT
from cibench.results.api import run
from cibench.suite.parse import read_suite
from cibench.utils.errors import BadInput


def main(suite: str, folder: str, replicates: str, workers: str) -> None:
    """Run the suite into the folder; bad input ends it with a line for each and code 2."""
    try:
        settings = replace(EVERY_FIT, workers=int(workers), isolate=True)
        run(read_suite(Path(suite)).with_replicates(int(replicates)), folder, settings=settings)
    except BadInput as error:
        sys.stderr.writelines(f"cibench: {line}\n" for line in error.args)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
