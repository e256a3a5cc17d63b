"""Cut a run into what is looked at together: one scenario, size, parameters and target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.analysis.scores import SHOW_MOMENTS
from cibench.metrics import METRICS, Metric
from cibench.metrics.groups import Group
from cibench.metrics.moments import SQUARES
from cibench.metrics.scales import words
from cibench.model.estimands import Estimand, is_estimand
from cibench.model.types import SUBDIVISIONS, TARGET, Array
from cibench.render import labels
from cibench.render.labels import DEFAULT, Setting
from cibench.render.numbers import BLANK, digits, error_of, limits, number, percent
from cibench.report.answers import Answers
from cibench.storage.spool import SpooledGroup
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

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
    sensitivity: pd.DataFrame, curves: pd.DataFrame, scores: pd.DataFrame, keys: Sequence[str]
) -> dict[tuple[Any, ...], Doses]:
    """Return the study's share of each view, by what names the view; `scores` are labelled."""
    pairs = scores[["estimator", "options", "method"]].drop_duplicates()
    named = {(estimator, options): method for estimator, options, method in pairs.values}
    broken: dict[tuple[Any, ...], list[Line]] = {}
    for key, line in _lines(sensitivity, named, keys):
        broken.setdefault(key, []).append(line)
    bands: dict[tuple[Any, ...], dict[Any, tuple[float, float]]] = {}
    for key, line in _lines(curves, named, keys):
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
    """Write a key as `cibench.render.labels.label` does."""
    if name == "horizon":
        return float("-inf") if missing(value) else float(value)
    return "" if missing(value) else value


Score = Mapping[Hashable, Any]
"""One row of the score table, by column, with `method` and `at` beside them."""

KEYS = ["scenario", "n", "parameters", *TARGET, "level"]


def written(score: Score, metric: Metric) -> str:
    """Write a metric of a row: beside its Monte Carlo error, a share in % beside Wilson's limits.

    A dash stands for what is blank. What means nothing without moments is a dash, too, or the
    metric of medians in its place, with a mark; `median_notes` says what it marks.
    """
    if metric.moments != "any" and not score["moments"]:
        return _in_its_place(score, metric.median)
    value, error = score[metric.name], score[f"{metric.name}_mcse"]
    if missing(value):
        return BLANK
    if not metric.share:
        return f"{number(value, error)} {error_of(value, error)}".rstrip()
    low, high = score[f"{metric.name}_low"], score[f"{metric.name}_high"]
    return f"{percent(value, digits(low, high))} ({limits(low, high)})"


MEDIAN = "†"
WHY = {"declared": "no finite moments, as declared"}


def _in_its_place(score: Score, name: str) -> str:
    if not name or missing(score[name]):
        return BLANK
    value, error = score[name], score[f"{name}_mcse"]
    return f"{number(value, error)}{MEDIAN} {error_of(value, error)}".rstrip()


def median_notes(scores: Iterable[Score], metrics: Iterable[Metric]) -> list[str]:
    """Return the footnotes of a table of metrics about estimators without moments, none if none.

    The first says what the mark stands for, another whose averages are shown all the same, the last
    whose standard errors have no average.
    """
    columns = [m for m in metrics if m.moments != "any"]
    if not columns:
        return []
    wanted = {m.name for m in columns}
    hidden, believed, absurd = dict[str, str](), dict[str, None](), dict[str, str]()
    for score in scores:
        why = str(score["moments_note"] or "")
        for reason in str(score["note"] or "").split("; "):
            if SQUARES in reason and wanted & set(reason.rpartition(": ")[2].split(", ")):
                absurd.setdefault(str(score["method"]), reason.partition(":")[0])
        if score["kind"] == "diagnostic" or (score["moments"] and not why):
            continue
        if score["moments"]:
            believed[str(score["method"])] = None
        else:
            hidden.setdefault(str(score["method"]), why)
    notes = []
    if hidden:
        swaps = [f"{METRICS[m.median].meaning} for {m.label}" for m in columns if m.median]
        dashes = [m.label for m in columns if not m.median]
        who = ", ".join(f"{method} ({WHY.get(why, why)})" for method, why in hidden.items())
        lost = f"; {' and '.join(dashes)} have none" if dashes else ""
        notes.append(
            f"{MEDIAN} Averages over these replicates cannot be relied on: {who}. Medians stand "
            f"for them: {', '.join(swaps)}{lost}. `{SHOW_MOMENTS} = true` in the suite shows the "
            "averages."
        )
    if believed:
        who = ", ".join(believed)
        notes.append(f"Averages are shown as the suite asks, though none can be relied on: {who}.")
    if absurd:
        who = ", ".join(f"{method} ({why})" for method, why in absurd.items())
        notes.append(
            f"No average, and no SE ratio, of standard errors that none stands for: {who}."
        )
    return notes


