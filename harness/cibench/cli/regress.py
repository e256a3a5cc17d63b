"""The command `cibench regress`: one suite, several versions of a package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cibench.cli.run import NoChecks
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from cibench.gate.versions.environments import Unavailable
    from cibench.gate.versions.regress import Side, Step

NOT_COMPARABLE = 2


def regress(  # noqa: PLR0913, PLR0917 - the options of a command line
    versions: Annotated[
        list[str], typer.Argument(metavar="VERSION...", help="rdrobust==2.0.0, rdrobust, a folder.")
    ],
    suite: Annotated[str, typer.Option(help="A suite file or a built-in suite.")] = "quick",
    out: Annotated[Path | None, typer.Option(help="Folder [results/regress-<package>].")] = None,
    cache: Annotated[Path, typer.Option(help="The folder that keeps environments.")] = Path(
        ".cibench/versions"
    ),
    replicates: Annotated[int | None, typer.Option(help="Other than the suite's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [one per core].")] = None,
    margin: Annotated[
        list[str] | None, typer.Option(help="MEASURE=NUMBER, as of check; repeatable.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Chance of any false alarm in a pair.")] = 0.002,
    tolerance: Annotated[float, typer.Option(help="In standard errors; below is equal.")] = 1e-6,
    python: Annotated[str | None, typer.Option(help="An interpreter, or 3.8: from 3.6 on.")] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--with", help="PACKAGE to install with each; repeatable.")
    ] = None,
    constraint: Annotated[Path | None, typer.Option(help="pip's file of constraints.")] = None,
    no_deps: Annotated[
        bool, typer.Option("--no-deps", help="Install the package without what it needs.")
    ] = False,
    no_checks: NoChecks = False,
) -> None:
    """Run a suite with several versions of a package, all else the same, and compare in pairs.

    Data are drawn here, and fits are made in an environment of each version, which need not hold
    cibench. A version is installed in front of what is installed here, so that nothing but the
    package differs; with --python, --with or --constraint it has an environment of its own. Each is
    compared with the one named before it. Exit codes as of `cibench check`; a version that cannot
    be installed, that no fit imports or with which no fit comes to an answer, ends in 2.
    """
    from cibench.gate.rules import Rules
    from cibench.gate.versions import regress as regressing
    from cibench.gate.versions.environments import Surroundings, find_python
    from cibench.gate.versions.requirements import requested_versions
    from cibench.model.method import installed_elsewhere
    from cibench.suite.parse import find_suite
    from cibench.utils.machine import workers_or_cores

    requests = requested_versions(versions)
    with installed_elsewhere():
        opened = find_suite(suite)
    if replicates is not None and replicates < 1:
        raise BadInput(f"--replicates: {replicates} is not a number of 1 or more")
    rules = Rules(alpha=alpha, tolerance=tolerance).with_margins(margin or [])
    folder = out or Path("results") / f"regress-{requests[0].package}"
    if constraint is not None and not constraint.is_file():
        raise BadInput(f"--constraint: no file {constraint}")
    surroundings = Surroundings(
        find_python(python) if python else "", tuple(beside or ()), constraint, not no_deps
    )
    plan = regressing.Plan(
        opened, folder, cache, rules, replicates, workers_or_cores(workers), not no_checks,
        surroundings, tell=lambda line: typer.echo(f"{line} ...", err=True),
    )  # fmt: skip
    sides, steps, lacking = regressing.regress(requests, plan)
    raise typer.Exit(_close(sides, steps, lacking))


def _close(sides: list[Side], steps: list[Step], lacking: list[Unavailable]) -> int:
    """Print and write every comparison, then the table of verdicts; return the exit code."""
    from cibench.gate.output.cell_views import tell
    from cibench.gate.output.files import write_files
    from cibench.gate.output.terminal import show
    from cibench.render.terminal import console

    out = console()
    for step in steps:
        views = tell(step.comparison, step.catalogue)
        write_files(step.folder, step.comparison, views)
        out.rule(f"{_name(step.before)} → {_name(step.after)}", align="left")
        show(out, step.comparison, views)
    out.rule("in short", align="left")
    _show_versions(out, sides, lacking)
    _show_verdicts(out, steps)
    codes = [step.comparison.exit_code for step in steps]
    if lacking or not steps or any(side.unknown for side in sides):
        return NOT_COMPARABLE
    return max(codes)


def _name(side: Side) -> str:
    environment = side.environment
    return f"{environment.package} {environment.version}" + (
        f" ({environment.requested})" if _is_folder(environment.requested) else ""
    )


def _is_folder(text: str) -> bool:
    return Path(text).is_dir()


def _show_versions(out: Console, sides: list[Side], lacking: list[Unavailable]) -> None:
    from cibench.gate.versions.requirements import outside

    before: Mapping[str, str] = {}
    for side in sides:
        environment = side.environment
        if warning := outside(environment.package, environment.version):
            out.print(warning, markup=False)
        for name, why in side.unknown.items():
            out.print(f"{_name(side)}: {name}: {why}", markup=False)
        if came := _came(before, environment.brought):
            out.print(f"{_name(side)} also brings {came}", markup=False)
        before = environment.brought
    for unavailable in lacking:
        out.print(f"{unavailable.requested}: not available: {unavailable.why}", markup=False)
    if lacking or len(sides) < 2:
        out.print(f"{len(sides)} of {len(sides) + len(lacking)} versions ran", markup=False)


def _came(before: Mapping[str, str], brought: Mapping[str, str]) -> str:
    """Return what came with a version, of which that with the one before brought nothing."""
    new = [f"{name} {version}" for name, version in brought.items() if before.get(name) != version]
    new += [f"no {name}" for name in before if name not in brought]
    same = len(set(brought.items()) & set(before.items()))
    return ", ".join([*([f"the same {same} packages"] if same else []), *new])


def _show_verdicts(out: Console, steps: list[Step]) -> None:
    from cibench.gate.output.cell_views import headline
    from cibench.render.terminal import table

    rows: list[dict[str, Any]] = [
        {
            "before": _name(step.before), "after": _name(step.after),
            "verdict": str(step.comparison.verdict), "in all": headline(step.comparison),
            "files": str(step.folder),
        }
        for step in steps
    ]  # fmt: skip
    if rows:
        out.print(table(rows))
