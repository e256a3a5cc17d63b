"""A plug-in imports modules beside it, as a script does, and they are part of what it is."""

import sys

import pytest
from commands import python

import cibench
from cibench.model import neighbours, registry
from cibench.storage import source_digests
from cibench.utils.errors import BadInput

PLUGIN = """
import numpy as np
from cibench import Estimand, Estimate, estimator
from near_helper import shift

@estimator("near/mean", targets=(Estimand.ATE, Estimand.ATT))
def mean(problem, rng):
    \"\"\"The difference in means, and more.\"\"\"
    import near_late

    y, d = problem.outcome, problem.treatment
    value = y[d == 1].mean() - y[d == 0].mean() + shift() + near_late.MORE
    return Estimate.wald(value, 0.2, problem.level)
"""
SUITE = """
name = "near"
seed = 1
replicates = 4
plugins = ["code/mine.py"]
[[cells]]
scenario = "did/two-group"
n = 40
estimators = ["near/mean", "naive/difference-in-means"]
"""
NAMES = ("near_helper", "near_deeper", "near_late")


@pytest.fixture
def project(tmp_path, shelves, monkeypatch):
    """Write a plug-in that imports three modules beside it: at once, from one of them and late."""
    monkeypatch.setattr(neighbours, "_offered", {})
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    write(tmp_path / "code")
    (tmp_path / "suite.toml").write_text(SUITE)
    yield tmp_path
    for name in NAMES:
        sys.modules.pop(name, None)


def write(folder, deeper="1.0", late="0.25"):
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(PLUGIN)
    helper = "import near_deeper\n\ndef shift():\n    return near_deeper.BY\n"
    (folder / "near_helper.py").write_text(helper)
    (folder / "near_deeper.py").write_text(f"BY = {deeper}\n")
    (folder / "near_late.py").write_text(f"MORE = {late}\n")


def shifts(run):
    wide = run.replicates.pivot(index="replicate", columns="estimator", values="estimate")
    return (wide["near/mean"] - wide["naive/difference-in-means"]).round(9).unique().tolist()


def test_they_are_found_by_the_command_and_by_workers(project):
    for words in (["--workers", "1"], ["--workers", "2", "--out", "two"]):
        done = python("-m", "cibench", "run", "suite.toml", *words, folder=project)
        assert done.returncode == 0, done.stderr
    assert shifts(cibench.load(project / "two")) == [1.25]


def test_an_edited_one_is_imported_anew_and_noticed(project):
    run = cibench.run(project / "suite.toml", project / "run")
    assert shifts(run) == [1.25]
    write(project / "code", deeper="2.0")
    with pytest.raises(BadInput, match="the source of estimator near/mean"):
        cibench.run(project / "suite.toml", project / "run")
    assert shifts(cibench.run(project / "suite.toml", project / "run", update=True)) == [2.25]
    write(project / "code", deeper="2.0", late="0.5")
    assert shifts(cibench.run(project / "suite.toml", project / "other")) == [2.5]


def test_a_bundle_holds_them(project, call):
    cibench.run(project / "suite.toml", project / "run")
    code, _, err = call(
        "replay", "run", "--scenario", "did/two-group", "--replicate", "2", "--estimator",
        "near/mean", "--out", "bundle",
    )  # fmt: skip
    assert code == 0, err
    (project / "code").rename(project / "gone")
    done = python("reproduce.py", folder=project / "bundle")
    assert done.returncode == 0 and "Estimate(value=" in done.stdout, done.stderr


def test_two_plugins_with_a_module_of_one_name_are_told_apart(project):
    write(project / "other", deeper="3.0")
    path = project / "other" / "mine.py"
    path.write_text(PLUGIN.replace("near/mean", "near/other"))
    registry.load_plugin(str(project / "code" / "mine.py"))
    with pytest.raises(BadInput, match="imports 'near_deeper' beside it, and another plug-in has"):
        registry.load_plugin(str(path))
    write(project / "other")
    path.write_text(PLUGIN.replace("near/mean", "near/other"))
    registry.load_plugin(str(path))


def test_what_is_installed_goes_before_and_what_is_not_named_is_not_found(project):
    (project / "code" / "numpy.py").write_text("raise SystemExit(3)\n")
    (project / "code" / "near_unnamed.py").write_text("")
    registry.load_plugin(str(project / "code" / "mine.py"))
    assert "near_unnamed" not in neighbours.neighbours(project / "code" / "mine.py")
    with pytest.raises(ModuleNotFoundError):
        __import__("near_unnamed")
    assert sys.modules["near_helper"].__file__ == str(project / "code" / "near_helper.py")


def test_what_an_import_finds_is_in_the_digest_and_in_the_run_folder(project):
    """One walk over imports: what is found for a plug-in is what its copies and digests take."""
    path = project / "code" / "mine.py"
    (project / "code" / "near_dotted.py").write_text("import near_deeper.part\n")
    path.write_text(
        f"{PLUGIN}\nimport near_dotted as d, near_absent\nfrom . import near_relative\n"
    )
    (project / "code" / "near_relative.py").write_text("")
    near = neighbours.neighbours(path)
    assert set(near) == {*NAMES, "near_dotted"}  # a script has no package
    assert set(near.values()) < set(source_digests.files_with(path).values())
    before = source_digests.definition_digest(path, "mean"), neighbours.digest(path)
    (project / "code" / "near_deeper.py").write_text("BY = 5.0\n")
    after = source_digests.definition_digest(path, "mean"), neighbours.digest(path)
    assert before[0] != after[0] and before[1] != after[1]


def test_a_cycle_ends_and_a_broken_one_is_a_line(project):
    (project / "code" / "near_deeper.py").write_text("import near_helper, mine\nBY = 1.0\n")
    assert set(neighbours.neighbours(project / "code" / "mine.py")) == set(NAMES)
    (project / "code" / "near_deeper.py").write_text("BY = (\n")
    with pytest.raises(BadInput, match=r"mine.py': SyntaxError: "):
        registry.load_plugin(str(project / "code" / "mine.py"))
