"""What `make dist` built is described as its formats ask, and works where nothing of this folder is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workflow import crate

from pma_mfg import __version__

ROOT = Path(__file__).resolve().parents[2]
DIST, TOOLS = ROOT / "dist", ROOT / ".venv-dist/bin"


def works(python: str) -> bool:
    """Whether there is such an interpreter; one that only stands for others may be there and not work."""
    return bool(shutil.which(python)) and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


#: Those of the interpreters that the project supports which are here.
PYTHONS = [python for python in (f"python3.{minor}" for minor in range(11, 15)) if works(python)] or [sys.executable]

pytestmark = pytest.mark.dist


@pytest.mark.parametrize(
    "command",
    [
        ("twine", "check", "--strict", *map(str, sorted(DIST.glob("*")))),
        ("validate-pyproject", "pyproject.toml"),
        ("check-jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff"),
        (
            "check-jsonschema",
            "--builtin-schema",
            "vendor.github-workflows",
            *map(str, ROOT.glob(".github/workflows/*")),
        ),
        ("hadolint", "Dockerfile"),
    ],
    ids=lambda command: f"{command[0]} {Path(command[-1]).name}",
)
def test_a_description_is_valid_by_the_tool_of_its_format(command: tuple[str, ...]) -> None:
    done = subprocess.run([TOOLS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def install(folder: Path, python: str, extras: str) -> Path:
    """Install the wheel into a fresh environment; return the folder of its programs."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    (wheel,) = DIST.glob(f"pma_mfg-{__version__}-*.whl")
    pip = [folder / "bin/python", "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", f"{wheel}{extras}"], check=True)
    subprocess.run([*pip, "check"], check=True)
    return folder / "bin"


def run(programs: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program where the project's folder is not the working directory, and not on the path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP"))}
    return subprocess.run(
        [programs / command[0], *command[1:]], cwd=programs.parent, env=clean, capture_output=True, text=True
    )


@pytest.mark.parametrize("python", PYTHONS)
def test_the_wheel_alone_solves_a_game_and_says_what_the_replication_needs(python: str, tmp_path: Path) -> None:
    programs = install(tmp_path / "fresh", python, "")
    assert run(programs, "pma-mfg", "--version").stdout == f"pma-mfg {__version__}\n"
    solved = run(programs, "pma-mfg", "solve", "contraction_game", "--strength", "1.2", "--json")
    assert json.loads(solved.stdout), solved.stderr
    refused = run(programs, "pma-mfg", "verify", "C1c", "contraction_game", "--strength", "1.2")
    assert refused.returncode == 2
    assert "pip install 'pma-mfg[replication]'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("python", PYTHONS)
def test_the_wheel_with_extras_judges_a_game(python: str, tmp_path: Path) -> None:
    programs = install(tmp_path / "fresh", python, "[replication,plot,pettingzoo,gymnasium]")
    listed = run(programs, "pma-replicate", "--help")
    assert listed.returncode == 0, listed.stderr
    judged = run(programs, "pma-mfg", "verify", "C1c", "contraction_game", "--strength", "1.2", "--json")
    assert json.loads(judged.stdout), judged.stderr
    drawn = run(programs, "pma-mfg", "plot", "contraction_game", "--strength", "1.2", "--out", "game.png")
    assert drawn.returncode == 0, drawn.stderr
    assert (programs.parent / "game.png").stat().st_size > 10_000
    kit = "import pma_mfg.interop.pettingzoo, pma_mfg.interop.gymnasium, snakemake; print('imported')"
    assert run(programs, "python", "-c", kit).stdout == "imported\n"


def test_a_crate_is_valid_by_the_tool_of_its_format_which_sees_what_is_missing(tmp_path: Path) -> None:
    files = {"object": ["config.yaml"], "result": ["claims.json", "tables/rates.parquet"]}
    files["code"] = ["workflow/Snakefile", "requirements.lock", "LICENSE"]
    pairs = {part: [(tmp_path / place, place) for place in places] for part, places in files.items()}
    for path, place in (pair for of in pairs.values() for pair in of):
        path.parent.mkdir(exist_ok=True)
        path.write_text(place)
    text = json.dumps(crate.metadata(pairs, "config.yaml", "abc", datetime(2026, 1, 1, tzinfo=UTC)))

    def validate(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "ro-crate-metadata.json").write_text(text)
        command = [TOOLS / "python", ROOT / "tests/dist/validate_crate.py", tmp_path]
        return subprocess.run(command, capture_output=True, text=True)

    valid = validate(text)
    assert valid.returncode == 0, valid.stdout + valid.stderr
    assert " 0 faults" in valid.stdout
    for broken in (text.replace('"mainEntity"', '"about"'), text.replace('"instrument"', '"tool"')):
        refused = validate(broken)
        assert refused.returncode == 1
        assert "REQUIRED" in refused.stdout
