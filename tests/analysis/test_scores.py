from __future__ import annotations

from functools import partial
from itertools import permutations
from math import inf, isnan, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import RUNNING, loaded
from replicates import replicate_table
from scipy import stats
from scipy.optimize import brentq
from scipy.special import gammaln

from cibench.analysis.scores import score
from cibench.metrics import Score, accuracy, core, intervals
from cibench.metrics.influence import scored
from cibench.metrics.registry import listed
from cibench.storage.schema import SCORED, TYPES, schema
from cibench.utils.errors import BadInput

EMPTY: dict[str, Any] = {}
SCORES = {metric.name: metric for metric in listed("scores")}


wald = partial(replicate_table, reach=1.96)


def one(rows: pd.DataFrame, catalogue: dict[str, Any] = EMPTY) -> pd.Series[Any]:
    scores = score(rows, catalogue)
    assert len(scores) == 1
    return scores.iloc[0]


ASKED = {name for name, metric in SCORES.items() if not metric.optional}
"""Measures of what every answer has: of single units there is nothing in these rows."""

RARE = {
    "size_adjusted_power", "simultaneous_coverage", "simultaneous_coverage_with_failures",
    "joint_coverage", "crps", "pit_mean", "pit_dispersion",
}  # fmt: skip
"""What plain rows cannot have: a null cell, bands, a posterior."""


def needing(*columns: str) -> set[str]:
    """Return the metrics that need one of the columns, but for those that plain rows lack."""
    return {m.name for m in SCORES.values() if set(columns) & set(m.needs)} - RARE


def blank(line: pd.Series[Any]) -> set[str]:
    """Return the measures that are blank in a row of scores, with all that belongs to them.

    Each must have its reason in the note. Those that plain rows cannot have are left out.
    """
    names = {m for m in SCORES if isnan(line[m])}
    ends = ("mcse", "low", "high")
    there = [f"{m}_{end}" for m in names for end in ends if f"{m}_{end}" in line.index]
    assert line[there].isna().all()
    noted = {name for part in line["note"].split("; ") for name in part.split(": ")[1].split(", ")}
    unasked = {m for m in names if SCORES[m].optional}
    assert names - unasked <= noted
    return names - RARE - unasked


# --- the shape of the table


def test_columns_are_the_keys_the_counts_and_the_measures_in_this_order() -> None:
    expected = [
        *SCORED, "replicates", "answered", "failures", "declined", "moments", "truth",
        "truth_mcse", "bias", "bias_mcse", "relative_bias", "relative_bias_mcse", "mse",
        "mse_mcse", "rmse", "rmse_mcse", "empirical_se", "empirical_se_mcse", "model_se",
        "model_se_mcse", "se_ratio", "se_ratio_mcse", "coverage", "coverage_mcse", "coverage_low",
        "coverage_high", "coverage_with_failures", "coverage_with_failures_mcse",
        "coverage_with_failures_low", "coverage_with_failures_high", "bias_eliminated_coverage",
        "bias_eliminated_coverage_mcse", "bias_eliminated_coverage_low",
        "bias_eliminated_coverage_high", "ci_length", "ci_length_mcse", "rejection",
        "rejection_mcse", "rejection_low", "rejection_high", "failure_rate", "failure_rate_mcse",
        "failure_rate_low", "failure_rate_high", "median_bias", "median_bias_mcse", "mad",
        "mad_mcse", "mae", "mae_mcse", "interval_score", "interval_score_mcse", "lower_noncoverage",
        "lower_noncoverage_mcse", "lower_noncoverage_low", "lower_noncoverage_high",
        "upper_noncoverage", "upper_noncoverage_mcse", "upper_noncoverage_low",
        "upper_noncoverage_high", "type_s", "type_s_mcse", "type_s_low", "type_s_high", "type_m",
        "type_m_mcse", "precision_gain", "precision_gain_mcse", "coverage_common",
        "coverage_common_mcse", "coverage_common_low", "coverage_common_high",
        "simultaneous_coverage", "simultaneous_coverage_mcse", "simultaneous_coverage_low",
        "simultaneous_coverage_high", "size_adjusted_power", "size_adjusted_power_mcse",
        "size_adjusted_power_low", "size_adjusted_power_high", "crps",
        "crps_mcse", "pit_mean", "pit_mean_mcse", "pit_dispersion", "pit_dispersion_mcse",
        "shortfall", "shortfall_mcse", "shortfall_bias", "shortfall_bias_mcse", "shortfall_se",
        "shortfall_se_mcse", "shortfall_shape", "shortfall_shape_mcse", "shortfall_failures",
        "shortfall_failures_mcse", "seconds", "moments_note", "reference", "note",
    ]  # fmt: skip
    rows = wald([1.0, 2.0, 4.0], [1.0, 1.0, 1.0])
    columns = list(score(rows, EMPTY).columns)
    assert [name for name in columns if name in expected] == expected
    more = [name for metric in SCORES.values() for name in metric.columns if name not in expected]
    assert [name for name in columns if name not in expected] == more
    nothing = score(rows.iloc[:0], EMPTY)
    assert list(nothing.columns) == columns
    assert nothing.empty


