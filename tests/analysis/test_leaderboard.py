"""Leaderboards: the ranks of estimators whose true performance is known, and what is declared."""

from __future__ import annotations

import json
from functools import partial
from math import exp, inf, log, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from replicates import joined, replicate_table, write_replicates
from scipy import stats

from cibench.analysis import ranks, score
from cibench.analysis.leaderboard import COLUMNS, Ranking
from cibench.analysis.ranking_losses import compare, log_ratio, losses, rank_sets, reference
from cibench.report.sections.leaderboard import ranks_section
from cibench.results import RunTables
from cibench.storage.schema import SCORED
from cibench.utils.errors import BadInput

Array = NDArray[Any]
SEEN = {"oracle": True, "moments": True}


rows = partial(replicate_table, scenario="rd/one", blank=True)


def catalogue(*estimators: str, oracle: str = "test/oracle") -> dict[str, Any]:
    known = {name: {"moments": True} for name in estimators}
    return {"estimators": known | {oracle: SEEN}, "scenarios": {}}


KNOWN = catalogue("test/a", "test/b", "baseline/zero")


def board(
    table: pd.DataFrame, about: dict[str, Any] | None = None, *, design: str = "rd",
    without: str = "", declined: Any = (), kind: str = "", **spec: Any,
) -> pd.DataFrame:  # fmt: skip
    """Return one leaderboard by estimator: of all cells where nothing else is said."""
    about = about or KNOWN
    scores, spec = score(table, about), {"settings": "all", **spec}
    found = ranks(table, scores, about, {"declined": list(declined)}, Ranking(**spec))
    assert list(found) == list(COLUMNS)
    found = found[(found["design"] == design) & (found["without"] == without)]
    found = found[found["measure"] == spec.get("measure", "interval_score")]
    found = found[found["settings"] == (kind or spec["settings"])]
    return found.set_index("estimator", drop=False)


def trio(n: int = 200, seed: int = 1, **columns: Any) -> pd.DataFrame:
    """Return an oracle and two estimators on the same data, b twice as wide as a."""
    rng = np.random.default_rng(seed)
    noise, own = rng.normal(size=(2, n))
    return joined(
        rows(2 + noise, estimator="test/oracle", **columns),
        rows(2 + 1.2 * noise + 0.2 * own, 1.2, estimator="test/a", **columns),
        rows(2 + 2 * noise - 0.4 * own, 2, estimator="test/b", **columns),
    )


# --- the score of a cell


def test_a_cell_is_the_log_of_the_ratio_of_mean_interval_scores() -> None:
    table = trio()
    found = board(table)
    scores = score(table, KNOWN).set_index("estimator")["interval_score"]
    for name in ("test/a", "test/b"):
        expected = log(scores[name] / scores["test/oracle"])
        assert found.loc[name, "log_ratio"] == pytest.approx(expected, rel=1e-12)
        assert found.loc[name, "ratio"] == pytest.approx(exp(expected), rel=1e-12)
    assert (found["reference"] == "test/oracle").all()
    assert found.loc["test/oracle", ["log_ratio", "mcse"]].tolist() == [0, 0]
    assert (found.loc["test/oracle", "role"], found.loc["test/oracle", "rank"]) == ("oracle", "")
    assert found.loc[["test/a", "test/b"], "rank"].tolist() == ["1", "2"]


