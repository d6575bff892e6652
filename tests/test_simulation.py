"""The counts simulator has the law of the agents moved one by one, and its averages are those of the exact chain."""

import functools
import itertools
import tracemalloc
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2_contingency, chisquare, norm
from tests.references import (
    all_games,
    congested_ring,
    family_game,
    left_eigenvector,
    lumped_chain,
    random_policy,
    sparse_copy,
    xoshiro,
)
from tests.statistical import of_binomials, of_normals

from pma_mfg import games, operators
from pma_mfg.errors import InputError
from pma_mfg.games import LINKS
from pma_mfg.learning import algorithms as learning
from pma_mfg.populations import fluctuations
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import binomials, exchangeable_kernels, links, random_numbers
from pma_mfg.simulation import exchangeable as simulation

GAMES = all_games()
ALARM = 1e-6
RUNS = 50_000
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


def counts_simulator(n_agents, seed, game=GAME, by_agents=False):
    """Return tagged states (runs,) and counts of the others (runs, S) after three steps of the compiled kernel."""
    rng = np.random.default_rng([seed, n_agents])
    stream, tables = simulation.random_stream(rng), simulation.game_tables(game)
    shared = simulation.policy_tables(game, POLICY, None, n_agents=2 if by_agents else None)
    assert (shared[3][2].shape[0] > 0) == by_agents
    q, snapshots, checkpoints = np.zeros((3, 2)), np.zeros((1, 3, 2)), np.array([1])
    actions = rng.choice(2, p=POLICY[TAGGED], size=RUNS)
    states, counts = np.empty(RUNS, dtype=int), np.empty((RUNS, 3), dtype=int)
    for run in range(RUNS):
        others, tagged = start_of(n_agents), np.array([TAGGED, actions[run]])
        # one update after two waiting steps: three steps
        learned = (q, 0, 1, STEPS - 1, 1.0, 1.0, checkpoints, snapshots, *[np.empty((0, 2))] * 2)
        exchangeable_kernels.learn(stream, others, tagged, tables, shared, 0.5, *learned)
        states[run], counts[run] = tagged[0], others
    return states, counts


@functools.cache
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


SIZES = [2, 3, 10, 30, 100]


@pytest.fixture(scope="module", params=["counts", "agents"])
def counted(request):
    """The simulator's samples by number of agents, drawn once: by binomials and rows, and agent by agent."""
    by_agents = request.param == "agents"
    return {n_agents: counts_simulator(n_agents, seed=0, by_agents=by_agents) for n_agents in SIZES}


@pytest.mark.statistical(
    false_alarm=ALARM,
    power=1 - 1e-9,
    against="6 % of the transitions replaced; the tagged agent missing in the mean field (N = 2, 3)",
    shown_by="test_transitions_that_are_wrong_by_a_few_percent_are_detected",
)
@pytest.mark.parametrize("n_agents", SIZES)
def test_counts_move_like_agents_one_by_one(counted, n_agents, level):
    level.accept(same_law(counted[n_agents], individual_agents(n_agents, seed=0), n_agents))


@pytest.mark.statistical(false_alarm=1e-9, power=1 - 1e-9, against="a planted error that is missed")
@pytest.mark.parametrize("n_agents", [2, 3])
def test_a_mean_field_that_leaves_out_the_tagged_agent_is_detected(counted, n_agents, level):
    wrong = individual_agents(n_agents, seed=0, without_tagged=True)
    level.detect(same_law(counted[n_agents], wrong, n_agents), ALARM)


@pytest.mark.statistical(false_alarm=1e-9, power=1 - 1e-9, against="a planted error that is missed")
@pytest.mark.parametrize("n_agents", SIZES)
def test_transitions_that_are_wrong_by_a_few_percent_are_detected(counted, n_agents, level):
    wrong = individual_agents(n_agents, seed=0, transition_error=0.06)
    level.detect(same_law(counted[n_agents], wrong, n_agents), ALARM)


