"""What may be wrong with answers and exports: a line each, exit code 2, nothing half stored."""

import numpy as np
import pandas as pd
import pytest
from toys import plugin

import cibench
from cibench.exchange import export_suite, import_answers
from cibench.exchange.data_formats import encoded
from cibench.suite.parse import parse_suite
from cibench.utils.errors import BadInput

CELL = {"scenario": "did/two-group", "n": 20, "estimators": "did/collapsed"}
SPEC = {"name": "small", "seed": 11, "replicates": 3, "cells": [CELL]}


@pytest.fixture
def small(tmp_path):
    suite = parse_suite(SPEC)
    cibench.run(suite, tmp_path / "run")
    export_suite(suite, tmp_path / "out")
    return tmp_path


def answers_of(small):
    return pd.read_csv(small / "out" / "answers.csv").assign(
        estimate=[0.1, 0.2, 0.3], std_error=0.1
    )


def changed(**columns):
    return lambda a: a.assign(**columns)


UNSOUND = {
    "an unknown address": (
        lambda a: a.assign(question=["q0123456789abcdef", *a["question"][1:]]),
        "row 1: run has no question 'q0123456789abcdef'",
    ),
    "no address": (
        lambda a: a.assign(question=[None, *a["question"][1:]]), "row 1: run has no question ''",
    ),
    "an answer twice": (
        lambda a: pd.concat([a, a.tail(1)]), "row 4: question 'q",
    ),
    "another data set's hash": (
        lambda a: a.assign(data_hash=[*a["data_hash"][[1, 0]], a["data_hash"][2]]),
        "its data have the hash h",
    ),
    "no hash": (changed(data_hash=np.nan), "but the answer says ''"),
    "no column of hashes": (lambda a: a.drop(columns="data_hash"), "no column named 'data_hash'"),
    "no column of estimates": (lambda a: a.rename(columns={"estimate": "b"}), "'estimate'"),
    "a limit alone": (lambda a: a.drop(columns="ci_high"), "'ci_low' stands without 'ci_high'"),
    "a text for a number": (changed(std_error=["0.1", "big", "0.1"]), "std_error: 'big' is not"),
    "not filled in": (
        changed(estimate=np.nan, std_error=np.nan),
        "a.csv: no row has an estimate, and none says that its data set was declined",
    ),
    "no rows": (lambda a: a.head(0), "it holds no answers"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNSOUND)
def test_each_is_a_line_and_nothing_is_stored(small, call, what):
    change, words = UNSOUND[what]
    change(answers_of(small)).to_csv(small / "a.csv", index=False)
    before = {p: p.read_bytes() for p in (small / "run").rglob("*") if p.is_file()}
    code, _, err = call("import", "run", "a.csv", "--estimator", "mine")
    assert code == 2 and words in err and "Traceback" not in err, err
    after = {p: p.read_bytes() for p in (small / "run").rglob("*") if p.is_file()}
    assert after == before


def test_of_many_faults_some_are_told_and_the_others_counted(small, call):
    table = answers_of(small)
    strange = pd.concat([table.assign(question=f"q{k}") for k in range(10)])
    strange.to_csv(small / "a.csv", index=False)
    code, _, err = call("import", "run", "a.csv", "--estimator", "mine")
    assert code == 2 and err.count("\n") == 21 and "and 10 more" in err


NAMES = {
    "did/collapsed": "is a method of the suite", "rd/local-linear": "is taken by",
    "My Method": "is not of the form name or family/name", "": "is not of the form",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_anothers_is_refused(small, call, name):
    answers_of(small).to_csv(small / "a.csv", index=False)
    code, _, err = call("import", "run", "a.csv", "--estimator", name)
    assert code == 2 and (NAMES[name] in err or "is taken by" in err) and err.count("\n") == 1, err
    assert "handed_in" not in cibench.load(small / "run").manifest


def test_other_answers_under_a_name_that_has_some_are_refused(small, call):
    table = answers_of(small)
    table.to_csv(small / "a.csv", index=False)
    assert call("import", "run", "a.csv", "--estimator", "mine").code == 0
    table.assign(estimate=[0.1, 0.25, 0.3]).to_csv(small / "b.csv", index=False)
    code, _, err = call("import", "run", "b.csv", "--estimator", "mine")
    assert code == 2 and "has another answer in the run already" in err and err.count("\n") == 1
    table.drop(columns=["std_error"]).to_csv(small / "c.csv", index=False)
    code, _, err = call("import", "run", "c.csv", "--estimator", "mine")
    assert code == 2 and "whose gives are value, se, limits, not value" in err
    assert call("import", "run", "a.csv", "--estimator", "mine").code == 0  # the same again
    rows = cibench.load(small / "run").replicates
    assert (rows["estimator"] == "imported/mine").sum() == 3


@pytest.mark.parametrize("name", ["std_err", "ci_lower", "pvalue", "Declined"])
def test_a_column_that_is_nearly_one_of_an_answer_is_told(small, call, name):
    answers_of(small).assign(**{name: 0.1}).to_csv(small / "a.csv", index=False)
    code, _, err = call("import", "run", "a.csv", "--estimator", "mine")
    assert code == 2 and f"no column of answers is named '{name}'; did you mean" in err
    answers_of(small).assign(note="mine").to_csv(small / "a.csv", index=False)
    assert call("import", "run", "a.csv", "--estimator", "mine").code == 0


def test_places_that_are_none_are_told(small, call):
    answers_of(small).to_csv(small / "a.csv", index=False)
    for words, line in {
        ("import", "nowhere", "a.csv", "--estimator", "m"): "is not a run folder; --suite begins",
        ("import", "run", "b.csv", "--estimator", "m"): "there is no such file",
        ("import", "run", "a.csv"): "--estimator: is missing",
        ("import", "run", "run/plots", "--estimator", "m"): "there is no such file",
        ("import", "run", "a.csv", "--estimator", "m", "--reveal", "l"): "nothing was sealed",
        ("export", "quickstart", "--out", "run"): "exists and is not empty",
        ("export", "quickstart", "--out", "x", "--format", "xls"): "no format named 'xls'",
        ("export", "quickstart", "--out", "x", "--owner", "y"): "belongs to --sealed",
        ("export", "nosuch", "--out", "x"): "no suite named",
    }.items():
        code, _, err = call(*words)
        assert code == 2 and line in err and err.count("\n") == 1, (words, err)
        assert not (small / "x").exists()


def test_a_run_of_tables_made_elsewhere_takes_no_answers(small, call):
    table = pd.DataFrame({"b": [0.4, 0.7], "se": 0.1, "dataset": [1, 2]})
    cibench.score(table, estimate="b", se="se", replicate="dataset", truth=0.5,
                  out=small / "table")  # fmt: skip
    answers_of(small).to_csv(small / "a.csv", index=False)
    code, _, err = call("import", "table", "a.csv", "--estimator", "m")
    assert code == 2 and "made elsewhere: nothing can be run" in err


UNDRAWABLE = '''
@scenario("toys/undrawable")
class Undrawable(Scenario):
    """Raise at the third replicate."""
    estimand = Estimand.ATE
    def truth(self):
        return 0.0
    def draw(self, n, rng):
        if rng.random() < 0.5:
            raise RuntimeError("no such luck")
        return Draw({"y": np.zeros(n), "d": np.zeros(n)}, np.zeros(n), np.zeros(n))
'''


def test_a_data_set_that_cannot_be_drawn_leaves_nothing_behind(tmp_path, shelves, call):
    text = "from cibench import Draw, Estimand, Scenario, scenario\n" + plugin("toys", UNDRAWABLE)
    (tmp_path / "toys_here.py").write_text(text, encoding="utf-8")
    spec = """
name = "u"
seed = 1
replicates = 9
plugins = ["toys_here.py"]
[[cells]]
scenario = "toys/undrawable"
n = 20
estimators = "naive/difference-in-means"
"""
    (tmp_path / "u.toml").write_text(spec, encoding="utf-8")
    for more in ((), ("--sealed",)):
        code, _, err = call("export", "u.toml", "--out", "x", *more)
        assert code == 2 and "cannot be drawn: RuntimeError: no such luck" in err, err
        assert {p.name for p in tmp_path.iterdir()} - {"__pycache__"} == {"toys_here.py", "u.toml"}


LIMITED = {
    "a name that Stata lacks": ("dta", {"x_2=B": np.zeros(2)}, "no name of a variable in Stata"),
    "a huge number": ("dta", {"x": np.array([1.0, 9e307])}, "numbers that Stata takes for missing"),
    "an infinite number": ("dta", {"x": np.array([1.0, np.inf])}, "Stata takes for missing"),
    "a whole number": ("dta", {"x": np.array([1, 2**60])}, "whole numbers that no double holds"),
    "texts": ("npz", {"x": np.array(["a", "b"], dtype=object)}, "npz files hold no texts"),
}  # fmt: skip


@pytest.mark.parametrize("what", LIMITED)
def test_what_a_format_cannot_hold_is_refused(what):
    ending, columns, words = LIMITED[what]
    with pytest.raises(BadInput, match=words):
        encoded(columns, ending, "data/1")


def test_a_failure_midway_keeps_the_run_as_it_was(small, monkeypatch):
    answers_of(small).to_csv(small / "a.csv", index=False)
    from cibench.exchange import importing

    def broken(*_):
        raise BadInput("drawn otherwise")

    monkeypatch.setattr(importing, "drawn", broken)
    before = {p: p.read_bytes() for p in (small / "run").rglob("*") if p.is_file()}
    with pytest.raises(BadInput, match="drawn otherwise"):
        import_answers(small / "run", small / "a.csv", "mine")
    assert {p: p.read_bytes() for p in (small / "run").rglob("*") if p.is_file()} == before


def test_a_suite_beside_a_run_must_be_that_of_the_run(small, call):
    answers_of(small).to_csv(small / "a.csv", index=False)
    before = {p: p.read_bytes() for p in (small / "run").rglob("*") if p.is_file()}
    for change in ({"seed": 12}, {"replicates": 4}, {"cells": [CELL | {"n": 22}]}):
        other = parse_suite({**SPEC, **change, "name": "other"})
        (small / "other.toml").write_text(other.as_toml(), encoding="utf-8")
        code, _, err = call("import", "run", "a.csv", "--estimator", "m", "--suite", "other.toml")
        assert code == 2 and err.count("\n") == 1
        assert "suite: run holds a run already, of 'small' with other data sets than 'other'" in err
    assert {p: p.read_bytes() for p in (small / "run").rglob("*") if p.is_file()} == before
    (small / "same.toml").write_text(parse_suite(SPEC).as_toml(), encoding="utf-8")
    words = ("import", "run", "a.csv", "--estimator", "m", "--suite", "same.toml")
    assert call(*words).code == 0
    assert "imported/m" in set(cibench.load(small / "run").replicates["estimator"])
