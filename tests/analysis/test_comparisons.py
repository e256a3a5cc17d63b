"""Paired comparisons: against brute force, closed forms and laws whose differences are known."""

from __future__ import annotations

from functools import partial
from math import inf, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from replicates import Z, joined, replicate_table, write_replicates
from scipy import stats

from cibench.analysis import pairs
from cibench.analysis.comparisons import COLUMNS
from cibench.analysis.paired_differences import compare, gather
from cibench.analysis.scores import score
from cibench.metrics import METRICS
from cibench.metrics.influence import Median
from cibench.metrics.registry import listed
from cibench.metrics.simultaneous import critical, differences, reach
from cibench.results import RunTables
from cibench.storage import cells_of
from cibench.storage.schema import OF_UNITS
from cibench.utils.errors import BadInput

Array = NDArray[Any]
N = 400
COMPARED = {metric.name: metric for metric in listed("pairs")}
SILENT = [metric.name for metric in COMPARED.values() if metric.silent]


rows = partial(replicate_table, blank=True)


def drawn(n: int = N, seed: int = 1) -> tuple[Array, Array, Array]:
    """Return noise that two estimators share, and noise of their own."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=n), rng.normal(size=n)


def two(count: int = N, seed: int = 1, **columns: Any) -> pd.DataFrame:
    """Return two estimators of the same data, the second tighter, each failing now and then."""
    shared, own, other = drawn(count, seed)
    rng = np.random.default_rng(seed + 100)
    parts = []
    for name, t in (("a", 2.3 + shared + 0.5 * own), ("b", 2.1 + 0.7 * shared + 0.3 * other)):
        s = np.sqrt(rng.chisquare(20, count) / 20)
        parts.append(rows(
            t, s, estimator=f"test/{name}", pit=rng.beta(2, 1, count), crps=np.abs(t - 2) / 2,
            status=np.where(rng.random(count) < 0.05, "failed", "ok"), horizon=0,
            band_low=t - 2 * s, band_high=t + 2 * s,
            **{n: np.abs(t - 2) / (2 + i) for i, n in enumerate((*OF_UNITS, "drift"))}, **columns,
        ))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def told(table: pd.DataFrame, catalogue: dict[str, Any] | None = None, **kept: Any) -> pd.DataFrame:
    return pairs(table, catalogue or {}, **kept).set_index("measure", drop=False)


# --- the influences on each measure give the errors that the score table has


def complete(name: str) -> tuple[dict[str, Array], pd.Series[Any]]:
    table = two().query("estimator == 'test/a'")
    group = cells_of(table).part.groups[0]
    if not METRICS[name].flags:
        ok = group["ok"]
        group = {key: column[ok] for key, column in group.items()}
    held = ((group["band_low"] <= 2) & (group["band_high"] >= 2)).astype(float)
    return {**group, "bands_held": held}, score(table, {}).iloc[0]


@pytest.mark.parametrize("name", [m for m in COMPARED if m != "absolute_bias"])
def test_influences_give_the_value_and_the_error_of_the_score_table(name: str) -> None:
    group, line = complete(name)
    metric = METRICS[name]
    found = metric.influence(group, 0.95)
    n = found.each.size
    error = sqrt(float(np.square(found.each - found.each.mean()).sum()) / (n * (n - 1)))
    signs = not metric.terms and isinstance(metric.of(group, 0.95), Median)
    assert abs(found.each.mean()) <= 1e-9 * error * n or signs
    assert found.value == pytest.approx(line[name], rel=1e-12)
    # Shares have n below in the table, n - 1 here; the sign of a median's deviation is not 0.
    loose = 2 / n if metric.share or name in ("type_m", "shortfall_failures") else 1e-9
    assert error == pytest.approx(line[f"{name}_mcse"], rel=10 * loose)


def test_every_metric_is_compared_but_those_that_compare_by_themselves() -> None:
    by_itself = {"precision_gain", "coverage_common", "size_adjusted_power", "shortfall"}
    families = {"simultaneous_coverage_with_failures", "joint_coverage"}
    checks = {"excludes_estimate", "contradicts_p_value", "rejection_by_p_value"}
    assert set(COMPARED) == set(METRICS) - by_itself - families - checks
    assert set(told(two())["measure"]) == set(COMPARED)
    with pytest.raises(BadInput, match="no measure named 'rmsee'; did you mean 'rmse'"):
        pairs(two(), {}, measures=["rmsee"])


# --- the difference of two estimators


def by_hand(table: pd.DataFrame) -> pd.DataFrame:
    """Return both estimators' rows of the replicates that both answered."""
    ok = table[table["status"] == "ok"]
    common = ok.groupby("replicate")["estimator"].transform("nunique") == 2
    return ok[common]


