"""The command line's part for data twins: `cibench twin fit`, `sample`, `audit` and more."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cibench.cli import challenge
from cibench.render import shell
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.twins.fit.user_columns import UserColumns
    from cibench.twins.twin import Effect, Twin

FAILED = 1
HONEST = (
    "twins are test benches, not evidence: what they know of the outcome comes from {rows} rows of "
    "{where}, however many are drawn"
)

twins = typer.Typer(help="Scale a small real data set; the effect in it is planted, so known.")
twins.command()(challenge.bundle)
twins.command()(challenge.score)
twins.command()(challenge.verify)


class Kind(StrEnum):
    """Name the designs."""

    RD = "rd"
    DID = "did"
    OBSERVABLES = "observables"
    IV = "iv"


class Side(StrEnum):
    """Name the side of a cutoff on which units are treated."""

    ABOVE = "above"
    BELOW = "below"


Column = Annotated[str, typer.Option(metavar="COLUMN")]
File = Annotated[Path, typer.Argument(metavar="TWIN", help="A twin's file.")]
Listed = list[str] | None
Numbers = Annotated[Listed, typer.Option("--number", metavar="COLUMN", help="It is a number.")]
Categories = Annotated[
    Listed, typer.Option("--category", metavar="COLUMN", help="It is a category, of numbers too.")
]
Ordereds = Annotated[
    Listed, typer.Option("--ordered", metavar="COLUMN", help="A category whose levels ascend.")
]
Dates = Annotated[Listed, typer.Option("--date", metavar="COLUMN", help="Dates, kept as days.")]
Identifiers = Annotated[
    Listed, typer.Option("--id", metavar="COLUMN", help="It names rows, and is left out.")
]
Gaps = Annotated[
    Listed, typer.Option("--missing", metavar="TEXT", help="Cells that are missing, as empty ones.")
]
Encoding = Annotated[
    str, typer.Option(metavar="NAME", help="The CSV file's character set [utf-8], say cp1252.")
]
ColumnsFile = Annotated[
    Path | None, typer.Option(metavar="TOML", help="A file that says all of this by column.")
]


@twins.command()
def fit(  # noqa: PLR0913, PLR0917 - a design has that many parts
    data: Annotated[
        Path, typer.Argument(metavar="SEED", help="The seed data: CSV, Parquet or Stata.")
    ],
    design: Annotated[Kind, typer.Option(help="The design.")],
    outcome: Annotated[str, typer.Option(metavar="COLUMN", help="The outcome.")],
    out: Annotated[Path, typer.Option(help="The twin's file.")],
    treatment: Column = "",
    running: Column = "",
    cutoff: Annotated[float | None, typer.Option(help="Of the running variable.")] = None,
    side: Annotated[Side, typer.Option(help="The treated side of the cutoff.")] = Side.ABOVE,
    fuzzy: Annotated[bool, typer.Option("--fuzzy", help="Not all follow the cutoff.")] = False,
    instrument: Column = "",
    unit: Column = "",
    time: Column = "",
    cohort: Column = "",
    covariates: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="One each time [all that will do].")
    ] = None,
    structure: Annotated[
        str, typer.Option(help="A TOML file with the outcome function, or: estimate.")
    ] = "estimate",
    generator: Annotated[
        str,
        typer.Option(
            help="vine, gaussian, resampling, trees; with the extra sdv (licence BUSL-1.1) "
            "sdv-gaussian, sdv-ctgan, sdv-tvae."
        ),
    ] = "vine",
    seed: Annotated[int, typer.Option(help="Of folds, ties and the generator's search.")] = 0,
    number: Numbers = None,
    category: Categories = None,
    ordered: Ordereds = None,
    date: Dates = None,
    identifier: Identifiers = None,
    missing: Gaps = None,
    encoding: Encoding = "",
    columns: ColumnsFile = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A covariate though it tells who is treated or jumps."),
    ] = None,
) -> None:
    """Fit a twin to a table: residualise, train, keep what reconstruction needs."""
    from cibench.twins.design import Design
    from cibench.twins.file import save_twin
    from cibench.twins.fit.fitting import fit_twin
    from cibench.twins.fit.seed_data import described, read_seed
    from cibench.twins.fit.user_structure import UserStructure

    _check_place(out)
    layout = Design(
        design.value, outcome, treatment, running, cutoff, side.value, fuzzy, instrument,
        unit, time, cohort, tuple(covariates) if covariates else None,
    )  # fmt: skip
    formulas = None if structure == "estimate" else UserStructure.read(Path(structure))
    user = _user_columns(
        columns, missing, encoding, number=number, category=category, ordered=ordered, date=date,
        identifier=identifier,
    )  # fmt: skip
    read = read_seed(data, layout, replace(user, keep=(*user.keep, *(keep or ()))))
    for line in described(read):
        typer.echo(line, err=True)
    fitted = fit_twin(read, generator, formulas, seed)
    save_twin(fitted, out)
    _show(fitted)
    typer.echo(f"twin: {out.resolve()}")


@twins.command()
def sample(
    twin: File,
    rows: Annotated[int, typer.Option(help="How many rows.")],
    out: Annotated[Path, typer.Option(help="The CSV file.")],
    effect: Annotated[
        str | None, typer.Option(help="To plant: a number or a formula [the seed's].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    truth: Annotated[
        float | None, typer.Option(help="The average effect wished for, whatever bounds keep back.")
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="FORMULA", help="Only rows that satisfy it: region == 'North'.")
    ] = "",
) -> None:
    """Write a CSV file of a twin's rows, with an effect planted."""
    from cibench.twins.file import open_twin
    from cibench.twins.sample import write_sample
    from cibench.twins.scenario import effect_for

    _check_place(out)
    if rows < 1:
        raise BadInput(f"--rows: {rows} is not a number of rows")
    if truth is not None and effect is not None:
        raise BadInput("--truth and --effect both say what to plant")
    opened = open_twin(twin)
    chosen = _effect(effect) if truth is None else effect_for(opened, truth)
    for line in write_sample(opened, rows, chosen, seed, out, where):
        typer.echo(line)
    typer.echo(HONEST.format(**opened.seed), err=True)
    typer.echo(f"sample: {out.resolve()}")


