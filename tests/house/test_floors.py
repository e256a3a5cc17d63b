"""The house's floors: a package imports only from below, lazily and for types too."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "harness" / "cibench"
FLOORS = {
    "cli": 12, "testing": 12, "scenarios": 12, "estimators": 12, "gate": 11, "lessons": 11,
    "results": 10, "exchange": 10, "report": 9, "execution": 9, "contracts": 8, "workers": 7,
    "analysis": 7,
    "storage": 6, "suite": 5, "challenge": 5, "twins": 4, "collections": 4, "external": 3,
    "metrics": 3, "model": 2, "render": 2, "utils": 1,
}  # fmt: skip
"""Packages of one floor know nothing of each other."""

PLUGINS = ("scenarios", "estimators")
MODULES = sorted(
    path for path in ENGINE.rglob("*.py")
    if path.parent != ENGINE and path.relative_to(ENGINE).parts[0] not in PLUGINS
)  # fmt: skip


def imported(path: Path) -> set[str]:
    """Return the modules of cibench that a file imports, at the top, in functions, for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "cibench"}


def test_every_package_has_a_floor_and_a_line_that_says_what_it_is_for() -> None:
    helpers = ENGINE / "external" / "helpers"  # what other processes read, and no package
    packages = {path.parent for path in ENGINE.rglob("*.py")} - {ENGINE, helpers}
    assert {p.relative_to(ENGINE).parts[0] for p in packages} | {"scenarios", "estimators"} == set(
        FLOORS
    )
    for package in packages:
        doc = ast.get_docstring(ast.parse((package / "__init__.py").read_bytes()))
        assert doc, package


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ENGINE)))
def test_imports_come_from_below(path: Path) -> None:
    here = path.relative_to(ENGINE).parts[0]
    for name in sorted(imported(path)):
        package = name.split(".")[1]
        if package in FLOORS:
            assert package == here or FLOORS[package] < FLOORS[here], f"{here} imports {name}"
        else:
            assert FLOORS[here] == max(FLOORS.values()), f"{here} imports {name} from the top"


def test_no_module_is_part_of_a_circle() -> None:
    """Importing a module runs the `__init__` of the packages above it, which counts too."""
    files = {module(path): path for path in MODULES}
    arrows = defaultdict(set)
    for here, path in files.items():
        if "_HOMES" in path.read_text(encoding="utf-8"):
            continue  # a face names the modules behind it, and imports none
        for name in imported(path):
            there = name if name in files else name.rpartition(".")[0]
            parts = there.split(".")
            packages = {".".join(parts[:n]) for n in range(2, len(parts))}
            above = {here, *(here.rsplit(".", n)[0] for n in range(1, here.count(".") + 1))}
            arrows[here] |= {there, *packages} - above
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for below in sorted(arrows[name]):
                visit(below, (*above, name))
            done.add(name)

    for name in sorted(files):
        visit(name, ())


def module(path: Path) -> str:
    """Return a module's name."""
    name = ".".join(("cibench", *path.relative_to(ENGINE).with_suffix("").parts))
    return name.removesuffix(".__init__")
