"""What surrounds a fit while it runs: no terminal, its warnings noted, its surroundings kept."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from cibench.utils.errors import REASON_LENGTH, words
from cibench.workers.sentinel import Changes, Sentinel

MOST_WARNINGS = 10
"""How many of a fit's warnings a row holds; of further ones it has the number."""


class Notes:
    """Hold a fit's distinct warnings, few and short however many and long they are, and changes.

    `changes` are what it has left of the process otherwise than it was.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self._lines: set[str] = set()
        self._more = 0

    def take(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        """Take note of a warning, as `warnings.showwarning` does."""
        line = f"{category.__name__}: {' '.join(words(message).split())}"[:REASON_LENGTH]
        if line in self._lines:
            return
        if len(self._lines) < MOST_WARNINGS:
            self._lines.add(line)
        else:
            self._more += 1

    @property
    def text(self) -> str | None:
        """Return the distinct warnings, one a line, each cut to a readable length, and changes."""
        more = [f"and {self._more:,} more"] if self._more else []
        changes = [self.changes.line()] if self.changes else []
        return "\n".join([*sorted(self._lines), *more, *changes]) or None


class _Nowhere(io.StringIO):
    """Take what is printed and keep nothing of it."""

    def write(self, text: str, /) -> int:
        return len(text)


@contextlib.contextmanager
def contained(sentinel: Sentinel | None = None) -> Iterator[Notes]:
    """Run a fit with no terminal, numpy's default error state and its warnings caught.

    Afterwards what it shares with other fits is as it was before, as far as the sentinel sees.
    """
    put_back = Sentinel().put_all_back if sentinel is None else sentinel.put_back
    sink, notes = _Nowhere(), Notes()
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("always")
            warnings.showwarning = notes.take
            yield notes
    finally:
        notes.changes = put_back()
