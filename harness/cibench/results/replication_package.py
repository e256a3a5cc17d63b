"""One file with a run, its plug-ins and tables, and words on how to make each of them again.

It is a zip of a folder: `README.md`, `SHA256SUMS`, `requirements.txt` and `run/`. The same rows
and tables give the same bytes. What belongs to a machine (paths, hosts, locks) stays out.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cibench.model.registry import is_data
from cibench.render.shell import command, place
from cibench.results.run_folder import Run
from cibench.storage import manifest as notes
from cibench.storage.handed_in import KEY
from cibench.storage.lock import locked
from cibench.storage.plugin_copies import COPIED
from cibench.storage.shards import REPLICATES
from cibench.suite.origins import PLUGINS
from cibench.suite.rows_elsewhere import MADE_ELSEWHERE
from cibench.utils.errors import BadInput, Unwritable
from cibench.utils.files import (
    asset,
    check_new,
    make_folder,
    put_folder,
    sync_tree,
    write_atomically,
    write_bytes,
    write_json,
    write_text,
)
from cibench.utils.foreign import own_file, require_file
from cibench.utils.leftovers import temporary, temporary_folder
from cibench.utils.names import require_inside
from cibench.utils.near_paths import near_path
from cibench.utils.toml import read_toml, several, to_toml

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that every part of the zip carries, so that equal packages are equal files."""

RUN, SUMS, README, REQUIREMENTS = "run", "SHA256SUMS", "README.md", "requirements.txt"
MOST_PARTS, MOST_BYTES = 200_000, 20 * 2**30
"""Bounds of a package that is unpacked, and of its parts together."""

SUM = re.compile(r"([0-9a-f]{64})  (.+)")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Package:
    """Say where a replication package is, its digest (SHA-256) and how many files it has.

    See `pack`, which returns one.
    """

    path: Path
    digest: str
    files: int


def pack(run: Run, out: str | Path | None = None) -> Package:
    """Write a run as one file that can be handed on, with its tables made anew.

    `out` is the file [NAME.zip, after the suite]. Raises BadInput where the run is in use, holds
    damaged files or was made before runs had copies of their plug-ins, where there is such a file,
    and where it cannot be written.

    >>> import cibench
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> from cibench.results import pack, unpack
    >>> package = pack(run, "small.zip")
    >>> len(cibench.load(unpack(package.path, "again") / "run").replicates)
    20
    """
    about = run.manifest
    path = Path(out) if out is not None else Path(f"{about['suite']}.zip")
    if path.exists():
        raise BadInput(f"{path} is there already; name another file with --out")
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.parent}")
    _check_plugins(run)
    try:
        with locked(run.folder), temporary_folder("pack") as place:
            folder = place / path.stem
            _fill(folder, run)
            names = _names(folder)
            write_atomically(path, lambda to: _zip(to, folder, names))
    except Unwritable:
        raise
    except OSError as error:
        raise BadInput(f"{error.filename or path}: {error.strerror or error}") from error
    return Package(path, _digest(path), len(names))


def _check_plugins(run: Run) -> None:
    """Raise BadInput where the suite file names plug-ins that are not in the folder."""
    for plugin in _outside(run):
        if plugin.endswith(COPIED) and not Path(plugin).is_file():
            raise BadInput(
                f"{run.place}: it does not hold '{plugin}', and there is no such file; the file of "
                "data sets that exist, and these, are put beside the run's suite.toml"
            )
        if plugin.endswith(COPIED) and not is_data(plugin, ".toml"):
            again = command("run", place(run.place))
            raise BadInput(
                f"{run.place}: it does not hold its plug-in '{plugin}'; '{again}' "
                "once more brings it in"
            )


def _suite_file(run: Run) -> dict[str, Any]:
    """Return the content of the suite file, with the names that it has for plug-ins."""
    content, _ = read_toml(own_file(run.folder, notes.SUITE))
    return content


def _outside(run: Run) -> list[str]:
    named = several(_suite_file(run).get("plugins", []))
    return [str(plugin) for plugin in named if not str(plugin).startswith(f"{PLUGINS}/")]


def _fill(folder: Path, run: Run) -> None:
    """Lay out the folder that becomes the package."""
    inside = folder / RUN
    make_folder(inside)
    for name in notes.NOTES:
        if own_file(run.folder, name).exists():
            shutil.copyfile(run.folder / name, inside / name)
    for part in (REPLICATES, PLUGINS):
        for path in sorted(own_file(run.folder, part).rglob("*")):
            if not path.is_dir() or path.is_symlink():
                require_file(path)
            where = path.relative_to(run.folder)
            if path.is_file() and not any(word.startswith(".") for word in where.parts):
                make_folder((inside / where).parent)
                shutil.copyfile(path, inside / where)
    content = _suite_file(run)
    if "plugins" in content:
        plugins = [_name_here(str(plugin)) for plugin in several(content["plugins"])]
        write_text(inside / notes.SUITE, to_toml({**content, "plugins": plugins}))
    about = {key: value for key, value in run.manifest.items() if key != "hosts"}
    write_json(inside / notes.MANIFEST, about)
    Run(inside).write_scores()
    texts = {REQUIREMENTS: _requirements(about), README: _readme(folder.name, about, _outside(run))}
    for name, text in texts.items():
        write_text(folder / name, text)
    sums = "".join(f"{_digest(folder / name)}  {name}\n" for name in _names(folder))
    write_text(folder / SUMS, sums)


def _name_here(plugin: str) -> str:
    """Return the name of a plug-in in a package: data sets that exist are to be put beside it."""
    return Path(plugin).name if plugin.endswith(COPIED) and Path(plugin).is_absolute() else plugin


