"""Checks on what an estimator does: valid answers, the same again, and nothing left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import inf, isfinite, isnan, sqrt
from typing import Any

import numpy as np

from cibench.contracts.common import THOUSAND, label, outcome_times, require
from cibench.contracts.trial_fits import Fit, data, first_answered, fit, refit, trials
from cibench.metrics.intervals import contradicts_p_value
from cibench.metrics.scales import onto
from cibench.model.method import Estimator
from cibench.model.types import Declined, Diagnosis, Estimate, Target

NUMBER = (int, float, np.integer, np.floating)
NUMBERS = ("value", "se", "low", "high", "df", "p_value", "statistic", "band_low", "band_high")
LOWER = 0.8
"""The other confidence level, at which limits are closer together."""


def _where(estimator: Estimator, trial: Fit) -> str:
    return f"{label(estimator)} on {trial.scenario.name}"


def check_no_secret_draw(estimator: Estimator) -> None:
    """Demand oracle=True of an estimator that cannot do without `problem.draw`."""
    fits = trials(estimator)
    if estimator.oracle or any(trial.error is None for trial in fits):
        return
    for trial in fits:
        problem, draw = data(estimator, trial.scenario)
        knowing = fit(estimator, trial.scenario, replace(problem, draw=draw))
        complaint = "answers only when it is shown problem.draw; declare oracle=True"
        require(knowing.error is not None, _where(estimator, trial), complaint)


def check_answers(estimator: Estimator) -> None:
    """Demand a valid answer for every target asked, on some data set of each kind it accepts.

    It may decline the data of one kind of scenario, not of all; raising anything else is a fault.
    """
    fits = trials(estimator)
    for trial in fits:
        where = _where(estimator, trial)
        require(trial.error is None or isinstance(trial.error, Declined), where, trial.line)
        if trial.error is None:
            _check_answer(estimator, trial, where)
    declined = [f"{trial.scenario.name}: {trial.error}" for trial in fits if trial.error]
    some = len(declined) < len(fits) or not fits
    require(some, label(estimator), f"declines all data: {'; '.join(declined)[:200]}")


def _check_answer(estimator: Estimator, trial: Fit, where: str) -> None:
    if estimator.kind == "diagnostic":
        _check_diagnosis(trial.answer, where)
        return
    targets = estimator.targets_of(trial.scenario)
    estimates = _estimates(trial, targets)
    for target in targets:
        kind = type(trial.answer).__name__
        require(target in estimates, where, f"gives no Estimate for {target} but a {kind}")
        parts = estimator.parts_of(target)
        _check_estimate(parts, estimates[target], f"{where}, {target}")


def _estimates(trial: Fit, targets: tuple[Target, ...]) -> dict[Target, Estimate]:
    """Return the estimates by target; a single answer stands for the single target asked.

    What is no estimate is left out.
    """
    answer = trial.answer
    if isinstance(answer, Estimate) and len(targets) == 1:
        return {targets[0]: answer}
    if not isinstance(answer, Mapping):
        return {}
    return {t: answer[t] for t in targets if isinstance(answer.get(t), Estimate)}


def _check_diagnosis(answer: object, where: str) -> None:
    require(isinstance(answer, Diagnosis), where, f"gives a {type(answer).__name__}, no Diagnosis")
    assert isinstance(answer, Diagnosis)
    sure = isinstance(answer.passed, bool | np.bool_)
    require(sure, where, f"passed is {answer.passed!r}, not True or False")
    possible = answer.p_value is None or 0 <= answer.p_value <= 1
    require(possible, where, f"p-value is {answer.p_value}")


def _check_estimate(parts: Sequence[str], estimate: Estimate, where: str) -> None:
    for name in NUMBERS:
        number = getattr(estimate, name)
        sound = number is None or (isinstance(number, NUMBER) and not isinstance(number, bool))
        require(sound, where, f"{name} is a {type(number).__name__}, not a number")
    present = {
        "value": estimate.value is not None,
        "se": estimate.se is not None,
        "limits": estimate.low is not None and estimate.high is not None,
        "effects": estimate.effects is not None,
        "weights": estimate.weights is not None,
    }
    for part, there in present.items():
        complaint = undeclared(part, part in parts, there)
        require(not complaint, where, complaint)
    for name, number in (("value", estimate.value), ("se", estimate.se)):
        require(number is None or isfinite(number), where, f"{name} is {number}")
    require(estimate.se is None or estimate.se >= 0, where, f"se is negative: {estimate.se}")
    _check_limits(estimate.low, estimate.high, "limits", where)
    _check_limits(estimate.band_low, estimate.band_high, "band", where)
    impossible = estimate.p_value is not None and (estimate.p_value < 0 or estimate.p_value > 1)
    require(not impossible, where, f"p-value is {estimate.p_value}")


def undeclared(part: str, declared: bool, there: bool) -> str:
    """Say where an answer holds less or more than its estimator declares, else ""."""
    if declared == there:
        return ""
    if declared:
        return f"declares that it gives {part}, but does not"
    return f"gives {part}, but does not declare it"


def _check_limits(low: float | None, high: float | None, name: str, where: str) -> None:
    if low is None or high is None:
        require(low is high, where, f"one of the {name} is missing; an open side is infinite")
        return
    require(not (isnan(low) or isnan(high)), where, f"{name} are {low} and {high}")
    empty = (low, high) == (inf, -inf)
    require(low <= high or empty, where, f"{name} in the wrong order: {low:g} and {high:g}")


def check_coherence(estimator: Estimator) -> None:
    """Demand that the numbers of one answer do not contradict each other.

    Limits hold the value, and have no length where the standard error is 0; a simultaneous band is
    nowhere narrower than they are. A p-value is that of no effect: no larger than a half where zero
    lies outside the limits, and no smaller than a tenth of 1 - level where it lies inside: within
    that a test may differ from the limits, as one by few permutations does. Symmetric limits beside
    degrees of freedom are Student's with these and the standard error, to one part in a hundred;
    beside posterior draws the standard error may be the standard deviation of that t law. An empty
    set holds nothing, and what is within rounding of an edge may lie on either side. Only the data
    of a few small fits are looked at.
    """
    if estimator.kind == "diagnostic":
        return
    for trial in trials(estimator):
        problem, _ = data(estimator, trial.scenario)
        for target, estimate in _estimates(trial, estimator.targets_of(trial.scenario)).items():
            where = f"{_where(estimator, trial)}, {target}"
            require_coherence(on_scale_of(target, estimate), problem.level, where)


def require_coherence(estimate: Estimate, level: float, where: str) -> None:
    """Demand that the parts of one answer do not contradict each other."""
    _check_value_within(estimate, where)
    _check_zero_error(estimate, where)
    _check_df(estimate, level, where)
    _check_p_value(estimate, level, where)
    _check_band(estimate, where)


def on_scale_of(target: Target, estimate: Estimate) -> Estimate:
    """Return an answer on the scale of its estimand's errors, where its standard error is."""
    scale = target.estimand.scoring
    if scale is None:
        return estimate
    put = onto(scale)
    numbers: dict[str, Any] = {
        name: float(put(np.array(number)))
        for name in ("value", "low", "high", "band_low", "band_high")
        if (number := getattr(estimate, name)) is not None
    }
    return replace(estimate, **numbers)


