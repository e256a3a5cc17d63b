"""Seeded learners for double machine learning: linear, lasso, random forest and boosting.

The lasso (of an indicator, an L1-penalised logit) chooses its penalty by cross-validation in five
folds. The forest is that of DoubleML's own coverage study of the partially linear model, with 100
trees for 200: ten of its twenty covariates at a split, a depth of five, leaves of two rows or more.
"""

from typing import Any

import numpy as np

LEARNERS = ("linear", "lasso", "forest", "boosting")
FOREST = {"n_estimators": 100, "max_features": 0.5, "max_depth": 5, "min_samples_leaf": 2}
BOOSTING = {"n_estimators": 100, "max_depth": 2, "learning_rate": 0.05, "subsample": 0.5}


def _known(learner: str) -> str:
    if learner not in LEARNERS:
        raise ValueError(f"no learner named '{learner}'; there are {', '.join(LEARNERS)}")
    return learner


def regressor(learner: str, seed: int) -> Any:
    """Return the learner of a mean; raises ValueError for an unknown name."""
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import LassoCV, LinearRegression

    if _known(learner) == "linear":
        return LinearRegression()
    if learner == "lasso":
        return LassoCV()
    if learner == "forest":
        return RandomForestRegressor(**FOREST, random_state=seed)
    return GradientBoostingRegressor(**BOOSTING, random_state=seed)


def classifier(learner: str, seed: int) -> Any:
    """Return the learner of a probability; raises ValueError for an unknown name."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

    if _known(learner) == "linear":
        return LogisticRegression(C=np.inf, max_iter=1000)
    if learner == "lasso":
        return LogisticRegressionCV(
            cv=5, l1_ratios=(1.0,), solver="liblinear", intercept_scaling=100.0,
            scoring="neg_log_loss", use_legacy_attributes=False, random_state=seed,
        )  # fmt: skip
    if learner == "forest":
        return RandomForestClassifier(**FOREST, random_state=seed)
    return GradientBoostingClassifier(**BOOSTING, random_state=seed)
