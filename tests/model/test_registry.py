import importlib.metadata

import numpy as np
import pytest

import cibench
from cibench import Estimand, Estimate, estimator
from cibench.model import registry
from cibench.model.method import find_estimator
from cibench.utils.errors import BadInput

pytestmark = pytest.mark.usefixtures("shelves")

ATE = (Estimand.ATE,)


def answer(problem, rng):
    return Estimate.wald(0.0, 1.0, problem.level)


def test_the_first_ids_of_the_design_exist():
    scenarios = {"rd/cct-1", "rd/cct-2", "rd/cct-3", "did/two-group"}
    estimators = {
        "rdrobust/conventional", "rdrobust/robust", "rd/global-polynomial", "rd/local-linear",
        "panel/twfe", "panel/twfe-clustered", "panel/first-difference",
        "naive/difference-in-means",
    }  # fmt: skip
    assert scenarios <= set(registry.entries("scenario"))
    assert estimators <= set(registry.entries("estimator"))


def test_a_taken_name_is_refused_naming_both():
    estimator("x/one", targets=ATE)(answer)

    def other(problem, rng):
        return answer(problem, rng)

    with pytest.raises(ValueError, match=r"other.* is taken by .*answer"):
        estimator("x/one", targets=ATE)(other)


def test_registering_the_same_code_again_replaces_it():
    first = estimator("x/one", targets=ATE)(answer)
    second = estimator("x/one", targets=ATE)(answer)
    assert find_estimator("x/one") is second is not first


@pytest.mark.parametrize("name", ["One/two", "one", "one/two/three", "one/two_three", "one/-two"])
def test_a_malformed_id_is_refused(name):
    with pytest.raises(ValueError, match="family/name"):
        estimator(name, targets=ATE)(answer)


def test_an_unknown_name_suggests_the_near_miss():
    with pytest.raises(BadInput, match="no scenario named 'rd/cct1'; did you mean 'rd/cct-1'"):
        cibench.find_scenario("rd/cct1")
    with pytest.raises(BadInput, match="did you mean 'rdrobust/robust'"):
        cibench.find_estimator("rd/robust")


def test_a_broken_plug_in_is_listed_while_the_others_work(tmp_path, monkeypatch):
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('out of order')\n")
    (tmp_path / "sound_plugin.py").write_text(
        "from cibench import Estimand, Estimate, estimator\n"
        "@estimator('third-party/zero', targets=(Estimand.ATE,))\n"
        "def zero(problem, rng):\n    return Estimate.wald(0.0, 1.0, problem.level)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        importlib.metadata.EntryPoint(name, name, "cibench")
        for name in ("broken_plugin", "sound_plugin")
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.setattr(registry, "_broken", {})
    registry._loaded.clear()
    assert "third-party/zero" in registry.entries("estimator")
    assert registry.broken() == {"broken_plugin": "RuntimeError: out of order"}
    why = r"not imported: broken_plugin \(RuntimeError: out of order\)$"
    with pytest.raises(BadInput, match=rf"^no estimator named 'broken/method'.*; {why}"):
        find_estimator("broken/method")
    with pytest.raises(BadInput, match=rf"^no estimator matches 'broken/\*'; {why}"):
        registry.matching("estimator", "broken/*")


def test_a_changed_plug_in_file_is_read_again(tmp_path):
    path = tmp_path / "own.py"
    text = (
        "from cibench import Estimand, Estimate, estimator\n"
        "@estimator('own/constant', targets=(Estimand.ATE,))\n"
        "def constant(problem, rng):\n    return Estimate.wald({}, 1.0, problem.level)\n"
    )
    for value in (1.0, 2.0):
        path.write_text(text.format(value))
        registry.load_plugin(str(path))
        fit = find_estimator("own/constant").fit
        assert fit(cibench.Problem({}, cibench.Roles(), ()), None).value == value


def test_a_plug_in_that_does_not_import_is_bad_input(tmp_path):
    (tmp_path / "bad.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(BadInput, match=r"bad.py.*no_such_module_anywhere"):
        registry.load_plugin(str(tmp_path / "bad.py"))


def test_a_plug_in_that_is_not_there_is_one_line_with_the_near_miss(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "methods.py").write_text("")
    for name, ends in (
        ("mine/method.py", "there is no such file; did you mean 'methods.py'?"),
        ("mine\\methods.py", f"'{tmp_path}/mine/methods.py'? Every system reads / in a path"),
        ("none/methods.py", "there is no such file"),
    ):
        with pytest.raises(BadInput) as error:
            registry.load_plugin(str(tmp_path / name))
        assert str(error.value).endswith(ends) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "fit",
    [
        lambda problem: None,
        lambda problem, rng, option: None,
        lambda problem, rng, *, option: None,
        lambda problem, rng, **options: None,
        lambda *, problem, rng: None,
    ],
)
def test_a_fit_of_another_form_is_refused_when_declared(fit):
    with pytest.raises(ValueError, match=r"fit|option"):
        estimator("x/form", targets=ATE)(fit)


def test_a_role_that_does_not_exist_is_refused_with_the_near_miss():
    with pytest.raises(ValueError, match="no role named 'runing'; did you mean 'running'"):
        estimator("x/role", targets=ATE, needs=("runing",))(answer)


def test_declining_by_declaration_says_why():
    scenario = cibench.find_scenario("rd/cct-1")()
    panel = cibench.find_estimator("panel/twfe")
    assert panel.declines(scenario) == "answers ATT, not ATE_AT_CUTOFF"
    cutoff = (Estimand.ATE_AT_CUTOFF,)
    needy = estimator("x/needy", targets=cutoff, needs=("unit", "running"))(answer)
    assert needy.declines(scenario) == "needs the role unit, which rd/cct-1 lacks"

    def rare(problem, rng):
        return answer(problem, rng)

    lib = estimator("x/rare", targets=cutoff, uses=("no_such_library", "sklearn"))(rare)
    assert "pip install no_such_library" in str(lib.declines(scenario))


def test_an_estimator_sees_columns_it_cannot_change_and_nothing_latent():
    scenario = cibench.find_scenario("rd/cct-1")(sorting=0.4)
    draw = scenario.draw(200, np.random.default_rng(1))
    problem = cibench.Problem.of(draw, scenario.roles)
    assert set(problem.columns) == {"y", "d", "x"}
    assert problem.draw is None
    with pytest.raises(ValueError, match="read-only"):
        problem.columns["y"][0] = 0
    with pytest.raises(TypeError):
        problem.columns["y"] = draw.baseline
    problem.frame["y"] = 0.0
    assert problem.columns["y"].any()
    assert cibench.Problem.of(draw, scenario.roles).frame["y"].any()


def test_a_built_in_file_named_as_a_plug_in_is_the_built_in():
    path = registry.entry("scenario", "did/two-group").path
    registry.load_plugin(str(path))
    assert registry.entry("scenario", "did/two-group").built_in
    assert not registry.broken()
