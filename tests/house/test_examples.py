"""Every public name says what it is for, with an example that runs."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "harness" / "cibench"
FACES = sorted(
    ".".join(("cibench", *path.parent.relative_to(ENGINE).parts))
    for path in ENGINE.rglob("__init__.py") if "_HOMES" in path.read_text(encoding="utf-8")
)  # fmt: skip
WITHOUT = {
    "Array": "a type", "cibench_check": "a fixture of pytest; README and its own tests show it",
}  # fmt: skip
INNER = ("cibench.render", "cibench.storage", "cibench.workers")
"""Faces for the engine's own use."""

PUBLIC = {
    id(getattr(import_module(face), name)): (face, name)
    for face in reversed(FACES) if face not in INNER
    for name in import_module(face).__all__ if name not in WITHOUT
}  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, shelves):
    """Run in a folder of its own, and give the registry back what examples register."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", sorted(f"{face}.{name}" for face, name in PUBLIC.values()))
def test_a_public_name_has_an_example_that_runs(name, elsewhere):
    face, _, offered = name.rpartition(".")
    thing = getattr(import_module(face), offered)
    doc = inspect.getdoc(thing) if callable(thing) else None
    if doc is None:  # a constant: the line below it says what it holds
        return
    first = doc.splitlines()[0]
    assert first.endswith((".", "?")) and len(first) <= 100, first
    see = re.search(r"[Ss]ee `(\w+)`", doc)
    if see and ">>>" not in doc:  # an example that shows several names stands with one of them
        shown = inspect.getdoc(getattr(import_module(face), see[1])) or ""
        assert ">>>" in shown, see[1]
        return
    finder, said = doctest.DocTestFinder(recurse=inspect.isclass(thing)), []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    found = [test for test in finder.find(thing, offered, globs={}) if test.examples]
    assert found, f"{name} has no example"
    for test in found:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
