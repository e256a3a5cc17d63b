"""The parts of a lesson file, each read and checked by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cibench import registry
from cibench.design import Dial, Parameter, Scenario, dials, parameters
from cibench.errors import BadInput, unknown
from cibench.lessons.lesson import Claim, Moves, Question, Series, Slider, Words
from cibench.lessons.lines import Lines, open_lines
from cibench.method import Estimator

SLIDERS = ("dial", "parameter", "option", "best_of", "distance")
MEASURES = ("bias", "median_bias", "coverage")
QUESTIONS = ("everybody", "treated")
BEST_OF, DISTANCE = "data sets", "from the cutoff"
SAID = {BEST_OF: "data sets drawn, the best one shown", DISTANCE: "distance from the cutoff"}
LANGUAGES = ("tr", "es")
ENTRY = ("ask", "answer")


def estimators(table: Lines) -> dict[str, str]:
    """Return the methods and what the page calls them: a list, or a table of labels."""
    given = table.take("estimators", (list, dict), ..., bool, "a list, or a table of labels")
    labels = given if isinstance(given, dict) else {str(name): str(name) for name in given}
    for name in labels:
        if _find(table, "estimators", name).kind != "estimate":
            raise table.bad("estimators", f"'{name}' is a diagnostic")
    if len(labels) > 4:
        raise table.bad("estimators", f"a page has room for four methods, not {len(labels)}")
    return {name: str(label) for name, label in labels.items()}


def diagnostic(table: Lines) -> str:
    """Return the diagnostic's id, "" where the lesson has none."""
    name = str(table.take("diagnostic", str, "", bool, "a diagnostic's id"))
    if name and _find(table, "diagnostic", name).kind != "diagnostic":
        raise table.bad("diagnostic", f"'{name}' is an estimator, not a diagnostic")
    return name


def _find(table: Lines, key: str, name: str) -> Estimator:
    try:
        return registry.find_estimator(name)
    except BadInput as error:
        raise table.bad(key, error) from error


def slider(table: Lines, cls: type[Scenario], methods: Sequence[str]) -> Slider:
    """Return what the slider moves and through which settings."""
    given = [key for key in SLIDERS if key in table.content]
    if len(given) != 1:
        raise table.bad((given or ["dial"])[-1], f"a lesson has one slider: {', '.join(SLIDERS)}")
    settings = table.take("settings", list, ..., lambda v: len(v) > 1, "a list of two or more")
    for value in settings:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise table.bad("settings", f"{value!r} is not a number")
    if settings not in (rising := sorted(set(settings)), rising[::-1]):
        raise table.bad("settings", "they go neither up nor down, or one stands there twice")
    values, key = tuple(map(float, settings)), given[0]
    if key in ("best_of", "distance"):
        wanted = BEST_OF if key == "best_of" else DISTANCE
        table.take(key, str, ..., lambda v: v == wanted, f"'{wanted}'")
        return Slider("best_of" if key == "best_of" else "distance", key, values)
    if key == "option":
        return _option(table, methods, values)
    known: Mapping[str, Any] = dials(cls) if key == "dial" else {**parameters(cls), "n": None}
    name = table.take(key, str, ..., bool, f"the name of a {key}")
    if name not in known:
        raise table.bad(key, unknown(f"{key} of {cls.name}", name, known))
    moves: Moves = "n" if name == "n" else "dial" if key == "dial" else "parameter"
    return Slider(moves, name, values)


def _option(table: Lines, methods: Sequence[str], values: tuple[float, ...]) -> Slider:
    """Read `option = { "rd/local-linear" = "bandwidth" }`."""
    one = table.take("option", dict, ..., lambda v: len(v) == 1, "{ method = option }")
    of, name = next(iter(one.items()))
    if of not in methods:
        raise table.bad("option", unknown("method of this lesson", of, methods))
    if name not in (known := registry.find_estimator(of).options):
        raise table.bad("option", unknown(f"option of {of}", str(name), known))
    return Slider("option", str(name), values, of)


def said_of(cls: type[Scenario], slider: Slider) -> str:
    """Return what the slider is called where the lesson file does not say."""
    if slider.moves == "n":
        return "number of units"
    spec: Dial | Parameter | None = cls.specs.get(slider.name)
    unit = spec.unit if spec else SAID.get(BEST_OF if slider.moves == "best_of" else DISTANCE, "")
    return f"{slider.name}: {unit}" if spec and unit else unit or slider.name


def asked(table: Lines, slider: Slider) -> str:
    """Return the question that the answers are also scored on, "" where there is none."""
    if slider.moves == "distance":
        return "distance"
    given = table.table("asked")
    if not given.content:
        return ""
    given.check_keys(("of", "methods"))
    return str(given.take("of", str, ..., QUESTIONS.__contains__, f"one of {', '.join(QUESTIONS)}"))


