"""The report: one file that says what broke, and the plots beside it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import RUNNING, loaded
from replicates import replicate_table
from scipy.special import ndtri

from cibench.analysis import judge_expectations, measure_sensitivity, score, score_diagnostics
from cibench.render.figures import looks
from cibench.render.numbers import limits, number, percent, signed
from cibench.report import write_report
from cibench.report.contents import Contents
from cibench.report.judged_words import ratio
from cibench.report.plots.dose_response import curve, draw_bands
from cibench.report.plots.zip_plot import zip_plot
from cibench.report.sections.expectations import undecided
from cibench.report.summary import summary, surprise_lines
from cibench.results import RunTables

SCENARIO = "toy/line"
SOUND, BROKEN = "toy/sound", "toy/careless"
DIAL = {
    "default": 0.0, "grid": [0.5, 1.0], "within": [0, 2], "breaks": "independent errors",
    "unit": "autocorrelation", "truth": "fixed", "paired": True, "felt": "",
}  # fmt: skip


def fits(estimator: str, *, dial: str | None = None, setting: float | None = None,
         bias: float = 0.0, sd: float = 0.1, se: float = 0.1, replicates: int = 200,
         **columns: Any) -> pd.DataFrame:  # fmt: skip
    """Return the rows of one estimator in one cell: a normal's quantiles, Wald limits."""
    shares = (np.arange(replicates) + 0.5) / replicates
    errors = np.random.default_rng(len(estimator)).permutation(ndtri(shares))
    truth = columns.get("truth", 1.0)
    t = truth + bias + sd * errors
    dials = {"rho": 0.0} | ({dial: setting} if dial else {})
    filled: dict[str, Any] = {
        "scenario": SCENARIO, "dial": dial, "setting": setting, "dials": json.dumps(dials),
        "parameters": '{"effect":1.0}', "estimator": estimator, "truth": truth, "seconds": 0.01,
        "estimate": t, "std_error": se, "ci_low": t - 1.96 * se, "ci_high": t + 1.96 * se,
    }  # fmt: skip
    return replicate_table(**filled | columns)


def failed(rows: pd.DataFrame, share: float, status: str, reason: str) -> pd.DataFrame:
    """Return the rows with the first share of them failed."""
    lost = rows["replicate"] < share * len(rows)
    numbers = ["estimate", "std_error", "ci_low", "ci_high"]
    return rows.assign(
        status=np.where(lost, status, "ok"), reason=np.where(lost, reason, None),
        **{name: rows[name].where(~lost) for name in numbers},
    )  # fmt: skip


def catalogue(*estimators: str, scenario: str = SCENARIO, **changes: Any) -> dict[str, Any]:
    about = {
        "doc": "A line.", "equations": "Y = effect D + e", "estimands": ["ATE"],
        "roles": {"outcome": "y", "treatment": "d"}, "reference": "Somebody (1999)",
        "moments": True, "dials": {"rho": DIAL},
        "parameters": {"effect": {"default": 1.0, "within": None, "unit": "outcome units"}},
    }  # fmt: skip
    said = {
        "doc": "Fit it.", "module": "", "kind": "estimate", "targets": ["ATE"], "horizons": [],
        "needs": ["treatment"], "assumes": [], "uses": [], "gives": [], "tests": [],
        "oracle": False, "moments": True, "options": {},
    }  # fmt: skip
    return {
        "scenarios": {scenario: about | changes},
        "estimators": {name: dict(said) for name in estimators},
    }


def planted() -> pd.DataFrame:
    """Return a run in which the careless method breaks along rho and the sound one does not."""
    settings = ((None, None), ("rho", 0.5), ("rho", 1.0))
    claimed = {None: 0.12, 0.5: 0.07, 1.0: 0.03}
    many: dict[str, Any] = {"replicates": 400}  # a verdict on six cells at once takes so many
    parts = [fits(SOUND, dial=d, setting=s, bias=0.004, **many) for d, s in settings]
    parts += [fits(BROKEN, dial=d, setting=s, sd=0.12, se=claimed[s], **many) for d, s in settings]
    return pd.concat(parts, ignore_index=True)


def text_of(page: str) -> str:
    """Return what a reader sees: no tags, no styles, no data."""
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


def report(folder: Path, rows: pd.DataFrame, about: dict[str, Any], **manifest: Any) -> str:
    path = write_report(folder, RunTables.of_rows(rows, about, manifest=manifest))
    assert path == folder / "report.html"
    page = path.read_text(encoding="utf-8")
    seen = text_of(page) + " ".join(re.findall(r'(?:title|alt)="([^"]*)"', page))
    assert not re.search(r"\b(nan|NaN|None|<NA>)\b", seen)
    return page


def part(page: str, name: str) -> str:
    """Return one section of the page, "" where it has none."""
    found = re.search(rf'<section id="{name}">.*?</section>', page, flags=re.S)
    return found.group() if found else ""


def findings(page: str) -> str:
    lists = re.findall(r'<ol class="findings">.*?</ol>', part(page, "findings"), flags=re.S)
    return text_of("".join(lists))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("run")
    manifest = {"suite": "planted", "seed": 7, "expected_rows": 2400, "versions": {"numpy": "2"}}
    declined = [{"scenario": SCENARIO, "estimator": "toy/other", "reason": "answers LATE"}]
    page = report(folder, planted(), catalogue(SOUND, BROKEN), declined=declined, **manifest)
    return folder, page


def test_it_is_one_file_that_loads_nothing(run: tuple[Path, str]) -> None:
    folder, page = run
    assert not re.search(r"<(link|iframe|object|embed)\b", page)
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', page)
    assert sources and all(s.startswith(("data:image/svg+xml;base64,", "#")) for s in sources)
    assert "@import" not in page and "url(" not in page
    assert sorted(p.name for p in folder.iterdir()) == ["plots", "report.html", "tables"]
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img[^>]*>", page))


def test_every_plot_is_there_twice_and_the_same_each_time(
    run: tuple[Path, str], tmp_path: Path
) -> None:
    folder, page = run
    files = sorted(p.name for p in (folder / "plots").iterdir())
    kinds = ("dial-rho", "estimates", "forest", "zip")
    assert files == [f"toy--line-n-100-{k}.{end}" for k in kinds for end in ("png", "svg")]
    assert report(tmp_path, planted(), catalogue(SOUND, BROKEN), suite="planted")
    for name in files:
        assert (tmp_path / "plots" / name).read_bytes() == (folder / "plots" / name).read_bytes()
    assert len(page) < 1_000_000


def test_it_names_every_part_of_the_run(run: tuple[Path, str]) -> None:
    seen = text_of(run[1])
    for part in (
        SCENARIO,
        SOUND,
        BROKEN,
        "rho",
        "independent errors",
        "Y = effect D + e",
        "Somebody (1999)",
        "planted",
        "2,400 stored of 2,400 expected",
        "toy/other",
        "answers LATE",
        "Seeds are derived, not chosen",
        "No failures in 2,400 fits",
    ):
        assert part in seen  # fmt: skip


def test_the_findings_name_the_broken_method_and_not_the_sound_one(run: tuple[Path, str]) -> None:
    said = findings(run[1])
    assert BROKEN in said and SOUND not in said
    scores = score(planted(), catalogue()).set_index(["estimator", "setting"])
    worst = scores.loc[(BROKEN, 1.0)]
    assert f"coverage {percent(worst['coverage'])} %" in re.sub(r"\s+", " ", said)
    assert "“independent errors” is broken (rho = 1)" in said
    assert "Broken from rho = 0.5 on" in said
    assert "a surprise: nothing it assumes is broken" in said
    held = re.search(r'<div class="sound">.*?</div>', run[1], flags=re.S)
    assert held and SOUND in held.group() and BROKEN not in held.group()
    assert "1 of 2 methods broke, only where an assumption is broken" in text_of(run[1])


