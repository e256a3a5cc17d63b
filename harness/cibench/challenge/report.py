"""Two pages: the owner's on a bundle, and the one on vendors' scores, with their plots."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cibench.challenge.bundle import Bundle
from cibench.challenge.documents import DISCLOSURE
from cibench.challenge.membership_attack import Attack
from cibench.challenge.privacy import Privacy
from cibench.challenge.scoring import Line, Marks
from cibench.challenge.sealed_truths import Owner
from cibench.model.types import Array
from cibench.render.html import PLAIN, Child, Html, document, h, join, picture, prose
from cibench.render.numbers import number

BLUE, ORANGE, GREY = "#0072B2", "#b34700", "0.6"


def _image(figure: Any, words: str) -> Html:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return h("p", picture(buffer.getvalue(), words))


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes: Any = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def roc(attacks: Sequence[Attack]) -> Html:
    """Draw of each attack the share of members that it finds against its false alarms."""
    figure, axes = _axes(5.5, 4.2)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=1, linestyle="--", label="a coin")
    looks = ("the twin", BLUE, "-"), ("planted leak", ORANGE, "-.")
    for attack, (word, colour, style) in zip(attacks, looks, strict=True):
        grid = np.linspace(0, 1, 201)
        levels = np.quantile(attack.outside, 1 - grid)
        hits: Array = 1 - np.searchsorted(np.sort(attack.inside), levels) / len(attack.inside)
        label = f"{word}: {attack.auc.value:.3f}"
        axes.plot(grid, hits, color=colour, linestyle=style, label=label)
    axes.set(
        xlabel="share of others that are suspected", ylabel="share of members that are found",
        xlim=(0, 1), ylim=(0, 1.01),
    )  # fmt: skip
    axes.legend(frameon=False, loc="lower right")
    return _image(figure, "how many members the attacks find, against their false alarms")


def intervals(lines: Sequence[Line]) -> Html:
    """Draw each answer's interval less its truth, vendor by vendor."""
    vendors = list(dict.fromkeys(line.vendor for line in lines))
    figure, axes = _axes(7, 0.9 + 0.22 * len(lines))
    axes.axvline(0, color="0.2", linewidth=1)
    for place, line in enumerate(lines):
        colour, width = (BLUE, 1.5) if line.covers else (ORANGE, 3)
        ends = line.low - line.truth, line.high - line.truth
        axes.plot(ends, (place, place), color=colour, linewidth=width)
        axes.plot(line.error, place, "o", color=colour, markersize=4)
    names = [f"{n.vendor}, {n.dataset}" if len(vendors) > 1 else n.dataset for n in lines]
    axes.set(yticks=range(len(lines)), yticklabels=names, ylim=(len(lines) - 0.4, -0.6))
    axes.set_xlabel("estimate and interval, less the truth; thick: the interval misses it")
    return _image(figure, "estimates and intervals less their truths")


HEADINGS = {"fit": "fit to give away", "not fit": "not fit to give away", "undecided": "undecided"}


WHAT = """{disclosure}. What follows looks for leaks that are known; it cannot show that there are
no others."""
MISSING = """This section is missing: it needs the seed data (--data seed.csv). Without it
nobody knows whether the bundle is fit to give away."""
HOW = """Shadow twins are trained on random halves of the seed by the same procedure. The
attacker takes each unit's distance to the closest drawn row, less what is usual for that unit in
shadows that had not seen it. Where nothing is learned the columns hold 50 %, 1 %, 50 % and 1.
Limits are at 95 %, over shadows; {failed} could not be fitted. The planted leak shows that the
attack finds one that is there: without that its silence would say nothing."""
SCORES = """{count} data sets with sealed truths; every seal holds. Errors stand in brackets; of
shares the 95 % Wilson limits. A wrong sign is an estimate that points away from an effect that is
there. Rolling out costs {cost:g} a unit, and {better} of the outcome is better; regret is what the
best decision would have brought beyond the vendor's, a unit."""
FAILED_AUDIT = """The twin failed its audit: no bundle of it is a fit test of a method. It was
written because that was asked for, and its README says so."""
FAILED_SCORES = """The twin behind these data sets failed its audit: the scores say nothing of a
method."""
LINE = (
    "vendor", "data set", "truth", "estimate", "interval", "error", "decision", "regret",
)  # fmt: skip
COLUMNS = (
    "", "members told from others", "members found at 1 % false alarms",
    "drawn rows closer to trained-on rows", "closest distances, of those held out",
)  # fmt: skip


