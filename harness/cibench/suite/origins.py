"""Where the plug-ins of a stored suite are: as they were named, or the run folder's copies.

A run's suite file names copies within its folder, so that the folder can be handed on. Whoever made
the run goes on with the files that the suite named at first, edited or not; a file of the folder
that stays behind, `ORIGINS`, says where they are. Elsewhere they are not, and copies are used.
"""

from __future__ import annotations

from pathlib import Path

from cibench.utils.foreign import own_file, read_json

PLUGINS, ORIGINS = "plugins", ".origins.json"


def origins(folder: Path) -> dict[str, str]:
    """Return the files that copies in a run folder were made of, by the names of the copies.

    Raises BadInput where the folder's note of them is damaged.
    """
    path = own_file(folder, ORIGINS)
    if not path.exists():
        return {}
    what = "a run's note of where its plug-ins are, or a damaged one"
    noted: dict[str, str] = read_json(path, {str: str}, what)
    return noted


def located(plugin: str, folder: Path) -> str:
    """Return where a plug-in is that the suite file of a folder names.

    One that is no copy, a module or another file, is where it says, or else beside the suite file:
    data sets that exist are put there by whoever gets a run of them.
    """
    if not plugin.startswith(f"{PLUGINS}/"):
        path = Path(plugin)
        moved = path.is_absolute() and not path.exists() and (folder / path.name).is_file()
        return path.name if moved else plugin
    origin = origins(folder).get(plugin)
    return origin if origin and Path(origin).is_file() else plugin
