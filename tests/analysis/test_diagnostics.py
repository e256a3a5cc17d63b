"""Diagnostics scored: alarms, and what is left of a method where a diagnostic passes."""

from functools import partial
from math import sqrt

import numpy as np
import pytest
from replicates import joined, replicate_table
from scipy.integrate import quad
from scipy.stats import norm

from cibench.analysis import score, score_diagnostics
from cibench.analysis.diagnostics import DIAGNOSTICS, compare
from cibench.metrics.core import proportion
from cibench.utils.errors import BadInput

RHO, SLOPE, DELTA, CRITICAL = 0.6, 0.3, 1.2, norm.ppf(0.975)
CATALOGUE = {
    "scenarios": {
        "t/panel": {
            "violates": [],
            "dials": {
                "trend": {"default": 0.0, "grid": [0.5], "breaks": "parallel trends"},
                "rho": {"default": 0.0, "grid": [0.5], "breaks": "independent errors"},
            },
        }
    },
    "estimators": {"t/pre": {"tests": ["parallel trends", "no anticipation"]}, "t/twfe": {}},
}


cell = partial(
    replicate_table, scenario="t/panel", dials='{"rho":0.0,"trend":0.0}', estimand="ATT", truth=1.0,
    reach=CRITICAL,
)  # fmt: skip


def study(rng, count, delta=DELTA, **columns):
    """Return a test and a method whose errors are bivariate normal with correlation RHO.

    The test passes where |pre| is at most 1.96; pre has mean delta, the error has mean SLOPE delta.
    """
    pre = delta + rng.normal(size=count)
    t = 1 + SLOPE * delta + RHO * (pre - delta) + sqrt(1 - RHO**2) * rng.normal(size=count)
    passed = np.abs(pre) <= CRITICAL
    nothing = dict.fromkeys(("truth", "truth_mcse", "level", "estimand"))
    tests = cell(estimator="t/pre", kind="diagnostic", passed=passed, **nothing)
    return joined(tests, cell(t, estimator="t/twfe", **columns))


def truncated():
    """Return what passes: its share, bias and coverage, in closed form and by quadrature.

    With Z ~ N(delta, 1) given |Z| <= c the mean of Z is delta + (phi(a) - phi(b)) / (Phi(b) -
    Phi(a)), a = -c - delta, b = c - delta; the bias is SLOPE delta + RHO times that mean less
    delta (Roth 2022, proposition 1).
    """
    a, b = -CRITICAL - DELTA, CRITICAL - DELTA
    share = norm.cdf(b) - norm.cdf(a)
    bias = SLOPE * DELTA + RHO * (norm.pdf(a) - norm.pdf(b)) / share
    rest = sqrt(1 - RHO**2)

    def covered(z):
        centre = SLOPE * DELTA + RHO * z
        upper, lower = (CRITICAL - centre) / rest, (-CRITICAL - centre) / rest
        return norm.pdf(z) * (norm.cdf(upper) - norm.cdf(lower))

    return share, bias, quad(covered, a, b)[0] / share


def only(rows, estimator=True):
    table = score_diagnostics(rows, CATALOGUE)
    [line] = table[table["estimator"].notna() == estimator].to_dict("records")
    return line


def test_bias_and_coverage_given_a_pass_are_those_of_the_truncated_normal():
    share, bias, coverage = truncated()
    rows = study(np.random.default_rng(1), 400_000)
    found = only(rows)
    overall = SLOPE * DELTA
    covers = norm.cdf(CRITICAL - overall) - norm.cdf(-CRITICAL - overall)
    assert abs(1 - found["alarms"] - share) < 4 * found["alarms_mcse"]
    for name, wanted in (
        ("bias", overall), ("bias_passed", bias), ("bias_change", bias - overall),
        ("coverage", covers), ("coverage_passed", coverage), ("coverage_change", coverage - covers),
    ):  # fmt: skip
        assert abs(found[name] - wanted) < 4 * found[f"{name}_mcse"], name
    assert abs(bias - overall) > 0.1  # what is tested is there


@pytest.mark.parametrize("name", ["bias", "coverage"])
def test_the_paired_error_of_a_change_is_what_repeating_the_study_shows(name):
    _, bias, coverage = truncated()
    overall = SLOPE * DELTA
    wanted = bias - overall
    if name == "coverage":
        wanted = coverage - (norm.cdf(CRITICAL - overall) - norm.cdf(-CRITICAL - overall))
    rng, held, errors, changes = np.random.default_rng(2), 0, [], []
    for _ in range(2000):
        pre = rng.normal(size=400)
        e = overall + RHO * pre + sqrt(1 - RHO**2) * rng.normal(size=400)
        x = e if name == "bias" else (np.abs(e) <= CRITICAL).astype(float)
        change = compare(x, np.abs(pre + DELTA) <= CRITICAL)["change"]
        held += abs(change.value - wanted) <= 1.96 * change.mcse
        errors.append(change.mcse)
        changes.append(change.value)
    error = sqrt(0.05 * 0.95 / 2000)
    assert abs(held / 2000 - 0.95) < 4 * error
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(changes), rel=4 / sqrt(4000))


