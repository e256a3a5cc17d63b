"""What a check says of versions and sources: an edited package is named, whatever its version."""

import json
import re
from xml.etree import ElementTree

import pytest
from commands import python

SAME = "Versions, sources and machine are the same on both sides."
PACKAGE = """
import numpy as np

__version__ = "1.4"

def difference(y, d):
    a, b = y[d == 1], y[d == 0]
    return a.mean() - b.mean(), SCALE * np.sqrt(a.var() / a.size + b.var() / b.size)
"""
PLUGIN = '''
import numpy as np
from cibench import Estimand, Estimate, estimator

@estimator("made/theirs", targets=(Estimand.ATT,))
def theirs(problem, rng):
    """Ask the package."""
    from theirpackage import core
    value, se = core.difference(problem.outcome, problem.treatment)
    return Estimate.wald(value, se, problem.level)
'''
SUITE = """
name = "theirs"
seed = 5
replicates = 30
plugins = ["plugin.py"]
[[cells]]
scenario = "did/two-group"
n = 20
estimators = ["made/theirs", "did/collapsed"]
"""


@pytest.fixture
def place(tmp_path):
    """Give a project: a package on the path, a plug-in that asks it, a suite and a baseline."""
    write(tmp_path)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "suite.toml").write_text(SUITE)
    cibench(tmp_path, "run", "suite.toml", "--out", "run")
    cibench(tmp_path, "baseline", "save", "run", "main")
    return tmp_path


def write(folder, scale="1"):
    core = folder / "src" / "theirpackage" / "core.py"
    core.parent.mkdir(parents=True, exist_ok=True)
    core.parent.joinpath("__init__.py").write_text('__version__ = "1.4"\n')
    core.write_text(PACKAGE.replace("SCALE", scale))


def cibench(folder, *words, code=0):
    import os

    paths = [str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = python("-m", "cibench", *words, folder=folder, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def check(folder, code=0):
    out = cibench(folder, "check", "suite.toml", "--against", "main", "--out", "gate", code=code)
    return out, {path.name: path.read_text() for path in (folder / "gate").glob("*.*")}


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_an_edited_package_is_named_wherever_one_looks(place):
    record = manifest(place / "run")["imported"]
    assert record["versions"]["theirpackage"] == "1.4" and "numpy" in record["versions"]
    assert record["digests"]["theirpackage"]["used_by"] == ["estimator made/theirs"]
    assert record["unobserved"] == []
    out, files = check(place)
    assert "source" not in out.replace("--no-checks", "") and SAME in files["verdict.html"]
    write(place, "1.5")
    out, files = check(place, code=1)
    words = "source changed: package theirpackage (version 1.4 on both sides)"
    assert words in " ".join(out.split())
    assert words in files["verdict.html"] and words in files["summary.md"]
    assert SAME not in files["verdict.html"]
    suite = ElementTree.fromstring(files["junit.xml"]).find("testsuite")
    assert any(words in p.attrib["value"] for p in suite.findall("properties/property"))
    assert words in suite.find("testcase/failure").text
    told = json.loads(files["verdict.json"])["provenance"]
    assert told["packages"] == {"theirpackage": ["1.4", "1.4"]}
    assert told["sources"] == []


def test_a_comment_in_it_is_said_too_and_what_is_not_touched_goes_on_being_the_same(place):
    core = place / "src" / "theirpackage" / "core.py"
    text = core.read_text()
    core.write_text(text + "# a comment\n")
    out, files = check(place)
    assert "source changed: package theirpackage" in " ".join(out.split())
    assert SAME not in files["verdict.html"]
    core.write_text(text)
    assert SAME in check(place)[1]["verdict.html"]


def test_a_run_goes_on_only_with_the_package_that_it_began_with(place):
    words = ("run", "suite.toml", "--out", "run", "--replicates", "40")
    write(place, "1.5")
    out = " ".join(cibench(place, *words, code=2).split())
    assert "the source of package theirpackage (30 rows)" in out  # of its user alone
    before = manifest(place / "run")["imported"]["digests"]["theirpackage"]["digest"]
    cibench(place, *words, "--update")
    after = manifest(place / "run")["imported"]["digests"]["theirpackage"]["digest"]
    assert after != before and "," not in after
    cibench(place, *words)


def test_an_old_baseline_and_an_old_run_are_read_and_said_to_say_less(place):
    import cibench.gate.baseline as own

    folder = place / "baselines" / "main"
    about = json.loads((folder / "baseline.json").read_text())
    assert about.pop("imported")["versions"]
    about["digest"] = own.digest(folder, about)
    (folder / "baseline.json").write_text(json.dumps(about))
    out, files = check(place)
    words = "what the fits of the baseline imported"
    assert f"not recorded, so that it may differ: {words}" in " ".join(out.split())
    assert words in files["summary.md"] and words in files["verdict.html"]
    assert SAME not in files["verdict.html"]
    old = manifest(place / "run")
    del old["imported"]
    (place / "run" / "manifest.json").write_text(json.dumps(old))
    cibench(place, "run", "suite.toml", "--out", "run", "--replicates", "40")
    assert "imported" not in manifest(place / "run")  # of 30 rows nobody knows it


def test_a_baseline_with_the_same_answers_is_not_written_again_for_an_edit(place):
    folder = place / "baselines" / "main"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    core = place / "src" / "theirpackage" / "core.py"
    core.write_text(core.read_text() + "# a comment\n")
    cibench(place, "run", "suite.toml", "--out", "again")
    cibench(place, "baseline", "save", "again", "main", "--replace")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    write(place, "1.5")
    cibench(place, "run", "suite.toml", "--out", "again", "--update")
    cibench(place, "baseline", "save", "again", "main", "--replace")
    after = json.loads((folder / "baseline.json").read_text())["imported"]
    assert after["digests"]["theirpackage"] != json.loads(before["baseline.json"])["imported"][
        "digests"]["theirpackage"]  # fmt: skip


TEST = """
from theirpackage import core

def fit(problem):
    return core.difference(problem.outcome, problem.treatment)

def test_theirs(cibench_check):
    cibench_check(fit, ["did/two-group"], n=20, replicates=30)
"""


def test_the_fixture_says_it_too(place):
    (place / "test_theirs.py").write_text(TEST)

    def session(*words):
        import os

        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(place / "src"), os.environ.get("PYTHONPATH", "")])
            ),
        }
        words = ("-p", "no:cacheprovider", "--cibench-out", "out", *words)
        return python("-m", "pytest", "-q", "test_theirs.py", *words, folder=place, env=environment)

    assert session("--cibench-update-baseline").returncode == 0
    (about,) = (place / "baselines" / "pytest").rglob("baseline.json")
    saved = json.loads(about.read_text())["imported"]
    assert saved["digests"]["theirpackage"]["used_by"] == ["estimator own/fit"]
    assert "pytest" not in saved["versions"] and "test-theirs" not in saved["digests"]
    assert "test_theirs" not in saved["digests"]
    assert session().returncode == 0
    write(place, "0.5")
    done = session()
    assert done.returncode == 1, done.stdout
    assert "source changed: package theirpackage" in re.sub(r"\s+", " ", done.stdout)
    (page,) = (place / "out").rglob("verdict.html")
    assert "source changed: package theirpackage" in page.read_text()


def test_code_without_a_file_is_not_said_to_be_the_same():
    from cibench.gate import compatibility

    side = {"sources": {"estimator a/b": None}, "versions": {}, "imported": None}
    assert compatibility._without_file([side["sources"]] * 2) == [
        "the source of estimator a/b, which is code without a file"
    ]
