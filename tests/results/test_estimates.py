"""Scores of tables that were made elsewhere: published ones, our own without their run, hostile."""

import copy
import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import loaded
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

import cibench
from cibench import BadInput
from cibench.gate import baseline
from cibench.report.score_readings import without_limits
from cibench.results import RunTables

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(
    not ORACLES.is_dir(), reason="the published oracle files are not beside this checkout"
)
FIVE_DECIMALS = 0.5e-5 + 1e-9
MISIM = {"estimate": "b", "se": "se", "method": "method", "replicate": "dataset"}
WELCH = {
    "estimate": "est", "variance": "var", "low": "lower_bound", "high": "upper_bound",
    "p_value": "p_val", "method": "method", "truth": "mean_diff", "by": ["n1", "n2", "mean_diff"],
}  # fmt: skip


# --- published tables


@needs_oracles
def test_simsums_table_is_reproduced_with_its_normal_errors() -> None:
    run = cibench.score(ORACLES / "misim_estimates.csv", **MISIM, truth=0.5, errors="normal")
    scores = run.scores.set_index("estimator")
    names = {"bias": "bias", "empse": "empirical_se", "mse": "mse", "modelse": "model_se",
             "relerror": "se_ratio", "cover": "coverage", "power": "rejection",
             "relprec": "precision_gain"}  # fmt: skip
    published = pd.read_csv(ORACLES / "misim_expected.csv")
    assert {*published["stat"]} == {*names} and len(published) == 24
    for row in published.to_dict("records"):
        name, percent = names[row["stat"]], row["stat"] in ("relerror", "relprec")
        value = scores.loc[row["method"], name] - (row["stat"] == "relerror")
        close = 2e-8 if percent else 1e-6  # in percent there, and in single precision
        scale = 100 if percent else 1
        assert value == pytest.approx(row["est"] / scale, abs=max(close, 1e-6)), row
        if row["stat"] != "relprec":  # an older formula there
            error = scores.loc[row["method"], f"{name}_mcse"]
            assert error == pytest.approx(row["mcse"] / scale, abs=1e-6), row


@needs_oracles
def test_simhelpers_tables_are_reproduced_cell_by_cell() -> None:
    run = cibench.score(ORACLES / "welch_estimates.csv", **WELCH)
    scores = run.scores
    keys = scores["parameters"].map(json.loads)
    scores = scores.assign(**{k: keys.map(lambda p, k=k: p[k]) for k in ("n1", "n2", "mean_diff")})
    checked = 0
    for table, columns in {
        "coverage": {"coverage": "coverage", "coverage_mcse": "coverage_mcse",
                     "width": "ci_length", "width_mcse": "ci_length_mcse"},
        "rejection": {"rej_rate": "rejection", "rej_rate_mcse": "rejection_mcse"},
        "absolute": {"bias": "bias", "bias_mcse": "bias_mcse", "stddev": "empirical_se",
                     "stddev_mcse": "empirical_se_mcse", "mse": "mse", "rmse": "rmse"},
    }.items():  # fmt: skip
        published = pd.read_csv(ORACLES / f"welch_expected_{table}.csv")
        published = published.assign(estimator=published.get("method", "t-test"))
        both = published.merge(
            scores, on=["n1", "n2", "mean_diff", "estimator"], suffixes=("", "_")
        )
        assert len(both) == len(published) > 0
        for theirs, ours in columns.items():
            own = both[f"{ours}_" if f"{ours}_" in both else ours].to_numpy()
            assert own == pytest.approx(both[theirs].to_numpy(), abs=FIVE_DECIMALS), theirs
            checked += 1
    assert checked == 12


# --- a run of ours, and the same rows without it


@pytest.fixture(scope="module")
def ours() -> cibench.Run:
    cell = {"scenario": "rd/cct-1", "n": [150, 200], "dials": {"sorting": [0.2, 0.4]},
            "estimators": ["rd/local-linear", "rd/global-polynomial"]}  # fmt: skip
    return cibench.run({"name": "ours", "seed": 3, "replicates": 30, "cells": [cell]})


