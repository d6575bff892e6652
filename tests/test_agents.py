"""Independent agents: the law of their moves, their TD updates, bitwise resumption, and the predicted disagreement."""

import itertools
import threading

import numpy as np
import pandas as pd
import pytest
from scipy.special import wrightomega
from scipy.stats import chi2_contingency
from tests.references import all_games, family_game, frozen_game, random_policy, xoshiro

from pma_mfg import equilibrium, games, jacobian, operators, seeds
from pma_mfg.errors import InputError
from pma_mfg.games.features import Features
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import spread
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.simulation import agent_kernels, agents, alias_kernels, exchangeable_kernels
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation.agents import Agents
from pma_mfg.theory import lipschitz
from pma_replication.experiments.independent import measure as independent_measure
from pma_replication.runs.checkpoints import Checkpoint

ALARM = 1e-6
GAME = family_game("affine", n_states=3, n_actions=2, seed=1, K_mu=2.0, K_s=2.0, K_a=2.0)
PLANTED = family_game("planted_smooth", n_states=3, n_actions=2, discount=0.5, strength=0.3, seed=1)
UNIT = 1.0 / agent_kernels.UNITS


def moved(policies, start, n_steps, runs, seed):
    """Return the states of all agents (runs, N) after some steps from given states."""
    rng = np.random.default_rng(seed)
    population = agents.initial_agents(GAME, len(start), Entropy(1.0), rng=rng, start=policies)
    found = np.empty((runs, len(start)), dtype=np.int64)
    for run in range(runs):
        population.states[:] = start
        population.progress[:] = 0
        agents.advance(GAME, population, n_steps, n_waiting=10**6, scale=1.0, offset=1.0)
        found[run] = population.states
    return found


def exact_law(policies, start, n_steps):
    """Return the law of (s^1, ..., s^N), shape (S^N,), by enumerating every joint state."""
    n_agents, size = len(start), GAME.n_states
    joint = list(itertools.product(range(size), repeat=n_agents))
    law = dict.fromkeys(joint, 0.0) | {tuple(start): 1.0}
    for _ in range(n_steps):
        after = dict.fromkeys(joint, 0.0)
        for states, weight in law.items():
            transition = GAME.transition(np.bincount(states, minlength=size) / n_agents)
            rows = [policies[i, s] @ transition[s] for i, s in enumerate(states)]
            for new in joint:
                after[new] += weight * np.prod([rows[i][y] for i, y in enumerate(new)])
        law = after
    return np.array([law[states] for states in joint])


def compose_next_states(monkeypatch, game):
    """Let the agents of a small game, too, draw next states by composition."""
    tables = agents.composition(game)
    monkeypatch.setattr(agents, "composed", lambda game, n_agents: True)
    monkeypatch.setattr(agents, "composition", lambda game: tables)
    return tables


@pytest.mark.statistical(false_alarm=ALARM, power=1 - 1e-9, against="agents with each other's policies")
def test_agents_with_policies_of_their_own_have_the_enumerated_law(level, monkeypatch):
    rng = np.random.default_rng(0)
    policies, start, runs = rng.dirichlet(np.ones(2), size=(3, 3)), [0, 0, 2], 10_000
    law, planted = (exact_law(of, start, 2) for of in (policies, policies[[1, 0, 2]]))
    for seed in (1, 2):
        found = np.bincount(np.ravel_multi_index(moved(policies, start, 2, runs, seed).T, (3, 3, 3)), minlength=27)
        level.counts(found, law, planted, share=0.5)
        compose_next_states(monkeypatch, GAME)


@pytest.fixture(scope="module")
def of_counts_and_of_agents():
    """Tables (2, cells) of the first agent's state and the counts of the others, three steps on: of the two simulators.

    The first has agents with the same policy as the counts, the second with the opposite one.
    """
    policy, n_agents, runs, steps = random_policy(GAME, 0, 1.0), 12, 10_000, 3
    rng = np.random.default_rng(3)
    tables = simulation.game_tables(GAME)
    shared = simulation.policy_tables(GAME, policy, None)
    theirs = np.empty(runs, dtype=np.int64)
    for run in range(runs):
        population = simulation.Population(
            np.array([n_agents - 1, 0, 0]), np.array([0, rng.choice(2, p=policy[0])]), simulation.random_stream(rng)
        )
        q, none = np.zeros((3, 2)), (np.zeros(0, dtype=np.int64), np.empty((0, 3, 2)), *[np.empty((0, 2))] * 2)
        moving = (population.stream, population.others, population.tagged)
        exchangeable_kernels.learn(*moving, tables, shared, 0.5, q, 0, 1, steps - 1, 1.0, 1.0, *none)
        theirs[run] = population.tagged[0] * 169 + population.others[0] * 13 + population.others[1]
    tables = []
    for held in (policy, policy[:, ::-1]):
        states = moved(held, [0] * n_agents, steps, runs, 2)
        counts = np.stack([(states[:, 1:] == s).sum(axis=1) for s in range(3)], axis=1)
        ours = states[:, 0] * 169 + counts[:, 0] * 13 + counts[:, 1]
        cells, inverse = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
        table = np.stack([np.bincount(part, minlength=len(cells)) for part in np.split(inverse, 2)])
        common = table.sum(axis=0) >= 20
        rest = table[:, ~common].sum(axis=1, keepdims=True)
        tables.append(np.concatenate([table[:, common], rest], axis=1))
    return tables


