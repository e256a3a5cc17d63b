import math
import re
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import fisher_exact

from cibench import run
from cibench.analysis import compare_published
from cibench.suite.parse import parse_suite, read_suite
from cibench.suite.published import KNOWN, NEEDED, read_published
from cibench.utils.errors import BadInput

HEAD = "scenario,n,estimator,measure,value,replicates,source\n"
SPEC = {
    "name": "t", "seed": 1, "replicates": 40, "published": "p.csv",
    "cells": [{"scenario": "rd/cct-1", "n": 100, "dials": {"sorting": 0.4},
               "estimators": ["rd/global-polynomial"], "options": {}}],
}  # fmt: skip


def write(tmp_path, *lines):
    path = tmp_path / "p.csv"
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return path


def test_the_combined_error_holds_ours_theirs_and_the_rounding(tmp_path):
    path = write(tmp_path, "rd/cct-1,100,rd/global-polynomial,bias,0.05,10,Somebody (2020)")
    done = run(parse_suite(SPEC, folder=tmp_path))
    assert done.comparison is not None
    (line,) = done.comparison.to_dict("records")
    score = done.scores[done.scores["dial"].isna()].iloc[0]
    assert line["ours"] == score["bias"] and line["ours_mcse"] == score["bias_mcse"]
    theirs = math.hypot(score["bias_mcse"] * math.sqrt(40 / 10), 0.005 / math.sqrt(3))
    assert line["published_error"] == pytest.approx(theirs)
    combined = math.hypot(score["bias_mcse"], theirs)
    assert line["errors_away"] == pytest.approx((score["bias"] - 0.05) / combined)
    assert line["agrees"] == (abs(line["errors_away"]) <= 3)
    assert path.read_bytes() == (done.folder / "published.csv").read_bytes()
    assert read_suite(done.folder / "suite.toml").published == done.folder / "published.csv"


@pytest.mark.parametrize(
    ("measure", "figure", "replicates", "hits", "tries"),
    [
        ("coverage", "0.98", 50, 60, 60), ("coverage", "0.95", 20, 60, 60),
        ("coverage", "0.04", 50, 0, 30), ("coverage", "0.999", 1000, 300, 300),
        ("failure_rate", "0.01", 100, 0, 300), ("coverage", "1.000", 1000, 300, 300),
        ("coverage", "0.90", 1000, 300, 300), ("coverage", "0.10", 1000, 0, 300),
        ("coverage", "0.5", 20, 40, 40),
    ],
)  # fmt: skip
def test_a_share_of_none_or_all_agrees_where_fishers_exact_test_sees_no_difference(
    tmp_path, measure, figure, replicates, hits, tries
):
    """Our error is 0 there, and any other figure was many errors away."""
    write(tmp_path, "rd/cct-1,100,rd/global-polynomial,rmse,0.2,1000,Somebody (2020)")
    done = run(parse_suite(SPEC, folder=tmp_path))
    share = {measure: hits / tries, f"{measure}_mcse": 0.0, "answered": tries}
    scores = done.scores[done.scores["dial"].isna()].assign(**share)
    line = {"scenario": "rd/cct-1", "measure": measure, "value": figure, "source": "Somebody"}
    (told,) = compare_published(scores, [{**line, "replicates": str(replicates)}]).to_dict(
        "records"
    )
    theirs = round(float(figure) * replicates)
    table = [[hits, tries - hits], [theirs, replicates - theirs]]
    p = fisher_exact(table).pvalue
    assert told["agrees"] == (p > 0.0027) and abs(told["errors_away"]) < 40
    (bare,) = compare_published(scores, [line]).to_dict("records")  # how many is not known
    p, rounding = (hits + 0.5) / (tries + 1), 0.5 * 10.0 ** -len(figure.partition(".")[2])
    error = math.hypot(math.sqrt(p * (1 - p) / tries), rounding / math.sqrt(3))
    assert bare["errors_away"] == pytest.approx((hits / tries - float(figure)) / error)


