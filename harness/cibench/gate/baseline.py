"""Baselines: a run in a form that is compact, committed, diffable and the same on every machine.

`baselines/NAME/` holds `suite.toml` (the suite as run, its plug-ins relative to the working
directory), `scores.csv` (what a diff shows), `estimates.jsonl` (every replicate, since the
comparison is paired, a line for each cell and estimator) and `baseline.json` with versions,
machine, seed and source digests. All are text, so that what two branches save is merged; digests
tell an edit by hand. Until format 2 the rows were Parquet (`estimates.parquet`), which is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy import logical_and

from cibench.gate.baseline_rows import as_lines, as_table
from cibench.gate.pairing import read_rows
from cibench.metrics import METRICS
from cibench.storage.made_elsewhere import refuse
from cibench.storage.manifest import read_suite, refuse_newer
from cibench.storage.note_shapes import IMPORTED, MANIFEST
from cibench.storage.schema import IDENTITY, LATER
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import (
    NEXT,
    canonical,
    csv_text,
    finish_replacement,
    json_text,
    replaced_files,
    write_text,
)
from cibench.utils.foreign import (
    LARGEST_TABLE,
    own_file,
    read_bytes,
    read_frame,
    read_json,
    read_text,
)
from cibench.utils.names import is_portable
from cibench.utils.shapes import COUNT, TEXT, check
from cibench.utils.toml import several, to_toml

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
        spec["plugins"] = [_relative(plugin, here) for plugin in several(plugins)]
    return to_toml(spec)


def _relative(plugin: str, here: Path) -> str:
    path = Path(plugin)
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else plugin


def spoken(catalogue: dict[str, Any]) -> dict[str, Any]:
    """Return what a comparison needs of a catalogue: dials' defaults, and who has no moments."""
    scenarios = {
        name: {
            "moments": about.get("moments", True),
            "dials": {
                d: {"default": s.get("default", 0)} for d, s in (about.get("dials") or {}).items()
            },
        }
        for name, about in (catalogue.get("scenarios") or {}).items()
    }
    estimators = {
        name: {"moments": about.get("moments", True), "uses": about.get("uses", [])}
        for name, about in (catalogue.get("estimators") or {}).items()
    }
    return {"scenarios": scenarios, "estimators": estimators}


