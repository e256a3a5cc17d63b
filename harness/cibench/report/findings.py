"""Say in plain words which method broke, where and by how much, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cibench.analysis.coverage_verdicts import CoverageVerdict
from cibench.analysis.expectations import CONTRADICTIONS, ExpectationVerdict
from cibench.render.html import Html, h, join
from cibench.render.labels import DEFAULT, Setting
from cibench.render.numbers import digits, limits, number, percent, signed
from cibench.report.score_readings import (
    bias_in_se,
    broken,
    clearly_biased,
    contradicts_itself,
    coverage_of,
    fails_often,
    gave_no_answer,
    has_large_errors,
    has_small_errors,
    shortfall,
    verdict_of,
)
from cibench.report.views import Score, View, unit_of
from cibench.suite.expectations import Expected
from cibench.utils.missing import missing


@dataclass(frozen=True, eq=False)
class Case:
    """Hold one method in one cell: where, and how it scored."""

    view: View
    setting: Setting
    score: Score

    @property
    def method(self) -> str:
        """Return the method's name."""
        return str(self.score["method"])

    @property
    def pair(self) -> tuple[str, str]:
        """Return the scenario and the method."""
        return self.view.scenario, self.method

    @property
    def at_default(self) -> bool:
        """Say whether every dial is at its default."""
        return self.setting.label == DEFAULT

    @property
    def verdict(self) -> CoverageVerdict:
        """Return the verdict on its coverage."""
        return verdict_of(self.score)

    @property
    def broken(self) -> bool:
        """Say whether it under-covers beyond doubt or gave no answer at all."""
        return broken(self.score)


def cases(views: Iterable[View]) -> Iterator[Case]:
    """Yield every scored cell of every method."""
    for view in views:
        places = {s.label: s for s in view.settings}
        for (_, at), score in view.scores.items():
            yield Case(view, places[at], score)


def who(case: Case) -> Html:
    """Name the method."""
    return h("b", case.method, cls="method")


def place(case: Case) -> str:
    """Name the setting and, where the scenario was run in several ways, which one it was."""
    where = ["" if case.at_default else f"at {case.setting.label}", case.view.apart]
    text = ", ".join(part for part in where if part)
    return f" ({text})" if text else ""


def breaking(case: Case) -> Html:
    """Say which assumption is broken there, and by how much."""
    dial, apart = case.setting.dial, f", {case.view.apart}" if case.view.apart else ""
    if case.at_default:
        return join(" with every dial at its default", place(case))
    if dial is None:
        return join(f" when several dials are moved ({case.setting.label}{apart})")
    broken = case.view.dial(dial).get("breaks")
    when = (
        join(" when “", broken, "” is broken")
        if broken
        else join(f" as {case.view.called(dial)} moves")
    )
    return join(when, f" ({case.setting.label}{apart})")


def coverage(score: Score) -> Html:
    """Give the coverage, failures as misses, beside its Wilson limits and the nominal level."""
    share, low, high = coverage_of(score)
    figure = h("b", f"{percent(share, digits(low, high))} %")
    nominal = f", nominal {percent(score['level'])} %"
    return join("coverage ", figure, h("span", f" ({limits(low, high)}{nominal})", cls="mc"))


def in_se(score: Score) -> Html | None:
    """Give the bias in empirical standard errors with its error, None without finite moments."""
    ratio, error = bias_in_se(score)
    if missing(ratio):
        return None
    return join(signed(ratio, 0.1), h("span", f" ({error:.2f})", cls="mc"))


def off(score: Score) -> Html | None:
    """Say the bias in empirical standard errors, None where moments are not finite."""
    bias = in_se(score)
    if bias is None:
        return None
    exact = f"bias {signed(score['bias'], score['bias_mcse'])} in {unit_of(score)}"
    return join(", ", h("span", "bias ", bias, " SE", title=exact))


def onset(worst: Case, broken: Iterable[Case]) -> Html | None:
    """Name the mildest broken setting on the same side of the default, where it is another."""
    if worst.setting.value is None:
        return None
    default = float(worst.view.dial(str(worst.setting.dial)).get("default", 0))
    side = worst.setting.value > default
    same = [
        (abs(c.setting.value - default), c)
        for c in broken
        if c.view is worst.view and c.setting.value is not None
        and (c.setting.value > default) is side
    ]  # fmt: skip
    first = min(same, key=lambda pair: pair[0])[1]
    if first is worst:
        return None
    share = f" ({percent(coverage_of(first.score)[0])} %)" if first.score["answered"] else ""
    return join(f" Broken from {first.setting.label} on{share}.")


def also(worst: Case, broken: Iterable[Case]) -> str:
    """Name the other sizes, parameters and targets in which it is broken too."""
    others = dict.fromkeys(c.view.title for c in broken if c.view is not worst.view)
    named = "; ".join(list(others)[:3]) + (" and more" if len(others) > 3 else "")
    return f" Broken also at {named}." if others else ""


def declared(case: Case) -> bool:
    """Say whether the method declares that it relies on what is broken there."""
    return bool(case.score["broken"])


def tag(case: Case) -> Html | None:
    """Mark a breakdown as declared, or as a surprise."""
    score = case.score
    if gave_no_answer(score):
        return join(" ", h("span", "no finding about its statistics", cls="tag"))
    if score["broken"]:
        text = "must fail here" if score["expected"] == Expected.FAILS else "assumes this"
        return join(" ", h("span", f"as declared: it {text}", cls="tag"))
    if score["expected"] != Expected.VALID:
        return None
    if contradicts_itself(score):
        return None
    # Bounds, verdicts and marks are read off the same limits.
    assert score["verdict"] == ExpectationVerdict.FAILS_UNEXPECTEDLY
    return join(" ", h("span", "a surprise: nothing it assumes is broken", cls="tag surprise"))


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
    gathered = [finding for group in by_method.values() for finding in _of_method(group)]
    return sorted(gathered, key=lambda finding: finding.rank)


