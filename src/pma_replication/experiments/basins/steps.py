"""What `pma-mfg verify` runs on one game, and what it costs: games with several equilibria."""

from __future__ import annotations

import itertools
import math

from pma_mfg import solvers
from pma_mfg.iterations import DEPARTURE, PERTURBATION
from pma_mfg.regularizers import MIRRORS
from pma_replication.cost import Units
from pma_replication.experiments.basins import measure
from pma_replication.experiments.dynamics.measure import start_policy
from pma_replication.plan import Advance, Settings, Step, Subject, Tables

#: Iterations after which a search counts as one that takes long.
LONG_SEARCH = 300


def _basins(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return measure.basins(
        subject.game,
        subject.regularizer,
        subject.policy,
        name=subject.name,
        step_sizes=subject.step_sizes(settings),
        n_starts=settings["n_starts"],
        max_iterations=settings["max_iterations"],
        seed=seed,
        after_run=advance,
    )


def n_iterations(units: Units, settings: Settings) -> float:
    """Return about how many iterations are computed from one start, with all step sizes and in all searches.

    A run leaves the equilibrium once it is `DEPARTURE` times as far away. Where the equilibrium attracts, a run comes
    back to the same bits and computes nothing more (`iterations.pma`). Searches are counted from one start; one that
    takes long is taken to go on to the end.
    """
    most, total = settings["max_iterations"], 0.0
    for mirror, step_size in itertools.product(MIRRORS, settings["step_sizes"]):
        rate = math.log(max(units.radius(step_size, mirror), 1e-6))
        distances = DEPARTURE if rate > 0.0 else solvers.EPSILON / PERTURBATION
        total += min(most, math.log(distances) / rate) if rate else most
    start = start_policy(units.game, "cost", 0, seed=0)
    for method in measure.searches(units.regularizer):
        found = measure.search(
            units.game,
            units.regularizer,
            start,
            method=method,
            reference=units.policy,
            max_iterations=min(most, LONG_SEARCH),
        )
        total += found.iterations if found.iterations < LONG_SEARCH else most
    return total


def _seconds(units: Units, settings: Settings) -> float:
    jacobians = len(MIRRORS) * len(settings["step_sizes"]) * units.jacobian
    return float(settings["n_starts"] * n_iterations(units, settings) * units.pma + jacobians)


STEPS = {
    "basins": Step(
        section="basins",
        ticks=lambda s: 2 * len(s["step_sizes"]) + 3,
        run=_basins,
        seconds=_seconds,
    ),
}
