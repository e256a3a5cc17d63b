"""Files that strangers hand in: read here and nowhere else, within bounds, whatever they hold.

What is too large, too deep, no text in UTF-8, or no file at all (a pipe, a device, a link within a
stranger's folder) is one line that names the file and the place. Nothing is executed, and nothing
is read beyond the bounds below. TOML has `utils/toml.py`, what a JSON file must hold
`utils/shapes.py`.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import stat
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.utils.errors import BadInput
from cibench.utils.files import from_cell, mapped
from cibench.utils.machine import flags_of
from cibench.utils.names import require_inside
from cibench.utils.near_paths import near_path
from cibench.utils.shapes import Shape, check

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 200_000_000
"""Bytes of the largest file that is read whole: the manifest of 10^5 cells has a quarter of it."""

LARGEST_TABLE = 2_000_000_000
"""Bytes of the largest table: seed data, of which a file of ours holds no more."""

DEEPEST = 64
"""Lists and tables within each other that a JSON file may have."""

DIGITS = 40
"""Digits of the longest whole number in a JSON file: the largest seed has 39."""

MOST_NUMBERS = LARGEST_TABLE // 8
"""Numbers of the largest table: files may say in few bytes that one stands there often."""

WIDEST = 1_000
"""Columns of the widest CSV file that people fill in."""

LONGEST_CELL = 131_072
"""Letters of the longest cell of a CSV file; Python's own bound."""

COPIED = 60
"""Letters of a file that a complaint repeats."""

EXACT: dict[str, Any] = {"float_precision": "round_trip"}
"""What has pandas read numbers of texts to the last bit."""

CHARACTER_SETS = {
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
    b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32",
}  # fmt: skip
"""What the first bytes of a text say of the others."""


def own_file(folder: Path, name: str) -> Path:
    """Return the path of a file or folder in a stranger's folder; it may not be there.

    Raises BadInput for a name that leads out of the folder, and where a link does so. The folder
    itself may be a link: it is the user who names it.
    """
    path = folder
    for part in Path(require_inside(name, str(folder))).parts:
        path = path / part
        if path.is_symlink():
            raise BadInput(f"{path} is a link, which is not followed; put the file in its place")
    return path


def require_file(path: Path) -> None:
    """Raise BadInput for a link in a stranger's folder, and for what is no file; none is well.

    A pipe or a device is no file: reading one may never end.
    """
    try:
        kind = path.lstat().st_mode
    except OSError:  # whoever opens it says why
        return
    if stat.S_ISLNK(kind):
        raise BadInput(f"{path} is a link, which is not followed; put the file in its place")
    if not stat.S_ISREG(kind):
        raise BadInput(f"{path}: no file, but {_kind(kind)}")


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """Return what a file holds; raises BadInput where it cannot be read or is too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | flags_of("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
        with os.fdopen(descriptor, "rb") as file:
            kind = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(kind):
                raise BadInput(f"{path}: no file, but {_kind(kind)}")
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # a zero byte in a name is a ValueError
        raise BadInput(f"{path}: {_why(path, error)}") from error
    if len(content) > most:
        raise BadInput(f"{path}: over {most:,} bytes, more than any of ours")
    return content


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


def _why(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, IsADirectoryError) or (
        isinstance(error, PermissionError) and error.errno == errno.EACCES and path.is_dir()
    ):  # as Windows has it
        return "no file, but a folder"
    near = near_path(path) if isinstance(error, FileNotFoundError) else ""
    return ((error.strerror if isinstance(error, OSError) else None) or str(error)) + near


def read_text(path: Path, most: int = LARGEST) -> str:
    """Return a text in UTF-8, line ends as they are, without its mark; BadInput for any other.

    Of a text in another character set the line is named, and what it seems to say.
    """
    return as_text(read_bytes(path, most), str(path))


def as_text(content: bytes, where: str, encoding: str = "utf-8") -> str:
    """Return bytes as a text in UTF-8, as `read_text` does; `where` says whose they are.

    In another character set only where the user says so: no text tells whether it is.
    """
    if encoding != "utf-8":
        return _declared(content, where, encoding)
    for mark in sorted(CHARACTER_SETS, key=len, reverse=True):
        if content.startswith(mark):
            raise BadInput(f"{where}: it is in {CHARACTER_SETS[mark]}; save it in UTF-8")
    if (zero := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise BadInput(f"{where}:{line}: not a text file in UTF-8: it holds a zero byte")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{where}:{line}: not a text file in UTF-8{_meant(content, error.start)}"
        ) from error


def _declared(content: bytes, where: str, encoding: str) -> str:
    """Return a text in the character set that the user named; raises BadInput where it is not."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{where}:{line}: not a text file in {encoding}") from error
    if "\0" in text:
        raise BadInput(f"{where}: not a text file in {encoding}: it holds a zero byte")
    return text.removeprefix("\ufeff")


