"""A test of what synthetic control takes for granted: that donors can imitate the treated unit.

A good fit before treatment says nothing about breaks that come with it.
"""

import numpy as np

from cibench import Diagnosis, Problem, diagnostic

from ._donors import HULL, NEEDS, Block, block, placebos
from .pysyncon import _nearest, plain


@diagnostic("sc/pre-fit", tests=(HULL,), needs=NEEDS, uses=("pysyncon",))
def pre_fit(
    problem: Problem, rng: np.random.Generator, *,
    size: float = 0.05, count: int = 30, donors: int = 50,
) -> Diagnosis:  # fmt: skip
    """Rank the treated unit's misfit before treatment among those of placebos.

    The statistic is its root mean squared gap over the placebos' median; it fails where no more
    than `size` of the placebos fit as badly.
    """
    data = block(problem)

    def misfit(one: Block) -> float:
        pool = _nearest(one, donors)
        return float(np.sqrt((pool.gap(plain(pool))[: one.before] ** 2).mean()))

    own, others = misfit(data), placebos(data, misfit, rng, count)
    p_value = float((1 + np.sum(others >= own)) / (1 + others.size))
    middle = float(np.median(others))
    return Diagnosis(p_value > size, p_value, own / middle if middle > 0 else None)
