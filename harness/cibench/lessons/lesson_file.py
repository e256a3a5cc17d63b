"""Reading a lesson file, with one clear line, its number included, for whatever is wrong in it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from cibench import registry
from cibench.design import Scenario, configure, dials, estimands, parameters
from cibench.errors import BadInput, unknown
from cibench.lessons import lesson_parts as parts
from cibench.lessons.lesson import Lesson, Slider
from cibench.lessons.lines import Lines, open_lines
from cibench.method import installed

SEED, REPLICATES = 20261121, 200
KEYS = (
    "title", "assumption", "scenario", *parts.SLIDERS, "slider", "settings", "n", "seed",
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
    labels = parts.estimators(table)
    diagnostic = parts.diagnostic(table)
    slider = parts.slider(table, cls, list(labels))
    given = parts.fields(table, "parameters", parameters(cls))
    turned = parts.fields(table, "dials", dials(cls))
    _check(table, cls, slider, {**given, **turned})
    views = parts.views(table, list(labels), diagnostic)
    failure, remedy = parts.claims(table, slider, list(labels), views)
    words = {"en": parts.words(table, "en", parts.said_of(cls, slider), diagnostic, labels)}
    size = ... if slider.moves != "n" else int(slider.settings[0])
    return Lesson(
        name=path.stem, path=path, scenario=cls.name, slider=slider, plugins=plugins,
        n=table.take("n", int, size, lambda v: v > 0, "a number of units"),
        seed=table.take("seed", int, SEED, lambda v: v >= 0, "a whole number of 0 or more"),
        replicates=table.take("replicates", int, REPLICATES, lambda v: v > 1, "a number above 1"),
        estimators=tuple(labels), diagnostic=diagnostic, estimand=_estimand(table, cls),
        asked=parts.asked(table, slider), views=views, failure=failure, remedy=remedy,
        parameters=given, dials=turned,
        options=parts.options(table, list(labels), diagnostic), picture=parts.picture(table),
        words={**words, **parts.translations(path, words["en"])},
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
        return registry.find_scenario(name)
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
            found = registry.find_estimator(name)
            reason = found.declines(made[0])
            if reason and all(map(installed, found.uses)):  # a frame may be shown without running
                raise table.bad(key, f"'{name}' {reason}")
