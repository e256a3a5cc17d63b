"""Answers that people hand in: CSV files, and the numbers in them, read line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from math import isfinite, nan
from pathlib import Path

from cibench.utils.errors import BadInput
from cibench.utils.files import from_cell


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a heading; raises BadInput where it is not one."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not a text file in UTF-8") from error
    heading = text.split("\n", 1)[0]
    mark = ";" if heading.count(";") > heading.count(",") else ","  # spreadsheets of some countries
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
    return [
        {from_cell(name): from_cell(cell) for name, cell in row.items()}
        for row in rows if any(row.values())
    ]  # fmt: skip


def number_in(row: Mapping[str, str], column: str, where: str) -> float:
    """Return a row's number, a decimal comma allowed; raises BadInput where it is none."""
    text = (row.get(column) or "").strip()
    try:
        value = float(text.replace(",", ".").replace("−", "-"))
    except ValueError:
        value = nan
    if not isfinite(value):
        raise BadInput(f"{where}: {column}: '{text}' is not a number")
    return value


def interval_in(row: Mapping[str, str], where: str) -> tuple[float, float, float]:
    """Return a row's estimate, low and high; raises BadInput where low lies above high."""
    estimate, low, high = (number_in(row, c, where) for c in ("estimate", "low", "high"))
    if low > high:
        raise BadInput(f"{where}: low = {low:g} is above high = {high:g}")
    return estimate, low, high
