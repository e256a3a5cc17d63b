"""Seals: the same digests as ever, zeros without a sign, and what does not hold."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest

from cibench.utils.errors import BadInput
from cibench.utils.sealing import (
    Revealed,
    Seal,
    check_seals,
    fingerprint,
    nonce,
    read_commitments,
    read_reveal,
    reveal,
)

CONTENT = {"student": "Şükrü", "truth": 0.25, "salt": "ab" * 32}
TEXT = f'{{"salt":"{"ab" * 32}","student":"Şükrü","truth":0.25}}'


def old_seal(truth: str) -> str:
    """Return the digest of a text that was sealed while zeros had their sign."""
    return sha256(TEXT.replace("0.25", truth).encode()).hexdigest()


def test_a_seal_is_the_digest_of_canonical_json_as_it_always_was():
    seal = Seal.of(CONTENT)
    assert seal.text == TEXT and seal.content == CONTENT
    assert seal.commitment == sha256(TEXT.encode()).hexdigest() == fingerprint(TEXT.encode())
    assert seal.commitment == "533f98af0d205c3392cdec315400a2ffced730128354683cbb8620d84b2d7d77"


def test_zeros_are_sealed_without_their_sign():
    minus, plus = (Seal.of({**CONTENT, "truth": zero}) for zero in (-0.0, 0.0))
    assert minus == plus and minus.commitment == old_seal("0.0")
    assert str(minus.content["truth"]) == "0.0" and '"truth":0.0' in minus.text


@pytest.mark.parametrize("kept", [0.0, -0.0])
@pytest.mark.parametrize("sealed", ["0.0", "-0.0"])
def test_a_zero_holds_whatever_sign_it_was_sealed_and_kept_with(sealed, kept):
    seal = Seal({**CONTENT, "truth": kept}, old_seal(sealed))
    assert f'"truth":{sealed}}}' in seal.text


def test_several_zeros_hold_too():
    content = {"truth": -0.0, "truth_mcse": 0.0, "nonce": "n"}
    text = '{"nonce":"n","truth":-0.0,"truth_mcse":0.0}'
    assert Seal(content, fingerprint(text.encode())).text == text


@pytest.mark.parametrize("change", [
    {"truth": 0.2500001}, {"truth": -0.25}, {"salt": "ac" * 32}, {"student": "Sukru"},
])  # fmt: skip
def test_whatever_was_changed_does_not_hold(tmp_path, change):
    seal = Seal({**CONTENT, **change}, Seal.of(CONTENT).commitment)
    assert seal.text == ""
    check_seals(tmp_path / "key", {"Bo": Seal.of(CONTENT)})
    with pytest.raises(BadInput, match="key: the truth of 'Ş' is not the one that was sealed"):
        check_seals(tmp_path / "key", {"Bo": Seal.of(CONTENT), "Ş": seal})


def test_nonces_are_256_bits_and_never_the_same():
    assert len({nonce() for _ in range(100)}) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", nonce()) for _ in range(10))


def test_what_is_revealed_reads_back_and_is_compared_with_its_commitment(tmp_path):
    truths = {"a": 1.0, "b": -0.0}
    seals = [Seal.of({**CONTENT, "student": name, "truth": t}) for name, t in truths.items()]
    path = tmp_path / "reveal.jsonl"
    path.write_text(reveal(seals), encoding="utf-8")
    found = read_reveal(path, "student", "salt")
    assert list(found) == ["a", "b"] and found["b"].where == f"{path}:2"
    assert [found[s.content["student"]].problem(s.commitment) for s in seals] == ["", ""]
    assert found["a"].problem(seals[1].commitment) == "what was revealed is not what was sealed"
    assert Revealed().problem(seals[0].commitment) == "nothing was revealed of it"


@pytest.mark.parametrize(("text", "said"), [
    ("", "r: reveals nothing"), ("{", "r:1: not a revealed truth"), ("[]", "r:1: not a revealed"),
    ('{"student":"a","truth":"x","salt":1}', "r:1: not a revealed truth"),
    ('{"student":"a","truth":1}', "r:1: not a revealed truth"),
    (2 * (json.dumps(CONTENT) + "\n"), "r:2: 'Şükrü' is revealed twice"),
])  # fmt: skip
def test_a_faulty_revelation_is_told_its_line(tmp_path, text, said):
    (tmp_path / "r").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=re.escape(said)):
        read_reveal(tmp_path / "r", "student", "salt")


def test_files_that_are_not_there_or_no_text_are_told(tmp_path):
    with pytest.raises(BadInput, match="r: No such file"):
        read_reveal(tmp_path / "r", "student")
    (tmp_path / "r").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="r: it is in UTF-16; save it in UTF-8"):
        read_reveal(tmp_path / "r", "student")
    (tmp_path / "c.csv").write_text("dataset,sha\na,1\n")
    with pytest.raises(BadInput, match=r"c\.csv: not the commitments"):
        read_commitments(tmp_path / "c.csv", "dataset")
