"""What the suite `quirks` states to be equal: every identity that theory gives of our methods.

`EVERYWHERE` are those that hold whatever the options and the form of the data; `CELLS` are tables
of their own for those that need one instrument, one date of adoption, strata or a coin. A number
is compared only where both libraries define it alike: small-sample factors and degrees of freedom
differ between libraries, estimates must not.
"""

ALL = ("estimate", "std_error", "limits", "p_value")
BOTH = ("estimate", "std_error")
SOLVER = 0.01
"""How near two numerical optimisers come, in standard errors."""

NUMBERS = ["double", "single", "whole"]


def equal(*methods, of=("estimate",), within=None, why):
    stated = {"methods": list(methods), "of": list(of), "within": within, "why": why}
    return {key: value for key, value in stated.items() if value is not None}


def cell(scenario, n, statements, *, options=None, more=(), **parameters):
    """Return a table of those whom the statements name, and some more."""
    names = [name for statement in statements for name in statement["methods"]]
    table = {
        "scenario": scenario, "n": n, "parameters": parameters,
        "estimators": sorted({*names, *more}), "options": options or {}, "equal": statements,
    }  # fmt: skip
    return {key: value for key, value in table.items() if value != {}}


TWFE = (
    "panel/twfe", "panel/twfe-clustered", "panel/twfe-driscoll-kraay", "panel/twfe-few-clusters",
    "panel/twfe-unadjusted", "panel/twfe-wild-bootstrap", "panel/twfe-wild-bootstrap-unrestricted",
)  # fmt: skip
GROUP_TIME = ("did/att-gt", "did/att-gt-calendar", "did/att-gt-dynamic", "did/att-gt-group",
              "did/att-gt-not-yet-treated")  # fmt: skip
STRATIFIED = ("aipw/linear", "ipw/horvitz-thompson", "ipw/normalised", "regression/by-arm")

EVERYWHERE = [
    equal(*TWFE, why="errors differ, the regression does not"),
    equal("linearmodels/2sls", "linearmodels/gmm-unadjusted", of=ALL,
          why="GMM whose weights take variances for equal is two-stage least squares"),
    equal("linearmodels/2sls", "linearmodels/2sls-robust", why="errors differ"),
    equal("linearmodels/liml", "linearmodels/liml-robust", why="errors differ"),
    equal("linearmodels/ols", "statsmodels/ols", "regression/before-treatment",
          why="least squares; no covariate comes after treatment"),
    equal("hac/kernel", "hac/newey-west", why="errors differ"),
    equal("aipw/linear", "statsmodels/aipw", of=BOTH, within=SOLVER,
          why="the same moments; the library's are solved by an optimiser"),
    equal("ipw/normalised", "statsmodels/ipw", of=BOTH, within=SOLVER,
          why="the same moments; the library's are solved by an optimiser"),
    equal("arms/difference-in-means", "naive/difference-in-means", of=BOTH,
          why="dummies of two arms are one treatment; both have HC2 errors"),
    equal("arms/adjusted", "regression/by-arm",
          why="least squares in each arm, at the mean of all covariates"),
    equal("sc/did", "did/collapsed", why="all donors count alike, all periods before count alike"),
]  # fmt: skip

ONE_INSTRUMENT = [
    equal("linearmodels/2sls", "linearmodels/liml", "linearmodels/gmm-unadjusted", of=ALL,
          why="just identified: all are the ratio of two covariances"),
    equal("linearmodels/2sls-robust", "linearmodels/liml-robust", "linearmodels/gmm", of=ALL,
          why="just identified: weights do not matter"),
    equal("iv/anderson-rubin", "linearmodels/2sls", of=("inside",),
          why="just identified: the ratio makes the statistic zero"),
    equal("iv/plausibly-exogenous", "linearmodels/2sls", of=("limits", "inside"),
          why="no direct effect: one interval"),
]  # fmt: skip

ONE_DATE = [
    equal("panel/twfe", "did/collapsed", "did/did2s",
          why="one date, balanced: a difference of mean changes"),
    equal(*GROUP_TIME, "did/collapsed-last", "did/lpdid", "did/saturated",
          why="one date, balanced: changes from the last period before adoption"),
    equal(*GROUP_TIME, of=BOTH, why="one cohort: every aggregate is the average over periods"),
    equal("did/att-gt-earlier-base", "did/collapsed-earlier", why="the period before that"),
]  # fmt: skip

