"""From a run to frames: for each setting of the slider what the pictures and tables show.

Frames are plain data, so that they can be stored beside the lesson. Each holds the scores of every
series with their Monte Carlo errors, counts of the estimates in bins, the intervals of the first
data sets, and the answers for the data sets that can be leafed through.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.lessons.lesson import Lesson, Series
from cibench.lessons.parse import find
from cibench.metrics import METRICS
from cibench.metrics.intervals import covers
from cibench.model import registry
from cibench.model.types import Array
from cibench.storage.manifest import skipped_checks
from cibench.storage.targets import undivided
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical, write_text
from cibench.utils.foreign import read_json
from cibench.utils.missing import missing
from cibench.utils.shapes import COUNT, SHARE, TEXT

if TYPE_CHECKING:
    import pandas as pd

    from cibench.execution.settings import RunSettings
    from cibench.results.run_folder import Run

FORMAT = 1
DATA_SETS, INTERVALS, BINS, DIGITS = 24, 60, 40, 6
MEASURES = (
    "bias", "median_bias", "empirical_se", "se_ratio", "coverage", "coverage_with_failures",
    "ci_length",
)  # fmt: skip
"""The metrics that a page is drawn and written from, in the order of stored frames."""

Frames = dict[str, Any]


def digest(lesson: Lesson) -> str:
    """Return the digest of what the lesson's file says of its run: the suite and the views.

    The words are not in it. Nor is the code: `sources` is stored beside it, and a slow test runs a
    few data sets again where a source has changed since.
    """
    spec = {k: v for k, v in lesson.suite().items() if k not in ("plugins", "name")}
    views = [list(vars(s).values()) for s in lesson.series]
    settings = [lesson.slider.moves, *lesson.slider.settings]
    content = [FORMAT, spec, views, settings, lesson.question, lesson.estimand]
    return blake2b(canonical(content).encode(), digest_size=8).hexdigest()


def sources(lesson: Lesson) -> dict[str, str | None]:
    """Return the digests of the code of the scenario and of every method."""
    from cibench.storage.source_digests import source_digest

    names = [*lesson.estimators, *filter(None, [lesson.diagnostic])]
    entries = {lesson.scenario: registry.entry("scenario", lesson.scenario)}
    entries |= {name: registry.entry("estimator", name) for name in names}
    return {name: source_digest(entry) for name, entry in entries.items()}


STORED = {
    "format": COUNT, "digest": TEXT, "replicates": COUNT, "level": SHARE, "versions": {str: TEXT},
    "made": TEXT, "sources": {str: (None, TEXT)}, "edges": [float], "frames": [{str: object}],
}  # fmt: skip
"""What is stored beside a lesson's file."""


def shipped(lesson: Lesson) -> Frames | None:
    """Return the frames that are stored beside the lesson's file, None where they are not of it."""
    path = stored_at(lesson)
    if not path.is_file():
        return None
    stored: Frames = read_json(path, STORED, "a lesson's frames, or damaged ones")
    return stored if stored.get("digest") == digest(lesson) else None


def stored_at(lesson: Lesson) -> Path:
    """Return where a lesson's frames are stored."""
    return lesson.path.parent / "frames" / f"{lesson.name}.json"


def make(lesson: Lesson, replicates: int = 0, settings: RunSettings | None = None) -> Frames:
    """Run the lesson and return its frames; raises BadInput where a method cannot be run."""
    from cibench.results.api import run
    from cibench.suite.parse import parse_suite

    suite = parse_suite(lesson.suite(replicates), where=str(lesson.path))
    return frames(lesson, run(suite, settings=settings))


def frames(lesson: Lesson, run: Run) -> Frames:
    """Return the frames of a run of the lesson's suite."""
    rows = rows_of(lesson, run)
    cuts = [Cut(lesson, rows, run.catalogue, setting) for setting in lesson.slider.settings]
    edges = _edges(cuts)
    content: Frames = {
        "format": FORMAT, "digest": digest(lesson), "replicates": run.manifest["replicates"],
        "level": run.manifest["level"], "versions": run.manifest["versions"],
        "made": run.manifest["created"][:10], "sources": sources(lesson),
        "edges": _rounded([edges[0], edges[-1]]),
        **({"unchecked": True} if skipped_checks(run.manifest) else {}),
        "frames": [_frame(cut, edges) for cut in cuts],
    }  # fmt: skip
    return content


def rows_of(lesson: Lesson, run: Run) -> pd.DataFrame:
    """Return the rows of the lesson's estimand, and those of its diagnostic."""
    rows = run.replicates
    meant = rows["estimand"].fillna(lesson.estimand) == lesson.estimand
    answers: pd.DataFrame = rows[undivided(rows) & meant]
    return answers


