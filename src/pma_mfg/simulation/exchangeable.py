"""The N-agent game in which all agents hold one policy: what Python calls, and tables for the compiled kernels.

See docs/theory, section 9. A `Population` is the only mutable object of the library: the counts of agents per state and
the tagged learner's place on a trajectory that is never reset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array, csr_array, issparse

from pma_mfg.arrays import accepts, contiguous
from pma_mfg.games.features import Features, Table, to_dense
from pma_mfg.games.functions import FunctionGame, Game
from pma_mfg.games.model import MeanFieldGame, check_n_agents
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import exchangeable_kernels, random_numbers

#: If transitions are affine in the mean field, a population moves agent by agent up to this many agents per entry of
#: P_pi.
AGENTS_PER_ENTRY = 3.0

#: Alias tables with more entries than this, of 24 bytes each, do not fit into the processor's cache; `AGENTS_PER_ENTRY`
#: is then reduced in proportion.
CACHED_ENTRIES = 2**13

#: Alias tables with more entries than this are not built.
ALIAS_ENTRIES = 2 * 10**6

#: Seconds that one call of a kernel should take. Python sees Ctrl-C only between two calls.
CHUNK_SECONDS = 0.25

#: Seconds per entry of the tables that a step reads, an upper bound (a binomial draw takes so long): for the first call
#: of a kernel, before any time is known.
ENTRY_SECONDS = 1e-7

#: Table entries that take as long as a call of the two Python functions of a game.
FUNCTION_ENTRIES = 10_000

Tables = tuple[Any, ...]

#: Lets the compiled learner make the updates first, ..., last - 1; arguments are the tables of the game, those of the
#: policy, first, last, the waiting steps before each update, and a factor of the size of the updates.
Learn = Callable[[Tables, Tables, int, int, int, float], None]


def chunks(first: int, last: int, entries: int) -> Iterator[tuple[int, int]]:
    """Divide the steps first, ..., last - 1 into parts that take about `CHUNK_SECONDS` each, as measured on the way.

    Kernels go on bit for bit where they stopped, so that the division, and with it the clock, has no influence on
    results.

    Parameters
    ----------
    first, last : int
    entries : int
        Of the tables that a step reads.

    Yields
    ------
    begin, end : int
    """
    length = max(1, int(CHUNK_SECONDS / (ENTRY_SECONDS * max(1, entries))))
    while first < last:
        end, began = min(first + length, last), time.monotonic()
        yield first, end
        taken = max(time.monotonic() - began, 1e-3 * CHUNK_SECONDS)
        first, length = end, max(1, min(8 * length, int(length * CHUNK_SECONDS / taken)))


def step_entries(shared: Tables) -> int:
    """Return how many entries of the tables of `policy_tables` a step reads."""
    averaged, terms = shared[2][3:5]
    return int(sum(array.size for array in (averaged, *terms)))


@dataclass
class Population:
    """State of the N-agent game on its trajectory.

    Parameters
    ----------
    others : ndarray of int64, shape (S,)
        How many of the N - 1 other agents are in each state.
    tagged : ndarray of int64, shape (2,)
        State and next action of the tagged agent.
    stream : ndarray of uint64, shape (32,)
        State of the random numbers that move it on (`random_stream`). With the two others it determines the rest of the
        trajectory, bit for bit.
    """

    others: np.ndarray
    tagged: np.ndarray
    stream: np.ndarray

    @property
    def n_agents(self) -> int:
        """N, the tagged agent included."""
        return int(self.others.sum()) + 1

    @property
    def mean_field(self) -> np.ndarray:
        """Shares of all agents in each state, the tagged agent included, shape (S,)."""
        counts = self.others.astype(float)
        counts[self.tagged[0]] += 1.0
        return np.asarray(counts / counts.sum())


@dataclass(frozen=True)
class ErgodicAverages:
    """Averages over a trajectory of N exchangeable agents.

    Parameters
    ----------
    deviation : float
        Time average of ||mu - centre||_1.
    mean_field : ndarray, shape (S,)
        Time average of mu: the stationary law of one agent.
    transition_features : ndarray, shape (S, K)
        E[phi_k(mu) | the agent's state is s], from E[mu(s) phi_k(mu)] / E[mu(s)]; nan for a state never visited.
    reward_features : ndarray, shape (S, L)
        The same for the features of the reward.
    second_moments : ndarray, shape (S, S)
        Time average of x x^T, x = mu - centre.
    transition_remainders : ndarray, shape (S, K)
        Time average of mu(s) (phi_k(mu) - phi_k(centre) - <grad phi_k(centre), x>).
    reward_remainders : ndarray, shape (S, L)
        The same for the features of the reward.
    next_moments : ndarray, shape (S, S)
        Time average of E[x x^T after the next step | the counts]; (0, 0) if not asked for.
    """

    deviation: float
    mean_field: np.ndarray
    transition_features: np.ndarray
    reward_features: np.ndarray
    second_moments: np.ndarray
    transition_remainders: np.ndarray
    reward_remainders: np.ndarray
    next_moments: np.ndarray


def random_stream(rng: np.random.Generator) -> np.ndarray:
    """Return the state of the kernels' own generators, xoshiro256++, started at random: uint64, shape (32,).

    D. Blackman and S. Vigna, Scrambled linear pseudorandom number generators, ACM Trans. Math. Software 47 (2021). The
    period is 2^256 - 1, so that streams started at random do not overlap.
    """
    return rng.integers(2**64, size=4 * random_numbers.LANES, dtype=np.uint64)


def game_tables(game: MeanFieldGame) -> Tables:
    """Return a game in the form that the kernels take: the entries that are not zero, also of dense tables."""
    rows, successors, base, changes = _entries(game)
    starts = np.searchsorted(rows, np.arange(game.n_states * game.n_actions + 1))
    dense, features, entries, values = _terms(changes)
    by_pair = np.argsort(entries, kind="stable")
    terms = (dense, *(contiguous(array[by_pair], array.dtype) for array in (features, entries, values)))
    rewards = csc_array(game.reward_terms.reshape(game.reward_terms.shape[0], game.base_reward.size))
    return (
        (_integers(starts), _integers(successors), _floats(base), terms, _integers(np.searchsorted(terms[2], starts))),
        feature_tables(game.transition_features),
        _floats(game.base_reward.ravel()),
        (_integers(rewards.indptr), _integers(rewards.indices), _floats(rewards.data)),
        feature_tables(game.reward_features),
    )


def slot_tables(rows: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return entries of a table in the order of the kernels' slots (`exchangeable_kernels.move_counts`).

    Parameters
    ----------
    rows : ndarray of int, shape (nnz,)
        The row of each entry, in increasing order; no row is without entries.
    n_rows : int

    Returns
    -------
    order : ndarray of int64, shape (n_rows,)
        Rows, those with most entries first.
    starts : ndarray of int64, shape (D + 1,)
        Where the slots start.
    entries : ndarray of int64, shape (nnz,)
        The entry at each place.
    """
    starts = np.searchsorted(rows, np.arange(n_rows + 1))
    widths = np.diff(starts)
    order = np.argsort(-widths, kind="stable")
    slots = [starts[order[: np.count_nonzero(widths > j)]] + j for j in range(widths.max())]
    return _integers(order), _integers(np.cumsum([0, *map(len, slots)])), _integers(np.concatenate(slots))


@accepts(inner=True)
def policy_tables(
    game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None, *, n_agents: int | None = None
) -> Tables:
    """Return a policy in the form that the kernels take: pi, h(pi(s)), and the transitions averaged over pi.

    With the number of agents, a small population whose transitions are affine in the mean field gets alias tables too,
    and the kernels then move agent by agent (docs/theory, section 9.1).
    """
    policy, size = _floats(policy), game.n_states
    h = np.zeros(size) if regularizer is None else regularizer.value(policy)
    rows, successors, base, changes = _entries(game)
    keys, place = np.unique(rows // game.n_actions * size + successors, return_inverse=True)
    weights = csr_array((policy.ravel()[rows], place, np.arange(len(rows) + 1)), shape=(len(rows), len(keys)))
    base, changes = base @ weights, changes @ weights
    states, successors = np.divmod(keys, size)
    starts = np.searchsorted(states, np.arange(size + 1))
    order, slot_starts, entries = slot_tables(states, size)
    moving = (
        order,
        slot_starts,
        _integers(successors[entries]),
        _floats(base[entries]),
        _terms(changes[:, entries]),
    )
    vertices = np.zeros((0, len(keys)))
    features = game.transition_features
    n_vertices = size if len(features.links) else 1
    n_aliases = n_vertices * len(keys)
    limit = AGENTS_PER_ENTRY * len(keys) * min(1.0, CACHED_ENTRIES / n_aliases)
    affine = not features.links.any()  # the identity has the code 0
    if affine and n_aliases <= ALIAS_ENTRIES and n_agents is not None and n_agents <= limit:
        phi = to_dense(features.weights).T[:n_vertices] + features.offsets
        vertices = _floats(base + phi @ changes)
    aliases = (
        _integers(starts),
        _integers(successors),
        vertices.copy(),
        np.zeros((len(vertices), 2 * len(keys)), dtype=np.int64),
    )
    exchangeable_kernels.build_aliases(aliases[0], aliases[1], vertices, aliases[2], aliases[3])
    return policy, _floats(h), moving, aliases


@accepts(inner=True)
def function_tables(
    game: FunctionGame, policy: np.ndarray, regularizer: Regularizer | None
) -> Callable[[np.ndarray], tuple[Tables, Tables]]:
    """Return the function from a mean field to `game_tables` and `policy_tables`, frozen there, for one step.

    What does not depend on the mean field is built once; every entry is stored, zero or not, and agents never move one
    by one from alias tables.
    """
    size, pairs = game.n_states, game.n_states * game.n_actions
    policy = _floats(policy)
    h = np.zeros(size) if regularizer is None else _floats(regularizer.value(policy))

    def no_terms(entries: int) -> Tables:
        return np.zeros((0, entries)), _integers([]), _integers([]), _floats([])

    states, none, features = np.arange(size), _integers(np.zeros(pairs + 1)), feature_tables(Features.none(size))
    rows = _integers(size * np.arange(pairs + 1)), _integers(np.tile(states, pairs))
    pair_terms, rewards = no_terms(pairs * size), (none, _integers([]), _floats([]))
    slots = _integers(states), _integers(size * np.arange(size + 1)), _integers(np.repeat(states, size))
    slot_terms, starts = no_terms(size * size), _integers(size * np.arange(size + 1))
    vertices = np.zeros((0, size * size)), np.zeros((0, 2 * size * size), dtype=np.int64)
    aliases = (starts, _integers(np.tile(states, size)), *vertices)

    def at(mean_field: np.ndarray) -> tuple[Tables, Tables]:
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        averaged = np.matmul(policy[:, None, :], transition)[:, 0, :]
        tables = ((*rows, _floats(transition.ravel()), pair_terms, none), features, _floats(reward.ravel()), rewards)
        return (*tables, features), (policy, h, (*slots, _floats(averaged.T).ravel(), slot_terms), aliases)

    return at


@accepts(inner=True)
def updates(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer | None,
    *,
    population: Population,
    n_waiting: int,
    learn: Learn,
) -> tuple[Callable[[int, int], None], int]:
    """Return how a learner makes its updates in a game of either kind.

    With features one call of the kernel makes all of them, as its tables hold at every mean field. The tables of a game
    given by functions hold at one mean field, so that each step has a call of its own, with the factor 0 while waiting.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        What the other agents play.
    regularizer : Regularizer or None
    population : Population
        Moved on in place by `learn`.
    n_waiting : int
        M_mix.
    learn : callable
        As `Learn`.

    Returns
    -------
    advance : callable
        advance(first, last) makes the updates first, ..., last - 1.
    entries : int
        Of the tables that a step reads, for `chunks`.
    """
    if game.has_features:
        shared = policy_tables(game, policy, regularizer, n_agents=population.n_agents)
        tables = game_tables(game)
        return lambda first, last: learn(tables, shared, first, last, n_waiting, 1.0), step_entries(shared)
    tables_at = function_tables(game, policy, regularizer)

    def advance(first: int, last: int) -> None:
        for m in range(first, last):
            for wait in range(n_waiting + 1):
                learn(*tables_at(population.mean_field), m, m + 1, 0, 1.0 if wait == n_waiting else 0.0)

    return advance, FUNCTION_ENTRIES


def _entries(game: MeanFieldGame) -> tuple[np.ndarray, np.ndarray, np.ndarray, Table]:
    """Return row s A + a, successor and P0 of the entries of the transitions, (nnz,) each, and the P_k, (K, nnz)."""
    table = game.base_transition
    if isinstance(table, csr_array):
        return (
            np.repeat(np.arange(table.shape[0]), np.diff(table.indptr)),
            table.indices,
            table.data,
            game.transition_terms,
        )
    shape = (game.base_reward.size, game.n_states)
    base, changes = table.reshape(shape), game.transition_terms.reshape(len(game.transition_terms), *shape)
    pattern = (base != 0.0) | changes.any(axis=0)
    rows, successors = np.nonzero(pattern)
    if pattern.all():  # as usual: copies of large tables are spared
        return rows, successors, base.ravel(), changes.reshape(len(changes), base.size)
    return rows, successors, base[pattern], changes[:, pattern]


def _terms(changes: Table) -> Tables:
    """Return the P_k, (K, nnz), as one dense array, or as lists of features, entries and values if most are zero."""
    if issparse(changes) or np.count_nonzero(changes) < changes.size / 4:
        single, dense = csr_array(changes).tocoo(), np.zeros((0, changes.shape[1]))
        return dense, _integers(single.row), _integers(single.col), _floats(single.data)
    return _floats(changes), _integers([]), _integers([]), _floats([])


def feature_tables(features: Features) -> Tables:
    """Return features in the form that kernels take, of the type `simulation.links.FEATURES`."""
    weights = features.weights
    entries: tuple[ArrayLike, ArrayLike, ArrayLike]
    if isinstance(weights, csr_array):
        entries = weights.indptr, weights.indices, weights.data
    else:  # what csr_array would hold, without its checks
        rows, states = np.nonzero(weights)
        entries = np.searchsorted(rows, np.arange(len(weights) + 1)), states, weights[rows, states]
    return (
        _integers(entries[0]),
        _integers(entries[1]),
        _floats(entries[2]),
        _floats(features.offsets),
        _integers(features.links),
        _floats(features.parameters),
    )


def _floats(array: ArrayLike) -> np.ndarray:
    return contiguous(array)


def _integers(array: ArrayLike) -> np.ndarray:
    return contiguous(array, np.int64)


def _law(mean_field: np.ndarray) -> np.ndarray:
    """Return a mean field, without negative entries and with the sum 1 if numpy would refuse to draw from it."""
    if mean_field.min() >= 0.0 and abs(mean_field.sum() - 1.0) <= 1e-12:
        return mean_field
    return np.asarray(np.maximum(mean_field, 0.0) / np.maximum(mean_field, 0.0).sum())


@accepts()
def initial_population(
    game: Game, n_agents: int, rng: np.random.Generator, *, mean_field: np.ndarray | None = None
) -> Population:
    """Draw the states of N agents independently from a mean field; the tagged agent's first action is uniform.

    Parameters
    ----------
    game : Game
    n_agents : int
        N, from 2 to 10^15.
    rng : numpy.random.Generator
    mean_field : ndarray, shape (S,), optional
        Uniform by default.

    Returns
    -------
    Population
    """
    size = game.n_states
    law = np.full(size, 1.0 / size) if mean_field is None else _law(mean_field)
    others = rng.multinomial(check_n_agents(n_agents) - 1, law).astype(np.int64)
    tagged = np.array([rng.choice(size, p=law), rng.integers(game.n_actions)], dtype=np.int64)
    return Population(others, tagged, random_stream(rng))


@accepts()
def ergodic_averages(
    game: MeanFieldGame,
    policy: np.ndarray,
    n_agents: int,
    *,
    n_steps: int,
    rng: np.random.Generator,
    n_burn_in: int,
    centre: np.ndarray,
    next_moments: bool = False,
) -> ErgodicAverages:
    """Average over one trajectory of the N-agent game in which everybody plays `policy`.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    n_agents : int
        N, from 2 to 10^15.
    n_steps : int
        Length of the averaged part of the trajectory.
    rng : numpy.random.Generator
    n_burn_in : int
        Steps before it.
    centre : ndarray, shape (S,)
        The mean field to start from and to measure the deviation against.
    next_moments : bool
        Also average what `populations.control_variates` takes, by S^3 operations a step. The trajectory stays the same.

    Returns
    -------
    ErgodicAverages

    Examples
    --------
    >>> from pma_mfg import equilibrium, games, regularizers, seeds
    >>> game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    >>> nash = equilibrium.solve(game, regularizers.Entropy(0.1))
    >>> rng = seeds.generator(0, "example")
    >>> averages = ergodic_averages(
    ...     game, nash.policy, 10_000, n_steps=1000, rng=rng, n_burn_in=10, centre=nash.mean_field
    ... )
    >>> bool(averages.deviation < 0.05)  # of order 1 / sqrt(N)
    True
    """
    tables, shared = game_tables(game), policy_tables(game, policy, None, n_agents=check_n_agents(n_agents))
    counts = rng.multinomial(check_n_agents(n_agents), _law(centre)).astype(np.int64)
    stream, centre = random_stream(rng), _floats(centre)
    families = (game.transition_features, game.reward_features)
    expansions = [(_floats(of.values(centre)), _floats(to_dense(of.gradients(centre)))) for of in families]

    def run(n_steps: int) -> tuple[np.ndarray, ...]:
        sums = (
            np.zeros(1),
            np.zeros(game.n_states),
            np.zeros((game.n_states, game.n_states)),
            np.zeros((game.n_states, len(game.transition_features.links))),
            np.zeros((game.n_states, len(game.reward_features.links))),
            np.zeros((game.n_states, game.n_states) if next_moments else (0, 0)),
        )
        for begin, end in chunks(0, n_steps, step_entries(shared) + game.n_states**2):
            exchangeable_kernels.average(
                stream, counts, tables, shared, end - begin, centre, expansions[0], expansions[1], *sums
            )
        return sums

    run(n_burn_in)
    deviation, visits, second_moments, transition_sums, reward_sums, coming = (x / n_steps for x in run(n_steps))
    # E[mu(s) x] = c(s) E[x] + E[x(s) x]
    moves = np.outer(centre, visits - centre) + second_moments
    share = np.where(visits > 0.0, visits, np.nan)[:, None]
    averages = [
        values + (moves @ gradients.T + sums) / share
        for (values, gradients), sums in zip(expansions, (transition_sums, reward_sums), strict=True)
    ]
    return ErgodicAverages(
        deviation=float(deviation[0]),
        mean_field=visits,
        transition_features=averages[0],
        reward_features=averages[1],
        second_moments=second_moments,
        transition_remainders=transition_sums,
        reward_remainders=reward_sums,
        next_moments=coming,
    )
