"""Scores that look at a whole cell, blanks with their reasons, bad input, and run folders."""

from __future__ import annotations

from functools import partial
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from replicates import replicate_table, write_replicates

from cibench.analysis import score
from cibench.metrics import core, standard_errors
from cibench.metrics.registry import listed
from cibench.results import RunTables
from cibench.utils.errors import BadInput

rows = partial(replicate_table, reach=1.96, estimator="test/mean")


def scored(*parts: pd.DataFrame, catalogue: dict[str, Any] | None = None) -> pd.DataFrame:
    return score(pd.concat(parts, ignore_index=True), catalogue or {})


def normal(n: int = 200, seed: int = 1, centre: float = 2.0) -> Any:
    return np.random.default_rng(seed).normal(centre, 1, n)


# --- beside the others of the cell


def test_common_coverage_rests_on_the_replicates_that_all_answered() -> None:
    t = np.array([2, 2, 9, 9, 2.0])
    first = rows(t, status=["ok", "ok", "ok", "failed", "ok"])
    second = rows(t[:4], estimator="test/other", status=["ok", "failed", "ok", "ok"])
    broken = rows(t, estimator="test/broken", status="crashed")
    scores = scored(first, second, broken)
    # Replicates 0 and 2: the second never saw the last, and the broken one is not waited for.
    assert scores["coverage"].tolist()[:2] == [3 / 4, 1 / 3]
    assert scores["coverage_common"].tolist()[:2] == [0.5, 0.5]
    assert scores["coverage_common_high"][0] == core.proportion(1, 2).high
    assert isnan(scores["coverage_common"][2])


def test_common_coverage_says_when_no_replicate_is_common() -> None:
    first = rows([2, 2], status=["ok", "failed"])
    second = rows([2, 2], estimator="test/other", status=["failed", "ok"])
    scores = scored(first, second)
    assert scores["coverage_common"].isna().all()
    assert scores["note"].str.contains("no replicate that all estimators answered").all()


def test_cells_targets_and_horizons_are_not_common() -> None:
    t = np.full(3, 2.0)
    parts = [rows(t, status=["failed", "ok", "ok"])]
    apart: list[dict[str, Any]] = [{"n": 9}, {"horizon": 1}, {"estimand": "ATT"}]
    parts += [rows(t, estimator="test/b", **keys) for keys in apart]
    assert scored(*parts)["replicates"].tolist() == [3] * 4
    first = parts[0].assign(ci_low=[3, 1, 3])
    assert scored(first, *parts[1:])["coverage_common"][0] == 0.5


def test_the_reference_is_the_catalogues_first_whose_errors_vary() -> None:
    t, base = normal(), normal(seed=2)
    parts = [
        rows(t, estimator="test/a"), rows(0.5 * base, estimator="test/b"),
        rows(np.zeros(200), estimator="test/zero"),
    ]  # fmt: skip
    order = {"estimators": {"test/zero": {}, "test/b": {}, "test/a": {}}}
    scores = scored(*parts, catalogue=order)
    assert scores["reference"].tolist() == ["test/b"] * 3
    expected = standard_errors.precision_gain(t, 0.5 * base, np.full(200, 2.0))
    assert scores["precision_gain"][0] == pytest.approx(expected.value)
    assert scores["precision_gain_mcse"][0] == pytest.approx(expected.mcse)
    assert scores["precision_gain"][1] == scores["precision_gain_mcse"][1] == 0
    assert "all errors are equal: " in scores["note"][2]
    assert scored(*parts)["reference"].tolist() == ["test/a"] * 3
    alone = scored(parts[2])
    assert alone["reference"].tolist() == [""] and isnan(alone["precision_gain"][0])


