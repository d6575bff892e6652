"""The operators of the theory, one function each (docs/theory.md, section 3). Pure; a policy has shape (S, A).

Cost for S states, A actions: one (S, S) solve per policy evaluation, a few per stable population, and the O(S A S) sums
that build a kernel. Nothing of size (S A) x (S A) is formed.
"""

from __future__ import annotations

import numpy as np

from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer

#: A stationary distribution is accepted at this l1 residual: rounding of S-term sums, S up to some thousands.
STATIONARITY_TOLERANCE = 1e-13


def population_update(game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Gamma_pop(mu, pi)(y) = sum_{s,a} mu(s) pi(a|s) P(y|s,a,mu), equation (1).

    Parameters
    ----------
    game : MeanFieldGame
    mean_field : ndarray, shape (S,)
    policy : ndarray, shape (S, A)

    Returns
    -------
    ndarray, shape (S,)
        The population after one step.
    """
    return np.asarray(mean_field @ policy_kernel(game.transition(mean_field), policy))


def policy_kernel(transition: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """P_pi(y|s) = sum_a pi(a|s) P(y|s,a), shape (S, S), for a transition of shape (S, A, S)."""
    return np.asarray(np.matmul(policy[:, None, :], transition)[:, 0, :])


def population_jacobian(game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """J(y, z) = d Gamma_pop(mu, pi)(y) / d mu(z), shape (S, S); acts on directions that sum to zero."""
    weighted = mean_field[:, None] * policy
    flow = np.tensordot(game.transition_terms, weighted, axes=([1, 2], [0, 1]))  # (K, S): mass moved per unit feature
    gradients = game.transition_features.gradients(mean_field)
    return np.asarray(policy_kernel(game.transition(mean_field), policy).T + flow.T @ gradients)


def stable_population(
    game: MeanFieldGame, policy: np.ndarray, start: np.ndarray | None = None, max_iterations: int = 10_000
) -> np.ndarray:
    """Gamma_pop^inf(pi): the mean field that the policy keeps, mu = Gamma_pop(mu, pi), equation (2).

    Newton's method on the tangent space of the simplex, safeguarded by plain updates: a Newton step is kept only if it
    stays in the simplex and halves the residual. Linear dynamics are solved by the first step.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    start : ndarray, shape (S,), optional
        Where to start; uniform by default.
    max_iterations : int

    Returns
    -------
    ndarray, shape (S,)

    Raises
    ------
    ConvergenceError
        If the l1 residual stays above 1e-13, for example when the population oscillates.
    InputError
        If the policy is not one of this game.
    """
    policy = _check_policy(game, policy)
    size = game.n_states
    mean_field = np.full(size, 1.0 / size) if start is None else np.asarray(start, dtype=float)
    updated = population_update(game, mean_field, policy)
    history = [float(np.abs(updated - mean_field).sum())]
    for _ in range(max_iterations):
        if history[-1] <= STATIONARITY_TOLERANCE:
            return _polished(game, policy, mean_field, updated, history[-1])
        candidate = _newton_step(game, policy, mean_field, updated)
        accepted = False
        if candidate is not None:
            candidate_update = population_update(game, candidate, policy)
            residual = float(np.abs(candidate_update - candidate).sum())
            accepted = residual <= 0.5 * history[-1]
        if accepted and candidate is not None:
            mean_field, updated = candidate, candidate_update
        else:
            # renormalized: where the rows of a term do not sum to zero, the total mass off the simplex is unstable
            mean_field = updated / updated.sum()
            updated = population_update(game, mean_field, policy)
            residual = float(np.abs(updated - mean_field).sum())
        history.append(residual)
    raise ConvergenceError(f"stable_population: no fixed point after {max_iterations} iterations", history)


def _newton_step(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, updated: np.ndarray
) -> np.ndarray | None:
    size = game.n_states
    jacobian = population_jacobian(game, mean_field, policy)
    # Remove what a column adds to the total mass: the same map on tangent directions, and the solution is tangent too.
    jacobian -= jacobian.sum(axis=0) / size
    try:
        candidate = mean_field + np.linalg.solve(np.eye(size) - jacobian, updated - mean_field)
    except np.linalg.LinAlgError:
        return None
    if not (candidate >= -1e-9).all():
        return None
    candidate = np.maximum(candidate, 0.0)
    return np.asarray(candidate / candidate.sum())


def _polished(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, updated: np.ndarray, residual: float
) -> np.ndarray:
    """One more Newton step, kept if the residual falls: the last digits cost one solve."""
    candidate = _newton_step(game, policy, mean_field, updated)
    if candidate is not None and np.abs(population_update(game, candidate, policy) - candidate).sum() < residual:
        return candidate
    return mean_field


def state_values(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, regularizer: Regularizer | None = None
) -> np.ndarray:
    """V = (I - gamma P_pi)^{-1} (R_pi + h(pi)), shape (S,), equation (3); without a regularizer h = 0."""
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    return _evaluate(transition, reward, game.discount, policy, regularizer)


def _evaluate(
    transition: np.ndarray, reward: np.ndarray, discount: float, policy: np.ndarray, regularizer: Regularizer | None
) -> np.ndarray:
    gain = (policy * reward).sum(axis=1)
    if regularizer is not None:
        gain = gain + regularizer.value(policy)
    return np.linalg.solve(np.eye(len(gain)) - discount * policy_kernel(transition, policy), gain)


def q_values(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, regularizer: Regularizer | None = None
) -> np.ndarray:
    """Gamma_q(pi, mu)(s,a) = R(s,a,mu) + gamma sum_y P(y|s,a,mu) V(y), shape (S, A), equation (4).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    regularizer : Regularizer, optional
        None means h = 0.

    Returns
    -------
    ndarray, shape (S, A)
        Without h at the first step, which is the same for every action.
    """
    return q_of_decision_process(
        game.transition(mean_field), game.reward(mean_field), game.discount, policy, regularizer
    )


def q_of_decision_process(
    transition: np.ndarray, reward: np.ndarray, discount: float, policy: np.ndarray, regularizer: Regularizer | None
) -> np.ndarray:
    """Q of a policy, shape (S, A), in the decision process of a frozen transition (S, A, S) and reward (S, A)."""
    value = _evaluate(transition, reward, discount, policy, regularizer)
    return np.asarray(reward + discount * transition @ value)


def mirror_ascent_step(
    q: np.ndarray,
    policy: np.ndarray,
    step_size: float,
    regularizer: Regularizer,
    floor: float | None = None,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Gamma_md^eta(q, pi)(s) = argmax_u <u, q(s,.)> + h(u) - D(u, pi(s)) / eta, shape (S, A), equation (5).

    Parameters
    ----------
    q : ndarray, shape (S, A)
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0; infinity gives the best-response step.
    regularizer : Regularizer
    floor : float, optional
        Restrict u to h(u) >= floor; the theory's set U has floor h_max - L_h.
    mirror : {"euclidean", "kl"}
        The divergence D: half the squared Euclidean distance, as in the paper, or Kullback and Leibler's.

    Returns
    -------
    ndarray, shape (S, A)
    """
    if step_size == np.inf:
        return regularizer.best_response(q, floor)
    return regularizer.proximal_step(q, policy, step_size, floor, mirror)


def policy_mirror_ascent(
    game: MeanFieldGame,
    policy: np.ndarray,
    step_size: float,
    regularizer: Regularizer,
    floor: float | None = None,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Gamma_eta(pi) = Gamma_md^eta(Gamma_q(pi, Gamma_pop^inf(pi)), pi), shape (S, A), equation (6).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0, or infinity.
    regularizer : Regularizer
    floor : float, optional
        As in `mirror_ascent_step`.
    mirror : {"euclidean", "kl"}
        As in `mirror_ascent_step`.

    Returns
    -------
    ndarray, shape (S, A)
        The next policy. Its fixed points are the mean field Nash equilibria, for every eta.
    """
    mean_field = stable_population(game, policy)
    q = q_values(game, policy, mean_field, regularizer)
    return mirror_ascent_step(q, policy, step_size, regularizer, floor, mirror)


def best_response_step(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer) -> np.ndarray:
    """BR_h(pi) = argmax_u <u, Gamma_q(pi, mu_pi)(s,.)> + h(u), shape (S, A): Gamma_eta in the limit of large eta."""
    return policy_mirror_ascent(game, policy, np.inf, regularizer)


def uniform_policy(game: MeanFieldGame) -> np.ndarray:
    """Return the policy that draws every action with the same probability, shape (S, A)."""
    return np.full((game.n_states, game.n_actions), 1.0 / game.n_actions)


def policy_distance(policy: np.ndarray, other: np.ndarray) -> float:
    """sup_s ||pi(s) - pi'(s)||_1, the theory's norm on policies."""
    return float(np.abs(policy - other).sum(axis=-1).max())


def _check_policy(game: MeanFieldGame, policy: np.ndarray) -> np.ndarray:
    policy = np.asarray(policy, dtype=float)
    shape = (game.n_states, game.n_actions)
    if policy.shape != shape:
        raise InputError("operators", "policy", Description(f"shape {policy.shape}"), f"shape {shape}")
    if not (np.isfinite(policy).all() and (policy >= 0.0).all() and np.allclose(policy.sum(axis=1), 1.0, atol=1e-9)):
        raise InputError("operators", "policy", policy.tolist(), "rows of probabilities that sum to 1")
    return policy
