"""Audit a twin, or anybody's rows, against the seed's summaries and the planted truth.

Deterministic rules allow no violation. Statistical checks use up a fixed margin first; what is left
of a discrepancy is divided by its standard error: that of the seed's summary, from resampling the
seed, or that of an oracle's estimate. The gate opens where none exceeds its critical value, at 1 %
for all checks at once. Always 20,000 rows are audited: neither size nor luck decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.twins.audit.rules import Rule, coded, rules_of
from cibench.twins.audit.structure_checks import Discrepancy, design_checks
from cibench.twins.audit.summaries import unit_table
from cibench.twins.audit.summary_definitions import Definition
from cibench.twins.columns import Columns, mask
from cibench.twins.cross_section import shift_of
from cibench.twins.panel import SINCE
from cibench.twins.sample import draw_rows
from cibench.twins.scenario import default_effect
from cibench.twins.twin import Effect, Twin, planted
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20_000
ERROR = 0.005
"""Half of the 1 % is for what the design demands, the other half for likeness to the seed."""

MARGINS = {"margin": 0.03, "dependence": 0.05, "density": 0.2}
"""How far shares, correlations and the log ratio of densities may be off before anything counts."""


@dataclass(frozen=True)
class Check:
    """Hold a statistical check: its discrepancy, margin, standard error and critical value."""

    kind: str
    name: str
    discrepancy: float
    margin: float
    se: float
    critical: float

    @property
    def size(self) -> float:
        """Return what is beyond the margin, in standard errors; infinite where nobody can say."""
        beyond = max(abs(self.discrepancy) - self.margin, 0.0)
        return beyond / self.se if np.isfinite(self.discrepancy) else np.inf

    @property
    def passed(self) -> bool:
        """Say whether it is within the critical value."""
        return self.size <= self.critical


@dataclass(frozen=True, eq=False)
class Audit:
    """Hold an audit's rules and checks, and the audited columns for the plots."""

    rules: list[Rule]
    checks: list[Check]
    columns: Columns
    effect: Effect
    what: str

    @property
    def passed(self) -> bool:
        """Say whether the gate opens."""
        return not any(r.violations for r in self.rules) and all(c.passed for c in self.checks)

    @property
    def lines(self) -> Iterator[str]:
        """Yield the verdict and what broke, the worst of each kind first."""
        for rule in self.rules:
            if rule.violations:
                share = 100 * rule.violations / rule.rows
                yield f"broken   {rule.name}: {rule.violations} of {rule.rows} rows ({share:.3g} %)"
        for check in sorted(self.checks, key=lambda c: -c.size):
            if not check.passed:
                yield (
                    f"off      {check.kind}, {check.name}: {check.discrepancy:.4g} "
                    f"({check.size:.1f} standard errors beyond {check.margin:.3g})"
                )
        count = f"{len(self.rules)} rules, {len(self.checks)} checks"
        yield f"{'passed' if self.passed else 'failed'}: {self.what}, {count}"


def audit_twin(twin: Twin, data: Path | None = None) -> Audit:
    """Audit 20,000 rows of a twin, or the rows of a CSV file with the same columns.

    Raises BadInput where the file lacks columns. See `fit_twin` for the whole way.
    """
    if data is not None:
        return _of_file(twin, data)
    effect = default_effect(twin)
    rows = draw_rows(twin, ROWS, effect, 0)
    return audit_columns(twin, rows.columns, effect, f"{twin.name}, {twin.family}")


def audit_columns(twin: Twin, columns: Columns, effect: Effect, what: str = "rows") -> Audit:
    """Audit complete columns of numbers, indicators of missing values among them."""
    rules = rules_of(twin, mask(columns, twin.known))
    if any(r.violations == r.rows and r.name.startswith("every unit") for r in rules):
        return Audit(rules, [], columns, effect, what)
    felt = felt_in(twin, columns, effect)
    discrepancies = design_checks(twin, columns, felt)
    if twin.panel is None and not twin.outcome.unbounded:
        discrepancies = _less_own(twin, discrepancies, effect)
    critical = NormalDist().inv_cdf(1 - ERROR / (2 * len(discrepancies)))
    checks = [Check(f.kind, f.name, f.discrepancy, f.margin, f.se, critical) for f in discrepancies]
    return Audit(rules, [*checks, *_likeness(twin, columns, felt)], columns, effect, what)


