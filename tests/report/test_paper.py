"""Tables and figures for papers: numbers of scores.csv, whatever names they stand under."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import struct
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import call  # noqa: F401 - a fixture

import cibench
from cibench import BadInput
from cibench.render import grids
from cibench.render.figures import inches
from cibench.render.numbers import error_of, number
from cibench.report.views import MEDIAN
from cibench.suite import parse_suite

HOSTILE = 'A&B_50% #1 <b>$x$ {y} ~^ \\ | `z` [0] ‘β’ − "q" //'
METHODS = ["regression/by-arm", "aipw/linear", "naive/difference-in-means"]
SPEC: dict[str, Any] = {
    "name": "paper", "seed": 3, "replicates": 40,
    "cells": [{
        "scenario": "observables/heterogeneous", "n": [100, 200], "estimators": METHODS,
        "dials": {"confounding": [0.5]},
    }],
    "labels": {
        "methods": {METHODS[0]: HOSTILE, METHODS[1]: "AIPW"},
        "scenarios": {"observables/heterogeneous": "Main & design"},
        "dials": {"confounding": "Confounding $c$"},
        "settings": {"confounding = 0.5": "half_way", "default": "as assumed"},
        "measures": {"bias": "Bias_1", "coverage": "Covers"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> cibench.Run:
    made = cibench.run(parse_suite(SPEC), out=tmp_path_factory.mktemp("paper") / "run")
    made.write_scores()
    made.write_report()
    return made


def stored(run: cibench.Run) -> pd.DataFrame:
    return exactly(run.folder / "scores.csv")


def exactly(path: Path) -> pd.DataFrame:
    """Read a CSV file with every number to its last bit, whatever pandas reads them with."""
    with path.open(newline="", encoding="utf-8") as file:
        table = pd.DataFrame(csv.DictReader(file))
    return table.map(as_number)


def as_number(text: str) -> Any:
    try:
        return np.nan if text in ("", "NA") else float(text)
    except ValueError:
        return text


def test_numbers_are_those_of_scores_csv_each_with_its_error(run: cibench.Run) -> None:
    table = run.table("method", "n", ["rmse", "coverage"], {"setting": "default"})
    scores = stored(run)
    scores = scores[scores["dial"].isna()].set_index(["estimator", "n"])
    names = {HOSTILE: METHODS[0], "AIPW": METHODS[1], METHODS[2]: METHODS[2]}
    assert list(table.index) == list(names)
    columns = ["rmse", "rmse_mcse", "coverage", "coverage_mcse", "coverage_low", "coverage_high"]
    for label, name in names.items():
        for n in (100, 200):
            expected = scores.loc[(name, n), columns].to_numpy(dtype=float).copy()
            if name == METHODS[1]:  # no finite moments: no average is shown
                expected[:2] = np.nan
            np.testing.assert_array_equal(table.loc[label, n].to_numpy(), expected)
    assert any("AIPW (no finite moments" in note for note in table.attrs["notes"])


def test_texts_have_medians_marked_and_footnotes_once(run: cibench.Run) -> None:
    text = run.table_text("markdown", "method", "setting", "bias", {"n": 200})
    scores = stored(run).set_index(["estimator", "n", "dial"])
    (line,) = (line for line in text.splitlines() if line.startswith("| AIPW"))
    score = scores.loc[(METHODS[1], 200, "confounding")]
    value, error = score["median_bias"], score["median_bias_mcse"]
    assert f"{number(value, error)}{MEDIAN} {error_of(value, error)}" in line
    assert "as assumed, Bias\\_1 | half\\_way, Bias\\_1" in text
    assert text.count("Averages over these replicates cannot be relied on: AIPW") == 1
    assert "Replicates in each cell: 40." in text and text.count("Monte Carlo standard errors") == 1
    assert run.table_text("latex", measures="coverage").count(MEDIAN) == 0


def test_failures_and_blanks_are_said(tmp_path: Path) -> None:
    spec = {
        "name": "few", "seed": 1, "replicates": 1,
        "cells": [{"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}],
    }  # fmt: skip
    made = cibench.run(parse_suite(spec), out=tmp_path / "run")
    notes = " ".join(made.table(measures=["bias", "empirical_se"]).attrs["notes"])
    assert "Replicates in each cell: 1." in notes
    assert "did/collapsed: bias" in notes and "empirical SE" in notes


class Cells(HTMLParser):
    """Read the texts of a page's cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.tags.append(tag)
        self._open = tag in ("th", "td")
        if self._open:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[-1] += data


