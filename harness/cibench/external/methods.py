"""Estimators in other languages as a TOML file declares them, asked in a process of theirs."""

from __future__ import annotations

import copy
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cibench.external.process import Command, Process, process_of
from cibench.external.wire import PYTHON, Nonsense, Reported, answer_of, generators, question
from cibench.model import registry
from cibench.model.estimands import Estimand, is_estimand
from cibench.model.method import GIVES, Estimator
from cibench.model.types import ROLE_NAMES, SUBDIVISIONS, Problem
from cibench.utils.errors import BadInput, unknown
from cibench.utils.toml import Table, open_table, refuse

KEYS = (
    "command", "about", "targets", "horizons", "by", "needs", "assumes", "tests", "uses", "gives",
    "moments", "options", "files",
)  # fmt: skip
SEEDS = 2**31 - 1
"""Seeds are below it, as the generators of most languages want them."""


@dataclass(frozen=True)
class Environment:
    """Say where an estimator is asked: by which command, and with which packages there."""

    name: str
    command: Command
    uses: tuple[str, ...] = ()

    def prepare(self) -> Process:
        """Return the running process; raises BadInput where none starts or it lacks the method."""
        process = process_of(self.command)
        names, complete = process.hello.estimators, process.hello.complete
        if names and complete and self.name not in names:
            line = unknown("estimator", self.name, names)
            raise BadInput(f"{self.command}: has {line}")
        return process

    def lacking(self) -> list[str]:
        """Return the packages that are not installed there; raises BadInput where none starts."""
        versions = self.prepare().versions(self.uses)
        return [name for name, version in versions.items() if version is None]

    def versions(self) -> dict[str, str]:
        """Return the versions of the language and of the packages there, by what they are of."""
        process = self.prepare()
        where = f"{process.hello.language} ({Path(self.command.words[0]).name})"
        versions = process.versions(self.uses)
        packages = {f"{where}: {name}": versions[name] or "not installed" for name in versions}
        return {where: process.hello.version, **packages}


def seed_of(rng: np.random.Generator) -> int:
    """Return the seed that a stream stands for elsewhere, a whole number below 2^31 - 1.

    It is drawn from a copy: the stream itself is drawn from by methods that are random.
    """
    return int(copy.deepcopy(rng).integers(SEEDS))


def fit_elsewhere(
    where: Environment, problem: Problem, rng: np.random.Generator, options: Mapping[str, Any]
) -> Any:
    """Ask an estimator in another process; raises Declined or Reported as it says.

    Where it says that it drew random numbers, the stream is drawn from, too: whoever asks whether
    the fit was random looks there.
    """
    try:
        process = where.prepare()
        folder = process.empty_folder()
        request = question(where.name, problem, folder, seed_of(rng), options)
        if process.hello.language == PYTHON:
            request |= generators(rng, folder)
        message = process.ask(request)
    except BadInput as error:
        raise Reported(str(error)) from error
    except Nonsense as error:
        raise Reported(f"its process {error}") from error
    if message.get("random") is True:
        rng.random()
    try:
        return answer_of(message, problem.targets)
    except Nonsense as error:
        raise Reported(f"its process {error}") from error


def register_methods(path: str | Path) -> list[Estimator]:
    """Register the estimators that a TOML file declares; raises BadInput with a line a mistake."""
    table = open_table(Path(path))
    methods = read_methods(table, Path(path))
    refuse(table)
    return methods


def read_methods(table: Table, path: Path) -> list[Estimator]:
    """Register what stands under [estimators] in a file; what is wrong is noted in the table."""
    methods = []
    for name in (tables := table.table("estimators")).content:
        part = tables.table(name)
        part.check_keys(KEYS)
        method, files = _method(name, part, path.resolve().parent)
        if part.faulty():
            continue
        try:
            registry.register(
                "estimator", name, method, str(path.resolve()), name, files, path.resolve()
            )
        except ValueError as error:
            tables.fault(name, error)
        else:
            methods.append(method)
    return methods


def _method(name: str, part: Table, folder: Path) -> tuple[Estimator, tuple[str, ...]]:
    """Return an estimator as a table declares it, and the files that it rests on."""
    words = part.strings("command", ...)
    command = Command(tuple(words), str(folder))
    if any("\0" in word for word in words):
        part.fault("command", "holds a zero byte")
    elif words:
        try:
            command.program()
        except BadInput as error:
            part.fault("command", error)
    tests = tuple(part.strings("tests", []))
    targets, horizons = _estimands(part, "targets"), _estimands(part, "horizons")
    if not (targets or horizons or tests or part.faulty("targets", "horizons", "tests")):
        part.fault("targets", "is missing; it takes names of estimands (a diagnostic has 'tests')")
    environment = Environment(name, command, tuple(part.strings("uses", [])))
    options = dict(part.table("options").content)
    for option, value in list(options.items()):
        if not option.isidentifier():
            part.fault("options", f"'{option}' is no name of an option")
            del options[option]
        elif not _is_plain(value):
            part.fault("options", f"'{option}' is no number, text, or list of them")
    about = part.take("about", str, f"{name}, asked by: {command}", bool, "a text")
    method = Estimator(
        name, function(environment, about, options), targets, horizons,
        _among(part, "needs", ROLE_NAMES, "role", ()),
        tuple(part.strings("assumes", [])), tests=tests,
        gives=_among(part, "gives", GIVES, "part of an answer", () if tests else GIVES),
        moments=part.take("moments", bool, True, lambda _: True, "true or false"),
        kind="diagnostic" if tests else "estimate", options=options, elsewhere=environment,
        by=_among(part, "by", SUBDIVISIONS, "part of a target", ()),
    )  # fmt: skip
    return method, tuple(dict.fromkeys([*_beside(part, words, folder), *part.strings("files", [])]))


def _beside(part: Table, words: list[str], folder: Path) -> list[str]:
    """Return the words of a command that are files of the folder; notes those that lie elsewhere.

    The program itself may: it is known by the version that it says.
    """
    beside = []
    for place, word in enumerate(words):
        if "\0" in word:
            continue
        path = folder / word
        if re.search(r"\w", word) and path.is_file():
            if path.resolve().is_relative_to(folder):
                beside.append(word)
            elif place:
                part.fault("command", f"the file '{word}' lies outside of {folder}", place)
    return beside


def _is_plain(value: object) -> bool:
    """Say whether a value is as JSON has it, which rows and requests carry."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _estimands(part: Table, key: str) -> tuple[Estimand, ...]:
    names = part.strings(key, [])
    for number, name in enumerate(names):
        if not is_estimand(name):
            part.fault(key, unknown("estimand", name, Estimand.known()), number)
    return tuple(Estimand(name) for name in names if is_estimand(name))


def _among(
    part: Table, key: str, known: tuple[str, ...], what: str, default: tuple[str, ...]
) -> tuple[str, ...]:
    values = part.strings(key, list(default))
    for number, value in enumerate(values):
        if value not in known:
            part.fault(key, unknown(what, value, known), number)
    return tuple(value for value in values if value in known)


def function(
    environment: Environment, about: str, options: Mapping[str, Any]
) -> Callable[..., Any]:
    """Return the fit of an estimator elsewhere, with the form of one that is written here."""

    def fit(problem: Problem, rng: np.random.Generator, **chosen: Any) -> Any:
        return fit_elsewhere(environment, problem, rng, {**options, **chosen})

    either, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, either) for name in ("problem", "rng")]
    parameters += [inspect.Parameter(n, keyword, default=value) for n, value in options.items()]
    fit.__doc__, fit.__qualname__ = about, environment.name
    fit.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return fit
