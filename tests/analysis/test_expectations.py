"""Expectations: what follows from declarations, and what is found of it, family-wise."""

from __future__ import annotations

import json
from math import isnan, sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from commands import RUNNING, loaded

import cibench
from cibench.analysis.coverage_verdicts import ALPHA, exact
from cibench.analysis.expectations import (
    EXPECTATIONS,
    ExpectationVerdict,
    judge_expectation,
    judge_expectations,
)
from cibench.analysis.judged_scores import Judged, Side
from cibench.metrics.core import proportion
from cibench.storage.schema import SCORED
from cibench.suite import parse_suite, read_suite
from cibench.suite.expectations import Expected, Statement, entries, expectation, stated
from cibench.utils.errors import BadInput

OUTCOME, PROPENSITY = "outcome model correct", "propensity model correct"


def dial(breaks, default=0.0, grid=(0.1, 0.2, 0.4), within=(-1.0, 1.0)):
    return {"default": default, "grid": list(grid), "within": list(within), "breaks": breaks}


CATALOGUE = {
    "scenarios": {
        "toy/line": {
            "violates": ["no confounding"],
            "parameters": {"effect": {"default": 1.0}},
            "dials": {
                "sorting": dial("no manipulation"), "rho": dial("independent errors"),
                "misfit": dial(OUTCOME), "tilt": dial(PROPENSITY), "hump": dial("no heaping", 1.0),
            },
        },
        "toy/tilted": {
            "violates": [PROPENSITY], "parameters": {}, "dials": {"misfit": dial(OUTCOME)},
        },
    },
    "estimators": {
        "toy/robust": {"assumes": ["no manipulation"], "targets": ["ATE"]},
        "toy/both": {"assumes": [f"{OUTCOME} or {PROPENSITY}"], "targets": ["ATE"]},
        "toy/outcome": {"assumes": [OUTCOME, "independent errors"], "targets": ["ATE"]},
        "toy/naive": {"assumes": ["no confounding"], "targets": ["ATE"]},
        "toy/few": {"assumes": ["many clusters"], "targets": ["ATE"], "horizons": ["ATT"]},
        "toy/hump": {"assumes": ["no heaping"], "targets": ["ATE"]},
        "toy/oracle": {"assumes": [], "targets": ["ATE"], "oracle": True},
    },
}  # fmt: skip


def names(estimator, scenario="toy/line", estimand="ATE", horizon=None, n=100, **moved):
    dials = {d: s["default"] for d, s in CATALOGUE["scenarios"][scenario]["dials"].items()} | moved
    known = CATALOGUE["scenarios"][scenario]["parameters"]
    return {
        "kind": "estimate", "scenario": scenario, "estimator": estimator, "estimand": estimand,
        "horizon": horizon, "n": n, "dials": json.dumps(dials),
        "parameters": json.dumps({name: spec["default"] for name, spec in known.items()}),
    }  # fmt: skip


def expected(row, **words):
    return expectation(row, CATALOGUE, Statement(**words)).expected