def plain(tex: str) -> str:
    """Return what LaTeX prints of an escaped text: every command is one that `grids` knows."""
    back = {command: sign for sign, command in grids.ESCAPES.items() if sign != "”"}
    longest = sorted(back, key=len, reverse=True)
    text = ""
    while tex:
        command = next((c for c in longest if tex.startswith(c)), tex[0])
        assert command in back or command not in grids.ESCAPES, tex
        text += back.get(command, command)
        tex = tex[len(command) :]
    return text


def test_hostile_names_are_texts_in_every_format(run: cibench.Run, tmp_path: Path) -> None:
    texts = {
        form: run.table_text(form, "method", "n", "rmse", {"setting": "default"})
        for form in grids.WRITERS
    }
    page = Cells(texts["html"])
    assert HOSTILE in page.texts and "b" not in page.tags
    (row,) = {line for line in texts["latex"].splitlines() if line.startswith("A\\&B")}
    first, *numbers = re.split(" & ", row.removesuffix(" \\\\"))
    assert plain(first) == HOSTILE and len(numbers) == 2
    (row,) = {line for line in texts["markdown"].splitlines() if line.startswith("| A\\&")}
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert re.sub(r"\\(.)", r"\1", row).startswith(f"| {HOSTILE} | ")
    literal = re.search(r'^    ("(?:[^"\\]|\\.)*")', texts["typst"], flags=re.M)
    assert literal and literal[1][1:-1].replace('\\"', '"').replace("\\\\", "\\") == HOSTILE


def test_typst_compiles_it(run: cibench.Run) -> None:
    typst = pytest.importorskip("typst", reason="needs the package typst")
    pdf = typst.compile(run.table_text("typst").encode())
    assert pdf.startswith(b"%PDF")


def test_csv_is_exact_and_says_what_stands_where(run: cibench.Run) -> None:
    text = run.table_text("csv", "method", "n", "coverage", {"setting": "half*"})
    head, *rows = csv.reader(io.StringIO(text))
    assert head[:3] == ["method", "coverage (n = 100)", "coverage_mcse (n = 100)"]
    scores = stored(run)
    own = scores[(scores["n"] == 100) & (scores["setting"] == 0.5)].set_index("estimator")
    assert [float(row[2]) for row in rows] == own["coverage_mcse"].tolist()


def test_what_is_left_open_makes_tables_of_its_own(run: cibench.Run) -> None:
    text = run.table_text("markdown", "method", measures="coverage")
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    assert len(titles) == 4
    assert titles[0] == "### Main \\& design, n = 100, as assumed: ATE, nominal level 95 %"
    dial = run.table("confounding", "n", "coverage", {"method": METHODS[2]})
    assert dial.index.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("metod",), "rows: no field named 'metod'; did you mean 'method'?"),
        (("method", "method"), "rows and columns: 'method' is in both"),
        (("method", "n", "biass"), "measures: no measure named 'biass'; did you mean 'bias'?"),
        (("method", "n", "bias", {"n": 300}), "where: no n named '300'"),
        (("method", "n", "bias", {"mthod": "x"}), "where: no field named 'mthod'"),
        (("method", "n", "bias", {"method": "aipv/*"}), "where: no method named 'aipv/*'"),
    ],
)
def test_bad_input_is_a_line(run: cibench.Run, words: Any, line: str) -> None:
    with pytest.raises(BadInput, match=re.escape(line)):
        run.table(*words)


