"""The command line, called in this process, and Python in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cibench.cli import main

RUNNING = tuple(
    f"cibench.{name}" for name in (
        "model.registry", "model.design", "model.method", "suite.suite", "suite.parse",
        "execution", "workers",
    )
)  # fmt: skip
"""What runs fits: scores and reports are made without it."""


class Ended(NamedTuple):
    """What a command ended with: its exit code, and all that it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Give a function that calls `cibench` with some words, from the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def called(*words: Any) -> Ended:
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        written = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Ended(stopped.value.code, written.out, written.err)

    return called


def python(
    *words: Any, folder: Path | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with some words as a process of its own and return how it ended."""
    command = [sys.executable, *(str(word) for word in words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **more)


def loaded(code: str, modules: Iterable[str], folder: Path | None = None) -> tuple[str, list[str]]:
    """Return what a program prints, and which of some modules it has loaded at its end."""
    count = f"import json, sys; print(json.dumps([m for m in {list(modules)} if m in sys.modules]))"
    done = python("-c", f"{code}\n{count}\n", folder=folder)
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    return "\n".join(printed), json.loads(last)
