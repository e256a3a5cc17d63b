"""What pip is asked to do, and what it says where it does not do it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cibench.utils.errors import BadInput

LONG = 300
QUIET = ("--no-input", "--disable-pip-version-check")


def require_pip() -> None:
    """Raise BadInput where there is no pip here."""
    if find_spec("pip") is None:
        raise BadInput("pip is not installed here, and builds the environments: ensurepip does")


def install(pip: Sequence[str], arguments: Sequence[str]) -> str:
    """Have a pip install something; return why it did not, in its words, "" where it did."""
    command = [*pip, "install", *QUIET, *arguments]
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        errors="replace",
    )  # fmt: skip
    return "" if done.returncode == 0 else reason(done.stdout)


def reason(output: str) -> str:
    """Return what pip complains of: its last error and, of a conflict, who causes it."""
    lines = [line.strip() for line in output.splitlines()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    complaints = [error for error in errors if "conflicting dependencies" in error] or errors[-1:]
    if "The conflict is caused by:" in lines:
        rest = lines[lines.index("The conflict is caused by:") + 1 :]
        complaints += rest[: rest.index("")] if "" in rest else rest
    return "; ".join(complaints or lines[-1:] or ["pip failed without a word"])[:LONG]


def name_of(folder: Path) -> str:
    """Return the name of a checkout's package by building its metadata; raises BadInput.

    Its path is absolute: a folder's bare name would be a package of the index to pip.
    """
    require_pip()
    arguments = ["--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *QUIET, *arguments, str(folder.resolve())],
        check=False, capture_output=True, encoding="utf-8",
        errors="replace",
    )  # fmt: skip
    if done.returncode:
        raise BadInput(f"{folder}: its name is not known: {reason(done.stderr)}")
    report = json.loads(done.stdout[done.stdout.index("{") :])
    return str(report["install"][0]["metadata"]["name"])