def test_a_declared_breakdown_is_not_called_a_surprise(tmp_path: Path) -> None:
    about = catalogue(SOUND, BROKEN)
    about["estimators"][BROKEN]["assumes"] = ["independent errors"]
    said = findings(report(tmp_path, planted(), about))
    assert "as declared" in said and "surprise" not in said


def test_defaults_come_first_and_hide_what_they_explain(tmp_path: Path) -> None:
    naive = pd.concat([
        fits("toy/naive", bias=0.2), fits("toy/naive", dial="rho", setting=0.5, bias=0.9),
    ])  # fmt: skip
    rows = pd.concat([planted(), naive], ignore_index=True)
    page = report(tmp_path, rows, catalogue(SOUND, BROKEN, "toy/naive"))
    items = re.findall(r"<li class=.*?</li>", part(page, "findings"), flags=re.S)
    lines = [text_of(item) for item in items]
    assert "toy/naive" in lines[0] and "every dial at its default" in lines[0]
    assert sum("toy/naive" in line for line in lines) == 1
    assert "1 with every dial at its default, 1 only where" in text_of(page)


def test_the_tables_hold_the_scores(run: tuple[Path, str]) -> None:
    scores = score(planted(), catalogue())
    tables = re.findall(r'<table class="sortable scores">.*?</table>', run[1], flags=re.S)[:2]
    assert ["RMSE" in table for table in tables] == [True, False]  # each as wide as a page
    shown = [float(v) for v in re.findall(r'data-v="([^"]+)"', "".join(tables))]
    for measure in ("coverage", "bias", "rmse", "empirical_se", "model_se", "ci_length"):
        for value in scores[measure]:
            assert value in shown
    seen = re.sub(r"\s+", " ", text_of(" ".join(tables)))
    for line in scores.to_dict("records"):
        assert number(line["bias"], line["bias_mcse"]) in seen
        assert f"({number(line['bias_mcse'], line['bias_mcse'])})" in seen
        span = limits(line["coverage_low"], line["coverage_high"])
        assert f"{percent(line['coverage'], 1)} {span}" in seen
    assert "power %" in seen


def test_the_heat_map_judges_by_the_limits_of_all_cells(run: tuple[Path, str]) -> None:
    cells = re.findall(r'title="([^,"]+), ([^:"]+):[^"]*" data-verdict="([^"]+)"', run[1])
    judged = {(method, at): verdict for method, at, verdict in cells}
    assert judged[BROKEN, "default"] == "sound"
    assert judged[BROKEN, "rho = 0.5"] == judged[BROKEN, "rho = 1"] == "broken"
    assert {judged[SOUND, at] for at in ("default", "rho = 0.5", "rho = 1")} == {"sound"}


def test_a_few_replicates_give_no_verdict(tmp_path: Path) -> None:
    page = report(tmp_path, fits(SOUND, replicates=12), catalogue(SOUND))
    assert "Too few replicates for a verdict" in text_of(page)
    assert "<ol" not in page


def test_all_text_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    about = catalogue("toy/sound", doc=evil, equations=evil, reference=evil)
    about["estimators"]["toy/sound"]["doc"] = evil
    about["scenarios"][SCENARIO]["dials"]["rho"] = DIAL | {"breaks": evil, "unit": evil}
    rows = pd.concat([fits(SOUND), fits(SOUND, dial="rho", setting=1.0, se=0.01)])
    rows = failed(rows, 0.3, "failed", f'{evil} "quoted" & more')
    page = report(tmp_path, rows, about, suite=evil, platform=evil)
    assert evil not in page and page.count("<script>") == 1
    assert page.count(html.escape(evil)) > 8


def test_moment_measures_are_hidden_with_the_reason(tmp_path: Path) -> None:
    about = catalogue(SOUND, BROKEN)
    about["estimators"][SOUND]["moments"] = False
    page = report(tmp_path, planted(), about)
    tables = re.findall(r'<table class="sortable scores">.*?</table>', page, flags=re.S)
    assert "Moment measures are hidden" in page and "cannot be relied on" in text_of(page)
    shown = re.findall(r'data-v="([^"]+)"', "".join(tables))
    scores = score(planted(), about).set_index("estimator")
    for measure in ("bias", "rmse", "empirical_se", "se_ratio"):
        assert not set(map(repr, scores.loc[SOUND, measure])) & set(shown)
        assert set(map(repr, scores.loc[BROKEN, measure])) <= set(shown)
    assert set(map(repr, scores.loc[SOUND, "coverage"])) <= set(shown)


def test_failures_are_drawn_tallied_and_counted_as_misses(tmp_path: Path) -> None:
    rows = pd.concat([
        failed(fits(SOUND), 0.25, "failed", "LinAlgError: singular"),
        failed(fits(BROKEN), 0.1, "timeout", "took longer than 60 s"),
    ])  # fmt: skip
    page = report(tmp_path, rows, catalogue(SOUND, BROKEN))
    seen = re.sub(r"\s+", " ", text_of(page))
    assert "70 fits of 400 gave no answer" in seen
    assert "LinAlgError: singular" in seen and "with failures %" in seen
    assert "toy/sound fails in toy/line : 25 % (20–31)" in seen
    assert (tmp_path / "plots" / "toy--line-failures.svg").exists()


def test_a_run_in_which_everything_failed_is_still_a_report(tmp_path: Path) -> None:
    rows = failed(fits(SOUND), 2.0, "crashed", "exit code -11")
    page = report(tmp_path, rows, catalogue(SOUND))
    assert "answered none of 200: exit code -11" in findings(page)
    assert "exit code -11" in page


def test_one_estimator_without_dials(tmp_path: Path) -> None:
    rows = fits(SOUND).assign(dials="{}")
    page = report(tmp_path, rows, catalogue(SOUND, dials={}))
    assert "No method broke beyond Monte Carlo doubt" in page
    names = {p.stem for p in (tmp_path / "plots").iterdir()}
    assert names == {f"toy--line-n-100-{kind}" for kind in ("forest", "estimates", "zip")}


def test_a_handful_of_replicates_get_no_pictures_of_their_spread(tmp_path: Path) -> None:
    for count, kinds in ((4, {"forest"}), (5, {"forest", "estimates", "zip"})):
        rows = pd.concat([fits(SOUND), fits(BROKEN, se=0.03)])
        rows = rows[rows["replicate"] < count]
        write_report(tmp_path / str(count), RunTables.of_rows(rows, catalogue()))
        names = {path.stem for path in (tmp_path / str(count) / "plots").glob("*.svg")}
        assert names == {f"toy--line-n-100-{kind}" for kind in kinds}


def test_nothing_known_of_the_run_but_its_rows(tmp_path: Path) -> None:
    page = report(tmp_path, planted(), {})
    assert BROKEN in findings(page)


def test_no_rows_at_all(tmp_path: Path) -> None:
    assert "Nothing was scored" in report(tmp_path, planted().iloc[:0], {})


def test_sizes_parameters_targets_horizons_and_options_stand_apart(tmp_path: Path) -> None:
    ways: list[dict[str, Any]] = [
        {"n": 1000}, {"parameters": '{"effect":2.0}'}, {"horizon": -2}, {"horizon": 3},
        {"estimand": "ATT", "level": 0.9}, {"options": '{"order":1}'}, {"options": '{"order":2}'},
    ]  # fmt: skip
    rows = pd.concat([fits(SOUND, **way) for way in ways], ignore_index=True)
    page = report(tmp_path, rows, catalogue(SOUND))
    titles = re.findall(r"<h3>([^<]*)</h3></?(?:span|summary)", page)
    for title in (
        "n = 1,000, effect = 1, ATE, level 0.95",
        "horizon −2",
        "horizon 3",
        "effect = 2",
        "ATT, level 0.9",
    ):
        assert any(title in t for t in titles)  # fmt: skip
    assert "toy/sound (order = 1)" in page and "toy/sound (order = 2)" in page
    assert len(set(re.findall(r'<details class="view" id="([^"]+)"', page))) == 6


