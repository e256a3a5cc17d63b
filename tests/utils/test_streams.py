"""Terminals that know few characters: every command still says what it has to say."""

import io
import os
import sys

import pytest
from commands import python

import cibench
from cibench.utils.streams import PLAIN, take_every_text

CELL = {"scenario": "did/two-group", "n": 30, "estimators": ["did/collapsed", "naive/*"]}
SUITE = {"name": "small", "seed": 1, "replicates": 8, "cells": [CELL]}
PLACES = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams") / "läuft"
    return cibench.run(SUITE, out=folder).folder


@pytest.mark.parametrize(
    ("command", "encoding"),
    [("score", "ascii"), ("score", "cp1252"), ("score", None), ("report", "ascii")],
)
def test_a_run_is_shown_on_any_terminal(run, command, encoding):
    """What `score` prints holds dashes; the folder's name is beyond ASCII too."""
    variables = {**PLACES, **({"PYTHONIOENCODING": encoding} if encoding else {})}
    ended = python(
        "-m", "cibench", command, run.name, folder=run.parent, env=variables,
        encoding=encoding or "ascii", errors="replace",
    )  # fmt: skip
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr[-500:]
    if command == "score":
        assert "100 (6" in ended.stdout.replace("–", "-") or "coverage" in ended.stdout


def test_bad_input_is_one_line_on_any_terminal(run):
    ended = python("-m", "cibench", "score", "müll\udcff", folder=run.parent,
                   env={**PLACES, "PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "iso-8859-9"])
def test_every_character_has_one_that_stands_for_it(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    take_every_text()
    sys.stdout.write("Şükrü 60–100 日 \udcff" + "".join(PLAIN))
    sys.stdout.flush()
    text = raw.getvalue().decode(encoding)
    assert "60" in text and "?" in text and len(text) >= len(PLAIN)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    take_every_text()  # it has none to change
