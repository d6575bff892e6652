"""Derivatives of the operators, exactly: by implicit differentiation on the tangent space of the simplices.

See docs/theory, section 4. Cost: one dense solve in S unknowns for each of the S (A - 1) directions, or one Krylov
solve for a product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Mirror, Regularizer
from pma_mfg.theory.lipschitz import LEAST_KL


@accepts()
def jacobian(
    game: Game,
    policy: np.ndarray,
    step_size: float,
    *,
    regularizer: Regularizer,
    mirror: Mirror = "euclidean",
    mean_field: np.ndarray | None = None,
) -> np.ndarray:
    """Return the Jacobian of Gamma_eta at a policy, in orthonormal coordinates of the tangent space.

    Implicit differentiation of the stable population, of the Bellman equation and of the proximal step, where the
    constraint of U is taken not to bind (docs/theory, section 7).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0, or infinity for the best-response step.
    regularizer : Regularizer
    mirror : {"euclidean", "kl"}
        As in `operators.mirror_ascent_step`; with "kl" the policy is to be above `LEAST_KL`.
    mean_field : ndarray, shape (S,), optional
        The stable population to follow, where the policy has several; that of `operators.stable_population` by default.

    Returns
    -------
    ndarray, shape (S (A-1), S (A-1))
        With the basis of `tangent_basis`, state by state. At a kink of a link there is no Jacobian: the mean of both
        sides is taken.

    Raises
    ------
    InputError
        With "kl", if an action has next to no probability: the step's slope there is 1 / policy.
    """
    return at_step_sizes(game, policy, regularizer, mean_field=mean_field)(step_size, mirror)


@accepts()
def at_step_sizes(
    game: Game, policy: np.ndarray, regularizer: Regularizer, *, mean_field: np.ndarray | None = None
) -> Callable[..., np.ndarray]:
    """Return (step size, mirror map) -> `jacobian`: the derivative of q, nearly all of its cost, is the same for each.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    mean_field : ndarray, shape (S,), optional
        As in `jacobian`.

    Returns
    -------
    callable
        With arguments step_size and mirror ("euclidean" by default), and what `jacobian` returns and raises.
    """
    game = game.dense("jacobian.jacobian")
    states, actions = policy.shape
    basis = tangent_basis(actions)
    count = states * (actions - 1)

    @cache
    def derivative() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        d_policy = np.zeros((states, actions - 1, states, actions))
        d_policy[np.arange(states), :, np.arange(states), :] = basis
        d_policy = d_policy.reshape(count, states, actions)
        return d_policy, *q_derivative(game, policy, regularizer, d_policy=d_policy, mean_field=mean_field)

    def at(step_size: float, mirror: Mirror = "euclidean") -> np.ndarray:
        if mirror == "kl" and not (least := float(policy.min())) >= LEAST_KL:
            allowed = f'probabilities of {LEAST_KL:g} or more with "kl"'
            raise InputError("jacobian.jacobian", "policy", least, allowed)
        d_policy, q, d_q = derivative()
        updated = operators.mirror_ascent_step(q, policy, step_size, regularizer=regularizer, mirror=mirror)
        inverse_step = 0.0 if step_size == np.inf else 1.0 / step_size
        # Hessian of the mirror map where the step starts and where it ends, there infinite where the end underflows
        start, end = np.ones((2, 1, 1))
        if mirror == "kl" and inverse_step > 0.0:
            with np.errstate(divide="ignore", over="ignore"):
                start, end = 1.0 / policy, 1.0 / updated
        weight = 1.0 / (regularizer.curvature(updated) + inverse_step * end)
        push = d_q + inverse_step * start * d_policy
        mean_push = (weight * push).sum(axis=2, keepdims=True) / weight.sum(axis=1)[:, None]
        d_updated = weight * (push - mean_push)
        return np.asarray((d_updated @ basis.T).reshape(count, count).T)

    return at


@accepts(inner=True)
def q_derivative(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    d_policy: np.ndarray,
    mean_field: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return q = Gamma_q(pi, mu_pi) and its derivatives in directions of the policy, by (7.1) to (7.3).

    Parameters
    ----------
    game : Game
        Dense.
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    d_policy : ndarray, shape (n, S, A)
        Directions, whose rows sum to zero.
    mean_field : ndarray, shape (S,), optional
        As in `jacobian`.

    Returns
    -------
    q : ndarray, shape (S, A)
    d_q : ndarray, shape (n, S, A)
    """
    states = game.n_states
    if mean_field is None:
        mean_field = operators.stable_population(game, policy)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    game = game.linearized(mean_field)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    kernel = operators.policy_kernel(transition, policy)
    identity = np.eye(states)

    flow = operators.population_jacobian(game, mean_field, policy)
    flow -= flow.sum(axis=0) / states
    moved = np.tensordot(d_policy * mean_field[:, None], transition, axes=([1, 2], [0, 1]))
    d_mean_field = np.linalg.solve(identity - flow, moved.T).T

    q = reward + game.discount * transition @ value
    d_features_P = d_mean_field @ game.transition_features.gradients(mean_field).T
    d_features_R = d_mean_field @ game.reward_features.gradients(mean_field).T
    d_target = np.tensordot(d_features_R, game.reward_terms, axes=1)
    d_target += game.discount * np.tensordot(d_features_P, game.transition_terms @ value, axes=1)
    # an entry that underflowed to zero stands for a tiny one: its gradient is large, not infinite
    slope = q + regularizer.gradient(np.maximum(policy, np.finfo(float).tiny))
    gain = (d_policy * slope).sum(axis=2) + (policy * d_target).sum(axis=2)
    d_value = np.linalg.solve(identity - game.discount * kernel, gain.T).T
    d_q = d_target + game.discount * np.tensordot(d_value, transition, axes=([1], [2]))
    return q, d_q