def unit_of(score: Score) -> str:
    """Return in what the errors of a score are; of an estimand that nobody knows the outcome's."""
    name = str(score["estimand"])
    own = Estimand(name).unit if is_estimand(name) else "units of the outcome"
    scale = score.get("scale")
    return f"log of the {own}" if str(scale).startswith("log") else own


def scale_notes(scores: Iterable[Score]) -> list[str]:
    """Say which estimands are scored on another scale than that of their unit."""
    scales: dict[str, list[str]] = {}
    for score in scores:
        if not missing(score.get("scale")):
            names = scales.setdefault(str(score["scale"]), [])
            names += [] if score["estimand"] in names else [str(score["estimand"])]
    return [
        f"numbers of {', '.join(names)} are those of {words(scale)}, of which 0 is no effect"
        for scale, names in scales.items()
    ]


@dataclass(frozen=True, eq=False)
class View:
    """Hold what stands in one table and one set of plots.

    `about` is the scenario's part of the catalogue; `scores` are keyed by method and setting
    label; `apart` is the title where the scenario has other views too, "" where not. `doses` are
    the view's share of the sensitivity study, `pairs` the comparisons in its default cell,
    `answers` those of its methods there.
    """

    scenario: str
    n: int
    estimand: str
    horizon: int | None
    level: float
    parameters: Mapping[str, Any]
    about: Mapping[str, Any]
    title: str
    apart: str
    slug: str
    settings: tuple[Setting, ...]
    methods: tuple[str, ...]
    scores: Mapping[tuple[str, str], Score]
    doses: Doses
    pairs: Mapping[tuple[str, str, str], Mapping[str, Any]]
    answers: Mapping[str, SpooledGroup]

    def answered(self, method: str) -> Group:
        """Return the columns of a method's answers in the default cell, in replicate order."""
        group = self.answers[method].read()
        return {name: column[group["ok"]] for name, column in group.items()}

    @cached_property
    def truths(self) -> Array:
        """Return the different truths of the default cell's answers, two at the most."""
        distinct = np.empty(0)
        for group in self.answers.values():
            columns = group.read("ok", "truth")
            truths = columns["truth"][columns["ok"]]
            distinct = np.union1d(distinct, truths[~np.isnan(truths)])[:2]
        return distinct

    @property
    def truth_varies(self) -> bool:
        """Say whether each replicate of the default cell has a truth of its own."""
        return self.truths.size > 1

    def at_default(self, method: str) -> Score | None:
        """Return the method's score in the default cell, None where it was not run there."""
        return self.scores.get((method, DEFAULT))

    @cached_property
    def unit(self) -> str:
        """Return in what errors are: the estimand's unit, or the logarithm of it."""
        return unit_of(next(iter(self.scores.values())))

    @property
    def name(self) -> str:
        """Return how people call the scenario."""
        return labels.scenario_label(self.scenario, self.about)

    def called(self, dial: str) -> str:
        """Return how people call a dial."""
        return labels.dial_label(dial, self.about)

    def heading(self, metric: Metric) -> str:
        """Return how people call a metric, with its unit."""
        return labels.labels_of(self.about, "measures").get(metric.name, metric.heading)

    @property
    def dials(self) -> tuple[str, ...]:
        """Return the dials that were moved one at a time, in order."""
        return tuple(dict.fromkeys(s.dial for s in self.settings if s.dial is not None))

    def dial(self, name: str) -> Mapping[str, Any]:
        """Return what the catalogue says of a dial, nothing where it does not know it."""
        return labels.dials_of(self.about).get(name) or {}

    def curve(self, dial: str) -> list[tuple[float, Setting]]:
        """Return a dial's settings in ascending order, the default cell as the zero among them."""
        points = [(s.value, s) for s in self.settings if s.dial == dial and s.value is not None]
        default = self.dial(dial).get("default")
        if default is not None and self.settings[0].label == DEFAULT:
            points.append((float(default), self.settings[0]))
        return sorted(points, key=lambda point: point[0])


