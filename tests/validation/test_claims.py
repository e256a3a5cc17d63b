"""Every claim about a scenario holds; what is settled for these very sources is read, not run."""

import importlib.util
from pathlib import Path

import pytest

from cibench.model import registry
from cibench.model.design import dials

spec = importlib.util.spec_from_file_location("claims", Path(__file__).with_name("claims.py"))
claims = importlib.util.module_from_spec(spec)
spec.loader.exec_module(claims)

CLAIMS = claims.claims()


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS, ids=claims.title)
def test_claim(claim):
    line = claims.settled().get(claims.digest(claim)) or claims.settle(claim)
    assert str(line["holds"]) == "True", line


def test_every_scenario_has_a_valid_method_and_every_dial_bites():
    valid = {c["scenario"] for c in CLAIMS if c["kind"] == "valid"}
    bitten = {(c["scenario"], c["dial"]) for c in CLAIMS if c["kind"] == "bites"}
    by_family = {}
    built_in = [x for x in registry.entries("scenario").items() if x[1].built_in]
    assert len(built_in) > 30
    for name, entry in built_in:
        assert name in valid, f"{name} has no valid method"
        for dial, spec in dials(entry.value).items():
            by_family.setdefault((entry.module, dial, spec.breaks), set()).add(name)
    # scenarios of one file share their dials' code: one of them speaks for the file
    for (module, dial, _), names in by_family.items():
        assert bitten & {(n, dial) for n in names}, f"{module}: dial {dial} is not shown to bite"