@twins.command()
def show(
    file: Annotated[
        Path, typer.Argument(metavar="TWIN|SEED", help="A twin's file, or a table to fit one to.")
    ],
    number: Numbers = None,
    category: Categories = None,
    ordered: Ordereds = None,
    date: Dates = None,
    identifier: Identifiers = None,
    missing: Gaps = None,
    encoding: Encoding = "",
    columns: ColumnsFile = None,
) -> None:
    """Show what a twin is made of, or what each column of a table is taken for.

    Of a twin there are its dials as a scenario; of a table each kind is a guess that an option or a
    line of the file of `--columns` changes.
    """
    user = _user_columns(
        columns, missing, encoding, number=number, category=category, ordered=ordered, date=date,
        identifier=identifier,
    )  # fmt: skip
    if _is_table(file):
        _show_table(file, user)
        return
    from cibench.cli.catalogue import print_page
    from cibench.cli.listing import page
    from cibench.render.terminal import console, table
    from cibench.twins.fit.column_table import lines_of_twin
    from cibench.twins.scenario import register_twin

    registered = register_twin(file)
    print_page(page(registered.name))
    _show(registered.twin)
    console().print(table(lines_of_twin(registered.twin)))


def _is_table(path: Path) -> bool:
    """Say whether a file is a table to fit a twin to: twins are zip files."""
    from cibench.utils.foreign import read_bytes

    return not path.name.endswith(".twin") and not read_bytes(path).startswith(b"PK")


def _show_table(path: Path, user: UserColumns) -> None:
    from cibench.render.terminal import console, table
    from cibench.twins.fit.column_table import lines_of_table
    from cibench.twins.fit.seed_data import readings_of
    from cibench.utils.foreign import read_table

    frame = read_table(path, as_texts=True, encoding=user.encoding)
    readings = readings_of(frame, user, str(path))
    title = f"{len(frame):,} rows; each kind is a guess unless you said it"
    console().print(table(lines_of_table(readings.values()), title))


