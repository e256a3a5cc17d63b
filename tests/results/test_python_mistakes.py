"""What a caller from Python misspells is bad input with the near miss, before anything is run."""

import pyarrow as pa
import pytest

import cibench
from cibench.execution import plan
from cibench.gate import compare
from cibench.lessons import asked
from cibench.suite import parse_suite
from cibench.utils.errors import BadInput

SPEC = {
    "name": "small", "seed": 1, "replicates": 5,
    "cells": [{
        "scenario": "did/two-group", "n": 20,
        "estimators": ["did/collapsed", "naive/difference-in-means"],
    }],
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return cibench.run(SPEC)


def test_a_reference_that_nobody_is(run):
    with pytest.raises(BadInput, match=r"named 'did/colapsed'; did you mean 'did/collapsed'\?"):
        cibench.pairs(run.replicates, run.catalogue, against="did/colapsed")
    assert not cibench.pairs(run.replicates, run.catalogue, against="did/collapsed").empty


def test_a_measure_that_cannot_be_planned_for(monkeypatch):
    monkeypatch.setattr("cibench.execution.plans.execute", None)  # no pilot is run
    with pytest.raises(BadInput, match=r"no measure named 'biass'; did you mean 'bias'\?"):
        plan(parse_suite(SPEC), {"biass": 0.1})
    with pytest.raises(BadInput, match="the target for bias, 0, is not above 0"):
        plan(parse_suite(SPEC), {"bias": 0})


def test_a_question_that_nobody_asks(run):
    with pytest.raises(BadInput, match=r"named 'treatd'; did you mean 'treated'\?"):
        asked(run, "treatd")


@pytest.mark.parametrize("column", ["data_hash", "estimate", "df", "status", "replicate"])
def test_rows_without_a_column_that_a_comparison_needs(run, column):
    rows = pa.Table.from_pandas(run.replicates)
    with pytest.raises(BadInput, match=f"the rows after: another schema: it lacks {column}"):
        compare(rows, rows.drop_columns([column]))
    assert str(compare(rows, rows).verdict) == "identical"
