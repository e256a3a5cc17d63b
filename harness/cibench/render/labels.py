"""Name methods, settings and views by what sets them apart, and by no more than that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cibench.render.numbers import plain
from cibench.utils.errors import BadInput, unknown
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

DEFAULT = "default"
LABELS = "labels"
"""The key of a suite file, and then of the catalogue and of what it says of each scenario."""

KINDS = ("methods", "scenarios", "dials", "settings", "measures")
"""What can have a label."""

WHOLE = "all data sets"
"""The title of a view that nothing names: of rows made elsewhere the size may not be known."""


@dataclass(frozen=True)
class Setting:
    """Name one place of the dials: the default, one dial moved, or (dial None) several."""

    label: str
    dial: str | None = None
    value: float | None = None


SUBDIVISIONS = {"group": "group {}", "contrast": "{}", "label": "{}"}
"""Columns that tell targets of one estimand apart, and how people read their values."""


def label(frame: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows or scores with `at` (the setting's label) and `method` beside them.

    A missing horizon becomes minus infinity, and a missing estimand, group, contrast or label "",
    so that they can be keys.
    `scenario_label` is the scenario's label, or its name. Labels are those of `with_labels`.
    """
    import pandas as pd

    known = catalogue.get("scenarios") or {}
    several, called = _telling_options(frame), labels_of(catalogue, "methods")

    def at(scenario: str, dial: Any, value: Any, dials: Any) -> str:
        return setting(dial, value, dials, known.get(scenario) or {}).label

    def method(estimator: str, options: Any) -> str:
        telling = several[estimator]
        chosen = {k: v for k, v in parse(options).items() if k in telling}
        if not chosen:
            return called.get(estimator, estimator)
        whole = f"{estimator} ({_listed(chosen)})"
        return called.get(whole) or whole.replace(estimator, called.get(estimator, estimator), 1)

    return frame.assign(
        horizon=pd.to_numeric(frame["horizon"]).astype(float).fillna(float("-inf")),
        estimand=frame["estimand"].astype(object).fillna(""),
        **{
            name: frame[name].astype(object).fillna("") if name in frame else ""
            for name in SUBDIVISIONS
        },
        at=by_combination(frame, ["scenario", "dial", "setting", "dials"], at),
        method=by_combination(frame, ["estimator", "options"], method),
        scenario_label=[scenario_label(name, known.get(name) or {}) for name in frame["scenario"]],
    )