class Cut:
    """The rows of one setting, by series, and their scores."""

    def __init__(
        self, lesson: Lesson, rows: pd.DataFrame, catalogue: Mapping[str, Any], setting: float
    ) -> None:
        from cibench.analysis.scores import score

        self.lesson, self.setting = lesson, setting
        here = rows[at_setting(lesson, rows, setting)]
        self.tests = here[here["kind"] == "diagnostic"]
        self.alarms = score(self.tests, catalogue)
        self.rows = {series: self._viewed(here, series) for series in lesson.series}
        tables = {series: score(part, catalogue) for series, part in self.rows.items()}
        for series, table in tables.items():
            if len(table) != 1:
                raise BadInput(f"{lesson.path}: nothing to score for {series} at {setting:g}")
        self.scores: dict[Series, dict[str, Any]] = {
            series: {str(k): v for k, v in table.iloc[0].items()}
            for series, table in tables.items()
        }

    def _viewed(self, here: pd.DataFrame, series: Series) -> pd.DataFrame:
        """Return a series' rows as its view has them."""
        from cibench.lessons import reanalysis

        lesson = self.lesson
        if series.view == "passed":
            here = reanalysis.only_passed(here, lesson.diagnostic)
        mine = here[here["estimator"] == series.estimator]
        if lesson.slider.moves == "best_of":
            mine = reanalysis.picked(mine, int(self.setting))
        if series.view == "asked":
            away = self.setting if lesson.question == "distance" else 0.0
            scenario = lesson.scenario_at(self.setting)
            mine = reanalysis.to(mine, reanalysis.truth_of(scenario, lesson.question, away))
        return mine.sort_values("replicate", kind="stable")


def at_setting(lesson: Lesson, rows: pd.DataFrame, setting: float) -> pd.Series:
    """Say which rows belong to a setting of the slider."""
    slider = lesson.slider
    if slider.moves == "n":
        return rows["n"] == setting
    if slider.moves in ("dial", "parameter"):
        column = "dials" if slider.moves == "dial" else "parameters"
        return rows[column].map(lambda text: json.loads(text)[slider.name] == setting)
    if slider.moves == "option":
        same = rows["options"].map(lambda text: json.loads(text).get(slider.name) == setting)
        return same | (rows["estimator"] != slider.of)
    return rows["n"] > 0


def _edges(cuts: list[Cut]) -> Array:
    """Return the bins' edges: wide enough for nearly all estimates of every series and setting."""
    ends = []
    for cut in cuts:
        for series, part in cut.rows.items():
            tail = 0.01 if cut.scores[series]["moments"] else 0.05
            estimates = part["estimate"].to_numpy(dtype=float)
            estimates = estimates[np.isfinite(estimates)]
            ends += [float(part["truth"].mean())]
            ends += np.quantile(estimates, [tail, 1 - tail]).tolist() if estimates.size else []
    low, high = min(ends), max(ends)
    pad = 0.08 * (high - low) or 1.0
    return np.linspace(low - pad, high + pad, BINS + 1)


def _frame(cut: Cut, edges: Array) -> dict[str, Any]:
    return {
        "setting": cut.setting,
        "series": [_series(cut.scores[s], part, edges) for s, part in cut.rows.items()],
        "diagnostic": _alarms(cut),
        "shown": list(_data_sets(cut)),
    }


def _series(scores: Mapping[str, Any], part: pd.DataFrame, edges: Array) -> dict[str, Any]:
    """Return a series' scores, its estimates in bins, and its first intervals."""
    estimates = part["estimate"].to_numpy(dtype=float)
    estimates = estimates[np.isfinite(estimates)]
    counts, _ = np.histogram(estimates, edges)
    limits = part[["ci_low", "ci_high", "outside", "truth"]].head(INTERVALS)
    return {
        "truth": _rounded([scores["truth"], scores["truth_mcse"]]),
        "moments": bool(scores["moments"]), "replicates": int(scores["replicates"]),
        "answered": int(scores["answered"]),
        "scores": {
            name: _rounded([scores[column] for column in METRICS[name].columns])
            for name in MEASURES
        },
        "counts": counts.tolist(),
        "beyond": [int((estimates < edges[0]).sum()), int((estimates > edges[-1]).sum())],
        "rows": part["replicate"].head(INTERVALS).tolist(),
        "limits": [_limits(*row) for row in limits.itertuples(index=False)],
    }  # fmt: skip


def _limits(low: float, high: float, outside: object, truth: float) -> list[Any]:
    """Return limits, whether they are two rays, and whether they hold the truth."""
    rays = not missing(outside) and bool(outside)
    return [*_rounded([low, high]), rays, bool(covers(low, high, truth, rays))]


