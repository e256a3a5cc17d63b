import numpy as np
import pyarrow as pa
import pytest

from cibench.gate.comparison import NO_MOMENTS, RANDOM, compare
from cibench.gate.pairing import as_table
from cibench.gate.rules import MEASURES, ChangeVerdict, Rules
from cibench.utils.errors import BadInput


def only(found):
    (cell,) = found.cells
    return cell, {one.name: one for one in cell.measures}


def column(table, name, values):
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values))


def test_the_same_rows_are_identical(table, normal):
    cell, _ = only(compare(table(*normal), table(*normal)))
    assert cell.verdict is ChangeVerdict.IDENTICAL
    assert cell.changes.share(0.0) == 0


def test_the_order_of_rows_does_not_matter(table, normal):
    rows = table(*normal)
    mixed = rows.take(np.random.default_rng(1).permutation(rows.num_rows))
    assert compare(rows, mixed).verdict is ChangeVerdict.IDENTICAL


@pytest.mark.parametrize(
    ("size", "verdict"), [(4e-7, ChangeVerdict.IDENTICAL), (3e-3, ChangeVerdict.NUMERICALLY)]
)
def test_a_harmless_release_is_identical_and_an_intended_one_changes_numbers(
    table, normal, size, verdict
):
    t, s = normal
    found = compare(table(t, s), table(t + size * s, s))
    assert (found.verdict, found.exit_code) == (verdict, 0)
    assert only(found)[0].changes.largest.max() == pytest.approx(size)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_standard_errors_off_by_a_tenth_are_seen_by_ratio_and_size(table, normal, factor):
    t, s = normal
    found = compare(table(t, s), table(t, factor * s))
    _, measures = only(found)
    assert found.exit_code == 1
    for name in ("std_error", "se_ratio", "length"):
        assert measures[name].difference == pytest.approx(factor - 1)
        assert measures[name].changed
    assert not measures["estimate"].changed


def test_the_mean_difference_and_its_error_are_told_in_empirical_standard_errors(table, normal):
    t, s = normal
    moved = t + 0.15 * t.std(ddof=1) + 0.1 * np.random.default_rng(2).normal(size=t.size)
    _, measures = only(compare(table(t, s), table(moved, s)))
    one = measures["estimate"]
    assert one.difference == pytest.approx((moved - t).mean() / t.std(ddof=1))
    plain = (moved - t).std(ddof=1) / t.std(ddof=1) / np.sqrt(t.size)
    of_spread = one.difference / np.sqrt(2 * t.size)  # what a normal law's spread errs by
    assert one.error == pytest.approx(np.hypot(plain, of_spread), rel=0.05)
    assert one.verdict is ChangeVerdict.STATISTICALLY


def test_a_bias_beyond_doubt_that_grows_is_worse_and_one_that_shrinks_better(table, normal):
    t, s = normal
    small, large = table(t + 0.5, s), table(t + 0.7, s)
    worse, better = compare(small, large), compare(large, small)
    assert (worse.verdict, worse.exit_code) == (ChangeVerdict.WORSE, 1)
    assert (better.verdict, better.exit_code) == (ChangeVerdict.BETTER, 0)


def test_a_bias_whose_sign_is_not_known_is_neither(table, normal):
    t, s = normal
    _, measures = only(compare(table(t, s), table(t + 0.12, s)))
    assert measures["bias"].verdict is ChangeVerdict.STATISTICALLY
    low, high = measures["bias"].loss
    assert low < 0.05 < high


def test_a_truth_that_errs_leaves_the_sign_of_a_bias_open(table, normal):
    t, s = normal
    _, sure = only(compare(table(t + 0.5, s), table(t + 0.7, s)))
    _, unsure = only(compare(*(table(t + b, s, truth_mcse=0.3) for b in (0.5, 0.7))))
    assert sure["bias"].verdict is ChangeVerdict.WORSE
    assert unsure["bias"].verdict is ChangeVerdict.STATISTICALLY
    assert unsure["bias"].loss[0] < 0 < unsure["bias"].loss[1]


