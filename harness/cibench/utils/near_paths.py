"""Which file or folder is meant where the path that somebody wrote leads to none."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from cibench.utils.errors import closest

MOST = 2_000
"""Names of a folder that are looked at: one of very many files need not be guessed."""


def names_beside(path: Path) -> list[str]:
    """Return the names in the folder of a path, hidden ones apart; none where it is not read."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, MOST)]
    except (OSError, ValueError):  # a zero byte in a name is a ValueError
        return []
    return sorted(name for name in names if not name.startswith("."))


def near_path(path: Path) -> str:
    """Return "; did you mean 'x'?" for a path that is not there, "" where none is close.

    The first of its parts that is not there is compared with what lies beside it, by what stands
    before the ending first: that two files are tables makes them no near miss.

    >>> from pathlib import Path
    >>> from cibench.utils.near_paths import near_path
    >>> near_path(Path("no such folder at all/suite.toml"))
    ''
    """
    for place in (*reversed(path.parents), path):
        if not _is_there(place):
            return _near(place, path)
    return ""


def _is_there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _near(place: Path, path: Path) -> str:
    """Return the hint for the part of a path that is not there."""
    names = names_beside(place)
    stems = {Path(n).stem: n for n in reversed(names) if Path(n).suffix == place.suffix}
    others = [name for name in names if name not in stems.values()]
    meant = stems.get(closest(place.stem, stems)) or closest(place.name, others)
    if not meant:
        return ""
    if place == path and path.is_absolute():
        return f"; did you mean '{meant}'?"  # its folder has just been named
    whole = place.with_name(meant) / path.relative_to(place)
    return f"; did you mean '{whole if _is_there(whole) else place.with_name(meant)}'?"