@pytest.mark.parametrize("name", [m.name for m in COMPARED.values()
                                  if not m.flags and m.name != "absolute_bias"])  # fmt: skip
def test_differences_are_those_of_the_replicates_that_both_answered(name: str) -> None:
    table = two()
    line = told(table).loc[name]
    common = by_hand(table)
    scores = score(common, {}).set_index("estimator")[name]
    assert (line["estimator"], line["other"]) == ("test/a", "test/b")
    assert line["replicates"] == len(common) / 2 < N
    both = [line["value"], line["other_value"]]
    assert both == pytest.approx(scores.tolist(), rel=1e-12)
    assert line["difference"] == pytest.approx(scores.iloc[0] - scores.iloc[1], rel=1e-9)


def test_failures_are_counted_on_every_replicate() -> None:
    table, lines = two(), told(two())
    scores = score(table, {}).set_index("estimator")
    for name in ("failure_rate", "coverage_with_failures", "shortfall_failures"):
        assert lines.loc[name, "replicates"] == N
        both = lines.loc[name, ["value", "other_value"]].tolist()
        assert both == pytest.approx(scores[name].tolist(), rel=1e-12)


SMOOTH = ("bias", "relative_bias", "mse", "rmse", "empirical_se", "model_se", "se_ratio",
          "ci_length", "interval_score", "crps", "pit_mean", "pit_dispersion", "absolute_bias",
          "coverage", "rejection")  # fmt: skip


def test_paired_errors_agree_with_the_jackknife_over_replicates() -> None:
    table = by_hand(two(60))
    left_out = []
    for replicate in table["replicate"].unique():
        rest = score(table[table["replicate"] != replicate], {})
        rest["absolute_bias"] = rest["bias"].abs()
        left_out.append(rest.loc[0, list(SMOOTH)] - rest.loc[1, list(SMOOTH)])
    each, lines = np.array(left_out, dtype=float), told(table)
    n = len(each)
    jackknife = np.sqrt((n - 1) / n * np.square(each - each.mean(axis=0)).sum(axis=0))
    found = lines.loc[list(SMOOTH), "mcse"].to_numpy()
    # Means agree exactly; functions of means are the delta method here, the jackknife there.
    assert found == pytest.approx(jackknife, rel=0.05)
    exact = [SMOOTH.index(name) for name in ("bias", "mse", "ci_length", "coverage", "crps")]
    assert found[exact] == pytest.approx(jackknife[exact], rel=1e-9)


def test_pairing_makes_the_error_small_where_the_noise_is_shared() -> None:
    shared, own, _ = drawn()
    table = pd.concat([rows(2 + shared), rows(2.1 + shared + 0.01 * own, estimator="test/b")])
    line, scores = told(table).loc["bias"], score(table, {})
    assert line["mcse"] < 0.02 * scores["bias_mcse"].min()
    assert not line["tie"]
    assert line["difference"] == pytest.approx(-0.1, abs=4 * line["mcse"])


