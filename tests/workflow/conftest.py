"""A copy of the repository in which the smoke configuration has been run from end to end, once per test session."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ("Snakefile", "workflow", "src", "config", "profiles", "environment.yml")
#: Seconds after which a test gives up. Only a fault takes so long.
PATIENCE = 4 * 3600


def copy_of_repository(folder: Path) -> Path:
    """Copy what the pipeline consists of; the tests' own runs never touch the checkout's results."""
    folder.mkdir(exist_ok=True)
    for name in PIPELINE:
        source = ROOT / name
        if source.is_dir():
            # with its bytecode, but for what another process is about to write
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.pyc.*", "*.egg-info"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment in a folder; the package is the folder's own copy."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


class Running:
    """A run in the background, with what it and its jobs print in a file."""

    def __init__(self, folder: Path, *command: str, **variables: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder / "src"), **variables}
        self.log = folder / "run.log"
        with self.log.open("w") as log:
            self.process = psutil.Popen(
                [sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.folder = folder

    def below(self) -> list[psutil.Process]:
        """All processes that the run has started and that are there, from the top down."""
        try:
            return self.process.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def snakemake(self) -> list[psutil.Process]:
        """The run's Snakemake, if it is there. Before it is, a copy of run.py may be, and after it nothing."""
        return [process for process in self.below() if "processes.die_with_parent(); from snakemake" in words(process)]

    def jobs(self) -> list[psutil.Process]:
        """The run's jobs that are there; a shell that is about to become one is one."""
        return [process for process in self.below() if re.search(r"(exec |/bin/)pma-replicate ", words(process))]

    def wait_for(self, what: Callable[[], Any]) -> None:
        """Wait until a function returns something true."""
        end = time.monotonic() + PATIENCE
        while not what():
            assert self.process.poll() is None, f"ended before {what}: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < end, f"no {what}: {self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def assert_nothing_left(self) -> None:
        """Wait until no process is at work in the run's folder, whoever has started it."""
        end = time.monotonic() + PATIENCE
        while left := [process for process in psutil.process_iter() if works_in(process, self.folder)]:
            assert time.monotonic() < end, left
            time.sleep(0.05)


def words(process: psutil.Process) -> str:
    """The command of a process; nothing if it has ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def works_in(process: psutil.Process, folder: Path) -> bool:
    """Whether a process is alive in a folder; the dead have none."""
    try:
        return process.cwd() == str(folder.resolve()) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give tests `run_in`."""
    return run_in


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's copy after `make smoke`."""
    folder = copy_of_repository(tmp_path_factory.mktemp("smoke"))
    done = run_in(folder, "workflow/run.py", "config/smoke.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture
def fresh_copy(tmp_path: Path) -> Path:
    """An unused copy of the repository."""
    return copy_of_repository(tmp_path / "copy")


@pytest.fixture
def without(smoke: Path, tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Give tests a copy of the finished smoke run from which some points, their tables and the verdicts are gone."""

    def copy(points: Sequence[str]) -> Path:
        folder = shutil.copytree(smoke, tmp_path / "copy", symlinks=True)
        results = folder / "results/smoke"
        for name in points:
            shutil.rmtree(results / "points" / name)
            (results / "tables" / f"{name}.parquet").unlink()
        (results / "claims.json").unlink()
        return folder

    return copy
