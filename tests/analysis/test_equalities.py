"""Whether methods agree that a suite states to be equal: planted differences, and what is none."""

from math import inf, isfinite, isnan, nan
from statistics import NormalDist

import numpy as np
import pytest
from replicates import joined, replicate_table

from cibench.analysis import judge_equalities
from cibench.analysis.equalities import compare
from cibench.suite.equalities import GIVEN_BY
from cibench.utils.errors import BadInput

ALL = ["estimate", "std_error", "limits"]
CATALOGUE = {
    "estimators": {
        f"test/{name}": {"kind": "estimate", "gives": ["value", "se", "limits"], "options": {}}
        for name in "abc"
    }
}
R = 40


def judged(first, second, *, other=None, **statement):
    """Judge test/a against test/b, whose replicates the two mappings describe."""
    rows = joined(
        *(replicate_table(estimator=f"test/{n}", **part)
          for n, part in (("a", first), ("b", second), *(((("c", other)),) if other else ())))
    )  # fmt: skip
    stated = {"methods": ["test/a", "test/b"], **statement}
    return judge_equalities(rows, CATALOGUE, {"equal": [stated]})


def only(table):
    [line] = table.to_dict("records")
    return line


def drawn(seed=0, rows=R):
    return np.random.default_rng(seed).normal(2, 1, rows)


def test_a_difference_in_3_of_40_is_counted_with_the_first_and_the_greatest():
    value = drawn()
    moved = value.copy()
    moved[[7, 19, 33]] += [0.02, -0.6, 0.1]
    line = only(
        judged({"estimate": value, "std_error": 2.0}, {"estimate": moved, "std_error": 3.0})
    )
    assert (line["verdict"], line["compared"], line["differing"]) == ("differs", R, 3)
    assert (line["replicates"], line["first"], line["answered_by_one"]) == (R, 7, 0)
    assert line["greatest"] == pytest.approx(0.6 / 2)  # of the smaller standard error
    assert line["difference"] == pytest.approx(0.6)


def test_the_tolerance_is_in_standard_errors_and_counts_itself_as_equal():
    line = {"first": {"estimate": np.ones(R)}, "second": {"estimate": np.full(R, 1.25)}}
    assert only(judged(**line, within=0.25))["verdict"] == "equal"
    assert only(judged(**line, within=0.2499))["differing"] == R


def test_methods_that_differ_in_their_errors_alone_are_equal_in_their_estimates():
    value = drawn()
    errors = np.where(np.arange(R) == 5, 1.1, 1.0)
    table = judged({"estimate": value}, {"estimate": value, "std_error": errors}, of=ALL)
    by = table.set_index("quantity")
    assert by["verdict"].to_dict() == {
        "estimate": "equal", "std_error": "differs", "limits": "differs",
    }  # fmt: skip
    assert by.loc["std_error", ["differing", "first", "greatest"]].tolist() == [
        1, 5, pytest.approx(0.1),
    ]  # fmt: skip
    assert by.loc["limits", "greatest"] == pytest.approx(0.1 * 1.959963984540054)


def test_what_one_alone_answers_is_a_difference_of_its_own_and_a_decline_is_none():
    value, status = drawn(), np.full(R, "ok", dtype=object)
    status[[3, 8]], status[11] = "failed", "declined"
    other = np.full(R, "ok", dtype=object)
    other[[8, 20]] = "timeout"
    plain = {"estimate": value, "blank": True}
    line = only(judged({**plain, "status": status}, {**plain, "status": other}))
    counts = ("compared", "differing", "answered_by_one", "answered_by_none", "declined", "first")
    assert [line[name] for name in counts] == [R - 4, 0, 2, 1, 1, 3]
    assert line["verdict"] == "answered by one only"
    declined = np.where(np.arange(R) < 30, "declined", "ok")
    line = only(judged({**plain, "status": declined}, plain))
    assert (line["verdict"], line["compared"], line["declined"]) == ("equal", 10, 30)
    line = only(judged({**plain, "status": "declined"}, plain))
    assert (line["verdict"], line["compared"], line["first"]) == ("nothing to compare", 0, None)
    line = only(judged({**plain, "status": "failed"}, {**plain, "status": "crashed"}))
    assert (line["verdict"], line["answered_by_none"]) == ("nothing to compare", R)


def test_a_number_that_one_leaves_out_of_its_answer_counts_as_not_answered():
    value = drawn()
    errors = np.where(np.arange(R) == 4, nan, 1.0)
    line = only(
        judged({"estimate": value}, {"estimate": value, "std_error": errors}, of="std_error")
    )
    assert (line["compared"], line["answered_by_one"], line["first"]) == (R - 1, 1, 4)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e8])
