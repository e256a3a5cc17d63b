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
    from cibench.gate.rules import Rules
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
        "--cibench-update-baseline", action="store_true",
        help="save baselines, compare nothing; what has not changed is not written",
    )  # fmt: skip
    group.addoption(
        "--cibench-baselines", metavar="DIR", default="baselines",
        help="the folder that holds baselines, from the root directory [baselines]",
    )  # fmt: skip
    group.addoption(
        "--cibench-fail-on", metavar="VERDICT,...",
        help="verdicts that fail, unless a test says otherwise "
        "[worse,statistically-changed,moved]; with expect=True beside surprises",
    )  # fmt: skip
    group.addoption(
        "--cibench-margin", action="append", default=[], metavar="MEASURE=NUMBER",
        help="a margin, unless a test sets it; repeatable (cibench check --help lists measures)",
    )  # fmt: skip
    group.addoption(
        "--cibench-out", metavar="DIR",
        help="the folder for runs and pages [in pytest's cache]",
    )  # fmt: skip
    group.addoption(
        "--cibench-no-reuse", action="store_true",
        help="fit again, though nothing that the answers of the last session rest on has changed",
    )  # fmt: skip
    group.addoption(
        "--cibench-replay", metavar="SCENARIO:REPLICATE", default="",
        help="fit one replicate of the chosen tests again, its data written beside; nothing else",
    )  # fmt: skip


