"""The formats in which data sets leave: each holds every number to the last bit, or refuses it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.utils.errors import BadInput
from cibench.utils.files import csv_text

Columns = Mapping[str, Array]

STATA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
STATA_LARGEST = 2.0**1023
"""Stata takes numbers from about there on for codes of missing values."""


def encoded(columns: Columns, ending: str, where: str) -> bytes:
    """Return columns as a file of a format; raises BadInput for what the format cannot hold."""
    plain = {n: c.astype(np.int8) if c.dtype.kind == "b" else c for n, c in columns.items()}
    return FORMATS[ending](plain, where)


def _csv(columns: Columns, where: str) -> bytes:  # noqa: ARG001 - it holds everything
    import pandas as pd

    return csv_text(pd.DataFrame(columns)).encode()


def _parquet(columns: Columns, where: str) -> bytes:  # noqa: ARG001 - it holds everything
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _npz(columns: Columns, where: str) -> bytes:
    for name, column in columns.items():
        if column.dtype.hasobject:
            raise BadInput(f"{where}: npz files hold no texts as column '{name}' has")
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(columns)
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _dta(columns: Columns, where: str) -> bytes:
    """Return a Stata file, every number as a double or a whole number of Stata's."""
    import pandas as pd

    for name, column in columns.items():
        if not STATA_NAME.fullmatch(name):
            raise BadInput(
                f"{where}: '{name}' is no name of a variable in Stata; take another format"
            )
        if (
            column.dtype.kind == "f"
            and not (np.abs(column[~np.isnan(column)]) < STATA_LARGEST).all()
        ):
            raise BadInput(f"{where}: column '{name}' holds numbers that Stata takes for missing")
        if (
            column.dtype.kind in "iu"
            and column.size
            and np.abs(column.astype(object)).max() > 2**53
        ):
            raise BadInput(f"{where}: column '{name}' holds whole numbers that no double holds")
    buffer = io.BytesIO()
    frame = pd.DataFrame({
        n: c.astype(float) if c.dtype.kind in "iu" and c.dtype.itemsize > 4 else c
        for n, c in columns.items()
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame.to_stata(buffer, write_index=False, version=118)
    return buffer.getvalue()


FORMATS: Mapping[str, Callable[[Columns, str], bytes]] = {
    "csv": _csv, "parquet": _parquet, "dta": _dta, "npz": _npz,
}  # fmt: skip
"""What writes a format, by the ending of its files."""
