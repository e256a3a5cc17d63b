"""The examples run from their own files, and their seed estimates are the published ones."""

import shlex

import numpy as np
import pytest

from cibench.cli import main
from cibench.twins.examples import EXAMPLES, write_example
from cibench.twins.file import open_twin
from cibench.twins.sample import draw_rows


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_fits_from_its_file(name, tmp_path, capsys):
    if EXAMPLES[name].library:
        pytest.importorskip(EXAMPLES[name].library)
    options = write_example(name, tmp_path / "seed.csv")
    command = ["twin", "fit", str(tmp_path / "seed.csv"), *shlex.split(options)]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--generator", "gaussian", "--out", str(tmp_path / "one.twin")])
    assert ended.value.code == 0
    twin = open_twin(tmp_path / "one.twin")
    published = {"loyalty": 1500, "card": 0.1315, "castle": 0.0694}
    if name in published:
        se = twin.seed["se"]
        assert twin.seed["effect"] == pytest.approx(published[name], abs=3 * se)
    rows = draw_rows(twin, 5000, 0.1, 0)
    y = rows.columns[twin.design.outcome]
    assert np.isfinite(y).all()


def test_examples_are_listed_and_a_slip_gets_its_near_miss(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["twin", "example"])
    assert ended.value.code == 0
    assert "castle" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["twin", "example", "castel"])
    assert ended.value.code == 2
    assert "did you mean 'castle'" in capsys.readouterr().err
