"""The words and the numbers of a page in its language."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import Any

from cibench.lessons.lesson import Lesson, Series
from cibench.render.numbers import BLANK, digits, error_of, limits, number, percent, plain
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import asset


@lru_cache
def languages() -> dict[str, dict[str, str]]:
    """Return all interface words by language."""
    text = asset("cibench.lessons", "words.toml")
    return tomllib.loads(re.sub(r" (?=%)|(?<=%) (?=[\d{])", "\u00a0", text))  # no line ends there


class Interface:
    """Say things in one language; raises BadInput for one that there are no words for."""

    def __init__(self, language: str) -> None:
        known = languages()
        if language not in known:
            raise BadInput(unknown("language", language, known))
        self.language, self.words = language, known[language]

    def say(self, key: str, **filled: object) -> str:
        """Return a word or a sentence with its braces filled in."""
        return self.words[key].format(**filled)

    def local(self, text: str) -> str:
        """Write a number's text with the language's decimal mark."""
        marks = {".": self.words["decimal"], ",": "." if self.words["decimal"] == "," else ","}
        return "".join(marks.get(c, c) for c in text)

    def measured(self, pair: list[Any]) -> str:
        """Write a value beside its Monte Carlo error."""
        value, error = (_float(x) for x in pair[:2])
        return self.local(f"{number(value, error)} {error_of(value, error)}".strip())

    def share(self, parts: list[Any], sign: bool = True) -> str:
        """Write a proportion in per cent beside its Wilson limits, in a table without the sign."""
        value, _, low, high = (_float(x) for x in parts)
        if value is None:
            return BLANK
        text = percent(value, digits(low, high))
        text = self.say("percent", value=text) if sign else text
        return self.local(f"{text} ({limits(low, high)})")

    def near(self, value: Any, scale: float | None) -> str:
        """Write an analyst's number with the digits that its standard error leaves."""
        return self.local(number(float(value), scale))

    def span(self, low: Any, high: Any, outside: bool, scale: float | None) -> str:
        """Write an interval, or the two rays that a set may be."""
        low, high = float(low), float(high)
        if low > high:
            return "∅"
        ends = [self.near(x, scale) for x in (low, high)]
        if outside:
            return f"(−∞; {ends[0]}] ∪ [{ends[1]}; ∞)"
        return f"[{ends[0]}; {ends[1]}]"

    def outcome(self, p: Any, statistic: Any) -> str:
        """Write a p-value with two digits, or that it is below what those can show.

        A diagnostic that gives no p-value is written as its statistic.
        """
        if p is None:
            return BLANK if statistic is None else self.near(statistic, None)
        text = f"{float(p):.2f}"
        return "p < " + self.local("0.01") if text == "0.00" else f"p = {self.local(text)}"

    def setting(self, lesson: Lesson, at: int) -> str:
        """Write a setting of the slider."""
        return self.local(plain(lesson.slider.settings[at]))

    def label(self, lesson: Lesson, series: Series) -> str:
        """Name a series as the lesson's file does, with its view in words."""
        label = lesson.words_in(self.language).labels.get(series.estimator, series.estimator)
        if series.view == "asked":
            of = "treated_question" if lesson.question == "treated" else lesson.question
            return self.say("asked", label=label, question=self.say(of))
        return self.say("passed", label=label) if series.view == "passed" else label


def _float(x: Any) -> Any:
    return float(x) if isinstance(x, str) else x