@pytest.mark.statistical(false_alarm=ALARM, power=1 - 1e-9, against="6 % of the transitions replaced")
@pytest.mark.parametrize("n_agents", [2, 3])
def test_counts_have_the_exact_law_of_the_lumped_chain(counted, n_agents, level):
    wrong_game = replace(
        GAME,
        base_transition=0.94 * GAME.base_transition + 0.06 * np.eye(3)[0],
        transition_terms=0.94 * GAME.transition_terms,
    )
    laws = []
    for game in (GAME, wrong_game):
        states, matrix = lumped_chain(game, POLICY, n_agents)
        index = {state: i for i, state in enumerate(states)}
        start = np.eye(len(states))[index[TAGGED, tuple(start_of(n_agents).tolist())]]
        laws.append(start @ np.linalg.matrix_power(matrix, STEPS))
    seen = np.zeros(len(states))
    for s, others in zip(*counted[n_agents], strict=True):
        seen[index[int(s), tuple(others.tolist())]] += 1
    level.counts(seen, *laws)


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
    for features, compiled in ((game.transition_features, tables[1]), (game.reward_features, tables[4])):
        out = np.empty(len(features.links))
        links.feature_values(mean_field, compiled, out)
        # a sum of four terms in another order, and one elementary function
        np.testing.assert_allclose(out, features.values(mean_field), rtol=0, atol=1e-14)


