"""Assignments, their grading, notebooks and the command line for teachers."""

from __future__ import annotations

import csv
import json
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import cibench
from cibench.lessons import find
from cibench.lessons.classroom.assignment import MEANT, write_assignment
from cibench.lessons.classroom.grading import read_class
from cibench.lessons.classroom.report import write_report
from cibench.lessons.notebook import notebook
from cibench.model.estimands import BUILT_IN
from cibench.utils.errors import BadInput

TOY = Path(__file__).with_name("toy.toml").read_text(encoding="utf-8")
NAMES = ["Ada", "Şükrü Ünal", "Núñez, Ana", "../evil", "Bo", "Cy"]


def written(folder: Path, text: str = TOY, name: str = "toy.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def listed(folder: Path, names=NAMES) -> Path:
    path = folder / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["student", "group"], *([name, 1] for name in names)])
    return path


@pytest.fixture
def given(tmp_path):
    lesson = find(written(tmp_path))
    folder = tmp_path / "class"
    assert write_assignment(lesson, listed(tmp_path), folder) == 6
    return lesson, folder, json.loads((folder / "teacher/key.json").read_text())["students"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def answers(path: Path, rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        heading = ["student", "estimate", "low", "high", "decision"]
        csv.writer(file).writerows([heading, *rows])
    return path


# ---- assignments -----------------------------------------------------------------------------


def test_every_student_has_an_own_data_set_and_a_sealed_truth(given):
    lesson, folder, key = given
    files = sorted((folder / "students").rglob("data.csv"))
    assert len(files) == 6 and len({f.read_bytes() for f in files}) == 6
    assert not any("teacher" in p.name or "key" in p.name for p in (folder / "students").rglob("*"))
    public = {r["student"]: r["sha256"] for r in rows_of(folder / "commitments.csv")}
    for path, (name, entry) in zip(files, key.items(), strict=True):
        truth, salt = entry["truth"], entry["salt"]
        sealed = f'{{"salt":"{salt}","student":"{name}","truth":{json.dumps(truth)}}}'
        assert public[name] == entry["commitment"] == sha256(sealed.encode()).hexdigest()
        rows = np.genfromtxt(path, delimiter=",", names=True)
        again = cibench.lessons.draw(lesson.scenario, entry["fields"], 300, entry["seed"], 0)
        assert np.allclose(rows["y"], again.columns["y"]) and set(rows.dtype.names) == set("ydx")
        task = (path.parent / "task.md").read_text(encoding="utf-8")
        assert entry["commitment"] in task and name in task and "cutoff is 0" in task
        for secret in (salt, str(entry["seed"]), f"{truth}"):
            assert secret not in task or secret == "0.0"
    assert len({entry["salt"] for entry in key.values()}) == 6
    assert {p.parent.parent for p in files} == {folder / "students"}  # nobody's name leads out


def test_effects_differ_and_some_are_zero(tmp_path):
    lesson = find(written(tmp_path))
    folder = tmp_path / "large"
    write_assignment(lesson, listed(tmp_path, [f"s{i}" for i in range(90)]), folder, 0.2)
    key = json.loads((folder / "teacher/key.json").read_text())["students"]
    truths = [entry["truth"] for entry in key.values()]
    assert 12 <= sum(t == 0 for t in truths) <= 48  # 30 of 90, five errors either way
    assert all(0.5 * 0.04 <= abs(t) <= 2 * 0.04 for t in truths if t) and min(truths) < 0
    assert {entry["setting"] for entry in key.values()} == {0.2}


def test_a_class_is_graded_as_by_hand(given, tmp_path):
    _, folder, key = given
    truth = {name: entry["truth"] for name, entry in key.items()}
    off = {"Ada": 0.1, "Şükrü Ünal": -0.1, "Núñez, Ana": 0.5, "../evil": 0.0, "Bo": -0.3}
    said = [
        [n, truth[n] + d, truth[n] + d - 0.2, truth[n] + d + 0.2,
         "effect" if n != "Bo" else "cannot tell"] for n, d in off.items()
    ]  # fmt: skip
    path = answers(tmp_path / "answers.csv", [*said, ["Cy", "", "", "", ""]])
    found = read_class(folder, path)
    assert found.missing == ("Cy",)
    assert found.coverage.value == pytest.approx(3 / 5)
    assert found.bias.value == pytest.approx(0.2 / 5)
    errors = np.array(list(off.values()))
    assert found.bias.mcse == pytest.approx(errors.std(ddof=1) / np.sqrt(5))
    right = [truth[n] != 0 for n in off if n != "Bo"]
    assert found.right.value == pytest.approx(np.mean(right))
    report = write_report(found, folder / "teacher")
    text = report.read_text(encoding="utf-8")
    assert "3 of 5 intervals covered the truth: 60\u00a0%" in text and "../evil" in text
    assert not re.search(r"<(script|link|img|iframe)\b|src=", text)
    revealed = rows_of(folder / "teacher/revealed.csv")
    assert [r["student"] for r in revealed] == list(off)
    for name in ("grades.csv", "revealed.csv", "report.html"):
        assert (folder / "teacher" / name).stat().st_mode & 0o777 == 0o600
    grades = rows_of(folder / "teacher/grades.csv")
    assert [g["covers"] for g in grades] == ["True", "True", "False", "True", "False"]


@pytest.mark.parametrize(("row", "said"), [
    (["Ade", 1, 0, 2, "effect"], "3: no student of this assignment named 'Ade'; did you mean"),
    (["Bo", "one", 0, 2, "effect"], "3: estimate: 'one' is not a number"),
    (["Bo", 1, 2, 0, "effect"], "3: low = 2 is above high = 0"),
    (["Bo", 1, 0, 2, "efect"], "3: no decision named 'efect'; did you mean 'effect'"),
    (["Cy", 1, 0, 2, "effect"], "3: 'Cy' answers twice"),
    (["Bo", 1, 0, "nan", "effect"], "3: high: 'nan' is not a number"),
])  # fmt: skip
def test_a_faulty_answer_is_told_its_line(given, tmp_path, row, said):
    _, folder, _ = given
    path = answers(tmp_path / "answers.csv", [["Cy", 1, 0, 2, "no effect"], row])
    with pytest.raises(BadInput, match=re.escape(f"answers.csv:{said}")):
        read_class(folder, path)


def test_a_truth_that_was_changed_after_sealing_is_found(given, tmp_path):
    _, folder, _ = given
    path = folder / "teacher/key.json"
    key = json.loads(path.read_text())
    key["students"]["Bo"]["truth"] += 0.01
    path.write_text(json.dumps(key))
    with pytest.raises(BadInput, match="truth of 'Bo' is not the one that was sealed"):
        read_class(folder, answers(tmp_path / "a.csv", [["Bo", 1, 0, 2, "effect"]]))


def by_hand(line: dict[str, str]) -> str:
    """Return the commitment that a student finds from a line of `revealed.csv`."""
    sealed = f'{{"salt":"{line["salt"]}","student":"{line["student"]}","truth":{line["truth"]}}}'
    return sha256(sealed.encode()).hexdigest()


def test_a_truth_of_zero_has_no_sign_and_is_verified_by_hand(tmp_path):
    folder, names = tmp_path / "class", [f"s{i}" for i in range(30)]
    write_assignment(find(written(tmp_path)), listed(tmp_path, names), folder)
    text = (folder / "teacher/key.json").read_text()
    key = json.loads(text)["students"]
    assert '"truth": 0.0,' in text and '"truth": -0.0,' not in text
    path = answers(tmp_path / "a.csv", [[n, 1, 0, 2, "effect"] for n in names])
    write_report(read_class(folder, path), folder / "teacher")
    for line in rows_of(folder / "teacher/revealed.csv"):
        assert by_hand(line) == line["sha256"] == key[line["student"]]["commitment"]


@pytest.mark.parametrize("kept", [-0.0, 0.0, 0])  # as it was, or as a tool wrote the key anew
def test_a_zero_that_was_sealed_with_its_sign_still_holds(given, tmp_path, kept):
    _, folder, key = given
    old = by_hand({"student": "Bo", "truth": "-0.0", "salt": key["Bo"]["salt"]})
    key["Bo"] |= {"truth": kept, "commitment": old}
    path = folder / "teacher/key.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"students": key}))
    found = read_class(folder, answers(tmp_path / "a.csv", [["Bo", 1, 0, 2, "effect"]]))
    write_report(found, folder / "teacher")
    (line,) = rows_of(folder / "teacher/revealed.csv")
    assert by_hand(line) == line["sha256"]


@pytest.mark.parametrize(("text", "said"), [
    ("name,mail\nAda,x\n", "1: no column 'student'"), ("student\n", "no students"),
    ("student,x\nAda,1\nAda,2\n", "3: 'Ada' stands there twice"),
    ("student,x\nAda,1\n,2\n", "3: a student without a name"),
])  # fmt: skip
def test_a_faulty_list_is_told_its_line_and_nothing_is_written(tmp_path, text, said):
    lesson = find(written(tmp_path))
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(BadInput, match=re.escape(said)):
        write_assignment(lesson, tmp_path / "list.csv", tmp_path / "class")
    assert not (tmp_path / "class").exists()


def test_semicolons_and_decimal_commas_are_read(given, tmp_path):
    _, folder, _ = given
    path = tmp_path / "a.csv"
    path.write_text("student;estimate;low;high;decision\nBo;0,5;0,25;0,75;Effect\n")
    (one,) = read_class(folder, path).answers
    assert (one.estimate, one.low, one.high, one.decision) == (0.5, 0.25, 0.75, "effect")


def test_every_estimand_is_asked_for_in_words():
    assert set(MEANT) <= set(BUILT_IN) and all(cibench.Estimand(name).words for name in BUILT_IN)


# ---- the command line ------------------------------------------------------------------------


def test_new_lesson_then_lesson_gives_a_page(call, tmp_path):
    code, out, _ = call("new", "lesson", "my-own")
    assert code == 0 and "cibench lesson my-own.toml" in out
    assert len((tmp_path / "my-own.toml").read_text().splitlines()) < 40
    code, out, err = call("lesson", "my-own.toml", "--replicates", 4, "--workers", 1)
    assert code == 0 and out.splitlines()[-1] == f"lesson: {tmp_path / 'my-own.html'}"
    assert "my-own: running 4 data sets a setting" in err
    assert "<title>My own · cibench</title>" in (tmp_path / "my-own.html").read_text()
    assert call("new", "lesson", "my-own")[2].startswith("cibench: my-own.toml exists already")
    assert "comes with cibench" in call("new", "lesson", "manipulation")[2]


@pytest.mark.usefixtures("shelves")
def test_the_lesson_of_the_docs_is_a_page(call, tmp_path):
    docs = (Path(__file__).parents[2] / "docs/lessons.md").read_text(encoding="utf-8")
    (lines,), (text,) = (
        re.findall(rf"```{kind}\n(.*?)```", docs, re.S) for kind in ("python", "toml")
    )
    assert call("new", "scenario", "own/my-design")[0] == 0
    made = (tmp_path / "my_design.py").read_text()
    for line in [given.split("#")[0].strip() for given in lines.splitlines()]:
        start = "return" if line.startswith("return") else line.split("=")[0]
        made, count = re.subn(rf"(?m)^( +){start}.*FILL IN \d.*$", rf"\g<1>{line}", made)
        assert count == 1
    (tmp_path / "my_design.py").write_text(made)
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    assert len(text.splitlines()) < 40
    code, _, err = call("lesson", "own.toml", "--replicates", 100, "--workers", 1)
    spoken = [line for line in err.splitlines() if "rows" not in line]  # besides its progress
    assert (code, spoken) == (0, ["own: running 100 data sets a setting"])  # it bears that out
    assert "<math" in (tmp_path / "own.html").read_text()
    code, _, err = call("lesson", "own")
    assert code == 2 and "for the file own.toml write `cibench lesson own.toml`" in err


def test_lesson_lists_builds_courses_and_complains(call, tmp_path):
    listed = call("lesson")[1]
    assert "no manipulation" in listed and "`cibench lesson NAME` writes a page" in listed
    written(tmp_path)
    written(tmp_path, TOY.replace("Toy", "Another"), "another.toml")
    code, out, _ = call("lesson", "toy.toml", "another.toml", "--replicates", 4, "--workers", 1,
                        "--out", "course", "--language", "es")  # fmt: skip
    assert code == 0 and out.splitlines()[-1] == f"lesson: {tmp_path / 'course/index.html'}"
    index = (tmp_path / "course/index.html").read_text()
    assert 'href="toy.html"' in index and "Lecciones" in index and index.count("<svg") == 2
    for wrong, said in (
        (("lesson", "manipulaton"), "did you mean 'manipulation'?"),
        (("lesson", "toy.toml", "--language", "fr"), "no language named 'fr'"),
        (("lesson", "toy.toml", "--all"), "not both"),
        (("lesson", "toy.toml", "--replicates", "1"), "not a number of 2 or more"),
        (("grade", "course", "none.csv"), "is not an assignment"),
    ):
        code, _, err = call(*wrong)
        assert code == 2 and said in err and err.count("\n") <= 2
    names = [e["name"] for e in json.loads(call("list", "lessons", "--json")[1])["lessons"]]
    assert "parallel-trends" in names


def test_assignment_and_grade_from_the_command_line(call, tmp_path):
    written(tmp_path)
    code, out, _ = call("assignment", "toy.toml", "--students", listed(tmp_path))
    assert code == 0 and "keep teacher/ to yourself" in out
    key = json.loads((tmp_path / "toy-assignment/teacher/key.json").read_text())["students"]
    rows = [[n, e["truth"], e["truth"] - 1, e["truth"] + 1, "effect"] for n, e in key.items()]
    code, out, _ = call("grade", "toy-assignment", answers(tmp_path / "a.csv", rows))
    assert code == 0 and "6 of 6 intervals covered the truth: 100 % (61–100)" in out
    assert call("assignment", "toy.toml", "--students", listed(tmp_path))[0] == 2


# ---- notebooks -------------------------------------------------------------------------------


def test_a_notebook_is_valid_and_its_lesson_is_found(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    lesson = find(written(tmp_path))
    made = notebook(lesson, 5)
    nbformat.validate(nbformat.from_dict(made))
    code = "".join(c["source"] for c in made["cells"] if c["cell_type"] == "code")
    assert str(lesson.path) in code and "lesson.frame(0.4, replicates=5)" in code
    built_in = notebook(find("manipulation"))
    assert "find('manipulation')" in json.dumps(built_in)


@pytest.mark.usefixtures("shelves")
def test_a_students_estimator_stands_beside_the_lessons(tmp_path):
    lesson = find(written(tmp_path))
    names: dict[str, object] = {"lesson": lesson}
    own = next(c["source"] for c in notebook(lesson, 5)["cells"] if "first_try" in c["source"])
    exec(own.rpartition("\n\n")[0], names)
    frame = lesson.frame(0.3, replicates=5, estimators=["mine/first-try"])
    shown = frame._repr_html_()
    assert shown.count("<polygon") == 3 and "mine/first-try" in shown and "<table" in shown
    scores = frame.run.scores.set_index("estimator")
    assert frame.frames["frames"][0]["series"][2]["scores"]["bias"][0] == pytest.approx(
        scores.loc["mine/first-try", "bias"], rel=1e-4
    )
    assert "Toy" in lesson._repr_html_()
    with pytest.raises(BadInput, match="lies outside 0 to 1"):
        lesson.frame(1.5, replicates=5)
