"""Sessions: `nox -l` lists them, `nox` runs tests, lint, types, typed and wheel."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import nox
from nox.virtualenv import PassthroughEnv

nox.options.sessions = ["tests", "lint", "types", "typed", "wheel"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")


def install(session: nox.Session, *packages: str) -> None:
    """Install into the session's environment; with --no-venv the caller's has it all already."""
    if not isinstance(session.virtualenv, PassthroughEnv):
        session.install(*packages, *CONSTRAINTS)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13"])
def pythons(session: nox.Session) -> None:
    """Run the tests on every supported Python that is installed."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def pandas2(session: nox.Session) -> None:
    """Run the tests with the last pandas 2, which the extra `sdv` brings."""
    session.install("-e", ".[test]", "pandas<3")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def sdv(session: nox.Session) -> None:
    """Run the tests of the extra `sdv`, which brings torch and pandas 2."""
    session.install("torch", *CONSTRAINTS)
    session.install("-e", ".[sdv]", "pytest", "pandas<3")
    session.run("pytest", "tests/sdv", "-m", "sdv", *session.posargs)


@nox.session
def slurm(session: nox.Session) -> None:
    """Run on a SLURM of one node, started for that: `apt-get install slurm-wlm munge` first."""
    session.install("-e", ".[test]", "dask-jobqueue", "cryptography", *CONSTRAINTS)
    session.run("pytest", "tests/integration/test_slurm.py", "-m", "slurm", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "-e", ".[dev]")
    session.run("mypy")


LIGHT = (
    "numpy", "pandas", "scipy", "pyarrow", "typer", "rich", "threadpoolctl", "psutil", "packaging",
)  # fmt: skip
"""What gate, contracts and fixture need; docs/ci.md has the same list."""
ABSENT = ("matplotlib", "rdrobust", "linearmodels", "doubleml", "statsmodels", "sklearn")
LIGHT_TESTS = (
    "tests/gate", "tests/contracts", "tests/testing/test_adapters.py",
    "tests/testing/test_pytest_plugin.py", "tests/cli/test_new_gate.py",
)  # fmt: skip


@nox.session
def light(session: nox.Session) -> None:
    """Test gate, contracts and fixture where no library of the estimators is, nor matplotlib."""
    session.install("--no-deps", ".")
    session.install(*LIGHT, "pytest", "pyyaml", *CONSTRAINTS)
    look = f"import importlib.util as u; print(*[n for n in {ABSENT} if u.find_spec(n)])"
    if there := str(session.run("python", "-c", look, silent=True)).strip():
        session.error(f"a light install has {there}")
    session.run("pytest", *LIGHT_TESTS, *session.posargs, env={"PYTHONPATH": None})


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows of `cibench new gate` and docs/ci.md, by schema and for security."""
    session.install("zizmor", "check-jsonschema", "-e", ".", *CONSTRAINTS)
    place = Path(session.create_tmp()).resolve() / ".github" / "workflows"
    session.run("python", "tests/shared/workflows.py", str(place))
    files = [str(path) for path in sorted(place.glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    session.run("zizmor", "--offline", "--pedantic", "--min-severity", "low", *files)


@nox.session
def typed(session: nox.Session) -> None:
    """Check that mypy and pyright see every name after the README's own install."""
    session.install("-e", ".", "mypy", "pyright[nodejs]", "pytest", *CONSTRAINTS)
    cache = str(Path(session.virtualenv.location).resolve() / "pyright")
    env = {"PYTHONPATH": None, "MYPYPATH": None, "PYRIGHT_PYTHON_CACHE_DIR": cache}
    session.run("python", "tests/house/test_typed.py", env=env)


