"""Networked learning: special cases, graphs, adoption, scores, the replay buffer (docs/theory, section 20)."""

import itertools

import numpy as np
import pytest
from tests.references import family_game, random_policy

from pma_mfg import equilibrium, games, learning, operators
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import FunctionGame
from pma_mfg.learning import graphs, networks, replay
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import own_policies
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.simulation import agents as simulated
from pma_mfg.simulation import path_kernels
from pma_mfg.simulation.agents import Agents

ALARM = 1e-6
COUPLED = family_game("affine", n_states=3, n_actions=2, seed=1, K_mu=2.0, K_s=2.0, K_a=2.0)
GRID = games.make("target_agreement", rows=3, columns=4)
ENTROPY = Entropy(0.3)
SCHEDULE = Schedule(3, 40, 1, 2.0, 5.0, 10.0)


def run(game=GRID, n_agents=30, seed=0, schedule=SCHEDULE, **more):
    settings = {"graph": "complete", "rounds": 2, "temperature": 1.0, "evaluation_steps": 5} | more
    return learning.networked(game, n_agents, ENTROPY, schedule=schedule, rng=np.random.default_rng(seed), **settings)


def assert_equal(one, other):
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize(("graph", "rounds"), [("complete", 0), ("radius:0.5", 0), ("none", 4)])
def test_without_rounds_or_links_networked_learning_is_independent_learning_bit_for_bit(graph, rounds, passes):
    alone = learning.independent(GRID, 30, ENTROPY, schedule=SCHEDULE, rng=np.random.default_rng(0), passes=passes)
    assert_equal(alone, run(graph=graph, rounds=rounds, passes=passes))
    assert (alone.thresholds != run(graph="complete", rounds=1, passes=passes).thresholds).any()


@pytest.mark.parametrize("score", graphs.SCORES)
def test_the_complete_graph_at_temperature_zero_leaves_one_policy(score):
    policies = run(rounds=1, temperature=[1.0, 1.0, 0.0], score=score).policies()
    assert (policies == policies[0]).all()
    many = run(rounds=1, temperature=[0.0, 0.0, np.inf], score=score).policies()
    assert len(np.unique(many.reshape(30, -1), axis=0)) > 1


def test_with_scores_by_index_the_one_policy_is_that_of_the_last_agent():
    n_agents = 12
    alone = learning.independent(
        GRID, n_agents, ENTROPY, schedule=Schedule(1, 40, 1, 2.0, 5.0, 10.0), rng=np.random.default_rng(0)
    )
    spread = run(n_agents=n_agents, schedule=Schedule(1, 40, 1, 2.0, 5.0, 10.0), rounds=1, temperature=0, score="index")
    np.testing.assert_array_equal(spread.policies(), np.tile(alone.policies()[-1:], (n_agents, 1, 1)))


@pytest.mark.parametrize("text", ["complete", "ring", "none", "radius:0.3", "radius:1.0", "erdos_renyi:0.4"])
def test_agents_hear_themselves_and_those_that_the_graph_links(text):
    graph, rng = graphs.Graph.parse(text), np.random.default_rng(1)
    states = rng.integers(GRID.n_states, size=14)
    member, starts, heard = graph.audience(states, graph.near(GRID), rng)
    hears = np.zeros((14, 14), dtype=bool)
    for i in range(14):
        heard_by = heard[starts[member[i]] : starts[member[i] + 1]]
        assert (np.diff(heard_by) > 0).all()
        hears[i, heard_by] = True
    assert hears.diagonal().all()
    assert (hears == hears.T).all()
    places = np.array([divmod(s, 4) for s in states])
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2))
    expected = {
        "complete": np.ones((14, 14), dtype=bool),
        "ring": np.abs((np.subtract.outer(np.arange(14), np.arange(14)) + 7) % 14 - 7) <= 1,
        "none": np.eye(14, dtype=bool),
        "radius:0.3": apart <= 0.3 * np.sqrt(2.0**2 + 3.0**2),
        "radius:1.0": np.ones((14, 14), dtype=bool),
    }
    if text in expected:
        np.testing.assert_array_equal(hears, expected[text])


