"""The published figures that a suite names, to put its own beside.

A suite names a CSV file under `published`. Its columns `measure`, `value`, `source` are a must;
any of `scenario, n, dial, setting, estimator, options, parameters, estimand, horizon` say which
score is meant (maps as JSON; a map names only what matters); `replicates` is the number behind the
figure, `error` its Monte Carlo error where it was given, `note` what to know about a difference.
`docs/published.md` has the format for users.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cibench.metrics.registry import METRICS, listed
from cibench.model.types import TARGET
from cibench.utils.answers_csv import is_number
from cibench.utils.errors import BadInput, unknown
from cibench.utils.foreign import COPIED, Row, as_json, read_csv

NEEDED = ("measure", "value", "source")
PLAIN = ("scenario", "n", "dial", "setting", "estimator", *TARGET)
MAPS = ("options", "parameters")
KNOWN = (*NEEDED, *PLAIN, *MAPS, "replicates", "error", "note")


def read_published(path: Path) -> list[Row]:
    """Read a table of published figures; raises BadInput naming file, line and field."""
    lines = read_csv(path)
    for line in lines:
        number = line.line
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
        text = line.get(name) or "1"
        if not is_number(text) or (name == "replicates" and float(text) <= 0):
            problem = f"'{name}' is not a number: {text[:COPIED]}"
            raise BadInput(f"{path}: line {number}: {problem}")
    for name in MAPS:
        as_json(line.get(name) or "{}", {str: object}, f"{path}: line {number}: '{name}'", "a map")
    value = float(line["value"])
    if METRICS[line["measure"]].share and not 0 <= value <= 1:
        problem = f"{line['measure']} is a share, between 0 and 1, not {line['value']}"
        raise BadInput(f"{path}: line {number}: 'value': {problem}")
