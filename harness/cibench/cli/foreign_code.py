"""What is said before code is executed that came with somebody's run, or by a network's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import typer

from cibench.cli import NO_PLUGINS
from cibench.model.registry import is_data
from cibench.utils.addresses import parse
from cibench.utils.errors import BadInput
from cibench.utils.toml import several


def announce_plugins(folder: Path | str, does: str = "executes") -> None:
    """Say on standard error which plug-ins of a run folder a command executes, if others made it.

    `does` says whether it does or may. Nothing is said of a folder that this machine had a part in,
    or that is none; one whose manifest is missing, or is none, may be anybody's.
    """
    from cibench.storage.manifest import read_manifest, read_suite
    from cibench.storage.provenance import host

    run = Path(folder)
    if not run.is_dir():
        return
    try:
        plugins = several(read_suite(run).get("plugins", []))
    except BadInput:
        return  # whoever reads it next says so, and executes nothing
    hosts: Sequence[str] = ()
    with suppress(BadInput):
        hosts = read_manifest(run).get("hosts") or ()
    code = [str(name) for name in plugins if not is_data(str(name))]
    if code and host() not in hosts:
        many = "plug-ins" if len(code) > 1 else "plug-in"
        typer.echo(
            f"cibench: {folder} was not made on this machine, as far as it says; this {does} its "
            f"{many} {', '.join(code)} with your rights ({NO_PLUGINS} refuses that)", err=True,
        )  # fmt: skip


def announce_scheduler(executor: str) -> None:
    """Say on standard error that a scheduler without TLS trusts its network, unless it is here."""
    protocol, machine, _ = parse(executor)
    if protocol != "tls" and machine not in ("localhost", "::1") and machine[:4] != "127.":
        typer.echo(
            f"cibench: {executor} has no TLS: whoever reaches it can execute code on its workers; "
            "dask+tls:// keeps others out", err=True,
        )  # fmt: skip
