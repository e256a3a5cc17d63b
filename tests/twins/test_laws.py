"""Outcomes of every law: they stay what they are, and the planted effect is what was asked for."""

import io

import numpy as np
import pandas as pd
import pytest

from cibench.challenge.anonymise import released
from cibench.challenge.bundle import Wish, make_bundle
from cibench.challenge.disclosure import Limits, leaks
from cibench.contracts import check_scenario
from cibench.twins.audit.audit import audit_columns, audit_twin
from cibench.twins.cross_section import reconstruct, shift_of
from cibench.twins.design import Design
from cibench.twins.file import open_twin, save_twin
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.sample import draw_rows
from cibench.twins.scenario import (
    default_effect,
    effect_for,
    register_twin,
    targets_of,
    truths_of,
)
from cibench.utils.errors import BadInput

ROWS = 1500
LAWS = {
    "positive": lambda m, rng: np.round(np.exp(3 + 0.6 * m + 0.8 * rng.normal(size=len(m))), 2),
    "share": lambda m, rng: 1 / (1 + np.exp(-(m - 2 + rng.normal(size=len(m))))),
    "binary": lambda m, rng: (rng.random(len(m)) < 1 / (1 + np.exp(1 - m))) * 1,
    "five": lambda m, rng: np.clip(np.rint(3 + 0.8 * m + rng.normal(size=len(m))), 1, 5),
    "count": lambda m, rng: rng.poisson(np.exp(0.3 + 0.4 * m)),
    "zeros": lambda m, rng: np.where(
        m + rng.normal(size=len(m)) > -0.3, np.exp(2 + 0.4 * m + 0.5 * rng.normal(size=len(m))), 0
    ),
    "heaps": lambda m, rng: np.where(
        rng.random(len(m)) < 0.3, 5.0 * rng.integers(1, 4, len(m)),
        np.exp(2 + 0.4 * m + 0.5 * rng.normal(size=len(m))),
    ),
}  # fmt: skip
DESIGNS = {
    "observables": Design("observables", "y", treatment="d"),
    "rd": Design("rd", "y", treatment="d", running="x", cutoff=0.2),
    "fuzzy": Design("rd", "y", treatment="d", running="x", cutoff=0.2, fuzzy=True),
}
_fitted = {}


def table(law, kind, number=0, rows=ROWS):
    rng = np.random.default_rng(number)
    a, x = rng.normal(size=(2, rows))
    p = 1 / (1 + np.exp(-a)) if kind == "observables" else (x >= 0.2) * 1.0
    d = rng.random(rows) < (p if kind != "fuzzy" else 0.2 + 0.6 * p)
    m = a + 0.4 * d + (0.4 * x if kind != "observables" else 0)
    frame = pd.DataFrame({"y": LAWS[law](m, rng), "d": d * 1, "a": a})
    return frame.assign(x=x) if kind != "observables" else frame


def twin_of_law(law, kind):
    if (law, kind) not in _fitted:
        frame = table(law, kind)
        _fitted[law, kind] = frame, fit_twin(seed_of(frame, DESIGNS[kind]), "gaussian")
    return _fitted[law, kind]


@pytest.mark.parametrize("kind", ["observables", "rd"])
@pytest.mark.parametrize("law", LAWS)
def test_outcomes_stay_what_they_are(law, kind):
    """Revenue had 5 % negatives, 41 % zeros became 18 %, a binary outcome forgot its covariates."""
    frame, twin = twin_of_law(law, kind)
    y = frame["y"].to_numpy(float)
    rows = draw_rows(twin, 20_000, default_effect(twin), 0).columns
    drawn = twin.table(rows)["y"]
    assert y.min() <= drawn.min() and drawn.max() <= y.max()
    if law in ("binary", "five", "count"):
        assert set(drawn) <= set(y)
    if law == "positive":
        assert np.array_equal(drawn, np.round(drawn, 2))
    for value in (0.0, 1.0, 5.0, 10.0):
        assert np.mean(drawn == value) == pytest.approx(np.mean(y == value), abs=0.04)
    quantiles = np.arange(1, 10) / 10
    gap = [np.mean(drawn <= q) - np.mean(y <= q) for q in np.quantile(y, quantiles)]
    assert np.abs(gap).max() < 0.05
    for name in ("a", "x") if kind != "observables" else ("a",):
        ranked = [pd.Series(v).corr(pd.Series(w), method="spearman")
                  for v, w in ((y, frame[name]), (drawn, rows[name]))]  # fmt: skip
        assert ranked[1] == pytest.approx(ranked[0], abs=0.09)


