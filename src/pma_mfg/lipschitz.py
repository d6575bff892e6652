"""Lipschitz constants of a game, the contraction bound of the theory, and the exact Jacobian of PMA.

Sources: docs/theory.md, sections 4 (constants), 5 (the bound) and 7 (the Jacobian). Every constant says whether it is
`exact` or an `upper bound`. Cost: O(S^2 A^2 Z S) for the constants; for a Jacobian two (S, S) solves with S (A - 1)
right-hand sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import helmert

from pma_mfg import operators
from pma_mfg.games.model import Features, MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer

Kind = Literal["exact", "upper bound"]


@dataclass(frozen=True)
class Constants:
    """Lipschitz constants of a game in the norms of the theory (docs/theory.md, section 4).

    Parameters
    ----------
    K_mu, K_s, K_a : float
        Of P in the mean field, the state and the action, P in the l1 norm.
    L_mu, L_s, L_a : float
        Of R in the mean field, the state and the action.
    delta : float
        Dobrushin coefficient: half the largest l1 distance between two rows of P at one mean field, in [0, 1].
    L_pop : float
        K_mu + delta, the Lipschitz constant of the population update in the mean field; Assumption 2 asks for < 1.
    L_h : float
        L_a + gamma K_a L_s / (2 - gamma K_s), a bound on the span over actions of an optimal Q.
    kind : str
        "exact" if the six constants and delta are attained, "upper bound" if some may not be.
    """

    K_mu: float
    K_s: float
    K_a: float
    L_mu: float
    L_s: float
    L_a: float
    delta: float
    L_pop: float
    L_h: float
    kind: Kind


@dataclass(frozen=True)
class ContractionBound:
    """The constants on the way to L_Gamma_eta (docs/theory.md, section 5); infinite where a step fails.

    Parameters
    ----------
    stable_population : float
        K_a / (2 (1 - L_pop)), of Gamma_pop^inf in the policy.
    value_span : float
        Bound on sp(V) for policies in U.
    q_mean_field, q_policy : float
        L_{q,mu} and L_{q,pi}.
    L_theta : float
        A (L_{q,pi} + L_{q,mu} K_a / (2 (1 - L_pop))).
    L_gamma : float
        (1 + eta L_theta) / (1 + eta rho): Lipschitz constant of Gamma_eta on U in the norm sup_s ||.||_2.
    kind : str
        Always a bound, from constants of this kind.
    """

    stable_population: float
    value_span: float
    q_mean_field: float
    q_policy: float
    L_theta: float
    L_gamma: float
    kind: Kind


def constants(game: MeanFieldGame) -> Constants:
    """Return the Lipschitz constants of a game.

    With affine features (every link the identity) each is a maximum over vertices of the simplex, and exact. Another
    feature enters by its range and by the Lipschitz constant of its link, which gives upper bounds.

    Parameters
    ----------
    game : MeanFieldGame

    Returns
    -------
    Constants
    """
    P = (game.base_transition, game.transition_terms, game.transition_features)
    R = (game.base_reward[..., None], game.reward_terms[..., None], game.reward_features)
    rows = (1, game.n_states * game.n_actions)
    K_s, K_a = min(2.0, _along(*P, axis=0)), min(2.0, _along(*P, axis=1))
    L_s, L_a = _along(*R, axis=0), _along(*R, axis=1)
    K_mu = _along_mean_field(*P)
    flat_base = P[0].reshape(*rows, -1)
    flat_terms = P[1].reshape(len(P[1]), *flat_base.shape)
    delta = min(1.0, 0.5 * _along(flat_base, flat_terms, P[2], axis=1))
    room = 2.0 - game.discount * K_s
    affine = (game.transition_features.links == 0).all() and (game.reward_features.links == 0).all()
    return Constants(
        K_mu=K_mu,
        K_s=K_s,
        K_a=K_a,
        L_mu=_along_mean_field(*R),
        L_s=L_s,
        L_a=L_a,
        delta=delta,
        L_pop=K_mu + delta,
        L_h=L_a + game.discount * K_a * L_s / room,
        kind="exact" if affine else "upper bound",
    )


def _along(base: np.ndarray, terms: np.ndarray, features: Features, axis: int) -> float:
    """Return the largest l1 difference between two entries along the state (0) or action (1) axis, over mean fields.

    The l1 norm is convex in the features: affine features are put on the vertices, any other feature in the middle of
    its range, which costs half its range times the norm of its own difference.
    """
    affine = features.links == 0
    low, high = features.ranges()
    at_vertices = features.values(np.eye(features.weights.shape[1]))
    phi = np.where(affine, at_vertices, 0.5 * (low + high))
    if not affine.any():
        phi = phi[:1]
    tables = np.moveaxis(base + np.tensordot(phi, terms, axes=1), axis + 1, 0)
    curved = np.moveaxis(terms[~affine], axis + 1, 0)
    half = 0.5 * (high - low)[~affine]
    largest = 0.0
    for i in range(len(tables)):
        distance = np.abs(tables - tables[i]).sum(axis=-1).max(axis=1)
        margin = np.tensordot(np.abs(curved - curved[i]).sum(axis=-1), half, axes=([1], [0]))
        largest = max(largest, float((distance + margin).max()))
    return largest


def _along_mean_field(base: np.ndarray, terms: np.ndarray, features: Features) -> float:
    """Return the Lipschitz constant in the mean field: a convex function of mu - mu' is largest at (e_z - e_z') / 2."""
    affine = features.links == 0
    lipschitz = features.link_lipschitz()
    norms = np.abs(terms).sum(axis=-1)
    largest = 0.0
    for z in range(features.weights.shape[1]):
        difference = (features.weights - features.weights[:, [z]]).T  # (Z, K)
        moved = np.abs(np.tensordot(difference[:, affine], terms[affine], axes=1)).sum(axis=-1)
        for k in np.flatnonzero(~affine):
            changes = np.abs(difference[:, k]) > 0.0  # no change, no contribution, however steep
            steepness = np.where(changes, lipschitz[k], 0.0) * np.abs(difference[:, k])
            moved[:, norms[k] > 0.0] += np.multiply.outer(steepness, norms[k][norms[k] > 0.0])
        largest = max(largest, float(moved.max()))
    return 0.5 * largest


def contraction_bound(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> ContractionBound:
    """Return L_Gamma_eta and every constant on the way (docs/theory.md, section 5).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    step_size : float
        eta > 0.

    Returns
    -------
    ContractionBound
    """
    c = constants(game)
    gamma, actions, inf = game.discount, game.n_actions, float("inf")
    stable = 0.5 * c.K_a / (1.0 - c.L_pop) if c.L_pop < 1.0 else _product(c.K_a, inf)
    value_span = (c.L_s + c.L_a + c.L_h) / (1.0 - gamma * c.delta)
    q_mean_field = (c.L_mu + 0.5 * gamma * c.K_mu * value_span) / (1.0 - gamma)
    q_span = c.L_a + 0.5 * gamma * c.K_a * value_span
    q_policy = _product(0.5 * gamma / (1.0 - gamma), q_span + regularizer.gradient_span(actions, c.L_h))
    L_theta = actions * (q_policy + _product(q_mean_field, stable)) if actions > 1 else 0.0
    return ContractionBound(
        stable_population=stable,
        value_span=value_span,
        q_mean_field=q_mean_field,
        q_policy=q_policy,
        L_theta=L_theta,
        L_gamma=(1.0 + step_size * L_theta) / (1.0 + step_size * regularizer.rho),
        kind=c.kind,
    )


def _product(first: float, second: float) -> float:
    """Return a product of bounds in which nothing times infinity is nothing."""
    return first * second if first and second else 0.0


def policy_floor(game: MeanFieldGame, regularizer: Regularizer) -> float:
    """Return h_max - L_h: an optimal regularized policy lies in U = {u : h(u) >= h_max - L_h} (docs/theory.md, 2)."""
    uniform = np.full(game.n_actions, 1.0 / game.n_actions)
    return float(regularizer.value(uniform)) - constants(game).L_h


def least_transition(game: MeanFieldGame) -> float:
    """Return a lower bound on P(s'|s,a,mu) over everything, exact for affine features; may be negative otherwise."""
    base, terms, features = game.base_transition, game.transition_terms, game.transition_features
    return float(_extremes(base, terms, features)[0].min())


def q_range(game: MeanFieldGame, regularizer: Regularizer) -> float:
    """Return G, the length of an interval that holds 0 and every TD target while Q starts at 0 (docs/theory.md, 10).

    Rewards lie in [r, R] and h in [h_min, h_max], so targets stay between (r + gamma h_min) / (1 - gamma) and
    (R + gamma h_max) / (1 - gamma).
    """
    low, high = _extremes(game.base_reward, game.reward_terms, game.reward_features)
    h_max = float(regularizer.value(np.full(game.n_actions, 1.0 / game.n_actions)))
    h_min = h_max - regularizer.span(game.n_actions)
    lowest = (float(low.min()) + game.discount * h_min) / (1.0 - game.discount)
    highest = (float(high.max()) + game.discount * h_max) / (1.0 - game.discount)
    return max(highest, 0.0) - min(lowest, 0.0)


def _extremes(base: np.ndarray, terms: np.ndarray, features: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return entrywise bounds of base + sum_k phi_k terms_k over the simplex: affine features vary together."""
    affine = features.links == 0
    at_vertices = features.values(np.eye(features.weights.shape[1]))[:, affine]
    tables = base + np.tensordot(at_vertices, terms[affine], axes=1)
    low, high = features.ranges()
    curved = terms[~affine]
    ends = (np.moveaxis(curved, 0, -1) * low[~affine], np.moveaxis(curved, 0, -1) * high[~affine])
    lower, upper = np.minimum(*ends).sum(axis=-1), np.maximum(*ends).sum(axis=-1)
    return tables.min(axis=0) + lower, tables.max(axis=0) + upper


def jacobian(
    game: MeanFieldGame,
    policy: np.ndarray,
    step_size: float,
    regularizer: Regularizer,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Return the Jacobian of Gamma_eta at a policy, in orthonormal coordinates of the tangent space.

    Implicit differentiation of the stable population, of the Bellman equation and of the proximal step, where the
    constraint of U is taken not to bind (docs/theory.md, section 7).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0, or infinity for the best-response step.
    regularizer : Regularizer
    mirror : {"euclidean", "kl"}
        As in `operators.mirror_ascent_step`; with "kl" the policy is to be positive.

    Returns
    -------
    ndarray, shape (S (A-1), S (A-1))
        With the basis of `tangent_basis`, state by state. At a kink of a link there is no Jacobian: the mean of both
        sides is taken.
    """
    states, actions = policy.shape
    basis = tangent_basis(actions)
    count = states * (actions - 1)
    d_policy = np.zeros((states, actions - 1, states, actions))
    d_policy[np.arange(states), :, np.arange(states), :] = basis
    d_policy = d_policy.reshape(count, states, actions)

    mean_field = operators.stable_population(game, policy)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    kernel = operators.policy_kernel(transition, policy)
    identity = np.eye(states)

    flow = operators.population_jacobian(game, mean_field, policy)
    flow -= flow.sum(axis=0) / states
    moved = np.tensordot(d_policy * mean_field[:, None], transition, axes=([1, 2], [0, 1]))
    d_mean_field = np.linalg.solve(identity - flow, moved.T).T

    value = operators.state_values(game, policy, mean_field, regularizer)
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

    updated = operators.mirror_ascent_step(q, policy, step_size, regularizer, mirror=mirror)
    inverse_step = 0.0 if step_size == np.inf else 1.0 / step_size
    # Hessian of the mirror map where the step starts and where it ends
    start, end = (1.0 / policy, 1.0 / updated) if mirror == "kl" else (1.0, 1.0)
    weight = 1.0 / (regularizer.curvature(updated) + inverse_step * end)
    push = d_q + inverse_step * start * d_policy
    mean_push = (weight * push).sum(axis=2, keepdims=True) / weight.sum(axis=1)[:, None]
    d_updated = weight * (push - mean_push)
    return np.asarray((d_updated @ basis.T).reshape(count, count).T)


def tangent_basis(n_actions: int) -> np.ndarray:
    """Return orthonormal rows that span the directions summing to zero, shape (A-1, A)."""
    return np.asarray(helmert(n_actions)) if n_actions > 1 else np.zeros((0, 1))


def spectral_radius(matrix: np.ndarray) -> float:
    """Return the largest modulus of an eigenvalue; 0 for an empty matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max()) if matrix.size else 0.0


def mixing(game: MeanFieldGame, p_inf: float) -> tuple[int, float]:
    """Return (T_mix, delta_mix) for one step, whatever the policy; a PLACEHOLDER, to be overwritten."""
    return 1, max(0.0, least_transition(game))
