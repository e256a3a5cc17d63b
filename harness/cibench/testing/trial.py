"""One stranger's estimator on one scenario against its baseline, as a test does it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cibench.execution.settings import EVERY_FIT
from cibench.gate import baseline
from cibench.gate.check import check_suite
from cibench.gate.comparison import Comparison
from cibench.gate.expectations import FAILING, check_expectations
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import CellView, changed_most, tell
from cibench.gate.output.expectations import in_words
from cibench.gate.output.files import PAGE, write_files
from cibench.gate.rules import MEASURES, Rules
from cibench.model import registry
from cibench.model.design import find_scenario
from cibench.model.method import Estimator, find_estimator
from cibench.model.types import Estimand
from cibench.render.labels import slug
from cibench.results.api import run
from cibench.suite.parse import parse_suite
from cibench.suite.suite import Suite
from cibench.testing.adapters import adapted, name_of
from cibench.utils.errors import BadInput, unknown

REPLICATES, UNITS = 200, 500


@dataclass(frozen=True)
class Bench:
    """Say where a test keeps baselines and leaves runs, and how it was asked to go about it.

    `home` is the test's file, below whose name its baselines are kept; `only` the scenario that
    this test was parametrised for, "" where it runs them all.
    """

    baselines: Path
    runs: Path
    home: str
    replicates: int | None = None
    update: bool = False
    only: str = ""


@dataclass(frozen=True)
class Trial:
    """Hold what is put to the test in one scenario: the estimator's name and the suite."""

    suite: Suite
    scenario: str
    estimator: str
    baseline: str


@contextmanager
def entered(
    subject: Any, name: str | None, data: Mapping[str, str] | None, gives: Sequence[str],
    estimand: str | None, assumes: Sequence[str] = (),
) -> Iterator[str]:  # fmt: skip
    """Have an estimator on the shelf for a while; yield its id. A registered one stays there."""
    if isinstance(subject, str | Estimator):
        yield subject if isinstance(subject, str) else subject.name
        return
    if estimand is not None and estimand not in list(Estimand):
        raise BadInput(unknown("estimand", estimand, Estimand))
    fit, targets = adapted(subject, data, gives), [Estimand(estimand)] if estimand else Estimand
    estimator = Estimator(
        name or name_of(subject), fit, targets=tuple(targets), assumes=tuple(assumes)
    )
    with registry.lent("estimator", estimator.name, estimator, fit.__module__, fit.__qualname__):
        yield estimator.name


def trials(
    bench: Bench, estimator: str, scenarios: Sequence[str], against: str, **cell: Any
) -> Iterator[Trial]:
    """Yield a trial for every scenario that the estimator answers.

    A glob leaves out what it does not answer; a name that it does not answer is BadInput.
    """
    replicates = cell.pop("replicates", None)
    seed, level = cell.pop("seed", 1), cell.pop("level", 0.95)
    method = find_estimator(estimator)
    for name in chosen(scenarios):
        if bench.only and name != bench.only:
            continue
        cls = find_scenario(name)
        if (reason := method.declines(cls())) is not None:
            if name in scenarios or bench.only:
                raise BadInput(f"{estimator} {reason}")
            continue
        spec = {
            "name": slug(f"{estimator} {name}").replace(".", "-"), "seed": seed, "level": level,
            "replicates": bench.replicates or replicates or REPLICATES,
            "cells": [{"scenario": name, "n": UNITS, "estimators": [estimator], **cell}],
        }  # fmt: skip
        place = f"{against}/{bench.home}/{slug(estimator)}/{slug(name)}"
        yield Trial(parse_suite(spec, where="cibench_check"), name, estimator, place)


def chosen(scenarios: Sequence[str]) -> list[str]:
    """Return the names that patterns stand for, each once; raises BadInput where none does."""
    names = [name for pattern in scenarios for name in registry.matching("scenario", pattern)]
    return list(dict.fromkeys(names))


def save(bench: Bench, trial: Trial) -> Path:
    """Run a trial and save it as its baseline; return the baseline's folder."""
    result = run(trial.suite, settings=EVERY_FIT)
    return baseline.save(result, trial.baseline, bench.baselines, replace=True).folder


def compare(bench: Bench, trial: Trial, rules: Rules) -> tuple[Comparison, str]:
    """Run a trial against its baseline; return the comparison and, where it fails, the message."""
    reference = baseline.load(trial.baseline, bench.baselines)
    out = bench.runs / slug(trial.baseline)
    shutil.rmtree(out, ignore_errors=True)
    wanted = min(trial.suite.replicates, reference.about["replicates"])
    replicates = wanted if bench.replicates else None
    compared = check_suite(trial.suite, reference, rules, out, replicates=replicates)
    views = tell(compared, reference.about["catalogue"])
    if not compared.exit_code:
        return compared, ""
    write_files(out, compared, views)
    return compared, message(compared, views, out)


def promised(bench: Bench, trial: Trial, power: float) -> str:
    """Run a trial and judge what was declared of it; return the message where it fails."""
    out = bench.runs / slug(f"expected {trial.baseline}")
    shutil.rmtree(out, ignore_errors=True)
    judged = check_expectations(trial.suite, out, replicates=bench.replicates, power=power)
    if not judged.exit_code:
        return ""
    lines = [f"cibench, as declared: {judged.headline}"]
    lines += [line for row in judged.rows if (line := in_words(row)) and row["verdict"] in FAILING]
    return "\n".join([*lines, f"run: {judged.run.folder}"])


def message(comparison: Comparison, views: Sequence[CellView], out: Path) -> str:
    """Say what failed: measure, both values, the paired error, the effective z and the replay."""
    lines = [
        f"cibench against {comparison.provenance['baseline']}: {cell_views.headline(comparison)}"
    ]
    for view in views:
        if view.cell.why:
            lines.append(f"{view.place}: {view.method}: not comparable: {view.cell.why}")
        elif view.cell.verdict in comparison.rules.failing:
            lines.append(f"{view.place}: {view.method}: {view.cell.verdict}")
            lines += _table(view)
            lines += _replays(view, comparison)
    lines += [cell_views.level_line(comparison), f"page: {out / PAGE}"]
    return "\n".join(lines)


def _table(view: CellView) -> list[str]:
    head = ("", "before", "after", "change", "paired error", "margin", "effective z")
    rows = [
        (
            MEASURES[m.name].words, cell_views.value(m, m.before), cell_views.value(m, m.after),
            cell_views.size(m, m.difference), cell_views.error(m), cell_views.margin(m),
            cell_views.errors_beyond(m),
        )
        for m in view.telling
    ]  # fmt: skip
    wide = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [f"  {_aligned(row, wide)}".rstrip() for row in (head, *rows)]


def _aligned(row: Sequence[str], wide: Sequence[int]) -> str:
    numbers = [text.rjust(width) for text, width in zip(row[1:], wide[1:], strict=True)]
    return "  ".join([row[0].ljust(wide[0]), *numbers])


def _replays(view: CellView, comparison: Comparison) -> list[str]:
    return [
        f"  replicate {r.replicate}: estimate {r.estimate[0]:.6g} → {r.estimate[1]:.6g}, standard "
        f"error {r.std_error[0]:.6g} → {r.std_error[1]:.6g}\n"
        f"    {cell_views.replay(str(comparison.provenance['run']), view.cell, r.replicate)}"
        for r in changed_most(view.cell, comparison.rules.tolerance, 3)
    ]
