"""What may leave: margins smoothed, rare values merged, labels neutral, the effect intact."""

import csv
import io
import json
import re

import numpy as np
import pandas as pd
import pytest

from cibench.challenge.anonymise import released, smoothed
from cibench.challenge.bundle import Wish, make_bundle
from cibench.challenge.disclosure import (
    Limits,
    leaks,
    merged_levels,
    merged_values,
    without_dominant,
)
from cibench.twins.audit.structure_checks import design_checks
from cibench.twins.columns import MISSING
from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.generators.copulas import Margin
from cibench.twins.sample import drawn_from
from cibench.utils.errors import BadInput

DESIGN = Design("observables", "y", treatment="d")


def patients(rows=600, number=8):
    """Draw a seed with a text column that has rare levels, counts, gaps and a sum of columns."""
    rng = np.random.default_rng(number)
    a, b = rng.gamma(2, 10, rows), rng.normal(50, 5, rows)
    visits = rng.poisson(3, rows)
    city = rng.choice(["İzmir", "Ağrı", "Van"], rows, p=[0.6, 0.25, 0.15]).astype(object)
    city[:4], city[4:7] = "Kemer, Muğla", "Oymapınar"
    age = rng.integers(18, 90, rows).astype(float)
    age[10:60] = np.nan
    d = (rng.random(rows) < 1 / (1 + np.exp(-(a - 20) / 20 - (city == "Van")))).astype(int)
    y = a + 2 * visits + 5 * d + 10 * (city == "Van") + rng.normal(0, 8, rows)
    columns = {"y": y, "d": d, "a": a, "b": b, "total": a + b, "visits": visits, "city": city}
    return pd.DataFrame({**columns, "age": age})


@pytest.fixture(scope="module")
def given():
    """Return the seed table, the seed, a twin and a bundle of it."""
    frame = patients()
    seed = seed_of(frame, DESIGN, "patients.csv")
    twin = fit_twin(seed, "gaussian")
    wish = Wish((0.0, 12.5, -3.25), 6, 900, Limits())
    return frame, seed, twin, make_bundle(twin, wish, "out")


def tables(bundle):
    return [pd.read_csv(io.StringIO(t)) for n, t in bundle.files.items() if n.startswith("data/")]


def test_a_smoothed_margin_runs_through_means_of_as_many_rows():
    x = np.sort(np.random.default_rng(1).lognormal(0, 1, 500))
    made = smoothed(Margin.of(x, discrete=False), 500, 10)
    means = x.reshape(50, 10).mean(axis=1)
    gaps = np.array([np.diff(block).max() for block in x.reshape(50, 10)])
    found = made.quantile((np.arange(50) + 0.5) / 50)[1:-1]
    assert np.all(np.abs(found - means[1:-1]) <= gaps[1:-1] + 1e-3)
    low, high = made.quantile(np.array([0.0, 1.0]))
    assert abs(low - means[0]) < gaps[0] and abs(high - means[-1]) < gaps[-1]
    assert x[0] < low and high < x[-1]
    kept = smoothed(Margin.of(x, discrete=False), 500, 10, keep_ends=True)
    assert kept.values[0] == x[0] and kept.values[-1] == x[-1]


def test_a_heap_of_equal_values_stays_a_heap():
    x = np.r_[np.zeros(300), np.random.default_rng(2).exponential(1, 200)]
    made = smoothed(Margin.of(x, discrete=False), 500, 10)
    drawn = made.quantile(np.linspace(0.001, 0.999, 999))
    assert np.mean(drawn == 0) == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize(("values", "counts", "made"), [
    ([0, 1, 2, 3, 9], [50, 40, 3, 2, 1], [0, 1, 1, 1, 1]),
    ([0, 1, 2], [3, 40, 20], [1, 1, 2]),
    ([1, 2, 3, 4], [5, 5, 5, 5], [2, 2, 4, 4]),  # means 1.5 and 3.5, rounded to even
    ([0.5, 1.5, 2.5], [4, 4, 4], [1.5, 1.5, 1.5]),
])  # fmt: skip
def test_rare_values_go_where_ten_rows_are(values, counts, made):
    found = merged_values(np.array(values, float), np.array(counts, float), 10)
    assert np.allclose(found, made)