def test_the_compiled_links_are_numbered_like_the_game_s():
    links = {int(link) for game in GAMES.values() for link in game.reward_features.links}
    assert links == set(range(len(LINKS)))


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="3 % of a draw's probability on another index")
def test_draws_have_the_given_law_and_no_index_of_probability_zero(level):
    law = np.array([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    rng = simulation.random_stream(np.random.default_rng(0))
    seen = np.bincount([random_numbers.draw(rng, law) for _ in range(RUNS)], minlength=6)
    assert seen[law == 0].sum() == 0
    level.counts(seen[law > 0], law[law > 0], law[law > 0] + [-0.03, 0.03, 0.0])
    # what rounding leaves over goes to the last possible index
    assert {random_numbers.draw(rng, np.array([0.5, 0.2, 0.0])) for _ in range(200)} == {0, 1}


def moved_counts(stream, counts, transition):
    """Return the counts after one step of a kernel given as a matrix, zeros stored."""
    size = len(counts)
    starts, successors = np.arange(size + 1) * size, np.repeat(np.arange(size), size)
    terms = (np.zeros((0, size**2)), *(np.zeros(0, dtype=kind) for kind in (int, int, float)))
    slots = (np.arange(size), starts, successors, np.ascontiguousarray(transition.T).ravel(), terms)
    moved = np.full(size, -7.0)
    exchangeable_kernels.move_counts(stream, counts, np.zeros(0), slots, exchangeable_kernels.work_space(slots), moved)
    return moved


def test_few_agents_take_the_numbers_of_the_stream_one_after_the_other():
    transition = np.random.default_rng(0).dirichlet(np.ones(3), size=3)
    for counts in ([2, 1, 5], [0, 6, 2], [4, 4, 4]):  # eight and more: the stream's eight generators in turn
        stream = simulation.random_stream(np.random.default_rng(1))
        bits = np.zeros(32, dtype=np.uint64)
        random_numbers.fill(stream.copy(), bits, sum(counts))
        states = np.repeat(np.arange(3), counts)
        tails = transition[:, ::-1].cumsum(axis=1)[:, ::-1][states, 1:]  # what is left after each successor
        numbers = (bits.view(np.float64)[: len(states)] - 1.0) * transition.sum(axis=1)[states]
        expected = np.bincount((numbers[:, None] < tails).sum(axis=1), minlength=3)
        np.testing.assert_array_equal(moved_counts(stream, np.array(counts, dtype=float), transition), expected)


@pytest.mark.parametrize("n_agents", [1, 2, 3, 10**9])
def test_with_one_state_nobody_leaves(n_agents):
    stream = simulation.random_stream(np.random.default_rng(0))
    np.testing.assert_array_equal(moved_counts(stream, np.array([float(n_agents)]), np.ones((1, 1))), [n_agents])


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
    stream = simulation.random_stream(np.random.default_rng(0))
    counts = np.array([n_agents, 0.0, 1.0])
    for _ in range(50):
        moved = moved_counts(stream, counts, np.array([row, row, row]))
        assert moved.sum() == n_agents + 1
        assert (moved >= 0).all()
        assert (moved == moved.astype(np.int64)).all()
        assert (moved[np.array(row) <= 0] == 0).all()


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="means off by 1 %, or covariances by 10 %")
def test_moved_counts_have_multinomial_means_and_covariances(level):
    row, n = np.array([0.2, 0.3, 0.5]), 1000
    stream = simulation.random_stream(np.random.default_rng(0))
    counts, transition = np.array([float(n), 0.0, 0.0]), np.tile(row, (3, 1))
    draws = np.array([moved_counts(stream, counts, transition) for _ in range(RUNS)])
    covariance = n * (np.diag(row) - np.outer(row, row))
    away = draws - n * row
    level.means(draws, n * row, planted=1.01 * n * row, share=0.5)
    level.means(away[:, :, None] * away[:, None], covariance, planted=1.1 * covariance, share=0.5)


def test_policy_tables_are_averages_over_the_policy():
    for game in GAMES.values():
        policy = random_policy(game, 0)
        held, h, slots, _ = simulation.policy_tables(game, policy, Entropy(0.3))
        np.testing.assert_array_equal(held, policy)
        np.testing.assert_allclose(h, -0.3 * (policy * np.log(policy)).sum(axis=1), rtol=1e-13)  # a few roundings
        mean_field = np.random.default_rng(0).dirichlet(np.ones(game.n_states))
        phi = game.transition_features.values(mean_field)
        expected = np.einsum("sa,say->sy", policy, game.transition(mean_field))
        order, starts, successors, base, terms = slots
        out, found = np.empty(len(base)), np.zeros_like(expected)
        exchangeable_kernels.probabilities(base, terms, phi, out)
        states = np.concatenate([order[: end - begin] for begin, end in itertools.pairwise(starts)])
        found[states, successors] = out
        # sums in another order
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
        assert (simulation.policy_tables(game, policy, None)[1] == 0).all()


def samples(n, kept, rest, count, seed):
    """Return draws of Binomial(n, kept / (kept + rest))."""
    stream = simulation.random_stream(np.random.default_rng(seed))
    bits, drawn = np.empty(2 * count + random_numbers.LANES, dtype=np.uint64), np.empty(count)
    random_numbers.fill(stream, bits, 2 * count)
    left, p, q = (np.full(count, float(x)) for x in (n, kept, rest))
    binomials.binomials(stream, count, 0, left, p, q, bits.view(float), 0, drawn)
    return drawn


def cells_of(drawn, law, n):
    """Return how many draws, and how many of them are expected, in cells of at least 30 expected and a 150th."""
    count = len(drawn)
    bounds = np.unique(np.concatenate([[-1.0], law.ppf(np.linspace(0.002, 0.998, 150)), [float(n)]]))
    upper, lower = law.cdf(bounds), law.sf(bounds)
    kept = [0]
    for i in range(1, len(bounds)):
        expected = count * (upper[i] - upper[kept[-1]])
        if expected >= 30 and count * lower[i] >= 30:
            kept.append(i)
    edges = bounds[[*kept, len(bounds) - 1]]
    probability = np.diff(law.cdf(edges))
    probability[-1] = law.sf(edges[-2])
    seen = np.bincount(np.searchsorted(edges, drawn), minlength=len(edges))[1 : len(edges)]  # low < drawn <= high
    return seen, count * probability / probability.sum()


@pytest.mark.statistical(
    false_alarm=2e-8,
    power=0.9999,
    against="a shift of 4 % of the standard deviation, where they vary",
    shown_by="test_a_binomial_that_is_off_by_a_few_percent_of_its_deviation_is_detected",
)
@pytest.mark.parametrize("n", [1, 2, 7, 20, 33, 100, 1000, 10**4, 10**6, 10**9, 10**15])
@pytest.mark.parametrize("p", [1e-14, 1e-9, 1e-5, 0.01, 0.12, 0.3, 0.4999, 0.5, 0.5001, 0.83, 0.9999])
def test_binomials_have_their_law(n, p, level):
    count, law = 60_000, binom(n, p)
    drawn = samples(n, p, 1.0 - p, count, [n, int(p * 1e6)])
    assert (drawn == np.floor(drawn)).all()
    assert drawn.min() >= 0
    assert drawn.max() <= n
    seen, expected = cells_of(drawn, law, n)
    assert seen.sum() == count
    level.accept(chisquare(seen, expected).pvalue if len(seen) > 1 else 1.0, 0.5)
    # the sum is binomial too; a large one is normal, where scipy's binomial has no value
    total = binom(float(n * count), p)
    large = total.var() > 1e6
    if large:
        level.accept(of_normals(drawn.mean(), law.mean(), law.std() / np.sqrt(count)), 0.5)
        level.show(norm.sf(norm.isf(0.25 * level.false_alarm) - 0.04 * np.sqrt(count)))
    else:
        level.accept(of_binomials(drawn.sum(), total), 0.5)


@pytest.mark.statistical(false_alarm=1e-9, power=1 - 1e-9, against="a planted error that is missed")
def test_a_binomial_that_is_off_by_a_few_percent_of_its_deviation_is_detected(level):
    n, count = 10**9, 400_000
    drawn = samples(n, 0.3, 0.7, count, 0) + 0.04 * binom(n, 0.3).std()
    level.detect(chisquare(*cells_of(drawn, binom(n, 0.3), n)).pvalue, 2e-8)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="a standard deviation off by 1 %")
