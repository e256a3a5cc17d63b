"""What a suite's plug-ins are held to before its first replicate: cheap, and beyond doubt.

A plug-in that contradicts itself makes every number of a run wrong, so the run is refused. What is
merely slow, or raises, is told and runs: its rows say the rest. A scenario is looked at as the
suite asks for it, at its settings and numbers of units until `seconds` are over, an estimator on
three data sets of the first cell that it is in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from platform import python_version
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from cibench.contracts.common import (
    ContractError,
    assumed_assumptions,
    label,
    named_assumptions,
    require,
    slips,
)
from cibench.contracts.estimator_fits import on_scale_of, require_coherence, undeclared
from cibench.contracts.pooled_truth import SIGMAS, Question, pool
from cibench.contracts.scenario_draws import require_outcome, require_shapes, require_units
from cibench.contracts.scenario_functionals import logarithms, recomputing, require_possible
from cibench.model import registry
from cibench.model.design import (
    Scenario,
    configure,
    dials,
    find_scenario,
    truths,
    with_points,
)
from cibench.model.estimands import Estimand
from cibench.model.method import GIVES, Estimator, find_estimator
from cibench.model.streams import stream, unchanged_random_states
from cibench.model.types import Array, Draw, Estimate, Problem, Target, Truth
from cibench.storage import provenance
from cibench.storage.source_digests import source_digest
from cibench.suite.suite import Suite
from cibench.utils.errors import one_line_of
from cibench.utils.files import canonical
from cibench.workers.fit import Fitted, fit

TRIALS = 3
"""Data sets on each of which an answer must contradict itself before its estimator is refused."""

DRAWS, MORE = 24, 96
"""Draws that raise a suspicion against a truth, and others that have to confirm it."""

SUSPICIOUS = 2.0
"""Errors between a truth and the mean of the first draws; others have to show more of them."""

GROSS = 0.02
"""A share of the truth, or of the effects' spread, that a truth may be off without refusal."""


KINDS: tuple[registry.Kind, ...] = ("scenario", "estimator")


class Case(NamedTuple):
    """Name a cell as a process elsewhere finds it, and the options of the estimator looked at."""

    scenario: str
    fields: str
    n: int
    options: str = "{}"


class Subject(NamedTuple):
    """Name a plug-in, where the suite has it and at which level; `digest` is None without a file.

    The digest is that of all that the checks rest on: sources, libraries, where they look.
    """

    kind: registry.Kind
    name: str
    cases: tuple[Case, ...]
    level: float
    digest: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Finding(NamedTuple):
    """Say what became of the checks: `broken` contracts, why there are none, and a warning."""

    broken: str = ""
    unchecked: str = ""
    warning: str = ""


def subjects(suite: Suite, kinds: Sequence[registry.Kind] = KINDS) -> list[Subject]:
    """Return the plug-ins of a suite, of some kinds: what did not come with cibench.

    Of collections, whose data sets are looked at when they are read, those that name assumptions.
    """
    places: dict[tuple[registry.Kind, str], dict[Case, None]] = {}
    for cell in suite.cells:
        key, name = cell.key, cell.scenario.name
        fields = canonical(json.loads(key["parameters"]) | json.loads(key["dials"]))
        places.setdefault(("scenario", name), {})[Case(name, fields, cell.n)] = None
        for estimator, options in cell.entrants:
            case = Case(name, fields, cell.n, options)
            places.setdefault(("estimator", estimator), {})[case] = None
    chosen = []
    for (kind, name), cases in places.items():
        names = kind == "scenario" and _is_data(name) and _broken_by(find_scenario(name))
        if kind in kinds and (names or not _is_ours(kind, name)):
            several = tuple(cases) if kind == "scenario" else _one_a_scenario(cases)
            digest = _digest(kind, name, several, suite.level)
            chosen.append(Subject(kind, name, several, suite.level, digest))
    return chosen


def _one_a_scenario(cases: Iterable[Case]) -> tuple[Case, ...]:
    firsts: dict[str, Case] = {}
    for case in cases:
        firsts.setdefault(case.scenario, case)
    return tuple(firsts.values())


def _is_ours(kind: registry.Kind, name: str) -> bool:
    """Say whether it came with cibench, or was made by it as a twin is."""
    module: str | None = registry.entry(kind, name).module  # None of code that has no module
    return (module or "").startswith("cibench.")


