import functools
import math
import random
import sys
import warnings

import numpy as np
import pytest

from cibench import (
    Declined,
    Diagnosis,
    Estimand,
    Estimate,
    Problem,
    Roles,
    Target,
)
from cibench.model.method import Estimator
from cibench.model.streams import unchanged_random_states
from cibench.workers.fit import fit, reduce_posterior

ATE = Target(Estimand.ATE)
PROBLEM = Problem({"y": np.arange(3.0), "d": np.array([0.0, 1.0, 1.0])}, Roles(), (ATE,))
GOOD = Estimate(1.0, 0.5, 0.0, 2.0)


def ask(function, problem=PROBLEM, **declared):
    declared = {"targets": (Estimand.ATE,), **declared}
    return fit(Estimator("x/y", function, **declared), problem, {}, ("fit", 1))


def raises(error):
    def function(problem, rng):
        raise error

    return function


@pytest.mark.parametrize(
    ("returned", "status", "reason"),
    [
        (GOOD, "ok", None),
        (Estimate(np.float32(1), np.float64(1), 0, 2), "ok", None),
        (Estimate(1.0, 0.5, -math.inf, math.inf), "ok", None),
        (Estimate(1.0, 0.5, math.inf, -math.inf), "ok", None),
        (Estimate(1.0, 0.5, 0.0, 2.0, outside=True), "ok", None),
        (Estimate(math.nan, 0.5, 0.0, 2.0), "nonfinite", "value is nan"),
        (Estimate(math.inf, 0.5, 0.0, 2.0), "nonfinite", "value is inf"),
        (Estimate(-1e308, 0.5, 0.0, 2.0), "nonfinite", "value is -1e+308, which has no square"),
        (Estimate(1.0, 0.5, -1e308, 2.0), "nonfinite", "limits are -1e+308 and 2"),
        (Estimate(1.0, math.nan, 0.0, 2.0), "nonfinite", "se is nan"),
        (Estimate(1.0, -0.5, 0.0, 2.0), "failed", "negative standard error: -0.5"),
        (Estimate(1.0, 0.5, 2.0, 0.0), "failed", "limits in the wrong order: 2 and 0"),
        (Estimate(1.0, 0.5, math.nan, 2.0), "nonfinite", "limits are nan and 2"),
        (Estimate(1.0, 0.5, 0.0), "failed", "gave one limit without the other"),
        (Estimate(1.0, 0.5), "failed", "gave no limits"),
        (Estimate(1.0, None, 0.0, 2.0), "failed", "gave no se"),
        (Estimate(None, 0.5, 0.0, 2.0), "failed", "gave no value"),
        (Estimate("1", 0.5, 0.0, 2.0), "failed", "value is of type str, not a number"),
        (Estimate(True, 0.5, 0.0, 2.0), "failed", "value is of type bool, not a number"),
        (Estimate(np.array([1.0]), 0.5, 0.0, 2.0), "failed", "value is of type ndarray"),
        (Estimate(1.0, 0.5, 0.0, 2.0, p_value=1.5), "failed", "p-value is 1.5"),
        (Estimate(1.0, 0.5, 0.0, 2.0, p_value=math.nan), "ok", None),
        (Estimate(1.0, 0.5, 0, 2, band_low=3, band_high=2), "failed", "limits in the wrong order"),
        (1.0, "failed", "returned float, not an Estimate"),
        (None, "failed", "returned NoneType, not an Estimate"),
        (Diagnosis(True), "failed", "returned Diagnosis, not an Estimate"),
        ({ATE: GOOD}, "ok", None),
        ({}, "failed", "gave no answer for ATE"),
    ],
)
def test_what_comes_back_becomes_a_status_and_a_reason(returned, status, reason):
    (answer,) = ask(lambda problem, rng: returned).answers
    assert answer.status == status
    assert answer.reason is None if reason is None else reason in answer.reason
    assert bool(answer.numbers) == (status == "ok")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("two\nlines"), "failed", "ValueError: two lines"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (RecursionError(), "failed", "RecursionError"),
        (Declined("no rows near the cutoff"), "declined", "no rows near the cutoff"),
        (Declined(), "declined", "declined without a reason"),
    ],
)
def test_what_is_raised_becomes_a_status_and_a_reason(error, status, reason):
    (answer,) = ask(raises(error)).answers
    if status == "failed":
        assert answer.reason.rpartition(" (test_fit.py:")[0] == reason
    else:
        assert (answer.status, answer.reason) == (status, reason)


def test_a_fault_is_told_with_its_place_in_the_estimators_own_code(tmp_path):
    helper, own = tmp_path / "helper.py", tmp_path / "my_method.py"
    helper.write_text("def half(x):\n    return x / 'two'\n")
    own.write_text("import json\nimport helper\n\ndef fit(problem, rng, how='here'):\n"
                   "    if how == 'library':\n        return json.loads('{')\n"
                   "    return helper.half(3)\n")  # fmt: skip
    sys.path.insert(0, str(tmp_path))
    try:
        import my_method
    finally:
        sys.path.remove(str(tmp_path))
    (answer,) = ask(my_method.fit).answers
    assert answer.reason.startswith("TypeError: unsupported operand")
    assert answer.reason.endswith("(helper.py:2)")  # the innermost line of the plug-in's folder
    (answer,) = ask(lambda p, r: my_method.fit(p, r, "library")).answers
    assert answer.reason.startswith("JSONDecodeError") and "decoder.py" not in answer.reason
    (answer,) = ask(functools.partial(my_method.fit, how="library")).answers
    assert answer.status == "failed"  # no code of its own, no place


