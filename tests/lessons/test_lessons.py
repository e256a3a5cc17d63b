"""Lesson files, what is looked at in a run, frames: right numbers, clear complaints."""

from __future__ import annotations

import copy
import re
import string
from pathlib import Path

import numpy as np
import pytest

import cibench
from cibench.lessons import frames as made
from cibench.lessons.course import build
from cibench.lessons.frames import as_text, reproduces, up_to_date
from cibench.lessons.lesson import Lesson, Series
from cibench.lessons.page import page
from cibench.lessons.parse import built_in_lessons, find
from cibench.lessons.pictures import draw, pictures
from cibench.lessons.reanalysis import asked, best_of, passed, truth_of
from cibench.lessons.tables import doubts, errors_from_none, holds
from cibench.lessons.translations import Interface, languages
from cibench.render.markdown import inline, markdown
from cibench.utils.errors import BadInput

TOY = Path(__file__).with_name("toy.toml").read_text(encoding="utf-8")


def written(folder: Path, text: str = TOY, name: str = "toy.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lesson, cibench.Run, made.Frames]:
    lesson = find(written(tmp_path_factory.mktemp("toy")))
    run = cibench.run(lesson.suite())
    return lesson, run, made.frames(lesson, run)


# ---- the file --------------------------------------------------------------------------------


def test_a_file_becomes_a_lesson(toy):
    lesson, _, _ = toy
    assert lesson.series == (Series("rd/local-linear"), Series("oracle/experiment"))
    assert (lesson.failure.at, lesson.remedy.at, lesson.remedy.floor) == (0.4, 0.4, 0.7)
    assert lesson.words["en"].slider.startswith("sorting: share of units")
    assert lesson.suite(7, (0.2,))["cells"][0]["dials"] == {"sorting": 0.2}


WRONG = [
    ('scenario = "rd/cct-1"', 'scenario = "rd/ctc-1"', 4, "did you mean 'rd/cct-1'?"),
    ('dial = "sorting"', 'dial = "sortin"', 5, "did you mean 'sorting'?"),
    ('"rd/local-linear" = "local line"', '"rd/local-liner" = "x"', 17, "'rd/local-linear'?"),
    ("[0, 0.2, 0.4]", "[0, 0.2, 1.4]", 6, "sorting = 1.4 lies outside 0 to 1"),
    ("[0, 0.2, 0.4]", '[0, "0.2"]', 6, "'0.2' is not a number"),
    ("[0, 0.2, 0.4]", "[0.2, 0, 0.4]", 6, "neither up nor down"),
    ('"rd/donut-comparison"', '"rd/donut-comparson"', 9, "did you mean 'rd/donut-comparison'?"),
    ('"rd/donut-comparison"', '"rd/local-linear"', 9, "is an estimator, not a diagnostic"),
    ("bandwidth = 0.2", "bandwith = 0.2", 10, "did you mean 'bandwidth'?"),
    ("at = 0.4, measure", "at = 0.3, measure", 11, "0.3 is not one of the settings"),
    ('measure = "bias"', 'measure = "bais"', 11, "not one of bias"),
    ('method = "oracle/experiment"', 'method = "oracle/experimen"', 12, "oracle/experiment"),
    ("n = 300", "n = 0", 7, "0 is not a number of units"),
    ("n = 300", "n = 300\nparameters = { efect = 1 }", 8, "did you mean 'effect'?"),
    ("n = 300", "n = 300\ncolour = 1", 8, "no key named 'colour'"),
    ("n = 300", "n = 300\nplugins = ['min.py']", 8, "no file beside the lesson named 'min.py'"),
    ("n = 300", "n = 300\npassed = ['rd/local-line']", 8, "'rd/local-linear'"),
    ('ask = "Why?"', 'aks = "Why?"', 20, "did you mean 'ask'?"),
    ('"oracle/experiment" = "experiment"', '"panel/twfe" = "x"', 18, "answers ATT"),
    ('dial = "sorting"', 'dial = "sorting"\nparameter = "noise"', 6, "one slider"),
    ('title = "Toy"', "title = 3", 2, "3 is not the lesson's title"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "said"), WRONG)
def test_a_wrong_file_is_told_its_line_and_the_near_miss(tmp_path, right, wrong, line, said):
    assert right in TOY
    path = written(tmp_path, TOY.replace(right, wrong))
    with pytest.raises(BadInput) as error:
        find(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert said in str(error.value)


def test_a_file_that_is_no_toml_or_not_there_is_said_to_be(tmp_path):
    with pytest.raises(BadInput, match=r"toy.toml:2: not a TOML file: .*line 2"):
        find(written(tmp_path, "title = 'x'\ndial = \n"))
    with pytest.raises(BadInput, match="No such file"):
        find(tmp_path / "none.toml")
    with pytest.raises(BadInput, match=r"no lesson named 'paralel-trends'.*parallel-trends"):
        find("paralel-trends")


MANY = [
    ('title = "Toy"', 'tittle = "Toy"'),
    ("[0, 0.2, 0.4]", "[0,\n 0.2,\n 1.4]"),
    ("n = 300", "n = 0\nparameters = { efect = 1, noise = -1 }"),
    ('"rd/local-linear" = "local line"', '"rd/local-liner" = "local line"'),
    ('ask = "Why?"', "ask = 3"),
]


def test_all_mistakes_of_a_file_and_of_its_translations_are_told_in_one_go(tmp_path):
    text = TOY
    for right, wrong in MANY:
        text = text.replace(right, wrong)
    path = written(tmp_path, text)
    (tmp_path / "tr").mkdir()
    other = written(tmp_path / "tr", "title = 'T'\nprose = 'p'\nassumption = ''\n")
    with pytest.raises(BadInput) as error:
        find(path)
    assert error.value.args == (
        f"{path}:2: tittle: no key named 'tittle'; did you mean 'title'?",
        f"{path}:8: settings: rd/cct-1: sorting = 1.4 lies outside 0 to 1",
        f"{path}:9: n: 0 is not a number of units",
        f"{path}:10: parameters.efect: no parameter named 'efect'; did you mean 'effect'?",
        f"{path}:10: parameters: rd/cct-1: noise = -1 lies outside 0 to 100",
        f"{path}:20: estimators: no estimator named 'rd/local-liner'; did you mean "
        "'rd/local-linear'?",
        f"{path}:23: questions[1].ask: 3 is not Markdown text",
        f"{other}:3: assumption: '' is not Markdown text",
    )


FOLLOWING = [
    ('scenario = "rd/cct-1"', 'scenario = "rd/ctc-1"\nparameters = { x = 1 }', "4"),
    ('"rd/donut-comparison"', '"rd/donut-comparson"\npassed = ["rd/local-linear"]', "9"),
    ("failure = {", "failur = {", "11"),
    ('method = "oracle/experiment"', 'method = "own/x", view = "passed"', "12"),
    ("n = 300", "plugins = ['no.py']\nasked = { of = 'x', methods = ['own/x'] }", "1 7 8 8"),
    ('dial = "sorting"', 'dail = "sorting"', "5"),
    ('dial = "sorting"', 'parameter = "n"', "6 6 6"),
    ("[0, 0.2, 0.4]", "3", "6"),
    ('"rd/local-linear" = "local line"', '"rd/local-liner" = "l"', "17"),
]


@pytest.mark.parametrize(("right", "wrong", "lines"), FOLLOWING)
def test_what_follows_from_a_mistake_is_not_told(tmp_path, right, wrong, lines):
    assert right in TOY
    path = written(tmp_path, TOY.replace(right, wrong))
    with pytest.raises(BadInput) as error:
        find(path)
    told = [line.removeprefix(f"{path}:").split(":")[0] for line in error.value.args]
    assert " ".join(told) == lines, error.value


# ---- prose -----------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", [
    "<script>alert(1)</script>", "![x](http://a.b/c.png)", "[x](javascript:alert(1))",
    r"$\text{<img src=x onerror=alert(1)>}$", r"$\href{javascript:alert(1)}{x}$",
    r"$\style{background:url(http://a.b)}{x}$", r"$\class{a}{x}$", "<b onclick=alert(1)>x</b>",
    r"$$\unknown{<script>alert(1)</script>}$$", "`<script>`",
])  # fmt: skip
def test_prose_loads_and_runs_nothing(attack):
    for written in (markdown(attack), inline(attack)):
        assert not re.search(
            r"<(script|img|b)\b|\son\w+=(?!alert)|\bstyle=|href=.javascript", written
        )
        assert "alert" not in re.sub(r">[^<]*<", "><", f">{written}<")  # in text, not in tags


