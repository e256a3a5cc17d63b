"""The author's guide: its blocks run from the first to the last, and say what they say they do."""

import math

import pytest
from pages import own_processes, run_page

import cibench


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write each file of the page and give each command, in the page's order."""
    here = tmp_path_factory.mktemp("author")
    ended = run_page("authors.md", here, own_processes(here))
    return here, {line: each.out for line, each in ended.items()}


def test_every_command_of_the_page_ends_well(folder):
    here, printed = folder
    assert len(printed) == 7 and (here / "coaching.zip").is_file()
    table = next(text for line, text in printed.items() if " table " in line)
    assert "Adjusted for x" in table and "Difference in means" in table
    again = next(text for line, text in printed.items() if " replay " in line)
    assert "made again it is the same row, bit for bit" in again


def test_what_the_page_says_of_its_numbers(folder):
    """The naive bias, as its equations have it; valid methods valid, until they are broken."""
    here, _ = folder
    run = cibench.load(here / "run")
    scores = run.scores
    default = scores[scores["setting"].isna()]
    naive = default[default["estimator"] == "naive/difference-in-means"]
    for _, row in naive.iterrows():
        assert abs(row["bias"] - 1 / math.sqrt(math.pi)) < 4 * row["bias_mcse"]
    judged = run.expectations
    verdicts = judged.groupby("estimator")["verdict"].agg(set)
    assert "fails unexpectedly" not in set().union(*verdicts)
    assert verdicts["naive/difference-in-means"] == {""}  # not expected to be valid
    horizons = default[default["estimator"] == "coaching/event-study"]
    assert horizons["horizon"].tolist() == [0, 1, 2]
    assert horizons["truth"].tolist() == [1.0, 2.0, 3.0]
    for _, row in horizons.iterrows():
        assert abs(row["bias"]) < 4 * row["bias_mcse"]
    curves = run.curves[run.curves["measure"] == "bias"]
    for method, setting in (("coaching/event-study", 0.2), ("coaching/adjusted", 1.0)):
        off = curves[(curves["estimator"] == method) & (curves["setting"] == setting)]
        assert len(off) and (off["band_low"] > 0).all()


def test_no_line_of_its_code_is_cut_on_a_page(folder):
    here, _ = folder
    for name in ("designs.py", "tools.py", "methods.py"):
        compile((here / name).read_text(encoding="utf-8"), name, "exec")
        for line in (here / name).read_text(encoding="utf-8").splitlines():
            assert len(line) <= 100, line
