"""The search for an equilibrium: PMA, Newton's method, continuation, the damped iteration and the flow in turn.

An equilibrium is a fixed point of PMA at every step size (docs/theory, section 3.7). Cost per Newton step: one
Jacobian and a dense system in S (A - 1) unknowns; above `solvers.DIRECT_SIZE` unknowns some ten products with it
(GMRES). Cost per damped step: one policy evaluation.
"""

from __future__ import annotations

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.equilibrium.best_responses import best_response
from pma_mfg.equilibrium.continuation import branch
from pma_mfg.equilibrium.damped import DAMPED_STEPS, NEARLY, checked, damped_iteration
from pma_mfg.equilibrium.flow import implicit_flow
from pma_mfg.equilibrium.newton_in_policy import POLISHED_SIZE, fixed_point_residual, newton
from pma_mfg.equilibrium.newton_in_population import played, separate_parts
from pma_mfg.equilibrium.solution import COARSEST, FAILURES, Equilibrium, finished, policy_rounding
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.features import to_dense
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Entropy, Regularizer

#: Step sizes that `solve` tries in turn, in units of 1 / rho: large ones are fast, small ones damp cycles.
SOLVER_STEP_SIZES = (30.0, 3.0, 0.5, 0.1, 0.02)

#: Index in `SOLVER_STEP_SIZES` before which `solve` follows the equilibrium from a strong regularizer to the given one.
CONTINUATION = 2

#: Distance of two policies from which on they are two equilibria: ten times what a coarse tolerance of `solve` allows.
ANOTHER = 10.0 * COARSEST


@accepts(start="policy")
def solve(
    game: Game,
    regularizer: Regularizer,
    start: np.ndarray | None = None,
    *,
    tolerance: float = 1e-12,
    max_iterations: int = 2000,
) -> Equilibrium:
    """Find a mean field Nash equilibrium of the regularized game.

    PMA at each of a few step sizes, from large to small, with Newton's method tried along the way; a Newton step is
    kept only if it halves the fixed-point residual. Where large steps lead nowhere, the equilibrium is followed from a
    strong regularizer down to the given one. A step that fails, because a policy on the way has no stable population,
    leads nowhere. At last policy and population are moved together, the population in damped steps, which needs no
    stable population of any policy on the way; this comes earlier for a large game, and first for one of functions,
    since it takes no derivatives. What is left is tried by implicit steps of the population (docs/theory, section
    3.7).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    start : ndarray, shape (S, A), optional
        Uniform by default. Which equilibrium is found may depend on it when there are several.
    tolerance : float
        On sup_s ||Gamma_eta(pi)(s) - pi(s)||_1 at eta = 1 / rho; raised to the rounding error of q / rho if that is
        more, up to 1e-7.
    max_iterations : int
        PMA steps per step size.

    Returns
    -------
    Equilibrium

    Raises
    ------
    ConvergenceError
        With the history of residuals, if none of these leads to an equilibrium: what was tried, how far it came, and
        what is known of the reason.

    Examples
    --------
    >>> from pma_mfg import games
    >>> from pma_mfg.regularizers import Entropy
    >>> game = games.make("planted_smooth", n_states=4, n_actions=3, discount=0.9, seed=0, strength=0.1)
    >>> found = solve(game, Entropy(0.1))
    >>> bool(abs(found.policy - game.planted.policy).max() < 1e-10)
    True
    """
    policy = operators.uniform_policy(game) if start is None else start
    reasons: list[str] = []
    try:
        mean_field = operators.stable_population(game, policy)
    except ConvergenceError as error:
        mean_field = np.full(game.n_states, 1.0 / game.n_states)
        reasons.append(f"the policy of the start has no stable population that was found ({error.message})")
    rounding = policy_rounding(operators.q_values(game, policy, mean_field, regularizer=regularizer), regularizer)
    tolerance = max(tolerance, min(rounding, COARSEST))
    best = policy, fixed_point_residual(game, policy, 1.0 / regularizer.rho, regularizer=regularizer)
    history, joint = [best[1]], np.inf
    # PMA takes derivatives, which are expensive in a game of functions; in a large game products with them are
    joint_attempt = len(SOLVER_STEP_SIZES)
    if not game.has_features:
        joint_attempt = 0
    elif policy.size > solvers.DIRECT_SIZE:
        joint_attempt = 1
    stuck: np.ndarray | None = None  # the last policy from which Newton's method led nowhere
    for attempt, multiple in enumerate((*SOLVER_STEP_SIZES, None)):
        policy = best[0]
        if attempt == joint_attempt and history[-1] > tolerance:
            steps = min(DAMPED_STEPS, max_iterations)
            found = damped_iteration(
                game,
                regularizer,
                policy,
                mean_field=mean_field,
                tolerance=tolerance,
                max_iterations=steps,
                history=history,
            )
            if isinstance(found, Equilibrium):
                return found
            joint, why = found
            reasons += [why] if why else []
            history.append(best[1])
        if multiple is None:
            break
        if attempt == CONTINUATION and (followed := branch(game, regularizer)) is not None:
            policy = followed
        reached, best, stuck = _pma_and_newton(
            game,
            regularizer,
            policy,
            step_size=multiple / regularizer.rho,
            best=best,
            stuck=stuck,
            tolerance=tolerance,
            max_iterations=max_iterations,
            history=history,
        )
        if reached is not None:
            return reached
    last, flow, end = _by_flow(game, regularizer, mean_field, tolerance, max_iterations, history)
    if last is not None:
        return last
    reasons += [why] if (why := _lost_in_rounding(game, regularizer, end, flow)) else []
    history.append(best[1])
    raise ConvergenceError(
        f"equilibrium.solve: no equilibrium found with {regularizer}: PMA at step sizes "
        f"{', '.join(f'{m / regularizer.rho:g}' for m in SOLVER_STEP_SIZES)} and Newton's method, from the start and "
        f"from the equilibrium of a stronger regularizer, stopped at residual {best[1]:.2e}, the damped "
        f"iteration of policy and population with Newton's method at {joint:.2e}, implicit steps of the population at "
        f"{flow:.2e}, tolerance {tolerance:g}"
        f"{_too_weak(rounding)}{''.join(f'; {reason}' for reason in reasons)}",
        history,
    )