def test_simultaneous_coverage_stands_on_every_horizon() -> None:
    t = np.full(4, 2.0)
    bands = [([1, 1, 3, 1], "ok"), ([1, 3, 1, 1], ["ok", "ok", "ok", "failed"])]
    parts = [
        rows(t, horizon=i, band_low=np.array(low, float), band_high=5.0, status=status)
        for i, (low, status) in enumerate(bands)
    ]
    scores = scored(*parts, rows(t, horizon=2), rows(t))
    assert scores["simultaneous_coverage"].tolist()[:3] == [1 / 3] * 3
    assert isnan(scores["simultaneous_coverage"][3])  # the overall effect is no horizon
    # The fourth data set, whose fit failed at one horizon, is a try that missed.
    assert scores["simultaneous_coverage_with_failures"].tolist()[:3] == [1 / 4] * 3
    blurred = scored(*(p.assign(truth_mcse=1.5) for p in parts))
    assert blurred["simultaneous_coverage_mcse"][0] > scores["simultaneous_coverage_mcse"][0]


def test_who_declines_has_not_tried_his_bands() -> None:
    t, status = np.full(4, 2.0), ["ok", "ok", "declined", "failed"]
    parts = [rows(t, horizon=i, band_low=1.0, band_high=5.0, status=status) for i in range(2)]
    line = scored(*parts).iloc[0]
    assert line["simultaneous_coverage"] == 1
    assert line["simultaneous_coverage_with_failures"] == 2 / 3


def test_pointwise_limits_are_held_to_all_horizons_at_once() -> None:
    """Independent horizons at 95 % each hold 0.95^3 of the time, whatever their bands do."""
    count = 4000
    parts = [rows(normal(count, seed=i), horizon=i, replicate=range(count)) for i in range(3)]
    line = scored(*parts).iloc[0]
    assert abs(line["joint_coverage"] - 0.95**3) < 4 * line["joint_coverage_mcse"]
    alone = scored(parts[0]).iloc[0]
    assert isnan(alone["joint_coverage"]) and "fewer than two targets" in alone["note"]


def test_adjusted_power_finds_the_nearest_cell_with_a_zero_truth() -> None:
    noise = normal(400, centre=0.0)
    power = rows(noise + 2, 0.5, parameters='{"effect":2,"rho":0.5}')
    near = rows(noise, 0.5, truth=0.0, parameters='{"effect":0,"rho":0.5}')
    far = rows(3 * noise, 0.5, truth=0.0, parameters='{"effect":0,"rho":0.1}')
    dial = rows(9 * noise, 0.5, truth=0.0, dial="rho", setting=1.0, parameters='{"effect":0}')
    scores = scored(far, power, near, dial)
    expected = standard_errors.size_adjusted_power((noise + 2) / 0.5, noise / 0.5, 0.95)
    assert scores["size_adjusted_power"][1] == expected.value
    assert scores["size_adjusted_power_mcse"][1] == expected.mcse
    assert scores["size_adjusted_power"].drop(1).isna().all()
    assert "the truth is zero: size_adjusted_power" in scores["note"][0]
    alone = scored(power)
    assert "no cell with a zero truth differs in parameters only" in alone["note"][0]


def test_adjusted_power_rests_on_the_replicates_of_both_cells_by_their_numbers() -> None:
    noise, gone = normal(600, centre=0.0), np.arange(600) % 3 == 0
    number = np.arange(600)
    power = rows(noise + 1, 0.5, parameters='{"effect":1}', replicate=number)
    null = rows(noise[~gone], 0.5, truth=0.0, parameters='{"effect":0}', replicate=number[~gone])
    scores = scored(power, null)
    both = noise[~gone]
    expected = standard_errors.size_adjusted_power((both + 1) / 0.5, both / 0.5, 0.95)
    assert scores["size_adjusted_power"][0] == expected.value
    assert scores["size_adjusted_power_mcse"][0] == expected.mcse


@pytest.mark.parametrize("end", ["ci_low", "ci_high"])
def test_limits_on_one_side_have_no_power_of_a_test_on_both(end: str) -> None:
    noise = normal(600, centre=0.0)
    power = rows(noise + 1, 0.5, parameters='{"effect":1}')
    null = rows(noise, 0.5, truth=0.0, parameters='{"effect":0}')
    assert scored(power, null)["size_adjusted_power"].notna().any()
    bare = {end: -np.inf if end == "ci_low" else np.inf}
    scores = scored(power.assign(**bare), null.assign(**bare))
    assert scores["size_adjusted_power"].isna().all()
    assert "limits on one side are another test" in scores["note"][0]


