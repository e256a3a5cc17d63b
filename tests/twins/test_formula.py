"""Formulas: what they compute, what they refuse, and that their work is bounded."""

import math
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cibench.twins import fit_twin
from cibench.twins.design import Design
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.formula import DEEPEST, FUNCTIONS, LONGEST, Formula
from cibench.twins.scenario import check_effect
from cibench.twins.twin import planted
from cibench.utils.errors import BadInput

X = {"a": np.array([1.0, 4.0]), "b": np.array([2.0, 3.0]), "c": np.array([7.0, 7.0])}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("count", range(5))
def test_a_function_takes_as_many_arguments_as_it_has(name, count):
    """One more handed numpy a column to write into."""
    text = f"{name}({', '.join('abca'[:count])})"
    columns = {key: column.copy() for key, column in X.items()}
    if count == FUNCTIONS[name][1]:
        assert np.isfinite(Formula(text)(columns, 2)).all()
    else:
        takes = FUNCTIONS[name][1]
        with pytest.raises(BadInput, match=rf"{name}\(\) takes {takes} argument"):
            Formula(text)
    assert all(np.array_equal(columns[key], X[key]) for key in X)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9**9**7", "no finite number in 2 of 2 rows"),
        ("9**9**9**9**9", "no finite number"),
        ("1e999", "a number is too large"),
        ("1" + "0" * 400, "a number is too large"),
        ("log(a - 5)", "no finite number in 2 of 2 rows"),
        ("log(a - 1)", "no finite number in 1 of 2 rows"),
        ("1 / (b - 2)", "no finite number in 1 of 2 rows"),
        ("a" + " + a" * LONGEST, "2,000 are the most"),
        ("(" * 300 + "a" + ")" * 300, "not a formula|parts deep"),
        ("-" * 1500 + "a", "parts deep|not a formula"),
        ("a" + " + a" * (DEEPEST + 2), f"more than {DEEPEST} parts deep"),
        ("a == b == 'North'", "'North' is not a number"),
        ("a < 'North'", "is how a category is compared"),
        ("a + 'North'", "is how a category is compared"),
        ("maximum(a, b, out=c)", "is not arithmetic"),
        ("abs(*a)", "Starred is not arithmetic"),
        ("exp + 1", "no column named 'exp'"),
        ("a if b else c", "IfExp is not arithmetic"),
        ("1j", "is not a number"),
        ("a\x00", "not a formula"),
    ],
)
def test_what_is_no_bounded_arithmetic_is_one_line_at_once(text, words):
    started = perf_counter()
    with pytest.raises(BadInput, match=words) as error:
        formula = Formula(text)
        formula.check(X)
        formula(X, 2)
    (line,) = error.value.args
    assert "\n" not in line and len(line) < 2 * LONGEST
    assert perf_counter() - started < 5  # it hung; no benchmark


def test_where_a_row_is_not_treated_a_value_that_is_none_is_zero():
    assert np.array_equal(Formula("1 / (b - 2)")(X, 2, np.array([False, True])), [0.0, 1.0])


FUNCTION = st.sampled_from(["abs", "exp", "minimum", "maximum", "where", "sqrt", "log"])
LEAF = st.sampled_from(["a", "b", "c", "1", "2.5", "0"])


def joined(parts):
    operators = ["+", "-", "*", "/", "**", "<", "<=", ">", ">=", "==", "!="]
    return st.one_of(
        st.tuples(parts, st.sampled_from(operators), parts).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        parts.map(lambda t: f"(-{t})"),
        st.tuples(FUNCTION, parts, parts, parts).map(
            lambda t: f"{t[0]}({', '.join(t[1 : 1 + FUNCTIONS[t[0]][1]])})"
        ),
    )


@given(st.recursive(LEAF, joined, max_leaves=12))
def test_formulas_are_what_python_makes_of_each_row(text):
    """Against Python's floats and `math`, row by row; nothing but a fault where those have none."""
    names = {
        "abs": abs, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "minimum": min,
        "maximum": max, "where": lambda test, yes, no: yes if test else no,
    }  # fmt: skip
    try:
        right = [
            float(eval(text, {**names, **{k: float(c[i]) for k, c in X.items()}})) for i in (0, 1)
        ]
    except (ArithmeticError, ValueError, TypeError):  # of Python; numpy may still have a limit
        return
    if not np.isfinite(right).all():
        return
    assert Formula(text)({k: c.copy() for k, c in X.items()}, 2) == pytest.approx(right, rel=1e-9)


@given(
    st.text(alphabet="ab1(.)+-*/<=>!`',_ exp\\\n[]{}:@%^&|~", max_size=60) | st.text(max_size=60)
)
def test_any_text_is_a_formula_or_one_line(text):
    try:
        formula = Formula(text)
        formula.check(X)
        formula.coded({})(X, 2)
    except BadInput as error:
        assert len(error.args) == 1


def test_levels_are_compared_by_name():
    levels = {"region": ("East", "North"), "home town": ("A", "B c")}
    columns = {"region": np.array([0.0, 1.0]), "home town": np.array([1.0, 1.0]), "x": X["a"]}
    text = "2*(region == 'North') + x*('B c' == `home town`) + (region != 'North')"
    formula = Formula(text).coded(levels)
    assert np.array_equal(formula(columns, 2), [0 + 1 + 1, 2 + 4 + 0])
    assert Formula(formula.text)(columns, 2).tolist() == [2, 6]
    with pytest.raises(BadInput, match="no level of 'region' named 'Nord'; did you mean 'North'"):
        Formula("region == 'Nord'").coded(levels)
    with pytest.raises(BadInput, match="column 'x' is no category"):
        Formula("x == 'North'").coded(levels)


def test_an_effect_by_the_name_of_a_level_is_planted_in_its_rows():
    rng = np.random.default_rng(1)
    n = 400
    region = np.array(["East", "North", "West"])[rng.integers(0, 3, n)]
    age, d = rng.normal(50, 8, n), rng.integers(0, 2, n)
    y = age + (region == "North") + d + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "d": d, "region": region, "age": age})
    design = Design("observables", "y", treatment="d")
    twin = fit_twin(seed_of(frame, design), generator="gaussian")
    effect = "3*(region == 'North')"
    check_effect(twin, effect)
    drawn = twin.units(500, rng)
    felt = planted(effect, drawn, twin.known, 500)
    names = twin.table(drawn)["region"]
    assert set(felt[names == "North"]) == {3.0} and set(felt[names != "North"]) == {0.0}
    for wrong, words in (("region == 'Nrth'", "did you mean 'North'"), ("log(age - 50)", "")):
        if words:
            with pytest.raises(ValueError, match=words):
                check_effect(twin, wrong)
        else:
            with pytest.raises(BadInput, match="no finite number in "):
                planted(wrong, drawn, twin.known, 500)