@pytest.mark.statistical(
    false_alarm=ALARM,
    power=1 - 1e-9,
    against="the opposite policy",
    shown_by="test_agents_with_another_policy_are_seen",
)
def test_agents_with_one_policy_have_the_law_of_the_counts_simulator(of_counts_and_of_agents, level):
    level.accept(chi2_contingency(of_counts_and_of_agents[0]).pvalue)


@pytest.mark.statistical(false_alarm=1e-9, power=1 - 1e-9, against="a planted error that is missed")
def test_agents_with_another_policy_are_seen(of_counts_and_of_agents, level):
    level.detect(chi2_contingency(of_counts_and_of_agents[1]).pvalue, ALARM)


def laws_of_alias_tables(alias):
    """Return the laws of alias tables, one in each row."""
    law, share, size = np.zeros(alias.shape), (alias >> np.uint64(16)) / 2.0**33, alias.shape[1]
    for pair, column in np.ndindex(alias.shape):
        law[pair, column] += share[pair, column] / size
        law[pair, int(alias[pair, column]) & 0xFFFF] += (1.0 - share[pair, column]) / size
    return law


@pytest.mark.parametrize(("name", "game"), all_games().items())
def test_alias_tables_hold_the_transitions_of_every_game(name, game):
    mean_field = np.random.default_rng(0).dirichlet(np.ones(game.n_states))
    pairs = game.n_states * game.n_actions
    alias, reward = np.empty((pairs, game.n_states), dtype=np.uint64), np.empty((game.n_states, game.n_actions))
    alias_kernels.prepare(mean_field, agents.dense_tables(game), alias, reward)
    law = laws_of_alias_tables(alias)
    # one rounding to 2^-33 for each of at most S columns
    np.testing.assert_allclose(law.reshape(game.transition(mean_field).shape), game.transition(mean_field), atol=2e-10)
    assert (law[game.transition(mean_field).reshape(law.shape) == 0.0] == 0.0).all()
    np.testing.assert_allclose(reward, game.reward(mean_field), rtol=0, atol=1e-14)  # another order of sums


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16])
@pytest.mark.parametrize("n_actions", [1, 3, 4])
def test_alias_tables_written_side_by_side_are_bitwise_those_written_row_by_row(size, n_actions):
    rng, shape = np.random.default_rng([size, n_actions]), (size, n_actions, size)
    rewards = np.zeros(shape[:2]), np.zeros((0, *shape[:2])), simulation.feature_tables(Features.none(size))
    for case in range(60):
        base = rng.dirichlet(np.full(size, (0.05, 1.0, 1e6)[case % 3]), shape[:2])
        base[rng.random(shape) < (0.0, 0.5)[case % 2]] = 0.0
        base[..., case % size] += 0.1
        if case < 3:
            base[:] = 1.0 / size
        terms = 1e-3 * rng.standard_normal((case // 3 % 3, *shape))  # negative entries count as zero
        phi, laws = rng.random(len(terms)), base.copy()
        for weight, term in zip(phi, terms, strict=True):
            laws += weight * term
        expected, found = np.empty((2, size * n_actions, size), dtype=np.uint64)
        alias_kernels.alias_rows(laws.reshape(expected.shape), expected)
        columns = alias_kernels.columns_of((base, terms, rewards[2], *rewards))
        alias_kernels.alias_tables(phi, columns, found)
        np.testing.assert_array_equal(found, expected)


AFFINE = {
    name: game
    for name, game in all_games().items()
    if len(game.transition_features.links) and not game.transition_features.links.any()
}


@pytest.mark.parametrize(("name", "game"), AFFINE.items())
def test_a_composition_holds_the_transitions_of_every_affine_game_at_every_mean_field(name, game):
    size = game.n_states
    pairs, vertices = (laws_of_alias_tables(alias) for alias in agents.composition(game))
    vertices = vertices.reshape(len(pairs), size, size)
    rng = np.random.default_rng(0)
    for mean_field in (*rng.dirichlet(np.ones(size), size=3), np.eye(size)[-1]):
        law = pairs[:, :size] + pairs[:, size:] * (mean_field @ vertices)
        expected = game.transition(mean_field).reshape(law.shape)
        # one rounding to 2^-33 for each of at most S + 1 columns, and once more at the vertex
        np.testing.assert_allclose(law, expected, rtol=0, atol=4e-10)
        assert (law[expected == 0.0] == 0.0).all()
    # the affine games keep as much as they can in the table that all mean fields share
    least = np.min([game.transition(vertex) for vertex in np.eye(size)], axis=0).reshape(len(pairs), size)
    np.testing.assert_allclose(pairs[:, :size], least, rtol=0, atol=2e-10)


def test_transitions_are_composed_in_large_affine_games_of_not_too_many_agents_only():
    def coupled(size, link="identity", n_features=1):
        none = Features.none(size)
        features = Features.build(np.ones((n_features, size)), 0.0, link) if n_features else none
        return MeanFieldGame(
            discount=0.5,
            base_transition=np.full((size, 1, size), 1.0 / size),
            base_reward=np.zeros((size, 1)),
            transition_terms=np.zeros((n_features, size, 1, size)),
            transition_features=features,
            reward_terms=np.zeros((0, size, 1)),
            reward_features=none,
        )

    most = 64 * 64 * 101 // 25
    assert agents.composed(coupled(64), 2)
    assert agents.composed(coupled(64), most)
    for game, n_agents in (
        (coupled(64), most + 1),
        (coupled(63), 2),
        (coupled(204), 2),  # of whose entries at all vertices there are too many
        (coupled(64, "absolute"), 2),
        (coupled(64, n_features=0), 2),  # whose tables are written once
    ):
        assert not agents.composed(game, n_agents)
    assert agents.composed(coupled(203), 2)


def test_two_parts_of_thresholds_decide_as_the_whole_ones_do():
    # where the upper parts of a draw and of a threshold are the same, and next to there
    rng = np.random.default_rng(3)
    ends = [0, 1, 2**15 - 1, 2**15, 2**15 + 1, 2**30, 2**30 + 5, 2**31 - 2**15, 2**31 - 1, 2**31]
    for _ in range(300):
        n_limits = int(rng.integers(1, 7))
        limits = np.sort(rng.choice(ends, size=n_limits))
        policy = np.diff(limits / 2.0**31, prepend=0.0, append=1.0)
        upper, lower = agents.cumulated(policy)
        np.testing.assert_array_equal(upper.astype(np.int64) * 2**15 + lower, limits)
        near = np.unique(np.clip(np.add.outer(limits, [-(2**15), -1, 0, 1, 2**15]), 0, 2**31 - 1))
        for level in [*near.tolist(), *rng.integers(2**31, size=5).tolist()]:
            bits = np.uint64((level << 33) | int(rng.integers(2**33)))
            pair = agent_kernels.pair_played(bits, np.uint64(40), upper, lower, np.uint64(0), np.uint64(n_limits))
            assert pair == 40 + (level >= limits).sum(), (level, limits)


def test_an_action_without_probability_is_never_played():
    policy = np.tile([0.0, 1.0], (3, 1))
    population = agents.initial_agents(GAME, 5000, Quadratic(1.0), rng=np.random.default_rng(0), start=policy)
    np.testing.assert_array_equal(population.policies(), np.broadcast_to(policy, (5000, 3, 2)))
    for step in range(20):
        agents.advance(GAME, population, 1, n_waiting=0, scale=1.0, offset=1.0)
        assert (population.pairs % 2 == 1).all(), step


@pytest.mark.parametrize("n_actions", range(1, 8))
def test_agents_who_wait_go_where_their_own_action_leads(n_actions):
    # kernels for up to five actions are apart from those for more
    goal = (np.arange(4)[:, None] + np.arange(n_actions) + 1) % 4
    game = frozen_game(np.eye(4)[goal], np.zeros((4, n_actions)), 0.5)
    chosen = np.random.default_rng(1).integers(n_actions, size=(300, 4))
    start = np.eye(n_actions)[chosen]
    population = agents.initial_agents(game, 300, Quadratic(1.0), rng=np.random.default_rng(0), start=start)
    for _ in range(3):
        states = population.states.astype(int)
        agents.advance(game, population, 1, n_waiting=10, scale=1.0, offset=1.0)
        np.testing.assert_array_equal(population.states, goal[states, chosen[np.arange(300), states]])


@pytest.mark.parametrize("n_actions", [2, 3, 5])
def test_every_agent_plays_the_action_of_its_own_policy_in_its_own_state(n_actions):
    game = family_game("planted_smooth", n_states=3, n_actions=n_actions, discount=0.5, strength=0.3, seed=1)
    chosen = np.add.outer(np.arange(3000), np.arange(3)) % n_actions
    start = np.eye(n_actions)[chosen]
    population = agents.initial_agents(game, 3000, Quadratic(1.0), rng=np.random.default_rng(0), start=start)
    np.testing.assert_array_equal(population.policies(), start)
    for _ in range(5):
        states = population.states.astype(int)
        agents.advance(game, population, 1, n_waiting=0, scale=1e-9, offset=1.0)
        np.testing.assert_array_equal(population.pairs, n_actions * states + chosen[np.arange(3000), states])


def test_td_updates_are_the_stated_ones():
    """Replay the recorded path of every agent with Algorithm 3 written out."""
    regularizer, n_waiting, scale, offset = Entropy(0.3), 1, 2.0, 5.0
    rng = np.random.default_rng(0)
    start = rng.dirichlet(np.ones(2), size=(6, 3))
    population = agents.initial_agents(PLANTED, 6, regularizer, rng=rng, start=start)
    q, h = np.zeros((6, 3, 2)), regularizer.value(population.policies())
    twin = Agents.restored(population.arrays())
    recorded = None
    for t in range(12):
        mean_field = np.bincount(twin.states, minlength=3) / 6
        states = twin.states.astype(int)
        agents.advance(
            PLANTED, twin, 1, n_waiting=0, scale=1e-9, offset=1.0
        )  # records every pair: the same draws, whatever is learnt
        actions = twin.pairs.astype(int) - 2 * states
        if recorded is not None and t % 2 == 0:
            s, a, r = recorded
            i = np.arange(6)
            target = r + PLANTED.discount * (q[i, states, actions] + h[i, states])
            q[i, s, a] += scale / (t // 2 - 1 + offset) * (target - q[i, s, a])
        if t % 2 == 1:
            recorded = states, actions, PLANTED.reward(mean_field)[states, actions]
    agents.advance(PLANTED, population, 12, n_waiting=n_waiting, scale=scale, offset=offset)
    np.testing.assert_allclose(population.q, q, rtol=0, atol=1e-14)  # the same operations, rewards summed otherwise
    np.testing.assert_array_equal(population.states, twin.states)


@pytest.mark.parametrize("regularizer", [Entropy(0.1), Quadratic(0.3)], ids=str)
@pytest.mark.parametrize("step_size", [0.1, 5.0, 1000.0])
@pytest.mark.parametrize("bound", [False, True])
def test_every_agent_makes_its_own_mirror_ascent_step(regularizer, step_size, bound):
    rng = np.random.default_rng(0)
    start = rng.dirichlet(np.full(2, 0.3), size=(60, 3))
    population = agents.initial_agents(PLANTED, 60, regularizer, rng=rng, start=start)
    population.q[:] = 0.1 * rng.normal(size=population.q.shape)
    kept, q = population.policies(), population.q.copy()
    floor = float(regularizer.value(np.full(2, 0.5))) - 0.2 * regularizer.span(2) if bound else None
    agents.finish_epoch(PLANTED, population, regularizer, step_size=step_size, share=0.0, floor=floor)
    expected = regularizer.proximal_step(q, kept, step_size, floor=floor)
    if bound:
        assert (regularizer.value(regularizer.proximal_step(q, kept, step_size)) < floor).any()
    # cumulated probabilities are rounded to multiples of 2^-31: two roundings, of half of one each
    np.testing.assert_allclose(population.policies(), expected, rtol=0, atol=UNIT + 1e-12)
    np.testing.assert_allclose(population.values, regularizer.value(population.policies()), rtol=0, atol=1e-8)


def test_wright_omega_is_scipys():
    x = np.concatenate([np.linspace(-50, 50, 20_001), np.geomspace(50, 1e6, 100), [-700.0]])
    found = np.array([agent_kernels.wright_omega(value) for value in x])
    np.testing.assert_allclose(found, wrightomega(x), rtol=1e-12)


SCHEDULE = Schedule(3, 40, 1, 2.0, 5.0, 10.0)


def run(n_agents=9000, seed=0, **more):
    return learning.independent(
        PLANTED, n_agents, Entropy(0.3), schedule=SCHEDULE, rng=np.random.default_rng(seed), **more
    )


def assert_equal(one, other):
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("composed", [False, True])
def test_two_threads_give_the_bits_of_one(monkeypatch, composed):
    if composed:
        compose_next_states(monkeypatch, PLANTED)
    whole = run()
    assert_equal(whole, run(threads=2))
    assert (whole.thresholds != run(seed=1).thresholds).any()
    monkeypatch.setattr(agents, "CHUNK", 63_000)  # some seven steps of 9000 agents
    assert_equal(whole, run(threads=2))


def test_a_thread_that_fails_keeps_no_other_waiting():
    caller = threading.current_thread()

    def transition(mean_field):
        if threading.current_thread() is not caller and next(moments) == 5:  # in one thread, before its third step
            raise ValueError("planted")
        return PLANTED.transition(mean_field)

    moments = itertools.count()
    game = games.FunctionGame(0.5, transition, PLANTED.reward, n_states=3, n_actions=2)
    population = agents.initial_agents(game, 2 * agent_kernels.BLOCK, Entropy(0.3), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="planted"):
        agents.advance(game, population, 10, n_waiting=0, scale=1.0, offset=1.0, threads=2)


def test_an_epoch_is_its_updates_and_a_step_after_the_last_one():
    population = agents.initial_agents(PLANTED, 100, Entropy(0.3), rng=np.random.default_rng(0))
    for epoch in range(3):
        population.q[:] = 0.0
        agents.advance(PLANTED, population, 80, n_waiting=1, scale=5.0, offset=10.0)
        np.testing.assert_array_equal(population.progress, [epoch, 80])
        agents.finish_epoch(PLANTED, population, Entropy(0.3), step_size=2.0, share=5.0 / (39 + 10.0))
        np.testing.assert_array_equal(population.progress, [epoch + 1, 0])
    assert_equal(population, run(100))


@pytest.mark.parametrize("composed", [False, True])
def test_a_run_interrupted_anywhere_goes_on_bitwise(monkeypatch, composed):
    if composed:
        compose_next_states(monkeypatch, PLANTED)
    whole = run(100)
    monkeypatch.setattr(agents, "CHUNK", 700)  # a few steps of a hundred agents
    states = []
    assert_equal(whole, run(100, after_chunk=lambda population: states.append(Agents.restored(population.arrays()))))
    assert len(states) > 30
    for kept in states[:: len(states) // 8]:
        assert_equal(whole, run(100, seed=99, agents=kept))


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="policies that stay uniform")
def test_independent_learning_comes_close_to_a_planted_equilibrium(level):
    schedule = Schedule(15, 20_000, 0, 3.0, 30.0, 60.0)
    found = learning.independent(PLANTED, 50, Entropy(0.3), schedule=schedule, rng=np.random.default_rng(0)).policies()
    distances = np.abs(found - PLANTED.planted.policy).sum(axis=2).max(axis=1)
    start = operators.policy_distance(operators.uniform_policy(PLANTED), PLANTED.planted.policy)
    # as centralized learning with this schedule (test_learning), on average
    level.means(distances[:, None], 0.0, bias=0.05, planted=start, share=0.5)
    # and each of the agents: a norm of normal noise exceeds its mean by u at most as often as exp(-u^2 / 2 sigma^2),
    # with the variance in the noise's largest direction, which is at most the norm's mean square
    predicted = spread.predicted_spread(PLANTED, Entropy(0.3), PLANTED.planted.policy, schedule=schedule)
    square = predicted.mean**2 + predicted.deviation**2
    level.accept(np.exp(-0.5 * np.maximum(distances - 0.05, 0.0) ** 2 / square), share=0.5)


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="steps that are too large by 20 %")
def test_moments_of_td_learning_are_those_of_many_agents(level):
    policy, regularizer, n_agents = PLANTED.planted.policy, Entropy(0.3), 20_000
    population = agents.initial_agents(PLANTED, n_agents, regularizer, rng=np.random.default_rng(0), start=policy)
    agents.advance(
        PLANTED, population, 301 * 6, n_waiting=5, scale=20.0, offset=25.0
    )  # the 301st transition is not learnt from yet
    (mean, covariance), (_, wrong_covariance) = (
        spread.td_moments(PLANTED, policy, regularizer, n_updates=300, scale=size * 20.0, offset=size * 25.0)
        for size in (1.0, 1.2)
    )
    mean_field = operators.stable_population(PLANTED, policy)
    errors = (population.q - operators.q_values(PLANTED, policy, mean_field, regularizer=regularizer)).reshape(
        n_agents, -1
    )
    # 1e-3 for the fluctuation of a mean field of 20 000 agents, which all of them share
    level.means(errors, mean, bias=1e-3, share=0.5)
    squares, variances = (errors - errors.mean(axis=0)) ** 2, np.diag(covariance)
    level.means(squares, variances, bias=0.01 * variances, planted=np.diag(wrong_covariance), share=0.5)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a disagreement off by 30 %")
@pytest.mark.parametrize("step_size", [0.5, 5.0])
def test_disagreement_is_the_predicted_one(step_size, level):
    policy, regularizer = PLANTED.planted.policy, Entropy(0.3)
    schedule = Schedule(20, 4000, 1, step_size, 30.0, 30.0)
    found = learning.independent(PLANTED, 500, regularizer, schedule=schedule, rng=np.random.default_rng(0)).policies()
    measured = np.abs(found - found.mean(axis=0)).sum(axis=2).max(axis=1)
    predicted = spread.predicted_spread(PLANTED, regularizer, policy, schedule=schedule).mean
    # the second order in the noise is some percent
    level.means(measured[:, None], predicted, bias=0.05 * predicted, planted=1.3 * predicted)


def test_one_agent_alone_changes_neither_the_mean_field_nor_its_own_q_to_first_order():
    """The envelope theorem behind the prediction: dV = 0 at the equilibrium when the mean field is held."""
    regularizer, policy = Entropy(0.3), PLANTED.planted.policy
    mean_field = operators.stable_population(PLANTED, policy)
    basis = jacobian.tangent_basis(2)[0]
    for state in range(3):
        q = []
        for step in (1e-4, -1e-4):
            changed = policy.copy()
            changed[state] += step * basis
            q.append(operators.q_values(PLANTED, changed, mean_field, regularizer=regularizer))
        assert np.abs(q[0] - q[1]).max() / 2e-4 < 1e-6


def test_a_killed_sweep_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("pma_replication.runs.checkpoints.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(agents, "CHUNK", 2000)
    settings = [
        independent_measure.IndependentRuns(30, SCHEDULE, 2),
        independent_measure.IndependentRuns(50, SCHEDULE, 1),
    ]

    def measure(**more):
        policy, of = PLANTED.planted.policy, {"name": "planted", "sweep": "alone", "settings": settings, "seed": 0}
        return independent_measure.independent_errors(PLANTED, Entropy(0.3), policy, **of, **more)

    whole = measure()
    assert len(whole) == 3 * (SCHEDULE.n_epochs + 1)
    for last in (1, 4, 8):
        left = itertools.count(1)

        def stop(left=left, last=last):
            if next(left) == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            measure(after_epoch=stop, checkpoint=Checkpoint(tmp_path / "out", {}))
        done = []
        found = measure(after_epoch=lambda done=done: done.append(1), checkpoint=Checkpoint(tmp_path / "out", {}))
        assert found.equals(whole)
        assert len(done) == 9 - last + 1  # what was finished is not run again
        Checkpoint(tmp_path / "out", {}).discard()


@pytest.mark.parametrize("start", [np.full((3, 3), 1 / 3), np.full((7, 3, 2), 0.5)])
def test_start_policies_of_another_shape_are_refused(start):
    with pytest.raises(InputError, match=r"agents.*: start: got shape .* expected shape \(3, 2\), or one per agent"):
        agents.initial_agents(PLANTED, 8, Entropy(0.3), rng=seeds.generator(0, "x"), start=start)


def test_agents_draw_actions_and_states_from_the_bits_of_xoshiro():
    # uniform laws: the upper 31 bits say which half of the actions, the lower 33 which quarter of the states
    game = frozen_game(np.full((4, 2, 4), 0.25), np.zeros((4, 2)), 0.5)
    population = agents.initial_agents(game, agent_kernels.BLOCK + 50, Entropy(1.0), rng=np.random.default_rng(0))
    streams = [[int(word) for word in words] for words in population.generators]
    assert len(streams) == 2
    for waiting in (0, 5):  # a recorded step and two that are learnt from, then two on the way
        for _ in range(2):
            states = population.states.astype(int)
            drawn = np.array([xoshiro(streams[i // agent_kernels.BLOCK]) for i in range(len(states))], dtype=np.uint64)
            agents.advance(game, population, 1, n_waiting=waiting, scale=1e-9, offset=1.0)
            np.testing.assert_array_equal(population.states, (drawn % np.uint64(2**33)) >> np.uint64(31))
            if waiting == 0:
                np.testing.assert_array_equal(population.pairs, 2 * states + (drawn >> np.uint64(63)).astype(int))
    np.testing.assert_array_equal(population.generators, np.array(streams, dtype=np.uint64))


def entered(alias, row, drawn):
    """Return what the lower 33 of 64 random bits choose from one row of an alias table."""
    column, level = divmod((drawn % 2**33) * alias.shape[1], 2**33)
    entry = int(alias[row, column])
    return column if level < entry >> 16 else entry & 0xFFFF


@pytest.mark.parametrize("n_actions", [2, 5])
def test_agents_draw_by_composition_from_the_bits_of_xoshiro(n_actions, monkeypatch):
    # those of a block for whom the common law has no next state draw a vertex, and there, when all others have moved
    game = games.make("planted_smooth", n_states=4, n_actions=n_actions, discount=0.5, strength=0.3, seed=1)
    pairs, vertices = compose_next_states(monkeypatch, game)
    start = np.eye(n_actions)[np.add.outer(np.arange(agent_kernels.BLOCK + 50), np.arange(4)) % n_actions]
    population = agents.initial_agents(game, len(start), Quadratic(1.0), rng=np.random.default_rng(0), start=start)
    streams = [[int(word) for word in words] for words in population.generators]
    for waiting in (0, 5):  # a recorded step, then one on the way
        states = population.states.astype(int)
        counts = np.bincount(states, minlength=4)
        field = np.empty((1, 4), dtype=np.uint64)
        alias_kernels.alias_rows(counts[None] / counts.sum(), field)
        expected = np.empty_like(states)
        for block, words in enumerate(streams):
            late = []
            for i in range(block * agent_kernels.BLOCK, min((block + 1) * agent_kernels.BLOCK, len(states))):
                pair = n_actions * states[i] + start[i, states[i]].argmax()
                expected[i] = entered(pairs, pair, xoshiro(words))
                late += [(i, pair)] if expected[i] == 4 else []
            assert late
            for i, pair in late:
                vertex = entered(field, 0, xoshiro(words))
                expected[i] = entered(vertices, 4 * pair + vertex, xoshiro(words))
        agents.advance(game, population, 1, n_waiting=waiting, scale=1e-9, offset=1.0)
        np.testing.assert_array_equal(population.states, expected)
    np.testing.assert_array_equal(population.generators, np.array(streams, dtype=np.uint64))


#: Constants of a game that the bound of docs/theory, section 5.1, certifies at strength 1.
WEAK = {"K_mu": 0.1, "K_s": 0.3, "K_a": 0.2, "L_mu": 0.01, "L_s": 0.02, "L_a": 0.05}

COUPLED = {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 0, "strength": 0.1, "sign": "averse"}


@pytest.mark.parametrize("channel", ["rewards", "dynamics"])
def test_coupling_moves_the_mean_policy_by_the_jacobian_and_leaves_deviations_from_it_alone(channel):
    # equation (10.14): two kinds of agents, half of them each, near the equilibrium of a strongly coupled game
    regularizer, step_size, size = Entropy(0.1), 10.0, 1e-5
    game = games.make("planted_coupled", best_response_radius=2.0, channel=channel, **COUPLED)
    policy, basis = game.planted.policy, jacobian.tangent_basis(game.n_actions)
    rng = np.random.default_rng(0)
    shift, apart = (rng.standard_normal((game.n_states, game.n_actions - 1)) for _ in range(2))

    def after(sign):
        """Return the policies of both kinds after a step, in the mean field of Proposition 10.7."""
        kinds = [policy + sign * size * (shift + side * apart) @ basis for side in (1.0, -1.0)]
        laws = [np.full(game.n_states, 1.0 / game.n_states)] * 2
        for _ in range(400):
            rows = game.transition(np.mean(laws, axis=0))
            laws = [law @ np.einsum("sa,say->sy", kind, rows) for law, kind in zip(laws, kinds, strict=True)]
        mean_field = np.mean(laws, axis=0)
        q = [operators.q_values(game, kind, mean_field, regularizer=regularizer) for kind in kinds]
        steps = [
            operators.mirror_ascent_step(one, kind, step_size, regularizer=regularizer)
            for one, kind in zip(q, kinds, strict=True)
        ]
        return np.array([(steps[0] + steps[1]) / 2.0, (steps[0] - steps[1]) / 2.0]) @ basis.T

    mean, deviation = (after(1.0) - after(-1.0)) / (2.0 * size)
    matrix = jacobian.jacobian(game, policy, step_size, regularizer=regularizer)
    np.testing.assert_allclose(mean.ravel(), matrix @ shift.ravel(), atol=1e-6)
    least = np.inf
    for s, entries in enumerate(regularizer.curvature(policy)):
        curved = (basis * entries) @ basis.T
        least = min(least, np.linalg.eigvalsh(curved)[0])
        kept = np.linalg.solve(np.eye(game.n_actions - 1) + step_size * curved, apart[s])
        np.testing.assert_allclose(deviation[s], kept, atol=1e-6)
    mean_rate, deviation_rate = independent_measure.rates(game, regularizer, policy, step_size=step_size)
    assert mean_rate == pytest.approx(np.abs(np.linalg.eigvals(matrix)).max())
    assert deviation_rate == pytest.approx(1.0 / (1.0 + step_size * least))
    assert mean_rate > 1.1 > 1.0 > deviation_rate  # PMA leaves this equilibrium, and all agents do so together


@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(0.3)])
def test_in_a_held_mean_field_the_square_of_the_noise_bounds_what_a_step_leaves(regularizer):
    # Proposition 10.12, equation (10.15), whatever the step size, the start and the noise
    rng, gamma, rho = np.random.default_rng(1), PLANTED.discount, regularizer.rho
    mean_field = np.array([0.5, 0.3, 0.2])
    frozen = frozen_game(PLANTED.transition(mean_field), PLANTED.reward(mean_field), gamma)
    best = operators.uniform_policy(PLANTED)
    for _ in range(3000):
        best = operators.mirror_ascent_step(
            operators.q_values(frozen, best, mean_field, regularizer=regularizer), best, 10.0, regularizer=regularizer
        )
    omega = operators.stable_population(frozen, best)

    def value(policy):
        q = operators.q_values(frozen, policy, mean_field, regularizer=regularizer)
        return (policy * q).sum(axis=1) + regularizer.value(policy), q

    highest, largest = value(best)[0], 0.0
    for step_size in (0.1, 1.0, 10.0, 1000.0):
        weight, rate = rho / 4.0 + 0.5 / step_size, max(gamma, 1.0 / (1.0 + step_size * rho / 2.0))
        for _ in range(40):
            policy = rng.dirichlet(np.full(PLANTED.n_actions, rng.choice([0.1, 1.0])), size=PLANTED.n_states)
            policy = rng.choice([0.0, 0.9, 1.0]) * (best - policy) + policy
            before, q = value(policy)
            noise = rng.choice([1e-3, 0.1, 1.0]) * rng.standard_normal(q.shape)
            moved_to = operators.mirror_ascent_step(q + noise, policy, step_size, regularizer=regularizer)
            gap = [
                omega @ (highest - values + weight * ((which - best) ** 2).sum(axis=1))
                for values, which in ((before, policy), (value(moved_to)[0], moved_to))
            ]
            square = (noise**2).sum(axis=1).max()
            allowed = rate * gap[0] + (2.0 - gamma) / (2.0 * (1.0 - gamma)) * square / rho
            assert gap[1] <= allowed + 1e-12
            largest = max(largest, gap[1] / allowed)
    assert largest > 0.1  # the bound is one of this order


def test_unequal_starts_are_one_uniform_policy_for_every_agent_and_are_forgotten():
    schedule = Schedule(4, 2000, 0, 5.0, 20.0, 20.0, 1.0)
    settings = [independent_measure.IndependentRuns(400, schedule, 1, unequal=unequal) for unequal in (False, True)]
    of = {"name": "planted", "sweep": "alone", "seed": 0}
    table = independent_measure.independent_errors(
        PLANTED, Entropy(0.3), PLANTED.planted.policy, settings=settings, **of
    )
    equal, unequal = table["spread"].to_numpy().reshape(2, schedule.n_epochs + 1)
    assert equal[0] == pytest.approx(0.0, abs=1e-9)
    # sup over three states of 2 |u - 1/2|, u uniform on [0, 1]: the mean of the largest of three is 3/4
    assert unequal[0] == pytest.approx(0.75, abs=0.05)
    assert unequal[-1] < 0.5 * unequal[0]


def test_the_epochs_leave_the_asked_share_of_the_start_and_not_one_more_than_needed():
    for left, rate in ((0.001, 0.5), (0.01, 0.9), (0.5, 0.999)):
        n_epochs = independent_measure.epochs_to_settle(left, rate)
        assert rate**n_epochs <= left < rate ** (n_epochs - 1)
    assert independent_measure.epochs_to_settle(0.01, 0.0) == 1
    with pytest.raises(InputError, match="at which PMA contracts"):
        independent_measure.epochs_to_settle(0.01, 1.0)


def test_the_dividing_line_says_what_the_bound_of_two_agents_allows():
    table = pd.DataFrame({"step_size": [0.5, 0.5]})
    game, regularizer = family_game("affine", n_states=4, n_actions=2, discount=0.5, seed=1, **WEAK), Entropy(1.0)
    found = equilibrium.solve(game, regularizer).policy
    row = independent_measure.dividing_line(table, game, regularizer, equilibrium=found).iloc[1]
    bound = lipschitz.contraction_bound(game, regularizer, 0.5)
    assert row["agent_constant"] == pytest.approx(2.0 * bound.q_policy)
    assert row["agent_constant"] < 1.0
    assert row["excess_bound"] == 0.0
    colder = Entropy(0.1)
    found = equilibrium.solve(game, colder).policy
    row = independent_measure.dividing_line(table.assign(step_size=5.0), game, colder, equilibrium=found).iloc[0]
    drift = (1.0 + 0.5 * row["agent_constant"]) / 1.5
    radius, _ = independent_measure.rates(game, colder, found, step_size=5.0)
    assert row["agent_constant"] > 1.0
    assert row["excess_bound"] == pytest.approx(2.0 * np.log(drift) / np.log(1.0 / radius))
    infinite = independent_measure.dividing_line(table, PLANTED, Entropy(0.3), equilibrium=PLANTED.planted.policy).iloc[
        0
    ]
    assert infinite["agent_constant"] == infinite["excess_bound"] == np.inf
