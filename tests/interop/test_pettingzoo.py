"""The N-agent game as a PettingZoo environment: PettingZoo's own tests, and the law of the library's game."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2
from tests.references import all_games, family_game, lumped_chain, sparse_copy
from tests.statistical import Level
from tests.test_simulation import GAME, POLICY, STEPS, TAGGED, counts_simulator, same_law, start_of

from pma_mfg import operators
from pma_mfg.errors import InputError
from pma_mfg.games import FunctionGame, MeanFieldGame

pytest.importorskip("pettingzoo", reason='PettingZoo is not installed: pip install "pma-mfg[pettingzoo]"')

from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils.conversions import parallel_to_aec

from pma_mfg.interop.pettingzoo import NAgentGame, parallel_env

ROOT = Path(__file__).parents[2]
ALARM = 1e-6
CROWD = family_game("crowd_averse")


def rollout(environment: NAgentGame, seed: int) -> list[tuple]:
    """Return all that an episode of random actions shows, actions drawn from the spaces."""
    seen = [environment.reset(seed=seed)]
    for i, agent in enumerate(environment.agents):
        environment.action_space(agent).seed(seed + i)
    while environment.agents:
        seen.append(environment.step({agent: environment.action_space(agent).sample() for agent in environment.agents}))
    return seen


# The test of turn-based environments recommends arrays as observations; an own state is a number.
@pytest.mark.filterwarnings("ignore:Observation is not a NumPy array:UserWarning")
@pytest.mark.parametrize("observe_mean_field", [False, True])
@pytest.mark.parametrize("game", all_games().values(), ids=all_games().keys())
def test_passes_the_tests_of_pettingzoo(
    game: MeanFieldGame, observe_mean_field: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def make() -> NAgentGame:
        return parallel_env(game, 5, horizon=20, observe_mean_field=observe_mean_field)

    parallel_api_test(make(), num_cycles=100)  # beyond the horizon
    parallel_seed_test(make)
    api_test(parallel_to_aec(make()), num_cycles=100)
    assert "Passed" in capsys.readouterr().out


@pytest.mark.parametrize("observe_mean_field", [False, True])
def test_episodes_are_a_function_of_the_seed(observe_mean_field: bool) -> None:
    first, again, other = (
        rollout(parallel_env(CROWD, 6, horizon=30, observe_mean_field=observe_mean_field), seed) for seed in (3, 3, 4)
    )
    np.testing.assert_equal(first, again)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(first, other)


def test_random_numbers_go_on_without_a_seed_and_start_again_with_one() -> None:
    environment = parallel_env(CROWD, 40)
    first, second = environment.reset(seed=1)[0], environment.reset()[0]
    assert first != second
    assert environment.reset(seed=1)[0] == first
    assert environment.reset()[0] == second


def test_rewards_and_observations_are_those_of_the_mean_field_before_and_after_the_move() -> None:
    environment = parallel_env(CROWD, 7, horizon=50, observe_mean_field=True)
    rng = np.random.default_rng(0)
    observations, _ = environment.reset(seed=2)
    for step in range(50):
        before = environment.state()
        mean_field = np.bincount(before, minlength=CROWD.n_states) / 7
        for i, agent in enumerate(environment.agents):
            assert environment.observation_space(agent).contains(observations[agent])
            seen = np.concatenate([np.arange(CROWD.n_states) == before[i], mean_field])
            np.testing.assert_array_equal(observations[agent], seen)
        actions = {agent: int(rng.integers(CROWD.n_actions)) for agent in environment.agents}
        observations, rewards, terminations, truncations, _ = environment.step(actions)
        reward = CROWD.reward(mean_field)
        assert rewards == {agent: reward[before[i], actions[agent]] for i, agent in enumerate(actions)}
        assert not any(terminations.values())
        assert set(truncations.values()) == {step == 49}
    assert environment.agents == []
    assert environment.state_space.contains(environment.state())


def transformed(mean_field_of, seed: int, n_agents: int = 8, steps: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Return F(y-) + v p(y), v uniform, of each move to y, shape (steps, N): independent and uniform on [0, 1).

    F is the distribution function of the row P(.|s, a, mu), with mu as `mean_field_of` sees the states. Second: a class
    of each move, by state, action and how many agents are in state 0, on which the value does not depend.
    """
    environment, rng = parallel_env(GAME, n_agents, horizon=steps), np.random.default_rng(seed)
    environment.reset(seed=seed)
    values, classes = np.empty((steps, n_agents)), np.empty((steps, n_agents), dtype=int)
    for step in range(steps):
        before = environment.state()
        chosen = (rng.random(n_agents) < 0.5).astype(int)
        environment.step(dict(zip(environment.agents, chosen.tolist(), strict=True)))
        rows = GAME.transition(mean_field_of(before))[before, chosen]
        after = environment.state()[:, None]
        moved = np.take_along_axis(rows, after, axis=1)[:, 0]
        below = np.take_along_axis(np.cumsum(rows, axis=1), after, axis=1)[:, 0] - moved
        values[step] = below + rng.random(n_agents) * moved
        classes[step] = (before * 2 + chosen) * 3 + 3 * (before == 0).sum() // (n_agents + 1)
    return values, classes


