"""A worker's child that something outside ends before it is ready is started again."""

import pytest

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
