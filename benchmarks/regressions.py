"""What releases changed: run pairs of versions and write results/reference/regressions.

`python benchmarks/regressions.py` runs everything (half an hour on two idle cores, the package
index, and Pythons 3.7 to 3.9 on the path), `python benchmarks/regressions.py collect [FOLDER]` only
writes the tables from what has been run.
"""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

OUT, RUNS = Path("results/reference/regressions"), Path("results/regressions")
OLD = ("numpy<1.20", "scipy<1.5", "pandas<0.25", "statsmodels<0.12")
OLDER = ("numpy<1.16", "scipy<1.3", "pandas<0.24", "statsmodels<0.11")
YOUNGER = ("numpy<1.20", "scipy<1.6", "pandas<1.2")
PLANNED: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "options": (("linearmodels==7.0", "linearmodels==7.1"), "", ()),
    "rd-options": (("rdrobust==1.3.0", "rdrobust==2.0.0", "rdrobust==2.1.0"), "", ()),
    "default": (("linearmodels==6.1", "linearmodels==7.0", "linearmodels==7.1"), "", ()),
    "staggered": (("pyfixest==0.40.1", "pyfixest==0.50.1", "pyfixest==0.60.0"), "", ()),
    "iv-kernel": (("linearmodels==4.9", "linearmodels==4.10"), "3.7", OLD),
    "iv-bandwidth": (("linearmodels==4.17", "linearmodels==4.19"), "3.8", YOUNGER),
    "iv-bartlett": (("linearmodels==4.17", "linearmodels==4.19"), "3.8", YOUNGER),
    "panel-weighted": (("linearmodels==4.2", "linearmodels==4.5"), "3.7", OLDER),
    "panel-unweighted": (("linearmodels==4.2", "linearmodels==4.5"), "3.7", OLDER),
    "panel-errors": (("linearmodels==4.24", "linearmodels==4.25"), "3.8", ("pandas<2",)),
    "iv-robust": (("linearmodels==4.24", "linearmodels==4.25"), "3.8", ("pandas<2",)),
    "propensity": (("scikit-learn==0.21.3", "scikit-learn==0.22.2"), "3.7", ()),
    "propensity-given": (("scikit-learn==0.21.3", "scikit-learn==0.22.2"), "3.7", ()),
    "robust-regression": (
        ("statsmodels==0.13.5", "statsmodels==0.14.0"), "3.9",
        ("numpy<1.24", "scipy<1.11", "pandas<2"),
    ),
    "least-squares": (
        ("statsmodels==0.13.5", "statsmodels==0.14.0"), "3.9",
        ("numpy<1.24", "scipy<1.11", "pandas<2"),
    ),
}  # fmt: skip
"""Which versions are run with which suite of the folder, by which Python and beside what.

Without a Python and anything beside them they are those of this environment."""


def command(name: str, out: Path) -> list[str]:
    """Return the command that runs a suite with its versions."""
    suite = OUT / f"{name}.toml"
    versions, python, beside = PLANNED[name]
    more = ["--python", python] if python else []
    more += [word for requirement in beside for word in ("--with", requirement)]
    return ["cibench", "regress", *versions, *more, "--suite", str(suite), "--out", str(out)]


def run() -> None:
    """Run all commands; the exit codes are those of the verdicts."""
    for name in PLANNED:
        words = command(name, RUNS / name)
        code = ["-c", "from cibench.cli import main; main()"]
        subprocess.run([sys.executable, *code, *words[1:]], check=False)


def collect(root: Path) -> None:
    """Write one line for each cell of each pair that has been run, and a line for each pair.

    Of suites that have not been run here the lines stay that are there.
    """
    missing = {name for name in PLANNED if not list((root / name).glob("*--*"))}
    cells, pairs = (_stored(table, missing) for table in ("cells", "pairs"))
    for name in PLANNED:
        for folder in sorted((root / name).glob("*--*")):
            found = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
            said = shlex.join(command(name, RUNS / name))
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


def _stored(table: str, suites: set[str]) -> list[dict[str, Any]]:
    with (OUT / f"{table}.csv").open(newline="", encoding="utf-8") as stream:
        return [line for line in csv.DictReader(stream) if line["suite"] in suites]


def _told(cell: dict[str, Any]) -> dict[str, Any]:
    changed = [
        f"{m['measure']} {_digits(m['before'])} to {_digits(m['after'])}"
        for m in cell["measures"]
        if m["verdict"] not in ("identical", "numerically changed")
    ]  # fmt: skip
    names = ("scenario", "estimator", "estimand", "horizon", "verdict")
    return {
        **{name: cell[name] for name in names}, "replicates": cell["replicates"][0],
        "changed_share": cell["changed_share"], "largest_change_in_se": cell["largest_change"],
        "measures": "; ".join(changed), "why": cell["why"],
    }  # fmt: skip


def _digits(number: float | None) -> str:
    """Write a measure's value; a fact about single fits has none on one side."""
    return "-" if number is None else f"{number:.6g}"


if __name__ == "__main__":
    if sys.argv[1:2] != ["collect"]:
        run()
    collect(Path(sys.argv[2]) if len(sys.argv) > 2 else RUNS)
