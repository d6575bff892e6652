"""From the end of the path to an equilibrium without a regularizer (docs/theory, section 19.5).

The actions that tie next to the end of the path are taken as a support. Policy, mean field and values are then the
solution of polynomial equations: every action of the support is worth as much as the state, and the mean field is
stationary. Supports are tried from the likeliest on; the one is taken whose solution is an equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.equilibrium.best_responses import exploitability
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer, with_strength

#: Residual, relative to the size of Q, up to which a solution is an equilibrium of the game without a regularizer.
POLISHED = 1e-10

#: Newton steps for one support, and supports that are tried.
STEPS, SUPPORTS = 30, 40


@dataclass(frozen=True, eq=False)
class Polished:
    """An equilibrium of the game without a regularizer.

    Parameters
    ----------
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    residual : float
        The largest of the l1 norm of Gamma_pop(mu, pi) - mu and what an action is worth more than the policy in any
        state, relative to the size of Q.
    exploitability : float
    mixed : int
        Number of states in which several actions are taken.
    """

    policy: np.ndarray
    mean_field: np.ndarray
    residual: float
    exploitability: float
    mixed: int


@accepts()
def polish(game: Game, policy: np.ndarray, *, mean_field: np.ndarray | None = None) -> Polished:
    """Find an equilibrium of the game without a regularizer next to that of a weak one.

    Parameters
    ----------
    game : Game
        One that fits dense.
    policy : ndarray, shape (S, A)
        The equilibrium under a weak regularizer.
    mean_field : ndarray, shape (S,), optional
        Its stable population; that of `operators.stable_population` by default.

    Returns
    -------
    Polished

    Raises
    ------
    ConvergenceError
        If no support leads to an equilibrium with a residual of at most `POLISHED`: how far the best one came.
    """
    dense = game.dense("paths.polish")
    if mean_field is None:
        mean_field = operators.stable_population(dense, policy)
    residuals: list[float] = []
    tried: set[bytes] = set()
    queue = _supports(policy)
    while queue and len(residuals) < SUPPORTS:
        support = queue.pop(0)
        if support.tobytes() in tried:
            continue
        tried.add(support.tobytes())
        try:
            found = _solved(dense, policy, mean_field, support)
        except np.linalg.LinAlgError:
            continue
        candidate, population, value = found
        candidate = np.maximum(candidate, 0.0)
        candidate /= candidate.sum(axis=1, keepdims=True)
        population = np.maximum(population, 0.0)
        population /= population.sum()
        residuals.append(residual := unregularized_residual(dense, candidate, population))
        if residual <= POLISHED:
            return Polished(
                candidate,
                population,
                residual,
                exploitability(dense, candidate, mean_field=population),
                int(((candidate > 0.0).sum(axis=1) > 1).sum()),
            )
        # what became negative is no action of the support, what is worth more than the state is one
        q = dense.reward(population) + dense.discount * operators.next_value(dense.transition(population), value)
        better = q > value[:, None] + POLISHED * max(1.0, float(np.abs(q).max()))
        changed = (support & (found[0] > 0.0)) | better
        if changed.any(axis=1).all():
            queue.insert(0, changed)
    raise ConvergenceError(
        f"paths.polish: none of {len(residuals)} supports leads to an equilibrium without a regularizer, tolerance "
        f"{POLISHED:g}",
        residuals or [np.inf],
    )


def unregularized_residual(game: Game, policy: np.ndarray, mean_field: np.ndarray) -> float:
    """Return by how much a pair misses an equilibrium without a regularizer, from every state (equation 19.7)."""
    q = operators.q_values(game, policy, mean_field)
    gain = float((q.max(axis=1) - (policy * q).sum(axis=1)).max())
    moved = operators.population_update(game, mean_field, policy)
    return max(float(np.abs(moved - mean_field).sum()), gain / max(1.0, float(np.abs(q).max())))


def _supports(policy: np.ndarray) -> list[np.ndarray]:
    """Return the actions above each of some probabilities, from those that are certainly taken to those that tie."""
    likeliest = np.eye(policy.shape[1], dtype=bool)[policy.argmax(axis=1)]
    return [likeliest | (policy > least) for least in (1e-3, 1e-2, 1e-5, 1e-8, 1e-12, 0.1, 0.3, 0.5)]


def _solved(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, support: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return policy, mean field and values with q = V on the support, by Newton's method; steps of least length.

    The equations are those of (19.6). Where they leave something open (ties that no population decides) the step of
    least length keeps next to the start.
    """
    states, actions = policy.shape
    taken = np.flatnonzero(support.ravel())
    of_state = taken // actions
    policy = np.where(support, policy, 0.0)
    policy /= policy.sum(axis=1, keepdims=True)
    value = operators.state_values(game, policy, mean_field)
    count, previous = len(taken), np.inf
    for _ in range(STEPS):
        tables = game.linearized(mean_field)
        transition = np.asarray(game.transition(mean_field))
        flat = transition.reshape(-1, states)
        q = game.reward(mean_field) + game.discount * operators.next_value(transition, value)
        gaps = np.concatenate(
            [
                (q - value[:, None]).ravel()[taken],
                policy.sum(axis=1) - 1.0,
                operators.push_forward(transition, mean_field[:, None] * policy) - mean_field,
                [mean_field.sum() - 1.0],
            ]
        )
        slopes_R = tables.reward_features.gradients(mean_field)
        slopes_P = tables.transition_features.gradients(mean_field)
        target = np.asarray(tables.reward_terms.reshape(-1, states * actions).T @ slopes_R)
        target = target + game.discount * np.asarray(operators.value_per_feature(tables, value).T @ slopes_P)
        # unknowns: the policy on its support, mean field, values
        matrix = np.zeros((count + 2 * states + 1, count + 2 * states))
        matrix[:count, count : count + states] = target[taken]
        matrix[:count, count + states :] = game.discount * flat[taken]
        matrix[np.arange(count), count + states + of_state] -= 1.0
        matrix[count + of_state, np.arange(count)] = 1.0
        stationary = slice(count + states, count + 2 * states)
        matrix[stationary, :count] = (mean_field[of_state, None] * flat[taken]).T
        own = operators.population_jacobian(game, mean_field, policy)
        matrix[stationary, count : count + states] = own - np.eye(states)
        matrix[-1, count : count + states] = 1.0
        step = np.linalg.lstsq(matrix, -gaps, rcond=1e-12)[0]
        size = float(np.abs(step[: count + states]).max())
        if not np.isfinite(size) or size > 1e3:
            raise np.linalg.LinAlgError("no step")
        table = policy.ravel().copy()
        table[taken] += step[:count]
        policy = table.reshape(states, actions)
        mean_field = mean_field + step[count : count + states]
        value = value + step[count + states :]
        if size <= 1e-15 or (size <= 1e-9 and size >= 0.5 * previous):
            break
        previous = size
    return policy, mean_field, value


