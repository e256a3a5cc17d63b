"""Estimators in R, really: the helper, what goes over, and the same methods in both languages."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cibench import find_estimator, find_scenario, run
from cibench.cli.new import Language, write_new_elsewhere
from cibench.external import process
from cibench.external.methods import register_methods
from cibench.external.wire import Reported
from cibench.model.streams import stream
from cibench.model.types import Problem, Roles

if shutil.which("Rscript") is None:
    pytest.skip("R is not installed (Debian: r-base-core)", allow_module_level=True)

PACKAGES = ("sandwich", "AER", "estimatr")
SCRIPT = r"""
source(file.path(Sys.getenv("CIBENCH_HELPERS"), "cibench.R"))
echo <- function(problem, options) {
  file <- file(options$to, "wb")
  for (column in problem$data) {
    if (is.character(column)) {
      column[is.na(column)] <- "\\missing"
      for (text in enc2utf8(column)) { writeBin(charToRaw(text), file); writeBin(as.raw(0), file) }
    } else writeBin(as.double(column), file, size = 8L, endian = "little")
  }
  close(file)
  estimate(options$value, 1, -Inf, Inf)
}
mode <- function(problem, options) {
  cat("noise without an end of line")
  message("and a message")
  sink(nullfile())
  switch(options$mode,
    stop = stop("bad ", "luck"), decline = decline("not for me"), quit = quit(status = 3),
    warn = { warning("hm"); warning("hm") }, wrong = return(list(1)), cd = setwd("/"),
    undefined = no_such_function())
  y <- problem$outcome
  d <- problem$treatment
  wald(mean(y[d == 1]) - mean(y[d == 0]), 0.5, problem$level, 10)
}
random <- function(problem, options) {
  value <- rnorm(1)
  if (options$kind != "") RNGkind(options$kind)
  if (options$refuse) decline("drawn, then refused")
  estimate(value, 1, -5, 5)
}
vector <- function(problem, options) {
  stopifnot(is.numeric(options$knots), length(options$knots) == 3L, is.character(options$names))
  estimate(sum(options$knots), 1, -9, 9)
}
serve(list("r/echo" = echo, "r/mode" = mode, "r/random" = random, "r/vector" = vector))
"""
DECLARED = """
[estimators."r/{name}"]
command = ["Rscript", "own.R"]
targets = ["ATT"]
options = {options}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("r")
    (folder / "own.R").write_text(SCRIPT)
    options = {
        "echo": '{ to = "", value = 0.0 }', "mode": '{ mode = "" }',
        "random": '{ kind = "", refuse = false }',
        "vector": '{ knots = [1, 2.5, 3], names = ["a", "b"] }',
    }  # fmt: skip
    text = "".join(DECLARED.format(name=n, options=o) for n, o in options.items())
    (folder / "own.toml").write_text(text)
    register_methods(folder / "own.toml")
    yield folder
    process.end_all()


def problem_of(scenario="did/two-group"):
    drawn = find_scenario(scenario)()
    draw = drawn.draw(20, np.random.default_rng(1))
    return Problem.of(draw, drawn.assigned_roles(), find_estimator("r/mode").targets_of(drawn), 0.9)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.floats(allow_nan=False), st.integers(-(2**53), 2**53), st.booleans(),
            st.one_of(TEXTS, TEXTS, st.none()),
        ),
        min_size=1, max_size=5,
    ),
    value=st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
def test_data_and_numbers_arrive_bit_for_bit(rows, value, folder):
    doubles, whole, flags, texts = zip(*rows, strict=True)
    columns = {
        "y": np.array(doubles), "k": np.array(whole), "b": np.array(flags),
        "s": np.array(["a", *texts], dtype=object)[1:],
    }  # fmt: skip
    if all(text is None for text in texts):
        del columns["s"]
    roles = Roles(outcome="y", treatment="b", covariates=tuple(columns)[1:])
    targets = problem_of().targets
    to = str(folder / "echo.bin")
    method = find_estimator("r/echo")
    answer = method.fit(Problem(columns, roles, targets), stream("x"), to=to, value=value)
    assert answer[targets[0]].value == value
    numbers = np.concatenate([np.asarray(columns[name], "f8") for name in ("y", "k", "b")])
    words = ["\\missing" if text is None else text for text in texts] if "s" in columns else []
    expected = numbers.tobytes() + b"".join(word.encode() + b"\0" for word in words)
    assert (folder / "echo.bin").read_bytes() == expected