BUILT_FROM = ("harness", "scenarios", "estimators", "pyproject.toml", "README.md", "LICENSE")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build sdist and wheels, compare them with the checkout, and what an installed one lists."""
    session.install("build", *CONSTRAINTS)
    place = Path(session.create_tmp()).resolve()
    shutil.rmtree(place)
    source = copied(place / "source")  # the build leaves folders beside what it builds
    for folder, options in (("from-sdist", ()), ("from-checkout", ("--wheel",))):
        session.run("python", "-m", "build", *options, "--outdir", str(place / folder), str(source))
    (built,) = place.glob("from-checkout/*.whl")
    (again,) = place.glob("from-sdist/*.whl")
    check_files(session, files_of(built), files_of(again), packaged(source / "harness"))
    session.install(str(built), *CONSTRAINTS)
    session.install(str(built), "--force-reinstall", "--no-deps")
    env = {"XDG_CACHE_HOME": str(place / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    with session.chdir(place):
        lists = [session.run("cibench", "list", "--json", silent=True, env=env) for _ in range(2)]
        session.run("cibench", "run", "--replicates", "2", "--out", str(place / "run"))
    here = "import json; from cibench.cli.listing import listing; print(json.dumps(listing()))"
    there = {**env, "PYTHONPATH": str(source / "harness")}
    checkout = session.run("python", "-c", here, silent=True, env=there)
    if any(json.loads(str(one)) != json.loads(str(checkout)) for one in lists):
        session.error("the wheel does not list what the checkout lists")
    shutil.rmtree(place)


def copied(place: Path) -> Path:
    """Copy what a build reads, with its links, and return the copy's folder."""
    place.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in BUILT_FROM:
        if Path(name).is_dir():
            shutil.copytree(name, place / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(name, place)
    return place


def files_of(built: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packaged(harness: Path) -> dict[str, bytes]:
    """Return the files of the package as it lies there, those behind its links too."""
    folders = os.walk(harness / "cibench", followlinks=True)
    paths = [Path(folder, name) for folder, _, names in folders for name in names]
    return {path.relative_to(harness).as_posix(): path.read_bytes() for path in paths}


def check_files(
    session: nox.Session, built: dict[str, bytes], again: dict[str, bytes], there: dict[str, bytes]
) -> None:
    """End the session where the wheel, the one made of the sdist and the package differ."""
    package = {name: built[name] for name in built if name.startswith("cibench/")}
    for other, pair in (
        ("the wheel of the sdist", (built, again)),
        ("the package", (package, there)),
    ):
        one, two = pair
        differ = [name for name in sorted({*one, *two}) if one.get(name) != two.get(name)]
        if differ:
            session.error(f"the wheel and {other} differ in {', '.join(differ)}")


@nox.session
def regress(session: nox.Session) -> None:
    """Compare versions of a package: `nox -s regress -- rdrobust==1.3.0 rdrobust==2.1.1`."""
    install(session, "-e", ".[all]")
    session.run("cibench", "regress", "--cache", ".nox/versions", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Settle the statistical claims whose sources have changed since they were last settled."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-n", "auto", "-m", "slow", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Try many more inputs in every property test, new ones each time."""
    install(session, "-e", ".[test]")
    files = ["tests/twins/test_formula.py", "tests/suite/test_suite.py", "tests/utils"]
    session.run("pytest", *files, *session.posargs, env={"HYPOTHESIS_PROFILE": "long"})
    foreign = [str(path) for path in sorted(Path("tests").glob("*/test_foreign_*.py"))]
    foreign.append("tests/storage/test_object_store.py")
    words = ["-k", "edited or any_value", *session.posargs]
    session.run("pytest", *foreign, *words, env={"HYPOTHESIS_PROFILE": "medium"})


@nox.session
def exhaustive(session: nox.Session) -> None:
    """End processes after every single file operation of every story."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-n", "auto", "-m", "exhaustive", *session.posargs)


@nox.session
def validity(session: nox.Session) -> None:
    """Write `results/reference/validity.csv` anew for what is not settled yet."""
    install(session, "-e", ".[test]")
    session.run("python", "tests/validation/claims.py")


@nox.session
def lessons(session: nox.Session) -> None:
    """Run the lessons whose sources have changed and store their frames beside them."""
    install(session, "-e", ".[all]")
    session.run("python", "-m", "cibench.lessons", *session.posargs)


@nox.session
def gallery(session: nox.Session) -> None:
    """Build all lessons and their index into docs/gallery, a static site."""
    install(session, "-e", ".[all]")
    session.run("cibench", "lesson", "--all", "--out", "docs/gallery", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Print what the harness costs over a bare loop and what a second worker brings."""
    install(session, "-e", ".")
    session.run("python", "benchmarks/harness_cost.py")
