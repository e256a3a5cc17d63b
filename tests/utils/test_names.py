"""Names out of strangers' files never lead out of the folder that they are to lie in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cibench.utils.errors import BadInput
from cibench.utils.names import require_inside

LEADING_OUT = (
    "../x", "a/../../x", "a/..", "/etc/passwd", "//host/x", "", ".", "c:/x", "c:x", "a\\..\\..\\x",
    "con", "replicates/NUL.parquet", "a/b.", "a /b",
    "a\nb", "a\x00b", "\u202ecod.exe", "replicates/../../x",
)  # fmt: skip


@pytest.mark.parametrize("name", LEADING_OUT)
def test_what_leads_out_is_one_line(name):
    with pytest.raises(BadInput) as error:
        require_inside(name, "s3://evil/run")
    (line,) = error.value.args
    assert line.startswith("s3://evil/run: ") and "\n" not in line


@given(st.text(alphabet="./\\ab:\x00 ", max_size=12) | st.text(max_size=20))
def test_every_name_that_passes_lies_in_the_folder(name):
    folder = Path("/somewhere/run")
    try:
        inside = require_inside(name, "x")
    except BadInput:
        return
    path = Path(*[p for p in (folder / inside).parts if p != "."])
    assert path.is_relative_to(folder) and path != folder and ".." not in path.parts


@pytest.mark.parametrize(
    "name", ["replicates/cell-00001-00000.parquet", "a b.toml", "é.csv", "a..b", "console.txt"]
)
def test_ordinary_names_pass(name):
    assert require_inside(name, "x") == name