def test_binomial_moments_at_a_billion_agents(level):
    n, p, count = 10**9, 0.37, 10**6
    z = (samples(n, p, 1 - p, count, 3) - n * p) / np.sqrt(n * p * (1 - p))
    # of a normal; the skewness of these is 1e-5
    level.means(z[:, None] ** [1, 2, 3, 4], [0, 1, 0, 3], planted=[0, 1.01**2, 0, 3 * 1.01**4])


def test_the_series_in_the_rejection_is_within_its_bound():
    # the same numbers as in `binomial_by_rejection`, against the logarithms of the exact probabilities
    for n, p in [(25, 0.41), (60, 0.2), (400, 0.5), (10**4, 0.01), (10**5, 0.3)]:
        v, q = (n + 1) * p * (1 - p), 1 - p
        mode = np.floor((n + 1) * p)
        fraction = (n + 1) * p - mode
        steps = np.arange(-int(min(mode, v / 2)), int(min(n - mode, v / 2)) + 1)
        steps = steps[steps != 0]
        exact = binom.logpmf(mode + steps, n, p) - binom.logpmf(mode, n, p)
        up, d = steps > 0, np.abs(steps)
        mean = 0.5 * (d + 1) - np.where(up, fraction, 1 - fraction)
        spread, skew = (d**2 - 1) / 12, np.where(up, 1 - 2 * p, 2 * p - 1)
        series = -d / v * mean + d * skew * (mean**2 + spread) / (2 * v**2)
        series -= d * (1 - 3 * p * q) * mean * (mean**2 + 3 * spread) / (3 * v**3)
        rest = 2 / 15 * (d + 0.5) ** 5 / v**4
        assert (np.abs(exact - series) <= rest + 1e-9).all()  # lgamma's own errors are below 1e-10 here