def test_the_report_has_the_labels_and_commands_the_names(run: cibench.Run) -> None:
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Main &amp; design" in page and "half_way" in page and "Bias_1" in page
    assert "Confounding $c$" in page and "<b>$x$" not in page
    paper = (run.folder / "tables" / "scores.tex").read_text(encoding="utf-8")
    assert "Main \\& design" in paper and METHODS[0] not in paper


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ({"method": {}}, "no key named 'method'; did you mean 'methods'?"),
        ({"methods": {"aipw/liner": "x"}}, "no method of the suite named 'aipw/liner'"),
        ({"methods": {METHODS[0]: "x", METHODS[1]: "x"}}, "are both called 'x'"),
        ({"methods": {METHODS[0]: ""}}, "is not a text of one line"),
        ({"methods": {METHODS[0]: "a\nb"}}, "is not a text of one line"),
        (
            {"settings": {"confounding = 0.7": "x"}},
            "no setting of the suite named 'confounding = 0.7'",
        ),
        ({"settings": {"confounding = 0.5": "default"}}, "reads as another setting"),
        ({"measures": {"biass": "x"}}, "no measure named 'biass'; did you mean 'bias'?"),
        ({"dials": {"confound": "x"}}, "no dial of the suite named 'confound'"),
    ],
)
def test_labels_of_nothing_are_refused(labels: Any, line: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_suite({**SPEC, "labels": labels})
    assert line in str(refused.value) and "labels" in str(refused.value)


@pytest.mark.parametrize("kind", ["dose-response", "forest", "distribution", "zip"])
def test_figures_have_the_width_and_no_colour(run: cibench.Run, tmp_path: Path, kind: str) -> None:
    import matplotlib as mpl

    figure = run.figure(kind, where={"n": 200}, width="12cm", grey=True)
    assert figure.get_size_inches()[0] == pytest.approx(12 / 2.54)
    (png,) = run.write_figures(
        tmp_path, kind, where={"n": 200}, width="12cm", form="png", grey=True
    )
    from matplotlib.image import imread

    pixels = imread(png)
    assert pixels.shape[1] == pytest.approx(12 / 2.54 * 300, abs=1)
    assert float(np.ptp(pixels[..., :3], axis=2).max()) < 0.02 and pixels[..., 0].min() < 0.3
    assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]


def test_a_vector_figure_is_the_same_each_time(run: cibench.Run, tmp_path: Path) -> None:
    first, second = (
        run.write_figures(tmp_path / name, "forest", where={"n": 100})[0] for name in ("a", "b")
    )
    assert first.read_bytes() == second.read_bytes() and first.read_bytes().startswith(b"%PDF")
    assert b"/FontType 3" not in first.read_bytes()


def test_several_figures_where_one_is_meant_are_named(run: cibench.Run) -> None:
    with pytest.raises(BadInput, match="2 are meant; choose one: Main & design, n = 100"):
        run.figure("forest")
    with pytest.raises(BadInput, match="no kind of figure named 'forrest'; did you mean 'forest'"):
        run.figure("forrest")
    with pytest.raises(BadInput, match="no dial that was moved named 'x'"):
        run.figure("dose-response", dial="x")


@pytest.mark.parametrize("width", ["12", "1cm", "61cm", "12 miles", "-3cm", "nancm"])
def test_a_width_that_is_none_is_refused(width: str) -> None:
    with pytest.raises(BadInput, match="width"):
        inches(width)
    assert inches("12cm") == pytest.approx(inches("120 mm")) == pytest.approx(inches("340.15748pt"))


def test_commands(call: Any, run: cibench.Run) -> None:  # noqa: F811
    ended = call("table", run.folder, "--rows", "method", "--columns", "n", "--measures", "bias",
                 "--where", "setting=default", "--out", "t.tex")  # fmt: skip
    assert ended == (0, "table: t.tex\n", "")
    text = Path("t.tex").read_text(encoding="utf-8")
    assert text == run.table_text("latex", "method", "n", "bias", {"setting": "default"})
    ended = call("figure", run.folder, "--kind", "forest", "--format", "svg", "--where", "n=100")
    assert ended.code == 0 and [p.suffix for p in Path("figures").iterdir()] == [".svg"]
    ended = call("table", run.folder, "--where", "n")
    assert ended == (2, "", "cibench: --where: 'n' is not FIELD=VALUE\n")
    ended = call("table", run.folder, "--rows", "method", "--format", "csv", "--measures", "bias")
    assert ended.code == 0 and "no finite moments" in ended.err and "no finite" not in ended.out


