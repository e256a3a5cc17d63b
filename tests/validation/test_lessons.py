"""What lessons state is true of their runs, stored frames are of today's sources, notebooks run."""

import pytest

from cibench.lessons.frames import shipped, up_to_date
from cibench.lessons.notebook import notebook
from cibench.lessons.parse import built_in_lessons, find
from cibench.lessons.tables import doubts


def settled(name: str) -> str:
    return f"run `python -m cibench.lessons {name}` and commit the frames"


@pytest.mark.slow
@pytest.mark.parametrize("name", built_in_lessons())
def test_the_failure_is_five_errors_from_none_and_the_remedy_covers(name):
    frames = shipped(find(name))
    assert frames is not None, settled(name)
    assert doubts(frames, find(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", built_in_lessons())
def test_the_stored_frames_are_those_of_todays_code(name):
    lesson = find(name)
    frames = shipped(lesson)
    assert frames is not None and up_to_date(lesson, frames), settled(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manipulation", "picking-seeds", "wrong-estimand"])
def test_the_notebook_runs_from_top_to_bottom(name, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    made = nbformat.from_dict(notebook(find(name), 60))
    nbclient.NotebookClient(made, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [o for cell in made.cells for o in cell.get("outputs", ())]
    assert (
        sum("text/html" in o.get("data", {}) and "<svg" in o["data"]["text/html"] for o in shown)
        == 3
    )
