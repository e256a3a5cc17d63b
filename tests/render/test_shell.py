"""Commands that are printed do what they say, whatever the folders in them are called."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from commands import call  # noqa: F401 - a fixture
from hypothesis import given
from hypothesis import strategies as st
from toys import plugin

import cibench
from cibench.render.shell import command, line, place

ROOT = Path(cibench.__file__).parent
COMMAND = re.compile(r"(^|[\s'\"`])(cibench( [a-z-]+)+|python -m cibench[.\w]*|pytest) ['\"]?$")
NO_COMMANDS = {"cibench against ", "cibench check against ", "say its name: cibench new "}
"""What takes a title, or one of our own words."""

BROKEN = """
@estimator("{}/broken", targets=ATE)
def broken(problem, rng):
    raise ValueError("it never answers")
"""


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_a_place_is_one_word_that_is_no_option(name):
    words = shlex.split(command("run", Path(name)))
    assert words[:2] == ["cibench", "run"] and len(words) == 3
    assert not words[2].startswith("-")
    assert Path(words[2]) == Path(name)
    assert shlex.split(line(["a", place(name)])) == ["a", place(name)]


@pytest.mark.parametrize("url", ["s3://bucket/run", "file:///a/-b", "results/a"])
def test_what_needs_nothing_is_as_it_was(url):
    assert command("run", place(url)) == f"cibench run {url}"


def bare(source: str) -> list[str]:
    """Return the commands of a module into which a path, or the like, is put as it is."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for part in node.values[:-1]:
                if isinstance(part, ast.Constant) and COMMAND.search(str(part.value)):
                    faults.append(str(part.value))
    return [fault for fault in faults if fault not in NO_COMMANDS]


def test_no_command_takes_a_path_as_it_is():
    faults = {str(p.relative_to(ROOT)): bare(p.read_text("utf-8")) for p in ROOT.rglob("*.py")}
    assert not {name: each for name, each in faults.items() if each}


@pytest.mark.parametrize("code", [
    'f"to go on: cibench run {place}"', "f\"'cibench run {place}' once more\"",
    'f"cibench twin fit {x}"', 'f"  python -m cibench.contracts {path}"',
    'f"cibench run a --out {place}"', 'f"  pytest {tests} --more"',
])  # fmt: skip
def test_one_that_does_would_be_seen(code):
    assert bare(code)


@pytest.mark.parametrize(("own", "name"), [("a", "-rf"), ("b", "--out"), ("c", "my run")])
def test_printed_commands_are_those_that_go_on(call, tmp_path, own, name):  # noqa: F811
    own = f"named-{own}"
    (tmp_path / "own.py").write_text(plugin(own, BROKEN.format(own)))
    (tmp_path / "s.toml").write_text(
        'name = "t"\nseed = 1\nreplicates = 4\nplugins = ["own.py"]\n[[cells]]\n'
        f'scenario = "{own}/randomised"\nn = 20\nestimators = "{own}/broken"\n'
    )
    (tmp_path / name).mkdir()
    options = ("--workers", "1", "--no-checks")
    assert call("run", "s.toml", "--out", f"./{name}", *options).code in (0, 1)
    run = cibench.load(name)
    run.write_scores()
    (tmp_path / name / "scores.csv").unlink()
    report = run.write_report().read_text("utf-8")
    replay = next(x for x in re.findall(r"cibench replay [^<]*", report) if f"{own}/broken" in x)
    words = shlex.split(replay.replace("&#x27;", "'").replace("&#39;", "'"))
    assert Path(words[2]) == Path(name) and not words[2].startswith("-")
    assert call(*words[1:]).code in (0, 1)
    shard = next((tmp_path / name / "replicates").iterdir())
    shard.unlink()
    _, _, go_on = call("status", "--", name).out.rpartition("to go on from there: ")
    words = shlex.split(go_on)
    assert words[:2] == ["cibench", "run"]
    assert call(*words[1:], *options).code in (0, 1)
    assert (tmp_path / name / "scores.csv").exists()
