"""Conditional TD learning tends to its exact finite-N limit, and centralized learning to a planted equilibrium."""

import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tests.references import family_game, left_eigenvector, lumped_chain, random_policy, sparse_copy

from pma_mfg import equilibrium, operators
from pma_mfg.errors import InputError
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation import exchangeable_kernels as kernels
from pma_mfg.simulation.exchangeable import initial_population
from pma_mfg.theory import lipschitz
from pma_replication.experiments.ctd import measure as ctd_measure
from pma_replication.experiments.samples import measure as samples_measure

SMALL = {"n_states": 2, "n_actions": 2, "discount": 0.5}


def crowded_game():
    """Return a game whose finite-N limit is far from the mean field's: two agents in one state hurt each other."""
    moves = np.array([[[0.7, 0.3], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]])
    return MeanFieldGame(
        discount=0.5,
        base_transition=moves,
        base_reward=np.array([[0.2, 0.0], [0.1, 0.3]]),
        transition_terms=np.array([[[[0.2, -0.2], [0.1, -0.1]], [[-0.2, 0.2], [0.1, -0.1]]]]),
        transition_features=Features.build([[1.0, 0.0]]),
        reward_terms=np.array([[[1.0, 0.5], [1.0, 0.2]]]),
        reward_features=Features.build([[1.0, -1.0]], 0.0, "absolute"),
    )


def exact_limit(game, policy, n_agents, regularizer):
    """Return the Q of the decision process that the tagged agent meets on average, from the lumped chain's law."""
    states, matrix = lumped_chain(game, policy, n_agents)
    law = left_eigenvector(matrix)
    transition = np.zeros((game.n_states, game.n_actions, game.n_states))
    reward = np.zeros((game.n_states, game.n_actions))
    own = np.zeros(game.n_states)
    for (s, others), weight in zip(states, law, strict=True):
        mean_field = (np.array(others) + np.eye(game.n_states)[s]) / n_agents
        transition[s] += weight * game.transition(mean_field)[s]
        reward[s] += weight * game.reward(mean_field)[s]
        own[s] += weight
    transition, reward = transition / own[:, None, None], reward / own[:, None]
    q = np.zeros_like(reward)
    for _ in range(200):  # discount^200 is below rounding for discounts up to 0.8
        q = reward + game.discount * transition @ ((policy * q).sum(axis=1) + regularizer.value(policy))
    return q


def replicates_of_ctd(game, policy, n_agents, regularizer, n_updates, n_waiting, count):
    return np.array(
        [
            learning.ctd(
                game,
                policy,
                n_agents,
                regularizer=regularizer,
                n_updates=n_updates,
                n_waiting=n_waiting,
                td_scale=30.0,
                td_offset=30.0,
                rng=np.random.default_rng([9, r]),
            )
            for r in range(count)
        ]
    )


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="the mean field's Q in place of that of N agents")
@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(0.3)], ids=str)
@pytest.mark.parametrize(("n_agents", "n_waiting"), [(2, 0), (3, 2), (5, 0)])
def test_ctd_tends_to_the_exact_finite_population_limit(n_agents, n_waiting, regularizer, level):
    game = crowded_game()
    policy = np.array([[0.6, 0.4], [0.3, 0.7]])
    expected = exact_limit(game, policy, n_agents, regularizer)
    found = replicates_of_ctd(game, policy, n_agents, regularizer, 40_000, n_waiting, 16)
    infinite = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=regularizer)
    level.means(found, expected, bias=2e-3, planted=infinite)  # the bias is of order 1 / updates


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="the Q of five agents in place of the mean field's")
def test_ctd_tends_to_the_mean_field_q_at_large_n(level):
    game, regularizer = crowded_game(), Entropy(0.3)
    policy = np.array([[0.6, 0.4], [0.3, 0.7]])
    expected = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=regularizer)
    found = replicates_of_ctd(game, policy, 10**12, regularizer, 20_000, 1, 16)
    # the bias is of order 1 / updates; that of the population is 1e-6
    level.means(found, expected, bias=4e-3, planted=exact_limit(game, policy, 5, regularizer))


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="an error that falls with the fourth root")
def test_the_error_of_ctd_falls_with_the_square_root_of_the_updates(level):
    game, regularizer, policy = crowded_game(), Entropy(0.3), np.array([[0.6, 0.4], [0.3, 0.7]])
    expected = exact_limit(game, policy, 3, regularizer)
    found = replicates_of_ctd(game, policy, 3, regularizer, [1000, 16_000], 0, 160)
    short, long = np.log(((found - expected) ** 2).mean(axis=(2, 3))).T
    # 1/16 of the mean square in the limit; what is left of the start after 1000 updates adds to it
    level.means((short - long)[:, None], np.log(16.0), bias=0.3, planted=np.log(4.0))


