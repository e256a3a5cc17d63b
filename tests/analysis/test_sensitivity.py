"""Where methods break: against a normal model, whose coverage and breakdown point are known."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import RUNNING, loaded
from replicates import Z, joined, replicate_table
from scipy.optimize import brentq
from scipy.stats import binomtest, lognorm, norm
from scipy.stats import t as t_law

from cibench import load, run
from cibench.analysis import curves, measure_sensitivity, score, study
from cibench.analysis.sensitivity import CURVES, SENSITIVITY, tables
from cibench.analysis.sensitivity.breakdown import bracket, crossing, rises, surely_breaks
from cibench.analysis.sensitivity.dose_response import gather, put_aside, sides
from cibench.analysis.sensitivity.resampling import resample
from cibench.analysis.sensitivity.tables import wilson
from cibench.metrics import core
from cibench.report import write_report
from cibench.report.sections.breakdowns import in_words
from cibench.results import RunTables
from cibench.storage import cells_of
from cibench.utils.errors import BadInput

GRID = (0.0, 0.1, 0.2, 0.4)
STUDIES, REPLICATES, SLOPE = 200, 200, 4.0
THREE = 3 * sqrt(0.05 * 0.95 / STUDIES)


def about(paired: bool = True, default: float = 0.0, truth: str = "fixed") -> dict[str, Any]:
    dial = {"default": default, "breaks": "no drift", "paired": paired, "truth": truth}
    dials = {"drift": dial, "other": {"default": 0.0}}
    return {"scenarios": {"toy/line": {"dials": dials}}, "estimators": {}}


def answers(
    estimates: Any, settings: Any = GRID, default: float = 0.0, se: Any = 1.0, **columns: Any
) -> pd.DataFrame:
    """Return replicate rows: a line of estimates, truth zero, for each setting of a dial."""
    parts = []
    for setting, t in zip(settings, np.asarray(estimates, dtype=float), strict=True):
        moved = setting != default
        dials = json.dumps({"drift": float(setting), "other": 0.0})
        here = {k: v[setting] if isinstance(v, dict) else v for k, v in columns.items()}
        placed: dict[str, Any] = {
            "scenario": "toy/line", "dial": "drift" if moved else None,
            "setting": float(setting) if moved else None, "dials": dials, "truth": 0.0,
            "estimator": "toy/mean",
        }  # fmt: skip
        parts.append(replicate_table(t, se, **placed | here))
    return joined(*parts)


def drifting(
    rng: np.random.Generator, settings: Any = GRID, *, paired: bool = True, slope: float = SLOPE,
    size: int = REPLICATES,
) -> Any:  # fmt: skip
    """Draw standard normal noise, the same at every setting if paired, and add slope * setting."""
    noise = rng.normal(size=(1 if paired else len(settings), size))
    return noise + slope * np.asarray(settings, dtype=float)[:, None]


def covers(bias: float) -> float:
    """Return the coverage of 95 % limits around a standard normal estimate with a bias."""
    return float(norm.cdf(Z - bias) - norm.cdf(-Z - bias))


BREAKS = float(brentq(lambda v: covers(SLOPE * v) - 0.9, 0, 1))


def told(rows: pd.DataFrame, catalogue: dict[str, Any] | None = None, **kept: Any) -> pd.DataFrame:
    catalogue = catalogue or about()
    return measure_sensitivity(rows, score(rows, catalogue), catalogue, **kept)


def one(rows: pd.DataFrame, catalogue: dict[str, Any] | None = None) -> Any:
    lines = told(rows, catalogue)
    assert len(lines) == 1
    return lines.iloc[0]


def studies(settings: Any, paired: bool, shape: Any = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables of many simulated studies of the same model."""
    rng = np.random.default_rng(5)
    drawn = (drifting(rng, settings, paired=paired) for _ in range(STUDIES))
    parts = [
        answers(shape(t) if shape else t, settings, parameters=json.dumps({"study": i}))
        for i, t in enumerate(drawn)
    ]
    rows, catalogue = pd.concat(parts, ignore_index=True), about(paired)
    return study(rows, score(rows, catalogue), catalogue)


@pytest.fixture(scope="module")
def paired() -> tuple[pd.DataFrame, pd.DataFrame]:
    return studies(GRID, paired=True)


@pytest.fixture(scope="module")
def unpaired() -> tuple[pd.DataFrame, pd.DataFrame]:
    return studies((0.0, 0.1, 0.16, 0.28), paired=False)