def test_equal_estimators_tie_exactly_even_up_to_rounding() -> None:
    shared, _, _ = drawn()
    same = rows(2 + shared)
    again = rows((2 + shared) * (1 + 2e-16) + 1e-16, estimator="test/b")
    for other in (same.assign(estimator="test/b"), again):
        lines = told(pd.concat([same, other])).drop(SILENT)
        assert lines["tie"].dropna().all() and not lines["tie"].isna().any()
        exact = lines[[not METRICS[name].share for name in lines.index]]
        assert (exact[["difference", "mcse", "low", "high"]] == 0).all(axis=None)


def test_a_difference_of_shares_is_bonetts_and_prices_and_has_a_length_without_disagreement() -> (
    None
):
    low = np.array([0.0] * 30 + [3.0] * 10)
    one = rows(np.full(40, 2.0)).assign(ci_low=low, ci_high=9.0)
    other = rows(np.full(40, 2.0), estimator="test/b").assign(ci_low=np.roll(low, 4), ci_high=9.0)
    line = told(pd.concat([one, other])).loc["coverage"]
    f = g = 4
    p, q, n = (f + 1) / 42, (g + 1) / 42, 40
    half = Z * sqrt((p + q - (p - q) ** 2) / (n + 2))
    assert [line["low"], line["high"]] == pytest.approx([-half, half], rel=1e-9)
    assert line["mcse"] == pytest.approx(sqrt(8 / (40 * 39)), rel=1e-9)
    alike = told(pd.concat([one, one.assign(estimator="test/b")])).loc["coverage"]
    assert alike["tie"] and alike["mcse"] == 0
    assert alike["high"] == pytest.approx(Z * sqrt(2 / 42 / 42), rel=1e-9)


# --- an error in the truth


def test_an_error_of_the_truth_cancels_from_the_bias_and_not_from_the_rmse() -> None:
    exact, simulated = told(two()), told(two(truth_mcse=0.2))
    assert simulated.loc["bias", "mcse"] == exact.loc["bias", "mcse"]
    assert simulated.loc["ci_length", "mcse"] == exact.loc["ci_length", "mcse"]
    common = by_hand(two())
    shifted = [score(common.assign(truth=2 + d), {})["rmse"].to_list() for d in (0.2, -0.2)]
    moves = [(first - second) - exact.loc["rmse", "difference"] for first, second in shifted]
    expected = np.hypot(exact.loc["rmse", "mcse"], np.sqrt(np.mean(np.square(moves))))
    assert simulated.loc["rmse", "mcse"] == pytest.approx(expected, rel=1e-9)
    assert (
        simulated.loc["simultaneous_coverage", "high"] >= exact.loc["simultaneous_coverage", "high"]
    )


def test_a_difference_of_coverages_that_peak_at_the_stated_truth_is_not_sure() -> None:
    """Narrow limits around a wrong truth covered it always, and wide ones were beaten for sure."""
    noise = np.random.default_rng(3).normal(0, 0.1, 300)
    parts = [
        rows(2 + move + noise, 0.1, estimator=f"test/{name}", truth_mcse=0.5,
             ci_low=2 + move + noise - 0.25, ci_high=2 + move + noise + 0.25)
        for name, move in (("narrow", 0.0), ("off", 0.3))
    ]  # fmt: skip
    line = told(pd.concat(parts, ignore_index=True)).loc["coverage"]
    assert abs(line["difference"]) > 0.5 and line["low"] < 0 < line["high"]
    exact = told(pd.concat(parts, ignore_index=True).assign(truth_mcse=0.0)).loc["coverage"]
    assert not exact["low"] < 0 < exact["high"]


# --- simultaneous limits


def test_the_critical_value_of_independent_means_is_tukeys() -> None:
    """Of p independent values with equal variances max |t| is the studentised range over sqrt 2."""
    rng, p = np.random.default_rng(2), 6
    for columns in (p, 3 * p):  # with and without reduction of the columns
        basis = np.linalg.qr(rng.normal(size=(columns, p)))[0].T
        first, second = np.triu_indices(p, 1)
        squares = differences(basis, first, second)
        assert squares == pytest.approx(np.full(15, 2.0))
        c = critical(basis, first, second, squares, rng)
        tukey = stats.studentized_range.ppf(0.95, p, inf) / sqrt(2)
        density = 0.05 * 2.2  # P(max > c) falls about as fast as exp(-c c / 2): at most c P
        assert c == pytest.approx(tukey, abs=3 * sqrt(0.05 * 0.95 / 9999) / density)
        assert c < stats.norm.ppf(1 - 0.025 / 15)


