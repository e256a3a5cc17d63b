"""Attribution of missing coverage: exact sums, known answers, errors that hold, and the words."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from math import inf, isnan, nan, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from cibench.metrics import Score, core, intervals
from cibench.metrics.influence import scored
from cibench.metrics.shortfall import PARTS, attribution, shortfall, shortfall_failures
from cibench.report.sections.score_tables import sentence

Array = NDArray[Any]
Z = float(stats.norm.ppf(0.975))


def shares(
    e: Array, s: Array, critical: float | Array = Z, level: float = 0.95
) -> dict[str, Score]:
    reach = critical * s
    found = attribution(e, np.zeros(e.size), s, e - reach, e + reach, level=level)
    return {part: scored(result) for part, result in found.items()}


def answers(n: int, seed: int = 1) -> tuple[Array, Array]:
    """Return biased skewed errors with standard errors that move with them."""
    rng = np.random.default_rng(seed)
    e = 0.4 + rng.gamma(2, 0.7, n) - 1.4
    return e, np.sqrt(0.5 + 0.1 * e**2 + rng.gamma(1, 0.1, n))


# --- the definition


def test_the_shares_are_the_mean_over_all_orders_of_repair() -> None:
    e, s = answers(500)
    centre, spread, model = e.mean(), e.std(ddof=1), sqrt((s**2).mean())

    def covered(repaired: tuple[str, ...]) -> float:
        b = 0.0 if "bias" in repaired else centre
        k = spread / model if "se" in repaired else 1.0
        if "shape" in repaired:
            law, reach = stats.norm(b, spread), Z * k * model
            return float(law.cdf(reach) - law.cdf(-reach))
        return float((np.abs(e - centre + b) <= Z * k * s).mean())

    orders = list(permutations(PARTS))
    found = shares(e, s)
    for part in PARTS:
        adds = [
            covered(order[: order.index(part) + 1]) - covered(order[: order.index(part)])
            for order in orders
        ]
        assert found[part].value == pytest.approx(np.mean(adds), abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_the_shares_add_up_to_the_shortfall(n: int, level: float) -> None:
    e, s = answers(n, seed=n)
    reach = stats.norm.ppf((1 + level) / 2) * s
    short = shortfall(e - reach, e + reach, np.zeros(n), level=level)
    found = shares(e, s, reach / s, level)
    assert sum(f.value for f in found.values()) == pytest.approx(short.value, abs=1e-12)
    held = intervals.coverage(e - reach, e + reach, np.zeros(n))
    assert (short.value, short.mcse) == (level - held.value, held.mcse)


def test_honest_normal_answers_have_nothing_to_attribute() -> None:
    e = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    found = shares(e, np.full(e.size, e.std(ddof=1)))
    assert all(abs(score.value) < 1e-3 for score in found.values())


@pytest.mark.parametrize(
    ("bias", "ratio", "part"), [(1.0, 1.0, "bias"), (0.0, 0.6, "se"), (0.0, 1.0, "shape")]
)
def test_one_fault_alone_takes_the_whole_shortfall(bias: float, ratio: float, part: str) -> None:
    quantiles = (np.arange(100_000) + 0.5) / 100_000
    e = stats.norm.ppf(quantiles)
    if part == "shape":  # skewed errors of the right size
        e = stats.expon.ppf(quantiles) - 1
    e = (e - e.mean()) / e.std(ddof=1)
    found = shares(e + bias, np.full(e.size, ratio))
    held = intervals.coverage(e + bias - Z * ratio, e + bias + Z * ratio, np.zeros(e.size)).value
    assert found[part].value == pytest.approx(0.95 - held, abs=2e-4)
    assert all(abs(found[p].value) < 2e-4 for p in PARTS if p != part)


def test_critical_values_of_a_t_law_are_no_fault() -> None:
    rng = np.random.default_rng(4)
    n, df = 200_000, 8
    e, s = rng.normal(size=n), np.sqrt(rng.chisquare(df, n) / df)
    right = shares(e, s, float(stats.t.ppf(0.975, df)))
    assert all(abs(f.value) < 4 * f.mcse + 1e-3 for f in right.values())
    wrong = shares(e, s)  # 1.96 in its place: not the standard error's fault, nor a bias
    lost = 0.95 - float(np.diff(stats.t.cdf([-Z, Z], df))[0])
    assert wrong["shape"].value == pytest.approx(lost, abs=2e-3)
    assert abs(wrong["se"].value) < 2e-3 and abs(wrong["bias"].value) < 2e-3


# --- a known answer, and errors that hold it


def true_shares(bias: float, ratio: float, df: int) -> dict[str, float]:
    """Return the shares of N(bias, 1) errors with s^2 = ratio^2 chi2(df) / df, by quadrature."""

    def covered(repaired: tuple[str, ...]) -> float:
        b = 0.0 if "bias" in repaired else bias
        k = 1.0 if "se" in repaired else ratio
        law = stats.norm(b) if "shape" in repaired else stats.nct(df, b)
        return float(law.cdf(Z * k) - law.cdf(-Z * k))

    orders = list(permutations(PARTS))
    return {
        part: float(np.mean([
            covered(o[: o.index(part) + 1]) - covered(o[: o.index(part)]) for o in orders
        ])) for part in PARTS
    }  # fmt: skip


@pytest.mark.parametrize(("bias", "ratio", "df"), [(0.8, 0.8, 10), (0.3, 1.2, 5), (2.0, 0.7, 30)])
def test_three_errors_hold_the_known_shares(bias: float, ratio: float, df: int) -> None:
    rng, trials, n = np.random.default_rng(11), 300, 600
    true = true_shares(bias, ratio, df)
    found: dict[str, list[Score]] = {part: [] for part in PARTS}
    for _ in range(trials):
        e, s = rng.normal(bias, 1, n), ratio * np.sqrt(rng.chisquare(df, n) / df)
        for part, score in shares(e, s).items():
            found[part].append(score)
    for part, scores in found.items():
        values, errors = np.array([(s.value, s.mcse) for s in scores]).T
        assert (np.abs(values - true[part]) < 3 * errors).mean() >= 0.98, part
        # Neither are the errors merely wide.
        assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.15), part


def test_the_errors_agree_with_the_bootstrap() -> None:
    e, s = answers(1500)
    rng, n = np.random.default_rng(3), 1500
    picks = [rng.integers(0, n, n) for _ in range(400)]
    resampled = [shares(e[i], s[i]) for i in picks]
    for part, score in shares(e, s).items():
        spread = np.std([r[part].value for r in resampled], ddof=1)
        assert score.mcse == pytest.approx(spread, rel=0.2), part


@pytest.mark.parametrize("law", ["skewed", "t(3)"])
def test_errors_are_not_too_small_where_a_few_errors_make_the_spread(law: str) -> None:
    """A hundred replicates: the derivative alone said 68 to 91 % of the shape's true error."""
    rng, trials, n = np.random.default_rng(5), 600, 100
    by_part: dict[str, list[tuple[float, float]]] = {part: [] for part in PARTS}
    for _ in range(trials):
        e, s = rng.standard_t(3, n) / sqrt(3), np.full(n, 0.9)
        if law == "skewed":
            e = 0.4 + rng.gamma(2, 0.7, n) - 1.4
            s = np.sqrt(0.5 + 0.1 * e**2 + rng.gamma(1, 0.1, n))
        for part, score in shares(e, s).items():
            by_part[part].append((score.value, score.mcse))
    for part, pairs in by_part.items():
        values, errors = np.array(pairs).T
        stated = sqrt(float(np.square(errors).mean())) / values.std(ddof=1)
        assert stated > 1 - 3 / sqrt(2 * trials), (part, stated)


