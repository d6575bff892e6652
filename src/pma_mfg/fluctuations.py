"""Large populations in closed form: how the empirical mean field fluctuates, and what a learner then learns.

Docs/theory.md, section 9. Around the stable population, sqrt(N) (mu_hat - mu_pi) is Gaussian with the solution Sigma of
a discrete Lyapunov equation as covariance. Averaging the game's features over that law gives the decision process a
tagged agent really faces: to o(1/N) when the features are smooth, to O(1/N) when a reward feature |x|, max(0, x) or
min(1, x) has its kink at mu_pi. Predictions without a free parameter. Cost: one (S, S) Lyapunov equation.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import erf

from pma_mfg import operators
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.model import LINKS, Features, MeanFieldGame
from pma_mfg.regularizers import Regularizer

#: Nodes of the Gaussian quadrature for the links log and power; the others have closed forms.
QUADRATURE_NODES = 64
SOURCE = "fluctuations"


def stationary_covariance(game: MeanFieldGame, policy: np.ndarray) -> np.ndarray:
    """Return Sigma, the limit of N Cov(mu_hat) in the stationary N-agent game, shape (S, S).

    Sigma = J Sigma J^T + sum_s mu(s) (diag(p_s) - p_s p_s^T) on the tangent space, J the Jacobian of the population
    update at mu_pi and p_s = P_pi(.|s, mu_pi).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)

    Returns
    -------
    ndarray, shape (S, S)
        Symmetric, rows sum to zero.

    Raises
    ------
    InputError
        If the transitions have a kink at the stable population, or fluctuations grow there (spectral radius of J >= 1).
    """
    game = game.dense(SOURCE)
    mean_field = operators.stable_population(game, policy)
    if not game.transition_features.differentiable_at(mean_field):
        raise InputError(
            SOURCE, "transition", Description("a kink at the stable population"), "smooth transitions there"
        )
    rows = operators.policy_kernel(game.transition(mean_field), policy)
    noise = np.diag(mean_field @ rows) - (rows.T * mean_field) @ rows
    tangent = operators.population_jacobian(game, mean_field, policy)
    tangent -= tangent.sum(axis=0) / game.n_states
    if not (radius := float(np.abs(np.linalg.eigvals(tangent)).max())) < 1.0:
        raise InputError(SOURCE, "spectral radius of the population update", radius, "less than 1")
    return np.asarray(solve_discrete_lyapunov(tangent, noise))


def expected_deviation(game: MeanFieldGame, policy: np.ndarray) -> float:
    """Return the limit of sqrt(N) E ||mu_hat - mu_pi||_1 = sum_s sqrt(2 Sigma_ss / pi)."""
    variances = np.maximum(np.diag(stationary_covariance(game, policy)), 0.0)
    return float(np.sqrt(2.0 * variances / np.pi).sum())


def decision_process(
    game: MeanFieldGame, transition_features: np.ndarray, reward_features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tables of the decision process in which features depend on the agent's own state.

    Parameters
    ----------
    game : MeanFieldGame
    transition_features : ndarray, shape (S, K)
        E[phi_k(mu_hat) | own state].
    reward_features : ndarray, shape (S, L)

    Returns
    -------
    transition : ndarray, shape (S, A, S)
    reward : ndarray, shape (S, A)
    """
    game = game.dense(SOURCE)
    transition = game.base_transition + np.einsum("sk,ksay->say", transition_features, game.transition_terms)
    reward = game.base_reward + np.einsum("sl,lsa->sa", reward_features, game.reward_terms)
    return transition, reward


