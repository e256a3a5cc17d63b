"""What has changed since rows were stored, and which rows that concerns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cibench.model.method import find_estimator
from cibench.storage import provenance
from cibench.storage.imported import current
from cibench.suite.suite import Suite


@dataclass(frozen=True)
class Change:
    """Say in words what has changed; None stands for every scenario or every estimator.

    `data` says that data sets or the level asked for are others, which concerns answers that were
    imported, too; how methods run here does not.
    """

    text: str
    scenario: str | None = None
    estimators: frozenset[str] | None = None
    data: bool = False


def changes(manifest: Mapping[str, Any], suite: Suite) -> list[Change]:
    """Return what would give other rows today than when the manifest was written.

    Seed, level, Python and the libraries under everything concern every row, a scenario's source
    its rows, an estimator's source or library that estimator's.
    """
    of_settings = [
        Change(f"{name} {manifest.get(name)} → {now}", data=True)
        for name, now in (("seed", suite.seed), ("level", suite.level))
        if manifest.get(name) != now
    ]
    return [
        *of_settings,
        *_python(manifest),
        *_versions(manifest, suite),
        *_sources(manifest, suite),
        *_edited(manifest, suite),
    ]


def _python(manifest: Mapping[str, Any]) -> list[Change]:
    before, now = (str(made["python"]) for made in (manifest, provenance.machine()))
    same = before.split(".")[:2] == now.split(".")[:2]
    return [] if same else [Change(f"Python {before} → {now}")]


def _versions(manifest: Mapping[str, Any], suite: Suite) -> list[Change]:
    before, now = manifest["versions"], provenance.versions_of(suite)
    changed = {p: v for p, v in now.items() if before.get(p, v) != v}
    return [
        change
        for package, version in changed.items()
        for change in _users(f"{package} {before[package]} → {version}", package, suite)
    ]


def _users(text: str, package: str, suite: Suite) -> list[Change]:
    """Return whom another version of a package concerns."""
    if package in provenance.EVERYONES:
        return [Change(text)]

    def used(by: Any) -> bool:
        elsewhere = getattr(by, "elsewhere", None)
        here = provenance.packages(by.uses)
        return package in here or (elsewhere is not None and package in elsewhere.versions())

    fits = frozenset(n for n in suite.estimators if used(find_estimator(n)))
    draws = {cell.scenario.name for cell in suite.cells if used(cell.scenario)}
    of_fits = [Change(text, estimators=fits)] if fits else []
    return [*of_fits, *(Change(text, name) for name in sorted(draws))]


def _sources(manifest: Mapping[str, Any], suite: Suite) -> list[Change]:
    before, source_changes = manifest["sources"], []
    for what, digest in provenance.sources(suite).items():
        if what not in before:
            continue
        kind, name = what.split(" ", 1)
        if digest is None:
            text = f"{what} is code without a file, of which nobody can say whether it is the same"
        elif digest != before[what]:
            text = f"the source of {what}"
        else:
            continue
        scenario = name if kind == "scenario" else None
        fits = None if scenario else frozenset([name])
        source_changes.append(Change(text, scenario, fits, data=scenario is not None))
    return source_changes


def _edited(manifest: Mapping[str, Any], suite: Suite) -> Iterator[Change]:
    """Yield whom packages concern that were edited since without another version.

    Of one that is not there today its users say so.
    """
    imported = manifest.get("imported") or {"digests": {}}
    for package, entry in imported["digests"].items():
        now, fits = current(entry), set[str]()
        if now is None or now == entry["digest"]:
            continue
        for what in entry["used_by"]:
            kind, _, name = what.partition(" ")
            if kind == "scenario" and name in suite.scenarios:
                yield Change(f"the source of package {package}", name)
            elif kind == "estimator" and name in suite.estimators:
                fits.add(name)
        if fits:
            yield Change(f"the source of package {package}", estimators=frozenset(fits))
