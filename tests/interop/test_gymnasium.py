"""The N-agent game as a vector environment of Gymnasium: what it shows is the environment of arrays, bit by bit."""

import re

import numpy as np
import pytest
from tests.references import all_games, family_game

from pma_mfg import simulation
from pma_mfg.errors import InputError

pytest.importorskip("gymnasium", reason='Gymnasium is not installed: pip install "pma-mfg[gymnasium]"')

from gymnasium.wrappers.vector import FlattenObservation, NormalizeReward, RecordEpisodeStatistics

from pma_mfg.interop.gymnasium import vector_env

CROWD = family_game("crowd_averse")
LAW = np.array([0.7, 0.1, 0.1, 0.1])


@pytest.mark.parametrize("observe_mean_field", [False, True])
@pytest.mark.parametrize("game", all_games().values(), ids=all_games().keys())
def test_agents_move_and_earn_as_in_the_environment_of_arrays(game, observe_mean_field):
    agents = vector_env(game, 30, observe_mean_field=observe_mean_field)
    crowd = simulation.environment(game, 30, seed=3)
    states, (observations, information) = crowd.reset(), agents.reset(seed=3)
    agents.action_space.seed(0)
    for _ in range(6):
        assert information == {}
        assert agents.observation_space.contains(observations)
        assert agents.single_observation_space.contains(observations[7])
        if observe_mean_field:
            own, mean_field = observations[:, : game.n_states], observations[:, game.n_states :]
            np.testing.assert_array_equal(own, np.eye(game.n_states)[states[0]])
            np.testing.assert_array_equal(mean_field, np.tile(crowd.mean_field.astype(np.float32), (30, 1)))
        else:
            np.testing.assert_array_equal(observations, states[0])
        actions = agents.action_space.sample()
        states, earned, _ = crowd.step(actions[None])
        observations, rewards, terminations, truncations, information = agents.step(actions)
        np.testing.assert_array_equal(rewards, earned[0])
        assert terminations.shape == truncations.shape == (30,)
        assert not (terminations | truncations).any()


def test_random_numbers_go_on_without_a_seed_and_start_again_with_one():
    agents = vector_env(CROWD, 200, mean_field=LAW)
    first, second, again = agents.reset(seed=1)[0], agents.reset()[0], agents.reset(seed=1)[0]
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()
    assert (first == 0).sum() > 80  # of 200, with probability 0.7 each
    others = [vector_env(CROWD, 200).reset()[0] for _ in range(2)]
    assert (others[0] != others[1]).any()


def test_wrappers_of_gymnasium_take_it():
    agents = RecordEpisodeStatistics(NormalizeReward(FlattenObservation(vector_env(CROWD, 20))))
    observations, _ = agents.reset(seed=0)
    for _ in range(5):
        observations, rewards, *_ = agents.step(agents.action_space.sample())
    assert observations.shape == (20, CROWD.n_states)  # unit vectors
    assert np.isfinite(rewards).all()


def test_bad_input_is_refused():
    agents = vector_env(CROWD, 3)
    with pytest.raises(InputError, match="a call of reset first"):
        agents.step(np.zeros(3, dtype=int))
    with pytest.raises(InputError, match="seed: got -1"):
        agents.reset(seed=-1)
    agents.reset(seed=0)
    for actions, message in [
        ([0, 1, 3], "agent 2: got 3, expected an action from 0 to 2"),
        ([0, 1], "actions: got shape (1, 2), expected shape (1, 3)"),
        ([0.0, 1.0, 2.0], "actions: got values of type float64, expected an array of integers"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            agents.step(actions)
    for arguments, message in [({"n_agents": 1}, "n_agents: got 1"), ({"mean_field": [1.0]}, "mean_field: got shape")]:
        with pytest.raises(InputError, match=re.escape(message)):
            vector_env(CROWD, **({"n_agents": 2} | arguments))
