"""The run folder: suite, manifest, catalogue and shards of replicate rows, each put in place whole.

Nothing here needs the registry to be read again: a folder can be scored and reported for ever.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.errors import BadInput
from cibench.files import toml, write_atomically, write_json
from cibench.rows import TYPES
from cibench.suite import Suite

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = 1
SUITE, MANIFEST, CATALOGUE, REPLICATES, PUBLISHED = (
    "suite.toml", "manifest.json", "catalogue.json", "replicates", "published.csv",
)  # fmt: skip


def check_free(folder: Path) -> None:
    """Refuse a folder that exists and is not empty, or a path that is a file."""
    if folder.is_file():
        raise BadInput(f"{folder} is a file, not a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty; name another folder with --out, or remove it")


def create(folder: Path, suite: Suite) -> None:
    """Lay out a new run folder with all but the rows."""
    from cibench import catalogue, provenance

    described = catalogue.describe(suite.scenarios, suite.estimators)
    manifest = {
        "format": FORMAT,
        "suite": suite.name,
        "seed": suite.seed,
        "replicates": suite.replicates,
        "level": suite.level,
        "created": _now(),
        "finished": None,
        "expected_rows": suite.expected_rows,
        "stored_rows": 0,
        "protocol": provenance.protocol(suite),
        "versions": provenance.versions(suite.libraries),
        **provenance.machine(),
        "sources": provenance.sources(suite),
        "declined": [refusal._asdict() for refusal in suite.refusals],
    }
    try:
        (folder / REPLICATES).mkdir(parents=True, exist_ok=True)
        _write_suite(folder, suite)
        write_json(folder / CATALOGUE, described)
        write_json(folder / MANIFEST, manifest)
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}") from error


def _write_suite(folder: Path, suite: Suite) -> None:
    text = suite.as_toml()
    if suite.published:
        figures = suite.published.read_bytes()
        write_atomically(folder / PUBLISHED, lambda p: p.write_bytes(figures))
        text = toml({**suite.spec, "published": PUBLISHED})
    write_atomically(folder / SUITE, lambda p: p.write_text(text, encoding="utf-8"))


def write_cell(folder: Path, cell: int, parts: list[tuple[int, pa.Table]]) -> None:
    """Write all rows of one cell as one shard, in replicate order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([part for _, part in sorted(parts, key=lambda part: part[0])])
    path = folder / REPLICATES / f"cell-{cell:05d}.parquet"
    write_atomically(path, lambda p: pq.write_table(table, p, compression="zstd"))


def finish(folder: Path, stored: int) -> None:
    """Note in the manifest that the run has ended and how many rows it stored."""
    manifest = read_manifest(folder)
    write_json(folder / MANIFEST, {**manifest, "finished": _now(), "stored_rows": stored})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest; raises BadInput where the folder is no run or one of a later format."""
    manifest = _read_json(folder, MANIFEST)
    if manifest.get("format", 0) > FORMAT:
        made = manifest.get("versions", {}).get("cibench", "another version")
        raise BadInput(f"{folder / MANIFEST}: written by cibench {made}, whose format is newer")
    return manifest


def read_catalogue(folder: Path) -> dict[str, Any]:
    """Return the catalogue as it was when the suite ran."""
    return _read_json(folder, CATALOGUE)


def read_rows(folder: Path) -> pd.DataFrame:
    """Return all replicate rows, cell by cell in replicate order."""
    import pandas as pd

    try:
        return pd.read_parquet(folder / REPLICATES)[list(TYPES)]
    except (OSError, KeyError, ValueError) as error:
        raise BadInput(f"{folder / REPLICATES}: not readable: {error}") from error


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{folder} is not a run folder: it has no {name}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / name}: not readable: {error}") from error
    return content


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