def test_of_many_views_the_worst_are_told_in_full_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12 sizes in each of two scenarios one breaks: it is drawn, wherever it stands."""
    monkeypatch.setattr("cibench.report.contents.MOST_VIEWS", 4)
    rows, about = [], catalogue(SOUND)
    about["scenarios"]["toy/other"] = about["scenarios"][SCENARIO]
    for scenario, bad in ((SCENARIO, (108,)), ("toy/other", (111, 104))):
        for n in range(100, 112):
            off = 0.5 if n in bad else 0.0
            rows.append(fits(SOUND, n=n, scenario=scenario, bias=off, replicates=400))
    page = report(tmp_path, pd.concat(rows, ignore_index=True), about)
    views = re.findall(r'<details class="view" id="([^"]*)"', page)
    broken = ["toy--line-n-108", "toy--other-n-104", "toy--other-n-111"]
    assert len(views) == 4 and {*broken} < {*views}
    assert "Of 24 sizes, parameters and targets, 4 in full" in part(page, "abridged")
    assert "1 of 1 method broke" in part(page, "findings")
    assert "3 surprises among 24 expectations" in part(page, "surprises")
    assert len(re.findall(r'<table class="heat"', page)) == 4
    drawn = {path.name.partition("-forest")[0] for path in (tmp_path / "plots").glob("*forest.svg")}
    assert {*broken} < drawn and len(drawn) == 4
    written = (tmp_path / "tables" / "scores.md").read_text(encoding="utf-8")
    assert written.count("### toy/") == 24  # tables for a paper have all
    monkeypatch.setattr("cibench.report.contents.MOST_VIEWS", 24)
    whole = report(tmp_path, pd.concat(rows, ignore_index=True), about)
    assert not part(whole, "abridged")
    assert len(re.findall(r'<details class="view" id="', whole)) == 24


def test_a_long_table_of_expectations_begins_with_the_surprises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cibench.report.sections.expectations.MOST_ROWS", 3)
    rows = [fits(SOUND, n=n, bias=0.5 * (n == 104), replicates=400) for n in range(100, 106)]
    page = part(report(tmp_path, pd.concat(rows), catalogue(SOUND)), "surprises")
    table = re.search(r"<table.*?</table>", page, flags=re.S)
    assert table is not None
    cells = re.findall(r"<tr>.*?</tr>", table.group(), flags=re.S)[1:]
    assert len(cells) == 3 and "n = 104" in cells[0]
    assert "The first 3 of 6 rows" in page


def test_sets_without_limits_unbounded_or_outside_and_truths_by_replicate(tmp_path: Path) -> None:
    half = np.arange(200) % 2 == 0
    rng = np.random.default_rng(1)
    rows = pd.concat([
        fits("toy/points", ci_low=np.nan, ci_high=np.nan, outside=None),
        fits("toy/unbounded", ci_low=-np.inf, ci_high=np.where(half, 1.2, np.inf)),
        fits("toy/rays", std_error=np.nan, outside=half),
        fits("toy/sets", estimate=np.nan, std_error=np.nan),
        fits("toy/wild").assign(estimate=1 + rng.standard_cauchy(200)),
        fits("toy/sample", estimand="SATE", truth=rng.normal(size=200)),
    ], ignore_index=True)  # fmt: skip
    page = report(tmp_path, rows, catalogue(*rows["estimator"].unique()))
    seen = text_of(page)
    assert "∞" in seen and "no limits" in seen and "one for each replicate" in seen


def test_several_dials_moved_have_a_column_of_their_own(tmp_path: Path) -> None:
    crossed = fits(SOUND, bias=0.5).assign(dials='{"rho":1.0,"mu":2.0}')
    page = report(tmp_path, pd.concat([fits(SOUND), crossed]), catalogue(SOUND))
    assert "several dials are moved" in findings(page)
    assert "rho = 1, mu = 2" in findings(page)


def test_repeated_fits_of_a_data_set_are_left_out(tmp_path: Path, run: tuple[Path, str]) -> None:
    again = planted().assign(refit=1, estimate=99.0)
    page = report(
        tmp_path, pd.concat([planted(), again]), catalogue(SOUND, BROKEN), suite="planted"
    )
    images = r'src="([^"]*)"'
    assert re.findall(images, page) == re.findall(images, run[1])


def test_the_two_worlds_stand_side_by_side(tmp_path: Path) -> None:
    alarms = [
        fits("toy/test", dial=d, setting=s, kind="diagnostic", estimand=None,
             passed=np.arange(200) >= alarms)
        for d, s, alarms in ((None, None, 10), ("rho", 1.0, 160))
    ]  # fmt: skip
    about = catalogue(SOUND, BROKEN, "toy/test", violates=["linear outcome"])
    said = about["estimators"]
    said[BROKEN]["assumes"] = ["independent errors", "linear outcome or correct weights", "no ties"]
    said["toy/test"] |= {"kind": "diagnostic", "targets": [], "tests": ["independent errors"]}
    page = report(tmp_path, pd.concat([planted(), *alarms], ignore_index=True), about)
    table = re.search(r'<table class="worlds">.*?</table>', page, flags=re.S)
    assert table
    lines = [" ".join(text_of(row).split()) for row in table[0].split("<tr>")[2:]]
    first, broken, other, last = lines
    assert first == (
        "independent errors holds at the default; broken at rho = 0.5, 1 autocorrelation "
        "toy/test : alarm in 5 % (3–9) at the default; 80 % (74–85) at rho = 1 toy/careless"
    )
    assert broken.startswith("linear outcome broken by the design itself, at every setting nothing")
    assert other.startswith("correct weights taken to hold: no dial")
    assert last.startswith("no ties taken to hold")
    conclusion = " ".join(text_of(page).split())
    assert (
        "If “independent errors”, “linear outcome or correct weights”, “no ties” hold, toy/careless"
        in conclusion
    )
    assert re.search(
        r"if “independent errors” fails by rho = 1, in \d+ % \(\d+–\d+\)\.", conclusion
    )


def test_what_was_done_is_said_in_the_order_of_ademp(run: tuple[Path, str]) -> None:
    block = re.search(r'<section id="ademp">.*?</section>', run[1], flags=re.S)
    assert block
    said = " ".join(text_of(block[0]).split())
    names = ("Aims", "Data-generating", "Estimands", "Methods", "Performance measures")
    places = [said.index(name) for name in names]
    assert places == sorted(places)
    assert "“independent errors”" in said
    assert "rho = 0.5, 1 autocorrelation (0 where “independent errors” holds)" in said
    assert "400 replicates a cell, nominal level 95 %, seed 7" in said


def test_tables_for_a_paper_hold_the_scores_and_a_citation(tmp_path: Path) -> None:
    rows, about = planted(), catalogue(SOUND, BROKEN)
    rows["estimator"] = rows["estimator"].str.replace("toy/sound", "toy/so_und|x")
    manifest = {"suite": "planted", "seed": 7, "protocol": "abc", "versions": {"cibench": "1.2"}}
    tables = RunTables.of_rows(rows, about, manifest=manifest)
    write_report(tmp_path, tables)
    table = tables["scores"]
    text = (tmp_path / "tables" / "scores.md").read_text(encoding="utf-8")
    paper = (tmp_path / "tables" / "scores.tex").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table)
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {len(lines[0].split("|"))}
    assert "cibench 1.2, suite planted, seed 7, protocol abc" in text and "suite planted" in paper
    bias = table.loc[table["estimator"] == BROKEN, ["bias", "bias_mcse"]].iloc[0]
    assert number(*bias).replace("−", "$-$") in paper
    assert paper.count("\\\\\n") == 1 + len(table)
    assert "so\\_und" in paper and "95 \\%" in paper


def test_diagnostics_have_their_own_table(tmp_path: Path) -> None:
    alarm = np.arange(200) < 150
    tests = fits("toy/pretest", kind="diagnostic", estimand=None, passed=~alarm, truth=np.nan,
                 estimate=np.nan, std_error=np.nan, ci_low=np.nan, ci_high=np.nan)  # fmt: skip
    page = report(tmp_path, pd.concat([planted(), tests]), catalogue(SOUND, BROKEN, "toy/pretest"))
    section = part(page, "diagnostics")
    assert "toy/<wbr>pretest" in section and "75.0" in section
    assert "toy/pretest" not in findings(page)


def test_a_sub_nominal_bias_is_told_even_where_intervals_cover(tmp_path: Path) -> None:
    rows = fits(SOUND, bias=0.15, se=0.2)
    page = " ".join(text_of(report(tmp_path, rows, catalogue(SOUND))).split())
    assert "1 method is off, although intervals cover" in page
    assert "No method broke" not in page
    assert "is off in" in findings(report(tmp_path, rows, catalogue(SOUND)))


def test_the_headline_counts_who_is_off_beside_who_broke(tmp_path: Path) -> None:
    rows = pd.concat([fits(SOUND, bias=0.15, se=0.2), fits(BROKEN, bias=1.0)])
    page = " ".join(text_of(report(tmp_path, rows, catalogue(SOUND, BROKEN))).split())
    assert "1 of 2 methods broke: 1 with every dial at its default" in page
    assert "at its default; another is off, although intervals cover" in page


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.012345, 0.0021, "0.0123"), (-0.00001, 0.01, "0.000"), (12345.6, 23, "12,346"),
        (0.5, None, "0.500"), (float("inf"), None, "∞"), (float("nan"), 1.0, "–"),
        (1e-12, 1e-14, "1.00e−12"), (-2.5, 0.11, "−2.50"), (0.1, 1e-18, "0.100"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_that_their_error_leaves(
    value: float, error: float | None, text: str
) -> None:
    assert number(value, error) == text


def test_signs() -> None:
    assert [signed(x, 0.1) for x in (0.5, -0.5, 0.0)] == ["+0.50", "−0.50", "0.00"]


def test_reporting_needs_neither_the_registry_nor_the_runner_nor_pyplot(tmp_path: Path) -> None:
    planted().to_pickle(tmp_path / "rows.pkl")
    code = (
        "import sys, pathlib, pandas; from cibench.results import RunTables\n"
        "from cibench.report import write_report\n"
        "assert 'matplotlib' not in sys.modules and 'pandas' in sys.modules\n"
        "rows = pandas.read_pickle('rows.pkl')\n"
        "write_report(pathlib.Path('.'), RunTables.of_rows(rows, {}))"
    )
    assert loaded(code, [*RUNNING, "matplotlib.pyplot"], tmp_path)[1] == []


@pytest.mark.browser
def test_in_a_browser(browser: Any, run: tuple[Path, str]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("request", lambda r: asked.append(r.url))
    page.goto((run[0] / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")

    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    column = "[...document.querySelector('.scores tbody').rows].map(r => +r.cells[3].dataset.v)"
    before = page.evaluate(column)
    heading = page.locator(".scores thead th:nth-child(4) button").first
    heading.click()
    assert page.evaluate(column) == sorted(before) != before
    heading.click()
    assert page.evaluate(column) == sorted(before, reverse=True)

    shown = "[...document.querySelector('.scores tbody').rows].filter(r => !r.hidden).length"
    assert page.evaluate(shown) == 6
    assert complaints == []
    assert all(url.startswith(("file:", "data:")) for url in asked)


CUT = """() => [...document.querySelectorAll("table")].filter(table => {
  const box = table.getBoundingClientRect(), frame = table.closest(".scroll");
  return box.right > innerWidth || (frame && frame.scrollWidth > frame.clientWidth + 1);
}).map(table => table.textContent.slice(0, 60))"""


@pytest.mark.browser
def test_two_scenarios_are_a_page_that_a_person_scrolls(browser: Any, tmp_path: Path) -> None:
    """Under 5,000 px before anything is opened; opened, no table is cut at 1280 px."""
    methods = [f"a-family/method-number-{i}-of-its-name" for i in range(8)]
    rows, about = [], catalogue(*methods)
    for scenario in (SCENARIO, "toy/other"):
        about["scenarios"][scenario] = about["scenarios"][SCENARIO]
        for i, method in enumerate(methods):
            for setting in (None, 0.5, 1.0):
                cell = fits(method, dial=setting and "rho", setting=setting, bias=0.02 * i)
                rows.append(failed(cell, 0.02 * (i == 3), "failed", "ValueError: singular"))
                rows[-1]["scenario"] = scenario
    report(tmp_path, pd.concat(rows, ignore_index=True), about)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((tmp_path / "report.html").as_uri())
    height = "document.documentElement.scrollHeight"
    assert 1500 < page.evaluate(height) < 5000
    assert page.evaluate(CUT) == []
    closed = page.evaluate(height)
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert page.evaluate(height) > 2 * closed  # all that was there is there still
    assert page.evaluate(CUT) == []
    page.goto((tmp_path / "report.html").as_uri() + "#methods")
    assert page.evaluate("document.querySelector('#methods details').open")


def test_how_to_read_a_kind_of_plot_is_said_once(tmp_path: Path) -> None:
    cells = [(n, s) for n in (100, 200) for s in (None, 1.0)]
    rows = [fits(SOUND, dial=s and "rho", setting=s, n=n) for n, s in cells]
    page = text_of(report(tmp_path, pd.concat(rows, ignore_index=True), catalogue(SOUND)))
    kinds = (
        "Each line is one replicate", "Bars are 95 % Monte Carlo limits, thin lines",
        "The dashed lines mark no bias", "Every estimate of the default cell",
    )  # fmt: skip
    for words in kinds:
        assert page.count(words) == 1
    assert page.count("The ringed point is rho = 0.") == 2


def test_the_panels_of_a_zip_plot_have_one_scale(tmp_path: Path) -> None:
    """Their x axes are the same, even where one method's intervals are ten times the other's."""
    rows = pd.concat([fits(SOUND), fits(BROKEN, sd=1.0, se=1.0)], ignore_index=True)
    (view,) = Contents(RunTables.of_rows(rows, catalogue(SOUND, BROKEN)), tmp_path).views
    plot = zip_plot(view)
    assert plot is not None
    scales = {axes.get_xlim() for axes in plot.figure().axes}
    ((low, high),) = scales
    assert low == -high < -1.96


def test_estimates_without_noise_are_not_judged_by_their_coverage(tmp_path: Path) -> None:
    rows = fits(SOUND, sd=1e-17, se=1e-17)
    tables = RunTables.of_rows(rows, {})
    assert list(tables["expectations"]["coverage_verdict"]) == ["no noise"]
    assert tables["scores"]["coverage_with_failures"].isna().all()
    assert "being covered says nothing: coverage" in tables["scores"]["note"].iloc[0]
    page = write_report(tmp_path, tables).read_text()
    assert "1 of 1 methods broke" not in page and "e+14" not in page
    [cell] = re.findall(r'<td[^>]*data-verdict="no noise"[^>]*>(.*?)</td>', page)
    assert "100" not in cell and "no noise" in cell


def test_who_is_always_wrong_without_noise_breaks(tmp_path: Path) -> None:
    tables = RunTables.of_rows(fits(SOUND, sd=1e-17, se=0.1, bias=1.0), {})
    assert list(tables["expectations"]["coverage_verdict"]) == ["broken"]
    assert "1 of 1 method" in text_of(write_report(tmp_path, tables).read_text())


# --- comparisons and leaderboards


def compared(folder: Path, rows: pd.DataFrame, about: dict[str, Any], **suite: Any) -> str:
    """Return the page of a run with its comparisons and leaderboards."""
    path = write_report(folder, RunTables.of_rows(rows, about, suite=suite))
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(nan|NaN|None|<NA>)\b", text_of(page))
    return page


def four() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return three methods and an oracle: two are equal, one is much wider."""
    names = ("toy/oracle", "toy/first", "toy/same", "toy/wide")
    parts = [
        fits(name, sd=sd, se=sd) for name, sd in zip(names, (0.05, 0.1, 0.1, 0.4), strict=True)
    ]
    parts[2]["estimate"], parts[2]["ci_low"], parts[2]["ci_high"] = (
        parts[1][name] for name in ("estimate", "ci_low", "ci_high")
    )
    about = catalogue(*names)
    about["estimators"]["toy/oracle"]["oracle"] = True
    return pd.concat(parts, ignore_index=True), about