@pytest.mark.parametrize(
    ("row", "words", "wanted"),
    [
        (names("toy/robust"), {}, Expected.VALID),
        (names("toy/robust", rho=0.4), {"fails": {"sorting": (0.2,)}}, Expected.VALID),
        (names("toy/robust", sorting=0.4), {}, Expected.NOTHING),
        (names("toy/robust", sorting=0.1), {"fails": {"sorting": (0.2,)}}, Expected.NOTHING),
        (names("toy/robust", sorting=0.2), {"fails": {"sorting": (0.2,)}}, Expected.FAILS),
        (names("toy/robust", sorting=0.4), {"fails": {"sorting": (0.2,)}}, Expected.FAILS),
        (names("toy/robust", sorting=-0.4), {"fails": {"sorting": (0.2,)}}, Expected.NOTHING),
        (names("toy/robust", sorting=-0.4), {"fails": {"sorting": (0.2, -0.3)}}, Expected.FAILS),
        (names("toy/robust", sorting=-0.2), {"fails": {"sorting": (-0.3, 0.2)}}, Expected.NOTHING),
        (names("toy/hump", hump=0.8), {"fails": {"hump": (0.9,)}}, Expected.FAILS),
        (names("toy/hump", hump=0.95), {"fails": {"hump": (0.9,)}}, Expected.NOTHING),
        (names("toy/hump"), {}, Expected.VALID),
        (names("toy/naive"), {}, Expected.NOTHING),
        (names("toy/naive"), {"at_default": True}, Expected.FAILS),
        (names("toy/naive", sorting=0.4), {"at_default": True}, Expected.FAILS),
        (names("toy/both", misfit=0.4), {}, Expected.VALID),
        (names("toy/both", misfit=0.4, tilt=0.4), {}, Expected.NOTHING),
        (names("toy/both", "toy/tilted"), {}, Expected.VALID),
        (names("toy/both", "toy/tilted", misfit=0.4), {}, Expected.NOTHING),
        (names("toy/both", "toy/tilted", misfit=0.4), {"fails": {"misfit": (0.2,)}},
         Expected.FAILS),
        (names("toy/outcome", misfit=0.4, rho=0.4),
         {"fails": {"misfit": (0.1,), "rho": (0.1,)}}, Expected.NOTHING),
        (names("toy/outcome", misfit=0.4, sorting=0.4), {"fails": {"misfit": (0.1,)}},
         Expected.FAILS),
        (names("toy/few"), {}, Expected.VALID),
        (names("toy/few"), {"violates": frozenset({"many clusters"})}, Expected.NOTHING),
        (names("toy/few"), {"violates": frozenset({"many clusters"}), "at_default": True},
         Expected.FAILS),
        (names("toy/few", estimand="ATT"), {}, Expected.OTHER_QUESTION),
        (names("toy/few", estimand="ATT", horizon=2), {}, Expected.VALID),
        (names("toy/few", horizon=2), {}, Expected.OTHER_QUESTION),
        (names("toy/oracle", sorting=0.4, rho=0.4), {}, Expected.VALID),
        (names("toy/stranger"), {}, Expected.NOTHING),
    ],
)  # fmt: skip
def test_what_is_expected_follows_from_what_is_declared(row, words, wanted):
    assert expected(row, **words) is wanted


def test_a_setting_equal_to_the_default_says_that_it_fails_everywhere():
    words = {"fails": {"rho": (0.0,)}, "violates": frozenset({"independent errors"})}
    for rho in (-0.4, 0.0, 0.4):
        assert expected(names("toy/outcome", rho=rho), **words) is Expected.FAILS


def test_the_reason_is_in_words():
    found = expectation(
        names("toy/robust", sorting=0.4), CATALOGUE, Statement(fails={"sorting": (0.2,)})
    )
    assert found.because == (
        "“no manipulation” is broken by sorting = 0.4, declared to fail from 0.2 on"
    )
    assert found.broken == ("no manipulation",)
    both = expectation(names("toy/both", misfit=0.4, tilt=0.4), CATALOGUE, Statement())
    assert both.because.endswith("is broken by several dials, which may cancel")
    other = expectation(names("toy/robust", estimand="LATE"), CATALOGUE, Statement())
    assert other.because == "it answers ATE, not LATE"


# Which rows a [[cells]] table speaks for

TABLE = {"scenario": "toy/*", "n": [100, 200], "estimators": ["toy/*"]}


def words(row, *tables):
    about = CATALOGUE["scenarios"][row["scenario"]]
    return stated(entries({"cells": list(tables)}), row, about)


@pytest.mark.parametrize(
    ("change", "row", "holds"),
    [
        ({}, names("toy/robust"), True),
        ({"scenario": ["toy/tilted"]}, names("toy/robust"), False),
        ({"estimators": "toy/naive"}, names("toy/robust"), False),
        ({"n": 200}, names("toy/robust"), False),
        ({}, names("toy/robust", sorting=0.2), False),
        ({"dials": "grid"}, names("toy/robust", sorting=0.2), True),
        ({"dials": {"sorting": "grid"}}, names("toy/robust", sorting=0.2), True),
        ({"dials": {"sorting": "grid"}}, names("toy/robust", sorting=0.3), False),
        ({"dials": {"sorting": 0.3}}, names("toy/robust", sorting=0.3), True),
        ({"dials": {"sorting": 0.3}}, names("toy/robust"), True),
        ({"dials": {"sorting": 0.3, "rho": 0.1}}, names("toy/robust", sorting=0.3, rho=0.1), False),
        ({"dials": {"sorting": 0.3, "rho": 0.1}, "vary": "crossed"},
         names("toy/robust", sorting=0.3, rho=0.1), True),
        ({"dials": {"sorting": 0.3}, "vary": "crossed"}, names("toy/robust"), False),
        ({"parameters": {"effect": 2}}, names("toy/robust"), False),
        ({"parameters": {"effect": [1, 2]}}, names("toy/robust"), True),
    ],
)  # fmt: skip
def test_a_table_speaks_for_its_own_cells(change, row, holds):
    table = TABLE | change | {"expect": {"floor": 0.7}}
    assert (words(row, table).floor == 0.7) is holds


