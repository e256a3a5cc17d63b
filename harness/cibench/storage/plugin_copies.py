"""The copies of plug-ins in a run folder, with the files that these read, for other machines.

Each lies in a folder named by the digest of all that is in it: nothing is ever written over, and
what no suite file names any more goes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from cibench.suite.origins import ORIGINS, PLUGINS, origins
from cibench.utils.files import (
    make_folder,
    move,
    remove_folder,
    sync_folder,
    sync_tree,
    write_bytes,
    write_json,
)
from cibench.utils.foreign import LARGEST, own_file, read_bytes
from cibench.utils.leftovers import temporary

if TYPE_CHECKING:
    from cibench.suite.suite import Suite

COPIED = (".py", ".toml", ".twin")
"""What is copied: files that a suite names as plug-ins, no modules of installed packages."""


def stored_plugins(suite: Suite) -> dict[str, str]:
    """Return how a run's suite file names each plug-in: its copy, or itself where there is none."""
    return {plugin: _name(plugin, _parts(plugin)) for plugin in suite.plugins}


def write_copies(folder: Path, suite: Suite) -> dict[str, str]:
    """Copy a suite's plug-ins into a run folder, and note where they are on this machine.

    Returns what `stored_plugins` does. Files of more than 200 MB stay where they are. Raises
    Unwritable, and BadInput where a file cannot be read.
    """
    names, noted = {}, {}
    for plugin in suite.plugins:
        parts = _parts(plugin)
        name = names[plugin] = _name(plugin, parts)
        if name == plugin:
            continue
        _write(own_file(folder, name).parent, parts)
        if not Path(plugin).is_relative_to(folder.resolve() / PLUGINS):
            noted[name] = plugin
    before = origins(folder)
    here = {**{name: before[name] for name in before.keys() & {*names.values()}}, **noted}
    if here != before:
        write_json(own_file(folder, ORIGINS), dict(sorted(here.items())))
    return names


def _write(target: Path, parts: Mapping[str, bytes]) -> None:
    """Put files into a folder, which is there with all of them or not at all."""
    copies = {own_file(target, name): content for name, content in parts.items()}
    if all(path.is_file() and path.read_bytes() == content for path, content in copies.items()):
        return
    make_folder(target.parent)
    remove_folder(target)  # which is as nobody here left it
    building = temporary(target)
    for name, content in parts.items():
        make_folder((building / name).parent)
        write_bytes(building / name, content)
    sync_tree(building)
    move(building, target)
    sync_folder(target.parent)


def remove_others(folder: Path, names: Iterable[str]) -> None:
    """Remove copies from a run folder but those of the names that its suite file has."""
    wanted = {Path(name).parts[1] for name in names if name.startswith(f"{PLUGINS}/")}
    for path in sorted(own_file(folder, PLUGINS).glob("*")):
        if path.name not in wanted and not path.is_symlink():
            remove_folder(path)


def _name(plugin: str, parts: Mapping[str, bytes]) -> str:
    if not parts:
        return plugin
    digest = blake2b(digest_size=6)
    for name, content in sorted(parts.items()):
        digest.update(name.encode() + b"\0" + blake2b(content).digest())
    return f"{PLUGINS}/{digest.hexdigest()}/{Path(plugin).name}"


def _parts(plugin: str) -> dict[str, bytes]:
    """Return a plug-in and what it reads beside it, by names relative to its folder."""
    from cibench.model import registry  # which whoever only reads a run does not want
    from cibench.storage.source_digests import files_with

    path = Path(plugin)
    if path.suffix not in COPIED or not path.is_file() or registry.is_data(plugin, ".toml"):
        return {}  # of data sets that exist, of which a run may rest on gigabytes
    sizes = {name: file.stat().st_size for name, file in files_with(path).items()}
    return {name: read_bytes(path.parent / name) for name, size in sizes.items() if size <= LARGEST}
