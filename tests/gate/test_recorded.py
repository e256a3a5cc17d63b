"""What is recorded of real releases: true changes are detected and named, quiet ones identical."""

import csv
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "results" / "reference" / "regressions"
CHANGED = {
    ("linearmodels-7.1", "options/gmm-kernel"): "std_error",
    ("linearmodels-7.1", "options/fama-macbeth"): "length",
    ("rdrobust-2.0.0", "options/rd-clustered-hc3"): "",
    ("linearmodels-4.10", "releases/2sls-parzen"): "",
    ("linearmodels-4.25", "releases/panel-autocorrelated"): "se_ratio",
    ("linearmodels-4.5", "releases/fama-macbeth-weighted"): "",
    ("scikit-learn-0.22.2", "releases/ipw-forest"): "bias",
    ("scikit-learn-0.22.2", "releases/ipw-default"): "",
}
"""The release, what it changed, and the measure that has to tell: see the README of the folder."""

QUIET = (
    ("linearmodels-7.1", "options/2sls-kernel"), ("linearmodels-4.10", "releases/2sls-robust"),
    ("linearmodels-4.25", "releases/panel-clustered"),
    ("linearmodels-4.5", "releases/fama-macbeth"), ("linearmodels-4.19", "releases/2sls-robust"),
    ("linearmodels-4.19", "releases/gmm-bartlett"),
    ("scikit-learn-0.22.2", "releases/ipw-newton"), ("statsmodels-0.14.0", "releases/rlm-huber"),
    ("statsmodels-0.14.0", "releases/hac"),
)  # fmt: skip
"""Neighbours of what has changed, of which the changelog says nothing."""


def read(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_changes_that_changelogs_tell_of_are_detected_and_named():
    cells = {(row["after"], row["estimator"]): row for row in read("cells.csv")}
    for key, measure in CHANGED.items():
        row = cells[key]
        assert row["verdict"] not in ("identical", "not comparable")
        assert float(row["changed_share"]) == 1 and measure in row["measures"]
    hampel = cells["statsmodels-0.14.0", "releases/rlm-hampel"]
    assert hampel["verdict"] == "numerically changed" and float(hampel["changed_share"]) > 0
    parzen = cells["linearmodels-4.19", "releases/gmm-parzen"]
    assert parzen["verdict"] == "numerically changed" and float(parzen["changed_share"]) > 0.9
    for key in QUIET:
        assert cells[key]["verdict"] == "identical"


def test_six_pairs_that_changed_and_four_that_did_not_are_of_releases_apart():
    """Of those in environments of their own: what changed has a neighbour that did not."""
    apart = [row for row in read("pairs.csv") if "--python" in row["command"]]
    quiet = {row["suite"] for row in apart if row["verdict"] == "identical"}
    assert len(quiet) >= 4 and len(apart) - len(quiet) >= 6


def test_three_pairs_or_more_are_identical_with_every_estimator():
    pairs = read("pairs.csv")
    quiet = [row for row in pairs if row["verdict"] == "identical"]
    assert len({(row["before"], row["after"]) for row in quiet}) >= 6
    for row in pairs:
        assert row["command"].startswith("cibench regress ")
        package = row["after"].rpartition("-")[0]
        apart = "--python" in row["command"] or "--with" in row["command"]
        assert package in row["differs"]
        assert apart or (row["differs"].startswith(package) and ";" not in row["differs"])


GATE = FOLDER.parent / "gate"
SUBTLE = {
    "n / (n - k) forgotten", "normal for Student's t, 117 df", "bandwidth to the next unit",
    "the seed fixed inside",
}  # fmt: skip
"""What the gate once passed without a word: it passes still, and is told with its size."""


def test_each_planted_fault_has_the_promised_verdict_in_95_of_100_checks():
    with (GATE / "faults.csv").open(encoding="utf-8", newline="") as file:
        faults = {row["fault"]: row for row in csv.DictReader(file)}
    assert len(faults) >= 20
    for row in faults.values():
        counts = dict(part.rsplit(" ", 1) for part in row["verdicts"].split("; "))
        right = sum(int(counts.get(v, 0)) for v in row["promised"].split(" or "))
        assert right == int(row["found"]) >= 0.95 * int(row["checks"]) >= 95
        assert sum(map(int, counts.values())) == int(row["checks"])
    for name in SUBTLE:
        assert faults[name]["promised"] == "numerically changed"
        assert " fits" in faults[name]["words"]
    assert "2 % of the fits" in faults["one in fifty falls back to 0 (1)"]["words"]


def test_thirty_random_methods_raise_no_alarm_by_their_seeds_nor_by_other_data():
    with (GATE / "quiet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        assert int(row["methods"]) >= 30 and int(row["checks"]) >= 100 and row["failed"] == "0"