def test_the_closest_name_has_the_word():
    floor = {"toy/*": 0.8, "*": 0.6, "toy/robust": 0.7}
    table = TABLE | {"expect": {"floor": floor}}
    assert words(names("toy/robust"), table).floor == 0.7
    assert words(names("toy/naive"), table).floor == 0.8


def test_two_tables_join_their_words_but_may_not_contradict_each_other():
    one = TABLE | {"expect": {"floor": 0.8, "fails": {"toy/*": {"sorting": 0.2}}, "why": "a"}}
    two = TABLE | {"expect": {"fails": {"toy/*": {"rho": 0.4}}, "why": "b"}}
    joined = words(names("toy/robust"), one, TABLE, two)
    assert joined.fails == {"sorting": (0.2,), "rho": (0.4,)}
    assert (joined.floor, joined.why) == (0.8, "a; b")
    with pytest.raises(BadInput, match=r"cells\[2\].expect.floor: 0.7, but another table says 0.8"):
        words(names("toy/robust"), one, TABLE | {"expect": {"floor": 0.7}})
    other = TABLE | {"expect": {"fails": {"toy/robust": {"sorting": 0.4}}}}
    with pytest.raises(BadInput, match=r"cells\[2\].expect.fails: another table gives sorting"):
        words(names("toy/robust"), one, other)


# Bad input, told when the suite is read

SUITE = """
name = "t"
seed = 1
replicates = 3
[[cells]]
scenario = "rd/cct-1"
n = 100
dials = "grid"
estimators = ["rdrobust/*", "rd/local-linear"]
expect = { EXPECT }
"""


