"""The wild cluster bootstrap against the library on all dummies and against its definition."""

import itertools

import numpy as np
import pytest

from cibench import Declined, Estimand, Problem, find_estimator, find_scenario
from cibench import Target as To
from cibench.model.streams import stream

BOTH = ("panel/twfe-wild-bootstrap", "panel/twfe-wild-bootstrap-unrestricted")


def drawn(n, **settings):
    scenario = find_scenario("did/state-panel")(**settings)
    draw = scenario.draw(n, stream("test", "wild", n))
    return Problem.of(draw, scenario.assigned_roles(), (To(Estimand.ATT),))


def fit(name, problem, seed=1, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(seed), **options)


def dummies(problem):
    unit, time = problem.columns["unit"], problem.columns["time"]
    return np.column_stack(
        [problem.treatment, unit[:, None] == np.unique(unit), time[:, None] == np.unique(time)[1:]]
    ).astype(float)


def test_sweeping_out_units_leaves_the_librarys_p_value(monkeypatch):
    import pandas as pd
    from statsmodels.regression.linear_model import OLS
    from wildboottest.wildboottest import wildboottest

    problem = drawn(12, rho=0.6)
    x = pd.DataFrame(dummies(problem)).rename(columns=str)
    model = OLS(pd.Series(problem.outcome), x)
    seed = int(np.random.default_rng(1).integers(2**31))
    direct = wildboottest(
        model, B=399, cluster=pd.Series(problem.columns["unit"]), param="0", seed=seed,
        parallel=False, show=False,
    )  # fmt: skip
    given = fit(BOTH[0], problem, draws=399)
    assert given.p_value == pytest.approx(direct["p-value"].iloc[0], abs=1e-12)
    assert given.value == pytest.approx(model.fit().params.iloc[0], rel=1e-8)


def statistics(problem, null):
    """Return t and t* over all sign patterns, refitting the whole regression each time."""
    x, y, unit = dummies(problem), problem.outcome, problem.columns["unit"]
    rest = x if null is None else x[:, 1:]
    offset = 0 if null is None else null * x[:, 0]
    fitted = rest @ np.linalg.lstsq(rest, y - offset, rcond=None)[0] + offset
    inverse = np.linalg.inv(x.T @ x)

    def t(outcome, center):
        beta = inverse @ x.T @ outcome
        scores = (x * (outcome - x @ beta)[:, None]) @ inverse[:, 0]
        return (beta[0] - center) / np.sqrt((np.bincount(unit, scores) ** 2).sum())

    center = null if null is not None else (inverse @ x.T @ y)[0]
    signs = itertools.product([-1, 1], repeat=unit.max() + 1)
    starred = [t(fitted + np.array(v)[unit] * (y - fitted), center) for v in signs]
    return t(y, 0.0 if null is None else null), np.abs(starred)


def test_six_clusters_are_enumerated_and_agree_with_refits():
    problem = drawn(6, rho=0.8)
    t, starred = statistics(problem, 0.0)
    given = fit(BOTH[0], problem)
    # patterns and their mirror images tie with |t| itself; rounding decides those two of 64
    assert given.p_value == pytest.approx(np.mean(np.abs(t) < starred - 1e-9), abs=2.01 / 64)
    assert given.p_value == fit(BOTH[0], problem, seed=2).p_value
    assert given.low is None and given.se is None


def test_limits_invert_the_unrestricted_test():
    problem = drawn(6, rho=0.8)
    given = fit(BOTH[1], problem)
    t, starred = statistics(problem, None)
    reach = (given.high - given.low) / 2 / given.se
    scale = t / given.statistic  # the library's small-sample factor, the same in t and t*
    assert np.mean(starred >= reach * scale - 1e-6) >= 0.05
    assert np.mean(starred > reach * scale + 1e-6) <= 0.05


def test_seeds_make_it_reproducible():
    problem = drawn(14)
    one, again, other = (fit(BOTH[1], problem, seed, draws=199) for seed in (1, 1, 2))
    assert (one.low, one.p_value) == (again.low, again.p_value)
    assert one.low != other.low


@pytest.mark.parametrize("name", BOTH)
def test_unsuitable_data_are_declined_in_words(name):
    problem = drawn(6)
    ones = {**problem.columns, "d": np.ones(problem.outcome.size)}
    with pytest.raises(Declined, match="does not vary beyond unit and period"):
        fit(name, Problem(ones, problem.roles, problem.targets))
    with pytest.raises(Declined, match="more than 5 clusters"):
        fit(name, problem, max_clusters=5)
    alone = {**problem.columns, "unit": 0 * problem.columns["unit"]}
    with pytest.raises(Declined, match="one cluster"):
        fit(name, Problem(alone, problem.roles, problem.targets))
