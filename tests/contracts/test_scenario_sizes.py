"""Truths of few units and one law: what is caught, what is spared, and how rarely chance errs."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from cibench import Draw, Estimand, Roles, Scenario, Target, find_scenario
from cibench.contracts import ContractError, scenario_sizes
from cibench.contracts.pooled_truth import pool
from cibench.contracts.scenario_sizes import (
    BEYOND,
    FEW,
    FIRST,
    MANY,
    SECOND,
    SETS,
    check_one_law,
    check_truth_any_size,
)

Staggered = find_scenario("did/staggered")
LAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "t(5)": lambda rng, size: rng.standard_t(5, size),
}


class AsItWas(Staggered):
    """Staggered adoption, whose truth does not know that cohorts are rounded."""

    def truth_at(self, n):
        return self.truth()


def test_the_truth_of_unrounded_cohorts_is_caught_with_the_size_of_the_fault():
    off = AsItWas(never=0.25, heterogeneity=0.2)
    assert 14 in FEW and 10 in FEW
    drawn = off.draw(14, np.random.default_rng(1)).averaged(Target(Estimand.ATT)).mean()
    assert drawn - off.truth()[Target(Estimand.ATT)] == pytest.approx(0.0151, abs=5e-5)
    line = "state truth_at(n)"
    for faulty in (off, AsItWas()):  # whose dials' ends have effects that differ by cohort
        with pytest.raises(ContractError, match=re.escape(line)):
            check_truth_any_size(faulty)
    check_truth_any_size(Staggered(never=0.25, heterogeneity=0.2))


@dataclass(frozen=True, kw_only=True)
class Noisy(Scenario):
    """Effects are skewed, among clusters or in a series, and alike in law from set to set."""

    name: ClassVar[str] = "toys/noisy"
    estimand = Estimand.ATT
    clustered: bool = False
    series: bool = False

    def assigned_roles(self):
        return Roles(
            cluster="g" if self.clustered else "", time="time" if self.series else "",
        )  # fmt: skip

    def truth(self):
        return 2.0

    def draw(self, n, rng):
        """Draw n units; shocks are shared by each ten, or last, and skewed."""
        shock = rng.exponential(size=n)
        if self.clustered:
            shock = shock[np.arange(n) // 10]
        if self.series:
            shock = 1 + np.convolve(rng.normal(size=n + 20), np.ones(20), "valid")[:n]
        d, e = (rng.random(n) < 0.4).astype(float), rng.normal(size=n)
        effects = 1 + shock
        columns = {"y": e + effects * d, "d": d, "g": np.arange(n) // 10, "time": np.arange(n)}
        return Draw(columns, e, effects, d == 1)


@pytest.mark.parametrize("fields", [{}, {"clustered": True}, {"series": True}])
def test_sampling_accuses_nobody_whatever_units_share(fields):
    check_truth_any_size(Noisy(**fields))
    check_one_law(Noisy(**fields))


def test_clusters_that_are_taken_for_rows_would_have_been_accused():
    class Misread(Noisy):
        def assigned_roles(self):
            return Roles()

    with pytest.raises(ContractError, match="times what sampling explains"):
        check_one_law(Misread(clustered=True))


def test_a_number_of_units_that_is_refused_is_passed_over():
    class Refuses(Noisy):
        def draw(self, n, rng):
            if n % 10:
                raise ValueError(f"n = {n} is not a multiple of ten")
            drawn = super().draw(n, rng)
            return replace(drawn, effects=drawn.effects + 0.5 * (n == 14))

    check_truth_any_size(Refuses())


@pytest.mark.parametrize("law", LAWS)
def test_chance_accuses_a_sound_truth_in_less_than_one_of_10_000_comparisons(law):
    rng, tried, n = np.random.default_rng(8), 1_000, FEW[0]
    beyond = []
    for draws, sigmas in (FIRST, SECOND):
        count = 0
        for _ in range(tried):
            effects = LAWS[law](rng, (draws, n))
            asked = rng.random((draws, n)) < 0.5  # treated units: the average is a ratio
            sums = np.stack([(effects * asked).sum(axis=1), asked.sum(axis=1)], axis=1)
            (value,), (error,) = pool(sums[:, None, :].astype(float))
            count += abs(value) > sigmas * error
        beyond.append(count)
    # 95 % limits of both shares, multiplied: (count + 1.65 sqrt(count) + 3) / tried
    first, second = ((c + 1.65 * np.sqrt(c) + 3) / tried for c in beyond)
    assert beyond[0] <= 12 and beyond[1] == 0
    assert first * second < 1e-4  # what 1,000 trials can show; normal theory says 2e-8


def test_the_error_of_a_pooled_average_is_what_repeating_it_shows():
    """Draws of many rows weigh more, and their number errs with their sum."""
    rng, values, errors = np.random.default_rng(7), [], []
    for _ in range(400):
        counts = rng.integers(1, 40, 60)
        sums = 5 * counts + rng.normal(size=60) * np.sqrt(counts)
        (value,), (error,) = pool(np.stack([sums, counts], axis=1)[:, None, :].astype(float))
        assert value == pytest.approx(sums.sum() / counts.sum())
        values.append(value)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=4 / np.sqrt(2 * 400))


@pytest.mark.parametrize("law", LAWS)
def test_chance_accuses_one_law_of_being_several_as_rarely(law):
    rng, tried = np.random.default_rng(9), 300
    ratios = []
    for _ in range(tried):
        effects = LAWS[law](rng, (SETS, MANY))
        sampling = effects.var(axis=1, ddof=1) / MANY
        ratios.append(scenario_sizes._ratio(effects.mean(axis=1), sampling)[0])
    assert np.mean(ratios) == pytest.approx(1, abs=4 * np.sqrt(2 / (SETS - 1) / tried))
    assert np.sum(np.array(ratios) > BEYOND[0]) <= 4
    assert max(ratios) < BEYOND[1]


def test_the_thresholds_have_the_chances_that_are_stated():
    from scipy import stats

    law = stats.chi2(SETS - 1)
    assert law.sf(BEYOND[0] * (SETS - 1)) == pytest.approx(2e-3, rel=0.3)
    assert law.sf(BEYOND[1] * (SETS - 1)) == pytest.approx(3e-7, rel=0.5)
    assert 2 * stats.norm.sf(FIRST[1]) == pytest.approx(27e-4, rel=0.01)
    assert 2 * stats.norm.sf(SECOND[1]) == pytest.approx(7e-6, rel=0.05)