def _less_own(
    twin: Twin, discrepancies: list[Discrepancy], effect: Effect
) -> list[Discrepancy]:  # fmt: skip
    """Return discrepancies less those of other rows of the twin's own, with both errors.

    Where bounds hold an effect back, what the checks look at is not zero in sound rows either.
    """
    columns = draw_rows(twin, ROWS, effect, OTHER).columns
    own = design_checks(twin, columns, felt_in(twin, columns, effect))
    return [
        mine._replace(
            discrepancy=mine.discrepancy - other.discrepancy, se=float(np.hypot(mine.se, other.se))
        )
        for mine, other in zip(discrepancies, own, strict=True)
    ]


OTHER = 1
"""The address of the rows that audited ones are held against where the outcome has bounds."""


def felt_in(twin: Twin, columns: Columns, effect: Effect) -> Array:
    """Return what the treatment adds to each row's outcome, or to its normal score if linked."""
    d, outcome = columns[twin.treatment], twin.outcome
    if outcome.link is not None and not isinstance(effect, str):
        return shift_of(twin, effect) * d
    if outcome.link is not None:
        y = columns[twin.design.outcome]
        return outcome.scores(y) - outcome.scores(
            y - planted(effect, columns, twin.known, len(d)) * d
        )
    if twin.panel is None:
        return planted(effect, columns, twin.known, len(d)) * d
    periods = len(twin.panel.times)
    wide = d.reshape(-1, periods)
    first = np.where(wide.any(axis=1), np.argmax(wide, axis=1), 0)
    since = (np.arange(periods) - first[:, None]).ravel()
    return planted(effect, {**columns, SINCE: since}, twin.known, len(d), d == 1) * d


def _likeness(twin: Twin, columns: Columns, felt: Array) -> list[Check]:
    summaries = twin.summaries
    definition = Definition.load(summaries["definition"])
    table = mask(unit_table(twin, columns, felt), twin.known)
    value = definition.statistics(definition.moments(table).mean(axis=0))
    rows = zip(definition.names, value - summaries["value"], summaries["se"], strict=True)
    return [
        Check(kind, name, float(gap), MARGINS[kind], float(se), float(summaries["critical"]))
        for (kind, name), gap, se in rows
    ]


def gaps_of(twin: Twin, name: str) -> list[str]:
    """Return the cells that stood for a missing value in a column of the seed."""
    gaps = twin.seed.get("gaps", {})
    return [*gaps.get("", ()), *gaps.get(name, ())]


def _as_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column as numbers, or as codes of its texts."""
    import pandas as pd

    try:
        return pd.to_numeric(series)
    except (ValueError, TypeError):
        return pd.Series(pd.factorize(series, sort=True)[0], index=series.index)


def _of_file(twin: Twin, data: Path) -> Audit:
    from cibench.utils.foreign import read_table

    frame = read_table(data, as_texts=True)
    wanted = [*(c.name for c in twin.known), twin.treatment, twin.design.unit, twin.design.time]
    missing = [n for n in dict.fromkeys(wanted) if n and n not in frame]
    if missing:
        raise BadInput(f"{data}: there is no column '{missing[0]}'")
    rng = stream("twin-audit", twin.digest)
    if twin.panel is not None:
        keys = frame[[twin.design.unit, twin.design.time]].apply(_as_numbers)
        frame = frame.iloc[np.lexsort((keys.iloc[:, 1], keys.iloc[:, 0]))]
    elif len(frame) > ROWS:
        frame = frame.iloc[np.sort(rng.permutation(len(frame))[:ROWS])]
    gaps = {n: set(gaps_of(twin, n)) for n in dict.fromkeys(wanted) if n}
    table = {
        n: np.array([None if v in gaps[n] else v for v in frame[n].tolist()], dtype=object)
        if gaps[n] else frame[n].to_numpy()
        for n in gaps
    }  # fmt: skip
    if twin.design.unit:
        table[twin.design.unit] = _as_numbers(frame[twin.design.unit]).to_numpy()
    try:
        columns = coded(twin, table, rng)
    except ValueError as error:
        raise BadInput(f"{data}: {error}") from error
    if twin.treatment in columns and np.isnan(columns[twin.treatment]).any():
        raise BadInput(f"{data}: column '{twin.treatment}' has missing values")
    return audit_columns(twin, columns, default_effect(twin), str(data))
