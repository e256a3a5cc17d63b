"""What a version of a package is asked for by: a requirement, or the folder of a checkout."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from cibench.gate.versions import installer
from cibench.utils.errors import BadInput
from cibench.utils.names import canonical_name


@dataclass(frozen=True)
class RequestedVersion:
    """Say which version of which package is wanted; `source` is what pip is given."""

    requested: str
    package: str
    source: str
    local: bool = False

    @property
    def slug(self) -> str:
        """Return a name that does as a folder's."""
        place = blake2b(self.source.encode(), digest_size=2).hexdigest()  # two may be called alike
        text = f"{Path(self.source).name}-{place}" if self.local else self.requested
        return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def requested_versions(texts: Sequence[str]) -> list[RequestedVersion]:
    """Return what is asked for; raises BadInput unless it is two or more forms of one package."""
    requests = [_requested_version(text) for text in texts]
    if len(requests) < 2:
        raise BadInput(
            "name two or more versions of a package, like rdrobust==1.3.0 rdrobust==2.1.1; without "
            "a number it is the version that is installed here, and a folder is a checkout"
        )
    if strangers := {request.package for request in requests} - {requests[0].package}:
        raise BadInput(f"{requests[0].package} and {sorted(strangers)[0]} are not the same package")
    slugs = [request.slug for request in requests]
    for request in requests:
        if slugs.count(request.slug) > 1:
            raise BadInput(f"{request.requested} is named twice")
    return requests


def _requested_version(text: str) -> RequestedVersion:
    path = Path(text)
    if path.is_dir():
        return RequestedVersion(
            text, canonical_name(project_name(path)), str(path.resolve()), local=True
        )
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        problem = str(error).splitlines()[0]
        raise BadInput(f"'{text}' is neither a folder nor a requirement: {problem}") from error
    return RequestedVersion(text, canonical_name(requirement.name), text)


def project_name(folder: Path) -> str:
    """Return the name of the package that a checkout holds; raises BadInput where none is told."""
    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        if name := content.get("project", {}).get("name"):
            return str(name)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / 'pyproject.toml'}: {error}") from error
    old = ConfigParser(interpolation=None)
    try:
        old.read(folder / "setup.cfg", encoding="utf-8")
    except ConfigError as error:
        problem = str(error).splitlines()[0]
        raise BadInput(f"{folder / 'setup.cfg'}: {problem}") from error
    if name := old.get("metadata", "name", fallback=""):
        return name
    if (folder / "setup.py").is_file():
        return installer.name_of(folder)
    raise BadInput(f"{folder}: neither pyproject.toml, setup.cfg nor setup.py names the package")


def supported() -> Mapping[str, str]:
    """Return the stated versions of each package that cibench depends on or its extras bring."""
    from packaging.requirements import Requirement

    try:
        lines = requires("cibench") or []
    except PackageNotFoundError:  # run from a checkout that nobody installed
        lines = []
    requirements = [Requirement(line) for line in lines]
    return {
        canonical_name(one.name): str(one.specifier) for one in requirements if str(one.specifier)
    }


def outside(package: str, version: str) -> str:
    """Say that a version is not one of those that cibench states, "" where it is."""
    from packaging.specifiers import SpecifierSet

    specifier = supported().get(canonical_name(package), "")
    if not specifier or SpecifierSet(specifier).contains(version, prereleases=True):
        return ""
    return f"{package} {version} is not of the versions that cibench states: {package}{specifier}"
