"""Run a suite again at a baseline's addresses, or take a run, and compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.execution.runner import preflight
from cibench.execution.settings import EVERY_FIT, RunSettings
from cibench.gate import compatibility
from cibench.gate.baseline import Baseline
from cibench.gate.comparison import NO_ANSWER, CellResult, Comparison, commonest, compare
from cibench.gate.pairing import pairs, read_rows
from cibench.gate.reuse import FILE, Reuse
from cibench.gate.row_changes import changes
from cibench.gate.rules import Rules
from cibench.results.api import run as run_suite
from cibench.results.run_folder import Run
from cibench.storage.made_elsewhere import refuse
from cibench.storage.reader import read_table
from cibench.storage.schema import SCORED
from cibench.utils import leftovers
from cibench.utils.errors import BadInput
from cibench.utils.files import remove_folder

if TYPE_CHECKING:
    import pyarrow as pa

    from cibench.suite.suite import Suite

RUN = "run"
TWICE = 5
"""How many replicates are fitted a second time, to see whether the answers are the same."""


def check_suite(
    suite: Suite, baseline: Baseline, rules: Rules, out: Path, settings: RunSettings = EVERY_FIT,
    *, replicates: int | None = None, paired: bool = True, reuse: bool = False, test: object = None,
) -> Comparison:  # fmt: skip
    """Run the suite at the baseline's addresses into the folder `run` of `out` and compare.

    `replicates` may ask for fewer than the baseline has. Without `paired` the suite is run at
    other addresses: at its own seed where that is another, at the next one where it is not. What an
    earlier check left in `out` is removed; with `reuse` its run is used again where nothing that
    its answers rest on has changed (see `cibench.gate.reuse`), `test` included, which is whatever
    else says so. Raises BadInput where baseline and suite do not belong
    together, where a plug-in breaks its contract and where `out` holds what no check wrote, before
    anything runs or is removed, and as `execute` does.

    >>> from pathlib import Path
    >>> import cibench
    >>> from cibench.gate import Rules, check_suite
    >>> from cibench.gate.baseline import save
    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> baseline = save(cibench.run(suite), "small")
    >>> found = check_suite(suite, baseline, Rules(), Path("check"))
    >>> str(found.verdict), found.exit_code
    ('identical', 0)
    """
    wanted = baseline.about["replicates"]
    if paired and (replicates or 0) > wanted:
        raise BadInput(f"--replicates: baseline {baseline.name} has {wanted}, not {replicates}")
    suite = suite.with_replicates(replicates or wanted)
    if not paired and suite.seed == baseline.about["seed"]:
        spec = {**suite.spec, "seed": suite.seed + 1}
        suite = replace(suite, seed=suite.seed + 1, spec=spec)
    compatibility.refuse_strangers(baseline, compatibility.described(suite), paired=paired)
    compatibility.refuse_missing(baseline, suite)
    known = Reuse(suite, settings, test) if reuse and paired else None
    if known is not None and (record := known.record_of(out)):
        return _again(out, record, baseline, rules)
    settings = preflight(suite, settings, out / RUN)
    clear(out)
    watching = settings if known is None else replace(settings, observe=known.observe)
    run = run_suite(suite, out / RUN, settings=watching)
    comparison = compare_run(run, baseline, rules, paired=paired)
    random: frozenset[tuple[str, str]] = frozenset()
    if paired and (moved := changed(comparison)):
        random = _random(suite, moved, settings, [read_rows(run.folder)])
        if random:
            comparison = compare_run(run, baseline, rules, random=random)
    if known is None:
        return comparison
    known.note(out, random)
    return replace(comparison, provenance={**comparison.provenance, "not_reusable": known.why})


def _again(out: Path, record: Mapping[str, Any], baseline: Baseline, rules: Rules) -> Comparison:
    """Compare the run of an earlier check, of which nothing has changed; remove its page."""
    for path in out.iterdir():
        if path.name not in {RUN, FILE}:
            remove_folder(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    random = frozenset((name, options) for name, options in record["random"])
    comparison = compare_run(Run(out / RUN), baseline, rules, random=random)
    origin = {**comparison.provenance, "reused": float(record["created"])}
    return replace(comparison, provenance=origin)


def check_run(
    run: Run, baseline: Baseline, rules: Rules, settings: RunSettings | None = None, *,
    paired: bool = True,
) -> Comparison:  # fmt: skip
    """Compare a run with a baseline.

    With settings the estimators that changed are fitted twice on a few replicates, with the code as
    it is now, to see whether they are deterministic. Without `paired` the two are of different data
    sets. Raises BadInput where name, level or, of paired ones, seed are not the baseline's, and for
    unpaired rows of equal data.

    See `Baseline`, whose example checks a run against one.
    """
    refuse(run.manifest, run.folder)
    compatibility.refuse_strangers(baseline, run.manifest, paired=paired)
    comparison = compare_run(run, baseline, rules, paired=paired)
    if settings is None or not paired or not (moved := changed(comparison)):
        return comparison
    from cibench.suite.parse import read_suite

    try:
        suite = read_suite(run.folder / "suite.toml")
    except BadInput:  # its plug-ins are not here: then nothing can be asked again
        return comparison
    random = _random(suite, moved, settings, [])
    return compare_run(run, baseline, rules, random=random) if random else comparison


def compare_run(
    run: Run, baseline: Baseline, rules: Rules, *,
    paired: bool = True, random: frozenset[tuple[str, str]] = frozenset(),
) -> Comparison:  # fmt: skip
    """Compare a run's rows with a baseline's; raises BadInput for unpaired rows of equal data."""
    rows = read_rows(run.folder)
    if not paired:
        _refuse_equal_data(baseline, rows)
    heavy = compatibility.without_moments(baseline.about["catalogue"], run.catalogue)
    comparison = compare(
        baseline.rows, rows, rules, paired=paired, without_moments=heavy, random=random
    )
    origin = {**compatibility.differences(baseline, run.manifest), "run": str(run.folder)}
    return replace(
        comparison, cells=tuple(with_reasons(comparison.cells, run.folder)), provenance=origin
    )


def with_reasons(cells: Iterable[CellResult], run: Path) -> Iterator[CellResult]:
    """Yield cells with the reasons of the fits that gave no answer, as the new run's rows say."""
    import pyarrow.compute as pc

    rows = read_table(run, [*SCORED, "replicate", "refit", "status", "reason"])
    silent = pc.and_(pc.equal(rows["refit"], 0), pc.not_equal(rows["status"], "ok"))
    reasons: dict[tuple[Any, ...], dict[int, str]] = {}
    for row in rows.filter(silent).to_pylist():
        key = tuple(row[name] for name in SCORED)
        words = row["reason"] or row["status"]
        reasons.setdefault(key, {})[row["replicate"]] = (
            words if row["status"] in ("failed", "declined") else f"{row['status']}: {words}"
        )
    for cell in cells:
        failures = reasons.get(cell.pair.key, {})
        unanswered = cell.why.startswith(NO_ANSWER) and failures
        why = f"{cell.why}: {commonest(failures.values())}" if unanswered else cell.why
        yield replace(cell, failures=failures, why=why)