@pytest.mark.parametrize("order", [1, -1])
def test_coverages_that_a_shift_of_a_truth_that_errs_makes_equal_are_neither_better_nor_worse(
    table, order
):
    rng = np.random.default_rng(5)
    t, s = rng.normal(size=4_000), np.ones(4_000)
    # Both sides lie 0.3 off, to either side of the real truth, so that they cover it alike; as
    # stated the truth is 0.3 less, where one of them is centred and the other 0.6 off.
    sides = (t, t + 0.6)[::order]
    sure, unsure = (
        only(compare(*(table(side, s, truth_mcse=error) for side in sides)))[1]["coverage"]
        for error in (0.0, 0.3)
    )
    assert sure.verdict is (ChangeVerdict.WORSE if order == 1 else ChangeVerdict.BETTER)
    assert unsure.verdict not in {ChangeVerdict.WORSE, ChangeVerdict.BETTER}
    assert unsure.low < 0 < unsure.high
    assert unsure.difference == sure.difference and unsure.error > sure.error


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("ends", [(-9.0, 9.0), (3.0, 4.0)])
def test_a_truth_that_errs_moves_no_coverage_that_is_the_same_at_its_ends(table, paired, ends):
    t, s = np.random.default_rng(6).normal(size=600), np.ones(600)
    low, high = (np.full(600, end) for end in ends)
    rows = [table(t, s, truth_mcse=e, ci_low=low, ci_high=high) for e in (0.0, 0.1)]
    sure, unsure = (only(compare(each, each, paired=paired))[1]["coverage"] for each in rows)
    assert (unsure.low, unsure.high, unsure.error) == (sure.low, sure.high, sure.error)


def test_coverage_beyond_nominal_is_neither_better_nor_worse(table, normal):
    t, s = normal
    _, measures = only(compare(table(t, s), table(t, 2 * s)))
    assert measures["coverage"].difference > 0.04
    assert measures["coverage"].verdict is ChangeVerdict.STATISTICALLY
    assert measures["coverage"].loss[1] <= 0


def test_a_repaired_standard_error_is_better_though_limits_and_coverage_moved(table, normal):
    t, s = normal
    cell, measures = only(compare(table(t, 0.7 * s), table(t, s)))
    assert measures["std_error"].verdict is ChangeVerdict.STATISTICALLY
    assert measures["se_ratio"].verdict is ChangeVerdict.BETTER
    assert cell.verdict is ChangeVerdict.BETTER


def test_an_improvement_does_not_hide_what_it_does_not_explain(table, normal):
    t, s = normal
    rng = np.random.default_rng(4)
    wild = s * np.sqrt(rng.chisquare(3, s.size) / 3)
    cell, measures = only(compare(table(t, 0.7 * s), table(t, wild * 1.03)))
    assert measures["se_ratio"].verdict is ChangeVerdict.BETTER
    assert measures["se_cv"].verdict is ChangeVerdict.STATISTICALLY
    assert cell.verdict is ChangeVerdict.STATISTICALLY


def test_lost_coverage_is_worse_and_one_side_shows(table, normal):
    t, s = normal
    before = table(t, s)
    after = column(before, "ci_low", t - 1.3 * s)
    cell, measures = only(compare(before, after))
    assert cell.verdict is ChangeVerdict.WORSE
    assert measures["coverage"].verdict is ChangeVerdict.WORSE
    assert measures["lower_limit"].changed and not measures["upper_limit"].changed
    assert measures["lower_noncoverage"].difference > 0.03
    assert measures["upper_noncoverage"].difference == 0


@pytest.mark.parametrize(
    ("end", "sign", "name"), [("ci_low", -1, "lower_limit"), ("ci_high", 1, "upper_limit")]
)
def test_a_limit_that_moves_out_lies_further_from_the_estimate(table, normal, end, sign, name):
    t, s = normal
    before = table(t, s)
    _, measures = only(compare(before, column(before, end, t + sign * 2.5 * s)))
    spread = t.std(ddof=1)
    assert measures[name].before == pytest.approx(1.96 * s.mean() / spread)
    assert measures[name].difference == pytest.approx(0.54 * s.mean() / spread)


