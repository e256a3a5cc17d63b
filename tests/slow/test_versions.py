"""Every adapter speaks to the oldest version of its library that is stated, and to this one."""

import tomllib
from pathlib import Path

import pytest

from cibench.gate.regress import Plan, regress
from cibench.gate.requirements import wanted
from cibench.gate.rules import Rules
from cibench.suite import Suite

ROOT = Path(__file__).parents[2]
OLDEST = {
    "rdrobust": ("2.0.0", [("rd/cct-1", 400), ("rd/clustered-schools", 400), ("rd/fuzzy", 400)],
                 ["rdrobust/*"]),
    "rddensity": ("3.0", [("rd/cct-1", 400)], ["rddensity/*"]),
    "linearmodels": ("6.1", [("iv/many", 100), ("did/state-panel", 12)],
                     ["linearmodels/*", "panel/*"]),
    "doubleml": ("0.11.0", [("rd/cct-1", 400), ("iv/late", 200), ("did/sant-anna-zhao-1", 200)],
                 ["doubleml/*"]),
    "moderndid": ("0.2.0", [("did/staggered", 60)], ["did/att-gt*"]),
    "pyfixest": ("0.60.0", [("did/staggered", 60)], ["did/did2s", "did/lpdid", "did/saturated"]),
}  # fmt: skip
"""The oldest version stated, where its adapters are tried, and the adapters."""


def test_these_are_the_oldest_that_are_stated():
    from packaging.requirements import Requirement
    from packaging.version import Version

    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = said["optional-dependencies"].values()
    lines = [*said["dependencies"], *(line for extra in extras for line in extra)]
    found = {one.name: one.specifier for one in map(Requirement, lines)}
    for package, (version, *_) in OLDEST.items():
        (bound,) = found[package]
        assert bound.operator == ">=" and Version(bound.version) == Version(version)


@pytest.mark.slow
@pytest.mark.parametrize("package", OLDEST)
def test_every_adapter_answers_at_both_ends(package, tmp_path):
    version, places, estimators = OLDEST[package]
    cells = [{"scenario": name, "n": n, "estimators": estimators} for name, n in places]
    suite = Suite.parse({"name": "ends", "seed": 1, "replicates": 3, "cells": _fitting(cells)})
    plan = Plan(suite, tmp_path / "out", tmp_path / "cache", Rules())
    asked = wanted([f"{package}=={version}", package])
    sides, _, lacking = regress(asked, plan)
    assert not lacking and len(sides) == 2
    for side in sides:
        assert not side.unknown
        rows = side.run.replicates
        assert not (rows["status"] == "failed").any()


def _fitting(cells):
    """Leave of each cell the globs that something answers there."""
    from cibench import find_estimator, find_scenario, registry

    kept = []
    for cell in cells:
        scenario = find_scenario(cell["scenario"])()
        fits = [
            pattern for pattern in cell["estimators"]
            if any(find_estimator(name).declines(scenario) is None
                   for name in registry.matching("estimator", pattern))
        ]  # fmt: skip
        kept += [{**cell, "estimators": fits}] if fits else []
    return kept
