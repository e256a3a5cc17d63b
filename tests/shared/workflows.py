"""The workflows that cibench writes and shows, as files that a linter can read."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cibench.cli.new_gate import write_new_gate

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"
MARK = "# .github/workflows/"


def documented() -> dict[str, str]:
    """Return the whole workflows of docs/ci.md by the name of their file."""
    blocks = [part.partition("```")[0] for part in PAGE.read_text("utf-8").split("```yaml\n")[1:]]
    named = [block.removeprefix(MARK).split("\n", 1) for block in blocks if block.startswith(MARK)]
    return dict(named)


def written(module: str = "mypackage") -> str:
    """Return the workflow that `cibench new gate` writes for a package."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "pyproject.toml").write_text(f'[project]\nname = "{module}"\n')
        write_new_gate(place, module)
        return (place / ".github" / "workflows" / "estimators.yml").read_text("utf-8")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for name, text in {**documented(), "written.yml": written()}.items():
        (place / name).write_text(text, encoding="utf-8")
