"""Averages of what rows keep of single units' effects, and columns left out where nobody asked."""

import numpy as np
import pytest
from tests.shared.replicates import replicate_table

from cibench.analysis.scores import score
from cibench.metrics import METRICS
from cibench.storage.schema import OF_UNITS

MEANS = ("pehe", "unit_coverage", "unit_length", "autoc", "qini", "policy_value", "regret", "drift")
MEDIANS = ("calibration_slope", "calibration_intercept")


@pytest.mark.parametrize("name", [*MEANS, *MEDIANS])
def test_each_is_a_mean_or_a_median_over_data_sets(name):
    values = np.random.default_rng(3).lognormal(size=200)
    line = score(replicate_table(values, **{name: values}), {}).iloc[0]
    if name in MEANS:
        assert line[name] == pytest.approx(values.mean())
        assert line[f"{name}_mcse"] == pytest.approx(values.std(ddof=1) / np.sqrt(200))
    else:
        assert line[name] == pytest.approx(np.median(values))
        assert line[f"{name}_mcse"] > 0


def test_all_that_a_row_has_of_units_is_a_metric():
    assert {*MEANS, *MEDIANS} == {*OF_UNITS, "drift"}


def test_what_nobody_asked_for_is_blank_without_a_word():
    line = score(replicate_table(np.arange(5.0)), {}).iloc[0]
    for name in (*MEANS, *MEDIANS):
        assert np.isnan(line[name]) and name not in line["note"]


def test_what_some_answers_lack_is_told():
    table = replicate_table(np.arange(5.0), pehe=np.array([1.0, np.inf, 1, 1, 1]))
    assert "infinite: pehe" in score(table, {}).iloc[0]["note"]


def test_a_target_alone_is_not_called_a_diagnostic():
    line = score(replicate_table(np.arange(5.0)), {}).iloc[0]
    assert "diagnostic" not in line["note"] and "one target alone: simultaneous" in line["note"]


@pytest.mark.parametrize("name", ["pehe", "regret"])
def test_methods_can_be_ranked_by_the_smaller_loss(name):
    assert METRICS[name].power == 1 and METRICS[name].less_is_better
