import contextlib
import json
import re
import sys
from pathlib import Path

import pandas  # noqa: F401
import pytest
import scipy.optimize
import scipy.special  # noqa: F401
from commands import python

import cibench.analysis.scores  # noqa: F401
from cibench.model import registry

with contextlib.suppress(ImportError):  # of a light install
    import matplotlib.figure  # noqa: F401 - what a run imports must outlive the runs here

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
    saved = pytester.path / "baselines" / "pytest" / "main" / "test-mine"
    assert {p.parent.relative_to(saved).as_posix() for p in saved.rglob("baseline.json")} == {
        "test-function/own--by-groups/did--two-group",
        "test-function/own--by-groups/did--state-panel",
        "test-class/own--difference/did--two-group",
        "test-class/own--difference/did--state-panel",
        "test-registered/baseline--zero/did--two-group",
    }  # fmt: skip
    same = project("-v")
    same.assert_outcomes(passed=4)
    out = same.stdout.str()
    assert out.count(": own/difference: identical") == 2
    assert "the chance of any false alarm in these comparisons is at most 0.002" in out


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
        "*replicate *: standard error * → *, limits (*) → (*)*",
        "*pytest 'test_mine.py::test_class[[]did/two-group[]]' --cibench-replay did/two-group:*",
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
    large = [("FACTOR, BIAS = 1.0, 0.4", "FACTOR, BIAS = 2.0, 0.0")]
    passing = project("-k", "promise", edit=large)
    passing.assert_outcomes(passed=1)
    passing.stdout.fnmatch_lines(["made/coin: own/by-groups: as declared: passed: 1 conservative"])
    project("-k", "promise", "--cibench-fail-on", "conservative").assert_outcomes(failed=1)
    switch = [("expect=True, n=40", "expect=True, n=40, fail_on=['conservative']")]
    project("-k", "promise", edit=switch).assert_outcomes(failed=1)
    assert not (pytester.path / "baselines").exists()


OWN = """
import numpy as np
from cibench import Draw, Estimand, Scenario, scenario

@scenario("held/up")
class Up(Scenario):
    '''Y = D / 2 + e.'''
    estimand = Estimand.ATE
    reference = "none"

    def truth(self):
        return 0.5

    def draw(self, n, rng):
        e, d = rng.normal(size=n), np.arange(n) % 2.0
        return Draw({"y": 0.5 * d + e, "d": d}, e, np.full(n, 0.5))

def by_groups(problem, rng):
    y, d = problem.outcome, problem.treatment == 1
    se = np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    return y[d].mean() - y[~d].mean(), se

CELL = dict(scenarios=["held/up"], n=40, checks=True)

def test_against(cibench_check):
    cibench_check(by_groups, replicates=20, **CELL)

def test_expected(cibench_check):
    cibench_check(by_groups, replicates=20, expect=True, power=0.5, **CELL)
"""


