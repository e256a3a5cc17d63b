"""The pages in a browser: they move, say the run's numbers, load nothing, exclude nobody."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

import cibench
from cibench.lessons import frames as made
from cibench.lessons.course import Built, write_course
from cibench.lessons.lesson import Lesson
from cibench.lessons.page import page
from cibench.lessons.parse import find
from cibench.lessons.translations import Interface
from cibench.render.numbers import error_of, number

LINE = r"""
title = "<script>alert(1)</script> & so on"
assumption = "no <b>manipulation</b>"
scenario = "rd/cct-1"
dial = "sorting"
settings = [0, 0.2, 0.4]
n = 200
replicates = 30
diagnostic = "rd/donut-comparison"
test = "donut <i>test</i>"
failure = { method = "rd/local-linear", measure = "bias" }
remedy = { method = "oracle/experiment", floor = 0.5 }
prose = '''
A <script>alert(2)</script> formula $\tau < 1$.
'''
[estimators]
"rd/local-linear" = "line </script><script>alert(3)</script>"
"oracle/experiment" = "experiment"
[[questions]]
ask = "Why <script>?"
answer = '$\text{<img src=x onerror=alert(4)>}$'
"""
HEAD = 'title = "x"\nassumption = "a"\nprose = "p"\nreplicates = 24\n'
OTHERS = {
    "option": HEAD + 'scenario = "rd/cct-2"\nn = 200\n'
    'option = { "rd/local-linear" = "bandwidth" }\n'
    'settings = [0.2, 0.5]\nestimators = ["rd/local-linear", "rd/global-polynomial-2"]\n'
    'failure = { method = "rd/local-linear" }\nremedy = { method = "rd/local-linear", at = 0.2 }\n',
    "best": HEAD + 'scenario = "rd/cct-1"\nn = 200\nbest_of = "data sets"\nsettings = [1, 4]\n'
    'estimators = ["rd/local-linear"]\nparameters = { effect = 0.0 }\n'
    'failure = { method = "rd/local-linear" }\nremedy = { method = "rd/local-linear", at = 1 }\n',
    "distance": HEAD + 'scenario = "rd/loyalty"\nn = 300\ndistance = "from the cutoff"\n'
    'settings = [0, 2]\nestimators = ["rd/local-linear"]\n'
    'options = { "rd/local-linear" = { bandwidth = 2.0 } }\n'
    'failure = { method = "rd/local-linear", view = "asked" }\n'
    'remedy = { method = "rd/local-linear" }\n',
    "passed": HEAD + 'scenario = "rd/cct-1"\nn = 200\ndial = "sorting"\nsettings = [0.1, 0.4]\n'
    'estimators = ["rd/local-linear"]\ndiagnostic = "rd/donut-comparison"\n'
    'passed = "rd/local-linear"\nfailure = { method = "rd/local-linear", view = "passed" }\n'
    'remedy = { method = "rd/local-linear", at = 0.1 }\n',
}  # fmt: skip


def built(folder: Path, text: str, name: str = "line") -> tuple[Lesson, made.Frames]:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    lesson = find(path)
    return lesson, made.make(lesson)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lesson, made.Frames, Path]:
    folder = tmp_path_factory.mktemp("page")
    lesson, frames = built(folder, LINE)
    write_course([Built(lesson, frames, True)], folder)
    return lesson, frames, folder


def model(text: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script id="lesson" type="application/json">(.*?)</script>', text)
    return json.loads(found)


def test_a_page_is_one_safe_file(line):
    lesson, frames, folder = line
    for name in ("line.html", "index.html"):
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"<(link|iframe|object|embed|img|base)\b", text)
        links = re.findall(r'\b(?:src|href)="([^"]*)"', text)
        assert set(links) <= {"index.html", "line.html"}
        assert "@import" not in text and "url(" not in text
        assert text.count("http-equiv") == 1  # the policy
        assert text.count("<script") == (2 if name == "line.html" else 0)
        assert "alert(1)</script>" not in text and "<img" not in text
    assert len(page(lesson, frames).encode()) < 3e6


@pytest.mark.parametrize("kind", OTHERS)
def test_the_lines_that_a_page_shows_give_its_numbers(kind, tmp_path):
    lesson, frames = built(tmp_path, OTHERS[kind], kind)
    shown = model(page(lesson, frames))
    for frame, stored in zip(shown["frames"], frames["frames"], strict=True):
        *first, last = frame["code"].split("\n")
        assert len(first) == 2
        names: dict[str, Any] = {}
        exec("\n".join(first), names)
        tables = eval(last, names)
        tables = tables if isinstance(tables, tuple) else (tables,)
        for one, series in zip(stored["series"], lesson.series, strict=True):
            table = tables[1] if series.view else tables[0]
            row = table[table["estimator"] == series.estimator].iloc[0]
            wanted = [*one["scores"]["bias"], *one["scores"]["coverage"][:2]]
            assert row.tolist()[1:] == pytest.approx(wanted, rel=1e-4, abs=1e-9)
        data = frame["data_code"].replace("@", "1").split("\n")
        exec("\n".join(data[:2]), names)
        assert len(data) == 3 and "y" in eval(data[2], names)


def test_the_data_set_of_the_lines_is_that_of_the_run(line):
    lesson, frames, _ = line
    shown = model(page(lesson, frames))["frames"][2]
    names: dict[str, Any] = {}
    exec(shown["data_code"].replace("@", "3"), names)
    run = cibench.run(lesson.suite(4, (0.4,)))
    row = run.replicates[run.replicates["replicate"] == 3].iloc[0]
    from cibench.workers.block import hash_columns

    roles = lesson.scenario_at(0.4).assigned_roles()
    assert hash_columns(names["drawn"], roles) == row["data_hash"]


def opened(browser: Any, path: Path, **viewport: int) -> tuple[Any, list[str]]:
    """Open a page and listen to what it complains about and what it asks the network for."""
    tab = browser.new_page(viewport=viewport or {"width": 1280, "height": 720})
    heard: list[str] = []
    tab.on("console", lambda m: heard.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda e: heard.append(str(e)))
    tab.on("dialog", lambda d: (heard.append(d.message), d.dismiss()))
    tab.on("request", lambda r: None if r.url.startswith("file:") else heard.append(r.url))
    tab.goto(path.as_uri())
    return tab, heard


@pytest.mark.browser
def test_the_slider_moves_and_the_page_says_the_runs_numbers(browser, line):
    lesson, _, folder = line
    tab, heard = opened(browser, folder / "line.html")
    run, seen = cibench.run(lesson.suite()), []
    for setting in lesson.slider.settings:
        row = run.scores[
            (run.scores["setting"].fillna(0.0) == setting)
            & (run.scores["estimator"] == "rd/local-linear")
        ].iloc[0]
        bias = f"{number(row['bias'], row['bias_mcse'])} {error_of(row['bias'], row['bias_mcse'])}"
        assert tab.inner_text("#at") == f"{setting:g}"
        assert bias in tab.inner_text("#verdict")
        here = tab.locator("#numbers tr.here")
        assert here.count() == 2 and bias in here.first.inner_text()
        assert f'"sorting": {setting:g}' in tab.inner_text("#code")
        seen.append([tab.inner_html(f"#{name} .plot") for name in ("data", "spread", "zip")])
        tab.focus("#slider")
        tab.keyboard.press("ArrowRight")
    for pictures in zip(*seen, strict=True):
        assert len(set(pictures)) == 3
    assert heard == []
    tab.close()


@pytest.mark.browser
def test_ticks_are_round_numbers_and_zero_is_zero(browser, line):
    tab, _ = opened(browser, line[2] / "line.html")
    assert tab.evaluate("ticks([-0.22, 0.02], 5)") == [-0.2, -0.15, -0.1, -0.05, 0]
    assert tab.evaluate("ticks([-4.6, 5.4], 5)") == [-4, -2, 0, 2, 4]
    tab.close()


@pytest.mark.browser
def test_data_sets_are_leafed_through_and_revealed(browser, line):
    _, frames, folder = line
    tab, heard = opened(browser, folder / "line.html")
    tab.goto(f"{(folder / 'line.html').as_uri()}#2.0")
    tab.reload()
    first = tab.inner_html("#data .plot"), tab.inner_text("#answers")
    tab.click("#next")
    assert "1" in tab.inner_text("#which") and "replicate=1" in tab.inner_text("#data-code")
    assert (tab.inner_html("#data .plot"), tab.inner_text("#answers")) != first
    one = frames["frames"][2]["shown"][1]
    value, low, high = one["answers"][0][:3]
    assert Interface("en").near(value, (high - low) / 4) in tab.inner_text("#answers")
    before = tab.inner_text("#answers")
    tab.check("#reveal")
    covers = ["yes" if answer[4] else "no" for answer in one["answers"]]
    shown = tab.eval_on_selector_all("#answers tbody td:last-child", "c => c.map(x => x.innerText)")
    assert shown == covers and "covers?" not in before
    tab.click("#previous")
    tab.click("#previous")
    assert "23" in tab.inner_text("#which")
    assert tab.evaluate("location.hash") == "#2.23" and heard == []
    tab.close()


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_nothing_is_clipped_and_the_accessibility_check_finds_nothing_serious(browser, line, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    _, _, folder = line
    for name in ("line.html", "index.html"):
        tab, heard = opened(browser, folder / name, width=size[0], height=size[1])
        if name == "line.html":
            tab.check("#reveal")
            tab.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
            assert tab.evaluate("document.querySelector('#stage').offsetTop") < 140
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
        found = axe.Axe().run(tab).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        assert heard == []
        tab.close()


@pytest.mark.browser
def test_the_stage_fits_a_projector_and_prints_open(browser, line):
    _, _, folder = line
    tab, _ = opened(browser, folder / "line.html")
    bottom = tab.evaluate("document.querySelector('#stage').getBoundingClientRect().bottom")
    assert bottom <= 720
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.eval_on_selector_all("details", "all => all.every(d => d.open)")
    assert not tab.is_visible("#slider") and tab.is_visible("#spread svg")
    tab.close()


@pytest.mark.parametrize("language", ["tr", "es"])
def test_a_page_speaks_other_languages(line, language):
    lesson, frames, _ = line
    text = page(lesson, frames, language)
    words = Interface(language).words
    assert f'<html lang="{language}">' in text
    for key in ("one", "bias", "analyst", "reveal", "numbers", "reproduce"):
        assert html.escape(words[key].split("{")[0].strip(" ,")) in text
    assert 'lang="en"' in text  # the prose has no translation: a screen reader must know
    bias = frames["frames"][0]["series"][0]["scores"]["bias"]
    assert Interface(language).measured(bias) in html.unescape(text)
    assert (
        "{" not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S).split("cibench.run(")[0]
    )
