"""The one skeleton of HTML documents: what is put into it stays text, and nothing is loaded."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import cibench
from cibench.render.html import PLAIN, SCRIPT, STYLE, Html, document, h, picture
from cibench.utils.files import asset

ENGINE = Path(cibench.__file__).parent


def test_title_body_and_language_are_escaped_and_in_place():
    page = document("<a & b>", h("main", "x < y"), language='tr"', style=PLAIN, scripts=())
    assert page.startswith('<!doctype html>\n<html lang="tr&quot;"><head><meta charset="utf-8">')
    assert page.count("Content-Security-Policy") == 1
    assert "<title>&lt;a &amp; b&gt;</title>" in page
    assert "<body><main>x &lt; y</main></body></html>\n" in page
    assert asset(*PLAIN) in page and "<script" not in page


@pytest.mark.parametrize("turn", ["\u202e", "\u2066", "\x1b", "\ud800"])
def test_a_text_turns_no_other_words_round(turn):
    page = str(h("p", f"passed{turn}deliaf", title=f"a{turn}b"))
    assert turn not in page and page.count(repr(turn)[1:-1]) == 2
    page.encode()


def test_what_is_blank_to_sort_by_is_written_as_blank():
    """Without it the words of the cell are sorted by, before or behind all numbers."""
    assert h("td", "stays above", data_v="", title="") == '<td data-v="">stays above</td>'
    assert h("td", "none", data_v=None, hidden=False) == "<td>none</td>"


def test_data_are_json_that_no_text_in_them_can_end():
    data = {"model": {"words": "</script><script>alert(1)</script>", "é": [1, None, 0.5]}}
    page = document("t", data=data)
    found = re.findall(r'<script id="(\w+)" type="application/json">(.*?)</script>', page)
    assert [(name, json.loads(text)) for name, text in found] == list(data.items())
    assert page.index("application/json") < page.index("<script>")  # there before code looks for it
    with pytest.raises(ValueError, match="not JSON compliant"):
        document("t", data={"model": float("nan")})


def test_a_page_asks_nothing_of_a_network():
    page = document("t", h("p", picture(b"png", 'a "plot"')), data={"x": 1})
    assert not re.search(r"""<link|@import|url\(|(?:src|href)=["'](?!data:)""", page)
    assert '<img alt="a &quot;plot&quot;" src="data:image/png;base64,cG5n">' in page


RUN = "document.title = 'run'"
HOSTILE = f'<script>{RUN}</script><img src=x onerror="{RUN}">'


@pytest.mark.browser
@pytest.mark.parametrize("style", [STYLE, PLAIN])
def test_no_code_runs_on_a_page_but_its_own(browser, tmp_path, style):
    """Put markup into a page as if escaping had failed: the policy is the second lock."""
    address = "http://127.0.0.1:9/picture.png"
    body = [Html(HOSTILE), Html(f'<img src="{address}">'), h("p", picture(b"png", "plot"))]
    scripts = (SCRIPT,) if style is STYLE else ()
    path = tmp_path / "page.html"
    path.write_text(document("quiet", *body, style=style, scripts=scripts), encoding="utf-8")
    tab = browser.new_page()
    complaints, failures = [], []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("requestfailed", lambda request: failures.append((request.url, request.failure)))
    tab.goto(path.as_uri())
    assert tab.title() == "quiet"
    assert (address, "csp") in failures
    text = " ".join(complaints)
    assert text.count("Content Security Policy") >= 3  # script, handler, picture
    tab.close()


@pytest.mark.browser
def test_a_script_that_was_changed_afterwards_does_not_run(browser, tmp_path):
    page = document("quiet", h("main", "x"))
    path = tmp_path / "page.html"
    for code, title in (("", "quiet"), ("document.title = 'run';", "quiet")):
        path.write_text(page.replace("<script>", f"<script>{code}"), encoding="utf-8")
        tab = browser.new_page()
        complaints: list[str] = []
        tab.on("console", lambda message, kept=complaints: kept.append(message.text))
        tab.goto(path.as_uri())
        assert tab.title() == title
        assert any("Content Security Policy" in text for text in complaints) is bool(code)
        tab.close()


def test_documents_are_put_together_here_and_nowhere_else():
    for path in sorted(ENGINE.rglob("*.py")):
        if path.name != "html.py":
            text = path.read_text(encoding="utf-8").lower()
            assert "doctype" not in text and 'h("head"' not in text, path


def test_styles_and_scripts_are_packed_with_the_package_that_they_lie_in():
    project = tomllib.loads((ENGINE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    packed = {
        path for pattern in project["tool"]["setuptools"]["package-data"]["cibench"]
        for path in ENGINE.glob(pattern)
    }  # fmt: skip
    assets = [p for ending in ("css", "js", "txt", "toml") for p in ENGINE.rglob(f"*.{ending}")]
    assert {"page.css", "lesson.js", "words.toml"} <= {path.name for path in assets}
    assert set(assets) <= packed
