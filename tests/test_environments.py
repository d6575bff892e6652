"""The environment of arrays: the law of its moves and returns, its streams, and the arrays that it takes and gives."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from tests.references import all_games, family_game, lumped_chain, random_policy, sparse_copy

from pma_mfg import operators, simulation
from pma_mfg.errors import InputError
from pma_mfg.games import FunctionGame
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import environment_kernels, environments

ROOT = Path(__file__).resolve().parents[1]
ALARM = 1e-6
# rows far apart, and truly moved by the mean field
GAME = family_game("affine", n_states=3, n_actions=2, seed=1, K_mu=2.0, K_s=2.0, K_a=2.0)
CROWD = family_game("crowd_averse")
POLICIES = np.random.default_rng(0).dirichlet(np.ones(2), size=(3, 3))
START = np.array([1.0, 0.0, 0.0])
JOINT = list(itertools.product(range(3), repeat=3))


def empirical(states, agent):
    return np.bincount(states, minlength=3) / len(states)


def without_oneself(states, agent):
    others = [*states[:agent], *states[agent + 1 :]]
    return np.bincount(others, minlength=3) / len(others)


def joint_laws(policies, n_steps, seen=empirical, error=0.0):
    """Return the laws (n_steps + 1, 27) of the states of three agents that start in state 0, by enumerating all.

    `seen` is the mean field by which an agent moves; a share `error` of all moves goes to state 0 instead.
    """
    kernel = np.empty((27, 27))
    for j, states in enumerate(JOINT):
        law = np.ones(1)
        for i, s in enumerate(states):
            row = policies[i, s] @ GAME.transition(seen(states, i))[s]
            law = np.kron(law, (1 - error) * row + error * START)
        kernel[j] = law
    laws = [np.eye(27)[0]]
    for _ in range(n_steps):
        laws.append(laws[-1] @ kernel)
    return np.array(laws)


def cells(states):
    return np.bincount(np.ravel_multi_index(states.T, (3, 3, 3)), minlength=27)


@pytest.mark.statistical(
    false_alarm=ALARM,
    power=1 - 1e-9,
    against="policies exchanged; an agent left out of its mean field; 6 % of the moves replaced",
)
@pytest.mark.parametrize("few", [environment_kernels.FEW, 0], ids=["by inversion", "by alias tables"])
def test_agents_moved_by_actions_of_a_user_have_the_enumerated_law(level, few, monkeypatch):
    monkeypatch.setattr(environment_kernels, "FEW", few)
    crowd, rng = simulation.environment(GAME, 3, 20_000, seed=0, mean_field=START), np.random.default_rng(1)
    states = crowd.reset()
    for _ in range(2):
        actions = rng.random(states.shape) >= POLICIES[np.arange(3), states, 0]
        states = crowd.step(actions)[0]
    law, planted = joint_laws(POLICIES, 2)[-1], [joint_laws(POLICIES[[1, 0, 2]], 2)]
    planted += [joint_laws(POLICIES, 2, seen=without_oneself), joint_laws(POLICIES, 2, error=0.06)]
    for wrong in planted:
        level.counts(cells(states), law, wrong[-1], share=1 / 3)


@pytest.mark.statistical(
    false_alarm=ALARM, power=1 - 1e-9, against="policies exchanged; 6 % of the moves replaced; one step less"
)
def test_agents_that_draw_actions_from_policies_of_their_own_have_the_enumerated_law(level):
    crowd = simulation.environment(GAME, 3, 20_000, seed=1, mean_field=START)
    for _ in range(2):
        crowd.step(crowd.draw_actions(POLICIES))
    laws = joint_laws(POLICIES, 2)
    for wrong in (joint_laws(POLICIES[[1, 0, 2]], 2)[-1], joint_laws(POLICIES, 2, error=0.06)[-1], laws[1]):
        level.counts(cells(crowd.states), laws[-1], wrong, share=1 / 3)


@pytest.mark.statistical(false_alarm=ALARM, power=1 - 1e-9, against="the opposite policy; one step less")
def test_agents_with_one_policy_have_the_law_of_the_lumped_chain(level):
    policy, n_agents, steps = random_policy(GAME, 0, 1.0), 5, 2
    crowd = simulation.environment(GAME, n_agents, 20_000, seed=2, mean_field=START)
    for _ in range(steps):
        crowd.step(crowd.draw_actions(policy))
    chains = [lumped_chain(GAME, held, n_agents) for held in (policy, policy[:, ::-1])]
    states = chains[0][0]
    start = np.eye(len(states))[states.index((0, (n_agents - 1, 0, 0)))]
    laws = [start @ np.linalg.matrix_power(chain[1], steps) for chain in chains]
    laws.append(start @ np.linalg.matrix_power(chains[0][1], steps - 1))
    index, seen = {state: i for i, state in enumerate(states)}, np.zeros(len(states))
    for own in crowd.states:
        seen[index[int(own[0]), tuple(np.bincount(own[1:], minlength=3).tolist())]] += 1
    for wrong in laws[1:]:
        level.counts(seen, laws[0], wrong, share=0.5)


@pytest.mark.statistical(
    false_alarm=ALARM, power=0.999, against="10 % of the replicates are copies of their neighbours"
)
def test_replicates_are_independent_of_each_other(level):
    crowd = simulation.environment(GAME, 2, 20_000, seed=3)
    crowd.step(np.zeros((20_000, 2), dtype=int))
    pairs = crowd.states.reshape(10_000, 4)
    moves = 1.0 / 3.0 * np.ones(3)
    one = np.zeros((3, 3))
    for states in itertools.product(range(3), repeat=2):
        rows = GAME.transition(np.bincount(states, minlength=3) / 2)[list(states), 0]
        one += moves[states[0]] * moves[states[1]] * np.outer(*rows)
    law = one.sum(axis=1)  # of one agent
    independent, copied = np.outer(law, law), np.diag(law)
    for i, j in ((0, 2), (1, 3)):
        seen = np.bincount(3 * pairs[:, i] + pairs[:, j], minlength=9)
        level.counts(seen, independent.ravel(), (0.9 * independent + 0.1 * copied).ravel(), share=0.5)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="5 % of the agents in another state")
def test_initial_states_have_the_given_law(level):
    law = np.array([0.1, 0.2, 0.3, 0.4])
    crowd = simulation.environment(CROWD, 10_000, 2, seed=0, mean_field=law)
    first, second = crowd.states, crowd.reset()
    seen = np.bincount(np.concatenate([first, second]).ravel(), minlength=4)
    level.counts(seen, law, law + np.array([0.05, 0.0, 0.0, -0.05]))


@pytest.mark.statistical(
    false_alarm=ALARM, power=0.999, against="returns without the bonus, or discounted a step later"
)
def test_returns_have_the_exact_means(level):
    steps, regularizer = 6, Entropy(0.2)
    played = simulation.rollout(
        GAME, POLICIES, steps, seed=5, n_replicates=20_000, mean_field=START, regularizer=regularizer
    )
    earned, bonus = np.zeros((27, 3)), np.zeros((27, 3))
    for j, states in enumerate(JOINT):
        reward = GAME.reward(empirical(states, 0))
        for i, s in enumerate(states):
            earned[j, i] = POLICIES[i, s] @ reward[s]
            bonus[j, i] = regularizer.value(POLICIES[i, s])
    laws, weights = joint_laws(POLICIES, steps), GAME.discount ** np.arange(steps)
    expected, plain = weights @ laws[:-1] @ (earned + bonus), weights @ laws[:-1] @ earned
    level.means(played.returns, expected, planted=plain, share=0.25)
    level.means(played.returns, expected, planted=GAME.discount * expected, share=0.25)
    level.means(played.rewards, (laws[:-1] @ (earned + bonus)).mean(axis=0), planted=expected / steps, share=0.25)
    counts = np.array([np.bincount(states, minlength=3) for states in JOINT]) / 3
    level.means(played.mean_field[:, -1, :2], (laws[-1] @ counts)[:2], planted=(laws[0] @ counts)[:2], share=0.25)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="policies that stay uniform")
def test_the_learner_of_the_documentation_comes_close_to_the_equilibrium(level):
    text = (ROOT / "docs/notebooks/own_learner.md").read_text()
    imports, game, learner, *_ = re.findall(r"```\{code-cell\} ipython3\n(.*?)```", text, re.DOTALL)
    small = learner.replace("1_000_000, 200, 4.0", "10_000, 120, 4.0")
    assert small != learner
    names, distances, starts = {}, [], set()
    exec("".join(line for line in imports.splitlines(True) if "plt" not in line) + game, names)
    for seed in range(8):
        exec(small.replace("seed=0", f"seed={seed}"), names)
        distances.append(names["errors"][-1])
        starts.add(names["errors"][0])
    (start,) = starts
    level.means(np.array(distances)[:, None], 0.0, bias=0.5 * start, planted=start)


# --- what holds for every draw


def trajectory(crowd, n_steps=5, form=lambda actions: actions):
    """Return all that some steps of actions show, which are a fixed function of the states."""
    seen = [(crowd.reset(),)]
    for t in range(n_steps):
        actions = (seen[-1][0].astype(int) + t + np.arange(crowd.shape[1])) % crowd.game.n_actions
        seen.append(crowd.step(form(actions)))
    return seen


def assert_same(one, other):
    for here, there in zip(one, other, strict=True):
        for a, b in zip(here, there, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_replicate_is_the_same_whatever_their_number():
    many = trajectory(simulation.environment(GAME, 50, 5, seed=1))
    for replicates in (1, 3):
        fewer = trajectory(simulation.environment(GAME, 50, replicates, seed=1))
        assert_same(fewer, [[array[:replicates] for array in step] for step in many])
    assert (many[-1][0][0] != many[-1][0][1]).any()
    other = trajectory(simulation.environment(GAME, 50, 5, seed=2))
    assert (other[0][0] != many[0][0]).any()
    policies = np.random.default_rng(0).dirichlet(np.ones(2), size=(7, 3))
    whole, one = (simulation.rollout(GAME, policies, 4, seed=9, n_replicates=r) for r in (3, 1))
    np.testing.assert_array_equal(whole.returns[:1], one.returns)


@pytest.mark.parametrize(("name", "game"), all_games().items())
def test_rewards_and_mean_fields_are_those_of_the_states(name, game):
    crowd = simulation.environment(game, 40, 3, seed=0)
    states, mean_field = crowd.reset(), crowd.mean_field
    rng = np.random.default_rng(0)
    for _ in range(4):
        actions = rng.integers(game.n_actions, size=states.shape)
        after, rewards, moved = crowd.step(actions)
        for r in range(3):
            np.testing.assert_array_equal(mean_field[r], np.bincount(states[r], minlength=game.n_states) / 40)
            rows = game.transition(mean_field[r])[states[r], actions[r]]
            assert (rows[np.arange(40), after[r]] > 0.0).all()
            # another order of sums
            np.testing.assert_allclose(rewards[r], game.reward(mean_field[r])[states[r], actions[r]], atol=1e-14)
        states, mean_field = after, moved


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i4", np.uint64])
def test_any_integer_type_and_any_memory_shows_the_same_run(dtype):
    expected = trajectory(simulation.environment(CROWD, 30, 2, seed=4))

    def locked(actions):
        actions = actions.astype(dtype)
        actions.flags.writeable = False
        return actions

    for form in (locked, np.asfortranarray, lambda actions: actions.astype(dtype)[:, ::-1][:, ::-1], np.ndarray.tolist):
        crowd = simulation.environment(CROWD, 30, 2, seed=4, dtype=dtype)
        found = trajectory(crowd, form=form)
        assert found[-1][0].dtype == dtype
        assert crowd.draw_actions(operators.uniform_policy(CROWD)).dtype == dtype
        assert_same(found, expected)


@pytest.mark.parametrize("form", ["list", "float32", ">f8", "read-only", "Fortran"])
def test_policies_are_taken_as_they_come(form):
    policies = np.random.default_rng(0).integers(1, 4, size=(20, 3, 1)) / 4.0
    policies = np.concatenate([policies, 1.0 - policies], axis=2)
    given = policies.copy()
    given.flags.writeable = False
    forms = {"list": policies.tolist(), "read-only": given, "Fortran": np.asfortranarray(policies)}
    held = forms[form] if form in forms else policies.astype(form)
    ours, theirs = (simulation.rollout(GAME, each, 5, seed=0) for each in (policies, held))
    np.testing.assert_array_equal(ours.returns, theirs.returns)
    crowds = [simulation.environment(GAME, 20, seed=0) for _ in range(2)]
    np.testing.assert_array_equal(crowds[0].draw_actions(policies), crowds[1].draw_actions(held))


def test_a_sparse_game_and_one_of_functions_move_as_the_tables_do():
    functions = FunctionGame(
        CROWD.discount, CROWD.transition, CROWD.reward, n_states=CROWD.n_states, n_actions=CROWD.n_actions
    )
    expected = trajectory(simulation.environment(CROWD, 60, 3, seed=0))
    assert_same(trajectory(simulation.environment(sparse_copy(CROWD), 60, 3, seed=0)), expected)
    found = trajectory(simulation.environment(functions, 60, 3, seed=0))
    for here, there in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(here[0], there[0])
        # another order of sums
        np.testing.assert_allclose(here[1], there[1], rtol=0, atol=1e-14)
    policy = operators.uniform_policy(CROWD)
    played, sparse, called = (
        simulation.rollout(game, policy, 5, seed=0, n_agents=60) for game in (CROWD, sparse_copy(CROWD), functions)
    )
    np.testing.assert_array_equal(played.returns, sparse.returns)
    assert played.remainder == pytest.approx(sparse.remainder)
    np.testing.assert_allclose(played.returns, called.returns, rtol=0, atol=1e-13)
    # the extremes seen of the functions lie within the bounds
    assert played.remainder[0] <= called.remainder[0] <= called.remainder[1] <= played.remainder[1]


def test_every_agent_plays_its_own_policy_and_no_action_without_probability():
    chosen = np.add.outer(np.arange(300), np.arange(4)) % 3
    crowd = simulation.environment(CROWD, 300, 2, seed=0)
    actions = crowd.draw_actions(np.eye(3)[chosen])
    np.testing.assert_array_equal(actions, chosen[np.arange(300), crowd.states])
    assert set(crowd.draw_actions(np.tile([0.5, 0.0, 0.5], (4, 1))).ravel().tolist()) == {0, 2}


def test_what_was_returned_is_no_part_of_the_environment():
    crowd, twin = (simulation.environment(GAME, 20, 2, seed=0) for _ in range(2))
    states, mean_field = crowd.reset(), crowd.mean_field
    twin.reset()
    states[:], mean_field[:] = 0, 7.0
    actions = np.ones((2, 20), dtype=np.uint16)
    kept = crowd.step(actions)
    copies = [array.copy() for array in kept]
    assert_same([kept], [twin.step(actions)])
    crowd.step(0 * actions)
    assert (actions == 1).all()
    assert_same([kept], [copies])


def test_a_rollout_is_the_environment_stepped_by_the_policies():
    policy, steps = random_policy(GAME, 1), 7
    played = simulation.rollout(GAME, policy, steps, seed=3, n_agents=25, n_replicates=2, regularizer=Entropy(0.5))
    crowd = simulation.environment(GAME, 25, 2, seed=3)
    states, path, returns = crowd.states, [crowd.mean_field], np.zeros((2, 25))
    for t in range(steps):
        bonus = Entropy(0.5).value(policy)[states]
        states, rewards, mean_field = crowd.step(crowd.draw_actions(policy))
        returns += GAME.discount**t * (rewards + bonus)
        path.append(mean_field)
    np.testing.assert_array_equal(played.states, states)
    np.testing.assert_array_equal(played.mean_field, np.stack(path, axis=1))
    np.testing.assert_allclose(played.returns, returns, rtol=0, atol=1e-13)


@pytest.mark.parametrize("regularizer", [None, Entropy(0.5)])
def test_rewards_after_the_last_step_add_what_is_said_at_most_and_at_least(regularizer):
    def play(n_steps):
        return simulation.rollout(
            GAME, POLICIES, n_steps, seed=0, n_replicates=50, regularizer=regularizer, mean_field=START
        )

    short, long = play(3), play(200)
    added, (low, high) = long.returns - short.returns, short.remainder
    assert (low <= added).all()
    assert (added <= high).all()
    assert high - low > 0.1
    assert long.remainder[1] < 1e-9


def test_a_game_of_one_action_and_one_of_the_largest_number_of_states_move():
    one = family_game("garnet", n_actions=1)
    crowd = simulation.environment(one, 10, 2, seed=0)
    assert (crowd.draw_actions(np.ones((4, 1))) == 0).all()
    crowd.step(np.zeros((2, 10), dtype=int))
    states = np.array([[0, 65535, 65535]], dtype=np.uint16)
    mean_field = np.empty(2**16)
    environment_kernels.write_mean_field(states[0], mean_field)
    assert mean_field[[0, 65535]].tolist() == [1 / 3, 2 / 3]


WRONG_ACTIONS = [
    ([[0, 1, 2], [0, 0, 3]], "actions: replicate 1, agent 2: got 3, expected an action from 0 to 2"),
    ([[0, -1, 2], [0, 0, 3]], "actions: replicate 0, agent 1: got -1, expected an action from 0 to 2"),
    ([[0, 0, 0]], "actions: got shape (1, 3), expected shape (2, 3)"),
    ([[0.0, 1, 2], [0, 0, 0]], "actions: got values of type float64, expected an array of integers"),
    ([[0, 1, 2], [0]], "actions: got rows of different lengths, expected an array of integers"),
    ([["0", "1", "2"]] * 2, "actions: got values of type <U1, expected an array of integers"),
    (np.ma.masked_equal([[0, 1, 2]] * 2, 1), "actions: got masked values, expected an array of integers"),
    (np.full((2, 3), 2**63, dtype=np.uint64), "agent 0: got 9223372036854775808, expected an action from 0 to 2"),
]


@pytest.mark.parametrize(("actions", "message"), WRONG_ACTIONS)
def test_what_is_no_action_is_refused_with_its_place_and_nobody_moves(actions, message):
    crowd = simulation.environment(CROWD, 3, 2, seed=0)
    before = crowd.states
    with pytest.raises(InputError, match=re.escape(message)):
        crowd.step(actions)
    np.testing.assert_array_equal(before, crowd.states)


def test_what_is_no_policy_is_refused_with_the_agent_and_the_row():
    crowd = simulation.environment(GAME, 3, seed=0)
    wrong = POLICIES.copy()
    wrong[2, 1] = 0.5, 0.25
    negative = POLICIES.copy()
    negative[1, 2] = 1.5, -0.5
    for policies, message in [
        (wrong, "agent 2, row 1: got the sum 0.75, off by -0.25, expected rows of probabilities that sum to 1"),
        (negative, "agent 1, row 2, entry 1: got -0.5, expected rows of probabilities that sum to 1"),
        (POLICIES[:2], "policies: got shape (2, 3, 2), expected shape (3, 2), or (3, 3, 2): one for each agent"),
        (wrong[2], "row 1: got the sum 0.75, off by -0.25"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            crowd.draw_actions(policies)
        with pytest.raises(InputError, match=re.escape(message)):
            simulation.rollout(GAME, policies, 5, seed=0, n_agents=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_agents": 1}, "n_agents: got 1, expected an integer from 2"),
        ({"n_replicates": 0}, "n_replicates: got 0, expected an integer >= 1"),
        ({"seed": -1}, "seed: got -1, expected an integer >= 0"),
        ({"seed": True}, "seed: got True, expected an integer >= 0"),
        ({"dtype": float}, "dtype: got float64, expected an integer type that holds 3"),
        ({"dtype": bool}, "dtype: got bool, expected an integer type that holds 3"),
        ({"mean_field": [1.0, 1.0, 0.0, 0.0]}, "mean_field: got the sum 2.0, off by 1"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        simulation.environment(**({"game": CROWD, "n_agents": 5, "seed": 0} | arguments))


def test_rollouts_of_nothing_are_refused():
    policy = operators.uniform_policy(CROWD)
    with pytest.raises(InputError, match=re.escape("n_agents: got nothing, expected a number of agents, or policies")):
        simulation.rollout(CROWD, policy, 5, seed=0)
    with pytest.raises(InputError, match=re.escape("n_steps: got 0, expected an integer >= 1")):
        simulation.rollout(CROWD, policy, 0, seed=0, n_agents=5)


def test_a_game_with_too_many_pairs_is_refused():
    large = FunctionGame(0.5, lambda m: None, lambda m: None, n_states=2**15, n_actions=3)
    with pytest.raises(InputError, match=re.escape("game: got 32768 x 3 pairs, expected at most 65536 pairs")):
        simulation.environment(large, 5, seed=0)
    with pytest.raises(AttributeError):
        simulation.nothing  # noqa: B018
    assert simulation.Environment is environments.Environment
