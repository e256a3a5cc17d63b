"""Copies of the checkout, and the checks that run in them, each a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catalogue import HERE, ROOT, CatalogueError, Fault, planted

IGNORED = shutil.ignore_patterns(
    ".git", ".venv", ".nox", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", "gallery",
    "build", "dist",
)  # fmt: skip
GRACE, FACTOR = 60.0, 5.0
"""A check may take so many seconds, and as many times what it takes without a fault."""

FIRST = 600.0
"""Seconds that a check may take without a fault."""

FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)
WORDS = re.compile(r"^(?:E  +|FAIL |FAILED )(.*)$", re.MULTILINE)
LONGEST = 160


@dataclass(frozen=True)
class Check:
    """Name a check: `kind` is contracts, quirks or tests, `subject` a plug-in or test."""

    kind: str
    subject: str

    def __str__(self) -> str:
        """Return the words that a person has for it."""
        return self.subject if self.kind == "tests" else f"{self.kind} of {self.subject}"

    def command(self) -> list[str]:
        """Return the command, to be run in a copy of the checkout."""
        if self.kind == "tests":
            quiet = ["-x", "-q", "-p", "no:cacheprovider", "--tb=short", "-rfE"]
            return [sys.executable, "-m", "pytest", *quiet, self.subject]
        if self.kind == "contracts":
            return [sys.executable, "-m", "cibench.contracts", self.subject]
        return [sys.executable, str(HERE / "identities.py"), self.subject]


def checks_of(fault: Fault) -> list[Check]:
    """Return the checks that are tried on a fault, in their order."""
    general = [Check(kind, plugin) for kind in fault.checks for plugin in fault.plugins]
    return [*general, *(Check("tests", test) for test in fault.tests)]


@dataclass(frozen=True)
class Outcome:
    """Hold what a check said: whether it failed, by which name, in what words, how long it took."""

    failed: bool
    by: str
    complaint: str
    seconds: float


class Copy:
    """A copy of the checkout that one worker plants faults in, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.root, self._scratch = folder / "checkout", folder / "scratch"
        self._scratch.mkdir(parents=True)
        self.root.mkdir()
        for path in ROOT.iterdir():
            if path.name in IGNORED(str(ROOT), [path.name]) or path.name == "results":
                continue
            if path.is_dir():
                shutil.copytree(path, self.root / path.name, symlinks=True, ignore=IGNORED)
            else:
                shutil.copy2(path, self.root)
        reference = Path("results", "reference")
        shutil.copytree(ROOT / reference, self.root / reference, symlinks=True)
        # Compiled files that are compared by content: times have a resolution, faults are quick.
        compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode",
                     "checked-hash", "harness", "estimators", "scenarios"]  # fmt: skip
        subprocess.run(compiling, cwd=self.root, check=True)

    def environment(self) -> dict[str, str]:
        """Return the environment in which the copy is what Python imports."""
        own = {
            "PYTHONPATH": str(self.root / "harness"), "XDG_CACHE_HOME": str(self._scratch),
            "TMPDIR": str(self._scratch), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "160",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }  # fmt: skip
        return {**os.environ, **own}

    @contextmanager
    def with_fault(self, fault: Fault) -> Iterator[None]:
        """Plant a fault and take it out again; raises CatalogueError where nothing imports it."""
        path = self.root / fault.file
        before = path.read_bytes()
        try:
            path.write_text(planted(fault, self.root), encoding="utf-8")
            self._import(fault)
            yield
        finally:
            path.write_bytes(before)

    def _import(self, fault: Fault) -> None:
        module = module_of(fault.file)
        if not module:
            return
        done = self._run([sys.executable, "-c", f"import {module}"], FIRST)
        if done is None or done.returncode:
            error = (done.stderr if done else "it takes too long").strip().splitlines()[-1]
            raise CatalogueError(f"{fault.name}: {module} does not import with `new`: {error}")

    def run(self, check: Check, limit: float = FIRST) -> Outcome:
        """Run a check; what takes longer than the limit counts as failed, which the words say."""
        start = time.monotonic()
        done = self._run(check.command(), limit)
        seconds = time.monotonic() - start
        if done is None:
            return Outcome(True, str(check), f"timed out after {limit:.0f} seconds", seconds)
        text = (done.stdout + done.stderr).replace(str(self.root) + os.sep, "")
        if done.returncode not in (0, 1, 2) or (check.kind != "tests" and done.returncode == 2):
            last = (text.strip() or "it says nothing").splitlines()[-1]
            raise CatalogueError(f"{check}: cannot be run, exit code {done.returncode}: {last}")
        name, complaint = _words(check, text) if done.returncode else ("", "")
        return Outcome(bool(done.returncode), name, complaint, seconds)

    def _run(self, command: list[str], limit: float) -> subprocess.CompletedProcess[str] | None:
        """Run a command in the copy, in a group of its own; return None where it takes too long."""
        with subprocess.Popen(
            command, cwd=self.root, env=self.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return None
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def module_of(file: str) -> str:
    """Return the name by which a source file of the package or of a plug-in is imported, or ""."""
    path = Path(file)
    if path.suffix != ".py":
        return ""
    if path.parts[0] == "harness":
        path = path.relative_to("harness")
    elif path.parts[0] in ("estimators", "scenarios"):
        path = Path("cibench", path)
    else:
        return ""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _words(check: Check, text: str) -> tuple[str, str]:
    """Return by what name a failed check goes, and the first line of its complaint."""
    words = WORDS.search(text)
    complaint = words[1] if words else (text.strip() or "it says nothing").splitlines()[-1]
    complaint = " ".join(complaint.split())[:LONGEST]
    if check.kind != "tests":
        return check.kind, complaint
    name = FAILED.search(text)
    return name[1] if name else check.subject, complaint


def limits(seconds: Mapping[Check, float]) -> dict[Check, float]:
    """Return how long each check may take with a fault, of what it takes without one."""
    return {check: GRACE + FACTOR * took for check, took in seconds.items()}