def test_rows_are_exact_in_python_and_in_r(run: cibench.Run, tmp_path: Path) -> None:
    path = run.write_replicates(tmp_path / "rows.csv")
    read = exactly(path)
    np.testing.assert_array_equal(read["estimate"].astype(float), run.replicates["estimate"])
    hexadecimal = run.write_replicates(tmp_path / "hex.csv", hexadecimal=True)
    if shutil.which("Rscript") is None:
        pytest.skip("needs R")
    script = (
        f'rows <- read.csv("{hexadecimal}"); stopifnot(is.numeric(rows$estimate))\n'
        f'writeBin(rows$estimate, "{tmp_path}/bits", endian = "little")'
    )
    subprocess.run(["Rscript", "-e", script], check=True, capture_output=True)
    bits = (tmp_path / "bits").read_bytes()
    own = run.replicates["estimate"].tolist()
    assert bits == struct.pack(f"<{len(own)}d", *own)


def test_each_dial_is_a_column_of_numbers_at_its_default_too(run: cibench.Run, tmp_path: Path):
    read = exactly(run.write_replicates(tmp_path / "rows.csv"))
    dials = run.replicates["dials"].map(json.loads)
    names = sorted({name for each in dials for name in each})
    assert names and not {*names} & {*run.replicates.columns}
    for name in names:
        wanted = [each.get(name, math.nan) for each in dials]
        np.testing.assert_array_equal(read[name].astype(float), wanted)
    default = run.replicates["dial"].isna()
    assert default.any() and read["setting"].isna().equals(run.replicates["setting"].isna())
    assert (read.loc[default, names].astype(float).dropna(axis=1) == 0).all(axis=None)
    assert list(read.drop(columns=names)) == list(run.replicates)


def test_what_a_command_does_not_know_is_told_with_all_names(call: Any, run: cibench.Run) -> None:  # noqa: F811
    fields = "method, scenario, setting, estimand, n, horizon, group, contrast, label, level"
    for words, line in {
        ("--measures", "bais"): "no measure named 'bais'; did you mean 'bias'? There are: bias, ",
        ("--measures", "xyzzy"): "no measure named 'xyzzy'; there are: bias, ",
        ("--rows", "methd"): f"no field named 'methd'; did you mean 'method'? There are: {fields}",
        ("--columns", "xyzzy"): f"no field named 'xyzzy'; there are: {fields}",
        ("--where", "xyzzy=1"): f"no field named 'xyzzy'; there are: {fields}",
        ("--where", "setting=xyzzy"): "no setting named 'xyzzy'; there are: as assumed, half_way",
        ("--where", "n=77"): "no n named '77'; there are: 100, 200",
    }.items():
        ended = call("table", run.folder, *words)
        assert ended.code == 2 and line in ended.err and ended.err.count("\n") == 1, ended.err


