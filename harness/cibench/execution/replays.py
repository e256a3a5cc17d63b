"""Make one stored fit again from its address, and see whether it gives the stored row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.execution.blocks import Cutter
from cibench.execution.settings import TUNING
from cibench.model import registry
from cibench.model.design import Parameter, dials, find_scenario, values_of
from cibench.model.method import find_estimator
from cibench.render import shell
from cibench.render.replay_command import KEYS, arguments
from cibench.storage import cells, handed_in
from cibench.storage.changes import changes
from cibench.storage.inventory import Inventory
from cibench.storage.made_elsewhere import refuse
from cibench.storage.manifest import read_catalogue, read_manifest, read_suite
from cibench.storage.provenance import modules
from cibench.storage.reader import as_frame
from cibench.storage.schema import MAY_DIFFER, TYPES
from cibench.storage.undrawn import Undrawn
from cibench.suite.parse import parse_suite
from cibench.suite.suite import Cell, Suite
from cibench.utils.errors import BadInput, unknown
from cibench.utils.missing import missing
from cibench.utils.toml import several
from cibench.workers.block import Block, Result
from cibench.workers.supervisor import Child, Limits

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FitAddress:
    """Say which stored fit is meant: dials not named are at their default, the rest is unique.

    See `replay`.
    """

    scenario: str
    estimator: str
    replicate: int
    n: int | None = None
    dials: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DrawAddress:
    """Say which data set is meant: dials not named are at their default, the rest is unique.

    See `replay_draw`.
    """

    scenario: str
    replicate: int
    n: int | None = None
    dials: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Replayed:
    """Hold a fit that was made again: the stored rows, the new ones, and where they differ.

    `suite` holds nothing but this fit; `changed` says what is not as it was when it was stored.
    """

    run: Path
    suite: Suite
    block: Block
    stored: pd.DataFrame
    again: pd.DataFrame
    differences: list[str]
    changed: list[str]


def read_pairs(option: str, texts: Sequence[str] | None) -> dict[str, Any]:
    """Return the values of NAME=VALUE; raises BadInput naming the option."""
    pairs = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise BadInput(f"{option}: {text!r} is not of the form NAME=VALUE")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value
    return pairs


def read_options(text: str | None) -> dict[str, Any]:
    """Return an estimator's options from JSON; raises BadInput where it is none."""
    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise BadInput(f"--options: {text!r} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise BadInput(f"--options: {text!r} is not a JSON object")
    return options


def replay(run: Path, wanted: FitAddress) -> Replayed:
    """Draw the data set and fit again, in a process of its own under the run's limits.

    Raises BadInput where the folder is no run and where no stored fit is meant, or several.

    >>> import cibench
    >>> from cibench.execution import FitAddress, replay
    >>> cell = {"scenario": "bayes/experiment", "n": 30, "estimators": "bayes/experiment"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> address = FitAddress("bayes/experiment", "bayes/experiment", replicate=7)
    >>> again = replay(run.folder, address)
    >>> again.differences, len(again.stored)
    ([], 1)
    """
    manifest, content = read_manifest(run), read_suite(run)
    refuse(manifest, run)
    if wanted.estimator in (entries := manifest.get(handed_in.KEY) or {}):
        source = entries[wanted.estimator]["source"]
        raise BadInput(f"{run}: {handed_in.cannot(wanted.estimator, source)}")
    for plugin in several(content.get("plugins", [])):
        registry.load_plugin(plugin)
    stored = _stored(run, wanted)
    suite = _suite_of(manifest, content, stored.iloc[0])
    known = Inventory(suite, keep_going=True)
    cutter = Cutter(suite, known, suite.plugins, TUNING.block_seconds)
    (block,) = (block.part(wanted.replicate, 1) for block in cutter.blocks() if block)
    again = _in_child(suite, block).table.to_pandas()
    changed = [change.text for change in changes(manifest, suite)]
    return Replayed(run, suite, block, stored, again, _differences(stored, again), changed)


def replay_draw(run: Path, wanted: DrawAddress) -> Undrawn | None:
    """Draw a data set again, in a process of its own under the run's limits, and fit nothing.

    Returns what is wrong with the draw, None where nothing is. Raises BadInput where the folder is
    no run and where no cell of it is meant, or several.

    >>> import cibench
    >>> from cibench.execution import DrawAddress, replay_draw
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> replay_draw(run.folder, DrawAddress("did/two-group", replicate=7)) is None
    True
    """
    content = read_suite(run)
    refuse(read_manifest(run), run)
    suite = parse_suite(content, where=str(run))
    meant = [cell for cell in suite.cells if _is_meant_cell(cell, wanted)]
    if len(meant) > 1:
        specs = type(meant[0].scenario).specs
        meant = [
            cell for cell in meant
            if all(value == specs[name].default or name in wanted.parameters
                   for name, value in values_of(cell.scenario, Parameter).items())
        ] or meant  # fmt: skip
    if len(meant) != 1:
        which = "several cells are meant" if meant else "no such cell is in its suite"
        names = "; ".join(map(str, (meant or suite.cells)[:6]))
        raise BadInput(f"{run}: {which}; there are: {names}")
    (cell,) = meant
    block = Block(
        cell=0, key=cell.key, entrants=(), truths=(), seed=suite.seed, level=suite.level,
        first=wanted.replicate, count=1, plugins=suite.plugins,
    )  # fmt: skip
    undrawn = _in_child(suite, block).undrawn
    return undrawn[0] if undrawn else None


def _is_meant_cell(cell: Cell, wanted: DrawAddress) -> bool:
    scenario = cell.scenario
    if scenario.name != wanted.scenario or wanted.n not in (None, cell.n):
        return False
    at_rest = {name: dial.default for name, dial in dials(type(scenario)).items()}
    settings = {**at_rest, **wanted.dials, **wanted.parameters}
    return all(getattr(scenario, name, ...) == value for name, value in settings.items())


def _in_child(suite: Suite, block: Block) -> Result:
    """Run a block in a process of its own under the suite's limits."""
    child = Child(modules(suite), Limits(suite.timeout, suite.memory))
    try:
        child.start()
        return child.run(block)
    finally:
        child.stop()


def _stored(run: Path, wanted: FitAddress) -> pd.DataFrame:
    """Return the rows of the fit that is meant."""
    import pandas as pd
    import pyarrow.compute as pc

    parts, scenarios, estimators = [], set[str](), set[str]()
    for cell in cells(run, also=TYPES):
        table = cell.table.select(list(TYPES))
        scenarios.add(table["scenario"][0].as_py())
        if table["scenario"][0].as_py() == wanted.scenario:
            estimators |= {*table["estimator"].unique().to_pylist()}
            fits = pc.and_(
                pc.equal(table["estimator"], wanted.estimator),
                pc.equal(table["replicate"], wanted.replicate),
            )
            parts.append(as_frame(table.filter(fits)))
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if wanted.scenario not in scenarios:
        line = unknown("scenario of the run", wanted.scenario, scenarios)
        raise BadInput(f"{run}: {line}")
    if wanted.estimator not in estimators:
        line = unknown("estimator of the scenario", wanted.estimator, estimators)
        raise BadInput(f"{run}: {line}")
    if rows.empty:
        raise BadInput(
            f"{run} holds no fit of {wanted.estimator} to replicate {wanted.replicate} of "
            f"{wanted.scenario}"
        )
    kinds = rows.drop_duplicates(list(KEYS)).to_dict("records")
    meant = [kind for kind in kinds if _is_meant(kind, wanted)]
    if len(meant) > 1:
        meant = [kind for kind in meant if _is_at_defaults(kind, wanted)] or meant
    if len(meant) != 1:
        which = "several fits are meant" if meant else "no such fit is stored"
        catalogue = read_catalogue(run)
        listed = "; ".join(shell.line(arguments(kind, catalogue)) for kind in (meant or kinds)[:6])
        raise BadInput(f"{run}: {which}; there are: {listed}")
    return rows[(rows[list(KEYS)] == pd.Series(meant[0])[list(KEYS)]).all(axis=1)]


def _is_meant(row: Mapping[Any, Any], wanted: FitAddress) -> bool:
    defaults = {name: spec.default for name, spec in find_scenario(wanted.scenario).specs.items()}
    dials = {k: v for k, v in json.loads(row["dials"]).items() if v != defaults[k]}
    if dials != {k: v for k, v in wanted.dials.items() if v != defaults.get(k)}:
        return False
    own = {**json.loads(row["parameters"]), **json.loads(row["options"])}
    named = {**wanted.parameters, **wanted.options}
    return wanted.n in (None, row["n"]) and all(own.get(k) == v for k, v in named.items())


def _is_at_defaults(row: Mapping[Any, Any], wanted: FitAddress) -> bool:
    """Say whether parameters and options that are not named are at their defaults."""
    specs, options = find_scenario(wanted.scenario).specs, find_estimator(wanted.estimator).options
    own = {**json.loads(row["parameters"]), **json.loads(row["options"])}
    defaults = {**{name: spec.default for name, spec in specs.items()}, **options}
    named = wanted.parameters.keys() | wanted.options.keys()
    return all(value == defaults[name] for name, value in own.items() if name not in named)


def _suite_of(manifest: Mapping[str, Any], content: Mapping[str, Any], row: Any) -> Suite:
    """Return a suite of one cell with one estimator, which holds the row's fit."""
    dials, parameters, options = (json.loads(row[k]) for k in ("dials", "parameters", "options"))
    cell = {
        "scenario": row["scenario"], "n": int(row["n"]), "vary": "crossed", "dials": dials,
        "parameters": parameters, "estimators": row["estimator"],
        "options": {row["estimator"]: {k: v for k, v in options.items() if v is not None}},
    }  # fmt: skip
    kept = {k: content[k] for k in ("timeout", "memory", "plugins") if k in content}
    spec = {"name": "replay", "replicates": 1, "cells": [cell], **kept}
    return parse_suite({**spec, "seed": manifest["seed"], "level": manifest["level"]})


def _differences(stored: pd.DataFrame, again: pd.DataFrame) -> list[str]:
    """Say where rows differ: in all but what may differ, bit for bit."""
    if len(stored) != len(again):
        return [f"{len(stored)} rows are stored, {len(again)} came"]
    differences = []
    for name in stored.columns.drop(list(MAY_DIFFER)):
        for old, new in zip(stored[name], again[name], strict=True):
            if not (old == new or (missing(old) and missing(new))):
                differences.append(f"{name}: {old!r} is stored, {new!r} came")
    return differences
