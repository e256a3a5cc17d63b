"""Blocks of replicates: what travels to a worker, and what the worker makes of it.

A block is ids, numbers and names, so that any executor on any machine can carry it. Each row
depends on its own address alone: how a cell is cut into blocks changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cibench import answer, registry
from cibench.block_rows import Entrant, as_table, hash_columns, rows_of, sample_truths
from cibench.design import Scenario, configure
from cibench.errors import one_line
from cibench.model import Draw, Problem, Roles, Target, Truth
from cibench.seeds import data_address, fit_address, stream, unchanged_random_states
from cibench.suite import NO_REFITS, Refits

if TYPE_CHECKING:
    import pyarrow as pa

Note = Callable[[int, int], object]
"""Told the replicate and the place of the fit before each fit, -1 before the draw.

The place of an entrant's first fit is the entrant's own, that of refit r the r-th round later.
"""


class Verdict(NamedTuple):
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
    verdicts: tuple[Verdict, ...] = ()
    refits: Refits = NO_REFITS

    def part(self, first: int, count: int) -> Block:
        """Return the same block of other replicates."""
        return replace(self, first=first, count=count)


class Result(NamedTuple):
    """Hold a block's rows and the seconds it took."""

    table: pa.Table
    seconds: float


@dataclass(frozen=True)
class _Bench:
    """What all replicates of a block share, rebuilt from its names."""

    block: Block
    scenario: Scenario
    roles: Roles
    entrants: list[Entrant]
    note: Note
    threads: Any


def run_block(block: Block, note: Note = lambda _replicate, _entrant: None) -> Result:
    """Draw each replicate once, put it to every entrant and return the rows.

    Every fit runs with one BLAS thread: `solve` differs in the last bit between one and two.
    """
    from threadpoolctl import ThreadpoolController

    started = perf_counter()
    bench = _bench(block, note, ThreadpoolController())
    rows: list[dict[str, Any]] = []
    with bench.threads.limit(limits=1), unchanged_random_states():
        for replicate in range(block.first, block.first + block.count):
            rows += _replicate(bench, replicate)
    return Result(as_table(block.key, block.level, rows), perf_counter() - started)


def _bench(block: Block, note: Note, threads: Any) -> _Bench:
    for plugin in block.plugins:
        registry.load_plugin(plugin)
    fields = json.loads(block.key["parameters"]) | json.loads(block.key["dials"])
    scenario = configure(registry.find_scenario(block.key["scenario"]), fields)
    entrants = []
    for name, text in block.entrants:
        found = registry.find_estimator(name)
        entrants.append(Entrant(found, json.loads(text), text, found.asked(scenario)))
    return _Bench(block, scenario, scenario.assigned_roles(), entrants, note, threads)


def _replicate(bench: _Bench, replicate: int) -> list[dict[str, Any]]:
    """Return the rows of one replicate, entrant by entrant."""
    block, roles = bench.block, bench.roles
    known = {verdict.refit: verdict for verdict in block.verdicts}
    draw = known.get(-1) or _draw(bench, replicate)
    if isinstance(draw, Verdict):
        fits = [(e, _as_fitted(e, draw)) for e in bench.entrants]
        return [row for e, fitted in fits for row in rows_of(replicate, e, fitted, {}, None)]
    data_hash = hash_columns(draw, roles)
    truths = {**dict(block.truths), **sample_truths(draw, bench.entrants)}
    rows = []
    for first, entrant in enumerate(bench.entrants):
        for refit in range(1 + _refits(block, replicate, entrant)):
            if refit in known:
                fitted = _as_fitted(entrant, known[refit])
            else:
                bench.note(replicate, first + refit * len(bench.entrants))
                fitted = _fit(bench, replicate, refit, entrant, draw)
            rows += rows_of(replicate, entrant, fitted, truths, data_hash, refit)
            if not (refit or fitted.drew):
                break  # without randomness of its own every refit would be the same
    return rows


def _refits(block: Block, replicate: int, entrant: Entrant) -> int:
    """Return how often a fit that draws random numbers is repeated on this data set.

    An oracle's coin is the experiment that it runs, and a diagnostic has no estimate.
    """
    method = entrant.estimator
    ours = method.kind == "estimate" and not method.oracle
    return block.refits.times if ours and replicate < block.refits.replicates else 0


def _draw(bench: _Bench, replicate: int) -> Draw | Verdict:
    block = bench.block
    bench.note(replicate, -1)
    try:
        return draw_replicate(bench.scenario, block.key["n"], block.seed, replicate)
    except Exception as error:
        return Verdict(-1, "failed", f"the scenario could not draw: {one_line(error)}", 0.0)


def draw_replicate(scenario: Scenario, n: int, seed: int, replicate: int) -> Draw:
    """Draw the data set that belongs to an address."""
    return scenario.draw(n, stream(*data_address(seed, scenario.name, n, replicate)))


def _fit(bench: _Bench, replicate: int, refit: int, entrant: Entrant, draw: Draw) -> answer.Fitted:
    block, estimator = bench.block, entrant.estimator
    key = block.key["scenario"], block.key["n"], replicate, estimator.name, refit
    problem = Problem.of(draw, bench.roles, entrant.targets, block.level)
    if estimator.oracle:
        problem = replace(problem, draw=draw.copy())
    watch = refit == 0 and _refits(block, replicate, entrant) > 0
    address, home = fit_address(block.seed, *key), os.getpid()
    fitted = answer.fit(estimator, problem, entrant.options, address, watch=watch)
    if os.getpid() != home:  # a fork that the fit let go on; the rows are its parent's to write
        os._exit(0)
    for library in bench.threads.lib_controllers:  # a fit may have asked for more
        if library.num_threads not in (1, None):
            library.set_num_threads(1)
    return fitted


def _as_fitted(entrant: Entrant, verdict: Verdict) -> answer.Fitted:
    targets: tuple[Target | None, ...] = entrant.targets or (None,)
    answers = [answer.Answer(t, verdict.status, verdict.reason, {}) for t in targets]
    return answer.Fitted(answers, None, verdict.seconds)
