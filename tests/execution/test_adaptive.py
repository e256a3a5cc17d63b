"""Cells get what their targets take, and stopping does not bias what is reported of them."""

from dataclasses import replace
from math import inf, nan, sqrt

import numpy as np
import pandas as pd
import pytest

import cibench
from cibench.execution import RunSettings, Tuning
from cibench.execution import execute as run_suite
from cibench.execution.adaptive import PILOT, Line, decide, from_pilot, lines_of
from cibench.execution.progress import look
from cibench.gate import baseline
from cibench.metrics.core import proportion
from cibench.metrics.sample_size import Need, for_share
from cibench.results.run_folder import Run
from cibench.storage.manifest import read_manifest
from cibench.storage.schema import ADDRESS, MAY_DIFFER
from cibench.suite.parse import parse_suite
from cibench.suite.precision import FIRST_LOOK, Precision, first
from cibench.utils.errors import BadInput

COVERAGES = (0.5, 0.9, 0.95, 0.985, 0.995)
TARGETS = (0.002, 0.005, 0.01)


def stopped_at(p, precision, rng):
    """Return hits and length of one cell whose only estimator covers with probability p."""
    target, n = precision.targets["coverage"], first(precision)
    hits = rng.binomial(n, p)
    while True:
        need = Need(for_share(hits / n, target), inf)
        made = decide([Line("coverage", "e", need)], n, precision)
        if made.stopped:
            return hits, n
        hits, n = hits + rng.binomial(made.length - n, p), made.length


@pytest.fixture(scope="module")
def trials():
    """Return hits and lengths of 4,000 cells at each coverage and target."""
    rng, found = np.random.default_rng(5), {}
    for p in COVERAGES:
        for target in TARGETS:
            precision = Precision({"coverage": target})
            found[p, target] = np.array([stopped_at(p, precision, rng) for _ in range(4000)]).T
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("p", COVERAGES)
def test_three_error_intervals_hold_in_99_of_100_cells(trials, p, target):
    hits, n = trials[p, target]
    share, z2 = hits / n, 9 / n
    centre = (share + z2 / 2) / (1 + z2)
    reach = 3 / (1 + z2) * np.sqrt(share * (1 - share) / n + z2 / n / 4)
    held = np.mean(np.abs(centre - p) <= reach)
    assert held >= 0.99
    one = (proportion(h, k) for h, k in zip(hits[:200], n[:200], strict=True))  # what is reported
    assert np.mean([score.low <= p <= score.high for score in one]) >= 0.95 - 3 * sqrt(0.0475 / 200)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("p", COVERAGES)
def test_cells_end_where_the_target_is_met_and_not_much_later(trials, p, target):
    hits, n = trials[p, target]
    needs = np.array([for_share(h / k, target) for h, k in zip(hits, n, strict=True)])
    assert (n >= needs).all() and (n >= FIRST_LOOK).all()
    right = max(FIRST_LOOK, for_share(p, target))
    assert right * 0.9 <= n.mean() <= right * 1.1 + 50


def test_what_stopping_adds_to_a_share_is_what_walds_identity_says(trials):
    for p in (0.9, 0.95):
        hits, n = trials[p, 0.005]
        share = hits / n
        error = share.std() / sqrt(share.size)
        expected = (2 * p - 1) / n.mean()
        # rounds overshoot, which leaves less of it than with a look after every replicate
        assert -3 * error <= share.mean() - p <= expected + 3 * error
        assert expected < 0.15 * 0.005


def test_the_first_look_comes_late_enough_and_no_sooner_than_asked():
    assert first(Precision({}, least=50)) == 1000
    assert first(Precision({}, least=5000)) == 5000
    assert first(Precision({}, least=50, most=400)) == 400
    assert first(Precision({}, least=50, pilot=20)) == 50


def line(takes, why="", at_most=inf, measure="rmse"):
    return Line(measure, "a/b", Need(takes, at_most, why))


def test_a_spread_of_zero_never_ends_a_cell_and_what_is_hopeless_does_not_hold_it():
    asked = Precision({}, most=20_000)
    for why in ("all errors are equal", "its value is 0", "it has not varied",
                "one replicate has no spread"):  # fmt: skip
        assert decide([line(10), line(nan, why)], 1000, asked) == (2000, "")
        ended = decide([line(10), line(nan, why)], 20_000, asked)
        assert ended == (20_000, f"max_replicates: rmse of a/b: {why}")
        assert from_pilot([line(10, "", 20), line(nan, why, nan)], asked).length == 20_000
    lost = line(inf, "the truth's own error is larger than the target")
    assert decide([line(10), lost], 1000, asked).stopped == (
        "targets met, last that of rmse of a/b; left out rmse of a/b: the truth's own error is "
        "larger than the target"
    )
    silent = [line(nan), line(nan, "no replicate was answered")]
    assert decide(silent, 1000, asked).stopped.startswith("no target applies; left out rmse of a/b")


