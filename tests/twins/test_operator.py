"""Residualise, train, reconstruct: nothing but the plan ties residuals to the treatment."""

import numpy as np
import pytest
import statsmodels.api as sm

from cibench.model.types import Truth
from cibench.twins.audit.audit import audit_columns
from cibench.twins.cross_section import Noise, rebuild, reconstruct
from cibench.twins.fit.cross_section import fit_parts
from cibench.twins.fit.features import FORMS, features_of
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.fit.structure import estimate
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.sample import draw_rows
from cibench.twins.scenario import truths_of
from cibench.twins.twin import RESIDUAL

FAMILIES = ("vine", "gaussian", "resampling", "trees")
ROWS = 1_000_000


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["observables", "iv", "fuzzy"])
def test_residuals_know_nothing_of_treatment_and_instrument(twin_of, name, family):
    twin = twin_of(name, family)
    rows = reconstruct(twin, ROWS, np.random.default_rng(0), 1.0, {})
    for column, expected in rows.expected.items():
        surprise = rows.columns[column] - expected
        assert abs(correlation(rows.residual, surprise)) < 4 / np.sqrt(ROWS)


@pytest.mark.parametrize("name", ["observables", "iv", "fuzzy"])
def test_the_dial_ties_them_by_what_it_says(twin_of, name):
    rows = reconstruct(twin_of(name), 200_000, np.random.default_rng(0), 1.0, {"confounding": 0.4})
    (column,) = [c for c in rows.expected if c == "d"]
    assert correlation(rows.residual, rows.columns[column] - rows.expected[column]) > 0.2
    assert np.std(rows.residual) == pytest.approx(twin_of(name).structure.sd, rel=0.1)


def test_resampling_avoids_what_plasmode_simulation_gets_wrong(seeds):
    """Rows drawn with their own residuals make the sample's accidents a law.

    Of n rows the correlation of residual and propensity is about 1 / sqrt(n) off, in the millionth
    row as in the first.
    """
    make, design = seeds["observables"]
    said, naive = UserStructure(outcome="1 + a + 0.5*b**2 + c", effect="2"), []
    for number in range(20):
        seed = seed_of(make(150, number), design)
        parts, training = fit_parts(seed, said, np.random.default_rng(0))
        p = parts["mechanisms"]["treatment"].probability(training.columns, seed.rows)
        naive.append(correlation(training.columns[RESIDUAL], p))
    assert np.sqrt(np.mean(np.square(naive))) == pytest.approx(1 / np.sqrt(150), rel=0.5)
    twin = fit_twin(seed_of(make(150, int(np.argmax(np.abs(naive)))), design), "resampling", said)
    rows = reconstruct(twin, ROWS, np.random.default_rng(1), 1.0, {})
    assert abs(correlation(rows.residual, rows.expected["d"])) < 4 / np.sqrt(ROWS)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_planted_jump_is_the_jump(seeds, family):
    """With f known, what is left of the outcome jumps at the cutoff by the planted effect."""
    make, design = seeds["rd"]
    said = UserStructure(outcome="3000 + 400*(x - 5) + 20*(x - 5)**2")
    twin = fit_twin(seed_of(make(), design), family, said)
    rows = reconstruct(twin, 400_000, np.random.default_rng(0), 800.0, {})
    x, y = rows.columns["x"], rows.columns["y"]
    left = y - (3000 + 400 * (x - 5) + 20 * (x - 5) ** 2)
    near = np.abs(x - 5) < 0.5
    v, d = x[near] - 5, (x[near] >= 5).astype(float)
    fit = sm.OLS(left[near], np.column_stack([np.ones(len(v)), d, v, d * v])).fit(cov_type="HC1")
    assert fit.params[1] == pytest.approx(800, abs=4 * fit.bse[1])
    assert fit.bse[1] < 25


def test_the_seed_effect_is_that_of_another_library(seeds):
    """The quadratic with covariates that cross-validation chose, by statsmodels."""
    make, design = seeds["rd"]
    frame = make()
    twin = fit_twin(seed_of(frame, design), "gaussian")
    assert twin.structure.features.order == 2
    v = frame["x"] - 5
    above = (v >= 0).astype(float)
    parts = [v * above, v * (1 - above), v**2 * above, v**2 * (1 - above)]
    covariates = frame[["age", "bookings", "value", "international"]].to_numpy()
    scores = (covariates - covariates.mean(0)) / covariates.std(0)
    x = np.column_stack([np.ones(len(v)), above, *parts, np.clip(scores, -4, 4)])
    fit = sm.OLS(frame["y"], x).fit(cov_type="HC1")
    assert twin.structure.effect == pytest.approx(fit.params.iloc[1], rel=1e-6)
    assert twin.structure.se == pytest.approx(fit.bse.iloc[1], rel=1e-3)
    assert abs(twin.structure.effect - 1500) < 4 * twin.structure.se


