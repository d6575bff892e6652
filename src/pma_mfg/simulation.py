"""The N-agent game in which all agents hold one policy: Python's side of the compiled kernels.

Docs/theory.md, section 9. A `Population` is the only mutable object of the library: the counts of agents per state and
the tagged learner's place on a trajectory that is never reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pma_mfg import kernels, operators
from pma_mfg.errors import InputError
from pma_mfg.games.model import Features, MeanFieldGame, to_dense
from pma_mfg.regularizers import Regularizer

Tables = tuple[Any, ...]


@dataclass
class Population:
    """Where the N-agent game is on its trajectory.

    Parameters
    ----------
    others : ndarray of int64, shape (S,)
        How many of the N - 1 other agents are in each state.
    tagged : ndarray of int64, shape (2,)
        State and next action of the tagged agent.
    """

    others: np.ndarray
    tagged: np.ndarray


@dataclass(frozen=True)
class ErgodicAverages:
    """Averages over a trajectory of N exchangeable agents.

    Parameters
    ----------
    deviation : float
        Time average of ||mu - centre||_1.
    mean_field : ndarray, shape (S,)
        Time average of mu: the stationary law of one agent.
    transition_features : ndarray, shape (S, K)
        E[phi_k(mu) | the agent's state is s], from E[mu(s) phi_k(mu)] / E[mu(s)]; nan for a state never visited.
    reward_features : ndarray, shape (S, L)
        The same for the features of the reward.
    second_moments : ndarray, shape (S, S)
        Time average of x x^T, x = mu - centre.
    transition_remainders : ndarray, shape (S, K)
        Time average of mu(s) (phi_k(mu) - phi_k(centre) - <grad phi_k(centre), x>).
    reward_remainders : ndarray, shape (S, L)
        The same for the features of the reward.
    """

    deviation: float
    mean_field: np.ndarray
    transition_features: np.ndarray
    reward_features: np.ndarray
    second_moments: np.ndarray
    transition_remainders: np.ndarray
    reward_remainders: np.ndarray


def check_n_agents(n_agents: int) -> int:
    """Return the number of agents as an int, or raise an `InputError` unless it is an integer from 2 to 10^15."""
    whole = isinstance(n_agents, int | np.integer) or (isinstance(n_agents, float) and n_agents.is_integer())
    if isinstance(n_agents, bool) or not whole or not 2 <= n_agents <= 10**15:
        raise InputError("simulation", "n_agents", n_agents, "an integer from 2 to 10^15")
    return int(n_agents)


def game_tables(game: MeanFieldGame) -> Tables:
    """Return a game in the form that the kernels take: dense."""
    game = game.dense("simulation")

    def contiguous(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array, dtype=float)

    def features(of: Features) -> Tables:
        return (
            contiguous(of.weights),
            contiguous(of.offsets),
            np.ascontiguousarray(of.links, dtype=np.int64),
            contiguous(of.parameters),
        )

    return (
        contiguous(game.base_transition),
        contiguous(game.transition_terms),
        features(game.transition_features),
        contiguous(game.base_reward),
        contiguous(game.reward_terms),
        features(game.reward_features),
    )


def policy_tables(game: MeanFieldGame, policy: np.ndarray, regularizer: Regularizer | None) -> Tables:
    """Return a policy in the form that the kernels take: pi, h(pi(s)), and the transition tables averaged over pi."""
    game = game.dense("simulation")
    policy = np.ascontiguousarray(policy, dtype=float)
    h = np.zeros(game.n_states) if regularizer is None else regularizer.value(policy)
    terms = np.einsum("sa,ksay->ksy", policy, game.transition_terms)
    base = operators.policy_kernel(game.base_transition, policy)
    return policy, np.ascontiguousarray(h), np.ascontiguousarray(base), np.ascontiguousarray(terms)


def initial_population(
    game: MeanFieldGame, n_agents: int, rng: np.random.Generator, mean_field: np.ndarray | None = None
) -> Population:
    """Draw the states of N agents independently from a mean field; the tagged agent's first action is uniform.

    Parameters
    ----------
    game : MeanFieldGame
    n_agents : int
        N, from 2 to 10^15.
    rng : numpy.random.Generator
    mean_field : ndarray, shape (S,), optional
        Uniform by default.

    Returns
    -------
    Population
    """
    size = game.n_states
    law = np.full(size, 1.0 / size) if mean_field is None else np.asarray(mean_field, dtype=float)
    others = rng.multinomial(check_n_agents(n_agents) - 1, law).astype(np.int64)
    tagged = np.array([rng.choice(size, p=law), rng.integers(game.n_actions)], dtype=np.int64)
    return Population(others, tagged)


def ergodic_averages(
    game: MeanFieldGame,
    policy: np.ndarray,
    n_agents: int,
    n_steps: int,
    rng: np.random.Generator,
    n_burn_in: int,
    centre: np.ndarray,
) -> ErgodicAverages:
    """Average over one trajectory of the N-agent game in which everybody plays `policy`.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        N, from 2 to 10^15.
    n_steps : int
        Length of the averaged part of the trajectory.
    rng : numpy.random.Generator
    n_burn_in : int
        Steps before it.
    centre : ndarray, shape (S,)
        The mean field to start from and to measure the deviation against.

    Returns
    -------
    ErgodicAverages
    """
    tables, shared = game_tables(game), policy_tables(game, policy, None)
    counts = rng.multinomial(check_n_agents(n_agents), centre).astype(np.int64)
    centre = np.ascontiguousarray(centre, dtype=float)
    families = (game.transition_features, game.reward_features)
    expansions = [(of.values(centre), np.ascontiguousarray(to_dense(of.gradients(centre)))) for of in families]

    def run(steps: int) -> tuple[np.ndarray, ...]:
        sums = (
            np.zeros(1),
            np.zeros(game.n_states),
            np.zeros((game.n_states, game.n_states)),
            np.zeros((game.n_states, len(game.transition_features.links))),
            np.zeros((game.n_states, len(game.reward_features.links))),
        )
        kernels.average(rng, counts, tables, shared, steps, centre, expansions[0], expansions[1], *sums)
        return sums

    run(n_burn_in)
    deviation, visits, second_moments, transition_sums, reward_sums = (total / n_steps for total in run(n_steps))
    # E[mu(s) x] = c(s) E[x] + E[x(s) x]
    moves = np.outer(centre, visits - centre) + second_moments
    averages: list[np.ndarray] = []
    with np.errstate(invalid="ignore"):
        for (values, gradients), sums in zip(expansions, (transition_sums, reward_sums), strict=True):
            averages.append(values + (moves @ gradients.T + sums) / visits[:, None])
    return ErgodicAverages(
        deviation=float(deviation[0]),
        mean_field=visits,
        transition_features=averages[0],
        reward_features=averages[1],
        second_moments=second_moments,
        transition_remainders=transition_sums,
        reward_remainders=reward_sums,
    )
