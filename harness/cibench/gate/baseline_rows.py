"""A baseline's rows as text: a line for each estimator, target and cell, so that branches merge.

A line is JSON: the cell's keys, then its columns. A column that is the same in every replicate is
one value, one of nulls is left out; numbers are as short as being exact allows. `data` holds the
64-bit hashes of the data sets, eight bytes each, in base 64; `status` which replicates have no
answer. Its digest, over all but the run time and with the cell's line of `scores.csv`, tells an
edit by hand.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from math import isinf
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.gate.pairing import COLUMNS, NUMBERS, conforming, schema, typical_seconds
from cibench.storage.schema import LATER, SCORED, STATUSES
from cibench.storage.shard_checks import checked, without_huge
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical
from cibench.utils.foreign import as_json
from cibench.utils.shapes import TEXT

if TYPE_CHECKING:
    import pyarrow as pa

FREE = ("seconds", "digest")
"""What of a line its digest does not cover."""

LINE = {"data": TEXT, "status": {str: [int]}, "columns": {str: object}, "digest": TEXT}
CELLS = tuple(name for name in COLUMNS if name not in {
    *SCORED, "replicate", "refit", "status", "seconds", "data_hash",
})  # fmt: skip
"""The columns that may be of each row: numbers of the answer, and truths."""

SPENT = 2
"""Digits of the median run time, which is told and judges nothing."""


def as_lines(rows: pa.Table, scores: Sequence[str], before: Iterable[str] = ()) -> list[str]:
    """Return the lines of a table of rows; one of `before` where nothing but the run time differs.

    `scores` are the lines of the score table, which has one for each in the same order.
    """
    known = {_digest_of(line): line for line in before}
    lines = []
    for content, score in zip(_contents(rows), scores, strict=True):
        digest = line_digest(content, score)
        lines.append(known.get(digest) or as_text({**content, "digest": digest}))
    return lines


def as_text(content: Mapping[str, Any]) -> str:
    """Return a line of its content, the cell's keys first."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def _digest_of(line: str) -> str:
    try:
        content = json.loads(line)
    except ValueError:  # of a baseline that is to be replaced anyway
        return ""
    return str(content.get("digest")) if isinstance(content, dict) else ""


def line_digest(content: Mapping[str, Any], score: str) -> str:
    """Return the digest of a line's content and of the score table's line beside it."""
    covered = {name: value for name, value in content.items() if name not in FREE}
    return blake2b(f"{canonical(covered)}\n{score}".encode(), digest_size=8).hexdigest()


def _contents(rows: pa.Table) -> Iterator[dict[str, Any]]:
    places: dict[tuple[Any, ...], list[int]] = {}
    keys = rows.select(list(SCORED)).to_pylist()
    for place, key in enumerate(keys):
        places.setdefault(tuple(key.values()), []).append(place)
    for at in places.values():
        part = rows.take(at)
        spent = typical_seconds(part["seconds"].to_numpy(zero_copy_only=False).astype(float))
        yield {
            **{n: v for n, v in keys[at[0]].items() if v is not None or n not in LATER},
            "replicate": _replicates(part["replicate"].to_pylist()),
            "data": base64.b64encode(
                part["data_hash"].to_numpy(zero_copy_only=False).astype("<i8").tobytes()
            ).decode(),
            "status": _statuses(part["replicate"].to_pylist(), part["status"].to_pylist()),
            "columns": {
                name: short for name in CELLS
                if (short := _short(part[name].to_pylist())) is not None
            },
            "seconds": float(f"{spent:.{SPENT}g}") if np.isfinite(spent) else None,
        }  # fmt: skip


def _replicates(numbers: list[int]) -> list[int] | None:
    return None if numbers == list(range(len(numbers))) else numbers


def _statuses(replicates: list[int], statuses: list[str]) -> dict[str, list[int]]:
    silent: dict[str, list[int]] = {}
    for replicate, status in zip(replicates, statuses, strict=True):
        if status != "ok":
            silent.setdefault(status, []).append(replicate)
    return silent


def _short(values: list[Any]) -> Any:
    """Return a column's values, or the one that all have; infinite ones as words."""
    plain = [str(v) if isinstance(v, float) and (isinf(v) or v != v) else v for v in values]  # noqa: PLR0124 - NaN
    first = plain[0]
    same = all(type(v) is type(first) and v == first and str(v) == str(first) for v in plain)
    return first if same else plain


def as_table(lines: Sequence[tuple[str, str]], scores: Sequence[str], what: str) -> pa.Table:
    """Return the rows of lines, each with where it stands; raises BadInput for what is none.

    `scores` are the lines of the score table, `what` is what the lines should be of.
    """
    import pyarrow as pa

    if len(lines) != len(scores):
        where = lines[0][0].rpartition(":")[0] if lines else what
        raise BadInput(f"{where}: {len(lines)} cells beside {len(scores)} in scores.csv: {BROKEN}")
    tables = []
    for (where, text), score in zip(lines, scores, strict=True):
        content = as_json(text, LINE, where, what)
        if line_digest(content, score) != content["digest"]:
            raise BadInput(f"{where}: its digest is not that of its contents: {BROKEN}")
        try:
            tables.append(_table(content))
        except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError) as error:
            problem = " ".join(str(error).split())
            raise BadInput(f"{where}: not {what}: another schema: {problem}") from error
    whole = pa.concat_tables(tables) if tables else schema().empty_table()
    try:
        return conforming(without_huge(checked(_encoded(whole))), what)
    except (pa.ArrowException, ValueError) as error:
        raise BadInput(f"{lines[0][0].rpartition(':')[0]}: not {what}: {error}") from error


def _encoded(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if str(field.type) == "string":
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
    return table


BROKEN = "it was edited by hand or is broken; save it again from a run"


def _table(content: Mapping[str, Any]) -> pa.Table:
    import pyarrow as pa

    try:
        hashes = np.frombuffer(base64.b64decode(content["data"], validate=True), "<i8")
    except binascii.Error as error:
        raise ValueError(f"data: {error}") from error
    own = content.get("replicate")
    replicates = list(range(hashes.size)) if own is None else own
    status = dict.fromkeys(replicates, "ok")
    for name, silent in content["status"].items():
        if name not in STATUSES:
            raise ValueError(f"status: {name}")
        status.update((replicate, name) for replicate in silent if replicate in status)
    columns: dict[str, Any] = {
        **{n: [content.get(n) if n in LATER else content[n]] * hashes.size for n in SCORED},
        "replicate": replicates, "refit": [0] * hashes.size, "data_hash": hashes,
        "status": [status[replicate] for replicate in replicates],
        "seconds": [content.get("seconds")] * hashes.size,
    }  # fmt: skip
    for name in CELLS:
        values = content["columns"].get(name)
        column = values if isinstance(values, list) else [values] * hashes.size
        columns[name] = [_number(v) if name in NUMBERS_ALSO else v for v in column]
    return pa.table({name: pa.array(columns[name], schema().field(name).type) for name in COLUMNS})


NUMBERS_ALSO = frozenset({*NUMBERS, "df", "statistic"} - {"outside", "passed"})


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