def test_a_wrong_truth_is_not_said_of_the_estimator(pytester, shelves):
    """It fails with the contract's line, saving or comparing, unless without the checks."""
    quick = ("-p", "cibench.testing.pytest_plugin", "--cibench-replicates", "400", "-W",
             "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip
    save = "--cibench-update-baseline"

    def run(text, *words):
        pytester.makepyfile(test_own=text)
        done = pytester.run(sys.executable, "-m", "pytest", *quick, *words)
        return done.parseoutcomes(), done.stdout.str()

    wrong = OWN.replace("return 0.5\n", "return 2.0\n")
    line = re.compile(r"^cibench: .*scenario held/up: truth\(\) says 2 for .* the same$", re.M)
    outcomes, out = run(wrong, save)
    assert outcomes == {"failed": 2} and not (pytester.path / "baselines").exists()
    assert len(line.findall(out)) == 2 and "fails unexpectedly" not in out
    loose = wrong.replace("checks=True", "checks=False")
    outcomes, out = run(loose, save)
    assert outcomes == {"passed": 1, "failed": 1}
    assert "fails unexpectedly" in out and "truth() says" not in out
    assert run(loose, "-k", "against")[0] == {"passed": 1, "deselected": 1}
    outcomes, out = run(wrong)
    assert outcomes == {"failed": 2}
    assert len(line.findall(out)) == 2 and "saves one" not in out


KINDS = """
import functools
import numpy as np
import pytest

SCALE, RAISE, MOVE = 1.0, 0, 0.0

def fit(problem, factor=1.0):
    y, d = problem.outcome, problem.treatment == 1
    se = SCALE * factor * np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    if RAISE and y[0] > RAISE:
        raise ZeroDivisionError("no neighbour within the bandwidth")
    return y[d].mean() - y[~d].mean() + MOVE * se, se

CELL = dict(scenarios=["did/two-group"], n=20, replicates=40)

@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_inner(cibench_check, factor):
    def inner(problem):
        return fit(problem, factor)

    cibench_check(inner, **CELL)

def test_partial(cibench_check):
    cibench_check(functools.partial(fit, factor=3.0), **CELL)

def test_size(cibench_check):
    cibench_check(fit, **{**CELL, "n": 30}, seed=2)
"""
SCALED, RAISING, MOVED = (
    ("SCALE, RAISE, MOVE = 1.0, 0, 0.0", new) for new in (
        "SCALE, RAISE, MOVE = 1.0 + 1e-4, 0, 0.0",
        "SCALE, RAISE, MOVE = 1.0, 1.5, 0.0",
        "SCALE, RAISE, MOVE = 1.0, 0, 3.5",
    )
)  # fmt: skip


@pytest.fixture
def kinds(project, pytester):
    (pytester.path / "test_mine.py").write_text(KINDS)
    project("--cibench-update-baseline").assert_outcomes(passed=4)
    return project


def test_who_shares_a_name_shares_no_baseline(kinds, pytester):
    """Inner functions, partials, other sizes and seeds: the last one saved was everybody's."""
    saved = pytester.path / "baselines" / "pytest" / "main" / "test-mine"
    assert len(list(saved.rglob("baseline.json"))) == 4
    kinds().assert_outcomes(passed=4)


def test_one_baseline_of_two_calls_is_refused_naming_the_test(project, pytester):
    twice = KINDS + "\n\ndef test_twice(cibench_check):\n    for f in (1.0, 2.0):\n"
    twice += "        cibench_check(functools.partial(fit, factor=f), **CELL)\n"
    (pytester.path / "test_mine.py").write_text(twice)
    for words in (("--cibench-update-baseline",), ()):
        result = project("-k", "twice", *words)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*of test_mine.py::test_twice: this test has it already; *"])
    named = twice.replace("factor=f), **CELL", "factor=f), name=f'own/fit-{f:.0f}', **CELL")
    (pytester.path / "test_mine.py").write_text(named)
    project("-k", "twice", "--cibench-update-baseline").assert_outcomes(passed=1)
    project("-k", "twice").assert_outcomes(passed=1)


def test_two_tests_whose_names_are_one_folder_are_refused_naming_both(project, pytester):
    alike = KINDS + "\n\ndef test__size(cibench_check):\n    cibench_check(fit, **CELL)\n"
    (pytester.path / "test_mine.py").write_text(alike)
    result = project("-k", "size", "--cibench-update-baseline")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*test_mine.py::test__size: test_mine.py::test_size has it*"])


def test_an_update_says_what_it_wrote_and_what_no_test_has(kinds, pytester):
    files = {p: p.stat().st_mtime_ns for p in (pytester.path / "baselines").rglob("*.*")}
    same = kinds("--cibench-update-baseline")
    same.stdout.fnmatch_lines(["4 unchanged, and not written"])
    assert files == {p: p.stat().st_mtime_ns for p in (pytester.path / "baselines").rglob("*.*")}
    other = kinds(
        "--cibench-update-baseline",
        edit=[("factor=3.0", "factor=3.1"), ("def test_size", "def test_other")],
    )
    out = other.stdout.str()
    assert "test-partial/own--fit/did--two-group: changed (scores.csv, estimates.jsonl)" in out
    assert "test-other/own--fit/did--two-group: new" in out and "2 unchanged" in out
    name = "pytest/main/test-mine/test-size/own--fit/did--two-group"
    orphan = f"orphan, of test_mine.py::test_size: cibench baseline remove {name}"
    assert orphan in out and out.count("orphan") == 1


def test_a_numerical_change_passes_with_a_line_and_may_be_made_to_fail(kinds):
    result = kinds(edit=[SCALED])
    result.assert_outcomes(passed=4)
    line = "*: own/fit: numerical change of at most 0.000196 SE, in 100 % of the fits"
    result.stdout.fnmatch_lines([line])
    strict = kinds("--cibench-fail-on", "worse,numerically-changed")
    strict.assert_outcomes(failed=4)
    own = [("**CELL)\n\ndef test_size", "fail_on=['worse'], **CELL)\n\ndef test_size")]
    kinds("--cibench-fail-on", "numerically-changed", edit=own).assert_outcomes(failed=3, passed=1)
    bad = kinds("--cibench-fail-on", "wrse", "-k", "size")
    bad.stdout.fnmatch_lines(["*did you mean 'worse'*"])


def test_margins_are_options_too(kinds):
    some = kinds(edit=[("SCALE, RAISE, MOVE = 1.0", "SCALE, RAISE, MOVE = 1.03")])
    some.assert_outcomes(failed=2, passed=2)  # better where they were too small
    wide = [
        word
        for name in ("std_error", "se_ratio", "length", "lower_limit", "upper_limit")
        for word in ("--cibench-margin", f"{name}=0.1")
    ]
    kinds(*wide).assert_outcomes(passed=4)


def test_the_reason_of_lost_answers_is_in_message_summary_and_junit(kinds, pytester):
    result = kinds("--junit-xml", "junit.xml", edit=[RAISING])
    result.assert_outcomes(failed=4)
    out, xml = result.stdout.str(), (pytester.path / "junit.xml").read_text()
    summary = out[out.index("= cibench =") :]
    for words in (out, summary, xml):
        assert "without an answer, mostly: ZeroDivisionError: no neighbour within" in words
        assert "the bandwidth (test_mine.py:12)" in words
    page = next((pytester.path / ".pytest_cache").rglob("verdict.html")).read_text()
    assert "no neighbour within the bandwidth" in page


def test_the_command_that_replays_works_for_what_stands_in_a_test_alone(kinds, pytester):
    out = kinds("-k", "inner and 2", edit=[RAISING]).stdout.str()
    (command,) = set(re.findall(r"^    pytest '(.*inner.*)' --cibench-replay (.*)$", out, re.M)[:1])
    test, place = command
    assert test == "test_mine.py::test_inner[2.0]" and place.startswith("did/two-group:")
    again = kinds(test, "--cibench-replay", place)
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*def fit(problem*", "*ZeroDivisionError: no neighbour*"])
    data = next((pytester.path / ".pytest_cache").rglob("*.csv"))
    assert len(data.read_text().splitlines()) > 20
    assert str(data) in again.stdout.str()
    whole = kinds(test, "--cibench-replay", place, edit=[RAISING[::-1]])  # nobody asked for -s
    whole.assert_outcomes(passed=1)
    whole.stdout.fnmatch_lines(["replicate * of did/two-group, n = 20: *.csv", "*Estimate(value=*"])
    stored = out.split(f"replicate {place.rpartition(':')[2]}: estimate ")[1].split(",")[0]
    assert f"Estimate(value={float(stored):.5g}"[:-2] in whole.stdout.str()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("did/two-grup:1", "did you mean 'did/two-group'"),
        ("did/two-group:40", "'40' is not a replicate of 0 to 39"),
        ("did/two-group", "--cibench-replay: no scenario named ''"),
    ],
)
def test_a_replay_of_nothing_is_a_line(kinds, place, words):
    result = kinds("-k", "size", "--cibench-replay", place)
    result.assert_outcomes(failed=1)
    assert words in result.stdout.str() and "Traceback" not in result.stdout.str()


