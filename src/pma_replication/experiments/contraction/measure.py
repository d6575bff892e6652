"""Measurements: how fast exact policy mirror ascent converges.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pma_mfg import jacobian, operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import MIRRORS, Mirror, Regularizer
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz
from pma_mfg.theory.search import in_set, random_policy, rows_above

#: Range of distances to the equilibrium that the rate is fitted to: small enough to be linear, far above rounding.
RATE_WINDOW = (1e-11, 1e-6)

#: Fewest iterates in the window for a rate to be fitted. Where the distance oscillates around its decay by a factor of
#: 1.4, n iterates determine the rate up to about log(1.4) / n, which is to be below 2 %.
RATE_ITERATES = 20

#: A run has converged when the distance to the equilibrium is below this (rounding is some 1e-14).
CONVERGED = 1e-10


@accepts()
def pma_convergence(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
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
    game : Game
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
        `RATE_WINDOW`), spectral_radius, bound (L_Gamma_eta), differentiable, no_game_rate (the spectral radius with the
        population held at the equilibrium's).
    """
    floor = lipschitz.policy_floor(game, regularizer)
    mean_field = operators.stable_population(game, equilibrium)
    differentiable = game.differentiable_at(mean_field)
    iterates, rates = [], []
    inside = partial(rows_above, regularizer, floor)
    for step_size in step_sizes:
        matrix = jacobian.jacobian(game, equilibrium, step_size, regularizer=regularizer)
        radius = jacobian.spectral_radius(matrix)
        bound = lipschitz.contraction_bound(game, regularizer, step_size).L_gamma
        predicted = (radius, bound, differentiable, no_game_rate(equilibrium, regularizer, step_size))
        for start in range(n_starts):
            rng = seeds.generator(seed, "pma_convergence", name, start)
            policy = operators.uniform_policy(game) if start == 0 else random_policy(game, rng, inside)
            distances = [operators.policy_distance(policy, equilibrium)]
            with contextlib.suppress(ConvergenceError):  # a population that does not settle ends a run
                while len(distances) <= max_iterations and distances[-1] > RATE_WINDOW[0]:
                    policy = operators.policy_mirror_ascent(
                        game, policy, step_size, regularizer=regularizer, floor=floor
                    )
                    distances.append(operators.policy_distance(policy, equilibrium))
            iterates += [(name, step_size, start, k, distance) for k, distance in enumerate(distances)]
            converged = distances[-1] <= CONVERGED
            rate = _fitted_rate(np.array(distances))
            rates.append((name, step_size, start, converged, len(distances) - 1, rate, *predicted))
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
                "no_game_rate",
            ],
        ),
    )


def no_game_rate(policy: np.ndarray, regularizer: Regularizer, step_size: float) -> float:
    """Return the spectral radius of PMA at an equilibrium whose population is held, as if there were no game.

    An optimal policy does not change its own values to first order, so that the step alone is left: by (7.4)
    (diag(w) - w w^T / sum w) / eta with 1/w = -h'' + 1/eta, state by state; 1 / (1 + eta h_min), where h_min is the
    least eigenvalue of minus the Hessian of h (docs/theory, section 7.1).

    Parameters
    ----------
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    step_size : float
        eta > 0.

    Returns
    -------
    float
        In [0, 1).
    """
    weights = 1.0 / (regularizer.curvature(policy) + 1.0 / step_size)
    outer = weights[:, :, None] * weights[:, None, :] / weights.sum(axis=1)[:, None, None]
    return float(np.linalg.eigvalsh(weights[:, :, None] * np.eye(policy.shape[1]) - outer).max() / step_size)


@accepts()
def certified_convergence(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    step_sizes: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    found: Mapping[Mirror, invariant_sets.InvariantSet] | None = None,
) -> pd.DataFrame:
    """Run exact PMA, without a floor, from starts in the certificates' invariant set wherever one is below 1.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        The policy to measure distances from.
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
    n_starts : int
        The uniform policy and n_starts - 1 random ones in W.
    max_iterations : int
    seed : int
        Root seed.
    found : mapping of mirror map to InvariantSet, optional
        Of this game and regularizer, if they are at hand; other mirror maps are then left out.

    Returns
    -------
    DataFrame
        Columns game, mirror, step_size, certificate, attraction, kind, n_starts (0 where nothing is certified),
        n_converged. Empty for a game given by functions.
    """
    rows: list[tuple[object, ...]] = []
    columns = ["game", "mirror", "step_size", "certificate", "attraction", "kind", "n_starts", "n_converged"]
    if not game.has_features:
        return pd.DataFrame(rows, columns=columns)
    if found is None:
        found = {mirror: invariant_sets.invariant_set(game, regularizer, mirror) for mirror in MIRRORS}
    for mirror, bounds in found.items():
        inside = in_set(bounds, regularizer, mirror)
        rng = seeds.generator(seed, "certified_convergence", name, mirror)
        starts = [operators.uniform_policy(game), *(random_policy(game, rng, inside) for _ in range(n_starts - 1))]
        rates = attraction.attraction(
            game, regularizer, step_sizes, equilibrium=equilibrium, mirror=mirror, found=bounds
        )
        for eta, rate in zip(step_sizes, rates, strict=True):
            certificate = certificates.certificate(game, regularizer, eta, mirror=mirror, found=bounds)
            certified = starts if min(certificate.L_gamma, rate) < 1.0 else []
            n_converged = 0
            for policy in certified:
                with contextlib.suppress(ConvergenceError):
                    for _ in range(max_iterations):
                        if operators.policy_distance(policy, equilibrium) <= CONVERGED:
                            break
                        policy = operators.policy_mirror_ascent(
                            game, policy, eta, regularizer=regularizer, mirror=mirror
                        )
                n_converged += operators.policy_distance(policy, equilibrium) <= CONVERGED
            bound = (certificate.L_gamma, rate, certificate.kind)
            rows.append((name, mirror, eta, *bound, len(certified), n_converged))
    return pd.DataFrame(rows, columns=columns)


def _fitted_rate(distances: np.ndarray) -> float:
    """Return exp of the least-squares slope of log distance over the iterates in `RATE_WINDOW`."""
    k = np.flatnonzero((distances >= RATE_WINDOW[0]) & (distances <= RATE_WINDOW[1]))
    return float(np.exp(np.polyfit(k, np.log(distances[k]), 1)[0])) if len(k) >= RATE_ITERATES else float("nan")
