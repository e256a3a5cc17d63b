"""What releases changed: run pairs of versions and write results/reference/regressions.

`python benchmarks/regressions.py` runs everything (a quarter of an hour on two idle cores, and the
package index), `python benchmarks/regressions.py collect [FOLDER]` only writes the tables from what
has been run.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

OUT, RUNS = Path("results/reference/regressions"), Path("results/regressions")
PLANNED = {
    "options": ("linearmodels==7.0", "linearmodels==7.1"),
    "rd-options": ("rdrobust==1.3.0", "rdrobust==2.0.0", "rdrobust==2.1.0"),
    "default": ("linearmodels==6.1", "linearmodels==7.0", "linearmodels==7.1"),
    "staggered": ("pyfixest==0.40.1", "pyfixest==0.50.1", "pyfixest==0.60.0"),
}
"""Which versions are run with which suite of the folder."""


def command(name: str, out: Path) -> list[str]:
    """Return the command that runs a suite with its versions."""
    suite = OUT / f"{name}.toml"
    return ["cibench", "regress", *PLANNED[name], "--suite", str(suite), "--out", str(out)]


def run() -> None:
    """Run all commands; the exit codes are those of the verdicts."""
    for name in PLANNED:
        words = command(name, RUNS / name)
        code = ["-c", "from cibench.cli import main; main()"]
        subprocess.run([sys.executable, *code, *words[1:]], check=False)


def collect(root: Path) -> None:
    """Write one line for each cell of each pair that has been run, and a line for each pair."""
    cells, pairs = [], []
    for name in PLANNED:
        for folder in sorted((root / name).glob("*--*")):
            found = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
            said = " ".join(command(name, RUNS / name))
            before, after = folder.name.split("--")
            pair = {"suite": name, "before": before, "after": after}
            differs = found["provenance"]["versions"]
            also = "; ".join(f"{k} {a} {b}" for k, (a, b) in differs.items())
            pairs.append({**pair, "verdict": found["verdict"], "differs": also, "command": said})
            cells += [{**pair, **_told(cell)} for cell in found["cells"]]
    for file, lines in (("pairs.csv", pairs), ("cells.csv", cells)):
        with (OUT / file).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)


def _told(cell: dict[str, Any]) -> dict[str, Any]:
    changed = [
        f"{m['measure']} {m['before']:.6g} to {m['after']:.6g}" for m in cell["measures"]
        if m["verdict"] not in ("identical", "numerically changed")
    ]  # fmt: skip
    names = ("scenario", "estimator", "estimand", "horizon", "verdict")
    return {
        **{name: cell[name] for name in names}, "replicates": cell["replicates"][0],
        "changed_share": cell["changed_share"], "largest_change_in_se": cell["largest_change"],
        "measures": "; ".join(changed), "why": cell["why"],
    }  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] != ["collect"]:
        run()
    collect(Path(sys.argv[2]) if len(sys.argv) > 2 else RUNS)
