"""A run that is killed, as often as you like, goes on to the very rows of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from replicates import stable
from toys import plugin

from cibench.storage.schema import ADDRESS

PLUGIN = plugin(
    "kill",
    """
@estimator("kill/slow", targets=(Estimand.ATE,))
def slow(problem, rng):
    time.sleep(0.004)
    return Estimate.wald(rng.normal(), 1.0, problem.level)

@estimator("kill/quick", targets=(Estimand.ATE,))
def quick(problem, rng):
    return Estimate.wald(problem.outcome.mean() + np.random.normal(), 1.0, problem.level)
""",
)
RUN = """
import sys
from pathlib import Path
from cibench.execution import RunSettings, Tuning, execute
from cibench.suite import read_suite
settings = RunSettings(workers=2, tuning=Tuning(flush_seconds=0.2))
execute(read_suite(sys.argv[1]), Path(sys.argv[2]), settings)
"""
ORDER = ["scenario", "n", "replicate", "estimator"]


def suite(folder: Path, replicates: int) -> Path:
    """Write plug-in and suite and return the suite's path."""
    (folder / "plugin.py").write_text(PLUGIN)
    path = folder / "kill.toml"
    path.write_text(
        f'name = "kill"\nseed = 1\nreplicates = {replicates}\nplugins = ["plugin.py"]\n'
        '[[cells]]\nscenario = "kill/randomised"\nn = [20, 30, 40]\nestimators = ["kill/*"]\n'
    )
    return path


def whole(path: Path, out: Path) -> pd.DataFrame:
    """Run the suite without any kill and return its rows."""
    subprocess.run([sys.executable, "-c", RUN, str(path), str(out)], check=True)
    return rows_of(out)


def rows_of(run: Path) -> pd.DataFrame:
    """Return a run's rows in a fixed order, without what may differ."""
    return stable(pd.read_parquet(run / "replicates"), ORDER)


def killed(folder: Path, out: Path, kills: int, seed: int) -> tuple[Counter[str], set[int], int]:
    """Run with so many kills, of the driver or of a process of its, and go on to the end.

    A run that is done before it was killed so often, as on a fast machine, is extended. Returns how
    many kills there were of each kind, all processes that were ever seen and how many replicates it
    took. After each kill of the driver the rows that can be read hold no twins.
    """
    rng = np.random.default_rng(seed)
    count: Counter[str] = Counter()
    seen: set[int] = set()
    replicates = 100
    while True:
        path = suite(folder, replicates)
        process = subprocess.Popen([sys.executable, "-c", RUN, str(path), str(out)])
        started = time.time()
        while count.total() < kills and process.poll() is None:
            while rng.random() < 0.9 and process.poll() is None and not _writes(out, started):
                time.sleep(0.1)  # most kills hit a run at work, some one that sets out
            time.sleep(rng.uniform(0, 1))
            count.update(_kill_one(process, rng, seen))
            if process.poll() is not None:  # a driver that lives may replace a shard that is read
                _no_twins(out)
        if (code := process.wait()) == 0:
            if count.total() == kills:
                return count, seen, replicates
            replicates += 100
        else:
            assert code == -signal.SIGKILL, f"the driver ended with {code}"


def _kill_one(
    process: subprocess.Popen[bytes], rng: np.random.Generator, seen: set[int]
) -> list[str]:
    """Kill the driver or one of its processes and return which, nothing where it was gone.

    One of its processes it is six times in ten, once there are any.
    """
    kind = ["driver", "worker", "helper"][int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
    try:
        family = _family(process.pid)
        while kind != "driver" and kind not in family and process.poll() is None:
            time.sleep(0.02)
            family = _family(process.pid)
        seen |= {process.pid, *(one.pid for some in family.values() for one in some)}
        if kind == "driver":
            process.kill()
            process.wait()
        else:
            family[kind][int(rng.integers(len(family[kind])))].kill()
    except (KeyError, psutil.Error, ProcessLookupError):
        return []
    return [kind]


def _family(pid: int) -> dict[str, list[psutil.Process]]:
    """Return the processes below one, workers (each leads its group) and helpers apart."""
    found: dict[str, list[psutil.Process]] = {}
    for one in psutil.Process(pid).children(recursive=True):
        kind = "worker" if os.getpgid(one.pid) == one.pid else "helper"
        found.setdefault(kind, []).append(one)
    return found


def _writes(out: Path, since: float) -> bool:
    return any(p.stat().st_mtime > since for p in (out / "replicates").glob("[!.]*.parquet"))


def _no_twins(out: Path) -> None:
    shards = list((out / "replicates").glob("[!.]*.parquet"))
    rows = pd.concat([pd.read_parquet(shard) for shard in shards]) if shards else None
    assert rows is None or not rows.duplicated(list(ADDRESS)).any()


def left(seen: set[int], seconds: float = 10) -> list[int]:
    """Return those of the processes that still run after some seconds."""
    end = time.monotonic() + seconds
    while (alive := [pid for pid in seen if _runs(pid)]) and time.monotonic() < end:
        time.sleep(0.1)
    return alive


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_moments_a_run_ends_with_the_same_rows(tmp_path, kills):
    count, seen, replicates = killed(tmp_path, tmp_path / "killed", kills, seed=kills)
    rows = rows_of(tmp_path / "killed")
    assert len(rows) == 6 * replicates and (rows["status"] == "ok").all()
    path = suite(tmp_path, replicates)
    pd.testing.assert_frame_equal(rows, whole(path, tmp_path / "whole"), check_exact=True)
    assert not left(seen)
    assert count.total() == kills, count
    if kills > 10:
        assert min(count["driver"], count["worker"], count["helper"]) > 0, count
