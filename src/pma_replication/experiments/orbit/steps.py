"""What `pma-mfg verify` runs on one game, and what it costs: best response and PMA as the regularizer weakens."""

from __future__ import annotations

import math

import numpy as np

from pma_mfg import equilibrium, iterations, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_replication.cost import Units
from pma_replication.experiments.orbit import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _orbit(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    table, attractors = measure.damping(
        subject.game,
        subject.regularizer,
        subject.name,
        strengths=settings["games"],
        shares=settings["step_shares"],
        n_starts=settings["n_starts"],
        max_iterations=settings["max_iterations"],
        seed=seed,
        after_run=advance,
    )
    return {"damping": table, "attractors": attractors}


def n_iterations(game: Game, regularizer: Regularizer, settings: Settings) -> float:
    """Return about how many iterations the runs from one start take, at all strengths.

    A method that contracts settles when its moves have fallen to `iterations.SETTLED_MOVE`, by its rate; another one is
    seen to cycle after two of the longest periods, or goes on to the end.
    """
    total, policy = 0.0, None
    methods = [("best_response", 1.0), *((f"pma_{m}", x) for m in ("euclidean", "kl") for x in settings["step_shares"])]
    for strength in sorted(settings["games"], reverse=True):
        h = regularizers.with_strength(regularizer, strength)
        try:
            policy = equilibrium.planted_or_found(game, h, policy).policy
        except ConvergenceError:
            policy = equilibrium.planted_or_found(game, h).policy
        step_size = iterations.step_sizes(game, h, policy)
        for method, share in methods:
            rate = step_size(method, share)[1]
            count = 2.0 * iterations.LONGEST_PERIOD
            if rate < 1.0:
                count = math.log(iterations.SETTLED_MOVE) / math.log(max(rate, 1e-6)) + iterations.SETTLED_MOVES
            total += min(count, settings["max_iterations"])
    return total


def _seconds(units: Units, settings: Settings) -> float:
    try:
        total = n_iterations(units.game, units.regularizer, settings)
    except (ConvergenceError, np.linalg.LinAlgError):  # no equilibrium at some strength: where it ends is not known
        total = 0.3 * settings["max_iterations"] * len(settings["games"]) * (1 + 2 * len(settings["step_shares"]))
    found = settings["n_starts"] * total * units.pma + len(settings["games"]) * (units.solution + 120 * units.jacobian)
    return float(found)


STEPS = {
    "orbit": Step(
        section="orbit",
        ticks=lambda s: s["n_starts"] * len(s["games"]) * (1 + 2 * len(s["step_shares"])),
        run=_orbit,
        seconds=_seconds,
    ),
}
