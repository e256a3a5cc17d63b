"""Processes that are not this one: how they are started and ended, and what they use."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from cibench.external.process import HASHES, clear_folders_of

THREADS = {f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")}

GUARDED = sys.platform == "linux" and hasattr(os, "fork")
"""Whether a guard stands behind each worker and ends what its fits have detached."""

WORKER = "CIBENCH_WORKER"
"""The variable by which that is known elsewhere: what a worker starts inherits its number."""

ENDING = 10.0
"""Seconds in which a guard has ended its worker and what that left."""

WARM = "CIBENCH_WARM"
"""The variable that names the modules which a new forkserver imports."""

_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")
_LOST = 255
"""What multiprocessing says of a child whose forkserver died: then it does not know."""

_spawning = threading.Lock()


def context() -> Any:
    """Return how processes are started: by a forkserver that `warm` prepares, if there is one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():  # as on Windows
        return multiprocessing.get_context("spawn")
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["cibench.workers.warm"])
    return forkserver


def spawn(
    starter: Any, target: Callable[..., None], arguments: tuple[Any, ...], modules: Sequence[str]
) -> Any:
    """Start a child process, again where the forkserver was killed, and return it.

    A forkserver that this starts imports the modules, so that its children need not.
    """
    # a BLAS with threads of its own does not survive a fork well
    variables = {**THREADS, **HASHES, WARM: ",".join(modules)}
    why: Exception | None = None
    for attempt in range(3):
        try:
            process = starter.Process(target=target, args=arguments)
            with _spawning, _environment(variables), _no_main():
                process.start()
            return process
        except (EOFError, OSError) as error:
            why = error
        time.sleep(0.1 * attempt)
    raise OSError(f"no process can be started: {why}") from why


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Keep a child from running the caller's script: blocks hold names, nothing of `__main__`."""
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        main.update(hidden)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def cause(process: Any) -> str:
    """Return what a process that ended died of."""
    code = process.exitcode
    if code is None:
        return "it closed the pipe to its supervisor"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"signal {name}" + (", as where memory runs out" if name == "SIGKILL" else "")


def from_outside(process: Any) -> bool:
    """Say whether something else than the process itself may have ended it."""
    code = process.exitcode
    return code == _LOST or (
        code is not None and code < 0 and signal.Signals(-code).name in _OUTSIDE
    )


def end(process: Any) -> None:
    """End a worker's process and whatever its fits have started, and wait for it.

    On Linux its guard does that. Elsewhere, and where a guard is killed, it is the process's group,
    its descendants and what has inherited its number; a process that has left the group and lost
    its parents and its environment escapes.
    """
    if GUARDED:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGTERM)
        process.join(ENDING)
    if not GUARDED or process.is_alive():
        end_group(process.pid)
    process.join()
    clear_folders_of(process.pid)


def end_group(pid: int) -> None:
    """Kill a process, its group and what it started that left the group."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in [*process.children(recursive=True), *_heirs(pid), process]:
            with contextlib.suppress(psutil.Error):
                each.kill()
    if hasattr(os, "killpg"):  # before it leads a group there is only the process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _heirs(pid: int) -> Iterator[Any]:
    """Yield the processes whose environment has a worker's number."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(WORKER) == str(pid):
                yield process


class Memory:
    """Look at the resident memory of a worker and of what is below `root`, which holds it."""

    OFTEN = 10
    """Looks at the process alone for each that asks the whole system who its children are."""

    def __init__(self, pid: int, root: int) -> None:
        self._pid, self._root = pid, root
        self._process: Any = None
        self._looks = 0
        self._theirs = 0

    def resident(self) -> int:
        """Return bytes; 0 where the process is gone."""
        import psutil

        try:
            self._process = self._process or psutil.Process(self._pid)
            if self._looks % self.OFTEN == 0:
                children = psutil.Process(self._root).children(recursive=True)
                self._theirs = sum(_resident(c) for c in children if c.pid != self._pid)
            self._looks += 1
            return self._theirs + _resident(self._process)
        except psutil.Error:
            return 0


def _resident(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def import_all(modules: Iterable[str]) -> None:
    """Import modules before any clock starts; what does not import fails in its fits, in words."""
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
