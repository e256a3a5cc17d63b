"""The command `cibench regress`: one suite, several versions of a package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from cibench.gate.versions.environments import Unavailable
    from cibench.gate.versions.regress import Side, Step

NOT_COMPARABLE = 2


def regress(
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
    margin: Annotated[list[str] | None, typer.Option(help="MEASURE=NUMBER; repeatable.")] = None,
    alpha: Annotated[float, typer.Option(help="Chance of any false alarm in a pair.")] = 0.002,
    tolerance: Annotated[float, typer.Option(help="In standard errors; below is equal.")] = 1e-5,
) -> None:
    """Run a suite with several versions of a package, all else the same, and compare in pairs.

    Each version is installed in front of what is installed here, so that nothing but the package
    differs, and is compared with the one named before it. Exit codes as of `cibench check`; a
    version that cannot be installed or run, or whose interface an adapter does not know, ends in 2.
    """
    from cibench.gate.rules import Rules
    from cibench.gate.versions import regress as regressing
    from cibench.gate.versions.requirements import requested_versions
    from cibench.suite.parse import find_suite
    from cibench.utils.machine import workers_or_cores

    requests, opened = requested_versions(versions), find_suite(suite)
    if replicates is not None and replicates < 1:
        raise BadInput(f"--replicates: {replicates} is not a number of 1 or more")
    rules = Rules(alpha=alpha, tolerance=tolerance).with_margins(margin or [])
    folder = out or Path("results") / f"regress-{requests[0].package}"
    plan = regressing.Plan(
        opened, folder, cache, rules, replicates, workers_or_cores(workers),
        tell=lambda line: typer.echo(f"{line} ...", err=True),
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

    for side in sides:
        environment = side.environment
        if warning := outside(environment.package, environment.version):
            out.print(warning, markup=False)
        for name, why in side.unknown.items():
            out.print(
                f"{_name(side)}: the adapter {name} does not know its interface: {why}",
                markup=False,
            )
        if environment.brought:
            came = ", ".join(f"{name} {version}" for name, version in environment.brought.items())
            out.print(f"{_name(side)} also brings {came}", markup=False)
    for unavailable in lacking:
        out.print(f"{unavailable.requested}: not available: {unavailable.why}", markup=False)
    if lacking or len(sides) < 2:
        out.print(f"{len(sides)} of {len(sides) + len(lacking)} versions ran", markup=False)


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
