"""The command `cibench check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cibench.cli.baseline import HERE, Root
from cibench.cli.run import run_settings
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.gate.baseline import Baseline
    from cibench.gate.comparison import Comparison
    from cibench.gate.rules import Rules


def check(  # noqa: PLR0913, PLR0917 - the options of a command line
    what: Annotated[str, typer.Argument(metavar="SUITE|RUN", help="A suite, or a run folder.")],
    against: Annotated[str | None, typer.Option(help="The baseline's name or folder.")] = None,
    expect: Annotated[
        bool, typer.Option("--expect", help="Judge declared expectations, without a baseline.")
    ] = False,
    power: Annotated[float, typer.Option(help="Chance that --expect settles everything.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder [results/check-<name>].")] = None,
    replicates: Annotated[int | None, typer.Option(help="Fewer than the baseline has.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [one per core].")] = None,
    margin: Annotated[list[str] | None, typer.Option(help="MEASURE=NUMBER; repeatable.")] = None,
    alpha: Annotated[float, typer.Option(help="Chance of any false alarm.")] = 0.002,
    tolerance: Annotated[float, typer.Option(help="In standard errors; below is equal.")] = 1e-5,
    fail_on: Annotated[
        str | None, typer.Option(help="Verdicts that fail, with --expect beside surprises.")
    ] = None,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Compare other data.")] = False,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Bundle the fits that changed most, to bisect with.")
    ] = False,
    root: Root = HERE,
) -> None:
    """Run a suite again at a baseline's addresses, or take a run, and compare it in pairs.

    With --expect what suite, scenarios and estimators declare is judged, without a baseline. Exit
    code 0: identical, numerically changed or better, or all as expected; 1: worse or statistically
    changed, or a surprise; 2: not comparable, or bad input.
    """
    if expect == (against is not None):
        raise BadInput("name a baseline with --against, or judge expectations with --expect")
    if bundle and (expect or unpaired):
        raise BadInput("--bundle: single fits change only against a baseline, in pairs")
    wanted = [v.strip().replace("-", " ") for v in (fail_on or "").split(",") if v.strip()]
    if against is None:
        raise typer.Exit(_expected(what, out, workers, replicates, power, wanted))
    from cibench.gate import baseline
    from cibench.gate.rules import Rules

    rules = Rules(alpha=alpha, tolerance=tolerance).with_margins(margin or [])
    rules = rules.failing_on(wanted) if fail_on is not None else rules
    reference = baseline.load(against, root)
    folder = out or Path("results") / f"check-{reference.name.replace('/', '--')}"
    compared = _compared(what, reference, rules, folder, workers, replicates, not unpaired)
    raise typer.Exit(_close(compared, reference, folder, bundle=bundle))


def _expected(
    what: str, out: Path | None, workers: int | None, replicates: int | None, power: float,
    wanted: list[str],
) -> int:  # fmt: skip
    """Judge expectations, print them and write their files; return the exit code."""
    from cibench.gate import expectations
    from cibench.gate.output.expectations import print_expectations, write_expectations
    from cibench.render.terminal import console
    from cibench.results.api import load
    from cibench.suite.parse import find_suite

    failing = expectations.failing_on(wanted)
    folder = _run_folder(what, replicates)
    suite = None if folder else find_suite(what)
    name = suite.name if suite else Path(what).name
    out = out or Path("results") / f"check-{name}"
    if suite is None:
        judged = expectations.expectations_of(load(what), failing)
    else:
        with run_settings(workers) as settings:
            judged = expectations.check_expectations(
                suite, out, settings, failing=failing, replicates=replicates, power=power
            )
        judged.run.write_scores()
        judged.run.write_report()
    write_expectations(out, judged)
    print_expectations(console(), judged)
    return judged.exit_code


def _run_folder(what: str, replicates: int | None) -> Path | None:
    """Return the folder of a run, None where a suite is meant."""
    folder = Path(what) if (Path(what) / "manifest.json").is_file() else None
    if folder and replicates:
        raise BadInput("--replicates: a run has the replicates that it has; give a suite")
    return folder


def _compared(
    what: str, reference: Baseline, rules: Rules, folder: Path, workers: int | None,
    replicates: int | None, paired: bool,
) -> Comparison:  # fmt: skip
    from cibench.gate.check import check_run, check_suite
    from cibench.results.api import load
    from cibench.suite.parse import find_suite

    run_folder = _run_folder(what, replicates)
    suite = None if run_folder else find_suite(what)
    if run_folder and folder.resolve() in (run_folder.resolve(), *run_folder.resolve().parents):
        raise BadInput(f"--out: {folder} holds the run that is to be checked")
    with run_settings(workers) as settings:
        if suite is None:
            assert run_folder is not None
            return check_run(load(run_folder), reference, rules, settings, paired=paired)
        return check_suite(
            suite, reference, rules, folder, settings, replicates=replicates, paired=paired
        )


def _close(compared: Comparison, reference: Baseline, folder: Path, *, bundle: bool) -> int:
    """Print the comparison and write its files; return the exit code."""
    from cibench.gate.check import RUN, clear
    from cibench.gate.output.cell_views import tell
    from cibench.gate.output.files import PAGE, write_files
    from cibench.gate.output.terminal import show as show_comparison
    from cibench.render.terminal import console

    if not (folder / RUN).is_dir():
        clear(folder)  # of what an earlier check left
    catalogue: dict[str, Any] = reference.about["catalogue"]
    views = tell(compared, catalogue)
    write_files(folder, compared, views)
    show_comparison(console(), compared, views)
    if bundle:
        from cibench.gate.output.bisect_bundles import hand_over, lines

        for line in lines(hand_over(compared, views, folder / "bundles")):
            typer.echo(line)
    typer.echo(f"page: {(folder / PAGE).resolve()}")
    return compared.exit_code
