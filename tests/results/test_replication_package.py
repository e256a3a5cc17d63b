"""A replication package is a run, its code and tables in one file, and is checked when it opens."""

import hashlib
import shutil
import subprocess
import zipfile

import pandas as pd
import pytest
from commands import python
from hostile import nothing_changes, refusal
from replicates import assert_same_rows
from toys import plugin

import cibench
from cibench.results import pack, unpack
from cibench.results.replication_package import README, REQUIREMENTS, SUMS

METHOD = """
@estimator("packed/mean", targets=ATE)
def mean(problem, rng):
    \"\"\"The difference in means.\"\"\"
    return Estimate.wald(contrast(problem), 0.2, problem.level)
"""
SUITE = """
name = "packed"
seed = 3
replicates = 6
plugins = ["methods.py"]
[[cells]]
scenario = "packed/randomised"
n = 30
estimators = ["packed/mean", "naive/difference-in-means"]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Run a suite with a plug-in, and pack the run."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "methods.py").write_text(plugin("packed", METHOD))
    (folder / "suite.toml").write_text(SUITE)
    for words in (["run", "suite.toml", "--out", "here/run"], ["pack", "here/run"]):
        done = python("-m", "cibench", *words, folder=folder)
        assert done.returncode == 0, done.stderr
    (folder / "printed").write_text(done.stdout)
    return folder


def commands_of(readme):
    """Return the commands of a README that stand without a name to fill in."""
    lines = [line.strip().partition("#")[0].split() for line in readme.splitlines()]
    return [words for words in lines if words[:1] == ["cibench"] and "NAME" not in words]


def test_what_its_readme_says_makes_every_table_again(project, tmp_path):
    """With the project gone, in another folder, in the order in which it says so."""
    shutil.copy(project / "packed.zip", tmp_path)
    (printed,) = [x for x in (project / "printed").read_text().split() if len(x) == 64]
    digest = hashlib.sha256((tmp_path / "packed.zip").read_bytes()).hexdigest()
    assert printed == digest
    away = project.with_name("away")
    project.rename(away)
    try:
        done = python("-m", "cibench", "unpack", "packed.zip", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "packed"
        before = {path.name: path.read_bytes() for path in (folder / "run").glob("*.csv")}
        assert len(pd.read_csv(folder / "run" / "scores.csv")) == 2
        for path in (folder / "run").glob("*.csv"):
            path.unlink()
        words = commands_of((folder / README).read_text())
        assert [each[1] for each in words] == ["score", "report", "run"]
        for each in words:
            done = python("-m", "cibench", *each[1:], folder=folder)
            assert done.returncode == 0, done.stderr
    finally:
        away.rename(project)
    assert {path.name: path.read_bytes() for path in (folder / "run").glob("*.csv")} == before
    again, stored = cibench.load(folder / "again"), cibench.load(project / "here" / "run")
    assert_same_rows(again.replicates, stored.replicates)


def test_nothing_in_it_names_this_machine(project, tmp_path):
    folder = unpack(project / "packed.zip", tmp_path / "out")
    hosts = cibench.load(project / "here" / "run").manifest["hosts"]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not path.name.startswith(".")
            for word in (str(project), str(cibench.__file__), *hosts):
                assert word.encode() not in content, path
    versions = cibench.load(folder / "run").manifest["versions"]
    assert f"numpy=={versions['numpy']}\n" in (folder / REQUIREMENTS).read_text()


def test_equal_runs_are_equal_files_and_sha256sum_agrees(project, tmp_path):
    one = pack(cibench.load(project / "here" / "run"), tmp_path / "packed.zip")
    assert one.path.read_bytes() == (project / "packed.zip").read_bytes()
    folder = unpack(one.path, tmp_path / "out")
    done = subprocess.run(
        ["sha256sum", "-c", SUMS], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count(": OK") == one.files - 1


def changed(source, target, change):
    """Write a zip with the parts of another as a function changes them, names to contents."""
    with zipfile.ZipFile(source) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    with zipfile.ZipFile(target, "w") as parts:
        for name, data in change(content):
            parts.writestr(name, data)


CHANGES = {
    "a row of a table": lambda c: [
        (n, d + b"x" if n.endswith("scores.csv") else d) for n, d in c.items()
    ],
    "a file less": lambda c: [(n, d) for n, d in c.items() if not n.endswith("catalogue.json")],
    "a file more": lambda c: [*c.items(), ("packed/more.txt", b"x")],
    "a plug-in edited": lambda c: [
        (n, d.replace(b"0.2", b"0.1") if n.endswith(".py") else d) for n, d in c.items()
    ],
    "out of its folder": lambda c: [*c.items(), ("packed/../../escaped.txt", b"x")],
    "absolute": lambda c: [*c.items(), ("/escaped.txt", b"x")],
    "two folders": lambda c: [*c.items(), ("other/more.txt", b"x")],
    "in no folder": lambda c: [*c.items(), ("more.txt", b"x")],
    "two letters of one": lambda c: [*c.items(), ("packed/readme.MD", b"x")],
    "no sums": lambda c: [(n, d) for n, d in c.items() if not n.endswith(SUMS)],
    "no line of sums": lambda c: [
        (n, d + b"hello\n" if n.endswith(SUMS) else d) for n, d in c.items()
    ],
    "sums of elsewhere": lambda c: [
        (n, d + b"0" * 64 + b"  ../../escaped.txt\n" if n.endswith(SUMS) else d)
        for n, d in c.items()
    ],
    "no run": lambda c: [(n, d) for n, d in c.items() if "/run/" not in n],
    "nothing": lambda c: [],
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_on_its_way_is_refused_and_leaves_nothing(project, tmp_path, what):
    path = tmp_path / "changed.zip"
    changed(project / "packed.zip", path, CHANGES[what])
    with nothing_changes(tmp_path):
        (line,) = refusal(lambda: unpack(path, tmp_path / "out"), path)
    assert "ok" not in line.split()


@pytest.mark.parametrize("cut", [0, 10, 0.5, 0.99])
def test_a_broken_file_is_one_line(project, tmp_path, cut):
    content = (project / "packed.zip").read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(content[: int(cut * len(content)) if cut < 1 else cut])
    with nothing_changes(tmp_path):
        (line,) = refusal(lambda: unpack(path, tmp_path / "out"), path)
    assert "no replication package" in line


def test_a_link_in_it_is_a_file_that_was_not_packed(project, tmp_path):
    path = tmp_path / "links.zip"
    shutil.copy(project / "packed.zip", path)
    with zipfile.ZipFile(path, "a") as parts:
        entry = zipfile.ZipInfo("packed/link")
        entry.external_attr = 0o120777 << 16
        parts.writestr(entry, "/etc/passwd")
    (line,) = refusal(lambda: unpack(path, tmp_path / "out"), path)
    assert "'link' is not in SHA256SUMS" in line


def test_wrong_words_are_one_line(project, tmp_path, call):
    shutil.copytree(project / "here" / "run", tmp_path / "run")
    (tmp_path / "taken.zip").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    shutil.copy(project / "packed.zip", tmp_path)
    for words, text in (
        (("pack", "nothing"), "is not a run folder"),
        (("pack", "run", "--out", "taken.zip"), "is there already"),
        (("pack", "run", "--out", "no/where.zip"), "there is no folder no"),
        (("unpack", "missing.zip"), "No such file"),
        (("unpack", "taken.zip"), "no replication package"),
        (("unpack", "packed.zip", "--out", "full"), "is not empty"),
    ):
        code, _, err = call(*words)
        assert code == 2 and text in err and err.count("\n") == 1, err
    assert not (tmp_path / "packed").exists()


def test_a_run_without_its_plugin_says_what_brings_it_in(project, tmp_path, call):
    run = tmp_path / "run"
    shutil.copytree(project / "here" / "run", run)
    suite = (run / "suite.toml").read_text()
    (name,) = [word for word in suite.split('"') if word.startswith("plugins/")]
    (run / "suite.toml").write_text(suite.replace(name, str(project / "methods.py")))
    code, _, err = call("pack", "run")
    assert code == 2 and "'cibench run run' once more brings it in" in err
    done = python("-m", "cibench", "run", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert call("pack", "run").code == 0


def test_of_a_table_made_elsewhere_it_says_that_nothing_makes_it_again(tmp_path):
    table = pd.DataFrame({"b": [0.4, 0.6, 0.5], "se": 0.1})
    run = cibench.score(table, estimate="b", se="se", truth=0.5, out=tmp_path / "scored")
    folder = unpack(pack(run, tmp_path / "scored.zip").path, tmp_path / "out")
    text = (folder / README).read_text()
    assert "made elsewhere" in text and "cibench run" not in text
    assert len(cibench.load(folder / "run").scores) == 1
