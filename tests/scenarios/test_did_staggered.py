"""Staggered adoption: who adopts when, whose effects count, and the published exact figures."""

import sys

import numpy as np
import pytest

from cibench import Estimand, Target, find_scenario
from cibench.model.streams import stream

Staggered = find_scenario("did/staggered")
YEARS = np.arange(1980, 2016)
ATT = Target(Estimand.ATT)


def draw(n=50, **fields):
    return Staggered(**fields).draw(n, stream("test", "staggered"))


def dummies(drawn):
    """Regress the outcome on treatment, unit and year dummies."""
    c = drawn.columns
    effects = [
        c[name][:, None] == np.unique(c[name])[skip:] for name, skip in (("unit", 0), ("time", 1))
    ]
    return np.linalg.lstsq(np.column_stack([c["d"], *effects]).astype(float), c["y"])[0][0]


@pytest.mark.parametrize(
    ("fields", "fixed_effects", "att", "everywhere"),
    [
        ({}, 0.5, 0.5, 0.5),
        ({"heterogeneity": 0.2}, 0.302620, (0.5 * 306 + 0.3 * 162) / 468, 0.370588),
        ({"growth": 0.05}, 0.847115 - 0.375063, 0.847115, 1.004412),
    ],
)
def test_two_way_fixed_effects_and_the_att_without_noise(fields, fixed_effects, att, everywhere):
    drawn = draw(noise=0, **fields)
    assert dummies(drawn) == pytest.approx(fixed_effects, abs=5e-7)
    assert Staggered(**fields).truth()[ATT] == pytest.approx(att, abs=5e-7)
    assert Staggered(everywhere=True, **fields).truth()[ATT] == pytest.approx(everywhere, abs=5e-7)
    # the published ATT is the plain mean over all treated unit-years
    assert drawn.effects[drawn.columns["d"] == 1].mean() == pytest.approx(everywhere, abs=5e-7)


def test_the_docstring_states_these_figures():
    doc = sys.modules[Staggered.__module__].__doc__
    assert all(figure in doc for figure in ("0.302620", "0.430769", "0.370588", "-0.375", "0.847"))


@pytest.mark.parametrize(("n", "sizes"), [(50, (17, 18, 15)), (100, (34, 36, 30))])
def test_cohorts_adopt_in_the_stated_numbers_and_years(n, sizes):
    c = draw(n).columns
    for year, size in zip((1989, 1998, 2007), sizes, strict=True):
        rows = c["cohort"] == year
        assert rows.sum() == size * 36
        assert np.array_equal(c["d"][rows], c["time"][rows] >= year)
    assert sum(sizes) == n


def test_never_treated_units_are_the_stated_share_and_never_treated():
    c = draw(100, never=0.2).columns
    never = c["cohort"] == 0
    assert never.sum() == 20 * 36
    assert not c["d"][never].any()


def counted(drawn, target):
    c = drawn.columns
    return sorted(
        set(zip(c["cohort"][drawn.target[target]], c["time"][drawn.target[target]], strict=True))
    )


def test_without_never_treated_units_years_count_in_which_somebody_is_untreated():
    assert counted(draw(), ATT) == sorted(
        [(1989, t) for t in range(1989, 2007)] + [(1998, t) for t in range(1998, 2007)]
    )
    assert counted(draw(), Target(Estimand.ATT, 3)) == [(1989, 1992), (1998, 2001)]


@pytest.mark.parametrize("fields", [{"never": 0.2}, {"everywhere": True}])
def test_with_never_treated_units_or_on_demand_all_treated_years_count(fields):
    drawn = draw(**fields)
    assert np.array_equal(drawn.target[ATT], drawn.columns["d"] == 1)
    assert counted(drawn, Target(Estimand.ATT, 8)) == [(1989, 1997), (1998, 2006), (2007, 2015)]


@pytest.mark.parametrize("fields", [{}, {"never": 0.2}])
@pytest.mark.parametrize("dials", [{"heterogeneity": 0.2}, {"growth": 0.05}])
def test_every_truth_is_the_mean_of_the_effects_that_count(fields, dials):
    scenario = Staggered(horizons=17, **fields, **dials)
    drawn = scenario.draw(500, stream("test"))  # 500 units split without rounding
    truth = scenario.truth()
    assert list(truth) == list(scenario.targets()) == list(drawn.target)
    for target, value in truth.items():
        assert drawn.averaged(target).mean() == pytest.approx(value)


@pytest.mark.parametrize("n", [2, 7, 10, 14, 37])
@pytest.mark.parametrize("fields", [{}, {"never": 0.25}, {"everywhere": True}])
@pytest.mark.parametrize("dials", [{"heterogeneity": 0.2}, {"growth": 0.05}])
def test_every_truth_among_n_units_is_the_mean_of_the_effects_that_count(n, fields, dials):
    scenario = Staggered(**fields, **dials)
    drawn = scenario.draw(n, stream("test"))
    for target, value in scenario.truth_at(n).items():
        assert drawn.averaged(target).mean() == pytest.approx(value, abs=1e-12)


def test_what_rounding_does_to_the_att_is_what_was_seen_in_use():
    def off(n, **fields):
        scenario = Staggered(heterogeneity=0.2, **fields)
        return scenario.truth_at(n)[ATT] - scenario.truth()[ATT]

    assert off(10) == pytest.approx(-0.0108, abs=5e-5)
    assert off(14, never=0.25) == pytest.approx(0.0151, abs=5e-5)
    assert off(50) == pytest.approx(0, abs=1e-12)


def test_units_too_few_for_the_question_are_refused():
    for ask in (lambda s: s.truth_at(3), lambda s: s.draw(3, stream("test"))):
        with pytest.raises(ValueError, match="n = 3: in these shares no unit is left for ATT"):
            ask(Staggered(never=0.9))


def test_effects_after_adoption_grow_by_the_year():
    truth = Staggered(growth=0.02).truth()
    assert [truth[Target(Estimand.ATT, k)] for k in (0, 1, 8)] == pytest.approx([0.5, 0.52, 0.66])


def test_a_trend_drifts_the_first_two_cohorts_from_1980_on():
    plain, moved = draw(), draw(trend=0.02)
    drifts = np.isin(plain.columns["cohort"], (1989, 1998))
    expected = 0.02 * (plain.columns["time"] - 1980) * drifts
    assert np.allclose(moved.columns["y"] - plain.columns["y"], expected)


def test_anticipation_is_felt_in_the_year_before_adoption_alone():
    plain, moved = draw(heterogeneity=0.2), draw(heterogeneity=0.2, anticipation=0.5)
    c = plain.columns
    early = c["time"] == c["cohort"] - 1
    effects = {1989: 0.5, 1998: 0.3, 2007: 0.1}
    expected = 0.5 * early * np.array([effects[g] for g in c["cohort"]])
    assert np.allclose(moved.columns["y"] - c["y"], expected)
    assert np.array_equal(moved.exposed, early)


def test_what_is_measured_from_the_year_before_adoption_misses_what_was_felt_in_it():
    plain, moved = (event_study(draw(anticipation=share)) for share in (0, 1))
    assert moved - plain == pytest.approx(-0.5)


def event_study(drawn):
    """Return the first cohort's change from 1988 to 1992 less that of the last cohort."""
    y, cohort = drawn.columns["y"].reshape(-1, 36), drawn.columns["cohort"][::36]
    change = y[:, 1992 - 1980] - y[:, 1988 - 1980]
    return change[cohort == 1989].mean() - change[cohort == 2007].mean()
