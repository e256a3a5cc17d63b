"""Estimators in another process: declared, asked, crashed, hung, and told in words."""

import json
import os
import sys
import tempfile
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from cibench import BadInput, Declined, find_estimator, find_scenario, load, run
from cibench.external import process
from cibench.external.methods import register_methods, seed_of
from cibench.external.wire import Reported
from cibench.model.registry import entry, load_plugin
from cibench.model.streams import stream
from cibench.model.types import Problem
from cibench.storage.source_digests import files_beside, source_digest
from cibench.suite.parse import parse_suite, read_suite
from cibench.utils.plugins import FORBIDDEN

SCRIPT = """\
import os, sys, time
from cibench import Declined, Estimand, Estimate, estimator, serve

@estimator("own/mean")
def mean(problem, rng, *, shift=0.0, mode=""):
    y, d = problem.outcome, problem.treatment
    print("noise on stdout", end="")
    if mode == "decline":
        raise Declined("not for me")
    if mode == "raise":
        raise ValueError("bad  luck")
    if mode == "quit":
        print("goodbye", file=sys.stderr); sys.stderr.flush(); os._exit(3)
    if mode == "kill":
        os.kill(os.getpid(), 9)
    if mode == "hang":
        time.sleep(1000)
    if mode == "noise":
        os.write(2, b"x" * 5_000_000)
    if mode == "close":
        os.close(1); os.close(2)
    if mode == "eat":
        hoard = b"1" * 600_000_000; time.sleep(1000)
    if mode == "cd":
        os.chdir("/")
    if mode == "warn":
        import warnings; warnings.warn("hm")
    if mode == "forge":
        for k in range(100):
            os.write(2, b'\\ncibench: {"id": %d, "estimates": [{"value": 0}]}\\n' % k)
    if mode == "none":
        return None
    value = y[d == 1].mean() - y[d == 0].mean() + shift
    return Estimate.wald(value, 0.5, problem.level, 10)

@estimator("own/random")
def noisy(problem, rng):
    return Estimate(float(rng.normal()), 1.0, -5.0, 5.0)

serve()
"""
DECLARED = """
[estimators."own/mean"]
command = [{python}, "own.py"]
targets = ["ATT"]
assumes = ["parallel trends"]
options = {{ shift = 0.0, mode = "" }}
uses = ["numpy"]

[estimators."own/random"]
command = [{python}, "own.py"]
targets = ["ATT"]
"""
SUITE = """
name = "own"
seed = 5
replicates = 12
{more}

[[cells]]
scenario = "did/two-group"
n = 20
estimators = ["naive/difference-in-means", "own/mean", "own/random"]
"""


@pytest.fixture(autouse=True)
def _ended(shelves):
    yield
    process.end_all()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own.py").write_text(SCRIPT)
    declared = DECLARED.format(python=json.dumps(sys.executable))
    (tmp_path / "own.toml").write_text(declared)
    (tmp_path / "suite.toml").write_text(SUITE.format(more="") + declared)
    return tmp_path


@pytest.fixture
def own(folder):
    load_plugin(str(folder / "own.toml"))
    return find_estimator("own/mean")


def problem_for(method):
    scenario = find_scenario("did/two-group")()
    draw = scenario.draw(20, np.random.default_rng(1))
    return Problem.of(draw, scenario.assigned_roles(), method.targets_of(scenario), 0.9)


def value_of(answer):
    (estimate,) = answer.values()
    return estimate.value


def test_an_estimator_elsewhere_answers_as_one_here(own):
    problem = problem_for(own)
    (there,) = own.fit(problem, stream("x")).values()
    here = find_estimator("naive/difference-in-means").fit(problem, stream("x"))
    assert there.value == pytest.approx(here.value, rel=1e-13)
    assert value_of(own.fit(problem, stream("x"), shift=1.0)) == there.value + 1.0
    assert (there.df, there.high - there.value) == (10, pytest.approx(0.5 * 1.8124611228107335))


