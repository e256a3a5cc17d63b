"""Run blocks on a dask cluster, each in a supervised child process of a worker.

A fit never runs in the worker itself: what kills a bare worker would kill one after the other, as
the scheduler sends the block on. The worker holds no state of a run but its idle children.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from cibench.utils.addresses import parse
from cibench.utils.errors import BadInput, one_line
from cibench.workers.block import Block, Result
from cibench.workers.supervisor import Child, Limits
from cibench.workers.workplace import Workplace

if TYPE_CHECKING:
    from cibench.suite.suite import Suite


class Source(NamedTuple):
    """Name a scenario or an estimator, where it is, and the digest of what it rests on.

    `place` is a module or a .py file, `qualname` the definition there, `files` what it reads.
    """

    what: str
    place: str
    qualname: str
    files: tuple[str, ...]
    digest: str | None


class Terms(NamedTuple):
    """Hold what all blocks of a run share: names and numbers, so that any worker can keep to them.

    A worker whose versions or sources are others would give other rows, and refuses; `elsewhere`
    are the versions where methods in other processes are asked, which `plugins` declare. It ends
    children that another run has left idle for `idle` seconds, since that run's driver may be dead.
    """

    run: str
    modules: tuple[str, ...]
    limits: Limits
    versions: tuple[tuple[str, str], ...]
    plugins: tuple[str, ...]
    elsewhere: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    sources: tuple[Source, ...]
    idle: float

    @classmethod
    def of(cls, suite: Suite, modules: Sequence[str], limits: Limits, idle: float) -> Terms:
        """Return the terms of a suite's run from here."""
        from cibench.model import registry
        from cibench.model.method import find_estimator
        from cibench.storage import provenance

        digests, sources = provenance.sources(suite), []
        for what, digest in digests.items():
            kind, name = what.split(" ", 1)
            entry = registry.entry("scenario" if kind == "scenario" else "estimator", name)
            is_plugin = str(entry.path) in suite.plugins
            place = str(entry.path) if is_plugin else entry.module
            sources.append(Source(what, place, entry.qualname, entry.files, digest))
        versions = {"Python": _python(), **provenance.versions(suite.libraries)}
        elsewhere = [
            (name, tuple(where.versions().items()))
            for name in suite.estimators if (where := find_estimator(name).elsewhere)
        ]  # fmt: skip
        return cls(
            uuid4().hex, tuple(modules), limits, tuple(versions.items()), suite.plugins,
            tuple(elsewhere), tuple(sources), idle,
        )  # fmt: skip


class _Crew:
    """Own the children of one run in this worker process."""

    def __init__(self) -> None:
        self.free: list[Child] = []
        self.all: list[Child] = []
        self.used = time.monotonic()


_crews: dict[str, _Crew] = {}
_ended: set[str] = set()
_lock = threading.Lock()


def run_block(terms: Terms, block: Block) -> Result:
    """Return a block's rows, made in a child of this worker that lives on for the next block.

    Raises BadInput where this worker may not start children, or would give other rows.
    """
    child = _take(terms)
    try:
        return child.run(block)
    finally:
        _give_back(terms.run, child)


def release(run: str) -> None:
    """End the children of a run in this worker, at once."""
    with _lock:
        _ended.add(run)
        crew = _crews.pop(run, None)
    for child in crew.all if crew else ():
        child.stop()


def _take(terms: Terms) -> Child:
    with _lock:
        new = terms.run not in _crews
    if new:
        _check(terms)
    with _lock:
        others = [(run, crew) for run, crew in _crews.items() if run != terms.run]
        old = [run for run, crew in others if _abandoned(crew, terms.idle)]
        crew = _crews.setdefault(terms.run, _Crew())
        crew.used = time.monotonic()
        if not crew.free:
            crew.free.append(Child(terms.modules, terms.limits))
            crew.all.append(crew.free[-1])
        child = crew.free.pop()
    for run in old:
        release(run)
    return child


def _abandoned(crew: _Crew, idle: float) -> bool:
    return len(crew.free) == len(crew.all) and time.monotonic() - crew.used > idle


def _give_back(run: str, child: Child) -> None:
    with _lock:
        crew = None if run in _ended else _crews.get(run)
        if crew is not None:
            crew.used = time.monotonic()
            crew.free.append(child)
    if crew is None:
        child.stop()


def _check(terms: Terms) -> None:
    """Raise BadInput unless this worker can do what is asked and gives the driver's rows."""
    if multiprocessing.current_process().daemon:
        raise BadInput(
            "this cluster's workers are daemons, which may not start the processes that fits are "
            "isolated in: start them with DASK_DISTRIBUTED__WORKER__DAEMON=False in their "
            "environment (distributed.worker.daemon: false), or with --no-nanny"
        )
    if others := [*_other_versions(terms), *_other_sources(terms)] or _others_elsewhere(terms):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise BadInput(f"a worker on {_host()} would give other rows: {others[0]}{more}")


def _other_versions(terms: Terms) -> list[str]:
    from cibench.model.method import PIP_NAMES
    from cibench.storage import provenance

    modules = {package: module for module, package in PIP_NAMES.items()}
    required = dict(terms.versions)
    names = [modules.get(name, name) for name in required if name not in ("Python", "cibench")]
    here = {"Python": _python(), **provenance.versions(names)}
    return [
        f"it has {name} {here.get(name)}, the driver {version}"
        for name, version in required.items()
        if here.get(name) != version
    ]


