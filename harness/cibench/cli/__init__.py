"""The command line: its commands, whose modules are imported when they are called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cibench.utils.errors import BadInput, Interrupted
from cibench.utils.plugins import FORBIDDEN
from cibench.utils.streams import take_every_text
from cibench.utils.version import __version__

NO_PLUGINS, VERSION = "--no-plugins", "--version"
HELP = f"""Benchmark causal estimators on data whose true effect is known.

Every command takes {NO_PLUGINS}: what would execute a suite's plug-ins is refused. {VERSION} shows
cibench's own, `doctor` those of all that it rests on."""

COMMANDS = {
    "run": (
        "cibench.cli.run:run",
        "Run a suite, or what is missing of it in its folder; score it and write its report.",
    ),
    "plan": (
        "cibench.cli.run:plan",
        "Say how many replicates each cell needs, and how long that takes, from a short pilot.",
    ),
    "status": (
        "cibench.cli.results:status",
        "Show how far a run is, in all and cell by cell; from any terminal, "
        "while it runs or after.",
    ),
    "replay": (
        "cibench.cli.results:replay",
        "Make one stored fit again and bundle it: data, a script, its output.",
    ),
    "score": (
        "cibench.cli.results:score",
        "Score a run again from its rows, or a table of estimates that somebody's own loop made.",
    ),
    "report": (
        "cibench.cli.results:report",
        "Write a run's report and plots again from its replicate rows.",
    ),
    "table": (
        "cibench.cli.paper:table",
        "Write a table for a paper: scores, errors and footnotes in rows and columns of one's own.",
    ),
    "figure": (
        "cibench.cli.paper:figure",
        "Write figures for a paper, one for each scenario, size and target that is left by "
        "`--where`.",
    ),
    "rows": (
        "cibench.cli.paper:rows",
        "Write the replicate rows of a run as CSV, every number exact, for R and others.",
    ),
    "export": (
        "cibench.cli.exchange:export",
        "Write the data sets of a suite as files, with the questions to be answered about them.",
    ),
    "import": (
        "cibench.cli.exchange:import_",
        "Store answers that were made elsewhere as rows of a run, and score and report it.",
    ),
    "pack": (
        "cibench.cli.package:pack",
        "Write a run, its plug-ins and tables as one file that says how to make them again.",
    ),
    "unpack": (
        "cibench.cli.package:unpack",
        "Unpack a replication package and check every file in it; nothing is executed.",
    ),
    "list": (
        "cibench.cli.catalogue:list_",
        "List scenarios, estimators, suites and lessons.",
    ),
    "show": (
        "cibench.cli.catalogue:show",
        "Show equations, estimand, dials with units and assumptions, reference.",
    ),
    "new": (
        "cibench.cli.new:new",
        "Write files to start from: a plug-in, a lesson, a collection, or a package's gate.",
    ),
    "check": (
        "cibench.cli.check:check",
        "Run a suite again at a baseline's addresses, or take a run, and compare it in pairs.",
    ),
    "regress": (
        "cibench.cli.regress:regress",
        "Run a suite with several versions of a package, all else the same, and compare in pairs.",
    ),
    "lesson": (
        "cibench.cli.lessons:lesson",
        "Write a lesson as one page that opens by double click; of several an index too.",
    ),
    "assignment": (
        "cibench.cli.lessons:assignment",
        "Give every student an own data set whose truth is sealed until the answers are in.",
    ),
    "grade": (
        "cibench.cli.lessons:grade",
        "Score the answers to an assignment and write the report on the class.",
    ),
    "doctor": (
        "cibench.cli.doctor:doctor",
        "Show versions, optional libraries, broken plug-ins and threads.",
    ),
    "baseline": (
        "cibench.cli.baseline:baselines",
        "Save, list, show and remove baselines.",
    ),
    "twin": (
        "cibench.cli.twins:twins",
        "Scale a small real data set; the effect in it is planted, so known.",
    ),
}
"""Where each command lies and its line of help, the first of its docstring, in their order."""

BAD_INPUT, INTERRUPTED = 2, 130


class Commands(TyperGroup):
    """Hold a line of help for each command, and import the one that is called."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the flag --help; with a default, since typer imports pydantic to read none."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the arguments name, imported, and what is left of them."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and command else None, rest


class Command(TyperCommand):
    """Take the defaults where no argument is given: typer imports pydantic to read them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments into the context and return what is left of them."""
        plain = (
            not p.required and p.nargs == 1 and p.default in (None, False) for p in self.params
        )
        if args or not all(plain):
            return super().parse_args(ctx, args)
        ctx.params.update({p.name: p.default for p in self.params})
        return args


def load(name: str) -> Any:
    """Import a command, or a group of them, and return what parses its arguments."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    target = getattr(import_module(module), attribute)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)  # which eats [hints]
    if isinstance(target, typer.Typer):
        alone.add_typer(target, name=name)
    else:
        alone.command(name, cls=Command)(target)
    command = typer.main.get_group(alone).commands[name]
    for each in getattr(command, "commands", {}).values():  # whole, where typer cuts at 45 letters
        each.short_help = (each.help or "").partition("\n\n")[0].replace("\n", " ")
    return command


def _without_switch(arguments: list[str]) -> list[str]:
    """Return the arguments without --no-plugins, and forbid plug-ins where it was among them.

    They stay forbidden for as long as this process lives.
    """
    if NO_PLUGINS in arguments:
        os.environ[FORBIDDEN] = "1"  # workers are processes of their own
    return [each for each in arguments if each != NO_PLUGINS]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends it with a line on standard error for each and code 2."""
    command = Commands(
        commands={
            name: TyperCommand(name, help=line, short_help=line)
            for name, (_, line) in COMMANDS.items()
        },
        help=HELP, no_args_is_help=True, rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    take_every_text()
    try:
        words = _without_switch(sys.argv[1:] if arguments is None else arguments)
        if words[:1] == [VERSION]:
            typer.echo(f"cibench {__version__}")
            sys.exit(0)
        code = command.main(words, prog_name="cibench", standalone_mode=False)
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
        line = error.format_message()  # type: ignore[attr-defined]
        code = _complain(line.replace(": Value error, ", ": "), BAD_INPUT)  # of recent versions
    sys.exit(code if isinstance(code, int) else 0)


def _is_usage(error: Exception) -> bool:
    """Say whether typer's parser complains: recent versions carry a click of their own."""
    return any(cls.__name__ == "ClickException" for cls in type(error).__mro__)


def _complain(line: str, code: int) -> int:
    typer.echo(f"cibench: {' '.join(line.split())}", err=True)
    return code
