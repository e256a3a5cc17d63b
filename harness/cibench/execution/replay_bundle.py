"""A bundle for a bug report: one data set, a script that fits it, and what came of that."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cibench.execution.replays import Replayed
from cibench.execution.settings import TUNING, Tuning
from cibench.external.methods import seed_of
from cibench.external.process import HELPERS
from cibench.external.wire import PYTHON, generators, question
from cibench.model import estimands, functionals, registry, types
from cibench.model.method import find_estimator
from cibench.model.streams import (
    digest,
    fit_address,
    global_seed,
    seed_global_state,
    stream,
    unchanged_random_states,
)
from cibench.model.types import Array, Draw, Problem
from cibench.storage import provenance, source_digests
from cibench.utils import errors
from cibench.utils.errors import BadInput, file_of, one_line_at
from cibench.utils.files import asset, make_folder, size, write_csv, write_json, write_text
from cibench.utils.leftovers import clear
from cibench.workers.block import draw_replicate

MARK = "fit.json"
END = 60.0
"""Seconds in which a script that says where it hangs has come to an end."""

FROM_CSV = """
with (HERE / "data.csv").open(encoding="utf-8", newline="") as file:
    names, *rows = csv.reader(file)
columns = dict(zip(names, np.array(rows).T))""".strip()
FROM_PARQUET = """
import pandas as pd

frame = pd.read_parquet(HERE / "data.parquet")
columns = {name: frame[name].to_numpy() for name in frame}""".strip()

NOUNS = (
    "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Problem", "Roles", "Target", "Truth",
    "diagnostic", "estimator",
)  # fmt: skip
"""What an estimator's file may import of cibench and still run beside the files of a bundle."""


def write_bundle(replayed: Replayed, out: Path | None = None, tuning: Tuning = TUNING) -> Path:
    """Write data, script, rows and the script's output into a folder and return its path.

    The script needs no cibench where the estimator's file imports only what `NOUNS` names:
    then the file, those beside it that it reads and cibench's nouns come with it. Raises BadInput
    where the scenario cannot draw the data set, and where the folder holds something else or
    cannot be written.
    """
    folder = out or Path(_name(replayed))
    for part in ("", "adapter", "cibench", "cibench/model", "cibench/utils", "data", "helpers"):
        clear(folder / part)
    if folder.exists() and not (folder / MARK).exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty; name another folder with --out")
    data = _draw(replayed)
    try:
        make_folder(folder)
        rows = json.loads(replayed.stored.to_json(orient="records", double_precision=15))
        facts = {"stored": rows, "differences": replayed.differences, "changed": replayed.changed}
        timeout = replayed.suite.timeout
        patience = timeout + tuning.slack_seconds if timeout else None
        write_json(folder / MARK, facts)
        elsewhere = find_estimator(replayed.block.entrants[0][0]).elsewhere
        write_script = _script if elsewhere is None else _script_elsewhere
        write_text(folder / "reproduce.py", write_script(folder, replayed, data, patience))
        write_text(folder / "output.txt", _output(folder, replayed, patience))
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror or error}") from error
    return folder


def _name(replayed: Replayed) -> str:
    block = replayed.block
    words = block.key["scenario"], block.entrants[0][0], f"n{block.key['n']}", f"r{block.first}"
    return re.sub(r"[^a-z0-9]+", "-", "replay-" + "-".join(words))


def _draw(replayed: Replayed) -> Draw:
    """Draw the data set again; raises BadInput with the place in the scenario's own code."""
    block, scenario = replayed.block, replayed.suite.cells[0].scenario
    try:
        return draw_replicate(scenario, block.key["n"], block.seed, block.first)
    except Exception as error:
        cause = one_line_at(error, file_of(type(scenario).draw))
        raise BadInput(
            f"there is no data set to bundle: {scenario.name} could not draw replicate "
            f"{block.first}: {cause}"
        ) from error