TWO_PERIODS = [
    equal("panel/twfe", "panel/first-difference", "did/collapsed", "did/collapsed-last",
          "did/lpdid", "did/saturated", *GROUP_TIME, why="two periods: one change a unit"),
    equal("panel/twfe", "panel/twfe-covariates",
          why="covariates that do not change fall out of changes"),
    equal("drdid/or", "did/att-gt-reg", of=BOTH, why="one group, two periods: one formula"),
    equal("drdid/ipw-normalised", "did/att-gt-ipw", of=BOTH,
          why="one group, two periods: one formula"),
    equal("drdid/dr", "did/att-gt-dr", of=BOTH, why="one group, two periods: one formula"),
]  # fmt: skip

SATURATED = equal(
    "did/saturated", "did/att-gt", "did/att-gt-dynamic",
    why="never-treated controls, balanced, the last period before adoption as base: Sun and "
    "Abraham's interactions are group-time effects, and both are weighted by treated rows",
)  # fmt: skip


def _cutoff(kernel):
    names = ("bias-corrected", "conventional", "donut", "masspoints-off", "robust")
    own = {f"rdrobust/{name}": {"kernel": kernel} for name in names if kernel != "tri"}
    own["rdrobust/donut"] = {**own.get("rdrobust/donut", {}), "hole": 0.0}
    own["rdrobust/robust"] = {**own.get("rdrobust/robust", {}), "masspoints": "off"}
    own["rdrobust/bias-corrected"] = {
        **own.get("rdrobust/bias-corrected", {}), "masspoints": "off",
    }  # fmt: skip
    return own


AT_CUTOFF = [
    equal("rdrobust/robust", "rdrobust/masspoints-off", "rdrobust/donut", of=ALL,
          why="no value is there twice, no row is left out"),
    equal("rdrobust/robust", "rdrobust/bias-corrected", why="errors differ"),
    equal("rdrobust/conventional", "rdrobust/bias-corrected", of=("std_error",),
          why="the correction's own noise is ignored"),
]  # fmt: skip

CELLS = [
    cell("quirks/late", 200, ONE_INSTRUMENT, numbers=NUMBERS,
         options={"iv/plausibly-exogenous": {"direct": 0.0}}),
    cell("quirks/regression", 120,
         [equal("statsmodels/ols", "regression/before-treatment", of=ALL,
                why="HC1 errors, no covariate comes after treatment"),
          equal("statsmodels/ols", "bayes/linear-regression", within=SOLVER,
                why="a prior that says next to nothing")],
         numbers=NUMBERS, covariates=["one", "category"]),
    cell("quirks/series", 120,
         [equal("hac/kernel", "hac/newey-west", of=("estimate", "std_error", "limits"),
                why="Bartlett weights up to lag 2")],
         options={"hac/kernel": {"bandwidth": 2}, "hac/newey-west": {"lags": 2}},
         rows=["sorted", "shuffled"]),
    *(cell("quirks/rd", 400, AT_CUTOFF, options=_cutoff(kernel), cutoff=["zero", "far"])
      for kernel in ("tri", "uni", "epa")),
    cell("quirks/rd", 400,
         [equal("rd/global-polynomial", "rd/global-polynomial-2", of=ALL, why="order 2")],
         options={"rd/global-polynomial": {"order": 2}}, numbers=NUMBERS),
    cell("quirks/arms", 200,
         [equal("ipw/normalised", "ipw/trimmed", of=("estimate", "std_error", "limits"),
                why="a threshold of 0 drops nobody")],
         options={"ipw/trimmed": {"threshold": 0.0}}, numbers=NUMBERS),
    cell("quirks/strata", 200,
         [equal(*STRATIFIED, of=("estimate", "std_error", "limits"),
                why="one covariate of zeros and ones saturates every model"),
          equal("regression/by-arm", "statsmodels/ipw", of=BOTH, within=SOLVER,
                why="the same; solved by an optimiser"),
          equal("matching/nearest-neighbour", "regression/by-arm", why="exact matches, all ties"),
          equal("statsmodels/ols", "weighted/frequency", "weighted/survey", of=ALL,
                why="weights and frequencies of one")]),
    cell("quirks/strata-att", 200,
         [equal(*STRATIFIED, of=("estimate", "std_error", "limits"),
                why="one covariate of zeros and ones saturates every model"),
          equal("matching/nearest-neighbour", "regression/by-arm", why="exact matches, all ties")]),
    cell("quirks/trial", 1000,
         [equal("aipw/linear", "ipw/normalised", "regression/by-arm", "statsmodels/ols",
                within=0.1, why="a coin decides: one influence function, so to first order")]),
    cell("did/two-group", 40, ONE_DATE),
    cell("quirks/donors", 50,
         [equal("panel/twfe", "did/collapsed", why="one date, balanced"),
          equal("pysyncon/sc", "pysyncon/penalised", within=SOLVER, why="a penalty of nothing"),
          equal("pysyncon/sc", "pysyncon/augmented", within=SOLVER,
                why="a penalty that leaves no correction")],
         options={"pysyncon/sc": {"placebos": 4},
                  "pysyncon/penalised": {"lambda_": 0.0, "placebos": 4},
                  "pysyncon/augmented": {"lambda_": 1e12, "placebos": 4}}),
    cell("did/two-period", 60, TWO_PERIODS),
    cell("quirks/two-period", 120, TWO_PERIODS, numbers=NUMBERS),
    *(cell("quirks/panel", 48, [SATURATED], numbers=numbers, rows=rows, labels=labels)
      for numbers, rows, labels in (("double", "sorted", "small"), ("single", "shuffled", "large"),
                                    ("whole", "backwards", "small"))),
    cell("did/staggered", 100, [SATURATED], never=[0.0, 0.25], horizons=2),
]  # fmt: skip