def test_the_truths_own_error_enters() -> None:
    e, s = answers(400)
    low, high, theta = e - Z * s, e + Z * s, np.zeros(400)
    at = partial(_attributed, e, s, low, high)
    plain, blurred = at(theta), core.with_truth_errors(at, theta, 0.1)
    assert blurred["bias"].value == plain["bias"].value
    ends = [at(theta + step)["bias"].value - plain["bias"].value for step in (0.1, -0.1)]
    moved = max(map(abs, ends))
    assert blurred["bias"].mcse == pytest.approx(sqrt(plain["bias"].mcse ** 2 + moved**2))
    assert moved != 0


def _attributed(e: Array, s: Array, low: Array, high: Array, theta: Array) -> Any:
    found = attribution(e, theta, s, low, high, level=0.95)
    return {part: scored(result) for part, result in found.items()}


# --- failures apart


def test_what_failures_cost_is_coverage_less_coverage_with_failures() -> None:
    score = lost(80, 90, 120)
    assert score.value == pytest.approx(80 / 90 - 80 / 120)
    # Second route: the delta method on the three outcomes covered, missed, failed.
    y, r = np.repeat([1, 0, 0], [80, 10, 30]), np.repeat([1, 1, 0], [80, 10, 30])
    p, q = 80 / 90, 0.75
    influence = (y - p * r) / q - (y - p * q)
    assert score.mcse == pytest.approx(influence.std() / sqrt(120))
    assert lost(80, 90, 90) == Score(0, 0)
    assert isnan(lost(0, 0, 7).value)