def test_the_critical_value_of_two_twins_and_a_stranger_is_sidaks_for_two() -> None:
    """Whoever is all but the same as another is compared with the third but once."""
    axes = np.linalg.qr(np.random.default_rng(2).normal(size=(300, 3)))[0].T
    terms = np.array([axes[0], axes[0] + 0.01 * axes[1], axes[2]])
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    squares = differences(terms, first, second)
    assert squares == pytest.approx([1e-4, 2, 2 + 1e-4])
    c = critical(terms, first, second, squares, np.random.default_rng(0))
    sidak = float(stats.norm.ppf((1 + sqrt(0.95)) / 2))
    density = 4 * sqrt(0.95) * stats.norm.pdf(sidak)
    assert c == pytest.approx(sidak, abs=4 * sqrt(0.05 * 0.95 / 9999) / density)


def test_a_single_pair_has_students_limits() -> None:
    table = by_hand(two(30))
    line = told(table).loc["bias"]
    t = stats.t.ppf(0.975, line["replicates"] - 1)
    assert line["high"] - line["difference"] == pytest.approx(t * line["mcse"], rel=1e-9)
    assert reach(Z, np.array([0, 5])) == pytest.approx([nan, stats.t.ppf(0.975, 5)], nan_ok=True)


CHECKED = ("bias", "absolute_bias", "rmse", "empirical_se", "model_se", "se_ratio", "coverage",
           "rejection", "ci_length", "interval_score", "mad", "mae", "median_bias")  # fmt: skip
BIASES, SPREADS, CLAIMED = (0.0, 0.0, 0.3, -0.4), (1.0, 1.0, 1.2, 0.9), (1.0, 0.8, 1.1, 0.6)
SHARED = 0.8


def trials(count: int, size: int, seed: int = 3) -> pd.DataFrame:
    """Return trials, each a cell with four estimators whose errors are correlated."""
    rng, parts = np.random.default_rng(seed), []
    common = rng.normal(size=count * size)
    for i, (bias, spread, claimed) in enumerate(zip(BIASES, SPREADS, CLAIMED, strict=True)):
        own = rng.normal(size=count * size)
        t = 2 + bias + spread * (sqrt(SHARED) * common + sqrt(1 - SHARED) * own)
        s = claimed * np.sqrt(rng.chisquare(30, count * size) / 30)
        parts.append(rows(
            t, s, estimator=f"test/{i}", replicate=np.tile(np.arange(size), count),
            parameters=np.repeat([f'{{"trial":{j}}}' for j in range(count)], size),
        ))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def truly(name: str) -> Array:
    """Return the true value of a measure for the four estimators, by quantiles of the law."""
    grid = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)[:, None]
    scale = np.sqrt(stats.chi2.ppf((np.arange(300) + 0.5) / 300, 30) / 30)[None, :]
    found = []
    for bias, spread, claimed in zip(BIASES, SPREADS, CLAIMED, strict=True):
        e, h = bias + spread * grid, Z * claimed * scale
        miss = np.maximum(np.abs(e) - h, 0)
        root = float(np.sqrt(bias**2 + spread**2))
        found.append({
            "bias": bias, "absolute_bias": abs(bias), "rmse": root, "empirical_se": spread,
            "model_se": claimed, "se_ratio": claimed / spread, "median_bias": bias,
            "coverage": (np.abs(e) <= h).mean(), "rejection": (np.abs(2 + e) > h).mean(),
            "ci_length": 2 * h.mean(), "interval_score": 2 * h.mean() + 40 * miss.mean(),
            "mad": float(np.median(np.abs(bias + spread * grid))),
            "mae": float(np.abs(bias + spread * grid).mean()),
        }[name])  # fmt: skip
    return np.array(found)