def _others_elsewhere(terms: Terms) -> list[str]:
    """Return what differs where methods in other processes are asked; the sources are the same."""
    from cibench.model.method import find_estimator
    from cibench.model.registry import load_plugin

    complaints = []
    for plugin in terms.plugins if terms.elsewhere else ():
        load_plugin(plugin)
    for name, required in terms.elsewhere:
        where = find_estimator(name).elsewhere
        here = where.versions() if where else {}
        complaints += [
            f"it has {what} {here.get(what)}, the driver {version}"
            for what, version in required
            if here.get(what) != version
        ]
    return complaints


def _other_sources(terms: Terms) -> list[str]:
    from cibench.storage.source_digests import definition_digest

    complaints = []
    for source in terms.sources:
        path = _file_of(source.place)
        if path is None:
            complaints.append(f"it does not find {source.place}, where the {source.what} is")
            continue
        try:
            same = source.digest == definition_digest(path, source.qualname, source.files)
        except OSError as error:
            complaints.append(f"it cannot read what the {source.what} reads: {one_line(error)}")
            continue
        if not same:
            complaints.append(f"its source of {source.what} is another")
    return complaints


def _file_of(place: str) -> Path | None:
    """Return the file of a module or path, without running it."""
    if place.endswith(".py"):
        return Path(place) if Path(place).is_file() else None
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _python() -> str:
    import platform

    return ".".join(platform.python_version_tuple()[:2])


def _host() -> str:
    import socket

    return socket.gethostname()


REACH = 3.0
"""Seconds in which the scheduler's port answers, or nothing is there."""

PART = 1.5
"""Seconds for the farewell: an interrupted run stops within two."""

COUNTED = 2.0
"""Seconds for which the number of workers is taken to be what it was."""


@contextlib.contextmanager
def on_dask(executor: str, terms: Terms, greet: float) -> Iterator[Workplace]:
    """Run blocks on the workers of a scheduler, whichever there are while the run goes on.

    A scheduler that is there, and may be busy, has `greet` seconds to let a client in. Raises
    BadInput where none answers or `distributed` is not installed.
    """
    protocol, host, port = parse(executor)
    try:
        import distributed
    except ImportError as error:
        raise BadInput(f'--executor {executor}: pip install "cibench[dask]"') from error
    from distributed.utils import silence_logging_cmgr

    if protocol == "tls":
        _check_certificates(executor)
    with silence_logging_cmgr(logging.CRITICAL):  # what it would say of a lost cluster, we say
        client = _reach(executor, f"{protocol}://{host}:{port}", host, port, greet)
        pool = client.get_executor(pure=False)
        try:
            lost = (distributed.scheduler.KilledWorker,)
            yield Workplace(pool, partial(run_block, terms), _slots(client), lost)
        finally:
            _leave(client, pool, terms.run)


def _check_certificates(executor: str) -> None:
    """Refuse TLS without its certificates: a client would wait long and end in a TypeError.

    Raises BadInput where dask's settings lack one, or name what is no file or no certificate.
    """
    from distributed.security import Security

    settings = Security()
    fields = {"ca-file": settings.tls_ca_file, "client.cert": settings.tls_client_cert,
              "client.key": settings.tls_client_key}  # fmt: skip
    key = "distributed.comm.tls"
    lacking = [f"{key}.{name}" for name in ("ca-file", "client.cert") if not fields[name]]
    if lacking:
        words = f"dask's settings lack {' and '.join(lacking)} (docs/scale.md)"
        raise BadInput(f"--executor {executor}: TLS needs certificates: {words}")
    for name, file in fields.items():  # a text of several lines is the certificate itself
        if file and "\n" not in str(file) and not Path(str(file)).is_file():
            raise BadInput(f"--executor {executor}: {key}.{name}: no file '{file}'")
    try:
        settings.get_connection_args("client")
    except (OSError, TypeError, ValueError) as error:  # an SSLError is an OSError
        names = ", ".join(f"{key}.{name}" for name, file in fields.items() if file)
        raise BadInput(
            f"--executor {executor}: {names}: no certificates: {one_line(error)}"
        ) from error


def _reach(executor: str, url: str, host: str, port: int, seconds: float) -> Any:
    """Return a client of the scheduler; raises BadInput where none answers in time."""
    import distributed

    greeted: Future[Any] = Future()

    def greet() -> None:
        try:
            client: Any = distributed.Client
            greeted.set_result(client(url, timeout=seconds, set_as_default=False))
        except Exception as error:
            greeted.set_exception(error)

    try:
        socket.create_connection((host, port), timeout=REACH).close()
        # a client waits for ever on a port that takes connections and never says a word
        threading.Thread(target=greet, daemon=True).start()
        return greeted.result(seconds)
    except (OSError, ValueError, distributed.TimeoutError) as error:
        cause = one_line(error) if str(error) else "no answer in time"
        raise BadInput(f"--executor {executor}: no scheduler answers there: {cause}") from error


def _slots(client: Any) -> Callable[[], int]:
    """Return what counts the threads of all workers, at least one while they are on their way."""
    known = [0.0, 1]

    def slots() -> int:
        now = time.monotonic()
        if now - known[0] > COUNTED:
            with contextlib.suppress(Exception):  # it reconnects; what matters fails by itself
                known[1] = max(1, sum(client.nthreads().values()))
            known[0] = now
        return int(known[1])

    return slots


def _leave(client: Any, pool: Any, run: str) -> None:
    """Take back what is under way and end the children, as far as the cluster still listens."""
    with contextlib.suppress(Exception):
        pool.shutdown(wait=False)
    with contextlib.suppress(Exception):
        client.sync(client._run, release, run, on_error="ignore", callback_timeout=PART)
    with contextlib.suppress(Exception):
        client.close(timeout=PART)