def owner_page(bundle: Bundle, privacy: Privacy | None) -> Html:
    """Return the owner's page: what leaves, what was done to it, and whether it is fit for that."""
    provenance, owner = bundle.owner.provenance, bundle.owner
    verdict = HEADINGS[privacy.verdict] if privacy else "not examined"
    failures = provenance.get("audit", ())
    verdict = f"failed its audit; as to privacy, {verdict}" if failures else verdict
    about = (
        f"For its owner alone. {len(owner.datasets)} data sets of {provenance['rows']} rows, "
        f"generator {provenance['family']}. Asked for is {bundle.question.words}."
    )
    words = WHAT.format(disclosure=DISCLOSURE.capitalize())
    body = h(
        "main", h("h1", f"A vendor bundle: {verdict}"), prose(about), h("p", words),
        _audit(failures), h("h2", "What was done to what leaves"),
        h("ul", [h("li", f"{line}.") for line in _done(bundle, examined=privacy is not None)]),
        h("h2", "Privacy"), _privacy(privacy) if privacy else h("p", MISSING),
    )  # fmt: skip
    return document("A vendor bundle, for its owner", body, style=PLAIN, scripts=())


def _audit(failures: Sequence[str]) -> Child:
    """Return why the twin's audit fails, nothing where it passes."""
    if not failures:
        return None
    reasons = [h("li", f"{line}.") for line in failures]
    return join([h("h2", "The audit"), h("p", FAILED_AUDIT), h("ul", reasons)])


def _done(bundle: Bundle, *, examined: bool) -> Iterator[str]:
    """Yield what was done to the columns."""
    provenance = bundle.owner.provenance
    yield (
        f"Continuous margins run through means of at least {provenance['cell']} seed rows each; "
        "the outermost means are their ends"
    )
    yield (
        f"Values of discrete columns that fewer than {provenance['cell']} seed rows share are "
        "merged; treatment and outcome are drawn given the merged ones"
    )
    yield from bundle.released.notes
    yield from (f"{name}: its levels have neutral labels" for name in bundle.released.labels)
    if provenance["allowed"]:
        names = ", ".join(provenance["allowed"])
        yield f"Allowed to keep labels, rare values and extremes: {names}"
    if examined:
        yield "Compared with the seed: no row, rare value, extreme or label of it stands here"


def _privacy(privacy: Privacy) -> Child:
    marks = [("attack", privacy.attack), ("planted leak (control)", privacy.control)]
    return join(
        [h("p", f"{line[0].upper()}{line[1:]}.") for line in privacy.lines],
        roc([privacy.attack, privacy.control]),
        h("table", _head(COLUMNS), [_attack_row(name, one) for name, one in marks]),
        h("p", HOW.format(failed=privacy.attack.failed)),
    )


def _head(names: Sequence[str]) -> Html:
    return h("tr", [h("th", name) for name in names])


def _attack_row(name: str, attack: Attack) -> Html:
    cells = [
        f"{100 * s.value:.1f} % ({100 * s.low:.1f} to {100 * s.high:.1f})"
        for s in (attack.auc, attack.hits, attack.closer)
    ]
    near = attack.nearest
    cells.append(f"{near.value:.2f} ({max(near.low, 0):.2f} to {near.high:.2f})")
    return h("tr", h("td", name), [h("td", c, cls="n") for c in cells])


def score_page(owner: Owner, marks: dict[str, Marks], lines: Sequence[Line]) -> Html:
    """Return the page on vendors' scores: a table, a picture, and every answer beside its truth."""
    texts = {vendor: m.texts for vendor, m in marks.items()}
    heading = ["vendor", *next(iter(texts.values()))]
    better = "more" if owner.better == "higher" else "less"
    about = SCORES.format(count=len(owner.datasets), cost=owner.cost, better=better)
    rows = [
        h("tr", h("td", v), [h("td", c, cls="n") for c in s.values()]) for v, s in texts.items()
    ]
    body = h(
        "main", h("h1", "Scores of vendors"), h("p", about),
        h("p", h("strong", FAILED_SCORES)) if owner.provenance.get("audit") else None,
        h("table", _head(heading), rows),
        intervals(lines), h("h2", "Data set by data set"),
        h("table", _head(LINE), [_line(line) for line in lines]),
    )  # fmt: skip
    return document("Scores of vendors", body, style=PLAIN, scripts=())


def _line(line: Line) -> Html:
    scale = (line.high - line.low) / 4 or None
    regret = number(line.regret) if line.regret else "0"
    span = f"{number(line.low, scale)} to {number(line.high, scale)}"
    return h(
        "tr", h("td", line.vendor), h("td", line.dataset),
        h("td", number(line.truth, scale), cls="n"), h("td", number(line.estimate, scale), cls="n"),
        h("td", span, cls="n" if line.covers else "n bad"),
        h("td", number(line.error, scale), cls="n bad" if line.wrong_sign else "n"),
        h("td", "roll out" if line.rolls_out else "do not"), h("td", regret, cls="n"),
    )  # fmt: skip