@pytest.mark.parametrize(
    ("law", "kind"),
    [*((law, "observables") for law in LAWS), ("positive", "rd"), ("binary", "rd"),
     ("zeros", "rd"), ("binary", "fuzzy"), ("positive", "fuzzy")],
)  # fmt: skip
def test_the_planted_effect_is_what_was_asked_for(law, kind):
    """An effect of 0.1 on a binary outcome was one of 0.06."""
    frame, twin = twin_of_law(law, kind)
    for size in (-0.15, 0.3):
        effect = round(size * float(frame["y"].std()), 3)
        truth = truths_of(twin, effect)[targets_of(twin)[0]]
        assert truth.value == pytest.approx(effect, abs=6 * truth.mcse + 1e-6)
        rows = reconstruct(twin, 100_000, np.random.default_rng(9), effect, {})
        counted = np.ones(100_000, bool)
        if kind != "observables":
            counted = np.abs(rows.columns["x"] - 0.2) < 0.05
        if kind == "fuzzy":
            counted &= rows.target
        seen = rows.effects[counted]
        spread = seen.std() / np.sqrt(len(seen))
        assert seen.mean() == pytest.approx(effect, abs=5 * spread + 0.02 * abs(effect) + 1e-9)
        d = rows.columns["d"]
        assert np.array_equal(rows.columns["y"], rows.baseline + rows.effects * d)


@pytest.mark.parametrize(
    ("law", "kind"), [("positive", "rd"), ("binary", "observables"), ("zeros", "observables")]
)
def test_the_audit_passes_them_and_fails_a_halved_effect(law, kind):
    frame, twin = twin_of_law(law, kind)
    audited = audit_twin(twin)
    assert audited.passed, "\n".join(audited.lines)
    effect = 0.8 * float(frame["y"].std())
    rows = draw_rows(twin, 20_000, effect, 5)
    half = draw_rows(twin, 20_000, effect / 4, 5)
    wrong = audit_columns(twin, {**rows.columns, "y": half.columns["y"]}, effect)
    assert "effect" in {c.kind for c in wrong.checks if not c.passed}


def test_an_effect_that_has_no_room_is_refused_in_a_line(tmp_path, call):
    _, twin = twin_of_law("binary", "observables")
    with pytest.raises(BadInput, match=r"effect 0\.9: 'y' moves by 0\.\d+ on average at most"):
        shift_of(twin, 0.9)
    save_twin(twin, tmp_path / "b.twin")
    sample = ["twin", "sample", tmp_path / "b.twin", "--rows", "100", "--out", tmp_path / "s.csv"]
    for options in (["--effect", "0.9"], ["--truth", "0.9"]):
        code, _, err = call(*sample, *options)
        assert code == 2 and "on average at most" in err and err.strip().count("\n") == 0
    code, _, err = call(*sample, "--effect", "0.1", "--truth", "0.1")
    assert code == 2 and "both say what to plant" in err
    assert not (tmp_path / "s.csv").exists()
    code, out, _ = call(*sample, "--truth", "0.1")
    assert (code == 0 and "planted ATE: 0.1" in out) or "planted ATE: 0.09" in out


