"""Statistical claims about the built-in scenarios and estimators, and how they are settled.

The files in `claims/` say which method is valid where and which dial breaks which method. Settling
one takes minutes, so the figures stand in `results/reference/validity.csv` beside a digest of the
claim and of the sources that it is about; a claim whose digest is there is read, any other is run.

    python tests/validation/claims.py [FAMILY ...]

settles what is not settled yet, of all families or of some (`rd`: claims/rd.toml), and writes the
file.
"""

from __future__ import annotations

import csv
import math
import os
import sys
import tomllib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import cibench
from cibench.metrics.intervals import covers
from cibench.model import registry
from cibench.storage.source_digests import source_digest
from cibench.utils.files import canonical, write_atomically

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "results" / "reference" / "validity.csv"
SEED = 20261121
NOMINAL = 0.95
Claim = dict[str, Any]


def claims(*families: str) -> list[Claim]:
    """Return the claims of all families, or of some, each with its kind, `valid` or `bites`."""
    found = []
    for path in sorted((HERE / "claims").glob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if not families or path.stem in families:
            found += [{"kind": k, **claim} for k in ("valid", "bites") for claim in content[k]]
    return found


def title(claim: Claim) -> str:
    """Name a claim: what it is about."""
    about = [claim["scenario"], claim.get("dial", ""), claim["estimator"]]
    return " ".join([claim["kind"], *filter(None, about), f"n={claim['n']}"])


def digest(claim: Claim) -> str:
    """Return the digest of the claim and of the sources of what it is about."""
    names = [claim["estimator"], *filter(None, [claim.get("control")])]
    sources = [source_digest(registry.entry("scenario", claim["scenario"]))]
    sources += [source_digest(registry.entry("estimator", name)) for name in names]
    return blake2b(canonical([claim, sources]).encode(), digest_size=8).hexdigest()


def settled() -> dict[str, dict[str, str]]:
    """Return the stored lines by digest."""
    if not TABLE.exists():
        return {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {line["digest"]: line for line in csv.DictReader(file)}


def settle(claim: Claim) -> dict[str, Any]:
    """Run a claim and return its line: figures, errors and whether it holds."""
    figures = valid(claim) if claim["kind"] == "valid" else bites(claim)
    return {"claim": title(claim), "digest": digest(claim), **figures}


def run(claim: Claim, n: int, dials: Mapping[str, Any], estimators: list[str]) -> cibench.Run:
    """Run one scenario at some sizes and settings with the claim's parameters."""
    cell = {
        "scenario": claim["scenario"], "n": n, "dials": dict(dials), "estimators": estimators,
        "parameters": claim.get("parameters", {}), "options": claim.get("options", {}),
    }  # fmt: skip
    suite = {"name": "claim", "seed": SEED, "replicates": claim["replicates"], "cells": [cell]}
    return cibench.run(suite, workers=os.cpu_count() or 1)


def valid(claim: Claim) -> dict[str, Any]:
    """Settle: coverage is within three errors of nominal, or of a published figure.

    With `converges` the claim is that coverage at four times the units is within three errors of
    nominal, or nearer to it by more than two errors of the difference.
    """
    nominal = claim.get("coverage", NOMINAL)
    coverage, count = _coverage(claim, claim["n"])
    behind = claim.get("published_replicates", math.inf)
    error = math.sqrt(nominal * (1 - nominal) * (1 / count + 1 / behind))
    holds = abs(coverage - nominal) <= 3 * error
    line = {"figure": coverage, "error": error, "against": nominal, "replicates": count}
    if claim.get("converges") and not holds:
        later, _ = _coverage(claim, 4 * claim["n"])
        nearer = abs(coverage - nominal) - abs(later - nominal)
        doubt = 2 * math.sqrt((coverage * (1 - coverage) + later * (1 - later)) / count)
        holds = abs(later - nominal) <= 3 * error or nearer > doubt
        line["at_four_times"] = later
    return {**line, "holds": holds}


def _coverage(claim: Claim, n: int) -> tuple[float, int]:
    scores = run(claim, n, {}, [claim["estimator"]]).scores
    target = scores[scores["horizon"].isna()].iloc[0]
    return float(target["coverage_with_failures"]), int(target["replicates"])


def bites(claim: Claim) -> dict[str, Any]:
    """Settle: the dial breaks the method that relies on its assumption and leaves the control.

    At the dial's largest setting the method's absolute bias grows by half its empirical SE, or its
    coverage falls by ten points, by at least two paired errors more; the control's bias moves by
    less than a tenth of its empirical SE and its coverage by less than two points, both with two
    errors added. Of several targets the first speaks. A control that gives sets and no estimates
    has no bias to move. Both settings share their noise, so errors are those of paired differences.
    """
    spec = cibench.find_scenario(claim["scenario"]).specs[claim["dial"]]
    setting = claim.get("setting", max(spec.grid, key=lambda s: abs(s - spec.default)))
    names = [claim["estimator"], claim["control"]]
    rows = run(claim, claim["n"], {claim["dial"]: setting}, names).replicates
    rows = rows[(rows["status"] == "ok") & rows["horizon"].isna()]
    grown, grown_error, fallen, fallen_error = _moves(rows, names[0], absolute=True)
    moved, moved_error, lost, lost_error = _moves(rows, names[1], absolute=False)
    breaks = grown - 2 * grown_error >= 0.5 or fallen - 2 * fallen_error >= 0.1
    of_sets = rows.loc[rows["estimator"] == names[1], "estimate"].isna().all()
    stays = of_sets or abs(moved) + 2 * moved_error < 0.1
    stays = stays and abs(lost) + 2 * lost_error < 0.02
    return {
        "figure": grown, "error": grown_error, "replicates": claim["replicates"],
        "coverage_fall": fallen, "coverage_fall_error": fallen_error, "control": names[1],
        "control_bias": moved, "control_bias_error": moved_error,
        "control_coverage_fall": lost, "control_coverage_fall_error": lost_error,
        "setting": setting, "holds": bool(breaks and stays),
    }  # fmt: skip


def _moves(rows: Any, name: str, absolute: bool) -> tuple[float, float, float, float]:
    """Return growth of the bias in empirical SEs and fall of coverage, each with its error."""
    mine = rows[rows["estimator"] == name]
    parts = ["estimand", "group", "contrast", "label"]
    first = mine[parts].drop_duplicates().iloc[:1]  # of several targets the first
    mine = mine.merge(first, on=parts).assign(
        error=lambda r: r["estimate"] - r["truth"],
        covers=lambda r: covers(r["ci_low"], r["ci_high"], r["truth"], r["outside"].astype(bool)),
    )
    default = mine[mine["dial"].isna()].set_index("replicate")
    broken = mine[mine["dial"].notna()].set_index("replicate")
    both = default.index.intersection(broken.index)
    before, after = (part.loc[both, "error"].to_numpy() for part in (default, broken))
    scale, root = before.std(ddof=1), math.sqrt(len(both))
    signs = np.sign([after.mean(), before.mean()]) if absolute else (1, 1)
    difference = signs[0] * after - signs[1] * before
    covered = (part.loc[both, "covers"].astype(float).to_numpy() for part in (default, broken))
    fall = np.subtract(*covered)
    return (
        difference.mean() / scale, difference.std(ddof=1) / scale / root,
        fall.mean(), fall.std(ddof=1) / root,
    )  # fmt: skip


COLUMNS = (
    "claim", "digest", "holds", "figure", "error", "against", "at_four_times", "replicates",
    "setting", "coverage_fall", "coverage_fall_error", "control", "control_bias",
    "control_bias_error", "control_coverage_fall", "control_coverage_fall_error",
)  # fmt: skip


def write(lines: list[Mapping[str, Any]]) -> None:
    """Write the table, a line a claim, in the claims' order."""

    def fill(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for line in lines:
                rounded = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in line.items()}
                rounded = {k: "" if v == "nan" else v for k, v in rounded.items()}
                writer.writerow(rounded)

    TABLE.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(TABLE, fill)


def main(*families: str) -> int:
    """Settle what is not settled yet; return 1 where a claim does not hold."""
    failed = 0
    for claim in claims(*families):
        line: Mapping[str, Any] = settled().get(digest(claim)) or settle(claim)
        held = str(line["holds"]) == "True"
        failed += not held
        print("holds" if held else "FAILS", title(claim), flush=True)
        known = {**settled(), digest(claim): line}  # read again: others may settle at the same time
        write([known[d] for d in map(digest, claims()) if d in known])
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
