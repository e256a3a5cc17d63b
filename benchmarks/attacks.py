"""Run the attacks of the tests, kind by kind: `python benchmarks/attacks.py` prints how many held.

An attack is an example of a property test, an instant at which a process ends, a case of another
test. All are counted as they run; a test that fails has one that did not hold, if it says no more.
With `--write` its lines go into `docs/security.md`, each as soon as its kind is through. Words
before that choose kinds (`fits formulas`), those after it go to pytest (`-n 2`).
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security.md"
KINDS = {
    "the process ends, or the disk is full, at any file operation": (
        "integration/test_kill_everywhere.py", "integration/test_kill.py",
        "integration/test_interrupt.py", "results/test_full_disk.py",
    ),
    "run folders": ("storage/test_foreign_runs.py",),
    "object stores": (
        "storage/test_object_store.py::test_a_driver_that_dies_leaves_what_was_copied",
        "storage/test_object_store.py::test_no_shard_is_lost_at_a_url_whichever_request_is_the_last",
        "storage/test_object_store.py::"
        "test_a_key_that_leads_out_of_the_folder_is_refused_and_nothing_written",
        "storage/test_object_store.py::test_an_edited_journal_or_lock_is_read_or_refused",
        "storage/test_object_store.py::"
        "test_a_link_in_a_folder_by_its_url_is_neither_read_nor_written_through",
    ),
    "twins": ("twins/test_foreign_twins.py",),
    "bundles, submissions, revelations": ("challenge/test_foreign_bundles.py",),
    "class lists, answers, keys, lessons": (
        "lessons/test_foreign_answers.py", "lessons/test_foreign_lessons.py",
    ),
    "baselines": ("gate/test_foreign_baselines.py",),
    "suites": (
        "suite/test_suite.py::test_whatever_is_wrong_is_one_line_with_file_key_and_near_miss",
        "suite/test_suite.py::test_what_no_suite_can_be_is_told_at_once",
        "suite/test_suite.py::test_a_suite_with_any_value_anywhere_is_one_or_is_refused",
    ),
    "any other JSON or CSV file": ("utils/test_foreign.py",),
    "formulas": (
        "twins/test_formula.py::test_a_function_takes_as_many_arguments_as_it_has",
        "twins/test_formula.py::test_what_is_no_bounded_arithmetic_is_one_line_at_once",
        "twins/test_formula.py::test_any_text_is_a_formula_or_one_line",
    ),
    "names of files": (
        "utils/test_names.py::test_what_leads_out_is_one_line",
        "utils/test_names.py::test_every_name_that_passes_lies_in_the_folder",
        "storage/test_lock.py::test_a_lock_that_is_a_link_is_not_followed",
    ),
    "fits": (
        "integration/test_bounds.py", "integration/test_detached.py",
        "integration/test_hostile.py::test_what_raises_dies_or_hangs_is_a_row_with_a_reason",
        "integration/test_hostile.py::test_what_meddles_with_its_process_changes_no_other_row",
        "workers/test_sentinel.py::"
        "test_what_one_fit_changes_reaches_no_other_and_its_row_says_so",
        "workers/test_sentinel.py::test_what_a_draw_changes_reaches_no_fit",
        "workers/test_sentinel.py::test_what_cannot_be_put_back_is_named_too",
    ),
    "plug-ins that travel": (
        "cli/test_plugins.py::test_code_of_a_run_that_others_made_is_announced_once",
        "cli/test_plugins.py::test_no_manifest_keeps_code_from_being_announced",
        "cli/test_plugins.py::test_with_the_switch_no_plugin_is_executed_and_nothing_written",
        "cli/test_plugins.py::test_these_commands_never_do",
        "cli/test_plugins.py::test_a_lesson_with_a_plugin_is_refused_too",
    ),
    "pages, spreadsheets, terminals": (
        "render/test_html.py::test_data_are_json_that_no_text_in_them_can_end",
        "render/test_html.py::test_no_code_runs_on_a_page_but_its_own",
        "render/test_html.py::test_a_script_that_was_changed_afterwards_does_not_run",
        "utils/test_files.py::test_no_cell_of_a_table_is_a_formula_and_reading_undoes_that",
        "utils/test_files.py::test_every_text_comes_back_as_it_was",
        "utils/test_streams.py",
    ),
}  # fmt: skip
"""Which tests, below `tests`, make the attacks of a kind; most of those left out are no attacks."""

TRIED, FAILED = "attacks", "attacks that did not hold"
"""What a test says by `record_property` whose cases hold several attacks."""


class Tally(NamedTuple):
    """Count attacks, and those that held."""

    tried: int
    held: int


# --- in the tests' process


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Note how many examples a property test has tried until the first that failed."""
    handle = getattr(pyfuncitem.obj, "hypothesis", None)
    if handle is None:
        return (yield)
    from hypothesis.errors import StopTest, UnsatisfiedAssumption

    inner, outcomes = handle.inner_test, list[bool]()

    @functools.wraps(inner)
    def counted(*values: Any, **more: Any) -> Any:
        try:
            result = inner(*values, **more)
        except (StopTest, UnsatisfiedAssumption):  # no example after all
            raise
        except BaseException:
            outcomes.append(False)
            raise
        outcomes.append(True)
        return result

    handle.inner_test = counted
    try:
        return (yield)
    finally:
        handle.inner_test = inner
        until = outcomes.index(False) + 1 if False in outcomes else len(outcomes)
        pyfuncitem.user_properties.append((TRIED, until))


