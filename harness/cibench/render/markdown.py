"""Prose in Markdown with formulas between dollar signs, as HTML that loads and runs nothing.

HTML in the text is escaped and images are left as text, so that a page stays one safe file.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import tostring

from cibench.render.html import Html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.token import Token

ATTRIBUTES = frozenset({
    "accent", "columnalign", "columnspacing", "display", "displaystyle", "fence", "form",
    "linethickness", "mathvariant", "maxsize", "minsize", "movablelimits", "rowspacing",
    "separator", "stretchy", "width", "xmlns",
})  # fmt: skip
"""The attributes of MathML that a formula keeps."""


@lru_cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["image", "html_block", "html_inline"])
    parser.use(dollarmath_plugin, renderer=_formula, allow_digits=False, double_inline=True)
    parser.add_render_rule("math_inline_double", _displayed)
    return parser


def _displayed(
    _: RendererProtocol, tokens: Sequence[Token], at: int, *__: object
) -> str:  # a div, the plugin's own way, would end the paragraph
    formula = _formula(tokens[at].content, {"display_mode": True})
    return f'<span class="math block">{formula}</span>'


def markdown(text: str) -> Html:
    """Write paragraphs, lists, tables and formulas."""
    return Html(_parser().render(text.strip()))


def inline(text: str) -> Html:
    """Write one line: emphasis, code and formulas."""
    return Html(_parser().renderInline(text.strip()))


def _formula(text: str, options: dict[str, Any]) -> str:
    """Return MathML; a formula that cannot be read is shown as it was typed.

    latex2mathml does not escape what stands in its text and knows links and styles: here texts are
    escaped when the tree is written, and only MathML's own tags and harmless attributes stay.
    """
    from latex2mathml.converter import convert_to_element

    display = "block" if options.get("display_mode") else "inline"
    try:
        tree = convert_to_element(text.strip(), display=display)
    except Exception:  # the library raises many kinds
        return f"<code>{escape(text)}</code>"
    for node in tree.iter():
        node.text = unescape(node.text or "")
        node.tag = node.tag if re.fullmatch(r"m[a-z]+", node.tag) else "mrow"
        for name in [name for name in node.attrib if name not in ATTRIBUTES]:
            del node.attrib[name]
    tree.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    return tostring(tree, encoding="unicode")