def uniformity(values: np.ndarray, classes: np.ndarray, n_classes: int) -> float:
    """Return the p-value of a chi-square test that values are uniform on [0, 1) given their class, in 8 cells."""
    counts = np.bincount(8 * classes + np.minimum((8 * values).astype(int), 7), minlength=8 * n_classes)
    by_class = counts.reshape(n_classes, 8)
    by_class = by_class[by_class.sum(axis=1) >= 160]  # at least 20 expected in each cell: chi-square is accurate
    expected = by_class.mean(axis=1, keepdims=True)
    return float(chi2.sf(((by_class - expected) ** 2 / expected).sum(), 7 * len(by_class)))


def empirical(states: np.ndarray) -> np.ndarray:
    return np.bincount(states, minlength=GAME.n_states) / len(states)


@pytest.mark.statistical(
    false_alarm=ALARM,
    power=1 - 1e-9,
    against="moves by the rows of the uniform mean field",
    shown_by="test_a_wrong_mean_field_is_detected",
)
def test_agents_move_by_their_rows_at_the_empirical_mean_field_independently(level: Level) -> None:
    values, classes = transformed(empirical, seed=0)
    eighths = np.minimum((8 * values).astype(int), 7)
    of_another_agent = uniformity(values[:, ::2].ravel(), eighths[:, 1::2].ravel(), 8)
    of_ones_last_move = uniformity(values[1:].ravel(), eighths[:-1].ravel(), 8)
    level.accept([uniformity(values.ravel(), classes.ravel(), 18), of_another_agent, of_ones_last_move])


@pytest.mark.statistical(false_alarm=1e-9, power=1 - 1e-9, against="a planted error that is missed")
def test_a_wrong_mean_field_is_detected(level: Level) -> None:
    uniform = np.full(GAME.n_states, 1.0 / GAME.n_states)
    values, classes = transformed(lambda states: uniform, seed=0)
    level.detect(uniformity(values.ravel(), classes.ravel(), 18), ALARM / 3)


