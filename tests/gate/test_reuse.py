"""Answers are used again where nothing that they rest on has changed, and never elsewhere."""

import functools
import json
import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from commands import python
from toys import plugin

from cibench.gate import reuse
from cibench.workers import effects

COUNTED = pytest.mark.skipif(
    not Path("/proc/self/io").exists(), reason="nobody counts here what compiled code reads"
)

PLUGIN = plugin(
    "own",
    '''
import functools, socket, subprocess
from helper import width

FACTOR = 1.0

def answer(problem):
    y, d = problem.outcome, problem.treatment == 1
    se = width(np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum()))
    return Estimate.wald(contrast(problem), FACTOR * se, problem.level)

@estimator("own/plain", targets=ATE)
def plain(problem, rng):
    """Compare means; what is imported late counts, too."""
    import late
    return answer(problem) if late.YES else None

@estimator("own/reads", targets=ATE)
def reads(problem, rng):
    """Read a file."""
    with open("factor.txt") as file:
        float(file.read())
    return answer(problem)

@estimator("own/reads-natively", targets=ATE)
def natively(problem, rng):
    """Read a file by compiled code, of which Python tells nothing."""
    import pyarrow.parquet
    pyarrow.parquet.read_table("factor.parquet")
    return answer(problem)

@estimator("own/starts", targets=ATE)
def starts(problem, rng):
    """Start a program."""
    os.system("true")
    return answer(problem)

@estimator("own/connects", targets=ATE)
def connects(problem, rng):
    """Use the network."""
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", 9))
    return answer(problem)

@estimator("own/lists", targets=ATE)
def lists(problem, rng):
    """List a folder."""
    os.listdir("folder")
    return answer(problem)

@estimator("own/writes", targets=ATE)
def writes(problem, rng):
    """Write a file."""
    with open("written.txt", "w") as file:
        file.write("1")
    return answer(problem)

@estimator("own/ends", targets=ATE)
def ends(problem, rng):
    """End the process, unless a baseline is made."""
    return answer(problem) if os.access("alive", os.F_OK) else os._exit(3)
''',
)
DRIVER = """
import sys
from pathlib import Path
import cibench
from cibench.execution import RunSettings
from cibench.gate import Rules, check_suite
from cibench.gate.baseline import load, save
from cibench.suite import parse_suite

workers, reuse, *names = sys.argv[1:]
settings = RunSettings(workers=int(workers), keep_going=True)
for name in names:
    cell = {"scenario": "own/randomised", "n": 60, "estimators": [f"own/{name}"]}
    spec = {"name": name, "seed": 1, "replicates": 12, "plugins": ["own.py"], "cells": [cell]}
    suite = parse_suite(spec)
    if not Path("baselines", name).is_dir():
        Path("alive").touch()
        save(cibench.run(suite), name)
        Path("alive").unlink()
    result = check_suite(suite, load(name), Rules(), Path("checks", name), settings,
                         reuse=reuse == "reuse")
    print(name, "reused" if "reused" in result.provenance else "fitted",
          result.provenance.get("not_reusable", ""), sep="|")
"""


