"""What one of N agents gains by deviating: against brute force on all joint states, and its orders in N."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from tests.references import curved_game, deviators_gain, family_game, own_state_deviators_gain, random_policy

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.games import MeanFieldGame
from pma_mfg.populations import deviators, finite_population, fluctuations, gap_constants
from pma_mfg.regularizers import Entropy, Quadratic, Regularizer

ENTROPY = Entropy(0.1)

#: Of every kind of coupling, with two actions, at sizes where all joint states and policies can be visited.
SMALL = {
    "affine, 4 agents": (family_game("affine", n_states=2, n_actions=2), 4),
    "planted smooth, 3 agents": (family_game("planted_smooth", n_states=3, n_actions=2), 3),
    "planted kinked, 2 agents": (family_game("planted_kinked", n_states=3, n_actions=2), 2),
    "coordination, 4 agents": (family_game("coordination", n_states=2), 4),
    "link log, 3 agents": (curved_game("log", n_states=2, n_actions=2), 3),
}


def coupled(channel: str, link: str = "identity", n_states: int = 2) -> MeanFieldGame:
    return games.make(
        "planted_coupled",
        n_states=n_states,
        n_actions=2,
        discount=0.8,
        seed=0,
        strength=0.1,
        best_response_radius=1.5,
        channel=channel,
        link=link,
        sign="averse",
    )


def pair(family: str) -> MeanFieldGame:
    return games.make(family, n_states=2, n_actions=2, discount=0.8, seed=3, strength=0.1)


PAIRS = {
    "smooth": pair("planted_smooth"),
    "rewards": coupled("rewards"),
    "curved rewards": coupled("rewards", "power"),
    "curved dynamics": coupled("dynamics", "power"),
    "kinked": pair("planted_kinked"),
}


def planted_policy(game: MeanFieldGame) -> np.ndarray:
    assert game.planted is not None
    return game.planted.policy


def game_mean(game: MeanFieldGame, policy: np.ndarray, values: np.ndarray) -> float:
    return float(operators.stable_population(game, policy) @ values)


def limit_of_learning(game: MeanFieldGame, n_agents: int) -> np.ndarray:
    start = planted_policy(game)
    return finite_population.policy_limit(game, n_agents, ENTROPY, step_size=3.0, start=start, tolerance=1e-12)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("regularizer", [None, ENTROPY, Quadratic(0.3)])
def test_a_deviator_gains_what_the_best_of_all_its_policies_gains(name: str, regularizer: Regularizer | None) -> None:
    game, n_agents = SMALL[name]
    for seed in (1, 2):
        policy = random_policy(game, seed)
        expected = own_state_deviators_gain(game, policy, n_agents, regularizer)
        found = deviators.nash_gap(game, policy, n_agents, regularizer=regularizer, sees="state")
        # the last grid has steps below 1e-5, at a maximum where the slope is zero or a corner of the grid
        assert found == pytest.approx(expected, abs=1e-8)
        assert found > 1e-4
        # who sees the counts as well has these policies and more
        more = deviators_gain(game, policy, n_agents, regularizer)
        assert more == pytest.approx(deviators.nash_gap(game, policy, n_agents, regularizer=regularizer), abs=1e-9)
        assert more >= found - 1e-9


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("n_agents", [2, 4])
def test_at_an_equilibrium_brute_force_finds_the_same_gain_in_every_class(name: str, n_agents: int) -> None:
    game = PAIRS[name]
    policy = planted_policy(game)
    indifferent = deviators.indifferent_game(game, policy, ENTROPY)
    for of, regularizer in ((game, ENTROPY), (indifferent, None)):
        by_state = own_state_deviators_gain(of, policy, n_agents, regularizer)
        by_counts = deviators_gain(of, policy, n_agents, regularizer)
        found = [deviators.nash_gap(of, policy, n_agents, regularizer=regularizer, sees=s) for s in ("state", "counts")]
        np.testing.assert_allclose(found, [by_state, by_counts], rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("name", PAIRS)
def test_the_gain_on_the_own_state_has_its_order_and_its_constant(name: str) -> None:
    game = PAIRS[name]
    policy = planted_policy(game)
    constant, order = gap_constants.own_state_gap_constant(game, policy, ENTROPY)
    assert order == (1.0 if name == "kinked" else 2.0)
    few, many = (
        deviators.nash_gap(game, policy, n, regularizer=ENTROPY, sees="state") * n**order / constant - 1.0
        for n in (40, 640)
    )
    # corrections of relative order 1 / N, beside a kink 1 / sqrt(N): 16 or 4 times smaller
    assert abs(many) < (0.005 if name == "kinked" else 3e-4)
    assert abs(many) < (0.7 if name == "kinked" else 0.2) * abs(few) + 2e-5


def test_without_a_regularizer_the_gain_on_the_own_state_is_of_order_one_half_at_a_kink_and_one_elsewhere() -> None:
    for name, game in PAIRS.items():
        policy = planted_policy(game)
        indifferent = deviators.indifferent_game(game, policy, ENTROPY)
        constant, order = gap_constants.own_state_gap_constant(indifferent, policy, None)
        assert order == (0.5 if name == "kinked" else 1.0)
        few, many = (deviators.nash_gap(indifferent, policy, n, sees="state") * n**order for n in (100, 800))
        assert many == pytest.approx(few, rel=0.005)
        if name == "kinked":
            assert many == pytest.approx(constant, rel=0.002)
        else:
            assert np.isnan(constant)


@pytest.mark.parametrize("n_states", [2, 3])
def test_the_averaged_error_is_that_of_the_exact_chain(n_states: int) -> None:
    game = coupled("dynamics", "power", n_states)
    policy = planted_policy(game)
    truth = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=ENTROPY)
    constant = gap_constants.averaged_error(game, policy, ENTROPY)
    found = []
    for n_agents in (20, 40):
        law = finite_population.stationary_counts(game, policy, n_agents)
        process = replace(deviators._process(game, deviators.others(game, policy, law)), regularizer=ENTROPY)
        _, q = deviators._held(process, policy)
        averaged = (process.start[..., None] * q).sum(axis=1) / process.start.sum(axis=1)[:, None]
        found.append((averaged - truth) * n_agents)
    # Richardson: what is left of c + d/N + e/N^2 is of order 1/N^2
    assert np.abs(2.0 * found[1] - found[0] - constant).max() < 0.01 * np.abs(constant).max()
    # where moves do not tell of the population, as here to first order, it is also what TD learning converges to
    np.testing.assert_allclose(constant, fluctuations.smooth_bias(game, policy, ENTROPY), atol=1e-12)


def test_the_policy_learned_without_noise_is_an_equilibrium_of_the_game_of_n_agents_if_moves_do_not_tell() -> None:
    game = PAIRS["rewards"]
    for n_agents in (2, 5, 40):
        learned = limit_of_learning(game, n_agents)
        gain = deviators.nash_gap(game, learned, n_agents, regularizer=ENTROPY, sees="state")
        before = deviators.nash_gap(game, planted_policy(game), n_agents, regularizer=ENTROPY, sees="state")
        assert gain < 1e-9 * before
    # nor does a deviator gain whose rewards have a kink, in a game whose moves do not depend on others
    for n_agents in (2, 5):
        game = coupled("rewards", "absolute")
        gain = deviators.nash_gap(game, limit_of_learning(game, n_agents), n_agents, regularizer=ENTROPY, sees="state")
        assert gain < 1e-12


def test_what_the_policy_learned_without_noise_leaves_has_its_constant() -> None:
    """What moves tell of the population, which TD learning does not see."""
    game, n_agents = PAIRS["smooth"], 80
    policy = planted_policy(game)
    told = gap_constants.averaged_error(game, policy, ENTROPY) - fluctuations.smooth_bias(game, policy, ENTROPY)
    told = told - (policy * told).sum(axis=1, keepdims=True)
    # of the entropy, d^2 h = -1 / (tau pi): the derivative of the best response is a covariance under pi
    constant = game_mean(game, policy, (policy * told**2).sum(axis=1) / 0.1) / (2.0 * (1.0 - game.discount))
    learned = limit_of_learning(game, n_agents)
    found = deviators.nash_gap(game, learned, n_agents, regularizer=ENTROPY, sees="state") * n_agents**2
    assert found == pytest.approx(constant, rel=0.03)  # corrections of relative order 1 / N
    equilibriums, _ = gap_constants.own_state_gap_constant(game, policy, ENTROPY)
    assert found < 1e-4 * equilibriums


def test_near_an_equilibrium_a_gain_is_a_quadratic_form_of_the_distance() -> None:
    """With so many agents that their number does not matter."""
    for game in (PAIRS["smooth"], PAIRS["rewards"], PAIRS["curved dynamics"]):
        policy, rng = planted_policy(game), np.random.default_rng(0)
        direction = rng.normal(size=policy.shape) * policy
        direction -= direction.mean(axis=1, keepdims=True)
        moved = policy + 1e-3 * direction / np.abs(direction).max()
        left = moved - policy
        left = left - jacobian.jacobian_product(game, policy, np.inf, regularizer=ENTROPY)(left)
        quadratic = operators.stable_population(game, policy) @ (ENTROPY.curvature(policy) * left**2).sum(axis=1)
        found = equilibrium.exploitability(game, moved, ENTROPY)
        # the third order is 1e-3 over the smallest probability, of some tenths
        assert found == pytest.approx(quadratic / (2.0 * (1.0 - game.discount)), rel=0.02)


def test_gaps_among_others_whose_moves_are_shared_are_the_same_bits() -> None:
    game = coupled("dynamics", "power", 3)
    policy, n_agents = planted_policy(game), 6
    among = deviators.others(game, policy, finite_population.stationary_counts(game, policy, n_agents))
    for of, h in ((game, ENTROPY), (deviators.indifferent_game(game, policy, ENTROPY), None)):
        for sees in get_args(deviators.Sees):
            (shared,) = deviators.nash_gaps(of, policy, among, regularizers=[h], sees=sees)
            assert shared == deviators.nash_gap(of, policy, n_agents, regularizer=h, sees=sees)


def test_what_a_deviator_sees_is_counts_or_state() -> None:
    game = PAIRS["smooth"]
    with pytest.raises(InputError, match="sees: got 'all'"):
        deviators.nash_gap(game, planted_policy(game), 3, sees="all")  # type: ignore[arg-type]
