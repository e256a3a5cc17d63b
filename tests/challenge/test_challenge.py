"""Bundles, seals and scores: what is planted, what vendors say, and what can be checked later."""

import csv
import json
import re
from dataclasses import replace
from functools import partial
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cibench.challenge.bundle import Wish, make_bundle, write_bundle
from cibench.challenge.effects import assign_effects, choose_effects, parse_effects
from cibench.challenge.scoring import (
    Answer,
    Submission,
    lines_of,
    marks_of,
    read_submission,
    regret_of,
)
from cibench.challenge.sealed_truths import Owner, verify, write_reveal
from cibench.twins.file import save_twin
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.utils.errors import BadInput

EFFECTS = (0.0, 5.0, -4.0)


@pytest.fixture(scope="module")
def twin(twin_of):
    return twin_of("observables")


@pytest.fixture
def given(twin, tmp_path):
    """Write a bundle of six data sets; return its folder, the owner's file and the owner."""
    out, kept = tmp_path / "out", tmp_path / "out.owner.json"
    write_bundle(make_bundle(twin, Wish(EFFECTS, 6, 80, cost=1.0), "out"), out, kept)
    return out, kept, Owner.read(kept)


def submitted(path, rows, heading=("dataset", "estimate", "low", "high", "decision")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heading, *rows])
    return path


# ---- effects ---------------------------------------------------------------------------------


def test_drawn_effects_hold_zero_both_signs_and_never_the_firms_own_estimate(twin_of):
    for name in ("observables", "rd", "did"):
        twin = twin_of(name)
        estimate, se = twin.seed["effect"], twin.seed["se"]
        seen = set()
        for number in range(200):
            found = choose_effects(twin, None, np.random.default_rng(number))
            assert found.count(0) == 1 and len(set(found)) == 4
            assert min(found) < 0 < max(found)
            away = np.abs(np.array(found[1:]) - estimate)
            assert away.min() > max(0.1 * abs(estimate), se / 2)
            seen |= set(found)
        assert len(seen) > 200  # three digits of 600 draws


@pytest.mark.parametrize(("text", "words"), [
    ("0,five", "--effects: 'five' is not a number"), ("0,inf", "--effects: inf is not finite"),
    ("0,1,1", "--effects: 1 comes twice"), ("1,2", "--effects: 0 must be among them"),
    ("0", "--effects: one effect other than 0 at least"),
])  # fmt: skip
def test_effects_that_are_none(twin, text, words):
    with pytest.raises(BadInput, match=re.escape(words)):
        choose_effects(twin, parse_effects(text), np.random.default_rng(0))


def test_an_effect_that_is_the_firms_own_estimate_is_refused(twin):
    estimate = twin.seed["effect"]
    for value in (estimate, float(f"{estimate:.3g}"), 1.05 * estimate):
        with pytest.raises(BadInput, match="is as good as the seed's own estimate"):
            choose_effects(twin, (0.0, value), np.random.default_rng(0))
    assert choose_effects(twin, (0.0, 2 * estimate), np.random.default_rng(0))


