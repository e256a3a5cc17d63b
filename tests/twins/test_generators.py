"""Generators keep margins and dependence, draw the same again, and survive their file."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import ks_2samp, spearmanr

from cibench.twins.generators.base import Training, maker
from cibench.twins.generators.copulas import Margin, ranks
from cibench.utils.errors import BadInput

FAMILIES = ("vine", "gaussian", "resampling", "trees")


def training(rows=1500, number=0):
    rng = np.random.default_rng(number)
    z = (
        rng.standard_normal((rows, 3))
        @ np.linalg.cholesky(np.array([[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]])).T
    )
    level = rng.integers(0, 3, rows)
    columns = {
        "a": np.exp(z[:, 0]) + level, "count": np.floor(4 * ndtr(z[:, 1])), "b": z[:, 2],
        "level": np.array([2.0, 0.0, 1.0])[level], "residual: ": rng.standard_normal(rows),
    }  # fmt: skip
    discrete = frozenset({"count", "level"})
    return Training(columns, discrete, frozenset({"level"}), ("residual: ",))


@pytest.mark.parametrize("family", FAMILIES)
def test_margins_and_dependence_are_the_seeds(family):
    seed = training()
    drawn = (
        maker(family).train(seed, np.random.default_rng(1)).sample(20_000, np.random.default_rng(2))
    )
    for name, column in seed.columns.items():
        assert ks_2samp(column, drawn[name]).statistic < 1.95 / np.sqrt(1500)
    for pair in (("a", "count"), ("a", "b"), ("count", "b")):
        was, now = (spearmanr(c[pair[0]], c[pair[1]]).statistic for c in (seed.columns, drawn))
        assert now == pytest.approx(was, abs=4 / np.sqrt(1500))
    for value in (0.0, 1.0, 2.0):  # the category without an order moves the mean of a
        was, now = (np.median(c["a"][c["level"] == value]) for c in (seed.columns, drawn))
        assert now == pytest.approx(was, abs=0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_stream_gives_the_same_rows_and_another_others(family):
    generator = maker(family).train(training(400), np.random.default_rng(1))
    one, same, other = (generator.sample(50, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(one[n], same[n]) for n in one)
    assert not np.array_equal(one["a"], other["a"])
    again = maker(family).load(generator.state()).sample(50, np.random.default_rng(1))
    assert all(np.array_equal(one[n], again[n]) for n in one)


def test_a_discrete_column_does_not_dilute_the_correlation():
    """Latent correlation 0.6; from randomised ranks of five values it would come out lower."""
    seed = training(20_000)
    fitted = maker("gaussian").train(seed, np.random.default_rng(1))
    names = fitted.margins.names
    at = names.index("count"), names.index("b")
    assert fitted.correlation[at] == pytest.approx(0.5, abs=0.03)


def test_a_gaussian_copula_has_the_correlation_of_normal_scores_whatever_the_margins():
    """Latent correlation 0.6; that of ranks is 6 / pi arcsin(0.3) = 0.582."""
    rng, n = np.random.default_rng(4), 60_000
    x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n).T
    columns = {"x": np.exp(x), "y": y**3, "residual: ": rng.standard_normal(n)}
    fitted = maker("gaussian").train(Training(columns, frozenset(), frozenset(), ("residual: ",)),
                                     np.random.default_rng(1))  # fmt: skip
    at = fitted.margins.names.index("x"), fitted.margins.names.index("y")
    assert fitted.correlation[at] == pytest.approx(0.6, abs=4 * (1 - 0.36) / np.sqrt(n))


def test_a_vine_follows_what_a_gaussian_copula_does_not_see():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000)
    noise = {"residual: ": rng.standard_normal(2000)}
    columns = {"x": x, "y": x**2 + 0.3 * rng.standard_normal(2000), **noise}
    seed = Training(columns, frozenset(), frozenset(), ("residual: ",))
    rows = {
        family: maker(family).train(seed, rng).sample(20_000, np.random.default_rng(1))
        for family in ("vine", "gaussian", "trees")
    }
    curved = {f: np.corrcoef(np.abs(r["x"]), r["y"])[0, 1] for f, r in rows.items()}
    true = np.corrcoef(np.abs(x), columns["y"])[0, 1]
    assert curved["vine"] > 0.8 * true
    assert curved["trees"] > 0.8 * true
    assert abs(curved["gaussian"]) < 0.1


def test_resampled_residuals_are_centred_and_keep_their_scale():
    rng = np.random.default_rng(0)
    a = rng.uniform(-2, 2, 3000)
    columns = {"a": a, "residual: ": np.exp(a / 2) * rng.standard_normal(3000) + 0.2}
    seed = Training(columns, frozenset(), frozenset(), ("residual: ",))
    drawn = maker("resampling").train(seed, rng).sample(200_000, np.random.default_rng(1))
    r, high = drawn["residual: "], drawn["a"] > 1
    assert abs(r.mean()) < 4 * r.std() / np.sqrt(200_000)
    assert abs(r[high].mean()) < 4 * r[high].std() / np.sqrt(high.sum())
    was = columns["residual: "][a > 1].std() / columns["residual: "][a < -1].std()
    assert r[high].std() / r[drawn["a"] < -1].std() == pytest.approx(was, rel=0.15)


def test_margins_give_back_values_and_ranks():
    rng = np.random.default_rng(0)
    x = np.r_[np.zeros(300), rng.gamma(2, 3, 700)]
    margin = Margin.of(x, discrete=False)
    u = rng.random(100_000)
    drawn = margin.quantile(u)
    assert np.mean(drawn == 0) == pytest.approx(0.3, abs=0.01)
    assert drawn.max() <= x.max()
    from scipy.special import ndtri

    inner = (u > 0.005) & (u < 0.995)
    assert np.allclose(margin.normal_quantile(ndtri(u))[inner], drawn[inner], atol=0.05)
    assert np.allclose(np.sort(ranks(x, rng)), (np.arange(1000) + 0.5) / 1000)


def test_an_unknown_generator_gets_its_near_miss():
    with pytest.raises(BadInput, match="did you mean 'vine'"):
        maker("vines")