def test_a_label_of_what_a_stored_run_does_not_have_is_told(call: Any, run: cibench.Run) -> None:  # noqa: F811
    """With the near miss, by all that reads the run; the label of an imported method is none."""
    shutil.copytree(run.folder, "run")
    path = Path("run/suite.toml")
    text = path.read_text(encoding="utf-8")
    for kind, name, line in (
        ("methods", "aipw/linaer", "no method of the run named 'aipw/linaer'; did you mean 'aipw"),
        ("scenarios", "a/b", "no scenario of the run named 'a/b'; there are: observables/hetero"),
        ("dials", "confoundin", "no dial of the run named 'confoundin'; did you mean 'confounding"),
        ("settings", "confoundin = 0.5", "'confoundin = 0.5': no dial of the run named 'confound"),
        ("measures", "bais", "no measure of the run named 'bais'; did you mean 'bias'? There are"),
    ):
        heading = f"[labels.{kind}]\n"
        assert heading in text
        path.write_text(text.replace(heading, f'{heading}"{name}" = "x"\n'), encoding="utf-8")
        for words in (("table", "run"), ("report", "run"), ("score", "run")):
            ended = call(*words)
            assert ended.code == 2 and ended.err.count("\n") == 1, ended.err
            assert f"suite.toml: labels.{kind}: {line}" in ended.err
    pasted = '\n[labels.methods]\n"aipw/linear" = "A"\n'
    path.write_text(text + pasted, encoding="utf-8")
    ended = call("table", "run")
    assert ended.code == 2 and "'labels.methods' is there already, on line" in ended.err
    path.write_text(text, encoding="utf-8")
    assert call("table", "run").code == 0


def test_labels_that_blanks_alone_set_apart_are_one() -> None:
    twice = {"methods": {METHODS[0]: "A", METHODS[1]: "A "}}
    with pytest.raises(BadInput, match="are both called 'A'"):
        parse_suite({**SPEC, "labels": twice})


def test_a_long_unit_is_written_out_below_its_axis(tmp_path: Path) -> None:
    unit = "s.d. of the outcome by which " + "units that are treated later differ, " * 6
    dial = {"x": {"default": 0, "unit": unit.strip(), "breaks": "b", "truth": "fixed"}}
    table = pd.DataFrame({
        "b": np.random.default_rng(1).normal(size=40), "se": 1.0, "x": np.repeat([0.0, 0.5], 20),
        "data": np.tile(np.arange(20), 2),
    })  # fmt: skip
    run = cibench.score(table, estimate="b", se="se", truth=0, replicate="data", dials={"x": 0},
                        out=tmp_path / "run")  # fmt: skip
    path = run.folder / "catalogue.json"
    catalogue = json.loads(path.read_text(encoding="utf-8"))
    for about in catalogue["scenarios"].values():
        about["dials"] = {"x": {**about["dials"]["x"], **dial["x"]}}
    path.write_text(json.dumps(catalogue), encoding="utf-8")
    for width in ("8cm", "17cm"):
        figure = cibench.load(run.folder).figure("dose-response", width=width)
        (text,) = [t for t in figure.texts if t.get_text().startswith("x: ")]
        assert text.get_text().replace("\n", " ") == f"x: {unit.strip()}"
        figure.canvas.draw()
        box, whole = text.get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1
        for axes in figure.axes:
            assert box.y1 <= axes.get_tightbbox().y0
        for legend in figure.legends:
            assert legend.get_window_extent().y1 <= box.y0


@pytest.mark.parametrize("methods", [2, 17])
def test_every_point_of_a_curve_stands_nearest_to_its_own_setting(tmp_path, methods):
    """With many methods they stood where the next setting is."""
    names = [f"m{i:02}" for i in range(methods)]
    dials = np.repeat([0.0, 0.02, 0.05, 1.0], 12 * methods)
    table = pd.DataFrame({
        "b": np.random.default_rng(1).normal(size=dials.size), "se": 1.0, "x": dials,
        "who": np.tile(names, 48), "data": np.tile(np.repeat(np.arange(12), methods), 4),
    })  # fmt: skip
    run = cibench.score(table, estimate="b", se="se", truth=0, method="who",
                        replicate="data", dials={"x": 0})  # fmt: skip
    figure = run.figure("dose-response")
    drawn = [
        line.get_xdata()
        for axes in figure.axes
        for line in axes.lines
        if len(line.get_xdata()) == 4
    ]
    assert len(drawn) >= 2 * methods
    for places in drawn:
        for place, own in zip(places, (0.0, 0.02, 0.05, 1.0), strict=True):
            assert min((0.0, 0.02, 0.05, 1.0), key=lambda x, at=place: abs(x - at)) == own
