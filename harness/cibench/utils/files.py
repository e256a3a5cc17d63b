"""Text on disk: canonical JSON, and writing without halves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

from cibench.utils.errors import BadInput


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces, equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def asset(package: str, name: str) -> str:
    """Return a text file that comes with a package: a style, a script, a template, words."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a hidden neighbour of `path` and put it in place in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file and the folders above it, whole or not at all; raises BadInput."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


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


def write_folder(folder: Path, files: Mapping[str, str], private: tuple[str, ...] = ()) -> None:
    """Write texts into a hidden neighbour of the folder and put it in place in one step.

    Private files are for their owner alone. Raises BadInput where the place cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        for name, text in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name in private:
            (temporary / name).chmod(0o600)
        if folder.exists():
            folder.rmdir()
        temporary.replace(folder)
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Write a new text file that only its owner may read, never over another one.

    Raises FileExistsError where there is one already.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


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
