"""Any stored fit can be made again from its address and handed on as a bundle."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from commands import python

import cibench
from cibench.execution import RunSettings, Tuning, execute, replay_bundle, replays
from cibench.execution.replays import FitAddress
from cibench.render.replay_command import command
from cibench.storage import shards
from cibench.storage.schema import schema
from cibench.suite.parse import parse_suite
from cibench.utils.errors import BadInput

PLUGIN = '''
"""Methods that fail on some data."""
import ctypes, time
from pathlib import Path
import numpy as np
from cibench import Estimand, Estimate, estimator

TARGETS = (Estimand.ATE_AT_CUTOFF,)

@estimator("odd/raises", targets=TARGETS)
def raises(problem, rng, *, least=0.0):
    """Raise where the first outcome is above `least`."""
    if problem.outcome[0] > least:
        raise ZeroDivisionError("in the " + "second place")
    return Estimate.wald(rng.normal() + np.random.normal(), 1.0, problem.level)

@estimator("odd/segfault", targets=TARGETS)
def segfault(problem, rng):
    ctypes.string_at(0)

@estimator("odd/hangs", targets=TARGETS)
def hangs(problem, rng):
    time.sleep(600)

@estimator("odd/table", targets=TARGETS, files=("parts/value.txt",))
def table(problem, rng):
    value = (Path(__file__).parent / "parts" / "value.txt").read_text()
    return Estimate.wald(float(value), 1.0, problem.level)

@estimator("odd/oracle", targets=TARGETS, oracle=True)
def oracle(problem, rng):
    return Estimate.wald(problem.draw.effects.mean() + rng.normal(), 1.0, problem.level)
'''

pytestmark = pytest.mark.usefixtures("shelves")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    (folder / "odd.py").write_text(PLUGIN)
    (folder / "parts").mkdir()
    (folder / "parts" / "value.txt").write_text("2.25")
    cells = [
        {"scenario": "rd/cct-1", "n": [50, 60], "dials": {"sorting": [0.2, 0.4]},
         "estimators": ["odd/raises", "odd/oracle", "odd/table"],
         "options": {"odd/raises": {"least": 0.3}}},
        {"scenario": "rd/cct-1", "n": 70, "estimators": ["odd/segfault", "odd/hangs"]},
        {"scenario": "did/two-group", "n": 20, "estimators": ["naive/difference-in-means"]},
    ]  # fmt: skip
    spec = {
        "name": "replay", "seed": 4, "replicates": 3, "plugins": [str(folder / "odd.py")],
        "timeout": 2, "cells": cells,
    }  # fmt: skip
    execute(parse_suite(spec), folder / "run", RunSettings(workers=2))
    return folder / "run"


def script(folder):
    """Run a bundle's script elsewhere than here and return what it prints."""
    done = python("reproduce.py", folder=folder)
    return done.stdout + done.stderr


def numbers(printed):
    found = re.findall(
        r"(?<!p_)(value|se|low|high)=(?:np.float64\()?(-?[\d.e+-]+|nan|-?inf)", printed
    )
    return {name: float(number) for name, number in found}


def first(run, estimator, status, **more):
    """Return the first such fit and what names it."""
    rows = pd.read_parquet(run / "replicates")
    which = (rows["estimator"] == estimator) & (rows["status"] == status)
    for name, value in more.items():
        which &= rows[name] == value
    row = rows[which].iloc[0]
    dials = {} if pd.isna(row["dial"]) else {row["dial"]: row["setting"]}
    wanted = FitAddress(row["scenario"], estimator, int(row["replicate"]), int(row["n"]), dials)
    return row, wanted


@pytest.mark.parametrize(
    ("estimator", "more"),
    [
        ("naive/difference-in-means", {}),
        ("odd/raises", {}),
        ("odd/table", {}),
        ("odd/oracle", {"dial": "sorting"}),
    ],
)
def test_a_fit_is_made_again_bit_for_bit_and_its_script_says_the_same(
    run, tmp_path, estimator, more
):
    row, wanted = first(run, estimator, "ok", **more)
    made = replays.replay(run, wanted)
    assert (made.differences, made.changed) == ([], [])
    folder = replay_bundle.write_bundle(made, tmp_path / "bundle")
    for printed in ((folder / "output.txt").read_text(), script(folder)):
        found = numbers(printed)
        names = {"value": "estimate", "se": "std_error", "low": "ci_low", "high": "ci_high"}
        assert found == {name: row[column] for name, column in names.items()}
    columns = pd.read_csv(folder / "data.csv", float_precision=None)
    assert columns.to_numpy() == pytest.approx(pd.read_parquet(folder / "data.parquet").to_numpy())
    alone = estimator != "odd/oracle"
    assert (folder / "cibench" / "model" / "types.py").exists() == alone
    assert json.loads((folder / "fit.json").read_text())["differences"] == []


