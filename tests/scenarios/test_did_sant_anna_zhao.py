"""The four designs as published: moments of what drives them, and the bias of two-way effects."""

import sys
from functools import partial

import numpy as np
import pytest

from cibench import Problem, find_estimator, find_scenario
from cibench.model.streams import stream

PUBLISHED = {1: (-20.952, 21.123), 2: (-19.286, 19.468), 3: (-13.170, 13.364), 4: (-16.385, 16.538)}
STATED = {1: ("-20.9", "245"), 2: ("-19.3", "248"), 3: ("-13.1", "258"), 4: ("-16.4", "253")}
DRIVEN = {1: "zz", 2: "zx", 3: "xz", 4: "xx"}  # outcome, treatment
THEIRS, OURS = 10_000, 200
N = 400_000

module = sys.modules[find_scenario("did/sant-anna-zhao-1").__module__]


def design(number, **fields):
    return find_scenario(f"did/sant-anna-zhao-{number}")(**fields)


@pytest.fixture(scope="module")
def seen():
    x = stream("test", "moments").normal(size=(N, 4))
    return {"x": x, "z": module.observed(x)}


def test_the_published_constants_standardise_z(seen):
    z = seen["z"]
    error = 4 / np.sqrt(N)
    assert np.allclose(z.mean(axis=0), 0, atol=error)
    kurtosis = ((z - z.mean(axis=0)) ** 4).mean(axis=0)
    assert np.abs(z.var(axis=0) - 1).max() < 4 * np.sqrt(kurtosis.max() / N)


def test_z_is_the_published_map_of_x():
    x = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]])
    e = np.exp
    raw = np.array([[1, 10, 0.216, 400], [e(0.5), 2 / (1 + e(1)) + 10, 0.72**3, 625]])
    means = np.array([e(0.125), 10, 0.21887, 402])
    sds = np.array([np.sqrt((e(0.25) - 1) * e(0.25)), 0.54164, 0.04453, 56.63891])
    assert np.allclose(module.observed(x), (raw - means) / sds)


@pytest.mark.parametrize("drives", ["x", "z"])
def test_outcome_and_propensity_have_the_published_form(seen, drives):
    w = seen[drives]
    f, p = module.regression(w), module.propensity(w)
    assert f.mean() == pytest.approx(210, abs=4 * f.std() / np.sqrt(N))
    one = np.eye(4)
    assert np.allclose(module.regression(one), 210 + np.array([27.4, 13.7, 13.7, 13.7]))
    logit = np.log(module.propensity(one) / (1 - module.propensity(one)))
    assert np.allclose(logit, [-0.75, 0.375, -0.1875, -0.075])
    # the index is symmetric around 0 in X, a little off in Z
    assert p.mean() == pytest.approx(
        0.5 if drives == "x" else 0.506, abs=4 * p.std() / np.sqrt(N) + 5e-4
    )


@pytest.mark.parametrize("number", DRIVEN)
def test_treatment_and_outcomes_follow_what_drives_the_design(number):
    n = 50_000
    c = design(number).draw(n, stream("test", "shares")).columns
    group, z = c["cohort"][::2] == 1, np.column_stack([c[f"z{k}"][::2] for k in (1, 2, 3, 4)])
    y = c["y"].reshape(n, 2)
    assert np.array_equal(c["d"].reshape(n, 2), np.column_stack([np.zeros(n), group]))
    # the change is f and two errors; a fit in Z is exact where Z drives the outcome
    change = np.diff(y)[:, 0]
    fit, (rss,), *_ = np.linalg.lstsq(np.column_stack([np.ones(n), z]), change)
    if DRIVEN[number][0] == "z":
        assert fit == pytest.approx([210, 27.4, 13.7, 13.7, 13.7], abs=4 * np.sqrt(3 / n))
        assert rss / n == pytest.approx(2, rel=4 * np.sqrt(2 / n))
    else:
        assert rss / n > 50
    # where Z drives the treatment, what is left of it is unrelated to Z
    surprise = group - module.propensity(z)
    slope = np.abs(z.T @ surprise) / np.sqrt(n)
    assert bool(slope.max() < 4) == (DRIVEN[number][1] == "z")


def test_a_trend_is_added_to_the_treated_rows():
    plain, moved = (design(1, trend=t).draw(500, stream("test", "trend")) for t in (0, -2))
    assert np.allclose(moved.columns["y"] - plain.columns["y"], -2 * plain.columns["d"])


