"""Whether each of 23 planted faults is found, with the verdict that is promised; and no alarm.

`python benchmarks/gate_faults.py [FOLDER]` takes a quarter of an hour on one core. It runs one pool
of replicates, draws a hundred checks of 200 replicates for each fault out of it, compares under the
rules that hold where nobody says others, and writes `faults.csv` and `quiet.csv` into FOLDER
[results/reference/gate]. A fault counts as found where the verdict is the promised one.

Quiet are checks of thirty random methods at once: the same data and other seeds of the methods'
own, and other data. Checks of one pool overlap in the replicates that they draw. `small` instead
of a folder tries it with a tenth, into results/gate-faults.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import cibench
from cibench.gate.comparison import compare
from cibench.gate.output.cell_views import numbers
from cibench.gate.pairing import read_rows
from cibench.gate.rules import Rules

HERE = Path(__file__).parent
WORSE, BETTER, CHANGED = "worse", "better", "statistically changed"
MOVED, SUBTLE = "moved", "numerically changed"
FAILS = (WORSE, CHANGED, MOVED, BETTER)
"""What is said of a change beyond a margin; what is less than every margin passes, and is named."""

PLACES = {
    "faults/regression": ("quirks/regression", 120),
    "faults/fixed-effects": ("did/state-panel", 10),
    "faults/local-linear": ("rd/cct-1", 500),
    "faults/random": ("quirks/regression", 120),
}
FAULTS: dict[str, dict[str, tuple[str, ...]]] = {
    "faults/regression": {
        "n / (n - k) forgotten": (SUBTLE,),
        "normal for Student's t, 117 df": (SUBTLE,),
        "single precision": (SUBTLE,),
        "the last row lost": (SUBTLE, MOVED),
        "a covariate forgotten": FAILS,
        "the constant forgotten": (SUBTLE,),
        "errors taken for homoskedastic": (SUBTLE,),
        "errors 10 % too large": FAILS,
        "errors 10 % too small": FAILS,
        "0.15 SE too large": FAILS,
        "the upper limit at 90 %": FAILS,
        "one in twenty raises": (WORSE,),
        "one in fifty falls back to 0 (1)": FAILS,
        "the sign turned in 3 of 100": FAILS,
    },
    "faults/fixed-effects": {
        "normal for Student's t, 9 df": FAILS,
        "clusters forgotten": FAILS,
        "G / (G - 1) forgotten": FAILS,
        "time effects forgotten": FAILS,
        "one cohort's treatment a period late": (*FAILS, SUBTLE),
    },
    "faults/local-linear": {
        "bandwidth 1.2 times": FAILS,
        "bandwidth to the next unit": (SUBTLE,),
        "uniform for triangular weights": FAILS,
    },
    "faults/random": {"the seed fixed inside": (SUBTLE,)},
}
"""What is planted where, and the verdicts of which one is promised.

