"""What a session of tests prints at its end: what became of each cell, and of each baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cibench.gate import baseline
from cibench.gate.rules import Rules
from cibench.render.shell import command
from cibench.testing.trial import DECLARED, HOME, REFITTED, SAW, UPDATED, WARNED


def lines(notes: Sequence[tuple[str, str]], config: pytest.Config) -> Iterator[str]:
    """Yield the lines: cells, then baselines that were saved, then those that no test has now."""
    seen = [words for kind, words in notes if kind == SAW]
    yield from seen
    if seen:
        yield (
            f"the chance of any false alarm in these comparisons is at most {Rules().alpha:g}, "
            "whichever workers run them"
        )
    yield from (words for kind, words in notes if kind in (DECLARED, REFITTED))
    yield from (f"warning: {words}" for kind, words in notes if kind == WARNED)
    saved = [words for kind, words in notes if kind == UPDATED]
    here = config.rootpath
    yield from (words.replace(f"{here}/", "") for words in saved if not words.endswith("unchanged"))
    if quiet := sum(words.endswith("unchanged") for words in saved):
        yield f"{quiet} unchanged, and not written"
    if saved and not config.getoption("numprocesses", None):
        yield from orphans(config, {Path(words.rpartition(": ")[0]) for words in saved})


def orphans(config: pytest.Config, used: set[Path]) -> Iterator[str]:
    """Yield the baselines of tests that are not there any more, in files that ran whole."""
    if any("::" in str(argument) for argument in config.args) or config.getoption("keyword"):
        return
    root = config.rootpath / config.getoption("--cibench-baselines")
    files = {_test_of(folder).partition("::")[0] for folder in used} - {""}
    for each in baseline.saved_baselines(root / HOME):
        test = _test_of(each.folder)
        if each.folder not in used and test.partition("::")[0] in files:
            name = each.folder.relative_to(root).as_posix()
            yield f"orphan, of {test}: {command('baseline', 'remove', name)}"


def _test_of(folder: Path) -> str:
    return str(baseline.Baseline(folder).about.get("test") or "")
