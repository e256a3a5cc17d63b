"""One stranger's estimator on one scenario against its baseline, as a test does it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cibench.execution.runner import preflight
from cibench.execution.settings import EVERY_FIT, RunSettings
from cibench.gate import baseline
from cibench.gate.check import RUN, check_suite
from cibench.gate.comparison import Comparison
from cibench.gate.compatibility import provenance_lines
from cibench.gate.expectations import check_expectations
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import CellView, changed_most, tell
from cibench.gate.output.expectations import in_words
from cibench.gate.output.files import PAGE, write_files
from cibench.gate.rules import MEASURES, Rules
from cibench.model import registry
from cibench.model.design import find_scenario
from cibench.model.estimands import Estimand, is_estimand
from cibench.model.method import Estimator, find_estimator
from cibench.model.streams import fit_address, seed_global_state, stream
from cibench.model.types import Problem
from cibench.render.labels import slug
from cibench.results.api import run
from cibench.suite.parse import parse_suite
from cibench.suite.suite import Suite
from cibench.testing.adapters import adapted, name_of
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import make_folder, write_csv
from cibench.workers.block import draw_replicate

REPLICATES, UNITS = 200, 500


@dataclass(frozen=True)
class Bench:
    """Say where a test keeps baselines and leaves runs, and how it was asked to go about it.

    `test` is the test's id, by which its baselines are kept, and `command` what runs it alone;
    `only` the scenario that this test was parametrised for, "" where it runs them all, `replay` the
    scenario and the replicate that are to be fitted alone, if any. `alpha` is the chance of a false
    alarm that is left to each of its trials, `claims` who has used which baseline so far, `notes`
    what the session is told at its end. With `reuse` answers of an earlier session are used again
    where nothing has changed, the test's `parameters` included.
    """

    baselines: Path
    runs: Path
    test: str
    command: str = ""
    replicates: int | None = None
    update: bool = False
    only: str = ""
    replay: str = ""
    alpha: float = Rules().alpha
    claims: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    reuse: bool = False
    parameters: tuple[tuple[str, str], ...] = ()

    def claim(self, baseline_name: str, estimator: str, scenario: str) -> None:
        """Take a baseline for this test; raises BadInput where another, or this one, has it."""
        other = self.claims.setdefault(baseline_name, self.test)
        if other != self.test or baseline_name in self.own:
            twice = f"{other} has it already" if other != self.test else "this test has it already"
            raise BadInput(
                f"{estimator} on {scenario}: the baseline {baseline_name} of {self.test}: {twice}; "
                "give each estimator a name of its own (name=...), or each a test"
            )
        self.own.add(baseline_name)

    def share(self) -> float:
        """Return the chance of a false alarm of the trial that comes now: 1/2, 1/6, 1/12, ...

        All that a test may have add up to its part of the session's.
        """
        number = max(len(self.own), 1)
        return self.alpha / (number * (number + 1))


HOME = "pytest"
"""The folder of tests' baselines, apart from those that commands save."""


@dataclass(frozen=True)
class Trial:
    """Hold what is put to the test in one scenario: the estimator's name, the suite, how it runs.

    Contracts have tests of their own (`check_scenario`, `check_estimator`), which a package that
    compares its estimator need not have: plug-ins are held to them here too, or a scenario's wrong
    truth would be said of the estimator.
    """

    suite: Suite
    scenario: str
    estimator: str
    baseline: str
    settings: RunSettings = EVERY_FIT


@contextmanager
def entered(
    subject: Any, name: str | None, data: Mapping[str, str] | None, gives: Sequence[str],
    estimand: str | None, assumes: Sequence[str] = (), uses: Sequence[str] = (),
) -> Iterator[str]:  # fmt: skip
    """Have an estimator on the shelf for a while; yield its id. A registered one stays there."""
    if isinstance(subject, str | Estimator):
        yield subject if isinstance(subject, str) else subject.name
        return
    if estimand is not None and not is_estimand(estimand):
        raise BadInput(unknown("estimand", estimand, Estimand.known()))
    fit = adapted(subject, data, gives)
    targets = [Estimand(name) for name in ([estimand] if estimand else Estimand.known())]
    estimator = Estimator(
        name or name_of(subject), fit, targets=tuple(targets), assumes=tuple(assumes),
        uses=tuple(uses),
    )  # fmt: skip
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
    settings = dataclasses.replace(EVERY_FIT, checks=cell.pop("checks", True))
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
        place = "/".join((HOME, against, *places(bench), slug(estimator), slug(name)))
        suite = parse_suite(spec, where="cibench_check")
        yield Trial(suite, name, estimator, place, settings)


def chosen(scenarios: Sequence[str]) -> list[str]:
    """Return the names that patterns stand for, each once; raises BadInput where none does."""
    names = [name for pattern in scenarios for name in registry.matching("scenario", pattern)]
    return list(dict.fromkeys(names))


def places(bench: Bench) -> list[str]:
    """Return the folders below which a test's baselines are kept: its file, and itself.

    The scenario that it was parametrised for is left out: it has a folder further down.
    """
    file, _, name = bench.test.partition("::")
    parts = Path(file).with_suffix("").parts
    return [slug(part) or "test" for part in (*parts, name.replace(bench.only, ""))]


def save(bench: Bench, trial: Trial) -> None:
    """Run a trial and save it as its baseline, where something of it has changed."""
    bench.claim(trial.baseline, trial.estimator, trial.scenario)
    result = run(trial.suite, settings=trial.settings)
    folder = bench.baselines / trial.baseline
    before = baseline.contents(folder)
    baseline.save(result, trial.baseline, bench.baselines, replace=True, test=bench.test)
    after = baseline.contents(folder)
    changed = [name for name in after if before.get(name) != after[name]]
    became = f"changed ({', '.join(changed)})" if changed else "unchanged"
    bench.notes.append((UPDATED, f"{folder}: {became if before else 'new'}"))
    for line in baseline.unanswered(result, few=True):
        bench.notes.append((WARNED, line))


