"""What is missing, and how JSON has numbers that it has no sign for."""

import json
from math import inf, nan

import numpy as np
import pandas as pd
import pytest

from cibench.utils.missing import for_json, missing


@pytest.mark.parametrize("value", [None, nan, np.nan, pd.NA, pd.NaT, np.float64("nan")])
def test_every_spelling_of_nothing_is_null(value):
    assert missing(value) and for_json(value) is None


def test_what_is_written_is_json_that_other_programs_read():
    content = {
        "a": np.float64(0.1), "b": (inf, -inf, np.float64("inf")), "d": {"e": nan, "f": "text"},
        "c": [np.int64(3), np.bool_(True)], "g": 0,
    }  # fmt: skip
    text = json.dumps(for_json(content), allow_nan=False)
    assert json.loads(text) == {
        "a": 0.1, "b": ["inf", "-inf", "inf"], "c": [3, True], "d": {"e": None, "f": "text"},
        "g": 0,
    }  # fmt: skip
