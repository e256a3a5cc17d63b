"""How many replicates: the arithmetic against brute force and simulation, the pilot end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import ceil, inf, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Ended
from numpy.typing import NDArray
from scipy.stats import chi2

from cibench.cli.progress_bar import clock
from cibench.execution.plans import Plan, plan, targets_of
from cibench.metrics import METRICS
from cibench.metrics.core import mean, proportion
from cibench.metrics.registry import Kind, listed
from cibench.metrics.sample_size import for_share, for_variance, need
from cibench.results.api import run
from cibench.storage.schema import OF_UNITS
from cibench.suite.parse import parse_suite
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput

Array = NDArray[Any]
Z = 1.959963984540054
SUITE = {
    "name": "small", "seed": 3, "replicates": 5,
    "cells": [{
        "scenario": "did/two-group", "n": 20, "dials": {"trend": [0.1]},
        "estimators": ["naive/difference-in-means", "baseline/zero"],
    }],
}  # fmt: skip


def answered(t: Any, s: Any = 1.0, **columns: Any) -> dict[str, Array]:
    """Return the columns of one estimator's replicates at a truth of 2."""
    t = np.asarray(t, dtype=float)
    filled = {
        "estimate": t, "std_error": s, "truth": 2.0, "ci_low": t - Z * s, "ci_high": t + Z * s,
        "outside": 0.0, "pit": nan, "crps": nan, "ok": True, "failed": False, "declined": False,
        **dict.fromkeys((*OF_UNITS, "drift"), nan),
    } | columns  # fmt: skip
    return {name: np.broadcast_to(np.asarray(v), t.shape) for name, v in filled.items()}


