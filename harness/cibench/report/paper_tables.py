"""The score table for a paper: Markdown and LaTeX, each with its errors and a citation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cibench.metrics.registry import listed
from cibench.render.numbers import percent
from cibench.report.views import MEDIAN, Score, View, median_notes, written
from cibench.utils.files import make_folder, write_text

ORDER = ("bias", "empirical_se", "rmse", "se_ratio", "coverage", "ci_length")
"""The columns that the tables begin with."""


def write_tables(folder: Path, views: Sequence[View], manifest: Mapping[str, Any]) -> None:
    """Write `scores.md` and `scores.tex`, a table for each view, into a folder."""
    make_folder(folder)
    for ending, table in (("md", markdown), ("tex", latex)):
        write_text(folder / f"scores.{ending}", table(views, manifest))


def markdown(views: Sequence[View], manifest: Mapping[str, Any]) -> str:
    """Return the tables as Markdown, the citation below."""
    parts, head = [], _head()
    for view in views:
        ruled = ["---"] * 2 + ["---:"] * (len(head) - 2)
        rows = (head, ruled, *_lines(view))
        parts += [f"### {_title(view)}", "", *(_piped(row) for row in rows), ""]
    every = [score for view in views for score in view.scores.values()]
    notes = [line for note in (NOTE, *median_notes(every, "paper")) for line in (note, "")]
    return "\n".join([*parts, *notes, citation(manifest), ""])


def latex(views: Sequence[View], manifest: Mapping[str, Any]) -> str:
    """Return the tables as LaTeX (package booktabs), the citation in the captions."""
    parts, head = ["% \\usepackage{booktabs}"], _head()
    for view in views:
        body = [_row(line) for line in _lines(view)]
        notes = " ".join((NOTE, *median_notes(view.scores.values(), "paper")))
        caption = _tex(f"{_title(view)}. {notes} {citation(manifest)}")
        parts += [
            "\\begin{table}", "\\centering", f"\\caption{{{caption}}}",
            f"\\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}", "\\toprule", _row(head),
            "\\midrule", *body, "\\bottomrule", "\\end{tabular}", "\\end{table}", "",
        ]  # fmt: skip
    return "\n".join(parts)


NOTE = (
    "Monte Carlo standard errors in brackets, beside coverage its 95 % Wilson limits; "
    "failed fits are counted, not redrawn."
)


def citation(manifest: Mapping[str, Any]) -> str:
    """Name what made the numbers, so that a reader can make them again."""
    version = (manifest.get("versions") or {}).get("cibench", "")
    parts = [
        f"cibench {version}".strip(),
        *(f"{key} {manifest[key]}" for key in ("suite", "seed", "protocol") if key in manifest),
        str(manifest.get("created") or "")[:10],
    ]
    return f"Made by {', '.join(part for part in parts if part)}."


def _title(view: View) -> str:
    return f"{view.scenario}, {view.title}: {view.estimand}, nominal level {percent(view.level)} %"


def _lines(view: View) -> Iterator[list[str]]:
    for setting in view.settings:
        for method in view.methods:
            score = view.scores.get((method, setting.label))
            if score is not None:
                yield [method, setting.label, *_numbers(score)]


def _head() -> list[str]:
    return ["method", "setting", *(m.heading for m in listed("paper", ORDER)), "failures"]


def _numbers(score: Score) -> list[str]:
    lost = f"{int(score['failures'])} of {int(score['replicates'])}"
    return [*(written(score, metric) for metric in listed("paper", ORDER)), lost]


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(_tex(cell) for cell in cells)} \\\\"


def _tex(text: str) -> str:
    """Escape what LaTeX would read as markup; minus signs and dashes become its own."""
    for mark in "&%$#_{}":
        text = text.replace(mark, f"\\{mark}")
    signs = {"−": "$-$", "–": "--", "∞": "$\\infty$", MEDIAN: "$^\\dagger$"}
    for sign, command in signs.items():
        text = text.replace(sign, command)
    return text
