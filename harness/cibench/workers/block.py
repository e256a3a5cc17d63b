"""Blocks of replicates: what travels to a worker, and the rows that the worker makes of it.

A block is ids, numbers and names, so that any executor on any machine can carry it. Each row
depends on its own address alone: how a cell is cut into blocks changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cibench.metrics.scales import onto
from cibench.model import registry
from cibench.model.design import (
    Scenario,
    configure,
    depends_on_size,
    find_scenario,
    truths,
    with_points,
)
from cibench.model.method import Estimator, find_estimator
from cibench.model.streams import (
    data_address,
    fit_address,
    points_address,
    stream,
    unchanged_random_states,
)
from cibench.model.types import Draw, Problem, Roles, Target, Truth
from cibench.storage.imported import NOTHING, Imported, imported_by, note_loaded
from cibench.storage.schema import schema
from cibench.storage.targets import row_of
from cibench.storage.undrawn import Undrawn
from cibench.suite.suite import NO_REFITS, Refits
from cibench.utils.errors import READ_LENGTH, BadInput, one_line_of
from cibench.workers import fit
from cibench.workers.effects import NOTHING_OBSERVED, Observed, observed, watched
from cibench.workers.sentinel import Changes, Sentinel
from cibench.workers.shared_names import Libraries
from cibench.workers.unit_answers import Unusable, chosen_truth, reduce_units

if TYPE_CHECKING:
    import pyarrow as pa


class Entrant(NamedTuple):
    """Hold an estimator with its options as a fit takes them, and what it is asked here.

    `questions` are the targets in the estimator's own words.
    """

    estimator: Estimator
    options: Mapping[str, Any]
    text: str
    targets: tuple[Target, ...]
    questions: tuple[Target, ...]


def sample_truths(draw: Draw, entrants: list[Entrant]) -> dict[Target, Truth]:
    """Return the truths that a draw has of its own: stated, or those of questions on the sample."""
    targets = {t for e in entrants for t in e.targets}
    stated = {t: Truth(float(draw.truths[t])) for t in targets if t in draw.truths}
    averages = {t for t in targets if t.estimand.of_sample} - stated.keys()
    return stated | {t: Truth(draw.value(t)) for t in averages}


def rows_of(
    replicate: int, entrant: Entrant, fitted: fit.Fitted,
    truths: Mapping[Target, Truth], data_hash: int | None, refit: int = 0,
    draw: Draw | None = None, cost: float = 0.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the rows of one fit, one for each target; a row lacks the columns that are blank.

    Answers about units and rows are put beside the `draw`; `cost` is what treating a unit costs.
    """
    rows = []
    for answer in fitted.answers:
        row = {
            "kind": entrant.estimator.kind, "options": entrant.text, "replicate": replicate,
            "refit": refit, "estimator": entrant.estimator.name, "status": answer.status,
            "reason": answer.reason, "warnings": fitted.warnings, "seconds": fitted.seconds,
            "data_hash": data_hash,
        }  # fmt: skip
        if answer.target is None:
            rows.append({**row, **answer.numbers})
        else:
            truth = truths.get(answer.target)
            rows.append(row | _answered(answer.target, answer.numbers, truth, draw, cost))
    return rows


def _answered(
    target: Target, numbers: Mapping[str, Any], truth: Truth | None, draw: Draw | None, cost: float
) -> dict[str, Any]:  # fmt: skip
    """Return what a row has of a target and an answer to it; a failure where that is none."""
    columns = dict(numbers)
    units, weights, draws = (columns.pop(part, None) for part in ("units", "weights", "draws"))
    if weights is not None and draw is not None:
        try:
            truth, columns["drift"] = chosen_truth(target, weights, draw, truth)
        except Unusable as why:
            failure = {"status": why.status, "reason": str(why)}
            return failure | _of_target(target, truth, None)
    columns |= _of_target(target, truth, draws)
    if units is not None and draw is not None:
        columns |= reduce_units(units, draw, cost)
    return columns


def _of_target(target: Target, truth: Truth | None, draws: Any) -> dict[str, Any]:
    columns = row_of(target)
    if truth is not None:
        columns |= {"truth": truth.value, "truth_mcse": truth.mcse}
        if draws is not None:
            put = onto(columns["scale"])
            pair = put(draws), float(put(np.array(truth.value)))
            columns["pit"], columns["crps"] = fit.reduce_posterior(*pair)
    return columns