def _script(folder: Path, replayed: Replayed, data: Draw, patience: float | None) -> str:
    """Write what the script needs and return its text; after `patience` it says where it hangs."""
    block, scenario = replayed.block, replayed.suite.cells[0].scenario
    name, options = block.entrants[0]
    estimator = find_estimator(name)
    address = fit_address(block.seed, scenario.name, block.key["n"], block.first, name)
    versions = provenance.versions(estimator.uses)
    adapter = _write_adapter(folder, registry.entry("estimator", name))
    find, draw = (adapter, "None") if adapter else _with_cibench(replayed)
    values = {
        "TITLE": _title(replayed), "FIND": find, "DRAW": draw,
        **_write_data(folder, replayed, data),
        "VERSIONS": ", ".join(f"{package} {version}" for package, version in versions.items()),
        "NEEDS": "these and the files beside it" if adapter else "cibench",
        "ROLES": repr(scenario.assigned_roles()), "LEVEL": repr(block.level),
        "POINTS": _write_points(folder, replayed, data), "COST": repr(float(scenario.cost)),
        "TARGETS": repr([(str(t.estimand), *t[1:]) for t in estimator.questions(scenario)]),
        "OPTIONS": repr(json.loads(options)), "TIMEOUT": repr(patience or 0.0),
        "STREAM": str(int.from_bytes(digest(*address), "little")),
        "GLOBAL": str(global_seed(address)),
    }  # fmt: skip
    text = asset("cibench", "templates/reproduce.py.txt")
    return re.sub("@([A-Z]+)@", lambda place: values[place[1]], text)


def _script_elsewhere(folder: Path, replayed: Replayed, data: Draw, patience: float | None) -> str:
    """Write the request that an estimator in another process gets, and return its script."""
    block, scenario = replayed.block, replayed.suite.cells[0].scenario
    name, options = block.entrants[0]
    entry = registry.entry("estimator", name)
    where = entry.value.elsewhere
    assert entry.path is not None  # where it is declared
    _write_data(folder, replayed, data)
    make_folder(folder / "data")
    problem = Problem.of(
        data, scenario.assigned_roles(), entry.value.questions(scenario), block.level
    )
    address = fit_address(block.seed, scenario.name, block.key["n"], block.first, name)
    request = question(
        name, problem, folder / "data", seed_of(stream(*address)), json.loads(options)
    )
    if where.prepare().hello.language == PYTHON:
        with unchanged_random_states():
            seed_global_state(address)
            request |= generators(stream(*address), folder / "data")
    write_json(folder / "request.json", {"id": 1, **request, "folder": "data"})
    make_folder(folder / "adapter")
    for file in source_digests.files_beside(entry):
        make_folder((folder / "adapter" / file).parent)
        shutil.copyfile(entry.path.parent / file, folder / "adapter" / file)
    shutil.copytree(HELPERS, folder / "helpers", dirs_exist_ok=True)
    versions = {**provenance.versions(()), **where.versions()}
    values = {
        "TITLE": _title(replayed), "COMMAND": str(where.command).replace('"', "'"),
        "VERSIONS": ", ".join(f"{package} {version}" for package, version in versions.items()),
        "WORDS": repr(list(where.command.words)), "TIMEOUT": repr(patience or 0.0),
    }  # fmt: skip
    text = asset("cibench", "templates/reproduce_elsewhere.py.txt")
    return re.sub("@([A-Z]+)@", lambda place: values[place[1]], text)


def _title(replayed: Replayed) -> str:
    block, row = replayed.block, replayed.stored.iloc[0].to_dict()
    outcome = row["status"] if row["status"] == "ok" else f"{row['status']}: {row['reason']}"
    title = (
        f"{block.entrants[0][0]} on {block.key['scenario']}, n = {block.key['n']}, "
        f"replicate {block.first}: {outcome}"
    )
    return " ".join(title.split()).replace("\\", "/").replace('"', "'")


def _write_data(folder: Path, replayed: Replayed, data: Draw) -> dict[str, str]:
    """Write the data set as Parquet and CSV and return how the script reads the very columns."""
    import pandas as pd

    scenario = replayed.suite.cells[0].scenario
    columns: dict[str, Array] = {n: data.columns[n] for n in scenario.assigned_roles().columns}
    frame = pd.DataFrame(columns)
    frame.to_parquet(folder / "data.parquet", index=False)
    write_csv(folder / "data.csv", frame, blank="nan")
    plain = all(column.dtype.kind in "iuf" for column in columns.values())
    return {
        "READ": FROM_CSV if plain else FROM_PARQUET,
        "TYPES": repr({name: column.dtype.str for name, column in columns.items()}),
    }