@pytest.mark.statistical(false_alarm=ALARM, power=1 - 1e-9, against="a temperature off by a quarter")
def test_agents_adopt_by_the_softmax_of_the_scores_that_they_hear(level):
    rng, temperature, rounds = np.random.default_rng(0), 0.7, 20_000
    scores = rng.normal(size=6)
    graph = graphs.Graph.parse("radius:0.3")
    states = np.array([0, 0, 1, 5, 11, 11])
    near = graph.near(GRID)
    audience = graph.audience(states, near, rng)
    chosen = np.stack([graphs.adopted(scores, audience, temperature=temperature, rng=rng) for _ in range(rounds)])

    def law(agent, tau):
        weights = np.where(near[states[agent], states], np.exp(scores / tau), 0.0)
        return weights[weights > 0.0] / weights.sum()

    for agent in (1, 2, 4):
        heard = np.flatnonzero(near[states[agent], states])
        seen = np.bincount(chosen[:, agent], minlength=6)
        assert seen.sum() == seen[heard].sum()
        share = 1.0 / 3.0
        planted = () if agent == 4 else law(agent, 0.75 * temperature)
        level.counts(seen[heard], law(agent, temperature), planted, share)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="a link's probability off by 0.02")
def test_links_of_erdos_and_renyi_have_their_probability(level):
    graph, rng = graphs.Graph.parse("erdos_renyi:0.3"), np.random.default_rng(0)
    shares = []
    for _ in range(400):
        member, starts, _ = graph.audience(np.zeros(20, dtype=int), np.ones((1, 1), dtype=bool), rng)
        shares.append([(starts[-1] - len(member)) / (20 * 19)])
    level.means(shares, 0.3, planted=0.32)


def test_the_score_is_the_discounted_regularized_return_of_own_steps():
    rng = np.random.default_rng(0)
    agents = simulated.initial_agents(COUPLED, 6, ENTROPY, rng=rng, start=rng.dirichlet(np.ones(2), size=(6, 3)))
    twin, expected = Agents.restored(agents.arrays()), np.zeros(6)
    h = ENTROPY.value(agents.policies())
    for t in range(7):
        states = twin.states.astype(int)
        reward = COUPLED.reward(np.bincount(states, minlength=3) / 6)
        simulated.advance(COUPLED, twin, 1, n_waiting=0, scale=1e-9, offset=1.0)  # which records what is played
        actions = twin.pairs.astype(int) - 2 * states
        expected += COUPLED.discount**t * (reward[states, actions] + h[np.arange(6), states])
    found, steps = networks.scored(COUPLED, agents, ENTROPY, score="return", n_steps=7, rng=rng)
    assert steps == 7
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(agents.states, twin.states)


@pytest.mark.parametrize("n_waiting", [0, 2])
def test_kept_transitions_are_those_of_the_path(n_waiting):
    rng = np.random.default_rng(0)
    agents = simulated.initial_agents(COUPLED, 5, ENTROPY, rng=rng)
    twin = Agents.restored(agents.arrays())
    functions = Agents.restored(agents.arrays())
    begun, reached, rewards = replay.kept_steps(COUPLED, agents, 4, n_waiting=n_waiting)
    pairs, tables = [], []
    for _ in range(4 * (n_waiting + 1) + 1):
        tables.append(COUPLED.reward(np.bincount(twin.states, minlength=3) / 5))
        simulated.advance(COUPLED, twin, 1, n_waiting=0, scale=1e-9, offset=1.0)
        pairs.append(twin.pairs.copy())
    first = n_waiting + (n_waiting + 1) * np.arange(4)
    np.testing.assert_array_equal(begun, np.array(pairs)[first])
    np.testing.assert_array_equal(reached, np.array(pairs)[first + 1])
    np.testing.assert_allclose(rewards, np.array(tables)[first], rtol=0, atol=1e-14)
    wrapped = FunctionGame(COUPLED.discount, COUPLED.transition, COUPLED.reward, n_states=3, n_actions=2)
    np.testing.assert_array_equal(replay.kept_steps(wrapped, functions, 4, n_waiting=n_waiting)[1], reached)


@pytest.mark.parametrize("n_waiting", [0, 2])
def test_a_buffer_of_one_transition_is_td_learning_bit_for_bit(n_waiting):
    schedule = Schedule(4, 1, n_waiting, 2.0, 5.0, 10.0, 0.7)
    for learn in (learning.independent, learning.centralized):
        plain, kept = (
            learn(COUPLED, 20, ENTROPY, schedule=schedule, rng=np.random.default_rng(0), passes=passes)
            for passes in (0, 1)
        )
        if isinstance(plain, Agents):
            for name in ("states", "generators", "q", "thresholds", "values"):  # others are of steps that are done
                np.testing.assert_array_equal(getattr(plain, name), getattr(kept, name), err_msg=name)
        else:
            np.testing.assert_array_equal(plain, kept)


