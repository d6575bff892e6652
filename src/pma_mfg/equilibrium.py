"""Exact equilibria and exact exploitability (docs/theory.md, sections 3 and 8).

A mean field Nash equilibrium is a fixed point of PMA at every step size. `solve` iterates PMA and finishes with
Newton's method on the exact Jacobian, then checks the result in four independent ways; where PMA leads nowhere, policy
and population are moved together, the population in damped steps (docs/theory.md, section 3.7). Cost per Newton step:
one Jacobian, a dense system in S (A - 1) unknowns; above `solvers.DIRECT_SIZE` unknowns some ten products with it
(GMRES). Cost per damped step: one policy evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from pma_mfg import jacobian, operators, regularizers, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.features import Table, to_dense
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_mfg.solvers import EPSILON
from pma_mfg.storage import read_arrays, write_arrays
from pma_mfg.theory import lipschitz

#: Step sizes at which a solution's fixed-point residual is reported, in units of 1 / rho.
RESIDUAL_STEP_SIZES = (0.1, 10.0)

#: Step sizes that `solve` tries in turn, in units of 1 / rho: large ones are fast, small ones damp a cycle.
SOLVER_STEP_SIZES = (30.0, 3.0, 0.5, 0.1, 0.02)

#: Before the attempt of this number `solve` follows the equilibrium from a strong regularizer down to the given one,
CONTINUATION = 2

#: at this residual.
CONTINUATION_TOLERANCE = 1e-9

#: Shares of a step that the population makes in the joint iteration of policy and population, tried in turn,
DAMPINGS = (0.5, 0.2, 0.1, 0.05, 0.02)

#: each for so many steps at most,
DAMPED_STEPS = 600

#: and for no more than so many that together do not halve the residual: fewer for the first, after which Newton's
#: method is tried,
DAMPED_PATIENCE = (30, 120)


#: with so many steps remembered by Anderson acceleration,
DAMPED_WINDOW = 10


#: and no probability falling below this share of itself in a step: rewards may have a logarithm of it.
KEPT_SHARE = 0.1

#: Newton steps in the mean field, at most,
NEWTON_STEPS = 100

#: none of them shorter than this share of itself.
SHORTEST_STEP = 1e-3

#: A residual above this is no solution, however far rounding of q / rho goes.
COARSEST = 1e-7

#: Policy iterations after which a step that gains no more than rounding ends `best_response`.
SETTLED = 50

#: Relative residual at which GMRES ends a Newton step: Newton's method gains these digits per step.
NEWTON_FORCING = 1e-4

#: Steps after which `from_population` keeps a Newton step only if it halves the best residual so far: near a saddle
#: steps back and forth could go on for ever.
PATIENCE = 50

#: What is further than this from an equilibrium is none; residuals that are rewards in units of the largest value.
LARGEST_RESIDUAL = 1e-6

#: Updates that the search for other stable populations of a game of functions makes from each start.
OTHER_UPDATES = 20

#: A population that iteration knows less well than this (l1) is said to be.
POPULATION_ERROR = 1e-9

#: Stable populations further apart than this (l1) are different ones.
DISTINCT_POPULATIONS = 1e-6


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A mean field Nash equilibrium of the regularized game, and what it was checked by.

    Parameters
    ----------
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    q : ndarray, shape (S, A)
        Gamma_q(policy, mean_field).
    residuals : dict of str to float
        ``stationarity``: l1 norm of Gamma_pop(mu, pi) - mu. ``bellman``: sup norm of max_u (<u, q> + h(u)) - V.
        ``fixed_point_small_step`` and ``fixed_point_large_step``: sup_s l1 norm of Gamma_eta(pi) - pi at the two step
        sizes `RESIDUAL_STEP_SIZES` / rho. ``exploitability``: of the policy, regularized.
    iterations : int
        PMA and Newton steps taken.
    history : list of float
        The fixed-point residual after each of them.
    warnings : list of str
        What the theory asks of the game and this one does not have: a contraction of the population, one recurrent
        class of states, one stable population (docs/theory.md, section 3.5).
    """

    policy: np.ndarray
    mean_field: np.ndarray
    q: np.ndarray
    residuals: dict[str, float]
    iterations: int
    history: list[float]
    warnings: list[str] = field(default_factory=list)

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal, arrays entry by entry."""
        if not isinstance(other, Equilibrium):
            return NotImplemented
        return all(
            np.array_equal(mine, others) if isinstance(mine, np.ndarray) else mine == others
            for mine, others in ((getattr(self, of.name), getattr(other, of.name)) for of in fields(self))
        )

    __hash__ = None  # type: ignore[assignment]


@accepts(start="policy")
def solve(
    game: Game,
    regularizer: Regularizer,
    start: np.ndarray | None = None,
    tolerance: float = 1e-12,
    max_iterations: int = 2000,
) -> Equilibrium:
    """Find a mean field Nash equilibrium of the regularized game.

    PMA at each of a few step sizes, from large to small, with Newton's method tried along the way; a Newton step is
    kept only if it halves the fixed-point residual. Where large steps lead nowhere, the equilibrium is followed from a
    strong regularizer down to the given one. A step that fails, because a policy on the way has no stable population,
    leads nowhere. At last policy and population are moved together, the population in damped steps, which needs no
    stable population of any policy on the way; this comes earlier for a large game, and first for one of functions,
    since it takes no derivatives (docs/theory.md, section 3.7).

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
    measure = 1.0 / regularizer.rho
    policy = operators.uniform_policy(game) if start is None else start
    reasons: list[str] = []
    try:
        mean_field = operators.stable_population(game, policy)
    except ConvergenceError as error:
        mean_field = np.full(game.n_states, 1.0 / game.n_states)
        reasons.append(f"the policy of the start has no stable population that was found ({error.message})")
    rounding = _rounding(operators.q_values(game, policy, mean_field, regularizer), regularizer)
    tolerance = max(tolerance, min(rounding, COARSEST))
    best_policy, best_residual = policy, _residual(game, policy, measure, regularizer)
    history, joint = [best_residual], np.inf
    patience = 100 if policy.size <= solvers.DIRECT_SIZE else 20  # steps of a large game are dear
    # derivatives of functions are dear, and PMA takes them; products with those of a large game are
    joint_attempt = len(SOLVER_STEP_SIZES)
    if not game.has_features:
        joint_attempt = 0
    elif policy.size > solvers.DIRECT_SIZE:
        joint_attempt = CONTINUATION
    for attempt, multiple in enumerate((*SOLVER_STEP_SIZES, None)):
        policy = best_policy
        if attempt == joint_attempt and history[-1] > tolerance:
            steps = min(DAMPED_STEPS, max_iterations)
            found = _joint(game, regularizer, policy, mean_field, tolerance, steps, history)
            if isinstance(found, Equilibrium):
                return found
            joint = found
            history.append(best_residual)
        if multiple is None:
            break
        if attempt == CONTINUATION and (followed := _branch(game, regularizer)) is not None:
            policy = followed
        for iteration in range(max_iterations):
            if history[-1] <= tolerance:
                return _finished(game, policy, regularizer, history)
            if iteration % 10 == 0:
                policy, residual = _newton(game, policy, measure, regularizer, tolerance, history)
                if residual <= tolerance:
                    return _finished(game, policy, regularizer, history)
            try:
                policy = operators.policy_mirror_ascent(game, policy, multiple / regularizer.rho, regularizer)
            except FAILURES:
                break
            history.append(_residual(game, policy, measure, regularizer))
            if history[-1] < best_residual:
                best_policy, best_residual = policy, history[-1]
            if not history[-1] < np.inf:
                break  # the step leads to a policy without a population: a smaller one may not
            if iteration >= patience and history[-1] > 0.5 * history[-patience]:
                break  # a cycle, or a rate too slow to wait for: a smaller step damps the first
    raise ConvergenceError(
        f"equilibrium.solve: no equilibrium found with {regularizer}: PMA at step sizes "
        f"{', '.join(f'{m / regularizer.rho:g}' for m in SOLVER_STEP_SIZES)} and Newton's method, from the start and "
        f"from the equilibrium of a stronger regularizer, stopped at residual {best_residual:.2e}, the damped "
        f"iteration of policy and population with Newton's method at {joint:.2e}, tolerance {tolerance:g}"
        f"{_too_weak(rounding)}{''.join(f'; {reason}' for reason in reasons)}",
        history,
    )