def as_table(run: cibench.Run) -> pd.DataFrame:
    """Return a run's rows as somebody's loop would have them."""
    rows = run.replicates.copy()
    rows["sorting"] = rows["dials"].map(lambda d: json.loads(d)["sorting"])
    rows["went"] = (rows["status"] == "ok").astype(int)
    names = ["n", "sorting", "estimator", "replicate", "truth", "estimate", "std_error", "ci_low",
             "ci_high", "p_value", "went"]  # fmt: skip
    return rows[names].rename(columns={"estimate": "b", "std_error": "se"})


OURS = {
    "estimate": "b", "se": "se", "low": "ci_low", "high": "ci_high", "p_value": "p_value",
    "method": "estimator", "replicate": "replicate", "truth": "truth", "answered": "went", "n": "n",
    "dials": {"sorting": 0.0},
}  # fmt: skip
COMPARED = ("bias", "rmse", "empirical_se", "se_ratio", "coverage", "coverage_with_failures",
            "interval_score", "rejection", "ci_length", "precision_gain")  # fmt: skip


def in_order(table: pd.DataFrame, *more: str) -> pd.DataFrame:
    keys = ["n", "setting", "estimator", *more]
    there = [key for key in keys if key in table]
    return table.sort_values(there, ignore_index=True)


@pytest.mark.parametrize("ending", ["", "csv", "parquet", "dta"])
def test_rows_alone_have_the_scores_of_their_run(ours, tmp_path, ending) -> None:
    table = as_table(ours).sample(frac=1, random_state=1)
    what: object = table
    if ending:
        what = tmp_path / f"loop.{ending}"
        {
            "csv": lambda: table.to_csv(what, index=False),
            "parquet": lambda: table.to_parquet(what, index=False),
            "dta": lambda: table.to_stata(what, write_index=False),
        }[ending]()
    run = cibench.score(what, **OURS, name="ours")
    # the order of methods decides whose precision others are beside: it is that of the rows
    own, again = in_order(ours.scores), in_order(run.scores)
    assert own["setting"].equals(again["setting"]) and own["n"].equals(again["n"])
    for name in COMPARED:
        if name != "precision_gain":
            for column in (name, f"{name}_mcse"):
                assert again[column].to_numpy() == pytest.approx(
                    own[column].to_numpy(), rel=1e-12, abs=1e-14, nan_ok=True
                ), column


def test_pairs_and_sensitivity_are_those_of_the_run(ours) -> None:
    table = as_table(ours).sort_values("estimator")  # who is compared with whom is by their order
    run = cibench.score(table, **OURS, name="ours")
    # that settings share their noise is what the scenario says, and a table does not
    about = copy.deepcopy(ours.catalogue)
    about["scenarios"]["rd/cct-1"]["dials"]["sorting"]["paired"] = False
    known = RunTables.of_rows(ours.replicates, about)
    for table, numbers in (("pairs", ["difference", "low", "high"]),
                           ("sensitivity", ["breakdown", "slope", "slope_mcse"])):  # fmt: skip
        own, again = run.tables[table], known[table]
        keys = [k for k in ("n", "setting", "estimator", "other", "measure", "dial") if k in own]
        own, again = (x.sort_values(keys, ignore_index=True) for x in (own, again))
        assert len(own) == len(again) > 0
        for column in numbers:
            assert own[column].to_numpy(dtype=float) == pytest.approx(
                again[column].to_numpy(dtype=float), rel=1e-9, abs=1e-12, nan_ok=True
            )
    assert run.ranks["rank"].tolist() and {*run.ranks["estimator"]} == {*ours.ranks["estimator"]}


def test_nothing_is_expected_of_methods_that_nobody_declared(ours, tmp_path) -> None:
    table = as_table(ours)
    table[["b", "ci_low", "ci_high"]] += 5
    run = cibench.score(table, **OURS | {"p_value": ""}, out=tmp_path / "run")
    assert {*run.expectations["expected"]} == {""} and {*run.expectations["verdict"]} == {""}
    page = run.write_report().read_text(encoding="utf-8")
    words = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    assert "unexpectedly" not in words and 'id="surprises"' not in words
    assert re.search(r"<h2>[^<]* broke", page)  # that it does not cover is a fact all the same


