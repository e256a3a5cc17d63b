"""Reading what people have: labels, codes, decimals and gaps stay what they are in the file."""

import csv
import datetime
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cibench.challenge.privacy import read_own
from cibench.twins.audit.audit import audit_twin
from cibench.twins.design import Design
from cibench.twins.file import open_twin, save_twin
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import described, read_seed, readings_of, seed_of
from cibench.twins.fit.user_columns import KINDS, UserColumns
from cibench.twins.sample import write_sample
from cibench.utils.errors import BadInput
from cibench.utils.foreign import read_table

DESIGN = Design("observables", "y", treatment="d")
REGIONS = ("North Europe", "North America", "NA", "None", "null", "nan", "N/A", "São Paulo")


def shop(rows=600, number=0):
    """Draw a table such as people have, each column as it would be written."""
    rng = np.random.default_rng(number)
    stores = rng.choice(np.arange(100, 900, 20), rows)
    effect_of_store = dict(zip(np.arange(100, 900, 20), rng.normal(0, 3, 40), strict=True))
    a = rng.normal(size=rows)
    d = rng.random(rows) < 1 / (1 + np.exp(-a))
    y = a + 2 * d + [effect_of_store[s] for s in stores] + rng.normal(size=rows)
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D")
    return pd.DataFrame({
        "y": y, "d": d, "a": a, "store": stores,
        "region": rng.choice(REGIONS, rows), "zip": rng.choice(["01067", "04103", "80331"], rows),
        "member": rng.choice(["yes", "no"], rows), "spend": np.round(rng.lognormal(3, 1, rows), 2),
        "grade": rng.choice(["low", "medium", "high"], rows),
        "since": days.strftime("%Y-%m-%d"),
    })  # fmt: skip


def with_gaps(table, name, rows, empty=None):
    """Return the table with empty cells in a column."""
    column = table[name].astype(object)
    column.iloc[rows] = empty
    return table.assign(**{name: column})


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """Fit a twin to a CSV file and return the folder of seed, twin and a sample of it."""
    folder = tmp_path_factory.mktemp("shop")
    with_gaps(shop(), "region", slice(0, 50)).to_csv(folder / "seed.csv", index=False)
    seed = read_seed(folder / "seed.csv", DESIGN, UserColumns(kinds={"since": "date"}))
    twin = fit_twin(seed, "gaussian")
    save_twin(twin, folder / "own.twin")
    list(write_sample(twin, 6000, 2.0, 0, folder / "sample.csv"))
    return folder, seed, twin, cells_of(folder / "sample.csv")


