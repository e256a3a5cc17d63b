"""Seed data that cannot be used: one clear line, exit code 2, nothing written."""

import numpy as np
import pandas as pd
import pytest

from cibench.twins.design import Design
from cibench.twins.fit.seed_data import read_seed, seed_of
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.formula import Formula
from cibench.utils.errors import BadInput


def frame(rows=200, number=0):
    rng = np.random.default_rng(number)
    x = rng.uniform(0, 10, rows)
    d = (x >= 5).astype(int)
    return pd.DataFrame({"y": x + d + rng.normal(size=rows), "d": d, "x": x, "w": rng.random(rows)})


RD = Design("rd", "y", treatment="d", running="x", cutoff=5.0)


def complaint(table, design=RD):
    with pytest.raises(BadInput) as caught:
        from cibench.twins.fit.fitting import fit_twin

        fit_twin(seed_of(table, design, "data.csv"), "gaussian")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_side_of_the_cutoff_without_rows():
    said = complaint(frame(), Design("rd", "y", running="x", cutoff=11.0))
    assert said == (
        "data.csv: 0 rows lie at or above the cutoff 11 of 'x' "
        f"({frame()['x'].min():g} to {frame()['x'].max():g}); 20 different values are needed"
    )


def test_treatment_that_contradicts_the_cutoff_is_counted():
    table = frame()
    table.loc[:29, "d"] = 1 - table.loc[:29, "d"]
    said = complaint(table)
    assert said == (
        "data.csv: column 'd' contradicts 1[x >= 5] in 30 of 200 rows: the design is fuzzy: --fuzzy"
    )
    table = frame()
    table.loc[:1, "d"] = 1 - table.loc[:1, "d"]
    assert "in 2 of 200 rows: errors in the data" in complaint(table)
    table["d"] = 1 - table["d"]
    assert "--side below" in complaint(table)


def test_a_column_that_repeats_the_rule_is_the_treatment_and_no_covariate():
    table = frame().assign(again=lambda t: 7 - 2 * t["d"])
    seed = seed_of(table, Design("rd", "y", running="x", cutoff=5.0))
    assert seed.design.treatment == "d" and seed.design.covariates == ("w",)
    assert seed.notes == (
        "column 'd' tells who is treated, 1[x >= 5]: it is taken for the treatment",
        "column 'again' is left out: it tells who is treated, 1[x >= 5]",
    )
    asked = Design("rd", "y", running="x", cutoff=5.0, covariates=("d",))
    assert complaint(frame(), asked) == (
        "data.csv: column 'd' tells who is treated, 1[x >= 5]: it can be no covariate"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.head(30), "30 rows are too few"),
        (lambda t: t.assign(y=1.0), "column 'y' is constant: 1"),
        (lambda t: t.assign(y=np.nan), "column 'y' is empty"),
        (
            lambda t: t.assign(x="a, ç"),
            "column 'x' holds text ('a, ç'; 1 different texts), not numbers",
        ),
        (lambda t: t.assign(x="2024-01-31"), "column 'x' is constant: 19753"),
        (lambda t: t.assign(d=2), "column 'd' is constant"),
        (lambda t: t.assign(d=t["d"] * 2), "column 'd' holds more than 0 and 1"),
        (lambda t: t.drop(columns="x"), "no column named 'x'"),
        (lambda t: t.assign(y=t["y"].replace(t["y"][0], np.inf)), "holds infinite numbers"),
    ],
)
def test_columns_of_the_design_must_do(change, words):
    assert words in complaint(change(frame()))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["k"] * 200, "is constant: k"),
        ([np.nan] * 200, "is empty"),
        (
            pd.date_range("2024-01-01", periods=200).astype(str),
            "holds dates (2024-01-01; to keep it, as days: --date c)",
        ),
        (
            [f"customer {i}" for i in range(200)],
            "is an identifier: 200 different values in 200 rows (to keep it: --category c)",
        ),
        (
            range(1000, 1200),
            "is an identifier: 200 different values in 200 rows (to keep it: --number c or "
            "--category c)",
        ),
        ([f"Çeşme, {i % 50}" for i in range(200)], "holds 50 different texts"),
    ],
)
def test_covariates_that_will_not_do_are_left_out_by_name(column, words):
    seed = seed_of(frame().assign(c=column), RD)
    assert seed.design.covariates == ("w",)
    assert any(words in note and "'c'" in note for note in seed.notes)