def test_two_stages_are_those_of_another_library():
    """Card's returns to schooling: 2SLS 0.1315 as published, by linearmodels to the digit."""
    from linearmodels.iv import IV2SLS

    data = pytest.importorskip("causaldata").close_college.load_pandas().data
    names = ["exper", "black", "south", "married", "smsa"]
    columns = {n: data[n].to_numpy(float) for n in names}
    plain = features_of(columns, {}, "linear")
    y, d, z = (data[n].to_numpy(float) for n in ("lwage", "educ", "nearc4"))
    fitted = estimate(y, d, columns, [plain], z, np.random.default_rng(0)).structure
    exog = plain.matrix(columns, len(y))
    other = IV2SLS(y, exog, d, z).fit(cov_type="robust", debiased=True)
    assert fitted.effect == pytest.approx(other.params.iloc[-1], rel=1e-8)
    assert fitted.se == pytest.approx(other.std_errors.iloc[-1], rel=1e-6)


def test_residuals_out_of_fold_have_the_noise_that_those_of_the_fit_lack():
    """With 25 regressors on 100 rows the fit's own residuals are too small by sqrt(1 - 26/100)."""
    own, fold = [], []
    for number in range(20):
        rng = np.random.default_rng(number)
        columns = {f"w{j}": rng.standard_normal(100) for j in range(25)}
        d = rng.integers(0, 2, 100).astype(float)
        y = rng.standard_normal(100) + d
        features = features_of(columns, {}, "linear")
        fitted = estimate(y, d, columns, [features], d, rng)
        x = np.column_stack([features.matrix(columns, 100), d])
        own.append(sm.OLS(y, x).fit().resid.std())
        fold.append(fitted.residuals.std())
    assert np.mean(own) < 0.9
    assert np.mean(fold) > 1.0


def test_cross_validation_chooses_what_made_the_data():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2000))
    d = rng.integers(0, 2, 2000).astype(float)
    columns = {"a": a, "b": b}
    candidates = [features_of(columns, {}, form) for form in FORMS]
    truths = {"linear": a + b, "splines": np.abs(a), "interactions": 2 * a * b}
    for form, f in truths.items():
        y = f + d + 0.5 * rng.standard_normal(2000)
        chosen = estimate(y, d, columns, candidates, d, np.random.default_rng(1))
        losses = np.var(chosen.residuals)
        assert chosen.structure.features.form == form or losses < 0.26
        assert losses == pytest.approx(0.25, rel=0.25)


def test_cross_validation_prefers_the_plain_form_where_there_is_nothing_to_find():
    """A form is judged by rows that it has not seen: one with more terms fits those it has."""
    plain = 0
    for number in range(40):
        rng = np.random.default_rng(number)
        columns = {f"w{j}": rng.standard_normal(120) for j in range(4)}
        d = rng.integers(0, 2, 120).astype(float)
        candidates = [features_of(columns, {}, form) for form in FORMS]
        y = columns["w0"] + d + rng.standard_normal(120)
        fitted = estimate(y, d, columns, candidates, d, rng)
        plain += fitted.structure.features.form == "linear"
    assert plain >= 30


def test_dials_leave_the_noise_alone(twin_of):
    twin = twin_of("fuzzy")
    noise = Noise.draw(twin, 500, np.random.default_rng(0))
    at_rest = rebuild(twin, noise, 1.0, {})
    moved = rebuild(twin, noise, 1.0, {"sorting": 0.4, "reach": 0.2, "policy": 1.0})
    crossed = at_rest.columns["x"] != moved.columns["x"]
    assert 0 < crossed.mean() < 0.1
    assert np.all(moved.columns["x"][crossed] >= 0)
    same = ~crossed & (at_rest.columns["x"] < 0)
    assert np.array_equal(at_rest.columns["y"][same], moved.columns["y"][same])


def test_take_up_is_monotone_and_the_compliers_are_marked(twin_of):
    rows = reconstruct(twin_of("fuzzy"), 100_000, np.random.default_rng(0), 1.0, {})
    x, d = rows.columns["x"], rows.columns["d"]
    near = np.abs(x) < 0.1
    share = rows.target[near].mean()
    jump = d[near & (x >= 0)].mean() - d[near & (x < 0)].mean()
    assert share == pytest.approx(0.6, abs=0.08)  # the design's jump in take-up
    assert jump == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("name", ["observables", "rd", "did"])
def test_a_whole_outcome_stays_whole_and_keeps_the_planted_effect(seeds, name):
    make, design = seeds[name]
    frame = make()
    frame["y"] = np.rint(frame["y"] * 20 / frame["y"].std()).astype(int)
    twin = fit_twin(seed_of(frame, design), "gaussian")
    rows = draw_rows(twin, 20_000, 3.3, 0)
    y, d = rows.columns["y"], rows.columns[twin.treatment] == 1
    assert twin.outcome.whole and np.array_equal(y, np.rint(y)) and len(np.unique(y)) > 20
    assert np.array_equal(twin.table(rows.columns)["y"], y.astype(np.int64))
    felt = rows.effects[d]
    assert 0 < abs(felt.mean() - 3.3) < 4 * felt.std() / np.sqrt(d.sum())
    assert set(truths_of(twin, 3.3).values()) == {Truth(3.3)}
    half = {**rows.columns, "y": y + 0.5}
    assert not audit_columns(twin, half, 3.3).passed
    assert any("y: whole numbers" in line for line in audit_columns(twin, half, 3.3).lines)
