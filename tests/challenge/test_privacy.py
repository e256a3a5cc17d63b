"""The attack: right where the answer is known, and it finds a leak that was planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cibench.challenge.bundle import Wish, make_bundle
from cibench.challenge.disclosure import Limits
from cibench.challenge.membership_attack import (
    Space,
    _usual,
    _with_limits,
    attack,
    auc,
    ordered,
    taken,
)
from cibench.challenge.privacy import Privacy, examine, read_own
from cibench.challenge.report import owner_page
from cibench.metrics import Score
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.utils.errors import BadInput

SHADOWS = 8


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 30).astype(float), rng.integers(1, 6, 20).astype(float)
    pairs = np.sign(a[:, None] - b).ravel()
    assert auc(a, b) == pytest.approx(np.mean((pairs + 1) / 2))
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1


def test_what_is_usual_comes_from_other_shadows_that_had_not_seen_the_unit():
    inside = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 1]], dtype=bool)
    score = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    assert _usual(inside, score).tolist() == [[5.5, 5.0, 7.5], [7.0, 2.0, 6.0], [4.0, 3.5, 4.5]]


def test_limits_over_shadows_are_students():
    values = [0.51, 0.48, 0.53, 0.5, 0.56, 0.49]
    found = _with_limits(values)
    error = np.std(values, ddof=1) / np.sqrt(6)
    assert (found.value, found.mcse) == pytest.approx((np.mean(values), error))
    assert (found.low, found.high) == pytest.approx(
        stats.t(5, np.mean(values), error).interval(0.95)
    )


def test_points_of_a_panel_are_units_and_subsets_are_units(seeds):
    make, design = seeds["did"]
    seed = ordered(seed_of(make().sample(frac=1, random_state=1), design))
    twin = fit_twin(seed, "gaussian")
    space = Space.of(seed, twin)
    points = space.points(seed.columns)
    assert points.shape == (120, 11) and np.allclose(points.std(axis=0), 1)
    few = Space(taken(seed, np.array([3, 7]), 10), 10)
    assert few.seed.rows == 20 and set(few.seed.columns["unit"]) == {3, 7}
    assert np.allclose(few._parts(few.seed.columns)[0], space._parts(seed.columns)[0][[3, 7]])


@pytest.fixture(scope="module")
def attacked(twin_of, seeds):
    """Return attacks on Gaussian twins of a cross-section and a panel, and their controls."""
    found = {}
    for name in ("observables", "did"):
        make, design = seeds[name]
        seed, twin = ordered(seed_of(make(), design)), twin_of(name)
        found[name] = [
            attack(twin, seed, limits, SHADOWS, lambda _: None) for limits in (Limits(), None)
        ]
    return found


@pytest.mark.parametrize("name", ["observables", "did"])
def test_a_planted_leak_is_found(attacked, name):
    own, control = attacked[name][0]
    # a copied member, a quarter of them, outranks everybody; the others rank as they did
    expected = 0.25 + 0.75 * own.auc.value
    assert abs(control.auc.value - expected) < 4 * control.auc.mcse + 0.02
    assert control.auc.low > 0.55 and control.hits.low > 0.2
    assert control.closer.value > own.closer.value and own.failed == 0


@pytest.mark.parametrize("name", ["observables", "did"])
def test_resampling_would_give_nearly_everybody_away(attacked, name):
    own, (refused, _) = attacked[name][0][0], attacked[name][1]
    assert refused.generator == "resampling" and refused.auc.low > 0.7
    assert refused.closer.low > 0.55 and refused.nearest.high < own.nearest.low
    assert own.auc.high < refused.auc.low


def test_the_twin_of_a_cross_section_gives_nobody_away(attacked):
    own, _ = attacked["observables"][0]
    assert abs(own.auc.value - 0.5) < 0.05 and own.auc.low < own.auc.value < own.auc.high
    assert own.hits.value < 0.03 and own.closer.value < 0.55


def test_a_fitted_law_knows_less_of_each_unit_the_more_there_are(attacked, seeds):
    make, design = seeds["did"]  # ten periods: a covariance of 60 units knows them, of 400 hardly
    small, _ = attacked["did"][0]
    seed = ordered(seed_of(make(800), design))
    large, _ = attack(fit_twin(seed, "gaussian"), seed, Limits(), SHADOWS, lambda _: None)
    assert small.auc.low > 0.5 and large.auc.high < small.auc.value
    # beyond a coin's 1/2 by some c / sqrt(units)
    ratio = (large.auc.value - 0.5) / (small.auc.value - 0.5)
    error = 4 * np.hypot(large.auc.mcse, ratio * small.auc.mcse) / (small.auc.value - 0.5)
    assert abs(ratio - np.sqrt(120 / 800)) < error


def test_the_verdict_needs_a_control_that_is_found(attacked):
    own, control = attacked["observables"][0]

    def at(low, value, high, leak=control):
        return Privacy(replace(own, auc=Score(value, 0.01, low, high)), leak).verdict

    blind = replace(control, auc=Score(0.52, 0.02, 0.48, 0.56))
    assert at(0.49, 0.51, 0.53) == "fit"
    assert at(0.48, 0.52, 0.56) == "undecided"
    assert at(0.56, 0.58, 0.60) == "not fit"
    assert at(0.49, 0.51, 0.53, blind) == "undecided"
    assert at(0.56, 0.58, 0.60, blind) == "not fit"


def test_a_bundle_is_examined_and_the_page_says_what_was_found(attacked, twin_of, seeds, tmp_path):
    make, _ = seeds["observables"]
    twin = twin_of("observables")
    make().to_csv(tmp_path / "seed.csv", index=False)
    bundle = make_bundle(twin, Wish((0.0, 5.0), 2, 100), "out")
    data = read_own(twin, tmp_path / "seed.csv")
    found = Privacy(*attacked["observables"][0])
    page = owner_page(bundle, found)
    assert "Reduced disclosure risk, no formal guarantee." in page and "<img" in page
    body = page[page.index("<body>") :]
    assert "safe" not in body.lower() and "planted leak" in body
    name = "data/dataset-01.csv"
    stolen = make().iloc[[5]].to_csv(index=False, header=False)
    bad = replace(bundle, files={**bundle.files, name: bundle.files[name] + stolen})
    with pytest.raises(BadInput, match="nothing is given away: 1 drawn rows are rows of the seed"):
        examine(twin, bad, data, Limits())


def test_other_data_than_the_twins_are_refused(twin_of, seeds, tmp_path):
    make, _ = seeds["observables"]
    for change, words in (
        (lambda t: t.head(700), "700 rows, but the twin was fitted to 800"),
        (lambda t: t.assign(a=t["a"] + 1), "column 'a' is not the one that the twin was fitted to"),
        (lambda t: t.drop(columns="b"), "no column named 'b'"),
    ):
        pd.DataFrame(change(make())).to_csv(tmp_path / "seed.csv", index=False)
        with pytest.raises(BadInput, match=words):
            read_own(twin_of("observables"), tmp_path / "seed.csv")


def test_too_few_shadows_are_no_attack(twin_of, seeds, monkeypatch):
    make, design = seeds["observables"]
    from cibench.challenge import membership_attack as module

    def failing(*_):
        raise BadInput("no")

    monkeypatch.setattr(module, "train_twin", failing)
    with pytest.raises(BadInput, match="4 of 4 shadow twins cannot be fitted to half of the seed"):
        attack(twin_of("observables"), seed_of(make(), design), Limits(), 4, lambda _: None)
