"""What `pma-mfg verify` runs on one game, and what it costs: the table of games."""

from __future__ import annotations

import contextlib

from pma_mfg import equilibrium, seeds
from pma_mfg.errors import ConvergenceError
from pma_replication.cost import Units, timed
from pma_replication.experiments.literature import measure
from pma_replication.plan import Settings, Step

#: Searches from starts of their own that are timed: half of them are from a single state.
TIMED_STARTS = 2


def _seconds(units: Units, settings: Settings) -> float:
    game = units.game.with_features("cost")
    starts = measure.start_populations(game, TIMED_STARTS, seeds.generator(0, "cost"))

    def search() -> None:
        for start in starts:
            with contextlib.suppress(ConvergenceError):
                equilibrium.from_population(game, units.regularizer, start)

    return float(settings["n_starts"] * timed(search) / len(starts) + 20 * units.jacobian)


STEPS = {
    # only the pipeline runs it
    "literature": Step(section="literature", seconds=_seconds),
}
