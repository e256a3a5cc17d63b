"""Whether a baseline and what is checked against it belong together, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cibench.gate.baseline import Baseline
from cibench.storage.manifest import skipped_checks
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.suite.suite import Suite


def described(suite: Suite) -> dict[str, Any]:
    """Return of a suite what a run's manifest says before the first row."""
    from cibench.storage import provenance

    return {
        "suite": suite.name, "seed": suite.seed, "level": suite.level,
        "replicates": suite.replicates, "sources": provenance.sources(suite),
    }  # fmt: skip


def refuse_strangers(baseline: Baseline, other: Mapping[str, Any], *, paired: bool) -> None:
    """Raise BadInput where a run or suite is not the baseline's: its name, level or seed."""
    about = baseline.about
    for key, what in (("suite", "suite"), ("level", "level")):
        if about[key] != other[key]:
            raise BadInput(
                f"baseline {baseline.name} is of the {what} {about[key]}, not {other[key]}"
            )
    if paired and about["seed"] != other["seed"]:
        raise BadInput(
            f"baseline {baseline.name} is of seed {about['seed']}, not {other['seed']}: other "
            "seeds draw other data, which are compared with --unpaired"
        )


def refuse_missing(baseline: Baseline, suite: Suite) -> None:
    """Raise BadInput where a suite shares no cell with the baseline, before anything runs."""
    names = ("scenario", "dials", "n", "parameters", "estimator", "options")
    kept = baseline.rows.select(list(names)).group_by(list(names)).aggregate([]).to_pylist()
    there = {tuple(row[name] for name in names) for row in kept}
    for cell in suite.cells:
        key = cell.key
        for entrant in cell.entrants:
            if (*(key[name] for name in names[:4]), *entrant) in there:
                return
    raise BadInput(f"baseline {baseline.name} and suite {suite.name} have no cell in common")


def differences(baseline: Baseline, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return both sides' versions and machines and what of them, and of the sources, differs."""
    before, after = baseline.about, manifest
    machine = ("platform", "python", "cpu_features")
    return {
        "baseline": baseline.name,
        "suite": before["suite"],
        "before": _about_run(before),
        "after": _about_run(after),
        "versions": _changed(before["versions"], after["versions"]),
        "sources": sorted(_changed(*_shared(before["sources"], after["sources"]))),
        "machine": [name for name in machine if before.get(name) != after.get(name)],
        "unchecked": skipped_checks(manifest),
    }


def _shared(*sides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return of both sides what both have: what one side lacks is no change of its source."""
    names = set.intersection(*map(set, sides))
    return [{name: side[name] for name in names} for side in sides]


def without_moments(*catalogues: Mapping[str, Any]) -> set[str]:
    """Return the estimators and scenarios that are declared to have no finite moments."""
    return {
        name
        for catalogue in catalogues
        for part in ("scenarios", "estimators")
        for name, said in (catalogue.get(part) or {}).items()
        if not said.get("moments", True)
    }


def notes(provenance: Mapping[str, Any]) -> list[str]:
    """Say in words what differs between the two sides."""
    lines = [
        f"{package} {old or 'absent'} → {new or 'absent'}"
        for package, (old, new) in provenance["versions"].items()
    ]
    if provenance["sources"]:
        lines.append(f"source changed: {', '.join(provenance['sources'])}")
    return lines + [f"another {_NAMES[name]}" for name in provenance["machine"]]


_NAMES = {"platform": "platform", "python": "Python", "cpu_features": "set of CPU features"}


def _about_run(manifest: Mapping[str, Any]) -> dict[str, Any]:
    keys: Iterable[str] = ("created", "seed", "replicates", "versions", "platform", "python")
    return {key: manifest.get(key) for key in keys}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
