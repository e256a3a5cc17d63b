"""Hold a suite's plug-ins to their contracts before it runs, in a process that may hang or die."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from typing import Any

from cibench.contracts.preflight import KINDS, Finding, Subject, look_at, subjects
from cibench.model import registry
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput
from cibench.workers.child import prepare
from cibench.workers.processes import cause, context, end, spawn

READY = "ready"
SWITCH = "--no-checks (checks=False) runs it all the same"
PATIENCE = 5.0
"""How many times longer than its checks are to take a plug-in may take until it is given up."""

STARTING = 60.0
"""Seconds in which the process starts and has imported what it needs."""


def check_plugins(
    suite: Suite, before: Mapping[str, Any] | None, plugins: Sequence[str] | None,
    modules: Sequence[str], seconds: float, kinds: Sequence[registry.Kind] = KINDS,
) -> dict[str, Any]:  # fmt: skip
    """Check the suite's plug-ins and return what a manifest says of it.

    `before` is what the manifest of a run that goes on says: what passed then, with the same
    sources and settings, is not looked at again. `plugins` are those that a process of its own
    loads, which has about `seconds` for each; None: they are looked at here, for as long as they
    take. Raises BadInput with a line for each broken contract.
    """
    known = (before or {}).get("plugins") or {}
    verdicts: dict[str, dict[str, Any]] = {}
    due = []
    for subject in subjects(suite, kinds):
        entry = known.get(str(subject)) or {}
        if subject.digest is not None and entry.get("digest") == subject.digest:
            verdicts[str(subject)] = entry
        else:
            due.append(subject)
    if plugins is None:
        findings = [look_at(subject, seconds) for subject in due]
    else:
        findings = _elsewhere(due, plugins, modules, seconds) if due else []
    if broken := [finding.broken for finding in findings if finding.broken]:
        raise BadInput(*(f"{line}; {SWITCH}" for line in broken))
    for subject, finding in zip(due, findings, strict=True):
        verdicts[str(subject)] = {
            "digest": subject.digest, "unchecked": finding.unchecked, "warning": finding.warning,
        }  # fmt: skip
    return {"skipped": False, "plugins": verdicts}


def unchecked(suite: Suite, kinds: Sequence[registry.Kind] = KINDS) -> dict[str, Any]:
    """Return what a manifest says of a suite whose plug-ins were not looked at."""
    return {"skipped": bool(subjects(suite, kinds)), "plugins": {}}


def _elsewhere(
    due: Sequence[Subject], plugins: Sequence[str], modules: Sequence[str], seconds: float
) -> list[Finding]:
    """Look at plug-ins one by one in a process, a new one after each that hangs or dies there.

    Who breaks its contract there is looked at alone: another may have meddled with the process.
    """
    findings: list[Finding] = []
    while len(findings) < len(due):
        findings += _as_far_as_it_goes(due[len(findings) :], plugins, modules, seconds)
    for place, finding in enumerate(findings):
        if finding.broken and place:
            alone = due[place : place + 1]
            (findings[place],) = _as_far_as_it_goes(alone, plugins, modules, seconds)
    return findings


def _as_far_as_it_goes(
    due: Sequence[Subject], plugins: Sequence[str], modules: Sequence[str], seconds: float
) -> list[Finding]:
    """Return the findings of one process, the last one that it hung or died; at least one."""
    starter = context()
    pipe, theirs = starter.Pipe()
    arguments = (theirs, tuple(plugins), tuple(due), seconds, tuple(modules))
    process = spawn(starter, _serve, arguments, modules)
    theirs.close()
    findings: list[Finding] = []
    try:
        patience = STARTING
        while len(findings) < len(due):
            if not connection.wait([pipe], patience):
                return [*findings, Finding(unchecked=f"took longer than {patience:g} s on trial")]
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                process.join(PATIENCE)
                died = f"its process died on trial: {cause(process)}"
                return [*findings, Finding(unchecked=died)]
            if isinstance(message, BadInput):
                raise message
            if message != READY:
                findings.append(Finding(*message))
            patience = PATIENCE * seconds
        return findings
    finally:
        with contextlib.suppress(OSError):
            pipe.close()
        end(process)


def _serve(
    pipe: Any, plugins: tuple[str, ...], due: tuple[Subject, ...], seconds: float,
    modules: tuple[str, ...],
) -> None:  # fmt: skip
    """Look at plug-ins in this process, which nothing else needs."""
    prepare(modules)
    try:
        for plugin in plugins:
            registry.load_plugin(plugin)
    except BadInput as error:
        pipe.send(error)
        return
    pipe.send(READY)
    for subject in due:
        try:
            finding = look_at(subject, seconds)
        except BaseException as error:  # SystemExit too
            finding = Finding(unchecked=f"raised {type(error).__name__} on trial")
        pipe.send(tuple(finding))