@accepts(start="policy")
def planted_or_found(
    game: Game, regularizer: Regularizer, start: np.ndarray | None = None, *, max_iterations: int = 2000
) -> Equilibrium:
    """Return the equilibrium that a game was made for, or else the one that `solve` finds.

    A game may have several equilibria, as where agents seek the crowd, and `solve` finds the one that PMA leads to,
    which need not be the planted one. What is asked of a planted game is asked of its planted equilibrium.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    start : ndarray, shape (S, A), optional
        Of the search; uniform by default.
    max_iterations : int
        Of `solve`.

    Returns
    -------
    Equilibrium
        The planted one if the game stores one of this regularizer, an entropy of the strength that it was planted with.

    Raises
    ------
    ConvergenceError
        Of `solve`.

    Examples
    --------
    >>> from pma_mfg import games
    >>> from pma_mfg.regularizers import Entropy
    >>> wanted = {"strength": 0.1, "best_response_radius": 1.5, "channel": "rewards", "sign": "seeking"}
    >>> game = games.make("planted_coupled", n_states=5, n_actions=3, discount=0.8, seed=0, **wanted)
    >>> for find in (solve, planted_or_found):
    ...     print(f"{abs(find(game, Entropy(0.1)).policy - game.planted.policy).max():.1f}")
    0.5
    0.0
    """
    planted = game.planted if isinstance(game, MeanFieldGame) else None
    if planted is None or not isinstance(regularizer, Entropy) or regularizer.strength != planted.strength:
        return solve(game, regularizer, start, max_iterations=max_iterations)
    found = solve(game, regularizer, start, max_iterations=max_iterations)
    if operators.policy_distance(found.policy, planted.policy) <= ANOTHER:
        return found  # and not another path to the same, which ends at other last bits
    return solve(game, regularizer, planted.policy, max_iterations=max_iterations)


