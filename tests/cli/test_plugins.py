"""Which commands execute code that came with somebody's files, and that a switch forbids it."""

import json

import pytest
from toys import plugin

import cibench
from cibench.cli import COMMANDS
from cibench.cli.foreign_code import announce_scheduler
from cibench.model import registry
from cibench.results import pack
from cibench.storage import provenance
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
    "check": ("theirs.toml", "--expect"), "export": ("theirs.toml", "--out", "exported"),
    "import": ("run", "theirs.toml", "--estimator", "mine"),
}  # fmt: skip
READING = {
    "status": ("run",), "score": ("run",), "report": ("run",), "list": (), "doctor": (),
    "show": ("rd/cct-1",), "baseline save": ("run", "main"),
    "table": ("run",), "figure": ("run", "--kind", "forest"), "rows": ("run",),
    "pack": ("run", "--out", "other.zip"), "unpack": ("theirs.zip", "--out", "unpacked"),
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


def of_another_machine(theirs):
    """Make the run one that somebody else has made."""
    path = theirs / "run" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert len(manifest["hosts"]) == 1
    path.write_text(json.dumps({**manifest, "hosts": ["0123456789abcdef"]}), encoding="utf-8")


ON_A_RUN = {
    "run": ("run", "run", "--update"), "plan": ("plan", "run", "--pilot", 4),
    "replay": ("replay", "run", *FIT, "--estimator", "theirs/mean"),
    "replay a draw": ("replay", "run", *FIT),
}  # fmt: skip


@pytest.mark.parametrize("command", ON_A_RUN)
def test_code_of_a_run_that_others_made_is_announced_once(theirs, call, command):
    words = "was not made on this machine, as far as it says; this executes its plug-in "
    assert words not in call(*ON_A_RUN[command]).err
    of_another_machine(theirs)
    err = call(*ON_A_RUN[command]).err
    assert err.count(words) == 1 and f"{theirs / 'theirs.py'} with your rights" in err


@pytest.mark.parametrize("hosts", [5, "here", {"a": 1}, [None]])
def test_no_manifest_keeps_code_from_being_announced(theirs, call, hosts):
    path = theirs / "run" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "hosts": hosts}), encoding="utf-8")
    plan = ("plan", "run", "--pilot", 4, "--target", "coverage=0.1")
    assert "not made on this machine" in call(*plan).err
    code, _, err = call("status", "run")
    assert code == 2 and "hosts" in err and err.count("\n") == 1
    path.unlink()
    assert "not made on this machine" in call(*plan).err


def test_a_machine_without_a_network_card_is_the_same_in_every_process(monkeypatch):
    names = iter([0x010000000001, 0x010000000002])  # made up anew, which a bit of them says
    monkeypatch.setattr(provenance.uuid, "getnode", lambda: next(names))
    monkeypatch.setattr(provenance.Path, "read_text", missing_file)
    first, second = provenance.host.__wrapped__(), provenance.host.__wrapped__()
    assert first == second
    monkeypatch.setattr(provenance.uuid, "getnode", lambda: 0x020000000001 ^ 0x020000000000)
    assert provenance.host.__wrapped__() != first


def missing_file(*_, **__):
    raise FileNotFoundError("no such file")


def test_a_run_that_went_on_here_is_one_of_here_too(theirs, call):
    of_another_machine(theirs)
    more = ("run", "run", "--update", "--replicates", 6)
    assert "not made on this machine" in call(*more).err
    assert "not made on this machine" not in call("run", "run", "--update").err


def test_nothing_is_announced_where_nothing_is_executed(theirs, call):
    of_another_machine(theirs)
    for words in (("status", "run"), ("score", "run"), ("check", "run", "--expect")):
        assert "not made on this machine" not in call(*words).err
    assert not (theirs / "executed").exists()


@pytest.mark.parametrize(
    ("address", "trusting"),
    [
        ("dask://10.1.2.3:8786", True), ("dask://cluster.example:8786", True),
        ("dask+tls://10.1.2.3:8786", False), ("dask://127.0.0.1:8786", False),
        ("dask://localhost:8786", False), ("dask://[::1]:8786", False),
    ],
)  # fmt: skip
def test_a_scheduler_that_trusts_its_network_is_said_to(capsys, address, trusting):
    announce_scheduler(address)
    assert ("has no TLS: whoever reaches it" in capsys.readouterr().err) == trusting


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
    pack(cibench.load("run"), "theirs.zip")
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
