import json
import random
import re
import tomllib
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        ("seed = 1", "", "seed: is missing; it takes a whole number of 0 to 2^128 - 1"),
        ("seed = 1", "seed = -1", "seed: -1 is not a whole number of 0 to 2^128 - 1"),
        ("seed = 1", f"seed = {2**128}", "is not a whole number of 0 to 2^128 - 1"),
        ("replicates = 3", "replicates = 3\ntimeout = inf", "timeout: inf is not seconds above 0"),
        ("replicates = 3", "replicates = 3\ntimeout = 1e300", "is not seconds above 0, 10,000,000"),
        ("replicates = 3", "replicates = 1_000_000_000_000_000", "above 0, 100,000,000 at most"),
        ("replicates = 3", "precision = { coverage = 1e-300 }", "is not between 1e-100 and 1e+100"),
        ("replicates = 3", "precision = { bias = 1e300 }", "is not between 1e-100 and 1e+100"),
        ("n = 100", "n = 100_000_000_000", "is not a number of units, 100,000,000 at most"),
        ("replicates = 3", "replicates = 0", "replicates: 0 is not a whole number above 0"),
        ("replicates = 3", "replicates = true", "replicates: True is not a whole number"),
        ("replicates = 3", 'replicates = 3\nlevel = "95"', "level: '95' is not between 0 and 1"),
        ("rd/cct-1", "rd/cct1", "cells[1].scenario: no scenario named 'rd/cct1'; did you mean"),
        ("rd/cct-1", "xx/*", "cells[1].scenario: no scenario matches 'xx/*'"),
        ("n = 100", "n = 0", "cells[1].n: 0 is not a number of units"),
        ("n = 100", "n = []", "cells[1].n: [] is not a number of units"),
        ("n = 100", "", "cells[1].n: is missing"),
        ("n = 100", "n = 100\nsize = 3", "cells[1].size: no key named 'size'"),
        ("n = 100", "n = 100\nlevel = 0.9", "level: stands in the suite, above its tables"),
        ("seed = 1", "seed = 1\nexpect = {}", "expect: stands in a [[cells]] table, not here"),
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
    assert re.match(rf"{tmp_path / 't.toml'}:\d+: ", message)
    assert line in message
    assert "\n" not in message


def complaints(path):
    with pytest.raises(BadInput) as error:
        read_suite(path)
    assert str(error.value) == "\n".join(error.value.args)
    return [line.removeprefix(f"{path}:") for line in error.value.args]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"seed = {'9' * 5000}", "t.toml: not a TOML file: Exceeds the limit (4300 digits)"),
        ("seed = 1\n" + "a." * 50_000 + "b = 1", "t.toml:2: not a TOML file: a key of more than"),
        ('"a" . ' * 50_000 + "b = 1", "t.toml:1: not a TOML file: a key of more than 100 parts"),
        ("[" + "a." * 50_000 + "b]", "t.toml:1: not a TOML file: a key of more than 100 parts"),
        ("x = " + "[" * 20_000 + "]" * 20_000, "t.toml: not a TOML file: it is nested too deeply"),
        ("# " + "x" * 4_000_000, "t.toml: over 4,000,000 bytes"),
        ("x = " + "a" * 3_900_000, "t.toml:1: not a TOML file"),
        ("x = " + "a " * 1_900_000, "t.toml:1: not a TOML file"),
        ("x = " + '"' * 3_900_000, "t.toml:1: not a TOML file"),
    ],
    ids=range(9),
)
def test_what_no_suite_can_be_is_told_at_once(tmp_path, text, words):
    started = perf_counter()
    with pytest.raises(BadInput) as error:
        read_suite(write(tmp_path, text))
    (line,) = error.value.args
    assert words in line and "\n" not in line and len(line) < 500
    assert perf_counter() - started < 10  # it took 45 s; no benchmark


WHOLE = (
    BASE
    + """timeout = 5
memory = "1GB"
level = 0.9
[cells.dials]
sorting = [0.1]
[cells.expect]
floor = 0.8
[ranking]
measure = "rmse"
"""
)
HOSTILE = (
    "inf", "nan", "-1", "0", "1e308", "1e-308", "10000000000000000", "true", '""', "[]", "{}",
    "[[]]", '"\\u0000"', "1979-05-27", "'*'", "{ a = {} }", "[1, 'a']", '"../x"',
    "'" + "x" * 9999 + "'",
)  # fmt: skip


SAME_FOLDER = [HealthCheck.function_scoped_fixture]


