"""What may be wrong in a suite's `labels`, by which people call methods, dials and measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.metrics import METRICS
from cibench.model.design import Dial, dials, values_of
from cibench.model.registry import is_pattern
from cibench.render.labels import DEFAULT, KINDS, LABELS, duplicates, setting
from cibench.utils.errors import unknown
from cibench.utils.files import canonical
from cibench.utils.shapes import is_plain

if TYPE_CHECKING:
    from cibench.suite.suite import Cell
    from cibench.utils.toml import Table

LONGEST = 100
WANTED = f"a text of one line, {LONGEST} characters at most"


def check_labels(
    table: Table, cells: Sequence[Cell], *, complete: bool, others: bool = False
) -> None:
    """Note what is wrong with the labels of a suite.

    That is what is no text, a name that two things would have, and what is not in the suite; names
    are not looked up where the cells are not `complete`, nor methods where there may be `others`,
    as in a run folder, whose tables look them up.
    """
    labels = table.table(LABELS)
    labels.check_keys(KINDS)
    parts = {kind: labels.table(kind) for kind in KINDS}
    for part in parts.values():
        for name in part.content:
            part.take(name, str, ..., _is_label, WANTED)
    texts = {
        kind: {k: v for k, v in part.content.items() if isinstance(v, str)}
        for kind, part in parts.items()
    }
    for kind, name, problem in duplicates(texts):
        parts[kind].fault(name, problem)
    if complete and texts:
        _look_up(parts, cells, others=others)


def _is_label(text: str) -> bool:
    one_line = is_plain(text) and not {"\n", "\t"} & set(text)
    return bool(text.strip()) and one_line and len(text) <= LONGEST


def _look_up(parts: Mapping[str, Table], cells: Iterable[Cell], *, others: bool) -> None:
    cells = tuple(cells)
    names = {
        "methods": {e.estimator for cell in cells for e in cell.entrants},
        "scenarios": {cell.scenario.name for cell in cells},
        "dials": {dial for cell in cells for dial in dials(type(cell.scenario))},
        "settings": {DEFAULT, *_settings(cells)},
        "measures": set(METRICS),
    }
    nouns = {kind: f"{kind[:-1]} of the suite" for kind in KINDS} | {"measures": "measure"}
    if others:
        del names["methods"]
    for kind, known in names.items():
        for name in parts[kind].content:
            bare = name.partition(" (")[0] if kind == "methods" else name
            if is_pattern(bare) or bare not in known:
                line = unknown(nouns[kind], bare, sorted(known), listed=True)
                parts[kind].fault(name, line)


def _settings(cells: Iterable[Cell]) -> Iterator[str]:
    """Yield the settings of cells as tables name them."""
    for cell in cells:
        about: dict[str, Any] = {
            "dials": {k: {"default": d.default} for k, d in dials(type(cell.scenario)).items()}
        }
        moved = canonical(values_of(cell.scenario, Dial))
        yield setting(*cell.moved, moved, about).label