def test_ctrl_c_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        ask(raises(KeyboardInterrupt()))


def test_what_an_estimator_declares_not_to_give_may_be_missing():
    (answer,) = ask(lambda p, r: Estimate(1.0), gives=("value",)).answers
    assert (answer.status, answer.numbers["std_error"]) == ("ok", None)
    (answer,) = ask(lambda p, r: Estimate(None, None, 0.0, 1.0), gives=("limits",)).answers
    assert (answer.status, answer.numbers["estimate"]) == ("ok", None)


def test_one_answer_where_several_are_asked_fails_each_of_them():
    targets = (Target(Estimand.ATT, 0), Target(Estimand.ATT, 1))
    problem = Problem({}, Roles(), targets)
    answers = ask(lambda p, r: GOOD, problem, horizons=(Estimand.ATT,)).answers
    assert [a.target for a in answers] == list(targets)
    assert {a.reason for a in answers} == {"gave one answer where 2 were asked"}
    partly = ask(lambda p, r: {targets[0]: GOOD}, problem, horizons=(Estimand.ATT,)).answers
    assert [(a.status, a.reason) for a in partly] == [
        ("ok", None), ("failed", "gave no answer for ATT[1]"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("returned", "status"),
    [
        (Diagnosis(True, 0.3, 1.0), "ok"),
        (Diagnosis(np.bool_(False)), "ok"),
        (Diagnosis("yes"), "failed"),
        (Diagnosis(True, math.nan), "nonfinite"),
        (Diagnosis(True, 2.0), "failed"),
        (GOOD, "failed"),
    ],
)
def test_a_diagnostic_answers_with_a_diagnosis(returned, status):
    problem = Problem({}, Roles(), ())
    (answer,) = ask(lambda p, r: returned, problem, kind="diagnostic", targets=()).answers
    assert (answer.target, answer.status) == (None, status)


def test_prints_go_nowhere_and_warnings_into_the_row(capsys):
    def noisy(problem, rng):
        print("hello")
        print("oops", file=sys.stderr)
        warnings.warn("careful\nthere", RuntimeWarning, stacklevel=1)
        np.log(np.zeros(1))
        return GOOD

    fitted = ask(noisy)
    assert capsys.readouterr() == ("", "")
    assert fitted.warnings.splitlines() == [
        "RuntimeWarning: careful there",
        "RuntimeWarning: divide by zero encountered in log",
    ]


def test_a_fit_that_changes_numpys_error_state_changes_it_for_itself():
    before = np.geterr()
    ask(lambda p, r: np.seterr(all="raise") and GOOD)
    assert np.geterr() == before


def test_global_random_numbers_in_a_fit_follow_its_address():
    def global_numbers(problem, rng):
        return Estimate.wald(np.random.normal() + random.random(), rng.random(), 0.95)

    np.random.seed(5)
    with unchanged_random_states():
        first = ask(global_numbers).answers[0].numbers
        np.random.seed(6)
        random.seed(6)
        assert ask(global_numbers).answers[0].numbers == first
    assert np.random.random() == np.random.RandomState(5).random()


def test_wald_limits_are_the_normal_and_the_student_quantiles():
    from scipy import stats

    normal, student = Estimate.wald(1.0, 2.0, 0.9), Estimate.wald(1.0, 2.0, 0.9, df=5)
    assert normal.high == pytest.approx(1 + 2 * stats.norm.ppf(0.95), rel=1e-12)
    assert student.low == pytest.approx(1 - 2 * stats.t.ppf(0.95, 5), rel=1e-12)


def test_posterior_draws_become_the_pit_and_the_crps_of_a_normal():
    # closed form for N(0, 1): Gneiting and Raftery (2007), equation 5
    from scipy import stats

    draws, truth = stats.norm.ppf((np.arange(20000) + 0.5) / 20000), 0.7
    pit, crps = reduce_posterior(draws, truth)
    density, below = stats.norm.pdf(truth), stats.norm.cdf(truth)
    expected = truth * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi)
    assert pit == pytest.approx(below, abs=1e-4)
    assert crps == pytest.approx(expected, abs=1e-4)
    small = np.array([0.3, -1.0, 2.0])
    pairs = np.abs(small[:, None] - small)[~np.eye(3, dtype=bool)]  # of two different draws
    by_hand = np.abs(small - 1).mean() - pairs.mean() / 2
    assert reduce_posterior(small, 1.0) == (2 / 3, pytest.approx(by_hand))
    assert reduce_posterior(np.array([3.0]), 1.0) == (0, 2)


@pytest.mark.parametrize("m", [2, 10, 100])
def test_the_crps_of_few_draws_is_that_of_the_posterior_on_average(m):
    rng, trials = np.random.default_rng(6), 20_000
    truth, draws = rng.normal(size=trials), rng.normal(size=(trials, m))
    scores = [reduce_posterior(x, t)[1] for x, t in zip(draws, truth, strict=True)]
    error = np.std(scores) / math.sqrt(trials)
    assert np.mean(scores) == pytest.approx(1 / math.sqrt(math.pi), abs=4 * error)
