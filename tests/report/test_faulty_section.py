"""A section that raises says which it was, and in whose report."""

import pytest

import cibench
from cibench.report import page


def test_a_fault_in_a_section_is_told_with_its_name_and_folder(tmp_path, monkeypatch):
    cell = {"scenario": "did/two-group", "n": 20, "estimators": "did/collapsed"}
    spec = {"name": "small", "seed": 1, "replicates": 5, "cells": [cell]}
    run = cibench.run(spec, tmp_path / "run")

    def raises(contents):
        raise KeyError("nothing")

    faulty = page.Section("Leaderboard", "leaderboard", (), raises)
    monkeypatch.setattr(page, "OPENING", (faulty,))
    with pytest.raises(KeyError) as told:
        run.write_report()
    assert told.value.__notes__ == [
        f"in the section 'Leaderboard' of the report in {tmp_path / 'run'}"
    ]
