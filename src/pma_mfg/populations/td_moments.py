"""The exact mean and mean square error of conditional TD learning in the limit of many agents.

With the population at its stable law, the learner's pair of state and action is a Markov chain and one update is affine
in Q given two successive pairs: a Markov jump linear system, whose first two moments on each pair obey closed linear
recursions (docs/theory, section 10.7). Nothing is sampled. Cost: O((S A)^4) an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

SOURCE = "td_moments"


@dataclass(frozen=True)
class Moments:
    """Moments of the error Q_m - Gamma_q(pi, mu_pi) after each of C numbers of updates.

    Parameters
    ----------
    mean : ndarray, shape (..., C, S, A)
    mean_square : ndarray, shape (..., C, S, A)
        Entry by entry.
    """

    mean: np.ndarray
    mean_square: np.ndarray


@accepts()
def pair_chain(game: Game, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the transitions of the pair (s, a) in the stable population, and its stationary law.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)

    Returns
    -------
    transition : ndarray, shape (S A, S A)
    law : ndarray, shape (S A,)
    """
    mean_field = operators.stable_population(game, policy)
    transition = game.dense(SOURCE).transition(mean_field)
    pairs = np.einsum("say,yb->sayb", transition, policy).reshape(policy.size, policy.size)
    return pairs, (mean_field[:, None] * policy).ravel()


@accepts()
def moments(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    n_updates: Sequence[int],
    n_waiting: ArrayLike,
    td_scale: float,
    td_offset: float,
    start: float = 0.0,
) -> Moments:
    """Return the moments of the error of `learning.algorithms.ctd` with infinitely many agents.

    The population starts, and stays, at mu_pi; the learner's state is drawn from it and its first action uniformly, as
    `simulation.exchangeable.initial_population` does.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    n_updates : sequence of int
        Increasing, >= 1.
    n_waiting : int or infinity, or array_like of them, shape (...)
        M_mix; with infinity every update has a pair drawn from the stationary law, independent of the past.
    td_scale, td_offset : float
        c and m_0 of the steps c / (m + m_0).
    start : float
        Q_0(s,a).

    Returns
    -------
    Moments

    Raises
    ------
    InputError
        For numbers of updates or of waiting steps out of range.
    """
    if not len(n_updates) or (np.diff(n_updates, prepend=0) <= 0).any():
        raise InputError(SOURCE, "n_updates", list(n_updates), "integers >= 1 in increasing order")
    waits = np.asarray(n_waiting, dtype=float)
    if not ((waits >= 0.0) & (waits == np.floor(waits))).all():
        raise InputError(SOURCE, "n_waiting", n_waiting, "an integer >= 0 or infinity")
    pairs, stationary = pair_chain(game, policy)
    n, each = len(pairs), np.arange(len(pairs))
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    # difference of a target r + gamma (q(z') + h(s')) from its mean q(z), shape (n, n)
    reward = game.dense(SOURCE).reward(mean_field).ravel()
    ahead = game.discount * (truth + regularizer.value(policy)[:, None]).ravel()
    noise = reward[:, None] + ahead - truth.ravel()[:, None]
    waiting = np.array(
        [
            np.tile(stationary, (n, 1)) if wait == np.inf else np.linalg.matrix_power(pairs, int(wait))
            for wait in waits.flat
        ]
    )

    law = np.tile(np.repeat(mean_field / game.n_actions, game.n_actions), (waits.size, 1))  # of the pair
    error = start - truth.ravel()
    first = np.multiply.outer(law, error)
    second = np.multiply.outer(law, np.multiply.outer(error, error))
    means: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    for m in range(int(n_updates[-1])):
        step = td_scale / (m + td_offset)
        law, first, second = _moved(waiting, law), _moved(waiting, first), _moved(waiting, second)
        kept, ahead_share = 1.0 - step, step * game.discount
        # from z to z': entry z becomes kept e(z) + ahead_share e(z') + step noise(z, z'), the others stay
        at_pair, at_pairs = first[:, each, each][:, :, None], second[:, each, each]
        mean = kept * at_pair + ahead_share * first + step * noise * law[:, :, None]
        rows = ahead_share * second
        rows += kept * at_pairs[:, :, None]
        rows += step * noise[:, :, None] * first[:, :, None]
        own, other = second[:, each, each, each][:, :, None], second[:, :, each, each]
        square = kept**2 * own + 2.0 * kept * ahead_share * at_pairs + ahead_share**2 * other
        square += 2.0 * step * noise * (kept * at_pair + ahead_share * first)
        square += step**2 * noise**2 * law[:, :, None]
        rows[:, each, :, each] = 0.0
        first[:, each, each] = 0.0
        second[:, each, each] = 0.0
        second[:, each, :, each] = 0.0
        first = _moved(pairs, first)
        first += (pairs * mean).swapaxes(1, 2)
        second = _moved(pairs, second)
        rows *= pairs[:, :, None]
        changed = rows.swapaxes(1, 2)  # (z', z, j)
        second += changed
        second += changed.swapaxes(2, 3)
        second[:, :, each, each] += (pairs * square).swapaxes(1, 2)
        law = _moved(pairs, law)
        if m + 1 == n_updates[len(means)]:
            means.append(first.sum(axis=1))
            squares.append(second[:, :, each, each].sum(axis=1))
    shape = (*waits.shape, len(n_updates), *policy.shape)
    return Moments(np.stack(means, axis=1).reshape(shape), np.stack(squares, axis=1).reshape(shape))


