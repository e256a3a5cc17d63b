"""Scores of a table of estimates that somebody's own loop made: which column is what, and its run.

A row is a fit: what a method answered on a data set. Columns become replicate rows, and these a run
folder, marked as made elsewhere; scores, pairs, ranks and report then come from rows alone, as of
any run. Nothing is expected of methods whose assumptions nobody declared.
"""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.types import TARGET, Array
from cibench.render.labels import by_combination
from cibench.results.run_folder import Run
from cibench.storage.made_elsewhere import Origin, write_run
from cibench.storage.schema import IDENTITY, TYPES
from cibench.utils.errors import BadInput, unknown
from cibench.utils.foreign import read_table
from cibench.utils.leftovers import new_folder
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 2**53
"""Whole numbers from here on are not all numbers of their own to a computer's arithmetic."""

RESERVED = {"method", "scenario", "setting", "n", "level", *TARGET}
"""Fields that tables of any run have, so that no column that sets cells apart can be called so."""

MOST_SHOWN = 4
"""Values that a complaint repeats."""


@dataclass(frozen=True)
class Columns:
    """Say which column of a table of estimates is what.

    `se` may be replaced by `variance`; `low` and `high` are limits, without which they are
    the estimate and its standard error times a quantile, of t where there is a column `df`, else of
    the normal. `truth` and `n` are a column, or the value of all rows. `method` says who answered,
    `replicate` on which data set: without it rows are numbered for each method, and no two methods
    are compared on the same data. `answered` is 1 or true where a fit came to an answer. `by` are
    the columns that set cells apart; those of `dials` break an assumption, from the value given as
    default on. `estimand` is a name for all rows.
    """

    estimate: str
    truth: str | float
    se: str = ""
    variance: str = ""
    low: str = ""
    high: str = ""
    df: str = ""
    p_value: str = ""
    method: str = ""
    replicate: str = ""
    answered: str = ""
    n: str | int = ""
    by: tuple[str, ...] = ()
    dials: Mapping[str, float] = field(default_factory=dict)
    estimand: str = "effect"

    @property
    def named(self) -> list[tuple[str, str]]:
        """Return the columns that the table must have, each with what asks for it."""
        single = [f.name for f in fields(self) if f.name not in ("by", "dials", "estimand")]
        values = [(name, getattr(self, name)) for name in single]
        some = [(name, value) for name, value in values if isinstance(value, str) and value]
        return [*some, *(("by", name) for name in self.by), *(("dials", n) for n in self.dials)]

    @property
    def limits(self) -> str:
        """Say how limits are made that the table does not have, "" where it has them."""
        if self.low or not (self.se or self.variance):
            return ""
        law = f"Student's t where {self.df} has degrees of freedom" if self.df else "the normal law"
        return f"Limits were made of estimates and standard errors by {law}."


def score(
    table: pd.DataFrame | str | Path, *, level: float = 0.95, errors: str = "jackknife",
    truth_by_replicate: bool = False, name: str = "", out: str | Path | None = None, **columns: Any,
) -> Run:  # fmt: skip
    """Score a table of estimates that was made elsewhere, and return it as a run.

    `table` is a DataFrame or the path of a CSV, Parquet or Stata file with a row for each fit;
    `columns` say which of its columns is what: `estimate` and `truth` at least, and the others of
    `cibench.results.estimates.Columns`. Limits have the nominal `level`. `errors` "normal" takes
    the Monte Carlo errors of empirical SE, precision gained and SE ratio from the formulas for
    normal estimates, as many published tables do. A truth that differs within a cell is refused
    unless `truth_by_replicate`. Without `out` the run folder is a temporary one that goes with the
    returned object. Raises BadInput, with nothing written, for a column that is not there or holds
    no numbers, a cell with several truths, a method with two answers on a data set, and an `out`
    that is not empty.

    >>> import cibench
    >>> import pandas as pd
    >>> table = pd.DataFrame({"b": [0.4, 0.7, 0.5], "se": 0.1, "dataset": [1, 2, 3]})
    >>> run = cibench.score(
    ...     table, estimate="b", se="se", replicate="dataset", truth=0.5, name="mine"
    ... )
    >>> run.scores[["estimator", "answered", "bias", "empirical_se", "coverage"]].round(3)
      estimator  answered   bias  empirical_se  coverage
    0      mine         3  0.033         0.153     0.667
    """
    source = Path(table) if isinstance(table, str | Path) else None
    called = name or (source.stem if source else "estimates")
    wanted = _columns(columns)
    origin = Origin(called, source.name if source else "", level, errors, wanted.limits)
    frame: Any = read_table(source, exact=True) if source else table
    where = str(source or "the table")
    rows = replicate_rows(frame, wanted, origin, where, truth_by_replicate=truth_by_replicate)
    names = _data_sets(_Table(frame, where), wanted.replicate)[1] if wanted.replicate else ()
    run = Run(Path(out) if out is not None else new_folder("scores"))
    if out is None:
        weakref.finalize(run, shutil.rmtree, run.folder, ignore_errors=True)
    write_run(run.folder, rows, origin, wanted.dials, names)
    return run


