"""Cross the options that estimators offer with the forms that data come in, pairwise.

A place is a scenario whose parameters change the form of its data and nothing else. Of an estimator
every two values, of its options and of the forms that it does not decline, meet in some cell; all
estimators of a place share the cells of its forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from cibench.model.design import configure, find_scenario
from cibench.model.method import Estimator
from cibench.testing.pairwise import Row, extended_rows, pairwise_rows
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import canonical

Options = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Place:
    """Say which scenario, how many units, and the values of each parameter that form the data."""

    scenario: str
    n: int
    forms: Mapping[str, Sequence[Any]]


def open_forms(estimator: Estimator, place: Place) -> dict[str, tuple[Any, ...]]:
    """Return the values of each form at which the estimator does not decline by declaration.

    Empty where it declines all. A form is open where some setting with it is.
    """
    cls, names = find_scenario(place.scenario), list(place.forms)
    rows = [dict(zip(names, row, strict=True)) for row in product(*place.forms.values())]
    there = [row for row in rows if estimator.declines(configure(cls, row)) is None]
    if not there:
        return {}
    seen = {name: {canonical(row[name]) for row in there} for name in names}
    return {
        name: tuple(v for v in values if canonical(v) in seen[name])
        for name, values in place.forms.items()
    }


def rows_of(estimator: Estimator, place: Place, options: Options) -> list[tuple[Row, Row]]:
    """Return settings of the forms and of the estimator's options in which every pair meets.

    Raises BadInput for an option that it has not, for one without two values, and for one that
    takes its place in no list: every option is crossed.
    """
    _check(estimator, options)
    forms = open_forms(estimator, place)
    if not forms:
        return []
    shared = [
        row for row in pairwise_rows(place.forms)
        if all(row[name] in values for name, values in forms.items())
    ]  # fmt: skip
    own = {f"{estimator.name} {key}": values for key, values in options.items()}
    rows = extended_rows(shared, {**forms, **own})
    return [
        (
            {name: row[name] for name in forms},
            {key: row[f"{estimator.name} {key}"] for key in options},
        )
        for row in rows
    ]


def _check(estimator: Estimator, options: Options) -> None:
    for key, values in options.items():
        if key not in estimator.options:
            raise BadInput(unknown(f"option of {estimator.name}", key, estimator.options))
        if len({canonical(value) for value in values}) < 2:
            raise BadInput(f"{estimator.name}: '{key}' has fewer than two values to cross")
    if lacking := [key for key in estimator.options if key not in options]:
        raise BadInput(f"{estimator.name}: no values are given for its option '{lacking[0]}'")


def cells(place: Place, entrants: Mapping[str, tuple[Estimator, Options]]) -> list[dict[str, Any]]:
    """Return the tables of a suite file: `[[cells]]` of one place, for all of its estimators.

    Tables of one setting of the forms are one cell of the suite; a second one is written only where
    an estimator is to be there with other options, too.
    """
    tables: list[dict[str, Any]] = []
    for name, (estimator, options) in entrants.items():
        for forms, chosen in rows_of(estimator, place, options):
            table = _with_room(tables, place, forms, name)
            table["estimators"].append(name)
            if moved := _moved(estimator, chosen):
                table["options"][name] = moved
    return [{k: v for k, v in table.items() if v != {}} for table in tables]


def _moved(estimator: Estimator, chosen: Row) -> Row:
    """Return what is not the default: a suite file has no word for None."""
    known = estimator.options
    return {key: v for key, v in chosen.items() if canonical(v) != canonical(known[key])}


def _with_room(tables: list[dict[str, Any]], place: Place, forms: Row, name: str) -> dict[str, Any]:
    """Return the first table of these forms that the estimator is not in, a new one else."""
    for table in tables:
        if table["parameters"] == forms and name not in table["estimators"]:
            return table
    cell = {"scenario": place.scenario, "n": place.n, "parameters": forms}
    tables.append({**cell, "estimators": [], "options": {}})
    return tables[-1]
