"""The run folder: suite, manifest, catalogue and shards of replicate rows, each put in place whole.

Nothing here needs the registry to be read again: a folder can be scored and reported for ever.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cibench.storage import note_shapes
from cibench.storage.lock import LOCK
from cibench.storage.note_shapes import is_settings
from cibench.storage.plugin_copies import remove_others, stored_plugins, write_copies
from cibench.storage.schema import IDENTITY
from cibench.storage.shard_checks import LONGEST_TEXT
from cibench.storage.shards import REPLICATES
from cibench.suite.origins import ORIGINS, PLUGINS, located
from cibench.utils.errors import BadInput
from cibench.utils.files import json_text, write_bytes, write_json, write_text
from cibench.utils.foreign import as_json, own_file, read_json
from cibench.utils.near_paths import near_path
from cibench.utils.shapes import check, is_count
from cibench.utils.toml import read_toml, several, to_toml

if TYPE_CHECKING:
    from cibench.suite.suite import Suite

FORMAT = 3
"""Since 3 a shard may have several cells; whoever knows 2 would take it for a damaged one."""

SUITE, MANIFEST, CATALOGUE, PUBLISHED = (
    "suite.toml", "manifest.json", "catalogue.json", "published.csv",
)  # fmt: skip
NOTES = (SUITE, MANIFEST, CATALOGUE, PUBLISHED)
"""The files in which a run says what it is."""

TO_PARSE = (*NOTES, PLUGINS, ORIGINS)
"""What its suite is read from: plug-ins too."""


def holds_run(folder: Path) -> bool:
    """Say whether a run was begun in a folder."""
    return (folder / MANIFEST).exists()


def check_free(folder: Path) -> None:
    """Refuse a folder with something in it, or a path that is a file.

    What a run leaves that was killed while it laid out its folder is nothing.
    """
    if folder.is_file():
        raise BadInput(f"{folder} is a file, not a folder")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    ours = (*NOTES, PLUGINS, REPLICATES)
    begun = {name for name in names if name in ours or name.startswith(".")}
    if names - begun or (names and LOCK not in names):
        raise BadInput(
            f"{folder} is not empty and not a run folder; name another with --out, or remove it"
        )


def write_notes(
    folder: Path, suite: Suite, before: Mapping[str, Any] | None, rows: Mapping[str, Any]
) -> None:
    """Write what the run says of itself: suite, catalogue and, last, the manifest.

    `before` is the manifest of a run that goes on, `rows` what it says of its rows.
    """
    from cibench.model.descriptions import describe
    from cibench.storage import provenance

    machine = provenance.machine()
    machines = before.get("machines", [_machine(before)]) if before else []
    manifest = {
        "format": FORMAT,
        "suite": suite.name,
        "seed": suite.seed,
        "replicates": max(suite.counts, default=0),
        "level": suite.level,
        "limits": limits(suite),
        "refits": list(suite.refits),
        "created": before["created"] if before else now(),
        "finished": None,
        **rows,
        "protocol": provenance.protocol(suite),
        "versions": provenance.versions_of(suite),
        **machine,
        "machines": [*machines, *([] if machine in machines else [machine])],
        "hosts": sorted({*(before or {}).get("hosts", ()), provenance.host()}),
        "sources": provenance.sources(suite),
        "entrants": entrants(suite),
        "declined": [refusal._asdict() for refusal in suite.refusals],
        **({"precision": suite.precision.spec, "cells": cells(suite)} if suite.precision else {}),
    }
    write_suite(folder, suite)
    write_json(folder / CATALOGUE, describe(suite.scenarios, suite.estimators))
    write_json(folder / MANIFEST, manifest)


def entrants(suite: Suite) -> list[list[str]]:
    """Return estimators, each with its options, in the order that they have in every cell.

    So tables have them in the suite's order, whichever came first into the folder. Where cells
    contradict each other there is none, and each cell has its own.
    """
    from cibench.storage.reader import merged

    kinds = dict.fromkeys(cell.entrants for cell in suite.cells)
    order = merged(kinds)
    places = {entrant: place for place, entrant in enumerate(order)}
    agree = all(places[a] < places[b] for kind in kinds for a, b in pairwise(kind))
    return [list(entrant) for entrant in order] if agree else []


def order_of(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the order of the entrants that a manifest says, if any."""
    return [(estimator, options) for estimator, options in manifest.get("entrants", ())]


def check_storable(suite: Suite) -> None:
    """Raise BadInput for a suite of which the folder could not be read again.

    Whoever reads one refuses control characters, since it may be a stranger's.
    """
    from cibench.model.descriptions import describe

    texts = {entrant for cell in suite.cells for entrant in cell.entrants}
    for name, options in sorted(texts):
        if len(options) > LONGEST_TEXT or not is_settings(options):
            raise BadInput(
                f"estimator '{name}': its options hold what no run stores, a control character or "
                f"more than {LONGEST_TEXT:,} letters: {options[:80]}"
            )
    about = describe(suite.scenarios, suite.estimators)
    check(as_json(json_text(about), {str: object}, ""), note_shapes.CATALOGUE, "plug-ins")
    from cibench.storage.suite_shape import SUITE as SHAPE

    text = _text_of(suite, {})
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(error.start - 20, 0) : error.end + 20]
        raise BadInput(f"suite: half of a character, which no file takes, in {around!r}") from error
    check(tomllib.loads(text), SHAPE, "suite")


def limits(suite: Suite) -> dict[str, float | None]:
    """Return what a fit may take, by the status of the rows of those that took more."""
    return {"timeout": suite.timeout, "memory": suite.memory}


