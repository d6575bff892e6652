"""The counts simulator has the law of the agents moved one by one, and its averages are those of the exact chain.

Statistical tests: each is one chi-square test at p > 1e-6, so with fresh seeds all of them together would raise a false
alarm with probability below 1e-4. The seeds are fixed. What they can see is shown by planted errors, which must be
rejected at p < 1e-12 by the same test on the same number of runs.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from tests.references import all_games, family_game, left_eigenvector, lumped_chain, random_policy

from pma_mfg import kernels, operators, simulation
from pma_mfg.errors import InputError
from pma_mfg.regularizers import Entropy

GAMES = all_games()
ALARM, POWER = 1e-6, 1e-12
RUNS = 25_000
STEPS = 3
# rows far apart, and truly moved by the mean field
GAME = family_game("affine", n_states=3, n_actions=2, seed=1, K_mu=2.0, K_s=2.0, K_a=2.0)
POLICY = random_policy(GAME, 0, 1.0)
TAGGED = 1


def start_of(n_agents):
    """Return the counts of the other agents at the start: nearly all together, so that one agent more matters."""
    others = np.array([n_agents - 1, 0, 0])
    others[2] = (n_agents - 1) // 4
    others[0] -= others[2]
    return others


def counts_simulator(n_agents, seed, game=GAME):
    """Return tagged states (runs,) and counts of the others (runs, S) after three steps of the compiled kernel."""
    rng = np.random.default_rng([seed, n_agents])
    tables, shared = simulation.game_tables(game), simulation.policy_tables(game, POLICY, None)
    q, snapshots, checkpoints = np.zeros((3, 2)), np.zeros((1, 3, 2)), np.array([1])
    actions = rng.choice(2, p=POLICY[TAGGED], size=RUNS)
    states, counts = np.empty(RUNS, dtype=int), np.empty((RUNS, 3), dtype=int)
    for run in range(RUNS):
        others, tagged = start_of(n_agents), np.array([TAGGED, actions[run]])
        # one update after two waiting steps: three steps
        kernels.learn(rng, others, tagged, tables, shared, 0.5, q, 1, STEPS - 1, 1.0, 1.0, checkpoints, snapshots)
        states[run], counts[run] = tagged[0], others
    return states, counts


def individual_agents(n_agents, seed, without_tagged=False, transition_error=0.0):
    """Return the same by moving every agent on its own, with plain numpy; optionally with a planted error."""
    rng = np.random.default_rng([seed, n_agents, 1])
    vertices = np.array([GAME.transition(e) for e in np.eye(3)])  # P is affine in the mean field
    vertices = (1 - transition_error) * vertices + transition_error * np.eye(3)[0]
    first = np.concatenate([[TAGGED], np.repeat(np.arange(3), start_of(n_agents))])
    states = np.tile(first, (RUNS, 1))
    runs = np.arange(RUNS)[:, None]
    for _ in range(STEPS):
        seen = states[:, 1:] if without_tagged else states
        mean_field = (seen[:, :, None] == np.arange(3)).mean(axis=1)
        transition = np.einsum("rz,zsay->rsay", mean_field, vertices)
        actions = (rng.random(states.shape) > POLICY[states, 0]).astype(int)
        cumulative = np.cumsum(transition, axis=3)
        u = rng.random(states.shape)
        states = sum((u > cumulative[runs, states, actions, y]).astype(int) for y in range(2))
    return states[:, 0], (states[:, 1:, None] == np.arange(3)).sum(axis=1)


def cells(sample, n_agents):
    """Return the number of the cell of each run: tagged state, and counts in about ten classes each."""
    states, counts = sample
    width = max(1, int(np.ceil(n_agents / 10)))
    classes = counts // width
    return (states * 100 + classes[:, 0]) * 100 + classes[:, 1]


def pooled(table, least):
    """Merge the cells (columns) whose total is below `least` into one."""
    total = table.sum(axis=0)
    small = total < least
    merged = np.column_stack([table[:, ~small], table[:, small].sum(axis=1)])
    return merged[:, merged.sum(axis=0) > 0]


def same_law(sample, other, n_agents):
    """Return the p-value of the hypothesis that two samples have one law."""
    labels = [cells(sample, n_agents), cells(other, n_agents)]
    names = np.unique(np.concatenate(labels))
    table = np.array([(label[:, None] == names).sum(axis=0) for label in labels])
    return chi2_contingency(pooled(table, 40)).pvalue  # at least 20 expected in each: chi-square is accurate


@pytest.fixture(scope="module")
def counted():
    """The counts simulator's samples, by number of agents, drawn once."""
    return {n_agents: counts_simulator(n_agents, seed=0) for n_agents in (2, 3, 10, 30, 100)}