def test_failures_are_worse_and_their_rows_leave_the_pairs(table, normal):
    t, s = normal
    status = np.where(np.arange(t.size) % 50 == 0, "failed", "ok")
    gone = np.where(status == "ok", 1.0, np.nan)
    cell, measures = only(compare(table(t, s), table(t * gone, s * gone, status=status)))
    assert measures["failure_rate"].after == pytest.approx(0.02)
    assert measures["failure_rate"].verdict is ChangeVerdict.WORSE
    assert measures["estimate"].difference == 0
    assert np.isinf(cell.changes.largest).sum() == 30
    back = compare(table(t * gone, s * gone, status=status), table(t, s))
    assert back.verdict is ChangeVerdict.BETTER


def test_a_run_of_nothing_but_failures_is_worse(table, normal):
    t, s = normal
    none = np.full(t.size, np.nan)
    assert compare(table(t, s), table(none, none, status="crashed")).verdict is ChangeVerdict.WORSE


@pytest.mark.parametrize(
    ("gone", "measure"),
    [
        (("std_error",), "without_se"), (("ci_low", "ci_high"), "without_limits"),
        (("estimate",), "without_estimate"),
    ],
)  # fmt: skip
def test_answers_that_come_without_what_they_had_are_seen(table, normal, gone, measure):
    before = table(*normal)
    after = before
    for name in gone:
        after = column(after, name, pa.nulls(before.num_rows, pa.float64()))
    cell, measures = only(compare(before, after))
    assert cell.verdict is ChangeVerdict.STATISTICALLY
    assert measures[measure].after == 1.0


def test_one_fit_in_a_hundred_with_another_answer_has_moved(table, normal):
    t, s = np.tile(normal[0], 3) + np.repeat([0, 1e-9, 2e-9], 1500), np.tile(normal[1], 3)
    chosen = np.arange(t.size) % 100 == 7
    naive = np.where(chosen, t + 0.8 * s, t)
    cell, measures = only(compare(table(t, s), table(naive, s)))
    assert measures["moved"].after == pytest.approx(0.01)
    assert measures["moved"].verdict is ChangeVerdict.STATISTICALLY
    assert not measures["estimate"].changed
    assert cell.verdict is ChangeVerdict.STATISTICALLY


def test_one_and_the_same_answer_is_seen_without_pairs(table, normal):
    t, s = np.tile(normal[0], 4), np.tile(normal[1], 4)
    t = t + 1e-6 * np.arange(t.size)
    fixed = np.where(np.arange(t.size) % 100 == 7, 0.0, t)
    other = np.random.default_rng(8).normal(size=t.size)
    _, measures = only(compare(table(other, s), table(fixed, s), paired=False))
    assert measures["repeated"].verdict is ChangeVerdict.STATISTICALLY
    assert [m.name for m in measures.values() if m.changed] == ["repeated"]


def test_a_random_estimator_is_compared_statistically(table, normal):
    t, s = normal
    rng = np.random.default_rng(6)
    jittered = [table(t + 0.4 * rng.normal(size=t.size), s) for _ in range(2)]
    cell, measures = only(compare(*jittered, random={("made/method", "{}")}))
    assert cell.verdict is ChangeVerdict.NUMERICALLY
    assert RANDOM in cell.notes and "moved" not in measures
    assert compare(*jittered, random={("made/method", "{}")}).exit_code == 0


def test_without_moments_errors_far_out_do_not_count_and_no_ratio_is_judged(table):
    rng = np.random.default_rng(9)
    t, s = rng.standard_cauchy(1500), np.ones(1500)
    cell, measures = only(compare(table(t, s), table(t + 0.3, s), without_moments={"made/method"}))
    assert NO_MOMENTS in cell.notes
    assert "se_ratio" not in measures
    scale = 1.4826 * np.median(np.abs(t - np.median(t)))
    assert measures["estimate"].difference == pytest.approx(0.3 / scale, rel=0.15)
    assert measures["estimate"].changed
    shown, _ = only(compare(table(t, s), table(t, s)))
    assert NO_MOMENTS in shown.notes  # by the rows alone
    far = np.arange(t.size) == 3
    once = [table(np.where(far, by, t), s) for by in (20.0, 1e7)]
    _, measures = only(compare(*once, without_moments={"made/method"}))
    assert measures["estimate"].difference == pytest.approx(0, abs=1e-12)  # both are pulled in


