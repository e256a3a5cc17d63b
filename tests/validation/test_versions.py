"""Every adapter speaks to the oldest version of its library that is stated, and to this one."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cibench.gate.rules import Rules
from cibench.gate.versions.regress import Plan, regress
from cibench.gate.versions.requirements import requested_versions
from cibench.storage.provenance import packages
from cibench.suite.parse import parse_suite
from cibench.utils.names import canonical_name

ROOT = Path(__file__).parents[2]
ARMS, LATE = "observables/heterogeneous", "iv/late"
OLDEST = {
    "rdrobust": ("2.0.0", [("rd/cct-1", 400), ("rd/clustered-schools", 400), ("rd/fuzzy", 400)],
                 ["rdrobust/*"]),
    "linearmodels": ("6.1", [("iv/many", 100), ("did/state-panel", 12)],
                     ["linearmodels/*", "panel/*"]),
    "doubleml": ("0.11.0", [("rd/cct-1", 400), (LATE, 200), ("did/sant-anna-zhao-1", 200)],
                 ["doubleml/*"]),
    "statsmodels": ("0.14.6", [(ARMS, 200), ("rd/cct-1", 400), ("did/staggered", 60)],
                    ["statsmodels/*", "aipw/*", "ipw/*", "naive/*", "rd/local-linear",
                     "rd/global-polynomial", "did/collapsed*", "did/pre-slopes"]),
    "scikit-learn": ("1.8.0", [(ARMS, 200), (LATE, 200)],
                     ["matching/*", "lasso/*", "doubleml/irm", "doubleml/iivm"]),
    "cvxpy": ("1.6.0", [("did/staggered", 60)], ["did/honest-*"]),
}  # fmt: skip
"""The oldest version stated, where its adapters are tried, and the adapters."""

OPTIONS = {
    "scikit-learn": {"doubleml/irm": {"learner": "lasso"}, "doubleml/iivm": {"learner": "forest"}}
}
"""Options that reach parts of a library which the defaults leave alone."""

ONE = ("rddensity", "moderndid", "pyfixest", "pysyncon", "diff-diff", "wildboottest",
       "lifelines")  # fmt: skip
"""The oldest stated is the one that all tests run with: nothing older speaks as the adapters do."""

CORE = ("scipy",)
"""Everything rests on it, and one environment holds one of it: no version of its own to try."""


def stated():
    """Return the version that each requirement starts from, by package."""
    from packaging.requirements import Requirement

    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = said["optional-dependencies"].values()
    lines = [*said["dependencies"], *(line for extra in extras for line in extra)]
    found = {}
    for one in map(Requirement, lines):
        for bound in one.specifier:
            assert bound.operator == ">="
            found[canonical_name(one.name)] = bound.version
    return found


def constrained():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if "==" in line]
    return {canonical_name(name): version for name, version in pins}


def used_by_adapters():
    from cibench.model import registry

    modules = {u for e in registry.entries("estimator").values() for u in e.value.uses}
    return set(map(canonical_name, packages(modules)))


def test_these_are_the_oldest_that_are_stated():
    from packaging.version import Version

    for package, (version, *_) in OLDEST.items():
        assert Version(stated()[package]) == Version(version)


def test_every_library_of_an_adapter_states_its_oldest_version_and_is_tried_with_it():
    assert used_by_adapters() == {*OLDEST, *ONE, *CORE}
    assert used_by_adapters() <= set(stated())


@pytest.mark.parametrize("package", ONE)
def test_where_only_one_version_is_stated_the_tests_run_with_it(package):
    from packaging.version import Version

    oldest, here = (Version(table[package]) for table in (stated(), constrained()))
    assert oldest.release[:2] == here.release[:2] and oldest <= here


@pytest.fixture(scope="module")
def index():
    """Skip where pip reaches no package index: there is no other version to be had."""
    ask = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed",
           "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "10",
           "packaging"]  # fmt: skip
    done = subprocess.run(ask, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("pip reaches no package index: versions cannot be installed")


@pytest.fixture
def cache(request):
    """Return the folder that keeps environments from one session to the next."""
    return Path(request.config.cache.mkdir("versions"))


@pytest.mark.slow
@pytest.mark.parametrize("package", OLDEST)
def test_every_adapter_answers_at_both_ends(package, tmp_path, cache, index):
    version, places, estimators = OLDEST[package]
    options = OPTIONS.get(package, {})
    cells = [{"scenario": name, "n": n, "estimators": estimators} for name, n in places]
    cells = [{**cell, "options": options} for cell in _fitting(cells)]
    suite = parse_suite({"name": "ends", "seed": 1, "replicates": 3, "cells": cells})
    sides, _, lacking = regress(
        requested_versions([f"{package}=={version}", package]),
        Plan(suite, tmp_path / "out", cache, Rules()),
    )
    assert not lacking and [s.environment.version for s in sides] == [
        version,
        constrained()[package],
    ]
    for side in sides:
        assert not side.unknown
        rows = side.run.replicates
        failed = rows[rows["status"] == "failed"]
        assert failed.empty, failed[["estimator", "reason"]].drop_duplicates().to_string()


def _fitting(cells):
    """Leave of each cell the globs that something answers there."""
    from cibench import find_estimator, find_scenario
    from cibench.model import registry

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
