"""A worker's child that something outside ends before it is ready is started again."""

import os

import pytest
from commands import python

import cibench
from cibench.utils.errors import BadInput
from cibench.workers import processes
from cibench.workers.supervisor import FROM_OUTSIDE, Child

# without effect in the forkserver; each child that is told to die does
DEADLY = """
import multiprocessing, os, signal
from pathlib import Path
if multiprocessing.current_process().name == "MainProcess":
    raise ImportError("not in the process that others are forked from")
left = Path(__file__).with_name("left.txt")
if count := int(left.read_text()):
    left.write_text(str(count - 1))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def child(folder, name, deaths, monkeypatch):
    """Return a child that dies so often before it is ready."""
    (folder / f"{name}.py").write_text(DEADLY)
    (folder / "left.txt").write_text(str(deaths))
    monkeypatch.syspath_prepend(folder)
    return Child([name])


def test_a_child_killed_on_its_way_is_started_again(tmp_path, monkeypatch):
    one = child(tmp_path, "killed_on_its_way", FROM_OUTSIDE - 1, monkeypatch)
    one.start()
    one.stop()
    assert (tmp_path / "left.txt").read_text() == "0"


def test_a_child_that_never_comes_to_be_ready_ends_the_run_in_words(tmp_path, monkeypatch):
    one = child(tmp_path, "never_ready", 99, monkeypatch)
    with pytest.raises(BadInput, match="a worker process did not start: signal SIGKILL"):
        one.start()
    one.stop()
    assert (tmp_path / "left.txt").read_text() == str(99 - FROM_OUTSIDE)


def test_why_no_process_can_be_started_is_said():
    class Starter:
        def Process(self, target, args):  # noqa: N802 - as multiprocessing has it
            raise OSError("AF_UNIX path too long")

    with pytest.raises(OSError, match="no process can be started: AF_UNIX path too long"):
        processes.spawn(Starter(), print, (), ())


ORDER = '''
"""A method whose answer is the order of a set of texts, as libraries that add up in it have."""
from cibench import Estimand, Estimate, estimator

@estimator("order/set", targets=(Estimand.ATT,), gives=("value",))
def order(problem, rng):
    """The place of one of a hundred texts."""
    return Estimate(float(list({f"term {i}" for i in range(100)}).index("term 7")))
'''


def test_sets_of_texts_have_one_order_in_every_process(tmp_path):
    """Random in each else: answers of `did/saturated` differed by it in their last bits."""
    (tmp_path / "order.py").write_text(ORDER)
    (tmp_path / "suite.toml").write_text(
        'name = "order"\nseed = 1\nreplicates = 6\nplugins = ["order.py"]\n[[cells]]\n'
        'scenario = "did/two-group"\nn = 20\nestimators = "order/set"\n'
    )
    places = set()
    for number, seed in enumerate(["1", "2", "random"]):
        run = tmp_path / f"run{number}"
        done = python(
            "-m", "cibench", "run", "suite.toml", "--out", run, "--workers", "2", "--no-checks",
            folder=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        places |= {*cibench.load(run).replicates["estimate"]}
    assert len(places) == 1
