"""End a process at each of its file operations, go on, and see that nothing is lost.

As a program it tells one story: `kills.py FILE STORY FOLDER [POINTS [full]]`. It imports once and
forks a child for every point, which ends as SIGKILL ends it, without a farewell; in a file that is
on its way to the disk half of the bytes are missing then. Another child goes on and checks. With
`full` there is no room left on the disk from that point on.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Step = Callable[[Path], object]
ENDED = 77
GO_ON = "to go on from there: cibench "
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Story:
    """Say what is ended, and what must hold.

    `prepare` makes a folder as it is before. Each of `commands` is ended at the same point, one
    after the other, and the last one is given once more, to its end. `left` is asked after each
    end, `check` gets the folder and that of somebody who was never ended. Files whose names end in
    one of `passing` need not outlast a loss of power. `words` are the command whose disk is to be
    full, given by `commanded`, which returns its code and lines, and `kept` what it says of what is
    there.
    """

    prepare: Step
    commands: Sequence[Step]
    check: Callable[[Path, Path], object]
    left: Step = lambda _: None
    passing: Sequence[str] = (".status.json",)
    words: Sequence[str] = ()
    kept: str = ""
    commanded: Callable[[Sequence[str]], tuple[int, list[str]]] = lambda _: (0, [])


class Operations:
    """Count what changes files in a folder, and end the process before the one of a number.

    With `full` it goes on, and from that operation on there is no room left on the disk.

    A file that gets its name before its bytes are on the disk is noted: a machine that loses its
    power then may have the name of a broken file.
    """

    def __init__(
        self, folder: Path, last: int | None, passing: Sequence[str], *, full: bool = False
    ) -> None:
        self.folder, self.last, self.passing, self.full = str(folder), last, passing, full
        self.count, self.unsynced = 0, list[str]()
        self._dirty: set[str] = set()

    def watch(self) -> None:
        """Begin to count; what has begun ends with the process."""
        import pyarrow.parquet as pq

        write_table = pq.write_table

        def write(table: Any, where: Any, **options: Any) -> None:
            if isinstance(where, str | os.PathLike):
                self._dirty.add(_absolute(where))
            self._step()
            write_table(table, where, **options)

        def sync(descriptor: int) -> None:
            path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            if path.startswith(self.folder):
                self._step(path)
                self._dirty.discard(path)

        pq.write_table, os.fsync = write, sync
        sys.addaudithook(self._hear)

    def _hear(self, event: str, words: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = words
            if (flags or 0) & WRITING and self._is_here(path):
                self._step()
                self._dirty.add(_absolute(path))
        elif event in CHANGES and self._is_here(words[0]):
            if event in ("os.rename", "os.link"):
                self._named(*map(_absolute, words[:2]))
            self._step(needs_room=event in ("os.mkdir", "os.link", "os.symlink"))

    def _is_here(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):  # an open file's number
            return False
        name = os.fsdecode(path)
        return not name.startswith("/") or name.startswith(self.folder)

    def _named(self, source: str, target: str) -> None:
        if source in self._dirty and not target.endswith(tuple(self.passing)):
            self.unsynced.append(target.removeprefix(self.folder))

    def _step(self, path: str = "", *, needs_room: bool = True) -> None:
        self.count += 1
        if self.full:
            if needs_room and self.last is not None and self.count >= self.last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif self.count == self.last:
            if path and Path(path).is_file():
                os.truncate(path, Path(path).stat().st_size // 2)
            os._exit(ENDED)


def _absolute(path: Any) -> str:
    return str(Path(os.fsdecode(path)).absolute())


def child(work: Callable[[], object]) -> tuple[int, str]:
    """Do some work in a forked process; return its exit code and the traceback, if any."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        code = 0
        try:
            os.close(reading)
            work()
        except BaseException:
            code = 1
            os.write(writing, traceback.format_exc()[-4000:].encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), text


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """Work in a folder, so that paths may be relative."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Teller:
    """Tell a story in a folder of its own."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story, self.folder = story, folder
        self.before, self.whole = folder / "before", folder / "whole"

    def prepare(self) -> tuple[int, list[str]]:
        """Do it without an end; return how many operations it takes, and what was not synced."""
        self.before.mkdir()
        self._must(lambda: self.story.prepare(self.before), self.before)
        counts = [self._counted(command) for command in self.story.commands]
        count, unsynced, modules = max(counts)
        shutil.copytree(self.before, self.whole, symlinks=True)
        for command in self.story.commands:
            self._must(lambda c=command: c(self.whole), self.whole)  # type: ignore[misc]
        for module in modules:  # once here, not in every child
            if module.split(".")[0] not in ("__main__", "__mp_main__"):
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)
        self._must(lambda: self.story.check(self.whole, self.whole), self.whole)
        return count, unsynced

    def _counted(self, command: Step) -> tuple[int, list[str], list[str]]:
        """Return how many operations a command takes, what was not synced and what it imports."""
        note, here = self.folder / "counts.json", self.folder / "counted"
        shutil.copytree(self.before, here, symlinks=True)

        def counted() -> None:
            operations = Operations(here, None, self.story.passing)
            operations.watch()
            command(here)
            result = [operations.count, operations.unsynced, list(sys.modules)]
            note.write_text(json.dumps(result))

        self._must(counted, here)
        shutil.rmtree(here)
        count, unsynced, modules = json.loads(note.read_text())
        return count, unsynced, modules

    def end_at(self, point: int) -> str:
        """End each command before its operation of that number and go on; say what is wrong."""
        here = self.folder / f"at-{point}"
        shutil.copytree(self.before, here, symlinks=True)
        for command in self.story.commands:

            def ended(command: Step = command) -> None:
                Operations(here, point, self.story.passing).watch()
                command(here)

            code, text = self._in(ended, here)
            if code not in (0, ENDED):  # 0: there were fewer operations this time
                return f"before operation {point}: {text}"
            code, text = self._in(lambda: self.story.left(here), here)
            if code:
                return f"left by operation {point}: {text}"

        def again() -> None:
            self.story.commands[-1](here)
            self.story.check(here, self.whole)

        code, text = self._in(again, here)
        if not code:
            shutil.rmtree(here)
        return f"after operation {point}: {text}" if code else ""

    def full_at(self, point: int) -> str:
        """Give a command that has no room on the disk from an operation on; say what is wrong.

        It ends with code 2 and one line, which says what is kept and which command goes on. That
        one does, once there is room.
        """
        here, words = self.folder / f"full-{point}", self.story.words
        shutil.copytree(self.before, here, symlinks=True)
        note = self.folder / "line.txt"

        def ended() -> None:
            Operations(here, point, self.story.passing, full=True).watch()
            code, lines = self.story.commanded(words)
            note.write_text("\n".join(lines))
            assert code in (0, 2), (code, lines)
            if code:
                (line,) = lines
                assert line.startswith("cibench: ") and "No space left on device" in line, line
                ways = (f"{self.story.kept}; {GO_ON}", "the same command goes on from there")
                assert any(words in line for words in (*ways, "cannot be written")), line

        code, text = self._in(ended, here)
        if code:
            return f"full at operation {point}: {text}"
        code, text = self._in(lambda: self.story.left(here), here)
        if code:
            return f"left by a full disk at operation {point}: {text}"
        line = note.read_text()

        def again() -> None:
            if GO_ON in line:
                code, lines = self.story.commanded(shlex.split(line.rpartition(GO_ON)[2]))
                assert code == 0, lines
            for command in self.story.commands:
                command(here)
            self.story.check(here, self.whole)

        code, text = self._in(again, here)
        if not code:
            shutil.rmtree(here)
        return f"after a full disk at operation {point}: {text}" if code else ""

    def _in(self, work: Callable[[], object], folder: Path) -> tuple[int, str]:
        def worked() -> None:
            with within(folder):
                work()

        return child(worked)

    def _must(self, work: Callable[[], object], folder: Path) -> None:
        code, text = self._in(work, folder)
        if code:
            raise SystemExit(f"without any end: exit code {code}\n{text}")


