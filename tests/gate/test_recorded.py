"""What is recorded of real releases: true changes are detected and named, quiet ones identical."""

import csv
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "results" / "reference" / "regressions"
CHANGED = {
    ("linearmodels-7.1", "options/gmm-kernel"): "std_error",
    ("linearmodels-7.1", "options/fama-macbeth"): "length",
    ("rdrobust-2.0.0", "options/rd-clustered-hc3"): "",
}
"""The release, what it changed, and the measure that has to tell: see the README of the folder."""


def read(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_changes_that_changelogs_tell_of_are_detected_and_named():
    cells = {(row["after"], row["estimator"]): row for row in read("cells.csv")}
    for key, measure in CHANGED.items():
        row = cells[key]
        assert row["verdict"] not in ("identical", "not comparable")
        assert float(row["changed_share"]) == 1 and measure in row["measures"]
    assert cells["linearmodels-7.1", "options/2sls-kernel"]["verdict"] == "identical"


def test_three_pairs_or_more_are_identical_with_every_estimator():
    pairs = read("pairs.csv")
    quiet = [row for row in pairs if row["verdict"] == "identical"]
    assert len({(row["before"], row["after"]) for row in quiet}) >= 3
    for row in pairs:
        assert row["command"].startswith("cibench regress ")
        package = row["after"].rpartition("-")[0]
        assert row["differs"].startswith(package) and ";" not in row["differs"]
