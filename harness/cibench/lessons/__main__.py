"""Store the frames of the built-in lessons whose code has changed: `python -m cibench.lessons`.

Names after it settle those lessons alone. It runs with one worker per core, or as many as
`--workers` says, and takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import time

from cibench.execution.settings import RunSettings
from cibench.lessons.frames import shipped, store
from cibench.lessons.parse import built_in_lessons, find
from cibench.lessons.tables import doubts
from cibench.utils.machine import workers_or_cores


def main(*words: str) -> int:
    """Store what is not stored; return 1 where a run does not bear its lesson out."""
    parser = argparse.ArgumentParser(prog="python -m cibench.lessons")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args(words)
    settings, failed = RunSettings(workers_or_cores(arguments.workers), isolate=True), 0
    for name in arguments.names or built_in_lessons():
        started = time.perf_counter()
        path = store(name, settings)
        outcome = f"stored in {time.perf_counter() - started:.0f} s" if path else "was stored"
        lesson = find(name)
        wrong = doubts(shipped(lesson) or {}, lesson)
        failed += bool(wrong)
        print(name, outcome, *wrong, sep="\n  ", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