def test_formulas_become_mathml():
    written = markdown(r"The bias is $4\,\delta < 1$:" "\n" r"$$E\,\hat\tau = \tau + 4\delta$$")
    assert written.count("<math") == 2 and 'display="block"' in written and "<mi>δ</mi>" in written
    assert "<mo>&lt;</mo>" in written and "$" not in written
    assert "5$ and 6$" in inline("it costs 5$ and 6$")


# ---- words -----------------------------------------------------------------------------------


def test_every_language_has_the_same_words_and_the_same_blanks():
    def blanks(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english = languages()["en"]
    assert set(languages()) == {"en", "tr", "es"}
    for language, words in languages().items():
        assert set(words) == set(english), language
        for key, text in words.items():
            assert text and blanks(text) == blanks(english[key]), (language, key)
            same = text == english[key] and len(text) > 5 and key != "percent"
            assert language == "en" or not same, (language, key)


def test_every_word_is_used():
    folder = Path(made.__file__).parent
    code = "".join(p.read_text() for p in folder.rglob("*") if p.suffix in (".py", ".js"))
    unused = [w for w in languages()["en"] if not re.search(rf"\bW\.{w}\b|[\"']{w}[\"']", code)]
    built = {"figure_bias", "figure_median_bias", "figure_coverage", "name"}
    assert set(unused) <= built


def test_numbers_have_the_marks_of_the_language():
    assert Interface("es").measured([1234.5, 0.25]) == "1.234,50 (0,25)"
    assert Interface("en").measured([1234.5, 0.25]) == "1,234.50 (0.25)"
    assert Interface("tr").share([0.75, 0.02, 0.63, 0.84]) == "%\u00a075 (63–84)"
    assert Interface("es").share([0.75, 0.02, 0.63, 0.84]) == "75\u00a0% (63–84)"
    assert Interface("en").span("-inf", 2.0, False, None) == "[−∞; 2.00]"
    assert Interface("en").span(-1.0, 2.0, True, 0.5) == "(−∞; −1.00] ∪ [2.00; ∞)"
    with pytest.raises(BadInput, match="no language named 'sp'"):
        Interface("sp")


# ---- other looks at a run --------------------------------------------------------------------


def test_passed_scores_the_data_sets_without_alarm(toy):
    _, run, _ = toy
    rows = run.replicates
    fine = rows[(rows["kind"] == "diagnostic") & (rows["passed"] == True)]  # noqa: E712
    keys = set(zip(fine["dials"], fine["replicate"], strict=True))
    table = passed(run, "rd/donut-comparison")
    assert len(table) == 6 and table["replicates"].sum() < 240
    for line in table.to_dict("records"):
        mine = rows[(rows["estimator"] == line["estimator"]) & (rows["dials"] == line["dials"])]
        kept = [k in keys for k in zip(mine["dials"], mine["replicate"], strict=True)]
        errors = (mine["estimate"] - mine["truth"])[kept]
        assert line["bias"] == pytest.approx(errors.mean()) and line["replicates"] == len(errors)
    with pytest.raises(BadInput, match="no diagnostic"):
        passed(run, "rd/local-linear-test")


def test_best_of_takes_the_smallest_p_value_of_every_turn(toy):
    _, run, _ = toy
    rows = run.replicates
    mine = rows[(rows["estimator"] == "rd/local-linear") & rows["dial"].isna()]
    p, error = mine["p_value"].to_numpy(), (mine["estimate"] - mine["truth"]).to_numpy()
    best = [error[i + np.argmin(p[i : i + 7])] for i in range(0, 35, 7)]  # 5 turns, 5 left over
    table = best_of(run, 7)
    line = table[(table["estimator"] == "rd/local-linear") & table["dial"].isna()].iloc[0]
    assert line["replicates"] == 5 and line["bias"] == pytest.approx(np.mean(best))
    alone = best_of(run, 1)
    assert np.allclose(alone["bias"], run.scores[run.scores["kind"] == "estimate"]["bias"])


def test_another_question_has_the_truth_of_the_effects():
    # in rd/loyalty the effect is 300 x, x ~ Gamma(2, 2.5): 1500 on average, 300 (5 + d) at 5 + d
    scenario = cibench.find_scenario("rd/loyalty")()
    everybody, away = truth_of(scenario, "everybody"), truth_of(scenario, "distance", 3)
    assert everybody.value == pytest.approx(1500, abs=5 * everybody.mcse) and everybody.mcse < 2
    assert away.value == pytest.approx(2400, abs=1e-6)
    treated = truth_of(scenario, "treated")  # E[x | x > 5] = (2.5 G3 + ...) by the gamma's tail
    from scipy.stats import gamma

    above = 5 * gamma(3, scale=2.5).sf(5) / gamma(2, scale=2.5).sf(5)
    assert treated.value == pytest.approx(300 * above, abs=5 * treated.mcse)


def test_asked_scores_the_same_estimates_on_another_truth():
    cell = {"scenario": "rd/loyalty", "n": 500, "estimators": ["rd/local-linear"]}
    options = {"rd/local-linear": {"bandwidth": 2.0}}
    run = cibench.run(
        {"name": "x", "seed": 1, "replicates": 8, "cells": [cell | {"options": options}]}
    )
    table = asked(run, "distance", 2.0)
    assert table["truth"].tolist() == [pytest.approx(2100)]
    assert table["bias"][0] == pytest.approx(run.scores["bias"][0] - 600)


# ---- frames ----------------------------------------------------------------------------------


def test_frames_hold_the_scores_of_the_run(toy):
    lesson, run, frames = toy
    for frame in frames["frames"]:
        setting = frame["setting"]
        here = run.scores[run.scores["setting"].fillna(0.0) == setting].set_index("estimator")
        for series, one in zip(lesson.series, frame["series"], strict=True):
            line = here.loc[series.estimator]
            for name in ("bias", "coverage", "empirical_se", "ci_length"):
                assert one["scores"][name][0] == pytest.approx(line[name], rel=1e-5)
                assert one["scores"][name][1] == pytest.approx(line[f"{name}_mcse"], rel=1e-5)
            assert sum(one["counts"]) + sum(one["beyond"]) == one["answered"] == 40
            rows = run.replicates[run.replicates["setting"].fillna(0.0) == setting]
            mine = rows[rows["estimator"] == series.estimator].set_index("replicate")
            for k, (low, high, _, covers) in zip(one["rows"], one["limits"], strict=True):
                assert (low, high) == pytest.approx(
                    tuple(mine.loc[k, ["ci_low", "ci_high"]]), rel=1e-4
                )
                assert covers == bool(low <= one["truth"][0] <= high)
        alarms = 1 - run.replicates[
            (run.replicates["kind"] == "diagnostic")
            & (run.replicates["setting"].fillna(0.0) == setting)
        ]["passed"].astype(float).mean()  # fmt: skip
        assert frame["diagnostic"][0] == pytest.approx(alarms)


def test_the_pictures_are_of_the_runs_data_sets(toy):
    lesson, _, frames = toy
    found = pictures(lesson, frames)
    shown = frames["frames"][2]["shown"][5]
    drawn = draw("rd/cct-1", {"sorting": 0.4}, 300, lesson.seed, shown["replicate"])
    one = found["frames"][2][5]
    assert set(one["x"]) <= {float(f"{v:.4g}") for v in drawn.columns["x"]}
    assert sum(one["bars"][2]) <= 300 and one["cutoff"] == 0
    crossed = (drawn.latent["x"] < 0) & (drawn.columns["x"] >= 0)
    assert len(one["moved"]) <= crossed.sum()
    shown["hash"] = "0"  # as where a processor rounds otherwise: the code is the same
    assert pictures(lesson, frames) == found
    for about in ({"sources": {}}, {"versions": {"numpy": "1.0"}}):
        with pytest.raises(BadInput, match="is not that of the stored run"):
            pictures(lesson, {**frames, **about})


def test_a_claim_is_judged_by_its_errors(toy):
    lesson, run, frames = toy
    worst = run.scores[run.scores["setting"] == 0.4].set_index("estimator")
    line = worst.loc["rd/local-linear"]
    far = abs(line["bias"]) / line["bias_mcse"]
    assert errors_from_none(frames, lesson, lesson.failure) == pytest.approx(far, rel=1e-4)
    low = worst.loc["oracle/experiment", "coverage_with_failures_low"]
    assert holds(frames, lesson) == (far >= 5, low > 0.7)
    assert len(doubts(frames, lesson)) == 2 - sum(holds(frames, lesson))


def test_frames_are_read_where_they_are_of_these_sources(toy, tmp_path):
    lesson = find(written(tmp_path))
    _, _, frames = toy
    assert made.shipped(lesson) is None
    made.stored_at(lesson).parent.mkdir()
    made.stored_at(lesson).write_text(as_text(frames))
    assert up_to_date(lesson, frames) and reproduces(lesson, frames)
    other = copy.deepcopy(frames)
    other["frames"][1]["shown"][0]["answers"][0][0] *= 1.001
    assert not reproduces(lesson, other)
    other["sources"] = {}
    assert not up_to_date(lesson, other)
    assert made.digest(lesson) == frames["digest"] and made.shipped(lesson) is not None
    assert not build(lesson).ran and build(lesson, 3).ran
    written(tmp_path, TOY.replace("n = 300", "n = 301"))
    assert made.shipped(find(tmp_path / "toy.toml")) is None
    written(tmp_path, TOY.replace("Because.", "Because of it."))
    assert made.shipped(find(tmp_path / "toy.toml")) is not None
    with pytest.raises(BadInput, match="--replicates: 1 is not"):
        build(lesson, 1)


# ---- what comes with cibench -----------------------------------------------------------------


@pytest.mark.parametrize("name", built_in_lessons())
def test_a_built_in_lesson_is_short_and_its_words_are_whole(name):
    lesson, path = find(name), built_in_lessons()[name]
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    words = lesson.words["en"]
    assert len(words.questions) >= 2 and "What helps" in words.prose
    assert lesson.failure.measure in ("bias", "median_bias", "coverage")
    for text in (words.prose, *(q.answer for q in words.questions)):
        assert "<code>" not in re.sub(r"`[^`]*`", "", markdown(text)) and "$" not in markdown(text)


@pytest.mark.parametrize("name", built_in_lessons())
def test_a_lesson_ships_frames_that_hold_what_it_states_and_builds_quickly(name):
    import time

    lesson = find(name)
    started = time.process_time()
    frames = made.shipped(lesson)
    assert frames is not None, f"run `python -m cibench.lessons {name}` and commit the frames"
    text = page(lesson, frames)
    assert time.process_time() - started < 3
    assert len(text.encode()) < 3e6
    assert doubts(frames, lesson) == []
    assert frames["replicates"] == lesson.replicates
