"""Designs: which columns of the seed data play which part, and what that demands of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from cibench.utils.errors import BadInput, unknown

DESIGNS = ("rd", "did", "observables", "iv")
Side = Literal["above", "below"]
WANTED = {
    "rd": ("running", "cutoff"),
    "did": ("unit", "time"),
    "observables": ("treatment", "covariates"),
    "iv": ("treatment", "instrument"),
}
ALLOWED = {
    "rd": {"running", "cutoff", "side", "treatment", "covariates", "fuzzy"},
    "did": {"unit", "time", "treatment", "cohort", "covariates"},
    "observables": {"treatment", "covariates"},
    "iv": {"treatment", "instrument", "covariates"},
}


def _is_set(part: object) -> bool:
    return part is not None and part is not False and part not in ("", ())


@dataclass(frozen=True)
class Design:
    """Name the columns' parts: a design, its outcome, and what that kind of design needs.

    In an RD who is on `side` of the cutoff is treated: 1[x >= cutoff] above, 1[x < cutoff] below.
    `covariates` of None stands for all columns that are left.
    """

    kind: str
    outcome: str
    treatment: str = ""
    running: str = ""
    cutoff: float | None = None
    side: Side = "above"
    fuzzy: bool = False
    instrument: str = ""
    unit: str = ""
    time: str = ""
    cohort: str = ""
    covariates: tuple[str, ...] | None = None

    def check(self) -> None:
        """Raise BadInput where a part is missing or belongs to another design."""
        if self.kind not in DESIGNS:
            raise BadInput(f"--design: {unknown('design', self.kind, DESIGNS)}")
        for part in WANTED[self.kind]:
            if part != "covariates" and not _is_set(getattr(self, part)):
                raise BadInput(f"--{part} is missing: a design of kind {self.kind} needs it")
        if self.kind == "did" and not (self.treatment or self.cohort):
            raise BadInput("--treatment or --cohort is missing: a did design needs one of them")
        if self.fuzzy and not self.treatment:
            raise BadInput("--fuzzy: name the column of who took the treatment with --treatment")
        self._check_strangers()

    def _check_strangers(self) -> None:
        own = ALLOWED[self.kind] | {"kind", "outcome"}
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name not in own and _is_set(value) and value != part.default:
                raise BadInput(f"--{part.name}: a design of kind {self.kind} has no such part")
        parts = [n for n in self.columns if n]
        twice = [n for n in parts if parts.count(n) > 1]
        if twice:
            raise BadInput(f"column '{twice[0]}' is given two parts in the design")

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that have a part, covariates last."""
        parts = (
            self.outcome, self.treatment, self.running, self.instrument, self.unit, self.time,
            self.cohort,
        )  # fmt: skip
        return (*(p for p in parts if p), *(self.covariates or ()))

    @property
    def design_columns(self) -> tuple[str, ...]:
        """Return the columns that are not covariates."""
        return self.columns[: len(self.columns) - len(self.covariates or ())]

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Design:
        """Return the design that a file kept."""
        covariates = state["covariates"]
        return cls(**{**state, "covariates": None if covariates is None else tuple(covariates)})
