"""What `cibench new gate` writes: tests, suite and workflow for the package in a folder."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cibench.utils.errors import BadInput
from cibench.utils.files import asset, make_folder, write_text
from cibench.utils.toml import read_toml

NO_PACKAGES = frozenset({"test", "tests", "doc", "docs", "example", "examples", "benchmarks", "ci"})


class Project(NamedTuple):
    """Hold a package's name and the name by which it is imported."""

    name: str
    module: str

    @property
    def family(self) -> str:
        """Return the first part of its estimators' ids."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


def write_new_gate(folder: Path, module: str | None = None) -> list[Path]:
    """Write a gate for the package in a folder and return the files.

    `module` is its import name, where that is not to be looked for. Raises BadInput where there is
    no package, and where one of the files exists: then none is written.
    """
    project = read_project(folder, module)
    tests = "tests/test_estimates.py"
    templates = {
        tests: "gate_tests.py.txt",
        "ci/gate.toml": "gate_suite.toml.txt",
        "ci/methods.py": "gate_methods.py.txt",
        "ci/requirements.txt": "gate_requirements.txt",
        ".github/workflows/estimators.yml": "gate_workflow.yml.txt",
    }
    marks = {
        "@PACKAGE@": project.name, "@MODULE@": project.module, "@FAMILY@": project.family,
        "@TESTS@": tests, "@CIBENCH@": requirement(),
    }  # fmt: skip
    taken = [folder / path for path in templates if (folder / path).exists()]
    if taken:
        names = ", ".join(map(str, taken))
        raise BadInput(f"{names} exist{'s' if len(taken) == 1 else ''} already; nothing is written")
    for path, template in templates.items():
        text = asset("cibench", f"templates/{template}")
        for mark, value in marks.items():
            text = text.replace(mark, value)
        make_folder((folder / path).parent)
        write_text(folder / path, text)
    return [folder / path for path in templates]


def read_project(folder: Path, module: str | None = None) -> Project:
    """Return the package that a folder holds; raises BadInput where it names none."""
    name = next(filter(None, _names(folder)), None)
    if name is None:
        raise BadInput(
            f"{folder}: no pyproject.toml, setup.cfg or setup.py that names a package; "
            "cibench new gate is for the folder of one"
        )
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise BadInput(f"{folder}: '{name[:80]}' is no name of a package")
    modules = _modules(folder)
    wanted = re.sub(r"[-.]+", "_", name)
    if module is None:
        same = [each for each in modules if each.lower() == wanted.lower()]
        choice = same or modules
        if len(choice) != 1:
            known = f", only {', '.join(modules)}" if modules else ""
            raise BadInput(f"{folder}: no module '{wanted}'{known}: say `cibench new gate MODULE`")
        (module,) = choice
    elif not module.isidentifier():
        raise BadInput(f"'{module[:80]}' is no name of a module")
    return Project(name, module)


def _names(folder: Path) -> Iterator[str | None]:
    """Yield the name that each file gives which may declare a package."""
    if (path := folder / "pyproject.toml").is_file():
        content, _ = read_toml(path)
        tables = content.get("project"), (content.get("tool") or {}).get("poetry")
        for table in tables:
            name = table.get("name") if isinstance(table, dict) else None
            yield name if isinstance(name, str) else None
    if (path := folder / "setup.cfg").is_file():
        with suppress(configparser.Error, UnicodeError):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(path.read_text(encoding="utf-8"))
            yield parser.get("metadata", "name", fallback=None)
    if (path := folder / "setup.py").is_file():
        with suppress(SyntaxError, ValueError):
            yield _setup_name(ast.parse(path.read_bytes()))


def _setup_name(tree: ast.Module) -> str | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup":
            for keyword in node.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return None


def _modules(folder: Path) -> list[str]:
    """Return the modules of a source tree, in `src` or beside the file that declares it."""
    root = folder / "src" if (folder / "src").is_dir() else folder
    packages = {path.parent.name for path in root.glob("*/__init__.py")} - NO_PACKAGES
    files = {path.stem for path in root.glob("*.py")} - {"setup", "noxfile", "conftest"}
    return sorted(name for name in packages or files if name.isidentifier())


def requirement() -> str:
    """Return the line by which a runner installs the cibench that is installed here.

    It is a comment where that is not known: another package of the name must not be installed.
    """
    from cibench.storage.installed import origin_of

    version, origin = origin_of("cibench")
    if origin is None:
        return f"cibench=={version}"
    if origin.startswith(("git+", "https://")):
        return f"cibench @ {origin}"
    return "# cibench @ git+https://HOST/OWNER/cibench@COMMIT"
