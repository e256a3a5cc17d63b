"""What type checkers see of cibench from a file outside of it.

Each is asked for the type of every name that `cibench` and the faces of its packages offer, none of
which may be unknown to it; it may hold nothing against a plug-in, and must see what is wrong in a
wrong file. The tests ask mypy; the session `typed` asks both, where cibench was installed as the
README says: `python tests/house/test_typed.py`.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import cibench

PLUGIN = '''"""A design and a method of one's own."""

import numpy as np

from cibench import Draw, Estimand, Estimate, Problem, Scenario
from cibench import dial, estimator, find_scenario, parameter, scenario


@scenario("own/randomised")
class Randomised(Scenario):
    """Y = effect D + u, where units with a high u take the treatment if there is confounding."""

    estimand = Estimand.ATE
    reference = "none"
    effect: float = parameter(default=0.5, unit="outcome")
    confounding: float = dial(
        default=0.0, grid=(0.5,), within=(0.0, 1.0), breaks="no confounding", unit="share of units"
    )

    def truth(self) -> float:
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        u, coin, at_risk = rng.normal(size=n), rng.random(n), rng.random(n)
        d = np.where(at_risk < self.confounding, u > 0, coin < 0.5).astype(float)
        return Draw({"y": self.effect * d + u, "d": d}, u, np.full(n, self.effect))


@estimator("own/difference", targets=(Estimand.ATE,), assumes=("no confounding",))
def difference(problem: Problem, rng: np.random.Generator, *, trim: float = 0.0) -> Estimate:
    """Compare the treated with the untreated."""
    y, treated = problem.outcome, problem.treatment == 1
    value = float(y[treated].mean() - y[~treated].mean())
    se = float(np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum()))
    return Estimate.wald(value, se, problem.level)


truth = Randomised(confounding=0.5).truth()
drawn = find_scenario("own/randomised")().draw(10, np.random.default_rng(1))
'''

WRONG = '''"""What a checker that sees the signatures complains of, each line once."""

import cibench

cibench.run("quickstart", workers="two")
cibench.load(1)
cibench.find_estimator("rd/local-linear").no_such_attribute
cibench.Estimate.wald("value", 1.0, 0.95)
cibench.stream(1.5)
'''
ERRORS = range(5, 10)

Seen = tuple[dict[int, str], list[tuple[str, int]]]
SIGNATURES = {"cibench.run": ("suite", "workers", "Run"), "cibench.load": ("path", "Run")}
"""Words that the type of a name holds; both checkers spell them alike."""


def faces() -> list[str]:
    """Return cibench and its packages that offer names, as they are installed."""
    package = Path(cibench.__file__).parent
    return sorted(
        ".".join(("cibench", *path.parent.relative_to(package).parts))
        for path in package.rglob("__init__.py") if "_HOMES" in path.read_text(encoding="utf-8")
    )  # fmt: skip


def offered() -> list[str]:
    """Return the names that they offer, with the face before each."""
    return [f"{face}.{name}" for face in faces() for name in import_module(face).__all__]


def mypy(folder: Path) -> Seen:
    """Return the types that mypy reveals in names.py by line, and the errors by file and line."""
    said = run("mypy", "--strict", "--cache-dir", str(folder / "cache"), *sources(folder))
    types, errors = {}, []
    for name, line, kind, words in re.findall(r"^(\w+\.py):(\d+): (\w+): (.*)$", said, re.M):
        if revealed := re.search(r'Revealed type is "(.*)"', words):
            types[int(line)] = revealed[1]
        elif kind == "error":
            errors.append((name, int(line)))
    return types, errors


def pyright(folder: Path) -> Seen:
    """Return what `mypy` does, of pyright."""
    said = run("pyright", "--outputjson", "--pythonpath", sys.executable, *sources(folder))
    types, errors = {}, []
    for entry in json.loads(said[said.index("{") :])["generalDiagnostics"]:
        name, line = Path(entry["file"]).name, entry["range"]["start"]["line"] + 1
        if revealed := re.search(r'Type of ".*" is "(.*)"', entry["message"], re.S):
            types[line] = revealed[1]
        elif entry["severity"] == "error":
            errors.append((name, line))
    return types, errors


def sources(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.py"))]


def run(checker: str, *arguments: str) -> str:
    """Run a checker in the folder of its first file, which no configuration of ours reaches."""
    folder = Path(arguments[-1]).parent
    ran = subprocess.run(
        [sys.executable, "-m", checker, *arguments], capture_output=True, text=True, check=False,
        cwd=folder,
    )  # fmt: skip
    if ran.returncode not in (0, 1):
        raise SystemExit(f"{checker}: {ran.stdout}{ran.stderr}")
    return ran.stdout


def faults(
    types: dict[int, str], errors: list[tuple[str, int]], names: dict[int, str]
) -> list[str]:
    """Return what a checker does not see, or holds against files that are right."""
    found = []
    for line, name in names.items():
        seen = types.get(line, "nothing")
        if seen in ("Any", "Unknown", "nothing"):
            found.append(f"{name} is {seen}")
        missing = [word for word in SIGNATURES.get(name, ()) if word not in seen]
        if missing:
            found.append(f"{name} is {seen}, without {', '.join(missing)}")
    found += [f"an error in {file}, line {line}" for file, line in errors if file != "wrong.py"]
    unseen = set(ERRORS) - {line for file, line in errors if file == "wrong.py"}
    return found + [f"the error in wrong.py, line {line}, is not seen" for line in sorted(unseen)]


def check(checker: Callable[[Path], Seen], folder: Path) -> list[str]:
    """Write the files, ask a checker and return what it does not see."""
    imports, names = [f"import {face}" for face in faces()], offered()
    asked = "\n".join((*imports, *(f"reveal_type({name})" for name in names)))
    for name, text in (("names", asked), ("plugin", PLUGIN), ("wrong", WRONG)):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return faults(*checker(folder), dict(enumerate(names, len(imports) + 1)))


def test_mypy_sees_every_name_from_outside(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is in the extra `dev`")
    assert not check(mypy, tmp_path)


def main() -> None:
    """Ask both checkers; exit with what they do not see."""
    bad = []
    for checker in (mypy, pyright):
        with tempfile.TemporaryDirectory() as place:
            found = check(checker, Path(place).resolve())
        bad += [f"{checker.__name__}: {words}" for words in found]
        print(f"{checker.__name__}: {len(offered())} names, {len(found)} faults")
    if bad:
        raise SystemExit("\n".join(bad))


if __name__ == "__main__":
    main()
