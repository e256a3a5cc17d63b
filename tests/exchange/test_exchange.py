"""Data out, answers in: exact files, rows like any other's, and no claim that cibench ran them."""

import json

import numpy as np
import pandas as pd
import pytest

import cibench
from cibench.exchange import export_suite, import_answers
from cibench.exchange.questions import drawn, questions_of, read_sealed, written_hash
from cibench.results import pack, unpack
from cibench.suite.parse import find_suite, parse_suite
from cibench.utils.errors import BadInput

OLS = "statsmodels/ols"
CELL = {
    "scenario": "observables/heterogeneous", "n": 80, "estimators": [OLS, "naive/*"],
    "dials": {"confounding": [0.5]},
}  # fmt: skip
SPEC = {"name": "small", "seed": 11, "replicates": 12, "cells": [CELL]}
READ = {
    "csv": pd.read_csv, "parquet": pd.read_parquet, "dta": pd.read_stata,
    "npz": lambda path: pd.DataFrame(dict(np.load(path))),
}  # fmt: skip


@pytest.fixture
def suite():
    from cibench.model.design import dials

    name, spec = next(iter(dials(cibench.find_scenario(CELL["scenario"])).items()))
    return parse_suite({**SPEC, "cells": [{**CELL, "dials": {name: [spec.grid[0]]}}]})


def answer(folder, ending="csv"):
    """Answer every question of an export by the difference in means, as any tool would."""
    questions = pd.read_csv(folder / "questions.csv")
    answers = pd.read_csv(folder / "answers.csv")
    roles = pd.read_csv(folder / "roles.csv").set_index(["design", "role"])["column"]
    for i, question in questions.iterrows():
        data = READ[ending](folder / question["file"])
        y, d = (data[roles[question["design"], role]] for role in ("outcome", "treatment"))
        treated, others = y[d == 1], y[d == 0]
        answers.loc[i, "estimate"] = treated.mean() - others.mean()
        parts = treated.var(ddof=1) / len(treated) + others.var(ddof=1) / len(others)
        answers.loc[i, "std_error"] = np.sqrt(parts)
    return answers


@pytest.mark.parametrize("ending", READ)
def test_every_format_holds_each_data_set_to_the_last_bit(suite, tmp_path, ending):
    exported = export_suite(suite, tmp_path / "out", ending=ending)
    assert exported.data_sets == 24 and exported.owner is None
    questions = pd.read_csv(tmp_path / "out" / "questions.csv")
    every = [q for several in questions_of(suite) for q in several]
    assert questions["question"].tolist() == [q.name for q in every]
    for several, row in zip(questions_of(suite), questions.to_dict("records"), strict=True):
        data = drawn(suite, several)
        assert row["data_hash"] == written_hash(data.hash)
        there = READ[ending](tmp_path / "out" / row["file"])
        roles = suite.cells[several[0].cell].scenario.assigned_roles()
        assert list(there) == list(roles.columns)
        for name in roles.columns:
            column = data.draw.columns[name]
            assert np.array_equal(there[name].to_numpy().astype(column.dtype), column), name


def test_the_hash_is_that_of_the_runs_own_rows(suite, tmp_path):
    export_suite(suite, tmp_path / "out")
    questions = pd.read_csv(tmp_path / "out" / "questions.csv")
    rows = cibench.run(suite).replicates
    rows = rows[rows["estimator"] == OLS].sort_values(["dials", "replicate"])
    questions = questions.sort_values(["dials", "replicate"])
    assert [written_hash(h) for h in rows["data_hash"]] == questions["data_hash"].tolist()


@pytest.fixture
def imported(suite, tmp_path):
    """Give a run with answers of somebody else's method, which is one of ours in disguise."""
    run = tmp_path / "run"
    cibench.run(suite, run)
    export_suite(suite, tmp_path / "out")
    answer(tmp_path / "out").to_csv(tmp_path / "answers.csv", index=False)
    stored = import_answers(run, tmp_path / "answers.csv", "mine")
    assert (stored.estimator, stored.answered, stored.data_sets) == ("imported/mine", 24, 24)
    assert stored.complete and stored.stored == 24
    return run


