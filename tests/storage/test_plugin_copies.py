"""A run folder holds the code that made it: it goes on, replays and scores where that is not."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from commands import python
from hostile import refusal
from toys import plugin

import cibench
from cibench.storage import cells, read_manifest
from cibench.storage.plugin_copies import stored_plugins
from cibench.suite import read_suite
from cibench.suite.origins import ORIGINS

METHOD = """
HERE = os.path.dirname(__file__)

@estimator("travels/mean", targets=ATE, files=("deep/margins.json",))
def mean(problem, rng):
    \"\"\"The difference in means; margins lie beside.\"\"\"
    import json
    with open(os.path.join(HERE, "deep", "margins.json")) as file:
        margin = json.load(file)[0]
    with open(os.path.join(HERE, "shift.txt")) as file:
        shift = float(file.read())
    return Estimate.wald(contrast(problem) + shift, margin, problem.level)
"""
SCRIPT = """from cibench import Estimate, estimator, serve

@estimator("travels/elsewhere")
def elsewhere(problem, rng):
    y, d = problem.outcome, problem.treatment
    one = [a for a, b in zip(y, d) if b == 1]
    other = [a for a, b in zip(y, d) if b != 1]
    value = sum(one) / len(one) - sum(other) / len(other)
    return Estimate.wald(value, 0.2, problem.level)

serve()
"""
SUITE = """
name = "travels"
seed = 3
replicates = 6
plugins = ["code/methods.py"]
[[cells]]
scenario = "travels/randomised"
n = 30
estimators = "travels/mean"
"""
REPLAY = (
    "replay", "run", "--scenario", "travels/randomised", "--replicate", "2",
    "--estimator", "travels/mean", "--out", "again",
)  # fmt: skip

AGAIN = "made again it is the same row, bit for bit"


@pytest.fixture
def project(tmp_path):
    """Lay out a project: a suite, its plug-in and what that reads."""
    code = tmp_path / "project" / "code"
    (code / "deep").mkdir(parents=True)
    (code / "methods.py").write_text(plugin("travels", METHOD))
    (code / "deep" / "margins.json").write_text("[0.2]")
    (code / "shift.txt").write_text("0.125")
    (code / "unused.txt").write_text("not mine")
    (code.parent / "suite.toml").write_text(SUITE)
    return code.parent


def commanded(folder, *words, code=0):
    done = python("-m", "cibench", *words, folder=folder)
    assert done.returncode == code, done.stderr
    return done


def values(folder):
    return [table.table["estimate"].to_pylist() for table in cells(folder)]


def test_a_run_goes_on_where_its_code_is_not(project, tmp_path):
    commanded(project, "run", "suite.toml", "--out", "run")
    home = tmp_path / "elsewhere"
    home.mkdir()
    shutil.copytree(project / "run", home / "run")
    before = values(home / "run")
    sources = read_manifest(home / "run")["sources"]
    shutil.rmtree(project)
    out = commanded(home, *REPLAY).stdout
    assert AGAIN in out
    commanded(home, "run", "run", "--replicates", "9")
    again = values(home / "run")
    assert [row[:6] for row in again] == before and len(again[0]) == 9
    assert read_manifest(home / "run")["sources"] == sources
    for words in (("score", "run"), ("report", "run")):
        commanded(home, *words)
    commanded(home, "run", "run", "--out", "anew")
    assert values(home / "anew") == again


def test_of_all_files_that_travel_none_names_a_folder_of_this_machine(project):
    commanded(project, "run", "suite.toml", "--out", "run")
    run = project / "run"
    naming = [
        path.relative_to(run).as_posix() for path in run.rglob("*")
        if path.is_file() and str(project).encode() in path.read_bytes()
    ]  # fmt: skip
    assert naming == [ORIGINS]
    (name,) = tomllib.loads((run / "suite.toml").read_text())["plugins"]
    copied = {
        path.relative_to((run / name).parent).as_posix() for path in (run / name).parent.rglob("*")
    }
    assert copied == {"methods.py", "deep", "deep/margins.json", "shift.txt"}


def test_at_home_it_is_the_original_that_counts(project):
    """Edited, it is another method, as the suite's own file says."""
    commanded(project, "run", "suite.toml", "--out", "run")
    (project / "code" / "shift.txt").write_text("0.5")
    refused = commanded(project, "run", "run", code=2).stderr
    assert "would be others: the source of estimator travels/mean (6 rows)" in refused
    first = values(project / "run")
    commanded(project, "run", "run", "--update")
    assert values(project / "run") == [[v + 0.375 for v in row] for row in first]
    (aside,) = (project / "run" / "superseded").iterdir()
    folders = [list((of / "plugins").iterdir()) for of in (project / "run", aside)]
    assert all(len(each) == 1 for each in folders) and folders[0][0].name != folders[1][0].name
    assert (folders[1][0] / "shift.txt").read_text() == "0.125"
    words = [word if word != "run" else aside.relative_to(project).as_posix() for word in REPLAY]
    assert AGAIN in commanded(project, *words).stdout


