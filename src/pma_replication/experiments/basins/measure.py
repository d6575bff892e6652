"""Measurements: games with several equilibria. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, jacobian, operators
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game
from pma_mfg.iterations import DEPARTURE, PERTURBATION, iteration, pairwise_distances, pma
from pma_mfg.regularizers import Regularizer
from pma_replication import unsettled
from pma_replication.experiments.dynamics.measure import Run, run, start_policy


@accepts(reference="policy")
def basins(
    game: Game,
    regularizer: Regularizer,
    reference: np.ndarray,
    *,
    name: str,
    step_sizes: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> dict[str, pd.DataFrame]:
    """Ask whether any step size holds PMA at an equilibrium, and which equilibrium each start reaches instead.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    reference : ndarray, shape (S, A)
        The equilibrium in question.
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
        The eta of PMA, both mirror maps.
    n_starts : int
        For each mirror map and step size, starts `PERTURBATION` of the way from the equilibrium to a random policy;
        and that many random starts for the search of other equilibria.
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each step size and after each method.

    Returns
    -------
    dict of str to DataFrame
        ``departures``: game, mirror, step_size, best_response_lead (largest real part of an eigenvalue of the best
        response's Jacobian), radius (spectral radius of PMA's), start, left, iterations. ``basins``: game, method,
        step_size, start, equilibrium (its index in the next table, -1 where the run did not converge). ``several``:
        game, equilibrium, exploitability, residual (the largest of all), best_response_lead, state, mean_field. The
        first equilibrium is the reference; others are those that some run reached, so the list need not be complete.
    """
    departures, reached = [], []
    lead = _lead(game, regularizer, reference)
    for mirror in ("euclidean", "kl"):
        for eta in step_sizes:
            matrix = jacobian.jacobian(game, reference, eta, regularizer=regularizer, mirror=mirror)
            for start in range(n_starts):
                other = start_policy(game, name, start, seed=seed)
                policy = (1.0 - PERTURBATION) * reference + PERTURBATION * other
                far = DEPARTURE * operators.policy_distance(policy, reference)
                orbit = unsettled.settling(pma(game, regularizer, policy, step_size=eta, mirror=mirror))
                path = islice(orbit, max_iterations + 1)
                left = next((k for k, at in enumerate(path) if operators.policy_distance(at, reference) > far), None)
                departures.append(
                    {"game": name, "mirror": mirror, "step_size": eta, "best_response_lead": lead}
                    | {"radius": jacobian.spectral_radius(matrix), "start": start, "left": left is not None}
                    | {"iterations": max_iterations if left is None else left}
                )
            after_run()
    found = [reference]
    for method, eta in searches(regularizer).items():
        for start in range(n_starts):
            policy = start_policy(game, name, start, seed=seed)
            seen = search(game, regularizer, policy, method=method, reference=reference, max_iterations=max_iterations)
            index = -1
            if seen.outcome.ending == "converged":
                distances = pairwise_distances(np.array(found), seen.policies[-1:])
                index = int(distances.argmin())
                if distances[index] > 1e-6:  # far above ARRIVED, far below the distance of two equilibria
                    index = len(found)
                    found.append(equilibrium.solve(game, regularizer, seen.policies[-1]).policy)
            reached.append({"game": name, "method": method, "step_size": eta, "start": start, "equilibrium": index})
        after_run()
    listed = []
    for index, policy in enumerate(found):
        mean_field = operators.stable_population(game, policy)
        residuals = equilibrium.residuals(game, policy, mean_field, regularizer=regularizer)
        facts: dict[str, Any] = {"game": name, "equilibrium": index, "exploitability": residuals["exploitability"]}
        facts["residual"] = max(map(abs, residuals.values()))
        facts["best_response_lead"] = _lead(game, regularizer, policy)
        listed += [facts | {"state": s, "mean_field": share} for s, share in enumerate(mean_field)]
    return {"departures": pd.DataFrame(departures), "basins": pd.DataFrame(reached), "several": pd.DataFrame(listed)}


def searches(regularizer: Regularizer) -> dict[str, float]:
    """Return the methods that look for other equilibria, and their step sizes."""
    return {"pma_euclidean": 1.0 / regularizer.rho, "pma_kl": 1.0 / regularizer.rho, "best_response": np.inf}


@accepts(start="policy", reference="policy")
def search(
    game: Game, regularizer: Regularizer, start: np.ndarray, *, method: str, reference: np.ndarray, max_iterations: int
) -> Run:
    """Follow one of `searches` from a policy until it has settled; nothing is measured on the way."""
    orbit = iteration(method, game, regularizer, start=start, step_size=searches(regularizer)[method])
    return run(orbit, game, regularizer, reference=reference, max_iterations=max_iterations, measured=lambda k: False)


def _lead(game: Game, regularizer: Regularizer, policy: np.ndarray) -> float:
    """Return the largest real part of an eigenvalue of the best response's Jacobian."""
    matrix = jacobian.jacobian(game, policy, np.inf, regularizer=regularizer)
    return float(np.linalg.eigvals(matrix).real.max()) if matrix.size else 0.0
