"""Constants of what a deviator gains among many agents (docs/theory, section 9.8).

To leading order in 1/N a deviator faces a decision process whose rewards are linear in the population's Gaussian
displacement (`fluctuations`), or linear on either side of a kink. What it gains there is the limit of N times the Nash
gap with a regularizer, of sqrt(N) times the gap without one beside a kink. Predictions without a free parameter. Cost:
one linear system in S^2 unknowns, or, with two states, a decision process on a grid.
"""

from __future__ import annotations

import numpy as np

from pma_mfg import equilibrium, operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import Description, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations.fluctuations import (
    curvature_means,
    kinked_bias,
    smooth_changes,
    stationary_covariance,
    tangent_jacobian,
)
from pma_mfg.populations.gaussian_averages import directional_derivatives
from pma_mfg.regularizers import Regularizer

#: Points of the grid of displacements on which the gap of two states is computed.
GRID_POINTS = 301

#: Half the width of that grid, in standard deviations of the displacement.
GRID_WIDTH = 8.0

SOURCE = "gap_constants"


@accepts()
def regularized_gap_constant(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer) -> float:
    """Return the limit of N times the Nash gap at an interior equilibrium, smooth games (docs/theory, section 9.8).

    1 / (2 (1 - gamma)) sum_s mu(s) tr(C_s L_s Sigma L_s^T), with L_s the derivative of the deviator's Q in the
    population's displacement and C_s the derivative of the best response in Q.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        The equilibrium.
    regularizer : Regularizer

    Returns
    -------
    float

    Raises
    ------
    InputError
        As `fluctuations.stationary_covariance`, or if the reward has a kink there.
    """
    game = game.dense(SOURCE)
    covariance = stationary_covariance(game, policy)
    mean_field = operators.stable_population(game, policy)
    if not game.reward_features.differentiable_at(mean_field):
        raise InputError(SOURCE, "reward", Description("a kink at the stable population"), "smooth rewards there")
    slopes, _ = _value_slopes(game, policy, mean_field, regularizer)
    spreads = np.einsum("saz,zy,sby->sab", slopes, covariance, slopes)
    gains = np.einsum("sab,sba->s", _response(policy, regularizer), spreads)
    return float(mean_field @ gains) / (2.0 * (1.0 - game.discount))


@accepts()
def own_state_gap_constant(
    game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None
) -> tuple[float, float]:
    """Return the constant and the order of the gain of a deviator who sees its own state only.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
        The equilibrium; without a regularizer one at which all actions are equally good.
    regularizer : Regularizer or None

    Returns
    -------
    constant, order : float
        The limit of N^order times the gain (docs/theory, section 9.8). With a regularizer the order is 2, or 1 where
        the rewards have a kink; without one it is 1/2 with a kink, and 1, with the constant nan, where all is smooth:
        there the deviator's own weight among N agents counts as much as what it deviates from.

    Raises
    ------
    InputError
        As `fluctuations.stationary_covariance`.
    """
    game = game.dense(SOURCE)
    mean_field = operators.stable_population(game, policy)
    smooth = game.reward_features.differentiable_at(mean_field)
    if regularizer is not None:
        error = averaged_error(game, policy, regularizer) if smooth else kinked_bias(game, policy)
        gains = np.einsum("sa,sab,sb->s", error, _response(policy, regularizer), error)
        return float(mean_field @ gains) / (2.0 * (1.0 - game.discount)), 2.0 if smooth else 1.0
    if smooth:
        return float("nan"), 1.0
    transition, discount = game.transition(mean_field), game.discount
    # the reward of one step, averaged over the population; `kinked_bias` is its discounted sum under the policy
    error = kinked_bias(game, policy)
    reward = error - discount * transition @ (policy * error).sum(axis=1)
    best = equilibrium.best_response(transition, reward, discount)
    value = solvers.discounted_sum(operators.policy_kernel(transition, best), discount, (best * reward).sum(axis=1))
    return float(mean_field @ (value - (policy * error).sum(axis=1))), 0.5


@accepts()
def two_state_gap_constant(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None) -> float:
    """Return the constant of the Nash gap of a game with two states, kinks allowed (docs/theory, section 9.8).

    The population's displacement is then a scalar Gaussian autoregression, here on a grid, and the deviator's problem
    to leading order a decision process on it.

    Parameters
    ----------
    game : Game
        With two states.
    policy : ndarray, shape (2, A)
        The equilibrium; without a regularizer one at which all actions are equally good.
    regularizer : Regularizer or None

    Returns
    -------
    float
        The limit of N times the gap with a regularizer, of sqrt(N) times the gap without.

    Raises
    ------
    InputError
        As `fluctuations.kinked_bias`, or for another number of states.
    """
    game = game.dense(SOURCE)
    if game.n_states != 2:
        raise InputError(SOURCE, "n_states", game.n_states, "2")
    mean_field = operators.stable_population(game, policy)
    variance = float(stationary_covariance(game, policy)[1, 1])
    jacobian = operators.population_jacobian(game, mean_field, policy)
    memory = float(jacobian[1, 1] - jacobian[1, 0])
    x = np.sqrt(variance) * np.linspace(-GRID_WIDTH, GRID_WIDTH, GRID_POINTS)
    law = np.exp(-0.5 * x**2 / variance)
    law /= law.sum()
    step = np.exp(-0.5 * (x - memory * x[:, None]) ** 2 / (variance * (1.0 - memory**2)))
    step /= step.sum(axis=1, keepdims=True)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    phi, psi = (
        directional_derivatives(of, mean_field, np.stack([-x, x], axis=1))
        for of in (game.transition_features, game.reward_features)
    )
    now = np.einsum("xl,lsa->sxa", psi, game.reward_terms)
    now += game.discount * np.einsum("xk,ksay,y->sxa", phi, game.transition_terms, value)
    states, actions = 2 * GRID_POINTS, game.n_actions
    moves = np.einsum("say,xz->sxayz", game.transition(mean_field), step).reshape(states, actions, states)
    reward = now.reshape(states, actions)
    kept = np.repeat(policy, GRID_POINTS, axis=0)
    q = operators.q_of_decision_process(moves, reward, game.discount, policy=kept, regularizer=None)
    weights = (mean_field[:, None] * law).ravel()
    if regularizer is not None:
        response = np.repeat(_response(policy, regularizer), GRID_POINTS, axis=0)
        return float(weights @ np.einsum("xa,xab,xb->x", q, response, q)) / (2.0 * (1.0 - game.discount))
    best = equilibrium.best_response(moves, reward, game.discount)
    advantage = ((best - kept) * q).sum(axis=1)
    gain = solvers.discounted_sum(operators.policy_kernel(moves, best), game.discount, advantage)
    return float(weights @ gain)


