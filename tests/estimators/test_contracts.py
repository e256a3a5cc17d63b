"""Every registered estimator and diagnostic keeps to the contract."""

import pytest

from cibench import find_estimator
from cibench.contracts import ESTIMATOR_CHECKS
from cibench.model import registry


@pytest.mark.parametrize("check", ESTIMATOR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", registry.entries("estimator"))
def test_contract(name, check):
    check(find_estimator(name))