@accepts()
def price(game: Game, policy: np.ndarray, regularizer: Regularizer, *, mean_field: np.ndarray) -> float:
    """Return the limit of E_0 / tau at which a path ends: what a little regularization costs (Proposition 19.5).

    Exactly what can be gained against a policy in the process with the rewards
    rho(s,a) = <pi(s), grad h_1> - d_a h_1 - h_1(pi(s)) on its support: log pi(a|s) for the entropy. 0 for a
    deterministic policy. Where actions off the support are worth less only by a gap that vanishes with tau, as may be
    with the quadratic regularizer, this is a lower bound.

    Parameters
    ----------
    game : Game
        One that fits dense.
    policy : ndarray, shape (S, A)
        An equilibrium of the game without a regularizer, to which those of weaker and weaker regularizers tend.
    regularizer : Regularizer
        Its kind.
    mean_field : ndarray, shape (S,)

    Returns
    -------
    float
        In units of the strength.
    """
    dense, unit = game.dense("paths.price"), with_strength(regularizer, 1.0)
    taken = policy > 0.0
    slope = np.where(taken, unit.gradient(np.where(taken, policy, 1.0)), 0.0)
    reward = (policy * slope).sum(axis=1, keepdims=True) - slope - unit.value(policy)[:, None]
    transition = np.asarray(dense.transition(mean_field))
    kernel = operators.policy_kernel(transition, policy)
    value = solvers.discounted_sum(kernel, dense.discount, (policy * reward).sum(axis=1))
    # value iteration: what is not taken is worth minus infinity in the limit
    best, count = value, int(np.ceil(np.log(solvers.EPSILON) / np.log(max(dense.discount, solvers.EPSILON))))
    for _ in range(count):
        best = np.where(taken, reward + dense.discount * operators.next_value(transition, best), -np.inf).max(axis=1)
    return float(mean_field @ (best - value))
