"""What data twins cost and find: speed beside SDV, coverage by generator, the audit's gate.

python benchmarks/twins.py speed            # fit, draw of 1,000 rows, 10^6 rows; one thread
python benchmarks/twins.py coverage 1000    # robust intervals on twins with f known, n = 2,000
python benchmarks/twins.py gate 100         # 20 planted defects by size, and sound twins
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from cibench import find_estimator, find_scenario
from cibench.metrics.intervals import covers
from cibench.model.method import installed
from cibench.model.streams import stream
from cibench.model.types import Array, Problem
from cibench.twins.audit.audit import audit_columns, audit_twin
from cibench.twins.cross_section import reconstruct
from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import Seed, seed_of
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.generators.base import Training, maker
from cibench.twins.observed import as_draw, roles_of
from cibench.twins.sample import draw_rows
from cibench.twins.scenario import default_effect
from cibench.twins.twin import Twin

FAMILIES = ("vine", "gaussian", "resampling", "trees")
DESIGN = Design("rd", "y", treatment="d", running="x", cutoff=5.0)
KNOWN = UserStructure(outcome="3000 + 400*(x - 5) + 20*(x - 5)**2", effect="300*x")
Columns = dict[str, Array]


def loyalty(rows: int = 1000, number: int = 1, name: str = "rd/loyalty-strong-covariates") -> Seed:
    """Draw seed data from the closed-form design."""
    drawn = find_scenario(name)().draw(rows, np.random.default_rng(number))
    return seed_of(pd.DataFrame(dict(drawn.columns)), DESIGN)


def speed() -> None:
    """Print seconds for 1,000 rows x 8 columns and a million rows of them, on the processor."""
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(0.4 * np.ones((8, 8)) + 0.6 * np.eye(8))
    z = np.exp(rng.standard_normal((1000, 8)) @ root.T / 2)
    names = [f"c{j}" for j in range(8)]
    columns = dict(zip(names, z.T, strict=True))
    training = Training(columns, frozenset(), frozenset(), ("c7",))
    families = (*FAMILIES, *(("sdv-gaussian",) if installed("sdv") else ()))
    for family in families:
        fit, made = timed(lambda f=family: maker(f).train(training, np.random.default_rng(0)), 1)
        small, _ = timed(lambda m=made: m.sample(1000, np.random.default_rng(1)), 5)
        large, _ = timed(lambda m=made: m.sample(1_000_000, np.random.default_rng(1)), 1)
        print(f"{family:14} fit {fit:6.2f} s, 1,000 rows {1e3 * small:7.2f} ms, "
              f"10^6 rows {large:7.2f} s")  # fmt: skip


def timed(work: Callable[[], object], times: int) -> tuple[float, object]:
    """Return the median of the processor's seconds, and what came of the work."""
    seconds = []
    for _ in range(times):
        started = time.process_time()
        made = work()
        seconds.append(time.process_time() - started)
    return float(np.median(seconds)), made


def coverage(replicates: int) -> None:
    """Print the coverage of robust intervals on the design and on twins of it with f known."""
    method = find_estimator("rdrobust/robust")
    design = find_scenario("rd/loyalty")()
    shares = {}
    hits = [
        hit(method, Problem.of(design.draw(2000, stream("own", r)), design.roles, design.targets()))
        for r in range(replicates)
    ]
    shares["the design"] = hits
    seed = loyalty(name="rd/loyalty")
    for family in FAMILIES:
        twin = fit_twin(seed, family, KNOWN)
        roles, hits = roles_of(twin), []
        for r in range(replicates):
            rows = reconstruct(twin, 2000, stream(family, r), 1500.0, {})
            hits.append(hit(method, Problem.of(as_draw(twin, rows, design.targets()), roles,
                                               design.targets())))  # fmt: skip
        shares[family] = hits
    for name, hits in shares.items():
        p = float(np.mean(hits))
        print(f"{name:14} {100 * p:.1f} % ({100 * np.sqrt(p * (1 - p) / len(hits)):.1f})")


def hit(method: object, problem: Problem) -> bool:
    """Say whether the interval covers the planted 1,500."""
    answer = method.fit(problem, np.random.default_rng(0))  # type: ignore[attr-defined]
    return bool(covers(answer.low, answer.high, 1500))


Defect = Callable[[Twin, Columns, Mapping[str, Array], float], Columns]


def shifted(where: Callable[[Columns], Array]) -> Defect:
    """Return a defect that adds so many s.d. of the residual to the outcome somewhere."""
    return lambda twin, c, _, size: {**c, "y": c["y"] + size * twin.structure.sd * where(c)}


def thinned(name: str) -> Defect:
    """Return a defect that puts a share of a column in another order."""

    def spoil(_t: Twin, c: Columns, _b: Mapping[str, Array], size: float) -> Columns:
        rng, x = np.random.default_rng(0), c[name].copy()
        chosen = np.nonzero(rng.random(len(x)) < size)[0]
        x[chosen] = x[rng.permutation(chosen)]
        return {**c, name: x}

    return spoil


