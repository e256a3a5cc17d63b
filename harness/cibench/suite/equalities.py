"""What a suite states to be equal: methods that agree by theory or by name, and how closely.

equal = [["linearmodels/2sls", "linearmodels/liml"]]
equal = [{ methods = ["aipw/linear", "statsmodels/ols"], within = 0.1, why = "randomised" }]

It stands in a [[cells]] table, for its cells with the options that it gives, or at the top, for all
cells in which two of the methods meet. A method is an estimator or a diagnostic, by name or by
glob; each is compared with each. `of` says which of their numbers (a name or a list): the estimate
where nothing is said, of diagnostics the p-value. `within` is how far they may lie apart, in
standard errors (p-values as they are, statistics relative to their size); what is not said is
exact, rounding aside. `why` gives a reason in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from cibench.suite.expectations import Entry, fits, parsed
from cibench.utils.toml import several

KEY = "equal"
KEYS = ("methods", "of", "within", "why")
EXACT = 1e-6
"""The distance that still counts as none where nothing else is said, in standard errors."""

GIVEN_BY = {"estimate": ("value",), "std_error": ("se",), "limits": ("limits",),
            "bands": ("limits",), "p_value": (), "statistic": ()}  # fmt: skip
INSIDE = "inside"
QUANTITIES = (*GIVEN_BY, INSIDE)
"""The numbers that can be compared; `inside`: each one's estimate with the other's limits."""

OF_DIAGNOSTICS = ("p_value", "statistic")


@dataclass(frozen=True)
class Equality:
    """Hold one statement and where it stands: `entry` is the [[cells]] table, None at the top."""

    methods: tuple[str, ...]
    entry: Entry | None = None
    of: tuple[str, ...] = ()
    within: float = EXACT
    why: str = ""

    def quantities(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
        """Return what is compared of two methods, as the catalogue describes them.

        A glob may bring in one that gives less than is asked for: that is left out.
        """
        kinds = {first.get("kind", "estimate"), second.get("kind", "estimate")}
        if len(kinds) > 1:
            return []
        standard = "p_value" if kinds == {"diagnostic"} else "estimate"
        return [of for of in self.of or (standard,) if gives(first, second, of)]

    def holds(self, names: Mapping[str, Any], catalogue: Mapping[str, Any]) -> bool:
        """Say whether it is about a method of a row, with the row's options."""
        estimator = str(names["estimator"])
        if not fits(estimator, self.methods):
            return False
        if self.entry is None:
            return True
        about = (catalogue.get("scenarios") or {}).get(names["scenario"]) or {}
        if not self.entry.holds(names, about):
            return False
        own = (self.entry.content.get("options") or {}).get(estimator) or {}
        known = (catalogue.get("estimators") or {}).get(estimator) or {}
        return parsed(names["options"]) == {**(known.get("options") or {}), **own}


def gives(first: Mapping[str, Any], second: Mapping[str, Any], of: str) -> bool:
    """Say whether two methods, as the catalogue describes them, both give a number."""
    if "diagnostic" in {first.get("kind"), second.get("kind")}:
        return of in OF_DIAGNOSTICS
    a, b = (set(about.get("gives") or ()) for about in (first, second))
    if of == INSIDE:
        return ("value" in a and "limits" in b) or ("value" in b and "limits" in a)
    return {*GIVEN_BY[of]} <= a & b


def equalities(spec: Mapping[str, Any]) -> Iterator[Equality]:
    """Yield what a suite's content states, which was checked when it ran."""
    tables = enumerate(spec.get("cells") or (), 1)
    places = [(spec, None), *((content, Entry(number, content)) for number, content in tables)]
    for content, entry in places:
        for statement in as_list(content.get(KEY) or ()):
            yield _equality(statement, entry)


def as_list(stated: Any) -> list[Any]:
    """Return the statements as a list: one table or one list of names is one statement."""
    if isinstance(stated, Mapping):
        return [stated]
    plain = bool(stated) and all(isinstance(name, str) for name in stated)
    return [stated] if plain else list(stated)


def _equality(statement: Any, entry: Entry | None) -> Equality:
    if not isinstance(statement, Mapping):
        return Equality(tuple(statement), entry)
    return Equality(
        tuple(several(statement["methods"])), entry, tuple(several(statement.get("of") or ())),
        float(statement.get("within", EXACT)), str(statement.get("why") or ""),
    )  # fmt: skip


def pairs_of(patterns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return which names and globs must meet: each two of them, a glob alone with itself."""
    return list(combinations(patterns, 2)) or [(patterns[0], patterns[0])]
