"""Twins as strangers hand them in: they draw rows, or are refused in a line."""

import io
import json
import zipfile

import numpy as np
import pytest
from hostile import EDIT, SAME_FOLDER, edited_bytes, edited_json, nothing_changes, pipe, refusal
from hypothesis import given
from hypothesis import strategies as st

from cibench.twins import file
from cibench.twins.file import open_twin, save_twin
from cibench.twins.sample import draw_rows
from cibench.twins.scenario import default_effect

TWINS = [("observables", "gaussian"), ("rd", "resampling"), ("did", "gaussian"),
         ("rd", "trees"), ("observables", "vine")]  # fmt: skip


class Parts(dict):
    """Hold twins' parts, and be short where a failing example is printed."""

    def __repr__(self):
        return "parts"


@pytest.fixture(scope="module")
def saved(twin_of, tmp_path_factory):
    """Save a twin of each kind and return their parts."""
    folder, parts = tmp_path_factory.mktemp("twins"), Parts()
    for number, (name, family) in enumerate(TWINS):
        save_twin(twin_of(name, family), folder / f"{number}.twin")
        with zipfile.ZipFile(folder / f"{number}.twin") as whole:
            parts[number] = {part: whole.read(part) for part in whole.namelist()}
    return folder, parts


def packed(parts, **how) -> bytes:
    to = io.BytesIO()
    with zipfile.ZipFile(to, "w", **how) as whole:
        for name, content in parts.items():
            whole.writestr(name, content)
    return to.getvalue()


def drawn(path):
    twin = open_twin(path)
    default_effect(twin)
    with np.errstate(all="ignore"):
        draw_rows(twin, 20, 0.0, 1)


def refused(folder, content):
    path = folder / "edited.twin"
    path.write_bytes(content)
    file._opened.cache_clear()
    with nothing_changes(folder):
        return refusal(lambda: drawn(path), path)


@SAME_FOLDER
@given(edit=EDIT, which=st.integers(0, len(TWINS) - 1))
def test_a_twin_of_an_edited_text_draws_rows_or_is_refused(saved, edit, which):
    folder, parts = saved
    text = edited_json(parts[which]["twin.json"], edit)
    refused(folder, packed({**parts[which], "twin.json": text}))


@SAME_FOLDER
@given(edit=EDIT, which=st.integers(0, len(TWINS) - 1), part=st.integers(0, 100))
def test_a_twin_of_an_edited_array_draws_rows_or_is_refused(saved, edit, which, part):
    folder, parts = saved
    names = [name for name in parts[which] if name.endswith(".npy")]
    name = names[part % len(names)]
    refused(folder, packed({**parts[which], name: edited_bytes(parts[which][name], edit)}))


@SAME_FOLDER
@given(edit=EDIT, which=st.integers(0, len(TWINS) - 1))
def test_an_edited_twin_draws_rows_or_is_refused(saved, edit, which):
    folder, _ = saved
    refused(folder, edited_bytes((folder / f"{which}.twin").read_bytes(), edit))


# ---- the smallest cases ----------------------------------------------------------------------


def declared(shape, kind="<f8", data=b"\0" * 64) -> bytes:
    to = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        to, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return to.getvalue() + data


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (declared((10**12,)), "an array declared with 1,000,000,000,000 elements has 64 bytes"),
        (declared((10**6, 10**6, 10**6)), "elements has 64 bytes"),
        (declared((2,) * 5), "in 5 dimensions"),
        (declared((-8,)), "an array of (-8,) elements"),
        (declared((8,), "|O"), "an array of |O"),
        (declared((1,), "<U16"), "an array of <U16"),
        (b"\x93NUMPY\x03\x00" + b"\xff" * 8, "a part that is no array"),
        (b"", "not a twin, or a damaged one"),
    ],
    ids=range(8),
)
def test_an_array_has_the_numbers_that_it_declares(saved, part, words):
    folder, parts = saved
    (line,) = refused(folder, packed({**parts[0], "0.npy": part}))
    assert words in line


def test_parts_beyond_bounds_are_not_unpacked(saved, monkeypatch):
    folder, parts = saved
    bomb = {**parts[0], "0.npy": b"\0" * 5_000_000}
    monkeypatch.setattr(file, "MOST_BYTES", 4_000_000)
    (line,) = refused(folder, packed(bomb, compression=zipfile.ZIP_DEFLATED))
    assert "its parts have over 4,000,000 bytes" in line
    many = {**parts[0], **{f"x{i}": b"" for i in range(file.MOST_PARTS)}}
    (line,) = refused(folder, packed(many))
    assert "parts, or two of one name" in line
    lying = packed(bomb, compression=zipfile.ZIP_DEFLATED)
    size = (5_000_000).to_bytes(4, "little")
    assert lying.count(size) == 2
    (line,) = refused(folder, lying.replace(size, (5_000).to_bytes(4, "little")))
    assert "not a twin, or a damaged one" in line


def test_names_in_a_twin_write_no_files(saved, tmp_path):
    folder, parts = saved
    (line,) = refused(folder, packed({**parts[0], "../../outside": b"x"}))
    assert "not a twin, or a damaged one" in line and not (folder.parent / "outside").exists()


def test_a_tree_whose_branches_meet_again_is_none(saved):
    """To follow its branches took for ever."""
    folder, parts = saved
    text = json.loads(parts[3]["twin.json"])
    tree = next(iter(text["generator"]["trees"].values()))
    name = f"{tree['left']['array']}.npy"
    array = np.load(io.BytesIO(parts[3][name]))
    array[array >= 0] = 0
    to = io.BytesIO()
    np.save(to, array)
    (line,) = refused(folder, packed({**parts[3], name: to.getvalue()}))
    assert "is not a tree" in line


def test_a_pipe_is_no_twin(tmp_path):
    (line,) = refusal(lambda: open_twin(pipe(tmp_path / "x.twin")))
    assert line.endswith("x.twin: no file, but a pipe")
