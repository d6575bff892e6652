"""Checks of the operators on one game: searched Lipschitz ratios against bounds, PMA's rate against the Jacobian (C1).

Docs/theory.md, sections 5, 7 and 12. Tables are tidy, one row per observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import lipschitz, operators, seeds
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Regularizer

#: Distances between which an iterate counts for the fitted rate: close enough to be linear, far above rounding.
RATE_WINDOW = (1e-11, 1e-6)
#: With fewer iterates than this in the window no rate is fitted: where the distance oscillates around its decay by a
#: factor of 1.4, n iterates pin the rate down to about log(1.4) / n, which is to be below 2 %.
RATE_ITERATES = 20
#: A run has converged when the distance to the equilibrium is below this (rounding is some 1e-14).
CONVERGED = 1e-10


def operator_ratios(
    game: MeanFieldGame,
    regularizer: Regularizer,
    name: str,
    step_sizes: Sequence[float],
    n_pairs: int,
    seed: int,
    after_operator: Callable[[str], None] = lambda operator: None,
) -> pd.DataFrame:
    """Search random pairs for the largest Lipschitz ratio of each operator, beside its bound.

    Half of the pairs are close to each other, half far apart; policies reach to the vertices, and lie in U where the
    bound is one on U.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
        The eta of the mirror ascent step and of PMA.
    n_pairs : int
    seed : int
        Root seed.
    after_operator : callable
        Called with the name of each finished operator.

    Returns
    -------
    DataFrame
        Columns game, operator, step_size (nan where it plays no role), n_pairs, largest_ratio, bound, kind.
    """
    c = lipschitz.constants(game)
    floor = lipschitz.policy_floor(game, regularizer)
    rows = []

    def search(operator: str, step_size: float, bound: float, ratio: Callable[[np.random.Generator], float]) -> None:
        rng = seeds.generator(seed, "operator_ratios", name, operator, step_size)
        ratios = [ratio(rng) for _ in range(n_pairs)]
        rows.append((name, operator, step_size, n_pairs, max(ratios), bound, lipschitz.weaker(*c.kind.values())))
        after_operator(operator)

    def mean_field_pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        first, second = rng.dirichlet(np.full(game.n_states, rng.choice([0.1, 1.0])), size=2)
        return first, _near_or_far(rng, first, second)

    def policy_pair(rng: np.random.Generator, within: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        first, second = (random_policy(game, rng, regularizer, within) for _ in range(2))
        return first, _near_or_far(rng, first, second)

    def update_in_mean_field(rng: np.random.Generator) -> float:
        first, second = mean_field_pair(rng)
        policy = random_policy(game, rng)
        moved = operators.population_update(game, first, policy) - operators.population_update(game, second, policy)
        return _ratio(np.abs(moved).sum(), np.abs(first - second).sum())

    def update_in_policy(rng: np.random.Generator) -> float:
        first, second = policy_pair(rng)
        mean_field = mean_field_pair(rng)[0]
        moved = operators.population_update(game, mean_field, first) - operators.population_update(
            game, mean_field, second
        )
        return _ratio(np.abs(moved).sum(), operators.policy_distance(first, second))

    def stable_in_policy(rng: np.random.Generator) -> float:
        first, second = policy_pair(rng)
        moved = operators.stable_population(game, first) - operators.stable_population(game, second)
        return _ratio(np.abs(moved).sum(), operators.policy_distance(first, second))

    search("population_update_in_mean_field", np.nan, c.L_pop, update_in_mean_field)
    search("population_update_in_policy", np.nan, 0.5 * c.K_a, update_in_policy)
    stable_bound = lipschitz.contraction_bound(game, regularizer, 1.0).stable_population
    search("stable_population", np.nan, stable_bound, stable_in_policy)
    for step_size in step_sizes:

        def mirror_step(rng: np.random.Generator, eta: float = step_size) -> float:
            policies = policy_pair(rng)
            spread = rng.choice([0.1, 1.0, 10.0]) * regularizer.rho
            first_q = spread * rng.normal(size=policies[0].shape)
            qs = (first_q, _near_or_far(rng, first_q, spread * rng.normal(size=first_q.shape)))
            steps = [operators.mirror_ascent_step(q, p, eta, regularizer) for q, p in zip(qs, policies, strict=True)]
            apart = np.linalg.norm(policies[0] - policies[1], axis=1) + eta * np.linalg.norm(qs[0] - qs[1], axis=1)
            return _ratio(np.linalg.norm(steps[0] - steps[1], axis=1), apart / (1.0 + eta * regularizer.rho))

        def pma(rng: np.random.Generator, eta: float = step_size) -> float:
            pair = policy_pair(rng, floor)
            steps = [operators.policy_mirror_ascent(game, policy, eta, regularizer, floor) for policy in pair]
            moved, apart = (np.linalg.norm(x[0] - x[1], axis=1).max() for x in (steps, pair))
            return _ratio(moved, apart)

        search("mirror_ascent_step", step_size, 1.0, mirror_step)
        bound = lipschitz.contraction_bound(game, regularizer, step_size).L_gamma
        search("policy_mirror_ascent", step_size, bound, pma)
    return pd.DataFrame(rows, columns=["game", "operator", "step_size", "n_pairs", "largest_ratio", "bound", "kind"])


def _ratio(moved: np.ndarray | float, apart: np.ndarray | float) -> float:
    """Return the largest moved / apart, leaving out pairs too close for their difference to have digits."""
    moved, apart = np.atleast_1d(moved), np.atleast_1d(apart)
    usable = apart > 1e-6
    return float((moved[usable] / apart[usable]).max()) if usable.any() else 0.0


def _near_or_far(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return `second`, or a point close to `first` on the way there."""
    share = rng.choice([1e-3, 1.0])
    return np.asarray((1.0 - share) * first + share * second)


