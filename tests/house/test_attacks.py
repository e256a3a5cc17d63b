"""The table of attacks on docs/security.md is what its command makes, and counts what ran."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("attacks_study", ROOT / "benchmarks" / "attacks.py")
study = importlib.util.module_from_spec(spec)
spec.loader.exec_module(study)

TESTS = """
import pytest
from hypothesis import assume, given, settings, strategies as st

ALWAYS = settings(max_examples=20, derandomize=True, database=None)

@pytest.mark.parametrize("n", range(5))
def test_case(n):
    assert n != 3

@ALWAYS
@given(st.integers(0, 10**6))
def test_holds(n):
    assume(n % 2)

@ALWAYS
@given(st.integers(0, 10**6))
def test_fails(n):
    assert n < 1000

def test_instants(record_property):
    record_property("attacks", 12)
    record_property("attacks that did not hold", 2)
    raise AssertionError

@pytest.fixture
def broken():
    raise ValueError

def test_that_cannot_begin(broken):
    pass

@pytest.mark.skip
def test_that_waits():
    pass
"""


def test_an_attack_that_fails_is_counted_as_not_held(tmp_path):
    (tmp_path / "test_them.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def counted(name):
        return study.count(["test_them.py", "-k", name], folder=tmp_path)

    fails = counted("test_fails")
    assert 1 <= fails.tried < 20 and fails.held == fails.tried - 1
    # of cases 4 of 5, of a property 20, of instants 10 of 12, of what cannot begin none of 1
    assert counted("not test_fails") == (5 + 20 + 12 + 1, 4 + 20 + 10 + 0)


def test_every_kind_has_its_line_and_its_tests_are_there():
    lines = study.read_table(study.PAGE.read_text(encoding="utf-8"))
    assert list(lines) == list(study.KINDS)
    assert all(tally.tried == tally.held > 0 for tally, _ in lines.values())
    for test in (test for tests in study.KINDS.values() for test in tests):
        file, _, name = test.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {name or 'test_'}" in text, test


def test_a_line_is_written_beside_the_others_and_the_sum_is_theirs():
    page = "before\n<!-- attacks -->\n<!-- end of attacks -->\nafter\n"
    page = study.with_line(page, "twins", study.Tally(1200, 1200), "3, today")
    page = study.with_line(page, "run folders", study.Tally(10, 9), "1, today")
    page = study.with_line(page, "twins", study.Tally(1300, 1299), "4, today")
    assert page.splitlines()[4:7] == [
        "| run folders | 10 | 9 | 1, today |", "| twins | 1,300 | 1,299 | 4, today |",
        "| all | 1,310 | 1,308 |  |",
    ]  # fmt: skip
    assert page.startswith("before\n<!-- attacks -->\n") and page.endswith("attacks -->\nafter\n")
