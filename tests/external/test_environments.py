"""Estimators of this Python, fitted by another's: the same numbers, or the words why not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import python
from threadpoolctl import threadpool_limits

from cibench import BadInput, find_estimator, find_scenario
from cibench.external import process
from cibench.external.environments import register_environment, write_environment
from cibench.external.process import HASHES, HELPERS, Command
from cibench.gate.versions.environments import find_python
from cibench.model.registry import entries, entry, load_plugin
from cibench.model.streams import fit_address
from cibench.model.types import Problem
from cibench.suite.parse import parse_suite
from cibench.workers.fit import fit

SCENARIOS = ("quirks/regression", "quirks/strata", "did/two-group", "rd/cct-1", "bayes/experiment")
SLOW = ("doubleml/", "twin/", "rdrobust/", "pysyncon/", "honest", "wild")


@pytest.fixture(autouse=True)
def _ended(shelves):
    yield
    process.end_all()


def methods():
    names = [n for n, e in entries("estimator").items() if e.built_in and not e.value.oracle]
    return [name for name in names if not any(part in name for part in SLOW)]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_with_equal_versions_answers_are_equal_bit_for_bit(scenario, tmp_path, shelves):
    """Random methods too: their streams and the global states are the same there.

    As in every worker, sets of texts have one order, which is not this process's.
    """
    if os.environ.get("PYTHONHASHSEED") != HASHES["PYTHONHASHSEED"]:
        itself = f"{__file__}::test_with_equal_versions_answers_are_equal_bit_for_bit[{scenario}]"
        done = python("-m", "pytest", "-v", "-p", "no:xdist", itself, env={**os.environ, **HASHES})
        assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
        return
    here = {name: find_estimator(name) for name in methods()}
    design = find_scenario(scenario)()
    here = {name: each for name, each in here.items() if each.declines(design) is None}
    write_environment(tmp_path / "same.environment", sys.executable, list(here))
    there = {each.name: each for each in register_environment(tmp_path / "same.environment")}
    assert set(there) == set(here) and len(here) > 2
    draw = design.draw(60, np.random.default_rng(3))
    answered = 0
    for name, method in here.items():
        address = fit_address(1, scenario, 60, 0, name)
        with threadpool_limits(1):  # as of every fit, and there
            one, other = (
                fit(each, problem_of(each, design, draw), each.options, address, watch=True)
                for each in (method, there[name])
            )
        assert rows(one) == rows(other), name
        assert (one.drew, one.warnings) == (other.drew, other.warnings), name
        answered += one.answers[0].status == "ok"
    assert answered > len(here) / 2


def problem_of(method, design, draw):
    return Problem.of(draw, design.assigned_roles(), method.targets_of(design), 0.9)


def rows(fitted):
    return [
        (a.target, a.status, a.reason, {k: repr_of(v) for k, v in a.numbers.items()})
        for a in fitted.answers
    ]


def repr_of(value):
    return value.tolist() if isinstance(value, np.ndarray) else repr(value)


NOTHING = '''
from cibench import Estimand, estimator
@estimator("own/nothing", targets=(Estimand.ATT,))
def nothing(problem, rng):
    """Answer other questions alone."""
    return {}
'''


def test_who_answers_nothing_is_told_as_here(tmp_path):
    (tmp_path / "own.py").write_text(NOTHING)
    load_plugin(str(tmp_path / "own.py"))
    here, design = find_estimator("own/nothing"), find_scenario("did/two-group")()
    write_environment(tmp_path / "x.environment", sys.executable, ["own/nothing"])
    (there,) = register_environment(tmp_path / "x.environment")
    draw = design.draw(20, np.random.default_rng(1))
    one, other = (fit(m, problem_of(m, design, draw), {}, ("x",)) for m in (here, there))
    assert rows(one) == rows(other) and one.answers[0].reason == "gave no answer for ATT"


def test_what_stays_here_stays_and_sources_are_the_same(tmp_path):
    from cibench.storage.source_digests import source_digest

    names = ["did/collapsed", "oracle/experiment"]
    digest = source_digest(entry("estimator", "did/collapsed"))
    write_environment(tmp_path / "x.environment", sys.executable, names, "numpy")
    (moved,) = register_environment(tmp_path / "x.environment")
    assert moved.name == "did/collapsed"
    assert find_estimator("oracle/experiment").elsewhere is None
    assert source_digest(entry("estimator", "did/collapsed")) == digest
    versions = moved.elsewhere.versions()
    assert versions[f"Python ({Path(sys.executable).name}): numpy"] == np.__version__


def test_libraries_of_methods_elsewhere_are_none_of_a_suite_here(tmp_path):
    cell = {"scenario": "did/two-group", "n": 20, "estimators": "panel/twfe"}
    spec = {"name": "x", "seed": 1, "replicates": 2, "cells": [cell]}
    assert "linearmodels" in parse_suite(spec).libraries
    write_environment(tmp_path / "x.environment", sys.executable, ["panel/twfe"])
    load_plugin(str(tmp_path / "x.environment"))
    assert "linearmodels" not in parse_suite(spec).libraries


HOLDS_MORE = '''
"""A method, a scenario and what only the package itself has."""
import numpy as np
from cibench import Draw, Estimand, Estimate, Scenario, dial, estimator, parameter, scenario, stream
from cibench.model import Array

@scenario("own/design")
class Design(Scenario):
    """Y = e."""
    estimand = Estimand.ATE
    effect: float = parameter(default=0.5, unit="y")
    shift: float = dial(default=0.0, breaks="nothing", grid=(1.0,), within=(0, 9), unit="y")

    def draw(self, n, rng):
        return Draw({}, np.zeros(n), np.zeros(n))

@estimator("own/plain", targets=(Estimand.ATT,))
def plain(problem, rng):
    """Use what there is."""
    return Estimate(1.0, 1.0, 0.0, 2.0)

@estimator("own/deep", targets=(Estimand.ATT,))
def deep(problem, rng):
    """Use what there is not."""
    return Estimate(float(stream("x").normal()), 1.0, 0.0, 2.0)
'''


def test_a_file_that_holds_more_is_read_and_who_uses_it_says_so(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(HOLDS_MORE)
    words = ("python", "-s", str(HELPERS / "cibench.py"), str(path))
    asked = Command((sys.executable, *words[1:]), str(tmp_path), alone=True)
    running = process.Process(asked)
    assert running.hello.estimators == ("own/deep", "own/plain")
    request = {
        "request": "fit", "folder": str(tmp_path), "rows": 0, "columns": [], "roles": {},
        "targets": [], "level": 0.9, "seed": 1, "options": {},
    }  # fmt: skip
    (tmp_path / "numbers.bin").write_bytes(b"")
    assert running.ask({**request, "estimator": "own/plain"})["estimates"][0]["value"] == 1.0
    reason = running.ask({**request, "estimator": "own/deep"})["failed"]
    assert reason.startswith("NotImplementedError: 'stream' of cibench is not there in another")
    running.end()


def test_a_file_that_does_not_import_is_the_reason_of_its_fits(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("import no_such_library\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "no_such_library.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))  # of this Python, not of another's
    asked = Command(
        (sys.executable, "-s", str(HELPERS / "cibench.py"), "own.py"), str(tmp_path), alone=True
    )
    running = process.Process(asked)
    answer = running.ask({"request": "fit", "estimator": "own/x"})
    assert answer["failed"] == "ModuleNotFoundError: No module named 'no_such_library'"
    running.end()


def test_one_file_that_does_not_import_leaves_the_others_their_answers(tmp_path):
    """The whole version was lost with one adapter, and why was not said."""
    (tmp_path / "good.py").write_text(HOLDS_MORE)
    (tmp_path / "bad.py").write_text(NOTHING)
    for name in ("good.py", "bad.py"):
        load_plugin(str(tmp_path / name))
    (tmp_path / "bad.py").write_text(f"import no_such_library\n{NOTHING}")
    names = ["own/plain", "own/nothing"]
    write_environment(tmp_path / "x.environment", sys.executable, names)
    register_environment(tmp_path / "x.environment")
    design = find_scenario("did/two-group")()
    draw = design.draw(20, np.random.default_rng(1))
    answers = {}
    for name in names:
        method = find_estimator(name)
        assert method.declines(design) is None
        (answers[name],) = fit(method, problem_of(method, design, draw), {}, ("x",)).answers
    assert answers["own/plain"].status == "ok"
    reason = "ModuleNotFoundError: No module named 'no_such_library'"
    assert (answers["own/nothing"].status, answers["own/nothing"].reason) == ("failed", reason)


def test_a_packages_own_estimators_are_those_of_the_environment(tmp_path, monkeypatch):
    """With a distribution and modules of different names those of this Python were compared."""
    site = tmp_path / "site"
    (site / "ownstats").mkdir(parents=True)
    (site / "ownstats" / "__init__.py").write_text("")
    (site / "ownstats" / "methods.py").write_text(NOTHING.replace("own/nothing", "own/brought"))
    about = site / "my_stats-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-stats\nVersion: 1.0\n")
    (about / "top_level.txt").write_text("ownstats\n")
    monkeypatch.syspath_prepend(str(site))
    load_plugin("ownstats.methods")
    path = tmp_path / "x.environment"
    for package, place in (
        ("My_Stats", "ownstats.methods"), ("numpy", f"ownstats={site / 'ownstats' / 'methods.py'}"),
    ):  # fmt: skip
        write_environment(path, sys.executable, ["own/brought"], package)
        assert json.loads(path.read_text())["estimators"] == {"own/brought": place}


def test_the_python_of_a_virtual_environment_is_taken_as_that(tmp_path):
    """Where its link was followed, it had the packages of the Python that it was made from."""
    link = tmp_path / "bin"
    link.mkdir()
    (link / "python").symlink_to(sys.executable)
    assert Command(("bin/python",), str(tmp_path)).program() == str(link / "python")


def pythons():
    names = [f"python3.{minor}" for minor in range(6, 15)]
    known = [*Path.home().glob(".pyenv/versions/*/bin/python3"), *map(Path, names)]
    return [str(path) for path in known if runs(path)]


def runs(path):
    try:
        return not subprocess.run([path, "-c", "1"], check=False, capture_output=True).returncode
    except OSError:
        return False


@pytest.mark.parametrize("python", pythons())
def test_the_helper_answers_in_every_python_at_hand(python, tmp_path):
    script = (
        "from cibench import Estimate, estimator, serve\n"
        "@estimator('own/mean')\n"
        "def mean(problem, rng, *, shift=0.0):\n"
        "    y = list(problem.outcome)\n"
        "    return Estimate.wald(sum(y) / len(y) + shift, 0.5, problem.level, 7)\n"
        "serve()\n"
    )
    (tmp_path / "own.py").write_text(script)
    (tmp_path / "own.toml").write_text(
        f'[estimators."own/mean"]\ncommand = [{json.dumps(python)}, "own.py"]\n'
        'targets = ["ATT"]\noptions = { shift = 1.5 }\n'
    )
    load_plugin(str(tmp_path / "own.toml"))
    method, design = find_estimator("own/mean"), find_scenario("did/two-group")()
    draw = design.draw(20, np.random.default_rng(1))
    fitted = fit(method, problem_of(method, design, draw), method.options, ("x",))
    (answer,) = fitted.answers
    assert answer.status == "ok", answer.reason
    assert answer.numbers["estimate"] == pytest.approx(draw.columns["y"].mean() + 1.5, rel=1e-12)
    reach = answer.numbers["ci_high"] - answer.numbers["estimate"]
    assert reach == pytest.approx(0.5 * 1.8945786050613054, rel=1e-9)
    assert not fitted.drew


def test_an_interpreter_is_found_by_path_name_or_version():
    assert find_python(sys.executable) == sys.executable
    with pytest.raises(BadInput, match="no interpreter 'python9'"):
        find_python("9")
