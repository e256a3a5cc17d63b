"""Tables for a paper: what stands in rows and columns, which measures, which part of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cibench.metrics import METRICS
from cibench.metrics.moments import SQUARES
from cibench.metrics.registry import Metric, listed
from cibench.model.types import PARTS
from cibench.render import grids, labels
from cibench.render.grids import Grid
from cibench.render.numbers import BLANK, error_of, number, percent
from cibench.report.provenance_words import by_formula, counting
from cibench.report.score_readings import limits_notes
from cibench.report.selection import OVERALL, Fields, selected
from cibench.report.views import Score, median_notes, written
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import csv_text, make_folder, write_text
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

    from cibench.report.contents import Reported

ORDER = ("bias", "empirical_se", "rmse", "se_ratio", "coverage", "ci_length")
"""The columns that the tables begin with."""

COUNTS = {
    "replicates": "replicates", "answered": "answered", "failures": "failures",
    "declined": "declined",
}  # fmt: skip
TRUTH = "truth"
FORMATS = (*grids.WRITERS, "csv")
ENDINGS = {
    "md": "markdown", "tex": "latex", "html": "html", "typ": "typst", "csv": "csv",
}  # fmt: skip
"""The format that a file's name means."""


class Labelled(Protocol):
    """Hold what tables are made of: labelled scores, and what a run says of itself."""

    @property
    def scores(self) -> pd.DataFrame:
        """Return the score table, labelled."""

    @property
    def run(self) -> Reported:
        """Return the run, with its catalogue and manifest."""


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Hold the labelled scores of a run, without what was expected."""

    run: Reported

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return the score table, labelled."""
        return labels.label(self.run["scores"], self.run.catalogue)


@dataclass(frozen=True)
class Shape:
    """Say what a table holds: fields down and across, measures, and which part of the run.

    Fields are `method`, `scenario`, `setting`, `n`, `estimand`, `horizon`, `group`, `contrast`,
    `label`, `level`, and every dial and parameter by its name. What is in neither rows nor columns
    and differs makes tables of its own. Without measures there are those of the report's tables.
    `where` selects by field: a value, a glob, or several of them.
    """

    rows: tuple[str, ...] = ("method", "setting")
    columns: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    where: Mapping[str, Any] | None = None


def write_tables(folder: Path, contents: Labelled) -> None:
    """Write `scores.md` and `scores.tex`, with tables of all that was run, into a folder."""
    make_folder(folder)
    table = PaperTable(contents, Shape())
    for ending in ("md", "tex"):
        write_text(folder / f"scores.{ending}", table.text(ENDINGS[ending]))


