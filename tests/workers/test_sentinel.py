"""What a fit leaves of its process is put back, its row says so, and no other row is touched."""

import builtins
import importlib
import os
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from replicates import stable
from toys import plugin

from cibench import Estimand, Estimate, Problem, Roles, Target
from cibench.cli.display import show_process_changes
from cibench.execution import RunSettings, execute
from cibench.model.method import Estimator
from cibench.results.run_folder import Run
from cibench.storage.schema import CHANGED
from cibench.suite.parse import parse_suite
from cibench.workers.fit import fit
from cibench.workers.sentinel import Sentinel
from cibench.workers.shared_names import Libraries, Space

pytestmark = pytest.mark.usefixtures("shelves")

CHANGES = {
    # functions of modules, classes and objects
    "sqrt": ("np.sqrt = lambda x: 1e-6", "replaced numpy.sqrt"),
    "solve": ("np.linalg.solve = None", "replaced numpy.linalg.solve"),
    "gone": ("del np.exp", "replaced numpy.exp"),
    "pi": ("np.pi = 3.0", "replaced numpy.pi"),
    "submodule": ("np.linalg = object()", "replaced numpy.linalg"),
    "log": ("math.log = math.exp", "replaced math.log"),
    "draws": ("random.gauss = lambda *a: 0.0", "replaced random.gauss"),
    "mean": ("statistics.fmean = max", "replaced statistics.fmean"),
    "builtin": ("builtins.sum = max", "replaced builtins.sum"),
    "hidden": ("np.sum = max; np.__dict__['len'] = max", "replaced numpy.sum, numpy.len"),
    "quantile": ("stats.norm.ppf = lambda q: 1.0", "replaced scipy.stats.norm.ppf"),
    "frame": ("pd.DataFrame.mean = None", "replaced pandas.DataFrame.mean"),
    "inherited": ("pd.Series.copy = None", "replaced pandas.Series.copy"),
    "ours": ("Estimate.wald = None", "replaced cibench.model.types.Estimate.wald"),
    # settings
    "umask": ("os.umask(0)", "changed the umask"),
    "folder": ("os.chdir('/')", "changed the working directory"),
    "variable": ("os.environ['X'] = '1'", "changed the environment variables"),
    "variables": ("os.environ = {}", "changed the environment variables"),
    "path": ("sys.path.insert(0, '/')", "changed the import path"),
    "depth": ("sys.setrecursionlimit(900)", "changed limits of the interpreter"),
    "garbage": ("gc.disable()", "changed limits of the interpreter"),
    "decimal": ("decimal.getcontext().prec = 3", "changed the decimal context"),
    "traps": ("decimal.getcontext().traps[decimal.Inexact] = True", "changed the decimal context"),
    "handler": ("signal.signal(signal.SIGALRM, print)", "changed signal handlers"),
    "alarm": ("signal.setitimer(signal.ITIMER_VIRTUAL, 1000)", "changed timers"),
    "blocked": ("signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})",
                "changed blocked signals"),
    "printed": ("np.set_printoptions(precision=2)", "changed numpy's settings"),
    "option": ("pd.set_option('mode.sim_interactive', True)", "changed pandas' options"),
    "config": ("sklearn.set_config(assume_finite=True)", "changed scikit-learn's configuration"),
    "socket": ("socket.setdefaulttimeout(1.0)", "changed the time-out of sockets"),
    "hook": ("sys.excepthook = print", "changed hooks of the interpreter"),
    "files": ("resource.setrlimit(resource.RLIMIT_NOFILE, (300, "
              "resource.getrlimit(resource.RLIMIT_NOFILE)[1]))", "changed limits of the process"),
}  # fmt: skip

IMPORTS = """
import builtins, decimal, gc, math, resource, socket, statistics
import pandas as pd
import sklearn
from scipy import stats
"""

