"""What Python calls: run a suite, load a run."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.results.run_folder import Run
from cibench.storage import manifest
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.suite.suite import Suite


def run(
    suite: str | Path | Mapping[str, Any] | Suite,
    out: str | Path | None = None,
    workers: int = 1,
    *,
    update: bool = False,
    repair: bool = False,
    executor: str | None = None,
) -> Run:
    """Run a suite, or what is missing of it in a run folder, and return the run.

    `suite` is a path, a built-in suite's name, a mapping with the content of a suite file or a
    `Suite`, `out` a folder or a URL such as s3://bucket/run. Without `out` the run folder is a
    temporary one that goes with the returned object.
    One worker is this process, without isolation; more are child processes that survive crashes
    and keep to the suite's `timeout` and `memory`; with an `executor` such as "dask://host:8786"
    they are those of a cluster. Raises BadInput for a faulty suite, a folder that is neither a run
    nor empty, rows that today would be others (`update` sets them aside) and damaged shards
    (`repair` runs again what they held).
    """
    if workers < 1:
        raise BadInput(f"workers: {workers} is not a number of 1 or more")
    from cibench.execution.runner import execute
    from cibench.suite.parse import find_suite, parse_suite
    from cibench.suite.suite import Suite

    if isinstance(suite, Mapping):
        suite = parse_suite(suite)
    elif not isinstance(suite, Suite):
        suite = find_suite(suite)
    from cibench.storage.object_store import mirrored

    made = None if out else _temporary(f"cibench-{suite.name}-")
    with mirrored(made.folder if made else str(out)) as (folder, copying):
        execute(
            suite, folder, workers, isolate=workers > 1, update=update, repair=repair,
            executor=executor, listen=lambda _: copying.check() if copying else None,
        )  # fmt: skip
        if copying:
            return _copied(folder, str(out))
    return made or Run(folder)


def _temporary(prefix: str = "cibench-", url: str = "") -> Run:
    """Return a run in a temporary folder that goes with it."""
    made = Run(Path(tempfile.mkdtemp(prefix=prefix)), url)
    weakref.finalize(made, shutil.rmtree, made.folder, ignore_errors=True)
    return made


def _copied(folder: Path, url: str) -> Run:
    made = _temporary(url=url)
    shutil.copytree(folder, made.folder, dirs_exist_ok=True)
    return made


def load(path: str | Path) -> Run:
    """Return the run in a folder or at a URL; raises BadInput where there is none.

    A run at a URL is copied, to a temporary folder that goes with the returned object.
    """
    from cibench.storage.object_store import fetched
    from cibench.utils.addresses import is_url

    if is_url(str(path)):
        with fetched(path) as here:
            run = _copied(here, str(path))
    else:
        run = Run(Path(path))
    manifest.read_manifest(run.folder)
    return run