def test_the_order_of_effects_is_anybodys_guess():
    effects, draws = (0.0, 1.0, 2.0, 3.0), 2000
    table = np.array([assign_effects(effects, 9, np.random.default_rng(k)) for k in range(draws)])
    assert all(set(row) == set(effects) for row in table)
    for effect in effects:  # in every place each effect stands in a quarter of the draws
        share = (table == effect).mean(axis=0)
        assert np.all(np.abs(share - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / draws))
    again = (table[:, 1:] == table[:, :-1]).mean()  # nor does a neighbour say anything
    pairs = [9 // 4 * (9 // 4 - 1) / 2 * 3 + 3 * 2 / 2, 9 * 8 / 2]
    assert again == pytest.approx(pairs[0] / pairs[1], abs=4.5 * np.sqrt(0.2 / (8 * draws)))
    with pytest.raises(BadInput, match="3 are too few for 4 effects"):
        assign_effects(effects, 3, np.random.default_rng(0))


def test_two_bundles_of_one_twin_have_nothing_in_common(twin):
    one, other = (make_bundle(twin, Wish(EFFECTS, 9, 80), "out") for _ in range(2))
    assert not set(one.files.values()) & set(other.files.values()) - {
        one.files["README.md"], one.files["schema.json"], one.files["submission.csv"],
    }  # fmt: skip
    secrets = {d.nonce for b in (one, other) for d in b.owner.datasets}
    assert len(secrets) == 18 and all(len(s) == 64 for s in secrets)


# ---- seals -----------------------------------------------------------------------------------


def test_what_is_revealed_is_verified_by_hand_and_by_the_command(given, tmp_path):
    out, _, owner = given
    write_reveal(owner, tmp_path / "reveal.jsonl")
    found = list(verify(out, tmp_path / "reveal.jsonl"))
    assert len(found) == 6 and not any(c.problem for c in found)
    given_seals = pd.read_csv(out / "commitments.csv").set_index("dataset")
    for line in (tmp_path / "reveal.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        seal = given_seals.loc[told["dataset"]]
        assert sha256(line.encode()).hexdigest() == seal["sha256"]
        data = (out / "data" / f"{told['dataset']}.csv").read_bytes()
        assert sha256(data).hexdigest() == told["data_sha256"] == seal["data_sha256"]
        assert told["truth"] in EFFECTS and len(told["nonce"]) == 64


def test_whatever_is_tampered_with_is_found(given, tmp_path):
    out, _, owner = given
    reveal = tmp_path / "reveal.jsonl"
    write_reveal(owner, reveal)
    lines = reveal.read_text().splitlines()
    told = json.loads(lines[1])
    told["truth"] += 0.5
    changed = [lines[0], json.dumps(told, sort_keys=True, separators=(",", ":")), *lines[2:-1]]
    reveal.write_text("\n".join(changed))
    with (out / "data/dataset-03.csv").open("a") as file:
        file.write("1,1,1,1,1\n")
    (out / "data/dataset-04.csv").unlink()
    found = {c.name: c.problem for c in verify(out, reveal)}
    assert found["dataset-01"] == found["dataset-05"] == ""
    assert found["dataset-02"] == "what was revealed is not what was sealed"
    assert found["dataset-03"] == "its file is not the one that was sealed"
    assert found["dataset-04"].startswith("its file cannot be read")
    assert found["dataset-06"] == "nothing was revealed of it"


@pytest.mark.parametrize(("key", "value"), [
    ("truth", 4.0), ("nonce", "0" * 64), ("estimand", "ATT"), ("data_sha256", "0" * 64),
    ("truth_mcse", 1.0), ("commitment", "0" * 64),
])  # fmt: skip
def test_an_edited_owners_file_is_refused(given, key, value):
    _, kept, _ = given
    state = json.loads(kept.read_text())
    state["datasets"][2][key] = value
    kept.write_text(json.dumps(state))
    with pytest.raises(BadInput, match="the truth of 'dataset-03' is not the one that was sealed"):
        Owner.read(kept)


def test_an_owners_file_that_was_sealed_anew_does_not_fit_the_bundle(given):
    out, kept, _ = given
    state = json.loads(kept.read_text())
    one = Owner.read(kept).datasets[2]
    content = {**one.content, "truth": one.truth + 1}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    state["datasets"][2] |= {"truth": one.truth + 1}
    state["datasets"][2]["commitment"] = sha256(text.encode()).hexdigest()
    kept.write_text(json.dumps(state))
    changed = Owner.read(kept)
    with pytest.raises(BadInput, match="commitment to 'dataset-03' is not the owner's"):
        changed.check_bundle(out)


def test_the_owners_file_is_its_owners_alone_and_the_bundle_holds_none_of_it(given):
    out, kept, owner = given
    assert kept.stat().st_mode & 0o777 == 0o600
    names = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert names == [
        "README.md", "commitments.csv", *(f"data/dataset-0{k}.csv" for k in range(1, 7)),
        "schema.json", "submission.csv",
    ]  # fmt: skip
    everything = "".join((out / n).read_text() for n in names)
    for one in owner.datasets:
        assert one.nonce not in everything and owner.provenance["secret"] not in everything
        assert one.commitment in everything


# ---- scores ----------------------------------------------------------------------------------


def test_a_vendor_is_scored_as_by_hand(given, tmp_path):
    _, _, owner = given
    truth = np.array([d.truth for d in owner.datasets])
    off = np.array([1.0, -2.0, 0.5, 3.0, -9.5, 0.0])
    reach = np.array([2.0, 1.0, 0.5, 4.0, 1.0, 0.1])
    said = truth + off
    rows = [
        [d.name, e, e - r, e + r, "" if k else "do not"]
        for k, (d, e, r) in enumerate(zip(owner.datasets, said, reach, strict=True))
    ]
    got = read_submission(submitted(tmp_path / "v.csv", rows), owner)
    marks = marks_of(got, owner)
    assert marks.bias.value == pytest.approx(off.mean())
    assert marks.bias.mcse == pytest.approx(off.std(ddof=1) / np.sqrt(6))
    assert marks.rmse.value == pytest.approx(np.sqrt((off**2).mean()))
    assert marks.coverage.value == pytest.approx(4 / 6)
    # Wilson's limits for 4 of 6, from the quadratic in p solved by hand
    z, n, p = 1.959964, 6, 4 / 6
    low, high = np.sort(np.roots([1 + z**2 / n, -(2 * p + z**2 / n), p**2]))
    assert (marks.coverage.low, marks.coverage.high) == pytest.approx((low, high), abs=1e-6)
    effect = truth != 0
    wrong = np.sign(said[effect]) != np.sign(truth[effect])
    assert marks.wrong_sign.value == pytest.approx(wrong.mean())
    out = said > 1.0  # a roll-out costs 1
    out[0] = False
    regret = np.where((truth > 1) & ~out, truth - 1, np.where((truth < 1) & out, 1 - truth, 0))
    assert marks.regret.value == pytest.approx(regret.mean())
    assert [line.regret for line in lines_of(got, owner)] == pytest.approx(regret.tolist())


@pytest.mark.parametrize(
    ("better", "truth", "rolls_out", "regret"),
    [
        ("higher", 5.0, True, 0.0), ("higher", 5.0, False, 4.0), ("higher", 0.4, True, 0.6),
        ("higher", 0.4, False, 0.0), ("higher", -4.0, True, 5.0), ("higher", -4.0, False, 0.0),
        ("lower", -4.0, True, 0.0), ("lower", -4.0, False, 3.0), ("lower", 5.0, True, 6.0),
    ],
)  # fmt: skip
def test_regret_is_what_the_best_decision_brings_beyond_the_one_taken(
    better, truth, rolls_out, regret
):
    """At a cost of 1 a unit, by hand; the bundle above draws which effects are where."""
    owner = SimpleNamespace(better=better, cost=1.0)
    answer = SimpleNamespace(dataset=SimpleNamespace(truth=truth), rolls_out=rolls_out)
    assert regret_of(answer, owner) == pytest.approx(regret)


def test_less_may_be_better_and_what_is_not_answered_counts(twin, tmp_path):
    owner = make_bundle(twin, Wish(EFFECTS, 3, 80, cost=1.0, better="lower"), "out").owner
    gains = {0.0: -1.0, 5.0: -6.0, -4.0: 3.0}
    rows = [[d.name, d.truth, d.truth - 1, d.truth + 1, "roll out"] for d in owner.datasets[:2]]
    rows.append([owner.datasets[2].name, "", "", "", ""])
    got = read_submission(submitted(tmp_path / "v.csv", rows), owner)
    marks = marks_of(got, owner)
    assert got.missing == (owner.datasets[2].name,)
    assert (marks.coverage.value, marks.counted.value) == pytest.approx((1, 2 / 3))
    lost = [max(gains[d.truth], 0) - gains[d.truth] for d in owner.datasets[:2]]
    assert marks.regret.value == pytest.approx(np.mean(lost))


def test_truths_that_were_simulated_with_one_error_leave_it_to_the_bias(given):
    _, _, owner = given
    off = np.array([1.0, -2.0, 0.5, 3.0, -9.5, 0.25])
    answers = tuple(
        Answer(replace(d, truth_mcse=0.7), d.truth + e, d.truth - 9, d.truth + 9, rolls_out=True)
        for d, e in zip(owner.datasets, off, strict=True)
    )
    marks = marks_of(Submission("v", answers, ()), owner)
    assert marks.bias.mcse == pytest.approx(np.hypot(off.std(ddof=1) / np.sqrt(6), 0.7))


def test_who_says_zero_points_the_wrong_way_wherever_there_is_an_effect(given):
    signs = [Answer(d, 0.0, -1.0, 1.0, rolls_out=False).wrong_sign for d in given[2].datasets]
    assert signs == [None if d.truth == 0 else True for d in given[2].datasets]
    turned = [
        Answer(d, -d.truth, -d.truth - 1, 1 - d.truth, rolls_out=False) for d in given[2].datasets
    ]
    marks = marks_of(Submission("v", tuple(turned), ()), given[2])
    assert marks.wrong_sign.value == 1  # of those that have an effect


@pytest.mark.parametrize(("rows", "said"), [
    ([["dataset-1", 1, 0, 2, ""]], ":2: no data set of this bundle named 'dataset-1'; did you"),
    ([["dataset-01", 1, 0, 2, ""]] * 2, ":3: 'dataset-01' is answered twice"),
    ([["dataset-01", "one", 0, 2, ""]], ":2: estimate: 'one' is not a number"),
    ([["dataset-01", 1, 2, 0, ""]], ":2: low = 2 is above high = 0"),
    ([["dataset-01", 1, 0, "", ""]], ":2: high: '' is not a number"),
    ([["dataset-01", 1, 0, 2, "rollout"]], ":2: no decision named 'rollout'; did you mean 'roll"),
    ([["dataset-01", "", "", "", ""]], ": no answers"),
    ([], ": no answers"),
])  # fmt: skip
def test_a_faulty_submission_is_told_its_line(given, tmp_path, rows, said):
    path = submitted(tmp_path / "v.csv", rows)
    with pytest.raises(BadInput, match=re.escape(f"v.csv{said}")):
        read_submission(path, given[2])


def test_a_missing_column_is_named(given, tmp_path):
    path = submitted(tmp_path / "v.csv", [["dataset-01", 1, 0]], ("dataset", "estimate", "low"))
    with pytest.raises(BadInput, match=r"v\.csv:1: no column 'high' among dataset, estimate, low"):
        read_submission(path, given[2])


# ---- the command line ------------------------------------------------------------------------


@pytest.fixture
def call(call):
    return partial(call, "twin")


def test_the_whole_path_from_the_command_line(call, twin, tmp_path):
    save_twin(twin, tmp_path / "a.twin")
    code, out, _ = call("bundle", "a.twin", "--effects", "0,5,-4", "--rows", 100, "--out", "out")
    assert code == 0 and f"bundle: {tmp_path / 'out'}" in out and "not examined" in out
    assert (tmp_path / "out.owner.html").stat().st_mode & 0o777 == 0o600
    page = (tmp_path / "out.owner.html").read_text(encoding="utf-8")
    body = page[page.index("<body>") :].lower()
    assert "This section is missing" in page and "safe" not in body
    for vendor, shift in (("alpha", 0.0), ("beta", 3.0)):
        table = pd.read_csv("out/submission.csv")
        owner = Owner.read(tmp_path / "out.owner.json")
        truth = np.array([d.truth for d in owner.datasets]) + shift
        table.assign(estimate=truth, low=truth - 1, high=truth + 1).to_csv(
            f"{vendor}.csv", index=False
        )
    code, out, _ = call(
        "score", "alpha.csv", "beta.csv", "--owner", "out.owner.json", "--out", "scores.html",
        "--reveal", "reveal.jsonl",
    )  # fmt: skip
    assert code == 0 and "100 % (61–100)" in out and "0 % (0–39)" in out
    assert "beta" in (tmp_path / "scores.html").read_text(encoding="utf-8")
    assert call("score", "beta.csv", "--owner", "out.owner.json", "--out", "s.csv")[0] == 0
    assert pd.read_csv("s.csv")["error"].tolist() == pytest.approx([3.0] * 6)
    code, out, _ = call("verify", "out", "reveal.jsonl")
    assert code == 0 and "6 of 6 truths are as they were sealed" in out
    (tmp_path / "reveal.jsonl").write_text(
        (tmp_path / "reveal.jsonl").read_text().replace('"truth":5.0', '"truth":6.0')
    )
    code, out, _ = call("verify", "out", "reveal.jsonl")
    assert code == 1 and "4 of 6 truths" in out


def test_secrets_may_have_a_folder_of_their_own(call, twin, tmp_path):
    save_twin(twin, tmp_path / "a.twin")
    (tmp_path / "mine").mkdir()
    assert call("bundle", "a.twin", "--rows", 60, "--out", "out", "--secrets", "mine")[0] == 0
    assert sorted(p.name for p in tmp_path.glob("mine/*")) == ["out.owner.html", "out.owner.json"]
    assert {p.name for p in tmp_path.glob("*")} == {"a.twin", "mine", "out"}
    err = call("score", "v.csv", "--owner", "mine/out.owner.json", "--bundle", "none")[2]
    assert "No such file" in err


def test_bad_input_is_one_line_with_code_2_and_nothing_is_written(call, twin_of, tmp_path):
    save_twin(twin_of("observables"), tmp_path / "a.twin")
    save_twin(twin_of("observables", "resampling"), tmp_path / "r.twin")
    before = sorted(tmp_path.rglob("*"))
    for options, said in (
        (("a.twin", "--out", "o", "--secrets", "o/key.json"), "must not lie in the bundle"),
        (("a.twin", "--out", "o", "--report", "o/page.html"), "must not lie in the bundle"),
        (("a.twin", "--out", "no/o"), "there is no such folder"),
        (("a.twin", "--out", "o", "--secrets", "a.twin"), "a.twin exists"),
        (("r.twin", "--out", "o"), "--generator vine or gaussian"),
        (("a.twin", "--out", "o", "--effects", "1,2"), "0 must be among them"),
        (("a.twin", "--out", "o", "--effects", "0,1,4", "--datasets", 2), "2 are too few"),
        (("a.twin", "--out", "o", "--allow", "aa"), "no column named 'aa'"),
        (("a.twin", "--out", "o", "--data", "none.csv"), "No such file"),
        (("a.twin", "--out", "o", "--cost", "nan"), "--cost: nan is not a cost"),
    ):
        code, _, err = call("bundle", *options)
        assert code == 2 and said in err and err.count("\n") == 1, (options, err)
    assert sorted(tmp_path.rglob("*")) == before
    assert call("score", "x/v.csv", "v.csv", "--owner", "k")[2].startswith("cibench: two")
    assert "No such file" in call("score", "v.csv", "--owner", "k")[2]
    (tmp_path / "k").write_text("{}")
    assert "not an owner's file" in call("score", "v.csv", "--owner", "k")[2]
    assert "No such file" in call("verify", "none", "k")[2]


def test_a_place_that_is_taken_stays_as_it_is(call, given, twin, tmp_path):
    save_twin(twin, tmp_path / "a.twin")
    kept = (tmp_path / "out.owner.json").read_text()
    assert "is not empty" in call("bundle", "a.twin", "--out", "out")[2]
    code, _, err = call("bundle", "a.twin", "--out", "other", "--secrets", "out.owner.json")
    assert code == 2 and "another bundle's truths" in err
    assert (tmp_path / "out.owner.json").read_text() == kept
    assert not (tmp_path / "other").exists()


# ---- a twin whose audit fails ----------------------------------------------------------------


@pytest.fixture(scope="module")
def heaped(seeds):
    """Fit a twin of a seed a fifth of whose outcomes are at a ceiling, which the twin loses."""
    make, design = seeds["observables"]
    frame = make()
    frame["y"] = np.minimum(frame["y"], frame["y"].quantile(0.8))
    return fit_twin(seed_of(frame, design), "gaussian")


def test_a_twin_whose_audit_fails_is_not_bundled_as_fit(call, heaped, tmp_path):
    save_twin(heaped, tmp_path / "h.twin")
    code, out, _ = call("audit", "h.twin")
    failed = [line for line in out.splitlines() if line.startswith("off")]
    assert code == 1 and failed
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call("bundle", "h.twin", "--rows", 100, "--out", "out")
    assert code == 2 and sorted(tmp_path.rglob("*")) == before and out == ""
    assert "its audit fails" in err and "--although-failed" in err
    for line in failed:
        assert line.split(maxsplit=1)[1] in err


def test_a_failed_twin_is_bundled_by_a_switch_and_marked_everywhere(call, heaped, tmp_path):
    save_twin(heaped, tmp_path / "h.twin")
    call("audit", "h.twin")
    code, out, _ = call(
        "bundle", "h.twin", "--rows", 100, "--datasets", 4, "--out", "out", "--although-failed"
    )
    assert code == 1 and "NOT fit, the twin's audit fails: margin, y" in out
    readme = (tmp_path / "out/README.md").read_text()
    assert readme.index("**Failed.**") < readme.index("`data/` holds") and "margin" not in readme
    page = (tmp_path / "out.owner.html").read_text()
    assert "A vendor bundle: failed its audit" in page and "margin, y: share below" in page
    owner = Owner.read(tmp_path / "out.owner.json")
    assert owner.provenance["audit"][0].startswith("margin, y: share below")
    submitted(tmp_path / "v.csv", [[owner.datasets[0].name, 1, 0, 2, ""]])
    code, out, _ = call("score", "v.csv", "--owner", "out.owner.json", "--out", "s.html")
    assert "failed its audit" in out and "failed its audit" in (tmp_path / "s.html").read_text()


def test_a_sound_twin_is_not_marked(given):
    out, _, owner = given
    assert owner.provenance["audit"] in ((), []) and "Failed" not in (out / "README.md").read_text()
