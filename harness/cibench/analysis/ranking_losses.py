"""What a replicate costs, what each scenario adds to a leaderboard, and the sets for the ranks.

In a cell, T are the data sets that both an estimator and the reference tried: who declines has not
tried, and who gives an unbounded set says that the data tell nothing; both are shares of their own,
and no losses. With losses s_r on T, n of them, and m the reference's mean loss among those of its
replicates in T that have a finite one, the estimator's capped mean loss is

    rho = mean over T of min(s_r, W m) / m,

where a replicate without a finite loss (a failure, an empty set) has s_r = W m: W is the declared
worst score. With b the mean over T of the losses that are not worst (zero for those that are) and k
the share of the worst, rho = b / m + W k, so that replicate r moves it by

    (s_r 1{not worst} - b) / m - (b / m^2) (u_r - m) + W (1{worst} - k),

u_r the reference's loss on its own replicates; what the cap cuts moves nothing, since the loss is
continuous there. The influence on log rho is that over rho. The score in the cell is log rho less
the reference's own log rho on T, and so are its influences: the reference has a score of exactly 0,
whatever failed. For the RMSE losses are squared errors, W counts squared, and log rho is halved. A
rho below 1 / W counts as 1 / W: at a truth of zero the estimator that always says zero would be
infinitely good.

Cells of one scenario and size share their data's addresses: replicate r of every setting starts
from the same noise. What they add to an estimator's score is therefore summed replicate by
replicate over all cells of a scenario and size; only those sums are independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import log
from typing import Any, NamedTuple

import numpy as np

from cibench.analysis.scores import QUESTION, families
from cibench.metrics import METRICS
from cibench.metrics.core import mean
from cibench.metrics.families import aligned
from cibench.metrics.groups import Group, present
from cibench.metrics.simultaneous import critical, differences, reach
from cibench.model.types import Array
from cibench.storage import CellRows
from cibench.storage.spool import SpooledGroup
from cibench.storage.targets import subdivided
from cibench.suite.ranking import Entrant, Ranking


@dataclass(frozen=True, eq=False)
class LogRatio:
    """Hold a cell's log ratio, its influences over n at every replicate, and the worst share."""

    value: float
    terms: Array
    penalised: float


@np.errstate(all="ignore")
def losses(group: Group, spec: Ranking, level: float, shift: float = 0.0) -> Array:
    """Return each replicate's loss, infinite where there is none; NaN where nothing was tried.

    Nothing was tried where the data set was not run or declined, or the set is unbounded. An answer
    that lacks the limits which others of its estimator have is an interval of length zero.
    """
    bare = np.isnan(group["ci_low"]) | np.isnan(group["ci_high"])
    limits = {end: np.where(bare, group["estimate"], group[end]) for end in ("ci_low", "ci_high")}
    outside = np.where(bare, False, group["outside"] == 1)
    columns = {**group, **limits, "outside": outside, "truth": group["truth"] + shift}
    loss = METRICS[spec.measure].losses(columns, level)
    loss = np.where(group["ok"] & np.isfinite(loss), loss, np.inf)
    tried = (group["ok"] | group["failed"]) & ~unbounded(group, spec)
    return np.where(tried, loss, np.nan)


def unbounded(group: Group, spec: Ranking) -> Array:
    """Say of each replicate whether its set is unbounded and the measure is one of sets."""
    return open_set(group) if of_sets(spec) else np.zeros(group["ok"].size, dtype=bool)


def of_sets(spec: Ranking) -> bool:
    """Say whether the measure of a board is one of sets."""
    return "ci_low" in METRICS[spec.measure].needs


def open_set(group: Group) -> Array:
    """Say of each replicate whether its set is unbounded."""
    low, high = group["ci_low"], group["ci_high"]
    infinite = (np.isinf(low) | np.isinf(high)) & ~(low > high)  # an empty set is not unbounded
    return np.asarray(group["ok"] & (infinite | (group["outside"] == 1)))


def gives(group: Group, spec: Ranking) -> bool:
    """Say whether an estimator ever gives what the measure rests on, where it answers."""
    needs = [name for name in METRICS[spec.measure].needs if name not in ("truth", "outside")]
    there = np.logical_and.reduce([~np.isnan(group[name]) for name in needs])
    return bool((group["ok"] & there).any() or not group["ok"].any())


