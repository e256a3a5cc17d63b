"""How a suite is run: by whom, into which state of its folder, and at which pace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from cibench.execution.progress import Listener
from cibench.suite.precision import FIRST_LOOK
from cibench.utils.addresses import parse
from cibench.utils.machine import check_workers
from cibench.workers.effects import Observed


@dataclass(frozen=True)
class Tuning:
    """Hold the paces and sizes of the machinery, which no row depends on.

    They suit every run; tests shorten here what would take them long. `first_look` alone moves how
    many replicates a sequential run has.

    See `RunSettings`, which holds one.
    """

    block_seconds: float = 1.0
    """How long a block should take: long against its transport, short against a lost one."""

    check_seconds: float = 2.0
    """How long the checks of one plug-in are to take; it is given up after five times as long."""

    tick_seconds: float = 1.0
    """After which the run looks at its clock though no block has ended."""

    most_losses: int = 3
    """How often a block is sent again that a cluster gave up as worker after worker had died."""

    flush_seconds: float = 5.0
    """How long rows wait in memory; with a block's second and a write it stays below ten."""

    waiting_rows: int = 2**17
    """How many rows wait in memory at the most, however fast they come; 371 bytes each."""

    shard_rows: int = 2**16
    """When a shard is full: 5 to 10 MB, which are written again every few seconds until then."""

    most_bytes: int = 2**26
    """How many bytes of rows wait, or stand in one shard, whatever reasons they have."""

    first_look: int = FIRST_LOOK
    """Replicates before the first look of a sequential run: the one number that moves counts."""

    copy_seconds: float = 5.0
    """Between two copies to an object store; with what rows wait it stays near ten."""

    lease_seconds: float = 60.0
    """For which a lock on an object store's run holds that nobody renews."""

    greet_seconds: float = 15.0
    """In which a scheduler that is there, and may be busy, lets a client in."""

    idle_seconds: float = 600.0
    """After which a cluster's worker ends another run's idle children: its driver may be dead."""

    slack_seconds: float = 20.0
    """What the script of a replay gets beyond the run's time-out, since it imports within it."""


TUNING = Tuning()
"""What suits every run."""


@dataclass(frozen=True)
class RunSettings:
    """Say how a suite is run; no row depends on it, and on `keep_going` alone which rows there are.

    `workers` are processes of this machine that survive crashes and keep to the suite's `timeout`
    and `memory`; one worker is this process, unless `isolate`. With an `executor`, a dask scheduler
    such as "dask://host:8786", they are those of a cluster. `update` sets rows aside that today
    would be others, `repair` runs again what damaged shards held. An estimator whose first ten fits
    in a cell raise one exception has no more there, unless to `keep_going`. Without `checks`
    plug-ins are not held to their contracts before the first replicate; `verdicts` is what that
    has come to already, from `cibench.execution.runner.preflight`. `listen` is told the progress
    after every block, in the thread that called, and `observe` which code its draws and fits have
    loaded and what they did beside computing, which nobody looks at otherwise; what `arranging`
    returns is entered while shards may be renamed or lose rows, before the first block. Raises
    BadInput for less than one worker and for an address that is none.

    >>> from cibench.execution import RunSettings, Tuning
    >>> RunSettings().isolated, RunSettings(workers=2).isolated
    (False, True)
    >>> RunSettings(tuning=Tuning(block_seconds=0.2)).tuning.flush_seconds
    5.0
    """

    workers: int = 1
    isolate: bool = False
    executor: str | None = None
    update: bool = False
    repair: bool = False
    keep_going: bool = False
    checks: bool = True
    verdicts: Mapping[str, Any] | None = None
    observe: Callable[[Observed], None] | None = None
    listen: Listener = lambda _: None
    arranging: Callable[[], AbstractContextManager[object]] = nullcontext
    tuning: Tuning = TUNING

    def __post_init__(self) -> None:
        check_workers("workers", self.workers)
        if self.executor is not None:
            parse(self.executor)

    @property
    def isolated(self) -> bool:
        """Say whether fits run in processes of their own, which import what they use anew."""
        return self.isolate or self.workers > 1 or self.executor is not None


IN_PROCESS = RunSettings()
"""One worker, which is this process: how Python runs a suite where nothing else is said."""

EVERY_FIT = RunSettings(keep_going=True)
"""The same for whoever compares runs fit by fit: all are made, whatever they are like."""
