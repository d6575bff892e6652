"""Best responses to a frozen mean field, and exploitability (docs/theory.md, section 8).

With mu frozen the game is a decision process (P, R, gamma). Its regularized optimal policy pi* comes from policy
iteration, pi_{k+1}(s) = argmax_u <Q^{pi_k}(s, .), u> + h(u), which converges quadratically. Exploitability is
E_{s ~ mu} [V^{pi*}(s) - V^pi(s)], computed from one-step advantages as (I - gamma P_{pi*})^{-1} (T_{pi*} V - V).
"""

from __future__ import annotations

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import Table
from pma_mfg.regularizers import Regularizer
from pma_mfg.solvers import EPSILON

#: Policy iterations after which a step that gains no more than rounding ends `best_response`.
SETTLED = 50


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
    return float(gain.max()) - 64.0 * EPSILON * (float(np.abs(q).max()) + regularizer_size(regularizer, policy))


def regularizer_size(regularizer: Regularizer, policy: np.ndarray) -> float:
    """Return the size of h next to which rounding counts: its span, or where that is infinite what it is here."""
    span = regularizer.span(policy.shape[1])
    return span if np.isfinite(span) else float(np.abs(regularizer.value(policy)).max())


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
