"""What the `doubleml` adapters share: seeded learners, folds that are handed over, one answer.

The learners are least squares and an unpenalised logit ("linear") or random forests ("forest").
Folds and learner seeds come from the estimator's own stream.
"""

from typing import Any

import numpy as np

from cibench import Estimate
from cibench.model import Array

FOREST = {"n_estimators": 100, "min_samples_leaf": 5}


def regressor(learner: str, seed: int) -> Any:
    """Return the learner of a mean."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LinearRegression

    if _known(learner) == "linear":
        return LinearRegression()
    return RandomForestRegressor(**FOREST, random_state=seed)


def classifier(learner: str, seed: int) -> Any:
    """Return the learner of a probability."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    if _known(learner) == "linear":
        return LogisticRegression(C=np.inf, max_iter=1000)
    return RandomForestClassifier(**FOREST, random_state=seed)


def _known(learner: str) -> str:
    if learner not in ("linear", "forest"):
        raise ValueError(f"no learner named '{learner}'; there are 'linear' and 'forest'")
    return learner


def split(model: Any, strata: Array, folds: int, seed: int) -> None:
    """Hand a model its folds, which hold each stratum in like shares."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    model.set_sample_splitting([list(splitter.split(np.zeros(strata.size), strata))])


def estimate(framework: Any, level: float, row: int = 0) -> Estimate:
    """Return what a fitted framework says of one parameter."""
    low, high = framework.confint(level=level).to_numpy()[row]
    value, se, p = framework.thetas[row], framework.ses[row], framework.pvals[row]
    return Estimate(float(value), float(se), float(low), float(high), p_value=float(p))
