"""The public names: what `cibench` and the faces of its packages offer, and nothing by accident."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "harness" / "cibench"

PUBLIC = [
    "BadInput", "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Estimator", "Problem",
    "Roles", "Run", "Scenario", "Suite", "Target", "Truth", "diagnostic", "dial", "estimator",
    "find_estimator", "find_scenario", "load", "pairs", "parameter", "ranks", "run", "scenario",
    "score", "stream",
]  # fmt: skip

FACES = sorted(
    ".".join(("cibench", *path.parent.relative_to(ENGINE).parts))
    for path in ENGINE.rglob("__init__.py") if "_HOMES" in path.read_text(encoding="utf-8")
)  # fmt: skip


def typed(name: str) -> dict[str, str]:
    """Return what a face imports for type checkers: each name and the module it comes from."""
    tree = ast.parse(Path(str(import_module(name).__file__)).read_bytes())
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    return {
        a.name: str(n.module) for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names
    }


def test_the_public_names_are_pinned() -> None:
    import cibench

    assert sorted(cibench.__all__) == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(cibench))


@pytest.mark.parametrize("name", FACES)
def test_a_face_offers_what_it_lists_to_python_and_to_type_checkers(name: str) -> None:
    face = import_module(name)
    homes = {n: module for module, names in face._HOMES.items() for n in names}
    assert homes == typed(name)
    assert sorted(face.__all__) == sorted(homes)
    for offered in face.__all__:
        assert getattr(face, offered) is getattr(import_module(homes[offered]), offered), offered


def test_no_name_of_a_face_is_hidden_by_a_module_beside_it() -> None:
    for name in FACES:
        folder = Path(str(import_module(name).__file__)).parent
        beside = {p.stem for p in folder.glob("*.py")} | {
            p.name for p in folder.iterdir() if p.is_dir()
        }
        assert not beside & set(import_module(name).__all__), name