def test_one_td_update_is_the_stated_one():
    # one state: (s, a, r, s', a') = (0, a, R(0, a), 0, a'), and the first two updates by hand
    game = family_game("crowd_averse", n_states=1, n_actions=2)
    regularizer, policy, rng = Entropy(0.5), np.array([[0.3, 0.7]]), np.random.default_rng(0)
    population = initial_population(game, 5, rng)
    first = population.tagged[1]
    reward, h = game.reward(np.ones(1))[0], float(regularizer.value(policy)[0])
    q = np.zeros(2)
    found = learning.ctd(
        game,
        policy,
        5,
        regularizer=regularizer,
        n_updates=1,
        n_waiting=0,
        td_scale=2.0,
        td_offset=4.0,
        rng=rng,
        population=population,
    )
    q[first] = 0.5 * (reward[first] + game.discount * h)
    np.testing.assert_allclose(found[0], q, rtol=1e-15)  # the same operations
    assert population.others.tolist() == [4]
    assert population.tagged[0] == 0


@pytest.mark.parametrize("n_agents", [2, 7, 10**6])
@pytest.mark.parametrize("n_waiting", [0, 3])
def test_snapshots_are_the_estimates_of_shorter_runs_bitwise(n_agents, n_waiting):
    game, regularizer = family_game("affine"), Entropy(0.2)
    policy = random_policy(game, 0)

    def run(n_updates):
        return learning.ctd(
            game,
            policy,
            n_agents,
            regularizer=regularizer,
            n_updates=n_updates,
            n_waiting=n_waiting,
            td_scale=2.0,
            td_offset=4.0,
            rng=np.random.default_rng(3),
        )

    together = run([10, 20, 35])
    assert together.shape == (3, 4, 3)
    for snapshot, n_updates in zip(together, [10, 20, 35], strict=True):
        np.testing.assert_array_equal(snapshot, run(n_updates))
    assert (together[0] != together[1]).any()


@pytest.mark.parametrize("n_agents", [2, 40, 10**4])
def test_a_sparse_game_is_learnt_draw_by_draw_like_its_dense_copy(n_agents):
    game = family_game("affine", K_mu=0.9, K_s=0.5, K_a=0.5, L_mu=1.0)
    policy, ends = random_policy(game, 0), []
    for same_game in (game, sparse_copy(game)):
        population = initial_population(same_game, n_agents, np.random.default_rng(0))
        rng = np.random.default_rng(0)
        ends.append(
            (
                learning.ctd(
                    same_game,
                    policy,
                    n_agents,
                    regularizer=Entropy(0.2),
                    n_updates=300,
                    n_waiting=1,
                    td_scale=2.0,
                    td_offset=4.0,
                    rng=rng,
                    population=population,
                ),
                population,
            )
        )
    for name in ("others", "tagged", "stream"):
        np.testing.assert_array_equal(getattr(ends[0][1], name), getattr(ends[1][1], name))
    np.testing.assert_allclose(ends[1][0], ends[0][0], rtol=0, atol=1e-12)  # rewards summed in another order


