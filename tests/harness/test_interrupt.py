import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

SUITE = """
name = "long"
seed = 1
replicates = 100000
[[cells]]
scenario = "rd/cct-1"
n = 300
estimators = ["rdrobust/robust"]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_ends_the_run_and_its_workers_soon(tmp_path):
    (tmp_path / "long.toml").write_text(SUITE)
    # a shell's background job may have been told to ignore the signal
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from cibench.cli import main; main(['run', 'long.toml', '--workers', '2'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    line = process.stderr.readline()  # the first progress line: the workers are at it
    assert "rows" in line
    time.sleep(0.5)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - started < 10  # a bound against hanging, not a measure of speed
    stored = len(pd.read_parquet(tmp_path / "results" / "long" / "replicates"))
    assert err.splitlines()[-1] == (
        f"cibench: interrupted: {stored:,} of 100,000 rows are stored; to go on from there: "
        "cibench run results/long"
    )
