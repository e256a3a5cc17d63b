"""One diagnostic along one dial: how often it alarms, and what passing it does to the methods."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.model.types import SUBDIVISIONS
from cibench.render.figures import INK, Look, Plot, canvas, looks
from cibench.render.labels import DEFAULT, slug
from cibench.render.numbers import percent
from cibench.report.sections.diagnostics import PLACE, Dose, Line
from cibench.utils.missing import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = 6
"""Methods in one plot: those whose coverage changes most where the diagnostic passes."""


def dose_plots(doses: Sequence[Dose], rows: Sequence[Line]) -> list[Plot]:
    """Draw each dial for whose assumption there is a diagnostic, by the one that alarms most.

    Only doses whose diagnostic tests what the dial breaks are drawn.
    """
    dials: dict[tuple[Any, ...], list[Dose]] = {}
    for dose in doses:
        place = (*(dose.first[key] for key in PLACE), dose.dial)
        if dose.right and len(dose.rows) > 1 and not missing(dose.first["alarms"]):
            dials.setdefault(place, []).append(dose)
    return [_plot(group, rows) for group in dials.values()]


def _plot(group: Sequence[Dose], rows: Sequence[Line]) -> Plot:
    best = max(group, key=lambda dose: float(dose.first["alarms"]))
    first, dial = best.first, best.dial
    methods = _methods(best, rows)
    others = f" (of {len(group)} that test it the one that alarms most)" if len(group) > 1 else ""
    alarms = "; ".join(
        f"{dose.first['test']}: {', '.join(percent(r['alarms']) for r in dose.rows)}"
        for dose in group
    )
    return Plot(
        slug(f"{first['scenario']} {first['title']} diagnostics {dial}"),
        f"Do diagnostics see it? {first['scenario']}, {first['title']}: {dial}",
        f"Left, alarms of the diagnostics that test “{first['breaks']}”, with 95 % Wilson limits; "
        f"the ringed point is the default, where alarms are false. Right and below, methods on all "
        f"data sets (hollow, dotted) and on those that pass {first['test']}{others} (filled).",
        f"{first['scenario']}, {first['title']}. Alarms in % along {dial}: {alarms}",
        lambda: _paint(group, best, methods),
    )


def _methods(best: Dose, rows: Sequence[Line]) -> Mapping[str, list[Line]]:
    """Return the methods' rows along the dial, of those whose coverage changes most."""
    place = {row["at"] for row in best.rows}
    first = best.first
    mine: dict[str, list[Line]] = {}
    for row in rows:
        same = all(row[key] == first[key] for key in (*PLACE, "test"))
        if same and not missing(row["method"]) and row["at"] in place and _overall(row):
            mine.setdefault(str(row["method"]), []).append(row)

    def change(lines: Sequence[Line]) -> float:
        return max((abs(x["coverage_change"]) for x in lines if not missing(x["coverage_change"])),
                   default=-1.0)  # fmt: skip

    ranked = sorted(mine, key=lambda name: -change(mine[name]))
    kept = [name for name in ranked if change(mine[name]) >= 0][:METHODS]
    return {name: mine[name] for name in mine if name in kept}


def _overall(row: Line) -> bool:
    return bool(row["horizon"] == float("-inf")) and not any(row[n] for n in SUBDIVISIONS)


def _paint(group: Sequence[Dose], best: Dose, methods: Mapping[str, list[Line]]) -> Figure:
    figure, [[alarms, covers], [bias, legend]] = canvas(
        4.8, rows=2, columns=2, left=0.6, across=0.65, down=0.8, bottom=0.5
    )
    tests = looks([str(dose.first["test"]) for dose in group])
    look = looks(list(methods))
    for dose, how in zip(group, tests.values(), strict=True):
        _alarms(alarms, dose, how)
    for name, rows in methods.items():
        level = float(rows[0]["level"])
        covers.axhline(100 * level, color=INK, lw=0.8, ls="--")
        _both(covers, best, rows, "coverage", 100, look[name])
        if all(row["moments"] for row in rows):
            _both(bias, best, rows, "bias", 1, look[name])
    bias.axhline(0, color=INK, lw=0.8, ls="--")
    titles = ("Alarms, %", "Coverage, %", "Bias, units of the outcome")
    for axes, title in zip((alarms, covers, bias), titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel(best.dial)
    alarms.set_ylim(bottom=0)
    _legend(legend, tests, look)
    return figure


def _x(best: Dose, row: Line) -> float:
    """Return where a row stands on the axis; the default has its setting from its dial's map."""
    return float(json.loads(row["dials"])[best.dial])


def _alarms(axes: Axes, dose: Dose, how: Look) -> None:
    rows = sorted((r for r in dose.rows if not missing(r["alarms"])), key=lambda r: _x(dose, r))
    x, y = [_x(dose, r) for r in rows], [100 * r["alarms"] for r in rows]
    reach = [[100 * (r["alarms"] - r["alarms_low"]) for r in rows],
             [100 * (r["alarms_high"] - r["alarms"]) for r in rows]]  # fmt: skip
    axes.errorbar(x, y, yerr=reach, color=how.colour, marker=how.marker, ls=how.dashes, ms=5,
                  lw=1.4, capsize=2.5)  # fmt: skip
    ringed = [(a, b) for a, b, r in zip(x, y, rows, strict=True) if r["at"] == DEFAULT]
    for a, b in ringed:
        axes.plot([a], [b], "o", mfc="none", mec=how.colour, ms=10, mew=0.8)


def _both(axes: Axes, best: Dose, rows: Sequence[Line], name: str, times: float, how: Look) -> None:
    rows = sorted(rows, key=lambda r: _x(best, r))
    x = [_x(best, r) for r in rows]
    for ending, filled in (("", False), ("_passed", True)):
        y = [times * (math.nan if missing(r[name + ending]) else r[name + ending]) for r in rows]
        axes.plot(x, y, color=how.colour, marker=how.marker, ms=5, lw=1.4 if filled else 0.9,
                  ls=how.dashes if filled else ":", mfc=how.colour if filled else "white",
                  zorder=3 if filled else 2)  # fmt: skip


def _legend(axes: Axes, tests: Mapping[str, Look], methods: Mapping[str, Look]) -> None:
    axes.set_axis_off()
    for title, named, top in (("Diagnostics", tests, 1.0), ("Methods", methods, 0.52)):
        handles = [
            axes.plot([], [], color=how.colour, marker=how.marker, ls=how.dashes, ms=5)[0]
            for how in named.values()
        ]
        box = axes.legend(handles, list(named), title=title, loc="upper left", fontsize=8,
                          bbox_to_anchor=(-0.06, top), alignment="left", borderpad=0,
                          title_fontproperties={"weight": "bold", "size": 8.5})  # fmt: skip
        if named is tests:  # the axes keep the last legend by themselves
            axes.add_artist(box)
