"""The file of a twin: a zip of one JSON text and arrays, never a pickle.

The digest is that of the content: the same twin under another name or on another machine has the
same data address.
"""

from __future__ import annotations

import ast
import io
import math
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import LATER, Column, Derived
from cibench.twins.cross_section import reconstruct
from cibench.twins.design import Design
from cibench.twins.file_shape import TWIN, misplaced
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.fit.structure import Structure
from cibench.twins.formula import Formula
from cibench.twins.generators.base import maker
from cibench.twins.panel import rebuild_panel
from cibench.twins.twin import Outcome, Panel, Twin
from cibench.utils.errors import BadInput, one_line
from cibench.utils.files import canonical, write_atomically
from cibench.utils.foreign import as_json, read_bytes
from cibench.utils.shapes import check

FORMATS = (1, 2, 3)
"""A file has the oldest format that can say what it says.

2 says more of columns, 3 how many units of a panel adopt.
"""

TEXT = "twin.json"
REFERENCE = "array"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that every part of the zip carries, so that equal twins are equal files."""


def state_of(twin: Twin) -> dict[str, Any]:
    """Return all that a file keeps of a twin, arrays in place."""
    known, outcome = [c.state() for c in twin.known], twin.outcome.state()
    later = any(name in column for column in known for name in LATER)
    counted = twin.panel is not None and twin.panel.counts is not None
    return {
        "format": 3 if counted else 2 if later or {"link", "decimals"} & outcome.keys() else 1,
        "design": twin.design.state(),
        "known": known,
        "derived": [asdict(d) for d in twin.derived],
        "structure": twin.structure.state(),
        "family": twin.family,
        "generator": twin.generator.state(),
        "mechanisms": {name: m.state() for name, m in twin.mechanisms.items()},
        "outcome": outcome,
        "panel": twin.panel.state() if twin.panel else None,
        "seed": dict(twin.seed),
        "constants": dict(twin.constants),
        "summaries": dict(twin.summaries),
    }


def twin_of(state: Mapping[str, Any], digest: str) -> Twin:
    """Return the twin that a state describes; raises BadInput where a library is missing."""
    return Twin(
        design=Design.load(state["design"]),
        known=tuple(map(Column.load, state["known"])),
        derived=tuple(Derived(**d) for d in state["derived"]),
        structure=Structure.load(state["structure"]),
        family=state["family"],
        generator=maker(state["family"]).load(state["generator"]),
        mechanisms={name: Mechanism.load(m) for name, m in state["mechanisms"].items()},
        outcome=Outcome.load(state["outcome"]),
        panel=Panel(**state["panel"]) if state["panel"] else None,
        seed=state["seed"], constants=state["constants"], summaries=state["summaries"],
        digest=digest,
    )  # fmt: skip


def packed(state: Mapping[str, Any]) -> tuple[str, list[Array], str]:
    """Return a state as canonical JSON, the arrays that it refers to, and the digest of both."""
    arrays: list[Array] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(np.ascontiguousarray(value))
            return {REFERENCE: len(arrays) - 1}
        if isinstance(value, Mapping):
            return {str(k): plain(value[k]) for k in sorted(value)}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return value.item() if isinstance(value, np.generic) else value

    text = canonical(plain(state))
    digest = blake2b(text.encode(), digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return text, arrays, digest.hexdigest()


def sealed(twin: Twin) -> Twin:
    """Return the twin with the digest of its content."""
    return replace(twin, digest=packed(state_of(twin))[2])


def save_twin(twin: Twin, path: Path) -> None:
    """Write a twin in one step; raises BadInput where the place cannot be written.

    See `fit_twin` for the whole way.
    """
    text, arrays, _ = packed(state_of(twin))

    def write(to: Path) -> None:
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as parts:
            _add(parts, TEXT, text.encode())
            for place, array in enumerate(arrays):
                buffer = io.BytesIO()
                np.save(buffer, array, allow_pickle=False)
                _add(parts, f"{place}.npy", buffer.getvalue())

    try:
        write_atomically(path, write)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def _add(parts: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    parts.writestr(entry, content)


def open_twin(path: Path) -> Twin:
    """Read a twin; raises BadInput naming the file and what is wrong with it.

    See `fit_twin` for the whole way.
    """
    return _opened(read_bytes(path), str(path))


MOST_PARTS = 10_000
MOST_BYTES = 1_000_000_000
"""Bytes of a twin's parts together, unpacked."""

MOST_AXES = 4
TRIAL = 50
"""Units that are drawn of a twin as it is opened, to see whether its parts go together."""