def _machine(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("platform", "python", "cpu_features")}


def write_suite(folder: Path, suite: Suite) -> None:
    """Write the suite as it is run, with figures and plug-ins that it names, into a run folder."""
    plugins = write_copies(folder, suite)
    if suite.published:
        write_bytes(folder / PUBLISHED, suite.published.read_bytes())
    write_text(folder / SUITE, _text_of(suite, plugins))
    if not suite.published:  # after the suite file that named it
        (folder / PUBLISHED).unlink(missing_ok=True)
    remove_others(folder, plugins.values())


def states_otherwise(folder: Path, suite: Suite) -> bool:
    """Say whether a run folder's suite file and figures are not what `write_suite` would write."""
    ours, figures = folder / PUBLISHED, None
    if suite.published:
        figures = suite.published.read_bytes()
    there = ours.read_bytes() if ours.is_file() else None
    text = _text_of(suite, stored_plugins(suite))
    return (folder / SUITE).read_text(encoding="utf-8") != text or there != figures


def _text_of(suite: Suite, plugins: Mapping[str, str]) -> str:
    """Return the suite file's text, with other names for plug-ins where there are some."""
    spec = {**suite.spec}
    if suite.published:
        spec["published"] = PUBLISHED
    if suite.plugins:
        spec["plugins"] = [plugins.get(plugin, plugin) for plugin in suite.plugins]
    return to_toml(spec)


def cells(suite: Suite, stopped: Mapping[int, str] | None = None) -> list[dict[str, Any]]:
    """Return how many replicates each cell is to have and why it ends there, "" if it may not."""
    reasons = stopped or {}
    return [
        {
            **{name: cell.key[name] for name in IDENTITY},
            "replicates": n,
            "stopped": reasons.get(i, ""),
        }
        for i, (cell, n) in enumerate(zip(suite.cells, suite.counts, strict=True))
    ]


def note_cells(folder: Path, suite: Suite, stopped: Mapping[int, str], expected: int) -> None:
    """Note in the manifest what `cells` says, before rows are stored that rest on it."""
    note(folder, {
        "replicates": max(suite.counts, default=0), "expected_rows": expected,
        "cells": cells(suite, stopped),
    })  # fmt: skip


def note(folder: Path, entries: Mapping[str, Any]) -> None:
    """Note something more in the manifest."""
    write_json(folder / MANIFEST, {**read_manifest(folder), **entries})


def is_settled(manifest: Mapping[str, Any]) -> bool:
    """Say whether it is known how many replicates every cell is to have."""
    return all(cell["stopped"] for cell in manifest.get("cells", ()))


def close(folder: Path, rows: Mapping[str, Any]) -> None:
    """Note in the manifest what it says of rows and, if all are stored, that the run has ended."""
    manifest = {**read_manifest(folder), **rows}
    whole = manifest["stored_rows"] == manifest["expected_rows"] and is_settled(manifest)
    write_json(folder / MANIFEST, {**manifest, "finished": now() if whole else None})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest; raises BadInput where the folder is no run or one of a later format."""
    path = _note(folder, MANIFEST)
    content = read_json(path, {str: object}, NO_MANIFEST)
    refuse_newer(content, FORMAT, path)
    check(content, note_shapes.MANIFEST, f"{path}: not {NO_MANIFEST}")
    return cast(dict[str, Any], content)


NO_MANIFEST = "a run's manifest, or a damaged one"


def refuse_newer(content: Mapping[str, Any], known: int, path: Path) -> None:
    """Raise BadInput where a later version of cibench wrote a file, in a format not known here."""
    form = content.get("format", 0)
    if is_count(form) and form > known:
        versions = content.get("versions")
        named = versions.get("cibench") if isinstance(versions, dict) else None
        version = named or "another version"
        raise BadInput(f"{path}: written by cibench {version}, whose format is newer")


SKIPPED = "plug-ins were not held to their contracts before the run (--no-checks)"


def skipped_checks(manifest: Mapping[str, Any]) -> bool:
    """Say whether a run has plug-ins that were not held to their contracts, as it was told."""
    return bool((manifest.get("checks") or {}).get("skipped"))


def read_suite(folder: Path) -> dict[str, Any]:
    """Return the content of the suite file as it ran; nothing where there is none.

    Plug-ins are where they are on this machine, see `located`.
    """
    path = own_file(folder, SUITE)
    if not path.exists():
        return {}
    from cibench.storage.suite_shape import SUITE as SHAPE

    content = read_toml(path)[0]
    check(content, SHAPE, f"{path}: not a run's suite file, or a damaged one")
    if plugins := several(content.get("plugins", [])):
        content["plugins"] = [_place(str(plugin), folder) for plugin in plugins]
    return content


def _place(plugin: str, folder: Path) -> str:
    place = located(plugin, folder)
    return str(own_file(folder, place).resolve()) if place.startswith(f"{PLUGINS}/") else place


def read_catalogue(folder: Path) -> dict[str, Any]:
    """Return the catalogue as it was when the suite ran."""
    path = _note(folder, CATALOGUE)
    return cast(
        dict[str, Any],
        read_json(path, note_shapes.CATALOGUE, "a run's catalogue, or a damaged one"),
    )


def _note(folder: Path, name: str) -> Path:
    path = own_file(folder, name)
    if not path.exists():
        near = "" if folder.exists() else near_path(folder)
        raise BadInput(f"{folder} is not a run folder: it has no {name}{near}")
    return path


def now() -> str:
    """Return the time as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