def test_ctd_is_bitwise_reproducible_and_depends_on_its_seed():
    game, policy = family_game("planted_kinked"), random_policy(family_game("planted_kinked"), 0)
    runs = [
        learning.ctd(
            game,
            policy,
            50,
            regularizer=Entropy(0.2),
            n_updates=200,
            n_waiting=1,
            td_scale=2.0,
            td_offset=4.0,
            rng=np.random.default_rng(seed),
        )
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_ctd_leaves_the_policy_alone_and_moves_the_population_on():
    game, rng = family_game("affine"), np.random.default_rng(0)
    policy = random_policy(game, 0)
    kept = policy.copy()
    population = initial_population(game, 1000, rng)
    before = population.others.copy()
    learning.ctd(
        game,
        policy,
        1000,
        regularizer=Entropy(0.2),
        n_updates=5,
        n_waiting=0,
        td_scale=1.0,
        td_offset=1.0,
        rng=rng,
        population=population,
    )
    np.testing.assert_array_equal(policy, kept)
    assert population.others.sum() == 999
    assert (population.others != before).any()


def test_the_number_of_agents_is_that_of_a_given_population():
    game, policy = family_game("affine"), random_policy(family_game("affine"), 0)

    def run(n_agents):
        rng = np.random.default_rng(0)
        return learning.ctd(
            game,
            policy,
            n_agents,
            regularizer=Entropy(0.2),
            n_updates=50,
            n_waiting=0,
            td_scale=1.0,
            td_offset=1.0,
            rng=rng,
            population=initial_population(game, 20, rng),
        )

    np.testing.assert_array_equal(run(20), run(10**6))


@pytest.mark.parametrize("n_updates", [0, -1, [10, 10], [20, 10], [0, 5], [], 10.5, [1.5, 2.5]])
def test_numbers_of_updates_that_do_not_increase_from_one_are_refused(n_updates):
    game = family_game("affine")
    with pytest.raises(InputError, match=r"n_updates: got .* expected integers >= 1 in increasing order"):
        learning.ctd(
            game,
            random_policy(game, 0),
            10,
            regularizer=Entropy(1.0),
            n_updates=n_updates,
            n_waiting=0,
            td_scale=1.0,
            td_offset=1.0,
            rng=np.random.default_rng(0),
        )


# --- centralized learning


PLANTED = family_game("planted_smooth", n_states=3, n_actions=2, discount=0.5, strength=0.3, seed=1)
SCHEDULE = Schedule(n_epochs=25, n_updates=20_000, n_waiting=0, step_size=3.0, td_scale=30.0, td_offset=60.0)


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="policies that stay uniform")
def test_centralized_learning_comes_close_to_a_planted_equilibrium(level):
    distances, gains = [], []
    for replicate in range(8):
        rng = np.random.default_rng([0, replicate])
        policies = learning.centralized(PLANTED, 10**5, Entropy(0.3), schedule=SCHEDULE, rng=rng)
        assert policies.shape == (26, 3, 2)
        np.testing.assert_array_equal(policies[0], operators.uniform_policy(PLANTED))
        assert (policies > 0).all()
        np.testing.assert_allclose(policies.sum(axis=2), 1.0, rtol=0, atol=1e-14)  # rounding of a sum
        distances.append([operators.policy_distance(policy, PLANTED.planted.policy) for policy in policies])
        gains.append([equilibrium.exploitability(PLANTED, policy, Entropy(0.3)) for policy in policies[[0, -1]]])
    distances, gains = np.array(distances), np.array(gains)
    # noise of a Q learned from 20 000 steps, about 0.02, over the strength 0.3, averaged by nothing: at most 0.05
    start = distances[0, 0]
    level.means(
        distances[:, -5:].max(axis=1, keepdims=True), 0.0, bias=min(0.05, 0.5 * start), planted=start, share=0.5
    )
    level.means(gains[:, 1:] / gains[:, :1], 0.0, bias=0.2, planted=1.0, share=0.5)