def test_the_rmse_can_be_the_measure() -> None:
    table = trio()
    found = board(table, measure="rmse")
    scores = score(table, KNOWN).set_index("estimator")["rmse"]
    expected = log(scores["test/b"] / scores["test/oracle"])
    assert found.loc["test/b", "log_ratio"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("measure", ["interval_score", "rmse"])
def test_a_failure_and_an_empty_set_have_the_declared_worst_score(measure: str) -> None:
    table, worst = trio(), 30.0
    lost = (table["estimator"] == "test/a") & (table["replicate"] < 20)
    plain = board(table, worst=worst, measure=measure)
    cell = table[table["estimator"] == "test/a"]
    loss = losses_of(cell, measure)
    m = losses_of(table[table["estimator"] == "test/oracle"], measure).mean()
    power = 2 if measure == "rmse" else 1
    kept = loss[20:].sum() / 200 / m + 0.1 * worst**power
    for status in ["failed", "timeout", "nonfinite", "crashed"]:
        broken = table.assign(status=np.where(lost, status, "ok"))
        broken.loc[lost, ["estimate", "ci_low", "ci_high"]] = nan
        found = board(broken, worst=worst, measure=measure)
        assert found.loc["test/a", "log_ratio"] == pytest.approx(log(kept) / power, rel=1e-12)
        assert found.loc["test/a", "worst"] == pytest.approx(0.1)
        assert found.loc["test/b", "log_ratio"] == plain.loc["test/b", "log_ratio"]


def test_who_declines_or_gives_an_unbounded_set_is_compared_on_the_other_data_sets() -> None:
    table = trio()
    mine, few = table["estimator"] == "test/a", table["replicate"] < 20
    rest = board(table[~few])
    refused = table.assign(status=np.where(mine & few, "declined", "ok"))
    refused.loc[mine & few, ["estimate", "ci_low", "ci_high"]] = nan
    open_sets = table.assign(ci_high=np.where(mine & few, inf, table["ci_high"]))
    rays = table.assign(outside=mine & few)
    for changed, name in ((refused, "declined"), (open_sets, "unbounded"), (rays, "unbounded")):
        found = board(changed)
        line = found.loc["test/a"]
        assert line["log_ratio"] == pytest.approx(rest.loc["test/a", "log_ratio"], rel=1e-12)
        assert (line["worst"], line[name], line["rank"]) == (0, 0.1, "")
        assert line["note"].endswith("the 90 % of data sets to which it gave a bounded answer")
        others = board(table).loc["test/b"]
        assert found.loc["test/b", "log_ratio"] == others["log_ratio"]
    rarely = table.assign(ci_high=np.where(mine & (table["replicate"] < 8), inf, table["ci_high"]))
    assert board(rarely).loc["test/a", ["unbounded", "rank"]].tolist() == [0.04, "1"]
    empty = table.assign(
        ci_low=np.where(mine & few, inf, table["ci_low"]),
        ci_high=np.where(mine & few, -inf, table["ci_high"]),
    )
    assert board(empty).loc["test/a", ["unbounded", "worst"]].tolist() == [0, 0.1]
    by_points = board(open_sets, measure="rmse").loc["test/a"]  # a matter of sets only
    assert by_points["unbounded"] == 0
    assert by_points["log_ratio"] == board(table, measure="rmse").loc["test/a", "log_ratio"]


def test_ratio_and_limits_are_on_one_base_whatever_the_reference_does() -> None:
    """Two equal methods, of which the reference fails in 2 of 100 fits."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(2, 200))
    for lost, value in (("failed", nan), ("declined", nan), ("ok", inf)):
        one = rows(2 + noise[0], estimator="test/a", status=["ok"] * 196 + [lost] * 4)
        one.loc[one["replicate"] >= 196, ["ci_low", "ci_high"]] = [-value, value]
        other = rows(2 + noise[1], estimator="test/b")
        found = board(joined(one, other), catalogue("test/a", "test/b"))
        assert set(found["reference"]) == {"test/a"}
        assert found.loc["test/a", ["ratio", "ratio_low", "ratio_high"]].tolist() == [1, 1, 1]
        assert (found["ratio_low"] <= found["ratio"]).all()
        assert (found["ratio"] <= found["ratio_high"]).all()


@pytest.mark.parametrize("seed", range(12))
def test_every_limit_holds_its_ratio_whatever_is_lost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = []
    for name in ("oracle", "a", "b"):
        for scenario in ("rd/one", "rd/two"):
            status = rng.choice(["ok", "failed", "declined"], 60, p=[0.8, 0.1, 0.1])
            part = rows(2 + rng.standard_t(3, 60), estimator=f"test/{name}", scenario=scenario,
                        status=status)  # fmt: skip
            open_set = (status == "ok") & (rng.random(60) < 0.1)
            parts.append(part.assign(ci_high=np.where(open_set, inf, part["ci_high"])))
    for measure in ("interval_score", "rmse"):
        found = board(joined(*parts), measure=measure)
        (name,) = set(found["reference"])
        assert found.loc[name, ["ratio", "ratio_low", "ratio_high"]].tolist() == [1, 1, 1]
        assert (
            (found["ratio_low"] <= found["ratio"]) & (found["ratio"] <= found["ratio_high"])
        ).all()


def losses_of(cell: pd.DataFrame, measure: str) -> Array:
    t, low, high = (cell[name].to_numpy() for name in ("estimate", "ci_low", "ci_high"))
    if measure == "rmse":
        return np.asarray(np.square(t - 2))
    return np.asarray(high - low + 40 * (np.maximum(low - 2, 0) + np.maximum(2 - high, 0)))


def test_nothing_is_worse_than_the_worst_nor_better_than_its_inverse() -> None:
    table = joined(
        trio(), rows([1e9] * 200, estimator="test/far"),
        rows([nan] * 200, nan, estimator="test/never", status="failed"),
        rows([2.0] * 200, estimator="baseline/zero", ci_low=nan, ci_high=nan),
    )  # fmt: skip
    found = board(table, worst=50)
    for name in ("test/far", "test/never"):
        assert found.loc[name, "ratio"] == pytest.approx(50)
        assert found.loc[name, "worst"] == 1
    assert found.loc["test/far", ["rank", "holds_level"]].tolist() == ["", "no"]
    assert found.loc["test/never", ["rank", "holds_level"]].tolist() == ["", "no answer"]
    line = found.loc["baseline/zero"]
    assert (line["role"], line["rank"]) == ("baseline", "") and np.isnan(line["ratio"])
    assert line["note"] == "gives no limits, on which this board rests"
    points = board(table, worst=50, measure="rmse").loc["baseline/zero"]
    assert points["ratio"] == pytest.approx(1 / 50) and points["rank"] == "1"


def test_who_never_gives_limits_has_a_rank_by_rmse_only() -> None:
    table = joined(trio(), rows([1.9] * 200, estimator="test/point", ci_low=nan, ci_high=nan))
    about = catalogue("test/a", "test/b", "test/point")
    found = ranks(table, score(table, about), about, {})
    assert found["measure"].unique().tolist() == ["interval_score", "rmse"]
    by_sets, by_points = (part.set_index("estimator") for _, part in found.groupby("measure"))
    assert by_sets.loc["test/point", "rank"] == "" and by_points.loc["test/point", "rank"] == "1"
    none = ranks(trio(), score(trio(), KNOWN), KNOWN, {})
    assert none["measure"].unique().tolist() == ["interval_score"]


def test_a_single_answer_without_limits_is_an_interval_of_length_zero() -> None:
    table = trio()
    lost = (table["estimator"] == "test/a") & (table["replicate"] == 3)
    bare = table.assign(ci_low=table["ci_low"].where(~lost), ci_high=table["ci_high"].where(~lost))
    loss = losses_of(bare[bare["estimator"] == "test/a"], "interval_score")
    loss[3] = 40 * abs(table[lost]["estimate"].iloc[0] - 2)
    oracle = losses_of(table[table["estimator"] == "test/oracle"], "interval_score").mean()
    assert board(bare).loc["test/a", "ratio"] == pytest.approx(loss.mean() / oracle, rel=1e-9)


def test_influences_are_the_derivatives_by_the_replicates_weights() -> None:
    """Brute force: leave one replicate out, and compare to the influence's first order."""
    rng, n = np.random.default_rng(3), 400
    own, known = rng.gamma(2, 2, n) ** 2, rng.gamma(2, 1, n)
    own[:9] = inf
    for measure in ("interval_score", "rmse"):
        spec = Ranking(measure=measure, worst=6.0)
        found = log_ratio(own, *reference(known), spec)
        left = []
        for r in range(n):
            keep = np.arange(n) != r
            left.append(log_ratio(own[keep], *reference(known[keep]), spec).value)
        pseudo = (n - 1) / n * (np.mean(left) - np.array(left))
        assert found.terms == pytest.approx(pseudo, abs=0.03 * np.abs(pseudo).max())
        error = sqrt(np.square(found.terms).sum())
        assert error == pytest.approx(sqrt(np.square(pseudo).sum()), rel=0.03)


@pytest.mark.parametrize("measure", ["interval_score", "rmse"])
def test_the_error_of_few_replicates_is_the_delta_methods_with_one_less_below(measure: str) -> None:
    table = trio(n=6)
    found = board(table, measure=measure)
    own, known = (
        losses_of(table[table["estimator"] == name], measure) for name in ("test/b", "test/oracle")
    )
    each = (own / own.mean() - known / known.mean()) / (2 if measure == "rmse" else 1)
    assert found.loc["test/b", "mcse"] == pytest.approx(each.std(ddof=1) / sqrt(6), rel=1e-9)


# --- cells, weights, scenarios


def suite_of_three() -> pd.DataFrame:
    parts = [trio(seed=1), trio(seed=2, scenario="rd/two")]
    parts += [trio(seed=2, scenario="rd/two", dials='{"d":1.0}', dial="d", setting=1.0)]
    return joined(*parts, trio(seed=3, scenario="did/three"))


def keys_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return of a score table what ranking reads, without the measures."""
    ok = (table["status"] == "ok").rename("answered")
    keys = [table[name] for name in SCORED]
    return ok.groupby(keys, dropna=False, sort=False).sum().reset_index()


MIXED, UNJUDGED = Ranking(settings="all"), pd.DataFrame({"kind": []})


def one_cell(table: pd.DataFrame, **keys: Any) -> float:
    for name, value in keys.items():
        table = table[table[name] == value]
    scores = score(table, KNOWN).set_index("estimator")["interval_score"]
    return log(scores["test/b"] / scores["test/oracle"])


def test_scenarios_have_their_weights_and_their_cells_share_it() -> None:
    table = suite_of_three()
    one, two = one_cell(table, scenario="rd/one"), one_cell(table, scenario="rd/two", dials="{}")
    for weights, share in (({}, 0.5), ({"rd/one": 3}, 0.75), ({"*/two": 0.0}, 1.0)):
        found = board(table, weights=weights)
        expected = share * one + (1 - share) * two
        assert found.loc["test/b", "log_ratio"] == pytest.approx(expected, rel=1e-12)
    assert found.loc["test/b", ["scenarios", "cells"]].tolist() == [1, 1]


def test_each_design_each_scenario_and_each_omission_is_a_board() -> None:
    table = suite_of_three()
    found = ranks(table, score(table, KNOWN), KNOWN, {}, Ranking(settings="all"))
    boards = found[["design", "without"]].drop_duplicates().to_numpy().tolist()
    assert boards == [["rd", ""], ["rd", "rd/one"], ["rd", "rd/two"], ["rd/one", ""],
                      ["rd/two", ""], ["did", ""]]  # fmt: skip
    left = board(table, without="rd/one").loc["test/b", "log_ratio"]
    assert left == board(table, design="rd/two").loc["test/b", "log_ratio"]


def test_only_defaults_count_where_that_is_declared() -> None:
    about = KNOWN | {"scenarios": {"rd/two": {"dials": {"d": {"default": 1.0}}}}}
    table = suite_of_three().replace({"dials": {"{}": '{"d":0.0}'}})
    about["scenarios"]["rd/one"] = {"dials": {"d": {"default": 0.0}}}
    found = board(table, about, settings="default")
    assert found.loc["test/b", "cells"] == 2
    assert board(table, about).loc["test/b", "cells"] == 3


def test_the_reference_is_the_one_declared_else_an_oracle_else_the_first_contender() -> None:
    table = suite_of_three()
    assert set(board(table, reference="test/b")["reference"]) == {"test/b"}
    contenders = table[table["estimator"] != "test/oracle"]
    found = board(contenders)
    assert set(found["reference"]) == {"test/a"} and found.loc["test/a", "rank"] == "1"
    assert board(table, reference="test/none").empty


LEFT_OUT = [{"status": "declined"}, {"ci_low": -inf, "ci_high": inf}]


def two_and_who_leaves_out(share: float, how: dict[str, Any], where: str) -> pd.DataFrame:
    """Return two methods, b with limits of .8 of their length, and one that leaves data sets out.

    It keeps those on which all errors are small: there the shorter interval is the better one.
    """
    noise = np.random.default_rng(8).normal(size=300)
    order = np.argsort(np.abs(noise))
    hard = np.isin(np.arange(300), order[300 - round(300 * share) :])
    selective = rows(2 + noise, estimator=where)
    for column, value in how.items():
        selective.loc[hard, column] = value
    return joined(
        selective, rows(2 + noise, estimator="test/a"), rows(2 + noise, 0.8, estimator="test/b")
    )


@pytest.mark.parametrize("how", LEFT_OUT, ids=["declines", "unbounded"])
@pytest.mark.parametrize("where", ["test/0", "test/z", "test/oracle"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.6])
def test_nobody_is_ranked_on_the_data_sets_that_another_chose(
    share: float, how: dict[str, Any], where: str
) -> None:
    about = catalogue(*sorted({where, "test/a", "test/b"} - {"test/oracle"}))
    table = two_and_who_leaves_out(share, how, where)
    alone = board(table[table["estimator"] != where], about)
    found = board(table, about)
    gap = [x.loc["test/b", "log_ratio"] - x.loc["test/a", "log_ratio"] for x in (alone, found)]
    assert alone.loc["test/a", "rank"] == "1" and gap[0] > 0
    if share > 0.05:
        assert set(found["reference"]) == {"test/a"} and found.loc[where, "rank"] == ""
        assert gap[1] == pytest.approx(gap[0])
        assert (found.loc["test/a", "rank"], found.loc["test/b", "rank"]) == ("1", "2")
    named = board(table, about, reference=where)  # as asked for, and then nothing is ranked
    assert set(named["reference"]) == {where}
    if share > 0.05:
        assert (named["rank"] == "").all()
        assert f"data sets alone to which the reference {where} gave" in named.loc["test/a", "note"]


def contradicting(table: pd.DataFrame, mine: Any) -> pd.DataFrame:
    """Move a quarter of the answers away from the limits that stand beside them."""
    aside = np.where(mine & (table["replicate"] % 4 == 0), 9.0, 0.0)
    return table.assign(estimate=table["estimate"] + aside)


def narrow(table: pd.DataFrame, mine: Any) -> pd.DataFrame:
    """Put limits of a tenth of the length around the same answers."""
    reach = np.where(mine, 0.1, 1.0) * (table["ci_high"] - table["estimate"])
    return table.assign(ci_low=table["estimate"] - reach, ci_high=table["estimate"] + reach)


def failing(table: pd.DataFrame, mine: Any) -> pd.DataFrame:
    """Let six in ten fits fail."""
    return table.assign(
        status=np.where(mine & (table["replicate"] % 10 < 6), "failed", table["status"])
    )


@pytest.mark.parametrize("how", [contradicting, narrow, failing])
@pytest.mark.parametrize("where", ["test/0", "test/oracle"])
def test_the_reference_is_somebody_ranked_where_there_is_one(how: Any, where: str) -> None:
    """In one of two scenarios the first in line is not what it says; it has no rank for that."""
    names, noise = (where, "test/a", "test/b"), np.random.default_rng(8).normal(size=(2, 3, 300))
    about = catalogue(*sorted({*names} - {"test/oracle"}))
    sound = joined(*(
        rows(2 + e, 1.2, estimator=name, scenario=scenario)
        for scenario, errors in zip(("rd/one", "rd/two"), noise, strict=True)
        for name, e in zip(names, errors, strict=True)
    ))  # fmt: skip
    assert set(board(sound, about)["reference"]) == {where}
    here = sound["scenario"] == "rd/one"
    table = how(sound, here & (sound["estimator"] == where))
    for measure in ("interval_score", "rmse"):
        for design in ("rd", "rd/one", "rd/two"):
            found = board(table, about, design=design, measure=measure)
            assert set(found["reference"]) == {"test/a"}
            assert found.loc["test/a", ["ratio", "ratio_low", "ratio_high"]].tolist() == [1, 1, 1]
            assert found.loc["test/a", "rank"] and found.loc["test/b", "rank"]
    assert set(board(table, about, reference=where)["reference"]) == {where}
    nobody = board(how(sound, here), about)  # who is first in line, where none has a rank
    assert set(nobody["reference"]) == {where} and set(nobody["rank"]) == {""}


def test_a_design_has_one_reference_though_an_oracle_declines_in_one_scenario_alone() -> None:
    noise = np.random.default_rng(9).normal(size=(2, 3, 100))
    lost = ["ok"] * 90 + ["declined"] * 10
    parts = [
        rows(2 + e, estimator=name, scenario=scenario,
             status=lost if (scenario, name) == ("rd/two", "test/oracle") else ["ok"] * 100)
        for scenario, errors in zip(("rd/one", "rd/two"), noise, strict=True)
        for name, e in zip(("test/oracle", "test/a", "test/b"), errors, strict=True)
    ]  # fmt: skip
    found = board(joined(*parts))
    assert set(found["reference"]) == {"test/a"}
    assert found.loc["test/a", ["ratio", "ratio_low", "ratio_high"]].tolist() == [1, 1, 1]
    assert set(found["rank"]) - {""}


def test_who_was_not_run_everywhere_has_no_rank_and_the_others_keep_theirs() -> None:
    table = joined(suite_of_three(), rows(2 + np.arange(200) % 7, estimator="test/late"))
    found, before = board(table), board(suite_of_three())
    line = found.loc["test/late"]
    assert line["rank"] == "" and pd.isna(line["rank_low"]) and np.isnan(line["log_ratio"])
    assert line["note"].endswith("no score in every cell of rd/two")
    assert found["estimator"].iloc[-1] == "test/late"
    pd.testing.assert_series_equal(found["log_ratio"].iloc[:-1], before["log_ratio"])


def test_a_design_whose_scenarios_share_no_method_has_no_board_in_the_report() -> None:
    kept = {"rd/one": "test/a", "rd/two": "test/b"}
    table = joined(suite_of_three(), *(
        rows(1 + np.arange(200) % 5, estimator=f"{name}-too", scenario=scenario)
        for scenario, name in kept.items()
    ))  # fmt: skip
    alone = table["scenario"].map(kept)
    own = [str(e).startswith(str(k)) for e, k in zip(table["estimator"], alone, strict=True)]
    table = table[np.array(own) | (table["scenario"] == "did/one")]
    scores = score(table, KNOWN)
    found = ranks(table, scores, KNOWN, {})
    assert not ((found["design"] == "rd") & (found["without"] == "")).any()
    page = ranks_section(found, scores.assign(method=scores["estimator"]), {})
    assert page and "rd/one" in page


def test_who_declined_a_scenario_by_declaration_has_no_rank_where_it_counts() -> None:
    late = 2 + np.random.default_rng(8).normal(size=200)
    table = joined(suite_of_three(), rows(late, estimator="test/late"))
    refused = [{"scenario": "rd/two", "estimator": "test/late", "reason": "needs covariates"}]
    line = board(table, declined=refused).loc["test/late"]
    assert (line["rank"], line["note"]) == ("", "declines rd/two") and np.isnan(line["ratio"])
    assert board(table, design="rd/one", declined=refused).loc["test/late", "rank"]


# --- what a newspaper may quote


def of_two_kinds(n: int = 600) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a default cell and one whose dial breaks what b assumes; c is sharp and wrong."""
    rng = np.random.default_rng(2)
    about = catalogue("test/a", "test/b", "test/c", "test/d")
    dial = {"default": 0.0, "breaks": "no sorting", "grid": [1.0]}
    about["scenarios"] = {"rd/one": {"dials": {"sorting": dial}, "parameters": {}}}
    for name in ("b", "d"):
        about["estimators"][f"test/{name}"] |= {"assumes": ["no sorting"], "targets": ["ATE"]}
    for name in ("a", "c", "oracle"):
        about["estimators"][f"test/{name}"] = about["estimators"][f"test/{name}"] | {
            "assumes": [], "targets": ["ATE"],
        }  # fmt: skip
    parts = []
    for setting in (0.0, 1.0):
        noise = rng.normal(size=(5, n))
        keys = {"dials": f'{{"sorting":{setting}}}'}
        parts += [
            rows(2 + noise[0], estimator="test/oracle", **keys),
            rows(2 + 1.4 * noise[1], 1.4, estimator="test/a", **keys),
            rows(2 + 1.1 * noise[2] + 3 * setting, 1.1, estimator="test/b", **keys),
            rows(2.4 + 0.3 * noise[3], 0.3, estimator="test/c", **keys),
            rows(2 + 1.2 * noise[4] + setting, 1.2, estimator="test/d", **keys),
        ]
    return joined(*parts), about


def test_who_does_not_hold_its_level_is_marked_and_has_no_rank() -> None:
    table, about = of_two_kinds()
    found = board(table, about, settings="valid")
    line = found.loc["test/c"]
    assert line["ratio"] < found.loc[["test/a", "test/b"], "ratio"].min()  # it would be the best
    assert (line["rank"], line["holds_level"]) == ("", "no")
    assert line["note"].startswith("does not hold its level in rd/one, n = 100: coverage ")
    assert found.loc[["test/a", "test/b", "test/d"], "holds_level"].tolist() == ["yes"] * 3
    assert found.loc[["test/b", "test/d"], "rank"].isin(["1", "1–2", "2"]).all()
    assert found.loc["test/a", "rank"] == "3"
    assert found["estimator"].iloc[-1] == "test/c" and set(found["cells"]) == {1}


def test_who_contradicts_itself_has_no_rank_on_any_board() -> None:
    """In a quarter of its answers at the default, and nowhere else."""
    table, about = of_two_kinds()
    at_default = table["dials"] == '{"sorting":0.0}'
    table = contradicting(table, at_default & (table["estimator"] == "test/a"))
    for measure in ("interval_score", "rmse"):
        for kind in ("valid", "broken"):
            found = board(table, about, settings="valid", kind=kind, measure=measure)
            line = found.loc["test/a"]
            assert (line["rank"], line["holds_level"]) == ("", "contradicts itself")
            assert line["note"].startswith("25 % of its answers lie outside their own limits, in ")
            assert found.loc["test/b", "rank"] and found.loc["test/d", "rank"]
            assert "test/a" in found["estimator"].iloc[-2:].tolist()  # behind who is ranked


def test_a_level_is_held_where_every_cell_shows_it_and_not_where_one_does() -> None:
    """Limits three times too wide cover in 300 replicates beyond doubt, and in 20 perhaps."""
    rng, about = np.random.default_rng(2), catalogue("test/a", "test/b")
    sure, few = (
        [rows(2 + rng.normal(size=count), 3, estimator=f"test/{name}", n=n) for name in "ab"]
        for n, count in ((100, 300), (200, 20))
    )
    for parts, holds in ((sure, "yes"), (few, "unclear"), ([*sure, *few], "unclear")):
        assert board(joined(*parts), about)["holds_level"].tolist() == [holds] * 2


def test_cells_with_a_broken_assumption_are_a_board_of_their_own() -> None:
    table, about = of_two_kinds()
    broken = board(table, about, settings="valid", kind="broken")
    assert set(broken["cells"]) == {1} and broken.loc["test/a", "rank"] == "1"
    assert (broken.loc["test/c", "rank"], broken.loc["test/c", "holds_level"]) == ("", "no")
    assert broken.loc["test/b", "ratio"] > 5 and broken.loc["test/b", "rank"]
    mixed = board(table, about)
    assert set(mixed["cells"]) == {2}
    about["estimators"]["test/b"]["assumes"] = about["estimators"]["test/d"]["assumes"] = []
    every = board(table, about, settings="valid")  # a dial that breaks what nobody assumes
    assert set(every["cells"]) == {2} and every.loc["test/b", "holds_level"] == "no"
    assert board(table, about, settings="valid", kind="broken").empty


# --- errors: paired, by replicate, over all cells that share their noise


def shared_noise(
    seed: int, cells: int, n: int, same: bool = True, trials: int = 1, **columns: Any
) -> pd.DataFrame:
    """Return cells of one scenario whose replicates start from the same noise, or do not."""
    rng, parts = np.random.default_rng(seed), []
    columns["replicate"] = np.tile(np.arange(n), trials)
    noise = rng.normal(size=(4, n * trials))
    for cell in range(cells):
        if not same:
            noise = rng.normal(size=(4, n))
        keys = {"dials": json.dumps({"d": float(cell)}), **columns}
        parts.append(rows(2 + noise[0], estimator="test/oracle", **keys))
        parts.append(rows(2 + 1.5 * noise[1], 1.5, estimator="test/a", **keys))
        parts.append(rows(2 + noise[2] + noise[3], 1.4, estimator="test/b", **keys))
    return joined(*parts)


def test_cells_that_share_their_noise_add_nothing_to_what_is_known() -> None:
    one, many = (board(shared_noise(1, cells, 150, same=True)) for cells in (1, 6))
    pd.testing.assert_series_equal(one["mcse"], many["mcse"])
    apart = board(shared_noise(1, 6, 150, same=False))  # other noise at the same addresses
    assert apart.loc["test/a", "mcse"] < 0.6 * one.loc["test/a", "mcse"]


def test_errors_are_the_spread_over_repetitions() -> None:
    """Trials are families of scenarios; their scores spread as the reported errors say."""
    trials, parts = 200, []
    for size, n in ((2, 200), (1, 100)):
        where = np.repeat([f"trial{i}/one" for i in range(trials)], n)
        parts.append(shared_noise(size, 2, n, trials=trials, scenario=where).assign(n=size))
    table = joined(*parts)
    found = ranks(table, keys_of(table), KNOWN, {}, MIXED, expectations=UNJUDGED)
    found = found.set_index("estimator")
    for name in ("test/a", "test/b"):
        line = found.loc[name]
        ratio = line["log_ratio"].std() / sqrt(np.square(line["mcse"]).mean())
        assert ratio == pytest.approx(1, abs=3 / sqrt(2 * trials))


def test_an_error_of_the_truth_is_part_of_the_error_and_shared_by_cells_of_one_truth() -> None:
    exact = board(joined(trio(), trio(dials='{"d":1.0}')))
    simulated = board(joined(trio(truth_mcse=0.3), trio(dials='{"d":1.0}', truth_mcse=0.3)))
    alone = board(trio(truth_mcse=0.3))
    for name in ("test/a", "test/b"):
        assert simulated.loc[name, "mcse"] > exact.loc[name, "mcse"]
        assert simulated.loc[name, "mcse"] == pytest.approx(alone.loc[name, "mcse"], rel=1e-9)


# --- the sets


def test_rank_sets_by_hand() -> None:
    scores = np.array([0.0, 1.0, 1.1, 5.0])
    terms = np.diag([0.1, 0.1, 0.1, 0.1])
    compared = compare(scores, terms, 1e9, np.random.default_rng(1))
    low, high = rank_sets(compared, np.arange(4))
    assert low.tolist() == [1, 2, 2, 4] and high.tolist() == [1, 3, 3, 4]
    some_low, some_high = rank_sets(compared, np.array([1, 2, 3]))
    assert some_low.tolist() == [1, 1, 3] and some_high.tolist() == [2, 2, 3]
    assert (compared.low == -compared.high.T).all()


SPREADS = {
    "unequal": (1.0, 1.15, 1.15, 1.4, 1.45), "equal": (1.2,) * 5, "far": (1.0, 1.5, 2.2, 3.2, 4.5),
}  # fmt: skip


def contest(trials: int, n: int, spreads: tuple[float, ...], seed: int) -> pd.DataFrame:
    """Return trials as families: two scenarios, the first at two settings with the same noise."""
    rng, p = np.random.default_rng(seed), len(spreads)
    parts = []
    for name, settings in (("one", (0.0, 1.0)), ("two", (0.0,))):
        common, own = rng.normal(size=trials * n), rng.normal(size=(p, trials * n))
        where = np.repeat([f"t{i}/{name}" for i in range(trials)], n)
        again = np.tile(np.arange(n), trials)
        for setting in settings:
            keys = {"scenario": where, "replicate": again, "dials": f'{{"d":{setting}}}'}
            parts.append(rows(2 + common, estimator="test/oracle", **keys))
            for i, spread in enumerate(spreads):
                t = 2 + spread * (0.8 * common + 0.6 * own[i])
                parts.append(rows(t, spread, estimator=f"test/{i}", **keys))
    return joined(*parts)


def true_ranks(spreads: tuple[float, ...]) -> tuple[Array, Array]:
    """Return the lowest and highest true rank of each: equals share all ranks among them."""
    s = np.array(spreads)
    better, worse = (s[:, None] > s).sum(axis=1), (s[:, None] < s).sum(axis=1)
    return 1 + better, s.size - worse


def hold_all(kind: str, trials: int, n: int, seed: int) -> tuple[float, float]:
    """Return how often all sets hold the true ranks at once, and the mean length of a set."""
    spreads = SPREADS[kind]
    low, high = true_ranks(spreads)
    about = catalogue(*(f"test/{i}" for i in range(len(spreads))))
    table = contest(trials, n, spreads, seed)
    found = ranks(table, keys_of(table), about, {}, MIXED, expectations=UNJUDGED)
    found = found[~found["design"].str.contains("/") & (found["without"] == "")]
    found = found[found["role"] != "oracle"].sort_values(["design", "estimator"])
    sets = found[["rank_low", "rank_high"]].to_numpy(dtype=int).reshape(trials, len(spreads), 2)
    held = (sets[:, :, 0] <= low) & (sets[:, :, 1] >= high)
    return float(held.all(axis=1).mean()), float((sets[:, :, 1] - sets[:, :, 0] + 1).mean())


@pytest.mark.parametrize(("kind", "most"), [("unequal", 4.5), ("far", 2.5)])
def test_the_sets_hold_all_true_ranks_at_once(kind: str, most: float) -> None:
    trials = 40
    held, length = hold_all(kind, trials, 100, seed=5)
    assert held >= 0.95 - 3 * sqrt(0.05 * 0.95 / trials)
    assert length <= most


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 500])
@pytest.mark.parametrize("kind", SPREADS)
def test_the_sets_hold_all_true_ranks_in_1000_trials(kind: str, n: int) -> None:
    trials, batch = 1000, 50
    held = [hold_all(kind, batch, n, seed)[0] for seed in range(trials // batch)]
    assert np.mean(held) >= 0.95 - 3 * sqrt(0.05 * 0.95 / trials), np.mean(held)


@pytest.mark.parametrize("starts", [(0,), (0, 25)])
def test_limits_heed_that_few_replicates_make_a_variance(starts: tuple[int, ...]) -> None:
    """Satterthwaite's rule by hand: 2 V^2 / Var(V), V the sum of independent squares."""
    rng, scores = np.random.default_rng(6), np.array([0.4, 0.1])
    for law, least in ((rng.normal, 20.0), (partial(rng.standard_t, 2.5), 0.0)):
        terms = law(size=(2, 60)) / 60
        found = compare(scores, terms, 59.0, rng, starts)
        squares = np.square(terms[0] - terms[1])
        blocks = np.split(squares, starts[1:])
        spread = sum(block.size * block.var() for block in blocks)
        nu = min(2 * squares.sum() ** 2 / spread, 59.0)
        assert nu > least
        half = stats.t.ppf(0.975, nu) * sqrt(squares.sum())
        assert found.low[0, 1] == pytest.approx(0.3 - half)
        assert found.high[0, 1] == pytest.approx(0.3 + half)


def test_limits_of_a_ratio_come_from_the_same_comparison() -> None:
    found = board(trio())
    line = found.loc["test/b"]
    half = log(line["ratio_high"] / line["ratio_low"]) / 2
    assert stats.norm.ppf(0.975) < half / line["mcse"] < stats.norm.ppf(1 - 0.025 / 3) * 1.25
    assert found.loc["test/oracle", ["ratio_low", "ratio_high"]].tolist() == [1, 1]


# --- bad input


def test_one_replicate_ranks_nobody() -> None:
    found = board(trio(1))
    assert set(found.loc[["test/a", "test/b"], "rank"]) == {"1–2"}
    assert set(found["note"]) == {"one replicate has no error"} and found["mcse"].isna().all()


def test_errors_that_never_vary_have_exact_ranks() -> None:
    still = [rows([2 + d] * 30, estimator=f"test/{k}") for d, k in ((0.1, "oracle"), (1, "a"))]
    found = board(joined(*still, rows([3.9] * 30, estimator="test/b")), measure="rmse")
    assert found.loc[["test/a", "test/b"], "rank"].tolist() == ["1", "2"]
    assert (found["mcse"] == 0).all()


@pytest.mark.parametrize("off", [1e-15, 1e-12, 1e-9])
@pytest.mark.parametrize("measure", ["interval_score", "rmse"])
def test_methods_that_differ_by_nothing_are_tied(measure: str, off: float) -> None:
    t = 2 + np.random.default_rng(8).normal(size=400)
    parts = [rows(t + k * off * (t - 2), estimator=f"test/{name}") for k, name in enumerate("abcd")]
    found = board(joined(*parts, rows(2 + 3 * (t - 2), 3.0, estimator="test/z")), measure=measure)
    assert set(found.loc[[f"test/{name}" for name in "abcd"], "rank"]) == {"1–4"}
    assert found.loc["test/z", "rank"] == "5"


def test_who_breaks_the_other_way_round_has_the_same_rank_and_a_score_of_exactly_zero() -> None:
    """What one loses at a setting the other loses at its opposite: the sums are equal."""
    e = np.random.default_rng(9).normal(size=300)
    parts = [
        rows(
            2 + e + sign * setting, estimator=f"test/{name}", dial="shift", setting=setting,
            dials=json.dumps({"shift": setting}),
        )
        for setting in (-6.0, -1.0, 1.0, 6.0) for name, sign in (("a", 1), ("b", -1))
    ]  # fmt: skip
    found = board(joined(*parts), measure="rmse")
    assert (found["log_ratio"] == 0).all() and (found["mcse"] == 0).all()
    assert found["rank"].tolist() in (["1–2"] * 2, [""] * 2)  # neither holds its level


def test_a_reference_that_never_errs_leaves_its_cell_out() -> None:
    sure = rows([2.0] * 200, 0.0, estimator="test/oracle", scenario="rd/sure")
    others = [rows(2 + np.arange(200) % 3, estimator=f"test/{k}", scenario="rd/sure") for k in "ab"]
    found = board(joined(trio(), sure, *others))
    assert found["cells"].unique().tolist() == [1]
    assert board(joined(sure, *others)).empty
    small = joined(sure, *others).assign(scenario="rd/one", n=7)  # another size of trio's scenario
    table = joined(trio(), small)
    scores = score(table, KNOWN)
    boards = ranks(table, scores, KNOWN, {}, Ranking(settings="all"))
    page = ranks_section(boards, scores.assign(method=scores["estimator"]), {})
    assert page.count("1 cell left out, where the reference has no score above zero.") == 1


def test_a_reference_that_failed_always_is_no_reference() -> None:
    table = trio()
    lost = table["estimator"] == "test/oracle"
    table.loc[lost, ["estimate", "ci_low", "ci_high"]] = nan
    table.loc[lost, "status"] = "failed"
    found = board(table)
    assert set(found["reference"]) == {"test/a"}
    assert found.loc["test/oracle", "worst"] == 1


def test_fewer_than_two_to_rank_make_no_board() -> None:
    assert board(trio().query("estimator != 'test/b'")).empty


def test_tables_of_another_version_are_refused() -> None:
    table = trio()
    with pytest.raises(BadInput, match="lacks columns: crps"):
        ranks(table.drop(columns="crps"), score(table, KNOWN), KNOWN, {})
    with pytest.raises(BadInput, match="score table lacks columns: answered"):
        ranks(table, score(table, KNOWN).drop(columns="answered"), KNOWN, {})


def test_a_folder_is_ranked_as_its_rows_are(tmp_path: Path) -> None:
    table = suite_of_three()
    scores = score(table, KNOWN)
    shards = [part for _, part in table.groupby(["scenario", "dials", "replicate"])]
    write_replicates(tmp_path, *shards[::40])
    stored = pd.read_parquet(tmp_path / "replicates")
    scores = score(stored, KNOWN)
    expected = ranks(stored, scores, KNOWN, {})
    found = RunTables.of_folder(tmp_path, KNOWN)["ranks"]
    pd.testing.assert_frame_equal(found, expected)


def test_declared_weights_take_globs_and_the_first_match() -> None:
    spec = Ranking.of({"ranking": {"weights": {"rd/a*": 2, "rd/*": 5}, "baselines": ["x/*"]}})
    alone = Ranking.of({"ranking": {"baselines": "x/*"}})  # as a suite may say it
    assert alone.baselines == spec.baselines and alone.role("rd/any", {}) == ""
    assert [spec.weight(name) for name in ("rd/ab", "rd/b", "did/c")] == [2, 5, 1]
    assert spec.role("x/y", {}) == "baseline" and spec.role("naive/z", {}) == ""
    assert losses({k: np.array(v) for k, v in EMPTY.items()}, spec, 0.95).size == 0


EMPTY: dict[str, Any] = {
    **dict.fromkeys(("truth", "estimate", "ci_low", "ci_high", "outside"), np.zeros(0)),
    **dict.fromkeys(("ok", "failed", "declined"), np.zeros(0, dtype=bool)),
}
