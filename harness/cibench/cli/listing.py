"""What `cibench list` and `show` say of each scenario, estimator, suite and lesson."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from cibench.lessons.parse import built_in_lessons
from cibench.model import descriptions, registry
from cibench.model.design import dials, estimands, find_scenario
from cibench.model.method import find_estimator
from cibench.render.labels import cell
from cibench.suite.parse import built_in_suites
from cibench.utils.errors import BadInput, unknown


def listing(shelf: str | None = None) -> dict[str, Any]:
    """Return scenarios, estimators, suites and lessons with a line each, and broken plug-ins."""
    shelves: dict[str, Any] = {}
    if shelf in (None, "scenarios"):
        shelves["scenarios"] = [_scenario(n) for n in registry.entries("scenario")]
    if shelf in (None, "estimators"):
        shelves["estimators"] = [_estimator(n) for n in registry.entries("estimator")]
    if shelf in (None, "suites"):
        shelves["suites"] = [{"name": n, "about": _head(p)} for n, p in built_in_suites().items()]
    if shelf in (None, "lessons"):
        shelves["lessons"] = [_lesson(n, p) for n, p in built_in_lessons().items()]
    shelves["broken"] = [{"module": m, "error": e} for m, e in registry.broken().items()]
    return shelves


def _scenario(name: str) -> dict[str, Any]:
    cls = find_scenario(name)
    return {
        "name": name,
        "estimands": [str(e) for e in estimands(cls)],
        "dials": list(dials(cls)),
        "about": _first_line(cls.__doc__),
    }


def _estimator(name: str) -> dict[str, Any]:
    method = find_estimator(name)
    return {
        "name": name,
        "answers": method.kind
        if method.kind == "diagnostic"
        else [str(t) for t in dict.fromkeys((*method.targets, *method.horizons))],
        "assumes": list(method.assumes or method.tests),
        "about": _first_line(method.fit.__doc__),
    }


def _lesson(name: str, path: Path) -> dict[str, str]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return {"name": name, "about": f"{content['title']}: {content['assumption']}"}


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().splitlines()[0] if doc else ""


def _head(path: Any) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def names() -> list[str]:
    """Return the names of all that has a page: scenarios, estimators, suites."""
    return [*registry.entries("scenario"), *registry.entries("estimator"), *built_in_suites()]


def page(name: str) -> dict[str, Any]:
    """Return what is shown of one of the names: `title`, `lines` of text, `tables` of rows.

    Raises BadInput with the near miss.
    """
    if name in registry.entries("scenario"):
        return _scenario_page(name)
    if name in registry.entries("estimator"):
        return _estimator_page(name)
    if name in (suites := built_in_suites()):
        return {"title": "", "lines": [suites[name].read_text(encoding="utf-8")], "tables": []}
    raise BadInput(unknown("scenario, estimator or suite", name, names()))


def _scenario_page(name: str) -> dict[str, Any]:
    words = descriptions.describe_scenario(find_scenario(name))
    roles = ", ".join(f"{role} {cell(column)}" for role, column in words["roles"].items())
    lines = [f"estimand   {', '.join(words['estimands'])}", f"columns    {roles}"]
    if words["violates"]:
        lines.append(f"violates   {', '.join(words['violates'])}")
    lines.append(f"reference  {words['reference']}\n")
    dial_rows = [
        {
            "dial": dial, "breaks": spec["breaks"], "default": f"{spec['default']:g}",
            "grid": ", ".join(f"{s:g}" for s in spec["grid"]),
            "range": f"{spec['within'][0]:g} to {spec['within'][1]:g}",
            "unit": spec["unit"], "truth": spec["truth"],
        }
        for dial, spec in words["dials"].items()
    ]  # fmt: skip
    parameter_rows = [
        {"parameter": field, "default": str(spec["default"]), "unit": spec["unit"]}
        for field, spec in words["parameters"].items()
    ]
    lines = [*_paragraphs(words["equations"], words["doc"]), *lines]
    tables = [rows for rows in (dial_rows, parameter_rows) if rows]
    return {"title": name, "lines": lines, "tables": tables}


def _estimator_page(name: str) -> dict[str, Any]:
    words = descriptions.describe_estimator(find_estimator(name))
    keys = ("kind", "targets", "horizons", "needs", "assumes", "tests", "uses", "options")
    lines = [f"{key:9}  {cell(words[key])}" for key in keys if words[key]]
    return {
        "title": name, "lines": [*_paragraphs(words["module"], words["doc"]), *lines], "tables": [],
    }  # fmt: skip


def _paragraphs(*texts: str) -> list[str]:
    return [f"{text}\n" for text in texts if text]
