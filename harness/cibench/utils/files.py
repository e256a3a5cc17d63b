"""Files on disk: the one writer, of whole files in UTF-8, and the texts that go into them."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cibench.utils.errors import BadInput, Unwritable
from cibench.utils.leftovers import clear, temporary

if TYPE_CHECKING:
    import pandas as pd

PUBLIC, PRIVATE = 0o666, 0o600
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
CSV: dict[str, Any] = {"index": False, "lineterminator": "\n"}


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""Made once: `json.dumps` makes one for each call, of which a suite has two for each cell."""


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces, equal for equal values."""
    return _CANONICAL.encode(value)


def json_text(value: object) -> str:
    """Return indented JSON as files hold it."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


FORMULA = re.compile(r"'*(?:[=@\t\r]|[+-](?=[^\d.,\s]|.*[|!(]))", re.DOTALL)
"""What a spreadsheet would compute, or run: apostrophes that stand before it already too."""


def as_cell(value: Any) -> Any:
    """Return a value as a table's cell: a text that a spreadsheet would run gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def from_cell(text: Any) -> Any:
    """Return what `as_cell` made a cell of."""
    marked = isinstance(text, str) and text.startswith("'") and FORMULA.match(text, 1)
    return text[1:] if marked else text


def csv_text(table: pd.DataFrame | Iterable[Iterable[object]], blank: str = "") -> str:
    """Return the text of a CSV file: of a table without its index, or of rows with a heading.

    `blank` stands for what a table has not. No text is a spreadsheet's formula, see `as_cell`.
    """
    text = io.StringIO()
    if hasattr(table, "to_csv"):
        _write_cells(table, text, blank)
    else:
        rows = [[as_cell(value) for value in row] for row in table]
        quoting = _quoting(value for row in rows for value in row)
        csv.writer(text, lineterminator="\n", quoting=quoting).writerows(rows)
    return text.getvalue()


def _write_cells(table: Any, to: Any, blank: str) -> None:
    cells = mapped(table, as_cell)
    texts = (value for name in text_columns(cells) for value in (name, *cells[name]))
    cells.to_csv(to, na_rep=blank, quoting=_quoting(texts), **CSV)


def _quoting(values: Iterable[object]) -> Literal[0, 2]:
    """Quote all texts where one holds a carriage return, which would end its row unquoted."""
    returns = any(isinstance(value, str) and "\r" in value for value in values)
    return csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL


def text_columns(table: pd.DataFrame) -> list[str]:
    """Return the names of the columns that may hold texts."""
    return [str(name) for name, kind in table.dtypes.items() if kind.kind == "O"]


def mapped(table: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Return a table with its texts and headings changed."""
    changed = {name: table[name].map(change) for name in text_columns(table)}
    return table.assign(**changed).rename(columns=change)


