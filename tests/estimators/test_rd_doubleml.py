"""RDFlex as its users call it, with folds and seeds of our own."""

from dataclasses import replace

import numpy as np
import pytest

from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream


def problem_of(name, n=600):
    scenario = find_scenario(name)()
    draw = scenario.draw(n, stream("test", name))
    return Problem.of(draw, scenario.roles, scenario.targets())


@pytest.mark.parametrize("name", ["rd/loyalty-strong-covariates", "rd/fuzzy"])
def test_it_is_rdrobust_on_what_the_folds_leave_of_the_outcome(name):
    """Go the library's two rounds by hand: predict at the cutoff, cross-fitted, and subtract."""
    from rdrobust import rdbwselect, rdrobust
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    problem, fuzzy = problem_of(name), name == "rd/fuzzy"
    ours = find_estimator("doubleml/rdflex" + "-fuzzy" * fuzzy).fit(problem, stream("fit"))
    rng = stream("fit")
    rng.integers(2**31)
    split = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    y, d, z = problem.outcome, problem.treatment, problem.covariates
    x = problem.running - problem.roles.cutoff
    above = (x >= 0)[:, None]
    folds = list(split.split(z, d))

    def left(values, learner, weights):
        predict = (
            (lambda m, w: m.predict(w))
            if learner is LinearRegression
            else (lambda m, w: m.predict_proba(w)[:, 1])
        )
        eta = np.empty(values.size)
        for train, test in folds:
            model = learner().fit(np.hstack([above, z])[train], values[train], weights[train])
            zeros = np.zeros((test.size, 1))
            sides = [predict(model, np.hstack([zeros + s, z[test]])) for s in (0, 1)]
            eta[test] = np.mean(sides, axis=0)
        return values - eta

    h = rdbwselect(y, x, fuzzy=d if fuzzy else None).bws.to_numpy().max()
    for bandwidths in (False, True):
        weights = np.clip(1 - np.abs(x) / h, 0, None)
        take_up = left(d, LogisticRegression, weights) if fuzzy else None
        options = {"h": h, "b": b} if bandwidths else {}  # noqa: F821 - of the first round
        fit = rdrobust(left(y, LinearRegression, weights), x, fuzzy=take_up, **options)
        h, b = fit.bws.loc["h"].max(), fit.bws.loc["b"].max()  # noqa: F841
    assert ours.value == pytest.approx(fit.coef.loc["Robust"].item(), rel=1e-8)
    assert ours.se == pytest.approx(fit.se.loc["Robust"].item(), rel=1e-8)
    assert (ours.low, ours.high) == pytest.approx(tuple(fit.ci.loc["Robust"]), rel=1e-8)


def test_forests_and_folds_follow_rng_and_no_global_state():
    problem, fit = problem_of("rd/loyalty"), find_estimator("doubleml/rdflex").fit
    values = []
    for seed, part in ((1, "a"), (2, "a"), (1, "b")):
        np.random.seed(seed)
        values.append(fit(problem, stream(part), learner="forest", folds=2).value)
    assert values[0] == values[1] != values[2]


def test_strong_covariates_shorten_the_interval_and_others_do_not():
    for name, low, high in (("rd/loyalty-strong-covariates", 0, 0.7), ("rd/loyalty", 0.85, 1.2)):
        problem = problem_of(name, 2000)
        adjusted = find_estimator("doubleml/rdflex").fit(problem, stream("fit"))
        plain = find_estimator("rdrobust/robust").fit(problem, None)
        assert low < adjusted.se / plain.se < high


def test_bad_data_are_declined_in_words():
    problem, fit = problem_of("rd/loyalty"), find_estimator("doubleml/rdflex").fit
    c = problem.columns
    for changed, reason in (
        ({"d": np.ones(600)}, "all rows are treated"),
        ({"x": c["x"] + 5}, "no rows on one side"),
        ({"x": np.rint(10 * c["x"])}, "whole numbers"),
    ):
        with pytest.raises(Declined, match=reason):
            fit(replace(problem, columns={**c, **changed}), stream("fit"))
