"""Plug-ins are held to their contracts before the first replicate of a run."""

import json
from html import unescape
from pathlib import Path

import pytest
from toys import plugin

import cibench
from cibench.contracts.preflight import look_at, subjects
from cibench.execution import RunSettings, Tuning, execute
from cibench.suite import parse_suite
from cibench.utils.errors import BadInput

TOYS = '''
@scenario("pre/toy")
class Toy(Scenario):
    """Y = effect D + e, with a switch for each fault."""
    estimand = Estimand.ATE
    reference = "none"
    violates = ("a fair coin",)
    stated: float = 0.5
    drawn: float = 0.5
    spread: float = 0.0
    rows: int = 0
    shift: float = 0.0
    skew: bool = False
    ragged: bool = False
    lost: bool = False
    table: str = ""

    def truth(self):
        return self.stated

    def draw(self, n, rng):
        n = self.rows or n
        own = np.random.default_rng(3) if self.table else rng
        e, d = own.normal(size=n), np.arange(n) % 2.0
        noise = own.lognormal(size=n) - np.exp(0.5) if self.skew else own.normal(size=n)
        effects = self.drawn + self.spread * noise
        y = effects * d + e + self.shift * d
        columns = {"y": y} if self.lost else {"y": y, "d": d}
        if self.table:
            order = rng.permutation(n)
            jitter = 1 + 1e-8 * rng.uniform(size=n)
            columns = {"y": (y * jitter)[order], "d": d[order]}
            return Draw(columns, columns["y"] - effects[order] * d[order], effects[order])
        return Draw(columns, e[1:] if self.ragged else e, effects)

@estimator("pre/mean", targets=ATE)
def mean(problem, rng):
    """The difference in means."""
    return Estimate.wald(contrast(problem), 2 / len(problem.outcome) ** 0.5, problem.level)

@estimator("pre/beside", targets=ATE)
def beside(problem, rng):
    """An answer beside its own limits."""
    return Estimate(5.0, 0.1, 1.0, 2.0)

@estimator("pre/sometimes", targets=ATE)
def sometimes(problem, rng, *, limit=0.0):
    """An answer beside its limits on some data sets."""
    value = contrast(problem)
    return Estimate(value, 0.1, value - 1, value + 1 if problem.outcome[0] > limit else value - 0.5)

@estimator("pre/restless", targets=ATE)
def restless(problem, rng):
    """Randomness of its own."""
    return Estimate.wald(np.random.default_rng().normal(), 2.0, problem.level)

@estimator("pre/raises", targets=ATE)
def raises(problem, rng):
    """A slip."""
    raise TypeError("a slip")

@estimator("pre/misspelt", targets=ATE, assumes=("a fair cion",), gives=("value", "limits"))
def misspelt(problem, rng):
    """An assumption that no dial breaks, and a standard error that is not declared."""
    return Estimate.wald(contrast(problem), 2 / len(problem.outcome) ** 0.5, problem.level)

@estimator("pre/hangs", targets=ATE)
def hangs(problem, rng):
    """A fit without an end."""
    time.sleep(600)

@estimator("pre/dies", targets=ATE)
def dies(problem, rng):
    """A fit that takes its process along."""
    os._exit(3)
'''


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Give the plug-in's path; its file is written once for all tests."""
    file = tmp_path_factory.mktemp("pre") / "pre_toys.py"
    file.write_text(plugin("pre", TOYS), encoding="utf-8")
    return str(file)


def suite_of(path, methods=("pre/mean",), n=100, replicates=3, **parameters):
    cell = {"scenario": "pre/toy", "n": n, "parameters": parameters, "estimators": [*methods]}
    return parse_suite({"name": "t", "seed": 3, "replicates": replicates, "plugins": [path],
                        "cells": [cell]})  # fmt: skip


ISOLATED = RunSettings(isolate=True)

