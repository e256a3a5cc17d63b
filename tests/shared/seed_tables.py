"""Small tables of every design, and twins that are fitted to them once a session."""

import numpy as np
import pandas as pd
import pytest

from cibench import find_scenario
from cibench.twins.design import Design
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of


def loyalty_frame(rows=1000, number=1):
    """Draw seed data from the closed-form design, covariates strong."""
    drawn = find_scenario("rd/loyalty-strong-covariates")().draw(
        rows, np.random.default_rng(number)
    )
    return pd.DataFrame(dict(drawn.columns))


def observed_frame(rows=800, number=2):
    """Draw a seed whose treatment depends on covariates, with an effect of 2."""
    rng = np.random.default_rng(number)
    a, b = rng.standard_normal((2, rows))
    c = rng.integers(0, 4, rows)
    p = 1 / (1 + np.exp(-(0.8 * a - 0.5 * b + 0.3 * (c - 1.5))))
    d = (rng.random(rows) < p).astype(int)
    y = 1 + a + 0.5 * b**2 + c + 2 * d + rng.standard_normal(rows) * (1 + 0.5 * (a > 0))
    return pd.DataFrame({"y": y, "d": d, "a": a, "b": b, "c": c})


def instrument_frame(rows=1500, number=3):
    """Draw a seed with a confounded treatment and a 0/1 instrument, effect 1."""
    rng = np.random.default_rng(number)
    a, u, v = rng.standard_normal((3, rows))
    z = (rng.random(rows) < 1 / (1 + np.exp(-0.5 * a))).astype(int)
    d = a + 1.5 * z + 0.8 * u + v
    return pd.DataFrame({"y": 2 + a + d + u, "d": d, "z": z, "a": a})


def fuzzy_frame(rows=2000, number=4):
    """Draw a seed with a fuzzy cutoff."""
    drawn = find_scenario("rd/fuzzy")().draw(rows, np.random.default_rng(number))
    return pd.DataFrame(dict(drawn.columns))


def staggered_frame(units=120, number=5, never=0.3, growth=0.0):
    """Draw a seed with staggered adoption over ten periods."""
    rng = np.random.default_rng(number)
    time = np.arange(2001, 2011)
    cohort = rng.choice([2004, 2007, 0], units, p=[0.3, 0.4, 0.3] if never else [0.4, 0.6, 0])
    level = np.sin(np.arange(10))
    unit, step = np.indices((units, 10))
    d = (cohort[unit] > 0) & (time[step] >= cohort[unit])
    noise = rng.standard_normal((units, 10)) * 0.5 + rng.standard_normal((units, 1))
    since = np.where(d, time[step] - cohort[unit], 0)
    y = level + 0.7 * (cohort[unit] > 0) + noise + (0.6 + growth * since) * d
    columns = {"y": y, "d": d.astype(int), "unit": unit, "year": time[step]}
    return pd.DataFrame({n: c.ravel() for n, c in columns.items()})


RD = Design("rd", "y", treatment="d", running="x", cutoff=5.0)
FUZZY = Design("rd", "y", treatment="d", running="x", cutoff=0.0, fuzzy=True)
OBSERVABLES = Design("observables", "y", treatment="d")
IV = Design("iv", "y", treatment="d", instrument="z")
DID = Design("did", "y", treatment="d", unit="unit", time="year")
SEEDS = {
    "rd": (loyalty_frame, RD), "fuzzy": (fuzzy_frame, FUZZY), "iv": (instrument_frame, IV),
    "observables": (observed_frame, OBSERVABLES), "did": (staggered_frame, DID),
}  # fmt: skip
_kept = {}


@pytest.fixture(scope="session")
def twin_of():
    """Return a function that fits a twin of a named seed once a session."""

    def fitted(name, family="gaussian"):
        if (name, family) not in _kept:
            make, design = SEEDS[name]
            _kept[name, family] = fit_twin(seed_of(make(), design), family)
        return _kept[name, family]

    return fitted


@pytest.fixture(scope="session")
def seeds():
    """Return the functions that draw seed tables, with their designs."""
    return SEEDS
