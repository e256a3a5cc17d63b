"""Standard output and error that take every text, whatever characters their terminal knows."""

from __future__ import annotations

import codecs
import sys

PLAIN = {
    "–": "-", "—": "-", "−": "-", "‑": "-", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'",
    "▼": "v", "▲": "^", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "≈": "~", "×": "x", "·": "-",
    "✓": "+", "✗": "x", "•": "*", "±": "+/-", "²": "^2", "µ": "u", "\u00a0": " ", "\u202f": " ",
    "\u2009": " ", "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|",
}  # fmt: skip
"""What stands for a character that a terminal has not; a question mark for all others."""

HANDLER = "plain characters"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in lost), error.end


codecs.register_error(HANDLER, _plain)


def take_every_text() -> None:
    """Let standard output and error replace characters that they cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # which what stands in for one may lack
            stream.reconfigure(errors=HANDLER)
