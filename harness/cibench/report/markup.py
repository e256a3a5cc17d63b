"""Write HTML that is safe by construction: text is escaped unless it is `Html` already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias


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

    An attribute that is None or False is left out, True stands without a value.
    """
    parts = [tag]
    for name, value in attributes.items():
        key = "class" if name == "cls" else name.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False and value != "":
            parts.append(f'{key}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Html(opening if tag in VOID else f"{opening}{join(*children)}</{tag}>")


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
        return escape(str(child))
    return join(*(child or ()))
