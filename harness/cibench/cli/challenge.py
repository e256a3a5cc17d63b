"""The command line's part for vendor bundles: `cibench twin bundle`, `score` and `verify`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.challenge.bundle import Wish

FAILED = 1
QUIET = 2.0
"""Seconds between two lines of progress."""


class Better(StrEnum):
    """Name the direction in which the outcome is better."""

    HIGHER = "higher"
    LOWER = "lower"


def bundle(  # noqa: PLR0913, PLR0917 - an owner has that many wishes
    twin: Annotated[Path, typer.Argument(metavar="TWIN", help="A twin's file.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="To give away.")],
    data: Annotated[
        Path | None, typer.Option(metavar="CSV", help="The seed data, to examine what leaves.")
    ] = None,
    effects: Annotated[
        str | None, typer.Option(help="To plant, as 0,500,-200; drawn in secret if omitted.")
    ] = None,
    datasets: Annotated[
        int | None, typer.Option(min=2, help="How many; two an effect if omitted.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=50, help="Of each; about as the seed if omitted.")
    ] = None,
    cell: Annotated[int, typer.Option(help="No value leaves that fewer seed rows share.")] = 10,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="May keep labels, rare values, extremes; one a time."),
    ] = None,
    cost: Annotated[float, typer.Option(help="Of a roll-out a unit, in outcome units.")] = 0.0,
    better: Annotated[Better, typer.Option(help="Which outcomes are.")] = Better.HIGHER,
    secrets: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The owner's file, or a folder for it.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The owner's page; beside the file if omitted."),
    ] = None,
    although_failed: Annotated[
        bool, typer.Option("--although-failed", help="Bundle a twin whose audit fails, marked so.")
    ] = False,
) -> None:
    """Write data sets for a vendor, their truths sealed; what must not leave stays with you.

    The exit code is 1 where the seed data say that the bundle is not fit to give away, or where the
    twin's audit fails and it was bundled although it does.
    """
    from cibench.challenge.bundle import Wish, check_places
    from cibench.challenge.disclosure import Limits
    from cibench.challenge.effects import parse_effects

    beside = secrets if secrets and secrets.is_dir() else out.parent
    owner = secrets if secrets and not secrets.is_dir() else beside / f"{out.name}.owner.json"
    page = report or owner.with_name(f"{out.name}.owner.html")
    check_places(out, owner, page)
    if not isfinite(cost):
        raise BadInput(f"--cost: {cost:g} is not a cost")
    limits = Limits(cell, frozenset(allow or ()))
    planted = parse_effects(effects) if effects is not None else None
    wish = Wish(planted, datasets, rows, limits, cost, better.value, although_failed)
    fit = _bundled(twin, data, wish, (out, owner, page))
    for what, place in (("bundle", out), ("report, yours", page), ("truths, yours", owner)):
        typer.echo(f"{what}: {place.resolve()}")
    if not fit:
        raise typer.Exit(FAILED)


def _bundled(twin: Path, data: Path | None, wish: Wish, places: tuple[Path, Path, Path]) -> bool:
    """Make, examine and write a bundle, and print what was found; False if it is not fit."""
    from cibench.challenge.bundle import make_bundle, write_bundle
    from cibench.challenge.documents import DISCLOSURE
    from cibench.challenge.privacy import examine, read_own
    from cibench.challenge.report import owner_page
    from cibench.twins.file import open_twin

    out, owner, page = places
    opened = open_twin(twin)
    own = read_own(opened, data) if data else None
    say = _progress()
    new_bundle = make_bundle(opened, wish, out.name, say)
    privacy = examine(opened, new_bundle, own, wish.limits, say) if own else None
    write_bundle(new_bundle, out, owner, (page, owner_page(new_bundle, privacy)))
    for line in privacy.lines if privacy else (NOT_EXAMINED.format(words=DISCLOSURE),):
        typer.echo(line)
    failures = new_bundle.owner.provenance["audit"]
    for line in failures:
        typer.echo(f"NOT fit, the twin's audit fails: {line}")
    return not failures and (privacy is None or privacy.verdict != "not fit")


NOT_EXAMINED = (
    "not examined: without --data nobody knows whether the bundle is fit to give away ({words})"
)


def score(
    submissions: Annotated[
        list[Path], typer.Argument(metavar="SUBMISSION...", help="CSV files, one a vendor.")
    ],
    owner: Annotated[Path, typer.Option(metavar="FILE", help="The owner's file.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page, or a table if it ends in .csv.")
    ] = None,
    reveal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the sealed lines, for vendors.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="FOLDER", help="As given away; looked for beside the owner's file."
        ),
    ] = None,
) -> None:
    """Score vendors' answers against the sealed truths."""
    from cibench.challenge.report import FAILED_SCORES, score_page
    from cibench.challenge.scoring import (
        check_vendors,
        lines_of,
        marks_of,
        read_submission,
        write_table,
    )
    from cibench.challenge.sealed_truths import Owner, write_reveal
    from cibench.render.terminal import console, table
    from cibench.utils.files import check_folders, write_text

    check_folders(out, reveal)
    check_vendors(submissions)
    kept = Owner.read(owner)
    beside = owner.absolute().parent / kept.bundle
    if folder or beside.is_dir():
        kept.check_bundle(folder or beside)
    answers = [read_submission(path, kept) for path in submissions]
    marks = {a.vendor: marks_of(a, kept) for a in answers}
    lines = [line for a in answers for line in lines_of(a, kept)]
    console().print(table([{"vendor": v, **m.texts} for v, m in marks.items()]))
    if kept.provenance.get("audit"):
        typer.echo(FAILED_SCORES.replace("\n", " "))
    typer.echo("In brackets the Monte Carlo error over data sets; of shares the Wilson limits.")
    for submission in answers:
        if submission.missing:
            typer.echo(f"{submission.vendor}: no answer for {', '.join(submission.missing)}")
    if out:
        if out.suffix == ".csv":
            write_table(lines, out)
        else:
            write_text(out, score_page(kept, marks, lines), private=True)
        typer.echo(f"scores: {out.resolve()}")
    if reveal:
        write_reveal(kept, reveal)
        typer.echo(f"reveal: {reveal.resolve()}")


def verify(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    reveal: Annotated[Path, typer.Argument(metavar="REVEAL", help="The revealed lines.")],
) -> None:
    """Say whether the revealed truths are those that were sealed; the exit code is 1 if not."""
    from cibench.challenge.sealed_truths import verify as compare

    verifications = list(compare(folder, reveal))
    for verification in verifications:
        typer.echo(
            f"{verification.name}: {verification.problem or f'as sealed, {verification.statement}'}"
        )
    broken = [verification for verification in verifications if verification.problem]
    typer.echo(
        f"{len(verifications) - len(broken)} of {len(verifications)} truths are as they were sealed"
    )
    if broken:
        raise typer.Exit(FAILED)


def _progress() -> Callable[[str], None]:
    """Return what says how far it is, on standard error and not too often."""
    last = monotonic() - QUIET

    def say(line: str) -> None:
        nonlocal last
        if monotonic() - last >= QUIET:
            last = monotonic()
            typer.echo(line, err=True)

    return say