BROKEN = {
    "truth() says 1 for ATE, but every effect drawn is 2": {"stated": 1.0, "drawn": 2.0},
    "truth() says 1 for ATE, but the average effect drawn is ": {
        "stated": 1.0, "drawn": 2.0, "spread": 1.0},
    "a draw of n=100 has 300 rows": {"rows": 300},
    "the outcome is not baseline + effects * treatment in 50 rows": {"shift": 1.0},
    "a role names column 'd', never drawn": {"lost": True},
    "column 'y': has shape (100,), the baseline (99,)": {"ragged": True},
    "the truth of ATE is nan": {"stated": float("nan")},
}  # fmt: skip


@pytest.mark.parametrize("complaint", BROKEN)
def test_a_scenario_that_breaks_its_contract_is_refused(path, tmp_path, complaint):
    suite = suite_of(path, **BROKEN[complaint])
    with pytest.raises(BadInput) as refused:
        execute(suite, tmp_path / "r")
    (line,) = refused.value.args
    assert line.startswith("scenario pre/toy") and complaint in line and "--no-checks" in line
    assert not (tmp_path / "r" / "manifest.json").exists()


def test_every_fault_has_a_line_and_what_comes_with_cibench_is_not_looked_at(path, tmp_path):
    pytest.importorskip("statsmodels")  # which a light install lacks
    methods = ["pre/beside", "pre/restless", "pre/mean", "naive/difference-in-means"]
    suite = suite_of(path, methods, stated=1.0)
    assert [str(s) for s in subjects(suite)] == [
        "scenario pre/toy", *(f"estimator {name}" for name in methods[:3])
    ]  # fmt: skip
    with pytest.raises(BadInput) as refused:
        execute(suite, tmp_path / "r", ISOLATED)
    wrong, beside, restless = refused.value.args
    assert "every effect drawn is 0.5" in wrong
    assert "pre/beside" in beside and "5 is not within 1.0 and 2.0" in beside
    assert "pre/restless" in restless and "differ when fitted twice" in restless


def test_with_the_switch_it_runs_and_the_report_says_so(path, tmp_path, call):
    suite = suite_of(path, stated=1.0, drawn=2.0)
    (tmp_path / "s.toml").write_text(suite.as_toml(), encoding="utf-8")
    refused = call("run", "s.toml", "--out", "r", "--workers", 1)
    assert refused.code == 2 and refused.err.count("\n") == 1 and not (tmp_path / "r").exists()
    assert call("run", "s.toml", "--out", "r", "--workers", 1, "--no-checks").code == 0
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "not held to their contracts" in page
    run = cibench.run(suite_of(path), tmp_path / "checked")
    assert "held to their contracts before the run: " in run.write_report().read_text("utf-8")