def test_imported_answers_are_rows_that_score_as_our_own_method_does(imported):
    run = cibench.load(imported)
    rows = run.replicates
    mine = rows[rows["estimator"] == "imported/mine"].reset_index(drop=True)
    naive = rows[rows["estimator"] == "naive/difference-in-means"].reset_index(drop=True)
    assert np.allclose(mine["estimate"], naive["estimate"], atol=1e-12)
    assert np.allclose(mine["std_error"], naive["std_error"], atol=1e-12)
    for name in ("truth", "replicate", "data_hash", "dials", "estimand", "level"):
        assert mine[name].tolist() == naive[name].tolist(), name
    assert mine["seconds"].isna().all() and set(mine["status"]) == {"ok"}
    scores = run.scores.set_index("estimator")
    for measure in ("bias", "bias_mcse", "rmse", "empirical_se"):
        ours = scores.loc["naive/difference-in-means", measure].to_numpy()
        assert scores.loc["imported/mine", measure].to_numpy() == pytest.approx(ours, abs=1e-12)
    pairs = run.pairs
    assert "imported/mine" in {*pairs["estimator"], *pairs["other"]}
    assert "imported/mine" in set(run.ranks["estimator"])
    assert "imported/mine" in set(run.sensitivity["estimator"])
    expected = run.expectations[run.expectations["estimator"] == "imported/mine"]
    assert set(expected["because"]) == {"nobody declared what it assumes"}


def test_the_report_says_that_cibench_did_not_run_it(imported):
    page = cibench.load(imported).write_report().read_text(encoding="utf-8")
    words = "The answers of imported/mine were made elsewhere and imported from answers.csv"
    assert words in page and "to 24 of 24 data sets; cibench did not run it" in page
    assert "Its answers were imported from answers.csv: cibench did not run it." in page


def rows_of(run, name="imported/mine"):
    rows = pd.read_parquet(run / "replicates")
    rows = rows[rows["estimator"] == name].sort_values(["dials", "replicate"])
    return rows.reset_index(drop=True).drop(columns="warnings")


def test_an_extended_run_neither_loses_nor_recomputes_them(suite, imported, call):
    before = rows_of(imported)
    assert call("run", imported).code == 0  # nothing is missing
    bigger = suite.with_replicates(15)
    run = cibench.run(bigger, imported)  # of a suite that says nothing of them
    pd.testing.assert_frame_equal(rows_of(imported), before)
    assert len(run.replicates) == 2 * 15 * 2 + 24
    more = {**dict(bigger.spec), "cells": [*bigger.spec["cells"], {**CELL, "n": 50, "dials": {}}]}
    cibench.run(parse_suite(more), imported)
    pd.testing.assert_frame_equal(rows_of(imported), before)
    assert cibench.load(imported).manifest["finished"]
    assert "mine" not in (imported / "suite.toml").read_text(encoding="utf-8")
    assert find_suite(imported).estimators == ["naive/difference-in-means", OLS]
    done = call("run", imported, "--workers", 2)
    assert done.code == 0, done.err


def test_they_survive_another_version_of_a_library_but_not_other_data(suite, imported, call):
    before = rows_of(imported)
    path = imported / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["versions"]["numpy"] = "0.1"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    code, _, err = call("run", imported)
    assert code == 2 and "(48 rows)" in err, err
    assert call("run", imported, "--update").code == 0
    pd.testing.assert_frame_equal(rows_of(imported), before)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert manifest["handed_in"]["imported/mine"]["answered"] == 24
    manifest["seed"] = 12
    path.write_text(json.dumps(manifest), encoding="utf-8")
    code, _, err = call("run", imported)
    assert code == 2 and "(72 rows)" in err, err


def test_a_replay_says_why_there_is_none(imported, call):
    words = ("--scenario", CELL["scenario"], "--replicate", 3, "--estimator")
    code, _, err = call("replay", imported, *words, "imported/mine")
    assert code == 2 and "its answers were imported from answers.csv" in err
    assert "cannot make them again" in err and err.count("\n") == 1
    assert call("replay", imported, *words, OLS).code == 0


def test_parts_add_up_and_what_is_missing_is_said_and_is_no_failure(suite, tmp_path, call):
    cibench.run(suite, tmp_path / "run")
    export_suite(suite, tmp_path / "out")
    answers = answer(tmp_path / "out")
    answers.iloc[:10].to_csv(tmp_path / "first.csv", index=False)
    done = call("import", "run", "first.csv", "--estimator", "team/a")
    assert done.code == 0 and "team/a: 10 of 24 data sets are answered; the others" in done.out
    scores = cibench.load(tmp_path / "run").scores
    mine = scores[scores["estimator"] == "team/a"]
    assert mine["replicates"].tolist() == [10] and mine["failures"].tolist() == [0]
    (tmp_path / "rest").mkdir()
    answers.iloc[8:20].to_parquet(tmp_path / "rest" / "b.parquet", index=False)  # two again, alike
    answers.iloc[20:].to_stata(tmp_path / "rest" / "c.dta", write_index=False)
    done = call("import", "run", "rest", "--estimator", "team/a")
    assert done.code == 0 and "team/a: 24 of 24 data sets are answered\n" in done.out, done.err
    assert len(rows_of(tmp_path / "run", "team/a")) == 24


