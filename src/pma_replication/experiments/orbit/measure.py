"""Measurements: best response and mirror ascent while the regularizer weakens.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.iterations import LONGEST_PERIOD, iteration, step_sizes
from pma_mfg.regularizers import Regularizer
from pma_replication.experiments.dynamics.measure import population_rows, run, start_policy

#: Distance to the equilibrium below which a settled policy counts as equal to it: it still moves by `SETTLED_MOVE`, at
#: a rate below 0.99.
ARRIVED = 1e-8


def damping(
    game: Game,
    regularizer: Regularizer,
    name: str,
    *,
    strengths: Sequence[float],
    shares: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run best response and PMA while the regularizer weakens, beside the spectral radius of the best response.

    The equilibrium is followed from the strongest regularizer down, and is the planted one where there is one.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Its kind; the strengths replace its own.
    name : str
        The game's name in tables and seeds.
    strengths : sequence of float
    shares : sequence of float
        Step sizes of PMA, in units of the one that `iterations.step_size` finds best at the equilibrium.
    n_starts : int
        The same starts at every strength.
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    damping : DataFrame
        Columns game, strength, method, share (1 for the best response), step_size, best_response_radius, predicted_rate
        (the method's own spectral radius), start, ending, period, amplitude, iterations, distance, arrived (converged
        to this equilibrium).
    attractors : DataFrame
        Columns game, strength, method, part, iteration, state, mean_field: where best response ends from the first
        start (part "tail"), and the equilibrium.
    """
    rows, attractors = [], []
    policy: np.ndarray | None = None
    for strength in sorted(strengths, reverse=True):
        h = regularizers.with_strength(regularizer, strength)
        try:
            policy = equilibrium.planted_or_found(game, h, policy).policy
        except ConvergenceError:
            policy = equilibrium.planted_or_found(game, h).policy
        parts = [population_rows(game, policy[None], [0], name=name, method="", part="equilibrium")]
        step_size = step_sizes(game, h, policy)
        radius = step_size("best_response", 1.0)[1]
        for method, share in [("best_response", 1.0), *((f"pma_{m}", x) for m in ("euclidean", "kl") for x in shares)]:
            eta, rate = step_size(method, share)
            for start in range(n_starts):
                orbit = iteration(method, game, h, start=start_policy(game, name, start, seed=seed), step_size=eta)
                seen = run(orbit, game, h, reference=policy, max_iterations=max_iterations, measured=lambda k: False)
                distance = float(seen.history["distance"].iloc[-1])
                arrived = seen.outcome.ending == "converged" and distance <= ARRIVED
                rows.append(
                    {"game": name, "strength": strength, "method": method, "share": share, "step_size": eta}
                    | {"best_response_radius": radius, "predicted_rate": rate, "start": start}
                    | vars(seen.outcome)
                    | {"iterations": seen.iterations, "distance": distance, "arrived": arrived}
                )
                if method == "best_response" and start == 0:
                    tail = seen.policies[-LONGEST_PERIOD:] if seen.outcome.period == 0 else seen.policies
                    tail = tail[-seen.outcome.period :] if seen.outcome.period else tail
                    parts.append(population_rows(game, tail, range(len(tail)), name=name, method=method, part="tail"))
                after_run()
        attractors.append(pd.concat(parts).assign(strength=strength))
    order = ["game", "strength", "method", "part", "iteration", "state", "mean_field"]
    return pd.DataFrame(rows), pd.concat(attractors, ignore_index=True)[order]
