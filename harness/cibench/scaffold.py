"""`cibench new`: a file to start from."""

from __future__ import annotations

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
    if path.exists():
        raise BadInput(f"{path} exists already; name another file with --out")
    text = files("cibench").joinpath(f"templates/{what}.py.txt").read_text(encoding="utf-8")
    text = text.replace("@NAME@", name).replace("@CLASS@", cls).replace("@FUNCTION@", function)
    try:
        write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    return path