def _meant(content: bytes, at: int) -> str:
    """Return what a text that is not UTF-8 seems to say around a byte."""
    start, end = (content.rfind(b"\n", 0, at) + 1), content.find(b"\n", at)
    line = content[max(start, at - 20) : at + 20 if end < 0 else min(end, at + 20)]
    try:
        words = line.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    near = " ".join(w for w in words.replace(",", " ").split() if not w.isascii())
    return f": {near!r} is in cp1252, it seems; save it in UTF-8" if near.isprintable() else ""


def read_json(path: Path, shape: Shape, what: str = "a file of ours") -> Any:
    """Return what a JSON file holds, of a shape; raises BadInput with a line for each mistake.

    `what` is what the file should be.
    """
    return as_json(read_bytes(path), shape, str(path), what)


def as_json(content: bytes | str, shape: Shape, where: str, what: str = "a file of ours") -> Any:
    """Return what a JSON text holds, as `read_json` does; `where` says whose it is."""
    text = as_text(content, where) if isinstance(content, bytes) else content
    try:
        value = json.loads(text, object_pairs_hook=_table, parse_int=_whole)
        _check_depth(value)
        if "\\u" in text:
            _check_characters(value)
    except json.JSONDecodeError as error:
        line = f":{error.lineno}" if "\n" in text else ""
        raise BadInput(f"{where}{line}: not {what}: no JSON: {error.msg}") from error
    except RecursionError as error:
        raise BadInput(f"{where}: not {what}: it is nested too deeply") from error
    except ValueError as error:
        raise BadInput(f"{where}: not {what}: {error}") from error
    check(value, shape, f"{where}: not {what}")
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = _first_twice([key for key, _ in pairs])
        raise ValueError(f"the key {twice[:COPIED]!r} stands twice in a table")
    return table


def _first_twice(names: Sequence[str]) -> str:
    """Return the first of some names that stands there again, "" where none does."""
    return next((name for name, count in Counter(names).items() if count > 1), "")


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a whole number of {len(text):,} digits")
    return int(text)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            below for each in level for below in _below(each) if isinstance(below, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"more than {DEEPEST} lists and tables within each other")


