"""Equalities that do not hold are told on the page, on the terminal, in files and by the gate."""

import json
import re
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import cibench
from cibench import find_scenario
from cibench.model import registry
from cibench.workers.block import draw_replicate

PLUGIN = '''"""y = d + e, and methods that ought to be one."""
import numpy as np
from cibench import Declined, Draw, Estimand, Estimate, Roles, Scenario
from cibench import estimator, parameter, scenario

@scenario("alike/experiment")
class Experiment(Scenario):
    """A coin decides; the first outcome tells on which data sets a method strays."""
    estimand = Estimand.ATE
    reference = "none"
    roles = Roles()
    noise: float = parameter(1.0, within=(0, 10), unit="s.d. of the outcome")
    def truth(self):
        return 1.0
    def draw(self, n, rng):
        d, e = rng.permutation(np.arange(n) % 2).astype(float), self.noise * rng.normal(size=n)
        return Draw(columns={"y": d + e, "d": d}, baseline=e, effects=np.ones(n))

def means(problem, value=0.0, se=1.0):
    y, d = problem.outcome, problem.treatment == 1
    error = np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    return Estimate.wald(y[d].mean() - y[~d].mean() + value * error, se * error, problem.level)

@estimator("alike/means", targets=(Estimand.ATE,))
def plain(problem, rng):
    """Compare means."""
    return means(problem)

@estimator("alike/regression", targets=(Estimand.ATE,))
def regression(problem, rng):
    """Fit a line: the same by another route."""
    slope, constant = np.polyfit(problem.treatment, problem.outcome, 1)
    return Estimate.wald(float(slope), means(problem).se, problem.level)

@estimator("alike/stray", targets=(Estimand.ATE,))
def stray(problem, rng):
    """Stray by a quarter of a standard error on a few data sets."""
    return means(problem, value=0.25 if problem.outcome[0] > EDGE else 0.0)

@estimator("alike/short", targets=(Estimand.ATE,))
def short(problem, rng):
    """Give errors that are a tenth too short."""
    return means(problem, se=0.9)

@estimator("alike/choosy", targets=(Estimand.ATE,))
def choosy(problem, rng):
    """Decline most data sets."""
    if problem.outcome[0] < EDGE:
        raise Declined("the first outcome is small")
    return means(problem)


@estimator("alike/faulty", targets=(Estimand.ATE,))
def faulty(problem, rng):
    """Fail on a few data sets."""
    if problem.outcome[0] > EDGE:
        raise ValueError("the first outcome is large")
    return means(problem)
'''
METHODS = [f"alike/{name}" for name in ("means", "regression", "stray", "short", "faulty")]
SUITE = """
name = "alike"
seed = 1
replicates = 40
plugins = ["alike.py"]
[[cells]]
scenario = "alike/experiment"
n = 60
estimators = ["alike/*"]
equal = [EQUAL]
"""


@pytest.fixture
def strayed(tmp_path, shelves):
    """Write the plug-in so that three data sets of forty lie beyond its edge; return which."""
    path = tmp_path / "alike.py"
    path.write_text(PLUGIN.replace("EDGE", "9.0"))
    registry.load_plugin(str(path))
    scenario = find_scenario("alike/experiment")()
    first = np.array([draw_replicate(scenario, 60, 1, k).columns["y"][0] for k in range(40)])
    third, fourth = np.sort(first)[[-3, -4]]
    path.write_text(PLUGIN.replace("EDGE", repr(float(third + fourth) / 2)))
    return np.flatnonzero(first >= third).tolist()


def write_suite(folder, equal, **more):
    text = SUITE.replace("EQUAL", ", ".join(map(to_value, equal)))
    for name, value in more.items():
        text = re.sub(f"{name} = .*", f"{name} = {value}", text)
    (folder / "alike.toml").write_text(text)


def to_value(statement):
    if isinstance(statement, list):
        return json.dumps([f"alike/{name}" for name in statement])
    parts = {**statement, "methods": to_value(statement["methods"])}
    return f"{{ {', '.join(f'{key} = {value}' for key, value in parts.items())} }}"


STATED = [
    ["means", "regression"], ["means", "stray"], ["short", "means"], ["means", "faulty"],
    {"methods": ["means", "short"], "of": '"std_error"', "why": '"one formula"'},
]  # fmt: skip


@pytest.fixture
def checked(tmp_path, strayed, call):
    """Run the suite through the gate on expectations; return what it printed and its folder."""
    write_suite(tmp_path, STATED)
    ended = call("check", "alike.toml", "--expect", "--replicates", "40")
    return ended, tmp_path / "results" / "check-alike"


