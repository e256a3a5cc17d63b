import numpy as np
import pyarrow as pa
import pytest

from cibench.storage.schema import TYPES, schema

CELL = {
    "kind": "estimate", "scenario": "made/up", "dials": "{}", "n": 100, "parameters": "{}",
    "options": "{}", "refit": 0, "estimator": "made/method", "estimand": "ATE", "level": 0.95,
    "truth": 0.0, "truth_mcse": 0.0, "outside": False, "status": "ok", "seconds": 0.1,
}  # fmt: skip


def replicate_table(t, s, reach=1.96, **columns):
    """Write rows of one estimator in one cell; whatever is given replaces the defaults."""
    n = len(t)
    replicate = np.arange(n)
    numbers = {"estimate": t, "std_error": s, "ci_low": t - reach * s, "ci_high": t + reach * s}
    full = dict.fromkeys(TYPES) | CELL | numbers
    full |= {"replicate": replicate, "data_hash": replicate * 2**50 + 1} | columns
    arrays = []
    for field in schema():
        value = full[field.name]
        whole = [value] * n if value is None or np.isscalar(value) else value
        arrays.append(pa.array(whole, field.type, from_pandas=True))
    return pa.table(arrays, schema=schema())


@pytest.fixture
def table():
    return replicate_table


@pytest.fixture
def normal():
    """Give normal estimates with standard errors of their own, 1,500 replicates."""
    rng = np.random.default_rng(11)
    return rng.normal(size=1500), np.sqrt(rng.chisquare(30, 1500) / 30)
