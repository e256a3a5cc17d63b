"""The two-period adapters against the library's own interface and against regressions by hand."""

import numpy as np
import pytest

from cibench import (
    Declined,
    Estimand,
    Estimate,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.model.streams import stream

ASKED = (Target(Estimand.ATT),)
NAMES = ("or", "ipw", "ipw-normalised", "dr", "dr-improved")
LIBRARY = {
    "or": ("ordid", {}), "ipw": ("ipwdid", {"est_method": "ipw"}),
    "ipw-normalised": ("ipwdid", {"est_method": "std_ipw"}),
    "dr": ("drdid", {"est_method": "trad"}), "dr-improved": ("drdid", {"est_method": "imp"}),
}  # fmt: skip


def drawn(name="did/sant-anna-zhao-1", n=400, replicate=0):
    scenario = find_scenario(name)()
    draw = scenario.draw(n, stream("test", name, n, replicate))
    return Problem.of(draw, scenario.assigned_roles(), ASKED)


def fit(name, problem, **options):
    return find_estimator(f"drdid/{name}").fit(problem, None, **options)


def wide(problem):
    y, d = problem.outcome.reshape(-1, 2), problem.treatment.reshape(-1, 2)[:, 1]
    return y[:, 1] - y[:, 0], d, np.column_stack([np.ones(d.size), problem.covariates[::2]])


@pytest.fixture(scope="module")
def problem():
    return drawn()


@pytest.mark.parametrize("name", NAMES)
def test_each_is_the_librarys_function_for_long_data(name):
    import moderndid

    panel = moderndid.load_mpdta().to_pandas()
    panel = panel[panel["year"].isin([2006, 2007]) & panel["first.treat"].isin([0, 2007])]
    columns = {
        "y": panel["lemp"].to_numpy(), "d": ((panel["year"] == 2007) * panel["treat"]).to_numpy(),
        "unit": panel["countyreal"].to_numpy(), "time": panel["year"].to_numpy(),
        "x": panel["lpop"].to_numpy(),
    }  # fmt: skip
    given = fit(name, Problem(columns, Roles(unit="unit", time="time", covariates=("x",)), ASKED))
    function, options = LIBRARY[name]
    roles = {"yname": "lemp", "tname": "year", "idname": "countyreal", "treatname": "treat"}
    direct = getattr(moderndid, function)(panel, **roles, xformla="~ lpop", panel=True, **options)
    assert (given.value, given.se) == pytest.approx((direct.att, direct.se), rel=1e-9)
    assert given.low == pytest.approx(direct.lci, abs=4e-5 * direct.se)


def test_outcome_regression_is_two_least_squares(problem):
    change, d, x = wide(problem)
    beta, *_ = np.linalg.lstsq(x[d == 0], change[d == 0], rcond=None)
    value = change[d == 1].mean() - x[d == 1].mean(0) @ beta
    assert fit("or", problem).value == pytest.approx(value, rel=1e-9)


def test_weighting_is_by_the_odds_of_a_logit(problem):
    from scipy.optimize import minimize

    change, d, x = wide(problem)
    deviance = minimize(
        lambda b: np.logaddexp(0, x @ b).sum() - d @ (x @ b), np.zeros(5), method="BFGS", tol=1e-10
    )
    odds = np.exp(x @ deviance.x) * (1 - d)
    assert (odds / (1 + odds)).max() < 0.995
    treated = change[d == 1].mean()
    plain = treated - (odds * change).sum() / d.sum()
    normalised = treated - (odds * change).sum() / odds.sum()
    assert fit("ipw", problem).value == pytest.approx(plain, rel=1e-3, abs=1e-2)
    assert fit("ipw-normalised", problem).value == pytest.approx(normalised, rel=1e-3, abs=1e-3)
    beta, *_ = np.linalg.lstsq(x[d == 0], change[d == 0], rcond=None)
    rest = change - x @ beta
    robust = rest[d == 1].mean() - (odds * rest).sum() / odds.sum()
    assert fit("dr", problem).value == pytest.approx(robust, rel=1e-4, abs=1e-5)


def test_controls_whose_propensity_reaches_the_level_are_dropped(problem):
    import statsmodels.api as sm

    change, d, x = wide(problem)
    p = sm.Logit(d, x).fit(disp=0).predict()
    for level in (0.5, 0.7):
        odds = p / (1 - p) * (1 - d) * (p < level)
        assert 0.02 < np.mean((p >= level)[d == 0]) < 0.9
        plain = change[d == 1].mean() - (odds * change).sum() / d.sum()
        normalised = change[d == 1].mean() - (odds * change).sum() / odds.sum()
        assert fit("ipw", problem, trim_level=level).value == pytest.approx(plain, rel=1e-4)
        given = fit("ipw-normalised", problem, trim_level=level)
        assert given.value == pytest.approx(normalised, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_covariates_are_those_before_treatment(problem, name):
    later = problem.columns["time"] == problem.columns["time"].max()
    noise = np.random.default_rng(2).normal(size=later.size)
    covariates = {z: problem.columns[z] + later * noise for z in problem.roles.covariates}
    moved = Problem({**problem.columns, **covariates}, problem.roles, ASKED)
    assert fit(name, moved).value == fit(name, problem).value


def test_the_improved_weights_balance_the_covariates_so_that_the_regression_drops_out(problem):
    change, d, x = wide(problem)
    balanced = np.zeros(5)
    for _ in range(50):  # Newton steps on the tilting moments: odds of controls sum to the treated
        odds = np.exp(x @ balanced) * (1 - d)
        moment = x[d == 1].sum(0) - odds @ x
        balanced += np.linalg.solve((x * odds[:, None]).T @ x, moment)
    value = (d - odds) @ change / d.sum()
    assert fit("dr-improved", problem).value == pytest.approx(value, rel=1e-3, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_rows_may_come_in_any_order_and_the_level_is_the_problems(problem, name):
    order = np.random.default_rng(0).permutation(problem.outcome.size)
    shuffled = {key: column[order] for key, column in problem.columns.items()}
    one, other = fit(name, problem), fit(name, Problem(shuffled, problem.roles, ASKED, level=0.8))
    assert (other.value, other.se) == pytest.approx((one.value, one.se), rel=1e-6)
    assert other.low == Estimate.wald(other.value, other.se, 0.8).low


@pytest.mark.parametrize("name", NAMES)
def test_unsuitable_data_are_declined_in_words(problem, name):
    def changed(**columns):
        return Problem({**problem.columns, **columns}, problem.roles, ASKED)

    everybody = changed(d=(problem.columns["time"] == 1).astype(float))
    with pytest.raises(Declined, match="treated and untreated units after"):
        fit(name, everybody)
    with pytest.raises(Declined, match="collinear"):
        fit(name, changed(z2=problem.columns["z1"]))
    with pytest.raises(Declined, match="two periods"):
        fit(name, changed(time=np.arange(problem.outcome.size)))
    with pytest.raises(Declined, match="nobody treated before"):
        fit(name, changed(d=np.ones(problem.outcome.size)))


@pytest.mark.filterwarnings("ignore:Extreme weight ratios:UserWarning")
def test_doubly_robust_estimates_survive_one_wrong_model():
    errors = {name: [] for name in NAMES}
    for replicate in range(60):
        wrong_outcome = drawn("did/sant-anna-zhao-3", 1000, replicate)
        for name in NAMES:
            errors[name].append(fit(name, wrong_outcome).value)
    means = {name: np.mean(values) for name, values in errors.items()}
    mcse = {name: np.std(values, ddof=1) / np.sqrt(60) for name, values in errors.items()}
    assert means["or"] == pytest.approx(-1.384, abs=3 * mcse["or"])  # published, section C
    for name, published in (("dr", -0.051), ("dr-improved", -0.071), ("ipw-normalised", -0.030)):
        assert means[name] == pytest.approx(published, abs=3 * mcse[name])