def test_centralized_learning_is_bitwise_reproducible():
    schedule = Schedule(3, 50, 1, 1.0, 1.0, 2.0)
    runs = [
        learning.centralized(PLANTED, 30, Entropy(0.3), schedule=schedule, rng=np.random.default_rng(seed))
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_centralized_learning_never_resets_the_population(monkeypatch):
    created, left, met = [], [], []
    create, estimate = learning.initial_population, learning.ctd

    def spy_create(*arguments, **keywords):
        created.append(create(*arguments, **keywords))
        return created[-1]

    def spy_estimate(*arguments, **keywords):
        population = next(a for a in (*arguments, *keywords.values()) if a is created[0])
        met.append((population.others.copy(), population.tagged.copy()))
        result = estimate(*arguments, **keywords)
        left.append((population.others.copy(), population.tagged.copy()))
        return result

    monkeypatch.setattr(learning, "initial_population", spy_create)
    monkeypatch.setattr(learning, "ctd", spy_estimate)
    learning.centralized(
        PLANTED, 40, Entropy(0.3), schedule=Schedule(5, 20, 1, 1.0, 1.0, 2.0), rng=np.random.default_rng(0)
    )
    assert len(created) == 1
    assert len(met) == 5
    for (others, tagged), (others_met, tagged_met) in zip(left[:-1], met[1:], strict=True):
        np.testing.assert_array_equal(others, others_met)
        assert tagged[0] == tagged_met[0]
    assert len({tuple(others) for others, _ in left}) > 1


def test_each_epoch_is_a_mirror_ascent_step_on_its_estimate(monkeypatch):
    estimates, estimate = [], learning.ctd

    def spy(*arguments, **keywords):
        estimates.append(estimate(*arguments, **keywords))
        return estimates[-1]

    monkeypatch.setattr(learning, "ctd", spy)
    start, floor = random_policy(PLANTED, 0), lipschitz.policy_floor(PLANTED, Entropy(0.3))
    epochs = []
    policies = learning.centralized(
        PLANTED,
        40,
        Entropy(0.3),
        schedule=Schedule(4, 20, 0, 2.0, 1.0, 2.0),
        rng=np.random.default_rng(0),
        start=start,
        floor=floor,
        after_epoch=epochs.append,
    )
    np.testing.assert_array_equal(policies[0], start)
    for k, q in enumerate(estimates):
        np.testing.assert_array_equal(
            policies[k + 1], operators.mirror_ascent_step(q, policies[k], 2.0, regularizer=Entropy(0.3), floor=floor)
        )
    assert epochs == [1, 2, 3, 4]


@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(0.3)])
def test_with_an_infinite_step_each_epoch_is_the_best_response_to_its_estimate(monkeypatch, regularizer):
    estimates, estimate = [], learning.ctd

    def spy(*arguments, **keywords):
        estimates.append(estimate(*arguments, **keywords))
        return estimates[-1]

    monkeypatch.setattr(learning, "ctd", spy)
    schedule, rng = Schedule(4, 20, 0, np.inf, 1.0, 2.0), np.random.default_rng(0)
    policies = learning.centralized(PLANTED, 40, regularizer, schedule=schedule, rng=rng)
    assert len(estimates) == 4
    for policy, q in zip(policies[1:], estimates, strict=True):
        np.testing.assert_array_equal(policy, regularizer.best_response(q))


def test_independent_learners_refuse_an_infinite_step():
    schedule, rng = Schedule(4, 20, 0, np.inf, 1.0, 2.0), np.random.default_rng(0)
    with pytest.raises(InputError, match=r"^learning\.independent: step_size: got inf, expected a finite number > 0"):
        learning.independent(PLANTED, 40, Entropy(0.3), schedule=schedule, rng=rng)


def test_the_first_action_of_an_epoch_is_drawn_from_its_own_policy(monkeypatch):
    monkeypatch.setattr(
        operators, "mirror_ascent_step", lambda q, policy, step_size, regularizer, floor=None: policy[:, ::-1]
    )
    actions, estimate = [], learning.ctd

    def spy(game, policy, n_agents, *, population, **named):
        actions.append((policy[population.tagged[0]].argmax(), population.tagged[1]))
        return estimate(game, policy, n_agents, population=population, **named)

    monkeypatch.setattr(learning, "ctd", spy)
    learning.centralized(
        PLANTED,
        10,
        Quadratic(0.3),
        schedule=Schedule(20, 3, 0, 1.0, 1.0, 1.0),
        rng=np.random.default_rng(0),
        start=np.eye(2)[[0, 1, 0]],
    )
    assert len(actions) == 20
    assert all(likely == played for likely, played in actions)


def in_chunks(monkeypatch, length):
    """Have kernels called for so many steps at a time."""
    monkeypatch.setattr(
        simulation,
        "chunks",
        lambda first, last, entries: ((begin, min(begin + length, last)) for begin in range(first, last, length)),
    )


@pytest.fixture
def thousands(monkeypatch):
    in_chunks(monkeypatch, 1000)


class Killed(Exception):
    pass


class Storage:
    """A checkpoint in memory, whose run is killed after some savings."""

    def __init__(self, survives):
        self.survives, self.state, self.saved = survives, None, 0

    def save(self, state):
        self.state = {name: array.copy() for name, array in state().items()}
        self.saved += 1
        if self.saved > self.survives:
            raise Killed

    def load(self):
        return self.state


def until_finished(run, survives):
    """Kill a run again and again after so many savings; return its result and how often it was killed."""
    storage, kills = Storage(survives), 0
    while True:
        try:
            return run(storage), kills
        except Killed:
            storage.saved, kills = 0, kills + 1


