"""Options of every estimator meet each other and the forms of its data, in pairs, in `quirks`."""

import importlib.util
import json
import tomllib
from fnmatch import fnmatchcase
from itertools import combinations, product
from pathlib import Path

import pytest

from cibench import find_estimator, find_scenario
from cibench.model import registry
from cibench.suite.parse import parse_suite
from cibench.testing.option_suites import Place, cells, open_forms, rows_of
from cibench.testing.pairwise import extended_rows, pairwise_rows
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical


def _module(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


quirks = _module("quirks_suite")
BUILT_IN = [name for name, e in registry.entries("estimator").items() if e.built_in]


def pairs_of(rows):
    """Return the pairs of (factor, value) that meet in some row, values as text."""
    texts = [sorted((name, canonical(value)) for name, value in row.items()) for row in rows]
    return {pair for row in texts for pair in combinations(row, 2)}


def crossing(factors):
    return [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]


SHAPES = [(3, 4), (2, 3, 2), (4, 3, 3, 2), (3, 2, 2, 2, 3, 4), (2,) * 6]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("given", [1, 2, 3])
def test_rows_grow_by_factors_until_every_pair_meets(shape, given):
    factors = {f"f{k}": list(range(size)) for k, size in enumerate(shape)}
    base = pairwise_rows(dict(list(factors.items())[:given]))
    rows = extended_rows(base, factors)
    assert pairs_of(rows) == pairs_of(crossing(factors))
    for before, after in zip(base, rows, strict=False):
        assert before.items() <= after.items()
    assert len(rows) <= max(len(base), len(pairwise_rows(factors)) + 3)


def test_true_is_not_one_and_no_values_are_refused():
    rows = extended_rows([{"a": True}], {"a": (1, True), "b": (0, 1)})
    assert rows[0]["a"] is True and len(rows) == 4
    with pytest.raises(ValueError, match="b has no values"):
        extended_rows([{"a": 1}], {"a": (1,), "b": ()})


RD_FORMS = {
    "covariates": ("none", "one"), "clusters": ("none", "bins"), "rows": ("drawn", "sorted"),
}  # fmt: skip
RD = Place("quirks/rd", 100, RD_FORMS)


def test_forms_that_an_estimator_declines_are_none_of_its():
    assert open_forms(find_estimator("rdrobust/robust"), RD) == RD.forms
    clustered = open_forms(find_estimator("rdrobust/clustered"), RD)
    assert clustered == {**RD.forms, "clusters": ("bins",)}
    assert open_forms(find_estimator("did/att-gt"), RD) == {}
    options = dict.fromkeys(("control_group", "biters", "unbalanced"), (1, 2))
    assert rows_of(find_estimator("did/att-gt"), RD, options) == []


def test_one_cell_serves_all_estimators_and_is_there_twice_only_for_other_options():
    methods = {n: find_estimator(n) for n in ("rdrobust/clustered", "rd/global-polynomial-1")}
    kernels = {"kernel": ("tri", "uni", "epa", "tri2", "tri3")}
    options = {"rdrobust/clustered": kernels, "rd/global-polynomial-1": {}}
    tables = cells(RD, {name: (methods[name], options[name]) for name in methods})
    suite = [(canonical(t["parameters"]), t["estimators"]) for t in tables]
    assert len({forms for forms, _ in suite}) < len(suite)
    for _, names in suite:
        assert len(set(names)) == len(names)
    alone = [t for t in tables if "rd/global-polynomial-1" in t["estimators"]]
    assert len(alone) == len(pairwise_rows(RD.forms))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernle": ("tri", "uni")}, "did you mean 'kernel'"),
        ({"kernel": ("tri",)}, "fewer than two values"),
        ({}, "no values are given for its option 'kernel'"),
    ],
)
def test_options_that_are_not_or_not_all_crossed_are_refused(options, said):
    with pytest.raises(BadInput, match=said):
        rows_of(find_estimator("rdrobust/clustered"), RD, options)


@pytest.fixture(scope="module")
def suite():
    """Return the suite without the tables that are there for an identity."""
    spec = tomllib.loads(quirks.FILE.read_text(encoding="utf-8"))
    crossed = [table for table in spec["cells"] if "equal" not in table]
    return parse_suite({**spec, "cells": crossed})


def met(suite, name):
    """Return, for each cell that an estimator is in, the forms and its options together."""
    rows = []
    for cell in suite.cells:
        forms = {f"form {k}": v for k, v in json.loads(cell.key["parameters"]).items()}
        for entrant in cell.entrants:
            if entrant.estimator == name:
                rows.append(
                    {"scenario": cell.scenario.name, **forms, **json.loads(entrant.options)}
                )
    return rows


def wanted(name):
    """Return the pairs that can meet: of its options and of the forms that are open to it."""
    method = find_estimator(name)
    place = quirks.place_of(method)
    cls = find_scenario(place.scenario)
    there = [r for r in crossing(place.forms) if method.declines(cls(**r)) is None]
    options = quirks.first(quirks.VALUES, name) or {}
    rows = [
        {**{f"form {k}": v for k, v in form.items()}, **chosen}
        for form in there
        for chosen in (crossing(options) if options else [{}])
    ]
    return place.scenario, pairs_of(rows)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_option_of_every_estimator_meets_every_other_and_every_form(name, suite):
    scenario, pairs = wanted(name)
    rows = [{k: v for k, v in row.items() if k != "scenario"} for row in met(suite, name)]
    assert pairs and not pairs - pairs_of(rows)
    assert {row["scenario"] for row in met(suite, name)} == {scenario}


def test_a_cell_that_is_missing_is_noticed(suite):
    from dataclasses import replace

    name = "rdrobust/robust"
    _, pairs = wanted(name)
    mine = [[e.estimator for e in cell.entrants] for cell in suite.cells]
    last = max(k for k, names in enumerate(mine) if name in names)
    fewer = replace(suite, cells=suite.cells[:last] + suite.cells[last + 1 :])
    rows = [{k: v for k, v in row.items() if k != "scenario"} for row in met(fewer, name)]
    assert pairs - pairs_of(rows)


def test_the_first_value_of_an_option_is_its_default_unless_the_default_is_too_slow():
    for name in BUILT_IN:
        method = find_estimator(name)
        for option, values in (quirks.first(quirks.VALUES, name) or {}).items():
            default = method.options[option]
            slow = any(fnmatchcase(f"{name} {option} {default}", g) for g in quirks.LEFT_OUT)
            assert slow or canonical(values[0]) == canonical(default), (name, option)


def test_the_suite_is_what_its_factors_say():
    assert quirks.FILE.read_text(encoding="utf-8") == quirks.text()
