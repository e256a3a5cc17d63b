"""Baselines: a run in a form that is compact, committed, diffable and the same on every machine.

`baselines/NAME/` holds `suite.toml` (the suite as run, its plug-ins relative to the working
directory), `scores.csv` (what a diff shows), `estimates.parquet` (every replicate, since the
comparison is paired) and `baseline.json` with versions, machine, seed, source digests and a digest
of it all, which tells an edit by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.gate.pairing import read_rows
from cibench.storage.manifest import read_suite
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import (
    NEXT,
    canonical,
    finish_replacement,
    replaced_files,
    write_csv,
    write_json,
    write_text,
)
from cibench.utils.toml import to_toml

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from cibench.results.run_folder import Run


def portable_suite(run: Run) -> str:
    """Return the run's suite file with plug-ins relative to the working directory, no figures."""
    spec = read_suite(run.folder)
    spec.pop("published", None)
    here = Path.cwd()
    if plugins := spec.get("plugins"):
        listed = [plugins] if isinstance(plugins, str) else plugins
        spec["plugins"] = [_relative(plugin, here) for plugin in listed]
    return to_toml(spec)


def _relative(plugin: str, here: Path) -> str:
    path = Path(plugin)
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else plugin


def spoken(catalogue: dict[str, Any]) -> dict[str, Any]:
    """Return what a comparison needs of a catalogue: dials' defaults, and who has no moments."""
    scenarios = {
        name: {
            "moments": about.get("moments", True),
            "dials": {d: {"default": s.get("default", 0)} for d, s in about["dials"].items()},
        }
        for name, about in (catalogue.get("scenarios") or {}).items()
    }
    estimators = {
        name: {"moments": about.get("moments", True), "uses": about.get("uses", [])}
        for name, about in (catalogue.get("estimators") or {}).items()
    }
    return {"scenarios": scenarios, "estimators": estimators}


FORMAT = 1
FOLDER = Path("baselines")
SUITE, SCORES, ROWS, ABOUT = "suite.toml", "scores.csv", "estimates.parquet", "baseline.json"
FILES = (SUITE, SCORES, ROWS, ABOUT)
KEPT = (
    "suite", "seed", "replicates", "level", "expected_rows", "stored_rows", "protocol", "versions",
    "platform", "python", "cpu_features", "sources",
)  # fmt: skip
"""What of a run's manifest goes into a baseline."""


