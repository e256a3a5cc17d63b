"""What there is, and files to start from: `cibench list`, `show`, `new` and `doctor`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from cibench.lessons.parse import built_in_lessons
from cibench.model import descriptions, registry
from cibench.model.design import dials, estimands, find_scenario
from cibench.model.method import PIP_NAMES, find_estimator, installed
from cibench.suite.parse import built_in_suites
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import asset, write_text
from cibench.utils.machine import cores
from cibench.utils.version import __version__


def dependencies() -> list[tuple[str, str, str]]:
    """Return package, extra ("" for a hard dependency) and installed version or "missing"."""
    rows = []
    for line in requires("cibench") or []:
        name = re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)", line)
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "missing"
        rows.append((name, extra.group(1) if extra else "", found))
    return rows


def lacking() -> dict[str, list[str]]:
    """Return the libraries that are not installed and the estimators that use each."""
    missing: dict[str, list[str]] = {}
    for name, entry in registry.entries("estimator").items():
        for library in entry.value.uses:
            if not installed(library):
                missing.setdefault(PIP_NAMES.get(library, library), []).append(name)
    return missing


def print_doctor() -> None:
    """Print versions, extras, what is missing or broken, and threads."""
    import numpy as np  # noqa: F401 - loads the BLAS that is asked about below
    from threadpoolctl import threadpool_info

    from cibench.gate.versions.requirements import canonical_name, supported
    from cibench.render.terminal import console, table
    from cibench.storage.provenance import machine

    out, here = console(), machine()
    out.print(f"[bold]cibench {__version__}[/bold], Python {here['python']}, {here['platform']}\n")
    states = supported()
    rows = [
        {"package": n, "extra": e, "version": v, "works with": states.get(canonical_name(n), "")}
        for n, e, v in dependencies()
    ]
    out.print(table(rows), "")
    for library, names in lacking().items():
        out.print(f"pip install {library}  brings {', '.join(names)}", markup=False)
    for module, error in registry.broken().items():
        out.print(f"broken plug-in {module}: {error}", markup=False)
    blas = ", ".join(f"{i['internal_api']} {i['num_threads']}" for i in threadpool_info())
    out.print(f"cores {cores()}; threads outside of runs: {blas or 'none'}; each fit runs with one")


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
    cls = find_scenario(name)
    return {
        "name": name,
        "estimands": [str(e) for e in estimands(cls)],
        "dials": list(dials(cls)),
        "about": _first_line(cls.__doc__),
    }


def _estimator(name: str) -> dict[str, Any]:
    found = find_estimator(name)
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
    from cibench.render.terminal import console, table

    out = console()
    for shelf, entries in found.items():
        if entries:
            rows = [{k: _cell(v) for k, v in entry.items()} for entry in entries]
            out.print(table(rows, f"[bold]{shelf}[/bold]"), "")


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def print_one(name: str) -> None:
    """Print a scenario, an estimator or a suite; raises BadInput with the near miss."""
    from cibench.render.terminal import console

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
    from cibench.render.terminal import table

    told = descriptions.describe_scenario(find_scenario(name))
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
    told = descriptions.describe_estimator(find_estimator(name))
    _print_words(out, name, told["module"], told["doc"])
    for key in ("kind", "targets", "horizons", "needs", "assumes", "tests", "uses", "options"):
        if told[key]:
            out.print(f"{key:9}  {_cell(told[key])}", markup=False)


def _print_words(out: Any, name: str, module: str, doc: str) -> None:
    out.print(f"[bold]{name}[/bold]\n")
    for words in (module, doc):
        if words:
            out.print(words + "\n", markup=False)


def write_new(what: str, name: str, out: Path | None = None) -> Path:
    """Write the template of a scenario or estimator for an id and return the file's path.

    Raises BadInput where the id is malformed or taken, or the file exists.
    """
    if not registry.NAME.fullmatch(name):
        raise BadInput(f"'{name}' is not of the form family/name in lower case and hyphens")
    known = registry.entries("scenario" if what == "scenario" else "estimator")
    if name in known:
        raise BadInput(f"{what} '{name}' exists already, in {known[name].module}")
    words = name.rsplit("/", 1)[-1].split("-")
    function = "_".join(words)
    if not function.isidentifier():
        function = f"_{function}"
    cls = "".join(w.capitalize() for w in words)
    cls = cls if cls.isidentifier() else f"Design{cls}"
    path = out or Path(f"{'_'.join(words)}.py")
    filled = {"@NAME@": name, "@CLASS@": cls, "@FUNCTION@": function}
    return _fill(f"{what}.py.txt", filled, path)


def write_new_lesson(name: str, out: Path | None = None) -> Path:
    """Write a lesson's file and return its path: a page of its own, to be changed.

    Raises BadInput where the name is malformed or taken, or the file exists.
    """
    from cibench.lessons.parse import built_in_lessons

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise BadInput(f"'{name}' is not a name in lower case and hyphens")
    if name in built_in_lessons():
        raise BadInput(f"lesson '{name}' comes with cibench; take another name")
    title = name.replace("-", " ").capitalize()
    return _fill("lesson.toml.txt", {"@TITLE@": title}, out or Path(f"{name}.toml"))


def _fill(template: str, filled: Mapping[str, str], path: Path) -> Path:
    """Write a template with its marks filled in, refusing a file that exists."""
    if path.exists():
        raise BadInput(f"{path} exists already; name another file with --out")
    text = asset("cibench", f"templates/{template}")
    for mark, value in filled.items():
        text = text.replace(mark, value)
    write_text(path, text)
    return path
