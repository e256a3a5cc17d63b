"""Digests of what a plug-in rests on: two methods in one file are two methods."""

import ast
import textwrap

import numpy as np
import pytest

import cibench
from cibench.model import registry
from cibench.storage.source_digests import (
    definition_digest,
    files_beside,
    files_of,
    files_with,
    source_digest,
)

METHODS = '''\
"""Two methods, what they share and what each has for itself."""
import math
import statistics as st
from functools import lru_cache

import warmed_up
from cibench import Estimand, Estimate, estimator
from side import half

SHARED = 2.0
FIRST_ONLY: float = 1.0
SECOND_ONLY = {"a": [1, 2]}


def shared(x):
    """Both use this."""
    return SHARED * x


@lru_cache
def first_helper(x):
    return math.sqrt(shared(x)) + FIRST_ONLY


class Base:
    scale = 1.0


class Second(Base):
    def of(self, x):
        return half(shared(x)) * self.scale


@estimator("own/first", targets=(Estimand.ATE,))
def first(problem, rng):
    return Estimate(first_helper(1.0))


@estimator("own/second", targets=(Estimand.ATE,))
def second(problem, rng):
    return Estimate(Second().of(st.mean([1.0])) + len(SECOND_ONLY))
'''
SIDE = "TWO = 2\n\n\ndef half(x):\n    return x / TWO\n\n\ndef third(x):\n    return x / 3\n"

CHANGES = {
    "shared constant": ("SHARED = 2.0", "SHARED = 3.0", "both"),
    "shared function": ("SHARED * x", "SHARED + x", "both"),
    "constant of the first": ("FIRST_ONLY: float = 1.0", "FIRST_ONLY: float = 5.0", "first"),
    "helper of the first": ("math.sqrt", "math.exp", "first"),
    "the first itself": ("first_helper(1.0))", "first_helper(2.0))", "first"),
    "its declaration": ('"own/first", targets', '"own/first", moments=False, targets', "first"),
    "constant of the second": ("[1, 2]", "[1, 2, 3]", "second"),
    "a base of a class of the second": ("scale = 1.0", "scale = 2.0", "second"),
    "an import of the second": ("statistics as st", "fractions as st", "second"),
    "an import for what it does": ("import warmed_up", "import warmed_down", "both"),
    "a statement that acts": ("SHARED = 2.0", "SHARED = 2.0\nmath.sqrt(2)", "both"),
    "a new method": (
        "@lru_cache", '@estimator("own/x")\ndef third(problem, rng): ...\n\n\n@lru_cache', "",
    ),
    "a new method with its own import and constant": (
        "@lru_cache",
        "import json\nLEVELS = (1, 2)\n\n\ndef third(): return json, LEVELS\n\n\n@lru_cache",
        "",
    ),
    "a method that is wrapped by a stranger": (
        "@lru_cache", "@math.register\ndef third(problem, rng): ...\n\n\n@lru_cache", "both",
    ),
    "the module's docstring": ("Two methods, what", "Two methods and what", ""),
    "a comment between": ("\n\nclass Base", "\n\n# a comment\nclass Base", ""),
    "a comment within": ("    scale = 1.0", "    scale = 1.0  # one", "second"),
    "ends of lines": ("\n", "\r\n", ""),
    "a look-up by name": ("SHARED = 2.0", "SHARED = globals().get('FIRST_ONLY')", "both"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "methods.py").write_bytes(METHODS.encode())
    (tmp_path / "side.py").write_bytes(SIDE.encode())
    return tmp_path


def digests(folder):
    return {name: definition_digest(folder / "methods.py", name) for name in ("first", "second")}


def changed(folder, before):
    return {name for name, digest in digests(folder).items() if digest != before[name]}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_concerns_whom_it_may_touch(folder, what):
    old, new, concerned = CHANGES[what]
    before = digests(folder)
    assert METHODS.count(old) == 1 or old == "\n" or "lru" in old
    path = folder / "methods.py"
    text = METHODS.replace(old, new) if old == "\n" else new.join(METHODS.rsplit(old, 1))
    path.write_bytes(text.encode())
    both = {"first", "second"}
    assert changed(folder, before) == {"both": both, "": set()}.get(concerned, {concerned})


def test_of_a_file_beside_it_counts_what_is_imported(folder):
    before = digests(folder)
    (folder / "side.py").write_text(SIDE.replace("x / 3", "x / 4"))
    assert changed(folder, before) == set()
    (folder / "side.py").write_text(SIDE.replace("TWO = 2", "TWO = 3"))
    assert changed(folder, before) == {"second"}
    (folder / "side.py").write_text(SIDE + "\nTWO += 1\n")
    assert changed(folder, before) == {"second"}


def test_whatever_a_fit_runs_is_in_its_digest(folder):
    """Words of any line that a fit executes are changed one by one; each changes the digest."""
    tree = ast.parse(METHODS)
    reached = {"first": {"first", "first_helper", "shared"}, "second": {"second", "shared", "of"}}
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for name, functions in reached.items():
            if node.name not in functions:
                continue
            before = digests(folder)[name]
            lines = METHODS.splitlines()
            lines[node.body[-1].lineno - 1] += " or 0"
            (folder / "methods.py").write_text("\n".join(lines))
            assert digests(folder)[name] != before, node.name
            (folder / "methods.py").write_bytes(METHODS.encode())


def test_who_is_not_a_definition_of_the_file_takes_all_of_it(folder):
    path = folder / "methods.py"
    before = definition_digest(path, "absent")
    path.write_text(METHODS + "\n\ndef another():\n    return 1\n")
    assert definition_digest(path, "absent") != before
    made = definition_digest(path, "another.<locals>.fit")
    path.write_text(METHODS + "\n\ndef another():\n    return 2\n")
    assert definition_digest(path, "another.<locals>.fit") != made


PLUGIN = """
from pathlib import Path
from cibench import Draw, Estimand, Estimate, Roles, Scenario, estimator, scenario
HERE = Path(__file__).parent

def value():
    return float((HERE / "value.txt").read_text())

@estimator("beside/declared", targets=(Estimand.ATE,), files=("parts/script.R",))
def declared(problem, rng):
    "A script decides."
    return Estimate.wald(1.0, 1.0, problem.level)

@estimator("beside/named", targets=(Estimand.ATE,))
def named(problem, rng):
    "A text names its file."
    return Estimate.wald(value(), 1.0, problem.level)

@estimator("beside/none", targets=(Estimand.ATE,))
def none(problem, rng):
    "Reads nothing."
    return Estimate.wald(0.0, 1.0, problem.level)
"""


@pytest.fixture
def plugin(tmp_path, shelves):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "script.R").write_text("cat(1)\n")
    (tmp_path / "value.txt").write_text("1.5\n")
    path = tmp_path / "beside.py"
    path.write_text(PLUGIN)
    registry.load_plugin(str(path))
    return path


