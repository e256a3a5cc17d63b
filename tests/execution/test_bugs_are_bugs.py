"""Bugs are told as bugs: scenarios that cannot draw, methods that raise again and again."""

import json
import re
from functools import partial

import pytest
from replicates import assert_same_rows
from toys import plugin

import cibench
from cibench.execution import (
    DrawAddress,
    FitAddress,
    RunSettings,
    Tuning,
    execute,
    replay,
    replay_draw,
)
from cibench.execution.progress import look
from cibench.render.replay_command import command
from cibench.results import Run
from cibench.storage.stops import FIRST, alike
from cibench.suite import parse_suite
from cibench.utils.errors import BadInput, UndrawnData

METHODS = '''
from cibench import dial, parameter

@scenario("bugs/draws")
class Draws(Randomised):
    """Y = effect D + e, where a draw of a large first error fails."""
    most: float = 0.8

    def draw(self, n, rng):
        draw = super().draw(n, rng)
        if abs(draw.baseline[0]) > self.most:
            raise ZeroDivisionError(f"no rows of {draw.baseline[0]:g}")
        return draw

@scenario("bugs/exits")
class Exits(Randomised):
    """What is no data set, or ends the process."""
    how: str = "none"

    def draw(self, n, rng):
        draw = super().draw(n, rng)
        if self.how == "exit":
            sys.exit(3)
        if self.how == "kill":
            os._exit(3)
        return None if self.how == "none" else Draw({"y": draw.columns["y"]}, *[draw.baseline] * 2)

@scenario("bugs/truthless")
class Truthless(Randomised):
    """Whose truth raises."""
    def truth(self):
        return 1 / 0

@estimator("bugs/mean", targets=ATE)
def mean(problem, rng):
    """The difference in means."""
    return Estimate.wald(contrast(problem), 2 / len(problem.outcome) ** 0.5, problem.level)

@estimator("bugs/always", targets=ATE)
def always(problem, rng):
    """A slip, at one place, in words that differ."""
    raise ValueError(f"not this: {problem.outcome[0]}")

@estimator("bugs/nine", targets=ATE)
def nine(problem, rng):
    """A slip in most fits."""
    if problem.outcome[0] < 1.2:
        raise ValueError("not this")
    return mean.fit(problem, rng)

@estimator("bugs/seldom", targets=ATE)
def seldom(problem, rng):
    """A slip in few fits."""
    if problem.outcome[0] < -0.7:
        raise ValueError("seldom")
    return mean.fit(problem, rng)

@estimator("bugs/places", targets=ATE)
def places(problem, rng):
    """Two slips."""
    if problem.outcome[0] < 0:
        raise ValueError("here")
    raise ValueError("there")
'''
same_rows = partial(assert_same_rows, check_dtype=False)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Give the plug-in's path; its file is written once for all tests."""
    file = tmp_path_factory.mktemp("bugs") / "bugs_toys.py"
    file.write_text(plugin("bugs", METHODS), encoding="utf-8")
    return str(file)


def suite_of(path, scenario, methods, replicates=40, **cell):
    cell = {"scenario": scenario, "n": 30, "estimators": methods, **cell}
    good = {"scenario": "bugs/randomised", "n": 30, "estimators": methods}
    cells = [cell] if scenario == "bugs/randomised" else [good, cell]
    return parse_suite({"name": "t", "seed": 3, "replicates": replicates, "plugins": [path],
                        "cells": cells})  # fmt: skip


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def draws_lost(path, most=0.8, replicates=40):
    """Return which replicates cannot be drawn, from the addresses alone."""
    from cibench.workers.block import draw_replicate

    suite = suite_of(path, "bugs/draws", ["bugs/mean"])
    scenario = cibench.find_scenario("bugs/draws")(most=99.0)
    firsts = [draw_replicate(scenario, 30, suite.seed, k).baseline[0] for k in range(replicates)]
    return {k for k, e in enumerate(firsts) if abs(e) > most}


SETTINGS = {"here": RunSettings(), "isolated": RunSettings(2)}