def held(count: int, size: int, measures: tuple[str, ...]) -> pd.Series[Any]:
    """Return how often the limits hold all six true differences at once."""
    first, second = np.triu_indices(4, 1)
    inside: dict[str, list[bool]] = {name: [] for name in measures}
    for number, family in enumerate(gather(cells_of(trials(count, size)).part, {})):
        for name in measures:
            true = truly(name) if number == 0 else inside_true[name]
            if number == 0:
                inside_true[name] = true
            done = compare(family, name, first, second, np.random.default_rng(number))
            assert done is not None
            apart = true[first] - true[second]
            inside[name].append(bool(((done.low <= apart) & (apart <= done.high)).all()))
    return pd.DataFrame(inside).mean()


inside_true: dict[str, Array] = {}


def check_held(found: pd.Series[Any], count: int) -> None:
    slack = 3 * sqrt(0.05 * 0.95 / count)
    assert (found >= 0.95 - slack).all(), found
    for name in ("bias", "model_se", "ci_length"):  # and no wider than they must be
        assert found[name] <= 0.95 + slack


def test_simultaneous_limits_hold_all_true_differences_95_times_in_100() -> None:
    check_held(held(100, 150, tuple(set(CHECKED) - set(LATE))), 100)


LATE = ("interval_score",)
"""What hangs on the few sets that miss, and needs more than a hundred replicates."""


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 1000])
def test_simultaneous_limits_hold_all_true_differences_in_2000_trials(size: int) -> None:
    measures = tuple(name for name in CHECKED if size > 100 or name not in LATE)
    check_held(held(2000, size, measures), 2000)


# --- what is compared with what


def three(**columns: Any) -> pd.DataFrame:
    shared, own, other = drawn()
    return pd.concat([
        rows(2 + shared, estimator="test/oracle", **columns),
        rows(2 + shared + own, estimator="test/a", **columns),
        rows(2 + shared + other, estimator="test/b", **columns),
    ], ignore_index=True)  # fmt: skip


def test_all_pairs_stand_in_the_catalogues_order_or_each_against_a_reference() -> None:
    catalogue = {"estimators": {"test/oracle": {}, "test/b": {}, "test/a": {}}}
    every = told(three(), catalogue).loc["bias", ["estimator", "other"]].to_numpy().tolist()
    assert every == [["test/oracle", "test/b"], ["test/oracle", "test/a"], ["test/b", "test/a"]]
    chosen = told(three(), catalogue, against="test/oracle").loc["bias"]
    assert chosen["estimator"].tolist() == ["test/b", "test/a"]
    assert (chosen["other"] == "test/oracle").all()
    with pytest.raises(BadInput, match="no estimator of the rows named 'test/none'"):
        told(three(), catalogue, against="test/none")


def test_fewer_comparisons_have_shorter_limits() -> None:
    every, chosen = told(three()).loc["bias"], told(three(), against="test/oracle").loc["bias"]
    lengths = [(t["high"] - t["low"]).to_numpy() / t["mcse"].to_numpy() for t in (every, chosen)]
    assert lengths[1].max() < lengths[0].min()


def test_cells_targets_and_horizons_are_compared_apart_and_diagnostics_not() -> None:
    cells = [three(), three(n=200), three(horizon=1), three(estimand="ATT")]
    alarms = [rows([nan] * 9, kind="diagnostic", estimator=f"test/{i}", passed=True) for i in "xy"]
    found = told(pd.concat([*cells, *alarms]))
    assert len(found.loc["bias"]) == 4 * 3
    assert not found["estimator"].isin(["test/x", "test/y"]).any()
    lone = told(pd.concat([rows([1.0, 2.0]), *alarms]))
    assert lone.empty and list(lone) == list(COLUMNS)


