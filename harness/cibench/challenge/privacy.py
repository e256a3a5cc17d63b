"""Is a bundle fit to give away? What leaves against the seed data, by an attack and by a look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cibench.challenge.bundle import Bundle
from cibench.challenge.disclosure import Limits, leaks
from cibench.challenge.documents import DISCLOSURE
from cibench.challenge.membership_attack import SHADOWS, Attack, attack, ordered
from cibench.twins.columns import Column
from cibench.twins.fit.seed_data import Seed, readings_of, seed_of
from cibench.twins.fit.user_columns import UserColumns
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput
from cibench.utils.foreign import read_table

if TYPE_CHECKING:
    import pandas as pd

HARMLESS = 0.55
"""Members may be told from others with no better chance than this, upper limit included."""


@dataclass(frozen=True, eq=False)
class Privacy:
    """Hold what the attack on the twin found, and the one on the control."""

    attack: Attack
    control: Attack

    @property
    def verdict(self) -> str:
        """Say "fit", "not fit" or "undecided"."""
        if self.attack.auc.low > HARMLESS:
            return "not fit"
        detected = self.control.auc.low > HARMLESS
        return "fit" if detected and self.attack.auc.high <= HARMLESS else "undecided"

    @property
    def lines(self) -> Iterator[str]:
        """Yield the verdict in words, then what it rests on."""
        words = {
            "fit": f"fit to give away: {DISCLOSURE}",
            "not fit": "NOT fit to give away: the fitted law knows too much of each unit",
            "undecided": "undecided whether it is fit to give away: the attack says too little",
        }
        yield words[self.verdict]
        for name, outcome in (("attack", self.attack), ("planted leak", self.control)):
            a = outcome.auc
            yield (
                f"{name}, generator {outcome.generator}: tells members from others with a chance "
                f"of {a.value:.3f} ({a.low:.3f} to {a.high:.3f}), where a coin has 0.5; finds "
                f"{100 * outcome.hits.value:.1f} % of members where it suspects 1 % of others"
            )
        c = self.attack.closer
        yield (
            f"{100 * c.value:.1f} % ({100 * c.low:.1f} to {100 * c.high:.1f}) of drawn rows lie "
            "closer to rows that were trained on than to as many that were held out, where chance "
            "has 50 %"
        )


def read_own(twin: Twin, path: Path) -> tuple[Seed, pd.DataFrame]:
    """Read the seed data that a twin was fitted to; raises BadInput where they are others."""
    import pandas as pd

    user = UserColumns.of(twin.known, twin.seed.get("gaps", {}))
    texts = read_table(path, as_texts=True)
    names = set(map(str, texts.columns))
    user = replace(user, kinds={n: k for n, k in user.kinds.items() if n in names})
    readings = readings_of(texts, user, str(path), twin.design.design_columns)
    frame = pd.DataFrame({name: reading.restored() for name, reading in readings.items()})
    seed = seed_of(texts, twin.design, str(path), user)
    if seed.rows != int(twin.seed["rows"]):
        raise BadInput(
            f"{path}: {seed.rows} rows, but the twin was fitted to {twin.seed['rows']} of "
            f"{twin.seed['where']}"
        )
    for mine, theirs in zip(seed.known, twin.known, strict=False):
        if not _same(mine, theirs):
            raise BadInput(
                f"{path}: column '{mine.name}' is not the one that the twin was fitted to"
            )
    return replace(seed, derived=twin.derived), frame


def _same(mine: Column, theirs: Column) -> bool:
    """Say whether two columns are alike, as far as files of format 1 describe them."""
    ends = np.allclose((mine.low, mine.high), (theirs.low, theirs.high), rtol=1e-12, atol=0)
    alike = ("name", "kind", "levels", "indicator", "distinct")
    return bool(ends) and all(getattr(mine, n) == getattr(theirs, n) for n in alike)


def examine(
    twin: Twin, bundle: Bundle, data: tuple[Seed, pd.DataFrame], limits: Limits,
    say: Callable[[str], object] = lambda _: None, shadows: int = SHADOWS,
) -> Privacy:  # fmt: skip
    """Look for leaks in a bundle and attack the twin that it was drawn from.

    Raises BadInput where the bundle holds what must not leave.
    """
    seed, frame = data
    complaints = leaks(bundle.files, frame, seed, limits)
    if complaints:
        raise BadInput(f"nothing is given away: {complaints[0]}")
    own = ordered(seed)
    return Privacy(*attack(twin, own, limits, shadows, say))
