"""Every registered scenario keeps to the contract."""

import pytest

from cibench import find_scenario
from cibench.contracts import SCENARIO_CHECKS
from cibench.model import registry


@pytest.mark.parametrize("check", SCENARIO_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", registry.entries("scenario"))
def test_contract(name, check):
    check(find_scenario(name)())


@pytest.mark.parametrize("name", registry.entries("scenario"))
def test_two_methods_or_more_answer_it_besides_the_oracle_and_the_baseline(name):
    scenario = find_scenario(name)()
    answering = [
        other
        for other, entry in registry.entries("estimator").items()
        if entry.value.kind == "estimate"
        and not other.startswith(("oracle/", "baseline/"))
        and entry.value.declines(scenario) is None
    ]
    assert len(answering) >= 2
