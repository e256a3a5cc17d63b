"""Copies of the checkout, and the checks that run in them, each in a fork of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
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

    @property
    def whole(self) -> Check:
        """Return the check of the whole file that a test is in, itself for other checks."""
        return Check(self.kind, self.subject.partition("::")[0])

    def arguments(self) -> list[str]:
        """Return the arguments of its command, to be run in a copy of the checkout."""
        quiet = ["-x", "-q", "-p", "no:cacheprovider", "--tb=short", "-rfE"]
        return [*quiet, self.subject] if self.kind == "tests" else [self.subject]


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
        self._out = folder / "out.txt"
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "server.py")], cwd=self.root, env=self.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        """End the process that runs the checks."""
        self._server.terminate()
        self._server.communicate()

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
        code, text = self._run("import", [module], FIRST)
        if code != 0:
            error = (text.strip() or "it takes too long").splitlines()[-1]
            raise CatalogueError(f"{fault.name}: {module} does not import with `new`: {error}")

    def run(self, check: Check, limit: float = FIRST) -> Outcome:
        """Run a check; what takes longer than the limit counts as failed, which the words say."""
        start = time.monotonic()
        code, text = self._run(check.kind, check.arguments(), limit)
        seconds = time.monotonic() - start
        if code is None:
            return Outcome(True, str(check), f"timed out after {limit:.0f} seconds", seconds)
        text = text.replace(str(self.root) + os.sep, "")
        if code not in (0, 1, 2) or (check.kind != "tests" and code == 2):
            last = (text.strip() or "it says nothing").splitlines()[-1]
            raise CatalogueError(f"{check}: cannot be run, exit code {code}: {last}")
        name, complaint = _words(check, text) if code else ("", "")
        return Outcome(bool(code), name, complaint, seconds)

    def _run(self, kind: str, arguments: list[str], limit: float) -> tuple[int | None, str]:
        """Return exit code, None where it takes too long, and what was printed."""
        about = {"kind": kind, "arguments": arguments, "seconds": limit, "out": str(self._out)}
        pipes = self._server.stdin, self._server.stdout
        assert pipes[0] is not None and pipes[1] is not None
        pipes[0].write(json.dumps(about) + "\n")
        pipes[0].flush()
        answer = pipes[1].readline()
        if not answer:
            raise CatalogueError(f"{kind} {' '.join(arguments)}: the process that runs it is gone")
        return json.loads(answer), self._out.read_text(encoding="utf-8", errors="replace")


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