# --- averages that cannot be believed


def test_one_dominant_replicate_takes_the_moments_and_says_so() -> None:
    t = normal(100)
    t[7] = 2 + 30.0
    line = scored(rows(t)).iloc[0]
    share = 100 * (t[7] - t.mean()) ** 2 / ((t - t.mean()) ** 2).sum()
    assert not line["moments"]
    assert line["moments_note"] == f"one replicate makes {share:.0f} % of the sum of squares"
    assert not isnan(line["bias"]) and not isnan(line["median_bias"])
    assert isnan(line["shortfall_bias"]) and "cannot be relied on: shortfall_bias" in line["note"]
    assert line["shortfall"] == 0.95 - line["coverage"]


def test_declared_moments_are_noted_as_declared() -> None:
    catalogue = {"estimators": {"test/mean": {"moments": False}}}
    line = scored(rows(normal()), catalogue=catalogue).iloc[0]
    assert (line["moments"], line["moments_note"]) == (False, "declared")
    plain = scored(rows(normal())).iloc[0]
    assert (plain["moments"], plain["moments_note"]) == (True, "")


# --- bad input


def reasons(line: pd.Series[Any]) -> dict[str, str]:
    """Return the reason that the note gives for each measure it names."""
    parts = [part.rsplit(": ", 1) for part in line["note"].split("; ")]
    return {name: why for why, names in parts for name in names.split(", ")}


