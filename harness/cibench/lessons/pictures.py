"""The data sets that a page can leaf through, thinned to what their picture needs.

They are drawn again from their addresses: a picture belongs to the run's row at its address, where
it shares its `data_hash` or was drawn by the same code under the same numpy. What nobody observes
(outcomes had nobody been treated, a running variable before sorting) is kept apart, since the page
shows it only on demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cibench.lessons.lesson import Lesson
from cibench.model.design import configure, find_scenario
from cibench.model.registry import entry as registered
from cibench.model.streams import data_address, stream
from cibench.model.types import Array, Draw, Roles
from cibench.storage.source_digests import source_digest
from cibench.utils.errors import BadInput
from cibench.workers.block import hash_columns

POINTS, BAND, FAINT, WIDTH = 220, 12, 16, 40
"""Points of a scatter, bins on either side of a cutoff, faint lines, bars of a histogram."""

KINDS = {"time": "panel", "running": "cutoff", "instruments": "instrument"}
"""What a design's picture is, by the role that tells the design."""

Picture = dict[str, Any]


def draw(scenario: str, fields: Mapping[str, Any], n: int, seed: int, replicate: int) -> Draw:
    """Draw the data set at an address, the same that a run with this seed puts to its methods.

    `fields` are parameters and dials of the scenario, `n` its units. Raises BadInput for an unknown
    scenario or field and for a bad value.

    >>> from cibench.lessons import draw
    >>> drawn = draw("did/two-group", {"trend": 0.1}, n=30, seed=1, replicate=0)
    >>> sorted(drawn.columns), len(drawn.columns["y"])
    (['cohort', 'd', 'time', 'unit', 'y'], 240)
    """
    configured = configure(find_scenario(scenario), fields)
    return configured.draw(n, stream(*data_address(seed, configured.name, n, replicate)))


