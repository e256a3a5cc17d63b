"""Panels with few treated units: errors by placebo, or the statement that there is none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cibench.twins.audit.interval_worth import NO_INTERVAL, worth
from cibench.twins.design import Design
from cibench.twins.file import open_twin, save_twin, sealed, state_of
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.panel_data import Grid, att, few_treated, placebo_error
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.panel import COHORT, rebuild_panel
from cibench.twins.scenario import CELLS, truths_of

DESIGN = Design("did", "y", treatment="d", unit="unit", time="t")
TIMES = np.arange(1, 11.0)
TRIALS = 80


def grid(treated, rng, units=39):
    """Draw a panel without any effect, whose units have a level and noise of their own."""
    y = rng.normal(size=(units, 1)) + 0.5 * rng.normal(size=(units, 10))
    cohort = np.zeros(units)
    cohort[:treated] = np.where(np.arange(treated) % 2, 5, 7)
    d = ((cohort[:, None] > 0) & (cohort[:, None] <= TIMES)).astype(float)
    return Grid(y, d, TIMES, cohort, {}, ())


@pytest.mark.parametrize("treated", [1, 2, 3, 6, 9])
def test_the_placebo_error_is_the_estimates_spread(treated):
    """T.2: one of 39 had an error of .16 of the spread and 26 % coverage, two 68 %, three 78 %."""
    estimates, errors = [], []
    for number in range(TRIALS):
        rng = np.random.default_rng([treated, number])
        drawn = grid(treated, rng)
        estimates.append(att(drawn)[0])
        errors.append(placebo_error(drawn, rng))
    spread = np.sqrt(np.mean(np.square(estimates)))  # about the truth, 0
    # the mean error's own noise is small beside that of a spread from so many trials
    assert np.mean(errors) == pytest.approx(spread, rel=4 / np.sqrt(2 * TRIALS))
    covered = np.mean(np.abs(estimates) <= 1.959964 * np.array(errors))
    assert covered > 0.95 - 4 * np.sqrt(0.95 * 0.05 / TRIALS)


def frame(treated, units=39):
    drawn = grid(treated, np.random.default_rng(1), units)
    unit, step = np.indices(drawn.y.shape)
    columns = {"y": drawn.y, "d": drawn.d.astype(int), "unit": unit, "t": step + 1}
    return pd.DataFrame({n: c.ravel() for n, c in columns.items()})


def free(twin):
    """Return a twin as files of format 2 have it, whose number of treated units is chance's."""
    return replace(twin, panel=replace(twin.panel, counts=None))


@pytest.mark.parametrize("treated", [1, 2, 9])
def test_as_many_units_adopt_as_in_the_seed(treated):
    """T.2: of data sets drawn from one of 39, 35 % had no treated unit."""
    twin = fit_twin(seed_of(frame(treated), DESIGN), "gaussian")
    seed = np.bincount(grid(treated, np.random.default_rng(1)).cohort.astype(int), minlength=11)
    for number in range(20):
        rng = np.random.default_rng(number)
        cohort = rebuild_panel(twin, 39, rng, 0.0, {}).columns[COHORT][::10].astype(int)
        assert np.array_equal(np.bincount(cohort, minlength=11), seed)
        for units in (2, 11, 100, 390):
            cohort = rebuild_panel(twin, units, rng, 0.0, {}).columns[COHORT][::10]
            adopting = np.sum(cohort > 0)
            assert 1 <= adopting < units and abs(adopting - units * treated / 39) < 1.5
        cohort = rebuild_panel(free(twin), 39, rng, 0.0, {}).columns[COHORT]
    shares = [
        np.mean(rebuild_panel(twin, 50, np.random.default_rng(k), 0.0, {}).columns[COHORT] > 0)
        for k in range(200)
    ]  # what does not divide is drawn
    assert np.mean(shares) == pytest.approx(treated / 39, abs=4 * 0.01 / np.sqrt(200))


