import json
from pathlib import Path

import matplotlib.figure  # noqa: F401 - what a run imports must outlive the runs in this process
import pandas  # noqa: F401
import pytest
import scipy.optimize
import scipy.special  # noqa: F401
from commands import python

import cibench.analysis.scores  # noqa: F401
from cibench.model import registry

pytest_plugins = ["pytester"]

TESTS = """
import numpy as np
import pytest

FACTOR, BIAS = 1.0, 0.0

def by_groups(problem, rng):
    y, d = problem.outcome, problem.treatment == 1
    se = FACTOR * np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    return y[d].mean() - y[~d].mean() + BIAS, se

def raw(outcome, treated):
    y, d = outcome, treated == 1
    se = FACTOR * np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    return y[d].mean() - y[~d].mean() + BIAS, se

class Difference:
    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y):
        self.coef_, se = raw(y, X)
        self.se_ = self.factor * se
        return self

OPTIONS = dict(n=20, replicates=60)

def test_function(cibench_check):
    cibench_check(by_groups, scenarios=["did/two-group", "did/state-panel"], **OPTIONS)

@pytest.mark.cibench(scenarios=["did/two-g*", "did/state-panel"])
def test_class(cibench_check):
    data = {"X": "treatment", "y": "outcome"}
    cibench_check(Difference(1.0), data=data, gives=("coef_", "se_"), **OPTIONS)

def test_registered(cibench_check):
    found = cibench_check("baseline/zero", scenarios=["did/two-group"], **OPTIONS)
    assert all(one.verdict == "identical" for one in found)
"""


@pytest.fixture
def project(pytester):
    pytester.makepyfile(test_mine=TESTS)

    registry.load_built_in()

    def run(*arguments, edit=()):
        for old, new in edit:
            path = pytester.path / "test_mine.py"
            path.write_text(path.read_text().replace(old, new))
        parts = "-n" in arguments
        call = pytester.runpytest_subprocess if parts else pytester.runpytest_inprocess
        quiet = "ignore::pytest.PytestAssertRewriteWarning"  # this process has the plug-in already
        return call("-p", "cibench.testing.pytest_plugin", "-W", "error", "-W", quiet, *arguments)

    return run


def test_a_function_a_class_and_a_registered_estimator(project, pytester):
    """One file of a package that knows nothing of cibench: saved, identical, then changed."""
    missing = project()
    assert missing.ret == 1 and "passed" not in missing.parseoutcomes()
    missing.stdout.fnmatch_lines(["*no baseline named*pytest --cibench-update-baseline saves one*"])
    missing.stdout.no_fnmatch_line("*During handling of*")
    project("--cibench-update-baseline").assert_outcomes(passed=4)
    saved = pytester.path / "baselines" / "main" / "test_mine"
    assert {p.name for p in saved.iterdir()} == {
        "own--by-groups", "own--difference", "baseline--zero",
    }  # fmt: skip
    assert {p.name for p in (saved / "own--difference").iterdir()} == {
        "did--two-group", "did--state-panel",
    }  # fmt: skip
    project("-v").assert_outcomes(passed=4)


PACKAGE = """
import numpy as np

def difference(y, d):
    a, b = y[d == 1], y[d == 0]
    return a.mean() - b.mean(), np.sqrt(a.var() / a.size + b.var() / b.size)

class Difference:
    def fit(self, X, y):
        self.coef_, self.se_ = difference(y, X)
        return self
"""