#: What a computation at one policy may fail with, where another policy does not: that policy leads nowhere.
FAILURES = (ConvergenceError, np.linalg.LinAlgError)


def _branch(game: Game, regularizer: Regularizer) -> np.ndarray | None:
    """Return the end of the branch of equilibria that `_continued` follows; None where it cannot begin."""
    try:
        return _continued(game, regularizer)
    except FAILURES:
        return None


def _joint(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    mean_field: np.ndarray,
    tolerance: float,
    max_iterations: int,
    history: list[float],
) -> Equilibrium | float:
    """Move policy and population together, the population in damped steps; return the equilibrium or a residual.

    (pi, mu) <- (br(Gamma_q(pi, mu)), (1 - beta) mu + beta Gamma_pop(mu, pi)), with Anderson acceleration, for each
    share beta of `DAMPINGS` from the best pair so far; after the first and the last Newton's method in the mean field
    (docs/theory.md, section 3.7). No stable population is computed on the way. The residual is the larger of the l1
    norm of Gamma_pop(mu, pi) - mu and of sup_s the l1 norm of what pi misses its best response by.
    """
    states, shape = game.n_states, policy.shape

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[:states], x[states:].reshape(shape)

    def responses(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_field, policy = parts(x)
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        q = operators.q_of_decision_process(transition, reward, game.discount, policy, regularizer)
        updated = mean_field @ operators.policy_kernel(transition, policy)
        return updated / updated.sum(), regularizer.best_response(q)

    # parts of the game between which nobody moves, whatever the policy, keep their masses
    label, classes = _parts(game, mean_field)
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

    x = np.concatenate([mean_field, policy.ravel()])
    reached = residual(x)
    for beta in DAMPINGS if max_iterations > 0 else ():

        def update(x: np.ndarray, beta: float = beta) -> np.ndarray:
            updated, best = responses(x)
            return np.concatenate([x[:states] + beta * (updated - x[:states]), best.ravel()])

        patience = DAMPED_PATIENCE[beta != DAMPINGS[0]]
        try:
            candidate, gaps = solvers.anderson(
                update, x, beta * tolerance, max_iterations, project, DAMPED_WINDOW, patience
            )
        except np.linalg.LinAlgError:  # nothing finite to extrapolate from
            continue
        history.extend(gaps[1:])
        if (now := residual(candidate)) < reached:
            x, reached = candidate, now
        found = _checked(game, regularizer, parts(x)[1], parts(x)[0], tolerance, history) if reached <= 1e-9 else None
        if found is not None:
            return found
        if beta in (DAMPINGS[0], DAMPINGS[-1]) and game.has_derivatives():
            for near in (parts(x)[0], mean_field):
                near = _newton_in_population(game, regularizer, near, history)
                response = _played(game, regularizer, near)[0]
                if (found := _checked(game, regularizer, response, near, tolerance, history)) is not None:
                    return found
    return reached


def _checked(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    mean_field: np.ndarray,
    tolerance: float,
    history: list[float],
) -> Equilibrium | None:
    """Return the equilibrium of a policy that is best against its stable population, else None.

    That is the one from the uniform start, or the one next to the mean field given.
    """
    for start in (None, mean_field):
        try:
            stable = operators.stable_population(game, policy, start=start)
        except FAILURES:
            continue
        best = regularizer.best_response(operators.q_values(game, policy, stable, regularizer))
        if operators.policy_distance(best, policy) <= tolerance:
            return _finished(game, policy, regularizer, history, stable)
    return None


def _newton_in_population(
    game: Game, regularizer: Regularizer, mean_field: np.ndarray, history: list[float]
) -> np.ndarray:
    """Newton's method for mu = Gamma_pop(mu, pi_mu) with the steps damped by what is left of a step, not of a residual.

    A step of length s is kept if the same matrix then asks for less than 1 - s/2 of it: a test that no scaling of the
    equations changes, where a residual hardly sees the error of a chain that mixes slowly. While a matrix halves its
    own steps it is kept too. The last digits, of small entries too, come from steps with the law of the chain itself
    (docs/theory.md, section 3.7).
    """
    factors, step = None, np.zeros(0)
    policy, updated, _ = _played(game, regularizer, mean_field)
    for _ in range(NEWTON_STEPS):
        fresh = factors is None
        if factors is None:
            derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer)
            factors = lu_factor(np.eye(game.n_states) - _within_classes(derivative, game, mean_field, policy))
            step = lu_solve(factors, updated - mean_field)
        size, share = float(np.abs(step).sum()), 1.0
        if not NEWTON_FORCING * operators.UNSETTLED < size < np.inf:
            break
        while share >= SHORTEST_STEP:
            candidate = np.maximum(mean_field + share * step, KEPT_SHARE * mean_field)
            candidate /= candidate.sum()
            trial = _played(game, regularizer, candidate)
            left = lu_solve(factors, trial[1] - candidate)
            if float(np.abs(left).sum()) <= (1.0 - 0.5 * share) * size:
                break
            share *= 0.5
        else:
            if fresh:
                return mean_field
            factors = None  # as old as it is, it leads nowhere: a new one
            continue
        kept = share == 1.0 and float(np.abs(left).sum()) <= 0.5 * size
        mean_field, (policy, updated, _), step = candidate, trial, left
        factors = factors if kept else None
        history.append(float(np.abs(updated - mean_field).sum()))
    return _newton_in_law(game, regularizer, mean_field)