def test_rare_levels_become_one():
    codes = np.arange(5)
    counts = np.array([50.0, 4, 30, 7, 9])
    assert merged_levels(codes, counts, 10, 5).tolist() == [0, 4, 2, 4, 4]
    # two rare rows alone are too few: the rarest of the others joins them
    assert merged_levels(codes, np.array([50.0, 2, 30, 60, 70]), 10, 5).tolist() == [0, 2, 2, 3, 4]


def test_nothing_of_the_original_rows_leaves(given):
    frame, seed, _, bundle = given
    drawn = pd.concat(tables(bundle))
    assert list(drawn.columns) == list(frame.columns)[:2] + [
        n for n in frame.columns[2:] if n in drawn.columns
    ]
    for name in ("a", "b", "age", "total"):
        assert drawn[name].min() != frame[name].min() and drawn[name].max() != frame[name].max()
    for name in ("a", "b", "age"):
        assert frame[name].min() < drawn[name].min() and drawn[name].max() < frame[name].max()
    counts = frame["visits"].value_counts()
    assert set(drawn["visits"]) == set(counts.index[counts >= 10])
    assert len(counts[counts < 10])  # or there is nothing to see
    everything = "".join(bundle.files.values())
    for label in frame["city"].unique():
        assert label not in everything
    assert set(drawn["city"]) <= {f"level {i}" for i in range(1, 6)}
    share = drawn["city"].value_counts(normalize=True)
    assert len(share) == 3 and share.min() > 10 / 600  # seven rows were too few by themselves
    assert not len(drawn.merge(frame.drop(columns=["city"])))
    assert leaks(bundle.files, frame, seed, Limits()) == []


def test_rules_hold_in_what_leaves(given):
    for table in tables(given[3]):
        assert np.allclose(table["a"] + table["b"], table["total"], atol=1e-9)
        assert set(table["d"]) == {0, 1} and table["age"].isna().mean() == pytest.approx(
            50 / 600, abs=0.06
        )
        whole = table["age"].dropna()
        assert np.array_equal(whole, np.rint(whole))
    rows = list(csv.DictReader(io.StringIO(given[3].files["data/dataset-01.csv"])))
    assert all(r["age"].isdigit() or not r["age"] for r in rows)


def test_a_column_that_is_allowed_keeps_labels_and_extremes(given):
    frame, seed, twin, _ = given
    limits = Limits(10, frozenset({"city", "a"}))
    bundle = make_bundle(twin, Wish((0.0, 12.5), 2, 20_000, limits), "out")
    drawn = pd.concat(tables(bundle))
    assert set(drawn["city"]) == set(frame["city"])
    assert drawn["a"].max() > np.sort(frame["a"])[-5] and "city" not in bundle.released.labels
    assert leaks(bundle.files, frame, seed, limits) == []
    assert any("label" in line for line in leaks(bundle.files, frame, seed, Limits()))


def test_leaks_that_are_planted_are_found(given):
    frame, seed, _, bundle = given
    name = "data/dataset-01.csv"
    clean = tables(bundle)[0]

    def told(change):
        files = {**bundle.files, name: change(clean.copy()).to_csv(index=False)}
        return leaks(files, frame, seed, Limits())

    assert told(lambda t: t) == []
    extreme = told(lambda t: t.assign(a=np.r_[frame["a"].max(), t["a"][1:]]))
    assert extreme == [f"a: its real maximum {frame['a'].max():g} stands in the data"]
    rare = int(frame["visits"].max())
    count = int((frame["visits"] == rare).sum())
    found = told(lambda t: t.assign(visits=np.r_[rare, t["visits"][1:]]))
    assert found == [f"visits: {rare}, which {count} seed rows have, stands in the data"]
    assert "1 drawn rows are rows of the seed" in told(
        lambda t: pd.concat([t, frame[t.columns].iloc[[100]]])
    )