def _pma_and_newton(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    step_size: float,
    best: tuple[np.ndarray, float],
    stuck: np.ndarray | None,
    tolerance: float,
    max_iterations: int,
    history: list[float],
) -> tuple[Equilibrium | None, tuple[np.ndarray, float], np.ndarray | None]:
    """Take PMA steps of one size, and before every tenth try Newton's method.

    Returns the equilibrium if it is found, the policy of the smallest residual so far with that residual, and the last
    policy from which Newton's method led nowhere.
    """
    measure = 1.0 / regularizer.rho
    patience = 100 if policy.size <= solvers.DIRECT_SIZE else 20  # steps of a large game are expensive
    for iteration in range(max_iterations):
        if history[-1] <= tolerance:
            return finished(game, policy, regularizer, history=history), best, stuck
        if iteration % 10 == 0 and policy is not stuck:
            stuck = policy
            policy, residual = newton(
                game, policy, measure, regularizer=regularizer, tolerance=tolerance, history=history
            )
            if residual <= tolerance:
                return finished(game, policy, regularizer, history=history), best, stuck
        try:
            policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
        except FAILURES:
            break
        history.append(fixed_point_residual(game, policy, measure, regularizer=regularizer))
        if history[-1] < best[1]:
            best = policy, history[-1]
        if not history[-1] < np.inf:
            break  # the step leads to a policy without a population: a smaller one may not
        if iteration >= patience and history[-1] > 0.5 * history[-patience]:
            break  # a cycle, or a rate too slow to wait for: a smaller step damps the first
    return None, best, stuck


def _by_flow(
    game: Game,
    regularizer: Regularizer,
    mean_field: np.ndarray,
    tolerance: float,
    max_iterations: int,
    history: list[float],
) -> tuple[Equilibrium | None, float, np.ndarray]:
    """Return the equilibrium at the end of the flow of the population, if there is one, the gap at that end, and it."""
    end, gap = mean_field, np.inf
    if max_iterations == 0 or not game.has_derivatives():
        return None, gap, end
    try:
        end, gap = implicit_flow(game, regularizer, mean_field, max_iterations=max_iterations, history=history)
        policy = played(game, regularizer, end)[0]
    except FAILURES:
        return None, gap, end
    found = checked(game, regularizer, policy, mean_field=end, tolerance=tolerance, history=history)
    if isinstance(found, Equilibrium) or gap > NEARLY:
        return (found if isinstance(found, Equilibrium) else None), gap, end
    # small probabilities, which small masses depend on, are known better than a best response is
    policy, residual = newton(
        game,
        policy,
        1.0 / regularizer.rho,
        regularizer=regularizer,
        tolerance=tolerance,
        history=history,
        direct_size=POLISHED_SIZE,
    )
    return (finished(game, policy, regularizer, history=history) if residual <= tolerance else None), gap, end


def _lost_in_rounding(game: Game, regularizer: Regularizer, mean_field: np.ndarray, gap: float) -> str:
    """Return words on groups of states that exchange no more agents than the gap at the end of the flow."""
    if gap > COARSEST:
        return ""
    transition = game.transition(mean_field)
    policy = best_response(transition, game.reward(mean_field), game.discount, regularizer=regularizer)
    least = max(gap, solvers.EPSILON)
    kernel, held = operators.policy_kernel(transition, policy), np.flatnonzero(mean_field > least)
    flows = mean_field[held, None] * to_dense(kernel[held][:, held])
    label, count = solvers.closed_components(flows > least)
    if count <= separate_parts(game, mean_field)[1]:
        return ""
    groups = operators.named_classes([held[label == group] for group in range(count)])
    return (
        f"there fewer than {least:.1g} of the agents move between {groups}: rounding decides how these share the "
        "population, and no equilibrium can be told from its neighbours (docs/theory, section 3.7)"
    )


def _too_weak(rounding: float) -> str:
    """Return words on why no solution may be found, if that is rounding."""
    if rounding <= COARSEST:
        return ""
    return f"; rewards are so large, or the regularizer so weak, that policies are known to {rounding:.1g} only"