@pytest.mark.parametrize("truth", [-0.05, 0.1])
def test_a_truth_is_solved_for_where_bounds_hold_effects_back(truth):
    frame = table("share", "observables")
    bounds = UserStructure(bounds=(0.0, 1.0))
    twin = fit_twin(seed_of(frame, DESIGNS["observables"]), "gaussian", bounds)
    effect = effect_for(twin, truth)
    assert abs(effect) > abs(truth)
    value, error = truths_of(twin, effect)[targets_of(twin)[0]]
    assert value == pytest.approx(truth, abs=6 * error)


def test_a_truth_is_solved_for_in_a_panel_with_few_values():
    unit, step = (g.ravel() for g in np.indices((200, 4)))
    rng = np.random.default_rng(0)
    d = (unit % 2 == 0) & (step >= 2)
    y = (rng.random(800) < 0.4 + 0.2 * d) * 1
    frame = pd.DataFrame({"y": y, "d": d * 1, "unit": unit, "t": step + 1})
    design = Design("did", "y", treatment="d", unit="unit", time="t")
    twin = fit_twin(seed_of(frame, design), "gaussian")
    effect = effect_for(twin, 0.1)
    value, error = truths_of(twin, effect)[targets_of(twin)[0]]
    assert effect > 0.1 and value == pytest.approx(0.1, abs=6 * error)
    with pytest.raises(BadInput, match="--truth: 2 is out of reach"):
        effect_for(twin, 2.0)


@pytest.mark.parametrize(
    ("law", "kind"), [("positive", "rd"), ("binary", "observables"), ("zeros", "fuzzy")]
)
def test_a_twin_with_a_link_comes_back_from_its_file_and_keeps_the_contract(law, kind, tmp_path):
    _, twin = twin_of_law(law, kind)
    save_twin(twin, tmp_path / "l.twin")
    again = open_twin(tmp_path / "l.twin")
    assert again.digest == twin.digest
    first, second = (draw_rows(t, 500, 0.1, 3).columns["y"] for t in (twin, again))
    assert np.array_equal(first, second)
    scenario = register_twin(tmp_path / "l.twin")
    check_scenario(scenario())


@pytest.mark.parametrize("law", ["positive", "count", "zeros", "five"])
def test_no_row_s_own_outcome_leaves_with_a_bundle(law):
    frame, twin = twin_of_law(law, "observables")
    limits = Limits()
    link = released(twin, limits, np.random.default_rng(0)).twin.outcome.link
    counts = frame["y"].value_counts()
    rare = set(counts.index[counts < limits.cell])
    assert not rare & set(np.unique(link.values))
    effects = tuple(float(s * frame["y"].std()) for s in (0.0, 0.2, -0.1))
    bundle = make_bundle(twin, Wish(effects, 3, 500, limits), "out")
    seed = seed_of(frame, DESIGNS["observables"])
    assert leaks(bundle.files, frame, seed, limits) == []
    first = pd.read_csv(io.StringIO(bundle.files["data/dataset-01.csv"]))
    assert first["y"].min() >= 0


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_outcomes_of_any_sign_keep_their_decimals_and_their_truth(decimals):
    frame = table("positive", "observables").assign(y=lambda t: np.log(t["y"]).round(decimals) - 3)
    frame["y"] = frame["y"].round(decimals)
    twin = fit_twin(seed_of(frame, DESIGNS["observables"]), "gaussian")
    rows = draw_rows(twin, 50_000, 0.1234, 0)
    y = twin.table(rows.columns)["y"]
    assert np.array_equal(y, np.round(y, decimals))
    assert np.allclose(y, rows.columns["y"], rtol=1e-12)
    assert truths_of(twin, 0.1234)[targets_of(twin)[0]] == (0.1234, 0.0)
    error = rows.effects.std() / np.sqrt(len(y))
    assert rows.effects.mean() == pytest.approx(0.1234, abs=4 * error + 1e-9)
