import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from toys import plugin

import cibench
from cibench.execution import RunSettings
from cibench.gate.baseline import save
from cibench.gate.rules import MEASURES, Rules
from cibench.render.figures import can_draw

PLUGIN = plugin(
    "made",
    '''
@estimator("made/difference", targets=(Estimand.ATE,))
def difference(problem, rng):
    """Compare the treated with the untreated."""
    y, d = problem.outcome, problem.treatment
    value = contrast(problem) + BIAS
    se = FACTOR * np.sqrt(y[d == 1].var() + y[d == 0].var()) / np.sqrt(y.size / 2)
    return Estimate.wald(value, se, problem.level)

@estimator("made/dice", targets=(Estimand.ATE,))
def dice(problem, rng):
    """Add noise of its own that no address decides."""
    fresh = np.random.default_rng(int.from_bytes(os.urandom(8), "little"))
    value = contrast(problem) + DICE * fresh.normal()
    return Estimate.wald(value, np.sqrt(8 / problem.outcome.size), problem.level)
''',
).replace("rng.normal(size=n)", "rng.normal(size=n) + SHIFT")
VALUES = {"SHIFT": "0", "BIAS": "0", "FACTOR": "1", "DICE": "0.02"}
SUITE = """
name = "made"
seed = 5
replicates = 150
plugins = ["made.py"]
[[cells]]
scenario = "made/randomised"
n = 40
parameters = { effect = [0.5, 0.0] }
estimators = ["made/difference"]
"""
RANDOM = SUITE.replace('"made/difference"', '"made/dice"').replace("made.py", "made.py")


@pytest.fixture
def place(tmp_path, monkeypatch, shelves):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    (tmp_path / "made.toml").write_text(SUITE)
    return tmp_path


def write(folder, **values):
    text = PLUGIN
    for name, value in {**VALUES, **values}.items():
        text = text.replace(name, value)
    (folder / "made.py").write_text(text)


@pytest.fixture
def base(place, call):
    cibench.run("made.toml", out="results/made")
    assert call("baseline", "save", "results/made", "one")[0] == 0
    return place


def verdict(folder="results/check-one"):
    return json.loads((Path(folder) / "verdict.json").read_text())


def test_the_same_code_is_identical_and_may_be_checked_again(base, call):
    for _ in range(2):
        code, out, _ = call("check", "made.toml", "--against", "one")
        assert (code, out.splitlines()[-2]) == (0, "passed: 2 identical")
    found = verdict()
    assert found["verdict"] == "identical" and found["exit_code"] == 0
    assert [c["changed_share"] for c in found["cells"]] == [0, 0]
    assert found["provenance"]["run"] == "results/check-one/run"


def test_a_run_is_checked_as_a_suite_is(base, call):
    code, out, _ = call("check", "results/made", "--against", "one", "--out", "there")
    assert code == 0 and "passed: 2 identical" in out
    assert not (base / "there" / "run").exists()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("bias", "words"),
    [("1e308", "answers lost"), ("-1e308", "answers lost"), ("-1e100", "bias, coverage")],
)  # fmt: skip
def test_estimates_at_the_end_of_the_numbers_fail_the_gate_in_words(base, call, bias, words):
    """One whose square is no number is no answer; any other is compared, without an overflow."""
    write(base, BIAS=bias)
    (base / "made.toml").write_text(SUITE.replace("replicates = 150", "replicates = 20"))
    code, out, complaints = call("check", "made.toml", "--against", "one")
    assert code == 1 and words in out
    assert "Traceback" not in complaints and "overflow" not in complaints
    assert verdict()["verdict"] == "worse"
    assert all("NaN" not in p.read_text() for p in Path("results/check-one").glob("verdict.json"))


