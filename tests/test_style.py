"""Style and types, as the tools see them: tests, so that they run beside the others and not before."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: ruff takes no time: `make test` begins with it.
TOOLS = ("mypy", "snakefmt --check Snakefile workflow", "snakemake --lint")


@pytest.mark.parametrize("command", TOOLS)
def test_a_tool_finds_nothing(command: str) -> None:
    program, *options = command.split()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
