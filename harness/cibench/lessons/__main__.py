"""Store the frames of the built-in lessons whose code has changed: `python -m cibench.lessons`.

Names after it settle those lessons alone. It runs with one worker per core and takes minutes.
"""

from __future__ import annotations

import os
import sys
import time

from cibench.lessons.frames import shipped, store
from cibench.lessons.parse import built_in_lessons, find
from cibench.lessons.tables import doubts
from cibench.utils.machine import cores


def main(*names: str) -> int:
    """Store what is not stored; return 1 where a run does not bear its lesson out."""
    failed = 0
    for name in names or built_in_lessons():
        started = time.perf_counter()
        path = store(name, workers=int(os.environ.get("CIBENCH_WORKERS", cores())))
        said = f"stored in {time.perf_counter() - started:.0f} s" if path else "was stored"
        lesson = find(name)
        wrong = doubts(shipped(lesson) or {}, lesson)
        failed += bool(wrong)
        print(name, said, *wrong, sep="\n  ", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
