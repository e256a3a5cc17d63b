"""Estimands: what a scenario has a truth for, in words, with the value that means "no effect".

An estimand is its name, as rows have it; what else there is to know of it stands in a table of
definitions that anybody can add to. Its functional says what it is of the potential outcomes of
the rows that it averages over, so that contracts can recompute every truth from a large draw.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

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

    def __post_init__(self) -> None:
        if self.scale not in ("", "log"):
            raise ValueError(f"the scale of errors is '' or 'log', not {self.scale!r}")
        if self.scale == "log" and self.null is not None and not self.null > 0:
            raise ValueError(f"{self.null:g} has no logarithm, so it is no value of no effect")


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
        parameters: tuple[str, ...] = (), of_sample: bool = False,
    ) -> Estimand:  # fmt: skip
        """Define an estimand and return it; the same definition twice is one.

        `words` say what it is, `unit` in what it is measured, `null` which value means "no effect"
        (None where none does). With `scale="log"` it is scored on the logarithm: estimates, truths
        and limits are given as they are, standard errors as those of the logarithm. `functional`
        takes outcomes with treatment, outcomes without, weights (None where all rows count alike)
        and the values of `parameters`. With `of_sample` each draw has a truth of its own.

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
        new = Definition(words, unit, null, scale, functional, parameters, of_sample)
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

        On it no effect is zero.
        """
        if self.partition("(")[0] not in _DEFINITIONS:
            return None
        null, log = self.null or 0.0, self.scale == "log"
        usual = null == (1.0 if log else 0.0) or self.null is None
        return " ".join(filter(None, [self.scale, "" if usual else f"from {null:.15g}"])) or None

    @property
    def of_sample(self) -> bool:
        """Say whether the truth is that of the drawn units, new in each replicate."""
        return self.definition.of_sample

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
    return tuple(value for name, value in vars(definition).items() if name != "functional")


def _home(functional: Functional | None) -> tuple[str, str]:
    return getattr(functional, "__module__", ""), getattr(functional, "__qualname__", "")


def mean(values: Array, weights: Array | None = None) -> float:
    """Return the mean of values, weighted where there are weights."""
    return float(np.mean(values) if weights is None else np.average(values, weights=weights))


def mean_difference(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the mean of the single effects."""
    return mean(treated - untreated, weights)


