"""What `pma-mfg verify` runs on one game, and what it costs: the path of equilibria, and its branches."""

from __future__ import annotations

import contextlib
from functools import partial

import numpy as np

from pma_mfg import paths, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.paths import branching
from pma_mfg.paths.path import random_equilibria
from pma_replication.cost import Units, timed
from pma_replication.experiments.paths import measure
from pma_replication.plan import Settings, Step
from pma_replication.unsettled import reward_range

#: Most states with which a search and a path are timed: with more each takes seconds, and is counted in Jacobians, of
#: which a path takes some 60 and a search, as it starts nearer or farther, 10 to 100.
MOST_TIMED, OF_A_SEARCH, OF_A_PATH = 50, 40, 60


def n_branches(path: paths.Path) -> int:
    """Return how many branches leave a path at its branch points; those that leave them in turn are not known yet."""
    follower, found = path._follower, 0
    for crossing in path.crossings():
        with contextlib.suppress(np.linalg.LinAlgError):
            found += len(branching.departures(follower, crossing)) if follower else 0
    return found


def _seconds(units: Units, settings: Settings) -> float:
    """Return the seconds of the searches from random starts, twice at each strength, and of following all paths.

    A branch is followed in about the time of the path that it leaves.
    """
    game, n_starts, lowest = units.game, settings["games"]["n_starts"], settings["games"]["lowest"]
    strengths = measure.counted(settings["strengths"], lowest)
    if game.n_states > MOST_TIMED:
        return float(len(strengths) * (2 * n_starts * OF_A_SEARCH + OF_A_PATH) * units.jacobian)
    followed: list[paths.Path] = []
    left: list[int] = []

    def follow() -> None:
        with contextlib.suppress(ConvergenceError):
            high = paths.equilibrium_path(game, units.regularizer, max_points=1).points[0].strength
            bounds = high, lowest * reward_range(game)
            followed.append(paths.equilibrium_path(game, units.regularizer, strengths=bounds))

    seconds, of_path, of_branches = 0.0, timed(follow), 0.0
    if followed:
        found = timed(lambda: left.append(n_branches(followed[-1])))
        of_branches = found + left[-1] * of_path
    for strength in strengths:  # searches take longer where it is weak
        h = regularizers.with_strength(units.regularizer, strength * reward_range(game))
        searches = 2 * n_starts * timed(partial(random_equilibria, game, h, n_starts=1, seed=0))
        seconds += searches + of_path + of_branches
    return seconds


STEPS = {
    # only the pipeline runs it
    "paths": Step(section="paths", seconds=_seconds),
}
