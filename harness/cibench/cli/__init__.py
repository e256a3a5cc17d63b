"""The command line: what all commands share, and `cibench list`, `show`, `new`, `doctor`."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cibench.cli import baseline, check, lessons, regress, results, run, twins
from cibench.utils.errors import BadInput, Interrupted

app = typer.Typer(
    help="Benchmark causal estimators on data whose true effect is known.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

BAD_INPUT, INTERRUPTED = 2, 130

for command in (
    run.run, run.plan, results.status, results.replay,
    results.score, results.report,
):  # fmt: skip
    app.command()(command)


class Shelf(StrEnum):
    """Name what can be listed."""

    SCENARIOS = "scenarios"
    ESTIMATORS = "estimators"
    SUITES = "suites"
    LESSONS = "lessons"


class Template(StrEnum):
    """Name what a new file can be of."""

    SCENARIO = "scenario"
    ESTIMATOR = "estimator"
    LESSON = "lesson"


@app.command("list")
def list_(
    shelf: Annotated[Shelf | None, typer.Argument(help="What to list; all if omitted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List scenarios, estimators, suites and lessons."""
    from cibench.cli.catalogue import listing, print_listing

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
    from cibench.cli.catalogue import print_one

    print_one(name)


@app.command()
def new(
    what: Annotated[Template, typer.Argument(help="What to write.")],
    name: Annotated[str, typer.Argument(help="Its id, family/name; a lesson: name.")],
    out: Annotated[Path | None, typer.Option(help="The file [NAME in this folder].")] = None,
) -> None:
    """Write a file to start from: plug-ins have three lines to fill in, a lesson runs as it is."""
    from cibench.cli.catalogue import write_new, write_new_lesson

    if what is Template.LESSON:
        path = write_new_lesson(name, out)
        typer.echo(f"wrote {path}: a page already; change it and run")
        typer.echo(f"  cibench lesson {path}")
        return
    path = write_new(what.value, name, out)
    typer.echo(f"wrote {path}: fill in the three marked lines, then run")
    typer.echo(f"  python -m cibench.contracts {path}")


for other in (
    check.check, regress.regress, lessons.lesson, lessons.assignment,
    lessons.grade,
):  # fmt: skip
    app.command()(other)
app.add_typer(baseline.baselines, name="baseline")
app.add_typer(twins.twins, name="twin")


@app.command()
def doctor() -> None:
    """Show versions, optional libraries, broken plug-ins and threads."""
    from cibench.cli.catalogue import print_doctor

    print_doctor()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends it with a line on standard error for each and code 2."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="cibench", standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code, without a word
            _complain("interrupted", code)
    except BadInput as error:
        code = max(_complain(str(line), BAD_INPUT) for line in error.args)
    except Interrupted as error:
        code = _complain(str(error), INTERRUPTED)
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