@settings(suppress_health_check=SAME_FOLDER)
@given(
    place=st.integers(0, 10_000), value=st.sampled_from(HOSTILE) | st.text(max_size=20),
    cut=st.booleans(),
)  # fmt: skip
def test_a_suite_with_any_value_anywhere_is_one_or_is_refused(tmp_path, place, value, cut):
    """Put hostile values in the place of each value, and end files anywhere."""
    if cut:
        text = WHOLE[: place % len(WHOLE)] + value
    else:
        lines = WHOLE.splitlines()
        places = [i for i, line in enumerate(lines) if " = " in line]
        at = places[place % len(places)]
        lines[at] = f"{lines[at].partition(' = ')[0]} = {value}"
        text = "\n".join(lines)
    path = tmp_path / "t.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_suite(path)
    except BadInput as error:
        assert all("\n" not in str(line) and str(path) in str(line) for line in error.args)


MANY = """
name = "t"
sed = 1                  # the next cell: seed = 2
replicates = 3
compare = "rd/gloal-polynomial"

[[cells]]
scenario = "rd/cct1"
n = 100
dials = { sorting = 3, anything = 2 }
estimators = [
  "rd/*",
  "rd/local-liner",
]

[[cells]]
scenario = "rd/cct-*"
n = [100,
  0]
estimators = ["rd/*", "panel/twfe"]
options = { "rd/local-linear" = { bandwith = 1.0 } }
[cells.dials]
sorting = [0.1,
  7]
heaping = "big"
[cells.parameters]
efect = 1
noise = -1
[cells.expect]
flor = 1

[precision]
coverge = 0.1
[ranking.weights]
"rd/cct-9" = 1
"""


def test_all_mistakes_are_told_in_one_go_with_their_lines_and_none_that_follows(tmp_path):
    assert complaints(write(tmp_path, MANY)) == [
        "3: sed: no key named 'sed'; did you mean 'seed'?",
        "8: cells[1].scenario: no scenario named 'rd/cct1'; did you mean 'rd/cct-1'?",
        "13: cells[1].estimators: no estimator named 'rd/local-liner'; did you mean "
        "'rd/local-linear'?",
        "19: cells[2].n: 0 is not a number of units",
        "20: cells[2].estimators: 'panel/twfe' answers ATT, not ATE_AT_CUTOFF",
        "21: cells[2].options.rd/local-linear.bandwith: no option named 'bandwith'; did you mean "
        "'bandwidth'?",
        "24: cells[2].dials: rd/cct-1: sorting = 7 lies outside 0 to 1",
        "25: cells[2].dials: rd/cct-1: heaping = 'big' is not of type float",
        "27: cells[2].parameters.efect: no parameter named 'efect'; did you mean 'effect'?",
        "28: cells[2].parameters: rd/cct-1: noise = -1 lies outside 0 to 100",
        "30: cells[2].expect.flor: no key named 'flor'; did you mean 'floor'?",
        "32: precision: stands beside replicates; state one of the two",
        "33: precision.coverge: no measure named 'coverge'; did you mean 'coverage'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        # what is misspelt is not missing, and what it would have held is not asked for
        ("[[cells]]", "[[cels]]", ["5: cels: no key named 'cels'; did you mean 'cells'?"]),
        ("scenario", "scenaro", ["6: cells[1].scenaro: no key named 'scenaro'; did you mean"]),
        ("replicates = 3", "precison = { bias = 1 }\nmin_replicates = 3\nreplicates = 3",
         ["4: precison: no key named 'precison'; did you mean 'precision'?"]),
        # a plug-in that does not load may have what is not known
        ("seed = 1", "seed = 1\nplugins = ['none.py']\ncompare = 'own/x'",
         ["4: plugins: plug-in"]),
        ('"rd/cct-1"', "['rd/cct-1',\n'own/x']",
         ["7: cells[1].scenario: no scenario named 'own/x'"]),
        # a combination is told once, at its dials or parameters; a value where it stands
        ('"rd/cct-1"\nn = 100\nestimators = ["rd/*"]',
         '"did/two-group"\nn = 40\nestimators = ["panel/*"]\n[cells.parameters]\nperiods = 4\n'
         "adoption = [\n2,\n5,\n9,\n12]",
         ["9: cells[1].parameters: did/two-group: adoption = 5 lies after the last period",
          "14: cells[1].parameters: did/two-group: adoption = 9 lies after the last period",
          "15: cells[1].parameters: did/two-group: adoption = 12 lies after the last period"]),
        # names of the suite are looked up where its cells are right, whatever else is wrong
        ("seed = 1", "compare = 'rd/x'",
         ["1: seed: is missing", "3: compare: no estimator of the suite named 'rd/x'"]),
        ("n = 100", "n = 0\nexpect = { floor = 2 }",
         ["7: cells[1].n: 0 is not a number of units", "8: cells[1].expect.floor: 2 is not a cov"]),
        ("n = 100", "n = 100\nexpect = { bias = 0, se_ratio = [1.2, 0.8] }",
         ["8: cells[1].expect.bias: 0 is not a bias above 0, in empirical standard errors",
          "8: cells[1].expect.se_ratio: [1.2, 0.8] is not the least and the largest SE ratio"]),
        ("n = 100", "n = 100\nexpect = { bias = { 'rd/gobal-polynomial' = 0.2 } }",
         ["8: cells[1].expect.bias.rd/gobal-polynomial: no estimator of these cells named"]),
        ("n = 100", "n = 100\nestimator = 3",
         ["8: cells[1].estimator: no key named 'estimator'; did you mean 'estimators'?"]),
        ("name = ", "refits = 3\nname = ", ["2: refits: 3 is not a table"]),
        ("replicates = 3", "replicates = 3\nlevel = 2\n[ranking]\nworst = 1\nmeasure = 'x'",
         ["5: level: 2 is not between 0 and 1", "7: ranking.worst: 1 is not a number above 1",
          "8: ranking.measure: 'x' is not one of"]),
    ],
)  # fmt: skip
def test_a_mistake_that_follows_from_another_is_not_told(tmp_path, old, new, lines):
    assert old in BASE
    told = complaints(write(tmp_path, BASE.replace(old, new, 1)))
    assert len(told) == len(lines), told
    for line, wanted in zip(told, lines, strict=True):
        assert line.startswith(wanted)


