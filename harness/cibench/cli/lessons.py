"""The command line's part for teachers: `cibench lesson`, `assignment`, `grade`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cibench.cli.run import NoChecks, run_settings
from cibench.utils.errors import BadInput
from cibench.utils.machine import workers_or_cores

if TYPE_CHECKING:
    from cibench.lessons.course import Built
    from cibench.lessons.lesson import Lesson

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME|FILE]...", help="Lessons.")]
Out = Annotated[Path | None, typer.Option(help="The page [NAME.html], of several the folder.")]


def lesson(
    names: Names = None,
    out: Out = None,
    every: Annotated[bool, typer.Option("--all", help="All that come with cibench.")] = False,
    notebook: Annotated[bool, typer.Option(help="Write a Jupyter notebook instead.")] = False,
    replicates: Annotated[int | None, typer.Option(help="Data sets a setting.")] = None,
    language: Annotated[str, typer.Option(help="Of the interface: en, tr or es.")] = "en",
    workers: Annotated[int | None, typer.Option(help="Worker processes [one per core].")] = None,
    no_checks: NoChecks = False,
) -> None:
    """Write a lesson as one page that opens by double click; of several an index too."""
    from cibench.lessons.parse import built_in_lessons, find
    from cibench.lessons.translations import Interface

    if every and names:
        raise BadInput("--all: name lessons or ask for all of them, not both")
    if not (every or names):
        _list()
        return
    Interface(language)
    lessons = [find(name) for name in names or built_in_lessons()]
    if notebook:
        _notebooks(lessons, out)
        return
    processes = workers_or_cores(workers)
    checks = not no_checks
    built = [_built(one, replicates, processes, checks=checks) for one in lessons]
    if len(built) == 1 and not every:
        from cibench.lessons.course import write_page

        path = write_page(built[0], out or Path(f"{built[0].lesson.name}.html"), language)
    else:
        from cibench.lessons.course import write_course

        path = write_course(built, out or Path("lessons"), language)
    typer.echo(f"lesson: {path.resolve()}")


def _list() -> None:
    """Print the lessons there are."""
    from cibench.lessons.parse import built_in_lessons, find
    from cibench.render.terminal import console, table

    every = [find(name) for name in built_in_lessons()]
    rows = [{"lesson": one.name, "assumption": one.words["en"].assumption} for one in every]
    console().print(table(rows))
    typer.echo(
        "`cibench lesson NAME` writes a page; `cibench new lesson my-lesson` starts your own"
    )


def _built(chosen: Lesson, replicates: int | None, workers: int, *, checks: bool) -> Built:
    """Build a lesson, say when it takes a run, and say where the run does not bear it out."""
    from cibench.lessons.course import build
    from cibench.lessons.frames import shipped
    from cibench.lessons.tables import doubts
    from cibench.storage.manifest import SKIPPED

    if replicates is None and shipped(chosen) is not None:
        built = build(chosen)
    else:
        count = replicates or chosen.replicates
        typer.echo(f"{chosen.name}: running {count} data sets a setting", err=True)
        with run_settings(workers, checks=checks) as settings:
            built = build(chosen, replicates, settings)
    if built.frames.get("unchecked"):
        typer.echo(f"{chosen.name}: {SKIPPED}", err=True)
    for doubt in doubts(built.frames, chosen):
        typer.echo(f"{chosen.name}: {doubt}", err=True)
    return built


def _notebooks(lessons: list[Lesson], out: Path | None) -> None:
    from cibench.lessons.notebook import write_notebook

    for chosen in lessons:
        single = len(lessons) == 1
        path = (out if single else out and out / f"{chosen.name}.ipynb") or Path(
            f"{chosen.name}.ipynb"
        )
        typer.echo(f"notebook: {write_notebook(chosen, path).resolve()}")


def assignment(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A lesson.")],
    students: Annotated[Path, typer.Option(help="CSV file with a column `student`.")],
    out: Annotated[Path | None, typer.Option(help="The folder [NAME-assignment].")] = None,
    setting: Annotated[float | None, typer.Option(help="Of the slider [one at random].")] = None,
    no_checks: NoChecks = False,
) -> None:
    """Give every student an own data set whose truth is sealed until the answers are in."""
    from cibench.execution.settings import RunSettings
    from cibench.lessons.classroom.assignment import KEY, write_assignment
    from cibench.lessons.parse import find

    chosen = find(name)
    folder = out or Path(f"{chosen.name}-assignment")
    settings = RunSettings(isolate=True, checks=not no_checks)
    count = write_assignment(chosen, students, folder, setting, settings=settings)
    if "unchecked" in json.loads((folder / KEY).read_text(encoding="utf-8")):
        typer.echo("its scenario was not held to its contract (--no-checks)", err=True)
    typer.echo(f"assignment: {count} data sets in {folder.resolve()}")
    typer.echo("hand out students/ and commitments.csv; keep teacher/ to yourself")


def grade(
    folder: Annotated[Path, typer.Argument(help="An assignment's folder.")],
    answers: Annotated[Path, typer.Argument(help="CSV file of the students' answers.")],
    language: Annotated[str, typer.Option(help="Of the report: en, tr or es.")] = "en",
) -> None:
    """Score the answers to an assignment and write the report on the class."""
    from cibench.lessons.classroom.grading import read_class
    from cibench.lessons.classroom.report import summary, write_report
    from cibench.lessons.translations import Interface

    ui = Interface(language)
    graded = read_class(folder, answers)
    for line in summary(graded, ui):
        typer.echo(line.replace("\u00a0", " "))
    typer.echo(f"report: {write_report(graded, folder / 'teacher', language).resolve()}")
