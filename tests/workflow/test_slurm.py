"""The pipeline through a real Slurm, on this machine: `make test-slurm`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm import cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(cluster.missing()), reason=f"no Slurm: {cluster.missing()}"),
]
#: Seconds for a run on a machine that is busy with other things.
PATIENCE = 7200
RESULTS = "results/slurm"
PROFILE = "profiles/slurm/config.yaml"
GAME_FILE = f"{RESULTS}/games/own.npz"
MAKE_GAME = ("-m", "snakemake", GAME_FILE, "--configfile", "own.yaml")
CONFIG = f"""\
seed: 1
results: {RESULTS}
figures: {RESULTS}/figures
games:
  own:
    file: own.py
    regularizer: entropy
    strength: 0.5
"""
#: A game whose job, and no other process that reads the file, first does something else.
GAME = """
import pathlib, sys, time
import numpy as np

if "validate" in sys.argv:
    {}

discount = 0.5
state_labels = action_labels = ("left", "right")

def transition(mean_field):
    return np.full((2, 2, 2), 0.5)

def reward(mean_field):
    return -np.outer(mean_field, np.ones(2))
"""


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster for all tests of this file."""
    with cluster.cluster(tmp_path_factory.mktemp("daemons")):
        yield


def through_slurm(folder: Path, *command: str, **variables: str) -> tuple[int, str]:
    """Run a command with the cluster's profile in a copy of the repository; return exit code and output."""
    done = subprocess.run(
        [sys.executable, *command, "--workflow-profile", "profiles/slurm"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout


def jobs(columns: str) -> list[str]:
    """What Slurm knows of the jobs that it has had, the last one first."""
    command = ["squeue", "--states=all", "--noheader", "--sort=-i", f"--format={columns}"]
    return subprocess.check_output(command, text=True).splitlines()


def hold_the_game(folder: Path) -> Path:
    """Write a configuration whose one job waits until a file is gone; return the file."""
    hold = folder / "hold"
    hold.touch()
    waiting = f"while pathlib.Path({str(hold)!r}).exists():\n        time.sleep(0.2)"
    (folder / "own.py").write_text(GAME.format(waiting))
    (folder / "own.yaml").write_text(CONFIG)
    return hold


def assert_tells(output: str, cause: str) -> None:
    """Of a failure the output names rule, game and log, and shows why; the log is still there."""
    assert "Error in rule game" in output
    assert "Make the game own" in output
    assert cause in output
    named = re.search(r"\(log: (\S+/slurm_logs/\S+\.log)\)", output)
    assert named is not None
    assert cause in Path(named[1]).read_text()


def test_smoke_through_slurm_gives_bitwise_the_tables_and_claims_of_a_local_run(smoke: Path, fresh_copy: Path) -> None:
    code, output = through_slurm(fresh_copy, "workflow/run.py", "config/smoke.yaml")
    assert code == 0, output[-3000:]
    assert output.count("submitted with SLURM jobid") > 10
    local, remote = smoke / "results/smoke", fresh_copy / "results/smoke"
    tables = sorted(path.name for path in (local / "tables").iterdir())
    assert tables == sorted(path.name for path in (remote / "tables").iterdir())
    for name in (*(f"tables/{table}" for table in tables), "claims.json"):
        assert (local / name).read_bytes() == (remote / name).read_bytes(), name


def test_a_job_killed_for_memory_is_reported_and_done_again_with_more(fresh_copy: Path) -> None:
    # more than the first attempt's 1500 MB, less than the second's, for long enough to be seen by the poll of a second
    (fresh_copy / "own.py").write_text(GAME.format("held = np.ones(250_000_000)\n    time.sleep(5)\n    del held"))
    (fresh_copy / "own.yaml").write_text(CONFIG)
    variables = {"SBATCH_PARTITION": "other", "SBATCH_ACCOUNT": "math"}
    code, output = through_slurm(fresh_copy, *MAKE_GAME, **variables)
    assert code == 0, output[-3000:]
    assert (fresh_copy / GAME_FILE).exists()
    assert_tells(output, "exceeded memory limit")
    # one variable each names partition and account, which are not the defaults
    assert jobs("%T %m %P %a")[:2] == ["COMPLETED 3000M other math", "FAILED 1500M other math"]


def test_a_job_killed_for_its_time_is_reported_with_its_log_and_the_same_command_then_completes(
    fresh_copy: Path,
) -> None:
    hold = hold_the_game(fresh_copy)
    profile = fresh_copy / PROFILE
    allowed = profile.read_text()
    # long enough for the Snakemakes before the job to start: srun gives no step to a job whose time is over
    short = re.sub(r"runtime: .*", "runtime: 2", re.sub(r"retries: \d", "retries: 0", allowed))
    profile.write_text(short)
    code, output = through_slurm(fresh_copy, *MAKE_GAME)
    assert code != 0
    assert_tells(output, "DUE TO TIME LIMIT")
    assert jobs("%T")[0] == "TIMEOUT"
    assert not (fresh_copy / GAME_FILE).exists()

    hold.unlink()
    profile.write_text(allowed)
    code, output = through_slurm(fresh_copy, *MAKE_GAME)
    assert code == 0, output[-3000:]
    assert (fresh_copy / GAME_FILE).exists()


def test_ctrl_c_cancels_the_jobs_and_the_same_command_then_completes(fresh_copy: Path) -> None:
    hold = hold_the_game(fresh_copy)
    command = ["workflow/run.py", "own.yaml", GAME_FILE]
    before = len(jobs("%T"))
    run = subprocess.Popen(
        [sys.executable, *command, "--workflow-profile", "profiles/slurm"],
        cwd=fresh_copy,
        env={**os.environ, "PYTHONPATH": str(fresh_copy / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(jobs("%T")) == before or jobs("%T")[0] != "RUNNING":
        assert run.poll() is None
        time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=PATIENCE) == 128 + signal.SIGINT
    end = time.monotonic() + PATIENCE
    while jobs("%T")[0] == "RUNNING":  # Slurm is asked to cancel it, and does not at once
        assert time.monotonic() < end
        time.sleep(0.5)
    hold.unlink()
    code, output = through_slurm(fresh_copy, *command)
    assert code == 0, output[-3000:]
    assert (fresh_copy / GAME_FILE).exists()
    states = jobs("%T")
    assert (len(states), states[:2]) == (before + 2, ["COMPLETED", "CANCELLED"])
