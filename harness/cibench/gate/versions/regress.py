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
from cibench.gate.versions.requirements import RequestedVersion
from cibench.results.api import load
from cibench.results.run_folder import Run
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput
from cibench.utils.files import make_folder, remove_folder, write_text
from cibench.utils.leftovers import clear
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
    comparison: Comparison
    catalogue: dict[str, object]
    folder: Path


def regress(
    requests: Sequence[RequestedVersion], plan: Plan
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
    for request in requests:
        plan.tell(f"{request.requested}: environment")
        environment = build(request, plan.cache, pins)
        if isinstance(environment, Environment):
            pins = {**environment.brought, **pins}
            plan.tell(f"{request.requested}: run")
            side = _run(request, environment, plan)
        else:
            side = environment
        if isinstance(side, Side):
            sides.append(side)
        else:
            lacking.append(side)
    steps = [_compared(a, b, plan) for a, b in pairwise(sides)]
    return sides, steps, lacking


def _clear(out: Path) -> None:
    clear(out)
    clear(out.parent, out.name)
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise BadInput(f"{out} is not empty and no regress wrote it; name another with --out")
        remove_folder(out)
    make_folder(out)
    write_text(out / MARK, "{}\n")


def _run(request: RequestedVersion, environment: Environment, plan: Plan) -> Side | Unavailable:
    """Run the suite with a version in a process of that environment's Python."""
    folder = plan.out / request.slug
    complaint = _call(environment, plan, folder, plan.replicates or plan.suite.replicates)
    if not (folder / "manifest.json").is_file():
        return Unavailable(request.requested, f"the suite does not run with it: {complaint}")
    run = load(folder)
    expected, stored = (run.manifest[name] for name in ("expected_rows", "stored_rows"))
    if expected != stored:
        return Unavailable(
            request.requested, f"the suite did not come to its end with it: {complaint}"
        )
    loaded = run.manifest["versions"].get(environment.package, environment.version)
    if loaded.lower() != environment.version.lower():
        why = (
            f"its environment loads {environment.package} {loaded}: another path is in front of it"
        )
        return Unavailable(request.requested, why)
    return Side(environment, run, strangers(run, environment.package))


def _call(environment: Environment, plan: Plan, folder: Path, replicates: int) -> str:
    """Run the suite; return the last line of what was complained of."""
    source = plan.out / f"{folder.name}.toml"
    write_text(source, _text(plan.suite))
    command = [environment.python, "-P", "-m", "cibench.gate.versions", str(source), str(folder)]
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
    comparison = check.compare_run(after.run, kept, plan.rules)
    if moved := check.changed(comparison):
        random = _random(after, moved, plan)
        comparison = (
            check.compare_run(after.run, kept, plan.rules, random=random) if random else comparison
        )
    comparison = without_strangers(comparison, {**before.unknown, **after.unknown})
    return Step(before, after, comparison, kept.about["catalogue"], folder)


def _random(side: Side, moved: set[tuple[str, str]], plan: Plan) -> frozenset[tuple[str, str]]:
    """Fit a few replicates again with the same version; return who answers differently."""
    again = plan.out / f"{side.run.folder.name}-again"
    _call(side.environment, plan, again, min(check.TWICE, side.run.manifest["replicates"]))
    if not (again / "manifest.json").is_file():
        return frozenset()
    tables = [read_rows(folder) for folder in (side.run.folder, again)]
    restless = check.restless(tables, moved)
    shutil.rmtree(again)
    return restless