def test_rounds_go_to_what_is_needed_within_bounds():
    asked = Precision({}, most=20_000)
    assert decide([line(10), line(1500)], 1000, asked) == (1500, "")
    assert decide([line(1001)], 1000, asked) == (1050, "")
    assert decide([line(9000)], 1000, asked) == (4000, "")
    assert decide([line(90_000)], 9000, asked) == (20_000, "")
    assert decide([line(90_000)], 20_000, asked).stopped == (
        "max_replicates: rmse of a/b takes 90,000"
    )


def test_a_pilot_gives_what_suffices_at_most():
    asked = Precision({}, least=30, most=900, pilot=100)
    assert from_pilot([line(200, "", 300), line(250, "", 280)], asked).length == 300
    assert from_pilot([line(2, "", 3)], asked).length == 30
    assert from_pilot([line(900, "", 2000)], asked).length == 900


# --- whole runs


DESIGN = '''
"""A share of 1 - tail of the intervals of one method cover, of the other all but few."""
import numpy as np
from cibench import Draw, Estimand, Estimate, Scenario, estimator, parameter, scenario

@scenario("adaptive/normal")
class Normal(Scenario):
    """y = d + spread e."""
    estimand = Estimand.ATE
    reference = "none"
    spread: float = parameter(default=1.0, unit="units")

    def truth(self):
        return 1.0

    def draw(self, n, rng):
        e, d = self.spread * rng.normal(size=n), np.arange(n) % 2.0
        return Draw({"y": d + e, "d": d}, e, np.ones(n))

def _difference(problem):
    y, d = problem.outcome, problem.treatment
    return y[d == 1].mean() - y[d == 0].mean()

@estimator("adaptive/honest", targets=(Estimand.ATE,))
def honest(problem, rng):
    return Estimate.wald(_difference(problem), 2 / len(problem.outcome) ** 0.5, problem.level)

@estimator("adaptive/short", targets=(Estimand.ATE,))
def short(problem, rng):
    if problem.outcome[0] > 2:
        raise ValueError("large")
    return Estimate.wald(_difference(problem), 0.7 / len(problem.outcome) ** 0.5, problem.level)
'''


@pytest.fixture
def suite_of(tmp_path, shelves):
    """Return what makes a suite of two cells, of which the first takes more."""
    (tmp_path / "normal.py").write_text(DESIGN)
    base = {"scenario": "adaptive/normal", "n": 10}
    cells = [
        base | {"estimators": ["adaptive/*"]},
        base | {"parameters": {"spread": 0.3}, "estimators": ["adaptive/honest"]},
    ]

    def made(**more):
        given = {"precision": {"coverage": 0.03, "bias": 0.1}} | more
        spec = {"name": "t", "seed": 1, "plugins": [str(tmp_path / "normal.py")], **given}
        return parse_suite({**{k: v for k, v in spec.items() if v is not None}, "cells": cells})

    return made


EARLY = Tuning(first_look=60)


def execute(suite, folder, tuning=EARLY, **more):
    run_suite(suite, folder, RunSettings(tuning=tuning, **more))
    return pd.read_parquet(folder / "replicates").drop(columns=list(MAY_DIFFER))


def counts_of(rows):
    each = rows.groupby(["parameters", "estimator"], sort=False)["replicate"]
    assert (each.max() + 1 == each.size()).all()
    return {spread: set(each.size()[spread]) for spread in rows["parameters"].unique()}