# --- promises, kept in a known model


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_limits_hold_the_true_breakdown_point_95_times_in_100(
    kind: str, request: pytest.FixtureRequest
) -> None:
    lines, _ = request.getfixturevalue(kind)
    held = (lines["breakdown_low"] <= BREAKS) & (lines["breakdown_high"] >= BREAKS)
    assert held.mean() == pytest.approx(0.95, abs=THREE)
    assert lines["breakdown"].median() == pytest.approx(BREAKS, abs=0.02)
    assert (lines["breakdown_high"] - lines["breakdown_low"]).median() < 0.2


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_a_bracket_contradicts_the_truth_no_more_often_than_it_says(
    kind: str, request: pytest.FixtureRequest
) -> None:
    lines, _ = request.getfixturevalue(kind)
    wrong = (lines["bracket_low"] > BREAKS) | (lines["bracket_high"] < BREAKS)
    assert wrong.mean() <= 0.05 + THREE
    assert lines["bracket_high"].notna().mean() > 0.9
    assert lines["bracket_low"].notna().mean() > 0.3


def test_a_bracket_at_the_bound_itself_errs_no_more_often_than_it_says() -> None:
    """At every setting coverage is the bound: whatever is said of it beyond doubt is wrong."""
    rng, off = np.random.default_rng(3), float(brentq(lambda b: covers(b) - 0.9, 0, 2))
    parts = [
        answers(rng.normal(off, 1, (4, 200)), parameters=json.dumps({"study": i}))
        for i in range(STUDIES)
    ]
    rows, catalogue = pd.concat(parts, ignore_index=True), about(paired=False)
    cells = dict(put_aside(cells_of(rows), catalogue))
    found = [(c, sides(c)[0]) for c in gather(cells, score(rows, catalogue), catalogue)]
    said = [not np.isnan(bracket(c, side, 0.9)).all() for c, side in found]
    assert np.mean(said) <= 2 * 0.05 + 3 * sqrt(0.1 * 0.9 / STUDIES)  # either side may err here
    assert np.mean([rises(c, side) for c, side in found]) <= 0.05 + THREE


def counted(hits: list[list[Any]], paired: bool = True) -> list[tuple[Any, Any]]:
    """Return a curve of two settings with its side for each pair of rows of ones and zeros."""
    parts = [
        answers(np.where(np.array(both) == 1, 0.0, 9.0), (0.0, 0.4),
                parameters=json.dumps({"study": i}))
        for i, both in enumerate(hits)
    ]  # fmt: skip
    rows, catalogue = pd.concat(parts, ignore_index=True), about(paired)
    cells = dict(put_aside(cells_of(rows), catalogue))
    return [(c, sides(c)[0]) for c in gather(cells, score(rows, catalogue), catalogue)]


def test_a_bracket_is_decided_by_exact_tests_at_the_level_over_the_settings() -> None:
    n, counts = 60, range(35, 61)
    ones = {k: np.arange(n) < k for k in (0, n, *counts)}
    mild, harsh = (
        counted([[ones[k], ones[0]] for k in counts]),
        counted([[ones[n], ones[k]] for k in counts]),
    )
    sound = [bracket(c, side, 0.9)[0] == 0 for c, side in mild]
    broken = [bracket(c, side, 0.9)[1] == 0.4 for c, side in harsh]
    for sure, way in ((sound, "greater"), (broken, "less")):
        p = [binomtest(k, n, 0.9, way).pvalue for k in counts]
        assert sure == [x <= 0.05 / 2 for x in p]
        assert 0 < sum(sure) < len(sure)


def test_a_rise_of_pairs_is_decided_by_mcnemars_exact_test() -> None:
    tables = [(gained, lost) for gained in range(1, 12) for lost in range(4)]
    hits = [
        [np.repeat([0, 1, 1], [gained, lost, 20]), np.repeat([1, 0, 1], [gained, lost, 20])]
        for gained, lost in tables
    ]
    found = [rises(c, side) for c, side in counted(hits)]
    expected = [binomtest(g, g + k, 0.5, "greater").pvalue <= 0.05 for g, k in tables]
    assert found == expected and 0 < sum(found) < len(found)


def test_a_rise_without_pairs_is_decided_with_a_success_and_a_failure_added() -> None:
    n, tables = 30, [(mild, harsh) for mild in (0, 15, 27) for harsh in range(mild, 31)]
    hits = [[np.arange(n) < mild, np.arange(n) < harsh] for mild, harsh in tables]
    found = [rises(c, side) for c, side in counted(hits, paired=False)]
    p = (np.array(tables) + 1) / (n + 2)
    z = (p[:, 1] - p[:, 0]) / np.sqrt((p * (1 - p)).sum(axis=1) / (n + 2))
    assert found == (norm.sf(z) <= 0.05).tolist() and 0 < sum(found) < len(found)