def table_of(page: str, kind: str) -> list[list[str]]:
    """Return the first table of a class, behind whatever else it has, as rows of words."""
    table = re.search(rf'<table class="{kind}[^"]*"[^>]*>(.*?)</table>', page, flags=re.S)
    assert table is not None
    rows = re.findall(r"<tr.*?</tr>", table[1], flags=re.S)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.S) for row in rows]
    return [[" ".join(text_of(c).split()).replace("/ ", "/") for c in row] for row in cells]


def test_differences_show_ties_as_ties(tmp_path: Path) -> None:
    rows, about = four()
    page = compared(tmp_path, rows, about)
    table = {row[0]: row for row in table_of(page, "pairs")}
    assert list(table)[1:] == ["toy/oracle", "toy/first", "toy/same", "toy/wide"]
    assert table["method"][1:] == ["interval score", "RMSE", "|bias|", "coverage, points", "length"]
    assert table["toy/wide"][1].startswith("▲ +") and table["toy/wide"][4].startswith("≈ ")
    assert table["toy/first"][1] == "reference" and table["toy/oracle"][1].startswith("▼ −")
    assert table["toy/same"][1].startswith("≈ 0")
    matrix = {row[0].split(". ")[-1]: row[1:] for row in table_of(page, "matrix")}
    assert matrix["toy/first"] == ["▲", "·", "≈", "▼"]
    said = "Each method less toy/first, which has the smallest interval score of all but oracles"
    assert said in text_of(page)