def spread(count: int, points: int | None) -> list[int]:
    """Return so many of the numbers from 1 to a count, far apart, both ends among them; or all."""
    if points is None or points >= count:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (points - 1)) for i in range(points)})


def load(file: Path) -> Any:
    """Return the module in a file."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Outcome:
    """Hold how many operations there are, at which the process was ended, and what went wrong."""

    operations: int
    points: list[int]
    faults: list[str]
    unsynced: list[str]


def tell(file: str, name: str, folder: Path, points: int | None, way: str = "end") -> Outcome:
    """Tell a story of a file in a process of its own, which has no threads yet.

    The `way` says what happens at a point: the end, or a full disk.
    """
    words = [sys.executable, __file__, file, name, str(folder), str(points or ""), way]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr[-4000:]
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def main(file: str, name: str, folder: str, points: str = "", way: str = "end") -> None:
    """Tell a story and print its outcome as the last line, in JSON."""
    os.fsync = lambda _: None  # SIGKILL takes nothing from a disk, and syncing takes long
    module = load(Path(file))
    story = (module.STORIES if way == "end" else module.FULL)[name]
    teller = Teller(story, Path(folder).resolve())
    count, unsynced = teller.prepare()
    chosen = spread(count, int(points) if points else None)
    happen = teller.end_at if way == "end" else teller.full_at
    faults = [fault for fault in map(happen, chosen) if fault]
    print(json.dumps({
        "operations": count, "points": chosen, "faults": faults, "unsynced": unsynced,
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
