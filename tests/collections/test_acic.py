"""ACIC 2016 and NHEFS as causallib ships them, read in place, beside a loop of twenty lines."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cibench
from cibench.collections import Collection, read_declaration, write_declaration
from cibench.suite.parse import parse_suite

SPEC = find_spec("causallib")
DATA = Path(SPEC.submodule_search_locations[0]) / "datasets" / "data" if SPEC else Path()
pytestmark = pytest.mark.skipif(
    SPEC is None, reason="causallib, which ships the data, is not installed (pip install causallib)"
)
TEXTS = ("x_2", "x_21", "x_24")
"""Their rare levels leave no overlap, as the methods say themselves."""

NHEFS = """
[collection]
name = "nhefs"
folder = "{folder}"
files = "NHEFS.csv"
missing = "drop"
[roles]
outcome = "wt82_71"
treatment = "qsmk"
covariates = [
    "active", "age", "education", "exercise", "race", "sex", "smokeintensity", "smokeyrs", "wt71",
]
[truths]
targets = "ATE"
of = {{ ATE = 3.44 }}
[levels]
active = ["0", "1", "2"]
education = ["1", "2", "3", "4", "5"]
exercise = ["0", "1", "2"]
"""


def loop(folder, target):
    """Return the errors of three methods on the ten data sets, with nothing of cibench."""
    x = pd.read_csv(folder / "x.csv").drop(columns=[*TEXTS]).to_numpy(dtype=float)
    errors = []
    for k in range(1, 11):
        data = pd.read_csv(folder / f"zymu_{k}.csv")
        z, y = data["z"].to_numpy(), np.where(data["z"] == 1, data["y1"], data["y0"])
        effects = (data["mu1"] - data["mu0"]).to_numpy()
        truth = effects.mean() if target == "SATE" else effects[z == 1].mean()
        means = y[z == 1].mean() - y[z == 0].mean()
        design = np.column_stack([z, np.ones(len(z)), x])
        ols = np.linalg.lstsq(design, y, rcond=None)[0][0]
        scaled = np.column_stack([np.ones(len(z)), (x - x.mean(axis=0)) / x.std(axis=0)])
        beta = np.zeros(scaled.shape[1])
        for _ in range(50):  # Newton's steps of the logit's likelihood
            p = 1 / (1 + np.exp(-scaled @ beta))
            step = (scaled * (p * (1 - p))[:, None]).T @ scaled
            beta += np.linalg.lstsq(step, scaled.T @ (z - p), rcond=None)[0]
        w = 1 / np.where(z == 1, p, 1 - p)
        ipw = np.average(y[z == 1], weights=w[z == 1]) - np.average(y[z == 0], weights=w[z == 0])
        errors.append([means - truth, ols - truth, ipw - truth])
    return np.array(errors).T


METHODS = ["naive/difference-in-means", "statsmodels/ols", "ipw/normalised"]


@pytest.fixture
def acic(tmp_path, shelves):
    """Have the collection's file guessed, but for the texts among the covariates."""
    path = write_declaration(DATA / "acic_challenge_2016", tmp_path / "acic.toml")
    text = path.read_text(encoding="utf-8")
    numbers = [f"x_{i}" for i in range(1, 59) if f"x_{i}" not in TEXTS]
    head, _, _ = text.replace('"x_*"', str(numbers).strip("[]").replace("'", '"')).partition(
        "[levels]"
    )
    path.write_text(head, encoding="utf-8")
    return path


def test_scores_of_three_methods_are_those_of_a_loop(acic):
    cell = {"scenario": "collection:acic.toml", "estimators": METHODS}
    suite = parse_suite(
        {"name": "acic", "seed": 1, "replicates": 1_000, "cells": [cell]}, folder=acic.parent
    )
    assert suite.counts == (10,) and [c.n for c in suite.cells] == [4802]
    run = cibench.run(suite)
    assert set(run.replicates["status"]) == {"ok"}
    scores = run.scores.set_index("estimator")
    errors = loop(DATA / "acic_challenge_2016", "SATE")
    for name, e in zip(METHODS, errors, strict=True):
        score = scores.loc[name]
        assert score["estimand"] == "SATE" and score["answered"] == 10
        own = {
            "bias": e.mean(), "bias_mcse": e.std(ddof=1) / np.sqrt(10),
            "empirical_se": e.std(ddof=1), "rmse": np.sqrt((e**2).mean()),
        }  # fmt: skip
        for measure, value in own.items():
            assert score[measure] == pytest.approx(value, abs=1e-8), (name, measure)
    assert errors.mean(axis=1).round(2).tolist() == [0.91, 0.48, 0.47]


def test_the_treated_have_truths_of_their_own(acic):
    cell = {"scenario": "collection:acic.toml", "estimators": METHODS[:1],
            "parameters": {"target": "SATT"}}  # fmt: skip
    suite = parse_suite(
        {"name": "acic", "seed": 1, "replicates": 10, "cells": [cell]}, folder=acic.parent
    )
    (score,) = cibench.run(suite).scores.to_dict("records")
    e = loop(DATA / "acic_challenge_2016", "SATT")[0]
    assert score["estimand"] == "SATT"
    assert score["bias"] == pytest.approx(e.mean(), abs=1e-10)


def test_categories_are_columns_for_all_levels_but_the_first(tmp_path):
    path = write_declaration(DATA / "acic_challenge_2016", tmp_path / "all.toml")
    collection = Collection(read_declaration(path))
    collection.check()
    draw = collection.data_set(9)
    x = pd.read_csv(DATA / "acic_challenge_2016" / "x.csv")
    dummies = pd.get_dummies(x, columns=[*TEXTS], drop_first=True)
    assert len(collection.roles.covariates) == dummies.shape[1] == 79
    assert draw.columns["x_21=J"].tolist() == dummies["x_21_J"].astype(float).tolist()
    assert [m.name for m in collection.members][-1] == "zymu_10.csv"


def test_nhefs_has_the_complete_cases_of_the_book(tmp_path, shelves):
    path = tmp_path / "nhefs.toml"
    path.write_text(NHEFS.format(folder=(DATA / "nhefs").as_posix()), encoding="utf-8")
    cell = {
        "scenario": "collection:nhefs.toml",
        "estimators": ["statsmodels/ols", "ipw/normalised"],
    }
    suite = parse_suite(
        {"name": "nhefs", "seed": 1, "replicates": 5, "cells": [cell]}, folder=tmp_path
    )
    run = cibench.run(suite)
    assert set(run.replicates["n"]) == {1566} and set(run.replicates["truth"]) == {3.44}
    estimates = run.replicates.set_index("estimator")["estimate"]
    data = pd.read_csv(DATA / "nhefs" / "NHEFS.csv").dropna(subset=["wt82"])
    assert len(data) == 1566
    names = ["active", "age", "education", "exercise", "race", "sex", "smokeintensity",
             "smokeyrs", "wt71"]  # fmt: skip
    x = pd.get_dummies(data[names], columns=["active", "education", "exercise"], drop_first=True)
    design = np.column_stack([data["qsmk"], np.ones(1566), x.to_numpy(dtype=float)])
    ols = np.linalg.lstsq(design, data["wt82_71"].to_numpy(), rcond=None)[0][0]
    assert estimates["statsmodels/ols"] == pytest.approx(ols, abs=1e-9)
    assert 3.2 < estimates["ipw/normalised"] < 3.6  # the book has 3.4, with squares
