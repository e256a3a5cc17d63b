"""Read a lesson file part by part, with one clear line for whatever is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cibench.lessons.lesson import Claim, Lesson, Moves, Question, Series, Slider, Words
from cibench.model import registry
from cibench.model.design import (
    Dial,
    Parameter,
    Scenario,
    configure,
    dials,
    estimands,
    find_scenario,
    parameters,
)
from cibench.model.method import Estimator, find_estimator, installed
from cibench.utils.errors import BadInput, unknown
from cibench.utils.toml import Lines, open_lines

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
        return find_estimator(name)
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
    if name not in (known := find_estimator(of).options):
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
        given, known = part.table(name), find_estimator(name).options
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


SEED, REPLICATES = 20261121, 200
KEYS = (
    "title", "assumption", "scenario", *SLIDERS, "slider", "settings", "n", "seed",
    "replicates", "estimators", "diagnostic", "test", "estimand", "parameters", "dials", "options",
    "plugins", "asked", "passed", "picture", "failure", "remedy", "prose", "questions",
)  # fmt: skip


def built_in_lessons() -> dict[str, Path]:
    """Return the lesson files that come with cibench, by name."""
    package = import_module(registry.BUILT_IN["scenario"])
    folder = Path(package.__path__[0]) / "lessons"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(name: str | Path) -> Lesson:
    """Read a lesson by path or by the name of a built-in one; BadInput with the near miss."""
    text, known = str(name), built_in_lessons()
    if text.endswith(".toml") or len(Path(text).parts) > 1:
        return read(Path(name))
    if text not in known:
        own = Path(f"{text}.toml")
        hint = f"; for the file {own} write `cibench lesson {own}`" if own.is_file() else ""
        raise BadInput(unknown("lesson", text, known) + hint)
    return read(known[text])


def read(path: Path) -> Lesson:
    """Read a lesson file; raises BadInput naming the file, the line, the key and the near miss."""
    table = open_lines(path)
    table.check_keys(KEYS)
    plugins = _plugins(table, path.parent)
    cls = _scenario(table)
    labels = estimators(table)
    test = diagnostic(table)
    moved = slider(table, cls, list(labels))
    given = fields(table, "parameters", parameters(cls))
    turned = fields(table, "dials", dials(cls))
    _check(table, cls, moved, {**given, **turned})
    seen = views(table, list(labels), test)
    failure, remedy = claims(table, moved, list(labels), seen)
    english = words(table, "en", said_of(cls, moved), test, labels)
    size = ... if moved.moves != "n" else int(moved.settings[0])
    return Lesson(
        name=path.stem, path=path, scenario=cls.name, slider=moved, plugins=plugins,
        n=table.take("n", int, size, lambda v: v > 0, "a number of units"),
        seed=table.take("seed", int, SEED, lambda v: v >= 0, "a whole number of 0 or more"),
        replicates=table.take("replicates", int, REPLICATES, lambda v: v > 1, "a number above 1"),
        estimators=tuple(labels), diagnostic=test, estimand=_estimand(table, cls),
        asked=asked(table, moved), views=seen, failure=failure, remedy=remedy,
        parameters=given, dials=turned,
        options=options(table, list(labels), test), picture=picture(table),
        words={"en": english, **translations(path, english)},
    )  # fmt: skip


def _plugins(table: Lines, folder: Path) -> tuple[str, ...]:
    """Import the plug-ins; paths are relative to the lesson file."""
    found = []
    for name in table.strings("plugins", []):
        if name.endswith(".py") and not (folder / name).is_file():
            beside = [path.name for path in sorted(folder.glob("*.py"))]
            raise table.bad("plugins", unknown("file beside the lesson", name, beside))
        plugin = str((folder / name).resolve()) if name.endswith(".py") else name
        try:
            registry.load_plugin(plugin)
        except BadInput as error:
            raise table.bad("plugins", error) from error
        found.append(plugin)
    return tuple(found)


def _scenario(table: Lines) -> type[Scenario]:
    name = table.take("scenario", str, ..., bool, "a scenario's id")
    try:
        return find_scenario(name)
    except BadInput as error:
        raise table.bad("scenario", error) from error


def _estimand(table: Lines, cls: type[Scenario]) -> str:
    """Return the estimand that is meant, the scenario's first one unless the file says."""
    known = [str(e) for e in estimands(cls)]
    name = str(table.take("estimand", str, known[0], bool, "an estimand"))
    if name not in known:
        raise table.bad("estimand", unknown(f"estimand of {cls.name}", name, known))
    return name


def _check(table: Lines, cls: type[Scenario], slider: Slider, fixed: dict[str, Any]) -> None:
    """Refuse settings outside the range, and methods that are not for this scenario."""
    moved = slider.moves in ("dial", "parameter")
    made = []
    for setting in slider.settings:
        if slider.moves in ("n", "best_of") and (setting != int(setting) or setting < 1):
            raise table.bad("settings", f"{setting:g} is not a whole number of 1 or more")
        try:
            made.append(configure(cls, {**fixed, slider.name: setting} if moved else fixed))
        except BadInput as error:
            raise table.bad("settings" if moved else "parameters", error) from error
    for key in ("estimators", "diagnostic"):
        for name in table.content.get(key, ()) if key == "estimators" else table.strings(key, []):
            found = find_estimator(name)
            reason = found.declines(made[0])
            if reason and all(map(installed, found.uses)):  # a frame may be shown without running
                raise table.bad(key, f"'{name}' {reason}")
