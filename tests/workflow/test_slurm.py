"""The pipeline through a real Slurm, on this machine: `make test-slurm`."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.slurm import cluster

from pma_mfg import compilation, kernels

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(cluster.missing()), reason=f"no Slurm: {cluster.missing()}"),
]
RESULTS = "results/smoke"
#: Seconds for a run on a machine that is busy with other things.
PATIENCE = 7200


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster for all tests of this file."""
    with cluster.cluster(tmp_path_factory.mktemp("daemons")):
        yield


def through_slurm(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run workflow/run.py in a copy of the repository with the cluster's profile."""
    command = [sys.executable, "workflow/run.py", *arguments, "--workflow-profile", "profiles/slurm"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), **environment}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def submitted(column: str) -> set[str]:
    """What squeue tells of all jobs that Slurm has seen, in one of its columns."""
    return set(subprocess.check_output(["squeue", "--states=all", "--noheader", f"--format={column}"], text=True).split())


def test_smoke_through_slurm_gives_bitwise_the_tables_and_claims_of_a_local_run(smoke: Path, fresh_copy: Path) -> None:
    done = through_slurm(fresh_copy, "config/smoke.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(re.findall("has been submitted with SLURM jobid", done.stderr)) > 10
    tables = sorted(path.name for path in (smoke / RESULTS / "tables").iterdir())
    assert tables == sorted(path.name for path in (fresh_copy / RESULTS / "tables").iterdir())
    for name in [f"tables/{table}" for table in tables] + ["claims.json"]:
        assert (smoke / RESULTS / name).read_bytes() == (fresh_copy / RESULTS / name).read_bytes(), name
