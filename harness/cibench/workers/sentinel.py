"""See what a fit has left of the process that it shares with others, and put it back.

What replaced functions touched meanwhile may hold them still (a library that the fit was the first
to import, a cache), so that a worker process is replaced after them. What was merely set is as it
was when it has been put back.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any, NamedTuple

from cibench.storage.schema import CHANGED
from cibench.utils.errors import REASON_LENGTH
from cibench.workers.settings import ABSENT, ENVIRONMENT, IMPORTS, PANDAS, SETTINGS, Setting
from cibench.workers.shared_names import Libraries, Pace, SharedNames, core

_NAMED = 5
"""How many replaced names a row tells."""


class Changes(NamedTuple):
    """Say what was not as it had been: replaced names, settings, and what could not be put back.

    `owners` are the modules and classes whose names were replaced.
    """

    names: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.settings)

    @property
    def lasting(self) -> bool:
        """Say whether the process may differ from what it was, though all has been put back."""
        return bool(self.names or self.left)

    def line(self, who: str = "") -> str:
        """Return what a row's warnings say of it."""
        parts = [_several("replaced", self.names), _several("changed", self.settings),
                 _several("which could not be put back:", self.left)]  # fmt: skip
        return f"{CHANGED}: {who}{'; '.join(filter(None, parts))}"[:REASON_LENGTH]


def _several(verb: str, names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{verb} {', '.join(names[:_NAMED])}{more}" if names else ""


class Sentinel:
    """Keep a process's state as it is now, and give it back.

    After each fit what is cheap to see is put back, and what is `watched`: names of modules,
    classes and settings. All else is looked at from time to time, so that it costs a twentieth of
    what the fits take; what is seen only then is `late`, since it may be an earlier fit's doing.
    """

    def __init__(self, libraries: Libraries | None = None, watched: Collection[str] = ()) -> None:
        self._libraries = libraries
        self._core, self._pace = core(), Pace()
        spaces = self._core.of(watched)
        if libraries is not None and watched:
            spaces += libraries.of(watched)
        self._watched = SharedNames(spaces)
        self._before = {setting.name: setting.keep(setting.read()) for setting in SETTINGS}
        soon = {s.name: s.is_cheap or s.name in watched for s in SETTINGS}
        self._each = [s for s in SETTINGS if soon[s.name]]
        self._others = [s for s in SETTINGS if not soon[s.name]]
        self._modules = len(sys.modules)
        self.lasting = False
        self.late: set[str] = set()

    def put_back(self) -> Changes:
        """Put back what a fit has changed, and return what that was.

        `lasting` says from then on whether the process may differ from what it was all the same.
        """
        changes = self._put_back(self._watched, self._each)
        if self._pace.due:
            self.look()
        return changes

    def put_all_back(self) -> Changes:
        """Put back whatever has changed, and return what that was."""
        return self._put_back(self._core, SETTINGS)

    def look(self, *, at_end: bool = False) -> None:
        """Put back all else that has changed and note it as `late`; libraries' at the end only."""
        with self._pace.looking():
            changes = self._put_back(self._core, self._others)
            self.late |= {*changes.owners, *changes.settings}
        libraries = self._libraries
        if at_end and libraries is not None and libraries.pace.due:
            with libraries.pace.looking():
                self.late |= {name.owner for name in libraries.put_back(imported=True)}

    def _put_back(self, names: SharedNames, settings: Collection[Setting]) -> Changes:
        imported, self._modules = len(sys.modules) != self._modules, len(sys.modules)
        replaced = names.put_back(imported=imported)
        changed, left = list[str](), [str(name) for name in replaced if not name.is_back]
        for setting in settings:
            now, before = setting.read(), self._before[setting.name]
            if now == before:
                continue
            by_import = imported and _is_by_import(setting, before, now)
            if before is ABSENT or (by_import and setting.name == IMPORTS):
                self._before[setting.name] = setting.keep(now)
                continue
            if not by_import:
                changed.append(setting.name)
            if not _put(setting, before):
                left.append(setting.name)
                self._before[setting.name] = setting.keep(setting.read())
        owners = tuple(name.owner for name in replaced)
        changes = Changes(tuple(map(str, replaced)), tuple(changed), tuple(left), owners)
        self.lasting = self.lasting or changes.lasting
        return changes


def _put(setting: Setting, before: Any) -> bool:
    try:
        setting.put(before)
        return bool(setting.read() == before)
    except Exception:  # not in this thread, not with these rights
        return False


def _is_by_import(setting: Setting, before: Any, now: Any) -> bool:
    """Say whether it is what libraries do when they are imported: add to what there is."""
    if setting.name == ENVIRONMENT:
        here = now[1]
        return bool(now[0]) and all(_holds(here.get(name), old) for name, old in before[1].items())
    if setting.name == IMPORTS:
        return all(new[: len(old)] == old for old, new in zip(before, now, strict=True))
    return setting.name == PANDAS


def _holds(now: Any, before: Any) -> bool:
    """Say whether a variable has what it had, or more words at an end of it, as polars adds."""
    return now is not None and (now.startswith(before) or now.endswith(before))