def test_counts_are_integers_moments_a_truth_value_and_measures_floats() -> None:
    for rows in (wald([1.0, 2.0], [1.0, 1.0]), wald([1.0], [1.0]).iloc[:0]):
        types = score(rows, EMPTY).dtypes
        counts = ("replicates", "answered", "failures", "declined")
        assert all(types[name] == np.int64 for name in counts)
        assert types["moments"] == np.bool_
        assert all(types[name] == np.float64 for name in [*SCORES, "truth", "seconds"])


def test_every_distinct_key_is_one_row_in_order_of_first_appearance() -> None:
    rows = pd.concat(
        [
            wald([1.0, 2.0], [1, 1], scenario="test/z"),
            wald([3.0, 4.0], [1, 1], scenario="test/a", dial="sorting", setting=0.1),
            wald([5.0, 6.0], [1, 1], scenario="test/z", horizon=-1),
            wald([7.0, 8.0], [1, 1], scenario="test/z", horizon=0),
            wald([9.0, 9.5], [1, 1], scenario="test/z", replicate=[2, 3]),
        ],
        ignore_index=True,
    )
    scores = score(rows, EMPTY)
    assert scores["scenario"].tolist() == ["test/z", "test/a", "test/z", "test/z"]
    assert scores["replicates"].tolist() == [4, 2, 2, 2]
    assert scores["bias"].tolist() == pytest.approx([3.375, 1.5, 3.5, 5.5])
    assert scores["horizon"].isna().tolist() == [True, True, False, False]
    assert scores["dial"].isna().tolist() == [True, False, True, True]


def test_every_key_column_keeps_rows_apart() -> None:
    first = wald([1.0, 2.0], [1, 1])
    for name in SCORED:
        if name == "kind":
            continue
        text = "log" if name == "scale" else "other"
        other = first.assign(**{name: text if TYPES[name] == "string" else 7})
        scores = score(pd.concat([first, other, first.assign(replicate=[2, 3])]), EMPTY)
        assert scores["replicates"].tolist() == [4, 2], name


def test_missing_columns_are_named() -> None:
    rows = wald([1.0], [1.0]).drop(columns=["ci_low", "level"])
    with pytest.raises(BadInput, match="lacks columns: level, ci_low"):
        score(rows, EMPTY)