def test_a_mapping_has_paths_without_lines_and_tells_all_too():
    spec = tomllib.loads(BASE.replace("seed = 1", "").replace("n = 100", "n = 0"))
    with pytest.raises(BadInput) as error:
        parse_suite(spec, where="mine")
    assert error.value.args == (
        "mine: cells[1].n: 0 is not a number of units",
        "mine: seed: is missing; it takes a whole number of 0 to 2^128 - 1",
    )


def test_a_suite_without_plug_ins_may_say_so(tmp_path):
    text = BASE.replace("seed = 1", "seed = 1\nplugins = []")
    assert read_suite(write(tmp_path, text)).plugins == ()


DECOYS = (
    "",
    "# dails = { sortin = 0.1 }",
    "#[[cells]]",
    "# sortin = 3",
    '# """',
    "# [cells.dials]",
)
WRONG = {
    ("dials", "sortin"): "no dial named 'sortin'; did you mean 'sorting'?",
    ("parameters", "efect"): "no parameter named 'efect'; did you mean 'effect'?",
    ("expect", "flor"): "no key named 'flor'; did you mean 'floor'?",
    ("dails",): "no key named 'dails'; did you mean 'dials'?",
}
RIGHT = {
    "dials": {"sorting": 0.1}, "parameters": {"effect": 1.0}, "expect": {"why": "dails = 1"},
}  # fmt: skip


def written_at_random(rng):
    """Return the text of a suite of some cells, and each of its mistakes with its line."""
    lines = ['"name" = """\\', "  t\\", '  """', "seed = 1", "replicates = 3"]
    mistakes = []

    def put(text):
        lines.extend([*rng.choices(DECOYS, k=rng.randrange(3)), text])

    for number in range(1, rng.randrange(2, 5)):
        put("[[cells]]")
        tables = {key: dict(content) for key, content in RIGHT.items() if rng.random() < 0.7}
        wrong = rng.choice([None, *WRONG])
        if wrong and len(wrong) == 2:
            tables.setdefault(wrong[0], {})[wrong[1]] = 0.1
        elif wrong:
            tables.pop("dials", None)
            tables[wrong[0]] = {"sorting": 0.1}
        inline = {key for key in tables if rng.random() < 0.5}
        entries = [
            'scenario = "rd/cct-1"', rng.choice(("n = 100", '"n" = [\n  100,\n  200, # n = 0\n]')),
            "estimators = [  # [[cells]]\n  'rd/*'\n]",
        ]  # fmt: skip

        def note(path, text, wrong=wrong, number=number):
            if path == wrong:
                at = "\n".join(lines).count("\n") + 1
                mistakes.append((at, f"cells[{number}].{'.'.join(path)}: {WRONG[path]}"))
            return text

        for entry in rng.sample(entries, len(entries)):
            put(entry)
        for key in sorted(inline):
            content = tables[key]
            if rng.random() < 0.5 and key != "dails":
                for name, value in content.items():
                    put(f"{key} . '{name}' = {json.dumps(value)}")
                    note((key, name), "")
            else:
                body = ", ".join(f"{name} = {json.dumps(value)}" for name, value in content.items())
                put(f"{key} = {{ {body} }}")
                for path in ((key,), *((key, name) for name in content)):
                    note(path, "")
        for key in sorted(set(tables) - inline):
            put(f"[cells.{key}]")
            note((key,), "")
            for name, value in tables[key].items():
                put(f'"{name}" = {json.dumps(value)}')
                note((key, name), "")
    return "\n".join(lines) + "\n", mistakes


@pytest.mark.parametrize("seed", range(60))
def test_a_known_mistake_at_a_known_line_is_told_there(tmp_path, seed):
    text, mistakes = written_at_random(random.Random(seed))
    path = write(tmp_path, text)
    if not mistakes:
        assert read_suite(path).name == "t"
        return
    assert complaints(path) == [f"{line}: {problem}" for line, problem in mistakes]


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
