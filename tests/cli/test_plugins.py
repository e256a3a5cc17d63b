"""Which commands execute code that came with somebody's files, and that a switch forbids it."""

import pytest
from toys import plugin

import cibench
from cibench.cli import COMMANDS
from cibench.model import registry
from cibench.utils.plugins import FORBIDDEN

CODE = '''
Path(__file__).with_name("executed").touch()

@estimator("theirs/mean", targets=ATE, assumes=("no confounding",))
def mean(problem, rng):
    """The difference in means."""
    return Estimate.wald(contrast(problem), 1.0, problem.level)
'''
SUITE = """
name = "theirs"
seed = 1
replicates = 4
plugins = ["theirs.py"]
[[cells]]
scenario = "observables/heterogeneous"
n = 60
estimators = "theirs/mean"
"""
FIT = ("--scenario", "observables/heterogeneous", "--replicate", 1)
EXECUTING = {
    "run": ("theirs.toml",), "run a folder": ("run",), "plan": ("theirs.toml", "--pilot", 4),
    "replay": ("run", *FIT, "--estimator", "theirs/mean"), "replay a draw": ("run", *FIT),
    "check": ("theirs.toml", "--expect"),
}  # fmt: skip
READING = {
    "status": ("run",), "score": ("run",), "report": ("run",), "list": (), "doctor": (),
    "show": ("rd/cct-1",), "baseline save": ("run", "main"),
}  # fmt: skip


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """Write a suite with a plug-in that leaves a trace, and a run of it; forget the trace."""
    monkeypatch.setenv(FORBIDDEN, "")
    registry.load_built_in()
    shelves = {kind: dict(shelf) for kind, shelf in registry._shelves.items()}
    monkeypatch.setattr(registry, "_shelves", shelves)
    text = "from pathlib import Path\n" + plugin("theirs", CODE)
    (tmp_path / "theirs.py").write_text(text, encoding="utf-8")
    (tmp_path / "theirs.toml").write_text(SUITE, encoding="utf-8")
    cibench.run(tmp_path / "theirs.toml", tmp_path / "run")
    trace = tmp_path / "executed"
    assert trace.exists()
    trace.unlink()
    # Another file of the same place: no process of this session has it loaded.
    (tmp_path / "theirs.py").write_text(text + f"# {tmp_path}\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("words", EXECUTING)
def test_with_the_switch_no_plugin_is_executed_and_nothing_written(theirs, call, words):
    before = sorted(p for p in theirs.rglob("*") if p.name not in (".lock", ".status.json"))
    code, _, err = call(words.split()[0], *EXECUTING[words], "--no-plugins")
    assert code == 2 and "not executed, as --no-plugins" in err and err.count("\n") == 1
    after = sorted(p for p in theirs.rglob("*") if p.name not in (".lock", ".status.json"))
    assert after == before
    code, _, err = call("--no-plugins", words.split()[0], *EXECUTING[words])
    assert code == 2 and not (theirs / "executed").exists()


@pytest.mark.parametrize("words", EXECUTING)
def test_these_commands_execute_plugins(theirs, call, words):
    call(words.split()[0], *EXECUTING[words])
    assert (theirs / "executed").exists()


@pytest.mark.parametrize("words", READING)
def test_these_commands_never_do(theirs, call, words):
    code, _, err = call(*words.split(), *READING[words])
    assert code == 0, err
    assert not (theirs / "executed").exists()


def test_every_command_is_one_of_these_or_handles_no_run():
    others = {"new", "regress", "lesson", "assignment", "grade", "twin"}
    tried = {words.split()[0] for words in (*EXECUTING, *READING)}
    assert tried | others == set(COMMANDS)


def test_a_lesson_with_a_plugin_is_refused_too(theirs, call):
    assert call("new", "lesson", "own")[0] == 0
    path = theirs / "own.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text('plugins = ["theirs.py"]\n' + text, encoding="utf-8")
    code, _, err = call("lesson", "own.toml", "--no-plugins")
    assert code == 2 and "not executed, as --no-plugins" in err
    (theirs / "class.csv").write_text("student\nAda\n", encoding="utf-8")
    code, _, err = call("assignment", "own.toml", "--students", "class.csv", "--no-plugins")
    assert code == 2 and "not executed, as --no-plugins" in err
    assert not (theirs / "executed").exists() and not (theirs / "own.html").exists()
    assert not (theirs / "own-assignment").exists()