def test_what_raises_hangs_or_dies_is_told_and_runs(path, tmp_path):
    methods = ["pre/mean", "pre/raises", "pre/dies", "pre/hangs"]
    suite = suite_of(path, methods, replicates=1)
    quick = RunSettings(isolate=True, tuning=Tuning(check_seconds=0.3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cibench.execution.runner._run", lambda job: seen.append(job.checks) or [])
        seen: list = []
        execute(suite, tmp_path / "r", quick)
    notes = {name: entry["unchecked"] for name, entry in seen[0]["plugins"].items()}
    assert notes["scenario pre/toy"] == notes["estimator pre/mean"] == ""
    assert notes["estimator pre/raises"].startswith("gave no answer on trial: TypeError: a slip (p")
    assert notes["estimator pre/dies"] == "its process died on trial: exit code 3"
    assert notes["estimator pre/hangs"] == "took longer than 1.5 s on trial"


def test_what_has_passed_is_not_looked_at_again(path, tmp_path, monkeypatch):
    from cibench.contracts import plugin_checks

    looks = []

    def look(subject, seconds):
        looks.append(str(subject))
        return look_at(subject, seconds)

    monkeypatch.setattr(plugin_checks, "look_at", look)
    execute(suite_of(path), tmp_path / "r")
    assert looks == ["scenario pre/toy", "estimator pre/mean"]
    execute(suite_of(path), tmp_path / "r")
    execute(suite_of(path, replicates=5), tmp_path / "r")
    assert len(looks) == 2
    execute(suite_of(path, ["pre/mean", "pre/sometimes"], replicates=5), tmp_path / "r")
    assert looks[2:] == ["estimator pre/sometimes"]
    checks = json.loads((tmp_path / "r" / "manifest.json").read_text("utf-8"))["checks"]
    assert len(checks["plugins"]) == 3 and not checks["skipped"]
    other = suite_of(path, ["pre/mean", "pre/sometimes"], n=[100, 50], replicates=5)
    execute(other, tmp_path / "r")
    assert looks[3:] == ["scenario pre/toy"]
    note = tmp_path / "r" / "manifest.json"
    manifest = json.loads(note.read_text("utf-8"))
    manifest["imported"]["versions"]["numpy"] = "0.1"  # what they use was another one then
    note.write_text(json.dumps(manifest), "utf-8")
    execute(other.with_replicates(6), tmp_path / "r")
    assert len(looks) == 7


def test_an_answer_must_contradict_itself_on_every_trial(path, tmp_path):
    suite = suite_of(path, ["pre/sometimes"])
    verdicts = [look_at(subject, 9.0) for subject in subjects(suite)]
    assert not any(verdict.broken for verdict in verdicts)


def test_equal_rows_in_another_order_are_noticed(path, tmp_path):
    (scenario, _) = subjects(suite_of(path, table="yes"))
    assert "two draws hold the same rows" in look_at(scenario, 9.0).warning
    (scenario, _) = subjects(suite_of(path))
    assert look_at(scenario, 9.0).warning == ""
    run = cibench.run(suite_of(path, table="yes"), tmp_path / "r")
    assert "two draws hold the same rows" in run.write_report().read_text("utf-8")


def test_a_slip_in_a_declaration_is_a_warning_that_page_and_terminal_have(path, tmp_path, call):
    (_, method) = subjects(suite_of(path, ["pre/misspelt"]))
    slip = (
        "estimator pre/misspelt assumes 'a fair cion', but pre/toy breaks 'a fair coin': "
        "one spelling, please"
    )
    warning = look_at(method, 9.0).warning
    assert warning == f"{slip}; estimator pre/misspelt gives se, but does not declare it"
    (_, other) = subjects(suite_of(path, ["pre/mean"]))
    assert look_at(other, 9.0).warning == ""
    run = cibench.run(suite_of(path, ["pre/misspelt"]), tmp_path / "r")
    assert slip in unescape(run.write_report().read_text("utf-8"))
    assert slip in " ".join(call("score", tmp_path / "r").out.split())


def test_so_is_what_a_scenario_breaks_that_is_nearly_what_an_estimator_assumes(path):
    text = Path(path).read_text("utf-8")
    declared = 'violates = ("a fair coin",)'
    assert declared in text
    Path(path).write_text(text.replace(declared, 'violates = ("paralel trends",)'), "utf-8")
    (scenario, _) = subjects(suite_of(path))
    assert look_at(scenario, 9.0).warning == (
        "scenario pre/toy breaks 'paralel trends', which no estimator assumes; "
        "did you mean 'parallel trends'?"
    )


@pytest.mark.parametrize("law", ["normal", "lognormal"])
def test_right_truths_are_not_refused(path, law):
    """At a level beyond doubt no one of 40 right truths may be refused, however few rows.

    Each is refused with probability below 1e-6 under normal errors; the lognormal law, whose means
    of 240 effects are still skewed, is the worst that is promised.
    """
    for k in range(40):
        suite = suite_of(path, n=10 + k, spread=1.0 + k / 7, skew=law == "lognormal")
        (scenario, _) = subjects(suite)
        assert look_at(scenario, 9.0).broken == ""


def test_wrong_truths_are_refused_where_the_error_is_a_tenth_of_the_spread(path):
    """Of 96 draws of 100 the mean has an error of s / 98, a tenth is 9.8 of them."""
    for off in (0.1, -0.1):
        (scenario, _) = subjects(suite_of(path, spread=1.0, stated=0.5 + off))
        assert "the average effect drawn is" in look_at(scenario, 9.0).broken