def environment_runs(n_agents: int, n_runs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return tagged states (runs,) and counts of the others (runs, S) after three steps, all playing one policy."""
    environment, rng = parallel_env(GAME, n_agents, horizon=n_runs * STEPS), np.random.default_rng([seed, n_agents])
    start = np.concatenate([[TAGGED], np.repeat(np.arange(GAME.n_states), start_of(n_agents))])
    states, counts = np.empty(n_runs, dtype=int), np.empty((n_runs, GAME.n_states), dtype=int)
    environment.reset(seed=seed)
    for run in range(n_runs):
        environment.states = start.copy()
        for _ in range(STEPS):
            actions = (rng.random(n_agents) > POLICY[environment.states, 0]).astype(int).tolist()
            environment.step(dict(zip(environment.agents, actions, strict=True)))
        states[run] = environment.states[0]
        counts[run] = np.bincount(environment.states[1:], minlength=GAME.n_states)
    return states, counts


@pytest.mark.statistical(false_alarm=ALARM, power=0.95, against="one step less")
def test_joint_law_is_that_of_the_simulator_and_of_the_exact_chain(level: Level) -> None:
    n_agents, n_runs = 3, 10_000
    sample = environment_runs(n_agents, n_runs, seed=0)
    level.accept(same_law(sample, counts_simulator(n_agents, seed=5), n_agents), share=0.5)
    states, matrix = lumped_chain(GAME, POLICY, n_agents)
    index = {state: i for i, state in enumerate(states)}
    seen = np.zeros(len(states))
    for s, others in zip(*sample, strict=True):
        seen[index[int(s), tuple(others.tolist())]] += 1
    start = np.eye(len(states))[index[TAGGED, tuple(start_of(n_agents).tolist())]]
    exact, too_early = (start @ np.linalg.matrix_power(matrix, steps) for steps in (STEPS, STEPS - 1))
    level.counts(seen, exact, too_early, share=0.5)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="5 % of the agents in another state")
def test_initial_states_have_the_given_law(level: Level) -> None:
    law = np.array([0.1, 0.2, 0.3, 0.4])
    environment = parallel_env(CROWD, 20_000, mean_field=law)
    environment.reset(seed=0)
    level.counts(np.bincount(environment.state(), minlength=4), law, law + np.array([0.05, 0.0, 0.0, -0.05]))


def test_a_sparse_game_is_played_bitwise_like_its_dense_copy() -> None:
    dense, sparse = (rollout(parallel_env(game, 6, horizon=30), seed=1) for game in (CROWD, sparse_copy(CROWD)))
    assert [step[0] for step in dense] == [step[0] for step in sparse]


def test_a_game_given_by_functions_is_played_bitwise_like_the_same_tables() -> None:
    wrapped = FunctionGame(
        CROWD.discount, CROWD.transition, CROWD.reward, n_states=CROWD.n_states, n_actions=CROWD.n_actions
    )
    tables, functions = (rollout(parallel_env(game, 6, horizon=30), seed=1) for game in (CROWD, wrapped))
    np.testing.assert_equal(tables, functions)


def test_nobody_enters_a_state_of_probability_zero() -> None:
    game = family_game("coordination", slip=0.0)
    environment = parallel_env(game, 50, horizon=40)
    environment.reset(seed=0)
    transition = game.transition(environment.mean_field())
    rng = np.random.default_rng(0)
    while environment.agents:
        before, chosen = environment.state(), rng.integers(game.n_actions, size=50)
        environment.step(dict(zip(environment.agents, chosen.tolist(), strict=True)))
        assert (transition[before, chosen, environment.state()] > 0.0).all()


def test_wrong_actions_are_refused_by_name() -> None:
    environment = parallel_env(CROWD, 2)
    with pytest.raises(InputError, match="a call of reset first"):
        environment.step({"agent_0": 0, "agent_1": 0})
    environment.reset(seed=0)
    for actions, message in [
        ({"agent_0": 0}, "others than the agents': agent_1"),
        ({"agent_0": 0, "agent_1": 0, "agent_2": 0}, "others than the agents': agent_2"),
        ({"agent_0": 0, "agent_1": 3}, "agent_1: got 3, expected an action from 0 to 2"),
        ({"agent_0": 0, "agent_1": 0.5}, "agent_1: got 0.5"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            environment.step(actions)
    with pytest.raises(InputError, match="seed: got -1"):
        environment.reset(seed=-1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_agents": 1}, "n_agents: got 1"),
        ({"n_agents": 2, "horizon": 0}, "horizon: got 0, expected an integer >= 1"),
        ({"n_agents": 2, "mean_field": np.ones(4)}, "got the sum 4.0, off by 3, expected a distribution"),
    ],
)
def test_bad_input_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        parallel_env(CROWD, **arguments)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="agents who earn what random ones earn")
def test_the_documented_example_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str], level: Level) -> None:
    text = (ROOT / "docs/libraries.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "interop.pettingzoo" in block)
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)

    def gain(text: str) -> float:
        random, learned = map(float, re.findall(r"-?\d+\.\d+", text))
        return learned - random

    gains, names = [gain(printed)], {}
    for seed in range(1, 8):
        exec(code.replace("default_rng(0)", f"default_rng({seed})").replace("seed=0", f"seed={seed}"), names)
        gains.append(gain(capsys.readouterr().out))
    assert len(set(gains)) == 8
    game = names["game"]
    rewards = []
    for policy in (operators.uniform_policy(game), names["nash"]):
        mean_field = operators.stable_population(game, policy)
        rewards.append((mean_field[:, None] * policy * game.reward(mean_field)).sum())
    expected = rewards[1] - rewards[0]
    # with 50 agents in place of infinitely many, from uniform states: some percent
    level.means([[gain] for gain in gains], expected, bias=0.2 * expected, planted=0.0)
