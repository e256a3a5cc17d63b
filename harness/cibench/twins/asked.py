"""What is asked of a twin's data: its estimands, and in a panel its horizons."""

from __future__ import annotations

import numpy as np

from cibench.model import Array, Estimand, Target
from cibench.twins.twin import Panel, Twin


def estimands_of(twin: Twin) -> tuple[Estimand, ...]:
    """Return the estimands of a twin's design."""
    design = twin.design
    if design.kind == "rd":
        return (Estimand.LATE_AT_CUTOFF if design.fuzzy else Estimand.ATE_AT_CUTOFF,)
    if design.kind == "iv":
        both = all(twin.mechanisms[m].binary for m in ("treatment", "instrument"))
        return (Estimand.LATE if both else Estimand.COEFFICIENT,)
    return (Estimand.ATT,) if design.kind == "did" else (Estimand.ATE, Estimand.ATT)


def targets_of(twin: Twin) -> tuple[Target, ...]:
    """Return the targets: estimands, in a panel also as many periods on as all cohorts reach."""
    plain = tuple(Target(e) for e in estimands_of(twin))
    if twin.panel is None:
        return plain
    end = last_period(twin.panel)
    reached = [int(np.sum(_within(twin.panel.times, g, end))) for g in twin.panel.cohorts if g > 0]
    return (*plain, *(Target(Estimand.ATT, k) for k in range(min(r for r in reached if r))))


def _within(times: Array, first: float, end: float) -> Array:
    return np.asarray((times >= first) & (times < end))


def last_period(panel: Panel) -> float:
    """Return the period from which on nobody is untreated any more, infinity where some stay so."""
    return np.inf if np.any(panel.cohorts == 0) else float(panel.cohorts.max())