def with_labels(catalogue: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the catalogue with the labels of a suite's content, under which people read it.

    Raises BadInput where two things would have one name: see `duplicates`.
    """
    labels = spec.get(LABELS)
    if not labels:
        return catalogue
    if lines := [f"suite.toml: {LABELS}.{kind}: {line}" for kind, _, line in duplicates(labels)]:
        raise BadInput(*lines)
    called = labels.get("scenarios") or {}
    scenarios = {
        name: {**about, LABELS: {**labels, "scenario": called.get(name, name)}}
        for name, about in (catalogue.get("scenarios") or {}).items()
    }
    return {**catalogue, LABELS: labels, "scenarios": scenarios}


def duplicates(labels: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, str, str]]:
    """Yield labels that two things would have, or that read as another's name: kind, key, why."""
    for kind, called in labels.items():
        taken: dict[str, str] = {}
        for name, label in called.items():
            text = " ".join(label.split())  # blanks set apart nothing that people read
            if text in taken:
                yield kind, name, f"'{taken[text]}' and '{name}' are both called '{text}'"
            elif text != name and text in called:
                yield kind, name, f"'{name}' is called '{text}', as another is named"
            elif kind == "settings" and (text == DEFAULT or " = " in text):
                yield kind, name, f"'{name}' is called '{text}', which reads as another setting"
            taken[text] = name


def unknown_labels(
    catalogue: Mapping[str, Any], labels: Mapping[str, Mapping[str, str]], measures: Iterable[str]
) -> Iterable[str]:
    """Yield a line for each label of what a run does not have, with the near miss.

    Nothing is looked for in a catalogue that does not say what there is.
    """
    about = catalogue.get("scenarios") or {}
    dials = {dial for scenario in about.values() for dial in dials_of(scenario)}
    known = {
        "methods": catalogue.get("estimators") or (), "scenarios": about,
        "dials": dials, "measures": measures,
    }  # fmt: skip
    for kind, names in known.items():
        for name in labels.get(kind) or {}:
            bare = name.partition(" (")[0] if kind == "methods" else name
            if (names or (kind == "dials" and about)) and bare not in names:
                line = unknown(f"{kind[:-1]} of the run", bare, sorted(names), listed=True)
                yield f"suite.toml: {LABELS}.{kind}: {line}"
    for text in labels.get("settings") or {}:
        for part in text.split(", ") if dials and text != DEFAULT else ():
            dial = part.partition(" = ")[0]
            if dial not in dials:
                line = unknown("dial of the run", dial, sorted(dials), listed=True)
                yield f"suite.toml: {LABELS}.settings: '{text}': {line}"


def labels_of(about: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    """Return the labels of a kind, from a catalogue or from what it says of a scenario."""
    return (about.get(LABELS) or {}).get(kind) or {}


def scenario_label(name: str, about: Mapping[str, Any]) -> str:
    """Return how people call a scenario."""
    return str((about.get(LABELS) or {}).get("scenario", name))


def dial_label(name: str, about: Mapping[str, Any]) -> str:
    """Return how people call a dial of a scenario."""
    return labels_of(about, "dials").get(name, name)


def setting_label(text: str, about: Mapping[str, Any]) -> str:
    """Return how people call a setting, the default too, whose label is a key and no name."""
    return labels_of(about, "settings").get(text, text)


def setting(dial: Any, value: Any, dials: Any, about: Mapping[str, Any]) -> Setting:
    """Return the setting that a row's dial, setting and complete map of dials stand for."""
    if not missing(dial):
        return Setting(_named({dial: float(value)}, about), str(dial), float(value))
    defaults = {name: spec.get("default", 0) for name, spec in dials_of(about).items()}
    moved = {k: v for k, v in parse(dials).items() if v != defaults.get(k, 0)}
    return Setting(_named(moved, about)) if moved else Setting(DEFAULT)


def _named(moved: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Name a setting: by its label, else by its dials', else as a suite has them."""
    known = labels_of(about, "settings").get(_listed(moved))
    return known or _listed({dial_label(name, about): value for name, value in moved.items()})


def in_order(settings: Iterable[Setting], about: Mapping[str, Any]) -> tuple[Setting, ...]:
    """Sort settings: the default, then dial by dial upwards, then those that moved several."""
    dials = list(dials_of(about))

    def rank(s: Setting) -> tuple[int, str, float, str]:
        if s.dial is None:
            return (-1 if s.label == DEFAULT else len(dials) + 1, "", 0.0, s.label)
        known = dials.index(s.dial) if s.dial in dials else len(dials)
        return (known, s.dial, s.value or 0.0, "")

    return tuple(sorted(settings, key=rank))


def view_titles(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each view by its size and by what differs between the views of its scenario."""
    siblings: dict[Any, list[Mapping[str, Any]]] = {}
    for key in keys:
        siblings.setdefault(key["scenario"], []).append(key)
    telling = {scenario: _telling(views) for scenario, views in siblings.items()}
    return [_title(key, telling[key["scenario"]]) for key in keys]


def slug(text: str) -> str:
    """Turn a name into one that does as a file's or an anchor's; a slash becomes two hyphens."""
    text = re.sub(r"(?<=\d),(?=\d)", "", text.lower()).replace("−", "minus ")
    return re.sub(r"[^a-z0-9.-]+", "-", text.replace("/", "--")).strip("-.")


def parse(text: Any) -> dict[str, Any]:
    """Read a JSON map of a row; none stands for the empty one."""
    return {} if missing(text) else dict(json.loads(text))


def dials_of(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the catalogue says of a scenario's dials, by name."""
    declared: Mapping[str, Any] = about.get("dials") or {}
    return declared


@dataclass(frozen=True)
class _Telling:
    """Hold what differs between the views of a scenario: which parameters, estimand, level."""

    parameters: frozenset[str]
    estimand: bool
    level: bool


def _telling(views: Sequence[Mapping[str, Any]]) -> _Telling:
    maps = [parse(text) for text in dict.fromkeys(view["parameters"] for view in views)]
    first = maps[0]
    return _Telling(
        frozenset(k for o in maps for k in {*o, *first} if o.get(k) != first.get(k)),
        *(len({view[key] for view in views}) > 1 for key in ("estimand", "level")),
    )


def _title(key: Mapping[str, Any], telling: _Telling) -> str:
    parameters = parse(key["parameters"]).items()
    parts = [
        f"n = {plain(int(key['n']))}" if key["n"] else "",
        _listed({k: v for k, v in parameters if k in telling.parameters}),
    ]
    if telling.estimand:
        parts.append(key["estimand"])
    if key["horizon"] > float("-inf"):
        parts.append(f"horizon {plain(int(key['horizon']))}")
    parts += [words.format(key[name]) for name, words in SUBDIVISIONS.items() if key.get(name)]
    if telling.level:
        parts.append(f"level {plain(key['level'])}")
    return ", ".join(part for part in parts if part) or WHOLE


def _telling_options(frame: pd.DataFrame) -> dict[str, set[str]]:
    seen: dict[str, list[dict[str, Any]]] = {}
    pairs = frame[["estimator", "options"]].drop_duplicates()
    for estimator, options in pairs.itertuples(index=False):
        seen.setdefault(estimator, []).append(parse(options))
    return {
        estimator: {k for o in maps for k in o if any(p.get(k) != o[k] for p in maps)}
        for estimator, maps in seen.items()
    }


def by_combination(frame: pd.DataFrame, columns: list[str], name: Callable[..., str]) -> Any:
    """Name each row from a few columns, calling `name` once for each combination of values."""
    import numpy as np

    codes = frame.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()
    unique = frame[columns].drop_duplicates().itertuples(index=False)
    return np.array([name(*values) for values in unique], dtype=object)[codes]


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {plain(value)}" for name, value in values.items())


def cell(value: Any) -> str:
    """Return a value as a table shows it: a list with commas between."""
    return ", ".join(value) if isinstance(value, list) else str(value)
