"""Gate, contracts and fixture without matplotlib and the libraries of built-in estimators.

`nox -s light` runs these where they are not installed; here they cannot be found.
"""

import importlib.util
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from commands import python

ROOT = Path(__file__).parents[2]
ABSENT = (
    "matplotlib", "rdrobust", "linearmodels", "doubleml", "statsmodels", "sklearn",
    "mdit_py_plugins", "latex2mathml",
)  # fmt: skip
HIDE = f"""
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: (
    None if name.partition(".")[0] in {ABSENT} else find(name, *more)
)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Give the folder of a package with its gate, and a way to call Python in it."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDE)
    (folder / "own.py").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "own"\n')
    paths = [str(folder / "hidden"), str(folder), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def call(*words, code=0):
        done = python(*words, folder=folder, env=environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    call.folder = folder
    call("-c", f"import importlib.util as u; assert not any(map(u.find_spec, {ABSENT}))")
    call("-m", "cibench", "new", "gate")
    suite = folder / "ci" / "gate.toml"
    suite.write_text(suite.read_text().replace("replicates = 200", "replicates = 40"))
    call("-m", "cibench", "run", "ci/gate.toml", "--out", "run")
    call("-m", "cibench", "baseline", "save", "run", "main")
    return call


def test_a_report_has_no_plots_and_says_so(project):
    page = (project.folder / "run" / "report.html").read_text()
    assert "There are no plots here, since matplotlib is not installed" in page
    assert "<img" not in page and "<figure" not in page
    assert not list((project.folder / "run" / "plots").iterdir())
    assert (project.folder / "run" / "tables").is_dir()
    figure = "import cibench; cibench.load('run').figure('zip')"
    words = f"try:\n    {figure}\nexcept cibench.BadInput as e:\n    print(e)"
    assert "pip install matplotlib" in project("-c", f"import cibench\n{words}")


def test_the_check_passes_fails_and_expects(project):
    check = ("-m", "cibench", "check", "ci/gate.toml", "--against", "main")
    assert "passed: 1 identical" in project(*check, "--out", "same")
    methods = project.folder / "ci" / "methods.py"
    text = methods.read_text()
    methods.write_text(text.replace("se = np.sqrt", "se = 0.5 * np.sqrt"))
    project(*check, "--out", "other", code=1)
    page = (project.folder / "other" / "verdict.html").read_text()
    assert "There are no plots here" in page and "<img" not in page
    methods.write_text(text)
    judged = project("-m", "cibench", "check", "ci/gate.toml", "--expect", "--out", "judged")
    assert "passed" in judged


def test_fixture_and_contracts_work(project):
    pytests = (
        "-m",
        "pytest",
        "-q",
        "tests",
        "-p",
        "no:cacheprovider",
        "--cibench-replicates",
        "20",
    )
    project(*pytests, "--cibench-update-baseline")
    assert "identical" in project(*pytests)
    assert "checks" in project("-m", "cibench.contracts", "ci/methods.py")


def test_what_lacks_its_library_declines_and_names_it(project):
    told = project("-m", "cibench", "show", "statsmodels/ols", code=0)
    assert "statsmodels" in told
    code = (
        "from cibench import find_estimator, find_scenario as s; "
        "print(find_estimator('did/collapsed').declines(s('did/two-group')()))"
    )
    assert "pip install statsmodels" in project("-c", code)


def test_the_list_of_the_page_is_that_of_the_session_and_of_the_package():
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    (line,) = re.findall(r"^pip install (numpy .*) pytest$", page, re.MULTILINE)
    names = re.search(r"LIGHT = \(\n(.*?)\)", (ROOT / "noxfile.py").read_text("utf-8"), re.DOTALL)
    assert line.split() == re.findall(r'"([\w-]+)"', names[1])
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    every = {re.split(r"[>=]", each)[0] for each in content["project"]["dependencies"]}
    left_out = {
        "matplotlib", "rdrobust", "linearmodels", "doubleml", "statsmodels", "scikit-learn",
        "markdown-it-py", "mdit-py-plugins", "latex2mathml",
    }  # fmt: skip
    assert every - set(line.split()) == left_out  # lessons' words alone need the last three
    assert "matplotlib>=3.8" in content["project"]["dependencies"]


def test_matplotlib_is_there_where_it_is_not_hidden():
    """Else all of this would show nothing; in a light install it is the truth."""
    if "light" not in sys.prefix:
        assert importlib.util.find_spec("matplotlib")
