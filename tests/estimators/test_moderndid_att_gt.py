"""Group-time effects against the library called directly and against differences by hand."""

import warnings

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
ROLES = Roles(unit="unit", time="time", cohort="cohort", covariates=("x",))
KEYS = {"y": "lemp", "time": "year", "unit": "countyreal", "cohort": "first.treat", "x": "lpop"}


pytestmark = pytest.mark.filterwarnings(
    "ignore:No pre-treatment periods:UserWarning", "ignore:The Wald pre-test:UserWarning"
)


@pytest.fixture(scope="module")
def counties():
    import moderndid

    return moderndid.load_mpdta().to_pandas()


@pytest.fixture(scope="module")
def problem(counties):
    columns = {key: counties[name].to_numpy() for key, name in KEYS.items()}
    treated = (columns["cohort"] > 0) & (columns["time"] >= columns["cohort"])
    return Problem({**columns, "d": treated.astype(float)}, ROLES, (ATT,))


def fit(name, problem, seed=1, **options):
    return find_estimator(f"did/{name}").fit(problem, np.random.default_rng(seed), **options)


def direct(counties, kind="simple", **options):
    import moderndid

    names = {"yname": "lemp", "tname": "year", "idname": "countyreal", "gname": "first.treat"}
    effects = moderndid.att_gt(counties, **names, cband=False, **options)
    return moderndid.aggte(effects, kind)


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("att-gt", "simple", {}),
        ("att-gt-not-yet-treated", "simple", {"control_group": "notyettreated"}),
        ("att-gt-group", "group", {}),
        ("att-gt-calendar", "calendar", {}),
        ("att-gt-dr", "simple", {"xformla": "~ lpop", "est_method": "dr"}),
        ("att-gt-reg", "simple", {"xformla": "~ lpop", "est_method": "reg"}),
        ("att-gt-ipw", "simple", {"xformla": "~ lpop", "est_method": "ipw"}),
    ],
)
def test_each_is_the_librarys_aggregate(counties, problem, name, kind, options):
    given, expected = fit(name, problem), direct(counties, kind, **options)
    assert given.value == pytest.approx(expected.overall_att, rel=1e-9)
    assert given.se == pytest.approx(expected.overall_se, rel=1e-9)


def test_minimum_wages_give_the_published_average(problem):
    given = fit("att-gt", problem)  # Callaway and Sant'Anna's example: -0.0400 (0.0120)
    assert (given.value, given.se) == pytest.approx((-0.0400, 0.0120), abs=3e-4)


def test_without_covariates_it_is_a_difference_of_mean_changes(counties, problem):
    table = counties.pivot(index="countyreal", columns="year", values="lemp")
    cohort = counties.groupby("countyreal")["first.treat"].first()
    total, cells = 0.0, 0
    for g in (2004, 2006, 2007):
        for year in range(g, 2008):
            change = table[year] - table[g - 1]
            size = (cohort == g).sum()
            total += size * (change[cohort == g].mean() - change[cohort == 0].mean())
            cells += size
    assert fit("att-gt", problem).value == pytest.approx(total / cells, rel=1e-9)


def test_horizons_have_bands_that_are_wider_and_come_from_the_stream(counties, problem):
    one, again, other = (fit("att-gt-dynamic", problem, seed) for seed in (1, 1, 2))
    expected = direct(counties, "dynamic")
    at = dict(zip(expected.event_times, expected.att_by_event, strict=True))
    for k in range(4):
        given = one[Target(Estimand.ATT, k)]
        assert given.value == pytest.approx(at[k], rel=1e-9)
        assert given.band_low < given.low < given.high < given.band_high
    first = Target(Estimand.ATT, 0)
    assert one[first].band_low == again[first].band_low != other[first].band_low
    assert one[ATT].value == fit("att-gt", problem).value


def test_errors_clustered_above_the_unit_are_bootstrapped_and_seeded(counties, problem):
    import moderndid

    state = problem.columns["unit"] // 1000
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="state")
    above = Problem({**problem.columns, "state": state}, roles, (ATT,))
    one, again = fit("att-gt", above), fit("att-gt", above)
    names = {"yname": "lemp", "tname": "year", "idname": "countyreal", "gname": "first.treat"}
    rng = np.random.default_rng(1)
    effects = moderndid.att_gt(
        counties.assign(state=state), **names, boot=True, cband=False, clustervars=["state"],
        random_state=rng,
    )  # fmt: skip
    expected = moderndid.aggte(effects, "simple", random_state=rng)
    assert one.se == again.se == pytest.approx(expected.overall_se, rel=1e-9)
    assert one.value == pytest.approx(expected.overall_att)
    assert one.se != fit("att-gt", problem).se
    alone = Problem({**above.columns, "state": 0 * state}, roles, (ATT,))
    with pytest.raises(Declined, match="one cluster"):
        fit("att-gt", alone)


def test_repeated_cross_sections_give_the_difference_of_four_means():
    scenario = find_scenario("did/repeated-cross-sections")()
    draw = scenario.draw(400, stream("test", "rc"))
    problem = Problem.of(draw, scenario.assigned_roles(), scenario.targets())
    y, g, t = (problem.columns[name] for name in ("y", "cohort", "time"))
    mean = {(a, b): y[(g == a) & (t == b)].mean() for a in (0, 1) for b in (0, 1)}
    expected = mean[1, 1] - mean[1, 0] - mean[0, 1] + mean[0, 0]
    assert fit("att-gt", problem).value == pytest.approx(expected, rel=1e-9)


def test_without_never_treated_units_the_last_cohort_takes_their_part():
    scenario = find_scenario("did/staggered")(noise=0.0, growth=0.05, heterogeneity=0.1)
    draw = scenario.draw(50, stream("test", "staggered"))
    problem = Problem.of(draw, scenario.assigned_roles(), scenario.targets())
    truth = scenario.truth()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without noise there is no pre-test and there are no bands
        for name in ("att-gt", "att-gt-not-yet-treated"):
            assert fit(name, problem).value == pytest.approx(truth[ATT], abs=1e-9)
        study = fit("att-gt-dynamic", problem)
    assert all(study[t].value == pytest.approx(truth[t], abs=1e-9) for t in problem.targets)


@pytest.mark.parametrize("cohort", [0, 1, 4, 9])
def test_data_without_a_comparison_are_declined_in_words(cohort):
    unit, time = (column.ravel() for column in np.indices((20, 6)) + 1)
    columns = {"y": np.ones(120), "d": (time >= 4.0), "unit": unit, "time": time}
    columns["cohort"] = np.full(120, cohort)
    with pytest.raises(
        Declined, match=r"nobody adopts after the first period|all rows are treated"
    ):
        fit("att-gt", Problem(columns, Roles(unit="unit", time="time", cohort="cohort"), (ATT,)))
