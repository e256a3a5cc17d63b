"""Panels: structure against other libraries, parallel trends in the twin, staggered truths."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cibench import Estimand, Target
from cibench.twins.design import Design
from cibench.twins.fit.features import Features
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.panel_data import grid_of, residualise
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.panel import rebuild_panel
from cibench.twins.scenario import CELLS, targets_of, truths_of

ATT = Target(Estimand.ATT)


def test_levels_and_effect_are_those_of_dummies_on_untreated_cells(seeds):
    make, design = seeds["did"]
    frame = make()
    found = residualise(
        grid_of(seed_of(frame, design)), Features("linear"), np.random.default_rng(0)
    )
    free = frame[frame["d"] == 0]
    dummies = pd.get_dummies(free[["unit", "year"]].astype(str), dtype=float)
    found_by, *_ = np.linalg.lstsq(dummies.to_numpy(), free["y"].to_numpy(), rcond=None)
    beta = dict(zip(dummies.columns, found_by, strict=True))
    unit = frame["unit"].map(lambda u: beta[f"unit_{u}"])
    year = frame["year"].map(lambda t: beta[f"year_{t}"])
    beyond = (frame["y"] - unit - year)[frame["d"] == 1]
    assert found.effect == pytest.approx(beyond.mean(), abs=1e-8)
    assert abs(found.effect - 0.6) < 4 * found.se


def test_the_effect_is_that_of_did2s(seeds):
    pf = pytest.importorskip("pyfixest")
    make, design = seeds["did"]
    frame = make()
    found = residualise(
        grid_of(seed_of(frame, design)), Features("linear"), np.random.default_rng(0)
    )
    frame["d"] = frame["d"].astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        other = pf.did2s(
            frame, yname="y", first_stage="~ 0 | unit + year", second_stage="~ d", treatment="d",
            cluster="unit",
        )  # fmt: skip
    assert found.effect == pytest.approx(float(other.coef()["d"]), abs=1e-6)
    assert found.se == pytest.approx(float(other.se()["d"]), rel=1e-4)


def test_trends_are_parallel_in_a_twin_and_the_effect_is_the_planted_one(twin_of):
    twin = twin_of("did")
    rows = rebuild_panel(twin, 20_000, np.random.default_rng(0), 0.3, {})
    wide = rows.columns["y"].reshape(-1, 10)
    cohort = rows.columns["cohort"].reshape(-1, 10)[:, 0]
    never, late = wide[cohort == 0], wide[cohort == 2007]
    for k in range(1, 6):  # 2007 is period 6
        gap = (late[:, k] - late[:, 0]).mean() - (never[:, k] - never[:, 0]).mean()
        se = np.hypot(*(np.std(g[:, k] - g[:, 0]) / np.sqrt(len(g)) for g in (late, never)))
        assert abs(gap) < 4 * se
    after = (late[:, 6:].mean(1) - late[:, :6].mean(1)).mean()
    after -= (never[:, 6:].mean(1) - never[:, :6].mean(1)).mean()
    assert after == pytest.approx(0.3, abs=0.05)
    assert (late[:, 0].mean() - never[:, 0].mean()) == pytest.approx(twin.panel.gap, abs=0.05)


def test_the_dials_of_a_panel_do_what_they_say(twin_of):
    twin = twin_of("did")
    at_rest, drifting, early = (
        rebuild_panel(twin, 500, np.random.default_rng(0), 0.3, dials)
        for dials in ({}, {"trend": 0.1}, {"anticipation": 0.5})
    )
    step = np.tile(np.arange(10), 500)
    ever = at_rest.columns["cohort"] > 0
    moved = drifting.columns["y"] - at_rest.columns["y"]
    assert np.allclose(moved, 0.1 * twin.structure.sd * step * ever)
    felt = early.columns["y"] - at_rest.columns["y"]
    before = at_rest.columns["year"] == at_rest.columns["cohort"] - 1
    assert np.allclose(felt, np.where(before, 0.15, 0))
    assert np.array_equal(early.exposed, before)


def test_a_schedule_by_time_since_adoption_has_the_truth_of_its_cells(twin_of):
    twin = twin_of("did")
    truth = truths_of(twin, "0.5 + 0.1*since")
    assert truth[Target(Estimand.ATT, 2)].value == pytest.approx(0.7)
    assert targets_of(twin)[1:] == tuple(Target(Estimand.ATT, k) for k in range(4))
    shares = {g: np.mean(twin.panel.cohorts == g) for g in (2004.0, 2007.0)}
    assert set(shares) <= set(twin.panel.cohorts)
    rows = rebuild_panel(twin, 50_000, np.random.default_rng(7), "0.5 + 0.1*since", {})
    seen = rows.effects[rows.target].mean()
    assert truth[ATT].value == pytest.approx(seen, abs=6 * truth[ATT].mcse)


def test_the_error_of_a_simulated_truth_is_that_of_whole_units(twin_of):
    """Cells of a unit that adopts early are many, and no draws of their own.

    Averages over 4,000 units scatter by the truth's error times sqrt(N / 4,000), N its own units.
    """
    # An effect that hangs on the year of adoption alone is the same in all cells of a unit.
    twin, effect, trials, units = twin_of("did"), "0.1*(year - since) - 200", 150, 4_000
    twin = replace(twin, panel=replace(twin.panel, counts=None))  # else hardly anything scatters
    truth = truths_of(twin, effect)[ATT]
    means = []
    for number in range(trials):
        rows = rebuild_panel(twin, units, np.random.default_rng(number), effect, {})
        means.append(rows.effects[rows.target].mean())
    expected = np.std(means, ddof=1) * np.sqrt(units / (CELLS // 10))
    assert truth.mcse == pytest.approx(expected, rel=4 / np.sqrt(2 * trials))


def test_adoption_follows_covariates_as_in_the_seed():
    rng = np.random.default_rng(2)
    units = 600
    z = rng.normal(size=units)
    adopts = rng.random(units) < 1 / (1 + np.exp(-1.5 * z))
    unit, step = np.indices((units, 4))
    d = (adopts[:, None] & (step >= 2)).astype(int)
    y = rng.normal(size=(units, 1)) + 0.3 * rng.normal(size=(units, 4)) + d
    frame = pd.DataFrame({
        "y": y.ravel(), "unit": unit.ravel(), "time": step.ravel() + 1, "d": d.ravel(),
        "z": np.repeat(z, 4),
    })  # fmt: skip
    design = Design("did", "y", treatment="d", unit="unit", time="time", covariates=("z",))
    twin = fit_twin(seed_of(frame, design))
    rows = rebuild_panel(twin, 40_000, np.random.default_rng(0), 1.0, {})
    wide = {n: rows.columns[n].reshape(-1, 4) for n in ("d", "z")}
    ever = wide["d"].any(axis=1)
    gap = wide["z"][ever, 0].mean() - wide["z"][~ever, 0].mean()
    own = z[adopts].mean() - z[~adopts].mean()
    error = z.std() * np.sqrt(1 / adopts.sum() + 1 / (~adopts).sum())
    assert gap == pytest.approx(own, abs=4 * error) and gap > 0.8


def test_residuals_of_a_panel_come_from_units_that_the_fit_has_not_seen():
    """Six adopters of one cohort: levels and effects fitted to them take up part of their noise."""
    spread = []
    for number in range(40):
        rng = np.random.default_rng(number)
        unit, step = np.indices((24, 8))
        d = (unit < 6) & (step >= 4)
        noise = rng.normal(size=(24, 8))
        frame = pd.DataFrame({
            "y": (noise + d).ravel(), "unit": unit.ravel(), "time": step.ravel() + 1,
            "d": d.ravel().astype(int),
        })  # fmt: skip
        design = Design("did", "y", treatment="d", unit="unit", time="time")
        grid = grid_of(seed_of(frame, design))
        residuals = residualise(grid, Features("linear"), rng).residuals
        spread.append(np.mean(residuals[:6, 4:] ** 2))
    # a mean of the other adopters' errors is added to each one's own: more than its variance of 1
    assert np.mean(spread) > 1


def test_without_never_treated_units_only_cells_with_a_comparison_count(seeds):
    make, design = seeds["did"]
    twin = fit_twin(seed_of(make(never=0), design), "gaussian")
    rows = rebuild_panel(twin, 300, np.random.default_rng(0), 0.3, {})
    assert rows.columns["year"][rows.target].max() == 2006
    assert targets_of(twin)[1:] == tuple(Target(Estimand.ATT, k) for k in range(3))


def test_two_periods_will_do():
    rng = np.random.default_rng(0)
    unit, time = np.indices((100, 2))
    treated = unit < 40
    y = rng.normal(size=(100, 1)) + treated + time + 0.5 * treated * time
    y = y + 0.3 * rng.normal(size=(100, 2))
    frame = pd.DataFrame({
        "y": y.ravel(), "unit": unit.ravel(), "time": time.ravel() + 1,
        "d": (treated & (time == 1)).ravel().astype(int),
    })  # fmt: skip
    design = Design("did", "y", treatment="d", unit="unit", time="time")
    twin = fit_twin(seed_of(frame, design))
    change = y[:, 1] - y[:, 0]
    assert twin.structure.effect == pytest.approx(change[:40].mean() - change[40:].mean(), abs=1e-8)