def test_differences_from_a_declared_reference_have_no_matrix(tmp_path: Path) -> None:
    rows, about = four()
    page = compared(tmp_path, rows, about, compare="toy/wide")
    assert (
        "Each method less toy/wide, on" in text_of(page) and "matrix" not in page.split("<main")[1]
    )
    table = {row[0]: row for row in table_of(page, "pairs")}
    assert table["toy/first"][1].startswith("▼ −") and table["toy/wide"][1] == "reference"


def test_differences_of_averages_without_moments_are_hidden(tmp_path: Path) -> None:
    rows, about = four()
    about["estimators"]["toy/wide"]["moments"] = False
    table = {row[0]: row for row in table_of(compared(tmp_path, rows, about), "pairs")}
    assert "MAD" in table["method"] and "RMSE" not in table["method"]
    assert table["toy/wide"][table["method"].index("|bias|")] == "–"
    assert table["toy/first"][table["method"].index("|bias|")] != "–"


def test_the_leaderboard_prints_sets_where_noise_can_swap_ranks(tmp_path: Path) -> None:
    rows, about = four()
    page = compared(tmp_path, rows, about, ranking={"worst": 30})
    table = {row[2]: row for row in table_of(page, "ranks")}
    assert list(table) == ["method", "toy/oracle oracle", "toy/first", "toy/same", "toy/wide"]
    assert [row[0] for row in table.values()][1:] == ["–", "1–2", "1–2", "3"]
    assert "No loss counts more than 30 times the reference’s mean interval score" in text_of(page)
    assert 'href="#leaderboard"' in page and "reference toy/oracle" in text_of(page)


def test_marks_stand_in_the_place_of_ranks_and_broken_settings_have_their_board(
    tmp_path: Path,
) -> None:
    """Of four: one relies on what the dial breaks, one is too narrow, one contradicts itself."""
    names = (SOUND, BROKEN, "toy/narrow", "toy/aside")
    about, parts = catalogue(*names), []
    about["estimators"][BROKEN]["assumes"] = ["independent errors"]
    for dial, setting in ((None, None), ("rho", 1.0)):
        where: dict[str, Any] = {"dial": dial, "setting": setting, "replicates": 400}
        parts += [
            fits(SOUND, **where),
            fits(BROKEN, bias=0.5 if dial else 0.0, sd=0.05, se=0.05, **where),
            fits("toy/narrow", sd=0.02, se=0.01, **where),
            fits("toy/aside", **where),
        ]
        parts[-1]["estimate"] += np.where(parts[-1]["replicate"] % 4 == 0, 9.0, 0.0)
    section = part(compared(tmp_path, pd.concat(parts, ignore_index=True), about), "leaderboard")
    first, _, broken = section.partition("<details")
    assert "How they degrade: settings in which an assumption is broken" in broken
    marks = [["▼", "toy/narrow"], ["✕", "toy/aside"]]
    for board, order in ((first, (BROKEN, SOUND)), (broken, (SOUND, BROKEN))):
        lines = [[row[0], row[2]] for row in table_of(board, "ranks")[1:]]
        assert lines == [["1", order[0]], ["2", order[1]], *marks]
        words = " ".join(text_of(board).split())
        assert "toy/narrow : does not hold its level in toy/line" in words
        assert "toy/aside : 25 % of its answers lie outside their own limits" in words


def test_leaving_out_a_scenario_stands_beside_the_rank(tmp_path: Path) -> None:
    rows, about = four()
    both = pd.concat([rows, rows.assign(scenario="toy/other")], ignore_index=True)
    about["scenarios"]["toy/other"] = about["scenarios"][SCENARIO]
    late = fits("toy/late").assign(scenario="toy/other")
    about["estimators"]["toy/late"] = about["estimators"]["toy/first"]
    page = compared(tmp_path, pd.concat([both, late]), about)
    head, *lines = table_of(page, "ranks")
    assert head[-2:] == ["rank without toy/line", "rank without toy/other"]
    assert {line[2]: line[-2:] for line in lines}["toy/wide"][1] == "3"
    assert "toy/late : no score in every cell of toy/line." in text_of(page)
    assert "2 scenarios one by one" in text_of(page)


# What was expected


def spec(**expect: Any) -> dict[str, Any]:
    """Return a suite whose only table holds every row of a planted run."""
    table = {"scenario": "toy/*", "n": 100, "estimators": "toy/*", "dials": "grid"}
    return {"cells": [table | {"expect": expect}]}


def judged(rows: pd.DataFrame, about: dict[str, Any], said: dict[str, Any]) -> pd.DataFrame:
    return judge_expectations(score(rows, about), about, said)


