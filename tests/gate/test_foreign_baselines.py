"""Baselines as strangers hand them in: compared with, or refused in lines."""

import json
import shutil

import pytest

pytest.importorskip("hypothesis")  # in the light install neither
pytest.importorskip("statsmodels")

from hostile import EDIT, SAME_FOLDER, edited_bytes, edited_json, nothing_changes, pipe, refusal
from hypothesis import given
from hypothesis import strategies as st

import cibench
from cibench.gate import Rules, check_run
from cibench.gate.baseline import ABOUT, FILES, ROWS, SCORES, SUITE, digest, load, save
from cibench.gate.baseline_rows import as_text, line_digest
from cibench.utils.errors import BadInput
from cibench.utils.files import json_text

CELL = {"scenario": "did/two-group", "n": 30, "estimators": ["did/collapsed", "naive/*"]}
SPEC = {"name": "small", "seed": 1, "replicates": 8, "cells": [CELL]}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Save a baseline, and return its folder with the run that it is of."""
    folder = tmp_path_factory.mktemp("gate")
    run = cibench.run(SPEC, out=folder / "run")
    save(run, "main", folder / "baselines")
    shutil.copytree(folder / "baselines" / "main", folder / "whole")
    return folder, run


def compared(folder, run):
    baseline = load("main", folder / "baselines")
    check_run(run, baseline, Rules())
    assert len(baseline.scores) >= 0


@SAME_FOLDER
@given(edit=EDIT, name=st.sampled_from(FILES), sealed=st.booleans())
def test_an_edited_baseline_is_compared_with_or_refused(base, edit, name, sealed):
    """Whoever edits one can write its digest too."""
    folder, run = base
    place = folder / "baselines" / "main"
    content = (folder / "whole" / name).read_bytes()
    change = edited_json if name == ABOUT else edited_bytes
    (place / name).write_bytes(change(content, edit))
    if sealed:
        seal(place)
    try:
        with nothing_changes(folder):
            refusal(lambda: compared(folder, run), place, "main", "baseline")
    finally:
        for file in FILES:
            shutil.copy(folder / "whole" / file, place / file)


def seal(place):
    try:
        about = json.loads((place / ABOUT).read_bytes())
        (place / ABOUT).write_text(json_text({**about, "digest": digest(place, about)}))
        scores = (place / SCORES).read_text().splitlines()[1:]
        lines = [json.loads(line) for line in (place / ROWS).read_text().splitlines()]
        sealed = [
            as_text({**content, "digest": line_digest(content, score)})
            for content, score in zip(lines, scores, strict=True)
        ]
        (place / ROWS).write_text("\n".join(sealed))
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError, BadInput):
        pass


@pytest.mark.parametrize("name", [SUITE, SCORES, ROWS, ABOUT])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_no_link_and_no_pipe_is_read(base, tmp_path, name, kind):
    folder, run = base
    shutil.copytree(folder / "whole", tmp_path / "baselines" / "main")
    place = tmp_path / "baselines" / "main" / name
    if kind == "link":
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        pipe(place)
    (line,) = refusal(lambda: compared(tmp_path, run))
    words = {"link": "is a link, which is not followed", "pipe": "no file, but a pipe"}
    assert words[kind] in line or (kind == "pipe" and "no baseline named 'main'" in line)


def test_what_a_link_names_is_not_moved_into_a_baseline(base, tmp_path):
    """A folder `.next` holds what a killed process had ready; a link is a stranger's."""
    folder, run = base
    shutil.copytree(folder / "whole", tmp_path / "baselines" / "main")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "mine.txt").write_text("mine")
    (tmp_path / "baselines" / "main" / ".next").symlink_to(tmp_path / "documents")
    with nothing_changes(tmp_path):
        refusal(lambda: compared(tmp_path, run))


@pytest.mark.parametrize("value", [1e308, -1e308, 1e200])
def test_estimates_beyond_squares_are_compared_without_an_overflow(base, tmp_path, value):
    folder, run = base
    shutil.copytree(folder / "whole", tmp_path / "baselines" / "main")
    place = tmp_path / "baselines" / "main"
    lines = [json.loads(line) for line in (place / ROWS).read_text().splitlines()]
    for content in lines:
        content["columns"].update(dict.fromkeys(("estimate", "ci_low", "ci_high"), value))
        content["columns"]["std_error"] = abs(value)
    (place / ROWS).write_text("\n".join(map(as_text, lines)))
    seal(place)
    assert not refusal(lambda: compared(tmp_path, run))
