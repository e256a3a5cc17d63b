"""From fits to rows: what a fit's answers say in the columns of a replicate row."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cibench import answer
from cibench.method import Estimator
from cibench.model import Draw, Roles, Target, Truth
from cibench.rows import schema

if TYPE_CHECKING:
    import pyarrow as pa


class Entrant(NamedTuple):
    """Hold an estimator with its options as a fit takes them, and what it is asked here."""

    estimator: Estimator
    options: Mapping[str, Any]
    text: str
    targets: tuple[Target, ...]


def sample_truths(draw: Draw, entrants: list[Entrant]) -> dict[Target, Truth]:
    """Return the truths that a draw has of its own: those of what is asked about the sample."""
    asked = {t for e in entrants for t in e.targets if t.estimand.of_sample}
    return {t: Truth(float(np.mean(draw.averaged(t)))) for t in asked}


def rows_of(
    replicate: int, entrant: Entrant, fitted: answer.Fitted,
    truths: Mapping[Target, Truth], data_hash: int | None, refit: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the rows of one fit, one for each target; a row lacks the columns that are blank."""
    rows = []
    for one in fitted.answers:
        row = {
            "kind": entrant.estimator.kind, "options": entrant.text, "replicate": replicate,
            "refit": refit, "estimator": entrant.estimator.name, "status": one.status,
            "reason": one.reason, "warnings": fitted.warnings, "seconds": fitted.seconds,
            "data_hash": data_hash, **one.numbers,
        }  # fmt: skip
        if one.target is not None:
            row |= _of_target(one.target, truths.get(one.target), row.pop("draws", None))
        rows.append(row)
    return rows


def _of_target(target: Target, truth: Truth | None, draws: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {"estimand": str(target.estimand), "horizon": target.horizon}
    if truth is not None:
        columns |= {"truth": truth.value, "truth_mcse": truth.mcse}
        if draws is not None:
            columns["pit"], columns["crps"] = answer.reduce_posterior(draws, truth.value)
    return columns


def hash_columns(draw: Draw, roles: Roles) -> int:
    """Return 64 bits of what the estimators see: names, types and contents of the columns."""
    digest = blake2b(digest_size=8)
    for name in sorted(roles.columns):
        column = np.ascontiguousarray(draw.columns[name])
        digest.update(f"{name}:{column.dtype.str}:{column.shape}".encode())
        digest.update(column.tobytes() if column.dtype.hasobject else column.data)
    return int.from_bytes(digest.digest(), "little", signed=True)


def as_table(key: Mapping[str, Any], level: float, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows of one cell as a table with the columns of a shard."""
    import pyarrow as pa

    constant = {**key, "level": level}
    columns = []
    for field in schema():
        if field.name in constant:
            columns.append(pa.repeat(pa.scalar(constant[field.name], field.type), len(rows)))
        else:
            columns.append(pa.array([row.get(field.name) for row in rows], field.type))
    return pa.Table.from_arrays(columns, schema=schema())


def first_fits(table: pa.Table) -> int:
    """Count the rows of first fits: how many refits there are is only known when they are done."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.equal(table["refit"], 0)).as_py() or 0)
