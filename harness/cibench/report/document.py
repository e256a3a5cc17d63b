"""What every page shares: the document around it, its style, and named facts."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from cibench.report.markup import Child, Html, h, join


def document(title: str, *body: Child) -> str:
    """Return an HTML document that asks nothing of a network."""
    head = h(
        "head", h("meta", charset="utf-8"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("title", title), h("style", Html(asset("style.css"))),
    )  # fmt: skip
    whole = h("body", *body, h("script", Html(asset("script.js"))))
    return join(Html("<!doctype html>\n"), h("html", head, whole, lang="en"), "\n")


def asset(name: str) -> str:
    """Return the text of a file that comes with the report."""
    return files("cibench.report").joinpath(name).read_text(encoding="utf-8")


def facts(known: Iterable[tuple[str, Any]]) -> Html:
    """Write named facts as a list, without those that are not known."""
    told = [(name, value) for name, value in known if value not in (None, "")]
    return h("dl", [(h("dt", name), h("dd", str(value))) for name, value in told])
