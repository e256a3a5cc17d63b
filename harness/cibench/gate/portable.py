"""What of a run another machine can use: its suite with relative paths, the words that matter."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.files import toml

if TYPE_CHECKING:
    from cibench.run_folder import Run


def portable_suite(run: Run) -> str:
    """Return the run's suite file with plug-ins relative to the working directory, no figures."""
    spec = tomllib.loads((run.folder / "suite.toml").read_text(encoding="utf-8"))
    spec.pop("published", None)
    here = Path.cwd()
    if plugins := spec.get("plugins"):
        listed = [plugins] if isinstance(plugins, str) else plugins
        spec["plugins"] = [_relative(plugin, here) for plugin in listed]
    return toml(spec)


def _relative(plugin: str, here: Path) -> str:
    path = Path(plugin)
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else plugin


def spoken(catalogue: dict[str, Any]) -> dict[str, Any]:
    """Return what a comparison needs of a catalogue: dials' defaults, and who has no moments."""
    scenarios = {
        name: {
            "moments": said.get("moments", True),
            "dials": {d: {"default": s.get("default", 0)} for d, s in said["dials"].items()},
        }
        for name, said in (catalogue.get("scenarios") or {}).items()
    }
    estimators = {
        name: {"moments": said.get("moments", True), "uses": said.get("uses", [])}
        for name, said in (catalogue.get("estimators") or {}).items()
    }
    return {"scenarios": scenarios, "estimators": estimators}
