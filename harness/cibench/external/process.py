"""One process of an estimator in another language: started once, asked fit after fit, ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import select
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from cibench.external.wire import MARK, Hello, Nonsense, Reported, hello_of, line_of, message_of
from cibench.utils.errors import REASON_LENGTH, BadInput, near_miss, spelt_out

HELPERS = Path(__file__).with_name("helpers")
"""The folder of `cibench.R` and `cibench.py`, with which the other side is written."""

HASHES = {"PYTHONHASHSEED": "0"}
"""What gives sets of texts one order in every process: libraries add up in it, and round by it."""

HELPERS_VARIABLE, MARK_VARIABLE = "CIBENCH_HELPERS", "CIBENCH_MARK"
STARTING = 60.0
"""Seconds in which a process says hello, or is given up."""

LONGEST = 10_000_000
"""Bytes of the longest answer that is taken."""

NOISE = 4000
"""Bytes of what else it printed that are remembered, to say why it ended."""

WATCHING, MOST_AFTER_END = 500, 64
"""Milliseconds after which a silent process is looked at; reads of what an ended one has left."""

ENDING = 5.0
"""Seconds in which a process ends that reads no more requests."""


class Command(NamedTuple):
    """Say what is started and in which folder: one process answers all that have it.

    Another Python that is `alone` sees nothing of what this one's environment says of Python.
    """

    words: tuple[str, ...]
    folder: str
    alone: bool = False

    def __str__(self) -> str:
        return " ".join(self.words)

    def program(self) -> str:
        """Return the program's path; raises BadInput with the near miss where there is none."""
        first = self.words[0]
        beside = Path(self.folder, first)
        if ("/" in first or os.sep in first) and beside.is_file():
            return str(beside.absolute())  # a virtual environment's Python is a link
        if path := shutil.which(first):
            return path
        raise BadInput(f"no program named '{first}'{near_miss(first, _programs_like(first))}")


def _programs_like(name: str) -> list[str]:
    """Return the programs on the path whose name begins alike."""
    names: set[str] = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(each for each in os.listdir(folder) if each[:1] == name[:1])  # noqa: PTH208
    return sorted(names)


_owner: list[int] = []


def own_by(pid: int) -> None:
    """Call the folders of this process, and of its forks, after a process that somebody ends."""
    _owner[:] = [pid]


