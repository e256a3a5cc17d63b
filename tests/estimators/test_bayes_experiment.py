"""The posterior of an experiment agrees with brute force, and is calibrated under its own prior."""

from dataclasses import replace

import numpy as np
import pytest

import cibench
from cibench import Problem, Roles, find_estimator
from cibench.contracts import check_estimator

METHOD = find_estimator("bayes/experiment")


def fit(y, d, **options):
    target = cibench.Target(METHOD.targets[0])
    problem = Problem({"y": y, "d": d}, Roles(), (target,), 0.9)
    return METHOD.fit(problem, np.random.default_rng(3), **options)


def test_it_is_the_prior_weighted_by_the_likelihood():
    rng = np.random.default_rng(1)
    y, d = np.array([0.3, -0.8, 1.9, 0.4, 2.2, 1.1]), np.array([0, 0, 0, 1, 1, 1.0])
    found = fit(y, d, prior=1.5, shape=2.5, rate=1.5)
    size = 2_000_000
    s2 = 1.5 / rng.standard_gamma(2.5, size)
    a, b = np.sqrt(s2) * 1.5 * rng.standard_normal((2, size))
    left = y[:, None] - a - np.outer(d, b)
    log = -y.size / 2 * np.log(s2) - (left**2).sum(axis=0) / (2 * s2)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = weight @ b
    error = np.sqrt(weight**2 @ (b - mean) ** 2)
    assert abs(found.value - mean) < 4 * error
    spread = weight @ (b - found.value) ** 2
    doubt = np.sqrt(weight**2 @ ((b - found.value) ** 2 - spread) ** 2)
    assert abs(found.se**2 - spread) < 4 * doubt
    for limit, share in ((found.low, 0.05), (found.high, 0.95)):
        below = weight @ (b < limit)
        assert abs(below - share) < 4 * np.sqrt(weight**2 @ ((b < limit) - below) ** 2)


def test_draws_are_the_posteriors():
    y, d = np.arange(12.0), np.arange(12) % 2.0
    found = fit(y, d, draws=200_000)
    error = found.se / np.sqrt(200_000)
    assert abs(np.mean(found.draws) - found.value) < 4 * error
    inside = np.mean((found.draws > found.low) & (found.draws < found.high))
    assert abs(inside - 0.9) < 4 * np.sqrt(0.09 / 200_000)


def test_impossible_options_and_data_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        fit(np.arange(4.0), np.array([0, 1, 0, 1.0]), prior=0.0)
    with pytest.raises(cibench.Declined, match="does not vary"):
        fit(np.arange(4.0), np.ones(4))


def test_its_posterior_is_calibrated_under_its_prior_and_nowhere_else():
    cell = {"scenario": "bayes/experiment", "n": 20, "dials": {"shift": [4.0]}}
    cell["estimators"] = ["bayes/experiment", "naive/*"]
    run = cibench.run({"name": "sbc", "seed": 5, "replicates": 400, "cells": [cell]})
    [line] = run.calibration.to_dict("records")
    assert line["dials"] == '{"shift":0.0}' and line["calibrated"], line
    own = run.scores[run.scores["estimator"] == "bayes/experiment"]
    error = np.hypot(*own["coverage_mcse"])
    assert own["coverage"].iloc[0] - own["coverage"].iloc[1] - 2 * error > 0.1


def test_contracts():
    check_estimator(replace(METHOD))