def _is_data(scenario: str) -> bool:
    """Say whether a scenario is a collection, of which no code draws."""
    entry = registry.entry("scenario", scenario)
    return entry.digest is not None and _is_ours("scenario", scenario)


def _digest(kind: registry.Kind, name: str, cases: Sequence[Case], level: float) -> str | None:
    scenarios = [registry.entry("scenario", name) for name in {c.scenario: None for c in cases}]
    entries = [registry.entry(kind, name), *scenarios]
    sources = [source_digest(entry) for entry in entries]
    if None in sources:
        return None
    uses = [*entries[0].value.uses, *(u for entry in entries[1:] for u in entry.value.uses)]
    libraries = [python_version(), provenance.versions(uses)]
    content = [libraries, sources, [list(case) for case in cases], level]
    return blake2b(canonical(content).encode(), digest_size=16).hexdigest()


def look_at(subject: Subject, seconds: float) -> Finding:
    """Check a plug-in here; whatever it raises is no breach of its contract but told."""
    check = _scenario if subject.kind == "scenario" else _estimator
    try:
        with unchanged_random_states(), threadpool_limits(1):
            return check(subject, perf_counter() + seconds)
    except ContractError as breach:
        return Finding(broken=str(breach))
    except Exception as error:  # a stranger's code may raise anything; the run will tell
        return Finding(unchecked=one_line_of(error, _code(subject)))


def _code(subject: Subject) -> object:
    value = registry.entry(subject.kind, subject.name).value
    return value.draw if subject.kind == "scenario" else value.fit


def _configured(case: Case) -> Scenario:
    return configure(find_scenario(case.scenario), json.loads(case.fields))


def _draws(scenario: Scenario, n: int, first: int, end: float = np.inf) -> Iterator[Draw]:
    """Yield draws from addresses of their own until the time is over."""
    replicate = first
    while perf_counter() < end:
        draw = scenario.draw(n, stream("preflight", scenario.name, n, replicate))
        yield with_points(scenario, draw, "preflight points", scenario.name, replicate)
        replicate += 1


def _scenario(subject: Subject, end: float) -> Finding:
    """Hold a scenario's draws to rows, roles, consistency and truth."""
    misnamed = _misnamed(find_scenario(subject.name))
    if _is_data(subject.name):
        return Finding(warning=misnamed)
    warning = ""
    for case in subject.cases:
        scenario = _configured(case)
        draw, other = (next(_draws(scenario, case.n, k)) for k in (0, 1))
        _require_columns(scenario, draw)
        require_shapes(scenario, draw)
        require_units(scenario, draw, case.n)
        if scenario.assigned_roles().outcome in draw.columns:
            require_outcome(scenario, draw)
        warning = warning or _sameness(scenario, draw, other)
        for target, truth in _declared(scenario).items():
            _require_truth(scenario, case.n, target, truth, end)
        if perf_counter() > end:
            break
    return Finding(warning="; ".join(filter(None, [warning, misnamed])))


def _require_columns(scenario: Scenario, draw: object) -> None:
    where = label(scenario)
    require(isinstance(draw, Draw), where, f"draw() returned a {type(draw).__name__}, not a Draw")
    assert isinstance(draw, Draw)
    for column in scenario.assigned_roles().columns:
        require(column in draw.columns, where, f"a role names column '{column}', never drawn")


def _declared(scenario: Scenario) -> dict[Target, Truth]:
    """Return the truths of the population targets, each of them there and finite."""
    declared, where = truths(scenario), label(scenario)
    for target in scenario.targets():
        if not target.estimand.of_sample:
            require(
                target in declared, where, f"no truth is given for {target}, one of its targets"
            )
    for target, truth in declared.items():
        require_possible(target, truth, where)
    return {target: truth for target, truth in declared.items() if target in scenario.targets()}


