"""From declarations to an expectation: a method is valid in a cell, must fail, or neither."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from cibench.assumptions import alternatives, fails
from cibench.expectations.entries import Names, Said, off_default, parsed
from cibench.expectations.verdicts import Expected


class Expectation(NamedTuple):
    """Hold what is expected, in words because of what, and which assumptions are broken."""

    expected: Expected
    because: str
    broken: tuple[str, ...] = ()


def expectation(names: Names, catalogue: Mapping[str, Any], said: Said) -> Expectation:
    """Derive what is expected of one row from what method, scenario and suite declare.

    Valid: nothing that the method assumes is broken, by the design or by a dial. Fails: the suite
    says so of a setting no farther from the default, or of the default. Else nothing: between the
    default and that setting no verdict is given, nor where several dials break what the method
    assumes, as two biases may cancel.
    """
    method = (catalogue.get("estimators") or {}).get(names["estimator"])
    scenario = (catalogue.get("scenarios") or {}).get(names["scenario"])
    if not method or not scenario:
        return Expectation(Expected.NOTHING, "the catalogue does not hold it")
    if other := _other_question(names, method):
        return Expectation(Expected.OTHER_QUESTION, other)
    dials = scenario.get("dials") or {}
    moved = off_default(parsed(names["dials"]), dials)
    if unknown := moved.keys() - dials.keys():
        return Expectation(Expected.NOTHING, f"the catalogue does not hold {min(unknown)}")
    by_design = {*(scenario.get("violates") or ()), *said.violates}
    broken = broken_assumptions(method, by_design | {dials[d]["breaks"] for d in moved})
    if not broken:
        return Expectation(Expected.VALID, "nothing that it assumes is broken")
    at_work = {d: s for d, s in moved.items() if _touches(dials[d]["breaks"], broken)}
    return Expectation(*_broken(at_work, dials, broken, said), tuple(broken))


def broken_assumptions(method: Mapping[str, Any], broken: Collection[str]) -> list[str]:
    """Return which of a method's assumptions fail where the named ones are broken."""
    return [a for a in method.get("assumes") or () if fails(a, broken)]


def relies(method: Mapping[str, Any], breaks: str, by_design: Collection[str]) -> bool:
    """Say whether a dial that breaks `breaks` breaks one of the method's assumptions."""
    return _touches(breaks, broken_assumptions(method, {*by_design, breaks}))


def _touches(breaks: str, assumptions: Sequence[str]) -> bool:
    return any(breaks in alternatives(a) for a in assumptions)


def _other_question(names: Names, method: Mapping[str, Any]) -> str:
    """Say what a method answers instead of the row's estimand, "" where it is the right one."""
    horizon = names.get("horizon")
    overall = horizon is None or horizon != horizon or str(horizon) == "<NA>"  # noqa: PLR0124
    own = list(method.get("targets" if overall else "horizons") or ())
    if names.get("estimand") in own:
        return ""
    asked = f"{names.get('estimand')}{'' if overall else ' per horizon'}"
    return f"it answers {', '.join(own) or 'no such thing'}, not {asked}"


def _broken(
    at_work: Mapping[str, float], dials: Mapping[str, Any], broken: Sequence[str], said: Said
) -> tuple[Expected, str]:
    """Return what is expected of a method with a broken assumption, and because of what."""
    what, declared = _are_broken(broken), said.fails or {}
    if len(at_work) > 1:
        return Expected.NOTHING, f"{what} by several dials, which may cancel"
    if not at_work:
        still = any(spec["default"] in declared.get(name, ()) for name, spec in dials.items())
        if said.at_default or still:
            return Expected.FAILS, f"{what} by the design"
        return Expected.NOTHING, f"{what} by the design; no failure declared"
    [(dial, setting)] = at_work.items()
    default, breaks = dials[dial]["default"], dials[dial]["breaks"]
    what = _are_broken([a for a in broken if breaks in alternatives(a)])
    here = f"{what} by {dial} = {setting:g}"
    given = declared.get(dial, ())
    from_on = [s for s in given if reaches(setting, s, default)]
    if from_on:
        return Expected.FAILS, f"{here}, declared to fail from {from_on[0]:g} on"
    towards = [s for s in given if (s > default) == (setting > default)]
    milder = f"milder than the declared {towards[0]:g}" if towards else "no failure declared"
    return Expected.NOTHING, f"{here}; {milder}"


def _are_broken(assumptions: Sequence[str]) -> str:
    named = " and ".join(f"“{name}”" for name in assumptions)
    return f"{named} {'is' if len(assumptions) == 1 else 'are'} broken"


def reaches(setting: float, declared: float, default: float) -> bool:
    """Say whether a setting is as far from the default as the declared one, on its side."""
    if declared == default:
        return True
    return setting >= declared if declared > default else setting <= declared
