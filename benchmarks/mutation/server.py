"""Run checks in forks of one process that has the libraries imported, which saves most of the time.

A request is a line of JSON on standard input: `kind` (tests, contracts, quirks or import),
`arguments`, `seconds` at most, `out` for what the fork prints. The answer is its exit code, null
where the time was up. Nothing of the package itself is imported before the fork.
"""

from __future__ import annotations

import gc
import io
import json
import os
import runpy
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = (
    "numpy", "scipy.linalg", "scipy.optimize", "scipy.sparse", "scipy.special", "scipy.stats",
    "pandas", "pyarrow.compute", "pyarrow.parquet", "statsmodels.api", "linearmodels.iv",
    "linearmodels.panel", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection",
    "sklearn.neighbors", "rdrobust", "rddensity", "doubleml.did", "doubleml.rdd", "moderndid",
    "moderndid.didhonest", "pyfixest", "pysyncon", "diff_diff", "wildboottest.wildboottest",
    "causaldata", "synthdid", "cvxpy", "typer", "rich.console", "pytest",
    "_pytest.assertion.rewrite", "_pytest.terminal", "_pytest.python",
    "_pytest.fixtures", "psutil", "threadpoolctl",
)  # fmt: skip
TICK = 0.02


def main() -> None:
    """Serve until standard input ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LIBRARIES:
            try:
                import_module(name)
            except ImportError:  # what is missing is missed by the tests that need it
                continue
    gc.freeze()
    signal.signal(signal.SIGTERM, _end)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(**request)), flush=True)


_running: set[int] = set()


def _end(*_: object) -> None:
    """End the fork that runs, and this process."""
    for pid in _running:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(1)


def answer(kind: str, arguments: Sequence[str], seconds: float, out: str) -> int | None:
    """Run a check in a fork, a process group of its own; return its exit code or None."""
    end = time.monotonic() + seconds
    pid = os.fork()
    if pid == 0:
        _child(kind, arguments, out)
    _running.add(pid)
    code = None
    while code is None and time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(TICK)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # the check, or what it has left behind
    if code is None:
        os.waitpid(pid, 0)
    _running.discard(pid)
    return code


def _child(kind: str, arguments: Sequence[str], out: str) -> None:
    """Run a check and end the process with its exit code."""
    code = 3
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _redirect(out)
        code = run(kind, list(arguments))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(out: str) -> None:
    to, nothing = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), os.open(os.devnull, 0)
    for source, target in ((nothing, 0), (to, 1), (to, 2)):
        os.dup2(source, target)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))  # the other one has read ahead


def run(kind: str, arguments: list[str]) -> int:
    """Run one check as its own command would and return the exit code."""
    sys.argv = [kind, *arguments]
    spec = find_spec("cibench")
    if spec is None or not Path(spec.origin or "").resolve().is_relative_to(Path.cwd()):
        raise ImportError("the package is not the copy's")
    if kind == "tests":
        import pytest

        return int(pytest.main(arguments))
    if kind == "contracts":
        runpy.run_module("cibench.contracts", run_name="__main__")
    elif kind == "quirks":
        runpy.run_path(str(Path(__file__).with_name("identities.py")), run_name="__main__")
    else:
        import_module(*arguments)
    return 0


if __name__ == "__main__":
    main()
