"""What it costs to ask an estimator in another process: R and another Python, beside Python here.

Each line has the mean and the tenth percentile, which other work on the machine hardly reaches, of
many fits of one method to the same data set of `--rows` rows: the mean outcome's difference between
arms, which takes next to nothing, so that what is left is the way there and back; and least squares
by R's `lm`, asked and as `Rscript` started for each fit.

Run it with `python benchmarks/languages.py [--rows 500] [--fits 1000]`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from cibench import Draw, Estimand, Problem, Roles, Target, find_estimator
from cibench.external.methods import register_methods
from cibench.model.streams import stream

R = """source(file.path(Sys.getenv("CIBENCH_HELPERS"), "cibench.R"))
free <- function(problem, options) {
  d <- problem$treatment == 1
  estimate(mean(problem$outcome[d]) - mean(problem$outcome[!d]), 1, -9, 9)
}
least_squares <- function(problem, options) {
  table <- summary(lm(y ~ d, problem$data))$coefficients
  wald(table[2, 1], table[2, 2], problem$level, nrow(problem$data) - 2)
}
serve(list("r/free" = free, "r/lm" = least_squares))
"""
PYTHON = """from cibench import Estimate, estimator, serve
@estimator("python/free")
def free(problem, rng):
    y, d = problem.outcome, problem.treatment == 1
    return Estimate(float(y[d].mean() - y[~d].mean()), 1.0, -9.0, 9.0)
serve()
"""
ALONE = "data <- read.csv('data.csv'); print(summary(lm(y ~ d, data))$coefficients)"


def main() -> None:
    """Print milliseconds a fit, and each beside the same method fitted here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--fits", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        problem = _problem(chosen.rows, Path(place))
        here = _here(problem, chosen.fits)
        print(f"{'method':34} {'ms a fit':>9} {'tenth percentile':>17} {'beyond one here':>16}")
        _print("difference of means, here", here, here)
        for label, name in _declared(Path(place)).items():
            ms = _timed(
                lambda name=name: find_estimator(name).fit(problem, stream(name)), chosen.fits
            )
            _print(label, ms, here)
        if shutil.which("Rscript"):
            ms = _timed(lambda: _alone(Path(place)), 10)
            _print("lm, Rscript started for each fit", ms, here)


def _print(label: str, ms: tuple[float, float], here: tuple[float, float]) -> None:
    """Print a line: mean, tenth percentile, and that beyond the same of a fit here."""
    print(f"{label:34} {ms[0]:9.3f} {ms[1]:17.3f} {ms[1] - here[1]:16.3f}")


def _problem(rows: int, place: Path) -> Problem:
    rng = stream("benchmark")
    d = (np.arange(rows) % 2).astype(float)
    y = rng.normal(size=rows) + d
    np.savetxt(place / "data.csv", np.column_stack([y, d]), "%.17g", ",", header="y,d", comments="")
    draw = Draw({"y": y, "d": d}, y - d, np.ones(rows))
    return Problem.of(draw, Roles(), (Target(Estimand.ATE),))


def _here(problem: Problem, fits: int) -> tuple[float, float]:
    def fit() -> float:
        y, d = problem.outcome, problem.treatment == 1
        return float(y[d].mean() - y[~d].mean())

    return _timed(fit, fits)


def _declared(place: Path) -> dict[str, str]:
    """Declare the methods that this machine has a language for; return their names by label."""
    methods = {"difference of means, other Python": ("python/free", [sys.executable, "m.py"])}
    if shutil.which("Rscript"):
        methods["difference of means, R"] = ("r/free", ["Rscript", "m.R"])
        methods["lm, R"] = ("r/lm", ["Rscript", "m.R"])
    (place / "m.py").write_text(PYTHON, encoding="utf-8")
    (place / "m.R").write_text(R, encoding="utf-8")
    tables = [
        f'[estimators."{name}"]\ncommand = {command!r}\ntargets = ["ATE"]\n'
        for name, command in methods.values()
    ]
    (place / "methods.toml").write_text("\n".join(tables), encoding="utf-8")
    register_methods(place / "methods.toml")
    return {label: name for label, (name, _) in methods.items()}


def _alone(place: Path) -> None:
    subprocess.run(["Rscript", "-e", ALONE], cwd=place, check=True, capture_output=True)


def _timed(fit: Callable[[], object], fits: int) -> tuple[float, float]:
    """Return mean and tenth percentile of a fit's milliseconds, after some that are not counted."""
    for _ in range(min(20, fits)):
        fit()
    seconds = []
    for _ in range(fits):
        started = perf_counter()
        fit()
        seconds.append(perf_counter() - started)
    return 1e3 * float(np.mean(seconds)), 1e3 * float(np.quantile(seconds, 0.1))


if __name__ == "__main__":
    main()