def normal(n: int, seed: int = 1, bias: float = 0.3, spread: float = 1.0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    s = np.sqrt(rng.chisquare(30, n) / 30)
    return answered(2 + bias + spread * rng.normal(size=n), s)


# --- the formulas


def half_width(p: float, n: int) -> float:
    return sqrt(p * (1 - p) / n + 1 / (4 * n**2)) / (1 + 1 / n)


@pytest.mark.parametrize("p", [0.0, 0.01, 0.2, 0.5, 0.95, 0.995, 1.0])
@pytest.mark.parametrize("target", [0.001, 0.005, 0.02, 0.1])
def test_a_share_has_the_fewest_replicates_whose_wilson_half_width_is_the_target(
    p: float, target: float
) -> None:
    count = for_share(p, target)
    assert half_width(p, count) <= target * (1 + 1e-9)
    assert count == 1 or half_width(p, count - 1) > target


def test_a_share_needs_what_the_plain_error_says_and_never_nothing() -> None:
    assert for_share(0.95, 0.005) == pytest.approx(0.95 * 0.05 / 0.005**2, rel=0.01)
    assert for_share(1.0, 0.005) == 99


def test_the_bias_needs_one_over_the_square_whatever_its_standard_error() -> None:
    for spread in (1e-3, 1.0, 1e3):
        found = need("bias", 0.05, normal(20, spread=spread), 0.95)
        assert (found.replicates, found.at_most) == (400, 400)


def test_an_error_of_the_truth_takes_its_share_of_the_target() -> None:
    assert for_variance(1.0, 0.5) == 4
    assert for_variance(1.0, 0.5, 0.3) == 7  # 1 / (0.25 - 0.09) = 6.25
    assert for_variance(1.0, 0.5, 0.5) == inf
    group = normal(400)
    spread = float(np.std(group["estimate"], ddof=1))
    found = need("bias", 0.1, group, 0.95, truth_mcse=0.06 * spread)
    assert found.replicates == pytest.approx(1 / (0.1**2 - 0.06**2), abs=1)
    lost = need("bias", 0.05, group, 0.95, truth_mcse=0.06 * spread)
    assert lost.replicates == inf and lost.why == "the truth's own error is larger than the target"
    assert need("ci_length", 0.05, group, 0.95, truth_mcse=9).replicates < inf


def test_failures_raise_the_count_so_that_enough_answers_are_left() -> None:
    group = normal(100)
    lost = np.arange(100) < 20
    gone = {name: np.where(lost, nan, group[name]) for name in ("estimate", "ci_low", "ci_high")}
    broken = {**group, **gone, "ok": ~lost, "failed": lost}
    assert need("bias", 0.1, broken, 0.95).replicates == 125
    for measure, target in (("bias", 0.05), ("coverage", 0.02)):
        one = need(measure, target, broken, 0.95)
        whole = need(measure, target, {k: v[~lost] for k, v in broken.items()}, 0.95)
        least = proportion(int((~lost).sum()), lost.size).low  # who answers may be fewer
        assert one.at_most == ceil(whole.at_most / least - 1e-9) > one.replicates
    rate = need("failure_rate", 0.02, broken, 0.95)
    assert rate.replicates == for_share(0.2, 0.02)
    assert need("coverage_with_failures", 0.02, broken, 0.95).replicates > 1
    refusing = {**broken, "failed": np.zeros(100, dtype=bool), "declined": lost}
    assert need("decline_rate", 0.02, refusing, 0.95).replicates == for_share(0.2, 0.02)


MEASURED = [
    m.name for m in listed("plan")
    if not {"failed", "declined", "crps", "pit"} & {*m.flags, *m.needs} and m.name != "type_s"
    and not m.optional
]  # fmt: skip


@pytest.mark.parametrize("measure", MEASURED)
def test_the_planned_count_brings_the_error_to_the_target(measure: str) -> None:
    """Plan from one large pilot, run that many replicates of the same law, look at the error."""
    law = {"bias": 0.8, "spread": 1.2}
    pilot, target = normal(20_000, **law), 0.02
    count = int(need(measure, target, pilot, 0.95).replicates)
    fresh = normal(count, seed=7, **law)
    found = METRICS[measure].influence(fresh, 0.95)
    error = float(found.each.std(ddof=1)) / sqrt(count)
    units = {Kind.SHARE: 1.0, Kind.AS_IS: 1.0, Kind.RELATIVE: abs(found.value),
             Kind.IN_SE: float(np.std(fresh["estimate"], ddof=1))}  # fmt: skip
    # The error of an error: half the variance's relative one, itself by the influences' kurtosis.
    centred = np.square(found.each - mean(found.each))
    doubt = float(centred.std()) / float(centred.mean()) / 2 / sqrt(count) + 0.01
    shares = 0.25 / count / target**2  # Wilson's width is a little above the plain error
    assert error / units[METRICS[measure].kind] == pytest.approx(target, rel=4 * doubt + shares)


def test_wrong_signs_are_a_share_of_the_significant_ones() -> None:
    group = normal(4000, bias=-1.0)
    high = np.asarray(group["ci_low"] > 0) | (group["ci_high"] < 0)
    wrong = (np.asarray(group["estimate"])[high] < 0).mean()
    expected = for_share(float(wrong), 0.01) / high.mean()
    assert need("type_s", 0.01, group, 0.95).replicates == pytest.approx(expected, rel=1e-3)


def test_at_most_suffices_in_95_of_100_pilots() -> None:
    rng, trials = np.random.default_rng(4), 400
    true = 2.0 / (4 * 0.02**2)  # variance of (e^2 - 1) / 2 over t^2, for the RMSE of a normal law
    enough, likely = [], []
    for trial in range(trials):
        found = need("coverage", 0.01, normal(20, seed=trial, bias=0.0), 0.95)
        enough.append(found.at_most >= 0.95 * 0.05 / 0.01**2)
        errors = rng.normal(size=200)
        likely.append(need("rmse", 0.02, answered(2 + errors), 0.95).replicates)
    assert np.mean(enough) >= 0.95 - 3 * sqrt(0.05 * 0.95 / trials)
    assert np.median(likely) == pytest.approx(true, rel=0.1)


def test_what_suffices_at_most_is_the_variance_that_a_pilot_cannot_rule_out() -> None:
    """Lengths are normal: their true variance is below (n - 1) s^2 / c in 95 of 100 pilots."""
    rng, n, target, trials = np.random.default_rng(6), 15, 0.01, 600
    true, enough = (0.5 / 4 / target) ** 2, 0
    for _ in range(trials):
        length = rng.normal(4, 0.5, n)
        found = need("ci_length", target, answered(length, ci_low=0.0, ci_high=length), 0.95)
        share = float(np.std(length, ddof=1)) / float(length.mean()) / target
        assert found.at_most == ceil(share**2 * (n - 1) / chi2.ppf(0.05, n - 1) - 1e-9)
        enough += found.at_most >= true
    assert enough / trials == pytest.approx(0.95, abs=3 * sqrt(0.05 * 0.95 / trials))


def test_what_is_not_known_says_why() -> None:
    assert need("bias", 0.1, answered([nan] * 9, ok=False), 0.95).why == "no replicate was answered"
    assert need("rmse", 0.1, answered([2.5]), 0.95).why == "one replicate has no spread"
    assert need("se_ratio", 0.1, answered([2.5] * 9), 0.95).why == "all errors are equal"
    assert need("median_bias", 0.1, answered([2.5] * 9), 0.95).why == "all errors are equal"
    assert need("rmse", 0.1, answered([2.0] * 9), 0.95).why == "its value is 0"
    assert need("ci_length", 0.1, answered([2.0, 3.0], ci_high=inf), 0.95).why == "infinite"
    two = need("empirical_se", 0.1, answered([2.0, 3.0]), 0.95)
    assert two.why == "two replicates leave no jackknife" and two.spreadless  # a third may help
    assert need("model_se", 0.1, answered([2.0, 3.0], inf), 0.95).why == "infinite"
    without = need("coverage", 0.1, answered([2.0, 3.0], ci_low=nan, ci_high=nan), 0.95)
    assert np.isnan(without.replicates) and without.why == ""


# --- targets and suites


def test_targets_are_read_from_the_command_line_or_the_suite() -> None:
    suite = parse_suite(SUITE)
    assert targets_of(suite, ["coverage=0.005", "bias = .1"]) == {"coverage": 0.005, "bias": 0.1}
    spec = {k: v for k, v in SUITE.items() if k != "replicates"} | {"precision": {"bias": 0.2}}
    assert targets_of(parse_suite(spec), []) == {"bias": 0.2}
    with pytest.raises(BadInput, match=r"--target: name one, like coverage=0\.005"):
        targets_of(suite, [])
    with pytest.raises(BadInput, match=r"no measure named 'covrage'; did you mean 'coverage'\?"):
        targets_of(suite, ["covrage=0.1"])
    with pytest.raises(BadInput, match="--target: 'coverage' is not of the form measure=error"):
        targets_of(suite, ["coverage"])
    for wrong in ("0", "-1", "nan", "inf"):
        with pytest.raises(BadInput, match="is not above 0"):
            targets_of(suite, [f"bias={wrong}"])


def parsed(**changes: Any) -> Suite:
    spec = SUITE | changes
    return parse_suite({key: value for key, value in spec.items() if value is not None})


def test_a_suite_states_replicates_or_precision() -> None:
    suite = parsed(replicates=None, precision={"coverage": 0.01}, min_replicates=50)
    assert suite.precision is not None and suite.replicates == 0
    assert (suite.precision.least, suite.precision.most) == (50, None)
    fixed = suite.with_replicates(7)
    assert fixed.precision is None and fixed.replicates == 7
    assert parse_suite(fixed.spec).replicates == 7
    assert "precision = { coverage = 0.01 }" in suite.as_toml()
    pilot = parsed(replicates=None, precision={"coverage": 0.01}, pilot=50).precision
    assert pilot is not None and pilot.pilot == 50
    with pytest.raises(BadInput, match="pilot: belongs to a suite that states precision"):
        parsed(pilot=50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": {"coverage": 0.1}}, "precision: stands beside replicates"),
        ({"replicates": None, "precision": {"covrage": 0.1}}, "did you mean 'coverage'"),
        ({"replicates": None, "precision": {"bias": 0}}, "precision.bias: the target for bias, 0"),
        ({"replicates": None, "precision": {"bias": "x"}}, "precision.bias: 'x' is not a Monte"),
        ({"replicates": None}, "replicates: is missing"),
        ({"min_replicates": 5}, "min_replicates: belongs to a suite that states precision"),
        ({"replicates": None, "precision": {"bias": 1}, "min_replicates": 9, "max_replicates": 8},
         "max_replicates: 8 is not a whole number of 9 or more"),
        ({"compare": "naive/diff"}, "no estimator of the suite named 'naive/diff'"),
        ({"ranking": {"measure": "mse"}}, "ranking.measure: 'mse' is not one of interval_score"),
        ({"ranking": {"mesure": "rmse"}}, "no key named 'mesure'; did you mean 'measure'"),
        ({"ranking": {"worst": 1}}, "ranking.worst: 1 is not a number above 1"),
        ({"ranking": {"reference": "oracle/x"}}, "ranking.reference: no estimator of the suite"),
        ({"ranking": {"weights": {"rd/*": 1}}}, "ranking.weights.rd/*: no scenario of the suite"),
        ({"ranking": {"weights": {"did/*": -1}}}, "ranking.weights.did/*: -1 is not a weight"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_suites_scoring_is_one_line(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(**changes)
    assert message in str(caught.value)


# --- the pilot


@pytest.fixture(scope="module")
def planned() -> Plan:
    suite = parse_suite(SUITE)
    return plan(suite, {"coverage": 0.02, "bias": 0.1}, pilot=4)


def test_a_plan_takes_the_most_demanding_estimator_of_each_cell(planned: Plan) -> None:
    assert [cell.cell for cell in planned.cells] == [
        "did/two-group n=20", "did/two-group n=20 trend=0.1",
    ]  # fmt: skip
    rows = run(SUITE | {"replicates": 4}).replicates
    for cell, setting in zip(planned.cells, (nan, 0.1), strict=True):
        here = rows[rows["setting"].isna() if np.isnan(setting) else rows["setting"] == setting]
        naive = here[here["estimator"] == "naive/difference-in-means"]
        held = ((naive["ci_low"] <= naive["truth"]) & (naive["truth"] <= naive["ci_high"])).mean()
        assert cell.replicates == max(for_share(float(held), 0.02), 100)
        assert cell.at_most >= cell.replicates
        assert cell.seconds > 0 and cell.unreached == ()
    total = sum(cell.replicates * cell.seconds for cell in planned.cells)
    assert planned.seconds == pytest.approx(total)
    assert planned.replicates == max(cell.at_most for cell in planned.cells)


def test_a_plan_keeps_to_the_suites_limits() -> None:
    spec = {key: value for key, value in SUITE.items() if key != "replicates"}
    own = {"precision": {"bias": 0.5}, "min_replicates": 30}
    suite = parse_suite(spec | own | {"pilot": 50})
    made = plan(suite, {"bias": 0.5}, pilot=2)
    assert [cell.replicates for cell in made.cells] == [30, 30]
    made = plan(parse_suite(spec | own), {"bias": 0.5}, pilot=2)
    assert [cell.replicates for cell in made.cells] == [1000, 1000]  # as its run begins
    capped = parse_suite(spec | {"precision": {"bias": 0.01}, "max_replicates": 40})
    made = plan(capped, {"bias": 0.01}, pilot=2)
    assert [cell.at_most for cell in made.cells] == [40, 40]
    with pytest.raises(BadInput, match="--pilot: 1 is not a number of 2 or more"):
        plan(suite, {"bias": 0.5}, pilot=1)


PLUGIN = '''
import time
from cibench import Estimand, Estimate, estimator
from cibench.storage.schema import OF_UNITS

@estimator("nap/long", targets=(Estimand.ATT,))
def nap(problem, rng):
    """Sleep for a known time."""
    time.sleep(0.03)
    return Estimate.wald(rng.normal(), 1.0, problem.level)

@estimator("nap/never", targets=(Estimand.ATT,))
def never(problem, rng):
    """Give up."""
    raise ValueError("tired")
'''


def test_the_command_prints_counts_times_and_json(
    tmp_path: Path, call: Callable[..., Ended], shelves: None
) -> None:
    (tmp_path / "nap.py").write_text(PLUGIN)
    suite = tmp_path / "nap.toml"
    suite.write_text(
        'name = "nap"\nseed = 1\nreplicates = 9\nplugins = ["nap.py"]\n[[cells]]\n'
        'scenario = "did/two-group"\nn = 20\nestimators = ["nap/*"]\n'
    )
    asked = ["plan", suite, "--target", "bias=0.5", "--pilot", 4, "--workers", 1]
    (code, text, _), (again, data, _) = call(*asked), call(*asked, "--json")
    assert code == again == 0
    found = json.loads(data)
    (cell,) = found["cells"]
    assert (cell["replicates"], cell["measure"], cell["estimator"]) == (4, "bias", "nap/long")
    assert cell["seconds"] >= 0.03 and found["seconds"] == pytest.approx(4 * cell["seconds"])
    assert cell["unreached"] == ["bias of nap/never: no replicate was answered"]
    assert "bias of nap/long" in text and "did/two-group n=20" in text
    assert "not planned in did/two-group n=20: bias of nap/never" in text
    assert found["targets"] == {"bias": 0.5}


def test_bad_input_ends_the_command_with_one_line(call: Callable[..., Ended]) -> None:
    for arguments in (["quickstart"], ["quickstart", "--target", "bais=1"], ["quikstart"]):
        code, _, err = call("plan", *arguments)
        assert code == 2 and err.count("\n") == 1


def test_times_are_written_as_people_say_them() -> None:
    assert [clock(s) for s in (3.2, 99, 240, 9000, nan)] == ["3 s", "99 s", "4 min", "2.5 h", "–"]