def test_what_a_fit_there_says_is_said_here(own):
    problem = problem_for(own)
    with pytest.raises(Declined, match=r"^not for me$"):
        own.fit(problem, stream("x"), mode="decline")
    with pytest.raises(Reported, match=r"^ValueError: bad luck \(own\.py:11\)$"):
        own.fit(problem, stream("x"), mode="raise")
    with pytest.raises(Reported, match=r"^TypeError: returned NoneType, not an Estimate"):
        own.fit(problem, stream("x"), mode="none")
    with pytest.warns(UserWarning, match=r"^hm$"):
        own.fit(problem, stream("x"), mode="warn")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("quit", "its process ended with exit code 3: .*goodbye$"),
        ("kill", "its process ended by signal 9"),
    ],
)
def test_a_process_that_dies_is_a_failed_fit_and_the_next_has_a_new_one(own, mode, text):
    problem, usual = problem_for(own), value_of(own.fit(problem_for(own), stream("x")))
    with pytest.raises(Reported, match=text):
        own.fit(problem, stream("x"), mode=mode)
    assert value_of(own.fit(problem, stream("x"))) == usual


@pytest.mark.parametrize("mode", ["noise", "close", "cd", "forge"])
def test_what_a_fit_prints_closes_or_changes_is_no_answer(own, mode):
    problem, usual = problem_for(own), value_of(own.fit(problem_for(own), stream("x")))
    assert value_of(own.fit(problem, stream("x"), mode=mode)) == usual
    assert value_of(own.fit(problem, stream("x"))) == usual


SPEAKING = """\
import json, os, sys
def say(message): print(os.environ["CIBENCH_MARK"] + message, flush=True)
say('{"hello": {"protocol": 1, "language": "L", "version": "1"}}')
for line in sys.stdin:
    number = json.loads(line)["id"]
    ANSWER
"""
ANSWERS = {
    "say('nonsense')": "its process wrote an answer that is no JSON: 'nonsense'",
    "say('[]')": r"its process wrote an answer that is no JSON object: '\[\]'",
    "say(json.dumps({'id': number + 1}))": "its process answered request 2, not 1",
    "say(json.dumps({'id': 'x'}))": "its process answered request 'x', not 1",
    "say(json.dumps({'id': number}))": "its process gave neither estimates",
    "say('x' * 20_000_000)": "its process wrote an answer of more than 10 MB",
    "print('mum'); sys.exit()": "its process ended with exit code 0: mum",
    "say(json.dumps({'id': number, 'failed': 'E' * 100_000}))": "^E{20000}$",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_answers_nonsense_is_told(answer, tmp_path):
    method = speaking(tmp_path, SPEAKING.replace("ANSWER", answer))
    with pytest.raises(Reported, match=ANSWERS[answer]):
        method.fit(problem_for(method), stream("x"))


def speaking(folder, script):
    (folder / "speak.py").write_text(script)
    command = json.dumps([sys.executable, "speak.py"])
    text = f'[estimators."own/speak"]\ncommand = {command}\ntargets = ["ATT"]\n'
    (folder / "speak.toml").write_text(text)
    register_methods(folder / "speak.toml")
    return find_estimator("own/speak")


def test_who_answers_twice_is_told_at_the_next_request(tmp_path):
    answer = "say(json.dumps({'id': number, 'estimates': [{'value': 1}]}));" * 2
    method = speaking(tmp_path, SPEAKING.replace("ANSWER", answer))
    assert value_of(method.fit(problem_for(method), stream("x"))) == 1
    with pytest.raises(Reported, match="answered request 1, not 2"):
        method.fit(problem_for(method), stream("x"))
    assert value_of(method.fit(problem_for(method), stream("x"))) == 1


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("import sys; sys.exit('no such package')", "ended with exit code 1: no such package"),
        (
            "import os; print(os.environ['CIBENCH_MARK'] + '{}', flush=True)",
            "began with something else than a hello",
        ),
        (
            "import os; print(os.environ['CIBENCH_MARK'] + 'x', flush=True)",
            "wrote an answer that is no JSON",
        ),
        ("import time; time.sleep(60)", "said no hello in 0.5 s"),
        ("pass", r"exit code 0; that was before a hello: does the script call serve\(\)\?"),
        ("while True: print('x' * 1000)", "said no hello in 0.5 s"),
    ],
)
def test_what_does_not_come_to_its_hello_is_one_line(script, text, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "STARTING", 0.5)
    method = speaking(tmp_path, script)
    with pytest.raises(BadInput, match=f"speak.py: .*{text}"):
        method.elsewhere.versions()
    with pytest.raises(Reported, match=text):
        method.fit(problem_for(method), stream("x"))
    assert not process._running


