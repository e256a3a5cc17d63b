import json
import tomllib

import pytest

from cibench.model import registry
from cibench.suite.parse import find_suite, parse_suite, read_suite
from cibench.utils.errors import BadInput

BASE = """
name = "t"
seed = 1
replicates = 3
[[cells]]
scenario = "rd/cct-1"
n = 100
estimators = ["rd/*"]
"""


def write(tmp_path, text):
    path = tmp_path / "t.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seed = 1", "sed = 1", "sed: no key named 'sed'; did you mean 'seed'?"),
        ("seed = 1", "", "seed: is missing; it takes a whole number of 0 or more"),
        ("seed = 1", "seed = -1", "seed: -1 is not a whole number of 0 or more"),
        ("replicates = 3", "replicates = 0", "replicates: 0 is not a whole number above 0"),
        ("replicates = 3", "replicates = true", "replicates: True is not a whole number"),
        ("replicates = 3", 'replicates = 3\nlevel = "95"', "level: '95' is not between 0 and 1"),
        ("rd/cct-1", "rd/cct1", "cells[1].scenario: no scenario named 'rd/cct1'; did you mean"),
        ("rd/cct-1", "xx/*", "cells[1].scenario: no scenario matches 'xx/*'"),
        ("n = 100", "n = 0", "cells[1].n: 0 is not a number of units"),
        ("n = 100", "n = []", "cells[1].n: [] is not a number of units"),
        ("n = 100", "", "cells[1].n: is missing"),
        ("n = 100", "n = 100\nsize = 3", "cells[1].size: no key named 'size'"),
        ('"rd/*"', '"rd/local-liner"', "did you mean 'rd/local-linear'?"),
        ('"rd/*"', '"panel/*"', "cells[1].estimators: none of them accepts rd/cct-1"),
        ('"rd/*"', '"panel/twfe"', "'panel/twfe' answers ATT, not ATE_AT_CUTOFF"),
        (
            "n = 100", "n = 100\ndials = { sortin = 0.1 }",
            "cells[1].dials.sortin: no dial named 'sortin'; did you mean 'sorting'?",
        ),
        ("n = 100", "n = 100\ndials = { sorting = 3 }", "sorting = 3 lies outside 0 to 1"),
        ("n = 100", 'n = 100\ndials = { sorting = "big" }', "sorting = 'big' is not of type float"),
        ("n = 100", "n = 100\ndials = { sorting = [] }", "[] is neither a value nor a list"),
        (
            "n = 100", "n = 100\nparameters = { efect = 1 }",
            "cells[1].parameters.efect: no parameter named 'efect'; did you mean 'effect'?",
        ),
        ("n = 100", "n = 100\nparameters = { noise = -1 }", "noise = -1 lies outside 0 to 100"),
        ("n = 100", 'n = 100\nvary = "both"', "vary: 'both' is not one of one-at-a-time, crossed"),
        (
            "n = 100", 'n = 100\noptions = { "rd/local-linear" = { bandwith = 1.0 } }',
            "no option named 'bandwith'; did you mean 'bandwidth'?",
        ),
        (
            "n = 100", 'n = 100\noptions = { "rd/local-linear" = { bandwidth = "wide" } }',
            "'wide' is not of type float",
        ),
        (
            "n = 100", 'n = 100\noptions = { "rd/local" = { a = 1 } }',
            "no estimator named 'rd/local'",
        ),
        ("seed = 1", "seed = 1\nplugins = ['none.py']", "plugins: plug-in"),
        ("seed = 1", "seed = ", "not a TOML file"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_one_line_with_file_key_and_near_miss(tmp_path, old, new, line):
    assert old in BASE
    with pytest.raises(BadInput) as error:
        read_suite(write(tmp_path, BASE.replace(old, new)))
    message = str(error.value)
    assert message.startswith(str(tmp_path / "t.toml"))
    assert line in message
    assert "\n" not in message


def test_a_missing_file_and_an_unknown_built_in_suite_are_bad_input(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        read_suite(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="no suite named 'quikstart'; did you mean 'quickstart'"):
        find_suite("quikstart")


def settings(suite):
    return [tuple(json.loads(cell.key["dials"]).values()) for cell in suite.cells]


def test_dials_move_one_at_a_time_and_the_default_cell_runs_once(tmp_path):
    dials = "dials = { sorting = 'grid', heaping = [0, 0.3] }\nn = 100"
    suite = read_suite(write(tmp_path, BASE.replace("n = 100", dials)))
    # the order within the key is alphabetical: heaping, sorting
    assert settings(suite) == [(0, 0), (0, 0.1), (0, 0.2), (0, 0.4), (0.3, 0)]
    assert [c.moved for c in suite.cells][::4] == [(None, None), ("heaping", 0.3)]


def test_crossed_dials_make_every_combination(tmp_path):
    dials = "vary = 'crossed'\ndials = { sorting = [0, 0.1], heaping = [0, 0.3] }\nn = 100"
    suite = read_suite(write(tmp_path, BASE.replace("n = 100", dials)))
    assert settings(suite) == [(0, 0), (0.3, 0), (0, 0.1), (0.3, 0.1)]
    assert suite.cells[-1].moved == (None, None)
    assert suite.cells[1].moved == ("heaping", 0.3)


def test_lists_of_parameters_and_sizes_make_a_grid(tmp_path):
    grid = "n = [100, 200]\nparameters = { effect = [0, 0.04], noise = [0.1, 0.2, 0.3] }"
    suite = read_suite(write(tmp_path, BASE.replace("n = 100", grid)))
    cells = {(cell.n, cell.key["parameters"]) for cell in suite.cells}
    assert len(suite.cells) == len(cells) == 12


def test_entries_that_name_the_same_cell_join_their_estimators(tmp_path):
    again = """
[[cells]]
scenario = "rd/cct-1"
n = 100
estimators = ["rd/local-linear", "rdrobust/robust"]
options = { "rd/local-linear" = { bandwidth = 0.2 } }
"""
    base = BASE.replace('"rd/*"', '"rd/global-polynomial", "rd/local-linear"')
    suite = read_suite(write(tmp_path, base + again))
    assert len(suite.cells) == 1
    assert [(e.estimator, e.options) for e in suite.cells[0].entrants] == [
        ("rd/global-polynomial", '{"order":4}'),
        ("rd/local-linear", '{"bandwidth":0.5}'),
        ("rd/local-linear", '{"bandwidth":0.2}'),
        ("rdrobust/robust", '{"kernel":"tri","masspoints":"adjust"}'),
    ]
    assert suite.expected_rows == 12


def test_an_int_given_for_a_float_names_the_same_cell(tmp_path):
    one, two = (
        read_suite(
            write(tmp_path, BASE.replace("n = 100", f"n = 100\nparameters = {{ effect = {v} }}"))
        )
        for v in ("1", "1.0")
    )
    assert one.cells[0].key == two.cells[0].key


def test_globs_list_who_declines(tmp_path):
    suite = read_suite(write(tmp_path, BASE.replace('"rd/*"', '"*/*"')))
    refused = {(r.scenario, r.estimator) for r in suite.refusals}
    assert ("rd/cct-1", "panel/twfe") in refused
    assert "panel/twfe" not in suite.estimators


def test_several_scenarios_take_the_dials_they_have(tmp_path):
    text = BASE.replace('"rd/cct-1"', '["rd/cct-1", "did/two-group"]').replace('"rd/*"', '"*/*"')
    suite = read_suite(write(tmp_path, text.replace("n = 100", "n = 40\ndials = { rho = 0.5 }")))
    assert [str(c) for c in suite.cells] == [
        "rd/cct-1 n=40", "did/two-group n=40", "did/two-group n=40 rho=0.5",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(__import__("cibench.suite").suite.built_in_suites()))
def test_the_text_of_a_suite_reads_back_as_the_suite(name):
    suite = find_suite(name)
    again = parse_suite(tomllib.loads(suite.as_toml()))
    assert again.cells == suite.cells
    assert (again.seed, again.replicates, again.level) == (
        suite.seed, suite.replicates, suite.level,
    )  # fmt: skip


@pytest.mark.usefixtures("shelves")
def test_plug_ins_are_relative_to_the_suite(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "from cibench import Estimand, Estimate, estimator\n"
        "@estimator('own/zero', targets=(Estimand.ATE_AT_CUTOFF,))\n"
        "def zero(problem, rng):\n    return Estimate.wald(0.0, 1.0, problem.level)\n"
    )
    text = BASE.replace("seed = 1", "seed = 1\nplugins = ['own.py']").replace("rd/*", "own/*")
    path = write(tmp_path, text)
    monkeypatch.chdir("/")
    suite = read_suite(path)
    assert suite.estimators == ["own/zero"]
    registry._shelves["estimator"].pop("own/zero")
    registry._loaded.pop(str(tmp_path / "own.py"))
    assert parse_suite(tomllib.loads(suite.as_toml())).estimators == ["own/zero"]
