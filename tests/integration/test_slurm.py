"""SLURM jobs by the script of docs/scale.md give the rows of a local run, whatever becomes of them.

It starts a SLURM of its own, on this machine as one node, as whoever runs the tests.
"""

import contextlib
import getpass
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from replicates import assert_same_rows
from toys import plugin

import cibench

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("shelves")]

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")

LEFT = "pending,running,completing,suspended"

CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=normal Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF State=UP
"""

METHODS = """
@estimator("slurm/slow", targets=(Estimand.ATE,))
def slow(problem, rng):
    time.sleep(0.03)
    return Estimate.wald(rng.normal(), 1.0, problem.level)

@estimator("slurm/quick", targets=(Estimand.ATE,))
def quick(problem, rng):
    return Estimate.wald(problem.outcome.mean() + np.random.normal(), 1.0, problem.level)
"""


class Slurm:
    """Call the commands of a SLURM that is there for the tests alone."""

    def __init__(self, place):
        self.env = {**os.environ, "SLURM_CONF": str(place / "slurm.conf")}

    def call(self, *words):
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def jobs(self, state):
        """Return the numbers of the jobs in a state."""
        return set(self.call("squeue", "--noheader", "--states", state, "--format", "%i").split())

    def facts(self, job):
        """Return what SLURM says of a job, field by field."""
        return dict(re.findall(r"(\w+)=(\S*)", self.call("scontrol", "show", "job", job)))


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=PATH)]:
        pytest.fail(f"no {', '.join(missing)} here: apt-get install slurm-wlm munge")
    place = tmp_path_factory.mktemp("slurm")
    host, ports = socket.gethostname().split(".")[0], free_ports(2)
    text = CONFIGURATION.format(host=host, user=getpass.getuser(), ports=ports, place=place)
    (place / "slurm.conf").write_text(text)
    for folder in ("state", "spool"):
        (place / folder).mkdir()
    key = place / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    names = ("socket", "pid-file", "log-file", "seed-file")
    options = [f"--key-file={key}", *(f"--{name}={place}/munge.{name}" for name in names)]
    munged = ("munged", "--foreground", "--force", *options)
    made = Slurm(place)
    with contextlib.ExitStack() as stack:
        for words in (munged, ("slurmctld", "-D"), ("slurmd", "-D")):
            stack.enter_context(daemon(words, made.env, place / f"{words[0]}.log"))
        until(lambda: "idle" in made.call("sinfo", "--noheader"), "a node is idle", 60)
        yield made
        made.call("scancel", "--user", getpass.getuser())
        until(lambda: not made.jobs(LEFT), "no job is left", 60)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        takers = [stack.enter_context(socket.socket()) for _ in range(count)]
        for taker in takers:
            taker.bind(("127.0.0.1", 0))
        return [taker.getsockname()[1] for taker in takers]


@contextlib.contextmanager
def daemon(words, env, log):
    """Run a program until the end; wait until it is at work, or has said why it is not."""
    program = shutil.which(words[0], path=PATH)
    with log.open("w") as file:
        process = subprocess.Popen([program, *words[1:]], env=env, stdout=file, stderr=file)
    try:
        time.sleep(2)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


def until(true, what, seconds):
    """Wait until something is true; fail after some seconds."""
    end = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return answer


def script(**replaced):
    """Return the page's script with queue, account, sizes and paths of here."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "SLURMCluster(" in block]
    here = {
        "cores=32": "cores=2", '"96GB"': '"1GB"', "VENV": sys.prefix,
        "minimum_jobs=32": "minimum_jobs=2", "maximum_jobs=32": "maximum_jobs=2",
        '"port": 8786': f'"port": {free_ports(1)[0]}', '"SUITE"': '"suite.toml"', "RUN": "there",
        **replaced,
    }  # fmt: skip
    for before, after in here.items():
        assert code.count(before) == 1, before
        code = code.replace(before, after)
    return code


@pytest.fixture
def start(slurm, tmp_path, monkeypatch):
    """Give a function that starts the script on a suite, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:

        def started(replicates, **replaced):
            Path("plugin.py").write_text(plugin("slurm", METHODS))
            spec = f'name = "t"\nseed = 1\nreplicates = {replicates}\nplugins = ["plugin.py"]\n'
            cell = 'scenario = "slurm/randomised"\nn = [10, 20]\nestimators = "slurm/*"\n'
            Path("suite.toml").write_text(f"{spec}[[cells]]\n{cell}")
            Path("cluster.py").write_text(script(**replaced))
            with Path("cluster.log").open("w") as log:
                run = subprocess.Popen(
                    [sys.executable, "cluster.py"], env=slurm.env, stdout=log, stderr=log
                )
            stack.callback(run.wait, 60)
            stack.callback(run.terminate)
            return run

        yield started


def stored():
    """Return how many rows the run has on disk."""
    with contextlib.suppress(OSError):
        return sum(len(pd.read_parquet(path)) for path in Path("there").glob("replicates/*"))
    return 0


def is_at_work(slurm, run, share, total):
    """Say whether two jobs run and a share of the rows is stored."""
    assert run.poll() is None, Path("cluster.log").read_text()
    return len(slurm.jobs("running")) == 2 and stored() > share * total


def assert_same_as_here(slurm, run):
    assert run.wait(400) == 0, Path("cluster.log").read_text()
    here = cibench.run("suite.toml", "here", workers=2).replicates
    there = cibench.load("there").replicates
    assert_same_rows(there, here, order=["n", "replicate", "estimator"])
    assert Path("there/report.html").is_file()
    until(lambda: not slurm.jobs(LEFT), "the jobs end with the script", 60)
    assert not [p for p in psutil.process_iter() if is_of_a_job(p, slurm)]


def is_of_a_job(process, slurm):
    with contextlib.suppress(psutil.Error):
        environment = process.environ()
        same = environment.get("SLURM_CONF") == slurm.env["SLURM_CONF"]
        return same and "SLURM_JOB_ID" in environment
    return False


def test_jobs_cancelled_and_preempted_half_way_cost_nothing_but_time(slurm, start):
    replicates = 2000
    run, total = start(replicates), 4 * replicates
    until(lambda: is_at_work(slurm, run, 0.1, total), "two jobs have stored rows", 90)
    cancelled, kept = sorted(slurm.jobs("running"))
    slurm.call("scancel", cancelled)
    until(lambda: is_at_work(slurm, run, 0.2, total), "another job works for it", 90)
    assert slurm.facts(cancelled)["JobState"] == "CANCELLED"
    before = slurm.jobs("running")
    assert kept in before and cancelled not in before
    words = ("--partition", "urgent", "--exclusive", "--output", "/dev/null")
    slurm.call("sbatch", *words, "--wrap", "sleep 5")
    until(lambda: not before & slurm.jobs("running"), "both jobs are preempted", 30)
    at = stored()
    assert [slurm.facts(job)["Restarts"] for job in before] == ["1", "1"] and at < total
    assert_same_as_here(slurm, run)


def test_workers_whose_lifetime_ends_are_followed_by_others(slurm, start):
    lifetime = {'"230m"': '"25s"', '"5m"': '"5s"'}
    run, seen = start(1200, **lifetime), set()

    def three():
        seen.update(slurm.jobs("running"))
        return len(seen) > 2 or run.poll() is not None

    until(three, "a third job has come", 120)
    assert run.poll() is None, Path("cluster.log").read_text()
    assert_same_as_here(slurm, run)