def test_the_page_claims_nothing_of_data_that_nobody_here_has_seen(ours, tmp_path) -> None:
    table = as_table(ours).query("n == 150 and sorting == 0")
    named = OURS | {"n": "", "dials": {}}
    run = cibench.score(table, **named, out=tmp_path / "run", errors="normal")
    page = run.write_report().read_text(encoding="utf-8")
    for claim in ("same noise", "Seeds are derived", "not redrawn", "where its assumptions hold",
                  "n = 0"):  # fmt: skip
        assert claim not in page
    assert "made elsewhere" in page and "by the formulas for normal estimates" in page
    tables = (run.folder / "tables" / "scores.md").read_text(encoding="utf-8")
    assert "n = 0" not in tables and "normal estimates" in tables and "redrawn" not in tables
    own = ours.write_report().read_text(encoding="utf-8")  # which the claims are true of
    assert "same noise" in own and "Seeds are derived" in own and "made elsewhere" not in own


# --- what a table may leave out, and what becomes of rows without an answer


def small(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({
        "b": rng.normal(1, 1, 40), "se": rng.gamma(20, 0.05, 40), "who": ["p", "q"] * 20,
        "data": np.repeat(np.arange(20), 2),
    })  # fmt: skip
    return frame.assign(**columns)


NAMED = {"estimate": "b", "se": "se", "method": "who", "replicate": "data", "truth": 1.0}


def test_without_data_sets_no_two_methods_are_compared() -> None:
    run = cibench.score(small(), **NAMED | {"replicate": ""})
    assert run.scores["answered"].tolist() == [20, 20] and run.pairs["difference"].isna().all()
    assert {*run.pairs["note"]} == {"no replicate that both answered"}
    gains = run.scores.set_index("estimator")["precision_gain"]
    assert np.isnan(gains["q"])
    paired = cibench.score(small(), **NAMED)
    assert paired.pairs["difference"].notna().any() and paired.scores["bias"].equals(
        run.scores["bias"]
    )


def test_rows_without_an_answer_are_failures_that_missed() -> None:
    table = small(went=1)
    table.loc[[0, 2], "b"], table.loc[4, "b"], table.loc[[6, 8], "went"] = np.nan, np.inf, 0
    row = cibench.score(table, **NAMED, answered="went").scores.iloc[0]
    assert (row["replicates"], row["answered"], row["failures"]) == (20, 15, 5)
    used = table[(table["who"] == "p") & np.isfinite(table["b"]) & (table["went"] == 1)]
    assert row["bias"] == pytest.approx((used["b"] - 1).mean())
    held = (used["b"] - 1).abs() <= 1.959963984540054 * used["se"]
    assert row["coverage_with_failures"] == pytest.approx(held.sum() / 20)
    words = cibench.score(table.assign(went=["true", "false"] * 20), **NAMED, answered="went")
    assert words.scores["answered"].tolist() == [17, 0]
    assert {*words.failures["reason"]} == {"no estimate", "infinite estimate", "went is 0"}


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_limits_are_made_of_t_where_degrees_of_freedom_are_given(level) -> None:
    table = small(df=4.0)
    table.loc[10:, "df"] = np.nan
    run = cibench.score(table, **NAMED, df="df", level=level)
    rows = run.replicates.merge(table, left_on=["estimator", "replicate"], right_on=["who", "data"])
    reach = np.where(rows["df_y"].isna(), student.ppf((1 + level) / 2, np.inf),
                     student.ppf((1 + level) / 2, 4))  # fmt: skip
    assert rows["ci_high"].to_numpy() == pytest.approx(rows["b"] + reach * rows["se"])
    assert rows["ci_low"].to_numpy() == pytest.approx(rows["b"] - reach * rows["se"])


def test_each_data_set_may_have_a_truth_of_its_own() -> None:
    table = small(theta=np.repeat(np.linspace(0, 2, 20), 2))
    run = cibench.score(table, **NAMED | {"truth": "theta"}, truth_by_replicate=True)
    own = table[table["who"] == "q"]
    bias = run.scores.set_index("estimator").loc["q", "bias"]
    assert bias == pytest.approx((own["b"] - own["theta"]).mean())


def test_one_label_is_one_data_set_in_every_cell() -> None:
    table = small(cell=np.repeat([0, 1], 20), data=[f"s{i}" for i in range(20, 0, -1)] * 2)
    named = NAMED | {"method": "", "by": "cell"}
    rows = cibench.score(table, **named).replicates
    places = [rows[rows["parameters"] == f'{{"cell": {i}}}']["replicate"].tolist() for i in (0, 1)]
    shuffled = table.iloc[[*range(20), *range(39, 19, -1)]]
    again = cibench.score(shuffled, **named).replicates
    assert places[0] == places[1] == list(range(20))
    pd.testing.assert_frame_equal(rows.drop(columns="data_hash"), again.drop(columns="data_hash"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Limits were made of estimates and standard errors by the normal law."),
        ({"df": "df"}, "Limits were made of estimates and standard errors by Student’s t where df"),
        ({"low": "low", "high": "high"}, ""),
        ({"se": ""}, ""),
    ],
)
def test_the_page_says_how_limits_were_made(tmp_path, changes, words) -> None:
    table = small(df=5, low=0.0, high=2.0)
    run = cibench.score(table, **NAMED | changes, out=tmp_path / "run")
    page = html.unescape(run.write_report().read_text(encoding="utf-8")).replace("'", "’")
    assert words in page and ("Limits were made" in page) == bool(words)


@pytest.mark.parametrize("moves", [False, True])
def test_of_a_dial_nothing_is_said_that_the_table_does_not_say(tmp_path, moves) -> None:
    table = small(rho=np.repeat([0.0, 0.5], 20))
    table["theta"] = 1.0 + (table["rho"] if moves else 0)
    named = NAMED | {"truth": "theta", "dials": {"rho": 0}}
    run = cibench.score(table, **named, out=tmp_path / "run")
    page = html.unescape(run.write_report().read_text(encoding="utf-8"))
    assert ("moves with the dial" in page) == moves
    assert "an assumption”" not in page and "Along rho" in page
    assert "where “rho” holds" not in page and "rho = 0.5 (0 by default)" in page
    assert "as if settings had noise of their own" in page


@pytest.mark.parametrize("squared", [False, True])
def test_no_standard_error_is_below_zero_or_infinite(squared) -> None:
    """They are failures with a reason, alike for variances, and no interval holds anything."""
    table = small()
    table.loc[0, "se"], table.loc[2, "se"] = -1.0, np.inf
    named = NAMED | ({"se": "", "variance": "se"} if squared else {})
    run = cibench.score(table, **named)
    row = run.scores.iloc[0]
    what = "variance" if squared else "standard error"
    assert {*run.failures["reason"]} == {f"negative {what}", f"infinite {what}"}
    assert (row["answered"], row["failures"]) == (18, 2) and np.isfinite(row["interval_score"])
    rest = table.iloc[4::2]
    assert row["bias"] == pytest.approx((rest["b"] - 1).mean())
    mean_square = rest["se"].mean() if squared else (rest["se"] ** 2).mean()
    assert row["model_se"] == pytest.approx(np.sqrt(mean_square))


def test_answers_without_limits_are_told_wherever_they_count_as_misses(tmp_path, call) -> None:
    table = small()
    table.loc[table["who"].eq("p") & table["data"].isin([3, 7, 11]), "se"] = np.nan
    table.to_csv("loop.csv", index=False)
    done = call("score", "loop.csv", "--estimate", "b", "--se", "se", "--method", "who",
                "--replicate", "data", "--truth", "1")  # fmt: skip
    words = "Answers without limits are misses, like failures, in coverage of all tries: p (at most"
    words += " 3 of 20 in a cell)."
    run = cibench.load("results/loop")
    page = run.write_report().read_text(encoding="utf-8")
    assert words in " ".join(done.out.split()) and words in page
    assert words in run.table_text("markdown", "method", (), ["coverage"])
    assert "without limits" not in run.table_text("markdown", "method", (), ["bias"])
    whole = cibench.score(small(), **NAMED)
    assert "without limits" not in whole.table_text("markdown", "method", (), ["coverage"])


@given(st.integers(1, 60), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.data())
def test_how_many_answers_have_no_limits_follows_from_both_coverages(
    limited, lacking, failed, declined, data
):
    covered = data.draw(st.integers(1, limited))
    answered = limited + lacking
    score = {
        "answered": answered, "replicates": answered + failed + declined, "declined": declined,
        "coverage": covered / limited, "coverage_with_failures": covered / (answered + failed),
    }  # fmt: skip
    assert without_limits(score) == lacking


def test_no_command_is_printed_that_cannot_work(call) -> None:
    small(b=lambda x: x["b"].where(x["data"] != 3)).to_csv("loop.csv", index=False)
    done = call("score", "loop.csv", "--estimate", "b", "--se", "se", "--method", "who",
                "--replicate", "data", "--truth", "1")  # fmt: skip
    page = Path("results/loop/report.html").read_text(encoding="utf-8")
    assert "cibench replay" not in done.out + page and "first of replicate 3" in done.out
    assert call("rows", "results/loop", "--out", "loop.csv").code == 2
    assert call("rows", "results/loop", "--out", "rows.csv").code == 0
    assert call("table", "results/loop", "--out", "x.docx").code == 2


def test_an_unknown_size_is_blank_in_tables() -> None:
    run = cibench.score(small(), **NAMED)
    text = run.table_text("markdown", "method", "n", ["bias"])
    assert "n unknown" in text and "n = " not in text
    sized = cibench.score(small(n=50), **NAMED, n="n").table_text("markdown", "method", "n", "bias")
    assert "n = 50" in sized


def test_the_precision_of_a_method_over_itself_is_one_without_error() -> None:
    table = small()
    table.loc[1::2, ["b", "se"]] = table.loc[::2, ["b", "se"]].to_numpy()
    scores = cibench.score(table, **NAMED, errors="normal").scores
    assert (scores[["precision_gain", "precision_gain_mcse"]] == 0).all(axis=None)


def test_semicolons_separate_cells_too(tmp_path) -> None:
    small().to_csv(tmp_path / "semi.csv", index=False, sep=";")
    run = cibench.score(tmp_path / "semi.csv", **NAMED)
    assert run.scores["bias"].to_numpy() == pytest.approx(
        cibench.score(small(), **NAMED).scores["bias"].to_numpy()
    )


def test_labels_of_data_sets_may_be_texts(tmp_path) -> None:
    numbered = cibench.score(small(), **NAMED)
    named = cibench.score(small(data=lambda x: "set " + x["data"].astype(str)), **NAMED)
    pd.testing.assert_frame_equal(numbered.pairs, named.pairs)
    labels = pd.read_csv(named.folder / "data_sets.csv")
    assert labels["data_set"].tolist() == [f"set {i}" for i in range(20)]
    assert labels["replicate"].tolist() == list(range(20))
    assert not (numbered.folder / "data_sets.csv").exists()


# --- bad input: one clear line each, and nothing written


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"estimate": "bb"}, r"estimate: no column named 'bb'; did you mean 'b'\?"),
        ({"truth": "thruth"}, "truth: no column named 'thruth'"),
        ({"by": ["whoo"]}, r"by: no column named 'whoo'; did you mean 'who'\?"),
        ({"dials": {"rho": 0}}, "dials: no column named 'rho'"),
        ({"estimate": "who"}, "estimate: row 1 of column 'who' holds 'p', which is no number"),
        (
            {"method": ""},
            "rows 1 and 2: the method has two answers on replicate 0; name the column",
        ),
        ({"truth": "b"}, r"truth: 40 in a cell \(.*, \.\.\.\); name the column"),
        ({"low": "b"}, "low and high: name both or neither"),
        ({"variance": "se"}, "se and variance: one is enough"),
        ({"answered": "se"}, "answered: column 'se' holds other values than 1, 0, true and false"),
        ({"n": "se"}, "n: column 'se' does not hold numbers of units"),
        ({"level": 1.5}, "level: 1.5 is not between 0 and 1"),
        ({"errors": "none"}, "errors: 'none' is none of jackknife, normal"),
        ({"estimat": "b"}, r"no role of a column named 'estimat'; did you mean 'estimate'\?"),
        ({"truth": "gaps"}, "truth: row 3 has none"),
        ({"method": "gaps"}, "method: row 3 of column 'gaps' is empty"),
        ({"replicate": "gaps"}, "replicate: row 3 of column 'gaps' is empty"),
        ({"method": "hyphens"}, "its column 'estimator' holds '-p', which is not a name"),
        ({"method": "escapes"}, r"its column 'estimator' holds 'p.x1b\[2J', which is not a name"),
        ({"name": "a\x1bb"}, "name"),
        ({"level": 0}, "level: 0 is not between 0 and 1"),
        ({"df": "below"}, "df: that of row 5 is not above 0"),
        ({"p_value": "below"}, "p_value: that of row 5 is not between 0 and 1"),
        ({"low": "b", "high": "below"}, "low: that of row [0-9]+ is above its upper limit"),
        ({"dials": {"cell": 7}}, "dials: no row has cell = 7, its default"),
        ({"dials": {"n": 0}}, "dials: 'n' is a word of our own tables; rename the column"),
        ({"by": ["level"]}, "by: 'level' is a word of our own tables; rename the column"),
    ],
)
def test_bad_input_is_one_clear_line_and_nothing_is_written(tmp_path, changes, words) -> None:
    gaps = [1.0, 1.0, None, *[1.0] * 37]
    table = small(
        below=np.where(np.arange(40) == 4, -2.0, 1.0),
        cell=0,
        n=0,
        gaps=gaps,
        hyphens=lambda x: "-" + x["who"],
        escapes=lambda x: x["who"] + "\x1b[2J",
        **{"level": 1.0},
    )
    with pytest.raises(cibench.BadInput, match=words) as told:
        cibench.score(table, **NAMED | changes, out=tmp_path / "run")
    assert len(told.value.args) == 1 and not (tmp_path / "run").exists()