CATALOGUE_SPOKEN = {
    "scenarios?": {str: {"moments?": bool, "dials?": {str: {"default?": float}}}},
    "estimators?": {str: {"moments?": bool, "uses?": [TEXT]}},
}
FORMAT = 2
MOST_LINES = 10
OF_OTHERS = ("seconds", "reference", "precision_gain", "precision_gain_mcse")
"""What of a score moves with the machine, or with who else is in the run."""
HALF = 0.5
"""The share of fits with an answer below which a baseline is warned of."""
FOLDER = Path("baselines")
SUITE, SCORES, ROWS, ABOUT = "suite.toml", "scores.csv", "estimates.jsonl", "baseline.json"
PARQUET = "estimates.parquet"
FILES = (SUITE, SCORES, ROWS, ABOUT)
KEPT = (
    "suite", "seed", "replicates", "level", "protocol", "versions", "platform", "python",
    "cpu_features", "sources",
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
        if self.about["format"] == 1:
            return read_rows(self.folder / PARQUET)
        texts = [own_file(self.folder, name) for name in (ROWS, SCORES)]
        rows, scores = (read_text(path, LARGEST_TABLE).splitlines() for path in texts)
        places = [(f"{texts[0]}:{i}", line) for i, line in enumerate(rows, 1) if line.strip()]
        return as_table(places, [line for line in scores[1:] if line], NO_BASELINE)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return its score table, blank where a column of single targets was left out."""
        scores = read_frame(own_file(self.folder, SCORES)).copy()  # in one piece: of many columns
        absent = [name for name in LATER if name not in scores]
        return scores.assign(**dict.fromkeys(absent, None))


def unanswered(run: Run, *, few: bool = False) -> list[str]:
    """Say of each cell of which no fit has an answer that, and mostly why.

    With `few` it is said of cells that have some, in less than half of their fits.
    """
    tally, lines = run.failures, []
    for row in run.scores.to_dict("records"):
        share = row["answered"] / row["replicates"]
        if not (0 < share < HALF if few else share == 0):
            continue
        same = [tally[name].eq(row[name]) for name in ("estimator", "options", *IDENTITY)]
        counts = tally[logical_and.reduce(same)].groupby("reason", dropna=False)["fits"].sum()
        what = f"{row['answered']} of {row['replicates']} fits have" if few else "no fit has"
        why = f", mostly: {counts.idxmax()}" if len(counts) else ""
        place = ", ".join((row["scenario"], *_off_default(row), f"n = {row['n']}"))
        lines.append(f"{place}: {row['estimator']}: {what} an answer{why}")
    return list(dict.fromkeys(lines))


def _off_default(row: Mapping[Any, Any]) -> list[str]:
    dial = row["dial"]
    return [f"{dial} = {row['setting']:g}"] if isinstance(dial, str) else []


def save(
    run: Run, name: str, root: Path = FOLDER, *, replace: bool = False, silent: bool = False,
    test: str | None = None,
) -> Baseline:  # fmt: skip
    """Write a run as the baseline NAME; raises BadInput where there is one and not `replace`.

    `test` is the id of the test that it belongs to. An incomplete run is refused, and, unless
    `silent` cells are wanted, one with a cell of which no fit has an answer: whatever is compared
    with that would pass. Its files are replaced together, those alone of which something changed,
    and no others: a baseline has its old ones or its new ones, whatever ends this.
    """
    folder = root / _valid_name(name)
    finish_replacement(folder)
    if not replace and any((folder / file).exists() for file in FILES):
        raise BadInput(f"{folder} exists; name another baseline, or replace it with --replace")
    manifest = run.manifest
    refuse(manifest, run.folder)
    if manifest.get("precision"):
        raise BadInput(
            f"{run.folder}: its cells have counts of their own; a baseline needs one count for "
            "all, `replicates` instead of `precision`"
        )
    rows = read_rows(run.folder)
    if rows.num_rows != manifest["expected_rows"]:
        wanted = manifest["expected_rows"]
        raise BadInput(f"{run.folder} is incomplete: {rows.num_rows} of {wanted} rows are stored")
    if not silent and (lines := unanswered(run)):
        more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
        raise BadInput(*lines[:MOST_LINES], *more, f"nothing is saved as {folder}")
    with replaced_files(folder) as coming:
        _write(run, rows, coming, contents(folder), test)
        for file in FILES:
            if (coming / file).is_file() and _same(coming / file, folder / file):
                (coming / file).unlink()
    (folder / PARQUET).unlink(missing_ok=True)  # of format 1
    return Baseline(folder)


def remove(name: str, root: Path = FOLDER) -> list[Path]:
    """Remove the files of the baseline NAME, or of all below it, and no others; return folders.

    Raises BadInput where there is none.
    """
    folder = root / _valid_name(name)
    own = [each.folder for each in saved_baselines(root) if each.folder.is_relative_to(folder)]
    if not own:
        known = [each.folder.relative_to(root).as_posix() for each in saved_baselines(root)]
        raise BadInput(unknown("baseline", name, known))
    if folder in own:
        own = [folder]
    for each in own:
        for file in (ABOUT, *FILES, PARQUET):
            (each / file).unlink(missing_ok=True)
        while each != root and each.is_dir() and not any(each.iterdir()):
            each.rmdir()
            each = each.parent  # noqa: PLW2901 - up to what holds something else
    return own


def contents(folder: Path) -> dict[str, bytes]:
    """Return what the files of a baseline hold, by name; empty where there is none."""
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def _same(path: Path, other: Path) -> bool:
    return other.is_file() and not other.is_symlink() and path.read_bytes() == other.read_bytes()


def _write(
    run: Run, rows: pa.Table, folder: Path, before: Mapping[str, bytes], test: str | None
) -> None:
    """Write a baseline's files into a folder: those `before`, where nothing of them changed."""
    write_text(folder / SUITE, portable_suite(run))
    own = [name for name in run.scores.columns if name not in OF_OTHERS]
    own = [n for n in own if not (_of_some(n) and run.scores[n].isna().all())]
    scores = csv_text(run.scores[own])
    write_text(folder / SCORES, scores)
    known = before.get(ROWS, b"").decode(errors="replace").splitlines()
    lines = as_lines(rows, _below_heading(scores), known)
    write_text(folder / ROWS, "".join(f"{line}\n" for line in lines))
    kept = {name: run.manifest.get(name) for name in KEPT}
    about = {
        "format": FORMAT, **kept, "catalogue": spoken(run.catalogue),
        **({"imported": imported} if (imported := run.manifest.get("imported")) else {}),
        **({"test": test} if test else {}),
    }  # fmt: skip
    created = datetime.now(UTC).isoformat(timespec="seconds")
    old = _as_table(before.get(ABOUT, b""))
    edited_alone = _unedited(about) == _unedited(old) is not None
    if edited_alone and lines == before.get(ROWS, b"").decode(errors="replace").splitlines():
        about["imported"] = old["imported"]  # which these rows were made by
    if {k: v for k, v in old.items() if k not in ("created", "digest")} == about:
        created = old["created"]
    about["created"] = created
    write_text(folder / ABOUT, _about_text({**about, "digest": digest(folder, about)}))


def _about_text(about: Mapping[str, Any]) -> str:
    """Return what a baseline says of itself as JSON; the many that fits imported are one line."""
    lines = {
        key: canonical(value) if key == "imported" else json_text(value).strip()
        for key, value in about.items()
    }
    texts = (f" {canonical(key)}: " + line.replace("\n", "\n ") for key, line in lines.items())
    return "{\n" + ",\n".join(texts) + "\n}\n"


def _unedited(about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a baseline says of itself but for edits of packages; None if it says nothing."""
    imported = about.get("imported")
    if not isinstance(imported, dict) or "digests" not in imported:
        return None
    own = {k: v for k, v in about.items() if k not in ("created", "digest", "imported")}
    return {**own, "versions": imported.get("versions"), "packages": sorted(imported["digests"])}


def _as_table(content: bytes) -> dict[str, Any]:
    try:
        table = json.loads(content)
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def _of_some(name: str) -> bool:
    """Say whether a column is blank but for some: several targets, ratios, single units."""
    metric = METRICS.get(name.removesuffix("_mcse"))
    optional = metric is not None and metric.optional
    return optional or name in LATER or name.startswith(("simultaneous_", "joint_"))


def _below_heading(scores: str) -> list[str]:
    return [line for line in scores.splitlines()[1:] if line]


def digest(folder: Path, about: dict[str, Any]) -> str:
    """Return the digest of a baseline's suite and of what it says of itself, lines of rows aside.

    Line endings of text do not count. Of a baseline in format 1 it is that of all its files.
    """
    hasher = blake2b(digest_size=16)
    for name in (SUITE, SCORES) if about.get("format") == 1 else (SUITE,):
        content = read_bytes(own_file(folder, name), LARGEST_TABLE)
        hasher.update(name.encode() + content.replace(b"\r\n", b"\n"))
    if about.get("format") == 1:
        hasher.update(read_bytes(own_file(folder, PARQUET), LARGEST_TABLE))
    entries = {key: value for key, value in about.items() if key != "digest"}
    hasher.update(canonical(entries).encode())
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
    about = baseline.about
    try:
        actual = digest(folder, about)
    except BadInput as error:
        raise BadInput(f"{error}; the baseline is broken") from error
    if actual != about.get("digest"):
        raise BadInput(
            f"{folder}: its digest is not that of its contents: it was edited by hand or is "
            "broken; save it again from a run"
        )
    if about["format"] > 1:
        _ = baseline.rows  # whose lines have digests of their own
    return baseline


def saved_baselines(root: Path = FOLDER) -> list[Baseline]:
    """Return the baselines below a folder, by name."""
    for coming in sorted(root.rglob(NEXT)):
        finish_replacement(coming.parent)
    folders = [path.parent for path in sorted(root.rglob(ABOUT))]
    return [Baseline(folder) for folder in folders if not folder.name.startswith(".")]


def _read_about(folder: Path) -> dict[str, Any]:
    path = own_file(folder, ABOUT)
    about: dict[str, Any] = read_json(path, {str: object}, NO_BASELINE)
    refuse_newer(about, FORMAT, path)
    check(about, ABOUT_SHAPE, f"{path}: not {NO_BASELINE}")
    return about


NO_BASELINE = "a baseline, or a damaged one"
ABOUT_SHAPE = {
    "format": COUNT,
    "digest": TEXT,
    "created": TEXT,
    "catalogue": CATALOGUE_SPOKEN,
    "test?": TEXT,
    "imported?": IMPORTED,
    **{name: MANIFEST.get(name, MANIFEST.get(f"{name}?")) for name in KEPT},
}
"""What `baseline.json` holds."""


def _valid_name(name: str) -> str:
    parts = name.split("/")
    if not all(part and part.strip("-_.") and _plain(part) for part in parts):
        raise BadInput(f"'{name}' is not a name of letters, digits, '-', '_' and '.'")
    if not all(map(is_portable, parts)):
        raise BadInput(f"'{name}' is no name of a folder on Windows; take another")
    return name


def _plain(part: str) -> bool:
    return all(c.isalnum() or c in "-_." for c in part) and not part.startswith(".")
