"""Assignments: every student an own data set, whose truth is sealed until the answers are in.

The truth of each data set is committed to by SHA-256 of a canonical text that holds it beside a
secret 256-bit salt. Students get the commitment, the teacher keeps truth, salt and address.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.lessons.lesson import Lesson
from cibench.lessons.pictures import draw
from cibench.model.design import Scenario, configure, parameters, truths
from cibench.model.estimands import Estimand
from cibench.model.streams import digest, stream
from cibench.model.types import Draw, Target
from cibench.render.labels import slug
from cibench.utils.errors import BadInput
from cibench.utils.files import check_new, csv_text, json_text, write_folder
from cibench.utils.foreign import COPIED, read_csv
from cibench.utils.sealing import Seal, nonce

if TYPE_CHECKING:
    from cibench.execution.settings import RunSettings

EFFECTS = ("effect", "beta")
KEY, COMMITMENTS, ANSWERS = "teacher/key.json", "commitments.csv", "answers.csv"
DECISIONS = ("effect", "no effect", "cannot tell")
Files = dict[str, str]


def write_assignment(
    lesson: Lesson, students: Path, folder: Path, setting: float | None = None, *,
    settings: RunSettings | None = None,
) -> int:  # fmt: skip
    """Write a folder a student, the teacher's key and the commitments; return how many students.

    Each data set has an effect of its own, none in a third of them, and one of the slider's
    settings unless one is given. Raises BadInput where the list, the setting or the scenario does
    not do and where the scenario is a plug-in that breaks its contract, with nothing written;
    `settings` say whether and where it is held to it, and the teacher's key where it was not.
    """
    names = read_students(students)
    check_new(folder)
    secret = nonce()
    assignments = {name: _assign(lesson, name, secret, setting) for name in names}
    unchecked = _unchecked(lesson, setting, settings)
    files: Files = {}
    for number, (name, (entry, drawn)) in enumerate(assignments.items(), 1):
        place = f"students/{number:03d}-{slug(name) or 'student'}"
        files[f"{place}/data.csv"] = _data(lesson, entry, drawn)
        files[f"{place}/task.md"] = _task(lesson, name, entry)
    entries = {name: entry for name, (entry, _) in assignments.items()}
    key = {"lesson": str(lesson.path), "title": lesson.words["en"].title, "secret": secret,
           **({"unchecked": True} if unchecked else {}), "students": entries}  # fmt: skip
    seals = [[name, entry["commitment"]] for name, entry in entries.items()]
    blank = [[name, "", "", "", ""] for name in names]
    files[KEY] = json_text(key)
    files[COMMITMENTS] = csv_text([["student", "sha256"], *seals])
    files[ANSWERS] = csv_text([["student", "estimate", "low", "high", "decision"], *blank])
    write_folder(folder, files, private=(KEY,))
    return len(names)


def _unchecked(lesson: Lesson, setting: float | None, settings: RunSettings | None) -> bool:
    """Hold a scenario that is a plug-in to its contract; say whether that was left out."""
    from cibench.execution.runner import preflight
    from cibench.execution.settings import IN_PROCESS
    from cibench.suite.parse import parse_suite

    spec = lesson.suite(1, () if setting is None else (setting,))
    suite = parse_suite(spec, where=str(lesson.path))
    passed = preflight(suite, settings or IN_PROCESS, kinds=("scenario",))
    return bool((passed.verdicts or {}).get("skipped"))


LONGEST_NAME, MOST_STUDENTS = 200, 10_000


def read_students(path: Path) -> list[str]:
    """Read the column `student` of a CSV file, or its only column; BadInput with the line."""
    rows = read_csv(path)
    if not rows:
        raise BadInput(f"{path}: no students below the heading")
    column = "student" if "student" in rows[0] else next(iter(rows[0]))
    if column != "student" and len(rows[0]) > 1:
        raise BadInput(f"{path}:1: no column 'student' among {', '.join(rows[0])}")
    names: dict[str, None] = {}
    for row in rows:
        name, line = row[column].strip(), row.line
        if not name:
            raise BadInput(f"{path}:{line}: a student without a name")
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise BadInput(
                f"{path}:{line}: {name[:COPIED]!r} is no name: too long, or not printable"
            )
        if name in names:
            raise BadInput(f"{path}:{line}: '{name}' stands there twice")
        names[name] = None
        if len(names) > MOST_STUDENTS:
            raise BadInput(f"{path}:{line}: more than {MOST_STUDENTS:,} students")
    return list(names)


def sealed(student: str, truth: float, salt: str) -> dict[str, Any]:
    """Return what is sealed of a student's data set."""
    return {"student": student, "truth": float(truth), "salt": salt}