def _requirements(about: Mapping[str, Any]) -> str:
    """Return the packages that the rows rest on, as `pip install -r` reads them."""
    lines = [f"# Python {about['python']}"]
    for name, version in sorted(about["versions"].items()):
        if VERSION.fullmatch(name) and VERSION.fullmatch(str(version).partition("+")[0]):
            lines.append(f"{name}=={version}")
        else:  # another language, or not installed
            lines.append(f"# {name}: {version}")
    return "\n".join(lines) + "\n"


def _readme(name: str, about: Mapping[str, Any], outside: list[str]) -> str:
    kind = "table" if about.get(MADE_ELSEWHERE) else "run"
    handed_in = sorted(about.get(KEY) or {})
    rows, due = about["stored_rows"], about["expected_rows"]
    words = {
        "NAME": name, "SUITE": about["suite"], "ROWS": f"{rows:,}",
        "WHOLE": "" if rows == due else f" of {due:,}: the run had not ended",
        "CIBENCH": str(about["versions"].get("cibench", "?")), "PYTHON": about["python"],
        "PLATFORM": about["platform"],
        "AGAIN": asset("cibench", f"templates/package_{kind}.md.txt"),
        "OUTSIDE": "".join(
            f"\nThe data sets of `{Path(plugin).name}` are not in here: put it, and the folder of "
            "data sets that it names, beside `run/suite.toml`.\n"
            if plugin.endswith(COPIED) else
            f"\nThe plug-in `{plugin}` is a module of an installed package and not in here.\n"
            for plugin in outside
        ) + "".join(
            f"\nThe answers of `{method}` were handed in: its rows are in here, and nothing makes "
            "them again, so that a run made anew is without them.\n"
            for method in handed_in
        ),
    }  # fmt: skip
    text = asset("cibench", "templates/package.md.txt")
    for key in ("AGAIN", *words):
        text = text.replace(f"@{key}@", str(words[key]))
    return text


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _zip(to: Path, folder: Path, names: list[str]) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as parts:
        for name in names:
            entry = zipfile.ZipInfo(f"{folder.name}/{name}", LONG_AGO)
            stored = name.endswith((".parquet", ".twin"))  # which are compressed
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            parts.writestr(entry, (folder / name).read_bytes())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(path: str | Path, out: str | Path | None = None) -> Path:
    """Unpack a replication package, check each file's digest and return the folder.

    `out` is the folder [the package's name, here]. Nothing is executed. Raises BadInput where the
    file is no such package, a file is missing, too much or not the one that was packed, and where
    there is such a folder.

    See `pack`, which makes one.
    """
    path = Path(path)
    folder = Path(out) if out is not None else Path(path.stem)
    check_new(folder)
    require_file(path)
    if not path.exists():
        raise BadInput(f"{path}: No such file or directory{near_path(path)}")
    with _reading(path), zipfile.ZipFile(path) as parts:
        entries = _entries(parts, path)
        building = temporary(folder)
        shutil.rmtree(building, ignore_errors=True)
        try:
            for name, entry in entries.items():
                make_folder((building / name).parent)
                write_bytes(building / name, _part(parts, entry))
            _check_sums(building, set(entries), path)
            sync_tree(building)
            put_folder(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except BadInput:
        raise
    except UNREADABLE as error:
        raise BadInput(f"{path}: no replication package, or a damaged one ({error})") from error


UNREADABLE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, EOFError, OSError, NotImplementedError,
    RuntimeError, LookupError,
)  # fmt: skip
"""What reading a zip raises that somebody has tampered with: encrypted parts are RuntimeErrors."""


def _entries(parts: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the parts by their names below the package's folder; raises BadInput."""
    entries: dict[str, zipfile.ZipInfo] = {}
    lower: set[str] = set()
    every = [entry for entry in parts.infolist() if not entry.is_dir()]
    if len(every) > MOST_PARTS or sum(entry.file_size for entry in every) > MOST_BYTES:
        raise BadInput(f"{path}: over {MOST_PARTS:,} files or {MOST_BYTES:,} bytes")
    for entry in every:
        _, _, name = require_inside(entry.filename, str(path)).partition("/")
        if not name or name.casefold() in lower:  # two names, one file on some disks
            raise BadInput(f"{path}: {entry.filename!r} is twice in it, or in no folder")
        lower.add(name.casefold())
        entries[name] = entry
    tops = {entry.filename.partition("/")[0] for entry in every}
    if len(tops) != 1 or not {SUMS, f"{RUN}/{notes.MANIFEST}"} <= set(entries):
        raise BadInput(f"{path}: no replication package: it has no {SUMS} or no run beside it")
    return entries


def _part(parts: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return a part, of no more bytes than its entry declares."""
    with parts.open(entry) as part:
        content = part.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"{entry.filename} has not the {entry.file_size:,} bytes it declares")
    return content


def _check_sums(folder: Path, names: set[str], path: Path) -> None:
    """Raise BadInput where a file is not as SHA256SUMS says, is not there, or is in no line."""
    sums = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        match = SUM.fullmatch(line)
        if match is None:
            raise BadInput(f"{path}: {SUMS}: {line[:80]!r} is no line of it")
        sums[match[2]] = match[1]
    for name in sorted((names - {SUMS}) ^ set(sums)):
        raise BadInput(f"{path}: '{name}' is {'not in ' + SUMS if name in names else 'missing'}")
    for name, digest in sums.items():
        if _digest(folder / name) != digest:
            raise BadInput(f"{path}: '{name}' is not the file that was packed")
