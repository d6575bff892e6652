"""A copy of the repository in which the smoke configuration has been run from end to end, once per test session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment in a folder; the package is the folder's own copy."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


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
