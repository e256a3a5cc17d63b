"""Whatever an estimator does becomes rows, and every other row is what it would have been."""

import numpy as np
import pandas as pd
import pytest
from toys import plugin

from cibench.execution import RunSettings, execute
from cibench.results.run_folder import Run
from cibench.storage.schema import MAY_DIFFER
from cibench.suite.parse import parse_suite

PLUGIN = plugin(
    "hostile",
    """
HERE = os.getpid()

def answer(problem, value=None):
    value = contrast(problem) if value is None else value
    return Estimate.wald(float(value), 1.0, problem.level)

def bad(fit):
    name = fit.__name__.replace("_", "-")
    return estimator(f"hostile/{name}", targets=ATE)(fit)

# what ends in words

@bad
def raises(problem, rng): raise ValueError("singular")

@bad
def leaves(problem, rng): sys.exit(3)

@bad
def ctrl_c(problem, rng): raise KeyboardInterrupt

@bad
def deep(problem, rng): return deep.fit(problem, rng)

class Mute(Exception):
    def __str__(self): raise RuntimeError

@bad
def mute(problem, rng): raise Mute

@bad
def surrogate(problem, rng): raise ValueError("\\udc80 bytes")

class Trap(dict):
    def __contains__(self, key): raise LookupError("trap")

@bad
def trap(problem, rng): return Trap()

@bad
def ragged(problem, rng): return Estimate(0.0, 1.0, -1.0, 1.0, draws=[[1.0], [1.0, 2.0]])

@bad
def huge(problem, rng): return Estimate(10**400, 1.0, -1.0, 1.0)

# what takes the process down

@bad
def segfault(problem, rng): ctypes.string_at(0)

@bad
def abort(problem, rng): os.abort()

@bad
def exit_0(problem, rng): os._exit(0)

@bad
def exit_7(problem, rng): os._exit(7)

@bad
def kills_itself(problem, rng): os.kill(os.getpid(), signal.SIGKILL)

@bad
def memory(problem, rng):
    hoard = [np.ones(2**23) for _ in range(12)]  # 800 MB
    time.sleep(60)

@bad
def hangs_in_c(problem, rng):
    if problem.outcome[0] > 1:  # the first replicate's
        ctypes.PyDLL(None).sleep(60)  # holds the interpreter's lock
    raise ValueError("awake")

@bad
def closes_files(problem, rng):
    os.closerange(3, 256)
    return answer(problem)

# what answers, and meddles

@bad
def prints(problem, rng):
    print("hello"), print("hello", file=sys.stderr), os.write(1, b"raw"), os.write(2, b"raw")
    ctypes.CDLL(None).puts(b"from C"), ctypes.CDLL(None).fflush(None)
    return answer(problem)

@bad
def warns(problem, rng):
    warnings.simplefilter("error")
    warnings.simplefilter("always")
    warnings.warn("careful")
    return answer(problem)

@bad
def forks(problem, rng):
    os.fork()
    return answer(problem)

@bad
def forks_and_stays(problem, rng):
    if os.fork() == 0:
        time.sleep(60)
    return answer(problem)

@bad
def random_state(problem, rng):
    random.seed(1), np.random.seed(1)
    np.random.set_bit_generator(np.random.PCG64(1))
    return answer(problem)

@bad
def surroundings(problem, rng):
    os.chdir("/"), os.environ.update(HOSTILE="1"), os.environ.pop("PATH", None)
    locale.setlocale(locale.LC_ALL, "C"), sys.setrecursionlimit(200)
    np.seterr(all="ignore"), os.environ.__setitem__("OMP_NUM_THREADS", "7")
    os.environ = {}
    return answer(problem)

@bad
def threads(problem, rng):
    from threadpoolctl import threadpool_limits
    threadpool_limits(4)
    return answer(problem)

@bad
def mutates(problem, rng):
    for column in problem.columns.values():
        column.flags.writeable = True
        column[:] = 7.0
        if column.base is not None:
            column.base.flags.writeable = True
            column.base[:] = 7.0
    problem.frame.loc[:, "y"] = 0.0
    return Estimate.wald(0.0, 1.0, problem.level)

@estimator("hostile/mutates-draw", targets=ATE, oracle=True)
def mutates_draw(problem, rng):
    for part in (*problem.draw.columns.values(), problem.draw.baseline, problem.draw.effects):
        part[:] = 7.0
    return Estimate.wald(0.0, 1.0, problem.level)

# what would notice

@estimator("good/mean", targets=ATE)
def mean(problem, rng): return answer(problem)

@estimator("good/frame", targets=ATE)
def frame(problem, rng): return answer(problem, problem.frame["y"].sum())

@estimator("good/stream", targets=ATE)
def stream(problem, rng): return answer(problem, rng.normal())

@estimator("good/global", targets=ATE)
def global_state(problem, rng):
    return answer(problem, random.random() + np.random.normal())

@estimator("good/solve", targets=ATE)
def solve(problem, rng):
    x = np.vander(problem.outcome[:200], 200)
    return answer(problem, np.linalg.lstsq(x @ x.T, problem.outcome[:200], rcond=None)[0].sum())

@estimator("good/oracle", targets=ATE, oracle=True)
def oracle(problem, rng): return answer(problem, problem.draw.effects.mean())

@estimator("good/watches", targets=ATE)
def watches(problem, rng):
    import zlib
    variables = {k: v for k, v in os.environ.items() if k != "CIBENCH_WARM"}
    seen = [os.getcwd(), sorted(variables.items()), locale.setlocale(locale.LC_ALL),
            sorted(np.geterr().items()), sys.getrecursionlimit(), len(warnings.filters)]
    return answer(problem, zlib.crc32(repr(seen).encode()))
""",
)

