"""What is said of a game from the literature, where the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pma_mfg import equilibrium, games, lipschitz, survey
from pma_mfg.games import benchmarks
from pma_mfg.regularizers import Entropy


def surveyed(name: str, strength: float, n_starts: int = 2, **parameters: int) -> tuple[pd.Series, pd.DataFrame]:
    game, regularizer = games.make(name, **parameters), Entropy(strength)
    found = equilibrium.solve(game, regularizer)
    facts, states = survey.survey(game, regularizer, found, name, 1.0 / strength, n_starts, seed=0)
    assert len(facts) == 1
    assert len(states) == game.n_states
    return facts.iloc[0], states


def test_deterministic_transitions_break_assumption_two() -> None:
    facts, states = surveyed("rock_paper_scissors", 0.5)
    assert facts["L_pop"] == 1.0
    assert facts["L_pop_kind"] == "exact"
    assert "2" not in facts["assumptions"].split(", ")
    assert "Assumption 2 fails: L_pop = 1, as with all deterministic transitions." in facts["remark"]
    assert set(states["action"]) == {"several"}  # uniform by symmetry
    np.testing.assert_allclose(states["mean_field"], 1.0 / 3.0, rtol=0, atol=1e-12)


def test_a_decision_process_has_one_equilibrium_and_a_constant_best_response() -> None:
    facts, states = surveyed("no_interaction", 0.2, n_starts=4)
    assert (facts["equilibria"], facts["settled"], facts["starts"]) == (1, 5, 5)
    assert facts["best_response_radius"] < 1e-9  # the Jacobian is zero up to rounding
    assert list(states["action"])[:6] == ["right"] * 6
    assert "equilibria" not in facts["remark"]


def test_several_equilibria_are_found_and_said() -> None:
    facts, _ = surveyed("multiple_equilibria", 1.0, n_starts=4)
    assert facts["equilibria"] > 1
    assert f"At least {facts['equilibria']} equilibria" in facts["remark"]


@pytest.mark.parametrize("strength", [5.0, 50.0])
def test_four_rooms_is_solved_by_the_uniform_policy_outside_the_walls(strength: float) -> None:
    facts, states = surveyed("four_rooms", strength, rows=5, columns=5, n_starts=1)
    walls = benchmarks.four_rooms_walls(5, 5).ravel()
    np.testing.assert_array_equal(states["transient"], walls)
    # docs/theory.md, Proposition 14.1
    np.testing.assert_allclose(states["mean_field"], np.where(walls, 0.0, 1.0 / (~walls).sum()), rtol=0, atol=1e-12)
    np.testing.assert_allclose(states["probability"][~walls], 0.2, rtol=0, atol=1e-9)
    assert f"{walls.sum()} of 25 states are left for good" in facts["remark"]


def test_a_game_that_meets_every_assumption_has_no_complaint_about_them() -> None:
    bounds = {"K_mu": 0.1, "K_s": 0.3, "K_a": 0.2, "L_mu": 0.01, "L_s": 0.02, "L_a": 0.05}
    game = games.make("affine", n_states=3, n_actions=2, discount=0.5, seed=1, **bounds)
    regularizer = Entropy(1.0)
    found = equilibrium.solve(game, regularizer)
    facts, _ = survey.survey(game, regularizer, found, "certified", 1.0, 2, seed=0)
    assert facts["assumptions"].iloc[0] == "1, 2, 3, 4"
    assert facts["remark"].iloc[0] == ""
    assert facts["K_mu"].iloc[0] == lipschitz.constants(game).K_mu