def test_rounding_is_no_difference_without_noise_and_real_differences_are_in_any_unit(unit):
    rng = np.random.default_rng(1)
    exact = unit * np.full(R, 2.0)
    noise = unit * 1e-15 * rng.normal(size=R)
    tiny = {"std_error": unit * 1e-16 * rng.random(R), "truth": 2 * unit}
    none = {"std_error": 0.0, "truth": 2 * unit}
    for part in (tiny, none):
        table = judged({"estimate": exact, **part}, {"estimate": exact + noise, **part}, of=ALL)
        assert set(table["verdict"]) == {"equal"}
        moved = exact + unit * 1e-6 * (np.arange(R) == 2)
        line = only(judged({"estimate": exact, **part}, {"estimate": moved, **part}))
        assert (line["differing"], line["first"]) == (1, 2)


@pytest.mark.parametrize("size", [1.0, 1e5, 1e8, 1e10])
@pytest.mark.parametrize("apart", [0.5, 1e-2])
def test_a_large_truth_hides_no_difference_that_doubles_resolve(size, apart):
    """Half a standard error in each data set was none beside a truth of 10^10."""
    value = size + drawn()
    line = only(judged({"estimate": value, "std_error": 1.0, "truth": size},
                       {"estimate": value + apart, "std_error": 1.0, "truth": size}))  # fmt: skip
    assert (line["verdict"], line["differing"]) == ("differs", R)
    assert line["greatest"] == pytest.approx(apart, rel=1e-3 if size < 1e9 else 1e-2)
    rounded = value * (1 + 4e-15)
    line = only(judged({"estimate": value, "std_error": 1.0, "truth": size},
                       {"estimate": rounded, "std_error": 1.0, "truth": size}))  # fmt: skip
    assert line["verdict"] == "equal"


def test_zeros_that_were_computed_are_equal_and_a_zero_is_not_a_small_effect():
    rng = np.random.default_rng(2)
    zeros = [{"estimate": 1e-16 * rng.normal(size=R), "std_error": 1e-17, "truth": 0.0}
             for _ in range(2)]  # fmt: skip
    assert only(judged(*zeros))["verdict"] == "equal"
    small = {"estimate": np.full(R, 1e-9), "std_error": 1e-10, "truth": 0.0}
    assert only(judged(zeros[0], small))["differing"] == R


def test_infinite_and_empty_sets_are_equal_to_themselves_alone():
    low = np.array([-inf, -inf, inf, 0.0, 0.0, -inf])
    high = np.array([inf, 1.0, -inf, 1.0, 1.0, 1.0])
    outside = np.array([False, False, False, True, True, False])
    sets = {"ci_low": low, "ci_high": high, "outside": outside, "std_error": nan}
    line = only(judged(sets, sets, of="limits"))
    assert (line["verdict"], line["compared"]) == ("equal", 6)
    other = dict(sets, ci_high=np.array([inf, inf, -inf, 1.0, 1.0, 1.0]),
                 outside=np.array([False, False, False, True, False, False]))  # fmt: skip
    line = only(judged(sets, other, of="limits"))
    assert (line["differing"], line["first"], line["greatest"]) == (2, 1, inf)


def test_an_estimate_is_looked_for_inside_the_others_set_bounded_or_not():
    #                within  below  rays-in  rays-out  all   empty
    low = np.array([0.0, 2.0, 2.0, 0.5, -inf, inf])
    high = np.array([2.0, 3.0, 3.0, 3.0, inf, -inf])
    outside = np.array([False, False, True, True, False, False])
    sets = {"ci_low": low, "ci_high": high, "outside": outside, "std_error": nan}
    value = {"estimate": np.ones(6), "std_error": 0.5, "ci_low": nan, "ci_high": nan}
    catalogue = {"estimators": {
        "test/a": {"kind": "estimate", "gives": ["limits"]},
        "test/b": {"kind": "estimate", "gives": ["value", "se"]},
    }}  # fmt: skip
    rows = joined(*(replicate_table(estimator=n, **part) for n, part in
                    (("test/a", sets), ("test/b", value))))  # fmt: skip
    stated = {"methods": ["test/a", "test/b"], "of": "inside", "within": 0.5}
    line = only(judge_equalities(rows, catalogue, {"equal": stated}))
    assert (line["compared"], line["differing"], line["first"]) == (6, 3, 1)
    assert line["greatest"] == inf  # an empty set holds nothing
    mild = only(judge_equalities(rows[rows["replicate"] < 4], catalogue, {"equal": stated}))
    assert mild["greatest"] == pytest.approx(1.0 / 0.5)


