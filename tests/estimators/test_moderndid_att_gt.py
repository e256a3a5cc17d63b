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


def test_bands_are_at_the_problems_level(counties, problem):
    import moderndid

    narrow = Problem(problem.columns, problem.roles, problem.targets, 0.8)
    names = {"yname": "lemp", "tname": "year", "idname": "countyreal", "gname": "first.treat"}
    rng = np.random.default_rng(1)
    effects = moderndid.att_gt(counties, **names, alp=0.2, cband=False, random_state=rng)
    study = moderndid.aggte(
        effects, "dynamic", boot=True, cband=True, biters=1000, random_state=rng
    )
    reach = study.se_by_event * study.critical_values
    given = fit("att-gt-dynamic", narrow)
    for k, expected in zip(study.event_times, reach, strict=True):
        found = given[Target(Estimand.ATT, int(k))]
        assert found.band_high - found.value == pytest.approx(expected, rel=1e-9)
    wide = fit("att-gt-dynamic", problem)[Target(Estimand.ATT, 0)]
    found = given[Target(Estimand.ATT, 0)]
    assert found.band_high - found.band_low < 0.9 * (wide.band_high - wide.band_low)


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


NAMES_OF_UNBALANCED = ("att-gt", "att-gt-not-yet-treated", "att-gt-group", "att-gt-calendar",
                       "att-gt-dynamic", "att-gt-earlier-base")  # fmt: skip


def with_gaps(share, n=240, seed=1):
    """Return a staggered panel of which a share of the rows is missing at random."""
    scenario = find_scenario("quirks/panel")()
    drawn = scenario.draw(n, np.random.default_rng(seed))
    kept = np.random.default_rng(100 + seed).random(drawn.baseline.size) >= share
    columns = {name: column[kept] for name, column in drawn.columns.items()}
    return Problem(columns, scenario.assigned_roles(), (ATT,))


def overall(answer):
    return answer[ATT] if isinstance(answer, dict) else answer


@pytest.mark.parametrize("name", [*NAMES_OF_UNBALANCED, "att-gt-pre-test", "honest-smoothness"])
def test_a_panel_with_missing_rows_is_declined_and_the_units_are_named(name):
    with pytest.raises(Declined, match=r"takes a balanced panel: 1\d\d units \(.*\) miss periods"):
        fit(name, with_gaps(0.15))
    assert overall(fit(name, with_gaps(0))) is not None


@pytest.mark.filterwarnings(
    "ignore:Be aware that there are some small groups:UserWarning",
    "ignore:.*units have unbalanced observations:UserWarning",
)
@pytest.mark.parametrize("name", NAMES_OF_UNBALANCED)
def test_dropping_units_is_the_library_on_those_that_are_complete_and_says_so(name):
    gaps = with_gaps(0.15)
    units, seen = np.unique(gaps.columns["unit"], return_counts=True)
    whole = np.isin(gaps.columns["unit"], units[seen == 6])
    complete = Problem({k: c[whole] for k, c in gaps.columns.items()}, gaps.roles, (ATT,))
    with pytest.warns(UserWarning, match=f"Dropped {np.sum(seen < 6)} units"):
        dropped = overall(fit(name, gaps, unbalanced="drop"))
    alone = overall(fit(name, complete))
    assert (dropped.value, dropped.se) == pytest.approx((alone.value, alone.se), rel=1e-9)


def by_means(problem):
    """Return the simple aggregate from means of the rows there are (no library)."""
    c = problem.columns
    mean = {
        (g, t): c["y"][(c["cohort"] == g) & (c["time"] == t)].mean()
        for g in (0, 3, 4)
        for t in range(1, 7)
    }
    effects, weights = [], []
    for g in (3, 4):
        for t in range(g, 7):
            change = mean[g, t] - mean[g, g - 1] - mean[0, t] + mean[0, g - 1]
            effects.append(change)
            weights.append(np.sum(c["cohort"] == g))
    return np.average(effects, weights=weights)


def test_rows_by_themselves_give_the_differences_of_their_means():
    gaps = with_gaps(0.15)
    assert fit("att-gt", gaps, unbalanced="rows").value == pytest.approx(by_means(gaps), rel=1e-9)
    balanced = with_gaps(0)
    for way in ("decline", "drop", "rows"):
        assert fit("att-gt", balanced, unbalanced=way).value == pytest.approx(by_means(balanced))


def test_rows_by_themselves_have_errors_that_know_their_units():
    found = [
        fit("att-gt", with_gaps(0.15, seed=s), unbalanced="rows", biters=300) for s in range(60)
    ]
    values, errors = (np.array([getattr(f, part) for f in found]) for part in ("value", "se"))
    assert values.mean() == pytest.approx(2, abs=4 * values.std() / np.sqrt(60))
    ratio = errors.mean() / values.std(ddof=1)
    assert ratio == pytest.approx(1, abs=4 / np.sqrt(2 * 59))


def test_what_cannot_be_done_with_gaps_is_told():
    gaps = with_gaps(0.15)
    with pytest.raises(ValueError, match="unbalanced = 'fill' is none of decline, drop, rows"):
        fit("att-gt", gaps, unbalanced="fill")
    for name in ("att-gt-pre-test", "honest-smoothness"):
        with pytest.raises(ValueError, match="does not cluster them by unit"):
            fit(name, gaps, unbalanced="rows")
    with pytest.raises(Declined, match="no unit is seen in every period"):
        fit("att-gt", with_gaps(0.9), unbalanced="drop")
    c = {k: np.append(column, column[:1]) for k, column in with_gaps(0).columns.items()}
    with pytest.raises(Declined, match="unit 0 is seen twice in a period"):
        fit("att-gt", Problem(c, gaps.roles, (ATT,)), unbalanced="rows")


def test_the_librarys_own_option_still_fails():
    """When it works it takes the place of "rows"."""
    import moderndid

    frame = with_gaps(0.15).frame
    with pytest.raises(TypeError):
        moderndid.att_gt(
            frame, "y", "time", "unit", "cohort", allow_unbalanced_panel=True, cband=False
        )


def test_a_covariate_that_is_fixed_among_the_never_treated_is_named(problem):
    x = np.where(problem.columns["cohort"] == 0, 1.0, problem.columns["x"])
    other = Problem({**problem.columns, "x": x}, ROLES, (ATT,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(
            Declined, match="of the never-treated are collinear: column 'x' follows"
        ):
            fit("att-gt-reg", other)