def test_a_standard_error_that_hangs_on_few_is_seen_though_right_on_average(table, normal):
    t, s = normal
    rng = np.random.default_rng(5)
    lumpy = s * np.sqrt(rng.chisquare(3, s.size) / 3)
    lumpy *= np.sqrt(np.mean(s**2) / np.mean(lumpy**2))
    _, measures = only(compare(table(t, s), table(t, lumpy)))
    assert measures["se_ratio"].difference == pytest.approx(0, abs=1e-9)
    assert measures["se_cv"].changed


def test_unbounded_sets_are_counted_and_do_not_spoil_the_lengths(table, normal):
    t, s = normal
    before = table(t, s)
    after = column(before, "ci_high", np.where(np.arange(t.size) % 20 == 0, np.inf, t + 1.96 * s))
    _, measures = only(compare(before, after))
    assert measures["unbounded"].after == pytest.approx(0.05)
    assert measures["unbounded"].changed
    assert not measures["length"].changed and not measures["upper_limit"].changed


def test_bands_and_p_values_are_compared(table, normal):
    t, s = normal
    bands = {"band_low": t - 3 * s, "band_high": t + 3 * s}
    wide = {"band_low": t - 3.3 * s, "band_high": t + 3.3 * s}
    one = compare(table(t, s, **bands, p_value=0.5), table(t, s, **wide, p_value=0.01))
    _, measures = only(one)
    assert measures["band_length"].difference == pytest.approx(0.1)
    assert measures["rejection"].difference == 1
    assert measures["band_length"].changed and measures["rejection"].changed
    lower = (table(t, s, level=0.9, p_value=p) for p in (0.5, 0.07))
    assert only(compare(*lower))[1]["rejection"].difference == 1  # of an error of ten per cent


def test_diagnostics_are_compared_by_their_alarms(table, normal):
    t, s = normal
    some = {"kind": "diagnostic", "estimand": None, "truth": None}
    one = table(t, s, **some, passed=np.arange(t.size) % 20 != 0)
    other = table(t, s, **some, passed=np.arange(t.size) % 10 != 0)
    cell, measures = only(compare(one, other))
    assert set(measures) == {"rejection", "failure_rate", "declined"}
    assert measures["rejection"].difference == pytest.approx(0.05)
    assert cell.verdict is ChangeVerdict.STATISTICALLY


@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_estimates_without_noise_are_told_in_standard_errors(table, noise):
    t = 1.0 + noise * np.arange(200)
    same = table(t, np.full(200, 0.5), truth=1.0)
    moved = table(t + 0.01, np.full(200, 0.5), truth=1.0)
    assert compare(same, same).verdict is ChangeVerdict.IDENTICAL
    assert only(compare(same, moved))[1]["estimate"].difference == pytest.approx(0.02)


def test_no_measure_of_two_replicates_is_wrong_or_warns(table):
    t, s = np.array([0.1, 0.3]), np.array([1.0, 1.1])
    assert compare(table(t, s), table(t, s)).verdict is ChangeVerdict.IDENTICAL
    assert compare(table(t, s), table(t + 2, s)).verdict is ChangeVerdict.NUMERICALLY


def different(table, normal, **columns):
    found = compare(table(*normal), table(*normal, **columns))
    (cell,) = found.cells
    assert (cell.verdict, found.exit_code) == (ChangeVerdict.NOT_COMPARABLE, 2)
    return cell.why


