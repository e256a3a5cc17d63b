"""What starting takes: `python benchmarks/startup.py [rounds]` prints it beside `import numpy`.

Each is a process of its own; the rounds are interleaved and the best of each counts, so that
whatever else the machine does is the same for all.
"""

import os
import subprocess
import sys
import tempfile
import time

COMMAND = "import sys; from cibench.cli import main; main(sys.argv[1:])"
PROGRAMS = {
    "import numpy": ("import numpy",),
    "import cibench": ("import cibench",),
    "cibench --help": (COMMAND, "--help"),
    "cibench list": (COMMAND, "list"),
    "cibench list --json": (COMMAND, "list", "--json"),
    "cibench show rd/cct-1": (COMMAND, "show", "rd/cct-1"),
}
ANEW = "cibench list, nothing kept"


def seconds(program: tuple[str, ...], cache: str) -> float:
    """Return how long a process takes, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", *program], env={**os.environ, "XDG_CACHE_HOME": cache},
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return time.perf_counter() - begun


def main(rounds: int = 20) -> None:
    """Print the best time of each in milliseconds, and as a multiple of numpy's."""
    best = dict.fromkeys((*PROGRAMS, ANEW), float("inf"))
    with tempfile.TemporaryDirectory() as kept:
        for program in PROGRAMS.values():
            seconds(program, kept)
        for _ in range(rounds):
            for name, program in PROGRAMS.items():
                best[name] = min(best[name], seconds(program, kept))
            with tempfile.TemporaryDirectory() as empty:
                best[ANEW] = min(best[ANEW], seconds(PROGRAMS["cibench list"], empty))
    numpy = best["import numpy"]
    for name, took in best.items():
        print(f"{name:28}{took * 1000:6.0f} ms {took / numpy:6.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
