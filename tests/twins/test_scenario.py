"""A twin is a scenario: contract checks, suites, workers, replay, one address wherever it lies."""

import json
import shutil
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest

import cibench
from cibench.contracts import SCENARIO_CHECKS
from cibench.model.design import configure
from cibench.suite.parse import find_suite, read_suite
from cibench.twins.file import save_twin
from cibench.twins.scenario import register_twin
from cibench.utils.errors import BadInput

SUITE = """
name = "twins"
seed = 1
replicates = 3
[[cells]]
scenario = "twin:ota.twin"
n = 300
dials = { sorting = [0.4] }
parameters = { effect = [0, 800] }
estimators = ["rd/local-linear"]
"""


@pytest.fixture
def ota(twin_of, tmp_path, shelves):
    save_twin(twin_of("rd"), tmp_path / "ota.twin")
    (tmp_path / "suite.toml").write_text(SUITE)
    return tmp_path


@pytest.mark.parametrize("name", ["rd", "fuzzy", "observables", "iv", "did"])
@pytest.mark.parametrize("check", SCENARIO_CHECKS, ids=lambda check: check.__name__)
def test_the_contract_holds(twin_of, tmp_path, shelves, name, check):
    save_twin(twin_of(name), tmp_path / "one.twin")
    try:
        check(register_twin(tmp_path / "one.twin")())
    except SkipTest as reason:
        pytest.skip(str(reason))


def test_a_suite_runs_a_twin_with_workers_and_replays_it(ota, call):
    run = ota / "run"
    assert call("run", ota / "suite.toml", "--out", run, "--workers", 2).code == 0
    rows = pd.read_parquet(run / "replicates")
    assert len(rows) == 12
    assert set(rows["status"]) == {"ok"}
    assert set(rows["truth"]) == {0.0, 800.0}
    here = cibench.run(ota / "suite.toml", workers=1).replicates
    keys = ["parameters", "dials", "replicate"]
    for name in ("estimate", "data_hash"):
        one, other = (t.sort_values(keys)[name].to_numpy() for t in (rows, here))
        assert np.array_equal(one, other)
    scenario = rows["scenario"].iloc[0]
    ended = call(
        "replay", run, "--scenario", scenario, "--replicate", 1, "--estimator", "rd/local-linear",
        "--parameter", "effect=800.0", "--out", ota / "bundle",
    )  # fmt: skip
    assert ended.code == 0
    assert (ota / "bundle" / "reproduce.py").exists()


def test_the_data_address_is_the_twins_and_not_its_files(ota):
    (ota / "elsewhere").mkdir()
    shutil.copy(ota / "ota.twin", ota / "elsewhere" / "renamed.twin")
    text = SUITE.replace("ota.twin", "renamed.twin")
    (ota / "elsewhere" / "suite.toml").write_text(text)
    one = cibench.run(ota / "suite.toml").replicates
    other = cibench.run(ota / "elsewhere" / "suite.toml").replicates
    assert one["data_hash"].tolist() == other["data_hash"].tolist()
    assert one["scenario"].iloc[0].startswith("twin/rd-")


def test_a_run_goes_on_from_its_own_suite_file(ota):
    cibench.run(ota / "suite.toml", out=ota / "run")
    again = find_suite(ota / "run")
    assert again.scenarios == read_suite(ota / "suite.toml").scenarios


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ota.twin", "atol.twin"), "cells\\[1\\].scenario: .*atol.twin: No such file"),
        (("sorting", "sortin"), "did you mean 'sorting'"),
        (("[0, 800]", '"800*z"'), "effect: formula '800\\*z': no column named 'z'"),
        (("[0, 800]", "[true]"), "neither a number nor a formula"),
        (("[0, 800]", "nan"), "is not finite"),
    ],
)
def test_what_a_suite_gets_wrong_is_one_line(ota, change, words):
    (ota / "suite.toml").write_text(SUITE.replace(*change))
    with pytest.raises(BadInput, match=words):
        read_suite(ota / "suite.toml")


def test_a_schedule_of_effects_has_a_simulated_truth(ota):
    cls = register_twin(ota / "ota.twin")
    made = configure(cls, {"effect": "800 + 30*(age - 40) + 100*(x - 5)"})
    ((_, truth),) = made.truth().items()
    draw = made.draw(200_000, np.random.default_rng(0))
    near = np.abs(draw.columns["x"] - 5) < 0.25
    seen = draw.effects[near].mean()
    error = draw.effects[near].std() / np.sqrt(near.sum())
    assert truth.mcse > 0
    assert truth.value == pytest.approx(seen, abs=4 * np.hypot(error, truth.mcse))
    exact = configure(cls, {"effect": "800 + 100*(x - 5)"})
    ((_, truth),) = exact.truth().items()
    assert truth == (800.0, 0.0)


def test_the_command_line_fits_samples_and_shows(tmp_path, seeds, call):
    make, _ = seeds["rd"]
    make(400).to_csv(tmp_path / "ota.csv", index=False)
    design = "--design rd --outcome y --running x --cutoff 5 --treatment d --generator gaussian"
    out, big = str(tmp_path / "ota.twin"), str(tmp_path / "big.csv")
    ended = [call("twin", *command) for command in (
        ["fit", tmp_path / "ota.csv", *design.split(), "--out", out],
        ["sample", out, "--rows", 5000, "--effect", 800, "--out", big],
        ["show", out],
    )]  # fmt: skip
    assert [command.code for command in ended] == [0, 0, 0]
    assert any("planted ATE_AT_CUTOFF: 800" in command.out for command in ended)
    assert any("test benches, not evidence" in command.err for command in ended)
    assert len(pd.read_csv(big)) == 5000
    code, _, err = call("twin", "sample", out, "--rows", 10, "--effect", "2*z", "--out", big)
    assert code == 2 and "no column named 'z'" in err


def test_the_generators_library_is_in_the_manifest_and_its_version_concerns_the_twins_rows(
    twin_of, tmp_path, shelves
):
    from cibench.storage.changes import changes

    save_twin(twin_of("observables"), tmp_path / "a.twin")
    (tmp_path / "suite.toml").write_text(
        'name = "a"\nseed = 1\nreplicates = 2\n[[cells]]\nscenario = "twin:a.twin"\nn = [100]\n'
        'estimators = ["naive/difference-in-means"]\n'
    )
    run = cibench.run(tmp_path / "suite.toml", out=tmp_path / "run")
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    import pyvinecopulib

    assert manifest["versions"]["pyvinecopulib"] == pyvinecopulib.__version__
    manifest["versions"]["pyvinecopulib"] = "0.0"
    (change,) = changes(manifest, read_suite(tmp_path / "suite.toml"))
    assert change.text == f"pyvinecopulib 0.0 → {pyvinecopulib.__version__}"
    assert change.scenario == twin_of("observables").name and change.estimators is None
    assert len(run.replicates) > 0