def reference(loss: Array) -> tuple[float, Array] | None:
    """Return the reference's mean loss and its influences over n, None where it has none above 0.

    It rests on the replicates with a finite loss.
    """
    finite = np.isfinite(loss)
    m = mean(loss[finite])
    if not m > 0:
        return None
    return m, np.where(finite, loss - m, 0.0) / finite.sum()


def log_ratio(loss: Array, m: float, moves: Array, spec: Ranking) -> LogRatio | None:
    """Return the log ratio of a cell to its reference, None where no replicate was run."""
    run = ~np.isnan(loss)
    n = int(run.sum())
    if not n:
        return None
    most = spec.worst**spec.power
    worst = run & ~(loss <= most * m)
    kept = np.where(run & ~worst, loss, 0.0)
    b, k = mean(kept[run]), float(worst.sum()) / n
    rho = b / m + most * k
    clipped = min(max(rho, 1 / most), most)
    terms = np.zeros(loss.size)
    if clipped == rho:
        own = np.where(run, (kept - b) / m + most * (worst - k), 0.0) / n
        terms = (own - b / m**2 * moves) / (rho * spec.power)
    return LogRatio(log(clipped) / spec.power, terms, k)


Key = tuple[str, str, bool, float]
"""A scenario's share of a board: scenario, estimand, whether of several targets, level."""


@dataclass(eq=False)
class Block:
    """Hold the sums of a scenario's cells of one size, a column for each replicate."""

    replicates: Array
    terms: dict[Entrant, Array] = field(default_factory=dict)

    def add(self, entrant: Entrant, replicates: Array, terms: Array) -> None:
        """Add what one cell says of an entrant."""
        if not np.array_equal(replicates, self.replicates):
            union = np.union1d(self.replicates, replicates)
            at = np.searchsorted(union, self.replicates)
            for name, old in self.terms.items():
                self.terms[name] = np.zeros(union.size)
                self.terms[name][at] = old
            self.replicates = union
        own = self.terms.setdefault(entrant, np.zeros(self.replicates.size))
        own[np.searchsorted(self.replicates, replicates)] += terms


@dataclass(eq=False)
class ScenarioShare:
    """Hold a scenario's share of a board, summed over its cells.

    `truths` are the errors of simulated truths, by the truth: cells with the same truth share it.
    `lost` counts cells in which the reference has no score above zero; `penalised`, `declined`
    and `unbounded` sum shares of replicates over the cells that `runs` counts; `counts` are those
    with a score. `without` names who never gives what the measure rests on.
    """

    reference: Entrant
    cells: int = 0
    lost: int = 0
    logs: dict[Entrant, float] = field(default_factory=dict)
    penalised: dict[Entrant, float] = field(default_factory=dict)
    declined: dict[Entrant, float] = field(default_factory=dict)
    unbounded: dict[Entrant, float] = field(default_factory=dict)
    counts: dict[Entrant, int] = field(default_factory=dict)
    runs: dict[Entrant, int] = field(default_factory=dict)
    without: set[Entrant] = field(default_factory=set)
    blocks: dict[int, Block] = field(default_factory=dict)
    truths: dict[float, dict[Entrant, float]] = field(default_factory=dict)


def key_of(names: Mapping[str, Any]) -> Key:
    """Return the share of a board that a row of the score table belongs to."""
    level = names["level"]
    level = float("nan") if level is None else float(level)
    return str(names["scenario"]), str(names["estimand"]), subdivided(names), level


LOSS = (
    "replicate", "ok", "failed", "declined", "truth", "truth_mcse", "estimate", "ci_low",
    "ci_high", "outside",
)  # fmt: skip
"""The columns that every loss rests on; a measure may need others."""


class Entered(NamedTuple):
    """Hold who answered one target in one cell, and where their rows are put aside.

    `declined` and `open_sets` are shares of the data sets that each was run on.
    """

    names: Mapping[str, Any]
    entrants: Sequence[Entrant]
    rows: Sequence[SpooledGroup]
    declined: Sequence[float]
    open_sets: Sequence[float]

    def left_out(self, spec: Ranking) -> Sequence[float]:
        """Return the share of data sets that each left out: no try by the measure of a board."""
        if not of_sets(spec):
            return self.declined
        return [sum(both) for both in zip(self.declined, self.open_sets, strict=True)]