def scaled(name: str) -> Defect:
    """Return a defect that moves a column by so many of its s.d., within its range."""

    def spoil(_t: Twin, c: Columns, _b: Mapping[str, Array], size: float) -> Columns:
        x = c[name]
        return {**c, name: np.clip(x + size * x.std(), x.min(), x.max())}

    return spoil


def broken(name: str) -> Defect:
    """Return a defect that breaks a rule in a share of the rows."""

    def spoil(_t: Twin, c: Columns, _b: Mapping[str, Array], size: float) -> Columns:
        chosen = np.random.default_rng(0).random(len(c["x"])) < size
        wrong = {"d": 1 - c["d"], "bookings": c["bookings"] + 0.5, "age": c["age"] + 100}[name]
        return {**c, name: np.where(chosen, wrong, c[name])}

    return spoil


def sorted_(_t: Twin, c: Columns, behind: Mapping[str, Array], size: float) -> Columns:
    """Move a share of the rows just below the cutoff above it."""
    x = c["x"]
    goes = (x < 5) & (x > 4.65) & (np.random.default_rng(0).random(len(x)) < size)
    x = np.where(goes, 10 - x, x)
    d = (x >= 5).astype(float)
    return {**c, "x": x, "d": d, "y": behind["baseline"] + behind["effects"] * d}


SIZES = (0.25, 0.5, 1.0, 2.0)
"""Defects are planted at these multiples of the size at which they must be found."""

DEFECTS: dict[str, tuple[float, str, Defect]] = {
    "effect halved": (-1.5, "s.d. of jump", shifted(lambda c: c["d"])),
    "jump too large": (0.5, "s.d. of jump", shifted(lambda c: c["d"])),
    "rule broken": (0.01, "share", broken("d")),
    "no whole numbers": (0.01, "share", broken("bookings")),
    "out of range": (0.01, "share", broken("age")),
    "jump at 2.5": (1.0, "s.d.", shifted(lambda c: c["x"] >= 2.5)),
    "jump at 4": (1.0, "s.d.", shifted(lambda c: c["x"] >= 4)),
    "jump at 6": (1.0, "s.d.", shifted(lambda c: c["x"] >= 6)),
    "jump at 7": (1.0, "s.d.", shifted(lambda c: c["x"] >= 7)),
    "sorting": (0.6, "share", sorted_),
    "age shuffled": (1.0, "share", thinned("age")),
    "bookings shuffled": (1.0, "share", thinned("bookings")),
    "value shuffled": (1.0, "share", thinned("value")),
    "trips shuffled": (1.0, "share", thinned("international")),
    "outcome shuffled": (0.2, "share", thinned("y")),
    "age moved": (0.4, "s.d.", scaled("age")),
    "value moved": (0.4, "s.d.", scaled("value")),
    "trips moved": (0.4, "s.d.", scaled("international")),
    "outcome moved": (1.0, "s.d. of residual", shifted(lambda c: np.ones(len(c["x"])))),
    "policy above 8": (1.0, "s.d.", shifted(lambda c: c["x"] >= 8)),
}


def gate(sound: int) -> None:
    """Print which defects are found at which size, and how many sound twins alarm."""
    twin = fit_twin(loyalty(), "gaussian")
    effect = default_effect(twin)
    rows = draw_rows(twin, 20_000, effect, 0)
    behind = {"baseline": rows.baseline, "effects": rows.effects}
    print(f"{'defect':20} {'size':>6} {'':18} found at 1/4, 1/2, 1 and 2 times that size")
    found = 0
    for name, (size, unit, spoil) in DEFECTS.items():
        marks = []
        for k in SIZES:
            columns = spoil(twin, dict(rows.columns), behind, _share(unit, size * k))
            marks.append(not audit_columns(twin, columns, effect).passed)
        found += marks[2]
        print(f"{name:20} {size:6.3g} {unit:18} {'  '.join('yes' if m else 'no ' for m in marks)}")
    print(f"{found} of {len(DEFECTS)} found")
    alarms = [_sound(number) for number in range(sound)]
    print(f"{sum(alarms)} alarms on {sound} sound twins")


def _share(unit: str, size: float) -> float:
    return min(size, 1.0) if unit == "share" else size


def _sound(number: int) -> bool:
    family = FAMILIES[number % len(FAMILIES)]
    found = audit_twin(fit_twin(loyalty(number=1000 + number), family))
    if not found.passed:
        print(number, family, *found.lines, sep="\n  ")
    return not found.passed


def main() -> None:
    """Run one part, or all of them in small."""
    part = sys.argv[1] if len(sys.argv) > 1 else "speed"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    {"speed": speed, "coverage": lambda: coverage(count), "gate": lambda: gate(count)}[part]()


if __name__ == "__main__":
    main()