def test_a_run_without_its_language_is_one_line_and_nothing_is_written(tmp_path):
    suite = SUITE.format(more='plugins = ["speak.toml"]').replace("own/random", "own/speak")
    speaking(tmp_path, "raise SystemExit('dead at once')")
    (tmp_path / "s.toml").write_text(suite.replace('"own/mean", ', ""))
    with pytest.raises(BadInput, match="dead at once"):
        run(tmp_path / "s.toml", tmp_path / "run")
    assert not (tmp_path / "run" / "replicates").exists()


def test_rows_are_the_same_alone_in_workers_and_extended(folder):
    first = run(folder / "suite.toml", folder / "a")
    whole = first.replicates
    here, away = first.manifest["imported"], {"estimator own/mean", "estimator own/random"}
    assert away <= set(here["unobserved"]) and "numpy" in here["versions"]
    parallel = run(folder / "suite.toml", folder / "b", workers=2).replicates
    few = read_suite(folder / "suite.toml").with_replicates(5)
    run(few, folder / "c", workers=2)
    extended = run(folder / "suite.toml", folder / "c").replicates
    for other in (parallel, extended):
        for one, two in zip(sorted_rows(whole), sorted_rows(other), strict=True):
            pd.testing.assert_series_equal(one, two)
    assert whole.query("estimator == 'own/random'")["estimate"].nunique() == 12
    assert (whole["status"] == "ok").all()


def sorted_rows(rows):
    rows = rows.sort_values(["estimator", "replicate"], ignore_index=True)
    return [rows[name] for name in rows if name not in ("seconds",)]


def test_only_who_draws_random_numbers_is_fitted_again(folder):
    text = (folder / "suite.toml").read_text()
    refitted = text.replace("seed = 5", "seed = 5\nrefits = { replicates = 2, times = 3 }")
    (folder / "suite.toml").write_text(refitted)
    rows = run(folder / "suite.toml", folder / "a").replicates
    again = rows[rows["refit"] > 0]
    assert set(again["estimator"]) == {"own/random"} and len(again) == 6
    assert again["estimate"].nunique() == 6


def test_what_a_run_rests_on_there_is_stored(folder):
    stored = run(folder / "suite.toml", folder / "a")
    versions = stored.manifest["versions"]
    where = f"Python ({Path(sys.executable).name})"
    assert versions[where] == ".".join(map(str, sys.version_info[:3]))
    assert versions[f"{where}: numpy"] == np.__version__
    assert stored.manifest["sources"]["estimator own/mean"]


def test_another_version_there_is_never_mixed_with_the_old(folder, tmp_path):
    run(folder / "suite.toml", folder / "a")
    path = folder / "a" / "manifest.json"
    manifest = json.loads(path.read_text())
    (key,) = [name for name in manifest["versions"] if name.endswith(": numpy")]
    manifest["versions"][key] = "1.0"
    path.write_text(json.dumps(manifest))
    more = read_suite(folder / "suite.toml").with_replicates(14)
    with pytest.raises(BadInput, match=r"numpy 1\.0 → "):
        run(more, folder / "a")


def test_a_changed_script_or_declaration_is_another_source(folder, own):
    before = source_digest(entry("estimator", "own/mean"))
    other = source_digest(entry("estimator", "own/random"))
    assert files_beside(entry("estimator", "own/mean")) == ["own.py"]
    text = (folder / "own.toml").read_text()
    (folder / "own.toml").write_text(f"# a remark\n{text}")
    assert source_digest(entry("estimator", "own/mean")) == before
    (folder / "own.toml").write_text(text.replace("parallel trends", "trends"))
    assert source_digest(entry("estimator", "own/mean")) != before
    assert source_digest(entry("estimator", "own/random")) == other
    (folder / "own.toml").write_text(text)
    (folder / "own.py").write_text(SCRIPT + "\n")
    assert source_digest(entry("estimator", "own/mean")) != before


def test_a_stored_fit_is_replayed_and_bundled_with_its_command(folder):
    from cibench.execution.replay_bundle import write_bundle
    from cibench.execution.replays import FitAddress, replay

    run(folder / "suite.toml", folder / "a", workers=2)
    address = FitAddress("did/two-group", "own/random", replicate=3)
    replayed = replay(folder / "a", address)
    bundle = write_bundle(replayed, folder / "bundle")
    assert not replayed.differences
    output = (bundle / "output.txt").read_text()
    stored = replayed.stored["estimate"].iloc[0]
    assert f'"value": {stored!r}'.replace("np.float64(", "").replace(")", "") in output
    assert (bundle / "adapter" / "own.py").read_text() == SCRIPT


