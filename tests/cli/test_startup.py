"""What starting costs: which modules `import cibench`, the helps, `list` and `show` leave alone."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from cibench.cli import COMMANDS, load

HEAVY = {"numpy", "pandas", "scipy", "matplotlib", "pyarrow", "sklearn", "statsmodels", "psutil"}

PROGRAM = """
import io, json, sys
from contextlib import redirect_stdout
from cibench.cli import main
for arguments in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as ended:
            assert ended.code == 0, (arguments, ended.code)
print(json.dumps(sorted(sys.modules)))
"""


def modules(program: str, *arguments: str, cache: str = "") -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, **({"XDG_CACHE_HOME": cache} if cache else {})},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout.splitlines()[-1]))


def loaded_by(*commands: list[str], cache: str = "") -> set[str]:
    return modules(PROGRAM, json.dumps(commands), cache=cache)


def test_importing_cibench_imports_no_library():
    loaded = modules("import json, sys\nimport cibench\nprint(json.dumps(sorted(sys.modules)))")
    assert not loaded & {*HEAVY, "typer", "rich", "importlib.metadata", "dataclasses"}
    assert {name for name in loaded if name.startswith("cibench")} == {
        "cibench", "cibench.utils", "cibench.utils.lazy", "cibench.utils.version",
    }  # fmt: skip


def test_help_imports_no_command():
    loaded = loaded_by(["--help"])
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("cibench")} == {
        "cibench", "cibench.cli", "cibench.utils", "cibench.utils.errors", "cibench.utils.lazy",
        "cibench.utils.plugins", "cibench.utils.streams", "cibench.utils.version",
    }  # fmt: skip


def test_no_help_of_a_command_imports_a_library_or_the_registry():
    loaded = loaded_by(*([name, "--help"] for name in COMMANDS))
    assert not loaded & {*HEAVY, "cibench.model.design"}


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["show", "rd/cct-1"]])
def test_what_is_kept_is_listed_and_shown_without_numpy_and_without_plug_ins(command, tmp_path):
    cache = str(tmp_path)
    loaded_by(command, cache=cache)
    loaded = loaded_by(command, cache=cache)
    assert not loaded & {*HEAVY, "cibench.model.registry", "cibench.scenarios"}


def test_a_list_of_everything_imports_no_pydantic_either(tmp_path):
    commands = [["list"]]
    loaded_by(*commands, cache=str(tmp_path))
    assert "pydantic" not in loaded_by(*commands, cache=str(tmp_path))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_of_help_is_the_first_of_its_docstring(name):
    module, _, attribute = COMMANDS[name][0].partition(":")
    target = getattr(import_module(module), attribute)
    words = target.info.help if isinstance(target, typer.Typer) else inspect.getdoc(target)
    assert COMMANDS[name][1] == words.split("\n\n")[0].replace("\n", " ")
    assert load(name).name == name
    assert load(name).help == words
