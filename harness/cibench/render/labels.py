"""Name methods, settings and views by what sets them apart, and by no more than that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cibench.render.numbers import plain
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """Name one place of the dials: the default, one dial moved, or (dial None) several."""

    label: str
    dial: str | None = None
    value: float | None = None


def label(frame: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows or scores with `at` (the setting's label) and `method` beside them.

    A missing horizon becomes minus infinity and a missing estimand "", so that both can be keys.
    """
    import pandas as pd

    known = catalogue.get("scenarios") or {}
    several = _telling_options(frame)

    def at(scenario: str, dial: Any, value: Any, dials: Any) -> str:
        return setting(dial, value, dials, known.get(scenario) or {}).label

    def method(estimator: str, options: Any) -> str:
        telling = several[estimator]
        chosen = {k: v for k, v in parse(options).items() if k in telling}
        return f"{estimator} ({_listed(chosen)})" if chosen else estimator

    return frame.assign(
        horizon=pd.to_numeric(frame["horizon"]).astype(float).fillna(float("-inf")),
        estimand=frame["estimand"].astype(object).fillna(""),
        at=_by_combination(frame, ["scenario", "dial", "setting", "dials"], at),
        method=_by_combination(frame, ["estimator", "options"], method),
    )


def setting(dial: Any, value: Any, dials: Any, about: Mapping[str, Any]) -> Setting:
    """Return the setting that a row's dial, setting and complete map of dials stand for."""
    if not missing(dial):
        return Setting(f"{dial} = {plain(float(value))}", str(dial), float(value))
    defaults = {name: spec.get("default", 0) for name, spec in dials_of(about).items()}
    moved = {k: v for k, v in parse(dials).items() if v != defaults.get(k, 0)}
    return Setting(_listed(moved)) if moved else Setting(DEFAULT)


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
    return [_title(key, [k for k in keys if k["scenario"] == key["scenario"]]) for key in keys]


def slug(text: str) -> str:
    """Turn a name into one that does as a file's or an anchor's; a slash becomes two hyphens."""
    text = re.sub(r"(?<=\d),(?=\d)", "", text.lower()).replace("−", "minus ")
    return re.sub(r"[^a-z0-9.-]+", "-", text.replace("/", "--")).strip("-")


def parse(text: Any) -> dict[str, Any]:
    """Read a JSON map of a row; none stands for the empty one."""
    return {} if missing(text) else dict(json.loads(text))


def dials_of(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the catalogue says of a scenario's dials, by name."""
    declared: Mapping[str, Any] = about.get("dials") or {}
    return declared


def _title(key: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]]) -> str:
    parameters = parse(key["parameters"])
    others = [parse(s["parameters"]) for s in siblings]
    telling = {k: v for k, v in parameters.items() if any(o.get(k) != v for o in others)}
    parts = [f"n = {plain(int(key['n']))}", _listed(telling)]
    if len({s["estimand"] for s in siblings}) > 1:
        parts.append(key["estimand"])
    if key["horizon"] > float("-inf"):
        parts.append(f"horizon {plain(int(key['horizon']))}")
    if len({s["level"] for s in siblings}) > 1:
        parts.append(f"level {plain(key['level'])}")
    return ", ".join(part for part in parts if part)


def _telling_options(frame: pd.DataFrame) -> dict[str, set[str]]:
    seen: dict[str, list[dict[str, Any]]] = {}
    pairs = frame[["estimator", "options"]].drop_duplicates()
    for estimator, options in pairs.itertuples(index=False):
        seen.setdefault(estimator, []).append(parse(options))
    return {
        estimator: {k for o in maps for k in o if any(p.get(k) != o[k] for p in maps)}
        for estimator, maps in seen.items()
    }


def _by_combination(frame: pd.DataFrame, columns: list[str], name: Callable[..., str]) -> Any:
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