def _assign(
    lesson: Lesson, student: str, secret: str, setting: float | None
) -> tuple[dict[str, Any], Draw]:
    """Return the teacher's entry for a student and the data set, derived from the secret."""
    rng = stream("assignment", secret, student)
    at = lesson.slider.settings[rng.integers(len(lesson.slider.settings))]
    at = at if setting is None else setting
    first = lesson.scenario_at(at)
    name = _effect_of(first)
    scale = abs(float(getattr(first, name))) or 1.0
    size = float(rng.choice([-1, 1]) * rng.uniform(0.5, 2) * scale) * float(rng.random() > 1 / 3)
    fields = {**lesson.fields(at), name: float(f"{size:.4g}")}
    scenario = configure(type(first), fields)
    seed = int.from_bytes(digest("assignment", secret, student)[:6], "big")
    drawn = draw(lesson.scenario, fields, lesson.size(at), seed, 0)
    seal = Seal.of(sealed(student, _truth(scenario, lesson, lesson.size(at), drawn), nonce()))
    entry = {
        "setting": at, "fields": fields, "n": lesson.size(at), "seed": seed,
        "truth": seal.content["truth"], "salt": seal.content["salt"],
        "commitment": seal.commitment,
    }  # fmt: skip
    return entry, drawn


def _effect_of(scenario: Scenario) -> str:
    known = parameters(type(scenario))
    for name in EFFECTS:
        if name in known:
            return name
    raise BadInput(
        f"{scenario.name} has no parameter {' or '.join(EFFECTS)}: its truth is the same for "
        "every student; take another lesson"
    )


def _truth(scenario: Scenario, lesson: Lesson, n: int, drawn: Draw) -> float:
    values = {str(t.estimand): v.value for t, v in truths(scenario, n).items() if t.plain}
    if lesson.estimand in values:
        return float(values[lesson.estimand])
    target = next(t for t in scenario.targets() if str(t.estimand) == lesson.estimand)
    return drawn.value(Target(target.estimand))


def _data(lesson: Lesson, entry: Mapping[str, Any], drawn: Draw) -> str:
    roles = configure(type(lesson.scenario_at(entry["setting"])), entry["fields"]).assigned_roles()
    columns = [drawn.columns[name].tolist() for name in roles.columns]
    return csv_text([roles.columns, *zip(*columns, strict=True)])


MEANT = {
    "ATE": "average effect on everybody", "ATT": "average effect on the treated",
    "LATE": "average effect on compliers", "ATE_AT_CUTOFF": "average effect at the cutoff",
    "LATE_AT_CUTOFF": "average effect on compliers at the cutoff",
    "COEFFICIENT": "effect of one more unit of the treatment",
    "MEAN": "mean of the outcome, had nobody's been missing",
    "SATE": "average effect on everybody in the data",
    "SATT": "average effect on the treated in the data",
}  # fmt: skip
"""What students are asked for, in words."""

TASK = """# {title}

Student: {student}

`data.csv` is yours alone: it has {rows} rows and an effect that only your teacher knows.

{roles}

Estimate the **{meant}** ({estimand}){cutoff}
with a 95 % confidence interval, by a method you can defend.
Look at the data first: an assumption may be broken.

Hand in one line of `answers.csv`: your name as it stands above, `estimate`, `low`, `high`, and
`decision`, which is one of {decisions}.

The truth is sealed. When the answers are in, your teacher reveals it with a salt, and this is the
SHA-256 of both, so that you can check that it was not changed:

    {commitment}
"""


def _task(lesson: Lesson, student: str, entry: Mapping[str, Any]) -> str:
    roles = lesson.scenario_at(entry["setting"]).assigned_roles()
    named = {
        "outcome": roles.outcome, "treatment": roles.treatment, "running variable": roles.running,
        "instruments": ", ".join(roles.instruments), "covariates": ", ".join(roles.covariates),
        "unit": roles.unit, "time": roles.time, "first treated period (0: never)": roles.cohort,
        "cluster": roles.cluster,
    }  # fmt: skip
    listed = "\n".join(f"- {what}: `{column}`" for what, column in named.items() if column)
    cutoff = f" (the cutoff is {roles.cutoff:g})" if roles.cutoff is not None else ""
    decisions = ", ".join(f"`{d}`" for d in DECISIONS)
    rows = entry["n"] if not roles.time else f"{entry['n']} units by period as"
    return TASK.format(
        title=lesson.words["en"].title, student=student, rows=rows, roles=listed,
        estimand=lesson.estimand, cutoff=cutoff, decisions=decisions,
        meant=MEANT.get(lesson.estimand) or Estimand(lesson.estimand).words,
        commitment=entry["commitment"],
    )  # fmt: skip
