"""Panels as people have them: any first period, empty cohorts, units that are not always seen."""

import numpy as np
import pandas as pd
import pytest

from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.sample import draw_rows
from cibench.utils.errors import BadInput

BY_TREATMENT = Design("did", "y", treatment="d", unit="unit", time="t")
BY_COHORT = Design("did", "y", unit="unit", time="t", cohort="g")


def staggered(first=1, units=60, periods=6, always=0):
    """Draw a panel whose periods start at `first`; a third never adopt, cohorts have two dates."""
    rng = np.random.default_rng(3)
    unit, step = (g.ravel() for g in np.indices((units, periods)))
    place = np.where(unit % 3 == 0, np.nan, np.where(unit % 3 == 1, 2.0, 4.0))
    place = np.where(unit < always, 0.0, place)
    d = (step >= place).astype(int)
    y = rng.normal(size=units)[unit] + 0.3 * step + d + 0.5 * rng.normal(size=units * periods)
    columns = {"y": y, "d": d, "g": place + first, "unit": unit, "t": step + first}
    return pd.DataFrame(columns)


def fitted(frame, design):
    left = {"d", "g"} - {design.treatment, design.cohort}
    return fit_twin(seed_of(frame.drop(columns=[*left]), design), "gaussian")


@pytest.mark.parametrize("first", [0, -3, -2, 0.5])
@pytest.mark.parametrize("design", [BY_TREATMENT, BY_COHORT], ids=["treatment", "cohort"])
def test_periods_may_start_anywhere(first, design):
    """At -2 a cohort adopts in period 0, and at 0 who is always treated would."""
    for always in (0, 5):
        twin, usual = (fitted(staggered(f, always=always), design) for f in (first, 1))
        assert twin.structure.effect == pytest.approx(usual.structure.effect, rel=1e-9)
        assert len(twin.seed["ever"]) == 60 - always
        assert np.array_equal(twin.seed["ever"], usual.seed["ever"])
        rows = draw_rows(twin, 6000, 2.0, 1)
        usual_rows = draw_rows(usual, 6000, 2.0, 1)
        for drawn, own in ((rows, twin), (usual_rows, usual)):
            d = drawn.columns[own.treatment].reshape(-1, 6)
            assert 0.2 < d.mean() < 0.6 and not d[:, 0].any()
            assert np.all(np.diff(d, axis=1) >= 0)
        shares = [np.mean(r.columns["cohort" if design.treatment else "g"] == 0)
                  for r in (rows, usual_rows)]  # fmt: skip
        assert abs(shares[0] - shares[1]) < 4 * np.sqrt(2 * 0.25 / 1000)


def test_negative_periods_are_counted_from_one_and_that_is_noted():
    seed = seed_of(staggered(-3).drop(columns="d"), BY_COHORT)
    assert "column 't' starts at -3: the twin counts periods from 1, which is that" in seed.notes
    assert set(seed.columns["t"]) == {1, 2, 3, 4, 5, 6} and set(seed.columns["g"]) == {0, 3, 5}
    assert "column 'g' is empty in 120 of 360 rows: units that never adopt" in seed.notes
    zero = staggered(0).drop(columns="d")
    plain = seed_of(zero.fillna({"g": 0}), BY_COHORT)
    assert "column 'g': 0 stands for units that never adopt" in plain.notes
    assert set(plain.columns["t"]) == {0, 1, 2, 3, 4, 5} and set(plain.columns["g"]) == {0, 2, 4}


def test_a_zero_that_may_be_a_period_or_never_is_asked_about():
    with pytest.raises(BadInput, match="from -3 on a 0 may be a period or stand for never; leave"):
        seed_of(staggered(-3).drop(columns="d").fillna({"g": 0}), BY_COHORT)


@pytest.mark.parametrize("named", [int, "store {}".format])
def test_units_that_are_not_always_seen_are_left_out_by_name(named):
    frame = staggered().drop(columns="g")
    gone = {7: [2], 19: [1, 6], 30: [3], 44: [5]}
    drop = [u in gone and t in gone[u] for u, t in zip(frame["unit"], frame["t"], strict=True)]
    frame["unit"] = [named(u) for u in frame["unit"]]
    frame["weather"] = np.arange(360.0) % 7
    seed = seed_of(frame[~np.array(drop)], BY_TREATMENT)
    names = ", ".join(f"'{named(u)}'" for u in (19, 30, 44))
    assert (
        f"4 of 60 units are left out ({names} and 1 more; 19 rows): they are not seen in all 6 "
        "periods; fill their cells, or leave out periods, to keep them" in seed.notes
    )
    assert any("'weather' is left out: it changes within units" in note for note in seed.notes)
    whole = frame[~frame["unit"].isin([named(u) for u in gone])]
    twin, same = (fit_twin(s, "gaussian") for s in (seed, seed_of(whole, BY_TREATMENT)))
    assert twin.structure.effect == pytest.approx(same.structure.effect) and seed.rows == 56 * 6