def test_a_figure_far_away_does_not_agree_and_a_missing_score_says_so(tmp_path):
    path = write(
        tmp_path,
        "rd/cct-1,100,rd/global-polynomial,coverage,0.050,1000,Somebody (2020)",
        "rd/cct-1,999,rd/global-polynomial,coverage,0.950,1000,Somebody (2020)",
    )
    done = run(parse_suite(SPEC, folder=tmp_path))
    first, second = compare_published(done.scores, read_published(path)).to_dict("records")
    assert first["errors_away"] > 10 and not first["agrees"]
    assert math.isnan(second["ours"]) and not second["agrees"]


def test_the_written_comparison_is_the_table(tmp_path):
    write(tmp_path, "rd/cct-1,100,rd/global-polynomial,rmse,0.2,1000,Somebody (2020)")
    done = run(parse_suite(SPEC, folder=tmp_path), out=tmp_path / "run")
    done.write_scores()
    written = pd.read_csv(tmp_path / "run" / "comparison.csv")
    assert written["ours"].tolist() == pytest.approx(done.comparison["ours"].tolist(), rel=1e-12)


def test_a_complete_run_takes_over_what_its_figures_say_today(tmp_path):
    line = "rd/cct-1,100,rd/global-polynomial,rmse,{},1000,Somebody (2020)"
    stamps = []
    for value in ("0.2", "0.3", "0.3"):
        write(tmp_path, line.format(value))
        done = run(parse_suite(SPEC, folder=tmp_path), out=tmp_path / "run")
        assert done.comparison["published"].tolist() == [float(value)]
        stamps.append((tmp_path / "run" / "published.csv").stat().st_mtime_ns)
    assert stamps[0] < stamps[1] == stamps[2]
    assert done.manifest["stored_rows"] == 80
    without = {key: value for key, value in SPEC.items() if key != "published"}
    assert run(parse_suite(without), out=tmp_path / "run").comparison is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "rd/cct-1,100,rd/x,bais,0.05,10,S",
            "line 2: no measure named 'bais'; did you mean 'bias'",
        ),
        (
            "rd/cct-1,100,rd/x,coverage,95,10,S",
            "line 2: 'value': coverage is a share, between 0 and 1, not 95",
        ),
        (
            "rd/cct-1,100,rd/x,rejection,-0.1,10,S",
            "rejection is a share, between 0 and 1, not -0.1",
        ),
        ("rd/cct-1,100,rd/x,bias,,10,S", "line 2: 'value' is missing"),
        ("rd/cct-1,100,rd/x,bias,much,10,S", "line 2: 'value' is not a number: much"),
    ],
)
def test_a_faulty_table_is_bad_input(tmp_path, line, problem):
    write(tmp_path, line)
    with pytest.raises(BadInput, match="published") as error:
        parse_suite(SPEC, folder=tmp_path)
    assert problem in str(error.value)
    with pytest.raises(BadInput, match="No such file"):
        parse_suite({**SPEC, "published": "none.csv"}, folder=tmp_path)


def test_the_report_shows_ours_beside_theirs_and_says_why_they_differ(tmp_path):
    path = write(tmp_path, "rd/cct-1,100,rd/global-polynomial,coverage,0.050,1000,Somebody (2020)")
    path.write_text(
        path.read_text().replace("source\n", "source,note\n").replace("0)\n", "0),why\n")
    )
    done = run(parse_suite(SPEC, folder=tmp_path))
    page = done.write_report().read_text()
    assert "0 of 1 figure agree" in page and "Somebody (2020)" in page and "why</p>" in page
    assert "nan" not in page.split("Published figures")[1].split("</section>")[0].lower()


def test_the_format_is_documented_column_by_column_and_the_example_reads(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "published.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", page, flags=re.M)
    assert set(documented) == set(KNOWN) and len(documented) == len(KNOWN)
    musts = re.findall(r"^\| `(\w+)` \| must;", page, flags=re.M)
    assert tuple(musts) == NEEDED
    suite, figures = (
        re.search(f"```{kind}\n(.*?)```", page, flags=re.S) for kind in ("toml", "csv")
    )
    (tmp_path / "figures.csv").write_text(figures[1])
    (tmp_path / "suite.toml").write_text(suite[1])
    assert [line["measure"] for line in read_published(tmp_path / "figures.csv")] == [
        "bias", "coverage",
    ]  # fmt: skip
    assert read_suite(tmp_path / "suite.toml").published == tmp_path / "figures.csv"