def _newton_in_law(game: Game, regularizer: Regularizer, mean_field: np.ndarray) -> np.ndarray:
    """Make the last of Newton's steps towards a mean field that is the stationary law of its best response.

    With G that law, D the deviation operator of the chain and K what mu does to the flow, x = G - mu + D(K x): the
    same step, but from a gap that is known to rounding of each entry. Steps are made as long as they halve that gap.
    """

    def law_of(mean_field: np.ndarray) -> tuple[np.ndarray, solvers.Elimination, np.ndarray, float]:
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        policy = best_response(transition, reward, game.discount, regularizer)
        chain = operators.policy_chain(game, mean_field, policy)[0]
        law = chain.law(mean_field)
        return policy, chain, law, operators.relative_distance(mean_field, law)

    policy, chain, law, distance = law_of(mean_field)
    for _ in range(operators.POLISHING):
        derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer)
        push = derivative.T - to_dense(operators.policy_kernel(game.transition(mean_field), policy))
        matrix = np.eye(game.n_states) - chain.deviation(push).T
        if not np.isfinite(matrix).all():
            break
        candidate = np.maximum(mean_field + np.linalg.solve(matrix, law - mean_field), 0.0)
        candidate /= candidate.sum()
        trial = law_of(candidate)
        if not trial[3] <= 0.5 * distance:
            break
        mean_field, (policy, chain, law, distance) = candidate, trial
    return mean_field