def lost(covered: int, given: int, total: int) -> Score:
    """Score that many tries, of which some gave a set and some of these covered."""
    low = np.where(np.arange(total) < covered, -1.0, 1.0)
    ok = np.arange(total) < given
    return shortfall_failures(low, low + 2, np.zeros(total), False, ok)


# --- where it is not defined


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"high": lambda h: h + 0.5}, "not symmetric"), ({"high": lambda h: h * inf}, "symmetric"),
        ({"low": lambda _: np.full(9, -inf), "high": lambda _: np.full(9, inf)}, "finite"),
        ({"t": lambda _: np.ones(9), "low": lambda _: np.zeros(9),
          "high": lambda _: np.full(9, 2.0)}, "equal"),
        ({"s": lambda s: 0 * s}, "zero"), ({"outside": lambda _: np.ones(9)}, "symmetric"),
    ],
)  # fmt: skip
def test_it_is_blank_with_a_reason(change: dict[str, Any], why: str) -> None:
    t, s = answers(9)
    given = {"t": t, "theta": np.zeros(9), "s": s, "low": t - s, "high": t + s, "level": 0.95}
    given |= {name: make(given.get(name)) for name, make in change.items()}
    for score in map(scored, attribution(**given).values()):
        assert isnan(score.value) and isnan(score.mcse) and why in score.why


def test_of_one_or_no_answer_it_is_blank() -> None:
    for n in (0, 1):
        e, s = answers(n)
        assert all(isnan(score.value) for score in shares(e, s).values())
    assert shares(*answers(1))["se"].why == "one replicate has no spread"


# --- in words


def line(**changes: float) -> dict[str, float]:
    return {
        "coverage": 0.71, "shortfall": 0.24, "shortfall_bias": 0.2, "shortfall_bias_mcse": 0.011,
        "shortfall_se": 0.03, "shortfall_se_mcse": 0.004, "shortfall_shape": 0.01,
        "shortfall_shape_mcse": 0.003, "shortfall_failures": 0.0, "se_ratio": 0.9,
        "se_ratio_mcse": 0.021, "shortfall_failures_mcse": 0.0,
    } | changes  # fmt: skip


def test_the_sentence_names_every_part_with_its_error() -> None:
    assert sentence(line()) == (
        "coverage 71 %: bias explains 20.0 points (1.1), the standard error is 0.900 of the truth "
        "and explains 3.00 (0.40), the shape 1.00 (0.30)"
    )
    with_failures = sentence(line(shortfall_failures=0.05, shortfall_failures_mcse=0.01))
    assert with_failures.endswith("; failures cost another 5.0 (1.0)")


def test_there_is_no_sentence_where_nothing_is_short_or_nothing_known() -> None:
    assert sentence(line(shortfall=-0.01)) == ""
    assert sentence(line(shortfall=nan)) == ""
    assert sentence(line(shortfall_bias=nan)) == ""
    only = sentence(line(shortfall_bias=nan, shortfall_failures=0.1))
    assert only == "coverage 71 %: failures cost another 10.00 (0.00)"