def test_other_data_or_another_truth_is_not_comparable(table, normal):
    hashes = table(*normal)["data_hash"].to_numpy().copy()
    hashes[17] += 1  # one bit, far below what a float of that size holds
    why = different(table, normal, data_hash=hashes)
    assert "1 of 1500 replicates differ (the first is 17)" in why
    assert "the truth moved from 0 to 0.1" in different(table, normal, truth=0.1)
    assert "no replicate is in both" in different(
        table, normal, replicate=np.arange(normal[0].size) + 5000
    )


def test_a_truth_that_was_simulated_again_may_move_within_its_errors(table, normal):
    rows = [table(*normal, truth=truth, truth_mcse=0.01) for truth in (0.0, 0.03)]
    assert compare(*rows).verdict is not ChangeVerdict.NOT_COMPARABLE
    # 0.05 is more than three times the error of a difference, 0.0141
    far = compare(rows[0], table(*normal, truth=0.05, truth_mcse=0.01))
    assert far.cells[0].why == "the truth moved from 0 to 0.05"


def test_missing_cells_are_not_comparable_on_either_side(table, normal):
    one, two = table(*normal), table(*normal, estimator="made/other")
    both = pa.concat_tables([one, two])
    for before, after, side in ((both, one, "new run"), (one, both, "baseline")):
        found = compare(before, after)
        assert [c.verdict for c in found.cells] == [
            ChangeVerdict.IDENTICAL,
            ChangeVerdict.NOT_COMPARABLE,
        ]
        assert found.cells[1].why == f"the {side} lacks it"
        assert found.exit_code == 2


def test_a_failing_verdict_outranks_what_is_not_comparable(table, normal):
    t, s = normal
    after = pa.concat_tables([table(t, 1.2 * s), table(t, s, estimator="made/other")])
    assert compare(table(t, s), after).exit_code == 1


def test_fewer_replicates_are_compared_with_the_first(table, normal):
    t, s = normal
    cell, _ = only(compare(table(t, s), table(t[:200], s[:200])))
    assert cell.verdict is ChangeVerdict.IDENTICAL
    assert cell.replicates == (200, 200)


def test_replicates_are_matched_by_their_numbers_wherever_they_stand(table, normal):
    whole = table(*normal)
    odd = whole.filter(pa.array(np.arange(whole.num_rows) % 3 == 1))
    for before, after in ((whole, odd), (odd, whole)):
        cell, _ = only(compare(before, after))
        assert (cell.verdict, cell.why) == (ChangeVerdict.IDENTICAL, "")
        assert cell.replicates == (500, 500)


def test_rules_can_be_set_and_bad_ones_are_refused(table, normal):
    t, s = normal
    wide = Rules().with_margins(["std_error=0.2", "se_ratio=0.2", "length=0.2", "coverage=0.1",
                                 "lower_limit=1", "upper_limit=1", "lower_noncoverage=0.1",
                                 "upper_noncoverage=0.1"])  # fmt: skip
    found = compare(table(t, s), table(t, 1.1 * s), wide)
    assert (found.verdict, found.exit_code) == (ChangeVerdict.NUMERICALLY, 0)
    lax = Rules().failing_on(["worse"])
    assert compare(table(t, s), table(t, 1.1 * s), lax).exit_code == 0
    for bad in (["covrage=0.1"], ["coverage"], ["coverage=-1"]):
        with pytest.raises(BadInput, match="margin"):
            Rules().with_margins(bad)
    with pytest.raises(BadInput, match="did you mean 'worse'"):
        Rules().failing_on(["wors"])
    with pytest.raises(BadInput, match="alpha"):
        Rules(alpha=2)
    with pytest.raises(BadInput, match="tolerance"):
        Rules(tolerance=-1)


def test_columns_that_lack_are_named(table, normal):
    frame = table(*normal).to_pandas()
    assert as_table(frame).num_rows == 1500
    with pytest.raises(BadInput, match="lacks data_hash"):
        as_table(frame.drop(columns="data_hash"))
    with pytest.raises(BadInput, match="another schema"):
        as_table(frame.assign(estimate="x"))


def test_every_measure_is_described():
    for name, measure in MEASURES.items():
        assert (measure.name == name and measure.margin > 0) or name == "lost"
        assert set(measure.explains) <= set(MEASURES)
