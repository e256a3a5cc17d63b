"""No built-in estimator is said to change the process, also where it is the first to import."""

from unittest import SkipTest

import pytest

from cibench.contracts import trial_fits
from cibench.model import registry
from cibench.workers.sentinel import Sentinel
from cibench.workers.shared_names import Libraries


@pytest.mark.slow
def test_built_in_estimators_leave_the_process_as_it_was(monkeypatch):
    registry.load_built_in()
    trial_fits._first_answered.cache_clear()  # another test may have made these fits
    changes, alarms, fits = [], [], 0
    real = Sentinel.put_all_back
    monkeypatch.setattr(Sentinel, "put_all_back", lambda s: changes.append(real(s)) or changes[-1])
    libraries = Libraries()  # which would see that, too
    for entry in registry.entries("estimator").values():
        try:
            trials = trial_fits.trials(entry.value)
        except SkipTest:  # a library is not installed
            continue
        fits += len(trials)
        alarms += [(entry.name, str(name)) for name in libraries.put_back()]
        alarms += [(entry.name, change.line()) for change in changes if change]
        changes.clear()
    assert fits >= 300 and not alarms
