"""How often the gate finds planted faults, and how often it cries without one.

`python benchmarks/gate_power.py all` does it all on two cores: `pool` runs two pools of replicates,
`study` resamples checks out of them and writes the tables of results/reference/gate, `runs` does
three whole checks from the command line; each says how long it took. `dry` is all three with a
fiftieth of the replicates and a few checks, into results/gate-dry.

Checks of one pool overlap in the replicates that they draw, so that their results are not quite
independent; what is drawn for the two sides of an unpaired check never is the same replicate. The
faults are planted on rows, but for the swapped labels and the bandwidth, which are fits of their
own.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import cibench
from cibench.gate.comparison import Comparison, compare
from cibench.gate.pairing import read_rows
from cibench.gate.rules import ChangeVerdict, Rules

HERE = Path(__file__).parent
WORKERS = 2
FOUND = (
    ChangeVerdict.WORSE,
    ChangeVerdict.STATISTICALLY,
    ChangeVerdict.MOVED,
    ChangeVerdict.BETTER,
)


@dataclass(frozen=True)
class Study:
    """Say how large the study is and where its pools and tables go."""

    pools: Path = Path("results/gate-pools")
    out: Path = Path("results/reference/gate")
    sizes: tuple[int, int] = (6000, 20000)
    checks: int = 100
    alarm_checks: int = 200
    alarm_count: int = 1000
    paired: int = 4000
    counts: tuple[int, ...] = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000, 9900)

    @property
    def needed(self) -> int:
        """Return how many checks have to find a fault."""
        return -(-95 * self.checks // 100)


DRY = Study(
    Path("results/gate-dry/pools"), Path("results/gate-dry"), (120, 400), 4, 6, 60, 80, (60, 190)
)

QUICK = [
    {"scenario": "rd/cct-1", "n": 500, "estimators": ["rdrobust/robust", "rd/local-linear"]},
    {"scenario": "did/two-group", "n": 40, "estimators": ["naive/difference-in-means"]},
    {"scenario": "did/state-panel", "n": 10, "estimators": ["panel/twfe-few-clusters"]},
]
FAST = [
    {"scenario": "rd/cct-1", "n": 500, "estimators": ["rd/local-linear"]},
    {"scenario": "did/two-group", "n": 40, "estimators": ["naive/difference-in-means"]},
    {"scenario": "did/state-panel", "n": 10, "estimators": ["planted/twfe"]},
]
FITTED = [
    {"scenario": "rd/cct-1", "n": 500, "estimators": ["rd/local-linear"],
     "options": {"rd/local-linear": {"bandwidth": 0.6}}},
    {"scenario": "did/staggered", "n": 50, "estimators": ["planted/twfe"]},
    {"scenario": "did/staggered", "n": 50, "estimators": ["planted/twfe"],
     "options": {"planted/twfe": {"swapped": 1998}}},
]  # fmt: skip
JITTERED = [
    {"scenario": "did/two-period", "n": 100, "estimators": ["planted/jitter"],
     "options": {"planted/jitter": {"again": again}}}
    for again in (0, 1)
]  # fmt: skip
PLAIN = {"rd/local-linear": '{"bandwidth":0.5}', "planted/twfe": '{"swapped":0}'}


def pools(size: Study) -> None:
    """Run both pools: the quick gate with 6,000 replicates, cheap estimators with 20,000."""
    cells_of = {"quick": [*QUICK, *FITTED], "fast": [*FAST, *FITTED, *JITTERED]}
    for (name, cells), replicates in zip(cells_of.items(), size.sizes, strict=True):
        started = time.perf_counter()
        shutil.rmtree(size.pools / name, ignore_errors=True)
        spec = {
            "name": f"pool-{name}", "seed": 4711, "replicates": replicates, "cells": cells,
            "plugins": [str(HERE / "planted.py")],
        }  # fmt: skip
        cibench.run(spec, out=size.pools / name, workers=WORKERS)
        print(f"pool {name}: {time.perf_counter() - started:.0f} s", flush=True)


Columns = dict[str, np.ndarray]
Fault = Callable[[Columns, np.random.Generator], None]


def scaled(factor: float) -> Fault:
    """Stretch standard errors and limits."""

    def plant(rows: Columns, _: np.random.Generator) -> None:
        for end in ("ci_low", "ci_high"):
            rows[end] = rows["estimate"] + factor * (rows[end] - rows["estimate"])
        rows["std_error"] = factor * rows["std_error"]

    return plant


def biased(rows: Columns, _: np.random.Generator) -> None:
    """Move estimates and limits by 0.15 empirical standard errors."""
    shift = 0.15 * (rows["estimate"] - rows["truth"]).std(ddof=1)
    for name in ("estimate", "ci_low", "ci_high"):
        rows[name] = rows[name] + shift


def one_sided(rows: Columns, _: np.random.Generator) -> None:
    """Draw the upper limit nearer until 2 points more of the intervals lie below the truth."""
    reach = rows["ci_high"] - rows["estimate"]
    needed = (rows["truth"] - rows["estimate"]) / reach
    share = float(np.quantile(needed, 1 - ((needed > 1).mean() + 0.02)))
    rows["ci_high"] = rows["estimate"] + share * reach


def without_df(rows: Columns, _: np.random.Generator) -> None:
    """Take normal limits where ten clusters call for Student's with nine degrees of freedom."""
    reach = 1.959963984540054 * rows["std_error"]
    rows["ci_low"], rows["ci_high"] = rows["estimate"] - reach, rows["estimate"] + reach