ROUNDING = 1e-6
"""How near an edge, in lengths of the interval, is on neither side."""


HUNDREDTH = 0.01
"""By how much a quantile may be off, relative: what published tables round to."""


def _side(estimate: Estimate, point: float) -> int:
    """Return 1 where the set holds a point, -1 where it does not, 0 at an edge or if undecided."""
    low, high = estimate.low, estimate.high
    if low is None or high is None or low > high:
        return 0
    reach = ROUNDING * (high - low) if isfinite(high - low) else 0.0
    if min(abs(point - low), abs(point - high)) <= reach:
        return 0
    return 1 if (low < point < high) != estimate.outside else -1


def _check_value_within(estimate: Estimate, where: str) -> None:
    if estimate.value is None:
        return
    among = "outside" if estimate.outside else "within"
    complaint = f"its value {estimate.value:g} is not {among} {estimate.low} and {estimate.high}"
    require(_side(estimate, estimate.value) >= 0, where, complaint)


def _check_zero_error(estimate: Estimate, where: str) -> None:
    low, high = estimate.low, estimate.high
    if estimate.se == 0 and low is not None and high is not None and low < high:
        require(False, where, f"its standard error is 0, but its limits are {low:g} and {high:g}")


def _check_df(estimate: Estimate, level: float, where: str) -> None:
    """Hold limits to what standard error and degrees of freedom say of them, where they can be."""
    parts = (estimate.value, estimate.se, estimate.low, estimate.high, estimate.df)
    if any(part is None or isnan(part) for part in parts) or estimate.outside:
        return
    value, se, low, high, df = (float(part) for part in parts if part is not None)
    length = high - low
    if not (se > 0 and df > 0 and 0 < length < inf):
        return
    if abs((low + high) / 2 - value) > ROUNDING * length:
        return  # a logarithm's or a bootstrap's limits are their own
    student = Estimate.wald(0.0, se, level, df if isfinite(df) else None)
    factors = [1.0]
    if estimate.draws is not None and 2 < df < inf:
        factors.append(sqrt((df - 2) / df))
    expected = 2 * float(student.high or 0.0)
    near = any(abs(length / (factor * expected) - 1) <= HUNDREDTH for factor in factors)
    complaint = (
        f"its limits are {length:.6g} apart, but standard error {se:.6g} with {df:g} degrees of "
        f"freedom puts them {expected:.6g} apart"
    )
    require(near, where, complaint)


def _check_p_value(estimate: Estimate, level: float, where: str) -> None:
    p, low, high = estimate.p_value, estimate.low, estimate.high
    if p is None or low is None or high is None or isnan(p):
        return
    answer = (np.array([float(part)]) for part in (p, low, high))
    wrong = contradicts_p_value(*answer, estimate.outside, level=level).value > 0
    holds = "hold" if _side(estimate, 0.0) > 0 else "do not hold"
    complaint = f"p-value {p:.3g} (of no effect), but its limits at {level:g} {holds} zero"
    require(not wrong, where, complaint)