@pytest.mark.statistical(false_alarm=ALARM, power=1 - 1e-9, against="two successors exchanged")
@pytest.mark.parametrize("n_agents", [3, 60])
def test_rows_move_agent_by_agent_or_by_binomials_in_one_law(n_agents, level):
    # a row of three successors goes by binomials above six agents: with 20 zero columns more it never does
    row = np.array([0.2, 0.5, 0.3])
    wide = np.zeros((23, 23))
    wide[:, [0, 9, 22]] = row
    stream = simulation.random_stream(np.random.default_rng(n_agents))
    narrow = [moved_counts(stream, np.array([n_agents, 0.0, 0.0]), np.tile(row, (3, 1))) for _ in range(8000)]
    others = np.zeros(23)
    others[4] = min(n_agents, 46)
    broad = np.array([moved_counts(stream, others, wide)[[0, 9, 22]] for _ in range(8000)])
    assert (broad.sum(axis=1) == others[4]).all()
    for found, total in ((np.array(narrow), n_agents), (broad, int(others[4]))):
        for y, wrong in ((0, 1), (1, 2), (2, 0)):
            seen, law, planted = (
                np.bincount(found[:, y].astype(int), minlength=total + 1),
                *(binom(total, row[z]).pmf(np.arange(total + 1)) for z in (y, wrong)),
            )
            enough = 8000 * law > 20
            cell = np.where(enough, np.cumsum(enough), 0)  # the rest is one cell, with the first if it is small too
            cell[cell == 0] = 0 if 8000 * law[~enough].sum() > 20 else 1
            seen, law, planted = (np.bincount(cell, weights)[np.unique(cell)] for weights in (seen, law, planted))
            level.counts(seen, law, planted, share=1 / 6)


