"""Say in plain words which method broke, where and by how much, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cibench.report.cases import Case, cases
from cibench.report.labels import DEFAULT
from cibench.report.markup import Html, h, join
from cibench.report.numbers import digits, limits, percent, signed
from cibench.report.verdicts import (
    Verdict,
    bias_in_se,
    clearly_biased,
    fails_often,
    judge,
    shortfall,
)
from cibench.report.views import View
from cibench.report.wording import (
    also,
    breaking,
    coverage,
    declared,
    off,
    onset,
    place,
    tag,
    who,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Finding:
    """Hold one line of the headline: a figure to catch the eye, the sentence, its rank."""

    kind: str
    badge: str
    sentence: Html
    rank: tuple[int, float]


def findings(views: Sequence[View]) -> list[Finding]:
    """Return what broke: at the defaults first, then along the dials, then lesser faults.

    Sizes and targets of one scenario share a line. A cell whose method is broken at the default
    already says nothing new and is left out.
    """
    by_method: dict[tuple[str, str], list[Case]] = {}
    for case in cases(views):
        by_method.setdefault(case.pair, []).append(case)
    found = [finding for group in by_method.values() for finding in _of_method(group)]
    return sorted(found, key=lambda finding: finding.rank)


def _of_method(group: Sequence[Case]) -> Iterator[Finding]:
    """Judge one method in one scenario, dial by dial, over all sizes and targets."""
    by_dial: dict[str, list[Case]] = {}
    for case in group:
        if case.broken and (case.at_default or not _broken_at_default(case)):
            where = case.setting.dial or (DEFAULT if case.at_default else "several")
            by_dial.setdefault(where, []).append(case)
    yield from (_under_covers(broken) for broken in by_dial.values())
    if failing := [c for c in group if c.score["answered"] and fails_often(c.score)]:
        yield _fails(max(failing, key=lambda c: float(c.score["failure_rate"])))
    if wide := [c for c in group if c.verdict is Verdict.CONSERVATIVE]:
        yield _too_wide(min(wide, key=lambda c: shortfall(c.score)))
    biased = [c for c in group if clearly_biased(c.score)]
    if biased and not by_dial:
        yield _is_off(max(biased, key=lambda c: abs(bias_in_se(c.score)[0])))


def _under_covers(broken: list[Case]) -> Finding:
    worst = max(broken, key=lambda c: shortfall(c.score))
    score, silent = worst.score, worst.verdict is Verdict.SILENT
    sentence = join(
        who(worst), " gives no answer in " if silent else " under-covers in ",
        h("b", worst.view.scenario), breaking(worst), ": ",
        h("b", "every fit failed") if silent else coverage(score), off(score), ".",
        onset(worst, broken), also(worst, broken), tag(worst),
    )  # fmt: skip
    badge = "0 fits" if silent else f"{percent(score['coverage'])} %"
    tier = 0 if worst.at_default else 2 if declared(worst) else 1
    return Finding("broken", badge, sentence, (tier, -shortfall(score)))


def _is_off(case: Case) -> Finding:
    ratio, _ = bias_in_se(case.score)
    sentence = join(
        who(case), " is off in ", h("b", case.view.scenario), place(case), ": bias ",
        h("b", f"{signed(ratio, 0.1)} SE"), ", although its intervals cover (",
        limits(case.score["coverage_low"], case.score["coverage_high"]), " %).",
    )  # fmt: skip
    return Finding("off", f"{signed(ratio, 1)} SE", sentence, (4, -abs(ratio)))


def _fails(case: Case) -> Finding:
    score = case.score
    rate, low, high = (score[f"failure_rate{end}"] for end in ("", "_low", "_high"))
    sentence = join(
        who(case), " fails in ", h("b", case.view.scenario), place(case), ": ",
        h("b", f"{percent(rate, digits(low, high))} %"), h("span", f" ({limits(low, high)})",
        cls="mc"), f" of the fits gave no answer, {score['failures']:,} of "
        f"{score['replicates']:,}.",
    )  # fmt: skip
    return Finding("fails", f"{percent(rate)} %", sentence, (3, -float(rate)))


def _too_wide(case: Case) -> Finding:
    sentence = join(
        who(case), " is conservative in ", h("b", case.view.scenario), place(case), ": ",
        coverage(case.score), ".",
    )  # fmt: skip
    return Finding("wide", f"{percent(case.score['coverage'])} %", sentence,
                   (5, shortfall(case.score)))  # fmt: skip


def _broken_at_default(case: Case) -> bool:
    score = case.view.at_default(case.method)
    return score is not None and judge(score) in (Verdict.BROKEN, Verdict.SILENT)
