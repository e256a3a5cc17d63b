"""The command `cibench check`."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cibench.cli.baseline import HERE, Root
from cibench.cli.foreign_code import announce_plugins
from cibench.cli.run import NoChecks, run_settings
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.gate.baseline import Baseline
    from cibench.gate.comparison import Comparison
    from cibench.gate.rules import Rules
    from cibench.suite.suite import Suite

ENVIRONMENTS = Path(".cibench/environments")
"""Where it is noted which Python fits what, for the workers and for replays."""


MARGINS = (
    "MEASURE=NUMBER; repeatable. Measures: estimate, bias, lower_limit, upper_limit (in empirical "
    "SE), std_error, se_ratio, length, band_length (relative), coverage, lower_noncoverage, "
    "upper_noncoverage, rejection, unbounded, without_estimate, without_se, without_limits, moved, "
    "repeated, failure_rate, declined, lost (shares), se_cv, and fit (how far one fit may move, in "
    "its own SE)."
)
FAIL_ON = (
    "Verdicts that fail, commas between them [worse,statistically-changed,moved]; better, "
    "numerically-changed and identical are the others. With --expect those that fail beside "
    "surprises: conservative (standard errors too large), inconclusive."
)


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
    margin: Annotated[list[str] | None, typer.Option(help=MARGINS)] = None,
    alpha: Annotated[float, typer.Option(help="Chance of any false alarm.")] = 0.002,
    tolerance: Annotated[float, typer.Option(help="In standard errors; below is equal.")] = 1e-6,
    fail_on: Annotated[str | None, typer.Option(help=FAIL_ON)] = None,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Compare other data.")] = False,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Bundle the fits that changed most, to bisect with.")
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(
            help="The Python that fits, or 3.8: from 3.6 on; it need not hold cibench.",
        ),
    ] = None,
    no_checks: NoChecks = False,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Fit again, though nothing has changed.")
    ] = False,
    root: Root = HERE,
) -> None:
    """Run a suite again at a baseline's addresses, or take a run, and compare it in pairs.

    With --expect what suite, scenarios and estimators declare is judged, without a baseline. Exit
    code 0: identical, numerically changed or better, or all as expected; 1: worse, statistically
    changed or moved, or a surprise; 2: not comparable, or bad input.
    """
    if expect == (against is not None):
        raise BadInput("name a baseline with --against, or judge expectations with --expect")
    if bundle and (expect or unpaired):
        raise BadInput("--bundle: single fits change only against a baseline, in pairs")
    how = _How(workers, replicates, not no_checks, python, not no_reuse)
    wanted = [v.strip().replace("-", " ") for v in (fail_on or "").split(",") if v.strip()]
    if against is None:
        raise typer.Exit(_expected(what, out, how, power, wanted))
    from cibench.gate import baseline
    from cibench.gate.rules import Rules

    rules = Rules(alpha=alpha, tolerance=tolerance).with_margins(margin or [])
    rules = rules.failing_on(wanted) if fail_on is not None else rules
    reference = baseline.load(against, root)
    folder = out or Path("results") / f"check-{reference.name.replace('/', '--')}"
    compared = _compared(what, reference, rules, folder, how, paired=not unpaired)
    raise typer.Exit(_close(compared, reference, folder, bundle=bundle))


class _How(NamedTuple):
    """Say how a suite is run."""

    workers: int | None
    replicates: int | None
    checks: bool
    python: str | None = None
    reuse: bool = True

    def suite(self, what: str) -> Suite:
        """Return the suite that is meant, whose estimators another Python fits if one is named."""
        from cibench.external.environments import SUFFIX, register_environment, write_environment
        from cibench.gate.versions.environments import find_python
        from cibench.model.method import installed_elsewhere
        from cibench.suite.parse import find_suite
        from cibench.utils.files import make_folder

        if self.python is None:
            return find_suite(what)
        interpreter = find_python(self.python)
        with installed_elsewhere():
            suite = find_suite(what)
        make_folder(ENVIRONMENTS)
        own = blake2b(interpreter.encode(), digest_size=4).hexdigest()
        path = (ENVIRONMENTS / f"{suite.name}-{own}{SUFFIX}").resolve()
        write_environment(path, interpreter, suite.estimators)
        register_environment(path)
        if lacking := next(filter(None, map(_lacks, suite.estimators)), None):
            raise BadInput(f"--python: {interpreter}: {lacking}")
        return suite.with_plugin(str(path))

    def run_folder(self, what: str) -> Path | None:
        """Return the folder of a run, None where a suite is meant."""
        folder = Path(what) if (Path(what) / "manifest.json").is_file() else None
        if folder and self.replicates:
            raise BadInput("--replicates: a run has the replicates that it has; give a suite")
        if folder and self.python:
            raise BadInput("--python: a run has the fits that it has; give a suite")
        if folder and not self.checks:
            raise BadInput("--no-checks: a run was held to contracts as it was made; give a suite")
        return folder


def _lacks(name: str) -> str:
    """Say which packages an estimator lacks where it is fitted, "" where it lacks none."""
    from cibench.model.method import find_estimator

    elsewhere = find_estimator(name).elsewhere
    lacking = elsewhere.lacking() if elsewhere else []
    return f"{name} lacks {', '.join(lacking)}" if lacking else ""


def _expected(what: str, out: Path | None, how: _How, power: float, wanted: list[str]) -> int:
    """Judge expectations, print them and write their files; return the exit code."""
    from cibench.gate import expectations
    from cibench.gate.output.expectations import print_expectations, write_expectations
    from cibench.render.terminal import console
    from cibench.results.api import load

    failing = expectations.failing_on(wanted)
    folder = how.run_folder(what)
    suite = None if folder else how.suite(what)
    name = suite.name if suite else Path(what).name
    out = out or Path("results") / f"check-{name}"
    if suite is None:
        judged = expectations.expectations_of(load(what), failing)
    else:
        with run_settings(how.workers, checks=how.checks) as settings:
            judged = expectations.check_expectations(
                suite, out, settings, failing=failing, replicates=how.replicates, power=power
            )
        judged.run.write_scores()
        judged.run.write_report()
    write_expectations(out, judged)
    print_expectations(console(), judged)
    return judged.exit_code


def _compared(
    what: str, reference: Baseline, rules: Rules, folder: Path, how: _How, *, paired: bool
) -> Comparison:
    from cibench.gate.check import check_run, check_suite
    from cibench.results.api import load

    run_folder = how.run_folder(what)
    if run_folder is not None:  # to see whether what changed is deterministic
        announce_plugins(run_folder, "may execute")
    suite = None if run_folder else how.suite(what)
    if run_folder and folder.resolve() in (run_folder.resolve(), *run_folder.resolve().parents):
        raise BadInput(f"--out: {folder} holds the run that is to be checked")
    with run_settings(how.workers, checks=how.checks) as settings:
        if suite is None:
            assert run_folder is not None
            return check_run(load(run_folder), reference, rules, settings, paired=paired)
        return check_suite(
            suite, reference, rules, folder, settings, replicates=how.replicates, paired=paired,
            reuse=how.reuse,
        )  # fmt: skip


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
