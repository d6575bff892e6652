"""Rows of the atlas depend on their game alone, are what the library says of it, and say what is missing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pma_mfg import equilibrium, games, jacobian
from pma_mfg.errors import ConvergenceError
from pma_mfg.regularizers import Entropy
from pma_mfg.theory import lipschitz
from pma_replication import cli
from pma_replication.experiments.atlas import measure as atlas_measure
from pma_replication.experiments.atlas.settings import batches
from pma_replication.runs import tables as parquet

SMOKE = yaml.safe_load((Path(__file__).resolve().parents[1] / "config/smoke.yaml").read_text())
SETTINGS: dict[str, Any] = {"relative_step_size": 0.3, "n_starts": 2, "max_iterations": 200, "n_agents": 10**6}
SETTINGS |= {"n_steps": 200, "n_replicates": 4, "epsilon": 0.2, "n_visits": 20, "waiting_constant": 0.5}
SETTINGS |= {"max_samples": 100_000, "seed": 0}
SIZE = {"n_states": 3, "n_actions": 2, "discount": 0.5, "seed": 1}
PLANTED = ("planted", "planted_kinked", {**SIZE, "strength": 0.5}, 0.5)
GARNET = ("garnet", "garnet", {**SIZE, "n_successors": 3, "coupling": 0.3, "transition_coupling": 0.1}, 1.0)
GATHERING = ("gathering", "coordination", {"n_states": 2, "discount": 0.9, "attraction": 1.0}, 0.1)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return atlas_measure.table([PLANTED, GARNET, GATHERING], **SETTINGS)


def test_a_row_is_bitwise_the_same_in_any_batch(rows: pd.DataFrame) -> None:
    alone = [atlas_measure.table([member], **SETTINGS) for member in (GATHERING, PLANTED)]
    again = pd.concat([alone[1], rows.iloc[[1]], alone[0]], ignore_index=True)
    pd.testing.assert_frame_equal(again, rows, check_exact=True)


def test_a_row_says_what_the_library_says_of_the_game(rows: pd.DataFrame) -> None:
    row, game = rows.iloc[1], games.make(GARNET[1], **GARNET[2])
    nash = equilibrium.solve(game, Entropy(1.0))
    radius = jacobian.spectral_radius(jacobian.jacobian(game, nash.policy, row["step_size"], regularizer=Entropy(1.0)))
    assert row["spectral_radius"] == pytest.approx(radius, rel=1e-9)  # by another formula, to rounding
    assert row["paper_bound"] == lipschitz.contraction_bound(game, Entropy(1.0), 0.3).L_gamma
    assert row["L_pop"] == lipschitz.constants(game).L_pop
    assert row["certificate"] < 1.0
    assert row["n_converged"] == row["n_starts"] == row["n_certified"] == row["n_certified_converged"] == 2
    assert row["observed_rate"] == pytest.approx(radius, rel=0.02)
    assert row["remark"] == ""


def test_kinks_have_no_radius_and_a_bias_of_order_one_half(rows: pd.DataFrame) -> None:
    kinked, smooth, _ = (rows.iloc[i] for i in range(3))
    assert (kinked["bias_exponent"], smooth["bias_exponent"]) == (0.5, 1.0)
    assert np.isnan(kinked["spectral_radius"])
    # some 6 % of Monte Carlo error each; a wrong exponent would be a factor of a thousand
    assert kinked["bias_ratio"] == pytest.approx(1.0, abs=0.3)
    assert smooth["bias_ratio"] == pytest.approx(1.0, abs=0.5)


def test_where_pma_leaves_its_equilibrium_nothing_is_learned_and_the_remark_says_why(rows: pd.DataFrame) -> None:
    row = rows.iloc[2]
    assert row["solved"]
    assert row["spectral_radius"] > 1.0
    assert row["n_converged"] < row["n_starts"]
    assert np.isnan(row["learned_error"])
    assert "PMA contracts (spectral radius" in row["remark"]


def test_a_game_that_is_not_solved_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch, rows: pd.DataFrame) -> None:
    def solve(*arguments: Any, **keywords: Any) -> None:
        raise ConvergenceError("no equilibrium found", [1.0])

    monkeypatch.setattr(equilibrium, "solve", solve)
    table = atlas_measure.table([GARNET], **SETTINGS)
    row = table.iloc[0]
    assert list(table.columns) == list(rows.columns)
    assert not row["solved"]
    assert row["remark"].startswith("equilibrium: no equilibrium found")
    assert row["certificate"] == rows["certificate"].iloc[1]  # what holds without an equilibrium is there
    assert np.isnan(row["observed_rate"])


def test_a_schedule_that_is_too_long_is_not_run(rows: pd.DataFrame) -> None:
    row = atlas_measure.row(*GARNET[:3], strength=GARNET[3], **{**SETTINGS, "max_samples": 10})
    assert row["samples"] == rows["samples"].iloc[1] > 10
    assert np.isnan(row["learned_error"])
    assert "samples, more than 10" in row["remark"]


def test_batches_hold_every_game_once_whatever_their_size_and_more_seeds_leave_full_ones_alone() -> None:
    content = copy.deepcopy(SMOKE)
    every = [game for batch in batches(content) for game in batch]
    assert len(set(every)) == len(every) == 6
    content["atlas"]["batch_size"] = 1
    assert [game for batch in batches(content) for game in batch] == every
    content["atlas"]["batch_size"] = 3
    before = batches(content)
    for grid in content["atlas"]["grids"].values():
        grid["n_seeds"] = 3
    after = batches(content)
    assert after[:2] == before
    assert len(after) == 6
    assert batches({}) == []


def test_the_command_takes_games_as_the_batches_name_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--step-size", "0.3", "--max-iterations", "200", "--steps", "200", "--replicates", "4"]
    settings += ["--epsilon", "0.2", "--visits", "20", "--max-samples", "1e5"]
    settings += ["--out", str(tmp_path / "rows.parquet")]
    name, family, parameters, strength = GARNET
    game = " ".join([name, family, *(f"{key}={value}" for key, value in parameters.items()), f"strength={strength}"])
    assert cli.main(["atlas", "measure", game, *settings]) == 0
    pd.testing.assert_frame_equal(
        parquet.read_table(tmp_path / "rows.parquet"), atlas_measure.table([GARNET], **SETTINGS), check_exact=True
    )
    for wrong, words in {
        "mine garnet n_states=3": "strength: got None, expected a finite number > 0",
        "mine garnet strength=-1": "strength: got -1, expected a finite number > 0",
        "mine garnett strength=1": "family: got 'garnett', expected one of",
        "mine garnet discount=2 strength=1": "discount: got 2, expected a number in [0, 1)",
        "mine": "family: got ''",
        "mine garnet strength": "got 'strength', expected name=value",
    }.items():
        assert cli.main(["atlas", "measure", wrong, *settings]) == 2
        assert words in capsys.readouterr().err
