"""Independent learning (Algorithm 3): N agents, each with a policy and a Q-function of its own, on one trajectory.

What Python calls, and the state of a run; compiled code is in `simulation.agent_kernels`, the loop over epochs in
`learning.algorithms.independent`, statements in docs/theory, section 10.8. A step costs some 10 ns per
agent, and an agent some 30 S A bytes: a million agents with ten states and five actions fit into 2 GiB.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np

from pma_mfg import operators, regularizers
from pma_mfg.arrays import accepts, contiguous
from pma_mfg.errors import Description, InputError
from pma_mfg.games.features import Features, to_dense
from pma_mfg.games.functions import FunctionGame, Game
from pma_mfg.games.model import MOST_PAIRS, MeanFieldGame, check_n_agents
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import agent_kernels, alias_kernels
from pma_mfg.simulation.exchangeable import Tables, feature_tables

#: Agents that are moved, plus entries of tables that are read, in one call of a kernel. A call takes some tenths of a
#: second: Python sees Ctrl-C only between two calls.
CHUNK = 2**25

#: Entries S A S of P from which, and entries at all vertices up to which, next states can be drawn by composition.
#: Below, tables are written in some microseconds; above, those of the vertices take more than 64 MiB.
COMPOSED = 2**12, 2**23

#: Probability of a draw at a vertex below which there is none: some hundredth of what the rounding of tables changes.
UNCHANGED = 2.0**-40

#: Agents whose policies are held in memory as floating-point numbers at a time.
SLICE = 2**15

#: From the index of a step, or of a replicate, to its mean field, shape (S,).
MeanFieldAt = Callable[[int], np.ndarray]

#: What `table_spans` returns.
TableSpans = Callable[[int, int, MeanFieldAt], Iterator[tuple[Tables, int, int]]]


@dataclass
class Agents:
    """State of a run of independent learning: everything that is needed to go on from here.

    Parameters
    ----------
    states : ndarray of uint16, shape (N,)
    pairs : ndarray of uint16, shape (N,)
        The pair s A + a whose transition is learnt from next.
    thresholds : ndarray of uint16, shape (2, N, S, A - 1)
        Policies, as cumulated probabilities in units of 2^-31: u and l of u 2^15 + l, each at its own place, since most
        steps need u only (`cumulated`).
    generators : ndarray of uint64, shape (B, 4)
        State of xoshiro256++ for each block of agents.
    q : ndarray, shape (N, S, A)
    values : ndarray, shape (N, S)
        h(pi^i(s)).
    reward : ndarray, shape (S, A)
        Rewards at the mean field of the recorded pairs.
    progress : ndarray of int64, shape (2,)
        Finished epochs, and steps of the present one.
    """

    states: np.ndarray
    pairs: np.ndarray
    thresholds: np.ndarray
    generators: np.ndarray
    q: np.ndarray
    values: np.ndarray
    reward: np.ndarray
    progress: np.ndarray

    def policies(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return the policies of the agents first, ..., last - 1 (all by default), shape (n, S, A)."""
        upper, lower = self.thresholds[:, first:last].astype(float)
        ends = upper * agent_kernels.LOWER + lower
        whole = float(agent_kernels.UNITS)
        return np.asarray(np.diff(ends, axis=2, prepend=0.0, append=whole) / whole)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fields, to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Agents:
        """Return the agents that `arrays` described; other entries are ignored."""
        return cls(**{field.name: arrays[field.name].copy() for field in fields(cls)})


