"""Rows that satisfy a condition, and the truth among them."""

import numpy as np
import pandas as pd
import pytest

from cibench import Estimand, Target
from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.sample import write_sample
from cibench.twins.scenario import truths_of
from cibench.twins.subset import condition, draw_subset, satisfies, subset_truths
from cibench.utils.errors import BadInput

ATE = Target(Estimand.ATE)


@pytest.fixture(scope="module")
def twin():
    rng = np.random.default_rng(18)
    region = rng.choice(["North", "South", "East"], 400, p=[0.2, 0.5, 0.3])
    age = np.where(rng.random(400) < 0.1, np.nan, rng.normal(40, 9, 400))
    d = rng.integers(0, 2, 400)
    y = d + (region == "North") + rng.normal(size=400)
    table = pd.DataFrame({"y": y, "d": d, "region": region, "age": age})
    return fit_twin(seed_of(table, Design("observables", "y", treatment="d")), "gaussian")


def test_so_many_rows_satisfy_the_condition(twin, tmp_path):
    out = tmp_path / "north.csv"
    lines = list(write_sample(twin, 500, 0.5, 1, out, "(region == 'North')*(age > 40)"))
    frame = pd.read_csv(out)
    assert len(frame) == 500 and set(frame.region) == {"North"} and frame.age.min() > 40
    assert lines == ["planted ATE: 0.5", "planted ATT: 0.5"]
    naive = frame.y[frame.d == 1].mean() - frame.y[frame.d == 0].mean()
    assert naive == pytest.approx(0.5, abs=4 * 2 * frame.y.std() / np.sqrt(500))


def test_a_row_without_the_value_satisfies_nothing(twin):
    drawn = draw_subset(twin, 400, 0.0, 1, "age != 0")
    frame = twin.table(drawn)
    assert not np.isnan(frame["age"]).any() and len(frame["age"]) == 400


def test_the_truth_is_that_among_the_rows_drawn(twin):
    """By closed form 2 in the North and 1 elsewhere, where the whole twin has a mixture."""
    effect = "1 + (region == 'North')"
    assert subset_truths(twin, effect, "region == 'North'")[ATE].value == pytest.approx(2)
    assert subset_truths(twin, effect, "region != 'North'")[ATE].value == pytest.approx(1)
    assert 1.1 < truths_of(twin, effect)[ATE].value < 1.4
    mixed = subset_truths(twin, effect, "age > 40")[ATE]
    drawn = draw_subset(twin, 20_000, effect, 3, "age > 40")
    north = np.mean(satisfies(twin, drawn, condition(twin, "region == 'North'")))
    assert mixed.value == pytest.approx(1 + north, abs=4 * np.hypot(mixed.mcse, 0.5 / 141))


def test_whole_units_of_a_panel_are_drawn(twin_of):
    drawn = draw_subset(twin_of("did"), 95, 0.0, 1, "1")
    assert len(drawn["y"]) == 100 and np.array_equal(np.unique(drawn["unit"]), np.arange(1, 11))


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("y > 0", "--where: 'y' is a part of the design"),
        ("d == 1", "--where: 'd' is a part of the design"),
        ("regoin == 'North'", "regoin"),
        ("region == 'Nort'", "North"),
        ("age > 400", "too rare to be drawn"),
        ("__import__('os')", "formula"),
    ],
)
def test_conditions_that_are_none_are_refused_and_nothing_is_written(twin, tmp_path, where, words):
    with pytest.raises(BadInput, match=words):
        list(write_sample(twin, 10, 0.0, 1, tmp_path / "a.csv", where))
    assert not list(tmp_path.iterdir())


def test_at_a_cutoff_the_truth_is_that_of_rows_there(twin_of):
    """The mean of what is above a bound is above it, and that of the rest is not."""
    twin = twin_of("rd")
    name = (twin.design.covariates or ("",))[0]
    (column,) = (c for c in twin.known if c.name == name)
    middle = round((column.low + column.high) / 2, 2)
    above, below = (
        next(iter(subset_truths(twin, f"1*{name}", f"{name} {sign} {middle}").values()))
        for sign in (">", "<=")
    )
    assert above.value > middle >= below.value and 0 < above.mcse < above.value
