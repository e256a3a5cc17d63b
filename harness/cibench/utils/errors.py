"""Say what is wrong with an input in one line, with the near miss."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from types import CodeType
from typing import Any

REASON_LENGTH = 300
"""Characters of what an exception, a decline or a warning says that are kept."""

READ_LENGTH = 20_000
"""Characters of it that are looked at for these."""

LONGEST_NAME = 200
"""Letters of a name beyond which nothing is close to it: comparing takes their square."""


LINE_LENGTH = 2000
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def moves_terminals(text: str) -> bool:
    """Say whether a text moves a cursor, turns the direction of writing or is half a character."""
    return _UNREADABLE.search(text) is not None


def spelt_out(text: str) -> str:
    """Return a text with all that is spelt out which would move a terminal's cursor or the like."""
    return _UNREADABLE.sub(lambda c: c[0].encode("unicode_escape").decode(), text)


def readable(line: object) -> str:
    """Return a line as a terminal may print it, whoever gave what it repeats.

    What moves a cursor, turns the direction of writing or is half a character is spelt out, and a
    line that is too long loses its middle.
    """
    text = spelt_out(re.sub(r"\s*\n\s*", " ", str(line)))
    half = LINE_LENGTH // 2 - 10
    return text if len(text) <= LINE_LENGTH else f"{text[:half]} ... {text[-half:]}"


class BadInput(Exception):  # noqa: N818 - what the user gave, not what went wrong in here
    """Carry one clear line about something the user gave, or one for each mistake in a file.

    `args` are the lines; the command line prints each and exits with 2. Raised by everything that
    reads what a user gives: files, names, numbers out of range.

    >>> from cibench import BadInput, find_scenario
    >>> try:
    ...     find_scenario("rd/cct-11")
    ... except BadInput as error:
    ...     print(error)
    no scenario named 'rd/cct-11'; did you mean 'rd/cct-1'?
    """

    def __init__(self, *lines: object) -> None:
        super().__init__(*map(readable, lines))

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class RunInterrupted(KeyboardInterrupt):
    """Say that Ctrl-C ended a run, and how many of its rows are stored; both 0 before it began."""

    def __init__(self, stored: int, expected: int) -> None:
        super().__init__(f"{stored:,} of {expected:,} rows are stored" if expected else "")


class UndrawnData(BadInput):
    """Say which scenarios could not draw data sets of a run that went on with the others.

    Also which had other data sets at its end than at its beginning.

    `run` is the run as far as it came, with all rows that there are; no estimator is charged.
    """

    run: Any = None


class Unwritable(BadInput):
    """Carry the line that says which file could not be written, and why."""


class Unfinished(Unwritable):
    """Say why not all could be written, what is kept and which command goes on from there."""

    def __init__(self, reason: str, kept: str, command: str) -> None:
        super().__init__(f"{reason}; {kept}; to go on from there: {command}")
        self.reason, self.kept = reason, kept


class Interrupted(Exception):  # noqa: N818 - the user's wish, not an error
    """Carry the line with which the command line ends an interrupted run."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is closest, "" where none is close.

    An id of the form family/name is also compared by its last part, since people mistype there.
    """
    if len(name) > LONGEST_NAME:
        return ""
    known = list(known)
    alike = [k for k in known if k.casefold().strip() == name.casefold().strip()]
    if alike and name not in alike:
        return alike[0]
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        tails = {k.rsplit("/", 1)[-1]: k for k in known}
        close = [tails[t] for t in get_close_matches(name.rsplit("/", 1)[-1], tails, n=1)]
    return close[0] if close else ""


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known name, "" where none is close."""
    meant = closest(name, known)
    return f"; did you mean '{meant}'?" if meant else ""


MOST_LISTED = 60
"""Names that are listed where all are to be."""


def unknown(what: str, name: str, known: Iterable[str], *, listed: bool = False) -> str:
    """Return the line for a name that does not exist: `no estimator named 'tsl'; did you ...`.

    What there is follows where nothing is close and few are known; where it is to be `listed`, in
    any case and in its own order.
    """
    more = "..." if len(name) > LONGEST_NAME else ""
    article = f"no {what} named '{name[:LONGEST_NAME]}{more}'"
    known = list(known) if listed else sorted(known)
    hint = near_miss(name, known)
    if listed and known:
        rest = f" and {len(known) - MOST_LISTED:,} more" if len(known) > MOST_LISTED else ""
        names = f"{', '.join(known[:MOST_LISTED])}{rest}"
        return f"{article}{hint} There are: {names}" if hint else f"{article}; there are: {names}"
    if hint or not known or len(known) > 12:
        return article + hint
    return f"{article}; there are: {', '.join(known)}"


def one_line(error: BaseException) -> str:
    """Return an exception's type and message as one line of readable length."""
    detail, name = " ".join(words(error).split()), type(error).__name__
    return (f"{name}: {detail}" if detail else name)[:REASON_LENGTH]


def one_line_at(error: BaseException, home: str) -> str:
    """Return an exception as one line that ends in the place in somebody's own code: (file:line).

    `home` is the file of that code; the place is the innermost one in its folder.
    """
    place, folder, step = "", os.path.dirname(home), error.__traceback__  # noqa: PTH120 - a name
    while home and step is not None:
        file = step.tb_frame.f_code.co_filename
        if os.path.dirname(file) == folder:  # noqa: PTH120
            place = f" ({os.path.basename(file)}:{step.tb_lineno})"  # noqa: PTH119
        step = step.tb_next
    return one_line(error) + place


def one_line_of(error: BaseException, function: object) -> str:
    """Return an exception as one line with its place in a function's code, or else the function's.

    What is wrong with an answer shows after its function is done, in nobody's code but ours.
    """
    text, line, code = one_line_at(error, file_of(function)), one_line(error), _code_of(function)
    if code is None or text != line:
        return text
    return f"{line} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"  # noqa: PTH119


def file_of(function: object) -> str:
    """Return the file in which a function's code stands, "" where it has none of its own."""
    code = _code_of(function)
    return code.co_filename if code else ""


def _code_of(function: object) -> CodeType | None:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code: CodeType | None = getattr(function, "__code__", None)
    return code


def words(cause: object) -> str:
    """Return what an exception or a warning says as text that a file can hold, come what may.

    Of a longer text it is the beginning, `READ_LENGTH` characters; what would move a terminal's
    cursor is spelt out.
    """
    try:
        text = str(cause)[:READ_LENGTH].encode("utf-8", "replace").decode()
        return spelt_out(re.sub(r"[^\S\n\t]", " ", text))
    except BaseException as error:  # its own code, which may do anything
        if isinstance(error, KeyboardInterrupt):
            raise
        return "cannot be put into words"