CLAIMS = pytest.StashKey[dict[str, str]]()
CHECKS = pytest.StashKey[int]()
NOTES = pytest.StashKey[dict[str, list[tuple[str, str]]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)
    config.stash[CLAIMS], config.stash[NOTES], config.stash[CHECKS] = {}, {}, 1
    config.pluginmanager.register(_Session(config), "cibench-session")


class _Session:
    """Hear what becomes of a session's tests, in xdist's workers too, and tell it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the tests among which the chance of a false alarm is divided.

        Each of xdist's workers collects all of them.
        """
        using = [i for i in session.items if "cibench_check" in getattr(i, "fixturenames", ())]
        self.config.stash[CHECKS] = max(len(using), 1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test noted; reports come from workers as well."""
        notes = [(str(k), str(v)) for k, v in report.user_properties if str(k)[:7] == "cibench"]
        if notes:
            self.config.stash[NOTES][report.nodeid] = notes

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print a line for each cell that was compared, and for each baseline that was saved."""
        notes = [note for each in self.config.stash[NOTES].values() for note in each]
        if not notes:
            return
        from cibench.testing.session_summary import lines

        terminalreporter.section("cibench")
        for line in lines(notes, self.config):
            terminalreporter.write_line(line)


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
    from cibench.gate.rules import Rules
    from cibench.testing.trial import Bench

    config = request.config
    test = request.node.nodeid
    bench = Bench(
        config.rootpath / config.getoption("--cibench-baselines"), _runs(request), test,
        _command(request), config.getoption("--cibench-replicates"),
        config.getoption("--cibench-update-baseline"), getattr(request, "param", ""),
        config.getoption("--cibench-replay"), Rules().alpha / config.stash[CHECKS],
        claims=config.stash[CLAIMS],
        reuse=not config.getoption("--cibench-no-reuse") and _stands_alone(request),
        parameters=_parameters(request),
    )  # fmt: skip
    return partial(check, bench, request)


ALONE = frozenset({"cibench_check", "request", "subtests", "pytestconfig", "tmp_path_factory"})
"""Fixtures that change nothing of a process on which answers may rest."""


def _stands_alone(request: pytest.FixtureRequest) -> bool:
    """Say whether a test's estimator rests on its code alone: no fixture may have set anything.

    Values that a test is parametrised by count as part of it, where they are texts or numbers.
    """
    values = getattr(getattr(request.node, "callspec", None), "params", {})
    plain = {name for name, each in values.items() if isinstance(each, str | int | float | None)}
    fixtures = set(getattr(request.node, "fixturenames", ())) | set(values)
    return not fixtures - ALONE - plain


def _parameters(request: pytest.FixtureRequest) -> tuple[tuple[str, str], ...]:
    values = getattr(getattr(request.node, "callspec", None), "params", {})
    return tuple((name, repr(each)) for name, each in sorted(values.items()))


def _runs(request: pytest.FixtureRequest) -> Path:
    if out := request.config.getoption("--cibench-out"):
        return Path(request.config.invocation_params.dir / out)
    cache: Any = getattr(request.config, "cache", None)
    return Path(cache.mkdir("cibench") if cache else request.getfixturevalue("tmp_path"))


def _command(request: pytest.FixtureRequest) -> str:
    """Return the command that runs this test alone, from where pytest was called."""
    from cibench.render import shell

    here, path = request.config.invocation_params.dir, request.path
    place = path.relative_to(here) if path.is_relative_to(here) else path
    name = request.node.nodeid.partition("::")[2]
    return shell.line(["pytest", shell.place(f"{place.as_posix()}::{name}")])


def check(  # noqa: PLR0913 - what a test may want to say of its estimator
    bench: Bench, request: pytest.FixtureRequest, fit: Any, scenarios: Sequence[str] = (),
    against: str = "main",
    *, name: str | None = None, data: Mapping[str, str] | None = None, gives: Sequence[str] = (),
    estimand: str | None = None, margins: Mapping[str, float] | None = None,
    fail_on: Sequence[str] | None = None, uses: Sequence[str] = (), expect: bool = False,
    assumes: Sequence[str] = (), power: float = 0.95, **cell: Any,
) -> list[Comparison]:  # fmt: skip
    """Run an estimator on each scenario at the addresses of its baseline, and fail on a change.

    `fit` is a function `fit(problem)` or `fit(problem, rng)`, a class or object with `fit`, or a
    registered id; `data` and `gives` as in `cibench.testing.adapters.adapted`; `estimand` says
    which it answers where a scenario has several, `uses` which libraries it imports, whose versions
    the baseline notes. `against` names the baseline, `margins` replace defaults by measure and
    `fail_on` the verdicts that fail. With `expect` there is no baseline: an estimator that
    `assumes` what it says covers where nothing of that is broken, with as many replicates as settle
    it with a chance of `power`; `fail_on` then adds verdicts ("conservative", "inconclusive").
    `cell` takes `replicates`, `seed`, `level`, and what a cell of a suite takes: `n`, `dials`,
    `parameters`; and `checks=False`, where the estimator and scenarios of one's own are not to be
    held to their contracts first. Returns the comparisons.
    """
    from cibench.testing import trial as trials
    from cibench.utils.errors import BadInput

    wanted = [bench.only] if bench.only and not scenarios else list(scenarios)
    comparisons, subtests = [], _subtests(request)
    try:
        rules, failing = _rules(request.config, margins, fail_on, expect=expect)
        with trials.entered(fit, name, data, gives, estimand, assumes, uses) as estimator:
            planned = list(trials.trials(bench, estimator, wanted, against, **cell))
            if not planned:
                raise BadInput(f"{estimator} answers none of {', '.join(wanted) or 'no scenario'}")
            if bench.replay:
                _replay(bench, planned)
                return []
            for trial in planned:
                alone = len(planned) == 1
                with nullcontext() if alone or not subtests else subtests.test(msg=trial.scenario):
                    comparisons += [] if expect else _scenario(bench, trial, rules)
                    if expect and (failure := trials.promised(bench, trial, power, failing)):
                        pytest.fail(failure, pytrace=False)
    except BadInput as error:
        failure = "\n".join(f"cibench: {line}" for line in error.args)
    else:
        return comparisons
    finally:
        request.node.user_properties.extend(bench.notes)
        bench.notes.clear()
    pytest.fail(failure, pytrace=False)  # out here, or pytest shows what it was raised from, too


def _rules(
    config: pytest.Config, margins: Mapping[str, float] | None, fail_on: Sequence[str] | None,
    *, expect: bool,
) -> tuple[Rules, tuple[str, ...]]:  # fmt: skip
    """Return what a test is judged by: what it says itself, else what the session's options say.

    With `expect` the second are the verdicts of expectations that fail.
    """
    from cibench.gate.expectations import failing_on
    from cibench.gate.rules import Rules

    option = config.getoption("--cibench-fail-on")
    names = option.split(",") if fail_on is None and option is not None else fail_on
    words = None if names is None else [v.strip().replace("-", " ") for v in names if v.strip()]
    own = [f"{k}={v}" for k, v in (margins or {}).items()]
    rules = Rules().with_margins([*config.getoption("--cibench-margin"), *own])
    if expect:
        return rules, failing_on(words or [])
    return (rules if words is None else rules.failing_on(words)), ()


def _replay(bench: Bench, planned: Sequence[Trial]) -> None:
    """Fit one replicate of the trial that is meant again; BadInput where it is none of them."""
    from cibench.testing import trial as trials
    from cibench.utils.errors import BadInput, unknown

    by_scenario, name = {t.scenario: t for t in planned}, bench.replay.rpartition(":")[0]
    if name not in by_scenario:
        raise BadInput(
            f"--cibench-replay: {unknown('scenario', name, by_scenario)} in {bench.test}"
        )
    trials.refit(bench, by_scenario[name])


def _scenario(bench: Bench, trial: Trial, rules: Any) -> list[Comparison]:
    """Save or compare one scenario."""
    from cibench.contracts.plugin_checks import SWITCH
    from cibench.testing import trial as trials
    from cibench.utils.errors import BadInput

    if bench.update:
        trials.save(bench, trial)
        return []
    try:
        compared, failure = trials.compare(bench, trial, rules)
    except BadInput as error:
        other = any(words in str(error) for words in ("edited", SWITCH))
        hint = "" if other else "; pytest --cibench-update-baseline saves one"
        lines = [f"cibench: {trial.scenario}: {line}" for line in error.args]
        failure = "\n".join(lines) + hint
    if failure:
        pytest.fail(failure, pytrace=False)
    return [compared]


def _subtests(request: pytest.FixtureRequest) -> Any:
    """Return pytest's `subtests`, None where it has none."""
    try:
        return request.getfixturevalue("subtests")
    except pytest.FixtureLookupError:
        return None