def test_p_values_count_as_they_are_and_statistics_relative_to_their_size():
    value = drawn()
    catalogue = {"estimators": {f"test/{n}": {"kind": "diagnostic", "gives": []} for n in "ab"}}
    parts = [{"p_value": 0.2, "statistic": 50.0}, {"p_value": 0.23, "statistic": 51.0}]
    rows = joined(*(replicate_table(value * nan, estimator=f"test/{n}", kind="diagnostic",
                                    estimand=None, **part)
                    for n, part in zip("ab", parts, strict=True)))  # fmt: skip
    stated = {"methods": ["test/a", "test/b"], "of": ["p_value", "statistic"], "within": 0.025}
    table = judge_equalities(rows, catalogue, {"equal": [stated]}).set_index("quantity")
    assert table["greatest"].to_dict() == {
        "p_value": pytest.approx(0.03), "statistic": pytest.approx(1 / 51),
    }  # fmt: skip
    assert table["verdict"].to_dict() == {"p_value": "differs", "statistic": "equal"}
    plain = judge_equalities(rows, catalogue, {"equal": [["test/a", "test/b"]]})
    assert plain["quantity"].tolist() == ["p_value"]


def test_without_standard_errors_distances_count_in_limits_then_in_the_spread_of_errors():
    value = drawn()
    z = NormalDist().inv_cdf(0.975)
    sets = {"std_error": nan, "ci_low": value - 4 * z, "ci_high": value + 4 * z}
    line = only(judged({"estimate": value, **sets}, {"estimate": value + 1, **sets}))
    assert line["greatest"] == pytest.approx(1 / 4)
    bare = {"std_error": nan, "ci_low": nan, "ci_high": nan}
    line = only(judged({"estimate": value, **bare}, {"estimate": 3 * value + 1, **bare}))
    assert line["greatest"] == pytest.approx(np.abs(2 * value + 1).max() / value.std())


def test_a_list_compares_each_with_each_once_in_whatever_order_it_stands():
    value = drawn()
    rows = joined(*(replicate_table(value + k, estimator=f"test/{n}")
                    for k, n in enumerate("abc")))  # fmt: skip
    names = [f"test/{n}" for n in "cab"]
    twice = {"equal": [names, names[::-1], ["test/*"], {"methods": names[:2], "within": 0.1}]}
    table = judge_equalities(rows, CATALOGUE, twice)
    pairs = [tuple(pair) for pair in table[["estimator", "other"]].to_numpy()]
    assert pairs == [("test/c", "test/a"), ("test/c", "test/b"), ("test/a", "test/b"),
                     ("test/c", "test/a")]  # fmt: skip
    assert table["within"].tolist() == [1e-6, 1e-6, 1e-6, 0.1]


def test_other_targets_cells_and_options_are_not_compared_with_each_other():
    value = drawn()
    rows = joined(
        replicate_table(value, estimator="test/a"),
        replicate_table(value, estimator="test/a", horizon=1),
        replicate_table(value, estimator="test/b", estimand="ATT"),
        replicate_table(value, estimator="test/b", horizon=2),
        replicate_table(value, estimator="test/b", n=50),
        replicate_table(value, estimator="test/b", level=0.9),
        replicate_table(value, estimator="test/a", options='{"k": 1}'),
    )
    pair = {"equal": [["test/a", "test/b"]]}
    assert judge_equalities(rows, CATALOGUE, pair).empty
    rows = joined(rows, replicate_table(value + 1, estimator="test/b"))
    both = judge_equalities(rows, CATALOGUE, pair)
    assert both["options"].tolist() == ["{}", '{"k": 1}']
    cell = {"scenario": "test/cell", "n": 100, "estimators": ["test/*"], **pair}
    catalogue = {**CATALOGUE, "scenarios": {"test/cell": {"dials": {}, "parameters": {}}}}
    for options, wanted in (({}, "{}"), ({"test/a": {"k": 1}}, '{"k": 1}')):
        table = judge_equalities(rows, catalogue, {"cells": [{**cell, "options": options}]})
        assert table["options"].tolist() == [wanted]
    assert judge_equalities(rows, catalogue, {"cells": [{**cell, "n": 70}]}).empty


def test_replicates_that_one_has_no_row_of_are_left_out_and_refits_too():
    value = drawn()
    rows = joined(
        replicate_table(value, estimator="test/a"),
        replicate_table(value[:30], estimator="test/b"),
        replicate_table(value[:30] + 1, estimator="test/b", refit=1),
    )
    line = only(judge_equalities(rows, CATALOGUE, {"equal": [["test/a", "test/b"]]}))
    assert (line["replicates"], line["compared"], line["verdict"]) == (30, 30, "equal")


