"""What is said of a game from the literature, where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.games import benchmarks
from pma_mfg.regularizers import Entropy
from pma_mfg.theory import lipschitz
from pma_replication.experiments.literature import judge as literature_judge
from pma_replication.experiments.literature import measure as literature_measure


def facts_and_states(
    name: str, strength: float, n_starts: int = 2, **parameters: int
) -> tuple[pd.Series, pd.DataFrame]:
    game, regularizer = games.make(name, **parameters), Entropy(strength)
    found = equilibrium.solve(game, regularizer)
    facts, equilibria, states = literature_measure.table(
        game, regularizer, found, name=name, step_size=1.0 / strength, n_starts=n_starts, seed=0
    )
    assert len(facts) == 1
    assert len(states) == game.n_states * len(equilibria)
    return facts.iloc[0], states[states["equilibrium"] == 0]


def listed(name: str, strength: float, n_starts: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    game, regularizer = games.make(name), Entropy(strength)
    found = equilibrium.solve(game, regularizer)
    return literature_measure.table(
        game, regularizer, found, name=name, step_size=1.0 / strength, n_starts=n_starts, seed=0
    )


def test_the_disease_free_equilibrium_is_found_beside_the_epidemic() -> None:
    facts, equilibria, states = listed("sis_epidemic", 0.5, n_starts=4)
    assert facts["equilibria"].iloc[0] == len(equilibria) == 2
    free = states[states["equilibrium"] == 1]
    np.testing.assert_array_equal(free["mean_field"], [1.0, 0.0])
    # docs/theory, Proposition 14.4
    activity = np.linspace(0.0, 1.0, 5)
    policy = np.exp(activity / 0.5) / np.exp(activity / 0.5).sum()
    np.testing.assert_allclose(free["probability"], policy.max(), rtol=1e-12)
    np.testing.assert_allclose(equilibria["population_radius"].iloc[1], 0.9 + 0.8 * policy @ activity, rtol=1e-12)
    assert list(equilibria["followed"]) == [True, False]
    assert (equilibria["residual"] < 1e-12).all()
    # they belong to two stable populations: no contradiction to a contraction of PMA, which goes by one
    assert "contraction" not in facts["remark"].iloc[0]
    text = literature_judge.games_markdown(facts, equilibria)
    assert "susceptible: 1, infected: 0" in text
    assert "the population leaves" in text


def test_everybody_may_gather_in_any_cell_and_the_indices_say_that_there_is_more() -> None:
    facts, equilibria, states = listed("cluster", 0.3, n_starts=32)
    shares = states.pivot_table(index="equilibrium", columns="state", values="mean_field").to_numpy()
    gathered = shares.max(axis=1) > 0.9
    assert set(shares[gathered].argmax(axis=1)) == set(range(16))
    assert (equilibria["radius"][gathered] < 1.0).all()
    assert (equilibria["residual"] < 1e-10).all()
    assert equilibria["fixed_point_index"].sum() != 1.0
    assert "there are more" in facts["remark"].iloc[0]


@pytest.mark.parametrize(("name", "strength"), [("multiple_equilibria", 1.0), ("target_agreement", 0.3)])
def test_two_places_to_meet_have_three_equilibria_whose_indices_sum_to_one(name: str, strength: float) -> None:
    # docs/theory, Proposition 14.3: the symmetric one and a mirror pair
    _, equilibria, _ = listed(name, strength, n_starts=8)
    assert sorted(equilibria["fixed_point_index"]) == [-1.0, 1.0, 1.0]
    np.testing.assert_allclose(*equilibria["radius"].iloc[1:], rtol=1e-6)


@pytest.mark.parametrize("name", ["sis_epidemic", "crowd_modelling_2d", "garnet"])
def test_the_derivative_of_the_best_responses_population_is_that_of_differences(name: str) -> None:
    game, regularizer = games.make(name), Entropy(0.5)
    rng = np.random.default_rng(0)
    mean_field, other = rng.dirichlet(np.ones(game.n_states), size=2)

    def after(mu: np.ndarray) -> np.ndarray:
        policy = equilibrium.best_response(game.transition(mu), game.reward(mu), game.discount, regularizer=regularizer)
        return operators.population_update(game, mu, policy)

    step = 1e-5 * (other - mean_field) * mean_field.min()
    policy = equilibrium.best_response(
        game.transition(mean_field), game.reward(mean_field), game.discount, regularizer=regularizer
    )
    exact = jacobian.best_response_derivative(game, mean_field, policy, regularizer=regularizer) @ step
    numeric = 0.5 * (after(mean_field + step) - after(mean_field - step))
    # rounding of q, some 1e-14, over a step of some 1e-7
    np.testing.assert_allclose(numeric, exact, rtol=0, atol=1e-5 * np.abs(exact).max())


def test_deterministic_transitions_break_assumption_two() -> None:
    facts, states = facts_and_states("rock_paper_scissors", 0.5)
    assert facts["L_pop"] == 1.0
    assert facts["L_pop_kind"] == "exact"
    assert "2" not in facts["assumptions"].split(", ")
    assert "Assumption 2 fails: L_pop = 1, as with all deterministic transitions." in facts["remark"]
    assert set(states["action"]) == {"several"}  # uniform by symmetry
    np.testing.assert_allclose(states["mean_field"], 1.0 / 3.0, rtol=0, atol=1e-12)


def test_a_decision_process_has_one_equilibrium_and_a_constant_best_response() -> None:
    facts, states = facts_and_states("no_interaction", 0.2, n_starts=4)
    assert (facts["equilibria"], facts["settled"], facts["starts"]) == (1, 5, 5)
    assert facts["best_response_radius"] < 1e-9  # the Jacobian is zero up to rounding
    assert list(states["action"])[:6] == ["right"] * 6
    assert "equilibria" not in facts["remark"]


def test_several_equilibria_are_found_and_said() -> None:
    facts, _ = facts_and_states("multiple_equilibria", 1.0, n_starts=4)
    assert facts["equilibria"] > 1
    assert f"At least {facts['equilibria']} equilibria" in facts["remark"]


@pytest.mark.parametrize("strength", [5.0, 50.0])
def test_four_rooms_is_solved_by_the_uniform_policy_outside_the_walls(strength: float) -> None:
    facts, states = facts_and_states("four_rooms", strength, rows=5, columns=5, n_starts=1)
    walls = benchmarks.four_rooms_walls(5, 5).ravel()
    np.testing.assert_array_equal(states["transient"], walls)
    # docs/theory, Proposition 14.1
    np.testing.assert_allclose(states["mean_field"], np.where(walls, 0.0, 1.0 / (~walls).sum()), rtol=0, atol=1e-12)
    np.testing.assert_allclose(states["probability"][~walls], 0.2, rtol=0, atol=1e-9)
    assert f"{walls.sum()} of 25 states are left for good" in facts["remark"]


def test_a_game_that_meets_every_assumption_has_no_complaint_about_them() -> None:
    bounds = {"K_mu": 0.1, "K_s": 0.3, "K_a": 0.2, "L_mu": 0.01, "L_s": 0.02, "L_a": 0.05}
    game = games.make("affine", n_states=3, n_actions=2, discount=0.5, seed=1, **bounds)
    regularizer = Entropy(1.0)
    found = equilibrium.solve(game, regularizer)
    facts, _, _ = literature_measure.table(
        game, regularizer, found, name="certified", step_size=1.0, n_starts=2, seed=0
    )
    assert facts["assumptions"].iloc[0] == "1, 2, 3, 4"
    assert facts["remark"].iloc[0] == ""
    assert facts["K_mu"].iloc[0] == lipschitz.constants(game).K_mu


CONFIGURED = yaml.safe_load((Path(__file__).parents[1] / "config/config.yaml").read_text())

#: docs/theory, section 14.5.
DECIDING = {
    "contraction_game": 1.0,
    "lasry_lions_chain": 10.0,
    "multiple_equilibria": 10.0,
    "no_interaction": 1.0,
    "sis_epidemic": 1.0,
    "beach_bar": 0.01,
    "cournot_investment": 0.01,
    "malware_spread": 0.1,
    "garnet": 0.1,
}


def most_decided(name: str, strength: float) -> float:
    """Return the largest probability of an action in the states that agents visit for ever."""
    game = games.make(name)
    found = equilibrium.solve(game, Entropy(strength))
    kernel = operators.policy_kernel(game.transition(found.mean_field), found.policy)
    return float(found.policy[np.concatenate(operators.recurrent_classes(kernel))].max())


@pytest.mark.parametrize(("name", "strength"), DECIDING.items())
def test_the_deciding_strength_is_the_largest_power_of_ten_at_which_play_is_half_way_to_deterministic(
    name: str, strength: float
) -> None:
    assert CONFIGURED["games"][name]["parameters"] == {}
    half_way = 0.5 + 0.5 / games.make(name).n_actions
    assert most_decided(name, strength) > half_way > most_decided(name, 10.0 * strength)


@pytest.mark.parametrize("name", ["rock_paper_scissors", "cluster"])
def test_uniform_play_is_found_at_every_strength(name: str) -> None:
    uniform = 1.0 / games.make(name).n_actions
    for strength in (10.0, 1.0, 0.1, 0.01):
        assert most_decided(name, strength) == pytest.approx(uniform, abs=1e-9)


def test_best_response_is_asked_of_the_games_of_the_literature_at_strengths_of_the_rule() -> None:
    asked = CONFIGURED["orbit"]["games"]
    small = {name for name in DECIDING if games.make(name).n_states <= 11} - {"no_interaction"}
    assert small == set(asked) & set(CONFIGURED["literature"]["games"])
    for name in small:
        assert asked[name] == pytest.approx([x * DECIDING[name] for x in (10.0, 3.0, 1.0, 0.5)])
    for name, rung in CONFIGURED["games"].items():
        if name in asked and rung["family"] == "planted_coupled":
            assert asked[name] == pytest.approx([x * rung["strength"] for x in (10.0, 3.0, 1.0, 0.5)])
