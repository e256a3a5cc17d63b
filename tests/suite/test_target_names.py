"""Names of targets: what a run could not read again is refused before its first fit."""

import re
from itertools import count

import pytest

import cibench
from cibench.utils.errors import BadInput

PLUGIN = """
import numpy as np
from numpy import inf
from cibench import Draw, Estimand, Scenario, Target, scenario

TARGET = Target(Estimand.ATE, **{target!r})

@scenario("named/{name}")
class Named(Scenario):
    "Half of the units are treated, without effect."

    estimand, reference = Estimand.ATE, "made for this test"

    def targets(self):
        return (TARGET,)

    def truth(self):
        return {{TARGET: 0.0}}

    def draw(self, n, rng):
        y, d = rng.standard_normal(n), np.arange(n) % 2
        return Draw({{"y": y, "d": d}}, y, np.zeros(n))
"""
NUMBERS = count()
TEXTS = ["\x1b[31mred", "two\nlines", "zero\0", "turned\u202e", "half \ud800", "x" * 501, "-rf"]


def ran(folder, target):
    """Run a suite whose scenario has this target, and read what it stored."""
    name = f"by-hand-{next(NUMBERS)}"  # plug-ins of one session have names of their own
    (folder / "named.py").write_text(PLUGIN.format(target=target, name=name))
    cell = {"scenario": f"named/{name}", "n": 20, "estimators": ["baseline/zero"]}
    spec = {
        "name": "named", "seed": 1, "replicates": 2, "plugins": [str(folder / "named.py")],
        "cells": [cell],
    }  # fmt: skip
    return cibench.run(spec, folder / "run", checks=False, workers=1).replicates


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *((part, text) for part in ("group", "label") for text in TEXTS),
        ("group", 3), ("label", b"bytes"), ("horizon", 0.5), ("horizon", 2**31),
        ("contrast", (1,)), ("contrast", ("a", "b\x1b")), ("contrast", (1, float("inf"))),
        ("contrast", ("x" * 300, "y" * 300)),
    ],
)  # fmt: skip
def test_a_name_that_rows_cannot_have_is_refused_before_the_first_fit(tmp_path, part, value):
    with pytest.raises(BadInput) as refused:
        ran(tmp_path, {part: value})
    (line,) = str(refused.value).splitlines()
    assert re.search(rf"cells.*scenario: named/by-hand-\d+: the {part} .* is not ", line), line
    assert line.isprintable()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "target",
    [
        {"group": "x" * 500, "label": "[bold] <b>, \u00fcber"},
        {"group": "1", "horizon": -3, "contrast": (-1, 2.5)},
    ],
)
def test_a_name_that_is_taken_is_read_again(tmp_path, target):
    rows = ran(tmp_path, target)
    assert len(rows) == 2 and rows["status"].eq("ok").all()
    for part, value in target.items():
        stored = "-1 vs 2.5" if part == "contrast" else value
        assert rows[part].eq(stored).all()
