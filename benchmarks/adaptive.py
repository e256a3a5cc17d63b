"""What adaptive precision saves on the built-in `rd` suite, from a pilot's moments.

Running every cell to its target takes hours, so that two things are printed and kept apart:

1. computed, from a pilot of the suite (`--pilot` replicates a cell, kept in `--folder` and gone on
   with): each cell's count, by the arithmetic of `cibench.metrics.sample_size` at the pilot's
   moments, and the fits of all cells over those of one fixed count for all that meets the worst.
   Estimators without targets (diagnostics) and `doubleml`, of which a fit takes a second, are left
   out. The largest of several noisy p (1 - p) is too high, and the counts with it. `--cells` takes
   the first so many; 2. run: a sequential run of one design at looser targets with a first look
   that comes as much sooner, and whether each target was met.

With `--whole` all cells are run instead, to still looser targets and in two stages.

Run it with `python benchmarks/adaptive.py --folder SCRATCH [--whole]`.
"""

from __future__ import annotations

import argparse
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cibench import Suite
from cibench.execution import RunSettings, Tuning, execute
from cibench.execution.adaptive import Decision, Line, decide, lines_of
from cibench.storage.manifest import read_manifest
from cibench.suite.parse import built_in_suites, find_suite, parse_suite
from cibench.suite.precision import FIRST_LOOK, MOST, Precision, first

TARGETS = {"coverage": 0.005, "bias": 0.1}
LEFT_OUT = (
    "doubleml/", "rddensity/", "rd/covariate-balance", "rd/placebo-cutoffs",
    "rd/donut-comparison",
)  # fmt: skip
REAL = 4
"""How much looser the targets of the real run are; its first look comes REAL^2 times sooner."""

WHOLE = 8
"""How much looser they are where all cells are run: minutes on two cores instead of hours."""


def spec() -> dict[str, Any]:
    """Return the content of the built-in suite without what is left out."""
    found = tomllib.loads(built_in_suites()["rd"].read_text(encoding="utf-8"))
    cells = []
    for cell in found["cells"]:
        kept = [name for name in cell["estimators"] if not name.startswith(LEFT_OUT)]
        plain = {key: value for key, value in cell.items() if key != "expect"}
        cells += [{**plain, "estimators": kept}] if kept else []
    return {**found, "cells": cells}


def pilot(replicates: int, folder: Path, cells: int | None) -> tuple[Suite, list[list[Line]]]:
    """Run the pilot, or what is missing of it, and return what each cell's targets take."""
    suite = parse_suite({**spec(), "replicates": replicates})
    suite = replace(suite, cells=suite.cells[:cells])
    execute(suite, folder)
    every = dict.fromkeys(range(len(suite.cells)), ())
    return suite, list(lines_of(folder, suite, every, TARGETS).values())


def counts(lines: list[list[Line]], precision: Precision) -> list[int]:
    """Return where a sequential run ends each cell if the moments are those of the lines."""
    found = []
    for cell in lines:
        made = Decision(first(precision))
        while not made.stopped:
            made = decide(cell, made.length, precision)
        found.append(made.length)
    return found


def compare(suite: Suite, found: list[int]) -> float:
    """Return the fits of these counts over those of the largest for every cell."""
    fits = [len(cell.entrants) for cell in suite.cells]
    adaptive_fits = sum(n * k for n, k in zip(found, fits, strict=True))
    return adaptive_fits / (max(found) * sum(fits))


def alone(lines: list[list[Line]]) -> float:
    """Return the fits over those of one fixed count if estimators did not end together."""
    takes: list[float] = []
    for cell in lines:
        own: dict[str, float] = {}
        for line in cell:
            if line.need.replicates < 1e9:
                own[line.estimator] = max(own.get(line.estimator, 0), line.need.replicates)
        takes += [max(first(Precision({})), count) for count in own.values()]
    return sum(takes) / len(takes) / max(takes)


def real_run(folder: Path) -> Mapping[str, Any]:
    """Run the first design with its dials to targets that are REAL times looser."""
    content = spec()
    cell = {**content["cells"][0], "scenario": "rd/cct-1"}
    cell["estimators"] = ["rd/global-polynomial-1", "rd/global-polynomial-3", "rd/local-linear"]
    looser = {name: REAL * target for name, target in TARGETS.items()}
    suite = parse_suite(
        {"name": "loose", "seed": 1, "precision": looser, "cells": [cell], "max_replicates": 5000}
    )
    execute(suite, folder, RunSettings(tuning=Tuning(first_look=FIRST_LOOK // REAL**2)))
    return read_manifest(folder)


def whole_run(folder: Path, replicates: int) -> Mapping[str, Any]:
    """Run all cells to targets that are WHOLE times looser, in two stages, in two processes."""
    looser = {name: WHOLE * target for name, target in TARGETS.items()}
    content = {k: v for k, v in spec().items() if k not in ("replicates", "refits")}
    suite = parse_suite({**content, "precision": looser, "pilot": replicates})
    execute(suite, folder, RunSettings(workers=2))
    return read_manifest(folder)


def told(folder: Path, replicates: int) -> None:
    """Print what the run of all cells took, and where a target was missed."""
    manifest = whole_run(folder, replicates)
    suite = find_suite(str(folder))
    counts = [cell["replicates"] for cell in manifest["cells"]]
    print(f"run: all {len(counts)} cells, targets {manifest['precision']['targets']}, two stages")
    for cell, line in zip(suite.cells, manifest["cells"], strict=True):
        print(f"  {cell!s:56} {line['replicates']:6,}  {line['stopped']}")
    print(f"  fits over one fixed count of {max(counts):,}: {compare(suite, counts):.1%}, "
          f"with the pilot's {compare(suite, [n + replicates for n in counts]):.1%}")  # fmt: skip


def main() -> None:
    """Print counts and ratios."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pilot", type=int, default=40)
    asked.add_argument("--cells", type=int)
    asked.add_argument("--folder", type=Path)
    asked.add_argument("--whole", action="store_true", help="run all cells, to looser targets")
    given = asked.parse_args()
    if given.whole:
        told(given.folder, given.pilot)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch) / "pilot"
        suite, lines = pilot(given.pilot, folder, given.cells)
        found = counts(lines, Precision(TARGETS))
        print(f"computed from a pilot of {given.pilot} in {len(found)} cells; targets {TARGETS}")
        for cell, count, takes in zip(suite.cells, found, lines, strict=True):
            known = [line for line in takes if line.need.replicates < MOST]
            print(f"  {cell!s:56} {count:7,}  {max(known, key=lambda x: x.need.replicates)}")
        ratio = compare(suite, found)
        print(f"  fits over one fixed count of {max(found):,}: {ratio:.1%} (bound 60 %)")
        print(f"  if each estimator could end by itself: {alone(lines):.1%}")
        manifest = real_run(Path(scratch) / "real")
        print(f"run: rd/cct-1, targets {manifest['precision']['targets']}")
        for cell in manifest["cells"]:
            print(f"  {cell['dials']:40} {cell['replicates']:6,}  {cell['stopped']}")
        real = [cell["replicates"] for cell in manifest["cells"]]
        print(f"  over one fixed count of {max(real):,}: {sum(real) / len(real) / max(real):.1%}")


if __name__ == "__main__":
    main()