def test_the_file_that_the_readme_shows_is_short_and_works(pytester):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = next(b for b in readme.split("```python\n")[1:] if "cibench_check" in b).split("```")[0]
    assert len(shown.splitlines()) < 25
    pytester.makepyfile(mypackage=PACKAGE, test_statistics=shown)
    pytester.syspathinsert()
    registry.load_built_in()
    quick = ("-p", "cibench.testing.pytest_plugin", "--cibench-replicates", "10", "-W",
             "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip
    pytester.runpytest_inprocess(*quick, "--cibench-update-baseline").assert_outcomes(passed=2)
    pytester.runpytest_inprocess(*quick).assert_outcomes(passed=2)


def test_a_change_fails_with_measure_values_error_z_and_replay(project):
    project("--cibench-update-baseline")
    result = project(edit=[("FACTOR, BIAS = 1.0", "FACTOR, BIAS = 0.9")])
    out = result.stdout.str()
    for words in (
        "test_class[[]did/two-group[]]", "test_class[[]did/state-panel[]]",
        "*before*after*change*paired error*margin*effective z*", "*SE ratio*−10.0 %*",
        "*replicate *: estimate * → *, standard error * → *",
        "*cibench replay .pytest_cache/*did--two-group/run --scenario did/two-group --replicate *"
        "--estimator own/difference*",
    ):  # fmt: skip
        result.stdout.fnmatch_lines([f"*{words}*"])
    assert "Traceback" not in out
    counts = result.parseoutcomes()
    assert counts["passed"] == 1  # the registered one did not change
    assert "did/two-group" in out and "did/state-panel" in out


@pytest.mark.slow
def test_xdist_workers_save_and_compare_the_same(project, pytester):
    pytest.importorskip("xdist")
    project("-n", "2", "--cibench-update-baseline").assert_outcomes(passed=4)
    project("-n", "2").assert_outcomes(passed=4)
    project().assert_outcomes(passed=4)


def test_replicates_and_the_folder_of_baselines_are_options(project, pytester):
    options = ("--cibench-baselines", "kept", "-k", "registered")
    project("--cibench-update-baseline", "--cibench-replicates", "8", *options)
    (about,) = (pytester.path / "kept").rglob("baseline.json")
    assert json.loads(about.read_text())["replicates"] == 8
    project("--cibench-replicates", "4", *options).assert_outcomes(passed=1)
    project("--cibench-replicates", "40", *options).assert_outcomes(passed=1)
    assert not (pytester.path / "baselines").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("by_groups, scenarios=['did/two-grup']", "did you mean 'did/two-group'"),
        ("by_groups, scenarios=['nothing/*']", "no scenario matches"),
        ("raw, ['did/two-group'], data={'outcome': 'outcom'}", "did you mean 'outcome'"),
        ("by_groups, ['did/two-group'], margins={'coverge': 1}", "did you mean 'coverage'"),
        ("by_groups, ['did/two-group'], estimand='ATTT'", "did you mean 'ATT'"),
        ("by_groups, ['did/two-group'], against='../x'", "is not a name"),
        ("'baseline/nothing', ['did/two-group']", "no estimator named"),
    ],
)
def test_bad_input_is_one_line(project, pytester, call, said):
    extra = f"\n\ndef test_bad(cibench_check):\n    cibench_check({call})\n"
    (pytester.path / "test_mine.py").write_text(TESTS + extra)
    result = project("-k", "test_bad", "--cibench-update-baseline")
    result.assert_outcomes(failed=1)
    assert said in result.stdout.str() and "Traceback" not in result.stdout.str()


def test_a_marker_with_an_unknown_scenario_is_told_at_collection(project, pytester):
    text = TESTS.replace('"did/two-g*"', '"did/two-grop"')
    (pytester.path / "test_mine.py").write_text(text)
    result = project()
    assert result.ret != 0
    assert "no scenario named 'did/two-grop'" in result.stdout.str() + result.stderr.str()


def test_who_does_not_use_it_is_not_disturbed(pytester):
    """The plug-in imports nothing heavy where no test asks for it, and leaves markers strict."""
    pytester.makepyfile(
        "import sys\n"
        "def test_light():\n"
        "    heavy = {'numpy', 'pandas', 'scipy', 'pyarrow', 'matplotlib', 'typer', 'rich'}\n"
        "    assert 'cibench.testing.pytest_plugin' in sys.modules\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    options = ("--strict-markers", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error", "-q")
    done = python(
        "-m", "pytest", "-p", "cibench.testing.pytest_plugin", *options, folder=pytester.path
    )
    assert done.returncode == 0, done.stdout


def test_the_plugin_is_installed_with_the_package():
    from importlib.metadata import entry_points

    (point,) = entry_points(group="pytest11", name="cibench.testing.pytest_plugin")
    assert point.load().cibench_check


@pytest.mark.usefixtures("shelves")
def test_a_promise_is_tested_without_a_baseline(project, pytester):
    (pytester.path / "test_mine.py").write_text(
        TESTS + "\n\ndef test_promise(cibench_check):\n"
        "    cibench_check(by_groups, ['made/coin'], expect=True, n=40)\n"
    )
    (pytester.path / "conftest.py").write_text(
        "import numpy as np\n"
        "from cibench import Draw, Estimand, Scenario, scenario\n"
        "@scenario('made/coin')\n"
        "class Coin(Scenario):\n"
        "    estimand = Estimand.ATE\n"
        "    reference = 'none'\n"
        "    def truth(self):\n"
        "        return 0.5\n"
        "    def draw(self, n, rng):\n"
        "        e, d = rng.normal(size=n), rng.permutation(np.arange(n) % 2).astype(float)\n"
        "        return Draw({'y': 0.5 * d + e, 'd': d}, e, np.full(n, 0.5))\n"
    )
    project("-k", "promise").assert_outcomes(passed=1)
    result = project("-k", "promise", edit=[("FACTOR, BIAS = 1.0, 0.0", "FACTOR, BIAS = 1.0, 0.4")])
    result.assert_outcomes(failed=1)
    out = result.stdout.str()
    assert "own/by-groups fails unexpectedly: coverage" in out and "below the floor of 90 %" in out
    assert not (pytester.path / "baselines").exists()
