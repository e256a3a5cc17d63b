"""Whether bands, and pointwise limits, hold the effects of all targets of an estimand at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.analysis.coverage_verdicts import CoverageVerdict
from cibench.analysis.judged_scores import FAMILY
from cibench.model.types import PARTS, SUBDIVISIONS
from cibench.render.html import Html, breakable, h, place, raw, sortable
from cibench.render.numbers import BLANK, digits, limits, percent
from cibench.report.judged_words import Line, family_word
from cibench.report.score_readings import MARKS
from cibench.report.sections.expectations import lines
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

HEAD = (
    ("method", ""), ("scenario", ""), ("setting", ""),
    ("bands", "share of tries whose simultaneous bands hold the truths of all targets, failures "
     "as misses, with exact limits adjusted for all verdicts"),
    ("floor %", "the coverage that valid bands exceed"),
    ("pointwise limits", "share of answers whose pointwise limits hold the truths of all targets "
     "at once, which they do not promise, with 95 % limits (Wilson)"),
)  # fmt: skip


def bands_section(
    scores: pd.DataFrame, expectations: pd.DataFrame, catalogue: Mapping[str, Any]
) -> Html | None:
    """Write the section; none where nobody answers for several targets of an estimand."""
    joint = [f"joint_coverage{end}" for end in ("", "_low", "_high")]
    beside = {name: scores[name].to_numpy() for name in joint}
    families = list(
        _families(lines(expectations.assign(**beside, **dict.fromkeys(PARTS)), catalogue))
    )
    if not families:
        return None
    broken = {str(row["method"]) for row in families if _verdict(row) is CoverageVerdict.BROKEN}
    names = ", ".join(sorted(broken))
    several = family_word(value for name in SUBDIVISIONS for value in scores[name].unique())
    heading = (
        f"Bands that do not hold all {several}: {names}" if broken else f"All {several} at once"
    )
    return h(
        "section", h("h2", heading),
        h("p", f"Simultaneous bands promise to hold the effects of all {several} at once as "
          "often as the level says. Pointwise limits promise that of each alone; how often they "
          "hold all of them stands beside. ▼: below the floor, beyond Monte Carlo doubt; ?: too "
          "few replicates to tell.", cls="note"),
        sortable(HEAD, [_row(row) for row in families]), id="bands",
    )  # fmt: skip


def _families(rows: Sequence[Line]) -> Iterator[Line]:
    """Yield a row for each family of targets: the one with bands, else the first with limits."""
    families: dict[tuple[str, ...], Line] = {}
    for row in rows:
        if missing(row["bands"]) and missing(row["joint_coverage"]):
            continue
        key = tuple(str(row[name]) for name in FAMILY)
        if key not in families or (missing(families[key]["bands"]) and not missing(row["bands"])):
            families[key] = row
    yield from families.values()


def _verdict(row: Line) -> CoverageVerdict | None:
    return CoverageVerdict(row["bands_verdict"]) if row["bands_verdict"] else None


def _row(row: Line) -> Html:
    verdict = _verdict(row)
    mark = h("span", " ", MARKS[verdict], cls="mark") if verdict in MARKS else None
    ends = row["joint_coverage_low"], row["joint_coverage_high"]
    return h(
        "tr", h("th", breakable(str(row["method"])), scope="row"), place(row),
        h("td", str(row["at"]), cls="at"),
        h("td", _share(row["bands"], row["bands_low"], row["bands_high"]), mark, cls="num",
          data_v=raw(row["bands"])),
        h("td", BLANK if verdict is None else percent(row["floor"]), cls="num",
          data_v=raw(row["floor"])),
        h("td", _share(row["joint_coverage"], *ends), cls="num", data_v=raw(row["joint_coverage"])),
    )  # fmt: skip


def _share(share: Any, low: Any, high: Any) -> str:
    if missing(share):
        return BLANK
    return f"{percent(share, digits(low, high))} % ({limits(low, high)})"
