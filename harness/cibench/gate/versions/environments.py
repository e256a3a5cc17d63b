"""Environments that differ from the running one in a single package, and in nothing else.

Each is a virtual environment that sees everything that is installed here and holds the asked
version of one package in front of it: both sides of a comparison load the same files of numpy,
scipy and the rest, and an environment costs what that one package weighs. What an old version
brings that is not installed here is pinned for the versions after it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from cibench.gate.versions.requirements import RequestedVersion, canonical_name
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical, write_json, write_text

MARK = "environment.json"
LONG = 300


@dataclass(frozen=True)
class Environment:
    """Hold an environment: its Python, the package's version, and what else came with it."""

    requested: str
    python: str
    package: str
    version: str
    brought: Mapping[str, str]


@dataclass(frozen=True)
class Unavailable:
    """Say why there is no environment, or no run in it."""

    requested: str
    why: str


def installed_here() -> dict[str, str]:
    """Return name and version of all that is installed; the first on the path counts."""
    installed: dict[str, str] = {}
    for distribution in distributions():
        if name := distribution.metadata["Name"]:
            installed.setdefault(canonical_name(name), distribution.version)
    return installed


def build(
    wanted: RequestedVersion, cache: Path, pins: Mapping[str, str]
) -> Environment | Unavailable:
    """Return the environment with what is wanted, from the cache or built into it.

    `pins` are the versions of all other packages. A local checkout is built anew every time.
    """
    if find_spec("pip") is None:
        raise BadInput("pip is not installed here, and builds the environments: ensurepip does")
    constraining = {name: version for name, version in pins.items() if name != wanted.package}
    folder = cache.resolve() / f"{wanted.slug}-{_digest(wanted, constraining)}"
    if not wanted.local and (folder / MARK).is_file():
        return _stored(folder / MARK)
    shutil.rmtree(folder, ignore_errors=True)
    python = _layer(folder)
    constraints = folder / "constraints.txt"
    write_text(constraints, "".join(f"{n}=={v}\n" for n, v in sorted(constraining.items())))
    if why := _install(python, wanted, constraints, folder / "report.json"):
        shutil.rmtree(folder)
        return Unavailable(wanted.requested, why)
    environment = _described(wanted, python, folder / "report.json", pins)
    content = asdict(environment)
    write_json(folder / MARK, {"asked": content.pop("requested"), **content})
    return environment


def _stored(path: Path) -> Environment:
    content = json.loads(path.read_text(encoding="utf-8"))
    return Environment(content.pop("asked"), **content)


def _layer(folder: Path) -> Path:
    """Make an empty environment that sees what the running one sees; return its Python."""
    venv.EnvBuilder(with_pip=False, symlinks=sys.platform != "win32").create(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    (place,) = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8"
    ).stdout.splitlines()
    lines = [f"import site; site.addsitedir({path!r})" for path in _seen_here()]
    write_text(Path(place, "running.pth"), "\n".join(lines) + "\n")
    return python


def _seen_here() -> list[str]:
    """Return the folders of installed packages that are on the path, in its order."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def _install(python: Path, wanted: RequestedVersion, constraints: Path, report: Path) -> str:
    """Have pip install what is wanted; return why it did not, "" where it did."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", str(python), "install",
            "--no-input", "--disable-pip-version-check", "--constraint", str(constraints),
            "--report", str(report), wanted.source,
        ],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        errors="replace",
    )  # fmt: skip
    return "" if done.returncode == 0 else _reason(done.stdout)


def _reason(output: str) -> str:
    """Return what pip complains of: its last error and, of a conflict, who causes it."""
    lines = [line.strip() for line in output.splitlines()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    complaints = [error for error in errors if "conflicting dependencies" in error] or errors[-1:]
    if "The conflict is caused by:" in lines:
        rest = lines[lines.index("The conflict is caused by:") + 1 :]
        complaints += rest[: rest.index("")] if "" in rest else rest
    return "; ".join(complaints or lines[-1:] or ["pip failed without a word"])[:LONG]


def _described(
    wanted: RequestedVersion, python: Path, report: Path, pins: Mapping[str, str]
) -> Environment:
    installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    came = {canonical_name(i["metadata"]["name"]): i["metadata"]["version"] for i in installed}
    version = came.pop(wanted.package, None) or pins[wanted.package]  # what is here satisfies it
    return Environment(wanted.requested, str(python), wanted.package, version, came)


def _digest(wanted: RequestedVersion, constraining: Mapping[str, str]) -> str:
    content = [wanted.source, dict(constraining), sys.version, sys.executable, _seen_here()]
    return blake2b(canonical(content).encode(), digest_size=6).hexdigest()
