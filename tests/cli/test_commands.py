import json
import textwrap
from importlib.metadata import version

import pytest
from commands import loaded, python
from replicates import put_apart

from cibench.cli import display
from cibench.results.tables import TABLES, When

METHODS = '"rd/global-polynomial", "rd/local-linear"'
SUITE = """
name = "small"
seed = 1
replicates = 4
[[cells]]
scenario = "rd/cct-1"
n = 80
dials = { sorting = 0.4 }
estimators = ["rd/global-polynomial", "rd/local-linear"]
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SUITE)
    return path


def test_list_names_everything(call):
    code, out, _ = call("list")
    assert code == 0
    for name in ("rd/cct-1", "did/two-group", "rdrobust/robust", "quickstart"):
        assert name in out
    code, out, _ = call("list", "scenarios", "--json")
    assert {e["name"] for e in json.loads(out)["scenarios"]} >= {"rd/cct-1", "did/two-group"}
    assert "estimators" not in json.loads(out)


def test_the_version_is_that_of_the_distribution(call):
    code, out, _ = call("--version")
    assert (code, out) == (0, f"cibench {version('cibench')}\n")


def test_a_long_table_ends_with_how_much_of_it_is_left_out(tmp_path, call, monkeypatch):
    sizes = list(range(80, 92))
    cell = f'[[cells]]\nscenario = "rd/cct-1"\nn = {sizes}\nestimators = ["rd/global-polynomial"]\n'
    (tmp_path / "long.toml").write_text(f'name = "long"\nseed = 1\nreplicates = 40\n{cell}')
    assert call("run", "long.toml", "--out", "long").code == 0
    whole = call("score", "long").out
    assert whole.count("rd/cct-1, n = ") == 12 and "more lines" not in whole
    broken = [block.count("▼ ") for block in whole.split("rd/cct-1, n = ")[1:]]
    for most, blocks in ((7, 7), (0, 1)):
        monkeypatch.setattr(display, "LINES", most)
        short = call("score", "long").out
        assert short.count("rd/cct-1, n = ") == blocks
        left = sum(broken[blocks:])
        assert f"and {12 - blocks} more lines, {left} with ▼" in short


def test_show_tells_equations_estimand_dials_units_assumptions_and_reference(call):
    code, out, _ = call("show", "rd/cct-1")
    assert code == 0
    for words in (
        "2 Beta(2, 4) - 1", "ATE_AT_CUTOFF", "no manipulation", "0.1, 0.2, 0.4",
        "share of units just below the cutoff that sort above", "Econometrica",
    ):  # fmt: skip
        assert words in out
    assert "no heaping" in call("show", "rdrobust/robust")[1]
    assert "[[cells]]" in call("show", "quickstart")[1]


def test_run_scores_reports_and_says_where_and_goes_on_in_the_same_folder(call, suite, tmp_path):
    code, out, err = call("run", suite, "--workers", 2)
    assert (code, "rd/local-linear" in out) == (0, True)
    folder = tmp_path / "results" / "small"
    assert out.splitlines()[-1] == f"report: {folder / 'report.html'}"
    assert {p.name for p in folder.iterdir()} == {
        "suite.toml", "manifest.json", "catalogue.json", "replicates", "plots", "report.html",
        "tables", ".lock", ".status.json", *(t.file for t in TABLES if t.when is When.ALWAYS),
    }  # fmt: skip
    assert "16 of 16 rows" in err
    before = {p: p.stat().st_mtime_ns for p in (folder / "replicates").iterdir()}
    assert call("run", suite) == (0, out, "")
    assert {p: p.stat().st_mtime_ns for p in (folder / "replicates").iterdir()} == before
    code, _, err = call("run", folder, "--replicates", 5)
    assert code == 0 and "20 of 20 rows" in err
    assert call("run", suite)[::2] == (2, (
        "cibench: results/small holds rows that today would be others: replicates beyond the "
        "suite's 4 (4 rows). --update sets them aside and runs what is missing, --out names "
        "another folder\n"
    ))  # fmt: skip
    assert call("run", suite, "--update")[0] == 0


def test_status_says_how_far_a_run_is_cell_by_cell(call, suite, tmp_path):
    assert call("run", suite, "--out", "r")[0] == 0
    code, out, _ = call("status", "r")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "finished: 16 of 16 rows are stored"
    assert lines[2].split() == ["rd/cct-1", "n=80", "8", "of", "8", "0", "done"]
    put_apart(tmp_path / "r")
    (tmp_path / "r" / "replicates" / "cell-00001-00000.parquet").unlink()
    note = tmp_path / "r" / ".status.json"
    said = json.loads(note.read_text())
    note.write_text(json.dumps({**said, "state": "running"}))  # this process has it no more
    assert call("status", "r")[1].startswith("killed: 8 of 16 rows are stored")
    note.write_text(json.dumps({**said, "state": "running", "process_started": 1}))
    lines = call("status", "r")[1].splitlines()
    assert lines[0] == "killed: 8 of 16 rows are stored"
    assert lines[3].endswith("waiting")
    assert lines[-1] == "to go on from there: cibench run r"


def test_score_and_report_work_from_the_folder_alone(call, suite, tmp_path):
    assert call("run", suite, "--out", "r", "--replicates", 3)[0] == 0
    first = (tmp_path / "r" / "scores.csv").read_text()
    (tmp_path / "r" / "scores.csv").unlink()
    (tmp_path / "r" / "report.html").unlink()
    assert call("score", "r")[0] == 0
    assert (tmp_path / "r" / "scores.csv").read_text() == first
    code, _, _ = call("report", "r")
    assert code == 0 and (tmp_path / "r" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("run", "quikstart"), "no suite named 'quikstart'; did you mean 'quickstart'?"),
        (("run", "none.toml"), "none.toml: No such file or directory"),
        (("run", "quikstart.toml"), "No such file or directory; did you mean 'quickstart'? It co"),
        (("plan", "suites/quikstart.toml"), "; did you mean 'quickstart'? It comes with cibench"),
        (("run", "--replicates", "0"), "replicates: 0 is not a whole number above 0, 100,000,000"),
        (("run", "--replicates", "1000000000000000"), "is not a whole number above 0, 100,000,000"),
        (("run", "--workers", "0"), "--workers: 0 is not a number of 1 to 1,000"),
        (("run", "--workers", "1000000"), "--workers: 1000000 is not a number of 1 to 1,000"),
        (("run", "--replicate", "4"), "No such option: --replicate"),
        (("show", "rd/cct-9"), "did you mean 'rd/cct-"),
        (("status", "nowhere"), "nowhere is not a run folder: it has no manifest.json"),
        (("run", "."), ". is not a run folder: it has no suite.toml"),
        (("score", "nowhere"), "nowhere is not a run folder: it has no manifest.json"),
        (("report", "nowhere"), "nowhere is not a run folder"),
        (("new", "scenario", "Bad Name"), "'Bad Name' is not of the form family/name"),
        (("new", "scenario", "rd/cct-1"), "scenario 'rd/cct-1' exists already"),
        (("new", "robot", "x/y"), "'robot' is not one of"),
        (("frobnicate",), "No such command"),
    ],
)
def test_bad_input_is_one_line_on_stderr_code_2_and_nothing_written(
    call, tmp_path, arguments, line
):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("cibench: ") and err.count("\n") == 1
    assert line in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("run", "onw.toml"), "own.toml"),
        (("run", "onw"), "own.toml"),
        (("run", "own"), "the file 'own.toml'"),
        (("plan", "runs/frist"), "runs/first"),
        (("status", "runs/frist"), "runs/first"),
        (("score", "run/first"), "runs/first"),
        (("pack", "runs/fist"), "runs/first"),
        (("lesson", "onw"), "own.toml"),
        (("export", "onw.toml", "--out", "x"), "own.toml"),
        (("unpack", "fist.zip"), "first.zip"),
        (("twin", "show", "sed.csv"), "seed.csv"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_line_with_the_near_miss(call, tmp_path, words, meant):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    for name in ("own.toml", "runs/first/suite.toml", "first.zip", "seed.csv"):
        (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call(*words)
    near = meant if meant.endswith("'") else f"'{meant}'"
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.endswith(f"; did you mean {near}?\n"), err
    assert sorted(tmp_path.rglob("*")) == before


def test_every_mistake_of_a_suite_is_a_line_on_stderr_with_its_own_line(call, suite, tmp_path):
    suite.write_text(SUITE.replace("seed", "sed").replace("0.4", "4"))
    for command, *options in (["run"], ["plan", "--target", "bias=1"], ["check", "--expect"]):
        code, out, err = call(command, "small.toml", *options)
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            "cibench: small.toml:3: sed: no key named 'sed'; did you mean 'seed'?",
            "cibench: small.toml:8: cells[1].dials: rd/cct-1: sorting = 4 lies outside 0 to 1",
        ]
    assert list(tmp_path.iterdir()) == [suite]


@pytest.mark.usefixtures("shelves")
def test_a_cell_without_any_answer_ends_the_run_with_code_1(call, tmp_path):
    (tmp_path / "bad.py").write_text(
        "from cibench import Estimand, estimator\n"
        "@estimator('bad/raises', targets=(Estimand.ATE_AT_CUTOFF,))\n"
        "def raises(problem, rng):\n    raise ValueError('no')\n"
    )
    (tmp_path / "s.toml").write_text(
        SUITE.replace("seed", 'plugins = ["bad.py"]\nseed').replace(METHODS, '"bad/raises"')
    )
    code, _, err = call("run", "s.toml", "--out", "r")
    assert code == 1
    assert "no answer to score in rd/cct-1" in err and "bad/raises" in err
    assert (tmp_path / "r" / "report.html").exists()


SCENARIO_LINES = {
    1: '    reference = "Neyman (1923)"',
    2: "        return self.effect",
    3: "        y = baseline + effects * d",
}
ESTIMATOR_LINES = {
    1: "    value = y[treated].mean() - y[~treated].mean()",
    2: "    se = np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum())",
    3: "    df = None",
}


def fill_in(path, lines):
    text = path.read_text().splitlines()
    marked = [i for i, line in enumerate(text) if "FILL IN" in line]
    assert len(marked) == 3
    for number, index in enumerate(marked, 1):
        text[index] = lines[number]
    path.write_text("\n".join(text) + "\n")


def contracts(path):
    return python("-m", "cibench.contracts", path)


@pytest.mark.parametrize(
    ("what", "lines"), [("scenario", SCENARIO_LINES), ("estimator", ESTIMATOR_LINES)]
)
def test_a_new_file_passes_the_contracts_once_its_three_lines_are_filled_in(
    call, tmp_path, what, lines
):
    code, out, _ = call("new", what, "own/first-try")
    path = tmp_path / "first_try.py"
    assert code == 0 and "first_try.py" in out
    assert contracts(path).returncode == 1
    fill_in(path, lines)
    checked = contracts(path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(path.read_text().splitlines()) <= 40
    assert call("new", what, "own/first-try")[0] == 2


def test_doctor_names_versions_extras_and_threads(call):
    code, out, _ = call("doctor")
    assert code == 0
    for words in ("rdrobust", "pytest", "test", "threads", "Python"):
        assert words in out


@pytest.mark.parametrize("command", [["--help"], ["list"], ["show", "rd/cct-1"]])
def test_quick_commands_import_no_heavy_library(command):
    code = (
        f"from cibench.cli import main\ntry:\n    main({command!r})\nexcept SystemExit:\n    pass"
    )
    heavy = (
        "pandas", "scipy", "matplotlib", "pyarrow", "rdrobust", "linearmodels", "doubleml",
        "sklearn", "statsmodels",
    )  # fmt: skip
    assert loaded(code, heavy)[1] == []


def test_interrupting_before_anything_is_stored_says_so_in_one_line(call, tmp_path, shelves):
    design = """
        from cibench import Estimand, Scenario, scenario

        @scenario("stopped/at-once")
        class AtOnce(Scenario):
            \"\"\"Ctrl-C comes while the truth is worked out.\"\"\"
            estimand, reference = Estimand.ATE, "none"

            def truth(self):
                raise KeyboardInterrupt
    """
    (tmp_path / "stopped.py").write_text(textwrap.dedent(design))
    (tmp_path / "stopped.toml").write_text(
        'name = "stopped"\nseed = 1\nreplicates = 2\nplugins = ["stopped.py"]\n'
        '[[cells]]\nscenario = "stopped/at-once"\nn = 9\nestimators = ["baseline/zero"]\n'
    )
    code, _, err = call("run", "stopped.toml")
    assert (code, err) == (130, "cibench: interrupted\n")
    assert not (tmp_path / "results").exists()
