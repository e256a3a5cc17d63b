"""The command line: `cibench run`, `list`, `show`, `score`, `report`, `new`, `doctor`."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cibench.errors import BadInput

if TYPE_CHECKING:
    from cibench.runs import Run

app = typer.Typer(
    help="Benchmark causal estimators on data whose true effect is known.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

UNSCORED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Shelf(StrEnum):
    """Name what can be listed."""

    SCENARIOS = "scenarios"
    ESTIMATORS = "estimators"
    SUITES = "suites"


class Template(StrEnum):
    """Name what a new file can be of."""

    SCENARIO = "scenario"
    ESTIMATOR = "estimator"


RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


@app.command("list")
def list_(
    shelf: Annotated[Shelf | None, typer.Argument(help="What to list; all if omitted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List scenarios, estimators and suites."""
    from cibench.listing import listing, print_listing

    found = listing(shelf)
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print_listing(found)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A scenario, an estimator or a suite.")],
) -> None:
    """Show equations, estimand, dials with units and assumptions, reference."""
    from cibench.listing import print_one

    print_one(name)


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite file or a built-in suite.")] = "quickstart",
    out: Annotated[Path | None, typer.Option(help="Run folder [results/<name>].")] = None,
    replicates: Annotated[int | None, typer.Option(help="Replicates per cell.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [one per core].")] = None,
) -> None:
    """Run a suite, score it and write its report."""
    from cibench.runner import execute
    from cibench.runs import Run
    from cibench.screen import progress_bar
    from cibench.suite import Suite

    found = Suite.find(suite)
    found = found if replicates is None else found.with_replicates(replicates)
    if workers is not None and workers < 1:
        raise BadInput(f"--workers: {workers} is not a number of 1 or more")
    folder = out or Path("results") / found.name
    with progress_bar() as listen:
        execute(found, folder, workers or _cores(), isolate=True, listen=listen)
    finished = Run(folder)
    finished.write_scores()
    _close(finished, finished.write_report())


@app.command()
def score(folder: RunFolder) -> None:
    """Score a run again from its replicate rows and print the table."""
    from cibench.runs import load

    found = load(folder)
    _close(found, found.write_scores())


@app.command()
def report(folder: RunFolder) -> None:
    """Write a run's report and plots again from its replicate rows."""
    from cibench.runs import load

    path = load(folder).write_report()
    typer.echo(f"report: {path}")


@app.command()
def new(
    what: Annotated[Template, typer.Argument(help="What to write.")],
    name: Annotated[str, typer.Argument(help="Its id, family/name.")],
    out: Annotated[Path | None, typer.Option(help="The file [NAME.py in this folder].")] = None,
) -> None:
    """Write a file that passes the contract tests once its three marked lines are filled in."""
    from cibench.scaffold import write_new

    path = write_new(what.value, name, out)
    typer.echo(f"wrote {path}: fill in the three marked lines, then run")
    typer.echo(f"  python -m cibench.contracts {path}")


@app.command()
def doctor() -> None:
    """Show versions, optional libraries, broken plug-ins and threads."""
    from cibench.doctor import print_doctor

    print_doctor()


def _close(finished: Run, written: Path) -> None:
    """Print the score table and what was written; exit 1 where a cell could not be scored."""
    from cibench.screen import show_scores

    show_scores(finished)
    name = "report" if written.suffix == ".html" else "scores"
    typer.echo(f"{name}: {written.resolve()}")
    unscored = finished.scores[finished.scores["answered"] == 0]
    for row in unscored.to_dict("records"):
        where = f"{row['scenario']} {row['dials']} n={row['n']} {row['estimator']}"
        typer.echo(f"cibench: no answer to score in {where}", err=True)
    if len(unscored):
        raise typer.Exit(UNSCORED)


def _cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends it with one line on standard error and code 2."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="cibench", standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code, without a word
            _complain("interrupted", code)
    except BadInput as error:
        code = _complain(str(error), BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", INTERRUPTED)
    except Exception as error:
        if not _is_usage(error):
            raise
        code = _complain(error.format_message(), BAD_INPUT)  # type: ignore[attr-defined]
    sys.exit(code if isinstance(code, int) else 0)


def _is_usage(error: Exception) -> bool:
    """Say whether typer's parser complains: recent versions carry a click of their own."""
    return any(cls.__name__ == "ClickException" for cls in type(error).__mro__)


def _complain(line: str, code: int) -> int:
    typer.echo(f"cibench: {' '.join(line.split())}", err=True)
    return code