def views(table: Lines, methods: Sequence[str], diagnostic: str) -> tuple[Series, ...]:
    """Return which methods are looked at in another way too."""
    if table.content.get("distance"):
        return tuple(Series(name, "asked") for name in methods)
    found = []
    passed, again = table.strings("passed", []), table.table("asked").strings("methods", [])
    if passed and not diagnostic:
        raise table.bad("passed", "needs a diagnostic")
    for name in (*passed, *again):
        if name not in methods:
            key = "passed" if name in passed else "asked"
            raise table.bad(key, unknown("method of this lesson", name, methods))
    found += [Series(name, "passed") for name in passed]
    return (*found, *(Series(name, "asked") for name in again))


def claims(
    table: Lines, slider: Slider, methods: Sequence[str], views: Sequence[Series]
) -> tuple[Claim, Claim]:
    """Return the stated failure and the stated remedy."""
    both = []
    for key in ("failure", "remedy"):
        part = table.table(key)
        part.check_keys(("method", "view", "at", "measure" if key == "failure" else "floor"))
        name = part.take("method", str, ..., bool, "a method of this lesson")
        view = part.take("view", str, "", ("passed", "asked").__contains__, "passed or asked")
        if name not in methods or (view and Series(name, view) not in views):
            raise part.bad(
                "method", unknown("method of this lesson", f"{name} {view}".strip(), methods)
            )
        numbers = (int, float)
        at = part.take("at", numbers, slider.settings[-1], slider.settings.__contains__,
                       "one of the settings")  # fmt: skip
        measure = part.take(
            "measure", str, "coverage", MEASURES.__contains__, f"one of {', '.join(MEASURES)}"
        )
        floor = part.take("floor", numbers, 0.9, lambda v: 0 < v < 1, "between 0 and 1")
        both.append(Claim(Series(name, view), float(at), measure, float(floor)))
    return both[0], both[1]


def fields(table: Lines, key: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return fixed values of parameters or dials; their ranges are checked with the settings."""
    part = table.table(key)
    for name in part.content:
        if name not in known:
            raise part.bad(name, unknown(key.removesuffix("s"), name, known))
    return dict(part.content)


def options(table: Lines, methods: Sequence[str], diagnostic: str) -> dict[str, Mapping[str, Any]]:
    """Return fixed options of the methods and of the diagnostic."""
    part = table.table("options")
    for name in part.content:
        if name not in (*methods, diagnostic):
            raise part.bad(name, unknown("method of this lesson", name, methods))
        given, known = part.table(name), registry.find_estimator(name).options
        for option in given.content:
            if option not in known:
                raise given.bad(option, unknown(f"option of {name}", option, known))
    return {name: part.table(name).content for name in part.content}


def picture(table: Lines) -> dict[str, Any]:
    """Return what the data's picture shows, where the roles of the columns do not say it all."""
    part = table.table("picture")
    part.check_keys(("kind", "x", "y", "by", "order"))
    kinds = ("panel", "cutoff", "instrument", "scatter")
    part.take("kind", str, kinds[0], kinds.__contains__, f"one of {', '.join(kinds)}")
    part.take("order", int, 1, lambda v: 0 < v < 6, "a polynomial's order from 1 to 5")
    return dict(part.content)


def words(table: Lines, language: str, slider: str, test: str, labels: Mapping[str, str]) -> Words:
    """Return what the lesson says in one language; `slider` and `test` where the file does not."""
    text = "Markdown text"
    asked = table.take("questions", list, [], lambda _: True, "one or more [[questions]] tables")
    questions = []
    for number, entry in enumerate(asked, 1):
        if not isinstance(entry, dict):
            raise table.bad("questions", f"{entry!r} is not a table")
        part = Lines(entry, table.where, f"questions[{number}].", table.text)
        part.check_keys(ENTRY)
        questions.append(Question(*(part.take(k, str, ..., bool, text) for k in ENTRY)))
    return Words(
        language, table.take("title", str, ..., bool, "the lesson's title"),
        table.take("assumption", str, ..., bool, text), table.take("prose", str, ..., bool, text),
        table.take("slider", str, slider, bool, "what the slider moves"),
        table.take("test", str, test, bool, "the diagnostic's name"), dict(labels),
        tuple(questions),
    )  # fmt: skip


def translations(path: Path, english: Words) -> dict[str, Words]:
    """Return the lesson's words in the other languages that have a file beside it, by language."""
    found = {}
    for language in LANGUAGES:
        other = path.parent / language / path.name
        if other.is_file():
            table = open_lines(other)
            table.check_keys(
                ("title", "assumption", "prose", "slider", "test", "estimators", "questions")
            )
            given = table.table("estimators").content
            for name in given:
                if name not in english.labels:
                    raise table.bad(
                        "estimators", unknown("method of this lesson", name, english.labels)
                    )
            labels = {**english.labels, **given}
            found[language] = words(table, language, english.slider, english.test, labels)
    return found
