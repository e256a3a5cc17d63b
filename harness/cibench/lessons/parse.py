"""Read a lesson file part by part, with one clear line for whatever is wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from cibench.lessons.lesson import Claim, Lesson, Moves, Series, Slider
from cibench.lessons.words import translations, words
from cibench.model import registry
from cibench.model.design import (
    Dial,
    Parameter,
    Scenario,
    dials,
    estimands,
    find_scenario,
    parameters,
    try_configure,
)
from cibench.model.method import Estimator, find_estimator, installed
from cibench.render.shell import command
from cibench.utils.errors import BadInput, near_miss, unknown
from cibench.utils.near_paths import near_path
from cibench.utils.toml import Table, open_table, refuse

SLIDERS = ("dial", "parameter", "option", "best_of", "distance")
MEASURES = ("bias", "median_bias", "coverage")
"""The metrics in which a failure can be stated: those of which a page says what none would be."""

QUESTIONS = ("everybody", "treated")
BEST_OF, DISTANCE = "data sets", "from the cutoff"
SLIDER_WORDS = {
    BEST_OF: "data sets drawn, the best one shown",
    DISTANCE: "distance from the cutoff",
}


def estimators(table: Table) -> dict[str, str]:
    """Return the methods and what the page calls them: a list, or a table of labels."""
    content = (
        table.take("estimators", (list, dict), ..., bool, "a list, or a table of labels") or {}
    )
    labels = content if isinstance(content, dict) else {str(name): str(name) for name in content}
    for name, at in _positions(content).items():
        method = _find(table, "estimators", name, at)
        if method and method.kind != "estimate":
            table.fault("estimators", f"'{name}' is a diagnostic", at)
    if len(labels) > 4:
        table.fault("estimators", f"a page has room for four methods, not {len(labels)}")
    return {name: str(label) for name, label in labels.items()}


def _positions(names: Mapping[str, Any] | Sequence[Any]) -> dict[str, str | int]:
    """Return where in its list or table each name stands."""
    if isinstance(names, Mapping):
        return {name: name for name in names}
    return {str(name): number for number, name in enumerate(names)}


def diagnostic(table: Table) -> str:
    """Return the diagnostic's id, "" where the lesson has none."""
    name = str(table.take("diagnostic", str, "", bool, "a diagnostic's id"))
    method = _find(table, "diagnostic", name) if name else None
    if method and method.kind != "diagnostic":
        table.fault("diagnostic", f"'{name}' is an estimator, not a diagnostic")
    return name


def _find(table: Table, key: str, name: str, *within: str | int) -> Estimator | None:
    """Return an estimator; what is unknown may be a broken plug-in's."""
    try:
        return find_estimator(name)
    except BadInput as error:
        table.fault(key, "" if table.faulty("plugins") else error, *within)
        return None


def slider(table: Table, cls: type[Scenario] | None, methods: Sequence[str]) -> Slider | None:
    """Return what the slider moves and through which settings, None where that is wrong."""
    sliders = [key for key in SLIDERS if key in table.content]
    if len(sliders) != 1:
        if not table.faulty(*SLIDERS):
            table.fault((sliders or ["dial"])[-1], f"a lesson has one slider: {', '.join(SLIDERS)}")
        return None
    key, values = sliders[0], _numbers(table)
    if key in ("best_of", "distance"):
        wanted = BEST_OF if key == "best_of" else DISTANCE
        table.take(key, str, ..., lambda v: v == wanted, f"'{wanted}'")
        moved: Slider | None = Slider("best_of" if key == "best_of" else "distance", key, values)
    elif key == "option":
        moved = _option(table, methods, values)
    else:
        moved = _field(table, key, cls, values)
    return None if table.faulty("settings", key) else moved


def _numbers(table: Table) -> tuple[float, ...]:
    """Return the slider's settings."""
    settings = table.take("settings", list, ..., lambda v: len(v) > 1, "a list of two or more")
    for number, value in enumerate(settings or ()):
        if not isinstance(value, int | float) or isinstance(value, bool):
            table.fault("settings", f"{value!r} is not a number", number)
    if table.faulty("settings"):
        return ()
    if settings not in (rising := sorted(set(settings)), rising[::-1]):
        table.fault("settings", "they go neither up nor down, or one stands there twice")
    return tuple(map(float, settings))


