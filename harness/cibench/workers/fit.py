"""Put one question to one estimator, keep what it does to itself, and check whatever comes back."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from cibench.external.wire import Reported
from cibench.model.method import OF_MANY, Estimator
from cibench.model.streams import Part, seed_global_state, stream, untouched
from cibench.model.types import Array, Declined, Diagnosis, Estimate, Problem, Target
from cibench.utils.errors import REASON_LENGTH, file_of, one_line, one_line_at, words
from cibench.utils.shapes import ORDINARY
from cibench.workers.containment import contained
from cibench.workers.sentinel import Sentinel
from cibench.workers.unit_answers import Unusable, read_units, read_weights

NUMBER = (int, float, np.integer, np.floating)

LONGEST_REASON = 2 * REASON_LENGTH
"""Characters that a row's reason has at most: what was said, and the place in the code."""


@dataclass(frozen=True)
class Answer:
    """Hold what one target's row says of the fit: the answer's numbers or why there are none."""

    target: Target | None
    status: str
    reason: str | None
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Fitted:
    """Hold what one fit gave: an answer for each target, its warnings and how long it took.

    `drew` says whether it drew random numbers, where somebody asked.
    """

    answers: list[Answer]
    warnings: str | None
    seconds: float
    drew: bool = False


def fit(
    estimator: Estimator, problem: Problem, options: Mapping[str, Any], address: tuple[Part, ...],
    *, watch: bool = False, sentinel: Sentinel | None = None,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Fitted:  # fmt: skip
    """Run one fit from its address; whatever it raises or returns becomes answers.

    The fit gets its own stream, global random states seeded from the address, numpy's error state
    at its default and no terminal. With `watch` it is noted whether it drew random numbers. What it
    changes of the process is put back, by the sentinel of several fits or one of its own. What
    `around` returns is entered while it runs.
    """
    targets: tuple[Target | None, ...] = problem.targets or (None,)
    rng = stream(*address)
    seed_global_state(address)
    with contained(sentinel) as notes:
        started = perf_counter()
        returned = _returned(estimator, problem, rng, options, around)
        seconds = perf_counter() - started
        answers = [answer_of(estimator, returned, t, targets, problem) for t in targets]
    drew = watch and not untouched(rng, address)
    return Fitted(answers, notes.text, seconds, drew)


def _returned(
    estimator: Estimator, problem: Problem, rng: np.random.Generator, options: Mapping[str, Any],
    around: Callable[[], AbstractContextManager[None]],
) -> object:  # fmt: skip
    try:
        with around():
            return estimator.fit(problem, rng, **options)
    except Declined as why:
        return Unusable("declined", words(why)[:REASON_LENGTH] or "declined without a reason")
    except Reported as why:
        return Unusable("failed", " ".join(words(why).split())[:LONGEST_REASON])
    except BaseException as error:  # SystemExit too: no estimator ends the run
        if is_ctrl_c(error):
            raise
        return Unusable("failed", one_line_at(error, file_of(estimator.fit)))


def is_ctrl_c(error: BaseException) -> bool:
    """Say whether it is the user's wish: a worker ignores the signal, there it is a fit's own."""
    ctrl_c = isinstance(error, KeyboardInterrupt)
    return ctrl_c and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def answer_of(
    estimator: Estimator,
    returned: object,
    target: Target | None,
    targets: tuple[Target | None, ...],
    problem: Problem | None = None,
) -> Answer:
    """Return what the row of a target says of what a fit returned, or of why there is nothing.

    Without the `problem` an answer's numbers of single units and rows are left out.
    """
    try:
        if isinstance(returned, Unusable):
            raise returned
        if target is None:
            return Answer(None, "ok", None, _diagnosis(returned))
        estimate = _pick(returned, target, targets)
        _check_ratio(target, estimate)
        numbers = _numbers(estimator.parts_of(target), estimate)
        if problem is not None:
            numbers |= _many(estimate, target, problem)
        if numbers["estimate"] is None and numbers.get("units") is not None:
            numbers["estimate"] = float(numbers["units"].effects.mean())
        return Answer(target, "ok", None, numbers)
    except Unusable as why:
        return Answer(target, why.status, str(why)[:LONGEST_REASON], {})
    except BaseException as error:  # what it returned is the estimator's code, too
        if is_ctrl_c(error):
            raise
        reason = f"gave an answer that cannot be read: {one_line(error)}"
        return Answer(target, "failed", reason, {})


def _pick(returned: object, target: Target, targets: tuple[Target | None, ...]) -> Estimate:
    """Return the estimate for one target out of a single answer or a mapping."""
    if isinstance(returned, Mapping):
        if target not in returned:
            raise Unusable("failed", f"gave no answer for {target}")
        returned = returned[target]
    elif len(targets) > 1:
        raise Unusable("failed", f"gave one answer where {len(targets)} were asked")
    if not isinstance(returned, Estimate):
        raise Unusable("failed", f"returned {type(returned).__name__}, not an Estimate")
    return returned


def _number(name: str, value: object) -> float | None:
    if value is None or type(value) is float:  # as nearly always
        return value
    if isinstance(value, bool) or not isinstance(value, NUMBER):
        raise Unusable("failed", f"{name} is of type {type(value).__name__}, not a number")
    return float(value)


def _numbers(parts: Sequence[str], estimate: Estimate) -> dict[str, Any]:
    """Return the row's numbers; raises Unusable where one is missing, not finite or impossible."""
    names = ("value", "se", "low", "high", "df", "p_value", "statistic", "band_low", "band_high")
    number = {name: _number(name, getattr(estimate, name)) for name in names}
    for part, needed in {"value": ("value",), "se": ("se",), "limits": ("low", "high")}.items():
        if part in parts and all(number[name] is None for name in needed):
            raise Unusable("failed", f"gave no {part}")
    for part in OF_MANY:
        if part in parts and getattr(estimate, part) is None:
            raise Unusable("failed", f"gave no {part}")
    for name in ("value", "se"):
        if number[name] is not None and not math.isfinite(number[name] or 0.0):
            raise Unusable("nonfinite", f"{name} is {number[name]}")
        if abs(number[name] or 0.0) > ORDINARY:
            raise Unusable("nonfinite", f"{name} is {number[name]:g}, which has no square")
    if (number["se"] or 0.0) < 0:
        raise Unusable("failed", f"negative standard error: {number['se']:g}")
    for low, high in (("low", "high"), ("band_low", "band_high")):
        _check_limits(number[low], number[high])
    if number["p_value"] is not None and not 0 <= number["p_value"] <= 1:
        if not math.isnan(number["p_value"]):
            raise Unusable("failed", f"p-value is {number['p_value']:g}")
        number["p_value"] = None
    return {
        "estimate": number["value"], "std_error": number["se"], "df": number["df"],
        "ci_low": number["low"], "ci_high": number["high"], "outside": bool(estimate.outside),
        "band_low": number["band_low"], "band_high": number["band_high"],
        "p_value": number["p_value"], "statistic": number["statistic"],
        "draws": _posterior(estimate.draws),
    }  # fmt: skip


def _many(estimate: Estimate, target: Target, problem: Problem) -> dict[str, Any]:
    """Return what an answer says of units and rows; nothing of nearly all answers."""
    if estimate.weights is None and estimate.effects is None and not target.estimand.of_units:
        return {}
    return {
        "units": read_units(estimate, target, problem),
        "weights": read_weights(estimate, target, problem),
    }


def _check_ratio(target: Target, estimate: Estimate) -> None:
    """Refuse an estimate that has no logarithm where errors are those of logarithms."""
    value, logarithmic = _number("value", estimate.value), target.estimand.logarithmic
    if value is not None and value <= 0 and logarithmic:
        raise Unusable("nonfinite", f"value is {value:g}, where a ratio is above zero")
    if estimate.draws is not None and logarithmic and not (np.asarray(estimate.draws) > 0).all():
        raise Unusable("nonfinite", "posterior draws are not all above zero, where ratios are")


def _posterior(draws: object) -> Array | None:
    if draws is None:
        return None
    values = np.asarray(draws, dtype=float)
    if values.ndim != 1 or not values.size:
        raise Unusable("failed", f"posterior draws of shape {values.shape}, not a row of numbers")
    if not (np.abs(values) <= ORDINARY).all():
        raise Unusable("nonfinite", "posterior draws are not all finite")
    return values


def _check_limits(low: float | None, high: float | None) -> None:
    if low is None and high is None:
        return
    if low is None or high is None:
        raise Unusable("failed", "gave one limit without the other; an open side is infinite")
    huge = any(math.isfinite(end) and abs(end) > ORDINARY for end in (low, high))
    if math.isnan(low) or math.isnan(high) or huge:
        raise Unusable("nonfinite", f"limits are {low:g} and {high:g}")
    if low > high and not (low == math.inf and high == -math.inf):
        raise Unusable("failed", f"limits in the wrong order: {low:g} and {high:g}")


def _diagnosis(diagnosis: object) -> dict[str, Any]:
    if not isinstance(diagnosis, Diagnosis):
        raise Unusable("failed", f"returned {type(diagnosis).__name__}, not a Diagnosis")
    if not isinstance(diagnosis.passed, bool | np.bool_):
        raise Unusable("failed", f"passed is {diagnosis.passed!r}, not True or False")
    p_value = _number("p_value", diagnosis.p_value)
    if p_value is not None and not 0 <= p_value <= 1:
        raise Unusable("nonfinite" if math.isnan(p_value) else "failed", f"p-value is {p_value:g}")
    statistic = _number("statistic", diagnosis.statistic)
    return {"passed": bool(diagnosis.passed), "p_value": p_value, "statistic": statistic}


def reduce_posterior(draws: Array, truth: float) -> tuple[float, float]:
    """Return the probability integral transform and the CRPS of the truth under posterior draws.

    The CRPS is E|X - truth| - E|X - X'|/2 (Gneiting and Raftery 2007, equation 21). Over m
    draws the second mean is taken over the m (m - 1) pairs of two of them, by sorting: half of
    it is the sum of (2i - m - 1) x_(i) over m (m - 1). With the m^2 pairs, those of a draw with
    itself too, the score would be larger on average than the posterior's, by 1 part in m of
    that half (Ferro 2014, Quarterly Journal of the Royal Meteorological Society 140). Of one
    draw it is the distance.
    """
    x = np.sort(np.asarray(draws, dtype=float))
    ranks = np.arange(1, x.size + 1)
    pit = np.mean(x < truth) + 0.5 * np.mean(x == truth)
    spread = np.sum((2 * ranks - x.size - 1) * x) / (x.size * max(x.size - 1, 1))
    return float(pit), float(np.mean(np.abs(x - truth)) - spread)