def test_files_beside_a_plugin_are_part_of_it(plugin):
    names = ("beside/declared", "beside/named", "beside/none")
    entries = {name: registry.entry("estimator", name) for name in names}
    assert [files_beside(entry) for entry in entries.values()] == [
        ["parts/script.R"], ["value.txt"], [],
    ]  # fmt: skip
    before = {name: source_digest(entry) for name, entry in entries.items()}
    for file, name in (("parts/script.R", "beside/declared"), ("value.txt", "beside/named")):
        (plugin.parent / file).write_text("2\n")
        now = {name: source_digest(entry) for name, entry in entries.items()}
        assert {n for n in names if now[n] != before[n]} == {name}
        before = now


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ('("parts/skript.R",)', "no file named 'parts/skript.R'"),
        ('("../outside.csv",)', "lies outside of"),
        ('("/etc/hostname",)', "lies outside of"),
        ('("value.tx",)', "did you mean 'value.txt'"),
    ],
)
def test_a_file_that_is_not_beside_the_code_is_named(plugin, call, files, words):
    (plugin.parent.parent / "outside.csv").write_text("1")
    plugin.write_text(PLUGIN.replace('("parts/script.R",)', files))
    with pytest.raises(cibench.BadInput, match=words):
        registry.load_plugin(str(plugin))


def test_rows_of_two_states_of_a_file_are_not_mixed(plugin, tmp_path, call):
    suite = textwrap.dedent("""
        name = "beside"
        seed = 1
        replicates = 5
        plugins = ["beside.py"]
        [[cells]]
        scenario = "observables/heterogeneous"
        n = 40
        estimators = ["beside/*"]
    """)
    (tmp_path / "beside.toml").write_text(suite)
    run = ("run", "beside.toml", "--out", "out", "--workers", "1")
    assert call(*run).code == 0
    (tmp_path / "value.txt").write_text("2.5\n")
    ended = call(*run)
    assert ended.code == 2 and "the source of estimator beside/named (5 rows)" in ended.err
    assert "beside/none" not in ended.err and "beside/declared" not in ended.err
    assert call(*run, "--update").code == 0
    rows = cibench.load(tmp_path / "out").replicates.set_index("estimator")["estimate"]
    assert np.array_equal(rows["beside/named"], np.full(5, 2.5))


def test_files_are_all_that_importing_them_takes(folder):
    """What a definition does not use, the module that it lies in imports all the same."""
    (folder / "mine.py").write_text("from half import used\n")
    half = "from other import more\n\ndef used(): ...\n\ndef not_used(): more()\n"
    (folder / "half.py").write_text(half)
    (folder / "other.py").write_text("def more(): ...\n")
    assert set(files_with(folder / "mine.py")) == {"mine.py", "half.py", "other.py"}
    for kind in ("scenario", "estimator"):
        for entry in registry.entries(kind).values():
            files = {path.stem for path in files_of(entry)} if entry.built_in else set()
            for path in files_of(entry) if entry.built_in else ():
                for node in ast.walk(ast.parse(path.read_bytes())):
                    if isinstance(node, ast.ImportFrom) and node.level == 1:
                        named = [node.module] if node.module else [a.name for a in node.names]
                        assert {name.partition(".")[0] for name in named} <= files, path