def _field(
    table: Table, key: str, cls: type[Scenario] | None, values: tuple[float, ...]
) -> Slider | None:
    """Read `dial = "name"` or `parameter = "name"`, where "n" is the number of units."""
    name = table.take(key, str, ..., bool, f"the name of a {key}")
    if name is None or cls is None:
        return None
    known: Mapping[str, Any] = dials(cls) if key == "dial" else {**parameters(cls), "n": None}
    if name not in known:
        table.fault(key, unknown(f"{key} of {cls.name}", name, known))
    moves: Moves = "n" if name == "n" else "dial" if key == "dial" else "parameter"
    return Slider(moves, name, values)


def _option(table: Table, methods: Sequence[str], values: tuple[float, ...]) -> Slider | None:
    """Read `option = { "rd/local-linear" = "bandwidth" }`."""
    pair = table.take("option", dict, ..., lambda v: len(v) == 1, "{ method = option }")
    if pair is None:
        return None
    of, name = next(iter(pair.items()))
    if of not in methods:
        _no_method(table, "option", of, methods, of)
    elif (method := _find(table, "option", of, of)) and name not in method.options:
        table.fault("option", unknown(f"option of {of}", str(name), method.options), of)
    return Slider("option", str(name), values, of)


def _no_method(
    table: Table, key: str, name: str, methods: Sequence[str], *within: str | int
) -> None:
    """Complain of a method that is none of the lesson's, unless those are wrong themselves."""
    sure = not table.source.faulty(("estimators",))
    table.fault(key, unknown("method of this lesson", name, methods) if sure else "", *within)


def slider_words(cls: type[Scenario], slider: Slider) -> str:
    """Return what the slider is called where the lesson file does not say."""
    if slider.moves == "n":
        return "number of units"
    spec: Dial | Parameter | None = cls.specs.get(slider.name)
    unit = (
        spec.unit
        if spec
        else SLIDER_WORDS.get(BEST_OF if slider.moves == "best_of" else DISTANCE, "")
    )
    return f"{slider.name}: {unit}" if spec and unit else unit or slider.name


def question(table: Table) -> str:
    """Return the question that the answers are also scored on, "" where there is none."""
    if "distance" in table.content:
        return "distance"
    part = table.table("asked")
    if not part.content:
        return ""
    part.check_keys(("of", "methods"))
    return str(part.take("of", str, ..., QUESTIONS.__contains__, f"one of {', '.join(QUESTIONS)}"))


def views(table: Table, methods: Sequence[str], diagnostic: str) -> tuple[Series, ...]:
    """Return which methods are looked at in another way too."""
    if table.content.get("distance"):
        return tuple(Series(name, "asked") for name in methods)
    passed, again = table.strings("passed", []), table.table("asked").strings("methods", [])
    if passed and not diagnostic and not table.faulty("diagnostic"):
        table.fault("passed", "needs a diagnostic")
    for key, names, within in (("passed", passed, ()), ("asked", again, ("methods",))):
        for number, name in enumerate(names):
            if name not in methods:
                _no_method(table, key, name, methods, *within, number)
    return (*(Series(name, "passed") for name in passed), *(Series(n, "asked") for n in again))


def claims(
    table: Table, settings: Sequence[float], methods: Sequence[str], views: Sequence[Series]
) -> tuple[Claim, Claim]:
    """Return the stated failure and the stated remedy; without `settings` any may be meant."""
    both = []
    for key in ("failure", "remedy"):
        part = table.table(key)
        part.check_keys(("method", "view", "at", "measure" if key == "failure" else "floor"))
        name = part.take("method", str, ..., bool, "a method of this lesson")
        view = part.take("view", str, "", ("passed", "asked").__contains__, "passed or asked")
        unseen = view and Series(name, view) not in views and not table.faulty("passed", "asked")
        if name and (name not in methods or unseen):
            _no_method(part, "method", f"{name} {view}".strip(), methods)
        at = part.take(
            "at", (int, float), settings[-1] if settings else 0.0,
            settings.__contains__ if settings else lambda _: True, "one of the settings",
        )  # fmt: skip
        measure = part.take(
            "measure", str, "coverage", MEASURES.__contains__, f"one of {', '.join(MEASURES)}"
        )
        floor = part.take("floor", (int, float), 0.9, lambda v: 0 < v < 1, "between 0 and 1")
        both.append(Claim(Series(name, view), float(at), measure, float(floor)))
    return both[0], both[1]


