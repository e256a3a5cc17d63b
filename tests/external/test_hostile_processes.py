"""Processes that leave children behind, spoil their data's folder, or speak in control codes."""

import os
import sys
import time

import psutil
import pytest

import cibench
from cibench.execution import RunSettings
from cibench.external.process import Command, Process
from cibench.utils.errors import BadInput

pytestmark = pytest.mark.usefixtures("shelves")

SCRIPT = """
import json, os, shutil, subprocess, sys, time
mark = os.environ["CIBENCH_MARK"]
def write(content):
    print(mark + json.dumps(content), flush=True)
def child():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
{before}
write({{"hello": {{"protocol": 1, "language": "L", "version": {version!r}}}}})
for line in sys.stdin:
    request = json.loads(line)
    folder = request.get("folder")
    {fit}
    write({{"id": request["id"], "estimates": [{{"value": 1, "se": 1, "low": 0, "high": 2}}]}})
"""
METHOD = '[estimators."own/it"]\ncommand = ["{}", "it.py"]\ntargets = ["ATT"]\n'


def script(folder, before="", fit="pass", version="1"):
    text = SCRIPT.format(before=before, fit=fit, version=version)
    (folder / "it.py").write_text(text, encoding="utf-8")
    (folder / "it.toml").write_text(METHOD.format(sys.executable), encoding="utf-8")
    return Command((sys.executable, "it.py"), str(folder))


def rows(folder):
    cell = {"scenario": "did/two-group", "n": 30, "estimators": "own/it"}
    suite = {"name": "t", "seed": 1, "replicates": 3, "cells": [cell]}
    suite["plugins"] = [str(folder / "it.toml")]
    return cibench.run(suite, settings=RunSettings(checks=False)).replicates


def test_a_process_that_ends_has_ended_whoever_holds_its_output(tmp_path):
    begun = time.monotonic()
    with pytest.raises(BadInput, match="ended with exit code 3"):
        Process(script(tmp_path, before="child(); os._exit(3)"))
    script(tmp_path, fit="child(); os._exit(7)")
    table = rows(tmp_path)
    assert table["reason"].str.contains("ended with exit code 7").all()
    assert time.monotonic() - begun < 15  # the children live for longer


def test_what_a_process_started_ends_with_it(tmp_path):
    before = set(psutil.Process().children(recursive=True))
    process = Process(script(tmp_path, before="child()"))
    started = set(psutil.Process().children(recursive=True)) - before
    assert len(started) == 2
    process.end()
    _, alive = psutil.wait_procs(started, timeout=5)
    assert not alive


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize(
    "deed",
    [
        "shutil.rmtree(folder)",
        "shutil.rmtree(folder); os.symlink(os.getcwd(), folder)",
        "shutil.rmtree(folder); open(folder, 'w').close()",
        "os.remove(folder + '/numbers.bin'); os.mkfifo(folder + '/numbers.bin')",
        "os.chmod(folder, 0)",
    ],
)
def test_a_fit_that_spoils_its_folder_spoils_no_other_fit(tmp_path, monkeypatch, deed):
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(data))
    script(tmp_path, fit=deed)
    assert rows(tmp_path)["status"].tolist() == ["ok"] * 3
    assert not (tmp_path / "numbers.bin").exists(), "written through the link"
    from cibench.external.process import end_all

    end_all()
    assert not list(data.glob("cibench-data-*"))


def test_a_version_that_no_manifest_could_hold_is_refused(tmp_path):
    with pytest.raises(BadInput, match="does not say its language"):
        Process(script(tmp_path, version="1\x1b[2J"))


def test_a_command_with_a_zero_byte_is_a_line(tmp_path):
    text = METHOD.format(sys.executable).replace("it.py", "it\\u0000.py")
    (tmp_path / "it.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="command: holds a zero byte"):
        rows(tmp_path)
