"""The same verdicts at several seeds: each seed has a run of its own, and what moves is told."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pma_replication import findings

ROOT = Path(__file__).resolve().parents[1]


def record(claim: str, game: str, verdict: str, estimate: float | None = 0.5) -> dict[str, Any]:
    interval = [None, None] if estimate is None else [estimate - 0.1, estimate + 0.1]
    return {"id": claim, "game": game, "verdict": verdict, "estimate": estimate, "interval": interval}


RUNS = {
    7: [record("C3", "g", "confirmed"), record("C3", "h", "confirmed"), record("C4", "g", "vacuous")],
    8: [
        record("C3", "g", "confirmed"),
        record("C3", "h", "not confirmed", 0.8),
        record("C4", "g", "inconclusive", None),
    ],
    9: [record("C3", "g", "confirmed"), record("C3", "h", "inconclusive"), record("C4", "g", "vacuous")],
}


def test_verdicts_that_move_between_seeds_are_told_and_no_others() -> None:
    assert findings.moved(RUNS) == [("C3", "h"), ("C4", "g")]
    text = findings.across_seeds(RUNS)
    assert "Of 3 verdicts, one for each claim and game, 1 are the same at all of them, and 2 are not. Confirm" in text
    assert "Confirmed at one and contradicted at another: 1." in text
    assert "| 8 | 1 | 1 | 0 | 1 |" in text
    assert "| C3 | h | **confirmed**: 0.5 [0.4, 0.6] | **not confirmed**: 0.8 [0.7, 0.9] | **inconclusive**" in text
    assert "| C4 | g | **vacuous**: 0.5 [0.4, 0.6] | **inconclusive**: – [–, –] |" in text
    assert "| C3 | g |" not in text
    assert findings.moved({7: RUNS[7]}) == []
    assert "| claim | game |" not in findings.across_seeds({7: RUNS[7]})
    # a verdict that one run has not is no verdict that stays
    assert findings.moved({7: RUNS[7], 8: RUNS[7][:2]}) == [("C4", "g")]


def test_every_seed_has_a_configuration_and_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(ROOT / "workflow/seeds.py"))
    main, commands = script["main"], []
    main.__globals__["ROOT"] = tmp_path
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results": "results/r", "figures": "drawn"}
    Path("toy.yaml").write_text(yaml.safe_dump(content))

    def run(command: list[str]) -> int:
        commands.append(command)
        made = yaml.safe_load(Path(command[2]).read_text())
        seed = made.pop("seed")
        rest = {name: value for name, value in content.items() if name not in ("seed", "results", "figures")}
        assert made == rest | {"results": f"results/r_seed_{seed}", "figures": f"results/r_seed_{seed}/figures"}
        claims = tmp_path / command[3]
        claims.parent.mkdir(parents=True, exist_ok=True)
        claims.write_text(json.dumps(RUNS[seed]))
        return 3 * (seed == 9 and len(commands) == 3)

    monkeypatch.setattr(subprocess, "call", run)
    assert main("toy.yaml", [7, 8, 9], "--cores", "1") == 3  # of the run that stopped
    assert not Path("drawn/seeds.md").exists()
    assert main("toy.yaml", [7, 8, 9], "--cores", "1") == 0
    assert Path("drawn/seeds.md").read_text() == findings.across_seeds(RUNS)
    assert "2 verdicts differ between 3 seeds" in capsys.readouterr().out
    assert [command[3] for command in commands[-3:]] == [f"results/r_seed_{seed}/claims.json" for seed in (7, 8, 9)]
    assert commands[0][4:] == ["--cores", "1"]
    # with the verdicts of the configuration itself, if it has been run
    Path("results/r").mkdir()
    Path("results/r/claims.json").write_text(json.dumps(RUNS[7]))
    assert main("toy.yaml", [8, 9]) == 0
    assert f"| {content['seed']} | 2 | 0 | 1 | 0 |" in Path("drawn/seeds.md").read_text()


def test_no_seeds_are_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "workflow/seeds.py", "config/smoke.yaml", "one"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "error: seeds: got one, expected integers, such as 101 102 103\n"
