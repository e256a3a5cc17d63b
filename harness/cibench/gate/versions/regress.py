"""Run one suite with several versions of a package and compare each with the one before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cibench.execution.runner import preflight
from cibench.execution.settings import RunSettings
from cibench.external.environments import SUFFIX, write_environment
from cibench.gate import baseline, check
from cibench.gate.comparison import Comparison
from cibench.gate.pairing import read_rows
from cibench.gate.rules import Rules
from cibench.gate.versions.environments import (
    HERE,
    Environment,
    Surroundings,
    Unavailable,
    build,
    installed_here,
)
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
    checks: bool = True
    surroundings: Surroundings = HERE
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
    neighbours are then compared with one another. So is one under which an estimator breaks its
    contract, unless without `plan.checks`. Raises BadInput where a scenario does, with whatever is
    installed here, and where `plan.out` holds something else, before anything is removed or built.
    """
    if plan.suite.precision and plan.replicates is None:
        raise BadInput(f"suite {plan.suite.name} states precision: say --replicates")
    here = RunSettings(isolate=True, checks=plan.checks)
    preflight(plan.suite, here, kinds=("scenario",))  # of estimators each version is asked
    _clear(plan.out)
    pins, sides, lacking = installed_here(), list[Side](), list[Unavailable]()
    for request in requests:
        plan.tell(f"{request.requested}: environment")
        environment = build(request, plan.cache, pins, plan.surroundings)
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
    """Run the suite with the fits of a version in its environment's Python."""
    folder = plan.out / request.slug
    replicates = plan.replicates or plan.suite.replicates
    complaint, imported = _call(environment, plan, folder, replicates, checks=plan.checks)
    if not (folder / "manifest.json").is_file():
        return Unavailable(request.requested, f"the suite does not run with it: {complaint}")
    run = load(folder)
    expected, stored = (run.manifest[name] for name in ("expected_rows", "stored_rows"))
    if expected != stored:
        return Unavailable(
            request.requested, f"the suite did not come to its end with it: {complaint}"
        )
    if complaint:
        return Unavailable(request.requested, f"the suite ended badly with it: {complaint}")
    unknown = strangers(run)
    if imported is None and not unknown:  # else what is unknown says why
        why = (
            f"no fit of suite {plan.suite.name} imports {environment.package}: nothing is compared"
        )
        return Unavailable(request.requested, why)
    if imported and imported.lower() != environment.version.lower():
        why = (
            f"its environment loads {environment.package} {imported}: another path is in front of "
            "it"
        )
        return Unavailable(request.requested, why)
    return Side(environment, run, unknown)


def _call(
    environment: Environment, plan: Plan, folder: Path, replicates: int, *, checks: bool
) -> tuple[str, str | None]:
    """Run the suite; return the last line of complaints, and which version the fits imported."""
    source = plan.out / f"{folder.name}.toml"
    declaration = plan.out / f"{folder.name}{SUFFIX}"
    write_environment(declaration, environment.python, plan.suite.estimators, environment.package)
    write_text(source, _text(plan.suite, declaration))
    command = [sys.executable, "-P", "-m", "cibench.gate.versions", str(source), str(folder)]
    command += [str(replicates), str(plan.workers), environment.package]
    command += [] if checks else ["--no-checks"]
    done = subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
    source.unlink()
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return (lines or ["no word"])[-1], None
    return "", json.loads(done.stdout.splitlines()[-1])["imported"]


def _text(suite: Suite, environment: Path) -> str:
    left_out = ("precision", "published", "plugins")
    content = {key: value for key, value in suite.spec.items() if key not in left_out}
    return to_toml({"plugins": [*suite.plugins, str(environment.resolve())], **content})


def _compared(before: Side, after: Side, plan: Plan) -> Step:
    """Compare two runs in pairs; what answers differently when asked twice is known as random."""
    names = [side.run.folder.name for side in (before, after)]
    folder = plan.out / "--".join(names)
    kept = baseline.save(before.run, names[0], plan.out / "baselines", replace=True, silent=True)
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
    few = min(check.TWICE, side.run.manifest["replicates"])
    _call(side.environment, plan, again, few, checks=False)  # its run has passed them, or skipped
    if not (again / "manifest.json").is_file():
        return frozenset()
    tables = [read_rows(folder) for folder in (side.run.folder, again)]
    restless = check.restless(tables, moved)
    shutil.rmtree(again)
    return restless
