"""What a lesson is: a scenario, what its slider moves, the methods shown, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cibench.model.design import Scenario, configure, find_scenario

if TYPE_CHECKING:
    pass

Moves = Literal["dial", "parameter", "n", "option", "best_of", "distance"]
View = Literal["", "asked", "passed"]


@dataclass(frozen=True)
class Slider:
    """Say what the slider moves and through which settings.

    `dial` and `parameter` are fields of the scenario, `n` its size, `option` one of the option
    `name` of an estimator (`of`). `best_of` reports, of every k data sets, the one with the
    smallest p-value; `distance` asks for the effect that far beyond the cutoff.
    """

    moves: Moves
    name: str
    settings: tuple[float, ...]
    of: str = ""


@dataclass(frozen=True)
class Series:
    """Name one row of every picture: a method, and how its answers are looked at.

    `asked` scores them as answers to the lesson's own question, `passed` only where the
    diagnostic raised no alarm.
    """

    estimator: str
    view: View = ""


@dataclass(frozen=True)
class Claim:
    """State a failure (a measure that is off at a setting) or a remedy (coverage above a floor)."""

    series: Series
    at: float
    measure: str = "coverage"
    floor: float = 0.9


@dataclass(frozen=True)
class Question:
    """Hold a question in Markdown and the answer that stays hidden until it is asked for."""

    ask: str
    answer: str


@dataclass(frozen=True)
class Words:
    """Hold what a lesson says, in one language."""

    language: str
    title: str
    assumption: str
    prose: str
    slider: str
    test: str
    labels: Mapping[str, str]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Lesson:
    """Hold a lesson as its file declares it; `cibench.lessons.parse.read` builds and checks one."""

    name: str
    path: Path
    words: Mapping[str, Words]
    scenario: str
    slider: Slider
    n: int
    seed: int
    replicates: int
    estimators: tuple[str, ...]
    diagnostic: str
    failure: Claim
    remedy: Claim
    estimand: str = ""
    question: str = ""
    views: tuple[Series, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dials: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    picture: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[Series, ...]:
        """Return the rows of every picture: the methods, each followed by its other views."""
        own = {name: [s for s in self.views if s.estimator == name] for name in self.estimators}
        return tuple(s for name in self.estimators for s in (Series(name), *own[name]))

    def words_in(self, language: str) -> Words:
        """Return the lesson's words in a language, in English where it has no others."""
        return self.words.get(language, self.words["en"])

    def size(self, setting: float) -> int:
        """Return the number of units at a setting of the slider."""
        return int(setting) if self.slider.moves == "n" else self.n

    def fields(self, setting: float) -> dict[str, Any]:
        """Return the scenario's parameters and dials at a setting of the slider."""
        moved = {self.slider.name: setting} if self.slider.moves in ("dial", "parameter") else {}
        return {**self.parameters, **self.dials, **moved}

    def scenario_at(self, setting: float) -> Scenario:
        """Return the scenario at a setting of the slider."""
        return configure(find_scenario(self.scenario), self.fields(setting))

    def suite(self, replicates: int = 0, settings: tuple[float, ...] = ()) -> dict[str, Any]:
        """Return the suite that makes the lesson's run, or that of some settings only."""
        settings = settings or self.slider.settings
        if self.slider.moves in ("best_of", "distance"):
            settings = settings[:1]
        spec = {
            "name": self.name, "seed": self.seed, "replicates": replicates or self.replicates,
            "plugins": list(self.plugins), "cells": self._cells(settings),
        }  # fmt: skip
        return {key: value for key, value in spec.items() if value}

    def _cells(self, settings: tuple[float, ...]) -> list[dict[str, Any]]:
        moves, name = self.slider.moves, self.slider.name
        listed = settings[0] if len(settings) == 1 else list(settings)
        moved = {name: listed} if moves in ("dial", "parameter") else {}
        cell = {
            "scenario": self.scenario,
            "n": [int(s) for s in settings] if moves == "n" else self.n,
            "dials": {**self.dials, **(moved if moves == "dial" else {})},
            "vary": "crossed",
            "parameters": {**self.parameters, **(moved if moves == "parameter" else {})},
            "estimators": [*self.estimators, *filter(None, [self.diagnostic])],
            "options": dict(self.options),
        }
        if moves != "option":
            return [{key: value for key, value in cell.items() if value}]
        return [{**cell, "options": self.options_at(s)} for s in settings]

    def options_at(self, setting: float) -> dict[str, dict[str, Any]]:
        """Return the estimators' options at a setting of the slider."""
        options = {name: dict(values) for name, values in self.options.items()}
        if self.slider.moves == "option":
            options.setdefault(self.slider.of, {})[self.slider.name] = setting
        return options