@accepts()
def averaged_error(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None) -> np.ndarray:
    """Return the limit of N (E[Q^pi(s, n, a) | s] - q(s, a)) where all is smooth, shape (S, A).

    Q^pi(s, n, a) is an agent's value in the N-agent game, of the action a and then the policy that all hold, and n the
    counts of the others (docs/theory, section 9.8). It differs from the limit of TD learning,
    `fluctuations.smooth_bias`, because the counts after a move depend on the state before it.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    regularizer : Regularizer or None

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        As `fluctuations.smooth_bias`.
    """
    game = game.dense(SOURCE)
    covariance = stationary_covariance(game, policy)
    mean_field = operators.stable_population(game, policy)
    _, moved, drift = smooth_changes(game, policy, mean_field, covariance=covariance)
    slopes, gradient = _value_slopes(game, policy, mean_field, regularizer)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    transition, discount = game.transition(mean_field), game.discount
    phi, psi = curvature_means(game, mean_field, covariance)
    reward = np.einsum("l,lsa->sa", psi, game.reward_terms)
    reward += discount * np.einsum("k,ksay,y->sa", phi, game.transition_terms, value)
    # the agent itself is in y, while the update of the population counts it as spread over P_pi(.|s)
    own = gradient @ (drift + np.eye(game.n_states) - operators.policy_kernel(transition, policy)[:, None]).swapaxes(
        1, 2
    )
    reward += discount * np.einsum("say,syy->sa", transition, own)
    # where transitions depend on the population, the next state is correlated with it
    moves = game.transition_features.gradients(mean_field) @ covariance
    told = gradient @ tangent_jacobian(game, mean_field, policy) @ moves.T
    reward += discount * np.einsum("ksay,yk->sa", game.transition_terms, told)
    error = operators.q_of_decision_process(transition, reward, discount, policy=policy, regularizer=None)
    crowding = moved + covariance / mean_field[:, None]
    return np.asarray(error + np.einsum("saz,sz->sa", slopes, crowding))


@accepts(inner=True)
def value_gradient(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, *, value: np.ndarray, jacobian: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how one agent's rewards and value change with the population, to first order (docs/theory, section 9.8).

    The population moves on by `jacobian`; the agent keeps `policy`, which need not be the population's.

    Parameters
    ----------
    game : MeanFieldGame
        Dense.
    policy : ndarray, shape (S, A)
        Of the agent.
    mean_field : ndarray, shape (S,)
    value : ndarray, shape (S,)
        Of the agent at that mean field.
    jacobian : ndarray, shape (S, S)
        Of the population update, on the tangent space.

    Returns
    -------
    now : ndarray, shape (S, A, S)
        B_{s,a}, of the reward and the next state with the value fixed.
    gradient : ndarray, shape (S, S)
        G_s, of the value in state s: one linear system in S^2 unknowns.
    """
    size, rows = game.n_states, operators.policy_kernel(game.transition(mean_field), policy)
    now = np.einsum("lz,lsa->saz", game.reward_features.gradients(mean_field), game.reward_terms)
    now += game.discount * np.einsum(
        "kz,ksay,y->saz", game.transition_features.gradients(mean_field), game.transition_terms, value
    )
    # G = sum_a pi now + gamma P_pi G J: the value's derivative in the displacement of the population
    averaged = np.einsum("sa,saz->sz", policy, now)
    system = np.eye(size**2) - game.discount * np.kron(rows, jacobian.T)
    return now, np.linalg.solve(system, averaged.ravel()).reshape(size, size)


def _value_slopes(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, regularizer: Regularizer | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of an agent's Q and V in the population's displacement, (S, A, S) and (S, S)."""
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    jacobian = tangent_jacobian(game, mean_field, policy)
    now, gradient = value_gradient(game, policy, mean_field, value=value, jacobian=jacobian)
    transition = game.transition(mean_field)
    slopes = now + game.discount * np.einsum("say,yz->saz", transition, gradient @ jacobian)
    return slopes, gradient


def _response(policy: np.ndarray, regularizer: Regularizer) -> np.ndarray:
    """Return the derivative of the best response in q at its optimum, shape (S, A, A): symmetric, rows sum to zero."""
    inverse = 1.0 / regularizer.curvature(policy)
    outer = inverse[:, :, None] * inverse[:, None, :] / inverse.sum(axis=1)[:, None, None]
    return np.asarray(inverse[:, :, None] * np.eye(policy.shape[1]) - outer)