@pytest.mark.parametrize(
    ("expect", "line"),
    [
        ("flor = 0.9", "expect.flor: no key named 'flor'; did you mean 'floor'?"),
        ("floor = 0.96", "expect.floor: 0.96 is not a coverage above 0 and below the level 0.95"),
        ("floor = true", "expect.floor: True is not a coverage"),
        ("floor = { 'rdrobust/robst' = 0.8 }", "floor.rdrobust/robst: no estimator of these cells"),
        ("floor = { 'rdrobust/robst' = 0.8 }", "did you mean 'rdrobust/robust'?"),
        ("floor = { 'rdrobust/robust' = 2 }", "floor.rdrobust/robust: 2 is not a coverage"),
        ("fails = { 'rdrobust/robst' = { sorting = 0.2 } }", "did you mean 'rdrobust/robust'?"),
        ("fails = { 'rdrobust/*' = { sortin = 0.2 } }",
         "fails.rdrobust/*.sortin: no dial named 'sortin'; did you mean 'sorting'?"),
        ("fails = { 'rdrobust/*' = { sorting = 2 } }", "sorting: 2 lies outside 0 to 1"),
        ("fails = { 'rdrobust/*' = { sorting = 'much' } }", "'much' is not a setting"),
        ("fails = { 'rdrobust/*' = { sorting = [0.1, 0.2] } }",
         "takes one setting, or one on either side of the default"),
        ("fails = { 'rdrobust/donut' = { sorting = 0.2 } }",
         "it does not rely on “no manipulation”, which it breaks; it assumes no heaping,"),
        ("fails = { 'rdrobust/robust' = 'default' }",
         "it does not rely on anything that the design breaks; it assumes no manipulation,"),
        ("fails = { 'rdrobust/robust' = 'always' }",
         "'always' is not \"default\" or a table of dials and settings"),
        ("fails = { 'rdrobust/robust' = { sorting = 0 } }", "rely on anything that the design"),
        ("violates = ['no manipulatio']",
         "violates: no assumption named 'no manipulatio'; did you mean 'no manipulation'?"),
        ("why = ''", "expect.why: '' is not a reason in words"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_one_line_with_the_near_miss(tmp_path, expect, line):
    path = tmp_path / "t.toml"
    path.write_text(SUITE.replace("EXPECT", expect))
    with pytest.raises(BadInput) as error:
        read_suite(path)
    message = str(error.value)
    assert message.startswith(f"{path}:10: cells[1].expect")
    assert line in message and "\n" not in message


def test_all_that_is_wrong_in_an_expect_is_told_but_not_what_follows(tmp_path):
    path = tmp_path / "t.toml"
    expect = (
        "flor = 1, floor = { 'rdrobust/robst' = 0.8, 'rdrobust/*' = 2 }, violates = ['no such'], "
        "fails = { 'rdrobust/robust' = { sorting = [7, 'x'], sortin = 1 }, "
        "'rd/local-linear' = 'default' }"  # which `violates` may be meant to make true
    )
    path.write_text(SUITE.replace("EXPECT", expect).replace("seed = 1", ""))
    with pytest.raises(BadInput) as error:
        read_suite(path)
    said = [line.removeprefix(f"{path}:").partition(": ")[2] for line in error.value.args]
    assert [line.split(": ")[0].removeprefix("cells[1].expect.") for line in said] == [
        "seed", "flor", "violates", "floor.rdrobust/robst", "floor.rdrobust/*",
        "fails.rdrobust/robust.sorting", "fails.rdrobust/robust.sorting",
        "fails.rdrobust/robust.sortin",
    ]  # fmt: skip


def test_what_is_right_is_taken(tmp_path):
    path = tmp_path / "t.toml"
    expect = (
        "floor = { '*' = 0.8 }, fails = { 'rdrobust/*' = { sorting = 0.2 } }, "
        "violates = ['independent errors'], why = 'because'"
    )
    path.write_text(SUITE.replace("EXPECT", expect))
    suite = read_suite(path)
    assert parse_suite(suite.spec).cells == suite.cells


def test_contradicting_tables_are_bad_input_with_the_file(tmp_path):
    path = tmp_path / "t.toml"
    text = SUITE.replace("EXPECT", "floor = 0.8")
    path.write_text(text + text[text.index("[[cells]]") :].replace("0.8", "0.7"))
    with pytest.raises(BadInput, match=r"t.toml:\d+: cells\[2\].expect.floor: 0.7, but another"):
        read_suite(path)


# Verdicts


GOOD, BAD, WIDE, UNCLEAR = Side.GOOD, Side.BAD, Side.WIDE, Side.UNCLEAR
BIAS, SE, COVERAGE = Judged.BIAS, Judged.SE_RATIO, Judged.COVERAGE


@pytest.mark.parametrize(
    ("sides", "if_valid", "if_fails", "decided_by"),
    [
        ((GOOD, GOOD, GOOD), "valid as declared", "survives unexpectedly", (COVERAGE, BIAS, SE)),
        ((GOOD, BAD, GOOD), "fails unexpectedly", "fails as declared", (BIAS,)),
        ((BAD, UNCLEAR, BAD), "fails unexpectedly", "fails as declared", (COVERAGE, SE)),
        ((GOOD, GOOD, UNCLEAR), "inconclusive", "inconclusive", (SE,)),
        ((WIDE, GOOD, GOOD), "conservative", "survives unexpectedly", None),
        ((GOOD, GOOD, WIDE), "conservative", "survives unexpectedly", None),
        ((WIDE, UNCLEAR, GOOD), "conservative", "inconclusive", None),
        ((GOOD, None, None), "valid as declared", "survives unexpectedly", (COVERAGE,)),
        ((None, BAD, None), "fails unexpectedly", "fails as declared", (BIAS,)),
        ((None, None, None), "", "", ()),
    ],
)
def test_the_vocabulary(sides, if_valid, if_fails, decided_by):
    known = dict(zip((COVERAGE, BIAS, SE), sides, strict=True))
    known = {name: side for name, side in known.items() if side is not None}
    for expects, wanted in ((Expected.VALID, if_valid), (Expected.FAILS, if_fails)):
        verdict, by = judge_expectation(expects, known)
        assert verdict == wanted
        assert decided_by is None or by == decided_by


# From a score table


def scores(*rows):
    """Return a score table with one row for each (names, covered, replicates, changes)."""
    lines = []
    for row, covered, replicates, changes in rows:
        held = proportion(covered, replicates - changes.get("declined", 0))
        lines.append(
            dict.fromkeys(SCORED) | {"level": 0.95, "options": "{}"} | row
            | {
                "replicates": replicates, "answered": replicates, "failures": 0, "declined": 0,
                "truth": 1.0, "truth_mcse": 0.0, "bias": 0.0, "empirical_se": 1.0,
                "coverage_with_failures": held.value, "coverage_with_failures_mcse": held.mcse,
            } | changes
        )  # fmt: skip
    return pd.DataFrame(lines)


def verdicts(*rows, spec=None):
    return judge_expectations(scores(*rows), CATALOGUE, spec or {}).to_dict("records")


def test_limits_are_adjusted_for_all_rows_whose_coverage_is_judged():
    bearing = [(names("toy/robust"), 95, 100, {}), (names("toy/both"), 90, 100, {})]
    unexpected = (names("toy/robust", sorting=0.4), 10, 100, {})
    silent = (names("toy/oracle"), 0, 100, {"declined": 100})
    found = verdicts(*bearing, unexpected, silent)
    assert [(f["low"], f["high"]) for f in found[:3]] == [
        exact(k, 100, ALPHA / 3) for k in (95, 90, 10)
    ]
    assert [(f["coverage_verdict"], f["verdict"]) for f in found[2:]] == [
        ("broken", ""), ("declined", ""),
    ]  # fmt: skip
    assert isnan(found[3]["low"])


def test_limits_are_adjusted_for_biases_and_standard_errors_too():
    whole, without_errors, without_bias = (
        (names("toy/robust"), 1900, 2000, ERRORS | changes)
        for changes in ({}, {"model_se": np.nan, "se_ratio": np.nan}, {"bias_mcse": np.nan})
    )
    for rows, judged in (([whole], 3), ([whole, without_errors], 5), ([whole, without_bias], 4)):
        found = verdicts(*rows)[0]
        assert (found["low"], found["high"]) == exact(1900, 2000, ALPHA / judged)


def test_the_table_has_a_row_for_each_score_in_its_order():
    table = scores((names("toy/robust"), 95, 100, {}), (names("toy/naive"), 3, 100, {}))
    found = judge_expectations(table, CATALOGUE, {})
    assert tuple(found.columns) == EXPECTATIONS
    pd.testing.assert_frame_equal(found[list(SCORED)], table[list(SCORED)])


V = ExpectationVerdict


@pytest.mark.parametrize(
    ("row", "covered", "changes", "verdict", "note"),
    [
        (names("toy/robust"), 1900, {}, V.VALID, ""),
        (names("toy/robust"), 1500, {}, V.FAILS_UNEXPECTEDLY, ""),
        (names("toy/robust"), 1990, {}, V.CONSERVATIVE, ""),
        (names("toy/robust"), 1805, {}, V.INCONCLUSIVE, ""),
        (names("toy/robust"), 0, {"answered": 0, "failures": 2000}, V.NO_ANSWER,
         "answered none of 2000"),
        (names("toy/robust"), 900, {"answered": 999, "failures": 1001}, V.NO_ANSWER,
         "answered 999 of 2000"),
        (names("toy/robust"), 900, {"answered": 1000, "failures": 1000}, V.FAILS_UNEXPECTEDLY, ""),
        (names("toy/robust", sorting=0.4), 100, {"answered": 999, "failures": 1001}, V.NO_ANSWER,
         "answered 999 of 2000"),
        (names("toy/robust"), 1900, {"excludes_estimate": 0.25, "excludes_estimate_low": 0.2},
         V.CONTRADICTS, "25 % of its answers lie outside their own limits"),
        (names("toy/robust"), 1900, {"contradicts_p_value": 0.6, "contradicts_p_value_low": 0.55},
         V.CONTRADICTS, "60 % of its p-values contradict its limits"),
        (names("toy/robust"), 1900, {"excludes_estimate": 0.01, "excludes_estimate_low": 0.005},
         V.VALID, ""),
        (names("toy/robust"), 0, {"answered": 0, "declined": 2000}, V.NONE,
         "the method declined every data set"),
        (names("toy/robust"), 950, {"answered": 1000, "declined": 1000}, V.VALID,
         "judged on the 1000 of 2000 data sets that it did not decline"),
        (names("toy/robust"), 1805, {"answered": 1900, "declined": 100}, V.VALID, ""),
        (names("toy/robust"), 1900, {"coverage_with_failures": np.nan}, V.NONE,
         "the method gives no limits, so coverage is undefined"),
        (names("toy/robust"), 0, {"empirical_se": 1e-18}, V.NONE,
         "the estimates do not vary, so that being covered says nothing"),
        (names("toy/robust"), 1900, {"kind": "diagnostic"}, V.NONE,
         "a diagnostic: diagnostics.csv scores it"),
        (names("toy/robust"), 1900, {"level": np.nan}, V.NONE, "there is no level between 0 and 1"),
        (names("toy/robust", estimand="LATE"), 1900, {}, V.OTHER_QUESTION, ""),
    ],
)  # fmt: skip
def test_verdicts_and_what_has_none(row, covered, changes, verdict, note):
    [found] = verdicts((row, covered, 2000, changes))
    assert (found["verdict"], found["note"]) == (verdict, note)
    assert isnan(found["needed"]) is (verdict is not ExpectationVerdict.INCONCLUSIVE)


ERRORS = {
    "moments": True, "bias_mcse": 1 / sqrt(2000), "empirical_se_mcse": 1 / sqrt(4000),
    "model_se": 1.0, "se_ratio": 1.0, "se_ratio_mcse": 1 / sqrt(4000),
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "verdict", "decided_by", "unjudged"),
    [
        ({}, V.VALID, "coverage, bias, standard errors", ""),
        ({"bias": 1.0}, V.FAILS_UNEXPECTEDLY, "bias", ""),
        ({"bias": -1.0}, V.FAILS_UNEXPECTEDLY, "bias", ""),
        ({"bias": 0.5}, V.INCONCLUSIVE, "bias", ""),
        ({"se_ratio": 0.5}, V.FAILS_UNEXPECTEDLY, "standard errors", ""),
        ({"se_ratio": 2.0}, V.CONSERVATIVE, "standard errors", ""),
        ({"se_ratio": 0.8}, V.INCONCLUSIVE, "standard errors", ""),
        ({"moments": False, "bias": 9.0}, V.VALID, "coverage",
         "bias, standard errors: averages over replicates cannot be relied on"),
        ({"model_se": np.nan, "se_ratio": np.nan}, V.VALID, "coverage, bias",
         "standard errors: the method gives no standard errors"),
        ({"coverage_with_failures": np.nan}, V.VALID, "bias, standard errors",
         "coverage: the method gives no limits, so coverage is undefined"),
        ({"bias_mcse": np.nan}, V.VALID, "coverage", "bias, standard errors: too few replicates"),
        ({"se_ratio": 3e15, "empirical_se": 1e-18}, V.NONE, "",
         "coverage: the estimates do not vary, so that being covered says nothing; bias, standard "
         "errors: the estimates do not vary"),
    ],
)  # fmt: skip
def test_valid_is_about_bias_standard_errors_and_coverage(changes, verdict, decided_by, unjudged):
    [found] = verdicts((names("toy/robust"), 1900, 2000, ERRORS | changes))
    assert (found["verdict"], found["decided_by"]) == (verdict, decided_by)
    assert found["unjudged"] == unjudged


def test_bands_are_judged_once_for_all_horizons():
    """A family's joint coverage stands in its first row, and costs the others one limit."""
    held = proportion(34, 2000)
    bands = {
        "simultaneous_coverage_with_failures": held.value,
        "simultaneous_coverage_with_failures_mcse": held.mcse,
    }  # fmt: skip
    rows = [(names("toy/few", estimand="ATT", horizon=h), 1900, 2000, bands) for h in range(3)]
    found = verdicts(*rows)
    assert [f["verdict"] for f in found] == [V.FAILS_UNEXPECTEDLY, V.VALID, V.VALID]
    assert found[0]["decided_by"] == "bands" and found[0]["bands_verdict"] == "broken"
    limits = [found[0]["bands_low"], found[0]["bands_high"]]
    assert limits == pytest.approx(exact(34, 2000, ALPHA / 4))
    assert isnan(found[1]["bands"]) and found[1]["bands_verdict"] == ""


def test_bounds_are_the_suites():
    expect = {"bias": {"toy/robust": 1.2}, "se_ratio": [0.4, 1.5]}
    spec = {"cells": [TABLE | {"expect": expect}]}
    off = ERRORS | {"bias": 1.0, "se_ratio": 0.5}
    robust, both = verdicts(
        *((names(name), 1900, 2000, off) for name in ("toy/robust", "toy/both")), spec=spec
    )
    assert (robust["verdict"], robust["bias_most"], robust["se_ratio_least"]) == (V.VALID, 1.2, 0.4)
    assert (both["verdict"], both["decided_by"]) == (V.FAILS_UNEXPECTEDLY, "bias")


def test_failures_that_are_expected_and_those_that_do_not_come():
    spec = {
        "cells": [TABLE | {"dials": "grid", "expect": {"fails": {"toy/robust": {"sorting": 0.2}}}}]
    }
    found = verdicts(
        (names("toy/robust", sorting=0.4), 1000, 2000, {}),
        (names("toy/robust", sorting=0.2), 1900, 2000, {}),
        (names("toy/robust", sorting=0.1), 1900, 2000, {}),
        spec=spec,
    )
    assert [f["verdict"] for f in found] == [
        ExpectationVerdict.FAILS,
        ExpectationVerdict.SURVIVES,
        "",
    ]


def test_floors_come_from_the_suite_with_their_reason():
    spec = {"cells": [TABLE | {"expect": {"floor": {"toy/robust": 0.8}, "why": "few clusters"}}]}
    rows = [(names(name), 1700, 2000, {}) for name in ("toy/robust", "toy/both")]
    found = verdicts(*rows, spec=spec)
    assert [(f["floor"], f["verdict"]) for f in found] == [
        (0.8, ExpectationVerdict.VALID), (0.9, ExpectationVerdict.FAILS_UNEXPECTEDLY),
    ]  # fmt: skip
    assert found[0]["note"] == "few clusters"


def test_an_error_in_the_truth_widens_the_limits_by_its_quantile():
    of_truth, share = 0.01, 0.93
    error = sqrt(share * (1 - share) / 2000 + of_truth**2)
    row = (names("toy/robust"), 1860, 2000, {"coverage_with_failures_mcse": error})
    for judged in (1, 5):
        found, *_ = verdicts(*[row] * judged)
        low, high = exact(1860, 2000, ALPHA / judged)
        reach = NormalDist().inv_cdf(1 - ALPHA / judged / 2) * of_truth
        assert (found["low"], found["high"]) == pytest.approx((low - reach, high + reach), rel=1e-9)


def test_an_empty_table_has_an_empty_answer():
    empty = scores((names("toy/robust"), 1, 2, {})).iloc[:0]
    assert judge_expectations(empty, CATALOGUE, {}).empty


def test_a_run_folder_is_all_it_takes(tmp_path):
    cell = {
        "scenario": "did/two-group", "n": 20, "dials": {"rho": 0.9},
        "estimators": ["panel/twfe", "baseline/zero", "oracle/experiment"],
        "expect": {"fails": {"panel/twfe": {"rho": 0.6}}, "floor": 0.8},
    }  # fmt: skip
    suite = {"name": "t", "seed": 1, "replicates": 3, "cells": [cell]}
    run = cibench.run(suite, tmp_path / "run")
    table = run.expectations
    assert list(table["expected"]) == ["valid", "valid", "valid", "fails", "valid", "valid"]
    assert list(table["note"][table["estimator"] == "baseline/zero"].unique()) == [
        "the method gives no limits, so coverage is undefined"
    ]
    run.write_scores()
    code = (
        "import json, tomllib, pathlib\n"
        "from cibench.results import RunTables\n"
        "folder = pathlib.Path('run')\n"
        "catalogue = json.loads((folder / 'catalogue.json').read_text())\n"
        "spec = tomllib.loads((folder / 'suite.toml').read_text())\n"
        "found = RunTables.of_folder(folder, catalogue, suite=spec)['expectations']\n"
        "print(*found['verdict'], sep='|')"
    )
    verdict, modules = loaded(code, RUNNING, tmp_path)
    assert verdict.split("|") == list(table["verdict"]) and modules == []
    stored = pd.read_csv(tmp_path / "run" / "expectations.csv", keep_default_na=False)
    assert list(stored["verdict"]) == list(table["verdict"])
