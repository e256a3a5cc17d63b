"""The registry of metrics: records that hold together, and metrics that are lent or refused."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from cibench.analysis.scores import COUNTS
from cibench.metrics import METRICS, Metric, Score, metric
from cibench.metrics.influence import Mean, Share
from cibench.metrics.registry import EVERYWHERE, POINTS, Kind, Loss, Scope, Table, listed
from cibench.storage.groups import NUMBERS
from cibench.storage.schema import SCORED

Array = NDArray[Any]
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", METRICS)
def test_every_record_holds_together(name: str) -> None:
    one = METRICS[name]
    assert one.name == name and one.label and one.meaning
    assert set(one.needs) <= set(NUMBERS) and set(one.flags) <= {"ok", "failed", "declined"}
    assert set(one.tables) <= set(get_args(Table)) and one.scope in get_args(Scope)
    assert one.place < inf, f"{name}: choose a place among the metrics, a number no other has"
    assert one.columns[:2] == (name, f"{name}_mcse")
    assert not set(one.columns) & {*SCORED, *COUNTS, "truth", "truth_mcse", "moments", "seconds"}
    if one.part_of:
        assert one.moments == "blank" and set(METRICS[one.part_of].needs) <= set(one.needs)
    if one.scope != "estimator":  # what looks at several groups has no influences of one
        assert "plan" not in one.tables and ("pairs" in one.tables) == bool(one.terms)
    if one.power:
        assert one.less_is_better


def test_no_two_metrics_share_a_label_or_a_place() -> None:
    for fact in ("label", "place"):
        found = [getattr(one, fact) for one in METRICS.values()]
        assert len(set(found)) == len(found), fact


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_named_in_a_test_of_its_package_or_of_the_scores(name: str) -> None:
    files = [*TESTS.glob("metrics/*.py"), *TESTS.glob("analysis/test_[sc]*.py")]
    assert any(name in path.read_text(encoding="utf-8") for path in files)


def test_tables_list_their_metrics_and_know_their_own_order() -> None:
    assert [m.name for m in listed("scores")][:3] == ["bias", "relative_bias", "mse"]
    named = [m.name for m in listed("report", ("coverage", "bias"))]
    assert named[:3] == ["coverage", "bias", "relative_bias"]
    assert sorted(named) == sorted(m.name for m in listed("report"))
    with pytest.raises(KeyError):
        listed("report", ("mse",))


def test_kinds_say_which_columns_a_metric_has() -> None:
    score = Score(0.5, 0.1, 0.3, 0.7)
    assert Kind.SHARE.columns("x", score) == {
        "x": 0.5, "x_mcse": 0.1, "x_low": 0.3, "x_high": 0.7,
    }  # fmt: skip
    for kind in (Kind.IN_SE, Kind.RELATIVE, Kind.AS_IS):
        assert kind.columns("x", score) == {"x": 0.5, "x_mcse": 0.1}


def declared(name: str = "", **facts: Any) -> Metric:
    @metric(POINTS, Kind.RELATIVE, label="cube", meaning="mean cubed error", name=name, **facts)
    def mean_cube(t: Array, theta: Array) -> Mean:
        return Mean(np.abs(t - theta) ** 3)

    return mean_cube


def test_a_metric_is_a_function_with_its_record_and_scores_what_it_is_called_with() -> None:
    with METRICS.lent():
        cube = declared(loss=Loss.ITSELF)
        assert list(METRICS)[-1] == "mean_cube" and METRICS["mean_cube"] is cube
        assert (cube.kind, cube.tables, cube.less_is_better) == (Kind.RELATIVE, EVERYWHERE, True)
        t, theta = np.array([1.0, 3.0]), np.array([0.0, 1.0])
        scored = cube(t, theta)
        assert (scored.value, scored.mcse) == pytest.approx((4.5, 3.5), rel=1e-12)
        found = cube.influence({"estimate": t, "truth": theta, "ci_low": t}, 0.95)
        assert (found.value, found.each.tolist()) == (4.5, [-3.5, 3.5])
        huge = np.array([1e200, 1.0])
        assert cube(huge, np.zeros(2)).value == inf  # and no warning
    assert "mean_cube" not in METRICS


def test_a_metric_that_takes_a_level_is_given_the_nominal_one() -> None:
    with METRICS.lent():

        @metric(("estimate",), Kind.SHARE, label="beyond", meaning="estimates beyond the level")
        def beyond(t: Array, *, level: float) -> Share:
            return Share(t > level)

        assert beyond.by_level and beyond(np.array([0.5, 0.97]), level=0.95).value == 0.5
        assert beyond.influence({"estimate": np.array([0.5, 0.97])}, 0.4).value == 1


def test_a_name_that_is_taken_is_refused_and_the_same_function_replaces_itself() -> None:
    with METRICS.lent():
        declared()
        assert declared(place=25) is METRICS["mean_cube"]  # a notebook's cell run again
        assert list(METRICS).index("mean_cube") == list(METRICS).index("relative_bias") + 1
        with pytest.raises(ValueError, match=r"metric 'bias' of .*mean_cube is taken by .*bias"):
            declared("bias")
