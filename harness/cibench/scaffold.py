"""`cibench new`: a file to start from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from cibench import registry
from cibench.errors import BadInput
from cibench.files import write_atomically


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
    from cibench.lessons.lesson_file import built_in_lessons

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
    text = files("cibench").joinpath(f"templates/{template}").read_text(encoding="utf-8")
    for mark, value in filled.items():
        text = text.replace(mark, value)
    try:
        write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    return path