GOOD = ["mean", "frame", "stream", "global", "solve", "oracle", "watches"]
WORDS = {
    "raises": ("failed", "ValueError: singular"),
    "leaves": ("failed", "SystemExit: 3"),
    "ctrl-c": ("failed", "KeyboardInterrupt"),
    "deep": ("failed", "RecursionError: maximum recursion depth exceeded"),
    "mute": ("failed", "Mute: cannot be put into words"),
    "surrogate": ("failed", "ValueError: ? bytes"),
    "trap": ("failed", "gave an answer that cannot be read: LookupError: trap"),
    "ragged": ("failed", "gave an answer that cannot be read: ValueError: "),
    "huge": ("failed", "gave an answer that cannot be read: OverflowError: "),
    "segfault": ("crashed", "the process died: signal SIGSEGV"),
    "abort": ("crashed", "the process died: signal SIGABRT"),
    "exit-0": ("crashed", "the process died: exit code 0"),
    "exit-7": ("crashed", "the process died: exit code 7"),
    "kills-itself": ("crashed", "the process died: signal SIGKILL, as where memory runs out"),
    "memory": ("memory", "used more than 500 MB"),
    "hangs-in-c": ("timeout", "took longer than 4 s"),
    "closes-files": ("crashed", "the process died: exit code 1"),
}
MEDDLES = [
    "prints", "warns", "forks", "forks-and-stays", "random-state", "surroundings", "threads",
    "mutates", "mutates-draw",
]  # fmt: skip
REPLICATES = 2

pytestmark = pytest.mark.usefixtures("shelves")


def run(folder, plugin, names, **more):
    spec = {
        "name": "hostile", "seed": 2, "replicates": REPLICATES, "plugins": [str(plugin)],
        "timeout": 4, "memory": "500MB",
        "cells": [{"scenario": "hostile/randomised", "n": 400, "estimators": names}], **more,
    }  # fmt: skip
    execute(parse_suite(spec), folder, RunSettings(2, keep_going=True, checks=False))
    return Run(folder).replicates.drop(columns=[c for c in MAY_DIFFER if c != "warnings"])


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "hostile.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def alone(tmp_path, plugin):
    return run(tmp_path / "alone", plugin, ["good/*"])


def same(rows, alone):
    pd.testing.assert_frame_equal(
        rows[rows["estimator"].str.startswith("good/")].reset_index(drop=True),
        alone.reset_index(drop=True), check_exact=True, check_dtype=False,
    )  # fmt: skip


def test_what_raises_dies_or_hangs_is_a_row_with_a_reason(tmp_path, plugin, alone):
    names = [f"hostile/{name}" for name in WORDS]
    rows = run(tmp_path / "run", plugin, [*names, "good/*"])
    assert len(rows) == REPLICATES * (len(WORDS) + len(GOOD))
    for name, (status, reason) in WORDS.items():
        mine = rows[rows["estimator"] == f"hostile/{name}"]
        if name == "hangs-in-c":
            assert mine["status"].iloc[1] == "failed"
            mine = mine.iloc[:1]
        assert set(mine["status"]) == {status}, name
        assert all(said.startswith(reason) for said in mine["reason"]), (name, list(mine["reason"]))
        assert mine["estimate"].isna().all() and mine["data_hash"].notna().all()
    same(rows, alone)


def test_what_meddles_with_its_process_changes_no_other_row(tmp_path, plugin, alone, capfd):
    names = [f"hostile/{name}" for name in MEDDLES]
    rows = run(tmp_path / "run", plugin, [*names, "good/*"])
    assert (rows["status"] == "ok").all()
    assert len(rows) == REPLICATES * (len(MEDDLES) + len(GOOD))
    said = rows[rows["estimator"] == "hostile/warns"]["warnings"]
    assert set(said) == {"UserWarning: careful"}
    same(rows, alone)
    assert capfd.readouterr() == ("", "")


def test_the_rows_that_would_notice_differ_between_replicates(alone):
    values = alone[alone["estimator"].isin(["good/mean", "good/global", "good/solve"])]
    assert values["estimate"].nunique() == 3 * REPLICATES
    assert np.isfinite(values["estimate"]).all()
