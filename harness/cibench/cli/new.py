"""The command `cibench new`: files to start from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cibench.model import registry
from cibench.render import shell
from cibench.utils.errors import BadInput
from cibench.utils.files import asset, write_text


class Template(StrEnum):
    """Name what a new file can be of."""

    SCENARIO = "scenario"
    ESTIMATOR = "estimator"
    LESSON = "lesson"
    COLLECTION = "collection"
    GATE = "gate"


class Language(StrEnum):
    """Name in which language an estimator can be written that answers from another process."""

    R = "R"
    PYTHON = "python"


def new(
    what: Annotated[Template, typer.Argument(help="What to write.")],
    name: Annotated[str | None, typer.Argument(help=(
        "Its id, family/name; a lesson: name; a collection: the folder of its data sets; a gate: "
        "the package's module [looked for]."
    ))] = None,
    out: Annotated[Path | None, typer.Option(
        help="The file [NAME in this folder]; of a gate the package's folder [this one].",
    )] = None,
    language: Annotated[Language | None, typer.Option(
        help="Of an estimator: the language of another process (python: another environment).",
        case_sensitive=False,
    )] = None,
) -> None:  # fmt: skip
    """Write files to start from: a plug-in, a lesson, a collection, or a package's gate.

    Plug-ins have three lines to fill in, a lesson runs as it is. Of a collection it is guessed from
    the files of a folder which column is what; a gate is for the package in this folder.
    """
    if language is not None:
        if what is not Template.ESTIMATOR:
            raise BadInput(f"--language is of estimators, not of a {what}")
        if name is None:
            raise BadInput(f"say its name: cibench new {what} {_EXAMPLES[what]}")
        script, declaration = write_new_elsewhere(language, name, out)
        typer.echo(f"wrote {script}: fill in the three marked lines; and {declaration}, which")
        typer.echo("  declares it; then run")
        typer.echo(f"  {_contracts(declaration)}")
        return
    if what is Template.GATE:
        _write_gate(name, out or Path())
        return
    if name is None:
        raise BadInput(f"say its name: cibench new {what} {_EXAMPLES[what]}")
    if what is Template.COLLECTION:
        _new_collection(name, out)
        return
    if what is Template.LESSON:
        path = write_new_lesson(name, out)
        typer.echo(f"wrote {path}: a page already; change it and run")
        typer.echo(f"  {shell.command('lesson', path)}")
        return
    path = write_new(what.value, name, out)
    typer.echo(f"wrote {path}: fill in the three marked lines, then run")
    typer.echo(f"  {_contracts(path)}")


def _contracts(path: Path) -> str:
    return shell.line(["python", "-m", "cibench.contracts", shell.place(path)])


def _new_collection(folder: str, out: Path | None) -> None:
    """Write a collection's file and say what it stands for, or what is to be mended first."""
    from cibench.collections.collection import Collection
    from cibench.collections.declaration import read_declaration
    from cibench.collections.guess import write_declaration

    path = write_declaration(folder, out)
    typer.echo(f"wrote {path}: guessed from names and contents; look at every line")
    try:
        collection = Collection(read_declaration(path))
        collection.check()
        sizes = sorted({*collection.units})
        units = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    except BadInput as error:
        typer.echo("to be mended first:")
        for line in error.args:
            typer.echo(f"  {line}")
        return
    targets = ", ".join(map(str, collection.targets))
    typer.echo(f"  {len(collection.members):,} data sets of {units} units: {targets}")
    typer.echo("in a suite it is")
    typer.echo(f'  scenario = "collection:{path}"')


_EXAMPLES = {
    Template.SCENARIO: "own/my-design", Template.ESTIMATOR: "own/my-method",
    Template.LESSON: "my-lesson", Template.COLLECTION: "FOLDER",
}  # fmt: skip


