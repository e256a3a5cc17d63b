"""Sort the sensitivity study of a run by the views of its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cibench.report.numbers import blank

if TYPE_CHECKING:
    import pandas as pd

    from cibench.sensitivity import Study

Line = Mapping[str, Any]
"""One row of the sensitivity table, by column, with `method` beside them."""


@dataclass(frozen=True)
class Doses:
    """Hold what the study says of one view.

    `broken` are its lines of the sensitivity table; `bands` the simultaneous limits at a method,
    dial, setting and measure.
    """

    broken: Sequence[Line] = ()
    bands: Mapping[tuple[str, str, float, str], tuple[float, float]] = field(default_factory=dict)


def by_view(
    study: Study | None, scores: pd.DataFrame, keys: Sequence[str]
) -> dict[tuple[Any, ...], Doses]:
    """Return the study's share of each view, by what names the view; `scores` are labelled."""
    if study is None:
        return {}
    pairs = scores[["estimator", "options", "method"]].drop_duplicates()
    named = {(estimator, options): method for estimator, options, method in pairs.values}
    broken: dict[tuple[Any, ...], list[Line]] = {}
    for key, line in _lines(study.sensitivity, named, keys):
        broken.setdefault(key, []).append(line)
    bands: dict[tuple[Any, ...], dict[Any, tuple[float, float]]] = {}
    for key, line in _lines(study.curves, named, keys):
        place = line["method"], line["dial"], line["setting"], line["measure"]
        bands.setdefault(key, {})[place] = line["band_low"], line["band_high"]
    return {key: Doses(broken.get(key, ()), limits) for key, limits in bands.items()}


def _lines(
    table: pd.DataFrame, named: Mapping[tuple[Any, Any], str], keys: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], Line]]:
    for row in table.to_dict("records"):
        line: Line = {str(k): v for k, v in row.items()}
        key = tuple(_plain(name, line[name]) for name in keys)
        yield key, {**line, "method": named[line["estimator"], line["options"]]}


def _plain(name: str, value: Any) -> Any:
    """Write a key as `labels.label` does."""
    if name == "horizon":
        return float("-inf") if blank(value) else float(value)
    return "" if blank(value) else value