def test_averages_without_moments_are_flagged() -> None:
    catalogue = {"estimators": {"test/a": {"moments": False}, "test/b": {}, "test/oracle": {}}}
    found = told(three(), catalogue).loc["rmse"].set_index(["estimator", "other"])["moments"]
    assert found.to_dict() == {
        ("test/a", "test/b"): False, ("test/a", "test/oracle"): False,
        ("test/b", "test/oracle"): True,
    }  # fmt: skip


# --- bad input


def beside(other: pd.DataFrame) -> pd.DataFrame:
    n = int(other["replicate"].nunique())
    return told(pd.concat([rows(2 + drawn(n)[0]), other.assign(estimator="test/b")]))


def test_who_failed_always_is_compared_by_failures_only() -> None:
    lines = beside(rows([nan] * 30, nan, status="failed"))
    assert lines.loc["failure_rate", "difference"] == -1
    assert not lines.loc["failure_rate", "tie"] and not lines.loc["coverage_with_failures", "tie"]
    assert lines.loc["decline_rate", "difference"] == 0
    rest = lines.drop(["failure_rate", "coverage_with_failures", "decline_rate"])
    assert rest["difference"].isna().all() and rest["tie"].isna().all()
    assert set(rest.drop("shortfall_failures")["note"]) == {"no replicate that both answered"}
    assert (rest["note"] != "").all()


def test_two_that_failed_always_are_compared_by_failures_only() -> None:
    lost = rows([nan] * 30, nan, status="failed")
    lines = told(pd.concat([lost, lost.assign(estimator="test/b")]))
    assert set(lines.index) <= {
        "failure_rate", "decline_rate", "coverage_with_failures", "shortfall_failures",
    }  # fmt: skip
    assert lines.loc["failure_rate", "tie"]


def test_those_who_never_answered_together_are_not_compared() -> None:
    t, even = 2 + drawn(40)[0], np.arange(40) % 2 == 0
    one, other = (rows(t, status=np.where(even == flag, "ok", "failed")) for flag in (True, False))
    lines = told(pd.concat([one, other.assign(estimator="test/b")]))
    assert lines.loc["bias", "note"] == "no replicate that both answered"
    assert lines.loc["bias", "replicates"] == 0 and pd.isna(lines.loc["bias", "tie"])


def test_one_replicate_gives_differences_and_no_verdict() -> None:
    lines = beside(rows([2.5]))
    assert lines.loc["bias", "difference"] == pytest.approx(drawn(1)[0][0] - 0.5)
    assert lines["tie"].isna().all() and lines["mcse"].isna().all()
    assert lines.loc["bias", "note"] == "too few replicates for a Monte Carlo error"
    assert lines.loc["empirical_se", "note"] == "one replicate has no spread"
    assert (lines["note"] != "").all()


def test_estimates_that_never_vary_have_exact_differences() -> None:
    still = rows([2.5] * 30)
    lines = told(pd.concat([still, still.assign(estimator="test/b", estimate=2.25)]))
    line = lines.loc["bias"]
    assert [line[k] for k in ("difference", "mcse", "low", "high")] == [0.25, 0, 0.25, 0.25]
    assert not line["tie"]
    assert lines.loc["se_ratio", "note"] == "all errors are equal"
    assert pd.isna(lines.loc["se_ratio", "tie"])


def test_infinite_intervals_have_no_finite_difference() -> None:
    lines = beside(rows(2 + drawn(30)[0], ci_low=-inf, ci_high=inf))
    for name in ("ci_length", "interval_score"):
        assert np.isnan(lines.loc[name, "difference"]) and lines.loc[name, "note"] == "infinite"
    assert lines.loc["coverage", "difference"] <= 0
    assert np.isfinite(lines.loc["coverage", ["low", "high"]].astype(float)).all()


