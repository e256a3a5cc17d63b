"""Why fits gave no answer: the reasons tallied, cell by cell and estimator by estimator."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cibench.storage.schema import CELL
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "failures", "failures_folder"]

FIT = ["kind", *CELL, "options", "estimator"]
COLUMNS = (*FIT, "status", "reason", "fits", "of", "share", "first")
READ = (*FIT, "replicate", "refit", "status", "reason")


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Tally the statuses other than ok by reason, cell by cell, the most frequent first.

    `fits` counts the fits with that status and reason of the `of` that were run, `share` is their
    quotient and `first` the first replicate among them, to replay. A fit that failed for several
    targets with one reason counts once; repeated fits of a data set (`refit` above zero) are left
    out; who declines has not failed, but has its reasons here too. Raises BadInput if columns are
    missing.
    """
    if missing := [name for name in READ if name not in rows.columns]:
        raise BadInput(
            f"the replicate table lacks columns: {', '.join(missing)}; "
            "was it written by another version of cibench?"
        )
    return _tally([rows])


def failures_folder(folder: Path) -> pd.DataFrame:
    """Tally the failures of a run folder as `failures` does, with one shard in memory."""
    from cibench.storage import shards

    return _tally(shards.read(path, READ).to_pandas() for path in shards.paths(folder))


def _tally(shards: Iterable[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    pairs = [_counted(rows) for rows in shards] or [_counted(pd.DataFrame(columns=list(READ)))]
    runs, lost = (pd.concat(parts, ignore_index=True) for parts in zip(*pairs, strict=True))
    runs["place"] = runs.groupby(FIT, dropna=False, sort=False).ngroup()
    of = runs.groupby("place")["of"].sum()
    # A cell's shards hold different replicates of it, so that their counts add up.
    told = lost.groupby([*FIT, "status", "reason"], dropna=False, sort=False, as_index=False).agg(
        fits=("fits", "sum"), first=("first", "min")
    )
    told = told.merge(runs.drop_duplicates("place")[[*FIT, "place"]], on=FIT, how="left")
    told["of"] = told["place"].map(of).astype("int64")
    told["share"] = told["fits"] / told["of"]
    told = told.sort_values(["place", "fits"], ascending=[True, False], kind="stable")
    table: pd.DataFrame = told[list(COLUMNS)].reset_index(drop=True)
    return table


def _counted(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how many fits each estimator had in each cell, and how many were lost and why."""
    rows = rows[~(rows["refit"] > 0).to_numpy(dtype=bool)]
    rows = rows.assign(reason=rows["reason"].astype(object).fillna("no reason given"))
    rows = rows.astype(dict.fromkeys([*FIT, "status"], object)).astype({"setting": float})
    fits = rows.drop_duplicates([*FIT, "replicate"])
    runs = fits.groupby(FIT, dropna=False, sort=False, as_index=False).agg(of=("replicate", "size"))
    lost = rows[rows["status"].to_numpy() != "ok"]
    lost = lost.drop_duplicates([*FIT, "replicate", "status", "reason"])
    by = [*FIT, "status", "reason"]
    counted = lost.groupby(by, dropna=False, sort=False, as_index=False).agg(
        fits=("replicate", "size"), first=("replicate", "min")
    )
    return runs, counted