def _prefix(pid: int) -> str:
    """Return how folders of a process are called; pids are told apart by where they are counted."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"cibench-data-{space}-{pid}-"


def clear_folders_of(pid: int) -> None:
    """Remove the data that an ended process has left for methods in other languages."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix(pid)}*"):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder for data, or what a fit has put into its place."""
    with contextlib.suppress(OSError):
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
            return
        folder.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=_prefix(*(_owner or [os.getpid()]))))


class Process:
    """Hold a running process, its hello, and the folder for the data of a request.

    Raises BadInput where it does not come to its hello.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self._requests = self._after_end = 0
        self._versions: dict[str, str | None] = {}
        program = command.program()
        self.folder = _new_folder()
        self._buffer, self._noise = bytearray(), bytearray()
        # of this process alone, so that nothing that a fit prints is an answer
        self._mark = f"{MARK.rstrip(': ')}-{secrets.token_hex(8)}: ".encode()
        try:
            self._child = subprocess.Popen(
                [program, *command.words[1:]], cwd=command.folder,
                env=_surroundings(self._mark.decode(), alone=command.alone),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise BadInput(f"{command}: {error.strerror or error}") from error
        try:
            self.hello = self._hello()
        except BaseException:
            self.end()
            raise

    def _hello(self) -> Hello:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._child.kill()

        timer = threading.Timer(STARTING, give_up)
        timer.daemon = True
        timer.start()
        try:
            return hello_of(message_of(self._line()), str(self.command))
        except (Nonsense, Reported) as error:
            why = f"said no hello in {STARTING:g} s" if late.is_set() else str(error)
            if self._child.poll() == 0:
                why += "; that was before a hello: does the script call serve()?"
            raise BadInput(f"{self.command}: {why}") from error
        finally:
            timer.cancel()

    def empty_folder(self) -> Path:
        """Return the folder for the data of the next request, whatever the last fit did to it."""
        _remove(self.folder)
        self.folder = _new_folder()
        return self.folder

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request, whose "id" is set here.

        Raises Reported where the process ends over it, Nonsense where it writes what answers
        something else; it is of no use afterwards, and ended.
        """
        self._requests += 1
        try:
            assert self._child.stdin is not None
            self._noise.clear()
            self._send(line_of({**request, "id": self._requests}))
            message = message_of(self._line())
            if message.get("id") != self._requests:
                raise Nonsense(f"answered request {message.get('id')!r:.20}, not {self._requests}")
        except BaseException:  # a fit that is interrupted leaves an answer behind that nobody takes
            self.end()
            raise
        return message

    def _send(self, line: bytes) -> None:
        assert self._child.stdin is not None
        try:
            view = memoryview(line)
            while view:
                view = view[self._child.stdin.write(view) or 0 :]
        except OSError:
            raise Reported(self._obituary()) from None

    def _line(self) -> bytes:
        """Return the next line that is meant for us, without its mark."""
        assert self._child.stdout is not None
        mark = self._mark
        while True:
            while (end := self._buffer.find(b"\n")) >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                if line.startswith(mark):
                    return line[len(mark) :].rstrip(b"\r")
                self._remember(line + b"\n")
            if len(self._buffer) > LONGEST:
                if self._buffer.startswith(mark):
                    raise Nonsense(f"wrote an answer of more than {LONGEST // 10**6} MB")
                self._remember(self._buffer)
                del self._buffer[: len(self._buffer) - len(mark)]
            chunk = self._chunk(self._child.stdout.fileno())
            if not chunk:
                self._remember(self._buffer)
                raise Reported(self._obituary())
            self._buffer += chunk

    def _chunk(self, output: int) -> bytes:
        """Return what comes next, nothing at the end.

        The end is the process's own: what it started may hold its output open, and is no answer.
        """
        ended = self._child.poll() is not None
        if hasattr(select, "poll"):  # not on Windows
            ready = select.poll()
            ready.register(output, select.POLLIN | select.POLLHUP)
            while not ready.poll(0 if ended else WATCHING):
                if ended:
                    return b""
                ended = self._child.poll() is not None
        self._after_end += ended
        return b"" if self._after_end > MOST_AFTER_END else os.read(output, 65536)

    def _remember(self, text: bytes | bytearray) -> None:
        self._noise += text[-NOISE:]
        del self._noise[:-NOISE]

    def _obituary(self) -> str:
        """Say how the process ended and what it printed last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(ENDING)
        code = self._child.returncode
        how = "closed its output" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"ended by signal {-code}"
        last = " ".join(self._noise.decode(errors="replace").split())
        return f"its process {how}{': ' if last else ''}{last[-REASON_LENGTH:]}"

    @property
    def running(self) -> bool:
        """Say whether the process can be asked."""
        return self._child.poll() is None

    def end(self) -> None:
        """End the process and what it has started, at once where it does not go by itself."""
        started = _children_of(self._child.pid)
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._child.kill()
        self._child.wait()
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        _remove(self.folder)

    def versions(self, packages: Sequence[str]) -> dict[str, str | None]:
        """Return the versions of packages there, None of those that are not; asked once."""
        if new := [name for name in packages if name not in self._versions]:
            versions = self._about(new).get("versions")
            if not isinstance(versions, dict):
                raise BadInput(f"{self.command}: does not say the versions of its packages")
            self._versions |= {
                name: spelt_out(str(version)[:100]) if (version := versions.get(name)) else None
                for name in new
            }
        return {name: self._versions[name] for name in packages}

    def loaded(self, packages: Sequence[str]) -> list[str]:
        """Return the packages of which a module is imported there by now, as it says."""
        loaded = self._about(packages).get("loaded")
        return [name for name in packages if isinstance(loaded, list) and name in loaded]

    def _about(self, packages: Sequence[str]) -> dict[str, Any]:
        try:
            return self.ask({"request": "versions", "packages": list(packages)})
        except (Reported, Nonsense) as error:
            raise BadInput(f"{self.command}: {error}") from error


def _children_of(process: int) -> list[psutil.Process]:
    """Return the processes that one has started, however deep, as long as it lives."""
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        started += psutil.Process(process).children(recursive=True)
    return started


def _surroundings(mark: str, *, alone: bool) -> dict[str, str]:
    """Return the environment of a process: one thread, and where the helpers lie."""
    before = {k: v for k, v in os.environ.items() if not (alone and k.startswith("PYTHON"))}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
    path = os.pathsep.join([str(HELPERS), *filter(None, [before.get("PYTHONPATH")])])
    return {
        **before, **dict.fromkeys(threads, "1"), HELPERS_VARIABLE: str(HELPERS),
        **({} if alone else {"PYTHONPATH": path}),
        "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1", **HASHES, MARK_VARIABLE: mark,
    }  # fmt: skip


_running: dict[Command, Process] = {}
_ends: list[int] = []


def process_of(command: Command) -> Process:
    """Return the process of a command, started where none runs; raises BadInput where none starts.

    It ends with this Python.
    """
    if os.getpid() not in _ends:  # after a fork, the processes are the parent's
        _running.clear()
        _ends[:] = [os.getpid()]
        atexit.register(end_all)
    process = _running.get(command)
    if process is None or not process.running:
        if process is not None:
            process.end()
        process = _running[command] = Process(command)
    return process


def end_all() -> None:
    """End all processes that this one started."""
    if os.getpid() in _ends:
        while _running:
            _running.popitem()[1].end()
