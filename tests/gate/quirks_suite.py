"""Write scenarios/suites/quirks.toml: `python tests/gate/quirks_suite.py`."""

from pathlib import Path

from cibench.scenarios import quirks_panel, quirks_rd, quirks_regression

from cibench.files import toml
from cibench.gate.covering import pairwise_rows

FILE = Path(__file__).parents[2] / "scenarios" / "suites" / "quirks.toml"
HEAD = """\
# Options and data types, where shipped bugs sit, crossed pairwise; three minutes on two cores.
# Written by tests/gate/quirks_suite.py. Few replicates: what is looked for is a changed number.
"""
TWFE, WILD = "panel/twfe-clustered", "panel/wild-bootstrap"
PARTS = (
    (
        "quirks/regression", 120, quirks_regression.CHOICES,
        {
            "doubleml/pliv": {"folds": (5, 2)},
        },
        ["linearmodels/*", "iv/*"],
    ),
    (
        "quirks/panel", 48, quirks_panel.CHOICES,
        {
            TWFE: {"count_effects": (True, False), "debiased": (True, False)},
            "panel/twfe-few-clusters": {"student": (True, False)},
            "panel/twfe-driscoll-kraay": {"bandwidth": (1, 2)},
        },
        [
            "panel/twfe", "panel/twfe-unadjusted", "panel/first-difference",
            "did/att-gt", "did/att-gt-not-yet-treated", "did/att-gt-group", "did/did2s",
            "did/lpdid", "did/saturated",
        ],
    ),
    (
        "quirks/rd", 400, quirks_rd.CHOICES,
        {
            "rdrobust/robust": {"kernel": ("tri", "uni", "epa"),
                                "masspoints": ("adjust", "check", "off")},
            "rdrobust/clustered": {"kernel": ("tri", "uni", "epa")},
            "rdrobust/clustered-cr3": {"kernel": ("tri", "uni", "epa")},
            "rdrobust/covariates": {"kernel": ("tri", "uni", "epa")},
        },
        ["rd/local-linear", "rd/global-polynomial-1"],
    ),
)  # fmt: skip


def part(scenario, n, choices, options, others):
    """Return the cells of a scenario: one for each row of the covering array."""
    own = {(name, key): values for name, keys in options.items() for key, values in keys.items()}
    cells = []
    for row in pairwise_rows({**choices, **own}):
        chosen = {}
        for (name, key), value in ((k, v) for k, v in row.items() if k in own):
            chosen.setdefault(name, {})[key] = value
        parameters = {name: row[name] for name in choices}
        # as globs: what a setting has no role for is left out and not refused
        named = [f"{name[:-1]}[{name[-1]}]" for name in options]
        cells.append({
            "scenario": scenario, "n": n, "parameters": parameters,
            "estimators": [*others, *named], "options": chosen,
        })  # fmt: skip
    return cells


def text():
    """Return the suite file."""
    cells = [cell for given in PARTS for cell in part(*given)]
    spec = {"name": "quirks", "seed": 20261121, "replicates": 20, "level": 0.9, "cells": cells}
    return HEAD + toml(spec)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