def test_many_passes_lead_to_the_q_of_the_empirical_decision_process():
    rng, discount = np.random.default_rng(0), 0.8
    agents = simulated.initial_agents(COUPLED, 3, ENTROPY, rng=rng)
    begun, reached, rewards = replay.kept_steps(COUPLED, agents, 60)
    agents.q[:] = 5.0
    h = agents.values
    steps = 150.0, 300.0
    settings = discount, 40_000, *steps
    path_kernels.replay(begun, reached, rewards.reshape(60, 6), agents.generators, (agents.q, h), *settings, 0, 3)
    for i in range(3):
        operator, right_side, visits = np.zeros((6, 6)), np.zeros(6), np.zeros(6)
        for m in range(60):
            pair, after = int(begun[m, i]), int(reached[m, i])
            visits[pair] += 1.0
            operator[pair, after] += discount
            right_side[pair] += rewards[m].ravel()[pair] + discount * h[i, after // 2]
        expected = np.linalg.solve(np.diag(visits) - operator, right_side)
        # 2.4 million steps of 150 / (m + 300), whose noise is that of the order of the transitions
        np.testing.assert_allclose(agents.q[i].ravel(), expected, rtol=0, atol=2e-3)


def test_of_one_agent_the_rewards_of_its_pairs_are_enough_bit_for_bit():
    rng = np.random.default_rng(0)
    agents = simulated.initial_agents(COUPLED, 2, ENTROPY, rng=rng)
    begun, reached, rewards = replay.kept_steps(COUPLED, agents, 40)
    own = rewards.reshape(40, 6)[np.arange(40), begun[:, 0]][:, None].copy()
    found = []
    for table in (rewards.reshape(40, 6), own):
        q, generators = np.zeros_like(agents.q), agents.generators.copy()
        path_kernels.replay(begun, reached, table, generators, (q, agents.values), 0.8, 3, 5.0, 10.0, 0, 1)
        found.append(q[0])
    np.testing.assert_array_equal(*found)
    assert len(np.unique(found[0])) > 2


def test_a_step_that_fails_leaves_the_policy_and_others_learn():
    start = random_policy(GRID, 0, 1.0)
    held = run(start=start, failure=1.0, rounds=0).policies()
    np.testing.assert_allclose(held, np.broadcast_to(start, held.shape), rtol=0, atol=2.0**-30)
    some = run(start=start, failure=0.5, rounds=0, schedule=Schedule(1, 40, 0, 2.0, 5.0, 10.0)).policies()
    kept = (np.abs(some - start) < 2.0**-30).all(axis=(1, 2))
    assert 0 < kept.sum() < 30


def test_agents_leave_with_their_policies_and_join_with_the_first_one():
    start, seen = random_policy(GRID, 0, 1.0), {}

    def after(epoch, agents, samples):
        seen[epoch] = (agents.policies(), agents.values.copy(), len(agents.states), samples)

    run(start=start, rounds=0, population={1: 40, 2: 10}, after_epoch=after)
    alone = run(start=start, rounds=0, schedule=Schedule(1, 40, 1, 2.0, 5.0, 10.0)).policies()
    np.testing.assert_array_equal(seen[1][0][:30], alone)
    np.testing.assert_allclose(seen[1][0][30:], np.broadcast_to(start, (10, *start.shape)), rtol=0, atol=2.0**-30)
    np.testing.assert_allclose(seen[1][1], ENTROPY.value(seen[1][0]), rtol=0, atol=1e-8)
    assert [seen[epoch][2:] for epoch in (1, 2, 3)] == [(40, 80), (10, 160), (10, 240)]


def test_what_agents_make_of_a_game_is_what_the_operators_say_of_one_policy():
    policy = random_policy(COUPLED, 0, 1.0)
    found = own_policies.evaluate(COUPLED, np.tile(policy, (4, 1, 1)), ENTROPY)
    mean_field = operators.stable_population(COUPLED, policy)
    np.testing.assert_allclose(found.mean_field, mean_field, rtol=0, atol=1e-9)
    value = operators.state_values(COUPLED, policy, mean_field, regularizer=ENTROPY)
    np.testing.assert_allclose(found.returns, mean_field @ value, rtol=0, atol=1e-8)
    gain = equilibrium.exploitability(COUPLED, policy, ENTROPY, mean_field=mean_field)
    np.testing.assert_allclose(found.exploitability, gain, rtol=0, atol=1e-8)
    assert found.disagreement == 0.0


def test_the_population_of_different_policies_keeps_itself_and_each_agent_its_law():
    policies = np.stack([random_policy(COUPLED, seed, 1.0) for seed in (0, 1, 1, 2)])
    found = own_policies.evaluate(COUPLED, policies, ENTROPY)
    transition, reward = COUPLED.transition(found.mean_field), COUPLED.reward(found.mean_field)
    np.testing.assert_allclose(found.laws.mean(axis=0), found.mean_field, rtol=0, atol=1e-9)
    best = np.array([-np.inf] * 3)
    for probabilities in itertools.product(np.linspace(0.0, 1.0, 16), repeat=3):
        policy = np.stack([probabilities, 1.0 - np.array(probabilities)], axis=1)
        best = np.maximum(best, value(policy, transition, reward))
    gains = []
    for i, policy in enumerate(policies):
        chain = np.einsum("sa,say->sy", policy, transition)
        np.testing.assert_allclose(found.laws[i] @ chain, found.laws[i], rtol=0, atol=1e-12)
        own = value(policy, transition, reward)
        np.testing.assert_allclose(found.returns[i], found.laws[i] @ own, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.values[i], found.mean_field @ own, rtol=0, atol=1e-12)
        gains.append(found.laws[i] @ (best - own))
    # the grid misses the best of all policies by the order of the square of its width, 1/15
    assert -1e-9 <= found.exploitability - np.mean(gains) < 1.0 / 15.0**2
    apart = [np.abs(policies[i] - policies[j]).sum(axis=1).max() for i in range(4) for j in range(4) if i != j]
    assert found.disagreement == pytest.approx(np.mean(apart), abs=1e-14)


def value(policy, transition, reward):
    chain = np.einsum("sa,say->sy", policy, transition)
    gain = (policy * reward).sum(axis=1) + ENTROPY.value(policy)
    return np.linalg.solve(np.eye(3) - COUPLED.discount * chain, gain)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"graph": "star"}, "graph: got 'star', expected one of none, complete, ring"),
        ({"graph": "radius:0"}, r"expected radius: a number in \(0, 1\]"),
        ({"graph": "radius:1.5"}, r"expected radius: a number in \(0, 1\]"),
        ({"graph": "radius"}, "expected one of none"),
        ({"graph": "ring:2"}, "expected one of none"),
        ({"graph": "erdos_renyi:x"}, r"expected erdos_renyi: a number in \[0, 1\]"),
        ({"rounds": -1}, "rounds: got -1, expected an integer >= 0"),
        ({"temperature": -0.1}, "temperature: got -0.1"),
        ({"temperature": [1.0, 1.0, float("nan")]}, "temperature"),
        ({"score": "luck"}, "score: got 'luck', expected one of return, random, value, index"),
        ({"evaluation_steps": 0}, "evaluation_steps: got 0"),
        ({"failure": 1.2}, "failure: got 1.2, expected a probability"),
        ({"passes": -1}, "passes: got -1"),
        ({"population": {1: 1}}, "population: got '1: 1', expected epochs from 1 to 3"),
        ({"population": {4: 10}}, "population: got '4: 10', expected epochs from 1 to 3"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(wrong, words):
    with pytest.raises(InputError, match=words) as raised:
        run(**wrong)
    assert "\n" not in str(raised.value)


def test_a_radius_needs_a_layout_and_one_temperature_per_epoch():
    with pytest.raises(InputError, match="a game with a layout"):
        run(game=COUPLED, graph="radius:0.5")
    with pytest.raises(InputError, match="one number, or 3"):
        run(temperature=[1.0, 2.0])


def test_networked_learning_takes_any_regularizer_and_is_reproducible():
    settings = {"schedule": SCHEDULE, "graph": "radius:0.4", "rounds": 3, "temperature": 0.1, "evaluation_steps": 4}
    once, again = (
        learning.networked(GRID, 20, Quadratic(0.5), rng=np.random.default_rng(3), **settings) for _ in range(2)
    )
    assert_equal(once, again)


def test_a_graph_is_checked_however_it_is_made():
    for kind, parameter in (("complet", 1.0), ("radius", 7.0), ("erdos_renyi", -0.1), ("radius", float("nan"))):
        with pytest.raises(InputError, match="graph"):
            graphs.Graph(kind, parameter)


def test_policies_that_keep_an_agent_where_it_began_have_no_one_population_and_are_refused():
    stays = games.from_functions(
        lambda mu: np.eye(2)[:, None].repeat(2, axis=1), lambda mu: np.zeros((2, 2)), 0.5, n_states=2
    )
    with pytest.raises(ConvergenceError, match="several recurrent classes"):
        own_policies.evaluate(stays, np.full((1, 2, 2), 0.5), ENTROPY)


def test_one_policy_may_be_given_as_it_is():
    policy = random_policy(GRID, 3)
    one, same = (own_policies.evaluate(GRID, given, ENTROPY) for given in (policy, policy[None]))
    assert one.exploitability == same.exploitability