def test_blank_declined_and_impossible_answers_are_what_they_are(suite, tmp_path):
    export_suite(suite, tmp_path / "out")
    answers = answer(tmp_path / "out")
    answers["declined"] = answers["declined"].astype(object)
    answers.loc[0, "estimate"] = np.nan
    answers.loc[1, "declined"] = "too few treated"
    answers.loc[2, "std_error"] = -1.0
    answers.loc[3, "estimate"] = np.inf
    answers.loc[4, "df"] = 3.0
    answers.to_csv(tmp_path / "a.csv", index=False)
    stored = import_answers(tmp_path / "run", tmp_path / "a.csv", "mine", suite=suite)
    assert stored.complete
    rows = cibench.load(tmp_path / "run").replicates.head(6)
    assert rows["status"].tolist() == ["failed", "declined", "failed", "nonfinite", "ok", "ok"]
    assert rows["reason"].tolist()[:2] == ["no estimate", "too few treated"]
    reach = (rows["ci_high"] - rows["estimate"]) / rows["std_error"]
    assert reach[4] == pytest.approx(3.182446305, abs=1e-8)
    assert reach[5] == pytest.approx(1.959963985, abs=1e-8)


def test_answers_to_some_targets_of_several_are_those_of_a_method_for_these(tmp_path):
    cell = {"scenario": "did/staggered", "n": 40, "estimators": "did/att-gt-dynamic"}
    try:
        suite = parse_suite({**SPEC, "replicates": 2, "cells": [cell]})
    except BadInput:
        cell["estimators"] = "naive/*"
        pytest.skip("no method with horizons is installed")
    export_suite(suite, tmp_path / "out")
    questions = pd.read_csv(tmp_path / "out" / "questions.csv")
    assert questions["horizon"].notna().any() and len(questions) > 4
    answers = pd.read_csv(tmp_path / "out" / "answers.csv")
    overall = questions["horizon"].isna()
    answers[overall].assign(estimate=1.0).to_csv(tmp_path / "a.csv", index=False)
    import_answers(tmp_path / "run", tmp_path / "a.csv", "overall", suite=suite)
    rows = cibench.load(tmp_path / "run").replicates
    assert len(rows) == 2 and rows["horizon"].isna().all()
    entry = cibench.load(tmp_path / "run").manifest["handed_in"]["imported/overall"]
    assert entry["targets"] and not entry["horizons"] and entry["gives"] == ["value"]


def test_a_package_says_that_nothing_makes_its_answers_again(imported, tmp_path):
    folder = unpack(pack(cibench.load(imported), tmp_path / "p.zip").path, tmp_path / "unpacked")
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "The answers of `imported/mine` were handed in" in text
    assert "imported/mine" in set(cibench.load(folder / "run").scores["estimator"])


# --- sealed


@pytest.fixture
def sealable():
    """Return a suite with sizes for settings: two settings of a size share their noise."""
    without = {key: value for key, value in CELL.items() if key != "dials"}
    return parse_suite({**SPEC, "cells": [{**without, "n": [80, 81]}]})


def test_settings_that_share_their_noise_are_not_sealed(suite, tmp_path):
    """The two files of a replicate differ by what the setting changes, and by nothing else."""
    with pytest.raises(BadInput, match=r"^--sealed: .* share their noise"):
        export_suite(suite, tmp_path / "open", sealed=True)
    assert not (tmp_path / "open").exists() and not (tmp_path / "open-owner").exists()


def test_no_two_sealed_files_share_a_column(sealable, tmp_path):
    export_suite(sealable, tmp_path / "open", sealed=True)
    tables = [pd.read_csv(path) for path in sorted((tmp_path / "open" / "data").iterdir())]
    assert len(tables) == 24
    for name in [name for name in tables[0] if tables[0][name].nunique() > 2]:
        heads = [tuple(table[name][:20]) for table in tables]
        assert len(set(heads)) == 24, name