def test_inflated_standard_errors_fail_the_gate_in_every_output(base, call):
    write(base, FACTOR="1.1")
    code, out, _ = call("check", "made.toml", "--against", "one")
    assert code == 1
    assert "statistically changed" in out and "+10.0 % (0)" in out
    assert "cibench replay results/check-one/run --scenario made/randomised --replicate" in out
    assert "source changed: estimator made/difference" in out
    found = verdict()
    assert found["exit_code"] == 1
    one = {m["measure"]: m for m in found["cells"][0]["measures"]}
    assert one["std_error"]["difference"] == pytest.approx(0.1)
    assert one["estimate"]["difference"] == 0
    assert "made/difference" in found["cells"][0]["changed_most"][0]["replay"]
    folder = base / "results" / "check-one"
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite.attrib["failures"] == "2" and len(suite.findall("testcase/failure")) == 2
    markdown = (folder / "summary.md").read_text()
    assert markdown.startswith("### ⚠️ cibench: failed: 2 statistically changed")
    assert "| `made/difference` |" in markdown and "cibench replay" in markdown
    page = (folder / "verdict.html").read_text()
    picture = "<img" if can_draw() else "There are no plots here"
    for words in (picture, "typical standard error", "+10.0 %", "cibench replay", "Margins"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")


def test_which_verdicts_fail_and_margins_can_be_set(base, call):
    write(base, FACTOR="1.1")
    check = ("check", "made.toml", "--against", "one")
    assert call(*check, "--fail-on", "worse")[0] == 0
    assert call(*check, "--fail-on", "statistically-changed")[0] == 1
    wide = [f"--margin={name}=0.5" for name in ("std_error", "se_ratio", "length", "lower_limit",
                                                "upper_limit", "coverage")]  # fmt: skip
    assert call(*check, *wide)[0] == 0
    assert verdict()["verdict"] == "numerically changed"


def test_a_growing_bias_is_worse(base, call):
    write(base, BIAS="1.5")
    code, out, _ = call("check", "made.toml", "--against", "one", "--replicates", "60")
    assert code == 1 and "failed: 2 worse" in out
    assert verdict()["cells"][0]["replicates"] == [60, 60]


def test_other_data_of_the_same_addresses_are_not_comparable(base, call):
    write(base, SHIFT="1")
    code, out, _ = call("check", "made.toml", "--against", "one")
    assert code == 2 and "not comparable: 2 not comparable" in out
    assert "the data of 150 of 150 replicates differ" in out
    assert verdict()["cells"][0]["why"]


def test_an_estimator_that_is_not_deterministic_is_said_to_be(place, call):
    (place / "made.toml").write_text(RANDOM)
    cibench.run("made.toml", out="results/made", checks=False)
    assert call("baseline", "save", "results/made", "one")[0] == 0
    for what in ("made.toml", "results/other"):
        if what == "results/other":
            cibench.run("made.toml", out="results/other", checks=False)
        switch = ["--no-checks"] if what == "made.toml" else []
        code, out, _ = call("check", what, "--against", "one", *switch)
        assert code == 0
        assert "numerically changed" in out and "not deterministic given its stream" in out
        assert "not deterministic" in verdict()["cells"][0]["notes"][0]
    write(place, DICE="0.02 + 0.4")  # moves every estimate's noise, and the mean far enough
    write(place, FACTOR="1", DICE="0.02", BIAS="0")
    text = (place / "made.py").read_text().replace("fresh.normal()", "fresh.normal() + 0.2")
    (place / "made.py").write_text(text)
    assert call("check", "made.toml", "--against", "one", "--no-checks")[0] == 1


def test_unpaired_takes_other_addresses(base, call):
    code, out, _ = call("check", "made.toml", "--against", "one", "--unpaired")
    assert code == 0 and "other data on either side" in out
    assert verdict()["paired"] is False and verdict()["provenance"]["after"]["seed"] == 6
    (base / "other.toml").write_text(SUITE.replace("seed = 5", "seed = 77"))
    write(base, BIAS="1.5")
    code, _, _ = call("check", "other.toml", "--against", "one", "--unpaired")
    assert code == 1
    assert verdict()["provenance"]["after"]["seed"] == 77


@pytest.mark.parametrize(
    ("edit", "arguments", "line"),
    [
        (("seed = 5", "seed = 6"), (), "is of seed 5, not 6"),
        (('name = "made"', 'name = "made2"'), (), "is of the suite made, not made2"),
        (("seed = 5", "seed = 5\nlevel = 0.9"), (), "is of the level 0.95, not 0.9"),
        (("n = 40", "n = 44"), (), "have no cell in common"),
        (("", ""), ("--replicates", "200"), "baseline one has 150, not 200"),
        (("", ""), ("--margin", "covrage=1"), "did you mean 'coverage'"),
        (("", ""), ("--alpha", "7"), "alpha: 7 is not between 0 and 1"),
        (("", ""), ("--against", "onn"), "no baseline named 'onn'; did you mean 'one'?"),
        (("", ""), ("--fail-on", "wrse"), "did you mean 'worse'"),
        (("", ""), ("--out", "."), "no check wrote it"),
        (("", ""), ("--workers", "0"), "--workers: 0 is not"),
        (("", ""), ("--expect",), "with --against, or judge expectations with --expect"),
    ],
)
def test_bad_input_is_one_line_code_2_and_nothing_written(base, call, edit, arguments, line):
    (base / "made.toml").write_text(SUITE.replace(*edit))
    before = {p for p in base.rglob("*") if "__pycache__" not in p.parts}
    against = () if "--against" in arguments else ("--against", "one")
    code, out, err = call("check", "made.toml", *against, *arguments)
    assert (code, out) == (2, "")
    assert line in err and err.count("\n") == 1
    assert {p for p in base.rglob("*") if "__pycache__" not in p.parts} == before


def test_a_run_is_not_compared_with_itself_as_if_it_were_other_data(base, call):
    code, _, err = call("check", "results/made", "--against", "one", "--unpaired")
    assert code == 2 and "compare them in pairs" in err
    code, _, err = call("check", "results/made", "--against", "one", "--out", "results/made")
    assert code == 2 and "holds the run" in err
    code, _, err = call("check", "results/made", "--against", "one", "--replicates", "5")
    assert code == 2 and "give a suite" in err


def test_a_missing_cell_is_not_comparable(base, call):
    (base / "made.toml").write_text(SUITE.replace("[0.5, 0.0]", "[0.5, 0.1]"))
    code, out, _ = call("check", "made.toml", "--against", "one")
    assert code == 2
    assert "the new run lacks it" in out and "the baseline lacks it" in out
    assert "2 not comparable, 1 identical" in out


def test_list_and_show_tell_what_there_is(base, call):
    code, out, _ = call("baseline", "list")
    assert code == 0 and "one" in out and "made" in out
    code, out, _ = call("baseline", "show", "one")
    assert code == 0
    for words in ("made/randomised, n = 40", "digest", "numpy", "made/difference"):
        assert words in out
    assert "no baseline here" in call("baseline", "list", "--baselines", "nowhere")[1]


def test_the_command_line_checks_in_worker_processes(base, call):
    code, out, err = call("check", "made.toml", "--against", "one", "--workers", "1")
    assert code == 0 and "passed: 2 identical" in out
    assert "300 of 300 rows" in err
    write(base, BIAS="(os._exit(3) if y[0] > 2 else 0)")  # which would end the test
    call("check", "made.toml", "--against", "one", "--workers", "1")
    rows = cibench.load("results/check-one/run").replicates
    assert 0 < (rows["status"] == "crashed").sum() < 30


def test_a_bundle_of_the_worst_fit_is_handed_over(base, call):
    write(base, FACTOR="(1 + 0.2 * (y.mean() > 0))")
    arguments = ["check", "made.toml", "--against", "one", "--workers", 1, "--bundle"]
    code, out, _ = call(*arguments)
    assert code == 1 and out.count("  bundle: ") == 2  # a change in each of the two cells
    folder = Path(out.split("  bundle: ")[1].split()[0])
    assert folder.is_relative_to("results/check-one/bundles")
    assert {path.name for path in folder.iterdir()} >= {"reproduce.py", "data.csv", "fit.json"}
    change = json.loads((folder / "change.json").read_text())
    before, after = change["std_error"]
    assert after == pytest.approx(1.2 * before, rel=1e-12)
    (stored,) = json.loads((folder / "fit.json").read_text())["stored"]
    assert stored["replicate"] == change["replicate"] and stored["std_error"] == pytest.approx(
        after
    )
    assert f"changed most in replicates {change['replicate']} (" in out
    found = json.loads(Path("results/check-one/verdict.json").read_text())
    worst = [cell["changed_most"][0]["replicate"] for cell in found["cells"]]
    assert change["replicate"] in worst


def test_the_replay_command_names_the_cell(base, call):
    """Both cells have the scenario, the size and the replicates in common."""
    write(base, FACTOR="1.1")
    call("check", "made.toml", "--against", "one", "--workers", 1)
    found = json.loads(Path("results/check-one/verdict.json").read_text())
    replays = {cell["changed_most"][0]["replay"] for cell in found["cells"]}
    assert sum("--parameter effect=0.0" in command for command in replays) == 1


def test_nothing_is_bundled_where_no_fit_changed(base, call):
    code, out, _ = call("check", "made.toml", "--against", "one", "--workers", 1, "--bundle")
    assert code == 0 and "no single fit changed: nothing to bundle" in out
    assert not Path("results/check-one/bundles").exists()
    code, _, err = call("check", "made.toml", "--expect", "--bundle")
    assert code == 2 and "--bundle: single fits change only against a baseline" in err


RAISES = """
    if y[0] > 2:
        raise ZeroDivisionError("no neighbour within the bandwidth")
"""


def test_answers_that_raise_now_fail_with_reason_replicate_and_replay(base, call):
    text = (base / "made.py").read_text()
    mark = "    value = contrast(problem) + 0\n"
    assert mark in text
    (base / "made.py").write_text(text.replace(mark, f"{RAISES}{mark}"))
    code, out, _ = call("check", "made.toml", "--against", "one", "--workers", 1)
    assert code == 1
    folder = Path("results/check-one")
    texts = [(folder / name).read_text() for name in ("summary.md", "junit.xml", "verdict.html")]
    for words in (" ".join(out.split()), *texts):
        assert "no neighbour within the bandwidth" in words
        assert "answers lost" in words and "replay" in words
    lost = {cell["estimator"]: cell["changed_most"][0] for cell in verdict()["cells"]}[
        "made/difference"
    ]
    assert lost["status"] == ["ok", "failed"] and "ZeroDivisionError" in lost["reason"]
    assert f"--replicate {lost['replicate']} " in lost["replay"]


def test_a_check_of_what_never_answered_compares_nothing(base, call):
    """As saved by an earlier version, which took it."""
    write(base, FACTOR="problem.no_such_column")
    run = cibench.run("made.toml", out="results/silent", settings=RunSettings(checks=False))
    code, _, err = call("baseline", "save", "results/silent", "two")
    assert code == 2 and "no fit has an answer, mostly: AttributeError" in err
    save(run, "two", silent=True)
    code, out, _ = call("check", "made.toml", "--against", "two", "--no-checks", "--workers", 1)
    assert code == 2 and "passed" not in out
    assert "no_such_column" in "".join(out.split())


def test_the_help_names_every_measure_and_verdict(call):
    out = " ".join(call("check", "--help").out.split())
    for name in (*MEASURES, *Rules().failing, "conservative"):
        assert str(name).replace(" ", "-") in out.replace("- ", "-")
