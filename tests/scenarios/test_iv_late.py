"""The LATE design: who takes the treatment, what the dials do, the figures the docstring states."""

import sys

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream

N = 400_000
LATE = find_scenario("iv/late")
NEAR = 4 / np.sqrt(N)


def draw(n=N, **fields):
    return LATE(**fields).draw(n, stream("test", "iv/late"))


def kinds(drawn):
    """Return who always takes, complies and never takes, by effect and covariate."""
    shift = drawn.effects - drawn.columns["x"] / 2
    return {name: np.isclose(shift, value) for name, value in (("A", 2), ("C", 1), ("N", 0))}


def stated(number):
    assert number in sys.modules[LATE.__module__].__doc__
    return float(number)


def wald(drawn):
    y, d, z = (drawn.columns[name] for name in "ydz")
    z = z == 1
    return (y[z].mean() - y[~z].mean()) / (d[z].mean() - d[~z].mean())


def test_kinds_have_their_shares_and_follow_or_ignore_the_encouragement():
    drawn = draw()
    who, z, d = kinds(drawn), drawn.columns["z"], drawn.columns["d"]
    for name, share in (("A", 0.1), ("C", 0.5), ("N", 0.4)):
        assert who[name].mean() == pytest.approx(share, abs=NEAR / 2)
    assert (d[who["A"]] == 1).all()
    assert (d[who["N"]] == 0).all()
    assert np.array_equal(d[who["C"]], z[who["C"]])
    assert np.array_equal(drawn.target, who["C"])


def test_encouragement_is_a_fair_coin_whatever_the_kind_and_the_covariate():
    drawn = draw()
    z, x = drawn.columns["z"], drawn.columns["x"]
    assert z.mean() == pytest.approx(0.5, abs=NEAR / 2)
    assert abs(np.corrcoef(z, x)[0, 1]) < NEAR
    for who in kinds(drawn).values():
        assert z[who].mean() == pytest.approx(0.5, abs=2 / np.sqrt(who.sum()))


def test_the_late_differs_from_the_ate_as_stated():
    drawn = draw()
    assert LATE().truth() == 1
    assert drawn.effects[drawn.target].mean() == pytest.approx(1, abs=NEAR)
    assert drawn.effects.mean() == pytest.approx(stated("0.7"), abs=NEAR)
    assert LATE().effect + 1.0 * (0.1 - 0.4) == pytest.approx(0.7)


def test_the_naive_difference_is_off_as_stated():
    # treated: always-takers at gap + effect + gain, compliers at effect; others: -gap and 0
    treated, others = (0.1 * 3 + 0.25 * 1) / 0.35, -0.4 / 0.65
    assert stated("1.187") == pytest.approx(treated - others - 1, abs=5e-4)
    drawn = draw()
    y, d = drawn.columns["y"], drawn.columns["d"] == 1
    assert y[d].mean() - y[~d].mean() - 1 == pytest.approx(treated - others - 1, abs=3 * NEAR)


@pytest.mark.parametrize(
    ("dials", "number", "exact"),
    [
        ({"direct": 0.2}, "0.4", 0.2 / 0.5),
        ({"dependence": 0.1}, "0.319", np.sqrt(8 / np.pi) * 0.1 / 0.5),
        ({"defiers": 0.2}, "0.667", 0.2 / 0.3),
    ],
)
def test_two_stage_least_squares_is_off_as_stated(dials, number, exact):
    assert stated(number) == pytest.approx(exact, abs=5e-4)
    drawn = draw(**dials)
    # the ratio's error is that of the contrast of means, 2 s.d. / sqrt n, over the first stage
    reach = NEAR * 2 * drawn.columns["y"].std() / (0.3 if "defiers" in dials else 0.5)
    assert wald(drawn) - 1 == pytest.approx(exact, abs=reach)
    assert abs(wald(draw()) - 1) < NEAR * 2 * drawn.columns["y"].std() / 0.5


def test_defiers_are_never_takers_who_do_the_opposite_and_keep_their_effects():
    plain, defied = draw(), draw(defiers=0.1)
    changed = plain.columns["d"] != defied.columns["d"]
    z = defied.columns["z"]
    assert (kinds(plain)["N"] | ~changed).all()
    assert (z[changed] == 0).all()
    assert changed.mean() == pytest.approx(0.05, abs=NEAR / 2)
    assert np.array_equal(defied.effects, plain.effects)
    assert np.array_equal(defied.target, plain.target)
    assert np.array_equal(defied.baseline, plain.baseline)


def test_more_defiers_than_never_takers_are_refused():
    with pytest.raises(ValueError, match=r"defiers = 0\.5 is more than the 0\.4 never-takers"):
        LATE(defiers=0.5)
    with pytest.raises(ValueError, match="more than 1"):
        LATE(always=0.6)


def test_dependence_leaves_the_potential_outcomes_and_a_direct_effect_the_treatment():
    plain, tied, moved = draw(), draw(dependence=0.1), draw(direct=0.2)
    assert np.array_equal(tied.baseline, plain.baseline)
    assert np.array_equal(moved.columns["d"], plain.columns["d"])
    assert np.allclose(moved.baseline - plain.baseline, 0.2 * plain.columns["z"])


def test_strength_and_endogeneity_are_as_stated():
    drawn = draw()
    d, z, x = (drawn.columns[name] for name in "dzx")
    v = d - np.where(z == 1, 0.6, 0.1)
    assert stated("189") == pytest.approx(500 * 0.25 * 0.25 / np.mean(v**2), abs=1.5)
    u = drawn.columns["y"] - d
    design = np.column_stack([np.ones(N), x])
    u = u - design @ np.linalg.lstsq(design, u)[0]
    assert np.corrcoef(u, v)[0, 1] == pytest.approx(stated("0.49"), abs=0.005 + NEAR)


def test_errors_for_equal_variances_are_right_as_half_are_encouraged():
    drawn = draw(20_000)
    problem = Problem.of(drawn, LATE.roles, LATE().targets())
    plain, robust = (
        find_estimator(name).fit(problem, None).se
        for name in ("linearmodels/2sls", "linearmodels/2sls-robust")
    )
    assert plain == pytest.approx(robust, rel=0.01)
    # which is no matter of course: among the treated the outcome varies more
    y, d = drawn.columns["y"], drawn.columns["d"] == 1
    assert y[d].var() > 1.3 * y[~d].var()
