"""What the files of a run folder say where no suite, but somebody's own loop has made the rows."""

MADE_ELSEWHERE = "made_elsewhere"
"""The key that says so, in the manifest and in the suite file."""


def nothing_to_run(source: object) -> str:
    """Say that rows of a source are made elsewhere."""
    return f"scores of {source or 'a table'}, made elsewhere: nothing can be run or made again"