def cut(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], doses: Mapping[tuple[Any, ...], Doses],
    pairs: Mapping[tuple[Any, ...], Lines], answers: Answers,
) -> list[View]:  # fmt: skip
    """Cut labelled scores of estimators into views, in the order of the score table.

    `doses` and `pairs` are the shares of each view, as `by_view` and `lines_of` sort them.
    """
    parts: dict[tuple[Any, ...], list[Score]] = {}
    for score in scores[scores["kind"] == "estimate"].to_dict("records"):
        parts.setdefault(tuple(score[key] for key in KEYS), []).append(score)
    titles = labels.view_titles([dict(zip(KEYS, key, strict=True)) for key in parts])
    known = catalogue.get("scenarios") or {}
    lone = Counter(key[0] for key in parts)
    views = []
    for (key, part), plain_title in zip(parts.items(), titles, strict=True):
        scale = part[0].get("scale")
        title = plain_title if missing(scale) else f"{plain_title} ({words(str(scale))})"
        lines = {(s["method"], s["at"]): s for s in part}
        drawn = {m: a for (m, at), s in lines.items() if at == DEFAULT and (a := answers.of(s))}
        views.append(View(
            **_named(key, part, known.get(key[0]) or {}), title=title,
            apart="" if lone[key[0]] == 1 else title, slug=labels.slug(f"{key[0]} {title}"),
            scores=lines, doses=doses.get(key, Doses()), pairs=pairs.get(key, {}), answers=drawn,
        ))  # fmt: skip
    return views


def _named(key: tuple[Any, ...], part: Sequence[Score], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names a view, its settings and its methods."""
    scenario, n, parameters, estimand, horizon, *_, level = key
    places = {
        score["at"]: labels.setting(score["dial"], score["setting"], score["dials"], about)
        for score in part
    }
    return {
        "scenario": scenario, "n": int(n), "estimand": estimand,
        "horizon": None if horizon == float("-inf") else int(horizon), "level": float(level),
        "parameters": labels.parse(parameters), "about": about,
        "settings": labels.in_order(places.values(), about),
        "methods": tuple(dict.fromkeys(str(score["method"]) for score in part)),
    }  # fmt: skip


Lines = Mapping[tuple[str, str, str], Line]
"""Comparisons by measure, method and the method it is compared with."""


def lines_of(
    pairs: pd.DataFrame, scores: pd.DataFrame, keys: Sequence[str], catalogue: Mapping[str, Any]
) -> dict[tuple[Any, ...], Lines]:
    """Sort the comparisons by the views of the report, each in both directions.

    `oracle` beside the columns says whether what is compared with is an oracle.
    """
    known = catalogue.get("estimators") or {}
    oracles = {name for name, said in known.items() if said.get("oracle")}
    named = scores[["estimator", "options", "method"]].drop_duplicates()
    methods = {(estimator, options): method for estimator, options, method in named.values}
    views: dict[tuple[Any, ...], dict[tuple[str, str, str], Line]] = {}
    for row in pairs.to_dict("records"):
        line = {str(name): value for name, value in row.items()}
        horizon = float("-inf") if missing(line["horizon"]) else float(line["horizon"])
        blanks = {n: "" for n in SUBDIVISIONS if missing(line.get(n))}
        place = {**line, **blanks, "horizon": horizon, "estimand": line["estimand"] or ""}
        own = methods[line["estimator"], line["options"]]
        other = methods[line["other"], line["other_options"]]
        view = views.setdefault(tuple(place[key] for key in keys), {})
        view[line["measure"], own, other] = line | {"oracle": line["other"] in oracles}
        back = turned(line) | {"oracle": line["estimator"] in oracles}
        view[line["measure"], other, own] = back
    return dict(views)


def turned(line: Line) -> dict[str, Any]:
    """Return a comparison the other way round."""
    return {
        **line, "value": line["other_value"], "other_value": line["value"],
        "difference": -line["difference"], "low": -line["high"], "high": -line["low"],
    }  # fmt: skip