@pytest.mark.parametrize("n_agents", [2, 3, 10, 30, 100])
def test_counts_move_like_agents_one_by_one(counted, n_agents):
    assert same_law(counted[n_agents], individual_agents(n_agents, seed=0), n_agents) > ALARM


@pytest.mark.parametrize("n_agents", [2, 3])
def test_a_mean_field_that_leaves_out_the_tagged_agent_is_detected(counted, n_agents):
    wrong = individual_agents(n_agents, seed=0, without_tagged=True)
    assert same_law(counted[n_agents], wrong, n_agents) < POWER


@pytest.mark.parametrize("n_agents", [2, 3, 10, 30, 100])
def test_transitions_that_are_wrong_by_a_few_percent_are_detected(counted, n_agents):
    wrong = individual_agents(n_agents, seed=0, transition_error=0.06)
    assert same_law(counted[n_agents], wrong, n_agents) < POWER


@pytest.mark.parametrize("n_agents", [2, 3])
def test_counts_have_the_exact_law_of_the_lumped_chain(counted, n_agents):
    wrong_game = replace(
        GAME,
        base_transition=0.94 * GAME.base_transition + 0.06 * np.eye(3)[0],
        transition_terms=0.94 * GAME.transition_terms,
    )
    pvalues = []
    for game in (GAME, wrong_game):
        states, matrix = lumped_chain(game, POLICY, n_agents)
        index = {state: i for i, state in enumerate(states)}
        start = np.eye(len(states))[index[TAGGED, tuple(start_of(n_agents).tolist())]]
        law = start @ np.linalg.matrix_power(matrix, STEPS)
        tagged, counts = counted[n_agents]
        seen = np.zeros(len(states))
        for s, others in zip(tagged, counts, strict=True):
            seen[index[int(s), tuple(others.tolist())]] += 1
        assert (law * RUNS > 10).all()  # no cell too small for chi-square
        pvalues.append(chisquare(seen, law * RUNS).pvalue)
    assert pvalues[0] > ALARM
    assert pvalues[1] < POWER  # a transition that is wrong by a few percent


def test_the_others_and_the_tagged_agent_are_conserved(counted):
    for n_agents, (states, counts) in counted.items():
        assert (counts.sum(axis=1) == n_agents - 1).all()
        assert (counts >= 0).all()
        assert set(states.tolist()) <= {0, 1, 2}


# --- the compiled parts


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
@given(seed=st.integers(0, 10**6))
def test_compiled_features_are_those_of_the_game(game, seed):
    tables = simulation.game_tables(game)
    mean_field = np.random.default_rng(seed).dirichlet(np.full(game.n_states, 0.5))
    for features, compiled in ((game.transition_features, tables[2]), (game.reward_features, tables[5])):
        out = np.empty(len(features.links))
        kernels.feature_values(mean_field, compiled, out)
        # a sum of four terms in another order, and one elementary function
        np.testing.assert_allclose(out, features.values(mean_field), rtol=0, atol=1e-14)


def test_the_compiled_links_are_numbered_like_the_game_s():
    links = {int(link) for game in GAMES.values() for link in game.reward_features.links}
    assert links == set(range(6))