def entrant_of(names: Mapping[str, Any]) -> Entrant:
    """Return who answered, by the names of a group."""
    return str(names["estimator"]), str(names["options"])


def entered(cell: CellRows, spec: Ranking, counted: Any) -> Iterator[Entered]:
    """Put aside what a leaderboard takes of a cell, target by target, where it counts."""
    part, columns = cell.part, tuple(dict.fromkeys((*LOSS, *METRICS[spec.measure].needs)))
    for members in families(part, QUESTION):
        names = part.names[members[0]]
        if counted(names):
            ordered = sorted(members, key=lambda i: entrant_of(part.names[i]))
            entrants = [entrant_of(part.names[i]) for i in ordered]
            groups = [part.groups[i] for i in ordered]
            declined = [_share(group, group["declined"]) for group in groups]
            open_sets = [_share(group, open_set(group)) for group in groups]
            rows = [cell.put_aside(i, columns) for i in ordered]
            yield Entered(names, entrants, rows, declined, open_sets)


def run(cells: Iterable[Entered], shares: Mapping[Key, ScenarioShare], spec: Ranking) -> None:
    """Add every cell whose scenario has a share to that share."""
    for cell in cells:
        key = key_of(cell.names)
        if key in shares:
            groups = aligned([rows.read() for rows in cell.rows])
            of_entrant = dict(zip(cell.entrants, groups, strict=True))
            _add(shares[key], int(cell.names["n"]), of_entrant, spec, key[-1])


def _add(
    share: ScenarioShare, n: int, groups: Mapping[Entrant, Group], spec: Ranking, level: float
) -> None:
    """Add one cell and target to its scenario's share."""
    known = groups[share.reference]
    if reference(losses(known, spec, level)) is None:
        share.lost += 1
        return
    share.cells += 1
    error = mean(present(known, "truth_mcse")[0])
    ends = [e for e in (error, -error) if error > 0]
    block = share.blocks.setdefault(n, Block(known["replicate"]))
    for entrant, group in groups.items():
        if not gives(group, spec):
            share.without.add(entrant)
            continue
        share.runs[entrant] = share.runs.get(entrant, 0) + 1
        for name, flag in (("declined", group["declined"]), ("unbounded", unbounded(group, spec))):
            sums: dict[Entrant, float] = getattr(share, name)
            sums[entrant] = sums.get(entrant, 0.0) + _share(group, flag)
        own = _against(group, known, spec, level)
        if own is None:
            continue
        share.logs[entrant] = share.logs.get(entrant, 0.0) + own.value
        share.penalised[entrant] = share.penalised.get(entrant, 0.0) + own.penalised
        share.counts[entrant] = share.counts.get(entrant, 0) + 1
        block.add(entrant, known["replicate"], own.terms)
        shifted = [_against(group, known, spec, level, end) for end in ends]
        if len(shifted) == 2 and shifted[0] and shifted[1]:
            truth = mean(present(known, "truth")[0])
            errors = share.truths.setdefault(truth, {})
            change = (shifted[0].value - shifted[1].value) / 2
            errors[entrant] = errors.get(entrant, 0.0) + change


def _share(group: Group, flag: Array) -> float:
    """Return the share of the data sets that were run of which the flag is true."""
    ran = group["ok"] | group["failed"] | group["declined"]
    return float(flag.sum()) / max(int(ran.sum()), 1)


def _against(
    group: Group, known: Group, spec: Ranking, level: float, shift: float = 0.0
) -> LogRatio | None:
    """Return the score of a cell, None where the two tried no data set that has a score."""
    own, base = losses(group, spec, level, shift), losses(known, spec, level, shift)
    tried = ~np.isnan(own) & ~np.isnan(base)
    own, base = np.where(tried, own, np.nan), np.where(tried, base, np.nan)
    unit = reference(base)
    if unit is None:
        return None
    mine, theirs = log_ratio(own, *unit, spec), log_ratio(base, *unit, spec)
    assert mine is not None and theirs is not None  # there are finite losses
    if np.array_equal(own, base, equal_nan=True):  # itself, but for rounding
        return LogRatio(0.0, np.zeros(own.size), mine.penalised)
    return LogRatio(mine.value - theirs.value, mine.terms - theirs.terms, mine.penalised)


