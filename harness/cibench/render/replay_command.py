"""The command that makes a stored fit again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cibench.render.shell import line, place

KEYS = ("n", "dials", "parameters", "options")
"""What a fit's command names besides scenario, estimator and replicate."""


def command(run: Path | str, row: Mapping[Any, Any], catalogue: Mapping[str, Any]) -> str:
    """Return the command that replays the fit of a row, of an imported one why there is none."""
    about = catalogue.get("estimators", {}).get(row["estimator"], {})
    if source := about.get("imported"):
        return f"imported from {source}, replicate {row['replicate']}: cannot be made again"
    words = ["cibench", "replay", place(run), "--scenario", row["scenario"]]
    words += ["--replicate", str(row["replicate"]), "--estimator", row["estimator"]]
    return line([*words, *arguments(row, catalogue)])


def draw_command(run: Path | str, row: Mapping[Any, Any], catalogue: Mapping[str, Any]) -> str:
    """Return the command that draws a data set again, without a fit."""
    words = ["cibench", "replay", place(run), "--scenario", row["scenario"]]
    words += ["--replicate", str(row["replicate"])]
    return line([*words, *_of_the_draw(row, catalogue)])


def arguments(row: Mapping[Any, Any], catalogue: Mapping[str, Any]) -> list[str]:
    """Return the arguments that name size, setting, parameters and options off their default."""
    own = catalogue.get("estimators", {}).get(row["estimator"], {}).get("options", {})
    options = {k: v for k, v in json.loads(row["options"]).items() if v != own.get(k)}
    words = _of_the_draw(row, catalogue)
    return [*words, *(["--options", json.dumps(options)] if options else [])]


def _of_the_draw(row: Mapping[Any, Any], catalogue: Mapping[str, Any]) -> list[str]:
    words = ["--n", str(row["n"])]
    scenario = catalogue.get("scenarios", {}).get(row["scenario"], {})
    for kind in ("dials", "parameters"):
        defaults = {name: spec["default"] for name, spec in scenario.get(kind, {}).items()}
        for name, value in json.loads(row[kind]).items():
            if value != defaults.get(name):
                words += [f"--{kind.removesuffix('s')}", f"{name}={json.dumps(value)}"]
    return words
