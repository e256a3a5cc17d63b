"""One method in one cell, as the headline looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cibench.report.labels import DEFAULT, Setting
from cibench.report.verdicts import Verdict, judge
from cibench.report.views import Score, View


@dataclass(frozen=True, eq=False)
class Case:
    """Hold one method in one cell: where, and how it scored."""

    view: View
    setting: Setting
    score: Score

    @property
    def method(self) -> str:
        """Return the method's name."""
        return str(self.score["method"])

    @property
    def pair(self) -> tuple[str, str]:
        """Return the scenario and the method."""
        return self.view.scenario, self.method

    @property
    def at_default(self) -> bool:
        """Say whether every dial is at its default."""
        return self.setting.label == DEFAULT

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on its coverage."""
        return judge(self.score)

    @property
    def broken(self) -> bool:
        """Say whether it under-covers beyond doubt or gave no answer at all."""
        return self.verdict in (Verdict.BROKEN, Verdict.SILENT)


def cases(views: Iterable[View]) -> Iterator[Case]:
    """Yield every scored cell of every method."""
    for view in views:
        places = {s.label: s for s in view.settings}
        for (_, at), score in view.scores.items():
            yield Case(view, places[at], score)
