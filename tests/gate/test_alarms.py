"""False alarms by simulation: the tails of many measures at once, far out."""

import numpy as np
import pytest

from cibench.gate.comparison import compare
from cibench.gate.rules import Rules

CHECKS = 60


def answers(rng, n):
    t = rng.normal(size=n)
    return t, np.sqrt(rng.chisquare(12, n) / 12)


@pytest.mark.parametrize("paired", [True, False])
def test_with_margins_of_nothing_alarms_stay_below_the_stated_level(table, paired):
    """Without margins, at a level of 0.2, at most 12 of 60 gates may fail on average.

    A binomial count of 60 with that chance exceeds 22 once in a thousand times. Bonferroni over
    measures that say much the same keeps far below.
    """
    rng = np.random.default_rng(21)
    rules = Rules(alpha=0.2).with_margins(
        [f"{name}=0" for name in Rules().margins if name not in ("moved", "repeated")]
    )
    alarms = 0
    for _ in range(CHECKS):
        t, s = answers(rng, 150)
        u, v = answers(rng, 150)
        if paired:
            u, v = t + 0.3 * u, s * np.exp(0.1 * rng.normal(size=150))
            t = t + 0.3 * rng.normal(size=150)
            s = s * np.exp(0.1 * rng.normal(size=150))
        rows = table(t, s), table(u, v)
        random = {("made/method", "{}")} if paired else ()
        alarms += compare(*rows, rules, paired=paired, random=random).exit_code
    assert alarms <= 22