def test_a_covariate_that_is_asked_for_must_do():
    design = Design("rd", "y", treatment="d", running="x", cutoff=5.0, covariates=("c",))
    assert "covariate 'c' is constant" in complaint(frame().assign(c=1.0), design)
    kept = seed_of(frame().assign(c=range(200)), design)
    assert kept.design.covariates == ("c",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y,x,x\n1,2,3\n", "two columns are called 'x'"),
        ("y,,x\n1,2,3\n", "column 2 has no name"),
        ("", "not a CSV file"),
    ],
)
def test_files_that_are_no_tables(tmp_path, text, words):
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        read_seed(path, RD)
    path.write_bytes("y,x\nş,2\n".encode("iso-8859-9"))
    with pytest.raises(BadInput, match="2: not a text file in UTF-8"):
        read_seed(path, RD)


@pytest.mark.parametrize(
    ("design", "words"),
    [
        (Design("rdd", "y"), "did you mean 'rd'"),
        (Design("rd", "y", running="x"), "--cutoff is missing"),
        (Design("rd", "y", running="x", cutoff=5.0, unit="w"), "has no such part"),
        (Design("did", "y", unit="u", time="t"), "--treatment or --cohort is missing"),
        (Design("rd", "y", running="y", cutoff=5.0), "given two parts"),
        (Design("rd", "y", running="x", cutoff=5.0, fuzzy=True), "--treatment"),
    ],
)
def test_designs_that_are_none(design, words):
    assert words in complaint(frame(), design)


def panel():
    unit, time = (g.ravel() for g in np.indices((30, 4)))
    d = ((unit < 12) & (time >= 2)).astype(int)
    y = np.random.default_rng(0).normal(size=120) + d
    return pd.DataFrame({"y": y, "d": d, "unit": unit, "time": time + 1, "w": unit % 7})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: pd.concat([t, t.iloc[[5]]]), "unit '1' has 2 rows in period 2; a panel has one"),
        (lambda t: t.assign(unit=np.arange(120)), "these are repeated cross-sections; take means"),
        (lambda t: t[(t["time"] < 4) | (t["unit"] < 9)], "9 of 30 units are seen in all 4 periods"),
        (lambda t: t[t["unit"] < 16], "16 units over 4 periods"),
        (lambda t: t.assign(d=(t["time"] == 3) * (t["unit"] < 12) * 1), "12 units leave treatment"),
        (lambda t: t.assign(d=(t["time"] >= 3) * 1), "nobody to compare with"),
    ],
)
def test_panels_that_are_none(change, words):
    design = Design("did", "y", treatment="d", unit="unit", time="time")
    assert words in complaint(change(panel()), design)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__import__('os')", "no function named '__import__'|is not arithmetic"),
        ("x.real", "Attribute is not arithmetic"),
        ("(lambda: 1)()", "not arithmetic|no function"),
        ("x +", "not a formula"),
        ("`x", "backtick"),
        ("sin(x)", "no function named 'sin'"),
        ("'a'", "is not a number"),
    ],
)
def test_formulas_run_no_code(text, words):
    with pytest.raises(BadInput, match=words):
        Formula(text).check(("x",))


def test_a_structure_file_is_told_all_its_mistakes_with_their_lines(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        "effect = 'x +'\noutcom = '1'\nbounds = [\n 1, 'a']\n[derived]\na = '1'\nb = 3\n"
    )
    with pytest.raises(BadInput) as error:
        UserStructure.read(path)
    assert [line.split(": ")[0].removeprefix(f"{path}:") + " " + line.split(": ")[1]
            for line in error.value.args] == [
        "1 effect", "2 outcom", "3 bounds", "7 derived.b",
    ]  # fmt: skip
    path.write_text("effect = '2*x'\nbounds = [0, 1]\n[derived]\na = 'x + 1'\n")
    assert UserStructure.read(path) == UserStructure(
        effect="2*x", bounds=(0.0, 1.0), derived={"a": "x + 1"}
    )


def test_formulas_compute():
    columns = {"x": np.array([1.0, 4.0]), "a b": np.array([2.0, 3.0])}
    made = Formula("2*`a b` + where(x > 2, sqrt(x), 0)")(columns, 2)
    assert np.array_equal(made, [4.0, 8.0])
    with pytest.raises(BadInput, match="no column named 'z'"):
        Formula("z + 1").check(columns)


def test_the_command_line_says_it_in_one_line_and_writes_nothing(tmp_path, call):
    frame(30).to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "ota.twin"
    command = ["twin", "fit", str(tmp_path / "data.csv"), "--design", "rd", "--outcome", "y"]
    code, _, err = call(*command, "--running", "x", "--cutoff", "5", "--out", out)
    assert code == 2 and err.strip().count("\n") == 0
    assert not out.exists()
