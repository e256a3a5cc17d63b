"""Commands as people paste them into a shell, whatever their words hold."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path


def place(path: Path | str) -> str:
    """Return a path or a URL as a word of a command, which none takes for an option.

    >>> from cibench.render.shell import place
    >>> place("runs/a"), place("-rf")
    ('runs/a', './-rf')
    """
    text = str(path)
    return os.path.join(".", text) if text.startswith("-") else text  # noqa: PTH118 - Path drops it


def line(words: Iterable[str]) -> str:
    """Return words as one line that a shell takes apart into the same words.

    >>> from cibench.render.shell import line
    >>> line(["cibench", "run", "my run"])
    "cibench run 'my run'"
    """
    if os.name == "nt":
        return subprocess.list2cmdline(list(words))
    return shlex.join(words)


def command(*words: str | Path) -> str:
    """Return a command of cibench as one line; its paths, and texts made by `place`, are places.

    >>> from pathlib import Path
    >>> from cibench.render.shell import command
    >>> command("run", Path("-rf"))
    'cibench run ./-rf'
    """
    return line(["cibench", *(place(word) if isinstance(word, Path) else word for word in words)])
