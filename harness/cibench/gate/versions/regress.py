"""Run one suite with several versions of a package and compare each with the one before."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cibench.gate import baseline, check
from cibench.gate.comparison import Comparison
from cibench.gate.pairing import read_rows
from cibench.gate.rules import Rules
from cibench.gate.versions.environments import Environment, Unavailable, build, installed_here
from cibench.gate.versions.interface import strangers, without_strangers
from cibench.gate.versions.requirements import Wanted
from cibench.results.api import load
from cibench.results.run_folder import Run
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput
from cibench.utils.files import make_folder, write_text
from cibench.utils.toml import to_toml

MARK = "regress.json"


@dataclass(frozen=True)
class Plan:
    """Say what is run with every version, where it goes and where environments are kept."""

    suite: Suite
    out: Path
    cache: Path
    rules: Rules
    replicates: int | None = None
    workers: int = 1
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Side:
    """Hold the run of one version; `unknown` are the estimators that cannot talk to it, and why."""

    environment: Environment
    run: Run
    unknown: dict[str, str]


@dataclass(frozen=True)
class Step:
    """Hold the comparison of a version with the one before, and the folder for its files."""

    before: Side
    after: Side
    found: Comparison
    catalogue: dict[str, object]
    folder: Path


def regress(
    wanted: Sequence[Wanted], plan: Plan
) -> tuple[list[Side], list[Step], list[Unavailable]]:
    """Build the environments, run the suite in each and compare neighbours.

    A version that cannot be installed or run is left out and told among the unavailable: its
    neighbours are then compared with one another. Raises BadInput where `plan.out` holds something
    else.
    """
    if plan.suite.precision and plan.replicates is None:
        raise BadInput(f"suite {plan.suite.name} states precision: say --replicates")
    _clear(plan.out)
    pins, sides, lacking = installed_here(), list[Side](), list[Unavailable]()
    for one in wanted:
        plan.tell(f"{one.asked}: environment")
        made = build(one, plan.cache, pins)
        if isinstance(made, Environment):
            pins = {**made.brought, **pins}
            plan.tell(f"{one.asked}: run")
            side = _run(one, made, plan)
        else:
            side = made
        if isinstance(side, Side):
            sides.append(side)
        else:
            lacking.append(side)
    steps = [_compared(a, b, plan) for a, b in pairwise(sides)]
    return sides, steps, lacking


def _clear(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise BadInput(f"{out} is not empty and no regress wrote it; name another with --out")
        shutil.rmtree(out)
    make_folder(out)
    write_text(out / MARK, "{}\n")


def _run(one: Wanted, made: Environment, plan: Plan) -> Side | Unavailable:
    """Run the suite with a version in a process of that environment's Python."""
    folder = plan.out / one.slug
    said = _call(made, plan, folder, plan.replicates or plan.suite.replicates)
    if not (folder / "manifest.json").is_file():
        return Unavailable(one.asked, f"the suite does not run with it: {said}")
    run = load(folder)
    expected, stored = (run.manifest[name] for name in ("expected_rows", "stored_rows"))
    if expected != stored:
        return Unavailable(one.asked, f"the suite did not come to its end with it: {said}")
    loaded = run.manifest["versions"].get(made.package, made.version)
    if loaded.lower() != made.version.lower():
        why = f"its environment loads {made.package} {loaded}: another path is in front of it"
        return Unavailable(one.asked, why)
    return Side(made, run, strangers(run, made.package))


def _call(made: Environment, plan: Plan, folder: Path, replicates: int) -> str:
    """Run the suite; return the last line of what was complained of."""
    source = plan.out / f"{folder.name}.toml"
    write_text(source, _text(plan.suite))
    command = [made.python, "-P", "-m", "cibench.gate.versions", str(source), str(folder)]
    command += [str(replicates), str(plan.workers)]
    # a checkout in the working directory would otherwise stand in front of the version asked for
    places = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        command, check=False, env=places, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    source.unlink()
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no word")


def _text(suite: Suite) -> str:
    left_out = ("precision", "published")
    return to_toml({key: value for key, value in suite.spec.items() if key not in left_out})


def _compared(before: Side, after: Side, plan: Plan) -> Step:
    """Compare two runs in pairs; what answers differently when asked twice is known as random."""
    names = [side.run.folder.name for side in (before, after)]
    folder = plan.out / "--".join(names)
    kept = baseline.save(before.run, names[0], plan.out / "baselines", replace=True)
    found = check.compare_run(after.run, kept, plan.rules)
    if moved := check.changed(found):
        random = _random(after, moved, plan)
        found = check.compare_run(after.run, kept, plan.rules, random=random) if random else found
    found = without_strangers(found, {**before.unknown, **after.unknown})
    return Step(before, after, found, kept.about["catalogue"], folder)


def _random(side: Side, moved: set[tuple[str, str]], plan: Plan) -> frozenset[tuple[str, str]]:
    """Fit a few replicates again with the same version; return who answers differently."""
    again = plan.out / f"{side.run.folder.name}-again"
    _call(side.environment, plan, again, min(check.TWICE, side.run.manifest["replicates"]))
    if not (again / "manifest.json").is_file():
        return frozenset()
    tables = [read_rows(folder) for folder in (side.run.folder, again)]
    found = check.restless(tables, moved)
    shutil.rmtree(again)
    return found