def test_a_replicate_that_is_there_twice_is_refused() -> None:
    rows = wald([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(BadInput, match="1 replicates more than once"):
        score(pd.concat([rows, rows.iloc[:1]]), EMPTY)


def test_moments_are_what_the_catalogue_says_of_estimator_and_scenario() -> None:
    rows = pd.concat(
        wald([1.0, 2.0], [1, 1], scenario=s, estimator=e)
        for s in ("test/light", "test/heavy") for e in ("test/mean", "test/ratio")
    )  # fmt: skip
    assert score(rows, EMPTY)["moments"].tolist() == [True] * 4
    catalogue = {
        "estimators": {"test/ratio": {"moments": False}, "test/mean": {}},
        "scenarios": {"test/heavy": {"moments": False}, "test/light": {"moments": True}},
    }
    assert score(rows, catalogue)["moments"].tolist() == [True, False, False, False]
    assert score(rows, catalogue)["bias"].notna().all()


# --- one measure, one implementation


def test_every_measure_in_the_table_is_the_function_on_the_arrays() -> None:
    rng = np.random.default_rng(5)
    t, s, theta = rng.normal(2, 1, 40), rng.gamma(9, 0.1, 40), rng.normal(2, 0.1, 40)
    rows = wald(t, s, truth=theta, seconds=np.linspace(1, 2, 40))
    low, high = rows["ci_low"].to_numpy(), rows["ci_high"].to_numpy()
    pit = rng.random(40)
    rows = rows.assign(pit=pit, crps=pit, p_value=pit, band_low=low, band_high=high, horizon=0)
    columns = {name: rows[name].to_numpy() for name in rows} | {"truth": theta}
    columns |= {
        "ok": np.full(40, True),
        "failed": np.full(40, False),
        "declined": np.full(40, False),
    }
    columns |= {name: columns[name].astype(float) for name in ("estimate", "std_error")}
    held = intervals.coverage(low, high, theta)
    expected = {
        name: scored(metric.of(columns, 0.95))
        for name, metric in SCORES.items() if metric.scope == "estimator" and name in ASKED
    } | {
        "precision_gain": Score(0.0, 0.0), "coverage_common": held, "simultaneous_coverage": held,
        "simultaneous_coverage_with_failures": held,
    }  # fmt: skip
    assert expected["bias"] == accuracy.bias(t, theta)
    assert expected["coverage_with_failures"] == held
    assert set(expected) == ASKED - {"size_adjusted_power", "joint_coverage"}
    line = one(rows)
    for name, found in expected.items():
        assert (line[name], line[f"{name}_mcse"]) == (found.value, found.mcse), name
        if SCORES[name].share:
            assert (line[f"{name}_low"], line[f"{name}_high"]) == (found.low, found.high), name
    assert line["truth"] == theta.mean()
    assert line["seconds"] == pytest.approx(1.5)


def test_a_fixed_truth_is_reported_as_it_is() -> None:
    line = one(wald([1.0] * 10, [1.0] * 10, truth=0.1, truth_mcse=0.3))
    assert (line["truth"], line["truth_mcse"]) == (0.1, 0.3)


def test_the_error_of_a_simulated_truth_reaches_the_measures() -> None:
    t, s = [1.0, 2.5, 2.0, 3.7], [1.0, 1.0, 1.0, 1.0]
    exact, blurred = one(wald(t, s)), one(wald(t, s, truth_mcse=0.25))
    assert blurred["bias_mcse"] == pytest.approx(sqrt(exact["bias_mcse"] ** 2 + 0.25**2))
    assert blurred["mse_mcse"] > exact["mse_mcse"]
    assert blurred["rmse_mcse"] > exact["rmse_mcse"]
    assert blurred["relative_bias_mcse"] > exact["relative_bias_mcse"]
    assert blurred["empirical_se_mcse"] == exact["empirical_se_mcse"]
    # The interval (-inf, t) holds a truth that is a little smaller and not one a little larger:
    # three of four at 2, all at 1.75 and one at 2.25, the farther end.
    limits = {"ci_low": -inf, "ci_high": [2.2, 1.9, 2.1, 9.0]}
    blurred = one(wald(estimate=t, **limits, truth_mcse=0.25))
    exact = one(wald(estimate=t, **limits))
    for name in ("coverage", "coverage_with_failures"):
        assert blurred[f"{name}_mcse"] == pytest.approx(sqrt(exact[f"{name}_mcse"] ** 2 + 0.5**2))


def test_a_null_truth_error_is_none() -> None:
    t, s = [1.0, 2.5], [1.0, 1.0]
    line = one(wald(t, s, truth_mcse=nan))
    assert line["bias_mcse"] == one(wald(t, s))["bias_mcse"]
    assert isnan(line["truth_mcse"])


# --- what is missing


def test_failures_are_counted_by_their_status_and_left_out_of_the_measures() -> None:
    statuses = ["ok", "failed", "ok", "nonfinite", "timeout", "crashed", "declined", "ok"]
    ok = np.array([s == "ok" for s in statuses])
    t = np.where(ok, [1.0, 99, 2, 99, 99, 99, 99, 9], 99)
    line = one(wald(t, np.ones(8), status=statuses))
    assert line[["replicates", "answered", "failures", "declined"]].tolist() == [8, 3, 4, 1]
    assert line["bias"] == 2
    assert line["coverage"] == pytest.approx(2 / 3)
    assert line["failure_rate"] == pytest.approx(4 / 7)
    wilson = core.proportion(2, 7)
    names = ["", "_mcse", "_low", "_high"]
    found = [line[f"coverage_with_failures{end}"] for end in names]
    assert found == [wilson.value, wilson.mcse, wilson.low, wilson.high]


def test_where_all_failed_only_the_failure_rate_and_the_misses_speak() -> None:
    rows = wald(status=["failed", "timeout", "declined"], seconds=[1, 2, 3])
    line = one(rows)
    assert blank(line) == ASKED - RARE - {
        "failure_rate", "decline_rate", "coverage_with_failures",
    }  # fmt: skip
    assert line["decline_rate"] == pytest.approx(1 / 3)
    assert line["note"].startswith("no replicate was answered: bias, ")
    assert line["failure_rate"] == 1
    assert line["coverage_with_failures"] == 0
    assert line["coverage_with_failures_high"] == core.proportion(0, 2).high
    assert line["seconds"] == 2


def test_who_gives_no_standard_error_has_no_measure_of_it() -> None:
    rows = wald([1.0, 2.0, 4.0], [1, 1, 1]).assign(std_error=None)
    assert blank(one(rows)) == needing("std_error", "p_value")
    assert {"model_se", "se_ratio", "shortfall_se"} <= needing("std_error")


def test_who_gives_no_limits_has_no_coverage_even_with_failures() -> None:
    rows = wald([1.0, 2.0, nan], 1.0, status=["ok", "ok", "failed"], ci_low=nan, ci_high=nan)
    assert blank(one(rows)) == needing("ci_low", "p_value")
    assert {"coverage_with_failures", "rejection", "type_s"} <= needing("ci_low")


def test_set_valued_answers_without_an_estimate_have_coverage_and_no_bias() -> None:
    rows = wald(
        ci_low=[1, inf, -inf, -1, -0.5],
        ci_high=[3, -inf, inf, 1, 1.5],
        outside=[False, False, False, True, True],
    )  # hold 2: yes, no, yes, yes, yes; hold 0: no, no, yes, no, no
    line = one(rows)
    assert blank(line) == needing("estimate", "std_error", "p_value")
    assert line["coverage"] == pytest.approx(4 / 5)
    assert line["rejection"] == pytest.approx(4 / 5)
    assert line["ci_length"] == inf
    assert isnan(line["ci_length_mcse"])


def test_where_some_answers_lack_something_the_others_are_measured() -> None:
    t, s = [1.0, nan, 4.0, 6.0], [nan, 1.0, 1.0, 2.0]
    rows = wald(t, s).assign(ci_low=[0, 0, nan, 5], ci_high=[3, 3, nan, 7])
    line = one(rows)
    assert line["answered"] == 4
    assert line["bias"] == pytest.approx(11 / 3 - 2)
    assert line["model_se"] == pytest.approx(sqrt(2))
    assert line["se_ratio"] == pytest.approx(sqrt(2.5) / sqrt(2))  # the last two rows only
    assert line["coverage"] == pytest.approx(2 / 3)
    assert line["coverage_with_failures"] == pytest.approx(2 / 4)


def test_one_replicate_gives_values_and_no_spread() -> None:
    line = one(wald([3.0], [1.0]))
    parts = {f"shortfall_{part}" for part in ("bias", "se", "shape")}
    unknown = {"empirical_se", "se_ratio", "precision_gain"} | needing("p_value")
    assert blank(line) == unknown | parts
    assert "one replicate has no spread: empirical_se, se_ratio" in line["note"]
    assert line["bias"] == 1
    assert isnan(line["bias_mcse"])


def test_a_null_outside_is_an_ordinary_interval() -> None:
    rows = wald(ci_low=[1.0, 1.0], ci_high=[3.0, 3.0])
    rows["outside"] = pd.Series([None, True], dtype=object)
    assert one(rows)["coverage"] == 0.5
    assert one(rows)["ci_length"] == inf
    assert one(rows.iloc[:1])["ci_length"] == 2


def test_repeated_fits_of_the_same_data_are_left_out() -> None:
    rows = wald([1.0, 2.0], [1, 1])
    again = wald([50.0, 60.0], [1, 1], refit=1)
    pd.testing.assert_frame_equal(score(pd.concat([rows, again]), EMPTY), score(rows, EMPTY))


def test_a_diagnostic_is_scored_by_how_often_it_does_not_pass() -> None:
    rows = wald(
        kind="diagnostic",
        estimator="test/density",
        passed=[True, False, False, False, None, None],
        statistic=1.0,
        truth=nan,
        status=["ok"] * 4 + ["failed", "declined"],
    )
    line = one(rows)
    assert line[["replicates", "answered", "failures", "declined"]].tolist() == [6, 4, 1, 1]
    assert blank(line) == ASKED - RARE - {"rejection", "failure_rate", "decline_rate"}
    assert line["decline_rate"] == pytest.approx(1 / 6)
    wilson = core.proportion(3, 4)
    assert (line["rejection"], line["rejection_low"]) == (wilson.value, wilson.low)
    assert line["failure_rate"] == pytest.approx(1 / 5)
    assert line["seconds"] == 0.5
    assert bool(line["moments"])


# --- order, storage, imports


def noisy_cells(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for estimator in ("test/b", "test/a"):
        t = rng.normal(2, 1, 301) * 10.0 ** rng.integers(-8, 9, 301)
        status = rng.choice(["ok", "ok", "ok", "failed"], 301)
        truth = rng.normal(2, 1, 301)
        parts.append(wald(t, abs(t), estimator=estimator, status=status, truth=truth))
    return pd.concat(parts, ignore_index=True)


def test_scores_do_not_depend_on_the_order_of_the_rows_to_the_bit() -> None:
    rows = noisy_cells(1).drop(columns="seconds").assign(seconds=np.arange(602) * 0.1)
    in_order = score(rows, EMPTY).sort_values("estimator", ignore_index=True)
    shuffles = [rows.sample(frac=1, random_state=seed) for seed in range(3)]
    plain_sums = {float(r.query("estimator == 'test/a'")["estimate"].sum()) for r in shuffles}
    assert len(plain_sums) > 1  # otherwise these rows would prove nothing
    for shuffled in shuffles:
        again = score(shuffled, EMPTY).sort_values("estimator", ignore_index=True)
        pd.testing.assert_frame_equal(again, in_order, check_exact=True)


def test_rows_read_from_parquet_are_scored_the_same(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tested = wald(kind="diagnostic", passed=[True, False, None], status=["ok", "ok", "failed"])
    rows = pd.concat([noisy_cells(2), tested], ignore_index=True).assign(std_error=None)
    stored = pa.Table.from_pandas(rows, schema=schema(), preserve_index=False)
    pq.write_table(stored, tmp_path / "rows.parquet")
    read = score(pd.read_parquet(tmp_path / "rows.parquet"), EMPTY)
    same_types = score(rows, EMPTY)[list(read.columns)]
    pd.testing.assert_frame_equal(read, same_types, check_exact=True, check_dtype=False)


def test_importing_the_scorer_loads_neither_plugins_nor_runner_nor_pandas() -> None:
    unwanted = [*RUNNING, "pandas", "scipy"]
    assert loaded("import cibench.analysis.scores", unwanted)[1] == []


# --- the errors keep their promise


def simulated_cells(trials: int, n: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return `trials` cells of normal estimates and the true value of every measure.

    Bias 0.3 around the truth 2, standard deviation 1, squared standard errors 0.9^2 chi2(20)/20,
    limits at 1.96 standard errors, 15 % failures. Coverage is then 0.89: close to one the plain
    error of a proportion does not hold three times in a thousand, and Wilson's limits must speak.
    """
    rng = np.random.default_rng(2026)
    size, df, bias, model, reach = trials * n, 20, 0.3, 0.9, 1.96
    t = rng.normal(2 + bias, 1, size)
    s = model * np.sqrt(rng.chisquare(df, size) / df)
    rows = wald(
        t, s,
        setting=np.repeat(np.arange(trials, dtype=float), n), dial="trial",
        replicate=np.tile(np.arange(n), trials),
        status=np.where(rng.random(size) < 0.15, "failed", "ok"),
    )  # fmt: skip
    rows = rows.assign(horizon=0)
    pit = rng.beta(2, 1, size)
    limits = {"low": rows["ci_low"], "high": rows["ci_high"]}
    rows = rows.assign(pit=pit, crps=pit, **{f"band_{end}": limits[end] for end in limits})
    bounds = np.array([-1, 1]) * reach * model
    coverage = float(np.diff(stats.nct.cdf(bounds, df, bias))[0])
    mean_s = model * sqrt(2 / df) * float(np.exp(gammaln((df + 1) / 2) - gammaln(df / 2)))
    return rows, {
        "bias": bias, "relative_bias": bias / 2, "mse": 1 + bias**2, "rmse": sqrt(1 + bias**2),
        "empirical_se": 1, "model_se": model, "se_ratio": model, "coverage": coverage,
        "coverage_with_failures": 0.85 * coverage,
        "bias_eliminated_coverage": float(np.diff(stats.t.cdf(bounds, df))[0]),
        "ci_length": 2 * reach * mean_s,
        "rejection": 1 - float(np.diff(stats.nct.cdf(bounds, df, 2 + bias))[0]),
        "failure_rate": 0.15,
        **simulated_truths(df, bias, model, reach, coverage),
    }  # fmt: skip


def simulated_truths(
    df: int, bias: float, model: float, reach: float, coverage: float
) -> dict[str, float]:
    """Return the true values of the measures that need integrals, for `simulated_cells`."""
    bounds = np.array([-1, 1]) * reach * model
    half = reach * model * np.sqrt(stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, df) / df)
    over = sum(stats.norm.expect(lambda e, r=r: max(e + bias - r, 0) + max(-e - bias - r, 0))
               for r in half[100::200]) / 100  # fmt: skip
    mad = brentq(lambda x: np.diff(stats.norm.cdf([-x, x], bias))[0] - 0.5, 0.1, 3)
    below, above = stats.nct.cdf(bounds[0], df, 2 + bias), stats.nct.sf(bounds[1], df, 2 + bias)
    law = stats.norm(2 + bias)
    sizes = law.pdf(half) + (2 + bias) * law.sf(half) + law.pdf(-half)
    sizes -= (2 + bias) * law.cdf(-half)
    return {
        "median_bias": bias, "mad": float(mad),
        "mae": float(stats.foldnorm.mean(abs(bias))),
        "interval_score": 2 * float(half.mean()) + 40 * float(over),
        "lower_noncoverage": float(stats.nct.sf(bounds[1], df, bias)),
        "upper_noncoverage": float(stats.nct.cdf(bounds[0], df, bias)),
        "type_s": float(below / (below + above)),
        "type_m": float(sizes.mean() / (below + above) / 2),
        "coverage_common": coverage, "simultaneous_coverage": coverage,
        "simultaneous_coverage_with_failures": 0.85 * coverage,
        "crps": 2 / 3, "pit_mean": 2 / 3, "pit_dispersion": sqrt(12 / 18),
        "shortfall": 0.95 - coverage, "shortfall_failures": 0.15 * coverage,
        **{f"shortfall_{part}": share for part, share in true_shares(bias, model, df).items()},
    }  # fmt: skip


def true_shares(bias: float, ratio: float, df: int) -> dict[str, float]:
    """Return the Shapley shares of N(bias, 1) errors with s^2 = ratio^2 chi2(df) / df."""
    z = 1.96

    def covered(repaired: tuple[str, ...]) -> float:
        b = 0.0 if "bias" in repaired else bias
        k = 1.0 if "se" in repaired else ratio
        law = stats.norm(b) if "shape" in repaired else stats.nct(df, b)
        return float(law.cdf(z * k) - law.cdf(-z * k))

    parts = ("bias", "se", "shape")
    adds = [
        {p: covered(o[: o.index(p) + 1]) - covered(o[: o.index(p)]) for p in parts}
        for o in permutations(parts)
    ]
    return {part: float(np.mean([add[part] for add in adds])) for part in parts}


SIMULATED = [
    "bias", "relative_bias", "mse", "rmse", "empirical_se", "model_se", "se_ratio", "coverage",
    "coverage_with_failures", "bias_eliminated_coverage", "ci_length", "rejection", "failure_rate",
    "median_bias", "mad", "mae", "lower_noncoverage", "type_m", "coverage_common",
    "simultaneous_coverage", "simultaneous_coverage_with_failures", "crps", "pit_mean",
    "pit_dispersion", "shortfall", "shortfall_bias",
    "shortfall_se", "shortfall_shape", "shortfall_failures",
]  # fmt: skip
"""The metrics whose true values `simulated_cells` gives. Of others see test_score_targets.py: they
need a second cell or estimator, or rest on a rare event."""


@pytest.fixture(scope="module")
def trial_scores() -> tuple[pd.DataFrame, dict[str, float]]:
    rows, true = simulated_cells(trials=500, n=300)
    return score(rows, EMPTY), true


@pytest.mark.parametrize("name", SIMULATED)
def test_three_errors_hold_the_true_value(
    trial_scores: tuple[pd.DataFrame, dict[str, float]], name: str
) -> None:
    scores, true = trial_scores
    assert len(scores) == 500
    away = (scores[name] - true[name]).abs() / scores[f"{name}_mcse"]
    assert (away < 3).mean() >= 0.985
    # Neither are the errors far too large: two of them must fail to hold it now and then.
    assert 0.92 < (away < 2).mean() < 0.985


@pytest.mark.parametrize("name", [name for name in SIMULATED if SCORES[name].share])
def test_wilson_limits_hold_the_true_share_as_often_as_they_say(
    trial_scores: tuple[pd.DataFrame, dict[str, float]], name: str
) -> None:
    scores, true = trial_scores
    held = scores[f"{name}_low"].le(true[name]) & scores[f"{name}_high"].ge(true[name])
    assert held.mean() == pytest.approx(0.95, abs=3.5 * sqrt(0.95 * 0.05 / 500))
