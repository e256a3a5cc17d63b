"""The IV diagnostics: what they compute, their critical values, what they find."""

import numpy as np
import pytest
from scipy import stats

from cibench import (
    Declined,
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.estimators._stock_yogo import CRITICAL, SIZES
from cibench.model.streams import stream

PUBLISHED = {1: (16.38, 8.96, 6.66, 5.53), 3: (22.30, 12.83, 9.54, 7.80)}
ASKED = (Target(Estimand.COEFFICIENT),)


def problem_of(name, n, replicate=0, **fields):
    scenario = find_scenario(name)(**fields)
    drawn = scenario.draw(n, stream("test", name, replicate))
    return Problem.of(drawn, scenario.assigned_roles())


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, None, **options)


def fails(name, count, scenario="iv/many", n=400, **fields):
    problems = (problem_of(scenario, n, k, **fields) for k in range(count))
    return np.mean([not fit(name, problem).passed for problem in problems])


def uneven(count=3, n=300):
    """Return data whose first stage has errors of unequal variance."""
    rng = np.random.default_rng(count)
    x, z = rng.normal(size=n), rng.normal(size=(n, count))
    d = 0.3 * z.sum(axis=1) + x + rng.normal(size=n) * np.exp(z[:, 0] / 2)
    columns = {"y": d + rng.normal(size=n), "d": d, "x": x}
    names = tuple(f"z{k}" for k in range(count))
    columns |= {name: z[:, k] for k, name in enumerate(names)}
    return Problem(columns, Roles(covariates=("x",), instruments=names), ASKED)


def first_stage(problem, robust):
    from statsmodels.regression.linear_model import OLS

    count = problem.instruments.shape[1]
    ones = np.ones(problem.outcome.size)
    design = np.column_stack([problem.instruments, problem.covariates, ones])
    kind = {"cov_type": "HC1"} if robust else {}
    test = OLS(problem.treatment, design).fit(**kind).f_test(np.eye(count, design.shape[1]))
    return float(test.fvalue)


@pytest.mark.parametrize("count", [1, 3])
def test_the_first_stage_f_is_the_textbooks(count):
    problem = uneven(count)
    given = fit("iv/first-stage-f", problem)
    assert given.statistic == pytest.approx(first_stage(problem, robust=False), rel=1e-9)


def test_with_one_instrument_effective_f_is_the_robust_f():
    problem = uneven(1)
    given = fit("iv/effective-f", problem).statistic
    assert given == pytest.approx(first_stage(problem, robust=True), rel=1e-9)
    assert given != pytest.approx(first_stage(problem, robust=False), rel=0.05)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_with_several_instruments_effective_f_is_pyfixests():
    # which takes cross-products of instruments from which covariates are not taken out: do it first
    pyfixest = pytest.importorskip("pyfixest")
    problem = uneven(3)
    x = np.column_stack([np.ones(300), problem.covariates])
    frame = problem.frame
    frame -= x @ np.linalg.lstsq(x, frame.to_numpy())[0]
    model = pyfixest.feols("y ~ 1 | d ~ z0 + z1 + z2", frame, vcov="HC1")
    model.IV_Diag()
    given = fit("iv/effective-f", problem).statistic
    assert given == pytest.approx(model._eff_F * 295 / 296, rel=1e-9)


@pytest.mark.parametrize(
    ("max_bias", "critical"), [(0.05, 37.4), (0.1, 23.1), (0.2, 15.1), (0.3, 12.0)]
)
def test_effective_f_passes_above_the_published_critical_value(max_bias, critical):
    # Montiel Olea and Pflueger (2013), table 1, one effective degree of freedom
    statistics = {True: [], False: []}
    for k in range(150):
        given = fit(
            "iv/effective-f", problem_of("iv/just-identified", 60, k, mu2=critical),
            max_bias=max_bias,
        )  # fmt: skip
        statistics[given.passed].append(given.statistic)
    assert max(statistics[False]) < critical + 0.05
    assert min(statistics[True]) > critical - 0.05


@pytest.mark.parametrize("count", PUBLISHED)
def test_the_first_stage_f_passes_above_stock_and_yogos_value(count):
    assert CRITICAL[count - 1] == PUBLISHED[count]
    assert len(CRITICAL) == 30
    for size, critical in zip(SIZES, PUBLISHED[count], strict=True):
        for k in range(10):
            problem = problem_of("iv/many", 80, k, instruments=count, mu2=count * critical)
            given = fit("iv/first-stage-f", problem, max_size=size)
            assert given.passed == (given.statistic > critical)