def _require_truth(scenario: Scenario, n: int, target: Target, truth: Truth, end: float) -> None:
    """Demand that the truth is the mean of the drawn effects, beyond doubt.

    Effects that are all alike must be the truth. Of others, a mean that lies suspiciously far away
    has to lie 4.5 errors away in 96 draws of their own; a limit at a cutoff is left to the
    contracts proper. What is no plain mean of effects is recomputed by its functional.
    """
    pilots = [draw for draw, _ in zip(_draws(scenario, n, 0), range(3), strict=False)]
    if not target.estimand.averages or any(d.rows_of(target)[1] is not None for d in pilots):
        _require_functional(scenario, n, target, recomputing(target, truth, pilots), end)
        return
    effects = np.concatenate([draw.averaged(target) for draw in pilots])
    if not effects.size or not np.isfinite(effects).all():
        return
    spread, scale = float(np.std(effects)), max(abs(truth.value), float(np.abs(effects).max()))
    unmarked = all(draw.target is None for draw in pilots)
    if np.ptp(effects) <= 1e-9 * scale:
        away = abs(truth.value - float(effects[0]))
        excused = target.estimand is Estimand.LATE_AT_CUTOFF and unmarked
        right = excused or away <= 1e-6 * scale + SIGMAS * truth.mcse
        complaint = f"truth() says {truth.value:.6g} for {target}, but every effect drawn is "
        require(right, label(scenario), f"{complaint}{effects[0]:.6g}")
    elif not target.estimand.at_cutoff:
        _require_mean(scenario, n, target, truth, spread, end)


def _require_mean(
    scenario: Scenario, n: int, target: Target, truth: Truth, spread: float, end: float
) -> None:
    slack = GROSS * max(abs(truth.value), spread) + SIGMAS * truth.mcse
    for first, wanted, sigmas in ((0, DRAWS, SUSPICIOUS), (DRAWS, MORE, SIGMAS)):
        sums = []
        for draw, _ in zip(_draws(scenario, n, first, end), range(wanted), strict=False):
            effects = draw.averaged(target)
            sums.append([[effects.sum(), effects.size]])
        if len(sums) < wanted:
            return  # time is over: nothing is beyond doubt
        (value,), (se,) = pool(np.array(sums, dtype=float))
        if not abs(value - truth.value) > max(sigmas * se, slack):
            return
    complaint = f"truth() says {truth.value:.6g} for {target}, but the average effect drawn is "
    require(False, label(scenario), f"{complaint}{value:.6g} +- {se:.2g} (standard error)")


def _require_functional(
    scenario: Scenario, n: int, target: Target, question: Question, end: float
) -> None:
    slack = GROSS * max(abs(question.truth.value), question.spread)
    for first, wanted in ((0, DRAWS), (DRAWS, MORE)):
        draws = zip(_draws(scenario, n, first, end), range(wanted), strict=False)
        parts = [question.gauge(draw) for draw, _ in draws]
        if len(parts) < wanted:
            return  # time is over: nothing is beyond doubt
        [reading] = question.read(parts)
        away = abs(reading.value - question.truth.value)
        if not (question.wrong(reading) and away > slack):
            return
    complaint = (
        f"truth() says {question.truth.value:.6g} for {target}, but {reading.what} is "
        f"{reading.value:.6g} +- {reading.reach:.2g}"
    )
    require(False, label(scenario), complaint + logarithms(target))


def _sameness(scenario: Scenario, draw: Draw, other: Draw) -> str:
    """Say where two draws hold the same rows, in whatever order and but for rounding."""
    names = scenario.assigned_roles().columns
    if np.array_equal(_ordered(draw, names), _ordered(other, names)):
        rows = "two draws hold the same rows, in another order or rounded"
        return f"equal data sets: {label(scenario)}: {rows}"
    return ""


def _ordered(draw: Draw, names: Sequence[str]) -> Array:
    """Return the rows of the numeric columns to five digits, in an order of their own."""
    columns = [np.asarray(draw.columns[name], dtype=float) for name in names]
    with np.errstate(all="ignore"):
        scales = [10.0 ** (4 - np.ceil(np.log10(np.abs(c).max(initial=1e-300)))) for c in columns]
    rows = np.column_stack([np.round(c * s) for c, s in zip(columns, scales, strict=True)])
    return rows[np.lexsort(rows.T[::-1])]


