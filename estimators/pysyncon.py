"""Synthetic control by `pysyncon`: weighted donors stand for the treated unit, without treatment.

Weights are fitted to the outcomes of all periods before treatment, each period counting the same.
Several treated units are taken as their average. From outcomes the donors' mean of the period is
taken away and their scale, which changes no weights that sum to one and lets the library's solver
converge. Of more than `donors` donors those are used that are nearest before treatment. Errors and
limits are those of placebos: each donor in turn, or `placebos` random sets of them.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench import Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._donors import HULL, NEEDS, STABLE, Block, block, judged, placebos

if TYPE_CHECKING:
    import pandas as pd

USES = ("pysyncon",)
Weigh = Callable[[Block], Array]


def _answer(
    problem: Problem, rng: np.random.Generator, weigh: Weigh, count: int, donors: int, limits: str
) -> Estimate:
    data = block(problem)

    def fit(one: Block) -> float:
        pool = _nearest(one, donors)
        return float(pool.gap(weigh(pool))[one.before :].mean())

    return judged(fit(data), placebos(data, fit, rng, count), problem.level, limits)


def _nearest(data: Block, most: int) -> Block:
    """Keep the donors that are nearest to the treated before treatment, in their order."""
    if len(data.donors) <= most:
        return data
    before = slice(None, data.before)
    distance = ((data.donors[:, before] - data.treated.mean(axis=0)[before]) ** 2).sum(axis=1)
    kept = np.sort(np.argsort(distance, kind="stable")[:most])
    return Block(data.treated, data.donors[kept], data.before)


def _centred(data: Block) -> tuple["pd.DataFrame", "pd.Series[Any]"]:
    """Return donors and the treated average, periods by units, in deviations from the donors."""
    import pandas as pd

    centre = data.donors.mean(axis=0)
    scale = (data.donors - centre)[:, : data.before].std() or 1.0
    donors = pd.DataFrame(((data.donors - centre) / scale).T)
    return donors, pd.Series((data.treated.mean(axis=0) - centre) / scale, name="treated")


def _evenly(data: Block) -> dict[str, Any]:
    """Return the outcomes before treatment and the weights that undo the library's scaling."""
    import pandas as pd

    donors, treated = (part.iloc[: data.before] for part in _centred(data))
    variance = pd.concat([donors, treated], axis=1).var(axis=1).to_numpy()
    return {"X0": donors, "X1": treated, "custom_V": variance}


def plain(data: Block) -> Array:
    """Return weights that are positive and sum to one, by least squares before treatment."""
    from pysyncon import Synth

    fit, given = Synth(), _evenly(data)
    fit.fit(**given, Z0=given["X0"], Z1=given["X1"])
    return np.asarray(fit.W)


@estimator("pysyncon/sc", targets=(Estimand.ATT,), needs=NEEDS, assumes=(HULL, *STABLE), uses=USES)
def sc(
    problem: Problem, rng: np.random.Generator, *,
    placebos: int = 30, donors: int = 50, limits: str = "normal",
) -> Estimate:  # fmt: skip
    """Weight donors by positive weights that sum to one (Abadie, Diamond, Hainmueller 2010)."""
    return _answer(problem, rng, plain, placebos, donors, limits)


def _penalised(data: Block, lambda_: float) -> Array:
    from pysyncon import PenalizedSynth

    fit = PenalizedSynth()
    fit.fit(**_evenly(data), lambda_=lambda_)
    return np.asarray(fit.W)


@estimator(
    "pysyncon/penalised", targets=(Estimand.ATT,), needs=NEEDS, assumes=(HULL, *STABLE), uses=USES
)
def penalised(
    problem: Problem, rng: np.random.Generator, *,
    lambda_: float = 0.01, placebos: int = 30, donors: int = 50, limits: str = "normal",
) -> Estimate:  # fmt: skip
    """Penalise donors by their own distance from the treated unit (Abadie and L'Hour 2021)."""
    return _answer(problem, rng, partial(_penalised, lambda_=lambda_), placebos, donors, limits)


def _long(donors: "pd.DataFrame", treated: "pd.Series[Any]", before: int) -> Any:
    import pandas as pd
    from pysyncon import Dataprep

    wide = donors.assign(treated=treated)
    wide.columns = pd.RangeIndex(wide.shape[1])
    long = wide.rename_axis("time").reset_index().melt("time", var_name="unit", value_name="y")
    last = wide.shape[1] - 1
    return Dataprep(
        foo=long, predictors=[], predictors_op="mean", dependent="y", unit_variable="unit",
        time_variable="time", treatment_identifier=last, controls_identifier=list(range(last)),
        time_predictors_prior=range(before), time_optimize_ssr=range(before),
    )  # fmt: skip


def _augmented(data: Block, lambda_: float | None) -> tuple[Array, float]:
    from pysyncon import AugSynth

    fit = AugSynth()
    fit.fit(_long(*_centred(data), data.before), lambda_=lambda_, use_covariates=False)
    return np.asarray(fit.W), float(fit.lambda_)


@estimator("pysyncon/augmented", targets=(Estimand.ATT,), needs=NEEDS, assumes=STABLE, uses=USES)
def augmented(
    problem: Problem, rng: np.random.Generator, *,
    lambda_: float | None = None, placebos: int = 20, donors: int = 50, limits: str = "normal",
) -> Estimate:  # fmt: skip
    """Correct the weights' misfit by a ridge regression (Ben-Michael, Feller, Rothstein 2021).

    The penalty is found by leaving out periods, for the treated; placebos are fitted with the same.
    Weights may be negative: they reach beyond the donors' hull.
    """
    if lambda_ is None:
        lambda_ = _augmented(_nearest(block(problem, least=3), donors), None)[1]
    weigh = partial(_augmented, lambda_=lambda_)
    return _answer(problem, rng, lambda one: weigh(one)[0], placebos, donors, limits)


def _robust(data: Block, rank: int, lambda_: float) -> Array:
    import pandas as pd
    from pysyncon import RobustSynth

    donors, treated = pd.DataFrame(data.donors.T), pd.Series(data.treated.mean(axis=0))
    fit = RobustSynth()
    kept = min(rank, *donors.shape)
    fit.fit(_long(donors, treated, data.before), lambda_=lambda_, sv_count=kept)
    return np.asarray(fit.W)


@estimator("pysyncon/robust", targets=(Estimand.ATT,), needs=NEEDS, assumes=STABLE, uses=USES)
def robust(
    problem: Problem, rng: np.random.Generator, *,
    rank: int = 4, lambda_: float = 0.1, placebos: int = 30, donors: int = 50,
    limits: str = "normal",
) -> Estimate:  # fmt: skip
    """Regress on donors that are denoised to a low rank (Amjad, Shah and Shen 2018).

    Ridge regression on the outcomes as they are; weights are free, and reach beyond the hull.
    """
    weigh = partial(_robust, rank=rank, lambda_=lambda_)
    return _answer(problem, rng, weigh, placebos, donors, limits)
