"""The pyfixest adapters against the library called directly and against regressions by hand."""

import numpy as np
import pytest

from cibench import (
    Declined,
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.model.streams import stream

ATT = Target(Estimand.ATT)
LATER = tuple(Target(Estimand.ATT, k) for k in range(3))
ROLES = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
NAMES = {"yname": "l_homicide", "idname": "sid", "tname": "year", "gname": "cohort"}
pytestmark = pytest.mark.filterwarnings(
    "ignore:The SaturatedEventStudyClass:UserWarning",
    "ignore:The inplace keyword",
    r"ignore:\s+\d+ variables dropped:UserWarning",
    "ignore:Be aware that there are some small groups:UserWarning",
    "ignore:Not returning pre-test:UserWarning",
)


@pytest.fixture(scope="module")
def castle():
    from causaldata import castle

    data = castle.load_pandas().data[["sid", "year", "post", "l_homicide"]]
    data = data.astype({"sid": int, "year": int, "post": int})
    began = data[data["post"] == 1].groupby("sid")["year"].min()
    return data.assign(cohort=data["sid"].map(began).fillna(0).astype(int))


@pytest.fixture(scope="module")
def problem(castle):
    names = {"y": "l_homicide", "d": "post", "unit": "sid", "time": "year", "cohort": "cohort"}
    columns = {key: castle[name].to_numpy() for key, name in names.items()}
    columns["time"] = columns["time"].astype(np.int16)  # as the file has it
    return Problem(columns, ROLES, (ATT, *LATER))


def fit(name, problem, level=0.95):
    asked = Problem(problem.columns, problem.roles, problem.targets, level)
    return find_estimator(f"did/{name}").fit(asked, None)


def test_two_way_fixed_effects_on_castle_are_goodman_bacons(problem):
    given = find_estimator("panel/twfe").fit(problem, None)
    assert given.value == pytest.approx(0.069398, abs=5e-7)


def test_did2s_is_the_librarys_and_averages_residuals_of_untreated_effects(castle, problem):
    import pyfixest

    given = fit("did2s", problem)
    direct = pyfixest.event_study(castle, **NAMES, estimator="did2s", cluster="sid").tidy().iloc[0]
    total = given[ATT]
    assert (total.value, total.se) == pytest.approx((direct["Estimate"], direct["Std. Error"]))
    assert (total.low, total.high) == pytest.approx((direct["2.5%"], direct["97.5%"]))
    y, d, unit, time, cohort = (problem.columns[k] for k in ("y", "d", "unit", "time", "cohort"))
    dummies = np.column_stack([unit[:, None] == np.unique(unit), time[:, None] == np.unique(time)])
    beta, *_ = np.linalg.lstsq(dummies[d == 0], y[d == 0], rcond=None)
    rest = y - dummies @ beta
    assert total.value == pytest.approx(rest[d == 1].mean(), rel=1e-6)
    for k, target in enumerate(LATER):
        assert given[target].value == pytest.approx(rest[(d == 1) & (time - cohort == k)].mean())


def test_local_projections_are_the_librarys(castle, problem):
    import pyfixest

    given = fit("lpdid", problem)
    for overall in (True, False):
        direct = pyfixest.lpdid(castle, **NAMES, vcov={"CRV1": "sid"}, att=overall).tidy()
        for target in (ATT,) if overall else LATER:
            row = direct.loc["treat_diff" if overall else f"time_to_treatment::{target.horizon}"]
            numbers = (row["Estimate"], row["Std. Error"], row["2.5%"], row["97.5%"])
            one = given[target]
            assert (one.value, one.se, one.low, one.high) == pytest.approx(numbers, rel=1e-6)


def test_saturated_horizons_are_the_librarys_and_the_average_has_the_shares_of_rows(
    castle, problem
):
    import pyfixest

    given = fit("saturated", problem)
    library = pyfixest.event_study(castle, **NAMES, estimator="saturated", cluster="sid")
    direct = library.aggregate()
    for target in LATER:
        row, one = direct.loc[target.horizon], given[target]
        numbers = (row["Estimate"], row["Std. Error"], row["2.5%"], row["97.5%"])
        assert (one.value, one.se, one.low, one.high) == pytest.approx(numbers, rel=1e-6)
    since = (castle["year"] - castle["cohort"])[castle["post"] == 1]
    shares = since.value_counts(normalize=True)
    expected = sum(share * direct.loc[k, "Estimate"] for k, share in shares.items())
    assert given[ATT].value == pytest.approx(expected, rel=1e-6)


def test_errors_are_clustered_by_the_cluster_where_it_is_coarser_than_the_unit(castle, problem):
    import pyfixest

    region = castle["sid"] // 5
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="region")
    above = Problem({**problem.columns, "region": region.to_numpy()}, roles, problem.targets)
    frame = castle.assign(region=region)
    two_stage = pyfixest.event_study(frame, **NAMES, estimator="did2s", cluster="region").tidy()
    assert fit("did2s", above)[ATT].se == pytest.approx(two_stage["Std. Error"].iloc[0])
    local = pyfixest.lpdid(frame, **NAMES, vcov={"CRV1": "region"}, att=True).tidy()
    assert fit("lpdid", above)[ATT].se == pytest.approx(local.loc["treat_diff", "Std. Error"])
    library = pyfixest.event_study(frame, **NAMES, estimator="saturated", cluster="region")
    direct, given = library.aggregate(), fit("saturated", above)
    for target in LATER:
        row = direct.loc[target.horizon]
        assert given[target].se == pytest.approx(row["Std. Error"], rel=1e-6)
    for name in ("did2s", "lpdid", "saturated"):
        assert fit(name, above)[ATT].se != pytest.approx(fit(name, problem)[ATT].se, rel=1e-3)