def test_alias_tables_hold_the_rows_exactly():
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        transition = rng.dirichlet(np.full(size, 0.2), size=(3, size))
        transition[:, 0, : size // 2] = 0.0
        transition /= transition.sum(axis=2, keepdims=True)
        starts, successors = np.arange(size + 1) * size, np.tile(np.arange(size), size)
        flat = np.ascontiguousarray(transition.reshape(3, -1))
        shares, others = flat.copy(), np.zeros((3, 2 * size**2), dtype=np.int64)
        exchangeable_kernels.build_aliases(starts, successors, flat, shares, others)
        assert ((shares >= 0) & (shares <= 1)).all()
        found = np.zeros_like(transition)
        for v, s in itertools.product(range(3), range(size)):
            mine = slice(starts[s], starts[s + 1])
            for column, share in ((0, shares[v, mine]), (1, 1.0 - shares[v, mine])):
                np.add.at(found[v, s], others[v, column::2][mine], share / size)
        np.testing.assert_allclose(found, transition, rtol=0, atol=1e-14)  # a few roundings
        # rows in another unit, a power of two: not one bit more
        again = flat.copy(), np.zeros_like(others)
        exchangeable_kernels.build_aliases(starts, successors, 8.0 * flat, *again)
        np.testing.assert_array_equal(again[0], shares)
        np.testing.assert_array_equal(again[1], others)


# --- sparse games


def test_a_sparse_game_moves_bitwise_like_its_dense_copy():
    game = congested_ring(12)
    policy = random_policy(game, 0)
    centre = np.full(12, 1 / 12)
    runs = [
        simulation.ergodic_averages(
            g, policy, 500, n_steps=300, rng=np.random.default_rng(0), n_burn_in=10, centre=centre
        )
        for g in (game, game.dense("test"), sparse_copy(game.dense("test")))
    ]
    for other in runs[1:]:
        # the same draws; features of zero weight are left out of both, and sums in the same order
        np.testing.assert_array_equal(runs[0].mean_field, other.mean_field)
        np.testing.assert_array_equal(runs[0].transition_features, other.transition_features)


@pytest.mark.parametrize("n_agents", [5, 10**6])
def test_the_length_of_chunks_has_no_influence_on_averages(n_agents, monkeypatch):
    game = family_game("crowd_averse")
    policy, centre = random_policy(game, 0), np.full(game.n_states, 1 / game.n_states)

    def run():
        return simulation.ergodic_averages(
            game, policy, n_agents, n_steps=60, rng=np.random.default_rng(0), n_burn_in=10, centre=centre
        )

    whole = run()
    monkeypatch.setattr(simulation, "CHUNK_SECONDS", 0.0)  # one step at a time
    for name, value in vars(run()).items():
        np.testing.assert_array_equal(value, getattr(whole, name), err_msg=name)


@pytest.mark.parametrize("n_agents", [5, 10**6])  # agent by agent, and by counts
def test_asking_for_next_moments_moves_nothing_else(n_agents):
    game = family_game("crowd_averse")
    policy, centre = random_policy(game, 0), np.full(game.n_states, 1 / game.n_states)
    without, with_next = (
        simulation.ergodic_averages(
            game,
            policy,
            n_agents,
            n_steps=60,
            rng=np.random.default_rng(0),
            n_burn_in=10,
            centre=centre,
            next_moments=asked,
        )
        for asked in (False, True)
    )
    for name, value in vars(without).items():
        if name != "next_moments":
            np.testing.assert_array_equal(value, getattr(with_next, name), err_msg=name)
    assert without.next_moments.shape == (0, 0)
    assert with_next.next_moments.shape == with_next.second_moments.shape
    assert with_next.next_moments.any()


def test_a_large_sparse_game_needs_no_table_of_all_pairs_of_states():
    size = 2000
    game = games.make(
        "crowd_averse", n_states=size, n_actions=3, discount=0.8, seed=0, coupling=size / 2, n_successors=5
    )
    policy = operators.uniform_policy(game)
    tracemalloc.start()
    q = learning.ctd(
        game,
        policy,
        10**6,
        regularizer=Entropy(0.1),
        n_updates=20,
        n_waiting=0,
        td_scale=1.0,
        td_offset=1.0,
        rng=np.random.default_rng(0),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # one table of S^2 doubles would be 32 MB
    assert 0 < np.count_nonzero(q) <= 20


# --- ergodic averages


@pytest.mark.statistical(
    false_alarm=ALARM, power=0.999, against="features averaged without their own agent, or whatever its state"
)
@pytest.mark.parametrize("name", ["affine", "planted_kinked"])
def test_ergodic_averages_are_those_of_the_stationary_lumped_chain(name, level):
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
    others = np.array([others for _, others in states]) / (n_agents - 1)

    def numbers(seen, conditioned=True):
        """Return what is averaged, with the mean field that a feature sees, given the own state or not."""
        given = [(tagged == s) | (not conditioned) for s in range(2)]
        features = [getattr(game, f"{kind}_features").values(seen) for kind in ("transition", "reward")]
        conditional = [law[own] @ phi[own] / law[own].sum() for phi in features for own in given]
        return np.concatenate([[law @ np.abs(mean_fields - centre).sum(axis=1)], law @ mean_fields, *conditional])

    # the mean field is the law of one agent, by exchangeability
    np.testing.assert_allclose([law[tagged == s].sum() for s in range(2)], law @ mean_fields, atol=1e-12)
    found = [
        simulation.ergodic_averages(
            game, policy, n_agents, n_steps=20_000, rng=np.random.default_rng([5, r]), n_burn_in=100, centre=centre
        )
        for r in range(20)
    ]
    fields = ("deviation", "mean_field", "transition_features", "reward_features")
    replicates = [np.concatenate([np.ravel(getattr(averages, field)) for field in fields]) for averages in found]
    for planted in (numbers(others), numbers(mean_fields, conditioned=False)):
        level.means(replicates, numbers(mean_fields), planted=planted, share=0.5)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="a deviation off by 10 %")
@pytest.mark.parametrize("n_agents", [10**4, 10**6, 10**15])
def test_at_large_n_the_deviation_vanishes_with_its_constant(n_agents, level):
    game = family_game("affine")
    policy = random_policy(game, 0)
    centre = operators.stable_population(game, policy)
    found = [
        simulation.ergodic_averages(
            game, policy, n_agents, n_steps=1000, rng=np.random.default_rng([0, r]), n_burn_in=100, centre=centre
        ).deviation
        for r in range(24)
    ]
    constant = fluctuations.expected_deviation(game, policy) / np.sqrt(n_agents)
    # relative corrections are O(1/N)
    level.means(np.reshape(found, (-1, 1)), constant, bias=constant / np.sqrt(n_agents), planted=1.1 * constant)


def test_a_state_that_is_never_visited_has_no_conditional_features():
    game = family_game("crowd_averse", n_states=2, n_actions=2)
    transition = np.zeros((2, 2, 2))
    transition[:, :, 1] = 1.0
    averages = simulation.ergodic_averages(
        replace(game, base_transition=transition),
        random_policy(game, 0),
        5,
        n_steps=100,
        rng=np.random.default_rng(0),
        n_burn_in=10,
        centre=np.array([0.5, 0.5]),
    )
    assert averages.mean_field.tolist() == [0.0, 1.0]
    assert np.isnan(averages.reward_features[0]).all()
    assert averages.reward_features[1].tolist() == [0.0, 1.0]


# --- populations


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="10 % of the probability on another state or action")
def test_initial_populations_have_the_given_law(level):
    game, law = family_game("affine"), np.array([0.1, 0.2, 0.3, 0.4])
    drawn = [simulation.initial_population(game, 6, np.random.default_rng([0, r]), mean_field=law) for r in range(4000)]
    counts = sum(population.others for population in drawn)
    assert counts.sum() == 5 * 4000
    wrong = law + np.array([0.1, 0.0, 0.0, -0.1])
    level.counts(counts, law, wrong, share=1 / 3)
    tagged = np.array([population.tagged for population in drawn])
    level.counts(np.bincount(tagged[:, 0]), law, wrong, share=1 / 3)
    level.counts(np.bincount(tagged[:, 1]), np.full(3, 1 / 3), [1 / 3 + 0.1, 1 / 3, 1 / 3 - 0.1], share=1 / 3)


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
        simulation.ergodic_averages(
            game, policy, n_agents, n_steps=500, rng=np.random.default_rng(seed), n_burn_in=10, centre=centre
        )
        for seed in (1, 1, 2)
    )
    for name in one.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert (one.mean_field != other.mean_field).any()


