"""Temporary neighbours: those of the living stay, those of the dead go."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from commands import python

from cibench.utils import leftovers
from cibench.utils.leftovers import clear, is_alive, new_folder, temporary, temporary_folder


@pytest.fixture(scope="module")
def dead() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def named(path: Path, process: int, machine: str | None = None) -> Path:
    """Return the temporary neighbour of a path that some process would fill."""
    host = leftovers._host() if machine is None else machine
    own = f"{process}-{host}" if host else f"{process}"
    return path.with_name(f".{path.name}.{own}.tmp")


def test_what_dead_processes_left_goes_and_what_living_ones_fill_stays(tmp_path, dead):
    mine, parents = temporary(tmp_path / "x"), named(tmp_path / "x", os.getppid())
    left = [named(tmp_path / name, dead) for name in ("x", "y.csv")]
    for path in (mine, parents, *left, named(tmp_path / "old", dead, "")):
        path.write_text("half")
    folder = named(tmp_path / "run", dead)
    (folder / "replicates").mkdir(parents=True)
    (folder / "replicates" / "part").write_text("half")
    for name in (".mine.tmp", ".x.12.3.tmp.txt", "x.1.tmp", ".x.y.tmp"):
        (tmp_path / name).write_text("somebody's own")
    clear(tmp_path, "y.csv")
    assert left[0].exists() and not left[1].exists()
    clear(tmp_path)
    own = {".mine.tmp", ".x.12.3.tmp.txt", "x.1.tmp", ".x.y.tmp"}
    assert {path.name for path in tmp_path.iterdir()} == own | {mine.name, parents.name}


def test_what_another_machine_began_stays_for_a_day(tmp_path, dead):
    path = named(tmp_path / "x", dead, "0badcafe")
    path.write_text("half")
    clear(tmp_path)
    assert path.exists()
    long_ago = time.time() - leftovers.FOREIGN_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    clear(tmp_path)
    assert not path.exists()


def test_a_link_goes_and_what_it_names_stays(tmp_path, dead):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    named(tmp_path / "x", dead).symlink_to(tmp_path / "precious")
    clear(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious" / "file").read_text() == "mine"


def test_temporary_folders_of_killed_processes_go_with_the_next_one(tmp_path, monkeypatch):
    code = (
        "import os, sys\nfrom cibench.utils.leftovers import new_folder\n"
        "folder = new_folder('copy')\n(folder / 'part').write_text('x')\nos._exit(9)"
    )
    done = python("-c", code, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("cibench-copy.")
    (tmp_path / "cibench-mine").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder("plan") as folder, temporary_folder("plan") as other:
        assert folder != other and folder.is_dir() and other.is_dir()
        assert {p.name for p in tmp_path.iterdir()} == {"cibench-mine", folder.name, other.name}
    assert [p.name for p in tmp_path.iterdir()] == ["cibench-mine"]
    assert new_folder("t.with.dots").is_dir()


def test_processes_live_or_do_not(dead):
    assert is_alive(os.getpid()) and is_alive(1) and not is_alive(dead)
    assert is_alive(2**70)  # no number of a process: nobody can tell
