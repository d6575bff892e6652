"""Large populations in closed form: how the empirical mean field fluctuates, and what a learner then learns.

See docs/theory, section 9. Around the stable population, sqrt(N) (mu_hat - mu_pi) is Gaussian with the solution Sigma
of a discrete Lyapunov equation as covariance. Averaging the game's features over that law gives the decision process a
tagged agent really faces: to o(1/N) when the features are smooth, to O(1/N) when a reward feature |x|, max(0, x) or
min(1, x) has its kink at mu_pi. Predictions without a free parameter. Cost: one (S, S) Lyapunov equation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from pma_mfg import equilibrium, operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations.gaussian_averages import (
    averaged_features,
    averaged_functions,
    deviations_of,
    directional_derivatives,
    kink_shares,
    second_derivatives,
)
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation.exchangeable import ErgodicAverages

#: Grid of the two-state gap: points, and its half width in standard deviations.
GRID_POINTS, GRID_WIDTH = 301, 8.0

SOURCE = "fluctuations"


@accepts()
def stationary_covariance(game: Game, policy: np.ndarray) -> np.ndarray:
    """Return Sigma, the limit of N Cov(mu_hat) in the stationary N-agent game, shape (S, S).

    Sigma = J Sigma J^T + sum_s mu(s) (diag(p_s) - p_s p_s^T) on the tangent space, J the Jacobian of the population
    update at mu_pi and p_s = P_pi(.|s, mu_pi).

    Parameters
    ----------
    game : Game
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
    smooth = game.transition_features if game.has_features else game
    if not smooth.differentiable_at(mean_field):
        raise InputError(
            SOURCE, "transition", Description("a kink at the stable population"), "smooth transitions there"
        )
    rows = operators.policy_kernel(game.transition(mean_field), policy)
    noise = np.diag(mean_field @ rows) - (rows.T * mean_field) @ rows
    tangent = tangent_jacobian(game, mean_field, policy)
    # at radius 1, up to rounding, the equation has no solution
    if not (radius := float(np.abs(np.linalg.eigvals(tangent)).max())) < 1.0 - 1e-10:
        raise InputError(SOURCE, "spectral radius of the population update", radius, "less than 1")
    return np.asarray(solve_discrete_lyapunov(tangent, noise))


