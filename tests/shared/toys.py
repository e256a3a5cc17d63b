"""What plug-ins of tests begin with: imports and a randomised design, in a family of their own."""

RANDOMISED = '''"""Methods for the tests."""
import ctypes, locale, os, random, signal, sys, time, warnings
import numpy as np
from cibench import (
    Declined, Diagnosis, Draw, Estimand, Estimate, Scenario, diagnostic, estimator, scenario,
)

ATE = (Estimand.ATE,)

@scenario("FAMILY/randomised")
class Randomised(Scenario):
    """Y = effect D + e, every second unit treated."""
    estimand = Estimand.ATE
    reference = "none"
    effect: float = 0.5

    def truth(self):
        return self.effect

    def draw(self, n, rng):
        e, d = rng.normal(size=n), np.arange(n) % 2.0
        return Draw({"y": self.effect * d + e, "d": d}, e, np.full(n, self.effect))

def contrast(problem):
    """Return the difference in means between the treated and the others."""
    y, d = problem.outcome, problem.treatment
    return y[d == 1].mean() - y[d == 0].mean()
'''


def plugin(family: str, methods: str) -> str:
    """Return the text of a plug-in: the design FAMILY/randomised, and methods after it.

    The methods may call `contrast(problem)`, the difference in means.
    """
    return RANDOMISED.replace("FAMILY", family) + methods