def test_draws_have_the_given_law_and_no_index_of_probability_zero():
    law = np.array([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    rng = np.random.default_rng(0)
    seen = np.bincount([kernels.draw(rng, law) for _ in range(RUNS)], minlength=6)
    assert seen[law == 0].sum() == 0
    assert chisquare(seen[law > 0], law[law > 0] * RUNS).pvalue > ALARM
    # what rounding leaves over goes to the last possible index
    assert {kernels.draw(rng, np.array([0.5, 0.2, 0.0])) for _ in range(200)} == {0, 1}


@pytest.mark.parametrize(
    "row",
    [
        [0.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [0.7, 0.3, 0.0],
        [0.1, 0.2, 0.7 + 1e-15],
        [1 - 1e-16, 1e-16, 0.0],
        [1 / 3, 1 / 3, 1 / 3],
        [0.5, 0.5 - 1e-17, 1e-17],
        [-1e-17, 0.6, 0.4],
    ],
)
@pytest.mark.parametrize("n_agents", [1, 7, 10**6, 10**15])
def test_counts_are_conserved_for_every_row_whatever_its_rounding(row, n_agents):
    rng = np.random.default_rng(0)
    moved = np.full(3, -7)
    transition = np.array([row, row, row])
    for _ in range(50):
        kernels.move_counts(rng, np.array([n_agents, 0, 1]), transition, moved)
        assert moved.sum() == n_agents + 1
        assert (moved >= 0).all()
        assert (moved[transition[0] <= 0] == 0).all()


def test_moved_counts_have_multinomial_means_and_covariances():
    row, n = np.array([0.2, 0.3, 0.5]), 1000
    rng, moved, draws = np.random.default_rng(0), np.zeros(3, dtype=np.int64), []
    for _ in range(RUNS):
        kernels.move_counts(rng, np.array([n, 0, 0]), np.tile(row, (3, 1)), moved)
        draws.append(moved.copy())
    covariance = n * (np.diag(row) - np.outer(row, row))
    # five standard errors: sqrt(variance / runs), and sqrt(2 / runs) relative to the variances
    assert (np.abs(np.mean(draws, axis=0) - n * row) < 5 * np.sqrt(np.diag(covariance) / RUNS)).all()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (np.abs(np.cov(np.transpose(draws)) - covariance) < 5 * scale * np.sqrt(2 / RUNS)).all()


def test_policy_tables_are_averages_over_the_policy():
    for game in GAMES.values():
        policy = random_policy(game, 0)
        held, h, base, terms = simulation.policy_tables(game, policy, Entropy(0.3))
        np.testing.assert_array_equal(held, policy)
        np.testing.assert_allclose(h, -0.3 * (policy * np.log(policy)).sum(axis=1), rtol=1e-13)  # a few roundings
        mean_field = np.random.default_rng(0).dirichlet(np.ones(game.n_states))
        phi = game.transition_features.values(mean_field)
        expected = np.einsum("sa,say->sy", policy, game.transition(mean_field))
        # sums in another order
        np.testing.assert_allclose(base + np.einsum("k,ksy->sy", phi, terms), expected, rtol=0, atol=1e-14)
        assert (simulation.policy_tables(game, policy, None)[1] == 0).all()


# --- ergodic averages


@pytest.mark.parametrize("name", ["affine", "planted_kinked"])
def test_ergodic_averages_are_those_of_the_stationary_lumped_chain(name):
    n_agents, parameters = 4, {"n_states": 2, "n_actions": 2, "seed": 3}
    game = family_game(name, **parameters)
    if name == "affine":  # two features of each kind, one of them curved
        curved = family_game("planted_kinked", **parameters)
        game = replace(game, reward_terms=curved.reward_terms, reward_features=curved.reward_features)
    policy = random_policy(game, 0)
    centre = np.array([0.3, 0.7])
    states, matrix = lumped_chain(game, policy, n_agents)
    law = left_eigenvector(matrix)
    mean_fields = np.array([(np.array(others) + np.eye(2)[tagged]) / n_agents for tagged, others in states])
    tagged = np.array([state for state, _ in states])
    exact = {"deviation": law @ np.abs(mean_fields - centre).sum(axis=1), "mean_field": law @ mean_fields}
    for kind in ("transition", "reward"):
        phi = getattr(game, f"{kind}_features").values(mean_fields)
        exact[f"{kind}_features"] = np.array(
            [law[tagged == s] @ phi[tagged == s] / law[tagged == s].sum() for s in range(2)]
        )
    # the mean field is the law of one agent, by exchangeability
    np.testing.assert_allclose([law[tagged == s].sum() for s in range(2)], exact["mean_field"], atol=1e-12)

    found = [
        simulation.ergodic_averages(game, policy, n_agents, 20_000, np.random.default_rng([5, r]), 100, centre)
        for r in range(20)
    ]
    for field, expected in exact.items():
        replicates = np.array([getattr(averages, field) for averages in found])
        error = replicates.mean(axis=0) - expected
        standard = replicates.std(axis=0, ddof=1) / np.sqrt(20)
        # five standard errors from 20 replicates: 14 numbers, each wrong with probability 8e-5 (t law, 19 degrees)
        assert (np.abs(error) <= 5 * standard).all(), field
        # and they are small enough to see that the tagged agent belongs to the mean field it meets
        assert (standard < 2e-3).all(), field


def test_conditional_features_differ_from_plain_averages_at_small_n():
    game = family_game("planted_kinked", n_states=2, n_actions=2)
    averages = simulation.ergodic_averages(
        game, random_policy(game, 0), 4, 20_000, np.random.default_rng(0), 100, np.array([0.5, 0.5])
    )
    # E[mu(0) | own state 0] exceeds E[mu(0)], by about (1 - mu(0)) / N = 0.1
    assert averages.transition_features[0, 0] - averages.mean_field[0] > 0.05


def test_at_large_n_the_deviation_vanishes():
    game = family_game("affine")
    policy = random_policy(game, 0)
    centre = operators.stable_population(game, policy)
    deviation = [
        simulation.ergodic_averages(game, policy, n, 2000, np.random.default_rng(0), 100, centre).deviation
        for n in (10**4, 10**6, 10**15)
    ]
    # of order 1 / sqrt(N): about 1e-2, 1e-3, 3e-8
    assert deviation[0] < 3e-2
    assert deviation[1] < 3e-3
    assert deviation[2] < 1e-7
    assert deviation[0] / deviation[1] == pytest.approx(10, rel=0.2)  # 2000 correlated steps: about 5 % noise


def test_a_state_that_is_never_visited_has_no_conditional_features():
    game = family_game("crowd_averse", n_states=2, n_actions=2)
    transition = np.zeros((2, 2, 2))
    transition[:, :, 1] = 1.0
    averages = simulation.ergodic_averages(
        replace(game, base_transition=transition),
        random_policy(game, 0),
        5,
        100,
        np.random.default_rng(0),
        10,
        np.array([0.5, 0.5]),
    )
    assert averages.mean_field.tolist() == [0.0, 1.0]
    assert np.isnan(averages.reward_features[0]).all()
    assert averages.reward_features[1].tolist() == [0.0, 1.0]


# --- populations


def test_initial_populations_have_the_given_law():
    game, law = family_game("affine"), np.array([0.1, 0.2, 0.3, 0.4])
    drawn = [simulation.initial_population(game, 6, np.random.default_rng([0, r]), law) for r in range(4000)]
    counts = sum(population.others for population in drawn)
    assert counts.sum() == 5 * 4000
    assert chisquare(counts, law * 20_000).pvalue > ALARM
    tagged = np.array([population.tagged for population in drawn])
    assert chisquare(np.bincount(tagged[:, 0]), law * 4000).pvalue > ALARM
    assert chisquare(np.bincount(tagged[:, 1])).pvalue > ALARM


@pytest.mark.parametrize("n_agents", [1, 0, -3, 2.5, True, 10**15 + 1, float("nan"), float("inf"), "many"])
def test_a_number_of_agents_that_is_not_an_integer_in_range_is_refused(n_agents):
    with pytest.raises(InputError, match=r"n_agents: got .* expected an integer from 2 to 10\^15"):
        simulation.check_n_agents(n_agents)


@pytest.mark.parametrize("n_agents", [2, 1000.0, np.int64(7), 10**15])
def test_a_number_of_agents_in_range_is_an_int(n_agents):
    assert simulation.check_n_agents(n_agents) == int(n_agents)
    assert type(simulation.check_n_agents(n_agents)) is int


@pytest.mark.parametrize("n_agents", [2, 10, 10**9])
def test_the_same_seed_gives_bitwise_the_same_averages(n_agents):
    game, policy, centre = family_game("affine"), random_policy(family_game("affine"), 0), np.full(4, 0.25)
    one, two, other = (
        simulation.ergodic_averages(game, policy, n_agents, 500, np.random.default_rng(seed), 10, centre)
        for seed in (1, 1, 2)
    )
    for name in one.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert one.deviation != other.deviation


def test_every_composition_of_agents_is_a_state_of_the_lumped_chain():
    states, matrix = lumped_chain(GAME, POLICY, 4)
    assert len(states) == 3 * len(list(itertools.combinations(range(5), 2)))  # S C(N + S - 2, S - 1)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=0, atol=1e-14)  # rounding of a sum