@pytest.mark.usefixtures("thousands")
@pytest.mark.parametrize("n_agents", [5, 10**6])
def test_td_learning_in_pieces_is_bitwise_that_in_one(n_agents):
    game, policy = family_game("affine"), random_policy(family_game("affine"), 0)
    steps = {"n_updates": [700, 1500, 9000], "n_waiting": 1, "td_scale": 2.0, "td_offset": 4.0}
    learn = functools.partial(learning.ctd, game, policy, n_agents, regularizer=Entropy(0.2), **steps)
    whole = learn(rng=np.random.default_rng(1))

    def run(storage):
        return learn(rng=np.random.default_rng(1), resume=storage.state, save=storage.save)

    pieces, kills = until_finished(run, 0)
    assert kills >= 3
    np.testing.assert_array_equal(pieces, whole)


@pytest.mark.usefixtures("thousands")
def test_centralized_learning_that_is_killed_goes_on_bitwise():
    schedule = Schedule(4, 2500, 0, 1.0, 10.0, 20.0)
    whole = learning.centralized(PLANTED, 30, Entropy(0.3), schedule=schedule, rng=np.random.default_rng(1))

    def run(storage):
        return learning.centralized(
            PLANTED,
            30,
            Entropy(0.3),
            schedule=schedule,
            rng=np.random.default_rng(1),
            resume=storage.state,
            save=storage.save,
        )

    for survives in (0, 2):
        policies, kills = until_finished(run, survives)
        assert kills >= 2
        np.testing.assert_array_equal(policies, whole)


@pytest.mark.usefixtures("thousands")
def test_sweeps_that_are_killed_give_bitwise_the_same_tables():
    schedule = Schedule(2, 2500, 0, 1.0, 10.0, 20.0)
    started = []

    def ctd(storage):
        started.append(storage)
        policy = PLANTED.planted.policy
        return ctd_measure.ctd_errors(
            PLANTED,
            Entropy(0.3),
            policy,
            name="x",
            n_agents=50,
            n_updates=[900, 2500],
            n_waiting=[0],
            n_replicates=[3],
            seed=1,
            checkpoint=storage,
        )[0]

    def learn(storage):
        policy = PLANTED.planted.policy
        return samples_measure.learning_errors(
            PLANTED,
            Entropy(0.3),
            policy,
            name="x",
            n_agents=50,
            epsilon=0.3,
            schedule=schedule,
            n_replicates=2,
            seed=1,
            checkpoint=storage,
        )

    for run in (ctd, learn):
        whole = run(None)
        for survives in (0, 2):
            table, kills = until_finished(run, survives)
            assert kills >= 1
            pd.testing.assert_frame_equal(table, whole, check_exact=True)


def test_learning_starts_from_the_stated_q():
    game, rng = family_game("affine"), np.random.default_rng(0)
    q = learning.ctd(
        game,
        random_policy(game, 0),
        10,
        regularizer=Entropy(0.2),
        n_updates=1,
        n_waiting=0,
        td_scale=1.0,
        td_offset=2.0,
        rng=rng,
        population=None,
        start=7.0,
    )
    assert (q == 7.0).sum() == q.size - 1


