"""The page on collections: its blocks run from the first to the last; and what is guessed."""

import pandas as pd
import pytest
from pages import blocks, run_page

from cibench.collections import Collection, read_declaration, write_declaration
from cibench.utils.errors import BadInput


def test_the_page_runs_as_it_stands(call, shelves, tmp_path):
    assert [kind for kind, _ in blocks("collections.md")] == ["python", "sh", "toml", "toml", "sh"]
    guessed, _, replayed = run_page("collections.md", tmp_path, call).values()
    assert "6 data sets of 200 units: SATE, SATT" in guessed.out
    assert "made again it is the same row, bit for bit" in replayed.out
    rows = pd.read_parquet("sims-run/replicates")
    assert len(rows) == 2 * (2 * 6 + 6) and set(rows["status"]) == {"ok"}


def folder_of(tmp_path, **tables):
    folder = tmp_path / "Sets of 2020"
    folder.mkdir()
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
    return folder


def guess(tmp_path, **tables):
    return read_declaration(write_declaration(folder_of(tmp_path, **tables), tmp_path / "g.toml"))


SET = {"t": [0, 1, 0, 1], "y_factual": [1.5, 2, 3, 4], "y_cfactual": 1.0, "mu0": 0.0, "mu1": 1.0}


def test_names_and_contents_tell_which_column_is_what(tmp_path):
    x = {"age": [1, 2, 3, 4], "town": ["b", "a", "b", "c"], "id": [1, 2, 3, 4]}
    said = guess(tmp_path, a_10=SET, a_9=SET | {"mu1": 2.0}, covariates=x, notes={"word": ["x"]})
    assert (said.roles.outcome, said.roles.treatment) == ("y_factual", "t")
    assert said.covariates == ("age", "town") and said.levels == {"town": ("a", "b", "c")}
    assert said.expected == ("mu0", "mu1") and said.outcomes is None and said.shared
    assert said.name == "sets-of-2020" and said.population_methods
    collection = Collection(said)
    assert [m.name for m in collection.members] == ["a_9.csv", "a_10.csv"]
    collection.check()
    assert "# left out: notes.csv" in (tmp_path / "g.toml").read_text(encoding="utf-8")


def test_an_index_gives_truths_and_settings(tmp_path):
    sets = {f"s{k}": {"w": [0, 1, 1], "y": [k, 1.5, 2], "x": [1, 2, 3]} for k in range(3)}
    index = {"file": [f"s{k}.csv" for k in range(3)], "satt": [1.0, 2, 3], "over.lap": [0, 1, 1]}
    said = guess(tmp_path, **sets, index=index)
    assert said.stated == {"SATT": "satt"} and said.index == "index.csv"
    (setting,) = said.settings
    assert (setting.name, setting.column, setting.breaks) == ("over_lap", "over.lap", "")
    assert Collection(said).values(setting) == [0, 1, 1]


def test_what_cannot_be_guessed_is_marked_and_told(tmp_path, call):
    folder_of(tmp_path, a={"q": [1, 2, 3], "r": [1.5, 2, 3]})
    code, out, _ = call("new", "collection", "Sets of 2020")
    assert code == 0 and "wrote sets-of-2020.toml" in out and "to be mended first:" in out
    assert "nothing says the truth of SATE" in out
    assert 'outcome = "FILL IN"' in (tmp_path / "sets-of-2020.toml").read_text(encoding="utf-8")
    code, _, err = call("new", "collection", "Sets of 2020")
    assert code == 2 and "exists already" in err


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_data_sets_is_told(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"there is no folder|holds no data sets"):
        write_declaration(tmp_path / name, tmp_path / "g.toml")
    assert not (tmp_path / "g.toml").exists()