ALONE = {
    "baseline/zero": "looks at no data",
    "binary/standardised": "nobody else averages a logit's risks",
    "binary/table": "nobody else looks at two shares alone",
    "lifelines/cox": "nobody else has hazards",
    "lifelines/rmst": "nobody else has survival curves",
    "bayes/experiment": "a prior that says something, and 30 units",
    "did/collapsed-detrended": "nobody else extrapolates lines",
    "did/honest-*": "limits for trends that stray, of which nobody else has any",
    "did/att-gt-pre-test": "no other test has its statistic",
    "did/pre-slopes": "likewise",
    "panel/placebo-adoption": "likewise",
    "panel/pre-trends": "likewise",
    "doubleml/*": "cross-fitted: folds come from the method's own seed",
    "drdid/dr-improved": "tilted propensities, which nobody else has",
    "drdid/ipw": "not normalised: att_gt has normalised weights alone",
    "iv/*-f": "one robust, one not: equal in no sample",
    "linearmodels/hansen-j": "two-step weights",
    "linearmodels/sargan": "weights for equal variances",
    "lasso/double-selection": "which covariates it picks depends on the noise",
    "naive/complete-cases": "nobody else leaves covariates out of a mean",
    "observables/*": "no other test has its statistic",
    "oracle/*": "random halves from the method's own seed",
    "pooling/*": "three weights of the same units, different on purpose",
    "pysyncon/robust": "denoised donors, free weights",
    "rd/bayesian-local-linear": "a prior and a bandwidth of its own",
    "rd/covariate-balance": "no other test has its statistic",
    "rd/donut-comparison": "likewise",
    "rd/placebo-cutoffs": "likewise",
    "rddensity/density": "likewise",
    "rd/global-polynomial-[1345]": "as of order 2: one function makes them all",
    "rd/local-linear": "a bandwidth by hand, HC1 errors",
    "rdrobust/clustered*": "clusters choose the bandwidth",
    "rdrobust/covariates": "adjusts for what nobody else at a cutoff looks at",
    "rdrobust/fuzzy": "a sharp design has another estimand",
    "sc/pre-fit": "no other test has its statistic",
    "sc/sdid": "weights for periods, which nobody else has",
    "twin/*": "synthetic rows from the method's own seed",
}
"""Who is in no identity, and why theory gives none in a data set, or none in reach of the suite."""