def _moved(kernel: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Return what each pair carries after a step of the chain, (W, n, ...), for one kernel (n, n) or W of them."""
    turned = kernel.swapaxes(-1, -2)
    return np.asarray(turned @ carried.reshape(*carried.shape[:2], -1)).reshape(carried.shape)


@accepts()
def asymptotic_covariance(game: Game, policy: np.ndarray, regularizer: Regularizer, *, td_scale: float) -> np.ndarray:
    """Return the limit of M times the covariance of Q after M updates, for the steps c / (m + m_0).

    The same for every m_0 and every waiting time (docs/theory, section 10.15).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        Held by all of infinitely many agents.
    regularizer : Regularizer
    td_scale : float
        c > 0, so large that the start is forgotten faster than noise is averaged out.

    Returns
    -------
    ndarray, shape (S A, S A)

    Raises
    ------
    InputError
        If c is not large enough: noise then does not fall as 1 / M.
    """
    pairs, visits = pair_chain(game, policy)
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    ahead = game.discount * (truth + regularizer.value(policy)[:, None]).ravel()
    # given its pair, a target r + gamma (q(z') + h(s')) varies by what comes next alone
    variances = np.maximum(pairs @ ahead**2 - (pairs @ ahead) ** 2, 0.0)
    drift = td_scale * visits[:, None] * (game.discount * pairs - np.eye(len(pairs))) + 0.5 * np.eye(len(pairs))
    if not float(np.linalg.eigvals(drift).real.max()) < 0.0:
        slowest = 0.5 - float(np.linalg.eigvals(drift).real.max())
        raise InputError(SOURCE, "td_scale", td_scale, f"a number > {td_scale * 0.5 / slowest:.6g}")
    return np.asarray(scipy.linalg.solve_continuous_lyapunov(drift, -np.diag(td_scale**2 * visits * variances)))


@accepts()
def forgetting_rate(game: Game, policy: np.ndarray) -> float:
    """Return |lambda_2| of the learner's chain in the stable population: the mixing bias falls as its M_mix-th power.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)

    Returns
    -------
    float
    """
    mean_field = operators.stable_population(game, policy)
    rows = operators.policy_kernel(game.dense(SOURCE).transition(mean_field), policy)
    return float(np.abs(np.linalg.eigvals(rows - mean_field)).max())