BAD: dict[str, tuple[pd.DataFrame, str, str]] = {
    "all failed": (rows([nan] * 3, nan, status="failed"), "bias", "no replicate was answered"),
    "all declined": (rows([nan] * 3, nan, status="declined"), "mad", "no replicate was answered"),
    "one replicate": (rows([2.5]), "empirical_se", "one replicate has no spread"),
    "two replicates": (rows([2.5, 1.0]), "coverage_common", ""),
    "zero variance": (rows([2.5] * 9), "se_ratio", "all errors are equal"),
    "zero standard errors": (
        rows(normal(9), 0.0), "shortfall_se", "all standard errors are zero"),
    "infinite intervals": (
        rows(normal(9), ci_low=-inf, ci_high=inf), "shortfall_bias", "not symmetric and finite"),
    "half-infinite intervals": (
        rows(normal(9), ci_high=inf), "shortfall_bias", "not symmetric and finite"),
    "empty sets": (rows(normal(9), ci_low=inf, ci_high=-inf), "type_s", ""),
    "rays": (rows(normal(9), outside=True), "shortfall_shape", "not symmetric and finite"),
    "no limits": (rows(normal(9), ci_low=nan, ci_high=nan), "coverage", "no ci_low and no ci_high"),
    "no standard errors": (rows(normal(9), nan, ci_low=0, ci_high=1), "se_ratio", "no std_error"),
    "no estimate": (rows(normal(9)).assign(estimate=nan), "bias", "no estimate"),
    "no truth": (rows(normal(9), truth=nan, truth_mcse=nan), "coverage", "no truth"),
    "zero truth": (rows(normal(9), truth=0.0), "relative_bias", "the truth is zero"),
    "no level": (rows(normal(9), level=nan), "interval_score", "no level between 0 and 1"),
    "huge numbers": (rows(1e307 * normal(9)), "shortfall_bias", ""),
    "nothing together": (
        rows([2, nan], [nan, 1.0]), "se_ratio", "no row has all that it needs"),
    "a diagnostic": (
        rows([nan], nan, kind="diagnostic", passed=True), "bias", "a diagnostic has alarms"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_every_blank_has_its_reason(name: str) -> None:
    given, measure, why = BAD[name]
    line = scored(given).iloc[0]
    silent = {
        m.name for m in listed("scores") if isnan(line[m.name]) or isnan(line[f"{m.name}_mcse"])
    }
    unasked = {m.name for m in listed("scores") if m.optional}
    assert unasked <= silent
    assert set(reasons(line)) == silent - unasked
    if why:
        assert isnan(line[measure])
        assert why in reasons(line)[measure]


def test_infinite_intervals_have_infinite_lengths_and_scores_without_error() -> None:
    line = scored(BAD["half-infinite intervals"][0]).iloc[0]
    assert line["ci_length"] == line["interval_score"] == inf
    assert "infinite: ci_length, interval_score" in line["note"]
    assert line["coverage"] == (normal(9) - 1.96 <= 2).mean()


def test_a_table_of_another_version_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"lacks columns: pit, crps; was it written by another"):
        scored(rows([1.0]).drop(columns=["crps", "pit"]))
    with pytest.raises(BadInput, match="unknown status: 'censored'"):
        scored(rows([1.0], status="censored"))
    with pytest.raises(BadInput, match="unknown status: None"):
        scored(rows([1.0], status=None))
    with pytest.raises(BadInput, match="column estimate does not hold numbers"):
        scored(rows([1.0]).assign(estimate="about one"))
    with pytest.raises(BadInput, match="column dials is mixed"):
        scored(rows([1.0, 2.0]).assign(dials=["{}", 3]))
    newer = rows([1.0, 2.0]).assign(colour="blue")
    pd.testing.assert_frame_equal(scored(newer), scored(newer.drop(columns="colour")))


# --- run folders


def cells() -> list[pd.DataFrame]:
    """Return three cells, the second a null of the first, the third with a dial and horizons."""
    noise = normal(300, centre=0.0)
    both = [
        pd.concat([
            rows(truth + noise, 0.8, parameters=f'{{"effect":{truth}}}', truth=truth, seconds=0.1),
            rows(truth + noise**3, 0.8, parameters=f'{{"effect":{truth}}}', truth=truth,
                 estimator="test/cube", status=np.where(noise > 1, "failed", "ok")),
        ]) for truth in (2.0, 0.0)
    ]  # fmt: skip
    banded = {"dial": "d", "setting": 0.5, "band_low": 0.0, "band_high": 9.0}
    dialled = [rows(2 + noise, horizon=h, **banded) for h in (0, 1)]
    return [*both, pd.concat(dialled)]


@pytest.mark.parametrize("layout", ["cell by cell", "cells in pieces", "scattered", "one shard"])
def test_a_folder_is_scored_as_its_rows_are(tmp_path: Path, layout: str) -> None:
    parts, pieces = cells(), (slice(250), slice(0), slice(250, None))
    shards = {
        "cell by cell": parts,
        "cells in pieces": [p.iloc[cut] for p in parts for cut in pieces],
        "scattered": [p.iloc[:250] for p in parts] + [p.iloc[250:] for p in parts],
        "one shard": [pd.concat(parts)],
    }[layout]  # fmt: skip
    catalogue = {"estimators": {"test/cube": {}, "test/mean": {}}}
    found = RunTables.of_folder(write_replicates(tmp_path, *shards), catalogue)["scores"]
    expected = score(pd.concat(shards, ignore_index=True), catalogue)
    assert len(found) == 6 and found["size_adjusted_power"].notna().sum() == 2
    assert list(found) == list(expected)
    if layout == "scattered":  # a folder is read cell by cell, wherever a cell's rows lie
        order = ["parameters", "dials", "horizon", "estimator"]
        found, expected = (t.sort_values(order, ignore_index=True) for t in (found, expected))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


def test_a_folder_without_rows_gives_an_empty_table(tmp_path: Path) -> None:
    empty = score(rows([1.0]).iloc[:0], {})
    for folder in (write_replicates(tmp_path), write_replicates(tmp_path, rows([1.0]).iloc[:0])):
        found = RunTables.of_folder(folder, {})["scores"]
        assert found.empty and list(found) == list(empty)


def test_unreadable_shards_are_named(tmp_path: Path) -> None:
    folder = write_replicates(tmp_path, *cells())
    path = folder / "replicates" / "cell-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["pit"]), path)
    with pytest.raises(BadInput, match=r"cell-00001.parquet: .*lacks columns: pit"):
        RunTables.of_folder(folder, {})["scores"]
    path.write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"cell-00001.parquet: not readable"):
        RunTables.of_folder(folder, {})["scores"]