def random_policy(
    game: MeanFieldGame,
    rng: np.random.Generator,
    regularizer: Regularizer | None = None,
    floor: float | None = None,
) -> np.ndarray:
    """Draw a policy, flat or close to a deterministic one, shape (S, A); with a floor, inside {u : h(u) >= floor}."""
    policy = rng.dirichlet(np.full(game.n_actions, rng.choice([0.1, 1.0])), size=game.n_states)
    policy = np.maximum(policy, 1e-12)  # a Dirichlet draw can underflow to zero
    policy /= policy.sum(axis=1, keepdims=True)
    if regularizer is None or floor is None:
        return np.asarray(policy)
    uniform = 1.0 / game.n_actions
    inside, outside = np.zeros(game.n_states), np.ones(game.n_states)
    if (whole := regularizer.value(policy) >= floor).any():
        inside[whole] = 1.0
    for _ in range(50):  # h is concave and largest at the uniform distribution: bisection towards it
        middle = 0.5 * (inside + outside)
        accepted = regularizer.value(uniform + middle[:, None] * (policy - uniform)) >= floor
        inside, outside = np.where(accepted, middle, inside), np.where(accepted, outside, middle)
    return np.asarray(uniform + inside[:, None] * (policy - uniform))


def pma_convergence(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    step_sizes: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run exact PMA from several starts and compare its rate with the Jacobian's spectral radius.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        The policy to measure distances from.
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
    n_starts : int
        The uniform policy and n_starts - 1 random ones in U, the same for every step size.
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    iterates : DataFrame
        Columns game, step_size, start, iteration, distance (sup_s of the l1 norm).
    rates : DataFrame
        Columns game, step_size, start, converged, iterations, observed_rate (nan where too few iterates lie in
        `RATE_WINDOW`), spectral_radius, bound (L_Gamma_eta), differentiable.
    """
    floor = lipschitz.policy_floor(game, regularizer)
    mean_field = operators.stable_population(game, equilibrium)
    differentiable = all(
        features.differentiable_at(mean_field) for features in (game.transition_features, game.reward_features)
    )
    iterates, rates = [], []
    for step_size in step_sizes:
        matrix = lipschitz.jacobian(game, equilibrium, step_size, regularizer)
        radius = lipschitz.spectral_radius(matrix)
        bound = lipschitz.contraction_bound(game, regularizer, step_size).L_gamma
        for start in range(n_starts):
            rng = seeds.generator(seed, "pma_convergence", name, start)
            policy = operators.uniform_policy(game) if start == 0 else random_policy(game, rng, regularizer, floor)
            distances = [operators.policy_distance(policy, equilibrium)]
            while len(distances) <= max_iterations and distances[-1] > RATE_WINDOW[0]:
                policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer, floor)
                distances.append(operators.policy_distance(policy, equilibrium))
            iterates += [(name, step_size, start, k, distance) for k, distance in enumerate(distances)]
            converged = distances[-1] <= CONVERGED
            rate = _fitted_rate(np.array(distances))
            rates.append((name, step_size, start, converged, len(distances) - 1, rate, radius, bound, differentiable))
            after_run()
    return (
        pd.DataFrame(iterates, columns=["game", "step_size", "start", "iteration", "distance"]),
        pd.DataFrame(
            rates,
            columns=[
                "game",
                "step_size",
                "start",
                "converged",
                "iterations",
                "observed_rate",
                "spectral_radius",
                "bound",
                "differentiable",
            ],
        ),
    )


def _fitted_rate(distances: np.ndarray) -> float:
    """Return exp of the least-squares slope of log distance over the iterates in `RATE_WINDOW`."""
    k = np.flatnonzero((distances >= RATE_WINDOW[0]) & (distances <= RATE_WINDOW[1]))
    return float(np.exp(np.polyfit(k, np.log(distances[k]), 1)[0])) if len(k) >= RATE_ITERATES else float("nan")