@dataclass(frozen=True)
class Baseline:
    """Hold a baseline's folder; its tables are read on first access.

    `cibench.gate.baseline` has `save` for a run, and `load` for a name, which checks the digest.
    `about` and `rows` raise BadInput where their files are not readable.

    >>> import cibench
    >>> from cibench.gate import Rules, check_run
    >>> from cibench.gate.baseline import save
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> baseline = save(run, "small")
    >>> baseline.name, baseline.folder.as_posix(), baseline.rows.num_rows, baseline.about["seed"]
    ('small', 'baselines/small', 20, 1)
    >>> str(check_run(run, baseline, Rules()).verdict)
    'identical'
    """

    folder: Path

    @property
    def name(self) -> str:
        """Return its name: the path below a folder `baselines`, or the folder's own name."""
        parts = self.folder.parts
        below = parts[parts.index(FOLDER.name) + 1 :] if FOLDER.name in parts else ()
        return "/".join(below) or self.folder.name

    @cached_property
    def about(self) -> dict[str, Any]:
        """Return versions, machine, seed, digests and what the catalogue said of moments."""
        return _read_about(self.folder)

    @cached_property
    def rows(self) -> pa.Table:
        """Return its replicate rows, as far as a comparison needs them."""
        return read_rows(self.folder / ROWS)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return its score table."""
        import pandas as pd

        return pd.read_csv(self.folder / SCORES).copy()  # in one piece: it has many columns


def save(run: Run, name: str, root: Path = FOLDER, *, replace: bool = False) -> Baseline:
    """Write a run as the baseline NAME; raises BadInput where there is one and not `replace`.

    An incomplete run is refused. Its four files are replaced together, and no others: a baseline
    has its old ones or its new ones, whatever ends this.
    """
    folder = root / _valid_name(name)
    finish_replacement(folder)
    if not replace and any((folder / file).exists() for file in FILES):
        raise BadInput(f"{folder} exists; name another baseline, or replace it with --replace")
    manifest = run.manifest
    if manifest.get("precision"):
        raise BadInput(
            f"{run.folder}: its cells have counts of their own; a baseline needs one count for "
            "all, `replicates` instead of `precision`"
        )
    rows = read_rows(run.folder)
    if rows.num_rows != manifest["expected_rows"]:
        wanted = manifest["expected_rows"]
        raise BadInput(f"{run.folder} is incomplete: {rows.num_rows} of {wanted} rows are stored")
    with replaced_files(folder) as coming:
        _write(run, rows, coming)
    return Baseline(folder)


def _write(run: Run, rows: pa.Table, folder: Path) -> None:
    import pyarrow.parquet as pq

    write_text(folder / SUITE, portable_suite(run))
    write_csv(folder / SCORES, run.scores)
    pq.write_table(rows, folder / ROWS, compression="zstd", compression_level=9)
    kept = {name: run.manifest.get(name) for name in KEPT}
    about = {
        "format": FORMAT, "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **kept, "catalogue": spoken(run.catalogue),
    }  # fmt: skip
    write_json(folder / ABOUT, {**about, "digest": digest(folder, about)})


def digest(folder: Path, about: dict[str, Any]) -> str:
    """Return the digest of a baseline's contents; line endings of text do not count."""
    hasher = blake2b(digest_size=16)
    for name in (SUITE, SCORES):
        hasher.update(name.encode() + (folder / name).read_bytes().replace(b"\r\n", b"\n"))
    hasher.update((folder / ROWS).read_bytes())
    content = {key: value for key, value in about.items() if key != "digest"}
    hasher.update(canonical(content).encode())
    return hasher.hexdigest()


def load(name: str, root: Path = FOLDER) -> Baseline:
    """Return a baseline by name or path, verified by its digest.

    Raises BadInput with the near miss, for a later format and for one that was edited by hand.
    """
    for place in (root / name, Path(name)):
        finish_replacement(place)
    folder = root / name if (root / name / ABOUT).is_file() else Path(name)
    if not (folder / ABOUT).is_file():
        raise BadInput(unknown("baseline", name, [b.name for b in saved_baselines(root)]))
    baseline = Baseline(folder)
    try:
        actual = digest(folder, baseline.about)
    except OSError as error:
        raise BadInput(f"{error.filename}: {error.strerror}; the baseline is broken") from error
    if actual != baseline.about.get("digest"):
        raise BadInput(
            f"{folder}: its digest is not that of its contents: it was edited by hand or is "
            "broken; save it again from a run"
        )
    return baseline


def saved_baselines(root: Path = FOLDER) -> list[Baseline]:
    """Return the baselines below a folder, by name."""
    for coming in sorted(root.rglob(NEXT)):
        finish_replacement(coming.parent)
    folders = [path.parent for path in sorted(root.rglob(ABOUT))]
    return [Baseline(folder) for folder in folders if not folder.name.startswith(".")]


def _read_about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable: {error}") from error
    if about.get("format", 0) > FORMAT:
        version = (about.get("versions") or {}).get("cibench", "another version")
        raise BadInput(f"{path}: written by cibench {version}, whose format is newer")
    return about


def _valid_name(name: str) -> str:
    parts = name.split("/")
    if not all(part and part.strip("-_.") and _plain(part) for part in parts):
        raise BadInput(f"'{name}' is not a name of letters, digits, '-', '_' and '.'")
    return name


def _plain(part: str) -> bool:
    return all(c.isalnum() or c in "-_." for c in part) and not part.startswith(".")