def pictures(lesson: Lesson, frames: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pictures of the data sets shown, frame by frame, and the axes they share.

    Raises BadInput where a data set is not the one that the frames' run had. Of equal code under an
    equal numpy it is, but for the rounding of another processor.
    """
    rounding = is_same_code(lesson, frames)
    drawn = [[_checked_picture(lesson, frame["setting"], entry, rounding=rounding)
              for entry in frame["shown"]]
             for frame in frames["frames"]]  # fmt: skip
    every = [picture for row in drawn for picture in row]
    axes = {axis: _range([p[axis] for p in every if axis in p]) for axis in ("x", "y", "d")}
    kind = every[0]["kind"] if every else "scatter"
    across = every[0].get("across", "") if every else ""
    for drawn_picture in every:
        del drawn_picture["kind"]
        drawn_picture.pop("across", None)
        if kind == "panel":
            del drawn_picture["y"]  # the lines hold it
    short = [[_short(p) for p in row] for row in drawn]
    return {"kind": kind, "across": across, "axes": axes, "frames": short}


def is_same_code(lesson: Lesson, frames: Mapping[str, Any]) -> bool:
    """Say whether frames were made with today's code of the scenario, and under this numpy."""
    today = source_digest(registered("scenario", lesson.scenario))
    same = today is not None and frames["sources"].get(lesson.scenario) == today
    return same and frames["versions"].get("numpy") == np.__version__


def _checked_picture(
    lesson: Lesson, setting: float, entry: Mapping[str, Any], *, rounding: bool
) -> Picture:
    n, replicate = lesson.size(setting), entry["replicate"]
    drawn = draw(lesson.scenario, lesson.fields(setting), n, lesson.seed, replicate)
    roles = lesson.scenario_at(setting).assigned_roles()
    if not rounding and str(hash_columns(drawn, roles)) != entry["hash"]:
        raise BadInput(
            f"{lesson.path}: data set {replicate} at {setting:g} is not that of the stored run, "
            "since the scenario, or numpy, has changed; with --replicates it is run anew"
        )
    return picture(drawn, roles, lesson.picture)


def picture(drawn: Draw, roles: Roles, wishes: Mapping[str, Any]) -> Picture:
    """Return what a data set's picture shows: a panel, a cutoff, an instrument or a scatter."""
    kind = wishes.get("kind")
    if kind is None:
        kind = next((k for role, k in KINDS.items() if role in roles.filled), "scatter")
    makers = {"panel": _panel, "cutoff": _cutoff, "instrument": _instrument, "scatter": _scatter}
    return {"kind": kind, **makers[kind](drawn, roles, wishes)}


def _panel(drawn: Draw, roles: Roles, _: Mapping[str, Any]) -> Picture:
    """Average the outcome by cohort and period, as it was and had nobody been treated."""
    columns = drawn.columns
    y, cohort, time = (columns[c] for c in (roles.outcome, roles.cohort, roles.time))
    periods = np.unique(time)
    cells = {float(g): [(cohort == g) & (time == t) for t in periods] for g in np.unique(cohort)}
    means = [[float(y[m].mean()) for m in mine] for mine in cells.values()]
    without = [[float(drawn.baseline[m].mean()) for m in mine] for mine in cells.values()]
    unit = columns[roles.unit] if roles.unit else np.zeros(0)
    never = np.unique(unit[cohort == 0]) if roles.unit else unit
    few = never if never.size <= FAINT else never[:0]
    faint: list[list[float]] = [y[unit == u].tolist() for u in few]
    lines = [{"adopted": g, "y": m} for g, m in zip(cells, means, strict=True)]
    reach = [v for line in (*means, *without) for v in line]
    return {"x": periods.tolist(), "y": reach, "lines": lines, "without": without, "faint": faint}


def _cutoff(drawn: Draw, roles: Roles, wishes: Mapping[str, Any]) -> Picture:
    """Thin the rows, average the outcome in bins that end at the cutoff, count the rows in bars."""
    x, y = drawn.columns[roles.running], drawn.columns[roles.outcome]
    latent, cutoff = np.asarray(drawn.latent.get(roles.running, x)), float(roles.cutoff or 0)
    low, high = (float(q) for q in np.quantile(x, [0.01, 0.99]))
    seen = (x >= low) & (x <= high)
    bins = _binned(x[seen], y[seen], cutoff)
    bars = _edges_around(low, high, cutoff, WIDTH)
    rows = np.flatnonzero(seen)[:: max(1, int(seen.sum() / POINTS))]
    content: Picture = {
        "x": x[rows].tolist(), "y": y[rows].tolist(), "cutoff": cutoff, "bins": bins,
        "moved": np.flatnonzero((latent < cutoff)[rows] != (x < cutoff)[rows]).tolist(),
        "bars": [float(bars[0]), float(bars[1] - bars[0]), np.histogram(x, bars)[0].tolist()],
    }  # fmt: skip
    if "order" in wishes:
        content["fits"] = [
            _fitted(x, y, side, wishes["order"]) for side in (x < cutoff, x >= cutoff)
        ]
    return content


def _fitted(x: Array, y: Array, side: Array, order: int) -> list[list[float]]:
    """Return points of the polynomial of that order which is fitted to one side."""
    fit = np.polynomial.Polynomial.fit(x[side], y[side], order)
    low, high = np.quantile(x[side], [0.005, 0.995])
    at = np.linspace(low, high, 30)
    return [[float(a), float(b)] for a, b in zip(at, fit(at), strict=True)]


def _edges_around(low: float, high: float, cutoff: float, count: int) -> Array:
    """Return edges of equal bins of which one falls on the cutoff."""
    width = (high - low) / count
    left, right = np.ceil((cutoff - low) / width), np.ceil((high - cutoff) / width)
    return np.asarray(cutoff + width * np.arange(-left, right + 1))


def _binned(x: Array, y: Array, cutoff: float) -> list[list[float]]:
    edges = _edges_around(float(x.min()), float(x.max()), cutoff, 2 * BAND)
    place = np.digitize(x, edges)
    return [
        [float(x[place == k].mean()), float(y[place == k].mean())]
        for k in np.unique(place) if (place == k).sum() > 2
    ]  # fmt: skip


def _instrument(drawn: Draw, roles: Roles, _: Mapping[str, Any]) -> Picture:
    """Thin treatment and outcome against the first instrument, with averages in bins of it."""
    columns = drawn.columns
    z, d, y = (columns[c] for c in (roles.instruments[0], roles.treatment, roles.outcome))
    rows = np.arange(z.size)[:: max(1, z.size // POINTS)]
    values = np.unique(z)
    edges = np.quantile(z, np.linspace(0, 1, 9)) if values.size > 8 else None
    place = np.digitize(z, edges[1:-1]) if edges is not None else np.searchsorted(values, z)
    groups = [place == k for k in np.unique(place)]
    means = [[float(v[g].mean()) for v in (z, d, y)] for g in groups]
    return {"x": z[rows].tolist(), "d": d[rows].tolist(), "y": y[rows].tolist(), "means": means}


def _scatter(drawn: Draw, roles: Roles, wishes: Mapping[str, Any]) -> Picture:
    """Thin the outcome against treatment, or against a covariate, apart by binary treatment."""
    columns, treatment = drawn.columns, drawn.columns[roles.treatment]
    binary = np.unique(treatment).size <= 2
    first = roles.covariates[0] if binary and roles.covariates else roles.treatment
    across = wishes.get("x", first)
    x, y = columns[across], columns[wishes.get("y", roles.outcome)]
    rows = np.arange(x.size)[:: max(1, x.size // POINTS)]
    by = columns[wishes["by"]] if "by" in wishes else treatment if binary else np.zeros(x.size)
    return {
        "across": across, "x": x[rows].tolist(), "y": y[rows].tolist(),
        "by": (by[rows] > 0).astype(int).tolist(),
    }  # fmt: skip


def _range(parts: list[list[float]]) -> list[float]:
    """Return the ends of an axis that nearly all values fit on."""
    if not parts:
        return [0.0, 1.0]
    values = np.concatenate([np.asarray(part, dtype=float) for part in parts])
    low, high = np.quantile(values, [0.002, 0.998])
    pad = 0.05 * (high - low) or 1.0
    return [_digits(low - pad), _digits(high + pad)]


def _short(value: Any) -> Any:
    """Return the same with four significant digits: more than a screen can show."""
    if isinstance(value, float):
        return _digits(value)
    if isinstance(value, list):
        return [_short(v) for v in value]
    return {k: _short(v) for k, v in value.items()} if isinstance(value, dict) else value


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
