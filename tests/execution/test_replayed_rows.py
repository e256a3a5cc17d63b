"""Every kind of row, of every kind of estimator, is replayed or says why it cannot be."""

import shutil
import sys

import pandas as pd
import pytest

import cibench
from cibench.exchange import export_suite, import_answers
from cibench.execution import RunSettings
from cibench.suite.parse import parse_suite

HERE = '''
"""Methods and a diagnostic that answer, decline, raise or give no number."""
from cibench import Declined, Diagnosis, Estimand, Estimate, diagnostic, estimator

def choose(what, answer):
    if what == "declined":
        raise Declined("too few units")
    if what == "failed":
        raise ZeroDivisionError("nothing to divide by")
    return answer(float("nan") if what == "nonfinite" else 0.5)

@estimator("here/mean", targets=(Estimand.ATT,))
def mean(problem, rng, *, what="ok"):
    return choose(what, lambda value: Estimate.wald(value, 1.0, problem.level))

@estimator("here/oracle", targets=(Estimand.ATT,), oracle=True)
def oracle(problem, rng, *, what="ok"):
    return choose(what, lambda value: Estimate.wald(value, 1.0, problem.level))

@diagnostic("here/check", tests=("parallel trends",))
def check(problem, rng, *, what="ok"):
    return choose(what, lambda value: Diagnosis(passed=True, p_value=value, statistic=1.0))
'''
ELSEWHERE = """
from cibench import Declined, Estimate, estimator, serve

@estimator("there/mean")
def mean(problem, rng, *, what="ok"):
    if what == "declined":
        raise Declined("too few units")
    if what == "failed":
        raise ZeroDivisionError("nothing to divide by")
    value = float("nan") if what == "nonfinite" else 0.5
    return Estimate.wald(value, 1.0, problem.level)

serve()
"""
IN_R = """
source(file.path(Sys.getenv("CIBENCH_HELPERS"), "cibench.R"))
mean_of <- function(problem, options) {
  if (options$what == "declined") decline("too few units")
  if (options$what == "failed") stop("nothing to divide by")
  wald(if (options$what == "nonfinite") NaN else 0.5, 1.0, problem$level, NULL)
}
serve(list("r/mean" = mean_of))
"""
DECLARED = """
[estimators."{}"]
command = ["{}", "{}"]
targets = ["ATT"]
options = {{ what = "ok" }}
"""
WHATS = ("ok", "declined", "failed", "nonfinite")
METHODS = ["here/mean", "here/oracle", "here/check", "there/mean"]
if shutil.which("Rscript"):
    METHODS.append("r/mean")
SAID = {"ok": "ok", "declined": "declined: too few units", "failed": "failed: "}

pytestmark = pytest.mark.usefixtures("shelves")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    (folder / "here.py").write_text(HERE, encoding="utf-8")
    (folder / "there.py").write_text(ELSEWHERE, encoding="utf-8")
    (folder / "there.toml").write_text(DECLARED.format("there/mean", sys.executable, "there.py"))
    plugins = [str(folder / "here.py"), str(folder / "there.toml")]
    if "r/mean" in METHODS:
        (folder / "r.R").write_text(IN_R, encoding="utf-8")
        (folder / "r.toml").write_text(DECLARED.format("r/mean", "Rscript", "r.R"))
        plugins.append(str(folder / "r.toml"))
    cells = [
        {"scenario": "did/two-group", "n": 20 + place, "estimators": METHODS,
         "options": {name: {"what": what} for name in METHODS}}
        for place, what in enumerate(WHATS)
    ]  # fmt: skip
    spec = {"name": "rows", "seed": 4, "replicates": 1, "plugins": plugins, "cells": cells}
    suite = parse_suite(spec)
    cibench.run(suite, folder / "run", settings=RunSettings(checks=False))
    export_suite(suite, folder / "out")
    answers = pd.read_csv(folder / "out" / "answers.csv", dtype=str)
    answers["declined"] = [None, "too few units", None, None]
    answers["estimate"], answers["std_error"] = ["0.5", None, None, "inf"], "1"
    answers.to_csv(folder / "a.csv", index=False)
    import_answers(folder / "run", folder / "a.csv", "handed-in")
    return folder / "run"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", WHATS)
def test_a_row_of_any_kind_comes_again_and_its_script_says_the_same(run, call, what, method):
    words = ("--scenario", "did/two-group", "--n", 20 + WHATS.index(what), "--replicate", 0)
    code, out, err = call("replay", run, *words, "--estimator", method, "--out", "bundle")
    assert code == 0, err
    assert f"stored: {SAID.get(what, 'nonfinite: ')}" in out
    assert "made again it is the same row, bit for bit" in out
    if what != "failed":  # a bug is told with its traceback
        assert "Traceback" not in out + err
        assert "(exit code 0)" in out
    if what == "declined":
        script = out.partition("bundle: ")[2]
        assert "declined" in script and "too few units" in script


@pytest.mark.parametrize("what", WHATS)
def test_a_row_that_was_handed_in_says_so_in_one_line(run, call, what):
    words = ("--scenario", "did/two-group", "--n", 20 + WHATS.index(what), "--replicate", 0)
    code, out, err = call("replay", run, *words, "--estimator", "imported/handed-in")
    assert code == 2 and not out and err.count("\n") == 1
    assert "its answers were imported from a.csv; cibench did not run it" in err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--scenario", "did/two-grup", "--estimator", "here/mean"),
         "no scenario of the run named 'did/two-grup'; did you mean 'did/two-group'?"),
        (("--scenario", "did/two-group", "--estimator", "here/maen"),
         "no estimator of the scenario named 'here/maen'; did you mean 'here/mean'?"),
    ],
)  # fmt: skip
def test_a_name_that_no_row_has_is_told_with_its_near_miss(run, call, words, line):
    code, _, err = call("replay", run, *words, "--replicate", 0)
    assert code == 2 and line in err and err.count("\n") == 1