def opening(folder: Path, rows: pd.DataFrame, about: dict[str, Any], said: dict[str, Any]) -> str:
    """Return the words of the page's first section."""
    write_report(folder, RunTables.of_rows(rows, about, suite=said))
    page = (folder / "report.html").read_text(encoding="utf-8")
    first = re.search(r"<main><section.*?</section>", page, flags=re.S)
    assert first and 'id="surprises"' in first.group()
    return re.sub(r"\s+", " ", text_of(first.group()))


def relying() -> dict[str, Any]:
    """Return a catalogue in which the careless method relies on what breaks it."""
    about = catalogue(SOUND, BROKEN)
    about["estimators"][BROKEN]["assumes"] = ["independent errors"]
    return about


def test_the_report_opens_with_the_surprises(tmp_path: Path) -> None:
    rows, about = planted(), catalogue(SOUND, BROKEN)
    said = opening(tmp_path, rows, about, {})
    found = judged(rows, about, {}).set_index(["estimator", "setting"])
    worst = found.loc[(BROKEN, 1.0)]
    assert "2 surprises among 6 expectations: 1 method fails unexpectedly" in said
    line = (
        f"toy/careless fails unexpectedly in toy/line at rho = 1 (n = 100): coverage "
        f"{percent(worst['coverage'])} % ({limits(worst['low'], worst['high'])}), below the floor "
        f"of 90 %; SE ratio {ratio(worst)}, below 0.8, although nothing that it assumes is broken. "
        "Also at rho = 0.5 (n = 100)."
    )
    assert line in said


def test_what_was_declared_to_fail_is_no_surprise_and_what_survives_is_one(tmp_path: Path) -> None:
    fails = {"toy/careless": {"rho": 0.5}}
    said = opening(tmp_path / "a", planted(), relying(), spec(fails=fails))
    assert said.startswith(" No surprise among 6 expectations")
    assert "2 fails as declared" in said
    settings = ((None, None), ("rho", 0.5), ("rho", 1.0))
    fine: dict[str, Any] = {"replicates": 400, "ci_low": 0.0, "ci_high": 2.0}
    survivor = [fits(BROKEN, dial=d, setting=s, **fine) for d, s in settings]
    sound = pd.concat([planted().query("estimator != @BROKEN"), *survivor], ignore_index=True)
    said = opening(tmp_path / "b", sound, relying(), spec(fails=fails))
    assert "1 method survives unexpectedly" in said
    why = "although “independent errors” is broken by rho = 0.5, declared to fail from 0.5 on"
    assert f"between 0.8 and 1.25, {why}" in said and "above the floor of 90 %; bias" in said


def test_without_a_declared_failure_there_is_no_verdict(tmp_path: Path) -> None:
    said = opening(tmp_path, planted(), relying(), {})
    assert "among 4 expectations" in said and "2 without a verdict" in said
    assert "“independent errors” is broken by rho = 1; no failure declared" in said


def test_the_reason_for_a_floor_is_told(tmp_path: Path) -> None:
    said = opening(tmp_path, planted(), relying(), spec(floor=0.85, why="as published"))
    assert "nothing that it assumes is broken; as published" in said


def test_the_terminal_lists_the_surprises() -> None:
    about = catalogue(SOUND, BROKEN)
    head, line, *_ = surprise_lines(judged(planted(), about, {}), about)
    assert head.startswith("2 surprises among 6 expectations: 1 method fails unexpectedly")
    assert line.startswith("  toy/careless fails unexpectedly in toy/line at rho = 1 (n = 100):")
    assert surprise_lines(judged(planted(), {}, {}), {}) == []


def test_how_many_replicates_would_decide_is_told() -> None:
    def needing(*numbers: float, tries: int = 90) -> list[dict[str, Any]]:
        row = {"verdict": "inconclusive", "tries": tries}
        return [row | {"needed": needed} for needed in numbers]

    assert undecided([]) == ""
    assert undecided(needing(611)) == (
        "1 is inconclusive: if its numbers are as measured, 620 replicates decide it nine times in "
        "ten"
    )
    assert undecided(needing(611, 95, 12_345)) == (
        "3 are inconclusive: if their numbers are as measured, 620 replicates decide each of 2 "
        "nine times in ten, 13,000 each of 3"
    )
    assert undecided(needing(611, np.inf)).endswith(
        "620 replicates decide each of 1 nine times in ten"
    )
    assert "no number of replicates" in undecided(needing(np.inf))
    few = "fewer than 30 replicates, too few to say how many would decide"
    assert undecided(needing(17, tries=2)) == f"1 is inconclusive, 1 of {few}"
    mixed = undecided([*needing(17, 20, tries=29), *needing(611)])
    assert f"3 are inconclusive, 2 of {few}: if" in mixed and "620 replicates decide e" in mixed


def with_pretest(delta: float) -> pd.DataFrame:
    """Return the planted run with a test that passes where the careless method errs little."""
    parts = []
    for dial, setting in ((None, None), ("rho", 0.5), ("rho", 1.0)):
        cell = fits(BROKEN, dial=dial, setting=setting)
        error = np.abs(cell["estimate"] - cell["truth"])
        alarm = error > delta if dial else np.arange(len(cell)) < 10
        nothing = dict.fromkeys(("truth", "estimate", "std_error", "ci_low", "ci_high"), np.nan)
        names = {"kind": "diagnostic", "estimator": "toy/pretest", "estimand": None}
        parts.append(cell.assign(**names, passed=~alarm, **nothing))
    return pd.concat([planted(), *parts], ignore_index=True)


def test_diagnostics_are_scored_with_what_they_leave(tmp_path: Path) -> None:
    about = catalogue(SOUND, BROKEN, "toy/pretest")
    about["estimators"]["toy/pretest"] |= {"tests": ["independent errors"], "kind": "diagnostic"}
    page = report(tmp_path, with_pretest(0.05), about)
    section = re.sub(r"\s+", " ", text_of(part(page, "diagnostics")))
    found = score_diagnostics(with_pretest(0.05), about)
    line = found[found["estimator"].eq(BROKEN) & found["setting"].eq(1.0)].iloc[0]
    assert f"{percent(line['coverage'])} → {percent(line['coverage_passed'])}" in section
    assert "yes 5.0" in section and "breaks “independent errors”" in section
    names = {p.name for p in (tmp_path / "plots").iterdir()}
    assert "toy--line-n-100-diagnostics-rho.svg" in names


def test_without_diagnostics_or_refits_there_are_no_such_sections(run: tuple[Path, str]) -> None:
    assert not part(run[1], "diagnostics") and not part(run[1], "seeds")


# --- one verdict: nothing on a page contradicts another


def lose(rows: pd.DataFrame, share: float, status: str) -> pd.DataFrame:
    """Take the answers from a share of the answered rows, drawn at random."""
    lost = (np.random.default_rng(1).random(len(rows)) < share) & (rows["status"] == "ok")
    numbers = ["estimate", "std_error", "ci_low", "ci_high"]
    return rows.assign(
        status=rows["status"].mask(lost, status), reason=rows["reason"].mask(lost, "why"),
        **{name: rows[name].where(~lost) for name in numbers},
    )  # fmt: skip


