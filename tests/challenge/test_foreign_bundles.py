"""Bundles and vendors' answers as strangers hand them in: scored, or refused in lines."""

import json

import pytest
from hostile import (
    EDIT,
    SAME_FOLDER,
    edited_bytes,
    edited_csv,
    edited_json,
    nothing_changes,
    refusal,
)
from hypothesis import given
from hypothesis import strategies as st

from cibench.challenge.bundle import Wish, make_bundle, write_bundle
from cibench.challenge.report import score_page
from cibench.challenge.scoring import lines_of, marks_of, read_submission
from cibench.challenge.sealed_truths import COMMITMENTS, Owner, verify, write_reveal
from cibench.utils.files import json_text
from cibench.utils.sealing import Seal


@pytest.fixture(scope="module")
def bundle(twin_of, tmp_path_factory):
    """Write a bundle of three data sets, its owner's file, what is revealed, and right answers."""
    folder = tmp_path_factory.mktemp("bundle")
    made = make_bundle(twin_of("observables"), Wish((0.0, 5.0, -4.0), 3, 80, cost=1.0), "out")
    write_bundle(made, folder / "out", folder / "owner.json")
    owner = Owner.read(folder / "owner.json")
    write_reveal(owner, folder / "reveal.jsonl")
    rows = [f"{d.name},{d.truth},{d.truth - 1},{d.truth + 1},roll out" for d in owner.datasets]
    (folder / "vendor.csv").write_text(
        "\n".join(["dataset,estimate,low,high,decision", *rows]) + "\n"
    )
    return folder


def scored(path, owner):
    answers = read_submission(path, owner)
    marks = marks_of(answers, owner)
    assert str(score_page(owner, {"v": marks}, lines_of(answers, owner)))


@SAME_FOLDER
@given(edit=EDIT)
def test_an_edited_submission_is_scored_or_refused(bundle, edit):
    owner, path = Owner.read(bundle / "owner.json"), bundle / "edited.csv"
    path.write_bytes(edited_csv((bundle / "vendor.csv").read_bytes(), edit))
    with nothing_changes(bundle):
        refusal(lambda: scored(path, owner), path)


@SAME_FOLDER
@given(edit=EDIT, sealed=st.booleans())
def test_an_edited_owners_file_is_read_or_refused(bundle, edit, sealed):
    """With a bundle of one's own the seals fit whatever is in the file."""
    content = edited_json((bundle / "owner.json").read_bytes(), edit)
    path = bundle / "edited.json"
    path.write_bytes(resealed(content) if sealed else content)
    with nothing_changes(bundle):
        refusal(lambda: scored(bundle / "vendor.csv", Owner.read(path)), path, "vendor.csv")


def resealed(content: bytes) -> bytes:
    """Return an owner's file whose seals hold, if it is one at all."""
    names = ("estimand", "truth", "truth_mcse", "data_sha256", "nonce")
    try:
        state = json.loads(content)
        for entry in state["datasets"]:
            what = {"dataset": entry["name"], **{name: entry[name] for name in names}}
            entry["commitment"] = Seal.of(what).commitment
        return json_text(state).encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return content


@SAME_FOLDER
@given(edit=EDIT, which=st.sampled_from(["reveal.jsonl", f"out/{COMMITMENTS}", "line"]))
def test_an_edited_bundle_or_revelation_is_verified_or_refused(bundle, edit, which):
    line = which == "line"
    path = bundle / ("reveal.jsonl" if line else which)
    before = path.read_bytes()
    if line:
        first, _, rest = before.partition(b"\n")
        path.write_bytes(edited_json(first, edit) + b"\n" + rest)
    elif which.endswith(".csv"):
        path.write_bytes(edited_csv(before, edit))
    else:
        path.write_bytes(edited_bytes(before, edit))
    try:
        with nothing_changes(bundle):
            refusal(lambda: list(verify(bundle / "out", bundle / "reveal.jsonl")), bundle)
    finally:
        path.write_bytes(before)


def test_a_bundle_reads_no_file_of_its_receiver(bundle, tmp_path):
    """A name of a data set, or a link, that leads out of the bundle is not followed."""
    (tmp_path / "secret.csv").write_text("x")
    data = bundle / "out" / "data"
    commitments = bundle / "out" / COMMITMENTS
    text, whole = commitments.read_text(), data.rename(tmp_path / "data")
    try:
        data.symlink_to(whole)
        problems = {c.name: c.problem for c in verify(bundle / "out", bundle / "reveal.jsonl")}
        assert all("is a link, which is not followed" in problem for problem in problems.values())
    finally:
        data.unlink()
        whole.rename(data)
        commitments.write_text(text)