@pytest.fixture
def folder(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    files = {
        "own.py": PLUGIN, "driver.py": DRIVER, "helper.py": "def width(se):\n    return se\n",
        "late.py": "YES = True\n", "factor.txt": "1",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    pyarrow.parquet.write_table(pa.table({"x": [1.0]}), tmp_path / "factor.parquet")
    return tmp_path


def became(folder, *words, **variables):
    """Return what became of each estimator's check: fitted or reused, and why not again."""
    env = {**os.environ, **variables}
    ended = python("driver.py", *words, folder=folder, env=env)
    assert not ended.returncode, ended.stderr
    lines = [line.split("|") for line in ended.stdout.splitlines() if "|" in line]
    return {name: (what, why) for name, what, why in lines}


FITTED, REUSED = ("fitted", ""), ("reused", "")


@COUNTED
@pytest.mark.parametrize("workers", [1, 2])
def test_answers_are_used_again_until_something_changes(folder, workers):
    """Each change alone makes the fits run, those of code that is imported late, too."""

    def check(*words, **variables):
        return became(folder, workers, *(words or ("reuse",)), "plain", **variables)["plain"]

    def rewritten(name, old, new):
        path = folder / name
        path.write_text(path.read_text().replace(old, new))

    def record(change):
        path = folder / "checks" / "plain" / reuse.FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    def damage():
        (shard,) = (folder / "checks/plain/run/replicates").glob("*.parquet")
        shard.write_bytes(shard.read_bytes() + b" ")

    check()  # which makes a baseline, and has imported more when it begins than the next ones
    assert check() == FITTED
    assert check() == REUSED
    rewritten("late.py", "True", "bool(1)")
    assert check() == FITTED, "what a worker imports late"
    rewritten("own.py", "FACTOR = 1.0", "FACTOR = 1.00000001")
    changes = {
        "a helper": lambda: rewritten("helper.py", "return se", "return 1 * se"),
        "what is imported late": lambda: rewritten("late.py", "bool(1)", "True"),
        "a module that is new": lambda: (folder / "zz.py").write_text(""),
        "rows": damage,
        "the run itself": lambda: rewritten("checks/plain/run/suite.toml", "name", "name "),
        "the time": lambda: record({"created": time.time() - reuse.OLDEST - 1}),
        "the clock": lambda: record({"created": time.time() + 3600}),
        "what is no record": lambda: record({"files": 1}),
    }
    assert check() == FITTED, "a constant"
    for what, change in changes.items() if workers == 1 else ():
        change()
        assert check() == FITTED, what
    if workers == 1:
        assert check(CIBENCH_OF_NO_MEANING="1") == FITTED, "an environment variable"
        assert check() == FITTED, "which is gone"
    assert check("anew") == FITTED, "who wants no reuse"
    assert check() == FITTED, "a check that noted nothing"
    assert check() == REUSED


@COUNTED
@pytest.mark.parametrize("workers", [1, 2])
def test_fits_that_do_more_than_compute_run_each_time(folder, workers):
    """What they read, ask or start may have changed, and nobody knows."""
    reasons = {
        "reads": "opens a file (factor.txt)",
        "reads-natively": "reads something by compiled code",
        "starts": "starts a program",
        "connects": "uses the network",
        "lists": "lists a folder",
        "writes": "opens a file (written.txt)",
        **({"ends": "ends its process"} if workers > 1 else {}),
    }
    for _ in range(2):
        checks = became(folder, workers, "reuse", *reasons)
        assert {what for what, _ in checks.values()} == {"fitted"}
        for name, reason in reasons.items():
            assert reason in checks[name][1], (name, checks[name])


@pytest.fixture
def state():
    """Give a function that digests what a module of a plug-in holds."""

    def digest(*values):
        return json.dumps([reuse._State()._value(value) for value in values])

    return digest


def adding(number):
    return lambda x: x + number


class Settings:
    factor = 1.0

    def __init__(self, factor=1.0):
        self.own = factor

    def fit(self, problem):
        return self.factor


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 1), ([1, 2], [2, 1]), ({"a": 1}, {"a": 2}), (adding(1), adding(2)),
        (functools.partial(max, 1), functools.partial(max, 2)), (Settings(1.0), Settings(2.0)),
        (Settings(1.0).fit, Settings(2.0).fit), (np.arange(3.0), np.arange(3)),
        (np.arange(3.0), np.arange(3.0) + 1e-15), ({1, 2}, {1, 3}), (max, min),
        (Settings, dict), (np.random.default_rng(1), np.random.default_rng(2)),
    ],
)  # fmt: skip
def test_values_that_differ_have_other_digests(state, one, other):
    assert state(one) == state(one)
    assert state(one) != state(other)


def test_what_was_set_from_outside_counts(state, monkeypatch):
    before = state(Settings), state(adding)
    monkeypatch.setattr(Settings, "factor", 2.0)
    monkeypatch.setattr(adding, "__defaults__", (3,))
    assert all(a != b for a, b in zip(before, (state(Settings), state(adding)), strict=True))


def test_of_what_nobody_can_digest_nothing_is_used_again(state):
    cached = functools.cache(adding)
    assert state(cached)
    cached(1)
    with Path(os.devnull).open(encoding="utf-8") as file:
        for value in (cached, (number for number in range(3)), file, threading.Event()):
            with pytest.raises(reuse.Undigestible):
                state(value)


def test_the_same_object_twice_has_a_digest(state):
    value = [1]
    value.append(value)
    assert state(value) == state(value)


@COUNTED
def test_watching_costs_nothing_outside_of_fits():
    """What a process does between fits is no fit's."""
    effects.observed()
    Path(os.devnull).read_text()
    with effects.watched():
        sum(range(10))
    os.listdir(".")  # noqa: PTH208
    assert effects.observed().effects == ()
    with effects.watched():
        os.listdir("..")  # noqa: PTH208
        os.system("true")
    assert {"lists a folder", "starts a program"} <= set(effects.observed().effects)
    assert effects.observed().effects == ()


TESTS = """
import pytest
FACTOR = 1.0

def mean(problem, rng):
    y, d = problem.outcome, problem.treatment == 1
    return y[d].mean() - y[~d].mean(), FACTOR

OPTIONS = dict(scenarios=["did/two-group"], n=20, replicates=8)

def test_alone(cibench_check):
    cibench_check(mean, **OPTIONS)

@pytest.mark.parametrize("level", [0.9, 0.95])
def test_levels(cibench_check, level):
    cibench_check(mean, level=level, **OPTIONS)

def test_patched(cibench_check, monkeypatch):
    cibench_check(mean, **OPTIONS)

def test_within(cibench_check):
    rest = (number for number in range(3))
    def fit(problem, rng):
        return mean(problem, (rng, rest)[0])
    cibench_check(fit, **OPTIONS)
"""


@COUNTED
def test_a_session_says_what_it_used_again(tmp_path):
    """A test with a fixture that may change anything, and one around an iterator, fit anew."""
    (tmp_path / "test_mine.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def session(*options):
        ended = python("-m", "pytest", "-p", "cibench.testing.pytest_plugin", *options,
                       folder=tmp_path)  # fmt: skip
        assert not ended.returncode, ended.stdout + ended.stderr
        return len(re.findall("answers reused", ended.stdout))

    assert session("--cibench-update-baseline") == 0
    assert session() == 0
    assert session() == 3
    assert session("--cibench-no-reuse") == 0
    session()
    text = (tmp_path / "test_mine.py").read_text()
    (tmp_path / "test_mine.py").write_text(text.replace("FACTOR = 1.0", "FACTOR = 1.0 + 0"))
    assert session() == 0
