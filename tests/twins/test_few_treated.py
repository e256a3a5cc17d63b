"""Panels with few treated units: errors by placebo, or the statement that there is none."""

import numpy as np
import pandas as pd
import pytest

from cibench.twins.audit.interval_worth import NO_INTERVAL, worth
from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.panel_data import Grid, att, few_treated, placebo_error
from cibench.twins.fit.seed_data import seed_of

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


def test_trials_without_a_treated_unit_are_no_misses():
    """They made 58 % of 91 %: in a third of seeds drawn with one of 39 nobody is treated."""
    twin = fit_twin(seed_of(frame(1), DESIGN), "gaussian")
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