def test_rows_without_a_column_are_refused_and_a_suite_without_equalities_is_not_looked_at():
    rows = replicate_table(drawn()).drop(columns="estimate")
    with pytest.raises(BadInput, match="estimate"):
        judge_equalities(rows, CATALOGUE, {"equal": [["test/a", "test/b"]]})
    assert judge_equalities(replicate_table(drawn()), CATALOGUE, {}).empty


NUMBERS = ("estimate", "std_error", "ci_low", "ci_high")


def random_part(rng, base):
    """Return rows near others, with everything in them that may go wrong."""
    part = {name: base[name] + rng.choice([0, 0, 1e-13, 0.3], R) for name in NUMBERS}
    for name in NUMBERS:
        part[name] = np.where(rng.random(R) < 0.1, rng.choice([nan, inf, -inf, 0.0], R), part[name])
    part["outside"] = rng.random(R) < 0.1
    part["status"] = rng.choice(["ok"] * 7 + ["failed", "declined", "timeout"], R)
    return part


def by_hand(a, b, of):
    """Return compared, differing, by one, by none and declined, replicate by replicate."""
    names = {"estimate": ("estimate",), "std_error": ("std_error",),
             "limits": ("ci_low", "ci_high")}[of]  # fmt: skip
    counts = dict.fromkeys(("compared", "differing", "by_one", "by_none", "declined"), 0)
    for i in range(R):
        has = [s["status"][i] == "ok" and not any(isnan(s[n][i]) for n in names) for s in (a, b)]
        if not all(has):
            tried = "declined" not in (a["status"][i], b["status"][i])
            kind = ("by_one" if any(has) else "by_none") if tried else "declined"
            counts[kind] += 1
            continue
        counts["compared"] += 1
        errors = [s["std_error"][i] for s in (a, b)]
        errors = [e for e in errors if isfinite(e) and e > 0]
        beside = [s[n][i] for s in (a, b) for n in ("estimate", *names)]
        size = max([abs(x) for x in beside if isfinite(x)], default=0.0)
        size = max(size, 2.0)  # the truth
        apart = a["outside"][i] != b["outside"][i] if of == "limits" else False
        for n in names:
            x, y = a[n][i], b[n][i]
            if x != y and not abs(x - y) <= 1e-10 * size:
                unit = min(errors) if errors else nan
                apart |= not abs(x - y) <= 0.1 * unit if errors else True
        counts["differing"] += bool(apart)
    return counts


@pytest.mark.parametrize("of", ALL)
def test_random_rows_are_judged_as_by_hand_and_alike_from_either_side(of):
    rng, seen = np.random.default_rng(3), set()
    for _ in range(60):
        value = rng.normal(2, 1, R)
        base = {"estimate": value, "std_error": np.full(R, 0.5),
                "ci_low": value - 1, "ci_high": value + 1}  # fmt: skip
        a, b = random_part(rng, base), random_part(rng, base)
        usable = [
            i for i in range(R)
            if any(isfinite(s["std_error"][i]) and s["std_error"][i] > 0 for s in (a, b))
        ]  # fmt: skip
        for i in set(range(R)) - set(usable):  # which unit stands in is tested above
            a["status"][i] = b["status"][i] = "failed"
        with np.errstate(invalid="ignore"):  # in making the rows
            one, other = (only(judged(*pair, of=of, within=0.1)) for pair in ((a, b), (b, a)))
        counts = by_hand(a, b, of)
        kept = ("compared", "differing", "answered_by_one", "answered_by_none", "declined")
        assert [one[name] for name in kept] == list(counts.values())
        for name in (*kept, "verdict", "greatest", "difference", "first"):
            assert one[name] == other[name] or one[name] is other[name] or isnan(one[name]), name
        seen.add(one["verdict"])
    assert "differs" in seen


def test_no_distance_depends_on_the_unit_of_the_outcome():
    rng = np.random.default_rng(4)
    groups = []
    for _ in range(2):
        value = rng.normal(1, 1, R)
        groups.append({
            "replicate": np.arange(R), "ok": np.ones(R, bool), "declined": np.zeros(R, bool),
            "estimate": value, "std_error": 1 + rng.random(R), "truth": np.ones(R),
            "ci_low": value - 2, "ci_high": value + 2, "outside": np.zeros(R),
        })  # fmt: skip
    for of in (*ALL, "inside"):
        plain = compare(*groups, of, 0.95).away
        scaled = [
            {n: c * (1000.0 if n in (*NUMBERS, "truth") else 1) for n, c in g.items()}
            for g in groups
        ]
        np.testing.assert_allclose(compare(*scaled, of, 0.95).away, plain, rtol=1e-12)
        assert plain.max() > 0
    assert set(GIVEN_BY) >= {*ALL}
