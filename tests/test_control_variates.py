"""Averages with control variates against exact chains of few agents: the same expectation, and a smaller variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.references import curved_game, left_eigenvector, lumped_chain, random_policy

from pma_mfg import games, operators
from pma_mfg.errors import InputError
from pma_mfg.games import MeanFieldGame
from pma_mfg.populations import control_variates
from pma_mfg.simulation import exchangeable, exchangeable_kernels
from pma_mfg.simulation.exchangeable import ErgodicAverages

N_AGENTS = 6


def small(family: str, **more: str) -> MeanFieldGame:
    return games.make(family, n_states=3, n_actions=2, discount=0.6, seed=3, strength=0.1, **more)


GAMES = {
    "smooth": small("planted_smooth"),
    "kinked": small("planted_kinked"),
    "curved": curved_game("log", n_states=3, n_actions=2),
}


def equilibrium_policy(game: MeanFieldGame) -> np.ndarray:
    return random_policy(game, 1) if game.planted is None else game.planted.policy


def averages_at(game: MeanFieldGame, policy: np.ndarray, centre: np.ndarray, counts: np.ndarray) -> ErgodicAverages:
    """Return what one step of a trajectory adds up that begins with these counts."""
    size, tables = game.n_states, exchangeable.game_tables(game)
    families = (game.transition_features, game.reward_features)
    sums = [np.zeros(1), np.zeros(size), np.zeros((size, size))]
    sums += [*(np.zeros((size, len(of.links))) for of in families), np.zeros((size, size))]
    expansions = [(of.values(centre), np.ascontiguousarray(of.gradients(centre))) for of in families]
    stream = exchangeable.random_stream(np.random.default_rng(0))
    shared = exchangeable.policy_tables(game, policy, None)
    exchangeable_kernels.average(stream, counts.copy(), tables, shared, 1, centre, *expansions, *sums)
    return ErgodicAverages(
        deviation=float(sums[0][0]),
        mean_field=sums[1],
        transition_features=np.empty(0),
        reward_features=np.empty(0),
        second_moments=sums[2],
        transition_remainders=sums[3],
        reward_remainders=sums[4],
        next_moments=sums[5],
    )


def flat(averages: ErgodicAverages) -> np.ndarray:
    """Return all that `controlled` changes in one row."""
    parts = ("second_moments", "transition_remainders", "reward_remainders", "deviation")
    return np.concatenate([np.ravel(getattr(averages, part)) for part in parts])


Exact = tuple[np.ndarray, np.ndarray, list[ErgodicAverages], list[ErgodicAverages]]


@pytest.fixture(scope="module", params=GAMES)
def exact(request: pytest.FixtureRequest) -> Exact:
    """Return chain, stationary law, and plain and controlled averages of one step for each state of the chain."""
    game = GAMES[request.param]
    policy = equilibrium_policy(game)
    centre = operators.stable_population(game, policy)
    states, matrix = lumped_chain(game, policy, N_AGENTS)
    all_counts = [np.array(others) + np.eye(3, dtype=np.int64)[tagged] for tagged, others in states]
    plain = [averages_at(game, policy, centre, counts) for counts in all_counts]
    controlled = [control_variates.controlled(game, policy, N_AGENTS, averages=one) for one in plain]
    return matrix, left_eigenvector(matrix), plain, controlled


def test_the_next_moments_are_those_of_the_chain_whose_agents_move_one_by_one(exact: Exact) -> None:
    matrix, _, plain, _ = exact
    moments = np.array([one.second_moments for one in plain])
    found = np.array([one.next_moments for one in plain])
    np.testing.assert_allclose(found, np.einsum("ij,jsz->isz", matrix, moments), rtol=0, atol=1e-14)


def test_controlled_averages_have_exactly_the_expectation_of_the_plain_ones(exact: Exact) -> None:
    _, law, plain, controlled = exact
    expected, found = (law @ np.array([flat(one) for one in averages]) for averages in (plain, controlled))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_control_variates_leave_less_than_a_quarter_of_the_variance_of_long_averages(exact: Exact) -> None:
    matrix, law, plain, controlled = exact
    fundamental = np.linalg.inv(np.eye(len(law)) - matrix + law)
    variances = []
    for averages in (plain, controlled):
        values = np.array([[np.trace(one.second_moments), one.deviation] for one in averages])
        values -= law @ values
        # of the mean over T steps, times T, for long T
        variances.append(law @ (2.0 * values * (fundamental @ values) - values**2))
    assert (variances[1] < 0.25 * variances[0]).all()


@pytest.mark.parametrize("n_agents", [1, 0, 2.5])
def test_a_number_of_agents_out_of_range_is_refused(n_agents: int) -> None:
    game = GAMES["smooth"]
    policy = equilibrium_policy(game)
    one = averages_at(game, policy, operators.stable_population(game, policy), np.array([1, 2, 3]))
    with pytest.raises(InputError, match=r"n_agents: .* an integer from 2"):
        control_variates.controlled(game, policy, n_agents, averages=one)


def test_averages_without_next_moments_are_refused() -> None:
    game = GAMES["smooth"]
    policy = equilibrium_policy(game)
    one = averages_at(game, policy, operators.stable_population(game, policy), np.array([1, 2, 3]))
    with pytest.raises(InputError, match="averages: got without next_moments, expected ergodic averages with"):
        control_variates.controlled(game, policy, 6, averages=replace(one, next_moments=np.zeros((0, 0))))