@accepts(inner=True)
def tangent_jacobian(game: Game, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return the Jacobian of the population update with columns that sum to zero: the total mass does not change.

    Parameters
    ----------
    game : Game
        Dense.
    mean_field : ndarray, shape (S,)
    policy : ndarray, shape (S, A)

    Returns
    -------
    ndarray, shape (S, S)
    """
    tangent = operators.population_jacobian(game, mean_field, policy)
    tangent -= tangent.sum(axis=0) / game.n_states
    return tangent


@accepts()
def expected_deviation(game: Game, policy: np.ndarray) -> float:
    """Return the limit of sqrt(N) E ||mu_hat - mu_pi||_1 = sum_s sqrt(2 Sigma_ss / pi)."""
    variances = np.maximum(np.diag(stationary_covariance(game, policy)), 0.0)
    return float(np.sqrt(2.0 * variances / np.pi).sum())


def decision_process(
    game: MeanFieldGame, transition_features: np.ndarray, reward_features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tables of the decision process in which features depend on the agent's own state.

    Parameters
    ----------
    game : Game
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


@accepts()
def large_population_q(game: Game, policy: np.ndarray, n_agents: int, *, regularizer: Regularizer | None) -> np.ndarray:
    """Return what TD learning of `policy` in the N-agent game converges to, for large N, shape (S, A).

    The conditional law of mu_hat given the agent's own state s is taken as Gaussian with mean m + Sigma e_s / (N m(s))
    and covariance Sigma / N; m is the mean field that is stationary under the averaged transitions.

    Parameters
    ----------
    game : Game
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
    _check_visited(mean_field)

    def conditional_tables(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centres, spread = m + covariance / (n_agents * m[:, None]), covariance / n_agents
        if not game.has_features:
            return averaged_functions(game, centres, spread)
        families = (game.transition_features, game.reward_features)
        return decision_process(game, *(averaged_features(of, centres, spread) for of in families))

    return _settled_q(game, policy, regularizer, mean_field, conditional_tables)


def _check_visited(mean_field: np.ndarray) -> None:
    if not mean_field.min() > 0.0:
        raise InputError(SOURCE, "mean field", float(mean_field.min()), "a policy under which every state is visited")


def _settled_q(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer | None,
    mean_field: np.ndarray,
    conditional_tables: Callable[[np.ndarray], tuple[np.ndarray, ...]],
) -> np.ndarray:
    """Return Q of the decision process whose tables depend on the mean field m that is stationary in it."""
    history: list[float] = []
    for _ in range(10_000):
        transition, reward = conditional_tables(mean_field)
        updated = mean_field @ operators.policy_kernel(transition, policy)
        updated /= updated.sum()
        history.append(float(np.abs(updated - mean_field).sum()))
        mean_field = updated
        if history[-1] <= 1e-14:
            return operators.q_of_decision_process(
                transition, reward, game.discount, policy=policy, regularizer=regularizer
            )
    raise ConvergenceError("fluctuations: the averaged population does not settle", history)


@accepts()
def measured_q(
    game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None, *, averages: ErgodicAverages
) -> np.ndarray:
    """Return the limit of TD learning from a trajectory's second moments, shape (S, A).

    Only E[x x^T], x = mu_hat - mu_pi, and the features' remainders of second order are measured; E[x] solves the
    stationarity of Proposition 9.2 (ii). What is measured is as small as the bias itself, so that its relative
    precision does not depend on N (docs/theory, section 9.9).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer or None
    averages : ErgodicAverages
        Of `simulation.exchangeable.ergodic_averages`, centred at the stable population.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    ConvergenceError
        As `large_population_q`.
    InputError
        If the policy leaves a state empty.
    """
    game = game.dense(SOURCE)
    centre = operators.stable_population(game, policy)
    _check_visited(centre)
    families = (
        (game.transition_features, averages.transition_remainders),
        (game.reward_features, averages.reward_remainders),
    )

    def conditional_tables(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # E[mu(s) x] = mu_pi(s) E[x] + E[x(s) x]
        moves = np.outer(centre, m - centre) + averages.second_moments
        features = (of.values(centre) + (moves @ of.gradients(centre).T + rest) / m[:, None] for of, rest in families)
        return decision_process(game, *features)

    return _settled_q(game, policy, regularizer, centre, conditional_tables)


@accepts()
def smooth_bias(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None) -> np.ndarray:
    """Return c, the limit of N (q_N - q) where all features are smooth, shape (S, A) (docs/theory, section 9.5).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer or None

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        As `large_population_q`, or if a reward feature has a kink at the stable population.
    """
    game = game.dense(SOURCE)
    mean_field = operators.stable_population(game, policy)
    changes, moved, _ = _smooth_changes(game, policy, mean_field, stationary_covariance(game, policy))
    families = (game.transition_features, game.reward_features)
    phi, psi = (change + of.gradients(mean_field) @ moved for change, of in zip(changes, families, strict=True))
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    reward = np.einsum("sl,lsa->sa", psi, game.reward_terms)
    reward += game.discount * np.einsum("sk,ksay,y->sa", phi, game.transition_terms, value)
    return operators.q_of_decision_process(
        game.transition(mean_field), reward, game.discount, policy=policy, regularizer=None
    )


def _curvature(game: MeanFieldGame, mean_field: np.ndarray, covariance: np.ndarray) -> list[np.ndarray]:
    """Return by how much curvature moves the mean of each transition and reward feature, times N."""
    return [
        0.5 * second_derivatives(of, mean_field) * np.einsum("kz,zy,ky->k", of.weights, covariance, of.weights)
        for of in (game.transition_features, game.reward_features)
    ]


def _smooth_changes(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, covariance: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return what changes to order 1/N where all is smooth (docs/theory, section 9.5), times N.

    Of each feature given the own state, apart from the move of the mean: crowding of the own state, and curvature, two
    arrays (S, K). Then the move of the mean, and how a step of the population moves it, (S,) each.
    """
    if not game.reward_features.differentiable_at(mean_field):
        raise InputError(SOURCE, "reward", Description("a kink at the stable population"), "smooth rewards there")
    _check_visited(mean_field)
    families = (game.transition_features, game.reward_features)
    changes = [
        (covariance / mean_field[:, None]) @ of.gradients(mean_field).T + curved
        for of, curved in zip(families, _curvature(game, mean_field, covariance), strict=True)
    ]
    flows = np.einsum("s,sa,ksay->ksy", mean_field, policy, game.transition_terms)
    jacobian = tangent_jacobian(game, mean_field, policy)
    drift = np.einsum("sk,ksy->y", changes[0], flows)
    return changes, np.linalg.solve(np.eye(game.n_states) - jacobian, drift), drift


@accepts()
def kinked_bias(game: MeanFieldGame, policy: np.ndarray) -> np.ndarray:
    """Return the limit of sqrt(N) (q_N - q), shape (S, A): zero without kinks at mu_pi (docs/theory, section 9.5).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        As `stationary_covariance`, or if a feature with the link `power` is at its kink.
    """
    game = game.dense(SOURCE)
    covariance = stationary_covariance(game, policy)
    mean_field = operators.stable_population(game, policy)
    features = game.reward_features
    deviations = deviations_of(features, covariance)
    # E|x| = sigma sqrt(2/pi); max(0, x) = (x + |x|)/2, min(0, x) = (x - |x|)/2
    means = kink_shares(features, mean_field) * deviations * np.sqrt(2.0 / np.pi)
    reward = np.tensordot(means, game.reward_terms, axes=1)
    return operators.q_of_decision_process(
        game.transition(mean_field), reward, game.discount, policy=policy, regularizer=None
    )


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
        As `stationary_covariance`, or if the reward has a kink there.
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


@accepts()
def averaged_error(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None) -> np.ndarray:
    """Return the limit of N (E[Q^pi(s, n, a) | s] - q(s, a)) where all is smooth, shape (S, A).

    Q^pi(s, n, a) is an agent's value in the N-agent game, of the action a and then the policy that all hold, and n the
    counts of the others (docs/theory, section 9.8). It differs from `smooth_bias`, the limit of TD learning, because
    the counts after a move depend on the state before it.

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
        As `smooth_bias`.
    """
    game = game.dense(SOURCE)
    covariance = stationary_covariance(game, policy)
    mean_field = operators.stable_population(game, policy)
    _, moved, drift = _smooth_changes(game, policy, mean_field, covariance)
    slopes, gradient = _value_slopes(game, policy, mean_field, regularizer)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    transition, discount = game.transition(mean_field), game.discount
    phi, psi = _curvature(game, mean_field, covariance)
    reward = np.einsum("l,lsa->sa", psi, game.reward_terms)
    reward += discount * np.einsum("k,ksay,y->sa", phi, game.transition_terms, value)
    # the agent is in y itself, where the others think of it as spread over P_pi(.|s)
    own = gradient @ (drift + np.eye(game.n_states) - operators.policy_kernel(transition, policy)[:, None]).swapaxes(
        1, 2
    )
    reward += discount * np.einsum("say,syy->sa", transition, own)
    # where moves depend on the population, the next state tells of it
    moves = game.transition_features.gradients(mean_field) @ covariance
    told = gradient @ tangent_jacobian(game, mean_field, policy) @ moves.T
    reward += discount * np.einsum("ksay,yk->sa", game.transition_terms, told)
    error = operators.q_of_decision_process(transition, reward, discount, policy=policy, regularizer=None)
    crowding = moved + covariance / mean_field[:, None]
    return np.asarray(error + np.einsum("saz,sz->sa", slopes, crowding))


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
        As `stationary_covariance`.
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
    # what a step costs or pays on the average over the population: `kinked_bias` is the sum of it under the policy
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
        As `kinked_bias`, or for another number of states.
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


@accepts(start="policy")
def large_population_policy(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    step_size: float,
    start: np.ndarray,
    tolerance: float = 1e-12,
) -> np.ndarray:
    """Return the policy at which centralized learning in the N-agent game settles, for large N, shape (S, A).

    The fixed point of pi -> Gamma_md^eta(q_N(pi), pi) with `large_population_q`.

    Parameters
    ----------
    game : Game
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
    step = partial(operators.mirror_ascent_step, step_size=step_size, regularizer=regularizer)
    learned = partial(large_population_q, game, n_agents=n_agents, regularizer=regularizer)
    source = "fluctuations.large_population_policy"
    return fixed_point_of_learning(step, learned, start, tolerance=tolerance, max_iterations=10_000, source=source)


def fixed_point_of_learning(
    step: Callable[[np.ndarray, np.ndarray], np.ndarray],
    learned: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    *,
    tolerance: float,
    max_iterations: int,
    source: str,
) -> np.ndarray:
    """Iterate pi -> step(learned(pi), pi) until a policy changes by `tolerance` at most, shape (S, A).

    Parameters
    ----------
    step : callable
        q, policy -> policy, a mirror ascent step.
    learned : callable
        policy -> q, what TD learning of the policy converges to.
    start : ndarray, shape (S, A)
    tolerance : float
        On sup_s of the l1 norm of the last change.
    max_iterations : int
    source : str
        For the message.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    ConvergenceError
        If `max_iterations` do not suffice.
    """
    policy, history = start, []
    for _ in range(max_iterations):
        updated = step(learned(policy), policy)
        history.append(operators.policy_distance(updated, policy))
        policy = updated
        if history[-1] <= tolerance:
            return policy
    raise ConvergenceError(f"{source}: no fixed point", history)


def _response(policy: np.ndarray, regularizer: Regularizer) -> np.ndarray:
    """Return the derivative of the best response in q at its optimum, shape (S, A, A): symmetric, rows sum to zero."""
    inverse = 1.0 / regularizer.curvature(policy)
    outer = inverse[:, :, None] * inverse[:, None, :] / inverse.sum(axis=1)[:, None, None]
    return np.asarray(inverse[:, :, None] * np.eye(policy.shape[1]) - outer)