def test_a_fit_in_r_says_what_it_has_to_say(folder):
    method, problem = find_estimator("r/mode"), problem_of()
    usual = method.fit(problem, stream("x"))[problem.targets[0]]
    y, d = problem.outcome, problem.treatment
    assert usual.value == pytest.approx(y[d == 1].mean() - y[d == 0].mean(), rel=1e-13)
    assert usual.high - usual.value == pytest.approx(0.5 * 1.8124611228107335, rel=1e-12)
    for mode, text in (
        ("stop", r"^RError: bad luck \(in method"), ("wrong", "^RError: returned list, not an est"),
        ("quit", "^its process ended with exit code 3: noise without an end of line"),
        ("undefined", '^RError: could not find function "no_such_function"'),
    ):  # fmt: skip
        with pytest.raises(Reported, match=text):
            method.fit(problem, stream("x"), mode=mode)
        assert method.fit(problem, stream("x"))[problem.targets[0]].value == usual.value
    with pytest.raises(Exception, match=r"^not for me$"):
        method.fit(problem, stream("x"), mode="decline")
    with pytest.warns() as caught:
        method.fit(problem, stream("x"), mode="warn")
    assert [(w.category.__name__, str(w.message)) for w in caught] == [("RWarning", "hm")]
    assert method.fit(problem, stream("x"), mode="cd")[problem.targets[0]].value == usual.value


def test_random_fits_are_addressed(folder):
    method, problem = find_estimator("r/random"), problem_of()
    one, two, other = (method.fit(problem, stream(name)) for name in ("a", "a", "b"))
    (value,), (same,), (another,) = ([e.value for e in x.values()] for x in (one, two, other))
    assert value == same != another
    used, rng = stream("a"), stream("a")
    method.fit(problem, rng)
    assert rng.bit_generator.state != used.bit_generator.state
    quiet = stream("a")
    find_estimator("r/mode").fit(problem, quiet)
    assert quiet.bit_generator.state == used.bit_generator.state


def test_a_fit_that_chooses_another_generator_changes_no_later_one(folder):
    method, problem = find_estimator("r/random"), problem_of()
    usual = method.fit(problem, stream("a"))[problem.targets[0]].value
    method.fit(problem, stream("b"), kind="L'Ecuyer-CMRG")
    assert method.fit(problem, stream("a"))[problem.targets[0]].value == usual


def test_a_fit_that_draws_and_declines_is_random_too(folder):
    used, rng = stream("a"), stream("a")
    with pytest.raises(Exception, match="drawn, then refused"):
        find_estimator("r/random").fit(problem_of(), rng, refuse=True)
    assert rng.bit_generator.state != used.bit_generator.state


def test_lists_of_options_are_vectors(folder):
    problem = problem_of()
    (answer,) = find_estimator("r/vector").fit(problem, stream("x")).values()
    assert answer.value == 6.5


@pytest.mark.parametrize("language", Language)
def test_what_new_writes_keeps_the_contracts_once_it_is_filled_in(language, tmp_path, shelves):
    script, declared = write_new_elsewhere(language, "own/mine", tmp_path / f"mine.{language}")
    text = script.read_text()
    in_r = language is Language.R
    value, se, blank = (
        ("mean(y[treated]) - mean(y[!treated])", "sd(y) / 10", "NaN #") if in_r
        else ("y[treated].mean() - y[~treated].mean()", "y.std() / 10", 'float("nan")  #')
    )  # fmt: skip
    assert text.count("FILL IN") == 3
    text = text.replace(f"{blank} FILL IN 1", f"{value} # 1")
    text = text.replace(f"{blank} FILL IN 2", f"{se} # 2")
    script.write_text(text)
    done = subprocess.run(
        ["python", "-m", "cibench.contracts", declared.name], cwd=tmp_path, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_of_the_suite_are_there_or_named(name):
    code = f'cat(nzchar(system.file(package = "{name}")))'
    there = subprocess.run(["Rscript", "-e", code], check=True, capture_output=True, text=True)
    if there.stdout != "TRUE":
        pytest.skip(f"R has no package {name} (Debian: r-cran-{name.lower()})")


def test_r_and_python_agree_on_the_methods_of_both(tmp_path, shelves):
    code = f"stopifnot(requireNamespace({json.dumps(PACKAGES[0])}), requireNamespace('AER'))"
    if subprocess.run(["Rscript", "-e", code], check=False, capture_output=True).returncode:
        pytest.skip(f"R lacks one of {', '.join(PACKAGES)}")
    from cibench.suite import find_suite

    stored = run(find_suite("cross-language").with_replicates(5), tmp_path / "run", workers=2)
    assert (stored.replicates["status"] == "ok").all()
    equalities = stored.equalities
    assert set(equalities["verdict"]) == {"equal"} and len(equalities) == 22
    assert stored.manifest["versions"]["R (Rscript): sandwich"]
