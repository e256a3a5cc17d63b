"""Run all contract checks on what plug-ins register: `python -m cibench.contracts PLUG-IN...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args
from unittest import SkipTest

from cibench.contracts import ESTIMATOR_CHECKS, SCENARIO_CHECKS, ContractError
from cibench.contracts.common import label
from cibench.model import registry
from cibench.model.registry import Entry, Kind
from cibench.utils.errors import BadInput


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each scenario and estimator of the plug-ins, one for each complaint.

    Returns 0 where all checks pass, 1 where one fails, 2 for a plug-in that cannot be checked.
    """
    parser = argparse.ArgumentParser(prog="python -m cibench.contracts", description=__doc__)
    parser.add_argument("plugins", nargs="+", metavar="FILE_OR_MODULE")
    plugins = parser.parse_args(arguments).plugins
    try:
        entries = [entry for plugin in plugins for entry in load(plugin)]
    except BadInput as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return max([_report(kind, entry) for kind, entry in entries])


def load(plugin: str) -> list[tuple[Kind, Entry]]:
    """Load a plug-in, unless a built-in one is meant, and return what it has registered.

    Raises BadInput where it does not load or registers nothing.
    """
    entries = _registered_by(plugin)
    if not entries:
        registry.load_plugin(plugin)
        entries = _registered_by(plugin)
    if not entries:
        raise BadInput(f"plug-in '{plugin}' registers no scenario and no estimator")
    return entries


def _registered_by(plugin: str) -> list[tuple[Kind, Entry]]:
    if plugin.endswith((".py", ".toml")):
        path = Path(plugin).resolve()
        return [(kind, e) for kind, e in _all() if e.path and e.path.resolve() == path]
    return [(kind, e) for kind, e in _all() if f"{e.module}.".startswith(f"{plugin}.")]


def _all() -> list[tuple[Kind, Entry]]:
    return [(kind, e) for kind in get_args(Kind) for e in registry.entries(kind).values()]


def _report(kind: Kind, entry: Entry) -> int:
    """Print what the checks say of one entry; return 1 where one fails."""
    checks: Iterable[Callable[[Any], None]] = ESTIMATOR_CHECKS
    subject = entry.value
    if kind == "scenario":
        try:
            checks, subject = SCENARIO_CHECKS, entry.value()
        except (TypeError, ValueError) as error:
            print(f"FAIL scenario {entry.name}: its defaults make no scenario: {error}")
            return 1
    results = [_run(check, subject) for check in checks]
    complaints = [line for line, skipped in results if line and not skipped]
    for line in complaints:
        print(f"FAIL {line}")
    if not complaints:
        skips = [line for line, skipped in results if skipped]
        more = f", {len(skips)} skipped ({skips[0]})" if skips else ""
        print(f"ok   {label(subject)}: {len(results) - len(skips)} checks{more}")
    return int(bool(complaints))


def _run(check: Callable[[Any], None], subject: Any) -> tuple[str, bool]:
    """Return a check's complaint, "" for none, and whether it was skipped for that reason."""
    try:
        check(subject)
    except ContractError as complaint:
        return str(complaint), False
    except SkipTest as reason:
        return str(reason), True
    except Exception as error:  # a stranger's draw may raise anything
        text = " ".join(str(error).split())
        return f"{label(subject)}: {check.__name__}: {type(error).__name__}: {text}", False
    return "", False


if __name__ == "__main__":
    sys.exit(main())
