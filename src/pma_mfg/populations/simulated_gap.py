"""What a deviator gains, simulated: for populations that are too large for the lattice of counts.

See docs/theory, section 9.10. The deviator looks one step ahead exactly and from then on to first order in the
population, which is the best it can do up to a higher order. Its gain is estimated without bias but for a cut horizon,
and the control variates make the noise as small as the gain itself: at an equilibrium of a smooth game the relative
precision does not depend on the number of agents. Cost: replicates x horizon x one step of all counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pma_mfg import equilibrium, operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import Description, InputError
from pma_mfg.games.model import MeanFieldGame, check_n_agents
from pma_mfg.populations import fluctuations, gap_constants
from pma_mfg.populations.counts import averaged_kernels
from pma_mfg.populations.finite_population import tables_of_state
from pma_mfg.regularizers import Regularizer

SOURCE = "simulated_gap"

Kernels = Callable[[np.ndarray], np.ndarray]

#: Relative size of what is neglected of the discounted sum after its last step, and of the initial fluctuations after
#: the burn-in.
LEFT_OUT = 1e-3

#: Entries of kernels that are computed for all replicates and steps together: some seconds.
WORK = 5 * 10**7

#: Fewest and most replicates; with fewer of them an interval would not cover as often as it says.
REPLICATES = (100, 2000)

#: Probability that an interval covers the value.
CONFIDENCE = 0.95

#: Largest number of states for which the gradient of the value is found, a linear system in S^2 unknowns.
GRADIENT_STATES = 50

#: Largest number of steps before the gains are counted, in which the fluctuations become stationary.
LONGEST_BURN_IN = 10_000


@dataclass(frozen=True, eq=False)
class SimulatedGap:
    """The gain of one deviator among N agents, estimated.

    Parameters
    ----------
    gain, half_width : ndarray, shape (H,)
        For each regularizer, the mean and half the width of its interval of confidence `CONFIDENCE`.
    mean_field : ndarray, shape (S,)
        The mean of the shares of the agents in each state while nobody deviates.
    deviations : ndarray, shape (S,)
        Their standard deviations.
    n_replicates : int
    """

    gain: np.ndarray
    half_width: np.ndarray
    mean_field: np.ndarray
    deviations: np.ndarray
    n_replicates: int


@dataclass(frozen=True, eq=False)
class _Value:
    """What an agent expects: V(s) + <G_s, mu_hat - mu_pi>, with the regularizer's h or without."""

    regularizer: Regularizer | None
    value: np.ndarray
    gradient: np.ndarray
    centre: np.ndarray

    def at(self, fields: np.ndarray) -> np.ndarray:
        """Return it for every state at mean fields (M, S), shape (M, S)."""
        return np.asarray(self.value + (fields - self.centre) @ self.gradient.T)

    def next(self, flow: np.ndarray, n_agents: int) -> np.ndarray:
        """Return it after a step to each state, the others at the counts `flow` (M, S) in the mean, shape (M, S)."""
        return np.asarray(self.at(flow / n_agents) + np.diag(self.gradient) / n_agents)

    def h(self, actions: np.ndarray) -> np.ndarray:
        return np.zeros(actions.shape[:-1]) if self.regularizer is None else self.regularizer.value(actions)


@accepts()
def simulated_gap(
    game: MeanFieldGame,
    policy: np.ndarray,
    n_agents: int,
    *,
    regularizers: Sequence[Regularizer | None],
    rng: np.random.Generator,
) -> SimulatedGap:
    """Estimate what one of N agents gains by leaving a policy that all others keep (docs/theory, section 9.10).

    The deviator sees its own state and the counts of the others, as in `deviators.nash_gap`, and plays the best
    response to what it expects one step ahead. The best deviator gains as much or more.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        N, from 2 to 10^15.
    regularizers : sequence of Regularizer or None
        The gain is estimated with each; all see the same populations at the start.
    rng : numpy.random.Generator

    Returns
    -------
    SimulatedGap

    Raises
    ------
    InputError
        If fluctuations of the population do not settle within `LONGEST_BURN_IN` steps, if there are more than
        `GRADIENT_STATES` states, or if the game is so large, or gamma so close to 1, that `WORK` does not suffice for
        the fewest replicates.
    """
    game, n_agents = game.dense(SOURCE), check_n_agents(n_agents)
    centre = operators.stable_population(game, policy)
    burn_in, horizon, replicates = _lengths(game, policy, centre)
    jacobian = fluctuations.tangent_jacobian(game, centre, policy)
    kernels = averaged_kernels(game, policy)
    # of the last agent of a step the states of all others are known; a multinomial takes rows that sum to 1 or less
    counts = rng.multinomial(n_agents, centre / centre.sum(), size=replicates)
    for _ in range(burn_in):
        counts = _moved(counts, kernels(counts / n_agents), rng)
    shares = counts / n_agents
    rows, start = kernels(shares), _drawn(shares, rng)
    sums = []
    for regularizer in regularizers:
        kept, best = _values(game, policy, centre, regularizer=regularizer, jacobian=jacobian)
        # V* - V^pi as both are expected, and what the expectations miss: along the way, and of the policy on average
        first = (shares * (best.at(shares) - kept.at(shares))).sum(axis=1)
        held = np.zeros(replicates)
        for s in range(game.n_states):
            some = counts[:, s] > 0
            others = counts[some] - (np.arange(game.n_states) == s)
            ahead = kept.next(np.einsum("mz,mzy->my", others, rows[some]), n_agents)
            q = _ahead(game, shares[some], s, ahead=ahead)[1]
            held[some] += shares[some, s] * (q @ policy[s] + kept.h(policy[s]) - kept.at(shares[some])[:, s])
        along = _along(game, best, counts, start, kernels=kernels, horizon=horizon, rng=rng)
        sums.append(first + along - held / (1.0 - game.discount))
    gains = np.array(sums)
    quantile = float(ndtri(0.5 + 0.5 * CONFIDENCE))
    return SimulatedGap(
        gain=gains.mean(axis=1),
        half_width=quantile * gains.std(axis=1, ddof=1) / np.sqrt(replicates),
        mean_field=shares.mean(axis=0),
        deviations=shares.std(axis=0, ddof=1),
        n_replicates=replicates,
    )