# --- in the command's


def count(tests: Sequence[str], words: Sequence[str] = (), folder: Path = ROOT) -> Tally:
    """Run some tests in a process of its own; return how many attacks they made, and how many held.

    Raises SystemExit where they cannot be run.
    """
    paths = filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH")))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory() as place:
        results = Path(place) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-p", Path(__file__).stem, *words, *tests]
        command.append(f"--junitxml={results}")
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"{done.stdout}\n{done.stderr}")
        if done.returncode:
            print(done.stdout, file=sys.stderr)
        return read(results)


def read(results: Path) -> Tally:
    """Return the attacks of a file of pytest's results; what was skipped was not tried."""
    tried = failed = 0
    for case in ElementTree.parse(results).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        said = {each.get("name"): int(str(each.get("value"))) for each in case.iter("property")}
        fails = case.find("failure") is not None or case.find("error") is not None
        tried += max(said.get(TRIED, 1), fails)
        failed += max(said.get(FAILED, 0), fails)
    return Tally(tried, tried - failed)


MARKS = re.compile(r"(?<=<!-- attacks -->\n).*(?=<!-- end of attacks -->)", re.DOTALL)
LINE = re.compile(
    r"^\| (?P<kind>.*?) \| (?P<tried>[\d,]+) \| (?P<held>[\d,]+) \| (?P<took>.*?) \|$"
)
HEADING = "| what | attacks tried | held | seconds, day |\n|---|---|---|---|"


def read_table(page: str) -> dict[str, tuple[Tally, str]]:
    """Return what the table of a page says of each kind: the attacks, and when and how long."""
    lines = map(LINE.match, MARKS.findall(page)[0].splitlines())
    return {
        line["kind"]: (Tally(number(line["tried"]), number(line["held"])), line["took"])
        for line in lines if line and line["kind"] in KINDS
    }  # fmt: skip


def number(text: str) -> int:
    """Return a whole number with commas between its thousands."""
    return int(text.replace(",", ""))


def with_line(page: str, kind: str, tally: Tally, took: str) -> str:
    """Return a page whose table has one kind's line anew, and the sum of all lines."""
    known = {**read_table(page), kind: (tally, took)}
    lines = {each: known[each] for each in KINDS if each in known}
    tried, held = (sum(each[place] for each, _ in lines.values()) for place in (0, 1))
    lines["all"] = (Tally(tried, held), "")
    body = [f"| {each} | {a.tried:,} | {a.held:,} | {took} |" for each, (a, took) in lines.items()]
    return MARKS.sub("\n".join((HEADING, *body, "")), page)


def main(words: list[str]) -> int:
    """Run kinds, print what held, write it if asked; return 1 where an attack did not hold."""
    write = "--write" in words
    chosen, more = words, list[str]()
    if write:
        at = words.index("--write")
        chosen, more = words[:at], words[at + 1 :]
    failed = False
    for kind, tests in KINDS.items():
        if chosen and not any(word in kind for word in chosen):
            continue
        begun = time.monotonic()
        tally = count([f"tests/{test}" for test in tests], more)
        took = f"{time.monotonic() - begun:.0f}, {datetime.now(UTC):%Y-%m-%d}"
        print(f"{kind}: {tally.held:,} of {tally.tried:,} held ({took})", flush=True)
        failed |= tally.held < tally.tried
        if write:
            page = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(with_line(page, kind, tally, took), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
