"""Methods that theory makes one answer alike on every data set of the suite `quirks`."""

import importlib.util
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

import cibench
from cibench import Declined, find_estimator, find_scenario
from cibench.model import registry
from cibench.model.types import Problem
from cibench.suite.parse import built_in_suites

SUITE = built_in_suites()["quirks"]
FAST = ("quirks/late", "quirks/regression", "quirks/series", "quirks/arms", "quirks/strata*",
        "quirks/trial", "did/two-period")  # fmt: skip


@pytest.fixture(scope="module")
def spec():
    return tomllib.loads(SUITE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def alone():
    """Return who is in no identity, by name or glob, with the reason."""
    path = Path(__file__).with_name("quirks_identities.py")
    loaded = importlib.util.spec_from_file_location("quirks_identities", path)
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    return module.ALONE


def statements(spec):
    return [*spec["equal"], *(s for table in spec["cells"] for s in table.get("equal", ()))]


def judged(spec, tables, replicates):
    run = cibench.run({**spec, "cells": tables, "replicates": replicates})
    table = run.equalities
    wrong = table[table["verdict"] != "equal"]
    names = ["scenario", "estimator", "other", "quantity", "differing", "greatest", "verdict"]
    assert wrong.empty, wrong[names].to_string()
    assert (table["compared"] == replicates).all()
    return table


def without_top(spec):
    return {key: value for key, value in spec.items() if key != "equal"}


def test_the_identities_hold_that_are_quickly_seen(spec):
    tables = [t for t in spec["cells"] if "equal" in t
              and any(fnmatchcase(t["scenario"], glob) for glob in FAST)]  # fmt: skip
    assert len(judged(without_top(spec), tables, 1)) > 200


@pytest.mark.slow
def test_every_identity_that_needs_a_design_of_its_own_holds(spec):
    tables = [table for table in spec["cells"] if "equal" in table]
    assert len(judged(without_top(spec), tables, spec["replicates"])) > 500


@pytest.mark.slow
def test_the_identities_that_hold_everywhere_hold_in_every_form(spec):
    named = {name for stated in spec["equal"] for name in stated["methods"]}
    tables = []
    for table in spec["cells"]:
        kept = [name for name in table["estimators"] if name in named]
        if "equal" not in table and len(kept) > 1:
            options = {k: v for k, v in table.get("options", {}).items() if k in kept}
            tables.append({**table, "estimators": kept, "options": options})
    table = cibench.run({**spec, "cells": tables}).equalities
    assert set(table["verdict"]) <= {"equal", "nothing to compare"}
    assert len(table) > 400 and not table["answered_by_one"].any()
    compared = table.groupby(["estimator", "other", "quantity"])["compared"].sum()
    assert (compared > 0).all(), compared


def test_every_built_in_method_is_in_an_identity_or_has_a_reason_why_not(spec, alone):
    named = {name for stated in statements(spec) for name in stated["methods"]}
    built_in = {name for name, entry in registry.entries("estimator").items() if entry.built_in}
    reasons = {n for n in built_in if any(fnmatchcase(n, glob) for glob in alone)}
    assert built_in - named - reasons == set()
    assert named & reasons == set()
    assert all(any(fnmatchcase(n, glob) for n in built_in) for glob in alone)


def test_every_identity_gives_its_reason(spec):
    assert all(stated["why"] for stated in statements(spec))


def test_methods_of_one_influence_function_part_as_the_root_of_the_size():
    methods = ["aipw/linear", "ipw/normalised", "regression/by-arm", "statsmodels/ols"]
    cell = {"scenario": "quirks/trial", "estimators": methods,
            "equal": [{"methods": methods, "within": 0.1}]}  # fmt: skip
    cells = [{**cell, "n": n} for n in (250, 4000)]
    run = cibench.run({"name": "first", "seed": 2, "replicates": 60, "cells": cells})
    greatest = run.equalities.groupby("n")["greatest"].max()
    assert greatest[4000] < 0.03 < greatest[250] < 0.4


def test_an_error_that_the_library_takes_from_noise_is_declined():
    scenario, method = find_scenario("quirks/strata")(), find_estimator("statsmodels/aipw")
    for seed in range(5):
        draw = scenario.draw(200, np.random.default_rng(seed))
        targets = method.targets_of(scenario)
        problem = Problem.of(draw, scenario.assigned_roles(), targets, 0.95)
        # some processors round so that a variance in the library is negative
        with np.errstate(invalid="ignore"), pytest.raises(Declined, match="moments are collinear"):
            method.fit(problem, np.random.default_rng(1))
