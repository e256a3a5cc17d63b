"""What prose says of modules, functions and files exists, so that a move leaves no old names."""

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "harness" / "cibench"
DOTTED = re.compile(r"\bcibench(?:\.[A-Za-z_]\w*)+")
INNER = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)(?:\(\))?`")
ENDINGS = (".toml", ".html", ".csv", ".json", ".py", ".md", ".css", ".js")
FILES = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|md|toml|csv))`")
PACKAGES = {path.name for path in ENGINE.iterdir() if path.is_dir()}
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")


def texts():
    for folder in ("harness", "docs", "tests", "scenarios", "estimators", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            inside = "egg-info" not in str(path) and path != Path(__file__)
            if path.suffix in (".py", ".md", ".toml", ".txt") and inside:
                yield path, path.read_text(encoding="utf-8")
    for name in PAGES:
        yield ROOT / name, (ROOT / name).read_text(encoding="utf-8")


def resolves(dotted):
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


def test_every_name_below_cibench_that_is_mentioned_exists():
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in texts()
        for name in sorted(set(DOTTED.findall(text)) - {"cibench.egg", "cibench.py", "cibench.R"})
        if not resolves(name)
    ]
    assert not missing, "\n".join(missing)


def test_every_name_below_a_package_that_prose_mentions_exists():
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in texts()
        for name in sorted(set(INNER.findall(text)))
        if name.partition(".")[0] in PACKAGES and not name.endswith(ENDINGS)
        if not resolves(f"cibench.{name}")
    ]
    assert not missing, "\n".join(missing)


def test_every_file_of_the_project_that_its_own_pages_mention_exists():
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in texts()
        if path.name in ("ARCHITECTURE.md", "CONTRIBUTING.md")
        for name in sorted(set(FILES.findall(text)))
        if not (ROOT / name).exists() and not (ENGINE / name).exists()
    ]
    assert not missing, "\n".join(missing)


def test_a_wrong_mention_would_be_seen():
    assert not resolves("cibench.metrics.no_such_thing")
    assert resolves("cibench.metrics.METRICS")
    assert INNER.findall("see `metrics.no_such_thing`") == ["metrics.no_such_thing"]
