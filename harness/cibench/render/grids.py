"""A table of texts as papers take it: Markdown, LaTeX, typst or HTML, whatever its texts hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from cibench.render.html import PLAIN, Html, document, h

SIGNS = {
    "−": "$-$", "–": "--", "—": "---", "∞": "$\\infty$", "†": "$^\\dagger$", "×": "$\\times$",
    "≥": "$\\geq$", "≤": "$\\leq$", "½": "$\\tfrac12$", "’": "'", "“": "``", "”": "''",
    "→": "$\\to$", "·": "$\\cdot$", "…": "\\ldots{}", "\xa0": "~",
}  # fmt: skip
ESCAPES = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"}, "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}",
    '"': "\\textquotedbl{}", "`": "\\textasciigrave{}", "[": "{[}", "]": "{]}", **SIGNS,
}  # fmt: skip
_TEX = str.maketrans(ESCAPES)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|$~#&!])")


@dataclass(frozen=True)
class Grid:
    """Hold a table of texts under headings.

    `head` has a row for each level of the headings, each as long as the rows of the `body`; equal
    neighbours of all but the lowest are one heading. The first `stubs` columns name a row, the
    `notes` stand below.
    """

    title: str
    head: Sequence[Sequence[str]]
    body: Sequence[Sequence[str]]
    stubs: int
    notes: Sequence[str] = ()

    @property
    def single(self) -> list[str]:
        """Return the headings in one row, their levels with commas between."""
        return [", ".join(filter(None, texts)) for texts in zip(*self.head, strict=True)]

    def spans(self, level: int) -> Iterator[tuple[str, int]]:
        """Yield the headings of a level with how many columns each has."""
        row = self.head[level]
        if level == len(self.head) - 1:
            yield from ((text, 1) for text in row)
            return
        above = [tuple(line[i] for line in self.head[: level + 1]) for i in range(len(row))]
        for key, part in groupby(range(len(row)), key=lambda i: above[i]):
            columns = list(part)
            if key[-1]:
                yield key[-1], len(columns)
            else:
                yield from (("", 1) for _ in columns)


def tex(text: str) -> str:
    """Escape what LaTeX would read as markup; minus signs and dashes become its own."""
    return text.translate(_TEX)


def typst_text(text: str) -> str:
    """Write a text as typst's string, in which nothing is markup."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def markdown_text(text: str) -> str:
    """Escape what Markdown, or HTML within it, would read as markup."""
    return _MARKDOWN.sub(r"\\\1", text)


def markdown(grids: Sequence[Grid], source: str) -> str:
    """Return tables as Markdown, each under its title, the source below all."""
    parts: list[str] = []
    for grid in grids:
        head = grid.single
        ruled = [*["---"] * grid.stubs, *["---:"] * (len(head) - grid.stubs)]
        lines = [_piped(head), f"| {' | '.join(ruled)} |", *map(_piped, grid.body)]
        notes = [line for note in grid.notes for line in (markdown_text(note), "")]
        parts += [f"### {markdown_text(grid.title)}", "", *lines, "", *notes]
    return "\n".join([*parts, markdown_text(source), ""])


def latex(grids: Sequence[Grid], source: str) -> str:
    """Return tables as LaTeX (package booktabs), notes and source below each.

    Other scripts than Latin take lualatex or xelatex.
    """
    parts = ["% \\usepackage[T1]{fontenc} \\usepackage{booktabs,textcomp}"]
    for grid in grids:
        columns = len(grid.head[-1])
        parts += [
            "\\begin{table}", "\\centering",
            f"\\caption[{tex(grid.title)}]{{{tex(grid.title)}}}",
            f"\\begin{{tabular}}{{{'l' * grid.stubs}{'r' * (columns - grid.stubs)}}}", "\\toprule",
            *(line for level in range(len(grid.head)) for line in _tex_head(grid, level)),
            "\\midrule", *(_tex_row(row) for row in grid.body),
            "\\bottomrule", "\\end{tabular}", "", "\\medskip",
            "\\begin{minipage}{\\linewidth}\\footnotesize",
            *(f"{tex(note)}\\par" for note in (*grid.notes, source)),
            "\\end{minipage}", "\\end{table}", "",
        ]  # fmt: skip
    return "\n".join(parts)


