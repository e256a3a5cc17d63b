"""Whether two versions of cibench say the same: what is listed, the digests, every table of a run.

`python benchmarks/compare_checkouts.py OLD NEW` takes two Pythons, each of an environment in which
one version is installed, runs three suites with both and names every table and column in which
they differ; the exit code is 1 where any does. Seconds and warnings may differ, and so may what the
manifest says of the machine. `--keep FOLDER` leaves the runs there, and takes those that it holds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

SUITES = {"quickstart": None, "cct": 50, "quick": None}
FREE = ("seconds", "warnings")
MANIFEST = ("sources", "protocol", "expected_rows", "stored_rows", "cells", "seed", "level")


def call(python: str, *words: str) -> str:
    """Run a command of one version; its words may end with a code that says the run has faults."""
    code = "import sys; from cibench.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [python, "-c", code, *words], check=False, capture_output=True, encoding="utf-8"
    )
    if done.returncode not in (0, 1):
        sys.exit(f"{python}: cibench {' '.join(words)}: {done.stderr}")
    return done.stdout


def made(python: str, folder: Path) -> None:
    """Run the suites that the folder does not hold yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.json").write_text(call(python, "list", "--json"), encoding="utf-8")
    for suite, replicates in SUITES.items():
        if not (folder / suite / "report.html").exists():
            few = ("--replicates", str(replicates)) if replicates else ()
            call(python, "run", suite, "--out", str(folder / suite), *few)


def table(path: Path) -> pd.DataFrame:
    """Read a table as text, so that nothing is rounded and a blank is a blank."""
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    return pd.read_parquet(path)


def differences(old: Path, new: Path) -> list[str]:
    """Name the tables and columns of two runs that are not equal."""
    found = []
    names = {p.name for folder in (old, new) for p in folder.glob("*.csv")} | {"pairs.parquet"}
    for name in sorted(names):
        if not ((old / name).exists() and (new / name).exists()):
            found.append(f"{name}: only {'old' if (old / name).exists() else 'new'} has it")
            continue
        found += [f"{name}: {what}" for what in columns(table(old / name), table(new / name))]
    keys = ["cell", "replicate", "refit", "estimator", "options", "estimand", "horizon"]
    rows = [replicates(folder, keys) for folder in (old, new)]
    found += [f"replicates: {what}" for what in columns(*rows)]
    one, two = (json.loads((f / "manifest.json").read_text("utf-8")) for f in (old, new))
    return found + [f"manifest: {key}" for key in MANIFEST if one.get(key) != two.get(key)]


def replicates(folder: Path, keys: list[str]) -> pd.DataFrame:
    """Return the replicate rows in an order of their own, however they were cut into shards."""
    shards = sorted((folder / "replicates").glob("*.parquet"))
    parts = [pd.read_parquet(p).assign(cell=p.name[:10]) for p in shards]
    return pd.concat(parts).sort_values(keys).reset_index(drop=True)


KEYS = ("scenario", "dials", "n", "parameters", "estimator", "other", "options", "other_options",
        "estimand", "horizon", "level", "measure")  # fmt: skip


def columns(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Name what two tables differ in: columns, rows, and values of what both have."""
    found = []
    if odd := sorted(set(old.columns) ^ set(new.columns)):
        found.append(f"columns {', '.join(odd)}")
    if len(old) != len(new):
        found.append(f"{len(old)} rows, now {len(new)}")
        old, new = of_both(old, new)
    for name in (name for name in old.columns if name in new.columns and name not in FREE):
        same = ((old[name] == new[name]) | (old[name].isna() & new[name].isna())).fillna(False)
        if not same.all():
            first = (~same).to_numpy().argmax()
            was, is_ = old[name].iloc[first], new[name].iloc[first]
            found.append(f"{name} differs in {int((~same).sum())} rows, first {was!r}, now {is_!r}")
    return found


def of_both(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows whose keys both tables have, in one order."""
    keys = [name for name in KEYS if name in old.columns and name in new.columns]
    both = [part.set_index([part[key].astype(str) for key in keys]) for part in (old, new)]
    here = both[0].index.intersection(both[1].index)
    first, second = (part.loc[here].reset_index(drop=True) for part in both)
    return first, second


def main() -> int:
    """Compare the two versions and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cibench-") as name:
        folder = given.keep or Path(name)
        for python, part in ((given.old, "old"), (given.new, "new")):
            made(python, folder / part)
        old, new = folder / "old", folder / "new"
        listed = [json.loads((f / "list.json").read_text("utf-8")) for f in (old, new)]
        found = [] if listed[0] == listed[1] else ["what is listed differs"]
        for suite in SUITES:
            said = differences(old / suite, new / suite)
            print(f"{suite}: {'equal' if not said else f'{len(said)} differences'}")
            found += [f"{suite}/{what}" for what in said]
    print(*found, sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
