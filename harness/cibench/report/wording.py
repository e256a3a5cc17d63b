"""The parts of a finding's sentence."""

from __future__ import annotations

from collections.abc import Iterable

from cibench.expectations.verdicts import Expected, Verdict
from cibench.report.cases import Case
from cibench.report.markup import Html, h, join
from cibench.report.numbers import blank, digits, limits, percent, signed
from cibench.report.verdicts import bias_in_se
from cibench.report.views import Score


def who(case: Case) -> Html:
    """Name the method."""
    return h("b", case.method, cls="method")


def place(case: Case) -> str:
    """Name the setting and, where the scenario was run in several ways, which one it was."""
    where = ["" if case.at_default else f"at {case.setting.label}", case.view.apart]
    said = ", ".join(part for part in where if part)
    return f" ({said})" if said else ""


def breaking(case: Case) -> Html:
    """Say which assumption is broken there, and by how much."""
    dial, apart = case.setting.dial, f", {case.view.apart}" if case.view.apart else ""
    if case.at_default:
        return join(" with every dial at its default", place(case))
    if dial is None:
        return join(f" when several dials are moved ({case.setting.label}{apart})")
    broken = case.view.dial(dial).get("breaks")
    when = join(" when “", broken, "” is broken") if broken else join(f" as {dial} moves")
    return join(when, f" ({case.setting.label}{apart})")


def coverage(score: Score) -> Html:
    """Give the coverage beside its Wilson limits and the nominal level."""
    low, high = score["coverage_low"], score["coverage_high"]
    figure = h("b", f"{percent(score['coverage'], digits(low, high))} %")
    nominal = f", nominal {percent(score['level'])} %"
    return join("coverage ", figure, h("span", f" ({limits(low, high)}{nominal})", cls="mc"))


def in_se(score: Score) -> Html | None:
    """Give the bias in empirical standard errors with its error, None without finite moments."""
    ratio, error = bias_in_se(score)
    if blank(ratio):
        return None
    return join(signed(ratio, 0.1), h("span", f" ({error:.2f})", cls="mc"))


def off(score: Score) -> Html | None:
    """Say the bias in empirical standard errors, None where moments are not finite."""
    said = in_se(score)
    if said is None:
        return None
    exact = f"bias {signed(score['bias'], score['bias_mcse'])} in units of the outcome"
    return join(", ", h("span", "bias ", said, " SE", title=exact))


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
    share = f" ({percent(first.score['coverage'])} %)" if first.score["answered"] else ""
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
    if score["broken"]:
        said = "must fail here" if score["expected"] == Expected.FAILS else "assumes this"
        return join(" ", h("span", f"as declared: it {said}", cls="tag"))
    if score["expected"] != Expected.VALID:
        return None
    sure = score["verdict"] == Verdict.FAILS_UNEXPECTEDLY
    said = "a surprise: nothing it assumes is broken" if sure else "unexpected, perhaps by chance"
    return join(" ", h("span", said, cls="tag surprise"))