What is less than every margin in these designs passes, and is told with its size in standard
errors: errors taken for homoskedastic where they nearly are, a constant forgotten where means are
nearly 0.
Faults of a few fits are `moved` or `worse` as facts, or show in averages as well."""

RANDOM = [
    *({"kind": "bootstrap", "size": size} for size in range(20, 60, 4)),
    *({"kind": "folds", "size": size} for size in range(2, 22)),
]
"""Thirty methods that answer by chance."""


def pool(folder: Path, replicates: int) -> pa.Table:
    """Run the right answers, all wrong ones, and the random methods twice."""
    cells = []
    for name, faults in FAULTS.items():
        scenario, n = PLACES[name]
        for fault in ("", *faults):
            options = {name: {"fault": fault}} if fault else {}
            cells.append({"scenario": scenario, "n": n, "estimators": [name], "options": options})
    scenario, n = PLACES["faults/random"]
    for kind in RANDOM:
        for again in (0, 1):
            options = {"faults/random": {**kind, "again": again}}
            cells.append({"scenario": scenario, "n": n, "estimators": ["faults/random"],
                          "options": options})  # fmt: skip
    spec = {"name": "faults", "seed": 4711, "replicates": replicates, "cells": cells,
            "plugins": [str(HERE / "planted_faults.py")]}  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    run = cibench.run(spec, out=folder, keep_going=True, checks=False)
    return read_rows(run.folder)


def rows_of(rows: pa.Table, name: str, **options: Any) -> pa.Table:
    """Return the rows of an estimator with just these options, in replicate order."""
    chosen = pc.and_(
        pc.equal(rows["estimator"], name), pc.equal(rows["options"], full(rows, name, options))
    )
    return rows.filter(chosen).sort_by("replicate").combine_chunks().unify_dictionaries()


def full(rows: pa.Table, name: str, options: dict[str, Any]) -> str:
    """Return the options as rows have them: those that were not given at their defaults."""
    texts = pc.unique(rows.filter(pc.equal(rows["estimator"], name))["options"]).to_pylist()
    defaults = {"fault": "", "kind": "bootstrap", "size": 50, "again": 0}
    for text in texts:
        own = json.loads(text)
        if all(own.get(k, defaults[k]) == options.get(k, defaults[k]) for k in defaults):
            return str(text)
    raise LookupError(f"{name} {options}: not run")


def drawn(table: pa.Table, places: np.ndarray, options: str) -> pa.Table:
    """Return some replicates of a method, numbered anew, under given options."""
    part = table.take(pa.array(places))
    columns = {"replicate": pa.array(np.arange(places.size)), "options": [options] * places.size}
    for name, values in columns.items():
        at = part.column_names.index(name)
        kind = part.schema.field(at).type
        column = pa.array(values, getattr(kind, "value_type", kind))
        is_coded = pa.types.is_dictionary(kind)
        part = part.set_column(at, name, column.dictionary_encode() if is_coded else column)
    return part


def faults(rows: pa.Table, checks: int, count: int) -> list[dict[str, Any]]:
    """Return for each fault how often its verdict was the promised one, and which others."""
    lines = []
    for place, (name, planted) in enumerate(FAULTS.items()):
        right = rows_of(rows, name)
        for number, (fault, promised) in enumerate(planted.items()):
            wrong, verdicts, words = rows_of(rows, name, fault=fault), Counter[str](), ""
            rng = np.random.default_rng([place, number])
            for _ in range(checks):
                places = rng.choice(right.num_rows, count, replace=False)
                result = compare(drawn(right, places, "{}"), drawn(wrong, places, "{}"), Rules())
                verdicts[str(result.verdict)] += 1
                words = words or numbers(result.cells[0], Rules().tolerance)
            lines.append({
                "fault": fault, "estimator": name, "replicates": count, "checks": checks,
                "found": sum(verdicts[v] for v in promised), "promised": " or ".join(promised),
                "verdicts": "; ".join(f"{k} {v}" for k, v in verdicts.most_common()),
                "words": words,
            })  # fmt: skip
            print(lines[-1], flush=True)
    return lines


def quiet(rows: pa.Table, checks: int, count: int) -> list[dict[str, Any]]:
    """Return how many checks of all random methods failed, of either kind."""
    tables = [
        [rows_of(rows, "faults/random", again=again, **kind) for again in (0, 1)] for kind in RANDOM
    ]
    lines = []
    for kind in ("other seeds of the methods, the same data", "other data"):
        rng, verdicts, failed = np.random.default_rng([len(kind), count]), Counter[str](), 0
        for _ in range(checks):
            size = tables[0][0].num_rows
            places = rng.choice(size, 2 * count, replace=False)
            paired = kind != "other data"
            sides: list[list[pa.Table]] = [[], []]
            for number, (one, other) in enumerate(tables):
                options = f'{{"method":{number}}}'
                sides[0].append(drawn(one, places[:count], options))
                second = places[:count] if paired else places[count:]
                sides[1].append(drawn(other if paired else one, second, options))
            dice = {("faults/random", f'{{"method":{n}}}') for n in range(len(tables))}
            result = compare(
                *(pa.concat_tables(side, promote_options="default") for side in sides), Rules(),
                paired=paired, random=dice if paired else (),
            )  # fmt: skip
            failed += result.exit_code == 1
            verdicts.update(str(cell.verdict) for cell in result.cells)
        lines.append({
            "checks of": kind, "methods": len(tables), "replicates": count, "checks": checks,
            "failed": failed,
            "verdicts of methods": "; ".join(f"{k} {v}" for k, v in verdicts.most_common()),
        })  # fmt: skip
        print(lines[-1], flush=True)
    return lines


def main(words: list[str]) -> None:
    """Run the study and write its tables."""
    small = words == ["small"]
    out = Path("results/gate-faults") if small else Path((words or ["results/reference/gate"])[0])
    started = time.perf_counter()
    replicates, checks = (100, 10) if small else (1000, 100)
    rows = pool(Path("results/gate-faults/pool"), replicates)
    print(f"pool: {time.perf_counter() - started:.0f} s", flush=True)
    count = 40 if small else 200
    tables = {"faults": faults(rows, checks, count), "quiet": quiet(rows, checks, count)}
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in tables.items():
        with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    print(f"study: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