@pytest.mark.parametrize("how", SETTINGS)
def test_a_scenario_that_cannot_draw_is_charged_to_nobody(path, tmp_path, how):
    suite = suite_of(path, "bugs/draws", ["bugs/mean", "naive/difference-in-means"])
    with pytest.raises(UndrawnData) as raised:
        cibench.run(suite, tmp_path / "r", settings=SETTINGS[how])
    lost = draws_lost(path)
    assert 0 < len(lost) < 40
    (line,) = raised.value.args
    assert line.startswith(f"scenario bugs/draws could not draw {len(lost)} data sets: ZeroDivi")
    assert "(bugs_toys.py:" in line and f"first replicate {min(lost)} of n=30" in line
    rows = raised.value.run.replicates
    assert (rows["status"] == "ok").all()
    faulty = rows[rows["scenario"] == "bugs/draws"]
    assert set(faulty["replicate"]) == set(range(40)) - lost
    assert len(rows) == 80 + len(faulty) == manifest_of(tmp_path / "r")["stored_rows"]
    assert (raised.value.run.scores["failures"] == 0).all()


def test_the_next_run_tells_it_again_and_a_mended_scenario_goes_on(path, tmp_path):
    suite = suite_of(path, "bugs/draws", ["bugs/mean"])
    for _ in range(2):
        with pytest.raises(UndrawnData, match="could not draw"):
            execute(suite, tmp_path / "r")
    before, lost = Run(tmp_path / "r").replicates, draws_lost(path)
    status = look(tmp_path / "r")
    assert (status.state, status.done, status.total) == ("unfinished", 80 - len(lost), 80)
    assert status.cells[1]["undrawn"] == len(lost) and "could not draw" in status.notes[0]
    address = DrawAddress("bugs/draws", min(lost))
    undrawn = replay_draw(tmp_path / "r", address)
    assert "ZeroDivisionError" in undrawn.traceback and "bugs_toys.py" in undrawn.traceback
    assert replay_draw(tmp_path / "r", DrawAddress("bugs/randomised", min(lost))) is None
    scenario = cibench.find_scenario("bugs/draws")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario, "draw", cibench.find_scenario("bugs/randomised").draw)
        execute(suite, tmp_path / "r")
        execute(suite, tmp_path / "whole")
    after = Run(tmp_path / "r").replicates
    assert len(after) == 80 and manifest_of(tmp_path / "r")["undrawn"] == []
    kept = after.merge(before[["scenario", "replicate"]])
    same_rows(kept[before.columns], before)
    same_rows(after, Run(tmp_path / "whole").replicates)
    assert look(tmp_path / "r").state == "finished"


@pytest.mark.parametrize("how", ["none", "column", "exit", "kill"])
def test_whatever_is_no_data_set_is_the_scenario_s_fault(path, tmp_path, how):
    suite = suite_of(path, "bugs/exits", ["bugs/mean"], 3, parameters={"how": how})
    with pytest.raises(UndrawnData) as raised:
        execute(suite, tmp_path / "r", RunSettings(isolate=True, checks=False))
    reasons = {
        "none": "TypeError: draw() returned NoneType, not a Draw (bugs_toys.py:",
        "column": "LookupError: a role names column 'd', which was not drawn (bugs_toys.py:",
        "exit": "SystemExit: 3 (bugs_toys.py:", "kill": "the process died: exit code 3",
    }  # fmt: skip
    assert f"could not draw 3 data sets: {reasons[how]}" in str(raised.value)
    assert set(Run(tmp_path / "r").replicates["scenario"]) == {"bugs/randomised"}


def test_a_cell_of_which_nothing_can_be_drawn_ends_after_ten(path, tmp_path):
    suite = suite_of(path, "bugs/draws", ["bugs/mean"], parameters={"most": 0.0})
    with pytest.raises(UndrawnData, match="could not draw 10 data sets"):
        execute(suite, tmp_path / "r")
    going = RunSettings(keep_going=True)
    with pytest.raises(UndrawnData, match="could not draw 40 data sets"):
        execute(suite, tmp_path / "r", going)
    assert set(Run(tmp_path / "r").replicates["scenario"]) == {"bugs/randomised"}