def mean_ratio(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the mean with treatment over that without."""
    return mean(treated, weights) / mean(untreated, weights)


def lift(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return by how many per cent the mean with treatment exceeds that without."""
    return 100 * (mean_ratio(treated, untreated, weights) - 1)


def odds_ratio(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the odds of the mean risk with treatment over those without."""
    with_, without = mean(treated, weights), mean(untreated, weights)
    return with_ / (1 - with_) / (without / (1 - without))


def quantile(values: Array, weights: Array | None, q: float) -> float:
    """Return the smallest value that at least a share q of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values)[order]
    shares = np.arange(1, ordered.size + 1) / ordered.size
    if weights is not None:
        cumulated = np.cumsum(np.asarray(weights, dtype=float)[order])
        shares = cumulated / cumulated[-1]
    at = int(np.searchsorted(shares, q * (1 - 1e-12)))
    return float(ordered[min(at, ordered.size - 1)])


def quantile_difference(treated: Array, untreated: Array, weights: Array | None, q: float) -> float:
    """Return the q-quantile with treatment less that without."""
    return quantile(treated, weights, q) - quantile(untreated, weights, q)


def restricted_mean_difference(
    treated: Array, untreated: Array, weights: Array | None, tau: float
) -> float:
    """Return how much longer, up to tau, it takes with treatment until the event, on average."""
    return mean(np.minimum(treated, tau), weights) - mean(np.minimum(untreated, tau), weights)


def restricted_mean_ratio(
    treated: Array, untreated: Array, weights: Array | None, tau: float
) -> float:
    """Return the mean time up to tau with treatment over that without."""
    return mean(np.minimum(treated, tau), weights) / mean(np.minimum(untreated, tau), weights)


def log_hazard_ratio(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the coefficient of Cox's partial likelihood when nobody is censored.

    Every row is there twice, with its time with treatment and its time without; ties as Breslow
    has them. Where hazards are proportional it is the logarithm of their ratio; else it is the
    average that Cox's model settles on without censoring.
    """
    times = np.concatenate([treated, untreated])
    own = np.ones(times.size) if weights is None else np.tile(np.asarray(weights, dtype=float), 2)
    order = np.argsort(-times, kind="stable")
    d = np.repeat([1.0, 0.0], [len(treated), len(untreated)])[order]
    w, ordered = own[order], times[order]
    last = np.searchsorted(-ordered, -ordered, side="right") - 1  # of those that tie with it
    with_, without = np.cumsum(w * d)[last], np.cumsum(w * (1 - d))[last]
    beta = 0.0
    for _ in range(100):
        at_risk = with_ * np.exp(beta)
        share = at_risk / (at_risk + without)
        step = np.sum(w * (d - share)) / np.sum(w * share * (1 - share))
        beta += float(np.clip(step, -2, 2))
        if abs(step) < 1e-12:
            break
    return beta


def mean_under_treatment(
    treated: Array,
    untreated: Array,  # noqa: ARG001 - what every functional takes
    weights: Array | None,
    dose: float,  # noqa: ARG001 - of whose world the outcomes are
) -> float:
    """Return the mean outcome in the world where everybody has the dose."""
    return mean(treated, weights)


def _build() -> None:
    outcome, share = "units of the outcome", "share"
    averages = {
        "ATE": "the mean effect on all units",
        "ATT": "the mean effect on the treated",
        "LATE": "the mean effect on those whom the instrument moves",
        "ATE_AT_CUTOFF": "the mean effect on units at the cutoff",
        "LATE_AT_CUTOFF": "the mean effect on those at the cutoff whom it moves",
        "COEFFICIENT": "the change of the outcome that one more unit of treatment causes",
        "MEAN": "the mean outcome, had none been missing",
        "SATE": "the mean effect on the units at hand",
        "SATT": "the mean effect on the treated units at hand",
        "ATU": "the mean effect on the untreated",
        "ATO": "the mean effect on units weighted by their overlap, e(1 - e)",
    }
    for name, words in averages.items():
        _define(name, Definition(
            words, outcome, 0.0, "", mean_difference, (), name.startswith("SAT"),
            name.endswith("AT_CUTOFF"),
        ))  # fmt: skip
    _define("RISK_DIFFERENCE", Definition(
        "the risk with treatment less that without", share, 0.0, "", mean_difference,
    ))  # fmt: skip
    _define("RISK_RATIO", Definition(
        "the risk with treatment over that without", "ratio", 1.0, "log", mean_ratio,
    ))  # fmt: skip
    _define("ODDS_RATIO", Definition(
        "the odds of the mean risk with treatment over those without", "ratio", 1.0, "log",
        odds_ratio,
    ))  # fmt: skip
    _define("CONDITIONAL_ODDS_RATIO", Definition(
        "the odds with treatment over those without among units alike in all covariates", "ratio",
        1.0, "log",
    ))  # fmt: skip
    _define("LIFT", Definition(
        "by how much treatment raises the mean outcome, of what it would have been", "per cent",
        0.0, "", lift,
    ))  # fmt: skip
    _define("QTE", Definition(
        "the {q}-quantile with treatment less that without", outcome, 0.0, "",
        quantile_difference, ("q",),
    ))  # fmt: skip
    _define("RMST_DIFFERENCE", Definition(
        "the mean time up to {tau} with treatment less that without", "units of time", 0.0, "",
        restricted_mean_difference, ("tau",),
    ))  # fmt: skip
    _define("RMST_RATIO", Definition(
        "the mean time up to {tau} with treatment over that without", "ratio", 1.0, "log",
        restricted_mean_ratio, ("tau",),
    ))  # fmt: skip
    _define("LOG_HAZARD_RATIO", Definition(
        "the logarithm of the hazard with treatment over that without", "log of a ratio", 0.0, "",
        log_hazard_ratio,
    ))  # fmt: skip
    _define("DOSE_RESPONSE", Definition(
        "the mean outcome had everybody the dose {dose}", outcome, None, "",
        mean_under_treatment, ("dose",),
    ))  # fmt: skip
    _define("SLOPE", Definition(
        "the mean change of the outcome per unit of dose, at each unit's own dose", outcome, 0.0,
        "", mean_difference,
    ))  # fmt: skip
    for name in (*_DEFINITIONS, "ANY"):
        setattr(Estimand, name, _interned(name))


_build()
