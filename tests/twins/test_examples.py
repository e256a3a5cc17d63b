"""The examples run from their own files, and their seed estimates are the published ones."""

import shlex

import numpy as np
import pytest

from cibench.twins.examples import EXAMPLES, write_example
from cibench.twins.file import open_twin
from cibench.twins.sample import draw_rows


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_fits_from_its_file(name, tmp_path, call):
    if EXAMPLES[name].library:
        pytest.importorskip(EXAMPLES[name].library)
    options = write_example(name, tmp_path / "seed.csv")
    command = ["twin", "fit", tmp_path / "seed.csv", *shlex.split(options)]
    ended = call(*command, "--generator", "gaussian", "--out", tmp_path / "one.twin")
    assert ended.code == 0
    twin = open_twin(tmp_path / "one.twin")
    published = {"loyalty": 1500, "card": 0.1315, "castle": 0.0694}
    if name in published:
        se = twin.seed["se"]
        assert twin.seed["effect"] == pytest.approx(published[name], abs=3 * se)
    rows = draw_rows(twin, 5000, 0.1, 0)
    y = rows.columns[twin.design.outcome]
    assert np.isfinite(y).all()


def test_examples_are_listed_and_a_slip_gets_its_near_miss(call):
    code, out, _ = call("twin", "example")
    assert code == 0 and "castle" in out
    code, _, err = call("twin", "example", "castel")
    assert code == 2 and "did you mean 'castle'" in err
