"""What strangers may do to a file, and what must become of it: it works, or is refused in lines."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from cibench.utils.errors import BadInput

ALARM_SECONDS = 60
"""After which something hangs; no benchmark."""

SAME_FOLDER = settings(suppress_health_check=list(HealthCheck))
"""The folder is laid out anew for every example."""


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


VALUES = (
    None, True, False, 0, -1, 1, 10**15, 10**30, -(10**30), 0.5, 1e308, -1e308, 1e-320,
    float("nan"), float("inf"), "", "x", "x" * 200_000, "../../outside", "/etc/passwd", "a\0b",
    "\x1b[2J\x1b[31m", "\u202egnp.exe", "\ud800", "=cmd|'/c calc'!A1", "NaN", "1e999", "{}", "[",
    [], {}, [[]], [None], ["x"] * 1000, {"": 1}, {"a": {"b": 2}}, deep(30), deep(90), "é",
)  # fmt: skip

CELLS = (
    "", " ", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1_000", "1,5", "0x10",
    "x" * 140_000,
    "x" * 1000, "=1+1", "'=1+1", '"', '"a\nb"', '""""', "\0", "\x1b[2J", "../../outside", "é",
    "9" * 5000, ";;;;", ",,,,", "\r", "\u2028", "١",
)  # fmt: skip

KINDS = (
    "value", "value", "value", "value", "drop", "rename", "twice", "cut", "flip", "insert",
    "encode", "nest", "empty",
)  # fmt: skip
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig", "utf-7")

EDIT = st.tuples(st.sampled_from(KINDS), st.integers(0, 10_000), st.integers(0, 10_000))
"""One edit of a file: its kind, its place, and what comes there."""


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container within a JSON value, each with one of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in list(items):
        yield value, key
        if isinstance(below, dict | list):
            yield from places(below)


def edited_json(content: bytes, edit: tuple[str, int, int], dump: Any = json.dumps) -> bytes:
    """Return a JSON file with one edit."""
    kind, place, choice = edit
    if kind not in ("value", "drop", "rename", "twice", "nest"):
        return edited_bytes(content, edit)
    value = json.loads(content)
    spots = list(places(value))
    container, key = spots[place % len(spots)]
    if kind == "value":
        container[key] = VALUES[choice % len(VALUES)]
    elif kind == "nest":
        container[key] = {"a": [container[key]]} if choice % 2 else [container[key]]
    elif kind == "drop":
        del container[key]
    elif isinstance(container, dict):
        text = json.dumps(container.pop(key))
        names = ("x", key[:-1], f"{key}s", key.upper(), "", "\x1b[2J", "__class__", f"{key}?")
        name = key if kind == "twice" else names[choice % len(names)]
        container["@"] = "@"
        whole = dump(value)
        pair = f"{json.dumps(name)}: {text}"
        pairs = f"{pair}, {pair}" if kind == "twice" else pair
        return whole.replace('"@": "@"', pairs).encode("utf-8", "surrogatepass")
    return dump(value).encode("utf-8", "surrogatepass")


def edited_csv(content: bytes, edit: tuple[str, int, int]) -> bytes:
    """Return a CSV file with one edit."""
    kind, place, choice = edit
    lines = [line.split(",") for line in content.decode().splitlines()]
    row = lines[place % len(lines)]
    column = (place // len(lines)) % len(row)
    if kind == "value":
        row[column] = CELLS[choice % len(CELLS)]
    elif kind == "drop":
        if choice % 3 == 0:
            lines.remove(row)
        else:
            del row[column]
    elif kind == "rename":
        lines[0][column % len(lines[0])] = CELLS[choice % len(CELLS)]
    elif kind == "twice":
        if choice % 2:
            lines.append(row)
        else:
            row.append(row[column])
    elif kind == "nest":
        for each in lines:
            each.extend(f"c{number}" for number in range((choice % 3) * 800))
    else:
        return edited_bytes(content, edit)
    return "\n".join(map(",".join, lines)).encode("utf-8", "surrogatepass")


def edited_bytes(content: bytes, edit: tuple[str, int, int]) -> bytes:
    """Return a file's bytes with one edit that knows nothing of what they are."""
    kind, place, choice = edit
    at = (place * 7919) % (len(content) + 1)
    if kind == "empty":
        return (b"", b"\0" * 1000, b"\n", b"{}", b"[]", b"null", b"\xff\xfe")[choice % 7]
    if kind == "cut":
        return content[:at]
    if kind == "insert":
        more = (b"\0", b"\xff", b"\n", b'"', b"{", b"[" * 5000, b"9" * 5000, b"\x1b[2J", b",")
        return content[:at] + more[choice % len(more)] + content[at:]
    if kind == "encode":
        text = content.decode("latin-1") if choice % 2 else content.decode(errors="replace") + "é"
        encoding = ENCODINGS[place % len(ENCODINGS)]
        return text.encode(encoding, "replace")
    at = min(at, max(len(content) - 1, 0))
    flipped = bytes([content[at] ^ (1 << choice % 8)]) if content else b""
    return content[:at] + flipped + content[at + 1 :]


@contextmanager
def alarm(seconds: int = ALARM_SECONDS) -> Iterator[None]:
    """End a test that hangs."""

    def ring(*_: Any) -> None:
        raise TimeoutError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refusal(call: Callable[[], Any], *names: Any) -> list[str]:
    """Return the lines with which a call refuses what it reads, none where it works.

    Each is one line of readable length without what moves a cursor, and names one of `names`.
    """
    with alarm(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call()
        except BadInput as error:
            lines = [str(line) for line in error.args]
            assert lines and len(lines) <= 30
            for line in lines:
                assert "\n" not in line and len(line) <= 2000, line[:300]
                assert "\x1b" not in line, line[:300]
                line.encode()
                assert not names or any(str(name) in line for name in names), line
            return lines
    return []


def listing(folder: Path) -> dict[str, Any]:
    """Return what lies in a folder: names, and what the files hold."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*")) if not path.is_symlink()
    }  # fmt: skip


@contextmanager
def nothing_changes(folder: Path, but: str = "") -> Iterator[None]:
    """See to it that nothing in a folder changes but what lies under one name."""

    def others() -> dict[str, Any]:
        return {
            name: content for name, content in listing(folder).items()
            if not but or name.split("/")[0] != but
        }  # fmt: skip

    before = others()
    yield
    assert others() == before


def pipe(path: Path) -> Path:
    """Put a pipe in the place of a file, which whoever reads waits for for ever."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path
