"""HTML that is safe by construction: text is escaped unless it is `Html` already."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from math import isinf
from typing import Any, TypeAlias

from cibench.utils.errors import spelt_out
from cibench.utils.files import asset
from cibench.utils.missing import missing


class Html(str):
    """Mark text that is HTML already; every other text is escaped when it is put in."""

    __slots__ = ()


Child: TypeAlias = "Html | str | int | Iterable[Child] | None"

VOID = frozenset({"img", "input", "meta", "br"})


def join(*children: Child, between: str = "") -> Html:
    """Put children one after the other, escaping all that is not `Html`; None leaves no trace."""
    return Html(between.join(_text(child) for child in children if child is not None))


def h(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """Build an element; `cls` stands for class, `for_` for for, an underscore for a hyphen.

    An attribute that is None or False is left out, and one that is "" but for data; True stands
    without a value.
    """
    parts = [tag]
    for name, value in attributes.items():
        key = "class" if name == "cls" else name.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False and (value != "" or key.startswith("data-")):
            parts.append(f'{key}="{escape(spelt_out(str(value)))}"')
    opening = f"<{' '.join(parts)}>"
    return Html(opening if tag in VOID else f"{opening}{join(*children)}</{tag}>")


def folded(summary: Child, *body: Child, whole: bool = False, cls: str = "") -> Html:
    """Put a body behind a line that opens it; `whole` is what a link to its section opens too."""
    kind = " ".join(filter(None, (cls, "whole" if whole else "")))
    return h("details", h("summary", summary), *body, cls=kind)


def breakable(name: str) -> Html:
    """Let a name of the form family/name break after its slash."""
    return join(*name.split("/"), between="/<wbr>")


def prose(text: str) -> Html:
    """Write a docstring: paragraphs between blank lines, code between backticks."""
    return join(*(h("p", _with_code(part)) for part in text.split("\n\n") if part.strip()))


def _with_code(text: str) -> list[Child]:
    parts = text.split("`")
    if len(parts) % 2 == 0:  # an odd backtick: no telling what is code
        return [text]
    return [h("code", part) if i % 2 else part for i, part in enumerate(parts)]


def _text(child: Child) -> str:
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return escape(spelt_out(str(child)))  # a stranger's text turns no other words round
    return join(*(child or ()))


def sortable(names: Iterable[tuple[str, str]], body: Iterable[Html], cls: str = "") -> Html:
    """Frame rows under headings that sort by a click; each heading has a name and a meaning."""
    head = h("thead", h("tr", [header(*name) for name in names]))
    table = h("table", head, h("tbody", body), cls=f"sortable {cls}".rstrip())
    return h("div", table, cls="scroll tall")


def header(name: str, meaning: str = "") -> Html:
    """Write a heading that sorts by a click and explains itself to who points at it."""
    return h("th", h("button", name, type="button"), scope="col", title=meaning)


def raw(value: Any) -> str:
    """Write a number to sort by, "" for what is blank or infinite."""
    return "" if missing(value) or isinf(value) else repr(float(value))


def place(row: Mapping[str, Any]) -> Html:
    """Write the scenario of a row and, below it, which of its sizes and parameters it is."""
    below = h("span", str(row["title"]), cls="mc below")
    return h("td", str(row.get("scenario_label", row["scenario"])), below, cls="at")


Asset: TypeAlias = tuple[str, str]
"""A package and the name of a text file in it."""

STYLE, PLAIN, SCRIPT = (("cibench.render", name) for name in ("page.css", "plain.css", "page.js"))


def document(
    title: str, *body: Child, style: Asset = STYLE, scripts: Sequence[Asset] = (SCRIPT,),
    data: Mapping[str, Any] | None = None, language: str = "en",
) -> Html:  # fmt: skip
    """Return an HTML document that asks nothing of a network, and whose policy forbids it to.

    No script runs but these, whatever a text on the page may hold. `data` are values that scripts
    find as JSON, by the id of their element.
    """
    blocks = [
        h("script", _json(value), id=name, type="application/json")
        for name, value in (data or {}).items()
    ]
    code = [Html(asset(*script)) for script in scripts]
    head = h(
        "head", h("meta", charset="utf-8"),
        h("meta", http_equiv="Content-Security-Policy", content=_policy(code)),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("title", title), h("style", Html(asset(*style))),
    )  # fmt: skip
    page = h("html", head, h("body", *body, blocks, [h("script", c) for c in code]), lang=language)
    return join(Html("<!doctype html>\n"), page, "\n")


def _policy(scripts: Sequence[Html]) -> str:
    """Return the policy of a page: its own scripts by their digests, styles, pictures in itself."""
    digests = (b64encode(sha256(str(script).encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> Html:
    """Write data into a script element: no tag in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Html(text.replace("<", "\\u003c"))


def picture(png: bytes, words: str) -> Html:
    """Put a picture into the page itself; `words` say what it shows."""
    return h("img", alt=words, src=f"data:image/png;base64,{b64encode(png).decode()}")


def facts(known: Iterable[tuple[str, Any]]) -> Html:
    """Write named facts as a list, without those that are not known."""
    filled = [(name, value) for name, value in known if value not in (None, "")]
    return h("dl", [(h("dt", name), h("dd", str(value))) for name, value in filled])
