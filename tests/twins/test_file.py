"""A twin's file: JSON and arrays, the same twin elsewhere, or a word on why not."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from cibench.twins.cross_section import reconstruct
from cibench.twins.file import open_twin, save_twin
from cibench.twins.panel import rebuild_panel
from cibench.utils.errors import BadInput

FAMILIES = ("vine", "gaussian", "resampling", "trees")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_twin_from_its_file_draws_the_same_rows(twin_of, tmp_path, family):
    twin = twin_of("observables", family)
    save_twin(twin, tmp_path / "one.twin")
    again = open_twin(tmp_path / "one.twin")
    assert again.digest == twin.digest
    rows, same = (reconstruct(t, 200, np.random.default_rng(3), 1.0, {}) for t in (twin, again))
    assert all(np.array_equal(rows.columns[n], same.columns[n]) for n in rows.columns)


def test_a_panel_too(twin_of, tmp_path):
    twin = twin_of("did")
    save_twin(twin, tmp_path / "one.twin")
    again = open_twin(tmp_path / "one.twin")
    rows, same = (rebuild_panel(t, 50, np.random.default_rng(3), 1.0, {}) for t in (twin, again))
    assert all(np.array_equal(rows.columns[n], same.columns[n]) for n in rows.columns)


def test_the_file_holds_json_and_plain_arrays_and_depends_on_content_alone(twin_of, tmp_path):
    twin = twin_of("rd", "trees")
    save_twin(twin, tmp_path / "one.twin")
    save_twin(twin, tmp_path / "other.twin")
    assert (tmp_path / "one.twin").read_bytes() == (tmp_path / "other.twin").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.twin") as parts:
        for name in parts.namelist():
            if name.endswith(".npy"):
                array = np.load(io.BytesIO(parts.read(name)), allow_pickle=False)
                assert array.dtype.kind in "iuf"
            else:
                assert name == "twin.json"
                json.loads(parts.read(name))


def rewritten(path, change):
    with zipfile.ZipFile(path) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    change(content)
    with zipfile.ZipFile(path, "w") as parts:
        for name, data in content.items():
            parts.writestr(name, data)


def test_a_file_that_cannot_be_opened_says_why(twin_of, tmp_path):
    path = tmp_path / "one.twin"
    save_twin(twin_of("rd"), path)

    def newer(content):
        text = json.loads(content["twin.json"])
        content["twin.json"] = json.dumps({**text, "format": 9}).encode()

    def pickled(content):
        buffer = io.BytesIO()
        np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
        content["0.npy"] = buffer.getvalue()

    for change, words in (
        (newer, "a twin of format 9; this version reads formats 1, 2 and 3"),
        (pickled, "not a twin, or a damaged one"),
        (lambda content: content.pop("1.npy"), "not a twin, or a damaged one"),
        (lambda content: content.update({"twin.json": b'{"format": 1}'}), "a damaged twin"),
    ):
        shutil.copy(path, tmp_path / "bad.twin")
        rewritten(tmp_path / "bad.twin", change)
        with pytest.raises(BadInput, match=words):
            open_twin(tmp_path / "bad.twin")
    (tmp_path / "bad.twin").write_text("x")
    with pytest.raises(BadInput, match="not a twin"):
        open_twin(tmp_path / "bad.twin")
    with pytest.raises(BadInput, match="No such file"):
        open_twin(tmp_path / "none.twin")


def test_a_missing_library_is_named(twin_of, tmp_path, monkeypatch):
    save_twin(twin_of("rd", "vine"), tmp_path / "one.twin")
    from cibench.twins import file
    from cibench.twins.generators import base

    file._opened.cache_clear()
    monkeypatch.setattr(base, "installed", lambda _: False)
    with pytest.raises(BadInput, match=r"pip install 'cibench\[twins\]'"):
        open_twin(tmp_path / "one.twin")
