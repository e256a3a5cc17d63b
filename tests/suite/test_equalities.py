"""What a suite may state to be equal, and the line for each way to state it wrongly."""

import tomllib

import pytest

from cibench.suite.equalities import equalities
from cibench.suite.parse import parse_suite, read_suite
from cibench.utils.errors import BadInput

BASE = """name = "alike"
seed = 1
replicates = 3
{top}
[[cells]]
scenario = "iv/just-identified"
n = 50
estimators = ["linearmodels/*", "iv/anderson-rubin", "iv/effective-f", "iv/first-stage-f"]
{cell}
[[cells]]
scenario = "did/staggered"
n = 50
estimators = ["did/att-gt", "did/saturated"]
"""


def text(cell="", top=""):
    return BASE.format(cell=cell, top=top)


def complaints(tmp_path, **parts):
    path = tmp_path / "alike.toml"
    path.write_text(text(**parts))
    with pytest.raises(BadInput) as error:
        read_suite(path)
    return [line.removeprefix(f"{path}:") for line in error.value.args]


@pytest.mark.parametrize(
    ("written", "methods"),
    [
        ('equal = [["linearmodels/2sls", "linearmodels/liml"]]',
         [("linearmodels/2sls", "linearmodels/liml")]),
        ('equal = ["linearmodels/2sls", "linearmodels/liml", "linearmodels/gmm"]',
         [("linearmodels/2sls", "linearmodels/liml", "linearmodels/gmm")]),
        ('equal = [["linearmodels/2sls*"], { methods = ["linearmodels/gmm*"], within = 1 }]',
         [("linearmodels/2sls*",), ("linearmodels/gmm*",)]),
        ('[cells.equal]\nmethods = ["linearmodels/2sls", "linearmodels/liml"]',
         [("linearmodels/2sls", "linearmodels/liml")]),
        ('[[cells.equal]]\nmethods = "linearmodels/gmm*"\n[[cells.equal]]\n'
         'methods = ["iv/anderson-rubin", "linearmodels/2sls"]\nof = "inside"',
         [("linearmodels/gmm*",), ("iv/anderson-rubin", "linearmodels/2sls")]),
    ],
)  # fmt: skip
def test_pairs_lists_globs_and_tables_are_read_and_survive_the_run_folder(written, methods):
    suite = parse_suite(tomllib.loads(text(cell=written)))
    for spec in (suite.spec, tomllib.loads(suite.as_toml())):
        stated = list(equalities(spec))
        assert [equality.methods for equality in stated] == methods
        assert {equality.entry.number for equality in stated} == {1}


def test_a_table_says_what_is_compared_how_closely_and_why():
    top = ('equal = { methods = ["did/att-gt", "did/saturated"], of = ["estimate", "std_error"], '
           'within = 0.1, why = "one date" }')  # fmt: skip
    [stated] = equalities(parse_suite(tomllib.loads(text(top=top))).spec)
    assert (stated.of, stated.within, stated.why) == (("estimate", "std_error"), 0.1, "one date")
    assert stated.entry is None


def test_what_is_to_be_equal_is_no_part_of_the_protocol():
    from cibench.storage.provenance import protocol

    stated = 'equal = ["linearmodels/2sls", "linearmodels/liml"]'
    suites = [parse_suite(tomllib.loads(text(cell=cell))) for cell in ("", stated)]
    assert protocol(suites[0]) == protocol(suites[1])


