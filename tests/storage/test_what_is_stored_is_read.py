"""What a run writes it can read again, and none of it moves a terminal's cursor."""

import io
import json
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import nothing_changes, refusal

import cibench
from cibench.execution import RunSettings
from cibench.render.terminal import SafeConsole
from cibench.utils.errors import BadInput

pytestmark = pytest.mark.usefixtures("shelves")

PLUGIN = '''
"""Methods."""
from cibench import Estimand, Estimate, estimator

@estimator("own/it", targets=(Estimand.ATT,), assumes=({assumes!r},))
def it(problem, rng, *, kind="x"):
    """{about}"""
    raise ValueError("a\\x1b[2J\\u202eb")
'''
HOSTILE = ["\x1b[2J", "\x00", "\x7f", "\x85", "\u202e"]


def suite(folder, options=None, about="Fails.", assumes="parallel trends"):
    (folder / "it.py").write_text(PLUGIN.format(about=about, assumes=assumes), encoding="utf-8")
    cell = {"scenario": "did/two-group", "n": 30, "estimators": ["own/it", "did/collapsed"]}
    cell["options"] = {"own/it": options or {}}
    plugins = [str(folder / "it.py")]
    return {"name": "t", "seed": 1, "replicates": 3, "plugins": plugins, "cells": [cell]}


def run(spec, folder):
    return cibench.run(spec, out=folder, settings=RunSettings(checks=False))


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 100_001])
def test_options_that_no_reader_takes_are_refused_before_a_fit(tmp_path, text):
    with pytest.raises(BadInput, match="its options hold what no run stores"):
        run(suite(tmp_path, {"kind": text}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_plugin_says_of_itself_is_refused_likewise(tmp_path):
    with pytest.raises(BadInput, match=r"plug-ins: estimators.own/it.assumes\[1\]"):
        run(suite(tmp_path, assumes="\x1b[2J"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_of_a_character_is_one_line_and_nothing_is_written(tmp_path, text):
    cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    suite = {"name": "t", "seed": 1, "replicates": 3, "cells": [cell]}
    suite["labels"] = {"methods": {"did/collapsed": text}}
    with nothing_changes(tmp_path):
        (line,) = refusal(lambda: cibench.run(suite, tmp_path / "run"))
    assert "character" in line


def test_a_reason_is_spelt_out_where_it_arises(tmp_path):
    run(suite(tmp_path), tmp_path / "run")
    reasons = pd.read_parquet(tmp_path / "run" / "replicates")["reason"].dropna()
    assert reasons.str.startswith(r"ValueError: a\x1b[2J\u202eb").all() and len(reasons) == 3


def test_a_console_obeys_no_text():
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, width=80)
    console.print("[bold]a[/bold]\x1b[2J\u202e")
    assert "\x1b[1m" in out.getvalue(), "its own styles stay"
    assert "\x1b[2J" not in out.getvalue() and "\u202e" not in out.getvalue()


def test_a_strangers_reason_moves_no_cursor(tmp_path):
    run(suite(tmp_path), tmp_path / "run")
    edit(tmp_path / "run", "reason", lambda reason: reason and "a\x1b[2J\u202eb")
    ended = subprocess.run(
        [sys.executable, "-m", "cibench", "score", str(tmp_path / "run")],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert r"a\x1b[2J\u202eb" in ended.stdout and "\x1b[2J" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["--out=/x", "own/a\nb", "own/\u202ea", "own/\u2028a"])
@pytest.mark.parametrize("column", ["estimator", "scenario"])
def test_a_strangers_name_is_no_option_and_no_second_line(tmp_path, column, name):
    run(suite(tmp_path), tmp_path / "run")
    edit(tmp_path / "run", column, lambda _: name)
    with pytest.raises(BadInput, match="which is not a name"):
        cibench.load(tmp_path / "run").replicates  # noqa: B018 - reading is what is tried


def edit(folder, column, change):
    for path in folder.glob("replicates/*.parquet"):
        table = pq.read_table(path)
        place, values = table.schema.get_field_index(column), table[column].to_pylist()
        changed = pa.array([change(value) for value in values], table.schema.field(place).type)
        pq.write_table(table.set_column(place, table.schema.field(place), changed), path)


def test_limits_of_a_leaderboard_rest_on_no_order_of_rows(tmp_path):
    def of(sizes):
        methods = ["did/collapsed", "naive/difference-in-means", "panel/twfe"]
        cell = {"scenario": "did/two-group", "n": sizes, "estimators": methods}
        return {"name": "t", "seed": 1, "replicates": 5, "cells": [cell]}

    run(of([60, 30]), tmp_path / "extended")
    extended = run(of([40, 60, 50, 30]), tmp_path / "extended")
    fresh = run(of([40, 60, 50, 30]), tmp_path / "fresh")
    assert json.loads((tmp_path / "fresh" / "manifest.json").read_text())["stored_rows"] == 60
    assert list(extended.replicates["n"].unique()) != list(fresh.replicates["n"].unique())
    numbers = ["estimator", "log_ratio", "ratio_low", "ratio_high", "rank"]
    pd.testing.assert_frame_equal(extended.ranks[numbers], fresh.ranks[numbers], check_exact=True)
