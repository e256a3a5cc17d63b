"""The file of a twin: a zip of one JSON text and arrays, never a pickle.

The digest is that of the content: the same twin under another name or on another machine has the
same data address.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Column, Derived
from cibench.twins.design import Design
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.fit.structure import Structure
from cibench.twins.generators.base import maker
from cibench.twins.twin import Outcome, Panel, Twin
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical, write_atomically

FORMAT = 1
TEXT = "twin.json"
REFERENCE = "array"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that every part of the zip carries, so that equal twins are equal files."""


def state_of(twin: Twin) -> dict[str, Any]:
    """Return all that a file keeps of a twin, arrays in place."""
    return {
        "format": FORMAT,
        "design": twin.design.state(),
        "known": [asdict(c) for c in twin.known],
        "derived": [asdict(d) for d in twin.derived],
        "structure": twin.structure.state(),
        "family": twin.family,
        "generator": twin.generator.state(),
        "mechanisms": {name: m.state() for name, m in twin.mechanisms.items()},
        "outcome": twin.outcome.state(),
        "panel": twin.panel.state() if twin.panel else None,
        "seed": dict(twin.seed),
        "constants": dict(twin.constants),
        "summaries": dict(twin.summaries),
    }


def twin_of(state: Mapping[str, Any], digest: str) -> Twin:
    """Return the twin that a state describes; raises BadInput where a library is missing."""
    return Twin(
        design=Design.load(state["design"]),
        known=tuple(Column(**{**c, "levels": tuple(c["levels"])}) for c in state["known"]),
        derived=tuple(Derived(**d) for d in state["derived"]),
        structure=Structure.load(state["structure"]),
        family=state["family"],
        generator=maker(state["family"]).load(state["generator"]),
        mechanisms={name: Mechanism.load(m) for name, m in state["mechanisms"].items()},
        outcome=Outcome(**state["outcome"]),
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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    return _opened(content, str(path))


@lru_cache(maxsize=8)
def _opened(content: bytes, where: str) -> Twin:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            text = parts.read(TEXT).decode()
            count = len(parts.namelist()) - 1
            arrays = [
                np.load(io.BytesIO(parts.read(f"{i}.npy")), allow_pickle=False)
                for i in range(count)
            ]
        state = json.loads(text)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise BadInput(f"{where}: not a twin, or a damaged one: {error}") from error
    if state.get("format") != FORMAT:
        raise BadInput(
            f"{where}: a twin of format {state.get('format')}; this version reads format {FORMAT}"
        )
    restored = _restored(state, arrays)
    try:
        return twin_of(restored, packed(restored)[2])
    except (KeyError, TypeError) as error:
        raise BadInput(f"{where}: a damaged twin: {error!r}") from error


def _restored(value: Any, arrays: list[Array]) -> Any:
    if isinstance(value, dict):
        if set(value) == {REFERENCE}:
            return arrays[value[REFERENCE]]
        return {k: _restored(v, arrays) for k, v in value.items()}
    return [_restored(v, arrays) for v in value] if isinstance(value, list) else value
