import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from cibench.analysis.coverage_verdicts import exact
from cibench.analysis.judged_scores import Bounds
from cibench.gate import expectations
from cibench.suite.parse import read_suite
from cibench.utils.errors import BadInput

SUITE = """
name = "made"
seed = 5
replicates = 10
plugins = ["made.py"]
[[cells]]
scenario = "made/randomised"
n = 60
dials = { confounding = 1.0 }
estimators = ["made/difference"]
[cells.expect.fails]
"made/difference" = { confounding = 1.0 }
"""
PLUGIN = '''
"""A randomised design that a dial confounds."""
import numpy as np
from cibench import Draw, Estimand, Estimate, Scenario, dial, estimator, scenario

@scenario("made/randomised")
class Randomised(Scenario):
    """Y = D / 2 + e; with confounding, treated where e is high."""
    estimand = Estimand.ATE
    reference = "none"
    confounding: float = dial(default=0, grid=(0.5, 1.0), within=(0, 1), breaks="no confounding",
                              unit="share of units that choose by e")

    def truth(self):
        return 0.5

    def draw(self, n, rng):
        e, coin, chooses = rng.normal(size=n), rng.permutation(np.arange(n) % 2), rng.random(n)
        d = np.where(chooses < self.confounding, e > 0, coin).astype(float)
        return Draw({"y": 0.5 * d + e, "d": d}, e, np.full(n, 0.5))

@estimator("made/difference", targets=(Estimand.ATE,), assumes=("no confounding",))
def difference(problem, rng):
    """Compare the treated with the untreated."""
    y, d = problem.outcome, problem.treatment == 1
    se = FACTOR * np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
    return Estimate.wald(y[d].mean() - y[~d].mean(), se, problem.level)
'''


@pytest.fixture
def check(tmp_path, shelves, call):
    (tmp_path / "made.toml").write_text(SUITE)

    def run(factor, *arguments):
        (tmp_path / "made.py").write_text(PLUGIN.replace("FACTOR", factor))
        return call("check", *arguments)

    run.call = call
    return run


def test_what_is_declared_is_shown_with_the_replicates_that_the_power_takes(check, tmp_path):
    code, out, _ = check("1.0", "made.toml", "--expect")
    folder = tmp_path / "results" / "check-made"
    assert code == 0 and "passed: 1 fails as declared, 1 valid as declared" in out
    verdict = json.loads((folder / "verdict.json").read_text())
    planned = expectations.replicates_for(read_suite("made.toml"), 0.95)
    assert verdict["replicates"] == planned and verdict["exit_code"] == 0
    assert {c["expected"] for c in verdict["cells"]} == {"valid", "fails"}
    assert (folder / "run" / "report.html").exists()
    code, out, _ = check("1.0", folder / "run", "--expect", "--out", "again")
    assert code == 0 and (tmp_path / "again" / "junit.xml").exists()


def test_a_surprise_fails_and_stands_in_every_output(check, tmp_path):
    code, out, _ = check("0.6", "made.toml", "--expect")
    assert code == 1 and "failed: 1 fails unexpectedly" in out
    folder = tmp_path / "results" / "check-made"
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite.attrib["failures"] == "1"
    assert "fails unexpectedly" in suite.find("testcase/failure").attrib["message"]
    assert "| fails unexpectedly | made/randomised, n = 60 |" in (folder / "summary.md").read_text()


def test_what_was_not_judged_is_counted_in_one_way(check, tmp_path):
    """The errors of baseline/zero do not vary: nothing of it can be judged."""
    more = SUITE.replace('["made/difference"]', '["made/difference", "baseline/zero"]')
    (tmp_path / "two.toml").write_text(more)
    _, out, _ = check("1.0", "two.toml", "--expect", "--replicates", "200")
    counts = re.findall(r"\(not judged: ([^)]*)\)", " ".join(out.split()))
    assert len(counts) == 2 and counts[0] == counts[1]
    assert counts[0].startswith("coverage of ")


def test_too_few_replicates_are_inconclusive_and_fail_if_asked_to(check):
    few = ("made.toml", "--expect", "--replicates", "20")
    assert check("1.0", *few)[0] == 0
    assert check("1.0", *few, "--fail-on", "inconclusive")[0] == 1