def _rounding(q: np.ndarray, regularizer: Regularizer) -> float:
    """Return what rounding leaves of a policy's residual: q is known to some units of its last place, over rho."""
    return 64.0 * EPSILON * float(np.abs(q).max()) / regularizer.rho


def _too_weak(rounding: float) -> str:
    """Return words on why no solution may be found, if that is rounding."""
    if rounding <= COARSEST:
        return ""
    return f"; rewards are so large, or the regularizer so weak, that policies are known to {rounding:.1g} only"


def _continued(game: Game, regularizer: Regularizer) -> np.ndarray | None:
    """Follow the equilibrium from a strong regularizer, under which it is nearly uniform, down to the given one.

    Newton's method at each strength starts from the equilibrium of the last. The strength falls by half, or by less
    where that is too far for Newton's method; None where even a few percent are (the branch has an end, or a kink).
    """
    policy = operators.uniform_policy(game)
    q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer)
    # a strength at which policies are nearly uniform: rho exceeds what values differ by
    per_rho = regularizer.strength / regularizer.rho
    strength, factor = max(2.0 * float(np.ptp(q, axis=1).max()) * per_rho, 2.0 * regularizer.strength), 0.5
    while strength > regularizer.strength:
        lower = regularizers.with_strength(regularizer, max(regularizer.strength, factor * strength))
        try:
            candidate, residual = _newton(game, policy, 1.0 / lower.rho, lower, CONTINUATION_TOLERANCE, [])
        except ConvergenceError:  # no stable population on the way
            residual = np.inf
        if residual <= CONTINUATION_TOLERANCE:
            policy, strength, factor = candidate, lower.strength, max(0.5, factor**2)
        elif (factor := factor**0.5) > 0.98:
            return None
    return policy


def _residual(game: Game, policy: np.ndarray, step_size: float, regularizer: Regularizer) -> float:
    """Return sup_s of the l1 norm of Gamma_eta(pi) - pi; infinite where the policy has no population that is found."""
    try:
        updated = operators.policy_mirror_ascent(game, policy, step_size, regularizer)
    except FAILURES:
        return np.inf
    return operators.policy_distance(updated, policy)


def _newton(
    game: Game,
    policy: np.ndarray,
    step_size: float,
    regularizer: Regularizer,
    tolerance: float,
    history: list[float],
) -> tuple[np.ndarray, float]:
    """Newton's method for Gamma_eta(pi) = pi, while each step at least halves the residual."""
    states, actions = policy.shape
    basis = jacobian.tangent_basis(actions)
    residual = _residual(game, policy, step_size, regularizer)
    while tolerance < residual < np.inf and actions > 1 and game.has_derivatives():
        gap = operators.policy_mirror_ascent(game, policy, step_size, regularizer) - policy
        try:
            if states * (actions - 1) <= solvers.DIRECT_SIZE:
                matrix = np.eye(states * (actions - 1)) - jacobian.jacobian(game, policy, step_size, regularizer)
                step = np.linalg.solve(matrix, (gap @ basis.T).ravel()).reshape(states, actions - 1) @ basis
            else:
                step = _krylov_step(game, policy, step_size, regularizer, gap)
        except FAILURES:
            break
        candidate = np.maximum(policy + step, 0.1 * policy)  # stay in the simplex, off its boundary
        candidate /= candidate.sum(axis=1, keepdims=True)
        candidate_residual = _residual(game, candidate, step_size, regularizer)
        if not candidate_residual <= 0.5 * residual:
            break
        policy, residual = candidate, candidate_residual
        history.append(residual)
    return policy, residual


