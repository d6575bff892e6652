"""Newton's method in the population: mu = Gamma_pop(mu, pi_mu), pi_mu the best response to mu (section 3.7).

S unknowns, and no stable population of any policy on the way. The Jacobian is the sum of two parts: mu changes the
population's next step through the best response, and directly. Parts of a game between which nobody moves keep their
masses.
"""

from __future__ import annotations

import numpy as np
import scipy

from pma_mfg import jacobian, operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.equilibrium.best_responses import best_response
from pma_mfg.equilibrium.newton_in_policy import NEWTON_FORCING
from pma_mfg.equilibrium.solution import COARSEST, Equilibrium, finished, policy_rounding
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.features import to_dense
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: Largest number of Newton steps in the mean field.
NEWTON_STEPS = 100

#: Shortest share of a Newton step that the line search tries.
SHORTEST_STEP = 1e-3

#: In one step no probability falls below this share of its present value, since rewards may contain its logarithm.
KEPT_SHARE = 0.1

#: From this step on `from_population` keeps a Newton step only if it halves the best residual so far, since near a
#: saddle it could alternate for ever.
PATIENCE = 50


def newton_in_population(
    game: Game, regularizer: Regularizer, mean_field: np.ndarray, *, history: list[float]
) -> np.ndarray:
    """Return the result of damped Newton's method for mu = Gamma_pop(mu, pi_mu).

    A share s of a step is kept if the next step, computed with the same matrix, is shorter than 1 - s/2 times this one.
    This test does not depend on the scaling of the equations; the residual would hardly show the error of a chain that
    mixes slowly. A matrix is used again as long as its steps halve. The last digits, also of small entries, come from
    steps with the stationary law of the chain (docs/theory, section 3.7).
    """
    factors, step = None, np.zeros(0)
    policy, updated, _ = played(game, regularizer, mean_field)
    for _ in range(NEWTON_STEPS):
        fresh = factors is None
        if factors is None:
            derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer=regularizer)
            within = within_classes(derivative, game, mean_field, policy=policy)
            factors = scipy.linalg.lu_factor(np.eye(game.n_states) - within)
            step = scipy.linalg.lu_solve(factors, updated - mean_field)
        size, share = float(np.abs(step).sum()), 1.0
        if not NEWTON_FORCING * operators.UNSETTLED < size < np.inf:
            break
        while share >= SHORTEST_STEP:
            candidate = np.maximum(mean_field + share * step, KEPT_SHARE * mean_field)
            candidate /= candidate.sum()
            trial = played(game, regularizer, candidate)
            left = scipy.linalg.lu_solve(factors, trial[1] - candidate)
            if float(np.abs(left).sum()) <= (1.0 - 0.5 * share) * size:
                break
            share *= 0.5
        else:
            if fresh:
                break  # between parts that hardly exchange anybody only the law itself still tells
            factors = None  # as old as it is, it leads nowhere: a new one
            continue
        kept = share == 1.0 and float(np.abs(left).sum()) <= 0.5 * size
        mean_field, (policy, updated, _), step = candidate, trial, left
        factors = factors if kept else None
        history.append(float(np.abs(updated - mean_field).sum()))
    return newton_in_law(game, regularizer, mean_field)


def newton_in_law(game: Game, regularizer: Regularizer, mean_field: np.ndarray) -> np.ndarray:
    """Make the last of Newton's steps towards a mean field that is the stationary law of its best response.

    With G that law, D the deviation operator of the chain and K what mu does to the flow, x = G - mu + D(K x): the
    same step, but from a gap that is known to rounding of each entry. Steps are made as long as they halve that gap.
    """

    def law_of(mean_field: np.ndarray) -> tuple[np.ndarray, solvers.Elimination, np.ndarray, float]:
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        policy = best_response(transition, reward, game.discount, regularizer=regularizer)
        chain = operators.policy_chain(game, mean_field, policy)[0]
        law = chain.law(mean_field)
        return policy, chain, law, operators.relative_distance(mean_field, law)

    policy, chain, law, distance = law_of(mean_field)
    for _ in range(operators.POLISHING):
        derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer=regularizer)
        push = derivative.T - to_dense(operators.policy_kernel(game.transition(mean_field), policy))
        matrix = np.eye(game.n_states) - chain.deviation(push).T
        if not np.isfinite(matrix).all():
            break
        try:
            candidate = np.maximum(mean_field + np.linalg.solve(matrix, law - mean_field), 0.0)
        except np.linalg.LinAlgError:
            break
        candidate /= candidate.sum()
        trial = law_of(candidate)
        if not trial[3] <= 0.5 * distance:
            break
        mean_field, (policy, chain, law, distance) = candidate, trial
    return mean_field


