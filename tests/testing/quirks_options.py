"""What the suite `quirks` crosses: places for estimators, and values for every option there is."""

from cibench.scenarios import (
    quirks_forms,
    quirks_panel,
    quirks_rd,
    quirks_regression,
    quirks_series,
    quirks_weights,
)
from cibench.testing.option_suites import Place

PLACES = {
    place.scenario.split("/")[1]: place
    for place in (
        Place("quirks/regression", 120, quirks_regression.CHOICES),
        Place("quirks/panel", 48, quirks_panel.CHOICES),
        Place("quirks/rd", 400, quirks_rd.CHOICES),
        Place("quirks/arms", 200, quirks_forms.TIES),
        Place("quirks/missing", 200, quirks_forms.TIES),
        Place("quirks/late", 200, quirks_forms.CHOICES),
        Place("quirks/fuzzy", 400, quirks_forms.CHOICES),
        Place("quirks/two-period", 120, quirks_forms.GAPS),
        Place("quirks/survey", 120, quirks_weights.CHOICES),
        Place("quirks/frequency", 120, quirks_weights.CHOICES),
        Place("quirks/series", 120, quirks_series.CHOICES),
        Place("quirks/donors", 50, quirks_forms.GAPS),
        Place("quirks/stores", 8, quirks_forms.CHOICES),
        Place("quirks/experiment", 30, quirks_forms.CHOICES),
        Place("binary/logistic", 200, {"level": (-1.0, 0.0), "effect": (0.5, -0.5)}),
        Place("survival/weibull", 120, {"shape": (1.2, 0.8), "effect": (-0.5, 0.5)}),
    )
}
"""The first that does not decline an estimator by declaration is its place, unless it is below."""

ELSEWHERE = {
    "arms/*": "arms",  # of treated and untreated
    "bayes/experiment": "experiment",  # its own prior
    "binary/*": "logistic",  # outcomes of zeros and ones
    "did/collapsed*": "donors",  # one date of adoption, late
    "did/pre-slopes": "donors",  # likewise
    "iv/plausibly-exogenous": "late",  # one instrument
    "lifelines/*": "weibull",  # censored times
    "naive/difference-in-means": "arms",  # of treated and untreated
    "observables/*": "arms",  # their propensity needs a treatment of zeros and ones
    "oracle/experiment": "arms",  # likewise
    "oracle/switchback": "stores",  # one unit's rows
    "pooling/*": "stores",  # one of them is marked as the one of interest
    "pysyncon/*": "donors",  # one date of adoption
    "sc/*": "donors",
}

LEFT_OUT = {
    "doubleml/* learner boosting": "half a second a fit; the interface is the forest's",
    "doubleml/* learner lasso": "half a second a fit (five folds for each penalty of each fold)",
    "pysyncon/* placebos *0": "a second a fit, all of it the same weights again: 4 and 6 do",
    "sc/sdid placebos 50": "likewise",
    "sc/did placebos 200": "likewise",
    "sc/pre-fit count 30": "likewise",
    "did/honest-relative-magnitudes grid_points 1000": "seconds a fit: 50 and 100 do",
}
"""Values that the suite does not walk since they are too slow, and what stands for them."""

SIZE, BITERS, FOLDS = (0.05, 0.1), (1000, 200), (5, 2)
KERNEL, CONTROLS = ("tri", "uni", "epa"), ("nevertreated", "notyettreated")
DRAWS, LEARNER = (2000, 400), ("linear", "forest")
WILD = {"draws": (999, 199), "weights": ("rademacher", "webb", "norm"), "max_clusters": (300, 48)}
PLACEBOS = {"placebos": (4, 6), "donors": (50, 20), "limits": ("normal", "ranks")}

UNBALANCED, SEPARATED = ("decline", "drop", "rows"), ("decline", "drop")

