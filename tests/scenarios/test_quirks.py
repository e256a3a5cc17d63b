"""What must not matter does not: row order, labels, types, units, and how a weight is written."""

import warnings
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from cibench import Declined, find_estimator, find_scenario
from cibench.contracts import check_scenario
from cibench.model.types import Problem

SEED = 5
IV = ("linearmodels/2sls", "linearmodels/2sls-robust", "linearmodels/liml", "linearmodels/gmm",
      "linearmodels/ols", "iv/anderson-rubin")  # fmt: skip
PANEL = ("panel/twfe", "panel/twfe-clustered", "panel/twfe-few-clusters",
         "panel/first-difference", "panel/twfe-driscoll-kraay")  # fmt: skip
STAGGERED = ("did/att-gt", "did/att-gt-not-yet-treated", "did/did2s", "did/lpdid", "did/saturated")
RD = ("rdrobust/robust", "rdrobust/conventional", "rd/local-linear", "rd/global-polynomial-1")
CLUSTERED = ("rdrobust/clustered", "rdrobust/clustered-cr3")
BY_HAND = "rd/local-linear"
"""Its bandwidth is given in units of the running variable."""

SIZES = {"quirks/regression": 120, "quirks/panel": 48, "quirks/rd": 400}


def problem(name, estimator, **parameters):
    """Draw the same noise in the form that is asked for."""
    scenario = find_scenario(name)(**parameters)
    draw = scenario.draw(SIZES[name], np.random.default_rng(SEED))
    return Problem.of(draw, scenario.assigned_roles(), estimator.targets_of(scenario), 0.9)


def fitted(estimator, given):
    """Return estimate, standard error and limits of the first target."""
    np.random.seed(1)
    with warnings.catch_warnings():  # what a library says of itself is recorded by runs
        warnings.simplefilter("ignore")
        answer = estimator.fit(given, np.random.default_rng(2))
    answer = answer[given.targets[0]] if isinstance(answer, dict) else answer
    parts = (answer.value, answer.se, answer.low, answer.high)
    return np.array([np.nan if part is None else float(part) for part in parts])


def recast(given, change):
    """Return the problem with every column changed by `change(name, column)`."""
    columns = {name: change(name, column) for name, column in given.columns.items()}
    return replace(given, columns=MappingProxyType(columns))


def same_answers(name, estimator, one, other, rtol=1e-8):
    method = find_estimator(estimator)
    before, after = (fitted(method, problem(name, method, **setting)) for setting in (one, other))
    np.testing.assert_allclose(after, before, rtol=rtol, atol=1e-9)
    assert np.isfinite(before[-2:]).all()


@pytest.mark.parametrize("estimator", IV)
def test_the_order_of_rows_does_not_matter_to_a_regression(estimator):
    same_answers("quirks/regression", estimator, {}, {"rows": "sorted"})


@pytest.mark.parametrize("estimator", PANEL + STAGGERED)
@pytest.mark.parametrize("form", [{"rows": "backwards"}, {"rows": "shuffled"}], ids=str)
def test_the_order_of_rows_does_not_matter_to_a_panel(estimator, form):
    same_answers("quirks/panel", estimator, {}, form)


@pytest.mark.parametrize("estimator", PANEL + STAGGERED)
def test_labels_of_units_and_periods_do_not_matter(estimator):
    same_answers("quirks/panel", estimator, {}, {"labels": "large"})


@pytest.mark.parametrize("estimator", RD + CLUSTERED)
def test_the_order_of_rows_does_not_matter_at_a_cutoff(estimator):
    clusters = {"clusters": "sides"} if estimator in CLUSTERED else {}
    same_answers("quirks/rd", estimator, clusters, {**clusters, "rows": "sorted"})


@pytest.mark.parametrize("estimator", [e for e in RD if e != BY_HAND])
def test_where_the_cutoff_lies_and_the_unit_of_the_running_variable_do_not_matter(estimator):
    same_answers("quirks/rd", estimator, {}, {"cutoff": "far"}, rtol=1e-6)


WHERE = {
    **dict.fromkeys(IV, ("quirks/regression", {})), **dict.fromkeys(PANEL, ("quirks/panel", {})),
    **dict.fromkeys(STAGGERED, ("quirks/panel", {})), **dict.fromkeys(RD, ("quirks/rd", {})),
    **dict.fromkeys(CLUSTERED, ("quirks/rd", {"clusters": "bins"})),
    "rdrobust/covariates": ("quirks/rd", {"covariates": "one"}),
}  # fmt: skip


@pytest.mark.parametrize("numbers", ["single", "whole"])
@pytest.mark.parametrize("estimator", WHERE)
def test_the_type_of_a_column_does_not_matter_where_its_values_are_the_same(estimator, numbers):
    name, form = WHERE[estimator]
    method = find_estimator(estimator)
    if (estimator, numbers) == (BY_HAND, "whole"):
        pytest.skip("thousandths are other units")
    given = problem(name, method, **form, numbers=numbers)
    assert given.outcome.dtype != float
    wide = recast(given, lambda _, column: column.astype(float))
    np.testing.assert_allclose(fitted(method, given), fitted(method, wide), rtol=1e-6)


@pytest.mark.parametrize("estimator", WHERE)
def test_the_unit_of_the_outcome_scales_the_answer(estimator):
    name, form = WHERE[estimator]
    method = find_estimator(estimator)
    given = problem(name, method, **form)
    large = recast(given, lambda name, column: 1000 * column if name == "y" else column)
    np.testing.assert_allclose(fitted(method, large), 1000 * fitted(method, given), rtol=1e-6)


