"""SDV as a generator: every draw by its address; raw, it loses the jump and breaks the rule."""

import numpy as np
import pandas as pd
import pytest

from cibench import find_scenario
from cibench.model.streams import data_address, stream
from cibench.twins.audit.audit import audit_columns, audit_twin
from cibench.twins.cross_section import reconstruct
from cibench.twins.design import Design
from cibench.twins.file import open_twin, save_twin
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.generators.base import Training, maker
from cibench.twins.generators.sdv import Ctgan, Tvae
from cibench.twins.scenario import default_effect

pytestmark = [
    pytest.mark.sdv,
    pytest.mark.filterwarnings("ignore"),  # the library's own
]
DESIGN = Design("rd", "y", treatment="d", running="x", cutoff=5.0)


@pytest.fixture(scope="module")
def frame():
    pytest.importorskip("sdv")
    made = find_scenario("rd/loyalty-strong-covariates")()
    return pd.DataFrame(dict(made.draw(1000, np.random.default_rng(1)).columns))


@pytest.fixture(scope="module")
def twin(frame):
    return fit_twin(seed_of(frame, DESIGN), "sdv-gaussian")


def rows_of(twin, replicate):
    rng = stream(*data_address(1, twin.name, 500, replicate))
    return reconstruct(twin, 500, rng, 1500.0, {}).columns


def test_replicates_differ_and_an_address_repeats(twin, tmp_path):
    one, two, again = (rows_of(twin, r) for r in (0, 1, 0))
    assert all(np.array_equal(one[n], again[n]) for n in one)
    assert not np.array_equal(one["x"], two["x"])
    save_twin(twin, tmp_path / "one.twin")
    opened = open_twin(tmp_path / "one.twin")
    assert opened.digest == twin.digest
    anew = rows_of(opened, 0)
    assert all(np.array_equal(one[n], anew[n]) for n in one)
    assert abs(np.corrcoef(one["x"], two["x"])[0, 1]) < 4 / np.sqrt(500)


@pytest.mark.parametrize("kind", [Ctgan, Tvae])
def test_networks_repeat_by_address_too(frame, kind, monkeypatch):
    monkeypatch.setattr(kind, "options", {"epochs": 2})  # how well they fit is not asked here
    columns = {n: frame[n].to_numpy(float) for n in ("x", "age", "bookings")}
    training = Training(columns, frozenset({"bookings"}), frozenset(), ("x",))
    made = kind.train(training, np.random.default_rng(0))
    opened = kind.load(made.state())
    one, two = made.sample(300, stream("a", 1)), made.sample(300, stream("a", 2))
    for again in (made.sample(300, stream("a", 1)), opened.sample(300, stream("a", 1))):
        assert all(np.array_equal(one[n], again[n]) for n in columns)
    assert not np.array_equal(one["x"], two["x"]) and np.isfinite(one["x"]).all()
    assert set(one["bookings"]) <= set(columns["bookings"])


def test_draws_leave_the_global_random_states_alone(twin):
    before = np.random.get_state()[1].copy()
    rows_of(twin, 3)
    assert np.array_equal(before, np.random.get_state()[1])


def test_a_twin_by_sdv_passes_and_its_raw_rows_fail_on_rule_and_jump(frame, twin):
    found = audit_twin(twin)
    assert not any(r.violations for r in found.rules)
    assert not [c for c in found.checks if c.kind in ("effect", "placebo") and not c.passed]
    columns = {n: frame[n].to_numpy(float) for n in frame}
    raw = Training(columns, frozenset({"d", "bookings"}), frozenset(), ())
    rows = (
        maker("sdv-gaussian")
        .train(raw, np.random.default_rng(0))
        .sample(20_000, np.random.default_rng(1))
    )
    broken = {r.name: r.violations for r in audit_columns(twin, rows, default_effect(twin)).rules}
    assert broken["d = 1[x >= 5]"] > 0.05 * 20_000
    ruled = {**rows, "d": (rows["x"] >= 5).astype(float)}
    found = audit_columns(twin, ruled, default_effect(twin))
    (jump,) = [c for c in found.checks if c.kind == "effect"]
    assert not jump.passed
    assert not any(r.violations for r in found.rules if r.name.startswith("d ="))
