"""The pytest plug-in: `def test_it(cibench_check): cibench_check(fit, scenarios=[...], ...)`.

It is loaded by every pytest run where cibench is installed, so that nothing heavy is imported
before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cibench.gate.comparison import Comparison
    from cibench.testing.trial import Bench, Trial

MARKER = (
    "cibench(scenarios=[...]): make one test of each scenario; cibench_check then runs that one"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `cibench_check`."""
    group = parser.getgroup("cibench", "estimators against baselines")
    group.addoption(
        "--cibench-replicates", type=int, metavar="N", help="replicates of every cibench_check"
    )
    group.addoption(
        "--cibench-update-baseline", action="store_true", help="save baselines, compare nothing"
    )
    group.addoption(
        "--cibench-baselines", metavar="DIR", default="baselines",
        help="the folder that holds baselines, from the root directory [baselines]",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each scenario that the marker names."""
    marker = metafunc.definition.get_closest_marker("cibench")
    if marker is None or "cibench_check" not in metafunc.fixturenames:
        return
    from cibench.testing.trial import chosen
    from cibench.utils.errors import BadInput

    try:
        names = chosen(marker.kwargs.get("scenarios") or list(marker.args))
    except BadInput as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from error
    metafunc.parametrize("cibench_check", names, indirect=True, ids=names)


@pytest.fixture
def cibench_check(request: pytest.FixtureRequest) -> Callable[..., list[Comparison]]:
    """Return a function that runs an estimator and compares it with its baseline.

    Call it as `cibench_check(fit, scenarios=["rd/*"], against="main")`; `check` of this module
    says what else it takes.
    """
    from cibench.testing.trial import Bench

    config = request.config
    cache: Any = getattr(config, "cache", None)
    runs = cache.mkdir("cibench") if cache else request.getfixturevalue("tmp_path")
    bench = Bench(
        config.rootpath / config.getoption("--cibench-baselines"), Path(runs), request.path.stem,
        config.getoption("--cibench-replicates"), config.getoption("--cibench-update-baseline"),
        getattr(request, "param", ""),
    )  # fmt: skip
    return partial(check, bench, _subtests(request))


def check(  # noqa: PLR0913 - what a test may want to say of its estimator
    bench: Bench, subtests: Any, fit: Any, scenarios: Sequence[str] = (), against: str = "main",
    *, name: str | None = None, data: Mapping[str, str] | None = None, gives: Sequence[str] = (),
    estimand: str | None = None, margins: Mapping[str, float] | None = None,
    expect: bool = False, assumes: Sequence[str] = (), power: float = 0.95, **cell: Any,
) -> list[Comparison]:  # fmt: skip
    """Run an estimator on each scenario at the addresses of its baseline, and fail on a change.

    `fit` is a function `fit(problem, rng)`, a class or object with `fit`, or a registered id;
    `data` and `gives` as in `cibench.testing.adapters.adapted`; `estimand` says which it answers
    where a scenario has several. `against` names the baseline, `margins` replace defaults by
    measure. With `expect` there is no baseline: an estimator that `assumes` what it says covers
    where nothing of that is broken, with as many replicates as settle it with a chance of `power`.
    `cell` takes `replicates`, `seed`, `level`, and what a cell of a suite takes: `n`, `dials`,
    `parameters`. Returns the comparisons.
    """
    from cibench.gate.rules import Rules
    from cibench.testing import trial as trials
    from cibench.utils.errors import BadInput

    wanted = [bench.only] if bench.only and not scenarios else list(scenarios)
    comparisons = []
    try:
        rules = Rules().with_margins([f"{k}={v}" for k, v in (margins or {}).items()])
        with trials.entered(fit, name, data, gives, estimand, assumes) as estimator:
            planned = list(trials.trials(bench, estimator, wanted, against, **cell))
            if not planned:
                raise BadInput(f"{estimator} answers none of {', '.join(wanted) or 'no scenario'}")
            for trial in planned:
                alone = len(planned) == 1
                with nullcontext() if alone or not subtests else subtests.test(msg=trial.scenario):
                    comparisons += [] if expect else _scenario(bench, trial, rules)
                    if expect and (failure := trials.promised(bench, trial, power)):
                        pytest.fail(failure, pytrace=False)
    except BadInput as error:
        failure = f"cibench: {error}"
    else:
        return comparisons
    pytest.fail(failure, pytrace=False)  # out here, or pytest shows what it was raised from, too


def _scenario(bench: Bench, trial: Trial, rules: Any) -> list[Comparison]:
    """Save or compare one scenario."""
    from cibench.testing import trial as trials
    from cibench.utils.errors import BadInput

    if bench.update:
        trials.save(bench, trial)
        return []
    try:
        compared, failure = trials.compare(bench, trial, rules)
    except BadInput as error:
        hint = "" if "edited" in str(error) else "; pytest --cibench-update-baseline saves one"
        failure = f"cibench: {trial.scenario}: {error}{hint}"
    if failure:
        pytest.fail(failure, pytrace=False)
    return [compared]


def _subtests(request: pytest.FixtureRequest) -> Any:
    """Return pytest's `subtests`, None where it has none."""
    try:
        return request.getfixturevalue("subtests")
    except pytest.FixtureLookupError:
        return None