def largest_size(mu2, count, draws=400_000):
    """Simulate how often a t-test on two-stage least squares rejects for large n, rho being 1.

    Then both errors are z, with l l' = mu2 the first stage is z + l, the estimate is off by
    b = (z + l)'z / (z + l)'(z + l) and the residual s.d. is |1 - b|.
    """
    rng = np.random.default_rng(7)
    z, rest = rng.standard_normal(draws), rng.chisquare(count - 1, draws) if count > 1 else 0.0
    first = z + np.sqrt(mu2)
    b = (first * z + rest) / (first**2 + rest)
    t = b * np.sqrt(first**2 + rest) / np.abs(1 - b)
    return np.mean(np.abs(t) > 1.959964)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 30])
@pytest.mark.parametrize("at", range(4))
def test_critical_values_are_within_three_percent_of_the_exact_ones(count, at):
    critical = CRITICAL[count - 1][at]

    def size_at(value):
        """Return the worst size where `value` is the 95 % quantile of F."""
        low, high = 0.0, 5.0 * count * value
        for _ in range(60):
            middle = (low + high) / 2
            above = stats.ncx2.ppf(0.95, count, middle) / count > value
            low, high = (low, middle) if above else (middle, high)
        return largest_size(low, count)

    # the size falls in mu2: the exact critical value lies between 0.965 and 1.035 of the tabled
    noise = 3 * 0.5 / np.sqrt(400_000)
    assert size_at(1.035 * critical) - noise < SIZES[at] < size_at(0.965 * critical) + noise


def test_strength_passes_at_the_defaults_and_not_where_it_is_lost():
    for name in ("iv/first-stage-f", "iv/effective-f"):
        assert fails(name, 20) == 0
        assert fails(name, 20, weakness=0.95) == 1
        assert fails(name, 20, "iv/just-identified", 200) == 0
        assert fails(name, 20, "iv/just-identified", 200, weakness=0.99) >= 0.9
        assert fails(name, 20, "iv/late", 300) == 0


def test_the_over_identification_tests_are_the_textbooks():
    problem = uneven(3)
    y, d = problem.outcome, problem.treatment
    x = np.column_stack([d, np.ones(y.size), problem.covariates])
    z = np.column_stack([x[:, 1:], problem.instruments])
    beta = find_estimator("linearmodels/2sls").fit(problem, None).value
    e = y - beta * d
    e = e - x[:, 1:] @ np.linalg.lstsq(x[:, 1:], e)[0]
    fitted = z @ np.linalg.lstsq(z, e)[0]
    sargan = fit("linearmodels/sargan", problem)
    assert sargan.statistic == pytest.approx(y.size * fitted @ fitted / (e @ e), rel=1e-8)
    assert sargan.p_value == pytest.approx(stats.chi2.sf(sargan.statistic, 2), rel=1e-8)
    w = np.linalg.inv((z * e[:, None]).T @ (z * e[:, None]))
    cross = x.T @ z @ w
    g = z.T @ (y - x @ np.linalg.solve(cross @ z.T @ x, cross @ z.T @ y))
    two = fit("linearmodels/hansen-j", problem)
    assert two.statistic == pytest.approx(g @ w @ g, rel=1e-6)
    assert two.p_value == pytest.approx(stats.chi2.sf(two.statistic, 2), rel=1e-8)


@pytest.mark.parametrize("name", ["linearmodels/sargan", "linearmodels/hansen-j"])
def test_over_identification_passes_where_the_p_value_is_the_size_or_more(name):
    problem = problem_of("iv/many", 200, instruments=4, mu2=200)
    p = fit(name, problem).p_value
    for size in (0.99 * p, 1.01 * p):
        assert fit(name, problem, size=size).passed == (p >= size)


@pytest.mark.parametrize("name", ["linearmodels/sargan", "linearmodels/hansen-j"])
def test_over_identification_keeps_its_size_and_finds_one_bad_instrument(name):
    few = {"instruments": 4, "mu2": 200}
    found = fails(name, 100, **few)
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
    # noncentrality 400 x 0.3^2 x 3/4 = 27 on three degrees of freedom: power 0.996
    assert fails(name, 20, direct=0.3, **few) >= 0.9
    with pytest.raises(Declined, match="no over-identification"):
        fit(name, problem_of("iv/just-identified", 100))


def test_a_size_without_critical_values_is_refused_and_too_many_instruments_declined():
    with pytest.raises(ValueError, match=r"max_size = 0.12 is none of 0.1, 0.15, 0.2, 0.25"):
        fit("iv/first-stage-f", uneven(), max_size=0.12)
    with pytest.raises(Declined, match="no critical value for 31 instruments"):
        fit("iv/first-stage-f", problem_of("iv/many", 100, instruments=31))