def test_a_truth_of_two_values_on_one_data_set_is_refused() -> None:
    table = small(theta=np.arange(40.0))
    with pytest.raises(cibench.BadInput, match=r"truth: 2 in a data set \(0, 1\)"):
        cibench.score(table, **NAMED | {"truth": "theta"}, truth_by_replicate=True)


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(cibench.BadInput, match="not empty"):
        cibench.score(small(), **NAMED, out=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    first = cibench.score(small(), **NAMED, out=tmp_path / "run")
    before = {p: p.read_bytes() for p in first.folder.rglob("*") if p.is_file()}
    with pytest.raises(cibench.BadInput, match="holds a run"):
        cibench.score(small(b=0.0), **NAMED, out=tmp_path / "run")
    assert before == {p: p.read_bytes() for p in first.folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"PAR1 no", b"a,b\n1", b"a,a\n1,2\n"])
@pytest.mark.parametrize("ending", ["csv", "parquet", "dta"])
def test_a_damaged_file_is_one_line(tmp_path, content, ending) -> None:
    path = tmp_path / f"table.{ending}"
    path.write_bytes(content)
    with pytest.raises(cibench.BadInput) as told:
        cibench.score(path, estimate="none", truth=0)
    assert all(path.name in line and "\n" not in line for line in told.value.args)