@accepts(inner=True)
def best_response_derivative(
    game: Game, mean_field: np.ndarray, policy: np.ndarray, *, regularizer: Regularizer
) -> np.ndarray:
    """Return the Jacobian of mu -> Gamma_pop(mu, pi_mu), pi_mu the regularized best response to mu (equation 14.2).

    Parameters
    ----------
    game : Game
    mean_field : ndarray, shape (S,)
    policy : ndarray, shape (S, A)
        pi_mu.
    regularizer : Regularizer

    Returns
    -------
    ndarray, shape (S, S)
        Entry (y, z) is the derivative of the mass of y in mu(z); acts on directions that sum to zero.
    """
    game = game.dense("jacobian.best_response_derivative").linearized(mean_field)
    transition = game.transition(mean_field)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    directions = np.eye(game.n_states)
    d_target = np.tensordot(directions @ game.reward_features.gradients(mean_field).T, game.reward_terms, axes=1)
    moved = directions @ game.transition_features.gradients(mean_field).T
    d_target += game.discount * np.tensordot(moved, game.transition_terms @ value, axes=1)
    # the envelope theorem: at the optimum V does not depend on the policy to first order
    kernel = operators.policy_kernel(transition, policy)
    d_value = np.linalg.solve(directions - game.discount * kernel, (policy * d_target).sum(axis=2).T).T
    d_q = d_target + game.discount * np.tensordot(d_value, transition, axes=([1], [2]))
    weight = 1.0 / regularizer.curvature(policy)
    d_policy = weight * (d_q - (weight * d_q).sum(axis=2, keepdims=True) / weight.sum(axis=1)[:, None])
    flow = np.tensordot(d_policy * mean_field[:, None], transition, axes=([1, 2], [0, 1])).T
    return np.asarray(operators.population_jacobian(game, mean_field, policy) + flow)


@accepts()
def jacobian_product(
    game: Game, policy: np.ndarray, step_size: float, *, regularizer: Regularizer, tolerance: float = 1e-12
) -> Callable[[np.ndarray], np.ndarray]:
    """Return d pi -> d Gamma_eta, the Jacobian at a policy as a function, for games too large for the matrix.

    One linear system in the mean field and one policy evaluation per product (docs/theory, section 7.2).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0, or infinity for the best-response step.
    regularizer : Regularizer
    tolerance : float
        Relative, of the system in the mean field.

    Returns
    -------
    callable
        From (S, A), rows that sum to zero, to (S, A). It raises `ConvergenceError` where the system is not solved.
    """
    mean_field = operators.stable_population(game, policy)
    game = linear = game.linearized(mean_field)
    transition = game.transition(mean_field)
    kernel = operators.policy_kernel(transition, policy)
    weights = mean_field[:, None] * policy
    flow = operators.flow_per_feature(game, weights)
    slopes_P = game.transition_features.gradients(mean_field)
    slopes_R = game.reward_features.gradients(mean_field)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    values = operators.value_per_feature(game, value)
    q = game.reward(mean_field) + game.discount * operators.next_value(transition, value)
    # an entry that underflowed to zero stands for a tiny one: its gradient is large, not infinite
    slope = q + regularizer.gradient(np.maximum(policy, np.finfo(float).tiny))
    inverse_step = 0.0 if step_size == np.inf else 1.0 / step_size
    updated = operators.mirror_ascent_step(q, policy, step_size, regularizer=regularizer)
    weight = 1.0 / (regularizer.curvature(updated) + inverse_step)

    def minus_flow(d_mean_field: np.ndarray) -> np.ndarray:
        """(I - J) d mu on directions that sum to zero."""
        moved = d_mean_field @ kernel + (slopes_P @ d_mean_field) @ flow
        return np.asarray(d_mean_field - (moved - moved.mean()))

    def product(d_policy: np.ndarray) -> np.ndarray:
        moved = operators.push_forward(transition, mean_field[:, None] * d_policy)
        d_mean_field = solvers.krylov_solve(minus_flow, moved, tolerance)
        d_target = linear.reward_change(slopes_R @ d_mean_field)
        d_target = d_target + game.discount * ((slopes_P @ d_mean_field) @ values).reshape(policy.shape)
        gain = (d_policy * slope).sum(axis=1) + (policy * d_target).sum(axis=1)
        d_value = solvers.discounted_sum(kernel, game.discount, gain)
        push = d_target + game.discount * operators.next_value(transition, d_value) + inverse_step * d_policy
        mean_push = (weight * push).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
        return np.asarray(weight * (push - mean_push))

    return product


def tangent_basis(n_actions: int) -> np.ndarray:
    """Return orthonormal rows that span the directions summing to zero, shape (A-1, A)."""
    return np.asarray(scipy.linalg.helmert(n_actions)) if n_actions > 1 else np.zeros((0, 1))


def spectral_radius(matrix: np.ndarray) -> float:
    """Return the largest modulus of an eigenvalue; 0 for an empty matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max()) if matrix.size else 0.0