def silent(rows: Columns, rng: np.random.Generator) -> None:
    """Let one fit in a hundred answer 0 with standard error 1, as initialised, and say nothing."""
    lost = rng.random(rows["estimate"].size) < 0.01
    for name, default in (("estimate", 0), ("std_error", 1), ("ci_low", -1.96), ("ci_high", 1.96)):
        rows[name] = np.where(lost, default, rows[name])


@dataclass(frozen=True)
class Planted:
    """Name a fault, where it is planted in either pool, and how: on rows or by other options."""

    name: str
    where: tuple[str, str]
    unpaired: tuple[str, str]
    plant: Fault | None = None
    options: str = ""


RD, ROBUST = ("rd/cct-1", "rd/local-linear"), ("rd/cct-1", "rdrobust/robust")
NAIVE = ("did/two-group", "naive/difference-in-means")
TEN = ("did/state-panel", "panel/twfe-few-clusters")
STAGGERED = ("did/staggered", "planted/twfe")
FAULTS = (
    Planted("standard errors 10 % too large", ROBUST, RD, scaled(1.1)),
    Planted("standard errors 10 % too small", ROBUST, RD, scaled(0.9)),
    Planted("bias of 0.15 empirical SE", ROBUST, RD, biased),
    Planted("one-sided interval error of 2 points", NAIVE, NAIVE, one_sided),
    Planted("df ignored with ten clusters", TEN, ("did/state-panel", "planted/twfe"), without_df),
    Planted("1 % of fits fail silently to a default", ROBUST, RD, silent),
    Planted("labels of one cohort swapped", STAGGERED, STAGGERED, options='{"swapped":1998}'),
    Planted("bandwidth scaled by 1.2", RD, RD, options='{"bandwidth":0.6}'),
)


class Pool:
    """Hold a pool's rows by estimator, each in replicate order, as columns and as tables."""

    def __init__(self, folder: Path) -> None:
        rows = read_rows(folder)
        self.tables: dict[tuple[str, str, str], pa.Table] = {}
        keys = rows.group_by(["scenario", "estimator", "options"]).aggregate([])
        for key in keys.select(["scenario", "estimator", "options"]).to_pylist():
            mask = pc.and_(
                pc.equal(rows["scenario"], key["scenario"]),
                pc.and_(
                    pc.equal(rows["estimator"], key["estimator"]),
                    pc.equal(rows["options"], key["options"]),
                ),
            )
            part = rows.filter(mask).sort_by("replicate").combine_chunks()
            self.tables[tuple(key.values())] = part.unify_dictionaries()
        self.size = min(table.num_rows for table in self.tables.values())

    def gate(self) -> list[tuple[str, str, str]]:
        """Return the keys of the estimators that make the gate, faults and jitter left out."""
        return [
            key for key in self.tables
            if PLAIN.get(key[1], key[2]) == key[2] and key[1] != "planted/jitter"
        ]  # fmt: skip

    def rows(
        self, drawn: np.ndarray, replicate: np.ndarray
    ) -> dict[tuple[str, str, str], pa.Table]:
        """Return the gate's rows of the drawn replicates, numbered anew."""
        take, number = pa.array(drawn), pa.array(replicate)
        place = {}
        for key in self.gate():
            table = self.tables[key].take(take)
            at = table.column_names.index("replicate")
            place[key] = table.set_column(at, table.schema.field(at), number)
        return place