CELLS = st.sampled_from([0, 1, 2.5, -1.0, float("nan"), float("inf"), 1e300, "x", "", None, True])


@settings(max_examples=60)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS), max_size=6), st.data())
def test_whatever_a_table_holds_is_scored_or_refused_in_a_line(rows, data) -> None:
    table = pd.DataFrame(rows, columns=list("abcde"), dtype=object)
    roles = ["estimate", "truth", "se", "low", "high", "df", "method", "replicate", "n",
             "answered", "p_value"]  # fmt: skip
    names = {role: data.draw(st.sampled_from(["a", "b", "c", "d", "e", ""])) for role in roles}
    names = {role: name for role, name in names.items() if name} | {"estimate": "a"}
    try:
        run = cibench.score(table, **{"truth": 0.0} | names)
    except cibench.BadInput as fault:
        assert all("\n" not in line for line in fault.args)
    else:
        assert run.scores["replicates"].sum() == len(table)


# --- such a folder is a run to read, and none to go on with


def test_nothing_can_be_run_where_rows_were_made_elsewhere(call) -> None:
    run = cibench.score(small(), **NAMED, name="loop", out="results/loop")
    before = {p: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}
    words = "made elsewhere: nothing can be run or made again"
    replayed = ["replay", "results/loop", "--scenario", "loop", "--replicate", "1"]
    for command_line in (
        ["run", "results/loop"], ["plan", "results/loop"], replayed,
        [*replayed, "--estimator", "p"], ["baseline", "save", "results/loop", "before"],
    ):  # fmt: skip
        ended = call(*command_line)
        assert ended.code == 2 and words in ended.err
    suite = {"name": "loop", "seed": 1, "replicates": 5, "cells": [
        {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}]}  # fmt: skip
    with pytest.raises(cibench.BadInput, match=words):
        cibench.run(suite, out="results/loop")
    with pytest.raises(cibench.BadInput, match=words):
        baseline.save(run, "before")
    assert before == {p: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}