def test_a_sealed_export_tells_no_truth_and_is_scored_by_one_command(sealable, tmp_path, call):
    done = call("export", suite_file(tmp_path, sealable), "--out", "open", "--sealed")
    assert done.code == 0 and "truths, yours:" in done.out, done.err
    public, owner = tmp_path / "open", tmp_path / "open-owner"
    assert sorted(p.name for p in public.iterdir()) == [
        "README.md", "answers.csv", "commitments.csv", "data", "questions.csv", "roles.csv",
    ]  # fmt: skip
    text = "".join(p.read_text(encoding="utf-8") for p in public.iterdir() if p.is_file())
    for secret in ("observables/", "dial", "seed", "parameters", "truth_mcse", "replicate"):
        assert secret not in text, secret
    plain = {q.name for several in questions_of(sealable) for q in several}
    assert not plain & set(pd.read_csv(public / "questions.csv")["question"])
    assert (owner / "sealed.json").stat().st_mode & 0o777 == 0o600
    answer(public).to_csv(tmp_path / "a.csv", index=False)
    done = call("import", owner, "a.csv", "--estimator", "team-a", "--reveal", "lines.jsonl")
    assert done.code == 0 and "imported/team-a: 24 of 24 data sets are answered" in done.out
    scores = cibench.load(owner).scores.set_index("estimator")
    direct = cibench.run(sealable).scores.set_index("estimator")
    ours = direct.loc["naive/difference-in-means", "bias"].to_numpy()
    assert scores.loc["imported/team-a", "bias"].to_numpy() == pytest.approx(ours, abs=1e-12)
    done = call("twin", "verify", public, "lines.jsonl")
    assert done.code == 0, done.out + done.err
    (public / "data" / "01.csv").write_text("y,d\n1,0\n", encoding="utf-8")
    done = call("twin", "verify", public, "lines.jsonl")
    assert done.code == 1 and "its file is not the one that was sealed" in done.out + done.err


def suite_file(tmp_path, suite):
    (tmp_path / "suite.toml").write_text(suite.as_toml(), encoding="utf-8")
    return tmp_path / "suite.toml"


def test_the_owners_run_is_a_run_that_goes_on_and_keeps_the_answers(sealable, tmp_path, call):
    export_suite(sealable, tmp_path / "open", sealed=True, owner=tmp_path / "mine")
    answer(tmp_path / "open").to_csv(tmp_path / "a.csv", index=False)
    import_answers(tmp_path / "mine", tmp_path / "a.csv", "team-a")
    before = rows_of(tmp_path / "mine", "imported/team-a")
    assert call("run", tmp_path / "mine").code == 0
    run = cibench.load(tmp_path / "mine")
    assert set(run.scores["estimator"]) == {"imported/team-a", "naive/difference-in-means", OLS}
    pd.testing.assert_frame_equal(rows_of(tmp_path / "mine", "imported/team-a"), before)
    assert len(read_sealed(tmp_path / "mine")["questions"]) == 24
    names = pd.read_csv(tmp_path / "open" / "questions.csv")
    estimands = names["estimand"].unique().tolist()
    assert estimands == ["ATE"]


def test_two_sealed_exports_of_a_suite_have_no_name_in_common(sealable, tmp_path):
    for k in (1, 2):
        export_suite(sealable, tmp_path / f"e{k}", sealed=True)
    first, second = (pd.read_csv(tmp_path / f"e{k}" / "questions.csv") for k in (1, 2))
    assert not set(first["question"]) & set(second["question"])
    assert first["data_hash"].tolist() != second["data_hash"].tolist()  # in another order
    assert set(first["data_hash"]) == set(second["data_hash"])


def test_limits_of_a_ratio_are_made_where_its_error_is(tmp_path):
    """An answer of estimate and standard error alone: the error is that of the logarithm."""
    cell = {"scenario": "binary/logistic", "n": 200, "estimators": ["binary/table"]}
    spec = {"name": "ratios", "seed": 2, "replicates": 4, "cells": [cell]}
    suite = parse_suite(spec)
    run = cibench.run(spec, tmp_path / "run")
    export_suite(suite, tmp_path / "out")
    answers = pd.read_csv(tmp_path / "out" / "answers.csv")
    questions = pd.read_csv(tmp_path / "out" / "questions.csv")
    own = run.replicates.set_index(["estimand", "replicate"])
    for i, question in questions.iterrows():
        row = own.loc[(question["estimand"], question["replicate"])]
        answers.loc[i, ["estimate", "std_error"]] = row["estimate"], row["std_error"]
    answers.to_csv(tmp_path / "a.csv", index=False)
    import_answers(tmp_path / "run", tmp_path / "a.csv", "mine")
    rows = cibench.load(tmp_path / "run").replicates.set_index(["estimand", "replicate"])
    mine, theirs = (rows[rows["estimator"] == n] for n in ("imported/mine", "binary/table"))
    for name in ("ci_low", "ci_high"):
        assert mine[name].to_numpy() == pytest.approx(theirs.loc[mine.index, name].to_numpy())
