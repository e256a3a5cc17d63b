"""Columns that would undo a design are named when a twin is fitted, and left out of it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from cibench.twins.audit import interval_worth
from cibench.twins.audit.interval_worth import Worth, worth
from cibench.twins.design import Design
from cibench.twins.file import save_twin
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.guards import tells
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.fit.user_columns import UserColumns
from cibench.utils.errors import BadInput

DESIGNS = {
    "rd": Design("rd", "y", running="x", cutoff=0.3),
    "below": Design("rd", "y", running="x", cutoff=0.3, side="below"),
    "fuzzy": Design("rd", "y", treatment="d", running="x", cutoff=0.3, fuzzy=True),
    "observables": Design("observables", "y", treatment="d"),
    "iv": Design("iv", "y", treatment="d", instrument="z"),
    "dose": Design("iv", "y", treatment="d", instrument="z"),
    "did": Design("did", "y", treatment="d", unit="unit", time="year"),
    "cohort": Design("did", "y", cohort="g", unit="unit", time="year"),
}


def table(kind, number=0, rows=800):
    """Return a seed of a design with harmless covariates, and who is treated."""
    rng = np.random.default_rng(number)
    if kind in ("did", "cohort"):
        unit, step = (g.ravel() for g in np.indices((rows // 8, 6)))
        cohort = rng.choice([0, 2003, 2004], rows // 8)[unit]
        d = (cohort > 0) & (2001 + step >= cohort)
        frame = pd.DataFrame({"y": rng.normal(size=len(unit)) + d, "unit": unit})
        frame["year"] = 2001 + step
        frame = frame.assign(**({"d": d.astype(int)} if kind == "did" else {"g": cohort}))
        frame["a"] = rng.normal(size=rows // 8)[unit]
        frame["b"] = rng.choice(["u", "v", "w"], rows // 8)[unit]
        return frame, cohort > 0
    a, u, x = rng.normal(size=(3, rows))
    b = rng.choice(["u", "v", "w"], rows)
    if kind in ("rd", "below"):
        treated = (x >= 0.3) if kind == "rd" else (x < 0.3)
        return pd.DataFrame({"y": a + x + treated + u, "x": x, "a": a + x, "b": b}), treated
    if kind == "fuzzy":
        treated = rng.random(rows) < 0.2 + 0.6 * (x >= 0.3)
        frame = pd.DataFrame({"y": a + treated + u, "x": x, "d": treated * 1, "a": a, "b": b})
        return frame, treated
    z = (rng.random(rows) < 0.5).astype(int)
    d = a + u + z if kind == "dose" else (a + u + 2 * z * (kind == "iv") > 0.5).astype(int)
    frame = pd.DataFrame({"y": a + d + rng.normal(size=rows), "d": d, "z": z, "a": a, "b": b})
    return frame.drop(columns=[] if kind in ("iv", "dose") else "z"), d


FORMS = {
    "copy": lambda d, _: d * 1,
    "other units": lambda d, _: 7 - 2.5 * d,
    "words": lambda d, _: np.where(d, "programme", "control"),
    "dose": lambda d, rng: np.where(d, rng.lognormal(0, 1, len(d)), 0.0),
    "only the treated have it": lambda d, rng: np.where(d, rng.normal(size=len(d)), np.nan),
    "shops": lambda d, rng: [f"shop {i}" for i in rng.integers(0, 9, len(d)) * 2 + d],
    "far apart": lambda d, rng: rng.random(len(d)) + 5 * d,
}  # fmt: skip


def column(kind, form, frame, treated):
    """Return a column that tells who is treated (in a panel: ever), the same in a unit's rows."""
    rng = np.random.default_rng(9)
    if kind == "dose":
        return 3 - 2 * np.asarray(treated)
    if "unit" in frame:
        ever = pd.Series(treated).groupby(frame["unit"].to_numpy()).max().to_numpy()
        return np.asarray(FORMS[form](ever, rng), dtype=object)[frame["unit"]]
    return FORMS[form](np.asarray(treated, dtype=int), rng)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", DESIGNS)
def test_a_column_that_tells_who_is_treated_is_left_out_in_every_design(kind, form):
    frame, treated = table(kind)
    guilty = column(kind, form, frame, treated)
    frame = frame.assign(guilty=pd.Series(list(guilty)).infer_objects())
    design = DESIGNS[kind]
    seed = seed_of(frame, design)
    if seed.design.treatment == "guilty":  # an RD without one takes the copy for it
        assert form in ("copy", "words")
        return
    assert seed.design.covariates == ("a", "b")
    (note,) = (n for n in seed.notes if "'guilty'" in n)
    assert "tells" in note and "is left out" in note
    if kind not in ("rd", "below"):
        assert "--keep guilty" in note
        kept = seed_of(frame, design, columns=UserColumns(keep=("guilty",)))
        assert set(kept.design.covariates) == {"a", "b", "guilty"}
        assert any("'guilty' is kept by name" in n for n in kept.notes)


