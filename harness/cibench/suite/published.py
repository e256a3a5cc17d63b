"""The published figures that a suite names, to put its own beside.

A suite names a CSV file under `published`. Its columns `measure`, `value`, `source` are a must;
any of `scenario, n, dial, setting, estimator, options, parameters, estimand, horizon` say which
score is meant (maps as JSON; a map names only what matters); `replicates` is the number behind the
figure, `error` its Monte Carlo error where it was given, `note` what to know about a difference.
`docs/published.md` has the format for users.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from cibench.metrics.registry import METRICS, listed
from cibench.utils.errors import BadInput, unknown

NEEDED = ("measure", "value", "source")
PLAIN = ("scenario", "n", "dial", "setting", "estimator", "estimand", "horizon")
MAPS = ("options", "parameters")
KNOWN = (*NEEDED, *PLAIN, *MAPS, "replicates", "error", "note")


def read_published(path: Path) -> list[dict[str, str]]:
    """Read a table of published figures; raises BadInput naming file, line and field."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 2):
        for name in line:
            if name not in KNOWN:
                raise BadInput(f"{path}: {unknown('column', str(name), KNOWN)}")
        for name in NEEDED:
            if not line.get(name):
                raise BadInput(f"{path}: line {number}: '{name}' is missing")
        if line["measure"] not in (scored := [metric.name for metric in listed("scores")]):
            problem = unknown("measure", line["measure"], scored)
            raise BadInput(f"{path}: line {number}: {problem}")
        _check_numbers(path, number, line)
    return lines


def _check_numbers(path: Path, number: int, line: Mapping[str, str]) -> None:
    for name in ("value", "error", "replicates", "n", "setting", "horizon"):
        try:
            float(line.get(name) or 0)
        except ValueError as error:
            problem = f"'{name}' is not a number: {line[name]}"
            raise BadInput(f"{path}: line {number}: {problem}") from error
    value = float(line["value"])
    if METRICS[line["measure"]].share and not 0 <= value <= 1:
        problem = f"{line['measure']} is a share, between 0 and 1, not {line['value']}"
        raise BadInput(f"{path}: line {number}: 'value': {problem}")