def selected():
    """Fit a twin to a panel in which units of a high z adopt."""
    rng = np.random.default_rng(3)
    drawn = grid(0, rng, 200)
    z = rng.normal(size=200)
    ever = rng.random(200) < 1 / (1 + np.exp(1.5 - 1.2 * z))
    d = ever[:, None] & (TIMES >= 6)
    unit, step = np.indices(d.shape)
    columns = {"y": drawn.y, "d": d.astype(int), "unit": unit, "t": step + 1, "z": z[unit]}
    table = pd.DataFrame({n: c.ravel() for n, c in columns.items()})
    return fit_twin(seed_of(table, replace(DESIGN, covariates=("z",))), "gaussian")


def test_the_error_of_a_truth_is_that_of_cohorts_of_fixed_size():
    twin, trials, units = selected(), 120, 1000
    (truth, *_) = truths_of(twin, "z").values()
    means = []
    for number in range(trials):
        rows = rebuild_panel(twin, units, np.random.default_rng(number), "z", {})
        means.append(rows.effects[rows.target].mean())
    expected = np.std(means, ddof=1) * np.sqrt(units / (CELLS // 10))
    assert truth.mcse == pytest.approx(expected, rel=4 / np.sqrt(2 * trials))
    assert abs(np.mean(means) - truth.value) < 4 * np.std(means) / np.sqrt(trials)


def test_who_adopts_still_goes_by_covariates():
    """Counted cohorts have the mean covariates that cohorts left to chance have."""
    twin, gaps = selected(), []
    for each in (twin, free(twin)):
        means = []
        for number in range(100):
            rows = rebuild_panel(each, 100, np.random.default_rng(number), 0.0, {}).columns
            adopts = rows[COHORT][::10] > 0
            means.append(rows["z"][::10][adopts].mean())
        gaps.append((np.mean(means), np.std(means) / 10))
    assert gaps[0][0] > 0.3
    assert abs(gaps[0][0] - gaps[1][0]) < 4 * np.hypot(gaps[0][1], gaps[1][1])


def test_the_file_keeps_the_number_that_adopts(tmp_path):
    twin = fit_twin(seed_of(frame(2), DESIGN), "gaussian")
    for each, version in ((twin, 3), (free(twin), 1)):
        assert state_of(each)["format"] == version
        save_twin(each, tmp_path / "a.twin")
        opened = open_twin(tmp_path / "a.twin")
        a, b = (rebuild_panel(t, 60, np.random.default_rng(1), 0.0, {}) for t in (each, opened))
        assert np.array_equal(a.columns[COHORT], b.columns[COHORT])
        assert opened.digest == sealed(each).digest


def test_trials_without_a_treated_unit_are_no_misses():
    """They made 58 % of 91 %: in a third of seeds drawn with one of 39 nobody is treated.

    Files of older versions leave their number to chance.
    """
    twin = free(fit_twin(seed_of(frame(1), DESIGN), "gaussian"))
    assert twin.seed["se"] > 0.1
    intervals = worth(twin, replicates=60)
    expected = 1 - (1 - 1 / 39) ** 39
    assert abs(intervals.replicates / 60 - expected) < 4 * np.sqrt(expected * (1 - expected) / 60)
    assert intervals.sound and intervals.planted > 0.8
    assert intervals.high - intervals.low == pytest.approx(2 * 1.959964 * twin.seed["se"])
    words = (
        "1 units ever adopt, fewer than 10: the standard error is that of placebo effects among "
        "the 38 that never do"
    )
    assert words in intervals.lines and words in twin.seed["notes"]


def test_without_donors_there_is_no_error():
    table = frame(9, units=24)  # 15 donors are fewer than two for each of nine
    twin = fit_twin(seed_of(table, DESIGN), "gaussian")
    assert twin.seed["se"] == 0
    lines = worth(twin, replicates=10).lines
    assert NO_INTERVAL in lines
    assert (
        "9 units ever adopt, fewer than 10, and 15 never do: no standard error of the effect can "
        "be had" in lines
    )


def test_ten_treated_units_have_the_error_that_is_clustered():
    drawn = grid(10, np.random.default_rng(2))
    table = frame(10).assign(y=drawn.y.ravel())
    twin = fit_twin(seed_of(table, DESIGN), "gaussian")
    assert twin.seed["se"] == pytest.approx(att(drawn)[1])
    assert few_treated(twin.seed["ever"], twin.seed["se"]) == ""