def test_every_composition_of_agents_is_a_state_of_the_lumped_chain():
    states, matrix = lumped_chain(GAME, POLICY, 4)
    assert len(states) == 3 * len(list(itertools.combinations(range(5), 2)))  # S C(N + S - 2, S - 1)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=0, atol=1e-14)  # rounding of a sum


def test_averages_over_one_step_are_those_of_its_mean_field():
    game = all_games()["link power"]
    policy, centre = random_policy(game, 0), np.array([0.4, 0.3, 0.2, 0.1])
    found = simulation.ergodic_averages(
        game, policy, 50, n_steps=1, rng=np.random.default_rng(0), n_burn_in=0, centre=centre
    )
    mean_field = found.mean_field
    np.testing.assert_allclose(50 * mean_field, np.rint(50 * mean_field), rtol=0, atol=1e-12)
    away = mean_field - centre
    assert found.deviation == pytest.approx(np.abs(away).sum(), rel=1e-12)
    np.testing.assert_allclose(found.second_moments, np.outer(away, away), rtol=0, atol=1e-15)
    for features, given_state, remainders in (
        (game.transition_features, found.transition_features, found.transition_remainders),
        (game.reward_features, found.reward_features, found.reward_remainders),
    ):
        values, linear = features.values(mean_field), features.values(centre) + features.gradients(centre) @ away
        visited = mean_field > 0
        np.testing.assert_allclose(given_state[visited], np.tile(values, (visited.sum(), 1)), rtol=1e-12)
        np.testing.assert_allclose(remainders, np.outer(mean_field, values - linear), rtol=0, atol=1e-14)


def test_streams_are_drawn_from_all_states_of_the_generators():
    # 32 words of 64 bits, no bit of which is the same in all
    stream = simulation.random_stream(np.random.default_rng(0))
    assert stream.shape == (32,)
    assert np.bitwise_or.reduce(stream) == 2**64 - 1
    assert np.bitwise_and.reduce(stream) == 0


