"""Which file is meant where a path leads to none."""

from pathlib import Path

import pytest

from cibench.utils.errors import BadInput
from cibench.utils.foreign import read_bytes
from cibench.utils.near_paths import near_path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("suites/quick.toml", "suites/x.csv", "runs/first/suite.toml", ".hidden.toml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("suites/quikc.toml", "suites/quick.toml"),
        ("suites/quick.tml", "suites/quick.toml"),
        ("suites/Quick.toml", "suites/quick.toml"),
        ("suite/quick.toml", "suites/quick.toml"),
        ("suite/other.toml", "suites"),
        ("runs/frist", "runs/first"),
        ("run/first/suite.toml", "runs/first/suite.toml"),
        ("suites/y.csv", ""),  # an ending alone is no near miss
        ("hidden.toml", ""),
        ("nowhere/at/all", ""),
        ("suites/quick.toml", ""),  # it is there
        ("suites/quick\0.toml", "suites/quick.toml"),
        (f"suites/{'q' * 300}.toml", ""),
        ("suites/quick.toml/x", ""),
    ],
)
def test_the_first_part_that_is_not_there_is_compared_with_those_beside_it(folder, path, meant):
    assert near_path(Path(path)) == (f"; did you mean '{meant}'?" if meant else "")


def test_a_name_that_would_move_a_terminal_does_not(folder):
    (folder / "suites" / "qu\x1b[2Jick.toml").touch()
    (folder / "suites" / "quick.toml").unlink()
    with pytest.raises(BadInput) as error:
        read_bytes(Path("suites/quxick.toml"))
    assert "did you mean" in str(error.value) and "\x1b" not in str(error.value)


def test_whoever_reads_a_file_that_is_not_there_tells_the_near_miss(folder):
    with pytest.raises(BadInput) as error:
        read_bytes(Path("suites/quikc.toml"))
    line = "suites/quikc.toml: No such file or directory; did you mean 'suites/quick.toml'?"
    assert str(error.value) == line


def test_the_folder_of_a_whole_path_is_not_named_twice(folder):
    assert near_path(folder / "suites" / "quikc.toml") == "; did you mean 'quick.toml'?"
