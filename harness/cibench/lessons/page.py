"""The page of a lesson: one file with frames, pictures and a small script that draws them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cibench.lessons.lesson import Lesson, Words
from cibench.lessons.pictures import pictures
from cibench.lessons.tables import claim_lines, numbers_table, verdict
from cibench.lessons.translations import Interface
from cibench.render.figures import OKABE_ITO
from cibench.render.html import Html, document, h, join
from cibench.render.markdown import inline, markdown
from cibench.render.numbers import plain
from cibench.utils.version import __version__

COLUMNS = '[["estimator", "bias", "bias_mcse", "coverage", "coverage_mcse"]]'


def frame_code(lesson: Lesson, setting: float, replicates: int) -> str:
    """Return three lines that run one setting again and show its scores."""
    suite = lesson.suite(replicates, (setting,))
    if lesson.plugins:  # the file's own folder is not the student's
        suite["plugins"] = [Path(plugin).name for plugin in lesson.plugins]
    line = _setting_line(lesson, setting)
    needed = "import cibench.lessons" if "lessons." in line else "import cibench"
    return "\n".join((needed, f"run = cibench.run({_python(suite)})", line))


def _setting_line(lesson: Lesson, setting: float) -> str:
    """Return the line that looks at the run as the lesson does."""
    views = {series.view for series in lesson.views}
    if lesson.slider.moves == "best_of":
        return f"cibench.lessons.best_of(run, {int(setting)}){COLUMNS}"
    looks = [f"run.scores{COLUMNS}"]
    if "passed" in views:
        looks.append(f"cibench.lessons.passed(run, {_python(lesson.diagnostic)}){COLUMNS}")
    if "asked" in views:
        away = f", {setting:g}" if lesson.question == "distance" else ""
        looks.append(f"cibench.lessons.asked(run, {_python(lesson.question)}{away}){COLUMNS}")
    return ", ".join(looks)


def data_code(lesson: Lesson, setting: float) -> str:
    """Return three lines that draw a data set; `@` stands for its number."""
    fields = _python(lesson.fields(setting))
    address = f"n={lesson.size(setting)}, seed={lesson.seed}, replicate=@"
    return "\n".join((
        "import cibench.lessons",
        f"drawn = cibench.lessons.draw({_python(lesson.scenario)}, {fields}, {address})",
        "drawn.columns",
    ))  # fmt: skip


def _python(value: Any) -> str:
    """Write plain data as Python, with double quotes and whole numbers without a point."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_python(k)}: {_python(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_python, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


COLOURS = (OKABE_ITO[0], OKABE_ITO[2], OKABE_ITO[3], OKABE_ITO[6])
"""Of the palette without its orange, which marks intervals that miss the truth."""

STYLE, SCRIPT = ("cibench.lessons", "lesson.css"), ("cibench.lessons", "lesson.js")

Frames = Mapping[str, Any]


def page(lesson: Lesson, frames: Frames, language: str = "en", home: str = "") -> str:
    """Return the HTML document; `home` is the address of the index page, "" where there is none.

    Raises BadInput for an unknown language.
    """
    ui, words = Interface(language), lesson.words_in(language)
    foreign = words.language if words.language != language else None
    return document(
        f"{words.title} · cibench", _header(words, ui, foreign, home),
        h("main", _stage(lesson, frames, ui, words), _words(lesson, frames, ui, words, foreign)),
        h("footer", h("p", _run_line(frames, ui), " · ", ui.say("by", version=__version__))),
        style=STYLE, scripts=[SCRIPT], data={"lesson": _model(lesson, frames, ui)},
        language=language,
    )  # fmt: skip


def _header(words: Words, ui: Interface, foreign: str | None, home: str) -> Html:
    link = h("a", ui.say("back"), href=home) if home else None
    assumption = join(ui.say("assumption"), ": ", h("span", inline(words.assumption), lang=foreign))
    return h(
        "header", h("h1", words.title, lang=foreign), h("p", assumption, cls="assumption"), link
    )


def _stage(lesson: Lesson, frames: Frames, ui: Interface, words: Words) -> Html:
    """Write the part that moves: the slider, and six panels that the script draws into."""
    last = len(lesson.slider.settings) - 1
    legend = [
        h("li", h("span", cls="key", data_series=i), ui.label(lesson, series))
        for i, series in enumerate(lesson.series)
    ]
    settings = [h("span", ui.local(plain(s))) for s in lesson.slider.settings]
    now = h("output", "", for_="slider", id="at")
    bar = h(
        "div",
        h("div", h("label", words.slider, ": ", now, for_="slider"),
          h("input", type="range", id="slider", min=0, max=last, step=1, value=0),
          h("div", settings, cls="ticks", aria_hidden="true"), cls="slide"),
        h("div", h("ul", legend, cls="legend"),
          h("p", verdict(lesson, frames, ui, 0), id="verdict", aria_live="polite"), cls="say"),
        cls="bar",
    )  # fmt: skip
    return h("section", bar, h("div", _panels(frames, ui, words), cls="grid"), id="stage",
             aria_label=ui.say("slider"))  # fmt: skip


