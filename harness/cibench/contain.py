"""Keep what a fit does to its process from reaching the next fit."""

from __future__ import annotations

import contextlib
import io
import locale
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np


@contextlib.contextmanager
def contained() -> Iterator[list[warnings.WarningMessage]]:
    """Run a fit with no terminal, numpy's default error state and its warnings caught.

    Folder, environment, locale and numpy's error state are what they were before afterwards.
    """
    sink = io.StringIO()
    with (
        unchanged_surroundings(),
        warnings.catch_warnings(record=True) as caught,
        np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
    ):
        warnings.simplefilter("always")
        yield caught


@contextlib.contextmanager
def unchanged_surroundings() -> Iterator[None]:
    """Give working directory, environment, locale and recursion limit back as they were."""
    environ: Any = os.environ
    folder, tongue, variables = _folder(), locale.setlocale(locale.LC_ALL), environ._data.copy()
    depth = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(depth)
        os.environ = environ  # noqa: B003 - a fit may have put another object there
        # the bytes beneath: comparing through the mapping decodes every variable, 35 us a fit
        if environ._data != variables:
            environ.clear()
            environ.update({os.fsdecode(k): os.fsdecode(v) for k, v in variables.items()})
        if locale.setlocale(locale.LC_ALL) != tongue:
            locale.setlocale(locale.LC_ALL, tongue)
        if folder is not None and _folder() != folder:
            os.chdir(folder)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a Path costs more than the question
    except OSError:  # it was removed
        return None