def test_a_valid_method_that_fails_is_broken_in_headline_heat_map_and_console(
    tmp_path: Path,
) -> None:
    rows, about = lose(fits(SOUND, replicates=400), 0.22, "failed"), catalogue(SOUND)
    page = report(tmp_path, rows, about)
    table = score(rows, about)
    (found,) = judge_expectations(table, about, {}).to_dict("records")
    assert (found["coverage_verdict"], found["verdict"]) == ("broken", "fails unexpectedly")
    assert "1 of 1 method broke: 1 with every dial at its default" in text_of(page)
    share = percent(found["coverage"])
    assert re.search(rf'data-verdict="broken"><span class="share"><b>{share}', page)
    assert "▼" in page and f"coverage {share} %" in re.sub(r"\s+", " ", findings(page))
    (line,) = summary(table, judge_expectations(table, about, {}), about).to_dict("records")
    assert line["broken"] and line["coverage %"].startswith(share)
    lost = f", with misses by the {percent((rows['status'] == 'failed').mean())} % of its fits"
    (said,) = (w for w in surprise_lines(judge_expectations(table, about, {}), about) if "rho" in w
               or "default" in w)  # fmt: skip
    assert lost in said
    broken = report(tmp_path, lose(fits(BROKEN, se=0.05), 0.02, "failed"), catalogue(BROKEN))
    assert "with misses by" not in text_of(broken)  # failures are not what it breaks by


def test_a_valid_method_that_declines_at_random_is_sound_everywhere(tmp_path: Path) -> None:
    rows, about = fits(SOUND, replicates=1000), catalogue(SOUND)
    rows = pd.concat([rows, fits(SOUND, dial="rho", setting=1.0, replicates=1000)])
    rows = lose(rows.reset_index(drop=True), 0.2, "declined")
    table = score(rows, about)
    page = report(tmp_path, rows, about)
    found = judge_expectations(table, about, {})
    assert set(found["coverage_verdict"]) == {"sound"} and set(found["verdict"]) == {
        "valid as declared"
    }
    declined = int((rows["status"] == "declined").sum())
    assert declined > 300 and found["tries"].sum() == 2000 - declined
    assert table["coverage_with_failures"].equals(table["coverage"])
    assert (table["failure_rate"] == 0).all() and (table["shortfall_failures"] == 0).all()
    (broken,) = measure_sensitivity(rows, table, about).to_dict("records")
    assert np.isnan(broken["breakdown"]) and broken["note"] == "not reached"
    assert "No method broke" in text_of(page) and "cost another" not in page


@pytest.mark.parametrize("seed", range(12))
def test_no_two_verdicts_of_a_page_contradict_each_other(tmp_path: Path, seed: int) -> None:
    """Cells of any coverage, with failures and declines, some declared to fail."""
    rng = np.random.default_rng(seed)
    parts = []
    for name in (SOUND, BROKEN):
        for dial, setting in ((None, None), ("rho", 0.5), ("rho", 1.0)):
            wrong = {"se": rng.uniform(0.03, 0.16), "bias": rng.uniform(-0.2, 0.2)}
            count = int(rng.integers(20, 300))
            part = fits(name, dial=dial, setting=setting, replicates=count, **wrong)
            part = lose(part, rng.choice([0.0, 0.1, 0.3]), "failed")
            parts.append(lose(part, rng.choice([0.0, 0.2]), "declined"))
    rows, about = pd.concat(parts, ignore_index=True), relying()
    said = spec(fails={"toy/careless": {"rho": 0.5}})
    tables = RunTables.of_rows(rows, about, suite=said)
    found = tables["expectations"]
    page = write_report(tmp_path, tables).read_text()
    for line in found.to_dict("records"):
        agrees_with_its_numbers(line)
    marked = re.findall(r'data-verdict="([^"]+)"', page)
    assert sorted(marked) == sorted(found["coverage_verdict"])
    surprised = set(found["verdict"]) & {"fails unexpectedly", "survives unexpectedly"}
    assert ("No surprise" in text_of(page)) is not bool(surprised)
    assert "perhaps by chance" not in page
    tagged = page.count("a surprise: nothing it assumes is broken")
    assert not tagged or "fails unexpectedly" in surprised
    if "as declared: it must fail here" in page:
        assert "fails as declared" in set(found["verdict"])


NEARLY = {
    "coverage": [(BROKEN, s, {"se": 0.1 if s is None else 0.073}) for s in (None, 0.5, 1.0)],
    "coverage at the default too": [(BROKEN, s, {"se": 0.073}) for s in (None, 0.5, 1.0)],
    "bias": [(SOUND, None, {"bias": 0.062, "se": 0.13, "replicates": 400})]
    + [(SOUND, s, {"se": 0.11, "replicates": 400}) for s in (0.5, 1.0)],
}
"""Cells that are beyond a bound by their own limits, and not by those of all cells at once."""


@pytest.mark.parametrize("what", NEARLY)
def test_what_only_pointwise_limits_show_is_no_finding(tmp_path: Path, what: str) -> None:
    """Beside "No surprise" stood findings that were read off other limits than the verdicts."""
    cells = NEARLY[what]
    if what != "bias":
        cells = [(SOUND, s, {}) for s in (None, 0.5, 1.0)] + cells
    rows = [
        fits(name, dial=s and "rho", setting=s, **{"replicates": 100, **how})
        for name, s, how in cells
    ]
    said = spec(fails={BROKEN: {"rho": 0.5}})
    tables = RunTables.of_rows(pd.concat(rows, ignore_index=True), relying(), suite=said)
    scores, found = tables["scores"], tables["expectations"]
    pointwise = {
        "bias": scores["bias"] - 1.96 * scores["bias_mcse"] > 0.5 * scores["empirical_se"],
        "coverage": scores["coverage_with_failures_high"] < found["floor"],
    }
    assert pointwise[what.split(maxsplit=1)[0]].any()
    assert set(found["verdict"]) <= {"inconclusive", "valid as declared"}
    page = write_report(tmp_path, tables).read_text(encoding="utf-8")
    words = " ".join(text_of(page).split())
    assert findings(page) == "" and "No method broke" in words and "No surprise among" in words
    for tag in ("as declared: it", "perhaps by chance", "a surprise: nothing it assumes"):
        assert tag not in words


def test_standard_errors_are_told_where_intervals_cover(tmp_path: Path) -> None:
    """Limits of the right width beside an SE of half or of three times the size."""
    right = fits(SOUND, replicates=400)
    for factor, size, value in ((0.5, "small", "0.50"), (3.0, "large", "3.0")):
        words = f"has too {size} standard errors in toy/line : SE ratio {value}"
        off = right.assign(std_error=factor * right["std_error"])
        page = report(tmp_path, off, catalogue(SOUND))
        said = " ".join(findings(page).split())
        assert words in said
        assert ("a surprise: nothing it assumes is broken" in said) is (factor < 1)
        assert "Held up" not in said or factor > 1


@pytest.mark.parametrize(
    ("how", "verdict", "mark"),
    [
        ({"se": 0.08}, "low", "▽"), ({"bias": 0.07, "se": 0.3}, "conservative", "▲"),
        ({"se": 0.11}, "sound", ""),
    ],
)  # fmt: skip
def test_who_is_below_nominal_or_may_be_biased_has_not_held_up(
    tmp_path: Path, how: dict[str, Any], verdict: str, mark: str
) -> None:
    tables = RunTables.of_rows(fits(SOUND, replicates=400, **how), catalogue(SOUND))
    (line,) = tables["expectations"].to_dict("records")
    assert line["coverage_verdict"] == verdict
    page = write_report(tmp_path, tables).read_text(encoding="utf-8")
    assert ("Held up" in text_of(page)) is (verdict == "sound")
    (cell,) = re.findall(r'<span class="share">.*?</span></span>', page)
    assert text_of(cell).split()[1:] == [mark] * bool(mark)