PAIR = '["linearmodels/2sls", "linearmodels/liml"]'


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ({"cell": "equal = 3"}, ["9: cells[1].equal: 3 is not a list of estimators"]),
        ({"cell": "equal = []"}, ["9: cells[1].equal: [] is not a list of estimators"]),
        ({"cell": f"equal = [\n{PAIR},\n7]"}, ["11: cells[1].equal: 7 is not a list of estim"]),
        ({"cell": f"equal = [{PAIR}, ['linearmodels/gmm']]"},
         ["9: cells[1].equal: linearmodels/gmm alone is equal to nobody: name two or more"]),
        ({"cell": f"equal = [{PAIR},\n['linearmodels/gmm',\n'linearmodels/gmm']]"},
         ["11: cells[1].equal: 'linearmodels/gmm' is there twice"]),
        ({"cell": "equal = [['linearmodels/2sls',\n'linearmodels/lmil']]"},
         ["10: cells[1].equal: no estimator of these cells named 'linearmodels/lmil'; did you "
          "mean 'linearmodels/liml'?"]),
        ({"top": "equal = [['did/att-gt', 'did/saturate']]"},
         ["4: equal: no estimator of the suite named 'did/saturate'; did you mean "
          "'did/saturated'?"]),
        ({"cell": "equal = [['did/att-gt', 'linearmodels/liml']]"},
         ["9: cells[1].equal: no estimator of these cells named 'did/att-gt'"]),
        ({"top": "equal = [['did/att-gt', 'linearmodels/liml']]"},
         ["4: equal: did/att-gt and linearmodels/liml meet in no cell"]),
        ({"cell": "equal = [['iv/anderson-rubin', 'linearmodels/2sls']]"},
         ["9: cells[1].equal: iv/anderson-rubin and linearmodels/2sls do not both give estimate"]),
        ({"cell": "equal = [['iv/effective-f', 'linearmodels/2sls']]"},
         ["9: cells[1].equal: iv/effective-f answers no estimand and linearmodels/2sls answers "
          "COEFFICIENT: there is nothing to compare"]),
        ({"cell": "[[cells.equal]]\nmethds = ['a', 'b']\nwithin = 1"},
         ["10: cells[1].equal[1].methds: no key named 'methds'; did you mean 'methods'?"]),
        ({"cell": "[[cells.equal]]\nwithin = 1"},
         ["9: cells[1].equal[1].methods: is missing; it takes a string or a list of strings"]),
        ({"cell": f"equal = {{ methods = {PAIR}, of = 'se' }}"},
         ["9: cells[1].equal.of: no quantity named 'se'; there are: bands, estimate, inside"]),
        ({"cell": f"equal = [{{ methods = {PAIR}, of = 'std_eror', within = -1 }}]"},
         ["9: cells[1].equal[1].of: no quantity named 'std_eror'; did you mean 'std_error'?",
          "9: cells[1].equal[1].within: -1 is not standard errors of 0 or more"]),
        ({"cell": f"equal = {{ methods = {PAIR}, within = nan }}"},
         ["9: cells[1].equal.within: nan is not standard errors of 0 or more"]),
        # names are looked up where the cells are right
        ({"cell": "parameters = { betta = 1 }\nequal = [['linearmodels/2sls', 'x']]"},
         ["9: cells[1].parameters.betta: no parameter named 'betta'; did you mean 'beta'?",
          "10: cells[1].equal: no estimator of these cells named 'x'"]),
        ({"cell": "estimator = 1\nequal = [['linearmodels/2sls', 3]]"},
         ["9: cells[1].estimator: no key named 'estimator'; did you mean 'estimators'?",
          "10: cells[1].equal: ['linearmodels/2sls', 3] is not a list of estimators"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_line_with_its_place_and_the_near_miss(tmp_path, parts, lines):
    complained = complaints(tmp_path, **parts)
    assert len(complained) == len(lines), complained
    for line, wanted in zip(complained, lines, strict=True):
        assert line.startswith(wanted)


def test_two_diagnostics_may_be_equal_and_methods_that_share_a_horizon_alone():
    top = 'equal = [["iv/effective-f", "iv/first-stage-f"], ["did/att-gt-dynamic", "did/lpdid"]]'
    spec = tomllib.loads(text(top=top))
    spec["cells"][1]["estimators"] = ["did/att-gt-dynamic", "did/lpdid"]
    assert len(list(equalities(parse_suite(spec).spec))) == 2