def _below(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_characters(value: Any) -> None:
    """Raise ValueError for half a character, which no file can hold."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        waiting += _below(each)
        texts = [each] if isinstance(each, str) else each if isinstance(each, dict) else ()
        if any(not t.isascii() and any("\ud800" <= c <= "\udfff" for c in t) for t in texts):
            raise ValueError("a text holds half a character (\\ud800 to \\udfff)")


class Row(dict[str, str]):
    """Hold the cells of a CSV file's row by column, and the line on which it stands."""

    line: int


def read_csv(path: Path) -> list[Row]:
    """Read a CSV file with a heading, without empty rows; raises BadInput where it is not one.

    Cells are texts, as `as_cell` had them before they were written; one that a short row lacks is
    empty. Semicolons and tabs separate cells too, where the heading has more of them.
    """
    return [*_rows(read_text(path), str(path))]


def _rows(text: str, where: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
    names: list[str] = []
    try:
        for cells in lines:
            if not any(map(str.strip, cells)):
                continue
            if not names:
                names = [from_cell(name.strip()) for name in cells]
                _check_heading(names, f"{where}:{lines.line_num}")
                continue
            if len(cells) > len(names) and any(map(str.strip, cells[len(names) :])):
                counts = f"{len(cells)} cells below {len(names)} columns"
                raise BadInput(f"{where}:{lines.line_num}: {counts}")
            row = Row((name, "") for name in names)
            row.update(zip(names, map(from_cell, cells), strict=False))
            row.line = lines.line_num
            yield row
    except csv.Error as error:
        long = "field limit" in str(error)
        problem = f"a cell of more than {LONGEST_CELL:,} letters" if long else str(error)
        raise BadInput(f"{where}:{lines.line_num}: not a CSV file: {problem}") from error


def _separator(text: str) -> str:
    """Return what stands between cells: spreadsheets of some countries write semicolons."""
    heading = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=heading.count)


def _check_heading(names: list[str], where: str) -> None:
    while names and not names[-1]:  # as spreadsheets write columns that were used once
        names.pop()
    if len(names) > WIDEST:
        raise BadInput(f"{where}: {len(names):,} columns; there are {WIDEST:,} at most")
    _check_names(names, where)


def _check_names(names: Sequence[str], where: str) -> None:
    if "" in names:
        raise BadInput(f"{where}: column {names.index('') + 1} has no name")
    if twice := _first_twice(names):
        raise BadInput(f"{where}: two columns are called '{twice[:COPIED]}'")


def read_frame(
    path: Path, *, as_texts: bool = False, encoding: str = "utf-8", exact: bool = False
) -> pd.DataFrame:
    """Read a CSV file as a table, numbers as numbers; raises BadInput where it is not one.

    Numbers are right to the last bit where they are to be `exact`, which takes longer.
    With `as_texts` each cell is the text that stands there, so that codes keep their zeros and no
    word is taken for a missing value; what separates cells is in the table's `attrs`.
    """
    import pandas as pd

    text = as_text(read_bytes(path, LARGEST_TABLE), str(path), encoding)
    options: Any = EXACT if exact else {}
    if as_texts:
        options = {"dtype": str, "keep_default_na": False}
    try:
        mark, text = _marked(text)
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), [])
        _check_names([name.strip() for name in header], str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # what is exact by itself since 3.1
            content = io.StringIO(text, newline="")
            table: pd.DataFrame = pd.read_csv(content, index_col=False, sep=mark, **options)
    except pd.errors.ParserWarning as error:  # it would drop what is in them
        raise BadInput(f"{path}: a row has more cells than there are columns") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        problem = " ".join(str(error).split())
        raise BadInput(f"{path}: not a CSV file: {problem}") from error
    if "'" in text:
        table = mapped(table, from_cell)
    table.attrs["separator"] = mark
    return table


def _marked(text: str) -> tuple[str, str]:
    """Return what separates cells, and the text without a line by which Excel is told so."""
    first, _, rest = text.partition("\n")
    if first.startswith("sep=") and len(first.rstrip("\r")) == len("sep=;"):
        return first[len("sep=")], rest
    return _separator(text), text


STORED = {".dta": "Stata", ".parquet": "Parquet"}
"""Kinds of tables that are no text, by the ending of their files."""


def read_table(
    path: Path, *, as_texts: bool = False, encoding: str = "utf-8", exact: bool = False
) -> pd.DataFrame:
    """Read a table from a CSV, Parquet or Stata file, by its ending; raises BadInput.

    The cells of a CSV file are texts where `as_texts` says so, its numbers right to the last bit
    where they are to be `exact`, see `read_frame`.
    """
    import pandas as pd

    ending = path.suffix.lower()
    if ending not in STORED:
        return read_frame(path, as_texts=as_texts, encoding=encoding, exact=exact)
    content = io.BytesIO(read_bytes(path, LARGEST_TABLE))
    if ending == ".parquet":
        _check_parquet(content, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about encodings and labels of old files
            table = (
                pd.read_stata(content, order_categoricals=False) if ending == ".dta"
                else pd.read_parquet(content)
            )  # fmt: skip
    except Exception as error:  # whatever the bytes make of a reader
        kind = STORED[ending]
        detail = " ".join(str(error).split())[:COPIED]
        raise BadInput(f"{path}: not a {kind} file: {detail or type(error).__name__}") from error
    table = table.rename(columns=str)
    _check_names([*table.columns], str(path))
    return table


def _check_parquet(content: io.BytesIO, path: Path) -> None:
    """Raise BadInput where a Parquet file says that it holds more than anybody reads at once.

    Texts that stand there often are stored once: they are counted without being written out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        about, fields = pq.read_metadata(content), pq.read_schema(content)
    except Exception:  # whoever reads it says why
        return
    finally:
        content.seek(0)
    if about.num_rows * max(about.num_columns, 1) > MOST_NUMBERS:
        raise BadInput(f"{path}: over {MOST_NUMBERS:,} numbers, more than any of ours")
    for field in fields:
        if pa.types.is_nested(field.type):
            name = field.name[:COPIED]
            raise BadInput(f"{path}: column '{name}' holds lists or tables, no numbers or texts")
    texts = [f.name for f in fields if f.type in (pa.string(), pa.large_string(), pa.binary())]
    try:
        once = pq.ParquetFile(content, read_dictionary=texts).read(columns=texts)
        size = 0
        for column in once.columns:
            for chunk in column.chunks:
                if pa.types.is_dictionary(chunk.type):
                    lengths = pc.binary_length(chunk.dictionary)
                    size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
                else:
                    size += chunk.nbytes
    except Exception:  # whoever reads it says why
        return
    finally:
        content.seek(0)
    if size > LARGEST_TABLE:
        raise BadInput(f"{path}: over {LARGEST_TABLE:,} bytes of texts, more than any of ours")


def read_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of an npz file by name, no objects among them; raises BadInput.

    What they take unpacked is looked at before anything is.
    """
    import numpy as np

    content = io.BytesIO(read_bytes(path, LARGEST_TABLE))
    try:
        with zipfile.ZipFile(content) as packed:
            unpacked = sum(part.file_size for part in packed.infolist())
        if unpacked > LARGEST_TABLE:
            raise BadInput(f"{path}: over {LARGEST_TABLE:,} bytes unpacked, more than any of ours")
        content.seek(0)
        with np.load(content, allow_pickle=False) as arrays:
            return {str(name): arrays[name] for name in arrays.files}
    except BadInput:
        raise
    except Exception as error:  # whatever the bytes make of a reader
        detail = " ".join(str(error).split())[:COPIED]
        raise BadInput(f"{path}: not an npz file: {detail or type(error).__name__}") from error
