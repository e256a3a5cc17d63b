"""Is the twin sound that a bundle is drawn from? Its audit, and intervals of the bundle's size."""

from __future__ import annotations

from functools import lru_cache

from cibench.twins.audit.audit import audit_twin
from cibench.twins.audit.interval_worth import UNSOUND, worth
from cibench.twins.twin import Twin

REASONS = 5
"""So many reasons are printed, the worst first; `twin audit` has them all."""

BROKEN = "broken   ", "off      "


@lru_cache(maxsize=16)
def audit_failures(twin: Twin, rows: int) -> tuple[str, ...]:
    """Return why the audit of a twin fails, nothing where it passes.

    The audit is that of 20,000 rows; whether intervals cover the planted effect is asked of data
    sets of `rows` rows (or the seed's, if those are more), which is what is given away; not where
    the outcome has a link, for each trial's effect would have to be solved for anew.
    """
    failures = [line for line in audit_twin(twin).lines if line.startswith(BROKEN)]
    linked = twin.outcome.link is not None
    intervals = None if linked else worth(twin, rows=max(rows, int(twin.seed["rows"])))
    if intervals and not intervals.sound:
        failures.append(UNSOUND)
    return tuple(line.split(maxsplit=1)[1] for line in failures)
