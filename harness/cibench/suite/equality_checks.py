"""What may be wrong in a suite's `equal`, noted with its key and the near miss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from cibench.model.registry import is_pattern
from cibench.suite.equalities import KEY, KEYS, QUANTITIES, Equality, as_list, gives, pairs_of
from cibench.suite.expectations import fits
from cibench.utils.errors import unknown
from cibench.utils.toml import Table

if TYPE_CHECKING:
    from cibench.suite.suite import Cell

WANTED = "a list of estimators, or of such lists, or tables with `methods`"


class _Names(NamedTuple):
    """Hold the names of one statement, and the table, key and place where they stand."""

    table: Table
    key: str
    within: tuple[int, ...]
    names: tuple[str, ...]
    equality: Equality

    def fault(self, problem: str, *number: int) -> None:
        self.table.fault(self.key, problem, *self.within, *number)


def check_equalities(
    table: Table, cells: Sequence[Cell], catalogue: Mapping[str, Any], *, complete: bool
) -> None:
    """Note what is wrong in the `equal` of the suite, or of one [[cells]] table.

    That is what is no list of estimators, an unknown key, quantity or name, and two methods that
    meet in none of the cells, share no target there or do not give what is to be compared. Names
    are looked up where the cells are `complete`.
    """
    for stated in _statements(table):
        if complete and _known(stated, cells, at_top=not table.place):
            for first, second in pairs_of(stated.names):
                if problem := _apart(first, second, stated.equality, cells, catalogue):
                    stated.fault(problem)


def _statements(table: Table) -> Iterable[_Names]:
    """Yield the statements that are of the right form, and note the others."""
    content = table.take(KEY, (list, dict), [], bool, WANTED)
    alone = content and as_list(content) == [content]
    for number, statement in enumerate(as_list(content)):
        within = () if alone else (number,)
        if isinstance(statement, Mapping):
            place = (*table.place, KEY, *within)
            if stated := _of_table(Table(statement, table.source, place)):
                yield stated
        elif stated := _of_list(table, within, statement):
            yield stated


def _of_list(table: Table, within: tuple[int, ...], names: Any) -> _Names | None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        table.fault(KEY, f"{names!r} is not {WANTED}", *within)
        return None
    stated = _Names(table, KEY, within, tuple(names), Equality(tuple(names)))
    return stated if _enough(stated) else None


def _of_table(table: Table) -> _Names | None:
    table.check_keys(KEYS)
    names = tuple(table.strings("methods", ...))
    numbers, real = table.strings("of", []), (int, float)
    for number, name in enumerate(numbers):
        if name not in QUANTITIES:
            table.fault("of", unknown("quantity", name, QUANTITIES), number)
    within = table.take("within", real, 0.0, lambda v: v >= 0, "standard errors of 0 or more")
    table.take("why", str, "", bool, "a reason in words")
    if table.faulty():
        return None
    equality = Equality(names, None, tuple(numbers), float(within))
    stated = _Names(table, "methods", (), names, equality)
    return stated if _enough(stated) else None


def _enough(stated: _Names) -> bool:
    """Say whether there are two methods, and none of them twice."""
    names = stated.names
    for number, name in enumerate(names):
        if name in names[:number]:
            stated.fault(f"'{name}' is there twice", number)
            return False
    if len(names) < 2 and not any(map(is_pattern, names)):
        stated.fault(f"{', '.join(names) or 'nothing'} alone is equal to nobody: name two or more")
        return False
    return True


def _known(stated: _Names, cells: Sequence[Cell], *, at_top: bool) -> bool:
    """Say whether every name stands for an estimator of the cells."""
    there = sorted({e.estimator for cell in cells for e in cell.entrants})
    strange = [i for i, name in enumerate(stated.names) if not any(fits(n, [name]) for n in there)]
    what = f"estimator of {'the suite' if at_top else 'these cells'}"
    for number in strange:
        stated.fault(unknown(what, stated.names[number], there), number)
    return not strange


def _apart(
    first: str, second: str, equality: Equality, cells: Sequence[Cell], catalogue: Mapping[str, Any]
) -> str:
    """Say why two names, or globs, are compared nowhere; "" where they are."""
    about, lacking = catalogue["estimators"], ""
    for cell in cells:
        there = dict.fromkeys(e.estimator for e in cell.entrants)
        sides = ([n for n in there if fits(n, [pattern])] for pattern in (first, second))
        for a, b in product(*sides):
            if a == b:
                continue
            if not set(cell.targets_of(a)) & set(cell.targets_of(b)):
                lacking = lacking or _answers(a, b, cell)
            elif absent := _not_given(equality, about[a], about[b]):
                lacking = lacking or f"{a} and {b} do not both give {absent}"
            else:
                return ""
    return lacking or f"{first} and {second} meet in no cell"


def _answers(first: str, second: str, cell: Cell) -> str:
    """Say what two methods answer in a cell, which is not the same."""
    parts = []
    for name in (first, second):
        targets = [t for t in cell.targets_of(name) if t]
        words = [f"{t.estimand}{'' if t.horizon is None else ' per horizon'}" for t in targets]
        parts.append(f"{name} answers {', '.join(dict.fromkeys(words)) or 'no estimand'}")
    return f"{' and '.join(parts)}: there is nothing to compare"


def _not_given(equality: Equality, first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return what is to be compared and one of two methods does not give, "" where all is."""
    if not equality.of:
        return "" if equality.quantities(first, second) else "estimate"
    return ", ".join(of for of in equality.of if not gives(first, second, of))