@pytest.mark.parametrize("kind", DESIGNS)
def test_harmless_columns_stay(kind):
    left = 0
    for number in range(10):
        frame, _ = table(kind, number)
        seed = seed_of(frame, DESIGNS[kind])
        left += 2 - len(seed.design.covariates)
    assert left == 0


@pytest.mark.parametrize("treated", [1, 2, 3])
def test_of_few_treated_one_may_be_the_tallest(treated):
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(400):
        tall, few = rng.normal(size=39), np.arange(39) < treated
        told += tells(tall, few)
    assert told == 0
    assert tells((np.arange(39) < treated) * 1.0, np.arange(39) < treated)


JUMPING = {
    "level": lambda d, x, rng: 0.6 * d + rng.normal(size=len(x)),
    "curved": lambda d, x, rng: np.exp(x) + 0.8 * d + 0.3 * rng.normal(size=len(x)),
    "yes": lambda d, x, rng: (rng.random(len(x)) < 0.3 + 0.4 * d) * 1,
    "words": lambda d, x, rng: np.where(rng.random(len(x)) < 0.3 + 0.4 * d, "gold", "none"),
    "gaps": lambda d, x, rng: np.where(rng.random(len(x)) < 0.1 + 0.5 * d, np.nan, x * 0 + 1 + x),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["rd", "below", "fuzzy"])
@pytest.mark.parametrize("form", JUMPING)
def test_a_column_that_jumps_at_the_cutoff_is_named_and_left_out(form, kind):
    frame, _ = table(kind, rows=3000)
    rng = np.random.default_rng(3)
    above = (frame["x"] >= 0.3).to_numpy()
    side = above if kind != "below" else ~above
    frame["after"] = JUMPING[form](side.astype(float), frame["x"].to_numpy(), rng)
    seed = seed_of(frame, DESIGNS[kind])
    assert "after" not in seed.design.covariates
    (note,) = (n for n in seed.notes if "'after'" in n)
    assert "jumps at the cutoff by" in note and "--keep after" in note
    if form in ("level", "curved"):
        assert "by -" not in note  # the treated have more of it, whichever side they are on


@pytest.mark.parametrize("form", ["square", "exp", "steps", "noise"])
def test_what_bends_at_the_cutoff_does_not_jump(form):
    wrong = 0
    for number in range(25):
        rng = np.random.default_rng(1000 + number)
        frame, _ = table("rd", number, rows=2000)
        x = frame["x"]
        make = {
            "square": x**2, "exp": np.exp(x) + 0.1 * rng.normal(size=2000),
            "steps": np.maximum(x - 0.3, 0) + rng.normal(size=2000) * 0.2,
            "noise": rng.normal(size=2000),
        }  # fmt: skip
        seed = seed_of(frame.assign(c=make[form]), DESIGNS["rd"])
        wrong += "c" not in seed.design.covariates
    assert wrong <= 1  # of 25, where 1 % may be for all columns of a table at once


def test_what_changes_within_units_is_left_out_by_name_and_refused_where_it_is_asked_for():
    frame, _ = table("did")
    frame["price"] = np.random.default_rng(0).normal(size=len(frame))
    seed = seed_of(frame, DESIGNS["did"])
    assert seed.design.covariates == ("a", "b")
    assert any(n.startswith("column 'price' is left out: it changes within") for n in seed.notes)
    asked = Design("did", "y", treatment="d", unit="unit", time="year", covariates=("price",))
    with pytest.raises(BadInput, match="column 'price' changes within units"):
        fit_twin(seed_of(frame, asked), "gaussian")


def test_a_column_that_says_who_ever_adopts_no_longer_takes_the_effect():
    """The kind of csdid's mpdta: `treat` says which counties ever raise their minimum wage."""
    frame, treated = table("did", rows=1600)
    frame["treat"] = treated * 1
    guarded = worth(fit_twin(seed_of(frame, DESIGNS["did"]), "gaussian"), 60)
    assert guarded.sound and guarded.planted > 0.85


@pytest.mark.parametrize(
    ("hits", "sound"), [(95, True), (90, True), (88, True), (85, False), (60, False)]
)
def test_a_coverage_beyond_doubt_below_its_level_closes_the_gate(
    hits, sound, twin_of, tmp_path, call, monkeypatch
):
    """With probability .001 or less would so few of 100 trials cover: P(X <= 86 | .95) = .0006."""
    assert (binom.cdf(hits, 100, 0.95) >= 0.001) == sound
    measured = Worth(hits / 100, 0.3, 100, 20_000, 0.0, 1.0)
    assert measured.sound == sound
    save_twin(twin_of("rd"), tmp_path / "own.twin")
    monkeypatch.setattr(interval_worth, "worth", lambda _: measured)
    code, out, _ = call("twin", "audit", tmp_path / "own.twin")
    assert code == (0 if sound else 1)
    assert ("too few are treated, or a covariate tells who is" in out) != sound
