"""Plant statistical faults into the checkout, one by one, and see what notices.

    python benchmarks/mutation                 all faults of catalogue/
    python benchmarks/mutation 'hac-*' NAME    some of them
    python benchmarks/mutation --missing       those that the table has no line of, as after a cut
    python benchmarks/mutation --survivors     those that nothing has caught, as after new tests
    python benchmarks/mutation --list          names, files and what came of them

Each worker has a copy of the checkout. First every check that is named runs there without a fault:
one that fails is refused. Then a fault is planted, its checks run until one fails, and the fault is
taken out again. Lines go into results/reference/mutation/faults.csv as faults end, in the places of
those of the same name; the score and the survivors go into README.md beside it. Exit code: 1 where
the score of the whole table is below 95 % or a survivor is not explained, 2 for a bad catalogue.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TypeVar

from catalogue import (
    LEAST,
    PAGE,
    SURVIVED,
    TABLE,
    CatalogueError,
    Fault,
    Line,
    complaints,
    csv_text,
    current,
    headline,
    lines_of,
    merged,
    read,
    score,
    survivors,
)
from checks import Check, Copy, checks_of, limits

T = TypeVar("T")


class Copies:
    """Lend out copies of the checkout, one to a thread."""

    def __init__(self, folder: Path, count: int) -> None:
        self._free: SimpleQueue[Copy] = SimpleQueue()
        self._all = [Copy(folder / str(number)) for number in range(count)]
        for copy in self._all:
            self._free.put(copy)

    def close(self) -> None:
        """End what runs in the copies."""
        for copy in self._all:
            copy.close()

    @contextmanager
    def lent(self) -> Iterator[Copy]:
        """Lend a copy, which is free again afterwards."""
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


def seconds_without_fault(
    faults: Sequence[Fault], copies: Copies, pool: ThreadPoolExecutor
) -> dict[Check, float]:
    """Run every distinct check on the clean copy and return how long each takes.

    A test of a file that is run as a whole is not run by itself.
    Raises CatalogueError naming those that fail there already.
    """
    named = dict.fromkeys(check for fault in faults for check in checks_of(fault))
    whole = {check: check.whole for check in named if check.whole in named}
    distinct = [check for check in named if whole.get(check, check) == check]
    seconds: dict[Check, float] = {}
    wrong: list[str] = []

    def clean(check: Check) -> None:
        with copies.lent() as copy:
            outcome = copy.run(check)
        seconds[check] = outcome.seconds
        if outcome.failed:
            wrong.append(f"{check}: fails without a fault: {outcome.complaint}")
        print(f"clean {len(seconds)}/{len(distinct)} {check} {outcome.seconds:.1f} s", flush=True)

    _all(pool, clean, distinct)
    if wrong:
        raise CatalogueError("\n".join(wrong))
    return seconds | {check: seconds[file] for check, file in whole.items()}


def _all(pool: ThreadPoolExecutor, call: Callable[[T], None], items: Sequence[T]) -> None:
    """Call for each item; the first exception cancels what has not begun and is raised."""
    futures = [pool.submit(call, item) for item in items]
    done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
    for future in waiting:
        future.cancel()
    for future in done:
        future.result()


def judge(fault: Fault, copy: Copy, most: dict[Check, float]) -> Line:
    """Plant a fault, run its checks until one fails, and return what came of it."""
    start, by, complaint = time.monotonic(), SURVIVED, ""
    with copy.with_fault(fault):
        for check in checks_of(fault):
            outcome = copy.run(check, most[check])
            if outcome.failed:
                by, complaint = outcome.by, outcome.complaint
                break
    took = f"{time.monotonic() - start:.1f}"
    return Line(fault.name, fault.file, fault.what, by, complaint, took, fault.digest)


def run(chosen: Sequence[Fault], faults: Sequence[Fault], workers: int, table: Path) -> list[Line]:
    """Judge the chosen faults and write a line into the table as each ends; return these lines."""
    lines: list[Line] = []
    lock = Lock()
    with (
        tempfile.TemporaryDirectory(prefix="mutation-") as folder,
        ExitStack() as stack,
        ThreadPoolExecutor(workers) as pool,
    ):
        copies = stack.enter_context(closing(Copies(Path(folder), workers)))
        most = limits(seconds_without_fault(chosen, copies, pool))

        def planted(fault: Fault) -> None:
            with copies.lent() as copy:
                line = judge(fault, copy, most)
            with lock:
                lines.append(line)
                every = merged(lines_of(table), [line], faults)
                write(table, csv_text(every))
                write(table.with_name(PAGE.name), page(every, faults, "The last run was cut."))
                word = f"caught by {line.caught_by}" if line.caught else "SURVIVED"
                count = f"{len(lines)}/{len(chosen)}"
                print(
                    f"{count} {line.name}: {word} ({line.seconds} s) {line.complaint}", flush=True
                )

        _all(pool, planted, chosen)
    return lines


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def page(lines: Sequence[Line], faults: Sequence[Fault], last: str) -> str:
    """Return the text beside the table: the score, the last run and who survived."""
    missing = len(faults) - len(lines)
    parts = [
        "# Which planted faults are caught", headline(lines), last,
        "`faults.csv` has a line for each fault: the first check or test that failed, its words and"
        "\nthe seconds until then. `docs/mutation.md` says how to read it and how to add a fault.",
    ]  # fmt: skip
    if missing:
        parts.append(f"{missing} faults of the catalogue have no line yet (`--missing` runs them).")
    if alive := survivors(lines, faults):
        parts.append("\n".join(["Survivors:", "", *alive]))
    return "\n\n".join(parts) + "\n"


def chosen_of(faults: Sequence[Fault], patterns: Sequence[str]) -> list[Fault]:
    """Return the faults of these names or globs, all without one; raises CatalogueError."""
    for pattern in patterns:
        if not any(fnmatchcase(fault.name, pattern) for fault in faults):
            raise CatalogueError(f"no fault named '{pattern}'; --list has their names")
    names = patterns or ["*"]
    return [fault for fault in faults if any(fnmatchcase(fault.name, name) for name in names)]


def left_of(
    chosen: Sequence[Fault], lines: Sequence[Line], options: argparse.Namespace
) -> list[Fault]:
    """Return the chosen faults that are missing in the table or survived, as the options say."""
    caught = {line.name: line.caught for line in lines}
    if not (options.missing or options.survivors):
        return list(chosen)
    return [
        fault for fault in chosen
        if (options.missing and fault.name not in caught)
        or (options.survivors and not caught.get(fault.name, True))
    ]  # fmt: skip


def show(faults: Sequence[Fault], table: Path) -> None:
    """Print each fault with what came of it, as the table has it."""
    there = {line.name: line.caught_by for line in current(lines_of(table), faults)}
    for fault in faults:
        print(f"{fault.name}  {fault.file}  {there.get(fault.name, 'not run')}\n    {fault.what}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    text = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python benchmarks/mutation", description=text)
    parser.add_argument("names", nargs="*", metavar="NAME", help="names or globs of faults [all]")
    parser.add_argument("--list", action="store_true", help="print the faults and run nothing")
    parser.add_argument("--missing", action="store_true", help="only faults without a line yet")
    parser.add_argument("--survivors", action="store_true", help="only faults not caught yet")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="copies [cores]")
    parser.add_argument("--table", type=Path, default=TABLE, help="where lines go")
    options = parser.parse_args(arguments)
    try:
        faults = read()
        if wrong := complaints(faults):
            raise CatalogueError("\n".join(wrong))
        chosen = chosen_of(faults, options.names)
        if options.list:
            show(chosen, options.table)
            return 0
        chosen = left_of(chosen, current(lines_of(options.table), faults), options)
        start = time.monotonic()
        lines = run(chosen, faults, max(1, options.workers), options.table)
    except CatalogueError as error:
        print("\n".join(f"Error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 2
    return close(options.table, faults, lines, (time.monotonic() - start) / 60)


def close(table: Path, faults: Sequence[Fault], lines: Sequence[Line], minutes: float) -> int:
    """Write the page, print score and survivors, and return the exit code."""
    every = current(lines_of(table), faults)
    command = " ".join(["python benchmarks/mutation", *sys.argv[1:]])
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    last = (
        f"Last run: `{command}`, {len(lines)} of the faults in {minutes:.1f} minutes, "
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}, Python {platform.python_version()}."
    )
    write(table.with_name(PAGE.name), page(every, faults, last))
    print(f"\n{headline(every)}")
    print("\n".join(survivors(every, faults)))
    explained = {fault.name for fault in faults if fault.explained}
    loose = [line for line in every if not line.caught and line.name not in explained]
    return int(score(every) < LEAST or bool(loose))


if __name__ == "__main__":
    sys.exit(main())
