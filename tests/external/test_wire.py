"""What goes over the wire arrives as it was, and what comes back is taken or told as nonsense."""

import ast
import importlib.util
import json
import math
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from cibench.external.process import HELPERS
from cibench.external.wire import (
    MARK,
    Nonsense,
    Reported,
    answer_of,
    hello_of,
    line_of,
    message_of,
    question,
)
from cibench.model.estimands import BUILT_IN, Estimand
from cibench.model.types import Declined, Diagnosis, Estimate, Problem, Roles, Target
from cibench.utils.errors import BadInput

ATT, ATE = Target(Estimand.ATT), Target(Estimand.ATE)


@pytest.fixture(scope="module")
def helper():
    spec = importlib.util.spec_from_file_location("helper_of_tests", HELPERS / "cibench.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def problem_of(**columns):
    names = tuple(columns)
    roles = Roles(outcome=names[0], treatment=names[0], covariates=names[1:])
    return Problem(columns, roles, (ATE, Target(Estimand.ATT, -2)), 0.9)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
COLUMNS = {
    "doubles": (st.floats(), float),
    "floats": (st.floats(width=32), "f4"),
    "integers": (st.integers(-(2**53), 2**53), "i8"),
    "short": (st.integers(-128, 127), "i1"),
    "flags": (st.booleans(), bool),
    "texts": (TEXTS, str),
    "objects": (st.one_of(TEXTS, TEXTS, st.none()), object),
}


@pytest.mark.parametrize("kind", COLUMNS)
@given(data=st.data())
def test_columns_arrive_bit_for_bit(kind, data, helper, tmp_path_factory):
    values, dtype = COLUMNS[kind]
    drawn = data.draw(st.lists(values, min_size=1, max_size=6))
    column = np.array(drawn, dtype=dtype)
    hypothesis.assume(kind != "objects" or any(value is not None for value in drawn))
    folder = tmp_path_factory.mktemp("wire", numbered=True)
    problem = problem_of(y=np.arange(len(drawn)) / 7, x=column, z=column[::-1])
    request = question("own/x", problem, folder, 3, {"a": 1})
    other = helper._problem(json.loads(line_of(request)))
    assert list(other.columns) == ["y", "x", "z"]
    for name, mine in problem.columns.items():
        theirs = other.columns[name]
        if dtype in (str, object) and name != "y":
            assert list(theirs) == list(mine)
        else:
            assert np.asarray(mine, "f8").tobytes() == np.asarray(theirs, "f8").tobytes()
    assert other.targets == (helper.Target("ATE"), helper.Target("ATT", -2))
    assert (other.level, other.roles.covariates, other.roles.filled) == (
        0.9, ("x", "z"), problem.roles.filled,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (np.array([1.0, np.nan]), "double"), (np.array([1, 2]), "integer"),
        (np.array([2**53 + 1, 0]), "text"), (np.array([-(2**63), 0]), "text"),
        (np.array([2**64 - 1], dtype="u8"), "text"), (np.array([True]), "logical"),
        (np.array(["a", None], dtype=object), "text"), (np.array([0.5, None], object), "double"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "text"), (np.empty(0, dtype=int), "integer"),
    ],
)  # fmt: skip
def test_columns_are_sent_as_what_they_are(column, kind, tmp_path):
    (described,) = question("own/x", problem_of(y=column), tmp_path, 1, {})["columns"]
    assert described == {"name": "y", "type": kind}


def test_whole_numbers_beyond_doubles_are_exact_texts(tmp_path):
    question("own/x", problem_of(y=np.array([2**53 + 1, -7])), tmp_path, 1, {})
    assert (tmp_path / "texts.txt").read_text() == "9007199254740993\n-7\n"


@pytest.mark.parametrize("column", [np.array([1j]), np.array([{}], object), np.array(["a\0b"])])
def test_what_cannot_be_sent_is_said(column, tmp_path):
    with pytest.raises(Reported, match="cannot be sent to another process"):
        question("own/x", problem_of(y=column), tmp_path, 1, {})


def test_units_beside_the_rows_are_not_left_out_in_silence(tmp_path):
    x = np.arange(3.0)
    columns = {"y": x, "d": x, "x": x}
    asked = (Target(Estimand.CATE),)
    problem = Problem(columns, Roles(covariates=("x",)), asked, held_out=x[:, None])
    with pytest.raises(Reported, match="units drawn beside the rows are not sent"):
        question("made/up", problem, tmp_path, 1, {})
    assert not list(tmp_path.iterdir())