@dataclass(frozen=True, eq=False)
class PaperTable:
    """Hold the scores of a run in the shape of a paper's tables.

    Raises BadInput, when it is made, for fields, measures and values that the run does not have.
    """

    contents: Labelled
    shape: Shape

    def __post_init__(self) -> None:
        known = (*(m.name for m in listed("scores")), *COUNTS, TRUTH)
        for name in self.shape.measures:
            if name not in known:
                raise BadInput(f"measures: {unknown('measure', name, known, listed=True)}")
        if twice := sorted({*self.shape.rows} & {*self.shape.columns}):
            raise BadInput(f"rows and columns: '{twice[0]}' is in both")
        if not len(self._scores):
            return
        self.fields.check(self.shape.rows, "rows")
        self.fields.check(self.shape.columns, "columns")

    @cached_property
    def _scores(self) -> pd.DataFrame:
        """Return the scores that were asked for; a dial that is named moves alone."""
        scores = self.contents.scores
        table = scores[scores["kind"] == "estimate"]
        named = (*self.shape.rows, *self.shape.columns)
        return selected(table, self.contents.run.catalogue, self.shape.where or {}, named)

    @cached_property
    def fields(self) -> Fields:
        """Return the fields of the scores."""
        return Fields(self._scores, self.contents.run.catalogue)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Return the names of the measures, the count of failures where some fits failed."""
        lost = ("failures",) if self._scores["failures"].any() else ()
        return self.shape.measures or (*(m.name for m in listed("paper", ORDER)), *lost)

    @cached_property
    def _panels(self) -> tuple[str, ...]:
        """Return the fields that make tables of their own: what rows and columns leave open."""
        named = [*self.shape.rows, *self.shape.columns]
        open_ends: list[str] = []
        if not len(self._scores):
            return ()
        for name in ("scenario", "n", *self.fields.parameters, *OVERALL, "setting", "method"):
            if name not in named and self.fields.differs(name, [*named, *open_ends]):
                open_ends.append(name)
        return tuple(open_ends)

    @property
    def _stubs(self) -> tuple[str, ...]:
        """Return the fields that name a row of numbers."""
        return (*self._panels, *self.shape.rows)

    def frame(self) -> pd.DataFrame:
        """Return the numbers: a column for each measure's value, error and limits.

        What is hidden in texts is NaN; `attrs["notes"]` says why.
        """
        import pandas as pd

        index = self._stubs
        lines: dict[tuple[Any, ...], dict[tuple[Any, ...], float]] = {}
        records = self._records
        for key, places in self.fields.groups(index):
            line = lines.setdefault(key, {})
            for column, own in self.fields.groups(self.shape.columns, places):
                (place,) = own
                for name in self.measures:
                    for part, value in _numbers(records[place], name).items():
                        line[*column, name, part] = value
        across = [
            (*column, name, part)
            for column, _ in self.fields.groups(self.shape.columns)
            for name in self.measures for part in _parts_of(name)
        ]  # fmt: skip
        heads = pd.MultiIndex.from_tuples(across, names=[*self.shape.columns, "measure", "part"])
        values = [[line.get(column, float("nan")) for column in across] for line in lines.values()]
        keys = [[self.fields.plain(n, v) for n, v in zip(index, k, strict=True)] for k in lines]
        rows: pd.Index[Any] | None = None
        if len(index) == 1:
            rows = pd.Index([key for (key,) in keys], name=index[0])
        elif index:
            rows = pd.MultiIndex.from_tuples(map(tuple, keys), names=index)
        table = pd.DataFrame(values, index=rows, columns=heads)
        table.attrs["notes"] = self.notes()
        return table

    @cached_property
    def _records(self) -> list[Score]:
        return [dict(row) for row in self._scores.to_dict("records")]

    def text(self, form: str) -> str:
        """Return the tables as markdown, latex, html, typst or csv, whose numbers are exact."""
        if form not in FORMATS:
            raise BadInput(f"format: {unknown('format', form, FORMATS)}")
        if form == "csv":
            return self._csv()
        parts = self.fields.groups(self._panels) if len(self._scores) else ()
        drawn = [self._grid(*part) for part in parts]
        return grids.WRITERS[form](drawn, citation(self.contents.run.manifest))

    def _csv(self) -> str:
        table = self.frame()
        names = []
        across: list[tuple[Any, ...]] = [tuple(column) for column in table.columns]
        for column in across:
            name, part = column[-2:]
            values = zip(self.shape.columns, column[:-2], strict=True)
            at = ", ".join(f"{field} = {self.fields.text(field, v)}" for field, v in values)
            own = name if part == "value" else f"{name}_{part}"
            names.append(f"{own} ({at})" if at else own)
        return csv_text(table.set_axis(names, axis=1).reset_index(drop=not self._stubs))

    def _grid(self, key: tuple[Any, ...], places: list[int]) -> Grid:
        fields, columns = self.fields, self.shape.columns
        across = list(fields.groups(columns, places))
        head = [
            [""] * len(self.shape.rows)
            + [self._head(columns[level], key_[level]) for key_, _ in across for _ in self.measures]
            for level in range(len(columns))
        ]
        names = [self.fields.heading(name) for name in self.shape.rows]
        head.append([*names, *(self._measure(name) for _ in across for name in self.measures)])
        body = []
        for row, own in fields.groups(self.shape.rows, places):
            there = dict(fields.groups(columns, own))
            stubs = [fields.text(n, v) for n, v in zip(self.shape.rows, row, strict=True)]
            cells = [
                self._cell(there.get(column), name) for column, _ in across
                for name in self.measures
            ]  # fmt: skip
            body.append([*stubs, *cells])
        return Grid(self._title(key, places), head, body, len(self.shape.rows), self.notes(places))

    def _head(self, field: str, value: Any) -> str:
        text = self.fields.text(field, value)
        if not text:
            return f"{self.fields.heading(field)} unknown"
        return text if field in ("method", "scenario", "setting", "estimand") else (
            f"{self.fields.heading(field)} = {text}"
        )  # fmt: skip

    def _measure(self, name: str) -> str:
        known = labels.labels_of(self.contents.run.catalogue, "measures")
        metric = METRICS.get(name)
        return known.get(name) or (metric.heading if metric else name)

    def _cell(self, places: list[int] | None, name: str) -> str:
        if places is None:
            return BLANK
        (place,) = places
        score = self._records[place]
        if name in COUNTS:
            return f"{int(score[name]):,} of {int(score['replicates']):,}" if name in (
                "failures", "declined") else f"{int(score[name]):,}"  # fmt: skip
        if name == TRUTH:
            return f"{number(score[TRUTH], score['truth_mcse'])} " + (
                error_of(score[TRUTH], score["truth_mcse"]) if score["truth_mcse"] else ""
            )
        return written(score, METRICS[name])

    def _title(self, key: tuple[Any, ...], places: list[int]) -> str:
        """Name a table by what is the same in all of it and not said in it."""
        fields, named = self.fields, {*self.shape.rows, *self.shape.columns}
        parts = []
        if "scenario" not in named:
            parts.append(fields.text("scenario", fields.value("scenario", places[0])))
        for name in ("n", *fields.parameters, *PARTS):
            if name not in named and (name == "n" or name in self._panels):
                value = fields.value(name, places[0])
                parts += (
                    [f"{fields.heading(name)} = {fields.text(name, value)}"] if value != "" else []
                )
        parts += [
            fields.text(n, v) for n, v in zip(self._panels, key, strict=True)
            if n in ("setting", "method")
        ]  # fmt: skip
        ends = [fields.text("estimand", fields.value("estimand", places[0]))]
        ends = [end for end in ends if end and "estimand" not in named]
        if "level" not in named:
            ends.append(f"nominal level {percent(fields.value('level', places[0]))} %")
        return ": ".join(filter(None, [", ".join(parts), ", ".join(ends)]))

    def notes(self, places: Sequence[int] | None = None) -> list[str]:
        """Return the footnotes: what stands beside numbers, what is hidden and why, what failed."""
        records = self._records if places is None else [self._records[i] for i in places]
        if not records:
            return ["No scores of estimators."]
        manifest = self.contents.run.manifest
        metrics = [METRICS[name] for name in self.measures if name in METRICS]
        counts = [int(score["replicates"]) for score in records]
        ends = [f"{n:,}" for n in dict.fromkeys((min(counts), max(counts)))]
        return [
            note for note in (
                _beside(metrics, by_formula(manifest)),
                f"Replicates in each cell: {' to '.join(ends)}.",
                *median_notes(records, metrics),
                *(limits_notes(records) if any("coverage" in m.name for m in metrics) else ()),
                *_blanks(records, metrics),
                _lost(records, counting(manifest)),
            ) if note
        ]  # fmt: skip


def citation(manifest: Mapping[str, Any]) -> str:
    """Name what made the numbers, so that a reader can make them again."""
    version = (manifest.get("versions") or {}).get("cibench", "")
    parts = [
        f"cibench {version}".strip(),
        *(f"{key} {manifest[key]}" for key in ("suite", "seed", "protocol") if key in manifest),
        str(manifest.get("created") or "")[:10],
    ]
    return f"Made by {', '.join(part for part in parts if part)}."


def _beside(metrics: Sequence[Metric], formula: str) -> str:
    shares = any(metric.share for metric in metrics)
    others = any(not metric.share for metric in metrics)
    text = ", ".join(filter(None, (
        f"Monte Carlo standard errors in brackets{formula}" if others else "",
        "beside shares their 95 % Wilson limits" if shares else "",
    )))  # fmt: skip
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _lost(records: Sequence[Score], counted: str) -> str:
    """Say whose fits gave no answer, and how many in the cell with most of them."""
    most: dict[str, Score] = {}
    for score in records:
        if score["failures"] and score["failures"] >= most.get(score["method"], score)["failures"]:
            most[score["method"]] = score
    if not most:
        return ""
    who = ", ".join(
        f"{method} (at most {int(score['failures']):,} of {int(score['replicates']):,} in a cell)"
        for method, score in most.items()
    )
    return (
        f"{counted[0].upper()}{counted[1:]}, and are in no average and no coverage but that 'with "
        f"failures', where they are misses as in the report: {who}."
    )


def _blanks(records: Sequence[Score], metrics: Sequence[Metric]) -> Iterator[str]:
    """Say why cells are blank, or have no error, that no other note speaks of."""
    wanted = {m.name: m.label for m in metrics}
    reasons: dict[str, dict[str, dict[str, None]]] = {}
    for score in records:
        for clause in str(score["note"] or "").split("; "):
            reason, _, names = clause.rpartition(": ")
            blank = [
                name for name in names.split(", ") if name in wanted
                and (score["moments"] or METRICS[name].moments == "any") and SQUARES not in reason
            ]  # fmt: skip
            for name in blank:
                reasons.setdefault(reason, {}).setdefault(str(score["method"]), {})[name] = None
    for reason, methods in reasons.items():
        who = "; ".join(
            f"{method}: {', '.join(wanted[name] for name in names)}"
            for method, names in methods.items()
        )
        yield f"Blank or without an error, as {reason} ({who})."


def _parts_of(name: str) -> tuple[str, ...]:
    if name in COUNTS:
        return ("value",)
    if name == TRUTH:
        return ("value", "mcse")
    return tuple(end.lstrip("_") or "value" for end in METRICS[name].kind.endings)


def _numbers(score: Score, name: str) -> dict[str, float]:
    """Return the numbers of a measure; those that are hidden from people are none."""
    metric = METRICS.get(name)
    if metric and metric.moments != "any" and not score["moments"]:
        return dict.fromkeys(_parts_of(name), float("nan"))
    columns = (name if part == "value" else f"{name}_{part}" for part in _parts_of(name))
    values = (score[column] for column in columns)
    numbers = (float("nan") if missing(value) else value for value in values)
    return dict(zip(_parts_of(name), numbers, strict=True))
