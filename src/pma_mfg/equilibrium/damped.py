"""Damped joint iteration of policy and population (docs/theory, section 3.7).

(pi, mu) <- (br(Gamma_q(pi, mu)), (1 - beta) mu + beta Gamma_pop(mu, pi)) for shares beta from large to small, with
Anderson acceleration: it needs no stable population of any policy on the way, and no derivative.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.equilibrium.newton_in_population import KEPT_SHARE, newton_in_population, played, separate_parts
from pma_mfg.equilibrium.solution import FAILURES, Equilibrium, finished
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: Damping factors beta of the population, tried in turn.
DAMPINGS = (0.5, 0.2, 0.1, 0.05, 0.02)

#: Largest number of damped steps with each factor.
DAMPED_STEPS = 600

#: Number of steps after which a factor is given up if they did not halve the residual: of the first factor, after
#: which Newton's method is tried, and of the others.
DAMPED_PATIENCE = (30, 120)

#: Number of previous steps that Anderson acceleration uses.
DAMPED_WINDOW = 10

#: Residual of a pair of policy and population below which it is examined whether it is an equilibrium.
NEARLY = 1e-9


def damped_iteration(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    mean_field: np.ndarray,
    tolerance: float,
    max_iterations: int,
    history: list[float],
) -> Equilibrium | tuple[float, str]:
    """Move policy and population together, the population in damped steps; return the equilibrium, or how far it came.

    (pi, mu) <- (br(Gamma_q(pi, mu)), (1 - beta) mu + beta Gamma_pop(mu, pi)), with Anderson acceleration, for each
    share beta of `DAMPINGS` from the best pair so far; after the first and the last Newton's method in the mean field
    (docs/theory, section 3.7). No stable population is computed on the way. The residual is the larger of the l1
    norm of Gamma_pop(mu, pi) - mu and of sup_s the l1 norm of what pi misses its best response by. With it comes why a
    pair of small residual is no equilibrium, or "".
    """
    states, shape = game.n_states, policy.shape

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[:states], x[states:].reshape(shape)

    def responses(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_field, policy = parts(x)
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        q = operators.q_of_decision_process(transition, reward, game.discount, policy=policy, regularizer=regularizer)
        updated = mean_field @ operators.policy_kernel(transition, policy)
        return updated / updated.sum(), regularizer.best_response(q)

    # parts of the game between which nobody moves, whatever the policy, keep their masses
    label, classes = separate_parts(game, mean_field)
    apart = classes > 1 and label.min() >= 0
    masses = np.bincount(label, mean_field) if apart else np.ones(1)

    def project(candidate: np.ndarray, x: np.ndarray) -> np.ndarray:
        mean_field, policy = parts(np.maximum(candidate, KEPT_SHARE * x))
        if apart:
            mean_field = mean_field * (masses / np.maximum(np.bincount(label, mean_field), solvers.TINY))[label]
        policy = policy / policy.sum(axis=1, keepdims=True)
        return np.concatenate([mean_field / mean_field.sum(), policy.ravel()])

    def residual(x: np.ndarray) -> float:
        (mean_field, policy), (updated, best) = parts(x), responses(x)
        return max(float(np.abs(updated - mean_field).sum()), operators.policy_distance(best, policy))

    x, why = np.concatenate([mean_field, policy.ravel()]), ""
    reached = residual(x)
    for beta in DAMPINGS if max_iterations > 0 else ():

        def update(x: np.ndarray, beta: float = beta) -> np.ndarray:
            updated, best = responses(x)
            return np.concatenate([x[:states] + beta * (updated - x[:states]), best.ravel()])

        patience = DAMPED_PATIENCE[beta != DAMPINGS[0]]
        try:
            candidate, gaps = solvers.anderson(
                update,
                x,
                beta * tolerance,
                max_iterations=max_iterations,
                project=project,
                window=DAMPED_WINDOW,
                patience=patience,
            )
        except np.linalg.LinAlgError:  # nothing finite to extrapolate from
            continue
        history.extend(gaps[1:])
        if (now := residual(candidate)) < reached:
            x, reached = candidate, now
        if reached <= NEARLY:
            found = checked(
                game, regularizer, parts(x)[1], mean_field=parts(x)[0], tolerance=tolerance, history=history
            )
            if isinstance(found, Equilibrium):
                return found
            why = (
                f"the policy of the pair at {reached:.2e} has no stable population that can be told ({found})"
                if found
                else ""
            )
        if beta in (DAMPINGS[0], DAMPINGS[-1]) and game.has_derivatives():
            starts = (parts(x)[0], mean_field)
            solved = _by_newton(game, regularizer, starts, tolerance=tolerance, history=history)
            if solved is not None:
                return solved
    return reached, why


def _by_newton(
    game: Game, regularizer: Regularizer, starts: Iterable[np.ndarray], *, tolerance: float, history: list[float]
) -> Equilibrium | None:
    """Return the first equilibrium to which Newton's method leads from some mean fields, None where none does."""
    for start in starts:
        near = newton_in_population(game, regularizer, start, history=history)
        response = played(game, regularizer, near)[0]
        found = checked(game, regularizer, response, mean_field=near, tolerance=tolerance, history=history)
        if isinstance(found, Equilibrium):
            return found
    return None


def checked(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    mean_field: np.ndarray,
    tolerance: float,
    history: list[float],
) -> Equilibrium | str:
    """Return the equilibrium of a policy that is best against its stable population, else why it has none, or "".

    That is the one from the uniform start, or the one next to the mean field given.
    """
    why = ""
    for start in (None, mean_field):
        try:
            stable = operators.stable_population(game, policy, start=start)
        except FAILURES as error:
            why = getattr(error, "message", str(error))
            continue
        best = regularizer.best_response(operators.q_values(game, policy, stable, regularizer=regularizer))
        if operators.policy_distance(best, policy) <= tolerance:
            return finished(game, policy, regularizer, history=history, mean_field=stable)
    return why
