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

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations.gaussian_averages import (
    averaged_features,
    averaged_functions,
    deviations_of,
    kink_shares,
    second_derivatives,
)
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation.exchangeable import ErgodicAverages

SOURCE = "fluctuations"

#: Plain iterations to a fixed point of learning; where more are to be expected, they are accelerated. The rate is
#: measured over so many, and accelerated steps remember so many before.
MOST_PLAIN, LOOKED_AT, WINDOW = 100, 10, 10

#: Plain updates of an averaged population before accelerated ones, how many of these, and where both end: in l1 norm.
PLAIN_UPDATES, MOST_UPDATES, SETTLED = 100, 10_000, 1e-14

#: Share of a probability that an accelerated step leaves at least.
LEAST_SHARE = 0.1


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
        If the averaged population update has no fixed point within some 10000 iterations.
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
    """Return Q of the decision process whose tables depend on the mean field m that is stationary in it.

    Where `PLAIN_UPDATES` do not suffice, Anderson acceleration goes on from the mean field reached.
    """

    def moved(m: np.ndarray, transition: np.ndarray) -> np.ndarray:
        updated = m @ operators.policy_kernel(transition, policy)
        return np.asarray(updated / updated.sum())

    history: list[float] = []
    while len(history) < PLAIN_UPDATES:
        tables = conditional_tables(mean_field)
        updated = moved(mean_field, tables[0])
        history.append(float(np.abs(updated - mean_field).sum()))
        mean_field = updated
        if history[-1] <= SETTLED:
            break
    else:
        mean_field, accelerated = solvers.anderson(
            lambda m: moved(m, conditional_tables(m)[0]), mean_field, SETTLED, max_iterations=MOST_UPDATES
        )
        if not accelerated[-1] <= SETTLED:
            raise ConvergenceError("fluctuations: the averaged population does not settle", history + accelerated)
        tables = conditional_tables(mean_field)
    transition, reward = tables
    return operators.q_of_decision_process(transition, reward, game.discount, policy=policy, regularizer=regularizer)


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
    covariance = stationary_covariance(game, policy)
    changes, moved, _ = smooth_changes(game, policy, mean_field, covariance=covariance)
    families = (game.transition_features, game.reward_features)
    phi, psi = (change + of.gradients(mean_field) @ moved for change, of in zip(changes, families, strict=True))
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    reward = np.einsum("sl,lsa->sa", psi, game.reward_terms)
    reward += game.discount * np.einsum("sk,ksay,y->sa", phi, game.transition_terms, value)
    return operators.q_of_decision_process(
        game.transition(mean_field), reward, game.discount, policy=policy, regularizer=None
    )


@accepts(inner=True)
def curvature_means(game: MeanFieldGame, mean_field: np.ndarray, covariance: np.ndarray) -> list[np.ndarray]:
    """Return N times what the curvature of each feature adds to its mean, shapes (K,) and (L,).

    Parameters
    ----------
    game : MeanFieldGame
        Dense.
    mean_field : ndarray, shape (S,)
        mu_pi.
    covariance : ndarray, shape (S, S)
        Of `stationary_covariance`.

    Returns
    -------
    list of two ndarrays
        For the features of the transitions, and for those of the rewards.
    """
    return [
        0.5 * second_derivatives(of, mean_field) * np.einsum("kz,zy,ky->k", of.weights, covariance, of.weights)
        for of in (game.transition_features, game.reward_features)
    ]


@accepts(inner=True)
def smooth_changes(
    game: MeanFieldGame, policy: np.ndarray, mean_field: np.ndarray, *, covariance: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return N times what changes to order 1/N where all is smooth (docs/theory, section 9.5).

    Parameters
    ----------
    game : MeanFieldGame
        Dense.
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
        mu_pi.
    covariance : ndarray, shape (S, S)
        Of `stationary_covariance`.

    Returns
    -------
    changes : list of two ndarrays, shapes (S, K) and (S, L)
        Of the mean of each transition and reward feature given the own state, by the crowding of that state and by
        curvature, apart from the change of the mean of mu_hat.
    moved : ndarray, shape (S,)
        The change of the mean of mu_hat.
    drift : ndarray, shape (S,)
        What one step of the population adds to it.

    Raises
    ------
    InputError
        If a reward feature has a kink at the mean field, or a state is empty.
    """
    if not game.reward_features.differentiable_at(mean_field):
        raise InputError(SOURCE, "reward", Description("a kink at the stable population"), "smooth rewards there")
    _check_visited(mean_field)
    families = (game.transition_features, game.reward_features)
    changes = [
        (covariance / mean_field[:, None]) @ of.gradients(mean_field).T + curved
        for of, curved in zip(families, curvature_means(game, mean_field, covariance), strict=True)
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

    Where the changes fall so slowly that more than `MOST_PLAIN` iterations are to be expected, Anderson acceleration
    goes on from the policy reached: to the same fixed point, in some tens of further iterations (docs/theory, section
    9.7).

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
    policy = start
    history: list[float] = []
    while len(history) < max_iterations and not _slow(history, tolerance):
        updated = step(learned(policy), policy)
        history.append(operators.policy_distance(updated, policy))
        policy = updated
        if history[-1] <= tolerance:
            return policy

    def update(flat: np.ndarray) -> np.ndarray:
        return step(learned(flat.reshape(policy.shape)), flat.reshape(policy.shape)).ravel()

    def inside(flat: np.ndarray, present: np.ndarray) -> np.ndarray:
        rows = np.maximum(flat, LEAST_SHARE * present).reshape(policy.shape)  # an action that is left out never returns
        return np.asarray(rows / rows.sum(axis=1, keepdims=True)).ravel()

    if (left := max_iterations - len(history)) > 0:
        flat, accelerated = solvers.anderson(
            update, policy.ravel(), tolerance, max_iterations=left, project=inside, window=WINDOW
        )
        if accelerated[-1] <= tolerance:
            return flat.reshape(policy.shape)
        history += accelerated
    raise ConvergenceError(f"{source}: no fixed point", history)


def expected_iterations(rate: float, tolerance: float) -> float:
    """Return about how many iterations `fixed_point_of_learning` takes, from its rate (docs/theory, section 9.7).

    Parameters
    ----------
    rate : float
        The spectral radius of the iteration at the fixed point, below 1: that of mirror ascent in the mean field, which
        the iteration with N agents tends to.
    tolerance : float

    Returns
    -------
    float
        From a start at distance 1: fewer from a near one.
    """
    plain = float(np.log(tolerance) / np.log(rate)) if rate > 0.0 else 1.0
    if plain <= MOST_PLAIN:
        return max(1.0, plain)
    return 2 * LOOKED_AT + float(np.log(2.0 / tolerance) / (2.0 * np.sqrt(1.0 - rate)))


def _slow(history: list[float], tolerance: float) -> bool:
    """Return whether changes that go on to fall as in the last `LOOKED_AT` iterations take more than `MOST_PLAIN`."""
    if len(history) <= LOOKED_AT or len(history) % LOOKED_AT:
        return False
    if not history[-1] < history[-1 - LOOKED_AT]:
        return True
    rate = (history[-1] / history[-1 - LOOKED_AT]) ** (1.0 / LOOKED_AT)
    return bool(len(history) + np.log(tolerance / history[-1]) / np.log(rate) > MOST_PLAIN)