def test_no_wrong_signs_and_no_failures_are_not_called_certain() -> None:
    table = pd.concat([rows(2 + drawn(30)[0] / 9, 0.1, estimator=f"test/{i}") for i in "ab"])
    lines = told(table)
    for name in ("type_s", "shortfall_failures"):
        assert lines.loc[name, "difference"] == 0 and pd.isna(lines.loc[name, "tie"])
        assert (
            "without an error" in lines.loc[name, "note"] or "no error" in lines.loc[name, "note"]
        )


def test_bands_are_compared_by_whether_they_hold_all_horizons_at_once() -> None:
    rng, n = np.random.default_rng(3), 300
    misses = {(name, h): rng.random(n) < 0.2 for name in ("test/a", "test/b") for h in (0, 1)}
    parts = [
        rows(np.full(n, 2.0), estimator=name, horizon=h, band_low=np.where(miss, 3.0, 1.0),
             band_high=5.0)
        for (name, h), miss in misses.items()
    ]  # fmt: skip
    table = pairs(joined(*parts), {}, measures=["simultaneous_coverage"])
    share = [1 - np.mean(misses[name, 0] | misses[name, 1]) for name in ("test/a", "test/b")]
    assert table["value"].to_numpy() == pytest.approx([share[0]] * 2)
    assert table["difference"].to_numpy() == pytest.approx([share[0] - share[1]] * 2)


def test_a_tie_is_what_the_limits_do_not_tell_apart() -> None:
    between = 0
    for seed in range(6):
        table = told(two(seed=seed)).dropna(subset=["low"])
        holds = (table["low"] <= 0) & (table["high"] >= 0)
        assert (table["tie"] == holds).all()
        size = table["difference"].abs()
        between += (holds & (size > table["mcse"])).sum()
    assert between > 0


def test_every_line_has_limits_or_a_reason() -> None:
    tables = [two(), three(), rows(2 + drawn(9)[0], nan, ci_low=nan, ci_high=nan)]
    for table in (told(tables[0]), told(tables[1]), beside(tables[2])):
        known = table["low"].notna() & table["high"].notna() & table["tie"].notna()
        assert (known ^ (table["note"] != "")).all()


def test_tables_of_another_version_are_refused() -> None:
    with pytest.raises(BadInput, match="lacks columns: pit; was it written by another version"):
        pairs(two().drop(columns="pit"), {})
    with pytest.raises(BadInput, match="replicates more than once"):
        pairs(pd.concat([two(), two()]), {})


# --- run folders


@pytest.mark.parametrize("layout", ["cell by cell", "in pieces", "scattered"])
def test_a_folder_is_compared_as_its_rows_are(tmp_path: Path, layout: str) -> None:
    cells = [two(60), two(60, 2, n=200)]
    half = [[c[c["replicate"] < 30], c[c["replicate"] >= 30]] for c in cells]
    shards = {
        "cell by cell": cells, "in pieces": [*half[0], *half[1]],
        "scattered": [half[0][0], half[1][0], half[0][1], half[1][1]],
    }[layout]  # fmt: skip
    expected = pairs(pd.concat(cells), {})
    tables = RunTables.of_folder(write_replicates(tmp_path, *shards), {})
    pd.testing.assert_frame_equal(tables["pairs"], expected, check_dtype=False)
    tables.write(tmp_path)
    stored = pd.read_parquet(tmp_path / "pairs.parquet")
    assert stored["dial"].isna().all()
    for name in ("dial", "group", "contrast", "label"):
        assert stored[name].isna().all()
        stored[name] = None  # pandas reads an empty column as NaN
    stored = stored.astype({"tie": "boolean"})
    pd.testing.assert_frame_equal(stored, expected, check_dtype=False)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_folder_without_rows_gives_an_empty_table(tmp_path: Path) -> None:
    tables = RunTables.of_folder(write_replicates(tmp_path), {})
    assert tables["pairs"].empty
    tables.write(tmp_path)
    assert list(pd.read_parquet(tmp_path / "pairs.parquet")) == list(COLUMNS)