@pytest.mark.parametrize(("dial", "other"), [("propensity_misfit", 2), ("outcome_misfit", 3)])
def test_a_misfit_of_one_makes_the_first_design_the_other_one(dial, other):
    made = design(1, **{dial: 1}).draw(300, stream("test", "misfit")).columns
    known = design(other).draw(300, stream("test", "misfit")).columns
    assert all(np.array_equal(made[name], known[name]) for name in known)


def test_two_way_fixed_effects_give_the_stacked_regression_on_z():
    scenario = design(1)
    drawn = scenario.draw(1000, stream("test", "stacked"))
    problem = Problem.of(drawn, scenario.roles, scenario.targets())
    fit = find_estimator("panel/twfe").fit(problem, stream("test"))
    assert fit.value == pytest.approx(stacked(drawn), rel=1e-6)


def stacked(drawn):
    """Regress y on D post, post, D and Z, as the paper does."""
    c = drawn.columns
    z = [c[f"z{k}"] for k in (1, 2, 3, 4)]
    rows = np.column_stack([c["d"], c["time"], c["cohort"], *z, np.ones(c["y"].size)])
    return np.linalg.solve(rows.T @ rows, rows.T @ c["y"])[0]


@pytest.mark.parametrize("number", PUBLISHED)
def test_the_bias_of_two_way_fixed_effects_is_the_published_one(number):
    drawn = [design(number).draw(1000, stream("test", number, k)) for k in range(OURS)]
    found = np.array([stacked(each) for each in drawn])
    bias, rmse = PUBLISHED[number]
    error = np.sqrt((rmse**2 - bias**2) * (1 / OURS + 1 / THEIRS))
    assert found.mean() == pytest.approx(bias, abs=3 * error)
    assert found.std(ddof=1) == pytest.approx(np.sqrt(rmse**2 - bias**2), rel=4 / np.sqrt(2 * OURS))


@pytest.mark.parametrize("number", STATED)
def test_the_biases_are_those_that_the_docstring_states(seen, number):
    f = module.regression(seen[DRIVEN[number][0]])
    p = module.propensity(seen[DRIVEN[number][1]])
    share, off = p.mean(), (f - f.mean()) * (p - p.mean())
    scale = 1 / (share * (1 - share))
    gap, error = scale * off.mean(), scale * off.std() / np.sqrt(N)
    # treated rows have 3 f; the untreated ones are the treated before, 2 f, and others, f and 2 f
    treated, others = 210 + (1 - share) * gap, 210 - share * gap
    untreated = (share * 2 * treated + (1 - share) * 3 * others) / (2 - share)
    fixed_effects, naive = STATED[number]
    assert gap == pytest.approx(float(fixed_effects), abs=0.05 + 4 * error)
    assert 3 * treated - untreated == pytest.approx(float(naive), abs=0.5 + 8 * error)
    assert fixed_effects in module.__doc__
    assert naive in module.__doc__


def outcome_regression(change, group, z):
    return (change - z @ np.linalg.lstsq(z[~group], change[~group])[0])[group].mean()


def weighted(change, group, z, normalised):
    """Weigh the others by the odds of a logistic propensity, fitted by Newton's method."""
    b = np.zeros(z.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-z @ b))
        b += np.linalg.solve((z.T * (p * (1 - p))) @ z, z.T @ (group - p))
    odds = np.exp(z @ b) * ~group
    return change[group].mean() - odds @ change / (odds.sum() if normalised else group.sum())


@pytest.mark.parametrize(
    ("dial", "method", "bias", "rmse"),
    [
        ("outcome_misfit", outcome_regression, -1.384, 1.868),
        ("propensity_misfit", partial(weighted, normalised=False), 2.010, 3.298),
        ("propensity_misfit", partial(weighted, normalised=True), -0.794, 1.225),
    ],
)
def test_a_wrong_model_is_off_by_the_published_bias(dial, method, bias, rmse):
    scenario, found = design(1, **{dial: 1}), []
    for k in range(OURS):
        c = scenario.draw(1000, stream("test", "misfit", k)).columns
        z = np.column_stack([np.ones(1000), *(c[f"z{j}"][::2] for j in (1, 2, 3, 4))])
        found.append(method(np.diff(c["y"].reshape(1000, 2))[:, 0], c["cohort"][::2] == 1, z))
    error = np.sqrt((rmse**2 - bias**2) * (1 / OURS + 1 / THEIRS))
    assert np.mean(found) == pytest.approx(bias, abs=3 * error)
    assert f"{bias:.3f}" in module.__doc__