def test_a_gate_whose_every_fit_raises_is_not_saved(project, pytester):
    """One letter wrong in the form that the README shows."""
    (pytester.path / "test_mine.py").write_text(TESTS.replace('"coef_"', '"coeff_"'))
    result = project("-k", "class", "--cibench-update-baseline")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*no fit has an answer, mostly: *no attribute 'coeff_'*"])
    assert not list((pytester.path / "baselines").rglob("baseline.json"))


def test_one_fit_that_moved_is_named(kinds):
    result = kinds("-k", "size", edit=[("MOVE * se, se", "MOVE * se * (y[0] > 1.5), se"), MOVED])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*own/fit: *the fit that moved most +3.5*own SE*"])


def test_what_an_earlier_cibench_kept_is_told_of(kinds, pytester):
    root = pytester.path / "baselines"
    (root / "main" / "test_mine" / "own--fit").mkdir(parents=True)
    new = root / "pytest" / "main" / "test-mine" / "test-size" / "own--fit" / "did--two-group"
    new.rename(root / "main" / "test_mine" / "own--fit" / "did--two-group")
    result = kinds("-k", "size")
    result.stdout.fnmatch_lines(["*where an earlier cibench kept*remove it; pytest --cibench-upd*"])


def test_the_chance_of_a_false_alarm_is_that_of_the_session():
    from cibench.testing.trial import Bench

    benches = [Bench(Path(), Path(), f"test_{i}", alpha=0.002 / 7) for i in range(7)]
    spent = 0.0
    for bench in benches:
        for number in range(5):
            bench.claim(f"{bench.test}/{number}", "own/fit", "did/two-group")
            spent += bench.share()
    assert pytest.approx(spent) == 0.002 * 5 / 6  # of endless ones 0.002


@pytest.mark.slow
def test_workers_of_xdist_tell_and_divide_the_same(kinds):
    pytest.importorskip("xdist")
    alone, parts = kinds(edit=[SCALED]).stdout.str(), kinds("-n", "2").stdout.str()
    lines = [sorted(re.findall(r"^did/two-group.*$", out, re.M)) for out in (alone, parts)]
    assert lines[0] == lines[1] and len(lines[0]) == 4
