"""The score table for a paper: Markdown and LaTeX, each with its errors and a citation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cibench.render.numbers import BLANK, digits, error_of, limits, number, percent
from cibench.report.views import Score, View
from cibench.utils.files import make_folder, write_text
from cibench.utils.missing import missing

MOMENTS = {"bias": "bias", "empirical_se": "empirical SE", "rmse": "RMSE", "se_ratio": "SE ratio"}
LENGTH = "ci_length"
HEAD = ("method", "setting", *MOMENTS.values(), "coverage %", "length", "failures")


def write_tables(folder: Path, views: Sequence[View], manifest: Mapping[str, Any]) -> None:
    """Write `scores.md` and `scores.tex`, a table for each view, into a folder."""
    make_folder(folder)
    for ending, table in (("md", markdown), ("tex", latex)):
        write_text(folder / f"scores.{ending}", table(views, manifest))


def markdown(views: Sequence[View], manifest: Mapping[str, Any]) -> str:
    """Return the tables as Markdown, the citation below."""
    parts = []
    for view in views:
        ruled = ["---"] * 2 + ["---:"] * (len(HEAD) - 2)
        rows = (HEAD, ruled, *_lines(view))
        parts += [f"### {_title(view)}", "", *(_piped(row) for row in rows), ""]
    return "\n".join([*parts, NOTE, "", citation(manifest), ""])


def latex(views: Sequence[View], manifest: Mapping[str, Any]) -> str:
    """Return the tables as LaTeX (package booktabs), the citation in the captions."""
    parts = ["% \\usepackage{booktabs}"]
    for view in views:
        body = [_row(line) for line in _lines(view)]
        caption = _tex(f"{_title(view)}. {NOTE} {citation(manifest)}")
        parts += [
            "\\begin{table}", "\\centering", f"\\caption{{{caption}}}",
            f"\\begin{{tabular}}{{ll{'r' * (len(HEAD) - 2)}}}", "\\toprule", _row(HEAD),
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


def _numbers(score: Score) -> list[str]:
    moments = [_beside(score, key) if score["moments"] else BLANK for key in MOMENTS]
    low, high = score["coverage_low"], score["coverage_high"]
    share = f"{percent(score['coverage'], digits(low, high))} ({limits(low, high)})"
    lost = f"{int(score['failures'])} of {int(score['replicates'])}"
    return [*moments, BLANK if missing(score["coverage"]) else share, _beside(score, LENGTH), lost]


def _beside(score: Score, key: str) -> str:
    value, error = score[key], score[f"{key}_mcse"]
    return f"{number(value, error)} {error_of(value, error)}".rstrip()


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(_tex(cell) for cell in cells)} \\\\"


def _tex(text: str) -> str:
    """Escape what LaTeX would read as markup; minus signs and dashes become its own."""
    for mark in "&%$#_{}":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("−", "$-$").replace("–", "--").replace("∞", "$\\infty$")