def test_without_covariates_saturated_is_callaway_and_santanna(problem):
    ours = fit("saturated", problem)[ATT].value
    theirs = find_estimator("did/att-gt").fit(problem, np.random.default_rng(1)).value
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_the_level_is_the_problems(problem):
    for name in ("did2s", "lpdid", "saturated"):
        wide, narrow = fit(name, problem)[ATT], fit(name, problem, level=0.8)[ATT]
        assert narrow.value == wide.value
        assert narrow.high - narrow.low == pytest.approx((wide.high - wide.low) * 0.65, rel=0.02)


def test_staggered_effects_without_noise_are_the_truth():
    scenario = find_scenario("did/staggered")(noise=0.0, growth=0.05, heterogeneity=0.1)
    draw = scenario.draw(50, stream("test", "staggered"))
    problem = Problem.of(draw, scenario.assigned_roles(), scenario.targets())
    for name in ("did2s", "saturated"):
        given = fit(name, problem)
        for target, truth in scenario.truth().items():
            assert given[target].value == pytest.approx(truth, abs=1e-7)


@pytest.mark.parametrize("name", ["did2s", "lpdid", "saturated"])
def test_without_never_treated_units_the_last_cohort_takes_their_part(name):
    scenario = find_scenario("did/staggered")()
    draw = scenario.draw(50, stream("test", "no never"))
    problem = Problem.of(draw, scenario.assigned_roles(), scenario.targets()[:3])
    c = problem.columns
    assert c["cohort"].min() == 1989 and c["cohort"].max() == 2007
    before = c["time"] < 2007
    columns = {key: column[before] for key, column in c.items()}
    columns["cohort"] = np.where(columns["cohort"] == 2007, 0, columns["cohort"])
    given, coded = fit(name, problem), fit(name, Problem(columns, problem.roles, problem.targets))
    for target in problem.targets:
        expected = coded[target].value, coded[target].se
        assert (given[target].value, given[target].se) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["did2s", "lpdid", "saturated"])
def test_unsuitable_data_are_declined_in_words(problem, name):
    always = Problem({**problem.columns, "cohort": 0 * problem.columns["unit"]}, ROLES, (ATT,))
    with pytest.raises(Declined, match="nobody adopts"):
        fit(name, always)
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="all")
    one = Problem({**problem.columns, "all": np.ones(550)}, roles, (ATT,))
    with pytest.raises(Declined, match="one cluster"):
        fit(name, one)


def test_two_periods_are_too_few_for_two_stages():
    scenario = find_scenario("did/two-period")()
    draw = scenario.draw(50, stream("test", "two"))
    problem = Problem.of(draw, scenario.assigned_roles(), (ATT,))
    with pytest.raises(Declined, match="fewer than two untreated periods"):
        fit("did2s", problem)