def test_from_the_command_line_as_in_the_readme(call) -> None:
    small().to_csv("loop.csv", index=False)
    done = call("score", "loop.csv", "--estimate", "b", "--se", "se", "--method", "who",
                "--replicate", "data", "--truth", "1")  # fmt: skip
    assert done.code == 0, done.err
    assert "loop, all data sets" in done.out and Path("results/loop/report.html").is_file()
    again = call("score", "results/loop")
    assert again.code == 0 and again.out.splitlines()[:-1] == done.out.splitlines()[:-1]
    for wrong, line in (
        (["loop.csv"], "--estimate: a table needs it"),
        (["loop.cvs"], "loop.cvs"),
        (["none.csv", "--estimate", "b"], "none.csv: no such file"),
        (["results/loop", "--truth", "1"], "--truth: is about a table; results/loop is no file"),
        (["loop.csv", "--estimate", "b", "--truth", "1", "--dial", "se=x"], "--dial: se=x"),
        (["loop.csv", "--estimate", "b", "--truth", "1", "--level", "0"], "level: 0.0 is not"),
    ):
        refused = call("score", *wrong)
        assert refused.code == 2 and line in refused.err


def test_scoring_a_table_needs_neither_registry_nor_runner(tmp_path) -> None:
    small().to_csv(tmp_path / "loop.csv", index=False)
    code = (
        "import cibench\n"
        f"r = cibench.score(r'{tmp_path / 'loop.csv'}', **{NAMED!r})\n"
        "r.write_scores()"
    )
    _, used = loaded(code, ["cibench.suite.parse", "cibench.execution", "cibench.workers"])
    assert not used