def test_cells_have_what_they_take_and_the_rows_of_a_fixed_run(suite_of, tmp_path):
    rows = execute(suite_of(), tmp_path / "r")
    (hard,), (easy,) = counts_of(rows).values()  # a cell's estimators end together
    manifest = read_manifest(tmp_path / "r")
    assert [cell["replicates"] for cell in manifest["cells"]] == [hard, easy]
    assert easy < hard and manifest["stored_rows"] == manifest["expected_rows"] == len(rows)
    assert manifest["finished"] and manifest["precision"]["targets"] == {
        "coverage": 0.03, "bias": 0.1,
    }  # fmt: skip
    scores = Run(tmp_path / "r").scores
    p, answered = scores["coverage"], scores["answered"]
    assert (for_share(min(p), 0.03) <= answered[p.argmin()]) and (answered >= 100).all()
    whole = execute(suite_of(precision=None, replicates=hard), tmp_path / "fixed")
    ours = whole.merge(rows[list(ADDRESS)], how="inner")
    pd.testing.assert_frame_equal(ours, rows, check_exact=True)
    stopped = [cell["stopped"] for cell in look(tmp_path / "r").cells]
    assert stopped == [cell["stopped"] for cell in manifest["cells"]]
    assert stopped[0] == "targets met, last that of coverage of adaptive/short"
    report = Run(tmp_path / "r").write_report().read_text()
    assert f"coverage 0.03, bias 0.1, by rounds: {easy:,} to {hard:,} replicates a cell" in report
    with pytest.raises(BadInput, match="cells have counts of their own"):
        baseline.save(cibench.load(tmp_path / "r"), "x", tmp_path)


@pytest.mark.parametrize("pilot", [None, 40])
def test_an_adaptive_run_goes_on_to_the_same_rows(suite_of, tmp_path, pilot):
    short = replace(EARLY, block_seconds=0.02)
    whole = execute(suite_of(pilot=pilot), tmp_path / "whole", short)
    stops = 0
    for after in (1, 3, 6, 9):
        heard = []

        def listen(progress, heard=heard, after=after):
            heard.append(progress.done)
            if len(heard) == after:
                raise KeyboardInterrupt

        try:
            execute(suite_of(pilot=pilot), tmp_path / "r", short, listen=listen)
        except KeyboardInterrupt:
            stops += 1
            assert not read_manifest(tmp_path / "r")["finished"]
            assert look(tmp_path / "r").state == "interrupted"
    assert stops >= 3
    rows = execute(suite_of(pilot=pilot), tmp_path / "r", short)
    order = ["parameters", "replicate", "estimator"]
    pd.testing.assert_frame_equal(
        rows.sort_values(order, ignore_index=True), whole.sort_values(order, ignore_index=True),
        check_exact=True,
    )  # fmt: skip
    before = (tmp_path / "r" / "manifest.json").stat().st_mtime_ns
    execute(suite_of(pilot=pilot), tmp_path / "r")
    assert (tmp_path / "r" / "manifest.json").stat().st_mtime_ns == before


def test_tighter_targets_extend_and_looser_ones_take_nothing_away(suite_of, tmp_path):
    rows = execute(suite_of(), tmp_path / "r")
    tight = execute(suite_of(precision={"coverage": 0.02}), tmp_path / "r")
    assert len(tight) > len(rows)
    assert len(tight.merge(rows, how="inner")) == len(rows)
    assert len(execute(suite_of(precision={"coverage": 0.1}), tmp_path / "r")) == len(tight)
    with pytest.raises(BadInput, match="replicates beyond the suite's 80"):
        execute(suite_of(max_replicates=80), tmp_path / "r")


def test_a_pilot_has_rows_of_its_own_that_nobody_scores(suite_of, tmp_path):
    suite = suite_of(pilot=40, precision={"coverage": 0.05})
    rows = execute(suite, tmp_path / "r")
    pilot = pd.read_parquet(tmp_path / "r" / PILOT / "replicates")
    assert set(pilot["data_hash"]).isdisjoint(rows["data_hash"])
    assert set(pilot.groupby(["parameters", "estimator"]).size()) == {40}
    (hard,), (easy,) = counts_of(rows).values()
    manifest = read_manifest(tmp_path / "r")
    lines = lines_of(tmp_path / "r" / "pilot", suite, {0: (), 1: ()}, {"coverage": 0.05})
    asked = [from_pilot(lines[cell], suite.precision) for cell in range(2)]
    assert [hard, easy] == [one.length for one in asked]
    assert [cell["stopped"] for cell in manifest["cells"]] == [one.stopped for one in asked]
    told = [cell["stopped"] for cell in look(tmp_path / "r").cells]
    assert told == [one.stopped for one in asked]
    assert asked[0].stopped.startswith("pilot of 40: coverage of adaptive/short takes at most")


def test_max_replicates_ends_what_cannot_be_met(suite_of, tmp_path):
    rows = execute(suite_of(precision={"se_ratio": 1e-4}, max_replicates=150), tmp_path / "r")
    assert set.union(*counts_of(rows).values()) == {150}
    cells = read_manifest(tmp_path / "r")["cells"]
    assert all(cell["stopped"].startswith("max_replicates: se_ratio of") for cell in cells)
