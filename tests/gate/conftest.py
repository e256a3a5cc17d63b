from functools import partial

import numpy as np
import pytest
from replicates import replicate_arrow


@pytest.fixture
def table():
    """Give a function that returns rows of one estimator in one cell, whose truth is 0."""
    cell = {"scenario": "made/up", "estimator": "made/method", "truth": 0.0}
    return partial(replicate_arrow, reach=1.96, **cell)


@pytest.fixture
def normal():
    """Give normal estimates with standard errors of their own, 1,500 replicates."""
    rng = np.random.default_rng(11)
    return rng.normal(size=1500), np.sqrt(rng.chisquare(30, 1500) / 30)
