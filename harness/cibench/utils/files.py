"""Files on disk: the one writer, of whole files in UTF-8, and the texts that go into them."""

from __future__ import annotations

import csv
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

if TYPE_CHECKING:
    import pandas as pd

PUBLIC, PRIVATE = 0o666, 0o600
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
CSV: dict[str, Any] = {"index": False, "lineterminator": "\n"}


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces, equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a hidden neighbour of `path` and put it in place in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # of a killed process that had the same number
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write text in UTF-8, its line ends as they are, whole or not at all; raises Unwritable.

    A private file is for its owner alone.
    """
    with _telling(path):
        content = text.encode()
        write_atomically(path, lambda to: _create(to, content, private=private))


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
    """Write a new text file that only its owner may read, never over another one.

    Raises Unwritable where there is one already; one that could not be finished is removed.
    """
    with _telling(path):
        _create(path, text.encode(), private=True)


def write_folder(folder: Path, files: Mapping[str, str], private: tuple[str, ...] = ()) -> None:
    """Write texts into a hidden neighbour of the folder and put it in place in one step.

    Private files are for their owner alone. Raises Unwritable.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _telling(folder):
            for name, text in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                _create(path, text.encode(), private=name in private)
            if folder.exists():
                folder.rmdir()
            temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def _create(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a new file, with nothing left of one that could not be finished."""
    descriptor = os.open(path, NEW, PRIVATE if private else PUBLIC)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
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
