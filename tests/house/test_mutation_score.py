"""The catalogue of planted faults can be run, and its committed table is about this catalogue."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "mutation"
SMALL = """
[[fault]]
name = "sum-for-difference"
file = "estimators/small.py"
what = "a sum instead of a difference"
old = "a - b"
new = "a + b"
tests = ["tests/test_small.py::test_small"]
"""


@pytest.fixture(scope="module")
def catalogue():
    spec = importlib.util.spec_from_file_location("_mutation", FOLDER / "catalogue.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def faults(catalogue):
    return catalogue.read()


@pytest.fixture(scope="module")
def lines(catalogue):
    return catalogue.lines_of()


@pytest.fixture
def small(tmp_path):
    """Write a checkout of one plug-in, one test and one fault, and return its folder."""
    for folder in ("estimators", "tests", "catalogue"):
        (tmp_path / folder).mkdir()
    (tmp_path / "estimators" / "small.py").write_text("def less(a, b):\n    return a - b\n")
    (tmp_path / "tests" / "test_small.py").write_text("def test_small():\n    pass\n")
    (tmp_path / "catalogue" / "small.toml").write_text(SMALL)
    return tmp_path


def test_every_fault_can_be_planted_and_checked(catalogue, faults):
    assert not catalogue.complaints(faults)


def test_there_are_faults_of_many_kinds_and_files(faults):
    assert len(faults) >= 40
    assert len({fault.file for fault in faults}) >= 20


def test_the_table_has_a_line_for_every_fault_as_it_is(catalogue, faults, lines):
    there = {(line.name, line.digest) for line in lines}
    missing = [fault.name for fault in faults if (fault.name, fault.digest) not in there]
    assert not missing, "run `python benchmarks/mutation --missing`"
    assert catalogue.current(lines, faults) == lines, "lines of faults that are there no more"
    stated = {fault.name: (fault.file, fault.what) for fault in faults}
    assert all(stated[line.name] == (line.file, line.what) for line in lines)


def test_the_score_is_what_the_lines_say_and_at_least_95_percent(catalogue, lines):
    page = catalogue.PAGE.read_text(encoding="utf-8")
    assert catalogue.headline(lines) in page
    number = float(re.search(r"Mutation score ([\d.]+)%", page)[1])
    caught = sum(line.caught_by != "survived" for line in lines)
    assert number == pytest.approx(100 * caught / len(lines), abs=0.05)
    assert catalogue.score(lines) >= catalogue.LEAST == 0.95


def test_every_survivor_is_explained(faults, lines):
    why = {fault.name: fault.explained for fault in faults}
    assert not [line.name for line in lines if not line.caught and not why[line.name]]
    caught = {line.name for line in lines if line.caught}
    assert not [name for name in caught if why[name]], "explained, but something caught it"


def test_what_caught_a_fault_exists(catalogue, lines):
    for line in lines:
        if line.caught and line.caught_by not in catalogue.CHECKS:
            file, *parts = line.caught_by.split("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert all(f"{part.partition('[')[0]}(" in text for part in parts), line.caught_by


def test_a_small_catalogue_is_right(catalogue, small):
    faults = catalogue.read(small / "catalogue")
    assert not catalogue.complaints(faults, small)
    assert faults[0].checks == ("contracts",) and faults[0].plugins == ("estimators/small.py",)
    assert catalogue.planted(faults[0], small) == "def less(a, b):\n    return a + b\n"


@pytest.mark.parametrize(("change", "complaint"), [
    ({"old": "a"}, "`old` stands 2 times in estimators/small.py, not once"),
    ({"old": "a * b"}, "`old` stands 0 times"),
    ({"new": "a - b"}, "`new` is `old`"),
    ({"new": "a +"}, "the file does not parse with `new`"),
    ({"file": "estimators/smal.py"}, "there is no file estimators/smal.py"),
    ({"tests": ("tests/test_smal.py",)}, "there is no test file tests/test_smal.py"),
    ({"tests": ("tests/test_small.py::test_smal",)}, "there is no test test_smal in"),
    ({"checks": ("contract",)}, "no check named 'contract'"),
    ({"plugins": ("estimators/smal.py",)}, "there is no plug-in estimators/smal.py"),
    ({"checks": (), "tests": ()}, "names neither a check nor a test"),
    ({"name": "Sum"}, "its name is not in small letters"),
])  # fmt: skip
def test_what_is_wrong_with_a_fault_is_said(catalogue, small, change, complaint):
    (fault,) = catalogue.read(small / "catalogue")
    (line,) = catalogue.complaints([replace(fault, **change)], small)
    assert complaint in line


def test_a_name_or_a_change_that_is_there_twice_is_said(catalogue, small):
    (fault,) = catalogue.read(small / "catalogue")
    lines = catalogue.complaints([fault, replace(fault, new="b - a")], small)
    assert lines == ["sum-for-difference: 2 faults have this name"]
    lines = catalogue.complaints([fault, replace(fault, name="another")], small)
    assert [line.partition(": ")[2] for line in lines] == ["another fault is the same change"] * 2


@pytest.mark.parametrize(("before", "after", "complaint"), [
    ("what =", "wat =", "no key named 'wat'; did you mean 'what'?"),
    ('new = "a + b"', "", "new: is missing or no text"),
    ('["tests/test_small.py::test_small"]', '"tests"', "tests: is no list of texts"),
    ("[[fault]]", "[[faults]]", "no key named 'faults'"),
    ("[[fault]]", "[[fault]", "small.toml: "),
])  # fmt: skip
def test_a_catalogue_file_that_is_wrong_is_refused(catalogue, small, before, after, complaint):
    path = small / "catalogue" / "small.toml"
    path.write_text(SMALL.replace(before, after))
    with pytest.raises(catalogue.CatalogueError) as caught:
        catalogue.read(small / "catalogue")
    assert complaint in str(caught.value)


def test_a_partial_run_takes_the_places_of_its_faults_and_no_others(catalogue, small):
    (first,) = catalogue.read(small / "catalogue")
    second, gone = (
        replace(first, name=name, new=new) for name, new in (("b", "b - a"), ("c", "b"))
    )

    def line(fault, by):
        return catalogue.Line(fault.name, fault.file, fault.what, by, "", "1.0", fault.digest)

    old = [line(gone, "contracts"), line(second, "survived"), line(first, "quirks")]
    new = [line(second, "tests/test_small.py::test_small")]
    merged = catalogue.merged(old, new, [first, second])
    assert merged == [old[2], new[0]]
    changed = replace(first, new="b + a")  # what was caught was another fault of this name
    assert catalogue.merged(merged, [], [changed, second]) == [new[0]]
    assert catalogue.score(merged) == 1 and catalogue.score(old) == pytest.approx(2 / 3)
