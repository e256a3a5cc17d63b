"""What every scenario and estimator keeps to, as free functions that anybody's tests can run.

A plug-in's own tests take the checks as they are:

    @pytest.mark.parametrize("check", SCENARIO_CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(find_scenario("family/name")())

A check raises ContractError with one line on what is wrong and where, or unittest.SkipTest (a skip
to pytest too) where a library is missing. `python -m cibench.contracts FILE_OR_MODULE` runs them
all on what a plug-in registers.
"""

from __future__ import annotations

from collections.abc import Callable

from cibench.contracts import (
    estimator_declarations,
    estimator_fits,
    scenario_arms,
    scenario_declarations,
    scenario_draws,
    scenario_functionals,
    scenario_sizes,
    scenario_truth,
    scenario_units,
)
from cibench.contracts.common import ContractError, run_all
from cibench.contracts.scenario_draws import (
    check_dials_alive,
    check_dials_paired,
    check_exposure,
    check_latent_at_default,
    check_outcome,
    check_targets,
)
from cibench.model.design import Scenario
from cibench.model.method import Estimator

__all__ = [
    "ESTIMATOR_CHECKS", "SCENARIO_CHECKS", "ContractError", "check_estimator", "check_scenario",
]  # fmt: skip

SCENARIO_CHECKS: tuple[Callable[[Scenario], None], ...] = (
    scenario_declarations.check_documented,
    scenario_declarations.check_defaults,
    scenario_declarations.check_assumption_names,
    scenario_declarations.check_prior,
    scenario_declarations.check_accepted,
    scenario_draws.check_roles,
    scenario_draws.check_arrays,
    scenario_draws.check_units,
    scenario_draws.check_treatment_varies,
    scenario_draws.check_repeatable,
    scenario_draws.check_own_randomness,
    scenario_draws.check_no_leak,
    check_latent_at_default,
    check_outcome,
    check_exposure,
    check_targets,
    scenario_arms.check_arms,
    scenario_arms.check_groups,
    scenario_arms.check_censoring,
    scenario_units.check_unit_effects,
    scenario_units.check_points,
    scenario_functionals.check_null,
    check_dials_alive,
    check_dials_paired,
    scenario_truth.check_truth_keys,
    scenario_truth.check_dial_truth,
    scenario_truth.check_truth_value,
    scenario_sizes.check_truth_any_size,
    scenario_sizes.check_one_law,
)

ESTIMATOR_CHECKS: tuple[Callable[[Estimator], None], ...] = (
    estimator_declarations.check_documented,
    estimator_declarations.check_form,
    estimator_declarations.check_declaration,
    estimator_declarations.check_assumption_names,
    estimator_declarations.check_accepts_some,
    estimator_fits.check_no_secret_draw,
    estimator_fits.check_answers,
    estimator_fits.check_coherence,
    estimator_fits.check_repeatable,
    estimator_fits.check_leaves_data,
    estimator_fits.check_leaves_state,
    estimator_fits.check_level,
    estimator_fits.check_unit_of_outcome,
)


def check_scenario(scenario: Scenario) -> None:
    """Run every scenario check on an instance; raises ContractError with the first complaint.

    The checks hold the draws to the declared roles, to `y = baseline + effects * treatment`, and
    the stated truth to the mean of the drawn effects, also of few units, and all data sets to one
    law. A check that lacks a library is passed over.

    >>> from cibench import find_scenario
    >>> from cibench.contracts import check_scenario
    >>> check_scenario(find_scenario("did/two-group")())
    """
    run_all(SCENARIO_CHECKS, scenario)


def check_estimator(estimator: Estimator) -> None:
    """Run every estimator check; raises ContractError with the first complaint.

    The checks look at the declaration and at a few small fits: form, near misses of assumption
    names, repeatability, no global state moved, limits that follow the level, a standard error in
    the unit of its estimate. A check that lacks a library is passed over.

    >>> from cibench import find_estimator
    >>> from cibench.contracts import check_estimator
    >>> check_estimator(find_estimator("naive/difference-in-means"))
    """
    run_all(ESTIMATOR_CHECKS, estimator)
