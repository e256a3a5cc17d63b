"""Every command that executes plug-ins holds them to their contracts first, and has one switch."""

import json
import sys
import tempfile
from importlib.metadata import version
from multiprocessing.util import get_temp_dir
from shutil import rmtree

import pytest
from toys import plugin

import cibench
from cibench.contracts import plugin_checks
from cibench.execution import RunSettings
from cibench.execution.runner import preflight
from cibench.gate import Rules, baseline, check_suite
from cibench.gate.expectations import check_expectations
from cibench.gate.versions import regress
from cibench.gate.versions.environments import Environment
from cibench.lessons.classroom.assignment import write_assignment
from cibench.lessons.notebook import run_at
from cibench.lessons.parse import find
from cibench.storage import provenance
from cibench.suite.parse import read_suite
from cibench.utils.errors import BadInput

METHODS = '''
@estimator("own/ok", targets=ATE)
def ok(problem, rng):
    """The difference in means."""
    y, d = problem.outcome, problem.treatment
    se = np.sqrt(y[d == 1].var() + y[d == 0].var()) / np.sqrt(y.size / 2)
    return Estimate.wald(contrast(problem), se, problem.level)
'''
RIGHT = plugin("own", METHODS)
WRONG = RIGHT.replace("return self.effect\n", "return self.effect + 1.5\n")
RESTLESS = RIGHT.replace("wald(contrast(problem)", "wald(np.random.default_rng().normal()")
SUITE = """
name = "own"
seed = 3
replicates = 40
plugins = ["own.py"]
[[cells]]
scenario = "own/randomised"
n = 100
estimators = ["own/ok"]
"""
LESSON = """
title = "Own"
assumption = "a large effect"
plugins = ["own.py"]
scenario = "own/randomised"
parameter = "effect"
settings = [0.5, 1]
n = 50
replicates = 30
estimators = ["own/ok"]
failure = { method = "own/ok", measure = "bias" }
remedy = { method = "own/ok" }
prose = "It does not."
"""
LINE = "cibench: scenario own/randomised: truth() says 2 for ATE, but every effect drawn is 0.5"
SWITCH = "; --no-checks (checks=False) runs it all the same\n"
SKIPPED = "not held to their contracts"
COMMANDS = {
    "run": ("run", "own.toml", "--workers", 1),
    "plan": ("plan", "own.toml", "--target", "coverage=0.05", "--workers", 1),
    "expect": ("check", "own.toml", "--expect", "--replicates", 60, "--workers", 1),
    "against": ("check", "own.toml", "--against", "main", "--workers", 1),
    "regress": ("regress", "numpy", "numpy>1", "--suite", "own.toml", "--workers", 1),
    "lesson": ("lesson", "lesson.toml", "--workers", 1),
    "assignment": ("assignment", "lesson.toml", "--students", "class.csv", "--setting", 0.5),
}


@pytest.fixture
def place(tmp_path, monkeypatch, shelves):
    """Give a folder with a suite, a lesson and a class; their scenario's truth is wrong.

    Environments of versions are this Python; temporary folders lie within.
    """
    written(tmp_path, WRONG)
    get_temp_dir()  # that of worker processes stays where it is, and has a short name
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(regress, "build", lambda request, *_: Environment(
        request.requested, sys.executable, "numpy", version("numpy"), {}))  # fmt: skip
    return tmp_path


def written(folder, text):
    for name, content in {
        "own.py": text, "own.toml": SUITE, "lesson.toml": LESSON, "class.csv": "student\nAda\n",
    }.items():  # fmt: skip
        (folder / name).write_text(content, encoding="utf-8")


def based(place):
    """Save the baseline of the wrong scenario; return it."""
    run = cibench.run(str(place / "own.toml"), checks=False)
    return baseline.save(run, "main", place / "baselines", replace=True)