def _check_band(estimate: Estimate, where: str) -> None:
    ends = (estimate.band_low, estimate.low, estimate.high, estimate.band_high)
    if any(end is None or not isfinite(end) for end in ends) or estimate.outside:
        return
    band_low, low, high, band_high = (float(end) for end in ends if end is not None)
    slack = ROUNDING * (high - low)
    wide = band_low <= low + slack and band_high >= high - slack
    complaint = (
        f"the band {band_low:g} to {band_high:g} is narrower than limits {low:g} to {high:g}"
    )
    require(wide, where, complaint)


def check_repeatable(estimator: Estimator) -> None:
    """Demand the same answer from the same data and address, to the bit."""
    trial = first_answered(estimator)
    again, _ = refit(estimator, trial)
    same = again.error is None and _bits(trial.answer) == _bits(again.answer)
    complaint = "answers differ when fitted twice from one address; use rng for all randomness"
    require(same, _where(estimator, trial), complaint)


def _bits(answer: object) -> object:
    if isinstance(answer, Mapping):
        return {target: _bits(one) for target, one in answer.items()}
    if not isinstance(answer, Estimate | Diagnosis):
        return repr(answer)
    parts = [getattr(answer, f.name) for f in fields(answer)]
    return [part if part is None else np.asarray(part).tobytes() for part in parts]


def check_leaves_data(estimator: Estimator) -> None:
    """Demand that columns and frame are after the fit what they were before."""
    trial = first_answered(estimator)
    _, changed = refit(estimator, trial)
    require(changed is None, _where(estimator, trial), str(changed))


def check_leaves_state(estimator: Estimator) -> None:
    """Demand that a fit leaves the interpreter's global state as it finds it.

    A first fit has gone before: what an import moves is the library's affair.
    """
    trial = first_answered(estimator)
    again, _ = refit(estimator, trial)
    require(not again.moved, _where(estimator, trial), f"changes {', '.join(again.moved)}")


def check_level(estimator: Estimator) -> None:
    """Demand limits that are closer at a level of 80 % than at 95 %, where they are finite."""
    trial = first_answered(estimator)
    problem, _ = data(estimator, trial.scenario, trial.replicate)
    lower = fit(estimator, trial.scenario, replace(problem, level=LOWER), trial.replicate)
    where = _where(estimator, trial)
    require(lower.error is None, where, f"answers at a level of 0.95 but not at 0.8: {lower.line}")
    wide, narrow = (_estimates(each, problem.targets) for each in (trial, lower))
    for target in wide.keys() & narrow.keys():
        for limits in (("low", "high"), ("band_low", "band_high")):
            _check_closer(wide[target], narrow[target], limits, f"{where}, {target}")


def _check_closer(wide: Estimate, narrow: Estimate, limits: tuple[str, str], where: str) -> None:
    """Compare two finite lengths; what lies outside two limits grows as they come closer."""
    ends = [getattr(one, name) for one in (wide, narrow) for name in limits]
    if any(end is None or not isfinite(end) for end in ends) or wide.outside is not narrow.outside:
        return
    before, after = ends[1] - ends[0], ends[3] - ends[2]
    closer = after > before if wide.outside else after < before
    complaint = f"{' to '.join(limits)} is {before:.6g} long at a level of 0.95, {after:.6g} at 0.8"
    require(closer or before == after == 0, where, complaint)


def check_unit_of_outcome(estimator: Estimator) -> None:
    """Demand a standard error in the unit of its estimate: no variance, and no number without unit.

    The outcome is measured in thousandths. Where the value grows a thousandfold, the standard error
    may neither grow by the square of that nor stay what it was. What lies between may be a prior's
    doing. A value that does not grow so has a unit of its own, as under a penalty, or is one of an
    outcome with two values, which this makes another: it is not judged.
    """
    if estimator.kind == "diagnostic":
        return
    trial = first_answered(estimator)
    problem, _ = data(estimator, trial.scenario, trial.replicate)
    other = fit(estimator, trial.scenario, outcome_times(problem, THOUSAND), trial.replicate)
    before, after = (_estimates(each, problem.targets) for each in (trial, other))
    for target in before.keys() & after.keys():
        _check_unit(before[target], after[target], f"{_where(estimator, trial)}, {target}")


def _check_unit(before: Estimate, after: Estimate, where: str) -> None:
    """Compare an answer with that to the same question in thousandths."""
    values, errors = (before.value, after.value), (before.se, after.se)
    if any(part is None or not isfinite(part) for part in (*values, *errors)):
        return
    value, moved, se, grown = (float(part) for part in (*values, *errors) if part is not None)
    if abs(moved / THOUSAND - value) > ROUNDING * abs(value):
        return
    start = "its value in thousandths of the outcome's unit is 1000 times as large, its se "
    for power, complaint in ((2, "a million times, as a variance is"), (0, "is what it was")):
        same = se > 0 and abs(grown / THOUSAND**power - se) <= HUNDREDTH * se
        require(not same, where, start + complaint)
