"""What holds in every row of the seed holds in every row of a twin."""

import numpy as np
import pandas as pd
import pytest

from cibench.twins.audit.rules import coded, rules_of
from cibench.twins.columns import mask
from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.identities import find_identities
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.sample import write_sample
from cibench.utils.foreign import read_frame

FAMILIES = ("vine", "gaussian", "resampling", "trees")


def table(rows=600, number=0):
    """Draw a table with every kind of column and every kind of rule."""
    rng = np.random.default_rng(number)
    flights, hotels = rng.gamma(2, 2, rows), rng.poisson(3, rows)
    nights, rate = rng.integers(1, 15, rows), rng.gamma(4, 20, rows)
    spent = flights + hotels
    city = rng.choice(["İzmir", "Paris, FR", "São Paulo"], rows, p=[0.5, 0.3, 0.2])
    age = np.where(rng.random(rows) < 0.15, np.nan, rng.integers(18, 80, rows))
    y = 10 + spent + 2 * (spent >= 7) + (city == "İzmir") + rng.standard_normal(rows)
    return pd.DataFrame({
        "y": y, "spent": spent, "flights": flights, "hotels": hotels, "nights": nights,
        "rate": rate, "bill": nights * rate, "city": city, "age": age,
        "email": np.where(np.isnan(age), np.nan, rng.random(rows)),
    })  # fmt: skip


DESIGN = Design("rd", "y", running="spent", cutoff=7.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_rule_is_broken_in_any_generated_row(tmp_path, family):
    frame = table()
    seed = seed_of(frame, DESIGN)
    assert {d.name: d.formula for d in seed.derived} == {
        "spent": "flights + hotels", "bill": "nights * rate",
    }  # fmt: skip
    twin = fit_twin(seed, family)
    list(write_sample(twin, 20_000, 3.0, 0, tmp_path / "big.csv"))
    again = read_frame(tmp_path / "big.csv")
    assert len(again) == 20_000
    assert np.array_equal(again["treated"], (again["spent"] >= 7).astype(int))
    assert np.allclose(again["flights"] + again["hotels"], again["spent"], rtol=1e-9)
    assert np.allclose(again["nights"] * again["rate"], again["bill"], rtol=1e-9)
    assert again["nights"].between(1, 14).all()
    assert again["nights"].dtype.kind == "i"
    assert set(again["city"]) == set(frame["city"])
    assert np.array_equal(again["age"].isna(), again["email"].isna())
    assert again["age"].isna().mean() == pytest.approx(frame["age"].isna().mean(), abs=0.02)
    assert not again.drop(columns=["age", "email"]).isna().any().any()
    columns = coded(twin, {str(n): again[n].to_numpy() for n in again}, np.random.default_rng(0))
    found = rules_of(twin, mask(columns, twin.known))
    assert sum(r.violations for r in found) == 0
    assert len(found) > 15


def test_broken_rules_are_counted():
    frame = table()
    twin = fit_twin(seed_of(frame, DESIGN), "gaussian")
    frame = frame.astype({"hotels": float})
    frame["treated"] = (frame["spent"] >= 7).astype(int)
    frame.loc[:5, "treated"] = 1 - frame.loc[:5, "treated"]
    frame.loc[:2, "bill"] += 1.0
    frame.loc[:3, "nights"] = 99
    frame.loc[0, "city"] = "Oz"
    frame.loc[10:11, "hotels"] = 2.5
    columns = coded(twin, {str(n): frame[n].to_numpy() for n in frame}, np.random.default_rng(0))
    found = {r.name: r.violations for r in rules_of(twin, mask(columns, twin.known))}
    assert found["treated = 1[spent >= 7]"] == 6
    assert found["bill = nights * rate"] == 4
    assert found["nights: 1 to 14"] == 4
    assert found["city: only known levels"] == 1
    assert found["hotels: whole numbers"] == 2
    assert found["spent = flights + hotels"] == 2


def test_identities_need_every_row_and_more_than_chance():
    rng = np.random.default_rng(0)
    a, b, c = rng.random((3, 50))
    columns = {"a": a, "b": b, "c": c, "total": a + b + c, "almost": a + b}
    columns["almost"] = columns["almost"].copy()
    columns["almost"][7] += 1e-3
    found = {d.name: d.formula for d in find_identities(columns)}
    assert found == {"total": "a + b + c"}
    assert find_identities({"a": a, "b": b, "c": c}) == ()


def test_a_part_of_the_outcome_is_no_covariate():
    frame = table()
    frame["later"] = frame["y"] - frame["rate"]
    seed = seed_of(frame, DESIGN)
    assert "later" not in seed.design.covariates
    assert any("outcome is a sum" in note for note in seed.notes)


def test_an_outcome_with_few_values_keeps_them_and_its_mean():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 900)
    y = (rng.random(900) < 0.4 + 0.1 * x + 0.2 * (x >= 0)).astype(int)
    frame = pd.DataFrame({"y": y, "x": x})
    twin = fit_twin(seed_of(frame, Design("rd", "y", running="x", cutoff=0.0)), "gaussian")
    from cibench.twins.cross_section import reconstruct
    from cibench.twins.scenario import truths_of

    rows = reconstruct(twin, 400_000, np.random.default_rng(0), 0.2, {})
    assert set(np.unique(rows.columns["y"])) == {0.0, 1.0}
    assert rows.columns["y"].mean() == pytest.approx(y.mean(), abs=0.05)
    (truth,) = truths_of(twin, 0.2).values()
    near = np.abs(rows.columns["x"]) < 0.05
    seen = rows.effects[near].mean()
    error = rows.effects[near].std() / np.sqrt(near.sum())
    assert truth.value == pytest.approx(seen, abs=4 * error + 4 * truth.mcse)


def test_who_is_below_the_cutoff_may_be_the_treated():
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    frame = pd.DataFrame({"x": x, "d": (x < 0.3).astype(int)})
    frame["y"] = x + 2 * frame["d"] + rng.normal(size=800)
    design = Design("rd", "y", treatment="d", running="x", cutoff=0.3, side="below")
    twin = fit_twin(seed_of(frame, design), "gaussian")
    assert twin.structure.effect == pytest.approx(2, abs=4 * twin.structure.se)
    from cibench.twins.cross_section import reconstruct
    from cibench.twins.observed import as_draw, roles_of
    from cibench.twins.scenario import targets_of

    rows = reconstruct(twin, 5000, np.random.default_rng(0), 1.0, {})
    draw, roles = as_draw(twin, rows, targets_of(twin)), roles_of(twin)
    assert np.array_equal(draw.columns["d"] == 1, draw.columns["x"] >= roles.cutoff)
    assert np.array_equal(rows.columns["d"] == 1, rows.columns["x"] < 0.3)