@accepts()
def from_population(
    game: Game, regularizer: Regularizer, mean_field: np.ndarray, *, max_iterations: int = 200
) -> Equilibrium:
    """Find an equilibrium near a mean field, stable under PMA or not: a fixed point of mu -> Gamma_pop(mu, pi_mu).

    pi_mu is the regularized best response to mu. Newton's method, of whose steps those that halve the residual are
    kept (after `PATIENCE` steps: the best residual so far); in place of the others the population goes half a step of
    pi_mu (docs/theory, section 14.2). A mean field that belongs to an equilibrium is kept, also where the policy has
    other stable populations. For games that fit dense.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    mean_field : ndarray, shape (S,)
        The start.
    max_iterations : int

    Returns
    -------
    Equilibrium

    Raises
    ------
    ConvergenceError
        If the residual ||Gamma_pop(mu, pi_mu) - mu||_1 stays above rounding.
    """
    policy, updated, tolerance = played(game, regularizer, mean_field)
    history = [float(np.abs(updated - mean_field).sum())]
    while history[-1] > tolerance and len(history) <= max_iterations:
        derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer=regularizer)
        derivative = within_classes(derivative, game, mean_field, policy=policy)
        try:
            step = np.linalg.solve(np.eye(game.n_states) - derivative, updated - mean_field)
        except np.linalg.LinAlgError:
            step = np.zeros(game.n_states)
        candidate = np.maximum(mean_field + step, 0.0)
        candidate /= candidate.sum()
        trial = played(game, regularizer, candidate)
        residual = float(np.abs(trial[1] - candidate).sum())
        if not residual <= 0.5 * (history[-1] if len(history) <= PATIENCE else min(history)):
            candidate = 0.5 * (mean_field + updated)
            trial = played(game, regularizer, candidate)
            residual = float(np.abs(trial[1] - candidate).sum())
        mean_field, (policy, updated, tolerance) = candidate, trial
        history.append(residual)
    if history[-1] > tolerance:
        raise ConvergenceError(
            f"equilibrium.from_population: no equilibrium found with {regularizer}: residual {min(history):.2e} at "
            f"best, tolerance {tolerance:.2g}",
            history,
        )
    return finished(game, policy, regularizer, history=history, mean_field=mean_field)


def within_classes(derivative: np.ndarray, game: Game, mean_field: np.ndarray, *, policy: np.ndarray) -> np.ndarray:
    """Return a Jacobian of the population without what it adds to the mass of each recurrent class (section 3.2).

    Transient states count with the class of the part of the game that they are in, if that has one class only.
    """
    transition = game.transition(mean_field)
    label, count = solvers.closed_components(operators.policy_kernel(transition, policy) > operators.UNREACHABLE)
    if count > 1 and label.min() < 0:
        part, parts = separate_parts(game, mean_field)
        label = part if parts == count and part.min() >= 0 else label
    if count == 1:  # the total mass
        label = np.zeros(game.n_states, dtype=np.int64)
    for c in range(count):
        derivative[label == c] -= derivative[label == c].sum(axis=0) / np.count_nonzero(label == c)
    return derivative


def separate_parts(game: Game, mean_field: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the parts of a game between which nobody moves, whatever the policy, as `solvers.closed_components`."""
    anyway = operators.policy_kernel(game.transition(mean_field), operators.uniform_policy(game))
    return solvers.closed_components(anyway > operators.UNREACHABLE)


def played(game: Game, regularizer: Regularizer, mean_field: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the best response to a mean field, the population after one step of it, and what rounding leaves."""
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    policy = best_response(transition, reward, game.discount, regularizer=regularizer)
    rounding = policy_rounding(
        operators.q_of_decision_process(transition, reward, game.discount, policy=policy, regularizer=regularizer),
        regularizer,
    )
    updated = operators.population_update(game, mean_field, policy)
    return policy, updated / updated.sum(), max(operators.STATIONARITY_TOLERANCE, min(rounding, COARSEST))
