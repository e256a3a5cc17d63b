"""Estimands: what a scenario has a truth for, in words, with the value that means "no effect".

An estimand is its name, as rows have it; what else there is to know of it stands in a table of
definitions that anybody can add to. Its functional says what it is of the potential outcomes of
the rows that it averages over, so that contracts can recompute every truth from a large draw.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cibench.model.functionals import (
    lift,
    log_hazard_ratio,
    mean_difference,
    mean_ratio,
    mean_under_treatment,
    odds_ratio,
    quantile_difference,
    restricted_mean_difference,
    restricted_mean_ratio,
)
from cibench.utils.errors import unknown

Array = NDArray[Any]

Functional = Callable[..., float]
"""Of outcomes with treatment, outcomes without, the rows' weights (None: all alike) and whatever
parameters the estimand has, each array of one value a row."""

Scale = Literal["", "log"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_MEMBER = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,39})\(([-+.,e0-9 ]+)\)")


@dataclass(frozen=True)
class Definition:
    """Hold what there is to know of an estimand beside its name.

    `null` is the value that means "no effect", None where no value does. On the scale "log" errors
    are those of logarithms, and standard errors are asked for there. `parameters` are the names of
    what a member of a family takes, a quantile's q say.
    """

    words: str
    unit: str = "units of the outcome"
    null: float | None = 0.0
    scale: Scale = ""
    functional: Functional | None = None
    parameters: tuple[str, ...] = ()
    of_sample: bool = False
    at_cutoff: bool = False
    of_units: bool = False

    def __post_init__(self) -> None:
        if self.scale not in ("", "log"):
            raise ValueError(f"the scale of errors is '' or 'log', not {self.scale!r}")
        if self.scale == "log" and self.null is not None and not self.null > 0:
            raise ValueError(f"{self.null:g} has no logarithm, so it is no value of no effect")

    @cached_property
    def scoring(self) -> str | None:
        """Return the name of the scale that rows have, on which no effect is zero."""
        logarithmic = self.scale == "log"
        usual = self.null in (None, 1.0 if logarithmic else 0.0)
        beginning = "" if usual else f"from {self.null:.15g}"
        return " ".join(filter(None, [self.scale, beginning])) or None


_DEFINITIONS: dict[str, Definition] = {}
_INTERNED: dict[str, Estimand] = {}


class Estimand(str):
    """Name the quantity a scenario has a truth for and an estimator aims at.

    Raises ValueError, with a near miss, where nobody has defined one of that name. A family takes
    parameters: `Estimand.QTE(0.9)` is the effect on the 0.9-quantile, `Estimand("QTE(0.9)")` too.

    >>> from cibench import Estimand
    >>> Estimand.SATE.of_sample, Estimand("ATT") == Estimand.ATT
    (True, True)
    >>> Estimand.RISK_RATIO.null, Estimand.RISK_RATIO.scale, str(Estimand.QTE(0.9))
    (1.0, 'log', 'QTE(0.9)')

    `ANY` is no estimand: an estimator that targets it answers whatever it is asked.
    """

    __slots__ = ()

    ATE: ClassVar[Estimand]
    ATT: ClassVar[Estimand]
    ATU: ClassVar[Estimand]
    ATO: ClassVar[Estimand]
    CATE: ClassVar[Estimand]
    LATE: ClassVar[Estimand]
    ATE_AT_CUTOFF: ClassVar[Estimand]
    LATE_AT_CUTOFF: ClassVar[Estimand]
    COEFFICIENT: ClassVar[Estimand]
    MEAN: ClassVar[Estimand]
    SATE: ClassVar[Estimand]
    SATT: ClassVar[Estimand]
    LIFT: ClassVar[Estimand]
    RISK_DIFFERENCE: ClassVar[Estimand]
    RISK_RATIO: ClassVar[Estimand]
    ODDS_RATIO: ClassVar[Estimand]
    CONDITIONAL_ODDS_RATIO: ClassVar[Estimand]
    QTE: ClassVar[Estimand]
    RMST_DIFFERENCE: ClassVar[Estimand]
    RMST_RATIO: ClassVar[Estimand]
    LOG_HAZARD_RATIO: ClassVar[Estimand]
    DOSE_RESPONSE: ClassVar[Estimand]
    SLOPE: ClassVar[Estimand]
    ANY: ClassVar[Estimand]

    def __new__(cls, name: str) -> Estimand:
        """Return the one object of this name."""
        if isinstance(name, Estimand):
            return name
        member = _MEMBER.fullmatch(str(name))
        if member and member[1] in _DEFINITIONS:
            try:
                parameters = [float(part) for part in member[2].split(",")]
            except ValueError:
                raise ValueError(f"{name!r} has parameters that are no numbers") from None
            return _interned(member[1])(*parameters)
        if name not in _DEFINITIONS:
            raise ValueError(unknown("estimand", str(name), cls.known()))
        return _interned(name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the name: who defines it in the other process may do so afterwards."""
        return _interned, (str(self),)

    def __str__(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"Estimand({str(self)!r})"

    def __call__(self, *parameters: float) -> Estimand:
        """Return the member of a family with these parameters; raises ValueError for other ones."""
        wanted = self.definition.parameters
        if not wanted:
            raise ValueError(f"{self} takes no parameters")
        if "(" in self or len(parameters) != len(wanted):
            raise ValueError(f"{self} takes {', '.join(wanted)}: {len(parameters)} are given")
        if not all(np.isfinite(parameters)):
            raise ValueError(f"{self} takes finite numbers")
        return _interned(f"{self}({','.join(f'{p:.15g}' for p in parameters)})")

    @classmethod
    def define(
        cls, name: str, words: str, *, unit: str = "units of the outcome",
        null: float | None = 0.0, scale: Scale = "", functional: Functional | None = None,
        parameters: tuple[str, ...] = (), of_sample: bool = False, of_units: bool = False,
    ) -> Estimand:  # fmt: skip
        """Define an estimand and return it; the same definition twice is one.

        `words` say what it is, `unit` in what it is measured, `null` which value means "no effect"
        (None where none does). With `scale="log"` it is scored on the logarithm: estimates, truths
        and limits are given as they are, standard errors as those of the logarithm. `functional`
        takes outcomes with treatment, outcomes without, weights (None where all rows count alike)
        and the values of `parameters`. With `of_sample` each draw has a truth of its own, with
        `of_units` each unit, and a row has their mean for a truth.

        Raises ValueError where the name is no name or is defined otherwise already.

        >>> import numpy as np
        >>> from cibench import Estimand
        >>> def medians(treated, untreated, weights):
        ...     return np.median(treated) / np.median(untreated)
        >>> ratio = Estimand.define(
        ...     "RATIO_OF_MEDIANS", "the median with treatment over that without", unit="ratio",
        ...     null=1.0, scale="log", functional=medians,
        ... )
        >>> ratio.value_of(np.array([2.0, 4, 6]), np.array([1.0, 2, 3]))
        2.0
        """
        new = Definition(
            words, unit, null, scale, functional, parameters, of_sample or of_units,
            of_units=of_units,
        )  # fmt: skip
        return _define(name, new)

    @classmethod
    def known(cls) -> tuple[Estimand, ...]:
        """Return all that are defined in this process, families without their parameters."""
        return tuple(map(_interned, _DEFINITIONS))

    @property
    def name(self) -> str:
        """Return the name that rows have."""
        return str(self)

    @property
    def family(self) -> Estimand:
        """Return the family that it is a member of, itself where it is of none."""
        name, parameters, _ = self.partition("(")
        return _interned(name) if parameters else self

    @property
    def definition(self) -> Definition:
        """Return what there is to know of it; raises ValueError where nobody has defined it."""
        name = self.partition("(")[0]
        if name not in _DEFINITIONS:
            raise ValueError(unknown("estimand", name, Estimand.known()))
        return _DEFINITIONS[name]

    @property
    def arguments(self) -> tuple[float, ...]:
        """Return the values of a member's parameters."""
        _, _, inside = self.partition("(")
        return tuple(float(part) for part in inside.rstrip(")").split(",")) if inside else ()

    @property
    def words(self) -> str:
        """Return what it is, in words, with the values of its parameters."""
        values = zip(self.definition.parameters, self.arguments, strict=False)
        text = self.definition.words
        for name, value in values:
            text = text.replace(f"{{{name}}}", f"{value:g}")
        return text

    @property
    def unit(self) -> str:
        """Return in what it is measured."""
        return self.definition.unit

    @property
    def null(self) -> float | None:
        """Return the value that means "no effect", None where none does."""
        return self.definition.null

    @property
    def scale(self) -> Scale:
        """Return the scale of its errors, "" where they are in its own unit."""
        return self.definition.scale

    @property
    def scoring(self) -> str | None:
        """Return the name of the scale that rows have: "log", "from 1", None for the unit itself.

        None, too, of what nobody has defined in this process.
        """
        known = _DEFINITIONS.get(self.partition("(")[0])
        return None if known is None else known.scoring

    @property
    def logarithmic(self) -> bool:
        """Say whether its errors are those of logarithms."""
        return (self.scoring or "").startswith("log")

    @property
    def of_sample(self) -> bool:
        """Say whether the truth is that of the drawn units, new in each replicate."""
        return self.definition.of_sample

    @property
    def of_units(self) -> bool:
        """Say whether an answer has an effect for each of several units."""
        return self.definition.of_units

    @property
    def at_cutoff(self) -> bool:
        """Say whether the truth is a limit at the cutoff and not an average over units."""
        return self.definition.at_cutoff

    @property
    def averages(self) -> bool:
        """Say whether it is a mean of single effects."""
        return self.definition.functional is mean_difference

    def value_of(self, treated: Array, untreated: Array, weights: Array | None = None) -> float:
        """Return its value for rows with these outcomes with treatment and without.

        Raises ValueError where it has no functional.

        >>> import numpy as np
        >>> from cibench import Estimand
        >>> Estimand.RISK_RATIO.value_of(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))
        2.0
        """
        functional = self.definition.functional
        if functional is None:
            raise ValueError(f"{self} is no functional of potential outcomes")
        return float(functional(treated, untreated, weights, *self.arguments))


def _interned(name: str) -> Estimand:
    """Return the one object of a name, so that estimands can be compared by `is`."""
    name = str(name)
    if name not in _INTERNED:
        _INTERNED[name] = str.__new__(Estimand, name)
    return _INTERNED[name]


def named(text: str) -> Estimand:
    """Return the estimand that a stored text names, be it defined in this process or not.

    Raises ValueError where the text is no such name.
    """
    if not is_name(text):
        raise ValueError(f"{text!r} is no name of an estimand")
    return _interned(text)


def is_name(text: str) -> bool:
    """Say whether a text can be the name of an estimand, be it defined or not."""
    return bool(_NAME.fullmatch(text) or _MEMBER.fullmatch(text))


def is_estimand(name: object) -> bool:
    """Say whether it names an estimand that is defined here."""
    try:
        Estimand(name)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _define(name: str, new: Definition) -> Estimand:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: letters, digits and '_', a letter first")
    before = _DEFINITIONS.get(name)
    if before is not None and not _alike(before, new):
        raise ValueError(f"estimand '{name}' is defined already, as {before.words}")
    _DEFINITIONS[name] = new
    return _interned(name)


def _alike(first: Definition, other: Definition) -> bool:
    """Say whether two definitions are one: a module that is read again makes new functions."""
    return (_home(first.functional), *_plain(first)) == (_home(other.functional), *_plain(other))


def _plain(definition: Definition) -> tuple[object, ...]:
    names = (f.name for f in fields(definition) if f.name != "functional")
    return tuple(getattr(definition, name) for name in names)


def _home(functional: Functional | None) -> tuple[str, str]:
    return getattr(functional, "__module__", ""), getattr(functional, "__qualname__", "")


BUILT_IN = {
    "ATE": Definition("the mean effect on all units", functional=mean_difference),
    "ATT": Definition("the mean effect on the treated", functional=mean_difference),
    "LATE": Definition(
        "the mean effect on those whom the instrument moves", functional=mean_difference
    ),
    "ATE_AT_CUTOFF": Definition(
        "the mean effect on units at the cutoff", functional=mean_difference, at_cutoff=True
    ),
    "LATE_AT_CUTOFF": Definition(
        "the mean effect on those at the cutoff whom it moves", functional=mean_difference,
        at_cutoff=True,
    ),
    "COEFFICIENT": Definition(
        "the change of the outcome that one more unit of treatment causes",
        functional=mean_difference,
    ),
    "MEAN": Definition(
        "the mean outcome, had none been missing", null=None, functional=mean_difference
    ),
    "SATE": Definition(
        "the mean effect on the units at hand", functional=mean_difference, of_sample=True
    ),
    "SATT": Definition(
        "the mean effect on the treated units at hand", functional=mean_difference, of_sample=True
    ),
    "ATU": Definition("the mean effect on the untreated", functional=mean_difference),
    "ATO": Definition(
        "the mean effect on units weighted by their overlap, e(1 - e)", functional=mean_difference
    ),
    "CATE": Definition(
        "the mean effect on units alike in all covariates, unit by unit",
        functional=mean_difference, of_sample=True, of_units=True,
    ),
    "RISK_DIFFERENCE": Definition(
        "the risk with treatment less that without", "share", functional=mean_difference
    ),
    "RISK_RATIO": Definition(
        "the risk with treatment over that without", "ratio", 1.0, "log", mean_ratio
    ),
    "ODDS_RATIO": Definition(
        "the odds of the mean risk with treatment over those without", "ratio", 1.0, "log",
        odds_ratio,
    ),
    "CONDITIONAL_ODDS_RATIO": Definition(
        "the odds with treatment over those without among units alike in all covariates", "ratio",
        1.0, "log",
    ),
    "LIFT": Definition(
        "by how much treatment raises the mean outcome, of what it would have been", "per cent",
        functional=lift,
    ),
    "QTE": Definition(
        "the {q}-quantile with treatment less that without", functional=quantile_difference,
        parameters=("q",),
    ),
    "RMST_DIFFERENCE": Definition(
        "the mean time up to {tau} with treatment less that without", "units of time",
        functional=restricted_mean_difference, parameters=("tau",),
    ),
    "RMST_RATIO": Definition(
        "the mean time up to {tau} with treatment over that without", "ratio", 1.0, "log",
        restricted_mean_ratio, ("tau",),
    ),
    "LOG_HAZARD_RATIO": Definition(
        "the logarithm of the hazard with treatment over that without", "log of a ratio",
        functional=log_hazard_ratio,
    ),
    "DOSE_RESPONSE": Definition(
        "the mean outcome had everybody the dose {dose}", null=None,
        functional=mean_under_treatment, parameters=("dose",),
    ),
    "SLOPE": Definition(
        "the mean change of the outcome per unit of dose, at each unit's own dose",
        functional=mean_difference,
    ),
}  # fmt: skip

for _name, _definition in BUILT_IN.items():
    setattr(Estimand, _name, _define(_name, _definition))
Estimand.ANY = _interned("ANY")