def test_a_negative_waiting_time_is_refused():
    with pytest.raises(InputError, match="n_waiting: got -1, expected an integer >= 0"):
        learning.ctd(
            PLANTED,
            PLANTED.planted.policy,
            9,
            regularizer=Entropy(1.0),
            n_updates=1,
            n_waiting=-1,
            td_scale=1.0,
            td_offset=1.0,
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize("n_agents", [5, 10**6])
def test_the_length_of_chunks_has_no_influence_on_td_learning(n_agents, monkeypatch):
    game, policy = family_game("affine"), random_policy(family_game("affine"), 0)
    steps = {"n_updates": [7, 150], "n_waiting": 2, "td_scale": 2.0, "td_offset": 4.0}
    learn = functools.partial(learning.ctd, game, policy, n_agents, regularizer=Entropy(0.2), **steps)
    whole = learn(rng=np.random.default_rng(1))
    for length in (1, 13):
        in_chunks(monkeypatch, length)
        np.testing.assert_array_equal(learn(rng=np.random.default_rng(1)), whole)


@pytest.mark.parametrize("entries", [1, 40, 10**7])
@pytest.mark.parametrize("seconds_per_step", [1e-9, 1e-6, 0.01, 3.0])
def test_chunks_cover_all_steps_once_and_none_but_the_first_is_long(entries, seconds_per_step, monkeypatch):
    now = 0.0
    monkeypatch.setattr(simulation, "time", SimpleNamespace(monotonic=lambda: now))
    covered, taken = [0], []
    for begin, end in simulation.chunks(0, 10**6, entries):
        assert begin == covered[-1] < end <= 10**6
        covered.append(end)
        taken.append((end - begin) * seconds_per_step)
        now += taken[-1]
        if len(covered) > 100:
            break
    assert covered[-1] == 10**6 or len(covered) > 100
    # a single step may take longer; the first chunk is as long as said if an entry takes no more than is assumed
    limit = max(simulation.CHUNK_SECONDS, seconds_per_step) * (1.0 + 1e-9)
    assert max(taken[1:], default=0.0) <= limit
    assert taken[0] <= limit or seconds_per_step > entries * simulation.ENTRY_SECONDS


@pytest.mark.parametrize("run", ["ctd", "centralized", "ergodic_averages"])
def test_an_interrupt_between_two_chunks_ends_a_run_that_saves_nothing(run, monkeypatch):
    """Python raises KeyboardInterrupt when a kernel returns: nothing is to catch it, and no chunk is to follow."""
    in_chunks(monkeypatch, 10)
    calls = []

    def interrupted(name):
        kernel = getattr(kernels, name)

        def call(*arguments):
            kernel(*arguments)
            calls.append(name)
            if len(calls) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(kernels, name, call)

    interrupted("average" if run == "ergodic_averages" else "learn")
    rng, policy, entropy = np.random.default_rng(0), PLANTED.planted.policy, Entropy(0.3)
    runs = {
        "ctd": lambda: learning.ctd(
            PLANTED, policy, 9, regularizer=entropy, n_updates=100, n_waiting=1, td_scale=2.0, td_offset=4.0, rng=rng
        ),
        "centralized": lambda: learning.centralized(
            PLANTED, 9, entropy, schedule=Schedule(3, 100, 1, 1.0, 2.0, 4.0), rng=rng
        ),
        "ergodic_averages": lambda: simulation.ergodic_averages(
            PLANTED, policy, 9, n_steps=100, rng=rng, n_burn_in=50, centre=PLANTED.planted.mean_field
        ),
    }
    with pytest.raises(KeyboardInterrupt):
        runs[run]()
    assert len(calls) == 2


@pytest.mark.usefixtures("thousands")
def test_td_learning_saves_only_what_is_not_finished():
    saved = []
    learning.ctd(
        PLANTED,
        PLANTED.planted.policy,
        9,
        regularizer=Entropy(0.3),
        n_updates=2500,
        n_waiting=0,
        td_scale=2.0,
        td_offset=4.0,
        rng=np.random.default_rng(0),
        save=lambda state: saved.append(int(state()["updates"])),
    )
    assert saved == sorted(set(saved))
    assert 0 < saved[0] <= saved[-1] < 2500


# --- what survived a test of mutations (docs/mutation.md)


def test_no_learned_policy_falls_below_a_floor_that_its_steps_would_cross(monkeypatch):
    # estimates whose best response has odds of exp(1 / 0.3), and steps that go nearly all the way
    monkeypatch.setattr(learning, "ctd", lambda *_, **__: np.tile([1.0, 0.0], (3, 1)))
    regularizer, schedule = Entropy(0.3), Schedule(3, 20, 0, 1e3, 1.0, 2.0)
    floor = 0.9 * float(regularizer.value(np.array([0.5, 0.5])))
    least = [
        regularizer.value(
            learning.centralized(PLANTED, 40, regularizer, schedule=schedule, rng=np.random.default_rng(0), floor=bound)
        ).min()
        for bound in (None, floor)
    ]
    assert least[0] < 0.5 * floor
    assert least[1] >= floor * (1 - 1e-12)  # the root in `Regularizer.proximal_step` is found to rounding


def test_td_learning_names_itself_where_it_refuses_a_step():
    with pytest.raises(InputError, match=r"^learning\.ctd: td_scale: got 0\.0"):
        learning.ctd(
            PLANTED,
            PLANTED.planted.policy,
            9,
            regularizer=Entropy(1.0),
            n_updates=1,
            n_waiting=0,
            td_scale=0.0,
            td_offset=1.0,
            rng=np.random.default_rng(0),
        )


def test_independent_learning_tells_of_every_epoch_and_the_policies_it_led_to():
    told = []
    agents = learning.independent(
        PLANTED,
        5,
        Entropy(0.3),
        schedule=Schedule(3, 20, 0, 1.0, 1.0, 2.0),
        rng=np.random.default_rng(0),
        after_epoch=lambda epoch, agents: told.append((epoch, agents.policies().copy())),
    )
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    np.testing.assert_array_equal(told[-1][1], agents.policies())
