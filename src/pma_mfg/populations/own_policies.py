"""Agents with a policy each, in the limit of many of each kind: the population, what each earns and could gain.

Statements are in docs/theory, sections 10.8 (Proposition 10.7) and 20.2. The mean field is held while one agent
deviates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from pma_mfg import equilibrium, operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: l1 distance of two successive mean fields at which the population counts as found.
TOLERANCE = 1e-10

#: Iterations for a population.
MOST_ITERATIONS = 2000

#: Policies that are compared with all others at a time, so that the differences stay in the processor's cache.
BLOCK = 8

SEVERAL = "own_policies.population: a policy has several recurrent classes"


@dataclass(frozen=True)
class OwnPolicies:
    """What N agents with policies of their own make of a game.

    Parameters
    ----------
    mean_field : ndarray, shape (S,)
        mu, the mean of the laws.
    laws : ndarray, shape (N, S)
        nu_i = nu_i P_{pi^i}(mu), of each agent's state.
    returns : ndarray, shape (N,)
        <nu_i, V_h(pi^i, mu)>: what each earns in the long run, discounted.
    values : ndarray, shape (N,)
        <mu, V_h(pi^i, mu)>: what each would earn from the same start.
    exploitability : float
        Mean over agents of <nu_i, max V_h(., mu) - V_h(pi^i, mu)>: what an agent gains by a best response.
    disagreement : float
        Mean over pairs of two agents of sup_s ||pi^i(s) - pi^j(s)||_1.
    """

    mean_field: np.ndarray
    laws: np.ndarray
    returns: np.ndarray
    values: np.ndarray
    exploitability: float
    disagreement: float


@accepts(policies="policies")
def evaluate(game: Game, policies: np.ndarray, regularizer: Regularizer) -> OwnPolicies:
    """Compute exactly what agents with the given policies make of a game.

    Parameters
    ----------
    game : Game
    policies : ndarray, shape (N, S, A)
        Agents with the same policy are computed once.
    regularizer : Regularizer

    Returns
    -------
    OwnPolicies

    Raises
    ------
    ConvergenceError
        If the population is not found: several recurrent classes of one policy, or transitions that depend on the mean
        field so strongly that the iteration does not settle.
    """
    policies = policies[None] if policies.ndim == 2 else policies
    held, counts, kinds = _kinds(policies)
    shares = counts / len(policies)
    mean_field, laws = population(game, held, shares)
    transition, reward = _dense(game, mean_field), np.asarray(game.reward(mean_field))
    best_policy = equilibrium.best_response(transition, reward, game.discount, regularizer=regularizer)
    played = np.concatenate([held, best_policy[None]])
    gains = np.einsum("nsa,sa->ns", played, reward) + regularizer.value(played)
    chains = np.eye(game.n_states) - game.discount * _chains(played, transition)
    every = np.linalg.solve(chains, gains[:, :, None])[:, :, 0]
    values, best = every[:-1], every[-1]
    return OwnPolicies(
        mean_field=mean_field,
        laws=laws[kinds],
        returns=(laws * values).sum(axis=1)[kinds],
        values=(values @ mean_field)[kinds],
        exploitability=float(shares @ (laws * (best - values)).sum(axis=1)),
        disagreement=_disagreement(held, counts),
    )


@accepts(policies="policies")
def disagreement(game: Game, policies: np.ndarray) -> float:
    """Return the mean over pairs of two agents of sup_s ||pi^i(s) - pi^j(s)||_1, which needs no population.

    Parameters
    ----------
    game : Game
    policies : ndarray, shape (N, S, A)
    """
    return _disagreement(*_kinds(policies[None] if policies.ndim == 2 else policies)[:2])


def _kinds(policies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the different ones of some policies, how many agents have each, and which one every agent has."""
    seen: dict[bytes, int] = {}
    kinds = np.array([seen.setdefault(policy.tobytes(), len(seen)) for policy in policies])
    return policies[np.unique(kinds, return_index=True)[1]], np.bincount(kinds), kinds


def _disagreement(held: np.ndarray, counts: np.ndarray) -> float:
    by_action = np.moveaxis(held, 2, 0)
    blocks = [slice(i, i + BLOCK) for i in range(0, len(held), BLOCK)]
    distances = np.concatenate(
        [sum(np.abs(one[block, None] - one[None]) for one in by_action).max(axis=2) for block in blocks]
    )
    n_pairs = counts.sum() * (counts.sum() - 1.0)
    return float(counts @ distances @ counts / n_pairs) if n_pairs else 0.0


@accepts(policies="policies")
def population(game: Game, policies: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mu = sum_i w_i nu_i with nu_i = nu_i P_{pi^i}(mu), and the laws nu_i (docs/theory, section 10.8).

    Where transitions do not depend on the mean field this is one linear system per policy.

    Parameters
    ----------
    game : Game
    policies : ndarray, shape (n, S, A)
    shares : ndarray, shape (n,)
        w_i, of agents with each policy.

    Returns
    -------
    mean_field : ndarray, shape (S,)
    laws : ndarray, shape (n, S)

    Raises
    ------
    ConvergenceError
        As `evaluate`.
    """
    policies = policies[None] if policies.ndim == 2 else policies
    size = game.n_states
    mean_field = np.full(size, 1.0 / size)
    right_side = np.zeros((len(policies), size, 1))
    right_side[:, -1] = 1.0
    step, residuals = 1.0, [np.inf]
    for _ in range(MOST_ITERATIONS):
        chains = _chains(policies, _dense(game, mean_field))
        equations = chains.swapaxes(1, 2) - np.eye(size)
        equations[:, -1] = 1.0
        try:
            laws = np.linalg.solve(equations, right_side)[:, :, 0]
        except np.linalg.LinAlgError:
            raise ConvergenceError(SEVERAL, residuals) from None
        laws = np.maximum(laws, 0.0)
        laws /= laws.sum(axis=1, keepdims=True)
        change = shares @ laws - mean_field
        distance = float(np.abs(change).sum())
        if distance <= TOLERANCE:
            if any(len(operators.recurrent_classes(chain)) > 1 for chain in chains):
                raise ConvergenceError(SEVERAL, residuals)
            return mean_field, laws
        step = max(0.5 * step, 1e-2) if distance > residuals[-1] else step
        residuals.append(distance)
        mean_field = mean_field + step * change
    raise ConvergenceError(f"own_policies.population: no population of {len(policies)} policies was found", residuals)


def _chains(policies: np.ndarray, transition: np.ndarray) -> np.ndarray:
    """Return P_pi of each policy, shape (n, S, S)."""
    return np.asarray((policies[:, :, None] @ transition)[:, :, 0])


def _dense(game: Game, mean_field: np.ndarray) -> np.ndarray:
    transition = game.transition(mean_field)
    dense = transition.toarray() if isinstance(transition, csr_array) else np.asarray(transition)
    return dense.reshape(game.n_states, game.n_actions, game.n_states)