def _user_columns(
    path: Path | None, missing: Listed, encoding: str, **kinds: Listed
) -> UserColumns:  # fmt: skip
    """Return what a file and options say of columns; raises BadInput."""
    from cibench.twins.fit.user_columns import UserColumns

    user = UserColumns.read(path) if path else UserColumns()
    options = {kind: names or () for kind, names in kinds.items()}
    return user.with_options(options, missing or (), encoding)


@twins.command()
def audit(
    twin: File,
    out: Annotated[Path | None, typer.Option(help="The report [TWIN.html].")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Audit this CSV file of anybody's rows instead.")
    ] = None,
) -> None:
    """Compare a twin's rows with the seed's summaries and the planted truth, and write a report.

    The exit code is 0 where the twin passes and 1 where it does not.
    """
    from cibench.twins.audit.audit import audit_twin
    from cibench.twins.audit.interval_worth import worth
    from cibench.twins.audit.report import write_report
    from cibench.twins.file import open_twin

    report = out or twin.with_suffix(".html")
    _check_place(report)
    opened = open_twin(twin)
    audited = audit_twin(opened, data)
    intervals = None if data else worth(opened)
    for line in (*audited.lines, *(intervals.lines if intervals else ())):
        typer.echo(line)
    write_report(opened, audited, report, intervals)
    typer.echo(f"report: {report.resolve()}")
    if not audited.passed or (intervals and not intervals.sound):
        raise typer.Exit(FAILED)


@twins.command()
def ranks(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder with twins.")],
) -> None:
    """Rank estimators by generator, and say whether the order survives leaving one out."""
    from cibench.render.terminal import console, table
    from cibench.results.api import load
    from cibench.twins.generator_ranking import ranking

    loaded = load(run)
    ordering = ranking(loaded.scores, loaded.catalogue)
    rows = [
        {
            "estimator": name,
            **{o.over[0]: f"{o.value[i]:.3f} ({o.se[i]:.3f})" for o in ordering.alone},
            "all": f"{ordering.all.value[i]:.3f} ({ordering.all.se[i]:.3f})",
        }
        for i, name in sorted(
            enumerate(ordering.estimators), key=lambda p: ordering.all.value[p[0]]
        )
    ]
    console().print(table(rows, "RMSE, as a multiple of the best on the same twins"))
    for left, first, other in ordering.undecided:
        typer.echo(f"without {left} nothing separates {first} and {other}")
    for left, first, other in ordering.reversals:
        typer.echo(f"without {left} {first} and {other} change places")
    typer.echo(ordering.verdict)


@twins.command()
def example(
    name: Annotated[str | None, typer.Argument(help="One of them [list them].")] = None,
    out: Annotated[Path | None, typer.Option(help="The CSV file [NAME.csv].")] = None,
) -> None:
    """Write the seed data of an example and say how a twin is fitted to them."""
    from cibench.twins.examples import EXAMPLES, write_example

    if name is None:
        for key, entry in EXAMPLES.items():
            typer.echo(f"{key:14} {entry.about}")
        return
    place = out or Path(f"{name}.csv")
    _check_place(place)
    options = write_example(name, place)
    typer.echo(f"{EXAMPLES[name].about}: {place}")
    start, end = shell.command("twin", "fit", place), shell.place(place.with_suffix(".twin"))
    typer.echo(f"  {start} {options} {shell.line(['--out', end])}")


def _effect(text: str | None) -> Effect | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _check_place(out: Path) -> None:
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise BadInput(
            f"{out}: there is no such folder" if not out.is_dir() else f"{out}: a folder"
        )


def _show(twin: Twin) -> None:
    from cibench.twins.scenario import targets_of

    typer.echo(f"{twin.name}: {twin.design.kind}, generator {twin.family}")
    typer.echo(f"structure {twin.structure.name}")
    seed = twin.seed
    se = f" (standard error {seed['se']:.4g})" if seed["se"] else ""
    typer.echo(f"effect in the seed {seed['effect']:.6g}{se}, from {seed['rows']} rows")
    typer.echo(f"estimands {', '.join(map(str, targets_of(twin)))}")
    typer.echo(HONEST.format(**seed))