def _write_points(folder: Path, replayed: Replayed, data: Draw) -> str:
    """Write the covariates of units beside the rows, if there are, and return how they are read."""
    if data.points is None:
        return "None"
    import pandas as pd

    covariates = replayed.suite.cells[0].scenario.assigned_roles().covariates
    frame = pd.DataFrame({name: data.points.columns[name] for name in covariates}, dtype=float)
    write_csv(folder / "points.csv", frame, blank="nan")
    return 'np.loadtxt(HERE / "points.csv", delimiter=",", skiprows=1, ndmin=2)'


def _write_adapter(folder: Path, entry: registry.Entry) -> str:
    """Copy the estimator's files and the nouns they need; "" where they need all of cibench."""
    sources = source_digests.files_of(entry)
    if entry.value.oracle or not sources or not all(map(_stands_alone, sources)):
        return ""
    package, nouns = folder / "adapter", folder / "cibench"
    for part in (package, nouns, nouns / "model", nouns / "utils"):
        part.mkdir(exist_ok=True)
    for source in sources:
        shutil.copyfile(source, package / source.name)
    assert entry.path is not None  # it has sources
    for file in source_digests.files_beside(entry):
        make_folder((package / file).parent)
        shutil.copyfile(entry.path.parent / file, package / file)
    write_text(package / "__init__.py", "")
    for module in (types, estimands, functionals, errors):
        *_, home, stem = module.__name__.split(".")
        shutil.copyfile(str(module.__file__), nouns / home / f"{stem}.py")
    write_text(nouns / "model" / "__init__.py", "from cibench.model.types import *\n")
    write_text(nouns / "utils" / "__init__.py", "")
    write_text(nouns / "__init__.py", asset("cibench", "templates/nouns.py.txt"))
    return (
        f"import adapter.{entry.path.stem}\nfrom cibench import METHODS\n\n"
        f"method = METHODS[{entry.name!r}]"
    )


def _stands_alone(source: Path) -> bool:
    """Say whether a file takes nothing of cibench but its nouns."""
    if not source.stem.isidentifier():
        return False
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import) and any(a.name.startswith("cibench") for a in node.names):
            return False
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cibench"):
            nouns = node.module == "cibench" and {a.name for a in node.names} <= set(NOUNS)
            if not nouns and node.module != "cibench.model":
                return False
    return True


def _with_cibench(replayed: Replayed) -> tuple[str, str]:
    """Return how a script finds its method where cibench is installed, and an oracle its draw."""
    block, scenario = replayed.block, replayed.suite.cells[0].scenario
    name = block.entrants[0][0]
    lines = [
        "from cibench import find_estimator, find_scenario",
        "from cibench.model.registry import load_plugin",
        "",
    ]
    lines += [f"load_plugin({plugin!r})" for plugin in block.plugins]
    lines.append(f"method = find_estimator({name!r})")
    if not find_estimator(name).oracle:
        return "\n".join(lines), "None"
    fields = {field: getattr(scenario, field) for field in scenario.specs}
    lines[1:1] = [
        "from cibench.workers.block import draw_replicate",
        "from cibench.model.design import configure",
    ]
    configured = f"configure(find_scenario({scenario.name!r}), {fields!r})"
    address = f"{block.key['n']}, {block.seed}, {block.first}"
    return "\n".join(lines), f"draw_replicate({configured}, {address})"


def _output(folder: Path, replayed: Replayed, patience: float | None) -> str:
    """Run the script as whoever gets the bundle would, and return what it printed."""
    suite, status = replayed.suite, replayed.stored["status"].iloc[0]
    if status == "memory":
        return f"not run here: it takes more than {size(suite.memory or 0)}\n"
    try:
        done = subprocess.run(
            [sys.executable, "reproduce.py"], cwd=folder, check=False, encoding="utf-8",
            errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, timeout=patience and patience + END,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return f"{error.output or ''}\n(stopped after {error.timeout:g} s)\n"
    return f"{done.stdout}\n(exit code {done.returncode})\n"