@given(st.floats())
def test_numbers_of_answers_arrive_bit_for_bit(value):
    spec = importlib.util.spec_from_file_location("helper_of_numbers", HELPERS / "cibench.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    message = json.loads(json.dumps({"estimates": [module._parts(module.Estimate(value))]}))
    (estimate,) = answer_of(message, [ATE]).values()
    assert math.isnan(estimate.value) if math.isnan(value) else estimate.value == value
    assert math.copysign(1, estimate.value) == math.copysign(1, value) or math.isnan(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["ATT", "ATE", "Inf", "NaN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["estimates", "value", "se", "low", "estimand", "horizon", "draws",
                         "diagnosis", "passed", "declined", "failed", "warnings", "outside"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@given(st.dictionaries(st.sampled_from(["estimates", "diagnosis", "warnings", "failed"]), JSON))
def test_whatever_comes_back_is_an_answer_or_is_told(message):
    try:
        answer = answer_of(message, [ATE, ATT])
    except (Declined, Reported, Nonsense):
        return
    if isinstance(answer, Diagnosis):
        return
    assert set(answer) <= {ATE, ATT}
    assert all(isinstance(estimate, Estimate) for estimate in answer.values())


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({}, "neither estimates"), ({"estimates": 1}, "neither"), ({"estimates": [1]}, "no JSON"),
        ({"estimates": [{"value": "1"}]}, "a text for value, not a number"),
        ({"estimates": [{"value": True}]}, "true or false for value, not a number"),
        ({"estimates": [{"value": [1, 2]}]}, "a list for value, not a number"),
        ({"estimates": [{"valeu": 1}]}, "'valeu', which is no part"),
        ({"estimates": [{"value": 1, "estimand": "ATQ"}]}, "for 'ATQ', which is no estimand"),
        ({"estimates": [{"value": 1}]}, "answer for None, which is no estimand"),
        ({"estimates": [{"value": 1, "estimand": "ATE"}] * 2}, "two answers for ATE"),
        ({"diagnosis": {"passed": 1}}, "passed is 1"),
        ({"estimates": [{"estimand": "ATE", "draws": 3}]}, "no list of numbers"),
        ({"estimates": [{"estimand": "ATE", "value": 10**400}]}, "no double"),
    ],
)  # fmt: skip
def test_nonsense_is_told_in_words(message, text):
    with pytest.raises(Nonsense, match=text):
        answer_of(message, [ATE, ATT])


def test_what_was_not_asked_for_is_left_out_and_what_is_missing_is_missing():
    others = [{"value": 1, "estimand": "LATE"}, {"value": 2, "estimand": "ATT", "horizon": 3}]
    assert answer_of({"estimates": others}, [ATE, ATT]) == {}
    assert answer_of({"estimates": []}, [ATE]) == {}
    (kept,) = answer_of({"estimates": [*others, {"value": 3, "estimand": "ATT"}]}, [ATE, ATT])
    assert kept == ATT


def test_warnings_have_the_names_they_had_there():
    message = {"warnings": ["RuntimeWarning: overflow", "hm"], "estimates": [{"value": 1}]}
    with pytest.warns() as caught:
        answer_of(message, [ATE])
    assert [(w.category.__name__, str(w.message)) for w in caught] == [
        ("RuntimeWarning", "overflow"), ("ExternalWarning", "hm"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        {}, {"hello": 1}, {"hello": {"protocol": 2, "language": "R", "version": "4"}},
        {"hello": {"protocol": 1, "language": "R"}}, {"hello": {"protocol": 1, "version": "4"}},
        {"hello": {"protocol": 1, "language": "R", "version": "4", "estimators": "x"}},
    ],
)  # fmt: skip
def test_a_hello_that_is_none_is_bad_input(message):
    with pytest.raises(BadInput, match=r"Rscript x\.R: "):
        hello_of(message, "Rscript x.R")


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_line_that_is_no_message_is_nonsense(line):
    with pytest.raises(Nonsense):
        message_of(line)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9999, 0.025, 1e-6])
@pytest.mark.parametrize("df", [1, 1.5, 2, 3, 7, 30, 997.0, 1e5])
def test_student_quantiles_without_scipy_are_scipys(helper, share, df):
    mine = helper._root(lambda x: helper._student(x, df), share)
    assert mine == pytest.approx(stdtrit(df, share), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.975, 0.99999])
def test_normal_quantiles_of_old_pythons_are_todays(helper, share):
    old = helper._root(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), share)
    assert old == pytest.approx(helper._quantile(share, None), rel=1e-12, abs=1e-15)


def test_the_helper_has_the_names_and_values_of_the_package(helper):
    assert set(helper.Estimand.NAMES) == set(BUILT_IN)
    assert all(getattr(helper.Estimand, name) == name for name in BUILT_IN)
    assert str(helper.Estimand.QTE(0.9)) == str(Estimand.QTE(0.9))
    for name in BUILT_IN:
        estimand, theirs = Estimand(name), helper.Estimand(name)
        assert (theirs.null, theirs.scale) == (estimand.null, estimand.scale), name
    arms = helper.Target(helper.Estimand.ATE, None, "young", (2, 0), "z")
    assert str(arms) == str(Target(Estimand.ATE, None, "young", (2, 0), "z"))
    assert str(helper.Target(helper.Estimand.ATT, 3)) == str(Target(Estimand.ATT, 3))
    mine, theirs = Estimate.wald(1.0, 0.5, 0.9, 7), helper.Estimate.wald(1.0, 0.5, 0.9, 7)
    assert [getattr(theirs, part) for part in helper.Estimate.PARTS] == [
        getattr(mine, part) for part in helper.Estimate.PARTS
    ]
    assert set(vars(helper.Roles())) == set(vars(Roles()))


def test_the_helper_is_python_of_2016_and_imports_nothing_that_must_be_installed():
    source = (HELPERS / "cibench.py").read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name.split(".")[0] for node in top for alias in node.names}
    assert names <= sys.stdlib_module_names
    assert f'"{MARK}"' in source
