"""Verdicts on rows of known coverage: how often is a whole table wrong in a single one?"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from cibench.analysis.expectations import SURPRISES, ExpectationVerdict, judge_expectations
from cibench.metrics.core import proportion
from cibench.storage.schema import SCORED

RUNS, FLOOR = 2000, 0.9
CATALOGUE = {
    "scenarios": {"t/t": {"violates": ["wrong"], "dials": {}, "parameters": {}}},
    "estimators": {
        "t/valid": {"assumes": [], "targets": ["ATE"]},
        "t/fails": {"assumes": ["wrong"], "targets": ["ATE"]},
    },
}
TABLE = {"scenario": "t/t", "estimators": "t/*", "expect": {"fails": {"t/fails": "default"}}}


def table(estimators, covered, replicates):
    shares = [proportion(int(k), replicates) for k in covered]
    names = {"kind": "estimate", "scenario": "t/t", "dials": "{}", "parameters": "{}",
             "estimand": "ATE", "level": 0.95}  # fmt: skip
    return pd.DataFrame(
        dict.fromkeys(SCORED) | names | {
            "n": np.arange(len(covered)), "estimator": estimators, "replicates": replicates,
            "answered": replicates, "failures": 0, "declined": 0,
            "empirical_se": 1.0, "truth": 0.0, "bias": 0.0,
            "coverage_with_failures": [s.value for s in shares],
            "coverage_with_failures_mcse": [s.mcse for s in shares],
        }
    )  # fmt: skip


def false(line, p):
    """Say whether a verdict states something of the true coverage p that is not so."""
    verdict = line["verdict"]
    if verdict in (ExpectationVerdict.VALID, ExpectationVerdict.SURVIVES):
        return p < FLOOR
    if verdict == ExpectationVerdict.CONSERVATIVE:
        return p < 0.975
    return (
        verdict in (ExpectationVerdict.FAILS, ExpectationVerdict.FAILS_UNEXPECTEDLY) and p >= FLOOR
    )


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize(
    "coverages",
    [np.full(20, FLOOR), np.r_[np.full(10, FLOOR), np.linspace(0.5, 0.99, 10)]],
    ids=["all at the floor", "half at the floor"],
)
def test_false_surprises_and_false_verdicts_are_rare_family_wise(coverages, shared, monkeypatch):
    """Count runs with one or more false verdicts; rows share a normal factor with weight `shared`.

    Whoever is expected to be valid is at or above the floor, whoever to fail at or below it, so
    that every surprise is false; at the floor a verdict is likeliest to be wrong.
    """
    monkeypatch.setattr(
        "cibench.analysis.coverage_verdicts.replicates_needed", lambda *_: np.inf
    )  # for speed
    rng, replicates = np.random.default_rng(20261121), 400
    coverages = np.tile(coverages, 2)
    valid = np.arange(coverages.size) < coverages.size // 2
    true = np.where(valid, np.maximum(coverages, FLOOR), np.minimum(coverages, FLOOR))
    estimators = np.where(valid, "t/valid", "t/fails")
    spec = {"cells": [TABLE | {"n": list(range(true.size))}]}
    surprised = wrong = 0
    for _ in range(RUNS):
        common, own = rng.normal(size=(replicates, 1)), rng.normal(size=(replicates, true.size))
        u = norm.cdf(np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
        found = judge_expectations(
            table(estimators, (u < true).sum(axis=0), replicates), CATALOGUE, spec
        )
        lines = found.to_dict("records")
        surprised += any(line["verdict"] in SURPRISES for line in lines)
        wrong += any(false(line, p) for line, p in zip(lines, true, strict=True))
    # no more than chance lets 5 of 100, and for surprises 2.5 of 100, turn out
    assert wrong <= binom.ppf(0.999, RUNS, 0.05)
    assert surprised <= binom.ppf(0.999, RUNS, 0.025)
