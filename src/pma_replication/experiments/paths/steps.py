"""What `pma-mfg verify` runs on one game, and what it costs: the path of equilibria, and its branches."""

from __future__ import annotations

import contextlib
from functools import partial

from pma_mfg import paths, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.paths.path import random_equilibria
from pma_replication.cost import Units, timed
from pma_replication.plan import Settings, Step
from pma_replication.unsettled import reward_range

#: Most states with which a search and a path are timed: with more each takes seconds, and is counted in Jacobians, of
#: which a path takes some 60 and a search, as it starts nearer or farther, 10 to 100.
MOST_TIMED, OF_A_SEARCH, OF_A_PATH = 50, 40, 60


def _seconds(units: Units, settings: Settings) -> float:
    """Return the seconds of the searches from random starts, twice at each strength, and of following the path."""
    game, n_starts, seconds = units.game, settings["games"]["n_starts"], 0.0
    if game.n_states > MOST_TIMED:
        return float(len(settings["strengths"]) * (2 * n_starts * OF_A_SEARCH + OF_A_PATH) * units.jacobian)

    def follow() -> None:
        with contextlib.suppress(ConvergenceError):
            paths.equilibrium_path(game, units.regularizer)

    for strength in settings["strengths"]:  # searches take longer where it is weak
        h = regularizers.with_strength(units.regularizer, strength * reward_range(game))
        seconds += 2 * n_starts * timed(partial(random_equilibria, game, h, n_starts=1, seed=0))
    return seconds + len(settings["strengths"]) * timed(follow)


STEPS = {
    # only the pipeline runs it
    "paths": Step(section="paths", seconds=_seconds),
}
