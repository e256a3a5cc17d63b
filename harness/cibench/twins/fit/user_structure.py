"""What the user says of the structure: formulas, bounds and identities, in a TOML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cibench.twins.formula import Formula
from cibench.utils.errors import BadInput
from cibench.utils.toml import Table, open_table, refuse

KEYS = ("outcome", "effect", "treatment", "instrument", "bounds", "derived")


@dataclass(frozen=True)
class UserStructure:
    """Hold what the user says of the structure: formulas, the outcome's bounds, more identities."""

    outcome: str = ""
    effect: str = ""
    treatment: str = ""
    instrument: str = ""
    bounds: tuple[float, float] | None = None
    derived: Mapping[str, str] = field(default_factory=dict)

    def coded(self, levels: Mapping[str, Sequence[str]]) -> UserStructure:
        """Return the same with codes for the levels of categories, as `Formula.coded` does."""
        return replace(
            self, outcome=_coded(self.outcome, levels), effect=_coded(self.effect, levels),
            treatment=_coded(self.treatment, levels), instrument=_coded(self.instrument, levels),
            derived={key: _coded(text, levels) for key, text in self.derived.items()},
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> UserStructure:
        """Read a structure file; raises BadInput with a line for each mistake: file, line, key."""
        table = open_table(path)
        table.check_keys(KEYS)
        derived = table.table("derived")
        texts = {key: _formula(table, key) for key in KEYS[:4]}
        identities = {key: _formula(derived, key) for key in derived.content}
        bounds = table.take("bounds", list, None, _are_two_numbers, "a list of two numbers")
        refuse(table)
        pair = (float(bounds[0]), float(bounds[1])) if bounds else None
        return cls(**texts, bounds=pair, derived=identities)


def _formula(table: Table, key: str) -> str:
    """Return a formula that can be read, "" where none is given."""
    text = str(table.take(key, str, "", bool, "a formula"))
    try:
        _ = Formula(text).names if text else ()
    except BadInput as error:
        table.fault(key, error)
    return text


def _coded(text: str, levels: Mapping[str, Sequence[str]]) -> str:
    return Formula(text).coded(levels).text if text else ""


def _are_two_numbers(values: list[object]) -> bool:
    return len(values) == 2 and all(isinstance(value, int | float) for value in values)
