"""Environments in which fits of one suite are made with different versions of a package.

Usually each sees everything that is installed here and holds the version in front of it: both
sides of a comparison load the same files of numpy, scipy and the rest, and an environment costs
what that one package weighs. What an old version brings that is not installed here is pinned for
the versions after it. With another interpreter, packages that go with it or constraints of its own
an environment sees nothing of what is installed here. None need hold cibench.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.metadata import distributions
from pathlib import Path

from cibench.gate.versions import installer
from cibench.gate.versions.requirements import RequestedVersion
from cibench.utils.errors import BadInput, near_miss
from cibench.utils.files import canonical, write_json, write_text
from cibench.utils.names import canonical_name

MARK = "environment.json"
OWN_PIP = ("pip", "setuptools", "wheel", "pkg-resources")
"""What a new environment holds anyway."""


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


@dataclass(frozen=True)
class Surroundings:
    """Say what an environment holds beside the package, where that is not what is installed here.

    `python` is an interpreter's path, "" for the running one; `beside` are further requirements,
    `constraint` a file of pip's. With any of them nothing that is installed here is seen.
    """

    python: str = ""
    beside: tuple[str, ...] = ()
    constraint: Path | None = None
    dependencies: bool = True

    @property
    def apart(self) -> bool:
        """Say whether environments see nothing of what is installed here."""
        return bool(self.python or self.beside or self.constraint)


HERE = Surroundings()


def installed_here() -> dict[str, str]:
    """Return name and version of all that is installed; the first on the path counts."""
    installed: dict[str, str] = {}
    for distribution in distributions():
        if name := distribution.metadata["Name"]:
            installed.setdefault(canonical_name(name), distribution.version)
    return installed


def find_python(text: str) -> str:
    """Return the path of an interpreter, which may be a version such as 3.8; raises BadInput."""
    name = f"python{text}" if re.fullmatch(r"\d(\.\d+)?", text) else text
    path = shutil.which(name)
    if path is None:
        known = [n for n in (f"python3.{minor}" for minor in range(6, 20)) if shutil.which(n)]
        raise BadInput(f"--python: no interpreter '{name}'{near_miss(name, known)}")
    code = "import sys; print(sys.executable); print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([path, "-c", code], check=False, capture_output=True, encoding="utf-8")
    lines = done.stdout.split("\n")
    if done.returncode or len(lines) < 2:
        words = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise BadInput(f"--python: {path} does not run: {words}")
    if tuple(map(int, lines[1].split("."))) < (3, 6):
        raise BadInput(f"--python: {path} is Python {lines[1]}; fits are made from 3.6 on")
    return lines[0]


def build(
    wanted: RequestedVersion, cache: Path, pins: Mapping[str, str],
    surroundings: Surroundings = HERE,
) -> Environment | Unavailable:  # fmt: skip
    """Return the environment with what is wanted, from the cache or built into it.

    `pins` are the versions of all other packages, where they are those that are installed here. A
    local checkout is built anew every time.
    """
    installer.require_pip()
    constraining = {name: version for name, version in pins.items() if name != wanted.package}
    if surroundings.apart:
        constraining = {}
    folder = cache.resolve() / f"{wanted.slug}-{_digest(wanted, constraining, surroundings)}"
    if not wanted.local and (folder / MARK).is_file():
        return _stored(folder / MARK)
    shutil.rmtree(folder, ignore_errors=True)
    make = _apart if surroundings.apart else _layered
    environment = make(wanted, folder, pins, surroundings)
    if isinstance(environment, Unavailable):
        shutil.rmtree(folder, ignore_errors=True)
        return environment
    content = asdict(environment)
    write_json(folder / MARK, {"asked": content.pop("requested"), **content})
    return environment


def _stored(path: Path) -> Environment:
    content = json.loads(path.read_text(encoding="utf-8"))
    return Environment(content.pop("asked"), **content)


def _layered(
    wanted: RequestedVersion, folder: Path, pins: Mapping[str, str], surroundings: Surroundings
) -> Environment | Unavailable:
    """Put what is wanted in front of all that is installed here."""
    python = _layer(folder)
    constraints, report = folder / "constraints.txt", folder / "report.json"
    others = sorted((name, version) for name, version in pins.items() if name != wanted.package)
    write_text(constraints, "".join(f"{name}=={version}\n" for name, version in others))
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    why = installer.install(pip, [
        "--constraint", str(constraints), "--report", str(report),
        *_no_dependencies(surroundings), wanted.source,
    ])  # fmt: skip
    if why:
        return Unavailable(wanted.requested, why)
    installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    came = {canonical_name(i["metadata"]["name"]): i["metadata"]["version"] for i in installed}
    version = came.pop(wanted.package, None) or pins[wanted.package]  # what is here satisfies it
    return Environment(wanted.requested, str(python), wanted.package, version, came)


def _no_dependencies(surroundings: Surroundings) -> Sequence[str]:
    return () if surroundings.dependencies else ("--no-deps",)


def _layer(folder: Path) -> Path:
    """Make an empty environment that sees what the running one sees; return its Python."""
    venv.EnvBuilder(with_pip=False, symlinks=sys.platform != "win32").create(folder)
    python = _python_of(folder)
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    (place,) = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8"
    ).stdout.splitlines()
    lines = [f"import site; site.addsitedir({path!r})" for path in _seen_here()]
    write_text(Path(place, "running.pth"), "\n".join(lines) + "\n")
    return python


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _seen_here() -> list[str]:
    """Return the folders of installed packages that are on the path, in its order."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def _apart(
    wanted: RequestedVersion, folder: Path, _: Mapping[str, str], surroundings: Surroundings
) -> Environment | Unavailable:
    """Make an environment of its own, by the interpreter that is wanted and its pip."""
    interpreter = surroundings.python or sys.executable
    done = subprocess.run(
        [interpreter, "-m", "venv", str(folder)], check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
    )  # fmt: skip
    if done.returncode:
        return Unavailable(wanted.requested, installer.reason(done.stdout))
    python = str(_python_of(folder))
    constraint = surroundings.constraint
    constrained = ["--constraint", str(constraint.resolve())] if constraint else []
    why = installer.install([python, "-m", "pip"], [
        *constrained, *_no_dependencies(surroundings), wanted.source, *surroundings.beside,
    ])  # fmt: skip
    if why:
        return Unavailable(wanted.requested, why)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        check=False, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    packages = {canonical_name(p["name"]): p["version"] for p in json.loads(listed.stdout or "[]")}
    version = packages.pop(wanted.package, None)
    if version is None:
        return Unavailable(wanted.requested, f"pip installed nothing named {wanted.package}")
    brought = {name: number for name, number in packages.items() if name not in OWN_PIP}
    return Environment(wanted.requested, python, wanted.package, version, brought)


def _digest(
    wanted: RequestedVersion, constraining: Mapping[str, str], surroundings: Surroundings
) -> str:
    content: list[object] = [wanted.source, dict(constraining), sys.version, sys.executable]
    content += [_seen_here()]
    if surroundings != HERE:
        constraint = surroundings.constraint
        text = constraint.read_text(encoding="utf-8") if constraint else ""
        content += [surroundings.python, surroundings.beside, text, surroundings.dependencies]
    return blake2b(canonical(content).encode(), digest_size=6).hexdigest()
