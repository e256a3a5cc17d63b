"""Write scenarios/suites/quirks.toml: `python tests/testing/quirks_suite.py`."""

import sys
from fnmatch import fnmatchcase
from pathlib import Path

from cibench.model import registry
from cibench.testing.option_suites import cells, open_forms
from cibench.utils.toml import to_toml

sys.path.insert(0, str(Path(__file__).parent))
import quirks_identities
from quirks_options import ELSEWHERE, LEFT_OUT, PLACES, VALUES

__all__ = ["ELSEWHERE", "FILE", "LEFT_OUT", "PLACES", "VALUES"]
FILE = Path(__file__).parents[2] / "scenarios" / "suites" / "quirks.toml"
REPLICATES = 3
HEAD = """\
# Options and data types, where shipped bugs sit: every option of every estimator crossed pairwise
# with the forms that data come in. tests/testing/quirks_suite.py writes it, quirks_options.py there
# says what is crossed. Few replicates: what is looked for is a changed number. The suite states,
# too, every identity that the methods must satisfy; quirks_identities.py there says which and why.
"""


def first(table, name):
    """Return the value of the first glob that the name matches, None where none does."""
    return next((value for glob, value in table.items() if fnmatchcase(name, glob)), None)


def place_of(estimator):
    """Return where an estimator is put to the test."""
    if chosen := first(ELSEWHERE, estimator.name):
        return PLACES[chosen]
    return next(place for place in PLACES.values() if open_forms(estimator, place))


def entrants():
    """Return the estimators of each place with the values of their options."""
    found = {name: {} for name in PLACES}
    for name, entry in registry.entries("estimator").items():
        if entry.built_in:
            place = place_of(entry.value).scenario.split("/")[1]
            found[place][name] = entry.value, first(VALUES, name) or {}
    return found


SHRINKING = "rd/bayesian-local-linear"
EXPECT = {
    "bias": {SHRINKING: 1000.0},
    "why": "a prior as tight as 0.1 shrinks the effect, whose spread three replicates hardly know",
}
"""What the cells with that method say, of which "fails unexpectedly" would be no news."""


def text():
    """Return the suite file."""
    tables = [t for name, inside in entrants().items() for t in cells(PLACES[name], inside)]
    tables = [t | {"expect": EXPECT} if SHRINKING in t["estimators"] else t for t in tables]
    spec = {"name": "quirks", "seed": 20261121, "replicates": REPLICATES, "level": 0.9}
    stated = {"equal": quirks_identities.EVERYWHERE}
    return HEAD + to_toml({**spec, **stated, "cells": [*tables, *quirks_identities.CELLS]})


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