def _lengths(game: MeanFieldGame, policy: np.ndarray, centre: np.ndarray) -> tuple[int, int, int]:
    """Return how long fluctuations take to settle, how long gains count, and how many replicates `WORK` is enough for.

    Raises
    ------
    InputError
        As `simulated_gap`.
    """
    size = game.n_states
    if size > GRADIENT_STATES:
        raise InputError(SOURCE, "n_states", size, f"at most {GRADIENT_STATES}")
    radius = float(np.abs(np.linalg.eigvals(fluctuations.tangent_jacobian(game, centre, policy))).max())
    if not radius < 1.0 or (burn_in := _steps_to_forget(radius)) > LONGEST_BURN_IN:
        longest = f"below 1, so that fluctuations settle within {LONGEST_BURN_IN} steps"
        raise InputError(SOURCE, "spectral radius of the population update", radius, longest)
    horizon = _steps_to_forget(game.discount)
    replicates = WORK // ((burn_in + 2 * horizon) * size**2)
    if replicates < REPLICATES[0]:
        shown = Description(f"{size} states, horizon {horizon}, {burn_in} steps before it")
        raise InputError(SOURCE, "game", shown, f"less to simulate: {REPLICATES[0]} replicates of {WORK:.0e} entries")
    return burn_in, horizon, min(replicates, REPLICATES[1])


def _steps_to_forget(rate: float) -> int:
    """Return the number of steps after which a quantity that shrinks at this rate is at `LEFT_OUT` of itself."""
    return 1 if rate <= LEFT_OUT else int(np.ceil(np.log(LEFT_OUT) / np.log(rate)))


def _values(
    game: MeanFieldGame,
    policy: np.ndarray,
    centre: np.ndarray,
    *,
    regularizer: Regularizer | None,
    jacobian: np.ndarray,
) -> tuple[_Value, _Value]:
    """Return what an agent expects who keeps the policy, and one who plays the best response to the mean field."""
    transition, reward = game.transition(centre), game.reward(centre)
    found = []
    for played in (policy, equilibrium.best_response(transition, reward, game.discount, regularizer=regularizer)):
        q = operators.q_of_decision_process(transition, reward, game.discount, policy=played, regularizer=regularizer)
        value = (played * q).sum(axis=1) + (0.0 if regularizer is None else regularizer.value(played))
        gradient = gap_constants.value_gradient(game, played, centre, value=value, jacobian=jacobian)[1]
        found.append(_Value(regularizer, value, gradient, centre))
    return found[0], found[1]


def _ahead(game: MeanFieldGame, fields: np.ndarray, state: int, *, ahead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return moves (M, A, S) and Q (M, A) of an agent in a state who expects `ahead`, (M, S), after a step."""
    moves, reward = tables_of_state(game, fields, state)
    return moves, np.asarray(reward + game.discount * (moves @ ahead[:, :, None])[:, :, 0])


def _along(
    game: MeanFieldGame,
    best: _Value,
    counts: np.ndarray,
    states: np.ndarray,
    *,
    kernels: Kernels,
    horizon: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the discounted sum of what a deviator gains beyond its expectations, for each replicate, (M,)."""
    n_agents, replicates = int(counts[0].sum()), np.arange(len(counts))
    others, total, weight = counts.copy(), np.zeros(len(counts)), 1.0
    others[replicates, states] -= 1
    for _ in range(horizon):
        present = others.copy()
        present[replicates, states] += 1
        fields = present / n_agents
        rows = kernels(fields)
        ahead = best.next(np.einsum("mz,mzy->my", others, rows), n_agents)
        expected, following = best.at(fields)[replicates, states], states.copy()
        for s in np.unique(states):
            some = states == s
            moves, q = _ahead(game, fields[some], s, ahead=ahead[some])
            if best.regularizer is None:
                actions = np.eye(game.n_actions)[q.argmax(axis=1)]
            else:
                actions = best.regularizer.best_response(q)
            total[some] += weight * ((actions * q).sum(axis=1) + best.h(actions) - expected[some])
            following[some] = _drawn(np.einsum("ma,may->my", actions, moves), rng)
        others, states, weight = _moved(others, rows, rng), following, weight * game.discount
    return total


def _moved(counts: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return counts (M, S) after every agent has drawn its next state from the rows (M, S, S)."""
    rows = np.maximum(rows, 0.0)
    rows /= rows.sum(axis=2, keepdims=True)
    return np.asarray(rng.multinomial(counts, rows).sum(axis=1))


def _drawn(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a draw from each row of probabilities."""
    sums = rows.cumsum(axis=1)
    drawn = (sums <= rng.random((len(rows), 1)) * sums[:, -1:]).sum(axis=1)
    return np.asarray(np.minimum(drawn, rows.shape[1] - 1))