def _alarms(cut: Cut) -> list[float | None] | None:
    """Return how often the diagnostic raised the alarm: share, error, Wilson limits."""
    if cut.alarms.empty:
        return None
    row = cut.alarms.iloc[0]
    return _rounded([row[column] for column in METRICS["rejection"].columns])


def _data_sets(cut: Cut) -> Iterator[dict[str, Any]]:
    """Yield the data sets that can be leafed through, with every method's answer to each."""
    methods = [cut.rows[Series(name)].set_index("replicate") for name in cut.lesson.estimators]
    tests = cut.tests.set_index("replicate")
    for replicate in methods[0].index[:DATA_SETS]:
        answers = [answer(part.loc[replicate]) for part in methods if replicate in part.index]
        entry: dict[str, Any] = {"replicate": int(replicate), "answers": answers}
        entry["hash"] = str(methods[0].loc[replicate, "data_hash"])
        if replicate in tests.index:
            test = tests.loc[replicate]
            alarm = None if test["status"] != "ok" else not bool(test["passed"])
            entry["diagnostic"] = [*_rounded([test["p_value"]]), alarm]
            if entry["diagnostic"][0] is None:
                entry["statistic"] = _rounded([test["statistic"]])[0]
        yield entry


def answer(row: Any) -> list[Any]:
    """Return estimate, limits, whether they are two rays, and whether they hold the truth."""
    limits = _limits(*(row[name] for name in ("ci_low", "ci_high", "outside", "truth")))
    return [*_rounded([row["estimate"]]), *limits, str(row["reason"] or "")]


def _rounded(numbers: list[Any]) -> list[Any]:
    """Return numbers with six significant digits; None for none, infinities as text."""
    rounded: list[Any] = []
    for x in numbers:
        value = float("nan") if x is None else float(x)
        if np.isfinite(value):
            rounded.append(float(f"{value:.{DIGITS}g}"))
        else:
            rounded.append(None if np.isnan(value) else ("inf" if value > 0 else "-inf"))
    return rounded


AGAIN, NEAR = 2, 1e-4
"""How many data sets a setting are run again, and how near the stored answers theirs must be."""


def store(name: str, settings: RunSettings | None = None) -> Path | None:
    """Run a built-in lesson whose stored frames are not those of today's code, and store them.

    Returns the file's path, None where the stored frames are right already.
    """
    lesson = find(name)
    frames = shipped(lesson)
    if frames is not None and up_to_date(lesson, frames):
        if frames["sources"] == sources(lesson):
            return None
        frames["sources"] = sources(lesson)
    else:
        frames = make(lesson, settings=settings)
    path = stored_at(lesson)
    write_text(path, as_text(frames))
    return path


def as_text(frames: Frames) -> str:
    """Return frames as JSON, a line a frame, so that a change shows where it is."""
    head = {key: value for key, value in frames.items() if key != "frames"}
    lines = [json.dumps(frame, separators=(",", ":")) for frame in frames["frames"]]
    text = json.dumps(head, separators=(",", ":"))
    return text[:-1] + ',"frames":[\n' + ",\n".join(lines) + "\n]}\n"


def up_to_date(lesson: Lesson, frames: Mapping[str, Any]) -> bool:
    """Say whether the code is the one that made the frames, or gives the same answers.

    Most changes of a source change no number. Where one has changed, the first data sets of every
    setting are drawn and answered again.
    """
    return frames["sources"] == sources(lesson) or reproduces(lesson, frames)


def reproduces(lesson: Lesson, frames: Mapping[str, Any]) -> bool:
    """Say whether the first data sets of every setting give the stored answers again."""
    from cibench.results.api import run

    rows = rows_of(lesson, run(lesson.suite(AGAIN)))
    return all(
        _same(entry, here[here["replicate"] == entry["replicate"]].set_index("estimator"), lesson)
        for frame in frames["frames"]
        for here in [rows[at_setting(lesson, rows, frame["setting"])]]
        for entry in frame["shown"]
        if entry["replicate"] < AGAIN
    )


def _same(old: Mapping[str, Any], new: pd.DataFrame, lesson: Lesson) -> bool:
    """Compare data, numbers and alarm of one data set."""
    for name, before in zip(lesson.estimators, old["answers"], strict=True):
        now = answer(new.loc[name])
        if str(new.loc[name, "data_hash"]) != old["hash"]:
            return False
        if not all(_near(a, b) for a, b in zip(before[:3], now[:3], strict=True)):
            return False
    if "diagnostic" not in old or old["diagnostic"][1] is None:
        return True
    return bool(new.loc[lesson.diagnostic, "passed"] != old["diagnostic"][1])


def _near(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    a, b = float(a), float(b)
    return a == b or isclose(a, b, rel_tol=NEAR)