ROUNDING = 1e-12
NOTHING = 1e-6
"""A difference of log ratios that is no difference to a rank, however little noise it has: methods
that differ by a millionth of their loss are one method, computed in two ways."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Hold all differences of scores with simultaneous limits: entry i, j is score i less j."""

    difference: Array
    low: Array
    high: Array


def compare(
    scores: Array, terms: Array, freedom: float, rng: np.random.Generator,
    starts: Sequence[int] = (0,),
) -> Compared:  # fmt: skip
    """Return all differences of scores with limits that hold for all of them at once, 95 %.

    `terms` has a row for each score and a column for each independent source of noise, whose sum
    the score errs by; columns of one block, which begin at `starts`, are replicates of each other.
    `freedom` are the degrees of freedom of its variance; without any nothing is known beyond doubt.
    Where a few replicates make most of a difference's variance, that variance is known worse, and
    the degrees of freedom are those that the spread of the squared terms leaves: with V the sum of
    the squares of a difference's terms, nu = 2 V^2 / Var(V), which is n - 1 of normal terms and
    less of terms with heavier tails (Satterthwaite's rule; Box 1953, Biometrika 40, on the variance
    of a variance).
    """
    p = scores.size
    ends = np.array(list(combinations(range(p), 2)), dtype=int).reshape(-1, 2)
    first, second = ends[:, 0], ends[:, 1]
    squares = differences(terms, first, second)
    own = np.square(terms).sum(axis=1)
    squares = np.where(squares <= ROUNDING**2 * (own[first] + own[second]), 0.0, squares)
    gap = scores[first] - scores[second]
    gap = np.where((squares == 0) & (np.abs(gap) <= ROUNDING), 0.0, gap)
    known = _freedom(terms, first, second, squares, freedom, starts)
    c = reach(critical(terms, first, second, squares, rng), known)
    half = np.where(freedom > 0, np.where(squares > 0, c, 0.0) * np.sqrt(squares), np.inf)
    difference, low, high = (np.zeros((p, p)) for _ in range(3))
    difference[first, second], difference[second, first] = gap, -gap
    low[first, second], high[first, second] = gap - half, gap + half
    low[second, first], high[second, first] = -gap - half, half - gap
    return Compared(difference, low, high)


def _freedom(
    terms: Array, first: Array, second: Array, squares: Array, most: float, starts: Sequence[int]
) -> Array:
    """Return the degrees of freedom of the variance of each difference, `most` at most."""
    counts = np.diff([*starts, terms.shape[1]])
    freedom = np.full(first.size, float(most))
    for i, (here, there) in enumerate(zip(first, second, strict=True)):
        if squares[i] > 0 and most > 0:
            square = np.square(terms[here] - terms[there])
            within = np.add.reduceat(square, np.asarray(starts)) ** 2 / counts
            spread = float((square**2).sum() - within.sum())
            if spread > 0:
                freedom[i] = min(freedom[i], 2 * squares[i] ** 2 / spread)
    return freedom


def rank_sets(compared: Compared, ranked: Array) -> tuple[Array, Array]:
    """Return the lowest and the highest rank that each of the `ranked` may have; 1 is best.

    One rank for each that is surely better (its score surely smaller) comes before, one for each
    that is surely worse after: where the simultaneous limits hold all true differences, which they
    do in 95 of 100 runs, the sets hold all true ranks at once. Source: Mogstad, Romano, Shaikh and
    Wilhelm (2024), Review of Economic Studies 91. Of equals every rank among them is
    true: 1 + the number strictly better to p - the number strictly worse. Who is better by no more
    than `NOTHING` is an equal.
    """
    low, high = compared.low[np.ix_(ranked, ranked)], compared.high[np.ix_(ranked, ranked)]
    better = (low > NOTHING).sum(axis=1)  # those whose score is surely smaller
    worse = (high < -NOTHING).sum(axis=1)
    return 1 + better, ranked.size - worse
