"""What one of N agents gains by leaving a policy that all others keep, exactly, on the lattice of counts.

See docs/theory, section 9.8. The deviator sees its own state and the counts of the others, and then has a decision
process with S C(N + S - 2, S - 1) states; or its own state only, as in the paper, and then its policies are those of
the mean field game. Cost: as `finite_population`, a dozen applications of the chain for each step of policy iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pma_mfg import solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations import finite_population, lattice
from pma_mfg.populations.counts import averaged_kernels
from pma_mfg.populations.finite_population import StationaryCounts
from pma_mfg.regularizers import Regularizer

SOURCE = "deviators"

#: Accuracy of the gain, relative to the deviator's largest gain at a state, or to its mean gain if it sees its own
#: state only.
GAP_ACCURACY = 1e-9

#: Rounding of the deviator's values, relative to the largest.
ROUNDING = 1e-13

#: Rounding of a mean improvement, a sum of terms of the size of values, relative to the largest of them.
IMPROVEMENT_ROUNDING = 2e-15

#: For a deviator who sees its own state only: the shortest step of policy iteration, and the remaining gain, relative
#: to the whole, that is accepted where no step improves. Without a regularizer the best policy may be mixed, and is
#: approached in short steps.
SHORTEST, LEFT = 1e-9, 1e-6

#: Accuracy of the deviator's values, relative to its rewards.
VALUE_ACCURACY = 1e-13

#: What a deviator sees beside its own state: the counts of the others, or nothing.
Sees = Literal["counts", "state"]


@accepts()
def indifferent_game(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer) -> MeanFieldGame:
    """Return the game in which h is paid out as a reward, linearized at a regularized equilibrium.

    R(s,a,mu) + h(pi(s)) + d_a h(pi(s)) - <pi(s), grad h(pi(s))>: without a regularizer the equilibrium's policy then
    has the value that it had, and all actions are equally good against it (docs/theory, Proposition 9.7).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
        Positive.
    regularizer : Regularizer

    Returns
    -------
    MeanFieldGame
    """
    game = game.dense(SOURCE)
    slope = regularizer.gradient(policy)
    bonus = (regularizer.value(policy) - (policy * slope).sum(axis=1))[:, None] + slope
    return replace(game, base_reward=game.base_reward + bonus, planted=None)


@accepts()
def nash_gap(
    game: MeanFieldGame,
    policy: np.ndarray,
    n_agents: int,
    *,
    regularizer: Regularizer | None = None,
    sees: Sees = "counts",
) -> float:
    """Return what one of N agents gains by leaving a policy that all others keep (docs/theory, section 9.8).

    The gain E[V^u(s, n) - V^pi(s, n)] of the best policy u, over the stationary law of the game in which nobody
    deviates. A deviator who sees its own state s and the counts n of the others gains at least as much as one who sees
    its own state only, as the paper's agents do.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        As in `finite_population.stationary_counts`.
    regularizer : Regularizer, optional
        If given, both values include h of the deviator's own policy.
    sees : {"counts", "state"}
        With "state" the policies u have the shape (S, A), and the gain is that of a local maximum found by policy
        iteration from the policy itself; for large N with a regularizer it is the only one.

    Returns
    -------
    float
        >= 0 up to rounding; too small by at most `GAP_ACCURACY` times the largest gain at a state, plus what the mass
        outside the points kept could add. With "state" what is left to gain from there is estimated, by its slope, at
        `GAP_ACCURACY` of the gain, and at most `LEFT` of it.

    Raises
    ------
    InputError
        As `finite_population.stationary_counts`.
    ConvergenceError
        If policy iteration does not settle.

    Examples
    --------
    >>> from pma_mfg import games
    >>> from pma_mfg.regularizers import Entropy
    >>> game = games.make("planted_smooth", n_states=2, n_actions=2, discount=0.8, seed=3, strength=0.1)
    >>> for sees in ("counts", "state"):
    ...     gains = [nash_gap(game, game.planted.policy, n, regularizer=Entropy(0.1), sees=sees) for n in (20, 40)]
    ...     print(sees, round(gains[0] / gains[1], 1))
    counts 2.1
    state 4.0
    """
    among = others(game, policy, finite_population.stationary_counts(game, policy, n_agents))
    return nash_gaps(game, policy, among, regularizers=[regularizer], sees=sees)[0]


@accepts()
def nash_gaps(
    game: MeanFieldGame,
    policy: np.ndarray,
    among: Others,
    *,
    regularizers: Sequence[Regularizer | None],
    sees: Sees = "counts",
) -> list[float]:
    """Return `nash_gap` with each of some regularizers, among others whose moves are computed once.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    among : Others
        Of `others`, with this policy, and this game or one that differs from it in base rewards alone.
    regularizers : sequence of Regularizer or None
    sees : {"counts", "state"}
        As in `nash_gap`.

    Returns
    -------
    list of float

    Raises
    ------
    InputError
        If `sees` is neither.
    ConvergenceError
        As `nash_gap`.
    """
    if sees not in ("counts", "state"):
        raise InputError(SOURCE, "sees", sees, '"counts" or "state"')
    process, gain = _process(game.dense(SOURCE), among), _gain_of_counts if sees == "counts" else _gain_of_state
    return [gain(replace(process, regularizer=regularizer), policy) for regularizer in regularizers]


@accepts()
def n_applications(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, *, regularizer: Regularizer | None, sees: Sees
) -> int:
    """Return how often `nash_gap` applies the chain of a deviator's decision process, of which nearly all its time is.

    The number hardly depends on N, so that a small N tells what a large one costs.

    Parameters
    ----------
    game, policy, n_agents, regularizer, sees
        As in `nash_gap`.

    Returns
    -------
    int
    """
    count = 0
    among = others(game, policy, finite_population.stationary_counts(game, policy, n_agents))

    def counted() -> Iterator[tuple[slice, np.ndarray]]:
        nonlocal count
        count += 1
        return among.blocks()

    nash_gaps(game, policy, replace(among, blocks=counted), regularizers=[regularizer], sees=sees)
    return count


@dataclass(frozen=True)
class Others:
    """What a deviator of any kind meets, whatever its rewards: its own state s and the counts n of the others.

    Parameters
    ----------
    fields : ndarray, shape (S, D, S)
        The mean fields that the deviator sees from each of its states, at D counts of the others.
    blocks : callable
        Yields the others' moves, block by block of the S D pairs (s, n).
    kept : ndarray, shape (S D, 1)
        Of each pair, the probability that the others' next counts are among the D.
    start : ndarray, shape (S, D)
        The stationary law if nobody deviates.
    """

    fields: np.ndarray
    blocks: Callable[[], Iterator[tuple[slice, np.ndarray]]]
    kept: np.ndarray
    start: np.ndarray


@accepts()
def others(game: MeanFieldGame, policy: np.ndarray, law: StationaryCounts) -> Others:
    """Return how the others move among whom one agent deviates, for `nash_gaps` of several games, kinds, regularizers.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    law : StationaryCounts
        Of `finite_population.stationary_counts`, with this game and policy.

    Returns
    -------
    Others
    """
    game, n_agents = game.dense(SOURCE), int(law.counts[0].sum())
    points = lattice.points(n_agents - 1, game.n_states)
    columns = np.flatnonzero(finite_population.distances_of(game, policy, points)[0] <= law.radius)
    counts, kernels = points[columns], averaged_kernels(game, policy)
    fields = (counts + np.eye(game.n_states, dtype=np.int64)[:, None]) / n_agents
    blocks = finite_population.row_blocks(
        np.tile(counts, (game.n_states, 1)),
        lambda part: kernels(fields.reshape(-1, game.n_states)[part]),
        lattice.Rows(points, columns),
    )
    kept = np.concatenate([block.sum(axis=1, keepdims=True) for _, block in blocks()])
    return Others(fields, blocks, kept, _of_tagged(law, points, columns))


@dataclass(frozen=True)
class _Process:
    """The decision process of a deviator who sees its own state s and the counts n of the others, at D points.

    Parameters
    ----------
    moves : ndarray, shape (S, D, A, S)
        P(s'|s,a,mu_hat).
    reward : ndarray, shape (S, D, A)
    among : Others
    discount : float
    regularizer : Regularizer or None
    """

    moves: np.ndarray
    reward: np.ndarray
    among: Others
    discount: float
    regularizer: Regularizer | None = None

    @property
    def start(self) -> np.ndarray:
        """The stationary law if nobody deviates, shape (S, D)."""
        return self.among.start

    def next_values(self, values: np.ndarray) -> np.ndarray:
        """Return E[V(s', n') | s, n, a] of values (S, D), shape (S, D, A)."""
        averaged = np.empty((values.size, len(values)))
        for part, block in self.among.blocks():
            averaged[part] = block @ values.T
        averaged /= self.among.kept
        return np.asarray((self.moves @ averaged.reshape(*values.shape, len(values))[..., None])[..., 0])

    def value_of(self, actions: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """Return the discounted sum of a gain (S, D) for a deviator who draws actions from (S, D, A)."""

        def apply(values: np.ndarray) -> np.ndarray:
            expected = (actions * self.next_values(values.reshape(gain.shape))).sum(axis=2)
            return np.asarray(values - self.discount * expected.ravel())

        return solvers.krylov_solve(apply, gain.ravel(), VALUE_ACCURACY).reshape(gain.shape)

    def occupation(self, actions: np.ndarray) -> np.ndarray:
        """Return the discounted time at each point of a deviator who draws actions from (S, D, A), shape (S, D)."""
        ends = np.einsum("sna,snay->sny", actions, self.moves)

        def apply(flat: np.ndarray) -> np.ndarray:
            leaving = (flat.reshape(self.start.shape)[..., None] * ends).reshape(flat.size, -1)
            arriving: np.ndarray = np.zeros_like(self.start)
            leaving /= self.among.kept
            for part, block in self.among.blocks():
                arriving += leaving[part].T @ block
            return np.asarray(flat - self.discount * arriving.ravel())

        return solvers.krylov_solve(apply, self.start.ravel(), VALUE_ACCURACY).reshape(self.start.shape)

    def h(self, actions: np.ndarray) -> np.ndarray:
        """Return the regularizer of policies (..., A), zero without one."""
        return np.zeros(actions.shape[:-1]) if self.regularizer is None else self.regularizer.value(actions)

    def best_response(self, merits: np.ndarray) -> np.ndarray:
        """Return the best policies (..., A) against merits of this shape."""
        if self.regularizer is None:
            return np.asarray(np.eye(merits.shape[-1])[merits.argmax(axis=-1)])
        return self.regularizer.best_response(merits)


def _process(game: MeanFieldGame, among: Others) -> _Process:
    pairs = [finite_population.tables_of_state(game, fields, s) for s, fields in enumerate(among.fields)]
    moves, reward = (np.stack(tables) for tables in zip(*pairs, strict=True))
    return _Process(moves, reward, among, game.discount)


def _held(process: _Process, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (S, D) and the Q-function (S, D, A) of a deviator who keeps the policy."""
    kept = np.broadcast_to(policy[:, None], process.reward.shape)
    held = process.value_of(kept, (kept * process.reward).sum(axis=2) + process.h(kept))
    return held, process.reward + process.discount * process.next_values(held)


def _gain_of_counts(process: _Process, policy: np.ndarray) -> float:
    held, q = _held(process, policy)
    gain, history = np.zeros_like(held), []
    for _ in range(100):
        # of the gains alone, not of the values: nothing is lost to cancellation
        merits = q + process.discount * process.next_values(gain)
        actions = process.best_response(merits)
        improvement = (actions * merits).sum(axis=2) + process.h(actions) - held - gain
        history.append(float(improvement.max()) / (1.0 - process.discount))
        if history[-1] <= GAP_ACCURACY * float(gain.max()) + ROUNDING * float(np.abs(held).max()):
            return float((process.start * gain).sum())
        gain = process.value_of(actions, (actions * q).sum(axis=2) + process.h(actions) - held)
    raise ConvergenceError("deviators.nash_gap: policy iteration did not settle", history)


def _gain_of_state(process: _Process, policy: np.ndarray) -> float:
    held, q = _held(process, policy)

    def gains_of(own: np.ndarray) -> np.ndarray:
        actions = np.broadcast_to(own[:, None], q.shape)
        return process.value_of(actions, (actions * q).sum(axis=2) + process.h(actions) - held)

    own, gains, total, history = policy, np.zeros_like(held), 0.0, []
    for _ in range(100):
        # the merits of actions, averaged over the counts that the deviator meets in each of its states
        time = process.occupation(np.broadcast_to(own[:, None], q.shape))
        merits = q + process.discount * process.next_values(gains)
        averaged = (time[..., None] * merits).sum(axis=1) / time.sum(axis=1)[:, None]
        best = process.best_response(averaged)
        improvement = ((best - own) * averaged).sum(axis=1) + process.h(best) - process.h(own)
        # the slope of the gain towards the best response is at least this
        history.append(float(time.sum(axis=1) @ improvement))
        if history[-1] <= GAP_ACCURACY * total + IMPROVEMENT_ROUNDING * float(np.abs(held).max()):
            return total
        share, found = 1.0, -np.inf
        while share >= SHORTEST and not found > total:
            tried = own + share * (best - own)
            tried_gains = gains_of(tried)
            found, share = float((process.start * tried_gains).sum()), 0.5 * share
        if not found > total:
            if history[-1] <= LEFT * total:
                return total
            break
        own, gains, total = tried, tried_gains, found
    raise ConvergenceError("deviators.nash_gap: policy iteration on the own state did not settle", history)


def _of_tagged(law: StationaryCounts, points: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the stationary law of an agent's state and the counts of the others, shape (S, D)."""
    n_agents, n_states = int(law.counts[0].sum()), law.counts.shape[1]
    whole = np.zeros(lattice.n_points(n_agents, n_states))
    whole[law.indices] = law.probabilities
    # the counts of one agent less are a prefix of the lattice: with the agent in state 0 the place is the same
    below = lattice.points_below(lattice.points(n_agents, n_states))
    above = np.empty((len(points), n_states), dtype=np.int64)
    above[:, 0] = np.arange(len(points))
    for y in range(n_states - 1):
        some = np.flatnonzero(below[:, y] < len(below))
        above[below[some, y], y + 1] = some
    joint = whole[above[columns]] * (points[columns] + 1) / n_agents
    return np.asarray(joint.T / joint.sum())
