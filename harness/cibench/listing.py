"""`cibench list` and `cibench show`: what there is, and what one thing says of itself."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from cibench import catalogue, registry
from cibench.design import dials, estimands
from cibench.errors import BadInput, unknown
from cibench.lessons.lesson_file import built_in_lessons
from cibench.suite import built_in_suites


def listing(shelf: str | None = None) -> dict[str, Any]:
    """Return scenarios, estimators, suites and lessons with a line each, and broken plug-ins."""
    found: dict[str, Any] = {}
    if shelf in (None, "scenarios"):
        found["scenarios"] = [_scenario(n) for n in registry.entries("scenario")]
    if shelf in (None, "estimators"):
        found["estimators"] = [_estimator(n) for n in registry.entries("estimator")]
    if shelf in (None, "suites"):
        found["suites"] = [{"name": n, "about": _head(p)} for n, p in built_in_suites().items()]
    if shelf in (None, "lessons"):
        found["lessons"] = [_lesson(n, p) for n, p in built_in_lessons().items()]
    found["broken"] = [{"module": m, "error": e} for m, e in registry.broken().items()]
    return found


def _scenario(name: str) -> dict[str, Any]:
    cls = registry.find_scenario(name)
    return {
        "name": name,
        "estimands": [str(e) for e in estimands(cls)],
        "dials": list(dials(cls)),
        "about": _first_line(cls.__doc__),
    }


def _estimator(name: str) -> dict[str, Any]:
    found = registry.find_estimator(name)
    return {
        "name": name,
        "answers": found.kind
        if found.kind == "diagnostic"
        else [str(t) for t in dict.fromkeys((*found.targets, *found.horizons))],
        "assumes": list(found.assumes or found.tests),
        "about": _first_line(found.fit.__doc__),
    }


def _lesson(name: str, path: Path) -> dict[str, str]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return {"name": name, "about": f"{content['title']}: {content['assumption']}"}


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().splitlines()[0] if doc else ""


def _head(path: Any) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def print_listing(found: dict[str, Any]) -> None:
    """Print one table per shelf."""
    from cibench.screen import console, table

    out = console()
    for shelf, entries in found.items():
        if entries:
            rows = [{k: _cell(v) for k, v in entry.items()} for entry in entries]
            out.print(table(rows, f"[bold]{shelf}[/bold]"), "")


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def print_one(name: str) -> None:
    """Print a scenario, an estimator or a suite; raises BadInput with the near miss."""
    from cibench.screen import console

    out, suites = console(), built_in_suites()
    if name in registry.entries("scenario"):
        _print_scenario(out, name)
    elif name in registry.entries("estimator"):
        _print_estimator(out, name)
    elif name in suites:
        out.print(suites[name].read_text(encoding="utf-8"), markup=False)
    else:
        known = (*registry.entries("scenario"), *registry.entries("estimator"), *suites)
        raise BadInput(unknown("scenario, estimator or suite", name, known))


def _print_scenario(out: Any, name: str) -> None:
    from cibench.screen import table

    told = catalogue.describe_scenario(registry.find_scenario(name))
    _print_words(out, name, told["equations"], told["doc"])
    roles = ", ".join(f"{role} {_cell(column)}" for role, column in told["roles"].items())
    out.print(f"estimand   {', '.join(told['estimands'])}", markup=False)
    out.print(f"columns    {roles}", markup=False)
    if told["violates"]:
        out.print(f"violates   {', '.join(told['violates'])}", markup=False)
    out.print(f"reference  {told['reference']}\n", markup=False)
    dial_rows = [
        {
            "dial": dial, "breaks": spec["breaks"], "default": f"{spec['default']:g}",
            "grid": ", ".join(f"{s:g}" for s in spec["grid"]),
            "range": f"{spec['within'][0]:g} to {spec['within'][1]:g}",
            "unit": spec["unit"], "truth": spec["truth"],
        }
        for dial, spec in told["dials"].items()
    ]  # fmt: skip
    parameter_rows = [
        {"parameter": field, "default": str(spec["default"]), "unit": spec["unit"]}
        for field, spec in told["parameters"].items()
    ]
    for rows in (dial_rows, parameter_rows):
        if rows:
            out.print(table(rows), "")


def _print_estimator(out: Any, name: str) -> None:
    told = catalogue.describe_estimator(registry.find_estimator(name))
    _print_words(out, name, told["module"], told["doc"])
    for key in ("kind", "targets", "horizons", "needs", "assumes", "tests", "uses", "options"):
        if told[key]:
            out.print(f"{key:9}  {_cell(told[key])}", markup=False)


def _print_words(out: Any, name: str, module: str, doc: str) -> None:
    out.print(f"[bold]{name}[/bold]\n")
    for words in (module, doc):
        if words:
            out.print(words + "\n", markup=False)