def test_a_fit_that_hangs_or_eats_memory_there_is_a_row(folder):
    text = (folder / "suite.toml").read_text().replace("replicates = 12", "replicates = 2")
    for mode, status, limits in (
        ("hang", "timeout", "timeout = 2"), ("eat", "memory", 'memory = "500MB"'),
    ):  # fmt: skip
        options = f'options = {{ "own/mean" = {{ mode = "{mode}" }} }}\n'
        content = text.replace("seed = 5", f"seed = 5\n{limits}")
        content = content.replace(
            '\n[estimators."own/mean"]', f'{options}\n[estimators."own/mean"]'
        )
        (folder / "s.toml").write_text(content)
        rows = run(folder / "s.toml", folder / mode, workers=2, checks=False).replicates
        assert set(rows.query("estimator == 'own/mean'")["status"]) == {status}
        assert set(rows.query("estimator != 'own/mean'")["status"]) == {"ok"}
    time.sleep(0.5)
    assert not [p for p in psutil.process_iter(["cmdline", "ppid"]) if left_over(p.info)]


def left_over(info):
    """Say whether a process answers for a worker that has ended; the driver's own may go on."""
    return "own.py" in (info["cmdline"] or ()) and info["ppid"] != os.getpid()


WRONG = {
    'command = "Rscritp x.R"': "command: no program named 'Rscritp x.R'",
    "command = []": r"command: \[\] is not a string or a list",
    "comand = ['x']": "comand: no key named 'comand'; did you mean 'command'",
    "targets = ['ATQ']": "targets: no estimand named 'ATQ'; did you mean 'AT[ETUO]'",
    "needs = ['tretment']": "needs: no role named 'tretment'; did you mean 'treatment'",
    "gives = ['sd']": "gives: no part of an answer named 'sd'",
    "files = ['gone.R']": "no file named 'gone.R'",
    "files = ['../up.R']": "lies outside of",
    "options = { 'a b' = 1 }": "options: 'a b' is no name of an option",
    "options = { day = 2020-01-01 }": "options: 'day' is no number, text, or list",
    "moments = 1": "moments: 1 is not true or false",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_declaration_that_is_off_is_told_with_its_line(line, folder):
    key = line.split(" = ")[0]
    base = {"command": f"command = [{json.dumps(sys.executable)}]", "targets": "targets = ['ATT']"}
    lines = ['[estimators."own/wrong"]', *(v for k, v in base.items() if k != key), line]
    (folder / "wrong.toml").write_text("\n".join(lines))
    with pytest.raises(
        BadInput, match=rf"wrong\.toml:\d+: estimators\.own/wrong.*{WRONG[line]}"
    ) as why:
        load_plugin(str(folder / "wrong.toml"))
    assert len(why.value.args) == 1


@pytest.mark.parametrize("name", ["Own/x", "x", "own/x/y"])
def test_a_name_that_is_none_is_told(name, folder):
    command = json.dumps([sys.executable])
    text = f'[estimators."{name}"]\ncommand = {command}\ntargets = ["ATT"]\n'
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(BadInput, match="is not of the form family/name"):
        load_plugin(str(folder / "wrong.toml"))


def test_what_the_process_does_not_have_is_told_with_the_near_miss(folder):
    text = (folder / "own.toml").read_text().replace('"own/mean"', '"own/maen"')
    (folder / "own.toml").write_text(text)
    load_plugin(str(folder / "own.toml"))
    with pytest.raises(BadInput, match="no estimator named 'own/maen'; did you mean 'own/mean'"):
        find_estimator("own/maen").elsewhere.versions()


def test_a_package_that_is_not_there_declines_with_its_name(folder):
    text = (folder / "own.toml").read_text().replace('["numpy"]', '["numpy", "no-such-package"]')
    (folder / "own.toml").write_text(text)
    load_plugin(str(folder / "own.toml"))
    reason = find_estimator("own/mean").declines(find_scenario("did/two-group")())
    assert reason == "is not installed where it is asked: no-such-package"


def test_estimators_are_declared_in_files_only():
    spec = {
        "name": "x", "seed": 1, "replicates": 2, "estimators": {"own/x": {"command": ["x"]}},
        "cells": [{"scenario": "did/two-group", "n": 20, "estimators": "did/collapsed"}],
    }  # fmt: skip
    with pytest.raises(BadInput, match=r"estimators: stands in a file: name a \.toml file"):
        parse_suite(spec)


def test_forbidden_plugins_start_no_process(folder, monkeypatch):
    monkeypatch.setenv(FORBIDDEN, "1")
    for path in ("suite.toml", "own.toml"):
        with pytest.raises(BadInput, match="not executed"):
            read_suite(folder / path) if path == "suite.toml" else load_plugin(str(folder / path))
    assert not process._running


def test_seeds_fit_into_every_language_and_leave_the_stream_alone():
    rng, same = stream("x", 1), stream("x", 1)
    seeds = {seed_of(stream("x", k)) for k in range(200)}
    assert seed_of(rng) == seed_of(same) and len(seeds) == 200
    assert all(0 <= seed < 2**31 - 1 for seed in seeds)
    assert rng.random() == same.random()


def test_processes_end_with_the_python_that_started_them(folder):
    import subprocess

    code = textwrap.dedent(f"""
        from cibench.model.registry import load_plugin
        from cibench import find_estimator
        load_plugin({str(folder / "own.toml")!r})
        print(find_estimator("own/mean").elsewhere.prepare()._child.pid)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not psutil.pid_exists(int(done.stdout)) and not done.stderr


def folders():
    """Return the folders of processes that have ended, and of this one; others are at work."""
    every = Path(tempfile.gettempdir()).glob("cibench-data-*")
    owners = {path: int(path.name.split("-")[3]) for path in every}
    return {p for p, pid in owners.items() if pid == os.getpid() or not psutil.pid_exists(pid)}


def test_no_data_are_left_behind_whatever_becomes_of_the_workers(folder):
    """Each worker left its last data set in the folder of temporary files."""
    process.end_all()
    before = folders()
    text = (folder / "suite.toml").read_text().replace("seed = 5", "seed = 5\ntimeout = 2")
    options = 'options = { "own/mean" = { mode = "hang" } }\n'
    hanging = text.replace('\n[estimators."own/mean"]', f'{options}\n[estimators."own/mean"]')
    run(folder / "suite.toml", folder / "a", workers=2)  # with a look at plug-ins, in a process
    (folder / "suite.toml").write_text(hanging.replace("replicates = 12", "replicates = 2"))
    rows = run(folder / "suite.toml", folder / "b", workers=2, checks=False).replicates
    assert "timeout" in set(rows["status"])
    process.end_all()
    assert folders() <= before


def test_versions_are_asked_once(folder, own, monkeypatch):
    asked = []
    ask = process.Process.ask
    monkeypatch.setattr(process.Process, "ask", lambda *a: asked.append(a[1]) or ask(*a))
    for _ in range(3):
        assert own.declines(find_scenario("did/two-group")()) is None
        own.elsewhere.versions()
    assert len(asked) == 1


def test_a_declaration_is_read_once_and_again_where_it_changed(folder, monkeypatch):
    from cibench.external import methods

    reads = []
    register = methods.register_methods
    monkeypatch.setattr(methods, "register_methods", lambda p: reads.append(p) or register(p))
    for _ in range(3):
        load_plugin(str(folder / "own.toml"))
    text = (folder / "own.toml").read_text()
    (folder / "own.toml").write_text(text.replace("shift = 0.0", "shift = 2.0"))
    load_plugin(str(folder / "own.toml"))
    assert len(reads) == 2 and find_estimator("own/mean").options["shift"] == 2.0


def test_a_cluster_worker_with_other_versions_there_refuses(folder):
    from cibench.workers import dask
    from cibench.workers.supervisor import Limits

    terms = dask.Terms.of(read_suite(folder / "suite.toml"), (), Limits(), 1.0)
    assert dask._others_elsewhere(terms) == []
    (first, versions), *rest = terms.elsewhere
    other = [(what, "0.1" if what.endswith("numpy") else v) for what, v in versions]
    changed = terms._replace(elsewhere=((first, tuple(other)), *rest))
    (complaint,) = dask._others_elsewhere(changed)
    assert complaint.endswith("the driver 0.1") and np.__version__ in complaint


def test_a_run_that_is_loaded_needs_no_process(folder):
    run(folder / "suite.toml", folder / "a")
    process.end_all()
    (folder / "own.py").unlink()
    (folder / "suite.toml").unlink()
    assert load(folder / "a").scores.shape[0] == 3
    assert not process._running
    assert replace(find_estimator("did/collapsed")).elsewhere is None
