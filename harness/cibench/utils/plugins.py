"""Whether plug-ins may be executed: the one switch, which every process of a command sees."""

from __future__ import annotations

import os

from cibench.utils.errors import BadInput

FORBIDDEN = "CIBENCH_NO_PLUGINS"
"""The environment variable that forbids plug-ins, whatever it holds but the empty text."""


def require_permission(plugin: str) -> None:
    """Raise BadInput where plug-ins are not to be executed; called before any of their code is."""
    if os.environ.get(FORBIDDEN):
        raise BadInput(f"plug-in '{plugin}': not executed, as --no-plugins ({FORBIDDEN}) says")
