"""Data sets that exist as a scenario: replicate k is data set k, with its own truth and setting."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from commands import python
from hostile import refusal
from replicates import assert_same_rows

import cibench
from cibench.collections import Collection, read_declaration, register_collection
from cibench.model import Estimand, Target, registry
from cibench.model.design import configure
from cibench.results import pack, unpack
from cibench.suite.parse import find_suite, parse_suite, read_suite
from cibench.utils.errors import BadInput
from cibench.utils.plugins import FORBIDDEN

DECLARATION = """
[collection]
name = "sims"
folder = "sims"
files = "sim_*.csv"
index = "index.csv"
about = "Twelve small simulations."

[roles]
outcome = "y"
treatment = "z"
covariates = ["x*", "sex"]

[truths]
targets = ["SATE", "SATT"]
effects = "tau"
population_methods = true

[levels]
sex = ["f", "m"]

[settings.confounding]
breaks = "no confounding"
default = 0
unit = "log odds of treatment by one s.d. of x1"

[settings.surface]
"""
SUITE = """
name = "sims"
seed = 1
replicates = 100
[[cells]]
scenario = "collection:sims.toml"
dials = "grid"
estimators = ["naive/difference-in-means", "statsmodels/ols"]
"""
SETS, UNITS = 12, 60


def simulate(k, n=UNITS):
    """Return one data set: confounded in every second file, a step of x1 in the last six."""
    rng, confounded = np.random.default_rng(k), float(k % 2)
    x1, x2 = rng.normal(size=(2, n))
    sex = np.array(["f", "m"])[rng.integers(0, 2, n)]
    z = (rng.random(n) < 1 / (1 + np.exp(-2 * confounded * x1))).astype(int)
    tau = 1 + 0.5 * x2
    surface = x1 if k < 6 else 2.0 * (x1 > 0)
    y = surface + tau * z + rng.normal(size=n)
    return pd.DataFrame({"y": y, "z": z, "x1": x1, "x2": x2, "sex": sex, "tau": tau})


@pytest.fixture
def sims(tmp_path, shelves):
    """Write the folder, its index, its declaration and a suite."""
    folder = tmp_path / "sims"
    folder.mkdir()
    for k in range(SETS):
        simulate(k).to_csv(folder / f"sim_{k}.csv", index=False)
    rows = [
        {"file": f"sim_{k}.csv", "confounding": k % 2, "surface": "step" if k > 5 else "linear"}
        for k in range(SETS)
    ]
    pd.DataFrame(rows).to_csv(folder / "index.csv", index=False)
    (tmp_path / "sims.toml").write_text(DECLARATION, encoding="utf-8")
    (tmp_path / "suite.toml").write_text(SUITE, encoding="utf-8")
    return tmp_path


def by_hand(places, target="SATE"):
    """Return the errors of the difference in means, from the simulated tables alone."""
    errors = []
    for k in places:
        data = simulate(k)
        treated = data["z"] == 1
        estimate = data["y"][treated].mean() - data["y"][~treated].mean()
        truth = (data["tau"] if target == "SATE" else data["tau"][treated]).mean()
        errors.append(estimate - truth)
    return np.array(errors)


def test_replicates_are_the_data_sets_of_a_setting_and_end_with_them(sims):
    run = cibench.run(sims / "suite.toml", sims / "run")
    rows = run.replicates
    assert len(rows) == 2 * SETS and set(rows["n"]) == {UNITS} and set(rows["status"]) == {"ok"}
    naive = rows[rows["estimator"] == "naive/difference-in-means"]
    for setting, group in naive.groupby(naive["setting"].fillna(0.0)):
        places = [k for k in range(SETS) if k % 2 == setting]
        assert group["replicate"].tolist() == [*range(6)]
        errors = group["estimate"].to_numpy() - group["truth"].to_numpy()
        assert errors == pytest.approx(by_hand(places), abs=1e-12)
    scores = run.scores.set_index(["estimator", run.scores["setting"].fillna(0.0)])
    mine = scores.loc[("naive/difference-in-means", 1.0)]
    errors = by_hand(range(1, SETS, 2))
    assert mine["bias"] == pytest.approx(errors.mean(), abs=1e-12)
    assert mine["bias_mcse"] == pytest.approx(errors.std(ddof=1) / np.sqrt(6), abs=1e-12)
    assert mine["empirical_se"] == pytest.approx(errors.std(ddof=1), abs=1e-12)
    assert mine["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), abs=1e-12)


def test_the_setting_is_a_dial_so_that_there_is_a_dose_response(sims):
    run = cibench.run(sims / "suite.toml")
    assert set(run.sensitivity["dial"]) == {"confounding"}
    assert {0.0, 1.0} <= set(run.curves["setting"])
    about = run.catalogue["scenarios"]["collection/sims"]
    assert about["dials"]["confounding"]["breaks"] == "no confounding"
    assert not about["dials"]["confounding"]["paired"]
    assert "Methods that answer the ATE are asked for the SATE" in about["doc"]


def test_all_settings_pool_and_a_parameter_takes_some(sims):
    cells = [
        {"parameters": {"pooled": True}}, {"parameters": {"surface": ["linear", "step"]}},
        {"parameters": {"pooled": True, "target": "SATT"}},
    ]  # fmt: skip
    common = {"scenario": "collection:sims.toml", "estimators": "naive/*"}
    spec = {"name": "s", "seed": 1, "replicates": 50, "cells": [{**common, **c} for c in cells]}
    run = cibench.run(parse_suite(spec, folder=sims))
    scores = run.scores.assign(at=[json.loads(p) for p in run.scores["parameters"]])
    pooled = [at["pooled"] and at["target"] == "SATE" for at in scores["at"]]
    treated = [at["target"] == "SATT" for at in scores["at"]]
    for chosen, places, target in (
        (pooled, range(SETS), "SATE"), (treated, range(SETS), "SATT"),
        ([at["surface"] == "step" for at in scores["at"]], range(6, SETS, 2), "SATE"),
    ):  # fmt: skip
        (score,) = scores[chosen].to_dict("records")
        errors = by_hand(places, target)
        assert score["replicates"] == len(errors) and score["estimand"] == target
        assert score["bias"] == pytest.approx(errors.mean(), abs=1e-12)
        assert score["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), abs=1e-12)


def test_a_method_for_the_population_is_asked_in_its_own_words(sims):
    scenario = register_collection(sims / "sims.toml")()
    ols, naive = (
        cibench.find_estimator(n) for n in ("statsmodels/ols", "naive/difference-in-means")
    )
    sate, ate = Target(Estimand.SATE), Target(Estimand.ATE)
    assert ols.targets_of(scenario) == (sate,) and ols.questions(scenario) == (ate,)
    assert naive.targets_of(scenario) == naive.questions(scenario) == (sate,)
    text = DECLARATION.replace("population_methods = true", "")
    (sims / "sims.toml").write_text(text, encoding="utf-8")
    strict = register_collection(sims / "sims.toml")()
    assert ols.declines(strict) == "answers COEFFICIENT, ATE, not SATE"


def test_nothing_is_expected_until_somebody_says_what_the_data_break(sims):
    run = cibench.run(sims / "suite.toml")
    assert set(run.expectations["expected"]) == {""}
    assert set(run.expectations["because"]) == {"nobody declared what its data sets break"}
    said = DECLARATION.replace("[roles]", "violates = []\n[roles]")
    (sims / "sims.toml").write_text(said, encoding="utf-8")
    run = cibench.run(sims / "suite.toml")
    default = run.expectations[run.expectations["dial"].isna()]
    assert set(default["expected"]) == {"valid"}


def test_workers_give_the_same_rows_and_a_fit_is_replayed(sims, call):
    run = sims / "run"
    assert call("run", "suite.toml", "--out", run, "--workers", 2).code == 0
    keys = ["dials", "estimator", "replicate"]
    rows, here = (
        t.sort_values(keys).reset_index(drop=True)
        for t in (pd.read_parquet(run / "replicates"), cibench.run(sims / "suite.toml").replicates)
    )
    for name in ("estimate", "std_error", "truth", "data_hash"):
        assert np.array_equal(rows[name], here[name]), name
    words = ("--scenario", "collection/sims", "--replicate", 3, "--dial", "confounding=1")
    name = "naive/difference-in-means"
    done = call("replay", run, *words, "--estimator", name, "--out", sims / "bundle")
    assert done.code == 0 and "same" in done.out, done
    data = pd.read_csv(sims / "bundle" / "data.csv")
    assert data["y"].tolist() == simulate(7)["y"].tolist()
    assert "exit code 0" in (sims / "bundle" / "output.txt").read_text(encoding="utf-8")
    assert not [p for p in run.rglob("*.csv") if p.name.startswith("sim_")]


def test_a_changed_data_file_is_noticed_and_a_moved_folder_is_not(sims, call):
    run = sims / "run"
    assert call("run", "suite.toml", "--out", run).code == 0
    shutil.copytree(sims / "sims", sims / "elsewhere")
    text = DECLARATION.replace('folder = "sims"', 'folder = "elsewhere"\n# words of no account')
    (sims / "sims.toml").write_text(text, encoding="utf-8")
    assert call("run", run).code == 0
    table = simulate(3)
    table.loc[0, "y"] += 1e-9
    table.to_csv(sims / "elsewhere" / "sim_3.csv", index=False)
    code, _, err = call("run", run)
    assert code == 2 and "the source of scenario collection/sims (24 rows)" in err, err
    assert call("run", run, "--update").code == 0
    rows = pd.read_parquet(run / "replicates")
    assert len(rows) == 24


def test_a_collection_is_data_which_the_switch_allows(sims, call, monkeypatch):
    monkeypatch.setenv(FORBIDDEN, "")  # so that what the switch sets is put back
    assert call("--no-plugins", "run", "suite.toml", "--out", sims / "run").code == 0
    assert registry.is_data(str(sims / "sims.toml"))
    (sims / "code.toml").write_text('[estimators."a/b"]\n', encoding="utf-8")
    assert not registry.is_data(str(sims / "code.toml"))
    both = DECLARATION + '\n[estimators."a/b"]\ncommand = ["true"]\n'
    (sims / "sims.toml").write_text(both, encoding="utf-8")
    code, _, err = call("--no-plugins", "run", "suite.toml", "--out", sims / "other")
    assert code == 2 and "no key named 'estimators'" in err


# --- sizes, resampling, other formats


def test_data_sets_of_other_sizes_are_cells_of_their_own_or_one(sims):
    for k in (4, 5):
        simulate(k, 90).to_csv(sims / "sims" / f"sim_{k}.csv", index=False)
    sizes = {cell.n: cell for cell in read_suite(sims / "suite.toml").cells}
    assert sorted(sizes) == [60, 90]
    (sims / "suite.toml").write_text(SUITE.replace("dials", "n = 0\ndials"), encoding="utf-8")
    suite = read_suite(sims / "suite.toml")
    assert [cell.n for cell in suite.cells] == [0, 0] and suite.counts == (6, 6)
    run = cibench.run(suite, sims / "run")
    assert len(run.replicates) == 24 and cibench.load(sims / "run").scores["n"].tolist() == [0] * 4
    assert find_suite(sims / "run").cells[0].n == 0


def test_resampling_is_done_where_it_is_asked_for_and_its_truth_is_of_the_units_drawn(sims):
    cls = register_collection(sims / "sims.toml")
    at = configure(cls, {"resample": True, "confounding": 1})
    assert at.most_replicates(UNITS) is None and configure(cls, {}).most_replicates(UNITS) == 6
    draws = [at.data_set(UNITS, k, np.random.default_rng(5)) for k in (2, 2, 8)]
    first, again, other = (d.columns["y"] for d in draws)
    assert np.array_equal(first, again) and set(first) <= set(simulate(5)["y"])
    assert np.array_equal(other, first)  # data set 2 of 6 again, from the same stream
    assert len(set(first)) < UNITS
    tau = dict(simulate(5)[["y", "tau"]].to_numpy().tolist())
    assert draws[0].averaged(Target(Estimand.SATE)).tolist() == [tau[y] for y in first]
    spec = {"scenario": "collection:sims.toml", "parameters": {"resample": True}, "n": UNITS,
            "estimators": "naive/*"}  # fmt: skip
    suite = {"name": "s", "seed": 1, "replicates": 40, "cells": [spec]}
    assert len(cibench.run(parse_suite(suite, folder=sims)).replicates) == 40


STACKED = """
[collection]
name = "ihdp"
files = "ihdp.npz"
along = "last-axis"
[roles]
outcome = "yf"
treatment = "t"
covariates = "x_*"
[truths]
targets = "SATT"
untreated = "mu0"
treated = "mu1"
"""


def test_an_npz_file_may_hold_many_data_sets_along_its_last_axis(tmp_path, shelves):
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(50, 3, 4)), rng.integers(0, 2, (50, 4))
    mu0, mu1 = x[:, 0, :], x[:, 0, :] + 2 + x[:, 1, :]
    yf = np.where(t == 1, mu1, mu0) + rng.normal(size=(50, 4))
    np.savez(tmp_path / "ihdp.npz", x=x, t=t, yf=yf, mu0=mu0, mu1=mu1, ate=np.array(2.0))
    (tmp_path / "ihdp.toml").write_text(STACKED, encoding="utf-8")
    collection = Collection(read_declaration(tmp_path / "ihdp.toml"))
    collection.check()
    assert collection.units == [50] * 4 and collection.roles.covariates == ("x_1", "x_2", "x_3")
    draw = collection.data_set(2)
    assert np.array_equal(draw.columns["x_2"], x[:, 1, 2])
    treated = t[:, 2] == 1
    satt = draw.averaged(Target(Estimand.SATT)).mean()
    assert satt == pytest.approx((mu1 - mu0)[treated, 2].mean(), abs=1e-14)
    assert np.allclose(draw.baseline + draw.effects * t[:, 2], yf[:, 2], atol=1e-14)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".dta", ".npz"])
def test_every_format_holds_the_same_numbers_to_the_last_bit(tmp_path, shelves, ending):
    frame = simulate(1).drop(columns="sex")
    path = tmp_path / f"one{ending}"
    {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".parquet": lambda: frame.to_parquet(path, index=False),
        ".dta": lambda: frame.to_stata(path, write_index=False),
        ".npz": lambda: np.savez(path, **{n: frame[n].to_numpy() for n in frame}),
    }[ending]()
    text = DECLARATION.replace('folder = "sims"', "").replace("sim_*.csv", f"one{ending}")
    text = text.replace('index = "index.csv"', "").partition("[levels]")[0].replace(', "sex"', "")
    (tmp_path / "one.toml").write_text(text, encoding="utf-8")
    draw = Collection(read_declaration(tmp_path / "one.toml")).data_set(0)
    for name in ("y", "x1", "z"):
        assert np.array_equal(draw.columns[name], frame[name].to_numpy())


def test_a_table_states_truths_of_data_sets_that_do_not_hold_them(sims):
    stated = [{"file": f"sim_{k}.csv", "att": 10.0 + k} for k in reversed(range(SETS))]
    pd.DataFrame(stated).to_csv(sims / "sims" / "truths.csv", index=False)
    truths = '[truths]\ntargets = "ATT"\ntable = "truths.csv"\nof = { ATT = "att" }\n'
    head, _, rest = DECLARATION.partition("[truths]")
    text = f"{head}{truths}[levels]{rest.partition('[levels]')[2]}"
    (sims / "sims.toml").write_text(text, encoding="utf-8")
    suite = SUITE.replace("statsmodels/ols", "ipw/normalised")
    (sims / "suite.toml").write_text(suite, encoding="utf-8")
    rows = cibench.run(sims / "suite.toml").replicates
    assert set(rows["estimand"]) == {"ATT"}
    confounded = rows[rows["setting"] == 1].drop_duplicates("replicate")
    assert confounded["truth"].tolist() == [10.0 + k for k in range(1, SETS, 2)]


def test_rows_with_gaps_are_refused_left_out_or_left_to_methods(sims):
    table = simulate(0)
    table.loc[3, "x1"] = np.nan
    table.to_csv(sims / "sims" / "sim_0.csv", index=False)
    with pytest.raises(BadInput, match=r"sim_0.csv: row 4 of column 'x1' is empty"):
        read_suite(sims / "suite.toml")
    for how, units in (("drop", 59), ("keep", 60)):
        text = DECLARATION.replace("[roles]", f'missing = "{how}"\n[roles]')
        (sims / "sims.toml").write_text(text, encoding="utf-8")
        assert Collection(read_declaration(sims / "sims.toml")).units[0] == units


def test_a_package_of_a_run_says_that_its_data_sets_are_elsewhere(sims, tmp_path):
    """They are put beside its suite file, and then it makes all rows again."""
    run = cibench.run(sims / "suite.toml", tmp_path / "run")
    folder = unpack(pack(run, tmp_path / "packed.zip").path, tmp_path / "out")
    assert "The data sets of `sims.toml` are not in here" in (folder / "README.md").read_text()
    for path in folder.rglob("*"):
        assert not path.is_file() or str(sims).encode() not in path.read_bytes(), path
    again = ("-m", "cibench", "run", "run", "--out", "again")
    refused = python(*again, folder=folder)
    assert refused.returncode == 2 and "sims.toml': there is no such file" in refused.stderr
    (line,) = refusal(lambda: pack(cibench.load(folder / "run"), tmp_path / "again.zip"))
    assert "it does not hold 'sims.toml', and there is no such file" in line
    shutil.copy(sims / "sims.toml", folder / "run")
    shutil.copytree(sims / "sims", folder / "run" / "sims")
    done = python(*again, folder=folder)
    assert done.returncode == 0, done.stderr
    assert_same_rows(cibench.load(folder / "again").replicates, run.replicates)


def test_a_copy_of_a_run_takes_the_data_sets_that_lie_beside_its_suite(sims, tmp_path):
    """Where the collection was when it ran, it is not any more."""
    run = cibench.run(sims / "suite.toml", tmp_path / "run")
    copy = tmp_path / "elsewhere" / "run"
    shutil.copytree(tmp_path / "run", copy)
    shutil.move(sims / "sims.toml", copy)
    shutil.move(sims / "sims", copy)
    done = python("-m", "cibench", "run", "run", "--out", "again", folder=copy.parent)
    assert done.returncode == 0, done.stderr
    assert_same_rows(cibench.load(copy.parent / "again").replicates, run.replicates)


def test_what_is_true_or_false_is_selected_as_toml_has_it(sims, tmp_path):
    pooled = SUITE.replace('dials = "grid"', "parameters = { pooled = [false, true] }")
    (sims / "suite.toml").write_text(pooled, encoding="utf-8")
    run = cibench.run(sims / "suite.toml", tmp_path / "run")
    for word, own in (("false", "False"), ("true", "True")):
        chosen, same = (run.table("method", where={"pooled": w}) for w in (word, own))
        assert len(chosen) == 2 and chosen.equals(same)
