"""What may be wrong with a collection: one clear line each, exit code 2, and nothing written."""

import io
import os
import zipfile
from html import unescape

import numpy as np
import pandas as pd
import pytest

import cibench
from cibench.collections import Collection, read_declaration
from cibench.execution.settings import RunSettings
from cibench.utils.errors import BadInput, UndrawnData
from cibench.utils.foreign import read_arrays, read_table

HEAD = '[collection]\nname = "few"\nfolder = "few"\nfiles = "*.csv"\n'
ROLES = '[roles]\noutcome = "y"\ntreatment = "d"\ncovariates = "x"\n'
TRUTHS = '[truths]\ntargets = "SATE"\neffects = "tau"\n'
INDEXED = HEAD + 'index = "index.txt.csv"\n' + ROLES
SUITE = """
name = "few"
seed = 1
replicates = 9
[[cells]]
scenario = "collection:few.toml"
estimators = "naive/difference-in-means"
"""


def sets(folder, count=3):
    folder.mkdir()
    for k in range(count):
        rng = np.random.default_rng(k)
        y, x, tau = rng.normal(size=(3, 8))
        data = pd.DataFrame({"y": y, "d": [0, 1] * 4, "x": x, "tau": tau})
        data.to_csv(folder / f"set_{k}.csv", index=False)


@pytest.fixture
def few(tmp_path, shelves):
    sets(tmp_path / "few")
    (tmp_path / "few.toml").write_text(HEAD + ROLES + TRUTHS, encoding="utf-8")
    (tmp_path / "suite.toml").write_text(SUITE, encoding="utf-8")
    return tmp_path


def edit(few, k, change):
    path = few / "few" / f"set_{k}.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)


def index(few, rows, text=TRUTHS):
    pd.DataFrame(rows).to_csv(few / "few" / "index.txt.csv", index=False)
    (few / "few.toml").write_text(INDEXED + text, encoding="utf-8")


def rows_of(count=3, **columns):
    rows = [{"file": f"set_{k}.csv"} for k in range(count)]
    return [{**row, **{n: v[k] for n, v in columns.items()}} for k, row in enumerate(rows)]


def swapped(old, new):
    """Return a change of the declaration."""

    def change(few):
        text = (few / "few.toml").read_text(encoding="utf-8")
        assert old in text
        (few / "few.toml").write_text(text.replace(old, new), encoding="utf-8")

    return change