def test_a_suite_may_ask_for_normal_errors_too(ours) -> None:
    cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    suite = {"name": "small", "seed": 1, "replicates": 20, "cells": [cell], "errors": "normal"}
    row = cibench.run(suite).scores.iloc[0]
    assert row["empirical_se_mcse"] == pytest.approx(row["empirical_se"] / np.sqrt(2 * 19))
    with pytest.raises(cibench.BadInput, match="errors: 'norm' is not one of jackknife, normal"):
        cibench.run({**suite, "errors": "norm"})


@pytest.mark.parametrize("column", ["who", "data", "town"])
def test_texts_that_blanks_alone_set_apart_are_no_two_things(column):
    table = pd.DataFrame({
        "b": [0.1, 0.2, 0.3, 0.4], "se": 1.0, "who": ["A", "A", "B", "B"],
        "data": ["one", "two", "one", "two"], "town": "here",
    })  # fmt: skip
    names = {"estimate": "b", "se": "se", "method": "who", "replicate": "data", "truth": 0,
             "by": "town"}  # fmt: skip
    everywhere = table.assign(**{column: table[column] + " "})
    assert len(cibench.score(everywhere, **names).scores) == len(
        cibench.score(table, **names).scores
    )
    assert cibench.score(everywhere, **names).scores["estimator"].tolist() == ["A", "B"]
    second = table[column].where(table.index != 3, table[column] + " ")
    first = {"who": 3, "data": 2, "town": 1}[column]
    with pytest.raises(BadInput, match=rf"rows {first} and 4 of column '{column}' hold '.*' and"):
        cibench.score(table.assign(**{column: second}), **names)


def test_p_values_alone_have_rejections_of_their_own():
    table = pd.DataFrame({"b": [0.1, 0.2, 0.3, 0.4], "p": [0.04, 0.05, 0.2, 0.01]})
    (line,) = cibench.score(table, estimate="b", p_value="p", truth=0).scores.to_dict("records")
    assert line["rejection_by_p_value"] == 0.5 and np.isnan(line["rejection"])


def test_a_dial_of_texts_is_told_with_a_way_on(tmp_path, call):
    table = pd.DataFrame({"b": [0.1, 0.2], "word": ["low", "high"]})
    table.to_csv(tmp_path / "e.csv", index=False)
    code, _, err = call("score", "e.csv", "--estimate", "b", "--truth", 0, "--dial", "word=low")
    assert code == 2 and "or name it with --by word" in err and err.count("\n") == 1