def test_everything_else_says_nothing_of_the_effects(given):
    _, _, twin, bundle = given
    papers = {n: t for n, t in bundle.files.items() if not n.startswith("data/")}
    text = "".join(papers.values())
    for secret in ("12.5", "3.25", bundle.owner.provenance["secret"], twin.digest, "patients",
                   *(d.nonce for d in bundle.owner.datasets)):  # fmt: skip
        assert secret not in text and secret[:12] not in text
    assert not re.search(r"\b600\b", text)  # nor how many rows the seed has
    digits = []
    for table in bundle.files.values():
        if table.startswith("y,"):
            rows = [line.split(",") for line in table.splitlines()[1:]]
            digits.append([
                max(len(r[k].partition(".")[2]) for r in rows) for k in range(3)
            ])  # fmt: skip
    assert len({tuple(d) for d in digits}) == 1 and len(digits) == 6


def test_data_sets_share_no_noise(given):
    columns = [t["a"].to_numpy() for t in tables(given[3])]
    shared = [abs(np.corrcoef(p, q)[0, 1]) for i, p in enumerate(columns) for q in columns[:i]]
    assert max(shared) < 4.5 / np.sqrt(900)
    schema = json.loads(given[3].files["schema.json"])
    assert [c["name"] for c in schema["columns"]] == list(tables(given[3])[0].columns)


@pytest.mark.parametrize("name", ["rd", "fuzzy", "observables", "iv", "did"])
def test_what_leaves_has_the_planted_effect_and_no_other_tie(twin_of, name):
    twin = twin_of(name)
    rng = np.random.default_rng(11)
    made = released(twin, Limits(), rng).twin
    rows = drawn_from(made, 40_000, 3.0, rng)
    columns = {n: c for n, c in rows.columns.items() if not n.startswith(MISSING)}
    felt = 3.0 * columns[made.treatment]
    for check in design_checks(made, columns, felt):
        if check.kind in ("effect", "residual", "calibration", "take-up"):
            beyond = max(abs(check.discrepancy) - check.margin / 2, 0) / check.se
            assert beyond < 4, check


@pytest.mark.parametrize("family", ["resampling", "trees"])
def test_generators_that_hold_rows_are_refused(twin_of, family):
    with pytest.raises(BadInput, match=f"generator '{family}' draws values of the seed's own rows"):
        make_bundle(twin_of("observables", family), Wish(), "out")


@pytest.mark.parametrize(("limits", "words"), [
    (Limits(2), "--cell: 2 is too few rows; 3 is the least"),
    (Limits(300), "--cell: 300 is too many for a seed of 800 units"),
    (Limits(10, frozenset({"bb"})), "--allow: no column named 'bb'"),
])  # fmt: skip
def test_limits_that_are_none(twin_of, limits, words):
    with pytest.raises(BadInput, match=words):
        limits.check(twin_of("observables"))


def test_rare_periods_of_adoption_move_to_others(seeds):
    make, design = seeds["did"]
    frame = make(120, 6)
    first = frame["year"].where(frame["d"] == 1).groupby(frame["unit"]).min()
    early = first.index[first == 2004]
    twin = fit_twin(seed_of(frame[~frame["unit"].isin(early[12:])], design), "gaussian")
    assert released(twin, Limits(6), np.random.default_rng(1)).notes == ()
    few = released(twin, Limits(20), np.random.default_rng(1))
    assert few.notes[-1] == "periods of adoption: 2 are merged into 1"
    rows = drawn_from(few.twin, 5000, 1.0, np.random.default_rng(2)).columns
    assert set(rows["cohort"]) == {0, 2007}
    adopted = rows["year"] >= np.where(rows["cohort"] > 0, rows["cohort"], np.inf)
    assert np.array_equal(rows["d"], adopted)


def test_a_few_missing_values_are_not_told(seeds):
    frame = patients()
    frame.loc[np.arange(10, 60), "age"] = 40
    frame.loc[:5, "b"] = np.nan
    frame["total"] = 0.0
    twin = fit_twin(seed_of(frame, DESIGN), "gaussian")
    bundle = make_bundle(twin, Wish((0.0, 12.5), 2), "out")
    assert not any(c["missing"] for c in json.loads(bundle.files["schema.json"])["columns"])
    assert not pd.concat(tables(bundle)).isna().any().any()
    assert len(tables(bundle)[0]) == 600 and "may be missing" not in bundle.files["README.md"]