@pytest.mark.parametrize("share", [0.04, 0.5])
def test_what_a_verdict_leaves_out_is_said(tmp_path: Path, share: float) -> None:
    """Of a method that declines at one setting: on the page, on the terminal, at its dial."""
    parts = [fits(SOUND, replicates=1000)]
    moved = fits(SOUND, dial="rho", setting=1.0, replicates=1000)
    parts.append(failed(moved, share, "declined", "too thin"))
    tables = RunTables.of_rows(pd.concat(parts, ignore_index=True), catalogue(SOUND))
    assert tables["expectations"]["declined"].tolist() == [0.0, share]
    page = " ".join(text_of(write_report(tmp_path, tables).read_text(encoding="utf-8")).split())
    (line,) = surprise_lines(tables["expectations"], catalogue(SOUND))[1:2] or [""]
    for text in (page, line):
        told = "1 judged on a part of the data sets: more than 5 % of them were declined" in text
        assert told is (share > 0.05)
    assert ("it declined up to 50 % of the data sets" in page) is (share > 0.05)
    assert ("judged on the 500 of 1000 data sets" in page) is (share > 0.05)
    assert ("Held up" in page) is (share <= 0.05)


def test_declines_are_those_of_the_direction(tmp_path: Path) -> None:
    """A dial both ways, declined on one side: the other side said so too."""
    parts = [fits(SOUND, replicates=400)]
    for setting, share in ((-1.0, 0.0), (1.0, 0.6)):
        moved = fits(SOUND, dial="rho", setting=setting, replicates=400)
        parts.append(failed(moved, share, "declined", "too thin") if share else moved)
    tables = RunTables.of_rows(pd.concat(parts, ignore_index=True), catalogue(SOUND))
    page = " ".join(text_of(write_report(tmp_path, tables).read_text(encoding="utf-8")).split())
    assert page.count("it declined up to 60 % of the data sets") == 1
    assert "rho downwards" in page and "rho upwards" in page


def test_bands_have_a_section_and_a_mark(tmp_path: Path) -> None:
    """Bands of a tenth of the limits' width; pointwise limits hold five horizons in 0.95^5."""
    rng = np.random.default_rng(2)
    parts = [
        fits(SOUND, estimand="ATT", horizon=h, replicates=400,
             estimate=1 + 0.1 * (e := rng.normal(size=400)), ci_low=0.804 + 0.1 * e,
             ci_high=1.196 + 0.1 * e, band_low=0.98 + 0.1 * e, band_high=1.02 + 0.1 * e)
        for h in range(5)
    ]  # fmt: skip
    about = catalogue(SOUND)
    about["estimators"][SOUND]["horizons"] = ["ATT"]
    tables = RunTables.of_rows(pd.concat(parts, ignore_index=True), about)
    page = write_report(tmp_path, tables).read_text(encoding="utf-8")
    line = tables["expectations"].iloc[0]
    assert line["bands_verdict"] == "broken" and line["decided_by"] == "bands"
    section = re.search(r'<section[^>]*id="bands".*?</section>', page, flags=re.S)
    assert section
    words = " ".join(text_of(section.group()).split())
    assert f"Bands that do not hold all horizons: {SOUND}" in words and "▼" in words
    joint = tables["scores"]["joint_coverage"].iloc[0]
    assert abs(joint - 0.95**5) < 4 * tables["scores"]["joint_coverage_mcse"].iloc[0]
    assert f"{percent(joint)} %" in words
    opening = " ".join(text_of(page).split())
    assert "bands of all horizons cover 0.0 %" in opening and "below the floor of 90 %" in opening


def agrees_with_its_numbers(line: dict[str, Any]) -> None:
    """Hold a verdict to the limits and bounds that stand beside it."""
    floor, verdict, coverage = line["floor"], line["verdict"], line["coverage_verdict"]
    assert (line["high"] < floor) is (coverage == "broken")
    if not verdict:
        return
    within = line["low"] > floor and line["bias_verdict"] == line["se_ratio_verdict"] == "within"
    bad = coverage == "broken" or line["bias_verdict"].startswith("too")
    bad = bad or line["se_ratio_verdict"] == "too small"
    wide = not bad and (coverage == "conservative" or line["se_ratio_verdict"] == "too large")
    assert bad is (verdict in ("fails as declared", "fails unexpectedly"))
    assert within or verdict not in ("valid as declared",)
    assert wide or verdict != "conservative"
    if verdict == "survives unexpectedly":
        assert not bad and line["low"] > floor
    assert bad or within or wide or verdict == "inconclusive"


def test_bands_of_hidden_moments_do_not_squash_the_axis(tmp_path: Path) -> None:
    wild = fits(BROKEN, dial="rho", setting=1.0, sd=1e6, se=1e6)
    rows = pd.concat([fits(SOUND), fits(SOUND, dial="rho", setting=1.0), fits(BROKEN), wild])
    about = catalogue(SOUND, BROKEN)
    about["estimators"][BROKEN]["moments"] = False
    (view,) = Contents(RunTables.of_rows(rows, about), tmp_path).views
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.add_subplot()
    look = looks(view.methods)
    for method in view.methods:
        draw_bands(axes, view, (method, "rho", "bias"), look[method], 0.0, 1.0)
    low, high = axes.get_ylim()
    assert -1 < low < high < 1


def test_a_breakdown_that_chance_may_have_made_is_no_point_anywhere(tmp_path: Path) -> None:
    """Coverage of 96, 90 and 88 of 100, the bound 90: no tick, no place to sort by, no length."""
    rows = [
        fits(name, dial=s and "rho", setting=s, replicates=100, se=se)
        for name, claimed in ((SOUND, (0.1, 0.083, 0.08)), (BROKEN, (0.1, 0.06, 0.03)))
        for s, se in zip((None, 0.5, 1.0), claimed, strict=True)
    ]
    about = catalogue(SOUND, BROKEN)
    tables = RunTables.of_rows(pd.concat(rows, ignore_index=True), about)
    lines = tables["sensitivity"].set_index("estimator")
    points = lines["breakdown"].to_dict()
    assert 0 < points[BROKEN] < 0.5 < points[SOUND] < 1
    assert np.isinf(lines.loc[SOUND, "breakdown_high"])
    assert np.isnan(lines.loc[SOUND, "bracket_high"])

    section = part(write_report(tmp_path, tables).read_text(encoding="utf-8"), "breakdown")
    html_rows = re.findall(r"<tr><th.*?</tr>", section, flags=re.S)
    words = {row[0]: row[2:] for row in table_of(section, "sortable breaks-at")[1:]}
    for name, sure in ((SOUND, False), (BROKEN, True)):
        (row,) = (r for r in html_rows if "".join(text_of(r).split()).startswith(name))
        place = re.findall(r'data-v="([^"]*)"', row)[0]  # "" stands last, either way
        assert place == (repr(float(points[name])) if sure else "")
        assert ("falls below" in words[name][0]) is sure
        assert ("may fall below" in words[name][0]) is not sure
        assert ("→" in words[name][3]) is sure

    (view,) = Contents(tables, tmp_path).views
    figure: Any = curve(view, "rho", looks(view.methods)).figure()
    ticks = [line for line in figure.axes[0].lines if line.get_marker() == "|"]
    assert [list(line.get_xdata()) for line in ticks] == [[points[BROKEN]]]
    assert [line.get_color() for line in ticks] == [looks(view.methods)[BROKEN].colour]


def test_answers_outside_their_own_limits_open_the_page(tmp_path: Path) -> None:
    rows = fits(SOUND)
    beside = rows.assign(estimate=rows["estimate"] + np.where(rows["replicate"] % 4 == 0, 9.0, 0.0))
    page = report(tmp_path, beside, catalogue(SOUND))
    words = " ".join(findings(page).split())
    assert words.startswith("25 % toy/sound contradicts itself in toy/line : 25 % (20–31) of its")
    assert "toy/sound contradicts itself; no method broke" in text_of(page)
    assert "Held up" not in page
    assert "contradicts itself" not in findings(report(tmp_path / "sound", rows, catalogue(SOUND)))
