"""What scenarios and estimators say of themselves, as the data that a run keeps of them."""

from __future__ import annotations

import inspect
import sys
from dataclasses import asdict
from typing import Any

from cibench.model.design import Scenario, dials, estimands, find_scenario, parameters
from cibench.model.method import Estimator, find_estimator


def describe_scenario(cls: type[Scenario]) -> dict[str, Any]:
    """Return a scenario's words, estimands, roles, dials, parameters and reference."""
    return {
        "doc": inspect.getdoc(cls) or "",
        "equations": _module_doc(cls.__module__),
        "estimands": [str(e) for e in estimands(cls)],
        "roles": {k: v for k, v in asdict(cls.roles).items() if v not in (None, "", (), {})},
        "reference": cls.reference,
        "moments": cls.moments,
        "violates": list(cls.violates),
        "prior_of": cls.prior_of,
        **_of_existing_data(cls),
        "dials": {name: asdict(spec) for name, spec in dials(cls).items()},
        "parameters": {name: asdict(spec) for name, spec in parameters(cls).items()},
    }


def _of_existing_data(cls: type[Scenario]) -> dict[str, Any]:
    """Return what only scenarios of data sets that exist have to say."""
    words = {sample: str(population) for sample, population in cls.answered_by.items()}
    return {
        **({"answered_by": {str(s): p for s, p in words.items()}} if words else {}),
        **({} if cls.declared else {"declared": False}),
    }


def describe_estimator(estimator: Estimator) -> dict[str, Any]:
    """Return an estimator's words and all that it declares."""
    return {
        "doc": inspect.getdoc(estimator.fit) or "",
        "module": _module_doc(getattr(estimator.fit, "__module__", "")),
        "kind": estimator.kind,
        "targets": [str(t) for t in estimator.targets],
        "horizons": [str(t) for t in estimator.horizons],
        "needs": list(estimator.needs),
        "assumes": list(estimator.assumes),
        "tests": list(estimator.tests),
        "uses": list(estimator.uses),
        "gives": list(estimator.gives),
        "oracle": estimator.oracle,
        "moments": estimator.moments,
        "options": dict(estimator.options),
        **({"by": list(estimator.by)} if estimator.by else {}),
        **({"imported": estimator.imported, "declared": False} if estimator.imported else {}),
    }


def describe(scenarios: list[str], estimators: list[str]) -> dict[str, Any]:
    """Return the catalogue of the named scenarios and estimators."""
    return {
        "scenarios": {n: describe_scenario(find_scenario(n)) for n in scenarios},
        "estimators": {n: describe_estimator(find_estimator(n)) for n in estimators},
    }


def _module_doc(module: str) -> str:
    return inspect.cleandoc(getattr(sys.modules.get(module), "__doc__", None) or "")