@pytest.mark.parametrize(
    "estimator, name",
    [*((e, "quirks/regression") for e in IV), ("rdrobust/covariates", "quirks/rd")],
)
def test_a_column_that_says_nothing_new_changes_nothing_or_is_declined(estimator, name):
    """2 x besides x: the fit has the same span."""
    method = find_estimator(estimator)
    plain = fitted(method, problem(name, method, covariates="one"))
    try:
        doubled = fitted(method, problem(name, method, covariates="collinear"))
    except Declined:
        return
    np.testing.assert_allclose(doubled[:1], plain[:1], rtol=1e-6)
    assert np.isfinite(doubled).all()


FORMS = [
    ("quirks/arms", {"covariates": "discrete"}), ("quirks/missing", {"covariates": "discrete"}),
    ("quirks/two-period", {"missing": "unbalanced"}), ("quirks/donors", {"missing": "unbalanced"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form"), FORMS, ids=str)
@pytest.mark.parametrize("rows", ["drawn", "shuffled"])
def test_ties_and_gaps_are_there_and_the_contract_holds(name, form, rows):
    scenario = find_scenario(name)(rows=rows, **form)
    check_scenario(scenario)
    drawn = scenario.draw(50, np.random.default_rng(SEED)).columns
    if "missing" in form:
        _, seen = np.unique(drawn["unit"], return_counts=True)
        assert sorted(set(seen)) == [seen.max() - 1, seen.max()]
        assert np.sum(seen < seen.max()) == 10
    else:
        x = np.column_stack([drawn[k] for k in scenario.assigned_roles().covariates])
        assert len(np.unique(x, axis=0)) < 40
        assert not np.any(x % 1)


def weighted_data():
    rng = np.random.default_rng(3)
    x, e = rng.standard_normal((2, 150))
    weight = rng.integers(1, 4, size=150)
    return x + e, x, weight, np.repeat(np.arange(150), weight)


@pytest.mark.filterwarnings("ignore")  # pyfixest calls pandas as it used to be
def test_a_frequency_weight_of_two_is_the_row_twice():
    import pandas as pd
    import pyfixest
    from statsmodels.genmod.generalized_linear_model import GLM

    y, x, weight, twice = weighted_data()
    frame = pd.DataFrame({"y": y, "x": x, "w": weight})
    design = np.column_stack([np.ones(y.size), x])
    for vcov in ("iid", "HC1"):
        one = pyfixest.feols("y ~ x", frame, vcov=vcov, weights="w", weights_type="fweights")
        other = pyfixest.feols("y ~ x", frame.iloc[twice].reset_index(drop=True), vcov=vcov)
        for part in ("coef", "se"):
            np.testing.assert_allclose(getattr(one, part)(), getattr(other, part)(), rtol=1e-8)
    one = GLM(y, design, freq_weights=weight).fit()
    other = GLM(y[twice], design[twice]).fit()
    np.testing.assert_allclose(one.params, other.params, rtol=1e-10)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-10)


def test_a_survey_weight_moves_the_estimate_as_the_row_twice_does_and_has_no_unit():
    from linearmodels.iv import IV2SLS
    from rdrobust import rdrobust

    y, x, weight, twice = weighted_data()
    design = np.column_stack([np.ones(y.size), x])
    fits = [
        IV2SLS(y, design, None, None, weights=w).fit(cov_type="robust")
        for w in (weight, 10.0 * weight)
    ]
    doubled = IV2SLS(y[twice], design[twice], None, None).fit(cov_type="robust")
    np.testing.assert_allclose(fits[0].params, doubled.params, rtol=1e-10)
    np.testing.assert_allclose(fits[0].std_errors, fits[1].std_errors, rtol=1e-10)
    fixed = {"h": 1.5, "b": 1.5, "vce": "hc0", "masspoints": "off"}
    one = rdrobust(y, x, weights=weight.astype(float), **fixed)
    other = rdrobust(y[twice], x[twice], **fixed)
    np.testing.assert_allclose(one.coef.to_numpy(), other.coef.to_numpy(), rtol=1e-8)


@pytest.mark.filterwarnings("ignore")  # pyfixest calls pandas as it used to be
def test_an_index_that_repeats_itself_changes_nothing():
    import pandas as pd
    import pyfixest
    from linearmodels.iv import IV2SLS
    from rdrobust import rdrobust
    from statsmodels.regression.linear_model import OLS

    y, x, *_ = weighted_data()
    repeated = pd.DataFrame({"y": y, "x": x, "one": 1.0}, index=np.arange(y.size) // 2)
    plain = repeated.reset_index(drop=True)
    fits = {
        "pyfixest": lambda f: pyfixest.feols("y ~ x", f).se(),
        "linearmodels": lambda f: IV2SLS(f["y"], f[["one", "x"]], None, None).fit().std_errors,
        "rdrobust": lambda f: rdrobust(f["y"], f["x"]).se,
        "statsmodels": lambda f: OLS(f["y"], f[["one", "x"]]).fit(cov_type="HC1").bse,
    }
    for name, fit in fits.items():
        np.testing.assert_allclose(
            np.asarray(fit(repeated)), np.asarray(fit(plain)), rtol=1e-10, err_msg=name
        )
