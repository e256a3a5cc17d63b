import json
from pathlib import Path

import pytest
from toys import plugin

from cibench.gate.versions.environments import Unavailable, build, installed_here
from cibench.gate.versions.requirements import outside, requested_versions, supported
from cibench.utils.errors import BadInput

BACKEND = '''
"""A build backend of its own: no index is asked for one."""
import zipfile
from pathlib import Path

NAME, VERSION, NEEDS = "cibench_made", "{version}", "{needs}"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    about = f"{{NAME}}-{{VERSION}}.dist-info"
    needs = f"Requires-Dist: {{NEEDS}}\\n" if NEEDS else ""
    files = {{
        f"{{NAME}}.py": Path("cibench_made.py").read_text(),
        f"{{about}}/METADATA":
            f"Metadata-Version: 2.1\\nName: cibench-made\\nVersion: {{VERSION}}\\n" + needs,
        f"{{about}}/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\n"
            "Tag: py3-none-any\\n",
    }}
    files[f"{{about}}/RECORD"] = "".join(f"{{n}},,\\n" for n in (*files, f"{{about}}/RECORD"))
    name = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
'''
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "cibench-made"
dynamic = ["version", "dependencies"]
"""
PLUGIN = plugin(
    "made",
    '''
@estimator("made/difference", targets=(Estimand.ATE,), uses=("cibench_made",))
def difference(problem, rng):
    """Compare the treated with the untreated."""
    from cibench_made import difference
    return Estimate.wald(*difference(problem.outcome, problem.treatment), problem.level)

@estimator("made/plain", targets=(Estimand.ATE,))
def plain(problem, rng):
    """Use nothing."""
    return Estimate.wald(contrast(problem), 2 / np.sqrt(problem.outcome.size), problem.level)
''',
)
SUITE = """
name = "made"
seed = 5
replicates = 60
plugins = ["made.py"]
[[cells]]
scenario = "made/randomised"
n = 40
estimators = ["made/*"]
"""
DIFFERENCE = '''
def {name}(y, d):
    """Return the difference in means and its error."""
    one, other = y[d == 1], y[d == 0]
    error = {factor} * (one.var(ddof=1) / one.size + other.var(ddof=1) / other.size) ** 0.5
    return one.mean() - other.mean(), error
'''


@pytest.fixture
def place(tmp_path, monkeypatch, shelves):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made.py").write_text(PLUGIN)
    (tmp_path / "made.toml").write_text(SUITE)
    return tmp_path


def checkout(folder, version, factor=1.0, name="difference", needs=""):
    """Write a version of the made-up package as a folder and return its name."""
    made = folder / f"made-{version}"
    made.mkdir()
    (made / "backend.py").write_text(BACKEND.format(version=version, needs=needs))
    (made / "pyproject.toml").write_text(PROJECT)
    (made / "cibench_made.py").write_text(DIFFERENCE.format(factor=factor, name=name))
    return made.name


def test_requirements_and_folders_are_told_apart(place):
    name = checkout(place, "1.0")
    one, other = requested_versions([name, "Cibench_Made==2.0"])
    assert (one.package, one.local) == ("cibench-made", True)
    assert (other.package, other.local, other.slug) == ("cibench-made", False, "cibench-made-2.0")


@pytest.mark.parametrize(
    "asked, said",
    [
        (["numpy==1"], "two or more versions"),
        (["numpy==1", "scipy==1"], "not the same package"),
        (["numpy==1", "numpy=2"], "neither a folder nor a requirement"),
        (["numpy==1", "numpy==1"], "named twice"),
        (["numpy==1", "empty"], "names the package"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(place, asked, said):
    (place / "empty").mkdir()
    with pytest.raises(BadInput, match=said):
        requested_versions(asked)


def test_an_environment_differs_in_one_package_alone(place):
    import subprocess

    import numpy

    (one,) = requested_versions([checkout(place, "1.5"), checkout(place, "1.6")])[:1]
    made = build(one, place / "cache", installed_here())
    code = "import cibench_made, numpy; print(numpy.__file__); print(cibench_made.__file__)"
    said = subprocess.run(
        [made.python, "-P", "-c", code], check=True, capture_output=True, encoding="utf-8"
    ).stdout.split()
    assert made.version == "1.5" and not made.brought
    assert said[0] == numpy.__file__ and Path(said[1]).is_relative_to(place / "cache")


def test_what_needs_another_numpy_is_not_available_and_pip_says_why(place):
    names = [checkout(place, "1.0", needs="numpy<1"), checkout(place, "1.1")]
    found = build(requested_versions(names)[0], place / "cache", installed_here())
    assert isinstance(found, Unavailable)
    assert "numpy<1" in found.why and len(found.why) <= 300
    assert not list((place / "cache").iterdir())


def test_a_built_version_is_taken_from_the_cache(place, monkeypatch):
    """A requirement that is met here needs no index; the second time it needs no pip either."""
    asked = requested_versions(["numpy", "numpy>1"])[0]
    made = build(asked, place / "cache", installed_here())
    assert made.version == installed_here()["numpy"]
    monkeypatch.setattr("subprocess.run", None)
    assert build(asked, place / "cache", installed_here()) == made


def test_versions_are_compared_and_named(place, call):
    names = [
        checkout(place, "1.0"), checkout(place, "1.1", factor=1.3),
        checkout(place, "2.0", name="renamed"),
    ]  # fmt: skip
    ended = call("regress", *names, "--suite", "made.toml", "--workers", 1, "--out", "out")
    said = " ".join(ended.out.split())
    assert ended.code == 2  # the last version says nothing of itself
    verdicts = [_verdicts(folder) for folder in sorted(Path("out").glob("*--*"))]
    assert verdicts == [
        {"made/difference": "statistically changed", "made/plain": "identical"},
        {"made/difference": "not comparable", "made/plain": "identical"},
    ]
    assert "cibench-made 1.0 (made-1.0) → cibench-made 1.1 (made-1.1)" in said
    assert "made/difference: the adapter does not know its interface: ImportError" in said
    assert "failed: 1 statistically changed (" in said and ", 1 identical" in said


def _verdicts(folder):
    cells = json.loads((folder / "verdict.json").read_text())["cells"]
    return {cell["estimator"]: cell["verdict"] for cell in cells}


def test_where_no_fit_comes_to_an_answer_nothing_is_better(place, call):
    """It was "passed: better" where the old version raised in every fit."""
    broken = checkout(place, "0.9")
    path = place / broken / "cibench_made.py"
    path.write_text(
        path.read_text().replace("    one, other", "    raise ValueError(y[0])\n    one, other")
    )
    ended = call(
        "regress", broken, checkout(place, "1.0"), "--suite", "made.toml", "--workers", 1,
        "--out", "out", "--replicates", 8,
    )  # fmt: skip
    assert ended.code == 2
    (verdicts,) = [_verdicts(folder) for folder in sorted(Path("out").glob("*--*"))]
    assert verdicts == {"made/difference": "not comparable", "made/plain": "identical"}
    assert "made/difference: no fit comes to an answer: ValueError" in " ".join(ended.out.split())


def test_a_suite_that_does_not_use_the_package_compares_nothing(place, call):
    """It was "identical", exit code 0."""
    (place / "made.toml").write_text(SUITE.replace("made/*", "made/plain"))
    names = [checkout(place, "1.0"), checkout(place, "1.1", factor=1.3)]
    ended = call("regress", *names, "--suite", "made.toml", "--workers", 1, "--out", "out")
    assert ended.code == 2 and not list(Path("out").glob("*--*"))
    said = " ".join(ended.out.split())
    assert said.count("no fit of suite made imports cibench-made: nothing is compared") == 2


APART = '''
"""Methods without numpy."""
from cibench import Estimand, Estimate, Scenario, estimator

@estimator("made/difference", targets=(Estimand.ATE,), uses=("cibench_made",), gives=("value",))
def difference(problem, rng):
    """Compare the treated with the untreated."""
    import sys
    from cibench_made import difference
    assert "numpy" not in sys.modules
    return Estimate(difference(list(problem.outcome), list(problem.treatment)))
'''
LISTS = '''
def difference(y, d):
    """Return the difference in means, by lists alone."""
    one, other = ([v for v, treated in zip(y, d) if treated == k] for k in (1, 0))
    return sum(one) / len(one) - sum(other) / len(other) + {shift}
'''
SETUP = """
from setuptools import setup
setup(name="cibench-made", version="{version}", py_modules=["cibench_made"])
"""


@pytest.mark.parametrize("apart", [False, True])
def test_fits_are_made_where_a_version_is_with_and_without_numpy_there(place, call, apart):
    """With `--with` it sees nothing that is installed here."""
    (place / "made.py").write_text(plugin("made", ""))
    (place / "methods.py").write_text(APART)
    suite = SUITE.replace('["made.py"]', '["made.py", "methods.py"]')
    (place / "made.toml").write_text(suite)
    names = [checkout(place, version) for version in ("1.0", "1.1")]
    for name, shift in zip(names, (0.0, 1e-3), strict=True):
        (place / name / "cibench_made.py").write_text(LISTS.format(shift=shift))
    other = place / "other"
    other.mkdir()
    (other / "backend.py").write_text(BACKEND.format(version="3", needs="").replace("made", "by"))
    (other / "pyproject.toml").write_text(PROJECT.replace("made", "by"))
    (other / "cibench_by.py").write_text("")
    if not apart:
        (place / "methods.py").write_text(APART.replace("assert", "assert True or"))
    ended = call(
        "regress", *names, "--suite", "made.toml", "--workers", 1, "--out", "out",
        "--replicates", 8, *(["--with", str(other)] if apart else []),
    )  # fmt: skip
    (verdicts,) = [_verdicts(folder) for folder in sorted(Path("out").glob("*--*"))]
    assert verdicts["made/difference"] not in ("identical", "not comparable"), ended.out
    assert ("also brings cibench-by 3" in " ".join(ended.out.split())) == apart


def test_a_checkout_with_a_setup_script_alone_has_the_name_that_it_says(place, monkeypatch):
    from cibench.gate.versions import installer

    folder = place / "old"
    folder.mkdir()
    (folder / "setup.py").write_text(SETUP.format(version="1.0"))
    seen = []
    monkeypatch.setattr(installer, "name_of", lambda path: seen.append(path) or "cibench-made")
    one, _ = requested_versions([str(folder), "cibench-made==2.0"])
    assert (one.package, one.local, seen) == ("cibench-made", True, [folder])


def test_a_checkout_is_a_folder_to_pip_whatever_its_name(place, monkeypatch):
    """`./rdrobust` was the package of that name on the index, and its code would have run."""
    from subprocess import CompletedProcess

    from cibench.gate.versions import installer

    (place / "rdrobust").mkdir()
    commands = []
    report = json.dumps({"install": [{"metadata": {"name": "mine"}}]})

    def ran(command, **_):
        commands.append(command)
        return CompletedProcess(command, 0, report, "")

    monkeypatch.setattr(installer.subprocess, "run", ran)
    assert installer.name_of(Path("rdrobust")) == "mine"
    assert commands[0][-1] == str((place / "rdrobust").resolve())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--python", "pyhton3"], "--python: no interpreter 'pyhton3'"),
        (["--python", "2.7"], "--python: "),
        (["--python", "true"], "--python: .*true does not run"),
        (["--constraint", "gone.txt"], "--constraint: no file gone.txt"),
    ],
)
def test_surroundings_that_are_off_are_one_line(place, call, options, said):
    import re

    names = [checkout(place, "1.0"), checkout(place, "1.1")]
    ended = call("regress", *names, "--suite", "made.toml", "--out", "out", *options)
    assert ended.code == 2 and re.search(said, ended.err) and len(ended.err.splitlines()) == 1
    assert not (place / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(place, call):
    (place / "out").mkdir()
    (place / "out" / "thesis.tex").write_text("years of work")
    code, _, err = call("regress", "numpy", "numpy>1", "--suite", "made.toml", "--out", "out")
    assert code == 2 and "no regress wrote it" in err
    assert (place / "out" / "thesis.tex").exists()


def test_versions_outside_the_stated_range_are_said_to_be():
    assert supported()["rdrobust"] == ">=2.0"
    assert outside("rdrobust", "1.3.0") == (
        "rdrobust 1.3.0 is not of the versions that cibench states: rdrobust>=2.0"
    )
    assert not outside("rdrobust", "2.1.1") and not outside("nothing-of-ours", "1")