OF = '[truths]\nof = { SATE = "truth" }\n'
DIAL = TRUTHS + '[settings.k]\nbreaks = "overlap"\nunit = "u"\n'
UNSOUND = {
    "a missing truth": (
        lambda f: index(f, rows_of(truth=[1.0, np.nan, 2.0]), OF),
        "index.txt.csv: row 2 of column 'truth' (set_1.csv) is empty: it has no truth",
    ),
    "two truths in a cell": (
        lambda f: index(f, rows_of(truth=[1.0, "0.5; 0.6", 2.0]), OF),
        "index.txt.csv: row 2 of column 'truth' (set_1.csv) holds '0.5; 0.6', which is no number",
    ),
    "two rows of a data set": (
        lambda f: index(f, [*rows_of(truth=[1, 2, 3]), {"file": "set_1.csv", "truth": 5}], OF),
        "index.txt.csv: rows 2 and 4 are both of set_1.csv",
    ),
    "no row of a data set": (
        lambda f: index(f, rows_of(2, truth=[1, 2]), OF),
        "index.txt.csv: it has no row for set_2.csv",
    ),
    "a row of no data set": (
        lambda f: index(f, [*rows_of(truth=[1, 2, 3]), {"file": "set_7.csv", "truth": 5}], OF),
        "row 4: no data set named 'set_7.csv'; did you mean 'set_2.csv'?",
    ),
    "no such truth": (
        lambda f: index(f, rows_of(truths=[1, 2, 3]), OF),
        "no column named 'truth'; did you mean 'truths'?",
    ),
    "a column less": (
        lambda f: edit(f, 2, lambda t: t.drop(columns="x")),
        "set_2.csv: its columns are not those of set_0.csv: it lacks x",
    ),
    "a column that is called otherwise": (
        lambda f: edit(f, 1, lambda t: t.rename(columns={"tau": "t"})),
        "set_1.csv: its columns are not those of set_0.csv: it lacks tau and has t",
    ),
    "the same file twice": (
        lambda f: (f / "few" / "set_9.csv").write_bytes((f / "few" / "set_1.csv").read_bytes()),
        "set_9.csv: it is the same file as set_1.csv",
    ),
    "a gap": (
        lambda f: edit(f, 1, lambda t: t.assign(x=t["x"].mask(t.index == 4))),
        "set_1.csv: row 5 of column 'x' is empty",
    ),
    "a truth per unit with a gap": (
        lambda f: edit(f, 1, lambda t: t.assign(tau=t["tau"].mask(t.index == 0))),
        "set_1.csv: row 1 of column 'tau' is empty",
    ),
    "an infinite value": (
        lambda f: edit(f, 1, lambda t: t.assign(y=t["y"].mask(t.index == 4, np.inf))),
        "set_1.csv: row 5 of column 'y' is infinite",
    ),
    "texts": (
        lambda f: edit(f, 0, lambda t: t.assign(x=list("abababab"))),
        'set_0.csv: column \'x\' holds texts ("a", "b"); [levels] says which there are: x = ["a"',
    ),
    "a text in a column of numbers": (
        lambda f: edit(f, 1, lambda t: t.astype({"x": object}).replace({"x": {t["x"][5]: "abc"}})),
        "set_1.csv: row 6 of column 'x' holds 'abc', which is no number",
    ),
    "a text among the outcomes": (
        lambda f: edit(f, 1, lambda t: t.assign(y=["?", *t["y"][1:6], "abc", 1.5])),
        "set_1.csv: row 1 of column 'y' holds '?', which is no number (2 rows hold none)",
    ),
    "texts for a treatment": (
        lambda f: edit(f, 2, lambda t: t.assign(d=["no", "yes"] * 4)),
        "set_2.csv: row 1 of column 'd' holds 'no', which is no number",
    ),
    "a text in a column that many share": (
        lambda f: (
            (f / "few" / "more.txt.csv").write_text("w\n1\n2\n3\nabc\n" + "5\n" * 4),
            swapped('files = "*.csv"', 'files = "set_*.csv"\nshared = "more.txt.csv"')(f),
            swapped('covariates = "x"', 'covariates = ["x", "w"]')(f),
        ),
        "more.txt.csv: row 4 of column 'w' holds 'abc', which is no number",
    ),
    "a text in a table of truths": (
        lambda f: (
            pd.DataFrame({"file": ["set_2.csv", "set_0.csv", "set_1.csv"],
                          "t": ["abc", 1, 2]}).to_csv(f / "few" / "t.txt.csv", index=False),
            swapped("*.csv", "set_*.csv")(f),
            swapped('effects = "tau"', 'table = "t.txt.csv"\nof = { SATE = "t" }')(f),
        ),
        "t.txt.csv: row 1 of column 't' (set_2.csv) holds 'abc', which is no number",
    ),
    "a level that is not among those declared": (
        lambda f: (
            [edit(f, k, lambda t: t.assign(x=list("abababab"))) for k in (0, 2)],
            edit(f, 1, lambda t: t.assign(x=list("abababac"))),
            swapped("[truths]", '[levels]\nx = ["a", "b"]\n[truths]')(f),
        ),
        "set_1.csv: row 8 of column 'x': no level named 'c'; there are: a, b",
    ),
    "levels of what is no covariate": (
        swapped("[truths]", '[levels]\nd = ["0", "1"]\n[truths]'),
        "levels.d: set_0.csv: no covariate named 'd'; there are: x",
    ),
    "a level twice": (
        swapped("[truths]", '[levels]\nx = ["a", "a"]\n[truths]'), "levels.x: 'a' is there twice",
    ),
    "nobody treated": (
        lambda f: (swapped('"SATE"', '"SATT"')(f), edit(f, 1, lambda t: t.assign(d=0))),
        "set_1.csv: it has no treated unit, and so no SATT",
    ),
    "no rows": (
        lambda f: edit(f, 1, lambda t: t.iloc[:0]), "set_1.csv: it has no rows",
    ),
    "a wrong size in the index": (
        lambda f: index(f, rows_of(n=[8, 7, 8])),
        "set_1.csv: it has 8 units, but index.txt.csv says 7",
    ),
    "no size in the index": (
        lambda f: index(f, rows_of(n=[8, 7.5, 8])),
        "row 2 of column 'n' (set_1.csv) holds '7.5', no number of units",
    ),
    "a setting that is no number": (
        lambda f: index(f, rows_of(k=["0", "low", "1"]), DIAL + "default = 0\n"),
        "index.txt.csv: row 2 of column 'k' (set_1.csv) holds 'low', which is no number",
    ),
    "a default that no data set has": (
        lambda f: index(f, rows_of(k=[1, 2, 3]), DIAL + "default = 0\n"),
        "settings.k.default: no data set has 0, but there are 1, 2, 3",
    ),
    "a setting that is the same in all": (
        lambda f: index(f, rows_of(k=[1, 1, 1]), DIAL + "default = 1\n"),
        "settings.k: all data sets have 1, so that nothing breaks",
    ),
    "no such setting": (
        lambda f: index(f, rows_of(m=[0, 1, 2]), DIAL + "default = 0\n"),
        "settings.k: no column of the index named 'k'",
    ),
    "a dial without its unit": (
        lambda f: index(f, rows_of(k=[0, 1, 2]), DIAL.replace('unit = "u"', "default = 0")),
        "settings.k.unit: is missing",
    ),
    "a misspelt key": (
        swapped("files", "file"), "few.toml:4: collection.file: no key named 'file'; did you mean",
    ),
    "no such column": (
        swapped('outcome = "y"', 'outcome = "yy"'), "set_0.csv: no column named 'yy'; did you mean",
    ),
    "no such covariate": (
        swapped('covariates = "x"', 'covariates = "z*"'), "roles.covariates: set_0.csv: no column",
    ),
    "no such files": (
        swapped("*.csv", "*.dat"), "collection.files: no file in",
    ),
    "no such folder": (
        swapped('folder = "few"', 'folder = "fwe"'),
        "fwe; did you mean 'few'?",
    ),
    "no such index": (
        lambda f: (index(f, rows_of()), swapped('"index.txt.csv"', '"index.txt"')(f)),
        "few.toml: collection.index:",
    ),
    "no such table of truths": (
        lambda f: (
            (f / "few" / "truths.txt.csv").write_text("file,t\n"),
            swapped("*.csv", "set_*.csv")(f),
            swapped('effects = "tau"', 'table = "truth.txt.csv"\nof = { SATE = "t" }')(f),
        ),
        "truth.txt.csv: No such file or directory; did you mean 'truths.txt.csv'?",
    ),
    "a column in another case": (
        swapped('outcome = "y"', 'outcome = "Y"'), "no column named 'Y'; did you mean 'y'?",
    ),
    "no truth at all": (
        swapped('effects = "tau"\n', ""), "truths.targets: nothing says the truth of SATE",
    ),
    "a population's truth by effects of units": (
        swapped('"SATE"', '"ATE"'), "effects of units at hand say nothing of the ATE; did you mean",
    ),
    "an unknown estimand": (
        swapped('"SATE"', '"SAET"'), "no estimand named 'SAET'; did you mean",
    ),
    "a name of no id": (swapped('"few"\nfolder', '"Few sets"\nfolder'), "'Few sets' is not a name"),
    "half of the potential outcomes": (
        swapped('effects = "tau"', 'treated = "tau"'), "truths.untreated: is missing",
    ),
    "a shared file of another length": (
        lambda f: (
            (f / "few" / "more.txt.csv").write_text("w\n1\n2\n"),
            swapped('files = "*.csv"', 'files = "set_*.csv"\nshared = "more.txt.csv"')(f),
        ),
        "more.txt.csv: it has 2 rows, a data set beside it 8",
    ),
    "a file that is none of ours": (
        lambda f: (f / "few" / "set_1.csv").write_bytes(b"\xff\xfe1"), "set_1.csv: it is in UTF-16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNSOUND)
def test_each_is_a_line_and_nothing_is_written(few, call, what):
    change, words = UNSOUND[what]
    change(few)
    before = sorted(few.rglob("*"))
    code, out, err = call("run", "suite.toml", "--out", "run")
    assert code == 2 and words in err, err
    assert err.count("\n") == 1 and "Traceback" not in err + out
    assert sorted(few.rglob("*")) == before


def test_what_is_wrong_with_a_collection_is_told_once_however_many_cells_have_it(few, call):
    edit(few, 1, lambda t: t.assign(x=t["x"].mask(t.index == 4)))
    cell = SUITE.partition("[[cells]]")[2]
    (few / "suite.toml").write_text(SUITE + "[[cells]]" + cell, encoding="utf-8")
    code, _, err = call("run", "suite.toml", "--out", "run")
    assert code == 2 and err.count("\n") == 1 and "cells[1].scenario: set_1.csv: row 5" in err


def test_every_unsound_data_set_has_its_line(few, call):
    for k in (0, 2):
        edit(few, k, lambda t: t.assign(x=t["x"].mask(t.index == 4)))
    code, _, err = call("run", "suite.toml", "--out", "run")
    assert code == 2 and err.count("\n") == 2 and "set_0.csv" in err and "set_2.csv" in err


def test_a_suite_that_asks_for_what_is_not_there_is_refused(few, call):
    index(few, rows_of(k=[0, 1, 2]), DIAL + "default = 0\n")
    asked = {
        SUITE + "n = 9\n": "cells[1].n: collection/few has no data set of 9 units, but of 8",
        SUITE + "dials = { k = 1.5 }\n": "dials: collection/few has no data set with k = 1.5",
        SUITE + "dials = { k = 5 }\n": "k = 5 lies outside 0 to 2",
        SUITE + 'parameters = { pooled = true }\ndials = { k = 1 }\n':
            "pooled takes all data sets, whatever their k",
        SUITE.replace("replicates = 9", "precision = { bias = 0.1 }"):
            "precision: collection/few has the data sets that it has; state 'replicates'",
        SUITE.replace("few.toml", "fwe.toml"):
            "fwe.toml: No such file or directory; did you mean",
    }  # fmt: skip
    for text, words in asked.items():
        (few / "suite.toml").write_text(text, encoding="utf-8")
        code, _, err = call("run", "suite.toml", "--out", "run")
        assert code == 2 and words in err and err.count("\n") == 1, err
        assert not (few / "run").exists()


@pytest.mark.parametrize(
    ("setting", "violated", "slip"),
    [
        ("no confoundin", "[]", "no confounding"),
        ("overlap", '["paralel trends"]', "parallel trends"),
        ("overlap", "[]", ""),
        ("overlap", '["a luck of its own"]', ""),  # anybody may name an assumption
    ],
)
def test_an_assumption_that_is_nearly_that_of_a_method_is_told(few, call, setting, violated, slip):
    index(few, rows_of(k=[0, 1, 2]), DIAL.replace("overlap", setting) + "default = 0\n")
    swapped(ROLES, f"violates = {violated}\n{ROLES}")(few)
    code, out, _ = call("run", "suite.toml", "--out", "run")
    told = f"which no estimator assumes; did you mean '{slip}'?"
    page = unescape((few / "run" / "report.html").read_text("utf-8"))
    assert code == 0 and (told in page) == bool(slip)
    assert (told in " ".join(out.split())) == bool(slip)


def test_two_collections_of_one_name_are_told_apart(few, call):
    (few / "other.toml").write_text((few / "few.toml").read_text(encoding="utf-8"))
    text = SUITE.replace(
        '"collection:few.toml"', '["collection:few.toml", "collection:other.toml"]'
    )
    (few / "suite.toml").write_text(text, encoding="utf-8")
    code, _, err = call("run", "suite.toml", "--out", "run")
    assert code == 2 and "scenario 'collection/few'" in err and "is taken by" in err


# --- the readers' bounds


def test_an_npz_file_with_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "o.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match=r"o.npz: not an npz file: .*allow_pickle=False"):
        read_arrays(tmp_path / "o.npz")
    (tmp_path / "n.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match=r"n.npz: not an npz file"):
        read_arrays(tmp_path / "n.npz")


def test_what_unpacks_to_more_than_anybody_reads_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("cibench.utils.foreign.LARGEST_TABLE", 10_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", b"\0" * 20_000)
    assert len(packed.getvalue()) < 1_000
    (tmp_path / "z.npz").write_bytes(packed.getvalue())
    with pytest.raises(BadInput, match="over 10,000 bytes unpacked"):
        read_arrays(tmp_path / "z.npz")


def test_a_parquet_file_of_too_many_numbers_is_not_read(tmp_path, monkeypatch):
    pd.DataFrame({"a": np.zeros(5_000), "b": 0.0}).to_parquet(tmp_path / "p.parquet")
    assert len(read_table(tmp_path / "p.parquet")) == 5_000
    monkeypatch.setattr("cibench.utils.foreign.MOST_NUMBERS", 9_999)
    with pytest.raises(BadInput, match="over 9,999 numbers"):
        read_table(tmp_path / "p.parquet")


def test_numbers_of_a_csv_file_are_right_to_the_last_bit_where_they_are_to_be(tmp_path):
    exponents = np.random.default_rng(1).integers(-300, 300, 5_000)
    x = np.random.default_rng(2).normal(size=5_000) * 10.0**exponents
    (tmp_path / "x.csv").write_text("x\n" + "\n".join(map(repr, x.tolist())) + "\n")
    assert np.array_equal(read_table(tmp_path / "x.csv", exact=True)["x"].to_numpy(), x)


# --- the outcome, where both potential ones are in the files

POTENTIAL = '[truths]\ntargets = "SATE"\n[outcomes]\nuntreated = "y0"\ntreated = "y1"\n'


def with_potential_outcomes(few, ending, write, y_of=lambda y: y, own_of=lambda y: y):
    """Write data sets that hold both potential outcomes and the outcome, each in its own form."""
    for path in (few / "few").glob("*"):
        path.unlink()
    for k in range(3):
        rng = np.random.default_rng(k)
        low, tau, x = rng.normal(scale=10.0, size=(3, 8))
        d = np.array([0, 1] * 4)
        data = pd.DataFrame({"d": d, "x": x, "y0": own_of(low), "y1": own_of(low + tau)})
        data["y"] = y_of(np.where(d == 1, low + tau, low))
        write(data, few / "few" / f"set_{k}{ending}")
    text = (HEAD + ROLES + POTENTIAL).replace("*.csv", f"*{ending}")
    (few / "few.toml").write_text(text, encoding="utf-8")


def csv(data, path, **how):
    data.to_csv(path, index=False, **how)


def npz(data, path):
    np.savez(path, **{name: data[name].to_numpy() for name in data})


def parquet(data, path):
    data.to_parquet(path)


def dta(data, path):
    data.to_stata(path, write_index=False)


def rounded(digits):
    return lambda y: y.round(digits)


def single(y):
    return y.astype(np.float32)


ROUNDED = {
    "to the last bit": (".csv", csv, rounded(17), 1e-14),
    "nine decimals": (".csv", csv, rounded(9), 0.51e-9),
    "one decimal": (".csv", csv, rounded(1), 0.051),
    "six digits": (
        ".csv", lambda d, p: csv(d.assign(y=[f"{y:.6g}" for y in d["y"]]), p), rounded(17), None,
    ),
    "npz": (".npz", npz, rounded(17), 1e-14),
    "Parquet, single precision": (".parquet", parquet, single, None),
    "Stata, single precision": (".dta", dta, single, None),
}  # fmt: skip


@pytest.mark.parametrize("form", ROUNDED)
def test_an_outcome_may_be_off_by_what_its_file_leaves_open_and_no_more(few, call, form):
    """Half a unit in the last place that its file has: of decimals, else of bits."""
    ending, write, y_of, bound = ROUNDED[form]
    with_potential_outcomes(few, ending, write, y_of)
    collection = Collection(read_declaration(few / "few.toml"))
    collection.check()
    if bound is None:
        return
    columns = collection.columns(0)
    for sign in (1, -1):
        off = columns["y"].copy()
        own = np.where(columns["d"] == 1, columns["y1"], columns["y0"])
        off[5] = own[5] + sign * bound * (1 if "decimal" in form else np.abs(own[5]))
        if "decimal" in form:  # as many decimals, the next number on
            step = 1e-9 if "nine" in form else 0.1
            off = y_of(np.where(np.arange(8) == 5, y_of(own) + sign * step, off))
        write(pd.DataFrame({**columns, "y": off}), few / "few" / f"set_0{ending}")
        with pytest.raises(BadInput, match=r"set_0\S+: row 6: 'y' is .* further off than their"):
            Collection(read_declaration(few / "few.toml")).check()


@pytest.mark.parametrize(
    ("y", "own", "sound"),
    [
        (["1.25", "2.0"], ["1.254", "1.9951"], True),
        (["1.25", "2.0"], ["1.256", "1.9951"], False),
        (["1.25", "2"], ["1.254", "1.9512"], False),  # 2 is 2.00 beside 1.25
        (["12500", "2"], ["12500.4", "1.6"], True),  # whole numbers are known to half of one
        (["12500", "2"], ["12500.6", "1.6"], False),
        (["1.2e-7", "3e10"], ["1.24e-7", "3.04e10"], True),
        (["1.2e-7", "3e10"], ["1.24e-7", "3.06e10"], False),
        (["1", "0"], ["1", "1"], False),
        (["1.0", "0.0"], ["1.0", "1.0"], False),
    ],
)
def test_the_last_place_written_is_a_columns(few, y, own, sound):
    lines = [f"{a},0,0.5,{b},9.75" for a, b in zip(y, own, strict=True)]
    (few / "few" / "set_0.csv").write_text("\n".join(["y,d,x,y0,y1", *lines]) + "\n")
    text = (HEAD + ROLES + POTENTIAL).replace("*.csv", "set_0.csv")
    (few / "few.toml").write_text(text, encoding="utf-8")
    collection = Collection(read_declaration(few / "few.toml"))
    if sound:
        collection.check()
    else:
        with pytest.raises(BadInput, match=r"set_0.csv: row [12]: 'y' is"):
            collection.check()


def test_the_row_of_an_outcome_is_that_of_its_file_where_rows_with_gaps_are_left_out(few):
    with_potential_outcomes(few, ".csv", csv)
    edit(few, 1, lambda t: t.assign(x=t["x"].mask(t.index == 1), y=t["y"].mask(t.index == 6, 99.0)))
    swapped("[roles]", 'missing = "drop"\n[roles]')(few)
    with pytest.raises(BadInput, match=r"set_1.csv: row 7: 'y' is 99, where 'y0' and 'y1' have"):
        Collection(read_declaration(few / "few.toml")).check()


@pytest.mark.parametrize("row", [2, 3])
def test_an_outcome_that_is_neither_potential_one_is_a_line_of_the_command(few, call, row):
    with_potential_outcomes(few, ".csv", csv)
    assert call("run", "suite.toml", "--out", "right").code == 0
    edit(few, 1, lambda data: data.assign(y=data["y"].where(data.index != row, 99.0)))
    code, _, err = call("run", "suite.toml", "--out", "wrong")
    assert code == 2 and f"set_1.csv: row {row + 1}: 'y' is 99, where 'y0' and 'y1' have" in err
    assert err.count("\n") == 1 and not (few / "wrong").exists()


# --- files that are exchanged


def exchange(few):
    """Let two data sets change places, with all that their contents know of time."""
    one, two, between = (few / "few" / name for name in ("set_0.csv", "set_1.csv", "between"))
    one.rename(between)
    two.rename(one)
    between.rename(two)


def test_exchanged_data_sets_are_noticed_by_the_next_run(few, call):
    for k in (0, 1):
        os.utime(few / "few" / f"set_{k}.csv", (1e9, 1e9))
    assert call("run", "suite.toml", "--out", "run").code == 0
    exchange(few)
    code, _, err = call("run", "suite.toml", "--out", "run")
    assert code == 2 and "holds rows that today would be others: the source of scenario" in err
    exchange(few)
    assert call("run", "suite.toml", "--out", "run").code == 0


def test_data_sets_that_are_exchanged_while_a_run_goes_on_are_told_at_its_end(few, call):
    """And ever after: putting them back does not say which rows are of which."""

    class ExchangedOnce:
        done = False

        def __call__(self, progress):
            if not self.done:
                self.done = True
                exchange(few)

    settings = RunSettings(listen=ExchangedOnce())
    with pytest.raises(UndrawnData, match=r"files of collection/few were changed while it ran"):
        cibench.run(few / "suite.toml", few / "run", settings=settings)
    assert len(cibench.load(few / "run").replicates) == 3
    exchange(few)
    code, _, err = call("run", "suite.toml", "--out", "run")
    assert code == 2 and "the source of scenario collection/few (3 rows)" in err
    assert call("run", "suite.toml", "--out", "run", "--update").code == 0
    assert call("run", "suite.toml", "--out", "run").code == 0