def planted(
    fault: Planted, pool: Pool, where: tuple[str, str], drawn: np.ndarray, table: pa.Table,
    rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    """Return the rows of an estimator with the fault in them, under its own name."""
    names = ("estimate", "std_error", "ci_low", "ci_high")
    if fault.plant is None:
        other = pool.tables[(*where, fault.options)].take(pa.array(drawn))
        columns: Columns = {name: other[name].to_numpy() for name in (*names, "df", "p_value")}
    else:
        columns = {name: table[name].to_numpy().copy() for name in (*names, "truth")}
        fault.plant(columns, rng)
        columns.pop("truth")
    for name, values in columns.items():
        at = table.column_names.index(name)
        fresh = pa.array(values, pa.float64(), from_pandas=True)
        table = table.set_column(at, table.schema.field(at), fresh)
    return table


def check(
    pool: Pool, fault: Planted | None, count: int, rng: np.random.Generator, *, paired: bool
) -> tuple[Comparison, tuple[str, str]]:
    """Draw one check out of the pool, plant the fault on its second side, and compare."""
    drawn = rng.choice(pool.size, count if paired else 2 * count, replace=False)
    sides = [drawn, drawn] if paired else [drawn[:count], drawn[count:]]
    numbers = np.arange(count)
    before, after = (pool.rows(side, numbers) for side in sides)
    where = ("", "")
    if fault is not None:
        where = fault.where if paired else fault.unpaired
        key = next(k for k in after if k[:2] == where)
        after[key] = planted(fault, pool, where, sides[1], after[key], rng)
    tables = [pa.concat_tables(list(side.values())) for side in (before, after)]
    return compare(*tables, Rules(), paired=paired), where


def found(result: Comparison, where: tuple[str, str]) -> tuple[bool, bool, list[str]]:
    """Say whether the planted cell was found, whether any other was, and by which measures."""
    hits = [c for c in result.cells if c.verdict in FOUND]
    mine = [c for c in hits if (c.names["scenario"], c.names["estimator"]) == where]
    measures = [m.name for c in mine for m in c.measures if m.changed]
    return bool(mine), len(hits) > len(mine), measures


def power(number: int, size: Study, *, paired: bool) -> list[dict[str, Any]]:
    """Return how often a fault was found, up to the first count that finds 95 of 100.

    A count is given up as soon as it has missed too many for that: then fewer checks are told.
    """
    fault, lines = FAULTS[number], []
    pool = Pool(size.pools / ("quick" if paired else "fast"))
    for count in (size.paired,) if paired else size.counts:
        rng = np.random.default_rng([number, count, paired])
        hits, others, done, by = 0, 0, 0, Counter[str]()
        while done < size.checks and (paired or done - hits <= size.checks - size.needed):
            hit, other, measures = found(*check(pool, fault, count, rng, paired=paired))
            hits, others, done = hits + hit, others + other, done + 1
            by.update(measures)
        lines.append({
            "fault": fault.name, "mode": "paired" if paired else "unpaired",
            "estimator": " ".join(fault.where if paired else fault.unpaired),
            "replicates": count, "checks": done, "found": hits, "other_cells": others,
            "found_by": "; ".join(f"{m} {n}" for m, n in by.most_common(4)),
        })  # fmt: skip
        print(lines[-1], flush=True)
        if done == size.checks and hits >= size.needed:
            break
    return lines


LOOSE = Rules(alpha=0.2).with_margins(
    [f"{m}=0" for m in Rules().margins if m not in ("moved", "repeated")]
)
RULES = {"default rules": Rules(), "margins 0, level 0.2": LOOSE}
KINDS = ("jittered folds, paired", "other data, unpaired")


def alarms(kind: str, name: str, size: Study) -> dict[str, Any]:
    """Return how many checks without a fault failed: jittered in pairs, or other data."""
    pool, rules, count = Pool(size.pools / "fast"), RULES[name], size.alarm_count
    rng = np.random.default_rng([count, len(kind), len(name)])
    failed, verdicts = 0, Counter[str]()
    for _ in range(size.alarm_checks):
        quiet = _jittered if kind == KINDS[0] else _other_data
        result = quiet(pool, count, rules, rng)
        failed += result.exit_code == 1
        verdicts[str(result.verdict)] += 1
    line = {
        "checks of": kind, "rules": name, "replicates": count, "checks": size.alarm_checks,
        "failed": failed, "verdicts": "; ".join(f"{k} {v}" for k, v in verdicts.items()),
    }  # fmt: skip
    print(line, flush=True)
    return line


def _jittered(pool: Pool, count: int, rules: Rules, rng: np.random.Generator) -> Comparison:
    """Compare two fits of the same data with fresh folds, which is which tossed by a coin."""
    jitters = [key for key in pool.tables if key[1] == "planted/jitter"]
    one, other = (pool.tables[key] for key in jitters)
    at = one.column_names.index("options")
    other = other.set_column(at, one.schema.field(at), one["options"])
    drawn = rng.choice(pool.size, count, replace=False)
    turned = rng.random(count) < 0.5
    both = [t.take(pa.array(drawn)) for t in (one, other)]
    sides = [_mixed(both, turned), _mixed(both[::-1], turned)]
    return compare(*sides, rules, random={(jitters[0][1], jitters[0][2])})


def _other_data(pool: Pool, count: int, rules: Rules, rng: np.random.Generator) -> Comparison:
    drawn = rng.choice(pool.size, 2 * count, replace=False)
    numbers = np.arange(count)
    halves = (
        pa.concat_tables(list(pool.rows(side, numbers).values()))
        for side in (drawn[:count], drawn[count:])
    )
    return compare(*halves, rules, paired=False)


def _mixed(sides: list[pa.Table], turned: np.ndarray) -> pa.Table:
    """Return the first side's rows, the second's where turned: both are the same fit's."""
    whole, size = pa.concat_tables(sides), turned.size
    return whole.take(pa.array(np.arange(size) + size * turned))


def study(size: Study) -> None:
    """Resample all checks, in two processes, and write the tables."""
    size.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as processes:
        quiet = [processes.submit(alarms, k, name, size) for k in KINDS for name in RULES]
        faults = [
            processes.submit(power, number, size, paired=paired)
            for paired in (True, False)
            for number in range(len(FAULTS))
        ]
        _write(size.out / "alarms.csv", [one.result() for one in quiet])
        _write(size.out / "power.csv", [line for one in faults for line in one.result()])
    print(f"study: {time.perf_counter() - started:.0f} s", flush=True)


def runs(size: Study) -> None:
    """Do three whole checks of the quick suite: nothing changed, a fault, other data."""
    size.out.mkdir(parents=True, exist_ok=True)
    lines = []
    work = size.pools / "runs"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shutil.copy(HERE / "planted.py", work / "planted.py")
    cells = [*QUICK, {"scenario": "did/staggered", "n": 50, "estimators": ["planted/twfe"]}]
    spec = {"name": "gate-runs", "seed": 4711, "plugins": ["planted.py"]}
    spec["replicates"] = size.paired
    (work / "suite.toml").write_text(cibench_toml({**spec, "cells": cells}))
    _call(work, "run", "suite.toml", "--out", "first", "--workers", "2")
    _call(work, "baseline", "save", "first", "main")
    edits = {
        "nothing changed": "",
        "labels of one cohort swapped": "swapped: int = 0",
        "other data": "--unpaired",
    }
    for name, edit in edits.items():
        text = (HERE / "planted.py").read_text()
        if edit.startswith("swapped"):
            # the default says which cohort is swapped; the options in the rows stay the same
            text = text.replace("(cohort == swapped) & (swapped != 0)", "(cohort == 1998)")
        (work / "planted.py").write_text(text)
        started = time.perf_counter()
        extra = [edit] if edit.startswith("--") else []
        command = ["check", "suite.toml", "--against", "main", "--workers", "2", *extra]
        code = _call(work, *command)
        seconds = time.perf_counter() - started
        verdict = json.loads((work / "results/check-main/verdict.json").read_text())
        changed = [
            f"{c['scenario']} {c['estimator']}: {c['verdict']}" for c in verdict["cells"]
            if c["verdict"] not in ("identical", "numerically changed")
        ]  # fmt: skip
        lines.append({
            "check": name, "command": f"cibench {' '.join(command)}", "exit_code": code,
            "verdict": verdict["verdict"], "changed": "; ".join(changed),
            "seconds": round(seconds), "load": round(_load(), 1),
        })  # fmt: skip
        print(lines[-1], flush=True)
    _write(size.out / "runs.csv", lines)


def cibench_toml(spec: dict[str, Any]) -> str:
    """Return a suite's text."""
    from cibench.utils.toml import to_toml

    return to_toml(spec)


def _load() -> float:
    import os

    return os.getloadavg()[0]


def _call(work: Path, *arguments: str) -> int:
    command = [sys.executable, "-c", "from cibench.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=work, check=False, stdout=subprocess.DEVNULL).returncode


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


PARTS = {"pool": pools, "study": study, "runs": runs}

if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "all"
    if asked not in (*PARTS, "all", "dry"):
        raise SystemExit(f"gate_power.py: {asked!r} is none of {', '.join(PARTS)}, all, dry")
    for part in PARTS.values() if asked in ("all", "dry") else (PARTS[asked],):
        part(DRY if asked == "dry" else Study())