def _write_gate(module: str | None, folder: Path) -> None:
    """Write the files of a gate, and say what is to be done with them."""
    from cibench.cli.new_gate import write_new_gate

    tests, suite, methods, needs, workflow = write_new_gate(folder, module)
    typer.echo(f"wrote {tests} and {methods}: let your functions take the place of `difference`;")
    typer.echo(f"  {suite}, {workflow}, and {needs}, which says what is installed;")
    if "\ncibench" not in needs.read_text(encoding="utf-8"):
        typer.echo("  cibench was installed here from a folder: say there whence a runner has it;")
    typer.echo("then save what later changes are compared with, and commit all of it:")
    typer.echo(f"  {shell.command('run', suite, '--out', 'run')}")
    typer.echo("  cibench baseline save run main")
    typer.echo(f"  {shell.line(['pytest', shell.place(tests), '--cibench-update-baseline'])}")


def write_new(what: str, name: str, out: Path | None = None) -> Path:
    """Write the template of a scenario or estimator for an id and return the file's path.

    Raises BadInput where the id is malformed or taken, or the file exists.
    """
    _check_new("scenario" if what == "scenario" else "estimator", name)
    words = name.rsplit("/", 1)[-1].split("-")
    cls = "".join(w.capitalize() for w in words)
    cls = cls if cls.isidentifier() else f"Design{cls}"
    path = out or Path(f"{'_'.join(words)}.py")
    filled = {"@NAME@": name, "@CLASS@": cls, "@FUNCTION@": _function_of(name)}
    return _fill(f"{what}.py.txt", filled, path)


def write_new_elsewhere(
    language: Language, name: str, out: Path | None = None
) -> tuple[Path, Path]:
    """Write the script of an estimator in another process, and the file that declares it.

    Raises BadInput where the id is malformed or taken, or one of the two exists.
    """
    _check_new("estimator", name)
    in_r, function = language is Language.R, _function_of(name)
    script = out or Path(f"{function}.{'R' if in_r else 'py'}")
    declaration = script.with_suffix(".toml")
    if declaration.exists():
        raise BadInput(f"{declaration} exists already; name another file with --out")
    filled = {"@NAME@": name, "@FUNCTION@": function if function[0] != "_" else f"f{function}"}
    command = f'"{"Rscript" if in_r else "python3"}", "{script.name}"'
    template = "estimator.R.txt" if in_r else "estimator_elsewhere.py.txt"
    _fill(template, filled, script)
    return script, _fill("estimator.toml.txt", {"@NAME@": name, "@COMMAND@": command}, declaration)


def _check_new(kind: registry.Kind, name: str) -> None:
    if not registry.NAME.fullmatch(name):
        raise BadInput(f"'{name}' is not of the form family/name in lower case and hyphens")
    known = registry.entries(kind)
    if name in known:
        raise BadInput(f"{kind} '{name}' exists already, in {known[name].module}")


def _function_of(name: str) -> str:
    """Return the name of the function for an id."""
    function = name.rsplit("/", 1)[-1].replace("-", "_")
    return function if function.isidentifier() else f"_{function}"


def write_new_lesson(name: str, out: Path | None = None) -> Path:
    """Write a lesson's file and return its path: a page of its own, to be changed.

    Raises BadInput where the name is malformed or taken, or the file exists.
    """
    from cibench.lessons.parse import built_in_lessons

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise BadInput(f"'{name}' is not a name in lower case and hyphens")
    if name in built_in_lessons():
        raise BadInput(f"lesson '{name}' comes with cibench; take another name")
    title = name.replace("-", " ").capitalize()
    return _fill("lesson.toml.txt", {"@TITLE@": title}, out or Path(f"{name}.toml"))


def _fill(template: str, filled: Mapping[str, str], path: Path) -> Path:
    """Write a template with its marks filled in, refusing a file that exists."""
    if path.exists():
        raise BadInput(f"{path} exists already; name another file with --out")
    text = asset("cibench", f"templates/{template}")
    for mark, value in filled.items():
        text = text.replace(mark, value)
    write_text(path, text)
    return path
