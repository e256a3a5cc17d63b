"""A fault in a plug-in is told as one, with its place, and is no finding about its statistics."""

import subprocess
import sys

import pytest

import cibench
from cibench.analysis.expectations import SURPRISES

OWN = '''
from cibench import Estimand, Estimate, estimator

@estimator("own/typo", targets=(Estimand.ATT,), assumes=("parallel trends",))
def typo(problem, rng):
    """Divide by a word."""
    return Estimate.wald(problem.outcome.mean() / "n", 1.0, problem.level)

@estimator("own/other", targets=(Estimand.ATT,), assumes=())
def other(problem, rng):
    """Assume nothing, and never answer."""
    raise KeyError("y2")
'''


@pytest.fixture
def run(tmp_path, shelves):
    (tmp_path / "own.py").write_text(OWN)
    cells = [{
        "scenario": "did/two-group", "n": 20, "dials": {"trend": [0.4]},
        "estimators": ["own/typo", "own/other", "did/collapsed"],
        "expect": {"fails": {"own/typo": {"trend": 0.4}}},
    }]  # fmt: skip
    spec = {"name": "faults", "seed": 1, "replicates": 40, "cells": cells}
    return cibench.run({**spec, "plugins": [str(tmp_path / "own.py")]}, tmp_path / "run")


def test_who_never_answers_gets_no_verdict_and_the_reason_with_its_line(run):
    table = run.expectations.set_index(["estimator", "dial"])
    for name, line in (("own/typo", 7), ("own/other", 12)):
        rows = table.loc[name]
        assert set(rows["verdict"]) == {"no answer"}  # valid or to fail: neither is shown
        assert set(rows["expected"]) <= {"valid", "fails"}
        for note in rows["note"]:
            assert note.startswith("answered none of 10: ")
            assert note.endswith(f"(own.py:{line}); stopped after ten identical exceptions")
    assert not run.expectations["verdict"].isin(SURPRISES).any()


def test_page_and_console_tell_it_as_a_fault(run):
    from cibench.report.summary import summary, surprise_lines

    page = run.write_report().read_text(encoding="utf-8")
    assert "2 methods failed in most fits of a cell; no surprise among" in page
    assert "answered none of 10: TypeError" in page and "(own.py:7)" in page
    words = "2 methods failed in most fits of a cell; 1 of 1 method broke, only where an assumption"
    assert words in page
    assert page.count(">failed in most fits</td>") == 2  # in place of a breakdown point
    assert "fails unexpectedly in" not in page and "survives unexpectedly in" not in page
    head, first, *_ = surprise_lines(run.expectations, run.catalogue)
    assert head.startswith("2 methods failed in most fits of a cell; ")
    assert first.startswith("  own/typo answered none of 10: TypeError")
    lines = summary(run.scores, run.expectations, run.catalogue)
    assert set(lines.loc[lines["estimator"] == "own/typo", "coverage %"]) == {"–"}


def test_a_gate_on_expectations_does_not_pass_who_never_answers(run):
    from cibench.gate.expectations import expectations_of

    found = expectations_of(run)
    assert found.exit_code == 1 and "4 no answer" in found.headline


@pytest.mark.parametrize("module", ["cibench", "cibench.cli"])
def test_the_command_line_is_a_module_too(module):
    shown = subprocess.run(
        [sys.executable, "-m", module, "list", "suits"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 2 and "suits" in shown.stderr
    listed = subprocess.check_output([sys.executable, "-m", module, "list", "suites"], text=True)
    assert "quickstart" in listed


SOMETIMES = '''"""y = d + e, and at times no data."""
import numpy as np
from cibench import Draw, Estimand, Scenario, scenario

@scenario("own/raises")
class Raises(Scenario):
    """Fails in some of its draws."""
    estimand = Estimand.ATE
    def truth(self):
        return 1.0
    def draw(self, n, rng):
        if rng.random() < 0.4:
            raise ValueError("no data today")
        d, e = rng.integers(0, 2, n), rng.normal(size=n)
        return Draw({"y": d + e, "d": d}, e, np.ones(n))
'''


def test_a_data_set_that_cannot_be_drawn_cannot_be_bundled_and_leaves_no_folder(
    tmp_path, shelves, monkeypatch
):
    from cibench.execution.replay_bundle import write_bundle
    from cibench.execution.replays import FitAddress, replay
    from cibench.utils.errors import BadInput

    (tmp_path / "own.py").write_text(SOMETIMES)
    cell = {"scenario": "own/raises", "n": 20, "estimators": "naive/difference-in-means"}
    spec = {"name": "s", "seed": 1, "replicates": 12, "cells": [cell]}
    with pytest.raises(BadInput, match=r"draw 5 .*: ValueError: no data today \(own.py:13"):
        cibench.run({**spec, "plugins": [str(tmp_path / "own.py")]}, tmp_path / "run")
    run = cibench.load(tmp_path / "run")
    stored = int(run.replicates["replicate"].iloc[0])
    again = replay(run.folder, FitAddress("own/raises", "naive/difference-in-means", stored))

    def draw(self, n, rng):
        raise ValueError("no data any more")

    monkeypatch.setattr(cibench.find_scenario("own/raises"), "draw", draw)
    with pytest.raises(BadInput, match=rf"draw replicate {stored}: ValueError: no data any more"):
        write_bundle(again, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
