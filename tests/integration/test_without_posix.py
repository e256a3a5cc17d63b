"""What a class does on a laptop whose system knows no fork, no groups and no file locks.

A module that Python imports at its start, `tests/shared/poorer.py`, takes them away, from worker
processes too, and refuses what Windows refuses of files and their names. It is Linux that is left
without them and no Windows: its own paths, its drives and its installers are not tried.
"""

import json
import os
import shutil
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
from commands import python
from toys import plugin

import cibench

POORER = Path(__file__).parents[1] / "shared" / "poorer.py"


METHOD = """
@estimator("windows/mean", targets=(Estimand.ATE,))
def mean(problem, rng):
    return Estimate.wald(contrast(problem), 1.0, problem.level)
"""


@pytest.fixture
def laptop(tmp_path):
    """Give a function that runs a command in a folder with a blank in its name, as cp1252."""
    (tmp_path / "site").mkdir()
    shutil.copy(POORER, tmp_path / "site" / "sitecustomize.py")
    folder = tmp_path / "my course"
    folder.mkdir()
    paths = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    env = {
        **os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0",
        "PYTHONWARNDEFAULTENCODING": "1", "LAPTOP": str(folder),
    }  # fmt: skip

    def run(*words, code=0):
        done = python("-m", "cibench", *words, env=env, folder=folder, encoding="cp1252")
        assert done.returncode == code, (words, done.stdout[-2000:], done.stderr[-2000:])
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr if code else done.stdout

    run.folder = folder
    yield run
    refused = tmp_path / "my course.refused"
    assert not refused.exists(), refused.read_text(encoding="utf-8")


def test_what_is_taken_away_is_away(laptop, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "LAPTOP": str(laptop.folder)}
    code = "import os, multiprocessing as m; print(hasattr(os, 'fork'), m.get_all_start_methods())"
    done = python("-c", f"{code}\ntry:\n import fcntl\nexcept ImportError: print('none')", env=env)
    assert done.stdout.split() == ["False", "['spawn']", "none"]


def test_a_run_with_workers_goes_on_from_where_it_stands(laptop):
    run = ("run", "quickstart", "--replicates", "2", "--workers", "2", "--out", "first run")
    assert "report" in laptop(*run)
    folder = laptop.folder / "first run"
    before = json.loads((folder / "manifest.json").read_text())["stored_rows"]
    laptop("run", "first run", "--replicates", "3", "--workers", "2")
    after = json.loads((folder / "manifest.json").read_text())["stored_rows"]
    assert after == before * 3 // 2 and (folder / "report.html").is_file()
    assert "finished" in laptop("status", "first run")
    assert not [path for path in folder.rglob("*") if ".tmp" in path.name]


def test_a_lesson_is_written_and_a_class_is_graded(laptop):
    assert "collider" in laptop("lesson", "collider")
    names = ("Änne", "Núñez", "Con", "Aux.", 'a:b?"c', "Ştefan\\..")
    lines = ["student", *(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names)]
    (laptop.folder / "class.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    laptop("assignment", "parallel-trends", "--students", "class.csv", "--out", "my task")
    assert len(list((laptop.folder / "my task" / "students").glob("*/data.csv"))) == len(names)
    answers = pd.read_csv(laptop.folder / "my task" / "answers.csv")
    assert list(answers["student"]) == list(names)
    key = json.loads((laptop.folder / "my task" / "teacher" / "key.json").read_text("utf-8"))
    truth = [key["students"][name]["truth"] for name in names]
    answers = answers.assign(
        estimate=truth, low=[t - 1 for t in truth], high=[t + 1 for t in truth]
    )
    answers["decision"] = "effect"
    answers.to_csv(laptop.folder / "my answers.csv", index=False)
    laptop("grade", "my task", "my answers.csv")
    (grades,) = map(pd.read_csv, laptop.folder.rglob("grades.csv"))
    assert list(grades["student"]) == list(names)


def test_names_that_windows_keeps_are_refused_before_anything_is_written(laptop):
    suite = laptop.folder / "s.toml"
    cell = '[[cells]]\nscenario = "did/two-group"\nn = 20\nestimators = "did/collapsed"\n'
    suite.write_text(f'name = "nul"\nseed = 1\nreplicates = 2\n{cell}', encoding="utf-8")
    before = sorted(laptop.folder.rglob("*"))
    (line,) = laptop("run", "s.toml", code=2).splitlines()
    assert line.startswith("cibench: s.toml:1: name:") and "no device of Windows" in line
    assert sorted(laptop.folder.rglob("*")) == before
    suite.write_text(suite.read_text("utf-8").replace("nul", "own"), encoding="utf-8")
    laptop("run", "s.toml", "--out", "a run")
    for name in ("aux", "before/con.1", "before."):
        (line,) = laptop("baseline", "save", "a run", name, code=2).splitlines()
        assert line == f"cibench: '{name}' is no name of a folder on Windows; take another"
    assert "baselines" in laptop("baseline", "save", "a run", "before/first")
    assert "identical" in laptop("check", "s.toml", "--against", "before/first")


WINDOWS = PureWindowsPath("C:/Users/Änne/my course/plugins/mine.py")


def test_a_run_that_was_made_on_windows_is_read_here(call, tmp_path, shelves):
    """It holds its plug-ins; one of before names them as Windows does, and they are not here."""
    (tmp_path / "mine.py").write_text(plugin("windows", METHOD), encoding="utf-8")
    cell = '[[cells]]\nscenario = "windows/randomised"\nn = 20\nestimators = "windows/mean"\n'
    head = 'name = "t"\nseed = 1\nreplicates = 4\nplugins = ["mine.py"]\n'
    (tmp_path / "s.toml").write_text(f"{head}{cell}", encoding="utf-8")
    assert call("run", "s.toml", "--out", "run").code == 0
    here, there = str(tmp_path / "mine.py"), json.dumps(str(WINDOWS), ensure_ascii=False)[1:-1]
    origins = tmp_path / "run" / ".origins.json"
    assert here in origins.read_text(encoding="utf-8")
    for path in (tmp_path / "run" / "suite.toml", tmp_path / "run" / "manifest.json", origins):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(here, there), encoding="utf-8", newline="\r\n")
    (tmp_path / "mine.py").unlink()
    assert call("run", "run").code == 0
    text = (tmp_path / "run" / "suite.toml").read_text(encoding="utf-8")
    (copy,) = [word for word in text.split('"') if word.startswith("plugins/")]
    (tmp_path / "run" / "suite.toml").write_text(text.replace(copy, there), encoding="utf-8")
    for words in (("status",), ("score",), ("report",)):
        assert call(*words, "run").code == 0
    assert len(cibench.load(tmp_path / "run").scores) == 1
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    ended = call("run", "run")
    (line,) = ended.err.splitlines()
    assert ended.code == 2 and line.startswith("cibench: run/suite.toml:4: plugins: plug-in ")
    assert line.endswith("there is no such file")
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_a_twin_is_fitted_and_sampled(laptop):
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 200)
    rows = pd.DataFrame({"x": x, "y": x + (x >= 0) + rng.normal(size=200)})
    rows.to_csv(laptop.folder / "seed data.csv", index=False)
    columns = ("--outcome", "y", "--running", "x", "--cutoff", "0", "--generator", "gaussian")
    laptop("twin", "fit", "seed data.csv", "--design", "rd", *columns, "--out", "own.twin")
    laptop("twin", "sample", "own.twin", "--rows", "50", "--out", "rows.csv")
    assert len(pd.read_csv(laptop.folder / "rows.csv")) == 50
