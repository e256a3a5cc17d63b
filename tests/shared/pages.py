"""Pages of the documentation, whose blocks are run as whoever reads them would run them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from commands import Ended, python

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(python|toml|r|sh)\n(.*?)```", re.S)


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the blocks of a page of `docs`, each with its kind: python, toml, r or sh."""
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def named(text: str) -> str:
    """Return the file that a block is: its first line is a comment of that name, else ""."""
    name = re.fullmatch(r"# ([\w.-]+\.\w+)", text.partition("\n")[0])
    return name[1] if name else ""


def run_page(
    page: str, folder: Path, command: Callable[..., Ended],
    before: Callable[[str], object] = lambda line: None,
) -> dict[str, Ended]:  # fmt: skip
    """Write each file of a page into a folder, and give each command there, in the page's order.

    A block of Python that names no file is executed. `command` takes the words behind `cibench`, or
    behind `python`, of which the first is -m; `before` is told each line first. Returns what each
    line ended with, all of them well.
    """
    ended: dict[str, Ended] = {}
    for kind, text in blocks(page):
        if kind == "sh":
            for line in text.splitlines():
                before(line)
                ended[line] = command(*_words(line))
                assert ended[line].code == 0, f"{page}: {line}\n{ended[line].out}{ended[line].err}"
        elif name := named(text):
            (folder / name).write_text(text, encoding="utf-8")
        else:
            assert kind == "python", f"{page}: a block of {kind} names no file: {text[:60]}"
            exec(compile(text, page, "exec"), {})
    return ended


def own_processes(folder: Path) -> Callable[..., Ended]:
    """Return the `command` of a page whose lines are given in a folder, each in its own process."""

    def command(*words: str) -> Ended:
        done = python(*([] if words[0] == "-m" else ["-m", "cibench"]), *words, folder=folder)
        return Ended(done.returncode, done.stdout, done.stderr)

    return command


def _words(line: str) -> list[str]:
    program, *words = shlex.split(line, comments=True)
    assert program == "cibench" or [program, *words][:2] == ["python", "-m"], line
    return words