@pytest.mark.parametrize("k", [*range(40), 100, 10**4, 10**9])
def test_the_correction_of_stirlings_formula_is_that_of_fifty_digits(k):
    with mpmath.workdps(50):
        formula = (k + mpmath.mpf(1) / 2) * mpmath.log(k + 1) - (k + 1) + mpmath.log(2 * mpmath.pi) / 2
        exact = float(mpmath.loggamma(k + 1) - formula)
    # tabulated as a difference of numbers up to 30, else a series whose next term is 691 / 360360 / 17^11 < 1e-16
    assert binomials.stirling_correction(float(k)) == pytest.approx(exact, rel=0, abs=2e-14 if k < 16 else 1e-16)


@pytest.mark.parametrize("n", [100, 1000, 10**6, 10**12])
@pytest.mark.parametrize("p", [0.12, 0.3, 0.5])
def test_a_proposal_is_accepted_up_to_the_ratio_of_probabilities_that_it_must_not_exceed(n, p):
    """Hormann's condition v alpha / (a / us^2 + b) <= P(k) / P(mode) with fifty digits, whatever is tried before it."""
    deviation = np.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a, centre, mode = -0.0873 + 0.0248 * b + 0.01 * p, n * p + 0.5, int((n + 1) * p)
    fresh, tried = simulation.random_stream(np.random.default_rng(0)), 0
    with mpmath.workdps(50):

        def log_probability(k):
            factorials = mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)
            return factorials + k * mpmath.log(p) + (n - k) * mpmath.log(1 - mpmath.mpf(p))

        for u in np.linspace(0.003, 0.997, 143):
            inside = 0.5 - abs(u - 0.5)
            k = int(np.floor((2 * a / inside + b) * (u - 0.5) + centre))
            least = 0.0
            if 0 <= k <= n:
                ratio = mpmath.exp(log_probability(k) - log_probability(mode))
                least = float(ratio * (a / inside**2 + b)) / ((2.83 + 5.1 / b) * deviation)
            # the exact test adds terms of up to |k - mode|, 10^7 here, which are rounded by some 10^-9
            for v, accepted in ((least * (1 - 1e-8), True), (max(least * (1 + 1e-8), 1e-9), False)):
                if 0.0 < v < 1.0:
                    stream = fresh.copy()
                    drawn = binomials.binomial_by_rejection(stream, float(n), p, u, v)
                    # after a refusal the next proposal is drawn from the stream
                    assert np.array_equal(stream, fresh) == accepted
                    assert drawn == k or not accepted
                    tried += 1
    assert tried > 143


def test_streams_are_those_of_xoshiro():
    stream = simulation.random_stream(np.random.default_rng(0))
    lanes = [
        [int(stream[word * random_numbers.LANES + lane]) for word in range(4)] for lane in range(random_numbers.LANES)
    ]
    for _ in range(3):
        assert random_numbers.uniform(stream) == (xoshiro(lanes[0]) >> 12) * 2.0**-52
    bits = np.zeros(3 * random_numbers.LANES, dtype=np.uint64)
    random_numbers.fill(stream, bits, 3 * random_numbers.LANES - 5)
    drawn = [(xoshiro(words) >> 12) * 2.0**-52 for words in lanes for _ in range(3)]
    np.testing.assert_array_equal(bits.view(np.float64), 1.0 + np.array(drawn))
    np.testing.assert_array_equal(stream, np.array(lanes, dtype=np.uint64).T.ravel())


def test_agents_that_move_one_by_one_in_several_blocks_are_conserved():
    # 256 entries: tables for up to 768 agents, blocks of 512
    game, n_agents = family_game("affine", n_states=16, n_actions=2), 700
    policy = random_policy(game, 0)
    assert simulation.policy_tables(game, policy, None, n_agents=n_agents)[3][2].shape[0] > 0
    population = simulation.initial_population(game, n_agents, np.random.default_rng(0))
    for _ in range(20):
        learning.ctd(
            game,
            policy,
            n_agents,
            regularizer=Entropy(0.1),
            n_updates=1,
            n_waiting=0,
            td_scale=1.0,
            td_offset=1.0,
            rng=np.random.default_rng(0),
            population=population,
        )
        assert population.others.min() >= 0
        assert population.others.sum() == n_agents - 1
