"""The audit passes sound twins and finds planted defects, each by the check meant for it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cibench.twins.audit.audit import audit_columns, audit_twin
from cibench.twins.audit.rules import Rule
from cibench.twins.columns import mask
from cibench.twins.file import save_twin
from cibench.twins.fit.fitting import fit_twin
from cibench.twins.fit.seed_data import seed_of
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.generators.base import Training, maker
from cibench.twins.sample import draw_rows
from cibench.twins.scenario import default_effect, truths_of

FAMILIES = ("vine", "gaussian", "resampling", "trees")
ROWS = 20_000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["rd", "fuzzy", "observables", "iv", "did"])
def test_every_generator_passes(twin_of, name, family):
    found = audit_twin(twin_of(name, family))
    assert found.passed, "\n".join(found.lines)


def test_one_broken_rule_closes_the_gate_and_so_does_one_check(twin_of):
    found = audit_twin(twin_of("rd"))
    broken = Rule("d: 0 or 1", 1, ROWS)
    assert not replace(found, rules=[*found.rules, broken]).passed
    off = replace(found.checks[0], discrepancy=np.nan)
    assert not replace(found, checks=[*found.checks, off]).passed


def test_a_known_structure_with_a_schedule_of_effects_passes(seeds):
    make, design = seeds["rd"]
    said = UserStructure(outcome="3000 + 400*(x - 5) + 20*(x - 5)**2", effect="300*x")
    twin = fit_twin(seed_of(make(), design), "vine", said)
    assert default_effect(twin) == "300*x"
    ((_, truth),) = truths_of(twin, "300*x").items()
    assert truth == (1500.0, 0.0)
    found = audit_twin(twin)
    assert found.passed, "\n".join(found.lines)


def raw(frame, names):
    """Train a Gaussian copula on the raw columns, as synthesizers do that know of no jump."""
    columns = {n: frame[n].to_numpy(float) for n in names}
    seed = Training(columns, frozenset({"d", "bookings"}), frozenset(), ())
    return (
        maker("gaussian")
        .train(seed, np.random.default_rng(0))
        .sample(ROWS, np.random.default_rng(1))
    )


def test_a_raw_copula_fails_on_the_rule_and_on_the_jump(twin_of, seeds):
    frame = seeds["rd"][0]()
    twin = twin_of("rd")
    rows = raw(frame, list(frame))
    found = audit_columns(twin, rows, default_effect(twin))
    broken = {r.name: r.violations for r in found.rules if r.violations}
    assert broken["d = 1[x >= 5]"] > 0.05 * ROWS
    ruled = {**rows, "d": (rows["x"] >= 5).astype(float)}  # the rule put on afterwards
    found = audit_columns(twin, ruled, default_effect(twin))
    assert not any(r.violations for r in found.rules)
    failed = {(c.kind, c.name) for c in found.checks if not c.passed}
    assert ("effect", "jump at the cutoff less the planted one") in failed


def drawn(twin):
    effect = default_effect(twin)
    rows = draw_rows(twin, ROWS, effect, 0)
    return dict(rows.columns), rows, effect


def failed(twin, columns, effect):
    found = audit_columns(twin, columns, effect)
    return {c.kind for c in found.checks if not c.passed}, {
        r.name for r in found.rules if r.violations
    }


def test_defects_of_a_discontinuity_are_found(twin_of):
    twin = twin_of("rd")
    columns, rows, effect = drawn(twin)
    x, y, d = columns["x"], columns["y"], columns["d"]
    rng = np.random.default_rng(0)
    assert "effect" in failed(twin, {**columns, "y": y - effect / 2 * d}, effect)[0]
    flipped = np.where(rng.random(ROWS) < 0.01, 1 - d, d)
    assert failed(twin, {**columns, "d": flipped}, effect)[1] == {"d = 1[x >= 5]"}
    jump = y + 0.8 * twin.structure.sd * (x >= 7)
    assert "placebo" in failed(twin, {**columns, "y": jump}, effect)[0]
    shuffled = {**columns, "age": rng.permutation(columns["age"])}
    assert "dependence" in failed(twin, shuffled, effect)[0]
    heaped = np.where((x < 5) & (x > 4.6), 10 - x, x)
    heaped_d = (heaped >= 5).astype(float)
    moved = {**columns, "x": heaped, "d": heaped_d, "y": rows.baseline + effect * heaped_d}
    assert "density" in failed(twin, moved, effect)[0]
    wider = {**columns, "value": columns["value"].mean() + 0.6 * (columns["value"] - 300)}
    assert "margin" in failed(twin, wider, effect)[0]


def test_defects_of_selection_and_instruments_are_found(twin_of):
    twin = twin_of("observables")
    columns, rows, effect = drawn(twin)
    tied = {**columns, "y": columns["y"] + 0.3 * (columns["d"] - rows.expected["d"])}
    assert failed(twin, tied, effect)[0] & {"effect", "residual"}
    random = {**columns, "d": np.random.default_rng(0).permutation(columns["d"])}
    assert "calibration" in failed(twin, random, effect)[0]
    twin = twin_of("iv")
    columns, _, effect = drawn(twin)
    direct = {**columns, "y": columns["y"] + 0.3 * columns["z"]}
    assert failed(twin, direct, effect)[0] & {"effect", "residual"}


def test_defects_of_a_panel_are_found(twin_of):
    twin = twin_of("did")
    columns, _, effect = drawn(twin)
    step = columns["year"] - 2001
    drifting = columns["y"] + 0.2 * step * (columns["cohort"] > 0)
    assert "pre-trend" in failed(twin, {**columns, "y": drifting}, effect)[0]
    halved = columns["y"] - 0.5 * effect * columns["d"]
    assert "effect" in failed(twin, {**columns, "y": halved}, effect)[0]
    left = columns["d"].copy()
    left[columns["year"] == 2010] = 0
    assert "d: for good" in failed(twin, {**columns, "d": left}, effect)[1]


def test_the_command_line_reports_and_gates(twin_of, tmp_path, call):
    twin = twin_of("rd")
    save_twin(twin, tmp_path / "ota.twin")
    columns, *_ = drawn(twin)
    code, out, _ = call("twin", "audit", tmp_path / "ota.twin")
    assert code == 0 and "passed: twin/rd-" in out
    page = (tmp_path / "ota.html").read_text(encoding="utf-8")
    assert "Audit: passed" in page
    assert page.count("data:image/png") == 2
    table = pd.DataFrame(mask(columns, twin.known))
    table["d"] = 1 - table["d"]
    table.to_csv(tmp_path / "bad.csv", index=False)
    code, out, _ = call("twin", "audit", tmp_path / "ota.twin", "--data", tmp_path / "bad.csv")
    assert code == 1 and "broken   d = 1[x >= 5]: 20000 of 20000 rows" in out