DAMAGED = "a twin, or a damaged one"


@lru_cache(maxsize=8)
def _opened(content: bytes, where: str) -> Twin:
    try:
        text, arrays = _parts(content)
    except (*UNREADABLE, MemoryError) as error:
        raise BadInput(f"{where}: not {DAMAGED}: {one_line(error)}") from error
    state = as_json(text, {"format": int}, where, DAMAGED)
    if state["format"] not in FORMATS:
        readable = f"{', '.join(map(str, FORMATS[:-1]))} and {FORMATS[-1]}"
        raise BadInput(
            f"{where}: a twin of format {state['format']}; this version reads formats {readable}"
        )
    restored = _restored(state, arrays)
    check(restored, TWIN, f"{where}: a damaged twin")
    try:
        if problem := misplaced(restored["generator"]):
            raise ValueError(problem)
        twin = twin_of(restored, packed(restored)[2])
        _try(twin)
    except BadInput as error:
        raise BadInput(*(f"{where}: {line}" for line in error.args)) from error
    except Exception as error:  # whatever numpy makes of parts that do not go together
        raise BadInput(f"{where}: a damaged twin: {one_line(error)}") from error
    return twin


def _try(twin: Twin) -> None:
    """Draw a few units; raises whatever it comes to where the twin's parts do not go together."""
    if twin.structure.effect_formula:  # which is read where no effect is asked for
        Formula(twin.structure.effect_formula)
    draw = reconstruct if twin.panel is None else rebuild_panel
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin.table(draw(twin, TRIAL, np.random.default_rng(0), 0.0, {}).columns)


UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, LookupError, ValueError, EOFError, OSError,
    NotImplementedError, RuntimeError, SyntaxError, TypeError,
)  # fmt: skip
"""What reading a zip raises that somebody has tampered with: encrypted parts are RuntimeErrors."""


def _parts(content: bytes) -> tuple[bytes, list[Array]]:
    """Return the text of a twin's file and its arrays; raises one of `UNREADABLE`."""
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        entries = parts.infolist()
        names = [entry.filename for entry in entries]
        if len(names) > MOST_PARTS or len(set(names)) < len(names):
            raise ValueError(f"{len(names):,} parts, or two of one name")
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ValueError(f"its parts have over {MOST_BYTES:,} bytes")
        text = _content(parts, TEXT)
        arrays = [_array(_content(parts, f"{place}.npy")) for place in range(len(names) - 1)]
    return text, arrays


def _content(parts: zipfile.ZipFile, name: str) -> bytes:
    """Return a part, of no more bytes than its entry declares."""
    size = parts.getinfo(name).file_size
    with parts.open(name) as part:
        content = part.read(size + 1)
    if len(content) != size:
        raise ValueError(f"{name} has not the {size:,} bytes that it declares")
    return content


MAGIC = b"\x93NUMPY\x01\x00"
LONGEST_HEADER = 10_000
PLAIN = re.compile("[<|][iufb][1248]")


def _array(content: bytes) -> Array:
    """Return the array of a part: numbers, as many as there are bytes for.

    Whoever lets numpy load it lets it make room for what is declared.
    """
    if not content.startswith(MAGIC):
        raise ValueError("a part that is no array")
    start = len(MAGIC) + 2 + int.from_bytes(content[len(MAGIC) : len(MAGIC) + 2], "little")
    if start > LONGEST_HEADER:
        raise ValueError(f"an array whose description has {start:,} letters")
    about = ast.literal_eval(content[len(MAGIC) + 2 : start].decode("latin-1").strip())
    kind, shape, by_column = about["descr"], about["shape"], about["fortran_order"]
    if not isinstance(kind, str) or not PLAIN.fullmatch(kind) or len(shape) > MOST_AXES:
        raise ValueError(f"an array of {kind} in {len(shape)} dimensions")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"an array of {shape} elements")
    numbers, count, left = np.dtype(kind), math.prod(shape), len(content) - start
    if count * numbers.itemsize != left:
        raise ValueError(f"an array declared with {count:,} elements has {left:,} bytes")
    flat = np.frombuffer(content, dtype=numbers, offset=start)
    return flat.reshape(shape, order="F" if by_column else "C").copy()


def _restored(value: Any, arrays: list[Array]) -> Any:
    if isinstance(value, dict):
        place = value.get(REFERENCE)
        if len(value) == 1 and isinstance(place, int) and 0 <= place < len(arrays):
            return arrays[place]
        return {k: _restored(v, arrays) for k, v in value.items()}
    return [_restored(v, arrays) for v in value] if isinstance(value, list) else value