def asset(package: str, name: str) -> str:
    """Return a text file that comes with a package: a style, a script, a template, words."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Let `write` fill a hidden neighbour of `path` and put it in place in one step.

    Unless it need not be `durable`, the disk has it before the step and the step before the return:
    a machine that loses its power has the old file or the new one.
    """
    neighbour = temporary(path)
    neighbour.unlink(missing_ok=True)  # of a killed process that had the same number
    try:
        write(neighbour)
        if durable:
            sync_file(neighbour)
        neighbour.replace(path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def move(path: Path, target: Path) -> None:
    """Rename a file or a folder, never over another; raises FileExistsError where there is one.

    Whoever calls it has the folder to itself.
    """
    if target.exists() or target.is_symlink():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    path.rename(target)


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder outlast a loss of power, where its disk can do that."""
    with contextlib.suppress(OSError):  # some network disks sync no folders
        sync_file(folder)


def sync_file(path: Path) -> None:
    """See to it that what a file holds outlasts a loss of power."""
    try:
        _sync(path, os.O_RDONLY)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        _sync(path, os.O_RDWR)  # Windows syncs only what is open for writing


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(
    path: Path, text: str | Iterable[str], *, private: bool = False, durable: bool = True
) -> None:
    """Write text in UTF-8, its line ends as they are, whole or not at all; raises Unwritable.

    A long text may come in pieces, which are never all in memory. A private file is for its owner
    alone. One that need not be `durable` may be the old one, or broken, after a loss of power.
    """
    with _telling(path):
        content = text.encode() if isinstance(text, str) else (piece.encode() for piece in text)
        write_atomically(path, lambda to: _create(to, content, private=private), durable=durable)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raises Unwritable."""
    with _telling(path):
        write_atomically(path, lambda to: _create(to, content))


def write_json(path: Path, value: object) -> None:
    """Write indented JSON whole or not at all; raises Unwritable."""
    write_text(path, json_text(value))


def write_csv(path: Path, table: pd.DataFrame, blank: str = "", *, private: bool = False) -> None:
    """Write a table as CSV without its index, whole or not at all; raises Unwritable.

    A private file is for its owner alone.
    """

    def write(to: Path) -> None:  # as it comes: a large table's text is larger than the table
        descriptor = os.open(to, NEW, PRIVATE if private else PUBLIC)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            _write_cells(table, file, blank)

    with _telling(path):
        write_atomically(path, write)


def write_private(path: Path, text: str) -> None:
    """Write a new text file that only its owner may read, whole or not at all, never over another.

    Raises Unwritable where there is one already.
    """
    with _telling(path):
        neighbour, content = temporary(path), text.encode()
        neighbour.unlink(missing_ok=True)
        try:
            _create(neighbour, content, private=True)
            sync_file(neighbour)
            _put_new(neighbour, path)
        finally:
            neighbour.unlink(missing_ok=True)
        sync_folder(path.parent)


def _put_new(neighbour: Path, path: Path) -> None:
    """Put a file in place in one step that fails where another process was there first."""
    try:
        os.link(neighbour, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without links
        move(neighbour, path)


def write_folder(folder: Path, files: Mapping[str, str], private: tuple[str, ...] = ()) -> None:
    """Write texts into a hidden neighbour of the folder and put it in place in one step.

    Private files are for their owner alone. Raises Unwritable.
    """
    with prepared_folder(folder, files, private) as neighbour:
        put_folder(neighbour, folder)


@contextmanager
def prepared_folder(
    folder: Path, files: Mapping[str, str], private: tuple[str, ...] = ()
) -> Iterator[Path]:
    """Yield a hidden neighbour of the folder that holds texts, for `put_folder` to put in place.

    It goes where nobody did. Raises Unwritable.
    """
    clear(folder.parent, folder.name)
    neighbour = temporary(folder)
    shutil.rmtree(neighbour, ignore_errors=True)
    try:
        with _telling(folder):
            for name, text in files.items():
                path = neighbour / name
                path.parent.mkdir(parents=True, exist_ok=True)
                _create(path, text.encode(), private=name in private)
            sync_tree(neighbour)
        yield neighbour
    finally:
        shutil.rmtree(neighbour, ignore_errors=True)


def put_folder(neighbour: Path, folder: Path) -> None:
    """Put a folder in place in one step, of an empty one where there is one; raises Unwritable."""
    with _telling(folder):
        if folder.exists():
            folder.rmdir()
        move(neighbour, folder)
        sync_folder(folder.parent)


NEXT = ".next"
"""Within a folder: files that are whole and are to take the places of others there."""


@contextmanager
def replaced_files(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder for files that take the places of others in a folder, all or none.

    They are the next ones from the moment that all of them are on the disk; whoever ends before
    they are in their places leaves that to `finish_replacement`. Raises Unwritable.
    """
    with _telling(folder):
        folder.mkdir(parents=True, exist_ok=True)
        finish_replacement(folder)
        clear(folder, NEXT)
        neighbour = temporary(folder / NEXT)
        shutil.rmtree(neighbour, ignore_errors=True)
        neighbour.mkdir()
    try:
        with _telling(folder):
            yield neighbour
            sync_tree(neighbour)
            move(neighbour, folder / NEXT)
            sync_folder(folder)
        finish_replacement(folder)
    finally:
        shutil.rmtree(neighbour, ignore_errors=True)


def finish_replacement(folder: Path) -> None:
    """Put the next files of a folder in their places, if there are some; raises Unwritable."""
    coming = folder / NEXT
    if coming.is_dir() and not coming.is_symlink():  # a stranger's link would empty what it names
        with _telling(folder):
            for path in sorted(coming.iterdir()):
                path.replace(folder / path.name)
            sync_folder(folder)
            coming.rmdir()


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there: whole or, for whoever looks, not at all; raises Unwritable.

    What is removed goes by a hidden name, which a later `clear` knows where this process ends.
    """
    with _telling(folder):
        clear(folder.parent, folder.name)
        if folder.exists():
            neighbour = temporary(folder)
            shutil.rmtree(neighbour, ignore_errors=True)
            move(folder, neighbour)
            shutil.rmtree(neighbour)


def sync_tree(folder: Path) -> None:
    """See to it that a folder, whatever is in it and their names outlast a loss of power."""
    for path in folder.rglob("*"):
        if path.is_file():
            sync_file(path)
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there yet; raises Unwritable."""
    with _telling(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what keeps a place from being written into one line that names it."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise Unwritable(f"{path}: its text holds what is no character: {error}") from error


def _create(path: Path, content: bytes | Iterable[bytes], *, private: bool = False) -> None:
    """Write a new file, with nothing left of one that could not be finished."""
    descriptor = os.open(path, NEW, PRIVATE if private else PUBLIC)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in (content,) if isinstance(content, bytes) else content:
                file.write(piece)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def check_new(folder: Path) -> None:
    """Raise BadInput where a folder holds something already, or cannot be made."""
    try:
        taken = folder.exists() and (folder.is_file() or any(folder.iterdir()))
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}") from error
    if taken:
        raise BadInput(f"{folder} exists and is not empty; name another folder with --out")


def check_folders(*places: Path | None) -> None:
    """Raise BadInput for a place that lies in no folder; None stands for no place."""
    for place in places:
        if place and not place.absolute().parent.is_dir():
            raise BadInput(f"{place}: there is no such folder")


def size(count: float) -> str:
    """Return bytes as people write them: "2 GB", "350 MB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:g} bytes"
