"""Sessions: `nox -l` lists them, `nox` runs tests, lint, types and wheel."""

import json
import shutil
import sys
from pathlib import Path

import nox
from nox.virtualenv import PassthroughEnv

nox.options.sessions = ["tests", "lint", "types", "wheel"]
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
    session.run("pytest", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13"])
def pythons(session: nox.Session) -> None:
    """Run the tests on every supported Python that is installed."""
    install(session, "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def pandas2(session: nox.Session) -> None:
    """Run the tests with the last pandas 2, which the extra `sdv` brings."""
    session.install("-e", ".[test]", "pandas<3")
    session.run("pytest", *session.posargs)


@nox.session
def sdv(session: nox.Session) -> None:
    """Run the tests of the extra `sdv`, which brings torch and pandas 2."""
    session.install("torch", *CONSTRAINTS)
    session.install("-e", ".[sdv]", "pytest", "pandas<3")
    session.run("pytest", "tests/sdv", "-m", "sdv", *session.posargs)


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


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it elsewhere and compare what it lists with the checkout."""
    session.install("build", *CONSTRAINTS)
    dist = Path(session.create_tmp()).resolve() / "dist"
    session.run("python", "-m", "build", "--wheel", "--outdir", str(dist), ".")
    (built,) = dist.glob("*.whl")
    session.install(str(built), *CONSTRAINTS)
    session.install(str(built), "--force-reinstall", "--no-deps")
    with session.chdir(dist):
        listed = session.run("cibench", "list", "--json", silent=True)
        session.run("cibench", "run", "--replicates", "2", "--out", str(dist / "run"))
    here = "import json; from cibench.cli.listing import listing; print(json.dumps(listing()))"
    checkout = session.run(sys.executable, "-c", here, silent=True, external=True)
    if json.loads(str(listed)) != json.loads(str(checkout)):
        session.error("the wheel does not list what the checkout lists")
    built.unlink()
    shutil.rmtree(dist / "run")


@nox.session
def regress(session: nox.Session) -> None:
    """Compare versions of a package: `nox -s regress -- rdrobust==1.3.0 rdrobust==2.1.1`."""
    install(session, "-e", ".[all]")
    session.run("cibench", "regress", "--cache", ".nox/versions", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Settle the statistical claims whose sources have changed since they were last settled."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


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