VALUES = {
    "aipw/linear": {"separated": SEPARATED},
    "bayes/experiment": {
        "prior": (1.0, 0.1), "shape": (3.0, 1.0), "rate": (2.0, 0.5), "draws": DRAWS,
    },
    "bayes/linear-regression": {
        "effect_mean": (0.0, 1.0), "effect_prior": (10.0, 0.1), "prior": (10.0, 0.1),
        "shape": (0.01, 1.0), "rate": (0.01, 1.0), "draws": DRAWS,
    },
    "did/att-gt-not-yet-treated": {"biters": BITERS, "unbalanced": UNBALANCED},
    "did/att-gt-pre-test": {
        "size": SIZE, "control_group": CONTROLS, "unbalanced": UNBALANCED[:2],
    },
    "did/att-gt-earlier-base": {
        "early": (1, 2), "control_group": CONTROLS, "biters": BITERS, "unbalanced": UNBALANCED,
    },
    "did/att-gt*": {"control_group": CONTROLS, "biters": BITERS, "unbalanced": UNBALANCED},
    "did/honest-relative-magnitudes": {
        "m_bar": (1.0, 0.5), "before": (3, 2), "grid_points": (100, 50), "control_group": CONTROLS,
        "unbalanced": UNBALANCED[:2],
    },
    "did/honest-smoothness": {
        "m": (0.0, 0.5), "before": (5, 2), "control_group": CONTROLS, "unbalanced": UNBALANCED[:2],
    },
    "did/pre-slopes": {"size": SIZE},
    "doubleml/did-multi": {
        "learner": LEARNER, "folds": FOLDS, "control_group": ("never_treated", "not_yet_treated"),
        "unbalanced": UNBALANCED[:2],
    },
    "doubleml/did": {"learner": LEARNER, "folds": FOLDS, "unbalanced": UNBALANCED[:2]},
    "doubleml/irm": {"learner": LEARNER, "folds": FOLDS, "clip": (0.01, 0.1)},
    "doubleml/*": {"learner": LEARNER, "folds": FOLDS},
    "drdid/or": {},
    "drdid/*": {"trim_level": (0.995, 0.9)},
    "hac/newey-west": {"kernel": ("bartlett", "uniform"), "lags": (None, 2)},
    "hac/kernel": {"kernel": ("bartlett", "parzen", "qs"), "bandwidth": (None, 2)},
    "ipw/trimmed": {"threshold": (0.1, 0.02), "separated": SEPARATED},
    "ipw/*": {"separated": SEPARATED},
    "iv/effective-f": {"max_bias": (0.1, 0.3)},
    "iv/first-stage-f": {"max_size": (0.1, 0.25)},
    "iv/plausibly-exogenous": {"direct": (0.1, 1.0)},
    "linearmodels/hansen-j": {"size": SIZE},
    "linearmodels/sargan": {"size": SIZE},
    "matching/nearest-neighbour": {"matches": (1, 4), "adjust": (True, False)},
    "observables/balance": {"most": (0.1, 0.25), "weighted": (True, False)},
    "observables/overlap": {"least": (0.5, 0.2)},
    "panel/placebo-adoption": {"size": SIZE, "early": (1, 2)},
    "panel/pre-trends": {"size": SIZE},
    "panel/twfe-clustered": {"count_effects": (True, False), "debiased": (True, False)},
    "panel/twfe-driscoll-kraay": {"bandwidth": (None, 2)},
    "panel/twfe-few-clusters": {"student": (True, False)},
    "panel/twfe-wild-bootstrap*": WILD,
    "pooling/conflict": {"size": SIZE},
    "pooling/heterogeneity": {"size": SIZE},
    "pooling/partial": {"method": ("iterated", "chi2")},
    "pysyncon/augmented": {"lambda_": (None, 0.1), **PLACEBOS},
    "pysyncon/penalised": {"lambda_": (0.01, 0.1), **PLACEBOS},
    "pysyncon/robust": {"rank": (4, 2), "lambda_": (0.1, 1.0), **PLACEBOS},
    "pysyncon/sc": PLACEBOS,
    "rd/bayesian-local-linear": {"bandwidth": (None, 0.5), "prior": (10.0, 0.1), "draws": DRAWS},
    "rd/donut-comparison": {"hole": (0.15, 0.05)},
    "rd/global-polynomial": {"order": (4, 2)},
    "rd/local-linear": {"bandwidth": (0.5, 0.25)},
    "rdrobust/bias-corrected": {"kernel": KERNEL, "masspoints": ("adjust", "check", "off")},
    "rdrobust/conventional": {"kernel": KERNEL, "masspoints": ("adjust", "check", "off")},
    "rdrobust/robust": {"kernel": KERNEL, "masspoints": ("adjust", "check", "off")},
    "rdrobust/donut": {"hole": (0.3, 0.05), "kernel": KERNEL},
    "rdrobust/*": {"kernel": KERNEL},
    "regression/before-treatment": {"after": ("m c", "x2")},
    "sc/did": {"placebos": (20, 10), "limits": ("normal", "ranks")},
    "sc/pre-fit": {"size": SIZE, "count": (6, 4), "donors": (50, 20)},
    "sc/sdid": {"placebos": (6, 4)},
    "statsmodels/?ipw": {"separated": SEPARATED},
    "statsmodels/ipw": {"separated": SEPARATED},
    "statsmodels/ols": {"errors": ("HC1", "HC3", "nonrobust")},
    "twin/gaussian-copula": {"bandwidth": (0.5, 0.25), "multiple": (1, 2)},
    "twin/residualised": {"bandwidth": (0.5, 0.25), "multiple": (1, 2)},
    "twin/quality": {"least": (0.9, 0.5)},
    "weighted/frequency": {"errors": ("HC1", "iid")},
    "weighted/survey": {"errors": ("HC1", "HC0")},
}  # fmt: skip
"""Values for every option that some estimator offers, its default first; the first glob counts."""