def _krylov_step(
    game: Game, policy: np.ndarray, step_size: float, regularizer: Regularizer, gap: np.ndarray
) -> np.ndarray:
    """Solve (I - J) x = gap by products with J; GMRES stays in the tangent space that gap lies in."""
    product = jacobian.jacobian_product(game, policy, step_size, regularizer, tolerance=1e-2 * NEWTON_FORCING)

    def minus_jacobian(x: np.ndarray) -> np.ndarray:
        return np.asarray(x - product(x.reshape(policy.shape)).ravel())

    return solvers.krylov_solve(minus_jacobian, gap.ravel(), NEWTON_FORCING, max_iterations=100).reshape(policy.shape)


@accepts()
def from_population(
    game: Game, regularizer: Regularizer, mean_field: np.ndarray, max_iterations: int = 200
) -> Equilibrium:
    """Find an equilibrium near a mean field, stable under PMA or not: a fixed point of mu -> Gamma_pop(mu, pi_mu).

    pi_mu is the regularized best response to mu. Newton's method, of whose steps those that halve the residual are
    kept (after `PATIENCE` steps: the best residual so far); in place of the others the population goes half a step of
    pi_mu (docs/theory.md, section 14.2). A mean field that belongs to an equilibrium is kept, also where the policy has
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
    policy, updated, tolerance = _played(game, regularizer, mean_field)
    history = [float(np.abs(updated - mean_field).sum())]
    while history[-1] > tolerance and len(history) <= max_iterations:
        derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer)
        derivative = _within_classes(derivative, game, mean_field, policy)
        try:
            step = np.linalg.solve(np.eye(game.n_states) - derivative, updated - mean_field)
        except np.linalg.LinAlgError:
            step = np.zeros(game.n_states)
        candidate = np.maximum(mean_field + step, 0.0)
        candidate /= candidate.sum()
        trial = _played(game, regularizer, candidate)
        residual = float(np.abs(trial[1] - candidate).sum())
        if not residual <= 0.5 * (history[-1] if len(history) <= PATIENCE else min(history)):
            candidate = 0.5 * (mean_field + updated)
            trial = _played(game, regularizer, candidate)
            residual = float(np.abs(trial[1] - candidate).sum())
        mean_field, (policy, updated, tolerance) = candidate, trial
        history.append(residual)
    if history[-1] > tolerance:
        raise ConvergenceError(
            f"equilibrium.from_population: no equilibrium found with {regularizer}: residual {min(history):.2e} at "
            f"best, tolerance {tolerance:.2g}",
            history,
        )
    return _finished(game, policy, regularizer, history, mean_field)


def _within_classes(derivative: np.ndarray, game: Game, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return a Jacobian of the population without what it adds to the mass of each recurrent class (section 3.2).

    Transient states count with the class of the part of the game that they are in, if that has one class only.
    """
    transition = game.transition(mean_field)
    label, count = solvers.closed_components(operators.policy_kernel(transition, policy) > operators.UNREACHABLE)
    if count > 1 and label.min() < 0:
        part, parts = _parts(game, mean_field)
        label = part if parts == count and part.min() >= 0 else label
    if count == 1:  # the total mass
        label = np.zeros(game.n_states, dtype=np.int64)
    for c in range(count):
        derivative[label == c] -= derivative[label == c].sum(axis=0) / np.count_nonzero(label == c)
    return derivative