def _estimator(subject: Subject, end: float) -> Finding:
    """Hold an estimator's answers to themselves, and to what it says at the same address."""
    (case,), method = subject.cases[:1], find_estimator(subject.name)
    scenario, trials = _configured(case), list[Fitted]()
    for replicate in range(TRIALS):
        trials.append(_fitted(method, scenario, case, subject.level, replicate))
        if perf_counter() > end:
            break
    answered = [t for t in trials if any(answer.status == "ok" for answer in t.answers)]
    if not answered:
        first = trials[0].answers[0]
        return Finding(unchecked=f"gave no answer on trial: {first.reason}")
    again = _fitted(method, scenario, case, subject.level, trials.index(answered[0]))
    same = _bits(again) == _bits(answered[0])
    where = f"{label(method)} on {case.scenario}"
    require(same, where, "answers differ when fitted twice from one address; use rng for all "
            "randomness")  # fmt: skip
    if method.kind == "estimate" and len(trials) == TRIALS:
        breaches = [_breach(trial, subject.level, where) for trial in answered]
        if all(breaches):
            raise ContractError(breaches[0])
    warnings = filter(None, [_slip(method, subject.cases), *_undeclared(method, answered)])
    return Finding(warning="; ".join(warnings))


def _slip(method: Estimator, cases: Iterable[Case]) -> str:
    """Say where an assumption is nearly what a scenario breaks: nothing breaks it as it stands."""
    for case in cases:
        broken = _broken_by(find_scenario(case.scenario))
        for own, other in slips(named_assumptions(method), broken, set()):
            text = f"assumes '{own}', but {case.scenario} breaks '{other}': one spelling, please"
            return f"{label(method)} {text}"
    return ""


def _broken_by(scenario: type[Scenario]) -> set[str]:
    """Return the assumptions that its dials or its defaults break."""
    return {d.breaks for d in dials(scenario).values() if d.breaks} | {*scenario.violates}


def _misnamed(scenario: type[Scenario]) -> str:
    """Say which assumption that it breaks is of no estimator, and nearly one of a built-in one.

    Those of the suite are compared with its scenarios by themselves.
    """
    ours = {
        name for entry in registry.entries("estimator").values() if entry.built_in
        for name in named_assumptions(entry.value)
    }  # fmt: skip
    for name in sorted(_broken_by(scenario) - assumed_assumptions()):
        for own, other in slips([name], ours, set()):
            return (
                f"scenario {scenario.name} breaks '{own}', which no estimator assumes; "
                f"did you mean '{other}'?"
            )
    return ""


def _undeclared(method: Estimator, trials: Sequence[Fitted]) -> Iterator[str]:
    """Name the parts that all answers hold although they are not declared."""
    fine = [a for trial in trials for a in trial.answers if a.status == "ok"]
    answers = [a.numbers for a in fine if a.target and "effects" not in method.parts_of(a.target)]
    columns = {"value": "estimate", "se": "std_error", "limits": "ci_low"}
    for part in GIVES if answers else ():
        there = all(numbers[columns[part]] is not None for numbers in answers)
        if there and (text := undeclared(part, part in method.gives, there)):
            yield f"{label(method)} {text}"


def _fitted(
    method: Estimator, scenario: Scenario, case: Case, level: float, replicate: int
) -> Fitted:
    draw = next(_draws(scenario, case.n, replicate))
    targets = method.questions(scenario)
    problem = Problem.of(draw, scenario.assigned_roles(), targets, level, scenario.cost)
    if method.oracle:
        problem = replace(problem, draw=draw.copy())
    address = ("preflight", "fit", scenario.name, case.n, replicate, method.name)
    return fit(method, problem, json.loads(case.options), address)


def _bits(trial: Fitted) -> list[object]:
    return [
        (a.status, {name: repr(np.asarray(v).tolist()) for name, v in a.numbers.items()})
        for a in trial.answers
    ]


NAMES = {
    "value": "estimate", "se": "std_error", "low": "ci_low", "high": "ci_high", "df": "df",
    "outside": "outside", "band_low": "band_low", "band_high": "band_high", "p_value": "p_value",
    "draws": "draws",
}  # fmt: skip
"""The parts of an answer that are held to each other, and their columns."""


def _breach(trial: Fitted, level: float, where: str) -> str:
    """Return what is wrong with the first answer of a trial that contradicts itself, else ""."""
    for answer in trial.answers:
        if answer.status == "ok":
            parts: Mapping[str, Any] = {part: answer.numbers[c] for part, c in NAMES.items()}
            try:
                estimate = Estimate(**parts)
                if answer.target is not None:
                    estimate = on_scale_of(answer.target, estimate)
                require_coherence(estimate, level, f"{where}, {answer.target}")
            except ContractError as breach:
                return str(breach)
    return ""