SAW, DECLARED = "cibench", "cibench declared"
UPDATED, WARNED, REFITTED = "cibench baseline", "cibench warning", "cibench replay"
"""What a session is told of: what became of each cell, what was declared of it and came of that,
baselines that were saved, few answers, and the one fit that was made again."""


def reference_of(bench: Bench, trial: Trial) -> baseline.Baseline:
    """Return a trial's baseline; raises BadInput where there is none, or it is another test's."""
    try:
        reference = baseline.load(trial.baseline, bench.baselines)
    except BadInput as error:
        _, against, *_ = trial.baseline.split("/")
        file = Path(bench.test.partition("::")[0]).stem
        old = "/".join((against, file, slug(trial.estimator), slug(trial.scenario)))
        if (bench.baselines / old / baseline.ABOUT).is_file():
            raise BadInput(
                f"{bench.baselines / old} is where an earlier cibench kept the baseline, several "
                "tests in one place; remove it"
            ) from error
        raise
    test = reference.about.get("test") or bench.test
    if test != bench.test:
        raise BadInput(f"baseline {trial.baseline} is of the test {test}, not {bench.test}")
    return reference


def compare(bench: Bench, trial: Trial, rules: Rules) -> tuple[Comparison, str]:
    """Run a trial against its baseline; return the comparison and, where it fails, the message."""
    bench.claim(trial.baseline, trial.estimator, trial.scenario)
    rules = dataclasses.replace(rules, alpha=bench.share())
    reference = reference_of(bench, trial)
    out = bench.runs / slug(trial.baseline)
    if not (out / RUN).is_dir():
        shutil.rmtree(out, ignore_errors=True)
    wanted = min(trial.suite.replicates, reference.about["replicates"])
    replicates = wanted if bench.replicates else None
    compared = check_suite(
        trial.suite, reference, rules, out, trial.settings, replicates=replicates,
        reuse=bench.reuse, test=[bench.test, trial.scenario, bench.parameters],
    )  # fmt: skip
    command = f"{bench.command} --cibench-replay {{scenario}}:{{replicate}}"
    provenance = {**compared.provenance, "replay": command}
    compared = dataclasses.replace(compared, provenance=provenance)
    views = tell(compared, reference.about["catalogue"])
    for view in views:
        became = cell_views.what_became(view, rules.tolerance)
        why = cell_views.failure_line(view.cell)
        again = "answers reused" if "reused" in compared.provenance else ""
        words = "; ".join(part for part in (became, why, again) if part)
        bench.notes.append((SAW, f"{view.place}: {view.method}: {words}"))
    if not compared.exit_code:
        return compared, ""
    write_files(out, compared, views)
    return compared, message(compared, views, out)


def promised(bench: Bench, trial: Trial, power: float, failing: tuple[str, ...]) -> str:
    """Run a trial and judge what was declared of it; return the message where it fails."""
    out = bench.runs / slug(f"expected {trial.baseline}")
    settings = preflight(trial.suite, trial.settings, out / RUN)
    shutil.rmtree(out, ignore_errors=True)
    judged = check_expectations(
        trial.suite, out, settings, replicates=bench.replicates, power=power, failing=failing
    )
    bench.notes.append(
        (DECLARED, f"{trial.scenario}: {trial.estimator}: as declared: {judged.headline}")
    )
    if not judged.exit_code:
        return ""
    lines = [f"cibench, as declared: {judged.headline}"]
    lines += [line for row in judged.rows if (line := in_words(row)) and row["verdict"] in failing]
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
            became = cell_views.what_became(view, comparison.rules.tolerance)
            lines.append(f"{view.place}: {view.method}: {became}")
            lines += [why] if (why := cell_views.failure_line(view.cell)) else []
            lines += _table(view)
            lines += _replays(view, comparison)
    lines += provenance_lines(comparison.provenance)
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
        f"  {r.words}\n    {cell_views.replay(comparison, view.cell, r.replicate)}"
        for r in changed_most(view.cell, comparison.rules.tolerance, 3)
    ]


def refit(bench: Bench, trial: Trial) -> None:
    """Fit one replicate of a trial again, in this process; note where its data are, and the answer.

    Whatever the fit raises goes on, with its traceback. Raises BadInput for another replicate than
    the trial has.
    """
    _, _, number = bench.replay.rpartition(":")
    if not number.isdecimal() or int(number) >= trial.suite.replicates:
        last = trial.suite.replicates - 1
        raise BadInput(f"--cibench-replay: '{number}' is not a replicate of 0 to {last}")
    for place, cell in enumerate(trial.suite.cells):
        scenario, n = cell.scenario, int(cell.key["n"])
        method, entrant = find_estimator(trial.estimator), cell.entrants[0]
        draw = draw_replicate(scenario, n, trial.suite.seed, int(number))
        targets = method.questions(scenario)
        problem = Problem.of(draw, scenario.assigned_roles(), targets, trial.suite.level)
        address = fit_address(trial.suite.seed, scenario.name, n, int(number), method.name)
        data = bench.runs / f"{slug(trial.baseline)}" / f"replicate-{number}-{place}.csv"
        make_folder(data.parent)
        write_csv(data, problem.frame, blank="nan")
        seed_global_state(address)
        bench.notes.append((REFITTED, f"replicate {number} of {scenario.name}, n = {n}: {data}"))
        answer = method.fit(problem, stream(*address), **json.loads(entrant.options))
        bench.notes.append((REFITTED, f"  {answer}"))