def test_a_truth_that_raises_is_told_before_anything_is_stored(path, tmp_path):
    suite = suite_of(path, "bugs/truthless", ["bugs/mean"])
    with pytest.raises(BadInput, match=r"truth: ZeroDivisionError: .* \(bugs_toys.py:\d+\)$"):
        execute(suite, tmp_path / "r", RunSettings(checks=False))
    assert not (tmp_path / "r" / "manifest.json").exists()


STOPPING = ["bugs/mean", "bugs/always", "bugs/nine", "bugs/places"]


def test_identical_exceptions_share_type_and_place():
    assert alike("failed", "TypeError: a (b) (m.py:7)") == alike("failed", "TypeError (m.py:7)")
    kinds = ["TypeError: a (m.py:8)", "ValueError: a (m.py:7)", "returned NoneType", "returned int"]
    assert len({alike("failed", kind) for kind in kinds}) == 4
    assert alike("ok", None) is alike("timeout", "took longer") is alike("declined", "x") is None


@pytest.fixture(scope="module")
def serial(path, tmp_path_factory):
    """Give the rows of a run in one piece in this process."""
    folder = tmp_path_factory.mktemp("serial") / "r"
    execute(suite_of(path, "bugs/randomised", STOPPING), folder)
    return Run(folder).replicates


def test_who_raises_alike_from_the_start_has_ten_rows(serial):
    counts = serial.groupby("estimator").size()
    expected = dict.fromkeys(STOPPING, 40) | {"bugs/always": FIRST}
    assert counts.to_dict() == expected
    assert (serial["status"] == "failed").groupby(serial["estimator"]).sum()["bugs/nine"] > 30


def test_stops_are_the_same_whatever_way_the_rows_are_made(path, tmp_path, serial):
    whole = suite_of(path, "bugs/randomised", STOPPING)
    execute(whole, tmp_path / "two", RunSettings(2))
    same_rows(Run(tmp_path / "two").replicates, serial)
    for count in (3, FIRST, 25, 40, 40):
        execute(whole.with_replicates(count), tmp_path / "grown")
    same_rows(Run(tmp_path / "grown").replicates, serial)
    for names in (["bugs/always"], STOPPING[::-1]):
        execute(suite_of(path, "bugs/randomised", names), tmp_path / "joined")
    joined = Run(tmp_path / "joined").replicates
    place = joined["estimator"].map(STOPPING.index)
    order = joined.assign(place=place).sort_values(["replicate", "place"], kind="stable")
    same_rows(order[serial.columns].reset_index(drop=True), serial)


def test_a_stopped_run_is_whole_and_says_what_is_left_out(path, tmp_path):
    suite = suite_of(path, "bugs/randomised", STOPPING)
    run = cibench.run(suite, tmp_path / "r")
    (stop,) = run.manifest["stopped"]
    assert (stop["estimator"], stop["left_out"]) == ("bugs/always", 30)
    assert run.manifest["expected_rows"] == run.manifest["stored_rows"] == 130
    status = look(tmp_path / "r")
    assert (status.state, status.done, status.total) == ("finished", 130, 130)
    assert status.notes == [
        "bugs/always stopped after ten identical exceptions in 1 cell: 30 fits not made"
    ]
    notes = run.expectations.set_index("estimator")["note"]
    start = (
        r"answered none of 10: ValueError: .* \(bugs_toys.py:\d+\); stopped after ten identical "
    )
    assert re.match(start + "exceptions$", notes["bugs/always"])
    assert "stopped" not in notes["bugs/places"] and "none of 40" in notes["bugs/places"]
    stamp = (tmp_path / "r" / "manifest.json").stat().st_mtime_ns
    execute(suite, tmp_path / "r")
    assert (tmp_path / "r" / "manifest.json").stat().st_mtime_ns == stamp
    execute(suite, tmp_path / "r", RunSettings(keep_going=True))
    assert len(Run(tmp_path / "r").replicates) == 160
    assert manifest_of(tmp_path / "r")["stopped"] == []


def test_rounds_of_precision_do_not_wait_for_who_has_stopped(path, tmp_path):
    suite = suite_of(path, "bugs/randomised", ["bugs/mean", "bugs/always"])
    spec = {**suite.spec, "precision": {"bias": 0.1}}
    spec |= {"max_replicates": 400, "min_replicates": 50}
    del spec["replicates"]
    settings = RunSettings(tuning=Tuning(first_look=50))
    run = cibench.run(parse_suite(spec), tmp_path / "r", settings=settings)
    counts = run.replicates.groupby("estimator").size()
    assert counts["bugs/always"] == FIRST and counts["bugs/mean"] == 100
    assert run.manifest["finished"]