def files(folder):
    """Return what lies there, and when it was written; a server of forks is no run's."""
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    own = [p for p in paths if not any(n.startswith(("pymp-", "__pyc")) for n in p.parts)]
    return {p: (folder / p).stat().st_mtime_ns for p in own if not (folder / p).is_dir()} | {
        p: 0 for p in own if (folder / p).is_dir()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_truth_is_refused_with_one_line_and_nothing_is_left(place, call, name):
    if name == "against":
        based(place)
    before = files(place)
    code, out, err = call(*COMMANDS[name])
    lines = [line for line in err.splitlines(keepends=True) if line.startswith("cibench: ")]
    assert (code, out, lines) == (2, "", [LINE + SWITCH])
    assert files(place) == before


PAGES = {
    "run": ["results/own/report.html"],
    "expect": ["results/check-own/run/report.html", "results/check-own/summary.md"],
    "against": ["results/check-main/verdict.html", "results/check-main/summary.md"],
    "regress": ["results/regress-numpy/numpy--numpy-1/verdict.html"],
    "lesson": ["own.html"],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_with_the_switch_it_goes_on_and_says_so_and_only_then(place, call, name):
    if name == "lesson":
        pytest.importorskip("mdit_py_plugins")  # which a light install lacks
    if name == "against":
        based(place)
    for text, switch in ((WRONG, ["--no-checks"]), (RIGHT, [])):
        written(place, text)
        rmtree(place / "results", ignore_errors=True)
        out = {"lesson": "own.html", "assignment": f"class{len(switch)}"}.get(name)
        ended = call(*COMMANDS[name], *switch, *(["--out", out] if out else []))
        terminal = " ".join((ended.out + ended.err).split())
        assert ended.code in (0, 1, 2 if name == "against" and not switch else 0), terminal
        loud = "not held to" in terminal and "(--no-checks)" in terminal
        assert loud == bool(switch and name != "run"), terminal
        for page in PAGES.get(name, ()):
            content = (place / page).read_text(encoding="utf-8")
            if name == "lesson":  # its script has every word of the interface
                content = content.partition("<footer")[2].partition("</footer")[0]
            assert (SKIPPED in content) == bool(switch), page
    if name == "assignment":
        keys = [json.loads((place / f"class{k}/teacher/key.json").read_text()) for k in (0, 1)]
        assert ["unchecked" in key for key in keys] == [False, True]


def test_a_refusal_leaves_what_an_earlier_check_wrote(place, call):
    written(place, RIGHT)
    assert call(*COMMANDS["expect"]).code in (0, 1)
    written(place, WRONG)
    before = files(place)
    assert call(*COMMANDS["expect"]).code == 2
    assert files(place) == before


def test_what_passed_for_the_last_check_is_not_looked_at_until_code_or_libraries_change(
    place, call, monkeypatch
):
    looks = []

    def elsewhere(due, *rest):
        looks.append([subject.name for subject in due])
        return elsewhere_in_fact(due, *rest)

    elsewhere_in_fact = plugin_checks._elsewhere
    monkeypatch.setattr(plugin_checks, "_elsewhere", elsewhere)
    written(place, RIGHT)
    both = ["own/randomised", "own/ok"]
    for _ in range(2):
        assert call(*COMMANDS["expect"]).code in (0, 1)
        assert looks == [both]
    told = provenance.versions
    monkeypatch.setattr(provenance, "versions", lambda names: {**told(names), "numpy": "9"})
    assert call(*COMMANDS["expect"]).code in (0, 1)
    assert looks == [both, both]
    written(place, WRONG)
    assert call(*COMMANDS["expect"]).code == 2
    assert looks == [both] * 3


def test_a_run_has_no_switch(place, call):
    cibench.run(str(place / "own.toml"), out="ran", checks=False)
    for words in (["--expect"], ["--against", "main"]):
        based(place)
        code, _, err = call("check", "ran", *words, "--no-checks")
        assert (code, err.count("\n")) == (2, 1)
        assert "--no-checks: a run was held to contracts as it was made" in err


def test_regress_asks_each_version_of_its_estimators(place, call):
    written(place, RESTLESS)
    ended = call(*COMMANDS["regress"])
    assert ended.code == 2
    assert "differ when fitted twice" in " ".join(ended.out.split())


def test_python_holds_plugins_to_their_contracts_as_the_commands_do(place, monkeypatch):
    monkeypatch.chdir(place)
    suite, lesson = read_suite(place / "own.toml"), find("lesson.toml")
    reference = based(place)
    calls = [
        lambda how: check_expectations(suite, place / "a", how, replicates=20),
        lambda how: check_suite(suite, reference, Rules(), place / "b", how),
        lambda how: cibench.execution.plan(suite, {"coverage": 0.1}, how),
        lambda how: write_assignment(
            lesson, place / "class.csv", place / f"class{how.checks}", settings=how
        ),
        lambda how: run_at(lesson, 0.5, 20, checks=how.checks),
    ]
    for one in calls:
        with pytest.raises(BadInput, match=r"truth\(\) says 2.*--no-checks \(checks=False\)"):
            one(RunSettings())
        one(RunSettings(checks=False))
    with pytest.raises(BadInput, match="truth"):
        preflight(suite)
    assert preflight(suite, kinds=("estimator",)).verdicts["plugins"].keys() == {"estimator own/ok"}
