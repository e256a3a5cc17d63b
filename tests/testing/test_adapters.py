"""What a stranger's function is called with: the stream goes to who asks for it alone."""

from functools import partial
from inspect import signature

import numpy as np
import pytest

from cibench import Estimand, Problem, estimator, find_scenario
from cibench.model.method import Estimator
from cibench.testing.adapters import adapted, name_of
from cibench.utils.errors import BadInput, file_of

SEEN = {}


def plain(problem, robust=False):
    SEEN.update(robust=robust)
    return 1.0, 1.0


def keyword(problem, scale=1.0, rng=None):
    SEEN.update(scale=scale, rng=rng)
    return 1.0, 1.0


def keyword_only(problem, *, rng, scale=1.0):
    SEEN.update(scale=scale, rng=rng)
    return 1.0, 1.0


def second(problem, stream):
    SEEN.update(stream=stream)
    return 1.0, 1.0


def alone(problem):
    SEEN.update(alone=True)
    return 1.0, 1.0


def open_end(problem, *others, **options):
    SEEN.update(others=others, options=options)
    return 1.0, 1.0


def scaled(problem, scale):
    SEEN.update(scale=scale)
    return 1.0, 1.0


class Robust:
    def fit(self, problem, robust=False):
        SEEN.update(robust=robust)
        return 1.0, 1.0


class Drawing:
    def fit(self, data, rng):
        SEEN.update(rng=rng)
        return 1.0, 1.0


class Static:
    @staticmethod
    def fit(problem, rng):
        SEEN.update(rng=rng)
        return 1.0, 1.0


@pytest.fixture
def fitted():
    """Give a function that fits a subject to one data set and returns what that was called with."""
    design = find_scenario("did/two-group")()
    draw = design.draw(10, np.random.default_rng(1))
    problem = Problem.of(draw, design.roles, design.targets())
    rng = np.random.default_rng(2)

    def fit(subject, data=None):
        SEEN.clear()
        assert adapted(subject, data, ())(problem, rng).value == 1.0
        return {name: "rng" if value is rng else value for name, value in SEEN.items()}

    return fit


@pytest.mark.parametrize(
    ("subject", "call"),
    [
        (plain, {"robust": False}),
        (partial(plain, robust=True), {"robust": True}),
        (keyword, {"scale": 1.0, "rng": "rng"}),
        (partial(keyword, scale=2.0), {"scale": 2.0, "rng": "rng"}),
        (keyword_only, {"scale": 1.0, "rng": "rng"}),
        (second, {"stream": "rng"}),
        (alone, {"alone": True}),
        (open_end, {"others": (), "options": {}}),
        (partial(scaled, scale=3.0), {"scale": 3.0}),
        (Robust, {"robust": False}),
        (Robust(), {"robust": False}),
        (Drawing, {"rng": "rng"}),
        (Drawing(), {"rng": "rng"}),
        (Static, {"rng": "rng"}),
    ],
)
def test_the_stream_goes_to_who_asks_for_it(fitted, subject, call):
    assert fitted(subject) == call


def test_data_may_hand_over_the_stream(fitted):
    assert fitted(second, {"problem": "problem", "stream": "rng"}) == {"stream": "rng"}
    assert fitted(Drawing(), {"data": "frame", "rng": "rng"}) == {"rng": "rng"}


@pytest.mark.parametrize(
    ("subject", "data", "words"),
    [
        (lambda problem, rng, scale: None, None, "missing a required argument: 'scale'"),
        (lambda: None, None, "too many positional arguments"),
        (plain, {"outcome": "outcome"}, "data: plain"),
        (Robust, {"y": "outcome"}, "data: Robust"),
        (plain, {"problem": "rnd"}, "no role named 'rnd'"),
    ],
)
def test_what_no_fit_could_be_called_with_is_said_before_any(subject, data, words):
    with pytest.raises(BadInput, match=words):
        adapted(subject, data, ())


def test_a_partial_has_the_name_and_the_words_of_its_function():
    fit = adapted(partial(partial(keyword, scale=2.0)), None, ())
    assert name_of(partial(keyword, scale=2.0)) == "own/keyword"
    assert (fit.__module__, fit.__qualname__) == (keyword.__module__, "keyword")


@pytest.mark.parametrize("subject", [second, partial(keyword), Drawing, Drawing(), Static])
def test_exceptions_are_looked_for_in_the_subjects_own_file(subject):
    fit = adapted(subject, None, ())
    assert file_of(fit) == __file__ and len(signature(fit).parameters) == 2


def test_a_registered_method_has_its_stream_where_it_is_passed(shelves):
    declare = estimator("own/streams", targets=(Estimand.ATT,))
    with pytest.raises(ValueError, match="would be passed as 'robust'"):
        declare(plain)
    assert declare(second).name == "own/streams"


def test_a_partial_can_be_registered(shelves):
    def fit(problem, rng, *, scale):
        return 1.0, scale

    method = estimator("own/partial", targets=(Estimand.ATT,))(partial(fit, scale=2.0))
    assert isinstance(method, Estimator) and method.options == {"scale": 2.0}
