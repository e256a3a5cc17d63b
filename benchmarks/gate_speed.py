"""What a gate costs beside its fits, and what one costs in which nothing has changed.

`python benchmarks/gate_speed.py [rounds]` checks six estimators with 200 replicates each, one
worker, against a baseline of the same code: with all fits made again, and with the answers of the
check before it used again. Each is a process of its own, of which the best round counts. Seconds
of a processor are beside those of the clock, which other processes share; what the fits took is
what their rows say. The last lines are what importing takes of it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = """
name = "speed"
seed = 3
replicates = 200
[[cells]]
scenario = "rd/cct-1"
n = 500
estimators = ["rdrobust/robust", "rd/local-linear"]
[[cells]]
scenario = "did/two-group"
n = 40
estimators = ["naive/difference-in-means", "did/collapsed"]
[[cells]]
scenario = "did/state-panel"
n = 10
estimators = ["panel/twfe-few-clusters", "panel/twfe"]
"""
CHECK = ("check", "suite.toml", "--against", "main", "--workers", "1")
IMPORTS = {
    "import pandas, pyarrow.compute": "import pandas, pyarrow.compute",
    "import scipy.special, scipy.optimize": "import scipy.special, scipy.optimize",
    "what a check imports": "import cibench.cli.check, cibench.gate.check, pandas; "
    "from cibench.model import registry; registry.load_built_in()",
}


def spent(folder: Path, *words: str) -> tuple[float, float, str]:
    """Return the clock's and the processor's seconds of a process, and what it printed."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return clock, processor, done.stdout


def fitted(run: Path) -> float:
    """Return the seconds that a run's fits have taken."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    return float(pc.sum(pq.read_table(run / "replicates")["seconds"]).as_py())


def main(rounds: int = 3) -> None:
    """Print the best round of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "suite.toml").write_text(SUITE, encoding="utf-8")
        spent(folder, "-m", "cibench", "run", "suite.toml", "--out", "run", "--workers", "1")
        spent(folder, "-m", "cibench", "baseline", "save", "run", "main")
        for what, more in (("fitted", ["--no-reuse"]), ("reused", [])):
            if not more:
                spent(folder, "-m", "cibench", *CHECK)  # which notes what its answers rest on
            best = [float("inf")] * 3
            for _ in range(rounds):
                clock, processor, printed = spent(folder, "-m", "cibench", *CHECK, *more)
                if (what == "reused") != ("reused: answers" in printed):
                    raise SystemExit(f"not {what}:\n{printed}")
                fits = fitted(folder / "results/check-main/run") if more else 0.0
                best = list(map(min, best, (clock, processor, clock - fits)))
            beside = f", {best[2]:.2f} s beside the fits" if more else ""
            print(f"{what}: {best[0]:.2f} s, {best[1]:.2f} s of a processor{beside}", flush=True)
        for what, code in IMPORTS.items():
            times = [spent(folder, "-c", code)[:2] for _ in range(rounds)]
            clock, processor = map(min, zip(*times, strict=True))
            print(f"{what}: {clock:.2f} s, {processor:.2f} s of a processor")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
