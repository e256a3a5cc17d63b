"""Data twins in a regression discontinuity: what they lose, and what they keep too surely."""

import numpy as np
import pytest

from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream

NAIVE, KEPT, QUALITY = "twin/gaussian-copula", "twin/residualised", "twin/quality"


def problem(n=1000, replicate=0, name="rd/loyalty", **fields):
    scenario = find_scenario(name)(**fields)
    drawn = scenario.draw(n, stream("twin", replicate))
    return Problem.of(drawn, scenario.assigned_roles(), scenario.targets())


def fit(one, name, at=0, **options):
    return find_estimator(name).fit(one, stream("fit", at), **options)


def mean_and_error(found):
    found = np.array(found)
    return found.mean(), found.std(ddof=1) / np.sqrt(found.size)


def test_a_copula_erases_the_jump_and_a_residualised_twin_keeps_it():
    # an effect of 1500 at the cutoff; the real rows answer 1500, and the naive twin about nothing
    for name, wanted in ((NAIVE, 0.0), (KEPT, 1500.0), ("rd/local-linear", 1500.0)):
        found = [fit(problem(1500, r), name, r, bandwidth=2.5).value for r in range(80)]
        mean, error = mean_and_error(found)
        assert abs(mean - wanted) < 4 * error + (100 if name == NAIVE else 0)


def test_more_synthetic_rows_make_the_interval_shorter_and_no_truer():
    one = [problem(500, r) for r in range(60)]
    for multiple, most in ((1, 0.95), (10, 0.75)):
        found = [fit(p, KEPT, r, bandwidth=2.5, multiple=multiple) for r, p in enumerate(one)]
        covered = np.mean([e.low <= 1500 <= e.high for e in found])
        assert covered < most
    long, short = (fit(one[0], KEPT, multiple=m, bandwidth=2.5) for m in (1, 25))
    assert short.se / long.se == pytest.approx(1 / 5, rel=0.2)


def test_the_twin_has_the_margins_and_the_rank_correlation_of_the_real_rows():
    from scipy.stats import kendalltau, ks_2samp

    from cibench.estimators.twins import _twin
    from cibench.scenarios import rd_loyalty  # noqa: F401

    one = problem(4000)
    x, y = _twin(one.running, one.outcome, 40_000, stream("margins"))
    assert ks_2samp(x, one.running).statistic < 1.95 * np.sqrt(1 / 4000 + 1 / 40_000)
    assert ks_2samp(y, one.outcome).statistic < 1.95 * np.sqrt(1 / 4000 + 1 / 40_000)
    real = kendalltau(one.running, one.outcome).statistic
    assert kendalltau(x, y).statistic == pytest.approx(real, abs=0.02)


def test_the_quality_score_is_high_whatever_the_jump():
    scores = [fit(problem(effect=effect), QUALITY) for effect in (0.0, 1500.0)]
    assert all(s.passed and s.statistic > 0.93 for s in scores)
    y = np.random.default_rng(1).permutation(problem().outcome)
    assert fit(problem(), QUALITY, least=0.999).passed is False and y.size == 1000


def test_rows_that_break_the_rule_are_declined():
    with pytest.raises(Declined, match="does not follow the rule"):
        fit(problem(error=0.5), NAIVE)