def _columns(named: Mapping[str, Any]) -> Columns:
    """Return the columns that a caller names; raises BadInput for what none can be."""
    known = [f.name for f in fields(Columns)]
    faults = [
        f"{unknown('role of a column', name, known)}; roles are {', '.join(known)}"
        for name in named if name not in known
    ]  # fmt: skip
    faults += [f"{name}: name its column" for name in ("estimate", "truth") if name not in named]
    if faults:
        raise BadInput(*faults)
    by = named.get("by", ())
    return Columns(**{**named, "by": (by,) if isinstance(by, str) else tuple(by)})


def replicate_rows(
    frame: Any, columns: Columns, origin: Origin, where: str, *, truth_by_replicate: bool = False
) -> pd.DataFrame:
    """Return the replicate rows of a table of estimates, cell by cell in replicate order.

    `where` says in complaints whose table it is. Raises BadInput as `score` does.
    """
    import pandas as pd

    table = _Table(frame.reset_index(drop=True), where)
    table.check(columns)
    method = table.texts(columns.method, "method") if columns.method else origin.name
    rows = pd.DataFrame(index=table.frame.index).assign(
        kind="estimate", scenario=origin.name, options="{}", refit=0, level=origin.level,
        estimand=columns.estimand, estimator=method, **_settings(table, columns),
        truth=table.numbers(columns.truth, "truth"), **_answers(table, columns, origin.level),
    )  # fmt: skip
    keys = [*IDENTITY, "estimator"]
    if columns.replicate:
        rows["replicate"] = _data_sets(table, columns.replicate)[0]
    else:  # numbers of its own for each method: nobody knows which data sets they share
        rows["replicate"] = rows.groupby("estimator", sort=False).ngroup() * len(rows)
        rows["replicate"] += rows.groupby(keys, sort=False).cumcount()
    _check_rows(rows, columns, where, truth_by_replicate)
    rows["cell"] = rows.groupby(list(IDENTITY), sort=False).ngroup()
    rows = rows.sort_values(["cell", "replicate"], kind="stable", ignore_index=True)
    return rows.reindex(columns=list(TYPES))


@dataclass(frozen=True, eq=False)
class _Table:
    """Hold a table and, for complaints, its name; give its columns as what they should be."""

    frame: pd.DataFrame
    where: str

    def check(self, columns: Columns) -> None:
        """Raise BadInput with a line for each column that is not there, or asked for twice."""
        there = [str(name) for name in self.frame.columns]
        faults = [
            f"{self.where}: {role}: {unknown('column', name, there)}"
            for role, name in columns.named if name not in there
        ]  # fmt: skip
        faults += [
            f"{self.where}: {role}: '{name}' is a word of our own tables; rename the column"
            for role, name in columns.named
            if (role == "dials" and name in RESERVED) or (role == "by" and name in RESERVED - {"n"})
        ]
        if columns.se and columns.variance:
            faults.append("se and variance: one is enough")
        if bool(columns.low) != bool(columns.high):
            faults.append("low and high: name both or neither")
        if self.frame.empty:
            faults.append(f"{self.where}: it has no rows")
        if faults:
            raise BadInput(*faults)

    def numbers(self, column: str | float, role: str) -> Array:
        """Return a column of numbers, or one number for all rows; what is missing is NaN."""
        import pandas as pd

        if not isinstance(column, str):
            return np.full(len(self.frame), float(column))
        values = self.frame[column]
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=nan)
        wrong = np.isnan(numbers) & values.notna().to_numpy()
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadInput(
                f"{self.where}: {role}: row {row + 1} of column '{column}' holds "
                f"{str(values.iloc[row])[:60]!r}, which is no number"
            )
        return numbers

    def refuse(self, wrong: Array, role: str, words: str) -> None:
        """Raise BadInput for the first row of which a condition holds."""
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadInput(f"{self.where}: {role}: that of row {row + 1} {words}")

    def whole(self, column: str | float, role: str) -> Array:
        """Return a column of numbers without a gap."""
        numbers = self.numbers(column, role)
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise BadInput(f"{self.where}: {role}: row {row + 1} of column '{column}' has none")
        return numbers

    def texts(self, column: str, role: str) -> Any:
        """Return a column as texts; raises BadInput where a row has none."""
        values = self.frame[column]
        if values.isna().any():
            row = int(np.flatnonzero(values.isna().to_numpy())[0])
            raise BadInput(f"{self.where}: {role}: row {row + 1} of column '{column}' is empty")
        return self.same_blanks(values.map(_text), column, role).astype(object)

    def same_blanks(self, texts: Any, column: str, role: str) -> Any:
        """Return texts without blanks around; BadInput where these alone set two of them apart."""
        first: dict[str, tuple[int, str]] = {}
        for row, text in enumerate(texts, 1):
            if not isinstance(text, str):
                continue
            before, other = first.setdefault(text.strip(), (row, text))
            if other != text:
                raise BadInput(
                    f"{self.where}: {role}: rows {before} and {row} of column '{column}' hold "
                    f"{other!r} and {text!r}, which blanks alone set apart; write them alike"
                )
        return texts.map(lambda text: text.strip() if isinstance(text, str) else text)