def fields(table: Table, key: str, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return fixed values of parameters or dials; their ranges are checked with the settings."""
    part = table.table(key)
    for name in part.content:
        if known is not None and name not in known:
            part.fault(name, unknown(key.removesuffix("s"), name, known))
    return {name: v for name, v in part.content.items() if known is None or name in known}


def options(table: Table, methods: Sequence[str], diagnostic: str) -> dict[str, Mapping[str, Any]]:
    """Return fixed options of the methods and of the diagnostic."""
    part = table.table("options")
    for name in part.content:
        if name not in (*methods, diagnostic):
            _no_method(part, name, name, methods)
        elif method := _find(part, name, name):
            chosen = part.table(name)
            for option in chosen.content:
                if option not in method.options:
                    chosen.fault(option, unknown(f"option of {name}", option, method.options))
    return {name: part.table(name).content for name in part.content}


def picture(table: Table) -> dict[str, Any]:
    """Return what the data's picture shows, where the roles of the columns do not say it all."""
    part = table.table("picture")
    part.check_keys(("kind", "x", "y", "by", "order"))
    kinds = ("panel", "cutoff", "instrument", "scatter")
    part.take("kind", str, kinds[0], kinds.__contains__, f"one of {', '.join(kinds)}")
    part.take("order", int, 1, lambda v: 0 < v < 6, "a polynomial's order from 1 to 5")
    return dict(part.content)


SEED, REPLICATES = 20261121, 200
KEYS = (
    "title", "assumption", "scenario", *SLIDERS, "slider", "settings", "n", "seed",
    "replicates", "estimators", "diagnostic", "test", "estimand", "parameters", "dials", "options",
    "plugins", "asked", "passed", "picture", "failure", "remedy", "prose", "questions",
)  # fmt: skip


def built_in_lessons() -> dict[str, Path]:
    """Return the lesson files that come with cibench, by name.

    See `find`, which reads one by its name.
    """
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
        hint = f"; for the file {own} write `{command('lesson', own)}`" if own.is_file() else ""
        raise BadInput(unknown("lesson", text, known) + (hint or _near(text, known)))
    return read(known[text])


def _near(text: str, known: Iterable[str]) -> str:
    return "" if near_miss(text, known) else near_path(Path(f"{text}.toml"))


def read(path: Path) -> Lesson:
    """Read a lesson file; raises BadInput with a line for each mistake, as suite files have."""
    table = open_table(path)
    table.check_keys(KEYS)
    plugins = _plugins(table, path.parent)
    cls, labels, test = _scenario(table), estimators(table), diagnostic(table)
    methods = list(labels)
    moved = slider(table, cls, methods)
    fixed = fields(table, "parameters", parameters(cls) if cls else None)
    turned = fields(table, "dials", dials(cls) if cls else None)
    if cls and moved:
        at_first = _check(table, cls, moved, {"parameters": fixed, "dials": turned})
        _check_methods(table, at_first, test)
    seen = views(table, methods, test)
    settings = moved.settings if moved and not table.faulty("settings") else ()
    failure, remedy = claims(table, settings, methods, seen)
    counts, estimand = _counts(table, moved), _estimand(table, cls)
    english = words(table, "en", slider_words(cls, moved) if cls and moved else "", test, labels)
    others = translations(path, english, None if table.faulty("estimators") else labels)
    lesson = partial(
        Lesson, name=path.stem, path=path, plugins=plugins, estimators=tuple(labels),
        diagnostic=test, estimand=estimand, question=question(table), views=seen, failure=failure,
        remedy=remedy, parameters=fixed, dials=turned, options=options(table, methods, test),
        picture=picture(table), words={"en": english, **{w.language: w for _, w in others}},
        **counts,
    )  # fmt: skip
    refuse(table, *(other for other, _ in others))
    assert cls is not None and moved is not None  # else something was wrong
    return lesson(scenario=cls.name, slider=moved)


def _counts(table: Table, slider: Slider | None) -> dict[str, Any]:
    """Return units, seed and replicates; the slider may say the first, and a wrong one might."""
    size: Any = 1 if slider is None else int(slider.settings[0]) if slider.moves == "n" else ...
    return {
        "n": table.take("n", int, size, lambda v: v > 0, "a number of units"),
        "seed": table.take("seed", int, SEED, lambda v: v >= 0, "a whole number of 0 or more"),
        "replicates": table.take(
            "replicates", int, REPLICATES, lambda v: v > 1, "a number above 1"
        ),
    }


def _plugins(table: Table, folder: Path) -> tuple[str, ...]:
    """Import the plug-ins; paths are relative to the lesson file."""
    plugins = []
    for number, name in enumerate(table.strings("plugins", [])):
        if name.endswith(".py") and not (folder / name).is_file():
            beside = [path.name for path in sorted(folder.glob("*.py"))]
            table.fault("plugins", unknown("file beside the lesson", name, beside), number)
            continue
        plugin = str((folder / name).resolve()) if name.endswith(".py") else name
        try:
            registry.load_plugin(plugin)
        except BadInput as error:
            table.fault("plugins", error, number)
        plugins.append(plugin)
    return tuple(plugins)


def _scenario(table: Table) -> type[Scenario] | None:
    name = table.take("scenario", str, ..., bool, "a scenario's id")
    try:
        return find_scenario(name) if name else None
    except BadInput as error:
        table.fault("scenario", "" if table.faulty("plugins") else error)
        return None


def _estimand(table: Table, cls: type[Scenario] | None) -> str:
    """Return the estimand that is meant, the scenario's first one unless the file says."""
    if cls is None:
        return ""
    known = [str(e) for e in estimands(cls)]
    name = str(table.take("estimand", str, known[0], bool, "an estimand"))
    if name not in known:
        table.fault("estimand", unknown(f"estimand of {cls.name}", name, known))
    return name


def _check(
    table: Table, cls: type[Scenario], slider: Slider, fixed: Mapping[str, Mapping[str, Any]]
) -> Scenario:
    """Note settings and fixed values out of range; return the scenario at the first setting."""
    scenarios = []
    for number, setting in enumerate(slider.settings):
        if slider.moves in ("n", "best_of") and (setting != int(setting) or setting < 1):
            problem = f"{setting:g} is not a whole number of 1 or more"
            table.fault("settings", problem, number)
        moved = {slider.name: setting} if slider.moves in ("dial", "parameter") else {}
        values = {**fixed["parameters"], **fixed["dials"], **moved}
        scenario, problems = try_configure(cls, values)
        scenarios.append(scenario)
        for name, problem in problems.items():
            if name in moved or (moved and not name):
                table.fault("settings", problem, number)
            else:
                key = "dials" if name in fixed["dials"] else "parameters"
                table.fault(key, problem, *filter(None, [name]))
    return scenarios[0]


def _check_methods(table: Table, scenario: Scenario, diagnostic: str) -> None:
    """Note methods that are not for this scenario."""
    listed = table.content.get("estimators")
    named = _positions(listed) if isinstance(listed, list | dict) else {}
    places: list[tuple[str, str, tuple[str | int, ...]]] = [
        *(("estimators", name, (at,)) for name, at in named.items()),
        *(("diagnostic", name, ()) for name in [diagnostic] if name),
    ]
    for key, name, within in places:
        method = _find(table, key, name, *within)
        reason = method.declines(scenario) if method else None
        if method and reason and all(map(installed, method.uses)):  # a frame shows without a run
            table.fault(key, f"'{name}' {reason}", *within)
