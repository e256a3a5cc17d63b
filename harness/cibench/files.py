"""Text on disk: canonical JSON, TOML of what a suite file holds, and writing without halves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces, equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def toml(spec: Mapping[str, Any]) -> str:
    """Return the TOML text of a mapping whose "cells" are an array of tables."""
    lines = [f"{_key(k)} = {_value(v)}" for k, v in spec.items() if k != "cells"]
    for cell in spec.get("cells", ()):
        lines += ["", "[[cells]]", *(f"{_key(k)} = {_value(v)}" for k, v in cell.items())]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)  # TOML spells inf and nan as Python does
    return json.dumps(value, ensure_ascii=False)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a hidden neighbour of `path` and put it in place in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write indented JSON atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def size(count: float) -> str:
    """Return bytes as people write them: "2 GB", "350 MB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:g} bytes"