def test_a_standalone_script_takes_cibench_from_its_bundle(run, tmp_path):
    made = replays.replay(run, first(run, "odd/raises", "ok")[1])
    path = replay_bundle.write_bundle(made, tmp_path / "bundle") / "reproduce.py"
    said = "print(sorted(m.__file__ for n, m in sys.modules.items() if n[:7] == 'cibench'))"
    path.write_text(f"{path.read_text()}\n{said}\n")
    used = script(path.parent).splitlines()[-1]
    model = [f"model/{name}" for name in ("__init__", "estimands", "functionals", "types")]
    names = ["__init__", *model, "utils/__init__", "utils/errors"]
    assert used == str([str(path.with_name("cibench") / f"{name}.py") for name in names])


def test_what_failed_fails_again_with_its_traceback_in_the_bundle(run, tmp_path):
    soon = Tuning(slack_seconds=3)
    for estimator, status, words in (
        ("odd/segfault", "crashed", "Fatal Python error: Segmentation fault"),
        ("odd/hangs", "timeout", "line 23 in hangs"),
        ("odd/raises", "failed", 'raise ZeroDivisionError("in the " + "second place")'),
    ):
        made = replays.replay(run, first(run, estimator, status)[1])
        assert made.differences == [] and made.again["status"].tolist() == [status]
        folder = replay_bundle.write_bundle(made, tmp_path / status, soon)
        printed = (folder / "output.txt").read_text()
        assert words in printed and "(exit code 0)" not in printed


def test_a_row_that_does_not_come_again_is_said_and_exits_with_1(run, tmp_path, call):
    path = shards.paths(run)[0]
    before = path.read_bytes()
    rows = pd.read_parquet(path)
    which = (rows["estimator"] == "odd/oracle") & (rows["replicate"] == 1)
    rows.loc[which, "estimate"] = np.nextafter(rows.loc[which, "estimate"], 9)
    shards.write(path, pa.Table.from_pandas(rows, schema(), preserve_index=False))
    words = command(run, rows[which].iloc[0].to_dict(), cibench.load(run).catalogue).split()[1:]
    code, out, _ = call(*words)
    path.write_bytes(before)
    assert code == 1
    assert re.search(r"differs:\n  estimate: -?\d\.\d+ is stored, -?\d\.\d+ came\n", out)
    code, out, _ = call(*words, "--out", tmp_path / "b")
    assert code == 0 and "made again it is the same row, bit for bit" in out


def test_changed_code_is_named_beside_what_came_of_it(run, tmp_path):
    path = run.parent / "odd.py"
    path.write_text(PLUGIN.replace("rng.normal()", "1 + rng.normal()"))
    made = replays.replay(run, first(run, "odd/raises", "ok")[1])
    path.write_text(PLUGIN)
    assert made.changed == ["the source of estimator odd/raises"]
    assert [d.split(":")[0] for d in made.differences] == ["estimate", "ci_low", "ci_high"]


def test_the_command_names_what_is_off_its_default(run):
    row, _ = first(run, "odd/raises", "failed")
    catalogue = cibench.load(run).catalogue
    said = command(run, {**row, "dials": '{"heaping":0.0,"sorting":0.4}'}, catalogue)
    assert said.endswith("--n 50 --dial sorting=0.4 --options '{\"least\": 0.3}'")


def test_the_page_and_the_terminal_say_how_to_replay(run, capsys):
    from cibench.cli.display import show_failures

    made = cibench.load(run)
    page = made.write_report().read_text()
    assert f"cibench replay {run} --scenario rd/cct-1 --replicate 0" in page
    show_failures(made)
    out = capsys.readouterr().out
    assert re.search(r"^  3 odd/segfault crashed: the process died: signal SIGSEGV$", out, re.M)
    assert f"    cibench replay {run} --scenario rd/cct-1 --replicate 0 --estimator odd/s" in out


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            FitAddress("rd/cct-1", "odd/raises", 9),
            "holds no fit of odd/raises to replicate 9 of rd/c",
        ),
        (
            FitAddress("rd/cct-1", "odd/raises", 1),
            "several fits are meant; there are: --n 50 --opti",
        ),
        (FitAddress("rd/cct-1", "odd/raises", 1, n=55), "no such fit is stored; there are: --n 50"),
        (
            FitAddress("rd/cct-1", "odd/raises", 1, n=50, dials={"sorting": 0.3}),
            "no such fit is stor",
        ),
        (
            FitAddress("rd/cct-1", "odd/raises", 1, n=50, options={"least": 1}),
            "no such fit is stored",
        ),
    ],
)
def test_what_is_not_stored_or_not_one_fit_is_bad_input(run, wanted, words):
    with pytest.raises(BadInput, match=words):
        replays.replay(run, wanted)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--dial", "sorting"], "--dial: 'sorting' is not of the form NAME=VALUE"),
        (["--options", "{"], "--options: '{' is not JSON"),
        (["--options", "3"], "--options: '3' is not a JSON object"),
        (["--out", "."], "is not empty; name another folder with --out"),
    ],
)
def test_bad_arguments_are_one_line(run, call, tmp_path, words, line):
    (tmp_path / "mine.txt").write_text("mine")
    base = ["replay", run, "--scenario", "did/two-group", "--replicate", 1]
    code, _, err = call(*base, "--estimator", "naive/difference-in-means", *words)
    assert code == 2 and line in err and err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