# ---- dominance -------------------------------------------------------------------------------


LARGE = 99_999.99


def recovered(ends, cell=10):
    """Return what an outsider makes of the outermost mean: nine rows are as their neighbours."""
    return cell * ends[-1] - (cell - 1) * ends[-2]


@pytest.mark.parametrize("rows", [600, 5_000])  # one quantile a row, and fewer of them than rows
@pytest.mark.parametrize("sign", [1, -1])
def test_a_dominant_row_sets_no_end(rows, sign):
    """By hand: ten rows, nine near 100, tell their mean times ten less nine times 100."""
    rest = np.random.default_rng(1).gamma(9, 11, rows - 1)
    margins = [
        smoothed(Margin.of(np.sort(sign * np.r_[rest, top]), discrete=False), rows, 10)
        for top in (LARGE, 0.5 * LARGE, 7 * LARGE)
    ]
    for margin in margins:  # whatever it is, the same leaves
        assert np.allclose(margin.values, margins[0].values, rtol=1e-9, atol=0)  # but for rounding
    ends = np.sort(sign * np.quantile(sign * margins[0].values, [0.99, 1.0]))
    assert abs(recovered(np.abs(ends))) < 0.02 * LARGE
    assert np.abs(margins[0].values).max() < 1.5 * rest.max()


@pytest.mark.parametrize("step", [1.0, 0.01])  # whole numbers are groups of rows, others quantiles
def test_a_real_maximum_cannot_be_computed_from_what_leaves(step):
    """Nine rows near 100 and one of 99,999.99 (T.7): from their mean it was known to 2 %."""
    frame = patients()
    rng = np.random.default_rng(4)
    values = np.unique(np.round(rng.gamma(9, 1100 if step == 1 else 11, 3000) / step) * step)
    frame["revenue"] = rng.permutation(rng.choice(values, 600, replace=False))
    tops = []
    for top in (LARGE, 0.6 * LARGE):
        frame.loc[17, "revenue"] = np.round(10 * top if step == 1 else top, 0 if step == 1 else 2)
        twin = fit_twin(seed_of(frame, DESIGN), "gaussian")
        out = released(twin, Limits(), np.random.default_rng(1))
        margins = out.twin.generator.margins
        tops.append(margins.margins[margins.names.index("revenue")].values)
        assert tops[-1].max() < 1.5 * frame["revenue"].nlargest(2).iloc[1]
        if step < 1:
            assert any(note.startswith("revenue: in 1 means one row") for note in out.notes)
    assert np.allclose(np.unique(tops[0]), np.unique(tops[1]), rtol=1e-9, atol=0)


def test_the_second_of_two_large_rows_is_no_more_told_than_the_first():
    rng = np.random.default_rng(2)
    rest = rng.normal(100, 5, (3, 8))
    large = np.array([[LARGE, LARGE + 1], [5000, LARGE], [101, LARGE]])
    blocks = np.sort(np.hstack([rest, large]), axis=1)
    for block in blocks:
        capped = without_dominant(block[None, :])[0]
        above = capped - capped[0]
        assert above[-1] <= above[:-1].sum() * (1 + 1e-12)
        assert above[-2] <= above[:-2].sum() * (1 + 1e-12)
        assert np.all(np.diff(capped) >= 0) and np.allclose(capped[:8], block[:8], rtol=1e-12)


@pytest.mark.parametrize("law", ["normal", "exponential", "uniform"])
def test_what_no_row_dominates_stays_as_it_is(law):
    x = np.sort(getattr(np.random.default_rng(3), law)(size=(400)))
    blocks = x.reshape(40, 10)
    assert np.allclose(without_dominant(blocks), blocks, atol=1e-12)


def test_groups_of_rare_values_have_no_dominant_row():
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 1000])
    found = [merged_values(np.r_[values[:-1], top], np.ones(10), 10)[0] for top in (1000, 5e6)]
    # measured from 1 the others come to 36 together, so the largest counts as 37
    assert found == [np.rint((1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 37) / 10)] * 2
