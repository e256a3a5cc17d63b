"""One table of a file that a person wrote, read key by key, with one line for what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cibench.errors import BadInput, unknown


@dataclass(frozen=True)
class Table:
    """Hold one table of the file and where it stands, to read it key by key."""

    content: Mapping[str, Any]
    where: str
    path: str = ""

    def bad(self, key: str, problem: object) -> BadInput:
        """Return the error for one key: file, key, problem."""
        return BadInput(f"{self.where}: {self.path}{key}: {problem}")

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Refuse the first key that is not known."""
        for key in self.content:
            if key not in known:
                raise self.bad(key, unknown("key", key, known))

    def take(
        self, key: str, kind: type | tuple[type, ...], default: Any, valid: Callable[[Any], bool],
        wanted: str,
    ) -> Any:  # fmt: skip
        """Return a value of the wanted kind; a default of `...` makes the key a must."""
        if key not in self.content:
            if default is ...:
                raise self.bad(key, f"is missing; it takes {wanted}")
            return default
        value = self.content[key]
        if not isinstance(value, kind) or isinstance(value, bool) or not valid(value):
            raise self.bad(key, f"{value!r} is not {wanted}")
        return value

    def table(self, key: str) -> Table:
        """Return the sub-table of that key, empty where it is not given."""
        content = self.take(key, dict, {}, lambda _: True, "a table")
        return Table(content, self.where, f"{self.path}{key}.")

    def strings(self, key: str, default: Any) -> list[str]:
        """Return a string or a list of strings as a list."""
        wanted = "a string or a list of strings"
        value = self.take(key, (str, list), default, bool, wanted)
        value = [value] if isinstance(value, str) else value
        if not all(isinstance(v, str) for v in value):
            raise self.bad(key, f"{value!r} is not {wanted}")
        return list(value)