def test_planted_differences_are_counted_and_fail_the_gate(checked, strayed):
    ended, folder = checked
    assert ended.code == 1 and "3 of 5 stated equalities do not hold" in ended.out
    table = pd.read_csv(folder / "run" / "equalities.csv")
    verdicts = table.set_index(["estimator", "other", "quantity"])
    names = ("verdict", "differing", "answered_by_one", "first")
    seen = {k: tuple(row) for k, row in verdicts[list(names)].iterrows()}
    nobody = ("equal", 0, 0)
    assert seen["alike/means", "alike/regression", "estimate"][:3] == nobody
    assert seen["alike/short", "alike/means", "estimate"][:3] == nobody
    differs = ("differs", 3, 0, strayed[0])
    assert seen["alike/means", "alike/stray", "estimate"] == differs
    fails = ("answered by one only", 0, 3, strayed[0])
    assert seen["alike/means", "alike/faulty", "estimate"] == fails
    assert seen["alike/means", "alike/short", "std_error"][:2] == ("differs", 40)
    stray = verdicts.loc[("alike/means", "alike/stray", "estimate")]
    assert stray["greatest"] == pytest.approx(0.25)


def test_page_terminal_and_the_gates_files_say_where_and_the_command_makes_the_fit(checked, call):
    ended, folder = checked
    page = unescape((folder / "run" / "report.html").read_text(encoding="utf-8"))
    line = "alike/means and alike/stray in alike/experiment, n = 60, default: estimates differ in "
    line += "3 of 40, by up to 0.250 SE"
    once = "alike/means and alike/faulty in alike/experiment, n = 60, default: answered by one only"
    for text in (page, ended.out, (folder / "summary.md").read_text()):
        assert line in text and f"{once} in 3 of 40" in text
    [opening] = re.findall(r'<section id="findings"><h2>([^<]*)</h2>', page)
    assert opening.startswith("3 of 5 stated equalities do not hold; ")
    assert "one formula" in page
    listed = json.loads((folder / "verdict.json").read_text())["equalities"]
    assert [row["verdict"] for row in listed].count("differs") == 2
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite.attrib["failures"] == "3"
    words = re.findall(r"cibench (replay .*)", ended.out)
    assert len(words) == 2 * 3 and all(word in page for word in words)
    for command in words:
        assert call(*command.split()).code == 0


def test_equalities_that_few_data_sets_have_shown_are_not_said_to_hold_everywhere(
    tmp_path, strayed, call
):
    write_suite(tmp_path, [["means", "regression"], ["means", "choosy"]])
    ended = call("check", "alike.toml", "--expect", "--replicates", "40")
    words = "2 stated equalities hold, 1 compared on less than half of the data sets"
    page = tmp_path / "results" / "check-alike" / "run" / "report.html"
    opened = unescape(page.read_text(encoding="utf-8"))
    assert ended.code == 0 and words in ended.out and words in opened
    assert "3 + 0 of 40" in opened and "40 + 0 of 40" in opened


def test_the_gate_passes_where_all_hold_and_names_of_other_verdicts_let_none_through(
    tmp_path, strayed, call
):
    write_suite(tmp_path, [["means", "regression"]])
    ended = call("check", "alike.toml", "--expect", "--replicates", "40")
    assert ended.code == 0 and "1 stated equality holds" in ended.out, ended
    assert "stated equalities" not in ended.out
    write_suite(tmp_path, STATED[1:2])
    few = ("check", "alike.toml", "--expect", "--replicates", "40", "--fail-on")
    assert call(*few, "conservative").code == 1
    assert call(*few, "fails-unexpectedly,differs").code == 1
    ended = call(*few, "difers")
    assert ended.code == 2 and "did you mean 'differs'" in ended.err


def test_a_suite_that_states_equalities_alone_has_its_own_replicates(tmp_path, strayed, call):
    write_suite(tmp_path, [["stray", "means"]], estimators='["alike/means", "alike/stray"]')
    (tmp_path / "alike.py").write_text(
        (tmp_path / "alike.py").read_text().replace("(Estimand.ATE,))", "(Estimand.ATE,), "
                                                    'assumes=("nothing to be learned",))')
    )  # fmt: skip
    suite = (tmp_path / "alike.toml").read_text()
    broken = 'expect = { violates = ["nothing to be learned"] }\nequal ='
    (tmp_path / "alike.toml").write_text(suite.replace("equal =", broken))
    ended = call("check", "alike.toml", "--expect")
    assert ended.code == 1 and "estimates differ in 3 of 40" in ended.out, ended
    silent = re.sub("equal = .*", "", suite.replace("equal =", broken))
    (tmp_path / "alike.toml").write_text(silent)
    ended = call("check", "alike.toml", "--expect")
    assert ended.code == 2 and "nothing is expected of any method there" in ended.err


def test_without_noise_methods_that_are_one_are_equal(tmp_path, strayed, shelves):
    (tmp_path / "alike.py").write_text(PLUGIN.replace("EDGE", "9.0"))
    cell = {"scenario": "alike/experiment", "n": 60, "estimators": ["alike/*"],
            "parameters": {"noise": 0.0},
            "equal": [{"methods": METHODS, "of": ["estimate", "std_error", "limits"]}]}  # fmt: skip
    spec = {"name": "silent", "seed": 1, "replicates": 20, "cells": [cell]}
    run = cibench.run({**spec, "plugins": [str(tmp_path / "alike.py")]})
    assert len(run.equalities) == 30 and set(run.equalities["verdict"]) == {"equal"}
    assert run.replicates["std_error"].max() < 1e-9
