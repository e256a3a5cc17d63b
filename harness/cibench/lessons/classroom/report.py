"""The report on a class: in words, as a picture, as a table, and what was sealed."""

from __future__ import annotations

from pathlib import Path

from cibench.lessons.classroom.grading import Answer, Class
from cibench.lessons.page import STYLE
from cibench.lessons.translations import Interface
from cibench.render.html import Html, document, h
from cibench.render.numbers import number, plain
from cibench.utils.files import csv_text, make_folder, write_text

WIDTH, STEP, MISS, HIT, INK = 420.0, 14.0, "#b34700", "#0072B2", "#1f2933"


def write_report(classroom: Class, folder: Path, language: str = "en") -> Path:
    """Write `report.html`, `grades.csv` and `revealed.csv`; return the report's path.

    They hold names and grades, and are for their owner alone.
    """
    ui = Interface(language)
    grades = [
        [a.student, a.truth, a.setting, a.estimate, a.low, a.high, a.decision, a.error,
         a.covers, "" if a.right is None else a.right]
        for a in classroom.answers
    ]  # fmt: skip
    heading = ["student", "truth", "setting", "estimate", "low", "high", "decision", "error",
               "covers", "right"]  # fmt: skip
    revealed = [[a.student, a.truth, a.salt, a.commitment] for a in classroom.answers]
    make_folder(folder)
    write_text(folder / "grades.csv", csv_text([heading, *grades]), private=True)
    sealed = ["student", "truth", "salt", "sha256"]
    write_text(folder / "revealed.csv", csv_text([sealed, *revealed]), private=True)
    path = folder / "report.html"
    write_text(path, report(classroom, ui), private=True)
    return path


def summary(classroom: Class, ui: Interface) -> list[str]:
    """Return the report in sentences."""
    coverage, bias, right = classroom.coverage, classroom.bias, classroom.right
    place = "class_within" if coverage.low <= 0.95 <= coverage.high else "class_outside"
    sentences = [
        ui.say(
            "class_covered", covered=sum(a.covers for a in classroom.answers),
            answers=len(classroom.answers), place=ui.say(place),
            share=ui.share([coverage.value, coverage.mcse, coverage.low, coverage.high]),
        ),
        ui.say("class_bias", bias=ui.measured([bias.value, bias.mcse])),
    ]  # fmt: skip
    if any(a.right is not None for a in classroom.answers):
        share = ui.share([right.value, right.mcse, right.low, right.high])
        sentences.append(ui.say("class_right", share=share))
    if classroom.missing:
        sentences.append(ui.say("class_missing", names=", ".join(classroom.missing)))
    return sentences


def report(classroom: Class, ui: Interface) -> str:
    """Return the report as one HTML page."""
    title = f"{ui.say('class')}: {classroom.title}"
    names = ("student", "truth", "setting", "estimate", "interval", "error", "holds", "decision")
    head = [h("th", ui.words[name].format(level=95), scope="col") for name in names]
    return document(
        title, h("header", h("h1", title)),
        h("main",
          h("section", [h("p", line) for line in summary(classroom, ui)], _picture(classroom, ui),
            h("p", ui.say("class_picture"), cls="note")),
          h("section", h("div", h("table", h("thead", h("tr", head)),
                                  h("tbody", [_row(a, ui) for a in classroom.answers]),
                                  cls="people"),
                         cls="scroll", tabindex=0, role="group", aria_label=title),
            h("p", ui.say("sealed"), cls="note"))),
        style=STYLE, scripts=(), language=ui.language,
    )  # fmt: skip


def _row(a: Answer, ui: Interface) -> Html:
    scale = (a.high - a.low) / 4 or None
    cells = [
        ui.near(a.truth, None), ui.local(plain(a.setting)), ui.near(a.estimate, scale),
        ui.span(a.low, a.high, False, scale), ui.near(a.error, scale),
    ]  # fmt: skip
    mark = "" if a.right is None else " ✓" if a.right else " ✗"
    return h(
        "tr", h("th", a.student, scope="row"), [h("td", c, cls="num") for c in cells],
        h("td", ui.say("yes" if a.covers else "no"), cls=None if a.covers else "no"),
        h("td", a.decision, mark),
    )  # fmt: skip


def _picture(classroom: Class, ui: Interface) -> Html:
    """Draw every interval less its truth."""
    ends = [end - a.truth for a in classroom.answers for end in (a.low, a.high)]
    reach = max(map(abs, ends)) * 1.05 or 1.0
    high = STEP * len(classroom.answers) + 24

    def x(v: float) -> str:
        return f"{WIDTH / 2 * (1 + v / reach):.1f}"

    lines = [h("line", x1=x(0), x2=x(0), y1=0, y2=f"{high - 20:g}", stroke=INK, stroke_width=2)]
    for i, a in enumerate(classroom.answers):
        y = f"{STEP * (i + 0.5):.1f}"
        look = {"stroke": HIT if a.covers else MISS, "stroke_width": 2 if a.covers else 4}
        lines.append(h("line", h("title", a.student), x1=x(a.low - a.truth),
                       x2=x(a.high - a.truth), y1=y, y2=y, **look))  # fmt: skip
        lines.append(h("circle", cx=x(a.error), cy=y, r=3, fill=look["stroke"]))
    for v in (-reach / 2, 0.0, reach / 2):
        text = ui.local(number(v, reach / 5))
        lines.append(h("text", text, x=x(v), y=f"{high - 4:g}", text_anchor="middle"))
    label = ui.say("class_picture")
    return h("svg", lines, viewBox=f"0 0 {WIDTH:g} {high:g}", role="img", aria_label=label,
             style=f"width:100%;max-width:{1.4 * WIDTH:g}px")  # fmt: skip