def test_all_data_sets_are_those_of_the_score_table():
    rows = study(np.random.default_rng(3), 300)
    rows.loc[310:330, "status"] = "failed"
    scores = score(rows, CATALOGUE).set_index("estimator")
    found = only(rows)
    for name in ("bias", "bias_mcse", "coverage", "coverage_mcse", "coverage_low", "coverage_high"):
        assert found[name] == pytest.approx(scores.loc["t/twfe", name], rel=1e-12)
    assert found["answered"] == scores.loc["t/twfe", "answered"] == 279
    alarms = [scores.loc["t/pre", f"rejection{e}"] for e in ("", "_mcse", "_low", "_high")]
    assert [found[f"alarms{e}"] for e in ("", "_mcse", "_low", "_high")] == pytest.approx(alarms)


def test_the_error_of_the_truth_enters_both_and_cancels_from_the_change():
    rng = np.random.default_rng(4).bit_generator.state
    exact, rough = (study(_from(rng), 500, truth_mcse=doubt) for doubt in (0.0, 0.2))
    a, b = only(exact), only(rough)
    for name in ("bias", "bias_passed"):
        assert b[f"{name}_mcse"] == pytest.approx(np.hypot(a[f"{name}_mcse"], 0.2))
    for name in ("coverage", "coverage_passed"):
        assert b[f"{name}_mcse"] > a[f"{name}_mcse"]
    for name in ("bias_change", "coverage_change"):
        assert b[f"{name}_mcse"] == a[f"{name}_mcse"]


def _from(state):
    rng = np.random.default_rng()
    rng.bit_generator.state = state
    return rng


@pytest.mark.parametrize(
    ("dials", "alarm"),
    [
        ('{"rho":0.0,"trend":0.0}', "false"), ('{"rho":0.5,"trend":0.0}', "false"),
        ('{"rho":0.0,"trend":0.5}', "right"),
    ],
)  # fmt: skip
def test_an_alarm_is_right_where_what_is_tested_is_broken(dials, alarm):
    rows = study(np.random.default_rng(5), 20).assign(dials=dials)
    found = only(rows, estimator=False)
    assert (found["alarm"], found["judged"]) == (alarm, 20)
    assert np.isnan(found["bias"])


def test_a_design_that_breaks_what_is_tested_makes_every_alarm_right():
    about = {"t/panel": CATALOGUE["scenarios"]["t/panel"] | {"violates": ["no anticipation"]}}
    table = score_diagnostics(study(np.random.default_rng(5), 9), CATALOGUE | {"scenarios": about})
    assert set(table["alarm"]) == {"right"}


def test_where_nothing_or_everything_passes():
    rows = study(np.random.default_rng(6), 30)
    never = only(rows.assign(passed=False))
    assert never["passed"] == 0 and never["alarms"] == 1
    assert all(np.isnan(never[x]) for x in ("bias_passed", "bias_change", "coverage_change"))
    always = only(rows.assign(passed=True))
    assert always["bias_change"] == always["bias_change_mcse"] == always["coverage_change"] == 0


def test_a_diagnostic_without_an_answer_has_not_passed():
    rows = study(np.random.default_rng(7), 40)
    lost = (rows["estimator"] == "t/pre") & (rows["replicate"] < 10)
    found = only(rows.assign(status=np.where(lost, "declined", "ok")))
    assert found["judged"] == 30 and found["passed"] <= 30
    kept = rows[(rows["replicate"] >= 10)]
    assert found["bias_passed"] == pytest.approx(only(kept)["bias_passed"])
    shares = proportion(round(30 * found["alarms"]), 30)
    assert found["alarms_low"] == shares.low


def test_without_diagnostics_there_are_no_rows_and_missing_columns_are_told():
    rows = study(np.random.default_rng(8), 10)
    table = score_diagnostics(rows[rows["kind"] == "estimate"], CATALOGUE)
    assert table.empty and tuple(table.columns) == DIAGNOSTICS
    with pytest.raises(BadInput, match="lacks columns: passed"):
        score_diagnostics(rows.drop(columns="passed"), CATALOGUE)


def test_estimates_without_moments_are_flagged():
    about = CATALOGUE["estimators"] | {"t/twfe": {"moments": False}}
    table = score_diagnostics(
        study(np.random.default_rng(9), 10), CATALOGUE | {"estimators": about}
    )
    assert list(table["moments"].dropna()) == [False]
