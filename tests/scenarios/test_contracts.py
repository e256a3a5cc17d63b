"""Every registered scenario keeps to the contract."""

import pytest

from cibench import find_scenario, registry
from cibench.contracts import SCENARIO_CHECKS


@pytest.mark.parametrize("check", SCENARIO_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", registry.entries("scenario"))
def test_contract(name, check):
    check(find_scenario(name)())