def typst(grids: Sequence[Grid], source: str) -> str:
    """Return tables as typst figures, notes and source below each."""
    parts = []
    for grid in grids:
        columns = len(grid.head[-1])
        align = ["left"] * grid.stubs + ["right"] * (columns - grid.stubs)
        head = [
            f"table.cell(colspan: {span}, align: center, {typst_text(text)})" if span > 1
            else typst_text(text)
            for level in range(len(grid.head)) for text, span in grid.spans(level)
        ]  # fmt: skip
        body = [f"    {', '.join(map(typst_text, row))}," for row in grid.body]
        notes = [f"#block(text(size: 0.8em, {typst_text(n)}))" for n in (*grid.notes, source)]
        parts += [
            "#figure(", f"  caption: {typst_text(grid.title)},", "  kind: table,", "  table(",
            f"    columns: {columns}, align: ({', '.join(align)},), stroke: none,",
            f"    table.hline(), table.header({', '.join(head)}), table.hline(stroke: 0.5pt),",
            *body, "    table.hline(),", "  ),", ")", *notes, "",
        ]  # fmt: skip
    return "\n".join(parts)


STYLE = (
    "table.paper{width:auto;margin:1rem 0;border-top:2px solid;border-bottom:2px solid}"
    "table.paper caption{text-align:left;font-weight:600;padding:.3rem 0}"
    "table.paper thead tr:last-child th{border-bottom:1px solid}"
    "table.paper td,table.paper th{border-bottom:0;white-space:nowrap}"
    "table.paper th.n{text-align:right}table.paper th.g{text-align:center}"
    "table.paper th[scope=row]{font-weight:400}"
)


def html(grids: Sequence[Grid], source: str) -> str:
    """Return tables as one page that opens by double click; each `<table>` can be taken out."""
    tables = [[_html_table(grid), [h("p", note) for note in grid.notes]] for grid in grids]
    title = grids[0].title if grids else "table"
    return document(
        title, h("style", Html(STYLE)), tables, h("p", source), style=PLAIN, scripts=(),
    )  # fmt: skip


def _html_table(grid: Grid) -> Html:
    head = []
    for level in range(len(grid.head)):
        cells, place = [], 0
        for text, span in grid.spans(level):
            kind = "g" if span > 1 else "n" if place >= grid.stubs else None
            cells.append(h("th", text, scope="col", cls=kind, colspan=span if span > 1 else None))
            place += span
        head.append(h("tr", cells))
    body = [
        h("tr", [h("th", text, scope="row") for text in row[: grid.stubs]],
          [h("td", text, cls="n") for text in row[grid.stubs :]])
        for row in grid.body
    ]  # fmt: skip
    return h("table", h("caption", grid.title), h("thead", head), h("tbody", body), cls="paper")


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_text, cells))} |"


def _tex_head(grid: Grid, level: int) -> Iterator[str]:
    spans = list(grid.spans(level))
    cells = [
        f"\\multicolumn{{{span}}}{{c}}{{{tex(text)}}}" if span > 1 else tex(text)
        for text, span in spans
    ]
    yield f"{' & '.join(cells)} \\\\"
    rules, place = [], 1
    for text, span in spans:
        if text and level < len(grid.head) - 1:
            rules.append(f"\\cmidrule(lr){{{place}-{place + span - 1}}}")
        place += span
    if rules:
        yield " ".join(rules)


def _tex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(tex, cells))} \\\\"


WRITERS: Mapping[str, Callable[[Sequence[Grid], str], str]] = {
    "markdown": markdown, "latex": latex, "html": html, "typst": typst,
}  # fmt: skip
"""Who writes tables in which format."""
