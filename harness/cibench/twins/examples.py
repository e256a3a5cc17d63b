"""Example seed data that need no network: the loyalty programme, and tables of `causaldata`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.method import installed
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import write_csv

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Example:
    """Describe an example: how its table comes about, its design's options, what is known of it."""

    table: Callable[[], pd.DataFrame]
    options: str
    about: str
    library: str = ""


def _loyalty() -> pd.DataFrame:
    import pandas as pd

    from cibench.model.design import find_scenario

    scenario = find_scenario("rd/loyalty-strong-covariates")()
    return pd.DataFrame(dict(scenario.draw(1000, np.random.default_rng(20261121)).columns))


def _data(name: str) -> pd.DataFrame:
    import causaldata

    frame: pd.DataFrame = getattr(causaldata, name).load_pandas().data
    return frame


def _castle() -> pd.DataFrame:
    return _data("castle")[["l_homicide", "post", "sid", "year"]]


def _nsw() -> pd.DataFrame:
    """Return the treated of the experiment beside the survey's controls."""
    import pandas as pd

    trial = _data("nsw_mixtape")
    joined = pd.concat([trial[trial["treat"] == 1], _data("cps_mixtape")], ignore_index=True)
    return joined.drop(columns="data_id")


EXAMPLES = {
    "loyalty": Example(
        _loyalty, "--design rd --outcome y --running x --cutoff 5 --treatment d",
        "an online travel agency's loyalty programme, generated; the effect at the cutoff is 1500",
    ),
    "gov-transfers": Example(
        lambda: _data("gov_transfers"),
        "--design rd --outcome Support --running Income_Centered --cutoff 0 --side below "
        "--treatment Participation",
        "support for a government by income; who is below the cutoff gets transfers", "causaldata",
    ),
    "castle": Example(
        _castle, "--design did --outcome l_homicide --unit sid --time year --treatment post",
        "castle-doctrine laws and homicides, 50 states, 2000 to 2010", "causaldata",
    ),
    "nsw": Example(
        _nsw, "--design observables --outcome re78 --treatment treat",
        "a job training's participants beside survey controls; the experiment said 1,794",
        "causaldata",
    ),
    "card": Example(
        lambda: _data("close_college"),
        "--design iv --outcome lwage --treatment educ --instrument nearc4",
        "schooling and wages, with a college nearby as the instrument", "causaldata",
    ),
}  # fmt: skip


def write_example(name: str, out: Path) -> str:
    """Write an example's seed data as CSV and return the options of its fit; raises BadInput."""
    if name not in EXAMPLES:
        raise BadInput(unknown("example", name, EXAMPLES))
    example = EXAMPLES[name]
    if example.library and not installed(example.library):
        raise BadInput(f"example '{name}' is a table of {example.library}: pip install causaldata")
    table: Any = example.table()
    write_csv(out, table)
    return example.options