def large_population_q(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, regularizer: Regularizer | None
) -> np.ndarray:
    """Return what TD learning of `policy` in the N-agent game converges to, for large N, shape (S, A).

    The conditional law of mu_hat given the agent's own state s is taken as Gaussian with mean m + Sigma e_s / (N m(s))
    and covariance Sigma / N; m is the mean field that is stationary under the averaged transitions.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        N >= 2.
    regularizer : Regularizer or None

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        As `stationary_covariance`, or if the policy leaves a state empty.
    ConvergenceError
        If the averaged population update has no fixed point within 10000 iterations.
    """
    game = game.dense(SOURCE)
    covariance = stationary_covariance(game, policy)
    mean_field = operators.stable_population(game, policy)
    if not mean_field.min() > 0.0:
        raise InputError(SOURCE, "mean field", float(mean_field.min()), "a policy under which every state is visited")
    history: list[float] = []
    for _ in range(10_000):
        centres = mean_field + covariance / (n_agents * mean_field[:, None])
        transition_features = _averaged(game.transition_features, centres, covariance / n_agents)
        reward_features = _averaged(game.reward_features, centres, covariance / n_agents)
        transition, reward = decision_process(game, transition_features, reward_features)
        updated = mean_field @ operators.policy_kernel(transition, policy)
        updated /= updated.sum()
        history.append(float(np.abs(updated - mean_field).sum()))
        mean_field = updated
        if history[-1] <= 1e-14:
            return operators.q_of_decision_process(transition, reward, game.discount, policy, regularizer)
    raise ConvergenceError("fluctuations.large_population_q: the averaged population does not settle", history)


def large_population_policy(
    game: MeanFieldGame,
    n_agents: int,
    regularizer: Regularizer,
    step_size: float,
    start: np.ndarray,
    tolerance: float = 1e-12,
) -> np.ndarray:
    """Return the policy at which centralized learning in the N-agent game settles, for large N, shape (S, A).

    The fixed point of pi -> Gamma_md^eta(q_N(pi), pi) with `large_population_q`.

    Parameters
    ----------
    game : MeanFieldGame
    n_agents : int
    regularizer : Regularizer
    step_size : float
        eta; the fixed point does not depend on it, the convergence does.
    start : ndarray, shape (S, A)
        Best the equilibrium.
    tolerance : float
        On sup_s of the l1 norm of the last change.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    ConvergenceError
        If 10000 steps do not suffice.
    """
    policy, history = start, []
    for _ in range(10_000):
        q = large_population_q(game, policy, n_agents, regularizer)
        updated = operators.mirror_ascent_step(q, policy, step_size, regularizer)
        history.append(operators.policy_distance(updated, policy))
        policy = updated
        if history[-1] <= tolerance:
            return policy
    raise ConvergenceError("fluctuations.large_population_policy: no fixed point", history)


def _averaged(features: Features, centres: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return E phi_k(X) for X ~ N(centres[s], covariance), shape (S, K)."""
    means = features.arguments(centres)
    deviations = np.sqrt(np.maximum(np.einsum("kz,zy,ky->k", features.weights, covariance, features.weights), 0.0))
    values = np.empty_like(means)
    for k, link in enumerate(features.links):
        mean, deviation = means[:, k], float(deviations[k])
        match LINKS[link]:
            case "identity":
                values[:, k] = mean
            case "absolute":
                values[:, k] = _folded(mean, deviation)
            case "positive":  # max(0, x) = (x + |x|) / 2
                values[:, k] = 0.5 * (mean + _folded(mean, deviation))
            case "minimum":  # min(1, x) = (1 + x - |x - 1|) / 2
                values[:, k] = 0.5 * (1.0 + mean - _folded(mean - 1.0, deviation))
            case _:
                values[:, k] = _quadrature(features, k, mean, deviation)
    return values


def _folded(mean: np.ndarray, deviation: float) -> np.ndarray:
    """Return E|X| for X ~ N(mean, deviation^2), entry by entry."""
    if deviation == 0.0:
        return np.asarray(np.abs(mean))
    z = mean / deviation
    return np.asarray(deviation * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * z**2) + mean * erf(z / np.sqrt(2.0)))


def _quadrature(features: Features, k: int, mean: np.ndarray, deviation: float) -> np.ndarray:
    """Return E g_k(X) for X ~ N(mean, deviation^2) cut to the range of the feature's argument on the simplex."""
    nodes, weights = hermegauss(QUADRATURE_NODES)
    feature = features.select(k)
    ends = feature.arguments(np.eye(features.weights.shape[1]))
    # the Gaussian's tails leave the simplex; the mean field does not
    samples = np.clip(mean + nodes[:, None] * deviation, ends.min(), ends.max())
    return np.asarray(weights @ feature.link_values(samples[..., None])[..., 0] / weights.sum())