def _panels(frames: Frames, ui: Interface, words: Words) -> list[Html]:
    level = f"{100 * frames['level']:g}"
    few = min(len(s["limits"]) for f in frames["frames"] for s in f["series"])
    moments = all(s["moments"] for f in frames["frames"] for s in f["series"])
    centre = ui.say("mean" if moments else "median")
    coverage = [ui.say("coverage_note", level=level)]
    coverage += [ui.say("alarms", diagnostic=words.test)] if words.test else []
    head = h(
        "div", h("h2", ui.say("one"), ", ", h("span", "", id="which")),
        h("button", "◀", id="previous", type="button", aria_label=ui.say("previous")),
        h("button", f"{ui.say('next')} ▶", id="next", type="button"), cls="head",
    )  # fmt: skip
    reveal = h(
        "label", h("input", type="checkbox", id="reveal"), ui.say("reveal"), id="reveal-label"
    )
    return [
        h("figure", head, h("div", "", cls="plot"), h("figcaption", ""), id="data", cls="panel"),
        _figure("spread", _many(frames["frames"][0], ui),
                ui.say("many_note", centre=centre)),
        _figure("bias", ui.say("bias" if moments else "median_bias"),
                ui.say("bias_note" if moments else "median_note")),
        h("div", h("h2", ui.say("analyst")), h("div", "", id="answers"), reveal, cls="panel"),
        _figure("zip", ui.say("intervals", count=few), ui.say("intervals_note")),
        _figure("coverage", ui.say("coverage_alarms" if words.test else "coverage"),
                " ".join(coverage)),
    ]  # fmt: skip


def _many(frame: Mapping[str, Any], ui: Interface) -> str:
    """Name the picture of the estimates by how many there are."""
    return ui.say("many", count=ui.local(f"{frame['series'][0]['answered']:,}"))


def _figure(name: str, title: str, note: str) -> Html:
    return h("figure", h("h2", title), h("div", "", cls="plot"), h("figcaption", note), id=name,
             cls="panel")  # fmt: skip


def _words(
    lesson: Lesson, frames: Frames, ui: Interface, words: Words, foreign: str | None
) -> Html:
    """Write the part to read: prose, what the run shows, questions, numbers, Python."""
    questions = [
        h("details", h("summary", inline(q.ask)), h("div", markdown(q.answer), cls="answer"))
        for q in words.questions
    ]
    code = [
        h("p", ui.say("reproduce_note")), h("pre", h("code", "", id="code"), tabindex=0),
        h("p", ui.say("reproduce_data")), h("pre", h("code", "", id="data-code"), tabindex=0),
    ]  # fmt: skip
    return join(
        h("section", h("div", markdown(words.prose), cls="prose", lang=foreign),
          h("div", h("h2", ui.say("claims")), claim_lines(lesson, frames, ui),
            h("h2", ui.say("questions")) if questions else None, h("div", questions, lang=foreign),
            cls="beside"), cls="read"),
        h("section", h("h2", ui.say("numbers")), numbers_table(lesson, frames, ui)),
        h("section", h("h2", ui.say("reproduce")), code),
    )  # fmt: skip


def _run_line(frames: Frames, ui: Interface) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in frames["versions"].items())
    count = ui.local(f"{frames['replicates']:,}")
    line = ui.say("run", date=frames["made"], versions=versions, count=count)
    return f"{line} {ui.say('unchecked')}" if frames.get("unchecked") else line


def _model(lesson: Lesson, frames: Frames, ui: Interface) -> dict[str, Any]:
    """Return what the script needs: numbers to draw, and every text ready to be shown."""
    drawn = pictures(lesson, frames)
    replicates, settings = int(frames["replicates"]), lesson.slider.settings
    words = lesson.words_in(ui.language)
    parts = [
        {
            **{k: frame[k] for k in ("series", "diagnostic")},
            "shown": [_data_set(one, ui) for one in frame["shown"]],
            "at": ui.local(plain(frame["setting"])), "verdict": verdict(lesson, frames, ui, i),
            "code": frame_code(lesson, frame["setting"], replicates),
            "many": _many(frame, ui), "data_code": data_code(lesson, frame["setting"]),
            "pictures": drawn["frames"][i],
        }
        for i, frame in enumerate(frames["frames"])
    ]  # fmt: skip
    marks = {"option": "window", "distance": "mark"}.get(lesson.slider.moves, "")
    return {
        "settings": list(settings), "plain": [plain(s) for s in settings],
        "x_name": _across(lesson, drawn["across"], ui),
        "methods": [words.labels[name] for name in lesson.estimators], "level": frames["level"],
        "colours": list(COLOURS), "edges": frames["edges"], "frames": parts, "kind": drawn["kind"],
        "axes": drawn["axes"], "words": ui.words, "diagnostic": words.test,
        "marks": marks,
    }  # fmt: skip


def _across(lesson: Lesson, column: str, ui: Interface) -> str:
    """Name the column that a scatter runs along: the treatment in words, others as they are."""
    roles = lesson.scenario_at(lesson.slider.settings[0]).assigned_roles()
    return ui.say("treatment") if column == roles.treatment else column


def _data_set(data_set: Mapping[str, Any], ui: Interface) -> dict[str, Any]:
    """Return a data set's answers as text beside their numbers."""
    answers = []
    for value, low, high, outside, covers, reason in data_set["answers"]:
        near = None if value is None or low is None else _width(low, high)
        text = "" if value is None else ui.near(value, near)
        limits = "" if low is None else ui.span(low, high, outside, near)
        answers.append({"estimate": text, "limits": limits, "covers": covers, "reason": reason})
    test = data_set.get("diagnostic")
    texts = {"replicate": data_set["replicate"], "answers": answers}
    if test is None:
        return texts
    return {**texts, "p": ui.outcome(test[0], data_set.get("statistic")), "alarm": test[1]}


def _width(low: Any, high: Any) -> float | None:
    """Return a quarter of an interval's length, about its standard error."""
    ends = float(low), float(high)
    return abs(ends[1] - ends[0]) / 4 if all(abs(e) < 1e300 for e in ends) else None