def test_the_slope_is_exact_where_the_noise_is_shared_and_has_an_error_where_not(
    paired: tuple[pd.DataFrame, pd.DataFrame], unpaired: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    exact, noisy = paired[0], unpaired[0]
    assert exact["slope"].to_numpy() == pytest.approx(SLOPE, abs=1e-9)
    assert exact["slope_mcse"].max() < 1e-9
    assert noisy["slope_mcse"].mean() == pytest.approx(noisy["slope"].std(), rel=0.15)
    within = (noisy["slope"] - SLOPE).abs() < 2 * noisy["slope_mcse"]
    assert within.mean() == pytest.approx(0.9545, abs=THREE)


def test_the_error_of_a_paired_slope_is_what_slopes_scatter_by() -> None:
    rng = np.random.default_rng(8)
    steep = [rng.normal(SLOPE, 2, 100) for _ in range(20)]
    parts = [
        answers(np.outer(GRID, k), parameters=json.dumps({"study": i}))
        for i, k in enumerate(steep)
    ]  # fmt: skip
    lines = told(pd.concat(parts, ignore_index=True))
    assert lines["slope"].tolist() == pytest.approx([k.mean() for k in steep])
    assert lines["slope_mcse"].tolist() == pytest.approx([k.std(ddof=1) / 10 for k in steep])


def test_the_bias_passes_half_a_standard_error_where_it_does(
    paired: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    lines, true = paired[0], 0.5 / SLOPE
    late = (lines["bias_half_se_low"] > true).mean()
    assert late == pytest.approx(0.025, abs=3 * sqrt(0.025 * 0.975 / STUDIES))
    held = (lines["bias_half_se_low"] <= true) & (lines["bias_half_se_high"] >= true)
    assert held.mean() >= 0.95 - THREE
    assert lines["bias_half_se"].median() == pytest.approx(true, abs=0.005)


def test_limits_are_the_25th_and_the_975th_of_999_resamples() -> None:
    rng = np.random.default_rng(6)
    rows, catalogue = answers(drifting(rng)), about()
    (curve,) = gather(dict(put_aside(cells_of(rows), catalogue)), score(rows, catalogue), catalogue)
    (side, *_) = sides(curve)
    resampled = 0.4 * rng.permutation(np.arange(1, 1000)) / 1000
    found = crossing(curve, side, np.append(0.123, resampled))
    assert (found.value, found.share) == (0.123, 1.0)
    assert (found.low, found.high) == pytest.approx((0.4 * 0.025, 0.4 * 0.975))
    rare = np.where(resampled > 0.4 * 0.974, inf, resampled)  # 25 of 999 do not cross
    assert crossing(curve, side, np.append(0.123, rare)).high == inf


def test_a_band_reaches_the_950th_of_999_largest_deviations() -> None:
    rng = np.random.default_rng(6)
    rows, catalogue = answers(drifting(rng)), about()
    (curve,) = gather(dict(put_aside(cells_of(rows), catalogue)), score(rows, catalogue), catalogue)
    t = np.zeros((1000, len(GRID)))
    t[1:, 2] = (2 + rng.permutation(np.arange(1, 1000)) / 1000) * rng.choice([-1, 1], 999)
    resampled = replace(resample(curve, rng), bias_t=t, mse_t=t)
    for line in tables.lines(curve, resampled):
        value, reach = line["value"], 2.95 * line["mcse"]
        if line["measure"] == "bias":
            assert [line["band_low"], line["band_high"]] == pytest.approx(
                [value - reach, value + reach]
            )
        elif line["measure"] == "rmse":  # whose error is that of its square over twice itself
            ends = [line["band_low"] ** 2, line["band_high"] ** 2]
            assert ends == pytest.approx(
                [value**2 - 2 * value * reach, value**2 + 2 * value * reach]
            )


LAWS = {
    "lognormal": (lognorm(1.0), 1), "lognormal, turned": (lognorm(1.0), -1), "t(3)": (t_law(3), 1),
}  # fmt: skip


@pytest.mark.parametrize("size", [100, 400])
@pytest.mark.parametrize("law", [*LAWS, "outliers"])
def test_limits_of_half_a_standard_error_hold_with_heavy_tails_too(law: str, size: int) -> None:
    rng = np.random.default_rng(17)
    parts = []
    for i in range(STUDIES):
        if law == "outliers":  # 2.5 % have ten times the standard deviation
            noise = rng.normal(size=size) * np.where(rng.random(size) < 0.025, 10, 1) / sqrt(3.475)
        else:
            of, sign = LAWS[law]
            noise = sign * (of.rvs(size, random_state=rng) - of.mean()) / of.std()
        t = noise + SLOPE * np.asarray(GRID)[:, None]
        parts.append(answers(t, parameters=json.dumps({"study": i})))
    lines, true = told(pd.concat(parts, ignore_index=True)), 0.5 / SLOPE
    held = (lines["bias_half_se_low"] <= true) & (lines["bias_half_se_high"] >= true)
    assert held.mean() >= 0.95 - THREE


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
@pytest.mark.parametrize("measure", ["bias", "rmse", "coverage", "rejection"])
def test_bands_hold_the_whole_curve_95_times_in_100(
    kind: str, measure: str, request: pytest.FixtureRequest
) -> None:
    _, doses = request.getfixturevalue(kind)
    part = doses[doses["measure"] == measure]
    bias = SLOPE * part["setting"].to_numpy()
    held = np.array([covers(b) for b in bias])
    true = {"bias": bias, "rmse": np.sqrt(1 + bias**2), "coverage": held, "rejection": 1 - held}
    shares = []
    for low, high in (("low", "high"), ("band_low", "band_high")):
        inside = (part[low] <= true[measure]) & (part[high] >= true[measure])
        by_study = inside.groupby(part["parameters"])
        shares.append((inside.mean(), by_study.all().mean()))
    (pointwise, _), (_, together) = shares
    assert pointwise == pytest.approx(0.95, abs=THREE)
    # Sidak's level is more than is needed where settings depend on each other.
    most = 0.95 + THREE if measure in ("bias", "rmse") else 1.0
    assert 0.95 - THREE <= together <= most


def test_a_straight_line_between_coverages_would_be_off_where_intervals_are_not() -> None:
    t = drifting(np.random.default_rng(1), (0.0, 0.4), size=4000)
    lines = pd.concat([one(answers(t, (0.0, 0.4)), about(p)).to_frame().T for p in (True, False)])
    assert lines["interpolated"].tolist() == ["limits of each replicate", "coverage"]
    assert lines["breakdown"].tolist()[0] == pytest.approx(BREAKS, abs=0.02)
    assert lines["breakdown"].tolist()[1] < 0.5 * BREAKS


# --- the table


NOISES = {
    "normal": (norm.ppf((np.arange(1000) + 0.5) / 1000), brentq(lambda b: covers(b) - 0.9, 0, 2)),
    "signs": (np.tile([-1.0, 1.0], 500), Z - 1), "none": (np.zeros(1000), Z),
}  # fmt: skip


@pytest.mark.parametrize("law", NOISES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("far", [1.0, 2.5, 10.0, 1000.0])
def test_a_breakdown_point_does_not_depend_on_how_far_the_settings_lie_apart(
    law: str, sign: int, far: float
) -> None:
    """Intervals move linearly, one SE a unit, so that no setting between the two is needed."""
    noise, breaks = NOISES[law]
    settings = tuple(sorted((0.0, sign * far * (breaks + 0.6))))
    line = one(answers([noise + s for s in settings], settings))
    assert line["breakdown"] == pytest.approx(sign * breaks, rel=0.01)
    dense = tuple(sorted({0.0, *(sign * breaks * x for x in (0.3, 0.7, 0.9, 1.1, 2))}))
    among = one(answers([noise + s for s in dense], dense))
    assert among["breakdown"] == pytest.approx(sign * breaks, rel=0.01)
    if law == "normal":
        assert line["breakdown_low"] == pytest.approx(among["breakdown_low"], abs=0.06)
        assert line["breakdown_high"] == pytest.approx(among["breakdown_high"], abs=0.06)


def test_columns_come_in_the_order_that_was_asked_for() -> None:
    asked = (
        "scenario, dial, assumption, parameters, options, estimator, estimand, horizon, n, bound, "
        "breakdown, breakdown_low, breakdown_high, bracket_low, bracket_high, note, slope, "
        "slope_mcse, bias_half_se"
    )
    assert list(SENSITIVITY[:19]) == asked.split(", ")
    rows = answers(drifting(np.random.default_rng(0)))
    for table in (rows, rows.iloc[:0], rows[rows["dial"].isna()]):
        found = study(table, score(table, about()), about())
        assert tuple(found.sensitivity.columns) == SENSITIVITY
        assert tuple(found.curves.columns) == CURVES
        assert len(found.sensitivity) == (table is rows)
    line = one(rows)
    assert (line["dial"], line["assumption"], line["bound"]) == ("drift", "no drift", 0.9)
    assert (line["direction"], line["harshest"], line["replicates"]) == ("up", 0.4, REPLICATES)


def test_every_curve_is_told_apart_and_shares_its_default_cell() -> None:
    t = drifting(np.random.default_rng(0))
    rows = answers(t)
    other = rows.assign(dials='{"drift":0.0,"other":1.0}', dial="other", setting=1.0)
    crossed = rows.assign(dials='{"drift":0.1,"other":1.0}', dial=None, setting=np.nan)
    moved = pd.concat([rows, other[rows["dial"].isna()], crossed[rows["dial"].isna()]])
    parts = [moved.assign(**c) for c in (
        {}, {"n": 200}, {"estimator": "toy/b"}, {"options": '{"a":1}'}, {"horizon": 1.0},
        {"parameters": '{"p":1}'}, {"estimand": "ATT"}, {"level": 0.9},
    )]  # fmt: skip
    parts.append(moved.assign(kind="diagnostic"))
    lines = told(pd.concat(parts, ignore_index=True))
    assert lines["dial"].tolist() == ["drift", "other"] * 8
    assert not lines.duplicated(["dial", "n", "estimator", "options", "horizon", "parameters",
                                 "estimand", "level"]).any()  # fmt: skip
    assert lines["bound"].tolist() == [0.9] * 14 + [0.85] * 2
    assert lines["harshest"].tolist() == [0.4, 1.0] * 8


def test_methods_that_answer_alike_have_the_same_limits() -> None:
    rows = answers(drifting(np.random.default_rng(0)))
    alike = [rows, rows.assign(estimator="toy/b"), rows.assign(options='{"a":1}')]
    every = pd.concat(alike, ignore_index=True)
    found = study(every, score(every, about()), about())
    for table in found:
        lines = table.drop(columns=["estimator", "options"]).astype(str)
        assert (lines.groupby(list(lines)).size() == 3).all()


@pytest.mark.parametrize("truth", [0.0, 2.0, 1e6, -1e6])
def test_one_answer_at_every_setting_has_a_slope_of_zero_and_not_of_rounding(truth: float) -> None:
    noise = drifting(np.random.default_rng(0))[0]
    same = np.array([noise[np.random.default_rng(k).permutation(noise.size)] for k in range(4)])
    line = one(answers(truth + same, truth=truth), about(paired=False))
    assert line["slope"] == 0.0
    moved = one(answers(truth + same + 1e-6 * np.arange(4)[:, None], truth=truth))
    assert moved["slope"] > 1e-7


def test_the_bound_can_be_another() -> None:
    rows = answers(drifting(np.random.default_rng(0), size=2000))
    line = told(rows, shortfall=0.2).iloc[0]
    true = brentq(lambda v: covers(SLOPE * v) - 0.75, 0, 1)
    assert line["bound"] == 0.75
    assert line["breakdown"] == pytest.approx(true, abs=0.02)


def test_a_dial_that_goes_both_ways_gives_two_rows() -> None:
    grid = (-0.4, -0.2, 0.0, 0.2, 0.4)
    t = drifting(np.random.default_rng(2), grid, size=4000)
    up, down = (line for _, line in told(answers(t, grid)).iterrows())
    assert (up["direction"], down["direction"]) == ("up", "down")
    assert up["breakdown"] == pytest.approx(BREAKS, abs=0.02)
    assert down["breakdown"] == pytest.approx(-BREAKS, abs=0.02)
    assert down["breakdown_low"] > down["breakdown"] > down["breakdown_high"] > -0.4
    assert (up["bracket_low"], up["bracket_high"]) == (0.0, 0.2)
    assert (down["bracket_low"], down["bracket_high"]) == (0.0, -0.2)
    assert up["slope"] == pytest.approx(SLOPE)
    assert down["slope"] == pytest.approx(-SLOPE)  # per unit of violation
    assert down["bias_half_se"] == pytest.approx(-0.125, abs=0.01)


def test_a_default_elsewhere_is_where_violations_are_counted_from() -> None:
    grid = (1.0, 1.1, 1.2, 1.4)
    t = drifting(np.random.default_rng(4), GRID, size=2000)
    line = one(answers(t, grid, default=1.0), about(default=1.0))
    assert line["breakdown"] == pytest.approx(1 + BREAKS, abs=0.02)
    assert line["slope"] == pytest.approx(SLOPE)
    assert line["default"] == 1.0


def test_the_length_stands_beside() -> None:
    t = drifting(np.random.default_rng(0), size=2000)
    wide = answers(t, se=1.0)
    line = one(wide)
    assert line["ci_length_default"] == pytest.approx(2 * Z)
    assert line["ci_length_breakdown"] == pytest.approx(2 * Z)


# --- notes


def test_not_reached_leaves_the_far_end_open() -> None:
    line = one(answers(drifting(np.random.default_rng(0), slope=0.1, size=2000)))
    assert (line["note"], line["crossed"]) == ("not reached", 0.0)
    assert np.isnan(line["breakdown"])
    assert (line["breakdown_low"], line["breakdown_high"]) == (0.4, inf)
    assert (line["bracket_low"], np.isnan(line["bracket_high"])) == (0.4, True)
    assert np.isnan(line["ci_length_breakdown"])
    t = np.zeros((2, 300))
    t[1, :28] = 3.0  # 90.7 % cover
    near = one(answers(t, (0.0, 0.4)))
    assert near["note"] == "not reached"
    assert 0 < near["crossed"] < 1
    assert near["breakdown_low"] < 0.4 and near["breakdown_high"] == inf


def test_below_at_default_is_said_beyond_doubt_or_as_perhaps() -> None:
    rng = np.random.default_rng(0)
    line = one(answers(1.5 + drifting(rng)))
    assert line["note"] == "below at default"
    assert [line[f"breakdown{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert (np.isnan(line["bracket_low"]), line["bracket_high"]) == (True, 0)
    t = drifting(rng, size=100)
    t[0, :11] = 3.0  # with the least luck 89 % of 100
    t[0, 11:] = 0.0
    line = one(answers(t))
    assert line["note"].startswith("perhaps below at default")
    assert line["breakdown"] == 0 and line["bracket_high"] > 0


@pytest.mark.parametrize("pairing", [True, False])
def test_coverage_that_rises_again_is_non_monotone(pairing: bool) -> None:
    rng = np.random.default_rng(0)
    t = rng.normal(size=(4, 300)) + np.array([0.0, 1.5, 0.0, 3.0])[:, None]
    line = one(answers(t), about(pairing))
    assert line["note"] == "non-monotone"
    assert 0 < line["breakdown"] < 0.1 and line["bracket_high"] == 0.1
    calm = one(answers(drifting(rng, paired=pairing)), about(pairing))
    assert calm["note"] == ""


def test_without_the_default_the_first_setting_is_no_zero() -> None:
    t = drifting(np.random.default_rng(0), size=500)
    rows = answers(t)
    line = one(rows[rows["dial"].notna()])
    assert line["note"] == "default not run"
    assert line["breakdown"] == pytest.approx(BREAKS, abs=0.03)
    assert np.isnan(line["ci_length_default"])
    late = one(rows[rows["setting"] > 0.15])
    assert late["note"] == "default not run; below at mildest setting"
    assert np.isnan(late["breakdown"])
    assert (late["breakdown_low"], late["breakdown_high"]) == (0, 0.2)


def test_a_single_setting_has_a_line_too() -> None:
    rows = answers(drifting(np.random.default_rng(0)))
    line = one(rows[rows["setting"] == 0.4])
    assert line["note"] == "default not run; below at mildest setting"
    assert line[["slope", "slope_mcse"]].isna().all()
    assert line["bracket_high"] == 0.4


# --- failures, and what is missing


def test_failures_are_misses() -> None:
    t = np.zeros((3, 200))
    lost = np.where(np.arange(200) < 60, "failed", "ok")
    status = {0.0: "ok", 0.1: "ok", 0.4: lost}
    rows = answers(t, (0.0, 0.1, 0.4), status=status)
    rows.loc[rows["status"] != "ok", ["estimate", "ci_low", "ci_high"]] = np.nan
    line = one(rows)
    # Nobody else misses: coverage goes from 1 at 0.1 to 0.7 at 0.4 in a straight line.
    assert line["breakdown"] == pytest.approx(0.2)
    assert (line["bracket_low"], line["bracket_high"]) == (0.1, 0.4)
    doses = curves(rows, score(rows, about()), about()).set_index(["measure", "setting"])
    assert doses.loc[("coverage_with_failures", 0.4), "value"] == 0.7
    assert doses.loc[("coverage", 0.4), ["value", "replicates"]].tolist() == [1.0, 140]


def test_declined_data_sets_are_no_misses_and_move_nothing_where_they_are_few() -> None:
    t = drifting(np.random.default_rng(3), (0.0, 0.1, 0.4), size=400)
    declines = np.where(np.arange(400) % 5 == 0, "declined", "ok")
    rows = answers(t, (0.0, 0.1, 0.4), status=declines)
    rows.loc[rows["status"] != "ok", ["estimate", "ci_low", "ci_high"]] = np.nan
    line, kept = one(rows), one(rows[rows["status"] == "ok"])
    assert "below at default" not in line["note"]
    assert line["replicates"] == kept["replicates"] == 320
    for name in ("breakdown", "bracket_low", "bracket_high", "slope"):
        assert line[name] == kept[name] or np.isnan([line[name], kept[name]]).all()


def test_a_setting_that_was_declined_whole_is_none_and_a_dial_of_such_has_no_row() -> None:
    t = drifting(np.random.default_rng(3), (0.0, 0.1, 0.4), size=100)
    status = {0.0: "ok", 0.1: "ok", 0.4: "declined"}
    rows = answers(t, (0.0, 0.1, 0.4), status=status)
    rows.loc[rows["status"] != "ok", ["estimate", "ci_low", "ci_high"]] = np.nan
    assert one(rows)["harshest"] == 0.1
    rows = rows[rows["setting"] != 0.1]
    assert told(rows).empty


def test_the_slope_rests_on_all_who_answered() -> None:
    rng = np.random.default_rng(0)
    t = drifting(rng, (0.0, 0.4), size=300)
    rows = answers(t, (0.0, 0.4))
    rows = rows.drop(rows.index[(rows["setting"] == 0.4) & (rows["replicate"] >= 100)])
    line = one(rows)
    assert line["slope"] == pytest.approx((t[1, :100].mean() - t[0].mean()) / 0.4)
    assert line["slope_mcse"] == pytest.approx(sqrt(1 / 100 - 1 / 300) / 0.4, rel=0.15)


def test_one_replicate_has_no_limits_and_says_so() -> None:
    line = one(answers(drifting(np.random.default_rng(0), slope=20.0, size=1)))
    assert "one replicate" in line["note"]
    blanks = ["breakdown_low", "breakdown_high", "bracket_low", "bracket_high", "slope_mcse",
              "bias_half_se", "bias_half_se_low"]  # fmt: skip
    assert line[blanks].isna().all()
    assert line["slope"] == pytest.approx(20)


def test_where_all_failed_everything_is_below_at_default() -> None:
    rows = answers(np.full((4, 50), np.nan), status="failed")
    line = one(rows)
    assert line["note"] == "below at default; no answer"
    assert (line["breakdown"], line["bracket_high"]) == (0, 0)
    assert line[["slope", "slope_mcse", "bias_half_se"]].isna().all()
    doses = curves(rows, score(rows, about()), about())
    assert doses.loc[doses["measure"] == "bias", ["value", "low", "band_low"]].isna().all(axis=None)


def test_who_gives_no_limits_has_a_slope_and_no_breakdown_point() -> None:
    rows = answers(drifting(np.random.default_rng(0))).assign(ci_low=np.nan, ci_high=np.nan)
    line = one(rows)
    assert line["note"] == "no limits"
    assert line[["breakdown", "breakdown_low", "bracket_high", "crossed"]].isna().all()
    assert line["slope"] == pytest.approx(SLOPE)


def test_rays_unbounded_and_empty_sets_are_counted_as_what_they_hold() -> None:
    t = np.zeros((2, 100))
    rows = answers(t, (0.0, 0.4))
    moved = rows["setting"] == 0.4
    rows.loc[moved & (rows["replicate"] < 50), ["ci_low", "ci_high"]] = [-inf, inf]
    rows.loc[moved & (rows["replicate"] >= 50), ["ci_low", "ci_high"]] = [inf, -inf]
    line = one(rows)
    assert line["breakdown"] == pytest.approx(0.08)
    rays = rows.assign(outside=moved, ci_low=-1.0, ci_high=1.0)
    assert one(rays)["breakdown"] == pytest.approx(0.04)


def test_the_error_of_a_simulated_truth_widens_the_limits() -> None:
    t = drifting(np.random.default_rng(0), size=1000)
    exact, blurred = (one(answers(t, truth_mcse=error)) for error in (0.0, 0.2))
    assert blurred["breakdown"] == exact["breakdown"]
    for name in ("breakdown", "bias_half_se"):
        widths = [x[f"{name}_high"] - x[f"{name}_low"] for x in (exact, blurred)]
        assert widths[1] > 1.5 * widths[0]
    assert blurred["slope_mcse"] == exact["slope_mcse"]
    moves = one(answers(t, truth_mcse=0.2), about(truth="moves"))
    assert moves["slope_mcse"] > 0.1


def test_moments_are_flagged() -> None:
    rows = answers(drifting(np.random.default_rng(0)))
    catalogue = about() | {"estimators": {"toy/mean": {"moments": False}}}
    found = study(rows, score(rows, catalogue), catalogue)
    assert not found.sensitivity["moments"].any() and not found.curves["moments"].any()
    assert one(rows)["moments"]


def test_missing_columns_and_tables_of_other_runs_are_bad_input() -> None:
    rows = answers(drifting(np.random.default_rng(0)))
    scores = score(rows, about())
    with pytest.raises(BadInput, match="the replicate table lacks columns: ci_low"):
        measure_sensitivity(rows.drop(columns="ci_low"), scores, about())
    with pytest.raises(BadInput, match="the score table lacks columns: bias, ci_length"):
        measure_sensitivity(rows, scores.drop(columns=["bias", "ci_length"]), about())
    with pytest.raises(BadInput, match="the replicate table has no row of it"):
        measure_sensitivity(rows[rows["setting"] != 0.2], scores, about())


# --- order, determinism, files


def test_the_order_of_the_rows_does_not_matter_and_nothing_is_left_to_chance() -> None:
    rng = np.random.default_rng(0)
    parts = [answers(drifting(rng), n=n) for n in (100, 200)]
    rows = pd.concat(parts, ignore_index=True)
    scores = score(rows, about())
    first = study(rows, scores, about())
    for seed in (1, 2):
        again = study(rows.sample(frac=1, random_state=seed), scores, about())
        for table, other in zip(first, again, strict=True):
            pd.testing.assert_frame_equal(table, other, check_exact=True)
    alone = told(parts[1])
    pd.testing.assert_frame_equal(
        alone, first.sensitivity.iloc[1:].reset_index(drop=True), check_exact=True
    )


def test_the_bits_do_not_depend_on_the_number_of_blas_threads() -> None:
    from threadpoolctl import threadpool_limits

    rows = answers(drifting(np.random.default_rng(0), size=777))
    tables = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            tables.append(told(rows))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_repeated_fits_are_left_out() -> None:
    rows = answers(drifting(np.random.default_rng(0)))
    twice = pd.concat([rows, rows.assign(refit=1, estimate=9.0)], ignore_index=True)
    pd.testing.assert_frame_equal(told(twice), told(rows))


def test_curves_hold_the_scores_with_bands_around_them() -> None:
    rows = answers(drifting(np.random.default_rng(0)))
    scores = score(rows, about()).assign(setting=GRID).set_index("setting")
    doses = curves(rows, score(rows, about()), about())
    assert doses["setting"].tolist() == list(GRID) * 5
    for dose in doses.to_dict("records"):
        known = scores.loc[dose["setting"]]
        assert dose["value"] == known[dose["measure"]]
        assert dose["mcse"] == known[f"{dose['measure']}_mcse"]
        assert dose["band_low"] <= dose["low"] <= dose["value"] <= dose["high"] <= dose["band_high"]
        if f"{dose['measure']}_low" in known:
            assert dose["low"] == pytest.approx(known[f"{dose['measure']}_low"])


def test_wilson_is_the_scorers_at_its_level() -> None:
    for count, total in ((0, 7), (3, 7), (7, 7), (90, 100)):
        expected = core.proportion(count, total)
        ends = wilson(np.array([count / total]), np.array([total]), Z)
        assert [float(end[0]) for end in ends] == pytest.approx([expected.low, expected.high])


def test_a_run_writes_both_tables_and_its_report_tells_them(tmp_path: Any) -> None:
    cell = {
        "scenario": "did/two-group", "n": 20, "dials": {"trend": [-0.2, 0.2]},
        "estimators": ["panel/first-difference"],
    }  # fmt: skip
    suite = {"name": "small", "seed": 7, "replicates": 12, "cells": [cell]}
    done = run(suite, out=tmp_path / "run")
    done.write_scores()
    again = load(tmp_path / "run")
    for name in ("sensitivity", "curves"):
        written = pd.read_csv(tmp_path / "run" / f"{name}.csv")
        expected = getattr(again, name)
        assert written.columns.tolist() == expected.columns.tolist()
        assert len(written) == len(expected) > 0
    assert done.sensitivity["direction"].tolist() == ["up", "down"]
    assert done.sensitivity["assumption"].tolist() == ["parallel trends"] * 2
    page = done.write_report().read_text(encoding="utf-8")
    assert 'id="breakdown"' in page and "downwards" in page


def test_the_report_says_where_each_method_breaks(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    kinds = {
        "toy/breaks": drifting(rng, size=400), "toy/holds": drifting(rng, slope=0.1, size=400),
        "toy/broken": 2 + drifting(rng, size=400), "toy/silent": np.full((4, 400), np.nan),
    }  # fmt: skip
    parts = [answers(t, estimator=name) for name, t in kinds.items()]
    parts[-1] = parts[-1].assign(status="failed")
    parts.append(answers(drifting(rng, size=400), estimator="toy/points", ci_low=np.nan,
                         ci_high=np.nan))  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    catalogue = about()
    page = write_report(tmp_path, RunTables.of_rows(rows, catalogue)).read_text(encoding="utf-8")
    section = page[page.index('<section id="breakdown">') :]
    section = section[: section.index("</section>")]
    assert "falls below 90 % at <b>drift = 0.1" in section
    assert "stays above 90 % up to drift = 0.4" in section
    assert section.count("is below 90 % <b>at the default</b>") == 1  # toy/broken
    assert section.count("failed in most fits") == 1  # toy/silent
    assert "gives no limits" in section
    assert "nan" not in section and "None" not in section


@pytest.mark.parametrize("paired_noise", [True, False])
def test_who_never_breaks_has_no_bare_breakdown_point(paired_noise: bool) -> None:
    """Coverage is .93 at every setting, the bound .90: chance alone makes points, not sure ones."""
    rng, half = np.random.default_rng(11), float(norm.ppf(0.965))
    parts = []
    for i in range(STUDIES):
        t = drifting(rng, paired=paired_noise, slope=0.0, size=100)
        limits = {"ci_low": {}, "ci_high": {}}
        limits["ci_low"] = {v: t[j % len(t)] - half for j, v in enumerate(GRID)}
        limits["ci_high"] = {v: t[j % len(t)] + half for j, v in enumerate(GRID)}
        t = np.broadcast_to(t, (len(GRID), 100))
        parts.append(answers(t, parameters=json.dumps({"study": i}), **limits))
    lines = told(pd.concat(parts, ignore_index=True), about(paired_noise)).to_dict("records")
    assert len(lines) == STUDIES
    sure = np.mean([surely_breaks(line) for line in lines])
    assert sure <= 0.05 + THREE
    bare = [line for line in lines if not surely_breaks(line)]
    assert not any("falls below" in in_words(line) for line in bare)
    assert paired_noise or any("may fall below" in in_words(line) for line in bare)


def test_importing_it_loads_neither_plugins_nor_runner_nor_pandas() -> None:
    unwanted = [*RUNNING, "pandas", "scipy.stats"]
    assert loaded("import cibench.analysis.sensitivity", unwanted)[1] == []
