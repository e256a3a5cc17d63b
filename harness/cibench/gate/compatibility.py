"""Whether a baseline and what is checked against it belong together, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
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
    versions = _changed(before["versions"], after["versions"])
    imports = [side.get("imported") for side in (before, after)]
    both = [side for side in imports if side is not None]
    if len(both) == len(imports):
        versions |= _changed(*(side["versions"] for side in both))
    sources = _shared(before["sources"], after["sources"])
    return {
        "baseline": baseline.name,
        "suite": before["suite"],
        "before": _about_run(before),
        "after": _about_run(after),
        "versions": dict(sorted(versions.items())),
        "sources": sorted(_changed(*sources)),
        "packages": _edited(both) if len(both) == len(imports) else {},
        "unknown": [*_unknown(before, after), *_without_file(sources)],
        "machine": [name for name in machine if before.get(name) != after.get(name)],
        "unchecked": skipped_checks(manifest),
    }


def _edited(sides: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the packages whose files differ though a version would not say so, with versions."""
    digests = _shared(*(side["digests"] for side in sides))
    return {
        name: [side["versions"].get(name) for side in sides]
        for name in sorted(digests[0])
        if None not in (known := [side[name]["digest"] for side in digests])
        and known[0] != known[1]
    }


def _unknown(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say what of the two sides was not recorded, so that nobody can say that it is the same."""
    lines = []
    for who, side in (("the baseline", before), ("the run", after)):
        imported = side.get("imported")
        if imported is None:
            lines.append(f"what the fits of {who} imported")
            continue
        if lost := sorted(n for n, e in imported["digests"].items() if e["digest"] is None):
            lines.append(f"the source of {', '.join(lost)} ({who})")
        if away := [name.partition(" ")[2] for name in imported["unobserved"]]:
            some = ", ".join(away[:_MOST]) + (", ..." if len(away) > _MOST else "")
            lines.append(f"what else was imported by fits made elsewhere ({who}: {some})")
    return lines


_MOST = 3


def _without_file(sides: Sequence[Mapping[str, Any]]) -> list[str]:
    names = sorted(name for name in sides[0] if None in (sides[0][name], sides[1][name]))
    return [f"the source of {name}, which is code without a file" for name in names]


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
    for package, versions in (provenance.get("packages") or {}).items():
        known = " → ".join(dict.fromkeys(filter(None, versions)))
        same = f" (version {known} on both sides)" if known and versions[0] == versions[1] else ""
        lines.append(f"source changed: package {package}{same}")
    return lines + [f"another {_NAMES[name]}" for name in provenance["machine"]]


def in_sentences(provenance: Mapping[str, Any]) -> list[str]:
    """Say what differs between the two sides and what is not known, or that all is the same."""
    differs, unknown = notes(provenance), list(provenance.get("unknown") or ())
    lines = [f"Between the two: {'; '.join(differs)}."] if differs else []
    if unknown:
        same = "" if differs else "Nothing that was recorded differs. "
        lines.append(f"{same}Not recorded, so that it may differ: {'; '.join(unknown)}.")
    lines = lines or ["Versions, sources and machine are the same on both sides."]
    return [*lines, *(f"{line[0].upper()}{line[1:]}." for line in _reused(provenance))]


def provenance_lines(provenance: Mapping[str, Any]) -> list[str]:
    """Say in lines of a terminal what differs and what is not known, if anything."""
    if not provenance:
        return []
    differs, unknown = notes(provenance), provenance.get("unknown") or ()
    lines = [f"between the two: {'; '.join(differs)}"] if differs else []
    lines += [f"not recorded, so that it may differ: {'; '.join(unknown)}"] if unknown else []
    return [*lines, *_reused(provenance)]


def _reused(provenance: Mapping[str, Any]) -> list[str]:
    """Say whether the answers are those of an earlier check, or why the next cannot have these."""
    if (created := provenance.get("reused")) is not None:
        when = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return [
            f"reused: answers of the check of {when}, since code, data and versions are what they "
            "were then; --no-reuse fits again"
        ]
    if why := provenance.get("not_reusable"):
        return [f"the next check fits all of it again: {why}"]
    return []


_NAMES = {"platform": "platform", "python": "Python", "cpu_features": "set of CPU features"}


def _about_run(manifest: Mapping[str, Any]) -> dict[str, Any]:
    keys: Iterable[str] = ("created", "seed", "replicates", "versions", "platform", "python")
    return {**{key: manifest.get(key) for key in keys}, "imported": manifest.get("imported")}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