def test_cells_that_cannot_be_drawn_do_not_keep_others_from_their_precision(path, tmp_path):
    suite = suite_of(path, "bugs/draws", ["bugs/mean"])
    spec = {**suite.spec, "precision": {"coverage": 0.05}, "max_replicates": 400}
    del spec["replicates"]
    for extra in ({}, {"pilot": 30}):
        folder, settings = tmp_path / f"r{len(extra)}", RunSettings(tuning=Tuning(first_look=30))
        with pytest.raises(UndrawnData):
            execute(parse_suite({**spec, **extra}), folder, settings)
        stopped = [cell["stopped"] for cell in manifest_of(folder)["cells"]]
        assert stopped[0] and not stopped[1] and look(folder).state == "unfinished"


def test_the_command_tells_it_once_and_writes_the_rest(path, tmp_path, call):
    (tmp_path / "s.toml").write_text(
        suite_of(path, "bugs/draws", ["bugs/mean", "bugs/always"]).as_toml(), encoding="utf-8"
    )
    done = call("run", "s.toml", "--out", "r", "--workers", 1)
    assert done.code == 2 and done.err.count("could not draw") == 1
    hint = done.err.split("to see it: cibench ")[1].split("\n")[0].split()
    assert (tmp_path / "r" / "report.html").exists()
    assert "stopped after ten identical exceptions" in done.out
    replayed = call(*hint)
    assert replayed.code == 1 and "ZeroDivisionError" in replayed.out
    status = call("status", "r")
    assert "could not be drawn" in status.out and "cibench run r" in status.out
    report = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "could not draw" in report and "stopped after ten identical exceptions" in report


@pytest.mark.parametrize(("flags", "fits"), [((), FIRST), (("--keep-going",), 15)])
def test_the_command_stops_who_raises_alike_unless_told_to_go_on(path, tmp_path, call, flags, fits):
    suite = suite_of(path, "bugs/randomised", ["bugs/mean", "bugs/always"], 15)
    (tmp_path / "s.toml").write_text(suite.as_toml(), encoding="utf-8")
    done = call("run", "s.toml", "--out", "r", "--workers", 1, *flags)
    assert done.code == 1 and "no answer to score" in done.err  # who raises alike has none
    counts = Run(tmp_path / "r").replicates.groupby("estimator").size()
    assert counts.to_dict() == {"bugs/mean": 15, "bugs/always": fits}
    told = "stopped after ten identical exceptions" in done.out
    assert told is (fits == FIRST)
    for more, rows in ((flags, 15 + fits), (("--keep-going",), 30)):  # of a run that is there
        call("run", "r", "--workers", 1, *more)
        assert len(Run(tmp_path / "r").replicates) == rows


def test_a_finding_names_the_commonest_reason_with_its_line(path, tmp_path):
    run = cibench.run(suite_of(path, "bugs/randomised", ["bugs/seldom"], 60), tmp_path / "r")
    assert 0.1 < run.scores["failure_rate"][0] < 0.5
    page = run.write_report().read_text(encoding="utf-8")
    assert re.search(r"of 60; most often ValueError: seldom \(bugs_toys\.py:\d+\)\.", page)


def test_a_replay_finds_the_default_among_several_values_of_a_parameter(path, tmp_path):
    suite = suite_of(path, "bugs/randomised", ["bugs/mean"], 2, parameters={"effect": [0.5, 1.0]})
    run = cibench.run(suite, tmp_path / "r")
    for row in run.replicates.to_dict("records"):
        words = command(run.folder, row, run.catalogue)
        named = {"effect": 1.0} if "--parameter" in words else {}
        address = FitAddress("bugs/randomised", "bugs/mean", row["replicate"], parameters=named)
        replayed = replay(run.folder, address)
        assert not replayed.differences
        assert json.loads(replayed.stored["parameters"].iloc[0]) == json.loads(row["parameters"])
