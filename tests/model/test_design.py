import numpy as np
import pytest

import cibench
from cibench import Estimand, Scenario, Target, Truth, dial, parameter
from cibench.model.design import configure, dials, parameters, truths, values_of
from cibench.utils.errors import BadInput

pytestmark = pytest.mark.usefixtures("shelves")


def declare(name="test/design", **body):
    fields = {"a": float, "k": int, "word": str, "bent": float}
    defaults = {
        "a": parameter(1.0, within=(0, 2)), "k": 3, "word": "x",
        "bent": dial(default=0, grid=(1,), within=(-1, 1), breaks="straightness", unit="turns"),
    }  # fmt: skip
    body = {"estimand": Estimand.ATE, "__annotations__": fields, **defaults, **body}
    return cibench.scenario(name)(type("Bent", (Scenario,), body))


def test_fields_are_dials_or_parameters():
    cls = declare()
    assert list(dials(cls)) == ["bent"] and list(parameters(cls)) == ["a", "k", "word"]
    assert values_of(cls(bent=1), cibench.model.design.Dial) == {"bent": 1.0}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"a": 3}, "a = 3 lies outside 0 to 2"),
        ({"a": "1"}, "a = '1' is not of type float"),
        ({"a": True}, "a = True is not of type float"),
        ({"k": 2.5}, "k = 2.5 is not of type int"),
        ({"k": float("inf")}, "k = inf is not of type int"),
        ({"word": 1}, "word = 1 is not of type str"),
        ({"bend": 1}, "no parameter or dial of test/design named 'bend'; did you mean 'bent'?"),
    ],
)
def test_a_bad_value_is_one_line(values, problem):
    with pytest.raises(BadInput) as error:
        configure(declare(), values)
    assert problem in str(error.value)


def test_numbers_take_the_fields_type_so_that_equal_settings_have_equal_names():
    made = declare()(a=np.float32(1), k=4.0, bent=1)
    assert [type(v) for v in (made.a, made.k, made.bent)] == [float, int, float]


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": ()}, {"grid": (0,)}, {"grid": (1, 1)}, {"grid": (5,)}, {"default": 9},
        {"breaks": ""}, {"unit": ""},
    ],
)  # fmt: skip
def test_a_faulty_dial_is_refused_when_declared(wrong):
    sound = {"default": 0, "grid": (1,), "within": (0, 2), "breaks": "b", "unit": "u"}
    dial(**sound)
    with pytest.raises(ValueError, match="a dial"):
        dial(**{**sound, **wrong})


def test_truths_may_be_numbers_or_carry_an_error_or_be_one_for_each_target():
    one = declare(truth=lambda self: 2)
    assert truths(one()) == {Target(Estimand.ATE): Truth(2.0, 0.0)}
    simulated = declare("test/simulated", truth=lambda self: Truth(2.0, 0.1))
    assert truths(simulated())[Target(Estimand.ATE)].mcse == 0.1
    several = declare("test/several", estimand=(Estimand.ATE, Estimand.ATT), truth=lambda self: 1.0)
    with pytest.raises(BadInput, match="one value for 2 targets"):
        truths(several())
    sample = declare("test/sample", estimand=Estimand.SATE)
    assert truths(sample()) == {}


def test_a_panel_whose_adoption_lies_after_its_end_is_bad_input():
    with pytest.raises(BadInput, match="adoption = 4 lies after the last period"):
        configure(cibench.find_scenario("did/two-group"), {"periods": 3})