def cells_of(path):
    """Return the rows of a CSV file as texts, without any reader's guesses."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_sample_has_the_labels_codes_decimals_and_dates_of_its_seed(sampled):
    folder, _, _, rows = sampled
    before = cells_of(folder / "seed.csv")
    for name in ("store", "region", "zip", "member", "grade", "d"):
        assert {r[name] for r in rows} == {r[name] for r in before}, name
    assert {r["d"] for r in rows} == {"True", "False"}
    assert all(len(r["spend"].partition(".")[2]) <= 2 for r in rows)
    assert all(r["since"] == str(datetime.date.fromisoformat(r["since"])) for r in rows)
    share = np.mean([not r["region"] for r in rows])
    assert share == pytest.approx(50 / 600, abs=0.02)


def test_groups_keep_their_differences(sampled):
    folder, _, _, rows = sampled
    seed = pd.read_csv(folder / "seed.csv")

    def between(frame):
        means = frame.astype({"y": float}).groupby("store")["y"].agg(["mean", "var", "size"])
        return means["mean"].var() - (means["var"] / means["size"]).mean()

    assert between(pd.DataFrame(rows)) / between(seed) == pytest.approx(1, abs=0.35)


def test_the_kinds_are_the_columns_own(sampled):
    _, seed, _, _ = sampled
    kinds = {r.name: r.kind for r in seed.readings}
    assert kinds == {
        "y": "number", "d": "yes/no", "a": "number", "store": "category", "region": "category",
        "zip": "category", "member": "yes/no", "spend": "money", "grade": "ordered",
        "since": "date",
    }  # fmt: skip
    assert next(r for r in seed.readings if r.name == "grade").levels == ("low", "medium", "high")
    lines = list(described(seed))
    assert "column 'region': missing in 50 empty cells" in lines
    assert any(line.endswith("(else: --number store)") for line in lines)


def test_a_twin_that_says_more_of_columns_comes_back_from_its_file(sampled):
    folder, _, twin, _ = sampled
    again = open_twin(folder / "own.twin")
    assert again.known == twin.known and again.digest == twin.digest
    audited = audit_twin(again, folder / "sample.csv")
    assert [r for r in audited.rules if r.violations] == []


def test_a_seed_is_read_again_as_its_twin_was_fitted_to_it(sampled):
    folder, seed, twin, _ = sampled
    again, frame = read_own(twin, folder / "seed.csv")
    assert again.known == seed.known and len(frame) == seed.rows
    assert set(frame["zip"]) == {"01067", "04103", "80331"}
    with pytest.raises(BadInput, match="is not the one that the twin was fitted to"):
        shop(600, 1).to_csv(folder / "other.csv", index=False)
        read_own(twin, folder / "other.csv")


@pytest.mark.parametrize("empty", [None, np.nan, pd.NA, ""])
@pytest.mark.parametrize("dtype", ["object", "string", "category", "str"])
def test_labels_survive_missing_cells_whatever_their_type(dtype, empty):
    table = with_gaps(shop(), "region", [0, 7, 20], empty)
    if dtype != "object":
        table["region"] = table["region"].replace({"": None}).astype(dtype)
    seed = seed_of(table, DESIGN)
    (column,) = (c for c in seed.known if c.name == "region")
    assert column.levels == tuple(sorted(REGIONS)) and column.indicator
    assert seed.columns[column.indicator].sum() == 3


@pytest.mark.parametrize("ending", ["csv", "parquet", "dta"])
def test_only_an_empty_cell_is_missing_unless_the_user_says_so(tmp_path, ending):
    table = with_gaps(shop(), "region", [0, 7, 20], "")
    path = tmp_path / f"seed.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False)
    elif ending == "parquet":
        table.to_parquet(path)
    else:
        table.astype({"d": int}).to_stata(path, write_index=False, version=118)
    for missing in [(), ("NA",), ("NA", "null", "-")]:
        seed = read_seed(path, DESIGN, UserColumns(missing=missing))
        (column,) = (c for c in seed.known if c.name == "region")
        assert set(column.levels) == set(REGIONS) - set(missing)
        (reading,) = (r for r in seed.readings if r.name == "region")
        stands = table["region"].value_counts()
        assert reading.gaps == {
            "": 3, **{text: stands[text] for text in missing if text in stands}
        }  # fmt: skip


def written(table, encoding="utf-8", **options):
    return table.to_csv(index=False, **options).encode(encoding)


@pytest.mark.parametrize("kind", ["bom", "excel", "excel says so", "cp1252", "parquet", "dta"])
def test_every_kind_of_file_says_the_same(tmp_path, kind):
    table = shop().drop(columns="grade").astype({"d": int})
    table["a"] = table["a"].round(3)
    path, user = tmp_path / "seed.csv", UserColumns()
    path.write_bytes(written(table))
    plain = read_seed(path, DESIGN)
    excel = written(table, "cp1252", sep=";", decimal=",")
    if kind == "bom":
        path.write_bytes(b"\xef\xbb\xbf" + written(table))
    elif kind in ("excel", "excel says so"):
        path.write_bytes(b"sep=;\r\n" * (kind != "excel") + excel)
        with pytest.raises(BadInput, match="is in cp1252, it seems"):
            read_seed(path, DESIGN)
        user = UserColumns(encoding="cp1252")
    elif kind == "cp1252":
        path.write_bytes(written(table, "cp1252"))
        user = UserColumns(encoding="cp1252")
    else:
        path = tmp_path / f"seed.{kind}"
        if kind == "parquet":
            table.astype({"region": "category"}).to_parquet(path)
        else:
            table.to_stata(path, write_index=False, version=118)
    seed = read_seed(path, DESIGN, user)
    assert seed.known == plain.known and seed.design == plain.design
    assert all(np.array_equal(seed.columns[n], plain.columns[n]) for n in plain.columns)


def test_single_precision_has_the_decimals_that_were_written(tmp_path):
    table = shop().assign(price=lambda t: t["spend"].astype("float32"), d=lambda t: t["d"] * 1)
    table.to_stata(tmp_path / "seed.dta", write_index=False, version=118)
    seed = read_seed(tmp_path / "seed.dta", DESIGN)
    (column,) = (c for c in seed.known if c.name == "price")
    assert column.decimals == 2
    assert np.array_equal(seed.columns["price"], shop()["spend"])


@pytest.mark.parametrize("twice", [0, 1, 5, 25])
@pytest.mark.parametrize("kind", ["int", "text", "padded", "gaps"])
def test_what_nearly_identifies_rows_is_no_covariate(twice, kind):
    numbers = np.random.default_rng(0).permutation(10**6)[:600]
    make = {
        "int": lambda n: n, "text": lambda n: [f"C-{v}" for v in n],
        "padded": lambda n: [f"{v:08d}" for v in n],
        "gaps": lambda n: np.where(np.arange(len(n)) % 40 == 0, np.nan, n),
    }[kind]  # fmt: skip
    table = shop().assign(customer=make(numbers))
    table = pd.concat([table.iloc[: 600 - twice], table.iloc[:twice]], ignore_index=True)
    seed = seed_of(table, DESIGN)
    assert "customer" not in seed.design.covariates
    (note,) = (n for n in seed.notes if "'customer'" in n)
    assert "identifier" in note and "--category customer" in note
    declared = seed_of(table, DESIGN, columns=UserColumns(kinds={"store": "identifier"}))
    assert "store" not in declared.design.covariates


@pytest.mark.parametrize("levels", [31, 60, 120])
def test_a_category_may_have_many_levels(levels):
    rng = np.random.default_rng(1)
    rows = levels * 12
    code = rng.integers(0, levels, rows)
    d = rng.integers(0, 2, rows)
    frame = pd.DataFrame({
        "y": rng.normal(size=levels)[code] + d + rng.normal(size=rows), "d": d,
        "shop": [f"shop {c}" for c in code], "number": code * 7 + 1000,
    })  # fmt: skip
    seed = seed_of(frame, DESIGN, columns=UserColumns(kinds={"number": "category"}))
    known = {c.name: c for c in seed.known}
    assert len(known["shop"].levels) == len(known["number"].levels) == len(set(code))
    twin = fit_twin(seed, "gaussian")
    drawn = twin.table(twin.units(4000, np.random.default_rng(0)))
    assert set(drawn["number"]) <= set(map(str, frame["number"]))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (["1,234.50", "12"], [1234.5, 12]), (["$1,234", "$5"], [1234, 5]),
        (["1.234,5", "7,25"], [1234.5, 7.25]), (["12,5", "3"], [12.5, 3]),
        (["12.5 %", "3 %"], [12.5, 3]), (["1e3", "-2"], [1000, -2]),
        (["1\u00a0234,5", "0,5"], [1234.5, 0.5]),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text, values):
    frame = pd.DataFrame({"a": text * 50})
    reading = readings_of(frame, UserColumns(), "x")["a"]
    assert np.array_equal(reading.values, values * 50) and reading.kind not in ("text", "category")


def test_a_column_of_numbers_with_a_word_says_which_word():
    table = shop()
    table["a"] = table["a"].round(2).astype(str)
    table.loc[:100, "a"] = "NA"
    seed = seed_of(table, DESIGN)
    assert "a" not in seed.design.covariates
    assert any("all numbers but 'NA' (--missing 'NA'" in note for note in seed.notes)
    with pytest.raises(BadInput, match="column 'a' is no number: 'NA'"):
        seed_of(table, DESIGN, columns=UserColumns(kinds={"a": "number"}))
    seed = seed_of(table, DESIGN, columns=UserColumns(missing=("NA",)))
    assert "a" in seed.design.covariates
    with pytest.raises(BadInput, match="'NA'"):
        seed_of(table, Design("observables", "a", treatment="d"))


def test_rows_that_are_left_out_are_counted_by_column():
    table = shop()
    table.loc[:9, "y"] = np.nan
    table = with_gaps(table, "d", slice(5, 17))
    seed = seed_of(table, DESIGN)
    assert (
        "17 of 600 rows are left out: missing is 'd' in 12, 'y' in 10; fill these cells to keep "
        "the rows" in seed.notes
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_empty_cohort_means_never(tmp_path, ending):
    units, periods = 60, 5
    unit, step = (g.ravel() for g in np.indices((units, periods)))
    cohort = np.where(unit % 3 == 0, np.nan, np.where(unit % 3 == 1, 2003.0, 2004.0))
    noise = np.random.default_rng(0).normal(size=units * periods)
    frame = pd.DataFrame({"y": noise, "g": cohort, "unit": unit, "year": 2001 + step})
    path = tmp_path / f"seed.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    design = Design("did", "y", unit="unit", time="year", cohort="g")
    seed = read_seed(path, design)
    assert seed.rows == units * periods and np.mean(seed.columns["g"] == 0) == pytest.approx(1 / 3)
    assert "column 'g' is empty in 100 of 300 rows: units that never adopt" in seed.notes
    zeros = seed_of(frame.fillna({"g": 0}), design)
    assert np.array_equal(zeros.columns["g"], seed.columns["g"])


def test_infinite_covariates_are_left_out_by_name():
    table = shop()
    table.loc[3, "a"] = np.inf
    seed = seed_of(table, DESIGN)
    assert "a" not in seed.design.covariates
    assert any("'a'" in note and "1 infinite numbers" in note for note in seed.notes)


def test_every_kind_can_be_said_in_a_file(tmp_path):
    path = tmp_path / "columns.toml"
    path.write_text(
        'missing = ["NA"]\nencoding = "cp1252"\n[columns]\nstore = "category"\nzip = "identifier"\n'
        'grade = { levels = ["high", "medium", "low"] }\na = { kind = "number", missing = "-9" }\n'
    )
    user = UserColumns.read(path)
    assert user == UserColumns(
        {"store": "category", "zip": "identifier", "grade": "ordered", "a": "number"},
        {"grade": ("high", "medium", "low")}, ("NA",), {"a": ("-9",)}, "cp1252",
    )  # fmt: skip
    table = shop()
    table.loc[:4, "a"] = -9
    readings = readings_of(table, user, "x")
    assert readings["grade"].levels == ("high", "medium", "low")
    assert readings["a"].gaps == {"-9": 5} and readings["zip"].kind == "identifier"
    path.write_text('encodng = "utf-8"\n[columns]\na = "numbr"\nb = { levls = ["x"] }\n')
    with pytest.raises(BadInput) as caught:
        UserColumns.read(path)
    lines = [line.removeprefix(f"{path}:").split(": ")[:2] for line in caught.value.args]
    assert lines == [["1", "encodng"], ["3", "columns.a"], ["4", "columns.b.levls"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_is_what_the_user_says_or_a_line_says_why_not(kind):
    columns = {
        "words": ["a", "b c", "a"] * 20, "whole": [1, 2, 5] * 20, "halves": [0.5, 1.5, 0.1] * 20,
        "truth": [True, False] * 30, "dates": ["2024-01-31", "2024-02-01"] * 30,
        "empty": [None] * 60,
    }  # fmt: skip
    for name, column in columns.items():
        frame = pd.DataFrame({name: column})
        try:
            reading = readings_of(frame, UserColumns(kinds={name: kind}), "x.csv")[name]
        except BadInput as error:
            assert str(error).startswith(f"x.csv: column '{name}' is no ")
        else:
            assert reading.kind == kind and reading.reason == ""


def test_the_command_line_shows_guesses_in_a_table_and_takes_corrections(tmp_path, call):
    path = tmp_path / "seed.csv"
    with_gaps(shop(), "region", [0, 1]).to_csv(path, index=False)
    code, out, _ = call("twin", "show", path)
    assert code == 0
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines()[2:]}
    assert lines["store"].startswith("store category its name says that its 40 numbers are codes")
    assert "2 empty cells" in lines["region"] and lines["zip"].startswith("zip category")
    code, out, _ = call("twin", "show", path, "--number", "store", "--missing", "NA")
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines()[2:]}
    assert code == 0 and lines["store"].startswith("store number you said so")
    assert "cells with 'NA'" in lines["region"]
    for wrong, words in (
        (["--number", "stor"], "did you mean 'store'"),
        (["--number", "store", "--id", "store"], "named as number and as identifier"),
        (["--number", "region"], "column 'region' is no number"),
        (["--encoding", "cp125"], "did you mean 'cp1252'"),
    ):
        code, _, err = call("twin", "show", path, *wrong)
        assert code == 2 and words in err and err.strip().count("\n") == 0
    fit = ["twin", "fit", path, "--design", "observables", "--outcome", "y", "--treatment", "d"]
    code, _, err = call(*fit, "--generator", "gaussian", "--id", "store", "--date", "since",
                        "--out", tmp_path / "own.twin")  # fmt: skip
    assert code == 0, err
    assert "column 'store' is left out: it is an identifier: by your word" in err
    code, out, _ = call("twin", "show", tmp_path / "own.twin")
    assert code == 0 and "since" in out and "2024-01-01 to" in out


def test_twins_of_format_1_are_still_what_they_were():
    folder = Path(__file__).parents[2] / "scenarios" / "suites" / "twins"
    digests = {path.stem: open_twin(path).digest[:12] for path in sorted(folder.glob("*.twin"))}
    assert digests == {
        "loyalty-gaussian": "f2b60583334d", "loyalty-resampling": "4a825ff1fecf",
        "loyalty-trees": "5491d63dda68", "loyalty-vine": "d9e560bb255a",
    }  # fmt: skip


def test_a_table_of_texts_is_read_as_it_stands(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n007,True,1.50\n010,,NA\n")
    frame = read_table(path, as_texts=True)
    assert frame.to_numpy().tolist() == [["007", "True", "1.50"], ["010", "", "NA"]]
    assert frame.attrs["separator"] == ","
    assert pd.read_csv(io.StringIO("a\n007\n"))["a"].tolist() == [7]  # what it would be otherwise