PLUGIN = plugin(
    "changes",
    IMPORTS
    + "".join(
        f"""
@estimator("changes/{name}", targets=ATE)
def _{name}(problem, rng):
    answer = Estimate.wald(contrast(problem), rng.random(), problem.level)
    {code}
    return answer
"""
        for name, (code, _) in CHANGES.items()
    )
    + """
@estimator("good/se", targets=ATE)
def se(problem, rng):
    y = problem.outcome
    value = float(np.sqrt(np.var(y) / y.size)) * stats.norm.ppf(0.9) + statistics.fmean(y)
    return Estimate.wald(value + problem.frame["y"].mean() + sum(y) + math.log(2), 1.0, 0.9)

@estimator("good/state", targets=ATE, uses=("pandas", "scipy", "sklearn", "linearmodels"))
def state(problem, rng):
    import zlib
    seen = [os.getcwd(), sorted(os.environ.items()), sys.path, sys.getrecursionlimit(), os.umask(0),
            signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_VIRTUAL),
            np.get_printoptions(), pd.get_option("mode.sim_interactive"), sklearn.get_config(),
            decimal.getcontext(), gc.isenabled(), socket.getdefaulttimeout(),
            resource.getrlimit(resource.RLIMIT_NOFILE)]
    os.umask(seen[4])
    text = repr(seen).replace(repr(os.environ.get("CIBENCH_WARM")), "")
    return Estimate.wald(float(zlib.crc32(text.encode())), 1.0, problem.level)

@estimator("wide/library", targets=ATE)
def library(problem, rng):
    import linearmodels.iv.model
    answer = Estimate.wald(contrast(problem), 1.0, problem.level)
    if problem.outcome[0] > 0:  # not in every replicate
        linearmodels.iv.model.IV2SLS.fit = None
    return answer

@estimator("good/library", targets=ATE, uses=("linearmodels",))
def sound(problem, rng):
    from linearmodels.iv.model import IV2SLS
    one = np.ones((problem.outcome.size, 1))
    fitted = IV2SLS(problem.outcome, np.column_stack([one, problem.treatment]), None, None).fit()
    return Estimate.wald(float(fitted.params.iloc[1]), 1.0, problem.level)

@estimator("changes/then-raises", targets=ATE)
def then_raises(problem, rng):
    np.sqrt = None
    raise ValueError("after all")

@scenario("changes/meddling")
class Meddling(Randomised):
    def draw(self, n, rng):
        data = super().draw(n, rng)
        np.sqrt = lambda x: 1e-6
        return data
""",
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("changes") / "changes.py"
    place.write_text(PLUGIN)
    return place


def rows_of(path, folder, methods, workers=1, replicates=2, scenario="changes/randomised"):
    cell = {"scenario": scenario, "n": 20, "estimators": methods}
    spec = {"name": "changes", "seed": 1, "replicates": replicates, "cells": [cell]}
    suite = parse_suite({**spec, "plugins": [str(path)]})
    execute(suite, folder, RunSettings(workers, checks=False))
    return stable(Run(folder).replicates, ["replicate", "refit", "estimator"])


def good(rows):
    return rows[rows["estimator"].str.startswith("good/")].reset_index(drop=True)


@pytest.mark.parametrize("workers", [1, 2], ids=["this process", "processes"])
def test_what_one_fit_changes_reaches_no_other_and_its_row_says_so(path, tmp_path, workers):
    alone = rows_of(path, tmp_path / "alone", "good/s*", workers)
    names = ["good/s*", *(f"changes/{name}" for name in CHANGES), "changes/then-raises"]
    rows = rows_of(path, tmp_path / "run", names, workers)
    pd.testing.assert_frame_equal(good(rows), alone, check_exact=True, check_dtype=False)
    said = Run(tmp_path / "run").replicates.set_index("estimator")["warnings"]
    for name, (_, words) in CHANGES.items():
        assert set(said[f"changes/{name}"]) == {f"{CHANGED}: {words}"}, name
    assert set(said["changes/then-raises"]) == {f"{CHANGED}: replaced numpy.sqrt"}
    assert said[["good/se", "good/state"]].isna().all()


def test_a_function_of_any_library_is_watched_in_workers(path, tmp_path):
    alone = rows_of(path, tmp_path / "alone", "good/library", 2, 30)
    methods = ["wide/library", "good/library"]
    rows = rows_of(path, tmp_path / "run", methods, 2, 30)
    pd.testing.assert_frame_equal(good(rows), alone, check_exact=True, check_dtype=False)
    stored = Run(tmp_path / "run").replicates
    theirs = stored[stored["estimator"] == "wide/library"]
    line = f"{CHANGED}: replaced linearmodels.iv.model.IV2SLS.fit"
    assert set(theirs["warnings"].dropna()) == {line}
    assert 0 < theirs["warnings"].isna().sum() < 30


def test_tables_report_and_screen_count_such_fits(path, tmp_path, capsys):
    rows_of(path, tmp_path / "run", ["good/se", "changes/sqrt", "changes/umask"], 1, 4)
    run = Run(tmp_path / "run")
    table = run.process_changes[["scenario", "estimator", "change", "fits"]]
    assert table.to_dict("split")["data"] == [
        ["changes/randomised", "changes/sqrt", "replaced numpy.sqrt", 4],
        ["changes/randomised", "changes/umask", "changed the umask", 4],
    ]
    run.write_scores()
    assert (tmp_path / "run" / "process_changes.csv").exists()
    page = run.write_report().read_text(encoding="utf-8")
    assert "8 fits changed their process" in page and "replaced numpy.sqrt" in page
    show_process_changes(run)
    assert capsys.readouterr().out.splitlines() == [
        "8 fits changed their process, which was put back; no other row has felt it:",
        "  4 changes/sqrt: replaced numpy.sqrt",
        "  4 changes/umask: changed the umask",
    ]


@pytest.mark.parametrize("workers", [1, 2], ids=["this process", "processes"])
def test_what_a_draw_changes_reaches_no_fit(path, tmp_path, workers):
    sound = rows_of(path, tmp_path / "alone", "good/se", workers)
    rows = rows_of(path, tmp_path / "run", "good/se", workers, scenario="changes/meddling")
    same = [name for name in sound if name not in ("scenario", "data_hash", "estimate", "truth")]
    assert np.isfinite(rows["estimate"]).all() and len(rows) == len(sound) and same
    stored = Run(tmp_path / "run").replicates
    assert set(stored["warnings"]) == {f"{CHANGED}: the draw replaced numpy.sqrt"}
    assert np.sqrt(4.0) == 2.0


def ask(function):
    target = Target(Estimand.ATE)
    problem = Problem({"y": np.arange(3.0), "d": np.array([0.0, 1.0, 1.0])}, Roles(), (target,))
    return fit(Estimator("x/y", function, targets=(Estimand.ATE,)), problem, {}, ("fit", 1))


def test_one_fit_by_itself_gives_the_process_back_too():
    real = np.sqrt

    def patches(problem, rng):
        np.sqrt = builtins.abs
        os.umask(0o1)
        return Estimate.wald(1.0, 1.0, 0.95)

    mask = os.umask(0o22)
    try:
        assert ask(patches).warnings == f"{CHANGED}: replaced numpy.sqrt; changed the umask"
        assert np.sqrt is real and os.umask(0o22) == 0o22
    finally:
        os.umask(mask)
        np.sqrt = real


def test_what_cannot_be_put_back_is_named_too(monkeypatch):
    from cibench.workers import settings

    broken = settings.Setting("the weather", lambda: next(days), lambda before: None)
    days = iter(range(10))
    monkeypatch.setattr("cibench.workers.sentinel.SETTINGS", [broken])
    sentinel = Sentinel()
    changes = sentinel.put_all_back()
    line = f"{CHANGED}: changed the weather; which could not be put back: the weather"
    assert changes.line() == line and sentinel.lasting


def test_names_that_are_new_are_no_change_unless_they_hide_others():
    class Above:
        def method(self): ...

    class Below(Above):
        attribute = 1

        def own(self): ...

    space = Space(Below, "Below", every=True)
    Below.new = len
    assert space.put_back(imported=False) == [] and Below.new is len
    Below.method = len
    assert [str(x) for x in space.put_back(imported=False)] == ["Below.method"]
    assert Below.method is Above.method
    Below.attribute = 2
    Below.own = None
    assert [x.name for x in space.put_back(imported=False)] == ["attribute", "own"]
    assert Below.attribute == 1 and space.is_as_it_was()


def test_a_module_that_stands_in_for_another_is_taken_out_again():
    import statistics

    libraries = Libraries()
    sys.modules["statistics"] = builtins
    try:
        assert [str(x) for x in libraries.put_back()] == ["sys.modules.statistics"]
        assert sys.modules["statistics"] is statistics
    finally:
        sys.modules["statistics"] = statistics


def test_what_an_import_brings_is_no_change(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZIER", "old:1")
    lines = ["import os, sys, typing", "os.environ['LAZY'] = '1'", "sys.path.append('/lazy')",
             "os.environ['LAZIER'] = 'new:2,' + os.environ['LAZIER']",
             "typing.cast = lambda kind, value: value"]  # fmt: skip
    (tmp_path / "lazy_library.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)

    def imports(problem, rng):
        import lazy_library  # noqa: F401 - for what it does
        import numpy.polynomial.hermite  # noqa: F401

        return Estimate.wald(1.0, 1.0, 0.95)

    try:
        assert ask(imports).warnings is None
        assert "LAZY" not in os.environ and sys.path[-1] == "/lazy"
        assert os.environ["LAZIER"] == "old:1"
    finally:
        sys.path.remove("/lazy")


def test_what_an_import_between_blocks_brings_is_no_change_of_the_next(tmp_path, monkeypatch):
    (tmp_path / "backport.py").write_text("import textwrap\ntextwrap.shorten = len\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(textwrap, "shorten", textwrap.shorten)  # given back at the end
    libraries = Libraries()
    importlib.import_module("backport")  # as by a plug-in that is loaded
    libraries.learn()
    assert libraries.put_back() == []
    np.polyfit, real_polyfit = None, np.polyfit
    try:
        assert [str(name) for name in libraries.put_back()] == ["numpy.polyfit"]
    finally:
        np.polyfit = real_polyfit
