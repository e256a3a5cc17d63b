"""What goes over the wire to an estimator in another process, and what comes back.

A request is one line of JSON; the data lie beside it, in files of a folder that it names: all
numbers in `numbers.bin` (little-endian doubles, column after column), all texts in `texts.txt`
(UTF-8, a value a line, column after column). An answer is one line of JSON after a mark that its
process alone has; whatever else it prints is noise. `docs/languages.md` says all of it for whoever
writes the other side.
"""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cibench.model.estimands import Estimand, is_estimand
from cibench.model.types import Array, Declined, Diagnosis, Estimate, Problem, Target
from cibench.utils.errors import READ_LENGTH, BadInput
from cibench.utils.shapes import is_plain

PROTOCOL = 1
MARK = "cibench: "
"""What stands before an answer where nobody has said what is to."""

PYTHON = "Python"
"""The language whose processes can make the streams of this one."""

NUMBERS, TEXTS, STATES = "numbers.bin", "texts.txt", "states.bin"
MISSING = "\\N"
"""How a missing text is written; a backslash that belongs to a text is written twice."""

EXACT = 2**53
"""Whole numbers up to it are doubles; those of columns with larger ones are sent as texts."""

NUMERIC = ("value", "se", "low", "high", "df", "p_value", "statistic", "band_low", "band_high")
WORDS = {"Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan, "NA": math.nan}
"""How numbers are written that JSON lacks."""


class Reported(Exception):  # noqa: N818 - a failure that another process put into words
    """Carry, word for word, why an estimator in another process has no answer."""


class Nonsense(Exception):  # noqa: N818 - what the other side wrote, as data
    """Say that what another process wrote is no answer to what it was asked."""


def write_data(problem: Problem, folder: Path) -> list[dict[str, str]]:
    """Write the columns of a problem into a folder; return name and type of each, in their order.

    Raises Reported where a column holds what is neither number nor text.
    """
    described, numbers, texts = [], bytearray(), list[str]()
    for name, column in problem.columns.items():
        kind = _kind(name, column)
        described.append({"name": name, "type": kind})
        if kind == "text":
            texts += map(_written, column.tolist())
        else:
            numbers += np.ascontiguousarray(column, dtype="<f8").tobytes()
    (folder / NUMBERS).write_bytes(numbers)
    if texts:
        (folder / TEXTS).write_bytes("\n".join([*texts, ""]).encode())
    return described


def _kind(name: str, column: Array) -> str:
    """Return how a column is sent: "double", "integer", "logical" or "text"."""
    match column.dtype.kind:
        case "b":
            return "logical"
        case "i" | "u":
            largest = max(abs(int(column.min())), abs(int(column.max()))) if column.size else 0
            return "integer" if largest <= EXACT else "text"
        case "f" if column.dtype.itemsize <= 8:
            return "double"
        case "U" | "M" | "m":
            return "text"
        case "O":
            values = column.tolist()
            if all(value is None or isinstance(value, str | float) for value in values):
                words = any(isinstance(value, str) for value in values)
                return "text" if words or not values else "double"
    raise Reported(f"column '{name}' of type {column.dtype} cannot be sent to another process")


def _written(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    text = str(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    if "\0" in text:
        raise Reported("a text with a zero character cannot be sent to another process")
    return text


def question(
    name: str, problem: Problem, folder: Path, seed: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the request to fit a problem, and write its data into the folder that it names."""
    if problem.held_out is not None and any(t.estimand.of_units for t in problem.targets):
        raise Reported("units drawn beside the rows are not sent to another process")
    columns = write_data(problem, folder)
    first = next(iter(problem.columns.values()), np.empty(0))
    roles = {k: v for k, v in asdict(problem.roles).items() if v not in ("", (), {})}
    return {
        "request": "fit", "estimator": name, "folder": str(folder),
        "rows": len(first), "columns": columns, "roles": roles,
        "targets": [_words(target) for target in problem.targets],
        "level": problem.level, "seed": seed, "options": dict(options),
    }  # fmt: skip


def _words(target: Target) -> dict[str, Any]:
    """Write a target; what only some questions have is left out where this has none."""
    rest = {name: value for name, value in target._asdict().items() if value is not None}
    return {"estimand": str(target.estimand), "horizon": target.horizon} | rest


def generators(rng: np.random.Generator, folder: Path) -> dict[str, str]:
    """Return what makes a stream again in another Python, and write the global states to a file.

    With both a method that draws random numbers gives there, bit for bit, what it gives here. Of a
    stream that is none of an address nothing is returned: it begins from the request's seed.
    """
    seeds: Any = rng.bit_generator.seed_seq
    if not isinstance(rng.bit_generator, np.random.PCG64) or not isinstance(seeds.entropy, int):
        return {}
    version, own, _ = random.getstate()
    legacy: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - what libraries draw from
    key, place = legacy["state"]["key"], legacy["state"]["pos"]
    numbers = np.concatenate([[version, *own, place], key]).astype("<u4")
    (folder / STATES).write_bytes(numbers.tobytes())
    return {"entropy": str(seeds.entropy)}


def line_of(message: Mapping[str, Any]) -> bytes:
    """Return a message as the line that is sent."""
    return (json.dumps(message, ensure_ascii=True, separators=(",", ":")) + "\n").encode()


def message_of(line: bytes) -> dict[str, Any]:
    """Return the message that a marked line holds; raises Nonsense where it holds none."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"wrote an answer that is no JSON: {_excerpt(line)}") from error
    if not isinstance(content, dict):
        raise Nonsense(f"wrote an answer that is no JSON object: {_excerpt(line)}")
    return content


def _excerpt(line: bytes) -> str:
    text = line[:80].decode(errors="replace")
    return repr(text if len(line) <= 80 else f"{text}...")


def answer_of(message: Mapping[str, Any], targets: Sequence[Target]) -> Any:
    """Return the estimates of targets, or the diagnosis, that a message brings.

    What it answers beyond what was asked is left out, and what it does not answer is missing, as of
    a method here.

    Raises Declined or Reported with the words of the other side, Nonsense where it brings none of
    these.
    """
    _warn(message.get("warnings") or ())
    if "declined" in message:
        raise Declined(str(message["declined"])[:READ_LENGTH])
    if "failed" in message:
        raise Reported(str(message["failed"])[:READ_LENGTH] or "failed without a reason")
    if isinstance(diagnosis := message.get("diagnosis"), dict):
        if not isinstance(passed := diagnosis.get("passed"), bool):
            raise Nonsense(f"gave a diagnosis whose passed is {passed!r:.40}, not true or false")
        return Diagnosis(
            passed,
            _number("p_value", diagnosis.get("p_value")),
            _number("statistic", diagnosis.get("statistic")),
        )
    estimates = message.get("estimates")
    if not isinstance(estimates, list):
        raise Nonsense("gave neither estimates, nor a diagnosis, nor a reason")
    answers: dict[Target, Estimate] = {}
    for content in estimates:
        target, estimate = _estimate(content, targets)
        if target in answers:
            raise Nonsense(f"gave two answers for {target}")
        answers[target] = estimate
    return {target: estimate for target, estimate in answers.items() if target in targets}


def _estimate(content: object, targets: Sequence[Target]) -> tuple[Target, Estimate]:
    if not isinstance(content, dict):
        raise Nonsense(f"gave an estimate that is no JSON object: {content!r:.80}")
    known = {*NUMERIC, *Target._fields, "outside", "draws"}
    if strange := sorted(set(content) - known):
        raise Nonsense(f"gave an estimate with '{strange[0]}', which is no part of one")
    numbers = {name: _number(name, content.get(name)) for name in NUMERIC}
    draws = content.get("draws")
    if draws is not None:
        if not isinstance(draws, list):
            raise Nonsense("gave posterior draws that are no list of numbers")
        draws = np.array([_number("draws", each) for each in draws], dtype=float)
    outside = content.get("outside")
    estimate = Estimate(outside=bool(outside), draws=draws, **numbers)  # type: ignore[arg-type]
    return _target(content, targets), estimate


def _target(content: Mapping[str, Any], targets: Sequence[Target]) -> Target:
    """Return which target an estimate is for: the only one where it does not say."""
    estimand, horizon = content.get("estimand"), content.get("horizon")
    if len(targets) == 1 and not any(content.get(name) is not None for name in Target._fields):
        return targets[0]
    if estimand is None and horizon is not None and len({t.estimand for t in targets}) == 1:
        estimand = str(targets[0].estimand)
    if not isinstance(estimand, str) or not is_estimand(estimand):
        raise Nonsense(f"gave an answer for {estimand!r:.40}, which is no estimand")
    if not (horizon is None or (isinstance(horizon, int) and not isinstance(horizon, bool))):
        raise Nonsense(f"gave an answer for {estimand} at horizon {horizon!r:.40}")
    contrast = content.get("contrast")
    if contrast is not None and not (
        isinstance(contrast, list) and len(contrast) == 2
        and all(isinstance(arm, int | float | str) for arm in contrast)
    ):  # fmt: skip
        raise Nonsense(f"gave an answer for {estimand} with the contrast {contrast!r:.40}")
    for name in ("group", "label"):
        if not isinstance(content.get(name), str | None):
            raise Nonsense(f"gave an answer for {estimand} with the {name} {content[name]!r:.40}")
    arms = (contrast[0], contrast[1]) if contrast else None
    return Target(Estimand(estimand), horizon, content.get("group"), arms, content.get("label"))


def _number(name: str, value: object) -> float | None:
    """Return a number of an answer; what JSON lacks is written as a word."""
    if value is None:
        return None
    if isinstance(value, str) and value in WORDS:
        return WORDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        kinds = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
        raise Nonsense(f"gave {kinds.get(type(value), 'something')} for {name}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise Nonsense(f"gave {name}, a whole number that is no double") from None


def _warn(lines: object) -> None:
    """Warn as the other side did: "NameWarning: text" is a warning of that name."""
    if not isinstance(lines, list):
        return
    for line in lines[:1000]:
        name, _, text = str(line)[:READ_LENGTH].partition(": ")
        if not (text and name.isidentifier() and name.endswith("Warning")):
            name, text = "ExternalWarning", str(line)[:READ_LENGTH]
        category: type[Warning] = type(name, (UserWarning,), {})
        warnings.warn(text, category, stacklevel=2)


class Hello(NamedTuple):
    """Hold what a process says of itself: language, its version, its estimators.

    `complete` says whether it has no others: one that could not read a file says why in each fit.
    """

    language: str
    version: str
    estimators: tuple[str, ...] = ()
    complete: bool = True


def hello_of(message: Mapping[str, Any], command: str) -> Hello:
    """Return the hello that a message brings; raises BadInput where it is none.

    >>> from cibench.external.wire import hello_of
    >>> hello_of({"hello": {"protocol": 1, "language": "R", "version": "4.2.2"}}, "Rscript ols.R")
    Hello(language='R', version='4.2.2', estimators=(), complete=True)
    """
    hello = message.get("hello")
    if not isinstance(hello, dict):
        raise BadInput(f"{command}: began with something else than a hello")
    if hello.get("protocol") != PROTOCOL:
        spoken = hello.get("protocol")
        raise BadInput(f"{command}: speaks protocol {spoken!r:.20}, not {PROTOCOL}")
    language, version = hello.get("language"), hello.get("version")
    names = hello.get("estimators") or []
    listed = isinstance(names, list) and all(map(is_plain, names))
    if not (listed and is_plain(language) and is_plain(version) and language and version):
        raise BadInput(f"{command}: its hello does not say its language, version and estimators")
    complete = hello.get("complete") is not False
    return Hello(str(language)[:100], str(version)[:100], tuple(names), complete)