def hash_columns(draw: Draw, roles: Roles) -> int:
    """Return 64 bits of what the estimators see: names, types and contents of the columns."""
    digest = blake2b(digest_size=8)
    seen = [(name, draw.columns[name]) for name in sorted(roles.columns)]
    if draw.points is not None:
        seen += [(f"points:{name}", draw.points.columns[name]) for name in roles.covariates]
    for name, values in seen:
        column = np.ascontiguousarray(values)
        digest.update(f"{name}:{column.dtype.str}:{column.shape}".encode())
        digest.update(column.tobytes() if column.dtype.hasobject else column.data)
    return int.from_bytes(digest.digest(), "little", signed=True)


def as_table(key: Mapping[str, Any], level: float, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows of one cell as a table with the columns of a shard."""
    import pyarrow as pa

    constant = {**key, "level": level}
    columns = []
    for field in schema():
        if field.name in constant:
            columns.append(pa.repeat(pa.scalar(constant[field.name], field.type), len(rows)))
        else:
            columns.append(pa.array([row.get(field.name) for row in rows], field.type))
    return pa.Table.from_arrays(columns, schema=schema())


def first_fits(table: pa.Table) -> int:
    """Count the rows of first fits: how many refits there are is only known when they are done."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.equal(table["refit"], 0)).as_py() or 0)


Note = Callable[[int, int], object]
"""Told the replicate and the place of the fit before each fit, -1 before the draw.

The place of an entrant's first fit is the entrant's own, that of refit r the r-th round later.
"""


class FitOutcome(NamedTuple):
    """Say of a fit that took its worker down what its row says; refit -1 is the draw itself."""

    refit: int
    status: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class Block:
    """Hold a run of replicates of one cell: `count` of them from `first` on.

    `entrants` are those that are to fit, some of the cell's or all. A block with `verdicts` holds
    one fit, or replicate, and they are what its rows say of the draw or of some of its refits.
    `watched` are modules and classes whose names a fit of it has been seen to replace. With
    `observe` it is noted what draws and fits do beside computing.
    """

    cell: int
    key: Mapping[str, Any]
    entrants: tuple[tuple[str, str], ...]
    truths: tuple[tuple[Target, Truth], ...]
    seed: int
    level: float
    first: int
    count: int
    plugins: tuple[str, ...] = ()
    verdicts: tuple[FitOutcome, ...] = ()
    refits: Refits = NO_REFITS
    watched: tuple[str, ...] = ()
    observe: bool = False

    def part(self, first: int, count: int) -> Block:
        """Return the same block of other replicates."""
        return replace(self, first=first, count=count)


class Result(NamedTuple):
    """Hold a block's rows, the seconds it took and which data sets could not be drawn.

    `rest` is what another process has to do, since a fit has left this one otherwise than it was;
    `imported` what the draws and fits rest on in their process, `observed` what they did there
    beside computing, where that was to be noted.
    """

    table: pa.Table
    seconds: float
    undrawn: tuple[Undrawn, ...] = ()
    rest: tuple[Block, ...] = ()
    imported: Imported = NOTHING
    observed: Observed = NOTHING_OBSERVED


@dataclass(frozen=True)
class _Bench:
    """What all replicates of a block share, rebuilt from its names."""

    block: Block
    scenario: Scenario
    roles: Roles
    entrants: list[Entrant]
    note: Note
    threads: Any
    sentinel: Sentinel
    can_be_replaced: bool

    @cached_property
    def truths(self) -> Mapping[Target, Truth]:
        """Return the cell's truths; first asked for when a draw has shown that n units will do."""
        if depends_on_size(self.scenario):
            return truths(self.scenario, int(self.block.key["n"]))
        return dict(self.block.truths)


def run_block(
    block: Block, note: Note = lambda _replicate, _entrant: None,
    libraries: Libraries | None = None,
) -> Result:  # fmt: skip
    """Draw each replicate once, put it to every entrant and return the rows.

    Every fit runs with one BLAS thread: `solve` differs in the last bit between one and two. A
    replicate whose data set cannot be drawn has no rows: no estimator has tried.

    What a fit changes of the process is put back. Where that is seen only after other fits, the
    block is done again and the changed parts are watched fit by fit. A worker, which has
    `libraries` to look at, leaves what is to do after such a change to another process.
    """
    started, can_be_replaced = perf_counter(), libraries is not None
    while True:
        table, undrawn, rest, late = _once(block, note, libraries)
        if not late <= set(block.watched):
            block = replace(block, watched=tuple(sorted(late.union(block.watched))))
            if not can_be_replaced:
                continue
            table, undrawn, rest = as_table(block.key, block.level, []), (), (block,)
        seconds = perf_counter() - started
        seen = observed() if block.observe else NOTHING_OBSERVED
        return Result(table, seconds, undrawn, rest, imported_by(_plugins(block)), seen)


def _around(block: Block) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Return what surrounds draws and fits: nothing, unless somebody wants to know what they do."""
    return watched if block.observe else contextlib.nullcontext


def _plugins(block: Block) -> tuple[str, ...]:
    """Return the names of what a block draws and fits, as a manifest has them."""
    estimators = dict.fromkeys(f"estimator {name}" for name, _ in block.entrants)
    return (f"scenario {block.key['scenario']}", *estimators)


def _once(
    block: Block, note: Note, libraries: Libraries | None
) -> tuple[pa.Table, tuple[Undrawn, ...], tuple[Block, ...], set[str]]:
    """Return rows, what was not drawn, what is left to another process, and late changes."""
    from threadpoolctl import ThreadpoolController

    bench = _bench(block, note, ThreadpoolController(), libraries)
    loaded = set(sys.modules)
    rows: list[dict[str, Any]] = []
    undrawn: list[Undrawn] = []
    rest: tuple[Block, ...] = ()
    with bench.threads.limit(limits=1), unchanged_random_states():
        for replicate in range(block.first, block.first + block.count):
            data, entrants = _data(bench, replicate), len(block.entrants)
            if isinstance(data, Undrawn):
                undrawn.append(data)
            else:
                entrants = _replicate(bench, replicate, data, rows)
            if bench.sentinel.late - set(block.watched):
                break
            if bench.can_be_replaced and bench.sentinel.lasting:
                rest = _rest(block, replicate, entrants)
                break
    bench.sentinel.look(at_end=True)
    note_loaded(_plugins(block), sys.modules.keys() - loaded)
    table = as_table(block.key, block.level, rows)
    return table, tuple(undrawn), rest, bench.sentinel.late


def _rest(block: Block, replicate: int, entrants: int) -> tuple[Block, ...]:
    """Return what is left of a block after some entrants' fits of a replicate."""
    later = block.part(replicate + 1, block.first + block.count - replicate - 1)
    others = replace(block.part(replicate, 1), entrants=block.entrants[entrants:])
    return tuple(part for part in (later, others) if part.count and part.entrants)


def _bench(block: Block, note: Note, threads: Any, libraries: Libraries | None) -> _Bench:
    with _around(block)():
        for plugin in block.plugins:
            registry.load_plugin(plugin)
    fields = json.loads(block.key["parameters"]) | json.loads(block.key["dials"])
    scenario = configure(find_scenario(block.key["scenario"]), fields)
    entrants = []
    for name, text in block.entrants:
        method = find_estimator(name)
        if method.elsewhere is not None:
            with contextlib.suppress(BadInput):  # which its fits say again, as rows
                method.elsewhere.prepare()
        targets, questions = method.targets_of(scenario), method.questions(scenario)
        entrants.append(Entrant(method, json.loads(text), text, targets, questions))
    if libraries is not None:
        libraries.learn()
    sentinel = Sentinel(libraries, block.watched)
    return _Bench(
        block,
        scenario,
        scenario.assigned_roles(),
        entrants,
        note,
        threads,
        sentinel,
        libraries is not None,
    )


class _Data(NamedTuple):
    """Hold a replicate's data set, its hash and the truths that answers to it are put beside.

    `changes` are what the draw has left of the process otherwise than it was.
    """

    draw: Draw
    hash: int
    truths: Mapping[Target, Truth]
    changes: Changes


def _replicate(bench: _Bench, replicate: int, data: _Data, rows: list[dict[str, Any]]) -> int:
    """Append the rows of one replicate, entrant by entrant; return how many entrants have fitted.

    That is all of them, unless a fit has left something in a worker that can be replaced.
    """
    block, drawn = bench.block, data.changes.line("the draw ") if data.changes else ""
    unsullied = not bench.sentinel.lasting
    known = {verdict.refit: verdict for verdict in block.verdicts}
    for first, entrant in enumerate(bench.entrants):
        for refit in range(1 + _refits(block, replicate, entrant)):
            if refit in known:
                fitted = _as_fitted(entrant, known[refit])
            else:
                bench.note(replicate, first + refit * len(bench.entrants))
                fitted = _fit(bench, replicate, refit, entrant, data.draw)
            if drawn:
                lines = "\n".join(filter(None, [fitted.warnings, drawn]))
                fitted = replace(fitted, warnings=lines)
            rows += rows_of(
                replicate, entrant, fitted, data.truths, data.hash, refit, data.draw,
                bench.scenario.cost,
            )  # fmt: skip
            if not (refit or fitted.drew):
                break  # without randomness of its own every refit would be the same
        if bench.can_be_replaced and bench.sentinel.lasting and unsullied:
            return first + 1
    return len(bench.entrants)


def _refits(block: Block, replicate: int, entrant: Entrant) -> int:
    """Return how often a fit that draws random numbers is repeated on this data set.

    An oracle's coin is the experiment that it runs, and a diagnostic has no estimate.
    """
    method = entrant.estimator
    ours = method.kind == "estimate" and not method.oracle
    return block.refits.times if ours and replicate < block.refits.replicates else 0


def _data(bench: _Bench, replicate: int) -> _Data | Undrawn:
    """Draw a replicate; whatever is wrong with the data set is the scenario's fault."""
    block = bench.block
    for verdict in block.verdicts:
        if verdict.refit == -1:
            return Undrawn(replicate, verdict.status, verdict.reason)
    bench.note(replicate, -1)
    try:
        try:
            with _around(block)():
                draw = draw_replicate(bench.scenario, block.key["n"], block.seed, replicate)
        finally:
            changes = bench.sentinel.put_back()
        if not isinstance(draw, Draw):
            raise TypeError(f"draw() returned {type(draw).__name__}, not a Draw")
        for column in bench.roles.columns:
            if column not in draw.columns:
                raise LookupError(f"a role names column '{column}', which was not drawn")
        known_truths = {**bench.truths, **sample_truths(draw, bench.entrants)}
        return _Data(draw, hash_columns(draw, bench.roles), known_truths, changes)
    except BaseException as error:  # SystemExit too: no scenario ends the run
        if fit.is_ctrl_c(error):
            raise
        reason = one_line_of(error, type(bench.scenario).draw)
        return Undrawn(replicate, "failed", reason, _traceback(error))


def _traceback(error: BaseException) -> str:
    """Return where an exception came from, without the middle of what is too long to be read."""
    half = READ_LENGTH // 2
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # its own code, which may do anything
        return ""
    return text if len(text) <= READ_LENGTH else f"{text[:half]}\n[...]\n{text[-half:]}"


def draw_replicate(scenario: Scenario, n: int, seed: int, replicate: int) -> Draw:
    """Draw the data set that belongs to an address."""
    rng = stream(*data_address(seed, scenario.name, n, replicate))
    draw = scenario.data_set(n, replicate, rng)
    return with_points(scenario, draw, *points_address(seed, scenario.name, replicate))


def _fit(bench: _Bench, replicate: int, refit: int, entrant: Entrant, draw: Draw) -> fit.Fitted:
    block, estimator = bench.block, entrant.estimator
    key = block.key["scenario"], block.key["n"], replicate, estimator.name, refit
    problem = Problem.of(draw, bench.roles, entrant.questions, block.level, bench.scenario.cost)
    if estimator.oracle:
        problem = replace(problem, draw=draw.copy())
    watch = refit == 0 and _refits(block, replicate, entrant) > 0
    address, home = fit_address(block.seed, *key), os.getpid()
    fitted = fit.fit(
        estimator, problem, entrant.options, address, watch=watch, sentinel=bench.sentinel,
        around=_around(block),
    )  # fmt: skip
    if entrant.questions != entrant.targets:
        pairs = zip(fitted.answers, entrant.targets, strict=True)
        fitted = replace(fitted, answers=[replace(a, target=t) for a, t in pairs])
    if os.getpid() != home:  # a fork that the fit let go on; the rows are its parent's to write
        os._exit(0)
    for library in bench.threads.lib_controllers:  # a fit may have asked for more
        if library.num_threads not in (1, None):
            library.set_num_threads(1)
    return fitted


def _as_fitted(entrant: Entrant, verdict: FitOutcome) -> fit.Fitted:
    targets: tuple[Target | None, ...] = entrant.targets or (None,)
    answers = [fit.Answer(t, verdict.status, verdict.reason, {}) for t in targets]
    return fit.Fitted(answers, None, verdict.seconds)
