"""Intervals from enlarged data cover what was planted, and the population's effect hardly ever."""

import numpy as np
import pytest
from scipy.stats import norm

from cibench.twins.audit.interval_worth import (
    NO_INTERVAL,
    ROWS,
    SUPPORTED,
    estimated,
    worth,
)
from cibench.twins.cross_section import reconstruct
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.panel import rebuild_panel

Z = norm.ppf(0.975)


@pytest.mark.parametrize("name", ["rd", "iv", "observables", "did"])
def test_naive_intervals_cover_the_planted_effect_alone(twin_of, name):
    """By closed form 2 Phi(z s / sqrt(s^2 + S^2)) - 1, s the larger data's error, S the seed's."""
    twin = twin_of(name)
    found = worth(twin, replicates=60)
    build = reconstruct if twin.panel is None else rebuild_panel
    units, size = ROWS, twin.seed["rows"]
    if twin.panel is not None:
        units, size = units // 10, size // 10
    rng = np.random.default_rng(0)
    small, large = (
        estimated(twin, build(twin, n, rng, twin.seed["effect"], {}))[1] for n in (size, units)
    )
    expected = 2 * norm.cdf(Z * large / np.hypot(small, large)) - 1
    error = np.sqrt(0.25 / 60)
    assert found.population == pytest.approx(expected, abs=3.5 * error)
    assert found.planted > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 60)
    assert found.population < 0.75
    assert NO_INTERVAL not in found.lines
    if name in SUPPORTED:
        assert found.high - found.low == pytest.approx(2 * Z * twin.seed["se"])
    else:  # T.3: of a method of its own
        low, high, method = (twin.seed["interval"][part] for part in ("low", "high", "method"))
        assert f"what the seed itself supports: {low:.6g} to {high:.6g} ({method})" in found.lines


def test_with_a_known_outcome_function_there_is_nothing_to_say(seeds):
    make, design = seeds["rd"]
    said = UserStructure(outcome="3000 + 400*(x - 5) + 20*(x - 5)**2", effect="300*x")
    assert worth(fit_twin(seed_of(make(300), design), "gaussian", said)) is None