def test_standard_errors_of_half_or_twice_their_size_are_seen_while_intervals_cover(
    check, tmp_path
):
    """What `--fail-on` names fails beside surprises: it never lets one through."""
    plugin = "np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())\n"
    halved = PLUGIN.replace("return Estimate.wald(y[d].mean() - y[~d].mean(), se, problem.level)",
                            "from dataclasses import replace\n"
                            "    right = Estimate.wald(y[d].mean() - y[~d].mean(), se, 0.95)\n"
                            "    return replace(right, se=SCALE * right.se)")  # fmt: skip
    assert plugin in halved and "SCALE" in halved
    enough = ("made.toml", "--expect", "--replicates", "1700", "--workers", "2", "--out", "out")

    def verdict(scale, *more):
        (tmp_path / "made.py").write_text(halved.replace("FACTOR", "1.0").replace("SCALE", scale))
        return check.call("check", *enough, *more)

    code, out, _ = verdict("0.5")
    assert code == 1 and re.search(r"SE ratio 0\.[45]\d \(\S+ to \S+\), below 0\.8", out)
    assert "coverage" not in out.split("fails unexpectedly in")[1].split("although")[0]
    code, out, _ = verdict("2.0")
    assert code == 0 and "1 conservative" in out
    assert verdict("2.0", "--fail-on", "conservative")[0] == 1
    assert verdict("0.5", "--fail-on", "conservative")[0] == 1


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("value=right.value + 9 * (rng.random() < 0.25)", "contradicts itself"),
        ("value=right.value if rng.random() < 0.4 else 1 / 0", "no answer"),
    ],
    ids=["contradicts", "raises"],
)
def test_a_fault_of_a_method_fails_whatever_its_intervals_cover(check, tmp_path, fault, verdict):
    """Limits stay as they are: they cover as often as before, where there are any."""
    faulty = PLUGIN.replace("    return Estimate.wald(", "    right = Estimate.wald(")
    faulty = faulty.replace("import numpy", "from dataclasses import replace\nimport numpy")
    sure = SUITE.partition("dials")[0] + 'estimators = ["made/difference"]\n'
    (tmp_path / "sure.toml").write_text(sure)
    (tmp_path / "made.py").write_text(
        faulty.replace("FACTOR", "1.0") + f"    return replace(right, {fault})\n"
    )
    code, out, _ = check.call("check", "sure.toml", "--expect", "--replicates", "200")
    assert code == 1 and f"failed: 1 {verdict}" in out
    folder = tmp_path / "results" / "check-made"
    told = json.loads((folder / "verdict.json").read_text())
    assert [cell["verdict"] for cell in told["cells"]] == [verdict] and told["exit_code"] == 1
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    message = suite.find("testcase/failure").attrib["message"]
    assert suite.attrib["failures"] == "1" and verdict in message


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--power", "1.5"), "--power: 1.5 is not between 0 and 1"),
        (("--fail-on", "survivs unexpectedly"), "did you mean 'survives unexpectedly'"),
    ],
)
def test_bad_input_is_one_line(check, tmp_path, arguments, line):
    code, out, err = check("1.0", "made.toml", "--expect", *arguments)
    assert (code, out) == (2, "") and line in err and err.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_a_suite_of_which_nothing_is_expected_is_refused(check, tmp_path):
    plain = SUITE.partition("dials")[0] + 'dials = { confounding = 0.5 }\nvary = "crossed"\n'
    (tmp_path / "made.toml").write_text(plain + 'estimators = ["made/difference"]\n')
    code, _, err = check("1.0", "made.toml", "--expect")
    assert code == 2 and "nothing is expected of any method there" in err


@pytest.mark.parametrize("cells", [1, 12])
def test_the_stated_power_is_that_of_many_runs(cells):
    floor, alpha, power = 0.9, 0.05 / cells, 0.9
    bounds = Bounds(floor, bias=50.0, se_ratio=(0.01, 100.0))  # the coverage has the last word
    replicates = expectations.settled_by(bounds, 0.95, alpha, 1 - (1 - power) / cells)
    rng = np.random.default_rng(7)

    def settled(count, coverage):
        limits = {k: exact(k, count, alpha) for k in range(count + 1)}
        runs = rng.binomial(count, coverage, size=(2000, cells))
        above = coverage > floor
        return np.mean([all(limits[k][0] > floor if above else limits[k][1] < floor for k in run)
                        for run in runs])  # fmt: skip

    error = np.sqrt(power * (1 - power) / 2000)
    assert min(settled(replicates, p) for p in (0.95, 0.85)) >= power - 4 * error
    assert min(settled(int(0.8 * replicates), p) for p in (0.95, 0.85)) < power
    with pytest.raises(BadInput):
        expectations.failing_on(["valid"])
