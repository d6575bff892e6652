"""How far independent learners disagree, predicted without a free parameter (docs/theory, section 10.10).

An agent's TD estimate has exact first and second moments when its samples are independent draws of the stationary law.
Near the equilibrium one agent's change of policy alters neither the mean field nor, to first order, its own Q, so the
disagreement is an autoregression driven by the noise of the estimates. Cost: M_td products of (S A, S A) matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pma_mfg import jacobian, operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Regularizer

#: Number of Gaussian draws from which an expected norm is estimated, to half a percent.
DRAWS = 20_000


@dataclass(frozen=True)
class Spread:
    """Predicted disagreement of the agents, for many of them.

    Parameters
    ----------
    mean : float
        E sup_s ||pi^i(s) - mean policy(s)||_1.
    deviation : float
        Largest standard deviation of a signed sum of one state's probabilities: the worst of N agents is expected to
        exceed `mean` by at most this times sqrt(2 log N).
    """

    mean: float
    deviation: float


@accepts()
def td_moments(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    n_updates: int,
    scale: float,
    offset: float,
    start: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of Q - Gamma_q(pi, mu_pi) after TD updates with independent samples.

    The pair of each update is a draw of mu_pi x pi, and the mean field is mu_pi: the limit of large N and M_mix.
    Equation (10.6), exact.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    n_updates : int
        M_td.
    scale, offset : float
        c and m_0.
    start : float
        Q_0(s,a).

    Returns
    -------
    mean : ndarray, shape (S A,)
    covariance : ndarray, shape (S A, S A)
    """
    game = game.dense("spread.td_moments")
    mean_field = operators.stable_population(game, policy)
    transition = game.transition(mean_field).reshape(-1, game.n_states)
    q = operators.q_values(game, policy, mean_field, regularizer=regularizer).ravel()
    pairs = np.einsum("xs,sa->xsa", transition, policy).reshape(len(q), -1)
    visits = (mean_field[:, None] * policy).ravel()
    gamma = game.discount
    after = gamma * (q + np.repeat(regularizer.value(policy), game.n_actions))
    noise = game.reward(mean_field).ravel()[:, None] + after - q[:, None]  # its mean over the next pair is zero
    drift = visits[:, None] * (gamma * pairs - np.eye(len(q)))
    own = (pairs * noise**2).sum(axis=1)
    mixed = 2.0 * gamma * pairs * noise
    mean = start - q
    moment = np.outer(mean, mean)
    for m in range(n_updates):
        share = scale / (m + offset)
        variances = np.diag(moment)
        cross = (pairs * moment).sum(axis=1)
        squares = own + mixed @ mean + gamma**2 * pairs @ variances + variances - 2.0 * gamma * cross
        half = drift @ moment
        moment = moment + share * (half + half.T)
        moment[np.diag_indices(len(q))] += share**2 * visits * squares
        mean = mean + share * drift @ mean
    return mean, moment - np.outer(mean, mean)


@accepts()
def predicted_spread(game: Game, regularizer: Regularizer, equilibrium: np.ndarray, *, schedule: Schedule) -> Spread:
    """Return the disagreement of agents that start with one policy, after the schedule's epochs, to first order.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Interior.
    schedule : Schedule

    Returns
    -------
    Spread
    """
    n_states, n_actions = equilibrium.shape
    _, covariance = td_moments(
        game,
        equilibrium,
        regularizer,
        n_updates=schedule.n_updates,
        scale=schedule.td_scale,
        offset=schedule.td_offset,
        start=schedule.start,
    )
    basis = jacobian.tangent_basis(n_actions)
    count = n_states * (n_actions - 1)
    project, curvature = np.zeros((count, n_states * n_actions)), np.empty(count)
    for s, entries in enumerate(regularizer.curvature(equilibrium)):
        # coordinates in which the Hessian of the step is diagonal, state by state
        values, vectors = np.linalg.eigh((basis * entries) @ basis.T)
        rows = slice(s * (n_actions - 1), (s + 1) * (n_actions - 1))
        project[rows, s * n_actions : (s + 1) * n_actions] = vectors.T @ basis
        curvature[rows] = values
    rate = 1.0 / (1.0 + schedule.step_size * curvature)
    rates = np.outer(rate, rate)
    memory = schedule.step_size**2 * rates * (1.0 - rates**schedule.n_epochs) / (1.0 - rates)
    policies = project.T @ (memory * (project @ covariance @ project.T)) @ project
    blocks = policies.reshape(n_states, n_actions, n_states, n_actions)[range(n_states), :, range(n_states), :]
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * n_actions)).reshape(n_actions, -1)
    variance = np.einsum("an,sab,bn->sn", signs, blocks, signs).max()
    root = project.T @ np.linalg.cholesky(memory * (project @ covariance @ project.T) + 1e-18 * np.eye(count))
    draws = seeds.generator(0, "spread").standard_normal((DRAWS, count)) @ root.T
    norms = np.abs(draws).reshape(DRAWS, n_states, n_actions).sum(axis=2).max(axis=1)
    return Spread(float(norms.mean()), float(np.sqrt(variance)))
