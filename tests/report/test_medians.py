"""Where estimates have no finite moments, tables for people have marked medians and say why."""

import re

import pytest

import cibench
from cibench import BadInput
from cibench.cli.display import show_scores
from cibench.metrics.moments import SQUARES
from cibench.render.numbers import BLANK, error_of, number
from cibench.report.summary import summary, summary_notes
from cibench.report.views import MEDIAN
from cibench.suite import parse_suite

HEAVY, PLAIN = "aipw/linear", "regression/by-arm"
SPEC = {
    "name": "medians", "seed": 1, "replicates": 30,
    "cells": [{"scenario": "observables/heterogeneous", "n": 120, "estimators": [HEAVY, PLAIN]}],
}  # fmt: skip


def made(folder, **keys):
    run = cibench.run(parse_suite(SPEC | keys), out=folder / "run")
    run.write_scores()
    run.write_report()
    return run


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    return made(tmp_path_factory.mktemp("hidden"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return made(tmp_path_factory.mktemp("shown"), show_moments=True)


def score_of(run, estimator):
    return run.scores.set_index("estimator").loc[estimator]


def cell(score, name, mark=""):
    value, error = score[name], score[f"{name}_mcse"]
    return f"{number(value, error)}{mark} {error_of(value, error)}"


def test_the_terminals_table_has_the_median_bias_marked_and_a_footnote(hidden, capsys):
    lines = summary(hidden.scores, hidden.expectations, hidden.catalogue).set_index("estimator")
    assert lines.loc[HEAVY, "bias"] == cell(score_of(hidden, HEAVY), "median_bias", MEDIAN)
    assert lines.loc[PLAIN, "bias"] == cell(score_of(hidden, PLAIN), "bias")
    assert lines.loc[HEAVY, "empirical SE"] == BLANK  # no spread by medians stands for it
    show_scores(hidden)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{MEDIAN} Averages over these replicates cannot be relied on: {HEAVY} (no fin" in said
    assert "median of estimate minus truth for bias" in said
    assert "empirical SE and SE ratio have none" in said and "show_moments = true" in said
    assert "median absolute error" not in said  # that table has no RMSE
    assert summary_notes(hidden.scores, hidden.catalogue)[0] in hidden._repr_html_()


@pytest.mark.parametrize(("ending", "mark"), [("md", MEDIAN), ("tex", "$^\\dagger$")])
def test_tables_for_a_paper_have_medians_for_bias_and_rmse(hidden, ending, mark):
    text = (hidden.folder / "tables" / f"scores.{ending}").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.lstrip("| ").startswith(HEAVY)]
    score = score_of(hidden, HEAVY)
    for name in ("median_bias", "mad"):
        expected = cell(score, name, mark)
        assert (expected.replace("−", "$-$") if ending == "tex" else expected) in row
    assert row.count(mark) == 2
    assert (
        f"{mark} Averages over these replicates cannot be relied on" in text
        and "median absolute error for RMSE" in text
    )


def test_the_suite_may_have_averages_shown(shown, hidden, capsys):
    score = score_of(shown, HEAVY)
    assert bool(score["moments"]) and score["moments_note"] == "declared"
    lines = summary(shown.scores, shown.expectations, shown.catalogue).set_index("estimator")
    assert lines.loc[HEAVY, "bias"] == cell(score, "bias")
    text = (shown.folder / "tables" / "scores.md").read_text(encoding="utf-8")
    assert MEDIAN not in text and cell(score, "rmse") in text
    show_scores(shown)
    said = " ".join(capsys.readouterr().out.split())
    assert f"Averages are shown as the suite asks, though none can be relied on: {HEAVY}." in said
    assert score["bias"] == score_of(hidden, HEAVY)["bias"]  # scores.csv has them in any case


def test_standard_errors_that_no_average_stands_for_have_a_footnote(hidden):
    scores = hidden.scores.copy()
    scores.loc[scores["estimator"] == PLAIN, "note"] = f"90 % {SQUARES}: model_se, se_ratio; few: b"
    (_, note) = summary_notes(scores, hidden.catalogue)
    end = f"of standard errors that none stands for: {PLAIN} (90 % {SQUARES})."
    assert note == f"No average, and no SE ratio, {end}"


def test_without_such_estimators_there_is_no_footnote(tmp_path):
    spec = {**SPEC, "cells": [{**SPEC["cells"][0], "estimators": [PLAIN]}]}
    run = cibench.run(parse_suite(spec), out=tmp_path / "run")
    assert summary_notes(run.scores, run.catalogue) == []


def test_the_key_takes_true_or_false_and_adds_no_fit(hidden, tmp_path):
    with pytest.raises(BadInput, match=r"show_moments: 1 is not true or false"):
        parse_suite({**SPEC, "show_moments": 1})
    with pytest.raises(BadInput, match=r"no key named 'show_moment'; did you mean 'show_moments'"):
        parse_suite({**SPEC, "show_moment": True})
    first = cibench.run(parse_suite(SPEC), out=tmp_path / "run").manifest["created"]
    later = cibench.run(parse_suite({**SPEC, "show_moments": True}), out=tmp_path / "run")
    assert later.manifest["created"] == first
    assert bool(score_of(later, HEAVY)["moments"])
    assert re.search(r"^show_moments = true$", (later.folder / "suite.toml").read_text(), re.M)