def _parts(game: Game, mean_field: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the parts of a game between which nobody moves, whatever the policy, as `solvers.closed_components`."""
    anyway = operators.policy_kernel(game.transition(mean_field), operators.uniform_policy(game))
    return solvers.closed_components(anyway > operators.UNREACHABLE)


def _played(game: Game, regularizer: Regularizer, mean_field: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the best response to a mean field, the population after one step of it, and what rounding leaves."""
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    policy = best_response(transition, reward, game.discount, regularizer)
    rounding = _rounding(
        operators.q_of_decision_process(transition, reward, game.discount, policy, regularizer), regularizer
    )
    updated = operators.population_update(game, mean_field, policy)
    return policy, updated / updated.sum(), max(operators.STATIONARITY_TOLERANCE, min(rounding, COARSEST))


def _finished(
    game: Game, policy: np.ndarray, regularizer: Regularizer, history: list[float], mean_field: np.ndarray | None = None
) -> Equilibrium:
    if mean_field is None:
        mean_field = operators.stable_population(game, policy)
    return Equilibrium(
        policy=policy,
        mean_field=mean_field,
        q=operators.q_values(game, policy, mean_field, regularizer),
        residuals=residuals(game, policy, mean_field, regularizer),
        iterations=len(history) - 1,
        history=history,
        warnings=shortcomings(game, policy, mean_field),
    )


@accepts()
def shortcomings(game: Game, policy: np.ndarray, mean_field: np.ndarray) -> list[str]:
    """Say which conditions of the theory a game with this policy lacks, in words (docs/theory.md, section 3.5).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
        A stable population of the policy.

    Returns
    -------
    list of str
        Empty if the population update is a contraction and every state is visited for ever.
    """
    found = []
    L_pop = np.inf
    if not game.has_features:  # an estimate takes minutes where a solution takes a second
        found.append("of a contraction of the population nothing is known: `pma-mfg validate` estimates L_pop")
    else:
        L_pop, kind = lipschitz.population_contraction(game)
        if L_pop >= 1.0:
            found.append(f"no contraction of the population is guaranteed: L_pop = {L_pop:.3g} ({kind}) is not below 1")
    kernel = operators.policy_kernel(game.transition(mean_field), policy)
    classes = operators.recurrent_classes(kernel)
    # several classes have several laws, of which the estimate would say that they are far apart
    if game.n_states > solvers.DIRECT_SIZE and len(classes) == 1:
        error = operators.population_error(kernel, mean_field)
        if error > POPULATION_ERROR:
            found.append(
                f"the chain of the policy mixes slowly: the population, found by iteration, may be off by {error:.1g} "
                "(l1)"
            )
    transient = np.setdiff1d(np.arange(game.n_states), np.concatenate(classes))
    if len(classes) > 1:
        found.append(
            f"the stable population is not unique: the chain of the policy has {operators.named_classes(classes)}; "
            "each carries one"
        )
    if len(transient):
        shown = ", ".join(map(str, transient[:6])) + (", ..." if len(transient) > 6 else "")
        found.append(f"{len(transient)} of {game.n_states} states are left for good (transient): {shown}")
    if L_pop >= 1.0 and game.depends_on_population:
        found += _other_populations(game, policy, mean_field)
    return found


def _other_populations(game: Game, policy: np.ndarray, mean_field: np.ndarray) -> list[str]:
    """Look for stable populations other than `mean_field` from a few starts, corners and random ones.

    For a game of functions, where every call is dear: by `OTHER_UPDATES` updates from two corners, if transitions
    depend on the mean field at all.
    """
    size = game.n_states
    if not game.has_features:
        transition, update = game.transition(mean_field), operators.population_map(game, policy)
        for z in (0, size - 1):
            corner = np.bincount([z], minlength=size).astype(float)
            if np.array_equal(game.transition(corner), transition):
                continue
            other, history = solvers.anderson(update, corner, operators.STATIONARITY_TOLERANCE, OTHER_UPDATES)
            distance = float(np.abs(other - mean_field).sum())
            if history[-1] <= operators.STATIONARITY_TOLERANCE and distance > DISTINCT_POPULATIONS:
                return [_several_populations(f"state {z}", distance)]
        return []
    corners = np.unique(np.linspace(0, size - 1, 4).astype(int))
    starts = {f"state {z}": np.bincount([z], minlength=size).astype(float) for z in corners}
    drawn = np.random.default_rng(0).dirichlet(np.full(size, 0.2), size=4)
    starts |= {f"random distribution {i}": start for i, start in enumerate(drawn)}
    for name, start in starts.items():
        try:
            other = operators.stable_population(game, policy, start=start, max_iterations=1000)
        except ConvergenceError as error:
            return [f"the population does not settle from every start: from {name}, {error.message}"]
        distance = float(np.abs(other - mean_field).sum())
        if distance > DISTINCT_POPULATIONS:
            return [_several_populations(name, distance)]
    return []


def _several_populations(name: str, distance: float) -> str:
    return (
        f"the policy has several stable populations: the one reached from {name} is {distance:.2g} (l1) from the one "
        "returned"
    )


@accepts()
def residuals(game: Game, policy: np.ndarray, mean_field: np.ndarray, regularizer: Regularizer) -> dict[str, float]:
    """Return every residual of a candidate equilibrium, by the names in `Equilibrium`.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    regularizer : Regularizer

    Returns
    -------
    dict of str to float
    """
    q = operators.q_values(game, policy, mean_field, regularizer)
    achieved = (policy * q).sum(axis=1) + regularizer.value(policy)
    small, large = (
        operators.policy_distance(
            operators.mirror_ascent_step(q, policy, multiple / regularizer.rho, regularizer), policy
        )
        for multiple in RESIDUAL_STEP_SIZES
    )
    return {
        "stationarity": float(np.abs(operators.population_update(game, mean_field, policy) - mean_field).sum()),
        "bellman": float(np.abs(regularizer.optimum(q) - achieved).max()),
        "fixed_point_small_step": small,
        "fixed_point_large_step": large,
        "exploitability": exploitability(game, policy, regularizer, mean_field),
    }


@accepts()
def exploitability(
    game: Game, policy: np.ndarray, regularizer: Regularizer | None = None, mean_field: np.ndarray | None = None
) -> float:
    """Return max_pi' V(pi', mu_pi) - V(pi, mu_pi), both averaged over s_0 ~ mu_pi, the population frozen at mu_pi.

    Exact: the best response comes from policy iteration, and the difference is computed from one-step advantages,
    V* - V = (I - gamma P_{pi*})^{-1} (T_{pi*} V - V), which loses no digits to cancellation (docs/theory.md, section
    8).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer, optional
        None means the unregularized exploitability, h = 0.
    mean_field : ndarray, shape (S,), optional
        The stable population, where the policy has several; that of `operators.stable_population` by default.

    Returns
    -------
    float
        >= 0 up to rounding.

    Examples
    --------
    >>> from pma_mfg import games, operators
    >>> game = games.make("crowd_averse", n_states=5, n_actions=3, discount=0.9, seed=1)
    >>> round(exploitability(game, operators.uniform_policy(game)), 3)
    2.363
    """
    if mean_field is None:
        mean_field = operators.stable_population(game, policy)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    best = best_response(transition, reward, game.discount, regularizer)
    q = operators.q_of_decision_process(transition, reward, game.discount, policy, regularizer)
    advantage = ((best - policy) * q).sum(axis=1)
    if regularizer is not None:
        advantage = advantage + regularizer.value(best) - regularizer.value(policy)
    kernel = operators.policy_kernel(transition, best)
    gain = solvers.discounted_sum(kernel, game.discount, advantage)
    return float(mean_field @ gain)


@accepts(transition="table", reward="table")
def best_response(
    transition: Table, reward: np.ndarray, discount: float, regularizer: Regularizer | None = None
) -> np.ndarray:
    """Return an optimal policy of the decision process with a frozen mean field, by policy iteration.

    Parameters
    ----------
    transition : ndarray, shape (S, A, S), or csr_array, shape (S A, S)
    reward : ndarray, shape (S, A)
    discount : float
    regularizer : Regularizer, optional
        None gives a deterministic policy, by Howard's algorithm.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    ConvergenceError
        If 1000 policy iterations do not suffice (the convergence is quadratic, or finite without a regularizer).
    """
    states, actions = reward.shape
    policy = np.full((states, actions), 1.0 / actions)
    history: list[float] = []
    for _ in range(1000):
        q = operators.q_of_decision_process(transition, reward, discount, policy, regularizer)
        if regularizer is None:
            # keep the present action unless another is better by more than rounding: no cycling between ties
            held = (policy * q).sum(axis=1, keepdims=True)
            rounding = 1e-13 * float(np.abs(q).max())
            greedy = np.eye(actions)[q.argmax(axis=1)]
            improved = np.where((q.max(axis=1, keepdims=True) > held + rounding), greedy, policy)
        else:
            improved = regularizer.best_response(q)
        history.append(operators.policy_distance(improved, policy))
        # actions that tie next to rho, up to rounding: policies go on changing, their values do not
        tied = regularizer is not None and len(history) > SETTLED and _gain(q, policy, regularizer) <= 0.0
        policy = improved
        if tied or history[-1] <= 1e-14 or (len(history) > 5 and history[-1] >= history[-2] and history[-1] <= 1e-9):
            return policy
    raise ConvergenceError("equilibrium.best_response: policy iteration did not settle", history)


def _gain(q: np.ndarray, policy: np.ndarray, regularizer: Regularizer) -> float:
    """Return by how much the best response to q improves on a policy at the next step, beyond rounding."""
    gain = regularizer.optimum(q) - (policy * q).sum(axis=1) - regularizer.value(policy)
    return float(gain.max()) - 64.0 * EPSILON * (float(np.abs(q).max()) + _size(regularizer, policy))


def _size(regularizer: Regularizer, policy: np.ndarray) -> float:
    """Return the size of h next to which rounding counts: its span, or where that is infinite what it is here."""
    span = regularizer.span(policy.shape[1])
    return span if np.isfinite(span) else float(np.abs(regularizer.value(policy)).max())


def save(equilibrium: Equilibrium, regularizer: Regularizer, path: str | Path) -> None:
    """Write an equilibrium and the name and strength of the regularizer it belongs to as ``.npz``.

    Of a regularizer of the user's own the file holds no code: `load` is given it again.

    Parameters
    ----------
    equilibrium : Equilibrium
    regularizer : Regularizer
    path : path-like
    """
    arrays = {name: getattr(equilibrium, name) for name in ("policy", "mean_field", "q")}
    arrays["history"] = np.asarray(equilibrium.history)
    metadata = {
        "regularizer": regularizers.name_of(regularizer),
        "strength": regularizer.strength,
        "residuals": equilibrium.residuals,
        "iterations": equilibrium.iterations,
        "warnings": equilibrium.warnings,
    }
    write_arrays(path, arrays, metadata)


_WRITTEN = "an equilibrium written by `pma-mfg solve`"

#: What the file of an equilibrium holds: entries of its metadata, and arrays with their shapes.
_METADATA: dict[str, Any] = {"regularizer": str, "strength": float | int, "residuals": dict, "iterations": int}

_SHAPES: dict[str, Callable[[Game], tuple[int, ...] | None]] = {
    "policy": lambda game: (game.n_states, game.n_actions),
    "mean_field": lambda game: (game.n_states,),
    "q": lambda game: (game.n_states, game.n_actions),
    "history": lambda game: None,
}


def recorded_regularizer(path: str | Path) -> tuple[str, float]:
    """Return the name (`regularizers.name_of`) and the strength of the regularizer of an equilibrium's file."""
    _, metadata = read_arrays(path)
    for name in ("regularizer", "strength"):
        if name not in metadata:
            raise InputError(str(path), name, Description("nothing"), _WRITTEN)
        if not isinstance(metadata[name], _METADATA[name]):
            raise InputError(str(path), f"metadata: {name}", metadata[name], _WRITTEN)
    return metadata["regularizer"], float(metadata["strength"])


def load(path: str | Path, game: Game, regularizer: Regularizer | None = None) -> tuple[Equilibrium, Regularizer]:
    """Read an equilibrium of `game` and its regularizer.

    Parameters
    ----------
    path : path-like
    game : Game
    regularizer : Regularizer, optional
        What the equilibrium belongs to, needed if it is neither the entropy nor the quadratic; that it does is checked
        by the residuals.

    Returns
    -------
    equilibrium : Equilibrium
    regularizer : Regularizer

    Raises
    ------
    InputError
        If the file is damaged, is not an equilibrium of this game (its residuals are computed afresh), or belongs to a
        regularizer of the user's own that was not given.
    """
    source = str(path)
    arrays, metadata = read_arrays(path)
    written = _WRITTEN
    for name in (*_METADATA, *_SHAPES):
        if name not in metadata and name not in arrays:
            raise InputError(source, name, Description("nothing"), written)
    for name, kind in _METADATA.items():
        if not isinstance(metadata[name], kind):
            raise InputError(source, f"metadata: {name}", metadata[name], written)
    for name, shape in _SHAPES.items():
        wanted, array = shape(game), arrays[name]
        if array.dtype != np.float64 or (wanted is not None and array.shape != wanted) or not np.isfinite(array).all():
            shown = Description(f"shape {array.shape} of type {array.dtype}")
            raise InputError(source, name, shown, f"finite floats of 64 bits, shape {wanted or '(iterations,)'}")
    if regularizer is None:
        try:
            regularizer = regularizers.make(metadata["regularizer"], metadata["strength"])
        except InputError as error:
            allowed = f"{error.allowed}; one of your own is to be given: equilibrium.load(path, game, regularizer)"
            allowed = error.allowed if error.field == "strength" else allowed
            raise InputError(source, f"metadata: {error.field}", error.value, allowed) from None
    policy, mean_field = arrays["policy"], arrays["mean_field"]
    for name, rows in (("policy", policy), ("mean_field", mean_field)):
        if rows.min() < -LARGEST_RESIDUAL or np.abs(rows.sum(axis=-1) - 1.0).max() > LARGEST_RESIDUAL:
            raise InputError(source, name, Description("something else"), "probabilities that sum to 1")
    # those in units of rewards are small next to values, not to 1
    values = np.abs(operators.q_values(game, policy, mean_field, regularizer)).max()
    units = dict.fromkeys(("bellman", "exploitability"), max(1.0, float(values), _size(regularizer, policy)))
    again = residuals(game, policy, mean_field, regularizer)
    worst = max(abs(value) / units.get(name, 1.0) for name, value in again.items())
    if not worst <= LARGEST_RESIDUAL:
        allowed = f"an equilibrium of this very game (residuals below {LARGEST_RESIDUAL:g})"
        raise InputError(source, "residuals", worst, allowed)
    history, warnings = arrays["history"].tolist(), metadata.get("warnings", [])
    told = metadata["residuals"], metadata["iterations"], history, warnings
    return Equilibrium(policy, mean_field, arrays["q"], *told), regularizer
