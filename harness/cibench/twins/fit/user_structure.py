"""What the user says of the structure: formulas, bounds and identities, in a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cibench.twins.formula import Formula
from cibench.utils.errors import BadInput
from cibench.utils.toml import Table

KEYS = ("outcome", "effect", "treatment", "instrument", "bounds", "derived")


@dataclass(frozen=True)
class Given:
    """Hold what the user says of the structure: formulas, the outcome's bounds, more identities."""

    outcome: str = ""
    effect: str = ""
    treatment: str = ""
    instrument: str = ""
    bounds: tuple[float, float] | None = None
    derived: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Given:
        """Read a structure file; raises BadInput naming the file and the key."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: not a TOML file: {error}") from error
        table = Table(content, str(path))
        table.check_keys(KEYS)
        texts = {k: table.take(k, str, "", bool, "a formula") for k in KEYS[:4]}
        bounds = table.take("bounds", list, None, lambda v: len(v) == 2, "a list of two numbers")
        derived = table.table("derived").content
        try:
            for text in (*texts.values(), *derived.values()):
                _ = Formula(text).names if text else ()
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
        pair = (float(bounds[0]), float(bounds[1])) if bounds else None
        return cls(**texts, bounds=pair, derived=derived)