def test_a_method_in_another_process_travels_with_its_script(project, tmp_path):
    (project / "code" / "elsewhere.py").write_text(SCRIPT)
    with (project / "suite.toml").open("a") as suite:
        suite.write(
            '[estimators."travels/elsewhere"]\ncommand = ["python3", "code/elsewhere.py"]\n'
            'targets = "ATE"\nfiles = ["code/elsewhere.py"]\n'
        )
    text = (project / "suite.toml").read_text()
    both = text.replace('"travels/mean"\n', '["travels/mean", "travels/elsewhere"]\n')
    (project / "suite.toml").write_text(both)
    commanded(project, "run", "suite.toml", "--out", "run")
    home = tmp_path / "elsewhere"
    shutil.copytree(project / "run", home / "run")
    shutil.rmtree(project)
    commanded(home, "run", "run", "--replicates", "8")
    rows = cibench.load(home / "run").replicates
    assert len(rows) == 16 and (rows["status"] == "ok").all()
    words = [word if word != "travels/mean" else "travels/elsewhere" for word in REPLAY]
    assert AGAIN in commanded(home, *words).stdout


def test_a_folder_of_before_is_read_as_it_is(project):
    """Plug-ins stand in its suite file with their paths, and going on brings them in."""
    run = project / "run"
    commanded(project, "run", "suite.toml", "--out", "run")
    suite = (run / "suite.toml").read_text()
    (name,) = tomllib.loads(suite)["plugins"]
    shutil.rmtree(run / "plugins")
    (run / ORIGINS).unlink()
    (run / "suite.toml").write_text(suite.replace(name, str(project / "code" / "methods.py")))
    commanded(project, *REPLAY)
    commanded(project, "run", "run")
    assert (run / "suite.toml").read_text() == suite and (run / name).is_file()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"plugins/x/m.py": ["a"]}', "\x00"])
def test_a_damaged_note_of_origins_is_one_line(project, text):
    commanded(project, "run", "suite.toml", "--out", "run")
    (project / "run" / ORIGINS).write_text(text)
    (line,) = refusal(lambda: read_suite(project / "run" / "suite.toml"), str(project / "run"))
    assert ORIGINS in line


@pytest.mark.parametrize("name", ["plugins/../../outside.py", "plugins/a/../../../outside.py"])
def test_no_copy_lies_outside_of_the_folder(project, name):
    commanded(project, "run", "suite.toml", "--out", "run")
    (project.parent / "outside.py").write_text("raise SystemExit(3)\n")
    path = project / "run" / "suite.toml"
    (own,) = tomllib.loads(path.read_text())["plugins"]
    path.write_text(path.read_text().replace(own, name))
    err = commanded(project, *REPLAY, code=2).stderr
    assert "is no name of a file in that folder" in err and err.count("\n") == 1


def test_equal_plugins_have_equal_names_wherever_they_lie(project, tmp_path):
    shutil.copytree(project, tmp_path / "copy")
    one = read_suite(project / "suite.toml")
    (name,) = stored_plugins(one).values()
    done = python(
        "-c", "from cibench.storage.plugin_copies import stored_plugins as s\n"
        "from cibench.suite import read_suite as r\nprint(*s(r('suite.toml')).values())",
        folder=tmp_path / "copy",
    )  # fmt: skip
    assert done.stdout.strip() == name
    (project / "code" / "unused.txt").write_text("other")
    assert list(stored_plugins(one).values()) == [name]
    (project / "code" / "deep" / "margins.json").write_text("[0.3]")
    assert list(stored_plugins(one).values()) != [name]
    assert json.loads(Path(project / "code" / "deep" / "margins.json").read_text()) == [0.3]