def _text(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def _settings(table: _Table, columns: Columns) -> dict[str, Any]:
    """Return the columns that say to which cell each row belongs."""
    n = columns.n or ("n" if "n" in columns.by else 0)
    units = table.whole(n, "n")
    if not ((units == np.round(units)) & (units >= 0) & (units < LARGEST)).all():
        raise BadInput(f"{table.where}: n: column '{n}' does not hold numbers of units")
    others = [name for name in columns.by if name not in (n, *columns.dials)]
    moved = table.frame.assign(**{name: table.whole(name, "dials") for name in columns.dials})
    defaults = columns.dials
    for name, default in defaults.items():
        if not (moved[name] == default).any():
            raise BadInput(f"{table.where}: dials: no row has {name} = {default:g}, its default")

    def parameters(*values: Any) -> str:
        return json.dumps({k: _plain(v) for k, v in zip(others, values, strict=True)})

    def dials(*values: Any) -> str:
        return json.dumps({k: float(v) for k, v in zip(defaults, values, strict=True)})

    def dial(*values: Any) -> str | None:
        off = [k for k, v in zip(defaults, values, strict=True) if v != defaults[k]]
        return off[0] if len(off) == 1 else None

    def setting(*values: Any) -> float:
        return float(values[[*defaults].index(name)]) if (name := dial(*values)) else nan

    return {
        "n": units.astype(np.int64), "parameters": _named(table.frame.assign(**{
            name: table.same_blanks(table.frame[name], name, "by") for name in others
        }), others, parameters),
        "dials": _named(moved, [*defaults], dials),
        "dial": _named(moved, [*defaults], dial), "setting": _named(moved, [*defaults], setting),
    }  # fmt: skip


def _named(frame: pd.DataFrame, columns: list[str], name: Callable[..., Any]) -> Any:
    """Return for each row what `name` makes of its values in some columns, which may be none."""
    return by_combination(frame, columns, name) if columns else [name()] * len(frame)


def _plain(value: Any) -> Any:
    """Return a value of a table as JSON has it; what is missing is null."""
    value = value.item() if isinstance(value, np.generic) else value
    if missing(value) or (isinstance(value, float) and not isfinite(value)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return value if isinstance(value, bool | int | str) else str(value)


def _answers(table: _Table, columns: Columns, level: float) -> dict[str, Any]:
    """Return estimates, errors and limits, and what became of each fit."""
    estimate = table.numbers(columns.estimate, "estimate")
    blank = np.full(estimate.size, nan)
    error = table.numbers(columns.se, "se") if columns.se else blank
    if columns.variance:
        squared = table.numbers(columns.variance, "variance")
        error = np.copysign(np.sqrt(np.abs(squared)), squared)  # a negative one stays so
    df = table.numbers(columns.df, "df") if columns.df else blank
    p_value = table.numbers(columns.p_value, "p_value") if columns.p_value else blank
    if columns.low:
        low, high = table.numbers(columns.low, "low"), table.numbers(columns.high, "high")
    else:
        reach = _quantile(df, level) * error
        low, high = estimate - reach, estimate + reach
        high[error < 0] = low[error < 0]
    table.refuse(df <= 0, "df", "is not above 0")
    table.refuse((p_value < 0) | (p_value > 1), "p_value", "is not between 0 and 1")
    table.refuse(low > high, "low", "is above its upper limit")
    status, reason = _statuses(table, columns, estimate, error)
    there = status == "ok"
    numbers = {
        "estimate": estimate, "std_error": error, "df": df, "ci_low": low, "ci_high": high,
        "p_value": p_value,
    }  # fmt: skip
    answers = {name: np.where(there, values, nan) for name, values in numbers.items()}
    answers["outside"] = np.full(estimate.size, None)
    answers["outside"][there & ~np.isnan(answers["ci_low"])] = False
    return {**answers, "status": status, "reason": reason}


def _quantile(df: Array, level: float) -> Array:
    """Return by how many standard errors limits lie from the estimate."""
    from scipy.stats import norm, t

    place = (1 + level) / 2
    if np.isnan(df).all():
        return np.full(df.size, float(norm.ppf(place)))
    return np.where(np.isnan(df), norm.ppf(place), t.ppf(place, np.where(df > 0, df, nan)))


def _statuses(
    table: _Table, columns: Columns, estimate: Array, error: Array
) -> tuple[Array, Array]:
    """Return the status and, of failures, the reason of each row."""
    status = np.full(estimate.size, "ok", dtype=object)
    reason = np.full(estimate.size, None, dtype=object)
    what = "variance" if columns.variance else "standard error"
    for lost, kind, why in (
        (error < 0, "failed", f"negative {what}"),
        (np.isinf(error), "nonfinite", f"infinite {what}"),
        (np.isinf(estimate), "nonfinite", "infinite estimate"),
        (np.isnan(estimate), "failed", "no estimate"),
    ):  # fmt: skip
        status[lost], reason[lost] = kind, why
    if columns.answered:
        values = table.frame[columns.answered]
        words = values.map({"true": 1.0, "false": 0.0, "TRUE": 1.0, "FALSE": 0.0})
        flags = _Table(table.frame.assign(**{columns.answered: values.where(words.isna(), words)}),
                       table.where).whole(columns.answered, "answered")  # fmt: skip
        if not np.isin(flags, (0, 1)).all():
            raise BadInput(f"{table.where}: answered: column '{columns.answered}' holds other "
                           "values than 1, 0, true and false")  # fmt: skip
        lost = (flags == 0) & (status == "ok")
        status[lost], reason[lost] = "failed", f"{columns.answered} is 0"
    return status, reason


def _data_sets(table: _Table, column: str) -> tuple[Array, Sequence[str]]:
    """Return the number of each row's data set, and the labels that these are the places of.

    Labels that are whole numbers are the numbers themselves.
    """
    import pandas as pd

    labels = table.texts(column, "replicate")
    numbers: Array = pd.to_numeric(labels, errors="coerce").to_numpy(dtype=float, na_value=nan)
    if ((numbers == np.round(numbers)) & (numbers >= 0) & (numbers < LARGEST)).all():
        return numbers.astype(np.int64), ()
    places, names = pd.factorize(labels)
    return places.astype(np.int64), list(names)


def _check_rows(rows: pd.DataFrame, columns: Columns, where: str, by_replicate: bool) -> None:
    """Raise BadInput for a method with two answers on a data set, and for a cell of two truths."""
    apart = "name the column that sets them apart with `by`"
    keys = [*IDENTITY, "estimator", "replicate"]
    twice = rows.duplicated(keys, keep=False)
    if twice.any():
        first = rows[twice].iloc[0]
        same = np.flatnonzero((rows[keys] == first[keys]).all(axis=1).to_numpy())[:2] + 1
        who = f"'{first['estimator']}'" if columns.method else "the method"
        raise BadInput(
            f"{where}: rows {same[0]} and {same[1]}: {who} has two answers on replicate "
            f"{first['replicate']}; {apart}"
        )
    if rows["truth"].isna().any():
        row = int(np.flatnonzero(rows["truth"].isna().to_numpy())[0])
        raise BadInput(f"{where}: truth: row {row + 1} has none")
    group = [*IDENTITY, "replicate"] if by_replicate else list(IDENTITY)
    several = rows.groupby(group, sort=False)["truth"].nunique()
    if (several > 1).any():
        cell = several.index[int(np.flatnonzero(several.to_numpy() > 1)[0])]
        inside = rows[(rows[group] == list(cell)).all(axis=1)]["truth"].unique()
        listed = ", ".join(f"{value:g}" for value in inside[:MOST_SHOWN])
        more = ", ..." if inside.size > MOST_SHOWN else ""
        what = "a data set" if by_replicate else "a cell"
        way = "" if by_replicate else ", or say that each data set has its own (truth_by_replicate)"
        raise BadInput(f"{where}: truth: {inside.size:,} in {what} ({listed}{more}); {apart}{way}")