@accepts(start="policies")
def initial_agents(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
) -> Agents:
    """Draw the states of N agents uniformly and give them their first policies.

    Parameters
    ----------
    game : Game
        S A at most `games.model.MOST_PAIRS`.
    n_agents : int
        N >= 2.
    regularizer : Regularizer
    rng : numpy.random.Generator
        Also seeds the agents' own generators; not used afterwards.
    start : ndarray, shape (S, A) or (N, S, A), optional
        Uniform by default. Rounded to multiples of 2^-31.

    Returns
    -------
    Agents

    Raises
    ------
    InputError
        For another shape, or too large a game.
    """
    n_agents, shape = check_n_agents(n_agents), (game.n_states, game.n_actions)
    if game.n_states * game.n_actions > MOST_PAIRS:
        raise InputError("agents", "game", Description(f"{shape[0]} x {shape[1]} pairs"), f"at most {MOST_PAIRS} pairs")
    policy = operators.uniform_policy(game) if start is None else start
    if policy.shape not in (shape, (n_agents, *shape)):
        raise InputError("agents", "start", Description(f"shape {policy.shape}"), f"shape {shape}, or one per agent")
    n_blocks = -(-n_agents // agent_kernels.BLOCK)
    agents = Agents(
        states=rng.integers(game.n_states, size=n_agents, dtype=np.uint16),
        pairs=np.zeros(n_agents, dtype=np.uint16),
        thresholds=np.empty((2, n_agents, shape[0], shape[1] - 1), dtype=np.uint16),
        generators=rng.integers(2**64, size=(n_blocks, 4), dtype=np.uint64),
        q=np.zeros((n_agents, *shape)),
        values=np.empty((n_agents, shape[0])),
        reward=np.zeros(shape),
        progress=np.zeros(2, dtype=np.int64),
    )
    for first in range(0, n_agents, SLICE):
        rows = slice(first, first + SLICE)
        agents.thresholds[:, rows] = cumulated(policy[rows] if policy.ndim == 3 else policy[np.newaxis])
        agents.values[rows] = regularizer.value(agents.policies(first, first + SLICE))
    return agents


def cumulated(policies: np.ndarray) -> np.ndarray:
    """Return the cumulated probabilities, rounded to units of 2^-31, as u and l of u 2^15 + l: (2, ..., A - 1)."""
    ends = np.cumsum(policies, axis=-1)
    units = np.rint(ends / ends[..., -1:] * agent_kernels.UNITS)[..., :-1]
    upper = np.minimum(units // agent_kernels.LOWER, agent_kernels.LAST_UPPER)
    return np.stack([upper, units - upper * agent_kernels.LOWER]).astype(np.uint16)


def frozen_tables(game: FunctionGame, mean_field: np.ndarray) -> Tables:
    """Return a game at one mean field in the form of `dense_tables`: P, R, and no features."""
    none = feature_tables(Features.none(game.n_states))
    transition, reward = contiguous(game.transition(mean_field)), contiguous(game.reward(mean_field))
    return transition, np.zeros((0, *transition.shape)), none, reward, np.zeros((0, *reward.shape)), none


def dense_tables(game: MeanFieldGame, source: str = "agents") -> Tables:
    """Return a game in the form that kernels take, of the type `simulation.links.DENSE_GAME`.

    Parameters
    ----------
    game : MeanFieldGame
    source : str
        For messages.

    Returns
    -------
    tuple
        P0, P_k, their features, R0, R_l, their features.

    Raises
    ------
    InputError
        For a sparse game that is too large to be stored dense.
    """
    game = game.dense(source)
    transition = contiguous(game.base_transition), contiguous(game.transition_terms)
    reward = contiguous(game.base_reward), contiguous(game.reward_terms)
    return *transition, feature_tables(game.transition_features), *reward, feature_tables(game.reward_features)


def composed(game: Game, n_agents: int) -> bool:
    """Return whether next states are drawn from the tables of `composition`.

    That depends on the game and the number of agents only, so that a run is the same on every machine. Agents take some
    2 ns longer each, and in place of that the tables of P(mu) would be written at each step: S A S laws of K terms.
    """
    if not game.has_features:
        return False
    entries, links = game.n_states**2 * game.n_actions, game.transition_features.links
    affine = len(links) > 0 and not links.any()  # the identity has the code 0
    large = COMPOSED[0] <= entries and entries * game.n_states <= COMPOSED[1]
    large = large and game.n_states * (game.n_actions + 1) <= MOST_PAIRS  # S + a pair has 16 bits while agents wait
    return bool(affine and large and 25 * n_agents <= entries * (len(links) + 100))


def composition(game: MeanFieldGame) -> tuple[np.ndarray, np.ndarray]:
    """Return the alias tables by which next states are drawn without P(mu).

    Where transitions are affine in the mean field, P(.|s,a,mu) = m(.|s,a) + sum_z mu(z) (P(.|s,a,e_z) - m(.|s,a)),
    where m(y|s,a) is the least P(y|s,a,e_z): a mixture of laws that do not change with mu (docs/theory, section 10.8).

    Parameters
    ----------
    game : MeanFieldGame
        With identity links in the transitions.

    Returns
    -------
    pairs : ndarray of uint64, shape (S A, S + 1)
        Next states by m, and the outcome S for a draw at a vertex.
    vertices : ndarray of uint64, shape (S A S, S)
        What is left at the vertex z, of the pair s A + a at (s A + a) S + z.
    """
    base, terms, *_ = dense_tables(game)
    size, features = game.n_states, game.transition_features
    phi = to_dense(features.weights).T + features.offsets
    laws = (base.ravel() + phi @ terms.reshape(len(terms), -1)).reshape(size, -1, size)
    common = np.maximum(laws.min(axis=0), 0.0)
    laws -= common
    own = contiguous(laws.swapaxes(0, 1))
    # rows sum to one at every vertex, so that this is the same for all of them, but for rounding
    rest = own.sum(axis=2).mean(axis=1, keepdims=True)
    unchanged = rest[:, 0] < UNCHANGED
    rest[unchanged] = 0.0
    own[unchanged] = 1.0  # some law, from which nothing is drawn
    pairs, vertices = (np.empty(shape, dtype=np.uint64) for shape in ((len(own), size + 1), (len(own) * size, size)))
    alias_kernels.alias_rows(np.concatenate([common, rest], axis=1), pairs)
    alias_kernels.alias_rows(own.reshape(vertices.shape), vertices)
    return pairs, vertices


def table_spans(game: Game, source: str = "agents") -> TableSpans:
    """Return for how many steps, or replicates, each tables of a game of either kind hold.

    Those of a game with features hold at every mean field, so that one call of a kernel serves all steps. Those of a
    game given by functions hold at one mean field, so that each step has tables, and a call of a kernel, of its own.

    Parameters
    ----------
    game : Game
    source : str
        As in `dense_tables`.

    Returns
    -------
    callable
        From `first`, `count` and a function that returns the mean field at an index: yields the tables of a span of the
        indices first, ..., first + count - 1, the first index of the span, and its length. The mean field of an index
        is asked for after the caller is done with the span before.

    Raises
    ------
    InputError
        As `dense_tables`.
    """
    if game.has_features:
        return functools.partial(_one_span, dense_tables(game, source))
    return functools.partial(_single_spans, game)


def _one_span(tables: Tables, first: int, count: int, mean_field_at: MeanFieldAt) -> Iterator[tuple[Tables, int, int]]:
    yield tables, first, count


def _single_spans(
    game: FunctionGame, first: int, count: int, mean_field_at: MeanFieldAt
) -> Iterator[tuple[Tables, int, int]]:
    for index in range(first, first + count):
        yield frozen_tables(game, mean_field_at(index)), index, 1


def steps_per_call(game: Game, agents: Agents) -> int:
    """Return after how many steps control comes back from compiled code: those that `CHUNK` allows, at least one."""
    entries = game.n_states * agents.reward.size
    if composed(game, len(agents.states)):
        entries = agents.reward.size
    elif game.has_features:
        entries *= 1 + len(game.transition_features.links)
    return max(1, CHUNK // (len(agents.states) + entries))


def advance(
    game: Game, agents: Agents, n_steps: int, *, n_waiting: int, scale: float, offset: float, threads: int = 1
) -> None:
    """Run some steps of an epoch, in place: the agents move, and learn by TD with the steps scale / (m + offset).

    Bitwise the same for any number of threads, and for any division of the steps into calls.

    Parameters
    ----------
    game : Game
    agents : Agents
    n_steps : int
    n_waiting : int
        M_mix.
    scale, offset : float
        c and m_0.
    threads : int
        They pay from some 10^4 agents on, where each has a processor: those that are done with a step wait for the
        others without sleeping.
    """
    n_blocks = len(agents.generators)
    spans, none = table_spans(game), np.zeros((0, 0), dtype=np.uint64)
    fixed = composition(game) if game.has_features and composed(game, len(agents.states)) else (none, none)
    threads = min(threads, n_blocks)
    ends, arrivals = np.linspace(0, n_blocks, threads + 1).astype(int), np.zeros(1, dtype=np.int64)
    counts = np.zeros((2, threads, game.n_states), dtype=np.int64)
    begin = int(agents.progress[1])
    counts[begin % 2, 0] = np.bincount(agents.states, minlength=game.n_states)
    moving, learners = walkers(agents), (agents.q, agents.values)
    parameters = (float(game.discount), n_waiting, float(scale), float(offset))

    def work(thread: int) -> np.ndarray:
        reward = agents.reward.copy()
        blocks = thread, int(ends[thread]), int(ends[thread + 1]), arrivals, counts, moving, learners
        try:
            for tables, t, length in spans(begin, n_steps, lambda t: counts[t % 2].sum(axis=0) / len(agents.states)):
                agent_kernels.run(t, length, *blocks, tables, fixed, reward, *parameters)
        except BaseException:
            arrivals[0] = -(2**62)  # the others are not to wait for this one
            raise
        return reward

    if threads == 1:
        rewards = [work(0)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            rewards = list(pool.map(work, range(threads)))
    agents.reward[:] = rewards[0]
    agents.progress[1] += n_steps


def walkers(agents: Agents) -> tuple[np.ndarray, ...]:
    """Return what kernels read and change of agents who move: `agent_kernels.WALKERS`."""
    return agents.states, agents.pairs, *agents.thresholds, agents.generators


def finish_epoch(
    game: Game,
    agents: Agents,
    regularizer: Regularizer,
    *,
    step_size: float,
    share: float,
    floor: float | None = None,
    threads: int = 1,
) -> None:
    """Make the last TD update of an epoch and give every agent Gamma_md^eta(Q^i, pi^i) as its next policy, in place.

    Parameters
    ----------
    game : Game
    agents : Agents
    regularizer : Regularizer
    step_size : float
        eta > 0.
    share : float
        Step of the last TD update. Its next action is drawn, and will not be played. With 0 there is none.
    floor : float, optional
        Restrict the policies to h(u) >= floor.
    threads : int
    """
    n_agents, n_states, _ = agents.q.shape
    unused = np.zeros((n_states * game.n_actions, n_states), dtype=np.uint64), np.zeros(n_states, dtype=np.int64)
    learners = (agents.q, agents.values)
    refused = np.zeros((n_agents, n_states), dtype=bool)
    known = regularizers.kind(regularizer)
    lowest = -np.inf if floor is None else floor

    def work(thread: int) -> None:
        blocks = np.linspace(0, len(agents.generators), threads + 1).astype(int)[[thread, thread + 1]]
        for block in range(*blocks.tolist()) if share else ():
            agent_kernels.learn_block(
                block,
                walkers(agents),
                learners,
                unused[0],
                agents.reward,
                float(game.discount),
                share,
                agent_kernels.UPDATE,
                unused[1],
            )
        first, last = (min(int(block) * agent_kernels.BLOCK, n_agents) for block in blocks)
        if known is not None:
            code, strength = 0 if known == "entropy" else 1, float(regularizer.strength)
            for low in range(first, last, SLICE):
                high = min(low + SLICE, last)
                agent_kernels.renew(
                    low, high, code, agents.thresholds, learners, strength, float(step_size), lowest, refused
                )
        else:
            refused[first:last] = True

    if threads == 1:
        work(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
    # where the floor binds, and for regularizers without compiled code
    for first in range(0, n_agents, SLICE):
        i, s = np.nonzero(refused[first : first + SLICE])
        if len(i):
            policies = agents.policies(first, first + SLICE)[i, s]
            u = regularizers.step(regularizer, agents.q[first + i, s], policies, step_size=step_size, floor=floor)
            agents.thresholds[:, first + i, s] = cumulated(u)
            agents.values[first + i, s] = regularizer.value(u)
    agents.progress[:] = agents.progress[0] + 1, 0