def _of_method(group: Sequence[Case]) -> Iterator[Finding]:
    """Judge one method in one scenario, dial by dial, over all sizes and targets."""
    by_dial: dict[str, list[Case]] = {}
    for case in group:
        if case.broken and (case.at_default or not _broken_at_default(case)):
            where = case.setting.dial or (DEFAULT if case.at_default else "several")
            by_dial.setdefault(where, []).append(case)
    yield from (_under_covers(broken) for broken in by_dial.values())
    if contradicting := [c for c in group if contradicts_itself(c.score)]:
        yield _contradicts(max(contradicting, key=lambda c: _contradiction(c.score)[1]))
    if failing := [c for c in group if c.score["answered"] and fails_often(c.score)]:
        yield _fails(max(failing, key=lambda c: float(c.score["failure_rate"])))
    if wide := [c for c in group if c.verdict is CoverageVerdict.CONSERVATIVE]:
        yield _too_wide(min(wide, key=lambda c: shortfall(c.score)))
    if by_dial:
        return
    if biased := [c for c in group if clearly_biased(c.score)]:
        yield _is_off(max(biased, key=lambda c: abs(bias_in_se(c.score)[0])))
    if small := [c for c in group if has_small_errors(c.score)]:
        yield _errs(min(small, key=lambda c: float(c.score["se_ratio"])), "small")
    if large := [c for c in group if has_large_errors(c.score)]:
        yield _errs(max(large, key=lambda c: float(c.score["se_ratio"])), "large")


def _under_covers(broken: list[Case]) -> Finding:
    worst = max(broken, key=lambda c: shortfall(c.score))
    score, silent = worst.score, gave_no_answer(worst.score)
    sentence = join(
        who(worst), " hardly answers in " if silent else " under-covers in ",
        h("b", worst.view.name), breaking(worst), ": ",
        h("b", str(score["verdict_note"])) if silent else join(coverage(score), off(score)), ".",
        onset(worst, broken), also(worst, broken), tag(worst),
    )  # fmt: skip
    badge = f"{score['answered']:,} fits" if silent else f"{percent(coverage_of(score)[0])} %"
    tier = 0 if worst.at_default else 2 if declared(worst) else 1
    return Finding("broken", badge, sentence, (tier, -shortfall(score)))


def _contradicts(case: Case) -> Finding:
    score = case.score
    name, share = _contradiction(score)
    low, high = score[f"{name}_low"], score[f"{name}_high"]
    sentence = join(
        who(case), " contradicts itself in ", h("b", case.view.name), place(case), ": ",
        h("b", f"{percent(share, digits(low, high))} %"), h("span", f" ({limits(low, high)})",
        cls="mc"), f" of {CONTRADICTIONS[name]}.",
    )  # fmt: skip
    return Finding("off", f"{percent(share)} %", sentence, (0, -float(share)))


def _contradiction(score: Score) -> tuple[str, float]:
    """Return by which metric most of a method's answers contradict themselves, and how many."""
    shares = {name: float(score[name]) for name in CONTRADICTIONS if not missing(score[name])}
    name = max(shares, key=lambda each: shares[each])
    return name, shares[name]


def _is_off(case: Case) -> Finding:
    ratio, _ = bias_in_se(case.score)
    sentence = join(
        who(case), " is off in ", h("b", case.view.name), place(case), ": bias ",
        h("b", f"{signed(ratio, 0.1)} SE"), ", although its intervals cover (",
        limits(*coverage_of(case.score)[1:]), " %).", tag(case),
    )  # fmt: skip
    return Finding("off", f"{signed(ratio, 1)} SE", sentence, (4, -abs(ratio)))


def _errs(case: Case, how: str) -> Finding:
    """Tell of standard errors that are too small or too large although intervals cover."""
    score = case.score
    ratio, low, high = (float(score[f"se_ratio{end}"]) for end in ("", "_low", "_high"))
    sentence = join(
        who(case), f" has too {how} standard errors in ", h("b", case.view.name), place(case),
        ": SE ratio ", h("b", number(ratio, 0.1)),
        h("span", f" ({number(low, 0.1)} to {number(high, 0.1)})", cls="mc"), ".",
        tag(case) if how == "small" else None,
    )  # fmt: skip
    small = how == "small"
    return Finding("off" if small else "wide", f"SE ×{number(ratio, 0.1)}", sentence,
                   (4 if small else 5, -abs(ratio - 1)))  # fmt: skip


def _fails(case: Case) -> Finding:
    score, why = case.score, case.score["commonest_reason"]
    rate, low, high = (score[f"failure_rate{end}"] for end in ("", "_low", "_high"))
    sentence = join(
        who(case), " fails in ", h("b", case.view.name), place(case), ": ",
        h("b", f"{percent(rate, digits(low, high))} %"), h("span", f" ({limits(low, high)})",
        cls="mc"), f" of the fits gave no answer, {score['failures']:,} of "
        f"{score['replicates']:,}", f"; most often {why}" if why else "", ".",
    )  # fmt: skip
    return Finding("fails", f"{percent(rate)} %", sentence, (3, -float(rate)))


def _too_wide(case: Case) -> Finding:
    sentence = join(
        who(case), " is conservative in ", h("b", case.view.name), place(case), ": ",
        coverage(case.score), ".",
    )  # fmt: skip
    return Finding("wide", f"{percent(coverage_of(case.score)[0])} %", sentence,
                   (5, shortfall(case.score)))  # fmt: skip


def _broken_at_default(case: Case) -> bool:
    score = case.view.at_default(case.method)
    return score is not None and broken(score)