def clear(out: Path) -> None:
    """Make room for a check's output; raises BadInput for a folder that no check has written."""
    leftovers.clear(out)
    leftovers.clear(out.parent, out.name)
    if out.is_dir() and any(out.iterdir()):
        if not {path.name for path in out.iterdir()} & {RUN, "verdict.json"}:
            raise BadInput(f"{out} is not empty and no check wrote it; name another with --out")
        remove_folder(out)


def changed(comparison: Comparison) -> set[tuple[str, str]]:
    """Return the estimators of which a number changed, with their options."""
    return {
        (cell.names["estimator"], cell.names["options"])
        for cell in comparison.cells
        if cell.changes is not None and cell.changes.share(0.0) > 0
    }


def _random(
    suite: Suite, moved: set[tuple[str, str]], settings: RunSettings, known: list[pa.Table]
) -> frozenset[tuple[str, str]]:
    """Fit again what has moved; return who answers differently at the same address."""
    cells = []
    for cell in suite.cells:
        entrants = tuple(entrant for entrant in cell.entrants if tuple(entrant) in moved)
        cells += [replace(cell, entrants=entrants)] if entrants else []
    few = replace(suite, cells=tuple(cells)).with_replicates(min(TWICE, suite.replicates))
    # whoever has moved has been run already, held to its contract or not
    tables, quiet = list(known), replace(settings, listen=EVERY_FIT.listen, checks=False)
    while len(tables) < 2:
        again = run_suite(few, settings=quiet)
        tables.append(read_rows(again.folder))
    return restless(tables, moved)


def restless(tables: Sequence[pa.Table], moved: set[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return those of `moved` whose answers differ between two tables of the same addresses."""
    names = set()
    for pair in pairs(*tables):
        name = pair.names["estimator"], pair.names["options"]
        if name in moved and not pair.why and changes(pair).share(0.0) > 0:
            names.add(name)
    return frozenset(names)


def _refuse_equal_data(baseline: Baseline, rows: pa.Table) -> None:
    import pyarrow.compute as pc

    there = pc.is_in(rows["data_hash"].drop_null(), baseline.rows["data_hash"].drop_null())
    if pc.any(there).as_py():
        raise BadInput(
            f"the run has data sets of baseline {baseline.name}: compare them in pairs, or run "
            "the suite with another seed"
        )
